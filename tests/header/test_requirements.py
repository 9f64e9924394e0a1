"""Requirements on headers: conditions, tolerant types, and the list of everything that is wrong."""

import pytest
from astropy.io import fits

from sofia_engine.header.requirements import (
    Requirement,
    Violation,
    check_header,
    holds,
    list_violations,
    parse_requirements,
)

VALUES = {"CHOPPING": True, "NODDING": False, "NODBEAM": "A", "OTSTACKS": 4, "DETITIME": 2.5, "FLAG": 1}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("", True),
        ("CHOPPING", True),
        ("NODDING", False),
        ("ABSENT", False),
        ("FLAG", True),
        ("OTSTACKS", False),
        ("CHOPPING == T", True),
        ("CHOPPING==1", True),
        ("NODDING == F", True),
        ("NODBEAM == a", True),
        ("NODBEAM != 'B'", True),
        ("ABSENT == 1", False),
        ("ABSENT != 1", False),
        ("OTSTACKS > 3", True),
        ("OTSTACKS >= 4 & DETITIME < 2.5", False),
        ("OTSTACKS <= 4 & DETITIME <= 2.5", True),
        ("NODDING & CHOPPING | NODBEAM == A", True),
        ("NODDING | CHOPPING & NODBEAM == B", False),
        ("NODBEAM > 3", False),
        ("NODBEAM != 3", True),
    ],
)
def test_that_conditions_join_comparisons_by_and_inside_or(condition, expected):
    assert holds(condition, VALUES) is expected


@pytest.mark.parametrize("condition", ["A == ", "A B", "CHOPPING &", "== 3"])
def test_that_an_unreadable_condition_is_an_error(condition):
    with pytest.raises(ValueError, match="not of the form"):
        holds(condition, {"A": 1, **VALUES})


@pytest.mark.parametrize(
    ("kind", "value", "accepted"),
    [
        ("float", 3, True),
        ("float", 2.5, True),
        ("float", True, False),
        ("float", "2.5", False),
        ("int", 3, True),
        ("int", 3.0, True),
        ("int", 3.5, False),
        ("int", True, False),
        ("bool", True, True),
        ("bool", 0, True),
        ("bool", 1.0, True),
        ("bool", 2, False),
        ("bool", "T", False),
        ("text", "A", True),
        ("text", 1, False),
        ("text", True, False),
    ],
)
def test_that_types_are_tolerant_but_not_blind(kind, value, accepted):
    found = check_header(fits.Header({"KEY": value}), [Requirement("KEY", kind)])
    assert (not found) is accepted


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (0, ""),
        (90, ""),
        (-0.1, "is -0.1, must be between 0 and 90"),
        (91, "is 91, must be between 0 and 90"),
    ],
)
def test_that_limits_are_included(value, problem):
    found = check_header(fits.Header({"ZA": value}), [Requirement("ZA", "float", minimum=0, maximum=90)])
    assert [violation.problem for violation in found] == ([problem] if problem else [])


def test_that_one_sided_limits_are_said_in_words():
    rows = [Requirement("A", "float", minimum=1), Requirement("B", "float", maximum=2)]
    found = check_header(fits.Header({"A": 0, "B": 3}), rows)
    assert [violation.problem for violation in found] == ["is 0, must be at least 1", "is 3, must be at most 2"]


def test_that_enumerations_are_compared_in_any_case():
    row = Requirement("DETECTOR", "text", allowed=("As-010", "Sb-083"))
    assert check_header(fits.Header({"DETECTOR": "AS-010 "}), [row]) == ()
    found = check_header(fits.Header({"DETECTOR": "Ge"}), [row])
    assert found[0].problem == "is 'Ge', must be As-010 or Sb-083"


def test_that_rows_with_an_unmet_condition_do_not_apply():
    row = Requirement("NODAMP", "float", condition="NODDING")
    assert check_header(fits.Header({"NODDING": False}), [row]) == ()
    assert check_header(fits.Header({"NODDING": True}), [row])[0].problem == "is missing"


def test_that_an_optional_keyword_is_checked_only_if_it_is_there():
    row = Requirement("C2NC2", "bool", required=False, severity="warning")
    assert check_header(fits.Header(), [row]) == ()
    assert check_header(fits.Header({"C2NC2": 7}), [row], "a.fits") == (
        Violation("a.fits", "C2NC2", "is 7, must be T or F", "warning"),
    )


def test_that_a_card_without_value_counts_as_missing():
    header = fits.Header([fits.Card("OBJECT")])
    assert check_header(header, [Requirement("OBJECT", "text")])[0].problem == "is missing"


def test_that_given_values_take_precedence_over_the_header():
    row = Requirement("NAXIS1", "int", allowed=(256,))
    assert check_header(fits.Header({"NAXIS1": 100}), [row], values={"NAXIS1": 256}) == ()


def test_that_the_list_names_each_problem_once_with_its_files():
    violations = [
        Violation("one.fits", "ZA_START", "is missing"),
        Violation("two.fits", "ZA_START", "is missing"),
        Violation("two.fits", "SLIT", "is 'X', must be NONE"),
    ]
    assert list_violations(violations).splitlines() == [
        "  ZA_START  is missing            (one.fits, two.fits)",
        "  SLIT      is 'X', must be NONE  (two.fits)",
    ]


def test_that_the_list_shortens_many_file_names():
    violations = [Violation(f"{number}.fits", "SLIT", "is missing") for number in range(12)]
    assert list_violations(violations) == "  SLIT  is missing  (0.fits, 1.fits, 2.fits, 3.fits and 8 more)"


def test_that_rows_of_data_files_may_share_their_values():
    rows = [{"keyword": ["A", "B"], "kind": "text", "allowed": ["X"]}, {"keyword": "C", "kind": "int", "minimum": 1}]
    assert parse_requirements(rows) == (
        Requirement("A", "text", allowed=("X",)),
        Requirement("B", "text", allowed=("X",)),
        Requirement("C", "int", minimum=1),
    )


def test_that_a_row_with_an_unknown_key_is_refused():
    with pytest.raises(TypeError, match="maximun"):
        parse_requirements([{"keyword": "A", "kind": "int", "maximun": 3}])
