from __future__ import annotations

import numpy as np
import pytest

from sofia_engine.errors import StepError
from sofia_engine.spectroscopy.surfaces import (
    expect_slit_positions,
    fit_slit_correction,
    fit_slit_correction_by_column,
    fit_surface,
    fit_surface_near,
    list_surface_cards,
    normalize_by_middle,
)

RNG = np.random.default_rng(0)


def wavelength(x, y):
    return 5.0686 + 0.01173 * x - 1.26e-7 * x**2 + 3e-5 * y + 2e-8 * x * y


def test_that_a_wavelength_surface_is_recovered_despite_wrong_lines():
    x, y = RNG.uniform(0, 255, 60), RNG.uniform(0, 255, 60)
    values = wavelength(x, y) + RNG.normal(0, 1e-4, 60)
    values[::10] += 0.1
    surface = fit_surface(x, y, values, (2, 1))
    grid = np.indices((256, 256))
    np.testing.assert_allclose(surface.on_pixels((256, 256)), wavelength(grid[1], grid[0]), atol=5e-4)
    assert not surface.used[::10].any()
    assert np.std(surface.residual[surface.used]) < 2e-4


def test_that_coefficients_run_fastest_in_powers_of_y():
    x, y = RNG.uniform(0, 255, 60), RNG.uniform(0, 255, 60)
    surface = fit_surface(x, y, wavelength(x, y), (2, 1))
    np.testing.assert_allclose(surface.coefficients, [5.0686, 3e-5, 0.01173, 2e-8, -1.26e-7, 0], atol=1e-9)
    cards = {key: value for key, value, _ in list_surface_cards(surface, "W")}
    assert cards["WXDEG"] == 2
    assert cards["WYDEG"] == 1
    np.testing.assert_allclose([float(c) for c in cards["WCOEFF"].split(",")], surface.coefficients)


def test_that_errors_weight_the_points():
    x, y = np.zeros(8), np.arange(8.0)
    values = np.where(y < 4, 0.0, 1.0)
    surface = fit_surface(x, y, values, (0, 0), error=np.where(y < 4, 1.0, 2.0))
    assert surface.coefficients[0] == pytest.approx(0.2)


def test_that_few_lines_keep_the_course_of_what_is_expected():
    x, y = (part.ravel() for part in np.meshgrid([185.0, 248.0], np.arange(8.0, 256.0, 16.0)))
    truth = wavelength(x, y)
    columns = np.arange(256.0)
    expected = wavelength(columns, 128.0) + 0.05
    noisy = truth + np.where(x == 185.0, 0.002, -0.002)
    kept = fit_surface_near((x, y, noisy), expected, (2, 2), 0)
    assert kept.orders == (2, 2)
    assert np.abs(kept.polynomial(columns, 128.0) - wavelength(columns, 128.0)).max() < 0.01
    np.testing.assert_allclose(kept.residual, noisy - kept.polynomial(x, y), atol=1e-12)
    plain = fit_surface_near((x, y, truth), expected, (1, 2), 1)
    np.testing.assert_allclose(plain.coefficients, fit_surface(x, y, truth, (1, 2)).coefficients)


def test_that_missing_lines_do_not_take_part():
    x, y = RNG.uniform(0, 255, 30), RNG.uniform(0, 255, 30)
    values = wavelength(x, y)
    values[:5] = np.nan
    surface = fit_surface(x, y, values, (2, 1))
    assert np.isnan(surface.residual[:5]).all()
    assert surface.on_pixels((2, 3))[1, 2] == pytest.approx(wavelength(2, 1))


def test_that_too_few_points_for_the_orders_are_refused():
    with pytest.raises(StepError, match="lower the fit orders"):
        fit_surface([1.0, 2.0], [1.0, 2.0], [1.0, 2.0], (2, 2))


def test_that_all_points_of_a_trace_get_one_slit_position():
    slit_map = np.tile(0.768 * np.arange(50.0)[:, np.newaxis], 40) - 0.01 * np.arange(40)
    x = np.tile(np.arange(0.0, 40, 4), 2)
    y = np.repeat([10.2, 30.7], 10) + 0.01 / 0.768 * x
    expected = expect_slit_positions(x, y, [10.0, 31.0], slit_map)
    np.testing.assert_allclose(expected, np.repeat([10.2, 30.7], 10) * 0.768, atol=1e-9)


def test_that_spectra_are_divided_by_the_middle_one():
    ratios, errors = normalize_by_middle([[1.0, 2.0], [2.0, 0.0], [4.0, 4.0]], np.ones((3, 2)))
    np.testing.assert_array_equal(ratios, [[0.5, np.nan], [1.0, np.nan], [2.0, np.nan]])
    np.testing.assert_array_equal(errors[:, 0], 0.5)


def test_that_both_ways_give_the_slit_correction():
    rows, waves = np.arange(5.0, 100, 10), np.linspace(5, 8, 60)
    truth = 1 + 0.002 * (rows[:, np.newaxis] - 50) + 0.05 * (waves - 6.5) * (rows[:, np.newaxis] - 50) / 50
    ratios = truth + RNG.normal(0, 1e-3, truth.shape)
    ratios[3, 20] = 5.0
    surface = fit_slit_correction(waves, rows, ratios, (1, 2)).polynomial.on_grid(waves, np.arange(100.0)).T
    columns = fit_slit_correction_by_column(rows, ratios, 2, 10, np.arange(100.0))
    expected = (
        1
        + 0.002 * (np.arange(100.0)[:, np.newaxis] - 50)
        + 0.05 * (waves - 6.5) * (np.arange(100.0)[:, np.newaxis] - 50) / 50
    )
    np.testing.assert_allclose(surface, expected, atol=2e-3)
    np.testing.assert_allclose(columns[:, 5:-5], expected[:, 5:-5], atol=5e-3)


def test_that_traces_bent_otherwise_than_the_edges_get_the_position_of_the_middle_column():
    bend = 2.0 * ((np.arange(40) - 20) / 20) ** 2
    slit_map = 0.768 * (np.arange(50.0)[:, np.newaxis] - bend)
    x = np.arange(0.0, 40, 4)
    y = 25.2 - 2.0 * ((x - 20) / 20) ** 2
    np.testing.assert_allclose(expect_slit_positions(x, y, [24.5], slit_map), 25.2 * 0.768, atol=1e-9)
    assert np.isnan(expect_slit_positions(x, y + 30, [55.0], slit_map)).all()
