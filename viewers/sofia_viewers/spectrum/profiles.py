"""Shapes of spectral lines with their derivatives, widths and areas.

References
----------
Gaussian and Lorentzian: any textbook. Moffat, A. F. J. 1969, A&A, 3, 455. The Voigt profile as the real part of the
Faddeeva function w(z), whose derivative is -2 z w + 2i/sqrt(pi) (Abramowitz & Stegun 1972, 7.1.20); its width after
Olivero, J. J., & Longbothum, R. L. 1977, JQSRT, 17, 233.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["PROFILES", "Kind", "Profile", "Shape"]

FloatArray = NDArray[np.float64]
Shape = Literal["gaussian", "moffat", "lorentzian", "voigt"]
Kind = Literal["amplitude", "position", "width", "exponent"]

FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))
_ROOT_TWO = math.sqrt(2.0)


@dataclass(frozen=True)
class Profile:
    """One shape.

    Parameters
    ----------
    names : tuple of str
        Its parameters: amplitude, position, width, and what else it has.
    kinds : tuple of str
        What they are: ``amplitude``, ``position``, ``width`` or ``exponent``.
    evaluate : callable
        From x and parameters to values (n,) and derivatives (parameter, n); parameters (parameter, line, 1) give
        (line, n) and (parameter, line, n).
    fwhm, area : callable
        From parameters to full width at half maximum, and to the integral over all x; those of many lines at once if
        each parameter is an array.
    start : callable
        From amplitude, position and FWHM to first parameters.
    """

    names: tuple[str, ...]
    kinds: tuple[Kind, ...]
    evaluate: Callable[[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]
    fwhm: Callable[[FloatArray], Any]
    area: Callable[[FloatArray], Any]
    start: Callable[[Any, Any, Any], tuple[Any, ...]]

    @property
    def position(self) -> str:
        """Name of the position."""
        return self.names[1]


def _gaussian(x: FloatArray, p: FloatArray) -> tuple[FloatArray, FloatArray]:
    amplitude, mean, sigma = p
    z = (x - mean) / sigma
    shape = np.exp(-0.5 * z * z)
    values = amplitude * shape
    return values, np.stack((shape, values * z / sigma, values * z * z / sigma))


def _moffat(x: FloatArray, p: Any) -> tuple[FloatArray, FloatArray]:
    amplitude, center, gamma, alpha = p
    offset = x - center
    base = 1.0 + (offset / gamma) ** 2
    shape = base**-alpha
    values = amplitude * shape
    slope = 2.0 * alpha * values * offset / (base * gamma**2)
    return values, np.stack((shape, slope, slope * offset / gamma, -values * np.log(base)))


def _lorentzian(x: FloatArray, p: FloatArray) -> tuple[FloatArray, FloatArray]:
    values, derivatives = _moffat(x, (*p, 1.0))
    return values, derivatives[:3]


def _voigt(x: FloatArray, p: FloatArray) -> tuple[FloatArray, FloatArray]:
    from scipy.special import wofz

    amplitude, center, sigma, gamma = p
    scale = sigma * _ROOT_TWO
    z, z0 = (x - center + 1j * gamma) / scale, 1j * gamma / scale
    w, w0 = wofz(z), wofz(z0)
    slope, slope0 = -2.0 * z * w + 2j / math.sqrt(math.pi), -2.0 * z0 * w0 + 2j / math.sqrt(math.pi)
    peak = w0.real
    shape = w.real / peak

    def derive(dz: Any, dz0: Any) -> FloatArray:
        return np.asarray(amplitude * ((slope * dz).real - shape * (slope0 * dz0).real) / peak)

    return amplitude * shape, np.stack(
        (shape, derive(-1.0 / scale, 0.0), derive(-z / sigma, -z0 / sigma), derive(1j / scale, 1j / scale))
    )


def _moffat_area(p: FloatArray) -> Any:
    from scipy.special import gammaln

    amplitude, _, gamma, alpha = p
    above = np.where(alpha > 0.5, alpha, np.nan)  # below that the integral diverges
    return amplitude * gamma * math.sqrt(math.pi) * np.exp(gammaln(above - 0.5) - gammaln(above))


def _voigt_area(p: FloatArray) -> Any:
    from scipy.special import erfcx

    amplitude, _, sigma, gamma = p
    return amplitude * sigma * math.sqrt(2.0 * math.pi) / erfcx(gamma / (sigma * _ROOT_TWO))


def _voigt_fwhm(p: FloatArray) -> Any:
    gaussian, lorentzian = FWHM_PER_SIGMA * p[2], 2.0 * p[3]
    return 0.5346 * lorentzian + np.sqrt(0.2166 * lorentzian**2 + gaussian**2)


_A: Kind = "amplitude"
_P: Kind = "position"
_W: Kind = "width"
_E: Kind = "exponent"

PROFILES: dict[str, Profile] = {
    "gaussian": Profile(
        ("amplitude", "mean", "stddev"), (_A, _P, _W), _gaussian,
        lambda p: FWHM_PER_SIGMA * p[2],
        lambda p: p[0] * p[2] * math.sqrt(2.0 * math.pi),
        lambda a, c, w: (a, c, w / FWHM_PER_SIGMA),
    ),
    "moffat": Profile(
        ("amplitude", "x_0", "gamma", "alpha"), (_A, _P, _W, _E), _moffat,
        lambda p: 2.0 * p[2] * np.sqrt(2.0 ** (1.0 / p[3]) - 1.0),
        _moffat_area,
        lambda a, c, w: (a, c, w / (2.0 * math.sqrt(math.sqrt(2.0) - 1.0)), 2.0),
    ),
    "lorentzian": Profile(
        ("amplitude", "x_0", "gamma"), (_A, _P, _W), _lorentzian,
        lambda p: 2.0 * p[2],
        lambda p: math.pi * p[0] * p[2],
        lambda a, c, w: (a, c, w / 2.0),
    ),
    "voigt": Profile(
        ("amplitude", "x_0", "sigma", "gamma"), (_A, _P, _W, _W), _voigt, _voigt_fwhm, _voigt_area,
        lambda a, c, w: (a, c, 0.61 * w / FWHM_PER_SIGMA, 0.61 * w / 2.0),
    ),
}  # fmt: skip
"""The shapes by name. Widths: stddev and sigma are those of the Gaussian, gamma of a Lorentzian is half its FWHM."""
