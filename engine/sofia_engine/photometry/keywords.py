"""Header keywords that tell how a flux standard was measured."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from sofia_engine.photometry.flux_calibration import derive_factor, reference_keywords
from sofia_engine.photometry.profile import Measured, ProfileFit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sofia_engine.photometry.calibration import ImagingCalibration
    from sofia_engine.photometry.measurement import Photometry

__all__ = ["Card", "photometry_keywords"]

Card = tuple[str, Any, str]
"""Keyword, value, comment."""


def photometry_keywords(photometry: Photometry, calibration: ImagingCalibration) -> tuple[Card, ...]:
    """
    Describe the photometry of a standard in header cards.

    Parameters
    ----------
    photometry
        The measurement.
    calibration
        Model of the standard, filter and average factor.

    Returns
    -------
    tuple of Card
        Values that are not known are 0, with 0 for their error. If the parameters of the photometry ask for
        compatibility, it is as in products of the observatory's pipeline: STFWHMX and STFWHMY exchanged, STAPSKY
        smaller by the ratio of the areas of aperture and ring, the flux of a Gaussian or Lorentzian pi times peak and
        widths, and the errors of widths and profile flux without the covariances of the fitted parameters.
    """
    unit = calibration.setup.raw_unit
    cards = [*_describe_settings(photometry), *_describe_source(photometry, unit)]
    cards += _describe_model(calibration)
    return tuple(cards + _describe_factor(photometry, calibration))


def _describe_settings(photometry: Photometry) -> list[Card]:
    settings = photometry.parameters
    return [
        ("PHOTPROF", settings.profile.upper(), "Profile fit type for photometry"),
        ("PHOTIMSZ", photometry.image_size, "Sub-image size for photometry"),
        ("PHOTAPER", settings.aperture_radius, "Aperture radius for photometry"),
        ("PHOTSKAP", f"{settings.sky_radii[0]}, {settings.sky_radii[1]}", "Sky aperture radii for photometry (pix)"),
        ("SRCPOSX", photometry.start.x, "Initial source position for photometry (x)"),
        ("SRCPOSY", photometry.start.y, "Initial source position for photometry (y)"),
    ]


def _describe_source(photometry: Photometry, unit: str) -> Iterator[Card]:
    fit, aperture = photometry.fit, photometry.aperture
    width_x, width_y, flux, sky = fit.fwhm_x, fit.fwhm_y, fit.flux, aperture.sky
    if photometry.parameters.compatible:
        width_x, width_y = _drop_covariances(fit, width_y, "y"), _drop_covariances(fit, width_x, "x")
        flux, sky = _scale_flux(photometry), _scale_sky(photometry)
    rows = (
        ("STCENTX", fit.x, "Source centroid x-value (pix)"),
        ("STCENTY", fit.y, "Source centroid y-value (pix)"),
        ("STPEAK", fit.peak, f"Source fit peak value ({unit})"),
        ("STBKG", fit.background, f"Source fit background level ({unit})"),
        ("STFWHMX", width_x, "Source fit FWHM in x-direction (pix)"),
        ("STFWHMY", width_y, "Source fit FWHM in y-direction (pix)"),
        ("STANGLE", fit.angle, "Source fit position angle (deg)"),
        ("STPWLAW", fit.power_law, "Source fit power law index"),
        ("STPRFLX", flux, f"Source flux from profile ({unit})"),
        ("STAPFLX", aperture.flux, f"Source flux from aper phot ({unit})"),
        ("STAPSKY", sky, f"Sky flux from photometry ({unit}/pix)"),
    )
    for keyword, measured, comment in rows:
        yield keyword, _known(measured.value), comment
        yield f"{keyword}E", _known(measured.error), f"Error in {comment}"
    yield "STAPSSTD", _known(aperture.sky_deviation), f"Sky flux std dev ({unit}/pix)"


def _drop_covariances(fit: ProfileFit, width: Measured, axis: Literal["x", "y"]) -> Measured:
    """Give a width the error it had if the fitted parameters were independent."""
    return Measured(width.value, fit.propagate(fit.fwhm_gradient(axis), independent=True))


def _scale_flux(photometry: Photometry) -> Measured:
    """Flux of the profile with the factor pi for every profile but the Moffat function, parameters independent."""
    fit = photometry.fit
    flux = fit.flux.value
    if fit.profile != "moffat":
        _, peak, _, _, a, b, _, _ = (float(p) for p in fit.parameters)
        flux = math.pi * peak * a * b
    return Measured(flux, fit.propagate(fit.flux_gradient(flux), independent=True))


def _scale_sky(photometry: Photometry) -> Measured:
    """Sky per pixel times the ratio of the areas of aperture and ring."""
    inner, outer = photometry.parameters.sky_radii
    ring = outer**2 - inner**2
    ratio = photometry.parameters.aperture_radius**2 / ring if ring > 0 else math.nan
    sky = photometry.aperture.sky
    return Measured(sky.value * ratio, sky.error * ratio)


def _describe_model(calibration: ImagingCalibration) -> list[Card]:
    cards: list[Card] = []
    standard, definition, average = calibration.standard, calibration.filter, calibration.average_factor
    if definition is not None:
        cards.append(("REFSTD1", definition.source, "Standard reference file"))
    if standard is not None:
        cards += [
            ("MODLFLX", standard.flux, "Model flux (Jy)"),
            ("MODLFLXE", standard.error, "Model flux error (Jy)"),
            ("REFSTD2", standard.source, "Standard reference file"),
            ("REFSTD3", standard.error_source, "Standard reference file"),
        ]
    cards += reference_keywords(calibration)
    if average is not None:
        cards += [
            ("AVGCALFC", average.value, "Average calibration factor"),
            ("AVGCALER", average.error, "Average cal factor error"),
            ("AVCLFILE", average.source, "Average calibration reference file"),
        ]
    return [*cards, ("RUNITS", calibration.setup.raw_unit, "Raw data units (before calibration)")]


def _describe_factor(photometry: Photometry, calibration: ImagingCalibration) -> list[Card]:
    """Calibration factor from this standard, if model and measurement are positive."""
    factor = derive_factor(photometry.flux, calibration)
    if factor is None:
        return []
    return [
        ("REFCALFC", factor.value, "Reference calibration factor"),
        ("REFCALER", factor.error, "Reference calibration factor error"),
    ]


def _known(value: float) -> float:
    return value if math.isfinite(value) else 0.0
