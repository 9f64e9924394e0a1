from __future__ import annotations

import numpy as np
import pytest

from sofia_engine.errors import ReferenceDataError
from sofia_engine.spectroscopy.calibration_maps import (
    CalibrationMaps,
    pack_maps,
    read_maps,
    simulate_pixel_maps,
    simulate_slit_map,
)
from sofia_engine.spectroscopy.orders import Order, SlitSize


@pytest.mark.parametrize("rotation", [0, 1, 3])
def test_that_maps_come_back_from_a_calibration_cube(rotation):
    rng = np.random.default_rng(0)
    maps = CalibrationMaps(rng.normal(size=(5, 7)), rng.normal(size=(5, 7)))
    again = read_maps(pack_maps(maps, rotation), rotation)
    np.testing.assert_array_equal(again.wavelength, maps.wavelength)
    np.testing.assert_array_equal(again.slit, maps.slit)


def test_that_the_tabulated_shift_moves_wavelengths_only():
    maps = read_maps(np.ones((2, 3, 3)), 0, -0.25)
    assert (maps.wavelength == 0.75).all()
    assert (maps.slit == 1).all()


@pytest.mark.parametrize("shape", [(3, 3), (1, 3, 3)])
def test_that_other_arrays_are_refused(shape):
    with pytest.raises(ReferenceDataError, match="not \\(2, rows, columns\\)"):
        read_maps(np.ones(shape))


def test_that_a_simulated_slit_rises_from_edge_to_edge():
    positions = simulate_slit_map(Order(1, (2.0,), (12.0,), (1, 4)), SlitSize(10, 20.0, 1, 1), (20, 6))
    np.testing.assert_allclose(positions[2:12, 1], 2.0 * np.arange(10))
    assert np.isnan(positions[:, [0, 5]]).all()
    assert np.isnan(positions[12:]).all()
    assert np.isnan(positions[:2]).all()


def test_that_pixel_maps_count_pixels_inside_the_order():
    maps = simulate_pixel_maps([[0, 1], [1, 1]])
    np.testing.assert_array_equal(maps.wavelength, [[np.nan, 1], [0, 1]])
    np.testing.assert_array_equal(maps.slit, [[np.nan, 0], [1, 1]])
