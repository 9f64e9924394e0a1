"""Cards that cannot be read, taken out of the headers of a file: the numbers may be good all the same."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

from sofia_engine.header.cards import freeze
from sofia_engine.product import Plane, Product, Table

__all__ = ["describe_dropped", "drop_unreadable_cards"]

_MOST_NAMED = 5


def drop_unreadable_cards(product: Product) -> tuple[Product, tuple[str, ...]]:
    """Return a product without the cards that astropy cannot read, and their keywords; itself if there are none."""
    header, bad = _clean(product.header)
    extensions: dict[str, Plane | Table] = {}
    for name, extension in product.extensions.items():
        cards, more = _clean(extension.cards)
        bad += more
        extensions[name] = replace(extension, cards=cards) if more else extension
    if not bad:
        return product, ()
    return replace(product, header=header, extensions=MappingProxyType(extensions)), tuple(dict.fromkeys(bad))


def describe_dropped(name: str, keywords: tuple[str, ...]) -> tuple[str, ...]:
    """Say which cards of a file were passed over; nothing if there are none."""
    if not keywords:
        return ()
    more = f" and {len(keywords) - _MOST_NAMED} more" if len(keywords) > _MOST_NAMED else ""
    return (f"{name}: the header is damaged; passed over are {', '.join(keywords[:_MOST_NAMED])}{more}.",)


def _clean(header: Any) -> tuple[Any, list[str]]:
    bad = [place for place, card in enumerate(header.cards) if not _is_readable(card)]
    if not bad:
        return header, []
    names = [str(header.cards[place].keyword) for place in bad]
    clean = header.copy()
    for place in reversed(bad):
        del clean[place]
    return freeze(clean), names


def _is_readable(card: Any) -> bool:
    from astropy.io.fits import VerifyError

    try:
        return (card.keyword, card.value) is not None
    except (VerifyError, ValueError):
        return False
