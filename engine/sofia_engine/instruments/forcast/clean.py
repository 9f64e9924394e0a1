"""Clean Images: readout shifts taken back, bad pixels masked or filled."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import numpy as np
from astropy.io import fits
from pydantic import AfterValidator

from sofia_engine.errors import InputError, ParameterError, ReferenceDataError
from sofia_engine.instruments.forcast.mode import (
    Camera,
    find_camera,
    is_cross_dispersed,
    is_slit_image,
    request_reference,
)
from sofia_engine.numerics.arrays import BoolArray, FloatArray
from sofia_engine.numerics.filtering import interpolate_bad_pixels
from sofia_engine.pipeline.parameters import SavedOutput, parameter
from sofia_engine.pipeline.run import Run, Wanted
from sofia_engine.pipeline.step import step
from sofia_engine.product import Product

__all__ = ["CleanParameters", "clean", "fill_bad_pixels", "is_shifted", "mask_bad_pixels", "parse_image_numbers"]

READOUT_SHIFT = 16
"""Pixels along x by which a readout out of step displaces the image."""
SHIFT_REGIONS: Mapping[Camera, tuple[slice, slice]] = {
    "SW": (slice(36, 75), slice(0, 2)),
    "LW": (slice(178, 189), slice(47, 61)),
}
"""Rows and columns of pixels that differ much from each other; a displaced image has them further to the right."""
SHIFT_CONTRAST = 3.0


def parse_image_numbers(text: str) -> tuple[int, ...] | None:
    """Return the image numbers in a text such as ``1;3``, counted from 1; None for ``all``, which means every image.

    Raises
    ------
    ValueError
        If it is neither ``all`` nor whole numbers from 1 separated by semicolons.
    """
    if text.strip().lower() == "all":
        return None
    parts = [part.strip() for part in text.split(";") if part.strip()]
    if not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise ValueError("'all', or numbers of images from 1 separated by semicolons, such as 1;3")
    return tuple(int(part) for part in parts)


def _check_image_numbers(text: str) -> str:
    parse_image_numbers(text)
    return text


class CleanParameters(SavedOutput):
    """Parameters of Clean Images."""

    bad_pixel_file: str = parameter(
        "",
        key="badfile",
        label="Bad pixel map",
        pick="file",
        help="FITS image of the size of the detector with values above 0 for bad pixels; empty for that of the date.",
    )
    automatic_shift: bool = parameter(
        True,
        key="autoshift",
        label="Automatically detect readout shift",
        help="Find images that the readout has displaced by 16 pixels, and move them back.",
        applies_when={"shifted_images": False},
    )
    shifted_images: Annotated[str, AfterValidator(_check_image_numbers)] = parameter(
        "",
        key="shiftfile",
        label="Image number to shift (if not auto)",
        help="Numbers of the input files to move back by 16 pixels, from 1, separated by semicolons, or 'all'; "
        "if given, displaced images are not looked for.",
    )
    interpolate: bool = parameter(
        False,
        label="Interpolate over bad pixels",
        help="Fill bad pixels with the value of a smooth surface through their neighbours instead of masking them.",
    )


def wanted_mask(header: fits.Header, p: CleanParameters) -> Mapping[str, Wanted]:
    """Name the bad pixel mask that the step needs."""
    return {"bad_pixel_mask": Wanted(request_reference(header, "bad_pixel_mask", "bad pixel map"), p.bad_pixel_file)}


@step(
    "clean",
    label="Clean Images",
    code="CLN",
    product_type="cleaned",
    level="LEVEL_2",
    references=wanted_mask,
    cutout="its bad pixel map is that of the whole detector",
)
def clean(image: Product, p: CleanParameters, run: Run) -> Product:
    """Take back displacements by the readout, and mask bad pixels or fill them from their neighbours."""
    flux, error = image["FLUX"], image["ERROR"]
    if flux.ndim != 3:
        raise InputError(f"{image.name}: FLUX must be a stack of images, not an array of shape {flux.shape}.")
    if _is_to_be_shifted(image, p, run):
        flux, error = np.roll(flux, -READOUT_SHIFT, axis=-1), np.roll(error, -READOUT_SHIFT, axis=-1)
        run.history(f"Clean: image moved by -{READOUT_SHIFT} pixels in x, where the readout should have put it")
    mask, name = _read_mask_for(flux, run)
    flux, error = mask_bad_pixels(flux, mask), mask_bad_pixels(error, mask)
    if p.interpolate:
        flux, error = fill_bad_pixels(flux, error)
        run.history("Clean: bad pixels filled with a polynomial surface through their neighbours")
    else:
        run.history("Clean: bad pixels set to NaN")
    cards = [("JBCLEAN", "median", "Jail bar cleaning algorithm")]
    if name:
        cards.append(("BDPXFILE", name, "Bad pixel mask"))
    return image.with_cards(*cards).replace(FLUX=flux, ERROR=error)


def is_shifted(plane: FloatArray, camera: Camera) -> bool:
    """Tell whether the readout has displaced an image: whether its conspicuous pixels stand 16 pixels to the right.

    Parameters
    ----------
    plane : (256, 256) ndarray
        Counts; NaN is missing.
    camera : {"SW", "LW"}
        The camera, which decides where the conspicuous pixels are.
    """
    rows, columns = SHIFT_REGIONS[camera]
    moved = slice(columns.start + READOUT_SHIFT, columns.stop + READOUT_SHIFT)
    here, there = plane[rows, columns], plane[rows, moved]
    if here.size == 0 or there.size == 0 or not (np.isfinite(here).any() and np.isfinite(there).any()):
        return False
    return bool(np.nanstd(there, dtype=np.float64) > SHIFT_CONTRAST * np.nanstd(here, dtype=np.float64))


def mask_bad_pixels(planes: FloatArray, mask: BoolArray | None) -> FloatArray:
    """Return a copy of a stack with bad pixels, and the dead top row of the detector, missing.

    Parameters
    ----------
    planes : (n, ny, nx) ndarray
        Counts.
    mask : (ny, nx) ndarray of bool, optional
        True for bad pixels.
    """
    masked = planes.copy()
    if mask is not None:
        masked[:, mask] = np.nan
    masked[:, -1] = np.nan
    return masked


def fill_bad_pixels(flux: FloatArray, error: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return copies of a stack and its error with missing pixels filled; the top row repeats the one below.

    Parameters
    ----------
    flux, error : (n, ny, nx) ndarray
        Counts and their 1-sigma errors; NaN is missing.
    """
    filled = [interpolate_bad_pixels(plane[:-1], sigma[:-1] ** 2) for plane, sigma in zip(flux, error, strict=True)]
    values = np.stack([plane for plane, _ in filled])
    variances = np.stack([variance for _, variance in filled if variance is not None])
    return _repeat_top(values), _repeat_top(np.sqrt(variances))


def _repeat_top(planes: FloatArray) -> FloatArray:
    return np.concatenate([planes, planes[:, -1:]], axis=1)


def _is_to_be_shifted(image: Product, p: CleanParameters, run: Run) -> bool:
    if p.shifted_images.strip():
        numbers = parse_image_numbers(p.shifted_images)
        if numbers is None:
            return True
        if max(numbers) > run.count:
            raise ParameterError(
                f"clean.shiftfile = {p.shifted_images!r} is not allowed: there are only {run.count} images."
            )
        return run.position + 1 in numbers
    header = image.header
    if not p.automatic_shift or is_cross_dispersed(header) or is_slit_image(header):
        return False
    return is_shifted(image["FLUX"][0], find_camera(header))


def _read_mask_for(flux: FloatArray, run: Run) -> tuple[BoolArray | None, str]:
    """Return the bad pixels and the name of their file; None and no name if there is none that fits."""
    used = run.find_reference("bad_pixel_mask")
    if used is None:
        run.warn("There is no bad pixel map for this observation; no pixels are masked.")
        return None, ""
    mask = _read_mask(used.path, used.sha256)
    if mask.shape != flux.shape[-2:]:
        run.warn(f"The bad pixel map {used.name} has the shape {mask.shape}, not {flux.shape[-2:]}; it is not used.")
        return None, ""
    return mask, used.name


@lru_cache(maxsize=8)
def _read_mask(path: Path, _content: str) -> BoolArray:
    try:
        with fits.open(path, memmap=False) as hdus:
            data = hdus[0].data
    except OSError as error:
        raise ReferenceDataError(f"The bad pixel map {path} cannot be read ({error}); give a FITS image.") from error
    if data is None:
        raise ReferenceDataError(f"The bad pixel map {path} holds no image in its primary HDU; give another one.")
    mask: BoolArray = np.asarray(data) > 0
    mask.flags.writeable = False
    return mask
