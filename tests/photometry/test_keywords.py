"""Header cards of photometry and calibration: names, order, values; agreement with published photometry."""

import math
from dataclasses import replace

import numpy as np
import pytest

from sofia_engine.photometry.calibration import load_calibration
from sofia_engine.photometry.configuration import determine_setup
from sofia_engine.photometry.flux_calibration import (
    beam_keywords,
    calibration_keywords,
    compare_with_model,
    derive_factor,
)
from sofia_engine.photometry.keywords import photometry_keywords
from sofia_engine.photometry.measurement import PhotometryParameters, measure_source
from sofia_engine.photometry.profile import Measured

MOFFAT = (0.5, 100.0, 100.0, 95.0, 6.0, 3.0, 0.0, 3.0)


def write(photometry, calibration):
    return {keyword: value for keyword, value, _ in photometry_keywords(photometry, calibration)}


@pytest.fixture
def measure(draw):
    def call(profile="moffat", **settings):
        image = draw(profile, MOFFAT, (200, 200))
        return measure_source(image, np.full(image.shape, 0.1), PhotometryParameters(profile=profile, **settings))

    return call


def test_that_cards_hold_the_measurement(measure, calibration):
    photometry = measure()
    cards = write(photometry, calibration)
    assert (cards["PHOTPROF"], cards["PHOTIMSZ"], cards["PHOTAPER"]) == ("MOFFAT", 138, 12.0)
    assert cards["PHOTSKAP"] == "15.0, 25.0"
    assert (cards["STFWHMX"], cards["STFWHMY"]) == (pytest.approx(6.1179, abs=1e-4), pytest.approx(3.0589, abs=1e-4))
    assert cards["STAPSKY"] == photometry.aperture.sky.value
    assert (cards["STPRFLX"], cards["STPRFLXE"]) == photometry.fit.flux
    assert cards["STPWLAW"] == pytest.approx(3.0)
    assert (cards["SRCPOSX"], cards["SRCPOSY"]) == (100.0, 95.0)


def test_that_compatible_cards_are_those_of_the_reference_for_a_drawn_source(draw, calibration):
    truth = (0.5, 100.0, 101.3, 99.6, 6.0, 3.0, math.radians(20), 3.0)
    photometry = measure_source(
        draw("moffat", truth, (200, 200)), np.full((200, 200), 0.1), PhotometryParameters(compatible=True)
    )
    cards = write(photometry, calibration)
    published = {
        "STPRFLX": 2827.4334,
        "STPRFLXE": 15.4261,
        "STAPFLX": 2762.627,
        "STAPFLXE": 2.4804,
        "STFWHMX": 3.0589,
        "STFWHMXE": 0.00834,
        "STFWHMY": 6.1179,
        "STAPSKY": 0.1864,
        "STAPSSTD": 0.0331,
        "STANGLE": 20.0,
    }
    for keyword, value in published.items():
        assert cards[keyword] == pytest.approx(value, rel=5e-3), keyword


@pytest.mark.parametrize(("compatible", "factor"), [(False, 2 * math.pi), (True, math.pi)])
def test_that_the_flux_of_a_gaussian_follows_the_convention(measure, calibration, compatible, factor):
    cards = write(measure("gaussian", compatible=compatible), calibration)
    assert cards["STPRFLX"] == pytest.approx(factor * 100 * 18, rel=1e-6)
    assert cards["STPWLAW"] == 0.0


def test_that_unknown_values_are_zero_and_all_values_can_be_written(calibration):
    parameters = PhotometryParameters(position=(20, 20), allow_bad_fit=True)
    cards = write(measure_source(np.ones((60, 60)), None, parameters), calibration)
    assert (cards["STFWHMX"], cards["STPRFLX"], cards["STAPFLXE"]) == (0.0, 0.0, 0.0)
    assert (cards["STCENTX"], cards["STPEAK"]) == (20.0, 1.0)
    assert all(math.isfinite(value) for value in cards.values() if isinstance(value, float))
    assert "REFCALFC" not in cards


def test_that_the_factor_of_a_standard_is_flux_over_color_corrected_model(calibration):
    factor = derive_factor(Measured(160.0, 3.2), calibration)
    expected = 160.0 * 19.0**2 / (1.25 * 220.0 * 20.0**2)
    assert factor.value == pytest.approx(expected)
    assert factor.error == pytest.approx(expected * math.hypot(0.02, 0.05))


@pytest.mark.parametrize(
    "flux", [Measured(-1.0, 1.0), Measured(1.0, 0.0), Measured(math.nan, 1.0), Measured(1.0, math.nan)]
)
def test_that_unknown_fluxes_give_no_factor(calibration, flux):
    assert derive_factor(flux, calibration) is None


@pytest.mark.parametrize("piece", ["standard", "filter"])
def test_that_no_model_or_filter_gives_no_factor(calibration, piece):
    assert derive_factor(Measured(1.0, 0.1), replace(calibration, **{piece: None})) is None


def test_that_calibration_cards_hold_factor_and_reference(calibration):
    cards = calibration_keywords(calibration)
    assert ("CALFCTR", 0.8, "Calibration factor (Me/s/Jy)") in cards
    assert [card[0] for card in cards] == [
        "BUNIT", "CALFCTR", "ERRCALF", "REFCALF3", "LAMREF", "LAMPIVOT", "COLRCORR", "REFCALZA", "REFCALAW", "REFCALWV",
    ]  # fmt: skip


def test_that_missing_tables_leave_cards_out(calibration):
    assert calibration_keywords(type(calibration)(calibration.setup)) == (("BUNIT", "Jy/pixel", "Data units"),)


def test_that_the_beam_is_the_width_in_degrees(calibration):
    assert beam_keywords(calibration, -0.0002)[0][:2] == ("BMAJ", pytest.approx(0.001))
    assert beam_keywords(replace(calibration, filter=None), 0.0002)[1][:2] == ("BMIN", pytest.approx(0.001))


def test_that_the_difference_to_the_model_is_in_percent():
    assert compare_with_model(210.0, 200.0) == pytest.approx(5.0)


@pytest.fixture(scope="module", params=["COA", "CAL"])
def golden_image(request, golden):
    from astropy.io import fits

    with fits.open(next((golden / "forcast_img_nmc/expected").glob(f"*_{request.param}_*.fits.gz"))) as hdus:
        header = hdus[0].header
        scale = header.get("CALFCTR", 1.0)
        return hdus["FLUX"].data * scale, hdus["ERROR"].data * scale, header


@pytest.mark.golden
class TestGolden:
    """Photometry of the golden images against the keywords of the reference pipeline, to 0.5 %."""

    NAMING = frozenset({"STFWHMX", "STFWHMY", "STFWHMXE", "STFWHMYE"})
    CONVENTION = frozenset({"STAPSKY", "STAPSKYE", "STPRFLXE"})

    def compare(self, golden_image, locate_published, compatible):
        image, error, header = golden_image
        calibration = load_calibration(determine_setup(header), locate_published)
        parameters = PhotometryParameters.from_filter(calibration.filter, compatible=compatible)
        cards = photometry_keywords(measure_source(image, error, parameters, header), calibration)
        for keyword, value, comment in cards:
            assert header.comments[keyword] in comment, keyword
            yield keyword, value, header[keyword]

    def test_that_all_keys_but_the_order_of_widths_agree_in_compatible_form(self, golden_image, locate_published):
        rows = {keyword: row for keyword, *row in self.compare(golden_image, locate_published, True)}
        assert len(rows) > 40
        for keyword, (value, expected) in rows.items():
            if keyword not in self.NAMING:
                assert value == (expected if isinstance(expected, str) else pytest.approx(expected, rel=5e-3)), keyword

    def test_that_both_widths_agree_in_compatible_form(self, golden_image, locate_published):
        rows = {keyword: row for keyword, *row in self.compare(golden_image, locate_published, True)}
        # Which of the two is called X varies in the reference between runs on equal images of this nearly round source.
        for ending in ("", "E"):
            ours, theirs = zip(rows["STFWHMX" + ending], rows["STFWHMY" + ending], strict=True)
            assert sorted(ours) == pytest.approx(sorted(theirs), rel=5e-3)

    def test_that_all_keys_but_two_conventions_agree_by_default(self, golden_image, locate_published):
        left_out = self.CONVENTION | {"STFWHMXE", "STFWHMYE"}
        for keyword, value, expected in self.compare(golden_image, locate_published, False):
            if keyword not in left_out and not isinstance(expected, str):
                assert value == pytest.approx(expected, rel=5e-3), keyword

    def test_that_the_default_sky_is_the_mean_of_the_ring(self, golden_image, locate_published):
        rows = {keyword: row for keyword, *row in self.compare(golden_image, locate_published, False)}
        value, expected = rows["STAPSKY"]
        assert value == pytest.approx(expected * 400 / 144, rel=5e-3)
