from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_engine.numerics.polynomials import (
    evaluate_monomials,
    fit_polynomial,
    fit_polynomial_robustly,
    list_exponents,
    list_products,
)

RNG = np.random.default_rng(4)


def test_that_the_terms_of_degree_two_are_in_the_documented_order():
    assert list_exponents(2, 2) == ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (2, 0))


@pytest.mark.parametrize(("order", "dimensions", "terms"), [(3, 2, 10), (2, 3, 10), (0, 2, 1), (4, 1, 5)])
def test_that_a_total_degree_has_the_binomial_number_of_terms(order, dimensions, terms):
    assert len(list_exponents(order, dimensions)) == terms


def test_that_single_orders_limit_their_own_coordinate():
    assert list_exponents((2, 1)) == ((0, 0), (0, 1), (1, 0), (1, 1), (2, 0))


def test_that_negative_orders_are_refused():
    with pytest.raises(ValueError, match="negative"):
        list_exponents(-1, 2)


def test_that_monomials_are_products_of_powers():
    values = evaluate_monomials([[2.0], [3.0]], ((0, 0), (2, 1)))
    np.testing.assert_array_equal(values, [[1.0], [12.0]])


@given(st.lists(st.floats(-10, 10), min_size=10, max_size=10), st.floats(-1e4, 1e4))
def test_that_a_cubic_surface_is_recovered_far_from_the_origin(coefficients, origin):
    points = origin + np.random.default_rng(0).uniform(0, 256, (2, 60))

    def truth(y, x):
        terms = evaluate_monomials([(y - origin) / 100, (x - origin) / 100], list_exponents(3, 2))
        return np.tensordot(coefficients, terms, axes=1)

    fitted = fit_polynomial(points, truth(*points), 3)
    y, x = origin + np.array([10.0, 200.0]), origin + np.array([128.0, 33.0])
    np.testing.assert_allclose(fitted(y, x), truth(y, x), atol=1e-8)


def test_that_the_grid_gives_the_values_of_the_points():
    fitted = fit_polynomial(RNG.uniform(0, 50, (2, 40)), RNG.normal(size=40), 3)
    y, x = np.arange(7.0), np.arange(11.0) * 3
    np.testing.assert_allclose(fitted.on_grid(y, x), fitted(*np.meshgrid(y, x, indexing="ij")), rtol=1e-12)


def test_that_missing_points_do_not_take_part():
    x = np.arange(10.0)
    values = 2 + 3 * x
    values[4] = np.nan
    assert fit_polynomial(x, values, 1)(100.0) == pytest.approx(302)


def test_that_weights_pull_the_fit_to_heavy_points():
    fitted = fit_polynomial([0.0, 1.0, 1.0], [0.0, 1.0, 3.0], 0, weights=[0.0, 3.0, 1.0])
    assert fitted(0.0) == pytest.approx(1.5)


def test_that_a_fit_to_nothing_is_refused():
    with pytest.raises(ValueError, match="no finite point"):
        fit_polynomial([0.0], [np.nan], 1)


def test_that_products_of_powers_run_fastest_in_the_last_coordinate():
    assert list_products((1, 2)) == ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2))


@given(st.floats(-500, 500), st.floats(0.1, 300))
def test_that_plain_coefficients_give_the_same_polynomial(origin, width):
    points = origin + width * RNG.uniform(-1, 1, (2, 30))
    fitted = fit_polynomial(points, RNG.normal(size=30), 0, exponents=list_products((2, 1)))
    plain = fitted.expand()
    y, x = points[:, 3]
    value = sum(plain[i, j] * y**i * x**j for i in range(3) for j in range(2))
    largest = sum(abs(plain[i, j] * y**i * x**j) for i in range(3) for j in range(2))
    assert value == pytest.approx(float(fitted(y, x)), abs=1e-12 * largest + 1e-12)


def test_that_outliers_are_left_out_of_a_robust_surface():
    points = RNG.uniform(0, 100, (2, 200))
    values = 3 + 0.1 * points[0] - 0.02 * points[1] + RNG.normal(0, 1e-3, 200)
    values[::9] += 5
    fit = fit_polynomial_robustly(points, values, 1, 5.0)
    assert not fit.used[::9].any()
    assert fit.polynomial(50.0, 50.0) == pytest.approx(7.0, abs=1e-3)
    assert fit.rms == pytest.approx(1e-3, rel=0.2)


def test_that_weights_count_in_robust_fits():
    fit = fit_polynomial_robustly(np.arange(4.0), [0.0, 0.0, 1.0, 1.0], 0, 100.0, [3.0, 3.0, 1.0, 1.0])
    assert fit.polynomial(0.0) == pytest.approx(0.25)


def test_that_a_robust_fit_to_too_few_points_is_refused():
    with pytest.raises(ValueError, match="only 2 points"):
        fit_polynomial_robustly([0.0, 1.0, 2.0], [1.0, 2.0, np.nan], 2, 5.0)
