"""The app's side of the engine's process: starts it, notices its death, and goes on where it was."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from sofia_app.worker.process import run_worker
from sofia_app.worker.protocol import (
    CancelRunning,
    CloseReduction,
    Command,
    CommandFinished,
    Message,
    OpenReduction,
    ResumeReduction,
    Shutdown,
    Snapshot,
    WorkerLost,
    WorkerReady,
    WorkerRestarted,
    WorkerStopped,
)

__all__ = ["EngineClient"]

_PATIENCE = 0.7
"""Seconds a step has to answer the wish to stop."""
_FAREWELL = 2.0
"""Seconds the process has to end by itself."""
_MOST_DEATHS = 3
_DEATHS_WITHIN = 60.0
"""Seconds; a process that dies more often than that is not started again."""


@dataclass
class _Worker:
    """One process and the way to it."""

    process: SpawnProcess
    connection: Connection


class EngineClient:
    """Runs the engine in a process of its own.

    Everything that happens is told to `listener`, in a thread of the client: messages of the engine as they are, and
    `WorkerLost`, `WorkerStopped`, `WorkerRestarted` for what becomes of the process. If it dies, a new one takes over
    the session at the last finished state.

    Parameters
    ----------
    listener : callable
        Gets the messages; must return soon.
    instrument_folders : sequence of path
        Folders with packages of further instruments.
    """

    def __init__(self, listener: Callable[[Message], None], instrument_folders: Sequence[Path | str] = ()) -> None:
        self._listener = listener
        self._folders = tuple(str(folder) for folder in instrument_folders)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._pending: dict[int, Command] = {}
        self._outgoing: queue.SimpleQueue[Command | None] = queue.SimpleQueue()
        self._worker: _Worker | None = None
        self._session = ""
        self._output = ""
        self._jobs = 0
        self._resuming = 0
        self._stopping = 0
        self._timer: threading.Timer | None = None
        self._announced_late = False
        self._deaths: list[float] = []
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []

    # --- what the app calls; nothing of it waits ---

    def start(self) -> None:
        """Start the process."""
        self._threads = [
            threading.Thread(target=self._supervise, name="engine-messages", daemon=True),
            threading.Thread(target=self._deliver, name="engine-commands", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def send(self, command: Command) -> int:
        """Queue a command; its number is in the `CommandFinished` that answers it."""
        numbered = replace(command, number=next(self._numbers))
        if isinstance(command, OpenReduction):
            self._jobs = command.jobs
        with self._lock:
            self._pending[numbered.number] = numbered
            self._outgoing.put(numbered)
        return numbered.number

    def cancel(self) -> None:
        """Stop what is running: ask first; if there is no answer, end the process and start a new one."""
        with self._lock:
            target = next(iter(self._pending), 0)
        if target:
            self._outgoing.put(CancelRunning(target))
            self._drop_timer()
            self._timer = threading.Timer(_PATIENCE, self._insist, [target])
            self._timer.daemon = True
            self._timer.start()

    def _drop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
            if timer is not threading.current_thread():
                timer.join(_FAREWELL)

    @property
    def running(self) -> tuple[str, ...]:
        """Names of the commands that are not finished, the running one first."""
        with self._lock:
            return tuple(type(command).__name__ for command in self._pending.values())

    @property
    def pid(self) -> int:
        """Process identity; 0 if there is none at the moment."""
        worker = self._worker
        return worker.process.pid or 0 if worker is not None else 0

    def close(self) -> None:
        """End the process, if need be by force after a while, and the threads."""
        self._closing.set()
        self._drop_timer()
        self._outgoing.put(Shutdown())
        self._outgoing.put(None)
        for thread in self._threads:
            thread.join(_FAREWELL)
            if thread.is_alive():
                self._kill()
                thread.join(_FAREWELL)

    # --- threads ---

    def _deliver(self) -> None:
        """Send commands; the pipe may be full while the process starts, and the app must not wait for it."""
        while (command := self._outgoing.get()) is not None:
            worker = self._await_worker()
            if worker is None or self._is_void(command):
                continue
            with contextlib.suppress(BrokenPipeError, OSError):  # its death is noticed elsewhere
                worker.connection.send(command)

    def _is_void(self, command: Command) -> bool:
        """Tell whether a command was given up when a process died."""
        with self._lock:
            return bool(command.number) and command.number not in self._pending

    def _kill(self) -> None:
        worker = self._worker
        if worker is not None:
            with contextlib.suppress(ValueError):  # it has ended meanwhile
                worker.process.kill()

    def _await_worker(self) -> _Worker | None:
        while self._worker is None and not self._closing.is_set():
            time.sleep(0.005)
        return self._worker

    def _supervise(self) -> None:
        while not self._closing.is_set():
            worker = self._launch()
            self._worker = worker
            if self._closing.is_set():
                self._kill()
            self._listen(worker)
            self._worker = None
            _end(worker.process)
            worker.connection.close()
            code = worker.process.exitcode
            self._discard_parts(worker.process.pid or 0)
            worker.process.close()
            if not self._closing.is_set() and not self._recover(code):
                return

    def _launch(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=run_worker, args=(theirs, self._folders), name="sofia-desk-engine", daemon=True
        )
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def _listen(self, worker: _Worker) -> None:
        while True:
            ready = wait([worker.connection, worker.process.sentinel])
            if worker.connection in ready:
                try:
                    messages = worker.connection.recv()
                except (EOFError, OSError):
                    return
                for message in messages:
                    self._receive(message)
            else:
                return

    def _receive(self, message: Message) -> None:
        if isinstance(message, Snapshot):
            self._session, self._output = message.session, message.output
        elif isinstance(message, WorkerReady) and self._announced_late:
            self._announced_late = False
            self._listener(WorkerRestarted(""))
        elif isinstance(message, CommandFinished):
            with self._lock:
                command = self._pending.pop(message.number, None)
            if isinstance(command, CloseReduction):
                self._session = ""
            if message.number == self._resuming:
                self._resuming = 0
                self._deaths = self._deaths if message.error else []
                self._session = "" if message.error else self._session
                self._listener(WorkerRestarted(self._session, message.error))
                return
        self._listener(message)

    # --- death and recovery ---

    def _insist(self, target: int) -> None:
        """End the process if a command that was to stop still runs."""
        with self._lock:
            running = self._pending.get(target)
            if running is None or self._worker is None:
                return
            self._stopping = target
        self._kill()
        self._listener(WorkerStopped(type(running).__name__, target))

    def _recover(self, code: int | None) -> bool:
        """Tell what was lost and resume the session; False if it makes no sense to start again."""
        lost = self._give_up_pending()
        stopped, self._stopping = self._stopping, 0
        resuming, self._resuming = self._resuming, 0
        reason = "Stopped by the user." if stopped else _explain(code)
        if not stopped:
            self._deaths = [*self._deaths[-_MOST_DEATHS:], time.monotonic()]
            first = lost[0] if lost else None
            self._listener(WorkerLost(reason, type(first).__name__ if first else "", first.number if first else 0))
        for command in lost:
            self._listener(
                CommandFinished(command.number, type(command).__name__, reason, "WorkerLost", cancelled=bool(stopped))
            )
        if resuming:
            self._session = ""
        if self._dies_too_often():
            self._listener(WorkerRestarted("", "The engine ends again and again; close the program and start it anew."))
            return False
        self._announced_late = not self._session
        if self._session:
            self._resuming = self.send(ResumeReduction(self._session, jobs=self._jobs))
        return True

    def _give_up_pending(self) -> list[Command]:
        with self._lock:
            lost = list(self._pending.values())
            self._pending.clear()
            with contextlib.suppress(queue.Empty):
                while True:
                    self._outgoing.get_nowait()
        return lost

    def _dies_too_often(self) -> bool:
        recent = [death for death in self._deaths if time.monotonic() - death < _DEATHS_WITHIN]
        return len(recent) > _MOST_DEATHS

    def _discard_parts(self, pid: int) -> None:
        """Remove products that the process had begun to write when it ended."""
        if self._output and pid:
            for part in Path(self._output).glob(f".*.{pid}-*.part"):
                with contextlib.suppress(OSError):
                    part.unlink()


def _end(process: SpawnProcess) -> None:
    """Wait for a process that has closed its connection; it may hang on its way out."""
    process.join(_FAREWELL)
    if process.is_alive():
        process.kill()
        process.join(_FAREWELL)


def _explain(code: int | None) -> str:
    if code is not None and code < 0:
        return f"the engine was killed (signal {-code}); perhaps there was not enough memory"
    return f"the engine ended (exit code {code})"
