"""Draws the sparkline of a step in a cell of the list of steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from sofia_app.models.sparkline import Sparkline
from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets
from sofia_viewers.theme import current_theme

__all__ = ["SparklineDelegate"]

_MARGIN = 4
_DOT = 2.0


class SparklineDelegate(QtWidgets.QStyledItemDelegate):
    """Draws what a function says of a row.

    Parameters
    ----------
    find : callable
        From the number of the row to its `Sparkline`.
    parent : QObject
        Owner.
    """

    def __init__(self, find: Callable[[int], Sparkline], parent: QtCore.QObject) -> None:
        super().__init__(parent)
        self._find = find

    def paint(self, painter: QtGui.QPainter, option: Any, index: Any) -> None:
        """Draw the ground of the cell, then the bar or the line."""
        super().paint(painter, option, index)
        drawing = self._find(index.row())
        box = QtCore.QRectF(option.rect).adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN)
        theme = current_theme()
        selected = bool(option.state & QtWidgets.QStyle.StateFlag.State_Selected)
        color = QtGui.QColor(theme.on_accent if selected else theme.accent)
        painter.save()
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        if not math.isnan(drawing.bar):
            width = max(box.width() * min(drawing.bar, 1.0), 1.0)
            painter.fillRect(QtCore.QRectF(box.left(), box.top() + box.height() / 4, width, box.height() / 2), color)
        points = [QtCore.QPointF(box.left() + x * box.width(), box.bottom() - y * box.height())
                  for x, y in drawing.points]  # fmt: skip
        painter.setPen(QtGui.QPen(color, 1.4))
        if len(points) > 1:
            painter.drawPolyline(points)
        painter.setBrush(color)
        painter.setPen(Qt.PenStyle.NoPen)
        for point in points[-1:]:
            painter.drawEllipse(point, _DOT, _DOT)
        painter.restore()
