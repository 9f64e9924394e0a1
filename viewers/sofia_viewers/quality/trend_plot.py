"""Numbers against time, altitude or any other column, linked with the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sofia_viewers.export import export_widget
from sofia_viewers.plots import make_plot
from sofia_viewers.qt import Qt, QtCore, QtWidgets, Signal, pg
from sofia_viewers.quality.metrics import COLUMNS, Metrics, collect_columns
from sofia_viewers.quality.metrics_table import column_title
from sofia_viewers.quality.trends import Series, fit_line, make_series
from sofia_viewers.quality.value_axis import SideLegend, ValueAxis
from sofia_viewers.theme import PLOT_COLORS, current_theme, style_plot, theme_events

__all__ = ["TrendPlot"]

_SYMBOLS = "osdt+xph"


class TrendPlot(QtWidgets.QWidget):
    """Points of products; a click tells which, selected rows are highlighted."""

    row_clicked = Signal(int)
    rows_selected = Signal(object)
    axes_changed = Signal(str, str, str)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows: list[Metrics] = []
        self.outliers: Mapping[int, Mapping[str, float]] = {}
        self.selected: tuple[int, ...] = ()
        self.series: list[Series] = []
        self._due = QtCore.QTimer(self, singleShot=True, interval=0)
        self._due.timeout.connect(self.redraw)
        self._wanted = ("time", "noise", "product_type")
        self.x_choice, self.y_choice, self.group_choice = (QtWidgets.QComboBox() for _ in range(3))
        self.trend = QtWidgets.QCheckBox("Trend")
        self.trend.setToolTip("Draw a straight line through the points of each group that outliers do not move.")
        self.log = QtWidgets.QCheckBox("Log")
        self.log.setToolTip("Logarithmic vertical axis; values that are not positive are left out.")
        self.link = QtWidgets.QCheckBox("Connect")
        self.link.setToolTip("Connect the points of each group in the order of the horizontal axis.")
        self.axes = {side: ValueAxis(side) for side in ("bottom", "left")}
        self.plot = make_plot(has_menu=True, axisItems=self.axes)
        self.plot.getPlotItem().layout.setContentsMargins(1, 8, 20, 1)  # the last label is half beside the axis
        self.legend = SideLegend(self.plot.getPlotItem())
        self.note = QtWidgets.QLabel()
        self._lay_out()
        self._connect()
        self._restyle()

    def set_rows(self, rows: Sequence[Metrics], outliers: Mapping[int, Mapping[str, float]] | None = None) -> None:
        """Show other products; they are drawn at the next turn of the event loop, the window answers in between."""
        self.rows, self.outliers = list(rows), outliers or {}
        self.selected = ()
        self._fill_choices()
        self._redraw_later()

    def set_outliers(self, outliers: Mapping[int, Mapping[str, float]]) -> None:
        """Mark other points."""
        if outliers != self.outliers:
            self.outliers = outliers
            self._redraw_later()

    @property
    def is_due(self) -> bool:
        """Whether something is still to be drawn."""
        return self._due.isActive()

    def _redraw_later(self) -> None:
        self.series = []  # of rows that are gone
        self._due.start()

    def choose(self, x: str, y: str, group: str = "") -> None:
        """Choose the columns of the axes and of the colours; those that no row has are kept for later."""
        self._wanted = (x, y, group)
        self._fill_choices()
        self.redraw()

    def select(self, rows: Sequence[int]) -> None:
        """Highlight the points of rows."""
        self.selected = tuple(rows)
        if not self.is_due:
            self._draw_selected()

    @property
    def chosen(self) -> tuple[str, str, str]:
        """Columns of x, y and colours."""
        return tuple(box.currentData() or "" for box in (self.x_choice, self.y_choice, self.group_choice))  # type: ignore[return-value]

    def export(self, path: Path, size: tuple[int, int] | None = None) -> Path:
        """Write the plot to a PNG, PDF or SVG file.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        self.draw_now()
        return export_widget(self.plot, path, size)

    def draw_now(self) -> None:
        """Draw what is still to be drawn."""
        if self.is_due:
            self.redraw()

    def _lay_out(self) -> None:
        line = QtWidgets.QHBoxLayout()
        for label, box in (("y", self.y_choice), ("x", self.x_choice), ("colour", self.group_choice)):
            box.setAccessibleName(f"Column for {label}")
            box.setSizeAdjustPolicy(QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            box.setMinimumContentsLength(10)
            line.addWidget(QtWidgets.QLabel(label))
            line.addWidget(box, 1)
        for check in (self.trend, self.log, self.link):
            line.addWidget(check)
        self.note.setProperty("role", "muted")
        self.note.setWordWrap(True)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addLayout(line)
        layout.addWidget(self.plot, 1)
        layout.addWidget(self.note)

    def _connect(self) -> None:
        for box in (self.x_choice, self.y_choice, self.group_choice):
            box.activated.connect(self._take_choice)
        for check in (self.trend, self.log, self.link):
            check.toggled.connect(self.redraw)
        theme_events().changed.connect(self._restyle)

    def _restyle(self) -> None:
        style_plot(self.plot)
        self.legend.setLabelTextColor(current_theme().text)
        self.redraw()

    def _take_choice(self) -> None:
        self._wanted = self.chosen
        self.axes_changed.emit(*self._wanted)
        self.redraw()

    def _fill_choices(self) -> None:
        keys = collect_columns(self.rows)
        numbers = [key for key in keys if not (key in COLUMNS and COLUMNS[key].is_text)]
        words = [key for key in keys if key in COLUMNS and COLUMNS[key].is_text and key != "unit"]
        x, y, group = self._wanted
        position = [("#", "Position in the table")]
        _fill(self.x_choice, position + [(k, column_title(k)) for k in [*numbers, *words]], x, "#")
        _fill(self.y_choice, [(k, column_title(k)) for k in numbers], y, "background")
        _fill(self.group_choice, [("", "none")] + [(k, column_title(k)) for k in words], group, "")

    @QtCore.Slot()
    def redraw(self) -> None:
        """Draw all points anew."""
        self._due.stop()
        self.plot.clear()
        x, y, group = self.chosen
        if not (x and y):
            self.series = []
            self.note.setText("Nothing to plot yet: open a folder with products.")
            return
        self.series, words = make_series(self.rows, x, y, group)
        if self.log.isChecked():
            self.series = [_positive(series) for series in self.series]
        self._style_axes(x, y, words)
        for number, series in enumerate(self.series):
            self._draw_series(series, number)
        self._draw_outliers(y)
        self._draw_selected()
        self.plot.enableAutoRange()
        if x in words:
            self.plot.setXRange(-0.6, len(words[x]) - 0.4, padding=0)
        straight = x not in words and not self.log.isChecked()
        self.trend.setEnabled(straight)
        drawn = sum(len(series.rows) for series in self.series)
        lacking = len(self.rows) - drawn
        self.note.setText(f"{lacking} of {len(self.rows)} products have no value here." if lacking else "")
        self.note.setVisible(bool(lacking))

    def _style_axes(self, x: str, y: str, words: Mapping[str, tuple[str, ...]]) -> None:
        for axis, key in ((self.axes["bottom"], x), (self.axes["left"], y)):
            axis.words = words.get(key, ())
            axis.is_time = key == "time"
            title = "Position in the table" if key == "#" else column_title(key, self.rows)
            axis.setLabel(f"{title}, UTC" if key == "time" else title)
            axis.picture = None
        self.plot.setLogMode(y=self.log.isChecked())

    def _draw_series(self, series: Series, number: int) -> None:
        color = PLOT_COLORS[number % len(PLOT_COLORS)]
        order = np.argsort(series.x, kind="stable")
        name = (series.name or None) if len(self.series) > 1 or series.name else None
        item = self.plot.plot(
            series.x[order],
            series.y[order],
            pen=pg.mkPen(color) if self.link.isChecked() else None,
            symbol=_SYMBOLS[number // len(PLOT_COLORS) % len(_SYMBOLS)],
            symbolSize=8,
            symbolBrush=color,
            symbolPen=None,
            data=series.rows[order],
            name=name,
        )
        item.scatter.opts["hoverable"] = True
        item.sigPointsClicked.connect(self._take_click)
        straight = not (self.axes["bottom"].words or self.log.isChecked())
        line = fit_line(series.x, series.y) if self.trend.isChecked() and straight else None
        if line is not None:
            ends = np.array([series.x.min(), series.x.max()])
            self.plot.plot(ends, line.at(ends), pen=pg.mkPen(color, width=2, style=Qt.PenStyle.DashLine))

    def _draw_outliers(self, y: str) -> None:
        marked = [row for row, keys in self.outliers.items() if y in keys]
        self._ring(marked, current_theme().error, 16)

    def _draw_selected(self) -> None:
        for item in list(self.plot.getPlotItem().items):
            if getattr(item, "marks_selection", False):
                self.plot.removeItem(item)
        item = self._ring(self.selected, current_theme().accent, 13)
        if item is not None:
            item.marks_selection = True

    def _ring(self, rows: Sequence[int], color: str, size: int) -> Any:
        places = [(s.x[n], s.y[n]) for s in self.series for n in np.flatnonzero(np.isin(s.rows, list(rows)))]
        if not places:
            return None
        x, y = np.array(places).T
        return self.plot.plot(
            x, y, pen=None, symbol="o", symbolSize=size, symbolBrush=None, symbolPen=pg.mkPen(color, width=2)
        )

    def _take_click(self, _item: Any, points: Any, event: Any = None) -> None:
        if not len(points):
            return
        row = int(points[0].data())
        adding = event is not None and bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        chosen = (*self.selected, row) if adding and row not in self.selected else (row,)
        self.select(chosen)
        self.rows_selected.emit(list(chosen))
        if not adding:
            self.row_clicked.emit(row)


def _fill(box: QtWidgets.QComboBox, items: Sequence[tuple[str, str]], wanted: str, otherwise: str) -> None:
    box.blockSignals(True)
    if [box.itemData(n) for n in range(box.count())] != [key for key, _ in items]:
        box.clear()
        for key, title in items:
            box.addItem(title, key)
    keys = [key for key, _ in items]
    chosen = wanted if wanted in keys else otherwise
    box.setCurrentIndex(keys.index(chosen) if chosen in keys else 0 if keys else -1)
    box.blockSignals(False)


def _positive(series: Series) -> Series:
    good = series.y > 0
    return Series(series.name, series.rows[good], series.x[good], series.y[good])
