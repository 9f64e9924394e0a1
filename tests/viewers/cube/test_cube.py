"""Cubes: what is read of files, axes, faults."""

import gzip
import shutil

import numpy as np
import pytest
from astropy.io import fits

from sofia_engine.errors import InputError
from sofia_engine.product import Product
from sofia_viewers.cube.cube import make_cube, open_cube
from sofia_viewers.cube.samples import Samples

from .conftest import GOLDEN, LIGHT_SPEED, REST, make_header, write_cube


def write_axis(path, **cards):
    header = make_header((4, 5), 6)
    for key in ("CD3_3", "CUNIT3"):
        del header[key]
    header.update(cards)
    return open_cube(write_cube(path, np.ones((6, 4, 5)), header, None))


def test_that_a_cube_is_mapped_and_not_read(galaxy, truth):
    assert isinstance(galaxy.samples().raw, np.memmap)
    assert galaxy.shape == (80, 24, 28)
    assert list(galaxy.planes) == ["FLUX", "ERROR"]
    assert np.array_equal(galaxy.wave, truth.wave)
    assert galaxy.wave_unit == "um"
    assert list(galaxy.curves) == ["TRANSMISSION"]
    assert galaxy.error_of() == "ERROR"
    assert galaxy.pixel_scale == pytest.approx(6.0)
    assert galaxy.beam_pixels == pytest.approx(1.1331 * 15.0**2 / 6.0**2, rel=1e-3)


@pytest.mark.golden
@pytest.mark.parametrize(("name", "shape", "pixel"), [("red", (55, 29, 27), 3.0), ("blue", (44, 34, 31), 1.5)])
def test_that_published_cubes_of_fifi_ls_are_read(name, shape, pixel, tmp_path):
    found = sorted((GOLDEN / f"fifi_sym_{name}/expected").glob("*WXY*.fits.gz"))
    if not found:
        pytest.skip("the golden sets are not here")
    packed = open_cube(found[0])
    plain = tmp_path / "cube.fits"
    with gzip.open(found[0]) as source, plain.open("wb") as target:
        shutil.copyfileobj(source, target)
    cube = open_cube(plain)
    assert cube.shape == packed.shape == shape
    assert cube.pixel_scale == pytest.approx(pixel)
    assert list(cube.planes)[:4] == ["FLUX", "ERROR", "CAL_ERROR", "UNCORRECTED_FLUX"]
    assert cube.error_of("UNCORRECTED_FLUX") == "UNCORRECTED_ERROR"
    assert {"TRANSMISSION", "RESPONSE"} <= cube.curves.keys()
    assert np.array_equal(cube.wave, packed.wave)
    assert np.array_equal(cube.samples()[10], packed.samples()[10], equal_nan=True)


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ({"CDELT3": 1e-8, "CRVAL3": 157e-6, "CRPIX3": 1.0, "CTYPE3": "WAVE"}, [157.0, 157.01]),
        ({"CDELT3": 0.01, "CRVAL3": 157.0, "CRPIX3": 1.0, "CUNIT3": "micron"}, [157.0, 157.01]),
        ({"CDELT3": 1e9, "CRVAL3": 1.9e12, "CRPIX3": 1.0, "CTYPE3": "FREQ"}, [LIGHT_SPEED / 1.9, LIGHT_SPEED / 1.901]),
    ],
    ids=["metres", "micron", "frequency"],
)
def test_that_spectral_axes_become_micrometres(tmp_path, cards, expected):
    cube = write_axis(tmp_path / "a.fits", **cards)
    factor = 1e-3 if cards.get("CTYPE3") == "FREQ" else 1.0
    assert cube.wave_unit == "um"
    assert cube.wave[:2] == pytest.approx(np.array(expected) * factor, rel=1e-9)


def test_that_velocities_become_wavelengths_if_the_line_is_known(tmp_path):
    cards = {"CTYPE3": "VOPT", "CRVAL3": 1e5, "CDELT3": 1e4, "CRPIX3": 1.0, "CUNIT3": "m/s"}
    known = write_axis(tmp_path / "a.fits", RESTWAV=REST * 1e-6, **cards)
    assert known.wave[0] == pytest.approx(REST * (1 + 100.0 / LIGHT_SPEED))
    unknown = write_axis(tmp_path / "b.fits", **cards)
    assert unknown.wave_unit == "km/s"
    assert unknown.wave[:2] == pytest.approx([100.0, 110.0])


def test_that_scaled_integers_with_blanks_are_read_in_parts(tmp_path):
    stored = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    hdu = fits.ImageHDU(stored, name="FLUX")
    path = tmp_path / "scaled.fits"
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    with fits.open(path, mode="update", do_not_scale_image_data=True) as hdus:
        hdus[1].header.update({"BSCALE": 0.5, "BZERO": 10.0, "BLANK": 7})
    cube = open_cube(path)
    values = cube.samples()[:]
    assert isinstance(cube.samples().raw, np.memmap)
    assert np.isnan(values.ravel()[7])
    assert values.ravel()[8] == 14.0
    assert cube.wave_unit == "pixel"


def test_that_a_product_becomes_a_cube_without_a_copy():
    product = Product.of(make_header(), {"FLUX": np.ones((80, 24, 28), np.float32), "WAVELENGTH": np.arange(80.0)})
    cube = make_cube(product, "product:0")
    assert np.shares_memory(cube.samples().raw, product["FLUX"])
    assert cube.wave[3] == 3.0


def test_that_blocks_cover_all_rows_once():
    samples = Samples(np.arange(40 * 7 * 3, dtype=np.float32).reshape(40, 7, 3))
    parts = [block for _, block in samples.row_blocks(slice(0, 7), slice(5, 9))]
    assert np.array_equal(np.concatenate(parts, axis=1), samples.raw[5:9])


def damage(path, galaxy_path, kind):
    if kind == "text":
        path.write_text("no FITS at all")
    elif kind == "image":
        fits.PrimaryHDU(np.ones((5, 5))).writeto(path)
    elif kind == "truncated":
        path.write_bytes(galaxy_path.read_bytes()[:60000])
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("text", "not a FITS file"),
        ("image", "holds no cube"),
        ("truncated", "truncated or damaged"),
        ("absent", "does not exist"),
    ],
)
def test_that_a_file_without_a_cube_is_refused_with_the_reason(tmp_path, galaxy_path, kind, message):
    path = damage(tmp_path / "bad.fits", galaxy_path, kind)
    with pytest.raises(InputError, match=message) as caught:
        open_cube(path)
    assert "bad.fits" in str(caught.value)
