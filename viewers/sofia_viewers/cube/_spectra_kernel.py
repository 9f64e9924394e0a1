"""Compiled inner loops of spectra: sums and medians over the pixels of an aperture, slice by slice."""

from __future__ import annotations

import numba
import numpy as np
from numba import types

from sofia_viewers.cube._medians import find_median, select
from sofia_viewers.cube._words import LINE_BYTES, as_number, is_finite, prefetch, swap_bytes

__all__ = ["add_words", "median_of_words", "sum_words"]

_WORDS = tuple(types.Array(word, 3, "C", readonly=True) for word in (types.uint32, types.uint64))
_SPANS = types.Array(types.int64, 2, "A", readonly=True)
_TOTAL = types.float64[:]
_SIGNS = types.float64[::1]
_FOUND = types.float64[:, :]

_REASSOCIATE = {"reassoc", "contract", "nsz"}
"""Sums may be taken in any order, so that they become vector instructions; NaN keeps its meaning."""

_AHEAD = 32
"""Spans are asked for from memory so many spans before their turn, one word of each cache line."""
_SAMPLE_STEP = 32
_LEAST_TO_SAMPLE = 256
_SPREAD = 4.0
"""A median is looked for within so many standard deviations of the rank that a sample gives it."""


@numba.njit(inline="always")
def _ask_ahead(words, spans, wave, span):  # type: ignore[no-untyped-def]
    """Ask for the cache lines of the span that comes some spans after this one."""
    later = span + _AHEAD
    while later >= spans.shape[0]:  # no division, which would take longer than a short span
        later -= spans.shape[0]
        wave += 1
    if wave < words.shape[0]:
        row, first, stop = spans[later, 0], spans[later, 1], spans[later, 2]
        for column in range(first, stop, LINE_BYTES // words.itemsize):
            prefetch(words, wave, row, column)
        prefetch(words, wave, row, stop - 1)


@numba.njit(
    [(words, _SPANS, _SIGNS, _FOUND, types.int64, types.boolean, types.boolean) for words in _WORDS],
    cache=True, nogil=True, fastmath=_REASSOCIATE,
)  # fmt: skip
def sum_words(words, spans, signs, found, start, swapped, squared):  # type: ignore[no-untyped-def]
    """Fill `found` with sums of the finite values (or their squares) in spans of rows, their number, and their sizes.

    Each span is a row, its first column, and the column after its last; it is added or, by its sign, taken away. Sizes
    are absolute values. The words are those of numbers as a mapped file has them, in the other byte order if `swapped`;
    slices are taken from `start` on, as many as `found` holds. Runs far apart are what no processor foresees: they are
    asked for some spans ahead.
    """
    for number in range(found.shape[1]):
        wave = start + number
        whole, known, gross = 0.0, 0.0, 0.0
        for span in range(spans.shape[0]):
            _ask_ahead(words, spans, wave, span)
            row, first, stop = spans[span, 0], spans[span, 1], spans[span, 2]
            part, pixels = 0.0, 0.0
            for column in range(first, stop):
                word = words[wave, row, column]
                word = swap_bytes(word) if swapped else word
                good = is_finite(word)
                value = np.float64(as_number(word)) if good else 0.0
                value = value * value if squared else value
                part += value
                pixels += 1.0 if good else 0.0
                gross += abs(value)
            whole += signs[span] * part
            known += signs[span] * pixels
        found[0, number], found[1, number], found[2, number] = whole, known, gross


@numba.njit(
    [(words, _SPANS, _SIGNS, _FOUND, types.int64, types.boolean, types.boolean) for words in _WORDS],
    cache=True, nogil=True, fastmath=_REASSOCIATE,
)  # fmt: skip
def add_words(words, places, signs, found, start, swapped, squared):  # type: ignore[no-untyped-def]
    """Fill `found` as `sum_words` does, with single pixels (row, column) in the place of spans.

    Of single pixels a processor asks for many at once by itself.
    """
    for number in range(found.shape[1]):
        wave = start + number
        whole, known, gross = 0.0, 0.0, 0.0
        for place in range(places.shape[0]):
            word = words[wave, places[place, 0], places[place, 1]]
            word = swap_bytes(word) if swapped else word
            good = is_finite(word)
            value = np.float64(as_number(word)) if good else 0.0
            value = value * value if squared else value
            whole += signs[place] * value
            known += signs[place] if good else 0.0
            gross += abs(value)
        found[0, number], found[1, number], found[2, number] = whole, known, gross


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


@numba.njit([(words, _SPANS, _TOTAL, _TOTAL, types.int64, types.boolean) for words in _WORDS], cache=True, nogil=True)
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
            row, first, stop = spans[span, 0], spans[span, 1], spans[span, 2]
            for column in range(first, stop):
                word = words[wave, row, column]
                word = swap_bytes(word) if swapped else word
                values[known] = as_number(word)
                known += is_finite(word)
        middle[number] = _find_median(values[:known], between) if known else np.nan
        count[number] = known
