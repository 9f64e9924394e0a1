"""What is done to scans before the first round: frames, channels and samples that are left out, null tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.errors import ParameterError
from sofia_engine.scan import flags
from sofia_engine.scan.filters import NotchRule, notch_lines

if TYPE_CHECKING:
    from sofia_engine.numerics.arrays import FloatArray
    from sofia_engine.scan.option_table import ScanOptions
    from sofia_engine.scan.timestream import Scan

__all__ = ["prepare_channels", "prepare_samples", "reverse_for_null_test"]

_SEED = 7020


def prepare_channels(scan: Scan, options: ScanOptions) -> None:
    """Flag channels the user names, and start with gains and weights as told; the scan is changed in place.

    Raises
    ------
    ParameterError
        If a channel is named that does not exist.
    """
    table = scan.channels
    for numbers, groups, bit in (
        (options.flagged, options.flagged_groups, flags.DEAD),
        (options.blind, {}, flags.BLIND),
    ):
        _flag(scan, numbers, np.arange(table.count), bit)
        for name, chosen in groups.items():
            if chosen:
                _flag(scan, chosen, table.groups.get(name, np.zeros(table.count, dtype=int)), bit)
    scan.residual[:, (table.flag & flags.DEAD) != 0] = 0.0
    if options.flat_weights:
        table.weight[:] = float(np.median(table.weight))
        table.variance[:] = float(np.median(table.variance))
    if options.uniform:
        table.gain[:] = table.coupling[:] = 1.0


def _flag(scan: Scan, chosen: Sequence[int], numbers: np.ndarray, bit: int) -> None:
    unknown = sorted(set(chosen) - set(numbers.tolist()))
    if unknown:
        raise ParameterError(f"scan_options: there is no channel or group {unknown[0]}; give 0 to {numbers.max()}.")
    scan.channels.flag[np.isin(numbers, chosen)] |= bit


def prepare_samples(scan: Scan, options: ScanOptions) -> None:
    """Leave out frames and samples as told, shift samples against positions, and take out lines of frequencies.

    The scan is changed in place.
    """
    count = scan.frames.count
    if options.shift:
        _shift(scan, round(options.shift / scan.step))
    if options.frames is not None:
        first, last = (n + count if n < 0 else n for n in options.frames)
        number = np.arange(count)
        scan.frames.valid &= (number >= first) & (number <= last)
    if options.sample_range is not None:
        _limit(scan, options.sample_range, options.range_fraction)
    if options.notch:
        rule = NotchRule(options.notch_frequencies, options.notch_width, options.notch_harmonics, options.notch_bands)
        notch_lines(scan, rule)


def _shift(scan: Scan, frames: int) -> None:
    """Move samples to earlier (negative) or later frames; what comes around the end has no value."""
    scan.residual[:] = np.roll(scan.residual, frames, axis=0)
    scan.bad[:] = np.roll(scan.bad, frames, axis=0)
    around = slice(0, frames) if frames > 0 else slice(scan.frames.count + frames, None)
    if frames:
        scan.frames.valid[around] = False


def _limit(scan: Scan, limits: tuple[float, float], fraction: float) -> None:
    outside = (scan.residual < limits[0]) | (scan.residual > limits[1])
    outside &= (scan.bad & flags.SKIP) == 0
    scan.bad[outside] |= flags.SKIP
    scan.residual[outside] = 0.0
    often = outside.mean(axis=0) > fraction
    scan.channels.flag[often] |= flags.DEAD


def reverse_for_null_test(scans: Sequence[Scan], options: ScanOptions) -> None:
    """Turn the sign of half the scans, frames or channels, or mix up the channels, so that no source can be left.

    The scans are changed in place; chance is the same in each run.
    """
    random = np.random.default_rng(_SEED)
    for number, scan in enumerate(scans):
        if options.jackknife in ("scans", "alternate", "frames"):
            scan.frames.gain = scan.frames.gain * _draw_signs(options.jackknife, number, scan.frames.count, random)
        if options.jackknife == "channels":
            scan.channels.coupling = scan.channels.coupling * random.choice([-1.0, 1.0], scan.channels.count)
        if options.gain_noise > 0:
            scatter = random.normal(size=scan.channels.count)
            scan.channels.gain = scan.channels.gain * (1.0 + options.gain_noise * scatter)
        if options.scramble:
            order = random.permutation(scan.channels.count)
            scan.channels.x, scan.channels.y = scan.channels.x[order], scan.channels.y[order]


def _draw_signs(kind: str, number: int, frames: int, random: np.random.Generator) -> FloatArray:
    if kind == "frames":
        return np.asarray(random.choice([-1.0, 1.0], frames))
    return np.full(frames, (-1.0) ** (number if kind == "alternate" else int(random.integers(2))))
