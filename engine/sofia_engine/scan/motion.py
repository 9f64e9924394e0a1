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

__all__ = ["clip_speeds", "find_speeds"]

_SLOWEST, _FASTEST = 5.0, 0.4
"""Slowest and fastest useful speed: source sizes per stable time, point sizes per frame."""
_ROUNDS = 5
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
    frames.valid = frames.valid & (speed >= low) & (speed <= high)
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
