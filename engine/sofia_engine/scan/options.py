"""What is said of scan reductions as ``key=value``, and what it means in each round."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sofia_engine.errors import ParameterError
from sofia_engine.scan.option_table import OPTION_KEYS, ScanOptions, assign_option, find_limits, option_help

__all__ = ["OPTION_KEYS", "ScanOptions", "ScanPlan", "option_help", "read_scan_options"]

OFF = ("off", "no", "none", "f", "false", "0")
ON = ("on", "yes", "t", "true", "1")
ALIASES = {
    "sky": "correlated.sky", "gradients": "correlated.gradients", "obs-channels": "correlated.obs-channels",
    "array": "correlated.obs-channels", "spexels": "correlated.spexels", "spaxels": "correlated.spaxels",
    "rows": "correlated.rows", "cols": "correlated.cols", "whiten": "filter.whiten", "filter": "filter.whiten",
    "motion": "filter.motion", "kill": "filter.kill", "nonlinearity": "correlated.nonlinearity",
    "telescope-x": "correlated.telescope-x", "telescope-y": "correlated.telescope-y",
    "correlated.accel-|x|": "correlated.accel-abs-x",
    "correlated.accel-|y|": "correlated.accel-abs-y", "size": "map.size",
}  # fmt: skip
"""Other spellings of first parts of names."""
SMOOTHING = {"minimal": 0.3, "halfbeam": 0.5, "2/3beam": 2.0 / 3.0, "beam": 1.0}
"""Names of smoothing lengths, in beams."""


@dataclass(frozen=True)
class ScanPlan:
    """Options of all rounds.

    Attributes
    ----------
    base : ScanOptions
        Of rounds nothing else is said of.
    changes : mapping of int to mapping of str to object
        Values from a round on, by name; rounds count from 1, from the last backwards with -1, -2, ....
    """

    base: ScanOptions
    changes: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)

    def at(self, number: int) -> ScanOptions:
        """Options of a round, from 1; changes stay for the later rounds."""
        options = self.base
        rounds = self.base.rounds
        when = {(n if n > 0 else rounds + 1 + n): n for n in sorted(self.changes, key=lambda n: (n < 0, n))}
        for start in sorted(when):
            if start <= number:
                for n in (start, start - rounds - 1):
                    for key, value in self.changes.get(n, {}).items():
                        options = assign_option(options, key, value)
        return options

    @property
    def last(self) -> ScanOptions:
        """Options of the last round."""
        return self.at(self.base.rounds)


DEFAULT_SCHEDULE: Mapping[int, Mapping[str, Any]] = {
    1: {"despike.level": 30.0, "clip": 30.0, "blank": 30.0, "gains": False},
    2: {"despike.level": 10.0, "clip": 10.0, "blank": 10.0},
    3: {"despike.level": 8.0, "clip": 4.0},
    4: {"despike.level": 6.0, "clip": 3.0},
    6: {"gains": True},  # the source is known by now, and is not taken for a gain
    -2: {"filter.whiten": True},
    -1: {"clip": None, "blank": None, "exposureclip": 0.04, "smooth": 0.0},
}
"""What changes from round to round, unless it is given."""
_PRESETS: Mapping[str, tuple[Mapping[str, Any], Mapping[int, Mapping[str, Any]] | None]] = {
    "extended": ({"rounds": 60, "drifts": 300.0, "source.sign": "+"}, None),
    "bright": (
        {"correlated.sky": False, "source.fixedgains": True, "despike": False, "smooth": 0.0, "blank": 30.0,
         "weighting.noiserange": (0.3, 10.0), "clip": None},
        {1: {"estimator": "median", "gains": False}, 2: {"estimator": "maximum-likelihood"}, 6: {"gains": True}},
    ),
    "faint": (
        {},
        {
            1: {"despike.level": 10.0, "clip": 30.0, "blank": 30.0, "gains": False},
            2: {"despike.level": 8.0, "clip": 10.0, "blank": 10.0}, 3: {"despike.level": 6.0, "clip": 4.0},
            4: {"clip": 2.0}, 6: {"gains": True}, -2: {"filter.whiten": True},
            -1: {"clip": None, "blank": None, "exposureclip": 0.04},
        },
    ),
    "deep": (
        {"weighting.scans": True, "source.filter": True},
        {
            1: {"despike.level": 10.0, "gains": False, "source": False}, 3: {"despike.level": 8.0},
            4: {"despike.level": 6.0, "filter.whiten": True}, 6: {"gains": True},
            -1: {"source": True, "exposureclip": 0.3},
        },
    ),
}  # fmt: skip
"""Defaults that go with a word: values for all rounds, and a schedule in place of the usual one."""


def read_scan_options(text: str, base: Mapping[str, Any] | None = None) -> ScanPlan:
    """Return the options of a reduction from what the user says.

    Parameters
    ----------
    text : str
        ``key=value``, separated by blanks. ``key@3=value`` holds from round 3 on, ``key@-1=value`` in the last;
        ``iteration.3.key=value`` and ``last.key=value`` are older spellings. A word without a value turns an option on,
        ``forget=key`` or ``blacklist=key`` turns it off.
    base : mapping of str to object, optional
        Values of the instrument.

    Returns
    -------
    ScanPlan
        A value that is given for all rounds replaces the usual schedule of that option.

    Raises
    ------
    ParameterError
        If an option is not known or a value cannot be used.
    """
    given: dict[int, dict[str, Any]] = {}
    for word in text.split():
        round_number, key, value = _read_word(word)
        given.setdefault(round_number, {})[key] = value
    fixed = given.pop(0, {})
    chosen = [name for name in _PRESETS if fixed.get(name, (base or {}).get(name, False))]
    presets = {key: value for name in chosen for key, value in _PRESETS[name][0].items()}
    schedule = next((s for s in (_PRESETS[name][1] for name in reversed(chosen)) if s is not None), DEFAULT_SCHEDULE)
    values = {**(base or {}), **presets, **fixed}
    options = ScanOptions()
    for key, value in values.items():
        options = assign_option(options, key, value)
    changes: dict[int, dict[str, Any]] = {}
    for source, kept in ((schedule, fixed), (given, {})):
        for number, part in source.items():
            changes.setdefault(number, {}).update({k: v for k, v in part.items() if k not in kept})
    _check_rounds(given, options.rounds)
    return ScanPlan(options, changes)


def _check_rounds(given: Mapping[int, Any], rounds: int) -> None:
    for number in given:
        if not 1 <= abs(number) <= rounds:
            raise ParameterError(
                f"scan_options: there is no round {number}, there are {rounds}; set rounds too, or another round."
            )


def _read_word(word: str) -> tuple[int, str, Any]:
    """Round (0 for all), name and value."""
    name, equals, value = word.partition("=")
    if equals and name in ("forget", "blacklist"):
        key = _find_key(value)
        return 0, key, _switch_off(key)
    if equals and name in ("add", "recall", "lock"):
        return _read_word(value)
    number, name = _split_round(name.lower())
    key = _find_key(name)
    return number, key, _read_value(key, value if equals else "true")


def _split_round(name: str) -> tuple[int, str]:
    """The round a name is for, and the name."""
    number: str | int = 0
    if "@" in name:
        name, number = name.split("@", 1)
    elif name.startswith("iteration."):
        number, _, name = name.removeprefix("iteration.").partition(".")
    elif name.startswith(("last.", "final.")):
        number, name = -1, name.partition(".")[2]
    number = {"last": -1, "final": -1, "first": 1}.get(str(number), number)
    try:
        return int(number), name
    except ValueError:
        raise ParameterError(
            f"scan_options: {number!r} is no round; give a number such as 3, or -1 for the last round."
        ) from None


def _find_key(name: str) -> str:
    name = name.lower()
    for alias, full in ALIASES.items():
        if name == alias or name.startswith(f"{alias}."):
            candidate = full + name[len(alias) :]
            if candidate in OPTION_KEYS:
                return candidate
    if name in OPTION_KEYS:
        return name
    close = difflib.get_close_matches(name, OPTION_KEYS, 1)
    hint = f"did you mean {close[0]}?" if close else "the manual of the Resample step lists all."
    raise ParameterError(f"scan_options: there is no option {name!r}; {hint}")


def _switch_off(key: str) -> Any:
    kind, _, _ = option_help(key)
    if kind == "bool":
        return False
    if kind == "level":
        return None
    raise ParameterError(f"scan_options: {key} cannot be turned off; give it a value.")


def _read_value(key: str, text: str) -> Any:
    kind, _, _ = option_help(key)
    try:
        value = _convert(kind, text.strip())
    except ValueError:
        raise ParameterError(f"scan_options: {key}={text} cannot be used; {_describe_kind(kind)}.") from None
    _check_limits(key, value)
    return value


def _convert(kind: str, text: str) -> Any:
    readers: Mapping[str, Callable[[str], Any]] = {
        "bool": _switch,
        "whole": int,
        "number": _number,
        "level": lambda t: None if t.lower() in OFF[:-1] else _number(t),
        "seconds": lambda t: {"auto": None, "max": math.inf}[t] if t in ("auto", "max") else _number(t),
        "range": _range,
        "speeds": _speeds,
        "auto": lambda t: None if t == "auto" else _number(t),
        "numbers": lambda t: tuple(_number(part) for part in t.split(",")),
        "wholes": _list_wholes,
        "bands": lambda t: tuple(_range(part) for part in t.split(",")),
        "frames": _frames,
        "pair": lambda t: tuple(_number(part) for part in t.replace("x", ",").split(",")),
        "smoothing": lambda t: t if t in SMOOTHING else 0.0 if t == "none" else _number(t),
    }
    if kind in readers:
        return readers[kind](text)
    if text not in kind.split("|"):
        raise ValueError
    return text


def _switch(text: str) -> bool:
    if text.lower() not in (*ON, *OFF):
        raise ValueError
    return text.lower() in ON


def _speeds(text: str) -> tuple[float, float] | None:
    if text == "auto":
        return None
    return (0.0, math.inf) if text in OFF[:-1] else _range(text)


def _frames(text: str) -> tuple[int, int]:
    first, colon, last = text.partition(":")
    if not colon:
        raise ValueError
    return 0 if first == "*" else int(first), -1 if last == "*" else int(last)


def _list_wholes(text: str) -> tuple[int, ...]:
    """Whole numbers, also as 3-7."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return tuple(found)


def _number(text: str) -> float:
    value = float(text)
    if math.isnan(value):
        raise ValueError
    return value


def _range(text: str) -> tuple[float, float]:
    low, colon, high = text.partition(":")
    if not colon:
        raise ValueError
    made = 0.0 if low == "*" else _number(low), math.inf if high == "*" else _number(high)
    if made[0] > made[1]:
        raise ValueError
    return made


def _describe_kind(kind: str) -> str:
    words = {
        "bool": "give true or false", "whole": "give a whole number", "number": "give a number",
        "level": "give a number, or off", "seconds": "give seconds, auto or max",
        "range": "give two numbers such as 0.3:3", "speeds": "give two numbers such as 0.3:3, auto, or off",
        "pair": "give numbers such as 4,0.05", "auto": "give a number, or auto",
        "numbers": "give numbers such as 0.5,1.2", "wholes": "give whole numbers such as 3,7-9",
        "bands": "give ranges such as 0.1:0.2,1:1.2", "frames": "give two whole numbers such as 10:-10",
        "smoothing": f"give arcsec, none, or one of {', '.join(SMOOTHING)}",
    }  # fmt: skip
    return words.get(kind, f"give one of {', '.join(kind.split('|'))}")


def _check_limits(key: str, value: Any) -> None:
    low, high = find_limits(key)
    parts: Sequence[Any] = value if isinstance(value, tuple) else (value,)
    flat = [part for entry in parts for part in (entry if isinstance(entry, tuple) else (entry,))]
    for part in flat:
        if isinstance(part, (int, float)) and not isinstance(part, bool) and not low <= part <= high:
            raise ParameterError(f"scan_options: {key} = {part:g} is out of range; give {low:g} to {high:g}.")
    most = {"grid": 2, "map.size": 3}.get(key)
    if most is not None and value is not None and not 1 <= len(parts) <= most:
        words = {2: "one or two", 3: "one to three"}[most]
        raise ParameterError(f"scan_options: {key} has {len(parts)} numbers; give {words}.")
