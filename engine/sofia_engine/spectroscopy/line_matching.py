"""Which maximum of a spectrum is which line of a list: lines are matched as one pattern, not one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.numerics.polynomials import fit_polynomial

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import BoolArray, FloatArray, IndexArray

__all__ = ["Extremes", "LineMatch", "find_extremes", "find_supported_degree", "match_lines"]

_LEAST_PROMINENCE = 7.0
"""Times the noise: what stands out less is not taken for a line. Maxima of noise alone reach 5."""
_GRID_STEP = 0.25
_VOTE_REACH = 1.0
_ASSIGN_REACH = 1.5
_LEAST_TOLERANCE, _LARGEST_TOLERANCE = 0.5, 1.0
"""Columns: blended lines of the published lists lie up to 0.4 columns off their maxima."""
_MAD_TO_SIGMA = 1.4826
_DEVIATION = 4.0
_SHIFT_COST = 0.02
"""Votes per column: of equal matches the one nearest to the guess wins."""
_WEIGHT_POWER = 0.25
"""Bright maxima count a little more than faint ones."""
_LINES_PER_DEGREE = 2
_SPAN_OF_LINE, _SPAN_OF_CURVE = 0.25, 0.5


@dataclass(frozen=True, eq=False)
class Extremes:
    """Local maxima (or minima) of a spectrum.

    Attributes
    ----------
    position : (n,) ndarray
        Columns of the vertices of parabolas through three values.
    error : (n,) ndarray
        What the noise makes of them, 1-sigma, columns.
    height : (n,) ndarray
        Prominence: how far the extreme stands out of the higher of the valleys beside it; negative for minima.
    """

    position: FloatArray
    error: FloatArray
    height: FloatArray


@dataclass(frozen=True, eq=False)
class LineMatch:
    """Lines of a list and the extremes that they are.

    Attributes
    ----------
    position, height : (n,) ndarray
        Column and prominence of each line; NaN where none was matched.
    error : (n,) ndarray
        Error of the column from the noise.
    expected : (n,) ndarray
        Guess, corrected for the shift of all lines together.
    rejected : (n,) ndarray of bool
        Lines with an extreme nearby that does not fit the others.
    """

    position: FloatArray
    error: FloatArray
    height: FloatArray
    expected: FloatArray
    rejected: BoolArray

    @property
    def found(self) -> BoolArray:
        """Lines that were matched."""
        found: BoolArray = np.isfinite(self.position)
        return found


def find_extremes(flux: ArrayLike, noise: float = 0.0, kind: str = "emission") -> Extremes:
    """Find local extremes that stand out of the noise.

    Parameters
    ----------
    flux : (nw,) array_like
        NaN is missing; no extreme is found beside it.
    noise : float
        1-sigma error of a column.
    kind : {"emission", "absorption", "either"}
        Maxima, minima, or both.

    Returns
    -------
    Extremes
        Rising in column.

    Notes
    -----
    Blended lines are not symmetric: a Gaussian fitted to one is drawn to its neighbours by up to a column, the maximum
    by a tenth of that. The published line lists give maxima.
    """
    data = np.asarray(flux, dtype=np.float64)
    signs = {"emission": (1.0,), "absorption": (-1.0,)}.get(kind, (1.0, -1.0))
    parts = [_find_maxima(sign * data, noise, sign) for sign in signs]
    position, error, height = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.argsort(position)
    return Extremes(position[order], error[order], height[order])


def _find_maxima(data: FloatArray, noise: float, sign: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    with np.errstate(invalid="ignore"):
        top = np.flatnonzero((data[1:-1] >= data[:-2]) & (data[1:-1] > data[2:])) + 1
    height = np.array([_measure_prominence(data, int(index)) for index in top])
    top, height = top[height > _LEAST_PROMINENCE * noise], height[height > _LEAST_PROMINENCE * noise]
    left, middle, right = data[top - 1], data[top], data[top + 1]
    curvature = 2 * middle - left - right
    vertex = 0.5 * (right - left) / curvature
    return top + vertex, noise * np.sqrt(0.5 + 6 * vertex**2) / curvature, sign * height


def _measure_prominence(data: FloatArray, top: int) -> float:
    """Height over the higher of the two lowest values between a maximum and higher ground (or the end)."""
    valleys = []
    for side in (data[top::-1], data[top:]):
        beyond = np.flatnonzero(side > data[top])
        valleys.append(np.nanmin(side[: beyond[0]] if beyond.size else side))
    return float(data[top] - max(valleys))


def find_supported_degree(positions: ArrayLike, width: int) -> int:
    """Highest degree of a correction that lines can bear without running away where there are none.

    Parameters
    ----------
    positions : (n,) array_like
        Columns of the lines; NaN is missing.
    width : int
        Columns of the spectrum.

    Returns
    -------
    int
        One for every second line beyond two, so that each degree is checked by lines that it does not need; at most 0
        if they span less than a quarter of the spectrum, 1 if less than half.
    """
    places = np.asarray(positions, dtype=np.float64)
    places = places[np.isfinite(places)]
    if places.size < 2:
        return 0
    span = float(np.ptp(places)) / width
    bound = 0 if span < _SPAN_OF_LINE else 1 if span < _SPAN_OF_CURVE else places.size
    return min((places.size - 2) // _LINES_PER_DEGREE, bound)


def match_lines(guesses: ArrayLike, extremes: Extremes, reach: float, width: int) -> LineMatch:
    """Match lines with the extremes of a spectrum.

    A shift and a stretch of the whole list are voted for by all lines; then each line takes the nearest extreme, and
    lines that do not lie on a common polynomial, of a degree that they can bear, are rejected, the worst first.

    Parameters
    ----------
    guesses : (n,) array_like
        Expected columns; NaN for lines outside.
    extremes : Extremes
        Of the spectrum.
    reach : float
        Farthest that the guesses may be off, columns; half of it if lines are too few to tell a stretch.
    width : int
        Columns of the spectrum.

    Returns
    -------
    LineMatch
        NaN where a line was not found or rejected.
    """
    places = np.asarray(guesses, dtype=np.float64)
    nothing = np.full(places.shape, np.nan)
    known = np.isfinite(places) & (places > -reach) & (places < width - 1 + reach)
    if not known.any() or extremes.position.size == 0:
        return LineMatch(nothing, nothing, nothing, places, np.zeros(places.shape, dtype=bool))
    expected = places + _vote(places[known], extremes, reach, width)(places)
    nearest = _find_nearest(expected, extremes.position)
    first = np.where(known & (np.abs(extremes.position[nearest] - expected) <= _ASSIGN_REACH), nearest, -1)
    first = _keep_nearest(first, expected, extremes.position)
    kept, course = _reject(places, np.where(first >= 0, extremes.position[first], np.nan), width)
    position, error, height = (
        np.where(kept, part[first], np.nan) for part in (extremes.position, extremes.error, extremes.height)
    )
    return LineMatch(position, error, height, course, (first >= 0) & ~kept)


class _Shift:
    """Shift of columns, linear across the spectrum."""

    def __init__(self, offset: float, stretch: float, width: int) -> None:
        self.offset, self.stretch, self.middle = offset, stretch, width / 2

    def __call__(self, columns: FloatArray) -> FloatArray:
        return self.offset + self.stretch * (columns / self.middle - 1)


def _vote(places: FloatArray, extremes: Extremes, reach: float, width: int) -> _Shift:
    """Shift that brings most lines to extremes; stretches only if there are lines enough to tell them from shifts."""
    many = find_supported_degree(places, width) > 0
    reach, widest = (reach, reach / 2) if many else (reach / 2, 0.0)  # a few lines fit many maxima by chance
    offsets = np.arange(-reach, reach + _GRID_STEP / 2, _GRID_STEP)
    stretches = np.arange(-widest, widest + _GRID_STEP / 2, _GRID_STEP)
    shift = offsets[:, np.newaxis, np.newaxis] + stretches[:, np.newaxis] * (2 * places / width - 1)
    # a bright maximum is not to outvote the one faint line of a short list
    weight = (np.abs(extremes.height) / np.abs(extremes.height).max()) ** (_WEIGHT_POWER if many else 0.0)
    votes = np.zeros((offsets.size, stretches.size))
    for index, place in enumerate(places):
        away = (place + shift[..., index, np.newaxis] - extremes.position) / _VOTE_REACH
        votes += (weight * np.clip(1 - away**2, 0, None)).max(axis=-1)
    votes -= _SHIFT_COST * (np.abs(offsets)[:, np.newaxis] + np.abs(stretches))
    best, stretch = np.unravel_index(int(np.argmax(votes)), votes.shape)
    return _Shift(float(offsets[best]), float(stretches[stretch]), width)


def _find_nearest(places: FloatArray, positions: FloatArray) -> IndexArray:
    distance = np.abs(np.nan_to_num(places)[:, np.newaxis] - positions)
    nearest: IndexArray = np.argmin(distance, axis=1)
    return nearest


def _keep_nearest(chosen: IndexArray, expected: FloatArray, positions: FloatArray) -> IndexArray:
    """Leave each extreme to the line that is nearest to it."""
    kept = chosen.copy()
    for extreme in np.unique(chosen[chosen >= 0]):
        rivals = np.flatnonzero(chosen == extreme)
        best = rivals[np.argmin(np.abs(expected[rivals] - positions[extreme]))]
        kept[rivals[rivals != best]] = -1
    return kept


def _reject(places: FloatArray, positions: FloatArray, width: int) -> tuple[BoolArray, FloatArray]:
    """Lines whose shifts lie on one polynomial, and where it puts all lines."""
    shift = positions - places
    kept: BoolArray = np.isfinite(shift)
    while kept.any():
        degree = min(find_supported_degree(places[kept], width), 2)
        if degree == 0:
            common = np.full(places.shape, float(np.median(shift[kept])))
        else:
            common = fit_polynomial(places[kept], shift[kept], degree)(places)
        away = np.where(kept, np.abs(shift - common), 0.0)
        spread = _DEVIATION * _MAD_TO_SIGMA * float(np.median(away[kept]))
        tolerance = min(max(_LEAST_TOLERANCE, spread), _LARGEST_TOLERANCE)
        worst = int(np.argmax(away))
        if away[worst] <= tolerance:
            return kept, places + common
        kept[worst] = False
    return kept, places
