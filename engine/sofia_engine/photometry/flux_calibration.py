"""
Calibration factors: those applied to data, and those a measured standard gives.

Calibrated flux densities refer to a source with constant nu F_nu at the mean wavelength of the filter; a standard with
model flux F and measured flux N (corrected to the reference atmosphere) gives the factor
``C = N lambda_pivot**2 / (K F lambda_mean**2)`` with the colour correction K of the filter, [1]_ and [2]_.

References
----------
.. [1] Herter, T. L., et al. 2013, PASP, 125, 1393.
.. [2] Tokunaga, A. T., & Vacca, W. D. 2005, PASP, 117, 421.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sofia_engine.photometry.tables import CalibrationFactor

if TYPE_CHECKING:
    from sofia_engine.photometry.calibration import ImagingCalibration
    from sofia_engine.photometry.keywords import Card
    from sofia_engine.photometry.profile import Measured

__all__ = [
    "DEFAULT_FWHM",
    "beam_keywords",
    "calibration_keywords",
    "compare_with_model",
    "derive_factor",
    "reference_keywords",
]

DEFAULT_FWHM = 5.0
"""Width of a point source, pixels, where the filter is not in the tables."""


def derive_factor(flux: Measured, calibration: ImagingCalibration) -> CalibrationFactor | None:
    """
    Derive the calibration factor from the flux of a standard.

    Parameters
    ----------
    flux
        Measured flux in raw units, corrected to the reference atmosphere, and its standard deviation.
    calibration
        Filter, and model of the standard.

    Returns
    -------
    CalibrationFactor or None
        Raw unit per Jy, with the errors of measurement and model; None without filter or model, or if a flux or an
        error is not known or not positive.
    """
    standard, definition = calibration.standard, calibration.filter
    if standard is None or definition is None:
        return None
    if not all(value > 0 for value in (flux.value, flux.error, standard.flux, standard.percent)):
        return None
    color = definition.color_correction * (definition.mean_wavelength / definition.pivot_wavelength) ** 2
    factor = flux.value / (standard.flux * color)
    return CalibrationFactor(factor, factor * math.hypot(flux.error / flux.value, standard.percent / 100.0))


def compare_with_model(flux: float, model: float) -> float:
    """Return by how many percent a flux exceeds the one of the model, both in Jy."""
    return 100.0 * (flux - model) / model


def calibration_keywords(calibration: ImagingCalibration) -> tuple[Card, ...]:
    """
    Describe the calibration of an image in header cards.

    Parameters
    ----------
    calibration
        With the factor the data were divided by.

    Returns
    -------
    tuple of Card
        The unit; factor and its error (which is not part of the ERROR plane); wavelengths; reference atmosphere.
        What the tables do not have is left out.
    """
    cards: list[Card] = [("BUNIT", "Jy/pixel", "Data units")]
    if calibration.factor is not None:
        unit = f"{calibration.setup.raw_unit}/Jy"
        cards += [
            ("CALFCTR", calibration.factor.value, f"Calibration factor ({unit})"),
            ("ERRCALF", calibration.factor.error, f"Calibration factor uncertainty ({unit})"),
            ("REFCALF3", calibration.factor.source, "Calibration reference file"),
        ]
    return (*cards, *reference_keywords(calibration))


def reference_keywords(calibration: ImagingCalibration) -> tuple[Card, ...]:
    """Describe wavelengths of the filter and reference atmosphere, as far as the tables have them."""
    cards: list[Card] = []
    if calibration.filter is not None:
        cards += [
            ("LAMREF", calibration.filter.mean_wavelength, "Reference wavelength (microns)"),
            ("LAMPIVOT", calibration.filter.pivot_wavelength, "Pivot wavelength (microns)"),
            ("COLRCORR", calibration.filter.color_correction, "Color correction factor"),
        ]
    if calibration.airmass is not None:
        cards.append(("REFCALZA", calibration.airmass.za_reference, "Reference calibration zenith angle"))
    if calibration.altitude is not None:
        cards.append(("REFCALAW", calibration.altitude.reference, "Reference calibration altitude"))
    if calibration.pwv is not None:
        cards.append(("REFCALWV", calibration.pwv.reference, "Reference calibration PWV"))
    return tuple(cards)


def beam_keywords(calibration: ImagingCalibration, pixel_scale: float) -> tuple[Card, ...]:
    """
    Describe the nominal beam in header cards.

    Parameters
    ----------
    calibration
        Its filter gives the width of a point source.
    pixel_scale
        Degrees per pixel, of any sign, as in CDELT1.
    """
    fwhm = calibration.filter.fwhm if calibration.filter is not None else DEFAULT_FWHM
    size = fwhm * abs(pixel_scale)
    return (
        ("BMAJ", size, "Beam major axis (deg)"),
        ("BMIN", size, "Beam minor axis (deg)"),
        ("BPA", 0.0, "Beam angle (deg)"),
    )
