"""What the engine's process tells the app of a reduction: plain values made of its states and settings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sofia_app.worker.protocol import ReferenceRow, Snapshot, StateRecord, StepRecord
from sofia_engine.errors import ReferenceDataError
from sofia_engine.pipeline.detection import read_header
from sofia_engine.pipeline.parameters import Parameters
from sofia_engine.pipeline.reduction import Reduction
from sofia_engine.pipeline.references import select, wanted_by
from sofia_engine.pipeline.run import Wanted
from sofia_engine.pipeline.state import State

__all__ = ["describe_reduction", "list_references"]


def describe_reduction(reduction: Reduction, notes: Sequence[str] = ()) -> Snapshot:
    """Return all the app shows of a reduction."""
    redo = reduction.redo_state
    return Snapshot(
        session=str(reduction.session.folder),
        recipe=reduction.recipe.name,
        inputs=tuple(str(path) for path in reduction.inputs),
        rejected=tuple((str(path), reason) for path, reason in reduction.rejected),
        output=str(reduction.output or ""),
        start=reduction.root.index + 1,
        root=reduction.root.key,
        current=reduction.current.key,
        redo=redo.key if redo else "",
        states=tuple(_describe_state(state) for state in reduction.states.values()),
        steps=tuple(_describe_step(reduction, index) for index in range(len(reduction.recipe.steps))),
        notes=tuple(notes),
    )


def _describe_state(state: State) -> StateRecord:
    return StateRecord(
        key=state.key,
        parent=state.parent,
        index=state.index,
        step=state.step,
        label=state.label,
        parameters=dict(state.parameters),
        references=tuple((record.role, record.name, record.sha256) for record in state.references),
        warnings=state.warnings,
        skipped=state.skipped,
        quality=state.quality,
        products=state.products,
        made=state.made,
        attachments=state.attachments,
        started=state.started,
        seconds=state.seconds,
    )


def _describe_step(reduction: Reduction, index: int) -> StepRecord:
    infos, step = reduction.settings.infos(index), reduction.recipe.steps[index]
    obstacles = reduction.obstacles.get(step.key, {})
    return StepRecord(
        key=step.key,
        values=_by_name(reduction.parameters(index)),
        origins={info.name: reduction.settings.origin(index, info.name) for info in infos},
        defaults=_by_name(reduction.settings.defaults(index)),
        obstacles={step.parameters.info(key).name: reason for key, reason in obstacles.items()},
    )


def _by_name(parameters: Parameters) -> dict[str, Any]:
    return {info.name: getattr(parameters, info.name) for info in parameters.infos()}


def list_references(reduction: Reduction) -> tuple[ReferenceRow, ...]:
    """Return the reference files that all steps need for the first input, and where they are."""
    header = read_header(reduction.inputs[0])
    return tuple(
        _describe_reference(reduction, index, role, wanted)
        for index, step in enumerate(reduction.recipe.steps)
        if index > reduction.root.index
        for role, wanted in wanted_by(step, header, reduction.parameters(index)).items()
    )


def _describe_reference(reduction: Reduction, index: int, role: str, wanted: Wanted) -> ReferenceRow:
    request, store = wanted.request, reduction.references
    settings = ", ".join(_selection_words(request))
    try:
        file = select(wanted, store)
    except ReferenceDataError as error:
        return ReferenceRow(index, role, wanted.choice, request.kind, "missing", chosen_by=str(error))
    if file is None:
        return ReferenceRow(index, role, "", request.kind, "none", chosen_by=settings)
    if isinstance(file, Path):
        return ReferenceRow(index, role, file.name, request.kind, "own", path=str(file), chosen_by="given by the user")
    status = store.status([file])[0]
    return ReferenceRow(index, role, file.name, file.kind, status.state, file.size, str(status.path), settings)


def _selection_words(request: Any) -> Iterator[str]:
    yield f"date {request.date}"
    yield from (f"{word} {value}" for word, value in request.match.items())
