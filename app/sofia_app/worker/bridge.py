"""Messages of the engine's process in the GUI thread, in batches, so that a talkative step cannot block the window."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from sofia_app.worker.client import EngineClient
from sofia_app.worker.protocol import Command, EngineEvent, Message, Snapshot
from sofia_engine.pipeline.events import Progress
from sofia_viewers.qt import Qt, QtCore, Signal, Slot

__all__ = ["EngineBridge"]

_INTERVAL = 25
"""Milliseconds between two batches."""
_BATCH = 400
"""Messages handed over at once."""


class EngineBridge(QtCore.QObject):
    """An `EngineClient` with signals.

    Parameters
    ----------
    parent : QObject
        Owner.
    instrument_folders : sequence of path
        Folders with packages of further instruments.
    """

    received = Signal(list)
    """Messages, in order."""
    _came = Signal()

    def __init__(self, parent: QtCore.QObject, instrument_folders: Sequence[Path | str] = ()) -> None:
        super().__init__(parent)
        self.client = EngineClient(self._take, instrument_folders)
        self._lock = threading.Lock()
        self._waiting: list[Message] = []
        self._closed = False
        self._timer = QtCore.QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_INTERVAL)
        self._timer.timeout.connect(self._hand_over)
        self._came.connect(self._wake, Qt.ConnectionType.QueuedConnection)

    def start(self) -> None:
        """Start the process."""
        self.client.start()

    def send(self, command: Command) -> int:
        """Queue a command and return its number."""
        return self.client.send(command)

    def close(self) -> None:
        """End the process and the threads; later messages are dropped."""
        with self._lock:
            self._closed = True
        self._timer.stop()
        self.client.close()

    def _take(self, message: Message) -> None:
        """Keep a message; called in a thread of the client, which may outlive this object for a while."""
        with self._lock:
            if self._closed:
                return
            if not self._waiting:
                self._came.emit()
            self._waiting.append(message)

    @Slot()
    def _wake(self) -> None:
        if not self._timer.isActive() and not self._closed:
            self._timer.start()

    @Slot()
    def _hand_over(self) -> None:
        with self._lock:
            batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
            is_more = bool(self._waiting)
        if is_more:
            self._timer.start()
        if batch:
            self.received.emit(drop_outdated(batch))


def drop_outdated(messages: Sequence[Message]) -> list[Message]:
    """Return messages without those that a later one of the batch makes void: progress, and snapshots."""
    kept: list[Message] = []
    seen: set[str] = set()
    for message in reversed(messages):
        kind = _kind_of_news(message)
        if kind and kind in seen:
            continue
        seen.add(kind)
        kept.append(message)
    return kept[::-1]


def _kind_of_news(message: Message) -> str:
    if isinstance(message, Snapshot) and not message.notes:
        return f"snapshot {message.session}"
    if isinstance(message, EngineEvent) and isinstance(message.event, Progress):
        return f"progress {message.event.step}"
    return ""
