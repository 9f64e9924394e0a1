"""How an observation is looked up in the calibration tables: filter, configuration, date, object, raw unit."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sofia_engine.errors import HeaderError
from sofia_engine.photometry.standards import normalize_object

if TYPE_CHECKING:
    from sofia_engine.reference import ReferenceRequest

__all__ = [
    "CALIBRATION_KINDS",
    "UNKNOWN_DATE",
    "CalibrationSetup",
    "determine_setup",
    "read_number",
    "reference_requests",
]

UNKNOWN_DATE = 99999999
"""Date (YYYYMMDD) of an observation whose DATE-OBS cannot be read: the latest calibration applies."""

CALIBRATION_KINDS = (
    "filter_definition",
    "flux_calibration",
    "average_flux_calibration",
    "response_airmass",
    "response_altitude",
    "response_pwv",
    "standard_flux_error",
    "standard_flux",
)
"""Kinds of calibration file for imaging, as the reference catalogue names them."""

_REQUIRED = ("INSTRUME", "SPECTEL1", "SPECTEL2", "INSTCFG", "OBJECT")
_LAST_BARR3_DATE = 20131025
_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)")


@dataclass(frozen=True)
class CalibrationSetup:
    """
    What the calibration tables are searched by.

    Parameters
    ----------
    instrument
        FORCAST, FLITECAM or HAWC_PLUS.
    spectel
        Name of the filter, upper case.
    altcfg1
        Configuration code of the tables. FORCAST: 0 one channel, 1 dual with Barr 2, 2 dual with Barr 3.
        FLITECAM: 1 with FORCAST in the beam (FLIPO), else 0. HAWC+: 0 chop-nod with half-wave plate, 1 chop-nod
        without, 2 scan with, 3 scan without.
    object_name
        Catalogue name of the object, or OBJECT in upper case without blanks, underscores and hyphens.
    date
        Day of observation, YYYYMMDD; 99999999 if unknown.
    raw_unit
        Unit of uncalibrated data.
    warnings
        What the user should know about the choice.
    """

    instrument: str
    spectel: str
    altcfg1: str
    object_name: str
    date: int
    raw_unit: str
    warnings: tuple[str, ...] = ()


def determine_setup(header: Mapping[str, Any]) -> CalibrationSetup:
    """
    Find by what the calibration tables are searched for an observation.

    Parameters
    ----------
    header
        FITS header, or another mapping of keywords.

    Returns
    -------
    CalibrationSetup
        After 25 October 2013 there are no tables for the FORCAST dichroic Barr 3; those of Barr 2 are named, with
        a warning.

    Raises
    ------
    HeaderError
        If a required keyword is missing, or the instrument makes no images that can be calibrated.
    """
    missing = [keyword for keyword in _REQUIRED if keyword not in header]
    if missing:
        raise HeaderError(
            f"The calibration cannot be looked up: the header has no {', '.join(missing)}; add the keyword to the file."
        )
    instrument = _read_text(header, "INSTRUME")
    if instrument not in _READERS:
        raise HeaderError(
            f"There is no imaging calibration for instrument {instrument!r}; there is one for {', '.join(_READERS)}."
        )
    spectel, altcfg1, raw_unit = _READERS[instrument](header)
    date = _read_date(header)
    warnings: tuple[str, ...] = ()
    if instrument == "FORCAST" and altcfg1 == "2" and date > _LAST_BARR3_DATE:
        altcfg1 = "1"
        warnings = ("There is no calibration for the dichroic Barr 3 after 2013-10-25; that of Barr 2 is used.",)
    name = normalize_object(str(header["OBJECT"]))
    return CalibrationSetup(instrument, spectel, altcfg1, name, date, raw_unit, warnings)


def reference_requests(setup: CalibrationSetup) -> dict[str, ReferenceRequest]:
    """
    List what is asked of the catalogue of reference files, by kind.

    Parameters
    ----------
    setup
        From `determine_setup`.

    Returns
    -------
    dict
        One request for each of `CALIBRATION_KINDS`. The tables choose by date and configuration, the standard's
        model by the name of the object as well.
    """
    from sofia_engine.reference import ReferenceRequest

    label = f"{setup.object_name} in {setup.spectel}"
    match = {"altcfg1": setup.altcfg1}
    matches = {
        kind: match | ({"object": setup.object_name} if kind == "standard_flux" else {}) for kind in CALIBRATION_KINDS
    }
    return {
        kind: ReferenceRequest(setup.instrument, kind, setup.date, matches[kind], label) for kind in CALIBRATION_KINDS
    }


def _read_text(header: Mapping[str, Any], keyword: str) -> str:
    return str(header.get(keyword, "")).strip().upper()


def _read_date(header: Mapping[str, Any]) -> int:
    found = _DATE.match(_read_text(header, "DATE-OBS"))
    return int("".join(found.groups())) if found else UNKNOWN_DATE


def _read_forcast(header: Mapping[str, Any]) -> tuple[str, str, str]:
    long_wave = _read_text(header, "DETCHAN") in {"1", "1.0", "LW"}
    spectel = _read_text(header, "SPECTEL2" if long_wave else "SPECTEL1")
    if _read_text(header, "INSTCFG") != "IMAGING_DUAL":
        return spectel, "0", "Me/s"
    if "DICHROIC" not in header:
        raise HeaderError("The calibration cannot be looked up: the header has no DICHROIC; add it to the file.")
    barr3 = re.search(r"BARR.*3", _read_text(header, "DICHROIC"))
    return spectel, "2" if barr3 else "1", "Me/s"


def _read_flitecam(header: Mapping[str, Any]) -> tuple[str, str, str]:
    return _read_text(header, "SPECTEL1"), "1" if "FP" in _read_text(header, "MISSN-ID") else "0", "ct/s"


def _read_hawc(header: Mapping[str, Any]) -> tuple[str, str, str]:
    plate = _read_text(header, "SPECTEL2")
    no_plate = "OPEN" in plate or plate == "UNKNOWN"
    scan = _read_text(header, "INSTMODE") == "OTFMAP"
    return _read_text(header, "SPECTEL1"), str(2 * scan + no_plate), "counts"


_READERS: dict[str, Callable[[Mapping[str, Any]], tuple[str, str, str]]] = {
    "FORCAST": _read_forcast,
    "FLITECAM": _read_flitecam,
    "HAWC_PLUS": _read_hawc,
}


def read_number(header: Mapping[str, Any], keyword: str) -> float | None:
    """Return the value of a keyword as a finite number; None if it is missing or is not one."""
    try:
        value = float(header[keyword])
    except (KeyError, TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None
