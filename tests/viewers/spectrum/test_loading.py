"""Files of all kinds become spectra."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from sofia_engine.errors import InputError
from sofia_engine.product import Product
from sofia_viewers.spectrum.loading import make_spectrum_file, read_spectrum_file
from sofia_viewers.spectrum.saving import save_spectrum

WAVE = np.linspace(5.0, 8.0, 30)
FLUX = np.sin(WAVE) + 2.0


def write(path, text):
    path.write_text(text)
    return path


TEXTS = {
    "no header": "5.0 1.0 0.1\n6.0 2.0 0.2\n7.0 3.0 0.3\n",
    "commas": "wave,flux,err\n5.0,1.0,0.1\n6.0,2.0,0.2\n7.0,3.0,0.3\n",
    "units in brackets": "Wavelength [um]\tFlux (Jy)\tError [Jy]\n5.0\t1.0\t0.1\n6.0\t2.0\t0.2\n7.0\t3.0\t0.3\n",
    "comment as header": "# made by somebody\n# wavelength flux error\n5.0 1.0 0.1\n6.0 2.0 0.2\n7.0 3.0 0.3\n",
    "several headers": "Spectrum of a star\nwave flux err\num Jy Jy\n5.0 1.0 0.1\n6.0 2.0 0.2\n7.0 3.0 0.3\n",
    "semicolons, CRLF": "wave;flux;err\r\n5.0;1.0;0.1\r\n6.0;2.0;0.2\r\n7.0;3.0;0.3\r\n",
    "decimal commas": "wave;flux;err\n5,0;1,0;0,1\n6,0;2,0;0,2\n7,0;3,0;0,3\n",
    "units and dashes": "# a star\nwave flux err tran\num Jy Jy -\n5.0 1.0 0.1 1\n6.0 2.0 0.2 1\n7.0 3.0 0.3 1\n",
    "Fortran exponents": "5.0D0 1.0D+00 1.0d-1\n6.0D0 2.0D0 2.0D-1\n7.0D0 3.0D0 3.0D-1\n",
    "empty lines": "\n\nwave flux err\n\n5.0 1.0 0.1\n6.0 2.0 0.2\n\n7.0 3.0 0.3\n\n",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_that_text_tables_of_all_forms_are_read_without_losing_a_row(tmp_path, text):
    file = read_spectrum_file(write(tmp_path / "a.txt", text))
    spectrum = file.spectra[0]
    np.testing.assert_array_equal(spectrum["wavepos"], [5.0, 6.0, 7.0])
    np.testing.assert_array_equal(spectrum["spectral_flux"], [1.0, 2.0, 3.0])
    np.testing.assert_allclose(spectrum["spectral_error"], [0.1, 0.2, 0.3])
    assert (spectrum.unit("wavepos"), spectrum.unit("spectral_flux")) == ("um", "Jy")


def test_that_units_and_order_of_columns_are_taken_from_the_names(tmp_path):
    text = "flux [W/m2/um], frequency [GHz], transmission\n1e-12, 1900, 0.9\n2e-12, 1901, 0.8\n"
    spectrum = read_spectrum_file(write(tmp_path / "a.csv", text)).spectra[0]
    np.testing.assert_array_equal(spectrum["wavepos"], [1900, 1901])
    assert (spectrum.unit("wavepos"), spectrum.unit("spectral_flux")) == ("GHz", "W/m2/um")
    np.testing.assert_array_equal(spectrum["transmission"], [0.9, 0.8])


def test_that_missing_values_are_nan_and_one_column_is_flux_over_pixels(tmp_path):
    spectrum = read_spectrum_file(write(tmp_path / "a.txt", "5 1\n6 NaN\n7 --\n8 4\n")).spectra[0]
    np.testing.assert_array_equal(spectrum["spectral_flux"], [1, np.nan, np.nan, 4])
    single = read_spectrum_file(write(tmp_path / "b.txt", "3.5\n4.5\n5.5\n")).spectra[0]
    np.testing.assert_array_equal(single["wavepos"], [0, 1, 2])
    np.testing.assert_array_equal(single["spectral_flux"], [3.5, 4.5, 5.5])
    assert single.unit("wavepos") == "pixel"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nothing here\nat all\n", "no table"),
        ("5 1\n6 2\n7 oops\n", "line 3"),
        ("5 1\n6 2 3\n7 3\n", "line 2"),
        ("", "no table"),
    ],
)
def test_that_what_is_no_table_is_refused_with_the_line_that_is_wrong(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_spectrum_file(write(tmp_path / "a.txt", text))


def test_that_missing_binary_and_imageless_files_are_refused_by_name(tmp_path):
    with pytest.raises(InputError, match=r"gone\.fits does not exist"):
        read_spectrum_file(tmp_path / "gone.fits")
    (tmp_path / "b.dat").write_bytes(b"\0\1\2" * 100)
    with pytest.raises(InputError, match="neither FITS nor text"):
        read_spectrum_file(tmp_path / "b.dat")
    fits.PrimaryHDU(np.ones((20, 20))).writeto(tmp_path / "image.fits")
    with pytest.raises(InputError, match="image viewer"):
        read_spectrum_file(tmp_path / "image.fits")
    (tmp_path / "cut.fits").write_bytes((tmp_path / "image.fits").read_bytes()[:2000])
    with pytest.raises(InputError):
        read_spectrum_file(tmp_path / "cut.fits")


def test_that_combined_layouts_of_one_and_several_orders_are_taken_apart(tmp_path):
    header = fits.Header({"INSTRUME": "EXES", "XUNITS": "cm-1", "YUNITS": "Jy", "NORDERS": 3, "NAPS": 2})
    rows = np.stack([WAVE, FLUX, 0.1 * FLUX, 0.5 + 0 * FLUX])
    cube = np.stack([rows + k for k in range(6)])
    cube[2, :, 25:] = np.nan
    fits.PrimaryHDU(cube, header).writeto(tmp_path / "a.fits")
    file = read_spectrum_file(tmp_path / "a.fits")
    assert [(s.order, s.aperture) for s in file.spectra] == [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2)]
    np.testing.assert_array_equal(file.spectra[3]["spectral_flux"], FLUX + 3)
    assert len(file.spectra[2]) == 25
    assert file.groups == "Orders"


def test_that_split_layouts_with_orders_and_apertures_are_taken_apart():
    planes, units = {}, {}
    for order in (1, 2):
        planes[f"WAVEPOS_ORDER_{order:02d}"] = WAVE + order
        planes[f"SPECTRAL_FLUX_ORDER_{order:02d}"] = np.stack([FLUX, 2 * FLUX])
        planes[f"SPECTRAL_ERROR_ORDER_{order:02d}"] = np.stack([FLUX, FLUX]) * 0.1
        units |= {f"WAVEPOS_ORDER_{order:02d}": "cm-1", f"SPECTRAL_FLUX_ORDER_{order:02d}": "Jy"}
    product = Product.of(fits.Header({"INSTRUME": "EXES"}), {"FLUX": np.ones((9, 30)), **planes}, units)
    file = make_spectrum_file(product, "product:0")
    assert [(s.order, s.aperture) for s in file.spectra] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    np.testing.assert_array_equal(file.spectra[3]["wavepos"], WAVE + 2)
    np.testing.assert_array_equal(file.spectra[3]["spectral_flux"], 2 * FLUX)
    assert file.unit("wavepos") == "cm-1"


@pytest.mark.parametrize("instrument", ["FLITECAM", "FORCAST", "", "GENERAL", "OTHER"])
def test_that_rows_of_any_instrument_are_read(tmp_path, instrument):
    header = fits.Header({"INSTRUME": instrument, "XUNIT": "nm", "YUNIT": "W / m2 / um"})
    fits.PrimaryHDU(np.stack([WAVE, FLUX]), header).writeto(tmp_path / "a.fits")
    file = read_spectrum_file(tmp_path / "a.fits")
    np.testing.assert_array_equal(file.spectra[0].flux, FLUX)
    assert (file.unit("wavepos"), file.unit("spectral_flux")) == ("nm", "W / m2 / um")


def test_that_fits_tables_and_linear_axes_are_read(tmp_path):
    Table({"WAVE": WAVE, "FLUX": FLUX, "IVAR": np.full(30, 4.0)}, units=["nm", "mJy", ""]).write(tmp_path / "t.fits")
    spectrum = read_spectrum_file(tmp_path / "t.fits").spectra[0]
    np.testing.assert_array_equal(spectrum.error, np.full(30, 0.5))
    assert spectrum.unit("spectral_flux") == "mJy"
    header = fits.Header(
        {"CRVAL1": 5e-6, "CDELT1": 1e-7, "CRPIX1": 1.0, "CUNIT1": "m", "CTYPE1": "WAVE", "BUNIT": "Jy"}
    )
    fits.PrimaryHDU(FLUX, header).writeto(tmp_path / "w.fits")
    linear = read_spectrum_file(tmp_path / "w.fits").spectra[0]
    np.testing.assert_allclose(linear.wave, 5.0 + 0.1 * np.arange(30))
    assert linear.unit("wavepos") == "um"


def test_that_a_cube_gives_its_sum_and_its_brightest_pixel(tmp_path):
    cube = np.ones((10, 3, 4))
    cube[:, 1, 2] = 5.0
    header = fits.Header(
        {"CTYPE3": "WAVE", "CUNIT3": "um", "CRVAL3": 100.0, "CDELT3": 0.5, "CRPIX3": 1.0, "BUNIT": "Jy/pixel"}
    )
    fits.PrimaryHDU(cube, header).writeto(tmp_path / "c.fits")
    file = read_spectrum_file(tmp_path / "c.fits")
    np.testing.assert_array_equal(file.spectra[0].flux, np.full(10, 16.0))
    np.testing.assert_array_equal(file.spectra[1].flux, np.full(10, 5.0))
    assert file.unit("spectral_flux") == "Jy"
    assert file.groups == "Apertures"


def test_that_photometry_in_a_header_is_a_point_of_a_spectral_energy_distribution(tmp_path):
    header = fits.Header(
        {"INSTRUME": "HAWC_PLUS", "WAVECENT": 154.0, "STAPFLX": 12.0, "STAPFLXE": 0.6, "BUNIT": "Jy/pixel"}
    )
    fits.PrimaryHDU(np.ones((8, 8)), header).writeto(tmp_path / "h.fits")
    spectrum = read_spectrum_file(tmp_path / "h.fits").spectra[0]
    assert (spectrum.wave[0], spectrum.flux[0], spectrum.error[0]) == (154.0, 12.0, 0.6)
    assert spectrum.unit("spectral_flux") == "Jy"


@pytest.mark.parametrize(
    ("bunit", "factor", "unit", "flux"),
    [("Me/s", 0.0, "Me/s", 160.0), ("Jy/pixel", 0.8, "Jy", 200.0), ("Jy/pixel", 0.0, "Me/s", 160.0)],
)
def test_that_photometry_has_its_own_unit_until_the_calibration_factor_makes_it_jansky(
    tmp_path, bunit, factor, unit, flux
):
    header = fits.Header({"INSTRUME": "FORCAST", "WAVECENT": 19.7, "BUNIT": bunit})
    header["STAPFLX"] = (160.0, "Source flux from aper phot (Me/s)")
    header["STAPFLXE"] = (1.6, "Error in Source flux from aper phot (Me/s)")
    if factor:
        header["CALFCTR"] = (factor, "Calibration factor (Me/s/Jy)")
    fits.PrimaryHDU(np.ones((8, 8)), header).writeto(tmp_path / "f.fits")
    spectrum = read_spectrum_file(tmp_path / "f.fits").spectra[0]
    assert spectrum.unit("spectral_flux") == spectrum.unit("spectral_error") == unit
    assert spectrum.flux[0] == pytest.approx(flux)
    assert spectrum.error[0] == pytest.approx(flux / 100)


@pytest.mark.parametrize("suffix", [".fits", ".ecsv", ".csv", ".vot"])
def test_that_saved_spectra_are_read_back_the_same(tmp_path, make_file, suffix):
    file = make_file("a", orders=2, apertures=2)
    again = read_spectrum_file(save_spectrum(file, tmp_path / f"out{suffix}"))
    assert [(s.order, s.aperture) for s in again.spectra] == [(s.order, s.aperture) for s in file.spectra]
    for mine, other in zip(file.spectra, again.spectra, strict=True):
        np.testing.assert_allclose(other.flux, mine.flux, rtol=1e-12)
        np.testing.assert_allclose(other.error, mine.error, rtol=1e-12)
    assert again.unit("spectral_flux") == "Jy"


def test_that_saving_under_an_unknown_suffix_or_nowhere_is_refused(tmp_path, make_file):
    with pytest.raises(InputError, match="spectra end with"):
        save_spectrum(make_file(), tmp_path / "a.doc")
    with pytest.raises(InputError, match="cannot be written"):
        save_spectrum(make_file(), tmp_path / "none" / "a.csv")


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "orders", "points", "unit"),
    [
        ("F0428_FO_GRI_0500637_FORG111_CAL_0177-0196.fits", 1, 242, "Jy"),
        ("F0428_FO_GRI_0500638_FORG227_CMB_0197-0215.fits", 1, 236, "Jy"),
        ("F0434_FO_GRI_0501381_FORG063_CMB_0228-0229.fits", 1, 242, "Jy"),
        ("F0749_EX_SPE_7500601_EXEELONEXEECHL_MRD_0018.fits", 1, 27044, "erg s-1 cm-2 sr-1 (cm-1)-1"),
        ("EXES_iktau_feb2020_hilo1333_MRD.fits", 1, 27391, "erg s-1 cm-2 sr-1 (cm-1)-1"),
        ("EXES_iktau_feb2020_hilo1333_CMB.fits", 68, None, "erg s-1 cm-2 sr-1 (cm-1)-1"),
    ],
)
def test_that_published_spectra_are_read_as_they_are_stored(real_products, name, orders, points, unit):
    file = read_spectrum_file(real_products / name)
    stored = fits.getdata(real_products / name)
    assert (len(file.orders), file.unit("spectral_flux")) == (orders, unit)
    first = file.spectra[0]
    assert points in (None, len(first))
    rows = stored if stored.ndim == 2 else stored[0]
    np.testing.assert_array_equal(first.wave, rows[0][: len(first)])
    np.testing.assert_array_equal(first.flux, rows[1][: len(first)])
    np.testing.assert_array_equal(first.error, rows[2][: len(first)])


@pytest.mark.golden
def test_that_products_of_fifi_ls_give_spectra(golden):
    cal = read_spectrum_file(next((golden / "fifi_sym_red/expected").glob("*_CAL_*.fits.gz")))
    assert len(cal.apertures) == 25
    assert cal.unit("wavepos") == "um"
    cube = read_spectrum_file(next((golden / "fifi_sym_red/expected").glob("*_WXY_*.fits.gz")))
    peak = cube.spectra[0].wave[np.nanargmax(cube.spectra[0].flux)]
    assert peak == pytest.approx(157.74, abs=0.1)
    assert cube.pixel_area == pytest.approx(9.0, rel=1e-6)


def test_that_wavelengths_in_metres_are_shown_in_micrometres(tmp_path):
    (tmp_path / "m.csv").write_text("wave [m],flux [Jy]\n1e-5,1\n2e-5,2\n")
    spectrum = read_spectrum_file(tmp_path / "m.csv").spectra[0]
    np.testing.assert_allclose(spectrum.wave, [10.0, 20.0])
    assert spectrum.unit("wavepos") == "um"
    product = Product.of(
        fits.Header(), {"WAVEPOS": WAVE * 1e-6, "SPECTRAL_FLUX": FLUX}, {"WAVEPOS": "m", "SPECTRAL_FLUX": "Jy"}
    )
    np.testing.assert_allclose(make_spectrum_file(product, "p").spectra[0].wave, WAVE)


@pytest.mark.parametrize("points", [1, 2, 5])
def test_that_rows_of_few_points_are_a_spectrum(tmp_path, points):
    """Rows with XUNITS are wavelength, flux and error, however short they are."""
    header = fits.Header({"INSTRUME": "FORCAST", "XUNITS": "um", "YUNITS": "Jy"})
    rows = np.array([np.linspace(6, 7, points), np.full(points, 3.0), np.full(points, 0.1)])
    fits.PrimaryHDU(rows, header).writeto(tmp_path / "few.fits")
    (spectrum,) = read_spectrum_file(tmp_path / "few.fits").spectra
    np.testing.assert_array_equal([spectrum[name] for name in ("wavepos", "spectral_flux", "spectral_error")], rows)
    assert (spectrum.unit("wavepos"), spectrum.unit("spectral_flux")) == ("um", "Jy")


def test_that_a_cube_of_a_slit_scan_gives_the_spectra_of_its_field():
    cube = np.ones((30, 4, 3))
    cube[:, 2, 1] += FLUX
    planes = {"FLUX": cube, "ERROR": np.full(cube.shape, 0.1), "EXPOSURE": np.ones((4, 3)), "WAVEPOS": WAVE}
    planes |= {"TRANSMISSION": np.full(30, 0.9), "RESPONSE": np.full(30, 0.005)}
    units = {"FLUX": "Jy/pixel", "ERROR": "Jy/pixel", "WAVEPOS": "um"}
    header = fits.Header({"INSTRUME": "FORCAST", "PRODTYPE": "spectral_cube"})
    whole, brightest = make_spectrum_file(Product.of(header, planes, units=units), "key").spectra
    np.testing.assert_allclose(whole.flux, cube.sum(axis=(1, 2)))
    np.testing.assert_allclose(brightest.flux, 1.0 + FLUX)
    np.testing.assert_array_equal(brightest["transmission"], 0.9)


def test_that_velocities_in_metres_per_second_are_shown_in_kilometres_per_second(tmp_path):
    header = fits.Header({"CTYPE1": "VELO-LSR", "CUNIT1": "m/s", "CRVAL1": -1e5, "CDELT1": 2e3, "CRPIX1": 1.0})
    fits.PrimaryHDU(FLUX, header).writeto(tmp_path / "velocity.fits")
    (spectrum,) = read_spectrum_file(tmp_path / "velocity.fits").spectra
    assert spectrum.unit("wavepos") == "km/s"
    np.testing.assert_allclose(spectrum.wave[:2], [-100.0, -98.0])
