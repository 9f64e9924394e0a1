"""Doppler shifts of an observation: motion of the telescope around the Sun, and of the Sun among the stars."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sofia_engine.errors import HeaderError

if TYPE_CHECKING:
    from sofia_engine.numerics.arrays import FloatArray

__all__ = ["LIGHT_SPEED", "Pointing", "VelocityShifts", "compute_velocity_shifts", "read_pointing"]

LIGHT_SPEED = 299792.458
"""km/s."""

_AU_PER_DAY = 149597870.7 / 86400.0
_FOOT = 0.3048
_SOLAR_SPEED = 20.0
_SOLAR_APEX = (18.0 * 15.0, 30.0)
"""Conventional solar motion that defines the local standard of rest: km/s, and direction for the epoch 1900, deg."""

_APEX_EPOCH = 1900.0
_POTENTIALS = 9.87e-9 + 6.95e-10
"""Gravitational blue shift of the Sun and of the Earth at the telescope, relative to infinity."""


@dataclass(frozen=True)
class Pointing:
    """When, from where and in which direction was observed.

    Attributes
    ----------
    time : str
        UTC, ISO format.
    latitude, longitude, altitude : float
        Degrees north, degrees east, metres.
    right_ascension, declination : float
        Degrees, J2000.
    """

    time: str
    latitude: float
    longitude: float
    altitude: float
    right_ascension: float
    declination: float


@dataclass(frozen=True)
class VelocityShifts:
    """Relative shifts dlambda/lambda, not applied to the data; positive where the motion shifts light to the blue.

    Attributes
    ----------
    barycentric : float
        From the motion of the telescope relative to the barycentre of the solar system.
    local_standard : float
        What the motion of the Sun relative to the local standard of rest adds.
    """

    barycentric: float
    local_standard: float


def read_pointing(header: Mapping[str, Any]) -> Pointing:
    """Read time, place and direction from a header.

    Raises
    ------
    HeaderError
        If one of DATE-OBS, TELRA (hours), TELDEC, LAT_STA, LON_STA (deg), ALTI_STA (feet) is missing.
    """
    keys = ("TELRA", "TELDEC", "LAT_STA", "LON_STA", "ALTI_STA")
    missing = [key for key in ("DATE-OBS", *keys) if header.get(key) in (None, "")]
    if missing:
        raise HeaderError(f"The velocity shifts are left out: {', '.join(missing)} missing in the header.")
    try:
        ra, dec, latitude, longitude, altitude = (float(header[key]) for key in keys)
    except (TypeError, ValueError):
        raise HeaderError(f"The velocity shifts are left out: one of {', '.join(keys)} is not a number.") from None
    return Pointing(str(header["DATE-OBS"]), latitude, longitude, altitude * _FOOT, ra * 15.0, dec)


def compute_velocity_shifts(pointing: Pointing) -> VelocityShifts:
    """Compute the shifts of an observation.

    Notes
    -----
    Earth's motion from the IAU SOFA ephemeris (accurate to a few cm/s), with the relativistic terms of Wright &
    Eastman 2014, PASP, 126, 838, equation 28, except light-travel effects below 1 cm/s. Universal time is taken to be
    UTC and the pole to be unmoved, which together is less than 0.1 m/s.

    Raises
    ------
    HeaderError
        If the time cannot be read.
    """
    day = _julian_day(pointing.time)
    direction = _unit_vector(pointing.right_ascension, pointing.declination)
    velocity = _observer_velocity(day, pointing) / LIGHT_SPEED
    gamma = 1.0 / math.sqrt(1.0 - float(velocity @ velocity))
    barycentric = gamma * (1.0 + float(velocity @ direction)) / (1.0 - _POTENTIALS) - 1.0
    local = _SOLAR_SPEED / LIGHT_SPEED * float(_precess(_unit_vector(*_SOLAR_APEX)) @ direction)
    return VelocityShifts(barycentric, local)


def _julian_day(time: str) -> tuple[float, float]:
    """UTC as a two-part Julian day."""
    from datetime import datetime

    import erfa

    try:
        moment = datetime.fromisoformat(time.strip().replace("Z", ""))
    except ValueError:
        raise HeaderError(f"The velocity shifts are left out: DATE-OBS is '{time}', not an ISO time.") from None
    seconds = moment.second + moment.microsecond * 1e-6
    first, second = erfa.dtf2d("UTC", moment.year, moment.month, moment.day, moment.hour, moment.minute, seconds)
    return float(first), float(second)


def _observer_velocity(utc: tuple[float, float], pointing: Pointing) -> FloatArray:
    """Velocity of the observer relative to the barycentre, ICRS axes, km/s."""
    import erfa

    tt = erfa.taitt(*erfa.utctai(*utc))
    earth = erfa.epv00(*tt)[1]["v"] * _AU_PER_DAY
    longitude, latitude = math.radians(pointing.longitude), math.radians(pointing.latitude)
    rotation = erfa.era00(*utc)
    site = erfa.pvtob(longitude, latitude, pointing.altitude, 0.0, 0.0, erfa.sp00(*tt), rotation)["v"] / 1000.0
    celestial = erfa.c2i06a(*tt).T @ site
    velocity: FloatArray = np.asarray(earth + celestial)
    return velocity


def _unit_vector(longitude: float, latitude: float) -> FloatArray:
    a, d = math.radians(longitude), math.radians(latitude)
    return np.array([math.cos(d) * math.cos(a), math.cos(d) * math.sin(a), math.sin(d)])


def _precess(vector: FloatArray) -> FloatArray:
    """From the equator and equinox of 1900 to those of J2000."""
    import erfa

    matrix: FloatArray = erfa.pmat76(*erfa.epj2jd(_APEX_EPOCH))
    return matrix.T @ vector
