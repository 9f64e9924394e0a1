"""``sofia-desk image``: options, pictures without a window."""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sofia_engine.errors import InputError, ParameterError
from sofia_viewers.image.main import add_arguments, run
from sofia_viewers.qt import QtGui

from .conftest import SHAPE, make_header


@pytest.fixture
def call(qapp, tmp_path, monkeypatch):
    monkeypatch.setattr("sofia_viewers.image.settings._user_folder", lambda: tmp_path / "settings")

    def call_with(*options: object) -> int:
        parser = argparse.ArgumentParser()
        add_arguments(parser)
        return run(parser.parse_args([str(option) for option in options]))

    return call_with


def read_colors(path: Path) -> dict[str, int]:
    image = QtGui.QImage(str(path)).convertToFormat(QtGui.QImage.Format.Format_RGB32)
    pixels = np.frombuffer(image.constBits(), np.uint32).reshape(image.height(), -1)[:, : image.width()]
    values, counts = np.unique(pixels & 0xFFFFFF, return_counts=True)
    return {f"#{value:06x}": int(count) for value, count in zip(values, counts, strict=True)}


def test_that_a_picture_has_the_colors_of_the_image(call, write_image, tmp_path):
    image = np.where(np.arange(SHAPE[1]) < 55, 0.0, 10.0) * np.ones(SHAPE)
    out = tmp_path / "a.png"
    path = write_image(data=image)
    assert call(path, "--export", out, "--limits", "0,10", "--cmap", "grey", "--width", 550, "--height", 450) == 0
    picture = QtGui.QImage(str(out))
    assert (picture.width(), picture.height()) == (550, 450)
    colors = read_colors(out)
    assert 0.35 < colors["#000000"] / (550 * 450) < 0.55
    assert 0.3 < colors["#ffffff"] / (550 * 450) < 0.65


@pytest.mark.parametrize("options", [("--cmap", "heat"), ("--stretch", "log"), ("--limits", "90%"), ("--plane", "0"),
                                     ("--overlay", "grid,compass,scale_bar,contours")])  # fmt: skip
def test_that_every_option_works(call, write_image, tmp_path, options):
    path, plain, out = write_image(), tmp_path / "plain.png", tmp_path / "out.png"
    size = ("--width", 300, "--height", 240)
    assert call(path, "--export", plain, *size) == 0
    assert call(path, "--export", out, *size, *options) == 0
    assert (read_colors(plain) == read_colors(out)) == (options[0] == "--plane")


def test_that_regions_are_drawn_on_the_picture(call, write_image, tmp_path):
    regions = tmp_path / "r.reg"
    regions.write_text('icrs\ncircle(150.0,35.0,20") # color=#ff00ff width=3\n')
    out = tmp_path / "out.png"
    assert call(write_image(), "--export", out, "--regions", regions) == 0
    assert read_colors(out).get("#ff00ff", 0) > 100


@pytest.mark.parametrize("suffix", [".pdf", ".svg"])
def test_that_vectors_stay_vectors(call, write_image, tmp_path, suffix):
    out = tmp_path / f"a{suffix}"
    assert call(write_image(), "--export", out, "--overlay", "grid") == 0
    if suffix == ".svg":
        assert out.read_text().count("<polyline") + out.read_text().count("<path") > 5


@pytest.mark.parametrize(
    ("options", "word"),
    [(("--cmap", "viridiss"), "viridis"), (("--limits", "much"), "zscale"), (("--overlay", "grids"), "grid")],
)
def test_that_a_wrong_option_is_explained(call, write_image, tmp_path, options, word):
    with pytest.raises(ParameterError, match=word):
        call(write_image(), "--export", tmp_path / "a.png", *options)


def test_that_a_file_that_cannot_be_shown_ends_with_one(call, tmp_path, capsys):
    bad = tmp_path / "bad.fits"
    bad.write_text("x")
    assert call(bad, "--export", tmp_path / "a.png") == 1
    assert "not a FITS file" in capsys.readouterr().err
    assert not (tmp_path / "a.png").exists()


def test_that_good_files_are_drawn_beside_one_that_is_damaged(call, write_image, tmp_path, capsys):
    (tmp_path / "bad.fits").write_text("x")
    size = ("--width", 550, "--height", 450)
    assert call(write_image(), tmp_path / "bad.fits", "--export", tmp_path / "both.png", *size) == 1
    assert "bad.fits cannot be read: it is not a FITS file" in capsys.readouterr().err
    image = QtGui.QImage(str(tmp_path / "both.png"))
    assert len({image.pixel(x, y) for x in range(50, 500, 9) for y in range(50, 400, 9)}) > 50


def test_that_export_needs_a_file(call, tmp_path):
    with pytest.raises(InputError, match="name at least one"):
        call("--export", tmp_path / "a.png")


def test_that_the_program_has_the_command_and_its_exit_codes(write_image, tmp_path, capsys):
    from sofia_engine.cli import main

    assert main(["image", str(write_image()), "--export", str(tmp_path / "a.png"), "--limits", "much"]) == 3
    assert "zscale" in capsys.readouterr().err
    assert main(["image", "--export", str(tmp_path / "a.png")]) == 2


def test_that_a_picture_is_made_in_a_process_without_a_screen(write_image, tmp_path):
    out = tmp_path / "a.png"
    code = (
        "import argparse, sys\nfrom sofia_viewers.image.main import add_arguments, run\n"
        "parser = argparse.ArgumentParser()\nadd_arguments(parser)\nsys.exit(run(parser.parse_args()))\n"
    )
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(write_image(header=make_header(20.0))), "--export", str(out)],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(read_colors(out)) > 50
