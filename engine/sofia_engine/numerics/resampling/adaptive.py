"""Distance weights that follow the data: one inverse kernel for each sample, from how well a first fit described it.

Where a smooth surface fits within the errors the kernel grows, where there is structure it shrinks; "shaped" kernels
also turn and stretch, so that they reach along contours and not across them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.numerics.resampling.rules import AdaptiveSmoothing, LocalRegression, per_dimension
from sofia_engine.numerics.resampling.windows import unit_ball_volume

if TYPE_CHECKING:
    from sofia_engine.numerics.arrays import BoolArray, FloatArray, IndexArray
    from sofia_engine.numerics.resampling.results import Resampled

__all__ = ["AdaptiveKernels", "FirstFits", "KernelSizes", "shape_kernels"]

_MOST_DIMENSIONS = 4
"""More dimensions have no integral over the window; the typical density of samples is assumed there."""
_NODES = 48
_WIDENING = math.pi / math.sqrt(2 * math.log(2))
"""Size of the first kernel over the standard deviation of the point spread function."""


@dataclass(frozen=True, eq=False)
class AdaptiveKernels:
    """Inverse kernels of samples; they depend on the samples alone and serve any output grid.

    Attributes
    ----------
    packed : (S, N, K(K+1)/2) ndarray
        Lower triangles, row by row, in units of the window, for all samples given; NaN: the sample is not used.
    window : (K,) ndarray
        The window they belong to.
    """

    packed: FloatArray
    window: FloatArray

    @property
    def matrices(self) -> FloatArray:
        """Inverse kernels (S, N, K, K): the distance weight is exp(-d Q d) for an offset d in units of the window."""
        dimensions = len(self.window)
        rows, columns = np.tril_indices(dimensions)
        full = np.empty((*self.packed.shape[:2], dimensions, dimensions))
        full[..., rows, columns] = self.packed
        full[..., columns, rows] = self.packed
        return full


@dataclass(frozen=True, eq=False)
class KernelSizes:
    """Sizes of kernels in units of the window, for each dimension.

    Attributes
    ----------
    precision : (K,) ndarray
        Diagonal of the inverse kernel of a sample that fits exactly as its error predicts.
    inverse_alpha : (K,) ndarray
        Factors of squared distances in the weights of the first fits.
    adaptive : (K,) ndarray of bool
        Dimensions that adapt.
    """

    precision: FloatArray
    inverse_alpha: FloatArray
    adaptive: BoolArray

    @classmethod
    def derive(cls, rule: LocalRegression, adaptive: AdaptiveSmoothing, window: FloatArray) -> KernelSizes:
        """Sizes from smoothing, window and thresholds."""
        thresholds = per_dimension(adaptive.threshold, len(window), "adaptive threshold")
        smoothing = per_dimension(0.0 if rule.smoothing is None else rule.smoothing, len(window), "smoothing")
        relative = smoothing if rule.relative_smooth else smoothing / window
        relative = np.where(relative > 0, relative, 1.0 / 3.0)
        follows = thresholds > 0
        sigma = np.where(follows, relative * _WIDENING, relative)
        first = np.where(follows, thresholds * sigma, sigma)
        return cls(1 / (2 * sigma**2), 1 / (2 * first**2), follows)


@dataclass(frozen=True, eq=False)
class FirstFits:
    """What the first fits, at the positions of n samples, say about them.

    Attributes
    ----------
    chi2 : (n,) ndarray
        Reduced chi-squared; NaN: the fit failed.
    counts, distance_weights : (n,) ndarray
        Samples used, and the sum of their distance weights.
    products : (n, K, K) ndarray or None
        Mean products of the components of the gradient; only shaped kernels need these and the following.
    offsets : (n,) ndarray or None
        Squared distance from the mean sample, in standard deviations.
    """

    chi2: FloatArray
    counts: IndexArray
    distance_weights: FloatArray
    products: FloatArray | None = None
    offsets: FloatArray | None = None

    @classmethod
    def take(cls, fit: Resampled, s: int, part: slice) -> FirstFits:
        """Some of the samples of one data set."""
        details = (fit.derivative_products, fit.offset_variance)
        products, offsets = (None if plane is None else plane[s, part] for plane in details)
        return cls(fit.reduced_chi2[s, part], fit.counts[s, part], fit.distance_weights[s, part], products, offsets)


def shape_kernels(fits: FirstFits, sizes: KernelSizes, rule: AdaptiveSmoothing) -> FloatArray:
    """Inverse kernels of samples.

    Parameters
    ----------
    fits : FirstFits
        Of n samples.
    sizes : KernelSizes
        In K dimensions.
    rule : AdaptiveSmoothing
        Algorithm, and what becomes of samples whose first fit failed.

    Returns
    -------
    (n, K(K+1)/2) ndarray
        Lower triangles; NaN where the first fit failed, unless they are to be kept.
    """
    dimensions, adaptive = len(sizes.precision), sizes.adaptive
    rough = np.sqrt(np.where(fits.chi2 > 0, fits.chi2, 1.0))
    number = np.count_nonzero(adaptive)
    if rule.algorithm == "scaled" or fits.products is None or fits.offsets is None or number == 1:
        factors = np.where(adaptive, rough[:, np.newaxis] ** (1.0 / number), 1.0)
        inverse: FloatArray = (factors * sizes.precision)[:, np.newaxis] * np.eye(dimensions)
    else:
        inverse = _shape(fits.products, _find_elongation(fits, fits.offsets, sizes, rough), sizes, rough)
    inverse[fits.chi2 <= 0] = np.diag(sizes.precision)
    inverse[~np.isfinite(fits.chi2)] = np.diag(sizes.precision) if rule.keep_unfitted else np.nan
    rows, columns = np.tril_indices(dimensions)
    return inverse[:, rows, columns]


def _shape(products: FloatArray, elongation: FloatArray, sizes: KernelSizes, rough: FloatArray) -> FloatArray:
    """Inverse kernels along the gradients; their volume follows `rough`, elongation how sure the gradients are."""
    dimensions = len(sizes.precision)
    good = np.asarray(np.isfinite(products).all(axis=(1, 2)))
    products = np.where(good[:, np.newaxis, np.newaxis], products, np.eye(dimensions))
    left, stretch, _ = np.linalg.svd(products, hermitian=True)
    full = good & (stretch[:, -1] > stretch[:, 0] * dimensions * np.finfo(float).eps)
    stretch = np.where(full[:, np.newaxis], stretch, 1.0)
    stretch = np.exp(np.log(stretch) - np.mean(np.log(stretch), axis=1, keepdims=True))
    power = np.where(full, elongation, 0.0)
    shape = (left * (stretch ** power[:, np.newaxis])[:, np.newaxis]) @ np.swapaxes(left, 1, 2)  # never negative
    fixed = np.flatnonzero(~sizes.adaptive)
    shape[:, fixed] = 0.0
    shape[:, :, fixed] = 0.0
    shape[:, fixed, fixed] = 1.0
    follows = sizes.adaptive
    volume = rough * np.prod(sizes.precision[follows]) / np.linalg.det(shape)
    scale = np.where(np.outer(follows, follows), (volume ** (1.0 / follows.sum()))[:, np.newaxis, np.newaxis], 1.0)
    inverse: FloatArray = shape * scale
    inverse[:, fixed, fixed] = sizes.precision[fixed]
    return inverse


def _find_elongation(fits: FirstFits, offsets: FloatArray, sizes: KernelSizes, rough: FloatArray) -> FloatArray:
    """Power of the axis ratios between -1 and 1: 0 for a fit as good as the errors predict, 1 for a bad one."""
    with np.errstate(all="ignore"):
        slope = np.exp(np.sqrt(offsets))
        density = _relative_density(fits, sizes)
        bracket = 1 + np.exp(density * (1 - rough)) * (2**slope - 1)
        power = 2 / bracket ** (1 / slope) - 1
    power = np.where(np.isfinite(bracket) & np.isfinite(power), power, 0.0)
    return np.asarray(power, dtype=np.float64)


def _relative_density(fits: FirstFits, sizes: KernelSizes) -> FloatArray:
    """Mean distance weight of the samples over that of samples spread evenly in the window."""
    dimensions = len(sizes.precision)
    if dimensions > _MOST_DIMENSIONS:
        return np.ones(1)
    even = _integrate_gaussian(sizes.inverse_alpha, np.ones(1))[0] / unit_ball_volume(dimensions)
    density: FloatArray = fits.distance_weights / (fits.counts * even)
    return density


def _integrate_gaussian(inverse_alpha: FloatArray, radius: FloatArray) -> FloatArray:
    """Integral of exp(-sum x^2/alpha) over balls of some radii, dimension by dimension."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    angle = nodes * (math.pi / 2)
    place = radius[:, np.newaxis] * np.sin(angle)
    step = radius[:, np.newaxis] * np.cos(angle) * weights * (math.pi / 2)
    height = np.exp(-inverse_alpha[0] * place**2)
    if len(inverse_alpha) > 1:
        rest = radius[:, np.newaxis] * np.cos(angle)
        height = height * _integrate_gaussian(inverse_alpha[1:], rest.ravel()).reshape(rest.shape)
    return np.asarray((height * step).sum(axis=1))
