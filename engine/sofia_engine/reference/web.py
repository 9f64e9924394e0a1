"""Fetch reference files from the web: from the data repository DaRUS by DOI and file name, or from an address."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sofia_engine.errors import ReferenceDataError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sofia_engine.reference.cache import Cache
    from sofia_engine.reference.catalogue import ReferenceFile

__all__ = ["DARUS", "fetch_from_darus", "fetch_from_url"]

DARUS = "https://darus.uni-stuttgart.de"
_TIMEOUT = 60.0


def fetch_from_darus(file: ReferenceFile, source: Mapping[str, str], cache: Cache, base: str = DARUS) -> Path:
    """
    Fetch a file of a dataset in DaRUS through the access interface of Dataverse.

    Parameters
    ----------
    file
        What the content must be.
    source
        ``doi`` of the dataset, with or without the leading ``doi:``, and ``file``: its name there, with folder.
    cache
        Where to put it.
    base
        Address of the repository.

    Raises
    ------
    ReferenceDataError
        If the repository does not answer, has no such file, or gives other content than the catalogue records.

    References
    ----------
    Dataverse guides, "Native API" (list files in a dataset) and "Data Access API" (basic file access).
    """
    from urllib.parse import quote

    doi = "doi:" + source["doi"].removeprefix("doi:")
    listing = f"{base}/api/datasets/:persistentId/versions/:latest/files?persistentId={quote(doi)}"
    identifier = _read_identifiers(listing, file).get(source["file"])
    if identifier is None:
        raise ReferenceDataError(f"the dataset {doi} at {base} has no file {source['file']}")
    # A table is converted when it is deposited; "original" asks for the file as it was.
    return fetch_from_url(file, f"{base}/api/access/datafile/{identifier}?format=original", cache)


def fetch_from_url(file: ReferenceFile, url: str, cache: Cache) -> Path:
    """
    Fetch a file from an address.

    Raises
    ------
    ReferenceDataError
        If the address does not answer or gives other content than the catalogue records.
    """
    import http.client

    try:
        with _open_url(url) as answer:
            return cache.add(file, answer)
    except (OSError, http.client.HTTPException) as error:
        raise ReferenceDataError(f"{url} does not give {file.name} ({error})") from error


def _open_url(url: str) -> Any:
    from urllib.request import urlopen

    if not url.startswith(("https://", "http://")):
        raise ReferenceDataError(f"{url} is not an address of the web")
    return urlopen(url, timeout=_TIMEOUT)  # noqa: S310 - the protocol is checked above


def _read_identifiers(url: str, file: ReferenceFile) -> dict[str, int]:
    """Map the names of a dataset's files, with folder, to their numbers."""
    import http.client

    try:
        with _open_url(url) as answer:
            listing = json.load(answer)["data"]
        return {name: int(entry["dataFile"]["id"]) for entry in listing for name in _names_of(entry)}
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
        raise ReferenceDataError(f"{url} does not list the dataset that holds {file.name} ({error})") from error


def _names_of(entry: dict[str, Any]) -> set[str]:
    label = entry["label"]
    folder = entry.get("directoryLabel", "")
    original = entry["dataFile"].get("originalFileName", label)
    return {label, original} if not folder else {f"{folder}/{label}", f"{folder}/{original}"}
