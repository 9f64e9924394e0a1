"""Tangent-plane coordinates against a full WCS library."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st

from sofia_engine.errors import HeaderError
from sofia_engine.header.celestial import read_tangent_plane

BASE = {
    "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CUNIT1": "deg", "CUNIT2": "deg", "CRPIX1": 128.3, "CRPIX2": 97.1,
    "CRVAL1": 213.9, "CRVAL2": 19.18, "CDELT1": -2.133e-4, "CDELT2": 2.133e-4,
}  # fmt: skip
MATRICES = {
    "plain": {},
    "turned": {"CROTA2": 37.5},
    "PC": {"PC1_1": 0.8, "PC1_2": -0.6, "PC2_1": 0.6, "PC2_2": 0.8},
    "CD": {"CD1_1": -1e-4, "CD1_2": 1e-5, "CD2_1": 2e-5, "CD2_2": 1.2e-4},
}


@pytest.mark.parametrize("matrix", MATRICES, ids=str)
@pytest.mark.parametrize("sky", [(213.9, 19.18), (0.001, -45.0), (359.9999, 80.0), (120.0, -89.9)], ids=str)
def test_that_positions_agree_with_a_full_wcs_library(matrix, sky):
    cards = BASE | MATRICES[matrix] | {"CRVAL1": sky[0], "CRVAL2": sky[1]}
    if matrix == "CD":
        cards = {key: value for key, value in cards.items() if not key.startswith("CDELT")}
    header = fits.Header(cards)
    plane, wcs = read_tangent_plane(header), WCS(header)
    y, x = np.mgrid[-100:400:50, -100:400:50].astype(float)
    ours, theirs = plane.to_sky(x, y), wcs.wcs_pix2world(x, y, 0)
    np.testing.assert_allclose(ours[1], theirs[1], atol=1e-10)
    difference = (ours[0] - theirs[0] + 180) % 360 - 180
    np.testing.assert_allclose(difference * np.cos(np.radians(theirs[1])), 0, atol=1e-10)
    np.testing.assert_allclose(plane.to_pixel(*theirs), (x, y), atol=1e-6)


@given(st.floats(0, 359.9), st.floats(-89, 89), st.floats(-300, 300), st.floats(-300, 300))
@settings(deadline=None)
def test_that_pixels_come_back(longitude, latitude, x, y):
    plane = read_tangent_plane(fits.Header(BASE | {"CRVAL1": longitude, "CRVAL2": latitude}))
    np.testing.assert_allclose(plane.to_pixel(*plane.to_sky(x, y)), (x, y), atol=1e-6)


def test_that_the_far_side_of_the_sky_has_no_pixel():
    plane = read_tangent_plane(fits.Header(BASE))
    assert np.isnan(plane.to_pixel(213.9 + 180, -19.18)).all()


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"CRPIX1": None}, "CRPIX1"),
        ({"CRVAL2": "north"}, "CRVAL2"),
        ({"CTYPE1": "GLON-CAR"}, "CTYPE1"),
        ({"CDELT1": 0.0}, "no extent"),
        ({"CDELT2": None}, "CDELT2"),
    ],
    ids=lambda value: str(value),
)
def test_that_unusable_coordinates_give_a_clear_error(changes, word):
    cards = {key: value for key, value in (BASE | changes).items() if value is not None}
    with pytest.raises(HeaderError, match=word):
        read_tangent_plane(fits.Header(cards | {"FILENAME": "x.fits"}))
