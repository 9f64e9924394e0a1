"""FITS files of images written without astropy's checks of each card, which take ten times as long as the writing.

Only what needs none of them is written here: cards whose text is known and was checked, and arrays that FITS holds as
they are. All else is left to astropy; the files are the same byte by byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sofia_engine.header.cards import header_text

if TYPE_CHECKING:
    from astropy.io import fits
    from numpy.typing import NDArray

__all__ = ["Image", "encode_images", "encode_table"]

Image = tuple["fits.Header", "NDArray[Any] | None"]
"""Cards, without those of the layout, and data of an HDU; no data in an empty primary HDU."""

_BLOCK = 2880
_CARD = 80
_SIZES = {"uint8": 8, "int16": 16, "int32": 32, "int64": 64, "float32": -32, "float64": -64}


def encode_images(images: Sequence[Image]) -> list[bytes | NDArray[Any]] | None:
    """Return the parts of a FITS file, in their order.

    Parameters
    ----------
    images : sequence of (Header, ndarray or None)
        The primary HDU, then image extensions.

    Returns
    -------
    list of bytes or ndarray, or None
        None if astropy has to write the file.
    """
    parts: list[bytes | NDArray[Any]] = []
    for number, (cards, data) in enumerate(images):
        if not _is_plain(cards) or not _is_storable(data, number):
            return None
        text = _describe_layout(data, primary=number == 0, extended=len(images) > 1) + header_text(cards)
        if not text.isascii():
            return None
        parts.append(text.ljust(-(-len(text) // _BLOCK) * _BLOCK).encode("ascii"))
        if data is not None:
            parts += [np.ascontiguousarray(data, data.dtype.newbyteorder(">")), b"\0" * (-data.nbytes % _BLOCK)]
    return parts


def encode_table(cards: fits.Header, rows: fits.FITS_rec) -> list[bytes | NDArray[Any]] | None:
    """Return the parts of a FITS file with an empty primary HDU and a binary table.

    Parameters
    ----------
    cards : Header
        All cards of the table, as they were read with its rows.
    rows : FITS_rec
        Rows that nobody has changed since.

    Returns
    -------
    list of bytes or ndarray, or None
        None if astropy has to write the file.
    """
    stored = np.asarray(rows).view(np.ndarray)
    shape = cards.get("NAXIS1"), cards.get("NAXIS2"), cards.get("PCOUNT")
    described = cards.get("XTENSION") == "BINTABLE" and shape == (stored.dtype.itemsize, stored.size, 0)
    columns = (field[0].base for field in stored.dtype.fields.values())
    as_read = stored.flags.c_contiguous and all(column.str[0] != "<" for column in columns)
    if not described or not as_read:
        return None
    text = header_text(cards)  # checks the cards
    if not _is_plain(cards) or not text.isascii():
        return None
    heads = (_describe_layout(None, primary=True, extended=True) + "END", text)
    first, second = (head.ljust(-(-len(head) // _BLOCK) * _BLOCK).encode("ascii") for head in heads)
    return [first, second, stored.view(np.uint8), b"\0" * (-stored.nbytes % _BLOCK)]


def _is_plain(cards: fits.Header) -> bool:
    """Tell whether all cards have been checked, and none has a form that astropy gives its own treatment."""
    return all(card._verified and not card._invalid and card._field_specifier is None for card in cards._cards)


def _is_storable(data: NDArray[Any] | None, number: int) -> bool:
    if data is None:
        return number == 0
    return data.dtype.name in _SIZES and data.size > 0


def _describe_layout(data: NDArray[Any] | None, *, primary: bool, extended: bool) -> str:
    """Cards that say what the HDU is and how its array is stored."""
    shape = () if data is None else data.shape[::-1]
    size = 8 if data is None else _SIZES[data.dtype.name]
    lines = [
        "SIMPLE  =                    T / conforms to FITS standard"
        if primary
        else "XTENSION= 'IMAGE   '           / Image extension",
        f"BITPIX  = {size:20d} / array data type",
        f"NAXIS   = {len(shape):20d} / number of array dimensions",
        *(f"{f'NAXIS{axis}':8s}= {length:20d}" for axis, length in enumerate(shape, 1)),
    ]
    if not primary:
        lines.append("PCOUNT  =                    0 / number of parameters")
        lines.append("GCOUNT  =                    1 / number of groups")
    elif extended:
        lines.append("EXTEND  =                    T")
    return "".join(line.ljust(_CARD) for line in lines)
