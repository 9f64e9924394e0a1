"""Convolution of scattered samples with a given kernel, at any points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sofia_engine.numerics.resampling.engine import Engine, Watch, describe_checks, describe_fits
from sofia_engine.numerics.resampling.resampler import finish_result
from sofia_engine.numerics.resampling.rules import EdgeAlgorithm, LocalRegression, PerDimension, per_dimension
from sofia_engine.numerics.resampling.samples import CellIndex, SampleSet
from sofia_engine.numerics.resampling.splines import (
    SplineRule,
    TensorSpline,
    fit_spline,
    interpolate_grid,
    is_interpolating,
    match_degrees,
)
from sofia_engine.numerics.resampling.targets import Targets

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import FloatArray
    from sofia_engine.numerics.resampling.execution import Cancelled, Progress
    from sofia_engine.numerics.resampling.results import Resampled

__all__ = ["ConvolutionKernel", "ConvolutionRule", "KernelResampler"]

_SPARE = 1e-6
"""Part of the spacing by which the window is larger than the kernel."""


@dataclass(frozen=True, eq=False)
class ConvolutionKernel:
    """A kernel as a spline of the offset of a sample from the output point, zero outside of the values given.

    Attributes
    ----------
    spline : TensorSpline
        Kernel in K dimensions.
    window : (K,) ndarray
        Half width of the window that holds it.
    negative : bool
        Whether it has negative values.
    """

    spline: TensorSpline
    window: FloatArray
    negative: bool

    @classmethod
    def of_grid(
        cls,
        values: ArrayLike,
        spacing: PerDimension | None = None,
        *,
        axes: Sequence[ArrayLike] | None = None,
        weights: ArrayLike | None = None,
        rule: SplineRule | None = None,
    ) -> ConvolutionKernel:
        """Kernel from values on a grid.

        Parameters
        ----------
        values : ndarray
            K axes in reversed order (..., y, x), the middle at offset 0.
        spacing : float or sequence of float, optional
            Of the grid in each dimension (x, y, ...).
        axes : sequence of (n,) array_like, optional
            Rising offsets (x, y, ...) of the grid, instead of `spacing`.
        weights : ndarray, optional
            Weights of the values in a smoothing spline.
        rule : SplineRule, optional
            Spline; by default cubic through all values.

        Raises
        ------
        ValueError
            If neither or both of `spacing` and `axes` are given, or shapes do not fit.
        RuntimeError
            If the spline is not good enough.
        """
        rule = rule or SplineRule()
        grid = np.asarray(values, dtype=np.float64).T
        lines = _lay_axes(grid.shape, spacing, axes)
        if not np.isfinite(grid).all():
            raise ValueError("a kernel must be finite")
        if is_interpolating(rule):
            spline = interpolate_grid(lines, grid, _limit_degrees(rule, grid.shape))
        else:
            offsets = np.stack([mesh.ravel() for mesh in np.meshgrid(*lines, indexing="ij")])
            sigma = None if weights is None else np.asarray(weights, dtype=np.float64).T.ravel()
            spline = fit_spline(offsets, grid.ravel(), sigma, rule)
        spacings = np.array([float(np.median(np.diff(line))) for line in lines])
        reach = np.array([np.abs(line).max() for line in lines])
        return cls(spline, reach * math.sqrt(grid.ndim) + _SPARE * spacings, bool((grid < 0).any()))

    @classmethod
    def of_offsets(
        cls,
        values: ArrayLike,
        offsets: ArrayLike,
        *,
        weights: ArrayLike | None = None,
        rule: SplineRule | None = None,
    ) -> ConvolutionKernel:
        """Kernel from values (n,) at scattered offsets (K, n); for the other parameters see `of_grid`."""
        heights, places = np.asarray(values, dtype=np.float64), np.atleast_2d(np.asarray(offsets, dtype=np.float64))
        if heights.ndim != 1 or places.ndim != 2 or places.shape[1:] != heights.shape:
            raise ValueError(f"kernel values of shape {heights.shape} and offsets {places.shape} do not fit")
        if not np.isfinite(heights).all() or not np.isfinite(places).all():
            raise ValueError("a kernel must be finite")
        sigma = None if weights is None else np.asarray(weights, dtype=np.float64)
        spline = fit_spline(places, heights, sigma, rule or SplineRule())
        spacings = np.array([float(np.median(np.diff(np.unique(line)))) for line in places])
        reach = np.abs(places).max(axis=1)
        return cls(spline, reach * math.sqrt(len(places)) + _SPARE * spacings, bool((heights < 0).any()))


def _lay_axes(
    shape: tuple[int, ...], spacing: PerDimension | None, axes: Sequence[ArrayLike] | None
) -> list[FloatArray]:
    """Offsets along each dimension."""
    if (spacing is None) == (axes is None):
        raise ValueError("give either the spacing of the kernel or its axes")
    lines: list[FloatArray]
    if axes is not None:
        lines = [np.asarray(axis, dtype=np.float64) for axis in axes]
        if tuple(len(line) for line in lines) != shape or any((np.diff(line) <= 0).any() for line in lines):
            raise ValueError(f"the axes of the kernel must rise and have {shape} values")
        return lines
    steps = per_dimension(spacing if spacing is not None else 1.0, len(shape), "spacing of the kernel")
    if not (steps > 0).all():
        raise ValueError(f"the spacing of the kernel must be positive: {spacing}")
    lines = [(np.arange(n) - n // 2 + (n % 2 == 0) / 2) * step for n, step in zip(shape, steps, strict=True)]
    return lines


def _limit_degrees(rule: SplineRule, shape: tuple[int, ...]) -> Any:
    """Degrees of each dimension, lowered where that is asked for."""
    degrees = match_degrees(rule, len(shape))
    if rule.exact and rule.reduce_degrees:
        return np.minimum(degrees, np.maximum(np.array(shape) // 2 - 1, 1))
    return degrees


@dataclass(frozen=True)
class ConvolutionRule:
    """How samples are convolved; for what is not said here see `LocalRegression`.

    Attributes
    ----------
    normalize : bool
        Divide by the sum of the weights: the result is a weighted mean; else it is their sum of products, as far as
        the errors of the samples do not weight them.
    absolute_weight : bool, optional
        Take the sum of the absolute weights for it; by default for kernels with negative values.
    """

    normalize: bool = True
    absolute_weight: bool | None = None
    error_weighting: bool = True
    edge_threshold: PerDimension = 0.0
    edge_algorithm: EdgeAlgorithm = "distribution"
    is_covar: bool = False
    metric: float = 2.0
    cval: float = math.nan
    jobs: float | None = None

    def as_mean(self, window: FloatArray) -> LocalRegression:
        """The weighted mean that a convolution is."""
        return LocalRegression(
            window=window,
            order=0,
            order_algorithm="none",
            error_weighting=self.error_weighting,
            edge_threshold=self.edge_threshold,
            edge_algorithm=self.edge_algorithm,
            is_covar=self.is_covar,
            metric=self.metric,
            jobs=self.jobs,
        )


class KernelResampler:
    """Samples that are convolved with a kernel at any points.

    Parameters
    ----------
    coordinates, data, error, mask, robust, negthresh
        See `sofia_engine.numerics.resampling.Resampler`.
    kernel : ConvolutionKernel
        Weight of a sample by its offset from the output point.
    rule : ConvolutionRule, optional
        Normalisation, weights, edges.

    Raises
    ------
    ValueError
        If shapes do not fit or no sample is usable.

    Examples
    --------
    >>> y, x = np.mgrid[:9, :9]
    >>> kernel = ConvolutionKernel.of_grid([[0, 1, 0], [1, 4, 1], [0, 1, 0]], 1.0, rule=SplineRule(degrees=1))
    >>> resampler = KernelResampler([x.ravel(), y.ravel()], x.ravel(), kernel)
    >>> round(float(resampler(4.0, 4.0).values), 6)
    4.0
    """

    def __init__(
        self,
        coordinates: ArrayLike,
        data: ArrayLike,
        kernel: ConvolutionKernel,
        error: ArrayLike | None = None,
        rule: ConvolutionRule | None = None,
        *,
        mask: ArrayLike | None = None,
        robust: float | None = None,
        negthresh: float | None = None,
    ) -> None:
        self.kernel, self.rule = kernel, rule or ConvolutionRule()
        samples = SampleSet.select(coordinates, data, error, mask=mask, robust=robust, negthresh=negthresh)
        self.dimensions = len(samples.coordinates)
        if self.dimensions != len(kernel.window):
            raise ValueError(f"the samples have {self.dimensions} dimensions, the kernel {len(kernel.window)}")
        mean = self.rule.as_mean(kernel.window)
        absolute = kernel.negative if self.rule.absolute_weight is None else self.rule.absolute_weight
        fits = describe_fits(mean, self.dimensions, has_errors=samples.has_errors, absolute=bool(absolute))
        self._description = (_describe_spline(kernel, mean), describe_checks(mean, self.dimensions), fits)
        self._engine = Engine.prepare(samples, CellIndex.sort(samples.coordinates, kernel.window), self.rule.jobs)

    @property
    def window(self) -> FloatArray:
        """Half width of the window in each dimension."""
        return self.kernel.window

    def __call__(
        self,
        *places: ArrayLike,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> Resampled:
        """Convolved values at points; see `sofia_engine.numerics.resampling.Resampler`.

        Returns
        -------
        Resampled
            `distance_weights` are the sums of the kernel at the samples.
        """
        targets = Targets.parse(places, self.dimensions)
        index = self._engine.index
        fit = self._engine.run(
            lambda start, stop: index.scale(targets.block(start, stop)),
            targets.count,
            self._description,
            Watch(progress, cancelled),
        )
        if not self.rule.normalize:
            sums = fit.distance_weights
            fit = replace(fit, values=fit.values * sums, errors=fit.errors * np.abs(sums))
        return finish_result(fit, targets, index.window, self.rule.cval, single=self._engine.samples.single)


def _describe_spline(kernel: ConvolutionKernel, mean: LocalRegression) -> Any:
    """Kernel weights for the compiled kernel."""
    from sofia_engine.numerics.resampling import _kernel

    spline = kernel.spline
    counts = np.array([len(knots) for knots in spline.knots], dtype=np.int64)
    knots = np.zeros((len(counts), int(counts.max())))
    for padded, line in zip(knots, spline.knots, strict=True):
        padded[: len(line)] = line
    return _kernel.Distances(
        _kernel.SPLINE,
        float(mean.metric),
        kernel.window.astype(np.float64),
        np.zeros((1, 1, 1)),
        spline.degrees.astype(np.int64),
        knots,
        counts,
        np.ascontiguousarray(spline.coefficients, dtype=np.float64).ravel(),
    )
