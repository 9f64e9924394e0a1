"""Slopes of ramps: bias, straight-line fits up to saturation, rejection, and their mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from sofia_engine.errors import StepError
from sofia_engine.instruments.fifi_ls.raw import N_SPAXEL, N_SPEXEL
from sofia_engine.numerics.statistics import clip_outliers, median_ignoring_nan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sofia_engine.numerics.arrays import BoolArray, FloatArray

__all__ = [
    "OutlierRule",
    "RampSampling",
    "Slopes",
    "average_slopes",
    "find_outliers",
    "find_unstable_ramps",
    "fit_ramps",
    "fit_slopes",
    "fold_ramps",
    "follow_signal",
    "pool_variances",
    "subtract_bias",
    "widen_by_scatter",
]

_BIAS_LEVEL = 5000
_INT16 = np.iinfo(np.int16)
_MAD_FACTOR = 1.482
_RAMPS_AT_ONCE = 64
_UNUSUAL = 6.0
"""Pixels that scatter more than so many times as much as most say nothing about the others."""
_GRATING_CLIP, _GRATING_ROUNDS = 3.0, 5
_GRATING_CLOSE = 5.0
"""A mean position further from the commanded one than this many standard deviations is no read-back at all."""

OutlierRule = Literal["pixel", "ramp"]


@dataclass(frozen=True)
class RampSampling:
    """Which samples of a ramp are used.

    Attributes
    ----------
    length : int
        Readouts of a ramp.
    skipped : int
        Readouts dropped at its beginning; the last one is dropped as well.
    least : int
        Ramps that saturate after fewer samples, or as many, are not used.
    """

    length: int
    skipped: int = 2
    least: int = 2

    @property
    def part(self) -> slice:
        """The readouts of a ramp that are fitted; all of them if it is too short to lose some."""
        return slice(self.skipped, -1) if self.length > self.skipped + 1 else slice(None)


@dataclass(frozen=True, eq=False)
class Slopes:
    """Slopes of ramps, counts per readout, with their variances and the number of samples; NaN where there is none."""

    slope: FloatArray
    variance: FloatArray
    samples: FloatArray


def subtract_bias(data: NDArray[np.int16]) -> NDArray[np.int16]:
    """Subtract the readout of the open row from all others of its column.

    Parameters
    ----------
    data : (n, 18, 26) ndarray of int16
        Readouts; the first row has no detector.

    Returns
    -------
    (n, 18, 26) ndarray of int16
        Around a level of 5000 above the lowest number; what would lie beyond 16 bits is set to their ends.
    """
    level = data[:, :1].astype(np.int32) + (-_INT16.min - _BIAS_LEVEL)
    corrected: NDArray[np.int16] = np.clip(data - level, _INT16.min, _INT16.max).astype(np.int16)
    return corrected


def fold_ramps(data: NDArray[np.int16], length: int) -> NDArray[np.int16]:
    """Return readouts as ramps, without bias row, empty row and grating column.

    Parameters
    ----------
    data : (n, 18, 26) ndarray
        Readouts.
    length : int
        Readouts of a ramp.

    Returns
    -------
    (n / length, length, 16, 25) ndarray

    Raises
    ------
    StepError
        If the readouts are no whole ramps.
    """
    if not len(data) or len(data) % length:
        raise StepError(f"{len(data)} readouts are no whole ramps of {length}")
    return data[:, 1 : 1 + N_SPEXEL, :N_SPAXEL].reshape(-1, length, N_SPEXEL, N_SPAXEL)


def find_unstable_ramps(positions: FloatArray, commanded: float, threshold: float) -> BoolArray:
    """Tell during which ramps the grating was not where it should be.

    Parameters
    ----------
    positions : (n_ramp, length) ndarray
        Read-back of the grating in each readout.
    commanded : float
        Position it should have.
    threshold : float
        A ramp is bad if its mean is further from there, or its scatter is larger, than so many standard deviations;
        0 or less for no test.

    Returns
    -------
    (n_ramp,) ndarray of bool
        All false where the read-back is not usable.
    """
    stable = np.zeros(len(positions), dtype=bool)
    if threshold <= 0 or not positions.size:
        return stable
    mean, sigma = _clipped_mean(positions)
    if np.isclose(sigma, 0) or np.isclose(mean, 0) or abs(mean - commanded) > _GRATING_CLOSE * sigma:
        return stable
    far = np.abs(positions.mean(axis=1) - commanded) > threshold * sigma
    unstable: BoolArray = far | (positions.std(axis=1) > threshold * sigma)
    return unstable


def _clipped_mean(values: FloatArray) -> tuple[float, float]:
    kept = values.ravel()[clip_outliers(values.ravel(), _GRATING_CLIP, _GRATING_ROUNDS)]
    return float(kept.mean()), float(kept.std())


def fit_ramps(ramps: NDArray[np.int16], sampling: RampSampling, unstable: BoolArray | None = None) -> Slopes:
    """Fit all ramps of a grating position, some at a time.

    Parameters
    ----------
    ramps : (n_ramp, length, 16, 25) ndarray
        Counts.
    sampling : RampSampling
        Which samples are used.
    unstable : (n_ramp,) ndarray of bool, optional
        Ramps that are not fitted.

    Returns
    -------
    Slopes
        Arrays (n_ramp, 16, 25).
    """
    count = len(ramps)
    slope, variance, samples = np.full((3, count, *ramps.shape[2:]), np.nan)
    for first in range(0, count, _RAMPS_AT_ONCE):
        part = slice(first, first + _RAMPS_AT_ONCE)
        fitted = fit_slopes(ramps[part, sampling.part], sampling.least)
        slope[part], variance[part], samples[part] = fitted.slope, fitted.variance, fitted.samples
    if unstable is not None:
        slope[unstable] = variance[unstable] = np.nan
    return Slopes(slope, variance, samples)


def fit_slopes(samples: NDArray[np.int16], least: int = 2) -> Slopes:
    """Fit straight lines to ramps.

    Parameters
    ----------
    samples : (n_ramp, n, ...) ndarray
        Samples of ramps along the second axis, counts.
    least : int
        Ramps that saturate after so many samples or fewer give no slope.

    Returns
    -------
    Slopes
        Arrays (n_ramp, ...): counts per sample, and the variance of the slope from the scatter about the line, ``SSR /
        (n - 2) / sum((t - mean t)^2)``.

    Notes
    -----
    A ramp is fitted up to the sample before its largest one, where that is neither the first nor the last: there the
    detector saturates. Sums of whole numbers are exact.
    """
    total = samples.shape[1]
    top = samples.argmax(axis=1)
    count = np.where((top == 0) | (top == total - 1), total, np.where(top <= least, 0, top))
    time = np.arange(total, dtype=np.float64).reshape(-1, *(1,) * (samples.ndim - 2))
    values = samples.astype(np.float64) - samples[:, :1]
    values *= time < count[:, np.newaxis]
    with np.errstate(divide="ignore", invalid="ignore"):
        n = np.where(count > 0, count, np.nan).astype(np.float64)
        spread = n * (n * n - 1) / 12
        plain = values.sum(axis=1)
        slope = ((values * time).sum(axis=1) - plain * (n - 1) / 2) / spread
        residual = np.square(values).sum(axis=1) - plain * plain / n - slope * slope * spread
        variance = np.maximum(residual, 0.0) / (n - 2) / spread
    return Slopes(slope, np.where(n > 2, variance, np.nan), n)


def drop_noisy(slopes: Slopes, threshold: float) -> Slopes:
    """Return slopes without those of a signal-to-noise ratio below a threshold; 0 or less keeps all."""
    if threshold <= 0:
        return slopes
    with np.errstate(invalid="ignore"):
        noisy = slopes.slope < threshold * np.sqrt(slopes.variance)
    noisy &= slopes.variance > 0
    slope, variance = (np.where(noisy, np.nan, values) for values in (slopes.slope, slopes.variance))
    return Slopes(slope, variance, slopes.samples)


def find_outliers(slope: FloatArray, threshold: float, rule: OutlierRule) -> BoolArray:
    """Tell which slopes are outliers.

    Parameters
    ----------
    slope : (n_ramp, 16, 25) ndarray
        Slopes; NaN is missing and no outlier.
    threshold : float
        In units of 1.482 times the median absolute deviation.
    rule : {"pixel", "ramp"}
        Compare with the slopes of the same pixel in all ramps, or with all pixels in the same ramp. The latter is the
        way of earlier reductions: it drops bright pixels and keeps glitches.

    Notes
    -----
    The scatter of a pixel, known from a few ramps only, counts as that of a typical pixel at least: else ordinary
    noise would be taken for outliers in the pixels whose scatter happens to look small.
    """
    lines = slope if rule == "pixel" else slope.reshape(len(slope), -1)
    axis = 0 if rule == "pixel" else 1
    center = np.expand_dims(median_ignoring_nan(lines, axis=axis), axis)
    deviation = np.abs(lines - center)
    scatter = np.expand_dims(median_ignoring_nan(deviation, axis=axis), axis)
    if rule == "pixel":
        scatter = np.fmax(scatter, median_ignoring_nan(scatter))
    limit = threshold * _MAD_FACTOR * scatter
    with np.errstate(invalid="ignore"):
        outliers: BoolArray = (deviation > limit).reshape(slope.shape)
    return outliers


def follow_signal(slope: FloatArray) -> FloatArray:
    """Return medians of the two ramps before and the two after each: the signal that a scan sweeps over.

    Parameters
    ----------
    slope : (n_ramp, 16, 25) ndarray
        Slopes; NaN is missing.

    Returns
    -------
    ndarray
        Of the same shape. The ramp itself does not count: else its difference would be 0 wherever the signal rises or
        falls faster than the noise, and the scatter of the differences would be too small.
    """
    padded = np.pad(slope, ((2, 2), (0, 0), (0, 0)), constant_values=np.nan)
    around = np.stack([padded[start : start + len(slope)] for start in (0, 1, 3, 4)])
    return median_ignoring_nan(around, axis=0)


def average_slopes(slopes: Slopes, outliers: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Average slopes over the ramps, weighted with inverse variances.

    Parameters
    ----------
    slopes : Slopes
        Arrays (n_ramp, 16, 25).
    outliers : (n_ramp, 16, 25) ndarray of bool
        Slopes that are not used.

    Returns
    -------
    flux, error : (16, 25) ndarray
        Mean and its error; NaN and 0 where no slope is left.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = 1.0 / slopes.variance
        weight[outliers | ~np.isfinite(slopes.slope) | ~np.isfinite(weight)] = 0.0
        total = weight.sum(axis=0)
        flux = (weight * np.where(weight > 0, slopes.slope, 0.0)).sum(axis=0) / total
        error = np.where(total > 0, 1.0 / np.sqrt(total), 0.0)
    return np.where(total > 0, flux, np.nan), error


def pool_variances(slopes: Slopes, outliers: BoolArray) -> Slopes:
    """Return slopes with variances that follow from all ramps of the pixel, and from their scatter from ramp to ramp.

    Parameters
    ----------
    slopes : Slopes
        Arrays (n_ramp, 16, 25).
    outliers : (n_ramp, 16, 25) ndarray of bool
        Slopes that do not count.

    Returns
    -------
    Slopes
        The same slopes.

    Notes
    -----
    All ramps of a pixel have the same noise, so its variance is the mean of what their fits say, weighted with their
    degrees of freedom. Variances of single ramps are noisy themselves: with 29 samples, weights from them make the
    error of the mean 8 % too small, and 4 % larger than it need be.

    Noise that a ramp collects, such as that of photons, shows in its slope but hardly in the scatter about its line.
    If slopes scatter more from ramp to ramp than their variances say, these are enlarged by one factor for all pixels.
    """
    used = (slopes.variance > 0) & np.isfinite(slopes.slope) & ~outliers
    n = np.where(used, slopes.samples, 0.0)
    spread, freedom = n * (n * n - 1) / 12, np.where(used, n - 2, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        noise = (freedom * spread * np.where(used, slopes.variance, 0.0)).sum(axis=0) / freedom.sum(axis=0)
        mean = (spread * np.where(used, slopes.slope, 0.0)).sum(axis=0) / spread.sum(axis=0)
        squares = (spread * np.where(used, slopes.slope - mean, 0.0) ** 2).sum(axis=0) / noise
        pooled = np.where(used, noise * _find_excess(squares, used.sum(axis=0) - 1.0) / spread, slopes.variance)
    return Slopes(slopes.slope, pooled, slopes.samples)


def _find_excess(squares: FloatArray, freedom: FloatArray) -> float:
    """How many times larger than expected squares are, for most pixels; at least 1."""
    known = np.isfinite(squares) & (freedom > 0)
    if not known.any():
        return 1.0
    ratios = squares[known] / freedom[known]
    usual = ratios <= _UNUSUAL * np.median(ratios)
    return max(1.0, float(squares[known][usual].sum() / freedom[known][usual].sum()))


def widen_by_scatter(slopes: Slopes, outliers: BoolArray) -> FloatArray:
    """Return the errors of single ramps, with the scatter from ramp to ramp that their fits do not know of.

    Parameters
    ----------
    slopes : Slopes
        Arrays (n_ramp, 16, 25), in the order of time.
    outliers : (n_ramp, 16, 25) ndarray of bool
        Slopes that do not count.

    Returns
    -------
    (n_ramp, 16, 25) ndarray
        Square root of the larger of the variance of the fit and that of the scatter; NaN where there is no slope.

    Notes
    -----
    The scatter is that of the second differences of successive ramps (1.4826 times their median absolute value over
    the square root of 6), in which neither a drift nor a source that the telescope crosses in several ramps counts.
    """
    slope = np.where(outliers, np.nan, slopes.slope)
    if len(slope) < 3:
        return np.sqrt(slopes.variance)
    second = slope[:-2] - 2 * slope[1:-1] + slope[2:]
    scatter = 1.4826 * median_ignoring_nan(np.abs(second), axis=0) / np.sqrt(6.0)
    widened: FloatArray = np.sqrt(np.fmax(slopes.variance, np.square(scatter)))
    return np.where(np.isfinite(slopes.slope), widened, np.nan)
