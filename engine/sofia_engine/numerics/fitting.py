"""Fits of Gaussian peaks in images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.numerics.arrays import as_float
from sofia_engine.numerics.least_squares import LeastSquaresFit, fit_least_squares

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from sofia_engine.numerics.arrays import FloatArray

__all__ = ["FWHM_TO_SIGMA", "GaussianFit", "fit_gaussian"]

FWHM_TO_SIGMA = 1.0 / (2.0 * math.sqrt(2.0 * math.log(2.0)))
"""Standard deviation of a Gaussian over its full width at half maximum."""

_UNBOUNDED = (np.full(7, -np.inf), np.full(7, np.inf))
_MAX_ITERATIONS = 100


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

    NDArray[np.float64]
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

    def measure(p: NDArray[np.float64]) -> tuple[FloatArray, ...]:
        dx, dy = columns - p[1], rows - p[2]
        exponent = -0.5 * (p[3] * dx * dx + 2 * p[4] * dx * dy + p[5] * dy * dy)
        return dx, dy, np.exp(np.clip(exponent, -700.0, 50.0))

    def residuals(p: NDArray[np.float64]) -> NDArray[np.float64]:
        residual: NDArray[np.float64] = p[0] * measure(p)[2] + p[6] - values
        return residual

    def jacobian(p: NDArray[np.float64]) -> NDArray[np.float64]:
        dx, dy, shape = measure(p)
        body = p[0] * shape
        slopes = (shape, body * (p[3] * dx + p[4] * dy), body * (p[4] * dx + p[5] * dy))
        return np.stack([*slopes, -0.5 * body * dx * dx, -body * dx * dy, -0.5 * body * dy * dy, np.ones_like(body)])

    fit = fit_least_squares(residuals, jacobian, start, _UNBOUNDED, max_iterations=_MAX_ITERATIONS)
    return _describe_gaussian(fit, fit.chi_square / max(rows.size - len(start), 1))


def _describe_gaussian(fit: LeastSquaresFit, scatter: float) -> GaussianFit:
    """Widths and angle from the quadratic form of `fit_gaussian`; scatter is the variance of the residuals."""
    height, x, y, xx, xy, yy, background = (float(value) for value in fit.parameters)
    curvature, axes = np.linalg.eigh(np.array([[xx, xy], [xy, yy]]))
    bounded = bool(curvature[0] > 0)
    major, minor = 1.0 / (FWHM_TO_SIGMA * np.sqrt(np.maximum(curvature, 1e-300)))
    angle = math.degrees(math.atan2(axes[1, 0], axes[0, 0]))
    angle -= 180 * round(angle / 180)
    errors = np.sqrt(np.maximum(np.diag(fit.covariance) * scatter, 0))
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
