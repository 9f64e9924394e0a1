"""Cuts along paths."""

import numpy as np
import pytest

from sofia_engine.errors import InputError
from sofia_viewers.cube.cube import open_cube
from sofia_viewers.cube.position_velocity import cut_along, sample_path

from .conftest import LIGHT_SPEED, REST, make_header, write_cube


def test_that_a_cut_along_a_row_is_that_row(galaxy):
    cut = cut_along(galaxy, [(3.0, 11.0), (20.0, 11.0)])
    np.testing.assert_allclose(cut.values, galaxy.samples()[:, 11, 3:21], rtol=1e-5)
    assert cut.error == pytest.approx(np.full((80, 18), 0.02), rel=1e-4)
    assert cut.offset[:3] == pytest.approx([0.0, 6.0, 12.0])
    assert cut.offset_unit == "arcsec"


def test_that_the_rotation_of_the_source_is_its_slope(galaxy, truth):
    cut = cut_along(galaxy, [(9.0, 11.5), (18.0, 11.5)], width=4.0)
    line = cut.values - np.median(np.concatenate([cut.values[:15], cut.values[-15:]]), axis=0)
    inner = np.abs(cut.wave - REST) < 0.25
    center = (line[inner] * cut.wave[inner, None]).sum(axis=0) / line[inner].sum(axis=0)
    velocity = (center / REST - 1.0) * LIGHT_SPEED
    slope = np.polyfit(cut.offset / 6.0, velocity, 1)[0]
    assert slope == pytest.approx(20.0, abs=1.5)


def test_that_a_mean_over_the_width_lowers_the_error(galaxy):
    narrow, wide = (cut_along(galaxy, [(5.0, 12.0), (20.0, 12.0)], width=w) for w in (1.0, 5.0))
    assert np.nanmedian(wide.error) == pytest.approx(np.nanmedian(narrow.error) / 5**0.5, rel=1e-3)


def test_that_positions_on_the_sky_are_those_of_the_path(galaxy):
    cut = cut_along(galaxy, [(2.0, 2.0), (2.0, 20.0), (22.0, 20.0)])
    first = galaxy.wcs.wcs_pix2world([[2.0, 2.0]], 0)[0]
    assert cut.sky[0] == pytest.approx(first)
    assert cut.offset[-1] == pytest.approx((18 + 20) * 6.0)


def test_that_a_broken_path_is_sampled_at_equal_distances():
    places, across, distance = sample_path([(0, 0), (3, 4), (3, 4), (3, 10)], 1.0)
    assert distance.tolist() == list(range(12))
    assert places[5] == pytest.approx([3.0, 4.0])
    assert places[11] == pytest.approx([3.0, 10.0])
    assert across[7] == pytest.approx([-1.0, 0.0])


def test_that_missing_values_and_the_outside_are_nan(tmp_path):
    data = np.ones((5, 6, 7))
    data[:, :, 4] = np.nan
    cube = open_cube(write_cube(tmp_path / "c.fits", data, make_header((6, 7), 5)))
    cut = cut_along(cube, [(-3.0, 3.0), (6.0, 3.0)])
    assert np.isnan(cut.values[0]).tolist() == [True] * 3 + [False] * 4 + [True] + [False] * 2
    with pytest.raises(InputError, match="outside the cube"):
        cut_along(cube, [(40.0, 40.0), (50.0, 50.0)])
    with pytest.raises(InputError, match="no length"):
        cut_along(cube, [(1.0, 1.0), (1.0, 1.0)])
