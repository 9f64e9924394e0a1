"""Files that were written from a session's views: figures, tables, regions; listed in its folder ``exports``."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["EXPORTS", "ExportRecord", "append_record", "describe_file", "read_records"]

EXPORTS = "exports"
"""Folder of the list within a session."""
_LIST = "exports.jsonl"


@dataclass(frozen=True)
class ExportRecord:
    """One file.

    Parameters
    ----------
    path : str
        Where it was written.
    state : str
        Key of the state that was shown.
    label : str
        The state in words.
    time : float
        When, Unix time, s.
    size : int
        Bytes.
    """

    path: str
    state: str = ""
    label: str = ""
    time: float = 0.0
    size: int = 0

    @property
    def text(self) -> str:
        """The file with time and state."""
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.time))
        return f"{self.path}  ({when}{f', {self.label}' if self.label else ''})"


def describe_file(path: Path, state: str, label: str) -> ExportRecord:
    """Return the record of a file that was written just now.

    Raises
    ------
    OSError
        If there is no such file.
    """
    found = path.stat()
    return ExportRecord(str(path.resolve()), state, label, found.st_mtime, found.st_size)


def append_record(session: Path, record: ExportRecord) -> None:
    """Write a record at the end of the list, one JSON object a line.

    Raises
    ------
    OSError
        If that cannot be done.
    """
    folder = session / EXPORTS
    folder.mkdir(exist_ok=True)
    with (folder / _LIST).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(asdict(record)) + "\n")


def read_records(session: Path) -> tuple[ExportRecord, ...]:
    """Return the records of a session, the oldest first; lines that make no sense are passed over."""
    try:
        lines: Sequence[str] = (session / EXPORTS / _LIST).read_text(encoding="utf-8").splitlines()
    except OSError:
        return ()
    records = []
    for line in lines:
        try:
            records.append(ExportRecord(**json.loads(line)))
        except (ValueError, TypeError):
            continue  # half a line, of a program that was killed
    return tuple(records)
