"""Calibration lines: lists of them, finding and measuring them in spectra, dispersion along one spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from sofia_engine.errors import ParameterError, ReferenceDataError, StepError
from sofia_engine.numerics.gaussian_rows import fit_gaussian_rows
from sofia_engine.numerics.polynomials import fit_polynomial, fit_polynomial_robustly
from sofia_engine.numerics.statistics import median_ignoring_nan
from sofia_engine.spectroscopy.line_matching import (
    LineMatch,
    find_extremes,
    find_supported_degree,
    match_lines,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import BoolArray, FloatArray

__all__ = [
    "LineFits",
    "LineKind",
    "LineList",
    "LineSearch",
    "expect_from_pairs",
    "find_lines",
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

_NOISY = 0.1
"""Columns: maxima that noise moves farther are replaced by fitted Gaussians, if those agree."""
_HIGHEST_DEGREE = 2
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


def expect_from_pairs(wavelengths: Sequence[float], positions: Sequence[float], width: int) -> FloatArray:
    """Wavelengths (width,) of the columns from lines that the user identified; as `guess_from_pairs`."""
    guess_from_pairs(wavelengths, wavelengths, positions)
    degree = 1 if len(wavelengths) == 2 else 2
    return fit_polynomial(positions, wavelengths, degree)(np.arange(width, dtype=np.float64))


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


def find_lines(flux: ArrayLike, error: ArrayLike, guesses: ArrayLike, search: LineSearch) -> LineMatch:
    """Find the lines of a list in a spectrum as one pattern.

    Parameters
    ----------
    flux, error : (nw,) array_like
        NaN is missing.
    guesses : (n,) array_like
        Expected columns; NaN for lines that are not in the spectrum.
    search : LineSearch
        Kind; window, half of which guesses may be off; width.

    Returns
    -------
    LineMatch
        Columns are those of the maxima, which neighbours hardly move; where noise moves them by more than 0.1 columns,
        those of fitted Gaussians, unless blended lines draw these away.
    """
    data, noise = np.asarray(flux, dtype=np.float64), np.asarray(error, dtype=np.float64)
    extremes = find_extremes(data, float(np.nan_to_num(median_ignoring_nan(noise))), search.kind)
    match = match_lines(guesses, extremes, search.window / 2, data.size)
    noisy = match.found & (match.error > _NOISY)
    if not noisy.any():
        return match
    fitted = measure_lines(data, np.where(noisy, match.position, np.nan), search).position
    with np.errstate(invalid="ignore"):
        agree = noisy & (np.abs(fitted - match.position) < 3 * match.error)
    return replace(match, position=np.where(agree, fitted, match.position))


def remeasure_lines(
    flux: ArrayLike, error: ArrayLike, positions: ArrayLike, search: LineSearch, start: int = 0
) -> tuple[FloatArray, FloatArray]:
    """Measure known lines in several spectra along a slit.

    Parameters
    ----------
    flux, error : (n_ap, nw) array_like
        NaN is missing; rising along the slit.
    positions : (n_line,) array_like
        Where the lines are in another spectrum.
    search : LineSearch
        Kind, window, width, least signal-to-noise ratio.
    start : int
        Spectrum that is nearest to that one. From it lines are followed up and down, so that they may be inclined by
        more than the window.

    Returns
    -------
    (n_ap, n_line) ndarray, (n_ap, n_line) ndarray
        Positions and heights; NaN where a line was not found.
    """
    data, noise = np.asarray(flux, dtype=np.float64), np.asarray(error, dtype=np.float64)
    known = np.asarray(positions, dtype=np.float64)
    places, heights = (np.full((len(data), known.size), np.nan) for _ in range(2))
    for way in (range(start, len(data)), range(start, -1, -1)):
        expected = known
        for index in way:
            match = find_lines(
                data[index], noise[index], _drop_weak(data[index], noise[index], expected, search), search
            )
            places[index], heights[index] = match.position, match.height
            if match.found.any():
                expected = expected + median_ignoring_nan(match.position - expected)
    return places, heights


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


def fit_dispersion(positions: ArrayLike, wavelengths: ArrayLike, expected: ArrayLike) -> FloatArray:
    """Correct expected wavelengths along a spectrum by lines.

    Parameters
    ----------
    positions, wavelengths : (n,) array_like
        Lines; NaN is missing.
    expected : (nw,) array_like
        Wavelengths of the columns before; a parabola stands for those that are missing.

    Returns
    -------
    (nw,) ndarray
        The expected wavelengths and a polynomial of the degree that the lines can bear, at most 2
        (`line_matching.find_supported_degree`): few lines shift the expectation, and leave its shape.

    Raises
    ------
    StepError
        If fewer than two lines were found.
    """
    places, waves = np.asarray(positions, dtype=np.float64), np.asarray(wavelengths, dtype=np.float64)
    count = np.count_nonzero(np.isfinite(places))
    if count == 0:
        raise StepError("No lines found. Check the line list, the guesses, and whether the lines are in emission.")
    if count == 1:  # which maximum it is nothing else tells
        raise StepError("Only one line was found, at least two are needed; add lines or better guesses.")
    row = np.asarray(expected, dtype=np.float64)
    columns = np.arange(row.size, dtype=np.float64)
    row = np.where(np.isfinite(row), row, fit_polynomial(columns, row, 2)(columns))
    degree = min(find_supported_degree(places, row.size), _HIGHEST_DEGREE)
    corrected: FloatArray = row + fit_polynomial(places, waves - np.interp(places, columns, row), degree)(columns)
    return corrected


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
        Missing pixels (NaN) take the value of a straight line between their neighbours in the column: did they add
        nothing, columns with bad pixels would look like lines on the light of the sky.
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
    chosen = np.abs(rows - np.asarray(centers, dtype=np.float64)[:, np.newaxis]) <= radius
    good = np.isfinite(data)
    count = chosen.astype(float) @ good.astype(float)
    empty = count == 0
    flux = np.stack([_fill_columns(data[rows_in]).sum(axis=0) for rows_in in chosen])
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = chosen.sum(axis=1)[:, np.newaxis] / count
        error = np.sqrt(chosen.astype(float) @ np.where(good & np.isfinite(spread), spread, 0.0)) * scale
    return flux, np.where(empty, np.nan, error), empty.mean(axis=1) < MOST_MISSING


def _fill_columns(part: FloatArray) -> FloatArray:
    """Interpolate missing values along columns; NaN in columns without any."""
    filled, good = part.copy(), np.isfinite(part)
    rows = np.arange(len(part))
    for column in np.flatnonzero(good.any(axis=0) & ~good.all(axis=0)):
        known = good[:, column]
        filled[:, column] = np.interp(rows, rows[known], part[known, column])
    return filled
