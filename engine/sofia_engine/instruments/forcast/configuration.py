"""Date-dependent configuration: conventions, response of the detectors, header requirements, merging rules."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from astropy.io import fits

from sofia_engine.header.cards import Card
from sofia_engine.header.merging import Rule
from sofia_engine.header.requirements import Requirement, parse_requirements
from sofia_engine.instruments.forcast.mode import (
    Camera,
    find_date,
    find_spectral_element,
    read_text,
)

__all__ = [
    "Capacitance",
    "Configuration",
    "Nonlinearity",
    "configure",
    "find_filter_shift",
    "find_requirements",
    "merging_rules",
]

Capacitance = Literal["HI", "LO"]

_COMMENTS: Mapping[str, str] = {
    "ANGLCONV": "Chopping/Nodding angle conventions",
    "BETA_G": "Excess noise",
    "BORDER": "additional border pixels",
    "CHOPTSAC": "Chop convention. Should be -1 after OC1B",
    "CONFFILE": "DRIP config file",
    "MAXDROOP": "maximum value for droop correction",
    "MAXREGSH": "maximum allowed shift for registration",
    "MAXSHIFT": "maximum allowed chop or nod shift",
    "MFWHM": "fwhm used for peakfind at merge",
    "MINDROOP": "minimum value for droop correction",
    "NRODROOP": "number of rows for droop correction",
    "RN_HIGH": "Read noise for high capacitance mode",
    "RN_LOW": "Read noise for low capacitance mode",
    "SHIFTORD": "interpolate order for coadd/merge",
}


@dataclass(frozen=True)
class Nonlinearity:
    """How the response of a detector depends on the level of the background.

    Parameters
    ----------
    reference, scale : float
        Counts.
    limits : (float, float)
        Range of levels, counts, in which the polynomial is known.
    coefficients : tuple of float
        Of the divisor, a polynomial of ``(level - reference) / scale``, from the constant on.
    """

    reference: float
    scale: float
    limits: tuple[float, float]
    coefficients: tuple[float, ...]


@dataclass(frozen=True)
class Configuration:
    """The settings that apply at a date.

    The values that stand in headers have precedence over those an observation's header came with; `card` gives the
    card that a step writes when it has used one.

    Parameters
    ----------
    name : str
        Name of the published set: early, OC1B, OC1DF, OC2, OC3, OC7.
    angle_convention : {"positive", "negative"}
        Sense in which chop and nod angles of headers run (ANGLCONV).
    chop_convention : int
        1 if the source is negative in chop 1 - chop 2, -1 if it is positive (CHOPTSAC).
    read_noise_high, read_noise_low : float
        Electrons, for high and low capacitance.
    excess_noise : float
        Factor of the photon noise.
    border : int
        Pixels added around corrected images.
    shift_order : int
        Spline order of image shifts.
    largest_offset, largest_shift, centroid_fwhm : float
        Pixels.
    droop_limits : (float, float)
        Counts between which corrected values are kept.
    droop_channels : int
        Pixels read out at the same time.
    nonlinearity : mapping
        By camera and capacitance: SWCHI, SWCLO, LWCHI, LWCLO.
    """

    name: str
    angle_convention: Literal["positive", "negative"]
    chop_convention: int
    read_noise_high: float
    read_noise_low: float
    excess_noise: float
    border: int
    shift_order: int
    largest_offset: float
    largest_shift: float
    centroid_fwhm: float
    droop_limits: tuple[float, float]
    droop_channels: int
    nonlinearity: Mapping[str, Nonlinearity]

    @property
    def values(self) -> Mapping[str, Any]:
        """The settings as values of header keywords."""
        return {
            "ANGLCONV": self.angle_convention,
            "BETA_G": self.excess_noise,
            "BORDER": self.border,
            "CHOPTSAC": self.chop_convention,
            "CONFFILE": f"config_files/{self.name}_dripconf.txt",
            "MAXDROOP": self.droop_limits[1],
            "MAXREGSH": self.largest_offset,
            "MAXSHIFT": self.largest_shift,
            "MFWHM": self.centroid_fwhm,
            "MINDROOP": self.droop_limits[0],
            "NRODROOP": self.droop_channels,
            "RN_HIGH": self.read_noise_high,
            "RN_LOW": self.read_noise_low,
            "SHIFTORD": self.shift_order,
        }

    def card(self, keyword: str) -> Card:
        """Return the header card of a setting."""
        return keyword, self.values[keyword], _COMMENTS[keyword]

    def find_nonlinearity(self, camera: Camera, capacitance: Capacitance) -> tuple[str, Nonlinearity]:
        """Return the response of a detector and the end of the keywords (such as SWCLO) that describe it."""
        name = f"{camera}C{capacitance}"
        return name, self.nonlinearity[name]


def configure(header: fits.Header) -> Configuration:
    """Return the settings for an observation, by its date."""
    return _configure_date(find_date(header))


def find_requirements(header: fits.Header) -> tuple[Requirement, ...]:
    """Return the requirements on the header of an observation, by its date."""
    dates = _read("requirements.toml")["dates"]
    return _requirements_of(_first_until(dates, find_date(header))["table"])


def find_filter_shift(header: fits.Header) -> tuple[float, float]:
    """Return the shift (x, y) of the reference pixel, in pixels, that the header of an image lacks.

    Headers of observations before 8 July 2015 do not know that filters deflect the light.
    """
    table = _read("configuration.toml")["filter_shift"]
    if find_date(header) >= table["before"]:
        return 0.0, 0.0
    beams = "dual" if read_text(header, "INSTCFG") == "IMAGING_DUAL" else "single"
    x, y = table[beams].get(find_spectral_element(header), (0.0, 0.0))
    return float(x), float(y)


@cache
def merging_rules() -> Mapping[str, Rule]:
    """Return the rules for merging headers, by keyword."""
    table: dict[Rule, list[str]] = _read("configuration.toml")["merging"]
    return MappingProxyType({keyword: rule for rule, keywords in table.items() for keyword in keywords})


@cache
def _read(name: str) -> dict[str, Any]:
    with Path(__file__).with_name(name).open("rb") as stream:
        return tomllib.load(stream)


def _first_until(entries: Iterable[Mapping[str, Any]], date: int) -> Mapping[str, Any]:
    return next(entry for entry in entries if date <= entry["until"])


@cache
def _configure_date(date: int) -> Configuration:
    content = _read("configuration.toml")
    settings = dict(_first_until(content["sets"], date))
    del settings["until"]
    settings["nonlinearity"] = MappingProxyType(
        {name: _make_nonlinearity(entry) for name, entry in content["nonlinearity"][settings["nonlinearity"]].items()}
    )
    common = dict(content["common"])
    common["droop_limits"] = tuple(common["droop_limits"])
    return Configuration(**common, **settings)


def _make_nonlinearity(entry: Mapping[str, Any]) -> Nonlinearity:
    low, high = entry["limits"]
    return Nonlinearity(entry["reference"], entry["scale"], (low, high), tuple(entry["coefficients"]))


@cache
def _requirements_of(table: str) -> tuple[Requirement, ...]:
    content = _read("requirements.toml")
    chain = [table]
    while parent := content["tables"][chain[-1]].get("extends"):
        chain.append(parent)
    rows = {row.keyword: row for row in parse_requirements(content["base"]["rows"])}
    for name in reversed(chain):
        changes = content["tables"][name]
        rows = {keyword: row for keyword, row in rows.items() if keyword not in changes.get("without", ())}
        rows |= {row.keyword: row for row in parse_requirements(changes["rows"])}
    return tuple(rows.values())
