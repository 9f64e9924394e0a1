"""What is known of a reduction: read from an output folder or from a session."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sofia_engine.errors import InputError, SofiaDeskError
from sofia_engine.pipeline.detection import read_header
from sofia_engine.pipeline.provenance import read_provenance
from sofia_engine.pipeline.session import SessionReader
from sofia_engine.pipeline.state import State
from sofia_viewers.quality.folders import find_files, is_fits
from sofia_viewers.quality.metrics import Metrics

__all__ = ["RunRecord", "StepRecord", "StepRow", "is_session", "list_step_rows", "merge_steps", "read_run"]

_PICTURES = ("*.png",)


@dataclass(frozen=True)
class StepRecord:
    """One step of a reduction.

    Parameters
    ----------
    key, label : str
        Of the step.
    seconds : float
        How long it took; 0 if not known.
    parameters : mapping
        All its parameters by key.
    references : tuple of mapping
        Role, name and SHA-256 of its reference files.
    warnings : tuple of str
        What it warned of.
    skipped : tuple of (str, str)
        Files it left out, and why.
    products : tuple of str
        Names of what it made.
    quality : tuple of mapping
        Numbers of each product.
    state_key : str
        State in the session.
    """

    key: str
    label: str
    seconds: float = 0.0
    parameters: Mapping[str, Any] = field(default_factory=dict)
    references: tuple[Mapping[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    products: tuple[str, ...] = ()
    quality: tuple[Mapping[str, float], ...] = ()
    state_key: str = ""


@dataclass(frozen=True)
class StepRow:
    """Numbers of one product of one step."""

    index: int
    step: str
    product: str
    numbers: Mapping[str, float]
    state_key: str = ""


@dataclass(frozen=True)
class RunRecord:
    """A reduction.

    Parameters
    ----------
    folder : Path
        Where its products, or its session, are.
    recipe, program, version, status, error : str
        As the program wrote them; empty if not known.
    inputs : tuple of mapping
        Path, size and SHA-256 of raw files, as far as known.
    libraries : mapping of str to str
        Versions of Python and the libraries that computed it.
    steps : tuple of StepRecord
        In the order of the recipe.
    files, pictures : tuple of Path
        Products and quick-look maps on disk.
    log : Path or None
        Log file.
    """

    folder: Path
    recipe: str = ""
    program: str = ""
    version: str = ""
    status: str = ""
    error: str = ""
    inputs: tuple[Mapping[str, Any], ...] = ()
    libraries: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[StepRecord, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    files: tuple[Path, ...] = ()
    pictures: tuple[Path, ...] = ()
    log: Path | None = None
    seconds: float = 0.0

    @property
    def warnings(self) -> list[tuple[str, str]]:
        """All warnings with the label of the step."""
        return [(step.label, warning) for step in self.steps for warning in step.warnings]


def is_session(folder: Path) -> bool:
    """Tell whether a folder is that of a session."""
    return (folder / "session.json").is_file() and (folder / "nodes").is_dir()


def read_run(folder: Path) -> RunRecord:
    """Read what a folder says of a reduction.

    Parameters
    ----------
    folder : Path
        Output folder, with or without the summary ``outfiles.json``, or folder of a session.

    Raises
    ------
    InputError
        If there is neither a summary nor a product.
    SessionError
        If the session is damaged.
    """
    return _read_session(folder) if is_session(folder) else _read_output(folder)


def list_step_rows(record: RunRecord) -> list[StepRow]:
    """Return the numbers of all products of all steps."""
    return [
        StepRow(index, step.label, product, numbers, step.state_key)
        for index, step in enumerate(record.steps)
        for product, numbers in zip(step.products, step.quality, strict=False)
        if numbers
    ]


def merge_steps(rows: Sequence[Metrics], record: RunRecord) -> list[Metrics]:
    """Add to measured files the step that made them, its place in the recipe, and the numbers it gave."""
    made = {row.product: row for row in list_step_rows(record)}
    merged = []
    for row in rows:
        step = made.get(row.text("file").removesuffix(".gz"))
        if step is None:
            merged.append(row)
            continue
        more = {key: value for key, value in step.numbers.items() if key not in row.values and key not in _OTHER_NAMES}
        values = {**row.values, **more, "step": step.step, "order": step.index + 1}
        merged.append(Metrics(values, row.path, step.state_key, row.problem))
    return merged


_OTHER_NAMES = ("fwhm", "standard_flux")
"""Numbers of steps that headers hold, too."""


def _read_output(folder: Path) -> RunRecord:
    files = tuple(find_files([folder])) if folder.is_dir() else ()
    summary = _read_summary(folder)
    if not files and not summary:
        raise InputError(f"{folder} holds no products: open the output folder of a reduction, or a session.")
    provenance = _find_provenance(files, summary)
    by_step = {step["step"]: step for step in provenance.get("steps", [])}
    described = summary.get("steps") or [{"step": key, "label": key} for key in by_step]
    steps = tuple(_describe_step(step, by_step.get(step["step"], {})) for step in described)
    libraries = {"python": provenance["python"], **provenance["libraries"]} if provenance else {}
    log = Path(summary["log_file"]) if summary.get("log_file") else None
    return RunRecord(
        folder=folder,
        recipe=summary.get("recipe") or provenance.get("recipe", ""),
        program=summary.get("program") or provenance.get("program", ""),
        version=summary.get("version") or provenance.get("version", ""),
        status=summary.get("status", ""),
        error=summary.get("error", ""),
        inputs=tuple(provenance.get("inputs") or [{"path": path} for path in summary.get("inputs", [])]),
        libraries=libraries,
        steps=steps,
        skipped=tuple((file, reason) for file, reason in summary.get("skipped", [])),
        files=_in_order(files, summary),
        pictures=tuple(find_files([folder], _PICTURES)),
        log=log if log is not None and log.is_file() else None,
        seconds=float(summary.get("seconds", 0.0)),
    )


def _read_summary(folder: Path) -> dict[str, Any]:
    try:
        summary = json.loads((folder / "outfiles.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return summary if isinstance(summary, dict) and isinstance(summary.get("steps"), list) else {}


def _in_order(files: Sequence[Path], summary: Mapping[str, Any]) -> tuple[Path, ...]:
    """Sort files as the summary lists them; others come last."""
    order = {Path(path).name: number for number, path in enumerate(summary.get("products", []))}
    return tuple(sorted(files, key=lambda path: (order.get(path.name, len(order)), path.name)))


def _find_provenance(files: Sequence[Path], summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return the longest chain of steps that a product in the folder carries."""
    last_first = reversed(_in_order(files, summary))
    for path in last_first:
        if is_fits(path):
            try:
                return read_provenance(read_header(path), path.name)
            except SofiaDeskError:
                continue
    return {}


def _describe_step(summary: Mapping[str, Any], provenance: Mapping[str, Any]) -> StepRecord:
    return StepRecord(
        key=summary["step"],
        label=summary.get("label", summary["step"]),
        seconds=float(summary.get("seconds", 0.0)),
        parameters=provenance.get("parameters", {}),
        references=tuple(summary.get("references") or provenance.get("references", ())),
        warnings=tuple(summary.get("warnings", ())),
        products=tuple(summary.get("products", ())),
        quality=tuple(summary.get("quality", ())),
    )


def _read_session(folder: Path) -> RunRecord:
    reader = SessionReader(folder)
    settings = reader.read_settings()
    states = _path_to(reader.states(), settings.get("current", ""))
    output = settings.get("output")
    place = Path(output) if output and Path(output).is_dir() else None
    return RunRecord(
        folder=folder,
        recipe=settings.get("recipe", ""),
        program="SOFIA_DESK",
        version=settings.get("version", ""),
        status="finished" if settings.get("finished") else "not finished",
        inputs=tuple(settings.get("inputs", ())),
        steps=tuple(_describe_state(state) for state in states),
        skipped=tuple(pair for state in states for pair in state.skipped),
        files=tuple(find_files([place])) if place else (),
        pictures=tuple(find_files([place], _PICTURES)) if place else (),
        seconds=sum(state.seconds for state in states),
    )


def _path_to(states: Mapping[str, State], key: str) -> list[State]:
    """Return the states from the first step to the current one."""
    path: list[State] = []
    while key in states and len(path) <= len(states):
        if states[key].step:
            path.append(states[key])
        key = states[key].parent
    return path[::-1]


def _describe_state(state: State) -> StepRecord:
    return StepRecord(
        key=state.step,
        label=state.label,
        seconds=state.seconds,
        parameters=state.parameters,
        references=tuple(vars(reference) for reference in state.references),
        warnings=state.warnings,
        skipped=state.skipped,
        products=state.products,
        quality=state.quality,
        state_key=state.key,
    )
