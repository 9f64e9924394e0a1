"""What a running reduction tells its listeners: small values that can be sent to another process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

__all__ = [
    "Event",
    "FileWritten",
    "InputSkipped",
    "Log",
    "LogLevel",
    "Progress",
    "Sink",
    "StepFailed",
    "StepFinished",
    "StepStarted",
    "ignore",
    "one_at_a_time",
]

LogLevel = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True)
class Event:
    """Base of all events."""

    time: float = field(default_factory=time.time, kw_only=True)

    def as_dict(self) -> dict[str, Any]:
        """Return the event as plain values, its kind under ``event``."""
        return {"event": type(self).__name__, **asdict(self)}


@dataclass(frozen=True)
class StepStarted(Event):
    """A step begins."""

    index: int
    step: str
    label: str
    total_steps: int
    inputs: int
    parameters: dict[str, Any]
    """Visible parameters by key."""


@dataclass(frozen=True)
class Progress(Event):
    """Part of the running step is done."""

    step: str
    done: float
    total: float
    what: str = ""


@dataclass(frozen=True)
class Log(Event):
    """A line of the log."""

    level: LogLevel
    message: str
    step: str = ""
    file: str = ""


@dataclass(frozen=True)
class InputSkipped(Event):
    """An input could not be used; the others go on. The reason does not repeat the name of the file."""

    step: str
    file: str
    reason: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", self.reason.removeprefix(self.file).lstrip(": "))


@dataclass(frozen=True)
class FileWritten(Event):
    """A product or an auxiliary file stands under its final name."""

    step: str
    path: str
    kind: Literal["product", "auxiliary"] = "product"


@dataclass(frozen=True)
class StepFinished(Event):
    """A step is done and its state is stored."""

    index: int
    step: str
    state: str
    seconds: float
    cached: bool
    warnings: int


@dataclass(frozen=True)
class StepFailed(Event):
    """A step could not be done; the state before it is untouched."""

    index: int
    step: str
    reason: str
    cancelled: bool = False


Sink = Callable[[Event], None]


def ignore(_event: Event) -> None:
    """Listen to nothing."""


def one_at_a_time(sink: Sink) -> Sink:
    """Return a listener that may be called from several threads: it passes events on one after the other."""
    lock = threading.RLock()

    def pass_on(event: Event) -> None:
        with lock:
            sink(event)

    return pass_on
