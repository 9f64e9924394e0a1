"""Flux Calibrate: from instrumental units to Jy per pixel."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from astropy.io import fits

from sofia_engine.errors import ParameterError
from sofia_engine.instruments.forcast.frame import is_flux_standard
from sofia_engine.instruments.forcast.standards import StandardPhotometry, compatible_photometry, measure_standard
from sofia_engine.instruments.imaging_calibration import load_tables, want_tables
from sofia_engine.photometry.calibration import ImagingCalibration
from sofia_engine.photometry.flux_calibration import beam_keywords, calibration_keywords, compare_with_model
from sofia_engine.pipeline.cutout import Cutout
from sofia_engine.pipeline.parameters import SavedOutput, parameter
from sofia_engine.pipeline.run import Run, Wanted
from sofia_engine.pipeline.step import step
from sofia_engine.product import Product

__all__ = ["FluxCalibrationParameters", "fluxcal"]


class FluxCalibrationParameters(SavedOutput, StandardPhotometry):
    """Parameters of Flux Calibrate."""

    compatible: bool = compatible_photometry({"rerun_photometry": True})
    rerun_photometry: bool = parameter(
        False,
        key="rerun_phot",
        label="Re-run photometry for standards",
        help="Measure a flux standard again before it is calibrated, with the settings below.",
    )
    position: str = parameter(
        "",
        key="srcpos",
        label="Source position (x,y in pix)",
        help="Where to look for the standard, as x,y in pixels from 0; empty searches for it.",
        applies_when={"rerun_photometry": True},
    )
    fit_size: int | None = parameter(
        None,
        key="fitsize",
        label="Photometry fit size (pix)",
        unit="pix",
        ge=10,
        le=1000,
        help="Side of the square in which a profile is fitted; empty takes the one of the filter (138).",
        applies_when={"rerun_photometry": True},
    )
    fwhm: float | None = parameter(
        None,
        label="Initial FWHM (pix)",
        unit="pix",
        gt=0,
        le=100,
        help="Expected full width at half maximum; empty takes the one of the filter (5.0).",
        applies_when={"rerun_photometry": True},
    )
    profile: Literal["Moffat", "Gaussian"] = parameter(
        "Moffat",
        label="Profile type",
        help="Profile that is fitted to the standard.",
        applies_when={"rerun_photometry": True},
    )


def parse_position(text: str) -> tuple[float, float] | None:
    """Read a position given as ``x,y``; None if it is empty.

    Raises
    ------
    ParameterError
        If it is not two numbers.
    """
    if not text.strip():
        return None
    try:
        x, y = (float(word) for word in text.split(","))
    except ValueError:
        raise ParameterError(f"fluxcal.srcpos = {text!r} must be two numbers x,y in pixels, or empty.") from None
    return x, y


def _want_tables(header: fits.Header, _p: FluxCalibrationParameters) -> Mapping[str, Wanted]:
    return want_tables(header)


def _refuse_part(header: fits.Header, p: FluxCalibrationParameters) -> str:
    again = p.rerun_photometry and is_flux_standard(header)
    return "it measures the flux standard in the whole image" if again else ""


@step(
    "fluxcal",
    label="Flux Calibrate",
    code="CAL",
    product_type="calibrated",
    level="LEVEL_3",
    saved=True,
    references=_want_tables,
    cutout=Cutout(refuse=_refuse_part),
)
def fluxcal(image: Product, p: FluxCalibrationParameters, run: Run) -> Product:
    """Divide the flux by the calibration factor of the filter, so that it is in Jy per pixel.

    The factor is the mean of many standards of the same flight series. Without a factor, or if the image is not in
    Me/s, it is passed on as it is.
    """
    unit = image.plane("FLUX").unit
    if unit and not unit.lower().startswith("me/s"):
        run.warn(f"{image.name} is in {unit}, not in Me/s; it is not calibrated.")
        return image
    calibration = load_tables(image.header, run)
    if calibration.factor is None:
        setup = calibration.setup
        run.warn(
            f"No reference flux calibration available for SPECTEL={setup.spectel}, ALTCFG1={setup.altcfg1}, "
            f"DATE={setup.date}. Data is not calibrated."
        )
        return image
    if p.rerun_photometry and is_flux_standard(image.header):
        image = _measure_again(image, calibration, p, run)
    factor, uncertainty = calibration.factor.value, calibration.factor.error
    run.log(f"Calibration factor {factor:.6g} +/- {uncertainty:.2g} Me/s/Jy")
    run.history(
        f"Flux calibration factor {factor:.6g} +/- {uncertainty:.6g} Me/s/Jy from {calibration.factor.source}",
        f"Units changed from {unit or 'Me/s'} to Jy/pixel",
    )
    _compare_with_model(image.header, calibration, run)
    planes = {name: np.divide(image[name], factor) for name in ("FLUX", "ERROR")}
    pixel_scale = float(image.header.get("CDELT1", 0.0))
    calibrated = image.replace(units={"FLUX": "Jy/pixel", "ERROR": "Jy/pixel"}, **planes)
    return calibrated.with_cards(*calibration_keywords(calibration), *beam_keywords(calibration, pixel_scale))


def _measure_again(image: Product, calibration: ImagingCalibration, p: FluxCalibrationParameters, run: Run) -> Product:
    settings = {"fit_size": p.fit_size, "fwhm": p.fwhm, "position": parse_position(p.position)}
    given = {name: value for name, value in settings.items() if value is not None}
    return measure_standard(image, calibration, p, run, profile=p.profile.lower(), allow_bad_fit=False, **given)


def _compare_with_model(header: fits.Header, calibration: ImagingCalibration, run: Run) -> None:
    """Log how the calibrated flux of a standard compares with its model."""
    measured, model = header.get("STAPFLX"), calibration.standard
    if calibration.factor is None or model is None or not isinstance(measured, int | float):
        return
    flux = float(measured) / calibration.factor.value
    percent = compare_with_model(flux, model.flux)
    run.quality["standard_deviation_percent"] = percent
    run.log(
        f"After calibration: source flux {flux:.4g} Jy, model flux {model.flux:.4g} Jy, "
        f"difference {percent:+.2f} percent"
    )
