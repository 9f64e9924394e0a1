"""What is read at the cursor."""

import warnings

import numpy as np
import pytest
from astropy.coordinates import FK5, ICRS, Galactic, SkyCoord
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from sofia_engine.product import Product
from sofia_viewers.image.frame import Frame, ImageFile, open_image
from sofia_viewers.image.readout import format_sexagesimal, read_out

from .conftest import make_header, make_product


def frame_with(**cards: object) -> Frame:
    return Frame.of(ImageFile.of(make_product(make_header(33.0, 0.8, **cards))))


@pytest.mark.parametrize(
    "cards",
    [
        {"RADESYS": "ICRS"},
        {"RADESYS": "FK5", "EQUINOX": 2000.0},
        {"RADESYS": "FK5", "EQUINOX": 1975.0},
        {"CTYPE1": "GLON-TAN", "CTYPE2": "GLAT-TAN"},
        {"RADESYS": "ICRS", "CTYPE1": "RA---SFL", "CTYPE2": "DEC--SFL"},
    ],
    ids=["icrs", "fk5", "fk5 1975", "galactic", "sfl"],
)
def test_that_sky_positions_are_those_of_astropy_in_all_systems(cards):
    frame = frame_with(**cards)
    read = read_out(frame, 13.25, 71.5)
    sky = frame.wcs.pixel_to_world(13.25, 71.5)
    for system in ("icrs", "fk5", "galactic"):
        lon, lat = read.sky[system]
        expected = SkyCoord(sky.frame.transform_to({"icrs": ICRS(), "fk5": FK5(), "galactic": Galactic()}[system]))
        assert SkyCoord(lon, lat, unit="deg", frame=system).separation(expected).arcsec < 1e-4


def test_that_b1950_positions_agree_within_a_tenth_of_an_arcsec_of_the_aberration_terms():
    frame = frame_with(RADESYS="FK4", EQUINOX=1950.0)
    lon, lat = read_out(frame, 10.0, 20.0).sky["icrs"]
    expected = frame.wcs.pixel_to_world(10.0, 20.0).icrs
    assert SkyCoord(lon, lat, unit="deg").separation(expected).arcsec < 0.5


def test_that_pixels_count_from_one_and_the_nearest_is_read(star_frame):
    read = read_out(star_frame, 12.4, 7.6)
    assert (read.x, read.y) == (13.4, 8.6)
    assert read.value == star_frame.image[8, 12]
    assert read.error == pytest.approx(0.1)
    assert read.unit == "Jy"
    assert read.value_text.endswith("± 0.1 Jy")


def test_that_the_flag_is_read_from_the_mask(star_frame):
    assert read_out(star_frame, 2, 4).flag == 5
    assert read_out(star_frame, 50, 50).flag == 0


def test_that_outside_and_blank_pixels_are_told_apart():
    flux = np.ones((5, 5))
    flux[2, 2] = np.nan
    frame = Frame.of(ImageFile.of(Product.of(fits.Header(), {"FLUX": flux})))
    assert read_out(frame, 2, 2).value_text == "blank"
    assert read_out(frame, -4, 2).value_text == "outside"
    assert read_out(frame, 1, 1).sky == {}


def test_that_the_wavelength_of_the_slice_is_read():
    cards = {"CTYPE3": "WAVE", "CUNIT3": "um", "CRVAL3": 157.0, "CDELT3": 0.5, "CRPIX3": 1.0}
    frame = Frame.of(ImageFile.of(Product.of(make_header(**cards), {"FLUX": np.ones((4, 3, 3))}))).at_slice(3)
    assert read_out(frame, 1, 1).wavelength == (158.5, "um")


@given(st.floats(0, 359.999999), st.floats(-90, 90))
def test_that_sexagesimal_text_gives_back_the_position(lon, lat):
    text = format_sexagesimal(lon, lat)
    assert ":60" not in text
    found = SkyCoord(text, unit=("hourangle", "deg"))
    assert found.separation(SkyCoord(lon, lat, unit="deg")).arcsec < 0.1


@pytest.mark.real
def test_that_a_published_image_is_read_as_astropy_reads_it(real_products):
    from astropy.wcs import WCS

    path = real_products / "F0441_HA_IMA_0501651_HAWAHWPOpen_CRH_120-123.fits"
    read = read_out(Frame.of(open_image(path)), 100.0, 150.0)
    with fits.open(path) as hdus, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = WCS(hdus[0].header).pixel_to_world(100.0, 150.0)
        assert read.value == hdus[0].data[150, 100]
        assert read.error == hdus["NOISE"].data[150, 100]
    assert SkyCoord(*read.sky["fk5"], unit="deg", frame="fk5").separation(expected).arcsec < 1e-3
