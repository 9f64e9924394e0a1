"""Two runs side by side: what changed in the numbers of their products."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from sofia_viewers.export import make_table, write_table
from sofia_viewers.qt import QtCore, QtWidgets, Signal
from sofia_viewers.quality.item_table import ItemColumn, ItemTable, make_table_view
from sofia_viewers.quality.metrics import COLUMNS, Metrics
from sofia_viewers.quality.trends import Comparison, compare_runs, summarize_comparison
from sofia_viewers.theme import current_theme

__all__ = ["CompareRunsView"]

_LARGE = 5.0
"""Per cent from which a difference is coloured."""


class CompareRunsView(QtWidgets.QWidget):
    """Pairs of products of two runs."""

    second_asked = Signal()
    pair_opened = Signal(object)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.first: list[Metrics] = []
        self.second: list[Metrics] = []
        self.pairs: list[Comparison] = []
        self.names = ("", "")
        self.choose_button = QtWidgets.QPushButton("Compare with folder …")
        self.number = QtWidgets.QComboBox()
        self.only_changed = QtWidgets.QCheckBox("Only what differs")
        self.summary = QtWidgets.QLabel("Choose the folder of a second run of the same data.")
        self.model = ItemTable(self, _columns())
        self.table = make_table_view(self.model, "Differences of two runs")
        self._lay_out()

    def set_runs(self, first: Sequence[Metrics], second: Sequence[Metrics], names: tuple[str, str]) -> None:
        """Compare the products of two runs."""
        self.first, self.second, self.names = list(first), list(second), names
        self.pairs = compare_runs(first, second)
        keys = list(dict.fromkeys(pair.key for pair in self.pairs))
        chosen = self.number.currentData()
        self.number.blockSignals(True)
        self.number.clear()
        self.number.addItem("All numbers", "")
        for key in keys:
            self.number.addItem(_label(key), key)
        self.number.setCurrentIndex(max(self.number.findData(chosen), 0))
        self.number.blockSignals(False)
        self._refresh()

    def export(self, path: Path) -> Path:
        """Write the pairs to a CSV, ECSV or VOTable file.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        rows = [
            {"file": p.file, "number": p.key, "first": p.first, "second": p.second, "difference": p.difference}
            | {"percent": p.percent if math.isfinite(p.percent) else None}
            for p in self.pairs
        ]
        return write_table(make_table(rows, {"first": self.names[0], "second": self.names[1]}), path)

    def _lay_out(self) -> None:
        self.choose_button.clicked.connect(self.second_asked)
        self.number.setAccessibleName("Number")
        self.number.setSizeAdjustPolicy(QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.number.activated.connect(self._refresh)
        self.only_changed.toggled.connect(self._refresh)
        self.table.activated.connect(self._open_pair)
        self.table.setColumnWidth(0, 320)
        self.table.setColumnWidth(1, 130)
        self.summary.setWordWrap(True)
        line = QtWidgets.QHBoxLayout()
        line.addWidget(self.choose_button)
        line.addWidget(self.number)
        line.addWidget(self.only_changed)
        line.addStretch(1)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addLayout(line)
        layout.addWidget(self.summary)
        layout.addWidget(self.table, 1)

    @QtCore.Slot()
    def _refresh(self) -> None:
        key, changed = self.number.currentData(), self.only_changed.isChecked()
        rows = [p for p in self.pairs if (not key or p.key == key) and not (changed and p.difference == 0)]
        self.model.set_rows(rows)
        self.summary.setText(self._summarize(rows))

    def _summarize(self, rows: Sequence[Comparison]) -> str:
        if not self.pairs:
            return f"{self.names[1]} has no products that belong to those of {self.names[0]}."
        parts = [
            f"{_label(key)}: {median:+.3g} % (most {largest:+.3g} %)"
            for key, (_count, median, largest) in summarize_comparison(rows).items()
            if largest
        ]
        paired = len({pair.first_row for pair in self.pairs})
        text = f"{self.names[0]} → {self.names[1]}: {paired} of {len(self.first)} products paired. Median differences: "
        return text + ("; ".join(parts) if parts else "none.")

    def _open_pair(self, index: QtCore.QModelIndex) -> None:
        pair: Comparison = self.model.row_at(index.row())
        self.pair_opened.emit((self.first[pair.first_row], self.second[pair.second_row]))


def _columns() -> list[ItemColumn]:
    def percent(pair: Comparison) -> str:
        return f"{pair.percent:+.3g}" if math.isfinite(pair.percent) else ""

    def color(pair: Comparison) -> str:
        return current_theme().warning if abs(pair.percent) > _LARGE else ""

    return [
        ItemColumn("Product", lambda pair: pair.file),
        ItemColumn("Number", lambda pair: _label(pair.key)),
        ItemColumn("First", lambda pair: f"{pair.first:.6g}", value=lambda pair: pair.first),
        ItemColumn("Second", lambda pair: f"{pair.second:.6g}", value=lambda pair: pair.second),
        ItemColumn("Difference", lambda pair: f"{pair.difference:.3g}", value=lambda pair: pair.difference),
        ItemColumn("%", percent, value=lambda pair: abs(pair.percent), color=color),
    ]


def _label(key: str) -> str:
    return COLUMNS[key].label if key in COLUMNS else key.replace("_", " ").capitalize()
