"""Line fits of all pixels of a cube: maps of flux, velocity, width and others, with errors, in parallel threads."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import InputError, StepError
from sofia_viewers.cube.batch_fitting import BatchFit, Guess, fit_batch, guess_lines
from sofia_viewers.cube.continuum import choose_windows
from sofia_viewers.cube.cube import Cube
from sofia_viewers.cube.entries import MapImage
from sofia_viewers.cube.moments import LineRange, Progress, fit_level, read_pixels
from sofia_viewers.spectrum.units import velocity_of_wave

__all__ = ["CellGuess", "FitSettings", "fit_cells", "fit_line_maps", "read_guesses", "write_guesses"]

FloatArray = NDArray[np.float64]

_LIGHT_SPEED = 299792.458
_SHAPES = {"Velocity", "Line width", "Line centre"}
_PIXELS_AT_A_TIME = 1024
_QUANTITIES = ("flux", "center", "fwhm", "amplitude", "baseline")


@dataclass(frozen=True)
class FitSettings:
    """How lines are fitted.

    Parameters
    ----------
    line : LineRange
        Range to fit (with the continuum windows beside it), degree of the continuum, rest wavelength, and the least
        signal-to-noise of the fitted flux that is shown.
    shape : str
        Gaussian, Moffat, Lorentzian or Voigt.
    n_lines : int
        Lines per spectrum; more than one need a guess.
    sign : int
        1 for emission, -1 for absorption.
    """

    line: LineRange
    shape: str = "gaussian"
    n_lines: int = 1
    sign: int = 1


@dataclass(frozen=True)
class CellGuess:
    """First values for the pixels that are nearest to a place.

    Parameters
    ----------
    x, y : float
        Middle of the cell, pixels from 0.
    centers, widths : tuple of float
        Position and FWHM of each line, in the unit of the cube.
    """

    x: float
    y: float
    centers: tuple[float, ...]
    widths: tuple[float, ...]


def fit_line_maps(
    cube: Cube,
    settings: FitSettings,
    *,
    guesses: Sequence[CellGuess] = (),
    mask: NDArray[np.bool_] | None = None,
    progress: Progress = lambda _: None,
) -> dict[str, MapImage]:
    """Fit lines and continuum to every pixel.

    Parameters
    ----------
    cube : Cube
        The cube; read in blocks of rows.
    settings : FitSettings
        What is fitted.
    guesses : sequence of CellGuess, optional
        First values; each pixel takes those of the nearest cell. Without them they come from each spectrum.
    mask : (n_y, n_x) bool ndarray, optional
        Which pixels to fit.
    progress : callable
        Called with the fraction done; raises to stop.

    Returns
    -------
    dict of str to MapImage
        For each line flux, centre, velocity and width (km/s) if the rest wavelength is known, amplitude; the continuum
        at the line; reduced chi square.

    Raises
    ------
    StepError
        If the range is too short for the parameters, or several lines have no guess.
    """
    if settings.n_lines > 1 and not guesses:
        raise StepError("Several lines per spectrum need first values: fit the lines of an aperture, or cells, first.")
    use = _find_range(cube, settings.line)
    order = np.flatnonzero(use)[np.argsort(cube.wave[use])]
    n_lines = len(guesses[0].centers) if guesses else settings.n_lines
    names = [(quantity, number) for number in range(n_lines) for quantity in _QUANTITIES]
    maps = np.full((2, len(names) + 1, *cube.shape[1:]), np.nan)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for rows, flux, error in read_pixels(cube, mask, progress):
            starts = _find_starts(cube, settings, guesses, (rows, flux, error))
            chosen, spread, wave = flux[order], error[order], cube.wave[order]
            jobs = [
                pool.submit(_fit_part, wave, chosen[:, part], spread[:, part],
                            Guess(starts.center[:, part], starts.fwhm[:, part]), settings)
                for part in _split(chosen.shape[1])
            ]  # fmt: skip
            found = np.concatenate(list(_await_parts(jobs, rows, cube.shape[1], progress)), axis=2)
            maps[:, :, rows] = found.reshape(2, len(names) + 1, -1, cube.shape[2])
    return _name_maps(cube, settings, maps, names)


def _await_parts(
    jobs: Sequence[Future[FloatArray]], rows: slice, n_rows: int, progress: Progress
) -> Iterator[FloatArray]:
    """Give the results of parts of some rows as they come; when the work is to stop, drop what has not begun."""
    try:
        for number, job in enumerate(jobs):
            yield job.result()
            progress((rows.start + (rows.stop - rows.start) * (number + 1) / len(jobs)) / n_rows)
    finally:
        for job in jobs:
            job.cancel()


def _find_range(cube: Cube, line: LineRange) -> NDArray[np.bool_]:
    """Return the wavelengths to fit: the line and the windows of the continuum, or all if there are none."""
    inside = (cube.wave >= min(line.low, line.high)) & (cube.wave <= max(line.low, line.high))
    if not inside.any():
        raise StepError("The range of the line holds no slice of the cube: select another one in the spectrum.")
    return np.asarray(inside | choose_windows(cube.wave, line.windows))


def _split(count: int) -> list[slice]:
    return [slice(first, first + _PIXELS_AT_A_TIME) for first in range(0, count, _PIXELS_AT_A_TIME)]


def _find_starts(
    cube: Cube, settings: FitSettings, guesses: Sequence[CellGuess], block: tuple[slice, FloatArray, FloatArray]
) -> Guess:
    rows, flux, error = block
    if guesses:
        y, x = np.mgrid[rows, 0 : cube.shape[2]]
        cells = _nearest_cell(guesses, x.ravel(), y.ravel())
        centers = np.array([guess.centers for guess in guesses])[cells].T
        widths = np.array([guess.widths for guess in guesses])[cells].T
        return Guess(centers, widths)
    waves = cube.find_slices(settings.line.low, settings.line.high)
    fit = fit_level(cube, settings.line, flux, error, waves)
    here = cube.wave[waves]
    rest = flux[waves] - (fit.evaluate(here) if fit is not None else 0.0)
    order = np.argsort(here)
    return guess_lines(here[order], rest[order], settings.sign)


def _nearest_cell(guesses: Sequence[CellGuess], x: Any, y: Any) -> NDArray[np.intp]:
    from scipy.spatial import cKDTree

    tree = cKDTree([(guess.x, guess.y) for guess in guesses])
    return np.asarray(tree.query(np.column_stack([x, y]))[1])


def _fit_part(x: FloatArray, y: FloatArray, error: FloatArray, guess: Guess, settings: FitSettings) -> FloatArray:
    """Fit some spectra; return values and errors of all quantities, (2, quantity, n), the last reduced chi square."""
    fit = fit_batch(x, y, error, guess, shape=settings.shape, degree=settings.line.degree)
    found = [fit.measure(quantity, line) for line in range(len(guess.center)) for quantity in _QUANTITIES]
    with np.errstate(divide="ignore", invalid="ignore"):
        chi = fit.chi_square / np.where(fit.freedom > 0, fit.freedom, np.nan)
    found.append((chi, np.full_like(chi, np.nan)))
    result = np.array(found).transpose(1, 0, 2)
    result[:, :, ~fit.converged] = np.nan
    return result


def _name_maps(
    cube: Cube, settings: FitSettings, maps: FloatArray, names: Sequence[tuple[str, int]]
) -> dict[str, MapImage]:
    line, made = settings.line, {}
    n_lines = 1 + max(number for _, number in names)
    notes = {
        "FITSHAPE": (settings.shape, "shape of the fitted lines"),
        "LINELOW": (line.low, f"lower end of the line [{cube.wave_unit}]"),
        "LINEHIGH": (line.high, f"upper end of the line [{cube.wave_unit}]"),
        "RESTWAV": (line.rest * 1e-6 if line.rest else 0.0, "rest wavelength of velocities [m]"),
    }
    for number in range(n_lines):
        values, errors = ({q: maps[k, names.index((q, number))] for q in _QUANTITIES} for k in (0, 1))
        with np.errstate(invalid="ignore"):
            faint = ~(np.abs(values["flux"]) >= line.least_snr * errors["flux"])
        for quantity in _QUANTITIES[1:4]:
            values[quantity][faint] = np.nan
            errors[quantity][faint] = np.nan
        suffix = f" {number + 1}" if n_lines > 1 else ""
        for name, value, error, unit, colors in _describe_line(cube, line, values, errors):
            shape = name in _SHAPES
            made[f"{name}{suffix}"] = MapImage(f"{name}{suffix}", value, unit, error, colors, notes, shape)
    made["Reduced chi square"] = MapImage("Reduced chi square", maps[0, -1], "", None, "", notes)
    return made


def _describe_line(
    cube: Cube, line: LineRange, values: dict[str, FloatArray], errors: dict[str, FloatArray]
) -> list[tuple[str, FloatArray, FloatArray, str, str]]:
    """Return name, values, errors, unit and colours of the maps of one line."""
    center, unit = values["center"], cube.flux.unit
    factor, flux_unit = _flux_factor(cube, center if np.isfinite(center).any() else np.full_like(center, np.nan))
    factor = np.where(
        np.isfinite(factor), factor, _flux_factor(cube, np.full_like(center, 0.5 * (line.low + line.high)))[0]
    )
    rows = [("Line flux", values["flux"] * factor, errors["flux"] * factor, flux_unit, "")]
    if line.rest and cube.wave_unit == "um":
        scale = _LIGHT_SPEED / line.rest
        rows.append(("Velocity", np.asarray(velocity_of_wave(center, line.rest, line.convention)),
                     errors["center"] * scale, "km/s", "coolwarm"))  # fmt: skip
        rows.append(("Line width", values["fwhm"] / center * _LIGHT_SPEED, errors["fwhm"] / center * _LIGHT_SPEED,
                     "km/s", ""))  # fmt: skip
    else:
        rows.append(("Line width", values["fwhm"], errors["fwhm"], cube.wave_unit, ""))
    rows.append(("Line centre", center, errors["center"], cube.wave_unit, "coolwarm"))
    rows.append(("Line amplitude", values["amplitude"], errors["amplitude"], unit, ""))
    rows.append(("Continuum at line", values["baseline"], errors["baseline"], unit, ""))
    return rows


def _flux_factor(cube: Cube, center: FloatArray) -> tuple[FloatArray, str]:
    """Return what brings flux times wavelength to W/m² at a wavelength, and the unit; 1 if the unit is no Jy."""
    if cube.wave_unit == "um" and cube.flux.unit.split("/")[0].strip() == "Jy":
        rest = cube.flux.unit.partition("/")[2]
        return 1e-26 * 2.99792458e14 / center**2, "W/m2" + (f"/{rest}" if rest else "")
    return np.ones_like(center), f"{cube.flux.unit} {cube.wave_unit}".strip()


# -- first values of cells -------------------------------------------------------------------------------------------


def fit_cells(
    cube: Cube,
    settings: FitSettings,
    cell: float,
    mask: NDArray[np.bool_] | None = None,
    progress: Progress = lambda _: None,
) -> tuple[CellGuess, ...]:
    """Divide the field into cells, fit the mean spectrum of each, and return what was found as first values.

    Parameters
    ----------
    cube : Cube
        The cube.
    settings : FitSettings
        What is fitted; one line.
    cell : float
        Distance of the middles of the hexagonal cells, pixels.
    mask : (n_y, n_x) bool ndarray, optional
        Which pixels count.
    progress : callable
        Called with the fraction done; raises to stop.

    Returns
    -------
    tuple of CellGuess
        Cells whose fit came to an end.

    Raises
    ------
    StepError
        If no cell could be fitted.
    """
    seeds = _place_seeds(cube.shape[1:], max(cell, 1.0))
    y, x = np.mgrid[: cube.shape[1], : cube.shape[2]]
    owner = _nearest_cell([CellGuess(sx, sy, (), ()) for sx, sy in seeds], x.ravel(), y.ravel())
    totals, variances, counts = _average_cells(cube, owner, len(seeds), mask, progress)
    with np.errstate(divide="ignore", invalid="ignore"):
        flux, error = totals / counts, np.sqrt(variances) / counts
    use = _find_range(cube, settings.line)
    order = np.flatnonzero(use)[np.argsort(cube.wave[use])]
    waves = cube.find_slices(settings.line.low, settings.line.high)
    fit = fit_level(cube, settings.line, flux, error, waves)
    rest = flux[waves] - (fit.evaluate(cube.wave[waves]) if fit is not None else 0.0)
    inner = np.argsort(cube.wave[waves])
    start = guess_lines(cube.wave[waves][inner], rest[inner], settings.sign)
    found = fit_batch(
        cube.wave[order], flux[order], error[order], start, shape=settings.shape, degree=settings.line.degree
    )
    return _collect_cells(found, seeds)


def _place_seeds(shape: tuple[int, int], cell: float) -> list[tuple[float, float]]:
    rows = np.arange(cell / 2, shape[0] + cell / 2, cell * math.sqrt(3) / 2)
    return [
        (float(x), float(y))
        for number, y in enumerate(rows)
        for x in np.arange(cell / 2 * (1 + number % 2), shape[1] + cell / 2, cell)
    ]


def _average_cells(
    cube: Cube, owner: NDArray[np.intp], count: int, mask: NDArray[np.bool_] | None, progress: Progress
) -> tuple[FloatArray, FloatArray, FloatArray]:
    totals, variances, counts = (np.zeros((cube.shape[0], count)) for _ in range(3))
    grid = owner.reshape(cube.shape[1:])
    for rows, flux, error in read_pixels(cube, mask, progress):
        cells, known = grid[rows].ravel(), np.isfinite(flux) & np.isfinite(error)
        for cell in np.unique(cells):
            own = cells == cell
            totals[:, cell] += np.where(known[:, own], flux[:, own], 0.0).sum(axis=1)
            variances[:, cell] += np.where(known[:, own], error[:, own] ** 2, 0.0).sum(axis=1)
            counts[:, cell] += known[:, own].sum(axis=1)
    return totals, variances, counts


def _collect_cells(fit: BatchFit, seeds: Sequence[tuple[float, float]]) -> tuple[CellGuess, ...]:
    (center, _), (fwhm, _), (flux, spread) = (fit.measure(quantity) for quantity in ("center", "fwhm", "flux"))
    with np.errstate(invalid="ignore"):
        good = fit.converged & np.isfinite(center) & np.isfinite(fwhm) & (np.abs(flux) > 2.0 * spread)
    if not good.any():
        raise StepError("No cell holds a line that could be fitted: choose larger cells, or another range.")
    places = [int(place) for place in np.flatnonzero(good)]
    return tuple(CellGuess(seeds[i][0], seeds[i][1], (float(center[i]),), (float(fwhm[i]),)) for i in places)


def write_guesses(path: str | Path, guesses: Sequence[CellGuess]) -> Path:
    """Write first values as JSON.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    target = Path(path)
    try:
        target.write_text(json.dumps({"guesses": [asdict(guess) for guess in guesses]}, indent=1), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error.strerror or error}.") from error
    return target


def read_guesses(path: str | Path) -> tuple[CellGuess, ...]:
    """Read what `write_guesses` wrote.

    Raises
    ------
    InputError
        If the file is something else.
    """
    try:
        plain = json.loads(Path(path).read_text(encoding="utf-8"))["guesses"]
        return tuple(
            CellGuess(float(g["x"]), float(g["y"]), tuple(map(float, g["centers"])), tuple(map(float, g["widths"])))
            for g in plain
        )
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} holds no first values of line fits: choose a file saved here.") from error
