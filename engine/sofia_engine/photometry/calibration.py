"""Everything the calibration tables say about one observation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from sofia_engine.errors import ReferenceDataError
from sofia_engine.photometry.configuration import CalibrationSetup, reference_requests
from sofia_engine.photometry.tables import (
    CalibrationFactor,
    FilterDefinition,
    ModelUncertainty,
    ResponseFit,
    parse_calibration_factor,
    parse_filter_definition,
    parse_model_flux,
    parse_model_uncertainty,
    parse_response_fit,
)

if TYPE_CHECKING:
    from sofia_engine.reference import ReferenceRequest

__all__ = ["ImagingCalibration", "LocatedFile", "Locator", "StandardModel", "load_calibration"]

_Parsed = TypeVar("_Parsed")


class LocatedFile(Protocol):
    """A reference file on disk, with the name that is written to headers."""

    @property
    def name(self) -> str:
        """Name relative to the calibration data, e.g. ``forcast/response/rfit_am_single_20160127.txt``."""

    @property
    def path(self) -> Path:
        """Where it lies."""


Locator = Callable[["ReferenceRequest"], "LocatedFile | None"]
"""Finds the file for a request; None if there is none for the observation."""


@dataclass(frozen=True)
class StandardModel:
    """
    Flux a standard has according to its model.

    Parameters
    ----------
    flux, error
        Jy, scaled to the observed flux, and standard deviation.
    percent
        The same standard deviation in percent.
    source, error_source
        Names of the model file and of the table of uncertainties.
    """

    flux: float
    error: float
    percent: float
    source: str = ""
    error_source: str = ""


@dataclass(frozen=True)
class ImagingCalibration:
    """
    Calibration of an observation; what the published tables do not have is None.

    Parameters
    ----------
    setup
        What was looked up.
    filter
        Wavelengths and settings of photometry.
    factor
        Calibration factor of the flight series, which is applied.
    average_factor
        Average of all series, for information.
    airmass, altitude, pwv
        Fits of the atmospheric response.
    standard
        Model of the object, if it is a standard with one.
    warnings
        What the user should know about the choice.
    """

    setup: CalibrationSetup
    filter: FilterDefinition | None = None
    factor: CalibrationFactor | None = None
    average_factor: CalibrationFactor | None = None
    airmass: ResponseFit | None = None
    altitude: ResponseFit | None = None
    pwv: ResponseFit | None = None
    standard: StandardModel | None = None
    warnings: tuple[str, ...] = ()


def load_calibration(setup: CalibrationSetup, locate: Locator) -> ImagingCalibration:
    """
    Read the calibration of an observation from the tables.

    Parameters
    ----------
    setup
        From `determine_setup`.
    locate
        Finds the file for a request; it is called with the requests of `reference_requests`.

    Returns
    -------
    ImagingCalibration
        Pieces without a file, or without a row for the filter, are None.

    Raises
    ------
    ReferenceDataError
        If a file cannot be read.
    """
    files = {kind: locate(request) for kind, request in reference_requests(setup).items()}

    def parse_factor(text: str, name: str) -> CalibrationFactor | None:
        return parse_calibration_factor(text, setup, name)

    def parse_response(text: str, name: str) -> ResponseFit | None:
        return parse_response_fit(text, setup.spectel, name)

    definition = _read(files["filter_definition"], lambda text, name: parse_filter_definition(text, setup, name))
    standard, warnings = _load_standard(setup, definition, files)
    return ImagingCalibration(
        setup,
        filter=definition,
        factor=_read(files["flux_calibration"], parse_factor),
        average_factor=_read(files["average_flux_calibration"], parse_factor),
        airmass=_read(files["response_airmass"], parse_response),
        altitude=_read(files["response_altitude"], parse_response),
        pwv=_read(files["response_pwv"], parse_response),
        standard=standard,
        warnings=setup.warnings + warnings,
    )


def _load_standard(
    setup: CalibrationSetup, definition: FilterDefinition | None, files: dict[str, LocatedFile | None]
) -> tuple[StandardModel | None, tuple[str, ...]]:
    model = files["standard_flux"]
    if definition is None or model is None:
        return None, ()
    wavelength = definition.mean_wavelength
    flux = _read(model, lambda text, name: parse_model_flux(text, wavelength, name))
    if flux is None:
        return None, (f"The model {model.name} has no flux at {wavelength:g} um.",)
    uncertainty = _read(
        files["standard_flux_error"], lambda text, name: parse_model_uncertainty(text, setup.object_name, name)
    )
    if uncertainty is None:
        warning = f"The uncertainty of the model of {setup.object_name} is not known; it is taken as zero."
        return StandardModel(flux, 0.0, 0.0, model.name), (warning,)
    return _combine(flux, uncertainty, model.name), ()


def _combine(flux: float, uncertainty: ModelUncertainty, source: str) -> StandardModel:
    scaled = flux * uncertainty.scale
    error = scaled * uncertainty.percent / 100.0
    return StandardModel(scaled, error, uncertainty.percent, source, uncertainty.source)


def _read(file: LocatedFile | None, parse: Callable[[str, str], _Parsed]) -> _Parsed | None:
    if file is None:
        return None
    try:
        text = file.path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ReferenceDataError(f"The calibration file {file.path} cannot be read ({error}); replace it.") from error
    return parse(text, file.name)
