"""Fetching from a data repository, against a local server with the interface of Dataverse."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from sofia_engine.errors import ReferenceDataError
from sofia_engine.reference import Catalogue, ReferenceFile, ReferenceStore

CONTENT = b"SIMPLE  =                    T" * 1000
DOI = "10.18419/darus-0000"


class Repository(ThreadingHTTPServer):
    """A dataset with two files, one of them in a folder, one a table that was converted when deposited."""

    daemon_threads = True
    content = CONTENT
    announced: int | None = None
    listing: object = (
        {"label": "flat.fits", "directoryLabel": "blue", "dataFile": {"id": 7}},
        {"label": "table.tab", "dataFile": {"id": 8, "originalFileName": "table.csv"}},
    )

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Repository

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        query = parse_qs(urlsplit(self.path).query)
        if self.path.startswith("/api/datasets/:persistentId/versions/:latest/files?"):
            known = query["persistentId"] == [f"doi:{DOI}"]
            self._answer(200 if known else 404, json.dumps({"status": "OK", "data": self.server.listing}).encode())
        elif urlsplit(self.path).path in {"/api/access/datafile/7", "/api/access/datafile/8", "/plain/flat.fits"}:
            self._answer(200, self.server.content, self.server.announced)
        else:
            self._answer(404, b"{}")

    def _answer(self, code: int, body: bytes, announced: int | None = None) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(announced or len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def repository() -> Iterator[Repository]:
    server = Repository()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join(10)
    server.server_close()


def describe(*sources: dict[str, str], key: str = "fifi_ls/flat.fits") -> ReferenceFile:
    digest = hashlib.sha256(CONTENT).hexdigest()
    return ReferenceFile("flat.fits", key, "FIFI-LS", "spatial_flat", len(CONTENT), digest, sources)


def make_store(tmp_path: Path, address: str) -> ReferenceStore:
    return ReferenceStore(tmp_path / "cache", catalogue=Catalogue([]), darus=address)


@pytest.mark.parametrize("doi", [DOI, f"doi:{DOI}"])
@pytest.mark.parametrize(("name", "identifier"), [("blue/flat.fits", 7), ("table.csv", 8), ("table.tab", 8)])
def test_that_file_is_fetched_by_doi_and_name_in_its_original_format(
    tmp_path: Path, repository: Repository, doi: str, name: str, identifier: int
) -> None:
    store = make_store(tmp_path, repository.address)
    path = store.get(describe({"type": "darus", "doi": doi, "file": name}))
    assert path == store.path / "fifi_ls/flat.fits"
    assert path.read_bytes() == CONTENT
    assert repository.asked[-1] == f"/api/access/datafile/{identifier}?format=original"


def test_that_file_is_fetched_from_an_address(tmp_path: Path, repository: Repository) -> None:
    file = describe({"type": "url", "url": f"{repository.address}/plain/flat.fits"})
    assert make_store(tmp_path, repository.address).get(file).read_bytes() == CONTENT


def test_that_next_source_is_tried_when_the_first_fails(tmp_path: Path, repository: Repository) -> None:
    first = {"type": "url", "url": f"{repository.address}/gone"}
    file = describe(first, {"type": "darus", "doi": DOI, "file": "blue/flat.fits"})
    assert make_store(tmp_path, repository.address).get(file).read_bytes() == CONTENT


def test_that_repository_is_tried_when_pip_fails(tmp_path: Path, repository: Repository) -> None:
    first = {"type": "distribution", "package": "sofia_redux", "version": "9.9.9", "member": "flat.fits"}
    file = describe(first, {"type": "darus", "doi": DOI, "file": "blue/flat.fits"})
    assert make_store(tmp_path, repository.address).get(file).read_bytes() == CONTENT


def refuse(tmp_path: Path, repository: Repository, source: dict[str, str]) -> str:
    store = make_store(tmp_path, repository.address)
    with pytest.raises(ReferenceDataError) as caught:
        store.get(describe(source))
    assert not (store.path / "fifi_ls").exists()
    return str(caught.value)


FLAT = {"type": "darus", "doi": DOI, "file": "blue/flat.fits"}


def test_that_wrong_content_is_refused(tmp_path: Path, repository: Repository) -> None:
    repository.content = b"X" + CONTENT[1:]
    assert "SHA-256 that differs" in refuse(tmp_path, repository, FLAT)


def test_that_short_answer_is_refused(tmp_path: Path, repository: Repository) -> None:
    repository.content = CONTENT[:1000]
    assert "arrived with 1000 bytes instead of 30000" in refuse(tmp_path, repository, FLAT)


def test_that_answer_cut_off_on_the_way_is_refused(tmp_path: Path, repository: Repository) -> None:
    repository.content, repository.announced = CONTENT[:1000], len(CONTENT)
    assert "1000 bytes" in refuse(tmp_path, repository, FLAT)


def test_that_file_name_the_dataset_lacks_is_named(tmp_path: Path, repository: Repository) -> None:
    message = refuse(tmp_path, repository, FLAT | {"file": "flat.fits"})
    assert f"doi:{DOI} at {repository.address} has no file flat.fits" in message


def test_that_unknown_doi_is_named(tmp_path: Path, repository: Repository) -> None:
    assert "does not list the dataset" in refuse(tmp_path, repository, FLAT | {"doi": "10.18419/none"})


@pytest.mark.parametrize("listing", [None, "text", 5, [{"label": "flat.fits"}], [3]])
def test_that_listing_of_another_form_is_refused(tmp_path: Path, repository: Repository, listing: object) -> None:
    repository.listing = listing
    assert "does not list the dataset" in refuse(tmp_path, repository, FLAT)


def test_that_repository_out_of_reach_is_named(tmp_path: Path, repository: Repository) -> None:
    store = make_store(tmp_path, "http://127.0.0.1:1")
    with pytest.raises(ReferenceDataError, match=r"127\.0\.0\.1:1/api/datasets.*SOFIA_DESK_MIRROR"):
        store.get(describe(FLAT))


def test_that_address_of_a_local_file_is_refused(tmp_path: Path, repository: Repository) -> None:
    assert "is not an address of the web" in refuse(tmp_path, repository, {"type": "url", "url": "file:///etc/hosts"})


def test_that_file_without_a_source_says_so(tmp_path: Path, repository: Repository) -> None:
    with pytest.raises(ReferenceDataError, match="no place of publication is known"):
        make_store(tmp_path, repository.address).get(describe())
