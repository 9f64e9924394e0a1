"""Old file layouts, taken apart into named planes and packed again."""

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sofia_engine.errors import InputError
from sofia_engine.layouts import LAYOUTS
from sofia_engine.product import Product

COUNTS = st.floats(0, 1e6, width=32)


def write_cube(path, planes, instrument="FORCAST", product_type="MERGED", **cards):
    header = fits.Header([("INSTRUME", instrument), ("PRODTYPE", product_type), ("BUNIT", "Me/sec")])
    header.update(cards)
    fits.PrimaryHDU(np.array(planes, dtype="f4"), header).writeto(path, overwrite=True)
    return path


def write_spectrum(path, rows):
    header = fits.Header([("INSTRUME", "FORCAST"), ("XUNITS", "um"), ("YUNITS", "Jy"), ("PRODTYPE", "CALSPEC")])
    fits.PrimaryHDU(np.array(rows, dtype="f8"), header).writeto(path)
    return path


class TestTakingApart:
    def test_that_variance_of_a_forcast_cube_becomes_one_sigma_error(self, tmp_path):
        flux, variance, exposure = np.full((3, 4), 5.0), np.full((3, 4), 9.0), np.full((3, 4), 60.0)
        product = Product.read(write_cube(tmp_path / "a.fits", [flux, variance, exposure]))
        assert list(product.planes) == ["FLUX", "ERROR", "EXPOSURE"]
        np.testing.assert_array_equal(product["ERROR"], 3.0)
        assert [plane.unit for plane in product.planes.values()] == ["Me/s", "Me/s", "s"]
        assert product.layout == "cube-variance"

    def test_that_the_second_plane_of_a_flitecam_cube_is_the_error_itself(self, tmp_path):
        cube = [np.ones((2, 2)), np.full((2, 2), 3.0)]
        product = Product.read(write_cube(tmp_path / "a.fits", cube, "FLITECAM"))
        np.testing.assert_array_equal(product["ERROR"], 3.0)
        assert "EXPOSURE" not in product

    def test_that_negative_variance_is_bad(self, tmp_path):
        product = Product.read(write_cube(tmp_path / "a.fits", [np.ones((2, 2)), np.full((2, 2), -1.0)]))
        assert np.isnan(product["ERROR"]).all()

    @pytest.mark.parametrize("product_type", ["RAW", "", "unknown"])
    def test_that_a_raw_cube_is_left_alone(self, tmp_path, product_type):
        product = Product.read(write_cube(tmp_path / "a.fits", np.zeros((2, 4, 4)), product_type=product_type))
        assert list(product.planes) == ["PRIMARY"]

    @pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4), (2, 2, 4, 4)])
    def test_that_arrays_of_another_shape_are_left_alone(self, tmp_path, shape):
        assert "PRIMARY" in Product.read(write_cube(tmp_path / "a.fits", np.zeros(shape)))

    def test_that_files_with_extensions_are_left_alone(self, tmp_path):
        path = write_cube(tmp_path / "a.fits", np.zeros((2, 4, 4)))
        with fits.open(path) as hdus:
            hdus.append(fits.ImageHDU(np.ones(2), name="MORE"))
            hdus.writeto(tmp_path / "b.fits")
        assert "PRIMARY" in Product.read(tmp_path / "b.fits")

    @pytest.mark.parametrize("count", [3, 4, 5])
    def test_that_rows_of_a_spectrum_become_planes(self, tmp_path, count):
        rows = np.arange(count * 10.0).reshape(count, 10)
        product = Product.read(write_spectrum(tmp_path / "a.fits", rows))
        names = ["WAVEPOS", "SPECTRAL_FLUX", "SPECTRAL_ERROR", "TRANSMISSION", "RESPONSE"]
        assert list(product.planes) == names[:count]
        np.testing.assert_array_equal(product["SPECTRAL_ERROR"], rows[2])
        assert product.plane("WAVEPOS").unit == "um"
        assert product.plane("SPECTRAL_FLUX").unit == "Jy"

    def test_that_orders_stay_the_first_axis_of_spectra(self, tmp_path):
        rows = np.arange(2 * 4 * 10.0).reshape(2, 4, 10)
        product = Product.read(write_spectrum(tmp_path / "a.fits", rows))
        np.testing.assert_array_equal(product["SPECTRAL_FLUX"], rows[:, 1])

    @pytest.mark.parametrize("kind", ["rspspec", "response", "instrument_response", "response_spectrum"])
    def test_that_rows_of_a_response_become_planes(self, tmp_path, kind):
        rows = np.arange(50.0).reshape(5, 10)
        header = fits.Header([("XUNITS", "um"), ("YUNITS", "Me/s/Jy"), ("PRODTYPE", kind)])
        fits.PrimaryHDU(rows, header).writeto(tmp_path / "a.fits")
        product = Product.read(tmp_path / "a.fits")
        assert list(product.planes) == ["WAVEPOS", "RESPONSE", "RESPONSE_ERROR", "TRANSMISSION", "STANDARD_MODEL"]
        assert [p.unit for p in product.planes.values()] == ["um", "Me/s/Jy", "Me/s/Jy", "", "Jy"]
        product.write(tmp_path / "b.fits", layout=product.layout)
        np.testing.assert_array_equal(Product.read(tmp_path / "b.fits", layout="extensions")["PRIMARY"], rows)

    def test_that_an_old_rectified_image_gets_its_axes_from_the_header(self, tmp_path):
        cube = [np.ones((6, 5)), np.full((6, 5), 4.0), np.zeros((6, 5))]
        cards = {"CRPIX1": 0.5, "CRVAL1": 8.5, "CD1_1": 0.08, "CRPIX2": 0.5, "CRVAL2": 4.0, "CD2_2": 0.5}
        product = Product.read(write_cube(tmp_path / "a.fits", cube, product_type="rectimage", **cards))
        np.testing.assert_array_equal(product["ERROR"], 2.0)
        assert product["BADMASK"].dtype == np.int64
        np.testing.assert_allclose(product["WAVEPOS"], 8.5 + 0.1 * np.arange(5))
        np.testing.assert_allclose(product["SLITPOS"], 4.0 + 0.6 * np.arange(6))
        again = Product.read(product.write(tmp_path / "b.fits", layout=product.layout))
        np.testing.assert_allclose(again["WAVEPOS"], product["WAVEPOS"])
        np.testing.assert_array_equal(again["ERROR"], 2.0)

    def test_that_a_file_can_be_read_as_it_is(self, tmp_path):
        path = write_cube(tmp_path / "a.fits", np.zeros((2, 4, 4)))
        assert Product.read(path, layout="extensions")["PRIMARY"].shape == (2, 4, 4)


class TestRoundTrip:
    @given(cube=arrays.arrays("f4", (3, 2, 3), elements=COUNTS))
    @settings(max_examples=30, deadline=None)
    def test_that_planes_come_back_from_an_old_cube(self, tmp_path_factory, cube):
        path = write_cube(tmp_path_factory.getbasetemp() / "cube.fits", cube)
        product = Product.read(path)
        again = Product.read(product.write(path, layout=product.layout))
        np.testing.assert_array_equal(again["FLUX"], product["FLUX"])
        np.testing.assert_allclose(again["ERROR"], product["ERROR"], rtol=1e-6)
        np.testing.assert_array_equal(again["EXPOSURE"], product["EXPOSURE"])
        assert again.layout == product.layout

    @given(rows=arrays.arrays("f8", (5, 8), elements=st.floats(allow_nan=True, allow_infinity=False)))
    @settings(max_examples=30, deadline=None)
    def test_that_spectra_come_back_bit_for_bit(self, tmp_path_factory, rows):
        path = tmp_path_factory.getbasetemp() / "spectrum.fits"
        path.unlink(missing_ok=True)
        product = Product.read(write_spectrum(path, rows))
        again = Product.read(product.write(path, layout="spectrum"))
        assert again.same(product, ignore=["BUNIT", "NAPS", "NORDERS"])
        np.testing.assert_array_equal(Product.read(path, layout="extensions")["PRIMARY"], rows)

    def test_that_an_unpacked_cube_is_written_with_named_extensions(self, tmp_path):
        product = Product.read(write_cube(tmp_path / "a.fits", np.ones((3, 4, 4))))
        product.write(tmp_path / "b.fits")
        with fits.open(tmp_path / "b.fits") as hdus:
            assert [hdu.header["EXTNAME"] for hdu in hdus] == ["FLUX", "ERROR", "EXPOSURE"]
        assert Product.read(tmp_path / "b.fits").same(product)

    def test_that_one_wavelength_row_serves_all_orders(self, tmp_path):
        header = fits.Header([("XUNITS", "um"), ("YUNITS", "Jy")])
        wave = np.linspace(5, 8, 9)
        planes = {"WAVEPOS": wave, "SPECTRAL_FLUX": np.ones((2, 9)), "SPECTRAL_ERROR": np.ones((2, 9))}
        Product.of(header, planes).write(tmp_path / "a.fits", layout="spectrum")
        assert Product.read(tmp_path / "a.fits")["WAVEPOS"].shape == (2, 9)

    def test_that_one_transmission_curve_serves_all_apertures_and_units_are_told(self, tmp_path):
        wave, two = np.linspace(5, 8, 9), np.ones((2, 9))
        planes = {"WAVEPOS": wave, "SPECTRAL_FLUX": two, "SPECTRAL_ERROR": two, "TRANSMISSION": 0.5 * wave}
        product = Product.of(fits.Header([("CDELT1", 0.375), ("BUNIT", "Jy/pixel")]), planes,
                             units={"WAVEPOS": "um", "SPECTRAL_FLUX": "Jy", "SPECTRAL_ERROR": "Jy"})  # fmt: skip
        product.write(tmp_path / "a.fits", layout="spectrum")
        header = fits.getheader(tmp_path / "a.fits")
        assert [header[key] for key in ("XUNITS", "YUNITS", "NAPS", "NORDERS", "DISPO01")] == ["um", "Jy", 2, 1, 0.375]
        assert "BUNIT" not in header
        np.testing.assert_array_equal(Product.read(tmp_path / "a.fits")["TRANSMISSION"], [0.5 * wave] * 2)


class TestRefusals:
    def test_that_an_unknown_layout_is_named_with_those_there_are(self, tmp_path):
        product = Product.of(fits.Header(), {"FLUX": np.ones((2, 2))})
        with pytest.raises(InputError, match=r"no file layout 'cubes'; there are extensions, .*spectrum"):
            product.write(tmp_path / "a.fits", layout="cubes")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("layout", LAYOUTS)
    @pytest.mark.parametrize(
        "planes",
        [
            {"FLUX": np.ones((2, 2))},
            {"FLUX": np.ones((2, 2)), "ERROR": np.ones((2, 2)), "EXPOSURE": np.ones((3, 3))},
            {"FLUX": np.ones((2, 2)), "ERROR": np.ones((3, 3))},
        ],
        ids=["too few", "third differs", "second differs"],
    )
    def test_that_planes_that_do_not_fit_are_refused(self, tmp_path, layout, planes):
        with pytest.raises(InputError, match="needs planes of equal shape"):
            Product.of(fits.Header(), planes).write(tmp_path / "a.fits", layout=layout)
