"""Numbers of products against their truth."""

import math
from datetime import UTC, datetime

import numpy as np
import pytest

from sofia_engine.product import Product
from sofia_viewers.quality.metrics import collect_columns, measure_file, measure_product, merge_reduction_rows
from sofia_viewers.quality.run_record import StepRow

from .conftest import BACKGROUND, ERROR, FWHM, NOISE, PIXEL, SHAPE, make_header, make_image, make_product


def test_that_background_noise_and_error_are_those_of_the_simulation():
    row = measure_product(make_product())
    assert row.number("background") == pytest.approx(BACKGROUND, abs=4 * NOISE / 100)
    assert row.number("noise") == pytest.approx(NOISE, rel=0.05)
    assert row.number("median_error") == ERROR
    assert row.number("error_ratio") == pytest.approx(NOISE / ERROR, rel=0.05)
    assert row.unit_of("noise") == "Jy/pixel"


@pytest.mark.parametrize("fwhm", [4.0, 6.0, 9.0])
def test_that_the_width_of_the_source_is_found_in_arcsec(fwhm):
    row = measure_product(make_product(make_image(fwhm=fwhm)))
    assert row.number("fwhm") == pytest.approx(fwhm * PIXEL, rel=0.01)
    assert row.number("ellipticity") < 0.02
    assert row.number("peak_snr") == pytest.approx(400 / NOISE, rel=0.1)


def test_that_an_image_without_a_source_has_no_width():
    image = np.random.default_rng(2).normal(0, 1, SHAPE)
    assert math.isnan(measure_product(make_product(image)).number("fwhm"))


def test_that_a_single_hot_pixel_is_no_source():
    image = make_image()
    image[5, 5] = 1e3
    assert measure_product(make_product(image)).number("fwhm") == pytest.approx(FWHM * PIXEL, rel=0.02)


def test_that_missing_pixels_are_counted_and_ignored():
    image = make_image()
    image[:24] = np.nan
    row = measure_product(make_product(image))
    assert row.number("missing") == pytest.approx(25.0)
    assert row.number("noise") == pytest.approx(NOISE, rel=0.05)


def test_that_the_header_tells_time_altitude_and_water_vapour():
    row = measure_product(make_product())
    assert row.number("time") == datetime(2018, 9, 1, 5, 10, 0, 500_000, tzinfo=UTC).timestamp()
    assert row.text("time") == "2018-09-01 05:10:00"
    assert row.number("altitude") == 40500.0
    assert row.number("zenith_angle") == 45.0
    assert row.number("pwv") == 10.0  # -9999 says that nothing was measured
    assert row.values["filter"] == "FOR_F197"


def test_that_the_filter_of_the_long_wave_camera_is_the_second():
    assert measure_product(make_product(DETCHAN="LW")).values["filter"] == "FOR_F371"


@pytest.mark.parametrize("date", ["", "yesterday", "2018-13-45T00:00:00"])
def test_that_an_unreadable_date_leaves_the_time_out(date):
    assert "time" not in measure_product(make_product(**{"DATE-OBS": date})).values


def test_that_photometry_in_the_header_is_shown():
    row = measure_product(
        make_product(STAPFLX=160.0, STAPFLXE=2.0, STFWHMX=4.0, STFWHMY=5.0, CALFCTR=0.8, ERRCALF=0.01)
    )
    assert [row.number(k) for k in ("flux", "flux_error", "profile_fwhm", "calibration_factor")] == [160, 2, 4.5, 0.8]


def test_that_a_product_is_not_changed_by_measuring():
    product = make_product()
    before = product["FLUX"].copy()
    measure_product(product)
    assert np.array_equal(product["FLUX"], before)


def test_that_a_spectrum_is_measured_without_a_source():
    header = make_header()
    for key in ("CTYPE1", "CTYPE2"):
        del header[key]
    product = Product.of(header, {"SPECTRAL_FLUX": np.linspace(1, 2, 200), "SPECTRAL_ERROR": np.full(200, 0.1)})
    row = measure_product(product)
    assert row.number("background") == pytest.approx(1.5)
    assert math.isnan(row.number("fwhm"))


def test_that_rows_of_a_reduction_keep_their_numbers_and_take_over_what_is_known():
    known = {"a.fits": measure_product(make_product(), "a.fits")}
    merged = merge_reduction_rows([StepRow(3, "Coadd", "a.fits", {"noise": 9.0, "fwhm": 4.0}, "key")], known)
    assert merged[0].values["noise"] == 9.0
    assert merged[0].values["profile_fwhm"] == 4.0
    assert merged[0].values["order"] == 4
    assert merged[0].values["object"] == "Alpha Boo"
    assert merged[0].state_key == "key"


def test_that_columns_come_in_a_fixed_order_with_numbers_of_steps_last():
    rows = merge_reduction_rows([StepRow(0, "Coadd", "a.fits", {"strange": 1.0, "noise": 1.0})])
    assert collect_columns(rows) == ("file", "order", "step", "noise", "strange")


@pytest.mark.real
def test_that_published_products_of_all_instruments_can_be_measured(real_products):
    rows = {path.name: measure_file(path) for path in real_products.glob("*.fits")}
    assert len(rows) == 10
    assert all(row.number("noise") > 0 and row.values["time"] > 1.4e9 for row in rows.values())
    map_of_hawc = rows["F0441_HA_IMA_0501651_HAWAHWPOpen_CRH_120-123.fits"]
    assert map_of_hawc.number("error_ratio") == pytest.approx(1.0, abs=0.1)  # its noise plane is right
    assert rows["F0435_FO_IMA_05000851_FORF197_MRG_0074.fits"].number("pwv") == pytest.approx(13.135)


@pytest.mark.golden
def test_that_the_golden_standard_has_the_width_its_photometry_says(golden):
    path = next((golden / "forcast_img_nmc/expected").glob("*CAL*.fits.gz"))
    row = measure_file(path)
    assert row.number("calibration_factor") == 0.827633
    assert row.number("fwhm") == pytest.approx(row.number("profile_fwhm") * 0.768, rel=0.1)
