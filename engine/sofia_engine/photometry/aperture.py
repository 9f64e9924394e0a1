"""Photometry in a circular aperture, the sky from a ring around it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sofia_engine.photometry.profile import Measured

__all__ = ["AperturePhotometry", "compute_circle_overlap", "measure_aperture"]

FloatArray = NDArray[np.float64]

_SMALLEST_SHARE = 1e-11


@dataclass(frozen=True)
class AperturePhotometry:
    """
    Flux in a circular aperture.

    Parameters
    ----------
    flux
        Sum above the sky, image unit, and its standard deviation.
    sky
        Mean sky per pixel and its standard deviation; NaN if there is no usable ring, and nothing is subtracted.
    sky_deviation
        Standard deviation of the ring's pixels.
    aperture_area, sky_area
        Area of the good pixels, pixels.
    """

    flux: Measured
    sky: Measured
    sky_deviation: float
    aperture_area: float
    sky_area: float


@dataclass(frozen=True)
class _Sum:
    total: float
    variance: float
    area: float


def compute_circle_overlap(shape: tuple[int, int], x: float, y: float, radius: float) -> FloatArray:
    """
    Compute which part of each pixel lies in a circle, exactly.

    Parameters
    ----------
    shape
        Numbers of rows and columns.
    x, y
        Column and row of the centre; the centre of the first pixel is 0, 0.
    radius
        Pixels.

    Returns
    -------
    array
        (n_y, n_x) areas from 0 to 1.
    """
    corner_x = np.clip(np.arange(shape[1] + 1) - 0.5 - x, -radius, radius)
    corner_y = np.clip(np.arange(shape[0] + 1) - 0.5 - y, -radius, radius)
    below = _compute_area_below(corner_x[np.newaxis, :], corner_y[:, np.newaxis], radius)
    return _clip_shares(np.diff(np.diff(below, axis=0), axis=1))


def measure_aperture(
    image: FloatArray,
    error: FloatArray | None,
    position: tuple[float, float],
    radius: float,
    sky_radii: tuple[float, float],
    *,
    geometric_areas: bool = False,
) -> AperturePhotometry:
    """
    Sum the flux in a circle and subtract the mean of a ring.

    Parameters
    ----------
    image
        (n_y, n_x) brightness; NaN pixels are left out.
    error
        (n_y, n_x) standard deviation, taken as independent between pixels; None if not known. Where it is not finite
        the mean variance of the other pixels is assumed.
    position
        Column and row of the centre, from 0.
    radius
        Of the aperture, pixels.
    sky_radii
        Inner and outer radius of the ring, pixels; if they enclose nothing, no sky is subtracted.
    geometric_areas
        True to scale the sky by the whole areas of circle and ring, even where pixels are bad or outside the image.

    Returns
    -------
    AperturePhotometry
        Flux S - S_b A/A_b with variance V + V_b (A/A_b)**2 for the sums S, V in the aperture and S_b, V_b in the ring.
    """
    box = _find_box(image.shape, position, max(radius, *sky_radii))
    pixels = image[box].astype(float)
    variance = None if error is None else error[box].astype(float) ** 2
    centre = position[0] - box[1].start, position[1] - box[0].start
    shape = (pixels.shape[0], pixels.shape[1])
    circle = _sum(pixels, variance, compute_circle_overlap(shape, *centre, radius))
    ring = _sum(pixels, variance, _compute_ring_overlap(shape, centre, sky_radii))
    if circle.area <= 0 or ring.area <= 0:
        unknown = Measured(math.nan, math.nan)
        return AperturePhotometry(_measure(circle), unknown, math.nan, circle.area, ring.area)
    area, ring_area = circle.area, ring.area
    if geometric_areas:
        area, ring_area = math.pi * radius**2, math.pi * (sky_radii[1] ** 2 - sky_radii[0] ** 2)
    ratio = area / ring_area
    flux = Measured(circle.total - ring.total * ratio, math.sqrt(circle.variance + ring.variance * ratio**2))
    sky = Measured(ring.total / ring_area, math.sqrt(ring.variance) / ring_area)
    return AperturePhotometry(flux, sky, _measure_deviation(pixels, centre, sky_radii), circle.area, ring.area)


def _compute_ring_overlap(
    shape: tuple[int, int], centre: tuple[float, float], radii: tuple[float, float]
) -> FloatArray:
    inner, outer = radii
    if inner < 0 or outer <= inner:
        return np.zeros(shape)
    overlap = compute_circle_overlap(shape, *centre, outer) - compute_circle_overlap(shape, *centre, inner)
    return _clip_shares(overlap)


def _clip_shares(shares: FloatArray) -> FloatArray:
    """Bring shares of pixels to 0 ... 1; what differences of areas leave by rounding becomes 0."""
    return np.where(shares < _SMALLEST_SHARE, 0.0, np.minimum(shares, 1.0))


def _measure(total: _Sum) -> Measured:
    return Measured(total.total, math.sqrt(total.variance)) if total.area > 0 else Measured(math.nan, math.nan)


def _find_box(shape: tuple[int, ...], position: tuple[float, float], radius: float) -> tuple[slice, slice]:
    x, y = position
    reach = math.ceil(radius) + 1
    rows = slice(max(0, int(y) - reach), max(0, min(shape[0], int(y) + reach + 2)))
    columns = slice(max(0, int(x) - reach), max(0, min(shape[1], int(x) + reach + 2)))
    return rows, columns


def _sum(pixels: FloatArray, variance: FloatArray | None, overlap: FloatArray) -> _Sum:
    good = np.isfinite(pixels) & (overlap > 0)
    weights = overlap[good]
    area = float(weights.sum())
    total = float(weights @ pixels[good])
    if variance is None or area <= 0:
        return _Sum(total, math.nan, area)
    values = variance[good]
    known = np.isfinite(values)
    known_area = float(weights[known].sum())
    # The share of a pixel scales its variance like independent noise spread over the pixel.
    summed = float(weights[known] @ values[known]) * area / known_area if known_area > 0 else math.nan
    return _Sum(total, summed, area)


def _measure_deviation(pixels: FloatArray, centre: tuple[float, float], radii: tuple[float, float]) -> float:
    x, y = centre
    distance = np.hypot(np.arange(pixels.shape[1]) - x, np.arange(pixels.shape[0])[:, np.newaxis] - y)
    values = pixels[(distance >= radii[0]) & (distance < radii[1]) & np.isfinite(pixels)]
    return float(values.std()) if values.size else math.nan


def _compute_area_below(x: FloatArray, y: FloatArray, radius: float) -> FloatArray:
    """Compute the area of the part of a circle about 0 left of x and below y, both within the radius."""
    half_chord = np.sqrt(np.maximum(radius**2 - y**2, 0.0))
    clipped = np.clip(x, -half_chord, half_chord)
    primitive_x, primitive_low = _integrate_circle(clipped, radius), _integrate_circle(-half_chord, radius)
    cap = primitive_x - primitive_low - np.abs(y) * (clipped + half_chord)
    whole = 2.0 * (_integrate_circle(x, radius) + 0.25 * math.pi * radius**2)
    return np.where(y >= 0, whole - cap, cap)


def _integrate_circle(x: FloatArray, radius: float) -> FloatArray:
    """Compute the integral of sqrt(radius**2 - t**2) over t from 0 to x."""
    if radius <= 0:
        return np.zeros_like(x)
    inside = np.clip(x / radius, -1.0, 1.0)
    area: FloatArray = 0.5 * radius**2 * (inside * np.sqrt(1.0 - inside**2) + np.arcsin(inside))
    return area
