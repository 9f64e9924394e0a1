"""The factor to the reference atmosphere, and what is read from headers for it."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_engine.errors import HeaderError, StepError
from sofia_engine.photometry.calibration import load_calibration
from sofia_engine.photometry.configuration import determine_setup
from sofia_engine.photometry.tables import ResponseFit
from sofia_engine.photometry.telluric import compute_telluric_factor, correct_telluric, read_sounding

AIRMASS = ResponseFit((1.0, -0.1), 41.0, (35.0, 45.0), 45.0, (30.0, 70.0))
ALTITUDE = ResponseFit((1.0, 0.02, 0.001), 41.0, (35.0, 45.0), 45.0, (30.0, 70.0))


@pytest.mark.parametrize(
    ("za", "altitude", "factor"), [(44.25, 40002.5, 1.0014656065664575), (45.0, 40000.0, 1.0016295391193264)]
)
def test_that_published_factors_are_reproduced(header, locate_published, za, altitude, factor):
    header |= {"ZA_START": za, "ZA_END": za, "ALTI_STA": altitude, "ALTI_END": altitude}
    calibration = load_calibration(determine_setup(header), locate_published)
    assert correct_telluric(header, calibration).factor == pytest.approx(factor, rel=1e-9)


def test_that_the_factor_is_the_ratio_of_the_polynomials(calibration, header):
    correction = correct_telluric(header | {"ZA_START": 55.0, "ZA_END": 65.0}, calibration)
    response = (1 - 0.1 * (2.0 - math.sqrt(2.0))) * (1 - 0.02 + 0.001)
    assert correction.factor == pytest.approx(1 / response, rel=1e-14)
    assert (correction.za, correction.altitude, correction.pwv) == (60.0, 40.0, None)
    cards = {keyword: value for keyword, value, _ in correction.keywords}
    assert cards == {
        "TELCORR": correction.factor,
        "REFCALZA": 45.0,
        "REFCALAW": 41.0,
        "REFCALF1": "forcast/response_airmass.txt",
        "REFCALF2": "forcast/response_altitude.txt",
    }
    assert any("response_airmass" in line for line in correction.history)
    assert correction.warnings == ()


def test_that_water_vapour_enters_by_its_logarithm(calibration, header):
    correction = correct_telluric(header | {"WVZ_OBS": 7.3 * math.e}, calibration, use_pwv=True)
    assert correction.factor == pytest.approx(1 / 0.95)
    assert (correction.altitude, correction.pwv) == (None, pytest.approx(7.3 * math.e))
    assert ("REFCALWV", 7.3, "Reference calibration PWV") in correction.keywords


@given(st.floats(30, 70), st.floats(35, 45))
def test_that_the_reference_atmosphere_needs_no_correction_and_more_air_a_larger_one(za, altitude):
    assert compute_telluric_factor(AIRMASS, ALTITUDE, 45.0, 41.0) == pytest.approx(1.0)
    here = compute_telluric_factor(AIRMASS, ALTITUDE, za, altitude)
    assert compute_telluric_factor(AIRMASS, ALTITUDE, za + 1, altitude) > here
    assert compute_telluric_factor(AIRMASS, ALTITUDE, za, altitude + 1) < here


@pytest.mark.parametrize(
    ("start", "end", "expected", "warned"),
    [
        (40.0, 50.0, 45.0, False),
        (40.0, None, 40.0, True),
        (-9999.0, 50.0, 50.0, True),
        ("x", 50.0, 50.0, True),
        (40.0, float("nan"), 40.0, True),
    ],
)
def test_that_one_bad_zenith_angle_is_left_out_with_a_warning(header, start, end, expected, warned):
    sounding = read_sounding(header | {"ZA_START": start, "ZA_END": end})
    assert sounding.zenith_angle == expected
    assert bool(sounding.warnings) == warned


@pytest.mark.parametrize(("start", "end"), [(None, None), (-1.0, None), (0.0, None), (-9999.0, 0.0)])
@pytest.mark.parametrize(
    ("keywords", "message"),
    [(("ZA_START", "ZA_END"), "Bad ZA value"), (("ALTI_STA", "ALTI_END"), "Bad altitude value")],
)
def test_that_two_bad_values_are_an_error(header, start, end, keywords, message):
    with pytest.raises(HeaderError, match=message):
        read_sounding(header | dict(zip(keywords, (start, end), strict=True)))


@pytest.mark.parametrize("pwv", [None, 0.0, -9999.0, "wet"])
def test_that_water_vapour_must_be_positive(header, pwv):
    with pytest.raises(HeaderError, match="Bad PWV value"):
        read_sounding(header | {"WVZ_OBS": pwv}, use_pwv=True)


def test_that_implausible_water_vapour_is_replaced_by_the_altitude(header):
    sounding = read_sounding(header | {"WVZ_OBS": 51.0}, use_pwv=True)
    assert (sounding.altitude, sounding.pwv) == (40.0, None)
    assert "not plausible" in sounding.warnings[0]


@pytest.mark.parametrize(
    ("cards", "use_pwv", "word"),
    [
        ({"ZA_START": 75.0, "ZA_END": 75.0}, False, "zenith angle"),
        ({"ALTI_STA": 30000.0, "ALTI_END": 30000.0}, False, "altitude"),
        ({"WVZ_OBS": 1.0}, True, "water vapour"),
    ],
)
def test_that_extrapolation_of_the_fits_gives_a_warning(calibration, header, cards, use_pwv, word):
    correction = correct_telluric(header | cards, calibration, use_pwv=use_pwv)
    assert len(correction.warnings) == 1
    assert f"The {word}" in correction.warnings[0]
    assert "outside the range" in correction.warnings[0]


@pytest.mark.parametrize("piece", ["airmass", "altitude"])
def test_that_a_missing_response_is_an_error(calibration, header, piece):
    with pytest.raises(StepError, match="Response data not found for FOR_F197"):
        correct_telluric(header, replace(calibration, **{piece: None}))
