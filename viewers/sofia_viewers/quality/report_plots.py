"""Plots of a report, as PNG: numbers of quality along the recipe, and pictures of products."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sofia_viewers.quality.metrics import COLUMNS
from sofia_viewers.quality.run_record import StepRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_picture", "draw_step_plots"]

_COLORS = ("#0072B2", "#E69F00")
_LONGEST_NAME = 22
_PER_PICTURE = 4


def draw_step_plots(rows: Sequence[StepRow]) -> tuple[tuple[str, bytes], ...]:
    """Draw each number against the steps: every product, and the median of each step.

    Returns
    -------
    tuple of (str, bytes)
        Caption and PNG; empty if there are no numbers of at least two steps.
    """
    keys = [key for key in dict.fromkeys(k for row in rows for k in row.numbers) if _is_worth_it(rows, key)]
    if not keys:
        return ()
    steps = list(dict.fromkeys(row.step for row in rows))
    pages = [keys[start : start + _PER_PICTURE] for start in range(0, len(keys), _PER_PICTURE)]
    caption = "Each point is a product; the line joins the medians of the steps."
    return tuple(
        (f"{', '.join(_label(key) for key in page)}. {caption}", _draw_page(rows, page, steps)) for page in pages
    )


def draw_picture(path: Path, size: int = 480) -> bytes:
    """Return a picture of a FITS file as PNG.

    Raises
    ------
    InputError
        If it cannot be read or has nothing to draw.
    """
    from matplotlib.image import imsave

    from sofia_viewers.quality.thumbnails import make_thumbnail

    stream = io.BytesIO()
    imsave(stream, make_thumbnail(path, size), format="png")
    return stream.getvalue()


def _is_worth_it(rows: Sequence[StepRow], key: str) -> bool:
    return len({row.step for row in rows if math.isfinite(row.numbers.get(key, math.nan))}) > 1


def _draw_page(rows: Sequence[StepRow], keys: Sequence[str], steps: Sequence[str]) -> bytes:
    from matplotlib.figure import Figure

    n_lines = -(-len(keys) // 2)
    figure = Figure(figsize=(10.0, 2.3 * n_lines + 1.2), layout="constrained", dpi=110)
    panels = figure.subplots(n_lines, 2, squeeze=False, sharex=True).ravel()
    for panel, key in zip(panels, keys, strict=False):
        _draw_panel(panel, rows, key, steps)
    for panel in panels[len(keys) :]:
        panel.set_axis_off()
    for panel in panels[max(len(keys) - 2, 0) : len(keys)]:
        panel.tick_params(axis="x", labelbottom=True)
    return _encode(figure)


def _draw_panel(axes: Axes, rows: Sequence[StepRow], key: str, steps: Sequence[str]) -> None:
    places = {step: number for number, step in enumerate(steps)}
    points = [(places[row.step], row.numbers[key]) for row in rows if math.isfinite(row.numbers.get(key, math.nan))]
    x, y = np.array(points).T
    middle = [(place, float(np.median(y[x == place]))) for place in np.unique(x)]
    axes.plot(*zip(*middle, strict=True), color=_COLORS[1], linewidth=1.5)
    axes.plot(x, y, ".", color=_COLORS[0], markersize=6)
    axes.set_title(_label(key), fontsize=10)
    if y.min() > 0 and y.max() / y.min() > 100:
        axes.set_yscale("log")
    axes.set_xticks(range(len(steps)), [_shorten(step) for step in steps], rotation=60, ha="right", fontsize=8)
    axes.tick_params(axis="y", labelsize=8)
    axes.grid(alpha=0.3)


def _label(key: str) -> str:
    return COLUMNS[key].label if key in COLUMNS else key.replace("_", " ").capitalize()


def _shorten(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _encode(figure: Any) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    stream = io.BytesIO()
    FigureCanvasAgg(figure).print_png(stream, metadata={"Software": "SOFIA Desk"})
    return stream.getvalue()
