"""Curves as items of a plot: drawn in pixels, only what is in view."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
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
_MARGIN = 0.25
"""How much beyond the view shapes are made, in widths of it: panning moves them as long as they reach."""
_SAME = 1e-9
_FAR = 5.0
"""Heights of the view that shapes may be moved up or down; they are cut off at ten."""

Shape = Callable[[QtGui.QPainter], None]
Columns = NDArray[np.intp] | None


@dataclass(frozen=True, eq=False)
class _Drawing:
    """Shapes of a curve in pixels from an origin (left, and bottom of pyqtgraph's view: greatest y), at one scale."""

    origin: tuple[float, float]
    per: tuple[float, float]
    covered: tuple[float, float]
    height: float
    smooth: bool
    shapes: tuple[Shape, ...]

    def serves(self, view: QtCore.QRectF, per: tuple[float, float]) -> bool:
        """Tell whether another view at this scale can be drawn with them."""
        same = all(abs(new - old) <= _SAME * abs(old) for new, old in zip(per, self.per, strict=True))
        inside = self.covered[0] <= view.left() and view.right() <= self.covered[1]
        return same and inside and abs(view.bottom() - self.origin[1]) * per[1] <= _FAR * self.height


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
        self._drawing: _Drawing | None = None
        self.setAcceptedMouseButtons(Qt.MouseButton.NoButton)
        self.set_curve(curve, style, log)

    def set_curve(self, curve: Curve, style: PlotStyle, log: tuple[bool, bool]) -> None:
        """Draw another curve, or the same in another way."""
        self.prepareGeometryChange()
        self.curve, self.style, self.log = curve, style, log
        self._drawing = None
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
        """Paint the part in view; while the scale is the same, shapes are moved and not made anew."""
        box = self.getViewBox()
        if box is None or box.width() < 1 or box.height() < 1:
            return
        view = box.viewRect()
        if self._bounds[0][0] > view.right() or self._bounds[0][1] < view.left():
            return
        per = (box.width() / view.width(), box.height() / view.height())
        if self._drawing is None or not self._drawing.serves(view, per):
            self._drawing = self._draw(view, per, box.height())
        left, bottom = self._drawing.origin
        painter.save()
        painter.translate(view.left(), view.bottom())
        painter.scale(1.0 / per[0], -1.0 / per[1])
        painter.translate((left - view.left()) * per[0], (view.bottom() - bottom) * per[1])
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing, self._drawing.smooth)
        for shape in self._drawing.shapes:
            shape(painter)
        painter.restore()

    def _draw(self, view: QtCore.QRectF, per: tuple[float, float], height: float) -> _Drawing:
        """Make the shapes of the part in view and a little around it."""
        margin = _MARGIN * view.width()
        low, high, bottom = view.left() - margin, view.right() + margin, view.bottom()
        part = clip_to_view(self._x, low, high)

        def rows(values: FloatArray) -> FloatArray:
            # far outside the view Qt's numbers overflow
            return np.clip((bottom - values[part]) * per[1], -10 * height, 11 * height)

        shapes: list[Shape] = []
        x, y = (self._x[part] - view.left()) * per[0], rows(self._y)
        if not len(x):
            return _Drawing((view.left(), bottom), per, (low, high), height, smooth=True, shapes=())
        # smooth lines are costly, and lost where points crowd
        dense = len(x) > _CROWDED * (abs(float(x[-1] - x[0])) + 20.0)
        columns = find_columns(x)
        steps = self.style.plot_type == "Step" and len(x) > 1 and not self.dotted
        if self._low is not None and self._high is not None and not self.dotted and self.style.errors != "off":
            band = self._band if self.style.errors == "band" and x.size > 1 else self._bars  # one point has no band
            shapes += band(x, rows(self._low), rows(self._high), columns, steps=steps)
        if self.style.plot_type != "Scatter" or self.dotted:
            shapes.append(self._line(x, y, columns, steps=steps, dense=dense))
        if (self.style.plot_type == "Scatter" or self.style.markers or len(x) == 1) and not self.dotted:
            shapes.append(self._markers(x, y))
        if self.style.flags and self.curve.flags is not None:
            shapes.append(self._flags(x, y, self.curve.flags[part]))
        return _Drawing((view.left(), bottom), per, (low, high), height, smooth=not dense, shapes=tuple(shapes))

    def _line(self, x: FloatArray, y: FloatArray, columns: Columns, *, steps: bool, dense: bool) -> Shape:
        if columns is not None:
            x, y = decimate(x, y, columns)
        elif steps:
            x, y = make_steps(x, y)
        width = 1.0 if self.dotted or (dense and self.style.width < _THICK) else self.style.width
        pen = QtGui.QPen(QtGui.QColor(self.curve.color), width)
        if self.dotted:
            pen.setStyle(Qt.PenStyle.DotLine)
        path = pg.functions.arrayToQPath(x, y, connect="finite")

        def draw(painter: QtGui.QPainter) -> None:
            painter.setPen(pen)
            painter.drawPath(path)

        return draw

    def _band(self, x: FloatArray, low: FloatArray, high: FloatArray, columns: Columns, *, steps: bool) -> list[Shape]:
        color = QtGui.QColor(self.curve.color)
        color.setAlphaF(_BAND_OPACITY)
        if columns is not None:
            middles, low, high = decimate_band(x, low, high, columns)
            return [_make_segments(QtGui.QPen(color, 1.0), middles, low, high)]
        if steps:
            x, low, high = make_steps(x, low, high)
        polygons = [
            pg.functions.arrayToQPolygonF(
                np.concatenate((x[run], x[run][::-1])), np.concatenate((low[run], high[run][::-1]))
            )
            for run in _find_runs(np.isfinite(low + high + x))
        ]

        def draw(painter: QtGui.QPainter) -> None:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(color)
            for polygon in polygons:
                painter.drawPolygon(polygon)
            painter.setBrush(Qt.BrushStyle.NoBrush)

        return [draw]

    def _bars(self, x: FloatArray, low: FloatArray, high: FloatArray, columns: Columns, *, steps: bool) -> list[Shape]:  # noqa: ARG002 - as for bands
        if columns is not None:
            x, low, high = decimate_band(x, low, high, columns)
        color = QtGui.QColor(self.curve.color)
        color.setAlphaF(0.6)
        return [_make_segments(QtGui.QPen(color, 1.0), x, low, high)]

    def _markers(self, x: FloatArray, y: FloatArray) -> Shape:
        symbol = pg.graphicsItems.ScatterPlotItem.drawSymbol
        pen, brush = QtGui.QPen(QtGui.QColor(self.curve.color), 0.18), QtGui.QBrush(QtGui.QColor(self.curve.color))
        points = [(float(x[index]), float(y[index])) for index in thin_points(x, y)]

        def draw(painter: QtGui.QPainter) -> None:
            for point in points:
                painter.save()
                painter.translate(*point)
                symbol(painter, self.curve.marker, _MARKER_SIZE, pen, brush)
                painter.restore()

        return draw

    def _flags(self, x: FloatArray, y: FloatArray, flags: NDArray[np.bool_]) -> Shape:
        flagged = np.flatnonzero(flags)
        pen = QtGui.QPen(QtGui.QColor("#d55e00"), 1.2)
        points = [QtCore.QPointF(x[i], y[i]) for i in flagged[thin_points(x[flagged], y[flagged])]]

        def draw(painter: QtGui.QPainter) -> None:
            painter.setPen(pen)
            for point in points:
                painter.drawEllipse(point, 4.0, 4.0)

        return draw


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


def _make_segments(pen: QtGui.QPen, x: FloatArray, low: FloatArray, high: FloatArray) -> Shape:
    """Return many vertical lines; as one path the joins of thousands of them would take Qt long."""
    known = np.isfinite(x + low + high)
    lines = pg.Qt.internals.PrimitiveArray(QtCore.QLineF, 4)
    lines.resize(int(known.sum()))
    memory = lines.ndarray()
    for column, values in enumerate((x, low, x, high)):
        memory[:, column] = values[known]

    def draw(painter: QtGui.QPainter) -> None:
        painter.setPen(pen)
        if len(memory):
            painter.drawLines(*lines.drawargs())

    return draw
