"""Lists of files: which to reduce, and which were written."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sofia_engine.errors import InputError

__all__ = ["Inputs", "collect_inputs", "read_manifest", "write_manifest", "write_summary"]

_FITS_SUFFIXES = (".fits", ".fits.gz", ".fit", ".fit.gz", ".fts")


@dataclass(frozen=True)
class Inputs:
    """Files to reduce.

    Parameters
    ----------
    files : tuple of Path
        In the order given, each once.
    dropped : tuple of (str, str)
        Names that mean no file, each with the reason.
    """

    files: tuple[Path, ...]
    dropped: tuple[tuple[str, str], ...] = ()


def collect_inputs(given: Iterable[Path | str]) -> Inputs:
    """Return the files that are meant by names of files, folders, or one manifest.

    Parameters
    ----------
    given : iterable of path
        FITS files; folders, of which all FITS files are taken (not those of folders in them); or one manifest
        (``.txt``).

    Raises
    ------
    InputError
        If a manifest or a folder cannot be read.
    """
    paths = [Path(path).expanduser() for path in given]
    if len(paths) == 1 and paths[0].suffix.lower() == ".txt" and paths[0].is_file():
        return read_manifest(paths[0])
    files: list[Path] = []
    dropped: list[tuple[str, str]] = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        inside = list(_fits_files_in(path))
        files += inside
        if not inside:
            dropped.append((str(path), "there is no FITS file in this folder"))
    return Inputs(_unique(files), tuple(dropped))


def read_manifest(path: Path) -> Inputs:
    """Read a list of files: one path a line, relative to the list or else to the current folder.

    Empty lines, comments (``#``) and a count of files are passed over.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The list of files {path} cannot be read: {error}.") from error
    files: list[Path] = []
    dropped: list[tuple[str, str]] = []
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line or line.startswith("#"):
            continue
        found = next((place / line for place in (path.parent, Path.cwd()) if (place / line).is_file()), None)
        if found is not None:
            files.append(found)
        elif not line.isdigit():
            dropped.append((line, f"there is no such file (line {number} of {path})"))
    return Inputs(_unique(files), tuple(dropped))


def _fits_files_in(folder: Path) -> Iterator[Path]:
    try:
        inside = sorted(folder.iterdir())
    except OSError as error:
        raise InputError(f"The folder {folder} cannot be read: {error.strerror}.") from error
    return (path for path in inside if path.name.lower().endswith(_FITS_SUFFIXES) and not path.name.startswith("."))


def _unique(files: Sequence[Path]) -> tuple[Path, ...]:
    return tuple({os.path.abspath(path): path for path in files}.values())  # noqa: PTH100 - links stay as they are


def write_manifest(path: Path, files: Iterable[Path], *, absolute: bool = False) -> None:
    """Write a list of files, each once, relative to the list or absolute.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    names = dict.fromkeys(_name_in_list(file, path.parent, absolute=absolute) for file in files)
    _write(path, "".join(f"{name}\n" for name in names))


def _name_in_list(file: Path, folder: Path, *, absolute: bool) -> str:
    resolved = file.resolve()
    if absolute:
        return str(resolved)
    try:
        return os.path.relpath(resolved, folder.resolve())
    except ValueError:  # another drive
        return str(resolved)


def write_summary(path: Path, summary: Mapping[str, Any]) -> None:
    """Write what a run did, and all files it wrote, as JSON.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    _write(path, json.dumps(summary, indent=1, default=str) + "\n")


def _write(path: Path, text: str) -> None:
    from sofia_engine.product import write_atomically

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda stream: stream.write(text.encode("utf-8")))
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}.") from error
