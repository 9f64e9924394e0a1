"""The view of a slit spectrum: rectified image with traces, spatial profile with apertures to drag, and spectrum."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sofia_viewers.colormaps import make_color_table
from sofia_viewers.plots import make_plot
from sofia_viewers.qt import Qt, QtCore, QtWidgets, Signal, pg
from sofia_viewers.spectrum.slit import SlitMarks, SlitSpectrum, place_columns, shift_traces, sum_apertures
from sofia_viewers.theme import PLOT_COLORS, current_theme, style_plot, theme_events

__all__ = ["EDITS", "SlitView"]

POSITIONS, RADII, PSF_RADII, REGIONS = EDITS = (
    "aperture positions", "aperture radii", "psf radii", "background regions",
)  # fmt: skip
"""What can be dragged."""

_AXIS_WIDTH, _AXIS_HEIGHT = 62, 38
_PERCENTILES = (1.0, 99.5)
_CENTER, _RADIUS, _PSF, _REGION = "#17becf", "#2ca02c", "#1f77b4", "#d62728"
_STYLES = {
    POSITIONS: (_CENTER, Qt.PenStyle.DashLine, 2.0),
    RADII: (_RADIUS, Qt.PenStyle.DotLine, 1.5),
    PSF_RADII: (_PSF, Qt.PenStyle.DashDotLine, 1.5),
}
_AROUND = 3.0
"""Half height of the view of an aperture, PSF radii: background is looked for there."""
_ON_IMAGE, _LONGEST_NAME = "#ffffff", 24
"""Colour and length of names on the image, which has the same colours in light and dark."""
_LEAST_RADIUS = 0.5
"""Rows; narrower apertures hold nothing."""
_PALE = 0.4
"""Opacity of spectra that are no longer those of the apertures."""


class SlitView(QtWidgets.QWidget):
    """Shows a slit spectrum; apertures and background regions can be dragged in the profile.

    Notes
    -----
    Signals: ``moved`` (`SlitMarks`) while something is dragged, ``edited`` (`SlitMarks`, one of `EDITS`) when it is let
    go.
    """

    moved = Signal(object)
    edited = Signal(object, str)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.slit: SlitSpectrum | None = None
        self.marks = SlitMarks()
        self.chosen: tuple[str, int] | None = None
        self._editable: frozenset[str] = frozenset()
        self._before = SlitMarks()
        self._placing = False
        self._edited_marks = False
        self._places: list[tuple[Any, Any]] = []
        self._ranges: list[Any] = []
        self.image_plot, self.profile_plot, self.spectrum_plot = (_make_plot() for _ in range(3))
        self.corner = QtWidgets.QVBoxLayout()
        self._make_items()
        self._lay_out()
        theme_events().changed.connect(self._restyle)
        self._restyle()

    def _make_items(self) -> None:
        self.picture = pg.ImageItem()
        self.image_plot.addItem(self.picture)
        self.profile_curve = pg.PlotDataItem(connect="finite")
        self.region_curve = pg.PlotDataItem(pen=pg.mkPen(_REGION, width=2), connect="finite")
        for curve in (self.profile_curve, self.region_curve):
            self.profile_plot.addItem(curve)
        self.lines: dict[tuple[int, str, int], Any] = {}
        """Lines in the profile by aperture, kind and side (-1, 0, 1)."""
        self.regions: list[Any] = []
        self._drawn: list[tuple[Any, Any]] = []
        self.profile_plot.setYLink(self.image_plot)
        self.spectrum_plot.setXLink(self.image_plot)
        self.legend = self.spectrum_plot.addLegend(offset=(-10, 5), labelTextSize="8pt")

    def _lay_out(self) -> None:
        for plot in (self.image_plot, self.profile_plot, self.spectrum_plot):
            plot.getPlotItem().getAxis("left").setWidth(_AXIS_WIDTH)
            plot.getPlotItem().getAxis("bottom").setHeight(_AXIS_HEIGHT)
        grid = QtWidgets.QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        grid.addWidget(self.image_plot, 0, 0)
        grid.addWidget(self.profile_plot, 0, 1)
        grid.addWidget(self.spectrum_plot, 1, 0)
        grid.addLayout(self.corner, 1, 1)
        grid.setColumnStretch(0, 5)
        grid.setColumnStretch(1, 3)
        grid.setRowStretch(0, 5)
        grid.setRowStretch(1, 4)

    def _restyle(self, *_: Any) -> None:
        theme = current_theme()
        for plot, name in ((self.image_plot, "image"), (self.profile_plot, "profile"), (self.spectrum_plot, "flux")):
            style_plot(plot)
            plot.setAccessibleName(name)
        self.profile_curve.setPen(pg.mkPen(theme.text, width=1.2))
        self.legend.setLabelTextColor(theme.text)
        self.picture.setLookupTable(make_color_table("viridis", 256))
        if self.slit is not None:
            self._draw_spectrum()

    # -- what is shown -----------------------------------------------------------------------------------------------

    def show_slit(self, slit: SlitSpectrum | None, marks: SlitMarks | None = None) -> None:
        """Show a slit spectrum; the zoom stays if it covers the same range.

        Parameters
        ----------
        slit : SlitSpectrum or None
            None shows nothing.
        marks : SlitMarks, optional
            In place of those of the spectrum.
        """
        old, self.slit = self.slit, slit
        self.setEnabled(slit is not None)
        if slit is None:
            return
        self._draw_image(slit)
        self.profile_curve.setData(slit.profile, slit.slit)
        self._label(slit)
        self.show_marks(slit.marks if marks is None else marks)
        if old is None or not _same_range(old, slit):
            self.show_all()

    def show_all(self) -> None:
        """Show the whole range again."""
        for plot in (self.image_plot, self.profile_plot, self.spectrum_plot):
            plot.getPlotItem().getViewBox().autoRange(padding=0.02)
        self.spectrum_plot.enableAutoRange(y=True)  # follows what is dragged

    def zoom_to_apertures(self) -> None:
        """Show the part of the slit with the apertures and what is around them."""
        if self.slit is None or not self.marks.apertures:
            return
        step = self.slit.row_step
        ends = [
            mark.position + side * _AROUND * (mark.psf_radius if math.isfinite(mark.psf_radius) else 5 * step)
            for mark in self.marks.apertures
            for side in (-1, 1)
        ]
        low, high = max(min(ends), float(self.slit.slit[0])), min(max(ends), float(self.slit.slit[-1]))
        self.image_plot.setYRange(low, high, padding=0.02)

    def show_marks(self, marks: SlitMarks) -> None:
        """Show other apertures and background regions."""
        self.marks = marks
        self._edited_marks = self.slit is not None and marks != self.slit.marks
        self._place_lines()
        self._place_regions()
        self._color_regions()
        self._draw_traces()
        self._draw_spectrum()

    def show_places(self, places: Sequence[tuple[str, float]]) -> None:
        """Mark slit positions that other views chose, with their names; lines that are not needed are hidden."""
        while len(self._places) < len(places):
            self._places.append(self._make_place())
        for number, lines in enumerate(self._places):
            name, position = places[number] if number < len(places) else ("", 0.0)
            text = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
            for line, color in zip(lines, (_ON_IMAGE, current_theme().accent), strict=True):
                line.setPen(pg.mkPen(color, width=1.5))
                line.setValue(position)
                line.setToolTip(name)
                line.setVisible(number < len(places))
            lines[0].label.setFormat(text.replace("{", "{{").replace("}", "}}"))

    @property
    def places(self) -> list[tuple[str, float]]:
        """Names, as they are drawn, and positions of what `show_places` marks."""
        return [(on.label.toPlainText(), float(on.value())) for on, _ in self._places if on.isVisible()]

    def _make_place(self) -> tuple[Any, Any]:
        """A line with a name on the image, and one in the profile; kept, as items that go may take Qt with them."""
        options = {"position": 0.02, "color": _ON_IMAGE, "anchors": [(0, 0), (0, 1)]}
        lines = (pg.InfiniteLine(angle=0, label="", labelOpts=options), pg.InfiniteLine(angle=0))
        for plot, line in zip((self.image_plot, self.profile_plot), lines, strict=True):
            line.setZValue(15)
            plot.addItem(line, ignoreBounds=True)
        return lines

    def show_range(self, low: float, high: float) -> None:
        """Mark a range of wavelengths (μm) that other views chose; nothing if the slit has other units."""
        if self.slit is None or self.slit.units.get("wave", "") not in ("um", "micron"):
            return
        if not self._ranges:
            for plot in (self.image_plot, self.spectrum_plot):
                item = pg.LinearRegionItem((low, high), movable=False, brush=pg.mkBrush(128, 128, 128, 50))
                item.setZValue(5)
                plot.addItem(item, ignoreBounds=True)
                self._ranges.append(item)
        for item in self._ranges:
            item.setRegion((low, high))

    def set_editable(self, what: frozenset[str]) -> None:
        """Let some of `EDITS` be dragged."""
        if what != self._editable:
            self._editable = what
            self.show_marks(self.marks)

    def _draw_image(self, slit: SlitSpectrum) -> None:
        columns, left, right = place_columns(slit.wave)
        image = slit.image[:, columns]
        half = slit.row_step / 2
        bottom, top = float(slit.slit[0]) - half, float(slit.slit[-1]) + half
        known = image[np.isfinite(image)]
        low, high = np.percentile(known, _PERCENTILES) if known.size else (0.0, 1.0)
        self.picture.setImage(image, levels=(low, high if high > low else low + 1.0), autoLevels=False)
        self.picture.setRect(QtCore.QRectF(left, bottom, right - left, top - bottom))

    def _label(self, slit: SlitSpectrum) -> None:
        wave, place = _unit(slit.units.get("wave", "")), _unit(slit.units.get("slit", ""))
        unit = slit.units.get("flux") if len(slit.flux) else slit.units.get("image")
        for plot, left, bottom in (
            (self.image_plot, f"Slit position{place}", f"Wavelength{wave}"),
            (self.profile_plot, f"Slit position{place}", "Normalized median flux"),
            (self.spectrum_plot, f"Flux{_unit(unit or '')}", f"Wavelength{wave}"),
        ):
            for side, text in (("left", left), ("bottom", bottom)):
                axis = plot.getPlotItem().getAxis(side)
                axis.setLabel(text)
                axis.resizeEvent()  # centres the label, which an axis of fixed size does not do by itself

    # -- apertures ---------------------------------------------------------------------------------------------------

    def _wanted_lines(self) -> Iterator[tuple[tuple[int, str, int], float]]:
        for number, mark in enumerate(self.marks.apertures):
            yield (number, POSITIONS, 0), mark.position
            for kind, radius in ((RADII, mark.radius), (PSF_RADII, mark.psf_radius)):
                if math.isfinite(radius):
                    yield (number, kind, -1), mark.position - radius
                    yield (number, kind, 1), mark.position + radius

    def _place_lines(self) -> None:
        wanted = dict(self._wanted_lines())
        for key in [key for key in self.lines if key not in wanted]:
            self.profile_plot.removeItem(self.lines.pop(key))
        for key, value in wanted.items():
            line = self.lines.get(key)
            if line is None:
                line = self.lines[key] = self._make_line(key)
            line.setMovable(key[1] in self._editable)
            line.setPen(self._line_pen(key))
            if line.value() != value:
                line.setValue(value)

    def _line_pen(self, key: tuple[int, str, int]) -> Any:
        color, style, width = _STYLES[key[1]]
        is_chosen = self.chosen == (POSITIONS, key[0])
        return pg.mkPen(color, style=style, width=width + (1.5 if is_chosen and key[1] == POSITIONS else 0.0))

    def _make_line(self, key: tuple[int, str, int]) -> Any:
        number, kind, side = key
        color = _STYLES[kind][0]
        line = pg.InfiniteLine(angle=0, movable=True, hoverPen=pg.mkPen(color, width=3))
        line.setZValue(20 - abs(side))
        line.setCursor(Qt.CursorShape.SizeVerCursor)
        line.sigDragged.connect(lambda moved: self._drag_line(number, kind, float(moved.value())))
        line.sigPositionChangeFinished.connect(lambda: self._let_go(kind))
        line.sigClicked.connect(lambda *_: self.choose(POSITIONS, number))
        self.profile_plot.addItem(line, ignoreBounds=True)
        return line

    def _drag_line(self, number: int, kind: str, value: float) -> None:
        if self.slit is None or not math.isfinite(value) or number >= len(self.marks.apertures):
            return
        self._begin()
        mark = self.marks.apertures[number]
        if kind == POSITIONS:
            changes = {"position": self._keep_place(number, value)}
        else:
            name = "radius" if kind == RADII else "psf_radius"
            changes = {name: max(abs(value - mark.position), _LEAST_RADIUS * self.slit.row_step)}
        self.chosen = (POSITIONS, number)
        self.show_marks(self.marks.with_aperture(number, **changes))
        self.moved.emit(self.marks)

    def _keep_place(self, number: int, value: float) -> float:
        """Keep an aperture in the slit, and between its neighbours, whose order numbers them."""
        assert self.slit is not None
        step, apertures = self.slit.row_step, self.marks.apertures
        low = apertures[number - 1].position + step if number > 0 else float(self.slit.slit[0])
        high = apertures[number + 1].position - step if number + 1 < len(apertures) else float(self.slit.slit[-1])
        return min(max(value, low), max(low, high))

    # -- background regions ------------------------------------------------------------------------------------------

    def _place_regions(self) -> None:
        self._placing = True
        while len(self.regions) > len(self.marks.background):
            self.profile_plot.removeItem(self.regions.pop())
        while len(self.regions) < len(self.marks.background):
            self.regions.append(self._make_region(len(self.regions)))
        for number, (item, region) in enumerate(zip(self.regions, self.marks.background, strict=True)):
            item.setMovable(REGIONS in self._editable)
            if tuple(item.getRegion()) != region:
                item.setRegion(region)
            is_chosen = self.chosen == (REGIONS, number)
            item.setBrush(pg.mkBrush(214, 39, 40, 80 if is_chosen else 40))
        self._placing = False

    def _make_region(self, number: int) -> Any:
        item = pg.LinearRegionItem(orientation="horizontal", pen=pg.mkPen(_REGION, width=1), swapMode="sort")
        item.setZValue(-5)
        item.sigRegionChanged.connect(lambda: self._drag_region(number))
        item.sigRegionChangeFinished.connect(lambda: self._let_go(REGIONS) if not self._placing else None)
        self.profile_plot.addItem(item, ignoreBounds=True)
        return item

    def _drag_region(self, number: int) -> None:
        if self._placing or self.slit is None or number >= len(self.marks.background):
            return
        self._begin()
        low, high = float(self.slit.slit[0]), float(self.slit.slit[-1])
        start, stop = (min(max(float(v), low), high) for v in self.regions[number].getRegion())
        regions = tuple((start, stop) if i == number else old for i, old in enumerate(self.marks.background))
        self.chosen = (REGIONS, number)
        self.show_marks(replace(self.marks, background=regions))
        self.moved.emit(self.marks)

    def _color_regions(self) -> None:
        """Draw the part of the profile in background regions in red."""
        if self.slit is None:
            return
        inside = np.zeros(self.slit.slit.size, dtype=bool)
        for start, stop in self.marks.background:
            inside |= (self.slit.slit >= start) & (self.slit.slit <= stop)
        self.region_curve.setData(np.where(inside, self.slit.profile, np.nan), self.slit.slit)

    # -- editing -----------------------------------------------------------------------------------------------------

    def choose(self, kind: str, number: int) -> None:
        """Choose an aperture or a background region, to be removed for instance."""
        self.chosen = (kind, number)
        self.show_marks(self.marks)

    def _begin(self) -> None:
        if not self._is_dragging:
            self._before = self.marks
            self._is_dragging = True

    _is_dragging = False

    def _let_go(self, kind: str) -> None:
        if not self._is_dragging:
            return
        self._is_dragging = False
        if self.marks != self._before:
            self.edited.emit(self.marks, kind)

    # -- image and spectrum ------------------------------------------------------------------------------------------

    def _draw_traces(self) -> None:
        for plot, item in self._drawn:
            plot.removeItem(item)
        self._drawn = []
        if self.slit is None:
            return
        wave = self.slit.wave
        for mark, trace in zip(self.marks.apertures, shift_traces(self.slit, self.marks), strict=True):
            for kind, radius in ((POSITIONS, 0.0), (RADII, mark.radius), (PSF_RADII, mark.psf_radius)):
                color, style, _ = _STYLES[kind]
                for side in (1,) if kind == POSITIONS else (-1, 1):
                    if math.isfinite(radius):
                        pen = pg.mkPen(color, style=style, width=1.5)
                        self._draw(self.image_plot, pg.PlotDataItem(wave, trace + side * radius, pen=pen))
        for region in self.marks.background:
            brush, pen = pg.mkBrush(214, 39, 40, 45), pg.mkPen(_REGION, width=1)
            band = pg.LinearRegionItem(region, orientation="horizontal", movable=False, brush=brush, pen=pen)
            self._draw(self.image_plot, band)

    def _draw(self, plot: Any, item: Any) -> None:
        plot.addItem(item, ignoreBounds=True)
        self._drawn.append((plot, item))

    def _draw_spectrum(self) -> None:
        """Draw the extracted spectra, and plain sums where there are none or apertures were moved."""
        if self.slit is None:
            return
        plot = self.spectrum_plot.getPlotItem()
        for item in list(plot.listDataItems()):
            plot.removeItem(item)
        self.legend.clear()
        edited = bool(self._edited_marks)
        for number, (flux, color) in enumerate(zip(self.slit.flux, _colors(), strict=False)):
            pen = pg.mkPen(color, width=1.5)
            if edited:
                pen.setColor(_make_pale(pen.color()))
            plot.plot(self.slit.wave, flux, pen=pen, connect="finite",
                      name=_name("extracted", number, len(self.slit.flux)))  # fmt: skip
        if not len(self.slit.flux) or edited:
            sums = sum_apertures(self.slit, self.marks)
            style = Qt.PenStyle.DotLine if len(self.slit.flux) else Qt.PenStyle.SolidLine
            for number, (flux, color) in enumerate(zip(sums, _colors(), strict=False)):
                pen = pg.mkPen(color, width=1.5, style=style)
                plot.plot(self.slit.wave, flux, pen=pen, connect="finite", name=_name("plain sum", number, len(sums)))


def _make_plot() -> Any:
    plot = make_plot()
    plot.hideButtons()
    return plot


def _same_range(old: SlitSpectrum, new: SlitSpectrum) -> bool:
    ends: Callable[[SlitSpectrum], tuple[float, ...]] = lambda s: (s.wave[0], s.wave[-1], s.slit[0], s.slit[-1])  # noqa: E731
    return bool(np.allclose(ends(old), ends(new)))


def _unit(unit: str) -> str:
    return f" ({unit.replace('um', 'µm')})" if unit else ""


def _name(what: str, number: int, count: int) -> str:
    return f"{what}, aperture {number + 1}" if count > 1 else what


def _make_pale(color: Any) -> Any:
    color.setAlphaF(_PALE)
    return color


def _colors() -> Iterator[str]:
    while True:
        yield from PLOT_COLORS
