"""Previews: one step on one input with values that are being edited; shown, never kept."""

from __future__ import annotations

from pathlib import Path

from sofia_app.worker.protocol import Preview, PreviewFinished
from sofia_engine.errors import StepError
from sofia_engine.pipeline.execution import Surroundings, execute
from sofia_engine.pipeline.parameters import Setting
from sofia_engine.pipeline.reduction import Reduction
from sofia_engine.pipeline.run import Cancel

__all__ = ["compute_preview"]

_KEPT = 2
"""Previews that stay on disk: the one shown, and the one before that a viewer may still hold."""


def preview_folder(session: Path) -> Path:
    """Return the folder of the previews of a session."""
    return session / "preview"


def compute_preview(reduction: Reduction, command: Preview, cancel: Cancel) -> PreviewFinished:
    """Do one step on one input with other values and write the result as PREVIEW.

    Raises
    ------
    StepError
        If the step before has not been done.
    """
    step = reduction.recipe.steps[command.step]
    path = reduction.path_to(reduction.current)
    before = next((state for state in path if state.index == command.step - 1), None)
    if before is None:
        raise StepError(f"{step.label}: do the step before it first; then it can be previewed.")
    products = reduction.products_of(before)
    if step.maps:
        products = products[command.product : command.product + 1] or products[:1]
    merged = reduction.parameters(command.step).by_key(hidden=True) | dict(command.values)
    parameters = step.parameters.make({key: Setting(value) for key, value in merged.items()}, step=step.key)
    around = Surroundings(reduction.references, cancel=cancel)
    outcome = execute(step, reduction.recipe, products, parameters, around)
    shown = outcome.products[0].with_cards(("PREVIEW", True, "Trial of parameters, not a product"))
    target = _make_room(preview_folder(reduction.session.folder)) / f"preview-{command.number:06d}.fits"
    shown.write(target)
    quality = dict(outcome.quality[0]) if outcome.quality else {}
    return PreviewFinished(command.step, str(target), shown.name, quality, outcome.warnings, command.number)


def _make_room(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for old in sorted(folder.glob("preview-*.fits"))[: -_KEPT + 1]:
        old.unlink(missing_ok=True)
    return folder
