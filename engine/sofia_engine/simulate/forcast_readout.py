"""From light on a FORCAST detector to a raw file."""

from __future__ import annotations

import gzip
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import InputError, ParameterError
from sofia_engine.simulate.forcast_detector import (
    BadPixels,
    add_jailbars,
    apply_droop,
    apply_nonlinearity,
    draw_noise,
    find_nonlinearity,
    spoil_pixels,
)
from sofia_engine.simulate.options import compact_date

if TYPE_CHECKING:
    from sofia_engine.simulate.forcast_options import ForcastObservation

__all__ = ["RawPlane", "read_out", "write_raw"]

FloatArray = NDArray[np.float64]
_LARGEST_COUNT = 65535.0


@dataclass(frozen=True)
class RawPlane:
    """
    One plane of a raw file.

    Parameters
    ----------
    counts
        What the file holds, ADU.
    linear_variance
        Variance of the counts once they are made linear again, ADU**2.
    """

    counts: FloatArray
    linear_variance: FloatArray


def read_out(light: FloatArray, options: ForcastObservation, bad: BadPixels, random: np.random.Generator) -> RawPlane:
    """
    Turn light on the detector into a raw plane.

    Parameters
    ----------
    light
        Linear counts, ADU.
    options
        Which effects of the detector there are.
    bad
        Bad pixels.
    random
        Source of random numbers.

    Raises
    ------
    ParameterError
        If the counts are more than a detector can give, or outside the range its nonlinearity is known for.
    """
    plane, slope = light, 1.0
    if options.nonlinearity:
        curve = find_nonlinearity(compact_date(options.date), options.setup.camera, options.capacitance)
        plane = apply_nonlinearity(plane, bad.good, curve)
        slope = float(plane.max() / light.max())
    if options.droop:
        plane = apply_droop(plane, bad.good, options.droop_fraction)
    if plane.max() > _LARGEST_COUNT:
        raise ParameterError(
            f"The simulated source reaches {plane.max():.0f} ADU, above the 65535 of the detector; lower 'flux'."
        )
    variance = options.noise_model.variance(np.maximum(plane, 0)) / slope**2
    if options.noise:
        plane = draw_noise(plane, options.noise_model, random)
    if options.jailbars:
        plane = add_jailbars(plane, options.jailbar_amplitude, random)
    return RawPlane(spoil_pixels(plane, bad, random), variance)


def write_raw(path: Path, planes: NDArray[np.float32], header: dict[str, Any]) -> None:
    """
    Write a raw file; compressed ones carry no time, so that equal simulations give equal files.

    Parameters
    ----------
    path
        File to write; compressed if it ends with ``.gz``.
    planes
        (n_plane, 256, 256) ADU.
    header
        Keywords and values.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    from astropy.io import fits

    hdu = fits.PrimaryHDU(planes)
    hdu.header.update(header)
    buffer = io.BytesIO()
    hdu.writeto(buffer)
    content = buffer.getvalue()
    try:
        path.write_bytes(gzip.compress(content, compresslevel=4, mtime=0) if path.suffix == ".gz" else content)
    except OSError as error:
        raise InputError(f"The raw file {path} cannot be written ({error.strerror}); choose another folder.") from error
