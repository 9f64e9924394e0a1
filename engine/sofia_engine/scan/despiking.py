"""Spikes: samples that stand out from their neighbours in time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.scan import flags
from sofia_engine.scan.averages import divide

if TYPE_CHECKING:
    from sofia_engine.numerics.arrays import FloatArray
    from sofia_engine.scan.timestream import Scan

__all__ = ["SpikeRule", "flag_spikes"]


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
    """

    level: float
    lag: int = 1
    channel_fraction: float = 3e-3
    channel_count: float = 10
    frame_spikes: float = 3


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
    Samples are compared with those `lag` frames before and after. One that stands above both, or below both, is a
    spike; at the ends of a scan, where there is only one, one that differs from a sample that is no spike itself.
    """
    scan.bad &= np.uint8(255 - flags.SPIKE)
    _compare_neighbours(scan, rule, margin)
    spikes = (scan.bad & flags.SPIKE) != 0
    useful = (scan.channels.flag & ~flags.SPIKY) == 0
    crowded = spikes[:, useful].sum(axis=1) > rule.frame_spikes
    scan.frames.flag[crowded] |= flags.SPIKY
    scan.frames.flag[~crowded] &= ~flags.SPIKY
    limit = max(rule.channel_fraction * scan.frames.count, rule.channel_count)
    often = spikes.sum(axis=0) > limit
    scan.channels.flag[often] |= flags.SPIKY
    scan.channels.flag[~often] &= ~flags.SPIKY
    return int(spikes[:, useful].sum())


def _compare_neighbours(scan: Scan, rule: SpikeRule, margin: FloatArray | None) -> None:
    lag = min(rule.lag, scan.frames.count)
    variance = divide(np.ones(scan.frames.count), scan.frames.weight)[:, np.newaxis]
    free = ((scan.bad & (flags.SKIP | flags.BLANK)) == 0) & scan.frames.valid[:, np.newaxis]
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
    scan.bad[spikes] |= flags.SPIKE
