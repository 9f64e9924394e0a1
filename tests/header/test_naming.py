"""File names of products."""

import pytest
from astropy.io import fits

from sofia_engine.header.naming import ProductNaming, find_file_number, find_flight, join_file_numbers

HEADER = fits.Header({"MISSN-ID": "2018-09-01_FO_F501", "AOR_ID": "90_0001_01"})
FORCAST = ProductNaming("FO", "IMA")


@pytest.mark.parametrize(
    ("mission", "flight"),
    [
        ("2018-09-01_FO_F501", "F0501"),
        ("2016-02-06_FO_0275", "F0275"),
        ("F12", "F0012"),
        ("2018-09-01_FO_X501", "UNKNOWN"),
        ("", "UNKNOWN"),
        (None, "UNKNOWN"),
    ],
)
def test_that_the_flight_is_the_last_part_of_the_mission(mission, flight):
    assert find_flight(fits.Header() if mission is None else fits.Header({"MISSN-ID": mission})) == flight


@pytest.mark.parametrize(
    ("name", "digits", "number"),
    [
        ("F0501_FO_IMA_90000101_FORF197_RAW_0001.fits", 4, "0001"),
        ("F0501_FO_IMA_90000101_FORF197_RAW_0001.fits.gz", 4, "0001"),
        ("F0501_FO_IMA_90000101_FORF197_CAL_0001-0004.fits", 4, "0001-0004"),
        ("rw.001.123.fits", 4, "0123"),
        ("00001_060000_12_sw.fits", 5, "UNKNOWN"),
        ("F0855_FI_IFS_90000101_BLU_CAL_00001-2.fits", 5, "00001-00002"),
        ("spectrum.fits", 4, "UNKNOWN"),
        ("a_1-2-3.fits", 4, "UNKNOWN"),
        ("a_²3.fits", 4, "UNKNOWN"),
        ("a_12345.fits", 4, "12345"),
        ("17", 4, "0017"),
    ],
)
def test_that_the_file_number_is_the_last_part_of_the_name(name, digits, number):
    assert find_file_number(name, digits) == number


@pytest.mark.parametrize(
    ("numbers", "joined"),
    [
        (["0003", "0001", "0002"], "0001-0003"),
        (["0002"], "0002"),
        (["0002", "0002"], "0002"),
        (["0003-0004", "0001-0002"], "0001-0004"),
        (["0010", "9999", "10000"], "0010-10000"),
        (["UNKNOWN", "0005"], "0005"),
        (["UNKNOWN"], "UNKNOWN"),
        ([], "UNKNOWN"),
    ],
)
def test_that_numbers_of_several_files_become_a_range(numbers, joined):
    assert join_file_numbers(numbers) == joined


@pytest.mark.parametrize(
    ("cards", "element", "code", "inputs", "expected"),
    [
        ({}, "FOR_F197", "CAL", ["x_0004.fits", "x_0001.fits"], "F0501_FO_IMA_90000101_FORF197_CAL_0001-0004.fits"),
        ({}, "FOR_F197", "STK", ["x_0002.fits"], "F0501_FO_IMA_90000101_FORF197_STK_0002.fits"),
        ({"AOR_ID": ""}, "FOR_F054", "RAW", ["x_7.fits"], "F0501_FO_IMA_UNKNOWN_FORF054_RAW_0007.fits"),
        ({"MISSN-ID": "?"}, "", "UND", ["x.fits"], "UNKNOWN_FO_IMA_90000101_UNKNOWN_UND_UNKNOWN.fits"),
        (
            {"AOR_ID": "75_0001_1/../x"},
            "for_f111",
            "UND",
            ["x_1.fits"],
            "F0501_FO_IMA_7500011..X_FORF111_UND_0001.fits",
        ),
    ],
)
def test_that_names_of_products_follow_the_archive(cards, element, code, inputs, expected):
    header = HEADER.copy()
    header.update(cards)
    assert FORCAST.name(header, inputs, element, code) == expected


def test_that_other_instruments_have_other_digits():
    naming = ProductNaming("FI", "IFS", digits=5)
    name = naming.name(HEADER, ["00001_060000_00008.fits", "00001_060000_00001.fits"], "BLU", "WXY")
    assert name == "F0501_FI_IFS_90000101_BLU_WXY_00001-00008.fits"
