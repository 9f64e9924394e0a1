"""Plots of curves as PNG, such as goodness of fit or residuals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from sofia_engine.drawing.png import encode_png
from sofia_engine.map_figure import RESOLUTION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from sofia_engine.numerics.arrays import FloatArray

__all__ = ["Curve", "CurvePlot", "render_plot"]


@dataclass(frozen=True, eq=False)
class Curve:
    """A curve of a plot: its points (n,), its name in the legend, whether it stands out."""

    x: FloatArray
    y: FloatArray
    name: str = ""
    style: Literal["line", "points", "scatter"] = "line"
    strong: bool = False


@dataclass(frozen=True, eq=False)
class CurvePlot:
    """One panel of curves."""

    curves: tuple[Curve, ...]
    title: str = ""
    x_label: str = ""
    y_label: str = ""


def render_plot(*plots: CurvePlot) -> bytes:
    """Draw panels above each other.

    Returns
    -------
    bytes
        PNG, 8 inches wide, 300 dots per inch.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 1 + 4 * len(plots)), dpi=RESOLUTION, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes: Sequence[Axes] = list(figure.subplots(len(plots), squeeze=False)[:, 0])
    for panel, plot in zip(axes, plots, strict=True):
        _draw(panel, plot)
    canvas.draw()
    return encode_png(np.asarray(canvas.buffer_rgba())[..., :3], RESOLUTION)


def _draw(axes: Axes, plot: CurvePlot) -> None:
    for curve in plot.curves:
        axes.plot(
            curve.x,
            curve.y,
            linestyle="none" if curve.style == "scatter" else "-",
            marker=None if curve.style == "line" else "o",
            markersize=3,
            linewidth=2.0 if curve.strong else 0.8,
            label=curve.name or None,
        )
    axes.set_title(plot.title, fontsize=10, parse_math=False)
    axes.set_xlabel(plot.x_label)
    axes.set_ylabel(plot.y_label)
    if any(curve.name for curve in plot.curves) and len(plot.curves) <= 15:
        axes.legend(fontsize=7)
