from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_engine.numerics.geometry import (
    Canvas,
    crop_geometry,
    embed_image,
    find_finite_box,
    fit_affine_geometry,
    fit_canvas,
    place_image,
    rotate_about,
)
from sofia_engine.numerics.interpolation import Interpolation, interpolate_image, pixel_coordinates

SPLINE = Interpolation(order=3, edge="missing", minimum_weight=0.5)


def gaussian(shape, x, y, sigma=3.0):
    rows, columns = pixel_coordinates(shape)
    return np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * sigma**2))


def centroid(image):
    image = np.nan_to_num(image)
    rows, columns = pixel_coordinates(image.shape)
    return (columns * image).sum() / image.sum(), (rows * image).sum() / image.sum()


@given(st.floats(-360, 360))
def test_that_a_rotated_source_lands_where_the_geometry_says(angle):
    geometry = rotate_about((81, 101), angle, (40.0, 45.0))
    turned = interpolate_image(gaussian((81, 101), 55.0, 38.0), geometry.coordinates(), SPLINE)
    np.testing.assert_allclose(centroid(turned), geometry.to_output(55.0, 38.0), atol=0.02)


def test_that_positive_angles_turn_clockwise_about_the_centre():
    geometry = rotate_about((101, 101), 90.0, (50.0, 50.0))
    np.testing.assert_allclose(geometry.to_output(60.0, 50.0), (50.0, 40.0))
    assert geometry.shape == (101, 101)


def test_that_a_quarter_turn_is_exact():
    image = np.arange(12.0).reshape(3, 4)
    turned = interpolate_image(image, rotate_about((3, 4), 90.0, (1.0, 1.0)).coordinates())
    np.testing.assert_array_equal(turned, image.T[::-1])


@given(st.floats(-180, 180), st.floats(0, 99), st.floats(0, 79))
def test_that_a_rotation_keeps_all_pixels_in_the_frame_and_inverts(angle, x, y):
    geometry = rotate_about((80, 100), angle, (13.0, 70.0))
    new_x, new_y = geometry.to_output(x, y)
    assert -1e-6 <= new_x <= geometry.shape[1] - 1 + 1e-6
    assert -1e-6 <= new_y <= geometry.shape[0] - 1 + 1e-6
    np.testing.assert_allclose(geometry.to_input(new_x, new_y), (x, y), atol=1e-9)


def test_that_a_linear_map_is_recovered_from_four_corners():
    corners = np.array([[3.0, 4.0], [250.0, 4.0], [3.0, 240.0], [250.0, 240.0]])
    matrix, offset = np.array([[0.9, 0.2], [-0.3, 1.1]]), np.array([12.0, -7.0])
    geometry = fit_affine_geometry(corners, corners @ matrix.T + offset, (10, 10))
    np.testing.assert_allclose(geometry.to_output(100.0, 50.0), matrix @ [100.0, 50.0] + offset)


def test_that_points_on_a_line_give_no_linear_map():
    points = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])
    with pytest.raises(ValueError, match="three points"):
        fit_affine_geometry(points, points, (5, 5))


def test_that_a_canvas_holds_all_shifted_copies():
    canvas = fit_canvas((264, 264), [(-39.4, 65.4), (41.2, -66.1)])
    assert canvas == Canvas((264 + 67 + 66, 264 + 40 + 42), (40, 67))


@given(st.floats(-12, 12), st.floats(-12, 12))
def test_that_a_placed_source_moves_by_the_shift_and_keeps_its_flux(dx, dy):
    image = gaussian((61, 61), 30.0, 30.0)
    canvas = fit_canvas(image.shape, [(dx, dy)])
    placed = place_image(image, canvas, (dx, dy))
    expected = (30 + dx + canvas.origin[0], 30 + dy + canvas.origin[1])
    np.testing.assert_allclose(centroid(placed), expected, atol=1e-3)
    assert placed.sum() == pytest.approx(image.sum(), rel=1e-3)


def test_that_whole_shifts_copy_pixels_and_count_missing_ones_as_zero():
    image = np.array([[1.0, np.nan], [3.0, 4.0]], dtype=np.float32)
    placed = place_image(image, Canvas((3, 4), (1, 0)), (1.0, 1.0), missing=-1.0)
    np.testing.assert_array_equal(placed, [[-1, -1, -1, -1], [-1, -1, 1, 0], [-1, -1, 3, 4]])
    assert placed.dtype == np.float32


@pytest.mark.parametrize("corner", [(-1, -1), (2, 3), (5, 5), (-9, 0)])
def test_that_an_embedded_image_keeps_what_fits(corner):
    image = np.arange(1.0, 10.0).reshape(3, 3)
    frame = embed_image(image, (4, 5), corner, missing=0.0)
    for y, x in np.ndindex(4, 5):
        inside = 0 <= y - corner[0] < 3 and 0 <= x - corner[1] < 3
        assert frame[y, x] == (image[y - corner[0], x - corner[1]] if inside else 0)


def test_that_the_finite_box_strips_missing_borders_only():
    image = np.full((6, 8), np.nan)
    image[1, 3] = image[4, 5] = 0.0
    assert find_finite_box(image) == (slice(1, 5), slice(3, 6))
    assert find_finite_box(np.full((2, 2), np.nan)) == (slice(0, 0), slice(0, 0))


def test_that_a_cropped_geometry_shows_the_part_inside_the_box():
    geometry = rotate_about((40, 50), 25.0, (10.0, 10.0))
    box = (slice(5, 20), slice(7, 30))
    whole, part = geometry.coordinates(), crop_geometry(geometry, box)
    assert part.shape == (15, 23)
    np.testing.assert_allclose(part.coordinates(), whole[:, box[0], box[1]], atol=1e-12)
