"""Comparison of two states: headers, and the difference of their images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from astropy.io import fits

from sofia_engine.errors import InputError
from sofia_engine.header.cards import wcs_cards
from sofia_engine.product import Product

__all__ = ["HeaderDifference", "compare_headers", "subtract_products"]

_ALWAYS_DIFFERENT = ("DATE", "HISTORY", "COMMENT", "CHECKSUM", "DATASUM", "")


@dataclass(frozen=True)
class HeaderDifference:
    """A keyword with two values; an empty text stands for a keyword that is missing."""

    keyword: str
    left: str
    right: str


def compare_headers(
    left: fits.Header, right: fits.Header, ignore: Iterable[str] = _ALWAYS_DIFFERENT
) -> tuple[HeaderDifference, ...]:
    """Return the keywords whose values differ, in the order of the headers."""
    passed_over = set(ignore)
    keywords = dict.fromkeys([*left, *right])
    pairs = ((keyword, _text(left, keyword), _text(right, keyword)) for keyword in keywords)
    return tuple(HeaderDifference(*pair) for pair in pairs if pair[0] not in passed_over and pair[1] != pair[2])


def _text(header: fits.Header, keyword: str) -> str:
    return str(header[keyword]) if keyword in header else ""


def subtract_products(left: Product, right: Product) -> Product:
    """Return left minus right, plane by plane of the same name; ERROR adds in quadrature.

    Raises
    ------
    InputError
        If they share no plane of the same size, or lie differently on the sky.
    """
    if list(wcs_cards(left.header)) != list(wcs_cards(right.header)):
        raise InputError("The two images lie differently on the sky, so they cannot be subtracted; blink them instead.")
    shared = {
        name: plane
        for name, plane in left.planes.items()
        if name in right.planes and right.planes[name].shape == plane.shape and plane.data.dtype.kind == "f"
    }
    if not shared:
        raise InputError("The two products share no image of the same size; look at them side by side instead.")
    difference = {name: _subtract(name, left[name], right[name]) for name in shared}
    header = left.header.copy()
    header["FILENAME"] = f"{left.name} - {right.name}"
    return Product.of(header, difference, {name: plane.unit for name, plane in shared.items()})


def _subtract(name: str, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    difference: np.ndarray = np.hypot(left, right) if name == "ERROR" else np.subtract(left, right)
    return difference
