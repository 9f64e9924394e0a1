"""The table of numbers: columns that can be hidden, rows that can be filtered, outliers marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from sofia_viewers.qt import QtCore, QtGui, QtWidgets, Signal
from sofia_viewers.quality.item_table import ItemColumn, ItemTable, make_table_view, select_rows, selected_rows
from sofia_viewers.quality.metrics import COLUMNS, Metrics, collect_columns
from sofia_viewers.quality.tables import format_csv, write_metrics
from sofia_viewers.theme import current_theme, theme_events

__all__ = ["MetricsTable", "column_title"]


def column_title(key: str, rows: Sequence[Metrics] = ()) -> str:
    """Return the label of a column with its unit; that of the plane if all rows have the same."""
    label = COLUMNS[key].label if key in COLUMNS else key.replace("_", " ").capitalize()
    units = {row.unit_of(key) for row in rows if key in row.values} if rows else set()
    unit = units.pop() if len(units) == 1 and key != "time" else ""
    return f"{label} ({unit})" if unit else label


class MetricsTable(QtWidgets.QWidget):
    """Rows of numbers.

    Attributes
    ----------
    rows : list of Metrics
        All rows; `rows_selected` and `select` count them from 0, whatever is filtered or how it is sorted.
    """

    rows_selected = Signal(object)
    row_opened = Signal(int)
    hidden_changed = Signal(object)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows: list[Metrics] = []
        self.outliers: Mapping[int, Mapping[str, float]] = {}
        self.hidden: tuple[str, ...] = ()
        self._keys: tuple[str, ...] = ()
        self._shown: list[int] = []
        self._quiet = False
        self.filter = QtWidgets.QLineEdit(placeholderText="Show rows with this text")
        self.filter.setClearButtonEnabled(True)
        self.only_outliers = QtWidgets.QCheckBox("Outliers only")
        self.columns_button = QtWidgets.QToolButton()
        self.columns_button.setText("Columns")
        self.columns_button.setPopupMode(QtWidgets.QToolButton.ToolButtonPopupMode.InstantPopup)
        self.columns_menu = QtWidgets.QMenu(self)
        self.columns_button.setMenu(self.columns_menu)
        self.count = QtWidgets.QLabel()
        self.model = ItemTable(self)
        self.view = make_table_view(self.model, "Numbers of products")
        self._lay_out()
        self._connect()

    def set_rows(self, rows: Sequence[Metrics], outliers: Mapping[int, Mapping[str, float]] | None = None) -> None:
        """Show other rows."""
        self.rows, self.outliers = list(rows), outliers or {}
        self._refresh()

    def set_outliers(self, outliers: Mapping[int, Mapping[str, float]]) -> None:
        """Mark other numbers."""
        self.outliers = outliers
        if self.only_outliers.isChecked():
            self._refresh()
        self.view.viewport().update()

    def set_hidden(self, keys: Sequence[str]) -> None:
        """Leave columns out."""
        self.hidden = tuple(keys)
        self._refresh()

    def select(self, rows: Sequence[int]) -> None:
        """Select rows without telling others."""
        self._quiet = True
        places = {row: place for place, row in enumerate(self._shown)}
        select_rows(self.view, [places[row] for row in rows if row in places])
        self._quiet = False

    @property
    def selected(self) -> list[int]:
        """The selected rows."""
        return [self._shown[place] for place in selected_rows(self.view)]

    @property
    def visible_columns(self) -> tuple[str, ...]:
        """Keys of the columns that are shown."""
        return tuple(key for key in self._keys if key not in self.hidden)

    def copy(self) -> None:
        """Copy all rows that are shown."""
        rows = [self.model.row_at(line)[1] for line in range(self.model.rowCount())]
        QtGui.QGuiApplication.clipboard().setText(format_csv(rows, self.visible_columns))

    def export(self, path: Path) -> Path:
        """Write all rows with all columns to a CSV, ECSV or VOTable file.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        return write_metrics(self.rows, path, outliers=self.outliers)

    def _lay_out(self) -> None:
        line = QtWidgets.QHBoxLayout()
        line.addWidget(self.filter, 1)
        line.addWidget(self.only_outliers)
        line.addWidget(self.columns_button)
        line.addWidget(self.count)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addLayout(line)
        layout.addWidget(self.view)

    def _connect(self) -> None:
        self.filter.textChanged.connect(self._refresh)
        self.only_outliers.toggled.connect(self._refresh)
        self.view.selectionModel().selectionChanged.connect(self._report)
        self.view.activated.connect(lambda index: self.row_opened.emit(self._shown[self.model.order[index.row()]]))
        theme_events().changed.connect(self._restyle)

    def _restyle(self) -> None:
        self.view.viewport().update()

    @QtCore.Slot()
    def _refresh(self) -> None:
        selected = self.selected if self._shown else []
        self._keys = collect_columns(self.rows)
        self._shown = [number for number, row in enumerate(self.rows) if self._passes(number, row)]
        self._quiet = True
        rows = [(number, self.rows[number]) for number in self._shown]
        new = [self._make_column(key) for key in self.visible_columns]
        same = [column.title for column in new] == [column.title for column in self.model.columns]
        self.model.set_rows(rows, new)
        if not same:
            self._fit_columns()
        self._quiet = False
        self.select(selected)
        self._fill_menu()
        total = len(self.rows)
        self.count.setText(f"{len(rows)} of {total}" if len(rows) != total else f"{total} products")

    def _fit_columns(self) -> None:
        self.view.resizeColumnsToContents()
        for section in range(self.model.columnCount()):
            self.view.setColumnWidth(section, min(self.view.columnWidth(section), 320))

    def _passes(self, number: int, row: Metrics) -> bool:
        if self.only_outliers.isChecked() and number not in self.outliers:
            return False
        words = self.filter.text().lower().split()
        if not words:
            return True
        text = " ".join(row.text(key) for key in row.values).lower()
        return all(word in text for word in words)

    def _make_column(self, key: str) -> ItemColumn:
        is_text = key in COLUMNS and COLUMNS[key].is_text
        return ItemColumn(
            column_title(key, self.rows),
            lambda pair: pair[1].text(key),
            value=None if is_text else lambda pair: pair[1].number(key),
            tip=partial(self._explain, key),
            color=partial(self._color, key),
            is_bold=lambda pair: key in self.outliers.get(pair[0], {}),
            help=COLUMNS[key].help if key in COLUMNS else "Given by the step",
        )

    def _explain(self, key: str, pair: tuple[int, Metrics]) -> str:
        number, row = pair
        if row.problem:
            return row.problem
        score = self.outliers.get(number, {}).get(key)
        unit = row.unit_of(key)
        value = row.values.get(key)
        text = f"{value!r} {unit}".strip() if isinstance(value, float) and key != "time" else row.text(key)
        return text if score is None else f"{text}\n{score:+.1f} standard deviations from the median of like products"

    def _color(self, key: str, pair: tuple[int, Metrics]) -> str:
        if pair[1].problem:
            return current_theme().error
        return current_theme().warning if key in self.outliers.get(pair[0], {}) else ""

    def _fill_menu(self) -> None:
        if [action.data() for action in self.columns_menu.actions()] == list(self._keys):
            for action in self.columns_menu.actions():
                action.setChecked(action.data() not in self.hidden)
            return
        self.columns_menu.clear()
        for key in self._keys:
            action = self.columns_menu.addAction(column_title(key))
            action.setData(key)
            action.setCheckable(True)
            action.setChecked(key not in self.hidden)
            action.toggled.connect(partial(self._toggle, key))

    def _toggle(self, key: str, shown: bool) -> None:
        hidden = tuple(k for k in self.hidden if k != key) if shown else (*self.hidden, key)
        if set(hidden) != set(self.hidden):
            self.set_hidden(hidden)
            self.hidden_changed.emit(hidden)

    def _report(self) -> None:
        if not self._quiet:
            self.rows_selected.emit(self.selected)
