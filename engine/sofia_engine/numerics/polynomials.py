"""Polynomials of several coordinates: terms, fits (also robust ones), evaluation at points and on pixel grids."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.numerics.arrays import as_float
from sofia_engine.numerics.outliers import RejectionRule, RejectionState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import BoolArray, FloatArray

__all__ = [
    "Polynomial",
    "RobustPolynomialFit",
    "evaluate_monomials",
    "fit_polynomial",
    "fit_polynomial_robustly",
    "list_exponents",
    "list_products",
]

Exponents = tuple[tuple[int, ...], ...]


def list_exponents(order: int | Sequence[int], dimensions: int | None = None) -> tuple[tuple[int, ...], ...]:
    """Exponents of the terms of a polynomial.

    Parameters
    ----------
    order : int or sequence of int
        Largest total degree; or the largest exponent of each coordinate, where the total degree stays at most the
        largest of them.
    dimensions : int, optional
        Number of coordinates; needed with a single order.

    Returns
    -------
    tuple of tuple of int
        One tuple of exponents per term, the first coordinate's power varying slowest; the constant comes first.

    Raises
    ------
    ValueError
        If an order is negative or does not fit the number of dimensions.
    """
    limits = (order,) * (dimensions or 1) if isinstance(order, int) else tuple(int(limit) for limit in order)
    if not limits or min(limits) < 0 or (dimensions is not None and len(limits) != dimensions):
        raise ValueError(f"order {order} must be one number or {dimensions} numbers, none negative")
    degree = max(limits)
    every = itertools.product(*(range(limit + 1) for limit in limits))
    return tuple(exponents for exponents in every if sum(exponents) <= degree)


def list_products(orders: Sequence[int]) -> Exponents:
    """Exponents of all products of powers up to an order of each coordinate, the first one's power varying slowest."""
    return tuple(itertools.product(*(range(int(order) + 1) for order in orders)))


def evaluate_monomials(coordinates: ArrayLike, exponents: tuple[tuple[int, ...], ...]) -> FloatArray:
    """Values of all terms at points.

    Parameters
    ----------
    coordinates : (K, ...) array_like
        One array per coordinate.
    exponents : tuple of tuple of int
        From `list_exponents`.

    Returns
    -------
    (T, ...) ndarray
        One array per term.
    """
    points = np.asarray(coordinates, dtype=np.float64)
    degree = max(map(max, exponents))
    powers = [np.ones_like(points)]
    for _ in range(degree):
        powers.append(powers[-1] * points)
    terms = np.ones((len(exponents), *points.shape[1:]))
    for index, powers_of_term in enumerate(exponents):
        for axis, power in enumerate(powers_of_term):
            if power:
                terms[index] *= powers[power][axis]
    return terms


@dataclass(frozen=True, eq=False)
class Polynomial:
    """A polynomial of K coordinates, each shifted and scaled to about [-1, 1] before powers are taken.

    Attributes
    ----------
    coefficients : (T,) ndarray
        One per term, in the unit of the fitted values.
    exponents : tuple of tuple of int
        Exponents of the terms, see `list_exponents`.
    offset, scale : (K,) ndarray
        The powers are those of ``(coordinate - offset) / scale``.
    """

    coefficients: FloatArray
    exponents: tuple[tuple[int, ...], ...]
    offset: FloatArray
    scale: FloatArray

    def __call__(self, *coordinates: ArrayLike) -> FloatArray:
        """Values at points, given as one array per coordinate (broadcast against each other)."""
        points = np.stack(np.broadcast_arrays(*(np.asarray(c, dtype=np.float64) for c in coordinates)))
        lift = (-1,) + (1,) * (points.ndim - 1)
        scaled = (points - self.offset.reshape(lift)) / self.scale.reshape(lift)
        values: FloatArray = np.tensordot(self.coefficients, evaluate_monomials(scaled, self.exponents), axes=1)
        return values

    def expand(self) -> FloatArray:
        """Coefficients of the same polynomial in plain powers of the coordinates.

        Returns
        -------
        ndarray
            Axis k holds the powers of coordinate k, from 0 to the highest exponent of any term.
        """
        degree = max(map(max, self.exponents))
        plain = np.zeros((degree + 1,) * len(self.offset))
        for coefficient, powers in zip(self.coefficients, self.exponents, strict=True):
            plain[powers] += coefficient
        for axis, (offset, scale) in enumerate(zip(self.offset, self.scale, strict=True)):
            # column k: the coefficients of ((x - offset) / scale)**k in powers of x
            line = np.polynomial.Polynomial([-offset / scale, 1 / scale])
            table = np.zeros((degree + 1, degree + 1))
            for power in range(degree + 1):
                table[: power + 1, power] = np.atleast_1d((line**power).coef)
            plain = np.moveaxis(np.tensordot(table, plain, axes=([1], [axis])), 0, axis)
        return plain

    def on_grid(self, *axes: ArrayLike) -> FloatArray:
        """Values on the grid spanned by K one-dimensional axes; result axes in the order of the coordinates.

        Sums one axis after the other, which costs far less than evaluating every term at every grid point.
        """
        degree = max(map(max, self.exponents))
        values = np.zeros((degree + 1,) * len(axes))
        for coefficient, powers in zip(self.coefficients, self.exponents, strict=True):
            values[powers] += coefficient
        for axis, offset, scale in zip(axes, self.offset, self.scale, strict=True):
            table = np.vander((np.asarray(axis, dtype=np.float64) - offset) / scale, degree + 1, increasing=True)
            values = np.tensordot(values, table, axes=([0], [1]))  # the summed axis leaves first, the new comes last
        return values


def fit_polynomial(
    coordinates: ArrayLike,
    values: ArrayLike,
    order: int | Sequence[int],
    weights: ArrayLike | None = None,
    *,
    exponents: Exponents | None = None,
) -> Polynomial:
    """Weighted least-squares fit of a polynomial to scattered points.

    Parameters
    ----------
    coordinates : (K, N) array_like
        Positions of the points.
    values : (N,) array_like
        Values; points with a value, coordinate or weight that is not finite are left out.
    order : int or sequence of int
        See `list_exponents`.
    weights : (N,) array_like, optional
        Inverse variances; equal if left out.
    exponents : tuple of tuple of int, optional
        The terms, if they are others than those of `list_exponents`, e.g. those of `list_products`.

    Returns
    -------
    Polynomial
        With scaled coordinates. The least-norm solution if the points do not determine all terms.

    Raises
    ------
    ValueError
        If no usable point is left.
    """
    points, data = np.atleast_2d(np.asarray(coordinates, dtype=np.float64)), as_float(values)
    root = np.ones(data.shape) if weights is None else np.sqrt(np.asarray(weights, dtype=np.float64))
    usable = np.isfinite(data) & np.isfinite(points).all(axis=0) & np.isfinite(root)
    if not usable.any():
        raise ValueError("no finite point is left to fit a polynomial to")
    points, data, root = points[:, usable], data[usable], root[usable]
    low, high = points.min(axis=1), points.max(axis=1)
    offset, half = (high + low) / 2, (high - low) / 2
    scale = np.where(half > 0, half, 1.0)
    terms = list_exponents(order, len(points)) if exponents is None else exponents
    design = evaluate_monomials((points - offset[:, np.newaxis]) / scale[:, np.newaxis], terms)
    coefficients = np.linalg.lstsq((design * root).T, data * root, rcond=None)[0]
    return Polynomial(coefficients, terms, offset, scale)


@dataclass(frozen=True, eq=False)
class RobustPolynomialFit:
    """A polynomial and the points it goes through.

    Attributes
    ----------
    polynomial : Polynomial
        The last fit.
    used : (N,) ndarray of bool
        Points that were not rejected.
    rms : float
        Standard deviation of the residuals of the used points.
    """

    polynomial: Polynomial
    used: BoolArray
    rms: float


def fit_polynomial_robustly(
    coordinates: ArrayLike,
    values: ArrayLike,
    order: int | Sequence[int],
    threshold: float,
    weights: ArrayLike | None = None,
    *,
    exponents: Exponents | None = None,
) -> RobustPolynomialFit:
    """Fit a polynomial to scattered points and reject outliers until the fit settles.

    Parameters
    ----------
    coordinates, values, order, weights, exponents
        As in `fit_polynomial`.
    threshold : float
        See `sofia_engine.numerics.outliers.RejectionRule`.

    Raises
    ------
    ValueError
        If fewer points than terms (at least 2) are left.
    """
    points, data = np.atleast_2d(np.asarray(coordinates, dtype=np.float64)), as_float(values).astype(np.float64)
    spread = np.ones_like(data) if weights is None else as_float(weights).astype(np.float64)
    usable = np.isfinite(data) & np.isfinite(points).all(axis=0) & np.isfinite(spread) & (spread > 0)
    terms = list_exponents(order, len(points)) if exponents is None else exponents
    state = RejectionState.begin(data[np.newaxis], usable[np.newaxis], RejectionRule(threshold, max(2, len(terms))))
    while True:
        used = state.used[0]
        if not state.enough[0]:
            raise ValueError(f"only {np.count_nonzero(used)} points are left to fit {len(terms)} terms to")
        fitted = fit_polynomial(points[:, used], data[used], order, spread[used], exponents=terms)
        residual = np.where(usable, data - fitted(*np.where(usable, points, 0.0)), np.nan)
        state, active = state.advance(residual[np.newaxis])
        if not active.any():
            return RobustPolynomialFit(fitted, used, float(state.rms[0]))
