"""Raw files: the table of readouts, the words that describe each, and the read-back of the grating."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sofia_engine.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sofia_engine.numerics.arrays import FloatArray, IndexArray
    from sofia_engine.product import Product, Table

__all__ = ["N_SPAXEL", "N_SPEXEL", "Readouts", "is_raw", "read_channel_bit", "read_grating", "read_raw"]

RAW_TABLE = "FIFILS_RAWDATA"
N_SPEXEL, N_SPAXEL = 16, 25
"""Spectral and spatial pixels of a channel."""

FRAME = (18, 26)
"""Rows and columns of a readout: bias, 16 spexels and an empty row; 25 spaxels and the column of the grating."""

_GRATING_LOW, _GRATING_HIGH = (2, 6, 10, 14), (3, 7, 11, 15)
_GRATING_COLUMN = 25
_GRATING_HIGH_BITS = 31
_CHANNEL_BIT = 2
_COUNTERS = 1 << 16


@dataclass(frozen=True, eq=False)
class Readouts:
    """The readouts of a raw file.

    Attributes
    ----------
    data : (n, 18, 26) ndarray of int16
        Counts.
    sample : (n,) ndarray of int
        Number of the readout in its ramp, from 0.
    ramp : (n,) ndarray of int
        Number of the ramp; it goes on where the 16-bit counter of the instrument begins anew.
    """

    data: NDArray[np.int16]
    sample: IndexArray
    ramp: IndexArray

    def __len__(self) -> int:
        return len(self.data)

    def cut(self, part: slice) -> Readouts:
        """Return some of the readouts."""
        return Readouts(self.data[part], self.sample[part], self.ramp[part])


def is_raw(product: Product) -> bool:
    """Tell whether a product holds a table of readouts."""
    return RAW_TABLE in product.tables


def read_raw(product: Product) -> Readouts:
    """Return the readouts of a raw file.

    Raises
    ------
    InputError
        If there is no such table, it is empty, or its columns have other shapes than they should.
    """
    words, data = _read_words(product), _table(product)["DATA"]
    if data.shape[1:] != FRAME:
        raise InputError(
            f"{product.name}: readouts are {data.shape[1:]} pixels, must be {FRAME}; fetch the file again."
        )
    ramp = np.asarray(words[:, 5], dtype=np.intp)
    turns = np.cumsum(np.diff(ramp, prepend=ramp[0]) < -_COUNTERS // 2)
    return Readouts(data.astype(np.int16, copy=False), words[:, 4].astype(np.intp), ramp + _COUNTERS * turns)


def read_channel_bit(product: Product) -> int:
    """Return the channel in the words of the first readout: 0 for red, 1 for blue."""
    return int(_read_words(product)[0, 3] & _CHANNEL_BIT) // _CHANNEL_BIT


def _table(product: Product) -> Table:
    table = product.tables.get(RAW_TABLE)
    if table is None:
        raise InputError(f"{product.name}: there is no table {RAW_TABLE} of readouts; give a raw FIFI-LS file.")
    return table


def _read_words(product: Product) -> NDArray[Any]:
    words = _table(product)["HEADER"]
    if words.ndim != 2 or words.shape[1] < 6 or not len(words):
        raise InputError(f"{product.name}: the table of readouts is empty or damaged; fetch the file again.")
    return np.ascontiguousarray(words.astype(np.int16)).view(np.uint16)


def read_grating(data: NDArray[np.int16]) -> FloatArray:
    """Return the position of the grating in each readout.

    Parameters
    ----------
    data : (n, 18, 26) ndarray of int16
        Readouts; four positions stand in the last column, low words and high words.

    Returns
    -------
    (n,) ndarray
        Mean of the four, inductosyn units; 0 where old files hold none.
    """
    column = np.ascontiguousarray(data[:, :, _GRATING_COLUMN]).view(np.uint16).astype(np.int64)
    low, high = column[:, _GRATING_LOW], column[:, _GRATING_HIGH] & _GRATING_HIGH_BITS
    positions: FloatArray = (low + _COUNTERS * high).mean(axis=1)
    return positions
