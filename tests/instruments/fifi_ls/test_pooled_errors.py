"""Errors of mean slopes against Monte Carlo."""

import numpy as np
import pytest

from sofia_engine.instruments.fifi_ls.ramps import average_slopes, fit_slopes, pool_variances

READ_NOISE, RAMPS, LENGTH = 4.0, 8, 29


def draw_ramps(seed, *, walk=0.0, ramps=RAMPS):
    """Counts of ramps of slope 60 with read noise, and with steps that vary, (ramps, 29, 16, 25)."""
    random = np.random.default_rng(seed)
    steps = 60 + walk * random.normal(size=(ramps, LENGTH, 16, 25))
    return np.rint(np.cumsum(steps, axis=1) + READ_NOISE * random.normal(size=steps.shape)).astype(np.int16)


def find_pulls(pooled, **options):
    pulls = []
    for seed in range(6):
        slopes = fit_slopes(draw_ramps(seed, **options))
        outliers = np.zeros(slopes.slope.shape, dtype=bool)
        flux, error = average_slopes(pool_variances(slopes, outliers) if pooled else slopes, outliers)
        pulls.append((flux - 60) / error)
    return float(np.std(pulls))


def test_that_pooled_variances_give_the_error_of_the_mean():
    assert find_pulls(pooled=True) == pytest.approx(1, abs=0.04)
    assert find_pulls(pooled=False) == pytest.approx(1.08, abs=0.04)  # sqrt(27 / 25 * 27 / 25): noisy weights


def test_that_noise_which_ramps_collect_is_in_the_error():
    assert find_pulls(pooled=True, walk=5.0) == pytest.approx(1, abs=0.08)
    assert find_pulls(pooled=False, walk=5.0) > 2


def test_that_a_single_ramp_keeps_its_error():
    slopes = fit_slopes(draw_ramps(1, ramps=1))
    pooled = pool_variances(slopes, np.zeros(slopes.slope.shape, dtype=bool))
    assert pooled.variance == pytest.approx(slopes.variance)


def test_that_slopes_are_not_changed_and_outliers_do_not_count():
    slopes = fit_slopes(draw_ramps(2))
    outliers = np.zeros(slopes.slope.shape, dtype=bool)
    outliers[0] = True
    before = slopes.variance.copy()
    spoiled = slopes.slope.copy()
    spoiled[0] += 1000
    pooled = pool_variances(type(slopes)(spoiled, slopes.variance, slopes.samples), outliers)
    assert np.array_equal(slopes.variance, before)
    assert np.array_equal(pooled.slope, spoiled)
    assert np.median(pooled.variance[1:] / slopes.variance[1:]) == pytest.approx(1, abs=0.1)
