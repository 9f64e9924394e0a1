"""Water vapour above the aircraft: from weather models along the flight (ECMWF), or measured and in the header."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.errors import ReferenceDataError
from sofia_engine.header.merging import NO_DATE, observation_time
from sofia_engine.instruments.fifi_ls.mode import read_number

if TYPE_CHECKING:
    from pathlib import Path

    from astropy.io import fits

    from sofia_engine.header.cards import Card

__all__ = ["WaterVapour", "choose_water_vapour", "find_flight", "look_up_water_vapour"]

OFFSET, SLOPE = 0.34, 0.55
"""Water vapour above the aircraft from that of the weather model, um; Iserlohe et al. 2022."""
FALLBACK = 1.0
"""Micrometres, where nothing is known."""
_MISSION = re.compile(r"^(\d{4})-(\d{2})-(\d{2})_FI_F(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class WaterVapour:
    """Water vapour of an observation.

    Attributes
    ----------
    value : float
        Um.
    source : str
        ECMWF, HEADER or FALLBACK.
    file : str
        Name of the file of the weather model, if that was used.
    modelled : float
        Value of the weather model itself, um; NaN if it was not used.
    """

    value: float
    source: str
    file: str = ""
    modelled: float = float("nan")

    def cards(self) -> list[Card]:
        """Return what the header says of it."""
        made: list[Card] = [
            ("WVZ_SRC", self.source, "Source of water vapour"),
            ("WVZ_USED", self.value, "Water vapour used (um)"),
        ]
        if self.source == "ECMWF":
            made += [
                ("WVZECMWF", self.modelled, "Water vapour of the ECMWF model (um)"),
                ("WVZ_FORM", f"{OFFSET} + {SLOPE} * WVZECMWF", "How the water vapour follows"),
                ("WVZ_FILE", self.file, "ECMWF file name"),
            ]
        return made


def find_flight(header: fits.Header) -> dict[str, str]:
    """Return flight number and day of a mission as file names have them; empty if MISSN-ID is not of the usual form."""
    found = _MISSION.match(str(header.get("MISSN-ID", "")).strip())
    return {"flight": f"{int(found[4]):03d}", "date": "".join(found.groups()[:3])} if found else {}


def look_up_water_vapour(path: Path, header: fits.Header) -> float | None:
    """Return the water vapour of the weather model at the time of an observation.

    Parameters
    ----------
    path : Path
        Table DATA with the columns unixtime, pwv (um), posconst, posjump.
    header : Header
        DATE-OBS.

    Returns
    -------
    float or None
        Um; None if the flight has no value for the time, or the position of the aircraft was not well known then.

    Raises
    ------
    ReferenceDataError
        If the file cannot be read.
    """
    from astropy.io import fits

    try:
        with fits.open(path, memmap=False) as hdus:
            table = hdus["DATA"].data
            time, pwv, constant, jump = (
                np.asarray(table[name], dtype=np.float64) for name in ("unixtime", "pwv", "posconst", "posjump")
            )
    except (OSError, KeyError, TypeError, ValueError, IndexError) as error:
        raise ReferenceDataError(f"The water vapour file {path} cannot be read ({error}); give another one.") from error
    moment = observation_time(header)
    if moment == NO_DATE or not time.size or not time[0] <= moment.timestamp() <= time[-1]:
        return None
    row = int(np.searchsorted(time, moment.timestamp()))
    return float(pwv[row]) if constant[row] == 0 and jump[row] == 0 else None


def choose_water_vapour(header: fits.Header, modelled: float | None, file: str, *, model_first: bool) -> WaterVapour:
    """Choose between weather model and header.

    Parameters
    ----------
    header : Header
        WVZ_OBS, um.
    modelled : float or None
        Value of the weather model, um.
    file : str
        Its file.
    model_first : bool
        Prefer the model.
    """
    measured = read_number(header, "WVZ_OBS")
    known = []
    if modelled is not None:
        known.append(WaterVapour(OFFSET + SLOPE * modelled, "ECMWF", file, modelled))
    if measured is not None and measured > 0:
        known.insert(len(known) if model_first else 0, WaterVapour(measured, "HEADER"))
    return known[0] if known else WaterVapour(FALLBACK, "FALLBACK")
