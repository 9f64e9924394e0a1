"""Files as they should not be: each is drawn, or one sentence says why not; nothing else happens."""

import gzip
import io
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sofia_engine.errors import SofiaDeskError
from sofia_viewers.spectrum.loading import read_spectrum_file
from sofia_viewers.spectrum.session import SpectrumSession
from sofia_viewers.standalone import wait_until_ready

_WAVE = np.linspace(5.0, 8.0, 40)
_FLUX = 2.0 + np.sin(_WAVE)


def pack(*hdus: Any) -> bytes:
    stream = io.BytesIO()
    fits.HDUList(list(hdus)).writeto(stream)
    return stream.getvalue()


def write_table(form: str, **columns: Any) -> bytes:
    stream = io.BytesIO() if form == "votable" else io.StringIO()
    Table(columns).write(stream, format=form)
    text = stream.getvalue()
    return text if isinstance(text, bytes) else text.encode()


def make_contents() -> dict[str, bytes]:
    """Return files in all layouts, by name."""
    rows = fits.Header({"XUNITS": "um", "YUNITS": "Jy", "INSTRUME": "FORCAST"})
    linear = fits.Header({"CRVAL1": 5.0, "CDELT1": 0.05, "CRPIX1": 1.0, "CUNIT1": "um", "BUNIT": "Jy"})
    cube = fits.Header({"CRVAL3": 5.0, "CDELT3": 0.05, "CRPIX3": 1.0, "CUNIT3": "um", "BUNIT": "Jy/pixel"})
    planes = [fits.ImageHDU(array, name=name) for name, array in (
        ("WAVEPOS", _WAVE), ("SPECTRAL_FLUX", _FLUX), ("SPECTRAL_ERROR", _FLUX / 9), ("SLITPOS", np.arange(9.0)),
        ("SPATIAL_PROFILE", np.arange(9.0)))]  # fmt: skip
    columns = {"order": np.ones(40, int), "wavepos": _WAVE, "flux": _FLUX, "error": _FLUX / 9}
    text = "# wave flux error\n" + "\n".join(f"{w:.4f} {f:.4f} {f / 9:.4f}" for w, f in zip(_WAVE, _FLUX, strict=True))
    return {
        "rows.fits": pack(fits.PrimaryHDU(np.stack([_WAVE, _FLUX, _FLUX / 9]), rows)),
        "linear.fits": pack(fits.PrimaryHDU(_FLUX, linear)),
        "planes.fits": pack(fits.PrimaryHDU(), *planes),
        "table.fits": pack(fits.PrimaryHDU(), fits.BinTableHDU(Table({"wavelength": _WAVE, "flux": _FLUX}))),
        "cube.fits": pack(fits.PrimaryHDU(np.random.default_rng(1).normal(1, 0.1, (9, 4, 4)), cube)),
        "table.ecsv": write_table("ascii.ecsv", **columns),
        "table.csv": write_table("ascii.csv", **columns),
        "table.vot": write_table("votable", **columns),
        "text.txt": text.encode(),
        "text.txt.gz": gzip.compress(text.encode()),
        "rows.fits.gz": gzip.compress(pack(fits.PrimaryHDU(np.stack([_WAVE, _FLUX]), rows))),
    }


_CONTENTS = make_contents()


def check_file(path: Path) -> str:
    """Read a file and compute all that a pane could show of it; return why it cannot be, if so."""
    try:
        found = read_spectrum_file(path)
    except SofiaDeskError as problem:
        message = str(problem)
        assert path.name in message
        assert message.endswith(".")
        assert "\n" not in message
        assert len(message) < 400
        return message
    session = SpectrumSession()
    session.add_files([found])
    assert found.spectra
    for unit in session.list_units("x"):
        session.change_pane(x_unit=unit, rest=6.0)
        for field in session.list_fields():
            session.change_axis("primary", field=field)
            for curve in session.content(0).curves:
                for values in (curve.x, curve.y, curve.error):
                    assert values is None or not np.isinf(values).any()
    return ""


# -- at random -------------------------------------------------------------------------------------------------------

_CARD = st.sampled_from(
    [b"0", b"-1", b"99999999", b"1e300", b"T", b"'abc'", b"'km/s'", b"'furlong'", b"NaN", b"!", b""]
)
_SMASH = st.tuples(st.integers(0, 10**6), st.binary(min_size=1, max_size=8))


@given(
    name=st.sampled_from(sorted(_CONTENTS)), smashed=st.lists(_SMASH, max_size=6), cut=st.integers(0, 3),
    length=st.floats(0, 1), cards=st.lists(st.tuples(st.integers(0, 200), _CARD), max_size=3),
)  # fmt: skip
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_that_damaged_files_are_read_or_refused_in_one_sentence(
    tmp_path: Path, name: str, smashed: Any, cut: int, length: float, cards: Any
) -> None:
    content = bytearray(_CONTENTS[name])
    for place, value in cards if name.endswith(".fits") else ():
        start = place * 80 % len(content)
        if bytes(content[start + 8 : start + 10]) == b"= ":
            content[start + 10 : start + 80] = value.rjust(20).ljust(70)
    for place, piece in smashed:
        start = place % len(content)
        content[start : start + len(piece)] = piece
    path = tmp_path / name
    path.write_bytes(bytes(content[: int(len(content) * length)] if cut == 0 else content))
    check_file(path)


# -- one by one ------------------------------------------------------------------------------------------------------


def write_with(folder: Path, name: str, **cards: bytes) -> Path:
    """Write a file with some of its cards replaced as they stand."""
    content = bytearray(_CONTENTS[name])
    for keyword, value in cards.items():
        start = next(i for i in range(0, len(content), 80) if content[i : i + 8] == keyword.encode().ljust(8))
        content[start + 10 : start + 80] = value.rjust(20).ljust(70)
    (folder / name).write_bytes(bytes(content))
    return folder / name


def test_that_a_table_of_a_hundred_million_columns_is_refused_at_once(tmp_path: Path) -> None:
    assert "TFIELDS is 99999999" in check_file(write_with(tmp_path, "table.fits", TFIELDS=b"99999999"))


def test_that_cards_that_cannot_be_read_are_passed_over_and_named(tmp_path: Path) -> None:
    path = write_with(tmp_path, "rows.fits", INSTRUME=b"'no end")
    found = read_spectrum_file(path)
    assert len(found.spectra[0]) == 40
    assert "INSTRUME" in found.notes[0]


@pytest.mark.parametrize("value", [b"'abc'", b"NaN", b"T", b"1e300"])
def test_that_axes_of_nonsense_are_no_failure(tmp_path: Path, value: bytes) -> None:
    assert check_file(write_with(tmp_path, "linear.fits", CRVAL1=value)) == ""


def test_that_numbers_beyond_measure_are_missing(tmp_path: Path) -> None:
    flux = np.where(_WAVE > 6, 1e308, np.where(_WAVE < 5.5, np.inf, _FLUX))
    (tmp_path / "endless.txt").write_text("\n".join(f"{w} {f} 1e200" for w, f in zip(_WAVE, flux, strict=True)))
    spectrum = read_spectrum_file(tmp_path / "endless.txt").spectra[0]
    assert (np.isfinite(spectrum["spectral_flux"]) == ((_WAVE <= 6) & (_WAVE >= 5.5))).all()
    assert np.isnan(spectrum["spectral_error"]).all()


def test_that_tables_without_rows_or_fluxes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.ecsv").write_bytes(write_table("ascii.ecsv", wave=np.zeros(0), flux=np.zeros(0)))
    assert "has no rows" in check_file(tmp_path / "empty.ecsv")
    (tmp_path / "orders.ecsv").write_bytes(write_table("ascii.ecsv", order=np.ones(3)))
    assert "no flux" in check_file(tmp_path / "orders.ecsv")
    (tmp_path / "words.ecsv").write_bytes(write_table("ascii.ecsv", wave=["a", "b"], flux=["c", "d"]))
    assert "no column of numbers" in check_file(tmp_path / "words.ecsv")


def test_that_masked_complex_and_broken_numbers_of_orders_are_borne(tmp_path: Path) -> None:
    masked = MaskedColumn(_FLUX, mask=_WAVE > 7)
    columns = {"order": np.where(_WAVE > 6, np.nan, 1e18), "wave": _WAVE, "flux": masked, "z": _WAVE + 1j}
    (tmp_path / "odd.ecsv").write_bytes(write_table("ascii.ecsv", **columns))
    found = read_spectrum_file(tmp_path / "odd.ecsv")
    assert found.orders == (1,)
    assert (np.isnan(found.spectra[0]["spectral_flux"]) == (_WAVE > 7)).all()


def test_that_flags_that_are_no_numbers_are_flags(tmp_path: Path) -> None:
    from sofia_engine.layouts import unpack
    from sofia_engine.product import Product

    header = fits.Header({"PRODTYPE": "rectimage", "INSTRUME": "FORCAST"})
    planes = np.ones((3, 4, 5))
    planes[2] = [[0, 1, np.nan, np.inf, 1e30]] * 4
    product = unpack(Product.of(header, {"PRIMARY": planes}))
    assert product["BADMASK"][0].tolist() == [0, 1, 1, 1, 1]


def test_that_packed_files_that_are_damaged_are_refused(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(_CONTENTS["rows.fits"]))
    packed[40:60] = bytes(20)
    contents = {"a": bytes(packed), "b": gzip.compress(b""), "c": b"\x1f\x8b", "d": zlib.compress(b"x"), "e": b""}
    for name, content in contents.items():
        (tmp_path / f"{name}.fits.gz").write_bytes(content)
        assert check_file(tmp_path / f"{name}.fits.gz")


def test_that_lines_are_counted_as_editors_do(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("# wave flux\n\n\n5 1\n\n6 2\n7 words\n")
    assert "line 7 is '7 words'" in check_file(tmp_path / "a.txt")


def test_that_a_row_whose_last_cells_are_empty_is_a_row(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("wave,flux,error\n5,1,.1\n6,2,\n7,3,.1\n8,,\n")
    spectrum = read_spectrum_file(tmp_path / "a.csv").spectra[0]
    np.testing.assert_array_equal(spectrum["spectral_error"], [0.1, np.nan, 0.1, np.nan])
    np.testing.assert_array_equal(spectrum["spectral_flux"], [1, 2, 3, np.nan])


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the administrator may read everything")
def test_that_a_file_that_must_not_be_read_is_refused(tmp_path: Path) -> None:
    for name in ("rows.fits", "text.txt"):
        (tmp_path / name).write_bytes(_CONTENTS[name])
        (tmp_path / name).chmod(0)
        from sofia_viewers.spectrum.viewer import _read_or_explain

        assert "ermission denied" in str(_read_or_explain(tmp_path / name))


# -- in the window and the command -----------------------------------------------------------------------------------


def write_odd_files(folder: Path) -> list[Path]:
    """Write files that cannot be shown."""
    contents = {"empty.fits": b"", "cut.fits": _CONTENTS["rows.fits"][:3000], "noise.fits": bytes(range(256)) * 20,
                "words.txt": b"these are words", "l\xe4tin.txt": b"W\xf6rter",
                "bad.fits.gz": b"\x1f\x8b\x08", "half.ecsv": _CONTENTS["table.ecsv"][:90]}  # fmt: skip
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "link.fits").symlink_to(folder / "nowhere.fits")
    return [*(folder / name for name in contents), folder / "link.fits", folder, folder / "x" / "y.fits"]


def test_that_odd_files_are_named_in_the_window_and_the_good_one_is_drawn(viewer: Any, tmp_path: Path) -> None:
    odd = write_odd_files(tmp_path)
    (tmp_path / "good.txt").write_bytes(_CONTENTS["text.txt"])
    viewer.open_files([*odd, tmp_path / "good.txt"])
    assert wait_until_ready(viewer)
    assert len(viewer.problems()) == len(odd)
    assert all(path.name in problem for path, problem in zip(odd, viewer.problems(), strict=True))
    assert len(viewer.area.current.content.curves) == 2


def test_that_the_command_ends_with_1_and_a_sentence_for_odd_files(qapp: Any, tmp_path: Path, capsys: Any) -> None:
    import argparse

    from sofia_viewers.spectrum import main

    parser = argparse.ArgumentParser()
    main.add_arguments(parser)
    for number, path in enumerate(write_odd_files(tmp_path)[1::3]):
        target = tmp_path / f"{number}.png"
        assert main.run(parser.parse_args([str(path), "--export", str(target)])) == 1
        told = capsys.readouterr().err
        assert path.name in told
        assert told.count("\n") == 1
        assert "Traceback" not in told
        assert not target.exists()


def test_that_what_readers_do_not_foresee_is_told_of_one_file_and_the_others_are_read(
    viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sofia_viewers.spectrum import viewer as module

    (tmp_path / "good.txt").write_bytes(_CONTENTS["text.txt"])
    read = module.read_spectrum_file

    def fail(path: Path) -> Any:
        if path.name == "bad.fits":
            raise RuntimeError("not foreseen")
        return read(path)

    monkeypatch.setattr(module, "read_spectrum_file", fail)
    viewer.open_files([tmp_path / "bad.fits", tmp_path / "good.txt"])
    assert wait_until_ready(viewer)
    assert "bad.fits cannot be read: it is damaged (RuntimeError)" in viewer.problems()[0]
    assert len(viewer.area.current.content.curves) == 2
