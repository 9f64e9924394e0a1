from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from sofia_engine.numerics.interpolation import Interpolation, pixel_coordinates
from sofia_engine.numerics.warping import fit_coordinate_map, resize_image, warp_image

GRID = np.stack(np.meshgrid(np.arange(10.0, 250, 21), np.arange(5.0, 250, 20), indexing="ij"), -1).reshape(-1, 2)


def distort(points):
    v, u = ((points - 128) / 128).T
    y = points[:, 0] + 2.0 + 1.5 * u * v - 0.8 * v**3
    x = points[:, 1] - 1.0 + 1.2 * u**2 + 0.5 * u * v**2
    return np.stack([y, x], axis=1)


@pytest.mark.parametrize(("method", "tolerance"), [("least squares", 1e-9), ("total least squares", 1e-5)])
def test_that_a_cubic_distortion_is_recovered(method, tolerance):
    fitted = fit_coordinate_map(GRID, distort(GRID), 3, method)
    points = np.random.default_rng(1).uniform(0, 255, (50, 2))
    np.testing.assert_allclose(np.stack(fitted(*points.T), axis=1), distort(points), atol=tolerance)
    assert fitted.residual < tolerance


def test_that_total_least_squares_stay_near_least_squares_for_noisy_points():
    target = distort(GRID) + np.random.default_rng(2).normal(0, 0.1, GRID.shape)
    plain, total = (fit_coordinate_map(GRID, target, 3, m) for m in ("least squares", "total least squares"))
    inner = np.abs(plain.on_grid((256, 256)) - total.on_grid((256, 256)))[:, 40:216, 40:216]
    assert inner.max() < 0.1
    assert plain.residual <= total.residual


def test_that_least_squares_residuals_are_the_noise():
    target = distort(GRID) + np.random.default_rng(3).normal(0, 0.05, GRID.shape)
    expected = 0.05 * np.sqrt(2 * (1 - 10 / len(GRID)))
    assert fit_coordinate_map(GRID, target).residual == pytest.approx(expected, rel=0.15)


def test_that_missing_points_are_left_out_and_too_few_are_refused():
    target = distort(GRID)
    target[::3] = np.nan
    assert fit_coordinate_map(GRID, target).residual < 1e-9
    with pytest.raises(ValueError, match="at least 10 points"):
        fit_coordinate_map(GRID[:9], distort(GRID[:9]))


@given(st.floats(60, 190), st.floats(60, 190))
def test_that_a_warped_source_lands_where_the_inverse_map_says(x, y):
    to_input = fit_coordinate_map(GRID, distort(GRID))
    to_output = fit_coordinate_map(distort(GRID), GRID, 5)
    rows, columns = pixel_coordinates((256, 256))
    source = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * 3.0**2))
    warped = np.nan_to_num(warp_image(source, source, to_input.on_grid((256, 256))).flux)
    center = (rows * warped).sum() / warped.sum(), (columns * warped).sum() / warped.sum()
    np.testing.assert_allclose(center, to_output(y, x), atol=0.01)


def test_that_a_warp_marks_what_lies_outside_and_near_missing_pixels():
    image = np.ones((20, 20), dtype=np.float32)
    image[10, 10] = np.nan
    result = warp_image(image, image, pixel_coordinates((20, 20)) + 0.25)
    assert result.flux.dtype == np.float32
    assert np.isnan(result.flux[19]).all()
    assert np.isnan(result.flux[:, 19]).all()
    assert np.argwhere(np.isnan(result.flux[:19, :19])).tolist() == [[10, 10]]
    np.testing.assert_array_equal(np.isnan(result.flux), np.isnan(result.variance))
    np.testing.assert_allclose(result.flux[np.isfinite(result.flux)], 1.0, atol=1e-6)


@given(st.integers(200, 300), st.integers(200, 300))
def test_that_resizing_conserves_flux_and_scales_positions(ny, nx):
    rows, columns = pixel_coordinates((256, 256))
    source = np.exp(-((rows - 100.3) ** 2 + (columns - 150.7) ** 2) / (2 * 4.0**2))
    resized = resize_image(source, (ny, nx))
    assert resized.sum() == pytest.approx(source.sum(), rel=6e-3)  # ripple of bilinear sampling
    new_rows, new_columns = pixel_coordinates((ny, nx))
    expected = (100.3 + 0.5) * ny / 256 - 0.5, (150.7 + 0.5) * nx / 256 - 0.5
    center = (new_rows * resized).sum() / resized.sum(), (new_columns * resized).sum() / resized.sum()
    np.testing.assert_allclose(center, expected, atol=0.02)


def test_that_resizing_is_the_zoom_of_scipy_on_the_pixel_area():
    image = np.random.default_rng(5).normal(size=(256, 256))
    expected = ndimage.zoom(image, (249 / 256, 263 / 256), order=1, mode="mirror", grid_mode=True)
    np.testing.assert_allclose(resize_image(image, (249, 263), conserve_flux=False), expected, atol=1e-12)


def test_that_resizing_leaves_a_missing_pixel_missing_and_the_input_alone():
    image = np.ones((16, 16))
    image[4, 4] = np.nan
    before = image.copy()
    resized = resize_image(image, (16, 16))
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(resized, image)


def test_that_other_rules_can_be_used_for_warping():
    image = np.arange(25.0).reshape(5, 5)
    result = warp_image(image, image, pixel_coordinates((5, 5)) - 1, Interpolation(order=1, extrapolate=True))
    np.testing.assert_array_equal(result.flux[0], image[0, [0, 0, 1, 2, 3]])
