"""Where the pixels of FIFI-LS look: wavelengths by the grating equation, and places of the spaxels on the sky."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import ParameterError

if TYPE_CHECKING:
    from sofia_engine.simulate.fifi_ls_tables import ChannelTables, GratingCoefficients

__all__ = [
    "LIGHT_UM_S",
    "PLATE_SCALE",
    "Dispersion",
    "disperse",
    "find_grating_position",
    "locate_spaxels",
    "spaxel_side",
    "turn_to_detector",
]

FloatArray = NDArray[np.float64]
LIGHT_UM_S = 2.99792458e14
PLATE_SCALE = 4.2331334
"""Arcsec per millimetre in the focal plane."""
_SIDE_MM = {"RED": 3.0, "BLUE": 1.5}
_UNITS_PER_TURN = 2**24
_LARGEST_POSITION = 2098176
_CENTRAL_SPAXEL = 12


@dataclass(frozen=True)
class Dispersion:
    """
    Wavelengths at one position of the grating.

    Parameters
    ----------
    wavelength, width
        (16, 25) centre and width of the pixels, micrometres.
    """

    wavelength: FloatArray
    width: FloatArray

    @property
    def bandwidth(self) -> FloatArray:
        """(16, 25) width of the pixels, Hz."""
        return LIGHT_UM_S * self.width / self.wavelength**2


def disperse(grating: GratingCoefficients, position: float) -> Dispersion:
    """
    Solve the grating equation for all pixels.

    Parameters
    ----------
    grating
        Coefficients.
    position
        Inductosyn units.

    Notes
    -----
    A ray that meets the grating at an angle a and leaves it at an angle b has the wavelength g/m (sin a + sin b).
    The slit has bends: the 25 spaxels lie behind each other in rows of five, with a gap between rows.
    """
    spaxel = np.arange(25)
    row, column = np.divmod(spaxel, 5)
    slit = 25 - 6 * row + column
    groove = grating.constant * np.cos(np.arctan((slit - grating.slit_center) / grating.slit_distance))
    turn = 2 * np.pi * (position + grating.offsets) / _UNITS_PER_TURN
    pixel = np.arange(1.0, 17.0)[:, None]
    away = pixel - grating.quadratic_center
    angle = (pixel - 8.5) * grating.pixel_angle + np.where(away > 0, 1, -1) * grating.quadratic * away**2
    angle_width = grating.pixel_angle + 2 * grating.quadratic * np.abs(away)
    scale = 1000 * groove / grating.order
    leaving = turn + grating.gamma + angle
    wavelength = scale * (np.sin(turn - grating.gamma) + np.sin(leaving))
    return Dispersion(wavelength, scale * angle_width * np.cos(leaving))


def find_grating_position(grating: GratingCoefficients, wavelength: float) -> int:
    """
    Find where the grating must stand for a wavelength in the middle of the central spaxel.

    Parameters
    ----------
    grating
        Coefficients.
    wavelength
        Micrometres.

    Raises
    ------
    ParameterError
        If it cannot get there.
    """
    low, high = 0, _LARGEST_POSITION
    first, last = _middle(grating, low), _middle(grating, high)
    if not first <= wavelength <= last:
        raise ParameterError(
            f"The simulated grating reaches {first:.1f} to {last:.1f} um in order {grating.order}, "
            f"not {wavelength:g} um; choose another wavelength."
        )
    while high - low > 1:
        half = (low + high) // 2
        low, high = (half, high) if _middle(grating, half) < wavelength else (low, half)
    return low


def _middle(grating: GratingCoefficients, position: int) -> float:
    return float(disperse(grating, position).wavelength[7:9, _CENTRAL_SPAXEL].mean())


def spaxel_side(channel: str) -> float:
    """Give the side of a spaxel, arcsec."""
    return _SIDE_MM[channel] * PLATE_SCALE


def locate_spaxels(tables: ChannelTables, primary: str, position: int) -> FloatArray:
    """
    Give the places of the spaxels in the frame of the detector, for a telescope that points at the target.

    The field of a channel moves with its grating; the centre of rotation is that of the primary channel.

    Parameters
    ----------
    tables
        Of the channel.
    primary
        Channel the telescope is aligned with.
    position
        Position of this channel's grating.

    Returns
    -------
    ndarray
        (25, 2) arcsec. The frame is that of the sky (east, north) turned by the detector angle, see `turn_to_detector`.
    """
    own, center = tables.deltas[tables.channel], tables.deltas[primary].center
    x = own.constant[0] + own.slope[0] * position - center[0] + tables.positions[:, 0]
    y = -own.constant[1] - own.slope[1] * position - center[1] - tables.positions[:, 1]
    return PLATE_SCALE * np.stack([x, y], axis=1)


def turn_to_detector(east_north: FloatArray, angle: float) -> FloatArray:
    """
    Turn offsets on the sky into the frame of the detector.

    Parameters
    ----------
    east_north
        (..., 2) arcsec.
    angle
        The keyword DET_ANGL, degrees.
    """
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return np.asarray(east_north @ np.array([[cosine, sine], [-sine, cosine]]))
