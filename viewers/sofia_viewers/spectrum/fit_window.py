"""Window **Spectral Feature Fits**: the selected fit with residuals and parameters, and a table of all."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from sofia_engine.errors import ParameterError, SofiaDeskError
from sofia_viewers.export import make_table, write_table
from sofia_viewers.plots import make_plot
from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets, Signal, pg
from sofia_viewers.spectrum.annotations import Annotations
from sofia_viewers.spectrum.fit_table import (
    FitRecord,
    convert_points,
    find_column_units,
    format_csv,
    make_rows,
    order_columns,
)
from sofia_viewers.spectrum.fitting import Line, evaluate
from sofia_viewers.spectrum.profiles import PROFILES
from sofia_viewers.spectrum.sections import make_button
from sofia_viewers.spectrum.ties import parse_tie
from sofia_viewers.spectrum.units import WaveAxis
from sofia_viewers.theme import current_theme, style_plot
from sofia_viewers.unit_names import show_unit

__all__ = ["FitWindow"]

_COLUMNS = (
    ("Show", ""), ("File", "filename"), ("Order", "order"), ("Aperture", "aperture"), ("X Field", "x_field"),
    ("Y Field", "y_field"), ("Type", "type"), ("Line", "component"), ("Mid Point", "mid_point"),
    ("Mid Point Column", "mid_point_column"), ("FWHM", "fwhm"), ("Amplitude", "amplitude"), ("Baseline", "baseline"),
    ("Slope", "slope"), ("Flux", "flux"), ("Flux [W/m2]", "flux_w_m2"), ("EW", "ew"), ("Velocity [km/s]", "velocity"),
    ("Luminosity [Lsun]", "luminosity_lsun"), ("χ²/ν", "chi2r"),
)  # fmt: skip


_TABLE_HEIGHT = 170
_DERIVED = 3
"""Rows below the parameters of a line: width, flux and equivalent width."""


class FitWindow(QtWidgets.QWidget):
    """Shows the fits of a session.

    Parameters
    ----------
    annotations : Annotations
        Where the fits are.
    parent : QWidget, optional
        Owner.
    """

    selected = Signal(int)
    failed = Signal(str)

    def __init__(self, annotations: Annotations, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Window)
        self.setWindowTitle("Spectral Feature Fits")
        self.resize(1100, 760)
        self.annotations = annotations
        self.current = -1
        self._rows: list[tuple[int, dict[str, Any]]] = []
        self._units: tuple[Any, ...] = ()
        self._make_parts()
        annotations.subscribe(lambda what: self.refresh() if what == "fits" else None)
        annotations.session.subscribe(lambda _what: self._follow_units())
        self.refresh()

    def _make_parts(self) -> None:
        self.plot, self.residuals = make_plot(), make_plot()
        self.residuals.setMaximumHeight(150)
        self.residuals.setXLink(self.plot)
        for plot in (self.plot, self.residuals):
            plot.hideButtons()
            plot.getPlotItem().getAxis("left").setWidth(70)
        self.status = QtWidgets.QLabel("No fit yet")
        self.parameters = QtWidgets.QTableWidget(0, 5)
        self.parameters.setHorizontalHeaderLabels(["Parameter", "Value", "Error", "Fixed", "Tied to line"])
        self.parameters.horizontalHeader().setSectionResizeMode(QtWidgets.QHeaderView.ResizeMode.ResizeToContents)
        self.parameters.horizontalHeader().setStretchLastSection(True)
        self.parameters.verticalHeader().hide()
        self.parameters.setAccessibleName("Parameters of the selected fit")
        self.refit_button = make_button("Refit", "Fit again from these values; ticked ones stay fixed")
        self.table = QtWidgets.QTableWidget(0, len(_COLUMNS))
        self.table.setHorizontalHeaderLabels([title for title, _ in _COLUMNS])
        self.table.setSelectionBehavior(QtWidgets.QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setEditTriggers(QtWidgets.QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setAccessibleName("Fits")
        self.table.setMinimumHeight(_TABLE_HEIGHT)
        self.clear_button = make_button("Clear Table", "Forget all fits")
        self.save_button = make_button("Save Table", "Save the selected fits, or all: CSV or ECSV")
        self.close_button = make_button("Close", "Close this window")
        left = QtWidgets.QVBoxLayout()
        left.addWidget(QtWidgets.QLabel("Last Fit Feature"))
        left.addWidget(self.plot, 1)
        left.addWidget(self.residuals)
        right = QtWidgets.QVBoxLayout()
        for widget in (self.status, self.parameters, self.refit_button):
            right.addWidget(widget)
        top = QtWidgets.QHBoxLayout()
        top.addLayout(left, 3)
        top.addLayout(right, 2)
        buttons = QtWidgets.QHBoxLayout()
        buttons.addStretch(1)
        for button in (self.clear_button, self.save_button, self.close_button):
            buttons.addWidget(button)
        layout = QtWidgets.QVBoxLayout(self)
        layout.addLayout(top, 3)
        layout.addWidget(self.table, 2)
        layout.addLayout(buttons)
        self.clear_button.clicked.connect(self.annotations.clear_fits)
        self.save_button.clicked.connect(self.ask_and_save)
        self.close_button.clicked.connect(self.close)
        self.refit_button.clicked.connect(self.refit)
        self.table.itemChanged.connect(self._toggle)
        self.table.itemSelectionChanged.connect(self._choose)

    # -- showing -----------------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Show the fits of the session; the last one is selected after a new one."""
        fits = self.annotations.fits
        count = getattr(self, "_count", 0)
        if len(fits) != count or not 0 <= self.current < len(fits):
            self.current = len(fits) - 1
        self._count = len(fits)
        self._fill_table()
        self.show_fit(self.current)

    def _follow_units(self) -> None:
        """Show the same fits in the units that their panes have now."""
        shown = self._shown_units()
        if shown != self._units:
            self._fill_table()
            if 0 <= self.current < len(self.annotations.fits):
                self.show_fit(self.current)

    def _shown_units(self) -> tuple[Any, ...]:
        session = self.annotations.session
        panes = {record.pane: session.find_pane(record.pane) for record in self.annotations.fits}
        return tuple(
            (session.shown_units(place), session.panes[place].axis, session.panes[place].primary.field)
            for place in panes.values()
            if place >= 0
        )

    def _fill_table(self) -> None:
        self._units = self._shown_units()
        self._rows = [
            (number, row)
            for number, record in enumerate(self.annotations.fits)
            for row in make_rows(self.annotations.as_shown(record), self.annotations.distance)
        ]
        with QtCore.QSignalBlocker(self.table):
            self.table.setRowCount(len(self._rows))
            for place, (number, row) in enumerate(self._rows):
                self._fill_row(place, number, row)
            self.table.resizeColumnsToContents()
            self.table.setColumnWidth(1, min(self.table.columnWidth(1), 180))
        hidden = not any(row.get("luminosity_lsun") for _, row in self._rows)
        self.table.setColumnHidden(len(_COLUMNS) - 2, hidden)
        self.save_button.setEnabled(bool(self._rows))
        self.clear_button.setEnabled(bool(self.annotations.fits))  # first values have no rows

    def _fill_row(self, place: int, number: int, row: dict[str, Any]) -> None:
        shown = QtWidgets.QTableWidgetItem()
        shown.setFlags(shown.flags() | Qt.ItemFlag.ItemIsUserCheckable)
        record = self.annotations.fits[number]
        shown.setCheckState(Qt.CheckState.Checked if record.shown else Qt.CheckState.Unchecked)
        self.table.setItem(place, 0, shown)
        for column, (_, key) in enumerate(_COLUMNS[1:], start=1):
            text = _format(row.get(key), row.get(f"{key}_err"))
            item = QtWidgets.QTableWidgetItem(text)
            item.setToolTip(text)
            self.table.setItem(place, column, item)

    def show_fit(self, number: int) -> None:
        """Show one fit with data, residuals and parameters."""
        self.current = number
        for plot in (self.plot, self.residuals):
            plot.clear()
            style_plot(plot)
        self.parameters.setRowCount(0)
        self.refit_button.setEnabled(0 <= number < len(self.annotations.fits))
        if not 0 <= number < len(self.annotations.fits):
            self._say("No fit yet", good=None)
            return
        record = self.annotations.fits[number]
        self._draw(record)
        self._list_parameters(self.annotations.as_shown(record))
        result = record.result
        assert result is not None
        if record.is_guess:
            self._say("First values: drag their handles in the plot, then press Return there, or Refit", good=None)
            self.selected.emit(number)
            return
        kind = "weighted by the errors" if result.weighted else "unweighted, errors from the scatter"
        self._say(
            f"pass: {result.kind}, χ² = {result.chi_square:.4g} for {result.freedom} degrees of freedom, {kind}",
            good=True,
        )
        self.selected.emit(number)

    def show_failure(self, status: str) -> None:
        """Say that a fit failed."""
        self._say(status, good=False)

    def _say(self, text: str, *, good: bool | None) -> None:
        theme = current_theme()
        color = theme.muted if good is None else theme.good if good else theme.error
        self.status.setStyleSheet(f"color: {color}")
        self.status.setWordWrap(True)
        self.status.setText(text)

    def _draw(self, record: FitRecord) -> None:
        """Draw a fit with its data and residuals, in the units that are shown now."""
        theme = current_theme()
        shown = self.annotations.as_shown(record)
        assert record.result is not None
        assert shown.result is not None
        axis, y_unit = self._axis_of(record, shown)

        def convert(x: Any, y: Any) -> tuple[Any, Any]:
            return convert_points(record, x, y, axis, y_unit)

        x = np.linspace(*record.result.limits, 400)
        curve = self._find_curve(shown)
        if curve is not None:
            use = (curve.x >= shown.result.limits[0]) & (curve.x <= shown.result.limits[1])
            back = WaveAxis(record.x_unit, record.rest, record.convention)
            at, _ = convert_points(shown, curve.x[use], curve.y[use], back, "")
            self._draw_data(curve, use, convert(at, evaluate(record.result, at))[1])
        self.residuals.addItem(pg.InfiniteLine(0, 0, pg.mkPen(theme.muted)))
        self.plot.plot(*convert(x, evaluate(record.result, x)), pen=pg.mkPen(theme.accent, width=2))
        dashed = pg.mkPen(theme.muted, style=Qt.PenStyle.DashLine)
        self.plot.plot(*convert(x, evaluate(record.result, x, baseline_only=True)), pen=dashed)
        if len(record.result.lines) > 1:
            dotted = pg.mkPen(theme.accent, style=Qt.PenStyle.DotLine)
            for line in range(len(record.result.lines)):
                self.plot.plot(*convert(x, evaluate(record.result, x, line=line)), pen=dotted)
        self.plot.setLabel("left", show_unit(shown.y_unit))
        self.residuals.setLabel("left", "resid.")
        self.residuals.setLabel("bottom", show_unit(shown.x_unit))

    def _axis_of(self, record: FitRecord, shown: FitRecord) -> tuple[WaveAxis, str]:
        return WaveAxis(shown.x_unit, shown.rest or record.rest, shown.convention), shown.y_unit

    def _draw_data(self, curve: Any, use: Any, fitted: Any) -> None:
        at, values = curve.x[use], curve.y[use]
        self.plot.addItem(pg.PlotDataItem(at, values, pen=None, symbol="o", symbolSize=5, symbolBrush=curve.color))
        if curve.error is not None:
            self.plot.addItem(pg.ErrorBarItem(x=at, y=values, height=2 * curve.error[use], pen=pg.mkPen(curve.color)))
        self.residuals.plot(at, values - fitted, pen=None, symbol="o", symbolSize=4, symbolBrush=curve.color)

    def _find_curve(self, record: FitRecord) -> Any:
        session = self.annotations.session
        pane = session.find_pane(record.pane)
        if pane < 0:
            return None
        content = session.content(pane)
        if (content.x_unit, content.y_unit) != (record.x_unit, record.y_unit):
            return None
        return next((c for c in content.curves if c.key == (record.file, record.order, record.aperture)), None)

    def _list_parameters(self, record: FitRecord) -> None:
        result = record.result
        assert result is not None
        for number, line in enumerate(result.lines, start=1):
            for name in PROFILES[line.shape].names:
                value = line.parameters[name]
                self._add_parameter(
                    f"{name} {number}" if len(result.lines) > 1 else name, value.value, value.error, free=True
                )
            for name, value in (("FWHM", line.fwhm), ("flux", line.flux), ("equivalent width", line.equivalent_width)):
                self._add_parameter(name, value.value, value.error, free=False)
        for name, value in zip(("intercept", "slope", "c2", "c3", "c4", "c5"), result.coefficients, strict=False):
            self._add_parameter(name, value.value, value.error, free=False)

    def _add_parameter(self, name: str, value: float, error: float, *, free: bool) -> None:
        row = self.parameters.rowCount()
        self.parameters.insertRow(row)
        cells = [name, f"{value:.8g}", f"{error:.3g}" if math.isfinite(error) else "–", "", ""]
        for column, text in enumerate(cells):
            item = QtWidgets.QTableWidgetItem(text)
            editable = free and column in (1, 4)
            flags = item.flags() & ~Qt.ItemFlag.ItemIsEditable
            item.setFlags(flags | Qt.ItemFlag.ItemIsEditable if editable else flags)
            if column == 3 and free:
                item.setCheckState(Qt.CheckState.Unchecked)
            self.parameters.setItem(row, column, item)

    # -- what the user does ------------------------------------------------------------------------------------------

    def refit(self) -> None:
        """Fit again from the values in the table, some fixed or tied."""
        record = self.annotations.as_shown(self.annotations.fits[self.current])
        try:
            lines = self._read_lines(record)
            done = self.annotations.refit(self.current, lines)
        except SofiaDeskError as problem:
            self.show_failure(f"failed: {problem}")
            return
        if done is None:
            self.show_failure(
                "failed: the fit does not converge from these values, or the spectrum is shown in other units"
            )

    def _read_lines(self, record: FitRecord) -> tuple[Line, ...]:
        assert record.result is not None
        lines, row = [], 0
        for fitted in record.result.lines:
            names = PROFILES[fitted.shape].names
            cells = [[self._cell(row + i, column) for column in (1, 3, 4)] for i in range(len(names))]
            try:
                values = tuple(float(cell[0].text()) for cell in cells)
            except ValueError as problem:
                raise ParameterError(f"A parameter is no number: {problem}.") from None
            fixed = frozenset(
                n for n, c in zip(names, cells, strict=True) if c[1].checkState() == Qt.CheckState.Checked
            )
            ties = {n: parse_tie(c[2].text(), n) for n, c in zip(names, cells, strict=True)}
            lines.append(Line(fitted.shape, values, fixed, {n: t for n, t in ties.items() if t is not None}))
            row += len(names) + _DERIVED
        return tuple(lines)

    def _cell(self, row: int, column: int) -> QtWidgets.QTableWidgetItem:
        item = self.parameters.item(row, column)
        assert item is not None
        return item

    def _toggle(self, item: QtWidgets.QTableWidgetItem) -> None:
        if item.column() == 0:
            from dataclasses import replace

            number = self._rows[item.row()][0]
            shown = item.checkState() == Qt.CheckState.Checked
            record = replace(self.annotations.fits[number], shown=shown)
            QtCore.QTimer.singleShot(0, self, lambda: self.annotations.replace_fit(number, record))

    def _choose(self) -> None:
        rows = {index.row() for index in self.table.selectedIndexes()}
        if len(rows) == 1:
            self.show_fit(self._rows[rows.pop()][0])

    def ask_and_save(self) -> None:
        """Let the user choose a file for the table."""
        name, _ = QtWidgets.QFileDialog.getSaveFileName(self, "Save fits", "fits.csv", "CSV (*.csv);;ECSV (*.ecsv)")
        if name:
            try:
                self.save(name)
            except SofiaDeskError as problem:
                self.failed.emit(str(problem))
                self.show_failure(str(problem))

    def save(self, path: str | Path) -> Path:
        """Save the selected rows, or all, as CSV or ECSV.

        Raises
        ------
        InputError
            If the file cannot be written.
        """
        chosen = {index.row() for index in self.table.selectedIndexes()}
        rows = [row for place, (_, row) in enumerate(self._rows) if not chosen or place in chosen]
        return save_fits(rows, Path(path))

    def keyPressEvent(self, event: QtGui.QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Escape closes the window."""
        if event.key() == Qt.Key.Key_Escape:
            self.close()
        else:
            super().keyPressEvent(event)


def save_fits(rows: list[dict[str, Any]], path: Path) -> Path:
    """Write rows of fits as CSV or ECSV.

    Raises
    ------
    InputError
        If the suffix is neither, or the file cannot be written.
    """
    from sofia_engine.errors import InputError

    if path.suffix.lower() != ".csv":
        columns = order_columns(rows)
        filled = [{name: row.get(name) for name in columns} for row in rows]
        table = make_table(filled, {"content": "fits of spectral lines"})
        for name, unit in find_column_units(rows).items():
            if name in table.colnames:
                table[name].unit = unit
        return write_table(table, path)
    try:
        path.write_text(format_csv(rows), encoding="utf-8")
    except OSError as problem:
        raise InputError(f"{path} cannot be written: {problem.strerror or problem}.") from None
    return path


def _format(value: Any, error: Any = None) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if not isinstance(value, float):
        return str(value)
    if isinstance(error, float) and math.isfinite(error) and error > 0:
        return f"{value:.7g} ± {error:.2g}"
    return f"{value:.7g}"
