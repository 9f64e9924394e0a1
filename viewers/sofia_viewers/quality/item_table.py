"""A table of rows for Qt's views that sorts by value, not by text."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets

__all__ = ["ItemColumn", "ItemTable", "make_table_view", "select_rows", "selected_rows"]

_ROLE = Qt.ItemDataRole
_NOWHERE = QtCore.QModelIndex()


@dataclass(frozen=True)
class ItemColumn:
    """A column: title, tip, and functions of the row for text, sort value, colour, tip and weight."""

    title: str
    text: Callable[[Any], str]
    value: Callable[[Any], Any] | None = None
    tip: Callable[[Any], str] | None = None
    color: Callable[[Any], str] | None = None
    is_bold: Callable[[Any], bool] | None = None
    help: str = ""


class ItemTable(QtCore.QAbstractTableModel):
    """Rows and columns; sorting is done here, so that the view needs no proxy.

    Parameters
    ----------
    parent : QObject
        Owner.
    columns : sequence of ItemColumn
        What is shown of each row.
    """

    def __init__(self, parent: QtCore.QObject, columns: Sequence[ItemColumn] = ()) -> None:
        super().__init__(parent)
        self.columns = tuple(columns)
        self.rows: list[Any] = []
        self.order: list[int] = []
        """Number of the row in each line."""
        self._sorted_by: tuple[int, bool] | None = None

    def set_rows(self, rows: Sequence[Any], columns: Sequence[ItemColumn] | None = None) -> None:
        """Show other rows; the order of sorting stays."""
        self.beginResetModel()
        if columns is not None:
            self.columns = tuple(columns)
        self.rows = list(rows)
        self.order = self._find_order()
        self.endResetModel()

    def row_at(self, line: int) -> Any:
        """Return the row shown in a line."""
        return self.rows[self.order[line]]

    def line_of(self, row: int) -> int:
        """Return the line that shows a row."""
        return self.order.index(row)

    def rowCount(self, parent: Any = _NOWHERE) -> int:  # noqa: N802
        """Return the number of rows."""
        return 0 if parent.isValid() else len(self.order)

    def columnCount(self, parent: Any = _NOWHERE) -> int:  # noqa: N802
        """Return the number of columns."""
        return 0 if parent.isValid() else len(self.columns)

    def headerData(self, section: int, orientation: Any, role: int = _ROLE.DisplayRole) -> Any:  # noqa: N802
        """Return title and tip of a column."""
        if orientation != Qt.Orientation.Horizontal or not 0 <= section < len(self.columns):
            return None
        if role == _ROLE.DisplayRole:
            return self.columns[section].title
        return (self.columns[section].help or None) if role == _ROLE.ToolTipRole else None

    def data(self, index: Any, role: int = _ROLE.DisplayRole) -> Any:
        """Return what a cell shows."""
        if not index.isValid():
            return None
        return _cell(self.columns[index.column()], self.row_at(index.row()), role)

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column; -1 restores the order the rows came in."""
        self._sorted_by = (column, order == Qt.SortOrder.DescendingOrder) if column >= 0 else None
        self.layoutAboutToBeChanged.emit()
        before = self.persistentIndexList()
        rows = [self.order[index.row()] for index in before]
        self.order = self._find_order()
        lines = {row: line for line, row in enumerate(self.order)}
        after = [self.index(lines[row], index.column()) for row, index in zip(rows, before, strict=True)]
        self.changePersistentIndexList(before, after)
        self.layoutChanged.emit()

    def _find_order(self) -> list[int]:
        order = list(range(len(self.rows)))
        if self._sorted_by is None or self._sorted_by[0] >= len(self.columns):
            return order
        column, descending = self.columns[self._sorted_by[0]], self._sorted_by[1]
        keys = [_sort_key(column, row) for row in self.rows]
        known = sorted((n for n in order if keys[n] is not None), key=lambda n: keys[n], reverse=descending)
        return known + [n for n in order if keys[n] is None]


def make_table_view(model: ItemTable, name: str) -> QtWidgets.QTableView:
    """Return a view of a table: whole rows are selected, titles sort, Ctrl+C copies."""
    view = _CopyingView()
    view.setModel(model)
    view.setAccessibleName(name)
    view.setWordWrap(False)
    view.setAlternatingRowColors(True)
    view.setSelectionBehavior(QtWidgets.QAbstractItemView.SelectionBehavior.SelectRows)
    view.setSelectionMode(QtWidgets.QAbstractItemView.SelectionMode.ExtendedSelection)
    view.setHorizontalScrollMode(QtWidgets.QAbstractItemView.ScrollMode.ScrollPerPixel)
    view.verticalHeader().hide()
    view.verticalHeader().setDefaultSectionSize(view.fontMetrics().height() + 6)
    view.horizontalHeader().setResizeContentsPrecision(20)  # lines that widths are found from; all would take long
    view.horizontalHeader().setSortIndicatorClearable(True)
    view.horizontalHeader().setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
    view.setSortingEnabled(True)
    return view


def selected_rows(view: QtWidgets.QTableView) -> list[int]:
    """Return the numbers of the selected rows of an `ItemTable`, in the order of the lines."""
    model = view.model()
    if not isinstance(model, ItemTable):
        return []
    return [model.order[index.row()] for index in sorted(view.selectionModel().selectedRows())]


def select_rows(view: QtWidgets.QTableView, rows: Sequence[int]) -> None:
    """Select rows of an `ItemTable` and scroll to the first."""
    model = view.model()
    if not isinstance(model, ItemTable):
        return
    selection = QtCore.QItemSelection()
    lines = [model.line_of(row) for row in rows if row in model.order]
    for line in lines:
        selection.select(model.index(line, 0), model.index(line, max(model.columnCount() - 1, 0)))
    view.selectionModel().select(selection, QtCore.QItemSelectionModel.SelectionFlag.ClearAndSelect)
    if lines:
        view.scrollTo(model.index(lines[0], max(view.columnAt(1), 0)))


class _CopyingView(QtWidgets.QTableView):
    def keyPressEvent(self, event: QtGui.QKeyEvent) -> None:  # noqa: N802
        """Copy the selected lines, with titles."""
        if not event.matches(QtGui.QKeySequence.StandardKey.Copy):
            super().keyPressEvent(event)
            return
        model = self.model()
        shown = [n for n in range(model.columnCount()) if not self.isColumnHidden(n)]
        lines = ["\t".join(str(model.headerData(n, Qt.Orientation.Horizontal)) for n in shown)]
        lines += [
            "\t".join(str(model.index(index.row(), n).data() or "") for n in shown)
            for index in sorted(self.selectionModel().selectedRows())
        ]
        QtGui.QGuiApplication.clipboard().setText("\n".join(lines) + "\n")


def _cell(column: ItemColumn, row: Any, role: int) -> Any:
    if role == _ROLE.DisplayRole:
        return column.text(row)
    if role == _ROLE.ToolTipRole:
        return (column.tip or column.text)(row) or None
    if role == _ROLE.ForegroundRole and column.color is not None and (color := column.color(row)):
        return QtGui.QColor(color)
    if role == _ROLE.FontRole and column.is_bold is not None and column.is_bold(row):
        font = QtGui.QFont()
        font.setBold(True)
        return font
    if role == _ROLE.TextAlignmentRole and column.value is not None:
        return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
    return None


def _sort_key(column: ItemColumn, row: Any) -> Any:
    """Return what a row is sorted by; None for last."""
    if column.value is None:
        return column.text(row).lower() or None
    value = column.value(row)
    return None if value is None or (isinstance(value, float) and math.isnan(value)) else value
