"""Flux calibration of spectra and rectified images: division by transmission and response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.errors import StepError
from sofia_engine.spectroscopy.aperture_mask import read_aperture

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import FloatArray

__all__ = [
    "Response",
    "calibrate",
    "estimate_sampling_error",
    "find_calibration_error",
    "interpolate_response",
    "spread_responses",
]

SAME_WAVELENGTH = 1e-10
"""Relative difference of wavelengths that are equal but for rounding."""


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
    flux: ArrayLike, error: ArrayLike, transmission: ArrayLike, response: Response
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

    Returns
    -------
    ndarray, ndarray
        Flux and error, Jy; the error holds that of the response. NaN where transmission or response is missing or not
        positive.
    """
    through = np.asarray(transmission, dtype=np.float64)
    factor = np.where((through > 0) & (response.values > 0), through * response.values, np.nan)
    calibrated = np.asarray(flux, dtype=np.float64) / factor
    noise = np.asarray(error, dtype=np.float64) / factor
    return calibrated, add_response_error(calibrated, noise, response.relative_error)


def add_response_error(flux: ArrayLike, noise: ArrayLike, share: ArrayLike) -> FloatArray:
    """Error of a calibrated flux from its noise and the relative error of the response."""
    total: FloatArray = np.hypot(noise, np.asarray(share, dtype=np.float64) * np.asarray(flux, dtype=np.float64))
    return total


def estimate_sampling_error(through: ArrayLike, ripple: float) -> FloatArray:
    """Relative error where a curve bends, for spectra whose columns are not all equally sharp.

    Parameters
    ----------
    through : (nw,) array_like
        Transmission times response at the columns; NaN is missing.
    ripple : float
        Standard deviation of the blur over the columns (a variance, columns squared), see
        `sofia_engine.spectroscopy.rectification.Rectifier.ripple`.

    Returns
    -------
    (nw,) ndarray
        Half the ripple times the second difference, over the curve: blur by a variance v changes a curve by v/2 times
        its second derivative. 0 where it is not known.
    """
    curve = np.asarray(through, dtype=np.float64)
    bend = np.zeros(curve.shape)
    bend[1:-1] = curve[2:] - 2 * curve[1:-1] + curve[:-2]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = 0.5 * ripple * np.abs(bend / curve)
    return np.where(np.isfinite(share), share, 0.0)


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
