"""Spikes: samples that stand out from their neighbours in time, from the noise, or over stretches of any length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from sofia_engine.scan import flags
from sofia_engine.scan.averages import divide, list_blocks

if TYPE_CHECKING:
    from sofia_engine.numerics.arrays import BoolArray, FloatArray
    from sofia_engine.scan.timestream import Scan

__all__ = ["SpikeMethod", "SpikeRule", "flag_spikes"]

SpikeMethod = Literal["neighbours", "absolute", "gradual", "multires"]
_SHARE = 0.1
"""Samples below this share of the largest of their frame are no gradual spikes."""


@dataclass(frozen=True)
class SpikeRule:
    """What a spike is.

    Attributes
    ----------
    level : float
        Differences above so many standard deviations are spikes.
    lag : int
        Frames between the samples that are compared.
    channel_fraction, channel_count : float
        Channels with more spikes than this share of the frames, and than this number, are flagged.
    frame_spikes : float
        Frames with more spikes than this are flagged.
    method : {"neighbours", "absolute", "gradual", "multires"}
        Samples that stand above, or below, those before and after; that are large; that are large and not small beside
        the largest of their frame; stretches of any length whose means differ.
    longest : int
        Stretches are compared up to this length, frames.
    block : int
        Blocks of so many frames with a spike are flagged as a whole; 0 for none.
    """

    level: float
    lag: int = 1
    channel_fraction: float = 3e-3
    channel_count: float = 10
    frame_spikes: float = 3
    method: SpikeMethod = "neighbours"
    longest: int = 1
    block: int = 0


def flag_spikes(scan: Scan, rule: SpikeRule, margin: FloatArray | None = None) -> int:
    """Flag spikes, and channels and frames with too many of them.

    Parameters
    ----------
    scan : Scan
        Changed in place: flags.
    rule : SpikeRule
        What a spike is.
    margin : (n_frame, n_channel) ndarray, optional
        By how much samples may differ besides, in their unit: what is not known of the source.

    Returns
    -------
    int
        Number of spikes in useful channels.

    Notes
    -----
    By neighbours, samples are compared with those `lag` frames before and after. One that stands above both, or below
    both, is a spike; at the ends of a scan, where there is only one, one that differs from a sample that is no spike.
    """
    scan.bad &= np.uint8(255 - flags.SPIKE)
    spikes = _FINDERS[rule.method](scan, rule, margin)
    if rule.block > 0:
        spikes = _extend(spikes, rule.block)
    scan.bad[spikes] |= flags.SPIKE
    useful = (scan.channels.flag & ~flags.SPIKY) == 0
    crowded = spikes[:, useful].sum(axis=1) > rule.frame_spikes
    scan.frames.flag[crowded] |= flags.SPIKY
    scan.frames.flag[~crowded] &= ~flags.SPIKY
    limit = max(rule.channel_fraction * scan.frames.count, rule.channel_count)
    often = spikes.sum(axis=0) > limit
    scan.channels.flag[often] |= flags.SPIKY
    scan.channels.flag[~often] &= ~flags.SPIKY
    return int(spikes[:, useful].sum())


def _compare_neighbours(scan: Scan, rule: SpikeRule, margin: FloatArray | None) -> BoolArray:
    lag = min(rule.lag, scan.frames.count)
    variance = divide(np.ones(scan.frames.count), scan.frames.weight)[:, np.newaxis]
    free = _find_free(scan)
    limit = rule.level * np.sqrt(scan.channels.variance * (variance[:-lag] + variance[lag:]))
    if margin is not None:
        limit = limit + np.maximum(margin[:-lag], margin[lag:])
    pairs = free[:-lag] & free[lag:]
    rise = scan.residual[lag:] - scan.residual[:-lag]
    steps = np.where(pairs & (np.abs(rise) > limit), np.sign(rise), 0.0)
    none, never = np.zeros((lag, scan.channels.count)), np.zeros((lag, scan.channels.count), dtype=bool)
    after, before = np.concatenate([steps, none]), np.concatenate([none, steps])
    spikes = after * before < 0  # up and down again: a slope is no spike
    alone_after, alone_before = (~np.concatenate(parts) for parts in ([never, pairs], [pairs, never]))
    near_after, near_before = np.concatenate([spikes[lag:], never]), np.concatenate([never, spikes[:-lag]])
    spikes |= (alone_after & (after != 0) & ~near_after) | (alone_before & (before != 0) & ~near_before)
    return np.asarray(spikes)


def _find_free(scan: Scan) -> BoolArray:
    """Samples that are looked at."""
    made: BoolArray = ((scan.bad & (flags.SKIP | flags.BLANK)) == 0) & scan.frames.valid[:, np.newaxis]
    return made


def _compare_noise(scan: Scan, rule: SpikeRule, margin: FloatArray | None) -> BoolArray:
    variance = divide(np.ones(scan.frames.count), scan.frames.weight)[:, np.newaxis]
    limit = rule.level * np.sqrt(scan.channels.variance * variance) + (0.0 if margin is None else margin)
    large: BoolArray = np.abs(scan.residual) > limit
    return _find_free(scan) & large


def _compare_gradual(scan: Scan, rule: SpikeRule, margin: FloatArray | None) -> BoolArray:
    free = _find_free(scan)
    useful = free & ((scan.channels.flag & (flags.DEAD | flags.BLIND)) == 0)
    gain = np.abs(scan.channels.gain)
    size = np.where(useful, divide(np.abs(scan.residual), np.broadcast_to(gain, scan.residual.shape)), 0.0)
    largest = size.max(axis=1, initial=0.0, keepdims=True)
    large: BoolArray = size > _SHARE * largest
    return _compare_noise(scan, rule, margin) & large


def _compare_stretches(scan: Scan, rule: SpikeRule, margin: FloatArray | None) -> BoolArray:
    """Compare means of a stretch with that before and after it, for lengths of 1, 2, 4, ... frames."""
    free = _find_free(scan)
    weight = np.where(free, scan.frames.weight[:, np.newaxis], 0.0)
    weight = weight * divide(np.ones(scan.channels.count), scan.channels.variance)
    spikes = np.zeros(free.shape, dtype=bool)
    length = 1
    while length <= min(rule.longest, scan.frames.count // 3):
        for shift in sorted({0, length // 2}):
            weight = np.where(spikes, 0.0, weight)  # what is found does not count in longer stretches
            _compare_at(scan, (weight, spikes, margin), length, (shift, rule.level))
        length *= 2
    made: BoolArray = spikes & free
    return made


def _compare_at(
    scan: Scan, arrays: tuple[FloatArray, BoolArray, FloatArray | None], length: int, place: tuple[int, float]
) -> None:
    """Mark stretches of one length whose mean differs from both neighbours, in the same direction."""
    (weight, spikes, margin), (shift, level) = arrays, place
    count = (scan.frames.count - shift) // length
    part = slice(shift, shift + count * length)
    shape = (count, length, scan.channels.count)
    blocks = weight[part].reshape(shape)
    total = blocks.sum(axis=1)
    mean = divide((blocks * scan.residual[part].reshape(shape)).sum(axis=1), total)
    precision = divide(total[1:] * total[:-1], total[1:] + total[:-1])
    limit = level * divide(np.ones(precision.shape), np.sqrt(precision))
    if margin is not None:
        largest = margin[part].reshape(shape).max(axis=1)
        limit = limit + np.maximum(largest[1:], largest[:-1])
    rise = np.diff(mean, axis=0)
    steps = np.where((precision > 0) & (np.abs(rise) > limit), np.sign(rise), 0.0)
    found = np.zeros((count, scan.channels.count), dtype=bool)
    found[1:-1] = steps[:-1] * steps[1:] < 0
    spikes[part] |= np.repeat(found, length, axis=0)


def _extend(spikes: BoolArray, length: int) -> BoolArray:
    made = spikes.copy()
    for block in list_blocks(len(spikes), length):
        made[block] |= spikes[block].any(axis=0)
    return made


_FINDERS = {
    "neighbours": _compare_neighbours,
    "absolute": _compare_noise,
    "gradual": _compare_gradual,
    "multires": _compare_stretches,
}
