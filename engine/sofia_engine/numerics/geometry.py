"""Geometry of moved images: which input position each output pixel shows, and where points go.

A geometry is found once and then used for all planes of an image with `sofia_engine.numerics.interpolation`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.numerics.arrays import as_float
from sofia_engine.numerics.interpolation import EDGE_TOLERANCE, pixel_coordinates

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import FloatArray

__all__ = [
    "AffineGeometry",
    "Canvas",
    "crop_geometry",
    "embed_image",
    "find_finite_box",
    "fit_affine_geometry",
    "fit_canvas",
    "place_image",
    "rotate_about",
]


@dataclass(frozen=True, eq=False)
class AffineGeometry:
    """A linear map of an image onto a new frame: input = matrix · output + offset, in (x, y).

    Attributes
    ----------
    matrix : (2, 2) ndarray
        Acts on column vectors (x, y) of output pixels.
    offset : (2,) ndarray
        Input position (x, y) of output pixel (0, 0).
    shape : (int, int)
        Output shape (ny, nx).
    """

    matrix: FloatArray
    offset: FloatArray
    shape: tuple[int, int]

    def coordinates(self) -> FloatArray:
        """Input position (y, x) of every output pixel, shape (2, ny, nx)."""
        y, x = pixel_coordinates(self.shape)
        return np.stack(
            [row[0] * x + row[1] * y + shift for row, shift in zip(self.matrix[::-1], self.offset[::-1], strict=True)]
        )

    def to_input(self, x: ArrayLike, y: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Input position (x, y) of output positions."""
        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        (xx, xy), (yx, yy) = self.matrix
        return xx * x + xy * y + self.offset[0], yx * x + yy * y + self.offset[1]

    def to_output(self, x: ArrayLike, y: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Output position (x, y) of input positions, for example of a reference pixel or a source."""
        (xx, xy), (yx, yy) = np.linalg.inv(self.matrix)
        x, y = np.asarray(x, dtype=float) - self.offset[0], np.asarray(y, dtype=float) - self.offset[1]
        return xx * x + xy * y, yx * x + yy * y


def rotate_about(shape: tuple[int, int], angle: float, center: tuple[float, float]) -> AffineGeometry:
    """Geometry of a rotation about a pixel with the frame grown so that nothing is cut off.

    Parameters
    ----------
    shape : (int, int)
        Input shape (ny, nx).
    angle : float
        Degrees. Output position ``o`` shows input ``R·(o + t - center) + center`` with
        ``R = [[cos, -sin], [sin, cos]]`` on (x, y): positive angles turn the content clockwise where y points up.
    center : (float, float)
        Fixed point (x, y) of the rotation, pixels from 0, before the growth.

    Returns
    -------
    AffineGeometry
        Output axis lengths are ceil(max - min + 1) of the turned corners, `t` is their minimum.
    """
    cosine, sine = _cosine_and_sine(angle)
    matrix, pivot = np.array([[cosine, -sine], [sine, cosine]]), np.array(center, dtype=float)
    ny, nx = shape
    corners = np.array([[0, nx - 1, 0, nx - 1], [0, 0, ny - 1, ny - 1]], dtype=float)
    turned = matrix.T @ (corners - pivot[:, np.newaxis]) + pivot[:, np.newaxis]
    low, high = turned.min(axis=1), turned.max(axis=1)
    # a rotation by 90 degrees must not gain a row by rounding
    width, height = np.ceil(high - low + 1 - 1e-9).astype(int)
    return AffineGeometry(matrix, matrix @ (low - pivot) + pivot, (int(height), int(width)))


def _cosine_and_sine(angle: float) -> tuple[float, float]:
    """Cosine and sine of degrees, exact for multiples of 90."""
    quarter, rest = divmod(angle, 90.0)
    cosine, sine = math.cos(math.radians(rest)), math.sin(math.radians(rest))
    return ((cosine, sine), (-sine, cosine), (-cosine, -sine), (sine, -cosine))[int(quarter) % 4]


def fit_affine_geometry(source: ArrayLike, target: ArrayLike, shape: tuple[int, int]) -> AffineGeometry:
    """Least-squares linear map through pairs of points, for a new frame of given shape.

    Parameters
    ----------
    source : (N, 2) array_like
        Positions (x, y) in the input image.
    target : (N, 2) array_like
        Where they shall appear (x, y) in the output.
    shape : (int, int)
        Output shape (ny, nx).

    Raises
    ------
    ValueError
        If the points lie on a line or are fewer than three.
    """
    start, end = np.asarray(source, dtype=float), np.asarray(target, dtype=float)
    middle = start.mean(axis=0)
    solution, _, rank, _ = np.linalg.lstsq(np.column_stack([start - middle, np.ones(len(start))]), end, rcond=None)
    if rank < 3 or abs(np.linalg.det(solution[:2])) < 1e-12:
        raise ValueError("a linear map needs three points that are not on one line")
    matrix = np.linalg.inv(solution[:2].T)
    return AffineGeometry(matrix, middle - matrix @ solution[2], shape)


@dataclass(frozen=True)
class Canvas:
    """A frame large enough for shifted copies of an image.

    Attributes
    ----------
    shape : (int, int)
        (ny, nx).
    origin : (int, int)
        Canvas position (x, y) of pixel (0, 0) of the copy that is not shifted: add it to reference pixels.
    """

    shape: tuple[int, int]
    origin: tuple[int, int]


def fit_canvas(shape: tuple[int, int], shifts: Iterable[tuple[float, float]]) -> Canvas:
    """Smallest canvas for an image and copies of it moved by `shifts` (x, y), each rounded away from zero."""
    moves = np.array([(0.0, 0.0), *shifts])
    low, high = np.floor(moves.min(axis=0)).astype(int), np.ceil(moves.max(axis=0)).astype(int)
    width, height = high - low
    return Canvas((shape[0] + int(height), shape[1] + int(width)), (-int(low[0]), -int(low[1])))


def place_image(
    image: ArrayLike, canvas: Canvas, shift: tuple[float, float] = (0.0, 0.0), order: int = 1, missing: float = 0.0
) -> FloatArray:
    """Copy an image, shifted by fractions of pixels, onto an empty canvas.

    Parameters
    ----------
    image : (ny, nx) array_like
        NaN counts as zero.
    canvas : Canvas
        Frame of the result.
    shift : (float, float)
        Shift (x, y); content at ``(x, y)`` appears at ``(x, y) + canvas.origin + shift``.
    order : int
        1 bilinear, 0 nearest; whole-pixel shifts copy the values without interpolation.
    missing : float
        Value of the canvas where the image has none.

    Returns
    -------
    ndarray
        Image of the canvas' shape.
    """
    data = as_float(image)
    data = np.where(np.isfinite(data), data, data.dtype.type(0))
    corner = (canvas.origin[1] + shift[1], canvas.origin[0] + shift[0])
    moved, row = _shift_rows(data, corner[0], order)
    moved, column = _shift_rows(moved.T, corner[1], order)
    return embed_image(moved.T, canvas.shape, (row, column), missing)


def _shift_rows(image: FloatArray, start: float, order: int) -> tuple[FloatArray, int]:
    """Interpolate between rows so that they lie at whole positions; return them and the position of the first.

    Row 0 lies at `start`. With a fraction of a row there is one row less: none is made beyond the outermost centres.
    """
    first = math.ceil(start - EDGE_TOLERANCE)
    fraction = first - start
    if abs(fraction) <= EDGE_TOLERANCE:
        return image, first
    before, after = image[:-1], image[1:]
    if order == 0:
        return (after if fraction >= 0.5 - EDGE_TOLERANCE else before), first
    mixed: FloatArray = (1 - fraction) * before + fraction * after
    return mixed.astype(image.dtype, copy=False), first


def embed_image(
    image: ArrayLike, shape: tuple[int, int], corner: tuple[int, int], missing: float = np.nan
) -> FloatArray:
    """Copy an image into a frame of another shape, its pixel (0, 0) at `corner` (y, x); what does not fit is cut."""
    data = as_float(image)
    frame = np.full(shape, missing, dtype=data.dtype)
    targets = [slice(max(c, 0), max(min(c + n, m), 0)) for c, n, m in zip(corner, data.shape, shape, strict=True)]
    sources = [slice(t.start - c, max(t.stop - c, 0)) for t, c in zip(targets, corner, strict=True)]
    if all(target.stop > target.start for target in targets):
        frame[tuple(targets)] = data[tuple(sources)]
    return frame


def find_finite_box(image: ArrayLike) -> tuple[slice, slice]:
    """Slices (y, x) of the smallest box around all finite pixels; empty slices if there are none."""
    finite = np.isfinite(as_float(image))

    def extent(across: int) -> slice:
        where = np.flatnonzero(np.any(finite, axis=across))
        return slice(int(where[0]), int(where[-1]) + 1) if where.size else slice(0, 0)

    return extent(1), extent(0)


def crop_geometry(geometry: AffineGeometry, box: tuple[slice, slice]) -> AffineGeometry:
    """Geometry of the part of the output inside a box with slices (y, x), see `find_finite_box`."""
    rows, columns = box
    offset = geometry.matrix @ np.array([columns.start, rows.start], dtype=float) + geometry.offset
    return AffineGeometry(geometry.matrix, offset, (rows.stop - rows.start, columns.stop - columns.start))
