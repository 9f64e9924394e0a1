"""Metrics as tables with units for CSV, ECSV and VOTable files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sofia_viewers.quality.metrics import COLUMNS, Metrics, collect_columns

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ["format_csv", "make_metrics_table", "write_metrics"]


def make_metrics_table(
    rows: Sequence[Metrics],
    columns: Sequence[str] | None = None,
    outliers: Mapping[int, Mapping[str, float]] | None = None,
) -> Table:
    """Return metrics as an astropy table.

    Parameters
    ----------
    rows : sequence of Metrics
        One a line.
    columns : sequence of str, optional
        Keys; all that are known if left out. Time is also given as text, in a column ``date``.
    outliers : mapping, optional
        What `find_outliers` found; adds a column ``outlier`` that names the numbers that stand out.
    """
    from sofia_viewers.export import make_table

    columns = list(columns if columns is not None else collect_columns(rows))
    table = make_table([_line(row, columns, (outliers or {}).get(number)) for number, row in enumerate(rows)])
    for key in columns:
        if key in table.colnames and key in COLUMNS:
            table[key].description = COLUMNS[key].help
            if COLUMNS[key].unit and COLUMNS[key].unit != "plane":
                table[key].unit = COLUMNS[key].unit
    table.meta["comments"] = ["background, noise and median_error are in the unit of the column unit"]
    return table


def write_metrics(rows: Sequence[Metrics], path: str | Path, **options: Any) -> Path:
    """Write metrics to a file: CSV, ECSV or VOTable by its suffix; options as of `make_metrics_table`.

    Raises
    ------
    InputError
        If the suffix is none of these, or the file cannot be written.
    """
    from sofia_viewers.export import write_table

    return write_table(make_metrics_table(rows, **options), path)


def format_csv(rows: Sequence[Metrics], columns: Sequence[str], separator: str = "\t") -> str:
    """Return metrics as text for the clipboard, with labels in the first line."""
    lines = [separator.join(COLUMNS[key].label if key in COLUMNS else key for key in columns)]
    lines += [separator.join(row.text(key) for key in columns) for row in rows]
    return "\n".join(lines) + "\n"


def _line(row: Metrics, columns: Sequence[str], outliers: Mapping[str, float] | None) -> dict[str, Any]:
    line: dict[str, Any] = {key: row.values.get(key) for key in columns}
    if "time" in columns:
        line["date"] = row.text("time") or None
    if row.problem:
        line["problem"] = row.problem
    if outliers is not None:
        line["outlier"] = " ".join(outliers)
    return line
