"""Compiled inner loops of spectra: sums and medians over the pixels of an aperture, slice by slice."""

from __future__ import annotations

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["median_of_words", "sum_words"]

_WORDS = types.Array(types.uint32, 3, "C", readonly=True)
_SPANS = types.Array(types.int64, 2, "A", readonly=True)
_TOTAL = types.float64[:]

_REASSOCIATE = {"reassoc", "contract", "nsz"}
"""Sums may be taken in any order, so that they become vector instructions; NaN keeps its meaning."""

_EXPONENT = np.uint32(0x7F800000)
"""All bits of the exponent are set in infinities and NaN alone."""
_AHEAD = 8
_WORDS_PER_LINE = 16
"""Spans are asked for from memory so many spans before their turn, one word of each cache line."""
_SAMPLE_STEP = 32
_LEAST_TO_SAMPLE = 256
_SPREAD = 4.0
"""A median is looked for within so many standard deviations of the rank that a sample gives it."""


@intrinsic
def _as_float(_context, _word):  # type: ignore[no-untyped-def]
    """Take the bits of a word as those of a number."""

    def generate(_context, builder, _signature, arguments):  # type: ignore[no-untyped-def]
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.uint32), generate


@intrinsic
def _prefetch(_context, words, _wave, _row, _column):  # type: ignore[no-untyped-def]
    """Ask for the cache line of a word without waiting for it."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = cgutils.get_item_pointer(context, builder, signature.args[0], array, arguments[1:])
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        reading, keep_in_all_caches, data = number(0), number(3), number(1)
        builder.call(function, [builder.bitcast(place, byte), reading, keep_in_all_caches, data])
        return context.get_dummy_value()

    return types.void(words, types.int64, types.int64, types.int64), generate


@numba.njit(types.uint32(types.uint32), inline="always")
def _swap(word):  # type: ignore[no-untyped-def]
    """Return a word with its bytes in the other order."""
    return np.uint32(
        (word >> np.uint32(24))
        | ((word >> np.uint32(8)) & np.uint32(0xFF00))
        | ((word << np.uint32(8)) & np.uint32(0xFF0000))
        | (word << np.uint32(24))
    )


@numba.njit((_WORDS, _SPANS, types.int64, types.int64), inline="always")
def _ask_ahead(words, spans, wave, span):  # type: ignore[no-untyped-def]
    """Ask for the cache lines of the span that comes some spans after this one."""
    later = wave + (span + _AHEAD) // spans.shape[0]
    if later < words.shape[0]:
        row, first, stop = spans[(span + _AHEAD) % spans.shape[0]]
        for column in range(first, stop + _WORDS_PER_LINE - 1, _WORDS_PER_LINE):
            _prefetch(words, later, row, min(column, stop - 1))


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
                word = _swap(word) if swapped else word
                good = (word & _EXPONENT) != _EXPONENT
                value = np.float64(_as_float(word)) if good else 0.0
                known += 1.0 if good else 0.0
                whole += value * value if squared else value
        total[number] = whole
        count[number] = known


@numba.njit(types.float64(types.float32[::1], types.float32[::1]), nogil=True)
def _find_median(values, between):  # type: ignore[no-untyped-def]
    """Return the median; of many values by looking only at those near the median of a sample, if it is among them."""
    known = values.shape[0]
    if known < _LEAST_TO_SAMPLE:
        return np.median(values.astype(np.float64))
    sample = np.sort(values[::_SAMPLE_STEP].copy())
    reach = int(_SPREAD * 0.5 * np.sqrt(sample.shape[0])) + 1
    low = sample[max(sample.shape[0] // 2 - reach, 0)]
    high = sample[min(sample.shape[0] // 2 + reach, sample.shape[0] - 1)]
    below, chosen = 0, 0
    for value in values:
        below += value < low
        between[chosen] = value
        chosen += (value >= low) and (value <= high)
    first, last = (known - 1) // 2 - below, known // 2 - below
    if first < 0 or last >= chosen:
        return np.median(values.astype(np.float64))
    ranked = np.partition(between[:chosen], last)
    lower = ranked[last] if first == last else ranked[:last].max()
    return 0.5 * (np.float64(lower) + np.float64(ranked[last]))


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
                word = _swap(word) if swapped else word
                values[known] = _as_float(word)
                known += (word & _EXPONENT) != _EXPONENT
        middle[number] = _find_median(values[:known], between) if known else np.nan
        count[number] = known
