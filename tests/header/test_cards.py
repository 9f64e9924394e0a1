"""The text of headers, as sessions store it, and headers made of the cards of others."""

import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from sofia_engine.header.cards import add_cards, freeze, header_text, is_wcs, quiet_fits, round_as_stored, without_cards

VALUES = st.sampled_from(
    [1, 1.0, True, False, 0.0, -0.0, 1 / 3, -1e-300 / 7, 10**12, "", "text", "text  ", "a: b", "AXIS.1: 2", "O'Neil",
     "x" * 67, "x" * 100]
)  # fmt: skip
CARDS = st.tuples(
    st.sampled_from(["OBJECT", "NUMBER", "FLAG", "COUNT", "NEW", "NEW-2", "CRPIX1", "DP1"]),
    VALUES,
    st.sampled_from(["", "comment", "c" * 40, "c" * 70]),
)
LINES = st.sampled_from(["", "made by hand", "  key = value", "h" * 72])


def make_header(*, with_history=True):
    header = fits.Header(
        [("OBJECT", "M 42", "target"), ("NUMBER", 1.5, "a number"), ("FLAG", True), ("COUNT", 3), ("CRPIX1", 5.0)]
    )
    if with_history:
        header.add_history("taken")
    return header


def test_that_the_text_is_that_of_the_library_whatever_was_done_to_the_header():
    header = fits.Header([("OBJECT", "M 42", "target"), ("LONG", "x" * 100), ("NUMBER", 1 / 3), ("FLAG", True)])
    header.add_history("made by hand")
    header = fits.Header.fromstring(header.tostring())
    for change in (lambda: None, lambda: header.set("NUMBER", 2.5), lambda: header.set("NEW", "x", "comment")):
        change()
        copied = freeze(header).copy()
        expected = header.tostring(padding=False)
        assert header_text(copied) == expected
        assert header_text(copied) == expected  # what was looked up is remembered
        assert fits.Header.fromstring(header_text(copied)).tostring() == header.tostring()


@given(
    cards=st.lists(CARDS, max_size=6), lines=st.lists(LINES, max_size=3), parsed=st.booleans(), history=st.booleans()
)
def test_that_added_cards_are_those_the_library_makes(cards, lines, parsed, history):
    header = make_header(with_history=history)
    frozen = freeze(fits.Header.fromstring(header.tostring()) if parsed else header)
    with quiet_fits():
        before = header_text(frozen)
        expected = frozen.copy()
        for keyword, value, comment in cards:
            expected[keyword] = (value, comment) if comment else value
        for line in lines:
            expected.add_history(line)
        round_as_stored(expected)
        made = add_cards(frozen, cards, lines)
        assert made.tostring() == expected.tostring()
        assert header_text(made) == expected.tostring(padding=False)
        assert [made.index(keyword) for keyword in made] == [expected.index(keyword) for keyword in expected]
        assert header_text(frozen) == before == freeze(frozen.copy()).tostring(padding=False)


def test_that_values_are_found_as_the_library_gives_them():
    header = make_header()
    header["NOTHING"] = None
    header["DP1"] = "AXIS.1: 2"
    header["SPACES"] = "text   "
    for given_header in (header, fits.Header.fromstring(header.tostring())):
        frozen = freeze(given_header)
        for keyword in [*header, "object", " OBJECT", "DP1.AXIS.1"]:
            found, expected = frozen[keyword], header[keyword]
            assert (str(found), type(found).__name__) == (str(expected), type(expected).__name__)
        with pytest.raises(KeyError):
            frozen["ABSENT"]


def test_that_cards_are_left_out_and_the_header_stays():
    frozen = freeze(make_header())
    text = header_text(frozen)
    left = without_cards(frozen, is_wcs)
    assert "CRPIX1" not in left
    assert left["OBJECT"] == "M 42"
    assert list(left["HISTORY"]) == ["taken"]
    assert header_text(frozen) == text
    assert without_cards(left, is_wcs) is left
