"""Slow drifts of channels: the mean of each channel over blocks of time is taken out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.scan.averages import divide, find_block_length, list_blocks, weighted_median

if TYPE_CHECKING:
    from sofia_engine.numerics.arrays import FloatArray
    from sofia_engine.scan.timestream import Scan

__all__ = ["remove_drifts"]


def remove_drifts(scan: Scan, seconds: float, *, robust: bool = False) -> int:
    """Subtract the mean of each channel in blocks of time.

    Parameters
    ----------
    scan : Scan
        Changed in place: residual, time scale, degrees of freedom.
    seconds : float
        Length of the blocks; infinity for the whole scan. Blocks are powers of two of frames.
    robust : bool
        Take medians.

    Returns
    -------
    int
        Length of the blocks, frames.
    """
    length = find_block_length(seconds, scan.step, scan.frames.count)
    scan.time_scale = min(scan.time_scale, length * scan.step)
    good = scan.good
    frames, channels = np.zeros(scan.frames.count), np.zeros(scan.channels.count)
    for block in list_blocks(scan.frames.count, length):
        weight = np.where(good[block], scan.frames.weight[block, np.newaxis], 0.0)
        total = weight.sum(axis=0)
        level = _find_level(scan.residual[block], weight, total, robust=robust)
        scan.residual[block] -= np.where(scan.frames.valid[block, np.newaxis], level, 0.0)
        frames[block] += (weight * divide(scan.channels.kept_by_filters, total)).sum(axis=1)
        channels += total > 0
    scan.dependents.put("drifts", frames, channels)
    for modes in scan.modes.values():
        for mode in modes:
            mode.level(scan, length)
    return length


def _find_level(samples: FloatArray, weight: FloatArray, total: FloatArray, *, robust: bool) -> FloatArray:
    if robust:
        return weighted_median(samples, weight)
    return divide((samples * weight).sum(axis=0), total)
