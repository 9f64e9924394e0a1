from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_engine.numerics.polynomials import evaluate_monomials, fit_polynomial, list_exponents

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
