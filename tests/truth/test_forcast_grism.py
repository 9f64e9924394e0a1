"""Simulated FORCAST grism observations through the whole recipe: flux, wavelengths and noise come back.

A few seeds are reduced by default. The proof over more seeds and all grisms takes some minutes::

    python -m pytest tests/truth -m slow
"""

from dataclasses import dataclass

import numpy as np
import pytest

from sofia_engine.pipeline.reduction import Reduction
from sofia_engine.simulate import simulate

FEW, MANY = 3, 12
CLEAR = 0.6
"""Transmission above which spectra are judged."""
EDGE = 5
"""Columns at both ends that are not judged: the response is not known there."""
# The shift against the atmosphere follows strong lines of the source. The removal of stripes takes part of a bright
# spectrum for stripes, which moves lines by up to 0.14 pixel and adds scatter; stripes that are the same in all rows go
# with the background of each column.
EXACT = {("flux_calibrate", "auto_shift"): False, ("stack", "jbclean"): False}


@dataclass(frozen=True)
class Recovered:
    """What one file of a simulated observation gives, in clear columns (others are NaN).

    Attributes
    ----------
    ratio : (n,) ndarray
        Calibrated spectrum over the truth.
    pull : (n,) ndarray
        Difference from the truth in units of the quoted error, the error of the response left out: the response is
        exact here.
    shifts : tuple of float
        Measured less true positions of the lines, pixels.
    """

    ratio: np.ndarray
    pull: np.ndarray
    shifts: tuple[float, ...]


def fit_line(wave, flux, error, line):
    """Centre of a Gaussian on a slope near a line."""
    from scipy.optimize import curve_fit

    near = (np.abs(wave - line.wavelength_um) < 2.2 * line.fwhm_um) & np.isfinite(flux)

    def model(x, height, center, sigma, level, slope):
        return height * np.exp(-0.5 * ((x - center) / sigma) ** 2) + level + slope * (x - line.wavelength_um)

    start = (np.sign(line.flux_w_m2) * np.ptp(flux[near]), line.wavelength_um, line.fwhm_um / 2.355)
    found, _ = curve_fit(model, wave[near], flux[near], (*start, np.median(flux[near]), 0.0), sigma=error[near])
    return found[1]


def compare(product, truth, spectrum):
    """Compare a calibrated product with the truth."""
    wave = product["WAVEPOS"]
    planes = (np.asarray(product[name], dtype=float).reshape(-1, wave.size)[0] for name in (
        "SPECTRAL_FLUX", "SPECTRAL_ERROR", "RESPONSE", "RESPONSE_ERROR"
    ))  # fmt: skip
    flux, error, response, response_error = planes
    expected, transmission = (
        np.interp(wave, spectrum["wavelength"], spectrum[name]) for name in ("flux", "transmission")
    )
    noise = np.sqrt(np.maximum(error**2 - (flux * response_error / response) ** 2, 0))
    judged = np.isfinite(flux) & (transmission > CLEAR) & (noise > 0)
    judged[:EDGE] = judged[-EDGE:] = False
    shifts = tuple((fit_line(wave, flux, noise, line) - line.wavelength_um) / truth.column_um for line in truth.lines)
    return Recovered(
        np.where(judged, flux / expected, np.nan), np.where(judged, (flux - expected) / noise, np.nan), shifts
    )


def reduce_simulation(folder, seed, settings, kind="nmc", **options):
    """Simulate, reduce, compare: one result per file."""
    truth = simulate(f"forcast-grism-{kind}", folder / f"raw{seed}", seed=seed, **options)
    spectrum = truth.read_spectrum()
    reduction = Reduction.open(truth.paths, output=folder / f"out{seed}", session=folder / f"session{seed}")
    try:
        for (step, key), value in settings.items():
            reduction.set(step, **{key: value})
        reduction.run_to("flux_calibrate")
        return [compare(product, truth, spectrum) for product in reduction.products]
    finally:
        reduction.close()


def scatter(results):
    """Spread of pulls about the mean of their column: noise alone, without what is the same in all files."""
    pulls = np.array([result.pull for result in results])
    known = np.isfinite(pulls).all(axis=0)
    return float(np.sqrt(np.mean(np.var(pulls[:, known], axis=0, ddof=1))))


def medians(results):
    return np.array([np.nanmedian(result.ratio) for result in results])


@pytest.fixture
def store(reference_store):
    """Skip where the published calibration files are not at hand."""
    return reference_store


def test_that_flux_comes_back_within_one_percent_where_the_atmosphere_is_clear(store, tmp_path):
    results = [result for seed in range(FEW) for result in reduce_simulation(tmp_path, seed, {})]
    assert np.abs(medians(results) - 1).max() < 0.01
    assert abs(medians(results).mean() - 1) < 0.004


def test_that_lines_come_back_within_a_tenth_of_a_pixel(store, tmp_path):
    results = [result for seed in range(FEW) for result in reduce_simulation(tmp_path, seed, EXACT)]
    shifts = np.array([result.shifts for result in results])
    assert np.abs(shifts.mean(axis=0)).max() < 0.05
    assert np.median(np.abs(shifts)) < 0.1


def test_that_quoted_errors_are_the_scatter_within_ten_percent(store, tmp_path):
    same_place = {"dithers_arcsec": ((0.0, 0.0),) * 3, "lines": ()}
    results = [result for seed in range(FEW) for result in reduce_simulation(tmp_path, seed, EXACT, **same_place)]
    assert scatter(results) == pytest.approx(1, abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("grism", ["G063", "G111", "G227", "G329"])
@pytest.mark.parametrize("slit", ["LS24", "LS47"])
def test_that_every_grism_and_slit_returns_flux_and_wavelengths(store, tmp_path, grism, slit):
    flux = {"G063": 100.0, "G111": 100.0, "G227": 300.0, "G329": 1500.0}[grism]
    options = {"grism": grism, "slit": slit, "flux": flux}
    results = [result for seed in range(FEW) for result in reduce_simulation(tmp_path, seed, EXACT, **options)]
    assert abs(medians(results).mean() - 1) < 0.01
    assert np.abs(np.mean([result.shifts for result in results], axis=0)).max() < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("flux", [10.0, 100.0])
def test_that_errors_are_right_within_ten_percent_for_faint_and_bright_sources(store, tmp_path, flux):
    same_place = {"dithers_arcsec": ((0.0, 0.0),) * 2, "lines": (), "flux": flux}
    results = [result for seed in range(MANY) for result in reduce_simulation(tmp_path, seed, EXACT, **same_place)]
    assert scatter(results) == pytest.approx(1, abs=0.1)
    assert abs(medians(results).mean() - 1) < 0.01


@pytest.mark.slow
def test_that_nodding_to_empty_sky_returns_the_flux(store, tmp_path):
    results = [result for seed in range(FEW) for result in reduce_simulation(tmp_path, seed, EXACT, kind="nxcac")]
    assert abs(medians(results).mean() - 1) < 0.01
