"""Which column of a table is what: from names and units to the fields of a spectrum."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import InputError
from sofia_viewers.spectrum.spectrum import Spectrum
from sofia_viewers.spectrum.units import parse_unit

__all__ = ["Column", "make_spectrum", "name_columns", "split_unit"]

DEFAULT_NAMES = ("wavepos", "spectral_flux", "spectral_error", "transmission", "response")
"""Meaning of columns without names, in order."""

_WAVE_UNITS = {"freq": "GHz", "wavenum": "cm-1", "energy": "eV", "velo": "km/s"}
_PATTERNS = (
    ("ivar", re.compile(r"ivar|inv.*var|weight")),
    ("variance", re.compile(r"^var|variance")),
    ("response_error", re.compile(r"resp.*err|err.*resp")),
    ("spectral_error", re.compile(r"err|sig(ma)?\b|unc|std|noise|rms|^e_|^d_?flux|^df")),
    ("wavepos", re.compile(r"wave|lambda|^lam|^wl$|freq|wavenum|^nu$|energy|velo|spectral_axis|^um$|micron|^x$|^wn$")),
    ("transmission", re.compile(r"tran|atran|^tell")),
    ("response", re.compile(r"resp")),
    ("badmask", re.compile(r"mask|flag|qual|^dq$")),
    ("spectral_flux", re.compile(r"flux|intens|^f_|^fnu|^flam|^f$|^i$|bright|counts|signal|^y$|power|temp")),
)
_UNIT = re.compile(r"^(?P<name>[^\[(]*?)\s*[\[(](?P<unit>.*)[\])]\s*$")


@dataclass(frozen=True, eq=False)
class Column:
    """One column: name (may be empty), values, and unit."""

    name: str
    values: NDArray[np.float64]
    unit: str = ""


def split_unit(text: str) -> tuple[str, str]:
    """Split ``flux [Jy]`` or ``flux (Jy)`` into name and unit."""
    found = _UNIT.match(text.strip().strip("\"'"))
    return (found["name"].strip(), found["unit"].strip()) if found else (text.strip().strip("\"'"), "")


def name_columns(names: Sequence[str]) -> tuple[str, ...]:
    """Return what columns are, by their names; by their place where no name says it.

    Parameters
    ----------
    names : sequence of str
        As in the file, without units.

    Returns
    -------
    tuple of str
        Field names; each of the known ones once, others are kept in lower case.
    """
    found: list[str] = []
    for name in names:
        clean = name.strip().lower()
        meant = next((kind for kind, pattern in _PATTERNS if pattern.search(clean)), clean)
        found.append(meant if meant not in found else clean or f"column {len(found) + 1}")
    if not {"wavepos", "spectral_flux"} & set(found):
        usual = DEFAULT_NAMES if len(names) > 1 else ("spectral_flux",)
        return tuple([*usual, *found[len(usual) :]][: len(names)])
    if "wavepos" not in found and found[0] != "spectral_flux" and len(found) > 1:
        found[0] = "wavepos"
    if "spectral_flux" not in found:
        free = next((i for i, kind in enumerate(found) if kind not in dict(_PATTERNS)), None)
        if free is not None:
            found[free] = "spectral_flux"
    return tuple(found)


def make_spectrum(columns: Sequence[Column], source: str, defaults: tuple[str, str] = ("um", "Jy")) -> Spectrum:
    """Make a spectrum of columns.

    Parameters
    ----------
    columns : sequence of Column
        Of equal length.
    source : str
        Name of the file, for messages.
    defaults : (str, str)
        Units of spectral axis and flux if the file names none.

    Raises
    ------
    InputError
        If there is no flux, or nothing but a spectral axis.
    """
    kinds = name_columns([column.name for column in columns])
    fields: dict[str, Any] = {}
    units: dict[str, str] = {}
    for kind, column in zip(kinds, columns, strict=True):
        fields[kind], units[kind] = column.values, column.unit
    if "spectral_flux" not in fields:
        names = ", ".join(column.name or "unnamed" for column in columns)
        raise InputError(f"{source} has no column of fluxes; its columns are {names}. Name one of them flux.")
    if "wavepos" in fields:
        name = columns[kinds.index("wavepos")].name.lower()
        usual = next((unit for part, unit in _WAVE_UNITS.items() if part in name), defaults[0])
        units["wavepos"] = units["wavepos"] or usual
    else:
        fields["wavepos"], units["wavepos"] = np.arange(len(fields["spectral_flux"]), dtype=float), "pixel"
    units["spectral_flux"] = units["spectral_flux"] or defaults[1]
    _settle_errors(fields, units)
    _settle_logarithms(fields, units)
    return Spectrum(fields, {name: _known(unit) for name, unit in units.items()})


def _settle_errors(fields: dict[str, Any], units: dict[str, str]) -> None:
    """Turn variances and inverse variances into errors."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if "variance" in fields and "spectral_error" not in fields:
            fields["spectral_error"] = np.sqrt(fields.pop("variance"))
        if "ivar" in fields and "spectral_error" not in fields:
            fields["spectral_error"] = 1.0 / np.sqrt(fields.pop("ivar"))
    if "spectral_error" in fields:
        units["spectral_error"] = units["spectral_flux"]


def _settle_logarithms(fields: dict[str, Any], units: dict[str, str]) -> None:
    """Turn logarithms of wavelengths in angstrom, as of the Sloan survey, into wavelengths."""
    if "loglam" in fields and units["wavepos"] == "pixel":
        fields["wavepos"], units["wavepos"] = 10.0 ** fields["loglam"], "Angstrom"


def _known(unit: str) -> str:
    return unit if parse_unit(unit) is not None or unit else ""
