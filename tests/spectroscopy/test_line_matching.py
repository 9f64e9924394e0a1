from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sofia_engine.spectroscopy.line_matching import find_extremes, find_supported_degree, match_lines

WIDTH = 256
X = np.arange(float(WIDTH))
PLACES = np.array([22.4, 31.0, 49.3, 57.1, 84.6, 92.2, 115.5, 141.8, 150.3, 186.7, 203.2, 230.9])
HEIGHTS = np.array([4, 9, 2, 20, 12, 6, 30, 3, 14, 8, 25, 5.0])


def draw(places=PLACES, heights=HEIGHTS, sigma=2.2):
    return 100.0 + (heights * np.exp(-0.5 * ((X[:, np.newaxis] - places) / sigma) ** 2)).sum(axis=1)


def bend(offset, stretch, curve):
    u = 2 * PLACES / WIDTH - 1
    return PLACES + offset + stretch * u + curve * u**2


@settings(max_examples=40)
@given(st.floats(-3.5, 3.5), st.floats(-1.5, 1.5), st.floats(-0.4, 0.4), st.integers(0, 1000))
def test_that_a_pattern_is_found_though_guesses_are_half_a_separation_off(offset, stretch, curve, seed):
    spectrum = draw() + np.random.default_rng(seed).normal(0, 0.03, WIDTH)
    match = match_lines(bend(offset, stretch, curve), find_extremes(spectrum, 0.03), 5.0, WIDTH)
    assert np.count_nonzero(match.found) >= 11
    np.testing.assert_allclose(match.position[match.found], PLACES[match.found], atol=0.5)


@pytest.mark.parametrize("absent", [[70.0, 170.0], [44.5, 126.0, 216.0]])
def test_that_lines_that_are_not_in_the_spectrum_are_left_out(absent):
    guesses = np.sort(np.concatenate([bend(1.5, 0.5, 0.0), absent]))
    match = match_lines(guesses, find_extremes(draw(), 0.01), 5.0, WIDTH)
    np.testing.assert_allclose(match.position[match.found], PLACES, atol=0.3)
    assert np.isin(guesses[~match.found], absent).all()


def test_that_a_line_beside_a_wrong_maximum_is_rejected_and_listed():
    moved = PLACES.copy()
    moved[6] += 1.2
    match = match_lines(PLACES, find_extremes(draw(moved), 0.01), 5.0, WIDTH)
    np.testing.assert_array_equal(np.flatnonzero(match.rejected), [6])
    assert np.isnan(match.position[6])
    assert np.count_nonzero(match.found) == PLACES.size - 1


def test_that_minima_are_no_emission_lines():
    extremes = find_extremes(200 - draw(), 0.01, "absorption")
    assert (extremes.height < 0).all()
    assert match_lines(PLACES, extremes, 5.0, WIDTH).found.all()
    assert np.abs(find_extremes(200 - draw(), 0.01).position[:, np.newaxis] - PLACES).min() > 1.2
    both = find_extremes(200 - draw(), 0.01, "either")
    assert set(np.sign(both.height)) == {1.0, -1.0}


def test_that_a_maximum_is_at_its_vertex_and_stands_out_of_its_higher_valley():
    found = find_extremes(10 - 0.1 * (X - 100.3) ** 2 + 0.0 * X)
    np.testing.assert_allclose(found.position, [100.3], atol=1e-9)
    two = draw(np.array([100.0, 108.0]), np.array([10.0, 4.0]), 2.0)
    np.testing.assert_allclose(find_extremes(two).height, [10.0, 4.0 - (two[104:106].min() - 100)], rtol=0.03)
    gap = two.copy()
    gap[99:102] = np.nan
    assert find_extremes(gap).position.size == 1
    assert find_extremes(np.full(WIDTH, np.nan)).position.size == 0


def test_that_errors_of_maxima_are_their_scatter():
    rng = np.random.default_rng(3)
    spectra = draw(np.array([100.3]), np.array([50.0])) + rng.normal(0, 0.2, (300, WIDTH))
    found = [find_extremes(spectrum, 0.2) for spectrum in spectra]
    at = [int(np.argmax(extremes.height)) for extremes in found]
    pulls = [(e.position[k] - 100.3) / e.error[k] for e, k in zip(found, at, strict=True)]
    assert np.std(pulls) == pytest.approx(1.0, abs=0.12)


@pytest.mark.parametrize(("places", "degree"), [([], 0), ([9.0], 0), ([0, 100, 250], 0), ([0, 50, 100, 250], 1),
                                                ([10, 20, 30, 40, 50, 60], 0), ([0, 20, 50, 60, 70, 100], 1),
                                                ([0, 50, 100, np.nan, 150, 200, 250], 2)])  # fmt: skip
def test_that_few_or_narrowly_spread_lines_bear_low_degrees(places, degree):
    assert find_supported_degree(places, WIDTH) == degree


def test_that_few_lines_are_only_sought_near_their_guesses():
    extremes = find_extremes(draw(np.array([60.0, 184.0, 248.0]), np.array([9.0, 1.0, 9.0])), 0.01)
    match = match_lines([64.0, 184.2, 248.2], extremes, 5.0, WIDTH)
    np.testing.assert_array_equal(match.found, [False, True, True])
    assert not match_lines([np.nan, 400.0], extremes, 5.0, WIDTH).found.any()


def test_that_noise_has_no_lines():
    rng = np.random.default_rng(5)
    found = [find_extremes(rng.normal(0, 1.0, WIDTH), 1.0).position.size for _ in range(50)]
    assert np.mean(found) < 0.5


def test_that_a_bright_maximum_does_not_outvote_the_only_faint_line():
    extremes = find_extremes(draw(np.array([47.0, 53.7, 196.9]), np.array([80.0, 40.0, 2.0])), 0.01)
    match = match_lines([51.0, 196.8, np.nan], extremes, 5.0, WIDTH)
    np.testing.assert_array_equal(match.found, [False, True, False])
