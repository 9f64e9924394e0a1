"""Products before the grating positions are combined: planes and tables named by the position, with its keywords."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from astropy.io import fits

from sofia_engine.errors import HeaderError, InputError
from sofia_engine.header.cards import Card, add_cards, freeze, without_cards
from sofia_engine.product import Plane, Product, Table

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.header.cards import FrozenHeader
    from sofia_engine.numerics.arrays import FloatArray

__all__ = [
    "SCAN_POSITIONS",
    "count_gratings",
    "grating_header",
    "grating_plane",
    "make_cards",
    "make_plane",
    "make_product",
    "read_card",
    "replace_planes",
    "scan_positions",
]

SCAN_POSITIONS = "SCANPOS"
"""Name of the table of positions of a scan."""


def count_gratings(product: Product) -> int:
    """Return the number of grating positions.

    Raises
    ------
    InputError
        If the product has none.
    """
    count = 0
    while f"FLUX_G{count}" in product.planes:
        count += 1
    if not count:
        raise InputError(f"{product.name}: there is no plane FLUX_G0; give a FIFI-LS product of an earlier step.")
    return count


def grating_plane(product: Product, name: str, grating: int) -> FloatArray:
    """Return an array of a grating position, e.g. FLUX of position 0.

    Raises
    ------
    InputError
        If the product has no such plane.
    """
    return product[f"{name}_G{grating}"]


def grating_header(product: Product, grating: int) -> FrozenHeader:
    """Return the keywords of a grating position: INDPOS, INDPOS_P, CHOPNUM, BGLEVL_A, ..."""
    return product.plane(f"FLUX_G{grating}").cards


def read_card(product: Product, keyword: str, grating: int) -> float:
    """Return a number among the keywords of a grating position.

    Raises
    ------
    HeaderError
        If it is missing or no number.
    """
    value = grating_header(product, grating).get(keyword)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise HeaderError(f"{product.name}: {keyword} of grating position {grating} is {value!r}, a number is needed.")
    return float(value)


def make_cards(base: fits.Header | None = None, *cards: Card) -> FrozenHeader:
    """Return keywords of a grating position: those of another header, with some set."""
    header = freeze(fits.Header() if base is None else base)
    # each plane has a name and a unit of its own
    return add_cards(without_cards(header, {"EXTNAME", "BUNIT"}.__contains__), cards)


def make_plane(data: ArrayLike, unit: str = "", cards: FrozenHeader | None = None) -> Plane:
    """Return a plane with keywords of its own."""
    plane = Plane.of(data, unit)
    return replace(plane, cards=cards if cards is not None else plane.cards, inherits_wcs=False)


def make_product(header: fits.Header, extensions: Mapping[str, Plane | Table]) -> Product:
    """Return a product with an empty primary HDU."""
    return Product.of(header, extensions, empty_primary=True)


def replace_planes(product: Product, planes: Mapping[str, Plane | Table]) -> Product:
    """Return a product with these planes and tables in place of its own."""
    return replace(product, extensions=MappingProxyType(dict(planes)), empty_primary=True)


def scan_positions(product: Product) -> Table | None:
    """Return the positions of a scan on the fly; None for a staring telescope."""
    return product.tables.get(f"{SCAN_POSITIONS}_G0")


def iterate_gratings(product: Product) -> Iterator[tuple[int, FrozenHeader]]:
    """Give the number and the keywords of each grating position."""
    for grating in range(count_gratings(product)):
        yield grating, grating_header(product, grating)


def copy_positions(product: Product) -> dict[str, Any]:
    """Return the table of positions of a scan, by name; empty for a staring telescope."""
    table = scan_positions(product)
    return {} if table is None else {f"{SCAN_POSITIONS}_G0": table}
