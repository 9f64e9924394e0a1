"""Parameter files: read strictly in both forms, written with comments; every value remembers its file and line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sofia_engine._version import __version__
from sofia_engine.errors import ParameterError
from sofia_engine.pipeline.documents import Document, Entry, Problems, Section, parse_toml
from sofia_engine.pipeline.ini import format_ini_value, parse_ini
from sofia_engine.pipeline.parameters import ParameterInfo, Parameters, Setting, suggest
from sofia_engine.pipeline.recipe import Recipe
from sofia_engine.pipeline.settings import Settings
from sofia_engine.pipeline.state import ReferenceRecord

__all__ = [
    "StepSettings",
    "format_parameters",
    "match_recipe",
    "parse_parameters",
    "read_parameters",
    "write_parameters",
]

_MAX_BYTES = 10_000_000
_WIDTH = 110


@dataclass(frozen=True)
class StepSettings:
    """What a parameter file says to a recipe.

    Parameters
    ----------
    settings : mapping of int to mapping of str to Setting
        By position of the step and key of the parameter.
    notes : tuple of str
        What was passed over because it has no meaning here, one sentence each.
    """

    settings: Mapping[int, Mapping[str, Setting]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


# --- reading ---


def read_parameters(path: Path | str) -> Document:
    """Read a parameter file, TOML or the old form.

    Raises
    ------
    ParameterError
        If it cannot be read or understood; lists every line at fault.
    """
    path = Path(path).expanduser()
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ParameterError(f"{path} is too large for a parameter file.")
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ParameterError(f"{path} is not a text in UTF-8, so it is no parameter file.") from None
    except FileNotFoundError:
        raise ParameterError(f"The parameter file {path} does not exist.") from None
    except OSError as error:
        raise ParameterError(f"The parameter file {path} cannot be read: {error.strerror}.") from error
    return parse_parameters(text, path.name, path.suffix)


def parse_parameters(text: str, source: str, suffix: str = "") -> Document:
    """Parse the text of a parameter file.

    Parameters
    ----------
    text : str
        Content.
    source : str
        Name of the file, for messages.
    suffix : str
        ``.toml`` or ``.cfg`` / ``.ini``; anything else lets the content decide.

    Raises
    ------
    ParameterError
        If it cannot be understood; lists every line at fault.
    """
    if suffix.lower() == ".toml":
        return parse_toml(text, source)
    if suffix.lower() in (".cfg", ".ini") or not _is_toml(text):
        return parse_ini(text, source)
    return parse_toml(text, source)


def _is_toml(text: str) -> bool:
    import tomllib

    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return all(isinstance(value, dict) for value in content.values())


def match_recipe(document: Document, recipe: Recipe) -> StepSettings:
    """Compare a parameter file with a recipe, strictly.

    A section ``[n: step]`` means step n if that has the name, else the first step of that name.

    Raises
    ------
    ParameterError
        Names every unknown step and parameter (with the closest known one) and every value that is not allowed, each
        with its line.
    """
    problems = Problems()
    found: dict[int, dict[str, Setting]] = {}
    notes: list[str] = []
    for section in document.sections:
        index = _find_step(section, recipe)
        if index is None:
            problems.add(_describe_unknown_step(section, document, recipe))
            continue
        if index in found:
            problems.add(f"{section.name}: this step has a section already [{document.where(section.line)}].")
        settings, passed_over = _match_section(section, document, recipe.steps[index].parameters)
        notes += passed_over
        try:
            recipe.steps[index].parameters.make(settings, step=section.name)
        except ParameterError as error:
            problems.add_error(error)
        found.setdefault(index, {}).update(settings)
    problems.raise_any()
    return StepSettings(found, tuple(notes))


def _find_step(section: Section, recipe: Recipe) -> int | None:
    keys = [step.key for step in recipe.steps]
    if section.number is not None and 1 <= section.number <= len(keys) and keys[section.number - 1] == section.name:
        return section.number - 1
    return keys.index(section.name) if section.name in keys else None


def _describe_unknown_step(section: Section, document: Document, recipe: Recipe) -> str:
    where = f"[{document.where(section.line)}]"
    try:
        recipe.index(section.name)
    except ParameterError:
        from sofia_engine.instruments import all_recipes

        others = [other.name for other in all_recipes() if section.name in [step.key for step in other.steps]]
        known = [step.key for step in recipe.steps]
        hint = f"; it belongs to {', '.join(others)}" if others else suggest(section.name, [*known, "output"])
        return f"{section.name}: {recipe.name} has no such step{hint} {where}."
    return f"{section.name}: name the step by its key in parameter files, not by its label {where}."


def _match_section(
    section: Section, document: Document, model: type[Parameters]
) -> tuple[dict[str, Setting], list[str]]:
    infos = {name: info for info in model.infos() for name in (info.key, info.name)}
    settings: dict[str, Setting] = {}
    notes: list[str] = []
    for entry in section.entries:
        where = document.where(entry.line)
        if entry.key not in infos and entry.key in model.retired:
            notes.append(f"{section.name}.{entry.key} has no meaning any more and is passed over [{where}].")
        elif document.dialect == "ini" and (reason := _names_old_installation(entry, infos)):
            notes.append(f"{section.name}.{entry.key} = {entry.value} is passed over: {reason} [{where}].")
        else:
            value = _convert_old(entry, infos.get(entry.key)) if document.dialect == "ini" else entry.value
            settings[entry.key] = Setting(value, "file", where)
    return settings, notes


def _names_old_installation(entry: Entry, infos: Mapping[str, ParameterInfo]) -> str:
    """Tell why a path of the reference pipeline's own installation means nothing here; empty if it is none."""
    info = infos.get(entry.key)
    if info is None or info.kind not in ("file", "directory") or not isinstance(entry.value, str):
        return ""
    unset = re.match(r"\$(DPS_\w+)", entry.value)
    return f"{unset[1]} is a folder of another program" if unset else ""


def _convert_old(entry: Entry, info: ParameterInfo | None) -> Any:
    """Give a value of the old form, where all is text, the shape its parameter has."""
    if info is None or info.kind == "list":
        return entry.value if entry.value is not None else []
    if isinstance(entry.value, list):
        return ",".join(entry.value)
    if entry.value is None:
        return "" if info.kind in ("text", "file", "directory") else "none"
    return entry.value


# --- writing ---


def write_parameters(path: Path, text: str) -> None:
    """Write a parameter file in one go.

    Raises
    ------
    ParameterError
        If it cannot be written.
    """
    from sofia_engine.product import write_atomically

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda stream: stream.write(text.encode("utf-8")))
    except OSError as error:
        raise ParameterError(f"The parameter file {path} cannot be written: {error.strerror}.") from error


def format_parameters(
    settings: Settings,
    *,
    old_form: bool = False,
    notes: Sequence[str] = (),
    used: Mapping[int, Sequence[ReferenceRecord]] | None = None,
    values: Mapping[int, Mapping[str, Any]] | None = None,
) -> str:
    """Return the text of a parameter file with all visible parameters of a recipe.

    Parameters
    ----------
    settings : Settings
        The values.
    old_form : bool
        Write the INI form of the reference pipeline rather than TOML.
    notes : sequence of str
        Lines of comment for the head of the file.
    used : mapping of int to sequence of ReferenceRecord
        Reference files that were used, by position of the step; written as comments.
    values : mapping of int to mapping of str to value
        Values that steps were run with, by position and key, where they are not those of ``settings``.
    """
    writer = _IniWriter if old_form else _TomlWriter
    return writer(settings, tuple(notes), used or {}, values or {}).format()


@dataclass(frozen=True)
class _Writer:
    settings: Settings
    notes: tuple[str, ...]
    used: Mapping[int, Sequence[ReferenceRecord]]
    values: Mapping[int, Mapping[str, Any]]

    @property
    def recipe(self) -> Recipe:
        return self.settings.recipe

    def shown(self, index: int) -> Iterator[tuple[ParameterInfo, Any]]:
        """Visible parameters of a step with their values."""
        infos = [info for info in self.settings.infos(index) if info.level != "hidden"]
        values = self.settings.parameters(index).by_key() | dict(self.values.get(index, {}))
        return ((info, values[info.key]) for info in infos)

    def references(self, index: int) -> list[str]:
        return [
            f"used: {record.role.replace('_', ' ')} {record.name} (SHA-256 {record.sha256})"
            for record in self.used.get(index, ())
        ]


class _IniWriter(_Writer):
    def format(self) -> str:
        lines = [
            f"# SOFIA Desk parameters for {self.recipe.instrument} instrument in {self.recipe.mode} mode",
            f"# Pipeline: SOFIA_DESK v{__version__.replace('.', '_')}",
            *_comment(self.notes),
        ]
        for index, step in enumerate(self.recipe.steps):
            lines.append(f"[{index + 1}: {step.key}]")
            lines += _comment(self.references(index), indent="    ")
            lines += [f"    {info.key} = {format_ini_value(value)}" for info, value in self.shown(index)]
        return "\n".join(lines) + "\n"


class _TomlWriter(_Writer):
    def format(self) -> str:
        head = [
            f"SOFIA Desk {__version__}: parameters of {self.recipe.instrument} {self.recipe.mode} ({self.recipe.name})",
            *self.notes,
        ]
        lines = [*_comment(head), ""]
        for index in range(len(self.recipe.steps)):
            lines += self._format_step(index)
        return "\n".join(lines)

    def _format_step(self, index: int) -> list[str]:
        step = self.recipe.steps[index]
        lines = [f"# --- {index + 1}. {step.label} ---", f"[{_toml_key(step.key)}]", *_comment(self.references(index))]
        for info, value in self.shown(index):
            lines += ["", *_comment(self._describe(index, info)), f"{_toml_key(info.key)} = {_toml_value(value)}"]
        return [*lines, ""]

    def _describe(self, index: int, info: ParameterInfo) -> list[str]:
        default = getattr(self.settings.defaults(index), info.name)
        origin = self.settings.origin(index, info.key)
        unit = f" ({info.unit})" if info.unit else ""
        words = {"data": "for these data", "file": "set by a file", "user": "set by the user"}
        facts = [f"{info.allowed}{unit}", f"default: {_toml_value(_plain(default))}"]
        if origin in words:
            facts.append(words[origin])
        return [f"{info.label}: {info.help}" if info.help else info.label, "; ".join(facts)]


def _comment(lines: Sequence[str], indent: str = "") -> list[str]:
    import textwrap

    return [
        f"{indent}# {part}".rstrip()
        for line in lines
        for part in textwrap.wrap(" ".join(_printable(line).split()), _WIDTH) or [""]
    ]


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


def _toml_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _toml_text(key)


def _toml_text(text: str) -> str:
    import json

    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _toml_value(value: Any) -> str:
    if value is None:
        return '"none"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml_value(item) for item in value) + "]"
    return _toml_text(value) if isinstance(value, str) else repr(value)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
