from __future__ import annotations

import numpy as np
import pytest

from sofia_engine.numerics.derivatives import differentiate

X = np.arange(12.0)


@pytest.mark.parametrize(("order", "degree"), [(1, 4), (2, 5)])
def test_that_derivatives_of_polynomials_are_exact(order, degree):
    curve = np.polynomial.Polynomial(np.arange(1.0, degree + 2) / 5 ** np.arange(degree + 1))
    found = differentiate(curve(X), order)
    np.testing.assert_allclose(found[2:-2], curve.deriv(order)(X)[2:-2], rtol=1e-11)
    assert (found[[0, 1, -2, -1]] == 0).all()


def test_that_any_axis_can_be_derived_along():
    image = np.sin(X)[:, np.newaxis] * np.arange(1.0, 4.0)
    np.testing.assert_array_equal(differentiate(image, 1, axis=0), differentiate(image.T, 1).T)


def test_that_derivatives_beside_missing_values_are_zero():
    curve = X**2
    curve[6] = np.nan
    before = curve.copy()
    found = differentiate(curve, 2)
    np.testing.assert_allclose(found, [0, 0, 2, 2, 0, 0, 0, 0, 0, 2, 0, 0], atol=1e-12)
    np.testing.assert_array_equal(curve, before)


@pytest.mark.parametrize("count", range(5))
def test_that_fewer_than_five_samples_have_no_derivative(count):
    np.testing.assert_array_equal(differentiate(np.arange(float(count)), 2), np.zeros(count))
