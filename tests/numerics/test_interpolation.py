from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from sofia_engine.numerics.interpolation import (
    BILINEAR,
    CUBIC,
    NEAREST,
    Interpolation,
    interpolate_image,
    interpolate_variance,
    pixel_coordinates,
)

RNG = np.random.default_rng(8)
SMOOTH = Interpolation(order=3, extrapolate=True)


def positions(shape=(30, 40), seed=1):
    return np.random.default_rng(seed).uniform(0, 1, (2, 200)) * (np.array(shape)[:, np.newaxis] - 1)


@pytest.mark.parametrize("rule", [BILINEAR, CUBIC, NEAREST], ids=["bilinear", "cubic", "nearest"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_that_pixel_centres_give_the_pixels_in_their_type(rule, dtype):
    image = RNG.normal(size=(9, 12)).astype(dtype)
    result = interpolate_image(image, pixel_coordinates(image.shape), rule)
    assert result.dtype == dtype
    np.testing.assert_allclose(result, image, atol=1e-6)


def test_that_bilinear_interpolation_is_exact_for_a_plane():
    y, x = pixel_coordinates((30, 40))
    p = positions()
    np.testing.assert_allclose(interpolate_image(2 + 3 * y - x, p), 2 + 3 * p[0] - p[1], rtol=1e-12)


@pytest.mark.parametrize("order", [1, 3])
def test_that_splines_are_those_of_scipy(order):
    image, p = RNG.normal(size=(30, 40)), positions()
    expected = ndimage.map_coordinates(image, p, order=order, mode="nearest")
    np.testing.assert_allclose(interpolate_image(image, p, Interpolation(order)), expected)


@given(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
def test_that_a_smooth_image_survives_a_shift_there_and_back(dy, dx):
    y, x = pixel_coordinates((64, 64))
    image = np.exp(-((y - 31.3) ** 2 + (x - 30.1) ** 2) / (2 * 4.0**2))
    shift = np.array([dy, dx]).reshape(2, 1, 1)
    there = interpolate_image(image, pixel_coordinates(image.shape) - shift, SMOOTH)
    back = interpolate_image(there, pixel_coordinates(image.shape) + shift, SMOOTH)
    np.testing.assert_allclose(back, image, atol=1e-3)


@given(st.floats(1e-3, 1e3), st.floats(-100, 100))
def test_that_interpolation_follows_scale_and_offset_of_the_image(scale, offset):
    image = np.random.default_rng(2).normal(size=(30, 40))
    image[4, 5] = np.nan
    direct = interpolate_image(scale * image + offset, positions())
    np.testing.assert_allclose(direct, scale * interpolate_image(image, positions()) + offset, atol=1e-9 * (1 + scale))


def test_that_missing_pixels_are_left_out_with_their_weight():
    image = np.array([[1.0, np.nan, 3.0, 5.0]])
    result = interpolate_image(image, np.array([[0.0] * 4, [0.4, 0.6, 1.4, 2.5]]))
    np.testing.assert_allclose(result, [1.0, np.nan, np.nan, 4.0])


def test_that_missing_pixels_can_count_as_zero():
    image = np.array([[1.0, np.nan]])
    result = interpolate_image(image, np.array([[0.0], [0.25]]), Interpolation(minimum_weight=None))
    np.testing.assert_allclose(result, [0.75])


def test_that_positions_beyond_the_outer_pixel_centres_are_missing_but_for_rounding():
    image = np.arange(12.0).reshape(3, 4)
    result = interpolate_image(image, np.array([[-1e-9, -0.1, 2 + 1e-9, 1.0], [0.0, 0.0, 3 + 1e-9, np.nan]]))
    np.testing.assert_allclose(result, [0.0, np.nan, 11.0, np.nan])


def test_that_missing_surroundings_give_values_up_to_the_weight_limit():
    rule = Interpolation(order=1, edge="missing")
    result = interpolate_image(np.full((3, 3), 7.0), np.array([[1.0, 1.0, 1.0], [-0.4, -0.6, 2.5]]), rule)
    np.testing.assert_allclose(result, [7.0, np.nan, 7.0])


def test_that_extrapolation_continues_with_the_edge_pixel_or_mirrored():
    image, outside = np.array([[1.0, 2.0, 4.0]]), np.array([[0.0], [-1.0]])
    assert interpolate_image(image, outside, Interpolation(extrapolate=True)) == [1.0]
    assert interpolate_image(image, outside, Interpolation(edge="mirror", extrapolate=True)) == [2.0]


def test_that_a_clipped_spline_stays_in_the_range_of_the_image():
    image = np.zeros((20, 20))
    image[10, 10] = 1.0
    p = positions((20, 20))
    assert interpolate_image(image, p, Interpolation(order=3)).min() < 0
    clipped = interpolate_image(image, p, CUBIC)
    assert clipped.min() == 0
    assert clipped.max() <= 1


def test_that_half_way_positions_go_to_the_higher_pixel():
    image = np.array([[0.0, 1.0, 2.0]])
    np.testing.assert_array_equal(interpolate_image(image, np.array([[0.0] * 2, [0.5, 1.5]]), NEAREST), [1.0, 2.0])


def test_that_propagated_variance_is_that_of_repeated_noise():
    sigma = RNG.uniform(0.5, 2, (6, 7))
    p = positions((6, 7))[:, :20]
    noise = np.random.default_rng(3).normal(size=(20_000, 6, 7)) * sigma
    measured = np.var([interpolate_image(frame, p) for frame in noise[:6000]], axis=0)
    np.testing.assert_allclose(interpolate_variance(sigma**2, p, method="propagated"), measured, rtol=0.12)


def test_that_propagated_variance_allows_for_missing_pixels():
    variance = np.array([[1.0, np.nan], [1.0, 1.0]])
    result = interpolate_variance(variance, np.array([[0.5], [0.5]]), method="propagated")
    np.testing.assert_allclose(result, 3 * 0.25**2 / 0.75**2)


def test_that_variance_of_a_cubic_spline_cannot_be_propagated():
    with pytest.raises(ValueError, match="orders 0 and 1"):
        interpolate_variance(np.ones((5, 5)), positions((5, 5)), CUBIC, method="propagated")


def test_that_nearest_variance_is_finite_wherever_the_flux_is():
    image = RNG.normal(size=(30, 40))
    image[RNG.random(image.shape) < 0.2] = np.nan
    variance = np.where(np.isfinite(image), 2.0, np.nan)
    flux, spread = interpolate_image(image, positions()), interpolate_variance(variance, positions())
    np.testing.assert_allclose(spread[np.isfinite(flux)], 2.0)


def test_that_interpolated_variance_is_never_negative():
    variance = np.zeros((20, 20))
    variance[10, 10] = 1.0
    assert interpolate_variance(variance, positions((20, 20)), CUBIC, "interpolated").min() >= 0


def test_that_the_input_is_not_changed():
    image = RNG.normal(size=(8, 8))
    image[3, 3] = np.nan
    before, p = image.copy(), positions((8, 8))
    p_before = p.copy()
    for rule in (BILINEAR, CUBIC, NEAREST, Interpolation(edge="missing")):
        interpolate_image(image, p, rule)
        interpolate_variance(image**2, p, rule)
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(p, p_before)
