"""A queue of observations, several of them reduced at a time, each in a process and a folder of its own."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

from sofia_app.models.files import FileGroup
from sofia_app.worker.client import EngineClient
from sofia_app.worker.protocol import (
    CloseReduction,
    CommandFinished,
    EngineEvent,
    Message,
    OpenReduction,
    RunSteps,
    SetMemory,
    Snapshot,
)
from sofia_engine.memory import available_memory, share_memory
from sofia_engine.pipeline.events import InputSkipped, Log, Progress, StepStarted
from sofia_viewers.qt import Qt, QtCore, Signal

__all__ = ["GroupJob", "GroupQueue", "choose_processes"]

JobState = Literal["waiting", "running", "done", "failed", "stopped"]
_MEMORY_EACH = 1.5e9
"""Bytes that one reduction may take: so many are started at a time as fit into the memory that is free."""


@dataclass
class GroupJob:
    """One group in the queue and how far it is.

    Parameters
    ----------
    group : FileGroup
        What is reduced.
    folder : Path
        Where its products go.
    """

    group: FileGroup
    folder: Path
    state: JobState = "waiting"
    step: str = ""
    index: int = 0
    total_steps: int = 0
    file: str = ""
    within: float = 0.0
    """Share of the running step that is done."""
    warnings: int = 0
    error: str = ""
    session: str = ""
    quality: Mapping[str, float] = field(default_factory=dict)
    """Numbers of the first product of the last step that gave any."""
    started: float = 0.0
    seconds: float = 0.0

    @property
    def label(self) -> str:
        """The group in words."""
        return self.group.heading

    @property
    def fraction(self) -> float:
        """Share of the reduction that is done, 0 to 1, counted in steps."""
        if self.state in ("done", "failed", "stopped"):
            return 1.0
        return (self.index + self.within) / self.total_steps if self.total_steps else 0.0

    @property
    def text(self) -> str:
        """How it went, in one line."""
        return f"{self.label}: {self.error or f'done, products in {self.folder}'}"


def choose_processes(n_groups: int, wanted: int = 0) -> int:
    """Return how many groups are reduced at a time: as many as there are processors and free memory for.

    Parameters
    ----------
    n_groups : int
        Groups to reduce.
    wanted : int
        Most processors to use; 0 for all.
    """
    processors = wanted or os.cpu_count() or 1
    free = available_memory()
    fitting = n_groups if free == float("inf") else int(free // _MEMORY_EACH)
    return max(1, min(n_groups, processors, fitting))


class _Slot:
    """A process that reduces one group after the other."""

    def __init__(
        self, tell: Callable[[_Slot, Message], None], folders: Sequence[Path | str], jobs: int, memory: str
    ) -> None:
        self.job: GroupJob | None = None
        self.number = 0
        self._jobs = jobs
        self.client = EngineClient(partial(tell, self), folders)
        self.client.start()
        self.client.send(SetMemory(memory))

    def begin(self, job: GroupJob) -> None:
        """Start a reduction."""
        self.job = job
        job.state, job.started = "running", time.monotonic()
        paths = tuple(str(record.path) for record in job.group.records)
        self.number = self.client.send(OpenReduction(paths, str(job.folder), self._jobs))

    def run(self) -> None:
        """Do all its steps."""
        self.number = self.client.send(RunSteps("all"))

    def finish(self) -> None:
        """Let go of the session, so that it can be opened in the window."""
        self.job = None
        self.number = self.client.send(CloseReduction())


class GroupQueue(QtCore.QObject):
    """Reduces groups, as many at a time as there are processors; one that fails does not hold up the others.

    Parameters
    ----------
    parent : QObject
        Owner.
    instrument_folders : sequence of path
        Folders with packages of further instruments.
    """

    changed = Signal()
    finished = Signal(object)
    """List of `GroupJob`."""
    _told = Signal(object, object)

    def __init__(self, parent: QtCore.QObject, instrument_folders: Sequence[Path | str] = ()) -> None:
        super().__init__(parent)
        self.jobs: list[GroupJob] = []
        self._folders = tuple(instrument_folders)
        self._slots: list[_Slot] = []
        self._started = 0.0
        self._farewells: list[threading.Thread] = []
        self._told.connect(self._take, Qt.ConnectionType.QueuedConnection)

    @property
    def is_running(self) -> bool:
        """Whether groups are being reduced."""
        return bool(self._slots)

    @property
    def processes(self) -> int:
        """How many groups are reduced at a time."""
        return len(self._slots)

    def start(self, groups: Sequence[FileGroup], folder: Path, processors: int = 0) -> None:
        """Reduce groups.

        Parameters
        ----------
        groups : sequence of FileGroup
            What to reduce; groups without recipe are passed over.
        folder : Path
            Each group gets a folder in it.
        processors : int
            Most processors to use; 0 for all.
        """
        wanted = [group for group in groups if group.can_be_reduced]
        self.jobs = [GroupJob(group, folder / _name(number, group)) for number, group in enumerate(wanted, 1)]
        if not self.jobs:
            self.finished.emit([])
            return
        self._started = time.monotonic()
        count = choose_processes(len(self.jobs), processors)
        each = max(1, (processors or os.cpu_count() or 1) // count)
        memory = share_memory(count)
        self._slots = [_Slot(self._tell, self._folders, each, memory) for _ in range(count)]
        for slot in tuple(self._slots):
            self._next(slot)

    def stop(self) -> None:
        """Stop what is running and begin no further group."""
        for job in self.jobs:
            if job.state == "waiting":
                job.state, job.error = "stopped", "stopped by the user before it began"
        for slot in self._slots:
            slot.client.cancel()
        self.changed.emit()

    def close(self) -> None:
        """End all processes."""
        slots, self._slots = self._slots, []
        for slot in slots:
            self._dismiss(slot)
        for thread in self._farewells:
            thread.join()
        self._farewells.clear()

    def _dismiss(self, slot: _Slot) -> None:
        """End a process in a thread: the window does not wait for it."""
        self._farewells = [thread for thread in self._farewells if thread.is_alive()]
        thread = threading.Thread(target=slot.client.close, name="farewell", daemon=True)
        self._farewells.append(thread)
        thread.start()

    def seconds_left(self) -> float | None:
        """Return the time left for all groups, s; None while it cannot be told."""
        done = sum(job.fraction for job in self.jobs)
        if not self.jobs or done <= 0 or not self.is_running:
            return None
        return (time.monotonic() - self._started) / done * (len(self.jobs) - done)

    # --- inside ---

    def _tell(self, slot: _Slot, message: Message) -> None:
        """Hand a message over to the GUI thread; called in a thread of the client."""
        self._told.emit(slot, message)

    def _next(self, slot: _Slot) -> None:
        waiting = next((job for job in self.jobs if job.state == "waiting"), None)
        if waiting is not None:
            slot.begin(waiting)
            self.changed.emit()
            return
        self._slots.remove(slot)
        self._dismiss(slot)
        self.changed.emit()
        if not self._slots:
            self.finished.emit(list(self.jobs))

    def _take(self, slot: _Slot, message: Message) -> None:
        if slot not in self._slots:
            return
        if isinstance(message, EngineEvent) and slot.job is not None:
            _note_event(slot.job, message)
            self.changed.emit()
        elif isinstance(message, Snapshot) and slot.job is not None:
            _note_snapshot(slot.job, message)
        elif isinstance(message, CommandFinished) and message.number == slot.number:
            self._take_finish(slot, message)

    def _take_finish(self, slot: _Slot, message: CommandFinished) -> None:
        if message.command == "CloseReduction":
            self._next(slot)
            return
        if message.command == "OpenReduction" and not message.error:
            slot.run()
            return
        job = slot.job
        assert job is not None
        job.seconds = time.monotonic() - job.started
        job.error = message.error
        job.state = "stopped" if message.cancelled else "failed" if message.error else "done"
        slot.finish()
        self.changed.emit()


def _name(number: int, group: FileGroup) -> str:
    words = re.sub(r"[^A-Za-z0-9.+-]+", "_", group.heading).strip("_")[:80]
    return f"{number:02d}_{words}"


def _note_event(job: GroupJob, message: EngineEvent) -> None:
    event = message.event
    if isinstance(event, StepStarted):
        job.step, job.index, job.total_steps = event.label, event.index, event.total_steps
        job.within, job.file = 0.0, ""
    elif isinstance(event, Progress):
        job.within = min(max(event.done / event.total, 0.0), 1.0) if event.total else 0.0
        job.file = Path(event.what).name
    elif isinstance(event, InputSkipped) or (isinstance(event, Log) and event.level in ("warning", "error")):
        job.warnings += 1


def _note_snapshot(job: GroupJob, snapshot: Snapshot) -> None:
    job.session = snapshot.session
    known = {state.key: state for state in snapshot.states}
    state = known.get(snapshot.current)
    while state is not None:
        if state.quality and state.quality[0]:
            job.quality = state.quality[0]
            return
        state = known.get(state.parent)
