"""One pane: the plot of what the session says it shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from sofia_viewers.plots import make_plot
from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets, Signal, pg
from sofia_viewers.spectrum.curves import Curve
from sofia_viewers.spectrum.items import CurveItem
from sofia_viewers.spectrum.pane import PaneState, PlotStyle, ZoomHistory
from sofia_viewers.spectrum.plot_box import MouseMode, PlotBox
from sofia_viewers.spectrum.session import PaneContent, data_range
from sofia_viewers.theme import current_theme, style_plot

__all__ = ["PaneView"]

_PADDING = 0.04
_MOST_LEGEND = 8
_FAR, _FAR_LOG = 1e120, 300.0
"""Where an axis ends: beyond, numbers overflow."""
_HALF_LABEL = 7
"""Pixels that the number at the upper end of an axis stands out."""


class PaneView(QtWidgets.QFrame):
    """A plot with a left and a right axis.

    Parameters
    ----------
    name : str
        Identity of the pane in the session.
    parent : QWidget, optional
        Owner.
    """

    activated = Signal(str)
    limits_changed = Signal(str, object, object)
    range_chosen = Signal(str, str, float, float, float, float)
    cursor_moved = Signal(str, float, float)
    cursor_left = Signal(str)
    mode_changed = Signal(str, str)
    view_changed = Signal(str)
    clicked = Signal(str, float, float)

    def __init__(self, name: str, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.name = name
        self.state = PaneState(name)
        self.content = PaneContent()
        self.history = ZoomHistory()
        self.box = PlotBox()
        self.plot = make_plot(viewBox=self.box)
        self.plot.setAcceptDrops(False)
        self.plot.hideButtons()
        self.item = self.plot.getPlotItem()
        self.item.layout.setContentsMargins(0, _HALF_LABEL, 0, 0)
        self.right_box = pg.ViewBox(enableMenu=False)
        self.right_box.setMouseEnabled(x=False, y=False)
        self.item.scene().addItem(self.right_box)
        self.item.getAxis("right").linkToView(self.right_box)
        self.right_box.setXLink(self.box)
        self.legend = pg.LegendItem(offset=(-10, 10), labelTextSize="8pt")
        self.legend.setParentItem(self.box)
        self._legend_lines: list[tuple[str, str]] = []
        self.message = QtWidgets.QLabel(self)
        self.message.setWordWrap(True)
        self.message.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.message.setProperty("role", "muted")
        self.message.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._items: list[CurveItem] = []
        self._right_items: list[CurveItem] = []
        self._quiet = False
        for box in (self.box, self.right_box):
            box.disableAutoRange()  # what an empty pane happens to show is no choice of the user's
        self._remember = QtCore.QTimer(self)
        self._remember.setSingleShot(True)
        self._remember.setInterval(250)
        self._remember.timeout.connect(self._push_history)
        self._crosshair = [pg.InfiniteLine(angle=angle) for angle in (90, 0)]
        for line in self._crosshair:
            line.hide()
            line.setZValue(40)
            self.box.addItem(line, ignoreBounds=True)
        self._nearest: dict[str, pg.ScatterPlotItem] = {}
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(2, 2, 2, 2)
        layout.addWidget(self.plot)
        self._connect()
        self.set_current(False)
        self.restyle()

    def _connect(self) -> None:
        self.box.sigRangeChanged.connect(self._on_range)
        self.box.sigResized.connect(self._place_right)
        self.box.pressed.connect(lambda: self.activated.emit(self.name))
        self.box.range_chosen.connect(lambda *values: self.range_chosen.emit(self.name, *values))
        self.box.mode_changed.connect(lambda mode: self.mode_changed.emit(self.name, mode))
        self.box.point_clicked.connect(lambda x, y: self.clicked.emit(self.name, x, y))
        self.plot.scene().sigMouseMoved.connect(self._on_move)
        self.plot.viewport().installEventFilter(self)

    # -- what is shown -----------------------------------------------------------------------------------------------

    def show_content(self, state: PaneState, content: PaneContent, style: PlotStyle) -> None:
        """Draw a pane.

        Parameters
        ----------
        state : PaneState
            Limits and scales.
        content : PaneContent
            Curves and labels.
        style : PlotStyle
            How they are drawn.
        """
        old = self.state
        same = _axes_of(old, self.content) == _axes_of(state, content)
        self.state, self.content = state, content
        self._quiet = True
        self._set_log(state)
        logs = (state.x_scale == "log", state.primary.scale == "log")
        self._items = self._fill(self.box, self._items, content.curves, style, logs)
        shown = content.overplot if state.overplot_enabled else ()
        right = (logs[0], state.overplot.scale == "log")
        self._right_items = self._fill(self.right_box, self._right_items, shown, style, right)
        self._label(content, state)
        self._fill_legend(style)
        self.item.showGrid(x=style.grid, y=style.grid, alpha=0.25)
        self._show_message(content)
        if not same:
            self.history = ZoomHistory()
        self._apply_limits()
        self._quiet = False
        self.view_changed.emit(self.name)

    def _fill(
        self, box: pg.ViewBox, items: list[CurveItem], curves: Sequence[Curve], style: PlotStyle, log: tuple[bool, bool]
    ) -> list[CurveItem]:
        dotted = box is self.right_box
        kept = items[: len(curves)]
        for item in items[len(curves) :]:
            box.removeItem(item)
        for item, curve in zip(kept, curves, strict=False):
            if (item.curve, item.style, item.log) != (curve, style, log):
                item.set_curve(curve, style, log)
        for curve in curves[len(kept) :]:
            item = CurveItem(curve, style, log, dotted=dotted)
            item.setZValue(-1 if dotted else 1)
            box.addItem(item)
            kept.append(item)
        return kept

    def _set_log(self, state: PaneState) -> None:
        self.item.getAxis("bottom").setLogMode(state.x_scale == "log", False)
        self.item.getAxis("left").setLogMode(False, state.primary.scale == "log")
        self.item.getAxis("right").setLogMode(False, state.overplot.scale == "log")
        for box, scale in ((self.box, state.primary.scale), (self.right_box, state.overplot.scale)):
            x_far, y_far = (_FAR_LOG if kind == "log" else _FAR for kind in (state.x_scale, scale))
            box.setLimits(xMin=-x_far, xMax=x_far, yMin=-y_far, yMax=y_far)

    def _label(self, content: PaneContent, state: PaneState) -> None:
        for side, text in (("bottom", content.x_label), ("left", content.y_label), ("right", content.y2_label)):
            axis = self.item.getAxis(side)
            axis.setLabel(text.replace("\n", "<br>"))
        self.item.showAxis("right", state.overplot_enabled or state.transmission)
        if state.transmission and not state.overplot_enabled:
            self.item.getAxis("right").setLabel("Transmission of the atmosphere")
        self._place_right()

    def _fill_legend(self, style: PlotStyle) -> None:
        named: dict[tuple[str, int], Curve] = {}
        for curve in self.content.curves:
            named.setdefault((curve.file, curve.aperture), curve)
        self.legend.setVisible(style.legend and 0 < len(named) <= _MOST_LEGEND)
        several = {file for file, aperture in named if aperture > 1}
        lines = [
            (curve.color, curve.name if file not in several else f"{curve.name} · aperture {aperture}")
            for (file, aperture), curve in named.items()
        ]
        if lines == self._legend_lines:
            return
        self._legend_lines = lines
        self.legend.clear()
        for color, text in lines:
            self.legend.addItem(pg.PlotDataItem(pen=pg.mkPen(color, width=2)), _shorten(text))

    def _show_message(self, content: PaneContent) -> None:
        text = "\n".join(content.problems[:3])
        if not content.curves and not content.problems:
            text = "No spectra in this pane.\nOpen files, drop them here, or double-click one in the list."
        is_empty = data_range(content.curves, "y") is None
        if content.curves and is_empty:
            text = "Nothing can be drawn: all values are missing (NaN)."
        self.message.setVisible(bool(text) and is_empty)
        for axis in (self.item.getAxis(side) for side in ("bottom", "left")):
            if axis.style["showValues"] == is_empty:  # an empty plot has no numbers
                axis.setStyle(showValues=not is_empty)
        self.message.setText(text)
        self._place_message()

    # -- limits ------------------------------------------------------------------------------------------------------

    @property
    def limits(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Limits of x and y as shown, in data values."""
        x, y = self.box.viewRange()
        return self._unscale(x, self.state.x_scale), self._unscale(y, self.state.primary.scale)

    def set_limits(self, x: Any = None, y: Any = None) -> None:
        """Show ranges of data values; None leaves an axis."""
        if x is not None:
            self.box.setXRange(*self._scaled(x, self.state.x_scale), padding=0)
        if y is not None:
            self.box.setYRange(*self._scaled(y, self.state.primary.scale), padding=0)

    def reset_zoom(self) -> None:
        """Show all of the data."""
        self.limits_changed.emit(self.name, None, None)
        self._quiet = True
        self._auto("x", None)
        self._auto("y", None)
        self._quiet = False
        self.history.push(None, None)
        self.view_changed.emit(self.name)

    def step_zoom(self, *, back: bool) -> None:
        """Return to the limits before, or to those after."""
        self._push_history()
        x, y = self.history.back() if back else self.history.forward()
        self.limits_changed.emit(self.name, x, y)
        self._quiet = True
        self._auto("x", x)
        self._auto("y", y)
        self._quiet = False
        self.view_changed.emit(self.name)

    def _apply_limits(self) -> None:
        self._auto("x", self.state.x_limits)
        self._auto("y", self.state.primary.limits)
        if self.state.overplot_enabled and self._right_items:
            self._auto_right()
        elif self.state.transmission:
            self.right_box.setYRange(0.0, 1.05, padding=0)

    def _auto(self, axis: str, limits: tuple[float, float] | None) -> None:
        if limits is not None and all(math.isfinite(value) for value in limits) and limits[0] != limits[1]:
            self.set_limits(**{axis: limits})
            return
        found = _range_of(self._items, 0 if axis == "x" else 1)
        if found is None:
            return
        (self.box.setXRange if axis == "x" else self.box.setYRange)(*found, padding=_PADDING)

    def _auto_right(self) -> None:
        state = self.state.overplot
        if state.limits is not None:
            self.right_box.setYRange(*self._scaled(state.limits, state.scale), padding=0)
            return
        found = _range_of(self._right_items, 1)
        if found is not None:
            self.right_box.setYRange(*found, padding=_PADDING)

    def _on_range(self, *_: Any) -> None:
        self._place_right()
        if self._quiet:
            return
        x, y = self.limits
        self.limits_changed.emit(self.name, x, y)
        self._remember.start()
        self.view_changed.emit(self.name)

    def _push_history(self) -> None:
        if self._remember.isActive() or self.sender() is self._remember:
            self._remember.stop()
            self.history.push(*self.limits)

    @staticmethod
    def _scaled(limits: tuple[float, float], scale: str) -> tuple[float, float]:
        if scale != "log":
            return limits
        low, high = (value if value > 0 else math.nan for value in limits)
        high = high if high > 0 else 1.0
        low = low if low > 0 else high * 1e-3
        return math.log10(low), math.log10(high)

    @staticmethod
    def _unscale(limits: Sequence[float], scale: str) -> tuple[float, float]:
        low, high = limits
        return (float(low), float(high)) if scale != "log" else (_raise(low), _raise(high))

    def to_plot(self, x: float, y: float) -> tuple[float, float]:
        """Return where a data value lies in the coordinates of the plot (logarithms on logarithmic axes)."""
        px = math.log10(x) if self.state.x_scale == "log" and x > 0 else x
        py = math.log10(y) if self.state.primary.scale == "log" and y > 0 else y
        return px, py

    def from_plot(self, x: float, y: float) -> tuple[float, float]:
        """Return the data value of a point of the plot."""
        return (
            _raise(x) if self.state.x_scale == "log" else x,
            _raise(y) if self.state.primary.scale == "log" else y,
        )

    # -- mouse -------------------------------------------------------------------------------------------------------

    def set_mode(self, mode: MouseMode) -> None:
        """Let the mouse choose a range, or pan."""
        self.box.set_mode(mode)

    def _on_move(self, position: QtCore.QPointF) -> None:
        if not self.box.sceneBoundingRect().contains(position):
            self.cursor_left.emit(self.name)
            return
        point = self.box.mapSceneToView(position)
        self.box.guide_to(point)
        self.cursor_moved.emit(self.name, *self.from_plot(point.x(), point.y()))

    def eventFilter(self, watched: QtCore.QObject, event: QtCore.QEvent) -> bool:  # noqa: N802 - Qt's name
        """Notice the cursor leaving, and presses anywhere in the pane."""
        if event.type() == QtCore.QEvent.Type.Leave:
            self.cursor_left.emit(self.name)
        elif event.type() == QtCore.QEvent.Type.MouseButtonPress:
            self.activated.emit(self.name)
        return super().eventFilter(watched, event)

    def show_crosshair(self, x: float | None, y: float | None = None) -> None:
        """Draw lines at a data value; None hides them."""
        for line, value in zip(self._crosshair, (x, y), strict=True):
            line.setVisible(value is not None)
        if x is not None:
            self._crosshair[0].setPos(self.to_plot(x, 1.0)[0])
        if y is not None:
            self._crosshair[1].setPos(self.to_plot(1.0, y)[1])

    def mark_points(self, points: Sequence[tuple[float, float, str]], *, right: bool = False) -> None:
        """Mark points of curves: x, y and colour of each; crosses, on the right axis triangles."""
        side = "right" if right else "left"
        box = self.right_box if right else self.box
        if side not in self._nearest:
            marks = pg.ScatterPlotItem(symbol="t1" if right else "x", size=11)
            marks.setZValue(45)
            box.addItem(marks, ignoreBounds=True)
            self._nearest[side] = marks
        spots = [
            {"pos": self.to_plot(x, y), "pen": pg.mkPen(color, width=2), "brush": None}
            for x, y, color in points
            if math.isfinite(x) and math.isfinite(y)
        ]
        self._nearest[side].setData(spots)

    # -- look --------------------------------------------------------------------------------------------------------

    def set_current(self, current: bool) -> None:
        """Frame the pane if it is the current one."""
        theme = current_theme()
        color = theme.accent if current else theme.border
        self.setStyleSheet(f"PaneView {{ border: {2 if current else 1}px solid {color}; border-radius: 3px; }}")

    def restyle(self) -> None:
        """Take over the colours of the theme."""
        theme = current_theme()
        style_plot(self.plot)
        self.plot.setBackground(theme.canvas)
        self.box.set_pen_color(theme.accent)
        for line in self._crosshair:
            line.setPen(pg.mkPen(theme.muted, width=1))
        self.legend.setLabelTextColor(theme.text)
        self._legend_lines = []  # its lines are made anew
        ground = QtGui.QColor(theme.canvas)
        ground.setAlpha(200)
        self.legend.setBrush(ground)

    def resizeEvent(self, event: QtGui.QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Keep the message in the middle."""
        super().resizeEvent(event)
        self._place_message()

    def _place_message(self) -> None:
        width = max(120, self.width() - 160)
        height = self.message.heightForWidth(width)
        self.message.setGeometry((self.width() - width) // 2, (self.height() - height) // 2, width, max(height, 20))
        self.message.raise_()

    def _place_right(self, *_: Any) -> None:
        self.right_box.setGeometry(self.box.sceneBoundingRect())
        self.right_box.linkedViewChanged(self.box, self.right_box.XAxis)


def _axes_of(state: PaneState, content: PaneContent) -> tuple[Any, ...]:
    """What limits mean: with other fields or units they are those of something else."""
    velocity = (state.rest, state.convention) if content.x_unit == "km/s" else ()
    return (
        state.x_field, content.x_unit, state.x_scale, velocity, state.primary.field, content.y_unit,
        state.primary.scale,
    )  # fmt: skip


def _raise(power: float) -> float:
    """Return ten to a power, within what numbers can be."""
    return float(10.0 ** min(max(power, -300.0), 300.0))


def _range_of(items: Sequence[CurveItem], axis: int) -> tuple[float, float] | None:
    bounds = [item.dataBounds(axis) for item in items]
    known = [(low, high) for low, high in bounds if low is not None and high is not None]
    if not known:
        return None
    low, high = min(b[0] for b in known), max(b[1] for b in known)
    if low == high:
        margin = abs(low) * 0.1 or 1.0
        return low - margin, high + margin
    return float(np.float64(low)), float(np.float64(high))


def _shorten(text: str, longest: int = 48) -> str:
    return text if len(text) <= longest else f"{text[: longest // 2 - 1]}…{text[-longest // 2 :]}"
