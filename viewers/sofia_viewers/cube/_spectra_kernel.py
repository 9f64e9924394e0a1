"""Compiled inner loops of spectra: sums and medians over the pixels of an aperture, slice by slice."""

from __future__ import annotations

import numba
import numpy as np
from numba import types

from sofia_viewers.cube._medians import find_median, select
from sofia_viewers.cube._words import EXPONENT, WORDS_PER_LINE, as_float, prefetch, swap_bytes

__all__ = ["median_of_words", "sum_words"]

_WORDS = types.Array(types.uint32, 3, "C", readonly=True)
_SPANS = types.Array(types.int64, 2, "A", readonly=True)
_TOTAL = types.float64[:]

_REASSOCIATE = {"reassoc", "contract", "nsz"}
"""Sums may be taken in any order, so that they become vector instructions; NaN keeps its meaning."""

_AHEAD = 8
"""Spans are asked for from memory so many spans before their turn, one word of each cache line."""
_SAMPLE_STEP = 32
_LEAST_TO_SAMPLE = 256
_SPREAD = 4.0
"""A median is looked for within so many standard deviations of the rank that a sample gives it."""


@numba.njit(inline="always")
def _ask_ahead(words, spans, wave, span):  # type: ignore[no-untyped-def]
    """Ask for the cache lines of the span that comes some spans after this one."""
    later = wave + (span + _AHEAD) // spans.shape[0]
    if later < words.shape[0]:
        row, first, stop = spans[(span + _AHEAD) % spans.shape[0]]
        for column in range(first, stop + WORDS_PER_LINE - 1, WORDS_PER_LINE):
            prefetch(words, later, row, min(column, stop - 1))


@numba.njit(
    (_WORDS, _SPANS, _TOTAL, _TOTAL, types.int64, types.boolean, types.boolean),
    cache=True, nogil=True, fastmath=_REASSOCIATE,
)  # fmt: skip
def sum_words(words, spans, total, count, start, swapped, squared):  # type: ignore[no-untyped-def]
    """Fill `total` with sums of the finite values (or their squares) in spans of rows, `count` with their number.

    Each span is a row, its first column, and the column after its last. The words are those of numbers as a mapped file
    has them, in the other byte order if `swapped`; slices are taken from `start` on, as many as `total` holds. Short
    runs far apart are what no processor foresees: they are asked for some spans ahead.
    """
    for number in range(total.shape[0]):
        wave = start + number
        known, whole = 0.0, 0.0
        for span in range(spans.shape[0]):
            _ask_ahead(words, spans, wave, span)
            row, first, stop = spans[span]
            for column in range(first, stop):
                word = words[wave, row, column]
                word = swap_bytes(word) if swapped else word
                good = (word & EXPONENT) != EXPONENT
                value = np.float64(as_float(word)) if good else 0.0
                known += 1.0 if good else 0.0
                whole += value * value if squared else value
        total[number] = whole
        count[number] = known


@numba.njit(nogil=True)
def _find_median(values, between):  # type: ignore[no-untyped-def]
    """Return the median; of many values by looking only at those near the median of a sample, if it is among them."""
    known = values.shape[0]
    if known < _LEAST_TO_SAMPLE:
        return find_median(values, known, np.nan, np.nan, between)
    sample = values[::_SAMPLE_STEP].copy()
    middle, reach = sample.shape[0] // 2, int(_SPREAD * 0.5 * np.sqrt(sample.shape[0])) + 1
    low = select(sample, sample.shape[0], max(middle - reach, 0))
    high = select(sample, sample.shape[0], min(middle + reach, sample.shape[0] - 1))
    return find_median(values, known, 0.5 * (low + high), 0.5 * (high - low), between)


@numba.njit((_WORDS, _SPANS, _TOTAL, _TOTAL, types.int64, types.boolean), cache=True, nogil=True)
def median_of_words(words, spans, middle, count, start, swapped):  # type: ignore[no-untyped-def]
    """Fill `middle` with the medians of the finite values in spans, NaN where there are none, as `sum_words` does."""
    pixels = 0
    for span in range(spans.shape[0]):
        pixels += spans[span, 2] - spans[span, 1]
    values, between = np.empty(pixels, np.float32), np.empty(pixels, np.float32)
    for number in range(middle.shape[0]):
        wave, known = start + number, 0
        for span in range(spans.shape[0]):
            _ask_ahead(words, spans, wave, span)
            row, first, stop = spans[span]
            for column in range(first, stop):
                word = words[wave, row, column]
                word = swap_bytes(word) if swapped else word
                values[known] = as_float(word)
                known += (word & EXPONENT) != EXPONENT
        middle[number] = _find_median(values[:known], between) if known else np.nan
        count[number] = known
