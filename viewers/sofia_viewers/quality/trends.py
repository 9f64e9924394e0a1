"""Trends of numbers over many products: series, groups, robust lines, outliers, and two runs side by side."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sofia_viewers.quality.metrics import COLUMNS, Metrics

__all__ = [
    "OUTLIER_LIMIT", "Comparison", "Line", "Series", "compare_runs", "find_outliers", "fit_line", "make_series",
    "outlier_scores", "summarize_comparison",
]  # fmt: skip

FloatArray = NDArray[np.float64]

OUTLIER_LIMIT = 5.0
"""Robust standard deviations from the median beyond which a value is an outlier."""

_MIN_GROUP = 5
_ROUNDING = 1e-9
"""Median deviations below this fraction of the mean one are the rounding of equal values."""
_MAD_TO_SIGMA = 1.482602218505602
_MEAN_TO_SIGMA = 1.2533141373155001
"""Standard deviation of a normal distribution over its mean absolute deviation."""
_GROUP_KEYS = ("step", "product_type", "filter", "unit")
_MOST_PAIRS = 2000


@dataclass(frozen=True, eq=False)
class Series:
    """Points of one group.

    Parameters
    ----------
    name : str
        Of the group.
    rows : (n,) ndarray of int
        Which rows of the table the points are.
    x, y : (n,) ndarray
        Values; words are numbered in the order of `categories`.
    """

    name: str
    rows: NDArray[np.intp]
    x: FloatArray = field(repr=False)
    y: FloatArray = field(repr=False)


@dataclass(frozen=True)
class Line:
    """A straight line y = intercept + slope (x - origin), and the scatter of points about it (1 sigma)."""

    slope: float
    intercept: float
    origin: float
    scatter: float

    def at(self, x: FloatArray) -> FloatArray:
        """Return the line at some places."""
        return self.intercept + self.slope * (x - self.origin)


@dataclass(frozen=True)
class Comparison:
    """One number of one product in two runs."""

    file: str
    key: str
    first: float
    second: float
    first_row: int
    second_row: int
    scale: float = 0.0
    """What differences are compared with."""

    @property
    def difference(self) -> float:
        """Second minus first."""
        return self.second - self.first

    @property
    def percent(self) -> float:
        """Difference in per cent of the first, for the background of the noise; NaN if that is 0."""
        scale = self.scale or abs(self.first)
        return 100.0 * self.difference / scale if scale else math.nan


def make_series(
    rows: Sequence[Metrics], x: str, y: str, group_by: str = ""
) -> tuple[list[Series], dict[str, tuple[str, ...]]]:
    """Return the points of a plot.

    Parameters
    ----------
    rows : sequence of Metrics
        Products; those without one of the numbers are left out.
    x, y : str
        Columns; ``#`` is the position in the table.
    group_by : str
        Column by whose values points are grouped; empty for one group.

    Returns
    -------
    (list of Series, dict of str to tuple of str)
        And for columns of words the words, in the order they are numbered from 0.
    """
    words = {key: _list_words(rows, key) for key in (x, y) if _is_text(key)}
    groups: dict[str, list[tuple[int, float, float]]] = {}
    for number, row in enumerate(rows):
        place = (_value(row, number, x, words), _value(row, number, y, words))
        if all(math.isfinite(value) for value in place):
            name = (row.text(group_by) or "—") if group_by else ""
            groups.setdefault(name, []).append((number, *place))
    series = [Series(name, *(np.array(part) for part in zip(*points, strict=True))) for name, points in groups.items()]
    return series, words


def fit_line(x: FloatArray, y: FloatArray) -> Line | None:
    """Fit a straight line that a few outliers do not move.

    Parameters
    ----------
    x, y : (n,) ndarray
        Points, finite.

    Returns
    -------
    Line or None
        Median of the slopes between pairs of points (Theil 1950, Sen 1968), through the median; None if there are
        fewer than three points or all have the same x. Of many points, pairs far apart are used.
    """
    if len(x) < 3 or np.ptp(x) == 0:
        return None
    order = np.argsort(x, kind="stable")
    first, second = _choose_pairs(len(x))
    run = x[order][second] - x[order][first]
    rise = y[order][second] - y[order][first]
    slope = float(np.median(rise[run > 0] / run[run > 0])) if np.any(run > 0) else 0.0
    origin = float(np.median(x))
    residual = y - slope * (x - origin)
    intercept = float(np.median(residual))
    return Line(slope, intercept, origin, _MAD_TO_SIGMA * float(np.median(np.abs(residual - intercept))))


def outlier_scores(values: FloatArray) -> FloatArray:
    """Return how many robust standard deviations values lie from their median; NaN where missing.

    The standard deviation is 1.4826 times the median absolute deviation; where more than half of the values are equal,
    1.2533 times the mean absolute deviation, and all scores are 0 if all values are equal.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return np.full(values.shape, np.nan)
    distance = values - np.median(finite)
    away = np.abs(distance[np.isfinite(distance)])
    middle, mean = np.median(away), np.mean(away)
    scale = _MAD_TO_SIGMA * middle if middle > _ROUNDING * mean else _MEAN_TO_SIGMA * mean
    return distance / scale if scale > 0 else np.where(np.isfinite(values), 0.0, np.nan)


def find_outliers(rows: Sequence[Metrics], limit: float = OUTLIER_LIMIT) -> dict[int, dict[str, float]]:
    """Find numbers that differ from those of like products: same step, product type, filter and unit.

    Parameters
    ----------
    rows : sequence of Metrics
        Products. Groups of fewer than five are not judged.
    limit : float
        Robust standard deviations.

    Returns
    -------
    dict of int to dict of str to float
        By row: the keys that stand out, and by how many standard deviations.
    """
    found: dict[int, dict[str, float]] = {}
    for members in _group(rows).values():
        for key in _quality_keys(rows[number] for number in members):
            scores = outlier_scores(np.array([rows[number].number(key) for number in members]))
            if np.isfinite(scores).sum() < _MIN_GROUP:
                continue
            for place in np.flatnonzero(np.abs(scores) > limit):
                found.setdefault(members[place], {})[key] = float(scores[place])
    return found


def compare_runs(first: Sequence[Metrics], second: Sequence[Metrics]) -> list[Comparison]:
    """Pair the products of two runs and compare all numbers of quality.

    Products belong together if their names are equal (compressed or not), and the steps where both are known; else if
    product type, filter, object and time are equal.
    """
    by_name: dict[str, list[int]] = {}
    by_kind: dict[tuple[str, ...], list[int]] = {}
    for number, row in enumerate(second):
        by_name.setdefault(_bare_name(row), []).append(number)
        by_kind.setdefault(_describe_kind(row), []).append(number)
    found: list[Comparison] = []
    for number, row in enumerate(first):
        kind = _describe_kind(row)
        candidates = by_name.get(_bare_name(row)) or (by_kind.get(kind, []) if all(kind[:2]) else [])
        other = next((n for n in candidates if _same_step(row, second[n])), -1)
        if other < 0:
            continue
        for key in _quality_keys([row, second[other]]):
            pair = (row.number(key), second[other].number(key))
            if all(math.isfinite(value) for value in pair):
                scale = row.number("noise") if key == "background" else 0.0
                found.append(Comparison(row.text("file"), key, *pair, number, other, scale))
    return found


def summarize_comparison(pairs: Sequence[Comparison]) -> dict[str, tuple[int, float, float]]:
    """Return for each number: how many pairs, the median difference in per cent, and the largest."""
    by_key: dict[str, list[float]] = {}
    for pair in pairs:
        if math.isfinite(pair.percent):
            by_key.setdefault(pair.key, []).append(pair.percent)
    return {key: (len(values), float(np.median(values)), max(values, key=abs)) for key, values in by_key.items()}


def _list_words(rows: Sequence[Metrics], key: str) -> tuple[str, ...]:
    words = dict.fromkeys(row.text(key) for row in rows if row.text(key))
    if key == "step":
        order = {row.text("step"): row.number("order") for row in rows}
        return tuple(sorted(words, key=lambda word: order[word] if math.isfinite(order[word]) else math.inf))
    return tuple(words)


def _value(row: Metrics, number: int, key: str, words: Mapping[str, tuple[str, ...]]) -> float:
    if key == "#":
        return float(number + 1)
    if key in words:
        word = row.text(key)
        return float(words[key].index(word)) if word else math.nan
    return row.number(key)


def _is_text(key: str) -> bool:
    return key in COLUMNS and COLUMNS[key].is_text


def _choose_pairs(count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return pairs of places in a sorted sequence: all of a short one, those half of it apart of a long one."""
    if count * (count - 1) // 2 <= _MOST_PAIRS:
        return np.triu_indices(count, 1)
    apart = count // 2
    first = np.arange(count - apart)
    return first, first + apart


def _group(rows: Sequence[Metrics]) -> dict[tuple[str, ...], list[int]]:
    groups: dict[tuple[str, ...], list[int]] = {}
    for number, row in enumerate(rows):
        groups.setdefault(tuple(row.text(key) for key in _GROUP_KEYS), []).append(number)
    return groups


def _quality_keys(rows: Iterable[Metrics]) -> list[str]:
    present = dict.fromkeys(key for row in rows for key in row.values)
    return [key for key in present if key not in COLUMNS or COLUMNS[key].is_quality]


def _bare_name(row: Metrics) -> str:
    return row.text("file").removesuffix(".gz")


def _same_step(row: Metrics, other: Metrics) -> bool:
    steps = {row.text("step"), other.text("step")} - {""}
    return len(steps) < 2


def _describe_kind(row: Metrics) -> tuple[str, ...]:
    return tuple(row.text(key) for key in ("product_type", "time", "filter", "object"))
