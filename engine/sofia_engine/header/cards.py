"""Headers of products: read-only FITS headers, and the groups of keywords that belong together."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

from astropy.io import fits

__all__ = ["Card", "FrozenHeader", "freeze", "is_structural", "is_wcs", "same_cards", "wcs_cards"]

Card = tuple[str, Any, str]
"""Keyword, value, comment."""

_STRUCTURAL = re.compile(
    r"^(SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|GROUPS|BSCALE|BZERO|CHECKSUM|DATASUM|TFIELDS|THEAP"
    r"|T(TYPE|FORM|UNIT|DIM|DISP|NULL|SCAL|ZERO)\d+)$"
)
_WCS = re.compile(
    r"^(WCSAXES|WCSNAME|CRPIX\d|CRVAL\d|CDELT\d|CTYPE\d|CUNIT\d|CROTA\d|PC\d_\d|PC00\d00\d|CD\d_\d|LONPOLE|LATPOLE"
    r"|RADESYS|EQUINOX|SPECSYS)[A-Z]?$"
)
_MUTATORS = (
    "__setitem__", "__delitem__", "set", "append", "extend", "insert", "update", "remove", "pop", "popitem", "clear",
    "setdefault", "strip", "rename_keyword", "add_history", "add_comment", "add_blank",
)  # fmt: skip


class FrozenHeader(fits.Header):
    """A FITS header that cannot be changed.

    Products share their headers, so a change in place would reach products that were finished long ago.
    ``copy`` gives an ordinary header to work on.
    """

    def copy(self, strip: bool = False) -> fits.Header:
        """Return an ordinary, changeable copy."""
        copied = _duplicate(self)
        return copied.copy(strip=True) if strip else copied


def _duplicate(header: fits.Header) -> fits.Header:
    return fits.Header(copy.copy(card) for card in header.cards)


def _refuse(name: str) -> Any:
    def method(_self: FrozenHeader, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise TypeError(
            f"The header of a product is never changed in place ({name}); use Product.with_cards or copy()."
        )

    method.__name__ = name
    method.__doc__ = "Refuse: the header is frozen."
    return method


for _name in _MUTATORS:
    setattr(FrozenHeader, _name, _refuse(_name))


def freeze(header: fits.Header) -> FrozenHeader:
    """Return a read-only copy of a header (the same object if it is frozen already)."""
    if isinstance(header, FrozenHeader):
        return header
    copied = _duplicate(header)
    copied.__class__ = FrozenHeader
    return copied  # type: ignore[return-value]


def is_structural(keyword: str) -> bool:
    """Tell whether a keyword describes the layout of the file rather than the data."""
    return bool(_STRUCTURAL.match(keyword))


def is_wcs(keyword: str) -> bool:
    """Tell whether a keyword belongs to the world coordinate system."""
    return bool(_WCS.match(keyword))


def wcs_cards(header: fits.Header) -> Iterator[Card]:
    """Yield the cards of the world coordinate system of a header."""
    for card in header.cards:
        if is_wcs(card.keyword):
            yield card.keyword, card.value, card.comment


def _content(header: fits.Header, ignore: Iterable[str]) -> list[tuple[str, Any]]:
    skipped = set(ignore)
    return [
        (card.keyword, card.value)
        for card in header.cards
        if not is_structural(card.keyword) and card.keyword not in skipped and card.keyword != "CONTINUE"
    ]


def same_cards(first: fits.Header, second: fits.Header, ignore: Iterable[str] = ()) -> bool:
    """Tell whether two headers hold the same keywords and values in the same order, structural ones apart."""
    return _content(first, ignore) == _content(second, ignore)
