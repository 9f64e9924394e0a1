"""Moments 0 to 4 of lines in cubes, with errors.

With w_i = F_i dv_i the moments are M0 = sum w_i, M1 = sum w_i v_i / M0, and central moments
mu_k = sum w_i (v_i - M1)^k / M0; dispersion is sqrt(mu_2), skewness mu_3/mu_2^1.5, kurtosis mu_4/mu_2^2. Errors are
those of independent slices, to first order: d mu_k / d w_i = [(v_i - M1)^k - mu_k - k mu_{k-1} (v_i - M1)] / M0.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import StepError
from sofia_viewers.cube.continuum import CLIP, ContinuumFit, PowerScale, choose_windows, fit_continuum
from sofia_viewers.cube.cube import Cube
from sofia_viewers.cube.entries import MapImage
from sofia_viewers.cube.samples import Words, find_block_length
from sofia_viewers.spectrum.units import Convention, velocity_of_wave

__all__ = [
    "MOMENT_NAMES",
    "LineRange",
    "Moments",
    "Progress",
    "compute_moment_maps",
    "find_axis",
    "find_widths",
    "fit_level",
    "measure_moments",
    "read_pixels",
]

FloatArray = NDArray[np.float64]
Progress = Callable[[float], None]

MOMENT_NAMES = ("Moment 0", "Moment 1", "Moment 2", "Moment 3", "Moment 4")
_LIGHT_UM = 2.99792458e14
_JANSKY = 1e-26
_DIVERGING = "coolwarm"
_N_THREADS = min(os.cpu_count() or 1, 4)
_MAPPED_FOR_COPIED = 4


@dataclass(frozen=True)
class LineRange:
    """Which part of the spectra holds the line, and how the continuum is found.

    Parameters
    ----------
    low, high : float
        Wavelengths of the line, in the unit of the cube.
    windows : tuple of (float, float)
        Where the continuum is fitted; empty for all wavelengths outside the line.
    degree : int or None
        Degree of the continuum; None if the cube has none.
    rest : float or None
        Rest wavelength (μm) of velocities; None leaves moments in wavelengths.
    convention : {"optical", "radio", "relativistic"}
        What velocity means.
    least_snr : float
        Signal-to-noise of the integrated flux from which higher moments are given; others are NaN.
    clip : float
        Slices fainter than this many times their error are left out; 0 for none. Clipping biases faint lines.
    """

    low: float
    high: float
    windows: tuple[tuple[float, float], ...] = ()
    degree: int | None = 1
    rest: float | None = None
    convention: Convention = "optical"
    least_snr: float = 3.0
    clip: float = 0.0


@dataclass(frozen=True, eq=False)
class Moments:
    """Moments of many lines and their 1-sigma errors, (5, n): flux, centre, dispersion, skewness, kurtosis."""

    values: FloatArray
    errors: FloatArray


def measure_moments(
    axis: FloatArray,
    widths: FloatArray,
    flux: FloatArray,
    error: FloatArray,
    level: ContinuumFit | None = None,
    wave: FloatArray | None = None,
) -> Moments:
    """Measure the moments of many lines.

    Parameters
    ----------
    axis : (m,) ndarray
        Velocities or wavelengths.
    widths : (m,) ndarray
        What a slice counts in the integrated flux: its width, with any change of unit.
    flux, error : (m, n) ndarray
        Line without continuum, and 1-sigma errors; NaN is left out.
    level : ContinuumFit, optional
        The continuum that was taken away: its error, the same in all slices of a line, is added.
    wave : (m,) ndarray, optional
        Wavelengths of the slices, for the continuum.

    Returns
    -------
    Moments
        NaN where the integrated flux is not positive (but for the flux itself).
    """
    from sofia_viewers.cube import _maps_kernel

    count = flux.shape[1]
    degree = 0 if level is None or wave is None else len(level.coefficients)
    powers, covariance = np.empty((degree, len(axis))), np.empty((count, degree, degree))
    if level is not None and wave is not None:
        powers, covariance = np.ascontiguousarray(level.find_powers(wave).T), level.covariance
    found, errors = np.empty((count, 5)), np.empty((count, 5))
    lines = (np.ascontiguousarray(part.T, dtype=float) for part in (flux, error))
    _maps_kernel.measure_lines(*_make_axis(axis, widths), *lines, powers, covariance, found, errors)
    return Moments(np.ascontiguousarray(found.T), np.ascontiguousarray(errors.T))


def _make_axis(axis: FloatArray, widths: FloatArray) -> FloatArray:
    """Return velocities of slices, their steps, and what each counts in the flux, (3, m)."""
    return np.stack([axis, np.abs(np.gradient(axis)), widths]).astype(float)


def compute_moment_maps(
    cube: Cube,
    line: LineRange,
    *,
    mask: NDArray[np.bool_] | None = None,
    progress: Progress = lambda _: None,
) -> dict[str, MapImage]:
    """Compute maps of moments 0 to 4 and of the continuum under the line.

    Parameters
    ----------
    cube : Cube
        The cube; read in blocks of rows.
    line : LineRange
        Line, continuum, velocities.
    mask : (n_y, n_x) bool ndarray, optional
        Which pixels to measure.
    progress : callable
        Called with the fraction done; raises to stop.

    Raises
    ------
    StepError
        If the range holds fewer than three slices.
    """
    waves = cube.find_slices(line.low, line.high)
    if waves.stop - waves.start < 3:
        raise StepError("The range of the line holds fewer than three slices: select a wider one in the spectrum.")
    axis, unit = find_axis(cube, line, waves)
    widths, flux_unit = find_widths(cube, waves)
    maps = _measure_rows(cube, line, _plan(cube, line, waves, widths, axis), mask, progress)
    with np.errstate(invalid="ignore"):
        faint = ~(maps[0, 0] >= line.least_snr * maps[1, 0])
    if np.nanmax(maps[1, 0], initial=0.0) > 0:
        maps[:, 1:5, faint] = np.nan
    return _name_maps(cube, line, maps, (flux_unit, unit))


@dataclass(frozen=True, eq=False)
class _Plan:
    """What is the same for all pixels: slices and powers of the continuum, slices, powers and axis of the line."""

    use: NDArray[np.int64]
    use_powers: FloatArray
    start: int
    line_powers: FloatArray
    axis: FloatArray


def _plan(cube: Cube, line: LineRange, waves: slice, widths: FloatArray, axis: FloatArray) -> _Plan:
    use = _choose_continuum(cube, line, waves)
    if line.degree is None:
        none = np.empty((0, waves.stop - waves.start))
        return _Plan(use, np.empty((0, len(use))), waves.start, none, _make_axis(axis, widths))
    scale = PowerScale.of(cube.wave[use], line.degree)
    powers = [np.ascontiguousarray(scale.find_powers(wave).T) for wave in (cube.wave[use], cube.wave[waves])]
    return _Plan(use, powers[0], waves.start, powers[1], _make_axis(axis, widths))


def _choose_continuum(cube: Cube, line: LineRange, waves: slice) -> NDArray[np.int64]:
    """Return the slices in which the continuum beside a line is fitted."""
    use = choose_windows(cube.wave, line.windows)
    use[waves] = False
    return np.flatnonzero(use)


def _measure_rows(
    cube: Cube, line: LineRange, plan: _Plan, mask: NDArray[np.bool_] | None, progress: Progress
) -> FloatArray:
    """Return maps (2, 6, n_y, n_x), measured in threads, blocks of rows at a time."""
    n_y = cube.shape[1]
    maps = np.empty((2, 6, *cube.shape[1:]))
    wanted = np.ones(cube.shape[1:], dtype=bool) if mask is None else mask
    length = _find_rows(cube)
    work = partial(_measure_block, cube, line, plan, wanted, maps)
    waiting: deque[tuple[int, Future[None]]] = deque()
    with ThreadPoolExecutor(_N_THREADS) as pool:
        for first in range(0, n_y, length):
            rows = slice(first, min(first + length, n_y))
            waiting.append((rows.stop, pool.submit(work, rows)))
            if len(waiting) > _N_THREADS:
                _await_block(waiting, progress, n_y)
        while waiting:
            _await_block(waiting, progress, n_y)
    return maps


def _await_block(waiting: deque[tuple[int, Future[None]]], progress: Progress, n_y: int) -> None:
    stop, done = waiting.popleft()
    done.result()
    progress(stop / n_y)


def _find_rows(cube: Cube) -> int:
    """Return how many rows make a block: few of what is computed and copied, more of what is mapped."""
    length = find_block_length(4 * cube.shape[0] * cube.shape[2])
    return length if cube.samples().words is None else _MAPPED_FOR_COPIED * length


def _measure_block(
    cube: Cube, line: LineRange, plan: _Plan, mask: NDArray[np.bool_], maps: FloatArray, rows: slice
) -> None:
    """Fill some rows of the maps; what of a mapped file was read is given back."""
    from sofia_viewers.cube import _maps_kernel

    box = (slice(0, cube.shape[0]), rows, slice(0, cube.shape[2]))
    samples, name = cube.samples(), cube.error_of()
    flux = samples.find_words(*box)
    error = Words(np.empty((0, 0, 0), np.uint32)) if name is None else cube.samples(name).find_words(*box)
    _maps_kernel.measure_pixels(
        flux.array, flux.swapped, flux.corner[1], error.array, error.swapped, error.corner[1], mask[rows], plan.use,
        plan.start, plan.use_powers, plan.line_powers, plan.axis, line.clip, CLIP, maps[:, :, rows],
    )  # fmt: skip
    samples.release()
    if name is not None:
        cube.samples(name).release()


def read_pixels(
    cube: Cube, mask: NDArray[np.bool_] | None, progress: Progress
) -> Iterator[tuple[slice, FloatArray, FloatArray]]:
    """Give blocks of rows: which, and values and errors as (n_wave, pixels); masked pixels are NaN.

    Without a plane of errors they are one robust scatter of the second differences along each pixel's spectrum.
    """
    samples, error_name = cube.samples(), cube.error_of()
    every = slice(0, cube.shape[0])
    for rows, block in samples.row_blocks(slice(0, cube.shape[1]), every):
        flux = block.reshape(block.shape[0], -1).astype(float)
        if error_name:
            error = cube.samples(error_name)[every, rows].reshape(flux.shape).astype(float)
            cube.samples(error_name).release()
        else:
            error = np.broadcast_to(_estimate_noise(flux), flux.shape).copy()
        if mask is not None:
            flux[:, ~mask[rows].ravel()] = np.nan
        yield rows, flux, error
        progress(rows.stop / cube.shape[1])


def _estimate_noise(flux: FloatArray) -> FloatArray:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(1.4826 * np.nanmedian(np.abs(np.diff(flux, 2, axis=0)), axis=0) / np.sqrt(6.0))


def fit_level(cube: Cube, line: LineRange, flux: FloatArray, error: FloatArray, waves: slice) -> ContinuumFit | None:
    """Fit the continuum beside a line; None if the line has none."""
    if line.degree is None:
        return None
    use = _choose_continuum(cube, line, waves)
    return fit_continuum(cube.wave[use], flux[use], error[use], line.degree)


def find_axis(cube: Cube, line: LineRange, waves: slice) -> tuple[FloatArray, str]:
    """Return velocities (km/s) of slices if the rest wavelength is known, else their wavelengths; and the unit."""
    wave = cube.wave[waves]
    if cube.wave_unit == "um" and line.rest:
        return np.asarray(velocity_of_wave(wave, line.rest, line.convention)), "km/s"
    return wave, cube.wave_unit


def find_widths(cube: Cube, waves: slice) -> tuple[FloatArray, str]:
    """Return what each slice counts in the flux: W/m² of Jy, else the width in the unit of the axis."""
    steps = np.abs(np.gradient(cube.wave))[waves]
    unit = cube.flux.unit
    if cube.wave_unit == "um" and unit.split("/")[0].strip() == "Jy":
        rest = unit.partition("/")[2]
        return _JANSKY * _LIGHT_UM / cube.wave[waves] ** 2 * steps, "W/m2" + (f"/{rest}" if rest else "")
    return steps, f"{unit} {cube.wave_unit}".strip()


def _name_maps(cube: Cube, line: LineRange, maps: FloatArray, units: tuple[str, str]) -> dict[str, MapImage]:
    notes: Mapping[str, Any] = {
        "LINELOW": (line.low, f"lower end of the line [{cube.wave_unit}]"),
        "LINEHIGH": (line.high, f"upper end of the line [{cube.wave_unit}]"),
        "CONTDEG": (-1 if line.degree is None else line.degree, "degree of the continuum, -1 for none"),
        "RESTWAV": (line.rest * 1e-6 if line.rest else 0.0, "rest wavelength of velocities [m]"),
    }
    each = (units[0], units[1], units[1], "", "")
    made = {}
    for number, (name, unit) in enumerate(zip(MOMENT_NAMES, each, strict=True)):
        colors = _DIVERGING if number in (1, 3) else ""
        made[name] = MapImage(name, maps[0, number], unit, maps[1, number], colors, notes, number > 0)
    if line.degree is not None:
        made["Continuum"] = MapImage("Continuum", maps[0, 5], cube.flux.unit, maps[1, 5], "", notes)
    return made
