"""Contours of an image, and their place on another image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sofia_viewers.image.drawing import Drawing
from sofia_viewers.image.frame import Frame
from sofia_viewers.image.geometry import map_pixels

__all__ = ["ContourSettings", "choose_levels", "draw_contours", "trace_contours"]

Spacing = Literal["linear", "sqrt", "log"]
FloatArray = NDArray[np.float64]

_LARGEST = 1024


@dataclass(frozen=True)
class ContourSettings:
    """How contours are made.

    Parameters
    ----------
    n_levels : int
        Number of levels.
    spacing : {"linear", "sqrt", "log"}
        How they are spread between the limits.
    smoothing : float
        Standard deviation of the Gaussian the image is smoothed with, pixels; 0 for none.
    color : str
        Colour.
    """

    n_levels: int = 6
    spacing: Spacing = "linear"
    smoothing: float = 1.0
    color: str = "#56B4E9"


def choose_levels(limits: tuple[float, float], settings: ContourSettings) -> FloatArray:
    """Return the levels: strictly between the limits, spread as the settings say."""
    part = np.arange(1, settings.n_levels + 1) / (settings.n_levels + 1)
    if settings.spacing == "sqrt":
        part = part**2
    elif settings.spacing == "log":
        part = np.expm1(part * np.log(1001.0)) / 1000.0
    low, high = limits
    return low + part * (high - low)


def trace_contours(image: NDArray[Any], levels: FloatArray, smoothing: float = 0.0) -> list[tuple[float, FloatArray]]:
    """Find the lines of equal value.

    Parameters
    ----------
    image : ndarray
        (n_y, n_x); NaN is missing, and lines end there. Images beyond 1024 pixels are reduced by averaging first.
    levels : ndarray
        Values.
    smoothing : float
        Standard deviation of a Gaussian, pixels; missing pixels have no weight in it.

    Returns
    -------
    list of (float, ndarray)
        Level and (n, 2) pixels x, y from 0; none of an image with a single row or column.
    """
    import contourpy

    from sofia_viewers.image.display import reduce_block

    step = max(1, -(-max(image.shape) // _LARGEST))
    values = np.asarray(image, dtype=np.float32)
    values = values if step == 1 else reduce_block(values, step)
    if min(values.shape) < 2:
        return []
    if smoothing > 0:
        values = _smooth(values, smoothing / step)
    generator = contourpy.contour_generator(z=np.ma.masked_invalid(values), name="serial")
    center = (step - 1) / 2
    return [
        (float(level), np.asarray(line) * step + center)
        for level in levels
        for line in generator.lines(float(level))
        if len(line) > 1
    ]


def draw_contours(
    source: Frame, target: Frame, limits: tuple[float, float], settings: ContourSettings
) -> list[Drawing]:
    """Return the contours of one frame on the pixels of another, through the sky if both have coordinates."""
    lines = [line for _, line in trace_contours(source.image, choose_levels(limits, settings), settings.smoothing)]
    if source is not target and source.wcs is not None and target.wcs is not None and lines:
        ends = np.cumsum([len(line) for line in lines])[:-1]
        lines = np.split(map_pixels(np.concatenate(lines), source.wcs, target.wcs), ends)
        lines = [line for line in lines if np.isfinite(line).all()]
    return [Drawing(settings.color, tuple(lines), width=1.2)] if lines else []


def _smooth(image: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    from scipy.ndimage import gaussian_filter

    good = np.isfinite(image)
    weight = gaussian_filter(good.astype(np.float32), sigma)
    total = gaussian_filter(np.where(good, image, 0).astype(np.float32), sigma)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(good, total / weight, np.nan).astype(np.float32)
