"""Telluric Correct: bring images to the reference zenith angle and altitude."""

from collections.abc import Mapping

import numpy as np
from astropy.io import fits

from sofia_engine.instruments.forcast.frame import is_flux_standard
from sofia_engine.instruments.forcast.standards import StandardPhotometry, measure_standard
from sofia_engine.instruments.imaging_calibration import load_tables, want_tables
from sofia_engine.photometry.telluric import correct_telluric
from sofia_engine.pipeline.cutout import Cutout
from sofia_engine.pipeline.parameters import SavedOutput, parameter
from sofia_engine.pipeline.run import Run, Wanted
from sofia_engine.pipeline.step import step
from sofia_engine.product import Product

__all__ = ["TelluricParameters", "tellcor"]


class TelluricParameters(SavedOutput, StandardPhotometry):
    """Parameters of Telluric Correct."""

    use_pwv: bool = parameter(
        False,
        key="use_wv",
        label="Use WV values",
        help="Correct with the measured water vapour (WVZ_OBS) rather than with the altitude.",
    )


def _want_tables(header: fits.Header, _p: TelluricParameters) -> Mapping[str, Wanted]:
    return want_tables(header)


def _refuse_part(header: fits.Header, _p: TelluricParameters) -> str:
    return "it measures the flux standard in the whole image" if is_flux_standard(header) else ""


@step(
    "tellcor",
    label="Telluric Correct",
    code="TEL",
    product_type="telluric_corrected",
    level="LEVEL_2",
    saved=True,
    references=_want_tables,
    cutout=Cutout(refuse=_refuse_part),
)
def tellcor(image: Product, p: TelluricParameters, run: Run) -> Product:
    """Correct the flux for the absorption of the atmosphere, relative to a reference zenith angle and altitude.

    The response of the filter is a polynomial in airmass times one in altitude (or water vapour). Flux standards are
    measured afterwards.
    """
    calibration = load_tables(image.header, run)
    correction = correct_telluric(image.header, calibration, use_pwv=p.use_pwv)
    for warning in correction.warnings:
        run.warn(warning)
    run.log(f"Telluric correction factor {correction.factor:.6f}")
    run.history(*correction.history)
    corrected = image.replace(
        FLUX=np.multiply(image["FLUX"], correction.factor), ERROR=np.multiply(image["ERROR"], correction.factor)
    ).with_cards(*correction.keywords)
    return measure_standard(corrected, calibration, p, run) if is_flux_standard(image.header) else corrected
