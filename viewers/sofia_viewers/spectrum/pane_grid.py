"""The panes side by side."""

from __future__ import annotations

import math

from sofia_viewers.qt import Qt, QtWidgets
from sofia_viewers.spectrum.pane_view import PaneView

__all__ = ["PaneGrid", "find_place"]


def find_place(number: int, count: int, layout: str) -> tuple[int, int]:
    """Return row and column of a pane: a grid with as many rows as the root of their count, or one row or column."""
    if layout == "rows":
        return number, 0
    if layout == "columns":
        return 0, number
    columns = math.ceil(count / math.ceil(math.sqrt(count)))
    return divmod(number, columns)


class PaneGrid(QtWidgets.QWidget):
    """Lays out the panes; the edges between them can be dragged."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._arranged: tuple[tuple[str, ...], str] = ((), "")
        self.splitter = self._make_splitter(Qt.Orientation.Vertical)
        self._layout = QtWidgets.QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.addWidget(self.splitter)

    def arrange(self, panes: list[PaneView], layout: str) -> None:
        """Show panes, and no others, in a layout: ``grid``, ``rows`` or ``columns``; the same ones keep their sizes."""
        wanted = (tuple(pane.name for pane in panes), layout)
        if wanted == self._arranged:
            return
        self._arranged = wanted
        rows: dict[int, list[PaneView]] = {}
        for number, pane in enumerate(panes):
            rows.setdefault(find_place(number, len(panes), layout)[0], []).append(pane)
        old = self.splitter
        single_row = len(rows) == 1
        self.splitter = self._make_splitter(Qt.Orientation.Horizontal if single_row else Qt.Orientation.Vertical)
        for row in rows.values():
            holder = self.splitter
            if not single_row and len(row) > 1:
                holder = self._make_splitter(Qt.Orientation.Horizontal)
                self.splitter.addWidget(holder)
            for pane in row:
                holder.addWidget(pane)
                pane.show()
            _share_evenly(holder, len(row))
        _share_evenly(self.splitter, len(rows) if not single_row else len(panes))
        self._layout.replaceWidget(old, self.splitter)
        old.deleteLater()

    def _make_splitter(self, orientation: Qt.Orientation) -> QtWidgets.QSplitter:
        splitter = QtWidgets.QSplitter(orientation, self)
        splitter.setChildrenCollapsible(False)
        splitter.setHandleWidth(4)
        return splitter


def _share_evenly(splitter: QtWidgets.QSplitter, count: int) -> None:
    splitter.setSizes([10000] * count)
