"""Compiled inner loops of maps: continua, with rejection by the robust scatter, and moments of many spectra."""

from __future__ import annotations

import numba
import numpy as np
from numba import types

from sofia_viewers.cube._medians import find_median
from sofia_viewers.cube._words import as_number, prefetch, swap_bytes

__all__ = ["fit_spectra", "measure_lines", "measure_pixels"]

_LINE = types.Array(types.float64, 1, "C", readonly=True)
_TABLE = types.Array(types.float64, 2, "C", readonly=True)
_STACK = types.Array(types.float64, 3, "C", readonly=True)
_MASK = types.Array(types.boolean, 2, "A", readonly=True)
_KNOWN = types.Array(types.boolean, 2, "C", readonly=True)
_WORDS = types.Array(types.uint32, 3, "C", readonly=True)
_PLACES = types.Array(types.int64, 1, "C", readonly=True)
_VECTOR, _MATRIX, _CUBE = types.float64[::1], types.float64[:, ::1], types.float64[:, :, ::1]
_FAST = {"reassoc", "contract", "nsz"}
"""Sums may be taken in any order, so that they become vector instructions; NaN keeps its meaning."""
_NORMAL = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""
_ROUNDS = 5
_LEAST_PIVOT = 1e-14
_NEAR = 0.25
"""Medians of residuals are looked for within so many standard deviations of where they are expected."""
_AHEAD = 8
_TILE = 32
"""Pixels that are copied out of the cube at a time, so that their spectra stay in the cache of a processor."""
_N_MOMENTS = 5


# -- continuum -------------------------------------------------------------------------------------------------------


@numba.njit(nogil=True)
def _scale(matrix, scale):  # type: ignore[no-untyped-def]
    for i in range(len(scale)):
        for j in range(len(scale)):
            matrix[i, j] *= scale[i] * scale[j]


@numba.njit(nogil=True)
def _add_row(matrix, target, source, factor):  # type: ignore[no-untyped-def]
    for j in range(matrix.shape[1]):
        matrix[target, j] += factor * matrix[source, j]


@numba.njit(nogil=True)
def _invert(normal, inverse):  # type: ignore[no-untyped-def]
    """Fill the inverse of a positive definite matrix, which is overwritten; False if it has none."""
    degree = normal.shape[0]
    scale = np.empty(degree)
    for i in range(degree):
        scale[i] = 1.0 / np.sqrt(normal[i, i]) if normal[i, i] > 0 else 0.0
        for j in range(degree):
            inverse[i, j] = 1.0 if i == j else 0.0
    _scale(normal, scale)
    for pivot in range(degree):
        if not normal[pivot, pivot] > _LEAST_PIVOT:
            return False
        factor = 1.0 / normal[pivot, pivot] - 1.0
        _add_row(normal, pivot, pivot, factor)
        _add_row(inverse, pivot, pivot, factor)
        for i in range(degree):
            if i != pivot:
                factor = -normal[i, pivot]
                _add_row(normal, i, pivot, factor)
                _add_row(inverse, i, pivot, factor)
    _scale(inverse, scale)
    return True


@numba.njit(nogil=True, fastmath=_FAST)
def _solve(powers, values, weights, good, coefficients, inverse):  # type: ignore[no-untyped-def]
    """Fill the coefficients of the polynomial through the good points, and their covariance; NaN if too few."""
    degree, length = powers.shape
    used = np.empty(length)
    normal, right = np.empty((degree, degree)), np.empty(degree)
    total = 0
    for point in range(length):
        used[point] = weights[point] if good[point] else 0.0
        total += used[point] != 0.0
    for i in range(degree):
        whole = 0.0
        for point in range(length):
            whole += powers[i, point] * used[point] * values[point]
        right[i] = whole
        for j in range(i + 1):
            whole = 0.0
            for point in range(length):
                whole += powers[i, point] * powers[j, point] * used[point]
            normal[i, j] = whole
            normal[j, i] = whole
    if total < degree or not _invert(normal, inverse):
        coefficients[:] = np.nan
        inverse[:] = np.nan
        return
    for i in range(degree):
        whole = 0.0
        for j in range(degree):
            whole += inverse[i, j] * right[j]
        coefficients[i] = whole


@numba.njit(nogil=True)
def _reject(powers, values, known, good, coefficients, clip, scatter, changed):  # type: ignore[no-untyped-def]
    """Choose anew which points are good, tell whether any changed, and return the robust scatter.

    Good is what is known and lies within `clip` times the robust scatter of the fit; `scatter` is what is expected.
    """
    degree, length = powers.shape
    rest, chosen, between = values.copy(), np.empty(length), np.empty(length)
    for i in range(degree):
        for point in range(length):
            rest[point] -= coefficients[i] * powers[i, point]
    total = 0
    for point in range(length):
        chosen[total] = rest[point]
        total += known[point] and np.isfinite(rest[point])
    limit = np.inf
    if total:
        middle = find_median(chosen, total, 0.0, _NEAR * scatter, between)
        for point in range(total):
            chosen[point] = abs(chosen[point] - middle)
        scatter = _NORMAL * find_median(chosen, total, scatter / _NORMAL, _NEAR * scatter, between)
        limit = clip * scatter
    changed[0] = False
    for point in range(length):
        kept = known[point] and not abs(rest[point]) > limit
        changed[0] |= kept != good[point]
        good[point] = kept
    return scatter


@numba.njit(nogil=True)
def _fit(powers, values, weights, known, good, clip, scatter, coefficients, inverse):  # type: ignore[no-untyped-def]
    """Fit a spectrum, reject outliers, and fit again until none is new; return the scatter for the next spectrum."""
    changed = np.empty(1, np.bool_)
    good[:] = known
    for turn in range(_ROUNDS):
        _solve(powers, values, weights, good, coefficients, inverse)
        if turn == _ROUNDS - 1 or clip <= 0:
            break
        scatter = _reject(powers, values, known, good, coefficients, clip, scatter, changed)
        if not changed[0]:
            break
    return scatter


@numba.njit((_TABLE, _TABLE, _TABLE, _KNOWN, types.boolean[:, ::1], types.float64, _MATRIX, _CUBE),
            cache=True, nogil=True)  # fmt: skip
def fit_spectra(powers, values, weights, known, good, clip, coefficients, inverse):  # type: ignore[no-untyped-def]
    """Fit polynomials to spectra (n, m), and tell which points were used.

    `powers` is (degree + 1, m); what is not `known` is left out, and what lies beyond `clip` times the robust scatter.
    Coefficients (n, degree + 1) and covariances are NaN where there are too few points.
    """
    scatter = 0.0
    for place in range(values.shape[0]):
        scatter = _fit(powers, values[place].copy(), weights[place].copy(), known[place].copy(), good[place], clip,
                       scatter, coefficients[place], inverse[place])  # fmt: skip


# -- moments ---------------------------------------------------------------------------------------------------------


@numba.njit(nogil=True, fastmath=_FAST)
def _find_moments(axis, steps, widths, flux, found):  # type: ignore[no-untyped-def]
    """Fill the flux of a line, its centre, and its central moments 2 to 4; return what they were divided by."""
    known, total, norm, first = 0, 0.0, 0.0, 0.0
    origin = axis[axis.shape[0] // 2]
    for point in range(flux.shape[0]):
        good = np.isfinite(flux[point])
        value = flux[point] if good else 0.0
        known += good
        total += value * widths[point]
        norm += value * steps[point]
        first += value * steps[point] * (axis[point] - origin)
    norm = norm if norm > 0 else np.nan
    center = origin + first / norm
    second, third, fourth = 0.0, 0.0, 0.0
    for point in range(flux.shape[0]):
        weight = flux[point] * steps[point] if np.isfinite(flux[point]) else 0.0
        offset = axis[point] - center
        second += weight * offset**2
        third += weight * offset**3
        fourth += weight * offset**4
    found[0] = total if known else np.nan
    found[1], found[2], found[3], found[4] = center, second / norm, third / norm, fourth / norm
    return norm


@numba.njit(nogil=True, fastmath=_FAST)
def _find_slopes(axis, steps, widths, central, norm, slopes):  # type: ignore[no-untyped-def]
    """Fill how flux, centre, dispersion, skewness and kurtosis change with the flux of each slice."""
    center, second, third, fourth = central[1], central[2], central[3], central[4]
    root = np.sqrt(second)
    for point in range(axis.shape[0]):
        offset = axis[point] - center
        scale = steps[point] / norm
        two = (offset**2 - second) * scale
        three = (offset**3 - third - 3.0 * second * offset) * scale
        four = (offset**4 - fourth - 4.0 * third * offset) * scale
        slopes[0, point] = widths[point]
        slopes[1, point] = offset * scale
        slopes[2, point] = two / (2.0 * root)
        slopes[3, point] = three / root**3 - 1.5 * third / root**5 * two
        slopes[4, point] = four / second**2 - 2.0 * fourth / second**3 * two


@numba.njit(nogil=True, fastmath=_FAST)
def _find_variance(slope, flux, error, powers, covariance):  # type: ignore[no-untyped-def]
    """Return the variance of what has these slopes: that of the slices, and that of the continuum below them all."""
    degree = powers.shape[0]
    along = np.zeros(degree)
    variance = 0.0
    for point in range(flux.shape[0]):
        good = np.isfinite(flux[point]) and np.isfinite(error[point])
        part = slope[point] * error[point] if good else 0.0
        variance += part * part
    for i in range(degree):
        whole = 0.0
        for point in range(flux.shape[0]):
            whole += slope[point] * powers[i, point] if np.isfinite(flux[point]) else 0.0
        along[i] = whole
    for i in range(degree):
        for j in range(degree):
            variance += along[i] * covariance[i, j] * along[j]
    return variance


@numba.njit(nogil=True)
def _measure(axis, steps, widths, flux, error, powers, covariance, found, spread):  # type: ignore[no-untyped-def]
    """Fill the moments of a line and their errors; those of the continuum count by its powers and covariance."""
    norm = _find_moments(axis, steps, widths, flux, found)
    if not found[2] > 0:
        found[2] = np.nan
    slopes = np.empty((_N_MOMENTS, flux.shape[0]))
    _find_slopes(axis, steps, widths, found, norm, slopes)
    second = found[2]
    found[2] = np.sqrt(second)
    found[3] /= found[2] ** 3
    found[4] /= second**2
    for moment in range(_N_MOMENTS):
        variance = _find_variance(slopes[moment], flux, error, powers, covariance)
        spread[moment] = np.sqrt(max(variance, 0.0)) if np.isfinite(found[moment]) else np.nan


@numba.njit((_LINE, _LINE, _LINE, _TABLE, _TABLE, _TABLE, _STACK, _MATRIX, _MATRIX), cache=True, nogil=True)
def measure_lines(axis, steps, widths, flux, error, powers, covariance, found, spread):  # type: ignore[no-untyped-def]
    """Fill moments (n, 5) and their errors of lines (n, m) without continuum; `covariance` is one matrix for each."""
    for place in range(flux.shape[0]):
        _measure(axis, steps, widths, flux[place].copy(), error[place].copy(), powers, covariance[place].copy(),
                 found[place], spread[place])  # fmt: skip


# -- maps ------------------------------------------------------------------------------------------------------------


@numba.njit(nogil=True)
def _estimate_noise(values):  # type: ignore[no-untyped-def]
    """Return the robust scatter of the second differences of a spectrum, as that of its values."""
    length = values.shape[0]
    if length < 3:
        return np.nan
    chosen, between = np.empty(length), np.empty(length)
    total = 0
    for point in range(1, length - 1):
        chosen[total] = abs((values[point + 1] - values[point]) - (values[point] - values[point - 1]))
        total += not np.isnan(chosen[total])
    return _NORMAL * find_median(chosen, total, 0.0, 0.0, between) / np.sqrt(6.0) if total else np.nan


@numba.njit(nogil=True)
def _copy_tile(words, swapped, row, first, stop, spectra):  # type: ignore[no-untyped-def]
    """Copy the spectra of some pixels of a row."""
    for wave in range(words.shape[0]):
        later = min(wave + _AHEAD, words.shape[0] - 1)
        prefetch(words, later, row, first)
        prefetch(words, later, row, stop - 1)
        for column in range(first, stop):
            word = words[wave, row, column]
            spectra[column - first, wave] = as_number(swap_bytes(word) if swapped else word)


@numba.njit(nogil=True)
def _fit_continuum(flux, noise, use, powers, clip, scatter, coefficients, covariance):  # type: ignore[no-untyped-def]
    """Fit the continuum of a spectrum at some slices; return the scatter for the next spectrum."""
    values, weights = np.zeros(use.shape[0]), np.zeros(use.shape[0])
    known, good = np.empty(use.shape[0], np.bool_), np.empty(use.shape[0], np.bool_)
    for point in range(use.shape[0]):
        value, error = flux[use[point]], noise[use[point]]
        known[point] = np.isfinite(value) and error > 0
        if known[point]:
            values[point] = value
            weights[point] = 1.0 / error**2
    return _fit(powers, values, weights, known, good, clip, scatter, coefficients, covariance)


@numba.njit(nogil=True)
def _subtract_continuum(flux, noise, powers, coefficients, clip, line):  # type: ignore[no-untyped-def]
    """Fill the line without its continuum; what is fainter than `clip` times its error becomes NaN."""
    line[:] = flux
    for i in range(powers.shape[0]):
        for point in range(line.shape[0]):
            line[point] -= coefficients[i] * powers[i, point]
    if clip > 0:
        for point in range(line.shape[0]):
            if not line[point] >= clip * noise[point]:
                line[point] = np.nan


@numba.njit(nogil=True)
def _find_level(powers, coefficients, covariance, found):  # type: ignore[no-untyped-def]
    """Fill the continuum amid the line, and its error."""
    middle = powers.shape[1] // 2
    level, variance = 0.0, 0.0
    for i in range(powers.shape[0]):
        level += coefficients[i] * powers[i, middle]
        for j in range(powers.shape[0]):
            variance += powers[i, middle] * covariance[i, j] * powers[j, middle]
    found[0], found[1] = level, np.sqrt(variance) if not variance < 0 else 0.0


@numba.njit(
    (_WORDS, types.boolean, types.int64, _WORDS, types.boolean, types.int64, _MASK, _PLACES, types.int64, _TABLE,
     _TABLE, _TABLE, types.float64, types.float64, types.float64[:, :, :, :]),
    cache=True, nogil=True,
)  # fmt: skip
def measure_pixels(  # type: ignore[no-untyped-def]
    flux_words, flux_swapped, flux_row, error_words, error_swapped, error_row, mask, use, start, use_powers,
    line_powers, line_axis, line_clip, clip, maps,
):  # fmt: skip
    """Fill maps (2, 6, rows, columns) with moments and the continuum amid the line, and with their errors.

    Words are as in `_spectra_kernel`, of whole spectra; rows are taken from `flux_row` and `error_row` on. Without
    words of errors they are estimated. The continuum is fitted at the slices `use`; the line begins at `start`, and
    `line_axis` has its velocities, their steps, and what each slice counts in the flux.
    """
    axis, steps, widths = line_axis[0], line_axis[1], line_axis[2]
    degree, end = use_powers.shape[0], start + line_axis.shape[1]
    coefficients, covariance = np.zeros(degree), np.zeros((degree, degree))
    line, found, errors = np.empty(end - start), np.empty(_N_MOMENTS), np.empty(_N_MOMENTS)
    fluxes, noises = np.empty((_TILE, flux_words.shape[0])), np.empty((_TILE, flux_words.shape[0]))
    maps[:] = np.nan
    scatter = 0.0
    tiles = (mask.shape[1] + _TILE - 1) // _TILE
    for number in range(mask.shape[0] * tiles):
        row, first = number // tiles, number % tiles * _TILE
        stop = min(first + _TILE, mask.shape[1])
        if not mask[row, first:stop].any():
            continue
        _copy_tile(flux_words, flux_swapped, flux_row + row, first, stop, fluxes)
        if error_words.shape[0]:
            _copy_tile(error_words, error_swapped, error_row + row, first, stop, noises)
        for column in range(first, stop):
            if not mask[row, column]:
                continue
            flux, noise = fluxes[column - first], noises[column - first]
            if not error_words.shape[0]:
                noise[:] = _estimate_noise(flux)
            if degree:
                scatter = _fit_continuum(flux, noise, use, use_powers, clip, scatter, coefficients, covariance)
            _subtract_continuum(flux[start:end], noise[start:end], line_powers, coefficients, line_clip, line)
            _measure(axis, steps, widths, line, noise[start:end], line_powers, covariance, found, errors)
            maps[0, :_N_MOMENTS, row, column] = found
            maps[1, :_N_MOMENTS, row, column] = errors
            _find_level(line_powers, coefficients, covariance, maps[:, _N_MOMENTS, row, column])
