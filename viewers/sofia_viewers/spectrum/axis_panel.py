"""Panels **Axis** and **Plot**: fields, units, limits and scales; how curves are drawn."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from sofia_engine.errors import ParameterError
from sofia_viewers.qt import QtCore, QtWidgets, Signal
from sofia_viewers.spectrum.colors import COLOR_CYCLES
from sofia_viewers.spectrum.curves import SIGNAL_TO_NOISE
from sofia_viewers.spectrum.sections import LimitEdit, Section, make_button, make_combo, set_combo
from sofia_viewers.spectrum.session import SpectrumSession
from sofia_viewers.spectrum.spectrum import label_field
from sofia_viewers.spectrum.units import VELOCITY
from sofia_viewers.unit_names import show_unit

__all__ = ["AxisPanel", "PlotPanel"]

_FINE = 1e-3
"""Part of the range shown that the numbers of limits tell apart."""


class AxisPanel(Section):
    """Axes of the current pane.

    Parameters
    ----------
    session : SpectrumSession
        What is shown.
    targets : callable
        Gives the numbers of the panes that changes act on.
    """

    zoom_requested = Signal(str)
    reset_requested = Signal()
    failed = Signal(str)

    def __init__(self, session: SpectrumSession, targets: Callable[[], list[int]]) -> None:
        super().__init__("Axis")
        self.session, self.targets = session, targets
        self.apply_to = make_combo(["Primary", "Overplot", "Both"], "Axis that changes of y act on")
        self.overplot = QtWidgets.QCheckBox("Overplot Enabled")
        self.overplot.setToolTip("Draw another field on a second y axis, dotted")
        self.x_field, self.y_field = make_combo([], "X field"), make_combo([], "Y field")
        self.x_unit, self.y_unit = make_combo([], "X unit"), make_combo([], "Y unit")
        self.x_low, self.x_high = LimitEdit("Lower x limit; empty for automatic"), LimitEdit("Upper x limit")
        self.y_low, self.y_high = LimitEdit("Lower y limit; empty for automatic"), LimitEdit("Upper y limit")
        self.x_scale, self.y_scale = make_combo(["Linear", "Log"], "X scale"), make_combo(["Linear", "Log"], "Y scale")
        self.zoom_x, self.zoom_y, self.zoom_box = (
            make_button(text, f"Then two clicks or a drag in the plot (key {key})", checkable=True)
            for text, key in (("X", "x"), ("Y", "y"), ("Box", "z"))
        )
        self.reset = make_button("Reset", "Show all of the data (key w)")
        self.rest = LimitEdit("Wavelength of the line that velocities refer to, μm")
        self.convention = make_combo(["optical", "radio", "relativistic"], "Meaning of velocity")
        self.formula_name, self.formula = QtWidgets.QLineEdit(), QtWidgets.QLineEdit()
        self._lay_out()
        self._connect()
        self.refresh()

    def _lay_out(self) -> None:
        self.add(self.apply_to, self.overplot, label="Apply to:")
        self.add(self.x_field, self.x_unit, label="X Field")
        self.add(self.y_field, self.y_unit, label="Y Field")
        self.add(self.x_low, self.x_high, label="X Limits")
        self.add(self.y_low, self.y_high, label="Y Limits")
        self.add(self.x_scale, self.y_scale, label="Scale x, y")
        for button in (self.zoom_x, self.zoom_y, self.zoom_box):
            button.setMaximumWidth(48)
        self.add(self.zoom_x, self.zoom_y, self.zoom_box, self.reset, label="Zoom")
        self.add(self.rest, self.convention, label="Rest [μm]")
        self.formula_name.setPlaceholderText("name")
        self.formula_name.setMaximumWidth(64)
        self.formula.setPlaceholderText("spectral_flux / transmission")
        self.formula.setToolTip("A formula of fields makes a new field: give a name and press Return; empty removes it")
        self.formula.setAccessibleName("Formula")
        self.add(self.formula_name, self.formula, label="Formula")

    def _connect(self) -> None:
        self.apply_to.currentIndexChanged.connect(lambda _: self.refresh())
        self.overplot.toggled.connect(lambda on: self._pane(overplot_enabled=on))
        self.x_field.activated.connect(
            lambda _: self._pane(x_field=self.x_field.currentData(), x_unit="", x_limits=None)
        )
        self.x_unit.activated.connect(lambda _: self._choose_x_unit(self.x_unit.currentData()))
        self.y_field.activated.connect(lambda _: self._y(field=self.y_field.currentData(), unit="", limits=None))
        self.y_unit.activated.connect(lambda _: self._y(unit=self.y_unit.currentData(), limits=None))
        for edit in (self.x_low, self.x_high):
            edit.committed.connect(lambda _: self._type_x())
        for edit in (self.y_low, self.y_high):
            edit.committed.connect(lambda _: self._type_y())
        self.x_scale.activated.connect(lambda _: self._pane(x_scale=self.x_scale.currentText().lower(), x_limits=None))
        self.y_scale.activated.connect(lambda _: self._y(scale=self.y_scale.currentText().lower(), limits=None))
        for button, mode in ((self.zoom_x, "zoom x"), (self.zoom_y, "zoom y"), (self.zoom_box, "zoom box")):
            button.clicked.connect(lambda on, mode=mode: self.zoom_requested.emit(mode if on else "pan"))
        self.reset.clicked.connect(self.reset_requested)
        self.rest.committed.connect(lambda value: self._pane(rest=value if value > 0 else None, x_limits=None))
        self.convention.activated.connect(lambda _: self._pane(convention=self.convention.currentText(), x_limits=None))
        self.formula.returnPressed.connect(self._define)
        self.session.subscribe(self._on_change)

    def _on_change(self, what: str) -> None:
        if what in ("panes", "formulas") or what == f"pane:{self.session.pane.id}":
            self.refresh()

    @property
    def axes(self) -> tuple[str, ...]:
        """The y axes that changes act on."""
        return {"Primary": ("primary",), "Overplot": ("overplot",)}.get(
            self.apply_to.currentText(), ("primary", "overplot")
        )

    def show_mode(self, mode: str) -> None:
        """Show which zoom is on."""
        for button, name in ((self.zoom_x, "zoom x"), (self.zoom_y, "zoom y"), (self.zoom_box, "zoom box")):
            button.setChecked(mode == name)

    def show_limits(self, x: tuple[float, float], y: tuple[float, float]) -> None:
        """Show the limits of the plot."""
        for edits, limits in (((self.x_low, self.x_high), x), ((self.y_low, self.y_high), y)):
            for edit, value in zip(edits, limits, strict=True):
                edit.show_value(value, abs(limits[1] - limits[0]) * _FINE)

    def refresh(self) -> None:
        """Show the current pane."""
        state = self.session.pane
        which = self.axes[0]
        axis = getattr(state, which)
        names = self.session.list_fields()
        choices = [(label_field(name), name) for name in names]
        own = [c for c in choices if c[1] != SIGNAL_TO_NOISE]
        set_combo(self.x_field, [*own, ("Column", "pixel")], state.x_field)
        set_combo(self.y_field, choices, axis.field)
        self._show_units(self.x_unit, "x", state.x_unit)
        self._show_units(self.y_unit, which, axis.unit)
        set_combo(self.x_scale, None, state.x_scale.capitalize())
        set_combo(self.y_scale, None, axis.scale.capitalize())
        set_combo(self.convention, None, state.convention)
        self.rest.show_value(state.rest)
        for box in (self.rest, self.convention):
            box.setEnabled(state.x_field == "wavepos")
        with QtCore.QSignalBlocker(self.overplot):
            self.overplot.setChecked(state.overplot_enabled)

    def _show_units(self, combo: QtWidgets.QComboBox, axis: str, unit: str) -> None:
        number = self.session.current
        units = self.session.list_units(axis, number)
        content = self.session.content(number)
        shown = unit or {"x": content.x_unit, "primary": content.y_unit, "overplot": content.y2_unit}[axis]
        set_combo(combo, [(show_unit(u) or "–", u) for u in units], shown)
        combo.setEnabled(len(units) > 1)

    def _pane(self, **changes: Any) -> None:
        for number in self.targets():
            self.session.change_pane(number, **changes)

    def _y(self, **changes: Any) -> None:
        for number in self.targets():
            for which in self.axes:
                self.session.change_axis(which, number, **changes)

    def _choose_x_unit(self, unit: str) -> None:
        if unit == VELOCITY and self.session.pane.rest is None:
            self.failed.emit("Velocities need a rest wavelength: type it in μm below the zoom, or choose a line.")
            self.refresh()
            return
        self._pane(x_unit=unit, x_limits=None)

    def _type_x(self) -> None:
        limits = _read_limits(self.x_low, self.x_high)
        if self._allows(limits, self.x_scale, (self.x_low, self.x_high)):
            self._pane(x_limits=limits)

    def _allows(
        self, limits: tuple[float, float] | None, scale: QtWidgets.QComboBox, edits: tuple[LimitEdit, LimitEdit]
    ) -> bool:
        """Tell whether an axis can have such limits; if not, say why."""
        if limits is None or limits[0] > 0 or scale.currentText() != "Log":
            return True
        for edit in edits:
            edit.show_again()
        self.failed.emit("A logarithmic axis has positive limits only: type others, or make the axis linear.")
        return False

    def _type_y(self) -> None:
        limits = _read_limits(self.y_low, self.y_high)
        if not self._allows(limits, self.y_scale, (self.y_low, self.y_high)):
            return
        for number in self.targets():
            self.session.change_axis(self.axes[0], number, limits=limits)

    def _define(self) -> None:
        name = self.formula_name.text().strip() or "formula"
        try:
            self.session.set_formula(name, self.formula.text())
        except ParameterError as problem:
            self.failed.emit(str(problem))
            return
        if self.formula.text().strip():
            self._y(field=name, unit="", limits=None)
        elif any(getattr(self.session.pane, which).field == name for which in self.axes):
            self._y(field="spectral_flux", unit="", limits=None)


def _read_limits(low: LimitEdit, high: LimitEdit) -> tuple[float, float] | None:
    """Return the limits in two boxes, the one that was not typed with all its digits; None if one is empty."""
    values = [edit.read() for edit in (low, high)]
    return None if not math.isfinite(sum(values)) or values[0] == values[1] else (min(values), max(values))


class PlotPanel(Section):
    """How curves are drawn, in all panes."""

    dark_requested = Signal(bool)

    def __init__(self, session: SpectrumSession) -> None:
        super().__init__("Plot")
        self.session = session
        self.plot_type = make_combo(["Step", "Line", "Scatter"], "Plot type")
        self.cycle = make_combo(list(COLOR_CYCLES), "Color cycle")
        self.errors = make_combo(["band", "bars", "off"], "How errors are shown")
        self.markers, self.grid, self.dark, self.flags, self.legend = (
            QtWidgets.QCheckBox(text) for text in ("Show markers", "Show grid", "Dark mode", "Show flags", "Legend")
        )
        self.line_width = QtWidgets.QDoubleSpinBox()
        self.line_width.setRange(0.5, 6.0)
        self.line_width.setSingleStep(0.5)
        self.add(self.plot_type, self.line_width, label="Plot type")
        self.line_width.setAccessibleName("Line width")
        self.line_width.setToolTip("Line width")
        self.add(self.cycle, label="Colors")
        self.add(self.errors, label="Errors")
        self.add(self.markers, self.flags)
        self.add(self.grid, self.legend, self.dark)
        self.plot_type.currentTextChanged.connect(lambda text: session.set_style(plot_type=text))
        self.cycle.currentTextChanged.connect(lambda text: session.set_style(cycle=text))
        self.errors.currentTextChanged.connect(lambda text: session.set_style(errors=text))
        self.line_width.valueChanged.connect(lambda value: session.set_style(width=value))
        for box, name in (
            (self.markers, "markers"),
            (self.grid, "grid"),
            (self.flags, "flags"),
            (self.legend, "legend"),
        ):
            box.toggled.connect(lambda on, name=name: session.set_style(**{name: on}))
        self.dark.clicked.connect(self.dark_requested)
        session.subscribe(lambda what: self.refresh() if what == "style" else None)
        self.refresh()

    def refresh(self) -> None:
        """Show the style."""
        style = self.session.style
        set_combo(self.plot_type, None, style.plot_type)
        set_combo(self.cycle, None, style.cycle)
        set_combo(self.errors, None, style.errors)
        pairs: list[tuple[Any, Any]] = [
            (self.markers, style.markers), (self.grid, style.grid), (self.flags, style.flags),
            (self.legend, style.legend),
            (self.dark, self.session.dark),
        ]  # fmt: skip
        for box, value in pairs:
            with QtCore.QSignalBlocker(box):
                box.setChecked(value)
        with QtCore.QSignalBlocker(self.line_width):
            self.line_width.setValue(style.width)
