"""Flux calibration of FORCAST images: the published factor (Me/s per Jy) and the telluric factor of an observation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sofia_engine.errors import ReferenceDataError

__all__ = ["FluxCalibration", "compute_telluric_factor", "read_calibration_factor"]


@dataclass(frozen=True)
class FluxCalibration:
    """
    Relation of detected counts and flux: Jy = Me/s * telluric_factor / factor.

    Parameters
    ----------
    factor
        Me/s per Jy at the reference altitude and zenith angle; None if not known.
    telluric_factor
        What detected counts must be multiplied with to be those at the reference altitude and zenith angle.
    origin
        Names of the files, or ``option``, or ``none``.
    """

    factor: float | None
    telluric_factor: float
    origin: dict[str, str]

    def to_jansky(self, counts: float) -> float | None:
        """Turn detected Me/s into Jy; None if the factor is not known."""
        return None if self.factor is None else counts * self.telluric_factor / self.factor


def read_calibration_factor(path: Path, spectel: str, dichroic: int) -> float | None:
    """
    Read a calibration factor.

    Parameters
    ----------
    path
        Table with the columns SPECTEL, DICHROIC, REFCALFC, REFCALER.
    spectel
        Filter, e.g. ``FOR_F197``.
    dichroic
        0 for single mode, 1 or 2 for the dichroics.

    Returns
    -------
    float or None
        Me/s per Jy; None if the table has no such line.
    """
    for words in _read_rows(path):
        if words[0].upper() == spectel and words[1] in {str(dichroic), "."}:
            return _to_float(path, words[2])
    return None


def compute_telluric_factor(
    airmass_fit: Path, altitude_fit: Path, spectel: str, zenith_angle: float, altitude_kft: float
) -> float:
    """
    Compute the telluric factor from fits of the response of a filter to airmass and to altitude.

    Parameters
    ----------
    airmass_fit, altitude_fit
        Tables with the range and the reference value of altitude and zenith angle in two comment lines, and lines of
        wavelength, filter, response, coefficients (constant first).
    spectel
        Filter, e.g. ``FOR_F197``.
    zenith_angle
        Degrees.
    altitude_kft
        Altitude, 1000 ft.

    Returns
    -------
    float
        Response at the reference values over that of the observation.

    Raises
    ------
    ReferenceDataError
        If a table does not hold the filter or the reference values.
    """
    airmass = _secant(zenith_angle) - _secant(_read_reference(airmass_fit, "ZAREF"))
    height = altitude_kft - _read_reference(altitude_fit, "ALTREF")
    at_reference = _response(airmass_fit, spectel, 0.0) * _response(altitude_fit, spectel, 0.0)
    return at_reference / (_response(airmass_fit, spectel, airmass) * _response(altitude_fit, spectel, height))


def _secant(angle: float) -> float:
    return float(1 / np.cos(np.radians(angle)))


def _response(path: Path, spectel: str, argument: float) -> float:
    """Evaluate the fit of a filter."""
    for words in _read_rows(path):
        if len(words) > 3 and words[1].upper() == spectel:
            coefficients = [_to_float(path, word) for word in words[3:]]
            return float(np.polynomial.polynomial.polyval(argument, coefficients))
    raise ReferenceDataError(
        f"The response table {path.name} holds no filter {spectel}; give the option 'telluric_factor'."
    )


def _read_reference(path: Path, word: str) -> float:
    """Read NAME=value from the comment lines of a table."""
    for line in _read_text(path).splitlines():
        for item in line.lstrip("# ").split():
            name, _, value = item.partition("=")
            if line.startswith("#") and name == word:
                return _to_float(path, value)
    raise ReferenceDataError(f"The response table {path.name} does not give {word}; use an undamaged file.")


def _read_rows(path: Path) -> list[list[str]]:
    """Split the lines of a table that are no comments."""
    lines = (line.split() for line in _read_text(path).splitlines() if not line.startswith("#"))
    return [words for words in lines if len(words) > 2]


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ReferenceDataError(f"The calibration table {path} cannot be read ({error}).") from error


def _to_float(path: Path, word: str) -> float:
    try:
        return float(word)
    except ValueError as error:
        raise ReferenceDataError(f"The calibration table {path.name} holds {word!r} instead of a number.") from error
