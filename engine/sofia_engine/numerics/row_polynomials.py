"""Polynomials fitted to many rows of numbers at once, each row with its own rejection of outliers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.numerics.arrays import as_float
from sofia_engine.numerics.outliers import RejectionRule, RejectionState

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import BoolArray, FloatArray

__all__ = ["RowFits", "fit_rows"]


@dataclass(frozen=True, eq=False)
class RowFits:
    """One polynomial per row, in scaled coordinates.

    Attributes
    ----------
    coefficients : (n, T) ndarray
        Constant first; NaN for rows that could not be fitted.
    covariance : (n, T, T) ndarray
        Inverse of the normal matrix: the covariance if the weights are inverse variances.
    used : (n, m) ndarray of bool
        Points the last fit of each row went through.
    offset, scale : float
        The powers are those of ``(x - offset) / scale``.
    """

    coefficients: FloatArray
    covariance: FloatArray
    used: BoolArray
    offset: float
    scale: float

    @property
    def failed(self) -> BoolArray:
        """Rows that could not be fitted."""
        failed: BoolArray = np.isnan(self.coefficients[:, 0])
        return failed

    def __call__(self, x: ArrayLike) -> FloatArray:
        """Values at points x, (m,) the same for all rows or (n, m); result (n, m)."""
        return _evaluate(self.coefficients, self._scaled(x))

    def variance(self, x: ArrayLike) -> FloatArray:
        """Variance of the values at points x, (m,) or (n, m), from the covariance."""
        powers = _powers(self._scaled(x), self.coefficients.shape[1])
        spread: FloatArray = np.einsum("nmt,ntu,nmu->nm", powers, self.covariance, powers)
        return spread

    def _scaled(self, x: ArrayLike) -> FloatArray:
        points = (np.asarray(x, dtype=np.float64) - self.offset) / self.scale
        return np.broadcast_to(points, (len(self.coefficients), points.shape[-1]))


def fit_rows(
    x: ArrayLike,
    values: ArrayLike,
    order: int,
    *,
    threshold: float | None = None,
    weights: ArrayLike | None = None,
    mask: BoolArray | None = None,
    floor: FloatArray | None = None,
) -> RowFits:
    """Least-squares fit of a polynomial to each row.

    Parameters
    ----------
    x : (m,) or (n, m) array_like
        Positions of the values.
    values : (n, m) array_like
        NaN is missing.
    order : int
        Degree of the polynomials.
    threshold : float, optional
        Rejection threshold, see `sofia_engine.numerics.outliers.RejectionRule`; no rejection if left out.
    weights : (n, m) array_like, optional
        Inverse variances; points without a positive finite weight are left out.
    mask : (n, m) ndarray of bool, optional
        Points that may take part; others stay out in every round.
    floor : (n,) ndarray, optional
        Residuals up to this are never rejected, one per row.

    Returns
    -------
    RowFits
        Rows with fewer than ``max(2, order + 1)`` points left have NaN coefficients.

    Notes
    -----
    Solves the normal equations of all rows together; with coordinates scaled to [-1, 1] these are harmless up to
    order 8 or so.
    """
    data = as_float(values).astype(np.float64)
    points = np.broadcast_to(np.asarray(x, dtype=np.float64), data.shape)
    weight = np.ones_like(data) if weights is None else np.asarray(weights, dtype=np.float64)
    valid = np.isfinite(data) & np.isfinite(points) & np.isfinite(weight) & (weight > 0)
    if mask is not None:
        valid = valid & mask
    offset, scale = _find_scale(points[valid])
    scaled = np.where(valid, (points - offset) / scale, 0.0)
    task = _Task(_powers(scaled, order + 1), np.where(valid, data, 0.0), np.where(valid, weight, 0.0))
    rule = RejectionRule(np.inf if threshold is None else threshold, max(2, order + 1), maxiters=10)
    state = RejectionState.begin(data, valid, rule, floor)
    coefficients = np.full((len(data), order + 1), np.nan)
    covariance = np.full((len(data), order + 1, order + 1), np.nan)
    while state.active.any():
        rows = state.active
        coefficients[rows], covariance[rows] = task.solve(rows, state.used[rows])
        if threshold is None:
            break
        state, _ = state.advance(task.values - _evaluate(coefficients, scaled))
    coefficients[~state.enough], covariance[~state.enough] = np.nan, np.nan
    return RowFits(coefficients, covariance, state.used & state.enough[:, np.newaxis], offset, scale)


@dataclass(frozen=True, eq=False)
class _Task:
    """The terms (n, m, T), values and weights (n, m) of all rows."""

    powers: FloatArray
    values: FloatArray
    weights: FloatArray

    def solve(self, rows: BoolArray, used: BoolArray) -> tuple[FloatArray, FloatArray]:
        """Coefficients and inverse normal matrices of some rows, through some of their points."""
        powers = self.powers[rows]
        weighted = powers * (self.weights[rows] * used)[..., np.newaxis]
        normal = np.swapaxes(weighted, 1, 2) @ powers
        size = np.sqrt(np.einsum("ntt->nt", normal))
        size = np.where(size > 0, size, 1.0)
        unit = size[:, :, np.newaxis] * size[:, np.newaxis, :]
        inverse = np.linalg.pinv(normal / unit, rcond=1e-13, hermitian=True) / unit
        right = np.einsum("nmt,nm->nt", weighted, self.values[rows])
        return np.einsum("ntu,nu->nt", inverse, right), inverse


def _find_scale(points: FloatArray) -> tuple[float, float]:
    if points.size == 0:
        return 0.0, 1.0
    low, high = float(points.min()), float(points.max())
    return (low + high) / 2, ((high - low) / 2 or 1.0)


def _powers(points: FloatArray, count: int) -> FloatArray:
    """Powers 0 to count-1 of points (n, m), shape (n, m, count)."""
    table = np.ones((*points.shape, count))
    for power in range(1, count):
        table[..., power] = table[..., power - 1] * points
    return table


def _evaluate(coefficients: FloatArray, points: FloatArray) -> FloatArray:
    values = np.zeros(points.shape)
    for column in range(coefficients.shape[1] - 1, -1, -1):
        values = values * points + coefficients[:, column, np.newaxis]
    return values
