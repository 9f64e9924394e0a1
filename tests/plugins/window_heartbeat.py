"""Measures how long the thread of the windows does not come back to its event loop."""

import gc
import threading
import time
from collections.abc import Callable
from pathlib import Path

from sofia_viewers.qt import Qt, QtCore

LIMIT = 0.05
"""Seconds that a window may be deaf."""


class Heartbeat:
    """Notes the time between two turns of the event loop, while it is entered.

    Attributes
    ----------
    largest_work : float
        Most seconds this thread has computed between two turns. Load from outside does not change it.
    largest_gap : float
        Most seconds between two turns, for whatever reason: computing, reading, waiting for a lock. The time this
        thread was ready and other programs had the processors does not count, where the system tells it (Linux).
    """

    def __init__(self) -> None:
        self.timer = QtCore.QTimer()
        self.timer.setTimerType(Qt.TimerType.PreciseTimer)
        self.timer.setInterval(2)
        self.timer.timeout.connect(self._beat)
        self.largest_work = self.largest_gap = 0.0
        self.count = 0
        self._last = _read_clocks()

    def _beat(self) -> None:
        now = _read_clocks()
        wall, work, delay = (new - old for new, old in zip(now, self._last, strict=True))
        self.largest_work = max(self.largest_work, work)
        self.largest_gap = max(self.largest_gap, wall - delay)
        self.count += 1
        self._last = now

    def __enter__(self) -> "Heartbeat":
        gc.freeze()  # as the program does at its start; what other tests left is not to be searched meanwhile
        self._last = _read_clocks()
        self.timer.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._beat()
        self.timer.stop()
        gc.unfreeze()


def assert_lively(work: Callable[[int], None], attempts: int = 5) -> None:
    """Check that the window computes less than the limit at a time while something runs, and is not deaf either.

    The best attempt counts: processors that other programs share compute more slowly, and a thread that holds Python's
    lock may itself wait for a processor, which no clock tells.
    """
    hearts = []
    for attempt in range(attempts):
        with Heartbeat() as heart:
            work(attempt)
        assert heart.count > 2
        if max(heart.largest_work, heart.largest_gap) < LIMIT:
            return
        hearts.append(heart)
    work_ms = [round(1000 * heart.largest_work) for heart in hearts]
    gaps_ms = [round(1000 * heart.largest_gap) for heart in hearts]
    raise AssertionError(f"the window computed for {work_ms} ms, was deaf for {gaps_ms} ms")


def _read_clocks() -> tuple[float, float, float]:
    """Return wall clock, processor time of this thread, and how long it has waited for a processor, all in s."""
    return time.perf_counter(), time.thread_time(), _read_delay()


def _read_delay() -> float:
    try:
        text = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat").read_text()
        return int(text.split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0
