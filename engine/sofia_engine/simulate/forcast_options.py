"""Options of simulated FORCAST observations: those of all modes, and those of imaging."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import ParameterError
from sofia_engine.simulate.forcast_detector import CAPACITANCES, NoiseModel
from sofia_engine.simulate.forcast_filters import filter_wavelength, normalise_filter
from sofia_engine.simulate.options import Observation, check_choice, check_number, check_pair, compact_date
from sofia_engine.simulate.sources import ExtendedSource

__all__ = ["ForcastImaging", "ForcastObservation", "InstrumentSetup"]

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
}
_CHOICES = {"chop_frame": ("SIRF", "ERF"), "psf_profile": ("gaussian", "moffat"), "capacitance": ("lo", "hi")}
_IMAGING_LIMITS = {"calibration_factor": (1e-9, 1e9), "telluric_factor": (1e-3, 1e3)}
_IMAGING_CHOICES = {
    "camera": ("SW", "LW"),
    "flux_unit": ("Me/s", "Jy"),
    "calibration": ("reference", "none"),
}
_PARTNER = {"SW": "FOR_F315", "LW": "FOR_F197"}


@dataclass(frozen=True)
class InstrumentSetup:
    """
    How the instrument is set up, as the header tells.

    Parameters
    ----------
    camera
        ``SW`` or ``LW``.
    spectel
        Spectral element of that camera, e.g. ``FOR_F197`` or ``FOR_G063``.
    partner
        Spectral element of the other camera, or ``NONE``.
    instcfg, slit, obstype
        Keywords.
    wavelength
        Keyword WAVELNTH, micrometres.
    archive_code
        Part of the file name: ``IMA`` or ``GRI``.
    """

    camera: str
    spectel: str
    partner: str
    instcfg: str
    slit: str
    obstype: str
    wavelength: float
    archive_code: str

    @property
    def dual(self) -> bool:
        """Whether the other camera observes too."""
        return self.partner != "NONE"

    @property
    def elements(self) -> dict[str, str]:
        """Spectral elements by camera."""
        other = "LW" if self.camera == "SW" else "SW"
        return {self.camera: self.spectel, other: self.partner}


@dataclass(frozen=True, kw_only=True)
class ForcastObservation(Observation):
    """
    Options of every simulated FORCAST observation.

    Parameters
    ----------
    standard
        The target is a standard.
    n_dither
        Number of positions on source: of files, but for two-plane C2NC2, where B files are added.
    dithers_arcsec
        Offsets (x, y) of the source on the undistorted detector, one per position; None for those that fit the mode.
    chop_throw_arcsec, chop_angle, nod_throw_arcsec, nod_angle
        Full throws and their directions on the detector (degrees from +y to +x); None for what fits the mode. The
        nod of NMC follows from the chop.
    chop_frame
        Coordinate system of the angles in the header: ``SIRF`` (detector) or ``ERF`` (sky).
    source_offset_arcsec
        Place (x, y) of the source from the boresight before dithering, on the undistorted detector.
    boresight
        Raw pixel x, y (0-based) of the boresight; None for the centre, but for NPC images for where all four copies of
        a source at the boresight are on the detector.
    sky_angle
        SKY_ANGL, degrees.
    flux
        Flux of the point source; the unit depends on the mode.
    extended
        Extended source (`ExtendedSource` or a dict of its fields) in the same unit; None for none.
    psf_fwhm_arcsec, psf_profile
        Point-spread function, ``gaussian`` or ``moffat``.
    sky_level, sky_drift
        Linear background of the first plane and its change from plane to plane, ADU.
    droop, droop_fraction, nonlinearity, jailbars, jailbar_amplitude, bad_pixels
        Effects of the detector, to be switched off one by one; amplitude in ADU.
    capacitance
        ``lo`` or ``hi``.
    detitime, frame_rate
        DETITIME (s, both nod beams) and FRMRATE (Hz).
    bad_pixel_mask
        ``reference`` (published file), a path, ``synthetic`` (made, and written beside the raw files) or ``none``.
    """

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
    capacitance: str = "lo"
    detitime: float = 40.0
    frame_rate: float = 24.2203
    bad_pixel_mask: Path | str = "reference"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check(_LIMITS, _OPTIONAL_LIMITS, _CHOICES)
        self._check_positions()
        self._convert_extended()

    @property
    def setup(self) -> InstrumentSetup:
        """Setup of the instrument."""
        raise NotImplementedError

    @property
    def noise_model(self) -> NoiseModel:
        """Noise of the raw planes."""
        setting = CAPACITANCES[self.capacitance]
        return NoiseModel(self.frame_rate, self.detitime / 2, setting.electrons_per_adu, setting.read_noise)

    @property
    def counts_per_flux(self) -> float:
        """ADU per frame of one Me/s."""
        return 1e6 / (self.frame_rate * CAPACITANCES[self.capacitance].electrons_per_adu)

    def _check(
        self,
        limits: Mapping[str, tuple[float, float]],
        optional: Mapping[str, tuple[float, float]],
        choices: Mapping[str, tuple[str, ...]],
    ) -> None:
        """Check numbers, numbers that may be None, and words."""
        for name, (low, high) in limits.items():
            check_number(name, getattr(self, name), low, high)
        for name, (low, high) in optional.items():
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), low, high)
        for name, allowed in choices.items():
            check_choice(name, getattr(self, name), allowed)

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


@dataclass(frozen=True, kw_only=True)
class ForcastImaging(ForcastObservation):
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
    flux_unit
        ``Me/s`` for detected flux, ``Jy`` for flux above the atmosphere.
    distortion
        Switches the optical distortion.
    readout_shift
        Move all planes by 16 pixels, as a readout error does.
    pinhole_locations
        Like ``bad_pixel_mask``.
    calibration
        ``reference`` to compute flux in Jy with the published tables, ``none`` to leave it unknown.
    calibration_factor, telluric_factor
        Values to use instead of the published ones: Me/s per Jy, and correction of detected counts.

    Notes
    -----
    The default dithers are a spiral of 9 arcsec.
    """

    camera: str = "SW"
    filter: str | None = None
    dual: bool = False
    flux_unit: str = "Me/s"
    distortion: bool = True
    readout_shift: bool = False
    pinhole_locations: Path | str = "reference"
    calibration: str = "reference"
    calibration_factor: float | None = None
    telluric_factor: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check({}, _IMAGING_LIMITS, _IMAGING_CHOICES)
        normalise_filter(self.spectel, self.camera, compact_date(self.date))

    @property
    def spectel(self) -> str:
        """Name of the filter as in the header."""
        default = {"SW": "F197", "LW": "F315"}[self.camera]
        return normalise_filter(self.filter or default, self.camera, compact_date(self.date))

    @cached_property
    def setup(self) -> InstrumentSetup:
        """Setup of the instrument."""
        return InstrumentSetup(
            camera=self.camera,
            spectel=self.spectel,
            partner=_PARTNER[self.camera] if self.dual else "NONE",
            instcfg="IMAGING_DUAL" if self.dual else f"IMAGING_{self.camera}C",
            slit="NONE",
            obstype="STANDARD_FLUX" if self.standard else "OBJECT",
            wavelength=filter_wavelength(self.spectel),
            archive_code="IMA",
        )

    @cached_property
    def dithers(self) -> FloatArray:
        """Offsets of the source, shape (n_dither, 2), arcsec on the undistorted detector."""
        if self.dithers_arcsec is not None:
            return np.array(self.dithers_arcsec, dtype=float)
        turns = np.arange(self.n_dither)
        radius = _DITHER_RADIUS_ARCSEC * np.sqrt(turns / max(self.n_dither - 1, 1))
        spiral: FloatArray = radius * np.array([np.cos(turns * _GOLDEN_ANGLE), np.sin(turns * _GOLDEN_ANGLE)])
        return spiral.T.round(3)
