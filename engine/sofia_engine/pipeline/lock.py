"""A lock on a folder that the operating system releases when its holder ends, however it ends."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO

from sofia_engine.errors import SessionError

__all__ = ["FolderLock"]


class FolderLock:
    """Exclusive use of a folder by one process.

    Parameters
    ----------
    path : Path
        The lock file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[bytes] | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises
        ------
        SessionError
            If another process, or another part of this one, holds it.
        """
        try:
            file = self.path.open("ab")
        except OSError as error:
            raise SessionError(f"{self.path.parent} cannot be used: {error.strerror}.") from error
        try:
            _lock(file)
        except (BlockingIOError, PermissionError):  # POSIX, Windows
            file.close()
            raise SessionError(
                f"The session {self.path.parent.name} is open in another window or command; close it there first."
            ) from None
        except OSError as error:
            file.close()
            raise SessionError(
                f"{self.path.parent} cannot be locked: {error.strerror}. Set SOFIA_DESK_SESSIONS to a local folder."
            ) from error
        self._file = file

    def release(self) -> None:
        """Give the lock back."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _lock(file: IO[bytes]) -> None:
    if sys.platform == "win32":
        import msvcrt

        os.lseek(file.fileno(), 0, os.SEEK_SET)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
