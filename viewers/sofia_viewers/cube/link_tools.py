"""Keeps the linked data sets in step with what is shown, and shows what is selected in each of them."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sofia_engine.errors import SofiaDeskError
from sofia_viewers.cube.glue_session import INSTALL_GLUE, PREFIX, TEMPORARY, GlueProcess, has_glue, start_glue
from sofia_viewers.cube.panels import LinksPanel
from sofia_viewers.cube.saving import save_cube
from sofia_viewers.image.drawing import Drawing, Mark
from sofia_viewers.image.frames import FrameEntry
from sofia_viewers.image.overlays import Catalog, draw_catalog, read_catalog
from sofia_viewers.image.regions import Region
from sofia_viewers.qt import QtCore, QtWidgets
from sofia_viewers.theme import current_theme

if TYPE_CHECKING:
    from sofia_viewers.cube.links import LinkedData
    from sofia_viewers.cube.viewer import CubeViewer

__all__ = ["IMAGE", "LinkTools"]

IMAGE = "image "
_CATALOG = "catalog "
_RANGE = "wavelengths"
_ROWS = "catalog rows"
_DELAY_MS = 150
_WATCH_MS = 500


@dataclass(frozen=True, eq=False)
class _Wanted:
    """What is to be linked and selected: a copy that a thread can work with."""

    cubes: dict[str, Any]
    images: dict[str, Any]
    catalogs: dict[str, tuple[Catalog, str]]
    regions: dict[str, tuple[Region, Any]]
    range: tuple[float, float, str, str] | None
    rows: tuple[str, tuple[int, ...]] | None


@dataclass(frozen=True, eq=False)
class _Found:
    """What is selected where."""

    linked: LinkedData
    counts: tuple[tuple[str, dict[str, int]], ...]
    rows: dict[str, tuple[int, ...]]


class LinkTools(QtCore.QObject):
    """Links cubes, images and catalogues through glue data sets.

    Parameters
    ----------
    viewer : CubeViewer
        Whose data are linked.
    """

    def __init__(self, viewer: CubeViewer) -> None:
        super().__init__(viewer)
        self._viewer = viewer
        self.panel = LinksPanel()
        self.linked: LinkedData | None = None
        self.catalogs: dict[str, tuple[Catalog, str]] = {}
        self.counts: dict[str, dict[str, int]] = {}
        self.members: dict[str, tuple[int, ...]] = {}
        self.processes: list[GlueProcess] = []
        self._range: tuple[float, float, str, str] | None = None
        self._numbers = {IMAGE: count(), _CATALOG: count()}
        self._is_running = self._is_due = self._opens_glue = False
        self._rows: tuple[str, tuple[int, ...]] | None = None
        self._timer = QtCore.QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DELAY_MS)
        self._timer.timeout.connect(self._update)
        self._watch = QtCore.QTimer(self)
        self._watch.setInterval(_WATCH_MS)
        self._watch.timeout.connect(self._look_after_glue)
        panel = self.panel
        panel.image_requested.connect(self._ask_for_image)
        panel.catalog_requested.connect(self._ask_for_catalog)
        panel.glue_requested.connect(self.open_in_glue)
        panel.remove_requested.connect(self.remove)
        panel.rows_selected.connect(self.select_rows)
        viewer.images.regions.changed.connect(self._timer.start)
        viewer.cubes_changed.connect(self._timer.start)
        viewer.images.area.view_added.connect(lambda *_: QtCore.QTimer.singleShot(0, self, self.draw_catalogs))

    @property
    def is_waiting(self) -> bool:
        """Whether a change has not been taken over yet."""
        return self._timer.isActive() or self._is_running

    def select_range(self, limits: tuple[float, float] | None) -> None:
        """Take over the selected range of wavelengths of the current cube."""
        cube = self._viewer.cube
        chosen = None if limits is None or cube is None else (*limits, cube.wave_unit, self._viewer.cube_key)
        if chosen != self._range:
            self._range = chosen
            self._timer.start()

    def select_rows(self, key: str, rows: list[int]) -> None:
        """Select rows of a catalogue: they are marked on all images."""
        self._rows = (key, tuple(rows)) if rows else None
        self.members = {**self.members, key: tuple(rows)}
        self.draw_catalogs()
        self._timer.start()

    def stop(self) -> None:
        """Stop the timers; sessions of glue go on."""
        self._timer.stop()
        self._watch.stop()

    # -- data --------------------------------------------------------------------------------------------------------

    def add_image(self, path: str | Path) -> None:
        """Show an image beside the cubes, linked on the sky."""
        from sofia_viewers.image.loading import Request, load

        key = self._name_next(IMAGE)

        def work() -> list[FrameEntry]:
            loaded = load(Request(paths=(Path(path),)))
            if loaded.problems and not loaded.entries:
                from sofia_engine.errors import InputError

                raise InputError(loaded.problems[0])
            return list(loaded.entries)

        def done(entries: list[FrameEntry]) -> None:
            names = [f"{key}.{number}" if number else key for number in range(len(entries))]
            self._viewer.show_frames({name: replace(e, key=name) for name, e in zip(names, entries, strict=True)})
            self._timer.start()

        self._viewer.tasks.submit(key, work, done)

    def add_catalog(self, path: str | Path) -> None:
        """Show the positions of a table on all images, linked on the sky."""
        key = self._name_next(_CATALOG)

        def done(catalog: Catalog) -> None:
            self.catalogs[key] = (catalog, str(path))
            self._list_rows(key)
            self.draw_catalogs()
            self._timer.start()

        self._viewer.tasks.submit(key, lambda: read_catalog(path), done)

    def forget_catalogs(self) -> None:
        """Remove all catalogues."""
        for key in list(self.catalogs):
            self.remove(key)

    def _name_next(self, kind: str) -> str:
        """Return a key that no image and no catalogue had: several may be read at a time."""
        return f"{kind}{next(self._numbers[kind])}"

    def _list_rows(self, key: str) -> None:
        """List the rows of a catalogue; none if there is no such catalogue."""
        catalog = self.catalogs[key][0] if key in self.catalogs else None
        sky = catalog.sky if catalog is not None else ()
        labels = (catalog.labels if catalog is not None else ()) or tuple(str(i + 1) for i in range(len(sky)))
        rows = [(name, float(lon), float(lat)) for name, (lon, lat) in zip(labels, sky, strict=True)]
        self.panel.show_catalog(key if rows else "", rows)

    def remove(self, key: str) -> None:
        """Remove an image or a catalogue; a cube is closed."""
        if key in self.catalogs:
            del self.catalogs[key]
            if self._rows is not None and self._rows[0] == key:
                self._rows = None
            if self.panel.catalog_key == key:
                self._list_rows(next(reversed(self.catalogs), ""))
            self.draw_catalogs()
        elif key in self._viewer.cubes:
            self._viewer.close_cube(key)
        else:
            self._viewer.remove_frames([key])
        self._timer.start()

    def _image_keys(self) -> list[str]:
        return [entry.key for entry in self._viewer.images.frames.entries if entry.key.startswith(IMAGE)]

    def draw_catalogs(self) -> None:
        """Draw the positions of catalogues on all images, those that are selected in another colour."""
        for view in self._viewer.images.area.views.values():
            if view.frame is None:
                continue
            drawings: list[Drawing] = []
            for key, (catalog, _) in self.catalogs.items():
                drawings += draw_catalog(catalog, view.frame)
                chosen = [row for row in self.members.get(key, ()) if row < len(catalog.sky)]
                if chosen and view.frame.wcs is not None:
                    pixels = view.frame.wcs.wcs_world2pix(catalog.sky[chosen], 0)
                    marks = tuple(Mark((float(x), float(y)), "box", 20) for x, y in pixels)
                    drawings.append(Drawing(current_theme().accent, marks=marks, width=2.0))
            view.set_layer("linked catalogs", drawings)

    # -- links and selections ----------------------------------------------------------------------------------------

    def _update(self) -> None:
        """Bring links and selections up to date, in a thread: glue takes its time to be imported."""
        if self._is_running:  # the data sets are changed by one thread at a time
            self._is_due = True
            return
        wanted = self._describe()
        if not wanted.cubes and not wanted.catalogs and self.linked is None:
            self._end_update()
            return
        linked, self._is_running = self.linked, True
        self._viewer.tasks.submit("links", lambda: _bring_up_to_date(linked, wanted), self._take, self._miss)

    def _end_update(self) -> None:
        """Take over what changed meanwhile; then open glue, if that was asked for."""
        self._is_running = False
        if self._is_due:
            self._is_due = False
            self._update()
        elif self._opens_glue and not self._timer.isActive():
            self._opens_glue = False
            self._describe_for_glue()

    def _miss(self, message: str) -> None:
        self._end_update()
        self._viewer.report(message)

    def _describe(self) -> _Wanted:
        viewer = self._viewer
        frames = {entry.key: entry.frame for entry in viewer.images.frames.entries}
        regions: dict[str, tuple[Region, Any]] = {}
        for frame_key in [key for key, frame in frames.items() if frame.wcs is not None][:1]:
            for name, region in viewer.images.regions.on_frame(frame_key).items():
                if region.has_area:
                    is_taken = region.name in (*regions, _RANGE, _ROWS)
                    title = f"{region.name} ({name})" if is_taken else region.name or name
                    regions[title] = (region, frames[frame_key].wcs)
        images = {key: frames[key] for key in self._image_keys()}
        return _Wanted(dict(viewer.cubes), images, dict(self.catalogs), regions, self._range, self._rows)

    def _take(self, found: _Found) -> None:
        self.linked = found.linked
        self.counts = dict(found.counts)
        names = [(key, data.label) for key, data in found.linked.data.items()]
        self.panel.show_data(names, list(found.counts))
        self.members = dict(found.rows)
        self.draw_catalogs()
        if self.panel.catalog_key in found.rows:
            self.panel.mark_rows(found.rows[self.panel.catalog_key])
        self._end_update()

    # -- glue --------------------------------------------------------------------------------------------------------

    def open_in_glue(self) -> None:
        """Start a glue session with the same data, links and selections in a process of its own."""
        if not has_glue():
            self._viewer.report(INSTALL_GLUE)
            return
        self._opens_glue = True
        if not self._is_running:
            self._timer.stop()
            self._update()

    def _describe_for_glue(self) -> None:
        """Let glue begin with what is linked; numbers that no file holds are written to files first."""
        linked = self.linked
        if linked is None or not linked.data:
            self._viewer.say("There is nothing to open in glue: open a cube first.")
            return
        unsaved = {key: cube for key, cube in self._viewer.cubes.items()
                   if key in linked.sources and not (linked.sources[key].path and cube.samples().is_plain)}  # fmt: skip
        folder = Path(tempfile.mkdtemp(prefix=PREFIX)) if unsaved else None
        paths = {key: str(folder / f"cube{number}.fits") for number, key in enumerate(unsaved)} if folder else {}
        plain = {**linked.describe(paths), **({TEMPORARY: str(folder)} if folder else {})}

        def work() -> dict[str, Any]:
            for key, cube in unsaved.items():
                save_cube(paths[key], cube)
            return plain

        self._viewer.tasks.submit("glue", work, self._start)

    def _start(self, plain: dict[str, Any]) -> None:
        try:
            self.processes.append(start_glue(plain))
            self._viewer.say("glue is starting in a window of its own; this takes some seconds.")
            self._watch.start()
        except (SofiaDeskError, OSError) as error:
            self._viewer.report(str(error))

    def _look_after_glue(self) -> None:
        """Say why glue did not open, if it did not."""
        ended = [process for process in self.processes if process.has_ended]
        self.processes = [process for process in self.processes if process not in ended]
        for reason in filter(None, [process.end() for process in ended]):
            self._viewer.report(reason)
        if not self.processes:
            self._watch.stop()

    # -- dialogs -----------------------------------------------------------------------------------------------------

    def _ask_for_image(self) -> None:
        path, _ = QtWidgets.QFileDialog.getOpenFileName(
            self._viewer, "Add image", "", "FITS (*.fits *.fits.gz *.fit);;All files (*)"
        )
        if path:
            self.add_image(path)

    def _ask_for_catalog(self) -> None:
        path, _ = QtWidgets.QFileDialog.getOpenFileName(
            self._viewer, "Add catalog", "", "Tables (*.ecsv *.csv *.vot *.xml *.fits *.txt);;All files (*)"
        )
        if path:
            self.add_catalog(path)


def _bring_up_to_date(linked: LinkedData | None, wanted: _Wanted) -> _Found:
    from sofia_viewers.cube.links import LinkedData

    linked = linked or LinkedData()
    current = {**wanted.cubes, **wanted.images, **{key: value[0] for key, value in wanted.catalogs.items()}}
    for key in [key for key in linked.data if key not in current or linked.origins.get(key) is not current[key]]:
        linked.remove(key)
    for key, thing in current.items():
        if key in linked.data:
            continue
        if key in wanted.cubes:
            linked.add_cube(key, thing)
        elif key in wanted.images:
            if thing.wcs is None:
                continue
            linked.add_image(key, thing)
        else:
            linked.add_catalog(key, thing.name, thing.sky, wanted.catalogs[key][1])
        linked.origins[key] = thing
    _select(linked, wanted)
    counts = tuple((name, linked.count_members(name)) for name in linked.selections)
    rows = {key: _rows_of(linked, key) for key in wanted.catalogs}
    return _Found(linked, counts, rows)


def _select(linked: LinkedData, wanted: _Wanted) -> None:
    for name, (region, wcs) in wanted.regions.items():
        linked.select_region(name, region, wcs)
    if wanted.range is not None:
        linked.select_range(_RANGE, *wanted.range)
    if wanted.rows is not None and wanted.rows[0] in linked.data:
        linked.select_rows(_ROWS, wanted.rows[0], wanted.rows[1])
    stale = set(linked.selections) - set(wanted.regions)
    stale -= {_RANGE} if wanted.range is not None else set()
    stale -= {_ROWS} if wanted.rows is not None else set()
    for name in stale:
        linked.deselect(name)


def _rows_of(linked: LinkedData, key: str) -> tuple[int, ...]:
    """Return the rows of a catalogue that are in any selection."""
    found: set[int] = set()
    for name in linked.selections:
        members = linked.find_members(name, key)
        if members is not None:
            found |= {int(row) for row in np.flatnonzero(members)}
    return tuple(sorted(found))
