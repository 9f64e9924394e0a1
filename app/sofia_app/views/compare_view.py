"""Two states side by side: parameters, headers and images."""

from __future__ import annotations

from typing import Any

from sofia_app.desk import Desk
from sofia_app.models.comparison import compare_headers, subtract_products
from sofia_app.models.history import describe_difference
from sofia_app.models.parameters import format_value
from sofia_app.models.products import OpenedState, open_state
from sofia_app.views.copying import TableCopier
from sofia_app.views.item_models import Column, RowTable
from sofia_app.views.viewer_page import ImageArea
from sofia_engine.errors import SofiaDeskError
from sofia_engine.product import Product
from sofia_viewers.qt import Qt, QtWidgets

__all__ = ["CompareView"]

_MODES = {
    "side": "Side by side",
    "blink": "Blink",
    "swipe": "Swipe",
    "difference": "Difference",
    "ratio": "Ratio",
}


class CompareView(QtWidgets.QWidget):
    """Compares two states of a reduction.

    Parameters
    ----------
    desk : Desk
        Holds the reduction.
    left, right : str
        Keys of the states.
    """

    def __init__(self, desk: Desk, left: str, right: str) -> None:
        super().__init__()
        self._desk = desk
        self._keys = (left, right)
        self._opened: tuple[OpenedState, OpenedState] | None = None
        self._difference: Product | None = None
        self.image = ImageArea()
        self.message = QtWidgets.QLabel()
        self.message.setWordWrap(True)
        self.message.setProperty("role", "muted")
        self.parameters = RowTable(_parameter_columns(), self)
        self.headers = RowTable(_header_columns(), self)
        self._lay_out()
        self.refresh()

    def _lay_out(self) -> None:
        tables = QtWidgets.QTabWidget()
        for model, name in ((self.parameters, "Parameters that differ"), (self.headers, "Keywords that differ")):
            table = QtWidgets.QTableView()
            table.setModel(model)
            TableCopier(table, self._desk.tasks)
            table.verticalHeader().hide()
            table.horizontalHeader().setSectionResizeMode(QtWidgets.QHeaderView.ResizeMode.Stretch)
            tables.addTab(table, name)
        splitter = QtWidgets.QSplitter(Qt.Orientation.Vertical)
        splitter.addWidget(self.image)
        splitter.addWidget(tables)
        splitter.setStretchFactor(0, 4)
        splitter.setStretchFactor(1, 1)
        splitter.setSizes([500, 150])
        self.mode = QtWidgets.QComboBox()
        for value, text in _MODES.items():
            self.mode.addItem(text, value)
        self.mode.setAccessibleName("How to compare")
        self.product = QtWidgets.QComboBox()
        self.product.setAccessibleName("Product")
        self.product.setSizeAdjustPolicy(QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        for box in (self.mode, self.product):
            box.activated.connect(lambda _index: self._show_pair())
        row = QtWidgets.QHBoxLayout()
        row.addWidget(self.mode)
        row.addWidget(self.product, 1)
        row.addWidget(self.message, 2)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addLayout(row)
        layout.addWidget(splitter, 1)

    def refresh(self) -> None:
        """Open both states in a thread and show what differs."""
        reduction = self._desk.reduction
        snapshot = reduction.snapshot
        if snapshot is None:
            return
        paths = [reduction.path_to(key) for key in self._keys]
        self.parameters.set_rows(describe_difference(*paths))
        labels = [path[-1].label if path else "" for path in paths]
        self.message.setText(f"A: {labels[0]}.  B: {labels[1]}.")

        def load() -> tuple[OpenedState, OpenedState, Product | None, str]:
            opened = [
                open_state(snapshot.session, snapshot.recipe, key, snapshot.inputs, label)
                for key, label in zip(self._keys, labels, strict=True)
            ]
            difference, problem = _subtract(*opened)
            return opened[0], opened[1], difference, problem

        self._desk.tasks.submit(f"compare {id(self)}", load, self._show, self.message.setText)

    def _show(self, loaded: tuple[OpenedState, OpenedState, Product | None, str]) -> None:
        left, right, self._difference, problem = loaded
        self._opened = (left, right)
        self.message.setText(f"{self.message.text()}  {problem}".rstrip())
        self.product.clear()
        self.product.addItems([product.name for product in left.products[: len(right.products)]])
        self._show_pair()

    def _show_pair(self) -> None:
        place = self.product.currentIndex()
        if self._opened is None or place < 0:
            return
        left, right = (opened.products[place] for opened in self._opened)
        self.headers.set_rows(compare_headers(left.header, right.header))
        self.image.compare(left, right, self.mode.currentData(), (f"A: {left.name}", f"B: {right.name}"))

    def close_viewer(self) -> None:
        """End the threads of the viewer."""
        self.image.close_viewer()

    @property
    def difference(self) -> Product | None:
        """A minus B; None while it is not known or where it makes no sense."""
        return self._difference


def _subtract(left: OpenedState, right: OpenedState) -> tuple[Product | None, str]:
    if not left.products or not right.products:
        return None, "One of them has no products."
    try:
        return subtract_products(left.products[0], right.products[0]), ""
    except SofiaDeskError as error:
        return None, str(error)


def _parameter_columns() -> list[Column]:
    def value(place: int) -> Any:
        return lambda row: "not done" if row[place] is None and not row[1] else format_value(row[place])

    return [
        Column("Step", lambda r: r[0]),
        Column("Parameter", lambda r: r[1]),
        Column("A", value(2)),
        Column("B", value(3)),
    ]


def _header_columns() -> list[Column]:
    def shown(name: str) -> Any:
        return lambda row: getattr(row, name) or "–"

    return [Column(title, shown(name)) for title, name in (("Keyword", "keyword"), ("A", "left"), ("B", "right"))]
