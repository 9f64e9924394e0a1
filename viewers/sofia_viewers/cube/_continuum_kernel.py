"""Compiled inner loops of the continuum: normal equations of many spectra, and rejection by the robust scatter."""

from __future__ import annotations

import numba
import numpy as np
from numba import types

__all__ = ["add_equations", "reject_outliers"]

_POWERS = types.Array(types.float64, 2, "A", readonly=True)
_SPECTRA = types.Array(types.float64, 2, "C", readonly=True)
_KNOWN = types.Array(types.boolean, 2, "C", readonly=True)
_PLACES = types.Array(types.int64, 1, "C", readonly=True)
_REASSOCIATE = {"reassoc", "contract", "nsz"}
_NORMAL = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""


@numba.njit(types.float64(types.float64[::1], types.int64), cache=True, nogil=True)
def _select_median(values, count):  # type: ignore[no-untyped-def]
    """Return the median of the first values, which are put into another order."""
    half = count // 2
    low, high = 0, count - 1
    while low < high:
        pivot = values[(low + high) // 2]
        left, right = low, high
        while left <= right:
            while values[left] < pivot:
                left += 1
            while values[right] > pivot:
                right -= 1
            if left <= right:
                values[left], values[right] = values[right], values[left]
                left += 1
                right -= 1
        if half <= right:
            high = right
        elif half >= left:
            low = left
        else:
            break
    if count % 2:
        return values[half]
    below = values[0]
    for point in range(1, half):
        below = max(below, values[point])
    return 0.5 * (below + values[half])


@numba.njit(
    (_POWERS, _SPECTRA, _SPECTRA, types.boolean[:, ::1], _PLACES, types.float64[:, :, ::1], types.float64[:, ::1],
     types.int64[::1]),
    cache=True, nogil=True, fastmath=_REASSOCIATE,
)  # fmt: skip
def add_equations(powers, values, weights, good, places, normal, right, count):  # type: ignore[no-untyped-def]
    """Fill the normal equations of the spectra (n, m) at some places, and the number of points that count.

    `powers` is (degree + 1, m); values where `good` is false are not used.
    """
    degree, length = powers.shape
    used = np.empty(length)
    for number in range(len(places)):
        place = places[number]
        total = 0
        for point in range(length):
            used[point] = weights[place, point] if good[place, point] else 0.0
            total += used[point] != 0.0
        count[number] = total
        for i in range(degree):
            whole = 0.0
            for point in range(length):
                whole += powers[i, point] * used[point] * values[place, point]
            right[number, i] = whole
            for j in range(i + 1):
                whole = 0.0
                for point in range(length):
                    whole += powers[i, point] * powers[j, point] * used[point]
                normal[number, i, j] = whole
                normal[number, j, i] = whole


@numba.njit(
    (_POWERS, _SPECTRA, _KNOWN, types.boolean[:, ::1], _PLACES, _SPECTRA, types.float64, types.boolean[::1]),
    cache=True, nogil=True,
)  # fmt: skip
def reject_outliers(powers, values, known, good, places, coefficients, clip, changed):  # type: ignore[no-untyped-def]
    """Choose anew which points of the spectra at some places are good, and tell which spectra changed.

    Good is what is known and lies within `clip` times the robust scatter of the fit; `coefficients` are
    (places, degree + 1).
    """
    degree, length = powers.shape
    rest = np.empty(length)
    chosen = np.empty(length)
    for number in range(len(places)):
        place = places[number]
        rest[:] = values[place]
        for i in range(degree):
            factor = coefficients[number, i]
            for point in range(length):
                rest[point] -= factor * powers[i, point]
        total = 0
        for point in range(length):
            chosen[total] = rest[point]
            total += known[place, point] and np.isfinite(rest[point])
        limit = np.inf
        if total:
            middle = _select_median(chosen, total)
            for point in range(total):
                chosen[point] = abs(chosen[point] - middle)
            limit = clip * _NORMAL * _select_median(chosen, total)
        differs = False
        for point in range(length):
            kept = known[place, point] and not abs(rest[point]) > limit
            differs |= kept != good[place, point]
            good[place, point] = kept
        changed[number] = differs
