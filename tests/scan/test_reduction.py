"""Whole reductions of timestreams with a known source, sky noise, gains, drifts and spikes."""

import subprocess
import sys

import numpy as np
import pytest

from sofia_engine.errors import CancelledError, StepError
from sofia_engine.scan import flags
from sofia_engine.scan.map_grid import Beam
from sofia_engine.scan.options import read_scan_options
from sofia_engine.scan.reduction import clean_samples, find_overlaps, reduce_scans

BEAM = Beam(14.0)
FRAMES, PEAK = 240, 40.0
SOURCE = (3.0, -4.0)


def draw_source(x, y):
    return PEAK * np.exp(-4 * np.log(2) * ((x - SOURCE[0]) ** 2 + (y - SOURCE[1]) ** 2) / BEAM.spatial**2)


@pytest.fixture
def observe(make_scan):
    """Give a function that makes seven scan lines over a source, with noise of 1 per sample."""

    def make(seed=0, *, sky=20.0, drift=0.0, gain_scatter=0.0, spikes=0, lines=7, source=True):
        random, scans = np.random.default_rng([3, seed]), []
        gains = 1 + gain_scatter * random.normal(0, 1, 25)
        for n in range(lines):
            scan = make_scan(np.ones((FRAMES, 25)), speed=8.0 * (-1) ** n, y=6.0 * (n - (lines - 1) / 2), name=f"{n}")
            signal = draw_source(*scan.positions) * source + sky * walk(random, 1)
            signal = gains * signal + drift * walk(random, 25) + random.uniform(-100, 100, 25)
            signal += random.normal(0, 1, signal.shape)
            for _ in range(spikes):
                signal[random.integers(FRAMES), random.integers(25)] += 60.0
            scan.residual[:] = signal
            scans.append(scan)
        return scans

    return make


@pytest.fixture
def draw_wide():
    """Give a function that draws a source as wide as the field."""

    def draw(x, y):
        return PEAK * np.exp(-4 * np.log(2) * (x**2 + y**2) / 45.0**2)

    return draw


def walk(random, count):
    """Random walks with a standard deviation of one."""
    steps = np.cumsum(random.normal(0, 1, (FRAMES, count)), axis=0)
    return (steps - steps.mean(axis=0)) / steps.std(axis=0)


def reduce(scans, text="", **options):
    plan = read_scan_options(text)
    reduced = reduce_scans(scans, plan, BEAM, **options)
    return reduced, [clean_samples(scan, reduced.source, plan.last) for scan in reduced.scans]


def measure(reduced, cleaned):
    """Scale of the source in cleaned samples, and the errors of samples far from it over those given."""
    true, flux, error = [], [], []
    for scan, samples in zip(reduced.scans, cleaned, strict=True):
        useful = np.isfinite(samples.flux)
        true.append(draw_source(*scan.positions)[useful])
        flux.append(samples.flux[useful])
        error.append(samples.error[useful])
    true, flux, error = np.concatenate(true), np.concatenate(flux), np.concatenate(error)
    near, far = true > 0.1 * PEAK, true < 1e-3 * PEAK
    return flux[near].sum() / true[near].sum(), (flux / error)[far].std()


CASES = {
    "quiet": {"sky": 0.0},
    "sky": {"sky": 20.0},
    "gains": {"sky": 20.0, "gain_scatter": 0.1},
    "drifts": {"sky": 20.0, "drift": 1.0, "gain_scatter": 0.05},
    "spikes": {"sky": 20.0, "spikes": 8},
}


@pytest.mark.parametrize("name", CASES)
def test_that_the_flux_of_a_source_comes_back_and_errors_are_right(observe, name):
    found = [measure(*reduce(observe(seed, **CASES[name]))) for seed in range(3)]
    scale, pull = np.mean(found, axis=0)
    assert scale == pytest.approx(1.0, abs=0.04)
    assert pull == pytest.approx(1.0, abs=0.1)


def test_that_the_map_has_the_source_where_it_is_and_noise_elsewhere(observe):
    reduced, _ = reduce(observe(gain_scatter=0.05))
    made, grid = reduced.source.map, reduced.source.grid
    plane = np.where(made.valid[0], made.flux[0], 0.0)
    y, x = (start + grid.pixel.spatial * np.arange(n) for start, n in zip(grid.start[1:], grid.shape[1:], strict=True))
    near = np.hypot(x - SOURCE[0], y[:, None] - SOURCE[1]) < 12
    weight = np.where(near, plane, 0.0)
    assert (weight * x).sum() / weight.sum() == pytest.approx(SOURCE[0], abs=0.5)
    assert (weight * y[:, None]).sum() / weight.sum() == pytest.approx(SOURCE[1], abs=0.5)
    away = made.valid[0] & (np.hypot(x - SOURCE[0], y[:, None] - SOURCE[1]) > 30)
    assert made.significance[0][away].std() == pytest.approx(1.0, abs=0.25)


def test_that_sky_noise_far_above_the_source_goes(observe):
    scans = observe(sky=300.0)
    before = np.std(scans[0].residual - scans[0].residual.mean(axis=0))
    reduced, cleaned = reduce(scans)
    scale, _ = measure(reduced, cleaned)
    assert before > 250
    assert scale == pytest.approx(1.0, abs=0.05)
    assert np.nanmedian(cleaned[0].error) == pytest.approx(1.0, abs=0.2)


def test_that_without_a_model_the_source_is_taken_for_noise(observe):
    with_model, _ = measure(*reduce(observe()))
    without, _ = measure(*reduce(observe(), "source=f"))
    assert without < 0.8 < with_model


def test_that_spikes_have_no_value(observe):
    scans = observe(spikes=5)
    reduced, cleaned = reduce(scans)
    assert 32 <= reduced.reports[-1].spikes <= 37
    assert sum(int(((scan.bad & flags.SPIKE) != 0).sum()) for scan in reduced.scans) == reduced.reports[-1].spikes
    for scan, samples in zip(reduced.scans, cleaned, strict=True):
        assert np.nanmax(samples.flux - draw_source(*scan.positions)) < 30  # half of what is bright may differ
        assert np.nanmax(samples.flux[draw_source(*scan.positions) < 1]) < 9


def test_that_nothing_appears_where_there_is_no_source(observe):
    reduced, cleaned = reduce(observe(source=False, gain_scatter=0.05))
    flux = np.concatenate([samples.flux.ravel() for samples in cleaned])
    assert np.nanmean(flux) == pytest.approx(0.0, abs=0.05)
    assert np.abs(reduced.source.map.significance).max() < 7


def test_that_two_reductions_are_the_same_to_the_last_bit(observe):
    first, second = (reduce(observe(1, spikes=3, drift=0.5))[1] for _ in range(2))
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a.flux, b.flux, equal_nan=True)
        assert np.array_equal(a.error, b.error, equal_nan=True)


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_that_the_unit_of_flux_does_not_matter(observe, factor):
    plain, scaled = observe(2, gain_scatter=0.05), observe(2, gain_scatter=0.05)
    for scan in scaled:
        scan.residual *= factor
        scan.channels.weight /= factor**2
        scan.channels.variance *= factor**2
    a, b = reduce(plain)[1][3], reduce(scaled)[1][3]
    assert b.flux / factor == pytest.approx(a.flux, rel=1e-6, abs=1e-5, nan_ok=True)


def test_that_progress_runs_to_the_end_and_can_stop_the_work(observe):
    seen = []
    reduce(observe(lines=2), "rounds=4", progress=lambda done, total, what: seen.append((done / total, what)))
    shares = [share for share, _ in seen]
    assert shares == sorted(shares)
    assert 0 <= shares[0] < 0.1 < 0.8 < shares[-1] <= 1

    def stop(done, total, what):
        if done > 3:
            raise CancelledError("Stopped by the user.")

    with pytest.raises(CancelledError):
        reduce(observe(lines=2), progress=stop)


def test_that_scans_that_cannot_be_used_are_left_out_with_the_reason(observe, make_scan):
    scans = observe(lines=3)
    short = make_scan(np.ones((20, 25)), speed=8.0, name="short")
    still = make_scan(np.ones((FRAMES, 25)), speed=0.0, name="still")
    dead = make_scan(np.full((FRAMES, 25), np.nan), speed=8.0, name="dead")
    reduced, cleaned = reduce([*scans, short, still, dead])
    assert dict(reduced.rejected).keys() == {"short", "still", "dead"}
    assert "2.0 s" in dict(reduced.rejected)["short"]
    assert len(cleaned) == 3
    with pytest.raises(StepError, match="still: the telescope did not move"):
        reduce([make_scan(np.ones((FRAMES, 25)), speed=0.0, name="still")])


def test_that_missing_positions_cost_only_their_frames(observe):
    scans = observe(lines=3)
    scans[0].frames.x[40:60] = np.nan
    scans[0].frames.valid[40:60] = False
    reduced, cleaned = reduce(scans)
    assert np.isnan(cleaned[0].flux[40:60]).all()
    assert measure_finite(reduced, cleaned) == pytest.approx(1.0, abs=0.06)


def measure_finite(reduced, cleaned):
    return measure(reduced, cleaned)[0]


def test_that_overlaps_are_one_for_itself_and_fall_with_distance(observe):
    scan = observe(lines=1)[0]
    scan.channels.flag[4] |= flags.DEAD
    made = find_overlaps(scan, BEAM)
    assert np.diag(made)[[0, 12]] == pytest.approx(1.0)
    assert made[12, 13] == pytest.approx(np.exp(-4 * np.log(2) * (10 / 14) ** 2))
    assert not made[4].any()
    assert np.array_equal(made, made.T)


@pytest.mark.parametrize(
    "text",
    ["estimator=median", "weighting.frames weighting.frames.resolution=2", "drifts=16 sigmaclip=3", "gains=f",
     "extended", "source.fixedgains", "fifi_ls.insert_source=f",
     "weighting=f", "despike=f", "correlated.obs-channels=f",
     "faint", "dejump", "despike.method=absolute", "despike.method=multires", "despike.blocks drifts=3",
     "weighting.scans source.mem", "source.despike", "source.filter source.filter.blank=6", "source.coupling",
     "nonlinearity telescope-x correlated.accel-mag", "kill kill.bands=0.5:0.6 notch notch.frequencies=2"],
)  # fmt: skip
def test_that_options_still_give_the_source(observe, text):
    scale, _ = measure(*reduce(observe(4), text))
    assert scale == pytest.approx(1.0, abs=0.12)


def test_that_bright_sources_come_back_with_options_for_them(observe):
    scans = observe(4)
    for scan in scans:
        scan.residual += 24.0 * draw_source(*scan.positions)
    scale, _ = measure(*reduce(scans, "bright"))
    assert scale / 25.0 == pytest.approx(1.0, abs=0.04)


@pytest.mark.parametrize("text", ["jackknife=frames", "jackknife=channels", "scramble"])
def test_that_null_tests_leave_no_source(observe, text):
    scale, _ = measure(*reduce(observe(4), text))
    assert scale == pytest.approx(0.0, abs=0.12)


@pytest.mark.parametrize("text", ["deep", "source.nosync", "filter.motion"])
def test_that_some_options_cost_flux_as_the_manual_says(observe, text):
    """One sweep has the frequencies of a source in it, and what is not in a model is taken for noise."""
    assert 0.3 < measure(*reduce(observe(4), text))[0] < 0.9


def test_that_the_final_map_is_smoothed_without_changing_samples(observe):
    (plain, samples), (smooth, same) = reduce(observe(4)), reduce(observe(4), "smooth.final=beam map.size=80x60")
    assert smooth.source.smoothing.spatial == pytest.approx(BEAM.spatial)
    assert smooth.source.map.flux.max() == pytest.approx(plain.source.map.flux.max() / 2, rel=0.2)
    assert smooth.source.grid.shape[2] < plain.source.grid.shape[2]
    assert np.nanmedian(same[0].error) == pytest.approx(np.nanmedian(samples[0].error), rel=0.1)


def test_that_models_that_see_much_of_a_source_lose_some_of_it(observe):
    """Signals of rows of five channels hold the source."""
    scale, _ = measure(*reduce(observe(4), "rows cols"))
    assert 0.3 < scale < 1.05


def test_that_more_of_a_source_larger_than_the_field_comes_back_with_options_for_it(observe, draw_wide):
    """The field is 40 arcsec wide, the source 45: it hides in levels, the common signal and gradients."""
    found = {}
    for text in ("", "extended"):
        scans = observe(1, lines=11)
        for scan in scans:
            scan.residual += draw_wide(*scan.positions) - draw_source(*scan.positions)
        reduced, cleaned = reduce(scans, text)
        true = np.concatenate([draw_wide(*scan.positions).ravel() for scan in reduced.scans])
        flux = np.concatenate([samples.flux.ravel() for samples in cleaned])
        known = np.isfinite(flux)
        found[text] = np.polyfit(true[known], flux[known], 1)[0]
    assert found["extended"] > 1.3 * found[""]


def test_that_the_spectrum_of_the_sky_is_not_put_on_the_source(make_scan):
    """Gains of the sky fall by half from one wavelength to the other; those of sources do not."""
    random, scans = np.random.default_rng(5), []
    gains = np.repeat([1.4, 0.7], 25)
    for n in range(7):
        scan = make_scan(np.ones((FRAMES, 50)), speed=8.0 * (-1) ** n, y=6.0 * (n - 3), z=(0.0, 0.1), name=f"{n}")
        scan.channels.groups = {"spexels": np.arange(50) // 25}
        scan.residual[:] = draw_source(*scan.positions) + 20.0 * walk(random, 1) * gains
        scan.residual += random.normal(0, 1, scan.residual.shape)
        scans.append(scan)
    reduced, cleaned = reduce(scans)
    flux = np.stack([samples.flux for samples in cleaned])
    true = np.stack([draw_source(*scan.positions) for scan in reduced.scans])
    near = np.isfinite(flux) & (true > 0.1 * PEAK)
    planes = [np.where(near, a, 0.0).reshape(7, FRAMES, 2, 25).sum(axis=(0, 1, 3)) for a in (flux, true)]
    assert planes[0] / planes[1] == pytest.approx([1.0, 1.0], abs=0.15)
    assert planes[0][0] / planes[0][1] == pytest.approx(1.0, abs=0.08)
    ratio = reduced.scans[0].channels.gain[:25].mean() / reduced.scans[0].channels.gain[25:].mean()
    assert ratio == pytest.approx(2.0, rel=0.05)


def test_that_usual_reductions_do_not_load_the_package():
    code = (
        "import sys; import sofia_engine.instruments.fifi_ls.recipe; "
        "assert not [m for m in sys.modules if m.startswith('sofia_engine.scan')]; "
        "import sofia_engine.scan.reduction; assert 'numba' not in sys.modules and 'scipy.ndimage' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
