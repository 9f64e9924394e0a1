"""Axes of cubes in any order and kind, compared with what astropy makes of the same headers."""

import warnings

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.wcs import WCS

from sofia_viewers.cube.cube import open_cube
from sofia_viewers.cube.derived import crop_cube
from sofia_viewers.cube.saving import save_cube

from .conftest import REST, make_header
from .varied_cubes import LIGHT

FREQUENCY = LIGHT / (REST * 1e-6)
DATA = np.random.default_rng(1).normal(size=(20, 7, 9)).astype("f4")
KINDS = {
    "FREQ": ("Hz", FREQUENCY, -1e9), "VRAD": ("m/s", 0.0, 2e5), "VOPT": ("km/s", 0.0, 200.0),
    "VELO": ("m/s", 1e6, 2e5), "VOPT-F2W": ("m/s", 0.0, 2e5), "WAVE": ("m", REST * 1e-6, -1e-8),
    "WAVE-LOG": ("m", REST * 1e-6, 1e-7), "FREQ-LOG": ("Hz", FREQUENCY, 1e10), "WAVN": ("cm-1", 1333.0, 0.01),
}  # fmt: skip
DOPPLER = {"VRAD": u.doppler_radio, "VOPT": u.doppler_optical, "VELO": u.doppler_relativistic}


def make_axis(kind: str) -> fits.Header:
    unit, start, step = KINDS[kind]
    return make_header((7, 9), 20, rotation=25.0, CTYPE3=kind, CUNIT3=unit, CRVAL3=start, CRPIX3=11.0, CD3_3=step,
                       RESTFRQ=FREQUENCY)  # fmt: skip


def compute_with_astropy(header: fits.Header) -> np.ndarray:
    """Return vacuum wavelengths, μm, of the slices by astropy alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        axis = WCS(header).sub([3])
        values = u.Quantity(axis.wcs_pix2world(np.arange(20), 0)[0], axis.wcs.cunit[0])
    convention = DOPPLER.get(header["CTYPE3"][:4])
    return values.to_value(u.um, convention(FREQUENCY * u.Hz) if convention else u.spectral())


@pytest.mark.parametrize("kind", list(KINDS))
def test_that_wavelengths_agree_with_astropy_and_stay_in_parts_that_are_saved(tmp_path, kind):
    header = make_axis(kind)
    fits.PrimaryHDU(DATA, header).writeto(tmp_path / "cube.fits")
    cube = open_cube(tmp_path / "cube.fits")
    np.testing.assert_allclose(cube.wave, compute_with_astropy(header), rtol=1e-12)
    part = crop_cube(cube, slice(5, 15), slice(2, 6), slice(3, 8), "d", "part")
    path = save_cube(tmp_path / "part.fits", part)
    with fits.open(path) as hdus:
        assert hdus[1].data[4, 3, 2] == DATA[9, 5, 5]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            here = WCS(hdus[1].header).wcs_pix2world([[2, 3, 4]], 0)
            there = WCS(header).wcs_pix2world([[5, 5, 9]], 0)
    np.testing.assert_allclose(here, there, rtol=1e-12)
    np.testing.assert_allclose(open_cube(path).wave, cube.wave[5:15], rtol=1e-12)


def test_that_wavelengths_in_air_become_those_in_vacuum(tmp_path):
    header = make_header((7, 9), 20, CTYPE3="AWAV", CUNIT3="Angstrom", CRVAL3=6562.79, CRPIX3=1.0, CD3_3=1.0)
    fits.PrimaryHDU(DATA, header).writeto(tmp_path / "air.fits")
    assert open_cube(tmp_path / "air.fits").wave[0] == pytest.approx(0.656460, abs=2e-6)  # H alpha


@pytest.mark.parametrize("order", [(0, 1, 3, 2), (0, 1, 2, 3), (2, 0, 1, 3), (0, 2, 1, 3), (3, 2, 0, 1)])
def test_that_axes_come_in_any_order_and_some_of_length_one(tmp_path, order):
    c, s, scale = np.cos(0.4), np.sin(0.4), 6.0 / 3600
    axes = [("RA---TAN", 83.8, 5.0, -scale, "deg"), ("DEC--TAN", -5.4, 4.0, scale, "deg"),
            ("FREQ", FREQUENCY, 11.0, -1e9, "Hz"), ("STOKES", 1.0, 1.0, 1.0, "")]  # fmt: skip
    header, plain = fits.Header(), fits.Header()
    for made, places in ((header, order), (plain, (0, 1, 2, 3))):
        for number, place in enumerate(places, start=1):
            for keyword, value in zip(("CTYPE", "CRVAL", "CRPIX", "CDELT", "CUNIT"), axes[place], strict=True):
                made[f"{keyword}{number}"] = value
        x, y = places.index(0) + 1, places.index(1) + 1
        for i, j, value in ((x, x, c), (x, y, -s), (y, x, s), (y, y, c)):
            made[f"PC{i}_{j}"] = value
    stored = DATA[None].transpose([3 - order[3 - axis] for axis in range(4)])
    fits.PrimaryHDU(np.ascontiguousarray(stored), header).writeto(tmp_path / "cube.fits")
    cube = open_cube(tmp_path / "cube.fits")
    np.testing.assert_array_equal(cube.samples()[:], DATA)
    sky = WCS(plain).celestial.wcs_pix2world([[2, 5]], 0)
    np.testing.assert_allclose(cube.wcs.wcs_pix2world([[2, 5]], 0), sky, rtol=1e-12)
    saved = fits.getheader(save_cube(tmp_path / "saved.fits", cube), 1)
    found = WCS(saved).wcs_pix2world([[2, 5, 7]], 0)[0]
    np.testing.assert_allclose(found, [*sky[0], FREQUENCY + 3e9], rtol=1e-12)


def test_that_cubes_of_one_slice_and_compressed_cubes_are_opened(tmp_path):
    fits.PrimaryHDU(DATA[:1], make_header((7, 9), 1)).writeto(tmp_path / "one.fits")
    assert open_cube(tmp_path / "one.fits").shape == (1, 7, 9)
    hdu = fits.CompImageHDU(DATA, make_axis("FREQ"), compression_type="GZIP_1", quantize_level=0)
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(tmp_path / "tiles.fits")
    np.testing.assert_array_equal(open_cube(tmp_path / "tiles.fits").samples()[:], DATA)
    fits.PrimaryHDU(DATA, make_axis("FREQ")).writeto(tmp_path / "packed.fits.gz")
    (tmp_path / "packed.fits.gz").rename(tmp_path / "packed.fits")
    np.testing.assert_array_equal(open_cube(tmp_path / "packed.fits").samples()[:], DATA)


def test_that_the_reference_pixel_is_the_one_before_the_first_where_it_is_not_given(tmp_path):
    header = make_axis("WAVE")
    for key in ("CRPIX1", "CRPIX2", "CRPIX3"):
        del header[key]
    fits.PrimaryHDU(DATA, header).writeto(tmp_path / "cube.fits")
    cube = open_cube(tmp_path / "cube.fits")
    np.testing.assert_allclose(cube.wave, compute_with_astropy(header), rtol=1e-12)
    part = crop_cube(cube, slice(5, 15), slice(2, 6), slice(3, 8), "d", "part")
    np.testing.assert_allclose(part.wcs.wcs_pix2world([[0, 0]], 0), cube.wcs.wcs_pix2world([[3, 2]], 0), rtol=1e-12)
    saved = open_cube(save_cube(tmp_path / "part.fits", part))
    np.testing.assert_allclose(compute_with_astropy(saved.flux.header)[:10], cube.wave[5:15], rtol=1e-12)
