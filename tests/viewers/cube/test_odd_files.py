"""Files that are damaged or odd: a picture, or one sentence; never a traceback."""

import argparse
import logging
import random
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from sofia_engine.errors import InputError
from sofia_viewers.cube.apertures import find_aperture
from sofia_viewers.cube.cube import open_cube
from sofia_viewers.cube.entries import make_cube_entry
from sofia_viewers.cube.extraction import spectra_of
from sofia_viewers.cube.main import add_arguments, run
from sofia_viewers.image.display import DisplayState
from sofia_viewers.image.regions import Region

from .conftest import make_header, make_truth, simulate, write_cube

SHAPE = (8, 9)
DATA = simulate(make_truth(SHAPE, 20)).astype("f4")


def header(*absent: str, **cards: object) -> fits.Header:
    made = make_header(SHAPE, 20, **cards)
    for key in absent:
        del made[key]
    return made


ODD = {
    "no spectral axis": (header("CTYPE3", "CRVAL3", "CRPIX3", "CUNIT3", "CD3_3"), DATA),
    "no steps": (header("CD1_1", "CD1_2", "CD2_1", "CD2_2", "CD3_3"), DATA),
    "step zero": (header(CD3_3=0.0), DATA),
    "singular": (header(CD1_1=0.0, CD1_2=0.0), DATA),
    "unknown unit": (header(CUNIT3="potato", BUNIT="Jy/(beam*potato)**2"), DATA),
    "no unit": (header(BUNIT="%%%"), DATA),
    "all NaN": (header(), np.full_like(DATA, np.nan)),
    "zeros": (header(), DATA * 0),
    "extremes": (header(), np.where(np.arange(9) % 2, 3e38, -3e38).astype("f4") * np.ones_like(DATA)),
    "huge": (header(), DATA.astype("f8") * 1e300),
    "frequency zero": (header(CTYPE3="FREQ", CUNIT3="Hz", CRVAL3=0.0, CD3_3=1e9), DATA),
    "words for numbers": (header(CRVAL3="abc", RESTFRQ="x", BARYSHFT="x", BMAJ="x"), DATA),
    "unknown sky": (header(CTYPE1="XXXX"), DATA),
    "table axis": (header(CTYPE3="WAVE-TAB"), DATA),
    "Stokes": (header(CTYPE4="STOKES"), DATA[None]),
    "one slice": (header(), DATA[:1]),
    "one pixel": (header(), DATA[:, :1, :1]),
    "no cube": (header(), DATA[0]),
    "two spectral axes": (header(), np.stack([DATA, DATA])),
}
NO_CUBE = ("no cube", "two spectral axes")


@pytest.fixture
def call(qapp, tmp_path, monkeypatch, caplog):
    """Give the function that exports a file; it gives the exit code. Nothing may be logged or raised meanwhile."""
    monkeypatch.setattr("sofia_viewers.image.settings._user_folder", lambda: tmp_path / "settings")
    raised = []
    monkeypatch.setattr(sys, "excepthook", lambda _kind, error, _trace: raised.append(error))

    def export(path: Path) -> int:
        parser = argparse.ArgumentParser()
        add_arguments(parser)
        code = run(parser.parse_args([str(path), "--export", str(tmp_path / "out.png"), "--width", "500"]))
        assert not raised
        assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
        return code

    return export


@pytest.mark.parametrize(
    "names", [("all NaN", "no cube"), pytest.param(tuple(ODD), marks=pytest.mark.slow)], ids=["few", "all"]
)
def test_that_odd_cubes_are_drawn_or_named_in_one_sentence(call, tmp_path, capsys, names):
    for name in names:
        path = tmp_path / f"{name}.fits"
        fits.PrimaryHDU(ODD[name][1], ODD[name][0]).writeto(path)
        code, told = call(path), capsys.readouterr().err.splitlines()
        if name in NO_CUBE:
            assert code == 1
            assert len(told) == 1
            assert f"{name}.fits holds no cube" in told[0]
        else:
            assert (code, told) == (0, []), name


def test_that_spectra_and_slices_of_odd_cubes_are_read(tmp_path):
    for name in ODD:
        path = tmp_path / f"{name}.fits"
        fits.PrimaryHDU(ODD[name][1], ODD[name][0]).writeto(path)
        if name in NO_CUBE:
            with pytest.raises(InputError, match=f"{name}.fits holds no cube"):
                open_cube(path)
            continue
        cube = open_cube(path)
        assert np.isfinite(cube.wave).all()
        entry = make_cube_entry(cube, "cube 0", DisplayState())
        assert np.isfinite(entry.display.limits).all()
        pixel = find_aperture(Region("point", ((0.0, 0.0),)), cube.shape[1:])
        found = spectra_of(cube, pixel, "sum").flux
        plain = np.asarray(ODD[name][1].reshape(cube.shape)[:, 0, 0], dtype=float)
        known = np.isfinite(plain) & (np.abs(plain) < 3.4e38)
        np.testing.assert_allclose(found[known], plain[known], rtol=1e-6)


def test_that_flipped_bytes_and_cut_ends_are_no_surprise(tmp_path):
    truth = make_truth(SHAPE, 20)
    raw = write_cube(tmp_path / "good.fits", DATA, header(), WAVELENGTH=truth.wave).read_bytes()
    dice, path, told = random.Random(5), tmp_path / "bad.fits", []
    for number in range(150):
        damaged = bytearray(raw)
        for _ in range(dice.choice([1, 2, 5, 20])):
            damaged[dice.randrange(2880 * 4)] = dice.choice([dice.randrange(256), dice.randrange(32, 127)])
        path.write_bytes(bytes(damaged) if number % 3 else raw[: dice.randrange(len(raw))])
        try:
            make_cube_entry(open_cube(path), "cube 0", DisplayState())
        except InputError as error:
            told.append(str(error))
    assert len(told) > 30
    assert all("bad.fits" in text and "\n" not in text for text in told)
