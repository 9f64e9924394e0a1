"""Drift of sources along the slit: how far the columns of a map of profiles lie off each other, and moving them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.numerics.statistics import median_ignoring_nan

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import FloatArray

__all__ = ["measure_drift", "measure_shifts", "move_columns", "track_drift"]

STEPS, LARGEST_STEP, ACCURACY = 8, 1.0, 0.01
"""Of Gauss-Newton; rows."""
BLOCK = 8
"""Columns that are looked at together, and rows by which the source may move from one block to the next."""
LEAST_LIKENESS = 0.5
"""Correlation of blocks that show the same source."""
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


def track_drift(image: ArrayLike) -> FloatArray:
    """Rows by which the columns of an image lie off their mean place, for drifts of more than the width of a source.

    Parameters
    ----------
    image : (ns, nw) array_like
        Sources may be positive or negative; NaN is missing.

    Returns
    -------
    (nw,) ndarray
        Of mean 0; linear between blocks of `BLOCK` columns, each of which is compared with the last bright one.
    """
    data = np.asarray(image, dtype=np.float64)
    starts = np.arange(0, data.shape[1], BLOCK)
    blocks = [np.nan_to_num(median_ignoring_nan(data[:, start : start + BLOCK], axis=1)) for start in starts]
    brightest = int(np.argmax([block @ block for block in blocks]))
    places = [*_follow_blocks(blocks[brightest::-1])[:0:-1], *_follow_blocks(blocks[brightest:])]
    drift = np.interp(np.arange(data.shape[1]), starts + (BLOCK - 1) / 2, places)
    tracked: FloatArray = drift - drift.mean()
    return tracked


def _follow_blocks(blocks: Sequence[FloatArray]) -> list[float]:
    """Rows from the first block up to each; a block that is not like the last bright one, so dark, keeps its place."""
    places, last = [0.0], blocks[0]
    for block in blocks[1:]:
        offset, likeness = _find_offset(last, block)
        places.append(places[-1] + offset if likeness > LEAST_LIKENESS else places[-1])
        last = block if likeness > LEAST_LIKENESS else last
    return places


def _find_offset(first: FloatArray, second: FloatArray) -> tuple[float, float]:
    """Rows from one column up to the next, where they are most alike, and their correlation there."""
    rows = np.arange(-BLOCK, BLOCK + 1)
    product = [float(first[BLOCK:-BLOCK] @ second[BLOCK + row : second.size - BLOCK + row]) for row in rows]
    size = float(np.linalg.norm(first) * np.linalg.norm(second))
    best = min(max(int(np.argmax(product)), 1), rows.size - 2)
    left, middle, right = product[best - 1 : best + 2]
    bend = left - 2 * middle + right
    part = float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5)) if bend < 0 else 0.0
    return float(rows[best]) + part, middle / size if size > 0 else 0.0


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
