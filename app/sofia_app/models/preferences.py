"""Preferences and what the program remembers: theme, folders, recent files, layout, sessions that are open."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from sofia_engine.product import write_atomically

__all__ = ["OpenSessions", "Preferences", "choose_output", "config_folder"]

_MOST_RECENT = 12


def config_folder() -> Path:
    """Return the folder of the preferences: SOFIA_DESK_CONFIG, or one among the user's settings."""
    named = os.environ.get("SOFIA_DESK_CONFIG")
    if named:
        return Path(named).expanduser()
    import platformdirs

    return Path(platformdirs.user_config_dir("sofia-desk", appauthor=False))


@dataclass
class Preferences:
    """What the user has chosen, and what the program remembers; kept in one JSON file."""

    theme: Literal["system", "dark", "light"] = "system"
    text_size: int = 0
    """Points; 0 for that of the system."""
    output_rule: Literal["beside", "fixed", "ask"] = "beside"
    """Products go to a folder beside the raw files, to a fixed one, or the user is asked."""
    output_folder: str = ""
    output_name: str = "reduced"
    """Name of the folder beside the raw files."""
    session_folder: str = ""
    """Empty for that of the system."""
    jobs: int = 0
    """Inputs worked on side by side; 0 for as many as there are processors."""
    memory: str = ""
    """Most memory for steps: a size, or ``unlimited``; empty for what is free, or what the environment says."""
    show_expert: bool = False
    hide_idle: bool = False
    """Hide parameters that have no effect, which are otherwise grey."""
    live_preview: bool = False
    preview_of: Literal["file", "view", "rectangle"] = "file"
    """What previews are made of: one file, the visible part of the image, or a rectangle drawn in it."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    check_updates: bool = False
    """Look for a new version when the program starts."""
    recent: list[list[str]] = field(default_factory=list)
    """Sets of files opened, the latest first."""
    layout: str = ""
    geometry: str = ""

    @classmethod
    def load(cls, folder: Path | None = None) -> Preferences:
        """Read the preferences; what is missing or makes no sense has its default."""
        try:
            stored = json.loads(_file(folder).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return cls()
        made = cls()
        for item in fields(cls) if isinstance(stored, dict) else ():
            if _fits(stored.get(item.name), getattr(made, item.name), _CHOICES.get(item.name)):
                setattr(made, item.name, stored[item.name])
        made.recent = [entry for entry in made.recent if _is_texts(entry)]
        return made

    def save(self, folder: Path | None = None) -> None:
        """Write the preferences.

        Raises
        ------
        OSError
            If that cannot be done.
        """
        path = _file(folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = json.dumps(asdict(self), indent=1).encode()
        write_atomically(path, lambda stream: stream.write(content))

    def remember(self, files: Iterable[Path | str]) -> None:
        """Put a set of files at the head of the recent ones."""
        entry = [str(file) for file in files]
        if entry:
            others = [known for known in self.recent if known != entry]
            self.recent = [entry, *others][:_MOST_RECENT]


_CHOICES: dict[str, tuple[str, ...]] = {
    "theme": ("system", "dark", "light"),
    "output_rule": ("beside", "fixed", "ask"),
    "preview_of": ("file", "view", "rectangle"),
    "log_level": ("debug", "info", "warning", "error"),
}


def _file(folder: Path | None) -> Path:
    return (folder or config_folder()) / "preferences.json"


def _fits(value: Any, default: Any, choices: tuple[str, ...] | None) -> bool:
    if choices is not None:
        return value in choices
    return type(value) is type(default) and not (isinstance(value, int) and value < 0)


def _is_texts(entry: Any) -> bool:
    return isinstance(entry, list) and all(isinstance(word, str) for word in entry)


def choose_output(preferences: Preferences, files: Iterable[Path | str]) -> str:
    """Return the folder for products that the rule of the preferences gives; empty if the user is to be asked."""
    first = next(iter(files), None)
    if preferences.output_rule == "fixed":
        return preferences.output_folder
    if preferences.output_rule == "beside" and first is not None:
        return str(Path(first).resolve().parent / preferences.output_name)
    return ""


class OpenSessions:
    """Notes which sessions are open, so that after a crash they can be offered again.

    Parameters
    ----------
    folder : Path, optional
        Where the notes are kept; by default with the preferences.
    pid : int, optional
        The process that notes; this one by default.
    """

    def __init__(self, folder: Path | None = None, pid: int | None = None) -> None:
        self._folder = (folder or config_folder()) / "open"
        self._note = self._folder / f"{os.getpid() if pid is None else pid}.json"

    def note(self, session: str) -> None:
        """Write down the session of this process."""
        self._folder.mkdir(parents=True, exist_ok=True)
        content = json.dumps({"session": session}).encode()
        write_atomically(self._note, lambda stream: stream.write(content))

    def forget(self) -> None:
        """Take the note back: the session was closed as it should be."""
        self._note.unlink(missing_ok=True)

    def interrupted(self) -> list[Path]:
        """Return the sessions of processes that ended without taking their note back; the notes are removed."""
        found: list[Path] = []
        for note in sorted(self._folder.glob("*.json")):
            if note == self._note:
                continue
            session = _read_note(note)
            if session is not None and _is_in_use(session):
                continue  # by a program that is running
            note.unlink(missing_ok=True)
            if session is not None and (session / "session.json").exists():
                found.append(session)
        return found


def _read_note(note: Path) -> Path | None:
    try:
        return Path(json.loads(note.read_text())["session"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_in_use(session: Path) -> bool:
    from sofia_engine.errors import SessionError
    from sofia_engine.pipeline.lock import FolderLock

    if not session.is_dir():
        return False
    lock = FolderLock(session / ".lock")
    try:
        lock.acquire()
    except SessionError:
        return True
    lock.release()
    return False
