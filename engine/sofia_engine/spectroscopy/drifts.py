"""Drift of sources along the slit: how far the columns of a map of profiles lie off each other, and moving them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import FloatArray

__all__ = ["measure_drift", "measure_shifts", "move_columns"]

STEPS, LARGEST_STEP, ACCURACY = 8, 1.0, 0.01
"""Of Gauss-Newton; rows."""
LEAST_DETERMINANT = 0.01
"""Share below which height and place of what is left of a column cannot be told apart."""


def move_columns(columns: ArrayLike, rows: ArrayLike) -> FloatArray:
    """Move each column of an image along y by its own number of rows, on cubic splines.

    Parameters
    ----------
    columns : (ns, nw) array_like
        Finite values.
    rows : (nw,) array_like
        The value at row y of the result is that of row y + rows; the first and last row go on beyond the image.
    """
    from scipy import ndimage

    data, offset = np.asarray(columns, dtype=np.float64), np.asarray(rows, dtype=np.float64)
    coefficients = ndimage.spline_filter1d(data, 3, axis=0, mode="nearest")
    whole = np.floor(offset).astype(np.intp)
    t = offset - whole
    weights = ((1 - t) ** 3 / 6, 2 / 3 - t**2 + t**3 / 2, 1 / 6 + (t + t**2 - t**3) / 2, t**3 / 6)
    first = np.arange(len(data))[:, np.newaxis] + whole
    moved = np.zeros(data.shape)
    for step, weight in enumerate(weights, start=-1):
        moved += weight * coefficients[np.clip(first + step, 0, len(data) - 1), np.arange(data.shape[1])]
    return moved


def measure_drift(profile: ArrayLike) -> FloatArray:
    """Rows by which the columns of a map of profiles lie off the mean one, by least squares.

    Parameters
    ----------
    profile : (ns, nw) array_like
        Sources may be positive or negative; NaN is 0.

    Returns
    -------
    (nw,) ndarray
        Of mean 0; one value for all sources of the slit.

    Notes
    -----
    The columns are moved to the mean one again and again, by what `measure_shifts` finds.
    """
    columns = np.nan_to_num(np.asarray(profile, dtype=np.float64))
    drift = np.zeros(columns.shape[1])
    for _ in range(STEPS):
        straight = move_columns(columns, drift)
        mean = straight.mean(axis=1, keepdims=True)
        step = np.nan_to_num(measure_shifts(straight - mean, np.broadcast_to(mean, straight.shape)))
        drift = drift + step - step.mean()
        if np.ptp(step) < ACCURACY:
            break
    return drift


def measure_shifts(change: ArrayLike, profile: ArrayLike) -> FloatArray:
    """Rows by which columns lie off a profile, by least squares of height and place.

    Parameters
    ----------
    change : (ns, nw) array_like
        Columns less the profile; NaN is missing.
    profile : (ns, nw) array_like
        The profile; NaN is missing.

    Returns
    -------
    (nw,) ndarray
        To first order, a profile P that is off by d and higher by the share h being P + h P - d P'; at most 1. NaN
        where there is too little to tell.
    """
    expected = np.asarray(profile, dtype=np.float64)
    slope, off = np.gradient(expected, axis=0), np.asarray(change, dtype=np.float64)
    good = np.isfinite(off) & np.isfinite(expected) & np.isfinite(slope)
    expected, slope, off = (np.where(good, part, 0.0) for part in (expected, slope, off))
    products = [(a * b).sum(axis=0) for a, b in ((expected, expected), (expected, slope), (slope, slope))]
    height, cross, steepness = products
    determinant = height * steepness - cross**2
    known = determinant > LEAST_DETERMINANT * height * steepness
    tilt = height * (slope * off).sum(axis=0) - cross * (expected * off).sum(axis=0)
    return np.where(known, np.clip(-tilt / np.where(known, determinant, 1.0), -LARGEST_STEP, LARGEST_STEP), np.nan)
