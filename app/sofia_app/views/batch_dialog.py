"""Asks for the value that a parameter is to have in several steps, and shows which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sofia_app.models.batch_edit import SharedKey, Target, list_shared_keys, plan_edit
from sofia_app.models.parameters import ParameterForm, format_value
from sofia_app.views.parameter_fields import FieldEditor, make_editor
from sofia_viewers.qt import Qt, QtWidgets, Signal

__all__ = ["BatchDialog"]

_BUTTON = QtWidgets.QDialogButtonBox.StandardButton
_CHECKED, _UNCHECKED = Qt.CheckState.Checked, Qt.CheckState.Unchecked
_STEP = Qt.ItemDataRole.UserRole


class BatchDialog(QtWidgets.QDialog):
    """Asks for key, value and steps.

    Parameters
    ----------
    parent : QWidget or None
        Owner.
    forms : sequence of ParameterForm
        Of all steps.
    key : str
        Key to begin with; the first that several steps have if it is not among them.
    """

    edit_asked = Signal(str, object, object)
    """Key, value, and positions of the steps."""

    def __init__(self, parent: QtWidgets.QWidget | None, forms: Sequence[ParameterForm], key: str = "") -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Set in all steps")
        self.setMinimumSize(480, 420)
        self._forms = forms
        self._keys = {shared.key: shared for shared in list_shared_keys(forms)}
        self._left_out: set[int] = set()
        self.value: Any = None
        self.parameter = QtWidgets.QComboBox()
        self.editor: FieldEditor | None = None
        self.place = QtWidgets.QVBoxLayout()
        self.steps = QtWidgets.QListWidget()
        self.note = QtWidgets.QLabel()
        self.buttons = QtWidgets.QDialogButtonBox(_BUTTON.Ok | _BUTTON.Cancel)
        for shared in self._keys.values():
            self.parameter.addItem(f"{shared.info.label} ({shared.key}), {len(shared.steps)} steps", shared.key)
        self._lay_out()
        self._connect()
        self.parameter.setCurrentIndex(max(self.parameter.findData(key), 0))
        self._take_key()

    def _lay_out(self) -> None:
        self.steps.setAccessibleName("Steps")
        self.steps.setWordWrap(True)
        self.note.setProperty("role", "muted")
        self.note.setWordWrap(True)
        form = QtWidgets.QFormLayout(self)
        form.addRow("Parameter", self.parameter)
        form.addRow("Value", self.place)
        form.addRow("Steps", self.steps)
        form.addRow(self.note)
        form.addRow(self.buttons)

    def _connect(self) -> None:
        self.buttons.accepted.connect(self._ask)
        self.buttons.rejected.connect(self.reject)
        self.parameter.currentIndexChanged.connect(lambda _place: self._take_key())
        self.steps.itemChanged.connect(self._take_check)

    @property
    def shared(self) -> SharedKey | None:
        """The parameter that is chosen; None if no two steps have one in common."""
        return self._keys.get(self.parameter.currentData() or "")

    @property
    def chosen(self) -> tuple[int, ...]:
        """Positions of the steps that are to have the value."""
        items = [self.steps.item(row) for row in range(self.steps.count())]
        return tuple(item.data(_STEP) for item in items if item.checkState() == _CHECKED)

    def _ask(self) -> None:
        if self.shared is not None:
            self.edit_asked.emit(self.shared.key, self.value, self.chosen)
        self.accept()

    def _take_key(self) -> None:
        """Show an editor for another parameter, with the value of the first step."""
        if self.editor is not None:
            self.place.removeWidget(self.editor)
            self.editor.hide()
            self.editor.deleteLater()
            self.editor = None
        self._left_out.clear()
        if self.shared is not None:
            info = self.shared.info
            self.value = self._forms[self.shared.steps[0]].field(info.name).value
            self.editor = make_editor(info)
            self.editor.show_value(self.value)
            self.editor.edited.connect(self._take_value)
            self.place.addWidget(self.editor)
        self._show_steps()

    def _take_value(self, value: Any) -> None:
        self.value = value
        self._show_steps()

    def _take_check(self, item: QtWidgets.QListWidgetItem) -> None:
        step = item.data(_STEP)
        (self._left_out.discard if item.checkState() == _CHECKED else self._left_out.add)(step)
        self._tell()

    def _show_steps(self) -> None:
        """List the steps with the values they have; those that cannot have the new one say why."""
        self.steps.blockSignals(True)
        self.steps.clear()
        for target in plan_edit(self._forms, self.shared.key, self.value) if self.shared is not None else ():
            self.steps.addItem(self._make_item(target))
        self.steps.blockSignals(False)
        self._tell()

    def _make_item(self, target: Target) -> QtWidgets.QListWidgetItem:
        now = format_value(target.value) or "empty"
        text = f"{target.label}: {now}" if not target.problem else f"{target.label}: {now}. {target.problem}"
        item = QtWidgets.QListWidgetItem(text)
        item.setData(_STEP, target.step)
        flags = Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        item.setFlags(flags if not target.problem else Qt.ItemFlag.NoItemFlags)
        wanted = not target.problem and target.step not in self._left_out
        item.setCheckState(_CHECKED if wanted else _UNCHECKED)
        return item

    def _tell(self) -> None:
        count = len(self.chosen)
        value = format_value(self.value) or "empty"
        if self.shared is None:
            self.note.setText("No two steps have a parameter in common.")
        else:
            steps = "step gets" if count == 1 else "steps get"
            self.note.setText(f"{count} {steps} {self.shared.key} = {value}; it can be undone as one edit.")
        self.buttons.button(_BUTTON.Ok).setEnabled(count > 0)
