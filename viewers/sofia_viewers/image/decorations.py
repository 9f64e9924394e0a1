"""What is painted fixed to a view: compass, scale bar, beam, colour bar, legends."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sofia_viewers.colormaps import bend_table, make_color_table
from sofia_viewers.image.display import DisplayState
from sofia_viewers.image.frame import Frame
from sofia_viewers.image.geometry import Affine, sky_directions
from sofia_viewers.image.overlays import Beam, VectorStyle, choose_scale_bar
from sofia_viewers.qt import Qt, QtCore, QtGui
from sofia_viewers.theme import current_theme

__all__ = [
    "paint_beam",
    "paint_color_bar",
    "paint_compass",
    "paint_flag_legend",
    "paint_scale_bar",
    "paint_vector_legend",
]

_MARGIN = 14
_ARROW = 30.0


def paint_scale_bar(painter: QtGui.QPainter, to_screen: Affine, rect: QtCore.QRect, pixel_scale: float) -> None:
    """Paint a bar of round angular length in the lower left corner; `pixel_scale` in arcsec."""
    bar = choose_scale_bar(pixel_scale, 0.3 * rect.width() / to_screen.scale)
    length = bar.length * to_screen.scale
    x, y = rect.left() + _MARGIN, rect.bottom() - _MARGIN - 12
    line = [QtCore.QLineF(x, y, x + length, y), QtCore.QLineF(x, y - 4, x, y + 4)]
    line.append(QtCore.QLineF(x + length, y - 4, x + length, y + 4))
    _stroke(painter, line)
    _write(painter, QtCore.QPointF(x, y - 7), bar.text)


def paint_compass(painter: QtGui.QPainter, to_screen: Affine, rect: QtCore.QRect, frame: Frame) -> None:
    """Paint arrows to north and east in the upper left corner."""
    if frame.wcs is None:
        return
    rows, columns = frame.shape
    directions = sky_directions(frame.wcs, ((columns - 1) / 2, (rows - 1) / 2))
    origin = QtCore.QPointF(rect.left() + _MARGIN + _ARROW, rect.top() + _MARGIN + _ARROW)
    for (x, y), name in zip(directions, "EN", strict=True):
        dx, dy = to_screen.xx * x + to_screen.xy * y, to_screen.yx * x + to_screen.yy * y
        length = math.hypot(dx, dy) or 1.0
        dx, dy = dx / length, dy / length
        tip = origin + QtCore.QPointF(dx, dy) * _ARROW * 0.72
        barbs = [tip + QtCore.QPointF(-dx * 6 + s * dy * 4, -dy * 6 - s * dx * 4) for s in (-1, 1)]
        _stroke(painter, [QtCore.QLineF(origin, tip), *(QtCore.QLineF(tip, barb) for barb in barbs)])
        _write(painter, origin + QtCore.QPointF(dx, dy) * _ARROW + QtCore.QPointF(-4, 5), name)


def paint_beam(painter: QtGui.QPainter, to_screen: Affine, rect: QtCore.QRect, beam: Beam) -> None:
    """Paint the beam in the lower right corner."""
    a, b = beam.semi_major * to_screen.scale, beam.semi_minor * to_screen.scale
    turn = math.radians(beam.angle)
    dx = to_screen.xx * math.cos(turn) + to_screen.xy * math.sin(turn)
    dy = to_screen.yx * math.cos(turn) + to_screen.yy * math.sin(turn)
    painter.translate(rect.right() - _MARGIN - a, rect.bottom() - _MARGIN - a)
    painter.rotate(math.degrees(math.atan2(dy, dx)))
    fill = QtGui.QColor(current_theme().text)
    fill.setAlpha(90)
    painter.setBrush(fill)
    painter.setPen(QtGui.QPen(QtGui.QColor(current_theme().text), 1.5))
    painter.drawEllipse(QtCore.QPointF(0, 0), max(a, 1.5), max(b, 1.5))


def paint_color_bar(
    painter: QtGui.QPainter,
    to_screen: Affine,  # noqa: ARG001 - one signature for all
    rect: QtCore.QRect,
    display: DisplayState,
    unit: str,
) -> None:
    """Paint the colours from low to high, with both limits and the unit, at the right edge."""
    height = min(int(0.5 * rect.height()), 220)
    if height < 60:
        return
    table = bend_table(
        make_color_table(display.color_map, height, invert=display.invert), display.contrast, display.bias
    )
    image = QtGui.QImage(table[::-1].tobytes(), 1, height, 3, QtGui.QImage.Format.Format_RGB888).copy()
    texts = [f"{display.limits[1]:.4g}", f"{display.limits[0]:.4g}"]
    metrics = QtGui.QFontMetricsF(painter.font(), painter.device())
    bar = QtCore.QRectF(rect.right() - 24, rect.top() + 24, 14, height)
    painter.drawImage(bar, image)
    painter.setPen(QtGui.QColor(current_theme().muted))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawRect(bar)
    for text, y in zip(texts, (bar.top() + metrics.ascent(), bar.bottom()), strict=True):
        _write(painter, QtCore.QPointF(bar.left() - metrics.horizontalAdvance(text) - 5, y), text)
    _write(painter, QtCore.QPointF(bar.right() - metrics.horizontalAdvance(unit), bar.top() - 6), unit)


def paint_flag_legend(
    painter: QtGui.QPainter,
    to_screen: Affine,  # noqa: ARG001 - one signature for all
    rect: QtCore.QRect,
    legend: Sequence[tuple[str, str, int]],
) -> None:
    """Paint names, colours and numbers of flagged pixels under the compass."""
    rows = [(f"{name}: {count}", color) for name, color, count in legend] or [("no flagged pixels", "")]
    y = rect.top() + 2 * _MARGIN + 2 * _ARROW + 10
    for text, color in rows:
        if color:
            painter.fillRect(QtCore.QRectF(rect.left() + _MARGIN, y - 9, 10, 10), QtGui.QColor(color))
        _write(painter, QtCore.QPointF(rect.left() + _MARGIN + 16, y), text)
        y += 16


def paint_vector_legend(
    painter: QtGui.QPainter,
    to_screen: Affine,
    rect: QtCore.QRect,
    style: VectorStyle,
    pixel_scale: float,
    n_vectors: int,
) -> None:
    """Paint the length of 5 per cent, the number of vectors and which field they show, above the scale bar."""
    length = 5.0 * style.scale * 3600.0 / pixel_scale * to_screen.scale
    x, y = rect.left() + _MARGIN, rect.bottom() - _MARGIN - 52
    pen = QtGui.QPen(QtGui.QColor(style.color), 2)
    painter.setPen(pen)
    if style.proportional:
        painter.drawLine(QtCore.QPointF(x, y), QtCore.QPointF(x + length, y))
    label = "p = 5%   " if style.proportional else ""
    _write(painter, QtCore.QPointF(x, y - 6), f"{label}{'B' if style.field else 'E'} vectors: {n_vectors}")


def _stroke(painter: QtGui.QPainter, lines: Sequence[QtCore.QLineF]) -> None:
    theme = current_theme()
    for color, width in ((theme.canvas, 4.0), (theme.text, 1.8)):
        painter.setPen(QtGui.QPen(QtGui.QColor(color), width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
        painter.drawLines(list(lines))


def _write(painter: QtGui.QPainter, at: QtCore.QPointF, text: str) -> None:
    theme = current_theme()
    painter.setPen(QtGui.QColor(theme.canvas))
    for angle in np.linspace(0, 2 * np.pi, 8, endpoint=False):
        painter.drawText(at + QtCore.QPointF(1.3 * math.cos(angle), 1.3 * math.sin(angle)), text)
    painter.setPen(QtGui.QColor(theme.text))
    painter.drawText(at, text)
