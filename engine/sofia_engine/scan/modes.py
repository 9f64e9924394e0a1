"""Correlated signals: what many channels see at the same time, each with a gain of its own.

A mode is a signal C(t) and a set of channels with gains g: the samples hold g C. Signals are maximum-likelihood means
over channels, gains such means over time, in turn. Coupled modes (the sky, gradients across the field) have gains that
follow from those of another mode and are not fitted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from sofia_engine.scan import flags
from sofia_engine.scan.averages import divide, find_block_length, find_typical_gain, list_blocks, weighted_median

if TYPE_CHECKING:
    from sofia_engine.numerics.arrays import BoolArray, FloatArray, IndexArray
    from sofia_engine.scan.timestream import ChannelTable, Scan

__all__ = ["COMMON", "GainRule", "Mode", "make_modes", "update_gains", "update_signal"]

COUPLED = ("sky", "gradients")
"""Modes whose gains follow from those of all channels together."""
COMMON = "obs-channels"
"""The mode of all channels that see the sky."""


@dataclass(frozen=True)
class GainRule:
    """How gains are fitted, and which are plausible.

    Attributes
    ----------
    low, high : float
        Plausible gains, relative to the typical one.
    signed : bool
        By sign; else by magnitude.
    scatter : float
        Expected scatter of gains about the typical one: where the signal is too weak to tell them they stay there.
        Infinity leaves them to the samples alone.
    """

    low: float = 0.0
    high: float = np.inf
    signed: bool = True
    scatter: float = np.inf


@dataclass(eq=False)
class Mode:
    """A signal that channels share.

    Attributes
    ----------
    name, modality : str
        Of the mode (``row-3``) and of its kind (``row``).
    channels : ndarray of int
        The channels.
    find_gains : callable
        Gives the gains of the channels, from the table of channels.
    store_gains : callable or None
        Writes gains there; None if they follow from others.
    flag : int
        Bit for channels whose gain is out of range.
    signal, precision : (n_frame,) ndarray
        C and the sum of weights it rests on.
    applied : ndarray
        Gains with which the signal was taken out.
    """

    name: str
    modality: str
    channels: IndexArray
    find_gains: Callable[[ChannelTable], FloatArray]
    store_gains: Callable[[ChannelTable, FloatArray], None] | None = None
    flag: int = flags.GROUP_GAIN
    signal: FloatArray = field(default_factory=lambda: np.empty(0))
    applied: FloatArray = field(default_factory=lambda: np.empty(0))
    kept: FloatArray = field(default_factory=lambda: np.empty(0))

    def start(self, scan: Scan) -> None:
        """Begin without a signal."""
        self.signal = np.zeros(scan.frames.count)
        self.applied = self.find_gains(scan.channels)
        self.kept = np.ones(scan.channels.count)

    def follow_gains(self, scan: Scan) -> FloatArray:
        """Take the signal out with the gains of now, in place of those it was taken out with; return the gains."""
        gain = self.find_gains(scan.channels)
        if not np.array_equal(gain, self.applied):
            scan.subtract(self.signal, gain - self.applied, self.channels)
            self.applied = gain
        return gain

    def level(self, scan: Scan, length: int) -> None:
        """Take the means over blocks of frames out of the signal, as drifts take them out of channels."""
        for block in list_blocks(scan.frames.count, length):
            used = scan.frames.usable[block]
            if used.any():
                mean = float(self.signal[block][used].mean())
                self.signal[block] -= mean


def make_modes(scan: Scan, modality: str) -> list[Mode]:
    """Return the modes of a kind: ``obs-channels``, ``sky``, ``gradients``, or the name of a grouping of channels."""
    table = scan.channels
    seeing = np.flatnonzero((table.flag & (flags.DEAD | flags.BLIND)) == 0)
    if modality == COMMON:
        made = [_make_common(seeing)]
    elif modality == "sky":
        made = [Mode("sky", "sky", seeing, _coupled_gains(seeing, np.ones(seeing.size)))]
    elif modality == "gradients":
        made = [_make_gradient(seeing, axis) for axis in ("x", "y")]
    else:
        numbers = table.groups[modality][seeing]
        made = [_make_group(modality, int(n), seeing[numbers == n]) for n in np.unique(numbers)]
    for mode in made:
        mode.start(scan)
    return made


def _make_common(channels: IndexArray) -> Mode:
    def find(table: ChannelTable) -> FloatArray:
        return _normalise(table.gain[channels], table.flag[channels], flags.GAIN)

    def store(table: ChannelTable, gain: FloatArray) -> None:
        table.gain[channels] = _normalise(gain, table.flag[channels], flags.GAIN)

    return Mode(COMMON, COMMON, channels, find, store, flags.GAIN)


def _coupled_gains(channels: IndexArray, factor: FloatArray) -> Callable[[ChannelTable], FloatArray]:
    def find(table: ChannelTable) -> FloatArray:
        return _normalise(factor * table.sky_gain[channels], table.flag[channels], 0)

    return find


def _make_gradient(channels: IndexArray, axis: str) -> Mode:
    """A signal that grows across the field."""

    def find(now: ChannelTable) -> FloatArray:
        place = getattr(now, axis)[channels]
        weight = np.where(now.flag[channels] == 0, now.weight[channels], 0.0)
        middle = float((weight * place).sum() / weight.sum()) if weight.sum() > 0 else 0.0
        return _coupled_gains(channels, place - middle)(now)

    return Mode(f"gradient-{axis}", "gradients", channels, find)


def _make_group(modality: str, number: int, channels: IndexArray) -> Mode:
    def find(table: ChannelTable) -> FloatArray:
        return _normalise(table.group_gains[modality][channels], table.flag[channels], flags.GROUP_GAIN)

    def store(table: ChannelTable, gain: FloatArray) -> None:
        table.group_gains[modality][channels] = gain

    return Mode(f"{modality}-{number}", modality, channels, find, store)


def _normalise(gain: FloatArray, flag: Any, own: int) -> FloatArray:
    """Gains over their typical magnitude among channels with no flag but that of the mode."""
    return np.asarray(gain / find_typical_gain(gain[(flag & ~own) == 0]))


def update_signal(scan: Scan, mode: Mode, *, seconds: float = 0.0, robust: bool = False) -> None:
    """Estimate what is left of a mode's signal in the samples, and take it out.

    Parameters
    ----------
    scan : Scan
        Changed in place.
    mode : Mode
        Changed in place.
    seconds : float
        The signal is constant over so long (0: in a frame).
    robust : bool
        Take medians.
    """
    scan.dependents.remove(mode.name)
    gain = mode.follow_gains(scan)
    part = scan.channels.flag[mode.channels] == 0
    used, used_gain = mode.channels[part], gain[part]
    if not used.size:
        return
    length = find_block_length(min(seconds / np.sqrt(2.0), scan.time_scale), scan.step, scan.frames.count)
    good = scan.good[:, used]
    per_frame, per_weight = scan.frames.weight, scan.channels.weight[used] * used_gain
    if robust:
        increment, total = _estimate_medians(scan.residual[:, used], good, (per_frame, per_weight, used_gain), length)
    else:
        signal = per_frame * (np.where(good, scan.residual[:, used], 0.0) @ per_weight)
        total = _sum_blocks(per_frame * (good @ (per_weight * used_gain)), length)
        increment = divide(_sum_blocks(signal, length), total)
    scan.subtract(increment, gain, mode.channels)
    mode.signal += np.where(scan.frames.valid, increment, 0.0)
    share = per_weight * used_gain * _kept_by_drifts(scan)[used]
    rate = divide(per_frame, total)
    per_channel = np.zeros(scan.channels.count)
    per_channel[used] = share * (rate @ good)
    scan.dependents.put(mode.name, rate * (good @ share), per_channel)
    _note_loss(scan, mode, per_channel, int(np.count_nonzero(total > 0)) / length)


def _sum_blocks(values: FloatArray, length: int) -> FloatArray:
    """Return the sum over the block of frames that each frame is in."""
    if length == 1:
        return values
    starts = np.arange(0, values.size, length)
    sums = np.add.reduceat(values, starts)
    made: FloatArray = np.repeat(sums, np.diff(np.append(starts, values.size)))
    return made


def _estimate_medians(
    samples: FloatArray, good: BoolArray, weights: tuple[FloatArray, FloatArray, FloatArray], length: int
) -> tuple[FloatArray, FloatArray]:
    """Signal in each frame, constant in blocks, and the weight it rests on."""
    per_frame, per_weight, gain = weights
    weight = per_frame[:, np.newaxis] * per_weight * gain * good
    seen = gain != 0
    increment, total = np.zeros((2, len(samples)))
    value, weight = samples[:, seen] / gain[seen], weight[:, seen]
    if length == 1:
        return weighted_median(value, weight, axis=1), weight.sum(axis=1)
    for block in list_blocks(len(samples), length):
        increment[block] = weighted_median(value[block].ravel(), weight[block].ravel())
        total[block] = weight[block].sum()
    return increment, total


def _kept_by_drifts(scan: Scan) -> FloatArray:
    """Share of the samples' freedom that filter and drifts leave to each channel."""
    frames = max(scan.frames.count, 1)
    blocks = np.ceil(frames * scan.step / scan.time_scale) if np.isfinite(scan.time_scale) else 0.0
    return np.asarray(scan.channels.kept_by_filters * max(1.0 - blocks / frames, 0.0))


def _note_loss(scan: Scan, mode: Mode, taken: FloatArray, blocks: float) -> None:
    """Correct the response to point sources for what the mode takes of them: its share of channels that see them."""
    free = blocks - 1.0
    if scan.overlaps is None or free <= 0:
        return
    lost = np.minimum((scan.overlaps @ taken) / free, 1.0)
    kept = np.where(scan.channels.flag == 0, 1.0 - lost, mode.kept)
    scan.channels.kept *= divide(kept, mode.kept)
    mode.kept = kept


def update_gains(scan: Scan, mode: Mode, rule: GainRule, *, robust: bool = False) -> None:
    """Fit the gains of a mode to the samples, and flag channels whose gain is not plausible.

    Parameters
    ----------
    scan : Scan
        Changed in place.
    mode : Mode
        Nothing is done if its gains follow from others.
    rule : GainRule
        Plausible gains.
    robust : bool
        Take medians.
    """
    if mode.store_gains is None:
        return
    name = f"gains of {mode.name}"
    scan.dependents.remove(name)
    signal, good = mode.signal, scan.good[:, mode.channels]
    per_frame = scan.frames.weight * signal**2
    total = per_frame @ good
    samples = scan.residual[:, mode.channels]
    if robust:
        ratio = np.divide(samples, signal[:, np.newaxis], out=np.zeros(samples.shape), where=signal[:, np.newaxis] != 0)
        change = weighted_median(ratio, per_frame[:, np.newaxis] * good)
    else:
        change = divide((scan.frames.weight * signal) @ np.where(good, samples, 0.0), total)
    # the mean of what the samples say and what is expected, by their variances
    expected = scan.channels.variance[mode.channels] / rule.scatter**2
    change = divide(total * change + expected * (1.0 - mode.applied), total + expected)
    fitted = total > 0
    mode.store_gains(scan.channels, mode.applied + np.where(fitted, change, 0.0))
    _flag_gains(scan.channels, mode, rule)
    mode.follow_gains(scan)
    for other in scan.modes.values():
        for coupled in other:
            if coupled.modality in COUPLED and mode.modality == COMMON:
                coupled.follow_gains(scan)
    per_channel = np.zeros(scan.channels.count)
    per_channel[mode.channels[fitted]] = 1.0 - 1.0 / max(mode.channels.size, 1)
    scan.dependents.put(name, per_frame * (good @ divide(np.ones(total.shape), total)), per_channel)


def _flag_gains(table: ChannelTable, mode: Mode, rule: GainRule) -> None:
    gain = mode.find_gains(table)
    size = gain if rule.signed else np.abs(gain)
    plausible: BoolArray = (size >= rule.low) & (size <= rule.high)
    table.flag[mode.channels[plausible]] &= ~mode.flag
    table.flag[mode.channels[~plausible]] |= mode.flag
