"""Correct Droop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sofia_engine.errors import InputError
from sofia_engine.instruments.forcast.droop import droop, restore_droop


def test_that_each_pixel_gains_the_fraction_of_the_sum_of_its_group():
    counts = np.arange(64, dtype=float).reshape(1, 2, 32)
    restored = restore_droop(counts, 0.01)
    for first in (0, 16, 32, 48):
        group = slice(first, first + 16)
        expected = counts.reshape(-1)[group] + 0.01 * counts.reshape(-1)[group].sum()
        np.testing.assert_allclose(restored.reshape(-1)[group], expected, rtol=1e-14)


def test_that_a_flat_image_is_scaled_by_one_plus_sixteen_fractions():
    np.testing.assert_allclose(restore_droop(np.full((2, 8, 256), 5000.0), 0.0035), 5000 * 1.056, rtol=1e-14)


def test_that_missing_pixels_stay_missing_and_count_as_nothing():
    counts = np.full((1, 1, 16), 100.0)
    counts[0, 0, 3] = np.nan
    restored = restore_droop(counts, 0.01)
    assert np.isnan(restored[0, 0, 3])
    np.testing.assert_allclose(np.delete(restored[0, 0], 3), 115.0)
    assert np.isnan(restore_droop(np.full((1, 16), np.nan), 0.01)).all()


def test_that_results_stay_within_the_limits():
    counts = np.array([[-10.0] * 16, [65000.0] * 16])
    assert restore_droop(counts, 0.0035).tolist() == [[0.0] * 16, [65535.0] * 16]


@given(arrays(np.float32, (2, 32), elements=st.floats(1, 10_000, width=32)), st.floats(0, 0.1))
def test_that_dtype_and_input_are_kept_and_nothing_is_lost(counts, fraction):
    before = counts.copy()
    restored = restore_droop(counts, fraction)
    assert restored.dtype == np.float32
    assert (restored >= counts).all()
    np.testing.assert_array_equal(counts, before)
    groups = restored.reshape(2, 2, 16).sum(axis=-1)
    np.testing.assert_allclose(groups, counts.reshape(2, 2, 16).sum(axis=-1) * (1 + 16 * fraction), rtol=1e-4)


def test_that_the_step_keeps_the_error_and_writes_its_keywords(make_loaded, drive):
    loaded = make_loaded(np.full((4, 256, 256), 1000.0, dtype=np.float32), 2.0)
    corrected, run = drive(droop, loaded, {"fracdroop": 0.01})
    np.testing.assert_allclose(corrected["FLUX"], 1160.0, rtol=1e-6)
    assert corrected["ERROR"] is loaded["ERROR"]
    header = corrected.header
    assert (header["MINDROOP"], header["MAXDROOP"], header["NRODROOP"]) == (0.0, 65535.0, 16)
    assert run.history_lines[0].startswith("Droop: 0.01 ")


def test_that_rows_of_odd_length_are_refused(make_loaded, drive):
    with pytest.raises(InputError, match="rows of 250 pixels"):
        drive(droop, make_loaded(np.ones((4, 250, 250))))
