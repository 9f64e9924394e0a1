from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sofia_engine.errors import ParameterError
from sofia_engine.simulate.forcast_detector import (
    BadPixels,
    NoiseModel,
    add_jailbars,
    apply_droop,
    apply_nonlinearity,
    draw_noise,
    find_nonlinearity,
    make_bad_pixel_mask,
    measure_level,
    shift_readout,
    spoil_pixels,
)

SHAPE = (256, 256)
ALL_GOOD = np.ones(SHAPE, dtype=bool)


def make_plane(seed, level=5000.0):
    return np.random.default_rng(seed).uniform(0.9 * level, 1.1 * level, SHAPE)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(0, 0.02), st.floats(0, 0.1))
def test_that_adding_the_fraction_of_the_block_sum_undoes_droop(seed, fraction, share_bad):
    plane = make_plane(seed)
    good = np.random.default_rng(seed).random(SHAPE) >= share_bad
    drooped = apply_droop(plane, good, fraction)
    sums = np.where(good, drooped, 0).reshape(256, 16, 16).sum(axis=2)
    restored = drooped + fraction * np.repeat(sums, 16, axis=1)
    np.testing.assert_allclose(restored[good], plane[good], rtol=1e-12)


@pytest.mark.parametrize("date", [20130401, 20130601, 20180901])
@pytest.mark.parametrize("camera", ["SW", "LW"])
@pytest.mark.parametrize("capacitance", ["lo", "hi"])
def test_that_dividing_by_the_factor_of_its_level_undoes_nonlinearity(date, camera, capacitance):
    plane = make_plane(3, level=7000.0)
    curve = find_nonlinearity(date, camera, capacitance)
    raw = apply_nonlinearity(plane, ALL_GOOD, curve)
    level = np.median(raw[34:223, 34:223])
    factor = np.polynomial.Polynomial(curve.coefficients)((level - curve.reference) / curve.scale)
    np.testing.assert_allclose(raw / factor, plane, rtol=1e-9)


def test_that_level_is_the_median_strictly_inside_190_pixels_around_the_centre():
    plane = np.zeros(SHAPE)
    plane[34:223, 34:223] = 7.0
    plane[100, 100] = np.nan
    good = np.isfinite(plane)
    assert measure_level(plane, good) == 7.0
    assert measure_level(np.where(plane == 7.0, np.arange(256.0), 0), good) == 128.0


def test_that_level_outside_the_known_range_is_refused_in_one_sentence():
    with pytest.raises(ParameterError, match="sky_level"):
        apply_nonlinearity(np.full(SHAPE, 300.0), ALL_GOOD, find_nonlinearity(20180901, "SW", "lo"))


@pytest.mark.parametrize(("gain", "read_noise"), [(136, 244.8), (1294, 2400.0)])
def test_that_noise_has_the_published_variance(gain, read_noise):
    noise = NoiseModel(frame_rate=24.0, integration_time=20.0, electrons_per_adu=gain, read_noise=read_noise)
    plane = np.full(SHAPE, 5000.0)
    noisy = draw_noise(plane, noise, np.random.default_rng(0))
    expected = 5000 / (24 * 20 * gain) + (read_noise / gain) ** 2 / (24 * 20)
    assert noise.variance(plane)[0, 0] == pytest.approx(expected)
    assert noisy.var() == pytest.approx(expected, rel=5 * np.sqrt(2 / plane.size))
    assert noisy.mean() == pytest.approx(5000, abs=5 * np.sqrt(expected / plane.size))


def test_that_jailbars_repeat_every_16_pixels_and_add_up_to_zero():
    bars = add_jailbars(np.zeros(SHAPE), 2.0, np.random.default_rng(0))
    assert np.array_equal(bars[:, 16:], bars[:, :-16])
    assert bars[0, :16].sum() == pytest.approx(0, abs=1e-12)
    assert 1 < bars[0, :16].std() < 3


def test_that_only_bad_pixels_are_spoilt_and_stay_finite():
    mask = make_bad_pixel_mask("SW", np.random.default_rng(0))
    bad = BadPixels.draw(mask, np.random.default_rng(1))
    plane = make_plane(0)
    spoilt = spoil_pixels(plane, bad, np.random.default_rng(2))
    assert np.array_equal(spoilt[~mask], plane[~mask])
    assert np.isfinite(spoilt).all()
    assert np.abs(spoilt[mask] - 5000).min() > 4000


@pytest.mark.parametrize(
    ("camera", "rows", "columns"), [("SW", slice(36, 75), (0, 2)), ("LW", slice(178, 189), (47, 61))]
)
def test_that_readout_shift_shows_in_the_examined_region(camera, rows, columns):
    bad = BadPixels.draw(make_bad_pixel_mask(camera, np.random.default_rng(0)), np.random.default_rng(1))
    plane = spoil_pixels(make_plane(0), bad, np.random.default_rng(2))

    def ratio(image):
        return image[rows, columns[0] + 16 : columns[1] + 16].std() / image[rows, slice(*columns)].std()

    assert ratio(plane) < 1
    assert ratio(shift_readout(plane)) > 3
    assert np.array_equal(np.roll(shift_readout(plane), -16, axis=1), plane)


def test_that_effects_leave_their_input_unchanged():
    plane = make_plane(0)
    kept = plane.copy()
    random = np.random.default_rng(0)
    apply_droop(plane, ALL_GOOD, 0.0035)
    apply_nonlinearity(plane, ALL_GOOD, find_nonlinearity(20180901, "SW", "lo"))
    draw_noise(plane, NoiseModel(24.0, 20.0, 136, 244.8), random)
    add_jailbars(plane, 2.0, random)
    spoil_pixels(plane, BadPixels.draw(make_bad_pixel_mask("SW", random), random), random)
    shift_readout(plane)
    assert np.array_equal(plane, kept)
