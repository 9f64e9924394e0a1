"""Find reference files for observations and bring them to the user's disk."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sofia_engine.errors import ReferenceDataError
from sofia_engine.reference.cache import Cache, compute_sha256, find_cache_folder
from sofia_engine.reference.catalogue import Catalogue, ReferenceFile, ReferenceRequest
from sofia_engine.reference.distribution import fetch_from_distribution
from sofia_engine.reference.mirror import Mirror
from sofia_engine.reference.web import DARUS, fetch_from_darus, fetch_from_url
from sofia_engine.resources import resource_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    Progress = Callable[[int, int, str], None]

__all__ = ["SHIPPED", "FileState", "FileStatus", "ReferenceStore"]

SHIPPED = "reference_files"
"""Folder among the resources in which an installed program may bring reference files with it."""

FileState = Literal["cached", "mirror", "missing", "damaged", "override"]


@dataclass(frozen=True)
class FileStatus:
    """
    Where a reference file is.

    Parameters
    ----------
    file
        The file.
    state
        ``cached``: in the cache or shipped with the program, intact. ``mirror``: in a mirror. ``override``: a user's
        own file replaces it.
        ``damaged``: in the cache with other content than recorded, and in no mirror. ``missing``: none of these.
    path
        Where it lies; for ``mirror`` perhaps a wheel that holds it; for ``missing`` where the cache would put it.
    """

    file: ReferenceFile
    state: FileState
    path: Path


class ReferenceStore:
    """
    Reference files by request: the user's own first, then cache, mirrors, and the places of publication.

    Nothing is read or written before a method asks for it.

    Parameters
    ----------
    cache
        Folder for fetched files; None for the one SOFIA_DESK_DATA names, else the user's cache folder.
    mirrors
        Folders or wheel files with copies, searched before those that SOFIA_DESK_MIRROR names (separated as in PATH).
    offline
        True to never use the network; SOFIA_DESK_OFFLINE=1 does the same.
    overrides
        A user's own files by kind, name or key of what they replace. Their content is not checked.
    catalogue
        Catalogue to use instead of the one that comes with the program.
    darus
        Address of the data repository.
    """

    def __init__(
        self,
        cache: Path | None = None,
        mirrors: Iterable[Path] = (),
        *,
        offline: bool = False,
        overrides: Mapping[str, Path | str] | None = None,
        catalogue: Catalogue | None = None,
        darus: str = DARUS,
    ) -> None:
        self._cache = Cache(Path(cache) if cache is not None else find_cache_folder())
        self._shipped = Cache(resource_path(SHIPPED))
        named = [Path(name) for name in os.environ.get("SOFIA_DESK_MIRROR", "").split(os.pathsep) if name]
        self._mirrors = tuple(Mirror(Path(path).expanduser()) for path in [*mirrors, *named])
        self.offline = offline or os.environ.get("SOFIA_DESK_OFFLINE", "") not in {"", "0"}
        self.why_offline = "the program is set to work offline"
        self._overrides = {name: Path(path) for name, path in (overrides or {}).items()}
        self._catalogue = catalogue
        self._darus = darus

    @property
    def path(self) -> Path:
        """Folder of the fetched files."""
        return self._cache.path

    def catalogue_for(self, instrument: str) -> Catalogue:
        """Return the catalogue of an instrument's files."""
        return self._catalogue or Catalogue.load(instrument)

    def find(self, request: ReferenceRequest) -> ReferenceFile | None:
        """
        Choose the file for an observation, without looking at the disk.

        Parameters
        ----------
        request
            Instrument, kind, date and settings.

        Returns
        -------
        ReferenceFile or None
            The user's own file for the kind or for the file chosen; the file the catalogue chooses; or None if there
            is none for this observation.

        Raises
        ------
        ReferenceDataError
            If the catalogue knows no such instrument or kind.
        """
        if request.kind in self._overrides:
            return _describe_override(request.instrument, request.kind, self._overrides[request.kind])
        file = self.catalogue_for(request.instrument).select(request)
        path = None if file is None else self._find_override(file)
        return file if path is None else _describe_override(request.instrument, request.kind, path)

    def get(self, wanted: ReferenceFile | ReferenceRequest) -> Path:
        """
        Bring a file to the disk and return where it lies.

        Parameters
        ----------
        wanted
            A file, or the request that chooses it.

        Returns
        -------
        Path
            A file with the content the catalogue records, or the user's own.

        Raises
        ------
        ReferenceDataError
            If there is no file for the request, or it is not at hand and cannot be fetched.
        """
        try:
            file = self._require(wanted) if isinstance(wanted, ReferenceRequest) else wanted
            return self._find_local(file) or self._fetch_one(file)
        except ReferenceDataError as error:
            if isinstance(wanted, ReferenceRequest) and wanted.label:
                raise ReferenceDataError(f"{wanted.label}: {error}") from error
            raise

    def compute_sha256(self, wanted: ReferenceFile | ReferenceRequest) -> str:
        """
        Return the SHA-256 to record with a product: of the catalogue, or of the file as it is now.

        Where the catalogue knows none, it is that of the copy at hand; empty if there is no copy.

        Raises
        ------
        ReferenceDataError
            If there is no file for the request, or the user's own file cannot be read.
        """
        file = self._require(wanted) if isinstance(wanted, ReferenceRequest) else wanted
        override = self._find_override(file)
        if override is None:
            return file.sha256 or self._hash_copy(file)
        return compute_sha256(_require_override(file, override))

    def missing(self, requests: Iterable[ReferenceRequest]) -> list[ReferenceFile]:
        """
        List the files that requests choose and that would have to be fetched; nothing is fetched.

        Returns
        -------
        list of ReferenceFile
            Each once, in order. A request for which there is no file adds none.
        """
        chosen = (self.find(request) for request in requests)
        unique = {file.key: file for file in chosen if file is not None}
        return [row.file for row in self.status(unique.values()) if row.state in {"missing", "damaged"}]

    def status(self, files: Iterable[ReferenceFile] | None = None) -> list[FileStatus]:
        """
        Say for each file where it is; nothing is fetched.

        Parameters
        ----------
        files
            Files to look for; None for all of the catalogue.
        """
        return [self._check_status(file) for file in (self._all_files() if files is None else files)]

    def fetch(
        self, files: Iterable[ReferenceFile] | None = None, progress: Progress | None = None
    ) -> list[ReferenceFile]:
        """
        Fetch all files that are not at hand; each distribution is downloaded once.

        Parameters
        ----------
        files
            Files to have; None for all of the catalogue.
        progress
            Called with the number of files done, the number to do, and the name of the file or distribution.

        Returns
        -------
        list of ReferenceFile
            Those fetched now.

        Raises
        ------
        ReferenceDataError
            If a file cannot be fetched; those fetched before stay.
        """
        wanted = self._list_absent(files)
        if not wanted:
            return []
        self._refuse_offline(wanted[0])
        fetched: list[ReferenceFile] = []
        with self._cache.lock():
            wanted = self._list_absent(wanted)  # another process may have been faster
            for file, _ in self._download(wanted, progress):
                fetched.append(file)
                if progress is not None:
                    progress(len(fetched), len(wanted), file.name)
        return fetched

    def _all_files(self) -> tuple[ReferenceFile, ...]:
        return (self._catalogue or Catalogue.load()).files

    def _require(self, request: ReferenceRequest) -> ReferenceFile:
        file = self.find(request)
        if file is None:
            settings = ", ".join(f"{word} {value}" for word, value in request.match.items())
            raise ReferenceDataError(
                f"No {request.kind} of {request.instrument} is published for the date {request.date} and "
                f"{settings or 'any settings'}; give a file of your own."
            )
        return file

    def _find_override(self, file: ReferenceFile) -> Path | None:
        own = next((source["path"] for source in file.sources if source["type"] == "override"), None)
        if own is not None:
            return Path(own)
        return next(
            (self._overrides[name] for name in (file.key, file.name, file.kind) if name in self._overrides), None
        )

    def _hash_copy(self, file: ReferenceFile) -> str:
        copy = self._find_local(file)
        return compute_sha256(copy) if copy is not None else ""

    def _find_local(self, file: ReferenceFile) -> Path | None:
        override = self._find_override(file)
        if override is not None:
            return _require_override(file, override)
        for folder in (self._cache, self._shipped):
            if folder.holds(file):
                return folder.locate(file)
        copies = (mirror.provide(file, self._cache) for mirror in self._mirrors)
        return next((path for path in copies if path is not None), None)

    def _check_status(self, file: ReferenceFile) -> FileStatus:
        override = self._find_override(file)
        if override is not None:
            return FileStatus(file, "override" if override.is_file() else "missing", override)
        cached = self._cache.locate(file)
        for folder in (self._cache, self._shipped):
            if folder.holds(file):
                return FileStatus(file, "cached", folder.locate(file))
        copies = (mirror.find_file(file) or mirror.find_wheel(file) for mirror in self._mirrors)
        copy = next((path for path in copies if path is not None), None)
        if copy is not None:
            return FileStatus(file, "mirror", copy)
        return FileStatus(file, "damaged" if cached.exists() else "missing", cached)

    def _fetch_one(self, file: ReferenceFile) -> Path:
        self._refuse_offline(file)
        with self._cache.lock():
            local = self._find_local(file)  # another process may have been faster
            return local or dict(self._download([file]))[file]

    def _list_absent(self, files: Iterable[ReferenceFile] | None) -> list[ReferenceFile]:
        return [row.file for row in self.status(files) if row.state in {"missing", "damaged"}]

    def _refuse_offline(self, file: ReferenceFile) -> None:
        if self.offline:
            raise ReferenceDataError(self._explain(file, self.why_offline))

    def _download(
        self, files: list[ReferenceFile], progress: Progress | None = None
    ) -> Iterator[tuple[ReferenceFile, Path]]:
        """Fetch files that are not at hand, first all that share a distribution, then the others one by one."""
        done: set[str] = set()
        problems: dict[str, str] = {}
        for requirement, group in _group_by_distribution(files).items():
            if progress is not None:
                progress(len(done), len(files), requirement)
            try:
                for file, path in fetch_from_distribution(group, requirement, self._cache):
                    done.add(file.key)
                    yield file, path
            except ReferenceDataError as error:
                problems |= {file.key: str(error) for file in group}
        for file in files:
            if file.key not in done:
                yield file, self._download_from_web(file, problems.get(file.key, ""))

    def _download_from_web(self, file: ReferenceFile, problem: str) -> Path:
        problems = [problem] if problem else []
        for source in file.sources:
            try:
                if source["type"] == "darus":
                    return fetch_from_darus(file, source, self._cache, self._darus)
                if source["type"] == "url":
                    return fetch_from_url(file, source["url"], self._cache)
            except ReferenceDataError as error:
                problems.append(str(error))
        reason = "; ".join(problem.rstrip(".") for problem in problems) or "no place of publication is known for it"
        raise ReferenceDataError(self._explain(file, reason))

    def _explain(self, file: ReferenceFile, reason: str) -> str:
        place = self._cache.locate(file)
        state = "is damaged" if place.exists() else "is missing"
        return (
            f"Reference file {file.name} ({file.instrument}, {file.kind}) {state} and cannot be fetched: {reason}. "
            "To supply it, run 'sofia-desk data fetch' with the observations where the network can be reached, name a "
            f"folder that holds it in the environment variable SOFIA_DESK_MIRROR, or copy it to {place}."
        )


def _describe_override(instrument: str, kind: str, path: Path) -> ReferenceFile:
    source = {"type": "override", "path": str(path)}
    return ReferenceFile(path.name, f"override/{kind}/{path.name}", instrument, kind, 0, "", (source,))


def _require_override(file: ReferenceFile, path: Path) -> Path:
    if not path.is_file():
        raise ReferenceDataError(
            f"The file {path}, given in place of the published {file.kind} of {file.instrument}, does not exist; "
            "correct its path or leave it out to use the published one."
        )
    return path


def _group_by_distribution(files: Iterable[ReferenceFile]) -> dict[str, list[ReferenceFile]]:
    groups: dict[str, list[ReferenceFile]] = {}
    for file in files:
        for source in file.sources:
            if source["type"] == "distribution":
                groups.setdefault(f"{source['package']}=={source['version']}", []).append(file)
                break
    return groups
