"""The image tab: the image viewer, imported when it is first needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sofia_engine.product import Product
from sofia_viewers.qt import Qt, QtWidgets

__all__ = ["ImageArea"]


class ImageArea(QtWidgets.QStackedWidget):
    """Shows the images of products; a list of their planes where there is no image viewer."""

    def __init__(self) -> None:
        super().__init__()
        self.message = QtWidgets.QLabel("Nothing to show yet.")
        self.message.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.message.setProperty("role", "muted")
        self.planes = QtWidgets.QTreeWidget()
        self.planes.setHeaderLabels(["Product", "Shape", "Unit"])
        self.viewer: Any = None
        for widget in (self.message, self.planes):
            self.addWidget(widget)

    def show_products(self, products: Sequence[Product], title: str = "") -> None:
        """Show the images of products."""
        if not products:
            self.setCurrentWidget(self.message)
            return
        self.planes.clear()
        for product in products:
            item = QtWidgets.QTreeWidgetItem([product.name, title, ""])
            self.planes.addTopLevelItem(item)
            for name, plane in product.planes.items():
                item.addChild(QtWidgets.QTreeWidgetItem([name, " × ".join(map(str, plane.shape)), plane.unit]))
        self.planes.expandAll()
        self.planes.resizeColumnToContents(0)
        self.setCurrentWidget(self.planes)

    def close_viewer(self) -> None:
        """End the threads of the viewer."""
        if self.viewer is not None:
            self.viewer.close()
