"""Keeps what lies over the curves in step with the session: lines, fits, atmosphere, windows, statistics, cursor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sofia_viewers.qt import QtCore, Signal
from sofia_viewers.spectrum.annotations import Annotations
from sofia_viewers.spectrum.cursor_panel import CursorPanel, CursorTable, read_curves
from sofia_viewers.spectrum.curves import Curve
from sofia_viewers.spectrum.layers import FitLayer, LineLayer, RangeLayer, TransmissionLayer
from sofia_viewers.spectrum.operations import Statistics, measure_region
from sofia_viewers.spectrum.pane_view import PaneView
from sofia_viewers.spectrum.session import data_range
from sofia_viewers.spectrum.statistics_window import StatisticsWindow
from sofia_viewers.spectrum.transmission import Atmosphere, load_transmission
from sofia_viewers.spectrum.units import WaveAxis, convert_range, convert_wave
from sofia_viewers.spectrum.widget import SpectrumArea
from sofia_viewers.tasks import Tasks

__all__ = ["Overlays"]

_LIGHT_DELAY = 30
_MOST_TOLD = 3
"""Spectra whose statistics are told below the panes; more are a table."""


class _Layers:
    """The layers of one pane."""

    def __init__(self, view: PaneView) -> None:
        self.lines, self.fits = LineLayer(view), FitLayer(view)
        self.atmosphere, self.windows, self.region = TransmissionLayer(view), RangeLayer(view), RangeLayer(view)


class Overlays(QtCore.QObject):
    """Draws the annotations of a session over its panes.

    Parameters
    ----------
    area : SpectrumArea
        The panes.
    annotations : Annotations
        What is drawn.
    tasks : Tasks
        Reads and smooths the atmosphere off the GUI thread.
    """

    said = Signal(str)
    failed = Signal(str)
    measured = Signal(str)
    region_changed = Signal(float, float)

    def __init__(self, area: SpectrumArea, annotations: Annotations, tasks: Tasks) -> None:
        super().__init__(area)
        self.area, self.annotations, self.tasks = area, annotations, tasks
        self.active_fit = -1
        self.region: tuple[str, float, float] | None = None
        self._region_axis = WaveAxis("")
        self.cursor = CursorPanel()
        self.cursor_table = CursorTable(area)
        self.statistics = StatisticsWindow(area)
        self.statistics.failed.connect(self.failed)
        self.cursor_on = False
        self._layers: dict[str, _Layers] = {}
        self._lines_shown: dict[str, Any] = {}
        self._asked: dict[str, Any] = {}
        self._last_cursor: tuple[str, float, float] | None = None
        self._cursor_timer = QtCore.QTimer(self)
        self._cursor_timer.setSingleShot(True)
        self._cursor_timer.setInterval(_LIGHT_DELAY)
        self._cursor_timer.timeout.connect(self._read_cursor)
        area.drawn.connect(self.draw)
        area.cursor_moved.connect(self._on_cursor)
        area.cursor_left.connect(self._on_leave)
        annotations.subscribe(self._on_change)
        self.cursor.switched.connect(self.switch_cursor)
        self.cursor.popout_requested.connect(self.pop_out)

    def layers(self, name: str) -> _Layers | None:
        """Return the layers of a pane."""
        view = self.area.views.get(name)
        if view is None:
            return None
        known = self._layers.get(name)
        if known is None or known.lines.view is not view:
            known = self._layers[name] = _Layers(view)
            known.lines.dragged.connect(self._on_line_dragged)
            known.fits.dragged.connect(self._on_guess_dragged)
            known.windows.changed.connect(self._on_window_changed)
            known.region.changed.connect(lambda _, low, high, name=name: self.measure(name, (low, high)))
        return known

    def _on_change(self, what: str) -> None:
        for name in list(self.area.views):
            if what == "lines":
                self._draw_lines(name)
            elif what == "fits":
                self._draw_fits(name)
            elif what == "sky":
                self._draw_atmosphere(name)
            elif what == "windows":
                self._draw_windows(name)

    def draw(self, name: str) -> None:
        """Draw everything over a pane that may have changed with it."""
        view = self.area.views.get(name)
        if view is None:
            return
        self._draw_lines(name)
        look = (view.content, view.state.x_scale, view.state.primary.scale)
        if self._lines_shown.get(name + " look") != look:
            self._lines_shown[name + " look"] = look
            self._follow_units(name)
            self._draw_fits(name)
            self._draw_windows(name)
            self._draw_region(name)
        self._draw_atmosphere(name)

    def redraw_all(self) -> None:
        """Draw everything anew, in the colours of the theme."""
        self._lines_shown.clear()
        self._asked.clear()
        for name in list(self.area.views):
            self.draw(name)

    # -- lines -------------------------------------------------------------------------------------------------------

    def _draw_lines(self, name: str) -> None:
        layers, view = self.layers(name), self.area.views[name]
        if layers is None:
            return
        lines = self.annotations.lines_in(view.state, view.content.x_unit, view.limits[0])
        shown = (tuple(lines), view.box.viewRect().getCoords() if lines else None, view.state.x_scale)
        if shown != self._lines_shown.get(name):
            self._lines_shown[name] = shown
            layers.lines.show_lines(lines)

    def _on_line_dragged(self, rest: float, x: float) -> None:
        state = self.area.current.state
        unit = self.area.current.content.x_unit
        wave = float(convert_wave(np.array([x]), unit, WaveAxis("um", state.rest, state.convention))[0])
        shift = self.annotations.shift.with_line_at(rest, wave)
        self.annotations.set_shift(shift)
        self.said.emit(f"Lines moved to z = {shift.redshift:.6f}, {shift.velocity:+.1f} km/s ({shift.frame}).")

    # -- fits --------------------------------------------------------------------------------------------------------

    def select_fit(self, number: int) -> None:
        """Put handles on a fit."""
        if number != self.active_fit:
            self.active_fit = number
            for name in list(self.area.views):
                self._draw_fits(name)

    def _draw_fits(self, name: str) -> None:
        layers = self.layers(name)
        if layers is None:
            return
        content = self.area.views[name].content
        visible = {curve.key for curve in content.curves}
        state = self.area.views[name].state
        fits = [
            (number, record)
            for number, record in enumerate(self.annotations.fits)
            if record.pane == name and record.shown and (record.file, record.order, record.aperture) in visible
            and (record.x_field, record.y_field) == (state.x_field, state.primary.field)
        ]  # fmt: skip
        layers.fits.show_fits(fits, self.active_fit)

    def _on_guess_dragged(self, number: int, guess: Any) -> None:
        if self.annotations.fits[number].is_guess:
            self.annotations.move_guess(number, guess)
        elif self.annotations.refit(number, guess) is None:
            self.failed.emit("The fit does not converge from there: drag the handle elsewhere.")
            for name in list(self.area.views):
                self._draw_fits(name)

    # -- atmosphere --------------------------------------------------------------------------------------------------

    def _draw_atmosphere(self, name: str) -> None:
        layers, view = self.layers(name), self.area.views[name]
        if layers is None:
            return
        limits = self._wave_limits(view) if view.state.transmission else None
        asked = None if limits is None else (self.annotations.sky, limits, view.content.x_unit, view.state.x_scale)
        if asked == self._asked.get(name):
            return
        self._asked[name] = asked
        if limits is None:
            layers.atmosphere.show_curve(None, None)
            if view.state.transmission and view.content.curves:
                self.failed.emit("The atmosphere is shown over wavelengths only: choose the wavelength as x field.")
            return
        sky = self.annotations.sky
        self.tasks.submit(
            f"atmosphere {name}",
            lambda: load_transmission(sky, limits),
            lambda found: self._show_atmosphere(name, found),
        )

    def _wave_limits(self, view: PaneView) -> tuple[float, float] | None:
        """Return the wavelengths, μm, of the data of a pane: the model is read once for all zooms."""
        found = data_range(view.content.curves, "x")
        if found is None or view.state.x_field != "wavepos":
            return None
        waves = convert_range(found, _axis_of(view), WaveAxis("um"))
        if waves is None:  # columns, or velocities of no line
            return None
        low, high = waves
        return (low, high) if low < high else (low * 0.99, high * 1.01)

    def _show_atmosphere(self, name: str, found: Atmosphere) -> None:
        layers, view = self.layers(name), self.area.views.get(name)
        if layers is None or view is None or not view.state.transmission or self._wave_limits(view) is None:
            return  # meanwhile, something else is shown
        axis = replace(view.state.axis, unit=view.content.x_unit)
        layers.atmosphere.show_curve(convert_wave(found.wavelength, "um", axis), found.transmission)
        self.said.emit(found.description)

    # -- ranges ------------------------------------------------------------------------------------------------------

    def add_window(self, limits: tuple[float, float]) -> None:
        """Add a continuum window."""
        self.annotations.add_window(limits, _axis_of(self.area.current))

    def _draw_windows(self, name: str) -> None:
        layers = self.layers(name)
        if layers is not None:
            current = name == self.area.session.pane.id
            layers.windows.show_ranges(self.annotations.windows_on(_axis_of(self.area.views[name])) if current else [])

    def _on_window_changed(self, number: int, low: float, high: float) -> None:
        self.annotations.move_window(number, (low, high), _axis_of(self.area.current))

    def measure(self, name: str, limits: tuple[float, float] | None) -> None:
        """Measure the curves of a pane between two values of x; None ends it."""
        same = self.region is not None and limits is not None and self.region[0] == name
        self.region = None if limits is None else (name, *limits)
        self._region_axis = WaveAxis("") if limits is None else _axis_of(self.area.views[name])
        if not same:
            self._draw_region(name)
        if limits is None:
            self.measured.emit("")
            return
        view = self.area.views[name]
        content = view.content
        waves = convert_range(limits, self._region_axis, WaveAxis("um")) if view.state.x_field == "wavepos" else None
        if waves is not None:  # velocities without a line have no wavelengths
            self.region_changed.emit(*waves)
        measured = [(c, measure_region(c.x, c.y, c.error, limits)) for c in content.curves]
        known = [(curve, found) for curve, found in measured if found.count]
        self.statistics.show_statistics(known, limits, (content.x_unit, content.y_unit))
        if len(known) > _MOST_TOLD and not same:
            self.statistics.show()
        self.measured.emit(_tell_statistics(known, content.y_unit))

    def _follow_units(self, name: str) -> None:
        """Keep the range that is measured where it is when the pane shows other units."""
        axis = _axis_of(self.area.views[name])
        if self.region is not None and self.region[0] == name and axis != self._region_axis:
            moved = convert_range(self.region[1:], self._region_axis, axis)
            self.measure(name, None)
            if moved is not None:
                self.measure(name, moved)

    def _draw_region(self, name: str) -> None:
        layers = self.layers(name)
        if layers is not None:
            here = self.region is not None and self.region[0] == name
            layers.region.show_ranges([self.region[1:]] if here and self.region else [])

    # -- cursor ------------------------------------------------------------------------------------------------------

    def switch_cursor(self, on: bool) -> None:
        """Show values under the cursor, or not."""
        self.cursor_on = on
        if not on:
            self._on_leave("")

    def pop_out(self) -> None:
        """Show the table of values."""
        self.cursor.enabled.setChecked(True)
        self.cursor_table.show()
        self.cursor_table.raise_()

    def _on_cursor(self, name: str, x: float, y: float) -> None:
        if self.cursor_on:
            self._last_cursor = (name, x, y)
            if not self._cursor_timer.isActive():
                self._cursor_timer.start()

    def _read_cursor(self) -> None:
        if self._last_cursor is None or self._last_cursor[0] not in self.area.views:
            return
        name, x, y = self._last_cursor
        view = self.area.views[name]
        readings = read_curves(view.content.curves, x)
        over = read_curves(view.content.overplot, x)
        view.show_crosshair(x, y)
        view.mark_points([(r.x, r.y, r.curve.color) for r in readings])
        view.mark_points([(r.x, r.y, r.curve.color) for r in over], right=True)
        self.cursor.show_reading(x, y, readings)
        if self.cursor_table.isVisible():
            self.cursor_table.show_readings((x, y), [*readings, *over], view.content)

    def _on_leave(self, _: str) -> None:
        self._last_cursor = None
        for view in self.area.views.values():
            view.show_crosshair(None)
            view.mark_points([])
            view.mark_points([], right=True)
        self.cursor.show_reading(None, None, [])


def _axis_of(view: PaneView) -> WaveAxis:
    return replace(view.state.axis, unit=view.content.x_unit)


def _tell_statistics(known: Sequence[tuple[Curve, Statistics]], unit: str) -> str:
    if not known:
        return "There are no data in the range: choose another one."
    if len(known) > _MOST_TOLD:
        return f"{len(known)} spectra have data in the range: see the window Statistics."
    return "\n".join(describe_statistics(curve.title, found, unit) for curve, found in known)


def describe_statistics(title: str, found: Statistics, unit: str) -> str:
    """Write statistics as one line."""
    return (
        f"{title}: n = {found.count}, mean {found.mean:.5g}, median {found.median:.5g}, σ {found.std:.4g}, "
        f"min {found.minimum:.5g}, max {found.maximum:.5g} {unit}; sum {found.total:.5g}, integral {found.integral:.5g}"
        + (f" ± {found.integral_error:.2g}" if np.isfinite(found.integral_error) else "")
        + f", centroid {found.centroid:.7g}, S/N {found.signal_to_noise:.4g}"
    )
