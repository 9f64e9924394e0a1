from __future__ import annotations

import numpy as np
import pytest

from sofia_engine.errors import HeaderError
from sofia_engine.spectroscopy.velocity import LIGHT_SPEED, Pointing, compute_velocity_shifts, read_pointing

HEADER = {
    "DATE-OBS": "2021-07-05T05:10:00.000", "TELRA": 14.26102, "TELDEC": 19.1824, "LAT_STA": 40.0, "LON_STA": -120.0,
    "ALTI_STA": 40000.0,
}  # fmt: skip


def ecliptic(longitude):
    angle, tilt = np.radians(longitude), np.radians(23.4393)
    x, y = np.cos(angle), np.sin(angle)
    return np.degrees(np.arctan2(y * np.cos(tilt), x)) % 360, np.degrees(np.arcsin(y * np.sin(tilt)))


@pytest.mark.parametrize(("time", "position"), [
    ("2021-07-05T05:10:00", (213.9153, 19.1824)), ("2014-02-13T11:00:00", (83.82, -5.39)),
    ("2022-09-01T23:59:59", (10.0, 85.0)),
])  # fmt: skip
def test_that_the_barycentric_shift_agrees_with_astropy_within_a_metre_per_second(time, position):
    from astropy import units as u
    from astropy.coordinates import EarthLocation, SkyCoord
    from astropy.time import Time
    from astropy.utils import iers

    with iers.conf.set_temp("auto_download", False):
        place = EarthLocation.from_geodetic(-120 * u.deg, 40 * u.deg, 12192 * u.m)
        target = SkyCoord(*position, unit="deg", frame="fk5")
        expected = target.radial_velocity_correction("barycentric", obstime=Time(time, location=place)).to_value("km/s")
    got = compute_velocity_shifts(Pointing(time, 40.0, -120.0, 12192.0, *position)).barycentric * LIGHT_SPEED
    assert got == pytest.approx(expected, abs=1.5e-3)


def test_that_earth_moves_thirty_kilometres_per_second_towards_the_apex():
    # at the March equinox the Earth, seen from the Sun, is at longitude 180 and moves towards longitude 270
    ra, dec = ecliptic(270.0)
    shifts = compute_velocity_shifts(Pointing("2021-03-20T09:37:00", 0.0, 0.0, 0.0, ra, dec))
    assert shifts.barycentric * LIGHT_SPEED == pytest.approx(29.9, abs=0.6)


def test_that_the_solar_motion_is_twenty_kilometres_per_second_towards_its_apex():
    # B1900 18h +30 deg precessed to J2000
    apex = compute_velocity_shifts(Pointing("2020-01-01T00:00:00", 0.0, 0.0, 0.0, 270.96, 30.0)).local_standard
    opposite = compute_velocity_shifts(Pointing("2020-01-01T00:00:00", 0.0, 0.0, 0.0, 90.96, -30.0)).local_standard
    assert apex * LIGHT_SPEED == pytest.approx(20.0, abs=0.01)
    assert opposite == pytest.approx(-apex)


def test_that_the_header_is_read_with_its_units():
    pointing = read_pointing(HEADER)
    assert pointing.right_ascension == pytest.approx(213.9153)
    assert pointing.altitude == pytest.approx(12192.0)


@pytest.mark.parametrize("key", HEADER)
def test_that_a_missing_keyword_is_named(key):
    with pytest.raises(HeaderError, match=key):
        read_pointing({k: v for k, v in HEADER.items() if k != key})


def test_that_an_unreadable_time_or_number_is_refused():
    with pytest.raises(HeaderError, match="ISO time"):
        compute_velocity_shifts(read_pointing(HEADER | {"DATE-OBS": "yesterday"}))
    with pytest.raises(HeaderError, match="not a number"):
        read_pointing(HEADER | {"TELRA": "14:15:39"})
