"""What of a long curve is seen: its part in view, and its extremes in each column of pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["clip_to_view", "decimate", "decimate_band", "find_columns", "make_steps", "thin_points"]

FloatArray = NDArray[np.float64]

_DENSE = 2
"""Points per column of pixels from which a curve is drawn by its extremes."""


def clip_to_view(x: FloatArray, low: float, high: float) -> slice:
    """Return the part of a curve with x between two values, with one point more on either side.

    Parameters
    ----------
    x : (n,) ndarray
        Rising, falling, or in any order (then all of it is returned); without NaN in the first two cases.
    """
    if len(x) < 2:
        return slice(0, len(x))
    if x[-1] >= x[0]:
        start, stop = np.searchsorted(x, (low, high), "left")
        rising = True
    else:
        stop, start = len(x) - np.searchsorted(x[::-1], (low, high), "left")
        rising = False
    part = slice(max(0, int(start) - 2), min(len(x), int(stop) + 2))
    return part if _is_monotonic(x, rising=rising) else slice(0, len(x))


_MONOTONIC: dict[int, tuple[object, bool]] = {}


def _is_monotonic(x: FloatArray, *, rising: bool) -> bool:
    """Tell whether x rises (falls) throughout; remembered for arrays that cannot change."""
    known = _MONOTONIC.get(id(x))
    if known is not None and known[0] is x:
        return known[1]
    steps = np.diff(x)
    answer = bool((steps >= 0).all() if rising else (steps <= 0).all())
    if not x.flags.writeable:
        if len(_MONOTONIC) > 4096:
            _MONOTONIC.clear()
        _MONOTONIC[id(x)] = (x, answer)
    return answer


def find_columns(x: FloatArray) -> NDArray[np.intp] | None:
    """Return where a new column of pixels begins; None if there is little to gain, or x is in no order.

    Parameters
    ----------
    x : (n,) ndarray
        In pixels.
    """
    if len(x) < _DENSE * 2:
        return None
    columns = np.floor(x)
    steps = columns[1:] - columns[:-1]
    if steps.min() < 0 < steps.max():
        return None
    starts = np.concatenate(([0], np.flatnonzero(steps) + 1))
    return starts if len(x) > _DENSE * len(starts) else None


def decimate(x: FloatArray, y: FloatArray, starts: NDArray[np.intp]) -> tuple[FloatArray, FloatArray]:
    """Replace the points in each column of pixels by first, least, greatest and last.

    Parameters
    ----------
    x, y : (n,) ndarray
        In pixels; NaN in y breaks the curve.
    starts : ndarray of int
        From `find_columns`.

    Returns
    -------
    x, y : ndarray
        The same picture with four points per column.
    """
    ends = np.append(starts[1:], len(x)) - 1
    low, high = np.fmin.reduceat(y, starts), np.fmax.reduceat(y, starts)
    first, last = x[starts], x[ends]
    middle = 0.5 * (first + last)
    return np.stack((first, middle, middle, last), axis=1).ravel(), np.stack(
        (y[starts], low, high, y[ends]), axis=1
    ).ravel()


def decimate_band(
    x: FloatArray, low: FloatArray, high: FloatArray, starts: NDArray[np.intp]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Replace a band (in pixels) by its extremes in each column of pixels."""
    return np.floor(x[starts]) + 0.5, np.fmin.reduceat(low, starts), np.fmax.reduceat(high, starts)


def make_steps(x: FloatArray, *arrays: FloatArray) -> tuple[FloatArray, ...]:
    """Return the corners of a histogram: each value holds from midway to its neighbours.

    Returns
    -------
    tuple of (2 n,) ndarray
        The corners' x, and each array at them.
    """
    if len(x) < 2:
        return (x, *arrays)
    middle = 0.5 * (x[1:] + x[:-1])
    edges = np.concatenate(([1.5 * x[0] - 0.5 * x[1]], middle, [1.5 * x[-1] - 0.5 * x[-2]]))
    return (np.repeat(edges, 2)[1:-1], *(np.repeat(values, 2) for values in arrays))


def thin_points(x: FloatArray, y: FloatArray, cell: float = 4.0) -> NDArray[np.intp]:
    """Return which points to mark so that no two lie in the same cell of pixels."""
    known = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    if known.size == 0:
        return known
    cells = np.stack((x[known] // cell, y[known] // cell), axis=1).astype(np.int64)
    _, first = np.unique(cells, axis=0, return_index=True)
    return known[np.sort(first)]
