"""Fits of spectral lines to many spectra at once: the method of `fit_least_squares`, for all of them in step.

The shapes are those of the spectrum viewer. Every spectrum has its own damping; those that have converged drop out. A
loop over thousands of single fits costs most of its time in the interpreter; here it works on arrays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import StepError
from sofia_viewers.spectrum.profiles import PROFILES

__all__ = ["BatchFit", "Guess", "evaluate_batch", "fit_batch", "guess_lines"]

FloatArray = NDArray[np.float64]

_MOST_ITERATIONS = 200
_TOLERANCE = 1e-10
_FIRST_DAMPING = 1e-2
_LARGEST_DAMPING = 1e10
_LEAST_DAMPING = 1e-10
_NARROWEST = 0.05
_EXPONENTS = (0.55, 100.0)


@dataclass(frozen=True, eq=False)
class Guess:
    """First values of lines: position and FWHM of each, (n_line, n_spectrum); amplitudes follow from the data."""

    center: FloatArray
    fwhm: FloatArray


@dataclass(frozen=True, eq=False)
class BatchFit:
    """Result of many fits of the same model.

    Parameters
    ----------
    shape : str
        Of the lines.
    n_lines : int
        How many.
    parameters : (n_parameter, n) ndarray
        Of the lines in order, then of the baseline in powers of (x - middle) / half; NaN where nothing was fitted.
    covariance : (n, n_parameter, n_parameter) ndarray
        Of the parameters.
    chi_square : (n,) ndarray
        Weighted sums of squares.
    freedom : (n,) ndarray
        Points less parameters.
    converged : (n,) bool ndarray
        Whether the fits came to an end.
    middle, half : float
        Scaling of x for the baseline.
    """

    shape: str
    n_lines: int
    parameters: FloatArray
    covariance: FloatArray
    chi_square: FloatArray
    freedom: FloatArray
    converged: NDArray[np.bool_]
    middle: float
    half: float

    def measure(self, quantity: str, line: int = 0) -> tuple[FloatArray, FloatArray]:
        """Return ``center``, ``fwhm``, ``amplitude``, ``flux`` or ``baseline`` of a line with 1-sigma errors, (n,)."""
        profile = PROFILES[self.shape]
        count = len(profile.names)
        place = slice(line * count, (line + 1) * count)

        def compute(p: FloatArray) -> FloatArray:
            own = p[place]
            if quantity == "center":
                return np.asarray(own[1])
            if quantity == "amplitude":
                return np.asarray(own[0])
            if quantity == "baseline":
                t = (own[1] - self.middle) / self.half
                base = p[self.n_lines * count :]
                return np.asarray(sum((c * t**k for k, c in enumerate(base)), np.zeros_like(t)))
            return np.asarray((profile.fwhm if quantity == "fwhm" else profile.area)(own))

        return _propagate(compute, self.parameters, self.covariance)


def _propagate(compute, parameters: FloatArray, covariance: FloatArray) -> tuple[FloatArray, FloatArray]:  # type: ignore[no-untyped-def]
    """Return a function of parameters with its error, to first order over a thousandth of each error."""
    value = compute(parameters)
    errors = np.sqrt(np.maximum(np.einsum("nii->in", covariance), 0.0))
    gradient = np.zeros_like(parameters)
    with np.errstate(divide="ignore", invalid="ignore"):
        for place in range(len(parameters)):
            step = np.maximum(1e-3 * errors[place], 1e-9 * np.abs(parameters[place]))
            up, down = parameters.copy(), parameters.copy()
            up[place] += step
            down[place] -= step
            slope = (compute(up) - compute(down)) / (up[place] - down[place])
            gradient[place] = np.where(step > 0, slope, 0.0)
        variance = np.einsum("in,nij,jn->n", gradient, covariance, gradient, optimize=True)
        return value, np.sqrt(np.where(variance >= 0, variance, np.nan))


def evaluate_batch(fit: BatchFit, x: FloatArray) -> FloatArray:
    """Return the fitted curves at x (m,) as (m, n)."""
    t = (np.asarray(x, dtype=float) - fit.middle) / fit.half
    count = len(PROFILES[fit.shape].names)
    p = fit.parameters[:, :, None]
    total = sum(
        (PROFILES[fit.shape].evaluate(x, p[k * count : (k + 1) * count])[0] for k in range(fit.n_lines)),
        np.zeros((fit.parameters.shape[1], len(t))),
    )
    for power, coefficient in enumerate(p[fit.n_lines * count :]):
        total = total + coefficient * t**power
    return np.asarray(total.T)


def guess_lines(x: FloatArray, rest: FloatArray, sign: int = 1) -> Guess:
    """Guess position and width of the strongest line of each spectrum from which the continuum was taken away.

    Parameters
    ----------
    x : (m,) ndarray
        Positions, rising.
    rest : (m, n) ndarray
        Line; NaN is left out.
    sign : int
        1 for emission, -1 for absorption.
    """
    values = np.where(np.isfinite(rest), rest * sign, 0.0)
    padded = np.pad(values, ((1, 1), (0, 0)), mode="edge")
    smooth = 0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:]
    peak = smooth.argmax(axis=0)
    top = smooth.max(axis=0)
    above = np.where(smooth > 0.5 * top, smooth, 0.0)
    near = np.abs(np.arange(len(x))[:, None] - peak) <= max(3, len(x) // 4)
    weight = np.where(near, above, 0.0)
    total = weight.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        center = np.where(total > 0, (weight * x[:, None]).sum(axis=0) / total, x[peak])
    spacing = float(np.ptp(x)) / max(len(x) - 1, 1)
    fwhm = np.maximum((near & (above > 0)).sum(axis=0), 2) * spacing
    return Guess(center[None], fwhm[None])


def fit_batch(
    x: FloatArray, y: FloatArray, error: FloatArray, guess: Guess, *, shape: str = "gaussian", degree: int | None = 1
) -> BatchFit:
    """Fit lines and a baseline to each of many spectra.

    Parameters
    ----------
    x : (m,) ndarray
        Positions, rising.
    y, error : (m, n) ndarray
        Values and 1-sigma errors, used as weights; points where one is not finite, or the error not positive, are
        left out.
    guess : Guess
        First positions and widths; there are as many lines as these.
    shape : str
        One of `PROFILES`.
    degree : int or None
        Degree of the baseline; None for none.

    Returns
    -------
    BatchFit
        Spectra with fewer good points than parameters are NaN.

    Raises
    ------
    StepError
        If there are fewer positions than parameters.
    """
    problem = _Problem.of(x, y, error, guess, shape, degree)
    point, low, high = problem.start(guess)
    usable = problem.weights.astype(bool).sum(axis=1) >= point.shape[1]
    usable &= np.isfinite(point).all(axis=1)
    found = np.full_like(point, np.nan)
    normal = np.full((*point.shape, point.shape[1]), np.nan)
    cost, done = np.full(len(point), np.nan), np.zeros(len(point), dtype=bool)
    index = np.flatnonzero(usable)
    if index.size:
        found[index], normal[index], cost[index], done[index] = _iterate(problem.part(index), point[index], low, high)
    return problem.describe(found, normal, cost, done)


@dataclass(frozen=True, eq=False)
class _Problem:
    """Spectra in scaled coordinates, one per row."""

    t: FloatArray
    values: FloatArray
    weights: FloatArray
    scale: FloatArray
    middle: float
    half: float
    shape: str
    n_lines: int
    n_base: int

    @classmethod
    def of(
        cls, x: FloatArray, y: FloatArray, error: FloatArray, guess: Guess, shape: str, degree: int | None
    ) -> _Problem:
        n_lines, n_base = len(guess.center), 0 if degree is None else degree + 1
        n_parameters = n_lines * len(PROFILES[shape].names) + n_base
        if len(x) < n_parameters:
            raise StepError(
                f"The range holds {len(x)} wavelengths, fewer than the {n_parameters} parameters: choose a wider one."
            )
        middle, half = 0.5 * float(x[0] + x[-1]), 0.5 * float(np.ptp(x)) or 1.0
        good = np.isfinite(y) & np.isfinite(error) & (error > 0)
        values = np.where(good, y, 0.0).T
        weights = np.where(good, 1.0 / np.where(good, error, 1.0), 0.0).T
        level = np.where(good, y, np.nan).T
        usable = good.any(axis=0)
        spread = np.ones(y.shape[1])
        if usable.any():
            spread[usable] = np.nanmax(np.abs(level[usable] - np.nanmedian(level[usable], axis=1)[:, None]), axis=1)
        spread[~(spread > 0)] = 1.0
        return cls(
            (x - middle) / half, values / spread[:, None], weights * spread[:, None], spread, middle, half, shape,
            n_lines, n_base,
        )  # fmt: skip

    def part(self, index: NDArray[np.intp]) -> _Problem:
        """Return the problem of some of the spectra."""
        return _Problem(
            self.t, self.values[index], self.weights[index], self.scale[index], self.middle, self.half, self.shape,
            self.n_lines, self.n_base,
        )  # fmt: skip

    def start(self, guess: Guess) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return first parameters (n, p), amplitudes and baseline by linear least squares, and their bounds."""
        profile = PROFILES[self.shape]
        centers = (guess.center - self.middle) / self.half
        widths = guess.fwhm / self.half
        spectra = len(self.values)
        columns, shapes = [], []
        for center, width in zip(centers, widths, strict=True):
            first = [np.broadcast_to(value, (spectra,)) for value in profile.start(1.0, center, width)]
            p = np.stack(first)
            columns.append(p)
            shapes.append(profile.evaluate(self.t, p[:, :, None])[0])
        powers = np.broadcast_to(self.t ** np.arange(self.n_base)[:, None], (spectra, self.n_base, len(self.t)))
        design = np.concatenate([np.stack(shapes, axis=1), powers], axis=1)
        linear = _solve_linear(design * self.weights[:, None], self.values * self.weights)
        for number, p in enumerate(columns):
            p[0] = linear[:, number]
        point = np.concatenate([*columns, linear[:, self.n_lines :].T]).T
        spacing = 2.0 / max(len(self.t) - 1, 1)
        bounds = {
            "amplitude": (-np.inf, np.inf), "position": (-1.0, 1.0), "width": (_NARROWEST * spacing, 6.0),
            "exponent": _EXPONENTS,
        }  # fmt: skip
        limits = np.array(
            [bounds[kind] for kind in profile.kinds] * self.n_lines + [(-np.inf, np.inf)] * self.n_base
        ).reshape(-1, 2)
        return np.clip(point, limits[:, 0], limits[:, 1]), limits[:, 0], limits[:, 1]

    def linearize(self, point: FloatArray, *, slopes: bool) -> tuple[FloatArray, FloatArray | None]:
        """Return weighted residuals (n, m) and, if wanted, their derivatives (n, p, m)."""
        profile = PROFILES[self.shape]
        count = len(profile.names)
        p = point.T[:, :, None]
        model, derivatives = np.zeros_like(self.values), []
        for number in range(self.n_lines):
            part, slope = profile.evaluate(self.t, p[number * count : (number + 1) * count])
            model = model + part
            derivatives.append(slope)
        powers = self.t ** np.arange(self.n_base)[:, None]
        model = model + point[:, self.n_lines * count :] @ powers
        rest = (model - self.values) * self.weights
        if not slopes:
            return rest, None
        base = np.broadcast_to(powers[:, None], (self.n_base, *self.values.shape))
        jacobian = np.concatenate([*derivatives, base]).transpose(1, 0, 2) * self.weights[:, None]
        return rest, jacobian

    def describe(self, point: FloatArray, normal: FloatArray, cost: FloatArray, done: NDArray[np.bool_]) -> BatchFit:
        """Return the result in the units of the data."""
        profile = PROFILES[self.shape]
        factors, shifts = [], []
        for kind in profile.kinds * self.n_lines:
            factors.append(
                self.scale
                if kind == "amplitude"
                else np.full_like(self.scale, 1.0 if kind == "exponent" else self.half)
            )
            shifts.append(self.middle if kind == "position" else 0.0)
        factors += [self.scale] * self.n_base
        shifts += [0.0] * self.n_base
        factor = np.stack(factors, axis=1) if factors else np.zeros((len(point), 0))
        covariance = _invert(normal) * factor[:, :, None] * factor[:, None, :]
        freedom = self.weights.astype(bool).sum(axis=1) - point.shape[1]
        parameters = (point * factor + np.array(shifts)).T
        return BatchFit(
            self.shape, self.n_lines, parameters, covariance, cost, freedom.astype(float), done, self.middle, self.half
        )


def _solve_linear(design: FloatArray, values: FloatArray) -> FloatArray:
    normal = design @ design.transpose(0, 2, 1)
    right = (design @ values[:, :, None])[:, :, 0]
    scale = np.sqrt(np.einsum("nii->ni", normal))
    scale = np.where(scale > 0, scale, 1.0)
    matrix = normal / (scale[:, :, None] * scale[:, None, :]) + _LEAST_DAMPING * np.eye(normal.shape[1])
    return np.asarray(np.linalg.solve(matrix, (right / scale)[:, :, None])[:, :, 0] / scale)


def _iterate(
    problem: _Problem, point: FloatArray, low: FloatArray, high: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, NDArray[np.bool_]]:
    """Minimise all sums of squares; return points, normal matrices, sums, and which ended."""
    point = point.copy()
    count = point.shape[1]
    rest, jacobian = problem.linearize(point, slopes=True)
    assert jacobian is not None
    cost = np.einsum("nm,nm->n", rest, rest)
    normal = jacobian @ jacobian.transpose(0, 2, 1)
    gradient = np.einsum("npm,nm->np", jacobian, rest)
    damping, growth = np.full(len(point), _FIRST_DAMPING), np.full(len(point), 2.0)
    done = np.zeros(len(point), dtype=bool)
    active = np.arange(len(point))
    for _ in range(_MOST_ITERATIONS):
        if active.size == 0:
            break
        part = problem.part(active)
        step = _find_step(normal[active], gradient[active], damping[active], (point[active], low, high))
        trial = np.clip(point[active] + step, low, high)
        moved = trial - point[active]
        new_rest, new_jacobian = part.linearize(trial, slopes=True)
        assert new_jacobian is not None
        new_cost = np.einsum("nm,nm->n", new_rest, new_rest)
        predicted = -(2.0 * np.einsum("np,np->n", gradient[active], moved)
                      + np.einsum("np,npq,nq->n", moved, normal[active], moved, optimize=True))  # fmt: skip
        better = new_cost <= cost[active]
        least = _TOLERANCE * cost[active] + 1e-300
        # A step cut at a bound may promise a higher sum: that is no minimum, a shorter one is tried.
        small = np.where(
            better, np.maximum(cost[active] - new_cost, predicted) <= least, (predicted >= 0) & (predicted <= least)
        )
        ended = small.astype(bool)
        gain = np.where(predicted > 0, (cost[active] - new_cost) / np.where(predicted > 0, predicted, 1.0), 1.0)
        taken = active[better]
        point[taken], cost[taken] = trial[better], new_cost[better]
        chosen = new_jacobian[better]
        normal[taken] = chosen @ chosen.transpose(0, 2, 1)
        gradient[taken] = np.einsum("npm,nm->np", chosen, new_rest[better])
        shrink = np.maximum(1.0 / 3.0, 1.0 - (2.0 * np.clip(gain, 0.0, 1.5) - 1.0) ** 3)
        damping[active] = np.where(better, damping[active] * shrink, damping[active] * growth[active])
        growth[active] = np.where(better, 2.0, 2.0 * growth[active])
        done[active] |= ended
        active = active[~ended & (damping[active] < _LARGEST_DAMPING)]
    assert normal.shape[1] == count
    return point, normal, cost, done


def _find_step(
    normal: FloatArray, gradient: FloatArray, damping: FloatArray, bounded: tuple[FloatArray, FloatArray, FloatArray]
) -> FloatArray:
    """Return the damped steps; parameters at a bound from which the gradient points outwards are held."""
    point, low, high = bounded
    held = ((point <= low) & (gradient > 0)) | ((point >= high) & (gradient < 0))
    scale = np.sqrt(np.einsum("nii->ni", normal))
    idle = held | ~(scale > 0)
    scale = np.where(idle, 1.0, scale)
    matrix = normal / (scale[:, :, None] * scale[:, None, :])
    matrix = np.where(idle[:, :, None] | idle[:, None, :], 0.0, matrix)
    diagonal = np.where(idle, 1.0, np.maximum(damping, _LEAST_DAMPING)[:, None])
    matrix = matrix + diagonal[:, :, None] * np.eye(normal.shape[1])
    right = np.where(idle, 0.0, -gradient / scale)
    return np.asarray(np.linalg.solve(matrix, right[:, :, None])[:, :, 0] / scale)


def _invert(normal: FloatArray) -> FloatArray:
    """Return inverses of normal matrices; NaN where there is none."""
    inverse = np.full_like(normal, np.nan)
    good = np.isfinite(normal).all(axis=(1, 2))
    scale = np.sqrt(np.einsum("nii->ni", normal[good]))
    scale = np.where(scale > 0, scale, np.nan)
    outer = scale[:, :, None] * scale[:, None, :]
    scaled = normal[good] / outer
    filled = np.where(np.isfinite(scaled), scaled, 0.0)
    made = np.linalg.pinv(filled, hermitian=True, rcond=1e-13) / outer
    inverse[good] = made
    return inverse
