"""A whole reduction in one call: log, parameters, reference files, steps, and the files a run leaves behind."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from sofia_engine._version import PIPELINE, __version__
from sofia_engine.errors import CancelledError, InputError, ParameterError, ReferenceDataError, SofiaDeskError
from sofia_engine.instruments import all_recipes, find_recipe
from sofia_engine.memory import limited_memory
from sofia_engine.painter import prepare
from sofia_engine.pipeline.detection import Group, Inspection, inspect_files, read_header
from sofia_engine.pipeline.documents import Document, Problems
from sofia_engine.pipeline.events import Event, FileWritten, InputSkipped, Log, Progress, Sink, StepFailed, ignore
from sofia_engine.pipeline.logfile import LogFile
from sofia_engine.pipeline.manifests import write_manifest, write_summary
from sofia_engine.pipeline.parameter_files import StepSettings, format_parameters, match_recipe, write_parameters
from sofia_engine.pipeline.parameters import Setting
from sofia_engine.pipeline.recipe import Recipe
from sofia_engine.pipeline.reduction import Reduction
from sofia_engine.pipeline.references import select, wanted_by
from sofia_engine.pipeline.run import Cancel
from sofia_engine.pipeline.run_options import RunOptions
from sofia_engine.pipeline.settings import Settings
from sofia_engine.pipeline.state import State
from sofia_engine.reference import ReferenceStore

__all__ = [
    "RunRequest",
    "RunResult",
    "Status",
    "StepSummary",
    "plan_recipe",
    "plan_settings",
    "prepare_reduction",
    "run_reduction",
]

Status = Literal["finished", "failed", "interrupted"]


@dataclass(frozen=True)
class RunRequest:
    """What to reduce, and how; plain values that can be sent to another process.

    Parameters
    ----------
    files : tuple of Path
        Inputs that belong together; empty to go on with a session.
    recipe : str
        Name of the recipe; empty for the one that fits the inputs.
    session : Path, optional
        Folder of the session to go on with, or to begin.
    options : RunOptions
        Where files go, and how far the recipe.
    parameters : Document, optional
        A parameter file.
    settings : tuple of (str, str, Setting)
        Step, key and value of single parameters; they win over the file.
    jobs : int, optional
        Inputs worked on side by side.
    memory : str
        Most memory for a step, see `sofia_engine.memory.parse_size`; empty for what the environment says.
    strict : bool
        Begin only if all inputs can be used and all calibration files exist.
    offline : bool
        Never use the network.
    keep_session : bool, optional
        Whether to keep the session after success; by default, if there are steps left to do.
    """

    files: tuple[Path, ...] = ()
    recipe: str = ""
    session: Path | None = None
    options: RunOptions = field(default_factory=RunOptions)
    parameters: Document | None = None
    settings: tuple[tuple[str, str, Setting], ...] = ()
    jobs: int | None = None
    memory: str = ""
    strict: bool = False
    offline: bool = False
    keep_session: bool | None = None


@dataclass(frozen=True)
class StepSummary:
    """What a step of a run did."""

    step: str
    label: str
    seconds: float
    warnings: tuple[str, ...]
    quality: tuple[dict[str, float], ...]
    references: tuple[dict[str, str], ...]
    products: tuple[str, ...] = ()
    """Names of the products, in the order of ``quality``."""


@dataclass(frozen=True)
class RunResult:
    """What a run did; plain values.

    Parameters
    ----------
    status : {"finished", "failed", "interrupted"}
        How it ended.
    error, failed_step : str
        Why it did not finish, and in which step.
    products, auxiliary : tuple of str
        Paths of the FITS files and of all other files written.
    skipped : tuple of (str, str)
        Inputs that were not used, each with the reason.
    session : str
        Folder of the session; empty if it is not kept.
    """

    status: Status
    recipe: str = ""
    output: str = ""
    error: str = ""
    failed_step: str = ""
    inputs: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    auxiliary: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    steps: tuple[StepSummary, ...] = ()
    session: str = ""
    log_file: str = ""
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return all of it for JSON."""
        return {"program": PIPELINE, "version": __version__, **asdict(self)}


def run_reduction(
    request: RunRequest, *, sink: Sink = ignore, cancel: Cancel | None = None, inspection: Inspection | None = None
) -> RunResult:
    """Do a whole reduction and leave its log, lists of files and as-run parameters, whether it succeeds or not.

    Parameters
    ----------
    request : RunRequest
        What to do.
    sink : callable, optional
        Gets the events.
    cancel : Cancel, optional
        Raised by another thread to stop it.
    inspection : Inspection, optional
        What is known of the files already.

    Returns
    -------
    RunResult
        Also if a step failed or the user stopped it.

    Raises
    ------
    InputError
        If there is nothing to reduce, or the files do not belong together, or a folder cannot be written.
    ParameterError
        If parameters are unknown or not allowed; nothing is done then.
    ReferenceDataError
        If calibration files are missing and cannot be fetched; nothing is done then.
    SessionError
        If the session cannot be used.
    """
    started = time.time()
    record = _Record()
    with (
        limited_memory(request.memory),
        _open_log(request.options) as log,
        prepare_reduction(request, sink=_Fork((log, sink, record)), cancel=cancel, inspection=inspection) as reduction,
    ):
        if reduction.recipe.load_ahead is not None:
            prepare(reduction.recipe.load_ahead)
        status, error = _run(reduction, request)
        if status == "interrupted":
            reduction.cancel.set()  # the wish of the caller holds for all that he does with this flag
        result = _summarise(reduction, record, status, error)
        _write_files(reduction, request.options, result)
        wanted = reduction.next_step is not None if request.keep_session is None else request.keep_session
        keep = wanted or status != "finished"
        result = replace(
            result,
            session=str(reduction.session.folder) if keep else "",
            log_file=str(log.path) if log.path else "",
            seconds=time.time() - started,
        )
        _write_summary(request.options, result)
    if not keep:
        reduction.session.delete()
    return result


def plan_recipe(group: Group, request: RunRequest) -> Recipe:
    """Return the recipe a group will be reduced with, after all that a request says was found to fit it.

    Raises
    ------
    ParameterError
        Lists all that does not.
    """
    recipe = _choose_recipe(find_recipe(request.recipe) if request.recipe else group.recipe, request.options)
    _match(request, recipe)
    return recipe


def plan_settings(group: Group, recipe: Recipe, request: RunRequest) -> Settings:
    """Return the settings a group will be reduced with.

    Raises
    ------
    ParameterError
        If a value is not allowed.
    """
    settings = Settings(recipe)
    settings.set_defaults(recipe.defaults(group.files[0].header))
    for step, values in _given(request, recipe):
        settings.set(step, values)
    settings.check()
    return settings


@contextmanager
def prepare_reduction(
    request: RunRequest, *, sink: Sink = ignore, cancel: Cancel | None = None, inspection: Inspection | None = None
) -> Iterator[Reduction]:
    """Open a reduction with all parameters of a request and its calibration files at hand; close it at the end.

    Raises
    ------
    InputError, ParameterError, ReferenceDataError, SessionError
        As `run_reduction`.
    """
    reduction = _resume(request, sink) if not request.files else _open(request, sink, inspection)
    fresh = bool(request.files)
    try:
        reduction.cancel = cancel or reduction.cancel
        _apply(reduction, request)
        _require_references(reduction, request)
    except BaseException:
        reduction.close()
        if fresh:
            reduction.session.delete()
        raise
    try:
        yield reduction
    finally:
        reduction.close()


class _Fork:
    """A sink that gives events to several."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = sinks

    def __call__(self, event: Event) -> None:
        for sink in self._sinks:
            sink(event)


@dataclass
class _Record:
    """A sink that remembers what a run did."""

    written: list[FileWritten] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    failed_step: str = ""

    def __call__(self, event: Event) -> None:
        match event:
            case FileWritten():
                self.written.append(event)
            case InputSkipped():
                self.skipped.append((event.file, event.reason))
            case StepFailed():
                self.failed_step = event.step


class _NoLog:
    path = None

    def __call__(self, event: Event) -> None:
        """Write nothing."""


@contextmanager
def _open_log(options: RunOptions) -> Iterator[LogFile | _NoLog]:
    template = options.locate(options.log_file)
    if template is None:
        yield _NoLog()
        return
    with LogFile.from_template(template, options.log_level) as log:
        yield log


def _open(request: RunRequest, sink: Sink, inspection: Inspection | None) -> Reduction:
    inspection = inspection or inspect_files(request.files)
    group = inspection.single_group()
    if request.strict and inspection.rejected:
        reasons = "\n".join(f"  {path}: {reason}" for path, reason in inspection.rejected)
        raise InputError(f"Not all inputs can be used, and --strict was asked for.\n{reasons}")
    group = replace(group, recipe=plan_recipe(group, request))
    return Reduction.of_group(
        group,
        inspection,
        output=request.options.folder,
        session=request.session,
        references=ReferenceStore(offline=request.offline),
        sink=sink,
        jobs=request.jobs,
    )


def _resume(request: RunRequest, sink: Sink) -> Reduction:
    if request.session is None:
        raise InputError("There is nothing to reduce: no files were given.")
    store = ReferenceStore(offline=request.offline)
    reduction = Reduction.resume(request.session, references=store, sink=sink, jobs=request.jobs)
    reduction.output = request.options.folder
    return reduction


def _choose_recipe(recipe: Recipe, options: RunOptions) -> Recipe:
    """Return the recipe that the options of an old file ask for instead, and those steps of it that are wanted."""
    for switch, value in options.recipe_switches:
        recipe = _switch_recipe(recipe, switch, value)
    if not options.steps:
        return recipe
    steps = tuple(recipe.steps[recipe.index(step)] for step in options.steps)
    return replace(recipe, name=f"{recipe.name}+custom", steps=steps)


def _switch_recipe(recipe: Recipe, switch: str, value: str) -> Recipe:
    wanted = value.lower() if switch == "mode" else switch
    if switch == "mode" and wanted == recipe.mode.lower():
        return recipe
    for other in all_recipes():
        if other.instrument == recipe.instrument and wanted in (other.mode.lower(), other.name.rpartition("-")[2]):
            return other
    raise ParameterError(f"{switch} = {value}: there is no such recipe for {recipe.instrument}.")


def _match(request: RunRequest, recipe: Recipe) -> StepSettings:
    """Compare parameter file and single settings with the recipe; all problems are told at once."""
    problems = Problems()
    matched = StepSettings()
    if request.parameters is not None:
        try:
            matched = match_recipe(request.parameters, recipe)
        except ParameterError as error:
            problems.add_error(error)
    for step, key, setting in request.settings:
        try:
            recipe.steps[recipe.index(step)].parameters.make({key: setting}, step=step)
        except ParameterError as error:
            problems.add_error(error)
    if request.options.step_to:
        try:
            recipe.index(request.options.step_to)
        except ParameterError as error:
            problems.add_error(error)
    problems.raise_any()
    return matched


def _apply(reduction: Reduction, request: RunRequest) -> None:
    for note in _match(request, reduction.recipe).notes:
        reduction.sink(Log("info", note))
    for step, settings in _given(request, reduction.recipe):
        reduction.apply(step, settings)
    reduction.settings.check()


def _given(request: RunRequest, recipe: Recipe) -> Iterator[tuple[int, Mapping[str, Setting]]]:
    """Yield what file and command line set, by step."""
    yield from _match(request, recipe).settings.items()
    by_step: dict[int, dict[str, Setting]] = {}
    for step, key, setting in request.settings:
        by_step.setdefault(recipe.index(step), {})[key] = setting
    yield from by_step.items()


def _require_references(reduction: Reduction, request: RunRequest) -> None:
    if request.strict:
        _refuse_unpublished(reduction)
    missing = reduction.preflight()
    if not missing:
        return
    names = "\n".join(f"  {file.name} ({file.kind.replace('_', ' ')})" for file in missing)
    advice = "To bring them here, type: sofia-desk data fetch " + " ".join(
        _quote(str(path)) for path in reduction.inputs[:1]
    )
    if reduction.references.offline:
        raise ReferenceDataError(
            f"Calibration files are missing, and the network is not to be used.\n{names}\n{advice}"
        )
    reduction.sink(Log("info", f"Calibration files are fetched, once for all:\n{names}"))

    def tell(done: int, total: int, what: str) -> None:
        reduction.cancel_point()
        reduction.sink(Progress("reference data", done, total, what))

    try:
        reduction.references.fetch(missing, tell)
    except ReferenceDataError as error:
        raise ReferenceDataError(f"Calibration files are missing.\n{names}\n{error}\n{advice}") from error


def _quote(text: str) -> str:
    return f'"{text}"' if " " in text else text


def _refuse_unpublished(reduction: Reduction) -> None:
    header = read_header(reduction.inputs[0])
    lacking = [
        f"  {step.label}: {want.request.label or role.replace('_', ' ')}"
        for index, step in enumerate(reduction.recipe.steps[reduction.next_index :], reduction.next_index)
        for role, want in wanted_by(step, header, reduction.parameters(index)).items()
        if select(want, reduction.references) is None
    ]
    if lacking:
        raise ReferenceDataError(
            "There is no calibration file for this observation, and --strict was asked for.\n" + "\n".join(lacking)
        )


def _run(reduction: Reduction, request: RunRequest) -> tuple[Status, str]:
    try:
        if request.options.step_to:
            reduction.run_to(request.options.step_to)
        else:
            reduction.reduce()
    except CancelledError as error:
        return "interrupted", str(error)
    except SofiaDeskError as error:
        return "failed", str(error)
    except Exception as error:  # noqa: BLE001 - whatever it is, the files of the run are written
        reduction.sink(Log("debug", traceback.format_exc()))
        return "failed", (
            f"The reduction stopped for a reason nobody foresaw ({type(error).__name__}: {error}); "
            "please report it with the log file."
        )
    return "finished", ""


def _summarise(reduction: Reduction, record: _Record, status: Status, error: str) -> RunResult:
    states = reduction.path_to(reduction.current)[1:]
    products = dict.fromkeys(path for state in states for path in _products_on_disk(reduction, state))
    auxiliary: dict[str, None] = {}
    for path in (path for state in states for path in _attachments_on_disk(reduction, state)):
        (products if path.endswith(".fits") else auxiliary)[path] = None
    for event in record.written:
        (products if event.kind == "product" else auxiliary)[event.path] = None
    return RunResult(
        status=status,
        recipe=reduction.recipe.name,
        output=str(reduction.output or ""),
        error=error,
        failed_step=record.failed_step,
        inputs=tuple(str(path) for path in reduction.inputs),
        products=tuple(products),
        auxiliary=tuple(auxiliary),
        skipped=tuple(dict.fromkeys(record.skipped)),
        steps=tuple(_describe(state) for state in states),
    )


def _products_on_disk(reduction: Reduction, state: State) -> Iterator[str]:
    if reduction.output is not None and state.parameters.get("save"):
        for name, made in zip(state.products, state.made, strict=True):
            if made and (reduction.output / name).exists():
                yield str(reduction.output / name)


def _attachments_on_disk(reduction: Reduction, state: State) -> Iterator[str]:
    if reduction.output is not None:
        yield from (str(reduction.output / name) for name in state.attachments if (reduction.output / name).exists())


def _describe(state: State) -> StepSummary:
    references = tuple({"role": r.role, "name": r.name, "sha256": r.sha256} for r in state.references)
    return StepSummary(
        state.step, state.label, state.seconds, state.warnings, state.quality, references, state.products
    )


def _write_files(reduction: Reduction, options: RunOptions, result: RunResult) -> None:
    """Write lists and as-run parameters; if one cannot be written, say so, and go on with the others."""
    lists: Mapping[str, Sequence[str]] = {
        options.input_manifest: result.inputs,
        options.output_manifest: result.products,
    }
    for name, files in lists.items():
        path = options.locate(name)
        if path is not None and files:
            with _reported(reduction.sink):
                write_manifest(path, map(Path, files), absolute=options.absolute_paths)
    path = options.locate(options.parameter_file)
    if path is not None:
        with _reported(reduction.sink):
            write_parameters(path, _format_as_run(reduction, path.suffix.lower() in (".cfg", ".ini"), result))


def _write_summary(options: RunOptions, result: RunResult) -> None:
    path = options.locate(options.output_manifest)
    if path is not None:
        with _reported(ignore):
            write_summary(path.with_suffix(".json"), result.as_dict())


@contextmanager
def _reported(sink: Sink) -> Iterator[None]:
    try:
        yield
    except SofiaDeskError as error:
        sink(Log("warning", str(error)))


def _format_as_run(reduction: Reduction, old_form: bool, result: RunResult) -> str:
    states = reduction.path_to(reduction.current)[1:]
    status = f"{result.status} at {result.failed_step}" if result.failed_step else result.status
    notes = [f"As run on {time.strftime('%Y-%m-%d %H:%M:%S')}, status: {status}."]
    if result.error:
        notes.append(result.error)
    return format_parameters(
        reduction.settings,
        old_form=old_form,
        notes=notes,
        used={state.index: state.references for state in states},
        values={state.index: state.parameters for state in states},
    )
