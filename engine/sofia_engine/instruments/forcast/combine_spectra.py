"""Combine Spectra: one spectrum and one image of all files; of slit scans a spectral cube."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from astropy.io import fits

from sofia_engine.errors import HeaderError, InputError
from sofia_engine.header.cards import Card, is_wcs
from sofia_engine.header.merging import merge_headers
from sofia_engine.instruments.forcast.coadd import find_target_offsets
from sofia_engine.instruments.forcast.configuration import merging_rules
from sofia_engine.instruments.forcast.grism_frame import (
    accompany_spectrum,
    make_spectral_plane,
    require_planes,
)
from sofia_engine.instruments.forcast.register import read_dither
from sofia_engine.numerics.arrays import FloatArray
from sofia_engine.numerics.coadd import CombinationRule, combine_stack
from sofia_engine.pipeline.parameters import SavedOutput, parameter
from sofia_engine.pipeline.run import Run
from sofia_engine.pipeline.step import step
from sofia_engine.product import Plane, Product
from sofia_engine.spectroscopy.calibration import Response, add_response_error, separate_response_error
from sofia_engine.spectroscopy.combination import combine_curves, require_same_wavelengths
from sofia_engine.spectroscopy.combination import combine_spectra as combine_flux
from sofia_engine.spectroscopy.slit_cube import (
    CubeGrid,
    CubeRule,
    SlitImage,
    add_exposures,
    plan_cube,
    resample_cube,
)
from sofia_engine.spectroscopy.slit_images import SlitFrame, plan_slit_frame, shift_along_slit
from sofia_engine.spectroscopy.slit_place import move_plane, read_slit_plane

__all__ = ["CombinationParameters", "combine_spectra"]

_CURVES = ("TRANSMISSION", "RESPONSE")


class CombinationParameters(SavedOutput):
    """Parameters of Combine Spectra."""

    registration: Literal["Use WCS as is", "Correct to target position", "Use header offsets"] = parameter(
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
        True, label="Weight by errors", group="General", help="Weight by inverse variances (mean and cube)."
    )
    combine_aps: bool = parameter(
        False,
        label="Combine apertures",
        group="1-2D Combination",
        level="hidden",
        help="Combine the spectra of all apertures too.",
    )
    robust: bool = parameter(
        True,
        label="Robust combination",
        group="1-2D Combination",
        help="Leave out values that lie far from the others.",
    )
    threshold: float = parameter(
        8.0,
        label="Outlier rejection threshold (sigma)",
        group="1-2D Combination",
        unit="sigma",
        gt=0,
        le=1000,
        help="Values further from the median than this many standard deviations of the stack are left out.",
    )
    maxiters: int = parameter(
        5,
        label="Maximum sigma-clipping iterations",
        group="1-2D Combination",
        ge=1,
        le=100,
        help="Largest number of rounds of rejection.",
    )
    fit_order: int = parameter(
        0,
        label="Spatial surface fit order",
        group="3D Resample",
        ge=0,
        le=4,
        help="Degree of the polynomials that are fitted around each point of a cube.",
    )
    fit_window: float = parameter(
        7.0,
        label="Spatial fit window (pixels)",
        group="3D Resample",
        unit="pix",
        gt=0,
        le=100,
        help="Radius around a point of a cube in which samples are used.",
    )
    smoothing: float = parameter(
        2.0,
        label="Spatial smoothing radius (pixels)",
        group="3D Resample",
        unit="pix",
        gt=0,
        le=100,
        help="Standard deviation of the weights by distance.",
    )
    edge_threshold: float = parameter(
        0.0,
        label="Spatial edge threshold (0-1)",
        group="3D Resample",
        ge=0,
        lt=1,
        help="How much of the margins of a cube is cut off, where samples lie on one side only; 0 keeps all.",
    )
    response_error: Literal["common", "independent"] = parameter(
        "common",
        label="Error of the response",
        group="General",
        level="expert",
        help="Common: spectra calibrated with the same response share its error, which stays when they are combined. "
        "Independent: it averages down like noise, as in earlier reductions.",
    )
    adaptive_algorithm: Literal["scaled", "shaped", "none"] = parameter(
        "none",
        label="Adaptive smoothing algorithm",
        group="3D Resample",
        help="How the smoothing follows the data; only none is available.",
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
    header = _merge(images, run)
    if p.method == "spectral cube":
        return _make_cube(images, header, p, run)
    combined = _combine(images, header, p, run)
    if p.save:
        run.accompany(accompany_spectrum(combined, "CMB", "combined_spectrum", "LEVEL_3"))
    run.history(f"Combine: {p.method} of {len(images)} files; registration: {p.registration.lower()}")
    return combined


def _merge(images: Sequence[Product], run: Run) -> fits.Header:
    merged = merge_headers([image.header for image in images], merging_rules(), images[0].header)
    for warning in merged.warnings:
        run.warn(warning)
    return merged.header


def _exposure_time(image: Product) -> float:
    return float(image.header.get("EXPTIME", 0.0))


def _combine(images: Sequence[Product], header: fits.Header, p: CombinationParameters, run: Run) -> Product:
    method: Literal["mean", "median"] = "median" if p.method == "median" else "mean"
    rule = CombinationRule(method, p.weighted, p.robust, p.threshold, p.maxiters)
    frame = plan_slit_frame(_find_shifts(images, p, run), len(images[0]["FLUX"]))
    share = _find_response_share(images, p)
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
    return Product.of(header, planes | _combine_one_dimensional(images, header, rule, share))


def _find_response_share(images: Sequence[Product], p: CombinationParameters) -> FloatArray:
    """Relative error (nw) of the response that all files have in common; 0 where it is to be taken as noise."""
    known = [image for image in images if "RESPONSE" in image and "RESPONSE_ERROR" in image]
    if p.response_error == "independent" or len(known) < len(images):
        return np.zeros(images[0]["WAVEPOS"].size)
    shares = [Response(image["RESPONSE"], image["RESPONSE_ERROR"]).relative_error for image in known]
    mean: FloatArray = np.nan_to_num(np.mean(shares, axis=0))
    return mean


def _combine_one_dimensional(
    images: Sequence[Product], header: fits.Header, rule: CombinationRule, share: FloatArray
) -> dict[str, Plane]:
    if len(images) == 1:
        spectrum, noise = images[0]["SPECTRAL_FLUX"], images[0]["SPECTRAL_ERROR"]
    else:
        spectra = [(image["SPECTRAL_FLUX"], image["SPECTRAL_ERROR"]) for image in images]
        noises = [separate_response_error(flux, error, share) for flux, error in spectra]
        combined = combine_flux([flux for flux, _ in spectra], noises, rule)
        spectrum, noise = combined.flux, add_response_error(combined.flux, combined.error, share)
    unit = images[0].plane("SPECTRAL_FLUX").unit
    planes = {
        "SPECTRAL_FLUX": make_spectral_plane(spectrum, unit, header),
        "SPECTRAL_ERROR": make_spectral_plane(noise, unit, header),
    }
    return planes | _combine_curves(images, header, "median" if rule.method == "median" else "mean")


def _combine_curves(
    images: Sequence[Product], header: fits.Header, method: Literal["mean", "median"], columns: slice = slice(None)
) -> dict[str, Plane]:
    """Transmission and response, as far as all files have them."""
    names = [name for name in _CURVES if all(name in image for image in images)]
    return {
        name: make_spectral_plane(
            combine_curves([image[name] for image in images], method)[..., columns],
            images[0].plane(name).unit,
            header,
        )
        for name in names
    }


def _find_shifts(images: Sequence[Product], p: CombinationParameters, run: Run) -> list[float]:
    """Rows by which the images have to be moved up the slit to fall on the first."""
    if len(images) == 1:
        return [0.0]
    try:
        slits = _place_slits(images, p, run)
    except HeaderError as error:
        run.warn(f"{error} The images are combined without registration.")
        return [0.0] * len(images)
    first = slits[0].plane
    zero = np.zeros(1)
    return [float(slit.locate(first, zero, zero)[1][0]) for slit in slits]


def _place_slits(images: Sequence[Product], p: CombinationParameters, run: Run) -> list[SlitImage]:
    """The images with their noise and places on the sky; offsets in pixels across and along the first slit."""
    share = _find_response_share(images, p)
    planes = [read_slit_plane(image.header) for image in images]
    offsets = [(0.0, 0.0)] * len(images)
    if p.registration == "Correct to target position":
        found = find_target_offsets([image.header for image in images], planes[0])
        if found is None:
            run.log("TGTRA or TGTDEC missing: the images are combined by their coordinates.")
        offsets = found or offsets
    elif p.registration == "Use header offsets":
        dithers = [read_dither(image, north_up=False) for image in images]
        planes = [
            move_plane(plane, dithers[0][0] - x, dithers[0][1] - y)
            for plane, (x, y) in zip(planes, dithers, strict=True)
        ]
    return [
        SlitImage(
            image["FLUX"],
            separate_response_error(image["FLUX"], image["ERROR"], share),
            plane,
            float(image.header.get("SLTW_PIX", 1.0)) or 1.0,
            _exposure_time(image),
            offset,
        )
        for image, plane, offset in zip(images, planes, offsets, strict=True)
    ]


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
        exposure[inside] += _exposure_time(image)
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


def _make_cube(images: Sequence[Product], header: fits.Header, p: CombinationParameters, run: Run) -> Product:
    if p.adaptive_algorithm != "none":
        run.warn("Adaptive smoothing is not available; the cube is smoothed evenly.")
    slits = _orient(_place_slits(images, p, run), images, p)
    grid = plan_cube(slits)
    rule = CubeRule(p.fit_order, p.fit_window, p.smoothing, p.edge_threshold, p.weighted)

    def tell(done: int, total: int) -> None:
        run.progress(done, total, "columns of the cube")

    try:
        cube = resample_cube(slits, grid, rule, tell)
    except ValueError as error:
        raise InputError(f"{images[0].name}: the cube cannot be resampled: {error}.") from None
    exposure = add_exposures(slits, grid)
    share = _find_response_share(images, p)
    _describe_cube(header, grid)
    header["EXPTIME"] = float(exposure.max(initial=0.0))
    unit = images[0].plane("FLUX").unit
    run.produce("SCB", "spectral_cube", "LEVEL_4")
    run.history(
        f"Combine: cube of {len(images)} slit positions, {cube.flux.shape[0]} wavelengths, "
        f"{grid.shape[1]} x {grid.shape[0]} pixels; registration: {p.registration.lower()}",
        f"Combine: local polynomials of degree {p.fit_order}, window {p.fit_window:g} pixels, "
        f"smoothing {p.smoothing:g} pixels",
    )
    planes = {
        "FLUX": Plane.of(cube.flux, unit),
        "ERROR": Plane.of(add_response_error(cube.flux, cube.error, share[grid.columns, None, None]), unit),
        "EXPOSURE": Plane.of(exposure, "s"),
        "WAVEPOS": Plane.of(images[0]["WAVEPOS"][grid.columns], images[0].plane("WAVEPOS").unit),
    }
    curves = _combine_curves(images, _spectral_axis(images[0].header, grid), "mean", grid.columns)
    return Product.of(header, planes | curves)


def _orient(slits: list[SlitImage], images: Sequence[Product], p: CombinationParameters) -> list[SlitImage]:
    """Offsets against the motion of the target, in pixels of the cube, that has north up."""
    if p.registration != "Correct to target position":
        return slits
    grid = plan_cube(slits[:1]).plane
    found = find_target_offsets([image.header for image in images], grid)
    if found is None:
        return [replace(slit, offset=(0.0, 0.0)) for slit in slits]
    return [replace(slit, offset=offset) for slit, offset in zip(slits, found, strict=True)]


def _spectral_axis(source: fits.Header, grid: CubeGrid) -> fits.Header:
    """Wavelength coordinates of the curves of a cube."""
    cards = fits.Header()
    for keyword in ("CTYPE1", "CUNIT1", "CRPIX1", "CRVAL1", "CDELT1", "SPECSYS"):
        if keyword in source:
            cards[keyword] = (source[keyword], source.comments[keyword])
    if "CRPIX1" in cards:
        cards["CRPIX1"] = float(cards["CRPIX1"]) - grid.columns.start
    return cards


def _describe_cube(header: fits.Header, grid: CubeGrid) -> None:
    """World coordinates of the cube: right ascension, declination, wavelength."""
    wave = {key: header.get(f"{key}1") for key in ("CRPIX", "CRVAL", "CDELT", "CUNIT")}
    for keyword in [k for k in header if is_wcs(k) and k not in ("EQUINOX", "SPECSYS")]:
        del header[keyword]
    scale = grid.plane.matrix[1][1]
    cards: list[Card] = [
        ("CTYPE1", "RA---TAN", "Name of the coordinate axis"),
        ("CTYPE2", "DEC--TAN", "Name of the coordinate axis"),
        ("CTYPE3", "WAVE", "Name of the coordinate axis"),
        ("CUNIT1", "deg", "Units of the coordinate axis"),
        ("CUNIT2", "deg", "Units of the coordinate axis"),
        ("CUNIT3", str(wave["CUNIT"] or "um"), "Units of the coordinate axis"),
        ("CRPIX1", grid.plane.pixel[0] + 1, "Coordinate system reference pixel"),
        ("CRPIX2", grid.plane.pixel[1] + 1, "Coordinate system reference pixel"),
        ("CRPIX3", float(wave["CRPIX"] or 1.0) - grid.columns.start, "Coordinate system reference pixel"),
        ("CRVAL1", grid.plane.sky[0], "Coordinate system value at reference pixel"),
        ("CRVAL2", grid.plane.sky[1], "Coordinate system value at reference pixel"),
        ("CRVAL3", float(wave["CRVAL"] or 0.0), "Coordinate system value at reference pixel"),
        ("CDELT1", -scale, "Coordinate increment at reference point"),
        ("CDELT2", scale, "Coordinate increment at reference point"),
        ("CDELT3", float(wave["CDELT"] or 1.0), "Coordinate increment at reference point"),
        ("RADESYS", "FK5", "Equatorial coordinate system"),
    ]
    for keyword, value, comment in cards:
        header[keyword] = (value, comment)
