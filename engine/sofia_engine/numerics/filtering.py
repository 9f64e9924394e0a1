"""Filters of images with missing values: running medians, repeating patterns, interpolation over bad pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.numerics.arrays import as_float
from sofia_engine.numerics.polynomials import evaluate_monomials, list_exponents
from sofia_engine.numerics.row_polynomials import fit_rows
from sofia_engine.numerics.statistics import median_ignoring_nan

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import BoolArray, FloatArray, IndexArray

__all__ = [
    "interpolate_bad_pixels",
    "measure_pattern_without_source",
    "median_by_residue",
    "remove_row_pattern",
    "remove_row_pattern_by_median",
    "running_mean",
    "running_median",
]

ROWS_AT_ONCE = 64
LARGEST_EXTRAPOLATION = 5.0
"""Mean brightness of the rows in units of its spread, up to which it can be told what a dark row would show."""
OUTLYING = 4.0
"""Robust standard deviations."""


def running_median(image: ArrayLike, width: int = 21) -> FloatArray:
    """Median of a window that runs along x and wraps around at the ends, without NaN.

    Parameters
    ----------
    image : (..., nx) array_like
        Any unit; NaN is missing.
    width : int
        Number of pixels in the window, odd, at most nx.

    Returns
    -------
    ndarray
        Same shape and dtype; NaN only where a whole window is missing.

    Raises
    ------
    ValueError
        If `width` is even, not positive, or larger than the rows.
    """
    data = as_float(image)
    if width < 1 or width % 2 == 0 or width > data.shape[-1]:
        raise ValueError(f"the window width must be odd and between 1 and {data.shape[-1]}, not {width}")
    rows = data.reshape(-1, data.shape[-1])
    result = np.empty_like(rows)
    for start in range(0, len(rows), ROWS_AT_ONCE):  # blocks that stay in the processor's cache
        result[start : start + ROWS_AT_ONCE] = _median_of_windows(rows[start : start + ROWS_AT_ONCE], width)
    return result.reshape(data.shape)


def _median_of_windows(rows: FloatArray, width: int) -> FloatArray:
    """Running median of some rows: one partition for all windows, a sort for those with missing values."""
    half = width // 2
    wrapped = np.concatenate([rows[:, rows.shape[1] - half :], rows, rows[:, :half]], axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(wrapped, width, axis=1)
    result: FloatArray = np.partition(windows, half, axis=-1)[..., half]
    missing = np.isnan(wrapped)
    if missing.any():
        count = np.cumsum(np.pad(missing, ((0, 0), (1, 0))), axis=1)
        affected = count[:, width:] > count[:, :-width]
        result[affected] = median_ignoring_nan(windows[affected], axis=1)
    return result


def median_by_residue(image: ArrayLike, period: int = 16) -> FloatArray:
    """Median, in each row, of all pixels with the same x modulo a period, without NaN.

    Parameters
    ----------
    image : (..., nx) array_like
        Any unit; NaN is missing. `nx` must be a multiple of `period`.
    period : int
        Number of readout channels.

    Returns
    -------
    (..., nx) ndarray
        The repeating pattern; NaN for a channel without values.

    Raises
    ------
    ValueError
        If the rows do not hold whole periods.
    """
    data = as_float(image)
    if period < 1 or data.shape[-1] % period:
        raise ValueError(f"rows of {data.shape[-1]} pixels do not hold whole periods of {period}")
    repeats = data.shape[-1] // period
    pattern = median_ignoring_nan(data.reshape(*data.shape[:-1], repeats, period), axis=-2)
    return np.tile(pattern, repeats)


def running_mean(image: ArrayLike, period: int = 16) -> FloatArray:
    """Mean of a window of one period that runs along x and wraps around at the ends.

    The window is `period` pixels wide, centred, so that its outermost pixels count half: a pattern of that period adds
    the same to the mean everywhere.

    Parameters
    ----------
    image : (..., nx) array_like
        Any unit; NaN is missing.
    period : int
        Width of the window, even.

    Returns
    -------
    ndarray
        Same shape, double precision; NaN where a pixel of the window is missing.
    """
    data = as_float(image)
    half = period // 2
    wrapped = np.concatenate([data[..., data.shape[-1] - half :], data, data[..., :half]], axis=-1, dtype=np.float64)
    missing = np.isnan(wrapped)
    sums = np.cumsum(np.where(missing, 0.0, wrapped), axis=-1)
    sums = np.concatenate([np.zeros((*sums.shape[:-1], 1)), sums], axis=-1)
    boxes = sums[..., period:] - sums[..., :-period]
    mean: FloatArray = (boxes[..., :-1] + boxes[..., 1:]) / (2 * period)
    if missing.any():
        count = np.cumsum(np.pad(missing, [(0, 0)] * (data.ndim - 1) + [(1, 0)]), axis=-1)
        mean[count[..., period + 1 :] > count[..., : -period - 1]] = np.nan
    return mean


def remove_row_pattern(image: ArrayLike, period: int = 16) -> FloatArray:
    """Remove a pattern that repeats along each row, such as the offsets of readout channels ("jailbars").

    Parameters
    ----------
    image : (..., nx) array_like
        Any unit; NaN is missing and stays so.
    period : int
        Number of readout channels.

    Returns
    -------
    (..., nx) ndarray
        `image` without the median of (image - running mean) of each channel in each row, less the mean of these
        medians: a pattern of the period vanishes whatever its size, and the level of the row stays. Where too many
        pixels are missing for that, the row is treated like in `remove_row_pattern_by_median`.
    """
    data = as_float(image)
    pattern = median_by_residue(data - running_mean(data, period), period)
    lacking = np.isnan(pattern).any(axis=-1)
    if lacking.any():
        pattern[lacking] = median_by_residue(data[lacking] - running_median(data[lacking], period // 4 * 5 + 1), period)
    pattern = np.where(np.isnan(pattern), 0.0, pattern)
    pattern -= pattern[..., :period].mean(axis=-1, keepdims=True)
    return data - pattern.astype(data.dtype, copy=False)


def remove_row_pattern_by_median(image: ArrayLike, period: int = 16, width: int = 21) -> FloatArray:
    """Remove a repeating pattern as `remove_row_pattern`, with a running median below it, as earlier reductions did.

    The window of the median holds some channels twice, so that part of the pattern stays.

    Parameters
    ----------
    image : (..., nx) array_like
        Any unit; NaN is missing and stays so.
    period : int
        Number of readout channels.
    width : int
        Window of the running median that stands for the sky and sources below the pattern; larger than `period`.

    Returns
    -------
    (..., nx) ndarray
        `image` without the median of (image - running median) of each channel in each row.
    """
    data = as_float(image)
    pattern = median_by_residue(data - running_median(data, width), period)
    return data - np.where(np.isnan(pattern), data.dtype.type(0), pattern)


def measure_pattern_without_source(image: ArrayLike, period: int = 16) -> FloatArray | None:
    """Measure a pattern that repeats along x and is the same in all rows, apart from spectra that lie along rows.

    Parameters
    ----------
    image : (ny, nx) array_like
        Any unit; NaN is missing. `nx` must be a multiple of `period`.
    period : int
        Number of readout channels.

    Returns
    -------
    (nx,) ndarray or None
        The pattern, of mean 0. None if all rows are about equally bright, so that what they share may be the spectrum
        of a source as well as the pattern.

    Notes
    -----
    A source adds its spectrum to each row in proportion to the brightness of the row, the pattern adds the same to
    all. So each column is fitted with a straight line against the brightness of the rows (their medians), robustly;
    where that is 0, the line shows the column without source. The pattern is the median of these values, less their
    running mean over one period, over the repeats of each channel. Its noise is that of a pixel over the square root
    of the number of all pixels of a channel, in all rows together, times about 1.6.
    """
    data = as_float(image).astype(np.float64)
    brightness = median_ignoring_nan(data, axis=1)
    known = np.isfinite(brightness)
    spread = float(np.std(brightness[known])) if known.any() else 0.0
    if not spread > 0 or abs(float(np.mean(brightness[known]))) > LARGEST_EXTRAPOLATION * spread:
        return None
    columns = fit_rows(
        np.where(known, brightness, 0.0), data.T, 1, threshold=OUTLYING, mask=known & np.isfinite(data.T)
    )
    dark = columns(np.zeros(1)).T
    pattern: FloatArray = median_by_residue(dark - running_mean(dark, period), period)[0]
    return None if np.isnan(pattern).any() else pattern - pattern[:period].mean()


def interpolate_bad_pixels(
    image: ArrayLike, variance: ArrayLike | None = None, *, largest_radius: int = 9, order: int = 2
) -> tuple[FloatArray, FloatArray | None]:
    """Fill missing pixels with the value of a polynomial surface through good pixels around each.

    Parameters
    ----------
    image : (ny, nx) array_like
        Any unit; NaN is missing.
    variance : (ny, nx) array_like, optional
        Variance of the image, filled with the same weights but kept in the range of the values used.
    largest_radius : int
        A circle around the pixel grows from radius 1 to this, in whole pixels, until it holds at least 4 good pixels,
        which make up at least 20 % of it and have their centre of mass within 1 pixel of the pixel.
    order : int
        Largest total degree of the surface; lower where fewer than two good pixels per term are there.

    Returns
    -------
    image, variance : ndarray
        Copies with the values filled in (variance None if not given); pixels without enough neighbours stay NaN.
    """
    data, spread = np.array(as_float(image)), None if variance is None else np.array(as_float(variance))
    good = np.isfinite(data) if spread is None else np.isfinite(data) & np.isfinite(spread)
    source, source_spread = data.copy(), None if spread is None else spread.copy()
    for y, x in zip(*np.nonzero(~np.isfinite(data)), strict=True):
        around = _find_neighbours(good, (int(y), int(x)), largest_radius)
        if around is None:
            continue
        rows, columns = around[0], around[1]
        weights = _central_weights(rows - int(y), columns - int(x), order)
        data[y, x] = weights @ source[rows, columns]
        if spread is not None and source_spread is not None:
            used = source_spread[rows, columns]
            spread[y, x] = np.clip(weights @ used, used.min(), used.max())
    return data, spread


def _find_neighbours(
    good: BoolArray, center: tuple[int, int], largest_radius: int
) -> tuple[IndexArray, IndexArray] | None:
    """Good pixels in the smallest circle around a pixel that satisfies `interpolate_bad_pixels`."""
    (cy, cx), reach = center, largest_radius
    top, left = max(cy - reach, 0), max(cx - reach, 0)
    box = good[top : cy + reach + 1, left : cx + reach + 1]
    dy, dx = np.arange(box.shape[0]) + (top - cy), np.arange(box.shape[1]) + (left - cx)
    distance = dy[:, np.newaxis] ** 2 + dx**2
    for radius in range(1, largest_radius + 1):
        inside = distance <= radius**2
        used = inside & box
        count = np.count_nonzero(used)
        if count < 4 or count < 0.2 * np.count_nonzero(inside):
            continue
        rows, columns = np.nonzero(used)
        if np.hypot(dy[rows].mean(), dx[columns].mean()) <= 1:
            return rows + top, columns + left
    return None


def _central_weights(dy: IndexArray, dx: IndexArray, order: int) -> FloatArray:
    """Weights of values at offsets that give the value at the centre of the surface fitted through them."""
    degree = order
    while degree > 0 and len(dy) < 2 * len(list_exponents(degree, 2)):
        degree -= 1
    degree = max(degree, 1)
    terms = evaluate_monomials(np.stack([dy, dx]), list_exponents(degree, 2))
    weights: FloatArray = np.linalg.pinv(terms.T)[0]  # the constant term is the value at the centre
    return weights
