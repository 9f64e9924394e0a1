"""Text tables with spectra: any separator, with or without header lines."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import InputError
from sofia_viewers.spectrum.columns import Column, split_unit

__all__ = ["read_text_columns"]

_MISSING = frozenset(("nan", "na", "n/a", "--", "-", "null", "none", "...", "", "inf", "-inf", "+inf"))
_COMMENTS = ("#", "!", ";", "\\", "|", "%")
_NO_UNIT = frozenset(("-", "--", "none", ""))
_DECIMAL_COMMA = re.compile(r"(?<=\d),(?=\d)")
_FORTRAN = re.compile(r"(?<=\d)[dD](?=[+-]?\d)")


@dataclass(frozen=True)
class _Line:
    number: int
    text: str
    cells: tuple[str, ...]
    values: tuple[float, ...] | None


def read_text_columns(text: str, source: str) -> list[Column]:
    """Read the columns of a table.

    Parameters
    ----------
    text : str
        Content of the file. Separators are commas, semicolons (then numbers may have decimal commas), tabs, bars or
        blanks; lines that begin with ``#`` are comments. The last line above the numbers that has as many words as the
        table has columns names them, comment or not; units stand in brackets, or in a line of their own below the
        names. Without such a line the columns are wavelength, flux, error, transmission, response.
    source : str
        Name of the file, for messages.

    Raises
    ------
    InputError
        If there are no numbers, or a line below the first numbers has other columns.
    """
    numbered = [(n, line) for n, line in enumerate(text.lstrip("\ufeff").splitlines(), start=1) if line.strip()]
    separator = _find_separator([line for _, line in numbered])
    rows = [_read_line(number, line, separator) for number, line in numbered]
    first = next((i for i, row in enumerate(rows) if row.values is not None), None)
    if first is None:
        raise InputError(f"{source} holds no table of numbers; give columns of wavelength, flux and perhaps error.")
    data = [row for row in rows[first:] if not row.text.startswith(_COMMENTS)]
    count = Counter(len(row.cells) for row in data).most_common(1)[0][0]
    data = [_fill_up(row, count, separator) for row in data]
    values = _collect(data, count, source)
    names, units = _find_names(rows[:first], count)
    return [Column(names[i], values[:, i], units[i]) for i in range(count)]


def _find_separator(lines: list[str]) -> str:
    body = [line for line in lines if not line.lstrip().startswith(_COMMENTS)] or lines
    for separator in (";", ",", "\t", "|"):
        if sum(separator in line for line in body) > len(body) // 2:
            return separator
    return ""


def _split(line: str, separator: str) -> tuple[str, ...]:
    if not separator:
        return tuple(line.split())
    cells = [cell.strip() for cell in re.split(r"\t+" if separator == "\t" else re.escape(separator), line.strip())]
    while len(cells) > 1 and not cells[-1]:
        cells.pop()
    return tuple(cells)


def _read_line(number: int, line: str, separator: str) -> _Line:
    clean = line.strip()
    is_comment = clean.startswith(_COMMENTS) and separator != "|"
    cells = _split(clean, separator)
    if separator == ";":
        cells = tuple(_DECIMAL_COMMA.sub(".", cell) for cell in cells)
    return _Line(number, clean, cells, None if is_comment else _read_values(cells))


def _read_values(cells: tuple[str, ...]) -> tuple[float, ...] | None:
    """Return the numbers of a line; None if a cell is no number, or none of them is one."""
    values = []
    for cell in cells:
        word = _FORTRAN.sub("e", cell.strip().strip("\"'"))
        if word.lower() in _MISSING:
            values.append(np.nan)
            continue
        try:
            values.append(float(word))
        except ValueError:
            return None
    return tuple(values) if np.isfinite(values).any() else None


def _collect(data: list[_Line], count: int, source: str) -> NDArray[np.float64]:
    bad = next((row for row in data if row.values is None and _is_words(row)), None)
    if bad is not None:
        raise InputError(f"{source} cannot be read: line {bad.number} is '{bad.text[:60]}', not {count} numbers.")
    rows = [row.values if row.values is not None else (np.nan,) * count for row in data]
    short = next((row for row, values in zip(data, rows, strict=True) if len(values) != count), None)
    if short is not None:
        raise InputError(
            f"{source} cannot be read: line {short.number} has {len(short.cells)} columns where others have {count}."
        )
    return np.array(rows, dtype=float).reshape(len(rows), count)


def _fill_up(row: _Line, count: int, separator: str) -> _Line:
    """Return a line with empty cells at its end that were passed over, as NaN."""
    missing = count - len(row.cells)
    if row.values is None or missing <= 0 or not separator or row.text.count(separator) != count - 1:
        return row
    return _Line(row.number, row.text, (*row.cells, *[""] * missing), (*row.values, *[np.nan] * missing))


def _is_words(row: _Line) -> bool:
    return any(cell.strip().lower() not in _MISSING for cell in row.cells)


def _find_names(header: list[_Line], count: int) -> tuple[list[str], list[str]]:
    """Return names and units from the lines above the numbers, the lowest that fits first."""
    names, units = [""] * count, [""] * count
    for row in reversed(header):
        cells = _header_cells(row, count)
        if cells is None:
            continue
        pairs = [split_unit(cell) for cell in cells]
        if all(unit and not name for name, unit in pairs) or _are_units(cells):
            units = [unit or ("" if name.lower() in _NO_UNIT else name) for name, unit in pairs]
            continue
        return [name for name, _ in pairs], [own or above for (_, own), above in zip(pairs, units, strict=True)]
    return names, units


def _header_cells(row: _Line, count: int) -> list[str] | None:
    """Return the cells of a header line if it has as many as the table has columns.

    Units in brackets may have blanks.
    """
    clean = row.text.lstrip("#!;%\\ \t")
    if _read_values(tuple(clean.split())) is not None:
        return None
    for separator in (",", ";", r"\t+", r"\|"):
        cells = [cell.strip() for cell in re.split(separator, clean.strip("| \t"))]
        if len(cells) == count and count > 1:
            return cells
    cells = re.findall(r"[^\s\[(]+(?:\s*[\[(].*?[\])]+(?=\s|$))?|[\[(].*?[\])](?=\s|$)", clean)
    return cells if len(cells) == count else None


def _are_units(cells: list[str]) -> bool:
    from sofia_viewers.spectrum.units import parse_unit

    plain = [cell.strip("[]()") for cell in cells]
    known = ("um", "micron", "nm", "angstrom", "cm-1", "ghz", "thz", "ev", "jy", "mjy", "km/s", "hz", "m")
    return plain[0].lower() in known and all(u.lower() in _NO_UNIT or parse_unit(u) is not None for u in plain)
