"""Least squares between bounds: known minima, held parameters, covariance."""

import numpy as np
import pytest

from sofia_engine.numerics.least_squares import fit_least_squares

X = np.linspace(0, 5, 60)
FREE = ([-np.inf] * 2, [np.inf] * 2)


def decay(p):
    return p[0] * np.exp(-p[1] * X)


def decay_slopes(p):
    return np.array([np.exp(-p[1] * X), -p[0] * X * np.exp(-p[1] * X)])


def fit_decay(values, start, bounds=FREE, **options):
    return fit_least_squares(lambda p: decay(p) - values, decay_slopes, start, bounds, **options)


def test_that_the_minimum_of_the_rosenbrock_function_is_found():
    fit = fit_least_squares(
        lambda p: np.array([10 * (p[1] - p[0] ** 2), 1 - p[0]]),
        lambda p: np.array([[-20 * p[0], -1.0], [10.0, 0.0]]),
        [-1.2, 1.0],
        FREE,
    )
    assert fit.converged
    np.testing.assert_allclose(fit.parameters, [1, 1], atol=1e-5)


def test_that_a_line_has_the_covariance_of_linear_least_squares():
    sigma = 0.3
    rng = np.random.default_rng(4)
    values = 2.0 + 0.5 * X + rng.normal(0, sigma, X.size)
    design = np.array([np.ones_like(X), X])
    fit = fit_least_squares(lambda p: (p @ design - values) / sigma, lambda _: design / sigma, [0, 0], FREE)
    expected, covariance = np.polyfit(X, values, 1, w=np.full(X.size, 1 / sigma), cov="unscaled")
    np.testing.assert_allclose(fit.parameters, expected[::-1], rtol=1e-6)
    np.testing.assert_allclose(fit.covariance, covariance[::-1, ::-1], rtol=1e-9)


@pytest.mark.parametrize(
    ("bounds", "expected_rate"),
    [(([0, 0.0], [9, 0.5]), 0.5), (([0, 1.5], [9, 3.0]), 1.5), (([0, 0.0], [9, 3.0]), 1.0)],
    ids=["upper", "lower", "inside"],
)
def test_that_the_minimum_between_bounds_is_the_one_of_a_general_solver(bounds, expected_rate):
    from scipy.optimize import least_squares

    values = decay([3.0, 1.0])
    fit = fit_decay(values, [1.0, 2.0], bounds)
    expected = least_squares(lambda p: decay(p) - values, [1.0, 0.5 * sum(b[1] for b in bounds)], bounds=bounds)
    assert fit.converged
    assert fit.parameters[1] == pytest.approx(expected_rate)
    np.testing.assert_allclose(fit.parameters, expected.x, rtol=1e-4)
    assert fit.chi_square <= 2 * expected.cost * (1 + 1e-8) + 1e-12


def test_that_a_start_outside_the_bounds_is_moved_inside():
    fit = fit_decay(decay([3.0, 1.0]), [-50.0, 99.0], ([0.5, 0.1], [9, 3.0]))
    np.testing.assert_allclose(fit.parameters, [3.0, 1.0], rtol=1e-5)


def test_that_iterations_that_end_too_early_are_told():
    assert not fit_decay(decay([3.0, 1.0]), [1.0, 2.5], max_iterations=1).converged


def test_that_parameters_without_influence_have_no_covariance():
    fit = fit_least_squares(lambda p: p[0] - X, lambda _: np.array([np.ones_like(X), np.zeros_like(X)]), [0, 7], FREE)
    assert fit.converged
    np.testing.assert_allclose(fit.parameters, [X.mean(), 7])
    assert fit.covariance[0, 0] == pytest.approx(1 / X.size)
    assert np.isnan(fit.covariance[1]).all()


def test_that_residuals_that_are_not_finite_do_not_converge():
    assert not fit_decay(np.full(X.size, np.nan), [1.0, 1.0]).converged


def test_that_the_start_is_not_changed():
    start = np.array([1.0, 2.0])
    fit_decay(decay([3.0, 1.0]), start)
    np.testing.assert_array_equal(start, [1.0, 2.0])
