"""Tables as text, to be copied into other programs or saved."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sofia_engine.product import write_atomically

__all__ = ["format_table", "parse_number", "write_rows"]


def format_table(titles: Sequence[str], rows: Sequence[Sequence[str]], separator: str = "\t") -> str:
    """Return a table as text: a line of titles, then one line a row; cells are quoted where they must be."""
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=separator, lineterminator="\n")
    writer.writerow(titles)
    writer.writerows(rows)
    return stream.getvalue()


def parse_number(text: str) -> float | None:
    """Return the number a cell holds, NaN for an empty cell; None if it holds something else."""
    if not text.strip():
        return float("nan")
    try:
        return float(text)
    except ValueError:
        return None


def write_rows(path: Path, titles: Sequence[str], rows: Sequence[Sequence[str]]) -> Path:
    """Write a table as ECSV (numbers as numbers) or, for any other suffix, as CSV.

    Raises
    ------
    OSError
        If that cannot be done.
    """
    if path.suffix.lower() != ".ecsv":
        content = format_table(titles, rows, ",").encode()
        write_atomically(path, lambda stream: stream.write(content))
        return path
    from astropy.table import Table

    columns = {title: _as_column([row[place] for row in rows]) for place, title in enumerate(titles)}
    stream = io.StringIO()
    Table(columns).write(stream, format="ascii.ecsv")
    write_atomically(path, lambda target: target.write(stream.getvalue().encode()))
    return path


def _as_column(cells: Sequence[str]) -> Sequence[Any]:
    numbers = [parse_number(cell) for cell in cells]
    is_numeric = any(cell.strip() for cell in cells) and all(number is not None for number in numbers)
    return [float("nan") if number is None else number for number in numbers] if is_numeric else list(cells)
