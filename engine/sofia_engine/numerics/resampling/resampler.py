"""Local polynomial regression: values at any point from scattered samples with errors.

Around each output point a polynomial is fitted to the samples in an ellipsoidal window, with Gaussian distance weights
and inverse-variance weights; see J. Fan, I. Gijbels, "Local Polynomial Modelling and Its Applications" (1996).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sofia_engine.numerics.resampling.adaptive import AdaptiveKernels, FirstFits, KernelSizes, shape_kernels
from sofia_engine.numerics.resampling.engine import Engine, Watch, describe_checks, describe_fits
from sofia_engine.numerics.resampling.results import Resampled
from sofia_engine.numerics.resampling.rules import AdaptiveSmoothing, LocalRegression, WindowEstimate, per_dimension
from sofia_engine.numerics.resampling.samples import CellIndex, SampleSet
from sofia_engine.numerics.resampling.targets import Targets
from sofia_engine.numerics.resampling.windows import estimate_window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import FloatArray, IndexArray
    from sofia_engine.numerics.resampling.execution import Cancelled, Progress

__all__ = ["Resampler", "finish_result", "resample_onto_grid", "resample_points"]

_SHAPED_AT_ONCE = 32768
"""Samples whose kernels are shaped together."""


class Resampler:
    """Samples from which values at any points follow by local polynomial regression.

    Parameters
    ----------
    coordinates : (K, N) or (N,) array_like
        Positions of the samples.
    data : (N,) or (S, N) array_like
        Values; S sets share the coordinates and are fitted independently. Those not finite are left out.
    error : float, (N,), (S, N) or (S,) array_like, optional
        1-sigma errors: of all, of each sample, or of each set; samples whose error is zero or not finite are left out.
        Without errors the scatter about the fit takes their place.
    rule : LocalRegression, optional
        Window, order, weights, checks.
    mask : (N,) or (S, N) array_like of bool, optional
        True where a sample may be used.
    robust : float, optional
        Leave out data further from the median of their set than this many standard deviations (from the median
        absolute deviation).
    negthresh : float, optional
        Leave out data below minus this many standard deviations of their set.
    kernels : AdaptiveKernels, optional
        Kernels of an earlier resampler with the same coordinates and window, instead of new ones.

    Raises
    ------
    ValueError
        If shapes do not fit, no sample is usable, there are fewer than the order needs, or a number is out of range.

    Notes
    -----
    In error mode "reference" the variance of a fit is n/(n - r) times the first element of the inverse normal matrix,
    with n samples and rank r: larger than the classical value, and with distance weights taken for lower precision.

    Examples
    --------
    >>> import numpy as np
    >>> x, y = np.random.default_rng(1).uniform(0, 10, (2, 500))
    >>> resampler = Resampler([x, y], x + 2 * y, 0.1, LocalRegression(window=2.0, order=1))
    >>> image = resampler(np.arange(2, 9), np.arange(3, 8))
    >>> image.values.shape, round(float(image.values[0, 0]), 6)
    ((5, 7), 8.0)
    """

    def __init__(
        self,
        coordinates: ArrayLike,
        data: ArrayLike,
        error: ArrayLike | None = None,
        rule: LocalRegression | None = None,
        *,
        mask: ArrayLike | None = None,
        robust: float | None = None,
        negthresh: float | None = None,
        kernels: AdaptiveKernels | None = None,
    ) -> None:
        self.rule = rule or LocalRegression()
        samples = SampleSet.select(coordinates, data, error, mask=mask, robust=robust, negthresh=negthresh)
        self.dimensions = len(samples.coordinates)
        self._fits = describe_fits(self.rule, self.dimensions, has_errors=samples.has_errors)
        self._checks = describe_checks(self.rule, self.dimensions)
        needed = int(np.prod(self.rule.orders(self.dimensions) + 1))
        if self.rule.order_algorithm != "none":
            samples.check_count(needed)
        index = CellIndex.sort(samples.coordinates, _choose_window(self.rule, samples.coordinates, needed))
        self._adaptive = _check_adaptive(self.rule, samples, self.dimensions)
        self._engine = Engine.prepare(samples, index, self.rule.jobs)
        self._kernels = kernels
        if kernels is not None and not _same_kernels(kernels, samples, index.window):
            raise ValueError("the adaptive kernels belong to other samples or to another window")

    @property
    def window(self) -> FloatArray:
        """Half width of the window in each dimension."""
        return self._engine.index.window

    @property
    def kernels(self) -> AdaptiveKernels | None:
        """Adaptive kernels, once they have been made by `adapt` or by the first call; usable for other grids."""
        return self._kernels

    def adapt(
        self,
        region: ArrayLike | None = None,
        *,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> AdaptiveKernels:
        """Make the adaptive kernels by a fit at each sample.

        Parameters
        ----------
        region : (K, M) array_like, optional
            Points; only samples within a window of the box around them get a kernel, others are not used.
        progress, cancelled : callable, optional
            See `__call__`.

        Returns
        -------
        AdaptiveKernels
            Which the resampler will use from now on.

        Raises
        ------
        ValueError
            If the rule has no adaptive smoothing.
        """
        if self._adaptive is None:
            raise ValueError("the rule has no adaptive smoothing")
        index, samples = self._engine.index, self._engine.samples
        chosen = np.arange(len(index.order))
        if region is not None:
            box = index.scale(Targets.parse([np.asarray(region)], self.dimensions).block(0, np.size(region)))
            lines = index.coordinates.T
            chosen = np.flatnonzero(((lines >= box.min(axis=0) - 1) & (lines <= box.max(axis=0) + 1)).all(axis=1))
        sizes = KernelSizes.derive(self.rule, self._adaptive, index.window)
        fit = self._fit_samples(chosen, sizes, Watch(progress, cancelled))
        pairs = self.dimensions * (self.dimensions + 1) // 2
        packed = np.full((len(samples.values), len(samples.kept), pairs), np.nan)
        places = np.flatnonzero(samples.kept)[index.order[chosen]]
        for s, kernels in enumerate(packed):
            for start in range(0, len(places), _SHAPED_AT_ONCE):
                part = slice(start, start + _SHAPED_AT_ONCE)
                kernels[places[part]] = shape_kernels(FirstFits.take(fit, s, part), sizes, self._adaptive)
        self._kernels = AdaptiveKernels(packed, index.window)
        return self._kernels

    def _fit_samples(self, chosen: IndexArray, sizes: KernelSizes, watch: Watch) -> Resampled:
        """First fits at the positions of some of the sorted samples."""
        lines = self._engine.index.coordinates
        fits = self._fits._replace(fit_threshold=0.0, largest_gain=0.0, sandwich=False, is_variance=False, chi2=True)
        checks = describe_checks(self.rule, self.dimensions, edges=False)

        def block(start: int, stop: int) -> FloatArray:
            return np.ascontiguousarray(lines[:, chosen[start:stop]].T)

        description = (_describe_gaussian(self.rule, sizes.inverse_alpha), checks, fits)
        shaped = self._adaptive is not None and self._adaptive.algorithm == "shaped"
        return self._engine.run(block, len(chosen), description, watch, details=shaped)

    def __call__(
        self,
        *places: ArrayLike,
        details: bool = False,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> Resampled:
        """Values at points.

        Parameters
        ----------
        *places : array_like
            K axes (x, y, ...) of a regular grid: results have the shape (..., len(y), len(x)). K numbers: one point.
            One array (K, M): a list of points, results have the shape (M,).
        details : bool
            Also give gradients, their products, and the offset from the mean sample.
        progress : callable, optional
            Called with the numbers of finished points and of all after each block of points (with adaptive smoothing,
            first for the fits at the samples); an exception it raises ends the work.
        cancelled : callable, optional
            Asked after every block; the work ends when it returns True.

        Returns
        -------
        Resampled
            Fits; several data sets are the first axis.

        Raises
        ------
        ValueError
            If the number of dimensions is not that of the samples.
        concurrent.futures.CancelledError
            If the work was cancelled.
        """
        targets = Targets.parse(places, self.dimensions)
        if self._adaptive is not None and self._kernels is None:
            self.adapt(progress=progress, cancelled=cancelled)
        description = (self._describe_distances(), self._checks, self._fits)
        index = self._engine.index
        fit = self._engine.run(
            lambda start, stop: index.scale(targets.block(start, stop)),
            targets.count,
            description,
            Watch(progress, cancelled),
            details=details,
        )
        return finish_result(fit, targets, index.window, self.rule.cval, single=self._engine.samples.single)

    def _describe_distances(self) -> Any:
        if self._adaptive is None or self._kernels is None:
            return _describe_gaussian(self.rule, self.rule.inverse_alpha(self.window))
        from sofia_engine.numerics.resampling import _kernel

        samples, index = self._engine.samples, self._engine.index
        places = np.flatnonzero(samples.kept)[index.order]
        shapes = np.take(self._kernels.packed, places, axis=1)
        return _describe_gaussian(self.rule, np.zeros(self.dimensions))._replace(mode=_kernel.SHAPED, shapes=shapes)


def finish_result(fit: Resampled, targets: Targets, window: FloatArray, cval: float, *, single: bool) -> Resampled:
    """Give results the shape of the output points, gradients the unit of the coordinates, and missing values `cval`."""
    sets = len(fit.values)
    leading = () if single else (sets,)
    planes = {
        name: plane.reshape((*leading, *targets.shape, *plane.shape[2:]))
        for name, plane in vars(fit).items()
        if plane is not None
    }
    if not np.isnan(cval):
        planes["values"] = np.where(np.isnan(planes["values"]), cval, planes["values"])
    if "gradients" in planes:
        planes["gradients"] = planes["gradients"] / window
    return Resampled(**planes)


def _describe_gaussian(rule: LocalRegression, inverse_alpha: FloatArray) -> Any:
    """Distance weights with axes along the dimensions, for the kernel."""
    from sofia_engine.numerics.resampling import _kernel

    mode = _kernel.GAUSSIAN if inverse_alpha.any() else _kernel.UNIFORM
    nothing = np.zeros(1, dtype=np.int64)
    return _kernel.Distances(
        mode, float(rule.metric), inverse_alpha, np.zeros((1, 1, 1)), nothing, np.zeros((1, 1)), nothing, np.zeros(1)
    )


def _choose_window(rule: LocalRegression, coordinates: FloatArray, needed: int) -> FloatArray:
    """The window of a rule, or the estimated one."""
    if isinstance(rule.window, WindowEstimate):
        return estimate_window(coordinates, needed, rule.window)
    window = per_dimension(rule.window, len(coordinates), "window").copy()
    if not (window > 0).all() or not np.isfinite(window).all():
        raise ValueError(f"the window must be positive and finite: {rule.window}")
    return window


def _check_adaptive(rule: LocalRegression, samples: SampleSet, dimensions: int) -> AdaptiveSmoothing | None:
    """The adaptive smoothing if there is any, and the samples and the rule allow it."""
    adaptive = rule.adaptive
    if adaptive is None or not per_dimension(adaptive.threshold, dimensions, "adaptive threshold").any():
        return None
    if not samples.has_errors or not rule.error_weighting:
        raise ValueError("adaptive smoothing needs errors and error weighting")
    if not rule.orders(dimensions).any():
        raise ValueError("adaptive smoothing needs an order above 0")
    return adaptive


def _same_kernels(kernels: AdaptiveKernels, samples: SampleSet, window: FloatArray) -> bool:
    shape = (len(samples.values), len(samples.kept))
    return kernels.packed.shape[:2] == shape and np.array_equal(kernels.window, window)


def resample_points(
    coordinates: ArrayLike,
    values: ArrayLike,
    points: ArrayLike,
    rule: LocalRegression,
    errors: ArrayLike | None = None,
    *,
    robust: float | None = None,
    negthresh: float | None = None,
    progress: Progress | None = None,
) -> Resampled:
    """Local polynomial regression at a list of points.

    Parameters
    ----------
    points : (K, M) or (M,) array_like
        Output points. For the other parameters see `Resampler`.

    Returns
    -------
    Resampled
        Arrays of shape (M,).
    """
    targets = np.asarray(points, dtype=np.float64)
    targets = targets[np.newaxis] if targets.ndim == 1 and np.ndim(coordinates) == 1 else targets
    resampler = Resampler(coordinates, values, errors, rule, robust=robust, negthresh=negthresh)
    return resampler(targets, progress=progress)


def resample_onto_grid(
    coordinates: ArrayLike,
    values: ArrayLike,
    axes: Sequence[ArrayLike],
    rule: LocalRegression,
    errors: ArrayLike | None = None,
) -> Resampled:
    """Local polynomial regression on a regular grid.

    Parameters
    ----------
    axes : sequence of (n,) array_like
        The K grid axes in the order of the coordinates (x, y, ...). For the other parameters see `Resampler`.

    Returns
    -------
    Resampled
        Arrays with the axes in reversed order (..., y, x).
    """
    return Resampler(coordinates, values, errors, rule)(*axes)
