"""Single models on timestreams whose drift, common signal, gains, weights, spikes and spectrum are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sofia_engine.scan import flags
from sofia_engine.scan.averages import find_block_length, find_typical_gain, list_blocks, weighted_median
from sofia_engine.scan.despiking import SpikeRule, flag_spikes
from sofia_engine.scan.drifts import remove_drifts
from sofia_engine.scan.modes import GainRule, make_modes, update_gains, update_signal
from sofia_engine.scan.weights import weigh_channels, weigh_frames
from sofia_engine.scan.whitening import WhiteningRule, whiten

FRAMES, CHANNELS = 256, 25
TIME = np.arange(FRAMES)


def wave(period, phase=0.0):
    return np.sin(2 * np.pi * TIME / period + phase)


def start_modes(scan, name):
    scan.modes[name] = make_modes(scan, name)
    return scan.modes[name]


# averages


@given(arrays(float, st.integers(1, 40), elements=st.floats(-1e3, 1e3)))
def test_that_the_weighted_median_of_equal_weights_is_the_median(values):
    found = weighted_median(values, np.ones(values.size))
    assert found == pytest.approx(np.median(values), abs=1e-9)


def test_that_values_without_weight_do_not_count_in_the_median():
    values = np.array([[1.0, 2.0, 3.0, 1e9], [5.0, 7.0, 0.0, 0.0]]).T
    weights = np.array([[1.0, 1.0, 1.0, 0.0], [0.0, 2.0, 0.0, 0.0]]).T
    assert weighted_median(values, weights) == pytest.approx([2.0, 7.0])
    assert weighted_median(values, np.zeros((4, 2))) == pytest.approx([0.0, 0.0])


@given(st.floats(0.1, 10.0))
def test_that_the_typical_gain_of_equal_gains_is_their_size(gain):
    assert find_typical_gain(np.full(7, -gain)) == pytest.approx(gain)


def test_that_there_is_a_typical_gain_without_gains():
    assert find_typical_gain(np.array([])) == 1.0
    assert find_typical_gain(np.array([np.nan, np.nan])) == 1.0


@pytest.mark.parametrize(("seconds", "expected"), [(0.05, 1), (0.1, 1), (0.15, 2), (0.8, 8), (0.9, 16), (1e9, 100)])
def test_that_blocks_are_powers_of_two_of_frames(seconds, expected):
    assert find_block_length(seconds, 0.1, 100) == expected
    assert sum(block.stop - block.start for block in list_blocks(100, expected)) == 100


# drifts


@pytest.mark.parametrize("robust", [False, True])
def test_that_levels_of_blocks_are_taken_out_and_counted(make_scan, robust):
    level = np.repeat([[3.0], [-7.0]], FRAMES // 2, axis=0) + np.arange(CHANNELS)
    scan = make_scan(level)
    assert remove_drifts(scan, 12.0, robust=robust) == 128
    assert scan.residual == pytest.approx(np.zeros((FRAMES, CHANNELS)), abs=1e-9)
    assert scan.dependents.channels == pytest.approx(np.full(CHANNELS, 2.0))
    assert scan.dependents.frames.sum() == pytest.approx(2.0 * CHANNELS)
    assert scan.time_scale == pytest.approx(12.8)


def test_that_flagged_samples_do_not_move_the_level(make_scan):
    samples = np.full((FRAMES, CHANNELS), 5.0)
    samples[10, 3], samples[20, 4] = 1e6, np.nan
    scan = make_scan(samples)
    scan.bad[10, 3] |= flags.SPIKE
    remove_drifts(scan, np.inf)
    assert scan.residual[11, 3] == pytest.approx(0.0)
    assert scan.residual[21, 4] == pytest.approx(0.0)


# correlated signals


def test_that_a_common_signal_is_found_and_taken_out(make_scan, random):
    signal = 30.0 * wave(64) + 10.0 * wave(23, 1.0)
    scan = make_scan(signal[:, None] + random.normal(0, 1, (FRAMES, CHANNELS)))
    (mode,) = start_modes(scan, "obs-channels")
    update_signal(scan, mode)
    assert mode.signal == pytest.approx(signal, abs=1.0)
    assert scan.residual.std() == pytest.approx(np.sqrt(1 - 1 / CHANNELS), rel=0.03)
    assert scan.dependents.frames == pytest.approx(np.ones(FRAMES))
    assert scan.dependents.channels == pytest.approx(np.full(CHANNELS, FRAMES / CHANNELS))


@pytest.mark.parametrize("robust", [False, True])
def test_that_known_gains_come_back(make_scan, random, robust):
    gains = random.uniform(0.6, 1.6, CHANNELS)
    scan = make_scan(50.0 * wave(64)[:, None] * gains + random.normal(0, 0.5, (FRAMES, CHANNELS)))
    (mode,) = start_modes(scan, "obs-channels")
    for _ in range(12):
        update_signal(scan, mode, robust=robust)
        update_gains(scan, mode, GainRule(), robust=robust)
    expected = gains / find_typical_gain(gains)
    assert scan.channels.gain == pytest.approx(expected, rel=0.01)
    assert scan.residual.std() == pytest.approx(0.5, rel=0.05)
    assert not scan.channels.flag.any()


def test_that_gains_stay_where_a_signal_is_too_weak_to_tell(make_scan, random):
    spread = []
    for scatter in (0.3, np.inf):
        scan = make_scan(random.normal(0, 1, (FRAMES, CHANNELS)))
        (mode,) = start_modes(scan, "obs-channels")
        for _ in range(5):
            update_signal(scan, mode)
            update_gains(scan, mode, GainRule(scatter=scatter))
        spread.append(scan.channels.gain.std())
    assert spread[0] < 0.3
    assert spread[1] > 2 * spread[0]


def test_that_channels_with_implausible_gains_are_flagged_and_cleared_again(make_scan, random):
    gains = np.ones(CHANNELS)
    gains[3], gains[7] = 0.05, -1.0
    scan = make_scan(50.0 * wave(64)[:, None] * gains + random.normal(0, 0.5, (FRAMES, CHANNELS)))
    scan.channels.flag[11] |= flags.GAIN
    (mode,) = start_modes(scan, "obs-channels")
    for _ in range(6):
        update_signal(scan, mode)
        update_gains(scan, mode, GainRule(0.3, 3.0))
    assert np.flatnonzero(scan.channels.flag & flags.GAIN).tolist() == [3, 7]


def test_that_signals_across_the_field_are_taken_out(make_scan, random):
    scan = make_scan(np.zeros((FRAMES, CHANNELS)))
    across = 2.0 * wave(40)[:, None] * scan.channels.x - 3.0 * wave(90)[:, None] * scan.channels.y
    scan = make_scan(across + random.normal(0, 1, across.shape))
    first, second = start_modes(scan, "gradients")
    for _ in range(2):
        update_signal(scan, first)
        update_signal(scan, second)
    assert scan.residual.std() == pytest.approx(np.sqrt(1 - 2 / CHANNELS), rel=0.03)
    assert np.corrcoef(first.signal, wave(40))[0, 1] > 0.999


def test_that_signals_of_groups_are_told_apart(make_scan, random):
    scan = make_scan(np.zeros((FRAMES, CHANNELS)))
    signals = np.stack([wave(17 + 5 * n) for n in range(5)], axis=1)
    samples = 20.0 * signals[:, scan.channels.groups["rows"]]
    scan = make_scan(samples + random.normal(0, 0.1, samples.shape))
    modes = start_modes(scan, "rows")
    for mode in modes:
        update_signal(scan, mode)
    found = np.stack([mode.signal for mode in modes], axis=1)
    assert found == pytest.approx(20.0 * signals, abs=0.3)


def test_that_slow_signals_are_constant_in_blocks(make_scan):
    scan = make_scan(np.repeat(np.arange(32.0), 8)[:, None] * np.ones(CHANNELS))
    (mode,) = start_modes(scan, "obs-channels")
    update_signal(scan, mode, seconds=0.8 * np.sqrt(2))
    assert mode.signal.reshape(32, 8) == pytest.approx(np.repeat(np.arange(32.0), 8).reshape(32, 8))
    assert scan.residual == pytest.approx(np.zeros((FRAMES, CHANNELS)), abs=1e-9)


def test_that_nothing_is_lost_of_a_signal_that_is_fitted_again(make_scan, random):
    samples = 30.0 * wave(64)[:, None] + random.normal(0, 1, (FRAMES, CHANNELS))
    scan = make_scan(samples)
    (mode,) = start_modes(scan, "obs-channels")
    for _ in range(4):
        update_signal(scan, mode)
        update_gains(scan, mode, GainRule())
    rebuilt = scan.residual + mode.signal[:, None] * scan.channels.gain
    assert rebuilt == pytest.approx(samples, abs=1e-9)


# weights


def test_that_weights_are_the_inverse_variances_of_white_noise(make_scan, random):
    sigma = random.uniform(0.8, 1.5, CHANNELS)
    scan = make_scan(random.normal(0, 1, (FRAMES * 16, CHANNELS)) * sigma)
    for method in ("rms", "robust", "differential"):
        weigh_channels(scan, (0.1, 10.0), method, lag=5)
        assert np.sqrt(scan.channels.variance) == pytest.approx(sigma, rel=0.08), method
        assert scan.channels.weight == pytest.approx(1 / scan.channels.variance), method


def test_that_degrees_of_freedom_keep_weights_unbiased(make_scan, random):
    scan = make_scan(random.normal(0, 1, (512, CHANNELS)))
    remove_drifts(scan, 0.75)  # one level in 8 frames: an eighth of the freedom
    weigh_channels(scan, (0.1, 10.0))
    assert scan.channels.freedom == pytest.approx(np.full(CHANNELS, 7 / 8))
    assert scan.channels.weight.mean() == pytest.approx(1.0, rel=0.03)


def test_that_noisy_channels_are_flagged_and_those_on_a_bright_source_are_not(make_scan, random):
    samples = random.normal(0, 1, (FRAMES, CHANNELS))
    samples[:, 2] *= 8.0
    samples[:, 9] += 60.0 * np.exp(-0.5 * ((TIME - 128) / 20) ** 2)
    scan = make_scan(samples)
    weigh_channels(scan, (0.3, 3.0))
    assert np.flatnonzero(scan.channels.flag & flags.NOISY).tolist() == [2]
    assert scan.channels.weight[9] < 0.1


def test_that_frames_are_weighed_relative_to_the_mean(make_scan, random):
    samples = random.normal(0, 1, (FRAMES, CHANNELS))
    samples[128:] *= 2.0
    scan = make_scan(samples)
    weigh_frames(scan, 12.8, (0.3, 3.0))
    quiet, loud = scan.frames.weight[:128], scan.frames.weight[128:]
    assert quiet.mean() / loud.mean() == pytest.approx(4.0, rel=0.1)
    assert scan.frames.weight.mean() == pytest.approx(1.0)
    samples[50] *= 30.0
    scan = make_scan(samples)
    weigh_frames(scan, 0.0, (0.3, 3.0))
    assert scan.frames.flag[50] & flags.FRAME_WEIGHT


# spikes


def test_that_spikes_are_flagged_and_nothing_else(make_scan, random):
    samples = random.normal(0, 1, (FRAMES, CHANNELS))
    places = [(30, 4), (100, 7), (101, 20), (200, 0)]
    for place in places:
        samples[place] += 40.0
    scan = make_scan(samples)
    assert flag_spikes(scan, SpikeRule(10.0)) == len(places)
    assert sorted(zip(*np.nonzero(scan.bad & flags.SPIKE), strict=True)) == sorted(places)
    assert not scan.frames.flag.any()


def test_that_frames_and_channels_full_of_spikes_are_flagged_and_cleared(make_scan, random):
    samples = random.normal(0, 1, (FRAMES, CHANNELS))
    samples[60, :10] += 100.0
    samples[2::16, 3] += 100.0
    scan = make_scan(samples)
    flag_spikes(scan, SpikeRule(20.0))
    assert np.flatnonzero(scan.frames.flag & flags.SPIKY).tolist() == [60]
    assert np.flatnonzero(scan.channels.flag & flags.SPIKY).tolist() == [3]
    scan.residual[:] = random.normal(0, 1, samples.shape)
    assert flag_spikes(scan, SpikeRule(20.0)) == 0
    assert not scan.frames.flag.any()
    assert not scan.channels.flag.any()


# whitening


def test_that_a_hum_is_damped_to_the_white_level(make_scan, random):
    white = random.normal(0, 1, (FRAMES, CHANNELS))
    hum = 3.0 * np.sin(2 * np.pi * 5 * TIME / FRAMES)
    samples = white.copy()
    samples[:, 6] += hum
    scan = make_scan(samples)
    scan.time_scale = FRAMES * scan.step
    whiten(scan, WhiteningRule(1.5, 1.0))
    spectrum = np.abs(np.fft.rfft(scan.residual[:, 6]))
    assert np.abs(np.fft.rfft(samples[:, 6]))[5] > 10 * np.median(spectrum)
    assert spectrum[5] < 2.5 * np.median(spectrum)
    assert scan.residual[:, 6] + scan.rejected[:, 6] == pytest.approx(samples[:, 6])
    assert scan.whitening[5, 6] < 0.15
    assert scan.channels.kept[6] < 1.0


def test_that_white_noise_keeps_most_of_its_power_and_a_point_source_its_peak(make_scan, random):
    scan = make_scan(random.normal(0, 1, (FRAMES, CHANNELS)))
    scan.time_scale = FRAMES * scan.step
    response = whiten(scan, WhiteningRule(1.5, 1.0))
    assert scan.residual.var() > 0.9
    assert response > 0.95


def test_that_damping_is_given_back_when_the_hum_turns_out_to_be_source(make_scan, random):
    scan = make_scan(random.normal(0, 1, (FRAMES, CHANNELS)) + 3.0 * np.sin(2 * np.pi * 5 * TIME / FRAMES)[:, None])
    scan.time_scale = FRAMES * scan.step
    whiten(scan, WhiteningRule(1.5, 1.0))
    damped = scan.whitening.copy()
    assert damped[5].mean() < 0.2
    spectrum = np.fft.rfft(random.normal(0, 1, (FRAMES, CHANNELS)), axis=0)
    scan.residual[:] = np.fft.irfft(spectrum * np.concatenate([damped, damped[-1:]]), axis=0)  # white, as it is damped
    whiten(scan, WhiteningRule(1.5, 1.0))
    assert np.median(scan.whitening[5]) > 0.9


# what can be odd


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_that_few_frames_do_no_harm(make_scan, frames):
    scan = make_scan(np.arange(frames * CHANNELS, dtype=float).reshape(frames, CHANNELS) + 1.0)
    remove_drifts(scan, np.inf)
    for name in ("obs-channels", "gradients"):
        for mode in start_modes(scan, name):
            update_signal(scan, mode)
            update_gains(scan, mode, GainRule(0.3, 3.0, scatter=0.3))
    weigh_channels(scan, (0.3, 3.0))
    flag_spikes(scan, SpikeRule(5.0))
    whiten(scan, WhiteningRule(1.5, 1.0))
    assert np.isfinite(scan.residual).all()
    assert np.isfinite(scan.channels.weight).all()


def test_that_channels_without_data_are_dead_and_left_alone(make_scan, random):
    samples = random.normal(0, 1, (FRAMES, CHANNELS)) + 20.0 * wave(50)[:, None]
    samples[:, 5], samples[:, 6] = np.nan, 0.0
    given = samples.copy()
    scan = make_scan(samples)
    assert np.array_equal(given, samples, equal_nan=True)
    (mode,) = start_modes(scan, "obs-channels")
    update_signal(scan, mode)
    update_gains(scan, mode, GainRule(0.3, 3.0))
    weigh_channels(scan, (0.3, 3.0))
    assert (scan.channels.flag[[5, 6]] & flags.DEAD).all()
    assert not scan.mapping[[5, 6]].any()
    assert scan.mapping.sum() == CHANNELS - 2
    assert (scan.residual[:, [5, 6]] == 0).all()


def test_that_dead_channels_alone_leave_nothing_to_do(make_scan):
    scan = make_scan(np.full((16, CHANNELS), np.nan))
    remove_drifts(scan, np.inf)
    for name in ("obs-channels", "sky", "gradients", "rows"):
        for mode in start_modes(scan, name):
            update_signal(scan, mode)
            update_gains(scan, mode, GainRule(0.3, 3.0))
    weigh_channels(scan, (0.3, 3.0))
    flag_spikes(scan, SpikeRule(5.0))
    assert not scan.mapping.any()
    assert (scan.residual == 0).all()
