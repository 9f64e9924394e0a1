"""Samples of one or several data sets at shared coordinates: which of them are usable, and in which order they lie."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.numerics.outliers import MAD_FACTOR
from sofia_engine.numerics.resampling.windows import unit_ball_volume

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import BoolArray, FloatArray, IndexArray

__all__ = ["CellIndex", "SampleSet"]

_CELLS_ALONG, _CELLS_ACROSS = 4, 1
"""Cells per window along the last dimension, in which they adjoin, and in the others.

Searching finer rows of cells costs more than looking at the samples they would leave out, up to 1000 in a window."""
_CELLS_PER_SAMPLE, _SPARE_CELLS = 1, 100_000
_MOST_WINDOWS = 1e15
"""Samples further apart than so many windows: their coordinates are not known to a part of one."""


@dataclass(frozen=True, eq=False)
class SampleSet:
    """Samples with errors; samples that no set can use are left out.

    Attributes
    ----------
    coordinates : (K, N) ndarray
        Positions.
    values, precisions : (S, N) ndarray
        Values and inverse variances (1 without errors); precision 0 marks a sample that is not usable in its set.
    kept : (N0,) ndarray of bool
        Which of the samples given are here.
    has_errors, single : bool
        Whether errors were given; whether the data were one set without an axis of sets.
    """

    coordinates: FloatArray
    values: FloatArray
    precisions: FloatArray
    kept: BoolArray
    has_errors: bool
    single: bool

    @classmethod
    def select(
        cls,
        coordinates: ArrayLike,
        data: ArrayLike,
        error: ArrayLike | None = None,
        *,
        mask: ArrayLike | None = None,
        robust: float | None = None,
        negthresh: float | None = None,
    ) -> SampleSet:
        """Check samples and find the usable ones; for the parameters see `Resampler`."""
        places, values = np.asarray(coordinates, dtype=np.float64), np.asarray(data, dtype=np.float64)
        places = places[np.newaxis] if places.ndim == 1 else places
        if places.ndim != 2 or values.ndim not in {1, 2} or places.shape[1] != values.shape[-1]:
            raise ValueError(f"coordinates of shape {places.shape} and data of shape {values.shape} do not fit")
        sets = np.atleast_2d(values)
        usable = np.isfinite(sets) & np.isfinite(places).all(axis=0)
        precisions = np.ones_like(sets)
        if error is not None:
            sigma = _match_errors(np.asarray(error, dtype=np.float64), values)
            usable &= np.isfinite(sigma) & (sigma != 0)
            precisions = np.divide(1.0, sigma**2, out=np.zeros_like(sets), where=usable)
        if mask is not None:
            usable &= _match_mask(np.asarray(mask, dtype=bool), values)
        usable = np.stack([_clip(*pair, robust, negthresh) for pair in zip(sets, usable, strict=True)])
        if not usable.any():
            raise ValueError("no sample is usable: all data are missing, masked or rejected")
        kept: BoolArray = np.asarray(usable.any(axis=0))
        precisions = np.where(usable, precisions, 0.0)
        if kept.all():
            return cls(places, sets, precisions, kept, error is not None, values.ndim == 1)
        return cls(
            places[:, kept], sets[:, kept], precisions[:, kept], kept, error is not None, single=values.ndim == 1
        )

    def check_count(self, needed: int) -> None:
        """Refuse data that cannot give a single fit.

        Raises
        ------
        ValueError
            If there are fewer than `needed` samples.
        """
        count = self.values.shape[1]
        if count < needed:
            raise ValueError(f"too few data samples for the order: it needs at least {needed}, there are {count}")


def _match_errors(sigma: FloatArray, values: FloatArray) -> FloatArray:
    """Errors (S, N), from one number, one per set, one per sample, or all."""
    sets = np.atleast_2d(values)
    if sigma.shape == values.shape or sigma.ndim == 0 or sigma.shape == sets.shape[1:]:
        return np.broadcast_to(sigma, sets.shape)
    if sigma.shape == sets.shape[:1]:
        return np.broadcast_to(sigma[:, np.newaxis], sets.shape)
    raise ValueError(f"errors of shape {sigma.shape} do not fit data of shape {values.shape}")


def _match_mask(mask: BoolArray, values: FloatArray) -> BoolArray:
    """Mask (S, N); one mask may serve all sets."""
    if mask.shape not in {values.shape, values.shape[-1:]}:
        raise ValueError(f"a mask of shape {mask.shape} does not fit data of shape {values.shape}")
    return np.broadcast_to(mask, np.atleast_2d(values).shape)


def _clip(values: FloatArray, usable: BoolArray, robust: float | None, negthresh: float | None) -> BoolArray:
    """Usable samples of one set without outliers and without values that are too negative."""
    if robust and usable.any():
        deviation = np.abs(values - np.median(values[usable]))
        scale = MAD_FACTOR * float(np.median(deviation[usable]))
        if scale == 0:
            warnings.warn("More than half of the data are equal: all of them are rejected.", stacklevel=4)
        usable = usable & (deviation <= robust * scale if scale else False)
    if negthresh and np.count_nonzero(usable) > 1:
        usable = usable & (values > -negthresh * float(np.std(values[usable], ddof=1)))
    return usable


@dataclass(frozen=True, eq=False)
class CellIndex:
    """Samples in units of the window, sorted by the cells of a grid, along the last dimension within a row of cells.

    Attributes
    ----------
    coordinates : (K, N) ndarray
        Sorted, in units of the window from the lowest of each dimension.
    order : (N,) ndarray of int
        Place of each sample before sorting.
    starts : (cells + 1,) ndarray of int
        First sample of each cell.
    cells, size : (K,) ndarray
        Number of cells and their size in units of the window, in each dimension.
    origin, window : (K,) ndarray
        What scales coordinates.
    extent : (K,) ndarray
        Range of the coordinates in units of the window.
    """

    coordinates: FloatArray
    order: IndexArray
    starts: IndexArray
    cells: IndexArray
    size: FloatArray
    origin: FloatArray
    window: FloatArray
    extent: FloatArray

    @classmethod
    def sort(cls, coordinates: FloatArray, window: FloatArray) -> CellIndex:
        """Scale the samples to the window and sort them.

        Raises
        ------
        ValueError
            If the samples span so many windows that rounding decides which ones lie in one.
        """
        origin = coordinates.min(axis=1)
        with np.errstate(over="ignore"):
            scaled = (coordinates - origin[:, np.newaxis]) / window[:, np.newaxis]
        extent = scaled.max(axis=1)
        if not (extent < _MOST_WINDOWS).all():
            raise ValueError(f"the window {window.tolist()} is too small for samples that span {extent.tolist()} of it")
        cells, size = _choose_cells(extent, scaled.shape[1])
        number = np.zeros(scaled.shape[1], dtype=np.int64)
        for line, count, step in zip(scaled, cells, size, strict=True):
            number *= count
            number += np.minimum((line / step).astype(np.int64), count - 1)
        order = _sort_cells(number, int(np.prod(cells)))
        starts = np.zeros(int(np.prod(cells)) + 1, dtype=np.int64)
        np.cumsum(np.bincount(number, minlength=len(starts) - 1), out=starts[1:])
        return cls(np.take(scaled, order, axis=1), order, starts, cells, size, origin, window, extent)

    def scale(self, points: FloatArray) -> FloatArray:
        """Points (K, M) in units of the window, as rows (M, K)."""
        return np.ascontiguousarray(((points - self.origin[:, np.newaxis]) / self.window[:, np.newaxis]).T)

    def expected_count(self) -> float:
        """Typical number of samples in a window, from their mean density."""
        dimensions, count = self.coordinates.shape
        share = unit_ball_volume(dimensions) / np.prod(np.maximum(self.extent, 1.0))
        return float(count * min(share, 1.0))


def _sort_cells(number: IndexArray, cells: int) -> IndexArray:
    """Order of samples by the number of their cell, in linear time: numpy sorts 16 bits by counting, 64 not."""
    order = np.argsort(number.astype(np.uint16), kind="stable")
    for shift in range(16, cells.bit_length(), 16):
        digit = (number >> shift).astype(np.uint16)
        order = order[np.argsort(digit[order], kind="stable")]
    return order


def _choose_cells(extent: FloatArray, count: int) -> tuple[IndexArray, FloatArray]:
    """Number of cells per dimension and their size: at most the window if there are samples enough."""
    limit = _CELLS_PER_SAMPLE * count + _SPARE_CELLS
    size = np.full(extent.shape, 1.0 / _CELLS_ACROSS)
    size[-1] = 1.0 / _CELLS_ALONG
    cells = np.floor(extent / size) + 1
    while np.prod(cells) > limit:
        size = size * 2
        cells = np.floor(extent / size) + 1
    return cells.astype(np.int64), size
