"""Where to look for the source."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import ParameterError
from sofia_engine.photometry.configuration import read_number

__all__ = ["StartPosition", "find_peak_near", "find_start_position"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class StartPosition:
    """
    First guess of the position of a source.

    Parameters
    ----------
    x, y
        Column and row, from 0.
    warnings
        Why it may be wrong.
    """

    x: float
    y: float
    warnings: tuple[str, ...] = ()


def find_start_position(
    image: FloatArray, given: tuple[float, float] | None = None, header: Mapping[str, Any] | None = None
) -> StartPosition:
    """
    Find where to look for the source.

    Parameters
    ----------
    image
        (n_y, n_x) brightness; NaN where bad.
    given
        Position the user gave; column and row from 0.
    header
        SRCPOSX and SRCPOSY (from 0) are used if not both 0; CRPIX1 and CRPIX2 (from 1) if the image has no peak.

    Returns
    -------
    StartPosition
        The position given; else the one in the header; else the brightest place (mean of 3 x 3 pixels, so that a
        single hot pixel is not taken for a source) if it is above the median; else the reference pixel; else the
        centre of the image.

    Raises
    ------
    ParameterError
        If the position given is outside the image.
    """
    if given is not None:
        if not _is_inside(given, image.shape):
            raise ParameterError(
                f"The source position srcpos = {given} is outside the image; give x,y in pixels from 0."
            )
        return StartPosition(*given)
    warnings: tuple[str, ...] = ()
    noted = _read_pair(header or {}, "SRCPOSX", "SRCPOSY")
    if noted is not None and noted != (0.0, 0.0):
        if _is_inside(noted, image.shape):
            return StartPosition(*noted)
        warnings = (f"The position SRCPOSX, SRCPOSY = {noted} is outside the image and not used.",)
    peak = _find_peak(image)
    if peak is not None:
        return StartPosition(*peak, warnings)
    reference = _read_pair(header or {}, "CRPIX1", "CRPIX2")
    if reference is not None and _is_inside((reference[0] - 1, reference[1] - 1), image.shape):
        x, y, where = reference[0] - 1, reference[1] - 1, "reference pixel"
    else:
        x, y, where = (image.shape[1] - 1) / 2, (image.shape[0] - 1) / 2, "centre of the image"
    return StartPosition(x, y, (*warnings, f"No source position is known and no peak found; the {where} is used."))


def find_peak_near(image: FloatArray, position: tuple[float, float], radius: float) -> tuple[float, float] | None:
    """
    Find the brightest place near a position.

    Parameters
    ----------
    image
        (n_y, n_x) brightness; NaN where bad.
    position
        Column and row, from 0.
    radius
        How far to look, pixels.

    Returns
    -------
    tuple of float or None
        Column and row of the largest mean of 3 x 3 pixels; None if there is none above the median of the surroundings.
    """
    reach = int(np.ceil(radius)) + 1
    rows, columns = (slice(max(0, int(p) - reach), max(0, int(p) + reach + 2)) for p in position[::-1])
    cutout = image[rows, columns]
    y, x = np.indices(cutout.shape)
    distance = np.hypot(x + columns.start - position[0], y + rows.start - position[1])
    peak = _find_peak(cutout, distance <= radius)
    return None if peak is None else (peak[0] + columns.start, peak[1] + rows.start)


def _read_pair(header: Mapping[str, Any], first: str, second: str) -> tuple[float, float] | None:
    x, y = read_number(header, first), read_number(header, second)
    return None if x is None or y is None else (x, y)


def _is_inside(position: tuple[float, float], shape: tuple[int, ...]) -> bool:
    x, y = position
    return math.isfinite(x + y) and -0.5 <= x < shape[1] - 0.5 and -0.5 <= y < shape[0] - 0.5


def _find_peak(image: FloatArray, allowed: NDArray[np.bool_] | None = None) -> tuple[float, float] | None:
    good = np.isfinite(image)
    where = good if allowed is None else good & allowed
    if not where.any():
        return None
    median = float(np.median(image[good]))
    excess = _sum_neighbours(np.where(good, image - median, 0.0)) / np.maximum(_sum_neighbours(good.astype(float)), 1.0)
    excess[~where] = -np.inf
    row, column = np.unravel_index(np.argmax(excess), excess.shape)
    return (float(column), float(row)) if excess[row, column] > 0 else None


def _sum_neighbours(values: FloatArray) -> FloatArray:
    padded = np.pad(values, 1)
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    total: FloatArray = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    return total
