"""Check Headers."""

import numpy as np
import pytest

from sofia_engine.errors import HeaderError, InputError
from sofia_engine.instruments.forcast.check import checkhead


def test_that_a_complete_header_passes_without_a_word(make_raw, drive):
    (loaded,), run = drive(checkhead, (make_raw(),))
    assert run.warnings == []
    assert list(loaded.planes) == ["FLUX", "ERROR"]


def test_that_all_violations_of_all_files_are_said_at_once(make_raw, drive):
    files = (make_raw(DETITIME=None, FILENAME="a_1.fits"), make_raw(DETITIME=None, ZA_START=95.0, FILENAME="a_2.fits"))
    with pytest.raises(HeaderError) as caught:
        drive(checkhead, files)
    lines = str(caught.value).splitlines()
    assert lines[0] == "Invalid headers:"
    assert [line.split() for line in lines[1:3]] == [
        ["DETITIME", "is", "missing", "(a_1.fits,", "a_2.fits)"],
        ["ZA_START", "is", "95.0,", "must", "be", "between", "0", "and", "90", "(a_2.fits)"],
    ]
    assert "checkhead.abort = False" in lines[3]


def test_that_without_abort_violations_are_warnings_and_the_data_are_loaded(make_raw, drive):
    (loaded,), run = drive(checkhead, (make_raw(DETITIME=None),), {"abort": False})
    assert np.isnan(loaded["ERROR"]).all()
    assert len(run.warnings) == 1
    assert "DETITIME  is missing" in run.warnings[0]


def test_that_keywords_of_later_steps_are_missed_early(make_raw, drive):
    _, run = drive(checkhead, (make_raw(DICHROIC=None, CRVAL1=None),))
    assert [line.split()[0] for line in run.warnings[0].splitlines()[1:]] == ["CRVAL1", "DICHROIC"]
    _, grism = drive(checkhead, (make_raw(DICHROIC=None, INSTCFG="GRISM_SWC", SPECTEL1="FOR_G063"),))
    assert grism.warnings == []


@pytest.mark.parametrize("missing", ["DITHERX", "DTHINDEX", "DTHNPOS"])
def test_that_missing_dither_keywords_do_not_stop_the_reduction(make_raw, drive, missing):
    _, run = drive(checkhead, (make_raw(**{missing: None}),))
    assert len(run.warnings) == 1
    assert missing in run.warnings[0]
    _, quiet = drive(checkhead, (make_raw(**{missing: None}, DITHER=False),))
    assert quiet.warnings == []


def test_that_switches_may_be_numbers(make_raw, drive):
    _, run = drive(checkhead, (make_raw(CHOPPING=1, NODDING=0, NODAMP=None, ILOWCAP=1, EPERADU=136.0, OTSTACKS=1.0),))
    assert run.warnings == []


def test_that_chop_keywords_are_not_needed_without_chopping(make_raw, drive):
    cards = {"CHOPPING": False, "CHPAMP1": None, "CHPANGLE": None, "CHPANGLR": None, "CHPCRSYS": None, "CHPNPOS": None}
    _, run = drive(checkhead, (make_raw(**cards, INSTMODE="N", SKYMODE="NOD"),))
    assert run.warnings == []


def test_that_a_file_with_an_invalid_header_is_left_out_and_the_others_go_on(make_raw, drive):
    good, bad = make_raw(FILENAME="a_1.fits"), make_raw(DETITIME=None, ZA_START=95.0, FILENAME="a_2.fits")
    loaded, run = drive(checkhead, (good, bad))
    assert [image.name for image in loaded] == ["a_1.fits"]
    reason = "its header is invalid: DETITIME is missing; ZA_START is 95.0, must be between 0 and 90"
    assert run.skipped == [("a_2.fits", reason)]


def test_that_a_file_without_an_image_is_left_out_and_the_others_go_on(make_raw, drive):
    good, bad = make_raw(FILENAME="a_1.fits"), make_raw(np.ones((1, 4, 256, 256)), FILENAME="a_2.fits")
    loaded, run = drive(checkhead, (bad, good))
    assert [image.name for image in loaded] == ["a_1.fits"]
    assert run.skipped[0][0] == "a_2.fits"
    assert "not an array of shape (1, 4, 256, 256)" in run.skipped[0][1]
    with pytest.raises(InputError, match=r"a_2\.fits"):
        drive(checkhead, (bad,))


@pytest.mark.parametrize("text", ["yesterday", "", "01/09/18", "2018-13-40T00:00:00"])
def test_that_calibration_files_are_not_chosen_by_a_date_that_is_none(make_raw, drive, text):
    with pytest.raises(HeaderError, match=r"DATE-OBS +is '.*', must begin with a day YYYY-MM-DD"):
        drive(checkhead, (make_raw(DATE=text),))


@pytest.mark.parametrize("cards", [{"CTYPE1": None}, {"CTYPE1": None, "CTYPE2": None}])
def test_that_a_missing_projection_is_filled_in_with_a_warning(make_raw, drive, cards):
    (loaded,), run = drive(checkhead, (make_raw(**cards),))
    assert (loaded.header["CTYPE1"], loaded.header["CTYPE2"]) == ("RA---TAN", "DEC--TAN")
    assert "CTYPE1  is missing" in run.warnings[0]


def test_that_files_of_different_targets_are_noticed(make_raw, drive):
    _, run = drive(checkhead, (make_raw(OBJECT="Ceres"), make_raw(OBJECT="Vesta")))
    assert run.warnings == ["The files have different OBJECT (CERES, VESTA), but are reduced together."]


def test_that_data_sampled_up_the_ramp_are_refused_early(make_raw, drive):
    with pytest.raises(HeaderError, match="sampled up the ramp cannot be reduced"):
        drive(checkhead, (make_raw(OTMODE="SUR"),))


def test_that_the_shape_of_the_image_counts_not_the_keyword(make_raw, drive):
    with pytest.raises(HeaderError, match="NAXIS1"):
        drive(checkhead, (make_raw(np.ones((4, 256, 128)), NAXIS1=256, NAXIS2=256),))


def test_that_single_nod_beams_come_out_as_pairs(make_raw, drive):
    counts = np.full((2, 256, 256), 5000.0, dtype=np.float32)
    files = tuple(
        make_raw(counts, INSTMODE="C2", SKYMODE="C2NC2", C2NC2=1, DTHINDEX=index, FILENAME=f"rw_{index}.fits")
        for index in (1, 2, 3)
    )
    pairs, _ = drive(checkhead, files)
    assert [pair.plane("FLUX").shape for pair in pairs] == [(4, 256, 256)] * 2


def test_that_loaded_products_pass_unchanged(make_raw, drive):
    first, _ = drive(checkhead, (make_raw(),))
    second, _ = drive(checkhead, first)
    assert second[0] is first[0]


def test_that_the_input_is_not_changed(make_raw, drive):
    raw = make_raw()
    before = raw["PRIMARY"].copy()
    drive(checkhead, (raw,))
    np.testing.assert_array_equal(raw["PRIMARY"], before)
    assert "ASSC_AOR" not in raw.header


@pytest.mark.parametrize(
    ("planes", "cards", "said"),
    [
        (5, {}, "is 5, NMC needs a multiple of 4: the last 1 will not be used"),
        (3, {}, "is 3, NMC needs a multiple of 4: too few to be subtracted"),
        (8, {"OTSTACKS": 2}, ""),
        (6, {"OTSTACKS": 2}, "is 6, NMC needs a multiple of 8: too few to be subtracted"),
        (5, {"INSTMODE": "STARE", "SKYMODE": "STARE", "CHOPPING": False, "NODDING": False}, ""),
    ],
)
def test_that_planes_without_partner_are_noticed(make_raw, drive, planes, cards, said):
    _, run = drive(checkhead, (make_raw(np.full((planes, 256, 256), 5000.0, np.float32), **cards),))
    lines = [line for warning in run.warnings for line in warning.splitlines() if "NAXIS3" in line]
    assert len(lines) == bool(said)
    assert said in " ".join(lines)
