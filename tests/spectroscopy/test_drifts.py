"""Columns that drift along the slit."""

import numpy as np
import pytest

from sofia_engine.spectroscopy.drifts import measure_drift, measure_shifts, move_columns, track_drift

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


@pytest.mark.parametrize("size", [3.0, 10.0, 16.0])
def test_that_drifts_of_more_than_the_width_of_a_source_are_tracked(size):
    drift = size * np.linspace(-1, 1, 240)
    image = bell(30.0 + drift) * (2 + np.sin(np.arange(240) / 9))
    image[::7, ::11] = np.nan
    image += np.random.default_rng(0).normal(0, 0.02, image.shape)
    image[:, 100:112] *= 1e-3  # an opaque band
    np.testing.assert_allclose(track_drift(image), drift, atol=1.0)  # a start, which least squares make better


def test_that_an_empty_image_has_no_drift():
    assert not np.ptp(track_drift(np.zeros((60, 90))))
