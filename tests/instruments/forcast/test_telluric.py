"""Telluric Correct: factors from the published fits, standards, missing keywords."""

import numpy as np
import pytest

from sofia_engine.errors import HeaderError, StepError
from sofia_engine.instruments.forcast.telluric import tellcor
from sofia_engine.product import Plane

SHAPE = (100, 100)


@pytest.fixture
def observe(make_stacked, draw_stars):
    def call(**cards):
        header = {"DICHROIC": "Mirror (swc)", "WVZ_OBS": 7.0}
        image = make_stacked(draw_stars(SHAPE, (50.2, 49.6, 160.0)), 0.01, **(header | cards))
        return image.replace(EXPOSURE=Plane.of(np.full(SHAPE, 80.0), "s"))

    return call


@pytest.mark.parametrize(
    ("cards", "factor"),
    [
        ({"ZA_START": 44.25, "ZA_END": 44.25, "ALTI_STA": 40002.5, "ALTI_END": 40002.5}, 1.0014656065664575),
        ({}, 1.0016295391193264),
    ],
    ids=["ZA 44.25", "ZA 45"],
)
def test_that_flux_and_error_are_multiplied_by_the_published_factor(drive, reference_store, observe, cards, factor):
    image = observe(**cards)
    corrected, run = drive(tellcor, image, store=reference_store)
    assert corrected.header["TELCORR"] == pytest.approx(factor, rel=1e-9)
    np.testing.assert_allclose(corrected["FLUX"], image["FLUX"] * factor)
    np.testing.assert_allclose(corrected["ERROR"], image["ERROR"] * factor)
    assert corrected["EXPOSURE"] is image["EXPOSURE"]
    assert corrected.header["REFCALF1"] == "forcast/response/rfit_am_single_20160127.txt"
    assert corrected.header["REFCALF2"] == "forcast/response/rfit_alt_single_20160127.txt"
    assert (corrected.header["REFCALZA"], corrected.header["REFCALAW"]) == (45.0, 41.0)
    assert any("factor" in line for line in run.history_lines)


def test_that_water_vapour_is_used_when_wanted(drive, reference_store, observe):
    corrected, _ = drive(tellcor, observe(), {"use_wv": True}, store=reference_store)
    assert corrected.header["REFCALWV"] == 7.3
    assert "REFCALAW" not in corrected.header
    assert corrected.header["TELCORR"] == pytest.approx(1.0, abs=0.02)


def test_that_more_atmosphere_needs_a_larger_factor(drive, reference_store, observe):
    factors = [
        drive(tellcor, observe(ZA_START=za, ZA_END=za), store=reference_store)[0].header["TELCORR"]
        for za in (35.0, 45.0, 60.0)
    ]
    assert factors == sorted(factors)


def test_that_one_missing_zenith_angle_gives_a_warning_and_two_an_error(drive, reference_store, observe):
    corrected, run = drive(tellcor, observe(ZA_END=None), store=reference_store)
    assert corrected.header["TELCORR"] == pytest.approx(1.0016295391193264)
    assert any("ZA_END" in warning for warning in run.warnings)
    with pytest.raises(HeaderError, match="Bad ZA value"):
        drive(tellcor, observe(ZA_START=None, ZA_END=-9999.0), store=reference_store)


def test_that_bad_water_vapour_is_an_error(drive, reference_store, observe):
    with pytest.raises(HeaderError, match="Bad PWV value"):
        drive(tellcor, observe(WVZ_OBS=-9999.0), {"use_wv": True}, store=reference_store)


def test_that_a_filter_without_response_is_an_error(drive, reference_store, observe):
    with pytest.raises(StepError, match="Response data not found"):
        drive(tellcor, observe(SPECTEL1="FOR_F999"), store=reference_store)


@pytest.mark.parametrize("missing", ["SPECTEL1", "OBJECT", "INSTCFG"])
def test_that_keywords_that_name_the_tables_must_be_there(drive, reference_store, observe, missing):
    with pytest.raises(HeaderError, match=missing):
        drive(tellcor, observe(**{missing: None}), store=reference_store)


def test_that_only_standards_are_measured(drive, reference_store, observe):
    plain, _ = drive(tellcor, observe(), store=reference_store)
    assert "STAPFLX" not in plain.header
    measured, run = drive(tellcor, observe(OBSTYPE="STANDARD_FLUX", OBJECT="Alpha Boo"), store=reference_store)
    assert measured.header["STAPFLX"] == pytest.approx(160.0 * 1.0016295391193264, rel=2e-3)
    assert measured.header["STCENTX"] == pytest.approx(50.2, abs=0.01)
    assert measured.header["MODLFLX"] == pytest.approx(197.329, rel=1e-3)
    assert run.quality["standard_flux"] == measured.header["STAPFLX"]


def test_that_an_empty_standard_is_corrected_with_a_warning(drive, reference_store, observe):
    image = observe(OBSTYPE="STANDARD_FLUX", OBJECT="Alpha Boo").replace(FLUX=np.full(SHAPE, np.nan))
    corrected, run = drive(tellcor, image, store=reference_store)
    assert "TELCORR" in corrected.header
    assert any("could not be measured" in warning for warning in run.warnings)


def test_that_the_image_is_not_changed(drive, reference_store, observe):
    image = observe()
    before = image["FLUX"].copy()
    drive(tellcor, image, store=reference_store)
    np.testing.assert_array_equal(image["FLUX"], before)
    assert "TELCORR" not in image.header
