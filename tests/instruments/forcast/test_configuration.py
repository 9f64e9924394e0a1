"""Date-dependent configuration."""

import numpy as np
import pytest
from astropy.io import fits

from sofia_engine.instruments.forcast.configuration import (
    configure,
    find_filter_shift,
    find_requirements,
    merging_rules,
)


def header_of(date, **cards):
    return fits.Header({"DATE-OBS": date, "SPECTEL1": "FOR_F197", "DETCHAN": "SW", **cards})


@pytest.mark.parametrize(
    ("date", "name", "angles", "chop", "reference", "limit"),
    [
        ("2011-01-01", "early", "positive", 1, 9000.0, 2087.0),
        ("2013-05-01", "early", "positive", 1, 9000.0, 2087.0),
        ("2013-05-02", "OC1B", "negative", 1, 7000.0, 1900.0),
        ("2013-08-01", "OC1B", "negative", 1, 7000.0, 1900.0),
        ("2013-12-31", "OC1DF", "negative", -1, 7000.0, 1900.0),
        ("2014-01-01", "OC2", "negative", -1, 6000.0, 1926.0),
        ("2018-09-30", "OC3", "negative", -1, 6000.0, 1926.0),
        ("2018-10-01", "OC7", "negative", -1, 6000.0, 1926.0),
        ("", "OC7", "negative", -1, 6000.0, 1926.0),
    ],
)
def test_that_settings_change_at_the_published_dates(date, name, angles, chop, reference, limit):
    configuration = configure(header_of(date))
    suffix, response = configuration.find_nonlinearity("SW", "LO")
    assert (configuration.name, configuration.angle_convention, configuration.chop_convention) == (name, angles, chop)
    assert (suffix, response.reference, response.limits[0]) == ("SWCLO", reference, limit)


@pytest.mark.parametrize("date", ["2013-01-01", "2013-07-01", "2020-01-01"])
def test_that_every_response_is_one_at_its_reference_level_within_half_a_percent(date):
    responses = configure(header_of(date)).nonlinearity
    assert set(responses) == {"SWCHI", "SWCLO", "LWCHI", "LWCLO"}
    for response in responses.values():
        assert response.coefficients[0] == pytest.approx(1, abs=5e-3)
        assert response.limits[0] < response.reference < response.limits[1]


@pytest.mark.parametrize(("camera", "capacitance"), [("SW", "HI"), ("SW", "LO"), ("LW", "HI"), ("LW", "LO")])
def test_that_the_response_grows_with_the_level_over_the_calibrated_range(camera, capacitance):
    _, response = configure(header_of("2020-01-01")).find_nonlinearity(camera, capacitance)
    scaled = (np.linspace(response.reference * 0.6, response.reference * 1.2, 50) - response.reference) / response.scale
    assert (np.diff(np.polynomial.polynomial.polyval(scaled, response.coefficients)) > 0).all()


def test_that_used_settings_are_written_with_a_comment():
    configuration = configure(header_of("2018-09-01"))
    assert configuration.card("CHOPTSAC") == ("CHOPTSAC", -1, "Chop convention. Should be -1 after OC1B")
    for keyword, value in configuration.values.items():
        assert configuration.card(keyword)[:2] == (keyword, value)
        assert configuration.card(keyword)[2]


@pytest.mark.parametrize(
    ("date", "element", "config", "shift"),
    [
        ("2015-07-07", "FOR_F197", "IMAGING_SWC", (4.99, 2.36)),
        ("2015-07-07", "FOR_F197", "IMAGING_DUAL", (5.47, 2.29)),
        ("2015-07-08", "FOR_F197", "IMAGING_SWC", (0.0, 0.0)),
        ("2014-01-01", "FOR_F054", "IMAGING_DUAL", (0.0, 0.0)),
        ("2014-01-01", "FOR_F088", "IMAGING_SWC", (0.0, 0.0)),
        ("", "FOR_F197", "IMAGING_SWC", (0.0, 0.0)),
    ],
)
def test_that_old_headers_lack_the_shift_by_the_filter(date, element, config, shift):
    assert find_filter_shift(header_of(date, SPECTEL1=element, INSTCFG=config)) == shift


@pytest.mark.parametrize(
    ("date", "keyword", "allowed", "refused"),
    [
        ("2013-12-31", "SPECTEL1", "FOR_F113", "FOR_F054"),
        ("2014-07-01", "SPECTEL1", "FOR_F054", "FOR_XG111"),
        ("2015-07-08", "SPECTEL1", "FOR_XG111", "FOR_F056"),
        ("2015-12-31", "SKYMODE", "SLITSCAN", "SLITSCAN_NMC"),
        ("2016-01-01", "SPECTEL1", "FOR_F056", "FOR_F113"),
        ("2016-01-01", "SKYMODE", "SLITSCAN_NMC", "CM"),
        ("2014-01-01", "OTMODE", "AD", "SUR"),
        ("2016-01-01", "OBSTYPE", "STANDARD_WAVECAL", "STANDARD"),
    ],
)
def test_that_allowed_values_depend_on_the_date(date, keyword, allowed, refused):
    rows = {row.keyword: row for row in find_requirements(header_of(date))}
    assert allowed in rows[keyword].allowed
    assert refused not in rows[keyword].allowed


def test_that_coordinate_systems_were_numbers_before_mid_2014():
    old, new = ({row.keyword for row in find_requirements(header_of(date))} for date in ("2014-07-01", "2014-07-02"))
    assert old - new == {"CHPCOORD", "NODCOORD", "DITHERCS", "OTNBUFS"}
    assert new - old == {"CHPCRSYS", "NODCRSYS"}


def test_that_keywords_the_published_check_forgot_only_cause_warnings():
    rows = find_requirements(header_of("2020-01-01"))
    minor = {row.keyword for row in rows if row.severity == "warning"}
    world_coordinates = {f"{name}{axis}" for name in ("CTYPE", "CRPIX", "CRVAL", "CDELT") for axis in (1, 2)}
    assert minor == {"DITHERX", "DITHERY", "DTHINDEX", "DTHNPOS", "C2NC2", "UTCSTART", "DICHROIC"} | world_coordinates


def test_that_each_merged_keyword_has_one_rule():
    rules = merging_rules()
    assert rules["NEXP"] == "SUM"
    assert rules["ASSC_OBS"] == "CONCATENATE"
    assert set(rules.values()) == {"FIRST", "LAST", "MEAN", "SUM", "OR", "DEFAULT", "CONCATENATE"}
    assert len(rules) == 7 + 9 + 1 + 3 + 1 + 4 + 9
