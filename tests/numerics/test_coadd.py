from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_engine.numerics.coadd import CombinationRule, combine_stack, shift_and_add
from sofia_engine.numerics.geometry import fit_canvas

METHODS = [
    CombinationRule("mean"),
    CombinationRule("mean", weighted=False),
    CombinationRule("median"),
    CombinationRule("sum"),
    CombinationRule("median", robust=False),
]
IDS = ["weighted mean", "mean", "median", "sum", "plain median"]


def make_stack(count=6, shape=(5, 7), seed=1):
    rng = np.random.default_rng(seed)
    stack, variances = rng.normal(10, 1, (count, *shape)), rng.uniform(0.5, 2, (count, *shape))
    stack[rng.random(stack.shape) < 0.1] = np.nan
    return stack, variances


@given(st.permutations(range(6)), st.sampled_from(METHODS))
def test_that_the_order_of_the_frames_is_irrelevant(order, rule):
    stack, variances = make_stack()
    plain, mixed = combine_stack(stack, variances, rule), combine_stack(stack[order], variances[order], rule)
    np.testing.assert_allclose(mixed.flux, plain.flux, rtol=1e-12)
    np.testing.assert_allclose(mixed.variance, plain.variance, rtol=1e-12)


@given(st.floats(1e-3, 1e3), st.sampled_from(METHODS))
def test_that_flux_and_variance_scale_with_the_input(scale, rule):
    stack, variances = make_stack()
    plain, scaled = combine_stack(stack, variances, rule), combine_stack(scale * stack, scale**2 * variances, rule)
    np.testing.assert_allclose(scaled.flux, scale * plain.flux, rtol=1e-10)
    np.testing.assert_allclose(scaled.variance, scale**2 * plain.variance, rtol=1e-10)


def test_that_two_measurements_are_weighted_with_their_inverse_variances():
    result = combine_stack([[1.0], [4.0]], [[1.0], [2.0]])
    assert result.flux == pytest.approx([2.0])
    assert result.variance == pytest.approx([2 / 3])


@pytest.mark.parametrize(
    ("rule", "flux", "variance"),
    [
        (METHODS[1], 3.0, 6 / 9),
        (METHODS[2], 2.0, 1.346 * 6 / 9),
        (replace(METHODS[2], large_sample=True), 2.0, np.pi / 2 * 6 / 9),
        (METHODS[3], 9.0, 6.0),
    ],
    ids=["mean", "median", "median of many", "sum"],
)
def test_that_unweighted_combinations_have_their_textbook_values(rule, flux, variance):
    result = combine_stack(np.array([1.0, 2.0, 6.0, np.nan])[:, np.newaxis], np.full((4, 1), 2.0), rule)
    assert result.flux[0] == pytest.approx(flux)
    assert result.variance[0] == pytest.approx(variance)
    assert result.count[0] == 3


@pytest.mark.parametrize("rule", METHODS, ids=IDS)
def test_that_the_variance_is_the_scatter_of_repeated_combinations(rule):
    rng = np.random.default_rng(7)
    sigma = rng.uniform(0.5, 1.5, 25) if rule.method != "median" else np.ones(25)
    stack = rng.normal(0, sigma[:, np.newaxis], (25, 20_000))
    result = combine_stack(stack, np.broadcast_to((sigma**2)[:, np.newaxis], stack.shape), rule)
    assert result.flux.var() == pytest.approx(result.variance.mean(), rel=0.04)


def test_that_without_variances_the_scatter_takes_their_place():
    stack = np.random.default_rng(9).normal(0, 3, (10, 5000))
    result = combine_stack(stack, rule=CombinationRule("mean", robust=False))
    assert result.variance.mean() == pytest.approx(9 / 10, rel=0.02)
    assert np.isnan(combine_stack(stack[:1]).variance).all()


def test_that_an_outlier_is_rejected_by_the_robust_combination_only():
    stack = np.random.default_rng(2).normal(0, 1, (30, 4))
    stack[3, 1] = 1e4
    variances = np.ones_like(stack)
    robust = combine_stack(stack, variances, CombinationRule("mean", threshold=5))
    plain = combine_stack(stack, variances, CombinationRule("mean", robust=False))
    assert abs(robust.flux[1]) < 1
    assert robust.count.tolist() == [30, 29, 30, 30]
    assert plain.flux[1] > 100


def test_that_pixels_without_data_are_missing_and_counted_zero():
    stack, variances = make_stack(3)
    stack[:, 2, 2] = np.nan
    for rule in METHODS:
        result = combine_stack(stack, variances, rule)
        assert np.isnan(result.flux[2, 2])
        assert np.isnan(result.variance[2, 2])
        assert result.count[2, 2] == 0


def test_that_values_without_valid_variance_do_not_enter_a_weighted_mean():
    result = combine_stack([[1.0], [50.0], [60.0]], [[1.0], [0.0], [np.nan]])
    assert result.flux == [1.0]


@pytest.mark.parametrize("shape", [(), (11,), (3, 4), (2, 3, 4)], ids=["scalars", "spectra", "images", "cubes"])
@pytest.mark.parametrize("rule", METHODS, ids=IDS)
def test_that_arrays_of_any_dimension_keep_shape_type_and_input(shape, rule):
    stack = np.random.default_rng(3).normal(size=(4, *shape)).astype(np.float32)
    variances, before = np.ones_like(stack), stack.copy()
    result = combine_stack(stack, variances, rule)
    assert result.flux.shape == shape
    assert result.flux.dtype == result.variance.dtype == np.float32
    np.testing.assert_array_equal(stack, before)


def test_that_unlike_shapes_and_empty_stacks_are_refused():
    with pytest.raises(ValueError, match="have shape"):
        combine_stack(np.zeros((2, 3)), np.zeros((2, 4)))
    with pytest.raises(ValueError, match="nothing to combine"):
        combine_stack(np.zeros((0, 3)))


def test_that_shifted_copies_of_a_chopped_source_add_up_to_its_flux():
    y, x = np.mgrid[:80, :80]

    def source(cx, cy):
        return np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * 3.0**2))

    image = 2 * source(40, 40) - source(55, 40) - source(25, 40)
    image[10, 10] = np.nan
    shifts = [(0.0, 0.0, 1), (-15.0, 0.0, -1), (15.0, 0.0, -1)]
    canvas = fit_canvas(image.shape, [s[:2] for s in shifts])
    total = shift_and_add(image, np.ones_like(image), shifts, canvas)
    flux, variance = total.normalize(total.norm + (total.norm > 0))
    cx, cy = 40 + canvas.origin[0], 40 + canvas.origin[1]
    assert flux[cy, cx] == pytest.approx(1.0, abs=1e-3)
    assert total.norm[cy, cx] == 3
    assert variance[cy, cx] == pytest.approx(3 / 16)
    assert total.norm[10, 10 + canvas.origin[0]] == 1  # the unshifted copy and one other have nothing here


def test_that_an_empty_part_of_the_canvas_is_missing():
    total = shift_and_add(
        np.ones((2, 2)), np.ones((2, 2)), [(0.0, 0.0, 1), (3.0, 0.0, 1)], fit_canvas((2, 2), [(3, 0)])
    )
    flux, variance = total.normalize()
    np.testing.assert_array_equal(np.isnan(flux), [[False, False, True, False, False]] * 2)
    np.testing.assert_array_equal(np.isnan(variance), np.isnan(flux))
