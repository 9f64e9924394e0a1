from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sofia_engine.errors import ParameterError
from sofia_engine.simulate.distortion import Distortion, fit_distortion, make_pinholes
from sofia_engine.simulate.projection import sky_matrix
from sofia_engine.simulate.sources import ExtendedSource, PointSource, render_source

SHAPE = (256, 256)
DISTORTED = fit_distortion(make_pinholes(), (127.0, 127.0))
PLAIN = Distortion(None, (0.768, 0.768), (127.0, 127.0))
ROWS, COLUMNS = np.indices(SHAPE)


def second_moments(image):
    x, y = (image * COLUMNS).sum(), (image * ROWS).sum()
    dx, dy = COLUMNS - x, ROWS - y
    return np.array(
        [[(image * dx * dx).sum(), (image * dx * dy).sum()], [(image * dx * dy).sum(), (image * dy**2).sum()]]
    )


@settings(max_examples=20, deadline=None)
@given(st.floats(-75, 75), st.floats(-75, 75), st.sampled_from([DISTORTED, PLAIN]))
def test_that_all_light_of_a_star_falls_on_the_detector(x, y, distortion):
    image = render_source(PointSource(3.3).seen(), np.array([x, y]), distortion, SHAPE)
    assert image.sum() == pytest.approx(1, abs=2e-6)


@settings(max_examples=20, deadline=None)
@given(st.floats(-75, 75), st.floats(-75, 75))
def test_that_star_is_centred_on_its_position(x, y):
    image = render_source(PointSource(3.3).seen(), np.array([x, y]), PLAIN, SHAPE)
    centroid = [(image * COLUMNS).sum(), (image * ROWS).sum()]
    assert centroid == pytest.approx(PLAIN.to_pixel(np.array([x, y])), abs=1e-6)


def test_that_star_has_the_width_asked_for():
    image = render_source(PointSource(3.3).seen(), np.zeros(2), PLAIN, SHAPE)
    sigma_squared = (3.3 / 0.768) ** 2 / (8 * np.log(2)) + 1 / 12
    assert second_moments(image) == pytest.approx(sigma_squared * np.eye(2), rel=2e-3, abs=1e-6)


def test_that_moffat_star_has_the_analytic_flux_inside_a_radius():
    image = render_source(PointSource(3.3, "moffat").seen(), np.zeros(2), PLAIN, SHAPE)
    radius = 12.0
    width = 3.3 / 0.768 / (2 * np.sqrt(2 ** (1 / 3) - 1))
    expected = 1 - (1 + radius**2 / width**2) ** -2
    assert image[np.hypot(COLUMNS - 127, ROWS - 127) < radius].sum() == pytest.approx(expected, abs=2e-3)


def test_that_blob_is_turned_from_north_to_east():
    blob = ExtendedSource(1.0, 20.0, 8.0, position_angle=30.0)
    image = render_source(blob.seen(3.3, sky_matrix(0.0)), np.zeros(2), PLAIN, SHAPE)
    values, axes = np.linalg.eigh(second_moments(image))
    blur = 3.3**2
    assert np.sqrt(values * 8 * np.log(2)) * 0.768 == pytest.approx(np.sqrt([64 + blur, 400 + blur]), rel=5e-3)
    major = axes[:, 1] * np.sign(axes[1, 1])
    assert np.degrees(np.arctan2(-major[0], major[1])) == pytest.approx(30, abs=0.1)  # east is to the left


def test_that_source_outside_leaves_the_detector_dark():
    image = render_source(PointSource(3.3).seen(), np.array([420.0, 0.0]), DISTORTED, SHAPE)
    assert not image.any()


def test_that_blob_with_swapped_axes_is_refused_in_one_sentence():
    with pytest.raises(ParameterError, match="fwhm_minor_arcsec"):
        ExtendedSource(1.0, 8.0, 20.0)
