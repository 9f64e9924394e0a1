"""Spectral filters with fixed responses: frequencies of the telescope's motion, bands and lines that are known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.scan import flags
from sofia_engine.scan.averages import divide

if TYPE_CHECKING:
    from sofia_engine.numerics.arrays import BoolArray, FloatArray
    from sofia_engine.scan.timestream import Scan

__all__ = [
    "MotionRule",
    "NotchRule",
    "filter_motion",
    "find_motion_frequencies",
    "find_point_response",
    "kill_bands",
    "notch_lines",
]

Bands = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class MotionRule:
    """Which frequencies of the telescope's motion are filtered.

    Attributes
    ----------
    significance, above : float
        Amplitudes above so many times their scatter, and above this share of the largest.
    band : (float, float)
        Only these, Hz.
    stability : float
        Motion keeps its frequency for so long, s: the filter is as wide as that allows.
    harmonics : int
        Multiples of the frequencies that are filtered too, up to this one.
    odd : bool
        Odd multiples only.
    """

    significance: float = 6.0
    above: float = 0.3
    band: tuple[float, float] = (0.01, 1.0)
    stability: float = math.inf
    harmonics: int = 1
    odd: bool = False


@dataclass(frozen=True)
class NotchRule:
    """Lines of frequencies (Hz), how wide they are (Hz), up to which multiple, and bands (Hz)."""

    frequencies: Sequence[float] = ()
    width: float = 0.1
    harmonics: int = 1
    bands: Bands = ()


def find_motion_frequencies(scan: Scan, rule: MotionRule) -> BoolArray:
    """Return which frequencies of a spectrum padded to a power of two are those of the motion, (n_frequency,)."""
    length = _pad(scan.frames.count)
    found = np.zeros(length // 2 + 1, dtype=bool)
    for place in (scan.frames.x, scan.frames.y):
        known = scan.frames.valid & np.isfinite(place)
        if not known.any():
            continue
        path = np.where(known, place - place[known].mean(), 0.0)
        amplitude = np.abs(np.fft.rfft(path, length))
        scatter = math.sqrt(float(np.median(amplitude[1:] ** 2)) / math.log(2.0))
        found |= amplitude > max(rule.significance * scatter, rule.above * float(amplitude.max()), 0.0)
    found[0] = False
    step = 1.0 / (length * scan.step)
    wide = round(0.5 / (rule.stability * step)) if math.isfinite(rule.stability) else 0
    base = np.flatnonzero(np.convolve(found, np.ones(2 * wide + 1), "same") > 0) if wide else np.flatnonzero(found)
    multiples = range(1, rule.harmonics + 1, 2 if rule.odd else 1)
    places = np.unique(np.concatenate([base * k for k in multiples]).astype(int)) if base.size else base
    frequency = places * step
    places = places[(places < found.size) & (frequency >= rule.band[0]) & (frequency <= rule.band[1])]
    made = np.zeros(found.size, dtype=bool)
    made[places] = True
    return made


def filter_motion(scan: Scan, rule: MotionRule, point_seconds: float) -> float:
    """Take the frequencies of the telescope's motion out of all channels; return the response to point sources.

    Parameters
    ----------
    scan : Scan
        Changed in place.
    rule : MotionRule
        Which frequencies.
    point_seconds : float
        Time a point source takes to pass a channel.
    """
    return _reject(scan, "motion", find_motion_frequencies(scan, rule), point_seconds)


def kill_bands(scan: Scan, bands: Bands, point_seconds: float) -> float:
    """Take bands of frequencies (Hz) out of all channels; return the response to point sources."""
    frequency = _list_frequencies(scan)
    rejected = np.zeros(frequency.size, dtype=bool)
    for low, high in bands:
        rejected |= (frequency >= low) & (frequency <= high) & (frequency > 0)
    return _reject(scan, "kill", rejected, point_seconds)


def notch_lines(scan: Scan, rule: NotchRule) -> None:
    """Take lines and bands of frequencies out of the samples before anything else is done; means are kept."""
    frequency = _list_frequencies(scan)
    chosen = np.zeros(frequency.size, dtype=bool)
    lines = [k * f for f in rule.frequencies for k in range(1, rule.harmonics + 1)]
    bands = [*rule.bands, *((f - rule.width / 2, f + rule.width / 2) for f in lines)]
    for low, high in bands:
        chosen |= (frequency >= low) & (frequency <= high)
    for f in lines:  # lines between two frequencies of the spectrum
        chosen |= np.abs(frequency - f) < frequency[1] if f <= frequency[-1] else False
    chosen[0] = False
    good = (scan.bad & flags.SKIP) == 0
    samples = _center(scan.residual, np.where(good & scan.frames.valid[:, np.newaxis], 1.0, 0.0))
    scan.residual -= np.where(scan.frames.valid[:, np.newaxis], _select(samples, chosen), 0.0)


def _reject(scan: Scan, name: str, chosen: BoolArray, point_seconds: float) -> float:
    """Take the chosen frequencies out, and note what that costs in degrees of freedom and of point sources."""
    weight = np.where(scan.good, scan.frames.weight[:, np.newaxis], 0.0)
    rejected = np.where(scan.frames.valid[:, np.newaxis], _select(_center(scan.residual, weight), chosen), 0.0)
    scan.residual -= rejected
    scan.rejected = rejected if scan.rejected is None else scan.rejected + rejected
    length, frames = _pad(scan.frames.count), scan.frames.count
    taken = 2.0 * chosen.sum() * frames / length * (weight > 0).mean(axis=0)
    scan.dependents.put(name, (weight * divide(taken, weight.sum(axis=0))).sum(axis=1), taken)
    response = find_point_response(np.where(chosen, 0.0, 1.0)[:, np.newaxis], scan.step, point_seconds)
    scan.note_response(name, np.broadcast_to(response, scan.channels.x.shape).copy())
    return float(response.mean())


def find_point_response(passed: FloatArray, step: float, point_seconds: float) -> FloatArray:
    """Return the share of a point source's peak that filters let pass.

    Parameters
    ----------
    passed : (n_frequency, n) ndarray
        What they let pass, from frequency 0 to the highest.
    step : float
        Time between frames, s.
    point_seconds : float
        Time a point source takes to pass (FWHM), s; 0 for none.

    Returns
    -------
    (n,) ndarray
    """
    frequency = np.arange(len(passed)) / (2.0 * max(len(passed) - 1, 1) * step)
    sigma = math.sqrt(8 * math.log(2)) / (2 * math.pi * point_seconds) if point_seconds > 0 else math.inf
    share = np.exp(-0.5 * (frequency / sigma) ** 2)
    response: FloatArray = np.clip((share[:, np.newaxis] * passed).sum(axis=0) / share.sum(), 0.0, None)
    return response


def _pad(frames: int) -> int:
    return int(2 ** math.ceil(math.log2(max(frames, 2))))


def _list_frequencies(scan: Scan) -> FloatArray:
    return np.asarray(np.fft.rfftfreq(_pad(scan.frames.count), scan.step))


def _center(samples: FloatArray, weight: FloatArray) -> FloatArray:
    mean = divide((samples * weight).sum(axis=0), weight.sum(axis=0))
    return np.where(weight > 0, samples - mean, 0.0)


def _select(samples: FloatArray, chosen: BoolArray) -> FloatArray:
    """Return the part of samples at the chosen frequencies."""
    length = _pad(len(samples))
    spectrum = np.fft.rfft(samples, length, axis=0)
    spectrum[~chosen] = 0.0
    made: FloatArray = np.fft.irfft(spectrum, length, axis=0)[: len(samples)]
    return made
