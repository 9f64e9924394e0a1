"""Options of simulated FIFI-LS observations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import ParameterError
from sofia_engine.simulate.fifi_ls_sources import ExtendedLineSource
from sofia_engine.simulate.options import Observation, check_choice, check_number, check_pair, compact_date

__all__ = ["FifiLs"]

FloatArray = NDArray[np.float64]
_PSF_ARCSEC_PER_UM = 0.099
_FIRST_DATE = 20150501
_DITHER_START_DEG = 120.0

_LIMITS: Mapping[str, tuple[float, float]] = {
    "line_red_um": (105, 210),
    "line_blue_um": (42, 126),
    "line_flux_w_m2": (0, 1),
    "line_fwhm_km_s": (5, 5000),
    "velocity_km_s": (-10000, 10000),
    "flux": (0, 1e9),
    "slope": (-10, 10),
    "detector_angle": (-360, 360),
    "dither_radius_arcsec": (0, 300),
    "grating_step_pixels": (0, 100),
    "chop_throw_arcsec": (1, 1000),
    "chop_angle": (-360, 360),
    "scan_speed_arcsec_s": (0.1, 50),
    "scan_length_arcsec": (1, 1000),
    "scan_step_arcsec": (0, 1000),
    "background_adu": (0, 700),
    "background_drift": (-1, 1),
    "chop_background": (-1, 1),
    "settling": (-1, 1),
    "read_noise_adu": (0, 1000),
    "glitches": (0, 1),
    "bias_drift_adu": (0, 1000),
    "saturation_adu": (-14000, 32767),
    "sky_noise_adu": (0, 100),
    "sky_gradient_adu": (0, 100),
    "sky_noise_slope": (0, 4),
    "pixel_drift_adu": (0, 100),
    "pixel_drift_slope": (0, 4),
    "gain_scatter": (0, 0.5),
}
_OPTIONAL_LIMITS: Mapping[str, tuple[float, float]] = {
    "psf_fwhm_arcsec": (0.1, 100),
    "electrons_per_adu": (1e-3, 1e9),
}
_WHOLE_LIMITS: Mapping[str, tuple[int, int]] = {
    "n_dither": (1, 50),
    "n_grating": (1, 50),
    "chop_cycles": (2, 200),
    "lead_readouts": (0, 63),
    "order_blue": (1, 2),
    "dichroic": (105, 130),
}
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "channel": ("RED", "BLUE", "BOTH"),
    "primary": ("RED", "BLUE"),
    "calibration": ("reference", "nominal"),
}


@dataclass(frozen=True, kw_only=True)
class FifiLs(Observation):
    """
    Options of a simulated FIFI-LS observation.

    Parameters
    ----------
    channel
        ``RED``, ``BLUE`` or ``BOTH``; each has files of its own.
    dichroic
        105 or 130 (um).
    primary
        Channel the telescope is aligned with.
    order_blue, filter_blue
        Order of the blue grating, 1 or 2; its filter, None for that of the order.
    line_red_um, line_blue_um
        Wavelength at rest of the line in each channel.
    line_flux_w_m2
        Flux of the line of the point source, in each channel.
    line_fwhm_km_s
        Full width at half maximum of all lines before the instrument broadens them.
    velocity_km_s
        Barycentric radial velocity of the point source.
    flux, slope
        Continuum of the point source at the line, Jy, and its exponent of wavelength.
    source_offset_arcsec
        Place of the point source from the position of the observation, (east, north).
    extended
        An extended source besides, or None.
    psf_fwhm_arcsec
        Full width at half maximum of the Gaussian point-spread function; None for 0.099 arcsec per um.
    detector_angle
        Rotation of the detector on the sky (DET_ANGL), degrees.
    n_dither, dither_radius_arcsec
        Positions of the telescope: the target, then on a circle around it. For scans, the number of lines.
    dithers_arcsec
        Positions (east, north) instead of these; None to use these.
    nod_pattern
        Sequence of nod beams that is repeated until all positions are observed; empty for that of the kind.
    n_grating, grating_step_pixels
        Positions of the grating around the line, and their distance.
    chop_cycles
        Chop cycles per position of the grating.
    chop_throw_arcsec, chop_angle
        Distance and direction (from north to east) of the second chop position.
    off_offset_arcsec
        Where nod beam B looks in asymmetric and total-power modes, (east, north) from A.
    scan_speed_arcsec_s, scan_length_arcsec, scan_step_arcsec
        Speed, length and distance of the lines of a scan, which run east and west by turns.
    background_adu
        Signal of sky and telescope, ADU per readout of a pixel of unit gain.
    background_drift, chop_background
        Its relative change from file to file, and between the two chop positions.
    settling
        Relative error of the background in the first two ramps after a move of the grating.
    sky_noise_adu, sky_gradient_adu, sky_noise_slope
        Standard deviation of noise of the sky, ADU per readout: the same in all pixels, and at the edge of the field of
        one that grows linearly across it; its power falls with this power of frequency (flat below 0.02 Hz).
    pixel_drift_adu, pixel_drift_slope
        The same of drifts that each pixel has of its own.
    gain_scatter
        Relative scatter of the gains of pixels about the published flat.
    read_noise_adu
        Standard deviation of a readout.
    electrons_per_adu
        Adds the noise of the charges that ramps collect; None for none.
    glitches
        Probability of a jump in a ramp of a pixel.
    bad_pixels
        Pixels of the published list give no signal.
    bias_drift_adu
        Size of the common drift of the pixels of a column.
    lead_readouts
        Readouts of an incomplete chop before the first whole one.
    saturation_adu
        Count that pixels do not exceed.
    calibration
        ``reference`` for the published tables, ``nominal`` for an ideal instrument of about the same numbers.
    atran
        Transmission of the atmosphere: ``synthetic``, ``none``, or a FITS file with rows of wavelength and value.
    """

    ra: float = 83.8
    dec: float = -5.4
    date: str = "2022-03-10"
    altitude_ft: float = 41000.0
    water_vapour: float = 5.0
    channel: str = "RED"
    dichroic: int = 105
    primary: str = "BLUE"
    order_blue: int = 1
    filter_blue: int | None = None
    line_red_um: float = 157.741
    line_blue_um: float = 88.356
    line_flux_w_m2: float = 5e-15
    line_fwhm_km_s: float = 50.0
    velocity_km_s: float = 30.0
    flux: float = 20.0
    slope: float = 0.0
    source_offset_arcsec: tuple[float, float] = (0.0, 0.0)
    extended: ExtendedLineSource | None = None
    psf_fwhm_arcsec: float | None = None
    detector_angle: float = 25.0
    n_dither: int = 4
    dither_radius_arcsec: float = 9.0
    dithers_arcsec: tuple[tuple[float, float], ...] | None = None
    nod_pattern: str = ""
    n_grating: int = 2
    grating_step_pixels: float = 1.5
    chop_cycles: int = 5
    chop_throw_arcsec: float = 240.0
    chop_angle: float = 90.0
    off_offset_arcsec: tuple[float, float] = (400.0, 300.0)
    scan_speed_arcsec_s: float = 4.0
    scan_length_arcsec: float = 60.0
    scan_step_arcsec: float = 10.0
    background_adu: float = 55.0
    background_drift: float = 0.0
    chop_background: float = 0.002
    settling: float = 0.02
    read_noise_adu: float = 2.0
    electrons_per_adu: float | None = None
    glitches: float = 0.0
    bad_pixels: bool = True
    bias_drift_adu: float = 3.0
    lead_readouts: int = 0
    saturation_adu: float = 32767.0
    sky_noise_adu: float = 0.0
    sky_gradient_adu: float = 0.0
    sky_noise_slope: float = 1.5
    pixel_drift_adu: float = 0.0
    pixel_drift_slope: float = 1.0
    gain_scatter: float = 0.0
    calibration: str = "reference"
    atran: Path | str = "synthetic"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, (low, high) in _LIMITS.items():
            check_number(name, getattr(self, name), low, high)
        for name, (low, high) in _OPTIONAL_LIMITS.items():
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), low, high)
        for name, allowed in _CHOICES.items():
            check_choice(name, getattr(self, name), allowed)
        self._check_whole_numbers()
        self._check_positions()
        self._check_setup()
        self._convert_extended()

    @property
    def channels(self) -> tuple[str, ...]:
        """Channels that are written."""
        return ("RED", "BLUE") if self.channel == "BOTH" else (self.channel,)

    @property
    def dithers(self) -> FloatArray:
        """Positions of the telescope from the target (east, north), shape (n_dither, 2), arcsec."""
        if self.dithers_arcsec is not None:
            return np.array(self.dithers_arcsec, dtype=float)
        angles = np.radians(_DITHER_START_DEG + 360 * np.arange(self.n_dither - 1) / max(self.n_dither - 1, 1))
        circle = self.dither_radius_arcsec * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        return np.concatenate([np.zeros((1, 2)), circle]).round(2)

    def order(self, channel: str) -> int:
        """Order of the grating of a channel."""
        return 1 if channel == "RED" else self.order_blue

    def filter_suffix(self, channel: str) -> str:
        """Filter of the blue channel if it is not that of the order, as tables name it."""
        plain = channel == "RED" or self.filter_blue in {None, self.order_blue}
        return "" if plain else str(self.filter_blue)

    def line_um(self, channel: str) -> float:
        """Wavelength at rest of the line of a channel."""
        return {"RED": self.line_red_um, "BLUE": self.line_blue_um}[channel]

    def psf_fwhm(self, channel: str) -> float:
        """Width of the point-spread function of a channel, arcsec."""
        if self.psf_fwhm_arcsec is not None:
            return float(self.psf_fwhm_arcsec)
        return _PSF_ARCSEC_PER_UM * self.line_um(channel)

    def _check_whole_numbers(self) -> None:
        for name, (low, high) in _WHOLE_LIMITS.items():
            value = getattr(self, name)
            if not isinstance(value, int):
                raise ParameterError(f"Option {name!r} of the simulation is {value!r}; give a whole number.")
            check_number(name, value, low, high)

    def _check_positions(self) -> None:
        check_pair("source_offset_arcsec", self.source_offset_arcsec)
        check_pair("off_offset_arcsec", self.off_offset_arcsec)
        if self.dithers_arcsec is not None:
            for pair in self.dithers_arcsec:
                check_pair("dithers_arcsec", pair)
            object.__setattr__(self, "n_dither", len(self.dithers_arcsec))
            check_number("number of dithers_arcsec", self.n_dither, *_WHOLE_LIMITS["n_dither"])

    def _check_setup(self) -> None:
        if self.dichroic not in {105, 130}:
            raise ParameterError(f"Option 'dichroic' of the simulation is {self.dichroic}; use 105 or 130.")
        if self.filter_blue not in {None, 1, 2}:
            raise ParameterError(f"Option 'filter_blue' of the simulation is {self.filter_blue!r}; use 1 or 2.")
        if set(self.nod_pattern) - set("AB") or (self.nod_pattern and "A" not in self.nod_pattern):
            raise ParameterError(
                f"Option 'nod_pattern' of the simulation is {self.nod_pattern!r}; write it with A and B, such as ABBA."
            )
        if compact_date(self.date) < _FIRST_DATE:
            raise ParameterError(
                f"Option 'date' of the simulation is {self.date!r}; FIFI-LS is simulated from 2015-05-01 on, since "
                "when the signs of dithers are as today."
            )

    def _convert_extended(self) -> None:
        """Accept a dict, as parameter files give it, for the extended source."""
        if isinstance(self.extended, dict):
            try:
                object.__setattr__(self, "extended", ExtendedLineSource(**self.extended))
            except TypeError as error:
                message = f"Option 'extended' of the simulation cannot be used ({error}); give line_flux_w_m2 and more."
                raise ParameterError(message) from error
        if self.extended is not None and not isinstance(self.extended, ExtendedLineSource):
            raise ParameterError(f"Option 'extended' of the simulation is {self.extended!r}; give ExtendedLineSource.")
