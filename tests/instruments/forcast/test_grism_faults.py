"""Grism data that cannot be reduced: one clear sentence says why."""

import gzip

import numpy as np
import pytest
from astropy.io import fits
from tests.instruments.forcast.grism_data import SlitData

from sofia_engine.errors import ParameterError, ReferenceDataError, SofiaDeskError, StepError
from sofia_engine.instruments.forcast.combine_spectra import combine_spectra
from sofia_engine.instruments.forcast.extract_spectra import extract
from sofia_engine.instruments.forcast.flux_calibrate import flux_calibrate
from sofia_engine.instruments.forcast.locate_apertures import locate_apertures
from sofia_engine.instruments.forcast.make_profiles import make_spatial_profiles
from sofia_engine.instruments.forcast.make_response import make_response
from sofia_engine.instruments.forcast.set_apertures import set_apertures
from sofia_engine.instruments.forcast.stack_dithers import stack_dithers
from sofia_engine.instruments.forcast.standard_models import choose_model, find_model
from sofia_engine.instruments.forcast.trace_continuum import trace_continuum
from sofia_engine.pipeline.reduction import Reduction


@pytest.fixture
def rectified(reference_store, make_header, drive):
    """A rectified image of one source."""
    stacked = SlitData(reference_store).stacked(make_header(), [(97.0, 1.0)])
    return drive(make_spatial_profiles, stacked, store=reference_store)[0]


@pytest.fixture
def merged(tmp_path, reference_store, make_header):
    """A merged spectrum with some keywords changed."""
    opened = []

    def make(**cards):
        folder = tmp_path / f"merged{len(opened)}"
        folder.mkdir()
        path = SlitData(reference_store).write(folder, make_header(), [(97.0, 1.0)], **cards)
        reduction = Reduction.open([path], session=folder / "session", references=reference_store)
        opened.append(reduction)
        reduction.run_to("merge_apertures")
        return reduction.products[0]

    yield make
    for reduction in opened:
        reduction.close()


def test_that_a_slit_without_order_mask_is_named(reference_store, make_header, drive):
    stacked = SlitData(reference_store).stacked(make_header(), [(97.0, 1.0)])
    wrong = stacked.with_cards(("SLIT", "FOR_SS24", ""))
    with pytest.raises(ReferenceDataError, match=r"Missing order mask.*FOR_G063.*FOR_SS24.*correct SLIT"):
        drive(make_spatial_profiles, wrong, store=reference_store)


def test_that_a_response_that_was_never_published_is_named(merged, reference_store, drive):
    """G111 has no response from September 2018 to April 2021."""
    product = merged().with_cards(("DATE-OBS", "2019-05-01T00:00:00", ""), ("SPECTEL1", "FOR_G111", ""))
    with pytest.raises(ReferenceDataError, match=r"Missing response file; cannot calibrate spectra.*respfile"):
        drive(flux_calibrate, product, store=reference_store)


def test_that_a_standard_without_response_goes_on_with_one(merged, reference_store, drive):
    product = merged().with_cards(("DATE-OBS", "2019-05-01T00:00:00", ""), ("SPECTEL1", "FOR_G111", ""))
    made, run = drive(flux_calibrate, product, {"making_response": True}, store=reference_store)
    assert any("the response is taken to be 1" in warning for warning in run.warnings)
    assert np.nanmin(made["RESPONSE"]) == np.nanmax(made["RESPONSE"]) == 1
    assert made.plane("SPECTRAL_FLUX").unit == "Me/s"
    assert run.kind == ("", "", "")


def test_that_no_response_is_made_of_a_spectrum_without_calibration(merged, reference_store, drive):
    left, _ = drive(flux_calibrate, merged(), {"skip_cal": True}, store=reference_store)
    with pytest.raises(StepError, match=r"FORG063.*switch flux_calibrate\.skip_cal off"):
        drive(make_response, left, store=reference_store)


def test_that_a_bad_response_file_is_named(tmp_path, merged, reference_store, drive):
    path = tmp_path / "response.fits"
    fits.PrimaryHDU(np.zeros(7)).writeto(path)
    with pytest.raises(ReferenceDataError, match="Bad response file"):
        drive(flux_calibrate, merged(), {"respfile": str(path)}, store=reference_store)


def test_that_a_response_for_another_bias_is_warned_of(merged, reference_store, drive):
    _, run = drive(flux_calibrate, merged(DETBIAS=1.2), store=reference_store)
    assert any("DETBIAS" in warning for warning in run.warnings)


def test_that_a_missing_resolution_is_asked_for(merged, reference_store, drive):
    product = merged().with_cards(("SLIT", "FOR_SS24", ""))
    respfile = "grism/response/v9.0.0/G063_LS24_DB175_RSP.fits"
    with pytest.raises(SofiaDeskError, match=r"Missing spectral resolution.*flux_calibrate.resolution"):
        drive(flux_calibrate, product, {"respfile": respfile}, store=reference_store)


def test_that_missing_pointing_costs_two_keywords_and_a_warning(merged, reference_store, drive):
    product = merged()
    header = product.header.copy()
    del header["TELRA"]
    made, run = drive(flux_calibrate, product.replace(header=header), store=reference_store)
    assert any("TELRA" in warning for warning in run.warnings)
    assert "BARYSHFT" not in made.header
    assert made.header["RP"] == 180.0


def test_that_an_atmosphere_far_from_the_observation_is_warned_of(merged, reference_store, drive):
    _, run = drive(flux_calibrate, merged(ZA_START=65.0, ZA_END=65.0), store=reference_store)
    assert any("the nearest model of the atmosphere is for 40 kft and 45 deg" in warning for warning in run.warnings)


def test_that_a_slit_correction_of_another_shape_is_refused_with_both(tmp_path, reference_store, make_header, drive):
    path = tmp_path / "slit.fits"
    fits.PrimaryHDU(np.ones((3, 4))).writeto(path)
    stacked = SlitData(reference_store).stacked(make_header(), [(97.0, 1.0)])
    with pytest.raises(SofiaDeskError, match=r"\(3, 4\).*\(249, 251\)"):
        drive(make_spatial_profiles, stacked, {"slitfile": str(path)}, store=reference_store)


@pytest.mark.parametrize(
    ("step", "values", "words"),
    [
        (locate_apertures, {"method": "fix to input"}, "input_position is empty"),
        (locate_apertures, {"input_position": "1;2;3"}, "3 lists for 1 files"),
    ],
)
def test_that_positions_are_checked(rectified, drive, step, values, words):
    with pytest.raises(ParameterError, match=words):
        drive(step, rectified, values)


@pytest.mark.parametrize(
    ("step", "key", "text", "words"),
    [
        ("locate_apertures", "input_position", "a,b", "numbers separated by commas"),
        ("locate_apertures", "input_position", "nan", "numbers separated by commas"),
        ("locate_apertures", "input_position", "97,97", "two apertures at the same place are one"),
        ("set_apertures", "aprad", "-1", "numbers above 0"),
        ("set_apertures", "aprad", "3;0", "numbers above 0"),
        ("set_apertures", "psfrad", "inf", "numbers above 0"),
        ("set_apertures", "apsign", "0", "1 or -1"),
        ("set_apertures", "apsign", "1,2", "1 or -1"),
        ("set_apertures", "bgr", "nan-5", "start-stop pairs"),
        ("set_apertures", "bgr", "10-5", "start-stop pairs"),
    ],
)
def test_that_nonsense_is_refused_when_it_is_set(tmp_path, make_header, reference_store, step, key, text, words):
    path = SlitData(reference_store).write(tmp_path, make_header(), [(97.0, 1.0)])
    with (
        Reduction.open([path], session=tmp_path / "session", references=reference_store) as reduction,
        pytest.raises(ParameterError, match=f"{step}.{key} = .* is not allowed: it must be .*{words}"),
    ):
        reduction.set(step, **{key: text})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"method": "fix to input", "input_position": "300"}, "300 lies outside the slit.*reaches from 4.5 to 195"),
        ({"method": "auto", "input_position": "-5"}, "-5 lies outside the slit"),
        ({"num_aps": 1000}, "num_aps = 1000 is too many for a slit of 249 rows; give 49 or less"),
    ],
)
def test_that_positions_must_lie_in_the_slit(rectified, drive, values, words):
    with pytest.raises(ParameterError, match=words):
        drive(locate_apertures, rectified, values)


@pytest.fixture
def reduce_source(tmp_path, reference_store, make_header):
    """Reduce images of sources, with parameters by step, up to a step."""
    opened = []

    def make(to, sources=((97.0, 1.0),), **settings):
        path = SlitData(reference_store).write(tmp_path, make_header(), sources)
        reduction = Reduction.open([path], session=tmp_path / "session", references=reference_store)
        opened.append(reduction)
        for step, values in settings.items():
            reduction.set(step, **values)
        reduction.run_to(to)
        return reduction.products[0]

    yield make
    for reduction in opened:
        reduction.close()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"set_apertures": {"apsign": "-1"}}, r"aperture 1 at 9\d.* no usable pixel where the profile has the sign -1"),
        ({"set_apertures": {"aprad": "0.0001"}}, "radius of 0 holds no usable pixel"),
        ({"set_apertures": {"bgr": "500-600"}}, "500-600 .*lies outside the slit"),
        ({"make_profiles": {"simwavecal": True}}, "wavelengths are pixel numbers.*simwavecal"),
        ({"flux_calibrate": {"resolution": 1e6}}, "sampled too coarsely for a resolution of 1e.06"),
        ({"flux_calibrate": {"resolution": 0.01}}, "0.01 is no resolving power; give 1 or more"),
    ],
)
def test_that_what_cannot_be_done_is_said_in_one_sentence(reduce_source, settings, words):
    with pytest.raises(SofiaDeskError, match=words) as caught:
        reduce_source("flux_calibrate", **settings)
    assert "nobody foresaw" not in str(caught.value)


def test_that_the_full_slit_takes_the_place_of_several_apertures(reduce_source):
    """Cards of two positions beside one sign could not be read by the next step."""
    located = {"method": "fix to input", "input_position": "60,130"}
    settings = {"locate_apertures": located, "set_apertures": {"full_slit": True}}
    product = reduce_source("flux_calibrate", [(60.0, 1.0), (130.0, 0.5)], **settings)
    assert [product.header[f"{key}01"].count(",") for key in ("APPOSO", "APSGNO", "APFWHM", "APRADO")] == [0] * 4
    assert product["SPECTRAL_FLUX"].shape == product["WAVEPOS"].shape


def test_that_sums_of_images_are_warned_of(reference_store, make_header, drive):
    images = [SlitData(reference_store).stacked(make_header(), [(97.0, 1.0)])] * 2
    (summed,), run = drive(stack_dithers, images, {"skip_stack": False, "method": "sum", "weighted": False})
    assert np.nanmax(summed["FLUX"]) == pytest.approx(2 * np.nanmax(images[0]["FLUX"]))
    assert any("2 images are summed, not averaged" in warning for warning in run.warnings)


def test_that_nothing_left_by_rejection_is_no_result(reference_store, make_header, drive):
    images = [SlitData(reference_store).stacked(make_header(), [(97.0, 1.0)], DTHINDEX=number) for number in (1, 2)]
    settings = {"skip_stack": False, "ignore_dither": True, "threshold": 1e-9}
    with pytest.raises(StepError, match=r"all values were rejected as outliers; raise stack_dithers.threshold"):
        drive(stack_dithers, images, settings)


def test_that_plain_sums_without_bad_pixels_are_warned_of(rectified, reference_store, drive):
    """A bad pixel on the source took 17 per cent of the light of its column, in silence."""
    bad = rectified["BADMASK"].copy()
    row = int(np.argmin(np.abs(rectified["SLITPOS"] - 97.0)))
    bad[row, 100:110] = 1
    holed = rectified.replace(BADMASK=bad, FLUX=np.where(bad > 0, np.nan, rectified["FLUX"]))
    located, _ = drive(locate_apertures, holed)
    traced, _ = drive(trace_continuum, located)
    sized, _ = drive(set_apertures, traced)
    for fix_bad in (False, True):
        _, run = drive(extract, sized, {"method": "standard", "fix_bad": fix_bad}, store=reference_store)
        warned = [warning for warning in run.warnings if "in 10 columns" in warning]
        assert bool(warned) is not fix_bad


def test_that_a_profile_that_is_not_that_of_the_source_is_warned_of(rectified, reference_store, drive):
    located, _ = drive(locate_apertures, rectified)
    traced, _ = drive(trace_continuum, located)
    sized, _ = drive(set_apertures, traced)
    _, good = drive(extract, sized, store=reference_store)
    moved = sized.replace(SPATIAL_MAP=np.roll(sized["SPATIAL_MAP"], 1, axis=0))
    _, run = drive(extract, moved, store=reference_store)
    assert not any("deviate from the spatial profile" in warning for warning in good.warnings)
    assert any("deviate from the spatial profile" in warning for warning in run.warnings)
    assert good.quality["outliers"] < 0.01 < 0.1 < run.quality["outliers"]


def test_that_a_step_names_the_planes_it_lacks(rectified, drive):
    with pytest.raises(SofiaDeskError, match="APERTURE_TRACE missing"):
        drive(set_apertures, rectified)


def test_that_a_header_without_apertures_is_explained(rectified, drive):
    traced = rectified.replace(APERTURE_TRACE=np.full((1, 251), 97.0))
    with pytest.raises(SofiaDeskError, match=r"APPOSO01 is ''.*run Locate Apertures again"):
        drive(set_apertures, traced)


def test_that_spectra_of_other_wavelengths_are_not_combined(merged, reference_store, drive):
    product, _ = drive(flux_calibrate, merged(), store=reference_store)
    other = product.replace(WAVEPOS=product["WAVEPOS"] + 0.1)
    with pytest.raises(SofiaDeskError, match="Mismatched wavelengths"):
        drive(combine_spectra, (product, other))


def test_that_the_model_of_a_standard_is_found_by_name_and_date(tmp_path, make_header):
    names = ["alphaboo_model.fits", "ceres_2021070100_model.fits", "ceres_20200101.fits", "README.txt"]
    for name in names:
        (tmp_path / name).touch()
    assert choose_model(names, make_header(OBJECT="Alpha Boo")) == "alphaboo_model.fits"
    ceres = make_header(OBJECT="1 Ceres JPL", DATE="2021-07-05T00:00:00")
    assert find_model(ceres, str(tmp_path)).name == "ceres_2021070100_model.fits"
    with pytest.raises(ReferenceDataError, match="holds no model of the standard Vega"):
        find_model(make_header(OBJECT="Vega"), str(tmp_path))
    with pytest.raises(ReferenceDataError, match="does not exist"):
        find_model(make_header(OBJECT="Vega"), str(tmp_path / "nothing"))


def test_that_raw_files_with_a_wrong_slit_fail_with_one_sentence(tmp_path, golden, reference_store):
    source = next((golden / "forcast_gri_g063/raw").glob("*RAW_0001.fits.gz"))
    path = tmp_path / "F0501_FO_GRI_90000101_FORG063_RAW_0001.fits"
    path.write_bytes(gzip.decompress(source.read_bytes()))
    fits.setval(path, "SLIT", value="FOR_SS24")
    with Reduction.open([path], session=tmp_path / "session", references=reference_store) as reduction:
        reduction.set("checkhead", abort=False)
        with pytest.raises(SofiaDeskError) as caught:
            reduction.reduce()
    assert "Missing order mask" in str(caught.value)
    assert "\n" not in str(caught.value)
