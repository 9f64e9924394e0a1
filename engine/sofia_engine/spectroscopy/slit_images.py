"""Slit images of several files brought to one grid along the slit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sofia_engine.numerics.arrays import FloatArray

__all__ = ["SlitFrame", "plan_slit_frame", "shift_along_slit"]

ROUNDING = 1e-6
LEAST_WEIGHT = 0.5


@dataclass(frozen=True)
class SlitFrame:
    """Rows of a grid that holds several slit images.

    Attributes
    ----------
    rows : int
        Number of rows.
    first : float
        Row of the grid on which row 0 of the first image falls.
    shifts : tuple of float
        Row of the grid on which row 0 of each image falls.
    """

    rows: int
    first: float
    shifts: tuple[float, ...]


def plan_slit_frame(shifts: Sequence[float], rows: int) -> SlitFrame:
    """Lay the smallest grid that holds all images.

    Parameters
    ----------
    shifts : sequence of float
        Rows by which each image lies higher than the first.
    rows : int
        Of each image.
    """
    low, high = min(shifts), max(shifts) + rows - 1
    count = int(np.ceil(high - ROUNDING) - np.floor(low + ROUNDING)) + 1
    return SlitFrame(count, shifts[0] - low, tuple(shift - low for shift in shifts))


def shift_along_slit(flux: FloatArray, variance: FloatArray, shift: float, rows: int) -> tuple[FloatArray, FloatArray]:
    """Move an image up the slit.

    Parameters
    ----------
    flux, variance : (ns, nw) ndarray
        NaN is missing.
    shift : float
        Row of the result on which row 0 falls, at least 0.
    rows : int
        Of the result.

    Returns
    -------
    (rows, nw) ndarray, (rows, nw) ndarray
        Flux, linear between rows, where valid rows have at least half of the weight; the variance that follows from
        the weights' squares would be too small for sums along the slit, so it is interpolated like the flux. NaN
        elsewhere.
    """
    whole = round(shift)
    if abs(shift - whole) <= ROUNDING:
        return tuple(_place(array, whole, rows) for array in (flux, variance))  # type: ignore[return-value]
    base = int(np.floor(shift))
    part = shift - base
    good = np.isfinite(flux) & np.isfinite(variance)
    total = np.zeros((rows, flux.shape[1]))
    sums = [np.zeros_like(total), np.zeros_like(total)]
    for step, weight in ((base, 1 - part), (base + 1, part)):
        total += np.nan_to_num(_place(good.astype(np.float64), step, rows)) * weight
        for summed, values in zip(sums, (flux, variance), strict=True):
            np.add(summed, np.nan_to_num(_place(np.where(good, values, 0.0), step, rows)) * weight, out=summed)
    enough = total >= LEAST_WEIGHT - ROUNDING
    flux_moved, variance_moved = (np.where(enough, array / np.where(enough, total, 1.0), np.nan) for array in sums)
    return flux_moved, variance_moved


def _place(image: FloatArray, row: int, rows: int) -> FloatArray:
    """The image with its row 0 at a row of an empty one."""
    placed = np.full((rows, image.shape[1]), np.nan)
    start, stop = max(row, 0), min(row + len(image), rows)
    if stop > start:
        placed[start:stop] = image[start - row : stop - row]
    return placed
