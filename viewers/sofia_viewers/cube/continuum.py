"""Continuum of many spectra at once: polynomials by linear least squares, with rejection of outliers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import StepError

__all__ = ["CLIP", "ContinuumFit", "PowerScale", "choose_windows", "fit_continuum"]

FloatArray = NDArray[np.float64]
CLIP = 3.0
"""Points further from a continuum than so many times the robust scatter are left out."""


@dataclass(frozen=True)
class PowerScale:
    """How wavelengths become powers of about one.

    Parameters
    ----------
    middle, half : float
        The powers are those of (wave - middle) / half.
    degree : int
        The highest power.
    """

    middle: float
    half: float
    degree: int

    @classmethod
    def of(cls, wave: FloatArray, degree: int) -> PowerScale:
        """Return the scale of polynomials through wavelengths.

        Raises
        ------
        StepError
            If there are fewer wavelengths than coefficients.
        """
        if len(wave) <= degree:
            raise StepError(
                f"{len(wave)} wavelengths are too few for a continuum of degree {degree}: widen the windows."
            )
        return cls(float(0.5 * (wave.min() + wave.max())), 0.5 * float(np.ptp(wave)) or 1.0, degree)

    def find_powers(self, wave: FloatArray) -> FloatArray:
        """Return powers 0 to `degree` of wavelengths (m,) as (m, degree + 1)."""
        t = (np.asarray(wave, dtype=float) - self.middle) / self.half
        return np.asarray(t[:, None] ** np.arange(self.degree + 1))


@dataclass(frozen=True, eq=False)
class ContinuumFit:
    """Polynomials of many spectra.

    Parameters
    ----------
    coefficients : (degree + 1, n) ndarray
        In powers of (wave - middle) / half; NaN where there are too few points.
    covariance : (n, degree + 1, degree + 1) ndarray
        Of the coefficients.
    middle, half : float
        Scaling of the wavelengths.
    """

    coefficients: FloatArray
    covariance: FloatArray
    middle: float
    half: float

    def evaluate(self, wave: FloatArray) -> FloatArray:
        """Return the continuum at wavelengths (m,) as (m, n)."""
        return np.asarray(self.find_powers(wave) @ self.coefficients)

    def find_error(self, wave: FloatArray) -> FloatArray:
        """Return its 1-sigma error at wavelengths (m,) as (m, n)."""
        powers = self.find_powers(wave)
        variance = np.einsum("mi,nij,mj->mn", powers, self.covariance, powers, optimize=True)
        return np.asarray(np.sqrt(np.maximum(variance, 0.0)))

    def find_powers(self, wave: FloatArray) -> FloatArray:
        """Return the powers that the coefficients belong to, (m, degree + 1)."""
        return PowerScale(self.middle, self.half, len(self.coefficients) - 1).find_powers(wave)


def choose_windows(wave: FloatArray, windows: Sequence[tuple[float, float]]) -> NDArray[np.bool_]:
    """Tell which wavelengths lie in windows; all of them if there is none."""
    if not windows:
        return np.ones(len(wave), dtype=bool)
    return np.asarray(np.any([(wave >= min(w)) & (wave <= max(w)) for w in windows], axis=0))


def fit_continuum(
    wave: FloatArray, flux: FloatArray, error: FloatArray | None = None, degree: int = 1, clip: float = CLIP
) -> ContinuumFit:
    """Fit a polynomial to each of many spectra.

    Parameters
    ----------
    wave : (m,) ndarray
        Wavelengths of the points to fit.
    flux : (m, n) ndarray
        Values; NaN is left out.
    error : (m, n) ndarray, optional
        1-sigma errors, used as weights; without them all weigh the same and errors follow from the scatter.
    degree : int
        Of the polynomials.
    clip : float
        Points further than this many times the robust scatter from the fit are left out; 0 for none.

    Raises
    ------
    StepError
        If there are fewer wavelengths than coefficients.
    """
    from sofia_viewers.cube import _maps_kernel

    scale = PowerScale.of(wave, degree)
    powers = np.ascontiguousarray(scale.find_powers(wave).T)
    known = np.isfinite(flux) if error is None else np.isfinite(flux) & (error > 0)
    values = np.ascontiguousarray(np.where(known, flux, 0.0).T)
    known = np.ascontiguousarray(known.T)
    good, coefficients = np.empty_like(known), np.empty((len(values), degree + 1))
    inverse = np.empty((len(values), degree + 1, degree + 1))
    _maps_kernel.fit_spectra(powers, values, _weigh(known, error), known, good, clip, coefficients, inverse)
    if error is None:
        freedom = np.maximum(good.sum(axis=1) - degree - 1, 1)
        squares = np.where(good, values - coefficients @ powers, 0.0) ** 2
        inverse = inverse * (squares.sum(axis=1) / freedom)[:, None, None]
    return ContinuumFit(np.ascontiguousarray(coefficients.T), inverse, scale.middle, scale.half)


def _weigh(known: NDArray[np.bool_], error: FloatArray | None) -> FloatArray:
    """Return weights (n, m) of points with errors (m, n)."""
    if error is None:
        return np.ones(known.shape)
    return np.ascontiguousarray(np.where(known, 1.0 / np.where(known, error.T, 1.0) ** 2, 0.0))
