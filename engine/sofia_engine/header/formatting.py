"""Values and comments in the form in which they fit into one card of 80 characters."""

from __future__ import annotations

from collections.abc import Iterable

from sofia_engine.header.cards import Card

__all__ = ["format_numbers", "text_card"]

_CARD = 80
_BEFORE_VALUE = len("KEYWORD = ")
_SHORTEST_VALUE = 20
"""Columns that a value takes at least."""


def format_numbers(values: Iterable[float]) -> str:
    """Return numbers as ``[1.5,2.25]``, each with the digits that tell it from others of its type."""
    return f"[{','.join(str(value) for value in values)}]"


def text_card(keyword: str, text: str, comment: str) -> Card:
    """Return a card of a text, with as much of the comment as there is room for.

    Texts that need more than one card are continued on the next, with the whole comment.
    """
    width = len(text.replace("'", "''")) + len("''")
    if width > _CARD - _BEFORE_VALUE:
        return keyword, text, comment
    room = _CARD - _BEFORE_VALUE - max(width, _SHORTEST_VALUE) - len(" / ")
    return keyword, text, comment[: max(room, 0)].rstrip()
