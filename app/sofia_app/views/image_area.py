"""The image tab: the image viewer, imported when there is something to show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from sofia_engine.product import Product
from sofia_viewers.qt import Qt, QtWidgets

if TYPE_CHECKING:
    from sofia_viewers.image.viewer import ImageViewer

__all__ = ["ImageArea"]

_IMAGE_AXES = 2


class ImageArea(QtWidgets.QStackedWidget):
    """Shows the images of products; where they have none, a list of their planes."""

    def __init__(self) -> None:
        super().__init__()
        self.message = QtWidgets.QLabel("Nothing to show yet: open raw files, then do the first step.")
        self.message.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.message.setProperty("role", "muted")
        self.planes = QtWidgets.QTreeWidget()
        self.planes.setHeaderLabels(["Product", "Shape", "Unit"])
        self.viewer: ImageViewer | None = None
        for widget in (self.message, self.planes):
            self.addWidget(widget)

    def prepare(self) -> None:
        """Make the viewer before it is needed, so that the first image does not keep the window waiting."""
        self._require_viewer()

    def show_products(self, products: Sequence[Product], title: str = "") -> None:
        """Show the images of products, or the list of their planes."""
        images = [product for product in products if _has_image(product)]
        if images:
            viewer = self._require_viewer()
            names = [f"{title}: {product.name}" if title.startswith("PREVIEW") else product.name for product in images]
            viewer.show_products(images, names)
            self.setCurrentWidget(viewer)
        elif products:
            self._list_planes(products)
        else:
            self.setCurrentWidget(self.message)

    def compare(
        self,
        left: Product,
        right: Product,
        mode: Literal["blink", "swipe", "difference", "ratio", "side"],
        names: tuple[str, str],
    ) -> None:
        """Show two products together."""
        viewer = self._require_viewer()
        viewer.compare_products(left, right, mode, names)
        self.setCurrentWidget(viewer)

    def close_viewer(self) -> None:
        """End the threads of the viewer."""
        if self.viewer is not None:
            self.viewer.shut_down()

    def _require_viewer(self) -> ImageViewer:
        if self.viewer is None:
            from sofia_viewers.image.viewer import ImageViewer

            self.viewer = ImageViewer(self)
            for action in QtWidgets.QWidget.actions(self.viewer):
                action.setShortcut("")  # the keys are those of the window here
            self.addWidget(self.viewer)
        return self.viewer

    def _list_planes(self, products: Sequence[Product]) -> None:
        self.planes.clear()
        for product in products:
            item = QtWidgets.QTreeWidgetItem([product.name, "", ""])
            self.planes.addTopLevelItem(item)
            for name, plane in product.planes.items():
                item.addChild(QtWidgets.QTreeWidgetItem([name, " × ".join(map(str, plane.shape)), plane.unit]))
        self.planes.expandAll()
        self.planes.resizeColumnToContents(0)
        self.setCurrentWidget(self.planes)


def _has_image(product: Product) -> bool:
    return any(len(plane.shape) >= _IMAGE_AXES and plane.data.size for plane in product.planes.values())
