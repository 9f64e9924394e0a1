"""What a resampler is told to do: window, order, weights, checks, adaptive smoothing."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np

from sofia_engine.numerics.arrays import FloatArray, IndexArray

__all__ = ["AdaptiveSmoothing", "LocalRegression", "PerDimension", "WindowEstimate", "count_workers", "per_dimension"]

EDGE_ALGORITHMS = ("none", "distribution", "ellipsoid", "box", "range")
ORDER_ALGORITHMS = ("none", "bounded", "extrapolate", "counts")
ADAPTIVE_ALGORITHMS = ("scaled", "shaped")
ERROR_MODES = ("reference", "sandwich")
_UNIT_LIMITED = {"ellipsoid", "box", "range"}

PerDimension: TypeAlias = float | Sequence[float] | FloatArray
EdgeAlgorithm: TypeAlias = Literal["distribution", "ellipsoid", "box", "range", "none"]
OrderAlgorithm: TypeAlias = Literal["bounded", "extrapolate", "counts", "none"]


@dataclass(frozen=True)
class WindowEstimate:
    """How a window is chosen from the density of the samples, see `sofia_engine.numerics.resampling.estimate_window`.

    Attributes
    ----------
    bins : int
        Bins in each dimension in which samples are counted.
    percentile : float
        Of the counts that are not zero; the typical density.
    oversample : float
        Samples wanted in a window, over those the order needs.
    """

    bins: int = 10
    percentile: float = 50.0
    oversample: float = 2.0

    def __post_init__(self) -> None:
        if self.bins < 1 or not 0 <= self.percentile <= 100 or not self.oversample > 0:
            raise ValueError(f"a window cannot be estimated with {self}")


@dataclass(frozen=True)
class AdaptiveSmoothing:
    """Distance weights that follow the data: wide where a smooth surface fits, narrow where it does not.

    Attributes
    ----------
    algorithm : {"scaled", "shaped"}
        Kernels change in size only; or they also turn and stretch along the gradients of the data.
    threshold : float or sequence of float
        Size of the kernel of the first fits, over the resolution; 1 is usual. 0 leaves a dimension as it is.
    keep_unfitted : bool
        Give samples whose first fit failed, mostly near borders, the kernel of the first fit; otherwise they are not
        used at all, so that the borders of the data are lost.
    """

    algorithm: Literal["scaled", "shaped"] = "scaled"
    threshold: PerDimension = 1.0
    keep_unfitted: bool = False

    def __post_init__(self) -> None:
        _check_choice("adaptive algorithm", self.algorithm, ADAPTIVE_ALGORITHMS)


@dataclass(frozen=True)
class LocalRegression:
    """How the value at a point follows from the samples around it.

    Attributes
    ----------
    window : float, sequence of float, or WindowEstimate
        Half width of the window in each dimension, units of the coordinates; or how to choose it.
    order : int or sequence of int
        Largest total degree of the polynomial; or the largest exponent of each coordinate, where the total degree is
        at most the largest of them. 0 gives weighted means.
    fix_order : bool
        Give no value where the samples do not support the order; else lower it there (only for a single order).
    smoothing : float or sequence of float
        Standard deviation of the Gaussian distance weights, units of the coordinates; 0: all samples in the window
        count the same. With `adaptive`: standard deviation of the point spread function (FWHM/2.3548) in the
        dimensions that adapt, and 0 stands for a third of the window.
    relative_smooth : bool
        `smoothing` is the divisor of the squared distance in units of the window instead (with `adaptive`: the
        standard deviation in units of the window).
    adaptive : AdaptiveSmoothing, optional
        Let the distance weights follow the data.
    edge_threshold : float or sequence of float
        How one-sided the samples may lie, by `edge_algorithm`; 0 allows all, higher values clip more.
    edge_algorithm : {"distribution", "ellipsoid", "box", "range", "none"}
        With m the mean position of the samples, v the point, t the threshold, in window units: the point must be
        within 1/t standard deviations of the sample distribution; (m - v)/(1 - t) at most 1 long; each component of
        m - v at most 1 - t; a sample at least t away on both sides in each dimension.
    order_algorithm : {"bounded", "extrapolate", "counts", "none"}
        Samples needed for order o: o different coordinates on both sides in each dimension; o + 1 different
        coordinates in each; as many samples as coefficients of the full product; no check.
    error_weighting : bool
        Weight samples with their inverse variances, if errors are given.
    error_mode : {"reference", "sandwich"}
        Variance of a fit: n/(n - r) times the first element of the inverse normal matrix, which takes low distance
        weights for low precision; or the variance of the linear combination of samples that the value is, the right
        one for given errors.
    estimate_covariance : bool
        In mode "reference": take the covariance from the distance weights and the mean variance.
    is_covar : bool
        The data are variances; give the variances of weighted means.
    fit_threshold : float
        Reject a polynomial where the root of its reduced chi-squared is above this size; positive: give the weighted
        mean instead; negative: give none; 0: keep all.
    local_robust : float
        Leave out samples whose residual in a window is further than this many standard deviations (from the median
        absolute deviation) from the median, and fit again; 0: keep all.
    largest_gain : float
        Give no value where a polynomial makes the noise larger than this many times that of the samples (the root of
        the sum of the squares of their shares in the value): samples that nearly lie on a line or in a plane hardly
        determine it, and its values are anything; 0: keep all.
    chi2 : bool
        Give reduced chi-squared; without, fits of samples of unequal errors take less time. `fit_threshold` needs it.
    metric : float
        Exponent p of the distance, the p-th root of the sum of abs(x)^p, that must be at most 1 window.
    cval : float
        Value where there is no fit.
    jobs : int, float or None
        Threads; None: as many as processors; 0 or 1: one; -1: all processors, -2: all but one, ...; between 0 and 1:
        share of the processors.

    Raises
    ------
    ValueError
        If a choice is unknown or a number out of range.
    """

    window: PerDimension | WindowEstimate = field(default_factory=WindowEstimate)
    order: int | Sequence[int] = 1
    fix_order: bool = True
    smoothing: PerDimension | None = 0.0
    relative_smooth: bool = False
    adaptive: AdaptiveSmoothing | None = None
    edge_threshold: PerDimension = 0.0
    edge_algorithm: EdgeAlgorithm = "distribution"
    order_algorithm: OrderAlgorithm = "bounded"
    error_weighting: bool = True
    error_mode: Literal["reference", "sandwich"] = "reference"
    estimate_covariance: bool = False
    is_covar: bool = False
    fit_threshold: float = 0.0
    local_robust: float = 0.0
    largest_gain: float = 0.0
    chi2: bool = True
    metric: float = 2.0
    cval: float = math.nan
    jobs: float | None = None

    def __post_init__(self) -> None:
        _check_choice("edge_algorithm", self.edge_algorithm, EDGE_ALGORITHMS)
        _check_choice("order_algorithm", self.order_algorithm, ORDER_ALGORITHMS)
        _check_choice("error_mode", self.error_mode, ERROR_MODES)
        if not self.metric >= 1:
            raise ValueError(f"metric must be at least 1: {self.metric}")
        if not self.local_robust >= 0:
            raise ValueError(f"local_robust must not be negative: {self.local_robust}")
        if not self.largest_gain >= 0:
            raise ValueError(f"largest_gain must not be negative: {self.largest_gain}")
        if self.fit_threshold and not self.chi2:
            raise ValueError("a fit_threshold needs chi2")
        count_workers(self.jobs)

    @property
    def single_order(self) -> bool:
        """Whether there is one order for all dimensions."""
        return isinstance(self.order, int | np.integer)

    def orders(self, dimensions: int) -> IndexArray:
        """Order of each dimension."""
        orders = per_dimension(self.order, dimensions, "order")
        if not (np.isfinite(orders) & (orders == np.floor(orders))).all():
            raise ValueError(f"order must be whole: {self.order}")
        return orders.astype(np.intp)

    def edge_thresholds(self, dimensions: int) -> FloatArray:
        """Edge threshold of each dimension."""
        thresholds = per_dimension(self.edge_threshold, dimensions, "edge_threshold")
        if self.edge_algorithm in _UNIT_LIMITED and not (thresholds < 1).all():
            raise ValueError(
                f"edge_threshold must be below 1 for the algorithm {self.edge_algorithm}: {self.edge_threshold}"
            )
        return thresholds

    def inverse_alpha(self, window: FloatArray) -> FloatArray:
        """Factors of squared distances in window units in the exponent of the distance weight; 0: no weight."""
        smoothing = per_dimension(0.0 if self.smoothing is None else self.smoothing, len(window), "smoothing")
        alpha = smoothing if self.relative_smooth else 2 * smoothing**2 / window**2
        return np.where(alpha > 0, 1.0 / np.where(alpha > 0, alpha, 1.0), 0.0)


def per_dimension(value: PerDimension | Sequence[int], dimensions: int, name: str) -> FloatArray:
    """One number for each dimension, none negative.

    Raises
    ------
    ValueError
        If there is another number of them, or one is negative or missing.
    """
    given = np.asarray(value, dtype=np.float64)
    if given.shape not in {(), (1,), (dimensions,)}:
        raise ValueError(f"{name} must be one number or {dimensions}: {value}")
    if not (given >= 0).all():
        raise ValueError(f"{name} must not be negative: {value}")
    return np.broadcast_to(given, (dimensions,))


def count_workers(jobs: float | None) -> int:
    """Number of threads that `jobs` stands for, see `LocalRegression`.

    Raises
    ------
    ValueError
        If it is not a number.
    """
    available = os.cpu_count() or 1
    if jobs is None:
        return available
    if not math.isfinite(jobs):
        raise ValueError(f"jobs must be a number: {jobs}")
    if 0 < jobs < 1:
        return max(int(jobs * available), 1)
    return max(int(jobs) if jobs >= 0 else available + 1 + int(jobs), 1)


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}: {value}")
