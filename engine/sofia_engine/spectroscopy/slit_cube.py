"""Spectral cubes from slit scans: slit images at several positions on the sky, resampled on (wavelength, y, x)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sofia_engine.errors import InputError
from sofia_engine.numerics.resampling import AdaptiveSmoothing, LocalRegression, Resampler
from sofia_engine.numerics.tangent_plane import TangentPlane

if TYPE_CHECKING:
    from sofia_engine.numerics.arrays import BoolArray, FloatArray, IndexArray

__all__ = ["CubeGrid", "CubeRule", "SlitImage", "SpectralCube", "add_exposures", "plan_cube", "resample_cube"]

WAVE_WINDOW, WAVE_SMOOTHING = 2.0, 1.0
"""Window and smoothing along the wavelength, columns."""
LARGEST_WAVE_ORDER = 1
"""In the window lie a column and its neighbours, too few for a curve."""
COLUMNS_PER_BLOCK = 16
LARGEST_ERROR = 10.0
"""Polynomials that multiply the largest error of the samples by more are extrapolated from samples nearly in line."""
ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class SlitImage:
    """A rectified spectral image of one slit position.

    Attributes
    ----------
    flux, error : (ns, nw) ndarray
        NaN is bad.
    plane : TangentPlane
        Celestial coordinates of pixels (across, along) the slit; the slit lies at 0 across.
    width : float
        Of the slit, pixels.
    exposure : float
        Seconds.
    offset : (float, float)
        Added to positions (x, y) in the cube, pixels, for example against the motion of the target.
    """

    flux: FloatArray
    error: FloatArray
    plane: TangentPlane
    width: float
    exposure: float
    offset: tuple[float, float] = (0.0, 0.0)

    def locate(self, plane: TangentPlane, across: FloatArray, along: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Positions (x, y) on another plane of positions on this one."""
        x, y = plane.to_pixel(*self.plane.to_sky(across, along))
        return x + self.offset[0], y + self.offset[1]


@dataclass(frozen=True)
class CubeRule:
    """How the cube is resampled.

    Attributes
    ----------
    order : int
        Degree of the local polynomials in space; in wavelength they are straight at most.
    window, smoothing : float
        Radius of the spatial window and standard deviation of the spatial distance weights, pixels.
    edge_threshold : float
        How far from the samples' middle points may lie, see `sofia_engine.numerics.resampling.LocalRegression`.
    weighted : bool
        Weight samples with their inverse variances.
    adaptive : {"none", "scaled", "shaped"}
        Let the distance weights follow the data, see `sofia_engine.numerics.resampling.AdaptiveSmoothing`; not along
        the wavelength. Needs a degree of at least 1 and errors as weights.
    """

    order: int = 0
    window: float = 7.0
    smoothing: float = 2.0
    edge_threshold: float = 0.0
    weighted: bool = True
    adaptive: Literal["none", "scaled", "shaped"] = "none"

    @property
    def is_plain_mean(self) -> bool:
        """Whether points are weighted means and nothing else, as by default."""
        return self.order == 0 and self.weighted and self.adaptive == "none" and self.edge_threshold == 0

    def describe(self) -> LocalRegression:
        """The same as a rule of the resampling engine, for coordinates x, y, wavelength."""
        # samples without a kernel of their own are used with that of the first fit: borders are not lost
        smoothing = None if self.adaptive == "none" else AdaptiveSmoothing(self.adaptive, (1.0, 1.0, 0.0), True)
        return LocalRegression(
            window=(self.window, self.window, WAVE_WINDOW),
            order=self.order if self.order <= LARGEST_WAVE_ORDER else (self.order, self.order, LARGEST_WAVE_ORDER),
            smoothing=(self.smoothing, self.smoothing, WAVE_SMOOTHING),
            adaptive=smoothing,
            edge_threshold=(self.edge_threshold, self.edge_threshold, 0.0),
            error_weighting=self.weighted,
        )


@dataclass(frozen=True)
class CubeGrid:
    """Shape (ny, nx) of the images of a cube, their coordinates, and the columns of the slit images it covers."""

    shape: tuple[int, int]
    plane: TangentPlane
    columns: slice


@dataclass(frozen=True, eq=False)
class SpectralCube:
    """Flux and error (nw, ny, nx) per pixel; NaN where there is none."""

    flux: FloatArray
    error: FloatArray


def plan_cube(images: Sequence[SlitImage]) -> CubeGrid:
    """Lay the grid: north up, east to the left, pixels as large as the rows of the slit, around all good rows.

    Parameters
    ----------
    images : sequence of SlitImage
        Slit images of equal wavelengths; the first gives the reference position.

    Raises
    ------
    InputError
        If there is no good pixel.
    """
    first = images[0].plane
    scale = math.hypot(first.matrix[0][1], first.matrix[1][1])
    upright = TangentPlane((0.0, 0.0), first.sky, ((-scale, 0.0), (0.0, scale)))
    places = []
    used = np.zeros(images[0].flux.shape[1], dtype=bool)
    for image in images:
        good = np.isfinite(image.flux) & np.isfinite(image.error)
        used |= good.any(axis=0)
        rows = np.flatnonzero(good.any(axis=1)).astype(float)
        places.append(np.stack(image.locate(upright, np.zeros_like(rows), rows)))
    points = np.concatenate(places, axis=1)
    if not points.size:
        raise InputError("There is no good pixel in any of the images; no cube can be made.")
    low, high = points.min(axis=1), points.max(axis=1)
    width, height = (int(n) for n in np.ceil(high - ROUNDING) - np.floor(low + ROUNDING) + 1)
    columns = np.flatnonzero(used)
    plane = replace(upright, pixel=(-float(low[0]), -float(low[1])))
    return CubeGrid((height, width), plane, slice(int(columns[0]), int(columns[-1]) + 1))


def resample_cube(
    images: Sequence[SlitImage], grid: CubeGrid, rule: CubeRule, progress: Callable[[int, int], None] | None = None
) -> SpectralCube:
    """Resample slit images on the grid of a cube.

    Parameters
    ----------
    images : sequence of SlitImage
        All slit positions.
    grid : CubeGrid
        See `plan_cube`.
    rule : CubeRule
        Windows and weights.
    progress : callable, optional
        Called with the number of finished columns and of all.

    Returns
    -------
    SpectralCube
        Flux per slit pixel, the light of the width of the slit, divided by that width: so it is flux per pixel.

    Notes
    -----
    Blocks of wavelengths are resampled one after the other; only points with a sample within the window are looked at.
    So the memory needed is that of the cube, the samples and one block.
    """
    samples = _Samples.collect(images, grid)
    pixels = _find_near(samples, grid, rule.window)
    count = grid.columns.stop - grid.columns.start
    cube = SpectralCube(*(np.full((count, *grid.shape), np.nan) for _ in range(2)))
    if rule.is_plain_mean:
        cube.flux[:, pixels[0], pixels[1]], cube.error[:, pixels[0], pixels[1]] = _average(samples, pixels, rule)
        if progress is not None:
            progress(count, count)
        return cube
    resampler, limit = samples.prepare(rule.describe())
    for start in range(0, count, COLUMNS_PER_BLOCK):
        stop = min(start + COLUMNS_PER_BLOCK, count)
        waves = np.arange(start, stop, dtype=np.float64)
        points = np.empty((3, waves.size, pixels.shape[1]))
        points[0], points[1], points[2] = pixels[1], pixels[0], waves[:, np.newaxis]
        fit = resampler(points.reshape(3, -1))
        known = fit.errors <= limit
        for plane, values in ((cube.flux, fit.values), (cube.error, fit.errors)):
            plane[start:stop, pixels[0], pixels[1]] = np.where(known, values, np.nan).reshape(points.shape[1:])
        if progress is not None:
            progress(stop, count)
    return cube


@dataclass(frozen=True, eq=False)
class _Samples:
    """Rows of all slits: positions x, y (n), flux and error (n, nw) per pixel."""

    x: FloatArray
    y: FloatArray
    flux: FloatArray
    error: FloatArray

    @classmethod
    def collect(cls, images: Sequence[SlitImage], grid: CubeGrid) -> _Samples:
        parts = []
        for image in images:
            rows = np.arange(len(image.flux), dtype=np.float64)
            x, y = image.locate(grid.plane, np.zeros_like(rows), rows)
            columns = grid.columns
            parts.append((x, y, image.flux[:, columns] / image.width, image.error[:, columns] / image.width))
        return cls(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    def prepare(self, rule: LocalRegression) -> tuple[Resampler, float]:
        """The good samples in a resampler with coordinates x, y, column; and the largest error that means something."""
        row, column = np.nonzero(np.isfinite(self.flux) & np.isfinite(self.error) & (self.error > 0))
        coordinates = np.stack([self.x[row], self.y[row], column.astype(np.float64)])
        error = self.error[row, column]
        limit = LARGEST_ERROR * float(error.max(initial=0.0))
        return Resampler(coordinates, self.flux[row, column], error, rule), limit


def _find_near(samples: _Samples, grid: CubeGrid, window: float) -> IndexArray:
    """Rows and columns (2, n) of the pixels with a sample within the window."""
    ny, nx = grid.shape
    near = np.zeros((ny, nx), dtype=bool)
    reach = math.ceil(window)
    steps = np.arange(-reach, reach + 1)
    columns = np.rint(samples.x).astype(int)[:, np.newaxis, np.newaxis] + steps
    rows = np.rint(samples.y).astype(int)[:, np.newaxis, np.newaxis] + steps[:, np.newaxis]
    distance = np.hypot(columns - samples.x[:, np.newaxis, np.newaxis], rows - samples.y[:, np.newaxis, np.newaxis])
    rows, columns = np.broadcast_arrays(rows, columns)
    inside: BoolArray = (distance <= window) & (rows >= 0) & (rows < ny) & (columns >= 0) & (columns < nx)
    near[rows[inside], columns[inside]] = True
    return np.stack(np.nonzero(near))


def _average(samples: _Samples, pixels: IndexArray, rule: CubeRule) -> tuple[FloatArray, FloatArray]:
    """Weighted means (nw, n) at some pixels, and their errors: what local polynomials of degree 0 are.

    Samples have the wavelengths of the cube, so the distance weights of each step in wavelength are one matrix of
    pixels and slit rows for all wavelengths: sums are products of matrices, in an eighth of the processor time.
    """
    good = np.isfinite(samples.flux) & np.isfinite(samples.error) & (samples.error > 0)
    if not good.any():
        raise ValueError("no sample is usable: all data are missing")
    precision = np.where(good, 1.0 / np.where(good, samples.error, 1.0) ** 2, 0.0)
    signal = precision * np.where(good, samples.flux, 0.0)
    total, noise, flux = np.zeros((3, pixels.shape[1], samples.flux.shape[1]))
    for step in range(-math.ceil(WAVE_WINDOW), math.ceil(WAVE_WINDOW) + 1):
        weight = _weigh_rows(samples, pixels, rule, step)
        here, there = _overlap_columns(samples.flux.shape[1], step)
        total[:, here] += weight @ precision[:, there]
        noise[:, here] += weight.power(2) @ precision[:, there]
        flux[:, here] += weight @ signal[:, there]
    known = total > 0
    total = np.where(known, total, 1.0)
    mean, error = np.where(known, flux / total, np.nan), np.where(known, np.sqrt(noise) / total, np.nan)
    return mean.T, error.T


def _weigh_rows(samples: _Samples, pixels: IndexArray, rule: CubeRule, step: int) -> Any:
    """Distance weights of slit rows in the windows of pixels, so many columns off: a sparse matrix (n, rows)."""
    from scipy.sparse import csr_array

    shape = (pixels.shape[1], samples.x.size)
    column, row = np.nonzero(
        (np.abs(pixels[1] - samples.x[:, np.newaxis]) <= rule.window)
        & (np.abs(pixels[0] - samples.y[:, np.newaxis]) <= rule.window)
    )
    square = (pixels[1][row] - samples.x[column]) ** 2 + (pixels[0][row] - samples.y[column]) ** 2
    inside = square / rule.window**2 + (step / WAVE_WINDOW) ** 2 <= 1
    weight = np.exp(-0.5 * (square[inside] / rule.smoothing**2 + (step / WAVE_SMOOTHING) ** 2))
    return csr_array((weight, (row[inside], column[inside])), shape)


def _overlap_columns(count: int, step: int) -> tuple[slice, slice]:
    """Columns that have one `step` further on, and those."""
    rest = max(count - abs(step), 0)
    return slice(max(0, -step), max(0, -step) + rest), slice(max(0, step), max(0, step) + rest)


def add_exposures(images: Sequence[SlitImage], grid: CubeGrid) -> FloatArray:
    """Sum the exposure times of the slits over each pixel.

    Returns
    -------
    (ny, nx) ndarray
        Seconds; a slit counts for the pixels whose centres it covers.
    """
    ny, nx = grid.shape
    y, x = np.indices((ny, nx), dtype=np.float64)
    total = np.zeros((ny, nx))
    for image in images:
        sky = grid.plane.to_sky(x - image.offset[0], y - image.offset[1])
        across, along = image.plane.to_pixel(*sky)
        covered = (np.abs(across) <= image.width / 2) & (along >= -0.5) & (along < len(image.flux) - 0.5)
        total[covered] += image.exposure
    return total
