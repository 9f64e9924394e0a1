"""Files: what the headers say, which of them belong together, and which are shown in what order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from astropy.io import fits

from sofia_app.models.notifier import Notifier
from sofia_engine.pipeline.detection import Group, InputFile, inspect_files
from sofia_engine.pipeline.manifests import collect_inputs

__all__ = ["FileGroup", "FileList", "FileRecord", "FilterError", "expand_paths", "read_records"]

_OBSERVATION = ("OBJECT", "AOR_ID", "MISSN-ID")
"""Keywords that tell observations apart that could be reduced together."""
_UNKNOWN = "UNKNOWN"
_CONDITION = re.compile(r"^([A-Za-z][\w-]*)(>=|<=|!=|=|>|<)(.*)$")


@dataclass(frozen=True)
class FileRecord:
    """One file of the list.

    Parameters
    ----------
    path : Path
        The file.
    size : int
        Bytes.
    cells : mapping of str to str
        Header values by keyword.
    columns : tuple of str
        Keywords that a list of such files shows.
    group : tuple of str
        Equal for files of one observation; empty for a file that cannot be reduced.
    heading : str
        The group in words.
    level : str
        ``raw``, ``1`` to ``4`` or empty.
    problem : str
        Why it cannot be reduced; empty if it can.
    """

    path: Path
    size: int = 0
    cells: Mapping[str, str] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    heading: str = ""
    level: str = ""
    problem: str = ""

    def cell(self, column: str) -> str:
        """Return the text of a column."""
        return self.path.name if column == "File Name" else self.cells.get(column, _UNKNOWN if self.cells else "")


@dataclass(frozen=True)
class FileGroup:
    """Files of one observation."""

    key: tuple[str, ...]
    heading: str
    records: tuple[FileRecord, ...]

    @property
    def can_be_reduced(self) -> bool:
        """Whether there is a recipe for them."""
        return bool(self.key)

    @property
    def label(self) -> str:
        """Heading and number of files."""
        return f"{self.heading} ({len(self.records)})"


class FilterError(ValueError):
    """A filter that cannot be understood."""


def expand_paths(paths: Iterable[Path | str], *, recursive: bool = True) -> list[Path]:
    """Return the files meant by files, folders (also folders in them) and lists of files.

    Raises
    ------
    InputError
        If a folder or a list cannot be read.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        places = [path]
        if path.is_dir() and recursive:
            places = sorted(p for p in [path, *path.rglob("*")] if p.is_dir() and not p.name.startswith("."))
        for place in places:
            found.update(dict.fromkeys(collect_inputs([place]).files))
    return list(found)


def read_records(paths: Sequence[Path]) -> list[FileRecord]:
    """Read the headers of files; slow, to be called in a thread.

    Parameters
    ----------
    paths : sequence of Path
        Files; those that cannot be reduced come back with the problem.
    """
    inspection = inspect_files(paths)
    records = {file.path: _describe(file, group) for group in inspection.groups for file in group.files}
    for path, reason in inspection.rejected:
        records[path] = FileRecord(path, _size(path), problem=reason)
    return [records[path] for path in dict.fromkeys(map(Path, paths)) if path in records]


def _describe(file: InputFile, group: Group) -> FileRecord:
    header = file.header
    recipe = group.recipe
    keywords = dict.fromkeys((*recipe.columns, *_OBSERVATION, "DATE-OBS", "PRODTYPE", "PROCSTAT"))
    cells = {keyword: _text(header, keyword) for keyword in keywords}
    observation = tuple(cells[keyword] for keyword in _OBSERVATION)
    words = [recipe.instrument, recipe.mode, *group.key, *observation, cells["DATE-OBS"].partition("T")[0]]
    shown = [word for word in dict.fromkeys(words) if word and word not in (_UNKNOWN, "raw")]
    return FileRecord(
        path=file.path,
        size=_size(file.path),
        cells=cells,
        columns=recipe.columns,
        group=(recipe.name, *group.key, *observation),
        heading=" · ".join(shown),
        level=_level(cells),
    )


def _text(header: fits.Header, keyword: str) -> str:
    value = header.get(keyword)
    text = "" if value is None else str(value).strip()
    return text or _UNKNOWN


def _level(cells: Mapping[str, str]) -> str:
    status = cells["PROCSTAT"].upper()
    if cells["PRODTYPE"].upper() in (_UNKNOWN, "RAW") or status == "LEVEL_1":
        return "raw"
    return status.removeprefix("LEVEL_") if status.startswith("LEVEL_") else ""


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


class FileList:
    """The files at hand: added, removed, filtered, sorted, grouped."""

    def __init__(self) -> None:
        self.changed = Notifier()
        self._records: dict[Path, FileRecord] = {}
        self._filter: tuple[_Condition, ...] = ()
        self._sorted_by = ""
        self._descending = False

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, path: Path) -> bool:
        return path in self._records

    @property
    def columns(self) -> tuple[str, ...]:
        """Headings: the file's name, and the keywords of all instruments in the list."""
        keywords = dict.fromkeys(keyword for record in self._records.values() for keyword in record.columns)
        return ("File Name", *keywords)

    @property
    def records(self) -> tuple[FileRecord, ...]:
        """All files, in the order they were added."""
        return tuple(self._records.values())

    @property
    def groups(self) -> tuple[FileGroup, ...]:
        """The groups of the files that pass the filter; what cannot be reduced comes last."""
        by_key: dict[tuple[str, ...], list[FileRecord]] = {}
        for record in self.visible:
            by_key.setdefault(record.group, []).append(record)
        groups = [FileGroup(key, records[0].heading, tuple(records)) for key, records in by_key.items() if key]
        if () in by_key:
            groups.append(FileGroup((), "Cannot be reduced", tuple(by_key[()])))
        return tuple(groups)

    @property
    def visible(self) -> tuple[FileRecord, ...]:
        """The files that pass the filter, sorted."""
        records = [r for r in self._records.values() if all(condition.fits(r) for condition in self._filter)]
        if self._sorted_by:
            records.sort(key=lambda record: _sort_key(record.cell(self._sorted_by)), reverse=self._descending)
        return tuple(records)

    def add(self, records: Iterable[FileRecord]) -> int:
        """Add files, or replace what is known of them; return how many are new."""
        before = len(self._records)
        self._records.update({record.path: record for record in records})
        self.changed.emit()
        return len(self._records) - before

    def remove(self, paths: Iterable[Path]) -> None:
        """Take files off the list; nothing is deleted."""
        for path in paths:
            self._records.pop(path, None)
        self.changed.emit()

    def clear(self) -> None:
        """Take all files off the list."""
        self._records.clear()
        self.changed.emit()

    def find_named(self, path: str, name: str, text: str = "") -> FileRecord | None:
        """Return the file with a path, or else with a name, or else the first whose name stands in a text."""
        known = self._records.get(Path(path)) if path else None
        if known is not None:
            return known
        words = {name} if name else {word.strip(".") for word in re.split(r"[^\w.+-]+", text)}
        return next((record for record in self._records.values() if record.path.name in words), None)

    def set_filter(self, text: str) -> None:
        """Show only some files.

        Parameters
        ----------
        text : str
            Words that must all be found in the name or a header value; ``KEYWORD=value``, ``!=``, ``>``, ``<``,
            ``>=``, ``<=`` look at one keyword.

        Raises
        ------
        FilterError
            If it cannot be understood; the filter stays as it was.
        """
        self._filter = tuple(_Condition.parse(word) for word in text.split())
        self.changed.emit()

    def sort(self, column: str, *, descending: bool = False) -> None:
        """Sort by a column; an empty name restores the order of adding."""
        self._sorted_by, self._descending = column, descending
        self.changed.emit()


@dataclass(frozen=True)
class _Condition:
    keyword: str
    relation: str
    value: str

    @classmethod
    def parse(cls, word: str) -> _Condition:
        matched = _CONDITION.match(word)
        if matched is None:
            return cls("", "", word.lower())
        keyword, relation, value = matched.groups()
        if relation not in ("=", "!=") and _number(value) is None:
            raise FilterError(f"'{word}': after {relation} there must be a number.")
        return cls("File Name" if keyword.upper() == "NAME" else keyword.upper(), relation, value.lower())

    def fits(self, record: FileRecord) -> bool:
        if not self.keyword:
            cells = [record.path.name, record.heading, *record.cells.values()]
            return any(self.value in cell.lower() for cell in cells)
        cell = record.cell(self.keyword).lower()
        if self.relation in ("=", "!="):
            return (self.value in cell) == (self.relation == "=")
        return self._compare(_number(cell), _number(self.value))

    def _compare(self, left: float | None, right: float | None) -> bool:
        if left is None or right is None:
            return False
        return {">": left > right, "<": left < right, ">=": left >= right, "<=": left <= right}[self.relation]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _sort_key(text: str) -> tuple[int, float, str]:
    number = _number(text)
    return (0, number, "") if number is not None else (1, 0.0, text.lower())
