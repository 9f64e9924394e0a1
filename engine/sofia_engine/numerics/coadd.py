"""Combination of stacks of arrays (images, spectra, cubes) with variance and robust rejection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from sofia_engine.numerics.arrays import as_float
from sofia_engine.numerics.geometry import Canvas, place_image
from sofia_engine.numerics.statistics import clip_outliers, find_median_variance, median_ignoring_nan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import BoolArray, FloatArray, IndexArray

__all__ = ["CombinationRule", "CombinedStack", "ShiftedSum", "combine_stack", "shift_and_add"]


@dataclass(frozen=True)
class CombinationRule:
    """How the arrays of a stack become one.

    Attributes
    ----------
    method : {"mean", "median", "sum"}
        Statistic taken along the stack.
    weighted : bool
        Weight a mean with inverse variances; without effect on the other methods and where no variance is given.
    robust : bool
        Reject outliers first, see `sofia_engine.numerics.statistics.clip_outliers`.
    threshold : float
        Rejection threshold, standard deviations.
    maxiters : int
        Largest number of rejection rounds.
    large_sample : bool
        Give a median the variance that holds for very many values, pi/2 times that of the mean, whatever their number.
    """

    method: Literal["mean", "median", "sum"] = "mean"
    weighted: bool = True
    robust: bool = True
    threshold: float = 8.0
    maxiters: int = 5
    large_sample: bool = False


@dataclass(frozen=True, eq=False)
class CombinedStack:
    """A combined stack.

    Attributes
    ----------
    flux : ndarray
        Combined values, NaN where nothing was left.
    variance : ndarray
        Variance of `flux`, NaN in the same places.
    count : ndarray of int
        Number of arrays that took part.
    rejected : float
        Fraction of the finite values that were clipped as outliers.
    """

    flux: FloatArray
    variance: FloatArray
    count: IndexArray
    rejected: float = 0.0


def combine_stack(
    stack: ArrayLike | Sequence[FloatArray],
    variances: ArrayLike | Sequence[FloatArray] | None = None,
    rule: CombinationRule | None = None,
) -> CombinedStack:
    """Combine arrays of equal shape.

    Parameters
    ----------
    stack : (n, ...) array_like
        The arrays; NaN is missing.
    variances : (n, ...) array_like, optional
        Their variances. Left out, the scatter along the stack takes their place (NaN where fewer than two values).
    rule : CombinationRule, optional
        Method and rejection; the default is a robust weighted mean.

    Returns
    -------
    CombinedStack
        Of the shape of one array. Sum: V = ΣV. Mean: V = ΣV/n², weighted with 1/V: V = 1/Σ(1/V), where values with a
        variance that is zero or missing do not take part. Median: V = r·ΣV/n² with r for n values of normal noise,
        see `sofia_engine.numerics.statistics.find_median_variance`.

    Raises
    ------
    ValueError
        If the stack is empty or the shapes of values and variances differ.
    """
    rule = rule or CombinationRule()
    values = as_float(stack)
    if values.ndim == 0 or not len(values):
        raise ValueError("there is nothing to combine")
    spread = None if variances is None else as_float(variances)
    if spread is not None and spread.shape != values.shape:
        raise ValueError(f"values have shape {values.shape} but variances {spread.shape}")
    used = np.isfinite(values)
    rejected = 0.0
    if rule.robust:
        offered = int(np.count_nonzero(used))
        used &= clip_outliers(values, rule.threshold, rule.maxiters)
        rejected = 1.0 - np.count_nonzero(used) / max(offered, 1)
    weighted = rule.method == "mean" and rule.weighted and spread is not None
    if spread is None:
        spread = _scatter_along_stack(values, used)
    elif weighted:
        used &= np.isfinite(spread) & (spread > 0)
    count = used.sum(axis=0)
    flux, variance = _average_weighted(values, spread, used) if weighted else _average(values, spread, used, rule)
    empty = count == 0
    flux, variance = np.where(empty, np.nan, flux), np.where(empty, np.nan, variance)
    flux, variance = flux.astype(values.dtype, copy=False), variance.astype(spread.dtype, copy=False)
    return CombinedStack(flux, variance, count, rejected)


def _average_weighted(values: FloatArray, spread: FloatArray, used: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Mean with inverse variances as weights, and its variance."""
    weights = np.where(used, 1.0 / np.where(used, spread, 1.0).astype(np.float64), 0.0)
    total = weights.sum(axis=0)
    total = np.where(total > 0, total, 1.0)
    return (weights * np.where(used, values, 0)).sum(axis=0) / total, 1.0 / total


def _average(
    values: FloatArray, spread: FloatArray, used: BoolArray, rule: CombinationRule
) -> tuple[FloatArray, FloatArray]:
    """Unweighted mean, median or sum, and its variance."""
    count = np.maximum(used.sum(axis=0), 1)
    variance = np.where(used, spread, 0).sum(axis=0, dtype=np.float64)
    if rule.method == "median":
        kept = values if used.all() else np.where(used, values, values.dtype.type(np.nan))
        ratio = np.pi / 2 if rule.large_sample else find_median_variance(count)
        return median_ignoring_nan(kept, axis=0), ratio * variance / count**2
    total = np.where(used, values, 0).sum(axis=0, dtype=np.float64)
    return (total, variance) if rule.method == "sum" else (total / count, variance / count**2)


def _scatter_along_stack(values: FloatArray, used: BoolArray) -> FloatArray:
    """Sample variance of the used values of each pixel, repeated for each array; NaN for fewer than two values."""
    count = used.sum(axis=0)
    mean = np.where(used, values, 0).sum(axis=0, dtype=np.float64) / np.maximum(count, 1)
    squares = np.where(used, (values - mean) ** 2, 0).sum(axis=0)
    scatter = np.where(count > 1, squares / np.maximum(count - 1, 1), np.nan)
    return np.broadcast_to(scatter.astype(values.dtype), values.shape)


@dataclass(frozen=True, eq=False)
class ShiftedSum:
    """Sum of shifted copies of an image on a canvas.

    Attributes
    ----------
    flux, variance : (my, mx) ndarray
        Sums of the copies; zero where there is none.
    norm : (my, mx) ndarray
        Sum of the exposure maps of the copies.
    """

    flux: FloatArray
    variance: FloatArray
    norm: FloatArray

    def normalize(self, norm: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
        """Flux / norm and variance / norm², NaN where the norm (by default the stored one) is zero."""
        divisor = self.norm if norm is None else norm
        safe = np.where(divisor > 0, divisor, np.nan)
        return self.flux / safe, self.variance / safe**2


def shift_and_add(
    image: ArrayLike,
    variance: ArrayLike,
    copies: Sequence[tuple[float, float, int]],
    canvas: Canvas,
    *,
    norm: ArrayLike | None = None,
    order: int = 1,
) -> ShiftedSum:
    """Add shifted copies of an image, each with a sign.

    Parameters
    ----------
    image, variance : (ny, nx) array_like
        NaN is missing and adds nothing.
    copies : sequence of (float, float, int)
        Shift x, shift y, sign of each copy; the unshifted image is a copy with shift (0, 0).
    canvas : Canvas
        Frame of the result, see `sofia_engine.numerics.geometry.fit_canvas`.
    norm : (ny, nx) array_like, optional
        Exposure of the input; by default 1 where `image` is finite.
    order : int
        Interpolation of the flux; variance and norm are taken from the nearest pixel.
    """
    flux = as_float(image)
    exposure = np.isfinite(flux).astype(flux.dtype) if norm is None else as_float(norm)
    total = ShiftedSum(*(np.zeros(canvas.shape, dtype=flux.dtype) for _ in range(3)))
    for dx, dy, sign in copies:
        total.flux[...] += sign * place_image(flux, canvas, (dx, dy), order)
        total.variance[...] += place_image(variance, canvas, (dx, dy), 0)
        total.norm[...] += place_image(exposure, canvas, (dx, dy), 0)
    return total
