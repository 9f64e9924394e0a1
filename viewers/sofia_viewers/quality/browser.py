"""The browser: folders and files with wildcards, header columns and small pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sofia_engine.errors import SofiaDeskError
from sofia_engine.pipeline.detection import read_header
from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets, Signal
from sofia_viewers.quality.folders import Entry, FolderHistory, list_folder, parse_patterns
from sofia_viewers.quality.headers import parse_keywords
from sofia_viewers.quality.thumbnails import make_thumbnail
from sofia_viewers.tasks import Tasks
from sofia_viewers.theme import icon, theme_events

__all__ = ["FileBrowser", "picture_of"]

_ENTRY = int(Qt.ItemDataRole.UserRole)
_THUMBNAIL = 40
_CHUNK = 6
_FIXED = ("Name", "Date", "Size")
_ICONS = {"folder": "folder", "fits": "file", "regions": "region-circle", "picture": "image", "file": "file"}


def picture_of(array: np.ndarray[Any, Any]) -> QtGui.QPixmap:
    """Return an (n_y, n_x, 3) array of bytes as a picture."""
    height, width = array.shape[:2]
    image = QtGui.QImage(array.tobytes(), width, height, 3 * width, QtGui.QImage.Format.Format_RGB888)
    return QtGui.QPixmap.fromImage(image.copy())


class _Tree(QtWidgets.QTreeWidget):
    """Files that can be dragged elsewhere."""

    def mimeData(self, items: Sequence[QtWidgets.QTreeWidgetItem]) -> QtCore.QMimeData:  # noqa: N802
        """Hand over the paths."""
        data = QtCore.QMimeData()
        data.setUrls([QtCore.QUrl.fromLocalFile(str(item.data(0, _ENTRY).path)) for item in items])
        return data


class FileBrowser(QtWidgets.QWidget):
    """Shows a folder; what is opened in it is told by signals.

    Parameters
    ----------
    tasks : Tasks
        Reads folders, headers and pictures.
    """

    files_opened = Signal(object)
    selection_changed = Signal(object)
    folder_changed = Signal(object)
    settings_changed = Signal()

    def __init__(self, tasks: Tasks, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.tasks = tasks
        self.history = FolderHistory()
        self.entries: tuple[Entry, ...] = ()
        self.columns: tuple[str, ...] = ()
        self.home = Path.home()
        self._pictures: dict[tuple[Path, float], QtGui.QIcon] = {}
        self.path = QtWidgets.QLineEdit()
        self.filter = QtWidgets.QLineEdit("*.fits")
        self.keywords = QtWidgets.QLineEdit()
        self.thumbnails = QtWidgets.QCheckBox("Thumbnails")
        self.tree = _Tree()
        self.note = QtWidgets.QLabel()
        self.actions_bar = QtWidgets.QToolBar()
        self._lay_out()
        self._connect()
        self._update_buttons()

    # -- what others use --------------------------------------------------------------------------------------------

    def open(self, folder: str | Path) -> None:
        """Show a folder."""
        self.history.open(Path(folder).expanduser().absolute())
        self.refresh()

    def refresh(self) -> None:
        """Read the folder anew."""
        folder = self.history.current
        self._update_buttons()
        if folder is None:
            return
        self.path.setText(str(folder))
        patterns = parse_patterns(self.filter.text())
        self.tasks.submit("list", lambda: list_folder(folder, patterns), self._show_entries, self._show_problem)

    def set_columns(self, text: str) -> None:
        """Choose the keywords that are shown as columns."""
        self.keywords.setText(text)
        self._take_columns()

    @property
    def files(self) -> list[Path]:
        """The files of the folder that pass the filter."""
        return [entry.path for entry in self.entries if entry.kind != "folder"]

    @property
    def fits_files(self) -> list[Path]:
        """The FITS files of the folder that pass the filter."""
        return [entry.path for entry in self.entries if entry.kind == "fits"]

    @property
    def selected(self) -> list[Path]:
        """The selected files and folders."""
        return [item.data(0, _ENTRY).path for item in self.tree.selectedItems()]

    # -- parts ------------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        self.path.setAccessibleName("Folder")
        self.filter.setAccessibleName("File filter")
        self.filter.setPlaceholderText("all files")
        self.filter.setToolTip("Wildcards, separated by commas: *CAL*.fits, *.png; empty shows all files.")
        self.keywords.setAccessibleName("Header columns")
        self.keywords.setPlaceholderText("keywords shown as columns")
        self.thumbnails.setToolTip("Show small pictures of FITS files.")
        self._make_actions()
        self._set_up_tree()
        self.note.setWordWrap(True)
        self.note.hide()
        form = QtWidgets.QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("File filter:", self.filter)
        form.addRow("Columns:", self.keywords)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        for widget in (self.actions_bar, self.path):
            layout.addWidget(widget)
        layout.addLayout(form)
        layout.addWidget(self.tree, 1)
        layout.addWidget(self.thumbnails)
        layout.addWidget(self.note)

    def _make_actions(self) -> None:
        self.actions_bar.setIconSize(QtCore.QSize(18, 18))
        rows = (
            ("back", "previous", "Back", "Alt+Left", self._go_back),
            ("forward", "next", "Forward", "Alt+Right", self._go_forward),
            ("up", "undo", "Up", "Alt+Up", self._go_up),
            ("home", "folder", "Home", "Alt+Home", self._go_home),
            ("reload", "reset", "Read again", "F5", self.refresh),
            ("choose", "open", "Open folder …", "Ctrl+Shift+O", self.ask_folder),
        )
        self.buttons: dict[str, QtGui.QAction] = {}
        for key, drawing, text, shortcut, call in rows:
            action = QtGui.QAction(icon(drawing), text, self)
            action.setShortcut(shortcut)
            action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            action.setToolTip(f"{text} ({shortcut})")
            action.setData(drawing)
            action.triggered.connect(lambda _checked=False, call=call: call())
            self.actions_bar.addAction(action)
            self.addAction(action)
            self.buttons[key] = action

    def _set_up_tree(self) -> None:
        self.tree.setAccessibleName("Files")
        self.tree.setAlternatingRowColors(True)
        self.tree.setUniformRowHeights(True)
        self.tree.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.tree.setSelectionMode(QtWidgets.QAbstractItemView.SelectionMode.ExtendedSelection)
        self.tree.setDragEnabled(True)
        self.tree.setSortingEnabled(False)
        self.tree.setExpandsOnDoubleClick(False)
        self.tree.setHeaderLabels(list(_FIXED))
        self.tree.setColumnWidth(0, 310)
        self.tree.setColumnWidth(1, 140)

    def _connect(self) -> None:
        self.path.returnPressed.connect(lambda: self.open(self.path.text()))
        self.filter.editingFinished.connect(self._take_filter)
        self.keywords.editingFinished.connect(self._take_columns)
        self.thumbnails.toggled.connect(self._take_thumbnails)
        self.tree.itemActivated.connect(lambda _item, _column: self.open_selected())
        self.tree.itemExpanded.connect(self._fill_folder)
        self.tree.itemSelectionChanged.connect(lambda: self.selection_changed.emit(self.selected))
        theme_events().changed.connect(self._restyle)

    def _restyle(self) -> None:
        for action in self.buttons.values():
            action.setIcon(icon(action.data()))
        for item in self._items():
            entry: Entry = item.data(0, _ENTRY)
            if (entry.path, entry.modified) not in self._pictures:
                item.setIcon(0, icon(_ICONS[entry.kind]))

    def _update_buttons(self) -> None:
        self.buttons["back"].setEnabled(self.history.can_go_back)
        self.buttons["forward"].setEnabled(self.history.can_go_forward)
        self.buttons["up"].setEnabled(self.history.can_go_up)

    # -- what the user does -----------------------------------------------------------------------------------------

    def open_selected(self) -> None:
        """Open the selected files, or enter the folder if that is what is selected."""
        entries: list[Entry] = [item.data(0, _ENTRY) for item in self.tree.selectedItems()]
        if len(entries) == 1 and entries[0].kind == "folder":
            self.open(entries[0].path)
            return
        files = [entry.path for entry in entries if entry.kind != "folder"]
        if files:
            self.files_opened.emit(files)

    def ask_folder(self) -> None:
        """Let the user choose a folder."""
        start = str(self.history.current or self.home)
        folder = QtWidgets.QFileDialog.getExistingDirectory(self, "Open folder", start)
        if folder:
            self.open(folder)

    def _go_back(self) -> None:
        self.history.back()
        self.refresh()

    def _go_forward(self) -> None:
        self.history.forward()
        self.refresh()

    def _go_up(self) -> None:
        self.history.up()
        self.refresh()

    def _go_home(self) -> None:
        self.open(self.home)

    def _take_filter(self) -> None:
        if self.filter.isModified():
            self.filter.setModified(False)
            self.settings_changed.emit()
            self.refresh()

    def _take_columns(self) -> None:
        text = self.keywords.text().strip()
        columns = parse_keywords(text) if text else ()
        if columns == self.columns:
            return
        self.columns = columns
        self.tree.setHeaderLabels([*_FIXED, *columns])
        self.settings_changed.emit()
        self._read_headers()

    def _take_thumbnails(self) -> None:
        self.settings_changed.emit()
        size = _THUMBNAIL if self.thumbnails.isChecked() else 16
        self.tree.setIconSize(QtCore.QSize(size, size))
        if self.thumbnails.isChecked():
            self._read_pictures()
        else:
            for item in self._items():
                item.setIcon(0, icon(_ICONS[item.data(0, _ENTRY).kind]))

    # -- showing ----------------------------------------------------------------------------------------------------

    def _show_entries(self, entries: tuple[Entry, ...]) -> None:
        self.entries = entries
        self.tree.clear()
        self._add_items(self.tree.invisibleRootItem(), entries)
        wildcards = self.filter.text().strip()
        self._say("" if self.files else f"No file here fits {wildcards}." if wildcards else "The folder is empty.")
        self._read_headers()
        if self.thumbnails.isChecked():
            self._read_pictures()
        self.folder_changed.emit(self.history.current)

    def _show_problem(self, message: str) -> None:
        self.entries = ()
        self.tree.clear()
        self._say(message, "error")
        self.folder_changed.emit(self.history.current)

    def _say(self, text: str, role: str = "muted") -> None:
        self.note.setText(text)
        self.note.setProperty("role", role)
        self.note.style().polish(self.note)
        self.note.setVisible(bool(text))

    def _add_items(self, parent: QtWidgets.QTreeWidgetItem, entries: Iterable[Entry]) -> None:
        items = []
        for entry in entries:
            item = QtWidgets.QTreeWidgetItem([entry.name, entry.date, _size(entry)])
            item.setData(0, _ENTRY, entry)
            item.setToolTip(0, str(entry.path))
            item.setTextAlignment(2, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            item.setIcon(0, self._pictures.get((entry.path, entry.modified)) or icon(_ICONS[entry.kind]))
            if entry.kind == "folder":
                item.setChildIndicatorPolicy(QtWidgets.QTreeWidgetItem.ChildIndicatorPolicy.ShowIndicator)
            items.append(item)
        parent.addChildren(items)

    def _fill_folder(self, item: QtWidgets.QTreeWidgetItem) -> None:
        entry: Entry = item.data(0, _ENTRY)
        if item.childCount():
            return
        patterns = parse_patterns(self.filter.text())
        key = f"list {entry.path}"
        self.tasks.submit(
            key, lambda: list_folder(entry.path, patterns), partial(self._show_children, entry), self._say
        )

    def _show_children(self, folder: Entry, entries: tuple[Entry, ...]) -> None:
        for item in self._items():
            if item.data(0, _ENTRY) == folder and not item.childCount():
                self._add_items(item, entries)
        self._read_headers()
        if self.thumbnails.isChecked():
            self._read_pictures()

    def _items(self) -> list[QtWidgets.QTreeWidgetItem]:
        return self.tree.findItems("*", Qt.MatchFlag.MatchWildcard | Qt.MatchFlag.MatchRecursive)

    def _fits_items(self) -> list[tuple[Entry, QtWidgets.QTreeWidgetItem]]:
        pairs = [(item.data(0, _ENTRY), item) for item in self._items()]
        return [(entry, item) for entry, item in pairs if entry.kind == "fits"]

    def _read_headers(self) -> None:
        columns = self.columns
        paths = [entry.path for entry, _ in self._fits_items()]
        if columns and paths:
            self.tasks.submit("headers", lambda: _read_cells(paths, columns), self._show_cells, self._say)

    def _show_cells(self, cells: dict[Path, list[str]]) -> None:
        for entry, item in self._fits_items():
            for number, text in enumerate(cells.get(entry.path, ()), start=len(_FIXED)):
                item.setText(number, text)

    def _read_pictures(self) -> None:
        size = _THUMBNAIL
        self.tree.setIconSize(QtCore.QSize(size, size))
        missing = [e for e, _ in self._fits_items() if (e.path, e.modified) not in self._pictures][:_CHUNK]
        if missing:
            self.tasks.submit("pictures", lambda: [(e, _draw(e.path, 2 * size)) for e in missing], self._show_pictures)
            return
        for entry, item in self._fits_items():
            picture = self._pictures[entry.path, entry.modified]
            item.setIcon(0, icon("file") if picture.isNull() else picture)

    def _show_pictures(self, pictures: list[tuple[Entry, np.ndarray[Any, Any] | None]]) -> None:
        for entry, array in pictures:
            self._pictures[entry.path, entry.modified] = (
                QtGui.QIcon(picture_of(array)) if array is not None else QtGui.QIcon()
            )
        for entry, item in self._fits_items():
            picture = self._pictures.get((entry.path, entry.modified))
            if picture is not None and not picture.isNull():
                item.setIcon(0, picture)
        if self.thumbnails.isChecked():
            self._read_pictures()


def _size(entry: Entry) -> str:
    if entry.kind == "folder":
        return ""
    size = float(entry.size)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def _read_cells(paths: Sequence[Path], columns: Sequence[str]) -> dict[Path, list[str]]:
    cells: dict[Path, list[str]] = {}
    for path in paths:
        try:
            header = read_header(path)
        except SofiaDeskError as error:
            cells[path] = [str(error)]
            continue
        cells[path] = [str(header.get(key, "")).strip() for key in columns]
    return cells


def _draw(path: Path, size: int) -> np.ndarray[Any, Any] | None:
    try:
        return make_thumbnail(path, size)
    except (SofiaDeskError, ValueError, TypeError, IndexError):  # a file without a picture keeps its icon
        return None
