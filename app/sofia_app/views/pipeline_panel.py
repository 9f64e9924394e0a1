"""The list of steps with what can be done, and the history under it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sofia_app.desk import Desk
from sofia_app.models.history import HistoryNode, build_history
from sofia_app.models.reduction import StepRow
from sofia_app.models.sparkline import DURATION, Sparkline, list_numbers, make_sparkline
from sofia_app.views.item_models import EMPTY, Column, HistoryTree, RowTable
from sofia_app.views.postponed import Postponed
from sofia_app.views.sparkline import SparklineDelegate
from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets, Signal
from sofia_viewers.theme import current_theme

__all__ = ["PipelinePanel"]

_BUTTONS = ("do_step", "undo_step", "redo_step", "reduce_all", "run_to_selected", "reset_reduction", "stop_running")
_ICONS = {
    "waiting": EMPTY, "ready": "next", "running": "run", "done": "done", "cached": "history", "warning": "warning",
    "failed": "error", "stale": "reset", "skipped": "previous", "not needed": "remove",
}  # fmt: skip
_WORDS = {
    "waiting": "Waits for the steps before it",
    "ready": "Ready to run",
    "running": "Running",
    "done": "Done",
    "cached": "Done: taken from the history",
    "warning": "Done, with warnings",
    "failed": "Failed; change a parameter and try again",
    "stale": "Parameters were changed since; run again from here to make a new branch",
    "skipped": "Done: it left the data as they were",
    "not needed": "Not needed for these inputs",
}


class PipelinePanel(QtWidgets.QWidget):
    """Shows the steps and the history of the reduction.

    Parameters
    ----------
    desk : Desk
        Holds the reduction.
    actions : dict of str to QAction
        For the buttons.
    """

    step_selected = Signal(int)
    state_activated = Signal(str)
    problems_asked = Signal(str)
    """Key of a step whose warnings are to be shown."""

    def __init__(self, desk: Desk, actions: dict[str, QtGui.QAction]) -> None:
        super().__init__()
        self._desk = desk
        self._next = 0
        self._follows = True  # the selection moves on with the steps that are done, unless it was put elsewhere
        self._longest = 0.0
        self._shown_history: HistoryNode | None = None
        self.title = QtWidgets.QLabel("No reduction")
        self.steps = QtWidgets.QTableView()
        self.number = QtWidgets.QComboBox()
        self.number.addItem("Time", DURATION)
        self.step_model = RowTable(_columns(self.sparkline), self)
        self.history = QtWidgets.QTreeView()
        self.history_model = HistoryTree(self)
        self._set_up_steps(actions)
        self._set_up_history(actions)
        self._lay_out(actions)
        desk.reduction.changed.connect(Postponed(self, self.refresh))
        self.refresh()

    def _set_up_steps(self, actions: dict[str, QtGui.QAction]) -> None:
        view = self.steps
        view.setModel(self.step_model)
        view.setSelectionBehavior(QtWidgets.QAbstractItemView.SelectionBehavior.SelectRows)
        view.setSelectionMode(QtWidgets.QAbstractItemView.SelectionMode.SingleSelection)
        view.verticalHeader().hide()
        view.verticalHeader().setDefaultSectionSize(view.fontMetrics().height() + 8)
        view.setShowGrid(False)
        view.setAlternatingRowColors(True)
        view.setWordWrap(False)
        view.setAccessibleName("Steps")
        header = view.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(0, QtWidgets.QHeaderView.ResizeMode.Stretch)
        for section, width in ((1, 56), (_SAVED, 30), (_WARNINGS, 30), (_TREND, 58)):
            view.setColumnWidth(section, width)
        header.setMinimumSectionSize(24)
        view.setItemDelegateForColumn(_TREND, SparklineDelegate(self.sparkline_of, view))
        view.selectionModel().currentRowChanged.connect(self._select_step)
        view.doubleClicked.connect(self._show_state_of_step)
        view.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        names = ("run_to_selected", "preview_step", "restore_defaults", "show_help")
        view.addActions([actions[name] for name in names])

    def _set_up_history(self, actions: dict[str, QtGui.QAction]) -> None:
        view = self.history
        view.setModel(self.history_model)
        view.setHeaderHidden(True)
        view.setIndentation(12)
        view.setUniformRowHeights(True)
        view.setSelectionMode(QtWidgets.QAbstractItemView.SelectionMode.ExtendedSelection)
        view.setAccessibleName("History")
        view.selectionModel().selectionChanged.connect(self._tell_states)
        view.doubleClicked.connect(self._activate_state)
        view.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        view.addActions([actions[name] for name in ("go_to_state", "compare_states")])

    def _lay_out(self, actions: dict[str, QtGui.QAction]) -> None:
        self.title.setProperty("role", "heading")
        self.title.setWordWrap(True)
        bar = QtWidgets.QToolBar()
        bar.setIconSize(QtCore.QSize(18, 18))
        for name in _BUTTONS:
            bar.addAction(actions[name])
        bar.setMinimumWidth(220)
        self.setMinimumWidth(_LEAST_WIDTH)
        self.number.setAccessibleName("Number drawn beside the steps")
        self.number.setToolTip("What the drawings beside the steps show: time, or a number of their products in order")
        self.number.setSizeAdjustPolicy(QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.number.setMinimumContentsLength(8)
        self.number.activated.connect(lambda _place: self._redraw())
        heading = QtWidgets.QHBoxLayout()
        heading.addWidget(self.title, 1)
        heading.addWidget(self.number)
        below = QtWidgets.QWidget()
        row = QtWidgets.QHBoxLayout()
        row.addWidget(QtWidgets.QLabel("History"))
        row.addStretch()
        for name in ("go_to_state", "compare_states"):
            button = QtWidgets.QToolButton()
            button.setDefaultAction(actions[name])
            row.addWidget(button)
        column = QtWidgets.QVBoxLayout(below)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(row)
        column.addWidget(self.history)
        self.splitter = QtWidgets.QSplitter(Qt.Orientation.Vertical)
        self.splitter.addWidget(self.steps)
        self.splitter.addWidget(below)
        self.splitter.setStretchFactor(0, 2)
        self.splitter.setStretchFactor(1, 1)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(4, 2, 4, 4)
        layout.addLayout(heading)
        for widget in (bar, self.splitter):
            layout.addWidget(widget)
        layout.setStretchFactor(self.splitter, 1)

    # --- what is shown ---

    def refresh(self) -> None:
        """Take over what the reduction holds now."""
        reduction = self._desk.reduction
        self.title.setText(reduction.title or "No reduction: open raw files to begin.")
        rows = reduction.rows
        is_new = len(rows) != len(self.step_model.rows)
        moved, self._next = self._next != reduction.next_index, reduction.next_index
        self.step_model.set_rows(rows)
        self._list_numbers(rows)
        if rows and (is_new or (self._follows and moved)):
            self.select_step(min(self._next, len(rows) - 1))
        if not self._desk.is_busy:
            self._follows = self._is_next(self._desk.selection["step"])
        self._refresh_history()

    def _list_numbers(self, rows: tuple[StepRow, ...]) -> None:
        names = list_numbers(rows)
        if [self.number.itemData(place) for place in range(1, self.number.count())] != list(names):
            chosen = self.number.currentData()
            self.number.clear()
            self.number.addItem("Time", DURATION)
            for name in names:
                self.number.addItem(name.replace("_", " "), name)
            self.number.setCurrentIndex(max(self.number.findData(chosen), 0))
        self._redraw()

    def _redraw(self) -> None:
        self._longest = max((row.seconds for row in self.step_model.rows if row.is_done), default=0.0)
        self.steps.viewport().update()

    def sparkline(self, row: StepRow) -> Sparkline:
        """Return the drawing beside a step."""
        return make_sparkline(row, self.number.currentData(), self._longest)

    def sparkline_of(self, number: int) -> Sparkline:
        """Return the drawing beside the step of a row of the list."""
        rows = self.step_model.rows
        return self.sparkline(rows[number]) if number < len(rows) else Sparkline()

    def _refresh_history(self) -> None:
        reduction = self._desk.reduction
        if reduction.snapshot is None:
            self._shown_history = None
            self.history_model.set_root(None)
            return
        root = build_history(reduction.states, reduction.snapshot.root, reduction.path)
        if root == self._shown_history:
            return
        chosen = self.selected_states()
        self._shown_history = root
        self.history_model.set_root(root)
        self.history.expandAll()
        self._select_states(chosen)
        self.history.scrollTo(self.history_model.find(reduction.snapshot.current))

    def _select_states(self, keys: tuple[str, ...]) -> None:
        flags = QtCore.QItemSelectionModel.SelectionFlag
        for key in keys:
            index = self.history_model.find(key)
            if index.isValid():
                self.history.selectionModel().select(index, flags.Select | flags.Rows)

    # --- what the user does ---

    def select_step(self, index: int) -> None:
        """Select a step."""
        self.steps.selectRow(index)

    def selected_states(self) -> tuple[str, ...]:
        """Return the keys of the states selected in the history."""
        nodes = (self.history_model.node(index) for index in self.history.selectionModel().selectedRows())
        return tuple(node.state.key for node in nodes if node is not None)

    def _is_next(self, index: int) -> bool:
        """Tell whether a step is the one to be done next; the last one is when all are done."""
        return index == min(self._next, len(self.step_model.rows) - 1)

    def _select_step(self, current: Any, _previous: Any = None) -> None:
        self._desk.select("step", current.row())
        self._follows = self._is_next(current.row())
        self.step_selected.emit(current.row())

    def _show_state_of_step(self, index: Any) -> None:
        row = self.step_model.rows[index.row()]
        if index.column() == _WARNINGS and row.warnings:
            self.problems_asked.emit(row.key)
        elif row.is_done:
            self._desk.show_state(row.state_key)

    def _tell_states(self, *_changes: Any) -> None:
        self._desk.select("states", self.selected_states())

    def _activate_state(self, index: Any) -> None:
        node = self.history_model.node(index)
        if node is not None:
            self.state_activated.emit(node.state.key)


_SAVED, _WARNINGS, _TREND = 2, 3, 4
_LEAST_WIDTH = 330
"""So that the names of steps can be read."""


def _columns(draw: Callable[[StepRow], Sparkline]) -> list[Column]:
    return [
        Column(
            "Step",
            lambda row: f"{row.index + 1}. {row.label}",
            lambda row: _ICONS[row.state],
            _explain,
            _color,
            icon_color=_icon_color,
        ),
        Column("Time", _duration, is_number=True),
        Column(
            "Saved", lambda row: str(len(row.saved)) if row.saved else "", tip=_saved, is_number=True, symbol="save"
        ),
        Column(
            "Warnings",
            _count_warnings,
            tip=_list_warnings,
            color=lambda _row: current_theme().warning,
            is_number=True,
            symbol="warning",
        ),
        Column("Trend", lambda _row: "", tip=lambda row: draw(row).text or "Nothing to draw."),
    ]


def _duration(row: StepRow) -> str:
    if not row.is_done:
        return ""
    return f"{row.seconds:.2f} s" if row.seconds < 60 else f"{row.seconds / 60:.1f} min"


def _explain(row: StepRow) -> str:
    return f"{_WORDS[row.state]}.{f'{chr(10)}{row.detail}' if row.detail else ''}"


def _color(row: StepRow) -> str:
    theme = current_theme()
    colors = {"waiting": theme.muted, "not needed": theme.muted, "failed": theme.error, "stale": theme.warning}
    return colors.get(row.state, theme.text)


def _icon_color(row: StepRow) -> str:
    theme = current_theme()
    colors = {"done": theme.good, "cached": theme.good, "skipped": theme.good, "warning": theme.warning}
    return {**colors, "failed": theme.error, "stale": theme.warning, "running": theme.accent}.get(
        row.state, theme.muted
    )


def _saved(row: StepRow) -> str:
    return "\n".join(row.saved) or "No products were saved."


def _count_warnings(row: StepRow) -> str:
    count = len(row.warnings) + len(row.skipped)
    return str(count) if count else ""


def _list_warnings(row: StepRow) -> str:
    return "\n".join([*row.warnings, *(f"{file} was skipped: {reason}" for file, reason in row.skipped)]) or "None."
