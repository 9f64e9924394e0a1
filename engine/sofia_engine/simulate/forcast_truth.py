"""The truth of a simulated FORCAST imaging observation."""

from __future__ import annotations

from dataclasses import dataclass

from sofia_engine.simulate.forcast_detector import NoiseModel
from sofia_engine.simulate.truth import Truth

__all__ = ["BeamTruth", "FileTruth", "ForcastImagingTruth"]


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
class FileTruth:
    """
    The truth of one raw file.

    Parameters
    ----------
    name
        File name.
    nod_beam
        Nod beam, or that of the first half.
    ra, dec
        Position of the boresight, degrees.
    dither_arcsec
        Dither offset (x, y) of the source on the undistorted detector.
    sky_levels
        Linear background of each plane, ADU.
    beams
        The source in each plane.
    """

    name: str
    nod_beam: str
    ra: float
    dec: float
    dither_arcsec: tuple[float, float]
    sky_levels: tuple[float, ...]
    beams: tuple[BeamTruth, ...]


@dataclass(frozen=True, kw_only=True)
class ForcastImagingTruth(Truth):
    """
    The truth of a simulated FORCAST imaging observation.

    Parameters
    ----------
    ra, dec
        Position of the point source, degrees.
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
    noise
        Parameters of the noise model; None for no noise.
    pixel_scale_arcsec
        Mean arcsec per raw pixel in x and y.
    distortion_residual
        Root mean square of the fit to the pinholes, pixels.
    reference_files
        Bad-pixel mask and pinhole table used.
    observed
        One entry per raw file.
    """

    ra: float
    dec: float
    flux_me_s: float
    flux_jy: float | None
    extended_flux_me_s: float
    extended_flux_jy: float | None
    calibration_factor: float | None
    telluric_factor: float
    calibration_origin: dict[str, str]
    noise: NoiseModel | None
    pixel_scale_arcsec: tuple[float, float]
    distortion_residual: float
    reference_files: dict[str, str]
    observed: tuple[FileTruth, ...]
