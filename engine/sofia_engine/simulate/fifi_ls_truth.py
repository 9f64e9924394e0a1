"""The truth of a simulated FIFI-LS observation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sofia_engine.simulate.fifi_ls_sources import SIGMA_PER_FWHM, PointCloud
from sofia_engine.simulate.truth import Truth

__all__ = ["SOURCES_FILE", "ChannelTruth", "FifiLsFileTruth", "FifiLsTruth", "write_sources"]

FloatArray = NDArray[np.float64]
SOURCES_FILE = "truth_{channel}.ecsv"


@dataclass(frozen=True)
class ChannelTruth:
    """
    The truth of one channel.

    Parameters
    ----------
    channel
        ``RED`` or ``BLUE``.
    line_um
        Wavelength of the line at rest.
    barycentric_um
        Wavelength of the point source's line in the frame of the barycentre.
    detected_um
        Wavelength at which it falls on the detector.
    line_fwhm_um
        Full width at half maximum of the line on the detector.
    resolution
        Resolving power.
    psf_fwhm_arcsec
        Full width at half maximum of the point-spread function.
    spaxel_arcsec
        Side of a spaxel.
    spexel_um
        Width of a pixel in the middle.
    grating_positions
        Inductosyn units.
    transmission
        Of the atmosphere at the line, as the detector sees it for a flat spectrum.
    adu_per_jy
        Signal per readout of 1 Jy in the central spaxel at the line, below the atmosphere.
    reference_files
        Calibration files used, by kind.
    """

    channel: str
    line_um: float
    barycentric_um: float
    detected_um: float
    line_fwhm_um: float
    resolution: float
    psf_fwhm_arcsec: float
    spaxel_arcsec: float
    spexel_um: float
    grating_positions: tuple[int, ...]
    transmission: float
    adu_per_jy: float
    reference_files: dict[str, str]


@dataclass(frozen=True)
class FifiLsFileTruth:
    """
    The truth of one raw file.

    Parameters
    ----------
    name
        File name.
    channel
        ``RED`` or ``BLUE``.
    nod_beam
        ``A`` or ``B``.
    map_offset_arcsec
        Where the telescope points, (east, north) from the target; where a scan starts.
    speed_arcsec_s
        Speed (east, north) of a scan.
    """

    name: str
    channel: str
    nod_beam: str
    map_offset_arcsec: tuple[float, float]
    speed_arcsec_s: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class FifiLsTruth(Truth):
    """
    The truth of a simulated FIFI-LS observation; the sources as points are in `SOURCES_FILE` of each channel.

    Parameters
    ----------
    ra, dec
        Position of the point source, degrees.
    line_flux_w_m2
        Flux of the point source's line above the atmosphere.
    extended_line_flux_w_m2
        The same of the extended source.
    flux_jy, extended_flux_jy
        Continuum at the line.
    velocity_km_s
        Barycentric radial velocity of the point source.
    barycentric_correction_km_s
        What is added to measured velocities to get barycentric ones.
    atmosphere
        File with its transmission, relative to the folder of the raw files unless it is the user's own; ``none``.
    channels
        By channel.
    observed
        One entry per raw file.
    """

    ra: float
    dec: float
    line_flux_w_m2: float
    extended_line_flux_w_m2: float
    flux_jy: float
    extended_flux_jy: float
    velocity_km_s: float
    barycentric_correction_km_s: float
    atmosphere: str
    channels: dict[str, ChannelTruth]
    observed: tuple[FifiLsFileTruth, ...]

    @property
    def parameters(self) -> dict[str, dict[str, Any]]:
        """Parameters a reduction needs to use the atmosphere of the simulation, or none."""
        if self.atmosphere == "none":
            return {"telluric_correct": {"skip_tell": True}}
        return {"telluric_correct": {"atran_file": str(self.directory / self.atmosphere), "use_ecmwf": False}}

    def paths_of(self, channel: str) -> tuple[Path, ...]:
        """Paths of the raw files of a channel in the order of observation."""
        return tuple(self.directory / file.name for file in self.observed if file.channel == channel)

    def read_sources(self, channel: str) -> PointCloud:
        """Read the sources, as points, from the file beside the raw files."""
        from astropy.table import Table

        table = Table.read(self.directory / SOURCES_FILE.format(channel=channel.lower()), format="ascii.ecsv")
        columns = {name: np.asarray(table[name], dtype=float) for name in table.colnames}
        return PointCloud(
            np.stack([columns["east"], columns["north"]], axis=1),
            columns["line_flux"],
            columns["velocity"],
            columns["continuum"],
        )

    def moments(self, channel: str, east_north: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """
        Give what a perfect instrument behind the telescope would see.

        Parameters
        ----------
        channel
            ``RED`` or ``BLUE``.
        east_north
            (n, 2) offsets from the position of the observation, arcsec.

        Returns
        -------
        line, velocity, continuum : ndarray
            (n,) W/m2/arcsec2, mean velocity (km/s; NaN without light), Jy/arcsec2.
        """
        sigma = self.channels[channel].psf_fwhm_arcsec * SIGMA_PER_FWHM
        return self.read_sources(channel).moments(east_north, sigma)


def write_sources(path: Path, cloud: PointCloud) -> None:
    """
    Write the sources as points.

    Parameters
    ----------
    path
        File to write.
    cloud
        The points.
    """
    from astropy.table import Column, Table

    columns = [
        Column(cloud.offset[:, 0], name="east", unit="arcsec"),
        Column(cloud.offset[:, 1], name="north", unit="arcsec"),
        Column(cloud.line_flux, name="line_flux", unit="W/m2"),
        Column(cloud.velocity, name="velocity", unit="km/s"),
        Column(cloud.continuum, name="continuum", unit="Jy"),
    ]
    Table(columns).write(path, format="ascii.ecsv", overwrite=True)
