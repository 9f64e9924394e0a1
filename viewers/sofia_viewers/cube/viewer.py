"""The cube explorer: slices and maps above, spectra below, tools beside; runs alone or inside the program."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from sofia_engine.errors import SofiaDeskError
from sofia_engine.product import Product
from sofia_viewers.cube.actions import ExplorerActions
from sofia_viewers.cube.cube import Cube, make_cube, open_cube
from sofia_viewers.cube.cut_tools import CutTools
from sofia_viewers.cube.edit_tools import EditTools
from sofia_viewers.cube.entries import make_cube_entry
from sofia_viewers.cube.jobs import JobBar
from sofia_viewers.cube.link_tools import LinkTools
from sofia_viewers.cube.live_spectra import LiveSpectra
from sofia_viewers.cube.map_tools import MapTools
from sofia_viewers.cube.session import describe_session, restore_session
from sofia_viewers.cube.slice_bar import SliceBar
from sofia_viewers.cube.spectra_tools import SpectraTools
from sofia_viewers.cube.wave_marker import WaveMarker
from sofia_viewers.export import export_widget, tell_written
from sofia_viewers.image.display import DisplayState
from sofia_viewers.image.frames import FrameEntry
from sofia_viewers.image.regions import Region, parse_regions
from sofia_viewers.image.settings import SettingsStore
from sofia_viewers.image.viewer import ImageViewer
from sofia_viewers.image.widget import FrameView
from sofia_viewers.qt import Qt, QtGui, QtWidgets, Signal
from sofia_viewers.shell import ViewerShell
from sofia_viewers.spectrum.units import WaveAxis, velocity_of_wave
from sofia_viewers.spectrum.viewer import SpectrumViewer
from sofia_viewers.theme import theme_events
from sofia_viewers.unit_names import show_unit

__all__ = ["CubeViewer"]

CUBE = "cube "
PRODUCT = "product:"
_TOOLS_WIDTH = 330
_WIDE = 1350
_EMPTY = "No cube.\nOpen FITS cubes with Ctrl+O, or drop them here."


@dataclass(frozen=True, eq=False)
class _Loaded:
    """Cubes with their frames, and what could not be opened."""

    cubes: tuple[Cube, ...]
    entries: tuple[FrameEntry, ...]
    problems: tuple[str, ...]


class CubeViewer(ViewerShell):
    """Shows cubes of products and files.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.
    store : SettingsStore, optional
        Where the settings of images are kept.

    Attributes
    ----------
    pinned : bool
        While True, `show_products` is ignored: the viewer keeps what it shows.
    images, spectra : ImageViewer, SpectrumViewer
        The parts; regions, overlays, contours, units, fits and lines are theirs.
    """

    cursor_moved = Signal(object)
    cubes_changed = Signal()

    def __init__(self, parent: QtWidgets.QWidget | None = None, store: SettingsStore | None = None) -> None:
        super().__init__(parent)
        self.pinned = False
        self.cubes: dict[str, Cube] = {}
        self._jobs = 0
        self._is_off = False
        self._saved_view: dict[str, Any] = {}
        self._was_shown = False
        self.images = ImageViewer(self, store)
        self.status = self.images.status
        self.spectra = SpectrumViewer(self)
        self.slices = SliceBar()
        self.live = LiveSpectra(self.images, self.spectra.session, self.tasks)
        self.marker = WaveMarker(self.spectra.area)
        self.jobs = JobBar(self.tasks)
        self.lower_views = QtWidgets.QTabWidget()
        self.link_tools = LinkTools(self)
        self.map_tools = MapTools(self)
        self.cut_tools = CutTools(self)
        self.edit_tools = EditTools(self)
        self.spectra_tools = SpectraTools(self)
        self.commands = ExplorerActions(self)
        self._lay_out()
        self._connect()
        self.images.area.show_message(_EMPTY)

    # -- what others use --------------------------------------------------------------------------------------------

    def show_products(self, products: Sequence[Product], names: Sequence[str] | None = None) -> None:
        """Show the cubes of products in place of those shown; regions, zoom and slice stay if they fit.

        Parameters
        ----------
        products : sequence of Product
            Those without a cube are left out.
        names : sequence of str, optional
            Their names; FILENAME of their headers if left out.
        """
        if self.pinned:
            return
        given = list(zip(products, names or [product.name for product in products], strict=True))
        openers = [
            partial(make_cube, product, f"{PRODUCT}{number}", name)
            for number, (product, name) in enumerate(given)
            if any(plane.data.ndim == 3 for plane in product.planes.values())
        ]
        saved, self._saved_view = self._saved_view, {}
        self._load(openers, add=False, then=partial(restore_session, self, saved) if saved else None)

    def open_files(
        self, paths: Iterable[str | Path], *, add: bool = False, then: Callable[[], None] | None = None
    ) -> None:
        """Open cubes; those that are shown are replaced, or kept if `add`; `then` is called when they are shown."""
        self._load([partial(open_cube, Path(path)) for path in paths], add=add, then=then)

    def is_ready(self) -> bool:
        """Whether all that was asked for is drawn."""
        waiting = self.link_tools.is_waiting or self.jobs.is_busy
        return not waiting and self.tasks.is_idle and self.images.is_ready() and self.spectra.is_ready()

    def problems(self) -> list[str]:
        """What could not be opened or done, one sentence each; the spectra say themselves what is not drawn."""
        return [*self._problems, *self.images.problems()]

    def can_export(self) -> bool:
        """Tell whether there is something to write: not another slice than the one that was asked for."""
        return self.cube is not None and not self._is_off

    def export(self, path: str | Path, size: tuple[int, int] | None = None) -> Path:
        """Write images and spectra as they are shown to a PNG, PDF or SVG file.

        Raises
        ------
        InputError
            If the file cannot be written.
        """
        return export_widget(self.views, path, size)

    def show_side_panel(self, on: bool) -> None:
        """Show or hide the panels beside the image, and the controls of the spectra."""
        self.images.show_side_panel(on)
        self.spectra.show_side_panel(on)

    def shut_down(self) -> None:
        """Stop timers and threads; call it before the viewer is deleted without having been closed."""
        self.slices.set_playing(False)
        self.link_tools.stop()
        self.jobs.stop()
        super().shut_down()
        self.images.shut_down()
        self.spectra.close()

    @property
    def pin_action(self) -> QtGui.QAction:
        """The switch that keeps what is shown."""
        return self.commands.by_name["pin"]

    def view_state(self) -> dict[str, Any]:
        """Return how cubes are shown, as plain values: slice, regions, ranges, units."""
        return describe_session(self)

    def restore_view(self, state: Mapping[str, Any]) -> None:
        """Show the next products as `view_state` says."""
        self._saved_view = dict(state)

    @property
    def cube_key(self) -> str:
        """Key of the frame of the current cube: the current frame's, else the first one's; empty if there is none."""
        entry = self.images.frames.entry
        if entry is not None and entry.key in self.cubes:
            return entry.key
        return next(iter(self.cubes), "")

    @property
    def cube(self) -> Cube | None:
        """The current cube."""
        return self.cubes.get(self.cube_key)

    def choose_slice(self, number: int) -> None:
        """Show another slice of the current cube; other cubes that cover it show the same wavelength."""
        if self.cube is not None:
            wave = float(self.cube.wave[min(max(number, 0), self.cube.shape[0] - 1)])
            self.images.show_entries([self._at_wave(e, wave, number) for e in self.images.frames.entries])

    def _at_wave(self, entry: FrameEntry, wave: float, number: int) -> FrameEntry:
        """Return the frame of a cube at a wavelength; the current cube at a number."""
        cube = self.cubes.get(entry.key)
        if cube is None:
            return entry
        if entry.key != self.cube_key:
            if self.cube is None or cube.wave_unit != self.cube.wave_unit or not cube.covers(wave):
                return entry
            number = cube.find_slice(wave)
        return entry if number == entry.frame.slice_number else replace(entry, frame=entry.frame.at_slice(number))

    def choose_wave(self, wave: float) -> None:
        """Show the slice nearest to a wavelength."""
        if self.cube is not None:
            self.choose_slice(self.cube.find_slice(wave))

    def begin_with(self, wave: float | None, regions: str) -> None:
        """Show the slice at a wavelength, and the regions of the text of a region file, on the current cube."""
        if wave is not None:
            self.choose_wave(wave)
            if self.cube is not None and not self.cube.covers(wave):
                self._is_off = True
                low, high = self.cube.limits
                unit = show_unit(self.cube.wave_unit)
                self._problems.append(
                    f"{wave:g} is not in the cube, which reaches from {low:.6g} to {high:.6g} {unit}."
                )
                self.report(self._problems[-1])
        frame = next((e.frame for e in self.images.frames.entries if e.key == self.cube_key), None)
        if regions and frame is not None:
            for region in parse_regions(regions, frame.wcs).regions:
                self.images.regions.add(region, self.cube_key)
            self.images.regions.select("")

    def show_views_only(self) -> None:
        """Hide tools, panels and tool bars: images and spectra fill the window, as in exported pictures."""
        self._was_shown = True  # panels do not come when the window does
        self.images.show_area_only()
        for part in (self.tools, self.commands.tool_bar, self.slices, self.spectra.tool_bar, self.spectra.status,
                     self.spectra.overlays.cursor, self.lower_views.tabBar()):  # fmt: skip
            part.hide()

    def add_cube(self, cube: Cube, then: Callable[[], None] | None = None) -> None:
        """Show another cube beside those that are shown, as the current one; `then` is called when it is shown."""
        self._load([lambda: cube], add=True, then=then)

    def close_cube(self, key: str) -> None:
        """Remove a cube with its maps."""
        cube = self.cubes.pop(key, None)
        if cube is not None:
            self.map_tools.forget_cube(cube)
            self.remove_frames([key])
            self.live.set_cubes(self.cubes)
            self.cubes_changed.emit()

    def show_frames(self, entries: Mapping[str, FrameEntry]) -> None:
        """Show maps or images beside the cubes; those with a known key are replaced, their colours stay."""
        before = {entry.key: entry for entry in self.images.frames.entries}
        merged = {**before, **entries}
        self.images.show_entries(list(merged.values()), self.cube_key if not before else "")

    def remove_frames(self, keys: Iterable[str]) -> None:
        """Remove frames."""
        gone = set(keys)
        self.images.show_entries([entry for entry in self.images.frames.entries if entry.key not in gone])
        if not self.images.frames.entries:
            self.images.area.show_message(_EMPTY)

    def selected_region(self) -> Region | None:
        """Return the selected region, or the only one, in pixels of the current cube."""
        regions = self.images.regions.on_frame(self.cube_key) if self.cube_key else {}
        if self.images.regions.selected in regions:
            return regions[self.images.regions.selected]
        return next(iter(regions.values())) if len(regions) == 1 else None

    def draw_region(self, shape: str) -> None:
        """Let the next drag on an image draw a region of a shape; after that regions can be moved again."""
        self.images.commands.set_tool(shape)  # type: ignore[arg-type]
        self.say(f"Drag on the image to draw: {shape}.")

    def pane_axis(self) -> WaveAxis:
        """Return how the x axis of the current pane of spectra is shown."""
        view = self.spectra.area.current
        return replace(view.state.axis, unit=view.content.x_unit or "um")

    def attempt(self, work: Callable[[], Any]) -> None:
        """Do something short, and say what it gave or why it failed."""
        try:
            result = work()
            if isinstance(result, Path):
                self.say(f"{result} was written.")
        except SofiaDeskError as error:
            self.report(str(error))

    def save_in_thread(self, work: Callable[[], Path]) -> None:
        """Write a file in a thread, and say when it is done."""
        self._jobs += 1
        self.tasks.submit(f"save {self._jobs}", work, self._tell_saved)

    def _tell_saved(self, path: Path) -> None:
        self.say(f"{path} was written.")
        tell_written(path)

    def say(self, text: str, role: str = "") -> None:
        """Show a sentence below the images."""
        self.images.say(text, role)

    def report(self, text: str) -> None:
        """Show what went wrong."""
        self.say(text, "error")
        self.failed.emit(text)

    # -- parts ------------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        self.views = QtWidgets.QSplitter(Qt.Orientation.Vertical)
        upper = QtWidgets.QWidget()
        column = QtWidgets.QVBoxLayout(upper)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self.images, 1)
        column.addWidget(self.slices)
        column.addWidget(self.jobs)
        self.lower_views.addTab(self.spectra, "Spectra")
        self.lower_views.addTab(self.cut_tools.view, "Cut")
        self.lower_views.setDocumentMode(True)
        self.views.addWidget(upper)
        self.views.addWidget(self.lower_views)
        self.views.setStretchFactor(0, 3)
        self.views.setStretchFactor(1, 2)
        self.views.setChildrenCollapsible(False)
        self.spectra.column.hide()
        self.tools = QtWidgets.QTabWidget()
        self.tools.setDocumentMode(True)
        self.tools.setUsesScrollButtons(True)
        for name, panel in (
            ("Spectra", self.spectra_tools.panel), ("Maps", self.map_tools.panel), ("Fits", self.map_tools.fit_panel),
            ("Cut", self.cut_tools.panel), ("Edit", self.edit_tools.panel), ("Links", self.link_tools.panel),
        ):  # fmt: skip
            self.tools.addTab(panel, name)
        self.tools.setMinimumWidth(_TOOLS_WIDTH)
        for tabs in (self.tools, self.lower_views):
            tabs.tabBar().setDrawBase(False)
        self.whole = QtWidgets.QSplitter(Qt.Orientation.Horizontal)
        self.whole.addWidget(self.views)
        self.whole.addWidget(self.tools)
        self.whole.setStretchFactor(0, 1)
        self.whole.setStretchFactor(1, 0)
        self.whole.setChildrenCollapsible(False)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.commands.tool_bar)
        layout.addWidget(self.whole, 1)

    def _connect(self) -> None:
        self.tasks.failed.connect(self._report)
        self.jobs.failed.connect(self.report)
        self.slices.slice_chosen.connect(self.choose_slice)
        self.marker.moved.connect(self.choose_wave)
        self.images.frames_changed.connect(self.refresh_slice)
        self.images.display_panel.slice_chosen.disconnect()
        self.images.display_panel.slice_chosen.connect(self.choose_slice)
        self.images.area.view_added.connect(self._follow_view)
        self.images.cursor_moved.connect(self.cursor_moved)
        self.cubes_changed.connect(self._enable_tools)
        self._enable_tools()
        theme_events().changed.connect(self._restyle)

    def _follow_view(self, _key: str, view: FrameView) -> None:
        view.region_drawn.connect(lambda _: self.images.commands.set_tool("pan"))
        view.key_pressed.connect(lambda name, _x, _y: self._press(name))

    def _enable_tools(self) -> None:
        """Let the tools wait for a cube; data can be linked, and glue opened, without."""
        for tools in (self.spectra_tools, self.map_tools, self.cut_tools, self.edit_tools):
            tools.panel.setEnabled(bool(self.cubes))
        self.map_tools.fit_panel.setEnabled(bool(self.cubes))

    def _press(self, name: str) -> bool:
        """Do what a key over an image stands for: comma and full stop step through the slices, space plays them."""
        steps = {",": -1, ".": 1}
        if name in steps:
            self.slices.step(steps[name])
        elif name == " ":
            self.slices.play.toggle()
        return name in steps or name == " "

    # -- loading ----------------------------------------------------------------------------------------------------

    def _load(
        self, openers: Sequence[Callable[[], Cube]], *, add: bool, then: Callable[[], None] | None = None
    ) -> None:
        first = 1 + max((int(key.removeprefix(CUBE)) for key in self.cubes), default=-1) if add else 0
        display = self.images.frames.entry.display if self.images.frames.entry else DisplayState()
        if not self.cubes:
            self.images.area.show_message("Reading …")
        self._jobs += 1
        key = f"load {self._jobs}" if add else "load"

        def done(loaded: _Loaded) -> None:
            self._accept(loaded, add=add)
            if then is not None and loaded.cubes:
                then()

        self.tasks.submit(key, partial(_open_all, openers, first, display), done)

    def _accept(self, loaded: _Loaded, *, add: bool) -> None:
        self._problems = list(loaded.problems)
        for problem in loaded.problems:
            self.failed.emit(problem)
        self.say(loaded.problems[0] if loaded.problems else "", "error" if loaded.problems else "")
        if not loaded.cubes:
            if not self.cubes:
                self.images.area.show_message("\n\n".join(loaded.problems) or _EMPTY)
            return
        made = {entry.key: cube for entry, cube in zip(loaded.entries, loaded.cubes, strict=True)}
        kept = {entry.key: entry for entry in self.images.frames.entries} if add else {}
        entries = [self._keep_slice(entry, made[entry.key]) for entry in loaded.entries]
        if not add:
            self.map_tools.maps.clear()
        self.cubes = {**self.cubes, **made} if add else made
        self.images.show_entries([*kept.values(), *entries], entries[-1].key if add else "")
        self.live.set_cubes(self.cubes)
        self.choose_slice(self.slices.slider.value())
        self.cubes_changed.emit()

    def _keep_slice(self, entry: FrameEntry, cube: Cube) -> FrameEntry:
        """Stay at the wavelength that is shown, if there was a cube of this shape in the place."""
        old = self.cubes.get(entry.key)
        shown = next((e for e in self.images.frames.entries if e.key == entry.key), None)
        if old is None or shown is None or old.shape != cube.shape:
            return entry
        return replace(entry, frame=entry.frame.at_slice(shown.frame.slice_number))

    def refresh_slice(self) -> None:
        """Tell of the slice of the current cube: slider, wavelength, velocity, marker in the spectra."""
        cube = self.cube
        entry = next((e for e in self.images.frames.entries if e.key == self.cube_key), None)
        if cube is None or entry is None:
            self.slices.show_slice(0, 0, "No cube")
            self.marker.show_wave(None)
            return
        number = entry.frame.slice_number
        self.slices.show_slice(number, cube.shape[0], self._describe(cube, number))
        self.marker.show_wave(float(cube.wave[number]), cube.wave_unit)

    def _describe(self, cube: Cube, number: int) -> str:
        text = f"{number + 1} of {cube.shape[0]}"
        if cube.wave_unit == "pixel":
            return text
        text += f"   {cube.wave[number]:.6g} {show_unit(cube.wave_unit)}"
        pane = self.spectra.session.pane
        if pane.rest and cube.is_near(pane.rest):
            text += f"   {velocity_of_wave(cube.wave[number], pane.rest, pane.convention):+.1f} km/s"
        return text

    def _restyle(self) -> None:
        self.commands.refresh_icons()
        self.cut_tools.view.restyle()
        self.spectra_tools.refresh_icons()
        self.slices.refresh_icons()
        self.marker.restyle()

    # -- Qt ---------------------------------------------------------------------------------------------------------

    def dropEvent(self, event: QtGui.QDropEvent) -> None:  # noqa: N802
        """Open the files that were dropped, beside those that are shown."""
        event.acceptProposedAction()
        paths = [url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()]
        self.open_files(paths, add=bool(self.cubes))

    def showEvent(self, event: QtGui.QShowEvent) -> None:  # noqa: N802
        """Leave the room to the images in a narrow window: the panels at their side are a click away."""
        super().showEvent(event)
        if not self._was_shown:
            self._was_shown = True
            self.images.show_side_panel(self.width() >= _WIDE)

    def keyPressEvent(self, event: QtGui.QKeyEvent) -> None:  # noqa: N802
        """Take the keys of the slices wherever no part needs them."""
        if not self._press(event.text()):
            super().keyPressEvent(event)


def _open_all(openers: Sequence[Callable[[], Cube]], first: int, display: DisplayState) -> _Loaded:
    cubes: list[Cube] = []
    entries: list[FrameEntry] = []
    problems: list[str] = []
    for opener in openers:
        try:
            cube = opener()
            entries.append(make_cube_entry(cube, f"{CUBE}{first + len(cubes)}", display))
            cubes.append(cube)
        except (SofiaDeskError, OSError) as error:
            problems.append(str(error))
    return _Loaded(tuple(cubes), tuple(entries), tuple(problems))
