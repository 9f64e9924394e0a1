"""What lies over the curves of a pane: reference lines with labels, fits with handles, the atmosphere, ranges."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sofia_viewers.qt import Qt, QtCore, QtGui, Signal, pg
from sofia_viewers.spectrum.curves import Curve
from sofia_viewers.spectrum.fit_table import FitRecord, convert_points
from sofia_viewers.spectrum.fit_units import convert_fit, lines_of
from sofia_viewers.spectrum.fitting import Line, evaluate
from sofia_viewers.spectrum.items import CurveItem
from sofia_viewers.spectrum.lines import merge_labels
from sofia_viewers.spectrum.pane import PlotStyle
from sofia_viewers.spectrum.pane_view import PaneView
from sofia_viewers.spectrum.plot_box import rubber_color
from sofia_viewers.spectrum.profiles import PROFILES
from sofia_viewers.theme import current_theme

__all__ = ["FitLayer", "LineLayer", "RangeLayer", "TransmissionLayer"]

_LABEL_HEIGHT = 14.0
_LABEL_PLACE = 0.05
_FIT_POINTS = 400
_ATMOSPHERE = "#009e73"
_DASHES = (Qt.PenStyle.DashLine, Qt.PenStyle.DotLine, Qt.PenStyle.DashDotLine)


class LineLayer(QtCore.QObject):
    """Reference lines of one pane; ``dragged`` carries the rest wavelength and where the line was dropped (x)."""

    dragged = Signal(float, float)

    def __init__(self, view: PaneView) -> None:
        super().__init__(view)
        self.view = view
        self._items: list[Any] = []
        self.labels: list[str] = []
        self.places: list[float] = []

    def show_lines(self, lines: Sequence[tuple[float, str, float]]) -> None:
        """Draw lines: x, label and rest wavelength of each."""
        box = self.view.box
        for item in self._items:
            box.removeItem(item)
        self._items = []
        self.places = [x for x, _, _ in lines]
        theme = current_theme()
        color = QtGui.QColor(theme.muted)
        color.setAlphaF(0.6)
        for x, label, rest in lines:
            item = pg.InfiniteLine(
                pos=self.view.to_plot(x, 1.0)[0], angle=90, movable=True, pen=pg.mkPen(color, width=1)
            )
            item.setToolTip(f"{label or 'Line'}: {rest:g} μm at rest. Drag it to a feature to set the velocity.")
            item.sigPositionChangeFinished.connect(lambda moved, rest=rest: self._dropped(moved, rest))
            box.addItem(item, ignoreBounds=True)
            self._items.append(item)
        self._add_labels(lines, theme.muted)

    def _add_labels(self, lines: Sequence[tuple[float, str, float]], color: str) -> None:
        view, box = self.view, self.view.box
        (left, right), (bottom, top) = box.viewRange()
        named = [(view.to_plot(x, 1.0)[0], label) for x, label, _ in lines if label]
        per_pixel = (right - left) / max(box.width(), 1.0)
        places = [(x - left) / per_pixel for x, _ in named]
        merged = merge_labels(places, [label for _, label in named], _LABEL_HEIGHT)
        self.labels = [label.text for label in merged]
        for label in merged:
            text = pg.TextItem(label.text, color=color, anchor=(0.0, 1.0), angle=90)
            text.setPos(left + label.place * per_pixel, bottom + _LABEL_PLACE * (top - bottom))
            box.addItem(text, ignoreBounds=True)
            self._items.append(text)

    def _dropped(self, item: Any, rest: float) -> None:
        self.dragged.emit(rest, self.view.from_plot(float(item.value()), 0.0)[0])


class FitLayer(QtCore.QObject):
    """Fits of one pane; those with handles tell of first values that were dragged."""

    dragged = Signal(int, object)

    def __init__(self, view: PaneView) -> None:
        super().__init__(view)
        self.view = view
        self._items: list[Any] = []
        self.curves: list[Any] = []
        self.handles: list[Any] = []

    def show_fits(self, fits: Sequence[tuple[int, FitRecord]], active: int = -1) -> None:
        """Draw fits (number and record of each), handles on the active one."""
        for item in self._items:
            self.view.box.removeItem(item)
        self._items, self.curves, self.handles = [], [], []
        for number, record in fits:
            if record.result is not None:
                self._draw(number, record)
                if number == active:
                    self._add_handles(number, record)

    def _add(self, item: Any, z: float) -> Any:
        item.setZValue(z)
        self.view.box.addItem(item, ignoreBounds=True)
        self._items.append(item)
        return item

    def _draw(self, number: int, record: FitRecord) -> None:
        assert record.result is not None
        x = np.linspace(*record.result.limits, _FIT_POINTS)
        color = _grey_of(
            next((c.color for c in self.view.content.curves if c.file == record.file), current_theme().text)
        )
        width = 2.0
        total = self._plot(
            record, x, evaluate(record.result, x), pg.mkPen(color, width=width, style=_DASHES[number % 3])
        )
        self.curves.append(total)
        if len(record.result.lines) > 1:
            for line in range(len(record.result.lines)):
                self._plot(
                    record,
                    x,
                    evaluate(record.result, x, line=line),
                    pg.mkPen(color, width=1, style=Qt.PenStyle.DotLine),
                )
        self._plot(record, x, evaluate(record.result, x, baseline_only=True), pg.mkPen(color, width=1))
        places = [line.center.value for line in record.result.lines] or [0.5 * sum(record.result.limits)]
        shown, _ = convert_points(record, places, np.ones(len(places)), self._axis(), "")
        for place in shown:
            if math.isfinite(place):
                line = pg.InfiniteLine(
                    self.view.to_plot(place, 1.0)[0], 90, pg.mkPen(color, width=1, style=Qt.PenStyle.DashLine)
                )
                self._add(line, 12)

    def _axis(self) -> Any:
        return replace(self.view.state.axis, unit=self.view.content.x_unit)

    def _plot(self, record: FitRecord, x: Any, y: Any, pen: Any) -> Any:
        shown_x, shown_y = convert_points(record, x, y, self._axis(), self.view.content.y_unit)
        px, py = _to_plot(self.view, shown_x, shown_y)
        item = pg.PlotCurveItem(px, py, pen=pen, connect="finite", antialias=True)
        return self._add(item, 15)

    def _add_handles(self, number: int, record: FitRecord) -> None:
        """Put a handle on the top of each line, for position and height, and one at half height, for the width."""
        record = convert_fit(record, self._axis(), self.view.content.y_unit)
        assert record.result is not None
        if self.view.content.x_unit != record.x_unit or self.view.content.y_unit != record.y_unit:
            return
        for index, line in enumerate(record.result.lines):
            top = (line.center.value, line.baseline.value + line.amplitude.value)
            side = (line.center.value + line.fwhm.value / 2.0, line.baseline.value + line.amplitude.value / 2.0)
            for kind, place in (("top", top), ("side", side)):
                self.handles.append(self._make_handle(kind, place, (number, index, record)))

    def _make_handle(self, kind: str, place: tuple[float, float], owner: tuple[int, int, FitRecord]) -> Any:
        theme = current_theme()
        handle = pg.TargetItem(
            pos=self.view.to_plot(*place), size=12, symbol="o" if kind == "top" else "s",
            pen=pg.mkPen(theme.accent, width=2),
            movable=True,
        )  # fmt: skip
        handle.setToolTip(
            "Drag to start the fit elsewhere" if kind == "top" else "Drag to start the fit with another width"
        )
        handle.sigPositionChangeFinished.connect(lambda item: self._dropped(kind, item, owner))
        return self._add(handle, 60)

    def _dropped(self, kind: str, item: Any, owner: tuple[int, int, FitRecord]) -> None:
        number, index, record = owner
        x, y = self.view.from_plot(float(item.pos().x()), float(item.pos().y()))
        self.dragged.emit(number, move_guess(record, index, kind, (x, y)))


def move_guess(record: FitRecord, index: int, kind: str, place: tuple[float, float]) -> tuple[Line, ...]:
    """Return the lines of a fit as first values, one of them moved (``top``) or widened (``side``) to a place."""
    assert record.result is not None
    line = record.result.lines[index]
    amplitude, center, width = line.amplitude.value, line.center.value, line.fwhm.value
    if kind == "top":
        amplitude, center = place[1] - line.baseline.value, place[0]
    else:
        width = max(2.0 * abs(place[0] - center), 1e-3 * abs(width))
    moved = Line(line.shape, PROFILES[line.shape].start(amplitude, center, width))
    return tuple(moved if number == index else other for number, other in enumerate(lines_of(record)))


class TransmissionLayer:
    """The atmosphere over one pane, on the right axis where nothing else is there."""

    def __init__(self, view: PaneView) -> None:
        self.view = view
        self.item: Any = None

    def show_curve(self, x: Any, transmission: Any) -> None:
        """Draw the transmission; None removes it."""
        if self.item is not None:
            self.view.right_box.removeItem(self.item)
            self.item = None
        if x is None:
            return
        curve = Curve("", "", 1, 1, np.asarray(x), np.asarray(transmission), color=_ATMOSPHERE, opacity=0.75)
        style = PlotStyle("Line", errors="off", width=1.0)
        self.item = CurveItem(curve, style, (self.view.state.x_scale == "log", False))
        self.item.setZValue(-5)
        self.view.right_box.addItem(self.item, ignoreBounds=True)
        if not self.view.state.overplot_enabled:
            self.view.right_box.setYRange(0.0, 1.05, padding=0)


class RangeLayer(QtCore.QObject):
    """Ranges of x that can be dragged: continuum windows, or the range of statistics."""

    changed = Signal(int, float, float)

    def __init__(self, view: PaneView) -> None:
        super().__init__(view)
        self.view = view
        self.items: list[Any] = []

    def show_ranges(self, ranges: Sequence[tuple[float, float]]) -> None:
        """Draw ranges."""
        for item in self.items:
            self.view.box.removeItem(item)
        self.items = []
        for number, (low, high) in enumerate(ranges):
            values = [self.view.to_plot(low, 1.0)[0], self.view.to_plot(high, 1.0)[0]]
            item = pg.LinearRegionItem(values, brush=rubber_color(), pen=pg.mkPen(current_theme().accent))
            item.setZValue(-10)
            item.sigRegionChangeFinished.connect(lambda moved, number=number: self._moved(number, moved))
            self.view.box.addItem(item, ignoreBounds=True)
            self.items.append(item)

    def _moved(self, number: int, item: Any) -> None:
        low, high = (self.view.from_plot(value, 0.0)[0] for value in item.getRegion())
        self.changed.emit(number, low, high)


def _to_plot(view: PaneView, x: Any, y: Any) -> tuple[Any, Any]:
    return _scale(x, view.state.x_scale), _scale(y, view.state.primary.scale)


def _scale(values: Any, kind: str) -> Any:
    array = np.asarray(values, dtype=float)
    return np.log10(np.where(array > 0, array, np.nan)) if kind == "log" else array


def _grey_of(color: str) -> str:
    """Return the grey of a colour, kept apart from the ground."""
    found = QtGui.QColor(color)
    grey = round(0.299 * found.red() + 0.587 * found.green() + 0.114 * found.blue())
    grey = max(grey, 150) if current_theme().is_dark else min(grey, 120)
    return f"#{grey:02x}{grey:02x}{grey:02x}"
