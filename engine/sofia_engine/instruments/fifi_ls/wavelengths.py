"""Wavelengths of the pixels, from the position of the grating."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from sofia_engine.instruments.fifi_ls.raw import N_SPAXEL, N_SPEXEL
from sofia_engine.spectroscopy.velocity import LIGHT_SPEED

if TYPE_CHECKING:
    from sofia_engine.instruments.fifi_ls.tables import WavelengthCoefficients
    from sofia_engine.numerics.arrays import FloatArray

__all__ = ["Wavelengths", "compute_bandwidth", "compute_wavelengths"]

_GAMMA = {"RED": 0.0167200, "BLUE": 0.0089008}
"""Half the angle, radians, between the light that falls on the grating and that which leaves it."""

_TURN = 2.0**24
"""Inductosyn units in a turn of the grating."""

_SPEXEL_CENTER = 8.5
_MICROMETRES = 1000.0
_LIGHT_SPEED_UM = LIGHT_SPEED * 1e9
"""Speed of light, um/s."""


@dataclass(frozen=True, eq=False)
class Wavelengths:
    """Wavelengths, and how much of the spectrum each pixel covers; (16, 25), um."""

    wavelength: FloatArray
    width: FloatArray


def compute_wavelengths(
    coefficients: WavelengthCoefficients, position: float, channel: Literal["RED", "BLUE"], order: int
) -> Wavelengths:
    """Compute the wavelengths of all pixels.

    Parameters
    ----------
    coefficients : WavelengthCoefficients
        Geometry of the spectrometer.
    position : float
        Of the grating, inductosyn units.
    channel : {"RED", "BLUE"}
        Channel.
    order : int
        Of the grating.

    References
    ----------
    Colditz et al. 2018, Journal of Astronomical Instrumentation 7, 1840004, "Spectral and Spatial Characterization and
    Calibration of FIFI-LS".
    """
    spexel = np.arange(1, N_SPEXEL + 1, dtype=np.float64)[:, np.newaxis]
    spaxel = np.arange(N_SPAXEL)
    slit = 25 - 6 * (spaxel // 5) + spaxel % 5
    angle = 2 * math.pi * (position + np.array(coefficients.offsets)) / _TURN
    away = spexel - coefficients.quadratic_offset
    curvature = np.where(away > 0, 1.0, -1.0) * coefficients.quadratic_scale
    deviation = (spexel - _SPEXEL_CENTER) * coefficients.pixel_scale + curvature * away**2
    slope = coefficients.pixel_scale + 2 * curvature * away
    tilt = np.cos(np.arctan((slit - coefficients.slit_offset) / coefficients.slit_distance))
    scale = _MICROMETRES / order * coefficients.groove * tilt
    gamma = _GAMMA[channel]
    diffracted = angle + gamma + deviation
    return Wavelengths(scale * (np.sin(angle - gamma) + np.sin(diffracted)), scale * slope * np.cos(diffracted))


def compute_bandwidth(wavelengths: Wavelengths) -> FloatArray:
    """Return the range of frequencies, Hz, that each pixel covers."""
    bandwidth: FloatArray = _LIGHT_SPEED_UM * wavelengths.width / np.square(wavelengths.wavelength)
    return bandwidth
