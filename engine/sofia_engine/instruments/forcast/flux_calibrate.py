"""Calibrate Flux: division by the transmission of the atmosphere and by the response of the instrument."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from astropy.io import fits

from sofia_engine.errors import HeaderError, ReferenceDataError, StepError
from sofia_engine.header.cards import Card
from sofia_engine.instruments.forcast.atmosphere_fit import AtmosphereFit, fit_atmosphere
from sofia_engine.instruments.forcast.grism_files import (
    ResponseCurve,
    read_response,
    request_grism_file,
    require_resolution,
    want_atmosphere,
    want_water_vapour_series,
)
from sofia_engine.instruments.forcast.grism_frame import (
    accompany_spectrum,
    has_pixel_wavelengths,
    make_spectral_plane,
    require_planes,
)
from sofia_engine.instruments.forcast.grism_grid import find_grid, want_grid
from sofia_engine.numerics.arrays import FloatArray
from sofia_engine.pipeline.parameters import SavedOutput, parameter
from sofia_engine.pipeline.run import Run, Wanted
from sofia_engine.pipeline.step import step
from sofia_engine.product import Product
from sofia_engine.spectroscopy.calibration import (
    Response,
    Sampling,
    calibrate,
    estimate_sampling,
    find_calibration_error,
    interpolate_response,
)
from sofia_engine.spectroscopy.velocity import compute_velocity_shifts, read_pointing
from sofia_engine.spectroscopy.wavelength_shift import shift_rows

__all__ = ["CalibrationParameters", "flux_calibrate"]

LARGEST_BIAS_DIFFERENCE = 0.1
UNKNOWN = -9999.0

_DONE = {"skip": False}
_CHOSEN = {"skip": False, "file": False}
"""With which a model of the atmosphere is looked for."""
_OPTIMIZED = {"skip": False, "file": False, "optimize": True}
_SHIFTED = {"skip": False, "auto_shift": True, "shift": 0.0}


class CalibrationParameters(SavedOutput):
    """Parameters of Calibrate Flux."""

    save_1d: bool = parameter(
        False,
        label="Save calibrated 1D spectra",
        group="General",
        help="Also write the spectrum as rows of one array (wavelength, flux, error, transmission, response), code "
        "CAL.",
        applies_when=_DONE,
    )
    skip: bool = parameter(
        False,
        key="skip_cal",
        label="Skip flux calibration",
        group="General",
        help="Pass the data on uncalibrated.",
    )
    making_response: bool = parameter(
        False,
        label="Making response file",
        group="General",
        level="hidden",
        help="A response is to be made of a standard star: go on without one if none is published.",
    )
    response_file: str = parameter(
        "",
        key="respfile",
        label="Response file",
        group="General",
        pick="file",
        help="FITS file with rows wavelength (um), response (Me/s/Jy), error; empty for that of the date.",
        applies_when=_DONE,
    )
    resolution: float | None = parameter(
        None,
        label="Spectral resolution (l/dl)",
        group="General",
        ge=0,
        le=1e6,
        help="Resolving power to which the atmosphere is smoothed; empty takes that of grism and slit.",
        applies_when=_DONE,
    )
    optimize: bool = parameter(
        True,
        key="optimize_atran",
        label="Optimize ATRAN correction",
        group="Telluric Correction",
        help="Choose among models of the atmosphere with different water vapour the one that leaves the smoothest "
        "spectrum; needs a folder of such models.",
        applies_when=_CHOSEN,
    )
    folder: str = parameter(
        "$DPS_SHARE/calibrations/ATRAN/fits",
        key="atrandir",
        label="ATRAN directory",
        group="Telluric Correction",
        pick="directory",
        help="Folder with models of the atmosphere; environment variables are replaced; if it does not exist the "
        "published model is taken.",
        applies_when=_CHOSEN,
    )
    file: str = parameter(
        "",
        key="atranfile",
        label="ATRAN file",
        group="Telluric Correction",
        pick="file",
        help="Model of the atmosphere to use; empty chooses the nearest in altitude and zenith angle.",
        applies_when=_DONE,
    )
    use_pwv: bool = parameter(
        False,
        key="use_wv",
        label="Use WV values",
        group="Telluric Correction",
        help="Choose the model by the measured water vapour (WVZ_OBS) too.",
        applies_when=_CHOSEN,
    )
    least_signal_to_noise: float = parameter(
        10.0,
        key="sn_threshold",
        label="S/N threshold for optimization",
        group="Telluric Correction",
        ge=0,
        le=1e6,
        help="Spectra with a lower median signal-to-noise ratio are not used to choose the model or to find a shift.",
        applies_when=(_OPTIMIZED, _SHIFTED),
    )
    auto_shift: bool = parameter(
        True,
        label="Auto-shift wavelength to telluric spectrum",
        group="Wavelength Shift",
        help="Find the shift of the spectrum against the absorption of the atmosphere, and take it back.",
        applies_when={"skip": False, "shift": 0.0},
    )
    shift_limit: float = parameter(
        2.0,
        key="auto_shift_limit",
        label="Maximum auto wavelength shift to apply (pix)",
        group="Wavelength Shift",
        unit="pix",
        gt=0,
        le=100,
        help="Shifts are looked for up to this size.",
        applies_when=_SHIFTED,
    )
    shift: float = parameter(
        0.0,
        key="waveshift",
        label="Wavelength shift to apply (pix)",
        group="Wavelength Shift",
        unit="pix",
        ge=-100,
        le=100,
        help="Shift to apply instead of one that is looked for; positive moves features to longer wavelengths.",
        applies_when=_DONE,
    )
    model_order: int = parameter(
        1,
        label="Polynomial order for continuum",
        group="Wavelength Shift",
        ge=0,
        le=10,
        help="Degree of the continuum that is fitted when shifts and models are compared.",
        applies_when=(_OPTIMIZED, _SHIFTED),
    )


def _want_files(header: fits.Header, p: CalibrationParameters) -> Mapping[str, Wanted]:
    if p.skip:
        return {}
    wanted = dict(want_atmosphere(header, p.file, p.folder, use_pwv=p.use_pwv))
    wanted["response"] = Wanted(request_grism_file(header, "response", "response file"), p.response_file)
    if p.optimize and not p.file.strip():
        wanted.update(want_water_vapour_series(header, p.folder))
    wanted.update(want_grid(header))
    return wanted


@step(
    "flux_calibrate",
    label="Calibrate Flux",
    code="CRM",
    product_type="calibrated_spectrum",
    level="LEVEL_3",
    saved=True,
    references=_want_files,
)
def flux_calibrate(image: Product, p: CalibrationParameters, run: Run) -> Product:
    """Divide image and spectrum by the transmission of the atmosphere and the response of the instrument.

    A shift in wavelength against the atmosphere is taken back first, and the water vapour that fits best is chosen
    where models of different water vapour are at hand.
    """
    if p.skip:
        run.log("The data are passed on uncalibrated.")
        return image
    require_planes(image, "WAVEPOS", "SPECTRAL_FLUX", "SPECTRAL_ERROR")
    if has_pixel_wavelengths(image):
        raise StepError(
            f"{image.name}: wavelengths are pixel numbers, so it cannot be calibrated; switch make_profiles.simwavecal "
            "off, or set flux_calibrate.skip_cal."
        )
    curve = _read_response(image, p, run)
    response = _interpolate(curve, image["WAVEPOS"])
    resolution = require_resolution(p.resolution, image.header)
    fit = fit_atmosphere(image, response, p, resolution, run)
    product = _calibrate(image, response, fit, run, has_response=curve is not None)
    cards = _list_cards(image, curve, response, fit, resolution, run)
    if curve is None:  # not yet in Jy: the level stays
        run.produce(level="")
    product = product.with_cards(*cards)
    if p.save_1d:
        run.accompany(accompany_spectrum(product, "CAL", "calibrated_spectrum_1d", "LEVEL_3" if curve else ""))
    return product


def _read_response(image: Product, p: CalibrationParameters, run: Run) -> ResponseCurve | None:
    try:
        used = run.find_reference("response")
        curve = None if used is None else read_response(used)
    except ReferenceDataError as error:
        if not p.making_response:
            raise
        run.warn(f"{error} The response is taken to be 1.")
        return None
    if curve is None:
        if not p.making_response:
            raise ReferenceDataError(
                f"{image.name}: Missing response file; cannot calibrate spectra. Give flux_calibrate.respfile, or set "
                "flux_calibrate.skip_cal."
            )
        run.warn("There is no response file for this observation; the response is taken to be 1.")
        return None
    _compare_bias(image.header, curve, run)
    return curve


def _compare_bias(header: fits.Header, curve: ResponseCurve, run: Run) -> None:
    bias = header.get("DETBIAS")
    if isinstance(bias, int | float) and curve.bias is not None and abs(bias - curve.bias) > LARGEST_BIAS_DIFFERENCE:
        run.warn(
            f"The response was measured with DETBIAS = {curve.bias:g}, but the observation has {bias:g}; "
            "the calibration may be wrong."
        )


def _interpolate(curve: ResponseCurve | None, wavelength: FloatArray) -> Response:
    if curve is None:
        return Response.unity(wavelength.size)
    return interpolate_response(curve.wavelength, curve.values, curve.error, wavelength)


@dataclass(frozen=True)
class _Units:
    image: str
    spectrum: str
    response: str


def _find_units(raw: str, *, has_response: bool) -> _Units:
    return _Units("Jy/pixel", "Jy", f"{raw}/Jy") if has_response else _Units(raw, raw, "")


def _calibrate(image: Product, response: Response, fit: AtmosphereFit, run: Run, *, has_response: bool) -> Product:
    units = _find_units(image.plane("SPECTRAL_FLUX").unit, has_response=has_response)
    names = ("FLUX", "ERROR", "SPECTRAL_FLUX", "SPECTRAL_ERROR")
    moved = {name: shift_rows(image[name], fit.shift) if fit.shift else image[name] for name in names}
    pixels, columns = _find_sampling(image, response, fit, run)
    flux, error = calibrate(moved["FLUX"], moved["ERROR"], fit.transmission, response, pixels)
    spectrum, noise = calibrate(moved["SPECTRAL_FLUX"], moved["SPECTRAL_ERROR"], fit.transmission, response, columns)
    if not np.isfinite(spectrum).any():
        raise StepError(
            f"{image.name}: no wavelength has flux, transmission and response; check the response file and the "
            "wavelength calibration."
        )
    header = image.header
    return image.replace(
        units={"FLUX": units.image, "ERROR": units.image},
        FLUX=flux,
        ERROR=error,
        SPECTRAL_FLUX=make_spectral_plane(spectrum, units.spectrum, header),
        SPECTRAL_ERROR=make_spectral_plane(noise, units.spectrum, header),
        TRANSMISSION=make_spectral_plane(fit.transmission, "", header),
        RESPONSE=make_spectral_plane(response.values, units.response, header),
        RESPONSE_ERROR=make_spectral_plane(response.error, units.response, header),
    )


def _find_sampling(
    image: Product, response: Response, fit: AtmosphereFit, run: Run
) -> tuple[Sampling | None, Sampling | None]:
    """Change of pixels (ns, nw) and of the spectrum (nw) by the blur of columns, see `estimate_sampling`.

    The blur of a column of the spectrum is that of its pixels, weighted with the square of the profile as extraction
    does. It is measured before a shift, so it is moved with the spectrum.
    """
    grid = find_grid(image, run)
    if grid is None or "SPATIAL_MAP" not in image or "APERTURE_MASK" not in image:
        return None, None
    weight = np.where(np.nan_to_num(image["APERTURE_MASK"]) > 0, np.nan_to_num(image["SPATIAL_MAP"]) ** 2, 0.0)
    total = weight.sum(axis=0)
    blur = (weight * grid.column_blur).sum(axis=0) / np.where(total > 0, total, np.inf)
    through = fit.transmission * response.values
    pixels, columns = (
        estimate_sampling(through, shift_rows(part, fit.shift) if fit.shift else part)
        for part in (grid.column_blur, blur)
    )
    run.history(f"Calibrate: flux changed by up to {np.abs(columns.change).max():.2%} for the blur of columns")
    return pixels, columns


def _list_cards(
    image: Product,
    curve: ResponseCurve | None,
    response: Response,
    fit: AtmosphereFit,
    resolution: float,
    run: Run,
) -> list[Card]:
    used = None if curve is None else run.find_reference("response")
    error = find_calibration_error(response, None if curve is None else curve.systematic)
    if curve is not None and curve.systematic is None:
        run.debug("The response file gives no systematic error (SYSERR); CALERR is not known.")
    cards: list[Card] = [
        *fit.cards,
        ("CALERR", UNKNOWN if error is None else error, "Fractional flux calibration error"),
        ("WAVSHIFT", fit.shift, "Wavelength shift (pix)"),
        ("RSPNFILE", "UNKNOWN" if used is None else used.name, "Response file"),
        ("RP", resolution, "Resolving power"),
        ("RAWUNITS", image.plane("SPECTRAL_FLUX").unit, "Data units before calibration"),
    ]
    try:
        shifts = compute_velocity_shifts(read_pointing(image.header))
    except HeaderError as problem:
        run.warn(str(problem))
        return cards
    return [
        *cards,
        ("BARYSHFT", shifts.barycentric, "Barycentric motion dl/l shift (unapplied)"),
        ("LSRSHFT", shifts.local_standard, "Additional dl/l shift to LSR (unapplied)"),
    ]
