"""Series, lines, outliers and comparisons of runs."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sofia_viewers.quality.metrics import Metrics
from sofia_viewers.quality.trends import (
    compare_runs,
    find_outliers,
    fit_line,
    make_series,
    outlier_scores,
    summarize_comparison,
)


def rows_of(noise, **values):
    return [Metrics({"file": f"{n}.fits", "noise": float(v), "time": 100.0 * n, **values}) for n, v in enumerate(noise)]


def test_that_scores_are_standard_deviations_of_normal_values():
    values = np.random.default_rng(1).normal(10, 2, 20_001)
    assert outlier_scores(values) == pytest.approx((values - 10) / 2, abs=0.1, rel=0.05)


@given(arrays(float, st.integers(5, 30), elements=st.integers(-1000, 1000)), st.floats(-1e3, 1e3), st.floats(0.1, 1e3))
def test_that_scores_do_not_depend_on_zero_point_and_unit(values, shift, scale):
    if 0 < np.ptp(values) < 1e-6:
        return
    assert outlier_scores(values * scale + shift) == pytest.approx(outlier_scores(values), rel=1e-3, abs=1e-3)


def test_that_equal_values_have_no_outlier_but_one_that_differs_has():
    assert np.array_equal(outlier_scores(np.full(9, 4.0)), np.zeros(9))
    assert outlier_scores(np.array([4.0] * 9 + [5.0]))[-1] > 5


def test_that_the_outlier_of_a_group_is_found_and_small_groups_are_not_judged():
    rows = [*rows_of([1.0, 1.1, 0.9, 1.05, 0.95, 30.0], filter="A"), *rows_of([30.0, 1.0, 1.0], filter="B")]
    assert list(find_outliers(rows)) == [5]
    assert find_outliers(rows)[5]["noise"] > 100


def test_that_groups_of_other_units_are_not_mixed():
    rows = [*rows_of([1.0] * 5, unit="Jy"), *rows_of([1000.0] * 5, unit="ct")]
    assert find_outliers(rows) == {}


def test_that_a_higher_limit_finds_fewer():
    rows = rows_of([1.0, 1.1, 0.9, 1.05, 0.95, 2.0])
    assert find_outliers(rows, 5)
    assert not find_outliers(rows, 20)


@pytest.mark.parametrize("count", [12, 400])
def test_that_a_line_is_found_though_a_fifth_of_the_points_lies_elsewhere(count):
    x = np.random.default_rng(3).permutation(np.linspace(0, 10, count))
    y = 3.0 - 0.5 * x
    y[: count // 6] += 50.0
    line = fit_line(x, y)
    assert line is not None
    assert line.slope == pytest.approx(-0.5, abs=0.25)
    assert np.median(np.abs(line.at(x) - y)) < 0.6


def test_that_points_on_a_line_give_it_exactly():
    x = np.array([5.0, 1.0, 3.0, 9.0])
    line = fit_line(x, 2 * x + 1)
    assert line is not None
    assert (line.slope, line.scatter) == (pytest.approx(2.0), pytest.approx(0.0))
    assert line.at(np.array([0.0])) == pytest.approx([1.0])


@pytest.mark.parametrize("x", [[1.0, 2.0], [3.0, 3.0, 3.0]])
def test_that_two_points_or_one_place_give_no_line(x):
    assert fit_line(np.array(x), np.arange(len(x), dtype=float)) is None


def test_that_series_are_grouped_and_leave_out_what_is_missing():
    rows = [*rows_of([1, 2], filter="A"), Metrics({"file": "x", "filter": "A"}), *rows_of([3, 4], filter="B")]
    series, words = make_series(rows, "time", "noise", "filter")
    assert [(s.name, s.rows.tolist(), s.y.tolist()) for s in series] == [("A", [0, 1], [1, 2]), ("B", [3, 4], [3, 4])]
    assert words == {}


def test_that_words_are_numbered_in_order_and_steps_in_the_order_of_the_recipe():
    rows = [Metrics({"step": "Coadd", "order": 2, "noise": 1.0}), Metrics({"step": "Clean", "order": 1, "noise": 2.0})]
    series, words = make_series(rows, "step", "noise")
    assert words == {"step": ("Clean", "Coadd")}
    assert series[0].x.tolist() == [1, 0]


def test_that_position_in_the_table_can_be_an_axis():
    series, _ = make_series(rows_of([7, 8, 9]), "#", "noise")
    assert series[0].x.tolist() == [1, 2, 3]


def test_that_runs_are_paired_by_name_and_differences_are_right():
    first = [Metrics({"file": "a.fits", "noise": 2.0, "background": 0.0}), Metrics({"file": "b.fits", "noise": 1.0})]
    second = [
        Metrics({"file": "c.fits", "noise": 9.0}),
        Metrics({"file": "a.fits.gz", "noise": 3.0, "background": 0.2}),
    ]
    pairs = {pair.key: pair for pair in compare_runs(first, second)}
    assert pairs["noise"].percent == pytest.approx(50.0)
    assert (pairs["noise"].first_row, pairs["noise"].second_row) == (0, 1)
    assert pairs["background"].percent == pytest.approx(10.0)  # of the noise
    assert summarize_comparison(list(pairs.values()))["noise"] == (1, pytest.approx(50.0), pytest.approx(50.0))


def test_that_products_of_other_names_are_paired_by_what_they_are():
    values = {"product_type": "calibrated", "filter": "F", "object": "X", "time": 5.0}
    pairs = compare_runs(
        [Metrics({"file": "a", "noise": 1.0, **values})], [Metrics({"file": "b", "noise": 2.0, **values})]
    )
    assert [pair.difference for pair in pairs] == [1.0]


def test_that_the_same_product_of_two_steps_is_paired_with_the_same_step():
    first = [Metrics({"file": "a", "step": "B", "noise": 1.0})]
    second = [Metrics({"file": "a", "step": s, "noise": v}) for s, v in (("A", 5.0), ("B", 1.0))]
    assert [pair.difference for pair in compare_runs(first, second)] == [0.0]


def test_that_per_cent_of_nothing_is_not_a_number():
    pair = compare_runs([Metrics({"file": "a", "missing": 0.0})], [Metrics({"file": "a", "missing": 1.0})])[0]
    assert math.isnan(pair.percent)
