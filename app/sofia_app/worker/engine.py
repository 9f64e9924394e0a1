"""The engine's side: carries out commands one after the other on the reduction it owns."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from typing import Any

from sofia_app.worker.description import describe_reduction, list_references
from sofia_app.worker.preview import compute_preview
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
    Preview,
    ReferencesListed,
    ResumeReduction,
    RunSteps,
    SetMemory,
    SetOutput,
    SetParameters,
    Sweep,
    UnsetParameters,
)
from sofia_engine.errors import CancelledError, SofiaDeskError, StepError
from sofia_engine.memory import LIMIT_VARIABLE
from sofia_engine.pipeline.events import Event, Log, Progress, StepFinished, StepStarted
from sofia_engine.pipeline.parameters import Setting
from sofia_engine.pipeline.reduction import Reduction
from sofia_engine.pipeline.run import Cancel
from sofia_engine.reference import ReferenceStore

__all__ = ["Engine"]


def _make_store() -> ReferenceStore:
    """Return a store that never uses the network by itself: nothing is fetched without being asked for."""
    store = ReferenceStore()
    if not store.offline:
        store.offline = True
        store.why_offline = "nothing is fetched unless you ask for it: press 'Fetch missing files' in Reference files"
    return store


class Engine:
    """Owns the reduction; one per process.

    Parameters
    ----------
    send : callable
        Takes messages to the app; may be called from several threads.
    """

    def __init__(self, send: Callable[[Message], None]) -> None:
        self._send = send
        self._reduction: Reduction | None = None
        self._notes: list[str] = []
        self._described = ""
        self.cancel = Cancel()
        self._handlers: dict[type[Command], Callable[[Any], None]] = {
            OpenReduction: self._open,
            ResumeReduction: self._resume,
            CloseReduction: self._close,
            RunSteps: self._run,
            Move: self._move,
            GoToState: self._go,
            SetParameters: self._set,
            UnsetParameters: self._unset,
            ApplyFile: self._apply_file,
            SetMemory: self._set_memory,
            SetOutput: self._set_output,
            ListReferences: self._list_references,
            FetchReferences: self._fetch,
            Preview: self._preview,
            Sweep: self._sweep,
        }

    def handle(self, command: Command) -> None:
        """Carry out a command; whatever happens, a `CommandFinished` is sent at the end."""
        name = type(command).__name__
        try:
            self._handlers[type(command)](command)
        except SofiaDeskError as error:
            self._describe()
            cancelled = isinstance(error, CancelledError)
            self._send(CommandFinished(command.number, name, str(error), type(error).__name__, cancelled=cancelled))
        except Exception as error:  # noqa: BLE001 - the app shows it; the process must live on
            self._describe()
            text = f"Something went wrong that nobody foresaw ({type(error).__name__}: {error})."
            self._send(CommandFinished(command.number, name, text, type(error).__name__, traceback.format_exc()))
        else:
            self._send(CommandFinished(command.number, name))

    def shut_down(self) -> None:
        """Let go of the session."""
        if self._reduction is not None:
            self._reduction.close()
            self._reduction = None

    # --- commands ---

    def _open(self, command: OpenReduction) -> None:
        opened = Reduction.open(
            command.files,
            output=command.output or None,
            references=_make_store(),
            sink=self._tell,
            jobs=command.jobs or None,
        )
        self._replace(opened)

    def _resume(self, command: ResumeReduction) -> None:
        self.shut_down()
        self._replace(
            Reduction.resume(command.folder, references=_make_store(), sink=self._tell, jobs=command.jobs or None)
        )

    def _replace(self, reduction: Reduction) -> None:
        self.shut_down()
        reduction.cancel = self.cancel
        self._reduction = reduction
        self._describe()

    def _close(self, _command: CloseReduction) -> None:
        self.shut_down()

    def _run(self, command: RunSteps) -> None:
        reduction = self._require()
        if command.what == "next":
            reduction.step()
        elif command.what == "to":
            reduction.run_to(command.step)
        else:
            reduction.reduce()
        self._describe()

    def _move(self, command: Move) -> None:
        reduction = self._require()
        {"undo": reduction.undo, "redo": reduction.redo, "reset": reduction.reset}[command.where]()
        self._describe()

    def _go(self, command: GoToState) -> None:
        reduction = self._require()
        if command.state not in reduction.states:
            raise StepError("This state of the history does not exist any more.")
        reduction.go(reduction.states[command.state])
        self._describe()

    def _set(self, command: SetParameters) -> None:
        settings = {name: Setting(value) for name, value in command.values.items()}
        self._require().apply(command.step, settings)
        self._describe()

    def _unset(self, command: UnsetParameters) -> None:
        reduction = self._require()
        steps = range(len(reduction.recipe.steps)) if command.step < 0 else [command.step]
        for step in steps:
            for origin in command.origins:
                reduction.unset(step, command.name or None, origin=origin)
        self._describe()

    def _apply_file(self, command: ApplyFile) -> None:
        from sofia_engine.pipeline.parameter_files import match_recipe, read_parameters

        reduction = self._require()
        matched = match_recipe(read_parameters(command.path), reduction.recipe)
        for index in range(len(reduction.recipe.steps)):
            reduction.unset(index, origin="file")
        for index, settings in matched.settings.items():
            reduction.apply(index, settings)
        self._notes += matched.notes
        self._describe()

    def _set_memory(self, command: SetMemory) -> None:
        os.environ[LIMIT_VARIABLE] = command.limit

    def _set_output(self, command: SetOutput) -> None:
        self._require().set_output(command.folder or None)
        self._describe()

    def _list_references(self, _command: ListReferences) -> None:
        self._send(ReferencesListed(list_references(self._require())))

    def _fetch(self, _command: FetchReferences) -> None:
        reduction = self._require()

        def tell(done: int, total: int, what: str) -> None:
            if self.cancel.is_set():
                raise CancelledError("Stopped by the user; the files fetched so far are kept.")
            self._tell(Progress("fetch", done, total, what))

        store = ReferenceStore()  # it may use the network: that is what the user asked for
        try:
            fetched = store.fetch(reduction.preflight(), tell)
            self._tell(Log("info", f"{len(fetched)} reference files fetched to {store.path}"))
        finally:
            self._send(ReferencesListed(list_references(reduction)))

    def _preview(self, command: Preview) -> None:
        self._send(compute_preview(self._require(), command, self.cancel))

    def _sweep(self, command: Sweep) -> None:
        reduction = self._require()
        kept = reduction.settings.as_dict()["user"][command.step].get(command.name)
        try:
            for value in command.values:
                reduction.set(command.step, **{command.name: value})
                reduction.run_to(command.step)
                reduction.run_to(command.last)
        finally:
            if kept is None:
                reduction.unset(command.step, command.name)
            else:
                reduction.set(command.step, **{command.name: kept[0]})
        self._describe()

    # --- what is told ---

    def _require(self) -> Reduction:
        if self._reduction is None:
            raise StepError("There is no reduction; open files first.")
        return self._reduction

    def _tell(self, event: Event) -> None:
        went_back = self._reduction is not None and self._reduction.current.key != self._described
        if isinstance(event, StepStarted) and went_back:
            self._describe()
        self._send(EngineEvent(event))
        if isinstance(event, StepFinished):
            self._describe()

    def _describe(self) -> None:
        if self._reduction is not None:
            self._described = self._reduction.current.key
            self._send(describe_reduction(self._reduction, self._notes))
            self._notes.clear()
