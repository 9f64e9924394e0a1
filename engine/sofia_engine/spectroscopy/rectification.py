"""Rectification: spectral images put on a grid that is linear in wavelength and slit position, conserving flux."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from sofia_engine.errors import InputError, StepError
from sofia_engine.numerics.interpolation import Interpolation, interpolate_image
from sofia_engine.numerics.polygons import PixelOverlap, overlap_grid
from sofia_engine.numerics.polynomials import fit_polynomial

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import BoolArray, FloatArray
    from sofia_engine.spectroscopy.calibration_maps import CalibrationMaps

__all__ = [
    "ErrorRule",
    "RectificationRule",
    "RectifiedImage",
    "Rectifier",
    "cut_order",
    "keep_detector_grid",
    "plan_rectification",
]

ErrorRule = Literal["column", "area"]
WHOLE = Interpolation(order=1, minimum_weight=0.999)
"""Between the pixels of a map, where none is missing."""
NEWTON_STEPS = 3
LARGEST_STEP = 2.0
"""Columns by which one step of Newton's method may move a vertex."""

EDGE_PIXELS = 2.0
"""Vertices closer than this to the first or last pixel of the detector are left out: cubic maps bend there."""


@dataclass(frozen=True)
class RectificationRule:
    """How the grid is laid out and when a pixel is good.

    Attributes
    ----------
    slit_step : float
        Step of the grid along the slit, unit of the slit map.
    wavelength_step : float or None
        Step in wavelength; None: the mean dispersion per column.
    degree : int
        Total degree of the polynomials that map wavelength and slit position to pixels.
    row_margin : int
        Grid rows left out at each end of the slit.
    bad_fraction : float
        A rectified pixel is bad if more than this share of its area lies off the detector.
    missing_fraction : float
        It is bad, too, if more than this share of its area has raw pixels without value under it. On the flank of a
        narrow source the rest does not stand for the whole: a fifth missing changes a pixel by up to 6 %.
    error : {"column", "area"}
        ``column``: variances such that sums along the slit have the right variance; errors of neighbouring columns
        are then correlated (see `RectifiedImage.correlation`). ``area``: sum of area times variance, which gives
        sums over many rows and columns the right variance, and single columns too large a one.
    exact_wavelengths : bool
        Move the columns of the grid from where the polynomials put them to where the map has their wavelengths.
    """

    slit_step: float
    wavelength_step: float | None = None
    degree: int = 3
    row_margin: int = 3
    bad_fraction: float = 0.2
    missing_fraction: float = 0.02
    error: ErrorRule = "column"
    exact_wavelengths: bool = True


@dataclass(frozen=True, eq=False)
class RectifiedImage:
    """A rectified order.

    Attributes
    ----------
    flux : (ns, nw) ndarray
        Flux per rectified pixel; sums are those of the raw image. NaN where bad.
    variance : (ns, nw) ndarray
        See `RectificationRule.error`.
    bad : (ns, nw) ndarray of bool
        Pixels with too little good area.
    wavelength : (nw,) ndarray
        At pixel centres.
    slit : (ns,) ndarray
        At pixel centres.
    correlation : float
        Factor by which the error of a sum over many columns exceeds the root of the summed variances (drizzle's noise
        correlation ratio, Fruchter & Hook 2002, PASP 114, 144); 1 for independent columns.
    blur : (ns, nw) ndarray, optional
        See `Rectifier.blur`.
    column_blur : (ns, nw) ndarray, optional
        See `Rectifier.column_blur`.
    """

    flux: FloatArray
    variance: FloatArray
    bad: BoolArray
    wavelength: FloatArray
    slit: FloatArray
    correlation: float = 1.0
    blur: FloatArray | None = None
    column_blur: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class Rectifier:
    """The linear map from raw to rectified pixels of one order; made once for all images of a setting.

    Attributes
    ----------
    overlap : PixelOverlap
        Raw pixels under each rectified pixel.
    shares : (k, ns, nw) ndarray
        Share of each of these raw pixels that lies in the same rectified column, all rows together.
    wavelength, slit : ndarray
        Centres of the columns and rows.
    shape : (int, int)
        Shape of the raw image.
    blur : (ns, nw) ndarray
        Variance along the slit of the light that a rectified pixel collects, unit of the slit map squared: that of
        one raw pixel where rows lie on rows, four times as much where they lie half-way between. Where raw rows run
        across rectified ones it goes up and down along the spectrum, and the width of the source's profile with it.
    column_blur : (ns, nw) ndarray
        Variance along the wavelength of what a rectified pixel collects less its mean over all pixels, columns
        squared: how much less sharply a pixel shows a feature than the mean one.
    """

    overlap: PixelOverlap
    shares: FloatArray
    wavelength: FloatArray
    slit: FloatArray
    shape: tuple[int, int]
    rule: RectificationRule
    blur: FloatArray
    column_blur: FloatArray

    def __call__(self, image: ArrayLike, variance: ArrayLike) -> RectifiedImage:
        """Rectify an image.

        Parameters
        ----------
        image, variance : (ny, nx) array_like
            In the frame of the maps; NaN is missing.

        Returns
        -------
        RectifiedImage
            Missing raw pixels are left out and the rest scaled to the full area; where they take more than the
            allowed share of a rectified pixel it is bad and NaN.

        Raises
        ------
        InputError
            If the image has not the shape of the maps.
        """
        flux, spread = np.asarray(image, dtype=np.float64), np.asarray(variance, dtype=np.float64)
        if flux.shape != self.shape or spread.shape != self.shape:
            raise InputError(f"The image has shape {flux.shape}, but the wavelength calibration {self.shape}.")
        good = np.isfinite(flux) & np.isfinite(spread)
        covered = self.overlap.sum_pixels(good)
        whole = self.overlap.areas.sum(axis=0)
        bad = covered <= (1 - self.rule.bad_fraction) * self.overlap.total
        bad |= covered <= (1 - self.rule.missing_fraction) * whole
        # area that is missing; what lies beyond the detector is not made up
        scale = np.where(bad, np.nan, whole / np.where(covered > 0, covered, 1.0))
        signal = self.overlap.sum_pixels(np.where(good, flux, 0.0)) * scale
        noise = np.where(good, spread, 0.0)
        full = self.overlap.sum_pixels(noise)
        single = self.overlap.sum_pixels(noise, self.overlap.areas * self.shares)
        ratio = full.sum() / single.sum() if single.sum() > 0 else 1.0
        used, correlation = (full, 1.0) if self.rule.error == "area" else (single, float(np.sqrt(ratio)))
        return RectifiedImage(signal, used * scale**2, bad, self.wavelength, self.slit, correlation, self.blur,
                              self.column_blur)  # fmt: skip


def plan_rectification(mask: ArrayLike, maps: CalibrationMaps, rule: RectificationRule, number: int = 1) -> Rectifier:
    """Lay the grid of an order and find the raw pixels under it.

    Parameters
    ----------
    mask : (ny, nx) array_like of int
        Order numbers, see `sofia_engine.spectroscopy.orders.make_order_mask`.
    maps : CalibrationMaps
        In the same frame.
    rule : RectificationRule
        Grid steps and margins.
    number : int
        The order.

    Raises
    ------
    StepError
        If no grid cell lies on the detector.

    Notes
    -----
    Pixel coordinates are fitted as polynomials of wavelength and slit position over the pixels of the order, and
    evaluated at the vertices of the grid; a rectified pixel is the quadrilateral between four vertices. Flux is
    distributed by area, as in Smith et al. 2007, PASP, 119, 1133. Cubic polynomials miss the wavelengths of some
    published maps by up to half a column (G063 of 2020), one by 1.5, so columns are then moved to where the map itself
    has their wavelength; the size of the grid stays as published.
    """
    order = np.asarray(mask) == number
    order &= np.isfinite(maps.wavelength) & np.isfinite(maps.slit)
    y, x = np.nonzero(order)
    if y.size == 0:
        raise StepError(f"Problem in rectification: no pixel of order {number} has a wavelength and a slit position.")
    wavelength, slit = maps.wavelength[order], maps.slit[order]
    step = rule.wavelength_step or (wavelength.max() - wavelength.min()) / max(x.max() - x.min(), 1)
    wave_vertices = wavelength.min() + step * np.arange(_count_steps(np.ptp(wavelength), step))
    slit_vertices = slit.min() + rule.slit_step * np.arange(_count_steps(np.ptp(slit), rule.slit_step))
    slit_vertices = slit_vertices[rule.row_margin : slit_vertices.size - rule.row_margin]
    points = np.stack([slit, wavelength])
    grid = [fit_polynomial(points, values, rule.degree).on_grid(slit_vertices, wave_vertices) for values in (y, x)]
    rows, columns = _trim(grid[0], grid[1], order.shape)
    y_vertices, x_vertices = (vertices[rows, columns] + 0.5 for vertices in grid)
    if min(y_vertices.shape) < 2:
        raise StepError(f"Problem in rectification: the grid of order {number} lies outside the detector.")
    if rule.exact_wavelengths:
        x_vertices = _meet_wavelengths(x_vertices, y_vertices, maps.wavelength, wave_vertices[columns])
    overlap = overlap_grid(x_vertices, y_vertices, order.shape)
    centers = wave_vertices[columns][:-1] + step / 2, slit_vertices[rows][:-1] + rule.slit_step / 2
    blur = _measure_blur(overlap, maps.slit, centers[1][:, np.newaxis])
    across = _measure_blur(overlap, maps.wavelength, centers[0]) / step**2
    shares = _share_columns(overlap, order.size)
    return Rectifier(overlap, shares, *centers, order.shape, rule, blur, across - across.mean())


def _meet_wavelengths(x: FloatArray, y: FloatArray, wave_map: FloatArray, wavelength: FloatArray) -> FloatArray:
    """Columns (pixel edges are whole numbers) at which the map has the wavelengths, by Newton's method along its rows.

    Where the map ends, vertices move as their neighbours along the slit do.
    """
    slope = np.gradient(wave_map, axis=1)
    moved = x.copy()
    for _ in range(NEWTON_STEPS):
        place = np.stack([y, moved]) - 0.5
        here, rise = (interpolate_image(part, place, WHOLE) for part in (wave_map, slope))
        with np.errstate(divide="ignore", invalid="ignore"):
            step = (wavelength - here) / rise
        moved = moved + np.clip(step, -LARGEST_STEP, LARGEST_STEP)
    return x + _extend(moved - x)


def _extend(values: FloatArray) -> FloatArray:
    """Columns with their NaNs replaced by the nearest other value of the column; 0 if there is none."""
    rows, known, whole = np.arange(len(values)), np.isfinite(values), np.nan_to_num(values)
    for column in np.flatnonzero(~known.all(axis=0) & known.any(axis=0)):
        there = known[:, column]
        whole[:, column] = np.interp(rows, rows[there], values[there, column])
    return whole


def _count_steps(length: float, step: float) -> int:
    return int(length / step) + 1


def _trim(y: FloatArray, x: FloatArray, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns of the vertices that stay clear of the edge of the detector."""
    if y.size == 0:
        return slice(0, 0), slice(0, 0)
    inside = (x > EDGE_PIXELS) & (x < shape[1] - EDGE_PIXELS)
    columns = _span(np.all(inside, axis=0))
    inside = (y[:, columns] > EDGE_PIXELS) & (y[:, columns] < shape[0] - EDGE_PIXELS)
    return _span(np.all(inside, axis=1)), columns


def _span(kept: ArrayLike) -> slice:
    """From the first to the last kept index."""
    indices = np.flatnonzero(kept)
    return slice(int(indices[0]), int(indices[-1]) + 1) if indices.size else slice(0, 0)


def _share_columns(overlap: PixelOverlap, pixel_count: int) -> FloatArray:
    """For each area: the sum of all areas of the same raw pixel in the same rectified column."""
    columns = np.broadcast_to(np.arange(overlap.total.shape[1]), overlap.areas.shape)
    keys = columns * pixel_count + overlap.pixels
    sums = np.bincount(keys.ravel(), overlap.areas.ravel(), minlength=overlap.total.shape[1] * pixel_count)
    shares: FloatArray = sums[keys]
    return shares


def _measure_blur(overlap: PixelOverlap, plane: FloatArray, centers: FloatArray) -> FloatArray:
    """Variance of a map over what each rectified pixel collects: spread of its raw pixels, and their own size."""
    along, across = np.gradient(plane)
    own = np.nan_to_num((across**2 + along**2) / 12).ravel()
    place, there = np.nan_to_num(plane).ravel(), np.isfinite(plane).ravel()
    weight, mean, square = (np.zeros(overlap.total.shape) for _ in range(3))
    for area, pixel in zip(overlap.areas, overlap.pixels, strict=True):
        known = area * there[pixel]  # maps end at the edges of the order
        distance = place[pixel] - centers
        weight += known
        mean += known * distance
        square += known * (distance**2 + own[pixel])
    weight = np.where(weight > 0, weight, np.inf)
    blur: FloatArray = square / weight - (mean / weight) ** 2
    return blur


def keep_detector_grid(image: ArrayLike, variance: ArrayLike, mask: ArrayLike, number: int = 1) -> RectifiedImage:
    """Treat a raw image as if it were rectified, for data without calibration: wavelength and slit are pixel numbers.

    Returns
    -------
    RectifiedImage
        Same shape; pixels off the order are NaN and bad.
    """
    flux, spread = np.asarray(image, dtype=np.float64), np.asarray(variance, dtype=np.float64)
    inside = np.asarray(mask) == number
    bad = ~inside | ~np.isfinite(flux)
    axes = (np.arange(flux.shape[1], dtype=np.float64), np.arange(flux.shape[0], dtype=np.float64))
    return RectifiedImage(np.where(inside, flux, np.nan), np.where(inside, spread, np.nan), bad, *axes)


def cut_order(
    image: ArrayLike, variance: ArrayLike, mask: ArrayLike, maps: CalibrationMaps, number: int
) -> RectifiedImage:
    """Cut the box of an order out of an image that is rectified already.

    Returns
    -------
    RectifiedImage
        Wavelengths are those of the first row of the box, slit positions those of its first column.

    Raises
    ------
    StepError
        If the order is empty.
    """
    inside: BoolArray = np.asarray(np.asarray(mask) == number)
    rows, columns = _span(np.any(inside, axis=1)), _span(np.any(inside, axis=0))
    box = inside[rows, columns]
    if box.size == 0:
        raise StepError(f"Problem in rectification: order {number} has no pixel.")
    flux, spread = (np.asarray(array, dtype=np.float64)[rows, columns] for array in (image, variance))
    wavelength, slit = maps.wavelength[rows, columns][0], maps.slit[rows, columns][:, 0]
    return RectifiedImage(np.where(box, flux, np.nan), np.where(box, spread, np.nan), ~box | ~np.isfinite(flux),
                          wavelength.copy(), slit.copy())  # fmt: skip
