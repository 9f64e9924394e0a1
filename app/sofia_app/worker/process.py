"""The engine's process: a thread reads commands, so that the wish to stop arrives while a step runs."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import threading
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

from sofia_app.worker.protocol import CancelRunning, Command, Message, Shutdown, WorkerReady

__all__ = ["run_worker"]

_BATCH_SECONDS = 0.02
_BATCH_SIZE = 200
_MOST_WAITING = 1000
_FAREWELL = 2.0
"""Seconds that the last messages have to be sent."""


def run_worker(connection: Connection, instrument_folders: Sequence[str] = ()) -> None:
    """Serve commands until told to end, or until the app is gone.

    Parameters
    ----------
    connection : Connection
        Commands come and messages go here.
    instrument_folders : sequence of str
        Folders with packages of further instruments.
    """
    with contextlib.suppress(ValueError):  # not in the main thread: only in tests
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C in the terminal is for the app
    _quieten()
    import sofia_engine.instruments
    from sofia_app.worker.engine import Engine

    sofia_engine.instruments.__path__.extend(instrument_folders)
    outbox = _Outbox(connection)
    engine = Engine(outbox.send)
    inbox = _Inbox(connection, engine, outbox)
    outbox.send(WorkerReady(os.getpid()))
    while (command := inbox.next()) is not None:
        engine.cancel.clear()
        if inbox.begin(command):
            engine.handle(command)
        inbox.end()
    engine.shut_down()
    outbox.close()


def _quieten() -> None:
    """Keep warnings of libraries from the terminal, unless the interpreter was told to show them."""
    import sys
    import warnings

    if not sys.warnoptions:
        warnings.simplefilter("ignore")


class _Outbox:
    """Sends messages in batches; a step that writes more than some 10,000 lines a second has to wait."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waiting: queue.Queue[Message | None] = queue.Queue(_MOST_WAITING)
        self._thread = threading.Thread(target=self._deliver, name="messages", daemon=True)
        self._thread.start()

    def send(self, message: Message) -> None:
        """Queue a message; several threads may do so at once."""
        self._waiting.put(message)

    def close(self) -> None:
        """Send what is left, unless the app does not listen any more."""
        with contextlib.suppress(queue.Full):
            self._waiting.put(None, timeout=_FAREWELL)
        self._thread.join(_FAREWELL)

    def _deliver(self) -> None:
        while True:
            batch = [self._waiting.get()]
            time.sleep(_BATCH_SECONDS)
            while not self._waiting.empty() and len(batch) < _BATCH_SIZE:
                batch.append(self._waiting.get())
            try:
                self._connection.send([message for message in batch if message is not None])
            except (BrokenPipeError, OSError):
                os._exit(0)  # nobody listens any more; all finished states are on disk
            if None in batch:
                return


class _Inbox:
    """Receives commands; those that stop others take effect at once."""

    def __init__(self, connection: Connection, engine: Any, outbox: _Outbox) -> None:
        self._connection = connection
        self._engine = engine
        self._outbox = outbox
        self._waiting: queue.SimpleQueue[Command | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._running = 0
        self._cancelled: set[int] = set()
        threading.Thread(target=self._receive, name="commands", daemon=True).start()

    def next(self) -> Command | None:
        """Wait for the next command; None to end."""
        return self._waiting.get()

    def begin(self, command: Command) -> bool:
        """Note what is running; False if it was cancelled before it began."""
        from sofia_app.worker.protocol import CommandFinished

        with self._lock:
            if command.number in self._cancelled:
                self._cancelled.discard(command.number)
                finished = CommandFinished(command.number, type(command).__name__, "Stopped by the user.", "", "", True)
                self._outbox.send(finished)
                return False
            self._running = command.number
            return True

    def end(self) -> None:
        """Note that nothing is running."""
        with self._lock:
            self._running = 0

    def _receive(self) -> None:
        while True:
            try:
                command = self._connection.recv()
            except (EOFError, OSError):
                os._exit(0)  # the app is gone, perhaps killed; all finished states are on disk
            if isinstance(command, Shutdown):
                self._engine.cancel.set()
                self._waiting.put(None)
                return
            if isinstance(command, CancelRunning):
                self._cancel(command.target)
            else:
                self._waiting.put(command)

    def _cancel(self, target: int) -> None:
        with self._lock:
            if target == self._running:
                self._engine.cancel.set()
            elif target > self._running:
                self._cancelled.add(target)
