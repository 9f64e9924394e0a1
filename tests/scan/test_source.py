"""The source model: grid, accumulation, conditions, and what it takes out of scans."""

import numpy as np
import pytest

from sofia_engine.errors import StepError
from sofia_engine.scan import flags
from sofia_engine.scan.map_grid import Beam, lay_map_grid
from sofia_engine.scan.options import ScanOptions
from sofia_engine.scan.smoothing import smooth_map
from sofia_engine.scan.source import SkyMap, SourceModel, accumulate

BEAM = Beam(12.0)
FRAMES = 200


@pytest.fixture
def start(make_scan):
    """Give a function that makes a scan of a surface f(x, y, z) seen with some gains, and its source model."""

    def make(surface, *, gain=1.0, channels=25, z=(0.0,), beam=BEAM, pixel=None):
        scan = make_scan(np.ones((FRAMES, channels)), speed=8.0, z=z)
        x, y = scan.positions
        scan.channels.gain[:] = gain
        scan.residual[:] = scan.channels.gain * surface(x, y, scan.channels.z)
        grid = lay_map_grid([scan], pixel or Beam(4.0, beam.spectral / 3))
        scan.index = grid.find_pixels(scan)
        return scan, SourceModel(grid, beam)

    return make


def test_that_every_sample_has_the_pixel_it_falls_into(start):
    scan, model = start(lambda x, y, z: x, channels=50, z=(157.0, 158.0), beam=Beam(12.0, 0.3))
    nz, ny, nx = model.grid.shape
    planes, rows, columns = np.unravel_index(scan.index, (nz, ny, nx))
    for found, true, start_, size in zip(
        (columns, rows, planes),
        (*scan.positions, np.broadcast_to(scan.channels.z, scan.index.shape)),
        model.grid.start[::-1],
        (4.0, 4.0, 0.1),
        strict=True,
    ):
        assert np.abs(start_ + size * found - true).max() <= size / 2 + 1e-9


def test_that_samples_beside_a_map_of_given_size_are_in_no_pixel(start):
    scan, _ = start(lambda x, y, z: x)
    grid = lay_map_grid([scan], Beam(4.0), (40.0, 20.0))
    index = grid.find_pixels(scan)
    x, y = scan.positions
    assert grid.shape == (1, 6, 11)
    assert ((index < 0) == ((np.abs(x) > 22) | (np.abs(y) > 12))).mean() > 0.99


def test_that_maps_too_large_to_hold_are_refused(start):
    scan, _ = start(lambda x, y, z: x)
    with pytest.raises(StepError, match="larger pixels"):
        lay_map_grid([scan], Beam(0.001))


def test_that_accumulated_pixels_are_weighted_means_of_their_samples(start, random):
    scan, model = start(lambda x, y, z: 3.0 + 0.0 * x, gain=random.uniform(0.5, 2.0, 25))
    scan.channels.variance[:] = random.uniform(0.5, 4.0, 25)
    scan.frames.gain[:] = -0.7
    scan.residual[:] *= -0.7
    scan.bad[50, 3] |= flags.SPIKE
    scan.residual[50, 3] = 1e6
    made = accumulate(scan, model.grid)
    assert made.flux[made.valid] == pytest.approx(3.0)
    assert made.exposure.sum() == pytest.approx((FRAMES * 25 - 1) * scan.step)
    response = scan.channels.gain**2 / scan.channels.variance * 0.7**2
    assert made.weight.sum() == pytest.approx(FRAMES * response.sum() - response[3])


def test_that_fixed_gains_and_corrections_change_the_response(start):
    scan, model = start(lambda x, y, z: 2.0 + 0.0 * x)
    scan.channels.gain[:] = 4.0
    assert accumulate(scan, model.grid, fixed_gains=True).flux.max() == pytest.approx(2.0)
    assert accumulate(scan, model.grid).flux.max() == pytest.approx(0.5)
    scan.channels.kept[:] = 0.8
    assert accumulate(scan, model.grid, corrected=True).flux.max() == pytest.approx(0.5 / 0.8)


def test_that_smoothing_keeps_constants_and_widens_points(start):
    _, model = start(lambda x, y, z: x, channels=50, z=(157.0, 158.0), beam=Beam(12.0, 0.3))
    shape, width = model.grid.shape, Beam(12.0, 0.3)
    flux, weight = smooth_map(np.full(shape, 5.0), np.ones(shape), model.grid, width)
    assert flux == pytest.approx(5.0)
    point = np.zeros(shape)
    middle = tuple(n // 2 for n in shape)
    point[middle] = 1.0
    flux, _ = smooth_map(point, np.ones(shape), model.grid, width)
    away = 4.0 * (np.arange(shape[2]) - middle[2])
    assert flux[middle[0], middle[1]] / flux[middle] == pytest.approx(
        np.where(np.abs(away) <= 24, np.exp(-4 * np.log(2) * (away / 12.0) ** 2), 0.0), abs=1e-6
    )
    assert weight[middle] == pytest.approx(1.0645**3 * (3.0 * 3.0 * 3.0), rel=0.01)  # pixels in the beam


def test_that_the_noise_of_smoothed_maps_is_what_weights_say(start, random):
    scan, model = start(lambda x, y, z: x)
    scan.residual[:] = random.normal(0, 1, scan.residual.shape)
    model.update([scan], ScanOptions(smooth=0.0, redundancy=5.0))
    assert model.map.significance[model.map.valid].std() == pytest.approx(1.0, abs=0.06)


def test_that_what_is_taken_out_is_the_model_at_the_samples(start, random):
    scan, model = start(lambda x, y, z: 50.0 * np.exp(-(x**2 + y**2) / 100.0), gain=random.uniform(0.8, 1.2, 25))
    before = scan.residual.copy()
    for options in (ScanOptions(), ScanOptions(clip=5.0), ScanOptions(smooth=0.0)):
        model.update([scan], options)
        taken = scan.channels.gain * np.append(model.base.ravel(), 0.0)[scan.index]
        assert scan.residual + taken == pytest.approx(before, abs=1e-9)
        scan.channels.gain[:] *= random.uniform(0.9, 1.1, 25)  # the next one is taken out with other gains


def test_that_pixels_below_the_clip_are_left_in_the_samples(start, random):
    scan, model = start(lambda x, y, z: 50.0 * np.exp(-(x**2 + y**2) / 100.0) - 10.0 * np.exp(-((x - 60) ** 2) / 100.0))
    scan.residual[:] += random.normal(0, 0.1, scan.residual.shape)
    model.generation = 1  # levels are taken in the first round only
    model.update([scan], ScanOptions(clip=10.0, smooth=0.0))
    assert model.base.min() < -5
    model.update([scan], ScanOptions(clip=10.0, smooth=0.0, sign="+"))
    assert model.base.min() == 0
    assert model.base.max() > 30
    assert (np.abs(model.map.significance[model.map.valid]) > 10).all()


def test_that_bright_samples_are_kept_from_models_of_noise_but_mapped(start, random):
    scan, model = start(lambda x, y, z: 50.0 * np.exp(-(x**2 + y**2) / 100.0))
    scan.residual[:] += random.normal(0, 1, scan.residual.shape)
    model.update([scan], ScanOptions(blank=30.0))
    x, y = scan.positions
    blanked = (scan.bad & flags.BLANK) != 0
    assert blanked[np.hypot(x, y) < 5].all()
    assert not blanked[np.hypot(x, y) > 30].any()
    assert not scan.good[blanked].any()
    peak = model.base.max()
    model.update([scan], ScanOptions())
    assert model.base.max() == pytest.approx(peak, rel=0.05)
    assert not (scan.bad & flags.BLANK).any()


def test_that_rare_pixels_are_left_out(start):
    scan, model = start(lambda x, y, z: 1.0 + 0 * x)
    model.update([scan], ScanOptions(smooth=0.0, redundancy=1.0))
    hits = np.rint(model.map.exposure / scan.step)
    model.update([scan], ScanOptions(smooth=0.0, redundancy=1.0, exposure_clip=0.5))
    best = np.quantile(hits[hits > 0], 0.95)
    assert np.array_equal(model.map.valid, hits >= 0.5 * best)
    model.update([scan], ScanOptions(smooth=0.0, redundancy=1.0, noise_clip=1.2))
    assert 0 < model.map.valid.sum() < (hits > 0).sum()
    model.update([scan], ScanOptions(redundancy=1e6))
    assert not model.map.valid.any()


def test_that_reweighting_makes_the_median_significance_that_of_noise(random):
    made = SkyMap(random.normal(0, 3, (1, 50, 50)), np.ones((1, 50, 50)), np.ones((1, 50, 50)))
    assert 1 / made.reweight() == pytest.approx(9.0, rel=0.1)
    assert np.median(made.significance**2) == pytest.approx(0.4549, rel=0.01)
