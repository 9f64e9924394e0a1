from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_engine.errors import StepError
from sofia_engine.spectroscopy.aperture_mask import make_aperture_mask, read_aperture, read_background
from sofia_engine.spectroscopy.apertures import Aperture

SLIT = np.arange(40.0)


def size(position, radius, psf_radius):
    return Aperture(position, 1, 3.0, radius, psf_radius)


@given(st.floats(12, 28), st.floats(0.6, 10))
def test_that_weights_add_up_to_the_width_of_the_aperture(position, psf_radius):
    mask = make_aperture_mask(SLIT, [[position]], [size(position, 0.5, psf_radius)])
    assert read_aperture(mask, 1).psf.sum() == pytest.approx(2 * psf_radius)


def test_that_edge_pixels_have_the_share_inside():
    weights = read_aperture(make_aperture_mask(SLIT, [[20.2]], [size(20.2, 1.0, 3.0)]), 1)
    np.testing.assert_allclose(weights.psf[16:25, 0], [0, 0.3, 1, 1, 1, 1, 1, 0.7, 0], atol=1e-12)
    np.testing.assert_array_equal(np.flatnonzero(weights.inner[:, 0]), [20, 21])


def test_that_the_old_rule_gives_the_lower_edge_the_share_outside():
    weights = read_aperture(make_aperture_mask(SLIT, [[20.2]], [size(20.2, 1.0, 3.0)], edges="lower"), 1)
    np.testing.assert_allclose(weights.psf[16:25, 0], [0, 0.2, 1, 1, 1, 1, 1, 1, 0.2], atol=1e-12)


def test_that_an_aperture_that_reaches_the_end_takes_the_last_pixel_whole():
    weights = read_aperture(make_aperture_mask(SLIT, [[19.5]], [size(19.5, 19.5, 19.5)]), 1)
    np.testing.assert_array_equal(weights.psf, 1.0)
    assert weights.inner.all()


def test_that_apertures_and_background_are_told_apart():
    mask = make_aperture_mask(SLIT, [[10.0, 11.0], [30.0, 30.0]], [size(10, 1, 3), size(30, 2, 4)], [(18.0, 21.0)])
    np.testing.assert_array_equal(np.flatnonzero(read_background(mask)[:, 0]), [18, 19, 20, 21])
    first, second = read_aperture(mask, 1), read_aperture(mask, 2)
    assert not (first.psf * second.psf).any()
    np.testing.assert_allclose(first.psf.sum(axis=0), 6)
    np.testing.assert_allclose(second.psf.sum(axis=0), 8)
    np.testing.assert_array_equal(np.flatnonzero(first.inner[:, 1]), [10, 11, 12])


def test_that_a_source_takes_its_pixels_from_the_background():
    mask = make_aperture_mask(SLIT, [[10.0]], [size(10, 1, 3)], [(0.0, 39.0)])
    assert read_aperture(mask, 1).psf.sum() == pytest.approx(6)
    assert np.count_nonzero(read_background(mask)) == 40 - 7


def test_that_overlapping_apertures_are_refused():
    with pytest.raises(StepError, match="lower the aperture radii"):
        make_aperture_mask(SLIT, [[10.0], [14.0]], [size(10, 1, 3), size(14, 1, 3)])
