"""The centre of the window: image, header and tables, comparison, provenance, help."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sofia_app.desk import Desk
from sofia_app.models.exports import ExportRecord
from sofia_app.models.products import Card, list_cards, search_cards
from sofia_app.views.buttons import make_button
from sofia_app.views.copying import TableCopier
from sofia_app.views.item_models import Column, RowTable
from sofia_app.views.postponed import Postponed
from sofia_engine.product import Product
from sofia_viewers.qt import Qt, QtGui, QtWidgets
from sofia_viewers.tasks import Tasks

__all__ = ["HeaderView", "ProvenanceView", "TableView", "describe_provenance"]


class HeaderView(QtWidgets.QWidget):
    """The header of one of the products shown, with search.

    Parameters
    ----------
    tasks : Tasks, optional
        Saves tables in a thread.
    """

    def __init__(self, tasks: Tasks | None = None) -> None:
        super().__init__()
        self._tasks = tasks
        self._products: tuple[Product, ...] = ()
        self._cards: tuple[Card, ...] = ()
        self.product = QtWidgets.QComboBox()
        self.extension = QtWidgets.QComboBox()
        self.search = QtWidgets.QLineEdit(placeholderText="Search keywords, values and comments")
        self.count = QtWidgets.QLabel()
        self.model = RowTable(_card_columns(), self)
        self.table = QtWidgets.QTableView()
        self._set_up()

    def _set_up(self) -> None:
        self.search.setClearButtonEnabled(True)
        for box, name in ((self.product, "Product"), (self.extension, "Extension")):
            box.setAccessibleName(name)
            box.setSizeAdjustPolicy(QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            box.setMinimumContentsLength(12)
        self.table.setModel(self.model)
        self.copier = TableCopier(self.table, self._tasks)
        self.table.setAccessibleName("Header")
        self.table.setWordWrap(False)
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setDefaultSectionSize(self.table.fontMetrics().height() + 4)
        self.table.horizontalHeader().setStretchLastSection(True)
        self.table.setColumnWidth(0, 100)
        self.table.setColumnWidth(1, 260)
        row = QtWidgets.QHBoxLayout()
        row.addWidget(self.product, 2)
        row.addWidget(self.extension, 1)
        row.addWidget(self.search, 2)
        row.addWidget(self.count)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addLayout(row)
        layout.addWidget(self.table)
        self.product.currentIndexChanged.connect(self._show_product)
        self.extension.currentIndexChanged.connect(self._show_extension)
        self.search.textChanged.connect(lambda _text: self._show_cards())

    def show_products(self, products: Sequence[Product]) -> None:
        """Show other products; the same place in the list stays chosen."""
        place = max(self.product.currentIndex(), 0)
        self._products = tuple(products)
        self.product.blockSignals(True)
        self.product.clear()
        self.product.addItems([product.name for product in self._products])
        self.product.setCurrentIndex(min(place, len(self._products) - 1))
        self.product.blockSignals(False)
        self._show_product(self.product.currentIndex())

    def _show_product(self, place: int) -> None:
        chosen = self.extension.currentText()
        names = ["primary", *self._products[place].extensions] if 0 <= place < len(self._products) else []
        self.extension.blockSignals(True)
        self.extension.clear()
        self.extension.addItems(names)
        self.extension.setCurrentIndex(names.index(chosen) if chosen in names else 0)
        self.extension.blockSignals(False)
        self._show_extension(self.extension.currentIndex())

    def _show_extension(self, place: int) -> None:
        number = self.product.currentIndex()
        if not 0 <= number < len(self._products):
            self._cards = ()
        elif place <= 0:
            self._cards = list_cards(self._products[number].header)
        else:
            extension = self._products[number].extensions[self.extension.currentText()]
            self._cards = list_cards(extension.cards)
        self._show_cards()

    def _show_cards(self) -> None:
        found = search_cards(self._cards, self.search.text())
        self.model.set_rows(found)
        self.count.setText(f"{len(found)} of {len(self._cards)}" if self.search.text() else f"{len(self._cards)} cards")


def _card_columns() -> list[Column]:
    return [
        Column("Keyword", lambda card: card.keyword),
        Column("Value", lambda card: card.value),
        Column("Comment", lambda card: card.comment),
    ]


class TableView(QtWidgets.QWidget):
    """The tables of the products shown, with search.

    Parameters
    ----------
    tasks : Tasks, optional
        Saves tables in a thread.
    """

    def __init__(self, tasks: Tasks | None = None) -> None:
        super().__init__()
        self._tables: list[Any] = []
        self.choice = QtWidgets.QComboBox()
        self.search = QtWidgets.QLineEdit(placeholderText="Show rows with this text")
        self.model = RowTable([], self)
        self.table = QtWidgets.QTableView()
        self.empty = QtWidgets.QLabel("The products shown have no tables.")
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.empty.setProperty("role", "muted")
        self.table.setModel(self.model)
        self.copier = TableCopier(self.table, tasks)
        self.table.setAccessibleName("Table")
        row = QtWidgets.QHBoxLayout()
        row.addWidget(self.choice, 2)
        row.addWidget(self.search, 2)
        self.stack = QtWidgets.QStackedWidget()
        self.stack.addWidget(self.empty)
        self.stack.addWidget(self.table)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addLayout(row)
        layout.addWidget(self.stack)
        self.choice.currentIndexChanged.connect(lambda _place: self._refresh())
        self.search.textChanged.connect(lambda _text: self._refresh())

    def show_products(self, products: Sequence[Product]) -> None:
        """Show the tables of other products."""
        named = [(f"{product.name}: {name}", table) for product in products for name, table in product.tables.items()]
        self._tables = [table for _, table in named]
        self.choice.blockSignals(True)
        self.choice.clear()
        self.choice.addItems([name for name, _ in named])
        self.choice.blockSignals(False)
        self._refresh()

    def _refresh(self) -> None:
        place = self.choice.currentIndex()
        if not 0 <= place < len(self._tables):
            self.model.set_rows((), [])
            self.stack.setCurrentWidget(self.empty)
            return
        data = self._tables[place].data
        words = self.search.text().lower()
        rows = [row for row in range(len(data)) if not words or words in " ".join(map(str, data[row])).lower()]
        columns = [_table_column(data, name) for name in data.columns.names]
        self.model.set_rows(rows, columns)
        self.stack.setCurrentWidget(self.table)


def _table_column(data: Any, name: str) -> Column:
    return Column(name, lambda row: str(data[name][row]))


class ProvenanceView(QtWidgets.QWidget):
    """How the current state came to be."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self.tree = QtWidgets.QTreeWidget()
        self.tree.setHeaderLabels(["What", "Value"])
        self.tree.setColumnWidth(0, 280)
        self.tree.setAccessibleName("Provenance")
        copy = make_button("Copy as JSON", self.copy)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(self.tree)
        layout.addWidget(copy, 0, Qt.AlignmentFlag.AlignRight)
        self._shown: dict[str, Any] = {}
        self._exports: tuple[str, ...] = ()
        desk.reduction.changed.connect(Postponed(self, self.refresh))

    def showEvent(self, event: QtGui.QShowEvent) -> None:  # noqa: N802
        """Make sure that what comes into view is up to date."""
        super().showEvent(event)
        self.refresh()

    def refresh(self) -> None:
        """Take over what the reduction holds now; nothing is done while it cannot be seen."""
        if not self.isVisible():
            return
        content = self._describe()
        if content == self._shown:
            return
        self._shown = content
        self.tree.clear()
        _fill(self.tree.invisibleRootItem(), content)
        self.tree.expandToDepth(1)

    def show_exports(self, records: Sequence[ExportRecord]) -> None:
        """Show the files that were written from the views of the session."""
        self._exports = tuple(record.text for record in records)
        self.refresh()

    def _describe(self) -> dict[str, Any]:
        content = describe_provenance(self._desk)
        return content | {"exported files": list(self._exports)} if content and self._exports else content

    def copy(self) -> None:
        """Copy it as JSON."""
        text = json.dumps(self._describe(), indent=1, default=str)
        QtGui.QGuiApplication.clipboard().setText(text)


def describe_provenance(desk: Desk) -> dict[str, Any]:
    """Return inputs, steps with parameters and reference files, and products of the current state."""
    reduction = desk.reduction
    if reduction.snapshot is None:
        return {}
    steps = {
        f"{state.index + 1}. {state.label}": {
            "parameters": dict(state.parameters),
            "reference files": {role: f"{name}  (SHA-256 {digest})" for role, name, digest in state.references},
            "products": list(state.products),
        }
        for state in reduction.path
        if state.step
    }
    return {
        "recipe": reduction.snapshot.recipe,
        "session": reduction.snapshot.session,
        "inputs": list(reduction.snapshot.inputs),
        "steps": steps,
    }


def _fill(parent: QtWidgets.QTreeWidgetItem, content: Any) -> None:
    pairs = content.items() if isinstance(content, dict) else enumerate(content, 1)
    for key, value in pairs:
        nested = isinstance(value, dict | list)
        item = QtWidgets.QTreeWidgetItem([str(key), "" if nested else str(value)])
        parent.addChild(item)
        if nested:
            _fill(item, value)
