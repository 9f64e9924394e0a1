"""Parts of the control column that can be folded, and small controls."""

from __future__ import annotations

import math

from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets, Signal

__all__ = ["LimitEdit", "Section", "make_button", "make_combo", "set_combo"]


class Section(QtWidgets.QWidget):
    """A heading that folds what is below it."""

    def __init__(self, title: str, parent: QtWidgets.QWidget | None = None, *, is_open: bool = True) -> None:
        super().__init__(parent)
        self.button = QtWidgets.QToolButton()
        self.button.setText(title)
        self.button.setCheckable(True)
        self.button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.button.setSizePolicy(QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Fixed)
        self.button.setProperty("role", "heading")
        self.body = QtWidgets.QWidget()
        self.form = QtWidgets.QVBoxLayout(self.body)
        self.form.setContentsMargins(6, 2, 2, 6)
        self.form.setSpacing(4)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.button)
        layout.addWidget(self.body)
        self.button.toggled.connect(self._fold)
        self.button.setChecked(is_open)
        self._fold(is_open)

    def _fold(self, is_open: bool) -> None:
        self.body.setVisible(is_open)
        self.button.setArrowType(Qt.ArrowType.DownArrow if is_open else Qt.ArrowType.RightArrow)

    def add(self, *widgets: QtWidgets.QWidget, label: str = "") -> QtWidgets.QHBoxLayout:
        """Add a row of widgets, with a label in front."""
        row = QtWidgets.QHBoxLayout()
        row.setSpacing(4)
        if label:
            text = QtWidgets.QLabel(label)
            text.setMinimumWidth(64)
            text.setBuddy(widgets[0])
            widgets[0].setAccessibleName(label)
            row.addWidget(text)
        for widget in widgets:
            row.addWidget(
                widget,
                1 if isinstance(widget, QtWidgets.QComboBox | QtWidgets.QLineEdit | QtWidgets.QTreeWidget) else 0,
            )
        self.form.addLayout(row)
        return row


_LEAST, _LARGEST = 1e-100, 1e100
"""Numbers beyond are typing errors."""


class LimitEdit(QtWidgets.QLineEdit):
    """A number typed in a box; ``committed`` carries it, NaN for an emptied box."""

    committed = Signal(float)

    def __init__(self, tip: str, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.setToolTip(tip)
        self.setAccessibleName(tip)
        self.setPlaceholderText("auto")
        self._value, self._shown = math.nan, ""
        self.editingFinished.connect(self._commit)

    def show_value(self, value: float | None, step: float = math.inf) -> None:
        """Show a number, unless the user is typing; with digits enough for steps of some size."""
        if self.hasFocus() and self.isModified():
            return
        self._value = math.nan if value is None else value
        self._shown = format_limit(value, step)
        self.setText(self._shown)

    def _commit(self) -> None:
        if not self.isModified():
            return
        self.setModified(False)
        value = self._parse()
        if math.isnan(value) and self.text().strip():
            self.show_again()
            return
        self.committed.emit(value)

    def show_again(self) -> None:
        """Show the number that was there before something was typed."""
        self.setText(self._shown)

    def _parse(self) -> float:
        """Return the number that was typed; NaN if it is none, or none that can be meant."""
        try:
            value = float(self.text().strip().replace(",", "."))
        except ValueError:
            return math.nan
        return value if value == 0.0 or _LEAST <= abs(value) <= _LARGEST else math.nan

    def read(self) -> float:
        """Return the number in the box, typed or shown (then with all its digits); NaN for an empty one."""
        return self._value if self.text() == self._shown else self._parse()


def format_limit(value: float | None, step: float = math.inf) -> str:
    """Write a limit with three decimals, or in short where these would not do; with more digits for small steps."""
    if value is None or not math.isfinite(value):
        return ""
    size = abs(value)
    digits = 5
    if 0.0 < step < size:
        digits = min(max(digits, 1 + math.ceil(math.log10(size / step))), 15)
    if size == 0 or 0.1 <= size < 1e5:
        return f"{value:.{max(3, digits - 1 - math.floor(math.log10(size or 1.0)))}f}" if digits > 5 else f"{value:.3f}"
    return f"{value:.{digits}g}"


def make_combo(items: list[str], tip: str) -> QtWidgets.QComboBox:
    """Make a choice that does not widen its column."""
    combo = QtWidgets.QComboBox()
    combo.setToolTip(tip)
    combo.setAccessibleName(tip)
    combo.setSizeAdjustPolicy(QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(6)
    combo.addItems(items)
    return combo


def set_combo(combo: QtWidgets.QComboBox, items: list[tuple[str, str]] | None, value: str) -> None:
    """Show other choices (text and value) and the one that holds, without telling anybody."""
    blocker = QtCore.QSignalBlocker(combo)
    if items is not None and [(combo.itemText(i), combo.itemData(i)) for i in range(combo.count())] != items:
        combo.clear()
        for text, data in items:
            combo.addItem(text, data)
    index = combo.findData(value)
    combo.setCurrentIndex(index if index >= 0 else combo.findText(value))
    del blocker


def make_button(
    text: str, tip: str, icon: QtGui.QIcon | None = None, *, checkable: bool = False
) -> QtWidgets.QPushButton:
    """Make a button."""
    button = QtWidgets.QPushButton(text)
    button.setToolTip(tip)
    button.setCheckable(checkable)
    button.setAutoDefault(False)
    if icon is not None:
        button.setIcon(icon)
    return button
