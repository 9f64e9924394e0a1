"""Averages that models of timestreams need: typical gains, weighted medians, block means."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sofia_engine.numerics.arrays import FloatArray, IndexArray

__all__ = ["MEDIAN_CHI2", "divide", "find_block_length", "find_typical_gain", "list_blocks", "weighted_median"]

MEDIAN_CHI2 = 0.454937
"""Median of the square of a normal variable."""
_TRIMMED = 0.1


def divide(value: FloatArray, by: FloatArray) -> FloatArray:
    """Return a quotient that is 0 where the divisor is not positive."""
    return np.divide(value, by, out=np.zeros(np.broadcast(value, by).shape), where=by > 0)


def find_typical_gain(gain: FloatArray) -> float:
    """Return the typical magnitude of gains, by the mean of ln(1 + |g|) without the outer tenths; 1 if there is none.

    References
    ----------
    Kovács 2008, section 3.
    """
    values = np.sort(np.log1p(np.abs(gain[np.isfinite(gain)])))
    cut = int(_TRIMMED * values.size)
    values = values[cut : values.size - cut]
    typical = math.expm1(float(values.mean())) if values.size else 1.0
    return typical if math.isfinite(typical) and typical > 0 else 1.0


def find_block_length(seconds: float, step: float, frames: int) -> int:
    """Return the smallest power of two of frames that last so long, at most all frames, at least 1."""
    if not math.isfinite(seconds) or seconds >= step * frames:
        return max(frames, 1)
    return int(min(2 ** math.ceil(math.log2(max(seconds / step, 1.0))), frames))


def list_blocks(frames: int, length: int) -> list[slice]:
    """Return consecutive blocks of frames; the last may be shorter."""
    return [slice(start, min(start + length, frames)) for start in range(0, frames, max(length, 1))]


def weighted_median(values: FloatArray, weights: FloatArray, axis: int = 0) -> FloatArray:
    """Return weighted medians along an axis, interpolated between the two values next to half the weight.

    Parameters
    ----------
    values : ndarray
        Values; those with the weight 0 do not count.
    weights : ndarray
        Weights of the same shape, not negative.
    axis : int
        Axis to reduce.

    Returns
    -------
    ndarray
        0 where no value counts.
    """
    value, weight = np.moveaxis(values, axis, -1), np.moveaxis(weights, axis, -1)
    if not value.shape[-1]:
        return np.zeros(value.shape[:-1])
    order = np.argsort(np.where(weight > 0, value, np.inf), axis=-1)
    value, weight = np.take_along_axis(value, order, -1), np.take_along_axis(weight, order, -1)
    place = np.cumsum(weight, axis=-1) - 0.5 * weight  # middle of each weight
    half = 0.5 * weight.sum(axis=-1, keepdims=True)
    last = np.maximum(np.count_nonzero(weight > 0, axis=-1, keepdims=True) - 1, 0)
    above = np.minimum(np.count_nonzero((place < half) & (weight > 0), axis=-1, keepdims=True), last)
    below = np.maximum(above - 1, 0)
    low, high, at_low, at_high = (
        _pick(array, index) for array, index in ((value, below), (value, above), (place, below), (place, above))
    )
    share = np.clip(divide(half[..., 0] - at_low, at_high - at_low), 0.0, 1.0)
    return np.where(half[..., 0] > 0, low + share * (high - low), 0.0)


def _pick(array: FloatArray, index: IndexArray) -> FloatArray:
    return np.take_along_axis(array, index, -1)[..., 0]
