"""Derivatives of sampled curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import FloatArray

__all__ = ["differentiate"]

_WEIGHTS = {
    1: np.array([1.0, -8.0, 0.0, 8.0, -1.0]) / 12.0,
    2: np.array([-1.0, 16.0, -30.0, 16.0, -1.0]) / 12.0,
}


def differentiate(values: ArrayLike, order: Literal[1, 2], axis: int = -1) -> FloatArray:
    """First or second derivative per sample, from five samples.

    Parameters
    ----------
    values : array_like
        NaN is missing.
    order : {1, 2}
        Which derivative.
    axis : int
        Along which axis.

    Returns
    -------
    ndarray
        Same shape, exact for polynomials of degree 4 (first derivative) or 5; 0 where one of the five is missing, and
        at two samples at each end.

    References
    ----------
    Abramowitz, M. & Stegun, I. A. 1964, Handbook of Mathematical Functions, table 25.2.
    """
    data = np.moveaxis(np.asarray(values, dtype=np.float64), axis, 0)
    count = len(data)
    result = np.zeros(data.shape)
    for k, weight in enumerate(_WEIGHTS[order] if count >= 5 else ()):
        result[2:-2] += weight * data[k : count - 4 + k]
    return np.moveaxis(np.nan_to_num(result), 0, axis)
