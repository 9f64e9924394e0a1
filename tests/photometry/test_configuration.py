"""How observations are looked up: filters, configurations, dates, names of objects."""

import pytest

from sofia_engine.errors import HeaderError
from sofia_engine.photometry.configuration import CALIBRATION_KINDS, determine_setup, reference_requests
from sofia_engine.photometry.standards import normalize_object


@pytest.mark.parametrize(
    ("cards", "spectel", "altcfg1"),
    [
        ({}, "FOR_F197", "0"),
        ({"DETCHAN": "LW", "SPECTEL2": "FOR_F315"}, "FOR_F315", "0"),
        ({"DETCHAN": 1, "SPECTEL2": "for_f315"}, "FOR_F315", "0"),
        ({"DETCHAN": 0}, "FOR_F197", "0"),
        ({"INSTCFG": "IMAGING_DUAL", "DICHROIC": "Barr #2"}, "FOR_F197", "1"),
        ({"INSTCFG": "IMAGING_DUAL", "DICHROIC": "Barr #3", "DATE-OBS": "2013-10-25T00:00:00"}, "FOR_F197", "2"),
        ({"INSTRUME": "FLITECAM", "SPECTEL1": "FLT_J", "MISSN-ID": "2014-02-15_FP_F144"}, "FLT_J", "1"),
        ({"INSTRUME": "FLITECAM", "SPECTEL1": "FLT_J", "MISSN-ID": "2015-09-30_FC_F244"}, "FLT_J", "0"),
        ({"INSTRUME": "HAWC_PLUS", "SPECTEL1": "HAW_D", "SPECTEL2": "HAW_HWP_D", "INSTMODE": "C2N"}, "HAW_D", "0"),
        ({"INSTRUME": "HAWC_PLUS", "SPECTEL1": "HAW_D", "SPECTEL2": "HAW_HWP_OPEN", "INSTMODE": "C2N"}, "HAW_D", "1"),
        ({"INSTRUME": "HAWC_PLUS", "SPECTEL1": "HAW_D", "SPECTEL2": "HAW_HWP_D", "INSTMODE": "OTFMAP"}, "HAW_D", "2"),
        ({"INSTRUME": "HAWC_PLUS", "SPECTEL1": "HAW_D", "SPECTEL2": "UNKNOWN", "INSTMODE": "OTFMAP"}, "HAW_D", "3"),
    ],
)
def test_that_filter_and_configuration_follow_the_instrument(header, cards, spectel, altcfg1):
    setup = determine_setup(header | cards)
    assert (setup.spectel, setup.altcfg1) == (spectel, altcfg1)
    assert setup.warnings == ()


@pytest.mark.parametrize(
    ("instrument", "unit"),
    [("FORCAST", "Me/s"), ("FLITECAM", "ct/s"), ("HAWC_PLUS", "counts"), ("hawc_plus ", "counts")],
)
def test_that_raw_units_follow_the_instrument(header, instrument, unit):
    assert determine_setup(header | {"INSTRUME": instrument}).raw_unit == unit


def test_that_barr_3_after_2013_takes_the_tables_of_barr_2_with_a_warning(header):
    cards = {"INSTCFG": "IMAGING_DUAL", "DICHROIC": "Barr #3", "DATE-OBS": "2013-10-26T00:00:00"}
    setup = determine_setup(header | cards)
    assert setup.altcfg1 == "1"
    assert "Barr 3" in setup.warnings[0]


@pytest.mark.parametrize(
    ("value", "date"),
    [("2018-09-01T05:10:00", 20180901), ("2018-09-01", 20180901), ("soon", 99999999), (None, 99999999)],
)
def test_that_dates_that_cannot_be_read_take_the_latest_tables(header, value, date):
    assert determine_setup(header | {"DATE-OBS": value}).date == date


@pytest.mark.parametrize("keyword", ["INSTRUME", "SPECTEL1", "SPECTEL2", "INSTCFG", "OBJECT"])
def test_that_a_missing_keyword_is_named(header, keyword):
    del header[keyword]
    with pytest.raises(HeaderError, match=keyword):
        determine_setup(header)


def test_that_a_dual_image_needs_its_dichroic(header):
    with pytest.raises(HeaderError, match="DICHROIC"):
        determine_setup(header | {"INSTCFG": "IMAGING_DUAL"})


def test_that_other_instruments_are_refused(header):
    with pytest.raises(HeaderError, match="'EXES'"):
        determine_setup(header | {"INSTRUME": "EXES"})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Alpha Boo", "ALPHABOO"),
        ("alpha_boo", "ALPHABOO"),
        ("alf-Boo", "ALPHABOO"),
        ("Arcturus", "ALPHABOO"),
        ("Bet UMi", "BETAUMI"),
        ("(1) Ceres", "CERES"),
        ("52 Europa", "EUROPA"),
        ("Vega", "VEGA"),
        ("SA 92-336", "SA92336"),
        ("NGC 7027", "NGC7027"),
        ("Europa Clipper", "EUROPACLIPPER"),
    ],
)
def test_that_names_of_standards_are_recognised(name, expected):
    assert normalize_object(name) == expected


def test_that_each_kind_of_table_is_requested_with_its_settings(setup):
    requests = reference_requests(setup)
    assert tuple(requests) == CALIBRATION_KINDS
    assert all((r.instrument, r.date, r.kind) == ("FORCAST", 20180901, kind) for kind, r in requests.items())
    assert dict(requests["filter_definition"].match) == {"altcfg1": "0"}
    assert dict(requests["standard_flux"].match) == {"altcfg1": "0", "object": "ALPHABOO"}


def test_that_the_header_is_not_changed(header):
    before = dict(header)
    determine_setup(header)
    assert header == before
