"""What an observation is: camera, filter or grism, slit, chop and nod mode; all from its header."""

from __future__ import annotations

import re
from typing import Any, Literal

from astropy.io import fits

from sofia_engine.reference import ReferenceRequest

__all__ = [
    "Camera",
    "find_camera",
    "find_date",
    "find_mode",
    "find_sky_mode",
    "find_spectral_element",
    "is_cross_dispersed",
    "is_grism",
    "is_slit_image",
    "request_reference",
    "slit_is_in",
]

Camera = Literal["SW", "LW"]

GRISMS = ("FOR_G063", "FOR_G111", "FOR_G227", "FOR_G329")
CROSS_DISPERSED = ("FOR_XG063", "FOR_XG111")
UNKNOWN_DATE = 99999999
SAME_ANGLE = 0.01
"""Angles in headers that differ by less, degrees, are equal but for rounding."""


def read_text(header: fits.Header, keyword: str) -> str:
    """Return the value of a keyword in upper case without blanks at its ends; empty if it is missing."""
    return str(header.get(keyword, "")).strip().upper()


def find_camera(header: fits.Header) -> Camera:
    """Return the camera of an observation: ``LW`` if DETCHAN is LW or 1, else ``SW``."""
    return "LW" if read_text(header, "DETCHAN") in ("LW", "1") else "SW"


def find_spectral_element(header: fits.Header) -> str:
    """Return the filter or grism in the camera used, as in SPECTEL1 (short-wave) or SPECTEL2 (long-wave camera)."""
    return read_text(header, "SPECTEL2" if find_camera(header) == "LW" else "SPECTEL1")


def is_grism(header: fits.Header) -> bool:
    """Tell whether the observation is a spectrum of a single-order grism."""
    return find_spectral_element(header) in GRISMS


def is_cross_dispersed(header: fits.Header) -> bool:
    """Tell whether the observation is a cross-dispersed spectrum."""
    return find_spectral_element(header) in CROSS_DISPERSED


def slit_is_in(header: fits.Header) -> bool:
    """Tell whether a slit was in the light path."""
    return read_text(header, "SLIT") not in ("", "NONE", "UNKNOWN")


def is_slit_image(header: fits.Header) -> bool:
    """Tell whether the observation is an image of the sky through the slit."""
    return slit_is_in(header) and not is_grism(header) and not is_cross_dispersed(header)


def find_mode(header: fits.Header) -> str:
    """Return the mode that reference files are chosen by: IMG_SWC, IMG_LWC, G063, G111, G227 or G329."""
    if is_grism(header):
        return find_spectral_element(header).removeprefix("FOR_")
    return f"IMG_{find_camera(header)}C"


def find_date(header: fits.Header) -> int:
    """Return the day of the observation (DATE-OBS) as YYYYMMDD; 99999999 if it is missing or no date."""
    match = re.match(r"(\d{4})-(\d{2})-(\d{2})", read_text(header, "DATE-OBS"))
    return int("".join(match.groups())) if match else UNKNOWN_DATE


def find_sky_mode(header: fits.Header, planes: int | None = None) -> str:
    """Return the chop and nod mode of an observation.

    Parameters
    ----------
    header : Header
        INSTMODE, SKYMODE, C2NC2, and for C2N the throws and angles of chop and nod are used.
    planes : int, optional
        Number of raw planes; by default NAXIS3 of the header.

    Returns
    -------
    str
        NMC (nod matches chop), NPC (nod perpendicular to chop), C2NC2, C2NC4 (C2NC2 with four planes), ..., or
        whatever INSTMODE says.
    """
    if planes is None:
        planes = int(header.get("NAXIS3", 0))
    instrument_mode, sky_mode = read_text(header, "INSTMODE"), read_text(header, "SKYMODE")
    if instrument_mode == "C2" and _is_true(header.get("C2NC2")):
        mode = "C2NC2"
    elif instrument_mode == "C2N":
        mode = sky_mode if sky_mode not in ("", "NONE") else "C2N"
    elif sky_mode in ("C2NC2", "C2NC4") or "SLITSCAN" in sky_mode:
        mode = sky_mode
    else:
        mode = instrument_mode
    if mode == "C2N":
        return "NMC" if _nod_matches_chop(header) else "NPC"
    if mode == "C2NC2" and (planes == 4 or sky_mode == "C2NC4"):
        return "C2NC4"
    return mode


def request_reference(header: fits.Header, kind: str, label: str = "") -> ReferenceRequest:
    """Return the question for the reference file of a kind that fits an observation, chosen by date and mode."""
    return ReferenceRequest("FORCAST", kind, find_date(header), {"mode": find_mode(header)}, label)


def _is_true(value: Any) -> bool:
    return value in (True, 1) or str(value).strip().upper() in ("1", "T", "TRUE")


def _nod_matches_chop(header: fits.Header) -> bool:
    values = [header.get(keyword) for keyword in ("CHPAMP1", "NODAMP", "CHPANGLR", "NODANGLR")]
    if not all(isinstance(value, int | float) for value in values):
        return False
    chop, nod, chop_angle, nod_angle = (float(value) for value in values if value is not None)
    between = (chop_angle - nod_angle) % 180
    return round(2 * chop) == round(nod) and min(between, 180 - between) < SAME_ANGLE
