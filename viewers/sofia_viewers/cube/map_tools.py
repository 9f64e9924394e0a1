"""Maps of the current cube: images of ranges, moments, channels, line fits; what the panels ask for is done here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import SofiaDeskError, StepError
from sofia_viewers.cube.apertures import find_aperture
from sofia_viewers.cube.collapse import collapse_range, split_channels
from sofia_viewers.cube.cube import Cube
from sofia_viewers.cube.entries import MapImage, make_map_entry
from sofia_viewers.cube.line_maps import (
    CellGuess,
    FitSettings,
    fit_cells,
    fit_line_maps,
    read_guesses,
    write_guesses,
)
from sofia_viewers.cube.moments import LineRange, Progress, compute_moment_maps, find_axis
from sofia_viewers.cube.panels import MASKS, FitPanel, MapsPanel
from sofia_viewers.cube.saving import make_map_table, save_contours, save_maps, save_table
from sofia_viewers.cube.wave_marker import pane_wavelengths, wave_in_pane
from sofia_viewers.export import TABLE_SUFFIXES
from sofia_viewers.image.contours import choose_levels, trace_contours
from sofia_viewers.image.display import DisplayState
from sofia_viewers.image.frames import FrameEntry
from sofia_viewers.qt import QtCore, QtWidgets
from sofia_viewers.spectrum.profiles import PROFILES
from sofia_viewers.unit_names import show_unit

if TYPE_CHECKING:
    from sofia_viewers.cube.viewer import CubeViewer

__all__ = ["MAP", "RANGE", "MapTools"]

MAP = "map "
RANGE = "map range"
_GUESS_FILES = "First values (*.json)"
_CONTOUR_FILES = "JSON (*.json);;DS9 contours (*.con)"
_MAP_FILES = "FITS (*.fits);;Table (*.ecsv *.csv *.vot)"


class MapTools(QtCore.QObject):
    """Makes maps and shows them as frames.

    Parameters
    ----------
    viewer : CubeViewer
        Whose cubes are mapped.
    """

    def __init__(self, viewer: CubeViewer) -> None:
        super().__init__(viewer)
        self._viewer = viewer
        self.panel, self.fit_panel = MapsPanel(), FitPanel()
        self.maps: dict[str, tuple[Cube, MapImage]] = {}
        self.guesses: tuple[CellGuess, ...] = ()
        self._pending: tuple[float, float] | None = None
        self._kept: tuple[tuple[float, float] | None, tuple[tuple[float, float], ...]] = (None, ())
        self._axis: tuple[object, ...] = ()
        self._connect()
        self.show_range()

    def _connect(self) -> None:
        spectra, panel, fit = self._viewer.spectra, self.panel, self.fit_panel
        panel.range_requested.connect(lambda: spectra.set_mode("region"))
        panel.window_requested.connect(lambda: spectra.set_mode("continuum"))
        panel.windows_cleared.connect(self.clear_windows)
        panel.moments_requested.connect(self.compute_moments)
        panel.channels_requested.connect(self.show_channels)
        panel.save_requested.connect(self._ask_and_save)
        panel.contours_requested.connect(self._ask_and_save_contours)
        panel.clear_requested.connect(self.clear)
        panel.live.toggled.connect(lambda _: self.refresh_range())
        panel.how.activated.connect(lambda _: self.refresh_range())
        spectra.overlays.measured.connect(lambda _: self.refresh_range())
        spectra.annotations.subscribe(lambda what: self.show_range() if what == "windows" else None)
        self._viewer.live.updated.connect(lambda _: self._select_pending())
        spectra.area.drawn.connect(lambda _: self._follow_axis())
        fit.fit_requested.connect(self.fit_all)
        fit.cells_requested.connect(self.fit_cells)
        fit.adopt_requested.connect(self.adopt_fit)
        fit.open_requested.connect(self._ask_and_open_guesses)
        fit.save_requested.connect(self._ask_and_save_guesses)
        fit.clear_requested.connect(lambda: self._take_guesses(()))

    # -- the range ---------------------------------------------------------------------------------------------------

    @property
    def range(self) -> tuple[float, float] | None:
        """The selected range in the unit of the current cube; None if none is selected."""
        cube, region = self._viewer.cube, self._viewer.spectra.overlays.region
        view = self._viewer.spectra.area.views.get(region[0]) if region else None
        if cube is None or region is None or view is None:
            return None
        found = pane_wavelengths(view, region[1:], cube.wave_unit)
        return None if found is None else (min(found), max(found))

    def select_range(self, low: float, high: float) -> None:
        """Select a range of wavelengths (unit of the x axis of the current pane) as if dragged in the spectrum."""
        self._viewer.spectra.overlays.measure(self._viewer.spectra.area.current.name, (low, high))

    def select_range_when_drawn(self, low: float, high: float) -> None:
        """Select a range as soon as spectra are drawn: it is one of their x axis."""
        if self._viewer.spectra.area.current.content.curves:
            self.select_range(low, high)
            return
        self._pending = (low, high)

    def _select_pending(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            self.select_range(*pending)

    def _follow_axis(self) -> None:
        """Keep range and windows at their wavelengths when spectra are shown in another unit."""
        view, cube = self._viewer.spectra.area.current, self._viewer.cube
        if cube is None or not view.content.curves:
            return
        axis = (view.content.x_unit, view.state.rest, view.state.convention)
        chosen, windows = self._kept
        if self._axis in ((), axis):
            self._axis, self._kept = axis, (self.range, self.windows())
            return
        self._axis = axis

        def place(limits: tuple[float, float]) -> tuple[float, float]:
            low, high = sorted(wave_in_pane(view, wave, cube.wave_unit) for wave in limits)
            return low, high

        annotations = self._viewer.spectra.annotations
        annotations.windows = [place(limits) for limits in windows]
        annotations.tell("windows")
        if chosen is not None and all(math.isfinite(x) for x in place(chosen)):
            self._viewer.spectra.overlays.measure(view.name, None)
            self._viewer.spectra.overlays.measure(view.name, place(chosen))

    def windows(self) -> tuple[tuple[float, float], ...]:
        """Return the ranges of the continuum in the unit of the current cube."""
        cube, view = self._viewer.cube, self._viewer.spectra.area.current
        if cube is None:
            return ()
        found = [pane_wavelengths(view, limits, cube.wave_unit) for limits in self._viewer.spectra.annotations.windows]
        return tuple((min(pair), max(pair)) for pair in found if pair is not None)

    def line_range(self) -> LineRange:
        """Return range, continuum and velocities as they are chosen.

        Raises
        ------
        StepError
            If no range is selected.
        """
        chosen = self.range
        if chosen is None:
            raise StepError("Select the range of the line in the spectrum first (button Line range).")
        pane = self._viewer.spectra.session.pane
        return LineRange(
            *chosen, self.windows(), self.panel.chosen_degree, pane.rest, pane.convention, self.panel.least.value(),
            self.panel.clip.value(),
        )  # fmt: skip

    def clear_windows(self) -> None:
        """Remove the ranges of the continuum."""
        annotations = self._viewer.spectra.annotations
        annotations.windows = []
        annotations.tell("windows")

    def show_range(self) -> None:
        """Say which range is selected."""
        chosen, windows = self.range, self.windows()
        self._kept = (chosen, windows)
        unit = show_unit(self._viewer.cube.wave_unit) if self._viewer.cube else ""
        text = f"{chosen[0]:.6g} – {chosen[1]:.6g} {unit}" if chosen else "None selected"
        text += f"; continuum in {len(windows)} range{'s' * (len(windows) != 1)}" if windows else ""
        self.panel.range.setText(text)

    def refresh_range(self) -> None:
        """Show the image of the range, and let the selection of wavelengths follow."""
        self.show_range()
        chosen, cube = self.range, self._viewer.cube
        self._viewer.link_tools.select_range(chosen)
        if chosen is None or cube is None or not self.panel.live.isChecked():
            self._remove([RANGE])
            return
        waves, how = cube.find_slices(*chosen), self.panel.how.currentText()
        if waves.stop <= waves.start:
            return
        name = f"{how} {chosen[0]:.5g}–{chosen[1]:.5g}"
        display = self._display()

        def work() -> tuple[MapImage, FrameEntry]:
            error = cube.error_of()
            found = collapse_range(cube.samples(), waves, how, cube.samples(error) if error else None)  # type: ignore[arg-type]
            made = MapImage(name, found.values, cube.flux.unit, found.error)
            return made, make_map_entry(cube, made, RANGE, display)

        self._viewer.tasks.submit("range", work, lambda made: self._accept(cube, ({RANGE: made[0]}, {RANGE: made[1]})))

    # -- masks -------------------------------------------------------------------------------------------------------

    def find_mask(self, kind: str = "") -> NDArray[np.bool_] | None:
        """Return which pixels of the current cube are measured; None for all.

        Parameters
        ----------
        kind : str
            One of `MASKS`; that of the panel if left out.

        Raises
        ------
        StepError
            If no region is selected, or no level is given.
        InputError
            If the region lies outside the cube.
        """
        kind = kind or self.panel.mask_choice.currentText()
        cube = self._viewer.cube
        if kind == MASKS[0] or cube is None:
            return None
        if "region" in kind:
            region = self._viewer.selected_region()
            if region is None or not region.has_area:
                raise StepError("Select a region on the image first: it is the mask.")
            inside = np.zeros(cube.shape[1:], dtype=bool)
            aperture = find_aperture(region, cube.shape[1:])
            inside[aperture.rows, aperture.columns] = aperture.mask
            return inside if kind.startswith("Inside") else ~inside
        try:
            level = float(self.panel.level.text().replace(",", "."))
        except ValueError:
            raise StepError("Give the level of the mask: pixels of the current image are compared with it.") from None
        entry = self._viewer.images.frames.entry
        if entry is None or entry.frame.shape != cube.shape[1:]:
            raise StepError("Choose an image of the cube, or a map of it, as the current frame: it is compared.")
        with np.errstate(invalid="ignore"):
            image = np.asarray(entry.frame.image, dtype=float)
            return image > level if kind.startswith("Above") else image < level

    # -- what is computed --------------------------------------------------------------------------------------------

    def compute_moments(self) -> None:
        """Compute moments 0 to 4 of the selected range."""
        self._compute("Moments", lambda cube, line, mask, progress: compute_moment_maps(
            cube, line, mask=mask, progress=progress))  # fmt: skip

    def fit_all(self) -> None:
        """Fit lines to all pixels."""
        settings, guesses = self._fit_settings, self.guesses

        def work(cube: Cube, line: LineRange, mask: Any, progress: Progress) -> dict[str, MapImage]:
            return fit_line_maps(cube, settings(line), guesses=guesses, mask=mask, progress=progress)

        self._compute("Line fits", work)

    def _fit_settings(self, line: LineRange) -> FitSettings:
        shape = list(PROFILES)[self.fit_panel.shape.currentIndex()]
        sign = -1 if self.fit_panel.sign.currentIndex() else 1
        return FitSettings(line, shape, 1, sign)

    def _compute(self, title: str, make: Any) -> None:
        cube, key = self._viewer.cube, self._viewer.cube_key
        if cube is None:
            return
        try:
            line, mask = self.line_range(), self.find_mask()
        except SofiaDeskError as error:
            self._viewer.say(str(error))
            return
        display = self._display()

        def work(progress: Progress) -> tuple[dict[str, MapImage], dict[str, FrameEntry]]:
            maps = make(cube, line, mask, progress)
            named = {f"{MAP}{name} {key}": made for name, made in maps.items()}
            return named, {k: make_map_entry(cube, made, k, display) for k, made in named.items()}

        self._viewer.jobs.run(title, work, partial(self._accept, cube))

    def _accept(self, cube: Cube, result: tuple[Mapping[str, MapImage], dict[str, FrameEntry]]) -> None:
        """Show maps in place of those with their keys; none of a cube that was closed meanwhile."""
        if cube not in self._viewer.cubes.values():
            return
        self.maps.update({key: (cube, made) for key, made in result[0].items()})
        self._viewer.show_frames(result[1])

    def show_channels(self, count: int) -> None:
        """Divide the selected range into channels and show the mean of each, all with the same limits."""
        cube = self._viewer.cube
        if cube is None:
            return
        try:
            line = self.line_range()
            channels = split_channels(cube, line.low, line.high, count)
        except StepError as error:
            self._viewer.say(str(error))
            return
        display, titles = self._display(), _name_channels(cube, line, channels)

        def work(progress: Progress) -> tuple[dict[str, MapImage], dict[str, FrameEntry]]:
            maps = {}
            for number, waves in enumerate(channels):
                progress(number / len(channels))
                image = collapse_range(cube.samples(), waves)
                maps[f"{MAP}channel {number:02d}"] = MapImage(titles[number], image.values, cube.flux.unit)
            entries = {k: make_map_entry(cube, made, k, display) for k, made in maps.items()}
            return maps, _share_limits(entries)

        if self._viewer.jobs.run("Channel maps", work, partial(self._accept, cube)):
            self._remove([key for key in self.maps if key.startswith(f"{MAP}channel")])

    # -- first values ------------------------------------------------------------------------------------------------

    def fit_cells(self, size: float) -> None:
        """Fit mean spectra of cells."""
        cube = self._viewer.cube
        try:
            line, mask = self.line_range(), self.find_mask()
        except SofiaDeskError as error:
            self._viewer.say(str(error))
            return
        if cube is not None:
            settings = self._fit_settings(line)

            def work(progress: Progress) -> tuple[CellGuess, ...]:
                return fit_cells(cube, settings, size, mask, progress)

            self._viewer.jobs.run("Fit cells", work, self._take_guesses)

    def adopt_fit(self) -> None:
        """Take the lines of the last fit in the spectrum as first values of all pixels."""
        cube, fits = self._viewer.cube, self._viewer.spectra.annotations.fits
        record = fits[-1] if fits else None
        if cube is None or record is None or record.result is None or not record.result.lines:
            self._viewer.say("Fit the lines of an aperture in the spectrum first (key f).")
            return
        if record.x_unit != cube.wave_unit:
            self._viewer.say(f"Fit over wavelength in {cube.wave_unit}: first values are positions in that unit.")
            return
        lines = record.result.lines
        guess = CellGuess(0.0, 0.0, tuple(p.center.value for p in lines), tuple(abs(p.fwhm.value) for p in lines))
        self._take_guesses((guess,))

    def _take_guesses(self, guesses: tuple[CellGuess, ...]) -> None:
        self.guesses = guesses
        self.fit_panel.show_guesses(len(guesses), len(guesses[0].centers) if guesses else 1)

    def _ask_and_open_guesses(self) -> None:
        path, _ = QtWidgets.QFileDialog.getOpenFileName(self._viewer, "Open first values", "", _GUESS_FILES)
        if path:
            self._viewer.attempt(lambda: self._take_guesses(read_guesses(path)))

    def _ask_and_save_guesses(self) -> None:
        path, _ = QtWidgets.QFileDialog.getSaveFileName(self._viewer, "Save first values", "guesses.json", _GUESS_FILES)
        if path:
            self._viewer.attempt(lambda: write_guesses(path, self.guesses))

    # -- saving ------------------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write all maps of the current cube, in a thread: FITS, or a table by the suffix."""
        cube = self._viewer.cube
        maps = {key: made for key, (owner, made) in self.maps.items() if owner is cube}
        if cube is None or not maps:
            self._viewer.say("There is no map to save: compute one first.")
            return
        if Path(path).suffix.lower() in TABLE_SUFFIXES:
            self._viewer.save_in_thread(lambda: save_table(path, make_map_table(cube, maps)))
        else:
            self._viewer.save_in_thread(lambda: save_maps(path, cube, maps))

    def _ask_and_save(self) -> None:
        path, _ = QtWidgets.QFileDialog.getSaveFileName(self._viewer, "Save maps", "maps.fits", _MAP_FILES)
        if path:
            self.save(path)

    def save_contours(self, path: str | Path) -> None:
        """Write the contours of the current image, with the levels chosen in the panel of overlays, in a thread."""
        entry, settings = self._viewer.images.frames.entry, self._viewer.images.overlays.options.contour_settings
        if entry is None:
            return
        frame, limits = entry.frame, entry.display.limits

        def work() -> Path:
            lines = trace_contours(frame.image, choose_levels(limits, settings), settings.smoothing)
            return save_contours(path, lines, frame.wcs, frame.plane.unit)

        self._viewer.save_in_thread(work)

    def _ask_and_save_contours(self) -> None:
        path, _ = QtWidgets.QFileDialog.getSaveFileName(self._viewer, "Save contours", "contours.json", _CONTOUR_FILES)
        if path:
            self.save_contours(path)

    def clear(self) -> None:
        """Remove all maps."""
        self._remove(list(self.maps))

    def forget_cube(self, cube: Cube) -> None:
        """Remove the maps of a cube."""
        self._remove([key for key, (owner, _) in self.maps.items() if owner is cube])

    def _remove(self, keys: list[str]) -> None:
        known = [key for key in keys if key in self.maps]
        for key in known:
            del self.maps[key]
        if known:
            self._viewer.remove_frames(known)

    def _display(self) -> DisplayState:
        entry = self._viewer.images.frames.entry
        return entry.display if entry is not None else DisplayState()


def _name_channels(cube: Cube, line: LineRange, channels: Sequence[slice]) -> list[str]:
    """Return the middle velocity or wavelength of each channel, with as many digits as tell them apart."""
    axes, unit = zip(*(find_axis(cube, line, waves) for waves in channels), strict=True)
    middles = [float(axis.mean()) for axis in axes]
    step = min((abs(after - before) for before, after in pairwise(middles)), default=1.0) or 1.0
    digits = max(0, 1 - math.floor(math.log10(step)))
    sign = "+" if unit[0] == "km/s" else ""
    return [f"{round(middle, digits) + 0.0:{sign}.{digits}f} {show_unit(unit[0])}" for middle in middles]


def _share_limits(entries: dict[str, FrameEntry]) -> dict[str, FrameEntry]:
    low = min(entry.display.limits[0] for entry in entries.values())
    high = max(entry.display.limits[1] for entry in entries.values())
    return {key: replace(entry, display=entry.display.with_limits(low, high)) for key, entry in entries.items()}
