"""Calibration lines: lists of them, finding and measuring them in spectra, dispersion along one spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from sofia_engine.errors import ParameterError, ReferenceDataError, StepError
from sofia_engine.numerics.gaussian_rows import fit_gaussian_rows
from sofia_engine.numerics.polynomials import fit_polynomial, fit_polynomial_robustly
from sofia_engine.numerics.statistics import median_ignoring_nan

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import BoolArray, FloatArray
    from sofia_engine.numerics.polynomials import Polynomial

__all__ = [
    "LineFits",
    "LineKind",
    "LineList",
    "LineSearch",
    "fit_dispersion",
    "guess_from_map",
    "guess_from_pairs",
    "measure_lines",
    "read_line_list",
    "remeasure_lines",
    "remove_trend",
    "step_rows",
    "sum_rows",
]

LineKind = Literal["emission", "absorption", "either"]

MOST_MISSING = 0.1
"""Spectra with a larger share of missing columns are not searched for lines."""


@dataclass(frozen=True, eq=False)
class LineList:
    """Wavelengths of lines, micrometres.

    Attributes
    ----------
    fitted : (n,) ndarray
        Lines to be identified, rising.
    shown : (m,) ndarray
        Lines to be shown in plots only, rising.
    """

    fitted: FloatArray
    shown: FloatArray


def read_line_list(text: str, name: str = "The line list") -> LineList:
    """Read a line list: one wavelength per line; lines that begin with # are for display only.

    Raises
    ------
    ReferenceDataError
        If a line that is no comment is not a number.
    """
    fitted: list[float] = []
    shown: list[float] = []
    for number, line in enumerate(text.splitlines(), start=1):
        word = line.strip()
        is_comment = word.startswith("#")
        value = _read_number(word.lstrip("# "))
        if value is not None:
            (shown if is_comment else fitted).append(value)
        elif word and not is_comment:
            raise ReferenceDataError(f"{name} has '{word}' in line {number}, which is not a wavelength.")
    return LineList(np.sort(np.array(fitted)), np.sort(np.array(shown)))


def _read_number(text: str) -> float | None:
    try:
        return float(text.split(maxsplit=1)[0])
    except (IndexError, ValueError):
        return None


def guess_from_map(lines: ArrayLike, wavelength: ArrayLike) -> FloatArray:
    """Columns where lines are expected, from the wavelengths of one row of a map; NaN for lines outside.

    Parameters
    ----------
    lines : (n,) array_like
        Wavelengths.
    wavelength : (nx,) array_like
        Of the columns, rising or falling; NaN off the order.
    """
    row = np.asarray(wavelength, dtype=np.float64)
    columns = np.flatnonzero(np.isfinite(row))
    order = np.argsort(row[columns])
    guesses: FloatArray = np.interp(
        np.asarray(lines, dtype=np.float64),
        row[columns][order],
        columns[order].astype(float),
        left=np.nan,
        right=np.nan,
    )
    return guesses


def guess_from_pairs(lines: ArrayLike, wavelengths: Sequence[float], positions: Sequence[float]) -> FloatArray:
    """Columns where lines are expected, from some that the user identified.

    Parameters
    ----------
    lines : (n,) array_like
        Wavelengths.
    wavelengths, positions : sequence of float
        Identified lines: a straight line through 2, a parabola through 3 or more.

    Raises
    ------
    ParameterError
        If the two lists differ in length or have fewer than two entries.
    """
    if len(wavelengths) != len(positions) or len(wavelengths) < 2:
        raise ParameterError(
            f"guess_lines has {len(wavelengths)} and guess_positions {len(positions)} entries; give as many of both, "
            "at least two."
        )
    return fit_polynomial(wavelengths, positions, 1 if len(wavelengths) == 2 else 2)(np.asarray(lines))


@dataclass(frozen=True)
class LineSearch:
    """How lines are measured.

    Attributes
    ----------
    kind : {"emission", "absorption", "either"}
        Sign of the lines.
    window : float
        Full width of the part of the spectrum each line is fitted in, columns.
    sigma : float
        Expected standard deviation of a line, columns; where the fit starts.
    least_signal_to_noise : float
        Lines in windows with less mean flux over error are not measured; 0 measures all.
    """

    kind: LineKind = "emission"
    window: float = 10.0
    sigma: float = 3.0
    least_signal_to_noise: float = 0.0


@dataclass(frozen=True, eq=False)
class LineFits:
    """Measured lines; NaN where a line was not found.

    Attributes
    ----------
    position, height, width : (n,) ndarray
        Column, height above (negative: below) the continuum, standard deviation in columns.
    position_error : (n,) ndarray
        1-sigma, columns.
    """

    position: FloatArray
    height: FloatArray
    width: FloatArray
    position_error: FloatArray

    @property
    def found(self) -> BoolArray:
        """Lines that were found."""
        found: BoolArray = np.isfinite(self.position)
        return found


def measure_lines(flux: ArrayLike, guesses: ArrayLike, search: LineSearch | None = None) -> LineFits:
    """Fit Gaussians to the lines of a spectrum.

    Parameters
    ----------
    flux : (nw,) array_like
        NaN is missing.
    guesses : (n,) array_like
        Expected columns; NaN for lines that are not in the spectrum.
    search : LineSearch, optional
        Kind, window, width.

    Returns
    -------
    LineFits
        A line is not found if its fit fails, has the wrong sign, or ends at the edge of its window.
    """
    search = search or LineSearch()
    data, places = np.asarray(flux, dtype=np.float64), np.asarray(guesses, dtype=np.float64)
    known = np.isfinite(places)
    middle = np.where(known, places, 0.0)
    low, high = (np.rint(middle + side * search.window / 2) for side in (-1, 1))
    columns = low[:, np.newaxis] + np.arange(np.ceil(search.window) + 2)
    inside = known[:, np.newaxis] & (columns <= high[:, np.newaxis]) & (columns >= 0) & (columns < data.size)
    values = np.where(inside, data[np.clip(columns, 0, data.size - 1).astype(int)], np.nan)
    extreme = _find_extremes(columns, values, search.kind, middle)
    weights = inside.astype(np.float64)
    fits = fit_gaussian_rows(columns, values, extreme[:, np.newaxis], search.sigma, weights=weights)
    position, height = fits.center[:, 0], fits.amplitude[:, 0]
    with np.errstate(invalid="ignore"):
        first, last = np.maximum(low, 0), np.minimum(high, data.size - 1)
        good = known & fits.converged & (position > first) & (position < last) & (fits.sigma[:, 0] < search.window)
        good &= (extreme > first) & (extreme < last)  # else the spectrum only rises towards a neighbour
        good &= {"emission": height > 0, "absorption": height < 0}.get(search.kind, np.isfinite(height))
    return LineFits(*(np.where(good, part, np.nan)
                      for part in (position, height, fits.sigma[:, 0], fits.center_error[:, 0])))  # fmt: skip


def _find_extremes(columns: FloatArray, values: FloatArray, kind: LineKind, default: FloatArray) -> FloatArray:
    """Column of the extreme value of each window, where the fit starts."""
    contrast = values - median_ignoring_nan(values, axis=1)[:, np.newaxis]
    contrast = {"emission": contrast, "absorption": -contrast}.get(kind, np.abs(contrast))
    any_value = np.isfinite(contrast).any(axis=1)
    best = np.argmax(np.where(np.isfinite(contrast), contrast, -np.inf), axis=1)
    return np.where(any_value, np.take_along_axis(columns, best[:, np.newaxis], axis=1)[:, 0], default)


def remeasure_lines(
    flux: ArrayLike, error: ArrayLike, positions: ArrayLike, search: LineSearch
) -> tuple[FloatArray, FloatArray]:
    """Measure known lines in several spectra.

    Parameters
    ----------
    flux, error : (n_ap, nw) array_like
        NaN is missing.
    positions : (n_line,) array_like
        Where the lines are in another spectrum.
    search : LineSearch
        Kind, window, width, least signal-to-noise ratio.

    Returns
    -------
    (n_ap, n_line) ndarray, (n_ap, n_line) ndarray
        Positions and heights; NaN where a line was not found.
    """
    data, noise = np.asarray(flux, dtype=np.float64), np.asarray(error, dtype=np.float64)
    places, heights = [], []
    for spectrum, spread in zip(data, noise, strict=True):
        fits = measure_lines(
            spectrum, _drop_weak(spectrum, spread, np.asarray(positions, dtype=np.float64), search), search
        )
        places.append(fits.position)
        heights.append(fits.height)
    return np.stack(places), np.stack(heights)


def _drop_weak(flux: FloatArray, error: FloatArray, positions: FloatArray, search: LineSearch) -> FloatArray:
    if search.least_signal_to_noise <= 0:
        return positions
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = flux / error
    kept = positions.copy()
    for index in np.flatnonzero(np.isfinite(positions)):
        low, high = (round(positions[index] + side * search.window / 2) for side in (-1, 1))
        window = ratio[max(low, 0) : high + 1]
        window = window[np.isfinite(window)]
        if window.size == 0 or window.mean() < search.least_signal_to_noise:
            kept[index] = np.nan
    return kept


def fit_dispersion(positions: ArrayLike, wavelengths: ArrayLike) -> Polynomial:
    """Wavelength as a function of column: a parabola through more than two lines, else a straight line.

    Raises
    ------
    StepError
        If fewer than two lines were found.
    """
    places, waves = np.asarray(positions, dtype=np.float64), np.asarray(wavelengths, dtype=np.float64)
    count = np.count_nonzero(np.isfinite(places))
    if count == 0:
        raise StepError("No lines found. Check the line list, the guesses, and whether the lines are in emission.")
    if count == 1:
        raise StepError("Only one line was found, at least two are needed; add lines or better guesses.")
    return fit_polynomial(places, waves, 2 if count > 2 else 1)


def remove_trend(flux: ArrayLike, degree: int) -> FloatArray:
    """Subtract a robust (2 sigma) polynomial from a spectrum and add its median back."""
    data = np.asarray(flux, dtype=np.float64)
    columns = np.arange(data.size, dtype=np.float64)
    trend = fit_polynomial_robustly(columns, data, degree, 2.0).polynomial(columns)
    return data - trend + median_ignoring_nan(data)


def step_rows(count: int, step: int) -> FloatArray:
    """Centres of apertures up an image: half a step, then every step, rows from 0."""
    return np.arange(step / 2, count, step, dtype=np.float64)


def sum_rows(
    image: ArrayLike, variance: ArrayLike, centers: ArrayLike, radius: float
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Sum rows around some centres; sums may share rows.

    Parameters
    ----------
    image, variance : (ny, nx) array_like
        NaN is missing and adds nothing.
    centers : (n,) array_like
        Rows.
    radius : float
        Half width, rows.

    Returns
    -------
    flux, error : (n, nx) ndarray
        NaN where no row has a value.
    usable : (n,) ndarray of bool
        Spectra of which less than a tenth is missing.
    """
    data, spread = np.asarray(image, dtype=np.float64), np.asarray(variance, dtype=np.float64)
    rows = np.arange(len(data))
    chosen = (np.abs(rows - np.asarray(centers, dtype=np.float64)[:, np.newaxis]) <= radius).astype(float)
    good = np.isfinite(data)
    empty = chosen @ good.astype(float) == 0
    flux = np.where(empty, np.nan, chosen @ np.where(good, data, 0.0))
    error = np.where(empty, np.nan, np.sqrt(chosen @ np.where(good & np.isfinite(spread), spread, 0.0)))
    return flux, error, empty.mean(axis=1) < MOST_MISSING
