"""The form of a step's parameters, made from their declarations."""

from __future__ import annotations

from sofia_app.desk import Desk
from sofia_app.models.batch_edit import list_shared_keys
from sofia_app.models.parameters import ORIGINS, FieldState, ParameterForm
from sofia_app.views.buttons import IconButton
from sofia_app.views.parameter_fields import FieldEditor, TextEditor, make_editor
from sofia_app.views.postponed import Postponed
from sofia_app.views.preview_bar import PreviewBar
from sofia_engine.pipeline.parameters import ParameterInfo
from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets, Signal
from sofia_viewers.theme import current_theme

__all__ = ["FieldRow", "ParameterPanel"]

_BUTTONS = {
    "apply_parameters": "Apply",
    "revert_parameters": "Revert",
    "restore_defaults": "Defaults",
    "preview_step": "Preview",
}
"""Actions of the buttons under the form, with the short texts they have there."""


class FieldRow(QtWidgets.QWidget):
    """Label, editor, unit, mark of change and reset button of one parameter, and its error under them."""

    def __init__(self, info: ParameterInfo, form: ParameterForm) -> None:
        super().__init__()
        self.info = info
        self._form = form
        self.label = QtWidgets.QLabel(info.label)
        self.editor: FieldEditor = make_editor(info)
        self.mark = QtWidgets.QLabel()
        self.reset = IconButton("reset")
        self.error = QtWidgets.QLabel()
        self.is_idle = False
        """Whether it has no effect now, and nothing is to be said of it."""
        self._lay_out()
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.editor.edited.connect(lambda value: form.edit(info.name, value))
        self.reset.clicked.connect(self._reset)

    def _lay_out(self) -> None:
        self.label.setWordWrap(True)
        self.label.setBuddy(self.editor)
        self.reset.setAutoRaise(True)
        self.reset.setToolTip("Put the default back")
        self.reset.setAccessibleName(f"Reset {self.info.label}")
        self.error.setProperty("role", "error")
        self.error.setWordWrap(True)
        self.error.hide()
        self.mark.setProperty("role", "muted")
        grid = QtWidgets.QGridLayout(self)
        grid.setContentsMargins(2, 2, 2, 2)
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(2)
        grid.addWidget(self.label, 0, 0)
        grid.addWidget(self.editor, 0, 1)
        grid.addWidget(QtWidgets.QLabel(self.info.unit), 0, 2)
        grid.addWidget(self.mark, 0, 3)
        grid.addWidget(self.reset, 0, 4)
        grid.addWidget(self.error, 1, 1, 1, 4)
        grid.setColumnStretch(0, 4)
        grid.setColumnStretch(1, 5)
        grid.setColumnMinimumWidth(2, 52)
        grid.setColumnMinimumWidth(3, 14)

    def _reset(self) -> None:
        self._form.reset_to_default(self.info.name)

    def show_field(self, field: FieldState) -> None:
        """Show value, origin, change and error."""
        self.editor.show_value(field.value)
        self.editor.show_error(bool(field.error), current_theme().error)
        self.is_idle = bool(field.obstacle) and not field.error and field.origin != "edited"
        self.error.setText(field.error)
        self.error.setVisible(bool(field.error))
        self.mark.setText(_MARKS[field.origin] if field.is_changed or field.origin == "edited" else "")
        self.mark.setToolTip(ORIGINS[field.origin].capitalize())
        self.reset.setEnabled(field.is_changed)
        font = self.label.font()
        font.setBold(field.is_changed)
        self.label.setFont(font)
        for widget in (self.label, self.editor):
            widget.setToolTip(field.tooltip)
            widget.setEnabled(not field.obstacle)


_MARKS = {"built-in": "", "data": "◦", "file": "▪", "user": "●", "edited": "✎"}


class ParameterPanel(QtWidgets.QWidget):
    """Shows and edits the parameters of the selected step.

    Parameters
    ----------
    desk : Desk
        Holds the forms.
    actions : dict of str to QAction
        For the buttons.
    """

    edited = Signal()
    batch_asked = Signal(str)
    """Key that is to be set in all steps that have it."""

    def __init__(self, desk: Desk, actions: dict[str, QtGui.QAction]) -> None:
        super().__init__()
        self._desk = desk
        self.form: ParameterForm | None = None
        self.rows: dict[str, FieldRow] = {}
        self.groups: dict[str, QtWidgets.QGroupBox] = {}
        self.title = QtWidgets.QLabel()
        self.search = QtWidgets.QLineEdit(placeholderText="Search parameters")
        self.banner = QtWidgets.QLabel()
        self.rerun = QtWidgets.QPushButton("Run again from here")
        self.scroller = QtWidgets.QScrollArea()
        self.hidden = QtWidgets.QLabel()
        self.summary = QtWidgets.QLabel()
        self.preview_bar = PreviewBar(desk.preferences)
        self._lay_out(actions)
        self.search.textChanged.connect(lambda _text: self._filter())
        self.search.returnPressed.connect(self._focus_first)
        self.rerun.clicked.connect(actions["run_to_selected"].trigger)
        self._expert_action = actions["toggle_expert"]
        self._expert_action.toggled.connect(lambda _on: self._filter())
        self._hide_action = actions["toggle_hide_idle"]
        self._hide_action.toggled.connect(lambda _on: self._filter())
        self.hidden.linkActivated.connect(lambda _link: self._hide_action.trigger())
        desk.conditions_changed.connect(Postponed(self, self._refresh_banner))
        self.show_form(None)

    def _lay_out(self, actions: dict[str, QtGui.QAction]) -> None:
        self.title.setProperty("role", "heading")
        self.title.setWordWrap(True)
        self.banner.setWordWrap(True)
        self.search.setClearButtonEnabled(True)
        self.scroller.setWidgetResizable(True)
        self.scroller.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        self.scroller.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.summary.setProperty("role", "muted")
        self.summary.setWordWrap(True)
        self.hidden.setWordWrap(True)
        self.hidden.setProperty("role", "muted")
        self.hidden.hide()
        buttons = QtWidgets.QHBoxLayout()
        for name, short in _BUTTONS.items():
            button = QtWidgets.QToolButton()
            actions[name].setIconText(short)
            button.setDefaultAction(actions[name])
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            buttons.addWidget(button)
        buttons.addStretch()
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(6, 2, 4, 4)
        for widget in (self.title, self.search, self.banner, self.rerun, self.scroller):
            layout.addWidget(widget)
        layout.addWidget(self.hidden)
        layout.addWidget(self.summary)
        layout.addWidget(self.preview_bar)
        layout.setStretchFactor(self.scroller, 1)
        layout.addLayout(buttons)

    # --- what is shown ---

    def show_form(self, form: ParameterForm | None) -> None:
        """Show the parameters of another step; None for none."""
        if form is self.form and form is not None:
            return
        if self.form is not None:
            self.form.changed.disconnect(self.refresh)
        self.form = form
        self.rows, self.groups = {}, {}
        self.scroller.setWidget(self._build(form) if form is not None else _nothing())
        self.title.setText(form.step.label if form is not None else "Parameters")
        if form is not None:
            form.changed.connect(self.refresh)
        self.refresh()

    def _build(self, form: ParameterForm) -> QtWidgets.QWidget:
        body = QtWidgets.QWidget()
        column = QtWidgets.QVBoxLayout(body)
        column.setContentsMargins(0, 0, 6, 0)
        column.setSpacing(2)
        inner: dict[str, QtWidgets.QVBoxLayout] = {"": column}
        for info in form.infos:
            if info.group not in inner:
                box = QtWidgets.QGroupBox(info.group)
                inner[info.group] = QtWidgets.QVBoxLayout(box)
                inner[info.group].setContentsMargins(4, 4, 4, 4)
                self.groups[info.group] = box
                column.addWidget(box)
            row = self.rows[info.name] = FieldRow(info, form)
            row.customContextMenuRequested.connect(lambda place, row=row: self._show_menu(row, place))
            inner[info.group].addWidget(self.rows[info.name])
        column.addStretch()
        return body

    def make_menu(self, row: FieldRow) -> QtWidgets.QMenu:
        """Return what can be done with a parameter: put the default back, set it in all steps that have it."""
        menu = QtWidgets.QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        reset = menu.addAction("Put the default back")
        reset.setEnabled(row.reset.isEnabled())
        reset.triggered.connect(row.reset.click)
        shared = {shared.key: len(shared.steps) for shared in list_shared_keys(self._desk.forms)}
        count = shared.get(row.info.key, 0)
        everywhere = menu.addAction(f"Set in all {count} steps that have it…" if count else "No other step has it")
        everywhere.setEnabled(count > 0 and not self._desk.is_busy)
        everywhere.triggered.connect(lambda: self.batch_asked.emit(row.info.key))
        return menu

    def _show_menu(self, row: FieldRow, place: QtCore.QPoint) -> None:
        self.make_menu(row).popup(row.mapToGlobal(place))

    def refresh(self) -> None:
        """Take over what the form holds now."""
        if self.form is None:
            self.summary.clear()
            self._refresh_banner()
            return
        for field in self.form.fields:
            self.rows[field.info.name].show_field(field)
        self._filter()
        self.summary.setText(_summarise(self.form))
        self.summary.setProperty("role", "muted" if self.form.is_valid else "error")
        self.summary.style().polish(self.summary)
        self._refresh_banner()
        self.edited.emit()

    def _refresh_banner(self) -> None:
        rows = self._desk.reduction.rows
        index = self._desk.selection["step"]
        stale = self.form is not None and 0 <= index < len(rows) and rows[index].state == "stale"
        self.banner.setText("This step was done with other values. Run it again to make a new branch." if stale else "")
        self.banner.setVisible(stale)
        self.rerun.setVisible(stale)

    def _filter(self) -> None:
        self.hidden.hide()
        if self.form is None:
            return
        found = set(self.form.search(self.search.text()))
        is_searching = bool(self.search.text().strip())
        shown = [
            row
            for name, row in self.rows.items()
            if name in found and (row.info.level == "basic" or self._expert_action.isChecked() or is_searching)
        ]
        idle = [row for row in shown if row.is_idle and self._hide_action.isChecked() and not is_searching]
        for row in self.rows.values():
            row.setVisible(row in shown and row not in idle)
        self._tell_hidden(len(idle))
        for heading, box in self.groups.items():
            rows = [row for row in self.rows.values() if row.info.group == heading]
            box.setVisible(any(not row.isHidden() for row in rows))

    def _tell_hidden(self, count: int) -> None:
        """Say how many parameters are hidden because they have no effect."""
        words = "parameter without effect is" if count == 1 else "parameters without effect are"
        self.hidden.setText(f"{count} {words} hidden. <a href='show'>Show</a>")
        self.hidden.setVisible(count > 0)

    def _focus_first(self) -> None:
        """Go to the first parameter found."""
        shown = [name for name, row in self.rows.items() if not row.isHidden()]
        self.focus_field(next(iter(shown), ""))

    def focus_field(self, name: str) -> None:
        """Put the cursor into a field."""
        if name in self.rows:
            self.rows[name].show()
            self.scroller.ensureWidgetVisible(self.rows[name])
            editor = self.rows[name].editor
            editor.setFocus(Qt.FocusReason.ShortcutFocusReason)
            if isinstance(editor, TextEditor):
                editor.line.selectAll()


def _nothing() -> QtWidgets.QWidget:
    label = QtWidgets.QLabel("Select a step to see its parameters.")
    label.setAlignment(Qt.AlignmentFlag.AlignCenter)
    label.setProperty("role", "muted")
    return label


def _summarise(form: ParameterForm) -> str:
    errors = form.errors
    if "" in errors:
        return errors[""]
    if errors:
        return f"{len(errors)} {'value is' if len(errors) == 1 else 'values are'} not allowed; nothing is applied."
    edits = sum(field.origin == "edited" for field in form.fields)
    if edits:
        return f"{edits} {'edit' if edits == 1 else 'edits'} not applied yet; the next run applies them."
    changed = sum(field.is_changed for field in form.fields)
    return f"{changed} of {len(form.infos)} differ from the default." if changed else "All values are defaults."
