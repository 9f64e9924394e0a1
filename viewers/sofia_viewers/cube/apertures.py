"""Apertures: which pixels of a slice belong to a region, and in which runs of the rows they lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import InputError
from sofia_viewers.image.regions import Region

__all__ = ["Aperture", "find_aperture", "find_spans"]


@dataclass(frozen=True, eq=False)
class Aperture:
    """Pixels of a slice.

    Parameters
    ----------
    rows, columns : slice
        Box around them.
    mask : (rows, columns) bool ndarray
        Which pixels of the box.
    """

    rows: slice
    columns: slice
    mask: NDArray[np.bool_]

    @property
    def n_pixels(self) -> int:
        """Number of pixels."""
        return int(self.mask.sum())


def find_aperture(region: Region, shape: tuple[int, int]) -> Aperture:
    """Return the pixels whose centres lie in a region; of a point, and of a shape that holds none, the nearest one.

    Parameters
    ----------
    region : Region
        In pixels of the slice.
    shape : (int, int)
        Rows and columns of the slice.

    Raises
    ------
    InputError
        If all of it lies outside.
    """
    if region.has_area:
        (rows, columns), mask = region.cut_out(shape)
        if mask.any():
            return _trim(rows, columns, mask)
    x, y = (round(value) for value in region.center)
    if not (0 <= x < shape[1] and 0 <= y < shape[0]):
        raise InputError(
            f"The {region.shape} {region.name} lies outside the cube: move it onto the data.".replace("  ", " ")
        )
    return Aperture(slice(y, y + 1), slice(x, x + 1), np.ones((1, 1), dtype=bool))


def _trim(rows: slice, columns: slice, mask: NDArray[np.bool_]) -> Aperture:
    """Return the pixels in the smallest box that holds them."""
    (low, high), (left, right) = (np.flatnonzero(mask.any(axis=axis))[[0, -1]] for axis in (1, 0))
    box = mask[low : high + 1, left : right + 1]
    first_row, first_column = rows.start + int(low), columns.start + int(left)
    return Aperture(slice(first_row, first_row + box.shape[0]), slice(first_column, first_column + box.shape[1]), box)


def find_spans(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the runs of pixels in the rows of a mask: row, first column, column after the last; shape (n, 3)."""
    padded = np.zeros((mask.shape[0], mask.shape[1] + 2), dtype=np.int8)
    padded[:, 1:-1] = mask
    edges = np.diff(padded, axis=1)
    rows, starts = np.nonzero(edges == 1)
    stops = np.nonzero(edges == -1)[1]
    return np.column_stack([rows, starts, stops]).astype(np.int64)
