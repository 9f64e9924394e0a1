"""Grism data that cannot be reduced: one clear sentence says why."""

import gzip

import numpy as np
import pytest
from astropy.io import fits
from tests.instruments.forcast.grism_data import SlitData

from sofia_engine.errors import ParameterError, ReferenceDataError, SofiaDeskError
from sofia_engine.instruments.forcast.combine_spectra import combine_spectra
from sofia_engine.instruments.forcast.flux_calibrate import flux_calibrate
from sofia_engine.instruments.forcast.locate_apertures import locate_apertures
from sofia_engine.instruments.forcast.make_profiles import make_spatial_profiles
from sofia_engine.instruments.forcast.set_apertures import set_apertures
from sofia_engine.instruments.forcast.standard_models import choose_model, find_model
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
        (locate_apertures, {"input_position": "a,b"}, "numbers separated by commas"),
        (locate_apertures, {"input_position": "1;2;3"}, "3 lists for 1 files"),
    ],
)
def test_that_positions_are_checked(rectified, drive, step, values, words):
    with pytest.raises(ParameterError, match=words):
        drive(step, rectified, values)


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
