"""Frames: planes of products and files, companions, S/N, slices, memory mapping."""

import numpy as np
import pytest
from astropy.io import fits

from sofia_engine.errors import InputError
from sofia_engine.product import Product
from sofia_viewers.image.frame import Frame, ImageFile, fetch_block, open_image

from .conftest import SHAPE, make_header, make_product, make_star


def test_that_the_planes_of_a_product_are_shown_without_a_copy(star_product):
    frame = Frame.of(ImageFile.of(star_product))
    assert frame.plane.name == "FLUX"
    assert np.shares_memory(frame.image, star_product["FLUX"])


@pytest.mark.parametrize("wanted", ["ERROR", "error", 1, "1"])
def test_that_planes_are_found_by_name_and_number(star_product, wanted):
    assert ImageFile.of(star_product).find_plane(wanted).name == "ERROR"


def test_that_a_missing_plane_is_named_with_those_that_exist(star_product):
    with pytest.raises(InputError, match="FLUX, ERROR, EXPOSURE, BADMASK"):
        Frame.of(ImageFile.of(star_product), "NOISE")


@pytest.mark.parametrize(
    ("role", "name"), [("error", "ERROR"), ("exposure", "EXPOSURE"), ("mask", "BADMASK"), ("s/n", "S/N")]
)
def test_that_companion_planes_are_found(star_product, role, name):
    assert ImageFile.of(star_product).companion(role, "FLUX").name == name


def test_that_each_stokes_plane_has_its_own_error():
    names = ("STOKES I", "ERROR I", "STOKES Q", "ERROR Q")
    file = ImageFile.of(Product.of(make_header(), {n: np.full((4, 4), float(i)) for i, n in enumerate(names)}))
    assert file.companion("error", "STOKES Q").name == "ERROR Q"
    assert file.companion("error", "STOKES I").name == "ERROR I"


@pytest.mark.parametrize("names", [("FLUX", "ERROR"), ("FLUX", "STDDEV"), ("STOKES I", "ERROR I")])
def test_that_signal_to_noise_is_computed_from_any_of_the_known_pairs(names):
    signal, noise = np.full((3, 4), 6.0), np.full((3, 4), 2.0)
    noise[0, 0] = 0.0
    file = ImageFile.of(Product.of(make_header(), {names[0]: signal, names[1]: noise}))
    frame = Frame.of(file, "S/N")
    assert frame.plane.unit == ""
    assert np.isnan(frame.image[0, 0])
    assert np.all(frame.image.ravel()[1:] == 3.0)


def test_that_an_sn_plane_of_the_file_wins():
    planes = {"FLUX": np.ones((3, 3)), "ERROR": np.ones((3, 3)), "S/N": np.full((3, 3), 9.0)}
    assert np.all(Frame.of(ImageFile.of(Product.of(make_header(), planes)), "S/N").image == 9.0)


def test_that_signal_to_noise_without_an_error_plane_is_refused():
    with pytest.raises(InputError, match="Cannot determine S/N"):
        Frame.of(ImageFile.of(Product.of(make_header(), {"FLUX": np.ones((3, 3))})), "S/N")


def test_that_pixels_outside_an_sn_range_are_blank(star_product):
    frame = Frame.of(ImageFile.of(star_product), "FLUX", (100.0, 500.0))
    ratio = star_product["FLUX"] / 0.1
    assert np.array_equal(np.isfinite(frame.image), (ratio >= 100) & (ratio <= 500))


def test_that_all_planes_of_one_shape_are_stacked_in_a_cube(star_product):
    frame = Frame.of(ImageFile.of(star_product), "all")
    assert frame.plane.n_slices == 4
    assert np.allclose(frame.at_slice(1).image, 0.1)


def test_that_cubes_start_in_the_middle_and_slices_stay_inside():
    cube = np.arange(5.0)[:, None, None] * np.ones((5, 3, 4))
    frame = Frame.of(ImageFile.of(Product.of(make_header(), {"FLUX": cube})))
    assert frame.slice_number == 2
    assert frame.at_slice(99).image[0, 0] == 4.0
    assert frame.at_slice(-3).image[0, 0] == 0.0


def test_that_wavelengths_in_metres_are_given_in_micrometres():
    cards = {"CTYPE3": "WAVE", "CUNIT3": "m", "CRVAL3": 63e-6, "CDELT3": 1e-7, "CRPIX3": 1.0}
    frame = Frame.of(ImageFile.of(Product.of(make_header(**cards), {"FLUX": np.ones((4, 3, 3))})))
    values, unit = frame.wavelengths
    assert unit == "um"
    assert values == pytest.approx([63.0, 63.1, 63.2, 63.3])


def test_that_the_pixel_scale_is_the_mean_of_both_axes():
    frame = Frame.of(ImageFile.of(make_product(make_header(30.0, 0.75))))
    assert frame.pixel_scale == pytest.approx(0.75)


def test_that_frames_without_world_coordinates_have_scale_one():
    frame = Frame.of(ImageFile.of(Product.of(fits.Header(), {"FLUX": np.ones((3, 3))})))
    assert frame.wcs is None
    assert frame.pixel_scale == 1.0


def test_that_large_files_are_mapped_and_show_the_values_that_were_written(write_image):
    image = make_star((3000, 3000))
    path = write_image("large.fits", image)
    frame = Frame.of(open_image(path))
    assert frame.plane.is_mapped
    block = fetch_block(frame, (slice(10, 20), slice(30, 50)))
    assert block.dtype == np.float32
    assert block.dtype.isnative
    assert np.array_equal(block, image[10:20, 30:50].astype(np.float32))


def test_that_mapped_and_small_files_find_the_same_coordinates(write_image):
    small, large = (Frame.of(open_image(write_image(n, make_star(s)))) for n, s in (("s", SHAPE), ("l", (3000, 3000))))
    assert np.allclose(large.wcs.wcs_pix2world(5, 6, 0), small.wcs.wcs_pix2world(5, 6, 0), rtol=1e-12)
    assert large.plane.unit == small.plane.unit == "Jy"


def test_that_reduced_blocks_keep_the_mean(star_frame):
    whole = fetch_block(star_frame, (slice(0, 90), slice(0, 110)))
    reduced = fetch_block(star_frame, (slice(0, 90), slice(0, 110)), 5)
    assert reduced.shape == (18, 22)
    assert reduced.mean() == pytest.approx(whole.mean(), rel=1e-5)


def test_that_a_file_that_is_not_fits_is_refused_with_the_reason(tmp_path):
    path = tmp_path / "notes.fits"
    path.write_text("hello")
    with pytest.raises(InputError, match="not a FITS file"):
        open_image(path)


def test_that_a_truncated_large_file_is_refused(write_image):
    path = write_image("large.fits", make_star((3000, 3000)))
    with path.open("r+b") as stream:
        stream.truncate(34 * 2**20)
    with pytest.raises(InputError, match="truncated"):
        Frame.of(open_image(path))


def test_that_a_file_without_images_is_refused(tmp_path):
    path = tmp_path / "table.fits"
    table = fits.BinTableHDU.from_columns([fits.Column("A", "E", array=np.ones(3))])
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)
    with pytest.raises(InputError, match="holds no image"):
        open_image(path)


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "plane", "shape", "unit"),
    [
        ("F0435_FO_IMA_05000851_FORF197_MRG_0074.fits", "FLUX", (283, 294), "Me/s"),
        ("F0441_HA_IMA_0501651_HAWAHWPOpen_CRH_120-123.fits", "PRIMARY IMAGE", (279, 240), "Jy/pixel"),
        ("F0481_HA_POL_7600012_HAWDHWPD_PMP_050-083.fits", "STOKES I", (106, 94), "Jy/pixel"),
    ],
)
def test_that_published_products_open_with_coordinates_and_signal_to_noise(real_products, name, plane, shape, unit):
    frame = Frame.of(open_image(real_products / name))
    assert (frame.plane.name, frame.shape, frame.plane.unit) == (plane, shape, unit)
    assert frame.wcs is not None
    assert frame.file.can_compute_signal_to_noise
    assert frame.companion_image("error").shape == shape
