"""The numbers of a cube, wherever they are: in memory, or in a file of which only what is asked for is read."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Samples", "Words", "find_block_length"]

_BLOCK_BYTES = 8 * 2**20


@dataclass(frozen=True, eq=False)
class Words:
    """Numbers as compiled code takes them.

    Parameters
    ----------
    array : (n_wave, n_y, n_x) uint32 or uint64 ndarray
        Their bits.
    swapped : bool
        Whether their bytes are in the other order.
    corner : (int, int, int)
        Where in the array the part begins that was asked for.
    """

    array: NDArray[np.uint32] | NDArray[np.uint64]
    swapped: bool = False
    corner: tuple[int, int, int] = (0, 0, 0)


@dataclass(frozen=True, eq=False)
class Samples:
    """A cube of numbers that is read in parts.

    Parameters
    ----------
    raw : ndarray
        (n_wave, n_y, n_x) as stored: any numeric type and byte order; may be memory-mapped.
    scale, zero : float
        Values are ``scale * raw + zero``.
    blank : int or None
        Stored integer that means a missing value.
    """

    raw: NDArray[Any] = field(repr=False)
    scale: float = 1.0
    zero: float = 0.0
    blank: int | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Wavelengths, rows and columns."""
        n_wave, n_y, n_x = self.raw.shape
        return int(n_wave), int(n_y), int(n_x)

    @property
    def ndim(self) -> int:
        """Three."""
        return 3

    @property
    def size(self) -> int:
        """Number of values."""
        return int(self.raw.size)

    @property
    def base(self) -> NDArray[Any]:
        """The array as stored, by which viewers see whether reading touches a file."""
        return self.raw

    @property
    def is_plain(self) -> bool:
        """Whether the numbers are those that are stored."""
        return self.scale == 1.0 and self.zero == 0.0 and self.blank is None

    @property
    def words(self) -> tuple[NDArray[np.uint32], bool] | None:
        """The cube as words of four bytes, and whether they are in the other byte order; None if not stored so."""
        found: tuple[NDArray[np.uint32], bool] | None = self._as_words(np.uint32)
        return found

    def _as_words(self, kind: type[np.unsignedinteger[Any]]) -> tuple[NDArray[Any], bool] | None:
        fits = self.raw.dtype.kind == "f" and self.raw.itemsize == np.dtype(kind).itemsize
        if self.is_plain and fits and self.raw.flags.c_contiguous:
            return np.asarray(self.raw).view(kind), not self.raw.dtype.isnative
        return None

    def __getitem__(self, key: Any) -> NDArray[np.float32]:
        """Read part of the cube as native float32; missing values are NaN.

        A slice of a cube in memory that needs no conversion is no copy.
        """
        part = self.raw[key]
        with np.errstate(over="ignore", under="ignore"):  # beyond single precision they are infinite, which is bad
            if self.is_plain:
                return np.asarray(part, dtype=np.float32)
            values = np.asarray(part, dtype=np.float64) * self.scale + self.zero
            if self.blank is not None:
                values[part == self.blank] = np.nan
            return values.astype(np.float32)

    def find_words(self, waves: slice, rows: slice, columns: slice, *, wide: bool = False) -> Words:
        """Return words that hold a part: all of the cube if it is stored so, else a copy of the part.

        They have four bytes; if `wide`, also eight where the cube is stored so.
        """
        stored = self._as_words(np.uint32) or (self._as_words(np.uint64) if wide else None)
        if stored is not None:
            return Words(*stored, (waves.start, rows.start, columns.start))
        part = np.ascontiguousarray(self[waves, rows, columns])
        return Words(part.view(np.uint32))

    def row_blocks(self, rows: slice, waves: slice) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Give blocks of rows, all columns, of a range of wavelengths; none is larger than some MB.

        Pages of a mapped file are given back after each block, so that memory does not grow with the cube.
        """
        n_wave = len(range(*waves.indices(self.shape[0])))
        length = find_block_length(n_wave * self.shape[2] * 4)
        start, stop, _ = rows.indices(self.shape[1])
        for first in range(start, stop, length):
            block = slice(first, min(first + length, stop))
            yield block, self[waves, block]
            self.release()

    def release(self) -> None:
        """Give the pages of a mapped file back to the system; they are read again when needed."""
        mapped = _find_map(self.raw)
        if mapped is not None and hasattr(mapped, "madvise"):
            mapped.madvise(mmap.MADV_DONTNEED)


def find_block_length(bytes_per_unit: int) -> int:
    """Return how many rows or wavelengths make a block of some MB; at least one."""
    return max(1, _BLOCK_BYTES // max(bytes_per_unit, 1))


def _find_map(array: Any) -> mmap.mmap | None:
    base = array
    while base is not None:
        if isinstance(base, mmap.mmap):
            return base
        base = getattr(base, "base", None)
    return None
