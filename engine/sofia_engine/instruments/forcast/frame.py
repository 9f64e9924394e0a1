"""The frame of an image and how its keywords follow when the image is moved inside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sofia_engine.errors import HeaderError
from sofia_engine.header.cards import Card

if TYPE_CHECKING:
    from astropy.io import fits

    from sofia_engine.pipeline.run import Run
    from sofia_engine.product import Product

__all__ = [
    "is_flux_standard",
    "read_integration_time",
    "read_reference_pixel",
    "read_source_position",
    "reference_pixel_cards",
    "source_position_cards",
]

Position = tuple[float, float]


def is_flux_standard(header: fits.Header) -> bool:
    """Tell whether the observation is of a standard star for flux calibration."""
    return str(header.get("OBSTYPE", "")).strip().upper() == "STANDARD_FLUX"


def read_reference_pixel(image: Product, run: Run) -> Position:
    """Reference pixel (x, y), from 0; the middle of the image, with a warning, if the header has none."""
    header = image.header
    try:
        return float(header["CRPIX1"]) - 1, float(header["CRPIX2"]) - 1
    except (KeyError, TypeError, ValueError):
        ny, nx = image["FLUX"].shape
        run.warn("CRPIX1 or CRPIX2 is missing; the middle of the image is taken for the reference pixel.")
        return (nx - 1) / 2, (ny - 1) / 2


def reference_pixel_cards(header: fits.Header, old: Position, new: Position) -> list[Card]:
    """Cards of a moved reference pixel (from 0), with the change since the raw image that registration needs."""
    cards: list[Card] = []
    for axis in (1, 2):
        change = float(header.get(f"DCRPIX{axis}", 0.0)) + new[axis - 1] - old[axis - 1]
        cards += [
            (f"CRPIX{axis}", new[axis - 1] + 1, ""),
            (f"DCRPIX{axis}", change, "Change in CRPIX before registration"),
        ]
    return cards


def read_source_position(header: fits.Header) -> Position | None:
    """Position (x, y) of the source, from 0; None if it is not known (missing, or both zero)."""
    x, y = header.get("SRCPOSX"), header.get("SRCPOSY")
    if x is None or y is None or (x == 0 and y == 0):
        return None
    return float(x), float(y)


def source_position_cards(position: Position | None) -> list[Card]:
    """Cards of the position of the source; none if it is not known."""
    if position is None:
        return []
    return [("SRCPOSX", position[0], "Source x-position"), ("SRCPOSY", position[1], "Source y-position")]


def read_integration_time(image: Product) -> float:
    """Nominal time per beam in seconds: half of DETITIME.

    Raises
    ------
    HeaderError
        If DETITIME is missing.
    """
    value = image.header.get("DETITIME")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
        raise HeaderError(
            f"{image.name}: DETITIME is {value!r}, so the exposure time is not known; write the integration time in "
            "seconds into the header."
        )
    return float(value) / 2
