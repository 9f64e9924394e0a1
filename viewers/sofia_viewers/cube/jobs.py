"""Long work with its progress and a way to stop it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from sofia_engine.errors import StepError
from sofia_viewers.qt import QtWidgets, Signal
from sofia_viewers.tasks import Tasks

__all__ = ["JobBar"]

_SECONDS_BETWEEN = 0.05


class _StoppedError(StepError):
    """The user stopped the work."""


class JobBar(QtWidgets.QWidget):
    """Runs one piece of long work at a time in a thread, shows how far it is, and stops it.

    Parameters
    ----------
    tasks : Tasks
        Threads.
    """

    progressed = Signal(int)
    failed = Signal(str)
    finished = Signal(str)

    def __init__(self, tasks: Tasks, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._tasks = tasks
        self._stop = threading.Event()
        self._title = ""
        self.bar = QtWidgets.QProgressBar()
        self.bar.setRange(0, 100)
        self.bar.setMaximumHeight(16)
        self.bar.setAccessibleName("Progress")
        self.cancel = QtWidgets.QPushButton("Stop")
        self.cancel.setToolTip("Stop this work")
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(4, 2, 4, 2)
        layout.addWidget(self.bar, 1)
        layout.addWidget(self.cancel)
        self.progressed.connect(self.bar.setValue)
        self.cancel.clicked.connect(self.stop)
        self.hide()

    @property
    def is_busy(self) -> bool:
        """Whether there is work."""
        return bool(self._title)

    def run(self, title: str, work: Callable[[Callable[[float], None]], Any], done: Callable[[Any], None]) -> bool:
        """Begin work; False, and a message, if there is other work already.

        Parameters
        ----------
        title : str
            What it is, for people.
        work : callable
            Gets a function to call with the fraction done, which raises when the work is to stop; runs in a thread.
        done : callable
            Gets the result, in the GUI thread.
        """
        if self.is_busy:
            self.failed.emit(f"Wait for the end of '{self._title}', or stop it first.")
            return False
        self._stop = threading.Event()
        self._title = title
        self.bar.setValue(0)
        self.bar.setFormat(f"{title}  %p %")
        self.show()
        self._tasks.submit("job", lambda: work(self._make_report(self._stop)), lambda result: self._end(done, result),
                           self._miss)  # fmt: skip
        return True

    def stop(self) -> None:
        """Ask the work to stop."""
        self._stop.set()

    def _make_report(self, stop: threading.Event) -> Callable[[float], None]:
        told = [0.0]

        def report(fraction: float) -> None:
            if stop.is_set():
                raise _StoppedError("Stopped.")
            if time.monotonic() - told[0] > _SECONDS_BETWEEN:
                told[0] = time.monotonic()
                self.progressed.emit(round(100 * fraction))

        return report

    def _end(self, done: Callable[[Any], None], result: Any) -> None:
        title, self._title = self._title, ""
        self.hide()
        done(result)
        self.finished.emit(title)

    def _miss(self, message: str) -> None:
        self._title = ""
        self.hide()
        self.failed.emit(message)
