"""Warping with two-dimensional polynomial maps, and resizing of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from sofia_engine.numerics.arrays import as_float
from sofia_engine.numerics.interpolation import (
    CUBIC,
    Interpolation,
    interpolate_image,
    interpolate_planes,
    locate_inside,
)
from sofia_engine.numerics.polynomials import Polynomial, evaluate_monomials, fit_polynomial, list_exponents

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import FloatArray

__all__ = ["CoordinateMap", "WarpedImage", "fit_coordinate_map", "resize_image", "warp_image"]


@dataclass(frozen=True, eq=False)
class CoordinateMap:
    """Polynomial map from positions (y, x) of one frame to those of another.

    Attributes
    ----------
    y, x : Polynomial
        The two target coordinates as polynomials of the source coordinates (y, x).
    residual : float
        Root mean square distance of the mapped source points from the target points, pixels.
    """

    y: Polynomial
    x: Polynomial
    residual: float = 0.0

    def __call__(self, y: ArrayLike, x: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Target positions (y, x) of source positions."""
        return self.y(y, x), self.x(y, x)

    def on_grid(self, shape: tuple[int, int]) -> FloatArray:
        """Target positions (y, x) of all pixels of a source frame, shape (2, ny, nx)."""
        axes = np.arange(shape[0]), np.arange(shape[1])
        return np.stack([self.y.on_grid(*axes), self.x.on_grid(*axes)])


def fit_coordinate_map(
    source: ArrayLike,
    target: ArrayLike,
    order: int = 3,
    method: Literal["least squares", "total least squares"] = "least squares",
) -> CoordinateMap:
    """Fit a polynomial map of total degree `order` through pairs of points.

    Parameters
    ----------
    source, target : (N, 2) array_like
        Pairs of positions (y, x), pixels; pairs with NaN are left out.
    order : int
        Largest total degree.
    method : {"least squares", "total least squares"}
        ``least squares`` minimises the distances in the target frame, separately for y and x, in scaled coordinates.
        ``total least squares`` takes the smallest right singular vector of ``[T 0 y; 0 T x]``, T the terms of the
        unscaled source coordinates: errors are then also assigned to the terms, so that the map is pulled away from
        the points where the terms are large. It is the model of earlier reductions.

    Raises
    ------
    ValueError
        If there are fewer points than terms.
    """
    start, end = np.asarray(source, dtype=float), np.asarray(target, dtype=float)
    usable = np.isfinite(start).all(axis=1) & np.isfinite(end).all(axis=1)
    start, end = start[usable].T, end[usable].T
    terms = len(list_exponents(order, 2))
    if start.shape[1] < terms:
        raise ValueError(f"a map of degree {order} needs at least {terms} points, there are {start.shape[1]}")
    if method == "least squares":
        y, x = fit_polynomial(start, end[0], order), fit_polynomial(start, end[1], order)
    else:
        y, x = _fit_total_least_squares(start, end, order)
    deviation = (y(*start) - end[0]) ** 2 + (x(*start) - end[1]) ** 2
    return CoordinateMap(y, x, float(np.sqrt(deviation.mean())))


def _fit_total_least_squares(start: FloatArray, end: FloatArray, order: int) -> tuple[Polynomial, Polynomial]:
    """Both polynomials from one homogeneous system, see `fit_coordinate_map`."""
    exponents = list_exponents(order, 2)
    table = evaluate_monomials(start, exponents).T
    zero = np.zeros_like(table)
    system = np.block([[table, zero, end[0][:, np.newaxis]], [zero, table, end[1][:, np.newaxis]]])
    vector = np.linalg.svd(system, full_matrices=False)[2][-1]
    coefficients = -vector[:-1] / vector[-1]
    y, x = np.split(coefficients, 2)
    origin, unit = np.zeros(2), np.ones(2)
    return Polynomial(y, exponents, origin, unit), Polynomial(x, exponents, origin, unit)


@dataclass(frozen=True, eq=False)
class WarpedImage:
    """An image and its variance on a new grid; NaN where there is no value."""

    flux: FloatArray
    variance: FloatArray


def warp_image(
    image: ArrayLike, variance: ArrayLike, coordinates: FloatArray, rule: Interpolation = CUBIC
) -> WarpedImage:
    """Show an image on another grid, with its variance interpolated by the same rule.

    Parameters
    ----------
    image, variance : (ny, nx) array_like
        NaN is missing.
    coordinates : (2, my, mx) ndarray
        Input position (y, x) of each output pixel, from `CoordinateMap.on_grid`.
    rule : Interpolation
        The default is a cubic spline that takes the edge pixels for the values beyond the edge, gives no value to
        positions outside the image, and is limited to the range of the input.

    Returns
    -------
    WarpedImage
        Output pixels outside the input are NaN in both planes.
    """
    outside = ~locate_inside(coordinates, as_float(image).shape)
    flux, spread = interpolate_planes((image, variance), coordinates, rule)
    np.maximum(spread, 0, out=spread)
    if not rule.extrapolate:
        flux[outside], spread[outside] = np.nan, np.nan
    return WarpedImage(flux, spread)


def resize_image(image: ArrayLike, shape: tuple[int, int], *, conserve_flux: bool = True) -> FloatArray:
    """Resize an image to another number of pixels that cover the same area, bilinearly.

    Parameters
    ----------
    image : (ny, nx) array_like
        Flux per pixel, or its error; NaN is missing.
    shape : (int, int)
        Output shape (my, mx). Output pixel i shows input position (i + 1/2)·n/m - 1/2; beyond the outer pixel centres
        the image is mirrored.
    conserve_flux : bool
        Multiply by (ny·nx) / (my·mx), so that the sum over a source is kept.

    Returns
    -------
    ndarray
        Resized image; missing where good pixels have less than half of the weight.

    Notes
    -----
    Meant for changes of some per cent: nothing is averaged when the image becomes much smaller.
    """
    data = as_float(image)
    axes = [(np.arange(m) + 0.5) * n / m - 0.5 for n, m in zip(data.shape, shape, strict=True)]
    coordinates = np.stack(np.meshgrid(*axes, indexing="ij"))
    resized = interpolate_image(data, coordinates, Interpolation(order=1, edge="mirror", extrapolate=True))
    factor = data.size / (shape[0] * shape[1]) if conserve_flux else 1.0
    return resized * data.dtype.type(factor)
