"""Spectra of cubes: of the whole field, and of its brightest pixel."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

__all__ = ["take_sum_and_peak"]

FloatArray = NDArray[np.float64]


def take_sum_and_peak(data: FloatArray, error: FloatArray) -> tuple[tuple[FloatArray, FloatArray], ...]:
    """Take two spectra of a cube.

    Parameters
    ----------
    data, error : (n, ny, nx) array
        Values and their 1-sigma errors; NaN is bad.

    Returns
    -------
    tuple of (flux, error)
        The sum over the field (NaN where nothing is known), and the pixel that is brightest on average; none if no
        value is known.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        brightness = np.nanmean(data, axis=0)
    if not np.isfinite(brightness).any():
        return ()
    row, column = divmod(int(np.nanargmax(brightness)), brightness.shape[1])
    return (_sum(data), np.sqrt(_sum(error**2))), (data[:, row, column], error[:, row, column])


def _sum(stack: FloatArray) -> FloatArray:
    known = np.isfinite(stack).any(axis=(1, 2))
    return np.where(known, np.nansum(stack, axis=(1, 2)), np.nan)
