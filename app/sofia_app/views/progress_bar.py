"""Progress of what runs: step, share done, time left, and the way to stop it."""

from __future__ import annotations

from sofia_app.desk import Desk
from sofia_app.views.postponed import Postponed
from sofia_viewers.qt import QtCore, QtGui, QtWidgets

__all__ = ["RunProgress", "format_seconds"]

_STEPS = 1000
_TICK = 500


class RunProgress(QtWidgets.QWidget):
    """Shows how far the running work is; hidden when nothing runs.

    Parameters
    ----------
    desk : Desk
        What runs.
    stop : QAction
        Stops it.
    """

    def __init__(self, desk: Desk, stop: QtGui.QAction) -> None:
        super().__init__()
        self._desk = desk
        self.label = QtWidgets.QLabel()
        self.bar = QtWidgets.QProgressBar(maximum=_STEPS)
        self.bar.setFixedWidth(180)
        self.bar.setTextVisible(False)
        self.left = QtWidgets.QLabel()
        button = QtWidgets.QToolButton()
        button.setDefaultAction(stop)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 6, 0)
        for widget in (self.label, self.bar, self.left, button):
            row.addWidget(widget)
        self._timer = QtCore.QTimer(self, interval=_TICK)
        self._timer.timeout.connect(self.refresh)
        later = Postponed(self, self.refresh)
        desk.reduction.changed.connect(later)
        desk.reduction.progressed.connect(later)
        desk.conditions_changed.connect(later)
        self.refresh()

    def refresh(self) -> None:
        """Take over what runs now."""
        busy = self._desk.is_busy
        self.setVisible(busy)
        if busy != self._timer.isActive():
            self._timer.start() if busy else self._timer.stop()
        progression = self._desk.reduction.progression
        if progression is None:
            self.label.setText("Working…")
            self.bar.setMaximum(0)
            self.left.clear()
            return
        place = f"{progression.index + 1}/{progression.total_steps} " if progression.total_steps else ""
        what = f": {_shorten(progression.what)}" if progression.what else ""
        self.label.setText(f"{place}{progression.label}{what}")
        self.bar.setMaximum(_STEPS if progression.total else 0)
        self.bar.setValue(round(progression.fraction * _STEPS))
        left = progression.seconds_left()
        self.left.setText(f"{format_seconds(left)} left" if left is not None else "")


def _shorten(text: str, most: int = 40) -> str:
    return text if len(text) <= most else f"…{text[-most:]}"


def format_seconds(seconds: float) -> str:
    """Return a time in words that fit in a status bar."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
