"""Combine Spectra: one spectrum and one image of all files; of slit scans a spectral cube."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from astropy.io import fits

from sofia_engine.errors import HeaderError
from sofia_engine.instruments.forcast.grism_frame import accompany_spectrum, make_spectral_plane, require_planes
from sofia_engine.instruments.forcast.rejection import (
    find_combination,
    merge_product_headers,
    rejection_rounds,
    rejection_threshold,
    require_values,
    robust_switch,
)
from sofia_engine.instruments.forcast.slit_spectra import (
    Registration,
    combine_plane_curves,
    find_response_share,
    place_slits,
    read_exposure_time,
)
from sofia_engine.instruments.forcast.spectral_cube import make_cube
from sofia_engine.numerics.arrays import FloatArray
from sofia_engine.numerics.coadd import CombinationRule, combine_stack
from sofia_engine.pipeline.parameters import SavedOutput, parameter
from sofia_engine.pipeline.run import Run
from sofia_engine.pipeline.step import step
from sofia_engine.product import Plane, Product
from sofia_engine.spectroscopy.calibration import add_response_error, separate_response_error
from sofia_engine.spectroscopy.combination import combine_spectra as combine_flux
from sofia_engine.spectroscopy.combination import require_same_wavelengths, separate_apertures
from sofia_engine.spectroscopy.slit_images import SlitFrame, plan_slit_frame, shift_along_slit

__all__ = ["CombinationParameters", "combine_spectra"]

_STATISTICS = {"method": ("mean", "median")}
_REJECTING = {"method": ("mean", "median"), "robust": True}
_CUBE = {"method": "spectral cube"}


class CombinationParameters(SavedOutput):
    """Parameters of Combine Spectra."""

    registration: Registration = parameter(
        "Correct to target position",
        label="Registration method",
        group="General",
        help="Place the images by their sky coordinates, follow the motion of the target (TGTRA, TGTDEC) as well, or "
        "place them by the dithers in the header.",
    )
    method: Literal["mean", "median", "spectral cube"] = parameter(
        "mean",
        label="Combination method",
        group="General",
        help="Statistic of images and spectra; for slit scans a cube of wavelength and two sky coordinates.",
    )
    weighted: bool = parameter(
        True,
        label="Weight by errors",
        group="General",
        help="Weight by inverse variances (mean and cube).",
        applies_when={"method": ("mean", "spectral cube")},
    )
    combine_aps: bool = parameter(
        False,
        label="Combine apertures",
        group="1-2D Combination",
        level="hidden",
        help="Combine the spectra of all apertures too.",
    )
    robust: bool = robust_switch("1-2D Combination", applies_when=_STATISTICS)
    threshold: float = rejection_threshold("1-2D Combination", applies_when=_REJECTING)
    maxiters: int = rejection_rounds("1-2D Combination", applies_when=_REJECTING)
    fit_order: int = parameter(
        0,
        label="Spatial surface fit order",
        group="3D Resample",
        ge=0,
        le=4,
        help="Degree of the polynomials that are fitted around each point of a cube.",
        applies_when=_CUBE,
    )
    fit_window: float = parameter(
        7.0,
        label="Spatial fit window (pixels)",
        group="3D Resample",
        unit="pix",
        gt=0,
        le=100,
        help="Radius around a point of a cube in which samples are used.",
        applies_when=_CUBE,
    )
    smoothing: float = parameter(
        2.0,
        label="Spatial smoothing radius (pixels)",
        group="3D Resample",
        unit="pix",
        gt=0,
        le=100,
        help="Standard deviation of the weights by distance.",
        applies_when=_CUBE,
    )
    edge_threshold: float = parameter(
        0.0,
        label="Spatial edge threshold (0-1)",
        group="3D Resample",
        ge=0,
        lt=1,
        help="How much of the margins of a cube is cut off, where samples lie on one side only; 0 keeps all.",
        applies_when=_CUBE,
    )
    adaptive_algorithm: Literal["scaled", "shaped", "none"] = parameter(
        "none",
        label="Adaptive smoothing algorithm",
        group="3D Resample",
        help="How the smoothing follows the data: kernels change in size, or also turn and stretch along gradients, or "
        "not at all. It needs a fit order of 1 or more; the smoothing radius is then the standard deviation of the "
        "point-spread function.",
        applies_when=_CUBE,
    )
    response_error: Literal["common", "independent"] = parameter(
        "common",
        label="Error of the response",
        group="General",
        level="expert",
        help="Common: spectra calibrated with the same response share its error, which stays when they are combined. "
        "Independent: it averages down like noise, as in earlier reductions.",
    )


@step(
    "combine_spectra",
    label="Combine Spectra",
    code="COA",
    product_type="coadded_spectrum",
    level="LEVEL_3",
    saved=True,
)
def combine_spectra(images: Sequence[Product], p: CombinationParameters, run: Run) -> Product:
    """Combine the spectra and the images of all files, or resample a slit scan to a spectral cube."""
    for image in images:
        require_planes(image, "WAVEPOS", "SPECTRAL_FLUX", "SPECTRAL_ERROR", "TRANSMISSION")
    require_same_wavelengths([image["WAVEPOS"] for image in images])
    header = merge_product_headers(images, run)
    if p.method == "spectral cube":
        return make_cube(images, header, p, run)
    combined = _combine(images, header, p, run)
    if p.save:
        run.accompany(accompany_spectrum(combined, "CMB", "combined_spectrum", "LEVEL_3"))
    run.history(f"Combine: {p.method} of {len(images)} files; registration: {p.registration.lower()}")
    return combined


def _combine(images: Sequence[Product], header: fits.Header, p: CombinationParameters, run: Run) -> Product:
    rule = find_combination(p)
    frame = plan_slit_frame(_find_shifts(images, p, run), len(images[0]["FLUX"]))
    share = find_response_share(images, common=p.response_error == "common")
    flux, error, exposure = _combine_images(images, frame, rule, share)
    _move_rows(header, frame)
    header["EXPTIME"] = float(np.nanmax(exposure, initial=0.0))
    unit = images[0].plane("FLUX").unit
    planes = {
        "FLUX": Plane.of(flux, unit),
        "ERROR": Plane.of(error, unit),
        "EXPOSURE": Plane.of(exposure, "s"),
        "WAVEPOS": images[0].plane("WAVEPOS"),
    }
    return Product.of(header, planes | _combine_one_dimensional(images, header, p, share))


def _combine_one_dimensional(
    images: Sequence[Product], header: fits.Header, p: CombinationParameters, share: FloatArray
) -> dict[str, Plane]:
    flux, error = ([image[name] for image in images] for name in ("SPECTRAL_FLUX", "SPECTRAL_ERROR"))
    if p.combine_aps:
        flux, error = separate_apertures(flux), separate_apertures(error)
    spectrum, noise = flux[0], error[0]
    if len(flux) > 1:
        noises = [separate_response_error(values, errors, share) for values, errors in zip(flux, error, strict=True)]
        combined = combine_flux(flux, noises, find_combination(p))
        require_values(combined.flux, images[0].name, "combine_spectra")
        spectrum, noise = combined.flux, add_response_error(combined.flux, combined.error, share)
    unit = images[0].plane("SPECTRAL_FLUX").unit
    planes = {
        "SPECTRAL_FLUX": make_spectral_plane(spectrum, unit, header),
        "SPECTRAL_ERROR": make_spectral_plane(noise, unit, header),
    }
    method: Literal["mean", "median"] = "median" if p.method == "median" else "mean"
    return planes | combine_plane_curves(images, header, method, combine_apertures=p.combine_aps)


def _find_shifts(images: Sequence[Product], p: CombinationParameters, run: Run) -> list[float]:
    """Rows by which the images have to be moved up the slit to fall on the first."""
    if len(images) == 1:
        return [0.0]
    try:
        slits = place_slits(images, p.registration, np.zeros(1), run)
    except HeaderError as error:
        run.warn(f"{error} The images are combined without registration.")
        return [0.0] * len(images)
    first = slits[0].plane
    zero = np.zeros(1)
    return [float(slit.locate(first, zero, zero)[1][0]) for slit in slits]


def _combine_images(
    images: Sequence[Product], frame: SlitFrame, rule: CombinationRule, share: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Image, error and exposure of all files on one grid."""
    moved = [
        shift_along_slit(image["FLUX"], _square_noise(image, share), shift, frame.rows)
        for image, shift in zip(images, frame.shifts, strict=True)
    ]
    exposure = np.zeros(moved[0][0].shape)
    for image, (flux, _) in zip(images, moved, strict=True):
        inside = np.isfinite(flux).any(axis=1)
        exposure[inside] += read_exposure_time(image)
    flux, variance = moved[0]
    if len(moved) > 1:
        combined = combine_stack([flux for flux, _ in moved], [variance for _, variance in moved], rule)
        flux, variance = combined.flux, combined.variance
    return flux, add_response_error(flux, np.sqrt(variance), share), exposure


def _square_noise(image: Product, share: FloatArray) -> FloatArray:
    variance: FloatArray = separate_response_error(image["FLUX"], image["ERROR"], share) ** 2
    return variance


def _move_rows(header: fits.Header, frame: SlitFrame) -> None:
    for keyword in ("CRPIX2", "CRPIX2A"):
        if keyword in header:
            header[keyword] = float(header[keyword]) + frame.first
