"""The command ``sofia-desk quality``."""

import argparse
import subprocess
import sys

import pytest
from astropy.table import Table

from sofia_engine.errors import InputError, ParameterError
from sofia_viewers.quality.main import add_arguments, run


@pytest.fixture
def settings_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def command(settings_folder):
    """Run the command as a user does: in a process of its own."""

    def call(*words):
        line = [sys.executable, "-m", "sofia_engine", "quality", *map(str, words)]
        done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)
        sys.stderr.write(done.stderr)
        return done.returncode

    return call


@pytest.fixture
def parse_and_run(qapp, settings_folder):
    def call(*words):
        parser = argparse.ArgumentParser()
        add_arguments(parser)
        return run(parser.parse_args([str(word) for word in words]))

    return call


def test_that_a_table_is_exported_without_a_window(command, night, tmp_path):
    assert command(night, "--export", tmp_path / "night.ecsv") == 0
    table = Table.read(tmp_path / "night.ecsv")
    assert len(table) == 10
    assert list(table["outlier"]).count("noise") <= 1
    assert "noise" in table["outlier"][7]


def test_that_a_picture_of_table_and_plot_is_exported(command, output, tmp_path):
    words = ("--x", "zenith_angle", "--y", "noise", "--size", "900x700", "--theme", "dark")
    assert command(output, "--export", tmp_path / "out.png", *words) == 0
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


def test_that_a_report_is_exported(command, output, tmp_path):
    assert command(output, "--export", tmp_path / "report.html") == 0
    assert "Flux Calibrate" in (tmp_path / "report.html").read_text()


def test_that_files_are_measured_too(command, output, tmp_path):
    assert command(*output.glob("*.fits"), "--export", tmp_path / "out.csv") == 0
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 3


def test_that_an_unreadable_file_gives_an_exit_code(command, tmp_path, capsys):
    (tmp_path / "bad.fits").write_text("no")
    assert command(tmp_path / "bad.fits", "--export", tmp_path / "out.csv") == 1
    assert "bad.fits" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [(["--x", "colour"], "--x colour"), (["--tab", "nothing"], "--tab nothing"), (["--size", "big"], "--size big")],
)
def test_that_unknown_values_are_refused_with_what_is_allowed(parse_and_run, output, words, message):
    with pytest.raises(ParameterError, match=message):
        parse_and_run(output, *words)


def test_that_a_missing_file_is_named(parse_and_run, tmp_path):
    with pytest.raises(InputError, match="no such file"):
        parse_and_run(tmp_path / "none.fits", "--export", tmp_path / "x.png")
