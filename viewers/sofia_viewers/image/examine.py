"""Analyses at the cursor: one key, one measurement, with marks, tables and plots."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sofia_engine.errors import SofiaDeskError
from sofia_viewers.colormaps import make_color_cycle
from sofia_viewers.image.analysis import (
    SourceMeasurement,
    Statistics,
    compare_pixels,
    cut_line,
    cut_window,
    make_histogram,
    measure_encircled_energy,
    measure_radial_profile,
    measure_source_at,
    measure_statistics,
    region_values,
    sort_photometry,
    start_fwhm,
)
from sofia_viewers.image.drawing import Drawing, Mark
from sofia_viewers.image.frame import Frame
from sofia_viewers.image.frames import FrameEntry
from sofia_viewers.image.overlays import GREEN, RED
from sofia_viewers.image.places import BOX_PIXELS, SkyPlace, find_sky
from sofia_viewers.image.region_store import follow_sky
from sofia_viewers.image.regions import Region
from sofia_viewers.image.results import Curve, Plot
from sofia_viewers.image.settings import PhotometrySettings, PlotSettings
from sofia_viewers.theme import current_theme

if TYPE_CHECKING:
    from sofia_viewers.image.viewer import ImageViewer

__all__ = ["Examiner"]

_HELP = (
    "a photometry · s statistics and histogram · r radial profile · k cuts along x and y · "
    "l cut along the chosen line · p pixel-to-pixel comparison · c clear · q quit"
)
APERTURE_TAG = "photometry"
"""Tag of regions that are apertures of sources that were measured."""
_CODE = "from sofia_viewers.image import analysis\nfrom sofia_viewers.image.frame import Frame, open_image\n"


class Examiner:
    """Measures at the cursor and keeps what it found until it is cleared.

    Parameters
    ----------
    viewer : ImageViewer
        Whose frames are measured.
    """

    def __init__(self, viewer: ImageViewer) -> None:
        self._viewer = viewer
        self.photometry_settings: PhotometrySettings = viewer.settings.load("photometry")
        self.plot_settings: PlotSettings = viewer.settings.load("plot")
        self._sources: dict[str, list[SourceMeasurement]] = {}
        self._homes: dict[int, Frame] = {}
        self._statistics: list[dict[str, Any]] = []
        self._n_colors = 0
        viewer.settings_panel.applied.connect(self._take_settings)

    @property
    def sources(self) -> dict[str, list[SourceMeasurement]]:
        """What was measured, by frame key."""
        return self._sources

    def press(self, name: str, key: str, x: float, y: float) -> bool:
        """Do the analysis of a key at a pixel of a frame; False if the key has none."""
        analyses: dict[str, Callable[[str, float, float], None]] = {
            "a": self.measure_photometry, "s": self.measure_statistics, "p": self.compare_pixels,
            "r": self.measure_profile, "k": self.cut_axes, "l": self.cut_region,
            "c": lambda *_: self.clear(), "q": lambda *_: self.clear(),
            "h": lambda *_: self._viewer.say(_HELP),
        }  # fmt: skip
        if name in analyses:
            analyses[name](key, x, y)
        return name in analyses

    def clear(self) -> None:
        """Remove results, plots and marks."""
        self._sources.clear()
        self._homes.clear()
        self._statistics.clear()
        self._n_colors = 0
        self._viewer.results.clear_results()
        self._viewer.results_dock.hide()
        for view in self._viewer.area.views.values():
            view.set_layer("photometry", ())
            view.set_layer("statistics", ())

    # -- photometry -------------------------------------------------------------------------------------------------

    def measure_photometry(self, key: str, x: float, y: float) -> None:
        """Measure the source near a pixel, in all frames if they are tiled."""
        settings = self.photometry_settings
        jobs: list[tuple[FrameEntry, int, float, float]] = []
        for entry, at_x, at_y in self._places(key, x, y):
            distance = 2 * start_fwhm(entry.frame, settings)
            if any(s.is_near(at_x, at_y, distance) for s in self._sources.get(entry.key, ())):
                self._viewer.say("Source already measured.")
            else:
                jobs.append((entry, self._viewer.frames.find(entry.key) + 1, at_x, at_y))
        self._measure_sources(jobs)

    def measure_again(self, key: str, places: Sequence[tuple[float, float]]) -> None:
        """Measure sources of a frame whose places are known from an earlier time."""
        index = self._viewer.frames.find(key)
        if index >= 0:
            self._measure_sources([(self._viewer.frames.entries[index], index + 1, x, y) for x, y in places])

    def list_apertures(self, key: str) -> tuple[Region, ...]:
        """Return the apertures and sky rings of the sources of a frame as regions that say what they are.

        They are at the place of the sky where they were measured, though the frame may show other data by now.
        """
        found: list[Region] = []
        frame = self._viewer.frames.entries[self._viewer.frames.find(key)].frame
        for number, source in enumerate(self._sources.get(key, ()), 1):
            at, home = ((source.x, source.y),), self._homes[id(source)]
            made = [Region("circle", at, (source.aperture,), name=str(number), color=GREEN, tag=APERTURE_TAG)]
            if source.sky[1] > 0:
                made.append(Region("annulus", at, tuple(source.sky), color=RED, tag=APERTURE_TAG))
            found += [follow_sky(region, home, frame, "wcs") for region in made]
        return tuple(found)

    def _measure_sources(self, jobs: Sequence[tuple[FrameEntry, int, float, float]]) -> None:
        settings = self.photometry_settings

        def work() -> tuple[list[tuple[FrameEntry, SourceMeasurement]], list[str]]:
            found, problems = [], []
            for entry, number, at_x, at_y in jobs:
                try:
                    found.append((entry, measure_source_at(entry.frame, number, at_x, at_y, settings)))
                except SofiaDeskError as error:
                    problems.append(f"{entry.frame.title}: {error}")
            return found, problems

        if jobs:
            self._viewer.tasks.submit("photometry", work, self._accept_photometry)

    def _accept_photometry(self, answer: tuple[list[tuple[FrameEntry, SourceMeasurement]], list[str]]) -> None:
        found, problems = answer
        known = self._viewer.area.views
        found = [(entry, source) for entry, source in found if entry.key in known]  # others were closed meanwhile
        self._viewer.say(problems[0] if problems else "")
        for entry, source in found:
            self._sources.setdefault(entry.key, []).append(source)
            self._homes[id(source)] = entry.frame
            self._mark_sources(entry.key)
            if self.photometry_settings.show_plots:
                self._add_plot(_plot_source(entry, source))
        rows = [source.row for sources in self._sources.values() for source in sources]
        self._viewer.results.photometry.show_rows(sort_photometry(rows))
        if found:
            self._show_results(2 if self.photometry_settings.show_plots else 0)

    def _mark_sources(self, key: str) -> None:
        sources = self._sources.get(key, [])
        marks = tuple(Mark((s.x, s.y), "x", 10) for s in sources)
        apertures = tuple(Region("circle", ((s.x, s.y),), (s.aperture,)).outlines()[0] for s in sources)
        rings = tuple(
            line for s in sources if s.sky[1] > 0 for line in Region("annulus", ((s.x, s.y),), s.sky).outlines()
        )
        self._viewer.area.views[key].set_layer(
            "photometry", [Drawing(RED, rings), Drawing(GREEN, apertures, marks=marks)]
        )

    # -- selection ---------------------------------------------------------------------------------------------------

    def select_rows(self, rows: Sequence[int]) -> tuple[SkyPlace, ...]:
        """Mark the sources of rows of the table of photometry: on all images, or without a sky on their own.

        Returns
        -------
        tuple of SkyPlace
            Where on the sky they are, for those that have coordinates.
        """
        shown = self._viewer.results.photometry.rows
        wanted = [shown[number] for number in rows if number < len(shown)]
        places, views = [], self._viewer.area.views
        marks: dict[str, list[Mark]] = {key: [] for key in views}
        for key, source in self._list_sources():
            if not any(source.row is row for row in wanted):
                continue
            sky = find_sky(self._viewer.frames.entries[self._viewer.frames.find(key)].frame, [(source.x, source.y)])[0]
            if np.isfinite(sky).all():
                places.append(SkyPlace("", ((float(sky[0]), float(sky[1])),)))
            elif key in marks:
                marks[key].append(Mark((source.x, source.y), "box", BOX_PIXELS))
        for key, own in marks.items():
            views[key].set_layer(
                "selected pixels", [Drawing(current_theme().accent, marks=tuple(own), width=2.0)] if own else []
            )
        self._viewer.place_marks.show("selected sources", places)
        return tuple(places)

    def follow_region(self, name: str) -> None:
        """Choose those rows of the table whose sources lie in a region; without a region the choice stays."""
        rows = self._viewer.results.photometry.rows
        if not name or not rows:
            return
        inside = []
        for key, source in self._list_sources():
            region = self._viewer.regions.on_frame(key).get(name)
            if region is not None and region.has_area and bool(region.contains(source.x, source.y)):
                inside += [number for number, row in enumerate(rows) if row is source.row]
        self._viewer.results.photometry.mark_rows(sorted(inside))

    def _list_sources(self) -> list[tuple[str, SourceMeasurement]]:
        """Return the sources of the frames there are."""
        here = [key for key in self._sources if self._viewer.frames.find(key) >= 0]
        return [(key, source) for key in here for source in self._sources[key]]

    # -- statistics -------------------------------------------------------------------------------------------------

    def measure_statistics(self, key: str, x: float, y: float) -> None:
        """Measure the region under the cursor, else the window about it, in all frames if they are tiled."""
        settings = self.plot_settings
        jobs = []
        for entry, at_x, at_y in self._places(key, x, y):
            regions = self._viewer.regions.on_frame(entry.key).values()
            region = next((r for r in regions if r.has_area and bool(r.contains(at_x, at_y))), None)
            jobs.append((entry, region, at_x, at_y))

        def work() -> list[tuple[FrameEntry, str, Statistics, Any]]:
            answers = []
            for entry, region, at_x, at_y in jobs:
                values, where = _values_at(entry, region, at_x, at_y, settings)
                found = measure_statistics(values)
                answers.append((entry, where, found, make_histogram(values, settings.bin, settings.hist_limits)))
            return answers

        self._viewer.tasks.submit("statistics", work, self._accept_statistics)

    def _accept_statistics(self, answers: list[tuple[FrameEntry, str, Statistics, Any]]) -> None:
        self._viewer.say("")
        for entry, where, found, histogram in answers:
            number = self._viewer.frames.find(entry.key) + 1
            self._statistics.append({"Frame": number, "File": entry.frame.title, "Where": where, **found.as_row()})
            self._add_plot(self._plot_histogram(entry, where, found, histogram))
        self._viewer.results.statistics.show_rows(self._statistics)
        self._show_results(2)

    def _plot_histogram(self, entry: FrameEntry, where: str, found: Statistics, histogram: Any) -> Plot:
        counts, edges = histogram
        curves = [Curve(edges, counts, where, "steps", self._next_color())]
        if self.plot_settings.separate_plots:
            value, deviation = found.summary(self.plot_settings.summary_stat)
            center = np.array([value])
            sides = np.array([value - deviation, value + deviation])
            curves.append(
                Curve(center, center, f"{self.plot_settings.summary_stat} {value:.3g}", "vertical", "#888888")
            )
            curves.append(Curve(sides, sides, f"± {deviation:.3g}", "vertical", "#888888", "dotted"))
        unit = entry.frame.plane.unit
        code = f"{_open_code(entry)}# {where}\nanalysis.make_histogram(frame.image, rule={self.plot_settings.bin!r})"
        title = f"Histogram: {entry.frame.title}"
        return Plot(title, f"Value ({unit})" if unit else "Value", "Pixels", tuple(curves), "histogram", code)

    # -- profiles and cuts ------------------------------------------------------------------------------------------

    def measure_profile(self, key: str, x: float, y: float) -> None:
        """Plot the radial profile and encircled energy about the source nearest to a pixel."""
        entry = self._entry(key)
        radius = self._window(entry) / 2
        settings = self.photometry_settings

        def work() -> tuple[Any, Any, SourceMeasurement]:
            source = measure_source_at(entry.frame, 1, x, y, settings)
            profile = measure_radial_profile(entry.frame.image, source.x, source.y, radius)
            base = source.row["BG/pix"] or 0.0
            return profile, measure_encircled_energy(entry.frame.image, source.x, source.y, radius, base), source

        def done(answer: tuple[Any, Any, SourceMeasurement]) -> None:
            profile, energy, source = answer
            self._add_plot(_plot_profile(entry, profile, source))
            half = energy.radius_of(0.5)
            curve = Curve(energy.radius, energy.fraction, f"half within {half:.2f} px", "line", self._next_color())
            code = _measure_code(entry, "measure_encircled_energy", source, radius)
            title = f"Encircled energy: {entry.frame.title}"
            self._add_plot(Plot(title, "Radius (px)", "Fraction of flux", (curve,), "energy", code))
            self._show_results(2)

        self._viewer.tasks.submit("profile", work, done, self._viewer.say)

    def cut_axes(self, key: str, x: float, y: float) -> None:
        """Plot the row and the column through a pixel."""
        entry = self._entry(key)
        rows, columns = entry.frame.shape

        def work() -> list[Any]:
            image = entry.frame.image
            ends = [((0.0, float(round(y))), (columns - 1.0, float(round(y)))),
                    ((float(round(x)), 0.0), (float(round(x)), rows - 1.0))]  # fmt: skip
            return [cut_line(image, *end) for end in ends]

        def done(cuts: list[Any]) -> None:
            for (distance, values), axis, at in zip(cuts, "xy", (round(y) + 1, round(x) + 1), strict=True):
                label = f"{'row' if axis == 'x' else 'column'} {at}"
                code = f"{_open_code(entry)}# the {label} of frame.image"
                curve = Curve(distance + 1, values, label, "line", self._next_color())
                title = f"Cut along {axis}: {entry.frame.title}"
                self._add_plot(Plot(title, f"{axis} (px)", _value_label(entry), (curve,), f"cut {axis}", code))
            self._show_results(2)

        self._viewer.tasks.submit("cuts", work, done, self._viewer.say)

    def cut_region(self, key: str, x: float, y: float) -> None:  # noqa: ARG002 - one signature for all
        """Plot the values along the chosen line or vector."""
        entry = self._entry(key)
        regions = self._viewer.regions.on_frame(key)
        chosen = regions.get(self._viewer.regions.selected)
        if chosen is None or chosen.shape not in ("line", "vector"):
            chosen = next((r for r in reversed(list(regions.values())) if r.shape in ("line", "vector")), None)
        if chosen is None:
            self._viewer.say("Draw a line first; then the values along it are plotted.")
            return
        start, end = chosen.points[0], chosen.points[1] if chosen.shape == "line" else chosen.head

        def done(cut: Any) -> None:
            code = f"{_open_code(entry)}analysis.cut_line(frame.image, {start}, {end})"
            curve = Curve(cut[0] * entry.frame.pixel_scale, cut[1], chosen.name or "line", "line", self._next_color())
            unit = "arcsec" if entry.frame.wcs is not None else "px"
            title = f"Line cut: {entry.frame.title}"
            self._add_plot(Plot(title, f"Distance ({unit})", _value_label(entry), (curve,), "line cut", code))
            self._show_results(2)

        self._viewer.tasks.submit("line cut", lambda: cut_line(entry.frame.image, start, end), done, self._viewer.say)

    # -- pixel to pixel ---------------------------------------------------------------------------------------------

    def compare_pixels(self, key: str, x: float, y: float) -> None:  # noqa: ARG002 - one signature for all
        """Plot the pixels of all frames against those of the reference frame."""
        entries = self._viewer.frames.entries
        number = self.plot_settings.p2p_reference
        if len(entries) < 2:
            self._viewer.say("Pixel-to-pixel comparison needs at least two frames; open another file.")
            return
        if number > len(entries):
            self._viewer.say(f"There is no frame {number} to compare with; change p2p_reference in the plot settings.")
            return
        reference = entries[number - 1]
        others = [(i + 1, entry) for i, entry in enumerate(entries) if entry is not reference]

        def work() -> tuple[list[Any], list[str]]:
            found, problems = [], []
            for index, entry in others:
                try:
                    found.append((index, entry, compare_pixels(reference.frame, entry.frame)))
                except SofiaDeskError as error:
                    problems.append(str(error))
            return found, problems

        def done(answer: tuple[list[Any], list[str]]) -> None:
            found, problems = answer
            self._viewer.say(problems[0] if problems else "")
            for index, entry, values in found:
                self._add_plot(_plot_pixels(reference, index, entry, values, self._next_color()))
            if found:
                self._show_results(2)

        self._viewer.tasks.submit("pixels", work, done)

    # -- shared -----------------------------------------------------------------------------------------------------

    def _places(self, key: str, x: float, y: float) -> list[tuple[FrameEntry, float, float]]:
        """Return the same place in all tiled frames, or in the one alone."""
        frames = self._viewer.frames
        views = self._viewer.area.views
        if frames.arrangement != "tile" or frames.lock == "none":
            return [(self._entry(key), x, y)]
        plane = views[key].placement.map(x, y)
        places = []
        for entry in frames.entries:
            at_x, at_y = views[entry.key].placement.inverse().map(*plane)
            rows, columns = entry.frame.shape
            if entry.key == key or (-0.5 <= at_x < columns - 0.5 and -0.5 <= at_y < rows - 0.5):
                places.append((entry, at_x, at_y))
        return places

    def _entry(self, key: str) -> FrameEntry:
        return self._viewer.frames.entries[self._viewer.frames.find(key)]

    def _window(self, entry: FrameEntry) -> float:
        settings = self.plot_settings
        size = settings.window if settings.window is not None else float(min(entry.frame.shape))
        size /= entry.frame.pixel_scale if settings.window_units == "arcsec" and settings.window is not None else 1.0
        return min(size, *entry.frame.shape)

    def _add_plot(self, plot: Plot) -> None:
        settings = self.plot_settings
        self._viewer.results.add_plot(plot, separate=settings.separate_plots, share=settings.share_axes)

    def _show_results(self, tab: int) -> None:
        self._viewer.results.setCurrentIndex(tab)
        self._viewer.results_dock.show()

    def _next_color(self) -> str:
        cycle = make_color_cycle(self.plot_settings.color)
        self._n_colors += 1
        return cycle[(self._n_colors - 1) % len(cycle)]

    def _take_settings(self, section: str, settings: Any) -> None:
        if section == "photometry":
            self.photometry_settings = settings
        elif section == "plot":
            self.plot_settings = settings


def _values_at(entry: FrameEntry, region: Region | None, x: float, y: float, settings: PlotSettings) -> tuple[Any, str]:
    frame = entry.frame
    if region is not None:
        return region_values(frame.image, region), f"{region.shape} {region.name}".strip()
    size = settings.window
    if size is not None and settings.window_units == "arcsec":
        size /= frame.pixel_scale
    rows, columns = cut_window(frame.shape, x, y, size)
    where = f"x {columns.start + 1}–{columns.stop}, y {rows.start + 1}–{rows.stop}"
    return np.asarray(frame.image[rows, columns]), where


def _open_code(entry: FrameEntry) -> str:
    path = entry.frame.file.path or entry.frame.file.name
    frame = f"frame = Frame.of(open_image({str(path)!r}), {entry.frame.plane.name!r})"
    cube = f".at_slice({entry.frame.slice_number})" if entry.frame.plane.n_slices > 1 else ""
    return f"{_CODE}{frame}{cube}\n"


def _measure_code(entry: FrameEntry, function: str, source: SourceMeasurement, radius: float) -> str:
    return f"{_open_code(entry)}analysis.{function}(frame.image, {source.x:.3f}, {source.y:.3f}, {radius:g})"


def _value_label(entry: FrameEntry) -> str:
    unit = entry.frame.plane.unit
    return f"Value ({unit})" if unit else "Value"


def _plot_source(entry: FrameEntry, source: SourceMeasurement) -> Plot:
    """Plot all pixels of the fit window against their distance, with the fitted curve and its half width."""
    from sofia_engine.photometry.profile import evaluate_profile

    radius = max(source.result.image_size / 2, 3.0)
    profile = measure_radial_profile(entry.frame.image, source.x, source.y, radius)
    curves = [Curve(profile.distances, profile.values, "pixels", "points", "#56B4E9")]
    fit = source.result.fit
    fwhm = source.row["FWHM (px)"]
    if fwhm is not None:
        r = np.linspace(0, radius, 200)
        x, y = fit.x.value, fit.y.value
        along = [
            evaluate_profile(fit.profile, fit.parameters, x + r * math.cos(t), y + r * math.sin(t))
            for t in (0.0, math.pi / 2)
        ]
        curves.append(Curve(r, np.mean(along, axis=0), f"{fit.profile} + background", "line", "#D55E00"))
        curves.append(
            Curve(np.array([fwhm / 2]), np.zeros(1), f"HWHM {fwhm / 2:.2f} px", "vertical", "#888888", "dotted")
        )
        curves.append(Curve(np.array([fwhm]), np.zeros(1), f"FWHM {fwhm:.2f} px", "vertical", "#888888", "dashed"))
    code = (
        f"{_open_code(entry)}analysis.measure_radial_profile(frame.image, {source.x:.3f}, {source.y:.3f}, {radius:g})"
    )
    return Plot(f"Source: {entry.frame.title}", "Distance (px)", _value_label(entry), tuple(curves), "source", code)


def _plot_profile(entry: FrameEntry, profile: Any, source: SourceMeasurement) -> Plot:
    curves = (
        Curve(profile.distances, profile.values, "pixels", "points", "#56B4E9"),
        Curve(profile.radius, profile.mean, f"mean, FWHM {profile.measure_fwhm():.2f} px", "line", "#D55E00"),
    )
    code = _measure_code(entry, "measure_radial_profile", source, float(profile.distances.max()))
    return Plot(f"Radial profile: {entry.frame.title}", "Distance (px)", _value_label(entry), curves, "profile", code)


def _plot_pixels(reference: FrameEntry, index: int, entry: FrameEntry, values: Any, color: str) -> Plot:
    first, second = values
    middle = float(np.mean(first)) if first.size else 0.0
    offset = (float(np.mean(second)) if second.size else 0.0) - middle
    ends = np.array([first.min(), first.max()]) if first.size else np.zeros(2)
    curves = (
        Curve(first, second, f"frame {index}", "points", color),
        Curve(ends, ends + offset, "slope 1", "line", "#888888", "dotted"),
    )
    other = f"other = Frame.of(open_image({str(entry.frame.file.path)!r}))"
    code = f"{_open_code(reference)}{other}\nanalysis.compare_pixels(frame, other)"
    return Plot(f"Pixels of {entry.frame.title}", "Reference flux", "Comparison flux", curves, "pixels", code)
