"""The centre of the window: views as tabs, side by side if wanted, and each in a window of its own."""

from __future__ import annotations

from collections.abc import Iterator

from sofia_app.views.buttons import make_button
from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets, Signal
from sofia_viewers.theme import icon

__all__ = ["FloatingView", "ViewTabs"]

_FLOATING_SIZE = (900, 700)


class FloatingView(QtWidgets.QWidget):
    """A view in a window of its own; closing the window puts the view back.

    Parameters
    ----------
    view : QWidget
        The view.
    title : str
        On the window.
    """

    closed = Signal(object)

    def __init__(self, view: QtWidgets.QWidget, title: str, parent: QtWidgets.QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Window)
        self.view = view
        self.setWindowTitle(title)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(2, 2, 2, 2)
        layout.addWidget(view)
        self.resize(*_FLOATING_SIZE)
        view.show()

    def closeEvent(self, event: QtGui.QCloseEvent) -> None:  # noqa: N802
        """Give the view back."""
        self.closed.emit(self.view)
        super().closeEvent(event)


class ViewTabs(QtWidgets.QSplitter):
    """Two groups of tabs beside each other; the second is hidden while it is empty."""

    changed = Signal()
    """Another view is in front, or a view was moved."""
    close_asked = Signal(object)

    def __init__(self, menu: list[QtGui.QAction] | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self._titles: dict[QtWidgets.QWidget, str] = {}
        self._closable: set[QtWidgets.QWidget] = set()
        self._floating: dict[QtWidgets.QWidget, FloatingView] = {}
        self.groups = (self._make_group(menu or []), self._make_group(menu or []))
        self._active = self.groups[0]
        self.groups[1].hide()
        self.setChildrenCollapsible(False)

    def _make_group(self, menu: list[QtGui.QAction]) -> QtWidgets.QTabWidget:
        group = QtWidgets.QTabWidget()
        group.setDocumentMode(True)
        group.setMovable(True)
        group.setUsesScrollButtons(True)
        group.currentChanged.connect(lambda _place, group=group: self._take_change(group))
        group.tabBarClicked.connect(lambda place, group=group: self._activate(group, place))
        bar = group.tabBar()
        bar.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        bar.addActions(menu)
        bar.setAccessibleName("Views")
        self.addWidget(group)
        return group

    # --- what there is ---

    def views(self) -> Iterator[QtWidgets.QWidget]:
        """Go through all views, in the order they were added."""
        yield from self._titles

    def title_of(self, view: QtWidgets.QWidget) -> str:
        """Return the title of a view."""
        return self._titles[view]

    def place_of(self, view: QtWidgets.QWidget) -> str:
        """Return where a view is: ``left``, ``right``, or ``window``."""
        return "window" if view in self._floating else "right" if self.groups[1].indexOf(view) >= 0 else "left"

    def currentWidget(self) -> QtWidgets.QWidget | None:  # noqa: N802 - the name it has in Qt's own tabs
        """Return the view in front of the group that was used last."""
        return self._active.currentWidget() or self.groups[0].currentWidget()

    def in_front(self) -> list[QtWidgets.QWidget]:
        """Return the views that can be seen: in front of each group, and in windows of their own."""
        fronts = [group.currentWidget() for group in self.groups]
        return [view for view in fronts if view is not None] + list(self._floating)

    def indexOf(self, view: QtWidgets.QWidget) -> int:  # noqa: N802 - the name it has in Qt's own tabs
        """Return the place of a view among all, -1 if it is not here."""
        return next((place for place, known in enumerate(self._titles) if known is view), -1)

    # --- changing it ---

    def add(self, view: QtWidgets.QWidget, title: str, *, closable: bool = False) -> None:
        """Add a view to the group used last, or to the first."""
        self._titles[view] = title
        if closable:
            self._closable.add(view)
        self._insert(view, self._active if self._active.isVisible() else self.groups[0])

    def remove(self, view: QtWidgets.QWidget) -> None:
        """Take a view away; the view itself is left to the caller."""
        self._take_out(view)
        self._titles.pop(view, None)
        self._closable.discard(view)

    def bring_up(self, view: QtWidgets.QWidget) -> None:
        """Bring a view to the front."""
        window = self._floating.get(view)
        if window is not None:
            window.raise_()
            window.activateWindow()
            return
        group = self._group_of(view)
        if group is not None:
            self._active = group
            group.setTabVisible(group.indexOf(view), True)
            group.setCurrentWidget(view)

    def set_wanted(self, view: QtWidgets.QWidget, wanted: bool) -> None:
        """Show or hide the tab of a view; one that is in front, or not among the tabs, is left alone."""
        group = self._group_of(view)
        if group is not None and (wanted or group.currentWidget() is not view):
            group.setTabVisible(group.indexOf(view), wanted)

    def move(self, view: QtWidgets.QWidget, place: str) -> None:  # type: ignore[override]
        """Put a view to the ``left``, to the ``right``, or in a ``window`` of its own."""
        if place == self.place_of(view) or view not in self._titles:
            return
        if place != "right" and self._is_last(view):
            return  # the first group keeps one view
        self._take_out(view)
        if place == "window":
            window = FloatingView(view, f"{self._titles[view]} – SOFIA Desk", self)
            window.closed.connect(lambda view: self.move(view, "left"))
            self._floating[view] = window
            window.show()
        else:
            self._insert(view, self.groups[place == "right"])
            self.bring_up(view)
        self.changed.emit()

    def mark(self, view: QtWidgets.QWidget, symbol: str) -> None:
        """Show an icon on the tab of a view; none for an empty name."""
        group = self._group_of(view)
        if group is not None:
            group.setTabIcon(group.indexOf(view), icon(symbol) if symbol else QtGui.QIcon())

    # --- inside ---

    def _is_last(self, view: QtWidgets.QWidget) -> bool:
        return self.groups[0].count() == 1 and self.groups[0].indexOf(view) >= 0

    def _group_of(self, view: QtWidgets.QWidget) -> QtWidgets.QTabWidget | None:
        return next((group for group in self.groups if group.indexOf(view) >= 0), None)

    def _insert(self, view: QtWidgets.QWidget, group: QtWidgets.QTabWidget) -> None:
        order = list(self._titles)
        place = sum(group.indexOf(other) >= 0 for other in order[: order.index(view)])
        place = group.insertTab(place, view, self._titles[view])
        if view in self._closable:
            close = make_button("Close the view", lambda: self.close_asked.emit(view), "remove")
            group.tabBar().setTabButton(place, QtWidgets.QTabBar.ButtonPosition.RightSide, close)
        if group is self.groups[1] and group.isHidden():
            group.show()
            QtCore.QTimer.singleShot(0, self, lambda: self.setSizes([self.width() // 2, self.width() // 2]))

    def _take_out(self, view: QtWidgets.QWidget) -> None:
        window = self._floating.pop(view, None)
        if window is not None:
            view.setParent(None)
            window.closed.disconnect()
            window.close()
            window.deleteLater()
            return
        group = self._group_of(view)
        if group is None:
            return
        group.removeTab(group.indexOf(view))
        view.setParent(None)
        if not self.groups[1].count():
            self.groups[1].hide()
            self._active = self.groups[0]

    def _take_change(self, group: QtWidgets.QTabWidget) -> None:
        if group.count():
            self.changed.emit()

    def _activate(self, group: QtWidgets.QTabWidget, place: int) -> None:
        self._active = group
        if place >= 0:
            self.changed.emit()
