"""Nonlinear least-squares fits of small models, without the start-up cost of a general optimiser."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.numerics.arrays import as_float

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import FloatArray

__all__ = ["FWHM_TO_SIGMA", "GaussianFit", "LeastSquaresFit", "fit_gaussian", "minimize_squares"]

FWHM_TO_SIGMA = 1.0 / (2.0 * math.sqrt(2.0 * math.log(2.0)))
"""Standard deviation of a Gaussian over its full width at half maximum."""

LARGEST_DAMPING = 1e12

ResidualFunction = Callable[["FloatArray"], tuple["FloatArray", "FloatArray"]]


@dataclass(frozen=True, eq=False)
class LeastSquaresFit:
    """Result of `minimize_squares`.

    Attributes
    ----------
    parameters : (P,) ndarray
        Best parameters.
    covariance : (P, P) ndarray
        Inverse of JᵀJ, times the sum of squares over the degrees of freedom.
    sum_of_squares : float
        Of the residuals at the best parameters.
    converged : bool
        Whether the last step changed the sum of squares by less than the tolerance.
    """

    parameters: FloatArray
    covariance: FloatArray
    sum_of_squares: float
    converged: bool


def minimize_squares(
    evaluate: ResidualFunction, start: ArrayLike, *, maxiters: int = 100, tolerance: float = 1e-10
) -> LeastSquaresFit:
    """Minimise a sum of squares with the method of Levenberg and Marquardt.

    Parameters
    ----------
    evaluate : callable
        Takes the (P,) parameters; returns the (N,) residuals and their (N, P) derivatives.
    start : (P,) array_like
        First guess.
    maxiters : int
        Largest number of trial steps.
    tolerance : float
        Relative change of the sum of squares that ends the search.

    References
    ----------
    D. W. Marquardt, SIAM J. Appl. Math. 11, 431 (1963).
    """
    parameters = np.array(start, dtype=np.float64)
    residual, jacobian = evaluate(parameters)
    cost, damping, converged = float(residual @ residual), 1e-3, False
    for _ in range(maxiters):
        normal = jacobian.T @ jacobian
        scale = np.maximum(np.diag(normal), 1e-300)
        step = np.linalg.lstsq(normal + damping * np.diag(scale), -jacobian.T @ residual, rcond=None)[0]
        trial = evaluate(parameters + step)
        trial_cost = float(trial[0] @ trial[0])
        if trial_cost <= cost:
            converged = cost - trial_cost <= tolerance * cost
            parameters, cost, damping = parameters + step, trial_cost, damping / 10
            residual, jacobian = trial
        else:
            damping *= 10
        if converged or damping > LARGEST_DAMPING:
            break
    freedom = max(residual.size - parameters.size, 1)
    covariance = np.linalg.pinv(jacobian.T @ jacobian, hermitian=True) * cost / freedom
    return LeastSquaresFit(parameters, covariance, cost, converged)


@dataclass(frozen=True)
class GaussianFit:
    """An elliptical Gaussian on a constant background.

    Attributes
    ----------
    height, background : float
        Units of the image.
    x, y : float
        Centre, pixels.
    x_error, y_error : float
        Their 1-sigma errors from the scatter of the residuals, pixels.
    fwhm_major, fwhm_minor : float
        Full widths at half maximum, pixels.
    angle : float
        Direction of the major axis from +x towards +y, degrees, -90 to 90.
    converged : bool
        False if the fit did not settle or is not a bounded peak.
    """

    height: float
    x: float
    y: float
    background: float
    fwhm_major: float
    fwhm_minor: float
    angle: float
    x_error: float
    y_error: float
    converged: bool


def fit_gaussian(image: ArrayLike, x: float, y: float, fwhm: float) -> GaussianFit:
    """Least-squares fit of an elliptical Gaussian to all finite pixels of an image.

    Parameters
    ----------
    image : (ny, nx) array_like
        NaN is missing.
    x, y, fwhm : float
        First guess of centre and width, pixels.

    Returns
    -------
    GaussianFit
        With ``converged`` False if there are fewer than 7 good pixels, the iteration does not settle, or the surface
        found is not a peak.

    Notes
    -----
    The exponent is the quadratic form (a dx² + 2b dx dy + c dy²)/2, which has no degenerate angle for round sources.
    """
    data = as_float(image).astype(np.float64)
    rows, columns = np.nonzero(np.isfinite(data))
    if rows.size < 7:
        return GaussianFit(*(math.nan,) * 9, converged=False)
    values = data[rows, columns]
    background = float(np.median(values))
    nearest = np.argmin((rows - y) ** 2 + (columns - x) ** 2)
    narrow = 1.0 / (fwhm * FWHM_TO_SIGMA) ** 2
    start = (values[nearest] - background, x, y, narrow, 0.0, narrow, background)

    def evaluate(p: FloatArray) -> tuple[FloatArray, FloatArray]:
        dx, dy = columns - p[1], rows - p[2]
        shape = np.exp(np.clip(-0.5 * (p[3] * dx * dx + 2 * p[4] * dx * dy + p[5] * dy * dy), -700.0, 50.0))
        body = p[0] * shape
        slopes = (shape, body * (p[3] * dx + p[4] * dy), body * (p[4] * dx + p[5] * dy))
        widths = (-0.5 * body * dx * dx, -body * dx * dy, -0.5 * body * dy * dy, np.ones_like(body))
        return body + p[6] - values, np.stack([*slopes, *widths], axis=1)

    return _describe_gaussian(minimize_squares(evaluate, start))


def _describe_gaussian(fit: LeastSquaresFit) -> GaussianFit:
    """Widths and angle from the quadratic form of `fit_gaussian`."""
    height, x, y, xx, xy, yy, background = (float(value) for value in fit.parameters)
    curvature, axes = np.linalg.eigh(np.array([[xx, xy], [xy, yy]]))
    bounded = bool(curvature[0] > 0)
    major, minor = 1.0 / (FWHM_TO_SIGMA * np.sqrt(np.maximum(curvature, 1e-300)))
    angle = math.degrees(math.atan2(axes[1, 0], axes[0, 0]))
    angle -= 180 * round(angle / 180)
    errors = np.sqrt(np.maximum(np.diag(fit.covariance), 0))
    return GaussianFit(
        height,
        x,
        y,
        background,
        float(major),
        float(minor),
        angle,
        float(errors[1]),
        float(errors[2]),
        fit.converged and bounded,
    )
