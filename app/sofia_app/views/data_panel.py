"""The list of files: folders, groups, header columns, filter, drag and drop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sofia_app.desk import Desk
from sofia_app.models.files import FileGroup, FileRecord, FilterError
from sofia_app.views.item_models import FileTree
from sofia_app.views.name_delegate import NameDelegate
from sofia_app.views.postponed import Postponed
from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets, Signal

__all__ = ["DataPanel", "dropped_paths"]

_MOST_EXPANDED = 12
"""Groups shown open; of more, only the headings are shown at first."""
_NAME_WIDTH = 250


class DataPanel(QtWidgets.QWidget):
    """Shows the files at hand.

    Parameters
    ----------
    desk : Desk
        Holds the list.
    actions : dict of str to QAction
        For buttons and the context menu.
    """

    dropped = Signal(list)
    activated = Signal(list)
    """Paths that were double-clicked, to be looked at."""

    def __init__(self, desk: Desk, actions: dict[str, QtGui.QAction]) -> None:
        super().__init__()
        self._desk = desk
        self.model = FileTree(desk.files, self)
        self.tree = QtWidgets.QTreeView()
        self.filter = QtWidgets.QLineEdit(placeholderText="Filter: words, or KEYWORD=value, KEYWORD>number")
        self.message = QtWidgets.QLabel()
        self.empty = QtWidgets.QLabel("Drop FITS files or folders here,\nor open some with Ctrl+O.")
        self._set_up_tree(actions)
        self._lay_out(actions)
        self.setAcceptDrops(True)
        self.filter.textChanged.connect(self._filter)
        desk.files.changed.connect(Postponed(self, self.refresh))
        self.refresh()

    def _set_up_tree(self, actions: dict[str, QtGui.QAction]) -> None:
        tree = self.tree
        tree.setModel(self.model)
        tree.setUniformRowHeights(True)
        tree.setItemDelegateForColumn(0, NameDelegate(tree))
        tree.setSelectionMode(QtWidgets.QAbstractItemView.SelectionMode.ExtendedSelection)
        tree.setAccessibleName("Files")
        tree.setSortingEnabled(True)
        tree.header().setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        tree.header().sortIndicatorChanged.connect(self._sort)
        tree.header().setStretchLastSection(False)
        tree.selectionModel().selectionChanged.connect(self._tell_selection)
        tree.doubleClicked.connect(self._activate)
        tree.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        tree.addActions([actions[name] for name in ("start_reduction", "compare_files", "remove_files")])

    def _lay_out(self, actions: dict[str, QtGui.QAction]) -> None:
        bar = QtWidgets.QToolBar()
        bar.setIconSize(QtCore.QSize(18, 18))
        for name in ("open_files", "open_folder", "add_files", "remove_files", "start_reduction"):
            bar.addAction(actions[name])
        self.filter.setClearButtonEnabled(True)
        self.message.setProperty("role", "error")
        self.message.setWordWrap(True)
        self.message.hide()
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.empty.setProperty("role", "muted")
        self.stack = QtWidgets.QStackedWidget()
        self.stack.addWidget(self.empty)
        self.stack.addWidget(self.tree)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(4, 2, 4, 4)
        for widget in (bar, self.filter, self.message, self.stack):
            layout.addWidget(widget)

    # --- what is shown ---

    def refresh(self) -> None:
        """Take over what the list holds now."""
        selected = set(self.selected_paths())
        closed = {group.key for row, group in enumerate(self.model.groups) if not self._is_open(row)}
        known = {group.key for group in self.model.groups}
        columns = self.model.columns
        self.model.refresh()
        if self.model.columns != columns:
            self._size_columns()
        self._open_groups(closed, known)
        self._select(selected)
        self.stack.setCurrentWidget(self.tree if len(self._desk.files) else self.empty)
        self._tell_selection()

    def _is_open(self, row: int) -> bool:
        return self.tree.isExpanded(self.model.index(row, 0))

    def _open_groups(self, closed: set[tuple[str, ...]], known: set[tuple[str, ...]]) -> None:
        few = len(self.model.groups) <= _MOST_EXPANDED
        for row, group in enumerate(self.model.groups):
            self.tree.setFirstColumnSpanned(row, QtCore.QModelIndex(), True)
            if group.key not in closed and (few or group.key in known):
                self.tree.setExpanded(self.model.index(row, 0), True)

    def _size_columns(self) -> None:
        metrics = self.tree.fontMetrics()
        self.tree.setColumnWidth(0, _NAME_WIDTH)
        for number, name in enumerate(self.model.columns[1:], 1):
            self.tree.setColumnWidth(number, max(metrics.horizontalAdvance(name) + 28, 90))

    def _select(self, paths: set[Path]) -> None:
        if not paths:
            return
        selection = QtCore.QItemSelection()
        for row, group in enumerate(self.model.groups):
            parent = self.model.index(row, 0)
            for place, record in enumerate(group.records):
                if record.path in paths:
                    selection.select(self.model.index(place, 0, parent), self.model.index(place, 0, parent))
        flags = QtCore.QItemSelectionModel.SelectionFlag
        self.tree.selectionModel().select(selection, flags.ClearAndSelect | flags.Rows)

    def show_file(self, path: Path) -> None:
        """Select a file and scroll to it; a filter that hides it is taken away."""
        if all(record.path != path for record in self._desk.files.visible):
            self.filter.clear()
        self.refresh()
        self._select({path})
        chosen = self.tree.selectionModel().selectedRows()
        if chosen:
            self.tree.setExpanded(chosen[0].parent(), True)
            self.tree.scrollTo(chosen[0])

    # --- what the user does ---

    def selected_paths(self) -> tuple[Path, ...]:
        """Return the files selected; a group stands for all its files."""
        found: dict[Path, None] = {}
        for index in self.tree.selectionModel().selectedRows():
            item = self.model.item(index)
            if isinstance(item, FileGroup):
                found.update(dict.fromkeys(record.path for record in item.records))
            elif isinstance(item, FileRecord):
                found[item.path] = None
        return tuple(found)

    def _tell_selection(self, *_changes: Any) -> None:
        self._desk.select("files", self.selected_paths())

    def _filter(self, text: str) -> None:
        try:
            self._desk.files.set_filter(text)
        except FilterError as error:
            self.message.setText(str(error))
            self.message.show()
        else:
            self.message.hide()

    def _sort(self, section: int, order: Any) -> None:
        column = self.model.columns[section] if 0 <= section < len(self.model.columns) else ""
        self._desk.files.sort(column, descending=order == Qt.SortOrder.DescendingOrder)

    def _activate(self, index: Any) -> None:
        item = self.model.item(index)
        if isinstance(item, FileRecord):
            self.activated.emit([item.path])

    def dragEnterEvent(self, event: QtGui.QDragEnterEvent) -> None:  # noqa: N802
        """Accept files and folders."""
        if dropped_paths(event.mimeData()):
            event.acceptProposedAction()

    def dropEvent(self, event: QtGui.QDropEvent) -> None:  # noqa: N802
        """Take over files and folders."""
        event.acceptProposedAction()
        self.dropped.emit(dropped_paths(event.mimeData()))


def dropped_paths(data: QtCore.QMimeData) -> list[Path]:
    """Return the files and folders that are dragged."""
    return [Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile()]
