"""A report of a reduction as one HTML file that needs no other."""

from __future__ import annotations

import base64
import html
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sofia_engine._version import __version__
from sofia_engine.errors import InputError, SofiaDeskError
from sofia_engine.product import write_atomically
from sofia_viewers.quality.metrics import COLUMNS, Metrics, collect_columns
from sofia_viewers.quality.report_plots import draw_picture, draw_step_plots
from sofia_viewers.quality.run_record import RunRecord, StepRecord, StepRow, list_step_rows
from sofia_viewers.quality.trends import find_outliers

__all__ = ["Report", "format_report", "make_report", "write_report"]

_MOST_PICTURES = 12
_MOST_LOG_LINES = 200
_LONGEST_VALUE = 200
_COLUMNS_OF_PAGE = 7
_TABLE_COLUMNS = (
    "file", "step", "product_type", "time", "altitude", "zenith_angle", "pwv", "exposure", "background", "noise",
    "median_error", "missing", "rejected", "fwhm", "flux", "calibration_factor", "unit",
)  # fmt: skip
_STYLE = """
body { font-family: "DejaVu Sans", "Segoe UI", Helvetica, Arial, sans-serif; color: #1c2128; background: #ffffff;
  max-width: 1100px; margin: 24px auto; padding: 0 16px; font-size: 14px; line-height: 1.4; }
h1 { font-size: 24px; } h2 { font-size: 18px; border-bottom: 1px solid #c3c8d0; margin-top: 28px; }
h3 { font-size: 15px; margin-bottom: 4px; }
table { border-collapse: collapse; margin: 8px 0; } td, th { border: 1px solid #c3c8d0; padding: 3px 7px;
  text-align: left; vertical-align: top; } th { background-color: #e9ebef; } td.number { text-align: right; }
td.outlier { background-color: #fde8c8; font-weight: bold; } .wide { overflow-x: auto; }
td { overflow-wrap: anywhere; } .wide td { white-space: nowrap; } .muted { color: #5d6673; }
.warning { color: #8a5a00; } .error { color: #b42318; font-weight: bold; }
code, .hash { font-family: "DejaVu Sans Mono", Consolas, monospace; font-size: 12px; }
img { max-width: 100%; }
@media print { body { max-width: none; margin: 0; font-size: 10px; } h2 { page-break-after: avoid; } }
"""


@dataclass(frozen=True)
class Report:
    """All that a report says.

    Parameters
    ----------
    record : RunRecord
        The reduction.
    rows : tuple of Metrics
        Its products.
    plots, pictures : tuple of (str, bytes)
        Caption and PNG of the plots along the recipe and of the maps.
    log_lines : tuple of str
        Warnings and errors of the log.
    comments : str
        What the observer wants to say.
    """

    record: RunRecord
    rows: tuple[Metrics, ...] = ()
    plots: tuple[tuple[str, bytes], ...] = ()
    pictures: tuple[tuple[str, bytes], ...] = ()
    log_lines: tuple[str, ...] = ()
    comments: str = field(default="")


def make_report(record: RunRecord, rows: Sequence[Metrics] = (), comments: str = "") -> Report:
    """Collect the content of a report; draws plots and reads pictures, which takes a second or two.

    Parameters
    ----------
    record : RunRecord
        The reduction.
    rows : sequence of Metrics
        What its products were measured to be.
    comments : str
        Text of the observer, shown at the top.
    """
    return Report(
        record,
        tuple(rows),
        draw_step_plots(list_step_rows(record)),
        tuple(_collect_pictures(record)),
        _read_log(record.log),
        comments,
    )


def write_report(report: Report, path: Path) -> Path:
    """Write a report as HTML.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    try:
        write_atomically(path, lambda stream: stream.write(format_report(report).encode()))
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}.") from error
    return path


def format_report(report: Report, *, for_print: bool = False) -> str:
    """Return a report as HTML text with pictures inside.

    Parameters
    ----------
    report : Report
        Its content.
    for_print : bool
        Break wide tables, which a page cannot scroll.
    """
    record = report.record
    most = _COLUMNS_OF_PAGE if for_print else 0
    title = f"Reduction in {record.folder.name}"
    parts = [
        f"<h1>{_escape(title)}</h1>",
        _summary(record),
        f"<p>{_escape(report.comments)}</p>" if report.comments else "",
        _section("Warnings", _warnings(report)),
        _section("Maps", _figures(report.pictures, 520)),
        _section("Products", _products(report.rows, most)),
        _section("Quality along the recipe", _figures(report.plots, 900)),
        _section("Steps", _steps(record.steps)),
        _section("Numbers of each step", _step_numbers(list_step_rows(record), most)),
        _section("Parameters", "".join(_parameters(step) for step in record.steps if step.parameters)),
        _section("Provenance", _provenance(record)),
    ]
    body = "\n".join(part for part in parts if part)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{_escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


# -- sections --------------------------------------------------------------------------------------------------------


def _summary(record: RunRecord) -> str:
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    lines = [
        ("Folder", str(record.folder)), ("Recipe", record.recipe), ("Status", record.status),
        ("Program", f"{record.program} {record.version}".strip()),
        ("Input files", str(len(record.inputs)) if record.inputs else ""),
        ("Products", str(len(record.files))),
        ("Duration", f"{record.seconds:.1f} s" if record.seconds else ""),
        ("Report", f"{made}, SOFIA Desk {__version__}"),
    ]  # fmt: skip
    error = f'<p class="error">{_escape(record.error)}</p>' if record.error else ""
    rows = "".join(f"<tr><td>{name}</td><td>{_escape(value)}</td></tr>" for name, value in lines if value)
    return f'<table cellspacing="0">{rows}</table>{error}'


def _warnings(report: Report) -> str:
    record = report.record
    lines = [f"{step}: {warning}" for step, warning in record.warnings]
    lines += [f"{file} was left out: {reason}" for file, reason in record.skipped]
    lines += [line for line in report.log_lines if not any(warning in line for _, warning in record.warnings)]
    outliers = find_outliers(report.rows)
    for number, keys in outliers.items():
        names = ", ".join(f"{_label(key)} ({score:+.1f} sigma)" for key, score in keys.items())
        lines.append(f"{report.rows[number].text('file')} stands out from like products: {names}")
    if not lines:
        return "<p>None.</p>"
    return "<ul>" + "".join(f'<li class="warning">{_escape(line)}</li>' for line in dict.fromkeys(lines)) + "</ul>"


def _products(rows: Sequence[Metrics], most: int) -> str:
    rows = [row for row in rows if row.path is not None] or rows
    known = collect_columns(rows)
    columns = [key for key in _TABLE_COLUMNS if key in known]
    outliers = find_outliers(rows)
    lines = [[_cell(row, key, key in outliers.get(number, {})) for key in columns] for number, row in enumerate(rows)]
    return _wide_table([_title(key) for key in columns], lines, most)


def _cell(row: Metrics, key: str, is_outlier: bool) -> str:
    return f"!{_escape(row.text(key))}" if is_outlier else _escape(row.text(key))


def _steps(steps: Sequence[StepRecord]) -> str:
    lines = [
        [
            str(number), _escape(step.label), f"{step.seconds:.2f}" if step.seconds else "", str(len(step.products)),
            str(len(step.warnings) or ""), "<br>".join(_escape(str(ref["name"])) for ref in step.references),
        ]
        for number, step in enumerate(steps, start=1)
    ]  # fmt: skip
    return _table(["", "Step", "Seconds", "Products", "Warnings", "Reference files"], lines) if lines else ""


def _step_numbers(rows: Sequence[StepRow], most: int) -> str:
    keys = list(dict.fromkeys(key for row in rows for key in row.numbers))
    lines = [
        [_escape(row.step), _escape(row.product), *(_number(row.numbers.get(key, math.nan)) for key in keys)]
        for row in rows
    ]
    titles = ["Step", "Product", *(_escape(_label(key)) for key in keys)]
    return _wide_table(titles, lines, most)


def _parameters(step: StepRecord) -> str:
    lines = [[f"<code>{_escape(key)}</code>", _value(value)] for key, value in step.parameters.items()]
    return f"<h3>{_escape(step.label)}</h3>{_table([], lines)}"


def _provenance(record: RunRecord) -> str:
    libraries = ", ".join(f"{name} {version}" for name, version in record.libraries.items() if version)
    inputs = [
        [_escape(str(item.get("path", ""))), str(item.get("size", "")), _hash(str(item.get("sha256", "")))]
        for item in record.inputs
    ]
    references = {
        (str(ref["name"]), str(ref["sha256"])): [
            _escape(step.label),
            _escape(str(ref["name"])),
            _hash(str(ref["sha256"])),
        ]
        for step in record.steps
        for ref in step.references
    }
    parts = [
        f"<p>Computed with {_escape(libraries)}.</p>" if libraries else "",
        _table(["Input file", "Bytes", "SHA-256"], inputs) if inputs else "",
        _table(["Step", "Reference file", "SHA-256"], references.values()) if references else "",
    ]
    return "".join(parts)


# -- pieces ----------------------------------------------------------------------------------------------------------


def _section(title: str, content: str) -> str:
    return f"<h2>{_escape(title)}</h2>\n{content}" if content else ""


def _table(titles: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    head = "<tr>" + "".join(f"<th>{title}</th>" for title in titles) + "</tr>" if titles else ""
    body = "".join("<tr>" + "".join(_table_cell(cell) for cell in line) + "</tr>" for line in lines)
    return f'<table cellspacing="0">{head}{body}</table>'


def _wide_table(titles: Sequence[str], lines: Sequence[Sequence[str]], most: int) -> str:
    """A table that scrolls, or (with a number of columns that fit) tables below each other, each with the first two."""
    if not lines:
        return ""
    if not most or len(titles) <= most:
        return f'<div class="wide">{_table(titles, lines)}</div>'
    parts = []
    for start in range(2, len(titles), most - 2):
        chosen = [0, 1, *range(start, min(start + most - 2, len(titles)))]
        parts.append(_table([titles[n] for n in chosen], [[line[n] for n in chosen] for line in lines]))
    return f'<div class="wide">{"<br>".join(parts)}</div>'


def _table_cell(cell: str) -> str:
    """A cell; a text that begins with ``!`` is marked as outlier, one that is a number is set right."""
    text = cell.removeprefix("!")
    try:
        float(text)
    except ValueError:
        kind = ""
    else:
        kind = "number"
    kind = f"{kind} outlier".strip() if cell.startswith("!") else kind
    return f'<td class="{kind}">{text}</td>' if kind else f"<td>{text}</td>"


def _figures(pictures: Sequence[tuple[str, bytes]], width: int) -> str:
    return "".join(
        f'<p><img width="{width}" alt="{_escape(caption)}" '
        f'src="data:image/png;base64,{base64.b64encode(content).decode()}"></p>'
        f'<p class="muted">{_escape(caption)}</p>\n'
        for caption, content in pictures
    )


def _collect_pictures(record: RunRecord) -> Iterable[tuple[str, bytes]]:
    """Yield the quick-look maps; where there are none, pictures of the last products."""
    for path in record.pictures[:_MOST_PICTURES]:
        try:
            yield path.name, path.read_bytes()
        except OSError:  # gone in the meantime
            continue
    if record.pictures:
        return
    for path in record.files[-2:]:
        try:
            yield path.name, draw_picture(path)
        except SofiaDeskError:  # a table, or a file that another program is writing
            continue


def _read_log(path: Path | None) -> tuple[str, ...]:
    if path is None:
        return ()
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ()
    told = [line for line in lines if " WARNING " in line or " ERROR " in line or " CRITICAL " in line]
    return tuple(told[:_MOST_LOG_LINES])


def _title(key: str) -> str:
    unit = COLUMNS[key].unit
    return _escape(f"{_label(key)} ({unit})" if unit not in ("", "plane") and key != "time" else _label(key))


def _label(key: str) -> str:
    return COLUMNS[key].label if key in COLUMNS else key.replace("_", " ").capitalize()


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return _escape(text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]} …")


def _number(value: float) -> str:
    return f"{value:.5g}" if math.isfinite(value) else ""


def _hash(text: str) -> str:
    return f'<span class="hash">{_escape(text)}</span>'


def _escape(text: str) -> str:
    return html.escape(text)
