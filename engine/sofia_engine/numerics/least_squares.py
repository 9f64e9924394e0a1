"""
Nonlinear least squares with bounds.

The method of Levenberg [1]_ and Marquardt [2]_, with parameters held while they are at a bound and the gradient points
outwards (projected steps, [3]_ section 16.7). Damping is scaled by the largest derivatives of the last steps [4]_, so
that parameters do not run away where the data lose their hold on them, and follows the gain of each step [5]_. Only the
normal matrix is factorised, so the cost per iteration is that of the model and its derivatives; for a few parameters
and many points this is faster than a general trust-region solver, and needs no further library.

References
----------
.. [1] Levenberg, K. 1944, Quart. Appl. Math., 2, 164.
.. [2] Marquardt, D. W. 1963, SIAM J. Appl. Math., 11, 431.
.. [3] Nocedal, J., & Wright, S. J. 2006, Numerical Optimization (Springer).
.. [4] More, J. J. 1978, in Lecture Notes in Mathematics 630 (Springer), 105.
.. [5] Nielsen, H. B. 1999, Damping Parameter in Marquardt's Method, IMM-REP-1999-05 (Technical University of Denmark).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LeastSquaresFit", "fit_least_squares"]

FloatArray = NDArray[np.float64]
Residuals = Callable[[FloatArray], FloatArray]

_FIRST_DAMPING = 1e-2
_FIRST_GROWTH = 2.0
_MEMORY = 0.5
_NEAR = 0.1
_SMALLEST_SCALE = 1e-8
_LARGEST_DAMPING = 1e12
_TOLERANCE = 1e-10


@dataclass(frozen=True)
class LeastSquaresFit:
    """
    Result of a fit.

    Parameters
    ----------
    parameters
        (n_parameter,) best values.
    covariance
        (n_parameter, n_parameter) inverse of the normal matrix of all parameters, those at a bound included: the
        covariance if residuals are in units of their standard deviation. NaN in the rows and columns of parameters the
        data say nothing about.
    chi_square
        Sum of squared residuals.
    converged
        False if the iterations ended before the sum of squares stopped falling.
    iterations
        Number of steps tried.
    """

    parameters: FloatArray
    covariance: FloatArray
    chi_square: float
    converged: bool
    iterations: int


def fit_least_squares(
    residuals: Residuals, jacobian: Residuals, start: Any, bounds: tuple[Any, Any], *, max_iterations: int = 200
) -> LeastSquaresFit:
    """
    Minimise a sum of squares between bounds.

    Parameters
    ----------
    residuals
        Gives the (n_point,) residuals for (n_parameter,) parameters.
    jacobian
        Gives their derivatives, (n_parameter, n_point).
    start
        (n_parameter,) first guess; moved inside the bounds if it is not.
    bounds
        Lowest and highest values, (n_parameter,) each; infinite for none.
    max_iterations
        Number of steps after which to give up.

    Returns
    -------
    LeastSquaresFit
        The best point found, converged or not.
    """
    low, high = (np.asarray(bound, dtype=float) for bound in bounds)
    point = np.clip(np.asarray(start, dtype=float), low, high)
    rest = residuals(point)
    cost = _sum_squares(rest)
    normal, gradient = _linearize(jacobian(point), rest)
    scale, damping, growth = _scale(normal), _FIRST_DAMPING, _FIRST_GROWTH
    converged, iteration = False, 0
    while not converged and iteration < max_iterations and damping < _LARGEST_DAMPING and np.isfinite(cost):
        iteration += 1
        held = _find_held(point, gradient, low, high)
        trial = _limit(point, _find_step(normal, gradient, damping * scale**2, held), low, high)
        trial_rest = residuals(trial)
        trial_cost = _sum_squares(trial_rest)
        predicted = _predict_drop(normal, gradient, trial - point)
        if trial_cost <= cost:
            # Done when neither the step nor the linear model promises a lower sum of squares.
            converged = max(cost - trial_cost, predicted) <= _TOLERANCE * cost or _is_rounding(trial - point, point)
            gain = (cost - trial_cost) / predicted if predicted > 0 else 1.0
            damping *= max(1.0 / 3.0, 1.0 - (2.0 * gain - 1.0) ** 3)
            growth = _FIRST_GROWTH
            point, rest, cost = trial, trial_rest, trial_cost
            normal, gradient = _linearize(jacobian(point), rest)
            scale = np.maximum(_MEMORY * scale, _scale(normal))
        else:
            # A step cut at a bound may promise a higher sum: that is no minimum, a shorter one is tried.
            converged = 0 <= predicted <= _TOLERANCE * cost or _is_rounding(trial - point, point)
            damping, growth = damping * growth, 2.0 * growth
    return LeastSquaresFit(point, _invert(normal), cost, converged, iteration)


def _sum_squares(rest: FloatArray) -> float:
    # Not a BLAS call: those start threads for long vectors, which costs more than the sum where all cores are busy.
    return float(np.einsum("i,i->", rest, rest))


def _linearize(derivatives: FloatArray, rest: FloatArray) -> tuple[FloatArray, FloatArray]:
    return derivatives @ derivatives.T, derivatives @ rest


def _find_held(point: FloatArray, gradient: FloatArray, low: FloatArray, high: FloatArray) -> NDArray[np.bool_]:
    held: NDArray[np.bool_] = ((point <= low) & (gradient > 0)) | ((point >= high) & (gradient < 0))
    return held


def _find_step(normal: FloatArray, gradient: FloatArray, damping: FloatArray, held: NDArray[np.bool_]) -> FloatArray:
    step = np.zeros_like(gradient)
    free = np.flatnonzero(~held)
    if free.size == 0:
        return step
    matrix = normal[np.ix_(free, free)] + np.diag(damping[free])
    scale = _scale(matrix)
    step[free] = -np.linalg.lstsq(matrix / np.outer(scale, scale), gradient[free] / scale, rcond=None)[0] / scale
    return step


def _is_rounding(step: FloatArray, point: FloatArray) -> bool:
    return bool(np.all(np.abs(step) <= _TOLERANCE * np.maximum(np.abs(point), _TOLERANCE)))


def _limit(point: FloatArray, step: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Stay between the bounds; from afar go half way, because a model rarely holds as far as that."""
    bound = np.where(step < 0, low, high)
    distance = np.abs(bound - point)
    passes = np.abs(step) >= distance
    far = passes & (distance > _NEAR * np.abs(point))
    middle = np.where(far, 0.5 * (bound + point), bound)
    return np.where(passes, middle, point + step)


def _predict_drop(normal: FloatArray, gradient: FloatArray, step: FloatArray) -> float:
    return float(-2.0 * gradient @ step - step @ normal @ step)


def _scale(normal: FloatArray) -> FloatArray:
    scale = np.sqrt(np.diag(normal))
    least = _SMALLEST_SCALE * float(scale.max())
    return np.maximum(scale, least if least > 0 else 1.0)


def _invert(normal: FloatArray) -> FloatArray:
    covariance = np.full_like(normal, np.nan)
    known = np.flatnonzero(np.diag(normal) > 0)
    if known.size == 0 or not np.isfinite(normal).all():
        return covariance
    scale = _scale(normal)[known]
    matrix = normal[np.ix_(known, known)] / np.outer(scale, scale)
    covariance[np.ix_(known, known)] = np.linalg.pinv(matrix, hermitian=True) / np.outer(scale, scale)
    return covariance
