"""Whether we know what is in a FITS file, or would have to guess."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sofia_engine.product import Product, Table
from sofia_viewers.spectrum.columns import name_columns

__all__ = ["is_of_sofia", "is_plain"]

_OUR_PLANES = re.compile(
    r"^(SPECTRAL_FLUX|SPECTRAL_ERROR|WAVEPOS|STANDARD_MODEL|RESPONSE|LAMBDA)(_ORDER_\d+)?$", re.IGNORECASE
)
_DECLARED = ("XUNIT", "XUNITS", "SRCFLUX", "STAPFLX", "STPFLUX")
"""Cards that only files of SOFIA, or such as follow them, have."""
_BESIDE = {"ERROR", "STDDEV", "UNCERT", "NOISE", "SIGMA", "EXPOSURE", "TRANSMISSION", "WAVELENGTH", "WAVE"}
_AXES = ("", "WAVE", "AWAV", "FREQ", "WAVN", "ENER", "VELO", "VRAD", "VOPT", "LAMBDA", "WAVELENGTH", "LINEAR", "PIXEL")
"""Kinds of axes whose values are linear in the pixel; WAVE-LOG and the like are not."""


def is_of_sofia(product: Product) -> bool:
    """Tell whether a file comes from SOFIA or follows its layouts."""
    header = product.header
    if "SOFIA" in str(header.get("TELESCOP", "")).upper() or any(card in header for card in _DECLARED):
        return True
    return any(_OUR_PLANES.match(name) for name in (*product.planes, *product.tables))


def is_plain(product: Product) -> bool:
    """Tell whether a file holds one spectrum or cube and nothing that we do not understand.

    Plain are arrays over a linear spectral axis, with planes beside them that have names we know, and single tables in
    which columns with units are wavelength and flux.
    """
    if is_of_sofia(product):
        return True
    if product.tables:
        return not product.planes and len(product.tables) == 1 and _has_plain_columns(*product.tables.values())
    if not product.planes:
        return False
    _, *beside = product.planes
    plane = next(iter(product.planes.values()))
    if plane.data.ndim not in (1, 3) or not _BESIDE.issuperset(name.upper() for name in beside):
        return False
    return _has_linear_axis({**product.header, **plane.cards}, plane.data.ndim)


def _has_plain_columns(table: Table) -> bool:
    columns = [column for column in table.data.columns if table.data[column.name].dtype.kind in "fiu"]
    if len(table.data) > 1 and any(table.data[column.name].ndim > 1 for column in columns):
        return False
    units = dict(zip(name_columns([c.name for c in columns]), [c.unit for c in columns], strict=True))
    return bool(units.get("wavepos") and units.get("spectral_flux"))


def _has_linear_axis(cards: Mapping[str, Any], axis: int) -> bool:
    return str(cards.get(f"CTYPE{axis}", "")).strip().upper() in _AXES
