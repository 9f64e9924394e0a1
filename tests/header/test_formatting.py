"""Cards that fit."""

import warnings

import numpy as np
import pytest
from astropy.io import fits

from sofia_engine.header.association import associate_raw
from sofia_engine.header.formatting import format_numbers, text_card


def test_that_numbers_keep_the_digits_of_their_type():
    assert format_numbers(np.array([5266.063, 0.1], dtype=np.float32)) == "[5266.063,0.1]"
    assert format_numbers((1926.0, 0.99762921)) == "[1926.0,0.99762921]"
    assert format_numbers(()) == "[]"


@pytest.mark.parametrize("length", [1, 8, 30, 45, 60, 65, 66, 67, 68, 69, 120])
def test_that_no_card_is_too_long(length):
    card = text_card("NLINSLEV", "x" * length, "Signal level of the background, measured in a section")
    header = fits.Header()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        header[card[0]] = card[1:]
        header.tostring()
        back = fits.Header.fromstring(header.tostring())
    assert back["NLINSLEV"] == "x" * length


def test_that_quotes_in_a_text_leave_less_room_for_the_comment():
    keyword, value, comment = text_card("OBJECT", "it's " * 8, "what was looked at, as the observer called it")
    header = fits.Header([(keyword, value, comment)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(header.tostring(endcard=False, padding=False)) == 80


def test_that_a_raw_header_gets_its_associations_once():
    raw = fits.Header({"AOR_ID": "90_1", "OBS_ID": "O1", "MISSN-ID": "M1", "PROCSTAT": "LEVEL_1"})
    cards = associate_raw(raw)
    assert {keyword: value for keyword, value, _ in cards} == {
        "ASSC_AOR": "90_1", "ASSC_OBS": "O1", "ASSC_MSN": "M1", "OBS_ID": "P_O1", "PROCSTAT": "LEVEL_2",
    }  # fmt: skip
    for keyword, value, _ in cards:
        raw[keyword] = value
    assert associate_raw(raw) == []


def test_that_associations_and_levels_that_are_set_stay():
    header = fits.Header({"AOR_ID": "90_2", "ASSC_AOR": "90_1,90_2", "PROCSTAT": "LEVEL_3"})
    assert associate_raw(header) == []
