from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_engine.numerics.polygons import overlap_grid


def make_grid(rows, columns, angle=0.0, scale=1.0, origin=(5.0, 5.0)):
    y, x = np.mgrid[0 : rows + 1, 0 : columns + 1] * scale
    c, s = np.cos(angle), np.sin(angle)
    return origin[0] + c * x - s * y, origin[1] + s * x + c * y


def test_that_an_aligned_grid_is_the_image_itself():
    image = np.random.default_rng(0).normal(size=(12, 14))
    overlap = overlap_grid(*make_grid(4, 6), image.shape)
    np.testing.assert_allclose(overlap.sum_pixels(image), image[5:9, 5:11])


def test_that_a_half_pixel_shift_averages_four_pixels():
    image = np.random.default_rng(1).normal(size=(12, 14))
    overlap = overlap_grid(*make_grid(3, 3, origin=(5.5, 5.5)), image.shape)
    expected = (image[5:8, 5:8] + image[6:9, 5:8] + image[5:8, 6:9] + image[6:9, 6:9]) / 4
    np.testing.assert_allclose(overlap.sum_pixels(image), expected)


def test_that_a_diamond_covers_half_of_each_of_four_pixels():
    x = np.array([[4.0, 5.0], [5.0, 6.0]])
    y = np.array([[5.0, 4.0], [6.0, 5.0]])
    overlap = overlap_grid(x, y, (10, 10))
    areas = {
        int(pixel): float(area) for area, pixel in zip(overlap.areas[:, 0, 0], overlap.pixels[:, 0, 0], strict=True)
    }
    assert {k: v for k, v in areas.items() if v > 0} == pytest.approx({44: 0.5, 45: 0.5, 54: 0.5, 55: 0.5})
    assert overlap.total[0, 0] == pytest.approx(2.0)


@given(st.floats(-1.5, 1.5), st.floats(0.3, 2.5), st.floats(0, 1), st.floats(0, 1))
def test_that_areas_add_up_to_the_cells_whatever_the_angle(angle, scale, dx, dy):
    overlap = overlap_grid(*make_grid(3, 4, angle, scale, (20 + dx, 20 + dy)), (40, 40))
    np.testing.assert_allclose(overlap.areas.sum(axis=0), overlap.total, rtol=1e-7)
    np.testing.assert_allclose(overlap.total, scale**2, rtol=1e-9)
    assert (overlap.areas > -1e-9).all()
    assert (overlap.areas < 1 + 1e-9).all()


@given(st.floats(-0.7, 0.7))
def test_that_flux_inside_a_turned_grid_is_conserved(angle):
    image = np.zeros((40, 40))
    image[18:22, 18:22] = np.random.default_rng(2).uniform(1, 2, (4, 4))
    x, y = make_grid(24, 24, angle, 1.0, (0.0, 0.0))
    overlap = overlap_grid(x - x.mean() + 20, y - y.mean() + 20, image.shape)
    assert overlap.sum_pixels(image).sum() == pytest.approx(image.sum(), rel=1e-9)


def test_that_the_area_agrees_with_counting_points():
    rng = np.random.default_rng(3)
    corners = np.array([[5.2, 5.1], [7.9, 5.6], [8.3, 7.7], [4.8, 7.2]])  # x, y round the cell
    x = np.array([[corners[0, 0], corners[3, 0]], [corners[1, 0], corners[2, 0]]])
    y = np.array([[corners[0, 1], corners[3, 1]], [corners[1, 1], corners[2, 1]]])
    overlap = overlap_grid(x, y, (12, 12))
    points = rng.uniform((4, 4), (9, 9), (400_000, 2))
    following = np.roll(corners, -1, axis=0)
    inside = np.all([(b[0] - a[0]) * (points[:, 1] - a[1]) - (b[1] - a[1]) * (points[:, 0] - a[0]) > 0
                     for a, b in zip(corners, following, strict=True)], axis=0)  # fmt: skip
    counts = np.bincount((np.floor(points[inside, 1]) * 12 + np.floor(points[inside, 0])).astype(int), minlength=144)
    measured = np.zeros(144)
    np.add.at(measured, overlap.pixels[:, 0, 0], overlap.areas[:, 0, 0])
    np.testing.assert_allclose(measured, counts * 25 / 400_000, atol=0.025)  # 4 times the scatter of the counts


def test_that_the_part_beyond_the_image_has_no_area():
    overlap = overlap_grid(*make_grid(2, 2, origin=(-1.0, -1.0)), (5, 5))
    np.testing.assert_allclose(overlap.areas.sum(axis=0), [[0, 0], [0, 1]], atol=1e-12)
    np.testing.assert_allclose(overlap.total, 1.0)


def test_that_orientation_does_not_matter():
    x, y = make_grid(3, 3, 0.3)
    image = np.random.default_rng(4).normal(size=(20, 20))
    plain = overlap_grid(x, y, image.shape).sum_pixels(image)
    flipped = overlap_grid(x[::-1], y[::-1], image.shape).sum_pixels(image)[::-1]
    np.testing.assert_allclose(flipped, plain, rtol=1e-9)
