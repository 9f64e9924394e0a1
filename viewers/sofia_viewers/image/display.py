"""From values to colour indices: limits from a sample, stretches, and the kernel that does both in one pass."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import ParameterError

__all__ = [
    "LIMIT_RULES",
    "N_COLORS",
    "STRETCHES",
    "DisplayState",
    "Limits",
    "LimitsRule",
    "Stretch",
    "compute_histogram",
    "compute_limits",
    "index_colors",
    "make_stretch_table",
    "reduce_block",
    "sample_image",
]

LimitKind = Literal["zscale", "zmax", "minmax", "percentile", "manual"]
Stretch = Literal["linear", "log", "sqrt", "squared", "asinh", "sinh", "power", "histeq"]
Limits = tuple[float, float]
FloatArray = NDArray[np.floating[Any]]

LIMIT_RULES: tuple[str, ...] = get_args(LimitKind)
STRETCHES: tuple[str, ...] = get_args(Stretch)

N_COLORS = 255
"""Colour indices 1 to 255 are levels; index 0 is a missing value."""

_N_TABLE = 1 << 16
_SAMPLE_SIZE = 1 << 17
_LARGEST_EXACT = 1 << 24
_CURVE = 1000.0
_FORMULAE: dict[str, Callable[[FloatArray], FloatArray]] = {
    "linear": lambda x: x,
    "log": lambda x: np.log1p(_CURVE * x) / math.log1p(_CURVE),
    "sqrt": np.sqrt,
    "squared": np.square,
    "asinh": lambda x: np.arcsinh(10.0 * x) / math.asinh(10.0),
    "sinh": lambda x: np.sinh(3.0 * x) / math.sinh(3.0),
    "power": lambda x: (np.power(_CURVE, x) - 1.0) / (_CURVE - 1.0),
}


@dataclass(frozen=True)
class LimitsRule:
    """How the limits of the display are found.

    Parameters
    ----------
    kind : str
        ``zscale`` (IRAF's line through the sorted sample), ``zmax`` (low end of zscale, high end the maximum),
        ``minmax``, ``percentile``, ``manual``.
    low, high : float
        Percentiles for ``percentile``, values for ``manual``.
    """

    kind: LimitKind = "zscale"
    low: float = 0.5
    high: float = 99.5

    @classmethod
    def parse(cls, text: str) -> LimitsRule:
        """Read a rule as on the command line: a kind, a percentage (``99.5%``), or two values ``low,high``.

        Raises
        ------
        ParameterError
            If the text is none of these.
        """
        word = text.strip().lower()
        if word in ("zscale", "zmax", "minmax"):
            return cls(word)  # type: ignore[arg-type]
        try:
            if word.endswith("%"):
                outside = (100.0 - float(word[:-1])) / 2.0
                return cls("percentile", outside, 100.0 - outside)
            low, high = (float(part) for part in word.split(","))
        except ValueError:
            raise ParameterError(
                f"limits = '{text}' is not allowed: give zscale, zmax, minmax, a percentage such as 99.5%, "
                "or two values low,high."
            ) from None
        return cls("manual", low, high)


@dataclass(frozen=True)
class DisplayState:
    """All that decides how values become colours.

    Parameters
    ----------
    rule : LimitsRule
        How limits are found when data arrive.
    limits : (float, float)
        Values of the lowest and highest level.
    stretch : str
        One of `STRETCHES`.
    color_map : str
        Name of a colour map.
    invert : bool
        Turn the colour map round.
    contrast, bias : float
        See `sofia_viewers.colormaps.bend_table`.
    """

    rule: LimitsRule = LimitsRule()
    limits: Limits = (0.0, 1.0)
    stretch: Stretch = "linear"
    color_map: str = "sls"
    invert: bool = False
    contrast: float = 1.0
    bias: float = 0.5

    def with_limits(self, low: float, high: float) -> DisplayState:
        """Return the state with limits set by hand."""
        return replace(self, limits=(low, high), rule=LimitsRule("manual", low, high))


def sample_image(image: NDArray[Any], size: int = _SAMPLE_SIZE) -> NDArray[np.float32]:
    """Return about `size` finite values, taken at regular steps in both directions.

    Parameters
    ----------
    image : ndarray
        (n_y, n_x) values of any numeric type and byte order; may be memory-mapped.
    size : int
        Largest number of values wanted; images not larger are taken whole.
    """
    step = max(1, math.ceil(math.sqrt(image.size / size)))
    values = np.asarray(image[step // 2 :: step, step // 2 :: step], dtype=np.float32).ravel()
    return values[np.isfinite(values)]


def compute_limits(image: NDArray[Any], rule: LimitsRule, sample: NDArray[np.float32] | None = None) -> Limits:
    """Find the limits of the display.

    Parameters
    ----------
    image : ndarray
        (n_y, n_x); NaN and infinite values do not count.
    rule : LimitsRule
        How.
    sample : ndarray, optional
        Result of `sample_image`, to save time.

    Returns
    -------
    (float, float)
        Low and high, low < high; (0, 1) if there are no values. Minimum and maximum are exact up to 2**24 pixels.
    """
    if rule.kind == "manual":
        return _open_limits(rule.low, rule.high)
    sample = sample_image(image) if sample is None else sample
    if sample.size == 0:
        return 0.0, 1.0
    if rule.kind == "percentile":
        low, high = np.percentile(sample, [rule.low, rule.high])
        return _open_limits(float(low), float(high))
    lowest, highest = _find_extremes(image, sample) if rule.kind != "zscale" else (math.nan, math.nan)
    if rule.kind == "minmax":
        return _open_limits(lowest, highest)
    low, high = _compute_zscale(sample)
    return _open_limits(low, highest if rule.kind == "zmax" else high)


def _compute_zscale(sample: NDArray[np.float32]) -> Limits:
    from astropy.visualization import ZScaleInterval

    if float(sample.min()) == float(sample.max()):
        return float(sample[0]), float(sample[0])
    low, high = ZScaleInterval().get_limits(sample.astype(np.float64))
    return float(low), float(high)


def _find_extremes(image: NDArray[Any], sample: NDArray[np.float32]) -> Limits:
    if image.size > _LARGEST_EXACT:
        return float(sample.min()), float(sample.max())
    lowest, highest = math.inf, -math.inf
    rows = max(1, (1 << 20) // max(1, image.shape[1]))
    for first in range(0, image.shape[0], rows):
        part = np.asarray(image[first : first + rows], dtype=np.float64)
        finite = part[np.isfinite(part)]
        if finite.size:
            lowest, highest = min(lowest, float(finite.min())), max(highest, float(finite.max()))
    return (lowest, highest) if lowest <= highest else (0.0, 1.0)


def _open_limits(low: float, high: float) -> Limits:
    low, high = min(low, high), max(low, high)
    if high > low:
        return low, high
    margin = 0.5 * abs(low) or 0.5
    return low - margin, high + margin


def make_stretch_table(
    stretch: Stretch, sample: NDArray[np.float32] | None = None, limits: Limits = (0.0, 1.0)
) -> NDArray[np.uint8]:
    """Return the colour index of missing values, 0, then those (1 to 255) of 65535 equal steps between the limits.

    Parameters
    ----------
    stretch : str
        One of `STRETCHES`; formulae as in DS9, scaled to run from 0 to 1: log(1 + 1000 x), asinh(10 x), sinh(3 x),
        1000**x - 1.
    sample : ndarray, optional
        Values for ``histeq``; without them it is linear.
    limits : (float, float)
        Where the sample is cut, for ``histeq``.

    Raises
    ------
    ParameterError
        If the stretch is not known.
    """
    x = np.linspace(0.0, 1.0, _N_TABLE - 1)
    if stretch == "histeq":
        y = _equalize(x, sample, limits)
    elif stretch in _FORMULAE:
        return _tabulate_formula(stretch)
    else:
        raise ParameterError(f"The stretch '{stretch}' is not known; choose one of {', '.join(STRETCHES)}.")
    return _to_index(y)


@lru_cache(maxsize=8)
def _tabulate_formula(stretch: str) -> NDArray[np.uint8]:
    return _to_index(_FORMULAE[stretch](np.linspace(0.0, 1.0, _N_TABLE - 1)))


def _to_index(y: FloatArray) -> NDArray[np.uint8]:
    levels = (1 + np.clip(np.floor(y * N_COLORS), 0, N_COLORS - 1)).astype(np.uint8)
    return np.concatenate([np.zeros(1, np.uint8), levels])


def _equalize(x: FloatArray, sample: NDArray[np.float32] | None, limits: Limits) -> FloatArray:
    if sample is None or sample.size == 0:
        return x
    scaled = np.sort((sample - limits[0]) / (limits[1] - limits[0]))
    scaled = scaled[(scaled >= 0.0) & (scaled <= 1.0)]
    return np.searchsorted(scaled, x, side="right") / scaled.size if scaled.size else x


def compute_histogram(sample: NDArray[np.float32], n_bins: int = 256) -> tuple[FloatArray, FloatArray]:
    """Return counts and edges of the histogram of a sample, over its central 99.8 per cent widened by a tenth.

    Parameters
    ----------
    sample : ndarray
        Finite values.
    n_bins : int
        Number of bins.
    """
    if sample.size == 0:
        return np.zeros(n_bins), np.linspace(0.0, 1.0, n_bins + 1)
    low, high = (float(v) for v in np.percentile(sample, [0.1, 99.9]))
    low, high = _open_limits(low, high)
    margin = 0.1 * (high - low)
    plain = sample.astype(float)  # edges may lie beyond what float32 holds
    counts, edges = np.histogram(plain, bins=n_bins, range=(low - margin, high + margin))
    return counts.astype(float), edges.astype(float)


def index_colors(block: NDArray[np.float32], limits: Limits, table: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return colour indices of a block of values: one pass, NaN gets 0.

    Parameters
    ----------
    block : ndarray
        (n_y, n_x) float32, native byte order; any strides.
    limits : (float, float)
        Values of the lowest and highest level; values beyond get these.
    table : ndarray
        Result of `make_stretch_table`.

    Returns
    -------
    ndarray
        (n_y, n_x) uint8; rows are padded to a multiple of four bytes in memory, as Qt wants them.
    """
    rows, columns = block.shape
    padded = np.empty((rows, -(-columns // 4) * 4), dtype=np.uint8)
    scale = (_N_TABLE - 2) / (limits[1] - limits[0]) if limits[1] > limits[0] else 0.0
    _kernels()[0](block, np.float32(limits[0]), np.float32(scale), table, padded)
    return padded[:, :columns]


def reduce_block(block: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """Return the means of squares of ``step`` x ``step`` pixels, missing values left out.

    Parameters
    ----------
    block : ndarray
        (n_y, n_x) float32, native byte order.
    step : int
        Side of the squares; those at the upper ends may be cut.
    """
    rows, columns = -(-block.shape[0] // step), -(-block.shape[1] // step)
    reduced = np.empty((rows, columns), dtype=np.float32)
    _kernels()[1](block, step, reduced)
    return reduced


@lru_cache(maxsize=1)
def _kernels() -> tuple[Any, Any]:
    from sofia_viewers.image import _display_kernel

    return _display_kernel.index_colors, _display_kernel.reduce_block
