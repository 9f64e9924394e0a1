"""What differs between two headers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from astropy.io import fits

from sofia_viewers.quality.headers import ExtensionHeader

__all__ = ["CardDifference", "compare_files", "compare_headers", "describe_differences"]

Change = Literal["changed", "only first", "only second", "comment", "equal"]

_COMMENTARY = ("HISTORY", "COMMENT", "")
_PACKED = "Provenance: "
"""Lines of HISTORY that begin so hold packed provenance, which says nothing line by line."""


@dataclass(frozen=True)
class CardDifference:
    """One keyword in two headers.

    Parameters
    ----------
    extension : str
        Name or number of the extension.
    keyword : str
        Keyword.
    first, second : str
        Values as text; empty if missing.
    change : str
        ``changed`` value, ``only first`` or ``only second`` has it, ``comment`` differs only, ``equal``.
    delta : float or None
        Second minus first, for numbers.
    """

    extension: str
    keyword: str
    first: str
    second: str
    change: Change
    delta: float | None = None


def compare_headers(
    first: fits.Header, second: fits.Header, extension: str = "", *, with_equal: bool = False, tolerance: float = 0.0
) -> tuple[CardDifference, ...]:
    """Compare two headers card by card, in the order of the first, then what only the second has.

    Parameters
    ----------
    first, second : Header
        The headers.
    extension : str
        What to say they are of.
    with_equal : bool
        Also list cards that agree.
    tolerance : float
        Numbers that differ by less than this fraction agree.
    """
    found = [*_compare_values(first, second, extension, tolerance), *_compare_commentary(first, second, extension)]
    return tuple(difference for difference in found if with_equal or difference.change != "equal")


def compare_files(
    first: Sequence[ExtensionHeader], second: Sequence[ExtensionHeader], **options: Any
) -> tuple[CardDifference, ...]:
    """Compare the headers of two files: extensions of the same name, unnamed ones of the same number."""
    others = {header.label: header for header in second}
    empty = fits.Header()
    found: list[CardDifference] = []
    for header in first:
        other = others.pop(header.label, None)
        found += compare_headers(header.header, other.header if other else empty, header.label, **options)
    for label, header in others.items():
        found += compare_headers(empty, header.header, label, **options)
    return tuple(found)


def describe_differences(differences: Sequence[CardDifference]) -> str:
    """Return how many cards of each kind there are, in words."""
    counts: Counter[str] = Counter(difference.change for difference in differences)
    named = [
        ("changed", "changed"), ("only first", "only in the first"), ("only second", "only in the second"),
        ("comment", "with another comment"),
    ]  # fmt: skip
    parts = [f"{counts[kind]} {text}" for kind, text in named if counts[kind]]
    return ", ".join(parts) if parts else "The headers are equal."


def _compare_values(
    first: fits.Header, second: fits.Header, extension: str, tolerance: float
) -> Iterator[CardDifference]:
    keywords = dict.fromkeys([*first, *second])
    for keyword in keywords:
        if keyword in _COMMENTARY:
            continue
        if keyword not in second:
            yield CardDifference(extension, keyword, _text(first[keyword]), "", "only first")
        elif keyword not in first:
            yield CardDifference(extension, keyword, "", _text(second[keyword]), "only second")
        else:
            yield _compare_cards(first, second, keyword, extension, tolerance)


def _compare_cards(
    first: fits.Header, second: fits.Header, keyword: str, extension: str, tolerance: float
) -> CardDifference:
    old, new = first[keyword], second[keyword]
    delta = float(new) - float(old) if _is_number(old) and _is_number(new) else None
    same = type(old) is type(new) and old == new
    if delta is not None:
        same = abs(delta) <= tolerance * max(abs(float(old)), abs(float(new)))
    change: Change = "changed"
    if same:
        change = "equal" if first.comments[keyword] == second.comments[keyword] else "comment"
    texts = (_text(old), _text(new))
    if change == "comment":
        texts = (f"{texts[0]} / {first.comments[keyword]}", f"{texts[1]} / {second.comments[keyword]}")
    return CardDifference(extension, keyword, *texts, change, delta)


def _compare_commentary(first: fits.Header, second: fits.Header, extension: str) -> Iterator[CardDifference]:
    """Lines of HISTORY and COMMENT: those of which one header has more."""
    for keyword in ("HISTORY", "COMMENT"):
        old, new = (_list_lines(header, keyword) for header in (first, second))
        fewer, more = Counter(old) - Counter(new), Counter(new) - Counter(old)
        yield from (CardDifference(extension, keyword, line, "", "only first") for line in fewer.elements())
        yield from (CardDifference(extension, keyword, "", line, "only second") for line in more.elements())


def _list_lines(header: fits.Header, keyword: str) -> list[str]:
    lines = (str(line) for line in header.get(keyword, []))
    return [line for line in lines if line.strip() and not line.startswith(_PACKED)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: Any) -> str:
    return "" if isinstance(value, fits.card.Undefined) else str(value)
