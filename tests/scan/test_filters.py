"""Filters, jumps, spikes, known signals, conditions of maps: a known signal stays, the noise goes."""

import numpy as np
import pytest

from sofia_engine.errors import ParameterError
from sofia_engine.scan import flags
from sofia_engine.scan.despiking import SpikeRule, flag_spikes
from sofia_engine.scan.filters import (
    MotionRule,
    NotchRule,
    filter_motion,
    find_motion_frequencies,
    kill_bands,
    notch_lines,
)
from sofia_engine.scan.jumps import level_jumps
from sofia_engine.scan.map_grid import Beam, MapGrid
from sofia_engine.scan.modes import make_modes, update_signal
from sofia_engine.scan.motion import find_accelerations
from sofia_engine.scan.option_table import RESPONSES as NAMES
from sofia_engine.scan.options import read_scan_options
from sofia_engine.scan.preparation import prepare_channels, prepare_samples, reverse_for_null_test
from sofia_engine.scan.responses import RESPONSES, remove_response
from sofia_engine.scan.source import SkyMap
from sofia_engine.scan.source_filters import drop_outliers, filter_large_scales, fit_couplings, prefer_smooth

FRAMES, CHANNELS = 256, 25
TIME = np.arange(FRAMES)
STEP = 0.1


def wave(cycles):
    """So many cycles in the scan: frequency cycles / 25.6 Hz."""
    return np.sin(2 * np.pi * cycles * TIME / FRAMES)[:, None]


def white(random):
    return random.normal(0, 1, (FRAMES, CHANNELS))


# spectral filters


def test_that_killed_bands_are_gone_and_the_rest_stays(make_scan, random):
    kept, noise = 3.0 * wave(20), 50.0 * wave(6)
    scan = make_scan(kept + noise + np.zeros(CHANNELS))
    response = kill_bands(scan, [(5.5 / 25.6, 6.5 / 25.6)], 1.0)
    assert scan.residual == pytest.approx(kept + np.zeros(CHANNELS), abs=1e-9)
    assert 0.9 < response < 1.0
    assert scan.channels.kept == pytest.approx(np.full(CHANNELS, response))
    assert scan.dependents.channels == pytest.approx(np.full(CHANNELS, 2.0))  # a sine and a cosine
    kill_bands(scan, [(5.5 / 25.6, 6.5 / 25.6)], 1.0)
    assert scan.channels.kept == pytest.approx(np.full(CHANNELS, response))  # counted once
    assert scan.residual + scan.rejected == pytest.approx(kept + noise + np.zeros(CHANNELS))


def test_that_the_share_of_a_point_source_that_filters_pass_is_that_of_its_peak(make_scan):
    """A Gaussian in the middle of the scan, with all frequencies below 1 Hz taken out."""
    seconds = 0.8
    source = np.exp(-4 * np.log(2) * ((TIME - 128) * STEP / seconds) ** 2)[:, None] * np.ones(CHANNELS)
    scan = make_scan(source)
    response = kill_bands(scan, [(0.0, 0.4)], seconds)
    assert scan.residual[128] + source.mean() == pytest.approx(np.full(CHANNELS, response), abs=0.05)


def test_that_frequencies_of_the_motion_are_found_and_taken_out(make_scan, random):
    noise = white(random)
    scan = make_scan(20.0 * wave(8) + noise)
    scan.frames.x = 60.0 * wave(8)[:, 0] + random.normal(0, 0.1, FRAMES)
    scan.frames.y = random.normal(0, 0.1, FRAMES)
    rule = MotionRule(above=0.3)
    assert np.flatnonzero(find_motion_frequencies(scan, rule)).tolist() == [8]
    harmonics = MotionRule(harmonics=4, odd=True)
    assert np.flatnonzero(find_motion_frequencies(scan, harmonics)).tolist() == [8, 24]
    assert find_motion_frequencies(scan, MotionRule(stability=5.0)).sum() > 3
    assert not find_motion_frequencies(scan, MotionRule(band=(1.0, 2.0))).any()
    filter_motion(scan, rule, 1.0)
    assert scan.residual.std() == pytest.approx(noise.std(), rel=0.03)


def test_that_lines_are_taken_out_before_the_first_round_and_means_stay(make_scan, random):
    noise = white(random)
    scan = make_scan(100.0 + 30.0 * wave(32) + 10.0 * wave(64) + noise)
    notch_lines(scan, NotchRule((32 / 25.6,), 0.01, 2))
    assert scan.residual.mean() == pytest.approx(100.0, abs=0.1)
    assert scan.residual.std() == pytest.approx(1.0, abs=0.06)
    before = scan.residual.copy()
    notch_lines(scan, NotchRule(bands=((90 / 25.6, 100 / 25.6),)))
    assert np.abs(np.fft.rfft(scan.residual[:, 3])[90:101]) == pytest.approx(np.zeros(11), abs=1e-9)
    assert np.fft.rfft(scan.residual[:, 3])[10:80] == pytest.approx(np.fft.rfft(before[:, 3])[10:80])


# jumps


def test_that_long_jumps_are_levelled_and_short_ones_left_out(make_scan, random):
    noise = white(random)
    samples = noise.copy()
    samples[60:140] += 8.0 * random.choice([-1.0, 1.0], CHANNELS)
    samples[200:203] += 10.0
    scan = make_scan(samples)
    assert level_jumps(scan, 2.0, 5.0) == (1, 3)
    assert np.abs(scan.residual[60:140].mean(axis=0)).max() < 1e-9
    assert np.flatnonzero(scan.frames.flag & flags.JUMP).tolist() == [200, 201, 202]
    assert scan.dependents.channels == pytest.approx(np.ones(CHANNELS))
    assert scan.residual[:60] == pytest.approx(noise[:60])
    assert level_jumps(make_scan(noise), 2.0, 5.0) == (0, 0)


# spikes


@pytest.mark.parametrize("method", ["neighbours", "absolute", "gradual", "multires"])
def test_that_all_ways_find_the_same_spikes(make_scan, random, method):
    samples = white(random)
    places = [(30, 4), (100, 7), (101, 20), (201, 0)]
    for place in places:
        samples[place] += 60.0
    scan = make_scan(samples)
    assert flag_spikes(scan, SpikeRule(15.0, method=method, longest=8)) == len(places)
    assert sorted(zip(*np.nonzero(scan.bad & flags.SPIKE), strict=True)) == sorted(places)


def test_that_ways_differ_in_what_is_no_spike_of_a_single_sample(make_scan, random):
    samples = white(random)
    samples[64:72, 3] += 12.0  # eight frames long
    assert flag_spikes(make_scan(samples), SpikeRule(9.5)) == 0
    assert flag_spikes(make_scan(samples), SpikeRule(15.0, method="multires", longest=16)) == 8
    samples = white(random)
    samples[50] += 200.0
    samples[50, 6] += 1000.0
    scan = make_scan(samples)
    flag_spikes(scan, SpikeRule(20.0, method="gradual", frame_spikes=100))
    assert np.flatnonzero(scan.bad[50] & flags.SPIKE).size == CHANNELS
    samples[50] -= 150.0
    scan = make_scan(samples)
    flag_spikes(scan, SpikeRule(20.0, method="gradual", frame_spikes=100))
    assert np.flatnonzero(scan.bad[50] & flags.SPIKE).tolist() == [6]


def test_that_blocks_with_a_spike_are_flagged_as_a_whole(make_scan, random):
    samples = white(random)
    samples[70, 5] += 50.0
    scan = make_scan(samples)
    flag_spikes(scan, SpikeRule(10.0, block=32, channel_count=100))
    assert np.flatnonzero(scan.bad[:, 5] & flags.SPIKE).tolist() == list(range(64, 96))


# known signals


@pytest.mark.parametrize("name", [name for name in RESPONSES if name != "nonlinearity"])
def test_that_responses_to_the_motion_are_taken_out(make_scan, random, name):
    noise = white(random)
    scan = make_scan(noise)
    scan.frames.x, scan.frames.y = 50.0 * wave(5)[:, 0] ** 3, 30.0 * wave(7)[:, 0] + 20.0 * wave(3)[:, 0]
    signal = RESPONSES[name](scan)
    signal = (signal - signal.mean()) / np.abs(signal - signal.mean()).max()
    scan.residual += 10.0 * signal[:, None] * np.linspace(-1, 1, CHANNELS)
    found = remove_response(scan, name)
    assert np.corrcoef(found, np.linspace(-1, 1, CHANNELS))[0, 1] > 0.99
    assert scan.residual.std() == pytest.approx(noise.std(), rel=0.02)
    assert scan.dependents.channels == pytest.approx(np.ones(CHANNELS))
    assert set(NAMES) == set(RESPONSES)


def test_that_the_square_of_the_sky_is_taken_out_once(make_scan, random):
    sky = 30.0 * wave(4)
    bent = 0.01 * np.linspace(-1, 1, CHANNELS) * sky**2
    scan = make_scan(sky + bent + 0.1 * white(random))
    scan.modes["obs-channels"] = make_modes(scan, "obs-channels")
    for _ in range(3):
        update_signal(scan, scan.modes["obs-channels"][0])
        remove_response(scan, "nonlinearity")
        scan.residual -= scan.residual.mean(axis=0)
    assert scan.residual.std() < 0.2 < bent.std()


# maps


@pytest.fixture
def sky(random):
    """A map of noise 1, 60 x 60 pixels of 4 arcsec."""
    return SkyMap(random.normal(0, 1, (1, 60, 60)), np.ones((1, 60, 60)), np.ones((1, 60, 60)))


GRID = MapGrid((1, 60, 60), (0.0, 0.0, 0.0), Beam(4.0))


def draw(width, height):
    y, x = np.mgrid[:60, :60] * 4.0 - 120.0
    return height * np.exp(-4 * np.log(2) * (x**2 + y**2) / width**2)[None]


def test_that_pixels_that_stand_out_are_dropped_and_sources_stay(sky):
    sky.flux += draw(12.0, 20.0)
    sky.flux[0, 10, 10] += 40.0
    assert drop_outliers(sky, 12.0) == 1
    assert not sky.valid[0, 10, 10]


def test_that_large_structure_goes_and_point_sources_keep_their_peak(sky):
    sky.flux = draw(12.0, 50.0) + draw(200.0, 30.0)
    filter_large_scales(sky, GRID, 60.0, Beam(12.0))
    assert sky.flux[0, 30, 30] == pytest.approx(50.0, abs=5.0)
    assert np.abs(sky.flux[0, 30, :15]).max() < 4.0
    sky.flux = draw(12.0, 50.0)
    filter_large_scales(sky, GRID, 60.0, Beam(12.0), blank=1.0)
    assert sky.flux[0, 30, 30] == pytest.approx(50.0, abs=0.5)


def test_that_entropy_pulls_noise_to_zero_and_leaves_bright_pixels(sky):
    sky.flux[0, 30, 30] = 100.0
    before = sky.flux.copy()
    prefer_smooth(sky, 1.0)
    assert sky.flux[0, 30, 30] == pytest.approx(100.0 - np.log(100.0), abs=0.01)
    assert sky.flux.std() < before.std()
    assert (np.sign(sky.flux) * np.sign(before) >= 0).all()


def test_that_responses_to_the_source_are_fitted(make_scan, random):
    coupling = random.uniform(0.6, 1.5, CHANNELS)
    scan = make_scan(np.ones((FRAMES, CHANNELS)))
    expected = 100.0 * np.exp(-0.5 * ((TIME - 128) / 20.0) ** 2)[:, None] * np.ones(CHANNELS)
    left = expected * (coupling - 1.0) + white(random)
    fit_couplings(scan, expected, left, expected > 10, (0.3, 3.0))
    assert scan.channels.coupling / scan.channels.coupling.mean() == pytest.approx(coupling / coupling.mean(), rel=0.01)
    fit_couplings(scan, expected, left * 0, expected > 10, (0.9, 1.1))
    assert (scan.channels.flag & flags.BLIND).any()


# before the first round


def prepare(scan, text):
    options = read_scan_options(text).at(1)
    prepare_channels(scan, options)
    prepare_samples(scan, options)
    return options


def test_that_channels_are_left_out_as_told(make_scan, random):
    scan = make_scan(white(random))
    prepare(scan, "flag=3,5-7 flag.rows=4 blind=0")
    assert np.flatnonzero(scan.channels.flag & flags.DEAD).tolist() == [3, 5, 6, 7, 20, 21, 22, 23, 24]
    assert np.flatnonzero(scan.channels.flag & flags.BLIND).tolist() == [0]
    with pytest.raises(ParameterError, match="no channel or group 99"):
        prepare(scan, "flag=99")


def test_that_frames_and_samples_are_left_out_as_told(make_scan, random):
    samples = white(random)
    samples[50, 3], samples[::2, 8] = 1000.0, -1000.0
    scan = make_scan(samples)
    prepare(scan, "frames=10:-21 range=-100:100")
    assert np.flatnonzero(scan.frames.valid)[[0, -1]].tolist() == [10, FRAMES - 21]
    assert scan.bad[50, 3] & flags.SKIP
    assert np.flatnonzero(scan.channels.flag & flags.DEAD).tolist() == [8]
    scan = make_scan(samples)
    prepare(scan, "shift=0.3")
    assert scan.residual[3:] == pytest.approx(samples[:-3])
    assert not scan.frames.valid[:3].any()


def test_that_null_tests_turn_signs_and_places(make_scan, random):
    def make(text):
        scans = [make_scan(white(random)) for _ in range(4)]
        reverse_for_null_test(scans, read_scan_options(text).at(1))
        return scans

    assert [scan.frames.gain[0] for scan in make("jackknife=alternate")] == [1, -1, 1, -1]
    assert abs(make("jackknife=frames")[0].frames.gain.mean()) < 0.3
    assert set(make("jackknife=channels")[0].channels.coupling) == {1.0, -1.0}
    assert sorted(make("scramble")[0].channels.x) == sorted(make("")[0].channels.x)
    assert make("gainnoise=0.1")[0].channels.gain.std() == pytest.approx(0.1, rel=0.4)


def test_that_accelerations_are_second_differences():
    time = np.arange(20) * STEP
    assert find_accelerations(3.0 * time**2, 4.0 * time**2, STEP) == pytest.approx(np.full(20, 10.0))
    assert np.isnan(find_accelerations(time[:2], time[:2], STEP)).all()
