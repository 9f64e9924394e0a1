"""What a running reduction shows on the terminal: lines of the log, and a progress bar where there is a screen."""

from __future__ import annotations

import logging
import shutil
import sys
import threading
import time
from typing import TYPE_CHECKING, TextIO

from sofia_engine.pipeline.events import Event, Progress, StepFailed
from sofia_engine.pipeline.logfile import LogLine, describe_event

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Terminal"]

_BAR = 24
_SECONDS_BETWEEN = 0.1


class Terminal:
    """A sink that writes events to the terminal.

    Lines of level INFO are written bare, all others as ``LEVEL: message``.

    Parameters
    ----------
    level : str
        From which level on: debug, info, warning, error, critical.
    stream : text stream, optional
        Standard error by default.
    """

    def __init__(self, level: str = "info", stream: TextIO | None = None) -> None:
        self._level = logging.getLevelNamesMapping()[level.upper()]
        self._stream = stream or sys.stderr
        self._bar = self._stream.isatty() and self._level < logging.CRITICAL
        self._drawn = False
        self._last = 0.0
        self._mutex = threading.Lock()

    def __call__(self, event: Event) -> None:
        """Show an event."""
        if isinstance(event, Progress):
            self._show_progress(event)
        elif not isinstance(event, StepFailed):  # told at the end, with what to do about it
            self.show(*describe_event(event))

    def show(self, *lines: LogLine) -> None:
        """Write lines that are important enough."""
        text = "".join(f"{_format(line)}\n" for line in lines if line.number >= self._level)
        if text:
            with self._mutex:
                self._wipe()
                self._stream.write(text)
                self._stream.flush()

    def say(self, text: str, level: str = "info") -> None:
        """Write a message."""
        self.show(*(LogLine(level, "", line) for line in text.splitlines()))  # type: ignore[arg-type]

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._mutex:
            self._wipe()

    def _show_progress(self, event: Progress) -> None:
        now = time.monotonic()
        if not self._bar or (now - self._last < _SECONDS_BETWEEN and event.done < event.total):
            return
        self._last = now
        share = min(event.done / event.total, 1.0) if event.total > 0 else 0.0
        filled = round(_BAR * share)
        text = f"[{'#' * filled}{'.' * (_BAR - filled)}] {share:4.0%} {event.step} {event.what}"
        with self._mutex:
            self._stream.write("\r" + text[: shutil.get_terminal_size().columns - 1] + "\x1b[K")
            self._stream.flush()
            self._drawn = True

    def _wipe(self) -> None:
        if self._drawn:
            self._stream.write("\r\x1b[K")
            self._drawn = False


def _format(line: LogLine) -> str:
    return line.text if line.level == "info" else f"{line.level.upper()}: {line.text}"
