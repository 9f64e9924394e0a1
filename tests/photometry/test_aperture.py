"""Exact overlap of circles with pixels, sums in apertures, skies from rings."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sofia_engine.photometry.aperture import compute_circle_overlap, measure_aperture


@settings(max_examples=50, deadline=None)
@given(st.floats(5, 35), st.floats(5, 35), st.floats(0.05, 14.0))
def test_that_overlaps_are_those_of_an_independent_library(x, y, radius):
    from photutils.geometry import circular_overlap_grid

    expected = circular_overlap_grid(-0.5 - x, 39.5 - x, -0.5 - y, 29.5 - y, 40, 30, radius, 1, 1)
    np.testing.assert_allclose(compute_circle_overlap((30, 40), x, y, radius), expected, atol=1e-11)


@pytest.mark.parametrize("radius", [0.3, 1.0, 7.5, 12.0])
def test_that_the_area_of_a_circle_is_pi_r_squared(radius):
    assert compute_circle_overlap((40, 40), 19.7, 20.2, radius).sum() == pytest.approx(math.pi * radius**2, rel=1e-13)


def test_that_a_circle_far_away_or_of_no_size_covers_nothing():
    assert not compute_circle_overlap((10, 10), 50.0, 5.0, 3.0).any()
    assert not compute_circle_overlap((10, 10), 5.0, 5.0, 0.0).any()


def test_that_sums_are_those_of_an_independent_library():
    from photutils.aperture import CircularAnnulus, CircularAperture, aperture_photometry

    rng = np.random.default_rng(5)
    image, error = rng.normal(3, 1, (80, 90)), rng.uniform(0.5, 1.5, (80, 90))
    image[40, 44] = np.nan
    position = (45.3, 38.8)
    mask = ~np.isfinite(image)
    table = aperture_photometry(
        image, [CircularAperture(position, 12), CircularAnnulus(position, 15, 25)], error=error, mask=mask
    )
    ratio = 144 / (625 - 225)
    flux = table["aperture_sum_0"][0] - table["aperture_sum_1"][0] * ratio
    flux_error = math.hypot(table["aperture_sum_err_0"][0], table["aperture_sum_err_1"][0] * ratio)
    measured = measure_aperture(image, error, position, 12.0, (15.0, 25.0), geometric_areas=True)
    assert measured.flux.value == pytest.approx(flux, abs=1e-8)
    assert measured.flux.error == pytest.approx(flux_error, rel=1e-12)
    assert measured.sky.value == pytest.approx(table["aperture_sum_1"][0] / (math.pi * 400), rel=1e-12)


def test_that_a_constant_sky_is_removed_exactly():
    measured = measure_aperture(np.full((80, 80), 3.5), np.full((80, 80), 0.1), (40.2, 39.7), 12.0, (15.0, 25.0))
    area, ring = math.pi * 144, math.pi * 400
    assert measured.flux.value == pytest.approx(0.0, abs=1e-10)
    assert measured.flux.error == pytest.approx(0.1 * math.sqrt(area + area**2 / ring))
    assert measured.sky == (pytest.approx(3.5), pytest.approx(0.1 / math.sqrt(ring)))
    assert measured.sky_deviation == pytest.approx(0.0, abs=1e-12)
    assert (measured.aperture_area, measured.sky_area) == (pytest.approx(area), pytest.approx(ring))


@pytest.mark.parametrize("position", [(3.0, 40.0), (78.0, 78.5)])
def test_that_sky_is_removed_at_edges_and_bad_pixels_too(position):
    image = np.full((80, 80), 3.5)
    image[30:36, 5:20] = np.nan
    measured = measure_aperture(image, None, position, 12.0, (15.0, 25.0))
    assert measured.flux.value == pytest.approx(0.0, abs=1e-10)
    assert measured.sky.value == pytest.approx(3.5)
    biased = measure_aperture(image, None, position, 12.0, (15.0, 25.0), geometric_areas=True)
    assert abs(biased.flux.value) > 10.0


def test_that_quoted_errors_are_the_scatter_of_simulations():
    rng = np.random.default_rng(2)
    error = np.full((60, 60), 0.7)
    runs = [measure_aperture(rng.normal(5, error), error, (29.5, 30.0), 8.0, (10.0, 14.0)) for _ in range(400)]
    pulls = [(run.flux.value / run.flux.error, (run.sky.value - 5) / run.sky.error) for run in runs]
    # The share of a pixel at the rim counts like a smaller whole pixel: errors are a few percent too large.
    np.testing.assert_allclose(np.std(pulls, axis=0), 1.0, atol=0.1)
    assert np.mean([run.sky_deviation for run in runs]) == pytest.approx(0.7, rel=0.02)


@pytest.mark.parametrize("radii", [(25.0, 15.0), (15.0, 15.0), (-1.0, 10.0)])
def test_that_a_ring_that_encloses_nothing_subtracts_no_sky(radii):
    measured = measure_aperture(np.ones((80, 80)), np.ones((80, 80)), (40.0, 40.0), 12.0, radii)
    assert measured.flux.value == pytest.approx(math.pi * 144)
    assert math.isnan(measured.sky.value)


def test_that_a_ring_of_bad_pixels_subtracts_no_sky():
    image = np.full((80, 80), np.nan)
    image[28:53, 28:53] = 1.0
    assert measure_aperture(image, None, (40.0, 40.0), 12.0, (18.0, 25.0)).flux.value == pytest.approx(math.pi * 144)


def test_that_an_aperture_of_bad_pixels_has_no_flux():
    measured = measure_aperture(np.full((80, 80), np.nan), None, (40.0, 40.0), 12.0, (15.0, 25.0))
    assert math.isnan(measured.flux.value)
    assert math.isnan(measured.flux.error)


def test_that_unknown_errors_take_the_mean_of_the_others():
    error = np.full((80, 80), 0.1)
    known = measure_aperture(np.ones((80, 80)), error, (40.0, 40.0), 12.0, (15.0, 25.0)).flux.error
    error[40, 38:42] = np.nan
    assert measure_aperture(np.ones((80, 80)), error, (40.0, 40.0), 12.0, (15.0, 25.0)).flux.error == pytest.approx(
        known
    )


def test_that_without_errors_the_error_is_unknown():
    assert math.isnan(measure_aperture(np.ones((80, 80)), None, (40.0, 40.0), 12.0, (15.0, 25.0)).flux.error)


def test_that_an_aperture_outside_the_image_has_no_flux():
    assert math.isnan(measure_aperture(np.ones((30, 30)), None, (300.0, -90.0), 5.0, (6.0, 9.0)).flux.value)
