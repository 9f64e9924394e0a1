from __future__ import annotations

import numpy as np
import pytest

from sofia_engine.numerics.polynomials import fit_polynomial_robustly
from sofia_engine.numerics.row_polynomials import fit_rows

X = np.linspace(5.1, 8.0, 120)


def test_that_each_row_gets_its_own_polynomial():
    coefficients = np.random.default_rng(1).normal(size=(7, 4))
    values = np.polynomial.polynomial.polyval(X, coefficients.T)
    np.testing.assert_allclose(fit_rows(X, values, 3)(X), values, rtol=1e-9, atol=1e-7)


def test_that_rows_agree_with_single_robust_fits():
    rng = np.random.default_rng(2)
    values = np.sin(X) + rng.normal(0, 0.05, (20, X.size))
    values[rng.random(values.shape) < 0.1] += 3
    values[rng.random(values.shape) < 0.05] = np.nan
    fits = fit_rows(X, values, 3, threshold=4.0)
    for row, fitted, used in zip(values, fits(X), fits.used, strict=True):
        single = fit_polynomial_robustly(X, row, 3, 4.0)
        np.testing.assert_allclose(fitted, single.polynomial(X), rtol=1e-9)
        np.testing.assert_array_equal(used, single.used)


def test_that_outliers_do_not_move_the_fit():
    values = np.tile(2 + 3 * X, (2, 1))
    values[1, ::10] = 1e4
    fits = fit_rows(X, values + np.random.default_rng(3).normal(0, 1e-3, values.shape), 1, threshold=5.0)
    np.testing.assert_allclose(fits(X), np.tile(2 + 3 * X, (2, 1)), atol=2e-3)
    assert not fits.used[1, ::10].any()


def test_that_the_mask_holds_in_every_round():
    values = np.tile(X, (1, 1))
    mask = np.ones_like(values, dtype=bool)
    mask[0, :60] = False
    assert not fit_rows(X, values, 1, threshold=5.0, mask=mask).used[0, :60].any()


def test_that_positions_may_differ_from_row_to_row():
    rng = np.random.default_rng(4)
    x = rng.uniform(0, 1, (5, 30))
    np.testing.assert_allclose(fit_rows(x, 4 - 2 * x, 1)(x), 4 - 2 * x, rtol=1e-10)


def test_that_rows_with_too_few_points_are_missing():
    values = np.tile(X, (3, 1))
    values[1, 3:] = np.nan
    values[2] = np.nan
    fits = fit_rows(X, values, 3, threshold=5.0)
    np.testing.assert_array_equal(fits.failed, [False, True, True])
    assert np.isnan(fits(X)[1:]).all()


def test_that_a_constant_position_gives_the_mean():
    fits = fit_rows(np.ones((1, 4)), np.array([[1.0, 2.0, 3.0, 4.0]]), 1)
    assert fits(np.ones(1))[0, 0] == pytest.approx(2.5)


@pytest.mark.parametrize("degree", [0, 1, 2])
def test_that_the_variance_is_the_scatter_of_the_fits(degree):
    rng = np.random.default_rng(5)
    error = np.linspace(0.5, 2.0, X.size)
    values = rng.normal(0, error, (3000, X.size))
    fits = fit_rows(X, values, degree, weights=np.broadcast_to(1 / error**2, values.shape))
    np.testing.assert_allclose(fits(X).std(axis=0), np.sqrt(fits.variance(X)[0]), rtol=0.06)


def test_that_points_without_weight_do_not_take_part():
    values = np.array([[1.0, 1.0, 50.0, np.inf]])
    fits = fit_rows(np.arange(4.0), values, 0, weights=np.array([[1.0, 1.0, 0.0, 1.0]]))
    assert fits(np.zeros(1))[0, 0] == pytest.approx(1.0)


def test_that_the_input_is_unchanged():
    values = np.tile(X, (2, 1))
    values[0, 3] = np.nan
    before = values.copy()
    fit_rows(X, values, 2, threshold=3.0)
    np.testing.assert_array_equal(values, before)
