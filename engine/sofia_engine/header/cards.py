"""Headers of products: read-only FITS headers, and the groups of keywords that belong together."""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NoReturn

from astropy.io import fits

__all__ = [
    "Card",
    "FrozenHeader",
    "add_cards",
    "freeze",
    "header_text",
    "is_structural",
    "is_wcs",
    "quiet_fits",
    "round_as_stored",
    "same_cards",
    "seal",
    "wcs_cards",
    "without_cards",
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
_COMMENTARY = frozenset(("", "COMMENT", "HISTORY", "END", "CONTINUE"))
_REMARKS = _COMMENTARY - {"CONTINUE"}
"""Keywords that stay behind new ones at the end of a header."""
_NUMBER_WIDTH = 20
_CARD_LENGTH = 80
_SHORT = 48
"""Characters of value and comment together that fit on a card with any signs around them."""
_KEYWORD = re.compile(r"[A-Z0-9_-]{1,8}")
_PRINTABLE = re.compile(r"[ -~]*")
_MUTATORS = (
    "__setitem__", "__delitem__", "set", "append", "extend", "insert", "update", "remove", "pop", "popitem", "clear",
    "setdefault", "strip", "rename_keyword", "add_history", "add_comment", "add_blank",
)  # fmt: skip


_SIMPLE = frozenset((int, float, bool))


class _QuickHeader(fits.Header):  # type: ignore[misc]
    """A header in which values that are known already are found without astropy's asking its settings each time."""

    def __getitem__(self, key: Any) -> Any:
        places = self._keyword_indices.get(key) if key.__class__ is str else None
        if places:
            state = self._cards[places[0]].__dict__
            value = state["_value"]
            if value.__class__ in _SIMPLE and state["_field_specifier"] is None:
                return value
            if value.__class__ is str and state["_field_specifier"] is None and key not in _COMMENTARY:
                return value.rstrip()
        return super().__getitem__(key)


class FrozenHeader(_QuickHeader):
    """A FITS header that cannot be changed.

    Products share their headers, so a change in place would reach products that were finished long ago.
    ``copy`` gives an ordinary header to work on.
    """

    _text: str | None = None

    def copy(self, strip: bool = False) -> fits.Header:
        """Return an ordinary, changeable copy."""
        copied = _duplicate(self)
        return copied.copy(strip=True) if strip else copied


def _duplicate(header: fits.Header) -> fits.Header:
    # Headers are copied several times in each step. Building them up card by card takes ten times as long as copying
    # the cards and the index of keywords as they are.
    return _arrange(header, [_duplicate_card(card) for card in header._cards])


def _arrange(header: fits.Header, cards: list[fits.Card]) -> fits.Header:
    """Return a header of cards that stand as those of another one do."""
    made = _QuickHeader()
    made._cards = cards
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
    if isinstance(header, FrozenHeader) and header._text is not None:
        return header._text
    text = "".join([*map(_card_text, header._cards), "END".ljust(_CARD_LENGTH)])
    if isinstance(header, FrozenHeader):
        header._text = text
    return text


def _card_text(card: fits.Card) -> str:
    state = card.__dict__
    if state["_image"] is None or state["_modified"] or not state["_verified"]:
        text = str(card)
        state["_modified"] = False  # its text is that of its value now
        return text
    return state["_image"]  # type: ignore[no-any-return]


def round_as_stored(header: fits.Header) -> None:
    """Round numbers of a changeable header to what a card holds (20 characters).

    Otherwise a step would see other numbers after a session was opened again.
    """
    for card in header._cards:
        value = card.__dict__.get("_value")
        if isinstance(value, float) and len(str(value)) > _NUMBER_WIDTH:
            card.value = _round_number(value)


def _round_number(value: float) -> float:
    return float(str(fits.Card("NUMBER", value))[10 : 10 + _NUMBER_WIDTH])


def add_cards(header: FrozenHeader, cards: Iterable[Card], history: Iterable[str] = ()) -> FrozenHeader:
    """Return a header with some keywords set and lines of HISTORY added.

    Parameters
    ----------
    header : FrozenHeader
        Where they are added.
    cards : iterable of (keyword, value, comment)
        An empty comment keeps the one that is there.
    history : iterable of str
        Lines of at most 72 characters.

    Notes
    -----
    The result is what ``header[keyword] = value, comment`` and ``add_history`` make of a copy. Here the cards that do
    not change are shared, and cards that many headers get are made once.
    """
    given = list(cards)
    shared = all(_is_ordinary(keyword, value) for keyword, value, _ in given)
    if shared:
        made = _arrange(header, list(header._cards))
        _put_cards(made, given)
    else:
        made = _duplicate(header)
        for keyword, value, comment in given:
            made[keyword] = (value, comment) if comment else value
    for line in history:
        _add_history(made, line)
    if not shared:
        round_as_stored(made)
    made._modified = True
    return seal(made)


def without_cards(header: FrozenHeader, unwanted: Callable[[str], bool]) -> FrozenHeader:
    """Return a header without the cards of unwanted keywords; the others are shared."""
    if not any(map(unwanted, header._keyword_indices)):
        return header
    made, moved = _QuickHeader(), {}
    for place, card in enumerate(header._cards):
        if not unwanted(card.keyword):
            moved[place] = len(made._cards)
            made._cards.append(card)
    for index in ("_keyword_indices", "_rvkc_indices"):
        for keyword, places in getattr(header, index).items():
            if kept := [moved[place] for place in places if place in moved]:
                getattr(made, index)[keyword] = kept
    return seal(made)


def _is_ordinary(keyword: str, value: Any) -> bool:
    """Tell whether astropy would read nothing else into keyword and value than what they say."""
    if keyword in _COMMENTARY or not _KEYWORD.fullmatch(keyword):
        return False
    return value.__class__ in _SIMPLE or (value.__class__ is str and ": " not in value)


def _put_cards(header: fits.Header, given: Iterable[Card]) -> None:
    """Set keywords of a header that shares its cards with others."""
    added: dict[str, fits.Card] = {}
    for keyword, value, comment in given:
        if places := header._keyword_indices.get(keyword):
            header._cards[places[0]] = _change_card(header._cards[places[0]], value, comment)
        elif keyword in added:
            added[keyword] = _change_card(added[keyword], value, comment)
        else:
            added[keyword] = _make_card(repr(value), keyword, value, comment)
    if header._cards and header._cards[-1].is_blank:  # new cards take the places of blank ones
        for card in added.values():
            header.append(card)
    elif added:
        _insert_cards(header, list(added.values()))


def _insert_cards(header: fits.Header, added: list[fits.Card]) -> None:
    """Insert cards of new keywords before the history and comments at the end."""
    start = len(header._cards)
    while start > 0 and header._cards[start - 1].keyword in _REMARKS:
        start -= 1
    behind = {card.keyword for card in header._cards[start:]}
    for keyword in behind:
        places = header._keyword_indices[keyword]
        places[:] = [place + len(added) if place >= start else place for place in places]
    header._cards[start:start] = added
    for place, card in enumerate(added, start):
        header._keyword_indices[card.keyword] = [place]


def _change_card(old: fits.Card, value: Any, comment: str) -> fits.Card:
    """Return a card like an old one with another value; the old one itself if nothing changes."""
    known = old._verified and not old._invalid
    same = known and _is_same(old.value if old._value is None else old._value, value)
    if same and comment in ("", old.comment):
        return old
    if not same and known and not old._hierarch:
        return _make_card(repr(value), old.keyword, value, comment or old.comment)
    changed = _duplicate_card(old)  # a number that stays keeps its form
    changed.value = value
    if comment:
        changed.comment = comment
    return changed


def _is_same(old: Any, new: Any) -> bool:
    """Tell whether a card with the old value is left as it is, as astropy sees it."""
    if isinstance(old, str) and isinstance(new, str):
        return old.rstrip() == new.rstrip()
    if isinstance(old, bool) or isinstance(new, bool):
        return old is new
    return bool(old == new) and isinstance(new, type(old))


@lru_cache(4096)
def _make_card(form: str, keyword: str, value: Any, comment: str) -> fits.Card:  # noqa: ARG001 - 1 equals 1.0, and 0.0 -0.0
    text = _write_card(keyword, value, comment)
    if text:
        card = object.__new__(fits.Card)
        card.__dict__.update(_NEW_CARD, _keyword=keyword, _value=value, _comment=comment, _image=text)
        return card
    if isinstance(value, float) and len(str(value)) > _NUMBER_WIDTH:
        value = _round_number(value)
    card = fits.Card(keyword, value, comment or None)
    if len(str(value)) + len(comment) < _SHORT:
        str(card)  # its text stays with it
    return card


_NEW_CARD = dict(fits.Card().__dict__)


def _write_card(keyword: str, value: Any, comment: str) -> str:
    """Text of a card as the library writes it; empty where that takes more than one line, or digits to choose."""
    if keyword == "HISTORY":
        text = f"HISTORY {value}"
    elif value.__class__ is str:
        quoted = "'{:8}'".format(value.replace("'", "''")) if value else "''"
        text = f"{keyword:8}= {quoted:20}" if value else f"{keyword:8}= {quoted}"
    elif value.__class__ is bool:
        text = f"{keyword:8}= {'T' if value else 'F':>20}"
    elif value.__class__ is int:
        text = f"{keyword:8}= {value:>20d}"
    else:
        return ""
    text = f"{text} / {comment}" if comment else text
    return f"{text:80}" if len(text) <= _CARD_LENGTH and _PRINTABLE.fullmatch(text) else ""


def _add_history(header: fits.Header, line: str) -> None:
    places = header._keyword_indices.get("HISTORY")
    if places and places[-1] == len(header._cards) - 1:
        places.append(len(header._cards))
        header._cards.append(_make_card("", "HISTORY", line, ""))
    else:
        header.add_history(line)


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
    places = (place for keyword, found in header._keyword_indices.items() if is_wcs(keyword) for place in found)
    for place in sorted(places):
        card = header._cards[place]
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
