"""Stack Chops/Nods."""

import numpy as np
import pytest

from sofia_engine.errors import HeaderError, InputError, StepError
from sofia_engine.instruments.forcast.stack import StackParameters, measure_background, stack

TO_MEGA = 1e-6 * 24.0 * 136
PLAIN = {"jbclean": False, "bgsub": False}


@pytest.fixture
def make_chopped(make_loaded):
    """Make planes with a source of 100 ct in the first, upon a sloping background."""

    def make(planes=4, **cards):
        flux = np.full((planes, 256, 256), 5000.0) + np.arange(256)
        flux[0, 128, 128] += 100
        return make_loaded(flux, 2.0, **cards)

    return make


def test_that_the_source_is_positive_and_in_electrons(make_chopped, drive):
    stacked, _ = drive(stack, make_chopped(), PLAIN)
    expected = np.zeros((256, 256))
    expected[128, 128] = 100 * TO_MEGA
    np.testing.assert_allclose(stacked["FLUX"], expected, atol=1e-12)
    np.testing.assert_allclose(stacked["ERROR"], np.sqrt(4 * 2.0**2) * TO_MEGA, rtol=1e-12)
    assert [plane.unit for plane in stacked.planes.values()] == ["Me/s", "Me/s"]


@pytest.mark.parametrize(
    ("cards", "planes", "sign"),
    [
        ({}, 4, 1),
        ({"NODBEAM": "B"}, 4, -1),
        ({"DATE": "2013-07-01"}, 4, -1),
        ({"DATE": "2013-07-01", "NODBEAM": "B"}, 4, 1),
        ({"INSTMODE": "C2NC2", "SKYMODE": "C2NC2", "NODBEAM": "B"}, 2, 1),
        ({"INSTMODE": "C2", "SKYMODE": "NONE", "DATE": "2013-07-01"}, 2, -1),
        ({"INSTMODE": "CM", "SKYMODE": "CM"}, 5, 1),
        ({"INSTMODE": "N", "SKYMODE": "NOD"}, 2, 1),
        ({"INSTMODE": "N", "SKYMODE": "NOD", "NODBEAM": "B"}, 2, -1),
        ({"INSTMODE": "N", "SKYMODE": "NOD", "DATE": "2013-07-01"}, 2, 1),
    ],
)
def test_that_nod_beam_and_chop_convention_give_the_sign(make_chopped, drive, cards, planes, sign):
    stacked, _ = drive(stack, make_chopped(planes, **cards), PLAIN)
    row = stacked["FLUX"][128]
    assert row[128] - (row[127] + row[129]) / 2 == pytest.approx(sign * 100 * TO_MEGA)


@pytest.mark.parametrize(
    ("cards", "planes", "exposures"),
    [
        ({"SKYMODE": "NMC"}, 4, 2),
        ({"SKYMODE": "NPC", "NODANGLR": 60.0}, 4, 1),
        ({"INSTMODE": "C2NC2", "SKYMODE": "C2NC2"}, 4, 1),
        ({"INSTMODE": "SLITSCAN", "SKYMODE": "SLITSCAN_NMC"}, 4, 2),
        ({"INSTMODE": "STARE", "SKYMODE": "STARE"}, 1, 1),
    ],
)
def test_that_exposures_and_time_follow_from_the_mode(make_chopped, drive, cards, planes, exposures):
    header = drive(stack, make_chopped(planes, **cards), PLAIN)[0].header
    assert (header["NEXP"], header["EXPTIME"]) == (exposures, exposures * 20.0)


def test_that_adding_frames_is_staring(make_chopped, drive):
    stacked, _ = drive(stack, make_chopped(), {"add_frames": True, "jbclean": False, "bgscale": True})
    np.testing.assert_allclose(stacked["FLUX"][0], (5000 + np.arange(256)) * TO_MEGA, rtol=1e-12)
    header = stacked.header
    assert (header["INSTMODE"], header["SKYMODE"], header["BGSUB"], header["BGSCALE"]) == (
        "STARE",
        "STARE",
        False,
        False,
    )


def test_that_the_residual_background_is_subtracted(make_chopped, drive):
    chopped = make_chopped()
    flux = chopped["FLUX"].copy()
    flux[0] += 7
    stacked, run = drive(stack, chopped.replace(FLUX=flux), {"jbclean": False})
    assert np.median(stacked["FLUX"]) == pytest.approx(0, abs=1e-12)
    assert stacked["FLUX"][128, 128] == pytest.approx(100 * TO_MEGA)
    assert stacked.header["BGSUB"] is True
    assert run.quality["subtracted_background"] == pytest.approx(7 * TO_MEGA)


def test_that_the_statistic_can_be_the_most_frequent_value():
    image = np.array([[1.0, 1.0, 5.0], [7.0, 9.0, np.nan], [1.0, 8.0, 9.0]])
    section = {"center": "1,1", "size": "4,4"}
    assert measure_background(image, StackParameters(statistic="mode", **section)) == 1.0
    assert measure_background(image, StackParameters(statistic="median", **section)) == 6.0
    assert np.isnan(measure_background(image, StackParameters(center="200,200", size="4,4")))


def test_that_an_empty_section_is_a_warning(make_chopped, drive):
    stacked, run = drive(stack, make_chopped(), {"jbclean": False, "secctr": "500,500"})
    assert "holds no valid pixels" in run.warnings[0]
    assert np.isfinite(stacked["FLUX"]).all()


def test_that_scaling_removes_a_background_that_varies_between_planes(make_loaded, drive):
    flux = np.full((4, 256, 256), 5000.0) * np.array([1.0, 1.1, 0.9, 1.05])[:, np.newaxis, np.newaxis]
    stacked, _ = drive(stack, make_loaded(flux), PLAIN | {"bgscale": True})
    np.testing.assert_allclose(stacked["FLUX"], 0, atol=1e-9)
    assert stacked.header["BGSCALE"] is True


def test_that_readout_stripes_are_removed_also_beside_bad_pixels(make_loaded, drive):
    rng = np.random.default_rng(4)
    flux = rng.normal(5000, 0.5, (4, 256, 256))
    flux[:, rng.random((256, 256)) < 0.02] = np.nan
    stripes = np.tile(rng.normal(0, 30, 16), 16)
    striped = flux.copy()
    striped[0] += stripes
    clean, dirty = (drive(stack, make_loaded(data), {"bgsub": False})[0]["FLUX"] for data in (flux, striped))
    remaining = (dirty - clean) / TO_MEGA - np.nanmean((dirty - clean) / TO_MEGA, axis=-1, keepdims=True)
    assert np.nanstd(remaining) < 1.0
    assert (np.isnan(dirty) == np.isnan(flux[0])).all()


def test_that_repeats_are_summed_before_they_are_stacked(make_chopped, drive):
    stacked, run = drive(stack, make_chopped(9, OTSTACKS=2), PLAIN)
    assert stacked["FLUX"][128, 128] == pytest.approx(100 * TO_MEGA)
    np.testing.assert_allclose(stacked["ERROR"], np.sqrt(8 * 4.0) * TO_MEGA)
    assert "no multiple of OTSTACKS" in run.warnings[0]


@pytest.mark.parametrize(
    ("cards", "error", "message"),
    [
        ({"OTSTACKS": None}, HeaderError, "OTSTACKS is None"),
        ({"OTSTACKS": 0}, HeaderError, "OTSTACKS is 0"),
        ({"OTMODE": "SUR"}, HeaderError, "OTMODE is SUR"),
        ({"OTMODE": None}, HeaderError, "OTMODE is missing"),
        ({"INSTMODE": "LINEAR", "SKYMODE": "NONE"}, StepError, "mode LINEAR cannot be stacked"),
        ({"INSTMODE": None, "SKYMODE": None}, StepError, "mode (none) cannot be stacked"),
    ],
)
def test_that_data_that_cannot_be_stacked_are_refused_in_one_sentence(make_chopped, drive, cards, error, message):
    with pytest.raises(error) as caught:
        drive(stack, make_chopped(**cards))
    assert message in str(caught.value)
    assert str(caught.value).startswith("rw_0001.fits: ")


def test_that_too_few_planes_are_refused(make_chopped, drive):
    with pytest.raises(InputError, match="3 planes are too few for map: 4 are needed"):
        drive(stack, make_chopped(3))


def test_that_planes_without_a_common_valid_pixel_are_refused(make_chopped, drive):
    image = make_chopped()
    flux = image["FLUX"].copy()
    flux[1] = np.nan
    with pytest.raises(InputError, match="no pixel has a valid value in all planes"):
        drive(stack, image.replace(FLUX=flux))


def test_that_an_image_is_refused(make_loaded, drive):
    with pytest.raises(InputError, match="must be a stack of images"):
        drive(stack, make_loaded(np.ones((256, 256))))


def test_that_without_rate_or_gain_the_image_stays_in_counts(make_chopped, drive):
    stacked, run = drive(stack, make_chopped(FRMRATE=None), PLAIN)
    assert stacked["FLUX"][128, 128] == pytest.approx(100)
    assert stacked.plane("FLUX").unit == "ct"
    assert "stays in counts" in run.warnings[0]


@pytest.mark.parametrize("cards", [{"FRMRATE": -9999.0}, {"FRMRATE": 0.0}, {"EPERADU": -9999}])
def test_that_a_rate_or_gain_that_cannot_be_leaves_the_image_in_counts(make_chopped, drive, cards):
    stacked, run = drive(stack, make_chopped(**cards), PLAIN)
    assert stacked.plane("FLUX").unit == "ct"
    assert "not positive" in run.warnings[0]


def test_that_without_integration_time_the_exposure_time_is_zero(make_chopped, drive):
    stacked, run = drive(stack, make_chopped(DETITIME=None), PLAIN)
    assert stacked.header["EXPTIME"] == 0.0
    assert "DETITIME is missing" in run.warnings[0]


def test_that_the_input_is_not_changed_and_the_result_repeats(make_chopped, drive):
    chopped = make_chopped()
    before = chopped["FLUX"].copy()
    first, second = (drive(stack, chopped)[0] for _ in range(2))
    np.testing.assert_array_equal(chopped["FLUX"], before)
    assert first.same(second)
