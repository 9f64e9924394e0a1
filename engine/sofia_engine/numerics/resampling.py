"""Local polynomial regression: values at any point from scattered samples with errors.

Around each output point a polynomial is fitted to the samples in an ellipsoidal window, with Gaussian distance weights
and inverse-variance weights; see J. Fan, I. Gijbels, "Local Polynomial Modelling and Its Applications" (1996).
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sofia_engine.numerics.polynomials import list_exponents

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import FloatArray, IndexArray

__all__ = ["LocalRegression", "ResampledPoints", "resample_onto_grid", "resample_points"]

EDGE_ALGORITHMS = ("none", "distribution", "ellipsoid", "box", "range")
ORDER_ALGORITHMS = ("none", "bounded", "extrapolate", "counts")
POINTS_PER_TASK = 2048
LARGEST_CELL_COUNT = 4_000_000


@dataclass(frozen=True)
class LocalRegression:
    """How the value at a point follows from the samples around it.

    Attributes
    ----------
    window : float or sequence of float
        Half width of the window in each dimension, units of the coordinates.
    order : int or sequence of int
        Largest total degree of the polynomial, or largest exponent of each coordinate.
    fix_order : bool
        Give no value where the samples do not support the order; else lower it there (only for a single order).
    smoothing : float or sequence of float
        Standard deviation of the Gaussian distance weights, units of the coordinates; 0: all samples in the window
        count the same.
    relative_smooth : bool
        `smoothing` is the divisor of the squared distance in units of the window instead.
    edge_threshold : float or sequence of float
        How one-sided the samples may lie, by `edge_algorithm`; 0 allows all, higher values clip more.
    edge_algorithm : {"distribution", "ellipsoid", "box", "range", "none"}
        With m the mean position of the samples, v the point, t the threshold, in window units: the point must be
        within 1/t standard deviations of the sample distribution; |m - v|/(1 - t) at most 1 as a vector; each
        |m - v| at most 1 - t; a sample at least t away on both sides in each dimension.
    order_algorithm : {"bounded", "extrapolate", "counts", "none"}
        Samples needed for order o: o different coordinates on both sides in each dimension; o + 1 different
        coordinates in each; as many samples as coefficients of the full product; no check.
    error_weighting : bool
        Weight samples with their inverse variances, if errors are given.
    estimate_covariance : bool
        Take the covariance from the distance weights and the mean variance instead of the weighted normal matrix.
    cval : float
        Value where there is no fit.
    jobs : int or None
        Number of threads; None: as many as processors.
    """

    window: float | Sequence[float]
    order: int | Sequence[int] = 1
    fix_order: bool = True
    smoothing: float | Sequence[float] = 0.0
    relative_smooth: bool = False
    edge_threshold: float | Sequence[float] = 0.0
    edge_algorithm: Literal["distribution", "ellipsoid", "box", "range", "none"] = "distribution"
    order_algorithm: Literal["bounded", "extrapolate", "counts", "none"] = "bounded"
    error_weighting: bool = True
    estimate_covariance: bool = False
    cval: float = np.nan
    jobs: int | None = None


@dataclass(frozen=True, eq=False)
class ResampledPoints:
    """Fits at the output points, all of the same shape.

    Attributes
    ----------
    values, errors : ndarray
        Fitted value and its 1-sigma error; `cval` and NaN where there is no fit.
    counts : ndarray of int
        Samples in the window.
    weights, distance_weights : ndarray
        Sums of the full weights and of the distance weights; 0 where there is no fit.
    reduced_chi2 : ndarray
        Scatter of the samples about the fit over the scatter their errors predict; 1 where no errors were given.
    """

    values: FloatArray
    errors: FloatArray
    counts: IndexArray
    weights: FloatArray
    distance_weights: FloatArray
    reduced_chi2: FloatArray


def resample_points(
    coordinates: ArrayLike,
    values: ArrayLike,
    points: ArrayLike,
    rule: LocalRegression,
    errors: ArrayLike | None = None,
) -> ResampledPoints:
    """Local polynomial regression at a list of points.

    Parameters
    ----------
    coordinates : (K, N) or (N,) array_like
        Positions of the samples.
    values : (N,) array_like
        Sample values; those not finite are left out.
    points : (K, M) or (M,) array_like
        Output points.
    rule : LocalRegression
        Window, order, weights, checks.
    errors : (N,) array_like or float, optional
        1-sigma errors; samples whose error is zero or not finite are left out. Without errors the scatter about the
        fit takes their place.

    Returns
    -------
    ResampledPoints
        Arrays of shape (M,).

    Raises
    ------
    ValueError
        If no sample is usable, there are fewer than the order needs, or a parameter is out of range.

    Notes
    -----
    The variance of a fit is n/(n - r) times the first element of the inverse normal matrix, with n samples and rank
    r: larger than the classical value, and with distance weights taken for lower precision.
    """
    samples, data = np.atleast_2d(np.asarray(coordinates, dtype=np.float64)), np.asarray(values, dtype=np.float64)
    targets = np.asarray(points, dtype=np.float64)
    targets = targets[np.newaxis] if targets.ndim < 2 and len(samples) == 1 else targets
    if samples.shape[1:] != data.shape or len(targets) != len(samples):
        raise ValueError(f"samples at {samples.shape}, values {data.shape} and points {targets.shape} do not fit")
    sigma = None if errors is None else np.broadcast_to(np.asarray(errors, dtype=np.float64), data.shape)
    usable = np.isfinite(data) & np.isfinite(samples).all(axis=0)
    if sigma is not None:
        usable &= np.isfinite(sigma) & (sigma != 0)
    _check_sample_count(int(np.count_nonzero(usable)), rule, len(samples))
    plan = _Plan.prepare(samples[:, usable], data[usable], None if sigma is None else sigma[usable], rule)
    return plan.run(targets.reshape(len(samples), -1))


def resample_onto_grid(
    coordinates: ArrayLike,
    values: ArrayLike,
    axes: Sequence[ArrayLike],
    rule: LocalRegression,
    errors: ArrayLike | None = None,
) -> ResampledPoints:
    """Local polynomial regression on a regular grid.

    Parameters
    ----------
    axes : sequence of (n,) array_like
        The K grid axes in the order of the coordinates (x, y, ...).

    Returns
    -------
    ResampledPoints
        Arrays with the axes in reversed order (..., y, x). For the other parameters see `resample_points`.
    """
    mesh = np.meshgrid(*(np.asarray(axis, dtype=np.float64) for axis in reversed(axes)), indexing="ij")
    shape = mesh[0].shape
    flat = resample_points(coordinates, values, np.stack([grid.ravel() for grid in reversed(mesh)]), rule, errors)
    return ResampledPoints(**{name: getattr(flat, name).reshape(shape) for name in flat.__dataclass_fields__})


def _check_sample_count(count: int, rule: LocalRegression, dimensions: int) -> None:
    """Refuse data that cannot give a single fit."""
    needed = int(np.prod(_per_dimension(rule.order, dimensions, "order") + 1))
    if not count:
        raise ValueError("no sample is usable: all values or errors are missing")
    if count < needed and rule.order_algorithm != "none":
        raise ValueError(f"order {rule.order} needs at least {needed} samples, there are {count}")


def _per_dimension(value: float | Sequence[float], dimensions: int, name: str) -> FloatArray:
    """One number for each dimension, none negative."""
    numbers = np.broadcast_to(np.asarray(value, dtype=np.float64), (dimensions,))
    if not (numbers >= 0).all():
        raise ValueError(f"{name} must not be negative: {value}")
    return numbers


@dataclass(frozen=True, eq=False)
class _Plan:
    """Samples in scaled coordinates, sorted by cell, and everything the kernel needs to know of the rule."""

    origin: FloatArray
    window: FloatArray
    kernel_arguments: tuple[Any, ...]
    cval: float
    threads: int

    @classmethod
    def prepare(cls, samples: FloatArray, data: FloatArray, sigma: FloatArray | None, rule: LocalRegression) -> _Plan:
        """Scale the samples to the window and sort them into cells not smaller than it."""
        dimensions = len(samples)
        window = _per_dimension(rule.window, dimensions, "window")
        if not (window > 0).all():
            raise ValueError(f"the window must be positive: {rule.window}")
        origin = samples.min(axis=1)
        scaled = ((samples - origin[:, np.newaxis]) / window[:, np.newaxis]).T
        cells, cell_size = _choose_cells(scaled.max(axis=0))
        numbers = np.minimum((scaled / cell_size).astype(np.int64), cells - 1)
        cell = np.ravel_multi_index(tuple(numbers.T), tuple(cells))
        order = np.argsort(cell, kind="stable")
        starts = np.searchsorted(cell[order], np.arange(int(np.prod(cells)) + 1))
        precision = np.ones_like(data) if sigma is None else sigma**-2
        arguments = (
            np.ascontiguousarray(scaled[order]),
            data[order],
            precision[order],
            starts,
            cells,
            cell_size,
            _inverse_alpha(rule, window),
            *_encode_checks(rule, dimensions),
            np.array([sigma is not None, rule.error_weighting, rule.estimate_covariance, rule.fix_order]),
        )
        threads = rule.jobs or os.cpu_count() or 1
        return cls(origin, window, arguments, rule.cval, threads)

    def run(self, points: FloatArray) -> ResampledPoints:
        """Fit at all points, in blocks that threads share; the kernel does not hold the interpreter lock."""
        from sofia_engine.numerics._regression_kernel import regress

        scaled = ((points - self.origin[:, np.newaxis]) / self.window[:, np.newaxis]).T.copy()
        result = np.empty((len(scaled), 6))
        starts = range(0, len(scaled), POINTS_PER_TASK)

        def work(start: int) -> None:
            block = slice(start, start + POINTS_PER_TASK)
            regress(scaled[block], result[block], *self.kernel_arguments)

        if self.threads > 1 and len(starts) > 1:
            with ThreadPoolExecutor(self.threads) as pool:
                list(pool.map(work, starts))
        else:
            for start in starts:
                work(start)
        values, errors, counts, weights, distance_weights, chi2 = result.T
        failed = weights == 0
        values = np.where(failed, self.cval, values)
        return ResampledPoints(values, errors.copy(), counts.astype(np.intp), weights, distance_weights, chi2)


def _choose_cells(extent: FloatArray) -> tuple[IndexArray, FloatArray]:
    """Number of cells per dimension and their size (at least one window), limited in total number."""
    size = np.ones_like(extent)
    cells = (extent / size).astype(np.int64) + 1
    while np.prod(cells.astype(float)) > LARGEST_CELL_COUNT:
        size *= 2
        cells = (extent / size).astype(np.int64) + 1
    return cells, size


def _inverse_alpha(rule: LocalRegression, window: FloatArray) -> FloatArray:
    """Factors of the squared scaled distances in the exponent of the distance weight; 0 without smoothing."""
    smoothing = _per_dimension(rule.smoothing, len(window), "smoothing")
    alpha = smoothing if rule.relative_smooth else 2 * smoothing**2 / window**2
    return np.where(alpha > 0, 1.0 / np.where(alpha > 0, alpha, 1.0), 0.0)


def _encode_checks(rule: LocalRegression, dimensions: int) -> tuple[Any, ...]:
    """Edge and order rules and the terms of every possible order, as plain numbers and arrays."""
    thresholds = _per_dimension(rule.edge_threshold, dimensions, "edge_threshold")
    if rule.edge_algorithm not in {"distribution", "none"} and not (thresholds < 1).all():
        raise ValueError(
            f"edge_threshold must be below 1 for the algorithm {rule.edge_algorithm}: {rule.edge_threshold}"
        )
    orders = _per_dimension(rule.order, dimensions, "order").astype(np.int64)
    lowered: list[int | tuple[int, ...]] = [tuple(int(o) for o in orders)]
    single = isinstance(rule.order, int | np.integer)
    if single:
        lowered = list(range(int(orders[0]) + 1))
    tables = [list_exponents(order, dimensions) for order in lowered]
    sizes = np.array([len(table) for table in tables])
    parents = np.zeros((len(tables), sizes.max(), 2), dtype=np.int64)
    for padded, table in zip(parents, tables, strict=True):
        padded[: len(table)] = _find_parents(table)
    codes = (EDGE_ALGORITHMS.index(rule.edge_algorithm), ORDER_ALGORITHMS.index(rule.order_algorithm))
    return codes[0], thresholds, codes[1], orders, single, parents, sizes


def _find_parents(exponents: tuple[tuple[int, ...], ...]) -> list[tuple[int, int]]:
    """For each term the earlier term and the dimension whose product it is; (0, 0) for the constant."""
    parents = [(0, 0)]
    for powers in exponents[1:]:
        dimension = max(k for k, power in enumerate(powers) if power)
        lower = tuple(power - (k == dimension) for k, power in enumerate(powers))
        parents.append((exponents.index(lower), dimension))
    return parents
