"""A window from the density of the samples."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.numerics.resampling.rules import WindowEstimate

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import FloatArray

__all__ = ["estimate_window", "unit_ball_volume"]


def unit_ball_volume(dimensions: int) -> float:
    """Volume of the ball of radius 1."""
    return float(math.pi ** (dimensions / 2) / math.gamma(dimensions / 2 + 1))


def estimate_window(coordinates: ArrayLike, needed: int, estimate: WindowEstimate | None = None) -> FloatArray:
    """Choose a window that holds enough samples nearly everywhere.

    Parameters
    ----------
    coordinates : (K, N) array_like
        Positions of the samples.
    needed : int
        Samples a fit needs: the product of order + 1 of all dimensions.
    estimate : WindowEstimate, optional
        How samples are counted and how many more are wanted.

    Returns
    -------
    (K,) ndarray
        Half width in each dimension. With n samples in a typical bin, the radius in bins is that of a ball that holds
        `oversample` times the samples needed, and half the mean distance of samples more.

    Raises
    ------
    ValueError
        If the samples do not spread in some dimension.
    """
    rule = estimate or WindowEstimate()
    places = np.atleast_2d(np.asarray(coordinates, dtype=np.float64))
    low, extent = places.min(axis=1), np.ptp(places, axis=1)
    if not (extent > 0).all():
        raise ValueError("a window cannot be estimated: all samples have the same coordinate in some dimension")
    number = np.zeros(places.shape[1], dtype=np.int64)
    for line, start, length in zip(places, low, extent, strict=True):
        number = number * rule.bins + ((rule.bins - 1) * ((line - start) / length)).astype(np.int64)
    counts = np.bincount(number)
    typical = float(np.percentile(counts[counts > 0], rule.percentile))
    power = 1.0 / len(places)
    radius = (needed * rule.oversample / (typical * unit_ball_volume(len(places)))) ** power + 0.5 * typical**-power
    return np.asarray(radius * extent / rule.bins)
