"""Merging of headers: one header for a product made of several inputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from astropy.io import fits

__all__ = ["MergedHeader", "Rule", "merge_headers", "observation_time", "select_base"]

Rule = Literal["FIRST", "LAST", "MEAN", "SUM", "OR", "AND", "DEFAULT", "CONCATENATE"]

NO_DATE = datetime(3000, 1, 1, tzinfo=UTC)
"""Time of headers without a date: after all others."""


@dataclass(frozen=True, eq=False)
class MergedHeader:
    """A merged header, and what was wrong on the way.

    Parameters
    ----------
    header : Header
        The merged header.
    warnings : tuple of str
        Dates that are missing, rules that were skipped because the values do not fit.
    """

    header: fits.Header
    warnings: tuple[str, ...] = ()


def merge_headers(
    headers: Sequence[fits.Header], rules: Mapping[str, Rule], base: fits.Header | None = None
) -> MergedHeader:
    """Merge headers by rules.

    Parameters
    ----------
    headers : sequence of Header
        At least one; the order does not matter.
    rules : mapping of str to Rule
        What to do with a keyword. Keywords without a rule, and COMMENT and HISTORY, are those of the base.

        FIRST, LAST
            Value of the earliest, latest header (by DATE-OBS) that has the keyword.
        MEAN, SUM
            Of numbers. A sum of whole numbers is one.
        OR, AND
            Of switches.
        DEFAULT
            ``UNKNOWN`` for text, -9999 for numbers.
        CONCATENATE
            Text is split at commas; the different parts are sorted and joined.
    base : Header, optional
        The header to start from; see `select_base` if not given.

    Raises
    ------
    ValueError
        If there are no headers.
    """
    if not headers:
        raise ValueError("There are no headers to merge.")
    ordered = sorted(headers, key=_time_order)
    merged = (base if base is not None else select_base(ordered)).copy()
    warnings = [f"{_name(h)} has no valid DATE-OBS; it is taken as the last." for h in ordered if _has_no_date(h)]
    for keyword, rule in rules.items():
        values = [header[keyword] for header in ordered if _has_value(header, keyword)]
        if not values:
            continue
        value = _COMBINE[rule](values)
        if value is None:
            warnings.append(f"{keyword} is not merged: {rule} does not fit its values {_preview(values)}.")
        else:
            merged[keyword] = value
    return MergedHeader(merged, tuple(warnings))


def select_base(headers: Sequence[fits.Header]) -> fits.Header:
    """Return the earliest header of nod beam A; the earliest of all if there is none."""
    ordered = sorted(headers, key=_time_order)
    return next((h for h in ordered if str(h.get("NODBEAM", "")).strip().upper() == "A"), ordered[0])


def observation_time(header: fits.Header) -> datetime:
    """Return the time in DATE-OBS (UTC); the year 3000 if it is missing or no date."""
    try:
        parsed = datetime.fromisoformat(str(header.get("DATE-OBS", "")).strip())
    except ValueError:
        return NO_DATE
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed


def _time_order(header: fits.Header) -> tuple[datetime, str, str]:
    return observation_time(header), str(header.get("FILENAME", "")), str(header.get("OBS_ID", ""))


def _has_no_date(header: fits.Header) -> bool:
    return observation_time(header) == NO_DATE


def _has_value(header: fits.Header, keyword: str) -> bool:
    return keyword in header and not isinstance(header[keyword], fits.card.Undefined)


def _name(header: fits.Header) -> str:
    return str(header.get("FILENAME", "A file"))


def _preview(values: Sequence[Any]) -> str:
    return ", ".join(repr(value) for value in values[:4])


def _are_numbers(values: Sequence[Any]) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def _mean(values: Sequence[Any]) -> float | None:
    return math.fsum(values) / len(values) if _are_numbers(values) else None


def _sum(values: Sequence[Any]) -> float | int | None:
    if not _are_numbers(values):
        return None
    return sum(values) if all(isinstance(v, int) for v in values) else math.fsum(values)


def _combine_switches(decide: Callable[[Sequence[bool]], bool]) -> Callable[[Sequence[Any]], bool | None]:
    def combine(values: Sequence[Any]) -> bool | None:
        if not all(isinstance(v, int | float) and v in (0, 1) for v in values):
            return None
        return decide([bool(v) for v in values])

    return combine


def _default(values: Sequence[Any]) -> str | float | None:
    if all(isinstance(v, str) for v in values):
        return "UNKNOWN"
    if not _are_numbers(values):
        return None
    return -9999 if all(isinstance(v, int) for v in values) else -9999.0


def _concatenate(values: Sequence[Any]) -> str | None:
    if not all(isinstance(v, str) for v in values):
        return None
    parts = {part.strip() for value in values for part in value.split(",")}
    return ",".join(sorted(part for part in parts if part))


_COMBINE: Mapping[Rule, Callable[[Sequence[Any]], Any]] = {
    "FIRST": lambda values: values[0],
    "LAST": lambda values: values[-1],
    "MEAN": _mean,
    "SUM": _sum,
    "OR": _combine_switches(any),
    "AND": _combine_switches(all),
    "DEFAULT": _default,
    "CONCATENATE": _concatenate,
}
