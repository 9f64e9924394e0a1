"""Two states, or files, side by side: parameters, headers, images and spectra."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sofia_app.desk import Desk
from sofia_app.models.comparison import compare_headers, subtract_products
from sofia_app.models.history import describe_difference
from sofia_app.models.parameters import format_value
from sofia_app.models.products import OpenedState, open_state
from sofia_app.models.viewer_kinds import choose_viewer, find_viewer
from sofia_app.views.copying import TableCopier
from sofia_app.views.item_models import Column, RowTable
from sofia_app.views.viewer_page import ImageArea, ViewerPage
from sofia_app.worker.protocol import StateRecord
from sofia_engine.errors import SofiaDeskError
from sofia_engine.product import Product
from sofia_viewers.qt import Qt, QtWidgets

__all__ = ["CompareView", "Compared"]

_MODES = {
    "side": "Side by side",
    "blink": "Blink",
    "swipe": "Swipe",
    "difference": "Difference",
    "ratio": "Ratio",
    "overlay": "Spectra overlaid",
}
_OVERLAY = "overlay"


@dataclass(frozen=True)
class Compared:
    """One of the two that are compared: a state of the reduction, or a file.

    Parameters
    ----------
    label : str
        What it is called.
    open : callable
        Opens its products; runs in a thread.
    path : sequence of StateRecord
        From the inputs to the state; empty for a file.
    """

    label: str
    open: Callable[[], OpenedState]
    path: Sequence[StateRecord] = ()

    @classmethod
    def of_state(cls, desk: Desk, key: str) -> Compared:
        """Return a state of the reduction that is open."""
        snapshot = desk.reduction.snapshot
        assert snapshot is not None
        path = desk.reduction.path_to(key)
        label = path[-1].label if path else ""
        return cls(label, lambda: open_state(snapshot.session, snapshot.recipe, key, snapshot.inputs, label), path)

    @classmethod
    def of_file(cls, file: Path) -> Compared:
        """Return a file."""
        return cls(file.name, lambda: OpenedState(str(file), file.name, (Product.read(file),)))


class CompareView(QtWidgets.QWidget):
    """Compares two states of a reduction, or two files.

    Parameters
    ----------
    desk : Desk
        Runs what takes time.
    left, right : Compared
        The two.
    """

    def __init__(self, desk: Desk, left: Compared, right: Compared) -> None:
        super().__init__()
        self._desk = desk
        self._pair = (left, right)
        self._opened: tuple[OpenedState, OpenedState] | None = None
        self._difference: Product | None = None
        self.image = ImageArea(desk.tasks)
        self.spectra = ViewerPage(find_viewer("spectrum"), desk.tasks)
        self.stack = QtWidgets.QStackedWidget()
        self.stack.addWidget(self.image)
        self.stack.addWidget(self.spectra)
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
        splitter.addWidget(self.stack)
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
        """Open both in a thread and show what differs."""
        left, right = self._pair
        self.parameters.set_rows(describe_difference(left.path, right.path))
        self.message.setText(f"A: {left.label}.  B: {right.label}.")

        def load() -> tuple[OpenedState, OpenedState, Product | None, str]:
            opened = left.open(), right.open()
            return *opened, *_subtract(*opened)

        self._desk.tasks.submit(f"compare {id(self)}", load, self._show, self.message.setText)

    def _show(self, loaded: tuple[OpenedState, OpenedState, Product | None, str]) -> None:
        left, right, self._difference, problem = loaded
        self._opened = (left, right)
        self.message.setText(f"{self.message.text()}  {problem}".rstrip())
        self.product.clear()
        self.product.addItems([product.name for product in left.products[: len(right.products)]])
        if left.products and choose_viewer(left.products[:1]) == self.spectra.kind:
            self.mode.setCurrentIndex(self.mode.findData(_OVERLAY))
        self._show_pair()

    def _show_pair(self) -> None:
        place = self.product.currentIndex()
        if self._opened is None or place < 0:
            return
        left, right = (opened.products[place] for opened in self._opened)
        self.headers.set_rows(compare_headers(left.header, right.header))
        shown = [p.name if item.path else item.label for p, item in zip((left, right), self._pair, strict=True)]
        names = (f"A: {shown[0]}", f"B: {shown[1]}")
        mode = self.mode.currentData()
        if mode == _OVERLAY:
            self.stack.setCurrentWidget(self.spectra)
            self.spectra.show_products((left, right), names=names)
        else:
            self.stack.setCurrentWidget(self.image)
            self.image.compare(left, right, mode, names)

    @property
    def is_ready(self) -> bool:
        """Whether all that was asked for is drawn."""
        return self.image.is_ready and self.spectra.is_ready

    def close_viewer(self) -> None:
        """End the threads of the viewers."""
        self._desk.tasks.drop(f"compare {id(self)}")
        self.image.close_viewer()
        self.spectra.close_viewer()

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
