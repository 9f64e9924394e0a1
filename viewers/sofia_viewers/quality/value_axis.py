"""Axes of numbers, words or times, with as many labels as fit side by side; a legend beside the plot."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from sofia_viewers.qt import Qt, QtGui, QtWidgets, pg

__all__ = ["SideLegend", "ValueAxis", "strip_common"]

_PARTS = re.compile(r"[^ _\-/]+[ _\-/]*")
"""Parts between which a label is broken."""
_MOST_LETTERS = 14
"""Letters of a part that are always shown; where there is less room, every second or third word is labelled."""
_GAP = 8.0
"""Pixels between labels."""
_TITLE_SHARE = 0.4
_OVERHANG = 30
"""Pixels by which the first and the last label may stand out."""
_MOST_LINES = 3
_MARGIN = 40.0
"""Pixels of a plot above and below its legend."""
_MOST_TICKS = 30
_LONG_PREFIX = 8
_STEPS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400, 172800, 604800, 2592000, 31536000)
"""Round intervals of time, s."""


class ValueAxis(pg.AxisItem):  # type: ignore[misc]
    """An axis of numbers, of words, or of time in UTC."""

    def __init__(self, orientation: str) -> None:
        super().__init__(orientation)
        self._words: tuple[str, ...] = ()
        self._labels: tuple[str, ...] = ()
        self._pitch = 1.0
        """Pixels from a word to the next."""
        self.is_time = False
        self.setStyle(hideOverlappingLabels=_OVERHANG)
        self.enableAutoSIPrefix(False)

    @property
    def words(self) -> tuple[str, ...]:
        """Words at 0, 1, 2, …; empty for numbers and times."""
        return self._words

    @words.setter
    def words(self, words: tuple[str, ...]) -> None:
        self._words, self._labels = words, strip_common(words)

    def tickValues(self, minimum: float, maximum: float, size: float) -> Any:  # noqa: N802
        """Return whole numbers for words, round times for time; no more than labels fit."""
        if self.words:
            first, last = max(0, math.ceil(minimum)), min(len(self.words) - 1, math.floor(maximum))
            self._pitch = size / max(maximum - minimum, 1e-9)
            step = max(1, (last - first) // _MOST_TICKS + 1, math.ceil(self._least_room() / self._pitch))
            return [(step, [float(number) for number in range(first, last + 1, step)])]
        if self.is_time:
            seconds = self._choose_interval(maximum - minimum, size)
            return [(seconds, list(np.arange(np.ceil(minimum / seconds), maximum / seconds) * seconds))]
        return super().tickValues(minimum, maximum, size)

    def _least_room(self) -> float:
        """Return the room a label needs: its longest part, which is cut only if it is very long."""
        font = self._measure()
        longest = max((part for label in self._labels for part in _PARTS.findall(label)), key=len, default="")
        return min(font.horizontalAdvance(longest), font.averageCharWidth() * _MOST_LETTERS) + _GAP

    def _choose_interval(self, span: float, size: float) -> float:
        """Return the shortest round interval whose labels have room."""
        for seconds in _STEPS:
            width = self._measure().horizontalAdvance(_format_time(0.0, seconds)) + 2 * _GAP
            if seconds >= span / 6 and seconds / max(span, 1e-9) * size >= width:
                return float(seconds)
        return float(_STEPS[-1])

    def tickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:  # noqa: N802
        """Return the words or times."""
        if self.words:
            room = spacing * self._pitch - _GAP
            return [self._label(int(value), room) for value in values]
        if self.is_time:
            return [_format_time(value, spacing) for value in values]
        strings: list[str] = super().tickStrings(values, scale, spacing)
        return strings

    def _updateHeight(self) -> None:  # noqa: N802
        """Leave room between labels and title, which pyqtgraph lets overlap."""
        super()._updateHeight()
        if self.orientation == "bottom" and self.label.isVisible():
            height = self.minimumHeight() + _TITLE_SHARE * self.label.boundingRect().height()
            self.setMaximumHeight(height)
            self.setMinimumHeight(height)

    def _label(self, number: int, room: float) -> str:
        return _fit(self._labels[number], room, self._measure()) if 0 <= number < len(self._labels) else ""

    def _measure(self) -> QtGui.QFontMetricsF:
        return QtGui.QFontMetricsF(self.style["tickFont"] or QtWidgets.QApplication.font())


class SideLegend(pg.LegendItem):  # type: ignore[misc]
    """A legend in the layout of a plot, beside the points instead of over them.

    Parameters
    ----------
    item : PlotItem
        The plot; its legend from now on.
    """

    def __init__(self, item: Any) -> None:
        super().__init__(offset=None, verSpacing=-4)
        self._item = item
        item.legend = self
        item.layout.addItem(self, 2, 3, Qt.AlignmentFlag.AlignTop)
        item.vb.sigResized.connect(self.updateSize)

    def updateSize(self, _resized: Any = None) -> None:  # noqa: N802
        """Take more columns where the plot is too low for all names; take no room without names."""
        if getattr(self, "_item", None) is None:
            return
        columns = max(1, math.ceil(len(self.items) / self._count_fitting()))
        if columns != self.columnCount:
            self.setColumnCount(columns)  # comes back here
            return
        self.setVisible(bool(self.items))
        self.layout.invalidate()
        self.layout.activate()
        wanted = self.layout.effectiveSizeHint(Qt.SizeHint.PreferredSize)
        self.setMinimumSize(wanted.width() if self.items else 0, 0)
        self.setMaximumSize(wanted if self.items else wanted * 0)
        self.updateGeometry()

    def _count_fitting(self) -> int:
        """Return how many names fit below each other."""
        view = self._item.getViewWidget()
        height = (view.height() if view is not None else self._item.size().height()) - _MARGIN
        heights = [label.minimumHeight() for _, label in self.items]
        return max(1, int(height / max([*heights, 12.0])))

    def mouseDragEvent(self, event: Any) -> None:  # noqa: N802
        """Stay."""
        event.ignore()


def strip_common(words: Sequence[str]) -> tuple[str, ...]:
    """Return words without what all of them begin or end with, if that is long, as names of files often do."""
    if len(words) < 2:
        return tuple(words)
    shared = os.path.commonprefix(list(words))  # noqa: RUF071 - of letters, not of folders
    prefix = re.sub(r"[^_\-. ]*$", "", shared)
    prefix = prefix if len(prefix) >= _LONG_PREFIX else ""
    suffix = ".fits" if all(word.endswith(".fits") for word in words) else ""
    stripped = [word[len(prefix) :].removesuffix(suffix) for word in words]
    if not all(stripped):
        return tuple(words)
    return tuple(f"{'…' if prefix else ''}{word}" for word in stripped)


def _fit(text: str, room: float, font: QtGui.QFontMetricsF) -> str:
    """Break a text into at most three lines of a width in pixels, between its parts; what is too long is cut."""
    lines = [""]
    for part in _PARTS.findall(text) or [text]:
        if lines[-1] and font.horizontalAdvance((lines[-1] + part).rstrip()) > room:
            lines.append("")
        lines[-1] += part
    if len(lines) > _MOST_LINES:
        lines = [*lines[: _MOST_LINES - 1], "".join(lines[_MOST_LINES - 1 :])]
    return "\n".join(font.elidedText(line.rstrip(), Qt.TextElideMode.ElideMiddle, room) for line in lines)


def _format_time(value: float, spacing: float) -> str:
    pattern = "%Y-%m-%d" if spacing >= 86400 else "%H:%M" if spacing >= 60 else "%H:%M:%S"
    return datetime.fromtimestamp(value, UTC).strftime(pattern)
