"""What can be done with the explorer as a whole: tool bar and keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sofia_viewers.cube.session import read_session, write_session
from sofia_viewers.export import PICTURE_SUFFIXES
from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets
from sofia_viewers.theme import icon

if TYPE_CHECKING:
    from sofia_viewers.cube.viewer import CubeViewer

__all__ = ["ExplorerActions"]

_CUBES = "FITS cubes (*.fits *.fits.gz *.fit *.FITS);;All files (*)"
_SESSION = "Session of the cube explorer (*.json)"


class ExplorerActions:
    """The actions of the explorer, by name.

    Parameters
    ----------
    viewer : CubeViewer
        What they act on.
    """

    def __init__(self, viewer: CubeViewer) -> None:
        self._viewer = viewer
        self.by_name: dict[str, QtGui.QAction] = {}
        self._icons: dict[str, str] = {}
        self.tool_bar = QtWidgets.QToolBar("Cubes")
        self.tool_bar.setIconSize(QtCore.QSize(18, 18))
        self.tool_bar.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._quiet_parts()
        for name, text, tip, picture, key, run in self._declare():
            action = QtGui.QAction(icon(picture), text, viewer)
            action.setToolTip(f"{tip} ({key})" if key else tip)
            if key:
                action.setShortcut(QtGui.QKeySequence(key))
                action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            action.triggered.connect(lambda _=False, run=run: run())
            self.by_name[name], self._icons[name] = action, picture
            viewer.addAction(action)
            self.tool_bar.addAction(action)
        pin = self.by_name["pin"]
        pin.setCheckable(True)
        pin.toggled.connect(lambda on: setattr(viewer, "pinned", on))

    def _declare(self) -> list[tuple[str, str, str, str, str, Callable[[], Any]]]:
        viewer = self._viewer
        return [
            ("open", "Open", "Open cubes in place of those shown", "open", "Ctrl+O", lambda: self._open(add=False)),
            ("add", "Add", "Open more cubes", "add", "Ctrl+Shift+O", lambda: self._open(add=True)),
            ("export", "Figure", "Save images and spectra as a picture", "export", "Ctrl+E", self._export),
            ("save session", "Save session", "Save files, regions, maps and view", "save", "Ctrl+S", self._save),
            ("open session", "Open session", "Open a saved session", "folder", "", self._open_session),
            ("glue", "Open in glue", "The same data, links and selections in glue", "cube", "",
             viewer.link_tools.open_in_glue),
            ("pin", "Pin", "Keep these cubes: do not replace them", "pin", "", lambda: None),
            ("tools", "Tools", "Show or hide the tools", "settings", "Ctrl+T", self._toggle_tools),
        ]  # fmt: skip

    def _quiet_parts(self) -> None:
        """Leave the keys of the parts to the explorer, and hide what it does itself."""
        for part in (self._viewer.images, self._viewer.spectra):
            for action in QtWidgets.QWidget.actions(part):
                action.setShortcut("")
        for name in ("open", "pin"):
            self._viewer.images.commands.by_name[name].setVisible(False)
        for name in ("open_session", "save_session"):
            self._viewer.spectra.actions_by_name[name].setVisible(False)

    def refresh_icons(self) -> None:
        """Draw the icons in the colour of the look."""
        for name, picture in self._icons.items():
            self.by_name[name].setIcon(icon(picture))

    def _open(self, *, add: bool) -> None:
        paths, _ = QtWidgets.QFileDialog.getOpenFileNames(self._viewer, "Open cubes", "", _CUBES)
        if paths:
            self._viewer.open_files(paths, add=add and bool(self._viewer.cubes))

    def _export(self) -> None:
        kinds = ";;".join(f"{suffix[1:].upper()} (*{suffix})" for suffix in PICTURE_SUFFIXES)
        path, _ = QtWidgets.QFileDialog.getSaveFileName(self._viewer, "Save figure", "cube.png", kinds)
        if path:
            self._viewer.attempt(lambda: self._viewer.export(path))

    def _save(self) -> None:
        path, _ = QtWidgets.QFileDialog.getSaveFileName(self._viewer, "Save session", "cubes.json", _SESSION)
        if path:
            self._viewer.attempt(lambda: write_session(self._viewer, path))

    def _open_session(self) -> None:
        path, _ = QtWidgets.QFileDialog.getOpenFileName(self._viewer, "Open session", "", _SESSION)
        if path:
            self._viewer.attempt(lambda: read_session(self._viewer, Path(path)))

    def _toggle_tools(self) -> None:
        self._viewer.tools.setVisible(not self._viewer.tools.isVisible())
