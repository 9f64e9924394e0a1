"""Reduction: inputs, a recipe, and a tree of states to move in."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from sofia_engine._version import __version__
from sofia_engine.errors import (
    CancelledError,
    InputError,
    NotEnoughMemoryError,
    SessionError,
    SofiaDeskError,
    StepError,
)
from sofia_engine.instruments import find_recipe
from sofia_engine.memory import memory_limit
from sofia_engine.pipeline.detection import Group, Inspection, inspect_files, read_header
from sofia_engine.pipeline.events import (
    FileWritten,
    InputSkipped,
    Log,
    Sink,
    StepFailed,
    StepFinished,
    StepStarted,
    ignore,
    one_at_a_time,
)
from sofia_engine.pipeline.execution import Outcome, Surroundings, execute
from sofia_engine.pipeline.memory_guard import plan_inputs, plan_step, size_of
from sofia_engine.pipeline.parameters import Parameters, Setting
from sofia_engine.pipeline.provenance import add_provenance, describe_run, provenance_lines
from sofia_engine.pipeline.recipe import Recipe
from sofia_engine.pipeline.references import fingerprint, requested_files, wanted_by
from sofia_engine.pipeline.run import Cancel, Wanted
from sofia_engine.pipeline.session import Session
from sofia_engine.pipeline.settings import Origin, Settings
from sofia_engine.pipeline.state import (
    InputRecord,
    ReferenceRecord,
    State,
    relevant_parameters,
    root_key,
    state_key,
)
from sofia_engine.pipeline.step import Step
from sofia_engine.product import Product
from sofia_engine.reference import ReferenceFile, ReferenceStore

__all__ = ["Reduction"]


class Reduction:
    """A reduction that can be stepped, undone, branched, and opened again.

    Each state is the products after one step; the states form a tree. `step` adds a child or, if the same step was
    already done with the same parameters, moves to it; `undo` and `redo` move and cost nothing; other parameters after
    an undo start a branch. Every finished state is on disk before the next step begins.

    Use `Reduction.open` or `Reduction.resume` to make one.

    Parameters
    ----------
    recipe : Recipe
        The steps.
    inputs : sequence of Path
        Input files.
    session : Session
        Where states are stored.
    output : Path, optional
        Folder for products; none are written if not given.
    references : ReferenceStore, optional
        Where reference files come from.
    sink : callable, optional
        Gets the events.
    jobs : int, optional
        Inputs worked on side by side.
    """

    def __init__(
        self,
        recipe: Recipe,
        inputs: Sequence[Path],
        session: Session,
        *,
        output: Path | None = None,
        references: ReferenceStore | None = None,
        sink: Sink = ignore,
        jobs: int | None = None,
    ) -> None:
        if not inputs:
            raise InputError("There is nothing to reduce: no files were given.")
        self.recipe = recipe
        self.inputs = tuple(inputs)
        self.session = session
        self.output = output
        self.references = references or ReferenceStore()
        self.sink = one_at_a_time(sink)
        self.cancel = Cancel()
        self.rejected: tuple[tuple[Path, str], ...] = ()
        self.settings = Settings(recipe)
        self._jobs = jobs
        self._redo: dict[str, str] = {}
        self._live: tuple[str, tuple[Product, ...]] = ("", ())
        self._records = tuple(InputRecord.of(path) for path in self.inputs)
        header = read_header(self.inputs[0])
        self._start = recipe.first_step(header)
        self.settings.set_defaults(recipe.defaults(header))
        self.obstacles = recipe.obstacles(header)
        """Why parameters have no effect on these data, by parameter key, by step key."""
        self._root = State(
            key=root_key(recipe.name, self._records),
            index=self._start - 1,
            products=tuple(path.name for path in self.inputs),
        )
        self._states = _descendants(self._root, session.states())
        self._current = self._root.key

    @classmethod
    def open(
        cls,
        files: Iterable[Path | str],
        *,
        output: Path | str | None = None,
        session: Session | Path | str | None = None,
        references: ReferenceStore | None = None,
        sink: Sink = ignore,
        jobs: int | None = None,
    ) -> Self:
        """Start a reduction of files that belong together.

        Parameters
        ----------
        files : iterable of path
            Raw files or intermediate products. Those that cannot be read are set aside (see ``rejected``).
        output : path, optional
            Folder for products, made if missing; none are written if not given.
        session : Session or path, optional
            Session folder; by default a new one among the user's data.
        references, sink, jobs
            As in `Reduction`.

        Raises
        ------
        InputError
            If nothing can be read, or the files do not belong together.
        """
        inspection = inspect_files(files)
        group = inspection.single_group()
        return cls.of_group(
            group, inspection, output=output, session=session, references=references, sink=sink, jobs=jobs
        )

    @classmethod
    def of_group(
        cls,
        group: Group,
        inspection: Inspection | None = None,
        *,
        output: Path | str | None = None,
        session: Session | Path | str | None = None,
        **options: Any,
    ) -> Self:
        """Start a reduction of one group of inspected files."""
        folder = _output_folder(output)
        made_here = not isinstance(session, Session)
        if not isinstance(session, Session):
            title = f"{group.recipe.name}-{group.files[0].header.get('OBJECT', '')}"
            session = Session(Path(session)) if session else Session.create(title)
        try:
            reduction = cls(group.recipe, [file.path for file in group.files], session, output=folder, **options)
            reduction.rejected = inspection.rejected if inspection else ()
            for path, reason in reduction.rejected:
                reduction.sink(InputSkipped("", str(path), reason))
            reduction._store_settings()
            session.log_action("open", inputs=[str(path) for path in reduction.inputs], recipe=group.recipe.name)
        except BaseException:
            if made_here:
                session.close()
            raise
        return reduction

    @classmethod
    def resume(
        cls,
        folder: Path | str,
        *,
        references: ReferenceStore | None = None,
        sink: Sink = ignore,
        jobs: int | None = None,
    ) -> Self:
        """Open a session again, at the state it was in.

        Raises
        ------
        SessionError
            If the folder holds no session, its inputs are gone or changed, or it is open elsewhere.
        """
        if not (Path(folder) / "session.json").exists():
            raise SessionError(f"{folder} holds no session.")
        session = Session(Path(folder))
        try:
            stored = session.read_settings()
            options: dict[str, Any] = {"references": references, "sink": sink, "jobs": jobs}
            with _complete(session.folder):
                reduction = cls._restore(session, stored, options)
            session.log_action("resume", state=reduction._current)
        except BaseException:
            session.close()
            raise
        return reduction

    @classmethod
    def _restore(cls, session: Session, stored: Mapping[str, Any], options: Mapping[str, Any]) -> Self:
        name = session.folder.name
        recipe = find_recipe(stored["recipe"])
        if stored["steps"] != [step.key for step in recipe.steps]:
            raise SessionError(f"The session {name} was made with other steps than {recipe.name} has now; start anew.")
        inputs = [Path(record["path"]) for record in stored["inputs"]]
        missing = [str(path) for path in inputs if not path.exists()]
        if missing:
            raise SessionError(f"Inputs of the session {name} are gone: {', '.join(missing)}.")
        output = Path(stored["output"]) if stored.get("output") else None
        reduction = cls(recipe, inputs, session, output=output, **options)
        if reduction.root.key != stored["root"]:
            raise SessionError(f"Inputs of the session {name} have changed since; start anew.")
        for problem in reduction.settings.restore(stored["settings"]):
            reduction.sink(
                Log("warning", f"A parameter of the session is no longer allowed and is left out: {problem}")
            )
        reduction._redo = dict(stored.get("redo", {}))
        if stored["current"] in reduction._states:
            reduction._current = stored["current"]
        return reduction

    # --- what there is ---

    @property
    def root(self) -> State:
        """The state before the first step."""
        return self._root

    @property
    def current(self) -> State:
        """The state the reduction is in."""
        return self._states[self._current]

    @property
    def states(self) -> Mapping[str, State]:
        """All states by key."""
        return dict(self._states)

    @property
    def redo_state(self) -> State | None:
        """The state that `redo` goes to, or None."""
        return self._states.get(self._redo.get(self._current, ""))

    @property
    def next_index(self) -> int:
        """Position of the next step; the number of steps when all are done."""
        return self.current.index + 1

    @property
    def next_step(self) -> Step | None:
        """The next step, or None when all are done."""
        return self.recipe.steps[self.next_index] if self.next_index < len(self.recipe.steps) else None

    @property
    def products(self) -> tuple[Product, ...]:
        """The products of the current state."""
        return self.products_of(self.current)

    def products_of(self, state: State) -> tuple[Product, ...]:
        """Return the products of a state; planes are mapped from disk."""
        if self._live[0] == state.key:
            return self._live[1]
        if state.key == self._root.key:
            return self._load_inputs()
        return self.session.read_products(state)

    def children(self, state: State) -> tuple[State, ...]:
        """Return the states made from a state, in order of time."""
        found = [s for s in self._states.values() if s.parent == state.key]
        return tuple(sorted(found, key=lambda s: s.started))

    def path_to(self, state: State) -> tuple[State, ...]:
        """Return the states from the root to a state, both included."""
        path = [state]
        while path[-1].parent:
            path.append(self._states[path[-1].parent])
        return tuple(reversed(path))

    def parameters(self, step: str | int) -> Parameters:
        """Return the parameters a step will be run with."""
        return self.settings.parameters(step)

    def is_stale(self, state: State) -> bool:
        """Tell whether a step on the way to a state would be run with other parameters now."""
        return any(
            relevant_parameters(done.parameters) != relevant_parameters(self.parameters(done.index).by_key(hidden=True))
            for done in self.path_to(state)[1:]
        )

    # --- what can be done ---

    def set(self, step: str | int, **values: Any) -> None:
        """Set parameters of a step, by key or name; they count from its next run on.

        Raises
        ------
        ParameterError
            If one is unknown or not allowed; nothing is changed then.
        """
        self.apply(step, {key: Setting(value, "user") for key, value in values.items()})

    def apply(self, step: str | int, settings: Mapping[str, Setting]) -> None:
        """Set parameters with their origins; as `set`."""
        self.settings.set(step, settings)
        self._store_settings()
        self.session.log_action("set", step=step, values={key: s.value for key, s in settings.items()})

    def unset(self, step: str | int, key: str | None = None, *, origin: Origin = "user") -> None:
        """Forget what the user (or a file) set: one parameter of a step, or all of them."""
        self.settings.unset(step, key, origin=origin)
        self._store_settings()
        self.session.log_action("unset", step=step, key=key or "", origin=origin)

    def set_output(self, folder: Path | str | None) -> None:
        """Write the products of the following steps to another folder, or (None) write none.

        Raises
        ------
        InputError
            If the folder cannot be made.
        """
        self.output = _output_folder(folder)
        self._store_settings()
        self.session.log_action("output", folder=str(self.output or ""))

    def step(self) -> State:
        """Do the next step.

        Returns
        -------
        State
            The new state; it is on disk, its products are saved.

        Raises
        ------
        StepError
            If all steps are done, or this one cannot be done. The reduction stays where it was.
        CancelledError
            If the user stopped it. The reduction stays where it was.
        """
        step = self.next_step
        if step is None:
            raise StepError("All steps are done.")
        try:
            return self._advance(step)
        except SofiaDeskError as error:
            cancelled = isinstance(error, CancelledError)
            if cancelled:
                self.cancel.clear()  # the wish is fulfilled; the next step is a new one
            self.sink(StepFailed(self.next_index, step.key, str(error), cancelled=cancelled))
            raise

    def run_to(self, step: str | int) -> State:
        """Be where all steps up to and including one are done with the parameters as they are now.

        Steps that are done already are kept; if one of them was given other parameters since, all from there on are
        done anew, in a new branch.

        Raises
        ------
        StepError
            If the inputs are products of a later step, or a step cannot be done.
        """
        target = self.recipe.index(step)
        if target < self._start:
            label = self.recipe.steps[target].label
            raise StepError(f"{label} was done to the inputs already; start with the raw files to do it again.")
        valid = [state for state in self.path_to(self.current) if state.index <= target and not self.is_stale(state)]
        if valid[-1].key != self._current:
            self._move(valid[-1].key, "go")
        while self.next_index <= target:
            self.step()
        return self.current

    def reduce(self) -> State:
        """Do all remaining steps."""
        while self.next_step is not None:
            self.step()
        return self.current

    def undo(self) -> State:
        """Go back to the state before.

        Raises
        ------
        StepError
            If there is nothing to undo.
        """
        if not self.current.parent:
            raise StepError("There is nothing to undo.")
        return self._move(self.current.parent, "undo")

    def redo(self) -> State:
        """Go forward again, along the branch that was left last.

        Raises
        ------
        StepError
            If there is nothing to redo.
        """
        forward = self.redo_state
        if forward is None:
            raise StepError("There is nothing to redo.")
        return self._move(forward.key, "redo")

    def reset(self) -> State:
        """Go back to the inputs. Nothing is lost: the states stay in the tree."""
        return self._move(self._root.key, "reset")

    def go(self, state: State) -> State:
        """Go to any state of the tree."""
        if state.key not in self._states:
            raise StepError("There is no such state in this reduction.")
        return self._move(state.key, "go")

    def preflight(self) -> list[ReferenceFile]:
        """Return the reference files that the remaining steps will need and that are not at hand."""
        header = read_header(self.inputs[0])
        wanted = [
            want
            for index in range(self.next_index, len(self.recipe.steps))
            for want in wanted_by(self.recipe.steps[index], header, self.parameters(index)).values()
        ]
        rows = self.references.status(requested_files(wanted, self.references))
        return [row.file for row in rows if row.state in ("missing", "damaged")]

    def close(self) -> None:
        """End the use of the session; it can be opened again."""
        self._live = ("", ())
        self.session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    # --- how it is done ---

    def _advance(self, step: Step) -> State:
        index = self.next_index
        parameters = self.parameters(index)
        products = self.products
        if not products:
            raise StepError(f"{step.label}: there is no input to process.")
        key = self._key(step, products, parameters)
        self.sink(StepStarted(index, step.key, step.label, len(self.recipe.steps), len(products), parameters.by_key()))
        cached = key in self._states and self._is_whole(self._states[key])
        state = self._states[key] if cached else self._execute(step, index, key, products, parameters)
        self._save(state, step, parameters)
        self._move(key, "step")
        self.sink(StepFinished(index, step.key, key, state.seconds, cached, len(state.warnings)))
        return state

    def _key(self, step: Step, products: Sequence[Product], parameters: Parameters) -> str:
        references = {
            f"{role} {number}": digest
            for number, product in enumerate(products if step.references else ())
            for role, digest in fingerprint(self._wanted(step, product, parameters), self.references).items()
        }
        return state_key(self._current, step.key, step.version, parameters.by_key(hidden=True), references)

    def _wanted(self, step: Step, product: Product, parameters: Parameters) -> Mapping[str, Wanted]:
        try:
            return wanted_by(step, product.header, parameters)
        except (
            LookupError,
            TypeError,
            ValueError,
            AttributeError,
        ):  # the step itself will set this input aside, and say why
            return {}

    def _is_whole(self, state: State) -> bool:
        """Tell whether the products of a stored state can be read; they are at hand then."""
        try:
            self._live = (state.key, self.session.read_products(state))
            self.session.read_attachments(state)
        except SessionError as error:
            self.sink(Log("warning", str(error), state.step))
            self._live = ("", ())
            return False
        return True

    def _execute(self, step: Step, index: int, key: str, products: Sequence[Product], parameters: Parameters) -> State:
        started = time.time()
        around = Surroundings(self.references, self.sink, self.cancel)
        need, jobs = self.recipe.memory_need(step), self._jobs or around.jobs
        plan = plan_step(step, need, products, jobs, memory_limit(), self.log)
        around = replace(around, jobs=plan.jobs, storage=self.session.release if plan.on_disk else None)
        outcome = execute(step, self.recipe, products, parameters, around)
        state = State(
            key=key,
            parent=self._current,
            index=index,
            step=step.key,
            label=step.label,
            parameters=parameters.by_key(hidden=True),
            references=tuple(ReferenceRecord(use.role, use.name, use.sha256) for use in outcome.references),
            warnings=outcome.warnings,
            skipped=outcome.skipped,
            quality=outcome.quality,
            products=tuple(product.name for product in outcome.products),
            made=outcome.made,
            attachments=tuple(attachment.name for attachment in outcome.attachments),
            started=started,
            seconds=time.time() - started,
        )
        self._keep(state, outcome)
        return state

    def _keep(self, state: State, outcome: Outcome) -> None:
        self.cancel_point()
        self.session.write_state(state, outcome.products, outcome.attachments)
        self._states[state.key] = state
        self._live = (state.key, self.session.map_products(state, outcome.products))
        self.session.discard_released()

    def cancel_point(self) -> None:
        """Stop here if the user asked to."""
        if self.cancel.is_set():
            raise CancelledError("Stopped by the user.")

    def _save(self, state: State, step: Step, parameters: Parameters) -> None:
        if self.output is None:
            return
        attachments = self.session.read_attachments(state)
        saved = getattr(parameters, "save", False)
        if not (attachments or saved):
            return
        lines = provenance_lines(self.provenance(state))
        for attachment in attachments:
            if attachment.is_product:
                complete = replace(attachment, content=add_provenance(attachment.content, lines))
                self._write(attachment.name, step, complete.write, "product")
            else:
                self._write(attachment.name, step, attachment.write)
        if not saved:
            return
        for product, made in zip(self.products_of(state), state.made, strict=True):
            if made:
                self._write(product.name, step, product.with_cards(history=lines).write, "product")

    def _write(
        self, name: str, step: Step, write: Callable[[Path], Any], kind: Literal["product", "auxiliary"] = "auxiliary"
    ) -> None:
        assert self.output is not None
        path = self.output / name
        try:
            self.output.mkdir(parents=True, exist_ok=True)  # it may have been deleted since
            write(path)
        except OSError as error:
            raise StepError(_unwritable(path, error)) from error
        self.sink(FileWritten(step.key, str(path), kind))

    def provenance(self, state: State | None = None) -> dict[str, Any]:
        """Return all that is needed to make a state again: inputs, versions, parameters, reference files."""
        path = self.path_to(state or self.current)
        return describe_run(self.recipe.name, self._records, path[1:])

    def _move(self, key: str, action: str) -> State:
        state = self._states[key]
        before = self._current, self._redo
        self._redo = self._redo | {done.parent: done.key for done in self.path_to(state)[1:]}
        self._current = key
        try:
            self._store_settings()
            self.session.log_action(action, state=key, step=state.step)
        except SessionError:
            self._current, self._redo = before
            raise
        return state

    def _store_settings(self) -> None:
        self.session.write_settings(
            {
                "version": __version__,
                "recipe": self.recipe.name,
                "instrument": self.recipe.instrument,
                "mode": self.recipe.mode,
                "inputs": [vars(record) for record in self._records],
                "root": self._root.key,
                "current": self._current,
                "finished": self.next_step is None,
                "steps": [self.recipe.steps[i].key for i in range(len(self.recipe.steps))],
                "output": str(self.output) if self.output else "",
                "settings": self.settings.as_dict(),
                "redo": self._redo,
            }
        )

    def _load_inputs(self) -> tuple[Product, ...]:
        loaded: list[Product] = []
        reasons: list[str] = []
        room = plan_inputs(memory_limit())
        for path in self.inputs:
            try:
                product = _named(_checked(self.recipe.load(path), path), path)
                room -= size_of(product)
                loaded.append(product if room >= 0 else self.session.release(product))
            except InputError as error:
                reasons.append(str(error))
                self.sink(InputSkipped("", str(path), str(error)))
            except MemoryError:
                raise NotEnoughMemoryError(
                    f"There is not enough memory to load {path}: close other programs or reduce fewer files at once."
                ) from None
        if not loaded:
            raise InputError("None of the inputs can be read.\n" + "\n".join(reasons))
        self._live = (self._root.key, tuple(loaded))
        return self._live[1]

    def log(self, message: str) -> None:
        """Send a line to the log."""
        self.sink(Log("info", message))


@contextmanager
def _complete(folder: Path) -> Iterator[None]:
    """Explain that a session file lacks something, or holds something else than it should."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SessionError(f"{folder / 'session.json'} is damaged ({error!r}); start anew.") from error


def _descendants(root: State, states: Mapping[str, State]) -> dict[str, State]:
    """Return the root and all states that can be reached from it (a damaged one takes its children along)."""
    found = {root.key: root}
    for state in sorted(states.values(), key=lambda state: state.index):
        if state.parent in found:
            found[state.key] = state
    return found


def _checked(product: Product, path: Path) -> Product:
    if not product.extensions:
        raise InputError(f"{path} holds a header only, no data.")
    planes = product.planes.values()
    if planes and not product.tables and not any(np.isfinite(plane.data).any() for plane in planes):
        raise InputError(f"{path} holds no valid value: all of it is NaN.")
    return product


def _named(product: Product, path: Path) -> Product:
    """Give a product the name of its file, which may have been renamed since it was written."""
    name = path.name.removesuffix(".gz")
    return product if product.header.get("FILENAME") == name else product.with_cards(("FILENAME", name, "File name"))


def _output_folder(output: Path | str | None) -> Path | None:
    if output is None:
        return None
    folder = Path(output).expanduser().resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"The output folder {folder} cannot be made: {error.strerror}.") from error
    return folder


def _unwritable(path: Path, error: OSError) -> str:
    reason = error.strerror or "there is no room for all of it"
    return f"{path} cannot be written: {reason}. Make room or choose another output folder, then go on."
