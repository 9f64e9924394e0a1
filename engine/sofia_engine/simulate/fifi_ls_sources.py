"""Sources of far-infrared lines and continuum, as points with a velocity each; what the telescope makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sofia_engine.simulate.options import check_number, check_pair

if TYPE_CHECKING:
    from sofia_engine.simulate.fifi_ls_options import FifiLs

__all__ = ["ExtendedLineSource", "PointCloud", "make_cloud"]

FloatArray = NDArray[np.float64]
SIGMA_PER_FWHM = 1 / np.sqrt(8 * np.log(2))
_REACH = 4.0
"""In standard deviations: outside lie 3e-4 of the flux of a Gaussian in two dimensions; weights are normalised."""
_STEP = 0.8
"""Distance of points in standard deviations of the PSF, which then hides that they are points (to 1e-13)."""


@dataclass(frozen=True)
class ExtendedLineSource:
    """
    Elliptical Gaussian of line emission and continuum, with a velocity field.

    Parameters
    ----------
    line_flux_w_m2
        Flux of the line, W/m2.
    flux
        Continuum, Jy.
    fwhm_major_arcsec, fwhm_minor_arcsec
        Full widths at half maximum before the telescope blurs the source.
    position_angle
        Of the major axis, degrees from north to east.
    offset_arcsec
        Of its centre from the position of the observation, (east, north).
    velocity_km_s
        Barycentric radial velocity of its centre.
    velocity_gradient_km_s_arcsec
        Change of velocity along ``velocity_angle`` at the centre.
    velocity_angle
        Direction in which velocity grows, degrees from north to east; None for that of the major axis.
    velocity_limit_km_s
        Where the velocity curve becomes flat: the field is limit * tanh(gradient * distance / limit); None for a
        straight line.
    """

    line_flux_w_m2: float
    flux: float = 0.0
    fwhm_major_arcsec: float = 30.0
    fwhm_minor_arcsec: float = 15.0
    position_angle: float = 0.0
    offset_arcsec: tuple[float, float] = (0.0, 0.0)
    velocity_km_s: float = 0.0
    velocity_gradient_km_s_arcsec: float = 0.0
    velocity_angle: float | None = None
    velocity_limit_km_s: float | None = None

    def __post_init__(self) -> None:
        check_number("extended.line_flux_w_m2", self.line_flux_w_m2, 0, 1)
        check_number("extended.flux", self.flux, 0, 1e9)
        check_number("extended.fwhm_major_arcsec", self.fwhm_major_arcsec, 0.1, 200)
        check_number("extended.fwhm_minor_arcsec", self.fwhm_minor_arcsec, 0.1, self.fwhm_major_arcsec)
        check_number("extended.position_angle", self.position_angle, -360, 360)
        check_pair("extended.offset_arcsec", self.offset_arcsec)
        check_number("extended.velocity_km_s", self.velocity_km_s, -10000, 10000)
        check_number("extended.velocity_gradient_km_s_arcsec", self.velocity_gradient_km_s_arcsec, -1000, 1000)
        if self.velocity_angle is not None:
            check_number("extended.velocity_angle", self.velocity_angle, -360, 360)
        if self.velocity_limit_km_s is not None:
            check_number("extended.velocity_limit_km_s", self.velocity_limit_km_s, 0.1, 10000)

    def velocity_at(self, east: FloatArray, north: FloatArray) -> FloatArray:
        """Give the velocity at offsets (arcsec) from the centre of the source, km/s."""
        angle = np.radians(self.position_angle if self.velocity_angle is None else self.velocity_angle)
        change = self.velocity_gradient_km_s_arcsec * (east * np.sin(angle) + north * np.cos(angle))
        if self.velocity_limit_km_s is not None:
            change = self.velocity_limit_km_s * np.tanh(change / self.velocity_limit_km_s)
        return np.asarray(self.velocity_km_s + change)

    def sample(self, psf_sigma_arcsec: float) -> PointCloud:
        """
        Replace the source by points.

        Parameters
        ----------
        psf_sigma_arcsec
            Standard deviation of the point-spread function.
        """
        step = _STEP * psf_sigma_arcsec
        axes = [_REACH * SIGMA_PER_FWHM * fwhm for fwhm in (self.fwhm_major_arcsec, self.fwhm_minor_arcsec)]
        along, across = np.meshgrid(*(step * np.arange(-(reach // step), reach // step + 1) for reach in axes))
        weights = np.exp(-0.5 * _REACH**2 * ((along / axes[0]) ** 2 + (across / axes[1]) ** 2))
        kept = weights > np.exp(-0.5 * _REACH**2)
        along, across, weights = along[kept], across[kept], weights[kept] / weights[kept].sum()
        sine, cosine = np.sin(np.radians(self.position_angle)), np.cos(np.radians(self.position_angle))
        east, north = along * sine + across * cosine, along * cosine - across * sine
        offset = np.array(self.offset_arcsec, dtype=float)
        return PointCloud(
            np.stack([east, north], axis=1) + offset,
            self.line_flux_w_m2 * weights,
            self.velocity_at(east, north),
            self.flux * weights,
        )


@dataclass(frozen=True)
class PointCloud:
    """
    Points on the sky.

    Parameters
    ----------
    offset
        (n, 2) east and north of the target, arcsec.
    line_flux
        (n,) W/m2.
    velocity
        (n,) barycentric, km/s.
    continuum
        (n,) Jy.
    """

    offset: FloatArray
    line_flux: FloatArray
    velocity: FloatArray
    continuum: FloatArray

    def join(self, other: PointCloud) -> PointCloud:
        """Put two clouds together."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return PointCloud(*(np.concatenate(pair) for pair in pairs))

    def moments(self, east_north: FloatArray, psf_sigma_arcsec: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        """
        Give what a perfect instrument behind the telescope would see.

        Parameters
        ----------
        east_north
            (n, 2) offsets from the target, arcsec.
        psf_sigma_arcsec
            Standard deviation of the point-spread function.

        Returns
        -------
        line, velocity, continuum : ndarray
            (n,) W/m2/arcsec2, mean velocity weighted with the line (km/s; NaN without light), Jy/arcsec2.
        """
        distance = ((east_north[:, None, :] - self.offset[None, :, :]) ** 2).sum(axis=2)
        light = np.exp(-0.5 * distance / psf_sigma_arcsec**2) / (2 * np.pi * psf_sigma_arcsec**2)
        line = light @ self.line_flux
        with np.errstate(invalid="ignore", divide="ignore"):
            velocity = np.where(line > 0, light @ (self.line_flux * self.velocity) / line, np.nan)
        return line, velocity, light @ self.continuum


def make_cloud(options: FifiLs, psf_sigma_arcsec: float) -> PointCloud:
    """
    Collect all sources of a simulation.

    Parameters
    ----------
    options
        Options of the simulation.
    psf_sigma_arcsec
        Standard deviation of the point-spread function.
    """
    cloud = PointCloud(
        np.array([options.source_offset_arcsec], dtype=float),
        np.array([options.line_flux_w_m2]),
        np.array([float(options.velocity_km_s)]),
        np.array([float(options.flux)]),
    )
    return cloud if options.extended is None else cloud.join(options.extended.sample(psf_sigma_arcsec))
