from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from sofia_engine.spectroscopy.rectified_wcs import list_rectified_wcs, list_spectrum_wcs

WAVE = 5.1 + 0.0117 * np.arange(251)
SLIT = 4.5 + 0.768 * np.arange(249)
SKY = {"CRPIX1": 128.0, "CRPIX2": 130.0, "CRVAL1": 213.9, "CRVAL2": 19.2, "CROTA2": 30.0}
SLIT_MAP = np.tile(0.768 * np.arange(256.0)[:, np.newaxis], 256)


def make_header(cards):
    header = fits.Header(cards)
    header["NAXIS"], header["NAXIS1"], header["NAXIS2"] = 2, 251, 249
    return header


def test_that_the_linear_coordinates_are_those_of_the_pixels():
    wcs = WCS(make_header(list_rectified_wcs(WAVE, SLIT, SKY, SLIT_MAP)))
    wave, slit = wcs.wcs_pix2world([0, 250], [0, 248], 0)
    np.testing.assert_allclose(wave * 1e6 if wave[0] < 1e-3 else wave, WAVE[[0, 250]])
    np.testing.assert_allclose(slit, SLIT[[0, 248]])


def test_that_the_alternate_reference_row_is_where_the_sky_reference_lies_on_the_slit():
    cards = {key: value for key, value, _ in list_rectified_wcs(WAVE, SLIT, SKY, SLIT_MAP)}
    assert cards["CRPIX2A"] == pytest.approx((0.768 * 129 - 4.5) / 0.768 + 1)
    assert cards["CRVAL2A"] == 19.2
    assert cards["CRVAL3A"] == 213.9
    assert cards["CDELT3A"] == -cards["CDELT2A"] == pytest.approx(-0.768 / 3600)


def test_that_the_alternate_coordinates_lead_along_the_slit():
    header = fits.Header(list_rectified_wcs(WAVE, SLIT, SKY, SLIT_MAP))
    wcs = WCS(header, key="A", naxis=3)
    row = header["CRPIX2A"]
    wave, dec, ra = wcs.wcs_pix2world([[10, row, 1], [10, row + 10, 1]], 1).T
    assert (wave[0] * 1e6 if wave[0] < 1e-3 else wave[0]) == pytest.approx(WAVE[9])
    assert ra[0] == pytest.approx(213.9)
    step = np.array([(ra[1] - ra[0]) * np.cos(np.radians(19.2)), dec[1] - dec[0]]) * 3600
    np.testing.assert_allclose(step, 7.68 * np.array([-np.sin(np.radians(30)), np.cos(np.radians(30))]), atol=1e-3)


def test_that_without_sky_position_only_the_linear_coordinates_are_given():
    keys = [card[0] for card in list_rectified_wcs(WAVE, SLIT, {}, SLIT_MAP)]
    assert not [key for key in keys if key.endswith("A")]
    assert not [card[0] for card in list_rectified_wcs(WAVE, SLIT, SKY, None) if card[0].endswith("A")]


def test_that_spectra_keep_the_cards_of_their_axis():
    keys = [card[0] for card in list_spectrum_wcs(list_rectified_wcs(WAVE, SLIT, SKY, SLIT_MAP))]
    assert keys == ["CTYPE1", "CUNIT1", "CRPIX1", "CRVAL1", "CDELT1", "SPECSYS"]
