"""Options of a simulated FORCAST imaging observation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import ParameterError
from sofia_engine.simulate.forcast_detector import CAPACITANCES, NoiseModel
from sofia_engine.simulate.forcast_filters import normalise_filter
from sofia_engine.simulate.options import Observation, check_choice, check_number, check_pair, compact_date
from sofia_engine.simulate.sources import ExtendedSource

__all__ = ["ForcastImaging"]

FloatArray = NDArray[np.float64]
_GOLDEN_ANGLE = np.radians(137.50776)
_DITHER_RADIUS_ARCSEC = 9.0
_LIMITS = {
    "n_dither": (1, 99),
    "sky_angle": (-360, 360),
    "flux": (0, 1e9),
    "psf_fwhm_arcsec": (0.5, 30),
    "sky_level": (0, 60000),
    "sky_drift": (-10000, 10000),
    "jailbar_amplitude": (0, 1000),
    "droop_fraction": (0, 0.05),
    "detitime": (0.01, 10000),
    "frame_rate": (0.1, 10000),
}
_OPTIONAL_LIMITS = {
    "chop_throw_arcsec": (0.1, 10000),
    "chop_angle": (-360, 360),
    "nod_throw_arcsec": (0.1, 10000),
    "nod_angle": (-360, 360),
    "calibration_factor": (1e-9, 1e9),
    "telluric_factor": (1e-3, 1e3),
}
_CHOICES = {
    "camera": ("SW", "LW"),
    "chop_frame": ("SIRF", "ERF"),
    "flux_unit": ("Me/s", "Jy"),
    "psf_profile": ("gaussian", "moffat"),
    "capacitance": ("lo", "hi"),
    "calibration": ("reference", "none"),
}


@dataclass(frozen=True, kw_only=True)
class ForcastImaging(Observation):
    """
    Options of a simulated FORCAST imaging observation.

    Parameters
    ----------
    camera
        ``SW`` or ``LW``.
    filter
        ``FOR_F197``, ``F315``, ...; None for 19.7 um in the SW and 31.5 um in the LW camera.
    dual
        Both cameras observe at once (through the dichroic); only the files of ``camera`` are written.
    standard
        The target is a flux standard (OBSTYPE STANDARD_FLUX).
    n_dither
        Number of positions on source: of files, but for two-plane C2NC2, where B files are added.
    dithers_arcsec
        Offsets (x, y) of the source on the undistorted detector, one per position; None for a spiral of 9 arcsec.
    chop_throw_arcsec, chop_angle, nod_throw_arcsec, nod_angle
        Full throws and their directions on the detector (degrees from +y to +x); None for what fits the mode. The
        nod of NMC follows from the chop.
    chop_frame
        Coordinate system of the angles in the header: ``SIRF`` (detector) or ``ERF`` (sky).
    source_offset_arcsec
        Place (x, y) of the source from the boresight before dithering, on the undistorted detector.
    boresight
        Raw pixel x, y (0-based) of the boresight; None for the centre, but for NPC for where all four copies of a
        source at the boresight are on the detector.
    sky_angle
        SKY_ANGL, degrees.
    flux, flux_unit
        Detected flux of the point source in Me/s, or flux above the atmosphere in Jy.
    extended
        Extended source (`ExtendedSource` or a dict of its fields) in the same unit; None for none.
    psf_fwhm_arcsec, psf_profile
        Point-spread function, ``gaussian`` or ``moffat``.
    sky_level, sky_drift
        Linear background of the first plane and its change from plane to plane, ADU.
    droop, droop_fraction, nonlinearity, jailbars, jailbar_amplitude, bad_pixels, distortion
        Effects of the detector, to be switched off one by one; amplitude in ADU.
    readout_shift
        Move all planes by 16 pixels, as a readout error does.
    capacitance
        ``lo`` or ``hi``.
    detitime, frame_rate
        DETITIME (s, both nod beams) and FRMRATE (Hz).
    bad_pixel_mask, pinhole_locations
        ``reference`` (published file), a path, ``synthetic`` (made, and written beside the raw files) or ``none``.
    calibration
        ``reference`` to compute flux in Jy with the published tables, ``none`` to leave it unknown.
    calibration_factor, telluric_factor
        Values to use instead of the published ones: Me/s per Jy, and correction of detected counts.
    """

    camera: str = "SW"
    filter: str | None = None
    dual: bool = False
    standard: bool = False
    n_dither: int = 1
    dithers_arcsec: tuple[tuple[float, float], ...] | None = None
    chop_throw_arcsec: float | None = None
    chop_angle: float | None = None
    nod_throw_arcsec: float | None = None
    nod_angle: float | None = None
    chop_frame: str = "SIRF"
    source_offset_arcsec: tuple[float, float] = (0.0, 0.0)
    boresight: tuple[float, float] | None = None
    sky_angle: float = 150.0
    flux: float = 160.0
    flux_unit: str = "Me/s"
    extended: ExtendedSource | None = None
    psf_fwhm_arcsec: float = 3.3
    psf_profile: str = "gaussian"
    sky_level: float = 5000.0
    sky_drift: float = 4.0
    droop: bool = True
    droop_fraction: float = 0.0035
    nonlinearity: bool = True
    jailbars: bool = True
    jailbar_amplitude: float = 2.0
    bad_pixels: bool = True
    distortion: bool = True
    readout_shift: bool = False
    capacitance: str = "lo"
    detitime: float = 40.0
    frame_rate: float = 24.2203
    bad_pixel_mask: Path | str = "reference"
    pinhole_locations: Path | str = "reference"
    calibration: str = "reference"
    calibration_factor: float | None = None
    telluric_factor: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, (low, high) in _LIMITS.items():
            check_number(name, getattr(self, name), low, high)
        for name, (low, high) in _OPTIONAL_LIMITS.items():
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), low, high)
        for name, choices in _CHOICES.items():
            check_choice(name, getattr(self, name), choices)
        self._check_positions()
        self._convert_extended()
        normalise_filter(self.spectel, self.camera, compact_date(self.date))

    @property
    def spectel(self) -> str:
        """Name of the filter as in the header."""
        default = {"SW": "F197", "LW": "F315"}[self.camera]
        return normalise_filter(self.filter or default, self.camera, compact_date(self.date))

    @cached_property
    def dithers(self) -> FloatArray:
        """Offsets of the source, shape (n_dither, 2), arcsec on the undistorted detector."""
        if self.dithers_arcsec is not None:
            return np.array(self.dithers_arcsec, dtype=float)
        turns = np.arange(self.n_dither)
        radius = _DITHER_RADIUS_ARCSEC * np.sqrt(turns / max(self.n_dither - 1, 1))
        spiral: FloatArray = radius * np.array([np.cos(turns * _GOLDEN_ANGLE), np.sin(turns * _GOLDEN_ANGLE)])
        return spiral.T.round(3)

    @property
    def noise_model(self) -> NoiseModel:
        """Noise of the raw planes."""
        setting = CAPACITANCES[self.capacitance]
        return NoiseModel(self.frame_rate, self.detitime / 2, setting.electrons_per_adu, setting.read_noise)

    @property
    def counts_per_flux(self) -> float:
        """ADU per frame of one Me/s."""
        return 1e6 / (self.frame_rate * CAPACITANCES[self.capacitance].electrons_per_adu)

    def _check_positions(self) -> None:
        """Check all options that are positions."""
        check_pair("source_offset_arcsec", self.source_offset_arcsec)
        if self.boresight is not None:
            check_pair("boresight", self.boresight)
        if not isinstance(self.n_dither, int):
            raise ParameterError(f"Option 'n_dither' of the simulation is {self.n_dither!r}; give a whole number.")
        if self.dithers_arcsec is not None:
            for pair in self.dithers_arcsec:
                check_pair("dithers_arcsec", pair)
            object.__setattr__(self, "n_dither", len(self.dithers_arcsec))
            check_number("number of dithers_arcsec", self.n_dither, *_LIMITS["n_dither"])

    def _convert_extended(self) -> None:
        """Accept a dict, as parameter files give it, for the extended source."""
        if isinstance(self.extended, dict):
            try:
                object.__setattr__(self, "extended", ExtendedSource(**self.extended))
            except TypeError as error:
                message = f"Option 'extended' of the simulation cannot be used ({error}); give flux, FWHM, offset."
                raise ParameterError(message) from error
        if self.extended is not None and not isinstance(self.extended, ExtendedSource):
            raise ParameterError(f"Option 'extended' of the simulation is {self.extended!r}; give an ExtendedSource.")
