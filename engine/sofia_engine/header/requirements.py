"""Requirements on header keywords: a table, its evaluation, and one readable list of what is wrong."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from astropy.io import fits

__all__ = [
    "Kind",
    "Requirement",
    "Severity",
    "Violation",
    "check_header",
    "holds",
    "list_violations",
    "parse_requirements",
]

Kind = Literal["bool", "int", "float", "text"]
Severity = Literal["error", "warning"]

_COMPARISON = re.compile(r"^\s*([A-Za-z0-9_-]+)\s*(?:(==|!=|<=|>=|<|>)\s*(\S.*?)\s*)?$")
_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_SWITCHES = {"T": True, "TRUE": True, "F": False, "FALSE": False}
_WORDS: Mapping[Kind, str] = {"bool": "T or F", "int": "a whole number", "float": "a number", "text": "a text"}


@dataclass(frozen=True)
class Requirement:
    """What one keyword must be.

    Parameters
    ----------
    keyword : str
        The keyword.
    kind : {"bool", "int", "float", "text"}
        Type of its value. Types are tolerant: whole floats count as int, int as float, 0 and 1 as bool.
    condition : str
        When it applies, see `holds`; empty for always.
    allowed : tuple
        Allowed values, texts in any case; empty for all.
    minimum, maximum : float, optional
        Limits, included.
    severity : {"error", "warning"}
        How bad a violation is.
    required : bool
        Whether it is a violation if the keyword is missing.
    """

    keyword: str
    kind: Kind
    condition: str = ""
    allowed: tuple[Any, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    severity: Severity = "error"
    required: bool = True


@dataclass(frozen=True)
class Violation:
    """One keyword of one file that is not as required."""

    file: str
    keyword: str
    problem: str
    severity: Severity = "error"


def parse_requirements(rows: Iterable[Mapping[str, Any]]) -> tuple[Requirement, ...]:
    """Make requirements of the rows of a data file.

    Parameters
    ----------
    rows : iterable of mapping
        Keys as the attributes of `Requirement`; ``keyword`` may be a list of keywords that share the rest.

    Raises
    ------
    TypeError
        If a row has a key that is no attribute.
    """
    made: list[Requirement] = []
    for row in rows:
        rest: dict[str, Any] = {k: tuple(v) if k == "allowed" else v for k, v in row.items() if k != "keyword"}
        keywords = row["keyword"] if isinstance(row["keyword"], list) else [row["keyword"]]
        made.extend(Requirement(keyword=keyword, **rest) for keyword in keywords)
    return tuple(made)


def holds(condition: str, values: Mapping[str, Any]) -> bool:
    """Evaluate a condition on keywords.

    Parameters
    ----------
    condition : str
        Comparisons joined by ``&`` (and) inside ``|`` (or): ``CHOPPING & NODBEAM == A | SKYMODE == STARE``. A keyword
        alone means that it is true. Empty: always true.
    values : mapping
        Keywords and their values; a comparison with a missing one is false.

    Raises
    ------
    ValueError
        If the condition cannot be read.
    """
    if not condition.strip():
        return True
    return any(all(_compare(part, values) for part in branch.split("&")) for branch in condition.split("|"))


def check_header(
    header: fits.Header, table: Iterable[Requirement], file: str = "", values: Mapping[str, Any] | None = None
) -> tuple[Violation, ...]:
    """Return everything in a header that is not as required.

    Parameters
    ----------
    header : Header
        The header.
    table : iterable of Requirement
        The requirements, in the order in which violations are listed.
    file : str
        Name of the file, for the list.
    values : mapping, optional
        Values that take precedence over those of the header.
    """
    found = {keyword: header[keyword] for keyword in header if keyword not in ("", "HISTORY", "COMMENT")}
    found |= values or {}
    return tuple(
        Violation(file, row.keyword, problem, row.severity)
        for row in table
        if holds(row.condition, found) and (problem := _find_problem(row, found))
    )


def list_violations(violations: Iterable[Violation]) -> str:
    """Return one line per different violation, each with the files it concerns."""
    files: dict[tuple[str, str], list[str]] = {}
    for violation in violations:
        files.setdefault((violation.keyword, violation.problem), []).append(violation.file)
    keyword_width = max((len(keyword) for keyword, _ in files), default=0)
    problem_width = max((len(problem) for _, problem in files), default=0)
    return "\n".join(
        f"  {keyword:<{keyword_width}}  {problem:<{problem_width}}  {_name_files(names)}".rstrip()
        for (keyword, problem), names in files.items()
    )


def _name_files(names: list[str], most: int = 4) -> str:
    distinct = list(dict.fromkeys(name for name in names if name))
    more = f" and {len(distinct) - most} more" if len(distinct) > most else ""
    return f"({', '.join(distinct[:most])}{more})" if distinct else ""


def _find_problem(row: Requirement, values: Mapping[str, Any]) -> str:
    value = values.get(row.keyword)
    if value is None or isinstance(value, fits.card.Undefined):
        return "is missing" if row.required else ""
    typed = _convert(value, row.kind)
    if typed is None:
        return f"is {value!r}, must be {_WORDS[row.kind]}"
    if row.allowed and not any(_equal(typed, allowed) for allowed in row.allowed):
        return f"is {value!r}, must be {' or '.join(str(allowed) for allowed in row.allowed)}"
    too_low = row.minimum is not None and not typed >= row.minimum
    too_high = row.maximum is not None and not typed <= row.maximum
    return f"is {value!r}, must be {_range(row)}" if too_low or too_high else ""


def _range(row: Requirement) -> str:
    if row.minimum is not None and row.maximum is not None:
        return f"between {row.minimum:g} and {row.maximum:g}"
    return f"at least {row.minimum:g}" if row.minimum is not None else f"at most {row.maximum:g}"


def _convert(value: Any, kind: Kind) -> Any:
    """Return the value as the type wanted, or None if it is of another."""
    if kind == "text":
        return value.strip() if isinstance(value, str) else None
    if kind == "bool":
        return bool(value) if isinstance(value, bool | int | float) and value in (0, 1) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if kind == "int":
        return int(value) if float(value).is_integer() else None
    return float(value)


def _compare(text: str, values: Mapping[str, Any]) -> bool:
    match = _COMPARISON.match(text)
    if not match:
        raise ValueError(f"The condition {text.strip()!r} is not of the form KEYWORD, or KEYWORD == value.")
    keyword, symbol, wanted = match.groups()
    value = values.get(keyword)
    if value is None or isinstance(value, fits.card.Undefined):
        return False
    if symbol is None:
        return _normal(value) in (True, 1)
    found, against = _normal(value), _normal(wanted)
    if isinstance(found, str) != isinstance(against, str):
        return symbol == "!="
    return _OPERATORS[symbol](found, against)


def _normal(value: Any) -> Any:
    """Return text in upper case, numbers in text as numbers, T and F as switches."""
    if not isinstance(value, str):
        return value
    text = value.strip().strip("'\"").upper()
    if text in _SWITCHES:
        return _SWITCHES[text]
    try:
        return float(text)
    except ValueError:
        return text


def _equal(value: Any, allowed: Any) -> bool:
    if isinstance(value, str):
        return value.upper() == str(allowed).upper()
    return bool(value == allowed)
