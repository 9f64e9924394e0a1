"""What the calibration tables say: hand-written ones, damaged ones, and the published ones."""

from dataclasses import replace

import pytest

from sofia_engine.errors import ReferenceDataError
from sofia_engine.photometry.calibration import load_calibration
from sofia_engine.photometry.configuration import determine_setup
from sofia_engine.photometry.tables import parse_model_uncertainty


def test_that_all_tables_are_read(calibration):
    definition = calibration.filter
    assert (definition.mean_wavelength, definition.pivot_wavelength, definition.color_correction) == (20.0, 19.0, 1.25)
    assert (definition.aperture_radius, definition.sky_radii) == (12.0, (15.0, 25.0))
    assert (definition.fwhm, definition.fit_size, definition.source) == (5.0, 138, "forcast/filter_definition.txt")
    assert (calibration.factor.value, calibration.factor.error) == (0.8, 0.02)
    assert calibration.factor.source == "forcast/flux_calibration.txt"
    assert (calibration.average_factor.value, calibration.average_factor.error) == (0.7, 0.1)
    assert calibration.airmass.coefficients == (1.0, -0.1)
    assert calibration.altitude.coefficients == (1.0, 0.02, 0.001)
    assert (calibration.altitude.reference, calibration.altitude.limits) == (41.0, (35.0, 45.0))
    assert (calibration.pwv.reference, calibration.pwv.limits) == (7.3, (1.8, 182.1))
    assert (calibration.pwv.za_reference, calibration.pwv.za_limits) == (45.0, (30.0, 70.0))
    assert calibration.standard.flux == pytest.approx(220.0)
    assert calibration.standard.error == pytest.approx(11.0)
    assert calibration.warnings == ()


def test_that_the_configuration_chooses_the_row(setup, locate):
    calibration = load_calibration(replace(setup, altcfg1="1"), locate)
    assert calibration.filter.mean_wavelength == 30.0
    assert calibration.factor.value == 0.5
    assert calibration.average_factor.value == 0.7
    assert calibration.standard.flux == pytest.approx(165.0)


def test_that_all_pieces_may_be_missing(setup):
    calibration = load_calibration(setup, lambda _: None)
    pieces = (calibration.filter, calibration.factor, calibration.average_factor, calibration.standard)
    assert pieces == (None,) * 4
    assert (calibration.airmass, calibration.altitude, calibration.pwv) == (None,) * 3


def test_that_a_filter_without_rows_has_no_calibration(setup, locate):
    calibration = load_calibration(replace(setup, spectel="FOR_F999"), locate)
    assert calibration == type(calibration)(calibration.setup)


@pytest.mark.parametrize("kind", ["filter_definition", "flux_calibration", "response_altitude", "standard_flux"])
def test_that_one_missing_file_leaves_the_other_pieces(setup, locate, tmp_path, kind):
    (tmp_path / f"{kind}.txt").unlink()
    calibration = load_calibration(setup, locate)
    assert calibration.average_factor.value == 0.7
    assert (calibration.factor is None) == (kind == "flux_calibration")
    assert (calibration.altitude is None) == (kind == "response_altitude")


def test_that_a_model_without_the_filter_gives_a_warning(setup, locate, tmp_path):
    (tmp_path / "standard_flux.txt").write_text("1\n2\n3\n4\n5\n6\n" + "1 25.0" + " 0" * 8 + " 200.0\n")
    calibration = load_calibration(setup, locate)
    assert calibration.standard is None
    assert "no flux at 20 um" in calibration.warnings[0]


def test_that_a_model_of_unknown_uncertainty_gives_a_warning(setup, locate, tmp_path):
    (tmp_path / "standard_flux_error.txt").write_text("CERES 20 1.0\n")
    calibration = load_calibration(setup, locate)
    assert (calibration.standard.flux, calibration.standard.error) == (200.0, 0.0)
    assert "uncertainty" in calibration.warnings[0]


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("filter_definition", "FOR_F197 0 20.0 19.0\n", "too few columns"),
        ("filter_definition", "FOR_F197 0 a b c d e f g h\n", "cannot be read"),
        ("flux_calibration", "FOR_F197 0 0.0 0.1\n", "not positive"),
        ("response_airmass", "19.7 FOR_F197 100.0\n", "too few columns"),
        ("response_airmass", "19.7 FOR_F197 100.0 one\n", "cannot be read"),
        ("response_altitude", "19.7 FOR_F197 100.0 1.0\n", "ALTMIN"),
        ("standard_flux", "\n" * 6 + "1 20.0" + " 0" * 8 + " nan\n", "bad standard flux value"),
    ],
)
def test_that_damaged_tables_are_named(setup, locate, tmp_path, kind, text, message):
    (tmp_path / f"{kind}.txt").write_text(text)
    with pytest.raises(ReferenceDataError, match=f"forcast/{kind}.txt.*{message}"):
        load_calibration(setup, locate)


def test_that_a_file_that_cannot_be_read_is_named(setup, locate, tmp_path):
    (tmp_path / "flux_calibration.txt").unlink()
    (tmp_path / "flux_calibration.txt").mkdir()
    with pytest.raises(ReferenceDataError, match="flux_calibration"):
        load_calibration(setup, locate)


def test_that_an_equal_name_wins_over_one_that_is_contained():
    table = "EUROPA 20 1.0\nEUROPAMOON 10 1.0\n"
    assert parse_model_uncertainty(table, "EUROPAMOON").percent == 10.0
    assert parse_model_uncertainty(table, "EUROPAX").percent == 20.0
    assert parse_model_uncertainty(table, "IO") is None


SINGLE = {"F056": 5.60961, "F111": 11.0888, "F197": 19.6993, "F253": 25.2414, "F315": 31.3971, "F371": 37.1236}


@pytest.mark.parametrize(("name", "wavelength"), SINGLE.items())
def test_that_published_filters_have_their_wavelengths(header, locate_published, name, wavelength):
    setup = determine_setup(header | {"SPECTEL1": f"FOR_{name}"})
    assert load_calibration(setup, locate_published).filter.mean_wavelength == wavelength


def test_that_the_published_calibration_of_alpha_boo_is_found(header, locate_published):
    calibration = load_calibration(determine_setup(header), locate_published)
    assert (calibration.factor.value, calibration.factor.error) == (0.827633, 0.0159)
    assert calibration.factor.source == "forcast/ref_calfctr/refcalfac_20180910.txt"
    assert (calibration.average_factor.value, calibration.average_factor.error) == (0.669249, 0.086337)
    assert (calibration.standard.flux, calibration.standard.percent) == (197.329, 5.0)
    assert calibration.standard.source == "forcast/standard_flux/AlphaBoo_41K_45deg_e18_bG1.0_single_full.out"


@pytest.mark.parametrize(
    ("cards", "flux_known"),
    [
        ({"INSTRUME": "FLITECAM", "SPECTEL1": "FLT_J", "OBJECT": "SA 92-336", "MISSN-ID": "X_FC_F1"}, True),
        ({"INSTRUME": "HAWC_PLUS", "SPECTEL1": "HAW_D", "OBJECT": "Ceres", "DATE-OBS": "2016-12-01T1"}, True),
        ({"INSTRUME": "HAWC_PLUS", "SPECTEL1": "HAW_D", "OBJECT": "Orion", "DATE-OBS": "2016-12-01T1"}, False),
    ],
)
def test_that_published_tables_of_all_instruments_are_read(header, locate_published, cards, flux_known):
    calibration = load_calibration(determine_setup(header | cards), locate_published)
    assert None not in (calibration.filter, calibration.airmass, calibration.altitude, calibration.pwv)
    assert calibration.factor.value > 0
    assert (calibration.standard is not None) == flux_known
