"""Tensor-product splines through a function given on a grid or at scattered points, as kernels are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sofia_engine.numerics.arrays import FloatArray, IndexArray

__all__ = ["SplineRule", "TensorSpline", "fit_spline", "interpolate_grid", "is_interpolating", "match_degrees"]


@dataclass(frozen=True)
class SplineRule:
    """How a spline is fitted.

    Attributes
    ----------
    degrees : int or sequence of int
        Degree in each dimension.
    smoothing : float or None
        Largest sum of squared weighted residuals; 0: through all values; None: n - sqrt(2 n) for n values, the scatter
        that weights 1/sigma let expect.
    knots : sequence of (n,) ndarray, optional
        First knots of each dimension, with degree + 1 of them at each end.
    fix_knots : bool, optional
        Add no knots; by default, if `exact` or if there are no others than `knots`.
    knot_estimate : int or sequence of int, optional
        Most knots in each dimension; by default so many that there are as many coefficients as values.
    limits : (K, 2) sequence, optional
        Range of each dimension, by default that of the values.
    exact : bool
        Put a knot at every coordinate and pass through all values.
    reduce_degrees : bool
        With `exact`: lower degrees to half of the number of different coordinates less 1.
    eps : float
        Singular values below this share of the largest are left out.
    tolerance : float
        By how much, relatively, the sum of squares may miss `smoothing`; without smoothing, the root mean square of the
        residuals over that of the values.
    max_iteration : int
        Most rounds of adding knots.
    imperfect : bool
        Take the best spline where the residuals stay too large, instead of refusing.

    Raises
    ------
    ValueError
        If a number is out of range.
    """

    degrees: int | Sequence[int] = 3
    smoothing: float | None = 0.0
    knots: Sequence[FloatArray] | None = None
    fix_knots: bool | None = None
    knot_estimate: int | Sequence[int] | None = None
    limits: Sequence[tuple[float, float]] | None = None
    exact: bool = False
    reduce_degrees: bool = False
    eps: float = 1e-8
    tolerance: float = 1e-3
    max_iteration: int = 20
    imperfect: bool = False

    def __post_init__(self) -> None:
        if not (0 < self.eps < 1 and 0 < self.tolerance < 1 and self.max_iteration > 0):
            raise ValueError(f"eps and tolerance of a spline must lie between 0 and 1, rounds above 0: {self}")
        if self.smoothing is not None and not self.smoothing >= 0:
            raise ValueError(f"smoothing of a spline must not be negative: {self.smoothing}")


@dataclass(frozen=True, eq=False)
class TensorSpline:
    """A spline in K dimensions.

    Attributes
    ----------
    knots : sequence of (n_k,) ndarray
        Of each dimension, with degree + 1 of them at each end.
    coefficients : ndarray
        One axis for each dimension, in their order.
    degrees : (K,) ndarray of int
        Degree of each dimension.
    """

    knots: tuple[FloatArray, ...]
    coefficients: FloatArray
    degrees: IndexArray

    def __call__(self, points: FloatArray) -> FloatArray:
        """Value at points (K, M)."""
        from scipy.interpolate import NdBSpline

        spline = NdBSpline(self.knots, self.coefficients, tuple(int(degree) for degree in self.degrees))
        return np.asarray(spline(points.T))


def interpolate_grid(axes: Sequence[FloatArray], values: FloatArray, degrees: IndexArray) -> TensorSpline:
    """Spline through values on a grid.

    Parameters
    ----------
    axes : sequence of (n_k,) ndarray
        Rising coordinates.
    values : ndarray
        With axes in the order of `axes`.
    degrees : (K,) ndarray of int
        Degree of each dimension.

    Raises
    ------
    ValueError
        If an axis is too short for its degree.
    """
    from scipy.interpolate import make_interp_spline

    coefficients, knots = values, []
    for k, (axis, degree) in enumerate(zip(axes, degrees, strict=True)):
        if len(axis) <= degree:
            raise ValueError(f"a spline of degree {degree} needs more than {len(axis)} values along an axis")
        spline = make_interp_spline(axis, np.moveaxis(coefficients, k, 0), k=int(degree))
        knots.append(np.asarray(spline.t))
        coefficients = np.moveaxis(spline.c, 0, k)
    return TensorSpline(tuple(knots), np.ascontiguousarray(coefficients), degrees)


def fit_spline(points: FloatArray, values: FloatArray, weights: FloatArray | None, rule: SplineRule) -> TensorSpline:
    """Least-squares spline with as few knots as the smoothing allows.

    Knots are added where the residuals are largest, one in each dimension a round, until the sum of squared weighted
    residuals is at most `smoothing`.

    Parameters
    ----------
    points : (K, n) ndarray
        Positions.
    values : (n,) ndarray
        Function there.
    weights : (n,) ndarray, optional
        Weights of the residuals (1/sigma).
    rule : SplineRule
        Degrees, knots, smoothing.

    Returns
    -------
    TensorSpline

    Raises
    ------
    ValueError
        If there are too few different coordinates for the degrees, or the knots do not fit.
    RuntimeError
        If the residuals stay above `smoothing`, and `imperfect` does not allow it.
    """
    fit = _SplineFit.prepare(points, values, weights, rule)
    knots = fit.first_knots()
    for _ in range(rule.max_iteration):
        spline, residuals = fit.solve(knots)
        wider = fit.add_knots(knots, residuals)
        if fit.good(residuals) or wider is None:
            break
        knots = wider
    if not fit.good(residuals) and not rule.imperfect:
        raise RuntimeError(
            f"the spline of the kernel has a sum of squared residuals of {np.sum(residuals**2):.3g} where at most "
            f"{fit.target:.3g} is allowed; allow more smoothing, more knots, or an imperfect spline"
        )
    return spline


@dataclass(frozen=True, eq=False)
class _SplineFit:
    """Values, and what a fit of them must keep to."""

    points: FloatArray
    values: FloatArray
    weights: FloatArray
    rule: SplineRule
    degrees: IndexArray
    target: float

    @classmethod
    def prepare(
        cls, points: FloatArray, values: FloatArray, weights: FloatArray | None, rule: SplineRule
    ) -> _SplineFit:
        root = np.ones_like(values) if weights is None else np.asarray(weights, dtype=np.float64).ravel()
        if root.shape != values.shape:
            raise ValueError(f"weights of shape {root.shape} do not fit a kernel of {values.size} values")
        degrees = match_degrees(rule, len(points))
        different = np.array([len(np.unique(line)) for line in points])
        if rule.exact and rule.reduce_degrees:
            degrees = np.minimum(degrees, np.maximum(different // 2 - 1, 1))
        if (different <= degrees).any():
            raise ValueError(f"splines of degrees {degrees} need more different coordinates than {different}")
        size = len(values)
        smoothing = 0.0 if rule.exact else rule.smoothing
        target = size - (2 * size) ** 0.5 if smoothing is None else smoothing
        power = float(np.sum((root * values) ** 2))
        allowed = target * (1 + rule.tolerance) if target > 0 else rule.tolerance**2 * power
        return cls(points, values, root, rule, degrees, allowed)

    def good(self, residuals: FloatArray) -> bool:
        return bool(np.sum(residuals**2) <= self.target)

    def first_knots(self) -> list[FloatArray]:
        """Knots given, knots at all coordinates, or none but those at the ends."""
        if self.rule.knots is not None:
            return [_check_knots(*pair) for pair in zip(self.rule.knots, self.degrees, strict=True)]
        limits = self.rule.limits or [(float(line.min()), float(line.max())) for line in self.points]
        knots = []
        for line, degree, (low, high) in zip(self.points, self.degrees, limits, strict=True):
            inner = np.unique(line)[(degree + 1) // 2 : -((degree + 1) // 2)] if self.rule.exact else np.empty(0)
            inner = inner[(inner > low) & (inner < high)]
            knots.append(np.concatenate([np.full(degree + 1, low), inner, np.full(degree + 1, high)]))
        return knots

    def solve(self, knots: Sequence[FloatArray]) -> tuple[TensorSpline, FloatArray]:
        """Least-squares spline with given knots, and its weighted residuals."""
        from scipy.interpolate import BSpline

        design = np.ones((len(self.values), 1))
        for line, t, degree in zip(self.points, knots, self.degrees, strict=True):
            inside = np.clip(line, t[degree], t[-degree - 1])
            basis = BSpline.design_matrix(inside, t, int(degree)).toarray()
            design = (design[:, :, np.newaxis] * basis[:, np.newaxis]).reshape(len(self.values), -1)
        weighted = design * self.weights[:, np.newaxis]
        coefficients = np.linalg.lstsq(weighted, self.values * self.weights, rcond=self.rule.eps)[0]
        residuals = self.values * self.weights - weighted @ coefficients
        shape = tuple(len(t) - degree - 1 for t, degree in zip(knots, self.degrees, strict=True))
        return TensorSpline(tuple(knots), coefficients.reshape(shape), self.degrees), residuals

    def add_knots(self, knots: Sequence[FloatArray], residuals: FloatArray) -> list[FloatArray] | None:
        """Knots with one more in the worst interval of each dimension; None if there may be no more."""
        fixed = self.rule.exact if self.rule.fix_knots is None else self.rule.fix_knots
        if fixed:
            return None
        wider = [self._split(k, t, residuals) for k, t in enumerate(knots)]
        return wider if any(len(new) > len(t) for new, t in zip(wider, knots, strict=True)) else None

    def _split(self, k: int, knots: FloatArray, residuals: FloatArray) -> FloatArray:
        """Halve the interval with the largest residuals that holds at least two different coordinates."""
        if len(knots) >= self._most_knots()[k]:
            return knots
        edges = np.unique(knots)
        number = np.clip(np.searchsorted(edges, self.points[k], side="right") - 1, 0, len(edges) - 2)
        squares = np.bincount(number, residuals**2, minlength=len(edges) - 1)
        for interval in np.argsort(squares)[::-1]:
            inside = np.unique(self.points[k][number == interval])
            if len(inside) > 1:
                return np.sort(np.append(knots, 0.5 * (edges[interval] + edges[interval + 1])))
        return knots

    def _most_knots(self) -> IndexArray:
        dimensions = len(self.points)
        if self.rule.knot_estimate is not None:
            return np.broadcast_to(np.asarray(self.rule.knot_estimate, dtype=np.intp), (dimensions,))
        return int(len(self.values) ** (1 / dimensions)) + self.degrees + 1


def _check_knots(knots: FloatArray, degree: int) -> FloatArray:
    """Knots that are finite, if they can carry a spline."""
    line = np.asarray(knots, dtype=np.float64)
    good: FloatArray = line[np.isfinite(line)]
    if len(good) < 2 * (degree + 1) or (np.diff(good) < 0).any():
        raise ValueError(f"degree {degree} needs at least {2 * (degree + 1)} knots in rising order")
    return good


def match_degrees(rule: SplineRule, dimensions: int) -> IndexArray:
    """Degree of each dimension, at least 1.

    Raises
    ------
    ValueError
        If their number is another or one is below 1.
    """
    degrees = np.asarray(rule.degrees, dtype=np.intp)
    if degrees.shape not in {(), (dimensions,)} or (degrees < 1).any():
        raise ValueError(f"degrees must be one number or {dimensions}, all above 0: {rule.degrees}")
    return np.broadcast_to(degrees, (dimensions,)).copy()


def is_interpolating(rule: SplineRule) -> bool:
    """Whether the spline passes through all values and has no knots of its own, so that a grid needs no fit."""
    return rule.knots is None and (rule.exact or rule.smoothing == 0) and rule.limits is None
