"""A cut through a cube on the screen: position against wavelength or velocity."""

from __future__ import annotations

import numpy as np

from sofia_viewers.colormaps import make_color_table
from sofia_viewers.cube.position_velocity import PathCut
from sofia_viewers.plots import adopt_menus, make_plot
from sofia_viewers.qt import Qt, QtCore, QtWidgets, Signal, pg
from sofia_viewers.spectrum.units import WaveAxis, velocity_of_wave
from sofia_viewers.theme import style_plot
from sofia_viewers.unit_names import show_unit

__all__ = ["CutView"]

_TAIL = 0.5
_EMPTY = "No cut.\nDraw a line on the image, or choose one."


class CutView(QtWidgets.QWidget):
    """Shows a cut; ``wave_chosen`` carries the wavelength of a click."""

    wave_chosen = Signal(float)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.cut: PathCut | None = None
        self._axis = WaveAxis("um")
        self.plot = make_plot()
        self.plot.hideButtons()
        self.image = pg.ImageItem()
        self.plot.addItem(self.image)
        self.bar = pg.ColorBarItem(width=12, interactive=False)
        adopt_menus(self.plot, self.bar)
        self.bar.setImageItem(self.image, insert_in=self.plot.getPlotItem())
        self.bar.axis.enableAutoSIPrefix(False)
        self.bar.hide()
        self.message = QtWidgets.QLabel(_EMPTY, self.plot)
        self.message.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.message.setProperty("role", "muted")
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(self.plot)
        self.plot.scene().sigMouseClicked.connect(self._click)
        self.restyle()

    def show_cut(self, cut: PathCut | None, axis: WaveAxis, color_map: str = "") -> None:
        """Show a cut.

        Parameters
        ----------
        cut : PathCut or None
            None empties the view.
        axis : WaveAxis
            Velocity if that is its unit and it has a rest wavelength.
        color_map : str
            Name of a colour map.
        """
        self.cut, self._axis = cut, axis
        self.message.setVisible(cut is None)
        if cut is None:
            self.image.clear()
            self.bar.hide()
            return
        values = cut.values if cut.wave[-1] >= cut.wave[0] else cut.values[::-1]
        low, high, label = self._find_span(cut)
        finite = values[np.isfinite(values)]
        limits = np.percentile(finite, [_TAIL, 100.0 - _TAIL]) if finite.size else (0.0, 1.0)
        table = make_color_table(color_map or "viridis", 255)
        self.image.setImage(np.asarray(values, dtype=np.float32), autoLevels=False, levels=tuple(map(float, limits)))
        self.bar.setColorMap(pg.ColorMap(np.linspace(0, 1, 255), table))
        self.bar.setLevels(tuple(map(float, limits)))
        self.bar.axis.setLabel(show_unit(cut.unit))
        self.bar.show()
        step = cut.offset[1] - cut.offset[0] if len(cut.offset) > 1 else 1.0
        self.image.setRect(QtCore.QRectF(-0.5 * step, low, step * len(cut.offset), high - low))
        item = self.plot.getPlotItem()
        item.setLabel("bottom", f"Offset [{cut.offset_unit}]")
        item.setLabel("left", label)
        item.getViewBox().setRange(self.image.mapRectToParent(self.image.boundingRect()), padding=0.02)

    def _find_span(self, cut: PathCut) -> tuple[float, float, str]:
        """Return the lower and upper end of the spectral axis, and its label."""
        wave = np.sort(cut.wave)
        label = f"Wavelength [{show_unit(cut.wave_unit)}]" if cut.wave_unit != "pixel" else "Slice"
        if self._axis.unit == "km/s" and self._axis.rest and cut.wave_unit == "um":
            wave = np.sort(velocity_of_wave(cut.wave, self._axis.rest, self._axis.convention))
            label = "Velocity [km/s]"
        half = 0.5 * (wave[-1] - wave[0]) / max(len(wave) - 1, 1)
        return float(wave[0] - half), float(wave[-1] + half), label

    def _click(self, event: object) -> None:
        if self.cut is None:
            return
        point = self.plot.getPlotItem().getViewBox().mapSceneToView(event.scenePos())  # type: ignore[attr-defined]
        low, high, _ = self._find_span(self.cut)
        order = np.argsort(self.cut.wave)
        place = (point.y() - low) / (high - low) * len(order) - 0.5
        self.wave_chosen.emit(float(self.cut.wave[order][int(np.clip(round(place), 0, len(order) - 1))]))

    def restyle(self) -> None:
        """Take over the colours of the look."""
        from sofia_viewers.theme import current_theme

        style_plot(self.plot)
        self.bar.axis.setTextPen(current_theme().text)
        self.bar.axis.setPen(current_theme().muted)

    def resizeEvent(self, event: object) -> None:  # noqa: N802 - Qt's name
        """Keep the message in the middle."""
        super().resizeEvent(event)  # type: ignore[arg-type]
        self.message.setGeometry(self.plot.rect())
