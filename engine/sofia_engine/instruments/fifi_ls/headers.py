"""Headers of FIFI-LS products: made complete, merged, and kept up to date."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from astropy.io import fits

from sofia_engine.header.association import associate_raw
from sofia_engine.header.cards import Card
from sofia_engine.header.merging import MergedHeader, Rule, merge_headers, observation_time, select_base
from sofia_engine.header.requirements import Requirement, parse_requirements
from sofia_engine.instruments.fifi_ls.mode import is_asymmetric, read_text

__all__ = [
    "complete_header",
    "find_file_number",
    "find_requirements",
    "join_file_numbers",
    "join_range",
    "merge_observations",
]

_CONVERTERS: Mapping[str, tuple[Any, Any]] = {
    "float": (float, -9999.0),
    "int": (int, -9999),
    "text": (str, "UNKNOWN"),
    "bool": (bool, False),
}
_FIXED: tuple[Card, ...] = (
    ("EQUINOX", 2000.0, "Equinox of celestial coordinates"),
    ("RADESYS", "FK5", "Celestial reference system"),
    ("TIMESYS", "UTC", "Time system"),
    ("TIMEUNIT", "s", "Time unit"),
)


@cache
def _read_table() -> Mapping[str, Any]:
    with Path(__file__).with_name("keywords.toml").open("rb") as stream:
        return MappingProxyType(tomllib.load(stream))


@cache
def find_requirements() -> tuple[Requirement, ...]:
    """Return what the keywords of raw data must be."""
    return parse_requirements(_read_table()["required"])


@cache
def _merging_rules(*, asymmetric: bool) -> Mapping[str, Rule]:
    """Rules by keyword. With nods on empty sky, times and exposures are those of the on-source file alone."""
    table: dict[Rule, list[str]] = _read_table()["merging"]
    return MappingProxyType(
        {
            keyword: rule
            for rule, keywords in table.items()
            for keyword in keywords
            if not (asymmetric and rule in ("LAST", "SUM"))
        }
    )


@cache
def _defaults() -> Mapping[str, Any]:
    table = _read_table()
    defaults = {keyword: _CONVERTERS[kind][1] for kind, keywords in table["added"].items() for keyword in keywords}
    return MappingProxyType(dict(sorted((defaults | table["values"]).items())))


@cache
def _kinds() -> Mapping[str, str]:
    return MappingProxyType(
        {keyword: kind for kind, keywords in _read_table()["added"].items() for keyword in keywords}
    )


def complete_header(header: fits.Header) -> list[Card]:
    """Return the cards that a raw header lacks or that have a value of another type, and those of associations.

    Parameters
    ----------
    header : Header
        As recorded.

    Notes
    -----
    A value that cannot be converted is left as it is; the check of the header has told of it.
    """
    cards: list[Card] = []
    for keyword, default in _defaults().items():
        if keyword not in header or isinstance(header[keyword], fits.card.Undefined):
            cards.append((keyword, default, ""))
        elif keyword in _kinds():
            cards += _converted(keyword, header[keyword])
    cards += associate_raw(header)
    if not read_text(header, "FILENUM"):
        cards.append(("FILENUM", find_file_number(header), "Raw file number"))
    return [*cards, *_update_times(header, cards)]


def _converted(keyword: str, value: Any) -> list[Card]:
    convert = _CONVERTERS[_kinds()[keyword]][0]
    try:
        converted = convert(value)
    except (TypeError, ValueError):
        return []
    return [] if converted == value and type(converted) is type(value) else [(keyword, converted, "")]


def _update_times(header: fits.Header, cards: Iterable[Card] = ()) -> list[Card]:
    """Cards of frame, exposure, and begin and end of the observation."""
    values = {k: header.get(k) for k in ("EXPTIME", "DATE-OBS", "UTCSTART", "UTCEND")}
    values |= {keyword: value for keyword, value, _ in cards if keyword in values}
    day = str(values["DATE-OBS"]).strip().partition("T")[0]
    begin, end = (f"{day}T{_time_of_day(values[keyword])}" for keyword in ("UTCSTART", "UTCEND"))
    return [
        *_FIXED,
        ("XPOSURE", values["EXPTIME"], "Exposure time [s]"),
        ("DATE-BEG", begin, "Start of observation (UTC)"),
        ("DATE-END", end, "End of observation (UTC)"),
        ("TELAPSE", _seconds_between(begin, end), "Time elapsed [s]"),
    ]


def _time_of_day(value: Any) -> str:
    text = str(value or "").strip()
    return "00:00:00" if text.upper() in ("", "UNKNOWN", "NONE") else text


def _seconds_between(begin: str, end: str) -> float:
    try:
        elapsed = datetime.fromisoformat(end) - datetime.fromisoformat(begin)
    except ValueError:
        return 0.0
    return round(elapsed.total_seconds(), 5)


def find_file_number(header: fits.Header) -> str:
    """Return the number of a raw file: from OBS_ID, else from the beginning of FILENAME, else UNKNOWN."""
    found = re.findall(r"[BR](\d+)", read_text(header, "OBS_ID"))
    if found:
        return str(found[-1])
    start = str(header.get("FILENAME", "")).strip()[:5]
    return start if start.isdigit() else "UNKNOWN"


def _split_numbers(numbers: Iterable[str]) -> list[str]:
    parts = {part.strip() for number in numbers for part in str(number).split("-")}
    return sorted((part for part in parts if part.isdigit()), key=int)


def join_file_numbers(numbers: Iterable[str]) -> str:
    """Return file numbers joined: one, ``a-b`` for two; of more the first and the last two; UNKNOWN for none."""
    parts = _split_numbers(numbers)
    if not parts:
        return "UNKNOWN"
    return "-".join(parts if len(parts) < 3 else [parts[0], *parts[-2:]])


def join_range(numbers: Iterable[str]) -> str:
    """Return the first and the last of file numbers: ``00001-00008``; UNKNOWN for none."""
    parts = _split_numbers(numbers)
    if not parts:
        return "UNKNOWN"
    return parts[0] if len(parts) == 1 else f"{parts[0]}-{parts[-1]}"


def merge_observations(headers: Sequence[fits.Header]) -> MergedHeader:
    """Merge the headers of several observations into one.

    Parameters
    ----------
    headers : sequence of Header
        At least one. The base is the earliest one; with nods on empty sky the earliest of nod A, whose times and
        exposures then hold for the whole.

    Returns
    -------
    MergedHeader
        With joined file numbers, and times brought up to date. A single header is returned as it is.
    """
    if len(headers) == 1:
        return MergedHeader(headers[0].copy())
    asymmetric = is_asymmetric(headers[0])
    base = select_base(headers) if asymmetric else min(headers, key=observation_time)
    merged = merge_headers(headers, _merging_rules(asymmetric=asymmetric), base)
    header = merged.header
    header["FILENUM"] = join_file_numbers(str(h.get("FILENUM", "")) for h in headers)
    for keyword, value, comment in _update_times(header):
        header[keyword] = (value, comment)
    return merged
