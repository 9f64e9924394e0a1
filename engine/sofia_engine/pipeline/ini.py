"""The old form of parameter files: the INI dialect that observers' files for the reference pipeline are written in.

Sections ``[n: step]``, ``[n:step]`` or ``[step]``; lines before the first section belong to the run as a whole. Commas
make lists (``x,`` has one item, ``,`` none), quotes protect commas and ``#``, triple quotes protect line ends, ``#``
begins a comment, the bare word None means nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sofia_engine.errors import ParameterError
from sofia_engine.pipeline.documents import Document, Entry, Problems, Section, split_section_name

__all__ = ["format_ini_value", "parse_ini"]

_HEADING = re.compile(r"(?P<open>\[+)\s*(?P<name>\"[^\"]*\"|'[^']*'|[^\[\]]*?)\s*\]+\s*(#.*)?")
_KEY = re.compile(r"(?P<key>\"[^\"]*\"|'[^']*'|[^'\"=\[#][^=]*?)\s*=\s*(?P<value>.*)", re.DOTALL)
_ITEM = re.compile(r"\s*(?P<text>\"[^\"]*\"|'[^']*'|[^'\",#\s](?:[^,#]*[^,#\s])?)\s*(?P<after>,|#|$)")
_TRIPLE = ('"""', "'''")


def parse_ini(text: str, source: str) -> Document:
    """Parse a parameter file of the old form.

    Raises
    ------
    ParameterError
        Lists every line that cannot be understood.
    """
    reader = _Reader(source)
    lines = text.replace("\r\n", "\n").split("\n")
    number = 0
    while number < len(lines):
        number += reader.read(lines, number)
    reader.problems.raise_any()
    return Document(source, "ini", tuple(reader.top), tuple(draft.finish() for draft in reader.drafts))


@dataclass
class _Draft:
    """A section that is being read."""

    name: str
    number: int | None
    line: int
    entries: list[Entry] = field(default_factory=list)

    def finish(self) -> Section:
        return Section(self.name, self.number, self.line, tuple(self.entries))


class _Reader:
    def __init__(self, source: str) -> None:
        self.source = source
        self.problems = Problems()
        self.top: list[Entry] = []
        self.drafts: list[_Draft] = []

    def read(self, lines: Sequence[str], number: int) -> int:
        """Read a statement and return how many lines it takes."""
        line = lines[number].strip(" \t")
        if not line or line.startswith("#"):
            return 1
        if heading := _HEADING.fullmatch(line):
            self._begin(heading, number + 1)
            return 1
        found = _KEY.fullmatch(lines[number].lstrip(" \t"))
        if not found:
            self._complain(number, f"'{line}' is neither a section nor 'key = value'")
            return 1
        return self._read_value(_unquote(found["key"]), found["value"], lines, number)

    def _read_value(self, key: str, value: str, lines: Sequence[str], number: int) -> int:
        result: str | list[str] | None
        taken = 1
        try:
            if value[:3] in _TRIPLE:
                result, taken = _read_triple(value, lines[number + 1 :])
            else:
                result = _read_items(value)
        except ValueError as error:
            self._complain(number, f"the value of {key} cannot be read: {error}")
            return 1
        self._add(Entry(key, result, number + 1))
        return taken

    def _begin(self, heading: re.Match[str], line: int) -> None:
        name, number = split_section_name(_unquote(heading["name"]))
        if heading["open"] != "[":
            self._complain(line - 1, f"sections inside sections ([[{name}]]) are not understood")
        for draft in self.drafts:
            if (draft.name, draft.number) == (name, number):
                self._complain(line - 1, f"the section [{heading['name']}] was there before, in line {draft.line}")
        self.drafts.append(_Draft(name, number, line))

    def _add(self, entry: Entry) -> None:
        entries = self.drafts[-1].entries if self.drafts else self.top
        for earlier in entries:
            if earlier.key == entry.key:
                self._complain(entry.line - 1, f"{entry.key} was set before, in line {earlier.line}")
        entries.append(entry)

    def _complain(self, number: int, what: str) -> None:
        self.problems.add(f"{what} [{self.source}:{number + 1}].")


def _read_triple(value: str, following: Sequence[str]) -> tuple[str, int]:
    quotes, parts = value[:3], [value[3:]]
    while quotes not in parts[-1]:
        if len(parts) > len(following):
            raise ValueError(f"the quotes {quotes} are never closed")
        parts.append(following[len(parts) - 1])
    text, _, after = "\n".join(parts).partition(quotes)
    if after.strip() and not after.strip().startswith("#"):
        raise ValueError(f"'{after.strip()}' follows the closing quotes")
    return text, len(parts)


def _read_items(value: str) -> str | list[str] | None:
    """Return the text of a value, its list of texts if it has commas, or None for the bare word."""
    value = value.strip()
    if not value or value.startswith("#"):
        return ""
    if re.fullmatch(r",\s*(#.*)?", value):
        return []
    items: list[str] = []
    position, commas = 0, 0
    while position < len(value) and value[position:].strip():
        found = _ITEM.match(value, position)
        if not found:
            if items and value[position:].lstrip().startswith("#"):
                break
            raise ValueError(f"quotes or commas do not fit at '{value[position:].strip()}'")
        items.append(found["text"])
        position = found.end()
        if found["after"] != ",":
            break
        commas += 1
    if not commas:
        return None if items[0] == "None" else _unquote(items[0])
    return [_unquote(item) for item in items]


def _unquote(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def format_ini_value(value: Any) -> str:
    """Return a value as it is written in the old form.

    Raises
    ------
    ParameterError
        If it is a text with both kinds of triple quotes, which that form cannot hold.
    """
    if isinstance(value, (list, tuple)):
        items = [_format_item(str(item)) for item in value]
        return ", ".join(items) + ("," if len(items) < 2 else "")
    if isinstance(value, str):
        return _format_text(value)
    return str(value)


def _format_text(text: str) -> str:
    if "\r" in text:
        raise ParameterError(f"The text {text!r} cannot be written in the old form of parameter files; use TOML.")
    if "\n" not in text and not ('"' in text and "'" in text) and text[:1] not in ("'", '"'):
        return _format_item(text) if text != "None" else '"None"'
    for quotes in _TRIPLE:
        if quotes not in text and not text.endswith(quotes[0]) and not text.startswith(quotes[0]):
            return f"{quotes}{text}{quotes}"
    raise ParameterError(f"The text {text!r} cannot be written in the old form of parameter files; use TOML.")


def _format_item(text: str) -> str:
    if re.fullmatch(r"[^\s'\",#\[\]=]([^'\",#\n\r]*[^\s'\",#])?", text) and text.isprintable():
        return text
    if '"' not in text:
        return f'"{text}"'
    if "'" not in text:
        return f"'{text}'"
    raise ParameterError(f"The list item {text!r} cannot be written in the old form of parameter files; use TOML.")
