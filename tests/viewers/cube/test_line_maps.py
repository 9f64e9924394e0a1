"""Fits of lines to all pixels: agreement with single fits, known truth, first values."""

import numpy as np
import pytest

from sofia_engine.errors import InputError, StepError
from sofia_viewers.cube.batch_fitting import Guess, evaluate_batch, fit_batch, guess_lines
from sofia_viewers.cube.continuum import fit_continuum
from sofia_viewers.cube.line_maps import (
    CellGuess,
    FitSettings,
    fit_cells,
    fit_line_maps,
    read_guesses,
    write_guesses,
)
from sofia_viewers.cube.moments import LineRange
from sofia_viewers.spectrum.fitting import FitModel, estimate_lines, fit_lines
from sofia_viewers.spectrum.profiles import PROFILES

from .conftest import LIGHT_SPEED, REST, simulate

LINE = LineRange(REST - 0.25, REST + 0.25, rest=REST)


@pytest.mark.parametrize("shape", sorted(PROFILES))
def test_that_many_fits_at_once_agree_with_single_ones(truth, shape):
    flux = simulate(truth).reshape(80, -1)[:, 5 * 28 : 5 * 28 + 60]
    error = np.full_like(flux, truth.noise)
    level = fit_continuum(truth.wave, flux, error)
    many = fit_batch(truth.wave, flux, error, guess_lines(truth.wave, flux - level.evaluate(truth.wave)), shape=shape)
    compared = 0
    for number in range(8, 50, 6):
        model = FitModel(estimate_lines(truth.wave, flux[:, number], shape=shape), 1)
        one = fit_lines(truth.wave, flux[:, number], error[:, number], model)
        if not one.converged:
            continue
        compared += 1
        assert many.chi_square[number] == pytest.approx(one.chi_square, rel=1e-6)
        for quantity in ("center", "fwhm", "flux"):
            value, spread = many.measure(quantity)
            single = getattr(one.lines[0], quantity)
            assert value[number] == pytest.approx(single.value, abs=0.02 * single.error)
            if shape in ("gaussian", "lorentzian"):
                assert spread[number] == pytest.approx(single.error, rel=0.01)
    assert compared >= 5


def test_that_errors_of_fits_are_right():
    rng = np.random.default_rng(4)
    x = np.linspace(0.0, 10.0, 60)
    line = 1.0 + 0.1 * x + 2.0 * np.exp(-0.5 * ((x - 5.2) / 0.8) ** 2)
    flux = line[:, None] + rng.normal(0, 0.15, (60, 2000))
    fit = fit_batch(x, flux, np.full_like(flux, 0.15), guess_lines(x, flux - 1.5))
    expected = {"center": 5.2, "fwhm": 0.8 * 2.35482, "flux": 2.0 * 0.8 * np.sqrt(2 * np.pi), "baseline": 1.52}
    for quantity, true in expected.items():
        value, error = fit.measure(quantity)
        pull = (value - true) / error
        assert abs(pull.mean()) < 0.12
        assert pull.std() == pytest.approx(1.0, rel=0.1)
    assert fit.converged.all()
    assert np.mean(fit.chi_square / fit.freedom) == pytest.approx(1.0, rel=0.02)
    assert np.std(evaluate_batch(fit, x)[:, 0] - line) < 0.1


def test_that_two_blended_lines_are_told_apart():
    rng = np.random.default_rng(6)
    x = np.linspace(0.0, 10.0, 80)
    flux = (np.exp(-0.5 * ((x - 4.0) / 0.6) ** 2) + 0.6 * np.exp(-0.5 * ((x - 6.0) / 0.5) ** 2))[:, None]
    flux = flux + rng.normal(0, 0.02, (80, 300))
    guess = Guess(np.array([[3.7], [6.4]]) * np.ones(300), np.full((2, 300), 1.5))
    fit = fit_batch(x, flux, np.full_like(flux, 0.02), guess, degree=0)
    assert np.median(fit.measure("center", 0)[0]) == pytest.approx(4.0, abs=0.02)
    assert np.median(fit.measure("flux", 1)[0]) == pytest.approx(0.6 * 0.5 * np.sqrt(2 * np.pi), rel=0.03)


def test_that_missing_points_and_spectra_are_borne():
    x = np.linspace(0.0, 10.0, 40)
    flux = np.exp(-0.5 * (x - 5.0) ** 2)[:, None] * np.ones(4)
    flux[:, 1] = np.nan
    flux[::3, 2] = np.nan
    error = np.full_like(flux, 0.1)
    error[5, 3] = 0.0
    before = flux.copy()
    fit = fit_batch(x, flux, error, guess_lines(x, flux))
    center, _ = fit.measure("center")
    assert np.isnan(center[1])
    assert center[[0, 2, 3]] == pytest.approx(5.0, abs=1e-5)
    assert np.array_equal(flux, before, equal_nan=True)


def test_that_spectra_without_any_line_do_not_stop_the_others():
    x = np.linspace(0.0, 10.0, 40)
    flux = np.zeros((40, 5))
    flux[:, 1] = 1.0
    flux[7, 2] = 1e30
    flux[:, 3] = x
    flux[:, 4] = np.exp(-0.5 * (x - 5.0) ** 2)
    for degree in (None, 0, 1):
        fit = fit_batch(x, flux, np.full_like(flux, 0.1), guess_lines(x, flux), degree=degree)
        assert fit.measure("center")[0][4] == pytest.approx(5.0, abs=1e-4)


def test_that_too_short_a_range_is_refused():
    with pytest.raises(StepError, match="fewer than the 5 parameters"):
        fit_batch(np.arange(4.0), np.ones((4, 1)), np.ones((4, 1)), Guess(np.ones((1, 1)), np.ones((1, 1))))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Velocity", None), ("Line width", 120.0 * 2.35482), ("Line flux", "flux"), ("Continuum at line", "level")],
)
def test_that_the_velocity_field_is_recovered_within_the_errors(galaxy, truth, name, expected):
    center = REST * (1 + truth.velocity / LIGHT_SPEED)
    true = {
        None: truth.velocity, "flux": truth.flux * 1e-26 * 2.99792458e14 / center**2,
        "level": truth.continuum + 0.1 * (center - REST),
    }.get(expected, expected)  # fmt: skip
    made = fit_line_maps(galaxy, FitSettings(LINE))[name]
    pull = ((made.values - true) / made.error)[truth.flux > 0.1]
    assert np.isfinite(pull).mean() > 0.99
    assert abs(np.nanmean(pull)) < 0.35
    assert 0.8 < np.nanstd(pull) < 1.25


def test_that_velocities_do_not_depend_on_how_the_field_is_divided(galaxy, monkeypatch):
    whole = fit_line_maps(galaxy, FitSettings(LINE))["Velocity"].values
    monkeypatch.setattr("sofia_viewers.cube.samples._BLOCK_BYTES", 80 * 28 * 4 * 5)
    monkeypatch.setattr("sofia_viewers.cube.line_maps._PIXELS_AT_A_TIME", 37)
    parts = fit_line_maps(galaxy, FitSettings(LINE))["Velocity"].values
    np.testing.assert_allclose(parts, whole, atol=1e-4)


def test_that_cells_give_first_values_that_lead_to_the_same_fits(galaxy, truth, tmp_path):
    guesses = fit_cells(galaxy, FitSettings(LINE), 6.0)
    middle = min(guesses, key=lambda g: abs(g.x - 13.5) + abs(g.y - 11.5))
    assert middle.centers[0] == pytest.approx(REST, abs=0.02)
    assert read_guesses(write_guesses(tmp_path / "g.json", guesses)) == guesses
    own, led = (fit_line_maps(galaxy, FitSettings(LINE), guesses=g)["Velocity"].values for g in ((), guesses))
    bright = truth.flux > 0.1
    np.testing.assert_allclose(led[bright], own[bright], atol=0.1)


def test_that_several_lines_need_first_values(galaxy):
    with pytest.raises(StepError, match="first values"):
        fit_line_maps(galaxy, FitSettings(LINE, n_lines=2))
    one = CellGuess(0.0, 0.0, (REST - 0.03, REST + 0.03), (0.1, 0.1))
    maps = fit_line_maps(galaxy, FitSettings(LINE), guesses=(one,))
    assert {"Line flux 1", "Line flux 2"} <= maps.keys()


def test_that_a_file_without_first_values_is_refused(tmp_path):
    path = tmp_path / "x.json"
    path.write_text("{}")
    with pytest.raises(InputError, match="holds no first values"):
        read_guesses(path)
