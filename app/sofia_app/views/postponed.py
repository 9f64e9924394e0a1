"""Refreshing later: many changes in a row cost one refresh, and each panel has its own turn of the event loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sofia_viewers.qt import QtCore

__all__ = ["Postponed"]


class Postponed(QtCore.QObject):
    """Calls a function once, a moment after it was asked for, however often.

    Parameters
    ----------
    parent : QObject
        Owner; when it goes, nothing is called any more.
    function : callable
        What is to be done.
    delay : int
        Milliseconds.
    """

    def __init__(self, parent: QtCore.QObject, function: Callable[[], None], delay: int = 5) -> None:
        super().__init__(parent)
        self._timer = QtCore.QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(delay)
        self._timer.timeout.connect(function)

    def __call__(self, *_values: Any) -> None:
        """Ask for it."""
        if not self._timer.isActive():
            self._timer.start()

    @property
    def is_due(self) -> bool:
        """Whether the function will be called soon."""
        return self._timer.isActive()
