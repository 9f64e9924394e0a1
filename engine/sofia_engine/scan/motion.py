"""How fast the telescope moves, and which frames are used because of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.scan import flags

if TYPE_CHECKING:
    from sofia_engine.numerics.arrays import FloatArray
    from sofia_engine.scan.map_grid import Beam
    from sofia_engine.scan.options import ScanOptions
    from sofia_engine.scan.timestream import Scan

__all__ = ["clip_speeds", "find_accelerations", "find_speeds", "stands_still"]

_SLOWEST, _FASTEST = 5.0, 0.4
"""Slowest and fastest useful speed: source sizes per stable time, point sizes per frame."""
_ROUNDS = 5
_STILL = 1e-3
"""A telescope that moves less than this, arcsec, stands still."""
_FEW = 10
_TRIMMED = 0.1


def find_speeds(x: FloatArray, y: FloatArray, step: float, smoothing: float = 0.0) -> FloatArray:
    """Return the speed in each frame, arcsec/s; NaN where it is not known.

    Parameters
    ----------
    x, y : (n,) ndarray
        Positions, arcsec.
    step : float
        Time between frames, s.
    smoothing : float
        Positions are averaged over so many seconds.
    """
    if x.size < 3:
        return np.full(x.size, np.nan)
    frames = max(round(smoothing / step), 1)
    speeds = []
    for place in (x, y):
        mean = np.convolve(place, np.full(frames, 1.0 / frames), "valid") if frames > 1 else place
        rate = (mean[2:] - mean[:-2]) / (2 * step) if mean.size > 2 else np.zeros(0)
        lead = (x.size - rate.size) // 2
        speeds.append(np.pad(rate, (lead, x.size - rate.size - lead), "edge") if rate.size else np.full(x.size, np.nan))
    speed: FloatArray = np.hypot(*speeds)
    return speed


def find_accelerations(x: FloatArray, y: FloatArray, step: float) -> FloatArray:
    """Return the acceleration in each frame, arcsec/s2, by second differences; NaN where it is not known."""
    if x.size < 3:
        return np.full(x.size, np.nan)
    parts = [np.pad(np.diff(place, 2), 1, "edge") / step**2 for place in (x, y)]
    made: FloatArray = np.hypot(*parts)
    return made


def clip_speeds(scan: Scan, options: ScanOptions, beam: Beam) -> int:
    """Leave out frames in which the telescope is too slow or too fast, and note the mean speed.

    Parameters
    ----------
    scan : Scan
        Changed in place: valid frames, speed.
    options : ScanOptions
        Range of speeds.
    beam : Beam
        Resolution of the instrument.

    Returns
    -------
    int
        Number of frames left out.
    """
    frames, before = scan.frames, int(scan.frames.valid.sum())
    speed = find_speeds(frames.x, frames.y, scan.step, options.position_smoothing)
    low, high = options.speed_range or (
        _SLOWEST * float(np.hypot(options.source_size, beam.spatial)) / options.stability,
        _FASTEST * beam.spatial / scan.step,
    )
    useful = (speed >= low) & (speed <= high)
    if options.fastest_turn is not None:
        useful &= find_accelerations(frames.x, frames.y, scan.step) <= options.fastest_turn
    if options.strict_speed:
        frames.valid = frames.valid & useful
    else:
        frames.gain = np.where(useful, frames.gain, 0.0)
    if options.speed_sigma is not None:
        for _ in range(_ROUNDS):
            known = speed[frames.valid]
            if not known.size:
                break
            frames.valid = frames.valid & (np.abs(speed - np.median(known)) <= options.speed_sigma * known.std())
    known = np.sort(speed[frames.valid & np.isfinite(speed)])
    cut = int(_TRIMMED * known.size) if known.size > _FEW else 0
    scan.speed = float(known[cut : known.size - cut].mean()) if known.size else 0.0
    return before - int(frames.valid.sum())


def count_mapped(scan: Scan) -> int:
    """Return the number of frames that go into maps."""
    return int(np.count_nonzero(scan.frames.mapped & ((scan.bad & flags.SKIP) == 0).any(axis=1)))


def stands_still(scan: Scan) -> bool:
    """Tell whether all known positions of the telescope are the same."""
    known = np.isfinite(scan.frames.x) & np.isfinite(scan.frames.y)
    return bool(known.any() and max(np.ptp(scan.frames.x[known]), np.ptp(scan.frames.y[known])) < _STILL)
