from __future__ import annotations

import numpy as np
import pytest

from sofia_engine.spectroscopy.background import estimate_background_errors, fit_background

SLIT = 0.768 * np.arange(50)
REGION = np.zeros((50, 30), dtype=bool)
REGION[5:15], REGION[35:45] = True, True


def test_that_a_constant_background_is_found_despite_a_source():
    image = np.full((50, 30), 3.0)
    image[20:30] += 100
    found = fit_background(image, np.ones((50, 30)), SLIT, REGION)
    np.testing.assert_allclose(found.flux, 3.0)
    np.testing.assert_allclose(found.variance, 1 / 20)


def test_that_outliers_in_the_region_do_not_count():
    image = np.random.default_rng(0).normal(0, 1, (50, 30))
    clean = fit_background(image, np.ones((50, 30)), SLIT, REGION)
    image[7, 4] = 1e4
    spoiled = fit_background(image, np.ones((50, 30)), SLIT, REGION)
    assert abs(spoiled.flux[0, 4] - clean.flux[0, 4]) < 0.5
    assert spoiled.variance[0, 4] > clean.variance[0, 4]


def test_that_a_sloping_background_is_followed():
    image = (2 + 0.1 * SLIT)[:, np.newaxis] * np.linspace(1, 2, 30)
    found = fit_background(image, np.ones((50, 30)), SLIT, REGION, 1)
    np.testing.assert_allclose(found.flux, image, rtol=1e-9)


@pytest.mark.parametrize("degree", [0, 1, 2])
def test_that_the_quoted_variance_is_the_scatter(degree):
    rng = np.random.default_rng(1)
    region = np.zeros((50, 4000), dtype=bool)
    region[5:15], region[35:45] = True, True
    variance = np.broadcast_to(np.linspace(1, 3, 50)[:, np.newaxis], region.shape)
    found = fit_background(rng.normal(0, np.sqrt(variance)), variance, SLIT, region, degree)
    pull = found.flux / np.sqrt(found.variance)
    np.testing.assert_allclose(pull.std(axis=1), 1.0, atol=0.05)


def test_that_columns_with_too_few_pixels_are_left_alone():
    image = np.ones((50, 30))
    image[6:15, 3], image[35:45, 3] = np.nan, np.nan
    found = fit_background(image, np.ones((50, 30)), SLIT, REGION)
    np.testing.assert_array_equal(np.flatnonzero(found.failed), [3])
    assert found.flux[0, 3] == 0
    assert found.variance[0, 3] == 0


def test_that_pixels_without_variance_do_not_take_part():
    image, variance = np.ones((50, 30)), np.ones((50, 30))
    image[5:10], variance[5:10] = 7.0, 0.0
    np.testing.assert_allclose(fit_background(image, variance, SLIT, REGION).flux, 1.0)


def test_that_errors_are_estimated_again_from_the_subtracted_image():
    found = fit_background(np.ones((50, 30)), np.ones((50, 30)), SLIT, REGION)
    again = estimate_background_errors(np.ones((50, 30)) + found.variance, SLIT, REGION)
    np.testing.assert_allclose(again.variance(SLIT).T, found.variance * 21 / 20, rtol=1e-9)
