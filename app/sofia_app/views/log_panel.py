"""The log with levels, search and copy; and what needs attention."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sofia_app.desk import Desk
from sofia_app.models.log import LEVELS, LogEntry
from sofia_app.views.buttons import make_button
from sofia_app.views.copying import TableCopier
from sofia_app.views.item_models import Column, LogTable, RowTable
from sofia_app.views.name_delegate import NameDelegate
from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets, Signal
from sofia_viewers.theme import current_theme

__all__ = ["LogPanel", "ProblemsPanel"]

_MARK_WIDTH = 22


class LogLines(QtWidgets.QTableView):
    """The lines of the log; the keys left and right fold and unfold, as in a tree."""

    fold_asked = Signal(bool)

    def keyPressEvent(self, event: QtGui.QKeyEvent) -> None:  # noqa: N802
        """Fold or unfold; other keys move the selection."""
        folds: dict[int, bool] = {Qt.Key.Key_Left: True, Qt.Key.Key_Right: False}
        if event.key() in folds and not event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier:
            self.fold_asked.emit(folds[event.key()])
        else:
            super().keyPressEvent(event)


class LogPanel(QtWidgets.QWidget):
    """Shows the log.

    Parameters
    ----------
    desk : Desk
        Holds it.
    """

    line_asked = Signal(object)
    """The line that was double-clicked (LogEntry)."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self._log = desk.log
        self.model = LogTable(desk.log, self)
        self.table = LogLines()
        self.level = QtWidgets.QComboBox()
        self.step = QtWidgets.QComboBox()
        self.words = QtWidgets.QLineEdit(placeholderText="Show lines with these words")
        self.search = QtWidgets.QLineEdit(placeholderText="Find")
        self.found = QtWidgets.QLabel()
        self.fold = make_button("Fold steps")
        self._set_up()
        self._lay_out()
        self._log.changed.connect(self.refresh)

    def _set_up(self) -> None:
        _set_up_table(self.table, self.model, "Log")
        for section, width in enumerate((_MARK_WIDTH, 74, 66, 110)):
            self.table.setColumnWidth(section, width)
        self.level.addItems([level.capitalize() for level in LEVELS])
        self.level.setCurrentIndex(LEVELS.index(self._desk.preferences.log_level))
        self._log.set_filter(level=self._desk.preferences.log_level)
        self.level.currentIndexChanged.connect(lambda index: self._log.set_filter(level=LEVELS[index]))
        self.step.addItem("All steps", "")
        self.step.setSizeAdjustPolicy(QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.step.activated.connect(lambda _index: self._log.set_filter(step=self.step.currentData()))
        self.words.textChanged.connect(lambda text: self._log.set_filter(words=text))
        self.search.returnPressed.connect(self.find_next)
        self.table.clicked.connect(self._fold_clicked)
        self.table.doubleClicked.connect(self._ask_for_line)
        self._add_table_actions()

    def _add_table_actions(self) -> None:
        copy = QtGui.QAction("Copy lines", self.table)
        copy.setShortcut(QtGui.QKeySequence.StandardKey.Copy)
        copy.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        copy.triggered.connect(self.copy)
        self.table.addAction(copy)
        self.table.fold_asked.connect(self.fold_current)
        for text, folded in (("Fold the lines of this step", True), ("Unfold the lines of this step", False)):
            action = QtGui.QAction(text, self.table)
            action.triggered.connect(lambda _checked=False, folded=folded: self.fold_current(folded))
            self.table.addAction(action)
        self.table.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)

    def _lay_out(self) -> None:
        row = QtWidgets.QHBoxLayout()
        for widget, name in (
            (self.level, "Least level"),
            (self.step, "Step"),
            (self.words, "Words"),
            (self.search, "Find"),
        ):
            widget.setAccessibleName(name)
            row.addWidget(widget)
        row.addWidget(self.found)
        self.fold.setCheckable(True)
        self.fold.toggled.connect(self._log.fold_all)
        self.fold.setToolTip("Show one line of each step; the others unfold with a click on the mark before it")
        row.addWidget(self.fold)
        for text, slot, symbol in (
            ("Find the line before", self.find_previous, "previous"),
            ("Find the next line", self.find_next, "next"),
            ("Copy the lines selected, or all", self.copy, "copy"),
            ("Save the lines…", self.choose_file, "save"),
            ("Clear", self._log.clear, "delete"),
        ):
            row.addWidget(make_button(text, slot, symbol))
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addLayout(row)
        layout.addWidget(self.table)

    def refresh(self, only_added: bool) -> None:
        """Take over what the log holds now; at its end, the view follows."""
        bar = self.table.verticalScrollBar()
        follows = bar.value() >= bar.maximum() - 2
        self.model.refresh(only_added)
        self.table.viewport().update()  # folded steps count their lines
        if follows:
            self.table.scrollToBottom()
        known = [self.step.itemData(number) for number in range(1, self.step.count())]
        for key in self._log.steps:
            if key not in known:
                self.step.addItem(key, key)

    def fold_current(self, folded: bool) -> None:
        """Fold or unfold the run of a step that the current line belongs to."""
        row = self.table.currentIndex().row()
        if 0 <= row < self.model.rowCount():
            self._fold_row(row, folded)

    def _fold_clicked(self, index: QtCore.QModelIndex) -> None:
        entry = self.model.entry(index.row())
        if index.column() == 0 and self._log.block_of(entry) is not None:
            self._fold_row(index.row(), not self._log.is_folded(entry))

    def _fold_row(self, row: int, folded: bool) -> None:
        head = self._log.fold(self.model.entry(row), folded)
        if head >= 0:
            self.table.selectRow(head)
            self.table.scrollTo(self.model.index(head, 0))

    def _ask_for_line(self, index: QtCore.QModelIndex) -> None:
        if index.column() > 0:
            self.line_asked.emit(self.model.entry(index.row()))

    def find_next(self) -> None:
        """Go to the next line with the text."""
        self._find(backwards=False)

    def find_previous(self) -> None:
        """Go to the line before with the text."""
        self._find(backwards=True)

    def _find(self, *, backwards: bool) -> None:
        words = self.search.text()
        if not words:
            return
        self._log.unfold_with(words)
        row = self._log.find(words, self.table.currentIndex().row(), backwards=backwards)
        self.found.setText("" if row >= 0 else "not found")
        if row >= 0:
            self.table.selectRow(row)
            self.table.scrollTo(self.model.index(row, 0))

    def copy(self) -> None:
        """Copy the selected lines, or all that are shown."""
        rows = sorted(index.row() for index in self.table.selectionModel().selectedRows())
        QtGui.QGuiApplication.clipboard().setText(self._log.as_text(rows or None))

    def choose_file(self) -> None:
        """Save the lines that pass the filter to a file."""
        path, _ = QtWidgets.QFileDialog.getSaveFileName(self, "Save the log", "sofia-desk.log", "Text (*.log *.txt)")
        if path:
            self.save(Path(path))

    def save(self, path: Path) -> None:
        """Write the lines that pass the filter, folded or not; a failure is logged."""
        try:
            path.write_text(self._log.as_text(), encoding="utf-8")
        except OSError as error:
            self._desk.log_line("error", f"{path} cannot be written: {error.strerror}.")


class ProblemsPanel(QtWidgets.QWidget):
    """Warnings and errors, each with step and file; a double click goes to the step."""

    step_asked = Signal(str)
    count_changed = Signal(int)

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._log = desk.log
        self.table = QtWidgets.QTableView()
        self.model = RowTable(_problem_columns(), self)
        self.empty = QtWidgets.QLabel("No warnings, no errors.")
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.empty.setProperty("role", "muted")
        _set_up_table(self.table, self.model, "Problems")
        self.copier = TableCopier(self.table, desk.tasks)
        for section, width in enumerate((92, 110, 240)):
            self.table.setColumnWidth(section, width)
        self.table.setItemDelegateForColumn(2, NameDelegate(self.table))
        self.table.doubleClicked.connect(lambda index: self.step_asked.emit(self.model.rows[index.row()].step))
        self.stack = QtWidgets.QStackedWidget()
        self.stack.addWidget(self.empty)
        self.stack.addWidget(self.table)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(self.stack)
        self._count = -1
        desk.log.changed.connect(self.refresh)

    def refresh(self, _only_added: bool = False) -> None:
        """Take over what the log holds now."""
        count = self._log.problem_count
        if count == self._count:
            return
        self._count = count
        self.model.set_rows(self._log.problems)
        self.stack.setCurrentWidget(self.table if count else self.empty)
        self.count_changed.emit(count)

    def show_step(self, key: str) -> None:
        """Select the first problem of a step."""
        for number, entry in enumerate(self.model.rows):
            if entry.step == key:
                self.table.selectRow(number)
                return


def _problem_columns() -> list[Column]:
    def color(entry: LogEntry) -> str:
        return current_theme().error if entry.level == "error" else current_theme().warning

    return [
        Column("Level", lambda e: e.level, lambda e: e.level, color=color),
        Column("Step", lambda e: e.step),
        Column("File", lambda e: e.file),
        Column("Problem", lambda e: e.message, tip=lambda e: e.text),
    ]


def _set_up_table(table: QtWidgets.QTableView, model: Any, name: str) -> None:
    table.setModel(model)
    table.setAccessibleName(name)
    table.setShowGrid(False)
    table.setWordWrap(False)
    table.verticalHeader().hide()
    table.verticalHeader().setSectionResizeMode(QtWidgets.QHeaderView.ResizeMode.Fixed)
    table.verticalHeader().setDefaultSectionSize(table.fontMetrics().height() + 5)
    table.setSelectionBehavior(QtWidgets.QAbstractItemView.SelectionBehavior.SelectRows)
    table.horizontalHeader().setStretchLastSection(True)
    table.setHorizontalScrollMode(QtWidgets.QAbstractItemView.ScrollMode.ScrollPerPixel)
