"""The log: kept up to a limit, filtered by level, step and words, searched."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from sofia_app.models.notifier import Notifier

__all__ = ["LEVELS", "LogEntry", "LogModel"]

Level = Literal["debug", "info", "warning", "error"]
LEVELS: tuple[Level, ...] = ("debug", "info", "warning", "error")
_LIMIT = 100_000
_MOST_PROBLEMS = 5_000


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line of the log."""

    level: Level
    message: str
    step: str = ""
    file: str = ""
    time: float = 0.0

    @property
    def clock(self) -> str:
        """Time of day."""
        return time.strftime("%H:%M:%S", time.localtime(self.time))

    @property
    def text(self) -> str:
        """The line as it is copied and saved."""
        where = " ".join(word for word in (self.step, self.file) if word)
        return f"{self.clock} {self.level.upper():7} {f'[{where}] ' if where else ''}{self.message}"


class LogModel:
    """Lines of the log, the latest `limit` of them.

    Parameters
    ----------
    limit : int
        Lines kept; the oldest go first.
    """

    def __init__(self, limit: int = _LIMIT) -> None:
        self.changed = Notifier()
        """Called with True if lines were only added at the end of those shown, else with False."""
        self._entries: deque[LogEntry] = deque(maxlen=limit)
        self._problems: deque[LogEntry] = deque(maxlen=_MOST_PROBLEMS)
        self._problem_count = 0
        self._steps: dict[str, None] = {}
        self._limit = limit
        self._shown: list[LogEntry] = []
        self._level: Level = "info"
        self._words: tuple[str, ...] = ()
        self._step = ""

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def shown(self) -> list[LogEntry]:
        """The lines that pass the filter; not to be changed."""
        return self._shown

    @property
    def level(self) -> Level:
        """Least level shown."""
        return self._level

    @property
    def problems(self) -> list[LogEntry]:
        """The latest warnings and errors, whatever the filter."""
        return list(self._problems)

    @property
    def problem_count(self) -> int:
        """Number of warnings and errors since the log was cleared."""
        return self._problem_count

    @property
    def steps(self) -> tuple[str, ...]:
        """Keys of the steps that wrote lines, in order."""
        return tuple(self._steps)

    def append(self, entries: Iterable[LogEntry]) -> None:
        """Add lines."""
        added = list(entries)
        full = len(self._entries) + len(added) > self._limit
        self._entries.extend(added)
        problems = [entry for entry in added if entry.level in ("warning", "error")]
        self._problems.extend(problems)
        self._problem_count += len(problems)
        self._steps.update(dict.fromkeys(entry.step for entry in added if entry.step))
        if full:
            self._shown = [entry for entry in self._entries if self._passes(entry)]
        else:
            self._shown += [entry for entry in added if self._passes(entry)]
        self.changed.emit(not full)

    def clear(self) -> None:
        """Forget all lines."""
        self._entries.clear()
        self._problems.clear()
        self._problem_count = 0
        self._refresh()

    def set_filter(self, *, level: Level | None = None, words: str | None = None, step: str | None = None) -> None:
        """Show lines of at least a level, that contain all words, of one step (empty: all); None leaves as it is."""
        if level is not None:
            self._level = level
        if words is not None:
            self._words = tuple(words.lower().split())
        if step is not None:
            self._step = step
        self._refresh()

    def find(self, words: str, start: int = -1, *, backwards: bool = False) -> int:
        """Return the row of the next line shown that contains a text, from the end to the beginning again; -1 if none.

        Parameters
        ----------
        words : str
            What to look for, in any case.
        start : int
            Row to start after (or before).
        backwards : bool
            Look upwards.
        """
        count = len(self._shown)
        step = -1 if backwards else 1
        for offset in range(1, count + 1):
            row = (start + step * offset) % count
            if words.lower() in self._shown[row].text.lower():
                return row
        return -1

    def as_text(self, rows: Iterable[int] | None = None) -> str:
        """Return lines shown, or some rows of them, as text."""
        chosen = self._shown if rows is None else [self._shown[row] for row in rows]
        return "".join(f"{entry.text}\n" for entry in chosen)

    def _refresh(self) -> None:
        self._shown = [entry for entry in self._entries if self._passes(entry)]
        self.changed.emit(False)

    def _passes(self, entry: LogEntry) -> bool:
        if LEVELS.index(entry.level) < LEVELS.index(self._level) or (self._step and entry.step != self._step):
            return False
        if not self._words:
            return True
        text = entry.text.lower()
        return all(word in text for word in self._words)
