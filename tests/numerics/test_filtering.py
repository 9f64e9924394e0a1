from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from sofia_engine.numerics.filtering import (
    interpolate_bad_pixels,
    measure_pattern_without_source,
    median_by_residue,
    remove_row_pattern,
    remove_row_pattern_by_median,
    running_mean,
    running_median,
)

RNG = np.random.default_rng(12)


def with_gaps(shape, share=0.1):
    image = RNG.normal(size=shape)
    image[RNG.random(shape) < share] = np.nan
    return image


def test_that_without_gaps_the_running_median_is_that_of_scipy():
    image = RNG.normal(size=(70, 64))
    expected = ndimage.median_filter(image, size=(1, 21), mode="wrap")
    np.testing.assert_array_equal(running_median(image), expected)


def test_that_the_running_median_ignores_missing_pixels():
    image = with_gaps((20, 48), 0.3)
    image[3] = np.nan
    wrapped = np.concatenate([image[:, -10:], image, image[:, :10]], axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = np.stack([np.nanmedian(wrapped[:, x : x + 21], axis=1) for x in range(48)], axis=1)
    np.testing.assert_array_equal(running_median(image), expected)
    assert np.isnan(running_median(image)[3]).all()


@given(st.integers(0, 63))
def test_that_the_running_median_wraps_around(shift):
    image = np.random.default_rng(1).normal(size=(3, 64))
    np.testing.assert_array_equal(running_median(np.roll(image, shift, 1)), np.roll(running_median(image), shift, 1))


@pytest.mark.parametrize("width", [0, 4, 65])
def test_that_impossible_windows_are_refused(width):
    with pytest.raises(ValueError, match="window width"):
        running_median(np.zeros((2, 64)), width)


def test_that_residues_are_the_medians_of_every_sixteenth_pixel():
    image = with_gaps((5, 64))
    pattern = median_by_residue(image)
    for x in range(64):
        np.testing.assert_allclose(pattern[:, x], np.nanmedian(image[:, x % 16 :: 16], axis=1))
    with pytest.raises(ValueError, match="whole periods"):
        median_by_residue(np.zeros((2, 40)))


REMOVERS = pytest.mark.parametrize("remove", [remove_row_pattern, remove_row_pattern_by_median])


def draw_source():
    y, x = np.mgrid[:256, :256]
    return 50 * np.exp(-((y - 120.0) ** 2 + (x - 130.0) ** 2) / (2 * 3.0**2))


@REMOVERS
def test_that_jailbars_vanish_and_a_source_stays(remove):
    y, x = np.mgrid[:256, :256]
    image = draw_source() + np.where(x % 16 == 5, 4.0, 0.0) * (1 + y / 256) - 0.25 * (1 + y / 256)
    image[40, 21] = np.nan
    cleaned = remove(image)
    assert np.isnan(cleaned[40, 21])
    level = np.nanmedian(cleaned)
    # the mean over a period lifts the baseline of 5 channels besides a source, which the median does not see
    assert np.nanmax(np.abs(cleaned - level - draw_source())) < 0.02 * 50
    assert cleaned.dtype == np.float64


@REMOVERS
def test_that_jailbar_removal_keeps_float32_and_its_input(remove):
    image = with_gaps((8, 32)).astype(np.float32)
    before = image.copy()
    assert remove(image).dtype == np.float32
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("strength", [0.3, 7.0, 100.0])
def test_that_jailbars_of_any_strength_vanish_from_noise(strength):
    rng = np.random.default_rng(3)
    image = rng.normal(0, 1, (64, 256))
    image[rng.random(image.shape) < 0.003] = np.nan
    pattern = rng.normal(0, strength, 16)
    striped = image + np.tile(pattern - pattern.mean(), 16)
    np.testing.assert_allclose(remove_row_pattern(striped), remove_row_pattern(image), atol=1e-10)


def test_that_the_level_of_each_row_stays():
    image = np.random.default_rng(4).normal(0, 1, (32, 256)) + np.arange(32)[:, np.newaxis]
    np.testing.assert_allclose(remove_row_pattern(image).mean(axis=1), image.mean(axis=1), atol=1e-12)


def test_that_rows_with_many_missing_pixels_are_still_cleaned():
    image = np.tile(np.random.default_rng(5).normal(0, 5, 16), (3, 16))
    image[1, ::9] = np.nan
    cleaned = remove_row_pattern(image)
    assert np.nanstd(cleaned[1]) < 0.5 * np.nanstd(image[1])
    np.testing.assert_allclose(cleaned[[0, 2]], image.mean(axis=1)[[0, 2], np.newaxis].repeat(256, 1), atol=1e-12)


def test_that_the_running_mean_is_that_of_the_window_with_half_weight_at_its_ends():
    image = np.random.default_rng(6).normal(0, 1, (2, 48))
    weights = np.r_[0.5, np.ones(15), 0.5] / 16
    expected = [sum(weights[k] * np.roll(row, 8 - k) for k in range(17)) for row in image]
    np.testing.assert_allclose(running_mean(image), expected, atol=1e-12)
    image[0, 20] = np.nan
    assert np.flatnonzero(np.isnan(running_mean(image)[0])).tolist() == list(range(12, 29))


def test_that_bad_pixels_of_a_quadratic_surface_are_restored():
    y, x = np.mgrid[:30, :40].astype(float)
    truth = 5 + 0.3 * x - 0.2 * y + 0.01 * x * y - 0.02 * x**2
    image = truth.copy()
    image[RNG.random(truth.shape) < 0.08] = np.nan
    image[10:13, 20:23] = np.nan
    before = image.copy()
    filled, variance = interpolate_bad_pixels(image)
    assert variance is None
    inner = (slice(3, -3), slice(3, -3))
    assert np.isfinite(filled[inner]).all()
    np.testing.assert_allclose(filled[inner], truth[inner], atol=0.1)
    np.testing.assert_array_equal(image, before)


def test_that_good_pixels_are_kept_and_variance_stays_in_range():
    image, variance = with_gaps((20, 20)), RNG.uniform(1, 2, (20, 20))
    filled, spread = interpolate_bad_pixels(image, np.where(np.isfinite(image), variance, np.nan))
    good = np.isfinite(image)
    np.testing.assert_array_equal(filled[good], image[good])
    np.testing.assert_array_equal(spread[good], variance[good])
    assert np.nanmin(spread) >= 1
    assert np.nanmax(spread) <= 2


def test_that_pixels_without_neighbours_on_all_sides_stay_missing():
    image = np.full((40, 40), np.nan)
    image[:, :5] = 1.0
    filled, _ = interpolate_bad_pixels(image)
    assert np.isnan(filled[:, 8:]).all()


def make_striped_spectra(rng, brightness):
    """Rows of one spectrum with lines, as bright as told, noise 1, and stripes of 3 that are the same in all rows."""
    x = np.arange(256.0)
    spectrum = 1 + 0.6 * np.exp(-0.5 * ((x - 90) / 2) ** 2) - 0.4 * np.exp(-0.5 * ((x - 180) / 5) ** 2)
    stripes = rng.normal(0, 3, 16)
    stripes = np.tile(stripes - stripes.mean(), 16)
    return brightness[:, np.newaxis] * spectrum + rng.normal(0, 1, (brightness.size, 256)), stripes


@pytest.mark.parametrize("width", [3.0, 40.0])
def test_that_stripes_are_measured_beside_and_below_spectra(width):
    brightness = 500 * np.exp(-0.5 * ((np.arange(240.0) - 100) / width) ** 2)
    image, stripes = make_striped_spectra(np.random.default_rng(3), brightness)
    image[30:40, 70:90] = np.nan
    pattern = measure_pattern_without_source(image + stripes)
    assert np.abs(pattern - stripes).max() < 0.15  # 5 sigma: noise of a pixel / sqrt(240 * 16), times 1.6
    assert np.abs(measure_pattern_without_source(image)).max() < 0.15


def test_that_no_stripes_are_measured_where_all_rows_show_the_same_spectrum():
    rng = np.random.default_rng(4)
    image, stripes = make_striped_spectra(rng, 500 + rng.normal(0, 5, 240))
    assert measure_pattern_without_source(image + stripes) is None
    assert measure_pattern_without_source(np.full((5, 32), np.nan)) is None
