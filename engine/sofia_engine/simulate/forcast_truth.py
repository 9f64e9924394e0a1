"""The truth of simulated FORCAST observations: what all have, and that of images."""

from __future__ import annotations

from dataclasses import dataclass

from sofia_engine.simulate.forcast_detector import NoiseModel
from sofia_engine.simulate.truth import Truth

__all__ = ["BeamTruth", "ExposureTruth", "FileTruth", "ForcastImagingTruth", "ForcastTruth"]


@dataclass(frozen=True)
class BeamTruth:
    """
    The source in one plane of a raw file.

    Parameters
    ----------
    plane
        Index of the plane.
    sign
        Sign of the plane in the stacked image.
    x, y
        Raw pixel (0-based) of the source, before any readout shift.
    on_detector
        Whether that is inside the detector.
    area_ratio
        Area of sky a raw pixel sees there over that of a mean pixel. Resampling to equal pixels without regard to
        area, as the distortion correction does, gives this multiple of the flux.
    """

    plane: int
    sign: int
    x: float
    y: float
    on_detector: bool
    area_ratio: float


@dataclass(frozen=True)
class ExposureTruth:
    """
    The truth of one raw file that all modes have.

    Parameters
    ----------
    name
        File name.
    nod_beam
        Nod beam of its first two planes.
    ra, dec
        Position of the boresight, degrees.
    dither_arcsec
        Dither offset of the source: x and y on the undistorted detector, across and along a slit.
    sky_levels
        Linear background of each plane, ADU.
    """

    name: str
    nod_beam: str
    ra: float
    dec: float
    dither_arcsec: tuple[float, float]
    sky_levels: tuple[float, ...]


@dataclass(frozen=True)
class FileTruth(ExposureTruth):
    """
    The truth of one raw file of images.

    Parameters
    ----------
    beams
        The source in each plane.
    """

    beams: tuple[BeamTruth, ...]


@dataclass(frozen=True, kw_only=True)
class ForcastTruth(Truth):
    """
    The truth of any simulated FORCAST observation.

    Parameters
    ----------
    ra, dec
        Position of the point source, degrees.
    noise
        Parameters of the noise model; None for no noise.
    reference_files
        Calibration files used.
    """

    ra: float
    dec: float
    noise: NoiseModel | None
    reference_files: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class ForcastImagingTruth(ForcastTruth):
    """
    The truth of a simulated FORCAST imaging observation.

    Parameters
    ----------
    flux_me_s
        Detected flux of the point source, Me/s.
    flux_jy
        Its flux above the atmosphere, Jy; None if the calibration is not known.
    extended_flux_me_s, extended_flux_jy
        The same of the extended source.
    calibration_factor
        Me/s per Jy, or None.
    telluric_factor
        Multiplies detected flux to give that at the reference altitude and zenith angle.
    calibration_origin
        Where the two factors come from.
    pixel_scale_arcsec
        Mean arcsec per raw pixel in x and y.
    distortion_residual
        Root mean square of the fit to the pinholes, pixels.
    observed
        One entry per raw file.
    """

    flux_me_s: float
    flux_jy: float | None
    extended_flux_me_s: float
    extended_flux_jy: float | None
    calibration_factor: float | None
    telluric_factor: float
    calibration_origin: dict[str, str]
    pixel_scale_arcsec: tuple[float, float]
    distortion_residual: float
    observed: tuple[FileTruth, ...]
