"""Limits, stretches, the kernel from values to colour indices, histogram."""

import numpy as np
import pytest
from astropy.visualization import ZScaleInterval
from hypothesis import given
from hypothesis import strategies as st

from sofia_engine.errors import ParameterError
from sofia_viewers.image.display import (
    STRETCHES,
    LimitsRule,
    compute_histogram,
    compute_limits,
    index_colors,
    make_stretch_table,
    reduce_block,
    sample_image,
)


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(3).normal(10.0, 2.0, (300, 200))


def test_that_minmax_is_exact_and_ignores_missing_and_infinite_values(noise):
    noise[5, 6], noise[7, 8], noise[9, 9], noise[11, 3] = np.nan, np.inf, 500.0, -400.0
    assert compute_limits(noise, LimitsRule("minmax")) == (-400.0, 500.0)


def test_that_minmax_finds_a_single_bright_pixel_that_the_sample_misses():
    image = np.zeros((2000, 2000), np.float32)
    image[1, 1] = 7.0
    assert 7.0 not in sample_image(image)
    assert compute_limits(image, LimitsRule("minmax")) == (0.0, 7.0)


def test_that_zscale_agrees_with_astropy_on_the_same_values(noise):
    expected = ZScaleInterval().get_limits(noise.astype(np.float32).ravel())
    assert compute_limits(noise, LimitsRule("zscale")) == pytest.approx(expected, rel=1e-6)


def test_that_zmax_takes_the_low_end_of_zscale_and_the_maximum(noise):
    low, _ = compute_limits(noise, LimitsRule("zscale"))
    assert compute_limits(noise, LimitsRule("zmax")) == pytest.approx((low, noise.max()))


def test_that_percentile_limits_are_those_of_numpy(noise):
    expected = np.percentile(noise.astype(np.float32), [1, 99])
    assert compute_limits(noise, LimitsRule("percentile", 1, 99)) == pytest.approx(expected)


@pytest.mark.parametrize("value", [0.0, 4.0, np.nan])
def test_that_limits_of_a_constant_or_blank_image_are_open(value):
    for kind in ("zscale", "zmax", "minmax", "percentile"):
        low, high = compute_limits(np.full((20, 20), value), LimitsRule(kind))
        assert low < high


def test_that_big_endian_images_are_sampled(noise):
    assert sample_image(noise.astype(">f4")) == pytest.approx(sample_image(noise))


@pytest.mark.parametrize("size", [100, 5000])
def test_that_the_sample_is_not_larger_than_asked(noise, size):
    assert size / 4 < sample_image(noise, size).size <= size


@pytest.mark.parametrize("stretch", [s for s in STRETCHES if s != "histeq"])
def test_that_every_stretch_runs_from_the_first_to_the_last_level_and_never_falls(stretch):
    table = make_stretch_table(stretch)
    assert table[0] == 0
    assert (table[1], table[-1]) == (1, 255)
    assert np.all(np.diff(table[1:].astype(int)) >= 0)


@pytest.mark.parametrize(
    ("stretch", "middle"),
    [
        ("linear", 0.5),
        ("sqrt", np.sqrt(0.5)),
        ("squared", 0.25),
        ("log", np.log(501) / np.log(1001)),
        ("asinh", np.arcsinh(5) / np.arcsinh(10)),
        ("sinh", np.sinh(1.5) / np.sinh(3)),
        ("power", (1000**0.5 - 1) / 999),
    ],
)
def test_that_the_middle_value_gets_the_level_of_the_formula(stretch, middle):
    index = index_colors(np.array([[0.5]], np.float32), (0.0, 1.0), make_stretch_table(stretch))
    assert index[0, 0] == pytest.approx(1 + 255 * middle, abs=1.01)


def test_that_histogram_equalization_fills_all_levels_equally():
    values = np.random.default_rng(1).exponential(1.0, (400, 400)).astype(np.float32)
    limits = (0.0, float(values.max()))
    index = index_colors(values, limits, make_stretch_table("histeq", values.ravel(), limits))
    counts = np.bincount(index.ravel(), minlength=256)[1:]
    assert counts.std() / counts.mean() < 0.15


def test_that_an_unknown_stretch_is_refused():
    with pytest.raises(ParameterError, match="cubic"):
        make_stretch_table("cubic")


def test_that_missing_values_get_index_zero_and_values_beyond_the_limits_the_end_levels():
    values = np.array([[np.nan, -np.inf, -5.0, 0.0, 0.5, 1.0, 9.0, np.inf]], np.float32)
    index = index_colors(values, (0.0, 1.0), make_stretch_table("linear"))
    assert index[0].tolist() == [0, 1, 1, 1, 128, 255, 255, 255]


@given(st.integers(1, 9), st.integers(1, 13), st.integers(0, 2**31))
def test_that_indices_agree_with_numpy_for_any_shape_and_strides(rows, columns, seed):
    values = np.random.default_rng(seed).uniform(-1, 2, (rows, 2 * columns)).astype(np.float32)[:, ::2]
    index = index_colors(values, (0.0, 1.0), make_stretch_table("linear"))
    expected = 1 + np.clip(np.floor(values.astype(float) * 255), 0, 254)
    assert index.shape == values.shape
    assert np.abs(index.astype(float) - expected).max() <= 1


def test_that_blocks_are_averaged_without_missing_values_and_at_the_edges():
    values = np.arange(15, dtype=np.float32).reshape(3, 5)
    values[0, 0] = np.nan
    expected = [[(1 + 5 + 6) / 3, (2 + 3 + 7 + 8) / 4, (4 + 9) / 2], [10.5, 12.5, 14.0]]
    assert reduce_block(values, 2) == pytest.approx(np.array(expected))


def test_that_a_block_without_good_values_is_missing():
    assert np.isnan(reduce_block(np.full((4, 4), np.nan, np.float32), 2)).all()


def test_that_the_histogram_counts_the_central_values():
    counts, edges = compute_histogram(np.linspace(0, 1, 10001, dtype=np.float32), 50)
    assert counts.sum() == 10001
    assert edges[0] < 0
    assert edges[-1] > 1


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("zscale", LimitsRule("zscale")),
        ("MinMax", LimitsRule("minmax")),
        ("98%", LimitsRule("percentile", 1.0, 99.0)),
        ("-1,2.5", LimitsRule("manual", -1.0, 2.5)),
    ],
)
def test_that_rules_are_read_from_text(text, rule):
    assert LimitsRule.parse(text) == rule


@pytest.mark.parametrize("text", ["", "wide", "1,2,3", "x%"])
def test_that_a_wrong_rule_is_refused_with_what_is_allowed(text):
    with pytest.raises(ParameterError, match="zscale"):
        LimitsRule.parse(text)
