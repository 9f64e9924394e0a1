"""Options of a simulated FORCAST grism observation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import ParameterError
from sofia_engine.simulate.forcast_options import ForcastObservation, InstrumentSetup
from sofia_engine.simulate.options import compact_date
from sofia_engine.simulate.slit_spectrum import SpectralLine

__all__ = ["GRISMS", "SLIT_WIDTHS", "ForcastGrism", "Grism"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Grism:
    """
    A grism as it is in 2021.

    Parameters
    ----------
    camera
        ``SW`` or ``LW``.
    coverage_um
        First and last wavelength on the detector.
    resolutions
        Resolving power with the slits LS24 and LS47 (FORCAST handbook for archive users, table of the grisms).
    lines
        Lines a simulated source has unless told otherwise.
    """

    camera: str
    coverage_um: tuple[float, float]
    resolutions: tuple[float, float]
    lines: tuple[SpectralLine, ...]

    @property
    def center_um(self) -> float:
        """Middle of the coverage."""
        return sum(self.coverage_um) / 2


GRISMS = {
    "G063": Grism(
        "SW",
        (5.07, 8.05),
        (180, 130),
        (SpectralLine(6.985274, 0.020, name="[Ar II]"), SpectralLine(5.45, -0.010, name="absorption")),
    ),
    "G111": Grism(
        "SW",
        (8.64, 14.02),
        (256, 151),
        (
            SpectralLine(10.5105, 0.030, name="[S IV]"),
            SpectralLine(12.813550, 0.040, name="[Ne II]"),
            SpectralLine(11.60, -0.015, name="absorption"),
        ),
    ),
    "G227": Grism(
        "LW",
        (17.75, 28.36),
        (130, 124),
        (
            SpectralLine(18.7130, 0.090, name="[S III]"),
            SpectralLine(22.925, 0.090, name="[Fe III]"),
            SpectralLine(21.3, -0.050, name="absorption"),
        ),
    ),
    "G329": Grism(
        "LW",
        (28.86, 37.41),
        (187, 152),
        (
            SpectralLine(33.4810, 0.100, name="[S III]"),
            SpectralLine(34.8152, 0.120, name="[Si II]"),
            SpectralLine(32.0, -0.050, name="absorption"),
        ),
    ),
}
SLIT_WIDTHS = {"LS24": 2.4, "LS47": 4.7}
"""Arcsec."""
_EARLIER_RESOLUTIONS: tuple[tuple[int, int, dict[tuple[str, str], float]], ...] = (
    (0, 20130801, {("G063", "LS47"): 125, ("G111", "LS47"): 126}),
    (
        20130801,
        20131231,
        {("G063", "LS24"): 174, ("G063", "LS47"): 125, ("G111", "LS24"): 220, ("G111", "LS47"): 126},
    ),
    (
        20140603,
        20140701,
        {("G227", "LS24"): 94, ("G227", "LS47"): 126, ("G329", "LS24"): 177, ("G329", "LS47"): 161},
    ),
)
"""Exceptions after the first day up to and with the second."""
_DITHER_STEP_ARCSEC = 15.0
_LIMITS = {
    "slope": (-20, 20),
    "trace_tilt_arcsec": (-30, 30),
    "trace_curvature_arcsec": (-30, 30),
    "sky_emission": (0, 60000),
}
_OPTIONAL_LIMITS = {"resolution": (10, 1e5)}
_CHOICES = {
    "grism": tuple(GRISMS),
    "slit": tuple(SLIT_WIDTHS),
    "absorption": ("blurred", "resolved"),
    "scan_mode": ("NXCAC", "NMC"),
}


@dataclass(frozen=True, kw_only=True)
class ForcastGrism(ForcastObservation):
    """
    Options of a simulated FORCAST grism observation.

    The flux is that of the continuum above the atmosphere in the middle of the grism's coverage, Jy. The camera
    follows from the grism.

    Parameters
    ----------
    grism, slit
        ``G063``, ``G111``, ``G227``, ``G329``; ``LS24`` or ``LS47``; with or without the prefix ``FOR_``.
    slope
        Exponent of wavelength in the continuum of F_nu.
    lines
        Lines (`SpectralLine` or dicts of its fields) of all sources; None for those of the grism, none in a standard.
    resolution
        Resolving power of rectified spectra, the broadening by pixels included; None for that of grism and slit.
    absorption
        ``blurred``: spectrum and transmission are broadened by the instrument, then multiplied, so that division by
        the broadened transmission gives the spectrum back exactly. ``resolved``: light is absorbed first and broadened
        afterwards, as in nature, which no such division can undo where narrow lines meet.
    trace_tilt_arcsec, trace_curvature_arcsec
        Rise of the trace from the middle to the last wavelength, and the coefficient of its quadratic term (relative
        wavelength squared minus one third).
    source_offset_arcsec
        Unless told otherwise away from the cluster of bad pixels in the middle of the short-wave detector.
    jailbar_amplitude
        Smaller than in images, because the spectrum of a source is faint in each pixel; ADU.
    sky_emission
        Emission of an opaque atmosphere through the slit, ADU; where it is transparent there is none.
    scan_mode
        Chop-nod mode of a slit scan, ``NXCAC`` or ``NMC``.
    order_mask, wave_cal, response
        ``reference`` (published file), a path, or ``synthetic`` (made, and written beside the raw files).
    atran
        The same for the transmission of the atmosphere, or ``none`` for no atmosphere.

    Notes
    -----
    The default dithers go along the slit in steps of 15 arcsec, those of a slit scan across in steps of its width.
    """

    date: str = "2021-07-05"
    flux: float = 100.0
    source_offset_arcsec: tuple[float, float] = (0.0, 30.0)
    psf_fwhm_arcsec: float = 3.5
    jailbar_amplitude: float = 0.5
    grism: str = "G063"
    slit: str = "LS24"
    slope: float = 0.0
    lines: tuple[SpectralLine, ...] | None = None
    resolution: float | None = None
    absorption: str = "blurred"
    trace_tilt_arcsec: float = 0.6
    trace_curvature_arcsec: float = 0.3
    sky_emission: float = 500.0
    scan_mode: str = "NXCAC"
    order_mask: Path | str = "reference"
    wave_cal: Path | str = "reference"
    response: Path | str = "reference"
    atran: Path | str = "reference"

    def __post_init__(self) -> None:
        for name in ("grism", "slit"):
            object.__setattr__(self, name, str(getattr(self, name)).upper().removeprefix("FOR_"))
        super().__post_init__()
        self._check(_LIMITS, _OPTIONAL_LIMITS, _CHOICES)
        if self.lines is not None:
            object.__setattr__(self, "lines", tuple(_read_line(line) for line in self.lines))

    @cached_property
    def setup(self) -> InstrumentSetup:
        """Setup of the instrument."""
        camera = GRISMS[self.grism].camera
        return InstrumentSetup(
            camera=camera,
            spectel=f"FOR_{self.grism}",
            partner="NONE",
            instcfg=f"GRISM_{camera}C",
            slit=f"FOR_{self.slit}",
            obstype="STANDARD_TELLURIC" if self.standard else "OBJECT",
            wavelength=round(GRISMS[self.grism].center_um, 3),
            archive_code="GRI",
        )

    @property
    def seen_lines(self) -> tuple[SpectralLine, ...]:
        """The lines of the source."""
        if self.lines is not None:
            return self.lines
        return () if self.standard else GRISMS[self.grism].lines

    @property
    def seen_resolution(self) -> float:
        """Resolving power of grism and slit at the date."""
        if self.resolution is not None:
            return self.resolution
        date, key = compact_date(self.date), (self.grism, self.slit)
        for after, until, values in _EARLIER_RESOLUTIONS:
            if after < date <= until and key in values:
                return values[key]
        return GRISMS[self.grism].resolutions[list(SLIT_WIDTHS).index(self.slit)]

    def list_dithers(self, *, across: bool) -> FloatArray:
        """
        List the offsets of the source, shape (n_dither, 2), arcsec.

        Parameters
        ----------
        across
            Whether the default positions step across the slit (a scan), or along it.
        """
        if self.dithers_arcsec is not None:
            return np.array(self.dithers_arcsec, dtype=float)
        turns = np.arange(self.n_dither) - (self.n_dither - 1) / 2
        if across:
            return np.stack([turns * SLIT_WIDTHS[self.slit], np.zeros(self.n_dither)], axis=1)
        return np.stack([np.zeros(self.n_dither), turns * _DITHER_STEP_ARCSEC], axis=1)


def _read_line(line: Any) -> SpectralLine:
    """Accept a dict, as parameter files give it, for a line."""
    if isinstance(line, SpectralLine):
        return line
    try:
        return SpectralLine(**line)
    except TypeError as error:
        raise ParameterError(
            f"Option 'lines' of the simulation cannot be used ({error}); give wavelength_um and equivalent_width_um."
        ) from error
