"""Slopes of ramps: published check values, analytic fits, saturation, rejection, errors against Monte Carlo."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_engine.errors import StepError
from sofia_engine.instruments.fifi_ls.ramps import (
    RampSampling,
    Slopes,
    average_slopes,
    drop_noisy,
    find_outliers,
    find_unstable_ramps,
    fit_ramps,
    fit_slopes,
    fold_ramps,
    follow_signal,
    subtract_bias,
    widen_by_scatter,
)

ALTERNATING = np.array([3 * t + 5 + (1 if t % 2 == 0 else -1) for t in range(29)], dtype=np.int16)


def as_ramps(values, pixels=(16, 25)):
    values = np.asarray(values)
    return np.broadcast_to(values.reshape(1, -1, 1, 1), (1, values.size, *pixels)).copy()


def make_slopes(slope, variance):
    return Slopes(slope, variance, np.full(slope.shape, 29))


def test_that_slope_and_variance_are_the_published_ones():
    fitted = fit_slopes(as_ramps(ALTERNATING))
    assert fitted.slope == pytest.approx(3.0, abs=1e-12)
    assert fitted.variance == pytest.approx(5.2847e-4, rel=1e-4)


def test_that_ramps_are_cut_before_they_saturate():
    saturated = ALTERNATING.copy()
    saturated[20:] = 40
    fitted = fit_slopes(as_ramps(saturated))
    assert saturated.argmax() == 19
    assert fitted.slope == pytest.approx(3.0, abs=0.01)
    assert fitted.variance == pytest.approx(1.95535e-3, rel=0.02)


def test_that_a_ramp_without_saturation_is_used_whole():
    line = np.arange(29) * 7 + 11
    assert fit_slopes(as_ramps(line.astype(np.int16))).slope == pytest.approx(7)
    assert fit_slopes(as_ramps(line[::-1].astype(np.int16))).slope == pytest.approx(-7)


@pytest.mark.parametrize(("least", "known"), [(2, True), (20, False), (27, False)])
def test_that_ramps_that_saturate_early_are_left_out(least, known):
    ramp = np.minimum(np.arange(29) * 100, 1500).astype(np.int16)  # the largest value comes first at 15
    fitted = fit_slopes(as_ramps(ramp), least)
    assert np.isfinite(fitted.slope).all() == known
    if known:
        assert fitted.slope == pytest.approx(100)


@given(
    slope=st.integers(-200, 200),
    offset=st.integers(-20000, 20000),
    noise=st.lists(st.integers(-50, 50), min_size=29, max_size=29),
)
def test_that_fits_are_those_of_polyfit(slope, offset, noise):
    ramp = (offset + slope * np.arange(29) + np.array(noise)).astype(np.int16)
    top = int(ramp.argmax())
    used = ramp if top in (0, 28) else ramp[:top]
    fitted = fit_slopes(as_ramps(ramp, (1, 1)))
    if len(used) < 3:
        assert np.isnan(fitted.slope).all()
        return
    coefficients, residual, *_ = np.polyfit(np.arange(len(used)), used.astype(float), 1, full=True)
    assert fitted.slope.item() == pytest.approx(coefficients[0], abs=1e-8)
    time = np.arange(len(used)) - (len(used) - 1) / 2
    squares = residual[0] if len(residual) else 0.0
    assert fitted.variance.item() == pytest.approx(squares / (len(used) - 2) / (time @ time), abs=1e-7, rel=1e-6)


def test_that_the_error_of_a_slope_is_its_scatter():
    random = np.random.default_rng(1)
    ramps = np.rint(20 * np.arange(29).reshape(1, -1, 1, 1) + random.normal(0, 8, (400, 29, 16, 25))).astype(np.int16)
    fitted = fit_slopes(ramps)
    assert fitted.slope.std() == pytest.approx(np.sqrt(fitted.variance.mean()), rel=0.01)


def test_that_the_bias_of_a_column_is_subtracted_and_clipped():
    data = np.full((3, 18, 26), -30000, dtype=np.int16)
    data[:, 0] = -32768
    corrected = subtract_bias(data)
    assert corrected[0, 5, 3] == -30000 + 5000
    data[:, 0, 4] = -20000
    assert subtract_bias(data)[0, 5, 4] == -32768  # -30000 + 5000 - 12768 lies beyond 16 bits
    data[:, 7, 4], data[:, 0, 4] = 32767, -32768
    assert subtract_bias(data)[0, 7, 4] == 32767
    assert data[0, 7, 4] == 32767  # the input is left as it is


def test_that_readouts_are_folded_to_ramps_without_bias_row_and_grating_column():
    data = np.arange(64 * 18 * 26).reshape(64, 18, 26)
    folded = fold_ramps(data, 32)
    assert folded.shape == (2, 32, 16, 25)
    assert folded[1, 3, 0, 0] == data[35, 1, 0]


@pytest.mark.parametrize("count", [0, 63])
def test_that_readouts_that_are_no_whole_ramps_are_refused(count):
    with pytest.raises(StepError, match="no whole ramps"):
        fold_ramps(np.zeros((count, 18, 26), dtype=np.int16), 32)


def test_that_first_and_last_readouts_of_a_ramp_are_not_fitted():
    ramp = np.arange(32) * 10
    ramp[:2], ramp[-1] = 5000, 9000
    slopes = fit_ramps(as_ramps(ramp.astype(np.int16)), RampSampling(32))
    assert slopes.slope == pytest.approx(10)


def test_that_ramps_during_which_the_grating_moved_are_found():
    random = np.random.default_rng(2)
    positions = 1000 + random.normal(0, 1, (40, 32))
    positions[7] += 12
    positions[9, ::2] += 15
    unstable = find_unstable_ramps(positions, 1000.0, 3.0)
    assert np.flatnonzero(unstable).tolist() == [7, 9]
    assert not find_unstable_ramps(positions, 1000.0, 0.0).any()
    assert not find_unstable_ramps(positions, 5000.0, 3.0).any()  # no read-back of this grating
    assert not find_unstable_ramps(np.zeros((40, 32)), 1000.0, 3.0).any()


def test_that_a_glitch_in_time_is_an_outlier_and_a_bright_pixel_is_not():
    random = np.random.default_rng(3)
    slope = 60 + random.normal(0, 0.1, (12, 16, 25))
    slope[:, 4, 4] += 40
    slope[5, 8, 8] += 3
    in_time, in_ramp = (find_outliers(slope, 5.0, rule) for rule in ("pixel", "ramp"))
    assert np.argwhere(in_time).tolist() == [[5, 8, 8]]
    assert in_ramp[:, 4, 4].all()


def test_that_ordinary_noise_of_few_ramps_is_hardly_ever_rejected():
    slope = np.random.default_rng(4).normal(60, 0.1, (8, 16, 25))
    assert find_outliers(slope, 5.0, "pixel").mean() < 2e-3


def test_that_slopes_of_low_signal_are_dropped_and_exact_ones_kept():
    slopes = make_slopes(np.array([5.0, 50.0, -50.0, 1.0]), np.array([1.0, 1.0, 1.0, 0.0]))
    assert np.isnan(drop_noisy(slopes, 10.0).slope).tolist() == [True, False, True, False]
    assert drop_noisy(slopes, 0.0) is slopes


def test_that_means_are_weighted_and_empty_pixels_have_no_value():
    slope = np.zeros((3, 16, 25))
    slope[0], slope[1], slope[2] = 1.0, 4.0, 100.0
    variance = np.zeros((3, 16, 25))
    variance[0], variance[1], variance[2] = 1.0, 0.5, 1.0
    outliers = np.zeros(slope.shape, dtype=bool)
    outliers[2] = True
    outliers[:, 0, 0] = True
    variance[:, 1, 1] = 0.0
    flux, error = average_slopes(make_slopes(slope, variance), outliers)
    assert flux[3, 3] == pytest.approx((1 + 2 * 4) / 3)
    assert error[3, 3] == pytest.approx(3**-0.5)
    assert np.isnan([flux[0, 0], flux[1, 1]]).all()
    assert error[0, 0] == error[1, 1] == 0


def test_that_the_scatter_of_scans_does_not_know_of_the_source():
    """A source that is crossed in twenty ramps, and a drift, do not count; the noise from ramp to ramp does."""
    random = np.random.default_rng(5)
    time = np.arange(200)
    source = 5 * np.exp(-0.5 * ((time - 90) / 12) ** 2) + 0.01 * time
    slope = source[:, np.newaxis, np.newaxis] + random.normal(0, 0.05, (200, 16, 25))
    slopes = make_slopes(slope, np.full(slope.shape, 0.01**2))
    error = widen_by_scatter(slopes, np.zeros(slope.shape, dtype=bool))
    assert np.median(error) == pytest.approx(0.05, rel=0.1)


def test_that_a_source_a_scan_sweeps_over_is_no_outlier_but_a_jump_is():
    random = np.random.default_rng(4)
    time = np.arange(150.0)
    slope = 55.0 + random.normal(0, 0.05, (150, 16, 25))
    slope += 3.0 * np.exp(-0.5 * ((time - 70) / 12) ** 2)[:, None, None]
    slope[100, 3, 3] += 1.0
    slope[71, 5, 5] += 1.0
    slope[20, 7, 7] = np.nan
    found = find_outliers(slope - follow_signal(slope), 5.0, "pixel")
    assert found[100, 3, 3]
    assert found[71, 5, 5]
    assert found.mean() < 2e-3
    assert find_outliers(slope, 5.0, "pixel")[60:80].all(axis=0).mean() > 0.9  # what it was like
