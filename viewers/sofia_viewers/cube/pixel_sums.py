"""Sums and medians over the pixels of an aperture, slice by slice and in threads.

Of an aperture that moved only the pixels are read that came in or went out: its sums follow from those before. What
this loses by rounding is followed, and where it could be seen all pixels are added up again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sofia_viewers.cube.apertures import Aperture, find_spans
from sofia_viewers.cube.samples import Samples, find_block_length

__all__ = ["N_THREADS", "KeptSums", "Quantity", "begin_combining"]

FloatArray = NDArray[np.float64]
Quantity = Literal["sum", "squares", "median"]

_SLICES_AT_A_TIME = 128
"""After so many slices the pages of a mapped file are given back: systems map large pieces around what is read."""

N_THREADS = min(os.cpu_count() or 1, 4)
_WORTH_A_THREAD = 2_000_000
"""A plane is divided among threads if it has so many values to combine."""
_SPAN_COST = 40.0
_SINGLE_COST = 17.0
"""What a run of pixels, and a pixel by itself, cost beside a pixel in a long run (1)."""
_LARGEST_LOSS = 1e-9
"""Part of a sum that rounding may change."""
_SPAN_FIELDS = 3
_EPSILON = float(np.finfo(float).eps)


@dataclass(frozen=True, eq=False)
class _Sums:
    """Sums over an aperture: values and number of pixels of each slice, and what rounding may have changed."""

    samples: Samples
    pixels: NDArray[np.bool_]
    total: FloatArray
    count: FloatArray
    loss: FloatArray


@dataclass(eq=False)
class KeptSums:
    """The sums of the last aperture, for each plane and quantity: some numbers per slice."""

    _sums: dict[tuple[int, Quantity], _Sums] = field(default_factory=dict, init=False, repr=False)

    def find(self, samples: Samples, quantity: Quantity) -> _Sums | None:
        """Return what was found last, if anything."""
        return self._sums.get((id(samples), quantity))  # holds the samples, whose number is not given away meanwhile

    def keep(self, sums: _Sums, quantity: Quantity) -> None:
        """Keep sums in place of those before."""
        self._sums[id(sums.samples), quantity] = sums

    def forget(self) -> None:
        """Let the next sums be found from all pixels."""
        self._sums.clear()


@dataclass(frozen=True, eq=False)
class _Runs:
    """What is read of each slice: runs of pixels in rows (n, 3), or single pixels (n, 2), and the box around them.

    Their signs are 1 where they are added, -1 where they are taken away.
    """

    places: NDArray[np.int64]
    signs: FloatArray
    rows: slice
    columns: slice
    n_pixels: int

    @property
    def cost(self) -> float:
        """How long it takes to add them up, by measurement, in pixels of a long run."""
        if self.places.shape[1] == _SPAN_FIELDS:
            return _SPAN_COST * len(self.places) + self.n_pixels
        return _SINGLE_COST * self.n_pixels


def begin_combining(
    pool: ThreadPoolExecutor,
    samples: Samples,
    aperture: Aperture,
    quantity: Quantity,
    kept: KeptSums | None = None,
    *,
    keep_pages: bool = False,
) -> Callable[[], tuple[FloatArray, FloatArray]]:
    """Begin to combine the pixels of each slice.

    Parameters
    ----------
    pool : ThreadPoolExecutor
        Its threads do it; each takes a part of the slices, a block at a time.
    samples : Samples
        Values; NaN is left out.
    aperture : Aperture
        Which pixels.
    quantity : {"sum", "squares", "median"}
        The sum, the sum of squares, or the median.
    kept : KeptSums, optional
        Sums of an aperture before, from which those of this one may follow; it takes these in their place.
    keep_pages : bool
        Leave what was read of mapped files in memory.

    Returns
    -------
    callable
        Waits for the result and gives it: (n_wave,) values and numbers of pixels.
    """
    begin = partial(_begin, pool, samples, quantity, keep_pages)
    if kept is None or quantity == "median":
        wait = begin(_find_runs(aperture))
        return lambda: wait()[:2]
    pixels = np.zeros(samples.shape[1:], dtype=bool)
    pixels[aperture.rows, aperture.columns] = aperture.mask
    before = kept.find(samples, quantity)
    whole = _find_runs(aperture)
    change = None if before is None else _find_change(before.pixels, pixels)
    if change is not None and change.cost > whole.cost:
        change = None
    running = begin(change or whole)

    def finish() -> tuple[FloatArray, FloatArray]:
        sums = None
        if change is not None and before is not None:
            sums = _add_change(before, pixels, *running())
        if sums is None:
            total, count, gross = (running if change is None else begin(whole))()
            sums = _Sums(samples, pixels, total, count, _EPSILON * gross)
        kept.keep(sums, quantity)
        return sums.total, sums.count

    return finish


def _add_change(
    before: _Sums, pixels: NDArray[np.bool_], total: FloatArray, count: FloatArray, gross: FloatArray
) -> _Sums | None:
    """Return sums with those of the pixels that changed; None if rounding has changed too much."""
    count = before.count + count
    total = np.where(count > 0, before.total + total, 0.0)
    loss = np.where(count > 0, before.loss + _EPSILON * (gross + np.abs(total)), 0.0)
    if (loss > _LARGEST_LOSS * np.abs(total)).any():
        return None
    return _Sums(before.samples, pixels, total, count, loss)


def _find_runs(aperture: Aperture) -> _Runs:
    corner = np.array([aperture.rows.start, aperture.columns.start, aperture.columns.start])
    spans = find_spans(aperture.mask) + corner
    return _Runs(spans, np.ones(len(spans)), aperture.rows, aperture.columns, aperture.n_pixels)


def _find_change(before: NDArray[np.bool_], now: NDArray[np.bool_]) -> _Runs:
    """Return the pixels that came in and went out: as runs where these are long, else one by one."""
    places = np.argwhere(before != now)
    low, high = (places.min(axis=0), places.max(axis=0) + 1) if len(places) else ((0, 0), (0, 0))
    rows, columns = (slice(int(first), int(stop)) for first, stop in zip(low, high, strict=True))
    singles = _Runs(places, _find_signs(now, places), rows, columns, len(places))
    spans = np.concatenate([find_spans(now & ~before), find_spans(before & ~now)])
    spans = spans[np.lexsort((spans[:, 1], spans[:, 0]))]
    runs = _Runs(spans, _find_signs(now, spans), rows, columns, len(places))
    return min(singles, runs, key=lambda each: each.cost)


def _find_signs(now: NDArray[np.bool_], places: NDArray[np.int64]) -> FloatArray:
    return np.where(now[places[:, 0], places[:, 1]], 1.0, -1.0)


def _begin(
    pool: ThreadPoolExecutor, samples: Samples, quantity: Quantity, keep_pages: bool, runs: _Runs
) -> Callable[[], tuple[FloatArray, FloatArray, FloatArray]]:
    """Begin to combine the pixels of runs; return what waits for values, numbers of pixels, and sums of their size."""
    n_wave = samples.shape[0]
    found = np.zeros((3, n_wave))
    parts = N_THREADS if n_wave * runs.n_pixels > _WORTH_A_THREAD else 1
    edges = np.linspace(0, n_wave, parts + 1).astype(int)
    work = partial(_combine_slices, samples, runs, quantity, keep_pages)
    running = [pool.submit(work, slice(a, b), found[:, a:b]) for a, b in pairwise(edges.tolist())]

    def wait() -> tuple[FloatArray, FloatArray, FloatArray]:
        for each in running:
            each.result()
        return found[0], found[1], found[2]

    return wait


def _combine_slices(
    samples: Samples, runs: _Runs, quantity: Quantity, keep_pages: bool, waves: slice, found: FloatArray
) -> None:
    """Combine the pixels of each slice of a part of a cube."""
    from sofia_viewers.cube import _spectra_kernel

    size = (runs.rows.stop - runs.rows.start) * (runs.columns.stop - runs.columns.start)
    length = min(find_block_length(4 * size), _SLICES_AT_A_TIME)
    for first in range(waves.start, waves.stop, length):
        block = slice(first, min(first + length, waves.stop))
        filled = found[:, block.start - waves.start : block.stop - waves.start]
        words = samples.find_words(block, runs.rows, runs.columns, wide=True)
        start, row, column = words.corner
        moved = np.array([runs.rows.start - row, runs.columns.start - column, runs.columns.start - column])
        places = runs.places - moved[: runs.places.shape[1]]
        if quantity == "median":
            _spectra_kernel.median_of_words(words.array, places, filled[0], filled[1], start, words.swapped)
        else:
            add = _spectra_kernel.sum_words if places.shape[1] == _SPAN_FIELDS else _spectra_kernel.add_words
            add(words.array, places, runs.signs, filled, start, words.swapped, quantity == "squares")
        if not keep_pages:
            samples.release()
