"""Subtract Background: what the slit shows beside the source, taken off column by column."""

import numpy as np

from sofia_engine.instruments.forcast.grism_frame import require_planes, square_error
from sofia_engine.pipeline.parameters import SavedOutput, parameter
from sofia_engine.pipeline.run import Run
from sofia_engine.pipeline.step import step
from sofia_engine.product import Product
from sofia_engine.spectroscopy.aperture_mask import read_background
from sofia_engine.spectroscopy.background import fit_background

__all__ = ["BackgroundParameters", "subtract_background"]


class BackgroundParameters(SavedOutput):
    """Parameters of Subtract Background."""

    skip: bool = parameter(
        False, key="skip_bg", label="Skip background subtraction", help="Pass the images on as they are."
    )
    fit_order: int = parameter(
        0,
        key="bg_fit_order",
        label="Background fit order",
        ge=0,
        le=10,
        help="Degree in slit position of the polynomial fitted to the background regions of each column; 0 is a mean.",
        applies_when={"skip": False},
    )


@step(
    "subtract_background",
    label="Subtract Background",
    code="BGS",
    product_type="background_subtracted",
    level="LEVEL_2",
)
def subtract_background(image: Product, p: BackgroundParameters, run: Run) -> Product:
    """Fit the background regions of each column along the slit, and subtract the fit from the column."""
    require_planes(image, "SLITPOS", "APERTURE_MASK")
    regions = read_background(image["APERTURE_MASK"])
    if p.skip or not regions.any():
        run.log("No background is subtracted." if p.skip else "There are no background regions; nothing is subtracted.")
        return image
    variance = square_error(image)
    fit = fit_background(image["FLUX"], variance, image["SLITPOS"], regions, p.fit_order)
    failed = int(np.count_nonzero(fit.failed & np.isfinite(image["FLUX"]).any(axis=0)))
    if failed:
        run.log(f"{failed} columns have too few background pixels; they are left as they are.")
    run.history(f"Background: polynomial of degree {p.fit_order} along the slit subtracted from each column")
    return image.with_cards(("BGORDER", p.fit_order, "Background fit order")).replace(
        FLUX=image["FLUX"] - fit.flux, ERROR=np.sqrt(variance + fit.variance)
    )
