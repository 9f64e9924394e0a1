"""Combination of spectra: apertures of one file, spectra of several files, scaling, smoothing, response curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from sofia_engine.errors import InputError, ParameterError
from sofia_engine.numerics.coadd import CombinationRule, combine_stack
from sofia_engine.numerics.fitting import FWHM_TO_SIGMA
from sofia_engine.numerics.statistics import median_ignoring_nan

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import FloatArray
    from sofia_engine.spectroscopy.calibration import Response

__all__ = [
    "CombinedSpectrum",
    "combine_curves",
    "combine_spectra",
    "correct_shapes",
    "find_scales",
    "make_response",
    "merge_apertures",
    "require_same_wavelengths",
    "separate_apertures",
    "smooth_spectrum",
]


@dataclass(frozen=True, eq=False)
class CombinedSpectrum:
    """A spectrum made of several, and the factors that were applied to them first."""

    flux: FloatArray
    error: FloatArray
    scales: FloatArray


def require_same_wavelengths(wavelengths: Sequence[ArrayLike]) -> None:
    """Make sure that spectra have the same wavelengths.

    Raises
    ------
    InputError
        If they do not.
    """
    first = np.asarray(wavelengths[0])
    for other in wavelengths[1:]:
        if np.shape(other) != first.shape or not np.allclose(other, first):
            raise InputError("Mismatched wavelengths. Spectra cannot be combined.")


def merge_apertures(
    flux: ArrayLike, error: ArrayLike, method: Literal["mean", "median"] = "mean", *, weighted: bool = True
) -> CombinedSpectrum:
    """Make one spectrum of those of several apertures.

    Parameters
    ----------
    flux, error : (n, nw) array_like
        NaN is missing.
    method : {"mean", "median"}
        Statistic.
    weighted : bool
        Weight a mean with inverse variances.

    Returns
    -------
    CombinedSpectrum
        All scaled to the brightest one first; no outliers are rejected. A single aperture is passed on.
    """
    data, spread = np.atleast_2d(np.asarray(flux, dtype=np.float64)), np.atleast_2d(np.asarray(error, dtype=np.float64))
    if len(data) == 1:
        return CombinedSpectrum(data[0], spread[0], np.ones(1))
    scales = find_scales(data, "highest")
    rule = CombinationRule(method, weighted=weighted, robust=False)
    return _combine(data, spread, scales, rule)


def combine_spectra(
    flux: Sequence[ArrayLike], error: Sequence[ArrayLike], rule: CombinationRule, scales: ArrayLike | None = None
) -> CombinedSpectrum:
    """Combine spectra of several files (or images of equal grids).

    Parameters
    ----------
    flux, error : sequence of (nw,) or (ns, nw) array_like
        NaN is missing.
    rule : CombinationRule
        Method, weights, rejection.
    scales : (n,) array_like, optional
        Factors applied first.
    """
    data = np.stack([np.asarray(part, dtype=np.float64) for part in flux])
    spread = np.stack([np.asarray(part, dtype=np.float64) for part in error])
    factors = np.ones(len(data)) if scales is None else np.asarray(scales, dtype=np.float64)
    return _combine(data, spread, factors, rule)


def _combine(data: FloatArray, spread: FloatArray, scales: FloatArray, rule: CombinationRule) -> CombinedSpectrum:
    lift = scales.reshape(-1, *(1,) * (data.ndim - 1))
    combined = combine_stack(data * lift, (spread * lift) ** 2, rule)
    return CombinedSpectrum(combined.flux, np.sqrt(combined.variance), scales)


def separate_apertures(spectra: Sequence[ArrayLike]) -> list[FloatArray]:
    """All spectra (nw) of files that have one (nw) or several (n_ap, nw), in their order."""
    return [row for part in spectra for row in np.atleast_2d(np.asarray(part, dtype=np.float64))]


def combine_curves(curves: Sequence[ArrayLike], method: Literal["mean", "median"]) -> FloatArray:
    """Unweighted mean or median of transmission or response curves; a single one is passed on."""
    stack = np.stack([np.asarray(curve, dtype=np.float64) for curve in curves])
    return combine_stack(stack, rule=CombinationRule(method, weighted=False, robust=False)).flux


def find_scales(
    spectra: ArrayLike, method: Literal["median", "highest", "lowest", "index", "none"], index: int = 0
) -> FloatArray:
    """Factors that bring spectra to a common level.

    Parameters
    ----------
    spectra : (n, nw) array_like
        NaN is missing.
    method : {"median", "highest", "lowest", "index", "none"}
        Scale to the median spectrum, the one with the highest or lowest median, the one of an index, or not at all.
    index : int
        For ``index``.

    Returns
    -------
    (n,) ndarray
        Median of reference over spectrum; 1 where that is not finite.

    Raises
    ------
    ParameterError
        If there is no spectrum of that index.
    """
    data = np.asarray(spectra, dtype=np.float64)
    if method == "none":
        return np.ones(len(data))
    if method == "index" and not 0 <= index < len(data):
        raise ParameterError(f"scale_index is {index}, but there are {len(data)} spectra, numbered from 0.")
    levels = median_ignoring_nan(data, axis=1)
    if method == "median":
        reference = median_ignoring_nan(data, axis=0)
    else:
        chosen = {"highest": np.nan_to_num(levels, nan=-np.inf).argmax(),
                  "lowest": np.nan_to_num(levels, nan=np.inf).argmin()}.get(method, index)  # fmt: skip
        reference = data[int(chosen)]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = reference / data
    scales = median_ignoring_nan(np.where(np.isfinite(ratio), ratio, np.nan), axis=1)
    return np.where(np.isfinite(scales), scales, 1.0)


def smooth_spectrum(
    flux: ArrayLike, error: ArrayLike, fwhm: float, correlation: float = 1.0
) -> tuple[FloatArray, FloatArray]:
    """Smooth a spectrum with a Gaussian.

    Parameters
    ----------
    flux, error : (nw,) array_like
        NaN is missing and stays so; it has no weight in its neighbours.
    fwhm : float
        Full width at half maximum, columns; 0 for no smoothing.
    correlation : float
        Factor by which errors of sums over many columns exceed those of independent columns, see
        `sofia_engine.spectroscopy.rectification.RectifiedImage`; it comes from what next neighbours share.

    Returns
    -------
    (nw,) ndarray, (nw,) ndarray
        Smoothed flux, and its error: that of independent columns, from the squared kernel, and the covariance of
        neighbours.
    """
    data, spread = np.array(flux, dtype=np.float64), np.array(error, dtype=np.float64)
    if fwhm <= 0:
        return data, spread
    sigma = fwhm * FWHM_TO_SIGMA
    reach = int(np.ceil(4 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    good = np.isfinite(data)
    weight = np.convolve(good.astype(float), kernel)[reach : reach + data.size]
    total = np.convolve(np.where(good, data, 0.0), kernel)[reach : reach + data.size]
    known = good & np.isfinite(spread)
    noise = _smooth_variance(np.where(known, spread, 0.0), kernel, correlation)[reach : reach + data.size]
    safe = np.where(weight > 0, weight, 1.0)
    return np.where(good, total / safe, np.nan), np.where(known, np.sqrt(noise) / safe, np.nan)


def _smooth_variance(spread: FloatArray, kernel: FloatArray, correlation: float) -> FloatArray:
    """Variance of sums weighted with a kernel, whole length, of columns that are correlated with the next ones."""
    single = np.convolve(spread**2, kernel**2)
    pairs = np.convolve(spread[:-1] * spread[1:], kernel[:-1] * kernel[1:])
    single[1:-1] += (correlation**2 - 1.0) * pairs
    return single


def make_response(
    flux: ArrayLike, error: ArrayLike, response: Response, model: ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Response from the spectrum of a standard star.

    Parameters
    ----------
    flux, error : (nw,) array_like
        Calibrated with `response`.
    response : Response
        What it was calibrated with, 1 for none; it is taken out again, with its error.
    model : (nw,) array_like
        Flux of the star at the resolution of the spectrum, Jy.

    Returns
    -------
    (nw,) ndarray, (nw,) ndarray
        Response and its error, raw unit per Jy.
    """
    data, spread, star = (np.asarray(part, dtype=np.float64) for part in (flux, error, model))
    star = np.where(star > 0, star, np.nan)
    raw = (response.values * spread) ** 2 - (response.error * data) ** 2
    return data * response.values / star, np.sqrt(np.maximum(raw, 0.0)) / star


def correct_shapes(spectra: ArrayLike, width: float = 4.0) -> FloatArray:
    """Give all spectra of a stack the same shape at low frequency, that of their median.

    Parameters
    ----------
    spectra : (n, nw) array_like
        NaN is filled by linear interpolation for the filter.
    width : float
        Frequency, cycles per spectrum, where the filter ``1 / (1 + (k / width)**10)`` has fallen to a half.

    Returns
    -------
    (n, nw) ndarray
        Spectra times the ratio of the low frequencies of the median to their own.
    """
    data = np.asarray(spectra, dtype=np.float64)
    columns = np.arange(data.shape[1])
    filled = np.stack([np.interp(columns, columns[np.isfinite(row)], row[np.isfinite(row)]) for row in data])
    low = _pass_low_frequencies(filled, width)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = _pass_low_frequencies(np.median(filled, axis=0), width) / low
    return data * np.where(np.isfinite(ratio), ratio, 1.0)


def _pass_low_frequencies(rows: FloatArray, width: float) -> FloatArray:
    count = rows.shape[-1]
    mirrored = np.concatenate([rows, rows[..., ::-1]], axis=-1)  # no step where the ends meet
    frequency = np.fft.rfftfreq(2 * count, 1.0 / count)
    spectrum = np.fft.rfft(mirrored, axis=-1) / (1.0 + (frequency / width) ** 10)
    low: FloatArray = np.fft.irfft(spectrum, 2 * count, axis=-1)[..., :count]
    return low
