"""Shift between two images from their Fourier cross-correlation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.numerics.arrays import as_float
from sofia_engine.numerics.statistics import median_ignoring_nan

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import ComplexArray, FloatArray

__all__ = ["Registration", "measure_shift"]


@dataclass(frozen=True)
class Registration:
    """How a shift is searched.

    Attributes
    ----------
    start : (float, float)
        Expected shift (x, y), pixels; its rounded value is applied first, wrapping around.
    window : float or None
        Largest distance in x and in y from the rounded start at which the maximum is searched; None: anywhere.
    upsampling : int
        The shift is refined to 1/upsampling pixel.
    border : int
        Pixels on each side that are left out.
    """

    start: tuple[float, float] = (0.0, 0.0)
    window: float | None = None
    upsampling: int = 100
    border: int = 0


def measure_shift(image: ArrayLike, reference: ArrayLike, rule: Registration | None = None) -> tuple[float, float]:
    """Shift (x, y) in pixels that moves `image` onto `reference`.

    Parameters
    ----------
    image, reference : (ny, nx) array_like
        Images of equal shape; NaN is replaced by the median. Compare with the negative of an image to find where its
        negative sources must go to fall on positive ones.
    rule : Registration, optional
        Expected shift, search window, precision.

    Returns
    -------
    (float, float)
        Shift of the content: a source at p in `image` is at p + shift in `reference`. The images count as periodic,
        so shifts beyond half their size are only found with a start.

    Raises
    ------
    ValueError
        If the shapes differ or an image has no finite pixel.

    References
    ----------
    M. Guizar-Sicairos, S. T. Thurman, J. R. Fienup, Optics Letters 33, 156 (2008): the maximum of the correlation is
    refined with a matrix Fourier transform on a fine grid around it.
    """
    rule = rule or Registration()
    moved, fixed = _prepare(image, rule.border), _prepare(reference, rule.border)
    if moved.shape != fixed.shape:
        raise ValueError(f"images of shape {moved.shape} and {fixed.shape} cannot be registered")
    start = np.array([round(rule.start[1]), round(rule.start[0])])
    moved = np.roll(moved, tuple(start), axis=(0, 1))
    product = np.fft.fft2(fixed) * np.conj(np.fft.fft2(moved))
    peak = _find_maximum(np.fft.ifft2(product).real, rule.window)
    shift = start + (peak if rule.upsampling <= 1 else _refine_maximum(product, peak, rule.upsampling))
    return float(shift[1]), float(shift[0])


def _prepare(image: ArrayLike, border: int) -> FloatArray:
    """Image without border and median, in double precision; missing pixels become 0."""
    data = as_float(image).astype(np.float64)
    data = data[border : data.shape[0] - border, border : data.shape[1] - border]
    middle = median_ignoring_nan(data)
    if np.isnan(middle):
        raise ValueError("an image without finite pixels cannot be registered")
    return np.where(np.isfinite(data), data - middle, 0.0)


def _find_maximum(correlation: FloatArray, window: float | None) -> FloatArray:
    """Whole-pixel position (y, x) of the maximum, counted from zero shift to both sides."""
    offsets = [np.fft.fftfreq(n, 1.0 / n) for n in correlation.shape]
    if window is not None:
        near = np.abs(offsets[0])[:, np.newaxis] <= window
        correlation = np.where(near & (np.abs(offsets[1]) <= window), correlation, -np.inf)
    row, column = np.unravel_index(np.argmax(correlation), correlation.shape)
    return np.array([offsets[0][row], offsets[1][column]])


def _refine_maximum(product: ComplexArray, peak: FloatArray, upsampling: int) -> FloatArray:
    """Position of the maximum on a grid of 1/upsampling pixel within 3/4 pixel of a whole-pixel maximum."""
    steps = np.arange(-(3 * upsampling // 4), 3 * upsampling // 4 + 1) / upsampling
    fine = [
        np.exp(2j * np.pi * np.outer(center + steps, np.fft.fftfreq(n)))
        for center, n in zip(peak, product.shape, strict=True)
    ]
    row, column = np.unravel_index(np.argmax((fine[0] @ product @ fine[1].T).real), (steps.size, steps.size))
    refined: FloatArray = peak + np.array([steps[row], steps[column]])
    return refined
