"""Combination of the planes of chopped and nodded observations, with variance, and which rule a mode needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sofia_engine.numerics.arrays import FloatArray
from sofia_engine.numerics.statistics import find_median_variance, median_ignoring_nan, median_of_section

__all__ = ["Frames", "StackRule", "combine_planes", "find_rule", "scale_factors", "sum_repeats"]

StackRule = Literal["map", "c2nc2", "multi", "nod", "stare"]
"""
map: double differences of groups of four planes (chop and nod).
c2nc2: differences of pairs of planes (chop only).
multi: the first plane without all others (more than two chop positions).
nod: differences of pairs of planes (nod only).
stare: median of all planes.
"""

PLANES_NEEDED: Mapping[StackRule, int] = {"map": 4, "c2nc2": 2, "multi": 2, "nod": 2, "stare": 1}
_RULES: Mapping[str, StackRule] = {
    **dict.fromkeys(("NMC", "NPC", "NPCCAS", "NPCNAS", "C2N", "C2ND", "NAS", "NOS", "MAP", "NXCAC", "C2NC4"), "map"),
    **dict.fromkeys(("SLITSCAN", "SLITSCAN_NMC", "SLITSCAN_NXCAC"), "map"),
    **dict.fromkeys(("C2", "C2NC2"), "c2nc2"),
    **dict.fromkeys(("C3D", "CM"), "multi"),
    **dict.fromkeys(("N", "NOD"), "nod"),
    "STARE": "stare",
}


@dataclass(frozen=True, eq=False)
class Frames:
    """Planes, or the image made of them, with their variance.

    Parameters
    ----------
    flux, variance : (n, ny, nx) or (ny, nx) ndarray
        Counts and counts squared; NaN is missing.
    """

    flux: FloatArray
    variance: FloatArray

    def scaled(self, factor: float) -> Frames:
        """Return the frames times a factor, in the same dtype."""
        kind = self.flux.dtype.type
        return Frames(self.flux * kind(factor), self.variance * kind(factor * factor))


def find_rule(sky_mode: str) -> StackRule | None:
    """Return how the planes of a chop and nod mode are combined; None if the mode is not known."""
    return _RULES.get(sky_mode)


def sum_repeats(frames: Frames, repeats: int) -> Frames:
    """Sum each so many consecutive planes; an incomplete rest is left out.

    Missing values do not contribute; a sum of none is missing.
    """
    whole = len(frames.flux) // repeats * repeats
    groups = [array[:whole].reshape(-1, repeats, *array.shape[1:]) for array in (frames.flux, frames.variance)]
    return Frames(_sum_valid(groups[0], axis=1), _sum_valid(groups[1], axis=1))


def scale_factors(flux: FloatArray, center: tuple[float, float], size: tuple[float, float]) -> tuple[float, ...]:
    """Return the median of a section of each plane, by whose ratios planes are brought to a common level."""
    return tuple(median_of_section(plane, center, size) for plane in flux)


def combine_planes(frames: Frames, rule: StackRule, levels: Sequence[float] | None = None) -> Frames:
    """Combine the planes of an observation to one image.

    Parameters
    ----------
    frames : Frames
        Planes in the order they were taken: both chop positions in nod A, both in nod B, and so on. Planes that do not
        complete a group are left out.
    rule : StackRule
        How they are combined.
    levels : sequence of float, optional
        Level of each plane; subtracted planes are scaled by the ratio of levels.

    Returns
    -------
    Frames
        Image and variance, (ny, nx). A pixel is missing where no group of planes has all its values; a value that
        happens to be 0 is a value.

    Raises
    ------
    ValueError
        If there are fewer planes than the rule needs.
    """
    if len(frames.flux) < PLANES_NEEDED[rule]:
        raise ValueError(f"{len(frames.flux)} planes are too few for {rule}: {PLANES_NEEDED[rule]} are needed")
    return _COMBINE[rule](frames, np.ones(len(frames.flux)) if levels is None else np.asarray(levels, float))


def _subtract(first: Frames, second: Frames, ratio: FloatArray) -> Frames:
    """Return the first frames without the second times a ratio (one per plane)."""
    factor = ratio.astype(first.flux.dtype)[:, np.newaxis, np.newaxis]
    return Frames(first.flux - second.flux * factor, first.variance + second.variance * factor**2)


def _planes(frames: Frames, chosen: slice) -> Frames:
    return Frames(frames.flux[chosen], frames.variance[chosen])


def _total(frames: Frames) -> Frames:
    return Frames(_sum_valid(frames.flux), _sum_valid(frames.variance))


def _double_difference(frames: Frames, levels: FloatArray) -> Frames:
    whole = len(frames.flux) // 4 * 4
    first, second, third, fourth = (_planes(frames, slice(number, whole, 4)) for number in range(4))
    s0, s1, s2, s3 = (levels[number:whole:4] for number in range(4))
    nod_a, nod_b = _subtract(first, second, s0 / s1), _subtract(third, fourth, s2 / s3)
    return _total(_subtract(nod_a, nod_b, s0 / s2))


def _pair_difference(frames: Frames, levels: FloatArray) -> Frames:
    whole = len(frames.flux) // 2 * 2
    first, second = _planes(frames, slice(0, whole, 2)), _planes(frames, slice(1, whole, 2))
    return _total(_subtract(first, second, levels[0:whole:2] / levels[1:whole:2]))


def _subtract_all_others(frames: Frames, levels: FloatArray) -> Frames:
    factors = (levels[0] / levels).astype(frames.flux.dtype)[1:, np.newaxis, np.newaxis]
    others = Frames(np.sum(frames.flux[1:] * factors, axis=0), np.sum(frames.variance[1:] * factors**2, axis=0))
    return Frames(frames.flux[0] - others.flux, frames.variance[0] + others.variance)


def _median(frames: Frames, _levels: FloatArray) -> Frames:
    if len(frames.flux) == 1:
        return Frames(frames.flux[0], frames.variance[0])
    count = np.count_nonzero(np.isfinite(frames.flux), axis=0)
    variance = _sum_valid(frames.variance) * find_median_variance(np.maximum(count, 1)) / np.maximum(count, 1) ** 2
    return Frames(median_ignoring_nan(frames.flux, axis=0), variance.astype(frames.variance.dtype, copy=False))


def _sum_valid(array: FloatArray, axis: int = 0) -> FloatArray:
    """Return the sum without missing values; missing where there is none."""
    missing = np.isnan(array).all(axis=axis)
    return np.where(missing, array.dtype.type(np.nan), np.nansum(array, axis=axis, dtype=array.dtype))


_COMBINE: Mapping[StackRule, Callable[[Frames, FloatArray], Frames]] = {
    "map": _double_difference,
    "c2nc2": _pair_difference,
    "multi": _subtract_all_others,
    "nod": _pair_difference,
    "stare": _median,
}
