"""Lists of files to reduce, and of files written."""

import json
from pathlib import Path

import pytest

from sofia_engine.errors import InputError
from sofia_engine.pipeline.manifests import collect_inputs, read_manifest, write_manifest, write_summary


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_that_names_in_a_list_are_relative_to_the_list_first_and_to_the_current_folder_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside, here = tmp_path / "night", tmp_path / "here"
    touch(beside / "both.fits", here / "both.fits", here / "only.fits")
    monkeypatch.chdir(here)
    (beside / "list.txt").write_text("both.fits\nonly.fits\n")
    assert read_manifest(beside / "list.txt").files == (beside / "both.fits", here / "only.fits")


def test_that_comments_counts_blanks_and_repeats_do_not_matter(tmp_path: Path) -> None:
    touch(tmp_path / "a.fits", tmp_path / "b c.fits")
    (tmp_path / "list.txt").write_text(f"\ufeff2\n# the first\n  a.fits  \n\nb c.fits\n{tmp_path}/a.fits\n", "utf-8")
    found = read_manifest(tmp_path / "list.txt")
    assert [path.name for path in found.files] == ["a.fits", "b c.fits"]
    assert found.dropped == ()


def test_that_lines_that_name_no_file_are_told_with_their_number(tmp_path: Path) -> None:
    touch(tmp_path / "a.fits")
    (tmp_path / "list.txt").write_text("a.fits\nlost.fits\n")
    found = read_manifest(tmp_path / "list.txt")
    assert [name for name, _ in found.dropped] == ["lost.fits"]
    assert f"line 2 of {tmp_path / 'list.txt'}" in found.dropped[0][1]


def test_that_a_list_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(InputError, match=r"list\.txt cannot be read"):
        collect_inputs([tmp_path / "list.txt"])


def test_that_of_a_folder_its_own_fits_files_are_taken(tmp_path: Path) -> None:
    names = ["b.fits", "a.FITS.GZ", "c.fit", "notes.txt", ".hidden.fits", "deeper/d.fits"]
    touch(*(tmp_path / name for name in names))
    assert [path.name for path in collect_inputs([tmp_path]).files] == ["a.FITS.GZ", "b.fits", "c.fit"]


def test_that_a_folder_without_fits_files_is_told(tmp_path: Path) -> None:
    assert collect_inputs([tmp_path]).dropped == ((str(tmp_path), "there is no FITS file in this folder"),)


def test_that_a_list_among_other_files_is_not_read_as_a_list(tmp_path: Path) -> None:
    touch(tmp_path / "a.fits", tmp_path / "list.txt")
    given = [tmp_path / "a.fits", tmp_path / "list.txt"]
    assert collect_inputs(given).files == tuple(given)


def test_that_a_written_list_is_relative_and_read_back_equal(tmp_path: Path) -> None:
    files = [tmp_path / "raw" / "a.fits", tmp_path / "out" / "b.fits"]
    touch(*files)
    path = tmp_path / "out" / "list.txt"
    write_manifest(path, [*files, files[0]])
    assert path.read_text().splitlines() == [str(Path("..") / "raw" / "a.fits"), "b.fits"]
    assert [file.resolve() for file in read_manifest(path).files] == [file.resolve() for file in files]


def test_that_a_written_list_can_be_absolute(tmp_path: Path) -> None:
    write_manifest(tmp_path / "list.txt", [tmp_path / "a.fits"], absolute=True)
    assert (tmp_path / "list.txt").read_text() == f"{(tmp_path / 'a.fits').resolve()}\n"


def test_that_a_list_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        write_manifest(tmp_path / "file" / "list.txt", [])


def test_that_a_summary_is_json(tmp_path: Path) -> None:
    write_summary(tmp_path / "outfiles.json", {"products": ("a.fits",), "folder": tmp_path})
    assert json.loads((tmp_path / "outfiles.json").read_text()) == {"products": ["a.fits"], "folder": str(tmp_path)}
