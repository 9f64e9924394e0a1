"""The panes side by side."""

from __future__ import annotations

import math

from sofia_viewers.qt import QtWidgets
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
    """Lays out the panes."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._layout = QtWidgets.QGridLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(4)

    def arrange(self, panes: list[PaneView], layout: str) -> None:
        """Show panes, and no others, in a layout: ``grid``, ``rows`` or ``columns``."""
        while self._layout.count():
            self._layout.takeAt(0)
        for number in range(max(self._layout.rowCount(), self._layout.columnCount())):
            self._layout.setRowStretch(number, 0)
            self._layout.setColumnStretch(number, 0)
        for number, pane in enumerate(panes):
            row, column = find_place(number, len(panes), layout)
            self._layout.addWidget(pane, row, column)
            self._layout.setRowStretch(row, 1)
            self._layout.setColumnStretch(column, 1)
            pane.show()
