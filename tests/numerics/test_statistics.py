from __future__ import annotations

import warnings

import numpy as np
import pytest
from astropy.stats import sigma_clip
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sofia_engine.numerics.statistics import (
    clip_outliers,
    find_median_variance,
    find_most_frequent_value,
    median_ignoring_nan,
    median_of_section,
    select_section,
)

RNG = np.random.default_rng(20180901)
ARRAYS = hnp.arrays(
    np.float64, hnp.array_shapes(min_dims=2, max_dims=3, max_side=6), elements=st.floats(-1e6, 1e6) | st.just(np.nan)
)


@given(ARRAYS, st.integers(0, 1))
def test_that_the_median_is_that_of_numpy(values, axis):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = np.nanmedian(values, axis=axis)
    np.testing.assert_allclose(median_ignoring_nan(values, axis), expected, rtol=1e-14, atol=1e-9)


def test_that_the_median_keeps_float32_and_its_input():
    values = RNG.normal(size=(5, 7)).astype(np.float32)
    values[0, 0] = np.nan
    before = values.copy()
    assert median_ignoring_nan(values, axis=0).dtype == np.float32
    np.testing.assert_array_equal(values, before)


def test_that_the_median_of_nothing_is_missing_without_a_warning():
    assert np.isnan(median_ignoring_nan([np.nan, np.nan]))
    assert np.isnan(median_ignoring_nan(np.empty((0, 3)), axis=0)).all()


@pytest.mark.parametrize(
    ("values", "expected"),
    [([3, 1, 3, 1, 2], 1.0), ([2, 2, 5, np.nan, np.nan, np.nan], 2.0), ([7.5], 7.5)],
    ids=["smallest of tied", "NaN is no value", "single"],
)
def test_that_the_most_frequent_value_is_found(values, expected):
    assert find_most_frequent_value(values) == expected


def test_that_there_is_no_most_frequent_value_of_nothing():
    assert np.isnan(find_most_frequent_value([np.nan]))


def test_that_a_section_excludes_its_limits():
    rows, columns = select_section((256, 256), (128, 100), (190, 21))
    assert (columns.start, columns.stop) == (34, 223)  # 33 < x < 223
    assert (rows.start, rows.stop) == (90, 111)  # 89.5 < y < 110.5


def test_that_a_section_beyond_the_image_is_cut():
    assert select_section((10, 10), (-50, 9), (20, 20)) == (slice(0, 10), slice(0, 0))


def test_that_the_median_of_a_section_sees_only_the_section():
    image = np.full((20, 20), 100.0)
    image[8:13, 8:13] = 3.0
    image[10, 10] = np.nan
    assert median_of_section(image, (10, 10), (6, 6)) == 3.0


@pytest.mark.parametrize("maxiters", [1, 2, 5])
@pytest.mark.parametrize("threshold", [1.0, 1.5, 2.0, 3.0, 8.0])
@pytest.mark.parametrize("count", [1, 2, 4, 9, 30])
def test_that_clipping_is_that_of_astropy(count, threshold, maxiters):
    stack = np.random.default_rng(count).standard_t(2, size=(count, 20, 30))
    stack[np.random.default_rng(1).random(stack.shape) < 0.1] = np.nan
    stack[:, 0, 0] = np.nan
    stack[0, 1, 1] = np.inf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = ~np.ma.getmaskarray(sigma_clip(stack, threshold, maxiters=maxiters, axis=0, masked=True))
    np.testing.assert_array_equal(clip_outliers(stack, threshold, maxiters), expected)


@given(hnp.arrays(np.float64, st.tuples(st.integers(2, 9), st.just(5)), elements=st.floats(-1e3, 1e3)))
def test_that_no_value_of_a_small_stack_can_exceed_the_bound_that_skips_clipping(stack):
    bound = np.sqrt(len(stack) - 1) + 1
    assert (np.abs(stack - np.median(stack, axis=0)) <= bound * stack.std(axis=0) * (1 + 1e-9) + 1e-9).all()


def test_that_clipping_works_along_any_axis():
    stack = RNG.standard_t(1, size=(4, 12, 3))
    np.testing.assert_array_equal(
        clip_outliers(stack, 1.5, axis=1), np.moveaxis(clip_outliers(np.moveaxis(stack, 1, 0), 1.5), 0, 1)
    )


def test_that_a_threshold_of_zero_is_refused():
    with pytest.raises(ValueError, match="must be positive"):
        clip_outliers(np.zeros((3, 3)), 0)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 15, 30, 31, 44, 101])
def test_that_medians_of_normal_values_scatter_as_stated(count):
    medians = np.median(np.random.default_rng(count).normal(0, 1, (200_000, count)), axis=1)
    assert count * medians.var() == pytest.approx(find_median_variance(count), rel=0.012)


def test_that_the_scatter_of_medians_joins_its_limit_smoothly():
    ratio = find_median_variance(np.arange(1, 20_001))
    assert ratio[-1] == pytest.approx(np.pi / 2, abs=2e-4)
    assert np.abs(np.diff(ratio[0::2])[14:]).max() < 2e-3
    assert np.abs(np.diff(ratio[1::2])[14:]).max() < 5e-3
    assert (np.diff(ratio[0::2])[1:] > 0).all()
    assert np.isnan(find_median_variance(0))
