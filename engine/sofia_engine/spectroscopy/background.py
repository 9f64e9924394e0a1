"""Background along the slit, fitted and subtracted column by column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.numerics.outliers import find_inliers
from sofia_engine.numerics.row_polynomials import RowFits, fit_rows

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import BoolArray, FloatArray

__all__ = ["Background", "estimate_background_errors", "fit_background"]

THRESHOLD = 4.0


@dataclass(frozen=True, eq=False)
class Background:
    """Background of a rectified image.

    Attributes
    ----------
    flux, variance : (ns, nw) ndarray
        Fitted background and its variance; 0 in columns where it could not be fitted.
    fits : RowFits
        The polynomials in slit position, one per column.
    failed : (nw,) ndarray of bool
        Columns with too few background pixels.
    """

    flux: FloatArray
    variance: FloatArray
    fits: RowFits
    failed: BoolArray


def fit_background(
    image: ArrayLike, variance: ArrayLike, slit: ArrayLike, background: BoolArray, degree: int = 0
) -> Background:
    """Fit the background of each column.

    Parameters
    ----------
    image, variance : (ns, nw) array_like
        NaN is missing.
    slit : (ns,) array_like
        Slit position of the rows.
    background : (ns, nw) ndarray of bool
        Background pixels.
    degree : int
        0: mean with inverse variances as weights, outliers (4 sigma) left out; higher: polynomial, robust.

    Returns
    -------
    Background
        Columns with fewer than ``degree + 2`` pixels are left alone.
    """
    data, spread = np.asarray(image, dtype=np.float64).T, np.asarray(variance, dtype=np.float64).T
    usable = background.T & np.isfinite(data) & (spread > 0)
    enough = usable.sum(axis=1) >= degree + 2
    usable &= enough[:, np.newaxis]
    threshold: float | None = THRESHOLD
    if degree == 0:
        usable, threshold = usable & find_inliers(np.where(usable, data, np.nan), THRESHOLD), None
    fits = fit_rows(slit, data, degree, threshold=threshold, weights=_invert(spread), mask=usable)
    failed = fits.failed
    flux, noise = fits(slit), fits.variance(slit)
    flux[failed], noise[failed] = 0.0, 0.0
    return Background(flux.T, noise.T, fits, failed)


def estimate_background_errors(variance: ArrayLike, slit: ArrayLike, background: BoolArray, degree: int = 0) -> RowFits:
    """Fits whose covariance is that of a background which has been subtracted already.

    The variance of the image includes that of the background by then, which makes the estimate larger by a factor of
    1 + 1/n only, n being the number of background rows.
    """
    spread = np.asarray(variance, dtype=np.float64).T
    return fit_rows(slit, np.zeros_like(spread), degree, weights=_invert(spread), mask=background.T)


def _invert(variance: FloatArray) -> FloatArray:
    positive = np.isfinite(variance) & (variance > 0)
    return np.where(positive, 1.0 / np.where(positive, variance, 1.0), 0.0)
