"""Tables and trees for Qt's views: windows onto the Qt-free models, nothing copied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sofia_app.models.files import FileGroup, FileList, FileRecord
from sofia_app.models.history import HistoryNode
from sofia_app.models.log import LogEntry, LogModel
from sofia_viewers.qt import Qt, QtCore, QtGui
from sofia_viewers.theme import current_theme, icon

__all__ = ["EMPTY", "Column", "FileTree", "HistoryTree", "LogTable", "RowTable"]

EMPTY = "empty"
"""Name of an icon that shows nothing but takes the room of one."""
_ICON_SIZE = 48
_NOWHERE = QtCore.QModelIndex()
_ROLE = Qt.ItemDataRole


@dataclass(frozen=True)
class Column:
    """A column of a `RowTable`: its title, and functions of the row for text, icon, tip and colours."""

    title: str
    text: Callable[[Any], str]
    icon: Callable[[Any], str] | None = None
    tip: Callable[[Any], str] | None = None
    color: Callable[[Any], str] | None = None
    is_number: bool = False
    icon_color: Callable[[Any], str] | None = None
    symbol: str = ""
    """Icon that stands for the title where there is little room."""


class RowTable(QtCore.QAbstractTableModel):
    """A table of any rows.

    Parameters
    ----------
    columns : sequence of Column
        What is shown of each row.
    parent : QObject
        Owner.
    """

    def __init__(self, columns: Sequence[Column], parent: QtCore.QObject) -> None:
        super().__init__(parent)
        self.columns = tuple(columns)
        self.rows: Sequence[Any] = ()

    def set_rows(self, rows: Sequence[Any], columns: Sequence[Column] | None = None) -> None:
        """Show other rows; where only their content differs, selection and place stay."""
        same_shape = len(rows) == len(self.rows) and columns is None
        if same_shape:
            changed = [number for number, (old, new) in enumerate(zip(self.rows, rows, strict=True)) if old != new]
            self.rows = rows
            for row in changed:
                self.dataChanged.emit(self.index(row, 0), self.index(row, len(self.columns) - 1))
            return
        self.beginResetModel()
        self.rows = rows
        if columns is not None:
            self.columns = tuple(columns)
        self.endResetModel()

    def rowCount(self, parent: Any = _NOWHERE) -> int:  # noqa: N802
        """Return the number of rows."""
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: Any = _NOWHERE) -> int:  # noqa: N802
        """Return the number of columns."""
        return 0 if parent.isValid() else len(self.columns)

    def headerData(self, section: int, orientation: Any, role: int = _ROLE.DisplayRole) -> Any:  # noqa: N802
        """Return the title of a column."""
        if orientation != Qt.Orientation.Horizontal or section >= len(self.columns):
            return None
        column = self.columns[section]
        if role == _ROLE.DisplayRole:
            return "" if column.symbol else column.title
        if role == _ROLE.DecorationRole and column.symbol:
            return cached_icon(column.symbol)
        return column.title if role in (_ROLE.ToolTipRole, _ROLE.AccessibleTextRole) else None

    def data(self, index: Any, role: int = _ROLE.DisplayRole) -> Any:
        """Return what a cell shows."""
        if not index.isValid() or index.row() >= len(self.rows):
            return None
        return _cell(self.columns[index.column()], self.rows[index.row()], role)


def _cell(column: Column, row: Any, role: int) -> Any:
    if role == _ROLE.DisplayRole:
        return column.text(row)
    if role == _ROLE.ToolTipRole:
        return (column.tip or column.text)(row)
    if role == _ROLE.DecorationRole and column.icon is not None:
        return cached_icon(column.icon(row), column.icon_color(row) if column.icon_color else None)
    if role == _ROLE.ForegroundRole and column.color is not None and (color := column.color(row)):
        return QtGui.QColor(color)
    if role == _ROLE.TextAlignmentRole and column.is_number:
        return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
    return None


_icons: dict[tuple[str, str, str], QtGui.QIcon] = {}


def cached_icon(name: str, color: str | None = None) -> QtGui.QIcon | None:
    """Return an icon of the program, drawn once for each look; None for an empty name."""
    if not name:
        return None
    theme = current_theme()
    key = (name, color or "", theme.name)
    if key not in _icons:
        _icons[key] = _draw_empty() if name == EMPTY else icon(name, color)
        if name != EMPTY:
            selected = icon(name, theme.on_accent).pixmap(_ICON_SIZE, _ICON_SIZE)
            _icons[key].addPixmap(selected, QtGui.QIcon.Mode.Selected)
    return _icons[key]


def _draw_empty() -> QtGui.QIcon:
    pixmap = QtGui.QPixmap(_ICON_SIZE, _ICON_SIZE)
    pixmap.fill(Qt.GlobalColor.transparent)
    return QtGui.QIcon(pixmap)


class FileTree(QtCore.QAbstractItemModel):
    """Groups of files, and the files in them.

    Parameters
    ----------
    files : FileList
        What is shown.
    parent : QObject
        Owner.
    """

    def __init__(self, files: FileList, parent: QtCore.QObject) -> None:
        super().__init__(parent)
        self._files = files
        self.groups: tuple[FileGroup, ...] = ()
        self.columns: tuple[str, ...] = ("File Name",)

    def refresh(self) -> None:
        """Take over what the list holds now."""
        self.beginResetModel()
        self.groups, self.columns = self._files.groups, self._files.columns
        self.endResetModel()

    def item(self, index: Any) -> FileGroup | FileRecord | None:
        """Return the group or file at an index."""
        if not index.isValid():
            return None
        row: int = index.row()
        group: int = index.internalId() - 1
        return self.groups[row] if group < 0 else self.groups[group].records[row]

    def index(self, row: int, column: int, parent: Any = _NOWHERE) -> QtCore.QModelIndex:
        """Return the index of a child."""
        if not self.hasIndex(row, column, parent):
            return QtCore.QModelIndex()
        return self.createIndex(row, column, parent.row() + 1 if parent.isValid() else 0)

    def parent(self, index: Any = None) -> Any:
        """Return the index of the group of a file."""
        if index is None:
            return super().parent()
        if not index.isValid() or index.internalId() == 0:
            return QtCore.QModelIndex()
        return self.createIndex(index.internalId() - 1, 0, 0)

    def rowCount(self, parent: Any = _NOWHERE) -> int:  # noqa: N802
        """Return the number of groups, or of files in one."""
        if not parent.isValid():
            return len(self.groups)
        is_group = parent.internalId() == 0 and parent.column() == 0
        return len(self.groups[parent.row()].records) if is_group else 0

    def columnCount(self, _parent: Any = _NOWHERE) -> int:  # noqa: N802
        """Return the number of columns."""
        return len(self.columns)

    def headerData(self, section: int, orientation: Any, role: int = _ROLE.DisplayRole) -> Any:  # noqa: N802
        """Return the title of a column."""
        if orientation == Qt.Orientation.Horizontal and role == _ROLE.DisplayRole:
            return self.columns[section]
        return None

    def data(self, index: Any, role: int = _ROLE.DisplayRole) -> Any:
        """Return what a cell shows."""
        item = self.item(index)
        if isinstance(item, FileGroup):
            return self._group_data(item, index.column(), role)
        if isinstance(item, FileRecord):
            return self._file_data(item, index.column(), role)
        return None

    def _group_data(self, group: FileGroup, column: int, role: int) -> Any:
        if column:
            return None
        if role in (_ROLE.DisplayRole, _ROLE.ToolTipRole):
            return group.label
        if role == _ROLE.DecorationRole:
            return cached_icon("folder" if group.can_be_reduced else "warning")
        if role == _ROLE.FontRole:
            font = QtGui.QFont()
            font.setBold(True)
            return font
        return None

    def _file_data(self, record: FileRecord, column: int, role: int) -> Any:
        if role == _ROLE.DisplayRole:
            text = record.cell(self.columns[column])
            return f"{text}  [{_badge(record)}]" if column == 0 and _badge(record) else text
        if role == _ROLE.ToolTipRole:
            return record.problem or str(record.path)
        if role == _ROLE.DecorationRole and column == 0:
            return cached_icon("error" if record.problem else "file")
        if role == _ROLE.ForegroundRole and record.problem:
            return QtGui.QColor(current_theme().error)
        return None


def _badge(record: FileRecord) -> str:
    return f"level {record.level}" if record.level.isdigit() else record.level


class HistoryTree(QtCore.QAbstractItemModel):
    """The states of a reduction as a tree."""

    def __init__(self, parent: QtCore.QObject) -> None:
        super().__init__(parent)
        self._nodes: list[HistoryNode] = []
        self._parents: list[int] = []
        self._rows: list[int] = []
        self._children: list[list[int]] = []

    def set_root(self, root: HistoryNode | None) -> None:
        """Show another tree."""
        self.beginResetModel()
        self._nodes, self._parents, self._rows, self._children = [], [], [], []
        if root is not None:
            self._add(root, -1, 0)
        self.endResetModel()

    def _add(self, node: HistoryNode, parent: int, row: int) -> int:
        number = len(self._nodes)
        self._nodes.append(node)
        self._parents.append(parent)
        self._rows.append(row)
        self._children.append([])
        self._children[number] = [self._add(child, number, place) for place, child in enumerate(node.children)]
        return number

    def node(self, index: Any) -> HistoryNode | None:
        """Return the node at an index."""
        return self._nodes[index.internalId()] if index.isValid() else None

    def find(self, key: str) -> QtCore.QModelIndex:
        """Return the index of a state."""
        for number, node in enumerate(self._nodes):
            if node.state.key == key:
                return self.createIndex(self._rows[number], 0, number)
        return QtCore.QModelIndex()

    def index(self, row: int, column: int, parent: Any = _NOWHERE) -> QtCore.QModelIndex:
        """Return the index of a child."""
        if not self.hasIndex(row, column, parent):
            return QtCore.QModelIndex()
        number = self._children[parent.internalId()][row] if parent.isValid() else 0
        return self.createIndex(row, column, number)

    def parent(self, index: Any = None) -> Any:
        """Return the index of the state before."""
        if index is None:
            return super().parent()
        above = self._parents[index.internalId()] if index.isValid() else -1
        return self.createIndex(self._rows[above], 0, above) if above >= 0 else QtCore.QModelIndex()

    def rowCount(self, parent: Any = _NOWHERE) -> int:  # noqa: N802
        """Return the number of states made from one."""
        if not parent.isValid():
            return min(len(self._nodes), 1)
        return len(self._children[parent.internalId()]) if parent.column() == 0 else 0

    def columnCount(self, _parent: Any = _NOWHERE) -> int:  # noqa: N802
        """Return the number of columns."""
        return 1

    def data(self, index: Any, role: int = _ROLE.DisplayRole) -> Any:
        """Return what a state shows."""
        node = self.node(index)
        if node is None:
            return None
        if role in (_ROLE.DisplayRole, _ROLE.ToolTipRole):
            return f"{node.label}  ({node.state.seconds:.1f} s)" if node.state.step else node.label
        if role == _ROLE.FontRole and node.is_current:
            font = QtGui.QFont()
            font.setBold(True)
            return font
        if role == _ROLE.DecorationRole:
            return cached_icon("next" if node.is_current else "done" if node.on_path else "history")
        if role == _ROLE.ForegroundRole and not node.on_path:
            return QtGui.QColor(current_theme().muted)
        return None


_LOG_COLUMNS = ("", "Time", "Level", "Step", "Message")


class LogTable(QtCore.QAbstractTableModel):
    """The lines of the log that pass its filter."""

    def __init__(self, log: LogModel, parent: QtCore.QObject) -> None:
        super().__init__(parent)
        self._log = log
        self._count = len(log.shown)

    def refresh(self, only_added: bool) -> None:
        """Take over what the log holds now."""
        count = len(self._log.shown)
        if only_added and count >= self._count:
            if count > self._count:
                self.beginInsertRows(QtCore.QModelIndex(), self._count, count - 1)
                self._count = count
                self.endInsertRows()
            return
        self.beginResetModel()
        self._count = count
        self.endResetModel()

    def entry(self, row: int) -> LogEntry:
        """Return a line."""
        return self._log.shown[row]

    def rowCount(self, parent: Any = _NOWHERE) -> int:  # noqa: N802
        """Return the number of lines."""
        return 0 if parent.isValid() else self._count

    def columnCount(self, parent: Any = _NOWHERE) -> int:  # noqa: N802
        """Return the number of columns."""
        return 0 if parent.isValid() else len(_LOG_COLUMNS)

    def headerData(self, section: int, orientation: Any, role: int = _ROLE.DisplayRole) -> Any:  # noqa: N802
        """Return the title of a column."""
        if orientation == Qt.Orientation.Horizontal and role == _ROLE.DisplayRole:
            return _LOG_COLUMNS[section]
        return None

    def data(self, index: Any, role: int = _ROLE.DisplayRole) -> Any:
        """Return what a cell shows."""
        if not index.isValid() or index.row() >= len(self._log.shown):
            return None
        entry = self._log.shown[index.row()]
        if role == _ROLE.DisplayRole:
            return (self._mark(entry), entry.clock, entry.level, entry.step, self._message(entry))[index.column()]
        if role == _ROLE.ToolTipRole:
            return entry.text
        if role == _ROLE.ForegroundRole:
            theme = current_theme()
            colors = {"debug": theme.muted, "warning": theme.warning, "error": theme.error}
            level = self._level(entry)
            return QtGui.QColor(colors[level]) if level in colors else None
        return None

    def _mark(self, entry: LogEntry) -> str:
        if self._log.block_of(entry) is None:
            return ""
        return "▸" if self._log.is_folded(entry) else "▾"

    def _message(self, entry: LogEntry) -> str:
        named = bool(entry.file) and entry.file not in entry.message
        message = f"{entry.file}: {entry.message}" if named else entry.message
        block = self._log.block_of(entry)
        if block is None or not self._log.is_folded(entry):
            return message
        return f"{message}  ({block.lines} more line{'s' if block.lines > 1 else ''})"

    def _level(self, entry: LogEntry) -> str:
        """The level that colours a line: a folded step has that of its gravest line."""
        block = self._log.block_of(entry)
        return block.level if block is not None and self._log.is_folded(entry) else entry.level
