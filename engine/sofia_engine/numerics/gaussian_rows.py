"""Gaussians on a constant, fitted to many rows of numbers at once; search for peaks in one row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.numerics.statistics import median_ignoring_nan

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import BoolArray, FloatArray

__all__ = ["GaussianLimits", "GaussianRows", "find_row_peaks", "fit_gaussian_rows"]

_FIRST_DAMPING, _LARGEST_DAMPING = 1e-3, 1e10
_TOLERANCE = 1e-10
_ROUNDING = 1e-24
"""Sums of squared residuals below this share of the sum of squared values are rounding."""
_MAXITERS = 200


@dataclass(frozen=True)
class GaussianLimits:
    """Allowed ranges of centres (of all Gaussians, or of each) and standard deviations, in units of x."""

    center: tuple[ArrayLike, ArrayLike] = (-np.inf, np.inf)
    sigma: tuple[float, float] = (0.0, np.inf)


@dataclass(frozen=True, eq=False)
class GaussianRows:
    """Fitted Gaussians, k per row.

    Attributes
    ----------
    center, amplitude, sigma : (n, k) ndarray
        Of each Gaussian; amplitudes have the sign of the peak.
    constant : (n,) ndarray
        Background of each row.
    center_error : (n, k) ndarray
        1-sigma, from the weights, or from the scatter of the residuals if there were none.
    converged : (n,) ndarray of bool
        False if the iteration did not settle, or there were too few points.
    """

    center: FloatArray
    amplitude: FloatArray
    sigma: FloatArray
    constant: FloatArray
    center_error: FloatArray
    converged: BoolArray


def fit_gaussian_rows(
    x: ArrayLike,
    values: ArrayLike,
    center: ArrayLike,
    sigma: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    limits: GaussianLimits | None = None,
) -> GaussianRows:
    """Least-squares fit of k Gaussians and a constant to each row (Levenberg-Marquardt, all rows together).

    Parameters
    ----------
    x : (m,) or (n, m) array_like
        Positions of the values.
    values : (n, m) array_like
        NaN is missing.
    center, sigma : (k,) or (n, k) array_like
        First guess; amplitudes and constants start from the values at the centres and the median.
    weights : (n, m) array_like, optional
        Inverse variances; 0 leaves a point out.
    limits : GaussianLimits, optional
        Ranges that are enforced.

    Returns
    -------
    GaussianRows
        Rows with fewer points than parameters are NaN and not converged.
    """
    data = np.asarray(values, dtype=np.float64)
    points = np.broadcast_to(np.asarray(x, dtype=np.float64), data.shape)
    root = np.ones_like(data) if weights is None else np.sqrt(np.asarray(weights, dtype=np.float64))
    root = np.where(np.isfinite(data) & np.isfinite(root), root, 0.0)
    limits = limits or GaussianLimits()
    fit = _Fit(points, np.where(root > 0, data, 0.0), root, limits)
    start = fit.guess(np.asarray(center, dtype=np.float64), np.asarray(sigma, dtype=np.float64))
    parameters, cost, normal, settled = _descend(fit, start)
    count = np.count_nonzero(root > 0, axis=1)
    size = parameters.shape[1]
    enough = count > size
    unit = 1.0 if weights is not None else cost / np.maximum(count - size, 1)
    variance = np.einsum("npp->np", np.linalg.pinv(normal, hermitian=True)) * np.reshape(unit, (-1, 1))
    parameters = np.where(enough[:, np.newaxis], parameters, np.nan)
    places = parameters[:, :-1].reshape(len(data), -1, 3)
    errors = np.sqrt(np.maximum(variance[:, :-1].reshape(places.shape)[..., 1], 0.0))
    errors = np.where(enough[:, np.newaxis], errors, np.nan)
    return GaussianRows(places[..., 1], places[..., 0], places[..., 2], parameters[:, -1], errors, settled & enough)


@dataclass(frozen=True, eq=False)
class _Fit:
    """The points (n, m), values, roots of the weights, and limits of the rows that are fitted."""

    points: FloatArray
    values: FloatArray
    root: FloatArray
    limits: GaussianLimits

    def select(self, rows: BoolArray) -> _Fit:
        return _Fit(self.points[rows], self.values[rows], self.root[rows], self.limits)

    def guess(self, center: FloatArray, sigma: FloatArray) -> FloatArray:
        """First parameters (n, 3k + 1): amplitude, centre, sigma of each Gaussian, constant."""
        rows = len(self.values)
        center, sigma = np.broadcast_arrays(np.atleast_1d(center), np.atleast_1d(sigma))
        center, sigma = (np.broadcast_to(part, (rows, part.shape[-1])) for part in (center, sigma))
        level = np.nan_to_num(median_ignoring_nan(np.where(self.root > 0, self.values, np.nan), axis=1))
        distance = np.where(
            (self.root > 0)[:, np.newaxis], np.abs(self.points[:, np.newaxis] - center[..., np.newaxis]), np.inf
        )
        nearest = np.argmin(distance, axis=2)
        amplitude = np.take_along_axis(self.values, nearest, axis=1) - level[:, np.newaxis]
        gaussians = np.stack([amplitude, center, sigma], axis=-1).reshape(rows, -1)
        return self.limit(np.concatenate([gaussians, level[:, np.newaxis]], axis=1))

    def limit(self, parameters: FloatArray) -> FloatArray:
        limited = parameters.copy()
        limited[:, 1:-1:3] = np.clip(limited[:, 1:-1:3], *self.limits.center)
        limited[:, 2:-1:3] = np.clip(np.abs(limited[:, 2:-1:3]), max(self.limits.sigma[0], 1e-12), self.limits.sigma[1])
        return limited

    def residuals(self, parameters: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Weighted residuals (n, m) and their derivatives (n, m, P)."""
        rows, columns = self.values.shape
        amplitude, center, sigma = (parameters[:, k:-1:3, np.newaxis] for k in range(3))
        z = (self.points[:, np.newaxis] - center) / sigma
        shape = np.exp(-0.5 * np.minimum(z * z, 1400.0))
        slope = amplitude * shape * z / sigma
        derivatives = np.stack([shape, slope, slope * z], axis=2).reshape(rows, -1, columns)
        model = (amplitude * shape).sum(axis=1) + parameters[:, -1:]
        table = np.concatenate([derivatives, np.ones((rows, 1, columns))], axis=1) * self.root[:, np.newaxis]
        return (model - self.values) * self.root, np.swapaxes(table, 1, 2)


def _descend(fit: _Fit, start: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, BoolArray]:
    """Best parameters, sums of squares, normal matrices, and whether each row settled."""
    parameters = start
    rest, table = fit.residuals(parameters)
    cost = np.einsum("nm,nm->n", rest, rest)
    normal, gradient = np.swapaxes(table, 1, 2) @ table, np.einsum("nmp,nm->np", table, rest)
    floor = _ROUNDING * np.einsum("nm,nm->n", fit.values * fit.root, fit.values * fit.root)
    damping = np.full(len(cost), _FIRST_DAMPING)
    settled = np.zeros(len(cost), dtype=bool)
    active = np.ones(len(cost), dtype=bool)
    for _ in range(_MAXITERS):
        if not active.any():
            break
        part = fit.select(active)
        trial = part.limit(parameters[active] - _find_step(normal[active], gradient[active], damping[active]))
        rest, table = part.residuals(trial)
        trial_cost = np.einsum("nm,nm->n", rest, rest)
        better = trial_cost <= cost[active]
        small = np.abs(cost[active] - trial_cost) <= _TOLERANCE * cost[active]
        small |= trial_cost <= floor[active]
        rows = np.flatnonzero(active)
        improved = rows[better]
        parameters[improved], cost[improved] = trial[better], trial_cost[better]
        normal[improved] = (np.swapaxes(table, 1, 2) @ table)[better]
        gradient[improved] = np.einsum("nmp,nm->np", table, rest)[better]
        damping[rows] *= np.where(better, 0.1, 10.0)
        small |= damping[rows] >= _LARGEST_DAMPING  # no step, however short, leads further down
        settled[rows] |= small
        active[rows] = ~small
    return parameters, cost, normal, settled


def _find_step(normal: FloatArray, gradient: FloatArray, damping: FloatArray) -> FloatArray:
    size = np.sqrt(np.maximum(np.einsum("npp->np", normal), 1e-300))
    matrix = normal / (size[:, :, np.newaxis] * size[:, np.newaxis, :])
    matrix += damping[:, np.newaxis, np.newaxis] * np.eye(matrix.shape[1])
    step: FloatArray = np.linalg.solve(matrix, (gradient / size)[..., np.newaxis])[..., 0] / size
    return step


def find_row_peaks(x: ArrayLike, values: ArrayLike, count: int, sigma: float, guesses: ArrayLike = ()) -> GaussianRows:
    """Find a number of peaks of either sign in one row, and fit them together with a constant.

    Parameters
    ----------
    x, values : (m,) array_like
        Rising positions and values; NaN is missing.
    count : int
        Number of peaks.
    sigma : float
        Expected standard deviation, units of x.
    guesses : array_like
        Where to look for the first peaks; the others are found as the largest deviations from the median that are
        left after the ones before have been fitted in a box of 3 sigma and subtracted.

    Returns
    -------
    GaussianRows
        One row of `count` Gaussians, in the order they were found.

    Raises
    ------
    ValueError
        If there are fewer than 5 good points.
    """
    points, data = np.asarray(x, dtype=np.float64), np.asarray(values, dtype=np.float64)
    good = np.isfinite(data)
    if np.unique(points[good]).size < 5:
        raise ValueError("fewer than 5 points are left to find a peak in")
    points, data = points[good], data[good]
    step = float(np.mean(np.diff(points)))
    limits = GaussianLimits((points[0], points[-1]), (step, max(abs(points[-1]), 2 * step)))
    rest, places = np.abs(data - np.median(data)), list(np.ravel(np.asarray(guesses, dtype=np.float64)))[:count]
    starts = []
    for index in range(count):
        where = places[index] if index < len(places) else points[np.argmax(np.abs(rest - np.median(rest)))]
        box = np.abs(points - where) <= max(1.5 * sigma, 2.5 * step)
        found = fit_gaussian_rows(
            points, rest[np.newaxis], where, sigma, weights=box[np.newaxis].astype(float), limits=limits
        )
        near = bool(found.converged[0]) and abs(found.center[0, 0] - where) <= max(3 * sigma, 3 * step)
        center, width = (found.center[0, 0], min(found.sigma[0, 0], 3 * sigma)) if near else (where, sigma)
        height = np.interp(center, points, rest)
        rest = rest - height * np.exp(-0.5 * ((points - center) / width) ** 2)
        starts.append((center, width))
    return fit_gaussian_rows(points, data[np.newaxis], *np.transpose(starts), limits=limits)
