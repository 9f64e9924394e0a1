"""Eviction: old finished sessions make room for new ones.

The environment variable SOFIA_DESK_SESSIONS_LIMIT says how many gigabytes all sessions together may take (20 if it is
not set). When a new session is made, finished ones beyond that are deleted, the one used longest ago first. A session
that is open, or not reduced to its last step, is never touched. Products in output folders are no part of a session.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from sofia_engine.errors import SessionError
from sofia_engine.pipeline.lock import FolderLock

__all__ = ["evict_sessions", "folder_size", "sessions_limit"]

_DEFAULT_GIGABYTES = 20.0


def sessions_limit() -> int:
    """Return how many bytes all sessions together may take.

    Raises
    ------
    SessionError
        If SOFIA_DESK_SESSIONS_LIMIT is no number, or negative.
    """
    text = os.environ.get("SOFIA_DESK_SESSIONS_LIMIT", "").strip()
    try:
        gigabytes = float(text) if text else _DEFAULT_GIGABYTES
        if not 0 <= gigabytes < float("inf"):
            raise ValueError(text)
    except ValueError:
        raise SessionError(
            f"SOFIA_DESK_SESSIONS_LIMIT is '{text}'; it must be a number of gigabytes, such as 20."
        ) from None
    return int(gigabytes * 1e9)


def evict_sessions(folder: Path, limit: int | None = None) -> list[Path]:
    """Delete finished sessions, the one used longest ago first, until all together keep the limit.

    Parameters
    ----------
    folder : Path
        Folder of the sessions.
    limit : int, optional
        Bytes; by default `sessions_limit`.

    Returns
    -------
    list of Path
        The sessions that were deleted.
    """
    from sofia_engine.pipeline.session import list_sessions

    limit = sessions_limit() if limit is None else limit
    sessions = list_sessions(folder)
    sizes = {session: folder_size(session) for session in sessions}
    total = sum(sizes.values())
    deleted: list[Path] = []
    for session in reversed(sessions):
        if total <= limit:
            break
        if _delete_if_idle(session):
            deleted.append(session)
            total -= sizes[session]
    return deleted


def folder_size(folder: Path) -> int:
    """Return the bytes of all files in a folder; files that vanish meanwhile do not count."""
    total = 0
    pending = [str(folder)]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue
    return total


def _delete_if_idle(session: Path) -> bool:
    lock = FolderLock(session / ".lock")
    try:
        lock.acquire()
    except SessionError:
        return False
    try:
        if not _is_finished(session):
            return False
        # without this file it is no session any more, whatever becomes of the rest
        (session / "session.json").unlink(missing_ok=True)
    except OSError:
        return False
    finally:
        lock.release()
    shutil.rmtree(session, ignore_errors=True)
    return True


def _is_finished(session: Path) -> bool:
    try:
        settings = json.loads((session / "session.json").read_text())
    except (OSError, ValueError):
        return False
    return isinstance(settings, dict) and settings.get("finished") is True
