"""Headers as text and table, and what differs between two."""

import pytest
from astropy.io import fits

from sofia_engine.errors import InputError, ParameterError
from sofia_viewers.quality.header_difference import compare_files, compare_headers, describe_differences
from sofia_viewers.quality.headers import (
    choose_extensions,
    describe_product,
    filter_lines,
    find_text,
    format_headers,
    parse_keywords,
    read_headers,
    tabulate_headers,
)

from .conftest import make_product


@pytest.fixture
def files(tmp_path):
    for name, exposure in (("a.fits", 10.0), ("b.fits", 20.0)):
        make_product(FILENAME=name, EXPTIME=exposure).write(tmp_path / name)
    return [tmp_path / "a.fits", tmp_path / "b.fits"]


def test_that_all_extensions_are_read_and_can_be_chosen(files):
    headers = read_headers(files[0])
    assert [h.label for h in headers] == ["FLUX", "ERROR"]
    assert [h.label for h in choose_extensions(headers, "first")] == ["FLUX"]
    assert [h.label for h in choose_extensions(headers, "error")] == ["ERROR"]
    assert [h.label for h in choose_extensions(headers, "1")] == ["ERROR"]
    assert len(choose_extensions(headers, "nonsense")) == len(choose_extensions(headers, "all")) == 2


def test_that_the_text_names_files_and_extensions(files):
    text = format_headers([h for path in files for h in read_headers(path)])
    assert text.count("Extension: FLUX") == 2
    assert "OBJECT  = 'Alpha Boo'" in text
    assert [line for line in text.splitlines() if line.endswith(".fits")] == ["a.fits", "b.fits"]


def test_that_the_filter_keeps_lines_with_any_word_and_all_titles(files):
    text = filter_lines(format_headers(read_headers(files[0])), "exptime, NODBEAM ,object")
    cards = [line for line in text.splitlines() if "=" in line]
    assert [card[:8].strip() for card in cards] == ["OBJECT", "EXPTIME"]
    assert "a.fits" in text
    assert "Extension: ERROR" in text


def test_that_find_goes_round():
    assert find_text("abc ABC", "bc") == 1
    assert find_text("abc ABC", "bc", 1) == 5
    assert find_text("abc ABC", "bc", 5) == 1
    assert find_text("abc", "x") == find_text("abc", "") == -1


def test_that_the_table_has_a_row_for_each_file_and_extension(files):
    rows = tabulate_headers([h for path in files for h in read_headers(path)], parse_keywords("exptime, nothing"))
    assert [row["File name"] for row in rows] == ["a.fits [FLUX]", "a.fits [ERROR]", "b.fits [FLUX]", "b.fits [ERROR]"]
    assert [row["EXPTIME"] for row in rows] == [10.0, None, 20.0, None]
    with pytest.raises(ParameterError, match="Name keywords"):
        parse_keywords(" , ")


def test_that_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path):
    (tmp_path / "bad.fits").write_text("no")
    (tmp_path / "empty.fits").touch()
    for name, reason in (("bad", "not a FITS file"), ("empty", "the file is empty"), ("none", "no such file")):
        with pytest.raises(InputError, match=reason):
            read_headers(tmp_path / f"{name}.fits")


def test_that_changed_missing_and_new_cards_are_told_apart():
    old = fits.Header([("A", 1, "x"), ("B", "text"), ("C", 2.0), ("D", True), ("E", 5, "old")])
    new = fits.Header([("A", 1, "x"), ("B", "other"), ("C", 2.5), ("E", 5, "new"), ("F", 9)])
    found = {d.keyword: d for d in compare_headers(old, new)}
    assert {k: d.change for k, d in found.items()} == {
        "B": "changed", "C": "changed", "D": "only first", "E": "comment", "F": "only second"
    }  # fmt: skip
    assert found["C"].delta == 0.5
    assert describe_differences(list(found.values())) == (
        "2 changed, 1 only in the first, 1 only in the second, 1 with another comment"
    )
    assert any(d.keyword == "A" for d in compare_headers(old, new, with_equal=True))


def test_that_numbers_within_the_tolerance_agree_and_types_matter():
    old, new = fits.Header([("C", 100.0), ("T", "1")]), fits.Header([("C", 100.05), ("T", 1)])
    assert [d.keyword for d in compare_headers(old, new, tolerance=1e-3)] == ["T"]


def test_that_equal_headers_have_no_difference():
    header = fits.Header([("A", 1)])
    assert compare_headers(header, header.copy()) == ()
    assert describe_differences(()) == "The headers are equal."


def test_that_history_is_compared_line_by_line_without_packed_provenance():
    old, new = fits.Header(), fits.Header()
    for line in ("one", "two"):
        old.add_history(line)
    for line in ("one", "two", "two", "Provenance: abc"):
        new.add_history(line)
    assert [(d.second, d.change) for d in compare_headers(old, new)] == [("two", "only second")]


def test_that_extensions_of_files_are_compared_by_name(files):
    first, second = (read_headers(path) for path in files)
    found = compare_files(first, second[:1])
    assert {d.keyword for d in found if d.extension == "FLUX"} == {"FILENAME", "EXPTIME"}
    assert all(d.change == "only first" for d in found if d.extension == "ERROR")


def test_that_products_in_memory_have_the_headers_of_their_files(files):
    product = make_product(FILENAME="a.fits", EXPTIME=10.0)
    assert [h.label for h in describe_product(product)][1:] == ["ERROR"]
    assert describe_product(product)[0].header["OBJECT"] == "Alpha Boo"
