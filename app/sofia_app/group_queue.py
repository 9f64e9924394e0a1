"""A queue of observations that are reduced one after the other, each into a folder of its own."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sofia_app.desk import Desk
from sofia_app.models.files import FileGroup
from sofia_app.worker.protocol import Command, CommandFinished, OpenReduction, RunSteps
from sofia_viewers.qt import QtCore, Signal

__all__ = ["GroupOutcome", "GroupQueue"]


@dataclass(frozen=True)
class GroupOutcome:
    """How the reduction of one group went."""

    label: str
    folder: str
    error: str = ""

    @property
    def text(self) -> str:
        """The outcome in one line."""
        return f"{self.label}: {self.error or f'done, products in {self.folder}'}"


class GroupQueue(QtCore.QObject):
    """Reduces groups one after the other; one that fails does not hold up the others.

    Parameters
    ----------
    desk : Desk
        Does the work.
    """

    finished = Signal(object)
    """List of `GroupOutcome`."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._desk = desk
        self._waiting: list[FileGroup] = []
        self._total = 0
        self._started = 0.0
        self._folder = Path()
        self._outcomes: list[GroupOutcome] = []
        self._current: FileGroup | None = None
        desk.command_finished.connect(self._take_finish)

    @property
    def is_running(self) -> bool:
        """Whether groups are being reduced."""
        return self._current is not None

    def start(self, groups: Sequence[FileGroup], folder: Path) -> None:
        """Reduce groups.

        Parameters
        ----------
        groups : sequence of FileGroup
            What to reduce; groups without recipe are passed over.
        folder : Path
            Each group gets a folder in it.
        """
        self._waiting = [group for group in groups if group.can_be_reduced]
        self._total, self._started, self._folder = len(self._waiting), time.monotonic(), folder
        self._outcomes = []
        self._desk.asks = False
        self._next()

    def stop(self) -> None:
        """Begin no further group."""
        self._waiting.clear()

    def _next(self) -> None:
        if not self._waiting:
            self._current = None
            self._desk.asks = True
            self.finished.emit(list(self._outcomes))
            return
        self._current = self._waiting.pop(0)
        self._desk.status.emit(f"Group {len(self._outcomes) + 1} of {self._total}{self._time_left()}")
        self._desk.start_reduction([record.path for record in self._current.records], str(self._output()))

    def _time_left(self) -> str:
        done = len(self._outcomes)
        if not done:
            return ""
        seconds = (time.monotonic() - self._started) / done * (self._total - done)
        return f", {seconds:.0f} s left"

    def _output(self) -> Path:
        assert self._current is not None
        words = re.sub(r"[^A-Za-z0-9.+-]+", "_", self._current.heading).strip("_")[:80]
        return self._folder / f"{len(self._outcomes) + 1:02d}_{words}"

    def _take_finish(self, command: Command | None, message: CommandFinished) -> None:
        if self._current is None or not isinstance(command, OpenReduction | RunSteps):
            return
        if isinstance(command, OpenReduction) and not message.error:
            self._desk.reduce_unedited()
            return
        if message.cancelled:
            self.stop()
        self._outcomes.append(GroupOutcome(self._current.heading, str(self._output()), message.error))
        self._next()
