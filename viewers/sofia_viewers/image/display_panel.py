"""Side panel: limits, stretch, colours, plane and slice of the current frame."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from sofia_viewers.colormaps import FAVOURITE_MAPS, list_color_maps, make_color_table
from sofia_viewers.image.display import LIMIT_RULES, STRETCHES, DisplayState, LimitsRule
from sofia_viewers.image.frame import ALL_IN_CUBE, SIGNAL_TO_NOISE
from sofia_viewers.image.frames import FrameEntry
from sofia_viewers.image.histogram import LimitsHistogram
from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets, Signal
from sofia_viewers.unit_names import show_unit

__all__ = ["DisplayPanel"]

_RULE_NAMES = {
    "zscale": "ZScale", "zmax": "ZMax", "minmax": "MinMax", "percentile": "Percentile", "manual": "Manual",
}  # fmt: skip
_PERCENTAGES = (99.9, 99.5, 99.0, 98.0, 95.0, 90.0)


class DisplayPanel(QtWidgets.QWidget):
    """Shows and changes how the current frame is displayed.

    Signals carry what the user asks for; `show_entry` sets what is shown without any signal.
    """

    display_changed = Signal(object)
    rule_changed = Signal(object)
    plane_chosen = Signal(str)
    slice_chosen = Signal(int)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._display = DisplayState()
        self._quiet = False
        self.plane = QtWidgets.QComboBox()
        self.slice = QtWidgets.QSlider(Qt.Orientation.Horizontal)
        self.slice_label = QtWidgets.QLabel()
        self.rule = QtWidgets.QComboBox()
        self.percentage = QtWidgets.QComboBox()
        self.low, self.high = _NumberField("Lowest value"), _NumberField("Highest value")
        self.stretch = QtWidgets.QComboBox()
        self.color_map = QtWidgets.QComboBox()
        self.invert = QtWidgets.QCheckBox("Invert")
        self.reset = QtWidgets.QPushButton("Reset contrast")
        self.histogram = LimitsHistogram()
        self._fill_choices()
        self._lay_out()
        self._connect()

    def show_entry(self, entry: FrameEntry | None) -> None:
        """Show the values of a frame."""
        self.setEnabled(entry is not None)
        if entry is None:
            self._form.setRowVisible(self.slice, False)
            self._form.setRowVisible(self.slice_label, False)
            self.percentage.hide()
            return
        self._quiet = True
        self._show_planes(entry)
        self._show_display(entry.display)
        self.histogram.set_sample(entry.sample)
        self.histogram.set_limits(entry.display.limits)
        self._quiet = False

    def show_display(self, display: DisplayState) -> None:
        """Show limits and colours only: cheap enough for every move of the mouse."""
        self._quiet = True
        self._show_display(display)
        self.histogram.set_limits(display.limits)
        self._quiet = False

    def _show_planes(self, entry: FrameEntry) -> None:
        frame = entry.frame
        names = list(frame.file.planes)
        if frame.file.can_compute_signal_to_noise and SIGNAL_TO_NOISE not in names:
            names.append(SIGNAL_TO_NOISE)
        if len(frame.file.planes) > 1 and frame.file.slice_axis is None:
            names.append(ALL_IN_CUBE)
        if frame.plane.name not in names:
            names.append(frame.plane.name)
        if [self.plane.itemText(i) for i in range(self.plane.count())] != names:
            self.plane.clear()
            self.plane.addItems(names)
        self.plane.setCurrentText(frame.plane.name)
        n_slices = frame.plane.n_slices
        self.slice.setRange(0, n_slices - 1)
        self.slice.setValue(frame.slice_number)
        self._form.setRowVisible(self.slice, n_slices > 1)
        self._form.setRowVisible(self.slice_label, n_slices > 1)
        self.slice_label.setText(_describe_slice(entry))

    def _show_display(self, display: DisplayState) -> None:
        self._display = display
        self.rule.setCurrentIndex(LIMIT_RULES.index(display.rule.kind))
        self.percentage.setVisible(display.rule.kind == "percentile")
        if display.rule.kind == "percentile":
            self.percentage.setCurrentText(f"{display.rule.high - display.rule.low:g} %")
        self.low.set_value(display.limits[0])
        self.high.set_value(display.limits[1])
        self.stretch.setCurrentText(display.stretch)
        if self.color_map.findText(display.color_map) < 0:
            self.color_map.addItem(_map_icon(display.color_map), display.color_map)
        self.color_map.setCurrentText(display.color_map)
        self.invert.setChecked(display.invert)

    def _fill_choices(self) -> None:
        for kind in LIMIT_RULES:
            self.rule.addItem(_RULE_NAMES[kind], kind)
        self.percentage.setEditable(True)
        self.percentage.addItems([f"{p:g} %" for p in _PERCENTAGES])
        self.stretch.addItems(STRETCHES)
        self.color_map.setIconSize(QtCore.QSize(64, 12))
        for name in FAVOURITE_MAPS:
            self.color_map.addItem(_map_icon(name), name)
        self.color_map.insertSeparator(self.color_map.count())
        for name in list_color_maps():
            if name not in FAVOURITE_MAPS:
                self.color_map.addItem(name)
        for box in (self.plane, self.color_map, self.rule, self.stretch, self.percentage):
            box.setSizeAdjustPolicy(QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            box.setMinimumContentsLength(8)

    def _lay_out(self) -> None:
        column = QtWidgets.QVBoxLayout(self)
        form = QtWidgets.QFormLayout()
        column.addLayout(form)
        column.addStretch(1)
        self._form = form
        form.setRowWrapPolicy(QtWidgets.QFormLayout.RowWrapPolicy.DontWrapRows)
        form.setFieldGrowthPolicy(QtWidgets.QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        limits = QtWidgets.QHBoxLayout()
        limits.addWidget(self.low)
        limits.addWidget(self.high)
        rule = QtWidgets.QHBoxLayout()
        rule.addWidget(self.rule, 1)
        rule.addWidget(self.percentage, 1)
        colors = QtWidgets.QHBoxLayout()
        colors.addWidget(self.invert)
        colors.addWidget(self.reset, 1)
        rows = (
            ("&Plane", self.plane), ("S&lice", self.slice), ("", self.slice_label), ("Limits", rule),
            ("Range", limits), ("", self.histogram), ("&Stretch", self.stretch), ("&Colors", self.color_map),
            ("", colors),
        )  # fmt: skip
        for label, field in rows:
            if label:
                form.addRow(label, field)
            else:
                form.addRow(field)

    def _connect(self) -> None:
        self.plane.textActivated.connect(self._choose_plane)
        self.slice.valueChanged.connect(self._choose_slice)
        self.rule.activated.connect(self._choose_rule)
        self.percentage.activated.connect(self._choose_rule)
        edit = self.percentage.lineEdit()
        if edit is not None:
            edit.editingFinished.connect(self._choose_rule)
        self.low.committed.connect(self._take_range)
        self.high.committed.connect(self._take_range)
        self.histogram.limits_dragged.connect(self._take_limits)
        self.stretch.textActivated.connect(lambda text: self._change(stretch=text))
        self.color_map.textActivated.connect(lambda text: self._change(color_map=text))
        self.invert.toggled.connect(lambda on: self._change(invert=on))
        self.reset.clicked.connect(lambda: self._change(contrast=1.0, bias=0.5))

    def _change(self, **values: object) -> None:
        if not self._quiet:
            self._display = replace(self._display, **values)  # type: ignore[arg-type]
            self.display_changed.emit(self._display)

    def _take_limits(self, low: float, high: float) -> None:
        if not self._quiet and high > low:
            display = self._display.with_limits(low, high)
            self._change(limits=display.limits, rule=display.rule)

    def _take_range(self) -> None:
        low, high = self.low.value(), self.high.value()
        if low is not None and high is not None:
            self._take_limits(low, high)

    def _choose_rule(self) -> None:
        kind = LIMIT_RULES[self.rule.currentIndex()]
        self.percentage.setVisible(kind == "percentile")
        if self._quiet:
            return
        if kind == "manual":
            self._take_limits(*self._display.limits)
            return
        rule = LimitsRule(kind)  # type: ignore[arg-type]
        if kind == "percentile":
            try:
                inside = min(max(float(self.percentage.currentText().strip(" %")), 1.0), 100.0)
            except ValueError:
                inside = _PERCENTAGES[1]
            rule = LimitsRule("percentile", (100.0 - inside) / 2, (100.0 + inside) / 2)
        if rule != self._display.rule:
            self.rule_changed.emit(rule)

    def _choose_plane(self, name: str) -> None:
        if not self._quiet:
            self.plane_chosen.emit(name)

    def _choose_slice(self, number: int) -> None:
        if not self._quiet:
            self.slice_chosen.emit(number)


class _NumberField(QtWidgets.QLineEdit):
    """A number of any size."""

    committed = Signal()

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setToolTip(name)
        self.setValidator(QtGui.QDoubleValidator(self))
        self.setMinimumWidth(60)
        self.editingFinished.connect(self._commit)

    def value(self) -> float | None:
        """Return the number, None if there is none."""
        try:
            return float(self.text())
        except ValueError:
            return None

    def set_value(self, value: float) -> None:
        """Show a number."""
        self.setText(f"{value:.5g}")
        self.setCursorPosition(0)
        self.setModified(False)

    def _commit(self) -> None:
        if self.isModified():
            self.setModified(False)
            self.committed.emit()


def _describe_slice(entry: FrameEntry) -> str:
    frame = entry.frame
    text = f"{frame.slice_number + 1} of {frame.plane.n_slices}"
    axis = frame.wavelengths
    return text if axis is None else f"{text}   {axis[0][frame.slice_number]:.5g} {show_unit(axis[1])}"


def _map_icon(name: str) -> QtGui.QIcon:
    return QtGui.QIcon(QtGui.QPixmap.fromImage(_draw_map(name)))


@lru_cache(maxsize=64)
def _draw_map(name: str) -> QtGui.QImage:
    """Return a strip of a colour map; an image, as pixmaps must not outlive the application."""
    strip = np.repeat(make_color_table(name, 64)[None], 12, axis=0)
    return QtGui.QImage(strip.tobytes(), 64, 12, 3 * 64, QtGui.QImage.Format.Format_RGB888).copy()
