"""What a folder holds: files that pass wildcards, folders, and the way back to where one was."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from sofia_engine.errors import InputError

__all__ = [
    "FITS_SUFFIXES", "Entry", "FolderHistory", "find_files", "find_kind", "is_fits", "list_folder", "parse_patterns",
]  # fmt: skip

FITS_SUFFIXES = (".fits", ".fits.gz", ".fit", ".fts")

Kind = Literal["folder", "fits", "regions", "picture", "file"]

_PICTURES = (".png", ".jpg", ".jpeg", ".svg", ".gif")


@dataclass(frozen=True)
class Entry:
    """One line of the browser.

    Parameters
    ----------
    path : Path
        File or folder.
    kind : {"folder", "fits", "regions", "picture", "file"}
        What it is, by its name.
    size : int
        Bytes; 0 for folders.
    modified : float
        Time of the last change, seconds since 1970.
    """

    path: Path
    kind: Kind
    size: int = 0
    modified: float = 0.0

    @property
    def name(self) -> str:
        """Name without the folder."""
        return self.path.name

    @property
    def date(self) -> str:
        """Day and time of the last change, UTC."""
        return datetime.fromtimestamp(self.modified, UTC).strftime("%Y-%m-%d %H:%M:%S")


def is_fits(path: Path) -> bool:
    """Tell whether a name is that of a FITS file."""
    return path.name.lower().endswith(FITS_SUFFIXES)


def find_kind(path: Path) -> Kind:
    """Return what a file is, by its name."""
    if is_fits(path):
        return "fits"
    suffix = path.suffix.lower()
    return "regions" if suffix == ".reg" else "picture" if suffix in _PICTURES else "file"


def parse_patterns(text: str) -> tuple[str, ...]:
    """Return the wildcards of a filter, which are separated by commas; none means all files.

    ``*.fits`` also finds compressed files and suffixes in capitals.
    """
    patterns = [word.strip().lower() for word in text.split(",") if word.strip()]
    packed = [f"{pattern}.gz" for pattern in patterns if pattern.endswith(".fits")]
    return tuple(dict.fromkeys(patterns + packed))


def list_folder(folder: Path, patterns: Sequence[str] = ()) -> tuple[Entry, ...]:
    """Return folders and the files that pass, each sorted by name; hidden ones are left out.

    Parameters
    ----------
    folder : Path
        Folder to look into.
    patterns : sequence of str
        Wildcards in small letters, one of which must fit; none lets all pass.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    entries: list[Entry] = []
    try:
        with os.scandir(folder) as found:
            for item in found:
                entry = _describe(item, patterns)
                if entry is not None:
                    entries.append(entry)
    except FileNotFoundError:
        raise InputError(f"{folder}: there is no such folder.") from None
    except NotADirectoryError:
        raise InputError(f"{folder} is a file; name the folder it is in.") from None
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror or error}.") from error
    return tuple(sorted(entries, key=lambda entry: (entry.kind != "folder", entry.name.lower())))


def find_files(places: Iterable[str | Path], patterns: Sequence[str] = ("*.fits", "*.fits.gz")) -> list[Path]:
    """Return files as they are, and of folders the files in them (not in folders inside) that pass the wildcards.

    Raises
    ------
    InputError
        If a folder cannot be read or a file does not exist.
    """
    files: dict[Path, None] = {}
    for place in map(Path, places):
        if place.is_dir():
            files.update((entry.path, None) for entry in list_folder(place, patterns) if entry.kind != "folder")
        elif place.exists():
            files[place] = None
        else:
            raise InputError(f"{place}: there is no such file or folder.")
    return list(files)


def _describe(item: os.DirEntry[str], patterns: Sequence[str]) -> Entry | None:
    name = item.name.lower()
    if name.startswith("."):
        return None
    try:
        is_folder = item.is_dir()
        if not is_folder and patterns and not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
            return None
        status = item.stat()
    except OSError:  # a link that leads nowhere, or a file that has just gone
        return None
    path = Path(item.path)
    size = 0 if is_folder else status.st_size
    return Entry(path, "folder" if is_folder else find_kind(path), size, status.st_mtime)


@dataclass
class FolderHistory:
    """Where one has been: back, forward, up.

    Parameters
    ----------
    visited : list of Path
        Folders in the order they were opened.
    place : int
        Which of them is open.
    """

    visited: list[Path] = field(default_factory=list)
    place: int = -1

    @property
    def current(self) -> Path | None:
        """The open folder."""
        return self.visited[self.place] if self.visited else None

    @property
    def can_go_back(self) -> bool:
        """Whether there is a folder before."""
        return self.place > 0

    @property
    def can_go_forward(self) -> bool:
        """Whether one has come back from somewhere."""
        return self.place < len(self.visited) - 1

    @property
    def can_go_up(self) -> bool:
        """Whether the folder lies in another."""
        return self.current is not None and self.current.parent != self.current

    def open(self, folder: Path) -> Path:
        """Go to a folder; what was ahead is forgotten."""
        if folder != self.current:
            self.visited = [*self.visited[: self.place + 1], folder]
            self.place = len(self.visited) - 1
        return folder

    def back(self) -> Path | None:
        """Go to the folder before."""
        self.place -= self.can_go_back
        return self.current

    def forward(self) -> Path | None:
        """Go to where one came back from."""
        self.place += self.can_go_forward
        return self.current

    def up(self) -> Path | None:
        """Go to the folder this one lies in."""
        return self.open(self.current.parent) if self.current is not None and self.can_go_up else self.current
