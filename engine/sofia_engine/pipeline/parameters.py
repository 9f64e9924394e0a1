"""Parameters of steps: one typed declaration from which forms, files, help, manual and validation come."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, Self, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from sofia_engine.errors import ParameterError

__all__ = [
    "Condition",
    "Level",
    "ParameterInfo",
    "Parameters",
    "Pick",
    "SavedOutput",
    "Setting",
    "parameter",
    "suggest",
]

Level = Literal["basic", "expert", "hidden"]
Kind = Literal["bool", "int", "float", "text", "choice", "list", "file", "directory"]
Pick = Literal[
    "", "file", "directory", "aperture positions", "aperture radii", "psf radii", "background regions", "aperture signs"
]
"""How a value can be pointed at: in a file dialog, or in the spatial profile of a slit spectrum."""

Condition = Mapping[str, Any]
"""Values that parameters of a step must have, by attribute."""

_TRUE = frozenset({"true", "yes", "on", "1", "1.0"})
_FALSE = frozenset({"false", "no", "off", "0", "0.0", "", "none"})
_NOTHING = frozenset({"", "none"})
_PLURALS = {"float": "numbers", "int": "whole numbers", "str": "texts", "bool": "True or False"}


def parameter(
    default: Any,
    *,
    label: str,
    help: str,  # noqa: A002
    key: str = "",
    unit: str = "",
    level: Level = "basic",
    pick: Pick = "",
    picked_with: Mapping[str, Any] | None = None,
    group: str = "",
    applies_when: Condition | Sequence[Condition] = (),
    **limits: Any,
) -> Any:
    """Declare one parameter of a step.

    Parameters
    ----------
    default : value
        Built-in default; a recipe may replace it by one that depends on the data.
    label : str
        Name in forms and in the manual.
    help : str
        What it does to the data, in a sentence or two.
    key : str
        Name in parameter files if it differs from the attribute.
    unit : str
        Unit of the value; empty for pure numbers and words.
    level : {"basic", "expert", "hidden"}
        Where forms show it; hidden ones are neither shown, written nor logged.
    pick : {"", "file", "directory", "aperture positions", ...}
        How the value can be pointed at. Files and directories are names. The others are places along the slit, as text
        of `sofia_engine.spectroscopy.apertures.parse_lists` or `parse_regions`, that programs let the user drag.
    picked_with : mapping of str to value, optional
        Values that other parameters of the step must have for a value that is pointed at to hold, by attribute.
    group : str
        Heading under which forms put it.
    applies_when : mapping of str to value, or several
        Values that other parameters of the step must have for this one to have an effect, by attribute: True or False
        for any value that counts as such, a tuple for one of several. Of several mappings one is enough. Forms grey or
        hide it otherwise; its value is kept.
    **limits
        ``ge``, ``gt``, ``le``, ``lt``, ``min_length``, ``max_length`` as in pydantic.
    """
    conditions = (applies_when,) if isinstance(applies_when, Mapping) else tuple(applies_when)
    extra: dict[str, Any] = {
        "label": label, "unit": unit, "level": level, "pick": pick, "picked_with": dict(picked_with or {}),
        "group": group, "applies_when": conditions,
    }  # fmt: skip
    return Field(default, alias=key or None, description=help, json_schema_extra=extra, **limits)


@dataclass(frozen=True)
class ParameterInfo:
    """What forms, files and the manual need to know of one parameter."""

    name: str
    key: str
    kind: Kind
    default: Any
    label: str
    help: str
    unit: str = ""
    level: Level = "basic"
    group: str = ""
    choices: tuple[Any, ...] = ()
    item: str = ""
    """Type of the items of a list."""
    limits: Mapping[str, float] = field(default_factory=dict)
    optional: bool = False
    """None is a value."""
    pick: Pick = ""
    """How the value can be pointed at."""
    picked_with: Mapping[str, Any] = field(default_factory=dict)
    """Values of other parameters with which one that is pointed at holds."""
    applies_when: tuple[Condition, ...] = ()
    """Values that other parameters must have for this one to have an effect; one of several mappings is enough."""

    def find_obstacle(self, values: Mapping[str, Any]) -> str:
        """Return the name of the parameter whose value takes the effect from this one; empty if it has its effect.

        Parameters
        ----------
        values : mapping of str to value
            Values of all parameters of the step, by attribute.
        """
        obstacles = [_find_obstacle(condition, values) for condition in self.applies_when]
        return obstacles[0] if obstacles and all(obstacles) else ""

    @property
    def allowed(self) -> str:
        """The allowed values in words."""
        if self.choices:
            words = "one of " + ", ".join(f"'{choice}'" for choice in self.choices)
            return f"{words}, or None" if self.optional else words
        signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<", "min_length": "at least", "max_length": "at most"}
        bounds = " and ".join(f"{signs[name]} {value:g}" for name, value in self.limits.items())
        if bounds and self.kind not in ("int", "float"):
            bounds = f"of {bounds} {'values' if self.kind == 'list' else 'characters'}"
        kinds = {
            "bool": "True or False",
            "int": "a whole number",
            "float": "a number",
            "list": f"a list of {_PLURALS.get(self.item, 'values')}",
        }
        words = " ".join(part for part in (kinds.get(self.kind, "a text"), bounds) if part)
        return f"{words}, or None" if self.optional else words


@dataclass(frozen=True)
class Setting:
    """A value somebody gave a parameter, and where."""

    value: Any
    origin: Literal["data", "file", "user"] = "user"
    source: str = ""
    """File and line, or the option of the command line."""


class Parameters(BaseModel):
    """Base of the parameters of a step: frozen, nothing unknown, text converted strictly.

    Values may come as text (from parameter files, from the command line); then ``True/False/yes/no/on/off/1/0/none``
    are the only words for a switch, choices are matched in any case, lists are split at commas.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, validate_default=True, allow_inf_nan=False
    )
    retired: ClassVar[tuple[str, ...]] = ()
    """Keys of old parameter files that have no meaning any more; they are read without complaint."""

    @model_validator(mode="before")
    @classmethod
    def _read_text(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        by_key = {info.key: info for info in cls.infos()} | {info.name: info for info in cls.infos()}
        return {k: _from_text(v, by_key[k]) if k in by_key else v for k, v in values.items()}

    @classmethod
    def infos(cls) -> tuple[ParameterInfo, ...]:
        """Describe all parameters, in order."""
        cached: tuple[ParameterInfo, ...] | None = cls.__dict__.get("_infos_of_class")
        if cached is None:
            cached = tuple(_describe(name, info) for name, info in cls.model_fields.items())
            cls._infos_of_class = cached  # type: ignore[attr-defined]
        return cached

    @classmethod
    def info(cls, key: str) -> ParameterInfo:
        """Describe the parameter of that key or name.

        Raises
        ------
        ParameterError
            If there is none; names the closest.
        """
        for info in cls.infos():
            if key in (info.key, info.name):
                return info
        known = [info.key for info in cls.infos() if info.level != "hidden"]
        raise ParameterError(f"There is no parameter '{key}'{suggest(key, known)}.")

    @classmethod
    def make(cls, settings: Mapping[str, Setting], *, step: str = "") -> Self:
        """Validate settings, given by key or name.

        Raises
        ------
        ParameterError
            Names every unknown key and every bad value at once, with what is allowed and where it was set.
        """
        problems = [problem for key, setting in settings.items() for problem in cls._unknown(key, setting, step)]
        known = {key: setting for key, setting in settings.items() if cls._knows(key)}
        try:
            made = cls.model_validate({cls.info(key).key: setting.value for key, setting in known.items()})
        except ValidationError as error:
            problems += [_explain(problem, cls, known, step) for problem in error.errors()]
            raise ParameterError("\n".join(dict.fromkeys(problems))) from None
        if problems:
            raise ParameterError("\n".join(dict.fromkeys(problems)))
        return made

    def with_values(self, **values: Any) -> Self:
        """Return a copy with other values, validated."""
        current = {info.key: Setting(getattr(self, info.name)) for info in self.infos()}
        return self.make(current | {self.info(name).key: Setting(value) for name, value in values.items()})

    def by_key(self, *, hidden: bool = False) -> dict[str, Any]:
        """Return the values by their keys in parameter files."""
        return {info.key: _plain(getattr(self, info.name)) for info in self.infos() if hidden or info.level != "hidden"}

    @classmethod
    def _knows(cls, key: str) -> bool:
        return any(key in (info.key, info.name) for info in cls.infos())

    @classmethod
    def _unknown(cls, key: str, setting: Setting, step: str) -> Iterator[str]:
        if not cls._knows(key):
            known = [info.key for info in cls.infos() if info.level != "hidden"]
            yield f"{_path(step, key)}: there is no such parameter{suggest(key, known)}{_where(setting)}."


class SavedOutput(Parameters):
    """Mix-in of every step that makes products."""

    save: bool = parameter(False, label="Save output", help="Write the products of this step to the output directory.")


def suggest(word: str, known: Iterable[str]) -> str:
    """Return a clause that names the closest known word, or all of them if none is close."""
    known = sorted(set(known))
    close = difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    if close:
        return f" (did you mean '{close[0]}'?)"
    return f" (known: {', '.join(known)})" if known else ""


def _describe(name: str, info: FieldInfo) -> ParameterInfo:
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    kind, choices, item = _kind_of(info.annotation)
    pick: Pick = extra.get("pick", "")  # type: ignore[assignment]
    return ParameterInfo(
        name=name,
        key=info.alias or name,
        kind=pick if pick in ("file", "directory") else kind,
        default=None if info.default is PydanticUndefined else info.default,
        label=str(extra.get("label", "")),
        help=info.description or "",
        unit=str(extra.get("unit", "")),
        level=extra.get("level", "basic"),  # type: ignore[arg-type]
        group=str(extra.get("group", "")),
        choices=choices,
        item=item,
        limits=_limits(info),
        optional=type(None) in get_args(info.annotation),
        pick=pick,
        picked_with=extra.get("picked_with", {}),  # type: ignore[arg-type]
        applies_when=extra.get("applies_when", ()),  # type: ignore[arg-type]
    )


def _find_obstacle(condition: Condition, values: Mapping[str, Any]) -> str:
    """Return the name of the first parameter that has not the value it must have."""
    return next((n for n, wanted in condition.items() if n in values and not _holds(values[n], wanted)), "")


def _holds(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, bool):
        return bool(value.strip() if isinstance(value, str) else value) == wanted
    return value in wanted if isinstance(wanted, tuple) else bool(value == wanted)


def _kind_of(annotation: Any) -> tuple[Kind, tuple[Any, ...], str]:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _kind_of(get_args(annotation)[0])
    if origin is Literal:
        return "choice", get_args(annotation), ""
    if origin in (tuple, list):
        return "list", (), getattr(get_args(annotation)[0], "__name__", "")
    if origin in (Union, types.UnionType):
        inner = [a for a in get_args(annotation) if a is not type(None)]
        return _kind_of(inner[0])
    kinds: dict[Any, Kind] = {bool: "bool", int: "int", float: "float"}
    return kinds.get(annotation, "text"), (), ""


def _limits(info: FieldInfo) -> dict[str, float]:
    names = ("ge", "gt", "le", "lt", "min_length", "max_length")
    return {n: getattr(m, n) for m in info.metadata for n in names if getattr(m, n, None) is not None}


def _from_text(value: Any, info: ParameterInfo) -> Any:
    if value is None:
        return value
    if info.optional and isinstance(value, str) and value.strip().lower() in _NOTHING:
        return None
    if info.kind == "list" and not isinstance(value, (list, tuple)):
        return _split_list(value)
    if info.kind in ("int", "float"):
        # a switch is no number: as a text it is refused
        return str(value) if isinstance(value, bool) else value
    if not isinstance(value, str):
        return value
    text = value.strip()
    if info.kind == "bool":
        return _switch(text)
    if info.kind == "choice":
        return next((c for c in info.choices if str(c).lower() == text.lower()), text)
    return value


def _split_list(value: Any) -> Any:
    if not isinstance(value, str):
        return [value]
    parts = [part.strip().strip("'\"") for part in value.strip().strip("[]()").split(",")]
    return [part for part in parts if part]


def _switch(text: str) -> Any:
    word = text.lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    return text


def _explain(problem: Any, model: type[Parameters], settings: Mapping[str, Setting], step: str) -> str:
    if not problem["loc"]:  # a rule about several parameters
        sources = "".join(dict.fromkeys(_where(setting) for setting in settings.values()))
        return f"{step or 'Parameters'}: {_own_words(problem)}{sources}."
    info = model.info(str(problem["loc"][0]))
    given = [setting for key, setting in settings.items() if key in (info.key, info.name)]
    setting = given[-1] if given else Setting(problem.get("input"))
    unit = f" {info.unit}" if info.unit else ""
    allowed = info.allowed + (f" ({info.unit})" if info.unit else "")
    if problem["type"] == "value_error":
        allowed = _own_words(problem)
    return f"{_path(step, info.key)} = {setting.value!r}{unit} is not allowed: it must be {allowed}{_where(setting)}."


def _own_words(problem: Any) -> str:
    return str(problem["msg"]).removeprefix("Value error, ").rstrip(".")


def _path(step: str, key: str) -> str:
    return f"{step}.{key}" if step else key


def _where(setting: Setting) -> str:
    return f" [{setting.source}]" if setting.source else ""


def _plain(value: Any) -> Any:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return list(value)
    return value
