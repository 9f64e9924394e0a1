from __future__ import annotations

import numpy as np
import pytest

from sofia_engine.errors import StepError
from sofia_engine.spectroscopy.aperture_mask import make_aperture_mask
from sofia_engine.spectroscopy.apertures import Aperture
from sofia_engine.spectroscopy.calibration import (
    Response,
    add_response_error,
    calibrate,
    estimate_sampling_error,
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


def test_that_the_sampling_error_is_what_blur_does_to_a_parabola():
    """Blur of variance v adds v/2 times the second derivative, exactly for a parabola."""
    x = np.arange(-5.0, 6.0)
    curve = 100 + 3 * x**2
    share = estimate_sampling_error(curve, 0.08)
    np.testing.assert_allclose(share[1:-1], (0.08 / 2 * 6 / curve)[1:-1], rtol=1e-12)
    assert share[0] == share[-1] == 0
    assert estimate_sampling_error(-curve, 0.08)[5] == share[5]


def test_that_the_sampling_error_of_what_is_missing_is_zero():
    curve = np.array([1.0, 2.0, np.nan, 4.0, 0.0, 1.0, 3.0])
    share = estimate_sampling_error(curve, 1.0)
    assert np.isfinite(share).all()
    assert (share[1:5] == 0).all()
    assert (estimate_sampling_error(np.arange(9.0) ** 2, 0.0) == 0).all()
