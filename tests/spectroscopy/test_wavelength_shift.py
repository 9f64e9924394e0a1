from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_engine.spectroscopy.wavelength_shift import (
    ShiftRule,
    fit_water_vapour,
    measure_shift,
    measure_signal_to_noise,
    shift_rows,
)

X = np.arange(200.0)


def transmission(x, strength=1.0):
    depth = sum(
        d * np.exp(-0.5 * ((x - c) / w) ** 2) for c, w, d in ((30, 3, 0.8), (75, 4, 0.5), (140, 3, 1.0), (170, 5, 0.4))
    )
    return np.exp(-strength * depth)


@given(st.floats(-1.7, 1.7))
def test_that_the_shift_of_a_noiseless_spectrum_is_measured(shift):
    flux = transmission(X + shift) * (10 + 0.02 * X)
    fit = measure_shift(flux, np.full(200, 0.1), transmission(X))
    assert fit.shift == pytest.approx(shift, abs=0.01)
    assert fit.warning == ""
    moved = shift_rows(flux, fit.shift)[5:-5]
    assert (moved / (transmission(X) * (10 + 0.02 * (X + shift)))[5:-5]).std() < 0.02


def test_that_the_quoted_error_of_the_shift_is_its_scatter():
    rng = np.random.default_rng(0)
    error = np.full(200, 0.2)
    fits = [
        measure_shift(transmission(X + 0.43) * 10 + rng.normal(0, error), error, transmission(X)) for _ in range(300)
    ]
    pull = np.array([(fit.shift - 0.43) / fit.error for fit in fits])
    assert pull.std() == pytest.approx(1.0, abs=0.1)
    assert abs(pull.mean()) < 0.2


def test_that_half_pixel_shifts_are_not_favoured_by_noise():
    rng = np.random.default_rng(1)
    error = np.full(200, 0.5)
    shifts = [
        measure_shift(transmission(X) * 10 + rng.normal(0, error), error, transmission(X)).shift for _ in range(200)
    ]
    assert abs(np.mean(shifts)) < 3 * np.std(shifts) / np.sqrt(200) + 1e-3


def test_that_a_minimum_at_the_border_is_no_shift():
    flux = transmission(X - 6) * 10
    fit = measure_shift(flux, np.full(200, 0.1), transmission(X), ShiftRule(limit=2.0))
    assert fit.shift == 0.0
    assert "none is applied" in fit.warning


def test_that_a_spectrum_without_points_gives_no_shift():
    fit = measure_shift(np.full(200, np.nan), np.ones(200), transmission(X))
    assert fit.shift == 0
    assert fit.warning


def test_that_positive_shifts_move_features_to_higher_columns():
    row = np.zeros(20)
    row[8] = 1.0
    np.testing.assert_array_equal(shift_rows(row, 3.0)[3:], row[:-3])
    assert np.isnan(shift_rows(row, 3.0)[:3]).all()
    moved = shift_rows(row, 0.4)
    assert (np.nansum(moved * np.arange(20)) / np.nansum(moved)) == pytest.approx(8.4, abs=0.01)


@given(st.floats(-3, 3))
def test_that_smooth_rows_are_moved_exactly(shift):
    rows = np.stack([3 + 0.1 * X + 0.02 * X**2, np.cos(X / 15)])
    moved = shift_rows(rows, shift)
    known = np.isfinite(moved)
    expected = np.stack([3 + 0.1 * (X - shift) + 0.02 * (X - shift) ** 2, np.cos((X - shift) / 15)])
    assert known[:, 4:-4].all()
    np.testing.assert_allclose(moved[:, 6:-6], expected[:, 6:-6], atol=1e-3)


def test_that_missing_columns_spread_to_the_two_that_need_them():
    row = np.ones(12)
    row[5] = np.nan
    assert np.flatnonzero(np.isnan(shift_rows(row, 0.5))).tolist() == [0, 5, 6]


def test_that_the_signal_to_noise_ratio_is_the_median():
    assert measure_signal_to_noise([1.0, 4.0, np.nan, 9.0, 1.0], [1.0, 2.0, 1.0, 1.0, 0.0]) == pytest.approx(2.0)


@pytest.mark.parametrize("shift", [True, False])
def test_that_the_water_vapour_of_the_spectrum_is_found(shift):
    rng = np.random.default_rng(2)
    pwv = np.arange(1.0, 21.0)
    models = np.stack([transmission(X, 0.1 * w) for w in pwv])
    error = np.full(200, 0.05)
    flux = transmission(X + (0.5 if shift else 0.0), 0.8) * 10 + rng.normal(0, error)
    fit = fit_water_vapour(flux, error, models, pwv, ShiftRule(), shift=shift)
    assert fit.pwv == 8.0
    assert fit.index == 7
    assert 1 / np.sqrt(12) - 1e-9 <= fit.error < 1.0
    if shift:
        assert fit.shifts[fit.index].shift == pytest.approx(0.5, abs=0.05)


def test_that_the_error_of_the_water_vapour_grows_with_noise():
    rng = np.random.default_rng(3)
    pwv = np.arange(1.0, 41.0)
    models = np.stack([transmission(X, 0.05 * w) for w in pwv])
    fits = [
        fit_water_vapour(
            models[19] * 10 + rng.normal(0, s, 200), np.full(200, s), models, pwv, ShiftRule(), shift=False
        )
        for s in (0.1, 1.5)
    ]
    assert fits[1].error > 2 * fits[0].error
    assert abs(fits[1].pwv - 20) < 4 * fits[1].error


@pytest.mark.parametrize("shift", [0.0, 0.6, -1.2])
def test_that_lines_of_the_source_do_not_pull_the_shift(shift):
    """Lines on the flanks of features of the atmosphere, once and again as strong as these."""
    rng = np.random.default_rng(5)
    source = 1 + 0.5 * np.exp(-0.5 * ((X - 34) / 1.5) ** 2) - 0.3 * np.exp(-0.5 * ((X - 137) / 1.5) ** 2)
    error = np.full(200, 0.05)
    flux = transmission(X + shift) * source * 10 + rng.normal(0, error)
    fit = measure_shift(flux, error, transmission(X))
    assert fit.shift == pytest.approx(shift, abs=0.03)
    assert not fit.used[[33, 34, 35, 136, 137, 138]].any()
    everything = measure_shift(flux, error, transmission(X), columns=np.ones(200, dtype=bool))
    assert abs(everything.shift - shift) > 0.1


def test_that_shifts_without_significance_are_not_applied():
    rng = np.random.default_rng(6)
    error = np.full(200, 2.0)
    fits = [measure_shift(transmission(X) * 10 + rng.normal(0, error), error, transmission(X)) for _ in range(100)]
    assert sum(fit.worth_applying != 0 for fit in fits) <= 5
    assert sum(abs(fit.shift) > 0.1 for fit in fits) > 10
    clear = measure_shift(transmission(X + 0.5) * 10, np.full(200, 0.1), transmission(X))
    assert clear.worth_applying == clear.shift


def test_that_the_water_vapour_is_found_in_spite_of_lines():
    rng = np.random.default_rng(7)
    pwv = np.arange(1.0, 21.0)
    models = np.stack([transmission(X, 0.1 * w) for w in pwv])
    error = np.full(200, 0.05)
    source = 1 + 0.8 * np.exp(-0.5 * ((X - 32) / 1.5) ** 2)
    flux = transmission(X, 0.8) * source * 10 + rng.normal(0, error)
    for shift in (True, False):
        assert abs(fit_water_vapour(flux, error, models, pwv, ShiftRule(), shift=shift).pwv - 8.0) <= 1.0
