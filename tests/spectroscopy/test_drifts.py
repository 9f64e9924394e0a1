"""Columns that drift along the slit."""

import numpy as np
import pytest

from sofia_engine.spectroscopy.drifts import measure_drift, measure_shifts, move_columns

ROWS = np.arange(60.0)[:, np.newaxis]


def bell(center, sigma=1.9):
    return np.exp(-0.5 * ((ROWS - center) / sigma) ** 2)


@pytest.mark.parametrize("shift", [-2.0, -0.4, 0.0, 0.5, 3.25])
def test_that_moved_columns_are_those_of_a_source_elsewhere(shift):
    shifts = np.array([shift, 0.0, -shift])
    moved = move_columns(bell(np.full(3, 30.0)), shifts)
    np.testing.assert_allclose(moved, bell(30.0 - shifts), atol=2e-3)


@pytest.mark.parametrize("size", [0.3, 1.0, 4.0])
def test_that_the_drift_of_a_source_is_found(size):
    drift = size * np.linspace(-1, 1, 90) ** 3
    found = measure_drift(bell(30.0 + drift))
    np.testing.assert_allclose(found, drift - drift.mean(), atol=0.02)


def test_that_positive_and_negative_sources_count_alike():
    drift = 0.8 * np.linspace(-1, 1, 90)
    found = measure_drift(bell(15.0 + drift) - bell(45.0 + drift))
    np.testing.assert_allclose(found, drift, atol=0.02)


def test_that_empty_and_missing_rows_do_no_harm():
    drift = 0.8 * np.linspace(-1, 1, 90)
    profile = bell(30.0 + drift)
    profile[:4] = np.nan
    np.testing.assert_allclose(measure_drift(profile), drift, atol=0.02)
    assert not measure_drift(np.zeros((60, 90))).any()
    assert not measure_drift(np.ones((60, 90))).any()


def test_that_half_a_column_still_tells_its_shift_and_no_column_none():
    profile = np.repeat(bell(30.0), 3, axis=1)
    change = bell(np.full(3, 30.2)) * 1.05 - profile
    change[30:, 1] = np.nan
    change[:, 2] = np.nan
    found = measure_shifts(change, profile)
    np.testing.assert_allclose(found[:2], 0.2, atol=0.03)
    assert np.isnan(found[2])
