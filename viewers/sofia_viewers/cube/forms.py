"""Small parts of the tool panels."""

from __future__ import annotations

from sofia_viewers.qt import Qt, QtWidgets

__all__ = ["Panel", "make_double", "make_integer"]


class Panel(QtWidgets.QScrollArea):
    """A tool panel: rows of labelled controls that scroll where the window is low."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWidgetResizable(True)
        self.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        body = QtWidgets.QWidget()
        self.setWidget(body)
        column = QtWidgets.QVBoxLayout(body)
        column.setContentsMargins(8, 6, 8, 6)
        self.form = QtWidgets.QFormLayout()
        self.form.setFieldGrowthPolicy(QtWidgets.QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        column.addLayout(self.form)
        column.addStretch(1)

    def add(self, label: str, *widgets: QtWidgets.QWidget) -> None:
        """Add a row; without a label it takes the whole width."""
        row = QtWidgets.QHBoxLayout()
        row.setSpacing(4)
        for widget in widgets:
            row.addWidget(widget, 1)
        if label:
            self.form.addRow(label, row)
            if not widgets[0].accessibleName():
                widgets[0].setAccessibleName(label.replace("&", ""))
        else:
            self.form.addRow(row)

    def add_heading(self, text: str) -> None:
        """Add a heading."""
        heading = QtWidgets.QLabel(text)
        heading.setProperty("role", "heading")
        self.form.addRow(heading)


def make_double(low: float, high: float, value: float, digits: int = 1, tip: str = "") -> QtWidgets.QDoubleSpinBox:
    """Make a box for a number."""
    box = QtWidgets.QDoubleSpinBox()
    box.setRange(low, high)
    box.setDecimals(digits)
    box.setValue(value)
    box.setToolTip(tip)
    box.setKeyboardTracking(False)
    return box


def make_integer(low: int, high: int, value: int, tip: str = "") -> QtWidgets.QSpinBox:
    """Make a box for a whole number."""
    box = QtWidgets.QSpinBox()
    box.setRange(low, high)
    box.setValue(value)
    box.setToolTip(tip)
    return box
