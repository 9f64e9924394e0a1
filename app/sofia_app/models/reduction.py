"""The reduction as the window shows it: rows of steps with their state, mirrored from the engine's process."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sofia_app.models.notifier import Notifier
from sofia_app.worker.protocol import Snapshot, StateRecord
from sofia_engine.pipeline.events import Event, FileWritten, Progress, StepFailed, StepFinished, StepStarted
from sofia_engine.pipeline.recipe import Recipe
from sofia_engine.pipeline.step import Step

__all__ = ["Failure", "Progression", "ReductionModel", "RowState", "StepRow"]

RowState = Literal[
    "waiting", "ready", "running", "done", "cached", "warning", "failed", "stale", "skipped", "not needed"
]


@dataclass(frozen=True)
class StepRow:
    """One step of the list."""

    index: int
    key: str
    label: str
    state: RowState
    seconds: float = 0.0
    saved: tuple[str, ...] = ()
    """Paths of the products it has written."""
    warnings: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    quality: tuple[Mapping[str, float], ...] = ()
    state_key: str = ""
    detail: str = ""

    @property
    def is_done(self) -> bool:
        """Whether the current state holds its result."""
        return bool(self.state_key)


@dataclass(frozen=True)
class Failure:
    """Why the last step could not be done."""

    index: int
    reason: str
    details: str = ""


@dataclass
class Progression:
    """How far the running work is."""

    label: str = ""
    index: int = -1
    total_steps: int = 0
    done: float = 0.0
    total: float = 0.0
    what: str = ""
    started: float = field(default_factory=time.monotonic)

    @property
    def fraction(self) -> float:
        """Share of the running step that is done, 0 to 1; 0 where it is not known."""
        return min(max(self.done / self.total, 0.0), 1.0) if self.total else 0.0

    def seconds_left(self, now: float | None = None) -> float | None:
        """Return the time left for the running step, s; None while it cannot be told."""
        elapsed = (time.monotonic() if now is None else now) - self.started
        if self.fraction <= 0 or elapsed <= 0:
            return None
        return elapsed * (1 - self.fraction) / self.fraction


class ReductionModel:
    """What the window knows of the reduction.

    Parameters
    ----------
    clock : callable
        Gives the time in seconds; for tests.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.changed = Notifier()
        self.progressed = Notifier()
        self._clock = clock
        self.clear()

    def clear(self) -> None:
        """Forget the reduction."""
        self._rows: tuple[StepRow, ...] | None = None
        self.snapshot: Snapshot | None = None
        self.recipe: Recipe | None = None
        self.failure: Failure | None = None
        self.progression: Progression | None = None
        self._states: dict[str, StateRecord] = {}
        self._cached: set[str] = set()
        self._saved: dict[str, list[str]] = {}
        self._pending_files: dict[str, list[str]] = {}
        self._tell()

    # --- what there is ---

    @property
    def is_open(self) -> bool:
        """Whether there is a reduction."""
        return self.snapshot is not None and self.recipe is not None

    @property
    def steps(self) -> tuple[Step, ...]:
        """Steps of the recipe."""
        return self.recipe.steps if self.recipe else ()

    @property
    def states(self) -> Mapping[str, StateRecord]:
        """All states by key."""
        return self._states

    @property
    def current(self) -> StateRecord | None:
        """The state the reduction is in."""
        return self._states.get(self.snapshot.current) if self.snapshot else None

    @property
    def next_index(self) -> int:
        """Position of the next step; the number of steps when all are done."""
        return self.current.index + 1 if self.current else 0

    @property
    def can_step(self) -> bool:
        """Whether steps remain."""
        return self.is_open and self.next_index < len(self.steps)

    @property
    def can_undo(self) -> bool:
        """Whether there is a state before."""
        return self.current is not None and bool(self.current.parent)

    @property
    def can_redo(self) -> bool:
        """Whether there is a state to go forward to."""
        return self.snapshot is not None and bool(self.snapshot.redo)

    @property
    def path(self) -> tuple[StateRecord, ...]:
        """The states from the inputs to the current one."""
        return self.path_to(self.snapshot.current) if self.snapshot else ()

    def path_to(self, key: str) -> tuple[StateRecord, ...]:
        """Return the states from the inputs to one."""
        path: list[StateRecord] = []
        while key in self._states:
            path.append(self._states[key])
            key = self._states[key].parent
        return tuple(reversed(path))

    def find_state_of(self, product: str) -> StateRecord | None:
        """Return the latest state whose step made a product of a name."""
        for state in reversed(list(self._states.values())):
            if any(made and name == product for name, made in zip(state.products, state.made, strict=False)):
                return state
        return None

    def find_result(self, step: int, key: str, value: Any, last: int) -> StateRecord | None:
        """Return the latest state of a step that was reached with a value of a parameter of an earlier step.

        Parameters
        ----------
        step : int
            Position of the step whose parameter it is.
        key : str
            The parameter, by the key of parameter files.
        value : value
            Its value.
        last : int
            Position of the step whose result is wanted.
        """
        for state in sorted(self._states.values(), key=lambda state: -state.started):
            if state.index != last:
                continue
            before = next((s for s in self.path_to(state.key) if s.index == step), None)
            if before is not None and _plain(before.parameters.get(key)) == _plain(value):
                return state
        return None

    def choose_pair(self, selected: Sequence[str]) -> tuple[str, str] | None:
        """Return the two states to compare.

        Parameters
        ----------
        selected : sequence of str
            Keys of the states selected: two of them are taken as they are; one is compared with the current state; for
            none, the current state is compared with the latest state of the same step on another branch, or the state
            before.
        """
        known = [key for key in selected if key in self._states]
        if len(known) > 1:
            return known[0], known[1]
        current = self.current
        if current is None:
            return None
        others = [key for key in known if key != current.key]
        twins = [s for s in self._states.values() if s.index == current.index and s.key != current.key]
        others += [twin.key for twin in sorted(twins, key=lambda s: -s.started)]
        others += [current.parent] if current.parent else []
        return (others[0], current.key) if others else None

    @property
    def title(self) -> str:
        """The reduction in words."""
        if self.recipe is None or self.snapshot is None:
            return ""
        count = len(self.snapshot.inputs)
        return f"{self.recipe.instrument} {self.recipe.mode}, {count} {'file' if count == 1 else 'files'}"

    @property
    def first_stale(self) -> int:
        """Position of the first step done whose parameters were changed since; the number of steps if none was."""
        for state in self.path:
            if state.index >= 0 and state.step and self._differs(state):
                return state.index
        return len(self.steps)

    @property
    def rows(self) -> tuple[StepRow, ...]:
        """All steps with what is to be said of them."""
        if self._rows is None:
            self._rows = self._make_rows()
        return self._rows

    def _make_rows(self) -> tuple[StepRow, ...]:
        by_index = {state.index: state for state in self.path if state.step}
        stale = self.first_stale
        return tuple(self._row(index, by_index.get(index), stale) for index in range(len(self.steps)))

    def step_settings(self, index: int) -> Mapping[str, Any]:
        """Return the values of a step's parameters, by name."""
        return self.snapshot.steps[index].values if self.snapshot else {}

    def _tell(self) -> None:
        self._rows = None
        self.changed.emit()

    # --- what happens ---

    def update(self, snapshot: Snapshot, recipe: Recipe) -> None:
        """Take over what the engine tells."""
        if self.snapshot is not None and self.snapshot.session != snapshot.session:
            self.clear()
        self.snapshot, self.recipe = snapshot, recipe
        self._states = {state.key: state for state in snapshot.states}
        self._tell()

    def note(self, event: Event) -> None:
        """Take over an event of the running reduction."""
        if isinstance(event, StepStarted):
            self.failure = None
            self.progression = Progression(event.label, event.index, event.total_steps, started=self._clock())
            self._tell()
        elif isinstance(event, Progress):
            self._note_progress(event)
        elif isinstance(event, FileWritten):
            self._pending_files.setdefault(event.step, []).append(event.path)
        elif isinstance(event, StepFinished):
            self._note_finish(event)
        elif isinstance(event, StepFailed):
            self._pending_files.clear()
            if not event.cancelled:
                self.failure = Failure(event.index, event.reason)
            self._tell()

    def end_work(self, details: str = "") -> None:
        """Note that the engine does nothing any more."""
        self.progression = None
        if self.failure is not None and details:
            self.failure = Failure(self.failure.index, self.failure.reason, details)
        self._tell()

    def forget_failure(self) -> None:
        """Take the mark of failure off."""
        self.failure = None
        self._tell()

    def _note_progress(self, event: Progress) -> None:
        if self.progression is None:
            self.progression = Progression(event.step, started=self._clock())
        self.progression.done, self.progression.total = event.done, event.total
        self.progression.what = event.what
        self.progressed.emit()

    def _note_finish(self, event: StepFinished) -> None:
        if event.cached:
            self._cached.add(event.state)
        self._saved[event.state] = self._pending_files.pop(event.step, [])
        self._tell()

    # --- rows ---

    def _row(self, index: int, state: StateRecord | None, stale: int) -> StepRow:
        step = self.steps[index]
        if state is None:
            return StepRow(index, step.key, step.label, self._state_of_undone(index), detail=self._detail(index))
        return StepRow(
            index,
            step.key,
            step.label,
            self._state_of_done(step, state, stale),
            seconds=state.seconds,
            saved=self._products_on_disk(state),
            warnings=state.warnings,
            skipped=state.skipped,
            quality=state.quality,
            state_key=state.key,
        )

    def _state_of_undone(self, index: int) -> RowState:
        assert self.snapshot is not None
        if index < self.snapshot.start:
            return "not needed"
        if self.progression is not None and self.progression.index == index:
            return "running"
        if self.failure is not None and self.failure.index == index:
            return "failed"
        return "ready" if index == self.next_index else "waiting"

    def _state_of_done(self, step: Step, state: StateRecord, stale: int) -> RowState:
        if state.index >= stale:
            return "stale"
        if state.warnings or state.skipped:
            return "warning"
        if step.makes_products and not any(state.made):
            return "skipped"
        return "cached" if state.key in self._cached else "done"

    def _detail(self, index: int) -> str:
        return self.failure.reason if self.failure is not None and self.failure.index == index else ""

    def _products_on_disk(self, state: StateRecord) -> tuple[str, ...]:
        known = self._saved.get(state.key, [])
        if known or self.snapshot is None or not self.snapshot.output or not state.parameters.get("save"):
            return tuple(known)
        folder = Path(self.snapshot.output)
        return tuple(str(folder / name) for name, made in zip(state.products, state.made, strict=False) if made)

    def _differs(self, state: StateRecord) -> bool:
        """Tell whether the step would be run with other parameters now; saving or not makes no difference."""
        step = self.steps[state.index]
        values = self.step_settings(state.index)
        return any(
            _plain(values[info.name]) != _plain(state.parameters.get(info.key, values[info.name]))
            for info in step.parameters.infos()
            if info.name != "save"
        )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
