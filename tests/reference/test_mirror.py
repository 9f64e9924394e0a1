"""Copies of reference files in folders of every layout."""

import logging
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from sofia_engine.reference import Catalogue, ReferenceFile, ReferenceStore

KEY = "forcast/badpix/swc.fits"
CONTENT = b"short wavelength camera " * 500
MEMBER = "sofia_redux/instruments/forcast/data/badpix/swc.fits"

Publish = Callable[[Mapping[str, bytes]], Path]


@pytest.fixture
def file(files: dict[str, ReferenceFile]) -> ReferenceFile:
    return files[KEY]


def make_store(tmp_path: Path, catalogue: Catalogue, *mirrors: Path) -> ReferenceStore:
    return ReferenceStore(tmp_path / "cache", mirrors, offline=True, catalogue=catalogue)


LAYOUTS = {
    "cache": KEY,
    "distribution": MEMBER,
    "package folder": MEMBER.partition("/")[2],
    "header name": "badpix/swc.fits",
    "loose": "swc.fits",
}


@pytest.mark.parametrize("place", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_that_file_is_used_where_it_lies_in_a_mirror(
    tmp_path: Path, catalogue: Catalogue, file: ReferenceFile, place: str
) -> None:
    copy = tmp_path / "mirror" / place
    copy.parent.mkdir(parents=True)
    copy.write_bytes(CONTENT)
    store = make_store(tmp_path, catalogue, tmp_path / "mirror")
    assert [(row.state, row.path) for row in store.status([file])] == [("mirror", copy)]
    assert store.get(file) == copy
    assert not store.path.exists()


def test_that_unpacked_distribution_serves_as_mirror(
    tmp_path: Path, catalogue: Catalogue, file: ReferenceFile, publish: Publish
) -> None:
    with zipfile.ZipFile(publish({KEY: CONTENT})) as archive:
        archive.extractall(tmp_path / "unpacked")
    assert make_store(tmp_path, catalogue, tmp_path / "unpacked").get(file) == tmp_path / "unpacked" / MEMBER


@pytest.mark.parametrize("named", ["folder", "wheel"])
def test_that_file_is_extracted_from_a_wheel(
    tmp_path: Path, catalogue: Catalogue, file: ReferenceFile, publish: Publish, named: str
) -> None:
    wheel = publish({KEY: CONTENT})
    store = make_store(tmp_path, catalogue, wheel if named == "wheel" else wheel.parent)
    assert [(row.state, row.path) for row in store.status([file])] == [("mirror", wheel)]
    assert store.get(file) == store.path / KEY
    assert store.get(file).read_bytes() == CONTENT


def test_that_copy_with_other_content_is_passed_over_for_the_next_mirror(
    tmp_path: Path, catalogue: Catalogue, file: ReferenceFile
) -> None:
    for name, content in (("first", b"X" + CONTENT[1:]), ("second", CONTENT)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "swc.fits").write_bytes(content)
    store = make_store(tmp_path, catalogue, tmp_path / "first", tmp_path / "second")
    assert store.get(file) == tmp_path / "second/swc.fits"


def test_that_wheel_with_other_content_is_passed_over_with_a_warning(
    tmp_path: Path, catalogue: Catalogue, file: ReferenceFile, publish: Publish, caplog: pytest.LogCaptureFixture
) -> None:
    wheel = publish({KEY: b"X" + CONTENT[1:]})
    (tmp_path / "second").mkdir()
    (tmp_path / "second/swc.fits").write_bytes(CONTENT)
    with caplog.at_level(logging.WARNING):
        assert make_store(tmp_path, catalogue, wheel, tmp_path / "second").get(file) == tmp_path / "second/swc.fits"
    assert "is passed over" in caplog.text


@pytest.mark.parametrize("name", ["no such folder", "sofia_redux-0.0.0-py3-none-any.whl"])
def test_that_mirror_that_holds_nothing_leaves_the_file_missing(
    tmp_path: Path, catalogue: Catalogue, file: ReferenceFile, name: str
) -> None:
    if name.endswith(".whl"):
        (tmp_path / name).write_bytes(b"this is no archive")
    store = make_store(tmp_path, catalogue, tmp_path / name)
    assert [row.state for row in store.status([file])] == ["missing"]


def test_that_variable_names_several_mirrors(
    tmp_path: Path, catalogue: Catalogue, file: ReferenceFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "second").mkdir()
    (tmp_path / "second/swc.fits").write_bytes(CONTENT)
    monkeypatch.setenv("SOFIA_DESK_MIRROR", os.pathsep.join([str(tmp_path / "first"), str(tmp_path / "second")]))
    assert make_store(tmp_path, catalogue).get(file) == tmp_path / "second/swc.fits"


def test_that_cache_comes_before_mirrors(tmp_path: Path, catalogue: Catalogue, file: ReferenceFile) -> None:
    for folder in ("cache", "mirror"):
        (tmp_path / folder / KEY).parent.mkdir(parents=True)
        (tmp_path / folder / KEY).write_bytes(CONTENT)
    assert make_store(tmp_path, catalogue, tmp_path / "mirror").get(file) == tmp_path / "cache" / KEY
