"""The tables of the published imaging calibration, read from their text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sofia_engine.errors import ReferenceDataError

if TYPE_CHECKING:
    from sofia_engine.photometry.configuration import CalibrationSetup

__all__ = [
    "CalibrationFactor",
    "FilterDefinition",
    "ModelUncertainty",
    "ResponseFit",
    "parse_calibration_factor",
    "parse_filter_definition",
    "parse_model_flux",
    "parse_model_photometry",
    "parse_model_uncertainty",
    "parse_response_fit",
]

_MODEL_HEADER_LINES = 6
_MODEL_PIVOT_COLUMN = 3
_MODEL_FLUX_COLUMN = 10
_WAVELENGTH_TOLERANCE = 0.01
_LIMIT = re.compile(r"([A-Z]+)\s*=\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)")


@dataclass(frozen=True)
class FilterDefinition:
    """
    A filter, and how sources are measured in it.

    Parameters
    ----------
    mean_wavelength, pivot_wavelength
        Micrometres; the mean wavelength is the reference wavelength of calibrated fluxes.
    color_correction
        Factor K_c to the nominal spectrum (nu F_nu constant).
    aperture_radius, sky_radii, fwhm
        Pixels.
    fit_size
        Side of the image the profile is fitted in, pixels.
    source
        Name of the file.
    """

    mean_wavelength: float
    pivot_wavelength: float
    color_correction: float
    aperture_radius: float
    sky_radii: tuple[float, float]
    fwhm: float
    fit_size: int
    source: str = ""


@dataclass(frozen=True)
class CalibrationFactor:
    """
    A calibration factor.

    Parameters
    ----------
    value, error
        Raw unit per Jy, and its standard deviation.
    source
        Name of the file; empty for a factor that was measured.
    """

    value: float
    error: float
    source: str = ""


@dataclass(frozen=True)
class ResponseFit:
    """
    How the response through the atmosphere depends on airmass, altitude or water vapour.

    Parameters
    ----------
    coefficients
        Of the polynomial in the difference to the reference value, constant first. The variable is the airmass
        (secant of the zenith angle), the altitude in kilofeet or the logarithm of the water vapour in micrometres.
    reference
        Altitude (kilofeet) or water vapour (micrometres) where the response is 1.
    limits
        Range of altitude or water vapour the fit holds in.
    za_reference, za_limits
        The same for the zenith angle, degrees.
    source
        Name of the file.
    """

    coefficients: tuple[float, ...]
    reference: float
    limits: tuple[float, float]
    za_reference: float
    za_limits: tuple[float, float]
    source: str = ""


@dataclass(frozen=True)
class ModelUncertainty:
    """
    How well the model of a standard is known.

    Parameters
    ----------
    percent
        Standard deviation of the model flux, percent.
    scale
        Factor that brings the model to the observed flux.
    source
        Name of the file.
    """

    percent: float
    scale: float
    source: str = ""


def parse_filter_definition(text: str, setup: CalibrationSetup, source: str = "") -> FilterDefinition | None:
    """
    Find the definition of a filter.

    Parameters
    ----------
    text
        Content of the table; columns SPECTEL, altcfg1 (``.`` for any), mean and pivot wavelength, colour correction,
        aperture radius, sky radii, FWHM, fit size.
    setup
        Filter and configuration wanted.
    source
        Name of the file.

    Returns
    -------
    FilterDefinition or None
        From the first row that fits; None if none does.

    Raises
    ------
    ReferenceDataError
        If that row cannot be read.
    """
    row = _find_configured_row(text, setup)
    if row is None:
        return None
    mean, pivot, color, radius, inner, outer, fwhm, size = _read_numbers(row, slice(2, 10), 8, source)
    return FilterDefinition(mean, pivot, color, radius, (inner, outer), fwhm, int(size), source)


def parse_calibration_factor(text: str, setup: CalibrationSetup, source: str = "") -> CalibrationFactor | None:
    """
    Find a calibration factor: columns SPECTEL, altcfg1, factor, error.

    Parameters
    ----------
    text
        Content of the table.
    setup
        Filter and configuration wanted.
    source
        Name of the file.

    Returns
    -------
    CalibrationFactor or None
        None if the table has no factor for this filter and configuration.

    Raises
    ------
    ReferenceDataError
        If the row cannot be read, or the factor is not positive.
    """
    row = _find_configured_row(text, setup)
    if row is None:
        return None
    value, error = _read_numbers(row, slice(2, 4), 2, source)
    if not value > 0:
        raise ReferenceDataError(
            f"{source} has a calibration factor that is not positive ({value:g}); replace the file."
        )
    return CalibrationFactor(value, error, source)


def parse_response_fit(text: str, spectel: str, source: str = "") -> ResponseFit | None:
    """
    Find the fit of the atmospheric response of a filter.

    Parameters
    ----------
    text
        Content of the file: comments with minimum, maximum and reference of altitude (ALT) or water vapour (WVO) and
        zenith angle (ZA); rows of wavelength, SPECTEL, reference response, coefficients.
    spectel
        Filter, upper case.
    source
        Name of the file.

    Returns
    -------
    ResponseFit or None
        None if the file has no row for the filter.

    Raises
    ------
    ReferenceDataError
        If the row, or the comments above, cannot be read.
    """
    row = next((row for row in _rows(text) if len(row) > 1 and row[1].upper() == spectel), None)
    if row is None:
        return None
    coefficients = _read_numbers(row, slice(3, None), 1, source)
    comments = " ".join(line for line in text.splitlines() if line.lstrip().startswith("#"))
    limits = {name: float(value) for name, value in _LIMIT.findall(comments)}
    name = "WVO" if "WVOREF" in limits else "ALT"
    try:
        low, high, reference = (limits[name + end] for end in ("MIN", "MAX", "REF"))
        za_low, za_high, za_reference = (limits["ZA" + end] for end in ("MIN", "MAX", "REF"))
    except KeyError as error:
        raise ReferenceDataError(f"{source} has no {error.args[0]} in its first lines; replace the file.") from error
    return ResponseFit(tuple(coefficients), reference, (low, high), za_reference, (za_low, za_high), source)


def parse_model_uncertainty(text: str, object_name: str, source: str = "") -> ModelUncertainty | None:
    """
    Find the uncertainty and scale of a standard's model: columns object, percent, scale.

    Parameters
    ----------
    text
        Content of the table.
    object_name
        Name as `normalize_object` gives it. A name that contains the table's also fits, if none is equal.
    source
        Name of the file.

    Returns
    -------
    ModelUncertainty or None
        None if the table does not have the object.

    Raises
    ------
    ReferenceDataError
        If the row cannot be read.
    """
    rows = [(row[0].upper(), row) for row in _rows(text)]
    equal = [row for name, row in rows if name == object_name]
    row = next(iter(equal or [row for name, row in rows if name in object_name]), None)
    if row is None:
        return None
    percent, scale = _read_numbers(row, slice(1, 3), 2, source)
    return ModelUncertainty(percent, scale, source)


def parse_model_flux(text: str, wavelength: float, source: str = "") -> float | None:
    """
    Find the flux of a standard in a filter.

    Parameters
    ----------
    text
        Content of the model file: six lines of header, then one row per filter with the mean wavelength in the second
        column and the mean flux density in the eleventh.
    wavelength
        Mean wavelength of the filter, micrometres; a row fits if it differs by less than 0.01.
    source
        Name of the file.

    Returns
    -------
    float or None
        Jy, before scaling; None if the model has no such filter.

    Raises
    ------
    ReferenceDataError
        If the row cannot be read, or the flux is not a positive number.
    """
    for line in text.splitlines()[_MODEL_HEADER_LINES:]:
        row = line.split()
        if len(row) <= _MODEL_FLUX_COLUMN:
            continue
        if abs(_read_numbers(row, slice(1, 2), 1, source)[0] - wavelength) < _WAVELENGTH_TOLERANCE:
            flux = _read_numbers(row, slice(_MODEL_FLUX_COLUMN, _MODEL_FLUX_COLUMN + 1), 1, source)[0]
            if not flux > 0:
                raise ReferenceDataError(f"{source} has a bad standard flux value ({flux:g} Jy); replace the file.")
            return flux
    return None


def _rows(text: str) -> Iterator[list[str]]:
    # splitlines, because some published tables end lines with a bare carriage return
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            yield line.split()


def _find_configured_row(text: str, setup: CalibrationSetup) -> list[str] | None:
    for row in _rows(text):
        if len(row) > 1 and row[0].upper() == setup.spectel and row[1] in {".", setup.altcfg1}:
            return row
    return None


def _read_numbers(row: list[str], columns: slice, least: int, source: str) -> list[float]:
    try:
        numbers = [float(word) for word in row[columns]]
    except ValueError as error:
        raise ReferenceDataError(
            f"{source} cannot be read at '{' '.join(row)}' ({error}); replace the file."
        ) from error
    if len(numbers) < least:
        raise ReferenceDataError(f"{source} has too few columns at '{' '.join(row)}'; replace the file.")
    return numbers


def parse_model_photometry(text: str, source: str = "") -> tuple[tuple[float, float], ...]:
    """
    Read the flux of a standard in all filters of its model file.

    Parameters
    ----------
    text
        As for `parse_model_flux`; the fourth column is the pivot wavelength.
    source
        Name of the file.

    Returns
    -------
    tuple of (float, float)
        Pivot wavelength (um) and flux (Jy, before scaling), by rising wavelength. The mean flux density in a filter is
        that of the spectrum at the pivot wavelength, as far as that is a power law there (Koornneef et al. 1986).

    Raises
    ------
    ReferenceDataError
        If a row cannot be read, or there are fewer than two.
    """
    rows = [line.split() for line in text.splitlines()[_MODEL_HEADER_LINES:]]
    found = []
    for row in (row for row in rows if len(row) > _MODEL_FLUX_COLUMN):
        wavelength = _read_numbers(row, slice(_MODEL_PIVOT_COLUMN, _MODEL_PIVOT_COLUMN + 1), 1, source)[0]
        flux = _read_numbers(row, slice(_MODEL_FLUX_COLUMN, _MODEL_FLUX_COLUMN + 1), 1, source)[0]
        if wavelength > 0 and flux > 0:
            found.append((wavelength, flux))
    if len(found) < 2:
        raise ReferenceDataError(f"The model {source or 'of the standard'} has fluxes in {len(found)} filters only.")
    return tuple(sorted(found))
