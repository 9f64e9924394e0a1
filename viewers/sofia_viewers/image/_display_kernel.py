"""Compiled inner loops of the image display."""

from __future__ import annotations

import numba
import numpy as np
from numba import types

__all__ = ["index_colors", "reduce_block"]

_BLOCK = types.Array(types.float32, 2, "A", readonly=True)
"""Any float32 image: one compilation serves contiguous and strided, writable and read-only arrays."""


_TABLE = types.Array(types.uint8, 1, "C", readonly=True)
_INDICES = types.Array(types.uint8, 2, "C")


@numba.njit((_BLOCK, types.float32, types.float32, _TABLE, _INDICES), cache=True, nogil=True)
def index_colors(block, low, scale, table, out):  # type: ignore[no-untyped-def]
    """Fill `out` with the table's entry for each value; entry 0 is that of NaN, the levels begin at 1.

    Three plain loops per row: the first two become vector instructions, which one loop with branches does not.
    """
    rows, columns = block.shape
    first, last = np.float32(1), np.float32(table.size - 1)
    values = np.empty(columns, np.float32)
    positions = np.empty(columns, np.uint16)
    for row in range(rows):
        for column in range(columns):
            values[column] = block[row, column]
        for column in range(columns):
            position = (values[column] - low) * scale + first
            position = position if position >= first else first  # noqa: FURB136 - NaN must stay out of max and min
            position = position if position <= last else last  # noqa: FURB136
            position = position if values[column] == values[column] else np.float32(0)
            positions[column] = np.uint16(np.int32(position))
        for column in range(columns):
            out[row, column] = table[positions[column]]


@numba.njit((_BLOCK, types.int64, types.float32[:, :]), cache=True, nogil=True)
def reduce_block(block, step, out):  # type: ignore[no-untyped-def]
    """Fill `out` with the means of squares of pixels; NaN where no pixel is good."""
    rows, columns = block.shape
    total = np.empty(out.shape[1], dtype=np.float32)
    count = np.empty(out.shape[1], dtype=np.float32)
    for row in range(out.shape[0]):
        total[:] = 0
        count[:] = 0
        for y in range(row * step, min((row + 1) * step, rows)):
            for column in range(out.shape[1]):
                for x in range(column * step, min((column + 1) * step, columns)):
                    value = block[y, x]
                    if value == value:
                        total[column] += value
                        count[column] += 1
        for column in range(out.shape[1]):
            out[row, column] = total[column] / count[column] if count[column] > 0 else np.float32(np.nan)
