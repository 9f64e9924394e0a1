"""The whitening filter: frequencies at which a channel has more than white noise are damped to it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.scan.averages import divide, weighted_median
from sofia_engine.scan.filters import find_point_response

if TYPE_CHECKING:
    from sofia_engine.numerics.arrays import ComplexArray, FloatArray
    from sofia_engine.scan.timestream import Scan

__all__ = ["WhiteningRule", "whiten"]

_SIGNIFICANCE = 2.0
"""Amplitudes that noise reaches by chance are not damped; in standard deviations."""
_PROBE = (0.2, 1.14)
"""Frequencies where white noise is measured, in units of the highest one at which point sources are seen."""
_SOURCE_BAND = 0.44
"""That frequency times the time a point source takes to pass."""


@dataclass(frozen=True)
class WhiteningRule:
    """How noise is whitened.

    Attributes
    ----------
    level : float
        Power above so many times that of white noise is damped.
    point_seconds : float
        Time a point source takes to pass a channel.
    least_bins : int
        Frequencies in which white noise is measured, at least.
    probe : (float, float) or None
        Frequencies between which it is measured, Hz; None for those at which point sources are seen.
    """

    level: float
    point_seconds: float
    least_bins: int = 16
    probe: tuple[float, float] | None = None


def whiten(scan: Scan, rule: WhiteningRule) -> float:
    """Damp excess noise in the spectra of all channels.

    Parameters
    ----------
    scan : Scan
        Changed in place: residual, spectral profile, response to point sources, degrees of freedom.
    rule : WhiteningRule
        How.

    Returns
    -------
    float
        Mean share of a point source's peak that the filter lets pass.

    Notes
    -----
    Spectra are measured in bins as wide as the longest time that drifts leave allows. The damping of earlier rounds is
    kept in `Scan.whitening` (bins, channels), so that what was damped before is not damped again, and is given back to
    bins that are no longer noisy.
    """
    frames = scan.frames.count
    length = 2 ** math.ceil(math.log2(max(frames, 2)))
    kept_frames = min(scan.time_scale / scan.step, frames)
    bins = max(int(kept_frames), 2)
    width = max(length // (2 ** math.ceil(math.log2(2 * bins))), 1)
    bins = min(bins, length // 2 // width)
    weight = np.where(scan.good, scan.frames.weight[:, np.newaxis], 0.0)
    samples = _center(scan.residual, weight)
    spectrum = np.fft.rfft(samples, length, axis=0)
    amplitude, count = _measure_amplitudes(spectrum, bins, width)
    before = np.ones(amplitude.shape) if scan.whitening is None else scan.whitening
    if before.shape != amplitude.shape:
        before = np.ones(amplitude.shape)
    white = _find_white_level(amplitude, count, _find_probe(scan, rule, bins, length, width))
    change = _find_change(amplitude, count, before, white, rule.level)
    scan.whitening = before * change
    rejected = _reject(spectrum, change, width, length)[:frames]
    rejected = np.where(scan.frames.valid[:, np.newaxis], rejected, 0.0)
    scan.residual -= rejected
    scan.rejected = rejected if scan.rejected is None else scan.rejected + rejected
    return _account(scan, rule, weight, width * bins, length)


def _center(samples: FloatArray, weight: FloatArray) -> FloatArray:
    weighted, used = samples * weight, weight > 0
    mean = divide(weighted.sum(axis=0), used.sum(axis=0).astype(float))
    return np.where(used, weighted - mean, 0.0)


def _measure_amplitudes(spectrum: ComplexArray, bins: int, width: int) -> tuple[FloatArray, FloatArray]:
    """Amplitude in each bin and number of values it rests on, (bins, channels)."""
    power = np.stack([spectrum.real**2, spectrum.imag**2])[:, : bins * width + 1]
    power[:, 0] = 0.0
    last = power[:, bins * width].sum(axis=0), (power[:, bins * width] > 0).sum(axis=0)
    shape = (2, bins, width, spectrum.shape[1])
    folded = power[:, : bins * width].reshape(shape)
    total, count = folded.sum(axis=(0, 2)), (folded > 0).sum(axis=(0, 2)).astype(float)
    total[-1] += last[0]
    count[-1] += last[1]
    return np.sqrt(2.0 * divide(total, count)), count


def _find_probe(scan: Scan, rule: WhiteningRule, bins: int, length: int, width: int) -> slice:
    """Bins in which white noise is measured: where point sources are."""
    per_bin = width / (length * scan.step)
    seen = _SOURCE_BAND / rule.point_seconds if rule.point_seconds > 0 else math.inf
    low_hz, high_hz = rule.probe or (_PROBE[0] * seen, _PROBE[1] * seen)
    high = min(math.ceil(high_hz / per_bin) if math.isfinite(high_hz) else bins, bins)
    low = min(int(low_hz / per_bin), bins - 1) if math.isfinite(low_hz) else 1
    least = min(rule.least_bins, bins - 1)
    if high - low < least:
        low = max(min(low, high - least), 1)
        high = min(low + least, bins)
    return slice(max(low, 1), max(high, 2))


def _find_white_level(amplitude: FloatArray, count: FloatArray, probe: slice) -> FloatArray:
    """Root mean square amplitude of white noise, from the median over frequencies."""
    return weighted_median(amplitude[probe] / np.sqrt(_quantile(count[probe], 0.0)), count[probe])


def _quantile(count: FloatArray, sigma: float) -> FloatArray:
    """Quantile of the mean of squares of normal variables, at so many standard deviations; 0 is the median.

    References
    ----------
    Wilson, E. B., & Hilferty, M. M. 1931, Proc. Natl. Acad. Sci. 17, 684.
    """
    spread = 2.0 / (9.0 * np.maximum(count, 1.0))
    quantile: FloatArray = (1.0 - spread + sigma * np.sqrt(spread)) ** 3
    return quantile


def _find_change(
    amplitude: FloatArray, count: FloatArray, before: FloatArray, white: FloatArray, level: float
) -> FloatArray:
    """Factors for the spectrum as it is now."""
    undamped = divide(amplitude, before)
    noisy = undamped > np.sqrt(level * _quantile(count, _SIGNIFICANCE)) * white
    damped = divide(np.broadcast_to(white, amplitude.shape), amplitude)
    change = np.where(noisy, damped, divide(np.ones(before.shape), before))
    change[:, white <= 0] = 0.0
    change[0] = 1.0
    return change


def _reject(spectrum: ComplexArray, change: FloatArray, width: int, length: int) -> FloatArray:
    """What the filter takes out, in time."""
    factor = np.ones(spectrum.shape)
    fine = np.repeat(change, width, axis=0)
    factor[: len(fine)] = fine
    factor[len(fine) :] = change[-1]
    rejected = spectrum * (1.0 - factor)
    rejected[0] = 0.0
    made: FloatArray = np.fft.irfft(rejected, length, axis=0)
    return made


def _account(scan: Scan, rule: WhiteningRule, weight: FloatArray, points: int, length: int) -> float:
    """Note degrees of freedom and the response to point sources; return the mean response."""
    assert scan.whitening is not None
    profile = scan.whitening
    width = points // len(profile)
    lowest = max(math.ceil(0.5 * length * scan.step / scan.time_scale), 1) if math.isfinite(scan.time_scale) else 1
    fine = np.repeat(profile, width, axis=0)
    taken = (1.0 - fine[lowest:] ** 2).sum(axis=0) * scan.frames.count / length * 2.0
    # samples that are left out (on bright sources) have no freedom to lose
    taken = np.clip(taken, 0.0, None) * (weight > 0).mean(axis=0)
    frames = (weight * divide(taken, weight.sum(axis=0))).sum(axis=1)
    scan.dependents.put("filter", frames, taken)
    passed = np.where(np.arange(len(fine))[:, np.newaxis] < lowest, 1.0, fine)
    response = find_point_response(passed, 0.5 * length * scan.step / max(len(fine) - 1, 1), rule.point_seconds)
    scan.note_response("whiten", response)
    used = scan.mapping
    return float(response[used].mean()) if used.any() else 1.0
