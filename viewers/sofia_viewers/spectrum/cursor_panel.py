"""Cursor read-out: values of all curves under the cursor, as a line below the panes and as a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sofia_viewers.qt import Qt, QtGui, QtWidgets, Signal
from sofia_viewers.spectrum.curves import Curve
from sofia_viewers.spectrum.session import PaneContent

__all__ = ["CursorPanel", "CursorTable", "Reading", "read_curves"]

_HEADINGS = (
    "File",
    "Order",
    "Aperture",
    "Color",
    "X Field",
    "Y Field",
    "X Cursor",
    "Y Cursor",
    "X Value",
    "Y Value",
    "Column",
)


@dataclass(frozen=True)
class Reading:
    """Value of a curve at the point nearest to the cursor along x."""

    curve: Curve
    x: float
    y: float
    column: int


def read_curves(curves: Sequence[Curve], x: float) -> list[Reading]:
    """Return the nearest point of each curve that has x in its range."""
    readings = []
    for curve in curves:
        known = np.isfinite(curve.x)
        if not known.any():
            continue
        spacing = (np.nanmax(curve.x) - np.nanmin(curve.x)) / max(len(curve.x) - 1, 1)
        if not np.nanmin(curve.x) - spacing <= x <= np.nanmax(curve.x) + spacing:
            continue
        column = int(np.nanargmin(np.abs(curve.x - x)))
        readings.append(Reading(curve, float(curve.x[column]), float(curve.y[column]), column))
    return readings


class CursorPanel(QtWidgets.QFrame):
    """One line: cursor, and mean of the nearest points of the visible curves."""

    popout_requested = Signal()
    switched = Signal(bool)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.enabled = QtWidgets.QCheckBox("Cursor")
        self.enabled.setToolTip("Cursor Location: values of the spectra under the cursor")
        self.popout = QtWidgets.QToolButton()
        self.popout.setText("Popout")
        self.popout.setToolTip("Table of all visible spectra")
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(4, 0, 4, 0)
        layout.addWidget(self.enabled)
        self.values: dict[str, QtWidgets.QLabel] = {}
        for name in ("X Cursor", "Y Cursor", "X Value", "Y Value", "Column"):
            layout.addWidget(QtWidgets.QLabel(f"{name}:"))
            self.values[name] = QtWidgets.QLabel("–")
            self.values[name].setMinimumWidth(36)
            self.values[name].setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            layout.addWidget(self.values[name])
        layout.addStretch(1)
        layout.addWidget(self.popout)
        self.enabled.toggled.connect(self.switched)
        self.popout.clicked.connect(self.popout_requested)

    def show_reading(self, x: float | None, y: float | None, readings: Sequence[Reading]) -> None:
        """Show the cursor; None empties the panel."""
        found = [r for r in readings if math.isfinite(r.y)]
        means: Any = (math.nan,) * 3
        if found:
            means = tuple(float(np.mean(v)) for v in zip(*((r.x, r.y, r.column) for r in found), strict=True))
        texts = ["–" if x is None or y is None else _write(v, 2) for v in (x or 0.0, y or 0.0)]
        texts += ["–" if not math.isfinite(v) else _write(v, 3) for v in means[:2]]
        texts.append(f"{means[2]:.3f}" if math.isfinite(means[2]) else "–")
        for label, text in zip(self.values.values(), texts, strict=True):
            label.setText(text)


def _write(value: float, decimals: int) -> str:
    """Write a number with some decimals, or with six digits where these would not tell two points apart."""
    size = abs(value)
    if size >= 1e6 or 0 < size < 0.1:
        return f"{value:.4g}"
    return f"{value:.{decimals}f}" if size == 0 or size >= 1000 else f"{value:.{max(decimals, 5 - _digits(size))}f}"


def _digits(size: float) -> int:
    return max(0, math.floor(math.log10(size)))


class CursorTable(QtWidgets.QTableWidget):
    """One row per visible curve."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(0, len(_HEADINGS), parent)
        self.setWindowFlag(Qt.WindowType.Window)
        self.setWindowTitle("Cursor Location")
        self.setHorizontalHeaderLabels(list(_HEADINGS))
        self.setEditTriggers(QtWidgets.QAbstractItemView.EditTrigger.NoEditTriggers)
        self.resize(900, 240)

    def show_readings(self, cursor: tuple[float, float], readings: Sequence[Reading], content: PaneContent) -> None:
        """Show the values of all curves."""
        self.setRowCount(len(readings))
        for row, reading in enumerate(readings):
            curve = reading.curve
            cells = [
                curve.name, str(curve.order), str(curve.aperture), "", content.x_label,
                content.y_label.replace("\n", " "),
                f"{cursor[0]:.5g}", f"{cursor[1]:.5g}", f"{reading.x:.6g}", f"{reading.y:.6g}", str(reading.column),
            ]  # fmt: skip
            for column, text in enumerate(cells):
                item = self.item(row, column)
                if item is None:
                    item = QtWidgets.QTableWidgetItem()
                    self.setItem(row, column, item)
                item.setText(text)
                if _HEADINGS[column] == "Color":
                    item.setBackground(QtGui.QColor(curve.color))
