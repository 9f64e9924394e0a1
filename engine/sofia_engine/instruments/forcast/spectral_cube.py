"""Spectral cubes from slit scans: parameters of Combine Spectra turned into a cube with its coordinates."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from astropy.io import fits

from sofia_engine.errors import InputError, ParameterError
from sofia_engine.header.cards import Card, is_wcs
from sofia_engine.instruments.forcast.coadd import find_target_offsets
from sofia_engine.instruments.forcast.slit_spectra import combine_plane_curves, find_response_share, place_slits
from sofia_engine.pipeline.run import Run
from sofia_engine.product import Plane, Product
from sofia_engine.spectroscopy.calibration import add_response_error
from sofia_engine.spectroscopy.slit_cube import (
    CubeGrid,
    CubeRule,
    SlitImage,
    add_exposures,
    plan_cube,
    resample_cube,
)

if TYPE_CHECKING:
    from sofia_engine.instruments.forcast.combine_spectra import CombinationParameters

__all__ = ["make_cube"]


def make_cube(images: Sequence[Product], header: fits.Header, p: "CombinationParameters", run: Run) -> Product:
    """Return the cube of a slit scan.

    Parameters
    ----------
    images : sequence of Product
        Calibrated, of equal wavelengths.
    header : Header
        Of the result; changed.
    p : CombinationParameters
        Registration, weights, windows.
    run : Run
        Takes messages and progress.

    Raises
    ------
    ParameterError
        If adaptive smoothing is asked for without what it needs.
    InputError
        If the images hold too little.
    """
    rule = _choose_rule(p)
    share = find_response_share(images, common=p.response_error == "common")
    slits = _orient(place_slits(images, p.registration, share, run), images, p)
    grid = plan_cube(slits)

    def tell(done: int, total: int) -> None:
        run.progress(done, total, "columns of the cube")

    try:
        cube = resample_cube(slits, grid, rule, tell)
    except ValueError as error:
        raise InputError(f"{images[0].name}: the cube cannot be resampled: {error}.") from None
    if not np.isfinite(cube.flux).any():
        raise InputError(
            f"{images[0].name}: the cube has no value: {len(images)} slit positions are too few for the parameters; "
            "widen combine_spectra.fit_window, or lower combine_spectra.fit_order or edge_threshold."
        )
    exposure = add_exposures(slits, grid)
    _describe_cube(header, grid)
    header["EXPTIME"] = float(exposure.max(initial=0.0))
    unit = images[0].plane("FLUX").unit
    run.produce("SCB", "spectral_cube", "LEVEL_4")
    run.history(
        f"Combine: cube of {len(images)} slit positions, {cube.flux.shape[0]} wavelengths, "
        f"{grid.shape[1]} x {grid.shape[0]} pixels; registration: {p.registration.lower()}",
        f"Combine: local polynomials of degree {p.fit_order}, window {p.fit_window:g} pixels, "
        f"smoothing {p.smoothing:g} pixels, adaptive: {p.adaptive_algorithm}",
    )
    planes = {
        "FLUX": Plane.of(cube.flux, unit),
        "ERROR": Plane.of(add_response_error(cube.flux, cube.error, share[grid.columns, None, None]), unit),
        "EXPOSURE": Plane.of(exposure, "s"),
        "WAVEPOS": Plane.of(images[0]["WAVEPOS"][grid.columns], images[0].plane("WAVEPOS").unit),
    }
    curves = combine_plane_curves(images, _spectral_axis(images[0].header, grid), "mean", grid.columns)
    return Product.of(header, planes | curves)


def _choose_rule(p: "CombinationParameters") -> CubeRule:
    adaptive = p.adaptive_algorithm != "none"
    if adaptive and not (p.fit_order > 0 and p.weighted):
        raise ParameterError(
            f"combine_spectra.adaptive_algorithm = {p.adaptive_algorithm} needs local polynomials and errors; set "
            "combine_spectra.fit_order to 1 or more, and combine_spectra.weighted to True."
        )
    return CubeRule(p.fit_order, p.fit_window, p.smoothing, p.edge_threshold, p.weighted, p.adaptive_algorithm)


def _orient(slits: list[SlitImage], images: Sequence[Product], p: "CombinationParameters") -> list[SlitImage]:
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
