"""What an observation is: channel, order, filter, dichroic, chop and nod mode; all from its header."""

from __future__ import annotations

import math
import re
from typing import Any, Literal

from astropy.io import fits

from sofia_engine.errors import HeaderError
from sofia_engine.reference import ReferenceRequest
from sofia_engine.reference.catalogue import UNKNOWN_DATE

__all__ = [
    "Channel",
    "channel_letter",
    "find_channel",
    "find_date",
    "find_dichroic",
    "find_filter",
    "find_order",
    "find_response_channel",
    "is_asymmetric",
    "is_nod_a",
    "is_otf",
    "is_symmetric",
    "is_total_power",
    "read_number",
    "read_text",
    "request_reference",
    "require_integer",
    "require_number",
]

Channel = Literal["RED", "BLUE"]

MISSING = -9999.0
"""Value of numbers in headers that are not known."""


def read_text(header: fits.Header, keyword: str) -> str:
    """Return the value of a keyword in upper case without blanks at its ends; empty if it is missing or UNKNOWN."""
    text = str(header.get(keyword, "")).strip().upper()
    return "" if text == "UNKNOWN" else text


def read_number(header: fits.Header, keyword: str) -> float | None:
    """Return a number; None if it is missing, no number, or -9999."""
    value: Any = header.get(keyword)
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number != MISSING else None


def require_number(header: fits.Header, keyword: str) -> float:
    """Return a number.

    Raises
    ------
    HeaderError
        If it is missing, no number, or -9999.
    """
    number = read_number(header, keyword)
    if number is None:
        name = header.get("FILENAME", "The file")
        raise HeaderError(f"{name}: {keyword} is {header.get(keyword)!r}, a number is needed; correct the header.")
    return number


def require_integer(header: fits.Header, keyword: str) -> int:
    """Return a whole number; as `require_number`."""
    return int(require_number(header, keyword))


def find_channel(header: fits.Header) -> Channel:
    """Return the channel of an observation, from CHANNEL, else from DETCHAN.

    Raises
    ------
    HeaderError
        If neither says.
    """
    for keyword in ("CHANNEL", "DETCHAN"):
        value = read_text(header, keyword)
        if value in ("RED", "0"):
            return "RED"
        if value in ("BLUE", "1"):
            return "BLUE"
    raise HeaderError(f"{header.get('FILENAME', 'The file')}: neither CHANNEL nor DETCHAN says RED or BLUE.")


def channel_letter(header: fits.Header) -> Literal["R", "B"]:
    """Return the letter at the end of the keywords of the channel: ``R`` or ``B``."""
    return "R" if find_channel(header) == "RED" else "B"


def find_order(header: fits.Header) -> int:
    """Return the grating order: 1 in the red channel, G_ORD_B in the blue one.

    Raises
    ------
    HeaderError
        If G_ORD_B is neither 1 nor 2.
    """
    if find_channel(header) == "RED":
        return 1
    order = read_number(header, "G_ORD_B")
    if order not in (1, 2):
        raise HeaderError(
            f"{header.get('FILENAME', 'The file')}: G_ORD_B is {header.get('G_ORD_B')!r}, must be 1 or 2."
        )
    return int(order)


def find_filter(header: fits.Header) -> int:
    """Return the order the filter of the blue channel is for (G_FLT_B; that of the grating if it does not say)."""
    chosen = read_number(header, "G_FLT_B")
    return int(chosen) if chosen in (1, 2) else find_order(header)


def find_response_channel(header: fits.Header) -> str:
    """Return channel, order and filter as response and resolution tables name them: r, b1, b2, b21 or b12."""
    if find_channel(header) == "RED":
        return "r"
    order, passed = find_order(header), find_filter(header)
    return f"b{order}" if order == passed else f"b{order}{passed}"


def find_dichroic(header: fits.Header) -> int:
    """Return the wavelength of the dichroic: 105 or 130.

    Raises
    ------
    HeaderError
        If DICHROIC is something else.
    """
    value = read_number(header, "DICHROIC")
    if value not in (105, 130):
        name = header.get("FILENAME", "The file")
        raise HeaderError(f"{name}: DICHROIC is {header.get('DICHROIC')!r}, must be 105 or 130.")
    return int(value)


def find_date(header: fits.Header) -> int:
    """Return the day of the observation (DATE-OBS) as YYYYMMDD; 99999999 if it is missing or no date."""
    match = re.match(r"(\d{4})-(\d{2})-(\d{2})", read_text(header, "DATE-OBS"))
    return int("".join(match.groups())) if match else UNKNOWN_DATE


def is_symmetric(header: fits.Header) -> bool:
    """Tell whether nods match chops (NODSTYLE NMC): the source is in one chop of both nods."""
    return read_text(header, "NODSTYLE") in ("NMC", "SYMMETRIC")


def is_asymmetric(header: fits.Header) -> bool:
    """Tell whether nod B is empty sky (NODSTYLE C2NC2)."""
    return read_text(header, "NODSTYLE") in ("C2NC2", "ASYMMETRIC")


def is_total_power(header: fits.Header) -> bool:
    """Tell whether the chopper stood still.

    Raises
    ------
    HeaderError
        If C_AMP is missing.
    """
    return require_number(header, "C_AMP") == 0


def is_nod_a(header: fits.Header) -> bool:
    """Tell whether the telescope was in nod A."""
    return read_text(header, "NODBEAM") == "A"


def is_otf(header: fits.Header) -> bool:
    """Tell whether the telescope scanned during the file: on-the-fly mapping, nod A."""
    return "OTF" in read_text(header, "INSTMODE") and is_nod_a(header)


def request_reference(header: fits.Header, kind: str, label: str = "", **match: object) -> ReferenceRequest:
    """Return the question for the reference file of a kind that fits an observation.

    Parameters
    ----------
    header : Header
        Of the observation; its day is used.
    kind, label
        As in `ReferenceRequest`.
    **match
        Settings.
    """
    return ReferenceRequest("FIFI-LS", kind, find_date(header), {k: str(v) for k, v in match.items()}, label)
