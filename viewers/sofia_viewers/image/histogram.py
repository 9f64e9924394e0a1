"""The histogram of the current frame, with limits that can be dragged."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sofia_viewers.image.display import Limits, compute_histogram
from sofia_viewers.plots import adopt_menus
from sofia_viewers.qt import QtCore, QtWidgets, Signal, pg
from sofia_viewers.theme import current_theme, style_plot, theme_events

__all__ = ["LimitsHistogram"]


class LimitsHistogram(pg.PlotWidget):  # type: ignore[misc]
    """Counts over value; the marked range is that of the colours."""

    limits_dragged = Signal(float, float)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent, enableMenu=False)
        adopt_menus(self, self.getPlotItem())
        self.setFixedHeight(130)
        self.setAccessibleName("Histogram with limits of the display")
        self.hideAxis("left")
        self.setMouseEnabled(x=True, y=False)
        self.hideButtons()
        self._curve = self.plot([0, 1], [0], stepMode="center", fillLevel=0)
        self._range = pg.LinearRegionItem((0, 1))
        self._range.sigRegionChanged.connect(self._report)
        self.addItem(self._range)
        self._quiet = False
        theme_events().changed.connect(self.apply_theme)
        self.apply_theme()

    @property
    def limits(self) -> Limits:
        """The marked range."""
        low, high = self._range.getRegion()
        return float(low), float(high)

    def set_sample(self, sample: NDArray[np.float32]) -> None:
        """Show the histogram of a sample."""
        counts, edges = compute_histogram(sample)
        self._curve.setData(edges, np.log10(1.0 + counts))
        self.setXRange(edges[0], edges[-1], padding=0)

    def set_limits(self, limits: Limits) -> None:
        """Mark a range without reporting it."""
        self._quiet = True
        self._range.setRegion(limits)
        self._quiet = False

    def sizeHint(self) -> QtCore.QSize:  # noqa: N802 - Qt's name
        """Prefer the width of the panel."""
        return QtCore.QSize(260, 130)

    def apply_theme(self) -> None:
        """Take the colours of the look in use."""
        theme = current_theme()
        style_plot(self, theme)
        self._curve.setPen(theme.muted)
        self._curve.setBrush(theme.grid)
        accent = pg.mkColor(theme.accent)
        accent.setAlpha(45)
        self._range.setBrush(accent)
        self._range.setHoverBrush(accent)
        for line in self._range.lines:
            line.setPen(pg.mkPen(theme.accent, width=2))

    def _report(self) -> None:
        if not self._quiet:
            self.limits_dragged.emit(*self.limits)
