"""Curves as items of a plot: drawn in pixels, only what is in view."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sofia_viewers.qt import Qt, QtCore, QtGui, pg
from sofia_viewers.spectrum.curves import Curve
from sofia_viewers.spectrum.decimation import (
    clip_to_view,
    decimate,
    decimate_band,
    find_columns,
    make_steps,
    thin_points,
)
from sofia_viewers.spectrum.pane import PlotStyle

__all__ = ["CurveItem"]

FloatArray = NDArray[np.float64]

_BAND_OPACITY = 0.2
_MARKER_SIZE = 7.0
_CROWDED = 0.4
"""Points per pixel from which lines are drawn thin and without smooth edges."""

_THICK = 2.0


class CurveItem(pg.GraphicsObject):  # type: ignore[misc]
    """One curve: line, steps or points, with error band or bars, markers and flags.

    Parameters
    ----------
    curve : Curve
        What to draw.
    style : PlotStyle
        How.
    log : (bool, bool)
        Which axes are logarithmic.
    """

    def __init__(
        self, curve: Curve, style: PlotStyle, log: tuple[bool, bool] = (False, False), *, dotted: bool = False
    ) -> None:
        super().__init__()
        self.dotted = dotted
        self._is_dense = False
        self._columns: NDArray[np.intp] | None = None
        self.setAcceptedMouseButtons(Qt.MouseButton.NoButton)
        self.set_curve(curve, style, log)

    def set_curve(self, curve: Curve, style: PlotStyle, log: tuple[bool, bool]) -> None:
        """Draw another curve, or the same in another way."""
        self.prepareGeometryChange()
        self.curve, self.style, self.log = curve, style, log
        self._x = _scale(curve.x, log=log[0])
        self._y = _scale(curve.y, log=log[1])
        self._low = self._high = None
        if curve.error is not None:
            self._low = _scale(curve.y - curve.error, log=log[1], floor=True)
            self._high = _scale(curve.y + curve.error, log=log[1])
        self._bounds = (_find_bounds(self._x), _find_bounds(self._y))
        self.setOpacity(curve.opacity)
        self.update()

    def dataBounds(self, axis: int, frac: float = 1.0, orthoRange: Any = None) -> list[float | None]:  # noqa: N802, ARG002
        """Return the range of the data along an axis, as pyqtgraph asks for it."""
        if axis == 1 and orthoRange is not None:
            part = clip_to_view(self._x, *orthoRange)
            inside = (self._x[part] >= orthoRange[0]) & (self._x[part] <= orthoRange[1])
            low, high = _find_bounds(self._y[part][inside])
            return [low, high] if math.isfinite(low) else [None, None]
        low, high = self._bounds[axis]
        return [low, high] if math.isfinite(low) else [None, None]

    def boundingRect(self) -> QtCore.QRectF:  # noqa: N802 - Qt's name
        """Return the part of the plot the curve may cover: all of the view, as pixels are clipped anyway."""
        box = self.getViewBox()
        return QtCore.QRectF() if box is None else QtCore.QRectF(box.viewRect())

    def viewRangeChanged(self) -> None:  # noqa: N802 - pyqtgraph's name
        """Follow the view."""
        self.prepareGeometryChange()
        self.update()

    viewTransformChanged = viewRangeChanged  # noqa: N815 - pyqtgraph's name

    def paint(self, painter: QtGui.QPainter, *_: Any) -> None:
        """Paint the part in view."""
        box = self.getViewBox()
        if box is None or box.width() < 1 or box.height() < 1:
            return
        view = box.viewRect()
        part = clip_to_view(self._x, view.left(), view.right())
        if part.stop <= part.start or self._bounds[0][0] > view.right() or self._bounds[0][1] < view.left():
            return
        per_x, per_y = box.width() / view.width(), box.height() / view.height()
        painter.save()
        painter.translate(view.left(), view.bottom())
        painter.scale(1.0 / per_x, -1.0 / per_y)
        self._paint_pixels(painter, part, (view.left(), view.bottom()), (per_x, per_y), box.height())
        painter.restore()

    def _paint_pixels(
        self, painter: QtGui.QPainter, part: slice, origin: tuple[float, float], per: tuple[float, float], height: float
    ) -> None:
        def rows(values: FloatArray) -> FloatArray:
            # far outside the view Qt's numbers overflow
            return np.clip((origin[1] - values[part]) * per[1], -10 * height, 11 * height)

        x, y = (self._x[part] - origin[0]) * per[0], rows(self._y)
        # smooth lines are costly, and lost where points crowd
        self._is_dense = len(x) > _CROWDED * (abs(float(x[-1] - x[0])) + 20.0)
        self._columns = find_columns(x)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing, not self._is_dense)
        steps = self.style.plot_type == "Step" and len(x) > 1 and not self.dotted
        if self._low is not None and self._high is not None and self.style.errors == "band" and not self.dotted:
            self._paint_band(painter, x, rows(self._low), rows(self._high), steps=steps)
        if self._low is not None and self._high is not None and self.style.errors == "bars" and not self.dotted:
            self._paint_bars(painter, x, rows(self._low), rows(self._high))
        if self.style.plot_type != "Scatter" or self.dotted:
            self._paint_line(painter, x, y, steps=steps)
        if (self.style.plot_type == "Scatter" or self.style.markers or len(x) == 1) and not self.dotted:
            self._paint_markers(painter, x, y)
        if self.style.flags and self.curve.flags is not None:
            self._paint_flags(painter, x, y, self.curve.flags[part])

    def _paint_line(self, painter: QtGui.QPainter, x: FloatArray, y: FloatArray, *, steps: bool) -> None:
        if self._columns is not None:
            x, y = decimate(x, y, self._columns)
        elif steps:
            x, y = make_steps(x, y)
        width = 1.0 if self.dotted or (self._is_dense and self.style.width < _THICK) else self.style.width
        pen = QtGui.QPen(QtGui.QColor(self.curve.color), width)
        if self.dotted:
            pen.setStyle(Qt.PenStyle.DotLine)
        painter.setPen(pen)
        painter.drawPath(pg.functions.arrayToQPath(x, y, connect="finite"))

    def _paint_band(
        self, painter: QtGui.QPainter, x: FloatArray, low: FloatArray, high: FloatArray, *, steps: bool
    ) -> None:
        color = QtGui.QColor(self.curve.color)
        color.setAlphaF(_BAND_OPACITY)
        if self._columns is not None:
            columns, low, high = decimate_band(x, low, high, self._columns)
            painter.setPen(QtGui.QPen(color, 1.0))
            _draw_segments(painter, columns, low, columns, high)
            return
        if steps:
            x, low, high = make_steps(x, low, high)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(color)
        for run in _find_runs(np.isfinite(low + high + x)):
            outline_x = np.concatenate((x[run], x[run][::-1]))
            outline_y = np.concatenate((low[run], high[run][::-1]))
            painter.drawPolygon(pg.functions.arrayToQPolygonF(outline_x, outline_y))
        painter.setBrush(Qt.BrushStyle.NoBrush)

    def _paint_bars(self, painter: QtGui.QPainter, x: FloatArray, low: FloatArray, high: FloatArray) -> None:
        if self._columns is not None:
            x, low, high = decimate_band(x, low, high, self._columns)
        color = QtGui.QColor(self.curve.color)
        color.setAlphaF(0.6)
        painter.setPen(QtGui.QPen(color, 1.0))
        _draw_segments(painter, x, low, x, high)

    def _paint_markers(self, painter: QtGui.QPainter, x: FloatArray, y: FloatArray) -> None:
        draw = pg.graphicsItems.ScatterPlotItem.drawSymbol
        pen, brush = QtGui.QPen(QtGui.QColor(self.curve.color), 0.18), QtGui.QBrush(QtGui.QColor(self.curve.color))
        for index in thin_points(x, y):
            painter.save()
            painter.translate(x[index], y[index])
            draw(painter, self.curve.marker, _MARKER_SIZE, pen, brush)
            painter.restore()

    def _paint_flags(self, painter: QtGui.QPainter, x: FloatArray, y: FloatArray, flags: NDArray[np.bool_]) -> None:
        flagged = np.flatnonzero(flags)
        painter.setPen(QtGui.QPen(QtGui.QColor("#d55e00"), 1.2))
        for index in flagged[thin_points(x[flagged], y[flagged])]:
            painter.drawEllipse(QtCore.QPointF(x[index], y[index]), 4.0, 4.0)


def _scale(values: FloatArray, *, log: bool, floor: bool = False) -> FloatArray:
    """Return values on a logarithmic axis; what is not positive is NaN, or far below if it bounds a band."""
    if not log:
        return values
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = np.where(values > 0, np.log10(values), np.nan)
    if floor:
        scaled = np.where(np.isfinite(values) & (values <= 0), -300.0, scaled)
    scaled.flags.writeable = False
    return scaled


def _find_bounds(values: FloatArray) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (math.inf, -math.inf)


def _find_runs(known: NDArray[np.bool_]) -> list[slice]:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], known.astype(np.int8), [0]))))
    return [slice(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _draw_segments(painter: QtGui.QPainter, x1: FloatArray, y1: FloatArray, x2: FloatArray, y2: FloatArray) -> None:
    """Draw many lines; as one path the joins of thousands of them would take Qt long."""
    known = np.isfinite(x1 + y1 + x2 + y2)
    lines = pg.Qt.internals.PrimitiveArray(QtCore.QLineF, 4)
    lines.resize(int(known.sum()))
    memory = lines.ndarray()
    for column, values in enumerate((x1, y1, x2, y2)):
        memory[:, column] = values[known]
    if len(memory):
        painter.drawLines(*lines.drawargs())
