"""The log: events as lines of text, and the file they go to."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from sofia_engine.errors import InputError
from sofia_engine.pipeline.events import (
    Event,
    FileWritten,
    InputSkipped,
    Log,
    LogLevel,
    StepFailed,
    StepFinished,
    StepStarted,
)

__all__ = ["LogFile", "LogLine", "describe_event"]

_RULE = "-" * 60


@dataclass(frozen=True)
class LogLine:
    """One line of a log."""

    level: LogLevel
    origin: str
    text: str

    @property
    def number(self) -> int:
        """The level as a number, as in `logging`."""
        return logging.getLevelNamesMapping()[self.level.upper()]


def describe_event(event: Event) -> Iterator[LogLine]:
    """Return the lines that tell an event; none for progress."""
    match event:
        case Log():
            yield LogLine(event.level, event.step, event.message)
        case StepStarted():
            yield from (LogLine("info", event.step, text) for text in _banner(event))
        case FileWritten():
            yield LogLine("info", event.step, f"Wrote output file {event.path}")
        case InputSkipped():
            yield LogLine("warning", event.step, f"{event.file} is skipped: {event.reason}")
        case StepFinished():
            how = "taken from an earlier run" if event.cached else f"done in {event.seconds:.2f} s"
            yield LogLine("debug", event.step, f"{event.step}: {how}, result {event.state}")
        case StepFailed():
            yield LogLine("error", event.step, event.reason)


def _banner(event: StepStarted) -> Sequence[str]:
    now = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(event.time))
    parameters = [f"  {key} = {_text(value)}" for key, value in event.parameters.items()]
    return ["", _RULE, event.label, _RULE, now, "", "Parameters:", *parameters, _RULE, ""]


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


class LogFile:
    """A sink of events that writes them to a file.

    Parameters
    ----------
    path : Path
        The file; appended to.
    level : {"debug", "info", "warning", "error"}
        From which level on.

    Raises
    ------
    InputError
        If it cannot be written.
    """

    def __init__(self, path: Path, level: LogLevel = "debug") -> None:
        self.path = path
        self._level = logging.getLevelNamesMapping()[level.upper()]
        self._mutex = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._stream: IO[str] | None = path.open("a", encoding="utf-8")
        except OSError as error:
            raise InputError(f"The log file {path} cannot be written: {error.strerror}.") from error

    @classmethod
    def from_template(cls, template: Path, level: LogLevel = "debug") -> Self:
        """Open the log file whose name is the template filled with the time."""
        return cls(template.with_name(time.strftime(template.name)), level)

    def __call__(self, event: Event) -> None:
        """Write the lines of an event."""
        lines = [line for line in describe_event(event) if line.number >= self._level]
        if not lines:
            return
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event.time)) + f",{int(event.time % 1 * 1000):03d}"
        text = "".join(
            f"{when} - {line.origin or 'sofia_desk'} - {line.level.upper()} - {line.text}\n" for line in lines
        )
        # a full disk must not end the reduction by way of its log
        with self._mutex, contextlib.suppress(OSError):
            if self._stream is not None:
                self._stream.write(text)
                self._stream.flush()

    def close(self) -> None:
        """Close the file; later events are not written."""
        with self._mutex, contextlib.suppress(OSError):
            if self._stream is not None:
                self._stream.close()
                self._stream = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()
