"""Responses of channels to what is known: the place of the telescope, how hard it turns, the square of the sky."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.scan.averages import divide, find_block_length, list_blocks

if TYPE_CHECKING:
    from sofia_engine.numerics.arrays import FloatArray
    from sofia_engine.scan.timestream import Scan

__all__ = ["RESPONSES", "remove_response"]

NONLINEARITY = "nonlinearity"


def _place(axis: str) -> Callable[[Scan], FloatArray]:
    def find(scan: Scan) -> FloatArray:
        return np.asarray(getattr(scan.frames, axis), dtype=np.float64)

    return find


def _acceleration(combine: Callable[[FloatArray, FloatArray], FloatArray]) -> Callable[[Scan], FloatArray]:
    def find(scan: Scan) -> FloatArray:
        parts = [np.gradient(np.gradient(place, scan.step), scan.step) for place in (scan.frames.x, scan.frames.y)]
        return combine(*parts)

    return find


def _square_of_sky(scan: Scan) -> FloatArray:
    modes = scan.modes.get("obs-channels", [])
    return modes[0].signal ** 2 if modes else np.zeros(scan.frames.count)


RESPONSES: Mapping[str, Callable[[Scan], FloatArray]] = {
    NONLINEARITY: _square_of_sky,
    "telescope-x": _place("x"), "telescope-y": _place("y"),
    "accel-x": _acceleration(lambda x, y: x), "accel-y": _acceleration(lambda x, y: y),  # noqa: ARG005
    "accel-x^2": _acceleration(lambda x, y: x**2), "accel-y^2": _acceleration(lambda x, y: y**2),  # noqa: ARG005
    "accel-abs-x": _acceleration(lambda x, y: np.abs(x)), "accel-abs-y": _acceleration(lambda x, y: np.abs(y)),  # noqa: ARG005
    "accel-mag": _acceleration(np.hypot),
    "accel-norm": _acceleration(lambda x, y: x**2 + y**2),
}  # fmt: skip
"""Signals that channels may respond to, by name; each is found from a scan."""


def remove_response(scan: Scan, name: str) -> FloatArray:
    """Fit how much of a known signal each channel holds, and take it out.

    Parameters
    ----------
    scan : Scan
        Changed in place.
    name : str
        Of `RESPONSES`.

    Returns
    -------
    (n_channel,) ndarray
        What was found in this round.
    """
    if name not in scan.signals or name == NONLINEARITY:
        _start(scan, name)
    signal = scan.signals[name][:, np.newaxis]
    weight = np.where(scan.good, scan.frames.weight[:, np.newaxis], 0.0)
    total = (weight * signal**2).sum(axis=0)
    found = divide((weight * signal * scan.residual).sum(axis=0), total)
    scan.subtract(signal[:, 0], found, slice(None))
    scan.signal_gains[name] = scan.signal_gains[name] + found
    scan.dependents.put(name, (weight * divide(signal**2, total)).sum(axis=1), (total > 0).astype(float))
    return found


def _start(scan: Scan, name: str) -> None:
    """Set up the signal, without its mean over the times drifts are removed in; the square of the sky is renewed."""
    if name in scan.signals:  # what was taken out with the signal of before goes back
        scan.subtract(scan.signals[name], -scan.signal_gains[name], slice(None))
    found = RESPONSES[name](scan)
    signal = np.where(scan.frames.valid & np.isfinite(found), found, 0.0)
    length = find_block_length(scan.time_scale, scan.step, scan.frames.count)
    for block in list_blocks(scan.frames.count, length):
        used = scan.frames.usable[block]
        if used.any():
            signal[block] = np.where(scan.frames.valid[block], signal[block] - signal[block][used].mean(), 0.0)
    scale = float(np.abs(signal).max(initial=0.0))
    scan.signals[name] = signal / scale if scale > 0 else signal
    scan.signal_gains[name] = np.zeros(scan.channels.count)
