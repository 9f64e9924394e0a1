from __future__ import annotations

import numpy as np
import pytest
from astropy.wcs import WCS
from hypothesis import given
from hypothesis import strategies as st

from sofia_engine.simulate.projection import find_pointing, project, rotation_angle, sky_matrix

POSITIONS = st.tuples(st.floats(0, 359.9), st.floats(-85, 85))
OFFSETS = st.tuples(st.floats(-0.2, 0.2), st.floats(-0.2, 0.2))


@given(POSITIONS, OFFSETS)
def test_that_source_appears_at_the_wanted_offset_from_the_pointing_found(source, offset):
    pointing = find_pointing(source, np.array(offset))
    assert project(source, pointing) == pytest.approx(offset, abs=1e-9)


def test_that_projection_agrees_with_tan_of_astropy():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [10.0, 40.0], [1.0, 1.0]
    expected = wcs.wcs_world2pix([[10.2, 40.1]], 0)[0]
    assert project((10.2, 40.1), (10.0, 40.0)) == pytest.approx(expected, abs=1e-12)


@given(st.floats(-360, 360))
def test_that_turning_offsets_twice_gives_them_back(rotation):
    assert sky_matrix(rotation) @ sky_matrix(rotation) == pytest.approx(np.eye(2), abs=1e-12)


@pytest.mark.parametrize(("sky_angle", "rotation"), [(150, 30), (180, 0), (-40, -140), (0, 180)])
def test_that_rotation_is_180_degrees_minus_sky_angle(sky_angle, rotation):
    assert rotation_angle(sky_angle) == rotation
