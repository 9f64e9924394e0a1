"""
Elliptical profiles of point sources: Gaussian, Lorentzian and Moffat functions, fitted between bounds.

All are functions of ``q = (u/a)**2 + (v/b)**2``, where u and v are the distances from the centre along the two axes of
the ellipse: ``B + A exp(-q/2)``, ``B + A / (1 + q)`` and, [1]_, ``B + A (1 + q)**(-beta)``.

References
----------
.. [1] Moffat, A. F. J. 1969, A&A, 3, 455.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sofia_engine.numerics.least_squares import fit_least_squares

__all__ = [
    "PARAMETER_NAMES",
    "PROFILES",
    "Measured",
    "ProfileFit",
    "ProfileName",
    "evaluate_profile",
    "fit_profile",
    "make_failed_fit",
    "make_start",
]

FloatArray = NDArray[np.float64]
ProfileName = Literal["moffat", "gaussian", "lorentzian"]

PARAMETER_NAMES = ("background", "peak", "x", "y", "a", "b", "angle", "power_law")
"""Order of parameters; only the Moffat function has the last."""

_B, _A, _X, _Y, _WIDTH_A, _WIDTH_B, _ANGLE, _BETA = range(8)
_FIRST_BETA = 3.0
_BETA_BOUNDS = (2.0, 6.0)
_SMALLEST_WIDTH = 0.25
_SMALLEST_PEAK = 1e-9
"""Relative to the brightest pixel; less is rounding."""
_FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))


class Measured(NamedTuple):
    """A value and its standard deviation; NaN if not known."""

    value: float
    error: float


class _Shape(NamedTuple):
    """A profile of unit height: value, and derivatives by q and by beta, from q and beta."""

    evaluate: Callable[[FloatArray, float], FloatArray]
    derive: Callable[[FloatArray, float, FloatArray], FloatArray]
    n_parameters: int
    fwhm_per_width: float


PROFILES: dict[ProfileName, _Shape] = {
    "moffat": _Shape(
        lambda q, beta: np.exp(-beta * np.log1p(q)), lambda q, beta, value: -beta * value / (1.0 + q), 8, 2.0
    ),
    "gaussian": _Shape(lambda q, _: np.exp(-0.5 * q), lambda _q, _beta, value: -0.5 * value, 7, _FWHM_PER_SIGMA),
    "lorentzian": _Shape(lambda q, _: 1.0 / (1.0 + q), lambda _q, _beta, value: -(value**2), 7, 2.0),
}
"""The functions that can be fitted."""


@dataclass(frozen=True)
class ProfileFit:
    """
    A profile fitted to an image.

    Parameters
    ----------
    profile
        Its name.
    parameters
        (8,) background, peak, x, y, width a, width b, angle (rad), power law; a is the axis within 45 deg of x.
        The power law is NaN for profiles without. If the fit failed all are NaN but the position and the peak.
    covariance
        (8, 8) covariance of the parameters; NaN where not known.
    converged
        False if the fit failed.
    """

    profile: ProfileName
    parameters: FloatArray
    covariance: FloatArray
    converged: bool

    @property
    def background(self) -> Measured:
        """Background level, image unit."""
        return self._measured(_B)

    @property
    def peak(self) -> Measured:
        """Peak above the background, image unit."""
        return self._measured(_A)

    @property
    def x(self) -> Measured:
        """Column of the centre, pixels from 0."""
        return self._measured(_X)

    @property
    def y(self) -> Measured:
        """Row of the centre, pixels from 0."""
        return self._measured(_Y)

    @property
    def power_law(self) -> Measured:
        """Exponent beta of the Moffat function."""
        return self._measured(_BETA)

    @property
    def angle(self) -> Measured:
        """Position angle of the major axis, degrees from +x counter-clockwise, in [0, 180)."""
        turned = 90.0 if self.parameters[_WIDTH_B] > self.parameters[_WIDTH_A] else 0.0
        value, error = self._measured(_ANGLE)
        # Twice, because the remainder of a tiny negative angle is 180 itself.
        return Measured((math.degrees(value) + turned) % 180.0 % 180.0, math.degrees(error))

    @property
    def fwhm_x(self) -> Measured:
        """Full width at half maximum of the axis within 45 deg of x, pixels."""
        return self._measure_fwhm(_WIDTH_A)

    @property
    def fwhm_y(self) -> Measured:
        """Full width at half maximum of the axis within 45 deg of y, pixels."""
        return self._measure_fwhm(_WIDTH_B)

    @property
    def flux(self) -> Measured:
        """Integral of the profile over the plane, image unit; NaN for the Lorentzian, whose integral diverges."""
        _, peak, _, _, a, b, _, beta = (float(p) for p in self.parameters)
        area = {"moffat": math.pi / (beta - 1.0), "gaussian": 2.0 * math.pi, "lorentzian": math.nan}[self.profile]
        flux = area * peak * a * b
        return Measured(flux, self.propagate(self.flux_gradient(flux)))

    def propagate(self, gradient: FloatArray, *, independent: bool = False) -> float:
        """
        Compute the standard deviation of a function of the parameters.

        Parameters
        ----------
        gradient
            (8,) derivatives of the function.
        independent
            True to leave out the covariances between parameters.

        Returns
        -------
        float
            Standard deviation; NaN if one of a parameter that matters is not known.
        """
        used = np.flatnonzero(gradient)
        covariance = self.covariance[np.ix_(used, used)]
        if independent:
            covariance = np.diag(np.diag(covariance))
        variance = float(gradient[used] @ covariance @ gradient[used])
        return math.sqrt(variance) if variance >= 0 else math.nan

    def fwhm_gradient(self, axis: Literal["x", "y"]) -> FloatArray:
        """Return the (8,) derivatives of a full width at half maximum by the parameters."""
        index = _WIDTH_A if axis == "x" else _WIDTH_B
        gradient = np.zeros(8)
        gradient[index] = self._fwhm_per_width
        if self.profile == "moffat":
            beta = float(self.parameters[_BETA])
            power = 2.0 ** (1.0 / beta)
            gradient[_BETA] = -self.parameters[index] * power * math.log(2.0) / (beta**2 * math.sqrt(power - 1.0))
        return gradient

    def flux_gradient(self, flux: float) -> FloatArray:
        """Return the (8,) derivatives of a flux that is proportional to peak * a * b [/ (beta - 1)]."""
        gradient = np.zeros(8)
        for index in (_A, _WIDTH_A, _WIDTH_B):
            gradient[index] = flux / self.parameters[index]
        if self.profile == "moffat":
            gradient[_BETA] = -flux / (self.parameters[_BETA] - 1.0)
        return gradient

    @property
    def _fwhm_per_width(self) -> float:
        if self.profile == "moffat":
            return 2.0 * math.sqrt(2.0 ** (1.0 / float(self.parameters[_BETA])) - 1.0)
        return PROFILES[self.profile].fwhm_per_width

    def _measured(self, index: int) -> Measured:
        return Measured(float(self.parameters[index]), math.sqrt(self.covariance[index, index]))

    def _measure_fwhm(self, index: int) -> Measured:
        gradient = self.fwhm_gradient("x" if index == _WIDTH_A else "y")
        return Measured(float(self.parameters[index] * self._fwhm_per_width), self.propagate(gradient))


def evaluate_profile(profile: ProfileName, parameters: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    """
    Compute a profile.

    Parameters
    ----------
    profile
        Name of the function.
    parameters
        Values in the order of `PARAMETER_NAMES`; the last is needed for the Moffat function only.
    x, y
        Coordinates, pixels, of the same shape.

    Returns
    -------
    array
        Brightness, of the shape of `x`.
    """
    u, v, _, _ = _to_ellipse(parameters, x, y)
    beta = float(parameters[_BETA]) if PROFILES[profile].n_parameters > _BETA else math.nan
    value: FloatArray = parameters[_B] + parameters[_A] * PROFILES[profile].evaluate(u**2 + v**2, beta)
    return value


def fit_profile(
    image: FloatArray,
    error: FloatArray | None,
    profile: ProfileName,
    start: FloatArray,
    *,
    origin: tuple[int, int] = (0, 0),
    largest_width: float = math.inf,
) -> ProfileFit:
    """
    Fit a profile to an image.

    Parameters
    ----------
    image
        (n_y, n_x) brightness; NaN is left out.
    error
        (n_y, n_x) standard deviation; pixels where it is not positive are left out. None for equal weights; parameter
        errors then come from the scatter about the fit.
    profile
        Name of the function.
    start
        (8,) first guess in the order of `PARAMETER_NAMES`.
    origin
        Column and row of the image's first pixel; positions are counted from there.
    largest_width
        Upper bound of the widths a and b, pixels.

    Returns
    -------
    ProfileFit
        The centre is kept inside the image, the power law between 2 and 6. ``converged`` is False if there are fewer
        good pixels than parameters, the iterations do not end, or the peak is not positive.
    """
    good = np.isfinite(image)
    if error is not None:
        good &= np.isfinite(error) & (error > 0)
    n_parameters = PROFILES[profile].n_parameters
    if np.count_nonzero(good) < n_parameters:
        return make_failed_fit(profile, float(start[_X]), float(start[_Y]), math.nan)
    rows, columns = np.nonzero(good)
    x, y = np.asarray(columns + origin[0], dtype=float), np.asarray(rows + origin[1], dtype=float)
    weights = np.ones(x.size) if error is None else 1.0 / error[good]
    low, high = _make_bounds(image.shape, origin, largest_width)
    values = image[good].astype(float)
    fit = fit_least_squares(
        lambda p: (evaluate_profile(profile, p, x, y) - values) * weights,
        lambda p: _derive_profile(profile, p, x, y) * weights,
        start[:n_parameters],
        (low[:n_parameters], high[:n_parameters]),
    )
    if not (fit.converged and fit.parameters[_A] > _SMALLEST_PEAK * np.abs(values).max()):
        return make_failed_fit(profile, float(start[_X]), float(start[_Y]), math.nan)
    scatter = 1.0 if error is not None else fit.chi_square / max(x.size - n_parameters, 1)
    return _arrange(profile, fit.parameters, fit.covariance * scatter)


def make_failed_fit(profile: ProfileName, x: float, y: float, peak: float) -> ProfileFit:
    """Make the result of a fit that failed: only a position and the brightness there, all else NaN."""
    parameters = np.full(8, np.nan)
    parameters[[_A, _X, _Y]] = peak, x, y
    return ProfileFit(profile, parameters, np.full((8, 8), np.nan), converged=False)


def make_start(profile: ProfileName, image: FloatArray, x: float, y: float, fwhm: float) -> FloatArray:
    """Guess the (8,) parameters of a round source from the median and maximum of an image, its place and width."""
    width = fwhm / PROFILES[profile].fwhm_per_width
    background = np.nanmedian(image)
    return np.array([background, np.nanmax(image) - background, x, y, width, width, 0.0, _FIRST_BETA])


def _make_bounds(shape: tuple[int, ...], origin: tuple[int, int], largest: float) -> tuple[FloatArray, FloatArray]:
    # The angle is free: the function is periodic in it, and a bound would only stop the iterations.
    smallest = _SMALLEST_WIDTH
    low = np.array([-np.inf, -np.inf, *origin, smallest, smallest, -np.inf, _BETA_BOUNDS[0]])
    end = (origin[0] + shape[1] - 1, origin[1] + shape[0] - 1)
    high = np.array([np.inf, np.inf, *end, largest, largest, np.inf, _BETA_BOUNDS[1]])
    return low, high


def _to_ellipse(p: FloatArray, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray, float, float]:
    cosine, sine = math.cos(p[_ANGLE]), math.sin(p[_ANGLE])
    dx, dy = x - p[_X], y - p[_Y]
    return (dx * cosine + dy * sine) / p[_WIDTH_A], (dy * cosine - dx * sine) / p[_WIDTH_B], cosine, sine


def _derive_profile(profile: ProfileName, p: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    """Compute the (n_parameter, n_point) derivatives of a profile by its parameters."""
    shape = PROFILES[profile]
    beta = float(p[_BETA]) if shape.n_parameters > _BETA else math.nan
    u, v, cosine, sine = _to_ellipse(p, x, y)
    a, b = p[_WIDTH_A], p[_WIDTH_B]
    q = u * u + v * v
    value = shape.evaluate(q, beta)
    slope = 2.0 * p[_A] * shape.derive(q, beta, value)
    by_u, by_v = slope * u, slope * v
    derivatives = np.empty((shape.n_parameters, x.size))
    derivatives[_B] = 1.0
    derivatives[_A] = value
    derivatives[_X] = by_v * (sine / b) - by_u * (cosine / a)
    derivatives[_Y] = -by_u * (sine / a) - by_v * (cosine / b)
    derivatives[_WIDTH_A] = by_u * u / -a
    derivatives[_WIDTH_B] = by_v * v / -b
    derivatives[_ANGLE] = by_u * v * (b / a - a / b)
    if shape.n_parameters > _BETA:
        derivatives[_BETA] = -p[_A] * value * np.log1p(q)
    return derivatives


def _arrange(profile: ProfileName, found: FloatArray, found_covariance: FloatArray) -> ProfileFit:
    """Name the axes: a is the one within 45 deg of x. The same ellipse has other descriptions, which fits end in."""
    n = found.size
    parameters, covariance = np.full(8, np.nan), np.full((8, 8), np.nan)
    parameters[:n], covariance[:n, :n] = found, found_covariance
    quarters = round(float(parameters[_ANGLE]) / (math.pi / 2))
    parameters[_ANGLE] -= quarters * math.pi / 2
    if quarters % 2:
        order = [_B, _A, _X, _Y, _WIDTH_B, _WIDTH_A, _ANGLE, _BETA]
        parameters, covariance = parameters[order], covariance[np.ix_(order, order)]
    return ProfileFit(profile, parameters, covariance, converged=True)
