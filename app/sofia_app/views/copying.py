"""Copying and saving what tables show: the rows selected, or all, as text that spreadsheets and scripts read."""

from __future__ import annotations

from pathlib import Path

from sofia_app.models.table_text import format_table, write_rows
from sofia_viewers.export import tell_written
from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets
from sofia_viewers.tasks import Tasks

__all__ = ["TableCopier"]

_KINDS = "Tables (*.ecsv *.csv);;All files (*)"
_ROLE = Qt.ItemDataRole


class TableCopier(QtCore.QObject):
    """Gives a table Ctrl+C and a context menu: copy rows, copy all, save as ECSV or CSV.

    Parameters
    ----------
    view : QTableView
        The table; its model's texts are copied.
    tasks : Tasks, optional
        Writes files in a thread; without it, they are written at once.
    """

    def __init__(self, view: QtWidgets.QTableView, tasks: Tasks | None = None) -> None:
        super().__init__(view)
        self._view = view
        self._tasks = tasks
        view.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        for text, key, slot in (
            ("Copy the rows selected", "Ctrl+C", self.copy),
            ("Copy the whole table", "", self.copy_all),
            ("Save the table as ECSV or CSV…", "", self.choose_file),
        ):
            action = QtGui.QAction(text, view)
            if key:
                action.setShortcut(key)
                action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
            action.triggered.connect(slot)
            view.addAction(action)

    def read(self, rows: list[int] | None = None) -> tuple[list[str], list[list[str]]]:
        """Return the titles and the texts of some rows, or of all."""
        model = self._view.model()
        places = range(model.columnCount())
        titles = [self._title(place) for place in places]
        wanted = range(model.rowCount()) if rows is None else rows
        return titles, [[str(model.index(row, place).data() or "") for place in places] for row in wanted]

    def _title(self, place: int) -> str:
        model = self._view.model()
        horizontal = Qt.Orientation.Horizontal
        return str(
            model.headerData(place, horizontal, _ROLE.DisplayRole)
            or model.headerData(place, horizontal, _ROLE.ToolTipRole)
            or ""
        )

    def copy(self, _checked: bool = False) -> None:
        """Copy the rows that are selected, or all."""
        rows = sorted({index.row() for index in self._view.selectionModel().selectedIndexes()})
        QtGui.QGuiApplication.clipboard().setText(format_table(*self.read(rows or None)))

    def copy_all(self, _checked: bool = False) -> None:
        """Copy all rows."""
        QtGui.QGuiApplication.clipboard().setText(format_table(*self.read()))

    def choose_file(self, _checked: bool = False) -> None:
        """Save the table to a file that the user names."""
        name, _ = QtWidgets.QFileDialog.getSaveFileName(self._view, "Save the table", "table.ecsv", _KINDS)
        if name:
            self.save(Path(name))

    def save(self, path: Path) -> None:
        """Write all rows to a file."""
        titles, rows = self.read()
        if self._tasks is None:
            tell_written(write_rows(path, titles, rows))
        else:
            self._tasks.submit(f"table {id(self)}", lambda: write_rows(path, titles, rows), tell_written)
