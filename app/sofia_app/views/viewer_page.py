"""The tabs of viewers: each is imported when there is something for it to show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from sofia_app.actions import ACTIONS
from sofia_app.models.products import OpenedState
from sofia_app.models.viewer_kinds import ViewerKind, find_viewer
from sofia_engine.product import Product
from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets, Signal, make_types
from sofia_viewers.tasks import Tasks

__all__ = ["ImageArea", "ViewerPage"]

_LEAST_SIZE = (240, 160)
_ENOUGH = (660, 460)
"""A viewer scrolls only where it has less room than that."""
_EMPTY = "Nothing to show yet: open raw files, then do the first step."


class _Frame(QtWidgets.QScrollArea):
    """Gives a viewer the room there is, and scrolls where that is too little.

    Qt's own way asks for the room of the largest of all tabs of a viewer, which are not in view together.
    """

    def __init__(self, viewer: QtWidgets.QWidget) -> None:
        super().__init__()
        self.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        self._viewer = viewer
        viewer.setMinimumSize(1, 1)
        self.setWidget(viewer)

    def resizeEvent(self, event: QtGui.QResizeEvent) -> None:  # noqa: N802
        """Let the viewer have the same size, but not less than enough."""
        super().resizeEvent(event)
        self._viewer.resize(self.maximumViewportSize().expandedTo(QtCore.QSize(*_ENOUGH)))


class ViewerPage(QtWidgets.QStackedWidget):
    """A viewer in the program: it shows the products that suit it, or says that there are none.

    Parameters
    ----------
    kind : ViewerKind
        What it is.
    tasks : Tasks, optional
        Imports the viewer in a thread; without it, that is done when it is needed.

    Attributes
    ----------
    pinned : bool
        While True, the page keeps what it shows; see `set_pinned`.
    is_kept : bool
        Whether the page is kept with the session.
    shown : OpenedState
        What it shows.
    """

    failed = Signal(str)
    pin_changed = Signal()
    viewer_made = Signal(object)

    def __init__(self, kind: ViewerKind, tasks: Tasks | None = None) -> None:
        super().__init__()
        self.kind = kind
        self.viewer: Any = None
        self._framed: QtWidgets.QWidget | None = None
        self.pinned = False
        self.is_kept = True
        self.shown = OpenedState("", "", ())
        self._tasks = tasks
        self._regions: Sequence[Path] = ()
        self._waiting: list[Callable[[Any], None]] = []
        self._to_load: list[Callable[[], object]] = []
        self._turn = QtCore.QTimer(self, singleShot=True, interval=0)
        self._turn.timeout.connect(self._load_on)
        self._saved: Mapping[str, Any] = {}
        self._saved_regions: str | None = None
        self.message = QtWidgets.QLabel(_EMPTY)
        self.message.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.message.setProperty("role", "muted")
        self.message.setWordWrap(True)
        self.addWidget(self.message)

    # --- what others use ---

    def minimumSizeHint(self) -> QtCore.QSize:  # noqa: N802
        """Ask for little: a viewer that wants more room must not widen the whole window."""
        return QtCore.QSize(*_LEAST_SIZE)

    def prepare(self) -> None:
        """Make the viewer before it is needed, so that the first product does not keep the window waiting."""
        self._with_viewer(lambda _viewer: None)

    def show_state(self, opened: OpenedState) -> None:
        """Show the products of a state, unless the page is pinned."""
        if self.pinned:
            return
        self.shown = opened
        self._regions = opened.regions
        shown = opened.shown_in(self.kind.suits)
        self.show_products(shown.products, shown.label, shown.names)

    def show_products(self, products: Sequence[Product], title: str = "", names: Sequence[str] = ()) -> None:
        """Show those products that suit the viewer, by their own names or by others."""
        is_trial = title.startswith("PREVIEW")
        given = names or [f"{title}: {product.name}" if is_trial else product.name for product in products]
        pairs = [(product, name) for product, name in zip(products, given, strict=True) if self.kind.suits(product)]
        if not pairs:
            self._waiting.clear()
            self.show_nothing(products)
            return
        suiting, shown = [product for product, _ in pairs], [name for _, name in pairs]
        self._with_viewer(lambda viewer: self._hand_over(viewer, suiting, shown))

    def show_nothing(self, products: Sequence[Product]) -> None:
        """Say why nothing is shown."""
        kinds = {"image": "images", "spectrum": "spectra", "cube": "cubes", "slit": "slit spectra"}
        what = kinds.get(self.kind.name, "such data")
        self.message.setText(f"The products shown hold no {what}." if products else _EMPTY)
        self.setCurrentWidget(self.message)

    def set_pinned(self, pinned: bool) -> None:
        """Keep what is shown, or follow the reduction again."""
        if pinned == self.pinned:
            return
        self.pinned = pinned
        if self.viewer is not None and hasattr(self.viewer, "pin_action"):
            self.viewer.pin_action.setChecked(pinned)
            self.viewer.pinned = pinned
        self.pin_changed.emit()

    @property
    def is_ready(self) -> bool:
        """Whether all that was asked for is drawn."""
        return not self._waiting and (self.viewer is None or bool(self.viewer.is_ready()))

    def view_state(self) -> dict[str, Any]:
        """Return how things are shown (zoom, limits, panes), as plain values; empty if there is no viewer yet."""
        if self.viewer is None or not hasattr(self.viewer, "view_state"):
            return dict(self._saved)
        return dict(self.viewer.view_state())

    def restore_view(self, state: Mapping[str, Any], regions: str | None = None) -> None:
        """Show the next products as `view_state` says, with the regions of a DS9 file in place of those there are."""
        self._saved, self._saved_regions = dict(state), regions

    @property
    def is_loading(self) -> bool:
        """Whether the viewer is still to be imported."""
        return self._turn.isActive()

    @property
    def is_restoring(self) -> bool:
        """Whether regions are still to be brought back."""
        return self._saved_regions is not None

    def close_viewer(self) -> None:
        """End the threads of the viewer."""
        self._waiting.clear()
        self._turn.stop()
        if self._tasks is not None:
            self._tasks.drop(f"restore {id(self)}")
        if self.viewer is not None:
            (self.viewer.shut_down if hasattr(self.viewer, "shut_down") else self.viewer.close)()

    # --- making it ---

    def _hand_over(self, viewer: Any, products: Sequence[Product], names: Sequence[str]) -> None:
        saved, self._saved = self._saved, {}
        regions, self._saved_regions = self._saved_regions, None
        if saved and hasattr(viewer, "restore_view"):
            viewer.restore_view(saved)
        if regions is not None and hasattr(viewer, "restore_regions"):
            viewer.restore_regions(regions)
        viewer.show_products(products, names)
        if hasattr(viewer, "show_region_files"):
            viewer.show_region_files(self._regions)
        self.show_viewer()

    def _with_viewer(self, work: Callable[[Any], None]) -> None:
        if self.viewer is not None:
            work(self.viewer)
        elif self._tasks is None or self.kind.is_loaded:
            work(self._make_viewer())
        else:
            self._waiting = [work]
            self._to_load = [make_types, _import_plots, self.kind.load]
            self._turn.start()

    def _load_on(self) -> None:
        """Import the next part of what the viewer needs; in this thread, as Qt's types are no matter for others."""
        try:
            self._to_load.pop(0)()
        except Exception as problem:  # noqa: BLE001 - told in the window
            self._to_load.clear()
            self.failed.emit(f"The viewer cannot be opened: {type(problem).__name__}: {problem}")
            return
        if self._to_load:
            self._turn.start()
        else:
            self._take_class()

    def _take_class(self) -> None:
        viewer = self.viewer or self._make_viewer()
        waiting, self._waiting = self._waiting, []
        for work in waiting:
            work(viewer)

    def _make_viewer(self) -> Any:
        viewer = self.kind.load()()
        self.viewer = viewer
        taken = {QtGui.QKeySequence(action.shortcut) for action in ACTIONS if action.shortcut}
        for action in QtWidgets.QWidget.actions(viewer):
            if action.shortcut() in taken:
                action.setShortcut("")  # these keys are those of the window here
        if hasattr(viewer, "show_side_panel"):
            viewer.show_side_panel(False)
        if hasattr(viewer, "pin_action"):
            viewer.pin_action.toggled.connect(self.set_pinned)
        if hasattr(viewer, "failed"):
            viewer.failed.connect(self.failed)
        self._framed = self._frame(viewer)
        self.addWidget(self._framed)
        self.viewer_made.emit(viewer)
        return viewer

    def _frame(self, viewer: Any) -> QtWidgets.QWidget:
        """Return what is put on the page: the viewer in a frame that scrolls where there is little room."""
        return _Frame(viewer)

    def show_viewer(self) -> None:
        """Bring the viewer to the front of the page, if it is made."""
        if self._framed is not None:
            self.setCurrentWidget(self._framed)


class ImageArea(ViewerPage):
    """Shows the images of products; where they have none, a list of their planes."""

    def __init__(self, tasks: Tasks | None = None) -> None:
        super().__init__(find_viewer("image"), tasks)
        self.planes = QtWidgets.QTreeWidget()
        self.planes.setHeaderLabels(["Product", "Shape", "Unit"])
        self.addWidget(self.planes)

    def compare(
        self,
        left: Product,
        right: Product,
        mode: Literal["blink", "swipe", "difference", "ratio", "side"],
        names: tuple[str, str],
    ) -> None:
        """Show two products together."""

        def work(viewer: Any) -> None:
            viewer.compare_products(left, right, mode, names)
            self.show_viewer()

        self._with_viewer(work)

    def _frame(self, viewer: Any) -> QtWidgets.QWidget:
        """Put the viewer on the page as it is: it bears any size."""
        widget: QtWidgets.QWidget = viewer
        return widget

    def show_nothing(self, products: Sequence[Product]) -> None:
        """List the planes of products without images."""
        if not products:
            super().show_nothing(products)
            return
        self.planes.clear()
        for product in products:
            item = QtWidgets.QTreeWidgetItem([product.name, "", ""])
            self.planes.addTopLevelItem(item)
            for name, plane in product.planes.items():
                item.addChild(QtWidgets.QTreeWidgetItem([name, " × ".join(map(str, plane.shape)), plane.unit]))
        self.planes.expandAll()
        self.planes.resizeColumnToContents(0)
        self.setCurrentWidget(self.planes)


def _import_plots() -> None:
    from sofia_viewers.qt import pg  # noqa: F401
