from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_engine.numerics.fitting import FWHM_TO_SIGMA, fit_gaussian


def elliptical(x, y, major, minor, angle, shape=(61, 61)):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    u, v = (columns - x) * cosine + (rows - y) * sine, -(columns - x) * sine + (rows - y) * cosine
    return np.exp(-0.5 * ((u / major) ** 2 + (v / minor) ** 2) / FWHM_TO_SIGMA**2)


@given(st.floats(20, 40), st.floats(20, 40), st.floats(6, 10), st.floats(3, 5), st.floats(-80, 80))
def test_that_an_elliptical_gaussian_is_recovered(x, y, major, minor, angle):
    fit = fit_gaussian(4 * elliptical(x, y, major, minor, angle) - 1.5, 30 + (x - 30) * 0.8, 30 + (y - 30) * 0.8, 5.0)
    assert fit.converged
    found = (fit.x, fit.y, fit.height, fit.background, fit.fwhm_major, fit.fwhm_minor, fit.angle)
    np.testing.assert_allclose(found, (x, y, 4, -1.5, major, minor, angle), atol=1e-3)


def test_that_missing_pixels_do_not_move_the_centre():
    image = elliptical(30.4, 29.7, 6, 5, 20)
    image[28:31, 33:38] = np.nan
    fit = fit_gaussian(image, 30, 30, 5)
    assert (fit.x, fit.y) == pytest.approx((30.4, 29.7), abs=1e-5)


def test_that_the_error_of_the_centre_is_its_scatter():
    rng, truth = np.random.default_rng(1), elliptical(30.4, 29.7, 6, 5, 20)
    fits = [fit_gaussian(truth + rng.normal(0, 0.05, truth.shape), 30, 30, 5) for _ in range(120)]
    assert np.std([fit.x for fit in fits]) == pytest.approx(np.mean([fit.x_error for fit in fits]), rel=0.2)
    assert np.std([fit.y for fit in fits]) == pytest.approx(np.mean([fit.y_error for fit in fits]), rel=0.2)


def test_that_an_empty_image_gives_no_fit():
    assert not fit_gaussian(np.full((9, 9), np.nan), 4, 4, 4).converged
