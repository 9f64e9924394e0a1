"""Make Profiles: images put on a grid of wavelength and slit position, and the profile of the source along the slit."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np
from astropy.io import fits

from sofia_engine.errors import InputError
from sofia_engine.header.cards import Card, is_wcs
from sofia_engine.instruments.forcast.grism_files import (
    find_resolution,
    load_maps,
    load_orders,
    read_atmosphere,
    read_fits,
    request_grism_file,
    want_atmosphere,
)
from sofia_engine.instruments.forcast.grism_frame import CORRELATION, square_error
from sofia_engine.instruments.forcast.grism_grid import RIPPLE, plan_grid
from sofia_engine.instruments.forcast.mode import find_sky_mode
from sofia_engine.numerics.arrays import FloatArray
from sofia_engine.pipeline.parameters import SavedOutput, parameter
from sofia_engine.pipeline.run import Run, Wanted
from sofia_engine.pipeline.step import step
from sofia_engine.product import Plane, Product
from sofia_engine.spectroscopy.calibration_maps import CalibrationMaps
from sofia_engine.spectroscopy.orders import OrderSet, make_order_mask
from sofia_engine.spectroscopy.profiles import ProfileRule, make_profiles
from sofia_engine.spectroscopy.rectification import (
    ErrorRule,
    RectifiedImage,
    keep_detector_grid,
)
from sofia_engine.spectroscopy.rectified_wcs import list_rectified_wcs

__all__ = [
    "ProfileParameters",
    "SimulatedProfileParameters",
    "TestedProfileParameters",
    "UncorrectedProfileParameters",
    "add_profiles",
    "halving",
    "make_spatial_profiles",
]

_RECTIFIED = {"simulate": False, "test": False}
"""With which published calibrations are used."""


class ProfileParameters(SavedOutput):
    """Parameters of Make Profiles."""

    order_file: str = parameter(
        "",
        key="maskfile",
        label="Order mask",
        pick="file",
        level="expert",
        help="FITS file whose header gives the edges of the spectral order; empty for that of grism and slit.",
    )
    wavelength_file: str = parameter(
        "",
        key="wavefile",
        label="Wave/space calibration file",
        pick="file",
        help="FITS cube with wavelength and slit position of every pixel; empty for that of the date.",
        applies_when=_RECTIFIED,
    )
    slit_file: str = parameter(
        "",
        key="slitfile",
        label="Slit correction file",
        pick="file",
        help="FITS image of the size of a rectified image, by which it is divided; empty for that of the date.",
        applies_when=_RECTIFIED,
    )
    fit_order: int = parameter(
        3,
        label="Row fit order",
        ge=0,
        le=10,
        help="Degree in wavelength of the polynomials by which the spatial profile changes along the spectrum.",
    )
    subtract_background: bool = parameter(
        True,
        key="bg_sub",
        label="Subtract median background",
        help="Subtract the median of each column before the profile is made; not for sources that fill the slit.",
    )
    least_transmission: float = parameter(
        0.0,
        key="atmosthresh",
        label="Atmospheric transmission threshold",
        ge=0,
        le=1,
        help="Columns where the atmosphere transmits less take no part in the profile; 0 takes all.",
        applies_when=_RECTIFIED,
    )
    simulate: bool = parameter(
        False,
        key="simwavecal",
        label="Simulate calibrations",
        help="Leave the image on the grid of the detector; wavelength and slit position are pixel numbers.",
    )
    error_rule: Literal["column", "area"] = parameter(
        "column",
        label="Errors of rectified pixels",
        level="expert",
        help="Column: such that spectra have the right errors. Area: of earlier reductions, with which the errors of "
        "spectra are too large by a third.",
        applies_when={"simulate": False},
    )
    profile_rows: Literal["bright", "all"] = parameter(
        "bright",
        label="Rows that scale the profile",
        level="expert",
        help="Which rows tell the brightness of each column: those with at least a tenth of the peak, or all, as in "
        "earlier reductions, in which neither profile nor calibration follow the blur of rectification.",
    )
    correct_slit: bool = parameter(
        True,
        label="Correct for the slit",
        level="hidden",
        help="Divide by the slit correction; not where one is to be made.",
    )
    test: bool = parameter(
        False,
        key="testwavecal",
        label="Test new calibrations",
        level="hidden",
        help="Use the calibration that an earlier step of the recipe has made.",
    )


def _want_files(header: fits.Header, p: ProfileParameters) -> Mapping[str, Wanted]:
    wanted = {"order_mask": Wanted(request_grism_file(header, "order_mask", "order mask"), p.order_file)}
    if not (p.simulate or p.test):
        wanted["wave_cal"] = Wanted(request_grism_file(header, "wave_cal", "wavelength calibration"), p.wavelength_file)
        if p.correct_slit:
            request = request_grism_file(header, "slit_function", "slit correction")
            wanted["slit_function"] = Wanted(request, p.slit_file)
        if p.least_transmission > 0:
            wanted.update(want_atmosphere(header))
    return wanted


class SimulatedProfileParameters(ProfileParameters):
    """The same for calibrations made of images on the grid of the detector."""

    subtract_background: bool = parameter(
        False, key="bg_sub", label="Subtract median background", level="hidden", help="Not for calibrations."
    )
    simulate: bool = parameter(
        True, key="simwavecal", label="Simulate calibrations", level="hidden", help="Keep the grid of the detector."
    )


class TestedProfileParameters(ProfileParameters):
    """The same for the verification of a new calibration."""

    wavelength_file: str = parameter(
        "", key="wavefile", label="Wave/space calibration file", level="hidden", help="Not used.", pick="file"
    )
    slit_file: str = parameter(
        "", key="slitfile", label="Slit correction file", level="hidden", help="Not used.", pick="file"
    )
    subtract_background: bool = parameter(
        False, key="bg_sub", label="Subtract median background", level="hidden", help="Not for calibrations."
    )
    simulate: bool = parameter(
        False, key="simwavecal", label="Simulate calibrations", level="hidden", help="Not for a verification."
    )
    test: bool = parameter(
        True, key="testwavecal", label="Test new calibrations", level="hidden", help="Use the new calibration."
    )


class UncorrectedProfileParameters(ProfileParameters):
    """The same for an image of which a slit correction is to be made."""

    slit_file: str = parameter(
        "", key="slitfile", label="Slit correction file", level="hidden", help="Not used.", pick="file"
    )
    subtract_background: bool = parameter(
        False, key="bg_sub", label="Subtract median background", help="Not for a source that fills the slit."
    )
    correct_slit: bool = parameter(False, label="Correct for the slit", level="hidden", help="None is known yet.")


@step(
    "make_profiles",
    label="Make Profiles",
    code="RIM",
    product_type="rectified_image",
    level="LEVEL_2",
    saved=True,
    references=_want_files,
)
def make_spatial_profiles(image: Product, p: ProfileParameters, run: Run) -> Product:
    """Rectify the image to a grid that is linear in wavelength and slit position, and find the spatial profile."""
    if image["FLUX"].ndim != 2:
        raise InputError(f"{image.name}: FLUX must be one image, not an array of shape {image['FLUX'].shape}.")
    orders = load_orders(run, image.header)
    cards = _list_file_cards(orders, run)
    if p.simulate:
        rectified, maps = _keep_grid(image, orders), None
    else:
        maps = _find_maps(image, orders, p, run)
        rectified = _rectify(image, orders, maps, p.error_rule, run)
        if not p.test:
            rectified = _correct_slit(rectified, run) if p.correct_slit else rectified
            rectified = _halve(rectified, image.header, run)
        cards.append((CORRELATION, rectified.correlation, "Correlation of noise in neighbouring columns"))
        if rectified.column_blur is not None and p.profile_rows == "bright" and not p.test:
            ripple = float(np.std(rectified.column_blur))
            cards.append((RIPPLE, ripple, "Change of blur from column to column [pix2]"))
    cards += _list_coordinates(rectified, image.header, maps)
    product = _assemble(image, rectified, cards, pixels=p.simulate)
    return add_profiles(product, p, run, rectified.blur if p.profile_rows == "bright" else None)


def _list_file_cards(orders: OrderSet, run: Run) -> list[Card]:
    """Cards that name the calibration files, and of the size of the slit."""
    cards: list[Card] = []
    for keyword, role, comment in (
        ("ORDRFILE", "order_mask", "Spectral order definition"),
        ("WAVEFILE", "wave_cal", "Spectral/spatial calibration"),
        ("SLITFILE", "slit_function", "Slit correction function"),
    ):
        used = run.find_reference(role)
        cards.append((keyword, "NONE" if used is None else used.name, comment))
    slit = orders.slit
    return [
        *cards,
        ("SLTH_ARC", slit.height_arcsec, "Slit height [arcsec]"),
        ("SLTH_PIX", slit.height_pixels, "Slit height [pix]"),
        ("SLTW_ARC", slit.width_arcsec, "Slit width [arcsec]"),
        ("SLTW_PIX", slit.width_pixels, "Slit width [pix]"),
    ]


def _keep_grid(image: Product, orders: OrderSet) -> RectifiedImage:
    mask = make_order_mask(orders, image["FLUX"].shape)
    return keep_detector_grid(image["FLUX"], square_error(image), mask, orders.orders[0].number)


def _find_maps(image: Product, orders: OrderSet, p: ProfileParameters, run: Run) -> CalibrationMaps:
    if not p.test:
        return load_maps(run, image.header, orders.rotation)
    if "WAVECAL" not in image or "SPATCAL" not in image:
        raise InputError(f"{image.name}: WAVECAL or SPATCAL missing; only new calibrations can be tested.")
    return CalibrationMaps(image["WAVECAL"], image["SPATCAL"])


def _rectify(image: Product, orders: OrderSet, maps: CalibrationMaps, error: ErrorRule, run: Run) -> RectifiedImage:
    shape = image["FLUX"].shape
    if maps.wavelength.shape != shape:
        raise InputError(
            f"{image.name}: the image has shape {shape}, but the wavelength calibration {maps.wavelength.shape}."
        )
    rectified = plan_grid(orders, maps, (shape[0], shape[1]), error)(image["FLUX"], square_error(image))
    bad = int(np.count_nonzero(rectified.bad))
    run.quality["bad_fraction"] = bad / rectified.bad.size
    run.history(
        f"Rectify: {rectified.wavelength.size} columns from {rectified.wavelength[0]:.4f} to "
        f"{rectified.wavelength[-1]:.4f} um, {rectified.slit.size} rows of {orders.slit.scale:.4f} arcsec; "
        f"{bad} bad pixels",
        f"Rectify: sums over many columns have errors larger by {rectified.correlation:.3f} than the ERROR plane says",
    )
    return rectified


def _correct_slit(rectified: RectifiedImage, run: Run) -> RectifiedImage:
    used = run.find_reference("slit_function")
    if used is None:
        run.warn("There is no slit correction for this observation; none is applied.")
        return rectified
    correction = read_fits(used.path, "slit correction")[0]
    if correction.shape != rectified.flux.shape:
        raise InputError(
            f"{run.file}: the slit correction {used.name} has shape {correction.shape}, the rectified image "
            f"{rectified.flux.shape}; give make_profiles.slitfile."
        )
    run.history(f"Slit correction: divided by {used.name}")
    return _divide(rectified, correction)


def halving(header: fits.Header) -> bool:
    """Tell whether a stacked image holds the source twice over, because it was in two of the planes."""
    mode = find_sky_mode(header)
    return "NMC" in mode or mode == "SLITSCAN"


def _halve(rectified: RectifiedImage, header: fits.Header, run: Run) -> RectifiedImage:
    if not halving(header):
        return rectified
    run.history("Rectify: divided by 2, because the source is in both nod positions")
    return _divide(rectified, np.float64(2.0))


def _divide(rectified: RectifiedImage, divisor: FloatArray | np.float64) -> RectifiedImage:
    return replace(rectified, flux=rectified.flux / divisor, variance=rectified.variance / divisor**2)


def _list_coordinates(rectified: RectifiedImage, header: fits.Header, maps: CalibrationMaps | None) -> list[Card]:
    units = ("pixel", "pixel") if maps is None else ("um", "arcsec")
    on_sky = str(header.get("CTYPE1", "RA---TAN")).strip() != "LINEAR"
    slit_map = maps.slit if maps is not None and on_sky else None
    return list_rectified_wcs(rectified.wavelength, rectified.slit, header, slit_map, units)


def _assemble(image: Product, rectified: RectifiedImage, cards: list[Card], *, pixels: bool) -> Product:
    header = image.header.copy()
    for keyword in [k for k in header if is_wcs(k) and k != "EQUINOX"]:
        del header[keyword]
    for keyword, value, comment in cards:
        header[keyword] = (value, comment)
    flux = image.plane("FLUX").unit
    wave, slit = ("pixel", "pixel") if pixels else ("um", "arcsec")
    return Product.of(
        header,
        {
            "FLUX": Plane.of(rectified.flux, flux),
            "ERROR": Plane.of(np.sqrt(rectified.variance), flux),
            "BADMASK": Plane.of(rectified.bad.astype(np.int64)),
            "WAVEPOS": Plane.of(rectified.wavelength, wave),
            "SLITPOS": Plane.of(rectified.slit, slit),
        },
    )


def add_profiles(image: Product, p: ProfileParameters, run: Run, blur: FloatArray | None = None) -> Product:
    """Add the spatial profile and its change along the spectrum to a rectified image.

    ``blur`` is the variance (arcsec²) that rectified pixels add to the profile.
    """
    transmission = None
    used = run.find_reference("atran") if p.least_transmission > 0 else None
    if used is not None:
        transmission = read_atmosphere(used, find_resolution(image.header) or 0.0, image["WAVEPOS"])
    rule = ProfileRule(p.fit_order, 5.0, p.subtract_background, p.least_transmission, p.profile_rows)
    if blur is not None:
        blur = blur / _measure_step(image["SLITPOS"]) ** 2
    profiles = make_profiles(image["FLUX"], image["WAVEPOS"], rule, transmission, blur)
    for warning in profiles.warnings:
        run.warn(warning)
    return image.replace(
        SPATIAL_MAP=Plane(Plane.of(profiles.map).data, "", inherits_wcs=False),
        SPATIAL_PROFILE=Plane.of(profiles.median),
    )


def _measure_step(positions: FloatArray) -> float:
    return float(positions[-1] - positions[0]) / max(positions.size - 1, 1)
