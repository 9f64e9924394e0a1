"""Combination of chop and nod planes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_engine.instruments.forcast.stacking import (
    PLANES_NEEDED,
    Frames,
    combine_planes,
    find_rule,
    scale_factors,
    sum_repeats,
)

RULES = tuple(PLANES_NEEDED)


def frames_of(*values, variance=1.0, shape=(2, 3)):
    flux = np.stack([np.full(shape, float(value)) for value in values])
    return Frames(flux, np.full_like(flux, variance))


@pytest.mark.parametrize(
    ("mode", "rule"),
    [
        ("NMC", "map"), ("NPC", "map"), ("NPCNAS", "map"), ("NXCAC", "map"), ("SLITSCAN_NMC", "map"), ("C2NC4", "map"),
        ("C2", "c2nc2"), ("C2NC2", "c2nc2"), ("C3D", "multi"), ("CM", "multi"), ("N", "nod"), ("NOD", "nod"),
        ("STARE", "stare"), ("", None), ("LINEAR", None),
    ],
)  # fmt: skip
def test_that_each_mode_has_its_rule(mode, rule):
    assert find_rule(mode) == rule


@pytest.mark.parametrize(
    ("rule", "values", "flux", "variance"),
    [
        ("map", (10, 4, 3, 1), 10 - 4 - (3 - 1), 4),
        ("map", (10, 4, 3, 1, 20, 8, 6, 2), 4 + 8, 8),
        ("map", (10, 4, 3, 1, 99), 4, 4),
        ("c2nc2", (10, 4), 6, 2),
        ("c2nc2", (10, 4, 9, 2), 13, 4),
        ("c2nc2", (10, 4, 9), 6, 2),
        ("nod", (10, 4), 6, 2),
        ("multi", (10, 4, 3), 3, 3),
        ("multi", (10, 1, 1, 1, 1), 6, 5),
        ("stare", (7,), 7, 1),
        ("stare", (1, 9, 4), 4, 1.3460 / 3),
        ("stare", (1, 9, 4, 6), 5, 1.1928 / 4),
    ],
)
def test_that_planes_are_combined_by_the_formula_of_the_rule(rule, values, flux, variance):
    combined = combine_planes(frames_of(*values), rule)
    np.testing.assert_allclose(combined.flux, flux)
    np.testing.assert_allclose(combined.variance, variance)


def test_that_levels_scale_what_is_subtracted_and_its_variance():
    frames = frames_of(100, 50, 80, 20)
    combined = combine_planes(frames, "map", (100.0, 50.0, 80.0, 20.0))
    np.testing.assert_allclose(combined.flux, 0, atol=1e-12)
    # C1: 1 + 2^2, C2: 1 + 4^2, scaled by 100/80
    np.testing.assert_allclose(combined.variance, 5 + (100 / 80) ** 2 * 17)
    pair = combine_planes(frames_of(100, 50), "c2nc2", (100.0, 50.0))
    np.testing.assert_allclose([pair.flux[0, 0], pair.variance[0, 0]], [0, 5])
    multi = combine_planes(frames_of(100, 50, 20), "multi", (100.0, 50.0, 20.0))
    np.testing.assert_allclose([multi.flux[0, 0], multi.variance[0, 0]], [-100, 1 + 4 + 25])


@pytest.mark.parametrize("rule", RULES)
def test_that_too_few_planes_are_an_error(rule):
    with pytest.raises(ValueError, match="too few"):
        combine_planes(Frames(np.ones((PLANES_NEEDED[rule] - 1, 2, 2)), np.ones((0, 2, 2))), rule)


@pytest.mark.parametrize("rule", RULES)
@given(level=st.floats(-1e4, 1e4), seed=st.integers(0, 99))
def test_that_a_common_background_cancels_in_all_differences(rule, level, seed):
    planes = 3 if rule == "stare" else PLANES_NEEDED[rule]
    flux = np.random.default_rng(seed).normal(size=(planes, 3, 3))
    variance = np.ones_like(flux)
    without, with_level = (combine_planes(Frames(f, variance), rule).flux for f in (flux, flux + level))
    np.testing.assert_allclose(with_level - without, level if rule == "stare" else 0, atol=1e-8)


def test_that_a_difference_of_exactly_zero_is_a_value():
    combined = combine_planes(frames_of(5, 5, 5, 5), "map")
    assert (combined.flux == 0).all()
    assert (combined.variance == 4).all()


def test_that_pixels_without_any_complete_group_are_missing():
    frames = frames_of(10, 4, 3, 1, 10, 4, 3, 1)
    frames.flux[1, 0, 0] = frames.variance[1, 0, 0] = np.nan
    frames.flux[[1, 6], 1, 1] = frames.variance[[1, 6], 1, 1] = np.nan
    combined = combine_planes(frames, "map")
    assert combined.flux[0, 0] == 4
    assert combined.variance[0, 0] == 4
    assert np.isnan(combined.flux[1, 1])
    assert np.isnan(combined.variance[1, 1])
    assert combined.flux[0, 1] == 8


def test_that_the_median_ignores_missing_values_and_counts_the_rest():
    frames = frames_of(1, 9, 4)
    frames.flux[1, 0, 0] = frames.variance[1, 0, 0] = np.nan
    frames.flux[:, 1, 1] = frames.variance[:, 1, 1] = np.nan
    combined = combine_planes(frames, "stare")
    assert combined.flux[0, 0] == 2.5
    assert combined.variance[0, 0] == pytest.approx(2 / 4)
    assert np.isnan([combined.flux[1, 1], combined.variance[1, 1]]).all()


def test_that_repeats_are_summed_and_the_rest_dropped():
    summed = sum_repeats(frames_of(1, 2, 3, 4, 5), 2)
    assert summed.flux[:, 0, 0].tolist() == [3, 7]
    assert summed.variance[:, 0, 0].tolist() == [2, 2]


def test_that_missing_repeats_do_not_contribute():
    frames = frames_of(1, 2, 3, 4)
    frames.flux[0, 0, 0] = frames.variance[0, 0, 0] = np.nan
    frames.flux[2:, 0, 0] = frames.variance[2:, 0, 0] = np.nan
    summed = sum_repeats(frames, 2)
    assert summed.flux[0, 0, 0] == 2
    assert np.isnan(summed.flux[1, 0, 0])


@pytest.mark.parametrize("rule", RULES)
def test_that_the_variance_agrees_with_simulated_planes(rule):
    rng = np.random.default_rng(11)
    planes, pixels = max(PLANES_NEEDED[rule], 5 if rule == "stare" else 1), 40_000
    sigma = np.linspace(1, 1 if rule == "stare" else 3, planes)[:, np.newaxis, np.newaxis] * np.ones(
        (planes, 1, pixels)
    )
    levels = None if rule == "stare" else np.linspace(50, 80, planes)
    flux = rng.normal(100, sigma)
    combined = combine_planes(Frames(flux, sigma**2), rule, levels)
    assert combined.flux.var() == pytest.approx(combined.variance[0, 0], rel=5 * np.sqrt(2 / pixels))


@pytest.mark.parametrize("rule", RULES)
def test_that_float32_and_the_input_are_kept(rule):
    flux = np.random.default_rng(0).normal(size=(8, 4, 4)).astype(np.float32)
    frames = Frames(flux.copy(), np.ones_like(flux))
    combined = combine_planes(frames, rule, np.linspace(1, 2, 8))
    assert combined.flux.dtype == combined.variance.dtype == np.float32
    np.testing.assert_array_equal(frames.flux, flux)


def test_that_levels_are_medians_of_the_section():
    flux = np.full((2, 10, 10), 3.0)
    flux[1, 2:8, 2:8] = 7
    assert scale_factors(flux, (5, 5), (4, 4)) == (3.0, 7.0)
