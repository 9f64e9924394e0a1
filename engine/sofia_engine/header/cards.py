"""Headers of products: read-only FITS headers, and the groups of keywords that belong together."""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NoReturn

from astropy.io import fits

__all__ = [
    "Card",
    "FrozenHeader",
    "freeze",
    "header_text",
    "is_structural",
    "is_wcs",
    "quiet_fits",
    "round_as_stored",
    "same_cards",
    "seal",
    "wcs_cards",
]

Card = tuple[str, Any, str]
"""Keyword, value, comment."""

_STRUCTURAL = re.compile(
    r"^(SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|GROUPS|BSCALE|BZERO|BLANK|CHECKSUM|DATASUM|TFIELDS|THEAP"
    r"|T(TYPE|FORM|UNIT|DIM|DISP|NULL|SCAL|ZERO)\d+)$"
)
_WCS = re.compile(
    r"^(WCSAXES|WCSNAME|CRPIX\d|CRVAL\d|CDELT\d|CTYPE\d|CUNIT\d|CROTA\d|PC\d_\d|PC00\d00\d|CD\d_\d|PV\d_\d+|LONPOLE|LATPOLE"
    r"|RADESYS|EQUINOX|SPECSYS)[A-Z]?$"
)
_NUMBER_WIDTH = 20
_CARD_LENGTH = 80
_MUTATORS = (
    "__setitem__", "__delitem__", "set", "append", "extend", "insert", "update", "remove", "pop", "popitem", "clear",
    "setdefault", "strip", "rename_keyword", "add_history", "add_comment", "add_blank",
)  # fmt: skip


class FrozenHeader(fits.Header):  # type: ignore[misc]
    """A FITS header that cannot be changed.

    Products share their headers, so a change in place would reach products that were finished long ago.
    ``copy`` gives an ordinary header to work on.
    """

    def copy(self, strip: bool = False) -> fits.Header:
        """Return an ordinary, changeable copy."""
        copied = _duplicate(self)
        return copied.copy(strip=True) if strip else copied


def _duplicate(header: fits.Header) -> fits.Header:
    # Headers are copied several times in each step. Building them up card by card takes ten times as long as copying
    # the cards and the index of keywords as they are.
    made = fits.Header()
    made._cards = [_duplicate_card(card) for card in header._cards]
    for index in ("_keyword_indices", "_rvkc_indices"):
        getattr(made, index).update({keyword: list(places) for keyword, places in getattr(header, index).items()})
    made._modified = header._modified
    return made


def _duplicate_card(card: fits.Card) -> fits.Card:
    made = object.__new__(fits.Card)
    made.__dict__ = card.__dict__.copy()
    return made


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
    """Return a read-only copy of a header (the same object if it is frozen already).

    Its numbers are those that a file would hold; see `round_as_stored`.
    """
    if isinstance(header, FrozenHeader):
        return header
    copied = _duplicate(header)
    round_as_stored(copied)
    return seal(copied)


def seal(header: fits.Header) -> FrozenHeader:
    """Make a header itself read-only; for one that nobody else holds."""
    header.__class__ = FrozenHeader
    return header  # type: ignore[no-any-return]


def header_text(header: fits.Header) -> str:
    """Return the cards of a header as text, 80 characters each, with END.

    As ``Header.tostring`` gives it, but cards whose text is known are not looked at again: states are stored often.
    """
    images = [
        card._image if card._image is not None and card._verified and not card._modified else str(card)
        for card in header._cards
    ]
    return "".join([*images, "END".ljust(_CARD_LENGTH)])


def round_as_stored(header: fits.Header) -> None:
    """Round numbers of a changeable header to what a card holds (20 characters).

    Otherwise a step would see other numbers after a session was opened again.
    """
    for card in header._cards:
        value = card.__dict__.get("_value")
        if isinstance(value, float) and len(str(value)) > _NUMBER_WIDTH:
            card.value = float(str(fits.Card("NUMBER", value))[10 : 10 + _NUMBER_WIDTH])


_READING = threading.RLock()


@contextmanager
def quiet_fits(*fatal: str) -> Iterator[None]:
    """Keep quiet about forgivable faults of FITS headers.

    One thread at a time: filters of warnings belong to the process.

    Parameters
    ----------
    *fatal : str
        Words of messages that are raised as errors.
    """
    with _READING, warnings.catch_warnings():
        warnings.simplefilter("ignore", category=fits.verify.VerifyWarning)
        warnings.filterwarnings("ignore", message="Unexpected extra padding")
        warnings.filterwarnings("ignore", message="The following header keyword is invalid")
        for words in fatal:
            warnings.filterwarnings("error", message=f".*{words}.*")
        yield


@lru_cache(4096)
def is_structural(keyword: str) -> bool:
    """Tell whether a keyword describes the layout of the file rather than the data."""
    return bool(_STRUCTURAL.match(keyword))


@lru_cache(4096)
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
        if not is_structural(card.keyword) and card.keyword not in skipped and not card.is_blank
    ]


def same_cards(first: fits.Header, second: fits.Header, ignore: Iterable[str] = ()) -> bool:
    """Tell whether two headers hold the same keywords and values in the same order, structural ones apart."""
    return _content(first, ignore) == _content(second, ignore)
