"""What calibration tables say about FIFI-LS: dispersion, places of spaxels, flats, response, resolution, bad pixels."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import ReferenceDataError
from sofia_engine.simulate.curves import Curve
from sofia_engine.simulate.options import compact_date

if TYPE_CHECKING:
    from sofia_engine.simulate.fifi_ls_options import FifiLs

__all__ = ["ChannelTables", "DeltaVector", "GratingCoefficients", "load_tables", "make_nominal_tables"]

FloatArray = NDArray[np.float64]
N_SPEXEL, N_SPAXEL = 16, 25
_GAMMA = {"RED": 0.0167200, "BLUE": 0.0089008}
"""Half the angle between the incoming and the outgoing beam at the grating, radians."""
_DELTA_SCALE = 0.842
_LEAST_FLAT = 0.1


@dataclass(frozen=True)
class GratingCoefficients:
    """
    Coefficients of the grating equation.

    Parameters
    ----------
    constant
        Groove distance, mm.
    slit_center, slit_distance
        Middle of the slit and its distance, in slit positions.
    pixel_angle, quadratic_center, quadratic
        Angle of a spexel (radians), and the centre and size of its quadratic term.
    offsets
        (25,) inductosyn units, by spaxel.
    gamma
        Half opening angle, radians.
    order
        Order of diffraction.
    """

    constant: float
    slit_center: float
    slit_distance: float
    pixel_angle: float
    quadratic_center: float
    quadratic: float
    offsets: FloatArray
    gamma: float
    order: int


@dataclass(frozen=True)
class DeltaVector:
    """
    Shift of a channel's field with grating position: constant and slope in x and y, and the rotator's centre; mm.

    Parameters
    ----------
    constant, slope, center
        Pairs (x, y); the slope is per inductosyn unit.
    """

    constant: tuple[float, float]
    slope: tuple[float, float]
    center: tuple[float, float]


@dataclass(frozen=True)
class ChannelTables:
    """
    Everything about one channel.

    Parameters
    ----------
    channel
        ``RED`` or ``BLUE``.
    grating
        Dispersion.
    positions
        (25, 2) places of the spaxels, mm.
    deltas
        Shift of the field by channel: that of this one and that of the primary.
    response
        Signal for 1 Jy in a spaxel, ADU/(s Hz Jy).
    resolution
        Resolving power.
    spatial_flat
        (25,) gain of the spaxels.
    spectral_flat
        Wavelengths (n,) and gains (n, 25, 16); None for 1.
    bad
        (16, 25) bool.
    files
        Names of the published files by kind.
    """

    channel: str
    grating: GratingCoefficients
    positions: FloatArray
    deltas: dict[str, DeltaVector]
    response: Curve
    resolution: Curve
    spatial_flat: FloatArray
    spectral_flat: tuple[FloatArray, FloatArray] | None
    bad: NDArray[np.bool_]
    files: dict[str, str] = field(default_factory=dict)

    def flat_at(self, wavelength: FloatArray) -> FloatArray:
        """
        Give the gain of each pixel at its wavelength.

        Parameters
        ----------
        wavelength
            (16, 25) micrometres.

        Returns
        -------
        ndarray
            (16, 25); NaN where the table has none, or one too small to be used.
        """
        if self.spectral_flat is None:
            return np.broadcast_to(self.spatial_flat, wavelength.shape).copy()
        grid, gains = self.spectral_flat
        flat = np.full(wavelength.shape, np.nan)
        for spexel, spaxel in np.ndindex(*wavelength.shape):
            known = np.isfinite(gains[:, spaxel, spexel])
            if known.any():
                flat[spexel, spaxel] = np.interp(
                    wavelength[spexel, spaxel], grid[known], gains[known, spaxel, spexel], np.nan, np.nan
                )
        return np.where(flat < _LEAST_FLAT, np.nan, flat) * self.spatial_flat


def load_tables(options: FifiLs, channel: str) -> ChannelTables:
    """
    Read the published tables of a channel for the date and the setup of a simulation.

    Parameters
    ----------
    options
        Options of the simulation.
    channel
        ``RED`` or ``BLUE``.

    Returns
    -------
    ChannelTables
        Nominal ones if the options ask for them.

    Raises
    ------
    ReferenceDataError
        If a table is missing or says nothing about the observation.
    """
    if options.calibration == "nominal":
        return make_nominal_tables(channel, options.order(channel))
    return _Loader(options, channel).load()


class _Loader:
    """Reads the published tables of one channel."""

    def __init__(self, options: FifiLs, channel: str) -> None:
        self.options, self.channel = options, channel
        self.date = compact_date(options.date)
        self.order = options.order(channel)
        self.letter = channel[0].lower()
        self.files: dict[str, str] = {}

    def load(self) -> ChannelTables:
        order = "R" if self.channel == "RED" else f"B{self.order}"
        filtered = order + self.options.filter_suffix(self.channel)
        dichroic = str(self.options.dichroic)
        response = filtered.lower()
        spectral = "R1" if self.channel == "RED" else filtered
        return ChannelTables(
            channel=self.channel,
            grating=self._read_grating(),
            positions=self._read_positions(),
            deltas=self._read_deltas(),
            response=_read_response(self._fetch("response", channel=response, dichroic=dichroic)),
            resolution=_read_resolution(self._fetch("resolution"), order.lower()),
            spatial_flat=self._read_spatial_flat(order),
            spectral_flat=_read_spectral_flat(self._fetch("spectral_flat", order=spectral, dichroic=dichroic)),
            bad=_read_bad_pixels(self._fetch("bad_pixel_list", channel=self.letter)),
            files=self.files,
        )

    def _fetch(self, kind: str, **match: str) -> Path:
        from sofia_engine.reference import ReferenceRequest, ReferenceStore

        request = ReferenceRequest("FIFI-LS", kind, self.date, match, "the simulation")
        path = ReferenceStore().get(request)
        self.files[kind] = path.name
        return path

    def _read_grating(self) -> GratingCoefficients:
        configuration = f"R{self.options.dichroic}" if self.channel == "RED" else f"B{self.order}"
        rows = [row for row in _read_words(self._fetch("wavelength_coefficients")) if row[1] == configuration]
        started = [row for row in rows if int(row[0]) <= self.date]
        if not started:
            raise self._unknown("wavelength coefficients", configuration)
        numbers = [float(word) for word in max(started, key=lambda row: int(row[0]))[2:]]
        constant, center, distance, angle, quadratic_center, quadratic, *offsets = numbers
        return GratingCoefficients(
            constant, center, distance, angle, quadratic_center, quadratic, np.array(offsets[:N_SPAXEL]),
            _GAMMA[self.channel], self.order,
        )  # fmt: skip

    def _read_positions(self) -> FloatArray:
        # lines end with a lone carriage return
        words = self._fetch("spaxel_positions", channel=self.letter).read_text(encoding="ascii").split()
        return np.array(words, dtype=float).reshape(N_SPAXEL, 2)

    def _read_deltas(self) -> dict[str, DeltaVector]:
        rows = list(_read_words(self._fetch("delta_vectors")))
        return {channel: self._pick_delta(rows, channel) for channel in {self.channel, self.options.primary}}

    def _pick_delta(self, rows: list[list[str]], channel: str) -> DeltaVector:
        setup = [channel[0].lower(), str(self.options.dichroic)]
        valid = [row for row in rows if row[1:3] == setup and int(row[0]) >= self.date]
        if not valid:
            raise self._unknown("delta vectors", channel)
        bx, ax, u, by, ay, v = (float(word) for word in min(valid, key=lambda row: int(row[0]))[3:9])
        return DeltaVector((_DELTA_SCALE * bx, _DELTA_SCALE * by), (_DELTA_SCALE * ax, _DELTA_SCALE * ay), (u, v))

    def _read_spatial_flat(self, order: str) -> FloatArray:
        path = self._fetch("spatial_flat", order=order, dichroic=str(self.options.dichroic))
        rows = [row for row in _read_words(path) if row[0].isdigit() and int(row[0]) >= self.date]
        if not rows:
            raise self._unknown("spatial flat", order)
        return np.array(rows[0][1:], dtype=float)

    def _unknown(self, what: str, setup: str) -> ReferenceDataError:
        return ReferenceDataError(f"No {what} of FIFI-LS {setup} are published for {self.options.date}; change 'date'.")


def _read_words(path: Path) -> list[list[str]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.split() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _read_resolution(path: Path, order: str) -> Curve:
    rows = [[float(word) for word in row[1:3]] for row in _read_words(path) if row[0] == order]
    wavelength, values = np.array(sorted(rows)).T
    return Curve(wavelength, values)


def _open_fits(path: Path) -> Any:
    from astropy.io import fits

    return fits.open(path, memmap=False)


def _read_response(path: Path) -> Curve:
    with _open_fits(path) as hdus:
        rows = np.asarray(hdus[0].data, dtype=float)
    known = np.isfinite(rows[:2]).all(axis=0)
    return Curve(rows[0, known], rows[1, known])


def _read_spectral_flat(path: Path) -> tuple[FloatArray, FloatArray]:
    with _open_fits(path) as hdus:
        return np.asarray(hdus["WAVE"].data, dtype=float), np.asarray(hdus["SPECFLAT"].data, dtype=float)


def _read_bad_pixels(path: Path) -> NDArray[np.bool_]:
    bad = np.zeros((N_SPEXEL, N_SPAXEL), dtype=bool)
    for spaxel, spexel in (map(int, row[:2]) for row in _read_words(path)):
        bad[spexel - 1, spaxel - 1] = True
    return bad


def make_nominal_tables(channel: str, order: int = 1) -> ChannelTables:
    """
    Make tables of an instrument without blemishes, close to the real one, for simulations that stand alone.

    Parameters
    ----------
    channel
        ``RED`` or ``BLUE``.
    order
        Order of diffraction of the blue channel.
    """
    constant, step = {"RED": (0.117, 5.85e-4), "BLUE": (0.0826, 5.6e-4)}[channel]
    offset = {"RED": 1.15e6, "BLUE": 1.075e6}[channel]
    grating = GratingCoefficients(
        constant, 13.0, 450.0, step, 6.5, 2e-6, np.full(N_SPAXEL, offset), _GAMMA[channel], order
    )
    column, row = np.meshgrid(np.arange(5), np.arange(5))
    spacing = {"RED": 3.0, "BLUE": 1.5}[channel]
    positions = spacing * np.stack([2.0 - column.ravel(), 2.0 - row.ravel()], axis=1)
    limits, power = {"RED": ((110.0, 210.0), (900.0, 2000.0)), "BLUE": ((42.0, 126.0), (500.0, 900.0))}[channel]
    straight = DeltaVector((0.0, 0.0), (0.0, 0.0), (0.0, 0.0))
    return ChannelTables(
        channel=channel,
        grating=grating,
        positions=positions,
        deltas={"RED": straight, "BLUE": straight},
        response=Curve(np.array(limits), np.full(2, 1e-11)),
        resolution=Curve(np.array(limits), np.array(power)),
        spatial_flat=np.ones(N_SPAXEL),
        spectral_flat=None,
        bad=np.zeros((N_SPEXEL, N_SPAXEL), dtype=bool),
    )
