"""Cuts through cubes along a path: position against wavelength."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import InputError
from sofia_viewers.cube.cube import Cube
from sofia_viewers.cube.moments import Progress
from sofia_viewers.cube.samples import Samples

__all__ = ["PathCut", "cut_along", "sample_path"]

FloatArray = NDArray[np.float64]
Point = tuple[float, float]


@dataclass(frozen=True, eq=False)
class PathCut:
    """A cut.

    Parameters
    ----------
    values : (n_wave, n_position) ndarray
        Mean over the width of the path; NaN where the cube has nothing.
    error : (n_wave, n_position) ndarray or None
        1-sigma, as if pixels were independent.
    offset : (n_position,) ndarray
        Distance along the path, arcsec from its first point (pixels without coordinates on the sky).
    offset_unit : str
        ``arcsec`` or ``pixel``.
    wave : (n_wave,) ndarray
        Wavelengths of the cube.
    wave_unit, unit : str
        Units of wavelengths and values.
    sky : (n_position, 2) ndarray or None
        RA and Dec (or other longitude and latitude) of the positions, degrees.
    """

    values: FloatArray
    error: FloatArray | None
    offset: FloatArray
    offset_unit: str
    wave: FloatArray
    wave_unit: str
    unit: str
    sky: FloatArray | None


def sample_path(points: Sequence[Point], step: float = 1.0) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Place points along a path at equal distances.

    Parameters
    ----------
    points : sequence of (float, float)
        Corners of the path, pixels (x, y).
    step : float
        Distance of the points, pixels.

    Returns
    -------
    (ndarray, ndarray, ndarray)
        (n, 2) positions, (n, 2) unit vectors across the path, and (n,) distances from the first point.

    Raises
    ------
    InputError
        If the path has no length.
    """
    corners = np.asarray(points, dtype=float)
    sides = np.diff(corners, axis=0)
    lengths = np.hypot(sides[:, 0], sides[:, 1])
    sides, corners, lengths = sides[lengths > 0], corners[:-1][lengths > 0], lengths[lengths > 0]
    if not lengths.size:
        raise InputError("The path has no length: draw a line over the cube.")
    ends = np.concatenate([[0.0], np.cumsum(lengths)])
    distance = np.arange(0.0, ends[-1] + 1e-9, step)
    side = np.clip(np.searchsorted(ends, distance, side="right") - 1, 0, len(lengths) - 1)
    along = sides[side] / lengths[side, None]
    places = corners[side] + along * (distance - ends[side])[:, None]
    return places, np.column_stack([-along[:, 1], along[:, 0]]), distance


def cut_along(
    cube: Cube, points: Sequence[Point], *, width: float = 1.0, step: float = 1.0, progress: Progress = lambda _: None
) -> PathCut:
    """Cut a cube along a path.

    Parameters
    ----------
    cube : Cube
        The cube; read slice by slice, only around the path.
    points : sequence of (float, float)
        Corners of the path, pixels (x, y).
    width : float
        Pixels across the path that are averaged.
    step : float
        Distance of the positions, pixels.
    progress : callable
        Called with the fraction done; raises to stop.

    Raises
    ------
    InputError
        If the path has no length, or lies outside the cube.
    """
    places, across, distance = sample_path(points, step)
    count = max(1, round(width))
    shifts = (np.arange(count) - (count - 1) / 2.0) * (width / count)
    spread = places[:, None] + across[:, None] * shifts[None, :, None]
    stencil = _make_stencil(spread, cube.shape[1:])
    error_name = cube.error_of()
    values = _apply(cube.samples(), stencil, progress)
    error = _apply_errors(cube.samples(error_name), stencil) if error_name else None
    arcsec = cube.wcs is not None
    sky = np.asarray(cube.wcs.wcs_pix2world(places, 0)) if arcsec else None
    return PathCut(
        values, error, distance * (cube.pixel_scale if arcsec else 1.0), "arcsec" if arcsec else "pixel", cube.wave,
        cube.wave_unit, cube.flux.unit, sky,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Stencil:
    """Pixels that make each position: a box of the slice, and weights of four neighbours of each sample."""

    rows: slice
    columns: slice
    index: NDArray[np.intp]
    weight: FloatArray


def _make_stencil(spread: FloatArray, shape: tuple[int, int]) -> _Stencil:
    x, y = spread[..., 0], spread[..., 1]
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = x - x0, y - y0
    xs = np.stack([x0, x0 + 1, x0, x0 + 1], axis=-1)
    ys = np.stack([y0, y0, y0 + 1, y0 + 1], axis=-1)
    weight = np.stack([(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy], axis=-1)
    inside = (xs >= 0) & (ys >= 0) & (xs < shape[1]) & (ys < shape[0])
    weight = np.where(inside, weight, 0.0)
    if not (weight > 0).any():
        raise InputError("The path lies outside the cube: draw it over the data.")
    xs, ys = np.clip(xs, 0, shape[1] - 1), np.clip(ys, 0, shape[0] - 1)
    rows, columns = slice(int(ys.min()), int(ys.max()) + 1), slice(int(xs.min()), int(xs.max()) + 1)
    index = (ys - rows.start) * (columns.stop - columns.start) + xs - columns.start
    return _Stencil(rows, columns, *_merge(index.reshape(len(spread), -1), weight.reshape(len(spread), -1)))


def _merge(index: NDArray[np.intp], weight: FloatArray) -> tuple[NDArray[np.intp], FloatArray]:
    """Give each pixel of a position one weight: samples side by side share pixels, whose errors are the same."""
    order = np.argsort(index, axis=1)
    index, weight = np.take_along_axis(index, order, axis=1), np.take_along_axis(weight, order, axis=1)
    for place in range(index.shape[1] - 1, 0, -1):
        shared = np.where(index[:, place] == index[:, place - 1], weight[:, place], 0.0)
        weight[:, place - 1] += shared
        weight[:, place] -= shared
    return index, weight


def _apply(samples: Samples, stencil: _Stencil, progress: Progress) -> FloatArray:
    """Average the pixels of each position, slice by slice; a position is NaN if under half of its weight is known."""
    result = np.full((samples.shape[0], len(stencil.index)), np.nan)
    whole = stencil.weight.sum(axis=1)
    for wave in range(samples.shape[0]):
        image = samples[wave, stencil.rows, stencil.columns].ravel()
        values = image[stencil.index].astype(float)
        weight = np.where(np.isfinite(values), stencil.weight, 0.0)
        total = weight.sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = (np.where(np.isfinite(values), values, 0.0) * weight).sum(axis=1) / total
        result[wave] = np.where((total > 0) & (total >= 0.5 * whole), mean, np.nan)
        if wave % 64 == 0:
            progress(wave / samples.shape[0])
            samples.release()
    samples.release()
    return result


def _apply_errors(samples: Samples, stencil: _Stencil) -> FloatArray:
    result = np.full((samples.shape[0], len(stencil.index)), np.nan)
    for wave in range(samples.shape[0]):
        values = samples[wave, stencil.rows, stencil.columns].ravel()[stencil.index].astype(float)
        weight = np.where(np.isfinite(values), stencil.weight, 0.0)
        total = weight.sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            squares = ((np.where(np.isfinite(values), values, 0.0) * weight) ** 2).sum(axis=1)
            result[wave] = np.where(total > 0, np.sqrt(squares) / total, np.nan)
        if wave % 64 == 0:
            samples.release()
    samples.release()
    return result
