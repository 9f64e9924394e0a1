"""Moments and continua against known truth, with their errors."""

import numpy as np
import pytest

from sofia_engine.errors import StepError
from sofia_viewers.cube.continuum import choose_windows, fit_continuum
from sofia_viewers.cube.moments import LineRange, compute_moment_maps, measure_moments

from .conftest import REST, make_header, make_truth, simulate, write_cube

LINE = LineRange(REST - 0.25, REST + 0.25, rest=REST)
WATT = 1e-26 * 2.99792458e14 / REST**2


def pulls(made, expected, where):
    """Return differences from the truth in errors."""
    return ((made.values - expected) / made.error)[where]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Moment 1", None), ("Moment 2", 120.0), ("Moment 3", 0.0), ("Moment 4", 3.0)],
)
def test_that_moments_of_a_rotating_source_are_those_of_the_truth_within_their_errors(galaxy, truth, name, expected):
    bright = truth.flux > 0.1
    made = compute_moment_maps(galaxy, LINE)[name]
    found = pulls(made, truth.velocity if expected is None else expected, bright)
    assert bright.sum() > 100
    assert abs(np.mean(found)) < 0.45
    assert 0.8 < np.std(found) < 1.3


def test_that_the_flux_is_in_watts_and_unbiased(galaxy, truth):
    made = compute_moment_maps(galaxy, LINE)["Moment 0"]
    assert made.unit == "W/m2/pixel"
    bright = truth.flux > 0.05
    found = pulls(made, truth.flux * WATT, bright)
    assert abs(np.mean(found)) < 0.4
    assert 0.8 < np.std(found) < 1.25
    assert made.values[bright].sum() == pytest.approx((truth.flux * WATT)[bright].sum(), rel=0.02)


def test_that_moments_without_noise_are_exact(tmp_path):
    from sofia_viewers.cube.cube import open_cube

    truth = make_truth()
    cube = open_cube(write_cube(tmp_path / "c.fits", simulate(truth, None), make_header(), WAVELENGTH=truth.wave))
    maps = compute_moment_maps(cube, LineRange(REST - 0.35, REST + 0.35, rest=REST, least_snr=0.0))
    inner = np.abs(truth.velocity) < 150
    assert np.nanmax(np.abs(maps["Moment 1"].values - truth.velocity)[inner & (truth.flux > 0.02)]) < 0.5
    assert maps["Moment 2"].values[inner & (truth.flux > 0.1)] == pytest.approx(120.0, rel=5e-3)


def test_that_continuum_windows_are_the_only_places_of_the_fit(galaxy, truth):
    windows = ((truth.wave[0], truth.wave[12]), (truth.wave[-12], truth.wave[-1]))
    made = compute_moment_maps(galaxy, LineRange(REST - 0.2, REST + 0.2, windows, 1, REST))
    assert made["Continuum"].values[12] == pytest.approx(truth.continuum[12], abs=0.03)


def test_that_faint_and_masked_pixels_have_no_velocity(galaxy, truth):
    mask = np.zeros(truth.flux.shape, dtype=bool)
    mask[5:18] = True
    maps = compute_moment_maps(galaxy, LineRange(REST - 0.25, REST + 0.25, rest=REST, least_snr=10.0), mask=mask)
    assert np.isnan(maps["Moment 0"].values[~mask]).all()
    assert np.isnan(maps["Moment 1"].values[0]).all()
    strong = maps["Moment 0"].values >= 10.0 * maps["Moment 0"].error
    assert np.array_equal(np.isfinite(maps["Moment 1"].values), strong)


def test_that_a_cube_without_errors_gets_them_from_its_noise(tmp_path, truth):
    from sofia_viewers.cube.cube import open_cube

    cube = open_cube(write_cube(tmp_path / "c.fits", simulate(truth), make_header(), None, WAVELENGTH=truth.wave))
    made = compute_moment_maps(cube, LINE)["Moment 1"]
    assert 0.7 < np.nanstd(pulls(made, truth.velocity, truth.flux > 0.1)) < 1.5


def measure_one(wave, flux, error, line):
    """Return moments 0 to 4 in wavelengths, their errors, and the continuum: plain numpy, one spectrum."""
    inside = (wave >= line.low) & (wave <= line.high)
    known = np.isfinite(flux) & (error > 0) & ~inside
    good = known
    for turn in range(5):
        t = (wave - wave[~inside].mean()) / np.ptp(wave)
        powers = t[:, None] ** np.arange(line.degree + 1)
        weighted = powers[good] / error[good, None]
        coefficients = np.linalg.lstsq(weighted, flux[good] / error[good], rcond=None)[0]
        rest = np.where(known, flux, 0.0) - powers @ coefficients
        deviation = np.median(np.abs(rest[known] - np.median(rest[known])))
        if turn < 4:
            good = known & (np.abs(rest) <= 3.0 * 1.4826 * deviation)
    covariance = np.linalg.inv(weighted.T @ weighted)
    level, axis, steps = (powers @ coefficients)[inside], wave[inside], np.gradient(wave[inside])
    part = flux[inside] - level
    use = np.isfinite(part)
    spread = np.where(np.isfinite(error[inside]), error[inside], 0.0)[use]

    def find(values):
        norm = np.sum(values * steps[use])
        center = np.sum(values * steps[use] * axis[use]) / norm
        mu = [np.sum(values * steps[use] * (axis[use] - center) ** k) / norm for k in (2, 3, 4)]
        return np.array([norm, center, mu[0] ** 0.5, mu[1] / mu[0] ** 1.5, mu[2] / mu[0] ** 2])

    found, errors = find(part[use]), []
    change = 1e-6 * np.abs(part[use]).max()
    single = np.eye(use.sum()) * change
    slopes = np.array([(find(part[use] + d) - find(part[use] - d)) / (2 * change) for d in single])
    errors = (slopes**2 * spread[:, None] ** 2).sum(axis=0)
    along = slopes.T @ powers[inside][use]
    errors = np.sqrt(errors + np.einsum("ki,ij,kj->k", along, covariance, along))
    return found, errors, level[len(axis) // 2]


@pytest.mark.parametrize("stored", [">f4", "<f4", "f8"])
def test_that_maps_agree_with_plain_sums_over_single_spectra(tmp_path, truth, stored):
    from sofia_engine.product import Product
    from sofia_viewers.cube.cube import make_cube

    rng = np.random.default_rng(8)
    flux = simulate(truth)[:, 6:15, :]
    flux[rng.random(flux.shape) < 0.03] = np.nan
    flux[rng.random(flux.shape) < 0.02] += 3.0
    error = rng.uniform(0.01, 0.04, flux.shape)
    error[rng.random(flux.shape) < 0.02] = np.nan
    planes = {"FLUX": flux.astype(stored), "ERROR": error.astype(stored), "WAVELENGTH": truth.wave}
    cube = make_cube(Product.of(make_header((9, 28)), planes), "k")
    line = LineRange(REST - 0.2, REST + 0.2, degree=2, least_snr=5.0)
    maps = list(compute_moment_maps(cube, line).values())
    widths = WATT * (REST / truth.wave[len(truth.wave) // 2]) ** 2
    compared = 0
    for row, column in np.argwhere(np.isfinite(maps[4].values))[::17]:
        values, errors = (cube.samples(name)[:, row, column].astype(float) for name in ("FLUX", "ERROR"))
        found, spread, level = measure_one(truth.wave, values, errors, line)
        mine = np.array([each.values[row, column] for each in maps])
        my_errors = np.array([each.error[row, column] for each in maps])
        assert mine[0] == pytest.approx(found[0] * widths, rel=2e-3)
        assert mine[1:5] == pytest.approx(found[1:], rel=1e-7, abs=1e-7)
        assert my_errors[1:5] == pytest.approx(spread[1:], rel=1e-3)
        assert mine[5] == pytest.approx(level, rel=1e-9)
        compared += 1
    assert compared > 5


def test_that_missing_values_give_missing_moments_without_a_warning(tmp_path):
    from sofia_viewers.cube.cube import open_cube

    data = np.full((40, 6, 5), np.nan)
    data[:, 2, 2] = 1.0
    cube = open_cube(write_cube(tmp_path / "nan.fits", data, make_header((6, 5), 40)))
    maps = compute_moment_maps(cube, LineRange(REST - 0.1, REST + 0.1, rest=REST))
    assert np.isnan(maps["Moment 1"].values).all()
    assert np.isnan(np.delete(maps["Moment 0"].values.ravel(), 12)).all()


def test_that_a_range_without_slices_is_refused(galaxy):
    with pytest.raises(StepError, match="fewer than three slices"):
        compute_moment_maps(galaxy, LineRange(150.0, 150.1))


def test_that_work_can_be_stopped(galaxy):
    class Enough(Exception):
        pass

    def stop(_):
        raise Enough

    with pytest.raises(Enough):
        compute_moment_maps(galaxy, LINE, progress=stop)


def test_that_errors_of_moments_are_the_scatter_of_many_realisations():
    rng = np.random.default_rng(5)
    axis = np.linspace(-600.0, 600.0, 61)
    line = np.exp(-0.5 * ((axis - 30.0) / 110.0) ** 2)[:, None]
    noise = 0.03
    found = measure_moments(
        axis, np.full(61, 20.0), line + rng.normal(0, noise, (61, 4000)), np.full((61, 4000), noise)
    )
    assert np.nanstd(found.values, axis=1)[:3] == pytest.approx(np.nanmedian(found.errors, axis=1)[:3], rel=0.1)
    assert np.nanmean(found.values[1]) == pytest.approx(30.0, abs=0.5)


def test_that_a_continuum_is_fitted_with_right_errors_and_without_outliers():
    rng = np.random.default_rng(2)
    wave = np.linspace(100.0, 101.0, 50)
    level = 2.0 + 3.0 * (wave - 100.5)
    flux = level[:, None] + rng.normal(0, 0.1, (50, 3000))
    flux[7] += 5.0
    flux[9, :100] = np.nan
    fit = fit_continuum(wave, flux, np.full_like(flux, 0.1), 1)
    at = np.array([100.2])
    pull = (fit.evaluate(at)[0] - 1.1) / fit.find_error(at)[0]
    assert abs(pull.mean()) < 0.1
    assert pull.std() == pytest.approx(1.0, rel=0.1)


def test_that_spectra_with_too_few_points_have_no_continuum():
    flux = np.full((10, 2), np.nan)
    flux[:, 1] = 1.0
    flux[0, 0] = 1.0
    fit = fit_continuum(np.arange(10.0), flux, np.ones_like(flux), 2)
    values = fit.evaluate(np.array([4.0]))[0]
    assert np.isnan(values[0])
    assert values[1] == pytest.approx(1.0)
    assert choose_windows(np.arange(5.0), [(3, 1)]).tolist() == [False, True, True, True, False]


@pytest.mark.parametrize("count", [40, 41])
def test_that_outliers_are_rejected_by_the_median_deviation_round_by_round(count):
    rng = np.random.default_rng(count)
    wave, flux = np.linspace(-1.0, 1.0, count), rng.standard_t(2, (count, 60))
    flux[rng.random(flux.shape) < 0.1] = np.nan
    flux[:, 3] = np.nan
    error = rng.uniform(0.5, 2.0, flux.shape)
    found = fit_continuum(wave, flux, error, 2, 2.5).evaluate(wave)
    assert np.isnan(found[:, 3]).all()
    for pixel in np.delete(np.arange(60), 3):
        known = np.isfinite(flux[:, pixel])
        good = known
        for _ in range(5):
            fit = np.polyval(np.polyfit(wave[good], flux[good, pixel], 2, w=1.0 / error[good, pixel]), wave)
            rest = flux[:, pixel] - fit
            deviation = np.median(np.abs(rest[known] - np.median(rest[known])))
            good = known & (np.abs(np.where(known, rest, 0.0)) <= 2.5 * 1.4826 * deviation)
        assert found[:, pixel] == pytest.approx(fit, abs=1e-8)
