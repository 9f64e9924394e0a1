"""From sources on the sky to the signal in each pixel of FIFI-LS."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import ParameterError
from sofia_engine.simulate.curves import Curve
from sofia_engine.simulate.fifi_ls_geometry import LIGHT_UM_S, Dispersion, spaxel_side, turn_to_detector
from sofia_engine.simulate.fifi_ls_sources import SIGMA_PER_FWHM, PointCloud
from sofia_engine.simulate.fifi_ls_tables import ChannelTables

__all__ = ["GratingView", "LineShape"]

FloatArray = NDArray[np.float64]
_LIGHT_KM_S = LIGHT_UM_S * 1e-9
_W_M2_HZ_PER_JY = 1e-26
_SAMPLES_PER_WIDTH = 150
_REACH = 5.0
"""In standard deviations of the line-spread function."""


@dataclass(frozen=True)
class LineShape:
    """
    The line as it leaves the source, and how it is changed on the way.

    Parameters
    ----------
    rest_um
        Wavelength at rest.
    fwhm_km_s
        Full width at half maximum.
    barycentric_km_s
        To be added to the velocity the instrument measures to get that relative to the barycentre.
    resolution
        Wavelength over the full width at half maximum that a line without width has on the detector, pixels included.
    slope
        Exponent of wavelength in the continuum.
    transmission
        Of the atmosphere.
    """

    rest_um: float
    fwhm_km_s: float
    barycentric_km_s: float
    resolution: float
    slope: float
    transmission: Curve

    def arrive_at(self, velocity: FloatArray) -> FloatArray:
        """Give the wavelength at which light of barycentric velocities (km/s) arrives, um."""
        barycentric = self.rest_um * (1 + velocity / _LIGHT_KM_S)
        return np.asarray(barycentric / (1 + self.barycentric_km_s / _LIGHT_KM_S))

    def draw_lines(self, wavelength: FloatArray, velocity: FloatArray) -> FloatArray:
        """Draw lines of 1 W/m2 above the atmosphere, (n_velocity, n_wavelength) Jy."""
        center = self.arrive_at(velocity)[:, None]
        sigma = self.fwhm_km_s / _LIGHT_KM_S * self.rest_um * SIGMA_PER_FWHM
        shape = np.exp(-0.5 * ((wavelength - center) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
        return np.asarray(shape * wavelength**2 / LIGHT_UM_S / _W_M2_HZ_PER_JY)

    def draw_continuum(self, wavelength: FloatArray) -> FloatArray:
        """Draw a continuum of 1 Jy at the wavelength of the line."""
        return np.asarray((wavelength / self.rest_um) ** self.slope)


@dataclass(frozen=True)
class GratingView:
    """
    What the pixels see at one position of the grating.

    Parameters
    ----------
    tables
        Of the channel.
    dispersion
        Wavelengths.
    places
        (25, 2) of the spaxels in the frame of the detector, arcsec.
    detector_angle
        DET_ANGL, degrees.
    cloud
        The sources.
    psf_fwhm_arcsec
        Of the telescope.
    line
        Shape of the spectra.
    """

    tables: ChannelTables
    dispersion: Dispersion
    places: FloatArray
    detector_angle: float
    cloud: PointCloud
    psf_fwhm_arcsec: float
    line: LineShape

    @cached_property
    def flat(self) -> FloatArray:
        """(16, 25) response of the pixels to even light; 0 where the pixel is unusable."""
        return np.nan_to_num(self.tables.flat_at(self.dispersion.wavelength))

    @cached_property
    def gain(self) -> FloatArray:
        """(16, 25) ADU per readout of 1 Jy in the spaxel below the atmosphere; 0 where the pixel is unusable."""
        response = self.tables.response.at(self.dispersion.wavelength)
        return np.nan_to_num(response * self.tables.flat_at(self.dispersion.wavelength) * self.dispersion.bandwidth)

    @cached_property
    def spectra(self) -> FloatArray:
        """(16, 25, n) Jy in each pixel if all light of a point of the cloud fell into its spaxel."""
        fine = self._lay_grid()
        transmitted = self.line.transmission.at(fine)
        lines = self.line.draw_lines(fine, self.cloud.velocity) * self.cloud.line_flux[:, None]
        total = lines + self.line.draw_continuum(fine) * self.cloud.continuum[:, None]
        return np.asarray(self._spread(fine) @ (total * transmitted).T)

    @cached_property
    def transmission(self) -> FloatArray:
        """(16, 25) transmission of the atmosphere for a flat spectrum."""
        fine = self._lay_grid()
        return np.asarray(self._spread(fine) @ self.line.transmission.at(fine))

    def collect(self, pointing: FloatArray) -> FloatArray:
        """
        Give the signal of the sources, ADU per readout.

        Parameters
        ----------
        pointing
            (east, north) of the telescope from the target, arcsec.

        Returns
        -------
        ndarray
            (16, 25).
        """
        shares = self.share(pointing)
        return np.asarray(self.gain * np.einsum("ikn,kn->ik", self.spectra, shares))

    def share(self, pointing: FloatArray) -> FloatArray:
        """Give the share of the light of each point that falls into each spaxel, (25, n)."""
        from scipy.special import erf

        seen = turn_to_detector(self.cloud.offset - pointing, self.detector_angle)
        away = seen[None, :, :] - self.places[:, None, :]
        half, width = spaxel_side(self.tables.channel) / 2, np.sqrt(2) * self.psf_fwhm_arcsec * SIGMA_PER_FWHM
        return np.asarray((0.5 * (erf((away + half) / width) - erf((away - half) / width))).prod(axis=2))

    def _width(self) -> float:
        """Standard deviation of the line-spread function, um."""
        return float(self.line.rest_um / self.line.resolution * SIGMA_PER_FWHM)

    def _lay_grid(self) -> FloatArray:
        margin = _REACH * self._width()
        low, high = self.dispersion.wavelength.min() - margin, self.dispersion.wavelength.max() + margin
        line_sigma = self.line.fwhm_km_s / _LIGHT_KM_S * self.line.rest_um * SIGMA_PER_FWHM
        step = min(self._width() / SIGMA_PER_FWHM / _SAMPLES_PER_WIDTH, line_sigma / 3)
        if step < 1e-6 * self.line.rest_um:
            raise ParameterError("The simulated line is too narrow; give 'line_fwhm_km_s' of at least 5.")
        return np.arange(low, high, step)

    def _spread(self, fine: FloatArray) -> FloatArray:
        """Give the line-spread function of each pixel on the fine grid, (16, 25, n_fine); sums are 1."""
        away = (fine - self.dispersion.wavelength[:, :, None]) / self._width()
        kernel = np.exp(-0.5 * away**2)
        return np.asarray(kernel / kernel.sum(axis=2, keepdims=True))
