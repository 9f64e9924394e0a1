"""Correct Distortion: straight pinhole grid, square pixels, a frame with a border."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from astropy.io import fits

from sofia_engine.header.cards import Card
from sofia_engine.instruments.forcast.configuration import configure
from sofia_engine.instruments.forcast.distortion import (
    ORDER,
    DistortionModel,
    FitMethod,
    fit_distortion,
    model_pinholes,
    read_pinholes,
)
from sofia_engine.instruments.forcast.frame import is_flux_standard, read_reference_pixel, reference_pixel_cards
from sofia_engine.instruments.forcast.mode import find_sky_mode, request_reference
from sofia_engine.numerics.arrays import BoolArray, FloatArray
from sofia_engine.numerics.geometry import embed_image
from sofia_engine.numerics.interpolation import CUBIC, locate_inside
from sofia_engine.numerics.peaks import PeakSearch, find_peaks
from sofia_engine.numerics.warping import resize_image, warp_image
from sofia_engine.pipeline.parameters import SavedOutput, parameter
from sofia_engine.pipeline.run import Run, Wanted
from sofia_engine.pipeline.step import step
from sofia_engine.product import Product

__all__ = [
    "CorrectedFrame",
    "UndistortParameters",
    "find_seen_pixels",
    "find_single_source",
    "measure_pixel_areas",
    "plan_frame",
    "undistort",
    "undistort_planes",
]

PIXEL_SCALE = 0.768
"""Arcsec per pixel of the corrected image."""
_CUBIC_EVERYWHERE = replace(CUBIC, extrapolate=True)
SEARCH_MARGIN = 10
"""Pixels inside the border in which no source is looked for."""

_DONE = {"skip": False}


class UndistortParameters(SavedOutput):
    """Parameters of Correct Distortion."""

    pinhole_file: str = parameter(
        "",
        key="pinfile",
        label="Pinhole locations",
        pick="file",
        help="Table of the measured positions of the pinhole mask, from which the distortion is modelled; empty takes "
        "the one for the date of the observation.",
        applies_when=_DONE,
    )
    extrapolate: bool = parameter(
        True,
        label="Extrapolate solution",
        help="Correct the whole image; otherwise pixels outside the area of the pinholes become NaN.",
        applies_when=_DONE,
    )
    skip: bool = parameter(
        False,
        key="skip_undistort",
        label="Skip distortion correction",
        help="Pass the images on as they are; pixels then stay distorted and are not square.",
    )
    fit: Literal["Least squares", "Total least squares"] = parameter(
        "Least squares",
        key="pinhole_fit",
        label="Fit to the pinholes",
        level="expert",
        help="Least squares minimises the distances of the pinholes. Total least squares is the model of earlier "
        "reductions; it differs by up to 0.3 pixel in the corners.",
        applies_when=_DONE,
    )
    round_crpix: bool = parameter(
        False,
        label="Round reference pixel",
        level="expert",
        help="Round the new reference pixel to whole pixels, as earlier reductions did; coordinates are then wrong by "
        "up to half a pixel (0.38 arcsec).",
        applies_when=_DONE,
    )
    conserve_flux: bool = parameter(
        False,
        label="Correct for pixel area",
        level="expert",
        help="Multiply by the area of detector that each corrected pixel shows. Otherwise sources come out too bright, "
        "by up to one percent, where pixels see more sky; published calibration factors were derived that way.",
        applies_when=_DONE,
    )


@dataclass(frozen=True)
class CorrectedFrame:
    """Frame of the corrected image: resized to square pixels, centred in a larger square.

    Attributes
    ----------
    detector : (int, int)
        Shape (ny, nx) of the input.
    resized : (int, int)
        Shape with square pixels.
    border : int
        Pixels added to each side of the detector.
    """

    detector: tuple[int, int]
    resized: tuple[int, int]
    border: int

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the output."""
        return self.detector[0] + 2 * self.border, self.detector[1] + 2 * self.border

    @property
    def corner(self) -> tuple[int, int]:
        """Output position (y, x) of pixel (0, 0) of the resized image."""
        return tuple(n // 2 - m // 2 for n, m in zip(self.shape, self.resized, strict=True))  # type: ignore[return-value]

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Output position (x, y) of a position in the warped image before it is resized, pixels from 0."""
        moved = [
            (at + 0.5) * m / n - 0.5 + start
            for at, m, n, start in zip((y, x), self.resized, self.detector, self.corner, strict=True)
        ]
        return moved[1], moved[0]


def plan_frame(shape: tuple[int, int], spacing: tuple[float, float], border: int = 0) -> CorrectedFrame:
    """Choose the frame in which the spacings (x, y) of the pinholes become equal and the area is kept.

    Parameters
    ----------
    shape : (int, int)
        Shape (ny, nx) of the input.
    spacing : (float, float)
        Mean distance of pinholes along x and y, pixels.
    border : int
        Least number of pixels to add to each side.
    """
    ny = round(math.sqrt(shape[0] * shape[1] * spacing[0] / spacing[1]))
    nx = round(ny * spacing[1] / spacing[0])
    needed = max(math.ceil((nx - shape[1]) / 2), math.ceil((ny - shape[0]) / 2))
    return CorrectedFrame(shape, (ny, nx), max(border, needed))


def undistort_planes(
    flux: FloatArray,
    error: FloatArray,
    model: DistortionModel,
    frame: CorrectedFrame,
    *,
    extrapolate: bool = True,
    conserve_flux: bool = False,
) -> tuple[FloatArray, FloatArray]:
    """Warp an image and its error to the ideal grid, resize to square pixels and put them into the frame.

    Parameters
    ----------
    flux, error : (ny, nx) ndarray
        Flux per pixel and its 1-sigma error; NaN is bad.
    model : DistortionModel
        Distortion of the detector.
    frame : CorrectedFrame
        Frame of the output.
    extrapolate : bool
        Give values outside the box around the ideal pinhole positions.
    conserve_flux : bool
        Multiply by the area of detector that each pixel shows, which keeps the flux of sources. Otherwise their
        surface brightness is kept.

    Returns
    -------
    flux, error : ndarray
        NaN where there is no value.
    """
    coordinates = model.to_detector.on_grid(frame.detector)
    warped = warp_image(flux, error.astype(np.float64) ** 2, coordinates, _CUBIC_EVERYWHERE)
    seen = find_seen_pixels(coordinates, frame.detector)
    if not extrapolate:
        seen &= _box_around(model.grid.ideal, frame.detector)
    straight, noise = (
        np.where(seen, plane, plane.dtype.type(np.nan))
        for plane in (warped.flux, np.sqrt(warped.variance).astype(error.dtype, copy=False))
    )
    if conserve_flux:
        area = measure_pixel_areas(coordinates).astype(straight.dtype)
        straight, noise = straight * area, noise * area
    resized = (resize_image(plane, frame.resized) for plane in (straight, noise))
    done = [embed_image(plane, frame.shape, frame.corner) for plane in resized]
    return done[0], done[1]


def measure_pixel_areas(coordinates: FloatArray) -> FloatArray:
    """Area of the input, in its pixels, that each output pixel of a map shows: the determinant of its derivatives.

    Parameters
    ----------
    coordinates : (2, ny, nx) ndarray
        Input position (y, x) of each output pixel.
    """
    (y_by_y, y_by_x), (x_by_y, x_by_x) = (np.gradient(positions, edge_order=2) for positions in coordinates)
    areas: FloatArray = np.abs(y_by_y * x_by_x - y_by_x * x_by_y)
    return areas


def find_seen_pixels(coordinates: FloatArray, shape: tuple[int, int]) -> BoolArray:
    """Mask of the pixels whose place is on the detector, or outside its outermost pixels by a quarter of a pixel.

    Notes
    -----
    The limit outside is where a cubic spline through an image that is 1 on the detector and -1 around it falls below
    one half: about 0.27 pixels, a little less in the corners.
    """
    from scipy import ndimage

    margin = 8
    mask: BoolArray = locate_inside(coordinates, shape)
    near = ~mask & locate_inside(coordinates + 1.0, (shape[0] + 2, shape[1] + 2))
    if near.any():
        detector = np.pad(np.ones(shape), margin, constant_values=-1.0)
        mask[near] = ndimage.map_coordinates(detector, coordinates[:, near] + margin, mode="nearest") >= 0.5
    return mask


def find_single_source(flux: FloatArray, fwhm: float, border: int) -> tuple[float, float] | None:
    """Position (x, y) of the brightest source of either sign, pixels from 0; None if there is none."""
    found = find_peaks(flux, PeakSearch(count=1, fwhm=fwhm, border=border + SEARCH_MARGIN))
    return (found[0].x, found[0].y) if found else None


def _box_around(points: FloatArray, shape: tuple[int, int]) -> BoolArray:
    """Mask of the pixels inside the box around points (y, x)."""
    low, high = np.ceil(points.min(axis=0)), np.floor(points.max(axis=0))
    rows, columns = ((np.arange(n) >= a) & (np.arange(n) <= b) for n, a, b in zip(shape, low, high, strict=True))
    mask: BoolArray = rows[:, np.newaxis] & columns
    return mask


def _request_pinholes(header: fits.Header, p: UndistortParameters) -> Mapping[str, Wanted]:
    if p.skip:
        return {}
    request = request_reference(header, "pinhole_locations", str(header.get("FILENAME", "")))
    return {"pinholes": Wanted(request, p.pinhole_file)}


@step(
    "undistort",
    label="Correct Distortion",
    code="UND",
    product_type="undistorted",
    level="LEVEL_2",
    saved=True,
    references=_request_pinholes,
    cutout="it straightens the image of the whole detector",
)
def undistort(image: Product, p: UndistortParameters, run: Run) -> Product:
    """Correct the optical distortion, make the pixels square and give the image a border.

    The positions of a mask of pinholes, measured on the detector, are compared with a regular grid of the same mean
    spacing; a polynomial of third degree maps one to the other, and the image is resampled with a cubic spline. It is
    then resized to square pixels of 0.768 arcsec, keeping the flux, and centred in a larger frame.
    """
    if p.skip:
        run.log("Distortion correction skipped.")
        return image
    model = _load_model(p, run)
    detector = image["FLUX"].shape
    frame = plan_frame((detector[0], detector[1]), model.grid.spacing, configure(image.header).border)
    flux, error = undistort_planes(
        image["FLUX"], image["ERROR"], model, frame, extrapolate=p.extrapolate, conserve_flux=p.conserve_flux
    )
    cards = [*_wcs_cards(image, model, frame, p, run), *_source_cards(image.header, flux, frame.border, run)]
    cards += [
        ("PIN_MOD", _describe(model), "pinhole model: dx, dy, angle, order"),
        ("PINFILE", run.reference("pinholes").name, "Pinhole mask file"),
        ("BORDER", frame.border, "additional border pixels"),
    ]
    residual = model.to_detector.residual
    run.quality["distortion_residual"] = residual
    if p.conserve_flux:
        run.history("Distortion: multiplied by the area of detector that each pixel shows")
    run.history(
        f"Distortion: {p.fit.lower()} polynomial of degree {ORDER} through {len(model.residuals)} pinholes",
        f"Distortion: residual of the pinholes {residual:.3f} px rms, {model.residuals.max():.3f} px at most",
        f"Distortion: resized from {detector[1]} x {detector[0]} to {frame.resized[1]} x {frame.resized[0]} pixels",
        f"Distortion: border {frame.border} px, output {frame.shape[1]} x {frame.shape[0]} pixels",
    )
    return image.replace(FLUX=flux, ERROR=error).with_cards(*cards)


def _load_model(p: UndistortParameters, run: Run) -> DistortionModel:
    method: FitMethod = "least squares" if p.fit == "Least squares" else "total least squares"
    return fit_distortion(model_pinholes(*read_pinholes(run.reference("pinholes").path)), method)


def _describe(model: DistortionModel) -> str:
    dx, dy = model.grid.spacing
    return f"[{dx:.10g},{dy:.10g},{model.grid.angle:.10g},{ORDER}]"


def _wcs_cards(
    image: Product, model: DistortionModel, frame: CorrectedFrame, p: UndistortParameters, run: Run
) -> list[Card]:
    """World coordinates of the corrected image: the reference pixel follows the warp, pixels become square."""
    header = image.header
    start = read_reference_pixel(image, run)
    shown = model.from_detector(start[1], start[0])[::-1] if p.round_crpix else model.locate(*start)
    warped = (round(float(shown[0])), round(float(shown[1]))) if p.round_crpix else (shown[0], shown[1])
    x, y = frame.place(float(warped[0]), float(warped[1]))
    rule = "rounded to whole pixels" if p.round_crpix else "exact"
    run.history(
        f"Distortion: CRPIX was [{start[0] + 1:.4f},{start[1] + 1:.4f}]",
        f"Distortion: CRPIX in the warped image [{warped[0] + 1:.4f},{warped[1] + 1:.4f}] ({rule})",
        f"Distortion: CRPIX in the output [{x + 1:.4f},{y + 1:.4f}]",
    )
    scale = PIXEL_SCALE / 3600
    return [
        *reference_pixel_cards(header, start, (x, y)),
        ("CDELT1", math.copysign(scale, float(header.get("CDELT1", -1.0))), ""),
        ("CDELT2", math.copysign(scale, float(header.get("CDELT2", 1.0))), ""),
    ]


def _source_cards(header: fits.Header, flux: FloatArray, border: int, run: Run) -> list[Card]:
    """Position of the source of a flux standard observed with matched chop and nod."""
    if find_sky_mode(header) != "NMC" or not is_flux_standard(header):
        return []
    found = find_single_source(flux, configure(header).centroid_fwhm, border)
    if found is None:
        run.warn("No source was found in the image of a flux standard; photometry will look for it again.")
        return []
    run.history(f"Distortion: source at [{found[0]:.3f},{found[1]:.3f}]")
    return [("SRCPOSX", found[0], "Source x-position"), ("SRCPOSY", found[1], "Source y-position")]
