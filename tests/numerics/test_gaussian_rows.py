from __future__ import annotations

import numpy as np
import pytest

from sofia_engine.numerics.gaussian_rows import GaussianLimits, find_row_peaks, fit_gaussian_rows

X = np.arange(0.0, 80.0, 0.768)


def gaussian(x, amplitude, center, sigma):
    return amplitude * np.exp(-0.5 * ((x - center) / sigma) ** 2)


def test_that_noiseless_gaussians_are_recovered():
    centers, sigmas = np.linspace(30, 40, 11), np.linspace(1.0, 3.0, 11)
    values = np.stack(
        [gaussian(X, -2.0 if k % 2 else 3.0, c, s) + k for k, (c, s) in enumerate(zip(centers, sigmas, strict=True))]
    )
    fit = fit_gaussian_rows(X, values, 35.0, 2.0)
    near = np.abs(centers - 35) < 3
    assert fit.converged[near].all()
    np.testing.assert_allclose(fit.center[near, 0], centers[near], atol=1e-6)
    np.testing.assert_allclose(fit.sigma[near, 0], sigmas[near], atol=1e-6)
    np.testing.assert_allclose(fit.constant[near], np.arange(11)[near], atol=1e-6)


def test_that_close_pairs_are_separated_by_a_common_fit():
    values = gaussian(X, 5.0, 30.0, 2.0) + gaussian(X, -3.0, 35.0, 1.5) + 0.2
    fit = fit_gaussian_rows(X, values[np.newaxis], [29.5, 35.5], [2.0, 2.0])
    np.testing.assert_allclose(fit.center[0], [30, 35], atol=1e-5)
    np.testing.assert_allclose(fit.amplitude[0], [5, -3], atol=1e-5)


@pytest.mark.parametrize("weighted", [True, False])
def test_that_the_error_of_the_centre_is_its_scatter(weighted):
    rng = np.random.default_rng(0)
    values = gaussian(X, 10.0, 40.3, 1.5) + rng.normal(0, 0.5, (800, X.size))
    weights = np.full(values.shape, 4.0) if weighted else None
    fit = fit_gaussian_rows(X, values, 40.0, 1.5, weights=weights)
    pull = (fit.center[:, 0] - 40.3) / fit.center_error[:, 0]
    assert np.std(pull) == pytest.approx(1.0, abs=0.1)
    assert abs(np.mean(pull)) < 0.15


def test_that_limits_are_kept():
    values = gaussian(X, 1.0, 50.0, 4.0)[np.newaxis]
    fit = fit_gaussian_rows(X, values, 47.0, 1.0, limits=GaussianLimits((45.0, 48.0), (0.5, 2.0)))
    assert 45.0 <= fit.center[0, 0] <= 48.0
    assert 0.5 <= fit.sigma[0, 0] <= 2.0


def test_that_rows_without_data_are_not_converged():
    values = np.full((2, X.size), np.nan)
    values[1] = gaussian(X, 1.0, 40.0, 2.0)
    fit = fit_gaussian_rows(X, values, 40.0, 2.0)
    np.testing.assert_array_equal(fit.converged, [False, True])
    assert np.isnan(fit.center[0, 0])


def test_that_peaks_of_both_signs_are_found_by_brightness():
    values = gaussian(X, 4.0, 20.0, 1.3) + gaussian(X, -9.0, 55.0, 1.6) + 0.5
    found = find_row_peaks(X, values, 2, 1.3)
    np.testing.assert_allclose(found.center[0], [55, 20], atol=1e-4)
    np.testing.assert_allclose(found.amplitude[0], [-9, 4], atol=1e-4)


def test_that_a_guess_leads_to_the_fainter_peak():
    values = gaussian(X, 4.0, 20.0, 1.3) + gaussian(X, 9.0, 55.0, 1.6)
    assert find_row_peaks(X, values, 1, 1.3, guesses=[20.5]).center[0, 0] == pytest.approx(20.0, abs=0.1)


def test_that_four_points_are_too_few_to_find_a_peak():
    with pytest.raises(ValueError, match="fewer than 5"):
        find_row_peaks(X, np.where(np.arange(X.size) < 4, 1.0, np.nan), 1, 1.0)
