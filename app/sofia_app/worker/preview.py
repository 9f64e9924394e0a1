"""Previews: one step on one input, or a part of it, with values that are being edited; shown, never kept."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sofia_app.worker.protocol import Part, Preview, PreviewFinished
from sofia_engine.errors import HeaderError, StepError
from sofia_engine.header.celestial import read_tangent_plane
from sofia_engine.pipeline.cutout import Box, Cutout, cut_product, explain_refusal, find_image_shape
from sofia_engine.pipeline.execution import Surroundings, execute
from sofia_engine.pipeline.parameters import Parameters, Setting
from sofia_engine.pipeline.reduction import Reduction
from sofia_engine.pipeline.run import Cancel
from sofia_engine.pipeline.step import Step
from sofia_engine.product import Product

__all__ = ["compute_preview"]

_KEPT = 2
"""Previews that stay on disk: the one shown, and the one before that a viewer may still hold."""


@dataclass(frozen=True)
class _Trial:
    """What a step is tried on.

    Parameters
    ----------
    inputs : tuple of Product
        Whole, or the parts that the step needs.
    box : Box, optional
        The pixels of the result that were asked for, counted in the inputs; None for all.
    note : str
        What is shown, in a sentence.
    """

    inputs: tuple[Product, ...]
    box: Box | None = None
    note: str = ""

    def finish(self, made: Product) -> Product:
        """Return what is to be shown of a result."""
        return made if self.box is None else cut_product(made, self.box)


def preview_folder(session: Path) -> Path:
    """Return the folder of the previews of a session."""
    return session / "preview"


def compute_preview(reduction: Reduction, command: Preview, cancel: Cancel) -> PreviewFinished:
    """Do one step on one input, or a part of it, with other values and write the result as PREVIEW.

    Raises
    ------
    StepError
        If the step before has not been done.
    """
    step = reduction.recipe.steps[command.step]
    products, number = _find_inputs(reduction, command)
    merged = reduction.parameters(command.step).by_key(hidden=True) | dict(command.values)
    parameters = step.parameters.make({key: Setting(value) for key, value in merged.items()}, step=step.key)
    inputs = products[number : number + 1] if step.maps else products
    trial = _cut_inputs(step, inputs, number, parameters, command.part)
    place = (number, len(products)) if step.maps else None
    around = Surroundings(reduction.references, cancel=cancel, place=place)
    outcome = execute(step, reduction.recipe, trial.inputs, parameters, around)
    made = outcome.products[0 if step.maps or number >= len(outcome.products) else number]
    shown = trial.finish(made).with_cards(("PREVIEW", True, "Trial of parameters, not a product"))
    target = _make_room(preview_folder(reduction.session.folder)) / f"preview-{command.number:06d}.fits"
    shown.write(target)
    quality = dict(outcome.quality[0]) if outcome.quality else {}
    return PreviewFinished(
        command.step, str(target), shown.name, quality, outcome.warnings, command.number, trial.note, _corner(shown)
    )


def _find_inputs(reduction: Reduction, command: Preview) -> tuple[tuple[Product, ...], int]:
    """Return the inputs of the step, and the position of the one that is asked for."""
    before = next(
        (state for state in reduction.path_to(reduction.current) if state.index == command.step - 1),
        None,
    )
    if before is None:
        label = reduction.recipe.steps[command.step].label
        raise StepError(f"{label}: do the step before it first; then it can be previewed.")
    products = reduction.products_of(before)
    return products, command.product if command.product < len(products) else 0


def _cut_inputs(
    step: Step, inputs: Sequence[Product], number: int, parameters: Parameters, part: Part | None
) -> _Trial:
    """Return the inputs, or the part that is asked for if the step can be done on it."""
    whole = tuple(inputs)
    if part is None:
        return _Trial(whole)
    instead = "the preview shows the whole file."
    refusal = explain_refusal(step, whole, parameters)
    if refusal or not isinstance(step.cutout, Cutout):
        return _Trial(whole, note=f"{step.label} cannot be done on a part: {refusal}; {instead}")
    first = whole[0 if step.maps else number]
    shape = find_image_shape(first)
    box = _locate(part, first, shape) if shape is not None else None
    if box is None or shape is None:
        return _Trial(whole, note=f"The part chosen lies outside {first.name}; {instead}")
    larger = step.cutout.enlarge(box, shape)
    note = f"Part of {box.nx} × {box.ny} of {shape[1]} × {shape[0]} pixels."
    return _Trial(tuple(cut_product(product, larger) for product in whole), box.within(larger), note)


def _locate(part: Part, image: Product, shape: tuple[int, int]) -> Box | None:
    """Return the pixels of an image that a part covers: by the sky if both have coordinates."""
    x, y = np.transpose(part.pixels)
    if part.sky:
        with contextlib.suppress(HeaderError):  # the part was chosen on an image of the same pixels then
            x, y = read_tangent_plane(image.header).to_pixel(*np.transpose(part.sky))
    return Box.around(x, y, shape)


def _corner(shown: Product) -> tuple[int, int] | None:
    """Return the first pixel (x, y) of a part in the whole; None for whole images."""
    if "LTV1" not in shown.header or "LTV2" not in shown.header:
        return None
    return -round(float(shown.header["LTV1"])), -round(float(shown.header["LTV2"]))


def _make_room(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for old in sorted(folder.glob("preview-*.fits"))[: -_KEPT + 1]:
        old.unlink(missing_ok=True)
    return folder
