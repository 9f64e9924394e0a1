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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import StepError
from sofia_viewers.cube.continuum import ContinuumFit, choose_windows, fit_continuum
from sofia_viewers.cube.cube import Cube
from sofia_viewers.cube.entries import MapImage
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
_MOST_THREADS = 4


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
    known = np.isfinite(flux)
    steps = np.abs(np.gradient(axis))[:, None]
    weight = np.where(known, flux, 0.0) * steps
    total = np.where(known, flux * widths[:, None], 0.0).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        norm = weight.sum(axis=0)
        norm = np.where(norm > 0, norm, np.nan)
        center = (weight * axis[:, None]).sum(axis=0) / norm
        offset = axis[:, None] - center
        square = offset * offset
        powers = {2: square, 3: square * offset, 4: square * square}
        scale = steps / norm
        central = [np.ones_like(center), np.zeros_like(center)]
        central += [np.einsum("mn,mn->n", weight, powers[k]) / norm for k in (2, 3, 4)]
        slopes = {k: (powers[k] - central[k] - k * central[k - 1] * offset) * scale for k in (2, 3, 4)}
        second = np.where(central[2] > 0, central[2], np.nan)
        parts = [
            (np.where(known.any(axis=0), total, np.nan), np.broadcast_to(widths[:, None], flux.shape)),
            (center, offset * scale),
            (np.sqrt(second), slopes[2] / (2.0 * np.sqrt(second))),
            (central[3] / second**1.5, slopes[3] / second**1.5 - 1.5 * central[3] / second**2.5 * slopes[2]),
            (central[4] / second**2, slopes[4] / second**2 - 2.0 * central[4] / second**3 * slopes[2]),
        ]
        spread = np.where(known & np.isfinite(error), error, 0.0)
        errors = []
        for value, slope in parts:
            variance = ((slope * spread) ** 2).sum(axis=0)
            if level is not None and wave is not None:
                along = np.einsum("mn,mi->ni", np.where(known, slope, 0.0), level.find_powers(wave))
                variance = variance + np.einsum("ni,nij,nj->n", along, level.covariance, along, optimize=True)
            errors.append(np.where(np.isfinite(value), np.sqrt(np.maximum(variance, 0.0)), np.nan))
    return Moments(np.stack([value for value, _ in parts]), np.stack(errors))


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
    shape = cube.shape[1:]
    maps = np.full((2, 6, *shape), np.nan)

    def measure(flux: FloatArray, error: FloatArray) -> FloatArray:
        fit = fit_level(cube, line, flux, error, waves)
        level = _find_level(fit, cube.wave[waves], flux.shape[1])
        part, spread = flux[waves] - level, error[waves]
        if line.clip > 0:
            part = np.where(part >= line.clip * spread, part, np.nan)
        found = measure_moments(axis, widths, part, spread, fit, cube.wave[waves])
        middle = slice(len(level) // 2, len(level) // 2 + 1)
        level_error = np.zeros((1, flux.shape[1])) if fit is None else fit.find_error(cube.wave[waves][middle])
        return np.stack([np.vstack([found.values, level[middle]]), np.vstack([found.errors, level_error])])

    for rows, block in _measure_blocks(read_pixels(cube, mask, progress), measure):
        maps[:, :, rows] = block.reshape(2, 6, -1, shape[1])
    with np.errstate(invalid="ignore"):
        faint = ~(maps[0, 0] >= line.least_snr * maps[1, 0])
    if np.nanmax(maps[1, 0], initial=0.0) > 0:
        maps[:, 1:5, faint] = np.nan
    return _name_maps(cube, line, maps, (flux_unit, unit))


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
    use = choose_windows(cube.wave, line.windows)
    use[waves] = False
    return fit_continuum(cube.wave[use], flux[use], error[use], line.degree)


def _find_level(fit: ContinuumFit | None, wave: FloatArray, count: int) -> FloatArray:
    return np.zeros((len(wave), count)) if fit is None else fit.evaluate(wave)


def _measure_blocks(
    blocks: Iterator[tuple[slice, FloatArray, FloatArray]], measure: Callable[[FloatArray, FloatArray], FloatArray]
) -> Iterator[tuple[slice, FloatArray]]:
    """Measure blocks in threads, and give the results in order; few blocks are in memory at a time."""
    threads = min(os.cpu_count() or 1, _MOST_THREADS)
    waiting: deque[tuple[slice, Future[FloatArray]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for rows, flux, error in blocks:
            waiting.append((rows, pool.submit(measure, flux, error)))
            if len(waiting) > threads:
                first, done = waiting.popleft()
                yield first, done.result()
        for first, done in waiting:
            yield first, done.result()


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
        made[name] = MapImage(name, maps[0, number], unit, maps[1, number], colors, notes)
    if line.degree is not None:
        made["Continuum"] = MapImage("Continuum", maps[0, 5], cube.flux.unit, maps[1, 5], "", notes)
    return made
