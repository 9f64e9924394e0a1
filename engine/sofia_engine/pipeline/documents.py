"""Parameter files as text: sections of keys and values, each with the line it stands on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sofia_engine.errors import ParameterError

__all__ = ["Document", "Entry", "Problems", "Section", "parse_toml", "split_section_name"]


@dataclass(frozen=True)
class Entry:
    """A key, its value, and the line they stand on."""

    key: str
    value: Any
    line: int


@dataclass(frozen=True)
class Section:
    """The entries under one heading.

    Parameters
    ----------
    name : str
        Name of the step, without its number.
    number : int or None
        Number before the name (``[3: droop]``), counted from 1.
    line : int
        Line of the heading.
    entries : tuple of Entry
        In the order of the file.
    """

    name: str
    number: int | None
    line: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Document:
    """A parameter file, read but not yet compared with any recipe.

    Parameters
    ----------
    source : str
        Name of the file, for messages.
    dialect : {"toml", "ini"}
        Form of the file. Values of the old form are text, None, or lists of text.
    top : tuple of Entry
        Options of the run as a whole.
    sections : tuple of Section
        Parameters of steps.
    """

    source: str
    dialect: str
    top: tuple[Entry, ...]
    sections: tuple[Section, ...]

    def where(self, line: int) -> str:
        """Return the file and line as shown in messages."""
        return f"{self.source}:{line}"


class Problems:
    """Collects what is wrong, to be told all at once."""

    def __init__(self) -> None:
        self._found: dict[str, None] = {}

    def add(self, *messages: str) -> None:
        """Remember problems; each is kept once."""
        self._found.update(dict.fromkeys(messages))

    def add_error(self, error: ParameterError) -> None:
        """Remember the problems, one a line, of an error."""
        self.add(*str(error).splitlines())

    def raise_any(self) -> None:
        """Raise one error with all problems, if there are any.

        Raises
        ------
        ParameterError
            One problem a line.
        """
        if self._found:
            raise ParameterError("\n".join(self._found))


def split_section_name(text: str) -> tuple[str, int | None]:
    """Return name and number of ``n: name``, ``n:name`` or ``name``."""
    number, colon, name = text.partition(":")
    if colon and number.strip().isdigit():
        return name.strip(), int(number)
    return text.strip(), None


def parse_toml(text: str, source: str) -> Document:
    """Parse a parameter file in TOML: a table ``[output]`` for the run as a whole, and a table for each step.

    Raises
    ------
    ParameterError
        If it is not TOML, or tables are nested.
    """
    import tomllib

    text = text.replace("\r\n", "\n")
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ParameterError(f"{source} cannot be read as TOML: {error}.") from None
    problems = Problems()
    lines = dict(_locate_keys(text))
    top: list[Entry] = []
    sections: list[Section] = []
    for heading, table in content.items():
        line = lines.get((heading, ""), lines.get(("", heading), 1))
        if not isinstance(table, dict):
            problems.add(
                f"{heading} stands outside any table; put it in [output] or in the table of a step [{source}:{line}]."
            )
            continue
        entries = tuple(Entry(key, value, lines.get((heading, key), line)) for key, value in table.items())
        for entry in entries:
            if isinstance(entry.value, dict) or _holds_tables(entry.value):
                problems.add(f"{heading}.{entry.key}: tables inside tables are not understood [{source}:{entry.line}].")
        if heading == "output":
            top.extend(entries)
        else:
            name, number = split_section_name(heading)
            sections.append(Section(name, number, line, entries))
    problems.raise_any()
    return Document(source, "toml", tuple(top), tuple(sections))


def _holds_tables(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value)


def _locate_keys(text: str) -> Iterator[tuple[tuple[str, str], int]]:
    """Find the lines of tables (key empty) and keys in valid TOML; the parser of the library does not tell them."""
    table = ""
    lines = text.split("\n")
    number = 0
    while number < len(lines):
        line = lines[number].strip()
        taken = 1
        if line.startswith("["):
            table = _first_key({"": _parse(line)})
            yield (table, ""), number + 1
        elif line and not line.startswith("#"):
            taken, statement = _read_statement(lines, number)
            yield (table, _first_key({"": statement})), number + 1
        number += taken


def _read_statement(lines: Sequence[str], start: int) -> tuple[int, dict[str, Any]]:
    """Return how many lines a statement ``key = value`` takes, and what it says."""
    import tomllib

    for end in range(start + 1, len(lines) + 1):
        try:
            return end - start, tomllib.loads("\n".join(lines[start:end]))
        except tomllib.TOMLDecodeError:
            continue
    return 1, {}


def _parse(line: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return {}


def _first_key(nested: dict[str, Any]) -> str:
    return next(iter(nested[""]), "")
