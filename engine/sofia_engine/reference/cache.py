"""The user's folder of reference files: checked content, atomic writing, one writer at a time."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sofia_engine.errors import ReferenceDataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from sofia_engine.reference.catalogue import ReferenceFile

__all__ = ["INCOMING", "Cache", "compute_sha256", "find_cache_folder", "is_intact"]

INCOMING = ".incoming"
_CHUNK = 1 << 20
_STALE_SECONDS = 24 * 3600.0
_PATIENCE = 3600.0
"""Seconds to wait for a process that is fetching."""

_verified: dict[tuple[str, int, int], str] = {}


def find_cache_folder() -> Path:
    """Return the folder SOFIA_DESK_DATA names, else the one the operating system gives each user for caches."""
    named = os.environ.get("SOFIA_DESK_DATA")
    if named:
        return Path(named).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_cache_path("sofia-desk", appauthor=False)) / "reference"


def compute_sha256(path: Path) -> str:
    """
    Compute the SHA-256 of a file; a file that has not changed since is not read again.

    Parameters
    ----------
    path
        File to read.

    Returns
    -------
    str
        Hexadecimal digits, lower case.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    state = path.stat()
    identity = (str(path), state.st_size, state.st_mtime_ns)
    if identity not in _verified:
        with path.open("rb") as stream:
            _verified[identity] = hashlib.file_digest(stream, "sha256").hexdigest()
    return _verified[identity]


def is_intact(path: Path, file: ReferenceFile) -> bool:
    """Say whether a path holds exactly the content the catalogue records (any, if it records none)."""
    try:
        if not file.sha256:
            return path.is_file() and path.stat().st_size > 0
        return path.is_file() and path.stat().st_size == file.size and compute_sha256(path) == file.sha256
    except OSError:
        return False


class Cache:
    """
    A folder with reference files under their keys.

    A file appears under its name only when its whole content is there and is what the catalogue records.

    Parameters
    ----------
    path
        The folder; made when first written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def locate(self, file: ReferenceFile) -> Path:
        """Return where a file lies in the cache or would lie."""
        return self.path.joinpath(*file.key.split("/"))

    def holds(self, file: ReferenceFile) -> bool:
        """Say whether the cache holds a file with the content the catalogue records."""
        return is_intact(self.locate(file), file)

    def add(self, file: ReferenceFile, stream: BinaryIO) -> Path:
        """
        Store a file.

        Parameters
        ----------
        file
            What the content must be.
        stream
            The content.

        Returns
        -------
        Path
            Where it lies now.

        Raises
        ------
        ReferenceDataError
            If the content is not what the catalogue records (nothing is stored), or the folder cannot be written.
        """
        target = self.locate(file)
        try:
            with self.open_workspace() as workspace:
                draft = workspace / target.name
                self._write(draft, stream)
                _require_content(draft, file)
                target.parent.mkdir(parents=True, exist_ok=True)
                _replace(draft, target, file)
        except OSError as error:
            raise ReferenceDataError(
                f"Reference file {file.name} cannot be stored in {self.path} ({error}); make that folder writable or "
                "name another one in the environment variable SOFIA_DESK_DATA."
            ) from error
        return target

    @staticmethod
    def _write(draft: Path, stream: BinaryIO) -> None:
        with draft.open("wb") as output:
            shutil.copyfileobj(stream, output, _CHUNK)
            output.flush()
            os.fsync(output.fileno())

    @contextlib.contextmanager
    def open_workspace(self) -> Iterator[Path]:
        """Give a folder for unfinished files on the same disk; it is removed at the end, with all it holds."""
        import tempfile

        incoming = self.path / INCOMING
        incoming.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=incoming, ignore_cleanup_errors=True) as folder:
            yield Path(folder)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """
        Keep other processes from fetching into this cache meanwhile; they wait.

        Raises
        ------
        ReferenceDataError
            If the folder cannot be written, or another process does not let go of it within an hour.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            stream = (self.path / ".lock").open("a+b")
        except OSError as error:
            raise ReferenceDataError(
                f"The folder of reference files {self.path} cannot be written ({error}); make it writable or name "
                "another one in the environment variable SOFIA_DESK_DATA."
            ) from error
        with stream:
            _acquire(stream)
            self._remove_leftovers()
            yield

    def _remove_leftovers(self) -> None:
        """Remove what processes that were killed left unfinished."""
        incoming = self.path / INCOMING
        if not incoming.is_dir():
            return
        for leftover in incoming.iterdir():
            with contextlib.suppress(OSError):
                if time.time() - leftover.stat().st_mtime > _STALE_SECONDS:
                    shutil.rmtree(leftover)


def _require_content(path: Path, file: ReferenceFile) -> None:
    size = path.stat().st_size
    if not file.sha256 and size:
        return
    if size != file.size:
        raise ReferenceDataError(
            f"Reference file {file.name} arrived with {size} bytes instead of {file.size}; fetch it again, "
            "and if that repeats, supply it from another source."
        )
    if compute_sha256(path) != file.sha256:
        raise ReferenceDataError(
            f"Reference file {file.name} arrived with a SHA-256 that differs from the catalogue's {file.sha256}; "
            "fetch it again, and if that repeats, supply it from another source."
        )


def _replace(draft: Path, target: Path, file: ReferenceFile) -> None:
    """Move a file to its place; where another process holds the same content open (Windows), that one stays."""
    try:
        draft.replace(target)
    except PermissionError:
        if not is_intact(target, file):
            raise


def _acquire(stream: BinaryIO) -> None:
    """Wait for the lock on an open file; it ends when the file is closed."""
    end = time.monotonic() + _PATIENCE
    while not _lock(stream):
        if time.monotonic() > end:
            raise ReferenceDataError(
                f"Another process has been fetching reference files into {Path(stream.name).parent} for more than "
                f"{_PATIENCE / 60:.0f} minutes; end it if it hangs, and try again."
            )
        time.sleep(0.1)


def _lock(stream: BinaryIO) -> bool:
    """Take the lock if it is free; disks without locks are used without."""
    if os.name == "nt":
        return _lock_windows(stream)
    import fcntl

    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _lock_windows(stream: BinaryIO) -> bool:  # pragma: no cover - the other system
    import importlib

    msvcrt = importlib.import_module("msvcrt")
    stream.seek(0)
    try:
        msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
    except OSError:
        return False
    return True
