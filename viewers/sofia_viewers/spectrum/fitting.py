"""Fits of spectral lines on a baseline, with errors, integrated fluxes and equivalent widths.

All lines of a range are fitted together. Parameters can be fixed, or tied linearly to others (same width, known
separation, known ratio). Both axes are scaled so that no parameter is far from one; derivatives are analytic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import ParameterError, StepError
from sofia_engine.numerics.least_squares import LeastSquaresFit, fit_least_squares
from sofia_viewers.spectrum.profiles import PROFILES

__all__ = ["FitModel", "FitResult", "Line", "LineFit", "Measured", "Tie", "estimate_lines", "evaluate", "fit_lines"]

FloatArray = NDArray[np.float64]

_NARROWEST = 0.05
"""Least width, in mean distances of points."""

_EXPONENTS = (0.55, 100.0)
_EDGE = 0.2
_CLEARLY = 0.9
"""Share of the misfit below which the second way of guessing lines is better."""
_LOPSIDED = 1.7
"""How much wider one side of a line may be than the other."""
_STEP = 1e-3
_LEAST_STEP = 1e-9
"""Steps of the gradient in errors, and least in values: below that differences are rounding."""


@dataclass(frozen=True)
class Tie:
    """A parameter that follows another: factor times that of line number `line` (from 0), plus offset."""

    line: int
    parameter: str
    factor: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True)
class Line:
    """One line to fit.

    Parameters
    ----------
    shape : str
        One of `PROFILES`.
    values : tuple of float
        First (or fixed) values of its parameters.
    fixed : frozenset of str
        Parameters that keep their value.
    ties : mapping of str to Tie
        Parameters that follow others.
    """

    shape: str
    values: tuple[float, ...]
    fixed: frozenset[str] = frozenset()
    ties: Mapping[str, Tie] = field(default_factory=dict)


@dataclass(frozen=True)
class FitModel:
    """Lines and the degree of the baseline polynomial; None for no baseline."""

    lines: tuple[Line, ...]
    degree: int | None = 1


@dataclass(frozen=True)
class Measured:
    """A value with its 1-sigma error; NaN if it is not known, 0 if it was fixed."""

    value: float
    error: float = math.nan


@dataclass(frozen=True)
class LineFit:
    """One fitted line.

    Attributes
    ----------
    shape : str
        Its shape.
    parameters : dict of str to Measured
        By name.
    center, fwhm, amplitude, baseline : Measured
        Position, width, height above the baseline, and the baseline at the position.
    flux : Measured
        Integral of the line, unit of y times unit of x.
    equivalent_width : Measured
        Minus the flux over the baseline at the position: positive in absorption. NaN where the baseline is not
        positive.
    """

    shape: str
    parameters: Mapping[str, Measured]
    center: Measured
    fwhm: Measured
    amplitude: Measured
    baseline: Measured
    flux: Measured
    equivalent_width: Measured


@dataclass(frozen=True, eq=False)
class FitResult:
    """Result of a fit.

    Attributes
    ----------
    lines : tuple of LineFit
        In the order of the model.
    degree : int or None
        Of the baseline.
    coefficients : tuple of Measured
        Of the baseline as a polynomial in x, lowest power first: intercept, slope and so on.
    limits : (float, float)
        Range of x.
    chi_square, freedom
        Weighted sum of squares (unweighted if there were no errors) and degrees of freedom.
    weighted : bool
        Whether errors of the data were used; else they were taken from the scatter.
    converged : bool
        Whether the fit came to an end.
    parameters, covariance : ndarray
        All parameters: of the lines in order, then of the baseline in powers of (x - x_mid)/x_scale.
    x_mid, x_scale : float
        Scaling of x for the baseline.
    """

    lines: tuple[LineFit, ...]
    degree: int | None
    coefficients: tuple[Measured, ...]
    limits: tuple[float, float]
    chi_square: float
    freedom: int
    weighted: bool
    converged: bool
    parameters: FloatArray
    covariance: FloatArray
    x_mid: float
    x_scale: float

    @property
    def reduced_chi_square(self) -> float:
        """Chi square per degree of freedom; NaN if there is none."""
        return self.chi_square / self.freedom if self.freedom > 0 else math.nan

    @property
    def kind(self) -> str:
        """What was fitted, as ``gaussian+linear``."""
        names = {None: "", 0: "constant", 1: "linear"}
        base = names.get(self.degree, f"polynomial {self.degree}")
        shapes = [line.shape for line in self.lines]
        features = [shapes[0]] if len(set(shapes)) == 1 else shapes
        count = f"{len(shapes)} " if len(shapes) > 1 and len(features) == 1 else ""
        return " + ".join(part for part in (count + " + ".join(features) if shapes else "", base) if part)


@dataclass(frozen=True, eq=False)
class _Scaled:
    """The problem in scaled coordinates: full parameters are matrix times free ones plus constants."""

    matrix: FloatArray
    constants: FloatArray
    scales: FloatArray
    offsets: FloatArray


# -- evaluation ------------------------------------------------------------------------------------------------------


def evaluate(result: FitResult, x: Any, *, line: int | None = None, baseline_only: bool = False) -> FloatArray:
    """Return the fitted curve.

    Parameters
    ----------
    result : FitResult
        The fit.
    x : (n,) array_like
        In the unit of the fit.
    line : int, optional
        Only this line (from 0) on the baseline.
    baseline_only : bool
        Only the baseline.
    """
    at = np.asarray(x, dtype=float)
    shapes = [fitted.shape for fitted in result.lines]
    start, total = 0, np.zeros(len(at))
    for number, shape in enumerate(shapes):
        count = len(PROFILES[shape].names)
        if not baseline_only and line in (None, number):
            total = total + PROFILES[shape].evaluate(at, result.parameters[start : start + count])[0]
        start += count
    powers = (at - result.x_mid) / result.x_scale
    for power, coefficient in enumerate(result.parameters[start:]):
        total = total + coefficient * powers**power
    return total


def _evaluate_scaled(
    t: FloatArray, parameters: FloatArray, shapes: Sequence[str], powers: FloatArray
) -> tuple[FloatArray, FloatArray]:
    values, derivatives, start = np.zeros(len(t)), [], 0
    for shape in shapes:
        count = len(PROFILES[shape].names)
        part, slopes = PROFILES[shape].evaluate(t, parameters[start : start + count])
        values = values + part
        derivatives.append(slopes)
        start += count
    values = values + parameters[start:] @ powers
    return values, np.concatenate([*derivatives, powers])


# -- first values ----------------------------------------------------------------------------------------------------


def estimate_lines(
    x: Any,
    y: Any,
    *,
    shape: str = "gaussian",
    count: int = 1,
    degree: int | None = 1,
    centers: Sequence[float] = (),
    sign: int = 0,
) -> tuple[Line, ...]:
    """Guess lines from the data: the strongest features left after the baseline and stronger lines are taken away.

    Parameters
    ----------
    x, y : (n,) array_like
        Data in the range; NaN is left out.
    shape : str
        Shape of all lines.
    count : int
        Number of lines.
    degree : int or None
        Degree of the baseline.
    centers : sequence of float
        Positions, if they are known; then as many lines as these.
    sign : int
        1 for emission, -1 for absorption, 0 for whichever is stronger.
    """
    xs, ys = _take_known(x, y)
    if len(xs) == 0:
        raise StepError("There are no data in the range: choose another one.")
    if centers or count < 2:
        return _guess_lines(xs, ys, (shape, degree, sign), list(centers) or [None] * count, refit=False)
    ways = [_guess_lines(xs, ys, (shape, degree, sign), [None] * count, refit=refit) for refit in (False, True)]
    misfits = [_find_misfit(xs, ys, lines, degree) for lines in ways]
    return ways[1] if misfits[1] < _CLEARLY * misfits[0] else ways[0]


def _guess_lines(
    x: FloatArray, y: FloatArray, kind: tuple[str, int | None, int], centers: Sequence[float | None], *, refit: bool
) -> tuple[Line, ...]:
    """Guess lines one after the other; each is taken away as it was guessed, or as all so far fit best.

    The first separates blends, the second finds weak lines beside strong ones.
    """
    shape, degree, sign = kind
    rest = y - _guess_baseline(x, y, degree)
    lines, taken = [], []
    for center in centers:
        guess = _guess_line(x, rest, center, sign)
        lines.append(Line(shape, PROFILES[shape].start(*guess)))
        taken.append(Line("gaussian", PROFILES["gaussian"].start(*guess)))
        left = _subtract(x, y, taken, degree) if refit and len(lines) < len(centers) else None
        rest = rest - PROFILES["gaussian"].evaluate(x, np.array(taken[-1].values))[0] if left is None else left
    known = any(center is not None for center in centers)
    return tuple(lines if known else sorted(lines, key=lambda line: line.values[1]))


def _subtract(x: FloatArray, y: FloatArray, lines: Sequence[Line], degree: int | None) -> FloatArray | None:
    """Return what is left when lines and baseline fit best; None if they do not."""
    try:
        fit = fit_lines(x, y, None, FitModel(tuple(lines), degree))
    except StepError:
        return None
    return y - evaluate(fit, x) if fit.converged else None


def _find_misfit(x: FloatArray, y: FloatArray, lines: tuple[Line, ...], degree: int | None) -> float:
    """Return the sum of squares that a fit from these lines leaves; infinite if there is none."""
    try:
        fit = fit_lines(x, y, None, FitModel(lines, degree))
    except StepError:
        return math.inf
    return fit.chi_square if fit.converged else math.inf


def _take_known(x: Any, y: Any) -> tuple[FloatArray, FloatArray]:
    xs, ys = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    known = np.isfinite(xs) & np.isfinite(ys)
    order = np.argsort(xs[known], kind="stable")
    return xs[known][order], ys[known][order]


def _guess_baseline(x: FloatArray, y: FloatArray, degree: int | None) -> FloatArray:
    """Return a polynomial through what looks like no line: the edges of the range, then all points near it."""
    if degree is None:
        return np.zeros(len(x))
    edge = max(2, round(_EDGE * len(x)))
    use = np.zeros(len(x), dtype=bool)
    use[:edge] = use[-edge:] = True
    t = (x - x.mean()) / (np.ptp(x) or 1.0)
    baseline = np.zeros(len(x))
    for _ in range(4):
        order = min(degree, 1 if _ == 0 else degree, max(0, int(use.sum()) - 1))
        baseline = np.polynomial.polynomial.polyval(t, np.polynomial.polynomial.polyfit(t[use], y[use], order))
        rest = y - baseline
        spread = 1.4826 * np.median(np.abs(rest[use] - np.median(rest[use])))
        near = np.abs(rest) <= 3.0 * spread
        if near.sum() <= degree + 2:
            break
        use = near
    return np.asarray(baseline)


def _guess_line(x: FloatArray, rest: FloatArray, center: float | None, sign: int) -> tuple[float, float, float]:
    """Return amplitude, position and FWHM of the strongest feature, or of the one at a position."""
    smooth = np.convolve(np.pad(rest, 1, mode="edge"), (0.25, 0.5, 0.25), "valid") if len(rest) > 4 else rest
    score = smooth * sign if sign else np.abs(smooth - np.median(smooth) * 0.0)
    peak = int(np.argmax(score)) if center is None else int(np.argmin(np.abs(x - center)))
    amplitude = float(rest[peak] if abs(rest[peak]) > abs(smooth[peak]) else smooth[peak])
    if sign and amplitude * sign <= 0:
        amplitude = sign * float(np.std(rest)) or float(sign)
    above = smooth * np.sign(amplitude) > abs(amplitude) / 2.0
    left = right = peak
    while left > 0 and above[left - 1]:
        left -= 1
    while right < len(x) - 1 and above[right + 1]:
        right += 1
    reach = round(_LOPSIDED * max(min(peak - left, right - peak), 1))  # a much wider side is a neighbour's
    left, right = max(left, peak - reach), min(right, peak + reach)
    spacing = np.ptp(x) / max(len(x) - 1, 1) or 1.0
    width = max(float(x[right] - x[left]), 2.0 * float(spacing))
    inside = slice(left, right + 1)
    weight = np.clip(rest[inside] * np.sign(amplitude), 0.0, None)
    found = float(np.average(x[inside], weights=weight)) if weight.sum() > 0 else float(x[peak])
    return amplitude or 1e-30, found if center is None else float(center), width


# -- the fit ---------------------------------------------------------------------------------------------------------


def fit_lines(x: Any, y: Any, error: Any, model: FitModel) -> FitResult:
    """Fit lines and baseline to data.

    Parameters
    ----------
    x, y : (n,) array_like
        Data of the range; NaN is left out. They are not changed.
    error : (n,) array_like or None
        1-sigma errors of y, used as weights; points without a positive one are left out. None: all weigh the same, and
        the errors of the parameters follow from the scatter.
    model : FitModel
        Lines with first values, and baseline.

    Returns
    -------
    FitResult
        In the units of the data.

    Raises
    ------
    StepError
        If there are fewer points than free parameters, or the data are constant zero.
    ParameterError
        If ties go round in circles or name what is not there.
    """
    xs, ys, weights = _prepare(x, y, error)
    frame = _scale_axes(xs, ys)
    scaled = _make_parameters(model, frame)
    n_free = scaled.matrix.shape[1]
    if len(xs) < n_free or len(xs) == 0:
        raise StepError(
            f"The range holds {len(xs)} good points, fewer than the {n_free} free parameters: choose a wider one."
        )
    fit = _solve(model, scaled, (xs, ys, weights), frame)
    return _describe(model, fit, scaled, frame, (float(xs.min()), float(xs.max()), len(xs), error is not None))


def _prepare(x: Any, y: Any, error: Any) -> tuple[FloatArray, FloatArray, FloatArray]:
    xs, ys = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    known = np.isfinite(xs) & np.isfinite(ys)
    if error is None:
        return xs[known], ys[known], np.ones(int(known.sum()))
    spread = np.asarray(error, dtype=float)
    known &= np.isfinite(spread) & (spread > 0)
    return xs[known], ys[known], 1.0 / spread[known]


def _scale_axes(x: FloatArray, y: FloatArray) -> tuple[float, float, float]:
    """Return middle and scale of x, and scale of y."""
    if len(x) == 0:
        return 0.0, 1.0, 1.0
    spread = float(np.max(np.abs(y - np.median(y)))) or float(np.max(np.abs(y))) or 1.0
    return float(0.5 * (x.min() + x.max())), float(0.5 * np.ptp(x)) or 1.0, spread


def _make_parameters(model: FitModel, frame: tuple[float, float, float]) -> _Scaled:
    x_mid, x_scale, y_scale = frame
    of_kind = {
        "amplitude": (y_scale, 0.0),
        "position": (x_scale, x_mid),
        "width": (x_scale, 0.0),
        "exponent": (1.0, 0.0),
    }
    pairs = [of_kind[kind] for line in model.lines for kind in PROFILES[line.shape].kinds]
    n_base = 0 if model.degree is None else model.degree + 1
    scales = np.array([pair[0] for pair in pairs] + [y_scale] * n_base)
    offsets = np.array([pair[1] for pair in pairs] + [0.0] * n_base)
    index = {
        (number, name): place
        for place, (number, name) in enumerate(
            (number, name) for number, line in enumerate(model.lines) for name in PROFILES[line.shape].names
        )
    }
    free = [key for key in index if key[1] not in model.lines[key[0]].fixed and key[1] not in model.lines[key[0]].ties]
    matrix = np.zeros((len(scales), len(free) + n_base))
    constants = np.zeros(len(scales))
    for key, place in index.items():
        row, constant = _resolve(model, key, free, ())
        for name, factor in row.items():
            source = index[name]
            matrix[place, free.index(name)] = factor * scales[source] / scales[place]
            constant += factor * offsets[source]
        constants[place] = (constant - offsets[place]) / scales[place]
    for number in range(n_base):
        matrix[len(index) + number, len(free) + number] = 1.0
    return _Scaled(matrix, constants, scales, offsets)


def _resolve(
    model: FitModel, key: tuple[int, str], free: list[tuple[int, str]], seen: tuple[tuple[int, str], ...]
) -> tuple[dict[tuple[int, str], float], float]:
    """Return a parameter as factors of free ones plus a constant."""
    number, name = key
    if key in free:
        return {key: 1.0}, 0.0
    if not 0 <= number < len(model.lines) or name not in PROFILES[model.lines[number].shape].names:
        raise ParameterError(f"Line {number + 1} has no parameter {name} that another could be tied to.")
    line = model.lines[number]
    if name in line.fixed:
        return {}, float(line.values[PROFILES[line.shape].names.index(name)])
    if key in seen:
        raise ParameterError(f"The ties of {name} of line {number + 1} go round in a circle: set one of them free.")
    tie = line.ties[name]
    row, constant = _resolve(model, (tie.line, tie.parameter), free, (*seen, key))
    return {free_key: tie.factor * factor for free_key, factor in row.items()}, tie.factor * constant + tie.offset


def _solve(
    model: FitModel, scaled: _Scaled, data: tuple[FloatArray, FloatArray, FloatArray], frame: tuple[float, float, float]
) -> LeastSquaresFit:
    x, y, weights = data
    x_mid, x_scale, y_scale = frame
    t, v, w = (x - x_mid) / x_scale, y / y_scale, weights * y_scale
    n_base = 0 if model.degree is None else model.degree + 1
    powers = t ** np.arange(n_base)[:, None]
    shapes = [line.shape for line in model.lines]
    scale = 1.0 / (float(np.sqrt(np.mean(w**2))) or 1.0)
    w = w * scale

    def residuals(free: FloatArray) -> FloatArray:
        values, _ = _evaluate_scaled(t, scaled.matrix @ free + scaled.constants, shapes, powers)
        return np.asarray((values - v) * w)

    def jacobian(free: FloatArray) -> FloatArray:
        _, slopes = _evaluate_scaled(t, scaled.matrix @ free + scaled.constants, shapes, powers)
        return np.asarray(scaled.matrix.T @ (slopes * w))

    start, low, high = _start_values(model, scaled, t, v, w, powers)
    if len(start) == 0:
        rest = residuals(start)
        return LeastSquaresFit(start, np.zeros((0, 0)), float(rest @ rest) / scale**2, True, 0)
    found = fit_least_squares(residuals, jacobian, start, (low, high))
    return LeastSquaresFit(
        found.parameters, found.covariance * scale**2, found.chi_square / scale**2, found.converged, found.iterations
    )


def _start_values(
    model: FitModel, scaled: _Scaled, t: FloatArray, v: FloatArray, w: FloatArray, powers: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return first values and bounds of the free parameters; the baseline is the best one under the guessed lines."""
    values = np.array([value for line in model.lines for value in line.values])
    n_line = len(values)
    full = np.concatenate(((values - scaled.offsets[:n_line]) / scaled.scales[:n_line], np.zeros(len(powers))))
    if len(powers):
        lines, _ = _evaluate_scaled(t, full, [line.shape for line in model.lines], powers)
        solved = np.linalg.lstsq((powers * w).T, (v - lines) * w, rcond=None)[0]
        full[n_line:] = solved
    spacing = 2.0 / max(len(t) - 1, 1)
    bounds = {
        "amplitude": (-np.inf, np.inf), "position": (float(t.min()), float(t.max())),
        "width": (_NARROWEST * spacing, 3.0 * float(np.ptp(t)) or 1.0), "exponent": _EXPONENTS,
    }  # fmt: skip
    kinds = [kind for line in model.lines for kind in PROFILES[line.shape].kinds]
    limits = np.array([bounds[kind] for kind in kinds] + [(-np.inf, np.inf)] * len(powers)).reshape(-1, 2)
    own = [int(np.flatnonzero(_is_own(scaled.matrix, column))[0]) for column in range(scaled.matrix.shape[1])]
    return full[own], limits[own, 0], limits[own, 1]


def _is_own(matrix: FloatArray, column: int) -> NDArray[np.bool_]:
    """Tell which full parameter is the free one itself: its row is one in that column and zero elsewhere."""
    row = np.abs(matrix[:, column] - 1.0) < 1e-12
    return np.asarray(row & (np.count_nonzero(matrix, axis=1) == 1))


# -- what comes out --------------------------------------------------------------------------------------------------


def _describe(
    model: FitModel,
    fit: LeastSquaresFit,
    scaled: _Scaled,
    frame: tuple[float, float, float],
    data: tuple[float, float, int, bool],
) -> FitResult:
    low, high, count, weighted = data
    full = scaled.matrix @ fit.parameters + scaled.constants
    freedom = count - len(fit.parameters)
    covariance = fit.covariance
    if not weighted:
        covariance = covariance * (fit.chi_square / freedom if freedom > 0 else math.nan)
    parameters = full * scaled.scales + scaled.offsets
    spread = scaled.matrix @ covariance @ scaled.matrix.T * np.outer(scaled.scales, scaled.scales)
    places = _list_places(model)
    chi_square = fit.chi_square
    n_lines = sum(len(PROFILES[line.shape].names) for line in model.lines)

    def base_at(p: FloatArray, at: float) -> float:
        t = (at - frame[0]) / frame[1]
        return float(sum(c * t**k for k, c in enumerate(p[n_lines:])))

    lines = tuple(
        _describe_line(line.shape, place, parameters, spread, base_at)
        for line, place in zip(model.lines, places, strict=True)
    )
    coefficients = _expand_baseline(parameters, spread, n_lines, frame)
    return FitResult(
        lines, model.degree, coefficients, (low, high), chi_square, freedom, weighted, fit.converged,
        parameters, spread, frame[0], frame[1],
    )  # fmt: skip


def _list_places(model: FitModel) -> list[slice]:
    places, start = [], 0
    for line in model.lines:
        count = len(PROFILES[line.shape].names)
        places.append(slice(start, start + count))
        start += count
    return places


def _describe_line(
    shape: str,
    place: slice,
    parameters: FloatArray,
    covariance: FloatArray,
    base_at: Callable[[FloatArray, float], float],
) -> LineFit:
    profile = PROFILES[shape]

    def width(p: FloatArray) -> float:
        return float(profile.fwhm(p[place]))

    def flux(p: FloatArray) -> float:
        return float(profile.area(p[place]))

    def base(p: FloatArray) -> float:
        return base_at(p, float(p[place][1]))

    def equivalent(p: FloatArray) -> float:
        level = base(p)
        return -flux(p) / level if level > 0 else math.nan

    def measure(function: Callable[[FloatArray], float]) -> Measured:
        return propagate(function, parameters, covariance)

    single = {
        name: Measured(float(parameters[place][i]), _root(covariance[place.start + i, place.start + i]))
        for i, name in enumerate(profile.names)
    }
    return LineFit(
        shape, single, single[profile.position], measure(width), single["amplitude"], measure(base), measure(flux),
        measure(equivalent),
    )  # fmt: skip


def propagate(function: Callable[[FloatArray], float], parameters: FloatArray, covariance: FloatArray) -> Measured:
    """Return a function of parameters with its error, to first order.

    The gradient is taken over a thousandth of the error of each parameter.
    """
    value = function(parameters)
    errors = np.sqrt(np.clip(np.diag(covariance), 0.0, None))
    if not np.isfinite(errors).all():
        return Measured(value)
    gradient = np.zeros(len(parameters))
    for place in np.flatnonzero(errors > 0):
        step = max(_STEP * errors[place], _LEAST_STEP * abs(parameters[place]))
        up, down = parameters.copy(), parameters.copy()
        up[place] += step
        down[place] -= step
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):  # beyond its range: the error is NaN
            gradient[place] = (function(up) - function(down)) / (up[place] - down[place])
    return Measured(value, _root(float(gradient @ covariance @ gradient)))


def _expand_baseline(
    parameters: FloatArray, covariance: FloatArray, n_lines: int, frame: tuple[float, float, float]
) -> tuple[Measured, ...]:
    """Return the baseline as a polynomial in x: from powers of (x - x_mid)/x_scale by the binomial theorem."""
    x_mid, x_scale, _ = frame
    count = len(parameters) - n_lines
    matrix = np.zeros((count, count))
    for k in range(count):
        for j in range(k + 1):
            matrix[j, k] = math.comb(k, j) * (-x_mid) ** (k - j) / x_scale**k
    values = matrix @ parameters[n_lines:]
    spread = matrix @ covariance[n_lines:, n_lines:] @ matrix.T
    return tuple(Measured(float(v), _root(spread[i, i])) for i, v in enumerate(values))


def _root(variance: float) -> float:
    return math.sqrt(variance) if variance >= 0 else math.nan
