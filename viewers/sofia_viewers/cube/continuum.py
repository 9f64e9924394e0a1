"""Continuum of many spectra at once: polynomials by linear least squares, with rejection of outliers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import StepError

__all__ = ["ContinuumFit", "choose_windows", "fit_continuum"]

FloatArray = NDArray[np.float64]

_ROUNDS = 5


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
        t = (np.asarray(wave, dtype=float) - self.middle) / self.half
        return np.asarray(t[:, None] ** np.arange(len(self.coefficients)))


def choose_windows(wave: FloatArray, windows: Sequence[tuple[float, float]]) -> NDArray[np.bool_]:
    """Tell which wavelengths lie in windows; all of them if there is none."""
    if not windows:
        return np.ones(len(wave), dtype=bool)
    return np.asarray(np.any([(wave >= min(w)) & (wave <= max(w)) for w in windows], axis=0))


def fit_continuum(
    wave: FloatArray, flux: FloatArray, error: FloatArray | None = None, degree: int = 1, clip: float = 3.0
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
    if len(wave) <= degree:
        raise StepError(f"{len(wave)} wavelengths are too few for a continuum of degree {degree}: widen the windows.")
    middle, half = 0.5 * (wave.min() + wave.max()), 0.5 * float(np.ptp(wave)) or 1.0
    powers = (((wave - middle) / half)[:, None] ** np.arange(degree + 1)).T
    known = np.isfinite(flux) if error is None else np.isfinite(flux) & (error > 0)
    values = np.ascontiguousarray(np.where(known, flux, 0.0).T)
    weights = _weigh(known, error)
    good = np.ascontiguousarray(known.T)
    coefficients, inverse = _fit_and_reject(powers, values, weights, good, clip)
    if error is None:
        freedom = np.maximum(good.sum(axis=1) - degree - 1, 1)
        squares = np.where(good, values - coefficients @ powers, 0.0) ** 2
        inverse = inverse * (squares.sum(axis=1) / freedom)[:, None, None]
    return ContinuumFit(np.ascontiguousarray(coefficients.T), inverse, float(middle), half)


def _weigh(known: NDArray[np.bool_], error: FloatArray | None) -> FloatArray:
    """Return weights (n, m) of points (m, n)."""
    if error is None:
        return np.ones(known.shape[::-1])
    return np.ascontiguousarray(np.where(known, 1.0 / np.where(known, error, 1.0) ** 2, 0.0).T)


def _fit_and_reject(
    powers: FloatArray, values: FloatArray, weights: FloatArray, good: NDArray[np.bool_], clip: float
) -> tuple[FloatArray, FloatArray]:
    """Fit spectra (n, m), reject, and fit those again of which points changed; `good` is left as last used."""
    from sofia_viewers.cube import _continuum_kernel

    count, degree = len(values), len(powers)
    coefficients, inverse = np.empty((count, degree)), np.empty((count, degree, degree))
    known, places = good.copy(), np.arange(count)
    for turn in range(_ROUNDS if clip else 1):
        coefficients[places], inverse[places] = _solve(powers, values, weights, good, places)
        if turn == _ROUNDS - 1 or not clip:
            break
        changed = np.empty(len(places), dtype=np.bool_)
        _continuum_kernel.reject_outliers(powers, values, known, good, places, coefficients[places], clip, changed)
        places = places[changed]
        if not places.size:
            break
    return coefficients, inverse


def _solve(
    powers: FloatArray, values: FloatArray, weights: FloatArray, good: NDArray[np.bool_], places: NDArray[np.int64]
) -> tuple[FloatArray, FloatArray]:
    """Return the coefficients of the spectra at some places, (k, degree + 1), and their covariances."""
    from sofia_viewers.cube import _continuum_kernel

    count, degree = len(places), len(powers)
    normal, right, points = np.empty((count, degree, degree)), np.empty((count, degree)), np.empty(count, np.int64)
    _continuum_kernel.add_equations(powers, values, weights, good, places, normal, right, points)
    usable = points >= degree
    normal[~usable] = np.eye(degree)
    scale = np.sqrt(np.einsum("nii->ni", normal))
    scale[scale <= 0] = 1.0
    scaled = normal / (scale[:, :, None] * scale[:, None, :])
    inverse = np.linalg.pinv(scaled, hermitian=True) / (scale[:, :, None] * scale[:, None, :])
    coefficients = np.einsum("nij,nj->ni", inverse, right)
    coefficients[~usable] = np.nan
    inverse[~usable] = np.nan
    return coefficients, inverse
