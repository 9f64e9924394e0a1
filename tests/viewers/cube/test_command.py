"""``sofia-desk cube``: options, pictures without a window."""

import argparse

import pytest

from sofia_viewers.cube.main import add_arguments, run
from sofia_viewers.qt import QtGui


@pytest.fixture
def call(qapp, tmp_path, monkeypatch):
    monkeypatch.setattr("sofia_viewers.image.settings._user_folder", lambda: tmp_path / "settings")

    def call_with(*options: object) -> int:
        parser = argparse.ArgumentParser()
        add_arguments(parser)
        return run(parser.parse_args([str(option) for option in options]))

    return call_with


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_that_a_picture_of_slice_and_spectrum_is_written(call, galaxy_path, tmp_path, suffix):
    out = tmp_path / f"cube{suffix}"
    options = ["--export", out, "--wave", "157.6", "--region", "circle(14,12,3)", "--width", "900", "--height", "700"]
    assert call(galaxy_path, *options) == 0
    assert out.stat().st_size > 2000
    if suffix == ".png":
        image = QtGui.QImage(str(out))
        assert (image.width(), image.height()) == (900, 700)
        colors = {image.pixel(x, y) for x in range(0, 900, 9) for y in range(0, 700, 7)}
        assert len(colors) > 20


def test_that_a_large_picture_has_no_panels_either(call, galaxy_path, tmp_path):
    assert call(galaxy_path, "--export", tmp_path / "cube.png", "--width", "1500", "--height", "700") == 0
    image = QtGui.QImage(str(tmp_path / "cube.png"))
    edge = {image.pixel(x, y) for x in range(1200, 1390, 3) for y in range(100, 300, 3)}
    assert len(edge) == 1  # the canvas beside the slice; panels have text and frames


def test_that_a_wavelength_beyond_the_cube_is_told(call, galaxy_path, tmp_path, capsys):
    assert call(galaxy_path, "--export", tmp_path / "cube.png", "--wave", "300") == 1
    assert "300 is not in the cube, which reaches from 157.346 to 158.136 μm" in capsys.readouterr().err
    assert not (tmp_path / "cube.png").exists()


def test_that_a_missing_file_is_named_and_nothing_written(call, tmp_path, capsys):
    assert call(tmp_path / "absent.fits", "--export", tmp_path / "a.png") == 1
    assert "absent.fits does not exist" in capsys.readouterr().err
    assert not (tmp_path / "a.png").exists()


def test_that_good_cubes_are_drawn_beside_one_that_is_missing(call, galaxy_path, tmp_path, capsys):
    assert call(galaxy_path, tmp_path / "absent.fits", "--export", tmp_path / "a.png") == 1
    assert "absent.fits does not exist" in capsys.readouterr().err
    assert QtGui.QImage(str(tmp_path / "a.png")).width() > 0


def test_that_an_export_needs_a_file(call, tmp_path, capsys):
    assert call("--export", tmp_path / "a.png") == 2
    assert "name at least one file" in capsys.readouterr().err


def test_that_a_wrong_region_is_refused(call, galaxy_path, tmp_path):
    from sofia_engine.errors import ParameterError

    with pytest.raises(ParameterError, match="region"):
        call(galaxy_path, "--export", tmp_path / "a.png", "--region", "blob(1)")
