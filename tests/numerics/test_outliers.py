from __future__ import annotations

import numpy as np
import pytest

from sofia_engine.numerics.outliers import RejectionRule, RejectionState, find_inliers


def test_that_only_the_deviating_value_is_an_outlier():
    np.testing.assert_array_equal(find_inliers([1.0, 1.1, 0.9, 1.05, 30.0], 5.0), [True, True, True, True, False])


def test_that_the_limit_is_the_threshold_times_the_scaled_median_deviation():
    values = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])  # MAD 1
    assert find_inliers(values, 2.0 / 1.482 + 1e-6).all()
    np.testing.assert_array_equal(find_inliers(values, 2.0 / 1.482 - 1e-6), [False, True, True, True, False])


def test_that_every_deviating_value_is_an_outlier_where_most_are_equal():
    np.testing.assert_array_equal(find_inliers([3.0, 3.0, 3.0, 3.0001], 10.0), [True, True, True, False])


def test_that_rounding_is_no_deviation():
    assert find_inliers(np.array([0.1 + 0.2, 0.3, 0.3]), 3.0).all()


def test_that_missing_values_are_outliers_and_lines_are_independent():
    values = np.array([[1.0, np.nan, 1.1, 0.9], [100.0, 101.0, 99.0, 100.0]])
    np.testing.assert_array_equal(find_inliers(values, 5.0), [[True, False, True, True], [True] * 4])


def test_that_a_line_with_too_few_points_is_not_fitted():
    state = RejectionState.begin(
        np.ones((2, 3)), np.array([[True, False, False], [True, True, True]]), RejectionRule(3.0, least=2)
    )
    np.testing.assert_array_equal(state.active, [False, True])


def test_that_points_that_may_not_take_part_never_come_back():
    valid = np.array([[True, True, True, True, True, False]])
    state = RejectionState.begin(np.ones(valid.shape), valid, RejectionRule(3.0))
    for _ in range(3):
        state, _ = state.advance(np.array([[0.0, 0.1, -0.1, 0.05, 9.0, 0.0]]))
    np.testing.assert_array_equal(state.used, [[True, True, True, True, False, False]])


@pytest.mark.parametrize("rounds", [1, 4])
def test_that_the_number_of_rounds_is_limited(rounds):
    rng = np.random.default_rng(0)
    state = RejectionState.begin(
        np.ones((1, 50)), np.ones((1, 50), dtype=bool), RejectionRule(0.5, tolerance=0.0, maxiters=rounds)
    )
    count = 0
    while state.active.any():
        state, _ = state.advance(rng.normal(size=(1, 50)))
        count += 1
    assert count <= rounds
