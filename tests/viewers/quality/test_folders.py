"""Listing folders with wildcards, and the way back."""

import os
from pathlib import Path

import pytest

from sofia_engine.errors import InputError
from sofia_viewers.quality.folders import FolderHistory, find_files, find_kind, list_folder, parse_patterns


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.fits", "A.FITS", "c.fits.gz", "d.reg", "e.png", "f.txt", ".hidden.fits"):
        (tmp_path / name).write_text("x")
    (tmp_path / "zz").mkdir()
    return tmp_path


def names(entries):
    return [entry.name for entry in entries]


def test_that_folders_come_first_and_names_are_sorted(folder):
    assert names(list_folder(folder)) == ["zz", "A.FITS", "b.fits", "c.fits.gz", "d.reg", "e.png", "f.txt"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*.fits", ["A.FITS", "b.fits", "c.fits.gz"]),
        ("", ["A.FITS", "b.fits", "c.fits.gz", "d.reg", "e.png", "f.txt"]),
        (" *.REG , e.* ", ["d.reg", "e.png"]),
        ("?.fits", ["A.FITS", "b.fits", "c.fits.gz"]),
        ("nothing", []),
    ],
)
def test_that_wildcards_choose_files(folder, text, expected):
    assert names(list_folder(folder, parse_patterns(text)))[1:] == expected


def test_that_kinds_are_told_by_name():
    kinds = [find_kind(Path(name)) for name in ("a.fits.gz", "a.reg", "a.PNG", "a.txt")]
    assert kinds == ["fits", "regions", "picture", "file"]


def test_that_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="there is no such folder"):
        list_folder(tmp_path / "none")


def test_that_a_file_is_no_folder(folder):
    with pytest.raises(InputError, match="name the folder it is in"):
        list_folder(folder / "b.fits")


def test_that_a_dangling_link_is_left_out(tmp_path):
    (tmp_path / "link.fits").symlink_to(tmp_path / "gone.fits")
    assert list_folder(tmp_path) == ()


def test_that_date_and_size_are_those_of_the_file(folder):
    os.utime(folder / "b.fits", (0, 86400))
    entry = next(e for e in list_folder(folder) if e.name == "b.fits")
    assert (entry.date, entry.size) == ("1970-01-02 00:00:00", 1)


def test_that_files_of_folders_and_files_are_collected_once(folder):
    found = find_files([folder, folder / "b.fits"])
    assert [path.name for path in found] == ["A.FITS", "b.fits", "c.fits.gz"]
    with pytest.raises(InputError, match="no such file"):
        find_files([folder / "none.fits"])


def test_that_history_goes_back_forward_and_up(tmp_path):
    history = FolderHistory()
    assert [history.can_go_back, history.can_go_forward, history.can_go_up] == [False] * 3
    a, b = tmp_path / "a", tmp_path / "b"
    for folder in (a, b, b):
        history.open(folder)
    assert history.back() == a
    assert history.back() == a
    assert history.forward() == b
    assert history.up() == tmp_path
    assert not history.can_go_forward
    assert history.back() == b
    assert history.open(a) == a
    assert history.visited == [a, b, a]
