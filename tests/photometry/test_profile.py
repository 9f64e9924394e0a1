"""Fits of profiles: known parameters, bounds, errors against simulations and a general solver."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sofia_engine.photometry.profile import PROFILES, evaluate_profile, fit_profile, make_start

TRUTH = (0.5, 100.0, 51.3, 48.6, 6.0, 3.0, 0.3, 3.0)
SHAPE = (100, 100)


def fit(image, profile="moffat", error=None, largest_width=50.0):
    return fit_profile(image, error, profile, make_start(profile, image, 50.0, 50.0, 5.0), largest_width=largest_width)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("angle", [0.0, 0.3, -0.6])
@pytest.mark.parametrize("widths", [(6.0, 3.0), (3.0, 6.0), (5.0, 4.9)])
def test_that_parameters_of_a_drawn_profile_are_recovered(draw, profile, angle, widths):
    truth = (0.5, 100.0, 51.3, 48.6, *widths, angle, 3.0)
    found = fit(draw(profile, truth, SHAPE), profile)
    n = PROFILES[profile].n_parameters
    assert found.converged
    np.testing.assert_allclose(found.parameters[:n], truth[:n], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("profile", "flux", "width"),
    [
        ("moffat", math.pi * 100 * 18 / 2, 2 * math.sqrt(2 ** (1 / 3) - 1)),
        ("gaussian", 2 * math.pi * 100 * 18, 2 * math.sqrt(2 * math.log(2))),
    ],
)
def test_that_flux_and_width_are_those_of_the_function(draw, profile, flux, width):
    found = fit(draw(profile, TRUTH, SHAPE), profile)
    assert found.flux.value == pytest.approx(flux, rel=1e-4)
    assert found.fwhm_x.value == pytest.approx(6 * width, rel=1e-4)
    assert found.fwhm_y.value == pytest.approx(3 * width, rel=1e-4)


def test_that_the_flux_of_a_gaussian_is_the_sum_of_its_pixels(draw):
    image = draw("gaussian", (0.0, *TRUTH[1:]), SHAPE)
    assert fit(image, "gaussian").flux.value == pytest.approx(image.sum(), rel=1e-6)


def test_that_the_lorentzian_has_a_width_but_no_flux(draw):
    found = fit(draw("lorentzian", TRUTH, SHAPE), "lorentzian")
    assert found.fwhm_x.value == pytest.approx(12.0, rel=1e-4)
    assert math.isnan(found.flux.value)
    assert math.isnan(found.power_law.value)


@pytest.mark.parametrize("degrees", [0, 30, 44, 46, 80, 100, 134, 136, 170])
def test_that_the_angle_is_the_one_of_the_major_axis(draw, degrees):
    found = fit(draw("moffat", (*TRUTH[:6], math.radians(degrees), 3.0), SHAPE))
    assert (found.angle.value - degrees + 90) % 180 - 90 == pytest.approx(0.0, abs=1e-3)
    assert 0 <= found.angle.value < 180
    major_is_x = degrees < 45 or degrees > 135
    assert (found.fwhm_x.value > found.fwhm_y.value) == major_is_x


@pytest.mark.parametrize(("beta", "expected"), [(1.5, 2.0), (9.0, 6.0)])
def test_that_the_power_law_stays_between_its_bounds(draw, beta, expected):
    found = fit(draw("moffat", (*TRUTH[:7], beta), SHAPE))
    assert found.converged
    assert found.power_law.value == expected


@pytest.mark.parametrize("beta", [3.0, 9.0])
def test_that_the_fit_is_the_one_of_a_general_solver(draw, beta):
    from scipy.optimize import curve_fit

    rng = np.random.default_rng(3)
    y, x = np.indices(SHAPE, dtype=float)
    error = rng.uniform(0.5, 2.0, SHAPE)
    image = draw("moffat", (*TRUTH[:7], beta), SHAPE) + rng.normal(0, error)
    expected, covariance = curve_fit(
        lambda _, *p: evaluate_profile("moffat", np.array(p), x.ravel(), y.ravel()),
        np.zeros(x.size),
        image.ravel(),
        make_start("moffat", image, 50.0, 50.0, 5.0),
        error.ravel(),
        absolute_sigma=True,
        bounds=([-np.inf, -np.inf, 0, 0, 0, 0, -np.pi / 2, 2], [np.inf, np.inf, 99, 99, 50, 50, np.pi / 2, 6]),
        xtol=1e-12,
        ftol=1e-12,
    )
    found = fit(image, error=error)
    errors = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(found.parameters, expected, rtol=1e-4, atol=1e-3 * errors.min())
    np.testing.assert_allclose(np.sqrt(np.diag(found.covariance)), errors, rtol=0.01)


@pytest.mark.parametrize("weighted", [True, False])
def test_that_quoted_errors_are_the_scatter_of_simulations(draw, weighted):
    rng = np.random.default_rng(11)
    shape, truth = (50, 50), np.array([0.5, 100.0, 25.3, 24.6, 6.0, 3.5, 0.3, 3.0])
    model, pulls = draw("moffat", tuple(truth), shape), []
    error = np.full(shape, 2.0)
    for _ in range(150):
        found = fit_profile(
            model + rng.normal(0, error), error if weighted else None, "moffat", truth, largest_width=25.0
        )
        measured = [found.x, found.y, found.peak, found.background, found.fwhm_x, found.fwhm_y, found.flux]
        expected = [25.3, 24.6, 100.0, 0.5, 6 * 1.019623, 3.5 * 1.019623, math.pi * 100 * 21 / 2]
        pulls.append([(m.value - e) / m.error for m, e in zip(measured, expected, strict=True)])
    np.testing.assert_allclose(np.std(pulls, axis=0), 1.0, atol=0.2)
    np.testing.assert_allclose(np.mean(pulls, axis=0), 0.0, atol=0.35)


@settings(max_examples=20, deadline=None)
@given(st.floats(1e-3, 1e3), st.floats(-0.4, 0.4), st.floats(-0.4, 0.4))
def test_that_the_fit_follows_scale_and_shift(scale, dx, dy):
    y, x = np.indices((60, 60), dtype=float)
    truth = np.array([0.5, 100.0, 30.0, 29.0, 6.0, 4.0, 0.3, 3.0])
    moved = truth + np.array([0, 0, dx, dy, 0, 0, 0, 0])
    image = scale * evaluate_profile("moffat", moved, x, y)
    found = fit_profile(image, None, "moffat", make_start("moffat", image, 30, 29, 5.0), largest_width=30.0)
    assert found.x.value == pytest.approx(30 + dx, abs=1e-3)
    assert found.y.value == pytest.approx(29 + dy, abs=1e-3)
    assert found.flux.value == pytest.approx(scale * math.pi * 100 * 24 / 2, rel=1e-3)


def test_that_bad_pixels_and_bad_errors_are_left_out(draw):
    image = draw("moffat", TRUTH, SHAPE)
    error = np.ones(SHAPE)
    image[40, 40], error[40, 40] = 1e6, 0.0
    image[41, 40], error[41, 40] = 1e6, np.nan
    image[42, 40], error[42, 40] = 1e6, -1.0
    image[60, 50] = np.nan
    found = fit(image, error=error)
    np.testing.assert_allclose(found.parameters, TRUTH, rtol=1e-4)


def test_that_origin_is_added_to_positions(draw):
    image = draw("moffat", TRUTH, SHAPE)
    start = make_start("moffat", image, 250.0, 350.0, 5.0)
    found = fit_profile(image, None, "moffat", start, origin=(200, 300), largest_width=50.0)
    assert (found.x.value, found.y.value) == (pytest.approx(251.3), pytest.approx(348.6))


@pytest.mark.parametrize(
    "image",
    [np.full((20, 20), np.nan), np.pad(np.full((1, 2), 1.0), 9, constant_values=np.nan), -np.ones((20, 20))],
    ids=["nothing", "two pixels", "constant"],
)
def test_that_images_without_a_source_fail(image):
    found = fit_profile(image, None, "moffat", np.array([0, 1.0, 10, 10, 2, 2, 0, 3]), largest_width=10.0)
    assert not found.converged
    assert (found.x.value, found.y.value) == (10, 10)
    assert math.isnan(found.flux.value)
    assert math.isnan(found.fwhm_x.error)


def test_that_the_angle_of_a_round_source_is_unknown(draw):
    found = fit(draw("gaussian", (0.5, 100.0, 50.0, 50.0, 4.0, 4.0, 0.0, 3.0), SHAPE), "gaussian")
    assert found.converged
    assert found.fwhm_x.value == pytest.approx(found.fwhm_y.value, rel=1e-6)
    assert not found.angle.error < 1.0
    assert found.flux.error < 1.0
