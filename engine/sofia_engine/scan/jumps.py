"""Jumps: times in which all channels are off their level; long ones are levelled, short ones left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.scan import flags
from sofia_engine.scan.averages import divide
from sofia_engine.scan.weights import weigh_frames

if TYPE_CHECKING:
    from sofia_engine.numerics.arrays import BoolArray, FloatArray
    from sofia_engine.scan.timestream import Scan

__all__ = ["level_jumps"]

_CHANCE = 9.0
"""By so much, over the number of samples, weights of frames differ by chance at most."""


def level_jumps(scan: Scan, level: float, shortest: float, seconds: float = 0.0) -> tuple[int, int]:
    """Level long stretches of noisy frames channel by channel, and flag short ones.

    Parameters
    ----------
    scan : Scan
        Changed in place: residual, flags of frames, degrees of freedom.
    level : float
        Frames are noisy if their scatter is so many times that of others.
    shortest : float
        Stretches of so many seconds are levelled.
    seconds : float
        The noise of frames is measured in blocks of this length; 0 for single frames.

    Returns
    -------
    int, int
        Number of stretches that were levelled, and of frames that were flagged.
    """
    frames = scan.frames
    frames.flag &= ~flags.JUMP
    scan.dependents.remove("jumps")
    used = int(np.count_nonzero(scan.mapping))
    if not used:
        return 0, 0
    points = max(round(seconds / scan.step), 1) * used
    noisy = frames.valid & (_measure(scan, seconds) < min(1.0 / level**2, 1.0 - _CHANCE / points))
    levelled, flagged = 0, 0
    taken, per_channel = np.zeros(frames.count), np.zeros(scan.channels.count)
    for start, stop in _list_stretches(noisy):
        if (stop - start) * scan.step >= shortest:
            part, channels = _level(scan, slice(start, stop))
            taken[start:stop] += part
            per_channel += channels
            levelled += 1
        else:
            frames.flag[start:stop] |= flags.JUMP
            flagged += stop - start
    scan.dependents.put("jumps", taken, per_channel)
    return levelled, flagged


def _measure(scan: Scan, seconds: float) -> FloatArray:
    """Weights of frames by their scatter, relative to the median; weights and flags are left as they are."""
    frames = scan.frames
    before = frames.weight.copy(), frames.freedom.copy(), frames.flag.copy()
    weigh_frames(scan, seconds, (0.0, np.inf))
    made = frames.weight
    frames.weight, frames.freedom, frames.flag = before
    known = frames.valid & (made > 0)
    return made / float(np.median(made[known])) if known.any() else made


def _list_stretches(chosen: BoolArray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], chosen, [False]]).astype(int)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _level(scan: Scan, part: slice) -> tuple[FloatArray, FloatArray]:
    weight = np.where(scan.good[part], scan.frames.weight[part, np.newaxis], 0.0)
    total = weight.sum(axis=0)
    scan.residual[part] -= divide((weight * scan.residual[part]).sum(axis=0), total)
    frames: FloatArray = (weight * divide(scan.channels.kept_by_filters, total)).sum(axis=1)
    return frames, (total > 0).astype(float)
