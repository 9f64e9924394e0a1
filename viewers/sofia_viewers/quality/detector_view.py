"""Raw frames as a movie, with their levels and the time stream of a pixel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import InputError
from sofia_viewers.colormaps import make_color_table
from sofia_viewers.export import make_table, write_table
from sofia_viewers.plots import make_plot
from sofia_viewers.qt import Qt, QtCore, QtWidgets, pg
from sofia_viewers.quality.detector import FrameSequence, Levels, measure_levels, read_sequences
from sofia_viewers.quality.item_table import ItemColumn, ItemTable, make_table_view, select_rows, selected_rows
from sofia_viewers.tasks import Tasks
from sofia_viewers.theme import PLOT_COLORS, current_theme, style_plot, theme_events

__all__ = ["DetectorView"]

_SUBTRACTIONS = (
    ("none", "as read"), ("pair", "minus other chop position"), ("previous", "minus frame before"),
    ("first", "minus first frame"), ("median", "minus median of all"),
)  # fmt: skip
_STATISTICS = ("median", "mean", "noise", "low", "high")
_SPEEDS = (1, 30)


class DetectorView(QtWidgets.QWidget):
    """Frames of a raw file."""

    def __init__(self, tasks: Tasks, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.tasks = tasks
        self.sequences: tuple[FrameSequence, ...] = ()
        self.levels: list[Levels] = []
        self.pixel: tuple[int, int] | None = None
        self._file_problem = ""
        self.choice = QtWidgets.QComboBox()
        self.slider = QtWidgets.QSlider(Qt.Orientation.Horizontal)
        self.subtraction = QtWidgets.QComboBox()
        self.same_limits = QtWidgets.QCheckBox("Same limits")
        self.speed = QtWidgets.QSpinBox()
        self.play_button = QtWidgets.QPushButton("Play")
        self.label = QtWidgets.QLabel("Select a raw file to see its frames.")
        self.statistic = QtWidgets.QComboBox()
        self.canvas = make_plot(has_menu=True)
        self.image = pg.ImageItem(axisOrder="row-major")
        self.mark = pg.ScatterPlotItem(symbol="+", size=16)
        self.curve = make_plot(has_menu=True)
        self.model = ItemTable(self, _level_columns())
        self.table = make_table_view(self.model, "Levels of frames")
        self.timer = QtCore.QTimer(self)
        self._limits: tuple[float, float] | None = None
        self._set_up()
        self._lay_out()
        self._connect()
        self._restyle()

    # -- what others use --------------------------------------------------------------------------------------------

    def open_file(self, path: Path) -> None:
        """Show the frames of a file."""

        def work() -> tuple[tuple[FrameSequence, ...], list[Levels]]:
            sequences = read_sequences(path)
            return sequences, measure_levels(sequences[-1])

        self.tasks.submit("frames", work, lambda found: self._accept(*found), self._show_problem)

    @property
    def sequence(self) -> FrameSequence | None:
        """The frames that are shown."""
        place = self.choice.currentIndex()
        return self.sequences[place] if 0 <= place < len(self.sequences) else None

    def show_frame(self, number: int) -> None:
        """Show a frame, counted from 0."""
        self.slider.setValue(number)

    def choose_pixel(self, x: int, y: int) -> None:
        """Plot the values of a pixel (counted from 0) in all frames.

        Raises
        ------
        InputError
            If there is no such pixel.
        """
        if self.sequence is not None:
            self.sequence.time_stream(x, y)
            self.pixel = (x, y)
            self._draw_curve()

    def play(self, on: bool | None = None) -> None:
        """Run or stop the movie."""
        on = not self.timer.isActive() if on is None else on
        on = on and self.sequence is not None and len(self.sequence) > 1
        (self.timer.start if on else self.timer.stop)()
        self.play_button.setText("Stop" if on else "Play")

    def export(self, path: Path) -> Path:
        """Write the levels of all frames to a CSV, ECSV or VOTable file.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        return write_table(make_table([vars(level) for level in self.levels]), path)

    # -- parts ------------------------------------------------------------------------------------------------------

    def _set_up(self) -> None:
        self.choice.setAccessibleName("Frames")
        self.choice.setSizeAdjustPolicy(QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.choice.setMinimumContentsLength(20)
        self.slider.setAccessibleName("Frame number")
        self.slider.setPageStep(1)
        self.slider.setEnabled(False)
        for key, text in _SUBTRACTIONS:
            self.subtraction.addItem(text, key)
        self.subtraction.setAccessibleName("Subtraction")
        self.same_limits.setToolTip("Keep the colour limits while the frames change.")
        self.speed.setRange(*_SPEEDS)
        self.speed.setValue(4)
        self.speed.setSuffix(" frames/s")
        self.play_button.setEnabled(False)
        self.label.setWordWrap(True)
        self.statistic.addItems(["pixel", *_STATISTICS])
        self.statistic.setCurrentText("median")
        self.statistic.setAccessibleName("Plotted number")
        self.timer.setInterval(250)
        self.image.setPos(0.5, 0.5)  # the centre of the first pixel is (1, 1), as in FITS
        self.canvas.addItem(self.image)
        self.canvas.addItem(self.mark)
        self.canvas.setAspectLocked(True)
        self.canvas.setLabel("bottom", "x (pixel)")
        self.canvas.setLabel("left", "y (pixel)")
        self.curve.setLabel("bottom", "Frame")
        self.image.setLookupTable(np.asarray(make_color_table("viridis", 256), dtype=np.uint8))

    def _lay_out(self) -> None:
        top = QtWidgets.QHBoxLayout()
        top.addWidget(self.choice, 2)
        top.addWidget(self.subtraction, 1)
        top.addWidget(self.same_limits)
        movie = QtWidgets.QHBoxLayout()
        movie.addWidget(self.play_button)
        movie.addWidget(self.speed)
        movie.addWidget(self.slider, 1)
        left = QtWidgets.QWidget()
        column = QtWidgets.QVBoxLayout(left)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.canvas, 1)
        column.addLayout(movie)
        column.addWidget(self.label)
        right = QtWidgets.QSplitter(Qt.Orientation.Vertical)
        plot = QtWidgets.QWidget()
        inner = QtWidgets.QVBoxLayout(plot)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.addWidget(self.statistic)
        inner.addWidget(self.curve, 1)
        right.addWidget(plot)
        right.addWidget(self.table)
        both = QtWidgets.QSplitter()
        both.addWidget(left)
        both.addWidget(right)
        both.setSizes([600, 400])
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addLayout(top)
        layout.addWidget(both, 1)

    def _connect(self) -> None:
        self.choice.activated.connect(self._take_choice)
        self.slider.valueChanged.connect(self._draw)
        self.subtraction.activated.connect(self._take_subtraction)
        self.same_limits.toggled.connect(self._draw)
        self.speed.valueChanged.connect(lambda speed: self.timer.setInterval(1000 // speed))
        self.play_button.clicked.connect(lambda _checked: self.play())
        self.statistic.activated.connect(self._draw_curve)
        self.timer.timeout.connect(self._advance)
        self.canvas.scene().sigMouseClicked.connect(self._take_click)
        self.table.selectionModel().selectionChanged.connect(self._take_row)
        theme_events().changed.connect(self._restyle)

    def _restyle(self) -> None:
        style_plot(self.canvas)
        style_plot(self.curve)
        self.mark.setPen(pg.mkPen(current_theme().error, width=2))
        self._draw_curve()

    # -- showing ----------------------------------------------------------------------------------------------------

    def _accept(self, sequences: tuple[FrameSequence, ...], levels: list[Levels]) -> None:
        self.play(False)
        self._file_problem = ""
        self.sequences, self.pixel, self._limits = sequences, None, None
        self.choice.clear()
        self.choice.addItems([sequence.name for sequence in sequences])
        self.choice.setCurrentIndex(len(sequences) - 1)
        self._show_levels(levels)

    def _show_problem(self, message: str) -> None:
        self.play(False)
        self._file_problem = message
        self.sequences, self.pixel = (), None
        self.choice.clear()
        self.image.clear()
        self._show_levels([])
        self.label.setText(message)

    def _take_choice(self) -> None:
        sequence = self.sequence
        if sequence is not None:
            self.pixel, self._limits = None, None
            self.tasks.submit("frames", lambda: measure_levels(sequence), self._show_levels)

    def _show_levels(self, levels: list[Levels]) -> None:
        self.levels = levels
        self.model.set_rows(levels)
        self.table.resizeColumnsToContents()
        count = len(self.sequence) if self.sequence is not None else 0
        self.slider.blockSignals(True)
        self.slider.setRange(0, max(count - 1, 0))
        self.slider.setValue(0)
        self.slider.blockSignals(False)
        self.slider.setEnabled(count > 1)
        self.play_button.setEnabled(count > 1)
        self._draw()
        self.canvas.autoRange()
        self._draw_curve()

    def _take_subtraction(self) -> None:
        self._limits = None
        sequence = self.sequence
        if sequence is not None and self.subtraction.currentData() == "median":
            self.tasks.submit("median", lambda: sequence.median_frame, lambda _median: self._draw())
        else:
            self._draw()

    @QtCore.Slot()
    def _draw(self) -> None:
        sequence = self.sequence
        if sequence is None:
            return
        number = self.slider.value()
        frame = sequence.frame(number, self.subtraction.currentData())
        if self._limits is None or not self.same_limits.isChecked():
            self._limits = _find_limits(frame)
        self.image.setImage(frame, levels=self._limits, autoLevels=False)
        unit = f" {sequence.unit}" if sequence.unit else ""
        low, high = self._limits
        self.label.setText(
            f"{number + 1} of {len(sequence)}: {sequence.labels[number]}; shown {low:.5g} to {high:.5g}{unit}"
        )
        self.label.setToolTip(self.label.text())

    @QtCore.Slot()
    def _draw_curve(self) -> None:
        self.curve.clear()
        self.mark.setData([], [])
        name = self.statistic.currentText()
        if self.pixel is not None:
            self.mark.setData([self.pixel[0] + 1], [self.pixel[1] + 1])
        values = self._curve_values(name)
        unit = self.sequence.unit if self.sequence is not None else ""
        title = f"pixel ({self.pixel[0] + 1}, {self.pixel[1] + 1})" if name == "pixel" and self.pixel else name
        self.curve.setLabel("left", f"{title} ({unit})" if unit else title)
        if len(values):
            symbol = "o" if len(values) <= 200 else None
            pen = pg.mkPen(PLOT_COLORS[0])
            numbers = np.arange(1, len(values) + 1)
            self.curve.plot(numbers, values, pen=pen, symbol=symbol, symbolSize=7, symbolBrush=PLOT_COLORS[0])

    def _curve_values(self, name: str) -> NDArray[np.float64]:
        if name != "pixel":
            return np.array([getattr(level, name) for level in self.levels], dtype=float)
        if self.pixel is None or self.sequence is None:
            return np.array([])
        return self.sequence.time_stream(*self.pixel)

    # -- what the user does -----------------------------------------------------------------------------------------

    def _advance(self) -> None:
        count = len(self.sequence) if self.sequence is not None else 0
        if count:
            self.slider.setValue((self.slider.value() + 1) % count)

    def _take_click(self, event: Any) -> None:
        place = self.canvas.getPlotItem().vb.mapSceneToView(event.scenePos())
        try:
            self.choose_pixel(int(np.floor(place.x() - 0.5)), int(np.floor(place.y() - 0.5)))
        except InputError:  # beside the frame
            return
        self.statistic.setCurrentText("pixel")
        self._draw_curve()

    def _take_row(self) -> None:
        rows = selected_rows(self.table)
        if len(rows) == 1:
            self.slider.setValue(rows[0])

    def select_level(self, number: int) -> None:
        """Select the line of a frame in the table."""
        select_rows(self.table, [number])


def _find_limits(frame: NDArray[np.float64]) -> tuple[float, float]:
    values = frame[np.isfinite(frame)]
    if not values.size:
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(values, (1.0, 99.5)))
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _level_columns() -> Sequence[ItemColumn]:
    def number(name: str) -> ItemColumn:
        title = {"low": "Minimum", "high": "Maximum", "noise": "Noise"}.get(name, name.capitalize())
        return ItemColumn(title, lambda level: f"{getattr(level, name):.6g}", value=lambda level: getattr(level, name))

    return [
        ItemColumn("Frame", lambda level: str(level.number), value=lambda level: level.number),
        ItemColumn("Position", lambda level: level.label),
        *(number(name) for name in _STATISTICS),
    ]
