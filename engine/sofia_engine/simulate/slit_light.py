"""Light through a slit: the profile of a source along it, and its dispersion over a detector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sofia_engine.simulate.curves import Curve
    from sofia_engine.simulate.forcast_grism_files import SlitGeometry
    from sofia_engine.simulate.sources import Brightness

__all__ = ["SlitProfile", "collect_profile", "disperse"]

FloatArray = NDArray[np.float64]
_PROFILE_STEP_ARCSEC = 0.05
_LONGEST_REACH_ARCSEC = 200.0
_QUADRATURE = 24
_SAMPLES = 4
"""Samples per pixel and direction."""


@dataclass(frozen=True)
class SlitProfile:
    """
    Light of a source of unit flux that passes a slit.

    Parameters
    ----------
    offset
        Distance along the slit from the source, arcsec, equal steps.
    values
        Share of the flux per arcsec along the slit.
    """

    offset: FloatArray
    values: FloatArray

    @property
    def total(self) -> float:
        """Share of the flux that passes."""
        return float(self.values.sum() * (self.offset[1] - self.offset[0]))

    @property
    def reach(self) -> float:
        """Distance beyond which there is nothing."""
        return float(self.offset[-1])

    def at(self, offset: FloatArray) -> FloatArray:
        """Interpolate linearly; 0 outside."""
        return np.asarray(np.interp(offset, self.offset, self.values, left=0.0, right=0.0))


def collect_profile(source: Brightness, across: float, width: float) -> SlitProfile:
    """
    Integrate the brightness of a source across a slit.

    Parameters
    ----------
    source
        Its brightness.
    across
        Distance of the source from the middle of the slit, arcsec.
    width
        Width of the slit, arcsec.
    """
    reach = min(source.reach_arcsec, _LONGEST_REACH_ARCSEC)
    n_steps = int(np.ceil(reach / _PROFILE_STEP_ARCSEC))
    offset = np.arange(-n_steps, n_steps + 1) * _PROFILE_STEP_ARCSEC
    nodes, weights = np.polynomial.legendre.leggauss(_QUADRATURE)
    x = nodes * width / 2 - across
    brightness = source.profile(np.asarray(x[:, None], dtype=float), np.asarray(offset[None, :], dtype=float))
    return SlitProfile(np.asarray(offset, dtype=float), np.asarray(weights * width / 2 @ brightness, dtype=float))


def disperse(
    geometry: SlitGeometry, spectrum: Curve, profile: SlitProfile, place: Callable[[FloatArray], FloatArray]
) -> FloatArray:
    """
    Spread the light of a source over the detector.

    Light is conserved: a pixel gets the spectrum times the profile, integrated over the area of wavelength and slit
    position it covers. That area is found from the slopes of the two maps.

    Parameters
    ----------
    geometry
        Wavelengths and slit positions of the pixels.
    spectrum
        Light per rectified column.
    profile
        Profile along the slit.
    place
        Gives the slit position of the source for wavelengths.

    Returns
    -------
    ndarray
        Light in each pixel; 0 outside the order.
    """
    slopes = [np.gradient(plane, axis=axis) for plane in (geometry.wavelength, geometry.position) for axis in (1, 0)]
    area = np.abs(slopes[0] * slopes[3] - slopes[1] * slopes[2]) / geometry.column_um
    with np.errstate(invalid="ignore"):
        near = np.abs(geometry.position - place(geometry.wavelength)) < profile.reach + 2 * geometry.row_arcsec
    chosen = near & geometry.lit & np.isfinite(area)
    wavelength, position = geometry.wavelength[chosen], geometry.position[chosen]
    wave_x, wave_y, slit_x, slit_y = (slope[chosen] for slope in slopes)
    light = np.zeros(wavelength.size)
    steps = (np.arange(_SAMPLES) + 0.5) / _SAMPLES - 0.5
    for dy in steps:
        for dx in steps:
            wave = wavelength + dx * wave_x + dy * wave_y
            slit = position + dx * slit_x + dy * slit_y
            light += spectrum.at(wave) * profile.at(slit - place(wave))
    image = np.zeros(geometry.wavelength.shape)
    image[chosen] = light * area[chosen] / _SAMPLES**2
    return image
