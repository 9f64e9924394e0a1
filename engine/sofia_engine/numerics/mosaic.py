"""Several images of the sky on one grid: the frame that holds them all, their projection, their combination."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.numerics.coadd import CombinationRule, combine_stack
from sofia_engine.numerics.geometry import find_finite_box, fit_affine_geometry
from sofia_engine.numerics.interpolation import Interpolation, interpolate_image, interpolate_planes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sofia_engine.numerics.arrays import BoolArray, FloatArray
    from sofia_engine.numerics.tangent_plane import TangentPlane

__all__ = ["Mosaic", "MosaicFrame", "SkyImage", "combine_images", "plan_mosaic", "project_image", "resample_images"]

WINDOW = 7.0
ORDER = 2
EDGE_THRESHOLD = 0.7
ROUNDING = 1e-6
_FLUX = Interpolation(order=1, edge="missing", minimum_weight=0.5)
_NEAREST = Interpolation(order=0, edge="missing")


@dataclass(frozen=True, eq=False)
class SkyImage:
    """An image with its place on the sky.

    Attributes
    ----------
    flux, variance : (ny, nx) ndarray
        Flux per pixel and its variance; NaN is bad.
    exposure : (ny, nx) ndarray
        Seconds; 0 where there are no data.
    plane : TangentPlane
        Coordinates of the pixels.
    offset : (float, float)
        Added to positions (x, y) in the mosaic, pixels, for example against the motion of the target.
    """

    flux: FloatArray
    variance: FloatArray
    exposure: FloatArray
    plane: TangentPlane
    offset: tuple[float, float] = (0.0, 0.0)

    @property
    def good(self) -> BoolArray:
        """Mask of the pixels that have a flux and a variance."""
        return np.isfinite(self.flux) & np.isfinite(self.variance)

    def project(self, plane: TangentPlane, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Positions (x, y) in a mosaic with the given coordinates, of pixel positions of the image."""
        at_x, at_y = plane.to_pixel(*self.plane.to_sky(x, y))
        return at_x + self.offset[0], at_y + self.offset[1]


@dataclass(frozen=True)
class MosaicFrame:
    """Shape (ny, nx) of a mosaic and the coordinates of its pixels."""

    shape: tuple[int, int]
    plane: TangentPlane


@dataclass(frozen=True, eq=False)
class Mosaic:
    """Planes of a mosaic: flux, its variance (NaN where there is no value), and exposure (0 there).

    ``rejected`` is the fraction of values clipped as outliers; NaN if none were looked for.
    """

    flux: FloatArray
    variance: FloatArray
    exposure: FloatArray
    rejected: float = math.nan


def plan_mosaic(images: Sequence[SkyImage], plane: TangentPlane) -> MosaicFrame:
    """Choose the smallest frame, with given orientation and scale, that holds the good pixels of all images.

    Parameters
    ----------
    images : sequence of SkyImage
        At least one with a finite pixel.
    plane : TangentPlane
        Coordinates whose reference pixel will be moved.

    Raises
    ------
    ValueError
        If no image has a finite pixel.

    Notes
    -----
    The map between two tangent planes keeps straight lines, so the extremes are among the outermost pixels of rows.
    """
    outlines = [np.stack(image.project(plane, *_outline(image.good))) for image in images]
    points = np.concatenate(outlines, axis=1)
    if not points.size:
        raise ValueError("no image has a good pixel")
    low, high = points.min(axis=1), points.max(axis=1)
    # positions that are whole but for rounding must not cost a row
    width, height = (int(n) for n in np.ceil(high - ROUNDING) - np.floor(low + ROUNDING) + 1)
    pixel = plane.pixel[0] - float(low[0]), plane.pixel[1] - float(low[1])
    return MosaicFrame((height, width), replace(plane, pixel=pixel))


def _outline(good: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Positions (x, y) of the first and last good pixel of each row."""
    rows = np.flatnonzero(good.any(axis=1))
    first = good[rows].argmax(axis=1)
    last = good.shape[1] - 1 - good[rows, ::-1].argmax(axis=1)
    return np.concatenate([first, last]).astype(float), np.concatenate([rows, rows]).astype(float)


def project_image(image: SkyImage, frame: MosaicFrame) -> Mosaic:
    """Show an image on the grid of a mosaic.

    The map is linear, through the corners of the box around the good pixels; the flux is interpolated bilinearly
    where good pixels have at least half of the weight; variance and exposure are those of the nearest pixel (the
    variance interpolated where that one is bad).
    """
    good = np.where(image.good, image.flux, np.nan)
    rows, columns = find_finite_box(good)
    if rows.stop == rows.start:
        empty = np.full(frame.shape, np.nan)
        return Mosaic(empty, empty, np.zeros(frame.shape))
    x = np.array([columns.start, columns.stop - 1, columns.start, columns.stop - 1], dtype=float)
    y = np.array([rows.start, rows.start, rows.stop - 1, rows.stop - 1], dtype=float)
    target = np.stack(image.project(frame.plane, x, y), axis=1)
    coordinates = fit_affine_geometry(np.stack([x, y], axis=1), target, frame.shape).coordinates()
    flux = interpolate_image(good, coordinates, _FLUX)
    variance, exposure = interpolate_planes((image.variance, image.exposure), coordinates, _NEAREST)
    lacking = np.isfinite(flux) & np.isnan(variance)
    variance[lacking] = interpolate_image(image.variance, coordinates[:, lacking], _FLUX)
    return Mosaic(flux, variance, np.nan_to_num(exposure))


def combine_images(images: Sequence[SkyImage], frame: MosaicFrame, rule: CombinationRule) -> Mosaic:
    """Show all images on the grid of a mosaic and combine them pixel by pixel; exposures are added.

    A single image is only projected.
    """
    layers = [project_image(image, frame) for image in images]
    exposure = np.sum([layer.exposure for layer in layers], axis=0)
    if len(layers) == 1:
        return layers[0]
    combined = combine_stack([layer.flux for layer in layers], [layer.variance for layer in layers], rule)
    rejected = combined.rejected if rule.robust else math.nan
    return Mosaic(combined.flux, combined.variance, exposure, rejected)


def resample_images(
    images: Sequence[SkyImage], frame: MosaicFrame, *, smoothing: float = 1.0, weighted: bool = True
) -> Mosaic:
    """Fit local polynomials to the pixels of all images around each pixel of a mosaic.

    Parameters
    ----------
    images : sequence of SkyImage
        Images of any orientation.
    frame : MosaicFrame
        Grid of the mosaic.
    smoothing : float
        Standard deviation of the distance weights, pixels.
    weighted : bool
        Weight pixels with their inverse variances.
    """
    from sofia_engine.numerics.resampling import LocalRegression, resample_onto_grid

    samples = [_list_samples(image, frame) for image in images]
    x, y, flux, error = (np.concatenate(parts) for parts in zip(*samples, strict=True))
    rule = LocalRegression(WINDOW, ORDER, smoothing=smoothing, edge_threshold=EDGE_THRESHOLD, error_weighting=weighted)
    axes = [np.arange(n) for n in frame.shape[::-1]]
    fit = resample_onto_grid(np.stack([x, y]), flux, axes, rule, error)
    exposure = np.sum([project_image(image, frame).exposure for image in images], axis=0)
    return Mosaic(fit.values, fit.errors**2, exposure)


def _list_samples(image: SkyImage, frame: MosaicFrame) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Positions in the mosaic, flux and error of the good pixels."""
    rows, columns = np.nonzero(image.good)
    x, y = image.project(frame.plane, columns.astype(float), rows.astype(float))
    return x, y, image.flux[rows, columns], np.sqrt(image.variance[rows, columns])
