"""Numbers of four or eight bytes as compiled code finds them in a file, and how they are asked for early."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["LINE_BYTES", "as_number", "is_finite", "prefetch", "swap_bytes"]

LINE_BYTES = 64
"""Bytes in a cache line, the piece in which memory is read."""
_NUMBERS = {32: types.float32, 64: types.float64}
_EXPONENTS = {32: 0x7F800000, 64: 0x7FF0000000000000}
"""All bits of the exponent are set in infinities and NaN alone."""


@intrinsic
def as_number(_context, word):  # type: ignore[no-untyped-def]
    """Take the bits of a word as those of a number."""
    number = _NUMBERS[word.bitwidth]

    def generate(context, builder, _signature, arguments):  # type: ignore[no-untyped-def]
        return builder.bitcast(arguments[0], context.get_value_type(number))

    return number(word), generate


@intrinsic
def is_finite(_context, word):  # type: ignore[no-untyped-def]
    """Tell whether the bits of a word are those of a finite number."""
    exponent = _EXPONENTS[word.bitwidth]

    def generate(_context, builder, _signature, arguments):  # type: ignore[no-untyped-def]
        mask = ir.Constant(arguments[0].type, exponent)
        return builder.icmp_unsigned("!=", builder.and_(arguments[0], mask), mask)

    return types.boolean(word), generate


@intrinsic
def swap_bytes(_context, word):  # type: ignore[no-untyped-def]
    """Return a word with its bytes in the other order."""

    def generate(_context, builder, _signature, arguments):  # type: ignore[no-untyped-def]
        return builder.bswap(arguments[0])

    return word(word), generate


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
