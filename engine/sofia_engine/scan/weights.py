"""Weights of channels and frames from the scatter of what models leave, with the degrees of freedom they have taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from sofia_engine.scan import flags
from sofia_engine.scan.averages import MEDIAN_CHI2, divide, find_block_length, list_blocks, weighted_median

if TYPE_CHECKING:
    from sofia_engine.numerics.arrays import BoolArray, FloatArray
    from sofia_engine.scan.timestream import ChannelTable, Scan

__all__ = ["WeightMethod", "weigh_channels", "weigh_frames"]

WeightMethod = Literal["rms", "robust", "differential"]
_FEW = 10
_TRIMMED = 0.1


def weigh_channels(scan: Scan, limits: tuple[float, float], method: WeightMethod = "rms", *, lag: int = 1) -> None:
    """Measure the noise of all channels, and flag those much noisier or quieter than the others.

    Parameters
    ----------
    scan : Scan
        Changed in place: variance, weight, freedom and flags of channels.
    limits : (float, float)
        Noise of useful channels, relative to the typical one.
    method : {"rms", "robust", "differential"}
        From the mean square; from the median square; from differences of frames some way apart, which know no slow
        signals.
    lag : int
        That way, frames.
    """
    table = scan.channels
    frames = np.where(scan.frames.valid & ((scan.frames.flag & flags.BAD_FRAME) == 0), scan.frames.weight, 0.0)
    weight = np.where(scan.bad == 0, frames[:, np.newaxis], 0.0)
    total = weight.sum(axis=0)
    table.variance = _find_variance(scan.residual, weight, method, min(lag, max(scan.frames.count - 1, 1)))
    table.freedom = np.maximum(0.0, 1.0 - divide(scan.dependents.channels, total))
    table.freedom[total <= 0] = 0.0
    table.weight = divide(table.freedom, table.variance)
    _set_flag(table, flags.NO_FREEDOM, table.freedom <= 0)
    _flag_noise(table, divide(table.freedom, _find_quick_variance(scan.residual, weight)), limits)


def _find_quick_variance(samples: FloatArray, weight: FloatArray) -> FloatArray:
    """Variance from the median square of differences of successive frames.

    A source that is not in the model yet makes the samples of its channels scatter; it changes little from frame to
    frame, and not in most frames, so that its channels are not taken for noisy ones.
    """
    known = (weight[1:] > 0) & (weight[:-1] > 0)
    square = (samples[1:] - samples[:-1]) ** 2
    frames = known.any(axis=1)
    known, square = known[frames], square[frames]
    made = np.zeros(samples.shape[1])
    whole = known.all(axis=0) & (len(known) > 0)
    if whole.any():  # medians without weights are much faster
        made[whole] = np.median(square[:, whole], axis=0)
    made[~whole] = weighted_median(square[:, ~whole], known[:, ~whole].astype(float))
    return made / (2.0 * MEDIAN_CHI2)


def _find_variance(samples: FloatArray, weight: FloatArray, method: WeightMethod, lag: int) -> FloatArray:
    if method == "differential":
        pair = np.where((weight[lag:] > 0) & (weight[:-lag] > 0), weight[lag:], 0.0)
        # a difference has the noise of both samples
        return divide((pair * (samples[lag:] - samples[:-lag]) ** 2).sum(axis=0), 2.0 * pair.sum(axis=0))
    counted = np.where(samples != 0, weight, 0.0)
    if method == "robust":
        return weighted_median(weight * samples**2, (counted > 0).astype(float)) / MEDIAN_CHI2
    return divide((counted * samples**2).sum(axis=0), counted.sum(axis=0))


def _flag_noise(table: ChannelTable, weight: FloatArray, limits: tuple[float, float]) -> None:
    seeing = (table.flag & (flags.DEAD | flags.BLIND | flags.GAIN)) == 0
    precision = weight * table.gain**2
    known = np.sort(np.log1p(precision[seeing & (precision > 0)]))
    if not known.size:
        return
    cut = int(_TRIMMED * known.size)
    middle = np.median(known) if known.size <= _FEW else known[cut : known.size - cut].mean()
    typical = float(np.expm1(middle))
    low, high = limits
    outside = (precision < typical / high**2) | (precision > (typical / low**2 if low > 0 else np.inf))
    _set_flag(table, flags.NOISY, outside)


def _set_flag(table: ChannelTable, flag: int, where: BoolArray) -> None:
    table.flag[where] |= flag
    table.flag[~where] &= ~flag


def weigh_frames(scan: Scan, seconds: float, limits: tuple[float, float]) -> None:
    """Measure the noise of blocks of frames, relative to the mean, and flag those out of range.

    Parameters
    ----------
    scan : Scan
        Changed in place: weight, freedom and flags of frames.
    seconds : float
        Length of the blocks; 0 for single frames.
    limits : (float, float)
        Weights of useful frames.
    """
    table = scan.frames
    used = scan.mapping
    good = (scan.bad[:, used] == 0) & (table.valid & ((table.flag & flags.UNWEIGHTED) == 0))[:, np.newaxis]
    chi2 = np.where(good, scan.channels.weight[used] * scan.residual[:, used] ** 2, 0.0).sum(axis=1)
    points = good.sum(axis=1)
    for block in list_blocks(table.count, find_block_length(seconds, scan.step, table.count)):
        taken, count, square = scan.dependents.frames[block].sum(), points[block].sum(), chi2[block].sum()
        free = count - taken
        enough = free >= 1
        table.freedom[block] = 1.0 - taken / count if enough else 0.0
        table.weight[block] = (free / square if square > 0 else 1.0) if enough else 0.0
        _set_frame_flag(scan, block, flags.NO_FREEDOM, on=not enough)
    weighted = table.valid & (table.weight > 0)
    if weighted.any():
        table.weight /= table.weight[weighted].mean()
    outside = (table.weight < limits[0]) | (table.weight > limits[1])
    table.flag[outside] |= flags.FRAME_WEIGHT
    table.flag[~outside] &= ~flags.FRAME_WEIGHT


def _set_frame_flag(scan: Scan, block: slice, flag: int, *, on: bool) -> None:
    scan.frames.flag[block] = (scan.frames.flag[block] | flag) if on else (scan.frames.flag[block] & ~flag)
