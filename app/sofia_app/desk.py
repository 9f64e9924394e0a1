"""The desk: models and the engine's process, joined; what the user asks for, and what the windows are told."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sofia_app.models.batch_edit import BatchEdits, describe_edit
from sofia_app.models.files import FileList, FileRecord, expand_paths, read_records
from sofia_app.models.log import LogEntry, LogModel
from sofia_app.models.parameters import ParameterForm
from sofia_app.models.preferences import OpenSessions, Preferences, choose_output
from sofia_app.models.products import OpenedState, open_state
from sofia_app.models.reduction import ReductionModel
from sofia_app.worker.bridge import EngineBridge
from sofia_app.worker.protocol import (
    ApplyFile,
    CloseReduction,
    Command,
    CommandFinished,
    EngineEvent,
    FetchReferences,
    GoToState,
    ListReferences,
    Message,
    Move,
    OpenReduction,
    Part,
    Preview,
    PreviewFinished,
    ReferencesListed,
    ResumeReduction,
    RunSteps,
    SetMemory,
    SetOutput,
    SetParameters,
    Snapshot,
    Sweep,
    UnsetParameters,
    WorkerLost,
    WorkerReady,
    WorkerRestarted,
    WorkerStopped,
)
from sofia_engine.errors import ParameterError
from sofia_engine.instruments import find_recipe
from sofia_engine.memory import LIMIT_VARIABLE
from sofia_engine.pipeline.events import FileWritten, InputSkipped, Log, StepFailed, StepFinished, StepStarted
from sofia_engine.pipeline.recipe import Recipe
from sofia_viewers.qt import QtCore, Signal
from sofia_viewers.standalone import SWITCH_INTERVAL
from sofia_viewers.tasks import Tasks

__all__ = ["Desk", "ErrorReport", "return_memory"]

_CHUNK = 40
"""Files whose headers are read before the list is shown."""


def return_memory() -> None:
    """Give memory that is not used any more back to the system, where the C library keeps it; slow, for a thread."""
    import ctypes

    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL("libc.so.6").malloc_trim(0)


def settle_memory(*, search: bool = False) -> None:
    """Take what exists now out of Python's search for garbage, which otherwise stops the window for 0.1 s at times.

    Parameters
    ----------
    search : bool
        Search first, in what came since this was done before: garbage that is taken out would stay for ever.
    """
    if search:
        gc.collect()
    gc.freeze()


@dataclass(frozen=True)
class ErrorReport:
    """What a dialog says of an error."""

    title: str
    cause: str
    step: int = -1
    """Position of the step, if it was one."""
    details: str = ""
    kind: str = ""
    """Class of the error."""

    @property
    def text(self) -> str:
        """All of it, to be copied."""
        return "\n\n".join(part for part in (self.title, self.cause, self.details) if part)


class Desk(QtCore.QObject):
    """Everything behind the window.

    Parameters
    ----------
    parent : QObject, optional
        Owner.
    preferences : Preferences, optional
        Read from the user's settings by default.
    instrument_folders : sequence of path
        Folders with packages of further instruments.
    """

    conditions_changed = Signal()
    status = Signal(str)
    failed = Signal(object)
    """An `ErrorReport`."""
    state_opened = Signal(object)
    """An `OpenedState`, to be shown."""
    references_listed = Signal(object)
    """Tuple of `ReferenceRow`."""
    preview_finished = Signal(object)
    """A `PreviewFinished`."""
    forms_changed = Signal()
    reduction_opened = Signal()
    reduction_closing = Signal()
    """Another reduction is about to be opened, or this one to be closed."""
    command_finished = Signal(object, object)
    """The command, and the `CommandFinished` that answers it."""
    listing_finished = Signal(object)
    """List of the paths that were read."""

    def __init__(
        self,
        parent: QtCore.QObject | None = None,
        preferences: Preferences | None = None,
        instrument_folders: Sequence[Path | str] = (),
    ) -> None:
        super().__init__(parent)
        self.preferences = preferences or Preferences.load()
        self.files = FileList()
        self.reduction = ReductionModel()
        self.log = LogModel()
        self.open_sessions = OpenSessions()
        self.tasks = Tasks(self)
        self.forms: list[ParameterForm] = []
        self.batch_edits = BatchEdits()
        self.shown_state = ""
        self.selection: dict[str, Any] = {"files": (), "step": -1, "states": ()}
        self.instrument_folders = tuple(instrument_folders)
        self.bridge = EngineBridge(self, instrument_folders)
        self.bridge.received.connect(self._receive)
        self._pending: dict[int, Command] = {}
        self._recipes: dict[str, Recipe] = {}
        self._latest: Snapshot | None = None
        self._opened_session = ""
        self._details = ""
        self._closed = False

    def start(self) -> None:
        """Start the engine's process."""
        sys.setswitchinterval(SWITCH_INTERVAL)
        settle_memory()
        self.bridge.start()
        if self.preferences.memory:
            self.apply_memory()

    # --- what holds ---

    @property
    def is_busy(self) -> bool:
        """Whether the engine has something to do."""
        return bool(self._pending)

    @property
    def pending_commands(self) -> tuple[Command, ...]:
        """Commands that are not finished."""
        return tuple(self._pending.values())

    @property
    def is_listing(self) -> bool:
        """Whether headers are being read."""
        return not self.tasks.is_idle

    def conditions(self) -> set[str]:
        """Return the conditions that hold now; actions need some of them."""
        reduction = self.reduction
        held = {
            "reduction": reduction.is_open,
            "idle": not self.is_busy,
            "busy": self.is_busy,
            "can step": reduction.can_step,
            "can undo": reduction.can_undo,
            "can redo": reduction.can_redo,
            "files": len(self.files) > 0,
            "selected files": bool(self.selection["files"]),
            "two files": len(self.selection["files"]) == 2,
            "selected step": reduction.is_open and 0 <= self.selection["step"] < len(reduction.steps),
            "selected state": len(self.selection["states"]) == 1,
            "can compare": len(reduction.states) > 1,
            "valid": all(form.is_valid for form in self.forms if form.is_edited),
            "several edited": self.batch_edits.can_undo,
            "edited": any(form.is_edited for form in self.forms),
        }
        return {name for name, holds in held.items() if holds}

    def select(self, what: str, value: Any) -> None:
        """Note what is selected: ``files`` (paths), ``step`` (position), ``states`` (keys)."""
        if self.selection[what] != value:
            self.selection[what] = value
            self.conditions_changed.emit()

    # --- files ---

    def list_files(self, paths: Iterable[Path | str], then: Callable[[list[Path]], None] | None = None) -> None:
        """Read the headers of files and folders and put them in the list.

        Parameters
        ----------
        paths : iterable of path
            Files, folders, lists of files.
        then : callable, optional
            Called with the files when all are read.
        """
        given = list(paths)
        self.status.emit("Reading headers…")

        def expanded(found: list[Path]) -> None:
            self._list_chunk(found, 0, then)

        self.tasks.submit(f"expand {given}", lambda: expand_paths(given), expanded, self._fail_listing)

    def _list_chunk(self, found: list[Path], start: int, then: Callable[[list[Path]], None] | None) -> None:
        if start >= len(found):
            self._finish_listing(found, then)
            return
        chunk = found[start : start + _CHUNK]

        def add(records: list[FileRecord]) -> None:
            self.files.add(records)
            self.status.emit(f"Reading headers… {min(start + _CHUNK, len(found))} of {len(found)}")
            self._list_chunk(found, start + _CHUNK, then)

        self.tasks.submit(f"headers {found[0]} {start}", lambda: read_records(chunk), add, self._fail_listing)

    def _finish_listing(self, found: list[Path], then: Callable[[list[Path]], None] | None) -> None:
        self.status.emit(f"{len(found)} files listed." if found else "There is no FITS file there.")
        self.conditions_changed.emit()
        self.listing_finished.emit(found)
        if then is not None:
            then(found)

    def _fail_listing(self, reason: str) -> None:
        self.failed.emit(ErrorReport("These files cannot be listed", reason))

    def open_paths(self, paths: Iterable[Path | str]) -> None:
        """List files and, if they make one group, start a reduction of them."""
        self.list_files(paths, self._open_listed)

    def _open_listed(self, found: list[Path]) -> None:
        wanted = set(found)
        groups = [
            [record.path for record in group.records if record.path in wanted]
            for group in self.files.groups
            if group.can_be_reduced
        ]
        groups = [group for group in groups if group]
        if len(groups) == 1:
            self.start_reduction(groups[0])
        elif groups:
            self.status.emit(f"These files make {len(groups)} groups; select one and start its reduction.")
        elif found:
            problems = "\n".join(f"{r.path.name}: {r.problem}" for r in self.files.records if r.path in wanted)
            self.failed.emit(ErrorReport("There is nothing to reduce", problems))

    # --- commands ---

    def start_reduction(self, files: Sequence[Path], output: str | None = None) -> None:
        """Start a reduction of files."""
        paths = tuple(str(path) for path in files)
        folder = choose_output(self.preferences, paths) if output is None else output
        self.preferences.remember(paths)
        self.save_preferences()
        self.reduction_closing.emit()
        self._send(OpenReduction(paths, folder, self.preferences.jobs))

    def resume(self, folder: Path | str) -> None:
        """Open a session again."""
        self.reduction_closing.emit()
        self._send(ResumeReduction(str(folder), self.preferences.jobs))

    def close_reduction(self) -> None:
        """Close the reduction; the session is kept."""
        self.reduction_closing.emit()
        self._send(CloseReduction())

    def step(self) -> None:
        """Do the next step, with the edits applied."""
        self._run(RunSteps("next"), [self.reduction.next_index])

    def step_without_guard(self) -> None:
        """Do the next step whatever memory it needs."""
        self._send(SetMemory("unlimited"))
        self.step()
        self._send(SetMemory(self.memory_limit))

    @property
    def memory_limit(self) -> str:
        """Most memory for steps: what the preferences say, or the environment."""
        return self.preferences.memory or os.environ.get(LIMIT_VARIABLE, "")

    def apply_memory(self) -> None:
        """Let the engine know the limit of the preferences."""
        self._send(SetMemory(self.memory_limit))

    def run_to(self, index: int) -> None:
        """Do all steps up to one, with the edits applied."""
        self._run(RunSteps("to", index), range(index + 1))

    def reduce(self) -> None:
        """Do all remaining steps, with the edits applied."""
        self._run(RunSteps("all"), range(self.reduction.next_index, len(self.forms)))

    def _run(self, command: RunSteps, steps: Iterable[int]) -> None:
        if self.apply_edits(steps):
            self._send(command)

    def move(self, where: Any) -> None:
        """Undo, redo or reset."""
        self.reduction.forget_failure()
        self._send(Move(where))

    def go(self, key: str) -> None:
        """Go to a state of the history."""
        self.reduction.forget_failure()
        self._send(GoToState(key))

    def stop(self) -> None:
        """Stop what is running."""
        self.status.emit("Stopping…")
        self.bridge.client.cancel()

    def apply_edits(self, steps: Iterable[int] | None = None) -> bool:
        """Apply the edits of some steps, or of all; False, with a report, if one is not allowed."""
        for index in range(len(self.forms)) if steps is None else steps:
            if index < len(self.forms) and self.forms[index].is_edited and not self._apply(index):
                return False
        return True

    def _apply(self, index: int) -> bool:
        form = self.forms[index]
        try:
            changes = form.changes()
        except ParameterError as error:
            self.failed.emit(ErrorReport(f"A value of {form.step.label} is not allowed", str(error), index))
            return False
        self._send(SetParameters(index, changes))
        return True

    def edit_everywhere(self, key: str, value: Any, steps: Iterable[int]) -> None:
        """Put a value into the forms of several steps that have a key, as one edit."""
        changed = self.batch_edits.do(self.forms, key, value, steps)
        text = describe_edit(key, value, changed) if changed else "These steps have this value already."
        self._tell_edit(text, is_logged=bool(changed))

    def undo_edit(self) -> None:
        """Take back the last edit of several steps."""
        changed = self.batch_edits.undo(self.forms)
        steps = ", ".join(target.label for target in changed)
        self._tell_edit(f"The last edit of several steps is taken back in {steps}.", is_logged=bool(changed))

    def _tell_edit(self, text: str, *, is_logged: bool) -> None:
        self.status.emit(text)
        if is_logged:
            self.log_line("info", text)
        self.conditions_changed.emit()

    def unset(self, step: int = -1, name: str = "") -> None:
        """Take back what the user or a file set."""
        self._send(UnsetParameters(step, name))

    def load_parameters(self, path: str) -> None:
        """Take values from a parameter file."""
        self._send(ApplyFile(path))

    def set_output(self, folder: str) -> None:
        """Write products elsewhere from now on."""
        self._send(SetOutput(folder))

    def list_references(self) -> None:
        """Ask which reference files are needed, and where they are."""
        self._send(ListReferences())

    def fetch_references(self) -> None:
        """Fetch those that are missing."""
        self._send(FetchReferences())

    def preview(self, step: int, values: Mapping[str, Any], product: int = 0, part: Part | None = None) -> None:
        """Try values on one input, or a part of it; a preview that still runs is stopped."""
        if any(isinstance(command, Preview) for command in self._pending.values()):
            self.bridge.client.cancel()
        self._send(Preview(step, dict(values), product, part))

    def sweep(self, step: int, name: str, values: Sequence[Any], last: int) -> None:
        """Run with one value after the other."""
        self._send(Sweep(step, name, tuple(values), last))

    def _send(self, command: Command) -> None:
        if self._closed:
            return
        self._pending[self.bridge.send(command)] = command
        self.conditions_changed.emit()

    # --- shown products ---

    def show_state(self, key: str) -> None:
        """Open the products of a state and hand them to the viewers."""
        snapshot = self.reduction.snapshot
        if snapshot is None:
            return
        self.shown_state = key
        state = self.reduction.states.get(key)
        label = state.label if state is not None else "Inputs"
        self.tasks.submit(
            "state",
            lambda: open_state(snapshot.session, snapshot.recipe, key, snapshot.inputs, label),
            self._show_opened,
            lambda reason: self.log_line("error", f"The products of {label} cannot be shown: {reason}"),
        )

    def _show_opened(self, opened: OpenedState) -> None:
        if opened.key == self.shown_state:
            self.state_opened.emit(opened)

    # --- messages of the engine ---

    def _receive(self, messages: list[Message]) -> None:
        lines: list[LogEntry] = []
        for message in messages:
            lines += self._take(message)
        if lines:
            self.log.append(lines)

    def _take(self, message: Message) -> list[LogEntry]:
        """Handle one message; return what it adds to the log."""
        handler = {
            EngineEvent: self._take_event,
            Snapshot: self._take_snapshot,
            CommandFinished: self._take_finish,
            ReferencesListed: self._take_references,
            PreviewFinished: self._take_preview,
            WorkerLost: self._take_loss,
            WorkerStopped: self._take_stop,
            WorkerRestarted: self._take_restart,
            WorkerReady: lambda _message: [],
        }[type(message)]
        return handler(message)  # type: ignore[operator,no-any-return]

    def _take_event(self, message: EngineEvent) -> list[LogEntry]:
        event = message.event
        self.reduction.note(event)
        if isinstance(event, Log):
            return [LogEntry(event.level, event.message, event.step, event.file, event.time)]
        if isinstance(event, InputSkipped):
            name = Path(event.file).name
            return [LogEntry("warning", f"Skipped: {event.reason}", event.step, name, event.time, event.file)]
        if isinstance(event, FileWritten):
            name = Path(event.path).name
            return [LogEntry("info", f"Wrote {event.path}", event.step, name, event.time, event.path)]
        if isinstance(event, StepStarted):
            return [LogEntry("info", f"{event.label} started", event.step, time=event.time, starts=True)]
        if isinstance(event, StepFinished):
            how = "taken from the history" if event.cached else f"done in {event.seconds:.2f} s"
            return [LogEntry("info", f"{self._label(event.index)} {how}", event.step, "", event.time)]
        if isinstance(event, StepFailed):
            level: Any = "info" if event.cancelled else "error"
            return [LogEntry(level, event.reason, event.step, "", event.time)]
        return []

    def _label(self, index: int) -> str:
        return self.reduction.steps[index].label if index < len(self.reduction.steps) else f"Step {index + 1}"

    def _take_snapshot(self, snapshot: Snapshot) -> list[LogEntry]:
        self._latest = snapshot
        if snapshot.recipe in self._recipes:
            self._use_latest()
        else:
            self.tasks.submit("recipe", lambda: find_recipe(snapshot.recipe), self._take_recipe)
        return [LogEntry("warning", note, time=time.time()) for note in snapshot.notes]

    def _take_recipe(self, recipe: Recipe) -> None:
        self._recipes[recipe.name] = recipe
        settle_memory(search=True)  # the instrument's modules have come since, and viewers may have been closed
        self._use_latest()

    def _use_latest(self) -> None:
        snapshot = self._latest
        if snapshot is None or snapshot.recipe not in self._recipes:
            return
        recipe = self._recipes[snapshot.recipe]
        is_new = snapshot.session != self._opened_session
        shown = self.reduction.snapshot.current if self.reduction.snapshot and not is_new else ""
        self.reduction.update(snapshot, recipe)
        self._update_forms(snapshot, recipe, is_new=is_new)
        if is_new:
            self._begin_session(snapshot)
        if snapshot.current != shown:
            self.show_state(snapshot.current)
        self.conditions_changed.emit()

    def _begin_session(self, snapshot: Snapshot) -> None:
        self._opened_session = snapshot.session
        self.open_sessions.note(snapshot.session)
        self.select("states", ())
        self.reduction_opened.emit()
        self.status.emit(f"{self.reduction.title}.")
        self.list_references()
        unknown = [path for path in snapshot.inputs if Path(path) not in self.files]
        if unknown:
            self.list_files(unknown)

    def _update_forms(self, snapshot: Snapshot, recipe: Recipe, *, is_new: bool) -> None:
        if is_new or len(self.forms) != len(recipe.steps):
            self.forms = [
                ParameterForm(step, record) for step, record in zip(recipe.steps, snapshot.steps, strict=True)
            ]
            for form in self.forms:
                form.changed.connect(self.conditions_changed.emit)
            self.batch_edits.forget()
            self.forms_changed.emit()
            return
        for form, record in zip(self.forms, snapshot.steps, strict=True):
            form.update(record)

    def _take_finish(self, message: CommandFinished) -> list[LogEntry]:
        command = self._pending.pop(message.number, None)
        if not self._pending:
            self.reduction.end_work(message.details)
        lines = self._answer(command, message)
        self.command_finished.emit(command, message)
        self.conditions_changed.emit()
        return lines

    def _answer(self, command: Command | None, message: CommandFinished) -> list[LogEntry]:
        if isinstance(command, CloseReduction) and not message.error:
            self._forget_reduction()
        if message.cancelled:
            self.status.emit("Stopped.")
            return [LogEntry("info", "Stopped by the user.", time=time.time())]
        if message.error and isinstance(command, Preview):
            self.status.emit(message.error)
            return []
        if message.error and message.kind != "WorkerLost":
            step = self.reduction.failure.index if self.reduction.failure is not None else -1
            title = f"{self._label(step)} could not be done" if step >= 0 else _TITLES.get(message.command, "")
            self.failed.emit(
                ErrorReport(title or "This could not be done", message.error, step, message.details, message.kind)
            )
            known = isinstance(command, RunSteps | Sweep) and step >= 0
            return [] if known else [LogEntry("error", message.error, time=time.time())]
        if isinstance(command, RunSteps):
            self.status.emit("Done." if self.reduction.can_step else "All steps are done.")
        return []

    def _forget_reduction(self) -> None:
        self.open_sessions.forget()
        self._latest, self._opened_session = None, ""
        self.forms = []
        self.batch_edits.forget()
        self.shown_state = ""
        self.reduction.clear()
        self.forms_changed.emit()
        self.state_opened.emit(OpenedState("", "", ()))

    def _take_references(self, message: ReferencesListed) -> list[LogEntry]:
        self.references_listed.emit(message.rows)
        return []

    def _take_preview(self, message: PreviewFinished) -> list[LogEntry]:
        self.preview_finished.emit(message)
        return []

    def _take_loss(self, message: WorkerLost) -> list[LogEntry]:
        lost = "the running step is lost, all finished ones are kept" if message.running else "nothing is lost"
        self.status.emit(f"Starting again: {message.reason}.")
        return [LogEntry("error", f"{message.reason.capitalize()}; {lost}.", time=time.time())]

    def _take_stop(self, _message: WorkerStopped) -> list[LogEntry]:
        self.status.emit("Stopped; the engine starts again.")
        return [LogEntry("warning", "The step did not answer, so it was ended by force.", time=time.time())]

    def _take_restart(self, message: WorkerRestarted) -> list[LogEntry]:
        self._pending = {n: c for n, c in self._pending.items() if type(c).__name__ in self.bridge.client.running}
        self.reduction.end_work()
        self.conditions_changed.emit()
        if message.error:
            self.failed.emit(ErrorReport("The engine could not go on", message.error))
            return [LogEntry("error", message.error, time=time.time())]
        if self.preferences.memory:
            self.apply_memory()
        text = "The engine runs again" + (", at the last finished step." if message.session else ".")
        self.status.emit(text)
        return [LogEntry("info", text, time=time.time())]

    # --- the rest ---

    def log_line(self, level: Any, text: str) -> None:
        """Write a line to the log."""
        self.log.append([LogEntry(level, text, time=time.time())])

    def save_preferences(self) -> None:
        """Write the preferences; a failure is logged, no more."""
        try:
            self.preferences.save()
        except OSError as error:
            self.log_line("warning", f"The preferences cannot be saved: {error}.")

    def close(self) -> None:
        """End all threads and the process; the session is kept."""
        if not self._closed:
            self._closed = True
            self.bridge.close()
            self.tasks.close()
            self.open_sessions.forget()


_TITLES = {
    "OpenReduction": "These files cannot be reduced",
    "ResumeReduction": "The session cannot be opened",
    "ApplyFile": "The parameter file cannot be used",
    "FetchReferences": "The reference files cannot be fetched",
    "SetOutput": "The output folder cannot be used",
}
