"""One editor for each kind of parameter; made from the declaration, it knows nothing of the form around it."""

from __future__ import annotations

from typing import Any

from sofia_app.models.parameters import format_value
from sofia_app.views.buttons import make_button
from sofia_engine.pipeline.parameters import ParameterInfo
from sofia_viewers.qt import QtGui, QtWidgets, Signal

__all__ = ["FieldEditor", "TextEditor", "make_editor"]


class FieldEditor(QtWidgets.QWidget):
    """Base of all editors; `edited` carries the new value or, where it is typed, its text."""

    edited = Signal(object)

    def __init__(self, info: ParameterInfo) -> None:
        super().__init__()
        self.info = info
        self._layout = QtWidgets.QHBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(4)

    def _hold(self, widget: QtWidgets.QWidget) -> None:
        widget.setAccessibleName(self.info.label)
        self._layout.addWidget(widget)
        self.setFocusProxy(widget)

    def show_value(self, value: Any) -> None:
        """Show a value without telling that it was edited."""
        raise NotImplementedError

    def show_error(self, is_wrong: bool, color: str) -> None:
        """Mark the value as wrong."""


class SwitchEditor(FieldEditor):
    """A check box."""

    def __init__(self, info: ParameterInfo) -> None:
        super().__init__(info)
        self.box = QtWidgets.QCheckBox()
        self._hold(self.box)
        self._layout.addStretch()
        self.box.clicked.connect(lambda checked: self.edited.emit(checked))  # noqa: PLW0108 - the signal itself would lose the value

    def show_value(self, value: Any) -> None:
        """Show a switch."""
        self.box.setChecked(bool(value))


class ChoiceEditor(FieldEditor):
    """A list of choices."""

    def __init__(self, info: ParameterInfo) -> None:
        super().__init__(info)
        self.box = QtWidgets.QComboBox()
        self.box.setSizeAdjustPolicy(QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.box.setMinimumContentsLength(8)
        choices = [*([None] if info.optional else []), *info.choices]
        for choice in choices:
            self.box.addItem(format_value(choice), choice)
        self._choices = choices
        self._hold(self.box)
        self.box.activated.connect(lambda index: self.edited.emit(self._choices[index]))

    def show_value(self, value: Any) -> None:
        """Show a choice."""
        self.box.setCurrentIndex(self._choices.index(value) if value in self._choices else -1)

    def wheelEvent(self, event: QtGui.QWheelEvent) -> None:  # noqa: N802
        """Leave the wheel to the form, lest scrolling changes values."""
        event.ignore()


class TextEditor(FieldEditor):
    """A line of text: numbers, lists, words."""

    def __init__(self, info: ParameterInfo) -> None:
        super().__init__(info)
        self.line = QtWidgets.QLineEdit()
        self.line.setPlaceholderText(_placeholder(info))
        self._hold(self.line)
        self.line.textEdited.connect(self.edited.emit)

    def show_value(self, value: Any) -> None:
        """Show a value as text; what is being typed stays as it is typed."""
        text = value if isinstance(value, str) else format_value(value)
        if text != self.line.text() and not self.line.hasFocus():
            self.line.setText(text)
        elif text != self.line.text() and not isinstance(value, str):
            self._replace(text)

    def _replace(self, text: str) -> None:
        """Show a value that was not typed here; a typed text that means the same is left alone."""
        if not self.line.isModified() or not _means_same(self.line.text(), text):
            self.line.setText(text)

    def show_error(self, is_wrong: bool, color: str) -> None:
        """Put a red line around a wrong value."""
        self.line.setStyleSheet(f"QLineEdit {{ border: 1px solid {color}; }}" if is_wrong else "")


class PathEditor(TextEditor):
    """A line of text with a button to pick a file or folder."""

    def __init__(self, info: ParameterInfo) -> None:
        super().__init__(info)
        self.button = make_button("…", self._choose)
        self.button.setAccessibleName(f"Choose {info.label}")
        self.button.setToolTip("Choose a folder" if info.kind == "directory" else "Choose a file")
        self._layout.addWidget(self.button)

    def _choose(self) -> None:
        dialog = QtWidgets.QFileDialog
        if self.info.kind == "directory":
            chosen = dialog.getExistingDirectory(self, self.info.label, self.line.text())
        else:
            chosen, _ = dialog.getOpenFileName(self, self.info.label, self.line.text())
        if chosen:
            self.line.setText(chosen)
            self.edited.emit(chosen)


def _placeholder(info: ParameterInfo) -> str:
    if info.kind == "file":
        return "chosen by date"
    if info.kind == "list":
        return "values with commas between"
    return "none" if info.optional else ""


def _means_same(typed: str, shown: str) -> bool:
    try:
        return float(typed) == float(shown)
    except ValueError:
        return typed.replace(" ", "").lower() == shown.replace(" ", "").lower()


def make_editor(info: ParameterInfo) -> FieldEditor:
    """Return the editor for a parameter."""
    kinds: dict[str, type[FieldEditor]] = {
        "bool": SwitchEditor,
        "choice": ChoiceEditor,
        "file": PathEditor,
        "directory": PathEditor,
    }
    return kinds.get(info.kind, TextEditor)(info)
