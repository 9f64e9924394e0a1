"""Robust rejection of outliers in many lines of numbers at once, alone and around repeated fits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.numerics.statistics import median_ignoring_nan

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import BoolArray, FloatArray, IndexArray

__all__ = ["RejectionRule", "RejectionState", "find_inliers"]

MAD_FACTOR = 1.482
"""Standard deviation of a normal distribution over its median absolute deviation, rounded as is usual for this rule."""

ROUNDING = 1e-12
"""Deviations smaller than this share of the largest value are rounding, not outliers."""


def find_inliers(values: ArrayLike, threshold: float, floor: ArrayLike | None = None) -> BoolArray:
    """Tell which values of each line lie near its median.

    Parameters
    ----------
    values : (..., n) array_like
        Lines along the last axis; NaN is missing and never an inlier.
    threshold : float
        Values further from the median of their line than ``threshold * 1.482 * MAD`` are outliers; if the median
        absolute deviation (MAD) is zero, so is every deviating value.
    floor : (...,) array_like, optional
        Deviations up to this are never outliers, one per line; the rounding of the largest value if left out.

    Returns
    -------
    ndarray of bool
        Shape of `values`.
    """
    lines = np.asarray(values, dtype=np.float64)
    deviation = np.abs(lines - median_ignoring_nan(lines, axis=-1)[..., np.newaxis])
    limit = threshold * MAD_FACTOR * median_ignoring_nan(deviation, axis=-1)[..., np.newaxis]
    least = _find_rounding(lines) if floor is None else np.asarray(floor, dtype=np.float64)
    inliers: BoolArray = deviation <= np.maximum(limit, least[..., np.newaxis])  # NaN compares false
    return inliers


def _find_rounding(lines: FloatArray) -> FloatArray:
    largest: FloatArray = np.abs(np.where(np.isfinite(lines), lines, 0.0)).max(axis=-1, initial=0.0)
    return ROUNDING * largest


@dataclass(frozen=True)
class RejectionRule:
    """When points are rejected, and when a repeated fit is done.

    Attributes
    ----------
    threshold : float
        Of `find_inliers`, applied to the residuals of all valid points: a point rejected once can come back.
    least : int
        A fit to fewer points has failed.
    tolerance : float
        A relative change of the scatter of the residuals below this ends the rounds.
    maxiters : int
        Largest number of fits.
    """

    threshold: float
    least: int = 2
    tolerance: float = 0.01
    maxiters: int = 10


@dataclass(frozen=True, eq=False)
class RejectionState:
    """Progress of many repeated fits, one per line.

    Attributes
    ----------
    valid : (n, m) ndarray of bool
        Points that may take part at all.
    used : (n, m) ndarray of bool
        Points of the present round (of the last one for lines that are done).
    enough : (n,) ndarray of bool
        Whether enough points are left for a fit.
    rms : (n,) ndarray
        Standard deviation (n - 1) of the residuals of the last fit.
    active : (n,) ndarray of bool
        Lines that need another fit.
    floor : (n,) ndarray
        Residuals up to this are never outliers.
    """

    rule: RejectionRule
    valid: BoolArray
    used: BoolArray
    enough: BoolArray
    rms: FloatArray
    active: BoolArray
    floor: FloatArray
    rounds: int = 0

    @classmethod
    def begin(
        cls, values: FloatArray, valid: BoolArray, rule: RejectionRule, floor: FloatArray | None = None
    ) -> RejectionState:
        """State before the first fit to values (n, m), of which some may take part; the floor is at least rounding."""
        enough = valid.sum(axis=-1) >= rule.least
        least = _find_rounding(np.where(valid, values, 0.0))
        least = least if floor is None else np.fmax(least, floor)
        return cls(rule, valid, valid.copy(), enough, np.full(len(valid), np.inf), enough.copy(), least)

    def advance(self, residual: FloatArray) -> tuple[RejectionState, BoolArray]:
        """State after a fit that left these residuals (n, m), and the lines that are to be fitted again."""
        lines: IndexArray = np.flatnonzero(self.active)
        rms = self.rms.copy()
        rms[lines] = _scatter(residual[lines], self.used[lines])
        inliers = find_inliers(
            np.where(self.valid[lines], residual[lines], np.nan), self.rule.threshold, self.floor[lines]
        )
        changed = (inliers != self.used[lines]).any(axis=-1)
        with np.errstate(invalid="ignore", divide="ignore"):
            settled = np.abs(self.rms[lines] - rms[lines]) < self.rule.tolerance * self.rms[lines]
        settled &= np.isfinite(self.rms[lines])
        go_on = changed & ~settled & (self.rounds + 1 < self.rule.maxiters)
        used, enough, active = self.used.copy(), self.enough.copy(), np.zeros_like(self.active)
        used[lines[go_on]] = inliers[go_on]
        enough[lines] = used[lines].sum(axis=-1) >= self.rule.least
        active[lines[go_on]] = enough[lines[go_on]]
        state = replace(self, used=used, enough=enough, rms=rms, active=active, rounds=self.rounds + 1)
        return state, active | (~enough & self.enough)


def _scatter(residual: FloatArray, used: BoolArray) -> FloatArray:
    count = used.sum(axis=-1)
    kept = np.where(used, residual, 0.0)
    mean = kept.sum(axis=-1) / np.maximum(count, 1)
    squares = np.where(used, (residual - mean[:, np.newaxis]) ** 2, 0.0).sum(axis=-1)
    scatter: FloatArray = np.sqrt(squares / np.maximum(count - 1, 1))
    return scatter
