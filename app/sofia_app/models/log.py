"""The log: kept up to a limit, filtered by level, step and words, folded under the steps, searched."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from sofia_app.models.notifier import Notifier

__all__ = ["LEVELS", "Block", "LogEntry", "LogModel"]

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
    path: str = ""
    """Where the file lies, if that is known."""
    starts: bool = False
    """A step begins with this line."""
    block: int = 0
    """Number of the run of a step that the line belongs to, given by the log; 0 for none."""

    @property
    def clock(self) -> str:
        """Time of day."""
        return time.strftime("%H:%M:%S", time.localtime(self.time))

    @property
    def text(self) -> str:
        """The line as it is copied and saved."""
        where = " ".join(word for word in (self.step, self.file) if word)
        return f"{self.clock} {self.level.upper():7} {f'[{where}] ' if where else ''}{self.message}"


@dataclass
class Block:
    """What is known of the lines of one run of a step that pass the filter."""

    head: LogEntry
    """The first of them; the others fold under it."""
    lines: int = 0
    """Lines under the head."""
    level: Level = "debug"
    """The gravest level of all lines."""

    def add(self, entry: LogEntry) -> None:
        """Count a line."""
        self.lines += entry is not self.head
        self.level = max(self.level, entry.level, key=LEVELS.index)


@dataclass
class _Folding:
    """Which runs of steps are folded: all or none, but for some."""

    is_rule: bool = False
    exceptions: set[int] = field(default_factory=set)

    def covers(self, block: int) -> bool:
        """Whether the lines of a run are folded."""
        return bool(block) and self.is_rule != (block in self.exceptions)

    def set(self, block: int, folded: bool) -> None:
        """Fold or unfold one run."""
        (self.exceptions.discard if folded == self.is_rule else self.exceptions.add)(block)


class LogModel:
    """Lines of the log, the latest `limit` of them; those of one run of a step fold under the first that is shown.

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
        self._numbers: dict[str, int] = {}
        self._count = 0
        self._folding = _Folding()
        self._blocks: dict[int, Block] = {}

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def shown(self) -> list[LogEntry]:
        """The lines that pass the filter and are not folded away; not to be changed."""
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
        added = [self._number(entry) for entry in entries]
        full = len(self._entries) + len(added) > self._limit
        self._entries.extend(added)
        problems = [entry for entry in added if entry.level in ("warning", "error")]
        self._problems.extend(problems)
        self._problem_count += len(problems)
        self._steps.update(dict.fromkeys(entry.step for entry in added if entry.step))
        if full:
            self._blocks.clear()
            self._shown = self._list_shown(self._entries)
        else:
            self._shown += self._list_shown(added)
        self.changed.emit(not full)

    def _number(self, entry: LogEntry) -> LogEntry:
        """Tell the run of its step that a line belongs to."""
        if not entry.step:
            return entry
        if entry.starts or entry.step not in self._numbers:
            self._count += 1
            self._numbers[entry.step] = self._count
        return replace(entry, block=self._numbers[entry.step])

    def _list_shown(self, entries: Iterable[LogEntry]) -> list[LogEntry]:
        """Return the lines that are shown, and count those that pass the filter."""
        shown = []
        for entry in entries:
            if not self._passes(entry):
                continue
            block = self._blocks.setdefault(entry.block, Block(entry)) if entry.block else None
            if block is not None:
                block.add(entry)
            if block is None or block.head is entry or not self._folding.covers(entry.block):
                shown.append(entry)
        return shown

    def clear(self) -> None:
        """Forget all lines."""
        self._entries.clear()
        self._problems.clear()
        self._problem_count = 0
        self._numbers.clear()
        self._folding.exceptions.clear()
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

    def block_of(self, entry: LogEntry) -> Block | None:
        """Return what folds under a line; None if it is no head with lines under it."""
        block = self._blocks.get(entry.block)
        return block if block is not None and block.head is entry and block.lines else None

    def is_folded(self, entry: LogEntry) -> bool:
        """Whether the lines of the run of a step that a line belongs to are folded."""
        return self._folding.covers(entry.block)

    def fold(self, entry: LogEntry, folded: bool) -> int:
        """Fold or unfold the run of a step that a line belongs to; return the row of its head, -1 if there is none."""
        if entry.block not in self._blocks:
            return -1
        if folded != self.is_folded(entry):
            self._folding.set(entry.block, folded)
            self._refresh()
        return self._shown.index(self._blocks[entry.block].head)

    def fold_all(self, folded: bool) -> None:
        """Fold or unfold all runs of steps, also those to come."""
        self._folding = _Folding(folded)
        self._refresh()

    def unfold_with(self, words: str) -> None:
        """Unfold the runs of steps whose folded lines contain a text, in any case."""
        shown = {id(entry) for entry in self._shown}
        hidden = (entry for entry in self._entries if id(entry) not in shown and self.is_folded(entry))
        found = {entry.block for entry in hidden if self._passes(entry) and words.lower() in entry.text.lower()}
        for block in found:
            self._folding.set(block, False)
        if found:
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
        """Return all lines that pass the filter, folded or not, or some rows of those shown, as text."""
        passing = (entry for entry in self._entries if self._passes(entry))
        chosen = passing if rows is None else [self._shown[row] for row in rows]
        return "".join(f"{entry.text}\n" for entry in chosen)

    def _refresh(self) -> None:
        self._blocks.clear()
        self._shown = self._list_shown(self._entries)
        self.changed.emit(False)

    def _passes(self, entry: LogEntry) -> bool:
        if LEVELS.index(entry.level) < LEVELS.index(self._level) or (self._step and entry.step != self._step):
            return False
        if not self._words:
            return True
        text = entry.text.lower()
        return all(word in text for word in self._words)
