"""Compiled inner loops of spectra: sums and medians over the pixels of an aperture, slice by slice."""

from __future__ import annotations

import numba
import numpy as np
from numba import types

__all__ = ["median_pixels", "sum_spans", "sum_swapped_spans"]

_BLOCK = types.Array(types.float32, 3, "A", readonly=True)
_WORDS = types.Array(types.uint32, 3, "A", readonly=True)
_MASK = types.Array(types.boolean, 2, "A", readonly=True)
_SPANS = types.Array(types.int64, 2, "A", readonly=True)
_TOTAL = types.float64[:]

_REASSOCIATE = {"reassoc", "contract", "nsz"}
"""Sums may be taken in any order, so that they become vector instructions; NaN keeps its meaning."""


@numba.njit((_BLOCK, _SPANS, _TOTAL, _TOTAL, types.boolean), cache=True, nogil=True, fastmath=_REASSOCIATE)
def sum_spans(block, spans, total, count, squared):  # type: ignore[no-untyped-def]
    """Fill `total` with sums of the finite values (or their squares) in spans of rows, `count` with their number.

    Each span is a row, its first column, and the column after its last.
    """
    for wave in range(block.shape[0]):
        number, whole = 0.0, 0.0
        for span in range(spans.shape[0]):
            row, first, stop = spans[span]
            for column in range(first, stop):
                value = block[wave, row, column]
                good = value - value == np.float32(0)
                known = np.float64(value) if good else 0.0
                number += 1.0 if good else 0.0
                whole += known * known if squared else known
        total[wave] = whole
        count[wave] = number


@numba.njit((_WORDS, _SPANS, _TOTAL, _TOTAL, types.boolean), cache=True, nogil=True, fastmath=_REASSOCIATE)
def sum_swapped_spans(words, spans, total, count, squared):  # type: ignore[no-untyped-def]
    """Do the same with numbers in the byte order of FITS, as words of a mapped file: nothing is copied but a row."""
    line = np.empty(words.shape[2], np.uint32)
    values = line.view(np.float32)
    for wave in range(words.shape[0]):
        number, whole = 0.0, 0.0
        for span in range(spans.shape[0]):
            row, first, stop = spans[span]
            for column in range(first, stop):
                word = words[wave, row, column]
                line[column] = (
                    (word >> np.uint32(24))
                    | ((word >> np.uint32(8)) & np.uint32(0xFF00))
                    | ((word << np.uint32(8)) & np.uint32(0xFF0000))
                    | (word << np.uint32(24))
                )
            for column in range(first, stop):
                value = values[column]
                good = value - value == np.float32(0)
                known = np.float64(value) if good else 0.0
                number += 1.0 if good else 0.0
                whole += known * known if squared else known
        total[wave] = whole
        count[wave] = number


@numba.njit((_BLOCK, _MASK, _TOTAL, _TOTAL), cache=True, nogil=True)
def median_pixels(block, mask, middle, count):  # type: ignore[no-untyped-def]
    """Fill `middle` with the medians of the finite values under the mask, NaN where there are none."""
    waves, rows, columns = block.shape
    values = np.empty(rows * columns, np.float32)
    for wave in range(waves):
        number = 0
        for row in range(rows):
            for column in range(columns):
                if mask[row, column] and np.isfinite(block[wave, row, column]):
                    values[number] = block[wave, row, column]
                    number += 1
        middle[wave] = np.median(values[:number]) if number else np.nan
        count[wave] = number
