"""Combine Response: the response of the instrument from those of several observations of standards."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from sofia_engine.instruments.forcast.grism_frame import CORRELATION, pack_spectrum, require_planes
from sofia_engine.instruments.forcast.rejection import (
    find_combination,
    merge_product_headers,
    rejection_rounds,
    rejection_threshold,
    require_values,
    robust_switch,
)
from sofia_engine.layouts import unpack
from sofia_engine.numerics.arrays import FloatArray
from sofia_engine.pipeline.parameters import SavedOutput, parameter
from sofia_engine.pipeline.run import Run
from sofia_engine.pipeline.step import step
from sofia_engine.product import Plane, Product
from sofia_engine.spectroscopy.combination import (
    combine_curves,
    combine_spectra,
    find_scales,
    require_same_wavelengths,
    separate_apertures,
    smooth_spectrum,
)

__all__ = ["ResponseCombination", "combine_response"]


class ResponseCombination(SavedOutput):
    """Parameters of Combine Response."""

    combine_aps: bool = parameter(
        False,
        label="Combine apertures",
        group="General",
        level="hidden",
        help="Combine the responses of all apertures too.",
    )
    scale_method: Literal["median", "highest", "lowest", "index", "none"] = parameter(
        "median",
        label="Scaling method",
        group="Scaling",
        help="Which spectrum all others are scaled to first: their median, the highest, the lowest, or the one with "
        "the number below.",
    )
    scale_index: int = parameter(
        0,
        label="Index of spectrum to scale to",
        group="Scaling",
        ge=0,
        help="Number of the file, from 0, for the scaling method index.",
        applies_when={"scale_method": "index"},
    )
    method: Literal["mean", "median"] = parameter(
        "mean", label="Combination method", group="Combination", help="Statistic of the responses."
    )
    weighted: bool = parameter(
        True,
        label="Weight by errors",
        group="Combination",
        help="Weight a mean by inverse variances.",
        applies_when={"method": "mean"},
    )
    robust: bool = robust_switch("Combination")
    threshold: float = rejection_threshold("Combination", applies_when={"robust": True})
    maxiters: int = rejection_rounds("Combination", applies_when={"robust": True})
    fwhm: float = parameter(
        2.0,
        label="Smoothing Gaussian FWHM (pixels)",
        group="Smoothing",
        unit="pix",
        ge=0,
        le=100,
        help="Width of the Gaussian by which the response is smoothed; 0 leaves it as it is.",
    )


@step(
    "combine_response",
    label="Combine Response",
    code="IRS",
    product_type="instrument_response",
    level="LEVEL_4",
    saved=True,
)
def combine_response(images: Sequence[Product], p: ResponseCombination, run: Run) -> Product:
    """Scale the responses of several observations to a common level, combine and smooth them."""
    curves = [unpack(image) for image in images]
    for curve in curves:
        require_planes(curve, "WAVEPOS", "RESPONSE", "RESPONSE_ERROR", "TRANSMISSION")
    require_same_wavelengths([curve["WAVEPOS"] for curve in curves])
    response, error = _combine(curves, p, run)
    correlation = images[0].header.get(CORRELATION, 1.0)
    response, error = smooth_spectrum(response, error, p.fwhm, float(correlation))
    unit = str(images[0].header.get("YUNITS", "Me/s/Jy"))
    combined = Product.of(
        merge_product_headers(images, run),
        {
            "WAVEPOS": Plane.of(curves[0]["WAVEPOS"], str(images[0].header.get("XUNITS", "um"))),
            "RESPONSE": Plane.of(response, unit),
            "RESPONSE_ERROR": Plane.of(error, unit),
            "TRANSMISSION": Plane.of(_combine_transmissions(curves, p)),
        },
    )
    run.quality["response"] = float(np.nanmedian(response))
    run.history(f"Response: {p.method} of {len(images)} files, smoothed with FWHM {p.fwhm:g} pixels")
    return pack_spectrum(combined, "response")


def _combine_transmissions(curves: Sequence[Product], p: ResponseCombination) -> FloatArray:
    transmissions = [curve["TRANSMISSION"] for curve in curves]
    return combine_curves(separate_apertures(transmissions) if p.combine_aps else transmissions, p.method)


def _combine(curves: Sequence[Product], p: ResponseCombination, run: Run) -> tuple[FloatArray, FloatArray]:
    values = [curve["RESPONSE"] for curve in curves]
    errors = [curve["RESPONSE_ERROR"] for curve in curves]
    if p.combine_aps:
        values, errors = separate_apertures(values), separate_apertures(errors)
    if len(values) == 1:
        return values[0], errors[0]
    scales = find_scales(np.stack(values), p.scale_method, p.scale_index)
    run.log(f"Scale factors: {', '.join(f'{scale:.4f}' for scale in scales)}")
    run.history(f"Response: scaled by {', '.join(f'{scale:.5f}' for scale in scales)} ({p.scale_method})")
    combined = combine_spectra(values, errors, find_combination(p), scales)
    require_values(combined.flux, curves[0].name, "combine_response")
    return combined.flux, combined.error
