"""Dialogs: errors, preferences, sessions, shortcuts, export, sweep, command palette."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sofia_app.actions import ACTIONS
from sofia_app.desk import ErrorReport
from sofia_app.models.preferences import Preferences
from sofia_app.views.item_models import EMPTY, cached_icon
from sofia_engine.errors import ParameterError
from sofia_engine.pipeline.parameters import ParameterInfo, Setting
from sofia_engine.pipeline.step import Step
from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets
from sofia_viewers.theme import current_theme

__all__ = [
    "CommandPalette",
    "ErrorDialog",
    "PreferencesDialog",
    "SessionsDialog",
    "ShortcutsDialog",
    "SweepDialog",
    "TextDialog",
]

_BUTTON = QtWidgets.QDialogButtonBox.StandardButton


class ErrorDialog(QtWidgets.QDialog):
    """Says what went wrong, at which step and file, and lets the user retry or change a parameter.

    Parameters
    ----------
    parent : QWidget
        The window.
    report : ErrorReport
        What is said.
    retry, edit, insist : callable, optional
        What the buttons do; a button without function is not shown.
    """

    def __init__(
        self,
        parent: QtWidgets.QWidget | None,
        report: ErrorReport,
        retry: Callable[[], None] | None = None,
        edit: Callable[[], None] | None = None,
        insist: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(parent)
        self.report = report
        self.setWindowTitle(report.title)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setMinimumWidth(460)
        self.cause = QtWidgets.QLabel(report.cause)
        self.details = QtWidgets.QPlainTextEdit(report.details)
        self.buttons = QtWidgets.QDialogButtonBox()
        self._lay_out()
        self._add_buttons({"Change parameters": edit, "Run all the same": insist, "Retry": retry})

    def _lay_out(self) -> None:
        title = QtWidgets.QLabel(self.report.title)
        title.setProperty("role", "heading")
        title.setWordWrap(True)
        sign = QtWidgets.QLabel()
        drawn = cached_icon("error", current_theme().error)
        if drawn is not None:
            sign.setPixmap(drawn.pixmap(32, 32))
        self.cause.setWordWrap(True)
        self.cause.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.details.setReadOnly(True)
        self.details.setVisible(bool(self.report.details))
        scroll = QtWidgets.QScrollArea()
        scroll.setWidget(self.cause)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        grid = QtWidgets.QGridLayout(self)
        grid.addWidget(sign, 0, 0, Qt.AlignmentFlag.AlignTop)
        grid.addWidget(title, 0, 1)
        grid.addWidget(scroll, 1, 1)
        grid.addWidget(self.details, 2, 0, 1, 2)
        grid.addWidget(self.buttons, 3, 0, 1, 2)
        grid.setColumnStretch(1, 1)

    def _add_buttons(self, functions: Mapping[str, Callable[[], None] | None]) -> None:
        role = QtWidgets.QDialogButtonBox.ButtonRole
        copy = self.buttons.addButton("Copy", role.ActionRole)
        copy.clicked.connect(lambda: QtGui.QGuiApplication.clipboard().setText(self.report.text))
        for text, function in functions.items():
            if function is not None:
                button = self.buttons.addButton(text, role.AcceptRole)
                button.clicked.connect(self.accept)
                button.clicked.connect(function)
        self.buttons.addButton(_BUTTON.Close).clicked.connect(self.reject)


class TextDialog(QtWidgets.QDialog):
    """Shows texts to copy or save, one a tab."""

    def __init__(self, parent: QtWidgets.QWidget | None, title: str, texts: dict[str, str]) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(760, 420)
        self.tabs = QtWidgets.QTabWidget()
        for name, text in texts.items():
            view = QtWidgets.QPlainTextEdit(text)
            view.setReadOnly(True)
            view.setFont(QtGui.QFontDatabase.systemFont(QtGui.QFontDatabase.SystemFont.FixedFont))
            self.tabs.addTab(view, name)
        buttons = QtWidgets.QDialogButtonBox(_BUTTON.Close)
        buttons.rejected.connect(self.reject)
        copy = buttons.addButton("Copy", QtWidgets.QDialogButtonBox.ButtonRole.ActionRole)
        copy.clicked.connect(lambda: QtGui.QGuiApplication.clipboard().setText(self.text))
        layout = QtWidgets.QVBoxLayout(self)
        layout.addWidget(self.tabs)
        layout.addWidget(buttons)

    @property
    def text(self) -> str:
        """The text of the tab in front."""
        view = self.tabs.currentWidget()
        return view.toPlainText() if isinstance(view, QtWidgets.QPlainTextEdit) else ""


class PreferencesDialog(QtWidgets.QDialog):
    """Edits the preferences."""

    def __init__(self, parent: QtWidgets.QWidget | None, preferences: Preferences) -> None:
        super().__init__(parent)
        self.setWindowTitle("Preferences")
        self.preferences = preferences
        self.theme = _combo({"system": "As the system", "light": "Light", "dark": "Dark"}, preferences.theme)
        self.text_size = QtWidgets.QSpinBox(minimum=0, maximum=30, value=preferences.text_size)
        self.text_size.setSpecialValueText("as the system")
        self.text_size.setSuffix(" pt")
        rules = {"beside": "In a folder beside the raw files", "fixed": "In one folder", "ask": "Ask each time"}
        self.rule = _combo(rules, preferences.output_rule)
        self.name = QtWidgets.QLineEdit(preferences.output_name)
        self.folder = QtWidgets.QLineEdit(preferences.output_folder)
        self.sessions = QtWidgets.QLineEdit(preferences.session_folder)
        self.sessions.setPlaceholderText("as the system")
        self.sessions.setToolTip("Where states are kept; counts from the next start on.")
        self.jobs = QtWidgets.QSpinBox(minimum=0, maximum=256, value=preferences.jobs)
        self.jobs.setSpecialValueText("all processors")
        self.memory = _combo(_list_memory(preferences.memory), preferences.memory)
        self.updates = QtWidgets.QCheckBox("at the start")
        self.updates.setToolTip("Asks the package index; nothing else is sent.")
        self.updates.setChecked(preferences.check_updates)
        self._lay_out()

    def _lay_out(self) -> None:
        form = QtWidgets.QFormLayout()
        for label, widget in (
            ("Theme", self.theme),
            ("Text size", self.text_size),
            ("Products are written", self.rule),
            ("Name of the folder beside the raw files", self.name),
            ("The one folder for products", self.folder),
            ("Folder of sessions", self.sessions),
            ("Inputs worked on side by side", self.jobs),
            ("Memory for a step", self.memory),
            ("Look for a new version", self.updates),
        ):
            form.addRow(label, widget)
            widget.setMinimumWidth(max(280, widget.sizeHint().width()))
            widget.setMinimumHeight(self.theme.sizeHint().height())
        buttons = QtWidgets.QDialogButtonBox(_BUTTON.Ok | _BUTTON.Cancel)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QtWidgets.QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(buttons)

    def accept(self) -> None:
        """Take the choices over."""
        preferences = self.preferences
        preferences.theme = self.theme.currentData()
        preferences.text_size = self.text_size.value()
        preferences.output_rule = self.rule.currentData()
        preferences.output_name = self.name.text().strip() or "reduced"
        preferences.output_folder = self.folder.text().strip()
        preferences.session_folder = self.sessions.text().strip()
        preferences.jobs = self.jobs.value()
        preferences.memory = self.memory.currentData()
        preferences.check_updates = self.updates.isChecked()
        super().accept()


def _list_memory(chosen: str) -> dict[str, str]:
    """Return the limits one can choose, with the one that is set in any case."""
    sizes = {f"{size}G": f"At most {size} GB" for size in (2, 4, 8, 16, 32, 64)}
    known = {"": "What is free", **sizes, "unlimited": "No limit, steps run whatever they need"}
    return known if chosen in known else {**known, chosen: f"At most {chosen}"}


def _combo(choices: dict[str, str], chosen: str) -> QtWidgets.QComboBox:
    box = QtWidgets.QComboBox()
    for value, text in choices.items():
        box.addItem(text, value)
    box.setCurrentIndex(list(choices).index(chosen))
    return box


class SessionsDialog(QtWidgets.QDialog):
    """Lists earlier reductions, to go on with one."""

    def __init__(self, parent: QtWidgets.QWidget | None, sessions: Sequence[Path], question: str = "") -> None:
        super().__init__(parent)
        self.setWindowTitle("Sessions")
        self.resize(720, 340)
        self.list = QtWidgets.QTreeWidget()
        self.list.setHeaderLabels(["Last used", "Reduction", "Files", "State"])
        self.list.setRootIsDecorated(False)
        for session in sessions:
            item = QtWidgets.QTreeWidgetItem(_describe_session(session))
            item.setData(0, Qt.ItemDataRole.UserRole, str(session))
            item.setToolTip(1, str(session))
            self.list.addTopLevelItem(item)
        for column, width in enumerate((150, 260, 60)):
            self.list.setColumnWidth(column, width)
        first = self.list.topLevelItem(0)
        if first is not None:
            self.list.setCurrentItem(first)
        self.buttons = QtWidgets.QDialogButtonBox(_BUTTON.Cancel)
        self.open_button = self.buttons.addButton(
            "Restore" if question else "Open", QtWidgets.QDialogButtonBox.ButtonRole.AcceptRole
        )
        self.open_button.setEnabled(bool(sessions))
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self.list.itemDoubleClicked.connect(lambda _item, _column: self.accept())
        layout = QtWidgets.QVBoxLayout(self)
        text = QtWidgets.QLabel(
            question or ("Choose a reduction to go on with." if sessions else "There are no sessions yet.")
        )
        text.setWordWrap(True)
        for widget in (text, self.list, self.buttons):
            layout.addWidget(widget)

    @property
    def chosen(self) -> str:
        """Folder of the session selected."""
        item = self.list.currentItem()
        return str(item.data(0, Qt.ItemDataRole.UserRole)) if item is not None else ""


def _describe_session(folder: Path) -> list[str]:
    try:
        path = folder / "session.json"
        stored = json.loads(path.read_text())
        used = QtCore.QDateTime.fromSecsSinceEpoch(int(path.stat().st_mtime)).toString("yyyy-MM-dd hh:mm")
        state = "finished" if stored.get("finished") else "not finished"
        return [
            used,
            f"{stored.get('instrument', '')} {stored.get('mode', '')}",
            str(len(stored.get("inputs", []))),
            state,
        ]
    except (OSError, ValueError, AttributeError):
        return ["", folder.name, "", "damaged"]


class ShortcutsDialog(QtWidgets.QDialog):
    """Lists all actions and their keys."""

    def __init__(self, parent: QtWidgets.QWidget | None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Shortcuts")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(760, 560)
        self.table = QtWidgets.QTreeWidget()
        self.table.setHeaderLabels(["Action", "Keys", "What it does"])
        self.table.setRootIsDecorated(False)
        for action in ACTIONS:
            keys = QtGui.QKeySequence(action.shortcut).toString(QtGui.QKeySequence.SequenceFormat.NativeText)
            self.table.addTopLevelItem(QtWidgets.QTreeWidgetItem([f"{action.menu}: {action.title}", keys, action.tip]))
        self.table.setColumnWidth(0, 280)
        self.table.setColumnWidth(1, 170)
        buttons = QtWidgets.QDialogButtonBox(_BUTTON.Close)
        buttons.rejected.connect(self.reject)
        layout = QtWidgets.QVBoxLayout(self)
        layout.addWidget(self.table)
        layout.addWidget(buttons)


class SweepDialog(QtWidgets.QDialog):
    """Asks which parameter takes which values."""

    def __init__(self, parent: QtWidgets.QWidget | None, steps: Sequence[Step], index: int) -> None:
        super().__init__(parent)
        self.setWindowTitle("Sweep a parameter")
        self.setMinimumWidth(480)
        self._step = steps[index]
        self.parameter = QtWidgets.QComboBox()
        for info in self._step.parameters.infos():
            if info.level != "hidden" and info.name != "save":
                self.parameter.addItem(f"{info.label} ({info.key})", info.name)
        self.values = QtWidgets.QLineEdit(placeholderText="values with semicolons between: 1; 2; 3")
        self.last = QtWidgets.QComboBox()
        for number in range(index, len(steps)):
            self.last.addItem(steps[number].label, number)
        self.error = QtWidgets.QLabel()
        self.error.setProperty("role", "error")
        self.error.setWordWrap(True)
        self.buttons = QtWidgets.QDialogButtonBox(_BUTTON.Ok | _BUTTON.Cancel)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        form = QtWidgets.QFormLayout(self)
        form.addRow("Step", QtWidgets.QLabel(self._step.label))
        form.addRow("Parameter", self.parameter)
        form.addRow("Values", self.values)
        form.addRow("Go on to", self.last)
        form.addRow(self.error)
        form.addRow(self.buttons)
        self.values.textChanged.connect(lambda _text: self._check())
        self.parameter.currentIndexChanged.connect(lambda _place: self._check())
        self._check()

    @property
    def info(self) -> ParameterInfo:
        """The parameter chosen."""
        return self._step.parameters.info(self.parameter.currentData())

    def read_values(self) -> list[Any]:
        """Return the values.

        Raises
        ------
        ParameterError
            If one is not allowed.
        """
        texts = [text.strip() for text in self.values.text().split(";") if text.strip()]
        name = self.info.name
        return [getattr(self._step.parameters.make({name: Setting(text)}), name) for text in texts]

    def _check(self) -> None:
        problem, count = "", 0
        try:
            count = len(self.read_values())
        except ParameterError as error:
            problem = str(error)
        self.error.setText(problem)
        self.buttons.button(_BUTTON.Ok).setEnabled(count > 0 and not problem)


class CommandPalette(QtWidgets.QDialog):
    """Finds an action by a part of its name, and does it."""

    def __init__(self, parent: QtWidgets.QWidget | None, actions: Sequence[QtGui.QAction]) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(520, 360)
        self._actions = actions
        self.line = QtWidgets.QLineEdit(placeholderText="What do you want to do?")
        self.list = QtWidgets.QListWidget()
        layout = QtWidgets.QVBoxLayout(self)
        layout.addWidget(self.line)
        layout.addWidget(self.list)
        self.line.textChanged.connect(self._filter)
        self.line.returnPressed.connect(self._do)
        self.list.itemActivated.connect(lambda _item: self._do())
        self.line.installEventFilter(self)
        self._filter("")
        self.line.setFocus()

    def _filter(self, text: str) -> None:
        words = text.lower().split()
        self.list.clear()
        for action in self._actions:
            description = f"{action.text()} {action.toolTip()}".lower()
            if all(word in description for word in words):
                self._add(action)
        self.list.setCurrentRow(0)

    def _add(self, action: QtGui.QAction) -> None:
        keys = action.shortcut().toString(QtGui.QKeySequence.SequenceFormat.NativeText)
        sign = cached_icon(EMPTY) if action.icon().isNull() else action.icon()
        item = QtWidgets.QListWidgetItem(sign or action.icon(), f"{action.text()}    {keys}".rstrip())
        item.setToolTip(action.toolTip())
        item.setData(Qt.ItemDataRole.UserRole, action.objectName())
        if not action.isEnabled():
            item.setFlags(Qt.ItemFlag.NoItemFlags)
        self.list.addItem(item)

    def _do(self) -> None:
        item = self.list.currentItem()
        if item is None:
            return
        chosen = next(a for a in self._actions if a.objectName() == item.data(Qt.ItemDataRole.UserRole))
        if chosen.isEnabled():
            self.accept()
            QtCore.QTimer.singleShot(0, chosen.trigger)

    def eventFilter(self, watched: QtCore.QObject, event: QtCore.QEvent) -> bool:  # noqa: N802
        """Let the arrow keys of the line move in the list."""
        if isinstance(event, QtGui.QKeyEvent) and event.type() == QtCore.QEvent.Type.KeyPress:
            step = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1}.get(Qt.Key(event.key()))
            if step is not None:
                self.list.setCurrentRow((self.list.currentRow() + step) % max(self.list.count(), 1))
                return True
        return super().eventFilter(watched, event)
