"""Photometry of flux standards inside other steps."""

from collections.abc import Sequence
from typing import Any

from sofia_engine.errors import SofiaDeskError
from sofia_engine.photometry.calibration import ImagingCalibration
from sofia_engine.photometry.measurement import Photometry, PhotometryParameters, measure_source
from sofia_engine.pipeline.parameters import Condition, Parameters, parameter
from sofia_engine.pipeline.run import Run
from sofia_engine.product import Product

__all__ = ["StandardPhotometry", "compatible_photometry", "measure_standard"]


def compatible_photometry(applies_when: Condition | Sequence[Condition] = ()) -> Any:
    """Return the parameter that asks for the photometry of earlier reductions."""
    return parameter(
        False,
        key="phot_compat",
        label="Compatible photometry",
        level="expert",
        help="Write the photometry of standards as earlier reductions did: the two widths exchanged, and the sky per "
        "pixel with the areas of aperture and ring mixed up.",
        applies_when=applies_when,
    )


class StandardPhotometry(Parameters):
    """Mix-in of the steps that measure flux standards."""

    compatible: bool = compatible_photometry()


def measure_standard(
    image: Product, calibration: ImagingCalibration, p: StandardPhotometry, run: Run, **settings: Any
) -> Product:
    """Measure the source of a flux standard and write the result to the header.

    A failed fit of the profile is tolerated; if the source cannot be measured at all, the image is returned as it is,
    with a warning.

    Parameters
    ----------
    image : Product
        With FLUX and ERROR.
    calibration : ImagingCalibration
        Sizes for the filter, and the model of the standard.
    p : StandardPhotometry
        Parameters of the step.
    run : Run
        Gets messages and quality numbers.
    **settings
        Other values of `sofia_engine.photometry.measurement.PhotometryParameters`.
    """
    from sofia_engine.photometry.keywords import photometry_keywords

    chosen = {"allow_bad_fit": True, "compatible": p.compatible} | settings
    definition = calibration.filter
    parameters = (
        PhotometryParameters.from_filter(definition, **chosen) if definition else PhotometryParameters(**chosen)
    )
    try:
        measured = measure_source(image["FLUX"], image["ERROR"], parameters, image.header)
    except SofiaDeskError as error:
        run.warn(f"The flux standard could not be measured: {error}")
        return image
    for warning in measured.warnings:
        run.warn(warning)
    _tell(measured, calibration, image.plane("FLUX").unit, run)
    return image.with_cards(*photometry_keywords(measured, calibration))


def _tell(measured: Photometry, calibration: ImagingCalibration, unit: str, run: Run) -> None:
    """Log the flux and, once calibrated, how it compares with the model; keep it as a number of quality."""
    flux, fwhm = measured.flux, measured.fit
    run.quality["standard_flux"] = flux.value
    run.quality["fwhm"] = (fwhm.fwhm_x.value + fwhm.fwhm_y.value) / 2
    run.log(f"Source flux {flux.value:.4g} +/- {flux.error:.2g} {unit}")
    model = calibration.standard
    if model is None:
        run.warn("No model flux available for this standard.")
    elif "Jy" in unit:
        percent = 100 * (flux.value - model.flux) / model.flux
        run.log(f"Model flux {model.flux:.4g} Jy; the measured flux differs by {percent:+.2f} percent")
