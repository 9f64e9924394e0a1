"""Merging of headers."""

import random

import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from sofia_engine.header.cards import same_cards
from sofia_engine.header.merging import NO_DATE, merge_headers, observation_time, select_base

RULES = {
    "ALTI_STA": "FIRST",
    "ALTI_END": "LAST",
    "DETITIME": "MEAN",
    "NEXP": "SUM",
    "EXPTIME": "SUM",
    "TRACERR": "OR",
    "GUIDED": "AND",
    "DTHINDEX": "DEFAULT",
    "ASSC_AOR": "CONCATENATE",
}


def make_header(second, **cards):
    header = fits.Header({"DATE-OBS": f"2018-09-01T05:10:{second:02d}.000", "FILENAME": f"{second:04d}.fits"})
    header.update({keyword.replace("_OBS", "-OBS"): value for keyword, value in cards.items()})
    return header


def test_that_each_rule_does_what_its_name_says():
    first = make_header(
        1, ALTI_STA=40.0, ALTI_END=41.0, DETITIME=10.0, NEXP=2, EXPTIME=1.5, TRACERR=False, GUIDED=True, DTHINDEX=1,
        ASSC_AOR="90_1,90_3", OBJECT="first",
    )  # fmt: skip
    second = make_header(
        2, ALTI_STA=42.0, ALTI_END=43.0, DETITIME=20.0, NEXP=3, EXPTIME=2.5, TRACERR=True, GUIDED=False, DTHINDEX=2,
        ASSC_AOR="90_2, 90_1", OBJECT="second",
    )  # fmt: skip
    merged = merge_headers([second, first], RULES)
    assert merged.warnings == ()
    assert {keyword: merged.header[keyword] for keyword in RULES} == {
        "ALTI_STA": 40.0,
        "ALTI_END": 43.0,
        "DETITIME": 15.0,
        "NEXP": 5,
        "EXPTIME": 4.0,
        "TRACERR": True,
        "GUIDED": False,
        "DTHINDEX": -9999,
        "ASSC_AOR": "90_1,90_2,90_3",
    }
    assert merged.header["OBJECT"] == "first"


@pytest.mark.parametrize(
    ("value", "expected"), [("x", "UNKNOWN"), (3, -9999), (2.5, -9999.0)], ids=["text", "int", "float"]
)
def test_that_the_default_has_the_type_of_the_value(value, expected):
    merged = merge_headers([make_header(1, IMAGEID=value)], {"IMAGEID": "DEFAULT"}).header["IMAGEID"]
    assert merged == expected
    assert type(merged) is type(expected)


def test_that_the_base_is_the_earliest_of_beam_a():
    headers = [make_header(1, NODBEAM="B"), make_header(3, NODBEAM="A"), make_header(2, NODBEAM="a ")]
    assert select_base(headers) is headers[2]
    assert select_base(headers[:1]) is headers[0]
    assert merge_headers(headers, {"FILENAME": "FIRST"}).header["FILENAME"] == "0001.fits"


def test_that_a_given_base_keeps_keywords_without_rule():
    headers = [make_header(1, OBJECT="first"), make_header(2, OBJECT="second")]
    assert merge_headers(headers, RULES, headers[1]).header["OBJECT"] == "second"


def test_that_a_keyword_that_only_some_headers_have_is_merged_of_those():
    headers = [make_header(1, NODBEAM="A"), make_header(2, TOTINT=4.0), make_header(3, TOTINT=5.0)]
    merged = merge_headers(headers, {"TOTINT": "SUM", "WVZ_STA": "FIRST"})
    assert merged.header["TOTINT"] == 9.0
    assert "WVZ_STA" not in merged.header


@pytest.mark.parametrize(
    ("rule", "values"),
    [
        ("SUM", (1.0, "2")),
        ("SUM", (True, 2)),
        ("MEAN", ("a", "b")),
        ("OR", (True, "T")),
        ("AND", (1, 2)),
        ("CONCATENATE", ("a", 1)),
        ("DEFAULT", (True, False)),
        ("DEFAULT", ("a", 1)),
    ],
)
def test_that_a_rule_that_does_not_fit_is_skipped_with_a_warning(rule, values):
    headers = [make_header(number, KEY=value) for number, value in enumerate(values)]
    merged = merge_headers(headers, {"KEY": rule})
    assert merged.header["KEY"] == values[0]
    assert len(merged.warnings) == 1
    assert f"KEY is not merged: {rule} does not fit" in merged.warnings[0]


@pytest.mark.parametrize("date", [None, "", "yesterday", "2018-13-45"])
def test_that_a_header_without_valid_date_comes_last_with_a_warning(date):
    undated = make_header(0, ALTI_STA=1.0)
    del undated["DATE-OBS"]
    if date is not None:
        undated["DATE-OBS"] = date
    assert observation_time(undated) == NO_DATE
    merged = merge_headers([undated, make_header(9, ALTI_STA=2.0)], RULES)
    assert merged.header["ALTI_STA"] == 2.0
    assert merged.warnings == ("0000.fits has no valid DATE-OBS; it is taken as the last.",)


def test_that_dates_with_and_without_time_zone_are_compared():
    headers = [make_header(1), make_header(2)]
    headers[0]["DATE-OBS"] = "2018-09-01T06:00:00+02:00"
    headers[1]["DATE-OBS"] = "2018-09-01T05:00:00"
    assert select_base(headers) is headers[0]


def test_that_no_headers_are_an_error():
    with pytest.raises(ValueError, match="no headers"):
        merge_headers([], RULES)


VALUE = {
    "ALTI_STA": st.floats(-1e6, 1e6),
    "DETITIME": st.floats(0, 1e4),
    "NEXP": st.integers(0, 100),
    "TRACERR": st.booleans(),
    "ASSC_AOR": st.lists(st.text("0123456789_", min_size=1, max_size=6), min_size=1, max_size=4).map(",".join),
}
ANY = st.one_of(st.booleans(), st.integers(-99, 99), st.floats(-1e3, 1e3), st.text("abc,", max_size=5))


@st.composite
def header_lists(draw, values):
    seconds = draw(st.lists(st.integers(0, 59), min_size=1, max_size=6, unique=True))
    present = {keyword: st.one_of(st.none(), value) for keyword, value in values.items()}
    headers = []
    for second in seconds:
        cards = {keyword: draw(value) for keyword, value in present.items()}
        beam = draw(st.sampled_from(["A", "B"]))
        headers.append(make_header(second, NODBEAM=beam, **{k: v for k, v in cards.items() if v is not None}))
    return headers


@given(header_lists(VALUE), st.randoms())
def test_that_the_merged_header_does_not_depend_on_the_order(headers, shuffler: random.Random):
    shuffled = list(headers)
    shuffler.shuffle(shuffled)
    assert same_cards(merge_headers(headers, RULES).header, merge_headers(shuffled, RULES).header)


@given(header_lists(dict.fromkeys(RULES, ANY)))
def test_that_values_of_any_type_neither_crash_nor_change_the_inputs(headers):
    before = [header.copy() for header in headers]
    merged = merge_headers(headers, RULES)
    assert all(same_cards(header, copy) for header, copy in zip(headers, before, strict=True))
    for keyword in ("NEXP", "EXPTIME", "DETITIME"):
        numeric = all(type(h[keyword]) in (int, float) for h in headers if keyword in h)
        refused = any(warning.startswith(f"{keyword} ") for warning in merged.warnings)
        assert refused is not numeric


@given(header_lists(VALUE))
def test_that_merging_one_header_with_itself_twice_doubles_only_sums(headers):
    header = headers[0]
    once, twice = (merge_headers([header] * count, RULES).header for count in (1, 2))
    for keyword, rule in RULES.items():
        if keyword in header:
            assert twice[keyword] == (2 * once[keyword] if rule == "SUM" else pytest.approx(once[keyword]))
