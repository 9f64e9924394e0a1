"""Measuring of many files for the viewer: rows arrive one by one, and it can be stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

from sofia_viewers.qt import Qt, QtCore, Signal
from sofia_viewers.quality.measuring import MetricsCache, measure_files
from sofia_viewers.quality.metrics import Metrics

__all__ = ["Measurement"]

_FAREWELL = 10.0
"""Seconds; the thread ends its own threads and processes in less."""
_REFRESH_MS = 150
_LONGEST_REFRESH_MS = 3000
_SHARE = 15
"""The time between two refreshes is at least so many times what one takes."""


class Measurement(QtCore.QObject):
    """Runs `measure_files` in a thread of its own.

    Rows are handed over a few times a second, not one by one, so that a table over hundreds of files stays quick.
    """

    progressed = Signal(int, int)
    rows_changed = Signal(object)
    finished = Signal(bool)
    _arrived = Signal(int, object, int)
    _ended = Signal(int)

    def __init__(self, parent: QtCore.QObject, cache: MetricsCache) -> None:
        super().__init__(parent)
        self.cache = cache
        self.paths: list[Path] = []
        self._rows: dict[int, Metrics] = {}
        self._ticket = 0
        self._handed = (0, 0)
        """Which work, and how many of its rows, were handed over last."""
        self._cancelled = threading.Event()
        self._thread: threading.Thread | None = None
        self._arrived.connect(self._take, Qt.ConnectionType.QueuedConnection)
        self._ended.connect(self._end, Qt.ConnectionType.QueuedConnection)
        self._timer = QtCore.QTimer(self)
        self._timer.setInterval(_REFRESH_MS)
        self._timer.timeout.connect(self._hand_over)

    @property
    def is_running(self) -> bool:
        """Whether files are left to be measured."""
        return self._timer.isActive()

    @property
    def rows(self) -> list[Metrics]:
        """What has been measured, in the order of the files."""
        return [self._rows[place] for place in sorted(self._rows)]

    def start(self, paths: Sequence[Path]) -> None:
        """Measure files; what was going on is stopped."""
        self._cancelled.set()
        self._ticket += 1
        self.paths, self._rows = list(paths), {}
        self._cancelled = threading.Event()
        work = (tuple(paths), self._ticket, self._cancelled)
        self._thread = threading.Thread(target=self._work, args=work, name="measure", daemon=True)
        self._timer.start(_REFRESH_MS)
        self._thread.start()

    def cancel(self) -> None:
        """Stop; what has been measured stays."""
        if self.is_running:
            self._cancelled.set()
            self._ticket += 1
            self._timer.stop()
            self._hand_over()
            self.finished.emit(False)

    def close(self) -> None:
        """Stop, and wait a while for the thread."""
        self._cancelled.set()
        self._ticket += 1
        self._timer.stop()
        if self._thread is not None:
            self._thread.join(_FAREWELL)

    def _work(self, paths: tuple[Path, ...], ticket: int, cancelled: threading.Event) -> None:
        try:
            measure_files(
                paths,
                lambda place, row: self._arrived.emit(place, row, ticket),
                cache=self.cache,
                cancelled=cancelled,
            )
        finally:
            if not cancelled.is_set():
                self._ended.emit(ticket)

    def _take(self, place: int, row: Metrics, ticket: int) -> None:
        if ticket == self._ticket:
            self._rows[place] = row

    def _end(self, ticket: int) -> None:
        if ticket == self._ticket:
            self._timer.stop()
            self._hand_over()
            self.finished.emit(True)

    def _hand_over(self) -> None:
        self.progressed.emit(len(self._rows), len(self.paths))
        if self._handed == (self._ticket, len(self._rows)):
            return
        self._handed = (self._ticket, len(self._rows))
        started = time.perf_counter()
        self.rows_changed.emit(self.rows)
        cost = int(1000 * _SHARE * (time.perf_counter() - started))
        self._timer.setInterval(min(max(_REFRESH_MS, cost), _LONGEST_REFRESH_MS))
