"""Published tables in text form: bad pixels, wavelength coefficients, positions, flats, resolution."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.errors import ReferenceDataError
from sofia_engine.instruments.fifi_ls.raw import N_SPAXEL, N_SPEXEL

if TYPE_CHECKING:
    from pathlib import Path

    from sofia_engine.numerics.arrays import BoolArray, FloatArray

__all__ = [
    "DeltaVector",
    "Resolution",
    "WavelengthCoefficients",
    "read_bad_pixels",
    "read_delta_vector",
    "read_resolution",
    "read_spatial_flat",
    "read_spaxel_positions",
    "read_wavelength_coefficients",
]

_TABLES = 64


@dataclass(frozen=True)
class WavelengthCoefficients:
    """Geometry of the spectrometer in a configuration, from a date on.

    Attributes
    ----------
    groove : float
        Groove spacing, mm.
    slit_offset, slit_distance : float
        Spaxel number on the axis of the spectrometer, and distance to the slit in units of spaxels.
    pixel_scale : float
        Angle between spexels, radians.
    quadratic_offset, quadratic_scale : float
        Spexel number at which the quadratic part of the pixel scale vanishes, and its size, radians.
    offsets : tuple of float
        Position of the grating, inductosyn units, that each spaxel is turned by.
    """

    groove: float
    slit_offset: float
    slit_distance: float
    pixel_scale: float
    quadratic_offset: float
    quadratic_scale: float
    offsets: tuple[float, ...]


@dataclass(frozen=True)
class DeltaVector:
    """Offset of a channel from the rotation axis of the field, mm: ``b + a * position - c`` in x and y."""

    bx: float
    ax: float
    cx: float
    by: float
    ay: float
    cy: float


@dataclass(frozen=True)
class Resolution:
    """Spectral resolving power and width (FWHM) of the point spread function, arcsec."""

    spectral: float
    spatial: float


@lru_cache(_TABLES)
def _read_rows(path: Path, stamp: int) -> tuple[tuple[str, ...], ...]:  # noqa: ARG001 - a changed file is read anew
    try:
        # some of the tables were written with the line ends of old Macintosh computers, which `splitlines` knows
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ReferenceDataError(f"The reference file {path} cannot be read ({error}); give another one.") from error
    return tuple(tuple(line.split()) for line in lines if line.strip() and not line.lstrip().startswith("#"))


def _rows(path: Path) -> tuple[tuple[str, ...], ...]:
    try:
        return _read_rows(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise ReferenceDataError(f"The reference file {path} cannot be read ({error}); give another one.") from error


def _numbers(path: Path, row: tuple[str, ...], count: int) -> list[float]:
    try:
        values = [float(word) for word in row[:count]]
    except ValueError as error:
        raise ReferenceDataError(f"The reference file {path} holds no numbers where it should ({error}).") from error
    if len(values) < count:
        raise ReferenceDataError(f"The reference file {path} has a row of {len(values)} numbers instead of {count}.")
    return values


def read_bad_pixels(path: Path) -> BoolArray:
    """Return which pixels are bad (16, 25), from a list of spaxel 1 to 25 and spexel 1 to 16.

    Raises
    ------
    ReferenceDataError
        If the file cannot be read, or names pixels that do not exist.
    """
    bad = np.zeros((N_SPEXEL, N_SPAXEL), dtype=bool)
    for row in _rows(path):
        spaxel, spexel = (int(value) for value in _numbers(path, row, 2))
        if not (1 <= spaxel <= N_SPAXEL and 1 <= spexel <= N_SPEXEL):
            raise ReferenceDataError(
                f"The bad pixel file {path} names spaxel {spaxel}, spexel {spexel}: no such pixel."
            )
        bad[spexel - 1, spaxel - 1] = True
    return bad


def read_wavelength_coefficients(path: Path, date: int, configuration: str) -> WavelengthCoefficients:
    """Return the coefficients of a configuration (R105, R130, B1, B2): the latest that began before a day.

    Raises
    ------
    ReferenceDataError
        If there are none.
    """
    rows = [row for row in _rows(path) if len(row) > 1 and row[1] == configuration and int(row[0]) <= date]
    if not rows:
        raise ReferenceDataError(f"{path.name} has no wavelength coefficients of {configuration} for the day {date}.")
    row = max(rows, key=lambda row: int(row[0]))
    values = _numbers(path, row[2:], 6 + N_SPAXEL)
    g0, offset, distance, scale, zero, quadratic = values[:6]
    return WavelengthCoefficients(g0, offset, distance, scale, zero, quadratic, tuple(values[6:]))


def read_spaxel_positions(path: Path) -> FloatArray:
    """Return the positions (25, 2), mm, of the spaxels in the focal plane.

    Raises
    ------
    ReferenceDataError
        If the file cannot be read, or has not 25 rows of numbers.
    """
    rows = [row for row in _rows(path) if len(row) >= 2]  # old files begin with channel and date
    if len(rows) != N_SPAXEL:
        raise ReferenceDataError(f"The spaxel positions {path} have {len(rows)} rows instead of {N_SPAXEL}.")
    return np.array([_numbers(path, row, 2) for row in rows])


def read_delta_vector(path: Path, date: int, letter: str, dichroic: int) -> DeltaVector:
    """Return the offset of a channel (r or b) with a dichroic: the earliest that holds up to a day or longer.

    Raises
    ------
    ReferenceDataError
        If there is none.
    """
    rows = [row for row in _rows(path) if row[1:3] == (letter, str(dichroic)) and int(row[0]) >= date]
    if not rows:
        raise ReferenceDataError(f"{path.name} has no offset of channel {letter} with dichroic {dichroic} for {date}.")
    return DeltaVector(*_numbers(path, min(rows, key=lambda row: int(row[0]))[3:], 6))


def read_spatial_flat(path: Path, date: int) -> tuple[FloatArray, int]:
    """Return the factors (25,) of the spaxels for a day, and the day (YYYYMMDD) up to which they hold.

    Raises
    ------
    ReferenceDataError
        If there are none.
    """
    rows = [row for row in _rows(path) if row[0].isdigit() and int(row[0]) >= date]
    if not rows:
        raise ReferenceDataError(f"{path.name} has no spatial flat for the day {date}.")
    return np.array(_numbers(path, rows[0][1:], N_SPAXEL)), int(rows[0][0])


def read_resolution(path: Path, channel: str, wavelength: float) -> Resolution:
    """Return the resolution of a channel (r, b1, b2) at the wavelength (um) in the table nearest to one.

    Raises
    ------
    ReferenceDataError
        If the table has no such channel.
    """
    rows = [row for row in _rows(path) if row[0] == channel]
    if not rows:
        raise ReferenceDataError(f"{path.name} has no resolution of the channel {channel}.")
    values = np.array([_numbers(path, row[1:], 3) for row in rows])
    nearest = values[int(np.argmin(np.abs(values[:, 0] - wavelength)))]
    return Resolution(float(nearest[1]), float(nearest[2]))
