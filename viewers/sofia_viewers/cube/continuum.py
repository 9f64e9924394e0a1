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
        return np.sqrt(np.maximum(variance, 0.0))

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
    powers = ((wave - middle) / half)[:, None] ** np.arange(degree + 1)
    known = np.isfinite(flux) if error is None else np.isfinite(flux) & (error > 0)
    values, good = np.where(known, flux, 0.0), known
    weights = np.ones_like(values) if error is None else np.where(known, 1.0 / np.where(known, error, 1.0) ** 2, 0.0)
    for turn in range(_ROUNDS if clip else 1):
        coefficients, inverse = _solve(powers, values, weights * good)
        rest = np.where(good, values - powers @ coefficients, np.nan)
        if turn == _ROUNDS - 1 or not clip:
            break
        kept = known & ~_find_outliers(np.where(known, values - powers @ coefficients, np.nan), clip)
        if (kept == good).all():
            break
        good = kept
    if error is None:
        freedom = np.maximum(good.sum(axis=0) - degree - 1, 1)
        inverse = inverse * (np.nansum(rest**2, axis=0) / freedom)[:, None, None]
    return ContinuumFit(coefficients, inverse, float(middle), half)


def _solve(powers: FloatArray, values: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    count = powers.shape[1]
    normal = np.einsum("mi,mj,mn->nij", powers, powers, weights, optimize=True)
    right = np.einsum("mi,mn->ni", powers, weights * values, optimize=True)
    usable = np.count_nonzero(weights, axis=0) >= count
    normal[~usable] = np.eye(count)
    scale = np.sqrt(np.einsum("nii->ni", normal))
    scale[scale <= 0] = 1.0
    scaled = normal / (scale[:, :, None] * scale[:, None, :])
    inverse = np.linalg.pinv(scaled, hermitian=True) / (scale[:, :, None] * scale[:, None, :])
    coefficients = np.einsum("nij,nj->in", inverse, right)
    coefficients[:, ~usable] = np.nan
    inverse[~usable] = np.nan
    return coefficients, inverse


def _find_outliers(rest: FloatArray, clip: float) -> NDArray[np.bool_]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        spread = 1.4826 * np.nanmedian(np.abs(rest - np.nanmedian(rest, axis=0)), axis=0)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.abs(rest) > clip * spread)
