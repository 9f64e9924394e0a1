"""The atmosphere over FIFI-LS, and the motion of the observatory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import ReferenceDataError
from sofia_engine.simulate.curves import Curve

if TYPE_CHECKING:
    from sofia_engine.simulate.fifi_ls_options import FifiLs

__all__ = ["ATMOSPHERE_FILE", "find_barycentric_velocity", "load_atmosphere"]

FloatArray = NDArray[np.float64]
ATMOSPHERE_FILE = "atran.fits"
_LIMITS_UM = (40.0, 215.0)
_STEP_UM = 1e-3
_WATER_UM = (
    58.70, 63.32, 66.44, 71.95, 75.38, 78.74, 82.03, 89.99, 95.63, 99.49, 100.98, 108.07, 113.54, 121.72, 125.35,
    132.41, 136.49, 138.53, 144.52, 146.92, 156.19, 160.51, 169.74, 174.63, 179.53, 180.49, 187.11,
)  # fmt: skip
"""Strong rotational lines of water vapour."""
_LINE_DEPTH = 0.12
"""Optical depth in the line centre per micrometre of water vapour at the zenith."""
_RELATIVE_WIDTH = 4e-4
"""Half width at half maximum over wavelength."""
_CONTINUUM = 0.02
"""Optical depth between lines at the zenith."""
_FEET_PER_METRE = 1 / 0.3048
LATITUDE, LONGITUDE = 37.0, -120.0


def load_atmosphere(options: FifiLs, directory: Path) -> tuple[Curve, str]:
    """
    Read the transmission of the atmosphere, or make and write one.

    Parameters
    ----------
    options
        Options of the simulation.
    directory
        Folder of the raw files, where a synthetic one is put.

    Returns
    -------
    transmission : Curve
        Not broadened; 1 everywhere if there is to be no atmosphere.
    name : str
        ``none``, the synthetic file in ``directory``, or the user's own.

    Raises
    ------
    ReferenceDataError
        If the file is unusable.
    """
    choice = str(options.atran)
    if choice == "none":
        return Curve(np.array(_LIMITS_UM), np.ones(2)), choice
    if choice != "synthetic":
        return _read(Path(choice)), choice
    curve = make_atmosphere(options.water_vapour, options.zenith_angle)
    _write(directory / ATMOSPHERE_FILE, curve)
    # what is written is what is used: reduction and truth shall not differ by rounding
    return _read(directory / ATMOSPHERE_FILE), ATMOSPHERE_FILE


def make_atmosphere(water_vapour: float, zenith_angle: float) -> Curve:
    """
    Make a plane-parallel atmosphere with the strong lines of water vapour.

    Parameters
    ----------
    water_vapour
        Precipitable, micrometres.
    zenith_angle
        Degrees.
    """
    wavelength = np.arange(*_LIMITS_UM, _STEP_UM)
    depth = np.full_like(wavelength, _CONTINUUM)
    for center in _WATER_UM:
        depth += _LINE_DEPTH * water_vapour / (1 + ((wavelength / center - 1) / _RELATIVE_WIDTH) ** 2)
    return Curve(wavelength, np.exp(-depth / np.cos(np.radians(zenith_angle))))


def find_barycentric_velocity(options: FifiLs, time: str) -> float:
    """
    Give the velocity of the observatory towards the target, relative to the barycentre of the solar system.

    Parameters
    ----------
    options
        Options of the simulation.
    time
        UTC, ISO 8601.

    Returns
    -------
    float
        km/s; what has to be added to the measured radial velocity.
    """
    import astropy.units as u
    from astropy.coordinates import FK5, EarthLocation, SkyCoord
    from astropy.time import Time
    from astropy.utils import iers

    site = EarthLocation.from_geodetic(LONGITUDE, LATITUDE, options.altitude_ft / _FEET_PER_METRE)
    target = SkyCoord(options.ra, options.dec, unit="deg", frame=FK5())
    with iers.conf.set_temp("auto_download", False), iers.conf.set_temp("iers_degraded_accuracy", "ignore"):
        velocity = target.radial_velocity_correction("barycentric", obstime=Time(time), location=site)
    return float(velocity.to_value(u.km / u.s))


def _read(path: Path) -> Curve:
    from astropy.io import fits

    try:
        with fits.open(path, memmap=False) as hdus:
            rows = np.asarray(hdus[0].data, dtype=float)
    except (OSError, TypeError, ValueError) as error:
        raise ReferenceDataError(f"The transmission {path} cannot be read ({error}); give a FITS image.") from error
    if rows.ndim != 2 or len(rows) < 2:
        raise ReferenceDataError(f"The transmission {path} holds no rows of wavelengths (um) and values.")
    return Curve(rows[0], rows[1])


def _write(path: Path, curve: Curve) -> None:
    from astropy.io import fits

    rows = np.stack([curve.wavelength, curve.values]).astype(np.float32)
    fits.PrimaryHDU(rows).writeto(path, overwrite=True)
