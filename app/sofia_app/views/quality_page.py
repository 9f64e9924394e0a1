"""The quality viewer in the program: the numbers of the reduction, its products, and the folder they are in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sofia_app.desk import Desk
from sofia_app.models.products import OpenedState
from sofia_app.models.viewer_kinds import ViewerKind
from sofia_app.views.postponed import Postponed
from sofia_app.views.viewer_page import ViewerPage
from sofia_viewers.qt import QtGui, Signal

__all__ = ["QualityPage"]

_KIND = ViewerKind(
    "quality viewer", "Quality viewer", "sofia_viewers.quality.viewer:QualityViewer", lambda _product: True, "table"
)


class QualityPage(ViewerPage):
    """The quality viewer; it is made, and follows the reduction, only while it can be seen.

    Parameters
    ----------
    desk : Desk
        Holds the reduction.
    """

    state_asked = Signal(str)
    """Key of a state whose products are to be shown."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(_KIND, desk.tasks)
        self._desk = desk
        self._followed: tuple[str, str, str] = ("", "", "")
        self._folder = ""
        self.message.setText("The quality viewer opens …")
        self._later = Postponed(self, self.refresh, delay=200)
        desk.reduction.changed.connect(self._later)

    def show_state(self, opened: OpenedState) -> None:
        """Nothing: the viewer reads the session itself."""

    def showEvent(self, event: QtGui.QShowEvent) -> None:  # noqa: N802
        """Make the viewer when it is first seen; bring it up to date."""
        super().showEvent(event)
        self._with_viewer(self._follow)

    def refresh(self) -> None:
        """Take over what the reduction holds now; nothing is done while it cannot be seen."""
        if self.isVisible() and self.viewer is not None:
            self._follow(self.viewer)

    def _follow(self, viewer: Any) -> None:
        self.show_viewer()
        snapshot = self._desk.reduction.snapshot
        if self.pinned or snapshot is None or self._desk.reduction.progression is not None:
            return
        wanted = (snapshot.session, snapshot.current, snapshot.output)
        if wanted == self._followed:
            return
        is_new_folder = snapshot.output != self._folder and bool(snapshot.output) and Path(snapshot.output).is_dir()
        self._followed = wanted
        if is_new_folder:
            self._folder = snapshot.output
            viewer.open_folder(snapshot.output)  # the session follows when the folder is listed
        else:
            viewer.open_session(Path(snapshot.session))

    def _take_folder(self, folder: Path | None) -> None:
        snapshot = self._desk.reduction.snapshot
        if snapshot is not None and folder is not None and str(folder) == self._folder:
            self.viewer.open_session(Path(snapshot.session))

    def close_viewer(self) -> None:
        """Listen to the reduction no more, and end the threads of the viewer."""
        self._desk.reduction.changed.disconnect(self._later)
        super().close_viewer()

    def _make_viewer(self) -> Any:
        viewer = super()._make_viewer()
        viewer.state_opened.connect(self.state_asked)
        viewer.browser.folder_changed.connect(self._take_folder)
        return viewer
