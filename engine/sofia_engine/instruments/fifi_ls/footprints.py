"""The part of the sky that the spaxels of an exposure cover."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sofia_engine.numerics.arrays import BoolArray, FloatArray

__all__ = ["find_footprint", "find_hull"]


def find_hull(x: FloatArray, y: FloatArray) -> FloatArray:
    """Return the corners (n, 2) of the convex hull of some points, counterclockwise.

    References
    ----------
    Andrew, A. M. 1979, Information Processing Letters 9, 216 (monotone chain).
    """
    points = sorted(set(zip(x.tolist(), y.tolist(), strict=True)))

    def half(ordered: list[tuple[float, float]]) -> list[tuple[float, float]]:
        chain: list[tuple[float, float]] = []
        for point in ordered:
            while len(chain) > 1 and _turn(chain[-2], chain[-1], point) <= 0:
                chain.pop()
            chain.append(point)
        return chain[:-1]

    return np.array(half(points) + half(points[::-1]))


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def find_footprint(x: FloatArray, y: FloatArray, side: float, shape: tuple[int, int]) -> BoolArray:
    """Tell which pixels of a map lie in the field of an exposure.

    Parameters
    ----------
    x, y : (25,) ndarray
        Pixel positions of the spaxels.
    side : float
        Side of a spaxel, pixels.
    shape : (int, int)
        Of the map.

    Returns
    -------
    (ny, nx) ndarray of bool
        True where the centre of the pixel lies in the convex hull of the spaxels, whose corners are pushed out by half
        a diagonal of a spaxel.
    """
    usable = np.isfinite(x) & np.isfinite(y)
    hull = find_hull(x[usable], y[usable]) if usable.sum() > 2 else np.zeros((0, 2))
    if len(hull) < 3:
        return np.zeros(shape, dtype=bool)
    edge = hull - np.roll(hull, -1, axis=0)
    outward = np.arctan2(edge[:, 1], edge[:, 0]) + math.pi / 4
    reach = side / math.sqrt(2.0)
    return _fill(hull + reach * np.stack([np.cos(outward), np.sin(outward)], axis=1), shape)


def _fill(corners: FloatArray, shape: tuple[int, int]) -> BoolArray:
    """Pixels whose centre lies in a polygon: a ray from there crosses its border an odd number of times."""
    rows, columns = np.arange(shape[0])[:, np.newaxis], np.arange(shape[1])
    inside: BoolArray = np.zeros(shape, dtype=bool)
    for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if ay != by:
            crossed = (ay > rows) != (by > rows)
            inside ^= crossed & (columns < ax + (bx - ax) * (rows - ay) / (by - ay))
    return inside
