"""Spikes: samples that stand out from their neighbours in time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.scan import flags
from sofia_engine.scan.averages import divide

if TYPE_CHECKING:
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


def flag_spikes(scan: Scan, rule: SpikeRule) -> int:
    """Flag spikes, and channels and frames with too many of them.

    Parameters
    ----------
    scan : Scan
        Changed in place: flags.
    rule : SpikeRule
        What a spike is.

    Returns
    -------
    int
        Number of spikes in useful channels.

    Notes
    -----
    Samples are compared with those `lag` frames later, from the end on. Both are flagged if they differ; the later one
    is cleared again if it agrees with the sample before and was flagged for differing from the one after.
    """
    scan.bad &= np.uint8(255 - flags.SPIKE)
    _compare_neighbours(scan, rule)
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


def _compare_neighbours(scan: Scan, rule: SpikeRule) -> None:
    sigma = np.sqrt(scan.channels.variance)
    variance = divide(np.ones(scan.frames.count), scan.frames.weight)
    free = (scan.bad & (flags.SKIP | flags.BLANK)) == 0
    for t in range(scan.frames.count - rule.lag - 1, -1, -1):
        later = t + rule.lag
        if not (scan.frames.valid[t] and scan.frames.valid[later]):
            continue
        limit = rule.level * sigma * np.sqrt(variance[t] + variance[later])
        both = free[t] & free[later]
        apart = both & (np.abs(scan.residual[t] - scan.residual[later]) > limit)
        was = (scan.bad[later] & flags.SPIKE) != 0
        new = apart & ~was
        scan.bad[t, new] |= flags.SPIKE
        scan.bad[later, new] |= flags.SPIKE
        scan.bad[later, both & was & ~apart] &= 255 - flags.SPIKE
