"""Shift of a spectrum against a model of the atmosphere: measuring, applying, choosing the water vapour with it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.numerics.outliers import MAD_FACTOR

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import BoolArray, FloatArray

__all__ = [
    "ShiftFit",
    "ShiftRule",
    "WaterVapourFit",
    "fit_water_vapour",
    "measure_shift",
    "measure_signal_to_noise",
    "shift_rows",
]

SMALLEST_SHIFT = 0.1
"""Shifts below a tenth of a column are not applied: they are not worth an interpolation."""
SIGNIFICANCE = 3.0
"""Shifts below so many times their error are not applied."""
LINE_THRESHOLD = 4.0
"""Columns that deviate more from the best model, in robust standard deviations of all columns, show the source."""
LINE_MARGIN = 2
"""Columns beside these that are left out as well: the wings of a line."""
LARGEST_SHARE = 0.5
"""Share of columns that must stay in."""
ROUNDS = 10


@dataclass(frozen=True)
class ShiftRule:
    """How a shift is searched.

    Attributes
    ----------
    limit : float
        Largest shift, columns.
    step : float
        Step of the search, columns.
    degree : int
        Degree of the polynomial that stands for the continuum.
    """

    limit: float = 2.0
    step: float = 0.1
    degree: int = 1


@dataclass(frozen=True, eq=False)
class ShiftFit:
    """A measured shift.

    Attributes
    ----------
    shift, error : float
        Columns by which the spectrum must be moved to higher columns to match the model, and its 1-sigma error; 0 and
        NaN if no shift could be found.
    trials, chi_square : (n,) ndarray
        The curve the shift is the minimum of; chi-square per degree of freedom.
    used : (nw,) ndarray of bool
        Columns that were compared: those with data, without lines of the source.
    warning : str
        Why no shift is given; empty otherwise.
    """

    shift: float
    error: float
    trials: FloatArray
    chi_square: FloatArray
    used: BoolArray
    warning: str = ""

    @property
    def worth_applying(self) -> float:
        """The shift if it is large enough and significant, else 0."""
        significant = abs(self.shift) >= max(SMALLEST_SHIFT, SIGNIFICANCE * self.error)
        return self.shift if significant else 0.0


def measure_signal_to_noise(flux: ArrayLike, error: ArrayLike) -> float:
    """Median of flux over error; NaN if there is none."""
    from sofia_engine.numerics.statistics import median_ignoring_nan

    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.asarray(flux, dtype=np.float64) / np.asarray(error, dtype=np.float64)
    return float(median_ignoring_nan(np.where(np.isfinite(ratio), ratio, np.nan)))


def measure_shift(
    flux: ArrayLike,
    error: ArrayLike,
    model: ArrayLike,
    rule: ShiftRule | None = None,
    columns: BoolArray | None = None,
) -> ShiftFit:
    """Measure the shift of a spectrum against a model.

    Parameters
    ----------
    flux, error : (nw,) array_like
        Uncalibrated spectrum; NaN is missing.
    model : (nw,) array_like
        Transmission times response; NaN is missing.
    rule : ShiftRule, optional
        Limits, step, continuum.
    columns : (nw,) ndarray of bool, optional
        Columns to compare; those without lines of the source if left out.

    Returns
    -------
    ShiftFit
        A minimum at the border of the search is no minimum: the shift is then 0, with a warning.

    Notes
    -----
    For each trial the *model* is moved against the data (interpolating the data would smooth its noise and make
    half-column shifts look good), multiplied by a polynomial, and fitted with the errors as weights to the columns
    that all trials have in common. Lines of the source would pull the shift towards the nearest feature of the
    atmosphere: columns that deviate from the best model by more than `LINE_THRESHOLD` robust standard deviations, and
    their neighbours, are left out, until nothing changes. The error is that of a parabola through the minimum, where
    chi-square rises by its value per degree of freedom (by 1 if that is less).
    """
    rule = rule or ShiftRule()
    count = max(math.ceil(rule.limit / rule.step - 1e-9) - 1, 0)
    trials = rule.step * np.arange(-count, count + 1)
    moved = _move_model(np.asarray(model, dtype=np.float64), trials)
    data, weight, known = _prepare(flux, error, moved)
    used = known if columns is None else known & columns
    freedom = int(np.count_nonzero(used)) - rule.degree - 1
    if freedom < 1 or trials.size < 3:
        nothing = np.full(trials.size, np.nan)
        return ShiftFit(0.0, math.nan, trials, nothing, used, "Too few points to measure a shift.")
    if columns is None:
        used = _leave_out_lines(data, weight, moved, used, rule.degree)
        freedom = int(np.count_nonzero(used)) - rule.degree - 1
    return _find_minimum(trials, _fit_continuum(data, weight * used, moved, rule.degree)[0], freedom, used, rule)


def _find_minimum(trials: FloatArray, curve: FloatArray, freedom: int, used: BoolArray, rule: ShiftRule) -> ShiftFit:
    best = int(np.argmin(curve))
    reduced = curve / freedom
    if best in (0, trials.size - 1):
        warning = f"No wavelength shift within {rule.limit:g} pixels matches the atmosphere; none is applied."
        return ShiftFit(0.0, math.nan, trials, reduced, used, warning)
    left, middle, right = curve[best - 1 : best + 2]
    bend = left - 2 * middle + right
    offset = 0.5 * (left - right) / bend if bend > 0 else 0.0
    unit = max(float(reduced[best]), 1.0)
    error_of_shift = rule.step * math.sqrt(2 * unit / bend) if bend > 0 else math.inf
    return ShiftFit(float(trials[best] + offset * rule.step), error_of_shift, trials, reduced, used)


def _leave_out_lines(
    data: FloatArray, weight: FloatArray, models: FloatArray, known: BoolArray, degree: int
) -> BoolArray:
    """Columns (nw) without those that no trial explains."""
    used, seen = known, [known]
    for _ in range(ROUNDS):
        curve, rest = _fit_continuum(data, weight * used, models, degree)
        deviation = np.sqrt(weight) * rest[int(np.argmin(curve))]
        kept = known & ~_widen(known & (np.abs(deviation) > LINE_THRESHOLD * _find_spread(deviation[known])))
        if np.count_nonzero(kept) < LARGEST_SHARE * np.count_nonzero(known):
            return used
        used = kept
        if any(np.array_equal(kept, earlier) for earlier in seen):
            return used
        seen.append(kept)
    return used


def _find_spread(deviation: FloatArray) -> float:
    """Robust standard deviation in units of the error, at least 1."""
    return max(1.0, MAD_FACTOR * float(np.median(np.abs(deviation - np.median(deviation)))))


def _widen(columns: BoolArray) -> BoolArray:
    """Some columns and the `LINE_MARGIN` next ones on both sides."""
    return np.convolve(columns, np.ones(2 * LINE_MARGIN + 1), mode="same") > 0.5


def _move_model(model: FloatArray, trials: FloatArray) -> FloatArray:
    """The model at columns x + trial, shape (n, nw), by cubic convolution; NaN where it is missing."""
    return np.stack([shift_rows(model, -trial) for trial in trials])


def _prepare(flux: ArrayLike, error: ArrayLike, models: FloatArray) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Data and weights, 0 where something is missing, and where nothing is."""
    data, spread = np.asarray(flux, dtype=np.float64), np.asarray(error, dtype=np.float64)
    known = np.isfinite(data) & np.isfinite(spread) & (spread > 0) & np.isfinite(models).all(axis=0)
    return np.where(known, data, 0.0), np.where(known, 1.0 / np.where(known, spread, 1.0) ** 2, 0.0), known


def _fit_continuum(
    data: FloatArray, weight: FloatArray, models: FloatArray, degree: int
) -> tuple[FloatArray, FloatArray]:
    """Chi-square (n) and residuals (n, m) of the best polynomial times each model (n, m)."""
    x = np.linspace(-1.0, 1.0, data.size)
    design = np.nan_to_num(models)[..., np.newaxis] * np.vander(x, degree + 1, increasing=True)
    weighted = design * weight[:, np.newaxis]
    normal, right = np.swapaxes(weighted, 1, 2) @ design, np.einsum("nmt,m->nt", weighted, data)
    coefficients = np.einsum("ntu,nu->nt", np.linalg.pinv(normal, hermitian=True), right)
    rest = data - np.einsum("nmt,nt->nm", design, coefficients)
    chi_square: FloatArray = (weight * rest**2).sum(axis=1)
    return chi_square, rest


def shift_rows(values: ArrayLike, shift: float) -> FloatArray:
    """Move rows to higher columns by a fraction of columns.

    Parameters
    ----------
    values : (..., nw) array_like
        NaN is missing.
    shift : float
        Columns; positive moves features to higher columns.

    Returns
    -------
    ndarray
        Same shape. Cubic convolution (Keys 1981, IEEE Trans. ASSP 29, 1153), which keeps widths of lines and noise
        better than linear interpolation; linear where only the two nearest columns are there; NaN where one of these
        is missing.
    """
    data = np.asarray(values, dtype=np.float64)
    count = data.shape[-1]
    whole = math.floor(shift)
    part = shift - whole
    padded = np.pad(data, [(0, 0)] * (data.ndim - 1) + [(2, 2)], constant_values=np.nan)
    # output column x takes its value at x - shift, which lies by 1 - part after column x - whole - 1
    columns = np.arange(count) - whole
    near = {step: padded[..., np.clip(columns + step, -2, count + 1) + 2] for step in (-2, -1, 0, 1)}
    if part == 0:
        return near[0]
    t = 1.0 - part
    linear = (1 - t) * near[-1] + t * near[0]
    weights = (0.5 * (-t + 2 * t**2 - t**3), 0.5 * (2 - 5 * t**2 + 3 * t**3),
               0.5 * (t + 4 * t**2 - 3 * t**3), 0.5 * (t**3 - t**2))  # fmt: skip
    cubic = sum(weight * near[step] for weight, step in zip(weights, (-2, -1, 0, 1), strict=True))
    return np.where(np.isfinite(cubic), cubic, linear)


@dataclass(frozen=True, eq=False)
class WaterVapourFit:
    """The water vapour that explains a spectrum best.

    Attributes
    ----------
    index : int
        Of the best model.
    pwv, error : float
        Its water vapour and 1-sigma error, micrometres.
    shifts : tuple of ShiftFit or None
        Per model, if shifts were measured.
    chi_square : (n,) ndarray
        Per degree of freedom, of each model.
    """

    index: int
    pwv: float
    error: float
    shifts: tuple[ShiftFit, ...] | None
    chi_square: FloatArray


def fit_water_vapour(
    flux: ArrayLike,
    error: ArrayLike,
    models: ArrayLike,
    pwv: ArrayLike,
    rule: ShiftRule,
    *,
    shift: bool = True,
) -> WaterVapourFit:
    """Choose among models of different water vapour.

    Parameters
    ----------
    flux, error : (nw,) array_like
        Uncalibrated spectrum.
    models : (n, nw) array_like
        Transmission times response, one model per row.
    pwv : (n,) array_like
        Their water vapour, rising, micrometres.
    rule : ShiftRule
        Continuum, and the limits of shifts.
    shift : bool
        Allow for a wavelength shift, measured anew for each model.

    Returns
    -------
    WaterVapourFit
        The error is where chi-square, linear between the models, has risen by its smallest value per degree of freedom
        (at least 1); at least the step of the models over the square root of 12.
    """
    rows, vapour = np.asarray(models, dtype=np.float64), np.asarray(pwv, dtype=np.float64)
    fits = _fit_shifts(flux, error, rows, rule) if shift else None
    data, weight, known = _prepare(flux, error, rows)
    columns = _leave_out_lines(data, weight, rows, known, rule.degree) if fits is None else known & fits[0].used
    freedom = max(int(np.count_nonzero(columns)) - rule.degree - 1, 1)
    if fits is None:
        curve = _fit_continuum(data, weight * columns, rows, rule.degree)[0] / freedom
    else:
        curve = np.array([_least(fit) for fit in fits])
    best = int(np.argmin(curve))
    total = curve * freedom
    limit = total[best] + max(float(curve[best]), 1.0)
    sides = [_cross(vapour[best::-1], total[best::-1], limit), _cross(vapour[best:], total[best:], limit)]
    steps = [abs(side - vapour[best]) for side in sides if math.isfinite(side)]
    floor = float(np.median(np.diff(vapour))) / math.sqrt(12.0) if vapour.size > 1 else 0.0
    return WaterVapourFit(best, float(vapour[best]), max([floor, *steps]), fits, curve)


def _fit_shifts(flux: ArrayLike, error: ArrayLike, models: FloatArray, rule: ShiftRule) -> tuple[ShiftFit, ...]:
    """Shift against each model, all over the columns that the best model explains."""
    first = [measure_shift(flux, error, row, rule) for row in models]
    columns = min(first, key=_least).used
    return tuple(measure_shift(flux, error, row, rule, columns) for row in models)


def _least(fit: ShiftFit) -> float:
    """Chi-square at the best shift."""
    return float(np.nan_to_num(fit.chi_square, nan=np.inf).min(initial=np.inf))


def _cross(x: FloatArray, y: FloatArray, limit: float) -> float:
    """Where a curve that starts below a limit first crosses it; NaN if it does not."""
    above = np.flatnonzero(y > limit)
    if not above.size:
        return math.nan
    high = int(above[0])
    low = high - 1
    return float(x[low] + (x[high] - x[low]) * (limit - y[low]) / (y[high] - y[low]))
