"""Finding orders in a flat field, and how far a stored order mask is shifted against one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.errors import StepError
from sofia_engine.numerics.polynomials import Polynomial, fit_polynomial, fit_polynomial_robustly
from sofia_engine.spectroscopy.orders import Order

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import FloatArray

__all__ = ["OrderGuess", "OrderSearch", "find_order", "find_orders", "measure_mask_shift", "move_order"]

EDGE_THRESHOLD = 3.0


@dataclass(frozen=True)
class OrderGuess:
    """A point inside an order, pixels; its number; and the columns to search, None for all."""

    number: int
    x: int
    y: float
    columns: tuple[int, int] | None = None


@dataclass(frozen=True)
class OrderSearch:
    """How edges are searched.

    Attributes
    ----------
    slit_height : (float, float)
        Allowed distance of the edges, pixels.
    step : int
        Columns between two edge positions.
    degree : int
        Of the edge polynomials.
    fraction : float
        The edge is where the flux has fallen to this share of that in the middle of the order.
    window : int
        Pixels (odd) over which the gradient is averaged for the exact edge position.
    buffer : int
        Edges this close to the border of the image end the search on their side.
    """

    slit_height: tuple[float, float]
    step: int = 5
    degree: int = 4
    fraction: float = 0.8
    window: int = 5
    buffer: int = 3


def find_orders(flat: ArrayLike, guesses: Sequence[OrderGuess], search: OrderSearch) -> tuple[Order, ...]:
    """Find the edges of several orders; see `find_order`."""
    gradient = _measure_gradient(np.asarray(flat, dtype=np.float64))
    return tuple(_follow(np.asarray(flat, dtype=np.float64), gradient, guess, search) for guess in guesses)


def find_order(flat: ArrayLike, guess: OrderGuess, search: OrderSearch) -> Order:
    """Find the edges of an order.

    Parameters
    ----------
    flat : (ny, nx) array_like
        Flat field with dispersion along x; NaN counts as no light.
    guess : OrderGuess
        A point inside the order.
    search : OrderSearch
        Heights, steps, degree.

    Returns
    -------
    Order
        With the columns in which both edges lie on the image.

    Raises
    ------
    StepError
        If too few edge positions are found.

    Notes
    -----
    Walks from the guess to both sides. In each column the edges are where the flux falls below a share of that in the
    middle, refined to the centre of mass of the gradient; the middle of the next column is extrapolated with a
    polynomial through those found so far (Cushing et al. 2004, PASP, 116, 362, section 3).
    """
    return find_orders(flat, [guess], search)[0]


def _measure_gradient(flat: FloatArray) -> FloatArray:
    """Sum of the absolute Sobel derivatives along both axes."""
    from scipy import ndimage

    filled = np.nan_to_num(flat)
    scaled = 1000.0 * filled / (np.abs(filled).max() or 1.0)
    gradient: FloatArray = np.abs(ndimage.sobel(scaled, axis=0)) + np.abs(ndimage.sobel(scaled, axis=1))
    return gradient


@dataclass
class _Walk:
    """What has been found on the way: columns, centres, edges of either side."""

    x: list[float] = field(default_factory=list)
    center: list[float] = field(default_factory=list)
    edges: tuple[list[tuple[float, float]], list[tuple[float, float]]] = field(default_factory=lambda: ([], []))

    def expect(self, x: float, degree: int) -> float:
        return float(fit_polynomial(self.x, self.center, degree)(x))


def _follow(flat: FloatArray, gradient: FloatArray, guess: OrderGuess, search: OrderSearch) -> Order:
    start, stop = guess.columns or (0, flat.shape[1] - 1)
    degree = max(search.degree - 2, 1)
    walk = _Walk()
    for offset in range(-search.degree, search.degree + 1):
        walk.x.append(guess.x + offset * search.step)
        walk.center.append(guess.y)
    columns = np.arange(start + search.step - 1, stop - search.step + 2, search.step)
    left, right = columns[columns <= guess.x][::-1], columns[columns > guess.x]
    alive = {(-1, 0): True, (-1, 1): True, (1, 0): True, (1, 1): True}
    for index in range(max(left.size, right.size)):
        for side, path in ((-1, left), (1, right)):
            if index < path.size and (alive[side, 0] or alive[side, 1]):
                _visit(int(path[index]), side, flat, gradient, walk, alive, search, degree)
    try:
        bottom, top = (_fit_edge(points, search.degree) for points in walk.edges)
    except ValueError as error:
        raise StepError(f"The edges of order {guess.number} cannot be found: {error}; give a better guess.") from None
    inside = np.arange(start, stop + 1)
    low, high = bottom(inside), top(inside)
    kept = inside[(low > 0) & (low < flat.shape[0] - 1) & (high > 0) & (high < flat.shape[0] - 1)]
    if kept.size == 0:
        raise StepError(f"The edges of order {guess.number} lie outside the image; give a better guess.")
    return Order(guess.number, tuple(bottom.expand()), tuple(top.expand()), (int(kept[0]), int(kept[-1])))


def _visit(
    x: int, side: int, flat: FloatArray, gradient: FloatArray, walk: _Walk, alive: dict[tuple[int, int], bool],
    search: OrderSearch, degree: int,
) -> None:  # fmt: skip
    """Find the edges in one column."""
    guess = walk.expect(x, degree)
    middle = int(np.clip(round(guess), 0, len(flat) - 1))
    found = [_find_edge(flat[:, x], gradient[:, x], middle, way, search) for way in (-1, 1)]
    center = guess
    low, high = found
    if low is not None and high is not None and search.slit_height[0] <= high - low <= search.slit_height[1]:
        center = (low + high) / 2
        for way, edge in enumerate((low, high)):
            if alive[side, way]:
                walk.edges[way].append((x, edge))
    for way, value in enumerate(found):
        border = value is None or value < search.buffer or value > len(flat) - 1 - search.buffer
        alive[side, way] &= not border
    walk.x.append(x)
    walk.center.append(center)


def _find_edge(column: FloatArray, gradient: FloatArray, middle: int, way: int, search: OrderSearch) -> float | None:
    """Exact row of the edge above (way 1) or below (way -1) the middle; None if there is none."""
    rows = np.arange(middle, len(column) if way > 0 else -1, way)
    dark = rows[~(column[rows] > search.fraction * column[middle])]
    dark = dark[dark != middle]
    if dark.size == 0:
        return None
    half = search.window // 2
    near = np.arange(max(dark[0] - half, 0), min(dark[0] + half, len(column) - 1) + 1)
    weight = gradient[near].sum()
    return float((gradient[near] * near).sum() / weight) if weight > 0 else None


def _fit_edge(points: list[tuple[float, float]], degree: int) -> Polynomial:
    x, y = np.transpose(points) if points else (np.empty(0), np.empty(0))
    return fit_polynomial_robustly(x, y, degree, EDGE_THRESHOLD).polynomial


def measure_mask_shift(flat: ArrayLike, order: Order, largest: int) -> int:
    """Rows by which a flat lies above a stored order.

    Parameters
    ----------
    flat : (ny, nx) array_like
        Flat field; NaN counts as no light.
    order : Order
        From a stored mask.
    largest : int
        Largest shift tried in either direction, rows.

    Returns
    -------
    int
        The whole-row shift of the order that covers most light; move the order by it with `move_order`.
    """
    light = np.nan_to_num(np.asarray(flat, dtype=np.float64))
    columns = np.arange(max(order.columns[0], 0), min(order.columns[1], light.shape[1] - 1) + 1)
    light = light[:, columns] - np.median(light[:, columns])
    sums = np.concatenate([np.zeros((1, columns.size)), np.cumsum(light, axis=0)])
    bottom, top = (np.rint(edge).astype(int) for edge in order.edges(columns))
    trials = np.arange(-largest, largest + 1)[:, np.newaxis]
    first, last = (np.clip(edge + trials, 0, len(light)) for edge in (bottom, top + 1))
    total = (np.take_along_axis(sums, last, axis=0) - np.take_along_axis(sums, first, axis=0)).sum(axis=1)
    return int(trials[np.argmax(total), 0])


def move_order(order: Order, shift: float, rows: int, buffer: int = 3) -> Order:
    """Move an order up by some rows and keep the columns in which it stays clear of the border of the image.

    Parameters
    ----------
    order : Order
        In an image of `rows` rows.
    shift : float
        Rows, positive upwards.
    rows : int
        Rows of the image.
    buffer : int
        Rows at the border that edges must not enter.

    Returns
    -------
    Order
        With the column range (-1, -1) if no column is left.
    """
    moved = Order(order.number, (order.bottom[0] + shift, *order.bottom[1:]), (order.top[0] + shift, *order.top[1:]),
                  order.columns)  # fmt: skip
    columns = np.arange(order.columns[0], order.columns[1] + 1)
    low, high = moved.edges(columns)
    kept = columns[(low >= buffer) & (high <= rows - 1 - buffer)]
    span = (int(kept[0]), int(kept[-1])) if kept.size else (-1, -1)
    return Order(moved.number, moved.bottom, moved.top, span)
