"""Compiled medians, for kernels to call: a value of some rank, and a median near where it is expected."""

from __future__ import annotations

import numba
import numpy as np

__all__ = ["find_median", "select"]


@numba.njit(nogil=True)
def select(values, count, rank):  # type: ignore[no-untyped-def]
    """Return the value of a rank among the first values; those of lower rank are put before it."""
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
        if rank <= right:
            high = right
        elif rank >= left:
            low = left
        else:
            break
    return values[rank]


@numba.njit(nogil=True)
def find_median(values, count, guess, reach, between):  # type: ignore[no-untyped-def]
    """Return the median of the first values, which may be put into another order.

    Only what lies within `reach` of the guess is ordered, if the median is found there.
    """
    low, high = guess - reach, guess + reach
    below, chosen = 0, 0
    for point in range(count):
        value = values[point]
        below += value < low
        between[chosen] = value
        chosen += (value >= low) & (value <= high)
    first, last = (count - 1) // 2 - below, count // 2 - below
    if first < 0 or last >= chosen:
        between[:count] = values[:count]
        chosen, first, last = count, (count - 1) // 2, count // 2
    upper = np.float64(select(between, chosen, last))
    if first == last:
        return upper
    lower = between[0]
    for point in range(1, last):
        lower = max(lower, between[point])
    return 0.5 * (np.float64(lower) + upper)
