"""The mouse in a plot: wheel zoom, panning, and clicks that choose a range."""

from __future__ import annotations

from typing import Any, Literal

from sofia_viewers.qt import Qt, QtCore, QtGui, Signal, pg
from sofia_viewers.theme import current_theme

__all__ = ["MouseMode", "PlotBox"]

MouseMode = Literal["pan", "zoom x", "zoom y", "zoom box", "fit", "continuum", "region", "line"]

_VERTICAL = ("zoom x", "fit", "continuum", "region", "line", "zoom box")
_HORIZONTAL = ("zoom y", "zoom box")


class PlotBox(pg.ViewBox):  # type: ignore[misc]
    """A view box in which two clicks, or one drag, choose a range while a mode is on.

    ``range_chosen`` carries the mode and both corners (x1, y1, x2, y2) in the coordinates of the plot.
    """

    range_chosen = Signal(str, float, float, float, float)
    pressed = Signal()
    mode_changed = Signal(str)
    point_clicked = Signal(float, float)

    def __init__(self) -> None:
        super().__init__(enableMenu=False)
        self.mode: MouseMode = "pan"
        self._first: QtCore.QPointF | None = None
        pen = pg.mkPen(current_theme().accent, width=1, style=Qt.PenStyle.DashLine)
        self._guides = [pg.InfiniteLine(angle=90, pen=pen), pg.InfiniteLine(angle=0, pen=pen)]
        self._marks = [pg.InfiniteLine(angle=90, pen=pen), pg.InfiniteLine(angle=0, pen=pen)]
        for line in (*self._guides, *self._marks):
            line.setZValue(50)
            line.hide()
            self.addItem(line, ignoreBounds=True)

    def set_mode(self, mode: MouseMode) -> None:
        """Begin to choose a range, or return to panning."""
        self.mode = mode
        self._first = None
        for line in (*self._guides, *self._marks):
            line.hide()
        self.setCursor(Qt.CursorShape.ArrowCursor if mode == "pan" else Qt.CursorShape.CrossCursor)
        self.mode_changed.emit(mode)

    def set_pen_color(self, color: str) -> None:
        """Colour the guide lines."""
        for line in (*self._guides, *self._marks):
            line.setPen(pg.mkPen(color, width=1, style=Qt.PenStyle.DashLine))

    def guide_to(self, point: QtCore.QPointF) -> None:
        """Let the guide lines follow the cursor while a mode is on."""
        if self.mode == "pan":
            return
        for line, value, modes in zip(self._guides, (point.x(), point.y()), (_VERTICAL, _HORIZONTAL), strict=True):
            line.setPos(value)
            line.setVisible(self.mode in modes)

    def mousePressEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Tell that the pane was touched."""
        self.pressed.emit()
        super().mousePressEvent(event)

    def mouseClickEvent(self, event: Any) -> None:  # noqa: N802 - pyqtgraph's name
        """Take a click as one end of a range."""
        self.pressed.emit()
        if event.button() != Qt.MouseButton.LeftButton:
            return
        event.accept()
        self.click(self.mapSceneToView(event.scenePos()))

    def click(self, point: QtCore.QPointF) -> None:
        """Take a point, in coordinates of the plot, as one end of a range."""
        if self.mode == "pan":
            self.point_clicked.emit(point.x(), point.y())
            return
        if self._first is None:
            self._first = point
            for line, value, modes in zip(self._marks, (point.x(), point.y()), (_VERTICAL, _HORIZONTAL), strict=True):
                line.setPos(value)
                line.setVisible(self.mode in modes)
            return
        self._finish(self._first, point)

    def mouseDragEvent(self, event: Any, axis: int | None = None) -> None:  # noqa: N802 - pyqtgraph's name
        """Pan, or choose a range in one go while a mode is on."""
        if self.mode == "pan" or event.button() != Qt.MouseButton.LeftButton or axis is not None:
            super().mouseDragEvent(event, axis)
            return
        event.accept()
        start, here = (self.mapSceneToView(p) for p in (event.buttonDownScenePos(), event.scenePos()))
        if event.isStart():
            self._first = None
            self.click(start)
        self.guide_to(here)
        if event.isFinish():
            self._finish(start, here)

    def wheelEvent(self, event: Any, axis: int | None = None) -> None:  # noqa: N802 - pyqtgraph's name
        """Zoom both axes at the cursor; with Shift only y, with Ctrl only x."""
        keys = event.modifiers()
        if axis is None and keys & Qt.KeyboardModifier.ControlModifier:
            axis = 0
        elif axis is None and keys & Qt.KeyboardModifier.ShiftModifier:
            axis = 1
        super().wheelEvent(event, axis)

    def _finish(self, first: QtCore.QPointF, second: QtCore.QPointF) -> None:
        mode = self.mode
        self.set_mode("pan")
        self.range_chosen.emit(mode, first.x(), first.y(), second.x(), second.y())


def rubber_color(opacity: float = 0.15) -> QtGui.QColor:
    """Return the colour of chosen ranges."""
    color = QtGui.QColor(current_theme().accent)
    color.setAlphaF(opacity)
    return color
