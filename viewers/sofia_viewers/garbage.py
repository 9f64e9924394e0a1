"""Python's search for garbage, kept in the thread of the windows.

Python looks for unreachable cycles of objects in whatever thread happens to make the object that is one too many. If
the cycle holds a window that was closed, that thread destroys widgets, graphics items and timers that belong to another
thread: Qt then ends the process with a segmentation fault, or waits for itself. So a program with windows and threads
does not let Python choose; the thread of the windows searches, when it is back in its event loop.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from functools import partial

from sofia_viewers.qt import QtCore, QtGui

__all__ = ["GarbageSearch", "search_in_window_thread"]

_INTERVAL_MS = 500
_SHARE = 50
"""The time between two searches through everything is at least so many times what one takes."""


class GarbageSearch:
    """Does what Python's own search does, with Python's own thresholds, but only when it is asked to.

    Searching through all objects takes a tenth of a second in a large program; that is done rarely, and not while
    something is dragged with the mouse.

    Parameters
    ----------
    is_dragging : callable
        Whether a button of the mouse is held down.
    """

    def __init__(self, is_dragging: Callable[[], bool] = lambda: False) -> None:
        self._next_full = 0.0
        self._is_dragging = is_dragging

    def run_if_due(self) -> int:
        """Search the oldest generation that is due.

        Returns
        -------
        int
            The generation that was searched; -1 if none was due.
        """
        counts, limits = gc.get_count(), gc.get_threshold()
        if counts[0] <= limits[0]:
            return -1
        levels = range(3 if time.monotonic() >= self._next_full and not self._is_dragging() else 2)
        generation = max(level for level in levels if counts[level] > limits[level])
        started = time.monotonic()
        gc.collect(generation)
        ended = time.monotonic()
        if generation == 2:
            self._next_full = ended + _SHARE * (ended - started)
        return generation


def search_in_window_thread(application: QtCore.QCoreApplication) -> None:
    """Let no other thread than that of the windows search for garbage from now on; may be called again.

    Parameters
    ----------
    application : QCoreApplication
        Its event loop does the searching, twice a second at most.
    """
    gc.disable()
    if application.findChild(QtCore.QTimer, "garbage") is not None:
        return
    search = GarbageSearch(lambda: bool(QtGui.QGuiApplication.mouseButtons().value))
    timer = QtCore.QTimer(application)
    timer.setObjectName("garbage")
    timer.timeout.connect(partial(search.run_if_due))  # a bare method would not keep its object alive
    timer.start(_INTERVAL_MS)
