"""Tables at the bottom: quality numbers along the recipe, and the reference files of the steps."""

from __future__ import annotations

from typing import Any

from sofia_app.desk import Desk
from sofia_app.models.quality import QualityRow, collect_columns, collect_quality, format_quality
from sofia_app.views.buttons import make_button
from sofia_app.views.copying import TableCopier
from sofia_app.views.item_models import Column, RowTable
from sofia_app.views.postponed import Postponed
from sofia_app.worker.protocol import ReferenceRow
from sofia_viewers.qt import Qt, QtGui, QtWidgets, Signal
from sofia_viewers.theme import current_theme

__all__ = ["QualityPanel", "ReferencesPanel"]


class QualityPanel(QtWidgets.QWidget):
    """The numbers of each product of each step on the way to the current state."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self.rows: tuple[QualityRow, ...] = ()
        self.model = RowTable([], self)
        self.table = _make_table(self.model, "Quality")
        self.copier = TableCopier(self.table, desk.tasks)
        self.empty = _make_note("Steps have not given any numbers yet.")
        copy = make_button("Copy as CSV", self.copy)
        self.stack = QtWidgets.QStackedWidget()
        self.stack.addWidget(self.empty)
        self.stack.addWidget(self.table)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(self.stack)
        layout.addWidget(copy, 0, Qt.AlignmentFlag.AlignRight)
        self.table.doubleClicked.connect(lambda index: desk.show_state(self.rows[index.row()].state_key))
        desk.reduction.changed.connect(Postponed(self, self.refresh))

    def refresh(self) -> None:
        """Take over what the reduction holds now."""
        rows = collect_quality(self._desk.reduction.path)
        if rows == self.rows:
            return
        self.rows = rows
        self.model.set_rows(rows, _quality_columns(collect_columns(rows)))
        self.table.resizeColumnsToContents()
        self.stack.setCurrentWidget(self.table if rows else self.empty)

    def copy(self) -> None:
        """Copy the table."""
        QtGui.QGuiApplication.clipboard().setText(format_quality(self.rows))


def _quality_columns(names: tuple[str, ...]) -> list[Column]:
    def text(name: str) -> Any:
        return lambda row: f"{row.numbers[name]:.5g}" if name in row.numbers else ""

    numbers = [Column(name, text(name), is_number=True) for name in names]
    return [Column("Step", lambda row: row.step), Column("Product", lambda row: row.product), *numbers]


class ReferencesPanel(QtWidgets.QWidget):
    """Reference files: which, why, where; and a button that fetches what is missing."""

    fetch_asked = Signal()

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self.model = RowTable(_reference_columns(desk), self)
        self.table = _make_table(self.model, "Reference files")
        self.copier = TableCopier(self.table, desk.tasks)
        for section, width in enumerate((150, 150, 90, 300, 80)):
            self.table.setColumnWidth(section, width)
        self.summary = QtWidgets.QLabel("Open files to see which reference files they need.")
        self.summary.setWordWrap(True)
        self.fetch = QtWidgets.QPushButton("Fetch missing files")
        self.fetch.setEnabled(False)
        self.fetch.clicked.connect(self.fetch_asked)
        row = QtWidgets.QHBoxLayout()
        row.addWidget(self.summary, 1)
        row.addWidget(self.fetch)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addLayout(row)
        layout.addWidget(self.table)
        desk.references_listed.connect(self.show_rows)

    @property
    def missing(self) -> list[ReferenceRow]:
        """The files that have to be fetched."""
        return [row for row in self.model.rows if row.state in ("missing", "damaged")]

    def show_rows(self, rows: tuple[ReferenceRow, ...]) -> None:
        """Show other files."""
        self.model.set_rows(rows)
        missing = {row.name: row.size for row in self.missing}
        size = sum(missing.values()) / 1e6
        self.fetch.setEnabled(bool(missing))
        if missing:
            what = "1 reference file is" if len(missing) == 1 else f"{len(missing)} reference files are"
            told = f" ({size:.1f} MB)" if size >= 0.05 else ""  # of some only their names are known
            self.summary.setText(f"{what} missing{told}. Fetching needs the network.")
        elif rows:
            self.summary.setText("All reference files are at hand.")
        else:
            self.summary.setText("The steps need no reference files.")
        self.summary.setProperty("role", "error" if missing else "")
        self.summary.style().polish(self.summary)


def _reference_columns(desk: Desk) -> list[Column]:
    def step(row: ReferenceRow) -> str:
        steps = desk.reduction.steps
        return steps[row.step].label if row.step < len(steps) else str(row.step + 1)

    def color(row: ReferenceRow) -> str:
        return current_theme().error if row.state in ("missing", "damaged") else ""

    return [
        Column("Step", step),
        Column("Needed as", lambda row: row.role.replace("_", " ")),
        Column("State", lambda row: row.state, color=color),
        Column(
            "File",
            lambda row: row.name or "none is published for this observation",
            tip=lambda row: row.path or row.name,
        ),
        Column("Size", lambda row: f"{row.size / 1e6:.2f} MB" if row.size else "", is_number=True),
        Column("Chosen by", lambda row: row.chosen_by),
    ]


def _make_table(model: Any, name: str) -> QtWidgets.QTableView:
    table = QtWidgets.QTableView()
    table.setModel(model)
    table.setAccessibleName(name)
    table.setWordWrap(False)
    table.verticalHeader().hide()
    table.verticalHeader().setDefaultSectionSize(table.fontMetrics().height() + 6)
    table.setSelectionBehavior(QtWidgets.QAbstractItemView.SelectionBehavior.SelectRows)
    table.horizontalHeader().setStretchLastSection(True)
    return table


def _make_note(text: str) -> QtWidgets.QLabel:
    label = QtWidgets.QLabel(text)
    label.setAlignment(Qt.AlignmentFlag.AlignCenter)
    label.setProperty("role", "muted")
    return label
