"""Stack Dithers: images taken at the same place of the slit combined before their spectra are extracted."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from sofia_engine.errors import InputError
from sofia_engine.instruments.forcast.grism_frame import square_error
from sofia_engine.instruments.forcast.rejection import (
    find_combination,
    merge_product_headers,
    rejection_rounds,
    rejection_threshold,
    require_values,
    robust_switch,
)
from sofia_engine.numerics.coadd import combine_stack
from sofia_engine.pipeline.cutout import Cutout
from sofia_engine.pipeline.parameters import SavedOutput, parameter
from sofia_engine.pipeline.run import Run
from sofia_engine.pipeline.step import step
from sofia_engine.product import Product

__all__ = ["DitherParameters", "stack_dithers"]


class DitherParameters(SavedOutput):
    """Parameters of Stack Dithers."""

    skip: bool = parameter(True, key="skip_stack", label="Skip dither stacking", help="Pass the images on one by one.")
    ignore_dither: bool = parameter(
        False,
        label="Ignore dither information from header",
        help="Combine all images, whatever their dither position (DTHINDEX).",
        applies_when={"skip": False},
    )
    method: Literal["mean", "median", "sum"] = parameter(
        "mean",
        label="Combination method",
        help="Statistic of the images of a dither position.",
        applies_when={"skip": False},
    )
    weighted: bool = parameter(
        True,
        label="Use weighted mean",
        help="Weight a mean by inverse variances.",
        applies_when={"skip": False, "method": "mean"},
    )
    robust: bool = robust_switch(applies_when={"skip": False})
    threshold: float = rejection_threshold(applies_when={"skip": False, "robust": True})
    maxiters: int = rejection_rounds(applies_when={"skip": False, "robust": True})


@step(
    "stack_dithers",
    label="Stack Dithers",
    code="SKD",
    product_type="dithers_stacked",
    level="LEVEL_2",
    saved=True,
    cutout=Cutout(),
)
def stack_dithers(images: Sequence[Product], p: DitherParameters, run: Run) -> tuple[Product, ...]:
    """Combine images of the same dither position; images that have no partner are passed on."""
    if p.skip or len(images) < 2:
        return tuple(images)
    groups: dict[int, list[Product]] = {}
    for image in images:
        groups.setdefault(0 if p.ignore_dither else int(image.header.get("DTHINDEX", 0)), []).append(image)
    done: list[Product] = []
    for group in groups.values():
        if len(group) > 1:
            run.made_of(len(done), [image.name for image in group])
        done.append(_combine(group, p, run) if len(group) > 1 else group[0])
    return tuple(done)


def _combine(images: Sequence[Product], p: DitherParameters, run: Run) -> Product:
    shapes = {image["FLUX"].shape for image in images}
    if len(shapes) > 1:
        raise InputError(f"{images[0].name}: the images to be combined differ in shape: {sorted(shapes)}.")
    variances = [square_error(image) for image in images]
    combined = combine_stack([image["FLUX"] for image in images], variances, find_combination(p))
    require_values(combined.flux, images[0].name, "stack_dithers")
    header = merge_product_headers(images, run)
    if p.method == "sum":
        run.warn(
            f"{images[0].name}: {len(images)} images are summed, not averaged: fluxes are that many times those of the "
            "source, in calibrated spectra, too."
        )
    run.log(f"Stacked {len(images)} images of dither position {images[0].header.get('DTHINDEX', 0)}")
    run.history(f"Stack dithers: {p.method} of {', '.join(image.name for image in images)}")
    return images[0].replace(header=header, FLUX=combined.flux, ERROR=np.sqrt(combined.variance))
