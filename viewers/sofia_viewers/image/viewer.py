"""The image viewer: frames in tiles or one at a time, with a side panel; runs alone or inside the program."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from sofia_engine.product import Product
from sofia_viewers.export import paint_picture, tell_written
from sofia_viewers.image.actions import ViewerActions
from sofia_viewers.image.area import ElidedLabel, FrameArea
from sofia_viewers.image.code_sample import write_code
from sofia_viewers.image.display import DisplayState, LimitsRule
from sofia_viewers.image.display_panel import DisplayPanel
from sofia_viewers.image.examine import APERTURE_TAG, Examiner
from sofia_viewers.image.frame import Frame
from sofia_viewers.image.frames import Arrangement, Compare, FrameEntry, FrameSet, combine_frames
from sofia_viewers.image.geometry import Lock, ViewState
from sofia_viewers.image.loading import Loaded, Request, load, measure_entry, warm_up
from sofia_viewers.image.overlay_layer import Overlays
from sofia_viewers.image.overlay_panel import OverlayPanel
from sofia_viewers.image.places import PlaceMarks
from sofia_viewers.image.readout import Readout, read_out
from sofia_viewers.image.region_store import RegionPanel, RegionStore, linear_axes
from sofia_viewers.image.regions import Region, parse_regions
from sofia_viewers.image.results import ResultsPanel
from sofia_viewers.image.saved_view import SavedView, apply_view, describe_view, read_view
from sofia_viewers.image.saving import read_saved_regions, save_frame
from sofia_viewers.image.settings import DisplaySettings, SettingsStore, read_pair
from sofia_viewers.image.settings_form import SettingsPanel
from sofia_viewers.image.widget import FrameView
from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets, Signal
from sofia_viewers.shell import ViewerShell
from sofia_viewers.theme import theme_events

__all__ = ["ImageViewer"]

_EMPTY = "No image.\nOpen FITS files with Ctrl+O, or drop them here."
_BLINK_MS = 500
_ZOOM_STEP = 1.25


class ImageViewer(ViewerShell):
    """Shows images of products and files.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.
    store : SettingsStore, optional
        Where settings are kept.

    Attributes
    ----------
    pinned : bool
        While True, `show_products` is ignored: the viewer keeps what it shows.
    """

    cursor_moved = Signal(object)
    regions_changed = Signal(object)
    frames_changed = Signal()
    sources_selected = Signal(object)
    area: FrameArea
    settings_panel: SettingsPanel
    _default_display: DisplayState

    def __init__(self, parent: QtWidgets.QWidget | None = None, store: SettingsStore | None = None) -> None:
        super().__init__(parent)
        self.pinned = False
        self.frames = FrameSet()
        self.settings = store or SettingsStore()
        self.display_settings: DisplaySettings = self.settings.load("display")
        self._views: dict[str, ViewState] = {}
        self._pending_regions: list[Path] = []
        self._swipe: tuple[str, str] | None = None
        self._last_request: Request | None = None
        self._saved_view: SavedView | None = None
        self._is_fitted = True
        self._kept_text: str | None = None
        self.code_window: QtWidgets.QPlainTextEdit | None = None
        self._product_regions: tuple[Path, ...] = ()
        self._regions_of: tuple[str, ...] = ()
        self._make_parts()
        self._lay_out()
        self._connect()
        self._blink = QtCore.QTimer(self)
        self._blink.setInterval(_BLINK_MS)
        self._blink.timeout.connect(lambda: self.step(1))
        self.area.show_message(_EMPTY)
        self._show_panels()
        self.tasks.submit("warm up", warm_up, lambda _: None)

    # -- what others use --------------------------------------------------------------------------------------------

    def show_products(self, products: Sequence[Product], names: Sequence[str] | None = None) -> None:
        """Show products in place of what is shown; zoom, limits set by hand and regions stay if they fit.

        Parameters
        ----------
        products : sequence of Product
            In the order of the frames.
        names : sequence of str, optional
            Their names; FILENAME of their headers if left out.
        """
        if not self.pinned:
            names = names or [product.name for product in products]
            self._load(replace(self._request(), products=tuple(zip(products, names, strict=True))))

    def open_files(self, paths: Iterable[str | Path], *, add: bool = False) -> None:
        """Open FITS files, and region files on top of them.

        Parameters
        ----------
        paths : iterable of path
            Names ending with ``.reg`` are region files.
        add : bool
            Keep the frames that are shown.
        """
        wanted = [Path(path) for path in paths]
        images = tuple(path for path in wanted if path.suffix.lower() != ".reg")
        self._pending_regions = [path for path in wanted if path.suffix.lower() == ".reg"]
        if images:
            start = 1 + max((int(e.key) for e in self.frames.entries if e.key.isdigit()), default=-1) if add else 0
            self._load(replace(self._request(), paths=images, start=start), add=add)
        else:
            self._open_pending_regions()

    def show_entries(self, entries: Sequence[FrameEntry], current: str = "") -> None:
        """Show frames that are made elsewhere, in place of those shown; zoom stays if the first has the same size.

        Parameters
        ----------
        entries : sequence of FrameEntry
            Frames with their limits and samples.
        current : str
            Key of the frame to make the current one; the one that is current, or the first, if left out.
        """
        before = self.frames.entries
        keep = bool(before) and bool(entries) and before[0].frame.shape == entries[0].frame.shape
        refit = not keep or len(before) != len(entries)
        wanted = current or self._current_key()
        frames = replace(self.frames, entries=tuple(entries), current=0)
        self._set_frames(frames.selected(wanted) if frames.find(wanted) >= 0 else frames, keep_views=keep)
        if refit and self.display_settings.zoom_fit:
            QtCore.QTimer.singleShot(0, self, self.fit)

    def show_region_files(self, paths: Sequence[Path]) -> None:
        """Draw region files that belong to the products asked for last; they go when others are shown.

        Parameters
        ----------
        paths : sequence of Path
            One for each frame, or all for the first.
        """
        if not self.pinned:
            self._product_regions = tuple(paths)

    def open_regions(self, path: Path) -> None:
        """Read a DS9 region file onto the frames."""
        self.regions.open(path)

    def compare(self, first: str, second: str, mode: Compare) -> None:
        """Compare two frames.

        Parameters
        ----------
        first, second : str
            Keys of frames.
        mode : {"blink", "swipe", "difference", "ratio", "side"}
            How; difference and ratio are added as a frame, on the grid of the first.
        """
        self._end_swipe()
        a, b = (self.frames.entries[self.frames.find(key)] for key in (first, second))
        if mode in ("difference", "ratio"):
            self.arrange("tile")
            self._combine(a, b, mode)
            return
        alike = a.frame.plane.unit == b.frame.plane.unit
        entries = (a, replace(b, display=a.display) if alike else b)
        kept = replace(self.frames, entries=entries, current=0, lock_limits=alike)
        arrangement: Arrangement = {"blink": "blink", "side": "tile"}.get(mode, "single")  # type: ignore[assignment]
        self._set_frames(kept)
        self.arrange(arrangement)
        if mode == "swipe":
            self._swipe = (first, second)
            self._show_swipe(0.5)

    def compare_products(self, first: Product, second: Product, mode: Compare, names: tuple[str, str]) -> None:
        """Load two products and compare them, see `compare`."""
        request = replace(self._request(), products=((first, names[0]), (second, names[1])))

        def then() -> None:
            if len(self.frames.entries) == 2:
                self.compare(self.frames.entries[0].key, self.frames.entries[1].key, mode)

        self._load(request, then=then)

    def is_ready(self) -> bool:
        """Tell whether all that was asked for is drawn."""
        return self.tasks.is_idle and all(view.is_drawn or not view.isVisible() for view in self.area.views.values())

    def can_export(self) -> bool:
        """Tell whether there is something to write."""
        return bool(self.frames.entries)

    def export(self, path: str | Path, size: tuple[int, int] | None = None) -> Path:
        """Write the frames as they are shown to a PNG, PDF or SVG file.

        Raises
        ------
        InputError
            If the file cannot be written.
        """
        return paint_picture(path, size or (self.area.width(), self.area.height()), self.area.paint)

    @property
    def pin_action(self) -> QtGui.QAction:
        """The switch that keeps what is shown."""
        return self.commands.by_name["pin"]

    def show_side_panel(self, on: bool) -> None:
        """Show or hide the panels at the side: display, overlays, regions, settings."""
        for dock in self.side_docks:
            dock.setVisible(on)
        if on:
            self.side_docks[0].raise_()
        self.commands.show_side_panel(on)

    def view_state(self) -> dict[str, Any]:
        """Return how frames are shown, as plain values: arrangement, locks, zoom, limits, colours, regions."""
        own = [region for name, region in self.regions.named().items() if name not in self._regions_of]
        view = None if self._is_fitted else next(iter(self._views.values()), None)
        return describe_view(self.frames, view, own)

    def restore_view(self, state: Mapping[str, Any]) -> None:
        """Show the next products as `view_state` says; what makes no sense is passed over."""
        self._saved_view = read_view(state)

    @property
    def is_fitted(self) -> bool:
        """Whether whole frames are shown, as the user has neither zoomed nor moved them since."""
        return self._is_fitted

    def outline_view(self) -> tuple[tuple[float, float], ...]:
        """Return the corners of the part of the current frame that is in view, pixels from 0; none if nothing is."""
        view, entry = self._current_view(), self.frames.entry
        if view is None or entry is None:
            return ()
        width, height = view.width(), view.height()
        seen = [view.pixel_at(QtCore.QPointF(x, y)) for x in (0, width) for y in (0, height)]
        rows, columns = entry.frame.shape
        x0, x1 = _overlap([x for x, _ in seen], columns)
        y0, y1 = _overlap([y for _, y in seen], rows)
        return ((x0, y0), (x1, y0), (x1, y1), (x0, y1)) if x0 < x1 and y0 < y1 else ()

    def outline_rectangle(self) -> tuple[tuple[float, float], ...]:
        """Return the corners, in pixels of the current frame, of the box that is selected, or else drawn last."""
        entry = self.frames.entry
        boxes = {name: r for name, r in self.regions.on_frame(entry.key if entry else "").items() if r.shape == "box"}
        if not boxes:
            return ()
        chosen = boxes.get(self.regions.selected) or list(boxes.values())[-1]
        return tuple((float(x), float(y)) for x, y in chosen.outlines()[0][:-1])

    def describe_regions(self) -> tuple[tuple[Region, ...], Any] | None:
        """Return the regions that were drawn or opened here, and the apertures of photometry, with coordinates.

        Returns
        -------
        (tuple of Region, WCS or None) or None
            In pixels of the first frame, and its celestial coordinates. None while that is not known: nothing is shown
            yet, or regions are still being brought back.
        """
        if not self.frames.entries or self._kept_text is not None:
            return None
        first = self.frames.entries[0]
        own = [r for name, r in self.regions.on_frame(first.key).items() if name not in self._regions_of]
        return (*own, *self.examiner.list_apertures(first.key)), first.frame.wcs

    def restore_regions(self, text: str) -> None:
        """Show regions and apertures of a DS9 region file on the next products, in place of those there are."""
        self._kept_text = text

    def show_area_only(self) -> None:
        """Hide panels and tool bars: the frames fill the window, as in exported pictures."""
        for part in (QtWidgets.QDockWidget, QtWidgets.QToolBar):
            for widget in self.window_area.findChildren(part):
                widget.hide()
        self.readout.hide()

    def save_fits(self, path: str | Path) -> None:
        """Write the current image and the regions on it to a FITS file, in a thread; says when it is done."""
        entry = self.frames.entry
        if entry is not None:
            regions = tuple(self.regions.on_frame(entry.key).values())
            work = partial(save_frame, entry.frame, regions, path)
            self.tasks.submit("save", work, self._tell_saved)

    def _tell_saved(self, path: Path) -> None:
        self.say(f"{path} was written.")
        tell_written(path)

    def set_display(self, **values: Any) -> None:
        """Change the display of the current frame (of all if limits are locked): fields of `DisplayState`."""
        if self.frames.entry is not None:
            self._take_display(replace(self.frames.entry.display, **values))

    def set_default_display(self, **values: Any) -> None:
        """Change how frames opened from now on are displayed."""
        self._default_display = replace(self._default_display, **values)

    def set_rule(self, rule: LimitsRule) -> None:
        """Find the limits of the current frame (of all if limits are locked) by a rule."""
        chosen = self.frames.entries if self.frames.lock_limits else (self.frames.entry,)
        entries = [replace(e, display=replace(e.display, rule=rule)) for e in chosen if e is not None]
        self.tasks.submit("limits", lambda: [measure_entry(e) for e in entries], self._accept_measured)

    def choose_plane(self, name: str) -> None:
        """Show another plane of the current frame's file."""
        entry = self.frames.entry
        if entry is None:
            return

        def work() -> FrameEntry:
            frame = entry.frame.with_plane(name)
            same = frame.plane.unit == entry.frame.plane.unit and entry.display.rule.kind == "manual"
            rule = entry.display.rule if same or entry.display.rule.kind != "manual" else LimitsRule()
            return measure_entry(replace(entry, frame=frame, display=replace(entry.display, rule=rule)))

        self.tasks.submit(f"plane {entry.key}", work, lambda e: self._accept_measured([e]))

    def show_companion(self, role: str) -> None:
        """Show the error, exposure, mask or S/N plane of the current frame; again returns to the first plane."""
        entry = self.frames.entry
        if entry is None:
            return
        first = next(iter(entry.frame.file.planes.values()))
        plane = entry.frame.file.companion(role, first.name) if role != "s/n" else None
        name = "S/N" if role == "s/n" and entry.frame.file.can_compute_signal_to_noise else plane.name if plane else ""
        if not name:
            self.say(f"{entry.frame.file.name} has no {role} plane.")
            return
        self.choose_plane(first.name if entry.frame.plane.name == name else name)

    def choose_slice(self, number: int) -> None:
        """Show another slice of the current cube; locked cubes follow."""
        entry = self.frames.entry
        if entry is not None:
            lock: Lock = self.display_settings.lock_slice
            self._set_frames(self.frames.slice_of(entry, number, lock), keep_views=True)

    def step(self, by: int) -> None:
        """Make the next frame the current one."""
        self._set_frames(self.frames.stepped(by), keep_views=True)

    def select(self, key: str) -> None:
        """Make a frame the current one."""
        if key != (self.frames.entry.key if self.frames.entry else ""):
            self._set_frames(self.frames.selected(key), keep_views=True)

    def close_frame(self, key: str) -> None:
        """Remove a frame."""
        self._set_frames(self.frames.without(key), keep_views=True)

    def arrange(self, arrangement: Arrangement) -> None:
        """Show frames in tiles, one at a time, or one after the other by itself."""
        (self._blink.start if arrangement == "blink" else self._blink.stop)()
        refit = arrangement != self.frames.arrangement
        self._set_frames(replace(self.frames, arrangement=arrangement), keep_views=True)
        self.commands.show_arrangement(arrangement)
        if refit and self.display_settings.zoom_fit:
            QtCore.QTimer.singleShot(0, self, self.fit)

    def set_lock(self, lock: Lock) -> None:
        """Align, move and zoom frames together by sky or pixel coordinates, or not at all."""
        self._set_frames(replace(self.frames, lock=lock))
        self.regions.changed.emit()  # they lie elsewhere on frames that they were not drawn on

    def set_lock_limits(self, locked: bool) -> None:
        """Use the limits and colours of the current frame for all, from now on."""
        self.frames = replace(self.frames, lock_limits=locked)
        if locked and self.frames.entry is not None:
            self._take_display(self.frames.entry.display)

    def set_north_up(self, on: bool) -> None:
        """Turn north up and east left."""
        self._set_frames(replace(self.frames, north_up=on))
        self.fit()

    def rotate(self, by: float) -> None:
        """Turn the frames counter-clockwise by degrees."""
        self._set_frames(replace(self.frames, rotation=(self.frames.rotation + by) % 360.0))
        self.fit()

    def fit(self) -> None:
        """Show whole frames, also when the window gets another size, until the user zooms or moves them."""
        self._is_fitted = True
        for key, view in self.area.visible_views.items():
            self._views[key] = view.fit()
        if self.frames.lock != "none" and self.frames.entries:
            first = next((e.key for e in self.frames.entries if e.key in self.area.visible_views), "")
            if first:
                self._views = dict.fromkeys(self._all_keys(), self._views[first])
        self._apply_views()

    def zoom(self, factor: float) -> None:
        """Zoom about the middle."""
        view = self._current_view()
        if view is not None:
            self._follow_view(self._current_key(), view.view.zoomed_at(view.view.center, factor))

    def zoom_to(self, zoom: float) -> None:
        """Show so many screen pixels per pixel."""
        view = self._current_view()
        if view is not None:
            self._follow_view(self._current_key(), replace(view.view, zoom=zoom / max(view.placement.scale, 1e-9)))

    def say(self, text: str, role: str = "") -> None:
        """Show a sentence in the status line, which is there only if there is something to say."""
        super().say(text, role)
        self.status.setVisible(bool(text))

    # -- parts ------------------------------------------------------------------------------------------------------

    def _make_parts(self) -> None:
        scale = self.display_settings.scale
        rule = LimitsRule(scale) if scale != "none" else LimitsRule()
        cmap = self.display_settings.cmap
        self._default_display = DisplayState(rule=rule, color_map="sls" if cmap.lower() == "none" else cmap)
        self.frames = replace(
            self.frames,
            lock=self.display_settings.lock_image,
            arrangement="tile" if self.display_settings.tile else "single",
        )
        self.area = FrameArea(self.tasks)
        self.overlays = Overlays(self.tasks)
        self.overlays.change(header=self.display_settings.overplots)
        self.display_panel = DisplayPanel()
        self.overlay_panel = OverlayPanel(self)
        self.regions = RegionStore(self)
        self.region_panel = RegionPanel(self.regions)
        self.results = ResultsPanel()
        self.settings_panel = SettingsPanel(self.settings)
        self.examiner = Examiner(self)
        self.place_marks = PlaceMarks(self)
        self.readout = ElidedLabel()
        self.status = ElidedLabel()
        self.status.hide()
        self.commands = ViewerActions(self)

    def _lay_out(self) -> None:
        self.window_area = QtWidgets.QMainWindow()
        self.window_area.setWindowFlags(Qt.WindowType.Widget)
        self.window_area.setDockOptions(
            QtWidgets.QMainWindow.DockOption.AllowTabbedDocks | QtWidgets.QMainWindow.DockOption.AnimatedDocks
        )
        self.window_area.setCentralWidget(self.area)
        side = Qt.DockWidgetArea.RightDockWidgetArea
        panels = (
            ("Display", self.display_panel), ("Overlays", self.overlay_panel), ("Regions", self.region_panel),
            ("Settings", self.settings_panel),
        )  # fmt: skip
        docks = [self._dock(name, widget, side) for name, widget in panels]
        for dock in docks[1:]:
            self.window_area.tabifyDockWidget(docks[0], dock)
        docks[0].raise_()
        self.side_docks = docks
        self.results_dock = self._dock("Results", self.results, Qt.DockWidgetArea.BottomDockWidgetArea, scroll=False)
        self.results_dock.hide()
        self.commands.add_tool_bars(self.window_area)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.window_area, 1)
        layout.addWidget(self.status)
        layout.addWidget(self.readout)

    def _dock(
        self, name: str, widget: QtWidgets.QWidget, side: Qt.DockWidgetArea, *, scroll: bool = True
    ) -> QtWidgets.QDockWidget:
        dock = QtWidgets.QDockWidget(name, self.window_area)
        dock.setObjectName(f"image {name}")
        if scroll:
            area = QtWidgets.QScrollArea()
            area.setWidgetResizable(True)
            area.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
            area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
            area.setWidget(widget)
            area.setMinimumWidth(300)
            widget = area
        dock.setWidget(widget)
        self.window_area.addDockWidget(side, dock)
        return dock

    def _connect(self) -> None:
        self.tasks.failed.connect(self._report)
        self.area.view_added.connect(self._connect_view)
        self.area.installEventFilter(self)
        self.display_panel.display_changed.connect(self._take_display)
        self.display_panel.rule_changed.connect(self.set_rule)
        self.display_panel.plane_chosen.connect(self.choose_plane)
        self.display_panel.slice_chosen.connect(self.choose_slice)
        self.overlay_panel.changed.connect(self.apply_overlays)
        self.regions.changed.connect(self._show_regions)
        self.results.photometry.rows_selected.connect(self._select_sources)
        self.settings_panel.applied.connect(self._take_settings)
        theme_events().changed.connect(self._restyle)

    def _connect_view(self, key: str, view: FrameView) -> None:
        view.cursor_moved.connect(lambda x, y: self._follow_cursor(key, x, y))
        view.cursor_left.connect(self._forget_cursor)
        view.view_changed.connect(lambda state: self._follow_view(key, state))
        view.contrast_changed.connect(lambda contrast, bias: self._take_contrast(key, contrast, bias))
        view.activated.connect(lambda: self.select(key))
        view.key_pressed.connect(lambda name, x, y: self.press_key(name, key, x, y))
        view.region_drawn.connect(lambda region: self.regions.add(region, key))
        view.region_edited.connect(lambda name, region, final: self.regions.edit(name, region, key, final=final))
        view.region_selected.connect(self.regions.select)
        view.swipe_moved.connect(self._show_swipe)
        view.tool = self.commands.tool

    # -- loading ----------------------------------------------------------------------------------------------------

    def _request(self) -> Request:
        settings = self.display_settings
        extension = settings.extension
        s2n = read_pair(settings.s2n_range) if extension.upper() == "S/N" else None
        previous = {entry.key: entry for entry in self.frames.entries}
        return Request(extension=extension, s2n_range=s2n, display=self._default_display, previous=previous)

    def _load(self, request: Request, *, add: bool = False, then: Callable[[], None] | None = None) -> None:
        self._end_swipe()
        self._last_request = request
        if not self.frames.entries:
            self.area.show_message("Reading …")

        def done(loaded: Loaded) -> None:
            self._accept(loaded, add=add)
            if then is not None:
                then()

        self.tasks.submit("load", lambda: load(request), done)

    def _accept(self, loaded: Loaded, *, add: bool) -> None:
        self._problems = list(loaded.problems)
        self.say(loaded.problems[0] if loaded.problems else "")
        for problem in loaded.problems:
            self.failed.emit(problem)
        if loaded.problems and not loaded.entries:
            self.area.show_message("\n\n".join(loaded.problems))
            if add or self.frames.entries:
                return
        entries = (*self.frames.entries, *loaded.entries) if add else loaded.entries
        keep = bool(self.frames.entries) and _same_kind(self.frames.entries, entries)
        self.regions.follow(_frames_by_key(self.frames.entries), _frames_by_key(entries))
        current = min(self.frames.current, max(len(entries) - 1, 0)) if keep else 0
        self._set_frames(replace(self.frames, entries=tuple(entries), current=current), keep_views=keep)
        if not keep and self.display_settings.zoom_fit and self._saved_view is None:
            self.fit()
            QtCore.QTimer.singleShot(0, self, self.fit)
        self._show_saved_regions(loaded.entries)
        self._open_pending_regions()
        self._apply_saved_view()
        self._show_product_regions()
        self._show_kept_regions()

    def _show_kept_regions(self) -> None:
        text, entry = self._kept_text, self.frames.entry
        if text is None or entry is None:
            return
        entry = self.frames.entries[0]
        axes = linear_axes(entry.frame)
        self.tasks.submit(
            "kept regions",
            lambda: parse_regions(text, entry.frame.wcs, axes).regions,
            lambda regions: self._add_kept(regions, entry.key),
        )

    def _add_kept(self, regions: Sequence[Region], key: str) -> None:
        self._kept_text = None
        for name in [name for name in self.regions.named() if name not in self._regions_of]:
            self.regions.remove(name)
        self.examiner.clear()
        for region in (region for region in regions if region.tag != APERTURE_TAG):
            self.regions.add(region, key)
        self.regions.select("")
        self.examiner.measure_again(key, [r.center for r in regions if r.tag == APERTURE_TAG and r.shape == "circle"])

    def _show_product_regions(self) -> None:
        """Draw the region files of the products in place of those of the products before."""
        if (self._product_regions, self._regions_of) == ((), ()):
            return
        for name in self._regions_of:
            self.regions.remove(name)
        paths, names = self._product_regions, list[str]()
        one_each = len(paths) == len(self.frames.entries)
        for index, path in enumerate(paths if self.frames.entries else ()):
            names += self.regions.open(path, self.frames.entries[index if one_each else 0].key)
        self._regions_of = tuple(names)

    def _apply_saved_view(self) -> None:
        saved, self._saved_view = self._saved_view, None
        if saved is None or not self.frames.entries:
            return
        frames, same = apply_view(self.frames, saved)
        for region in saved.regions if same else ():
            if region not in self.regions.items():
                self.regions.add(region, frames.entries[0].key)
        if saved.view is not None and same:
            self._views = {entry.key: saved.view for entry in frames.entries}
            self._is_fitted = False
        self._set_frames(frames, keep_views=True)
        self.commands.show_arrangement(frames.arrangement)
        if saved.view is None or not same:
            self.fit()
            QtCore.QTimer.singleShot(0, self, self._fit_again)

    def _show_saved_regions(self, entries: Sequence[FrameEntry]) -> None:
        for entry in entries:
            for region in read_saved_regions(entry.frame.file):
                if region not in self.regions.items():
                    self.regions.add(region, entry.key)

    def _open_pending_regions(self) -> None:
        pending, self._pending_regions = self._pending_regions, []
        one_each = len(pending) > 1 and len(pending) == len(self.frames.entries)
        for index, path in enumerate(pending):
            self.regions.open(path, self.frames.entries[index].key if one_each else None)

    def _combine(self, a: FrameEntry, b: FrameEntry, mode: Any) -> None:
        key = f"{mode} {a.key} {b.key}"

        def work() -> FrameEntry:
            frame = combine_frames(a.frame, b.frame, mode)
            rule = LimitsRule("percentile", 1.0, 99.0)
            return measure_entry(FrameEntry(key, frame, replace(a.display, rule=rule)))

        def done(entry: FrameEntry) -> None:
            self._set_frames(
                replace(self.frames.without(key), entries=(*self.frames.without(key).entries, entry)).selected(key)
            )
            if self.display_settings.zoom_fit:
                QtCore.QTimer.singleShot(0, self, self.fit)

        self.tasks.submit("combine", work, done)

    def _accept_measured(self, entries: Sequence[FrameEntry]) -> None:
        frames = self.frames
        for entry in entries:
            frames = frames.with_entry(entry)
        self._set_frames(frames, keep_views=True)

    # -- showing ----------------------------------------------------------------------------------------------------

    def _set_frames(self, frames: FrameSet, *, keep_views: bool = False) -> None:
        before = {entry.key: entry for entry in self.frames.entries}
        self.frames = frames
        self.area.set_entries(frames.entries, frames.arrangement, self._current_key())
        if not frames.entries and not self._problems:
            self.area.show_message(_EMPTY)
        placements = frames.placements()
        views = self.area.views
        for entry in frames.entries:
            view = views[entry.key]
            view.set_placement(placements[entry.key])
            changed = before.get(entry.key) is None or before[entry.key].frame is not entry.frame
            view.set_frame(entry.frame)
            view.set_display(entry.display, entry.sample)
            if changed:
                self.overlays.apply(entry, view, self._contour_source())
            else:
                self.overlays.apply_color_bar(entry, view)
        if not keep_views:
            self._views = {key: state for key, state in self._views.items() if frames.find(key) >= 0}
        self._apply_views()
        self._show_regions()
        self._show_panels()
        self.frames_changed.emit()

    def _apply_views(self) -> None:
        known = next(iter(self._views.values()), None)
        for key, view in self.area.views.items():
            state = self._views.get(key)
            if state is None and known is not None and self.frames.lock != "none":
                state = self._views[key] = known
            view.set_view(state or view.fit())

    def _show_panels(self) -> None:
        self.display_panel.show_entry(self.frames.entry)
        self.overlay_panel.show_frames(self.frames)
        self.commands.show_frames(self.frames)

    def _show_regions(self) -> None:
        for key, view in self.area.views.items():
            view.set_regions(self.regions.on_frame(key), self.regions.selected)
        self.region_panel.refresh()
        self.examiner.follow_region(self.regions.selected)
        self.regions_changed.emit(self.regions.items())

    @property
    def product_regions(self) -> tuple[str, ...]:
        """Identifiers of the regions that came with the products."""
        return self._regions_of

    def _select_sources(self, rows: Sequence[int]) -> None:
        """Mark the sources of rows of the table of photometry on all images, and tell others."""
        self.sources_selected.emit(self.examiner.select_rows(rows))

    def apply_overlays(self) -> None:
        """Draw all overlays anew after their options changed."""
        views = self.area.views
        for entry in self.frames.entries:
            self.overlays.apply(entry, views[entry.key], self._contour_source())

    def _contour_source(self) -> FrameEntry | None:
        index = self.frames.find(self.overlays.options.contour_source)
        return self.frames.entries[index] if index >= 0 else None

    def _show_swipe(self, split: float) -> None:
        if self._swipe is None:
            return
        first, second = (self.frames.entries[self.frames.find(key)] for key in self._swipe)
        view = self.area.views[first.key]
        view.set_second(second.frame, second.display, self.frames.placements()[second.key], split)

    def _end_swipe(self) -> None:
        self._swipe = None
        for view in self.area.views.values():
            view.set_second(None, view.display, view.placement)

    def _restyle(self) -> None:
        self.commands.refresh_icons()
        self.apply_overlays()
        for view in self.area.views.values():
            view.update()

    # -- what the user does -----------------------------------------------------------------------------------------

    def press_key(self, name: str, key: str, x: float, y: float) -> None:
        """Act on a key that was pressed over a pixel of a frame."""
        self.select(key)
        if not self.commands.press(name):
            self.examiner.press(name, key, x, y)

    def _follow_cursor(self, key: str, x: float, y: float) -> None:
        entry = self.frames.entries[self.frames.find(key)]
        found = read_out(entry.frame, x, y)
        self._show_readout(found)
        self.cursor_moved.emit(found)
        views = self.area.visible_views
        if self.frames.lock != "none" and len(views) > 1 and key in views:
            plane = views[key].placement.map(x, y)
            for other, view in views.items():
                view.set_crosshair(None if other == key else view.placement.inverse().map(*plane))

    def _forget_cursor(self) -> None:
        self.readout.setText("")
        for view in self.area.views.values():
            view.set_crosshair(None)

    def copy_readout(self) -> None:
        """Copy the numbers under the cursor: pixel, value, error, sky coordinates, wavelength."""
        view, entry = self._current_view(), self.frames.entry
        if view is None or entry is None:
            return
        if not self.readout.text():
            x, y = view.cursor_pixel or view.pixel_at(QtCore.QPointF(view.width() / 2, view.height() / 2))
            self._show_readout(read_out(entry.frame, x, y))
        QtGui.QGuiApplication.clipboard().setText("\t".join([entry.frame.title, *self.readout.text().split("    ")]))
        self.say("The read-out is copied.")

    def copy_picture(self) -> None:
        """Copy the frames as they are shown."""
        picture = QtGui.QImage(self.area.size(), QtGui.QImage.Format.Format_RGB32)
        picture.fill(self.palette().color(QtGui.QPalette.ColorRole.Base))
        painter = QtGui.QPainter(picture)
        self.area.paint(painter, picture.rect())
        painter.end()
        QtGui.QGuiApplication.clipboard().setImage(picture)
        self.say("The picture is copied.")

    def show_code(self) -> None:
        """Show a script that draws the current frame."""
        entry = self.frames.entry
        if entry is not None:
            if self.code_window is not None:
                self.code_window.deleteLater()
            self.code_window = QtWidgets.QPlainTextEdit(write_code(entry), self)
            self.code_window.setWindowFlag(Qt.WindowType.Window)
            self.code_window.setReadOnly(True)
            self.code_window.setWindowTitle("Code of this image")
            self.code_window.setLineWrapMode(QtWidgets.QPlainTextEdit.LineWrapMode.NoWrap)
            self.code_window.resize(820, 460)
            self.code_window.show()

    def _show_readout(self, found: Readout) -> None:
        parts = [found.pixel_text, found.value_text]
        parts += [f"flag {found.flag:g}"] if found.flag is not None else []
        parts += [f"ICRS {found.sky_text('icrs')}  ({found.sky_text('icrs', degrees=True)})"] if found.sky else []
        parts += [f"FK5 {found.sky_text('fk5')}", f"l, b {found.sky_text('galactic')}"] if found.sky else []
        parts += [f"{found.wavelength[0]:.6g} {found.wavelength[1]}"] if found.wavelength else []
        self.readout.setText("    ".join(parts))

    def _follow_view(self, key: str, state: ViewState) -> None:
        self._is_fitted = False
        if self.frames.lock == "none":
            self._views[key] = state
        else:
            self._views = dict.fromkeys(self._all_keys(), state)
        for name, view in self.area.views.items():
            if view.view != self._views.get(name, view.view):
                view.set_view(self._views[name])

    def _take_contrast(self, key: str, contrast: float, bias: float) -> None:
        self.select(key)
        self.set_display(contrast=contrast, bias=bias)

    def _take_display(self, display: DisplayState) -> None:
        self.frames = self.frames.with_display(display)
        for entry in self.frames.entries:
            view = self.area.views[entry.key]
            if view.display != entry.display:
                view.set_display(entry.display, entry.sample)
                self.overlays.apply_color_bar(entry, view)
        self.display_panel.show_display(display)

    def _take_settings(self, section: str, settings: Any) -> None:
        if section != "display":
            return
        old, self.display_settings = self.display_settings, settings
        if settings.scale != "none":
            self._default_display = replace(self._default_display, rule=LimitsRule(settings.scale))
        if settings.cmap.lower() != "none":
            self._default_display = replace(self._default_display, color_map=settings.cmap)
        self.overlays.change(header=settings.overplots)
        self.frames = replace(self.frames, lock=settings.lock_image)
        if settings.tile != old.tile:
            self.arrange("tile" if settings.tile else "single")
        if self._last_request is not None:
            again = replace(
                self._request(), paths=self._last_request.paths, products=self._last_request.products, previous=None
            )
            self._load(again)

    def _current_key(self) -> str:
        return self.frames.entry.key if self.frames.entry else ""

    def _all_keys(self) -> list[str]:
        return [entry.key for entry in self.frames.entries]

    def _current_view(self) -> FrameView | None:
        return self.area.views.get(self._current_key())

    # -- Qt ---------------------------------------------------------------------------------------------------------

    def eventFilter(self, watched: QtCore.QObject, event: QtCore.QEvent) -> bool:  # noqa: N802
        """Fit the frames into their place when that gets another size."""
        if watched is self.area and event.type() == QtCore.QEvent.Type.Resize and self._is_fitted:
            QtCore.QTimer.singleShot(0, self, self._fit_again)
        return super().eventFilter(watched, event)

    def _fit_again(self) -> None:
        if self._is_fitted and self.display_settings.zoom_fit and self.frames.entries:
            self.fit()

    def shut_down(self) -> None:
        """Stop timers and threads; call it before the viewer is deleted without having been closed."""
        self._blink.stop()
        if self.code_window is not None:
            self.code_window.close()
        super().shut_down()


def _overlap(seen: Sequence[float], size: int) -> tuple[float, float]:
    """Return the range of pixels, edges included, that is in view along an axis."""
    return max(min(seen), -0.5), min(max(seen), size - 0.5)


def _frames_by_key(entries: Sequence[FrameEntry]) -> dict[str, Frame]:
    return {entry.key: entry.frame for entry in entries}


def _same_kind(old: Sequence[FrameEntry], new: Sequence[FrameEntry]) -> bool:
    """Tell whether frames may keep the view: as many, and each as large, as before."""
    return len(old) == len(new) and all(a.frame.shape == b.frame.shape for a, b in zip(old, new, strict=True))
