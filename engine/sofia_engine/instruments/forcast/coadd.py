"""Coadd: combine registered images; of calibrated images the result is a mosaic."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from astropy.io import fits

from sofia_engine.errors import InputError
from sofia_engine.header.celestial import linear_cards, read_tangent_plane
from sofia_engine.header.merging import merge_headers
from sofia_engine.instruments.forcast.configuration import merging_rules
from sofia_engine.instruments.forcast.frame import is_flux_standard, read_source_position, source_position_cards
from sofia_engine.instruments.forcast.standards import StandardPhotometry, compatible_photometry, measure_standard
from sofia_engine.instruments.imaging_calibration import load_tables, want_tables
from sofia_engine.numerics.coadd import CombinationRule
from sofia_engine.numerics.mosaic import Mosaic, MosaicFrame, SkyImage, combine_images, plan_mosaic, resample_images
from sofia_engine.numerics.tangent_plane import TangentPlane
from sofia_engine.pipeline.parameters import SavedOutput, parameter
from sofia_engine.pipeline.run import Run, Wanted
from sofia_engine.pipeline.step import step
from sofia_engine.product import Plane, Product

__all__ = ["CoaddParameters", "coadd", "find_target_offsets", "mosaic"]


class CoaddParameters(SavedOutput, StandardPhotometry):
    """Parameters of Coadd."""

    compatible: bool = compatible_photometry({"skip": False})
    skip: bool = parameter(
        False, key="skip_coadd", label="Skip coaddition", help="Pass the images on one by one, without combining them."
    )
    skip_rotation: bool = parameter(
        False,
        label="Skip rotation",
        help="Keep the orientation of the first image; otherwise north is up and east to the left.",
        applies_when={"skip": False},
    )
    reference: Literal["First image", "Target position"] = parameter(
        "Target position",
        label="Reference coordinate system",
        help="Combine the images by their sky coordinates (first image), or also follow the motion of the target "
        "(TGTRA, TGTDEC) between them.",
        applies_when={"skip": False},
    )
    method: Literal["mean", "median", "resample"] = parameter(
        "median",
        label="Combination method",
        help="Mean or median of the images on one grid, or a fit of local polynomials to the pixels of all images.",
        applies_when={"skip": False},
    )
    weighted: bool = parameter(
        True,
        label="Use weighted mean",
        help="Weight by inverse variances (mean and resample).",
        applies_when={"skip": False, "method": ("mean", "resample")},
    )
    robust: bool = parameter(
        True,
        label="Robust combination",
        help="Leave out values that lie far from the others (mean and median).",
        applies_when={"skip": False, "method": ("mean", "median")},
    )
    threshold: float = parameter(
        8.0,
        label="Outlier rejection threshold (sigma)",
        unit="sigma",
        gt=0,
        le=1000,
        help="Values further from the median than this many standard deviations of the stack are left out. Of n images "
        "none is further than sqrt(n-1)+1, so high thresholds act on many images only.",
        applies_when={"skip": False, "method": ("mean", "median"), "robust": True},
    )
    maxiters: int = parameter(
        5,
        label="Maximum sigma-clipping iterations",
        ge=1,
        le=100,
        help="Largest number of rounds of rejection.",
        applies_when={"skip": False, "method": ("mean", "median"), "robust": True},
    )
    smoothing: float = parameter(
        1.0,
        label="Gaussian width for smoothing (pixels)",
        unit="pix",
        gt=0,
        le=20,
        help="Standard deviation of the distance weights of the method resample.",
        applies_when={"skip": False, "method": "resample"},
    )
    large_sample_errors: bool = parameter(
        False,
        label="Median errors of many images",
        level="expert",
        help="Give the median the error that holds for very many images, as earlier reductions did; for four images it "
        "is 15 percent too large.",
        applies_when={"skip": False, "method": "median"},
    )


def find_target_offsets(headers: Sequence[fits.Header], plane: TangentPlane) -> list[tuple[float, float]] | None:
    """Find how far the target has moved since the first image.

    Parameters
    ----------
    headers : sequence of Header
        With the position of the target, TGTRA (hours) and TGTDEC (degrees).
    plane : TangentPlane
        Coordinates of the mosaic.

    Returns
    -------
    list of (float, float) or None
        What is to be added to positions (x, y) in the mosaic, pixels; None if a target position is missing or zero.
    """
    targets = []
    for header in headers:
        ra, dec = header.get("TGTRA"), header.get("TGTDEC")
        if not isinstance(ra, int | float) or not isinstance(dec, int | float) or (ra == 0 and dec == 0):
            return None
        targets.append((float(ra) * 15.0, float(dec)))
    x, y = plane.to_pixel(*np.transpose(targets))
    return [(float(x[0] - a), float(y[0] - b)) for a, b in zip(x, y, strict=True)]


def _want_tables(header: fits.Header, p: CoaddParameters) -> Mapping[str, Wanted]:
    return want_tables(header) if is_flux_standard(header) and not p.skip else {}


@step(
    "coadd",
    label="Coadd",
    code="COA",
    product_type="coadded",
    level="LEVEL_2",
    saved=True,
    references=_want_tables,
    cutout="the pixels of the mosaic begin at the outermost pixel of all images",
)
def coadd(images: Sequence[Product], p: CoaddParameters, run: Run) -> tuple[Product, ...]:
    """Combine registered images to one, with north up and east to the left.

    All images are brought to the grid of the first by their sky coordinates, or also by the motion of the target, and
    combined pixel by pixel. Exposure times are added.
    """
    if p.skip:
        run.history("Coadd: skipped")
        return tuple(image.replace(header=image.header.copy()) for image in images)
    header = _merge(images, run)
    if not p.skip_rotation:
        _turn_north_up(header)
    plane = read_tangent_plane(header)
    layers = _place_on_sky(images, plane, p, run)
    try:
        frame = plan_mosaic(layers, plane)
    except ValueError as error:
        raise InputError(f"{images[0].name}: the images cannot be combined: {error}.") from None
    combined = _combine(layers, frame, p)
    _describe_frame(header, images[0], frame.plane, combined)
    if math.isfinite(combined.rejected):
        run.quality["rejected"] = 100.0 * combined.rejected
    run.history(f"Coadd: {len(images)} images, method {p.method}, relative to the {p.reference.lower()}")
    product = images[0].replace(
        header=header,
        FLUX=combined.flux,
        ERROR=np.sqrt(combined.variance).astype(combined.flux.dtype, copy=False),
        EXPOSURE=Plane.of(combined.exposure, images[0].plane("EXPOSURE").unit or "s"),
    )
    if is_flux_standard(header):
        product = measure_standard(product, load_tables(header, run), p, run)
    return (product,)


mosaic = dataclasses.replace(coadd, label="Mosaic", code="MOS", product_type="mosaic", level="LEVEL_4")
"""The same step for calibrated images."""


def _merge(images: Sequence[Product], run: Run) -> fits.Header:
    merged = merge_headers([image.header for image in images], merging_rules(), images[0].header)
    for warning in merged.warnings:
        run.warn(warning)
    return merged.header


def _turn_north_up(header: fits.Header) -> None:
    for keyword in linear_cards(header):
        del header[keyword]
    header["CROTA2"] = 0.0
    if "CDELT1" in header:
        header["CDELT1"] = -abs(float(header["CDELT1"]))


def _place_on_sky(images: Sequence[Product], plane: TangentPlane, p: CoaddParameters, run: Run) -> list[SkyImage]:
    offsets = None
    if p.reference == "Target position":
        offsets = find_target_offsets([image.header for image in images], plane)
        if offsets is None:
            run.warn(
                "Missing TGTRA or TGTDEC; cannot reference to target. The images are combined by their coordinates."
            )
    return [
        SkyImage(
            image["FLUX"],
            np.square(image["ERROR"], dtype=np.float64),
            image["EXPOSURE"],
            read_tangent_plane(image.header),
            offset,
        )
        for image, offset in zip(images, offsets or [(0.0, 0.0)] * len(images), strict=True)
    ]


def _combine(layers: Sequence[SkyImage], frame: MosaicFrame, p: CoaddParameters) -> Mosaic:
    if p.method == "resample":
        return resample_images(layers, frame, smoothing=p.smoothing, weighted=p.weighted)
    rule = CombinationRule(p.method, p.weighted, p.robust, p.threshold, p.maxiters, p.large_sample_errors)
    return combine_images(layers, frame, rule)


def _describe_frame(header: fits.Header, first: Product, plane: TangentPlane, combined: Mosaic) -> None:
    """Write the place of the mosaic, its exposure and the position of the source to its header."""
    header["CRPIX1"], header["CRPIX2"] = plane.pixel[0] + 1, plane.pixel[1] + 1
    header["EXPTIME"] = float(np.nanmax(combined.exposure, initial=0.0))
    source = read_source_position(first.header)
    if source is not None:
        x, y = plane.to_pixel(*read_tangent_plane(first.header).to_sky(*source))
        for keyword, value, comment in source_position_cards((float(x), float(y))):
            header[keyword] = (value, comment)
