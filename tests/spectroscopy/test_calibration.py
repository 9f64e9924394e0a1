from __future__ import annotations

import numpy as np
import pytest

from sofia_engine.errors import StepError
from sofia_engine.spectroscopy.aperture_mask import make_aperture_mask
from sofia_engine.spectroscopy.apertures import Aperture
from sofia_engine.spectroscopy.calibration import (
    LARGEST_SAMPLING,
    Response,
    add_response_error,
    calibrate,
    estimate_sampling,
    find_calibration_error,
    interpolate_response,
    separate_response_error,
    spread_responses,
)
from sofia_engine.spectroscopy.combination import make_response


def test_that_flux_is_divided_by_transmission_and_response():
    flux, error = calibrate([6.0], [0.3], [0.5], Response(np.array([4.0]), np.array([0.2])))
    assert flux[0] == pytest.approx(3.0)
    # sqrt((0.3 / 0.5)**2 + (0.2 * 3)**2) / 4
    assert error[0] == pytest.approx(np.sqrt(0.6**2 + 0.6**2) / 4)


def test_that_the_quoted_error_is_the_scatter():
    rng = np.random.default_rng(0)
    true, transmission, response = 5.0, 0.8, 0.3
    raw = true * transmission * response + rng.normal(0, 0.02, 20_000)
    used = response + rng.normal(0, 0.003, 20_000)
    values, errors = calibrate(
        raw, np.full(20_000, 0.02), np.full(20_000, transmission), Response(used, np.full(20_000, 0.003))
    )
    assert ((values - true) / errors).std() == pytest.approx(1.0, abs=0.05)


def test_that_images_are_calibrated_row_by_row():
    image = np.ones((3, 4))
    flux, error = calibrate(image, image, np.array([1.0, 0.5, 0.25, 0.0]), Response.unity(4))
    np.testing.assert_array_equal(flux[1], [1, 2, 4, np.nan])
    np.testing.assert_array_equal(error[2], [1, 2, 4, np.nan])


def test_that_missing_response_gives_missing_flux():
    flux, error = calibrate([1.0, 1.0], [1.0, 1.0], [1.0, np.nan], Response(np.array([np.nan, 1.0]), np.zeros(2)))
    assert np.isnan(flux).all()
    assert np.isnan(error).all()


def test_that_the_response_is_missing_outside_its_range():
    got = interpolate_response([5.0, 6.0, 7.0], [1.0, 3.0, np.nan], [0.1, 0.3, np.nan], [4.9, 5.5, 6.0, 6.5, 7.1])
    np.testing.assert_allclose(got.values, [np.nan, 2.0, 3.0, np.nan, np.nan])
    np.testing.assert_allclose(got.error, [np.nan, 0.2, 0.3, np.nan, np.nan])


def test_that_each_aperture_may_have_a_response_of_its_own():
    got = interpolate_response([5.0, 6.0], [[1.0, 3.0], [2.0, 6.0]], np.zeros((2, 2)), [5.5])
    np.testing.assert_allclose(got.values, [[2.0], [4.0]])
    mask = make_aperture_mask(np.arange(20.0), [[5.0], [14.0]], [Aperture(5, 1, 3, 1, 2), Aperture(14, 1, 3, 1, 2)])
    image = spread_responses(mask, got)
    assert image.values[5, 0] == 2.0
    assert image.values[14, 0] == 4.0
    assert image.values[0, 0] == 2.0


def test_that_one_response_serves_all_apertures():
    mask = make_aperture_mask(np.arange(20.0), [[5.0], [14.0]], [Aperture(5, 1, 3, 1, 2), Aperture(14, 1, 3, 1, 2)])
    np.testing.assert_array_equal(spread_responses(mask, Response(np.array([2.0]), np.zeros(1))).values, 2.0)


def test_that_the_systematic_error_is_relative_to_the_mean_response():
    response = Response(np.array([1.0, 3.0, np.nan]), np.zeros(3))
    assert find_calibration_error(response, 0.1) == pytest.approx(0.05)
    assert find_calibration_error(response, None) is None
    with pytest.raises(StepError, match="does not cover"):
        find_calibration_error(Response(np.full(3, np.nan), np.zeros(3)), 0.1)


def test_that_a_response_made_of_a_standard_gives_its_flux_back():
    rng = np.random.default_rng(1)
    model = rng.uniform(50, 100, 30)
    truth = Response(rng.uniform(0.1, 0.3, 30), np.full(30, 0.01))
    raw, transmission = model * truth.values * 0.7, np.full(30, 0.7)
    flux, error = calibrate(raw, np.full(30, 0.1), transmission, truth)
    values, spread = make_response(flux, error, truth, model)
    np.testing.assert_allclose(values, truth.values)
    np.testing.assert_allclose(spread, 0.1 / 0.7 / model)  # the error of the old response is taken out again
    again, _ = calibrate(raw, np.full(30, 0.1), transmission, Response(values, spread))
    np.testing.assert_allclose(again, model)


def test_that_the_error_of_the_response_can_be_taken_out_and_put_back():
    flux, noise, share = np.array([3.0, -2.0, np.nan]), np.array([0.1, 0.2, 0.3]), np.array([0.05, 0.1, 0.1])
    total = add_response_error(flux, noise, share)
    np.testing.assert_allclose(total[:2], np.sqrt([0.01 + 0.0225, 0.04 + 0.04]))
    np.testing.assert_allclose(separate_response_error(flux, total, share)[:2], noise[:2])
    np.testing.assert_array_equal(separate_response_error([1.0], [0.01], [0.5]), [0.0])
    calibrated, error = calibrate([2.0], [0.1], [0.5], Response(np.array([4.0]), np.array([0.2])))
    np.testing.assert_allclose(separate_response_error(calibrated, error, 0.05), [0.1 / 2.0])


def test_that_sampling_is_what_blur_does_to_a_parabola():
    """Blur of variance v adds v/2 times the second derivative, exactly for a parabola."""
    x = np.arange(-5.0, 6.0)
    curve = 100 + 3 * x**2
    share = estimate_sampling(curve, 0.08)
    np.testing.assert_allclose(share.change[2:-2], (0.08 / 2 * 6 / curve)[2:-2], rtol=1e-12)
    assert (share.change[[0, 1, -2, -1]] == 0).all()
    np.testing.assert_array_equal(estimate_sampling(-curve, 0.08).change, share.change)
    image = estimate_sampling(curve, np.outer([0.08, 0.0, -0.08], np.ones(11)))
    np.testing.assert_array_equal(image.change, [share.change, 0 * share.change, -share.change])
    np.testing.assert_allclose(image.error, np.abs(image.change) / 3)


def test_that_calibration_takes_back_what_blur_did_to_a_line_of_the_atmosphere():
    """Columns that are means of two neighbours, and such that are not, of a spectrum sharper than both."""
    x = np.arange(-40.0, 41.0)

    def through(sigma):
        return 1 - 0.2 / sigma * np.exp(-0.5 * (x / sigma) ** 2)

    phase = 0.5 * (1 + np.sin(x / 5))
    blur = phase * (1 - phase)
    raw = np.array([through(np.sqrt(1.5**2 + extra))[k] for k, extra in enumerate(blur)])
    mean = through(np.sqrt(1.5**2 + blur.mean()))
    (plain, least), (followed, error) = (
        calibrate(raw, 0.001 * raw, mean, Response.unity(x.size), sampling)
        for sampling in (None, estimate_sampling(mean, blur - blur.mean()))
    )
    assert np.abs(plain - 1).max() > 0.003
    assert np.abs(followed - 1).max() < 0.1 * np.abs(plain - 1).max()
    np.testing.assert_allclose(error[20:60], np.hypot(least, (plain - 1) / 3)[20:60], atol=2e-4)


def test_that_sampling_of_what_is_missing_is_not_known_and_beside_opaque_bands_bounded():
    curve = np.array([1.0, 2.0, np.nan, 4.0, 0.0, 1.0, 3.0, 3.0])
    share = estimate_sampling(curve, 1.0).change
    assert np.isfinite(share).all()
    assert (share[:5] == 0).all()
    for nothing in (estimate_sampling(np.arange(9.0) ** 2, 0.0), estimate_sampling(np.arange(9.0), np.full(9, np.nan))):
        assert (nothing.change == 0).all()
        assert (nothing.error == 0).all()
    steep = estimate_sampling(np.abs(np.arange(-10.0, 11.0)) + 0.1, [[0.2], [-0.2]])
    assert np.abs(steep.change).max() == LARGEST_SAMPLING
    assert steep.error.max() > 10 * LARGEST_SAMPLING
