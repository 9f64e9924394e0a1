"""Sessions: the folder in which the states of a reduction live, readable without the program.

A session holds ``session.json`` (inputs, recipe, settings, current state), ``nodes/<key>/`` (one folder a state:
``node.json``, the products as `stored_products` writes them, auxiliary files, and ``.done``) and ``actions.log``
(one JSON value a line). A node is written under another name and renamed when complete, so that whatever has its final
name is whole, however the program ended.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sofia_engine.errors import SessionError
from sofia_engine.header.cards import quiet_fits
from sofia_engine.pipeline.lock import FolderLock
from sofia_engine.pipeline.memory_guard import find_map
from sofia_engine.pipeline.run import Attachment
from sofia_engine.pipeline.state import State
from sofia_engine.pipeline.stored_products import StoredParts, map_products, read_products, write_products
from sofia_engine.product import Product, rename_patiently, write_atomically

__all__ = ["Session", "SessionReader", "list_sessions", "sessions_folder"]

_FORMAT = 2
_MOST_FILES = 10_000
"""Open files to ask the system for; macOS gives no more than 10 240."""


def sessions_folder() -> Path:
    """Return the folder of all sessions: SOFIA_DESK_SESSIONS, or one among the user's data."""
    named = os.environ.get("SOFIA_DESK_SESSIONS")
    if named:
        return Path(named).expanduser()
    import platformdirs

    return Path(platformdirs.user_data_dir("sofia-desk", appauthor=False)) / "sessions"


def list_sessions(folder: Path | None = None) -> list[Path]:
    """Return the folders of all sessions, the latest first."""
    root = folder or sessions_folder()
    if not root.is_dir():
        return []
    found = {path.parent: modified for path in root.glob("*/session.json") if (modified := _modified(path)) is not None}
    return sorted(found, key=lambda folder: found[folder], reverse=True)


def _modified(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:  # deleted by another process
        return None


class SessionReader:
    """What can be read of a session, also while another process works in it; nothing is locked or changed.

    Parameters
    ----------
    folder : Path
        Folder of the session.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        _allow_many_files()

    def read_settings(self) -> dict[str, Any]:
        """Return what `write_settings` stored.

        Raises
        ------
        SessionError
            If it is missing or damaged.
        """
        path = self.folder / "session.json"
        try:
            settings: dict[str, Any] = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise SessionError(f"{path} cannot be read ({error}); the session cannot be opened again.") from error
        if not isinstance(settings, dict):
            raise SessionError(f"{path} is damaged; the session cannot be opened again.")
        if settings.get("format") != _FORMAT:
            raise SessionError(f"{path} was written by another version of the program; it cannot be opened.")
        return settings

    def states(self) -> dict[str, State]:
        """Return all finished states by key; a damaged node is as if it had never been made."""
        found: dict[str, State] = {}
        for node in sorted((self.folder / "nodes").iterdir()):
            if (node / ".done").exists():
                with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
                    state = State.from_json((node / "node.json").read_text())
                    if state.key == node.name:
                        found[state.key] = state
        return found

    def state(self, key: str) -> State | None:
        """Return one finished state, or None if there is none of that key or it is damaged."""
        node = self.node(key)
        if not (node / ".done").exists():
            return None
        try:
            return State.from_json((node / "node.json").read_text())
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def read_products(self, state: State) -> tuple[Product, ...]:
        """Return the products of a state; their planes are mapped from disk, not loaded.

        Raises
        ------
        SessionError
            If they are missing or damaged.
        """
        node = self.node(state.key)
        try:
            return read_products(node, len(state.products))
        except _DAMAGE as error:
            raise _damaged(state, node, error) from error

    def read_attachments(self, state: State) -> tuple[Attachment, ...]:
        """Return the auxiliary files of a state.

        Raises
        ------
        SessionError
            If they are missing.
        """
        node = self.node(state.key)
        try:
            return tuple(Attachment(name, (node / "files" / name).read_bytes()) for name in state.attachments)
        except OSError as error:
            raise _damaged(state, node, error) from error

    def node(self, key: str) -> Path:
        """Return the folder of a state."""
        return self.folder / "nodes" / key


class Session(SessionReader):
    """One session folder, in use by this process alone.

    Parameters
    ----------
    folder : Path
        Its folder; made if missing.

    Raises
    ------
    SessionError
        If the folder cannot be written, or another program is using it.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        with _explained(f"The session folder {folder} cannot be written"):
            (folder / "nodes").mkdir(parents=True, exist_ok=True)
        self._stored = StoredParts()
        self._released = (folder / "released", itertools.count(1))
        self._lock = FolderLock(folder / ".lock")
        self._lock.acquire()
        self._discard_unfinished()

    @classmethod
    def create(cls, title: str, folder: Path | None = None) -> Session:
        """Make a new session in the folder of sessions; old finished ones make room (see `eviction`)."""
        from sofia_engine.pipeline.eviction import evict_sessions

        root = folder or sessions_folder()
        evict_sessions(root)
        words = re.sub(r"[^A-Za-z0-9.-]", "_", title)[:60]
        return cls(root / f"{time.strftime('%Y%m%d-%H%M%S')}-{words}-{uuid.uuid4().hex[:6]}")

    def close(self) -> None:
        """Let go of the folder, so that it can be opened again."""
        self.discard_released()
        self._lock.release()

    def delete(self) -> None:
        """Delete the folder with all states. Products in the output directory stay."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def write_settings(self, settings: dict[str, Any]) -> None:
        """Store what is needed to open the reduction again, replacing what was stored."""
        content = json.dumps({"format": _FORMAT, **settings}, indent=1, default=str).encode()
        with _explained(f"The session in {self.folder} cannot be saved"):
            write_atomically(self.folder / "session.json", lambda stream: stream.write(content))

    def log_action(self, action: str, **details: Any) -> None:
        """Append a line to the record of what was done."""
        line = json.dumps({"time": time.time(), "action": action, **details}, default=str)
        with (
            _explained(f"The session in {self.folder} cannot be saved"),
            (self.folder / "actions.log").open("a") as log,
        ):
            log.write(line + "\n")

    def write_state(self, state: State, products: Sequence[Product], attachments: Sequence[Attachment]) -> None:
        """Store a finished state.

        Raises
        ------
        SessionError
            If it cannot be written (no space left, ...). Nothing of it is left then; all other states are untouched.
        """
        final = self.node(state.key)
        temporary = final.with_name(f".{state.key}.{os.getpid()}.part")
        try:
            with _explained(f"The result of {state.label} cannot be stored in {self.folder}"):
                temporary.mkdir()
                with quiet_fits():
                    write_products(products, temporary, self._stored)
                if attachments:
                    (temporary / "files").mkdir()
                for attachment in attachments:
                    (temporary / "files" / attachment.name).write_bytes(attachment.content)
                (temporary / "node.json").write_text(state.as_json())
                (temporary / ".done").touch()
                if final.exists():
                    shutil.rmtree(final)
                rename_patiently(temporary, final)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def release(self, product: Product) -> Product:
        """Put planes and tables on disk that are not part of a state yet, and return the product mapped from there.

        `write_state` gives the files of large arrays and of tables one more name and copies nothing of them.

        Raises
        ------
        SessionError
            If they cannot be written (no space left, ...).
        """
        if all(find_map(extension.data) is not None for extension in product.extensions.values()):
            return product
        root, numbers = self._released
        folder = root / f"{next(numbers):06d}"
        with _explained(f"A result of {product.name} cannot be stored in {self.folder}"), quiet_fits():
            folder.mkdir(parents=True)
            write_products([product], folder, self._stored)
            return map_products([product], folder, self._stored, everything=True)[0]

    def discard_released(self) -> None:
        """Forget what was released; what is mapped from there stays readable."""
        shutil.rmtree(self._released[0], ignore_errors=True)

    def map_products(self, state: State, products: Sequence[Product]) -> tuple[Product, ...]:
        """Return products that were stored just now with their planes mapped from disk.

        Headers and tables stay those in memory, which need not be parsed again.
        """
        node = self.node(state.key)
        try:
            return map_products(products, node, self._stored)
        except _DAMAGE as error:
            raise _damaged(state, node, error) from error

    def _discard_unfinished(self) -> None:
        self.discard_released()
        for node in (self.folder / "nodes").iterdir():
            if not (node / ".done").exists() or node.name.startswith("."):
                shutil.rmtree(node, ignore_errors=True)


def _allow_many_files() -> None:
    """Let this process open as many files as the system allows: each mapped plane takes one; usual are 256 to 1024."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(_MOST_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


_DAMAGE = (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError)
"""What reading a damaged node can raise."""


def _damaged(state: State, node: Path, error: Exception) -> SessionError:
    return SessionError(f"The result of {state.label} in {node} is damaged ({error}); undo, and do the step again.")


@contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise SessionError(f"{what}: {reason}. Make room or set SOFIA_DESK_SESSIONS to another folder.") from error
