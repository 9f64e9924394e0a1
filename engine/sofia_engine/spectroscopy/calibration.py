"""Flux calibration of spectra and rectified images: division by transmission and response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.errors import StepError
from sofia_engine.numerics.derivatives import differentiate
from sofia_engine.spectroscopy.aperture_mask import read_aperture

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import FloatArray

__all__ = [
    "Response",
    "Sampling",
    "calibrate",
    "estimate_sampling",
    "find_calibration_error",
    "interpolate_response",
    "spread_responses",
]

SAME_WAVELENGTH = 1e-10
"""Relative difference of wavelengths that are equal but for rounding."""
LARGEST_SAMPLING = 0.01
"""Relative change by blur beyond which, on the flanks of opaque bands, a second derivative does not describe it."""
SAMPLING_ACCURACY = 1 / 3
"""Share of the change by blur that is quoted as its error: what higher derivatives do in the narrowest features."""


@dataclass(frozen=True, eq=False)
class Response:
    """Response of the instrument.

    Attributes
    ----------
    values, error : ndarray
        Raw unit per Jy; last axis wavelength; NaN where it is not known.
    """

    values: FloatArray
    error: FloatArray

    @property
    def relative_error(self) -> FloatArray:
        """Error over value; NaN where the response is not positive."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.values > 0, self.error / self.values, np.nan)

    @classmethod
    def unity(cls, columns: int) -> Response:
        """A response of 1 without error, for standards from which the response is to be made."""
        return cls(np.ones(columns), np.zeros(columns))


@dataclass(frozen=True, eq=False)
class Sampling:
    """What unequal sharpness of its columns does to a spectrum.

    Attributes
    ----------
    change, error : ndarray
        Relative change of pixels or columns, and the error of that; last axis wavelength.
    """

    change: FloatArray
    error: FloatArray


def interpolate_response(wavelength: ArrayLike, response: ArrayLike, error: ArrayLike, at: ArrayLike) -> Response:
    """Response at the wavelengths of a spectrum, linear between its own; NaN outside and beside missing values.

    Parameters
    ----------
    wavelength : (n,) array_like
        Rising.
    response, error : (n,) or (n_ap, n) array_like
        One curve, or one per aperture.
    at : (nw,) array_like
        Wavelengths wanted.
    """
    known, wanted = np.asarray(wavelength, dtype=np.float64), np.asarray(at, dtype=np.float64)
    nearest = np.clip(np.rint(np.interp(wanted, known, np.arange(known.size))).astype(np.intp), 0, known.size - 1)
    # beside a missing value, a wavelength that is one of the curve's but for rounding must not be lost
    same = np.abs(known[nearest] - wanted) <= SAME_WAVELENGTH * np.abs(wanted)

    def interpolate(curve: FloatArray) -> FloatArray:
        between = np.interp(wanted, known, curve, left=np.nan, right=np.nan)
        return np.where(same, curve[nearest], between)

    curves = [np.apply_along_axis(interpolate, -1, np.asarray(part, dtype=np.float64)) for part in (response, error)]
    return Response(curves[0], curves[1])


def calibrate(
    flux: ArrayLike, error: ArrayLike, transmission: ArrayLike, response: Response, sampling: Sampling | None = None
) -> tuple[FloatArray, FloatArray]:
    """Divide by transmission and response.

    Parameters
    ----------
    flux, error : (..., nw) array_like
        Raw unit.
    transmission : (nw,) array_like
        Of the atmosphere.
    response : Response
        Shapes that broadcast against the flux.
    sampling : Sampling, optional
        Taken back, and its error added.

    Returns
    -------
    ndarray, ndarray
        Flux and error, Jy; the error holds that of the response. NaN where transmission or response is missing or not
        positive.
    """
    through = np.asarray(transmission, dtype=np.float64)
    factor = np.where((through > 0) & (response.values > 0), through * response.values, np.nan)
    if sampling is not None:
        factor = factor * (1.0 + sampling.change)
    calibrated = np.asarray(flux, dtype=np.float64) / factor
    noise = np.asarray(error, dtype=np.float64) / factor
    if sampling is not None:
        noise = np.hypot(noise, sampling.error * calibrated)
    return calibrated, add_response_error(calibrated, noise, response.relative_error)


def add_response_error(flux: ArrayLike, noise: ArrayLike, share: ArrayLike) -> FloatArray:
    """Error of a calibrated flux from its noise and the relative error of the response."""
    total: FloatArray = np.hypot(noise, np.asarray(share, dtype=np.float64) * np.asarray(flux, dtype=np.float64))
    return total


def estimate_sampling(through: ArrayLike, blur: ArrayLike) -> Sampling:
    """Change of a spectrum where a curve bends, in columns that are sharper or less sharp than others.

    Parameters
    ----------
    through : (nw,) array_like
        Transmission times response at columns of mean sharpness; NaN is missing.
    blur : (..., nw) array_like
        Variance along the wavelength of a column less the mean, columns squared, see
        `sofia_engine.spectroscopy.rectification.Rectifier.column_blur`.

    Returns
    -------
    Sampling
        The change is half the blur times the second derivative, over the curve: blur by a variance v adds v/2 times
        its second derivative to a curve. It is bounded by `LARGEST_SAMPLING`; 0 where it is not known.
    """
    curve = np.asarray(through, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = 0.5 * np.asarray(blur, dtype=np.float64) * (differentiate(curve, 2) / curve)
    share = np.where(np.isfinite(share), share, 0.0)
    return Sampling(np.clip(share, -LARGEST_SAMPLING, LARGEST_SAMPLING), SAMPLING_ACCURACY * np.abs(share))


def separate_response_error(flux: ArrayLike, error: ArrayLike, share: ArrayLike) -> FloatArray:
    """Noise of a calibrated flux: its error without that of the response, the inverse of `add_response_error`.

    Spectra calibrated with one response share its error. It does not become less when they are combined, as noise does.
    """
    common = np.asarray(share, dtype=np.float64) * np.asarray(flux, dtype=np.float64)
    noise: FloatArray = np.sqrt(np.maximum(np.asarray(error, dtype=np.float64) ** 2 - common**2, 0.0))
    return noise


def spread_responses(mask: ArrayLike, response: Response) -> Response:
    """Response of every pixel of an image whose apertures have responses of their own.

    Parameters
    ----------
    mask : (ns, nw) array_like
        Aperture mask.
    response : Response
        (nw,) or (n_ap, nw).

    Returns
    -------
    Response
        (ns, nw): that of aperture k in its PSF, that of the first one elsewhere.
    """
    shape = np.shape(mask)
    curves = [np.atleast_2d(part) for part in (response.values, response.error)]
    images = [np.array(np.broadcast_to(part[0], shape)) for part in curves]
    for number in range(2, len(curves[0]) + 1):
        inside = read_aperture(mask, number).psf > 0
        for image, part in zip(images, curves, strict=True):
            image[inside] = np.broadcast_to(part[number - 1], shape)[inside]
    return Response(images[0], images[1])


def find_calibration_error(response: Response, systematic: float | None) -> float | None:
    """Relative error of the calibration as a whole: systematic error over mean response; None if it is not known.

    Raises
    ------
    StepError
        If the response has no value at all in the range of the spectrum.
    """
    finite = response.values[np.isfinite(response.values)]
    if finite.size == 0:
        raise StepError("The response does not cover the wavelengths of the spectrum; choose another response file.")
    return None if systematic is None else float(systematic / finite.mean())
