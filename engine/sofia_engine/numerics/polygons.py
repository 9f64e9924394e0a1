"""Exact overlap of quadrilaterals with the pixels of an image, as a sparse linear map from pixels to quadrilaterals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.numerics.arrays import as_float

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import BoolArray, FloatArray, IndexArray

__all__ = ["PixelOverlap", "overlap_grid"]


@dataclass(frozen=True, eq=False)
class PixelOverlap:
    """How much of each pixel lies in each quadrilateral of a grid.

    Attributes
    ----------
    areas : (k, ny, nx) ndarray
        Overlap of quadrilateral (j, i) with its k-th pixel, pixel areas; zero beyond the image.
    pixels : (k, ny, nx) ndarray of int
        Flat index of that pixel in the image.
    total : (ny, nx) ndarray
        Area of each quadrilateral, the part beyond the image included.
    """

    areas: FloatArray
    pixels: IndexArray
    total: FloatArray

    def sum_pixels(self, image: ArrayLike, areas: FloatArray | None = None) -> FloatArray:
        """Sum of area times pixel value for each quadrilateral; `areas` replaces the stored ones."""
        values = np.ravel(np.asarray(image))
        weights = self.areas if areas is None else areas
        total = np.zeros(self.total.shape)
        for area, pixel in zip(weights, self.pixels, strict=True):
            total += area * values[pixel]
        return total


def overlap_grid(x: ArrayLike, y: ArrayLike, shape: tuple[int, int]) -> PixelOverlap:
    """Overlap of the cells of a distorted grid with the pixels of an image.

    Parameters
    ----------
    x, y : (ny + 1, nx + 1) array_like
        Vertices of the cells; pixel (row, column) is the square ``[column, column + 1) x [row, row + 1)``.
    shape : (int, int)
        Rows and columns of the image.

    Returns
    -------
    PixelOverlap
        For (ny, nx) cells, with as many pixels per cell as the largest cell touches.

    Notes
    -----
    The area of a polygon inside a pixel is, by Green's theorem, the sum over its directed edges of the integral of
    ``clamp(y - row, 0, 1)`` dx over the part of the edge between the sides of the pixel; for straight edges that has a
    closed form, so no polygon is ever built. Equal to polygon clipping (Smith et al. 2007, PASP 119, 1133).
    """
    px, py = as_float(x).astype(np.float64), as_float(y).astype(np.float64)
    corners = [(slice(None, -1), slice(None, -1)), (slice(1, None), slice(None, -1)),
               (slice(1, None), slice(1, None)), (slice(None, -1), slice(1, None))]  # fmt: skip
    cx, cy = np.stack([px[c] for c in corners]), np.stack([py[c] for c in corners])
    column, row = np.floor(cx.min(axis=0)).astype(np.intp), np.floor(cy.min(axis=0)).astype(np.intp)
    wide, high = int((cx.max(axis=0) - column).max()) + 1, int((cy.max(axis=0) - row).max()) + 1
    edges = _Edges.between(cx - column, cy - row)
    areas, pixels = [], []
    for dx in range(wide):
        part = edges.cut(dx)
        for dy in range(high):
            area = np.abs(part.integrate(dy))
            inside = (row + dy >= 0) & (row + dy < shape[0]) & (column + dx >= 0) & (column + dx < shape[1])
            if _any_area(area, inside):
                areas.append(np.where(inside, area, 0.0))
                pixels.append(np.where(inside, (row + dy) * shape[1] + column + dx, 0))
    following = np.roll(np.arange(4), -1)
    total = 0.5 * np.abs((cx * cy[following] - cx[following] * cy).sum(axis=0))
    return PixelOverlap(np.stack(areas) if areas else np.zeros((0, *total.shape)),
                        np.stack(pixels) if pixels else np.zeros((0, *total.shape), dtype=np.intp), total)  # fmt: skip


def _any_area(area: FloatArray, inside: BoolArray) -> bool:
    return bool((area[inside] > 1e-12).any())


@dataclass(frozen=True, eq=False)
class _Edges:
    """Directed edges of all cells, arrays of shape (4, ny, nx): ends a and b."""

    xa: FloatArray
    ya: FloatArray
    xb: FloatArray
    yb: FloatArray

    @classmethod
    def between(cls, x: FloatArray, y: FloatArray) -> _Edges:
        following = np.roll(np.arange(4), -1)
        return cls(x, y, x[following], y[following])

    def cut(self, column: int) -> _Edges:
        """The parts of the edges with x between column and column + 1."""
        xa, xb = np.clip(self.xa, column, column + 1), np.clip(self.xb, column, column + 1)
        run = self.xb - self.xa
        slope = np.where(run == 0, 0.0, (self.yb - self.ya) / np.where(run == 0, 1.0, run))
        return _Edges(xa, self.ya + slope * (xa - self.xa), xb, self.ya + slope * (xb - self.xa))

    def integrate(self, row: int) -> FloatArray:
        """Sum over the edges of each cell of the integral of clamp(y - row, 0, 1) dx."""
        ya, yb = self.ya - row, self.yb - row
        rise = yb - ya
        level = np.abs(rise) < 1e-9
        mean = (_integrate_clamp(yb) - _integrate_clamp(ya)) / np.where(level, 1.0, rise)
        mean = np.where(level, np.clip((ya + yb) / 2, 0.0, 1.0), mean)
        total: FloatArray = (mean * (self.xb - self.xa)).sum(axis=0)
        return total


def _integrate_clamp(y: FloatArray) -> FloatArray:
    """Integral of clamp(t, 0, 1) from 0 to y."""
    inner = np.clip(y, 0.0, 1.0)
    integral: FloatArray = 0.5 * inner * inner + np.maximum(y - 1.0, 0.0)
    return integral
