"""Work of the viewers off the GUI thread: the newest request of each kind counts, older answers are dropped."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from sofia_engine.errors import SofiaDeskError
from sofia_viewers.qt import Qt, QtCore, Signal, Slot

__all__ = ["Tasks"]

_LOG = logging.getLogger(__name__)

_FAREWELL = 5000
"""Milliseconds that running work has to end when its owner is closed."""


class _Reply(QtCore.QObject):
    finished = Signal(object, int, object, object)


class _Job(QtCore.QRunnable):
    def __init__(
        self, key: str, ticket: int, work: Callable[[], Any], reply: _Reply, is_wanted: Callable[[], bool]
    ) -> None:
        super().__init__()
        self.key, self.ticket, self.work, self.reply, self.is_wanted = key, ticket, work, reply, is_wanted

    def run(self) -> None:
        """Do the work, unless it was asked for anew meanwhile; the answer travels to the GUI thread as a signal."""
        if not self.is_wanted():
            return
        result: Any = None
        error: Exception | None = None
        try:
            result = self.work()
        except Exception as problem:  # noqa: BLE001 - handed to the GUI thread, which reports it
            error = problem
        self.reply.finished.emit(self.key, self.ticket, result, error)


class Tasks(QtCore.QObject):
    """Runs functions in threads of its own.

    Parameters
    ----------
    parent : QObject
        Owner.
    n_threads : int
        Most threads at a time.
    """

    failed = Signal(str)
    idle = Signal()

    def __init__(self, parent: QtCore.QObject, n_threads: int = 2) -> None:
        super().__init__(parent)
        self._pool = QtCore.QThreadPool(self)
        self._pool.setMaxThreadCount(n_threads)
        self._reply = _Reply(self)
        self._reply.finished.connect(self._deliver, Qt.ConnectionType.QueuedConnection)
        self._handlers: dict[tuple[str, int], tuple[Callable[[Any], None], Callable[[str], None] | None]] = {}
        self._newest: dict[str, int] = {}
        self._count = 0
        self._closed = False

    @property
    def is_idle(self) -> bool:
        """Whether no answer is awaited."""
        return not self._handlers

    def submit(
        self,
        key: str,
        work: Callable[[], Any],
        done: Callable[[Any], None],
        failed: Callable[[str], None] | None = None,
    ) -> None:
        """Run a function in a thread and hand its result to another in the GUI thread.

        Parameters
        ----------
        key : str
            Kind of request: a newer one of the same key makes this one's answer void.
        work : callable
            Runs in a thread; touches no widget.
        done : callable
            Gets the result, in the GUI thread.
        failed : callable, optional
            Gets the message of an error of the user's; by default the signal `failed` carries it.
        """
        if self._closed:
            return
        self._count += 1
        old = self._newest.get(key)
        if old is not None:
            self._handlers.pop((key, old), None)
        self._newest[key] = self._count
        self._handlers[key, self._count] = (done, failed)
        ticket = (key, self._count)
        self._pool.start(_Job(key, self._count, work, self._reply, lambda: ticket in self._handlers))

    def drop(self, key: str) -> None:
        """Make the answers to requests of a kind void: what would have taken them is gone."""
        for ticket in [ticket for ticket in self._handlers if ticket[0] == key]:
            del self._handlers[ticket]
        self._newest.pop(key, None)

    def close(self) -> None:
        """Drop all requests and wait for the threads to end; one that does not end in time is left to itself."""
        self._closed = True
        self._handlers.clear()
        self._pool.clear()
        if not self._pool.waitForDone(_FAREWELL):
            _LOG.warning("Work of a viewer did not end in time and is left behind.")
            _abandon(self._pool, self._reply)

    @Slot(object, int, object, object)
    def _deliver(self, key: str, ticket: int, result: Any, error: Exception | None) -> None:
        handlers = self._handlers.pop((key, ticket), None)
        if handlers is None or self._closed:
            return
        done, failed = handlers
        if error is None:
            done(result)
        else:
            self._report(error, failed)
        if self.is_idle:
            self.idle.emit()

    def _report(self, error: Exception, failed: Callable[[str], None] | None) -> None:
        if not isinstance(error, SofiaDeskError | OSError):
            _LOG.error("A task of a viewer failed.", exc_info=error)
        message = str(error) if isinstance(error, SofiaDeskError) else f"{type(error).__name__}: {error}"
        (failed or self.failed.emit)(message)


def _abandon(*objects: QtCore.QObject) -> None:
    """Keep objects for as long as the process lives: to destroy a pool is to wait for its threads."""
    import ctypes

    for thing in objects:
        thing.setParent(None)
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))
