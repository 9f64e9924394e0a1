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
_WORTH_THE_CHANGE = 0.5
"""Sums are found from those before if less than this part of the pixels of the aperture is another."""
_LARGEST_LOSS = 1e-9
"""Part of a sum that rounding may change."""
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
    """What is read of each slice: runs of pixels in rows (n, 3), or with signs single pixels (n, 2)."""

    places: NDArray[np.int64]
    rows: slice
    columns: slice
    n_pixels: int
    signs: FloatArray | None = None
    """1 for pixels that are added, -1 for those that are taken away."""


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
    change = None if before is None else _find_change(before.pixels, pixels)
    running = begin(change or _find_runs(aperture))

    def finish() -> tuple[FloatArray, FloatArray]:
        sums = None
        if change is not None and before is not None:
            sums = _add_change(before, pixels, *running())
        if sums is None:
            total, count, gross = (running if change is None else begin(_find_runs(aperture)))()
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
    return _Runs(find_spans(aperture.mask) + corner, aperture.rows, aperture.columns, aperture.n_pixels)


def _find_change(before: NDArray[np.bool_], now: NDArray[np.bool_]) -> _Runs | None:
    """Return the pixels that came in and went out; None if they are too many."""
    places = np.argwhere(before != now)
    if len(places) > _WORTH_THE_CHANGE * now.sum():
        return None
    low, high = (places.min(axis=0), places.max(axis=0) + 1) if len(places) else ((0, 0), (0, 0))
    rows, columns = (slice(int(first), int(stop)) for first, stop in zip(low, high, strict=True))
    return _Runs(places, rows, columns, len(places), np.where(now[*places.T], 1.0, -1.0))


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
        how = (start, words.swapped, quantity == "squares")
        if quantity == "median":
            _spectra_kernel.median_of_words(words.array, places, filled[0], filled[1], *how[:2])
        elif runs.signs is None:
            _spectra_kernel.sum_words(words.array, places, filled, *how)
        else:
            _spectra_kernel.add_words(words.array, places, runs.signs, filled, *how)
        if not keep_pages:
            samples.release()
