"""Many one-dimensional series, each with its own positions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.numerics.resampling.resampler import Resampler
from sofia_engine.numerics.resampling.results import Resampled

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import BoolArray, FloatArray
    from sofia_engine.numerics.resampling.rules import LocalRegression

__all__ = ["resample_rows"]


def resample_rows(
    x: ArrayLike, values: ArrayLike, points: ArrayLike, rule: LocalRegression, error: ArrayLike | None = None
) -> Resampled:
    """Local polynomial regression of each row on the same points.

    Parameters
    ----------
    x : (N,) or (R, N) array_like
        Positions of the samples: of all rows, or of each.
    values : (N,) or (R, N) array_like
        Sample values; NaN is missing.
    points : (M,) array_like
        Output points.
    rule : LocalRegression
        Window and order; order 0 gives weighted means.
    error : float, (N,) or (R, N) array_like, optional
        1-sigma errors.

    Returns
    -------
    Resampled
        Arrays (R, M), or (M,) for one row. Rows without enough usable samples are `cval` with no weight.

    Raises
    ------
    ValueError
        If shapes do not fit or a number is out of range.
    """
    rows = np.asarray(values, dtype=np.float64)
    targets = np.asarray(points, dtype=np.float64)
    if targets.ndim != 1:
        raise ValueError(f"output points must be one series: their shape is {targets.shape}")
    places = np.broadcast_to(np.asarray(x, dtype=np.float64), rows.shape)
    if rows.ndim == 1:
        return Resampler(places, rows, error, rule)(targets)
    if rows.ndim != 2:
        raise ValueError(f"values must be one series or rows of them: their shape is {rows.shape}")
    sigma = None if error is None else np.broadcast_to(np.asarray(error, dtype=np.float64), rows.shape)
    needed = int(rule.orders(1)[0]) + 1
    fits = []
    for n, row in enumerate(rows):
        line = None if sigma is None else sigma[n]
        good = _find_usable(places[n], row, line)
        enough = np.count_nonzero(good) >= needed
        fits.append(Resampler(places[n], row, line, rule)(targets) if enough else _make_empty(len(targets), rule.cval))
    names = ("values", "errors", "counts", "weights", "distance_weights", "reduced_chi2")
    return Resampled(*(np.stack([getattr(fit, name) for fit in fits]) for name in names))


def _find_usable(x: FloatArray, values: FloatArray, sigma: FloatArray | None) -> BoolArray:
    good: BoolArray = np.isfinite(x) & np.isfinite(values)
    return good if sigma is None else np.asarray(good & np.isfinite(sigma) & (sigma != 0))


def _make_empty(count: int, cval: float) -> Resampled:
    missing, nothing = np.full(count, np.nan), np.zeros(count)
    return Resampled(np.full(count, cval), missing, np.zeros(count, dtype=np.int64), nothing, nothing, missing)
