"""Numbers of four bytes as compiled code finds them in a file: their bytes, and how they are brought near in time."""

from __future__ import annotations

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["EXPONENT", "WORDS_PER_LINE", "as_float", "prefetch", "swap_bytes"]

EXPONENT = np.uint32(0x7F800000)
"""All bits of the exponent are set in infinities and NaN alone."""
WORDS_PER_LINE = 16
"""Words in a cache line, the piece in which memory is read."""


@intrinsic
def as_float(_context, _word):  # type: ignore[no-untyped-def]
    """Take the bits of a word as those of a number."""

    def generate(_context, builder, _signature, arguments):  # type: ignore[no-untyped-def]
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.uint32), generate


@intrinsic
def prefetch(_context, words, _wave, _row, _column):  # type: ignore[no-untyped-def]
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


@numba.njit(inline="always")
def swap_bytes(word):  # type: ignore[no-untyped-def]
    """Return a word with its bytes in the other order."""
    return np.uint32(
        (word >> np.uint32(24))
        | ((word >> np.uint32(8)) & np.uint32(0xFF00))
        | ((word << np.uint32(8)) & np.uint32(0xFF0000))
        | (word << np.uint32(24))
    )
