"""Finding, checking and fetching reference files, against a small distribution that pip finds in a local folder."""

import io
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from sofia_engine.errors import ReferenceDataError
from sofia_engine.reference import Catalogue, ReferenceFile, ReferenceRequest, ReferenceStore
from sofia_engine.reference import cache as cache_module
from sofia_engine.reference.cache import INCOMING, Cache
from sofia_engine.reference.catalogue import Series
from sofia_engine.reference.store import SHIPPED

SWC, LWC, HOLES = "forcast/badpix/swc.fits", "forcast/badpix/lwc.fits", "forcast/pinhole/holes.txt"
REQUEST = ReferenceRequest("FORCAST", "bad_pixel_mask", 20180901, {"mode": "IMG_SWC"})
WITHOUT_FILE = ReferenceRequest("FORCAST", "bad_pixel_mask", 20210101, {"mode": "IMG_SWC"})

Publish = Callable[[Mapping[str, bytes]], Path]


@pytest.fixture
def contents() -> dict[str, bytes]:
    return {
        SWC: b"short wavelength camera " * 500,
        LWC: b"long wavelength camera " * 500,
        HOLES: b"xid yid xpos ypos\n",
    }


@pytest.fixture
def store(tmp_path: Path, catalogue: Catalogue) -> ReferenceStore:
    return ReferenceStore(tmp_path / "cache", catalogue=catalogue)


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def list_files(folder: Path) -> set[str]:
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return found - {".lock"}


def test_that_file_is_fetched_through_pip_and_the_wheel_is_removed(
    store: ReferenceStore, contents: dict[str, bytes], publish: Publish
) -> None:
    publish(contents)
    path = store.get(REQUEST)
    assert path == store.path / SWC
    assert path.read_bytes() == contents[SWC]
    assert list_files(store.path) == {SWC}


def test_that_fetch_brings_all_files_with_one_download_and_reports_progress(
    store: ReferenceStore, contents: dict[str, bytes], publish: Publish
) -> None:
    publish(contents)
    calls: list[tuple[int, int, str]] = []
    fetched = store.fetch(progress=lambda done, total, name: calls.append((done, total, name)))
    assert {file.key for file in fetched} == set(contents)
    assert {row.state for row in store.status()} == {"cached"}
    assert [call[:2] for call in calls] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert calls[0][2] == "sofia_redux==9.9.9"
    assert store.fetch() == []


def test_that_cached_file_is_used_without_any_fetching(store: ReferenceStore, contents: dict[str, bytes]) -> None:
    put(store.path / SWC, contents[SWC])
    assert store.get(REQUEST).read_bytes() == contents[SWC]


def test_that_files_shipped_with_the_program_are_used_where_they_are(
    tmp_path: Path, catalogue: Catalogue, contents: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "program"
    monkeypatch.setattr("sofia_engine.reference.store.resource_path", program.joinpath)
    file = next(file for file in catalogue.files if file.key in contents)
    shipped = put(program / SHIPPED / file.key, contents[file.key])
    store = ReferenceStore(tmp_path / "cache", catalogue=catalogue, offline=True)
    assert store.get(file) == shipped
    assert [(row.state, row.path) for row in store.status([file])] == [("cached", shipped)]
    shipped.write_bytes(b"damaged")
    assert [row.state for row in store.status([file])] == ["missing"]
    assert not (tmp_path / "cache").exists()


def test_that_catalogue_of_an_instrument_is_the_given_or_the_shipped_one(tmp_path: Path, catalogue: Catalogue) -> None:
    assert ReferenceStore(tmp_path, catalogue=catalogue).catalogue_for("FORCAST") is catalogue
    assert ReferenceStore(tmp_path).catalogue_for("FORCAST") is Catalogue.load("FORCAST")


def test_that_find_touches_no_file(store: ReferenceStore) -> None:
    file = store.find(REQUEST)
    assert file is not None
    assert file.key == SWC
    assert not store.path.exists()


def test_that_request_without_a_published_file_is_none_for_find_and_an_error_for_get(store: ReferenceStore) -> None:
    assert store.find(WITHOUT_FILE) is None
    with pytest.raises(ReferenceDataError, match="No bad_pixel_mask of FORCAST is published for the date 20210101"):
        store.get(WITHOUT_FILE)


@pytest.mark.parametrize(
    "damage", [lambda data: data[:100], lambda data: data[:-1] + b"!"], ids=["truncated", "altered"]
)
def test_that_damaged_cache_file_is_reported_and_replaced(
    store: ReferenceStore, contents: dict[str, bytes], publish: Publish, damage: Callable[[bytes], bytes]
) -> None:
    put(store.path / SWC, damage(contents[SWC]))
    publish(contents)
    assert {row.file.key: row.state for row in store.status()}[SWC] == "damaged"
    assert [file.key for file in store.missing([REQUEST])] == [SWC]
    assert store.get(REQUEST).read_bytes() == contents[SWC]
    assert {row.file.key: row.state for row in store.status()}[SWC] == "cached"


def test_that_file_altered_after_its_first_use_is_noticed(
    store: ReferenceStore, contents: dict[str, bytes], publish: Publish
) -> None:
    publish(contents)
    path = store.get(REQUEST)
    put(path, b"X" + contents[SWC][1:])
    os.utime(path, ns=(1, 1))
    assert store.get(REQUEST).read_bytes() == contents[SWC]


def test_that_distribution_with_other_content_is_refused_and_nothing_is_stored(
    store: ReferenceStore, contents: dict[str, bytes], publish: Publish
) -> None:
    publish(contents | {SWC: b"X" + contents[SWC][1:]})
    with pytest.raises(ReferenceDataError, match=r"badpix/swc\.fits.*SHA-256 that differs from the catalogue"):
        store.get(REQUEST)
    assert list_files(store.path) == set()


def test_that_distribution_with_shorter_content_is_refused(
    store: ReferenceStore, contents: dict[str, bytes], publish: Publish
) -> None:
    publish(contents | {SWC: contents[SWC][:-7]})
    with pytest.raises(ReferenceDataError, match="arrived with 11993 bytes instead of 12000"):
        store.get(REQUEST)


def test_that_distribution_without_the_file_is_refused(
    store: ReferenceStore, contents: dict[str, bytes], publish: Publish
) -> None:
    publish({LWC: contents[LWC]})
    with pytest.raises(ReferenceDataError, match=r"badpix/swc\.fits cannot be taken out of .*sofia_redux-9\.9\.9"):
        store.get(REQUEST)


def test_that_failing_pip_gives_its_reason_and_three_ways_out(store: ReferenceStore) -> None:
    with pytest.raises(ReferenceDataError) as caught:
        store.get(REQUEST)
    message = str(caught.value)
    assert "badpix/swc.fits (FORCAST, bad_pixel_mask) is missing" in message
    assert "pip cannot download sofia_redux==9.9.9: No matching distribution found" in message
    assert "sofia-desk data fetch" in message
    assert "SOFIA_DESK_MIRROR" in message
    assert str(store.path / SWC) in message


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for the interpreter is a shell script")
def test_that_absent_pip_is_named(store: ReferenceStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    interpreter = put(tmp_path / "python", b'#!/bin/sh\necho "$0: No module named pip" >&2\nexit 1\n')
    interpreter.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(interpreter))
    with pytest.raises(ReferenceDataError, match=r"pip cannot download .*No module named pip"):
        store.get(REQUEST)


def test_that_bundled_program_does_not_start_itself_as_pip(
    store: ReferenceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(ReferenceDataError, match="comes without pip"):
        store.get(REQUEST)


def test_that_label_of_the_request_leads_the_message(store: ReferenceStore) -> None:
    request = ReferenceRequest("FORCAST", "bad_pixel_mask", 20180901, {"mode": "IMG_SWC"}, label="raw_0001.fits")
    with pytest.raises(ReferenceDataError, match=r"^raw_0001\.fits: Reference file"):
        store.get(request)


def test_that_cache_that_cannot_be_written_is_named(tmp_path: Path, catalogue: Catalogue) -> None:
    blocked = put(tmp_path / "file", b"not a folder")
    with pytest.raises(ReferenceDataError, match=r"cannot be written.*SOFIA_DESK_DATA"):
        ReferenceStore(blocked, catalogue=catalogue).get(REQUEST)


# Offline


def test_that_offline_mode_refuses_to_fetch_and_says_so(
    tmp_path: Path, catalogue: Catalogue, contents: dict[str, bytes], publish: Publish
) -> None:
    publish(contents)
    store = ReferenceStore(tmp_path / "cache", offline=True, catalogue=catalogue)
    with pytest.raises(ReferenceDataError, match="set to work offline"):
        store.get(REQUEST)
    with pytest.raises(ReferenceDataError, match="set to work offline"):
        store.fetch()
    assert not store.path.exists()


def test_that_offline_mode_uses_cache_and_mirror(
    tmp_path: Path, catalogue: Catalogue, contents: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOFIA_DESK_OFFLINE", "1")
    put(tmp_path / "cache" / SWC, contents[SWC])
    put(tmp_path / "mirror" / LWC, contents[LWC])
    store = ReferenceStore(tmp_path / "cache", [tmp_path / "mirror"], catalogue=catalogue)
    assert store.offline
    assert [store.get(file).read_bytes() for file in catalogue.files[:2]] == [contents[SWC], contents[LWC]]


@pytest.mark.parametrize("value", ["", "0"])
def test_that_offline_variable_can_be_switched_off(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SOFIA_DESK_OFFLINE", value)
    assert not ReferenceStore(Path("unused")).offline


# The folder


def test_that_variable_names_the_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFIA_DESK_DATA", str(tmp_path / "mine"))
    assert ReferenceStore().path == tmp_path / "mine"
    assert ReferenceStore(tmp_path / "given").path == tmp_path / "given"


def test_that_cache_folder_is_in_the_users_cache_without_a_variable() -> None:
    platformdirs = pytest.importorskip("platformdirs")
    assert ReferenceStore().path.is_relative_to(platformdirs.user_cache_path("sofia-desk", appauthor=False))


def test_that_store_can_be_sent_to_another_process(store: ReferenceStore, contents: dict[str, bytes]) -> None:
    put(store.path / SWC, contents[SWC])
    assert pickle.loads(pickle.dumps(store)).get(REQUEST) == store.path / SWC


# A user's own files


@pytest.mark.parametrize("name", ["bad_pixel_mask", "badpix/swc.fits", SWC])
def test_that_own_file_wins_by_kind_name_or_key(
    tmp_path: Path, catalogue: Catalogue, contents: dict[str, bytes], name: str
) -> None:
    own = put(tmp_path / "own.fits", b"abc")
    put(tmp_path / "cache" / SWC, contents[SWC])
    store = ReferenceStore(tmp_path / "cache", overrides={name: own}, catalogue=catalogue)
    file = store.find(REQUEST)
    assert file is not None
    assert file.name == "own.fits"
    assert store.get(REQUEST) == store.get(file) == own
    published = catalogue.find(SWC)
    assert published is not None
    assert store.get(published) == own
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of "abc", FIPS 180-4
    assert store.compute_sha256(REQUEST) == store.compute_sha256(file) == store.compute_sha256(published) == digest
    assert store.status([file])[0].state == store.status([published])[0].state == "override"


def test_that_own_file_by_kind_serves_where_none_is_published(tmp_path: Path, catalogue: Catalogue) -> None:
    own = put(tmp_path / "own.fits", b"abc")
    store = ReferenceStore(tmp_path / "cache", overrides={"bad_pixel_mask": own}, catalogue=catalogue)
    assert store.get(WITHOUT_FILE) == own


def test_that_hash_of_a_published_file_is_the_catalogues(
    store: ReferenceStore, files: dict[str, ReferenceFile]
) -> None:
    assert store.compute_sha256(REQUEST) == files[SWC].sha256


def test_that_absent_own_file_is_an_error_and_listed_as_missing(tmp_path: Path, catalogue: Catalogue) -> None:
    overrides = {"bad_pixel_mask": tmp_path / "gone.fits"}
    store = ReferenceStore(tmp_path / "cache", overrides=overrides, catalogue=catalogue)
    with pytest.raises(ReferenceDataError, match=r"gone\.fits, given in place of .*, does not exist"):
        store.get(REQUEST)
    assert [file.name for file in store.missing([REQUEST])] == ["gone.fits"]


# Pre-flight


def test_that_missing_lists_each_absent_file_once_and_fetches_nothing(
    store: ReferenceStore, contents: dict[str, bytes], publish: Publish
) -> None:
    publish(contents)
    assert [file.key for file in store.missing([REQUEST, REQUEST, WITHOUT_FILE])] == [SWC]
    assert not store.path.exists()


# Writing


WRITER = """
import sys, time
from pathlib import Path
from sofia_engine.reference import ReferenceFile
from sofia_engine.reference.cache import Cache

class HangingStream:
    parts = [b"a" * 4_000_000]

    def read(self, size):
        if self.parts:
            return self.parts.pop()
        print("half", flush=True)
        time.sleep(60)

Cache(Path(sys.argv[1])).add(ReferenceFile("a", "forcast/a", "FORCAST", "a", 8_000_000, ""), HangingStream())
"""


def test_that_process_killed_while_writing_leaves_nothing_under_the_final_name(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        process.kill()
    assert said == "half\n"
    (unfinished,) = list_files(tmp_path)
    assert unfinished.startswith(INCOMING)
    assert (tmp_path / unfinished).stat().st_size == 4_000_000


def test_that_leftovers_of_killed_processes_are_removed_after_a_day(
    store: ReferenceStore, contents: dict[str, bytes], publish: Publish
) -> None:
    publish(contents)
    old = put(store.path / INCOMING / "old" / "swc.fits", b"half").parent
    new = put(store.path / INCOMING / "new" / "swc.fits", b"half").parent
    os.utime(old, (1.0, 1.0))
    store.get(REQUEST)
    assert not old.exists()
    assert new.exists()


def test_that_reader_never_sees_a_part_of_a_file(
    tmp_path: Path, catalogue: Catalogue, contents: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Cache(tmp_path / "cache")
    file = catalogue.files[0]
    seen: list[bool] = []
    monkeypatch.setattr(cache_module.os, "fsync", lambda _: seen.append(cache.locate(file).exists()))
    cache.add(file, io.BytesIO(contents[SWC]))
    assert seen == [False]
    assert cache.holds(file)


FETCHER = """
import sys
from pathlib import Path
from sofia_engine.reference import Catalogue, ReferenceStore
store = ReferenceStore(Path(sys.argv[1]), catalogue=Catalogue.read(Path(sys.argv[2])))
sys.stdin.readline()
print(len(store.fetch()))
"""


def test_that_processes_fetching_at_once_fetch_each_file_once(
    tmp_path: Path, contents: dict[str, bytes], files: dict[str, ReferenceFile], publish: Publish
) -> None:
    publish(contents)
    catalogue_path = _write_catalogue(tmp_path / "forcast.json", files)
    command = [sys.executable, "-c", FETCHER, str(tmp_path / "cache"), str(catalogue_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(3)]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    counts = [int(process.communicate(timeout=60)[0]) for process in processes]
    assert sorted(counts) == [0, 0, len(contents)]
    assert {key: (tmp_path / "cache" / key).read_bytes() for key in contents} == contents
    assert list_files(tmp_path / "cache") == set(contents)


def _write_catalogue(path: Path, files: dict[str, ReferenceFile]) -> Path:
    import json

    words = ("key", "name", "kind", "size", "sha256")
    entries = [
        {word: getattr(file, word) for word in words} | {"sources": [dict(source) for source in file.sources]}
        for file in files.values()
    ]
    content = {"format": 1, "instrument": "FORCAST", "files": entries, "selections": {}}
    path.write_text(json.dumps(content))
    return path


def test_that_a_process_that_hangs_with_the_lock_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "_PATIENCE", 0.2)
    with Cache(tmp_path).lock(), pytest.raises(ReferenceDataError, match="Another process"), Cache(tmp_path).lock():
        pass


@pytest.mark.network
def test_that_published_distribution_gives_the_file_of_the_shipped_catalogue(tmp_path: Path) -> None:
    store = ReferenceStore(tmp_path / "cache")
    request = ReferenceRequest("FORCAST", "pinhole_locations", 20180901, {"mode": "IMG_SWC"})
    try:
        path = store.get(request)
    except ReferenceDataError as error:
        pytest.skip(str(error))
    assert path.read_text().split()[:4] == ["xid", "yid", "xpos", "ypos"]
    assert list_files(store.path) == {"forcast/pinhole/pinhole_locs.txt"}


def test_that_a_file_without_a_recorded_hash_is_taken_as_it_is(tmp_path: Path) -> None:
    family = Series("X", "grid", "{a}.txt", "x/{a}.txt", {"a": ("1", "2")}, ())
    store = ReferenceStore(
        tmp_path / "cache", [tmp_path / "mirror"], offline=True, catalogue=Catalogue((), None, [family])
    )
    request = ReferenceRequest("X", "grid", match={"a": "1"})
    with pytest.raises(ReferenceDataError, match=r"1\.txt .* is missing"):
        store.get(request)
    assert store.compute_sha256(request) == ""
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror/1.txt").write_text("a")
    assert store.get(request).read_text() == "a"
    assert store.compute_sha256(request).startswith("ca978112ca1bbdca")
