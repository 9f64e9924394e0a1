"""The panes side by side."""

from __future__ import annotations

from collections.abc import Mapping

from sofia_viewers.qt import Qt, QtWidgets
from sofia_viewers.spectrum.pane_rows import Rows
from sofia_viewers.spectrum.pane_view import PaneView

__all__ = ["PaneGrid"]


class PaneGrid(QtWidgets.QWidget):
    """Lays out the panes; the edges between them can be dragged."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._arranged: Rows = ()
        self.splitter = self._make_splitter(Qt.Orientation.Vertical)
        self._layout = QtWidgets.QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.addWidget(self.splitter)

    def arrange(self, panes: Mapping[str, PaneView], rows: Rows) -> None:
        """Show panes, and no others, in rows of their names; where nothing changes, they keep their sizes."""
        if rows == self._arranged:
            return
        self._arranged = rows
        old = self.splitter
        single_row = len(rows) == 1
        self.splitter = self._make_splitter(Qt.Orientation.Horizontal if single_row else Qt.Orientation.Vertical)
        for row in rows:
            holder = self.splitter
            if not single_row and len(row) > 1:
                holder = self._make_splitter(Qt.Orientation.Horizontal)
                self.splitter.addWidget(holder)
            for name in row:
                holder.addWidget(panes[name])
                panes[name].show()
            _share_evenly(holder, len(row))
        _share_evenly(self.splitter, len(rows) if not single_row else len(rows[0]))
        self._layout.replaceWidget(old, self.splitter)
        old.deleteLater()

    def _make_splitter(self, orientation: Qt.Orientation) -> QtWidgets.QSplitter:
        splitter = QtWidgets.QSplitter(orientation, self)
        splitter.setChildrenCollapsible(False)
        splitter.setHandleWidth(4)
        return splitter


def _share_evenly(splitter: QtWidgets.QSplitter, count: int) -> None:
    splitter.setSizes([10000] * count)
