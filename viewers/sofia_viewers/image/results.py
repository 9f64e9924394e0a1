"""Results of analyses: tables and plots, with their export."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import SofiaDeskError
from sofia_viewers.export import export_widget, make_table, write_table
from sofia_viewers.plots import make_plot
from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets, Signal, pg
from sofia_viewers.theme import icon, style_plot, theme_events

__all__ = ["Curve", "Plot", "PlotView", "ResultsPanel"]

_PLOT_HEIGHT = 190
_PLOT_WIDTH = 380
_MOST_POINTS = 20000
_LINES = {"solid": Qt.PenStyle.SolidLine, "dashed": Qt.PenStyle.DashLine, "dotted": Qt.PenStyle.DotLine}


@dataclass(frozen=True, eq=False)
class Curve:
    """One set of values of a plot.

    Parameters
    ----------
    x, y : ndarray
        Values; for ``steps`` x has one more: the edges.
    name : str
        In the legend.
    kind : {"line", "points", "steps", "vertical"}
        How it is drawn; vertical: lines at the values of x.
    color : str
        ``#rrggbb``.
    style : {"solid", "dashed", "dotted"}
        Of lines.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    name: str = ""
    kind: str = "line"
    color: str = "#0072B2"
    style: str = "solid"


@dataclass(frozen=True, eq=False)
class Plot:
    """Curves with title and axes; numbers and code to make them again."""

    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    kind: str = ""
    code: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)

    def as_rows(self) -> list[dict[str, Any]]:
        """Return the numbers: one row per point, with the name of its curve."""
        rows: list[dict[str, Any]] = []
        for curve in self.curves:
            if curve.kind == "vertical":
                continue
            x = 0.5 * (curve.x[1:] + curve.x[:-1]) if curve.kind == "steps" else curve.x
            rows += [{"curve": curve.name, "x": float(a), "y": float(b)} for a, b in zip(x, curve.y, strict=True)]
        return rows


class PlotView(QtWidgets.QWidget):
    """A plot with buttons to copy and save the picture, the numbers and the code."""

    def __init__(self, plot: Plot, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.plots = [plot]
        self.canvas = make_plot()
        self.legend = self.canvas.addLegend(offset=(-8, 8), labelTextSize="8pt")
        title = QtWidgets.QLabel(plot.title)
        title.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Fixed)
        title.setToolTip(plot.title)
        bar = QtWidgets.QHBoxLayout()
        bar.addWidget(title, 1)
        for symbol, text, run in (
            ("copy", "Copy the picture", self._copy),
            ("save", "Save picture or numbers …", self._save),
            ("help", "Show the code that makes these numbers", self._show_code),
        ):
            button = QtWidgets.QToolButton()
            button.setIcon(icon(symbol))
            button.setToolTip(text)
            button.setAccessibleName(text)
            button.clicked.connect(run)
            bar.addWidget(button)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(2, 2, 2, 2)
        layout.addLayout(bar)
        layout.addWidget(self.canvas, 1)
        self.setMinimumSize(_PLOT_WIDTH, _PLOT_HEIGHT)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Expanding)
        self._draw(plot)
        style_plot(self.canvas)

    def add(self, plot: Plot) -> None:
        """Draw the curves of another plot into this one."""
        self.plots.append(plot)
        self._draw(plot)

    def restyle(self) -> None:
        """Take the colours of the look in use."""
        style_plot(self.canvas)

    def save(self, path: Path) -> None:
        """Write the picture (PNG, PDF, SVG) or the numbers (ECSV, CSV), by the suffix.

        Raises
        ------
        InputError
            If the file cannot be written.
        """
        if path.suffix.lower() in (".ecsv", ".csv"):
            first = self.plots[0]
            rows = [row for plot in self.plots for row in plot.as_rows()]
            meta = {"title": first.title, "x": first.x_label, "y": first.y_label, **first.meta}
            write_table(make_table(rows, meta), path)
        else:
            export_widget(self.canvas, path)

    def _draw(self, plot: Plot) -> None:
        self.canvas.setLabel("bottom", plot.x_label)
        self.canvas.setLabel("left", plot.y_label)
        for curve in plot.curves:
            _draw_curve(self.canvas, curve)

    def _copy(self) -> None:
        QtWidgets.QApplication.clipboard().setPixmap(self.canvas.grab())

    def _save(self) -> None:
        filters = "PNG (*.png);;SVG (*.svg);;PDF (*.pdf);;Numbers, ECSV (*.ecsv);;Numbers, CSV (*.csv)"
        path, _ = QtWidgets.QFileDialog.getSaveFileName(self, "Save plot", "plot.png", filters)
        if path:
            _try_to_save(self, lambda: self.save(Path(path)))

    def _show_code(self) -> None:
        box = QtWidgets.QDialog(self)
        box.setWindowTitle("Code")
        text = QtWidgets.QPlainTextEdit("\n\n".join(plot.code for plot in self.plots))
        text.setReadOnly(True)
        text.setFont(QtGui.QFontDatabase.systemFont(QtGui.QFontDatabase.SystemFont.FixedFont))
        QtWidgets.QVBoxLayout(box).addWidget(text)
        box.resize(640, 320)
        box.open()


def _draw_curve(canvas: Any, curve: Curve) -> None:
    pen = pg.mkPen(curve.color, width=2, style=_LINES[curve.style])
    name = curve.name or None
    if curve.kind == "vertical":
        for i, value in enumerate(curve.x):
            line = pg.InfiniteLine(float(value), angle=90, pen=pen)
            canvas.addItem(line)
            if i == 0 and name:
                canvas.plotItem.legend.addItem(pg.PlotDataItem(pen=pen), name)
    elif curve.kind == "steps":
        brush = pg.mkColor(curve.color)
        brush.setAlphaF(0.35)
        canvas.plot(curve.x, curve.y, stepMode="center", fillLevel=0, brush=brush, pen=pen, name=name)
    elif curve.kind == "points":
        step = max(1, len(curve.x) // _MOST_POINTS)
        canvas.plot(
            curve.x[::step], curve.y[::step], pen=None, symbol="o", symbolSize=4, symbolPen=None,
            symbolBrush=curve.color, name=name,
        )  # fmt: skip
    else:
        canvas.plot(curve.x, curve.y, pen=pen, name=name)


class _Table(QtWidgets.QWidget):
    """Rows of values, sortable, copied and saved.

    Notes
    -----
    Signals: ``rows_selected`` (numbers of the rows that are chosen, from 0).
    """

    rows_selected = Signal(object)

    def __init__(self, title: str) -> None:
        super().__init__()
        self.rows: list[dict[str, Any]] = []
        self.table = QtWidgets.QTableWidget()
        self.table.setSelectionBehavior(QtWidgets.QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.itemSelectionChanged.connect(lambda: self.rows_selected.emit(self.selected))
        self.table.setAccessibleName(title)
        self.table.setEditTriggers(QtWidgets.QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.verticalHeader().hide()
        save = QtWidgets.QPushButton(icon("save"), "Save …")
        save.clicked.connect(self._save)
        layout = QtWidgets.QVBoxLayout(self)
        layout.addWidget(self.table, 1)
        layout.addWidget(save, 0, Qt.AlignmentFlag.AlignLeft)

    def show_rows(self, rows: Sequence[dict[str, Any]]) -> None:
        """Show rows."""
        self.rows = list(rows)
        names = list(dict.fromkeys(name for row in rows for name in row))
        self.table.setColumnCount(len(names))
        self.table.setHorizontalHeaderLabels(names)
        self.table.setRowCount(len(rows))
        for i, row in enumerate(rows):
            for j, name in enumerate(names):
                item = QtWidgets.QTableWidgetItem(_format(name, row.get(name)))
                if not isinstance(row.get(name), str):
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.table.setItem(i, j, item)
        self.table.resizeColumnsToContents()

    @property
    def selected(self) -> list[int]:
        """Numbers of the rows that are chosen."""
        return sorted({index.row() for index in self.table.selectionModel().selectedRows()})

    def mark_rows(self, rows: Iterable[int]) -> None:
        """Choose rows, as another view did; nothing is told."""
        wanted = [row for row in rows if 0 <= row < self.table.rowCount()]
        if wanted == self.selected:
            return
        model, chosen = self.table.model(), QtCore.QItemSelection()
        for row in wanted:
            chosen.select(model.index(row, 0), model.index(row, max(self.table.columnCount() - 1, 0)))
        with QtCore.QSignalBlocker(self.table):
            self.table.selectionModel().select(chosen, QtCore.QItemSelectionModel.SelectionFlag.ClearAndSelect)
        if wanted:
            self.table.scrollTo(model.index(wanted[0], 0))

    def save(self, path: Path) -> None:
        """Write the rows as ECSV or CSV.

        Raises
        ------
        InputError
            If the file cannot be written.
        """
        write_table(make_table(self.rows), path)

    def _save(self) -> None:
        path, _ = QtWidgets.QFileDialog.getSaveFileName(self, "Save table", "table.ecsv", "ECSV (*.ecsv);;CSV (*.csv)")
        if path:
            _try_to_save(self, lambda: self.save(Path(path)))


class ResultsPanel(QtWidgets.QTabWidget):
    """Tables of photometry and statistics, and plots."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.photometry = _Table("Photometry")
        self.statistics = _Table("Statistics")
        self._row = QtWidgets.QWidget()
        self._plots = QtWidgets.QHBoxLayout(self._row)
        self._plots.addStretch(0)
        scroll = QtWidgets.QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setWidget(self._row)
        self.addTab(self.photometry, "Photometry")
        self.addTab(self.statistics, "Statistics")
        self.addTab(scroll, "Plots")
        self.setMinimumHeight(120)
        theme_events().changed.connect(self.restyle)

    def sizeHint(self) -> QtCore.QSize:  # noqa: N802 - Qt's name
        """Prefer a strip below the images."""
        return QtCore.QSize(600, 300)

    def plot_views(self) -> list[PlotView]:
        """Return the plots, oldest first."""
        items = (self._plots.itemAt(i) for i in range(self._plots.count()))
        widgets = [item.widget() for item in items if item is not None]
        return [widget for widget in widgets if isinstance(widget, PlotView)]

    def add_plot(self, plot: Plot, *, separate: bool = True, share: str = "none") -> PlotView:
        """Show a plot.

        Parameters
        ----------
        plot : Plot
            Curves and labels.
        separate : bool
            In axes of its own; else in the last ones of the same kind.
        share : {"none", "x", "y", "both"}
            Axes in common with the plots of the same kind.
        """
        same = [view for view in self.plot_views() if view.plots[0].kind == plot.kind]
        if not separate and same:
            same[-1].add(plot)
            return same[-1]
        view = PlotView(plot)
        if same and share in ("x", "both"):
            view.canvas.setXLink(same[0].canvas)
        if same and share in ("y", "both"):
            view.canvas.setYLink(same[0].canvas)
        self._plots.insertWidget(self._plots.count() - 1, view)
        return view

    def clear_results(self) -> None:
        """Remove all tables and plots."""
        self.photometry.show_rows([])
        self.statistics.show_rows([])
        for view in self.plot_views():
            self._plots.removeWidget(view)
            view.setParent(None)
            view.deleteLater()

    def restyle(self) -> None:
        """Take the colours of the look in use."""
        for view in self.plot_views():
            view.restyle()


def _format(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.7g}" if name in ("RA", "Dec") else f"{value:.4g}"
    return str(value)


def _try_to_save(parent: QtWidgets.QWidget, save: Callable[[], None]) -> None:
    try:
        save()
    except SofiaDeskError as error:
        QtWidgets.QMessageBox.warning(parent, "Save", str(error))
