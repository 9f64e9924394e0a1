"""Values of images at positions between pixels, with missing values and variance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from sofia_engine.numerics.arrays import as_float

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import BoolArray, FloatArray, IndexArray

__all__ = [
    "BILINEAR",
    "CUBIC",
    "EDGE_TOLERANCE",
    "NEAREST",
    "Interpolation",
    "VarianceRule",
    "interpolate_image",
    "interpolate_planes",
    "interpolate_variance",
    "locate_inside",
    "pixel_coordinates",
]

VarianceRule = Literal["nearest", "interpolated", "propagated"]

EDGE_TOLERANCE = 1e-7
"""Positions less than this many pixels outside the image count as on its edge: they differ from it by rounding."""


@dataclass(frozen=True)
class Interpolation:
    """How values between pixels are found.

    Attributes
    ----------
    order : int
        Degree of the spline: 0 nearest pixel, 1 bilinear, 3 cubic.
    edge : {"nearest", "mirror", "missing"}
        How the image continues beyond its edge: with the edge pixel, mirrored at it (which is not repeated), or with
        missing pixels, so that positions less than a pixel outside may get a value, depending on `minimum_weight`.
    extrapolate : bool
        Whether positions beyond the outermost pixel centres get a value; else they are missing.
    minimum_weight : float or None
        Missing pixels count as 0 in flux and in weight, good ones as 1 in weight; the interpolated flux is divided by
        the interpolated weight where that is at least `minimum_weight`, and missing elsewhere. None: missing pixels
        are zeros and that is all.
    clip : bool
        Limit the result to the range of the good input pixels, which cuts the overshoot of cubic splines.
    """

    order: int = 1
    edge: Literal["nearest", "mirror", "missing"] = "nearest"
    extrapolate: bool = False
    minimum_weight: float | None = 0.5
    clip: bool = False


NEAREST = Interpolation(order=0)
BILINEAR = Interpolation(order=1)
CUBIC = Interpolation(order=3, clip=True)


def pixel_coordinates(shape: tuple[int, int]) -> FloatArray:
    """Coordinates (y, x) of all pixels of an image, shape (2, ny, nx)."""
    return np.stack(
        np.broadcast_arrays(np.arange(shape[0], dtype=float)[:, np.newaxis], np.arange(shape[1], dtype=float))
    )


def locate_inside(coordinates: FloatArray, shape: tuple[int, ...]) -> BoolArray:
    """True for positions between the outermost pixel centres of an image (positions that are NaN are outside)."""
    limits = np.array(shape).reshape(-1, *(1,) * (coordinates.ndim - 1)) - 1 + EDGE_TOLERANCE
    inside: BoolArray = np.all((coordinates >= -EDGE_TOLERANCE) & (coordinates <= limits), axis=0)
    return inside


def interpolate_image(image: ArrayLike, coordinates: FloatArray, rule: Interpolation = BILINEAR) -> FloatArray:
    """Values of an image at arbitrary positions.

    Parameters
    ----------
    image : (ny, nx) array_like
        Any unit; NaN is missing.
    coordinates : (2, ...) ndarray
        Positions (y, x) in pixels; NaN positions give NaN.
    rule : Interpolation
        Order, edges, missing values.

    Returns
    -------
    ndarray
        Values of the shape of one coordinate, dtype of `image`; missing is NaN.
    """
    return interpolate_planes((image,), coordinates, rule)[0]


def interpolate_planes(
    planes: Sequence[ArrayLike], coordinates: FloatArray, rule: Interpolation = BILINEAR
) -> list[FloatArray]:
    """Values of several planes of an image at the same positions; see `interpolate_image`.

    What the planes have in common (the positions inside, the weights of the good pixels) is found once.
    """
    images = [as_float(plane) for plane in planes]
    shape = images[0].shape
    known = np.isfinite(coordinates).all(axis=0)
    positions = coordinates if known.all() else np.where(known, coordinates, 0.0)
    if rule.edge == "missing":
        images = [np.pad(image, 1, constant_values=np.nan) for image in images]
        # the frame of missing pixels moves all positions by one pixel
        shape, positions, rule = images[0].shape, positions + 1, replace(rule, edge="nearest")
    if not rule.extrapolate:
        known = known & locate_inside(positions, shape)
    spline = _Spline(positions, rule)
    return [np.where(known, spline.evaluate(image), np.nan).astype(image.dtype, copy=False) for image in images]


class _Spline:
    """Splines through images at fixed positions; remembers the weights of the good pixels of the last image."""

    def __init__(self, positions: FloatArray, rule: Interpolation) -> None:
        self._positions, self._rule = positions, rule
        self._good: BoolArray | None = None
        self._weight: FloatArray | None = None

    def evaluate(self, image: FloatArray) -> FloatArray:
        rule, good = self._rule, np.isfinite(image)
        if rule.order == 0 and rule.minimum_weight is not None:
            return self._interpolate(image)
        if good.all():
            values = self._interpolate(image)
        else:
            values = self._interpolate(np.where(good, image, image.dtype.type(0)))
            if rule.minimum_weight is not None:
                weight = self._weigh(good)
                values = np.where(weight >= rule.minimum_weight, values / np.where(weight > 0, weight, 1.0), np.nan)
        if rule.clip and good.any():
            np.clip(values, image[good].min(), image[good].max(), out=values)
        return values

    def _weigh(self, good: BoolArray) -> FloatArray:
        if self._weight is None or self._good is None or not np.array_equal(good, self._good):
            self._good, self._weight = good, self._interpolate(good.astype(np.float64))
        return self._weight

    def _interpolate(self, image: FloatArray) -> FloatArray:
        """Value of the spline, in double precision (order 0: in that of the image)."""
        order, edge = self._rule.order, self._rule.edge
        if order == 0 and edge == "nearest":
            nearest: FloatArray = image[_nearest_pixels(self._positions, image.shape)]
            return nearest
        from scipy import ndimage

        values: FloatArray = ndimage.map_coordinates(
            image, self._positions, output=np.float64, order=order, mode=edge, prefilter=order > 1
        )
        return values


def _nearest_pixels(coordinates: FloatArray, shape: tuple[int, ...]) -> tuple[IndexArray, ...]:
    """Indices of the nearest pixels; half-way positions go to the higher index."""
    # a hair above one half, so that positions which are half-way but for rounding all go the same way
    return tuple(
        np.clip(np.floor(positions + (0.5 + EDGE_TOLERANCE)), 0, length - 1).astype(np.intp)
        for positions, length in zip(coordinates, shape, strict=True)
    )


def interpolate_variance(
    variance: ArrayLike,
    coordinates: FloatArray,
    rule: Interpolation = BILINEAR,
    method: VarianceRule = "nearest",
) -> FloatArray:
    """Variance of an image interpolated with `interpolate_image`.

    Parameters
    ----------
    variance : (ny, nx) array_like
        Variance of the image; NaN is missing.
    coordinates : (2, ...) ndarray
        Positions (y, x) in pixels.
    rule : Interpolation
        The rule with which the image itself is interpolated.
    method : {"nearest", "interpolated", "propagated"}
        ``nearest``: variance of the nearest pixel, or of the interpolated variance where that pixel is missing; keeps
        the noise level of the input although neighbouring output pixels become correlated. ``interpolated``: the
        variance is interpolated like the image. ``propagated``: squared weights, the variance each output pixel really
        has, only for orders 0 and 1; correlations between pixels are then lost.

    Returns
    -------
    ndarray
        Variance at the positions, NaN where the rule gives no value; never negative.

    Raises
    ------
    ValueError
        If `method` is ``propagated`` and the order of the rule is above 1.
    """
    if method == "propagated":
        return _propagate_variance(as_float(variance), coordinates, rule)
    smooth = np.maximum(interpolate_image(variance, coordinates, replace(rule, clip=True)), 0)
    if method == "interpolated":
        return smooth
    nearest = interpolate_image(variance, coordinates, replace(rule, order=0, clip=False))
    return np.where(np.isfinite(nearest) | np.isnan(smooth), nearest, smooth)


def _propagate_variance(variance: FloatArray, coordinates: FloatArray, rule: Interpolation) -> FloatArray:
    """Sum of squared interpolation weights times variance over the (at most four) pixels around each position."""
    if rule.edge == "missing":
        variance, coordinates = np.pad(variance, 1, constant_values=np.nan), coordinates + 1
    if rule.order > 1:
        raise ValueError(f"variance can be propagated for spline orders 0 and 1, not {rule.order}")
    if rule.order == 0:
        return interpolate_image(variance, coordinates, rule)
    good = np.isfinite(variance)
    limits = np.array(variance.shape).reshape(-1, *(1,) * (coordinates.ndim - 1)) - 1
    positions = np.clip(np.nan_to_num(coordinates), 0, limits)
    low = np.minimum(np.floor(positions).astype(np.intp), np.maximum(limits - 1, 0))
    total, weight_sum = np.zeros(positions.shape[1:]), np.zeros(positions.shape[1:])
    for step in ((0, 0), (0, 1), (1, 0), (1, 1)):
        y, x = (np.minimum(low[axis] + step[axis], limits[axis]) for axis in (0, 1))
        fractions = (positions[axis] - low[axis] for axis in (0, 1))
        weight = np.prod([f if up else 1 - f for f, up in zip(fractions, step, strict=True)], axis=0) * good[y, x]
        total += weight**2 * np.where(good[y, x], variance[y, x], 0)
        weight_sum += weight
    if rule.minimum_weight is not None:
        total = np.where(
            weight_sum >= rule.minimum_weight, total / np.where(weight_sum > 0, weight_sum, 1) ** 2, np.nan
        )
    known = np.isfinite(coordinates).all(axis=0) & (rule.extrapolate | locate_inside(coordinates, variance.shape))
    return np.where(known, total, np.nan).astype(variance.dtype, copy=False)
