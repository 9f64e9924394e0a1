"""Cuts along lines that are drawn on the image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sofia_viewers.cube.cut_view import CutView
from sofia_viewers.cube.panels import CutPanel
from sofia_viewers.cube.position_velocity import PathCut, cut_along
from sofia_viewers.cube.saving import make_cut_table, save_cut, save_table
from sofia_viewers.export import PICTURE_SUFFIXES, TABLE_SUFFIXES, export_widget
from sofia_viewers.image.regions import Region
from sofia_viewers.qt import QtCore, QtWidgets

if TYPE_CHECKING:
    from sofia_viewers.cube.viewer import CubeViewer

__all__ = ["CutTools"]

_FILES = "FITS (*.fits);;Table (*.ecsv *.csv);;Picture (*.png *.pdf *.svg)"


class CutTools(QtCore.QObject):
    """Cuts the current cube along the selected line.

    Parameters
    ----------
    viewer : CubeViewer
        Whose cube is cut.
    """

    def __init__(self, viewer: CubeViewer) -> None:
        super().__init__(viewer)
        self._viewer = viewer
        self.panel, self.view = CutPanel(), CutView()
        self._last: tuple[object, ...] = ()
        self.panel.draw_requested.connect(lambda: viewer.draw_region("line"))
        self.panel.cut_requested.connect(lambda: self.cut(show=True))
        self.panel.save_requested.connect(self._ask_and_save)
        self.view.wave_chosen.connect(viewer.choose_wave)
        viewer.images.regions.changed.connect(self._follow)
        viewer.spectra.session.subscribe(lambda what: self._show_again() if what.startswith("pane") else None)

    def find_path(self) -> Region | None:
        """Return the selected line or polygon, else the first line, in pixels of the current cube."""
        regions = self._viewer.images.regions.on_frame(self._viewer.cube_key)
        chosen = regions.get(self._viewer.images.regions.selected)
        if chosen is not None and chosen.shape in ("line", "polygon"):
            return chosen
        return next((region for region in regions.values() if region.shape == "line"), None)

    def cut(self, *, show: bool = False) -> None:
        """Cut along the line, in a thread."""
        cube, path = self._viewer.cube, self.find_path()
        if cube is None or path is None:
            if show:
                self._viewer.say("Draw a line on the image first (button Draw line).")
            return
        width = self.panel.width_box.value()
        what = (cube, path.points, width)
        if what != self._last or show:
            self._last = what
            self._viewer.tasks.submit("cut", lambda: cut_along(cube, path.points, width=width), self._take)
        if show:
            self._viewer.lower_views.setCurrentWidget(self.view)

    def _follow(self) -> None:
        if self.panel.live.isChecked():
            self.cut()

    def _take(self, cut: PathCut) -> None:
        self.view.show_cut(cut, self._viewer.pane_axis(), self._color_map())

    def _show_again(self) -> None:
        if self.view.cut is not None and self.view._axis != self._viewer.pane_axis():
            self.view.show_cut(self.view.cut, self._viewer.pane_axis(), self._color_map())

    def _color_map(self) -> str:
        frames, key = self._viewer.images.frames.entries, self._viewer.cube_key
        entry = next((entry for entry in frames if entry.key == key), None)
        return entry.display.color_map if entry is not None else ""

    def save(self, path: str | Path) -> None:
        """Write the cut as FITS, table or picture, by the suffix."""
        cut, cube = self.view.cut, self._viewer.cube
        if cut is None or cube is None:
            self._viewer.say("There is no cut to save: draw a line first.")
            return
        suffix = Path(path).suffix.lower()
        if suffix in PICTURE_SUFFIXES:
            self._viewer.attempt(lambda: export_widget(self.view, Path(path)))
        elif suffix in TABLE_SUFFIXES:
            self._viewer.save_in_thread(lambda: save_table(path, make_cut_table(cut)))
        else:
            self._viewer.save_in_thread(lambda: save_cut(path, cut, cube.header))

    def _ask_and_save(self) -> None:
        path, _ = QtWidgets.QFileDialog.getSaveFileName(self._viewer, "Save cut", "cut.fits", _FILES)
        if path:
            self.save(path)
