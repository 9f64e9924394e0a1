import numpy as np
import pytest

from sofia_engine.numerics.resampling import AdaptiveSmoothing, LocalRegression, Resampler
from sofia_engine.numerics.resampling.adaptive import FirstFits, KernelSizes, shape_kernels

GRID_Y, GRID_X = np.mgrid[:15, :15].astype(float)
PLACE, VALUES = np.stack([GRID_X.ravel(), GRID_Y.ravel()]), (np.sin(GRID_X) + 0.02 * GRID_Y**2).ravel()
MIDDLE = 7 * 15 + 7


def make(algorithm="scaled", threshold=1.0, smoothing=0.6, keep=False, **keywords):
    adaptive = AdaptiveSmoothing(algorithm, threshold, keep)
    return Resampler(PLACE, VALUES, 0.1, LocalRegression(3, 2, smoothing=smoothing, adaptive=adaptive, **keywords))


def test_that_the_tabulated_scaled_kernels_and_values_are_met():
    resampler = make()
    result = resampler(7.3, 6.6)
    assert result.values == pytest.approx(1.645329756, rel=1e-9)
    assert result.errors == pytest.approx(0.055748393, rel=1e-8)
    assert result.counts == 29
    assert result.distance_weights == pytest.approx(10.121153202, rel=1e-9)
    np.testing.assert_allclose(resampler.kernels.matrices[0, MIDDLE], 2.29380205 * np.eye(2), rtol=1e-8)
    assert np.isfinite(resampler.kernels.matrices[0]).all(axis=(1, 2)).sum() == 121


def test_that_the_tabulated_shaped_kernels_and_values_are_met():
    """The reference integrates the kernel over the window less exactly: five digits agree."""
    resampler = make("shaped")
    result = resampler(7.3, 6.6)
    assert result.values == pytest.approx(1.680197039, rel=1e-6)
    assert result.errors == pytest.approx(0.056732083, rel=1e-6)
    expected = np.array([[3.24790964, 0.51927419], [0.51927419, 1.7029949]])
    np.testing.assert_allclose(resampler.kernels.matrices[0, MIDDLE], expected, rtol=5e-5)


@pytest.mark.parametrize("algorithm", ["scaled", "shaped"])
def test_that_a_fixed_dimension_keeps_its_smoothing(algorithm):
    resampler = make(algorithm, (1, 0), (0.6, 0.5))
    result = resampler(7.3, 6.6)
    assert result.values == pytest.approx(1.660619541, rel=1e-9)
    assert result.errors == pytest.approx(0.104173522, rel=1e-8)
    np.testing.assert_allclose(resampler.kernels.matrices[0, MIDDLE], np.diag([3.0512996, 18]), rtol=1e-8)


def test_that_smoothing_may_be_relative_or_left_out():
    """Values of the reference pipeline, run on the same numbers."""
    relative = make(smoothing=0.2, relative_smooth=True)(7.3, 6.6)
    assert relative.values == pytest.approx(1.6453297557, rel=1e-9)
    assert make(smoothing=None)(7.3, 6.6).values == pytest.approx(1.6351388141, rel=1e-9)


def test_that_a_threshold_of_zero_is_ordinary_smoothing():
    plain = Resampler(PLACE, VALUES, 0.1, LocalRegression(3, 2, smoothing=0.6))(7.3, 6.6)
    assert plain.values == pytest.approx(1.698466977, rel=1e-9)
    assert make(threshold=0)(7.3, 6.6).values == plain.values


def test_that_kernels_serve_other_grids_and_other_resamplers():
    one, axes = make("shaped"), (np.linspace(3, 11, 5), np.linspace(4, 10, 4))
    kernels = one.adapt()
    adaptive = AdaptiveSmoothing("shaped")
    rule = LocalRegression(3, 2, smoothing=0.6, adaptive=adaptive)
    calls = []
    other = Resampler(PLACE, VALUES, 0.1, rule, kernels=kernels)
    found = other(*axes, progress=lambda done, total: calls.append(total))
    np.testing.assert_array_equal(found.values, one(*axes).values)
    assert set(calls) == {20}  # no fits at the samples again


def test_that_kernels_of_another_window_are_refused():
    rule = LocalRegression(4, 2, smoothing=0.6, adaptive=AdaptiveSmoothing())
    with pytest.raises(ValueError, match="belong to other samples or to another window"):
        Resampler(PLACE, VALUES, 0.1, rule, kernels=make().adapt())


def test_that_a_region_saves_fits_and_changes_nothing_inside():
    whole, part = make(), make()
    kernels = part.adapt(region=np.array([[6.0, 8.0], [6.0, 8.0]]))
    assert 0 < np.isfinite(kernels.packed[0, :, 0]).sum() < 121
    inside = np.mgrid[6:8:5j, 6:8:5j]
    np.testing.assert_array_equal(part(inside).values, whole(inside).values)


def test_that_samples_without_a_first_fit_are_kept_if_that_is_wanted():
    assert np.isnan(make()(2.5, 2.5).values)
    kept = make(keep=True)
    assert np.isfinite(kept(2.5, 2.5).values)
    assert np.isfinite(kept.adapt().packed).all()
    assert kept(7.3, 6.6).values == make()(7.3, 6.6).values


def test_that_each_data_set_has_its_own_kernels():
    rng = np.random.default_rng(5)
    data = np.stack([VALUES, rng.normal(0, 0.1, VALUES.size)])
    rule = LocalRegression(3, 2, smoothing=0.6, adaptive=AdaptiveSmoothing("shaped"))
    together = Resampler(PLACE, data, 0.1, rule)
    for s in range(2):
        alone = Resampler(PLACE, data[s], 0.1, rule)
        np.testing.assert_allclose(together(7.3, 6.6).values[s], alone(7.3, 6.6).values, rtol=1e-12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"error": None}, "needs errors"),
        ({"error_weighting": False}, "needs errors"),
        ({"order": 0}, "order above 0"),
        ({"adaptive": AdaptiveSmoothing(threshold=(1, 1, 1))}, "threshold must be one number or 2"),
        ({"adaptive": AdaptiveSmoothing(threshold=-1)}, "threshold must not be negative"),
    ],
    ids=["no errors", "no weighting", "order", "dimensions", "negative"],
)
def test_that_adaptive_smoothing_asks_for_what_it_needs(changes, message):
    keywords = {"window": 3, "order": 2, "adaptive": AdaptiveSmoothing()} | changes
    error = keywords.pop("error", 0.1)
    with pytest.raises(ValueError, match=message):
        Resampler(PLACE, VALUES, error, LocalRegression(**keywords))


def test_that_other_algorithms_and_rules_without_one_are_refused():
    with pytest.raises(ValueError, match="must be one of scaled, shaped"):
        AdaptiveSmoothing("round")
    with pytest.raises(ValueError, match="no adaptive smoothing"):
        Resampler(PLACE, VALUES, 0.1, LocalRegression(3)).adapt()


@pytest.mark.parametrize("dimensions", [2, 3, 4, 5])
def test_that_shaped_kernels_have_the_volume_of_scaled_ones_and_are_narrow_along_the_gradient(dimensions):
    rng = np.random.default_rng(1)
    gradients = rng.normal(size=(20, 40, dimensions)) * np.arange(1, dimensions + 1)
    fits = FirstFits(
        rng.uniform(0.2, 30, 20),
        np.full(20, 40),
        np.full(20, 12.0),
        np.einsum("nia,nib->nab", gradients, gradients) / 40,
        rng.uniform(0, 0.3, 20),
    )
    rule = LocalRegression(1.0, 2, smoothing=0.2)
    sizes = KernelSizes.derive(rule, AdaptiveSmoothing(), np.ones(dimensions))
    rows, columns = np.tril_indices(dimensions)
    matrices = []
    for algorithm in ("scaled", "shaped"):
        full = np.zeros((20, dimensions, dimensions))
        full[:, rows, columns] = shape_kernels(fits, sizes, AdaptiveSmoothing(algorithm))
        matrices.append(np.tril(full) + np.swapaxes(np.tril(full, -1), 1, 2))
    scaled, shaped = matrices
    np.testing.assert_allclose(np.linalg.det(shaped), np.linalg.det(scaled), rtol=1e-9)
    bad = fits.chi2 > 4
    assert (shaped[bad, -1, -1] > shaped[bad, 0, 0]).all()  # steepest in the last dimension


def test_that_noise_widens_kernels_and_structure_narrows_them():
    rng = np.random.default_rng(3)
    p = rng.uniform(0, 20, (2, 4000))
    values = rng.normal(0, 0.1, 4000) + 5 * np.exp(-0.5 * ((p[0] - 15) ** 2 + (p[1] - 10) ** 2))
    rule = LocalRegression(2.5, 1, smoothing=0.7, adaptive=AdaptiveSmoothing())
    packed = Resampler(p, values, 0.1, rule).adapt().packed[0, :, 0]
    source, sky = np.hypot(p[0] - 15, p[1] - 10) < 1, np.hypot(p[0] - 5, p[1] - 10) < 3
    expected = KernelSizes.derive(rule, AdaptiveSmoothing(), np.full(2, 2.5)).precision[0]
    assert np.nanmedian(packed[sky]) == pytest.approx(expected, rel=0.1)
    assert np.nanmedian(packed[source]) > 2 * expected


@pytest.mark.parametrize(("algorithm", "gain"), [("scaled", 1.25), ("shaped", 1.5)])
def test_that_adaptive_smoothing_recovers_a_higher_peak_than_static(algorithm, gain):
    """Dithered exposures of a point source, sampled as coarsely as a detector with large pixels does."""
    rng, sigma = np.random.default_rng(9), 1.0
    p = rng.uniform(-12, 12, (2, 6000))
    values = 10 * np.exp(-0.5 * (p**2).sum(axis=0) / sigma**2) + rng.normal(0, 0.2, 6000)
    window = 3 * 2.3548 * sigma
    static = Resampler(p, values, 0.2, LocalRegression(window, 2, smoothing=2.3548 * sigma))(0.0, 0.0)
    rule = LocalRegression(window, 2, smoothing=sigma, adaptive=AdaptiveSmoothing(algorithm))
    adapted = Resampler(p, values, 0.2, rule)(0.0, 0.0)
    assert static.values < 0.75 * 10
    assert adapted.values > gain * static.values
    assert adapted.values < 10.5
