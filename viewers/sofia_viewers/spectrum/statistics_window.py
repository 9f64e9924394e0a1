"""Statistics of a range of many spectra, as a table that can be saved."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sofia_engine.errors import SofiaDeskError
from sofia_viewers.export import make_table, write_table
from sofia_viewers.qt import Qt, QtWidgets, Signal
from sofia_viewers.spectrum.curves import Curve
from sofia_viewers.spectrum.operations import Statistics
from sofia_viewers.spectrum.sections import make_button
from sofia_viewers.unit_names import show_unit

__all__ = ["StatisticsWindow", "list_statistics"]

_COLUMNS = (
    ("n", "count"), ("Mean", "mean"), ("Median", "median"), ("σ", "std"), ("Min", "minimum"), ("Max", "maximum"),
    ("Sum", "total"), ("Integral", "integral"), ("± ", "integral_error"), ("Centroid", "centroid"),
    ("S/N", "signal_to_noise"),
)  # fmt: skip


def list_statistics(found: Sequence[tuple[Curve, Statistics]]) -> list[dict[str, Any]]:
    """Return the rows of a table of statistics."""
    return [
        {"file": curve.name, "order": curve.order, "aperture": curve.aperture}
        | {name: getattr(statistics, name) for _, name in _COLUMNS}
        for curve, statistics in found
    ]


class StatisticsWindow(QtWidgets.QWidget):
    """One row per spectrum that has data in the range.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.
    """

    failed = Signal(str)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Window)
        self.setWindowTitle("Statistics")
        self.resize(1000, 320)
        self._rows: list[dict[str, Any]] = []
        self._meta: dict[str, Any] = {}
        self.range = QtWidgets.QLabel()
        self.table = QtWidgets.QTableWidget(0, 3 + len(_COLUMNS))
        self.table.setHorizontalHeaderLabels(["File", "Order", "Aperture", *(title for title, _ in _COLUMNS)])
        self.table.setEditTriggers(QtWidgets.QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.table.setAccessibleName("Statistics of the range")
        self.save_button = make_button("Save Table", "Save all rows: ECSV or CSV")
        self.close_button = make_button("Close", "Close this window")
        buttons = QtWidgets.QHBoxLayout()
        buttons.addWidget(self.range, 1)
        buttons.addWidget(self.save_button)
        buttons.addWidget(self.close_button)
        layout = QtWidgets.QVBoxLayout(self)
        layout.addWidget(self.table)
        layout.addLayout(buttons)
        self.save_button.clicked.connect(self.ask_and_save)
        self.close_button.clicked.connect(self.close)

    def show_statistics(
        self, found: Sequence[tuple[Curve, Statistics]], limits: tuple[float, float], units: tuple[str, str]
    ) -> None:
        """Show the statistics of curves between two values of x.

        Parameters
        ----------
        found : sequence of (Curve, Statistics)
            Curves with data in the range.
        limits : (float, float)
            The range.
        units : (str, str)
            Of x and y.
        """
        self._rows = list_statistics(found)
        low, high = sorted(limits)
        self._meta = {"range": [low, high], "x_unit": units[0], "y_unit": units[1]}
        self.range.setText(f"{low:.6g} to {high:.6g} {show_unit(units[0])}; values in {show_unit(units[1]) or '–'}")
        self.table.setRowCount(len(self._rows))
        for place, row in enumerate(self._rows):
            for column, value in enumerate(row.values()):
                item = QtWidgets.QTableWidgetItem(_format(value))
                item.setToolTip(item.text())
                self.table.setItem(place, column, item)
        self.table.resizeColumnsToContents()
        self.table.setColumnWidth(0, min(self.table.columnWidth(0), 320))

    def ask_and_save(self) -> None:
        """Let the user choose a file for the table."""
        name, _ = QtWidgets.QFileDialog.getSaveFileName(
            self, "Save statistics", "statistics.ecsv", "ECSV (*.ecsv);;CSV (*.csv)"
        )
        if name:
            try:
                self.save(name)
            except SofiaDeskError as problem:
                self.failed.emit(str(problem))

    def save(self, path: str | Path) -> Path:
        """Write the table as ECSV or CSV.

        Raises
        ------
        InputError
            If the file cannot be written.
        """
        return write_table(make_table(self._rows, self._meta), path)


def _format(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.6g}" if math.isfinite(value) else ""
