"""Products for the viewers: opened from the session folder while the engine works in it, or from a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from astropy.io import fits

from sofia_engine.errors import SofiaDeskError
from sofia_engine.instruments import find_recipe
from sofia_engine.pipeline.session import SessionReader
from sofia_engine.product import Product

__all__ = ["Card", "OpenedState", "list_cards", "open_product", "open_state", "search_cards"]

_MOST_INPUTS = 40
"""Inputs shown at once; raw data are not in the session and have to be read from their files."""


@dataclass(frozen=True)
class OpenedState:
    """The products of one state."""

    key: str
    label: str
    products: tuple[Product, ...]
    kind: str = ""
    """PRODTYPE of the first."""
    names: tuple[str, ...] = ()
    """Names to show the products by; those of their headers if there are none."""
    pictures: tuple[Path, ...] = ()
    """Pictures that the step has made."""
    regions: tuple[Path, ...] = ()
    """DS9 region files that the step has made."""
    companions: tuple[Product, ...] = ()
    """Products that the step has made beside its own, such as the cube of a scan map."""

    def shown_in(self, suits: Callable[[Product], bool]) -> OpenedState:
        """Return what a viewer shows of it: its products, or its companions if only those suit the viewer."""
        suiting = tuple(filter(suits, self.companions))
        if not suiting or any(map(suits, self.products)):
            return self
        return replace(self, products=suiting, names=())


@dataclass(frozen=True)
class Card:
    """One line of a header."""

    keyword: str
    value: str
    comment: str


def open_state(session: str, recipe: str, key: str, inputs: Sequence[str], label: str = "") -> OpenedState:
    """Open the products of a state; slow for the inputs, to be called in a thread.

    Parameters
    ----------
    session : str
        Session folder.
    recipe : str
        Name of the recipe; it knows how to read inputs.
    key : str
        Key of the state; one that is not in the session stands for the inputs.
    inputs : sequence of str
        Input files.

    Raises
    ------
    SofiaDeskError
        If they cannot be read.
    """
    reader = SessionReader(Path(session))
    state = reader.state(key)
    if state is None:
        load = find_recipe(recipe).load
        products = tuple(load(Path(path)) for path in inputs[:_MOST_INPUTS])
        return OpenedState(key, label or "Inputs", products, "raw")
    products = reader.read_products(state)
    kind = str(products[0].header.get("PRODTYPE", "")) if products else ""
    files = [reader.node(key) / "files" / name for name in state.attachments]
    return OpenedState(
        key,
        label or state.label,
        products,
        kind,
        pictures=tuple(path for path in files if path.suffix == ".png"),
        regions=tuple(path for path in files if path.suffix == ".reg"),
        companions=tuple(_read_companions(path for path in files if path.suffix == ".fits")),
    )


def _read_companions(paths: Iterable[Path]) -> Iterator[Product]:
    """Read what can be read: products of a state are not to be hidden by a damaged file beside them."""
    for path in paths:
        with suppress(SofiaDeskError):
            yield Product.read(path)


def open_product(session: str, recipe: str, key: str, name: str) -> OpenedState:
    """Open one product of a state by its name; all of them if none has it.

    Raises
    ------
    SofiaDeskError
        If it cannot be read.
    """
    opened = open_state(session, recipe, key, ())
    named = tuple(product for product in opened.products if product.name == name)
    return replace(opened, label=name, products=named or opened.products)


def list_cards(header: fits.Header) -> tuple[Card, ...]:
    """Return the lines of a header; long values are joined, HISTORY and COMMENT keep one line each."""
    return tuple(Card(card.keyword, _text(card.value), card.comment) for card in _cards(header))


def _cards(header: fits.Header) -> Iterator[fits.Card]:
    yield from (card for card in header.cards if card.keyword or str(card.value).strip())


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "T" if value else "F"
    return str(value)


def search_cards(cards: Sequence[Card], words: str) -> tuple[Card, ...]:
    """Return the lines that contain all words, in any case."""
    wanted = words.lower().split()
    return tuple(
        card for card in cards if all(w in f"{card.keyword} {card.value} {card.comment}".lower() for w in wanted)
    )
