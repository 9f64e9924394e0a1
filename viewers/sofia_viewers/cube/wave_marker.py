"""The line in the spectrum that shows, and chooses, the wavelength of the slices."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from sofia_engine.errors import ParameterError
from sofia_viewers.qt import Qt, QtCore, Signal, pg
from sofia_viewers.spectrum.pane_view import PaneView
from sofia_viewers.spectrum.units import PIXEL, convert_wave
from sofia_viewers.spectrum.widget import SpectrumArea
from sofia_viewers.theme import current_theme

__all__ = ["WaveMarker", "pane_wavelengths", "wave_in_pane"]


class WaveMarker(QtCore.QObject):
    """Draws a movable line in every pane whose x axis is spectral; ``moved`` carries the wavelength it is dragged to.

    Parameters
    ----------
    area : SpectrumArea
        The panes.
    """

    moved = Signal(float)

    def __init__(self, area: SpectrumArea) -> None:
        super().__init__(area)
        self.area = area
        self.wave: float | None = None
        self.unit = "um"
        self._lines: dict[str, tuple[PaneView, pg.InfiniteLine]] = {}
        area.drawn.connect(lambda _: self.refresh())
        area.clicked.connect(self._click)

    def show_wave(self, wave: float | None, unit: str = "um") -> None:
        """Show a wavelength; None hides the line."""
        if (wave, unit) != (self.wave, self.unit):
            self.wave, self.unit = wave, unit
            self.refresh()

    def refresh(self) -> None:
        """Put the lines where they belong in the units of their panes."""
        for name, view in self.area.views.items():
            line = self._line_of(name, view)
            x = math.nan if self.wave is None else wave_in_pane(view, self.wave, self.unit)
            line.setVisible(math.isfinite(x))
            if math.isfinite(x):
                with QtCore.QSignalBlocker(line):
                    line.setPos(view.to_plot(x, 1.0)[0])

    def restyle(self) -> None:
        """Take over the colours of the look."""
        for _, line in self._lines.values():
            line.setPen(pg.mkPen(current_theme().accent, width=1.5))

    def _line_of(self, name: str, view: PaneView) -> pg.InfiniteLine:
        known = self._lines.get(name)
        if known is not None and known[0] is view:
            return known[1]
        line = pg.InfiniteLine(angle=90, movable=True, pen=pg.mkPen(current_theme().accent, width=1.5))
        line.setHoverPen(pg.mkPen(current_theme().accent, width=3))
        line.setCursor(Qt.CursorShape.SizeHorCursor)
        line.setToolTip("Wavelength of the slices: drag it, or click in the plot")
        line.setZValue(30)
        line.sigPositionChanged.connect(lambda item: self._tell(view, view.from_plot(float(item.value()), 1.0)[0]))
        view.box.addItem(line, ignoreBounds=True)
        self._lines[name] = (view, line)
        return line

    def _click(self, name: str, x: float, _y: float) -> None:
        view = self.area.views[name]
        self._tell(view, view.from_plot(x, 1.0)[0])

    def _tell(self, view: PaneView, x: float) -> None:
        wave = pane_wavelengths(view, (x,), self.unit)
        if wave is not None and self.wave is not None:
            self.moved.emit(wave[0])


def wave_in_pane(view: PaneView, wave: float, unit: str) -> float:
    """Return where a wavelength lies on the x axis of a pane; NaN if it has no place there."""
    state, content = view.state, view.content
    if state.x_field != "wavepos" or not content.curves or content.x_unit == "":
        return math.nan
    if content.x_unit == unit:
        return wave
    if PIXEL in (content.x_unit, unit):
        return math.nan
    try:
        return float(convert_wave(np.array([wave]), unit, replace(state.axis, unit=content.x_unit))[0])
    except ParameterError:
        return math.nan


def pane_wavelengths(view: PaneView, xs: tuple[float, ...], unit: str) -> tuple[float, ...] | None:
    """Return wavelengths, in the unit of a cube, of places on the x axis of a pane; None if the axis is another."""
    state, content = view.state, view.content
    if state.x_field != "wavepos" or content.x_unit == "":
        return None
    if content.x_unit == unit:
        return xs
    if content.x_unit == PIXEL:
        return None
    try:
        return tuple(
            float(value) for value in convert_wave(np.array(xs), content.x_unit, replace(state.axis, unit=unit))
        )
    except ParameterError:
        return None
