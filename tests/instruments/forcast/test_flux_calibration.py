"""Flux Calibrate: units, factors and keywords of the published tables; standards; observations without a factor."""

import numpy as np
import pytest

from sofia_engine.errors import ParameterError
from sofia_engine.instruments.forcast.flux_calibration import fluxcal, parse_position
from sofia_engine.product import Plane, Product

SHAPE = (100, 100)


@pytest.fixture
def observe(make_stacked, draw_stars):
    def call(**cards):
        header = {"DICHROIC": "Mirror (swc)", "PROCSTAT": "LEVEL_2", "CROTA2": 0.0}
        image = make_stacked(draw_stars(SHAPE, (50.2, 49.6, 160.0)), 0.01, **(header | cards))
        return image.replace(EXPOSURE=Plane.of(np.full(SHAPE, 80.0), "s"))

    return call


def test_that_flux_and_error_are_divided_by_the_published_factor(drive, reference_store, observe):
    image = observe()
    calibrated, _ = drive(fluxcal, image, store=reference_store)
    np.testing.assert_allclose(calibrated["FLUX"], image["FLUX"] / 0.827633)
    np.testing.assert_allclose(calibrated["ERROR"], image["ERROR"] / 0.827633)
    assert calibrated.plane("FLUX").unit == calibrated.plane("ERROR").unit == "Jy/pixel"
    assert calibrated.plane("EXPOSURE").unit == "s"
    header = calibrated.header
    assert (header["CALFCTR"], header["ERRCALF"]) == (0.827633, 0.0159)
    assert header["REFCALF3"] == "forcast/ref_calfctr/refcalfac_20180910.txt"
    assert (header["LAMREF"], header["LAMPIVOT"], header["COLRCORR"]) == (19.6993, 19.6421, 1.0)
    assert (header["REFCALZA"], header["REFCALAW"], header["REFCALWV"]) == (45.0, 41.0, 7.3)
    assert header["BMAJ"] == header["BMIN"] == pytest.approx(5 * 0.768 / 3600)
    assert header["BPA"] == 0.0
    assert header["BUNIT"] == "Jy/pixel"


def test_that_the_step_makes_level_3():
    assert (fluxcal.level, fluxcal.code, fluxcal.product_type) == ("LEVEL_3", "CAL", "calibrated")


@pytest.mark.parametrize("cards", [{"SPECTEL1": "FOR_F999"}, {"DATE": "2013-08-01T00:00:00"}], ids=["filter", "date"])
def test_that_images_without_a_factor_pass_uncalibrated(drive, reference_store, observe, cards):
    image = observe(**cards)
    passed, run = drive(fluxcal, image, store=reference_store)
    assert passed is image
    assert any("No reference flux calibration available for SPECTEL=" in warning for warning in run.warnings)


@pytest.mark.parametrize("unit", ["ct", "Jy/pixel"])
def test_that_only_images_in_electrons_per_second_are_calibrated(drive, reference_store, observe, unit):
    image = observe().replace(units={"FLUX": unit, "ERROR": unit})
    passed, run = drive(fluxcal, image, store=reference_store)
    assert passed is image
    assert f"is in {unit}, not in Me/s" in run.warnings[0]
    published = observe().replace(units={"FLUX": "Me/sec", "ERROR": "Me/sec"})  # so written before 2018
    assert drive(fluxcal, published, store=reference_store)[0].plane("FLUX").unit == "Jy/pixel"


def test_that_a_standard_is_measured_again_only_when_wanted(drive, reference_store, observe):
    image = observe(OBSTYPE="STANDARD_FLUX", OBJECT="Alpha Boo")
    plain, _ = drive(fluxcal, image, store=reference_store)
    assert "STAPFLX" not in plain.header
    measured, _ = drive(fluxcal, image, {"rerun_phot": True, "profile": "Gaussian"}, store=reference_store)
    assert measured.header["STAPFLX"] == pytest.approx(160.0, rel=2e-3)
    assert measured.header["STFWHMX"] == pytest.approx(4.5, rel=1e-3)
    other = observe(OBJECT="Alpha Boo")
    assert "STAPFLX" not in drive(fluxcal, other, {"rerun_phot": True}, store=reference_store)[0].header


def test_that_settings_of_the_photometry_are_used(drive, reference_store, observe, draw_stars):
    image = observe(OBSTYPE="STANDARD_FLUX", OBJECT="Alpha Boo")
    faint = draw_stars(SHAPE, (25.0, 70.0, 20.0))
    settings = {"rerun_phot": True, "srcpos": "25,70", "profile": "Gaussian", "fitsize": 30, "fwhm": 4.0}
    measured, _ = drive(fluxcal, image.replace(FLUX=faint), settings, store=reference_store)
    header = measured.header
    assert (header["STCENTX"], header["STCENTY"]) == pytest.approx((25.0, 70.0), abs=0.05)
    assert (header["PHOTPROF"], header["PHOTIMSZ"]) == ("GAUSSIAN", 30)


def test_that_a_wanted_measurement_that_fails_leaves_a_warning(drive, reference_store, observe):
    image = observe(OBSTYPE="STANDARD_FLUX", OBJECT="Alpha Boo").replace(FLUX=np.full(SHAPE, np.nan))
    calibrated, run = drive(fluxcal, image, {"rerun_phot": True}, store=reference_store)
    assert calibrated.header["CALFCTR"] == 0.827633
    assert any("could not be measured" in warning for warning in run.warnings)


def test_that_a_measured_standard_is_compared_with_its_model(drive, reference_store, observe):
    image = observe(OBSTYPE="STANDARD_FLUX", OBJECT="Alpha Boo", STAPFLX=160.0)
    _, run = drive(fluxcal, image, store=reference_store)
    assert run.quality["standard_deviation_percent"] == pytest.approx(100 * (160.0 / 0.827633 / 197.329 - 1), abs=0.01)


@pytest.mark.parametrize(("text", "expected"), [("", None), (" ", None), ("3.5, 4", (3.5, 4.0))])
def test_that_positions_are_read(text, expected):
    assert parse_position(text) == expected


@pytest.mark.parametrize("text", ["3", "a,b", "1,2,3"])
def test_that_a_position_must_be_two_numbers(text):
    with pytest.raises(ParameterError, match="srcpos"):
        parse_position(text)


@pytest.mark.golden
@pytest.mark.parametrize("published", [True, False], ids=["as published", "default"])
def test_that_photometry_of_the_golden_standard_agrees(golden, calibrate_raw, published):
    product = calibrate_raw(golden / "forcast_img_nmc" / "raw", published)
    expected = Product.read(next((golden / "forcast_img_nmc" / "expected").glob("*_CAL_*.fits.gz"))).header
    for key in ("STAPFLX", "STPRFLX", "STPEAK", "MODLFLX", "MODLFLXE", "AVGCALFC", "REFCALFC", "PHOTAPER"):
        assert product.header[key] == pytest.approx(expected[key], rel=5e-3), key
    for key in ("REFSTD1", "REFSTD2", "REFSTD3", "AVCLFILE", "RUNITS", "PHOTPROF", "REFCALF3"):
        assert product.header[key] == expected[key], key
