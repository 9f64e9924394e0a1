from __future__ import annotations

import numpy as np
import pytest

from sofia_engine.errors import StepError
from sofia_engine.spectroscopy.profiles import ProfileRule, add_blur, follow_trace, make_profiles

WAVE = np.linspace(5, 8, 80)
SLIT = 0.768 * np.arange(60)


def bell(center, sigma=2.0):
    return np.exp(-0.5 * ((SLIT[:, np.newaxis] - center) / sigma) ** 2)


def test_that_the_map_of_a_separable_image_is_its_profile():
    image = bell(20.0) * (10 + WAVE**2)
    found = make_profiles(image, WAVE, ProfileRule(subtract_background=False))
    expected = bell(20.0)[:, 0] / bell(20.0).sum()
    np.testing.assert_allclose(found.median, expected, rtol=1e-9)
    np.testing.assert_allclose(found.map, np.tile(expected[:, np.newaxis], WAVE.size), rtol=1e-6, atol=1e-12)


def test_that_the_profile_follows_a_moving_source():
    center = 20.0 + 0.5 * (WAVE - 6.5)
    image = bell(center) * 50.0
    found = make_profiles(image, WAVE, ProfileRule(subtract_background=False))
    position = (found.map * SLIT[:, np.newaxis]).sum(axis=0) / found.map.sum(axis=0)
    np.testing.assert_allclose(position, center, atol=0.03)


@pytest.mark.parametrize("drift", [0.5, 2.0])
def test_that_the_profile_of_a_curved_trace_keeps_its_shape(drift):
    """Cubic polynomials alone are off by a tenth of the peak, on the flanks and at the ends of the spectrum."""
    center = 20.0 + drift * (2 * (WAVE - 6.5) / 3) ** 2
    image = bell(center) * (10 + WAVE**2)
    found = make_profiles(image, WAVE, ProfileRule(subtract_background=False)).map
    expected = bell(center) / bell(center).sum(axis=0)
    np.testing.assert_allclose(found / found.sum(axis=0), expected, atol=2e-3 * expected.max())
    plain = make_profiles(image, WAVE, ProfileRule(subtract_background=False, rows="all")).map
    assert np.abs(plain / plain.sum(axis=0) - expected).max() > 8e-3 * drift * expected.max()


def test_that_missing_pixels_do_not_move_the_profile_of_a_curved_trace():
    rng = np.random.default_rng(3)
    center = 20.0 + 1.5 * (2 * (WAVE - 6.5) / 3) ** 2
    image = bell(center) * 50.0 + rng.normal(0, 0.05, (60, 80))
    holed = image.copy()
    holed[24:36, 60:65] = np.nan
    clean, found = make_profiles(image, WAVE), make_profiles(holed, WAVE)
    np.testing.assert_allclose(found.map, clean.map, atol=3e-3 * clean.map.max())


def test_that_the_absolute_values_sum_to_one_for_a_negative_source():
    found = make_profiles(-bell(20.0) * (0 * WAVE + 3.0), WAVE, ProfileRule(subtract_background=False))
    assert np.abs(found.median).sum() == pytest.approx(1.0)
    assert found.median.min() < 0 <= found.median.max() + 1e-12
    # relative to the spectrum, which is negative too, the map keeps the sign of the median profile
    assert found.map[26].max() < 0


def test_that_a_constant_background_does_not_matter():
    rng = np.random.default_rng(0)
    image = bell(20.0) * 50.0 + rng.normal(0, 1e-3, (60, 80))
    plain, raised = (make_profiles(image + level, WAVE) for level in (0.0, 7.0))
    np.testing.assert_allclose(raised.median, plain.median, atol=1e-12)


def test_that_bad_pixels_do_not_show_in_the_map():
    rng = np.random.default_rng(1)
    image = bell(20.0) * 50.0 + rng.normal(0, 0.01, (60, 80))
    holed = image.copy()
    holed[20, 10], holed[26, 40] = np.nan, 1e5
    clean, found = make_profiles(image, WAVE), make_profiles(holed, WAVE)
    np.testing.assert_allclose(found.map, clean.map, atol=2e-3 * clean.map.max())


def test_that_opaque_columns_take_no_part():
    image = bell(20.0) * np.ones(80)
    image[:, :30] = 100 * bell(5.0)
    transmission = np.where(np.arange(80) < 30, 0.1, 0.9)
    transmission[79] = np.nan
    found = make_profiles(image, WAVE, ProfileRule(subtract_background=False, least_transmission=0.5), transmission)
    assert found.median.argmax() == 26


def test_that_missing_rows_are_reported():
    image = bell(20.0) * np.ones(80)
    image[7] = np.nan
    assert "1 rows" in make_profiles(image, WAVE).warnings[0]


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_that_an_image_without_signal_is_refused(value):
    with pytest.raises(StepError, match="no signal"):
        make_profiles(np.full((60, 80), value), WAVE)


def test_that_the_input_is_unchanged():
    image = bell(20.0) * np.ones(80)
    image[3, 3] = np.inf
    before = image.copy()
    make_profiles(image, WAVE)
    np.testing.assert_array_equal(image, before)


def test_that_the_median_profile_follows_a_moving_trace():
    rows = np.arange(60.0)[:, np.newaxis]
    centers = 30 + 3 * np.linspace(-1, 1, 120)
    brightness = 100 * (1 + 0.5 * np.sin(np.arange(120) / 7))
    shape = np.exp(-0.5 * ((rows - centers) / 2.0) ** 2)
    image = brightness * shape
    image[25:28, 40:45] = np.nan
    profile = follow_trace(image, centers)
    expected = shape / shape.sum(axis=0)
    assert np.abs(profile - expected).max() < 0.01 * expected.max()
    still = np.repeat(np.nanmedian(image, axis=1)[:, np.newaxis], 120, axis=1)
    assert np.abs(still / still.sum(axis=0) - expected).max() > 0.3 * expected.max()


def test_that_the_map_follows_the_blur_of_the_pixels():
    """A source seen through pixels whose blur goes up and down faster than a cubic can follow."""
    ripple = 0.125 * (1 + np.sin(np.arange(80) / 2.5))
    widths = np.sqrt((2.0 / 0.768) ** 2 + ripple) * 0.768
    image = bell(20.0, widths) / widths * 50.0
    blur = np.broadcast_to(ripple, image.shape)
    true = image / image.sum(axis=0)
    off = [np.abs(found.map / found.map.sum(axis=0) - true).max() for found in (
        make_profiles(image, WAVE, ProfileRule(subtract_background=False)),
        make_profiles(image, WAVE, ProfileRule(subtract_background=False), blur=blur),
    )]  # fmt: skip
    assert off[1] < 0.1 * off[0]


def test_that_smooth_blur_leaves_the_map_as_it_was():
    image = np.repeat(bell(20.0) * 50.0, WAVE.size, axis=1)
    blur = np.broadcast_to(0.1 + 0.05 * (WAVE - 6.5) ** 3, image.shape)
    plain, found = (make_profiles(image, WAVE, blur=given) for given in (None, blur))
    np.testing.assert_allclose(found.map, plain.map, atol=1e-12)


def test_that_missing_rows_stay_missing_when_the_map_follows_the_blur():
    image = bell(20.0) * np.ones(80)
    image[7] = np.nan
    blur = np.broadcast_to(0.1 * np.sin(np.arange(80)), image.shape)
    found = make_profiles(image, WAVE, blur=blur)
    assert np.isnan(found.map[7]).all()
    assert np.isfinite(found.map[[5, 6, 8, 9]]).all()


def test_that_blur_widens_a_profile():
    profile = np.repeat(bell(20.0), 3, axis=1)
    blur = np.array([0.0, 0.2, -0.2])
    before = profile.copy()
    expected = np.stack([bell(20.0, np.sqrt(4 + v * 0.768**2))[:, 0] / np.sqrt(1 + v * 0.768**2 / 4) for v in blur]).T
    found = add_blur(profile, np.broadcast_to(blur, profile.shape))
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert np.abs(profile - expected).max() > 5e-3
    np.testing.assert_array_equal(profile, before)


@pytest.mark.parametrize("tilt", [0.5, 5.0, 9.0, 14.0])
def test_that_the_map_follows_traces_that_move_by_more_than_the_width_of_the_source(tilt):
    """From 6 rows on the polynomials of the rows show the source in no place."""
    rows, x = np.arange(120.0)[:, np.newaxis], np.linspace(5.0, 8.0, 240)
    center = 60.0 + tilt * np.linspace(-1, 1, 240)
    truth = np.exp(-0.5 * ((rows - center) / 2.0) ** 2)
    image = truth * (5 + np.sin(4 * x)) + np.random.default_rng(1).normal(0, 0.01, truth.shape)
    found = make_profiles(image, x).map
    scale = (found * truth).sum(axis=0) / (truth**2).sum(axis=0)
    assert np.abs(found / scale - truth).max() < 0.03
