"""Wavelengths, positions, flats, response and shifts against the numbers published with the specification."""

import numpy as np
import pytest

from sofia_engine.errors import HeaderError, ReferenceDataError, StepError
from sofia_engine.instruments.fifi_ls.apply_static_flat import apply_static_flat, divide_by_flat
from sofia_engine.instruments.fifi_ls.correct_wave_shift import correct_wave_shift
from sofia_engine.instruments.fifi_ls.flats import Flat, SpectralFlat, interpolate_flat
from sofia_engine.instruments.fifi_ls.flux_calibrate import flux_calibrate
from sofia_engine.instruments.fifi_ls.gratings import make_plane, make_product
from sofia_engine.instruments.fifi_ls.lambda_calibrate import lambda_calibrate
from sofia_engine.instruments.fifi_ls.positions import FieldGeometry, compute_offsets, to_sky
from sofia_engine.instruments.fifi_ls.response import Response, read_response
from sofia_engine.instruments.fifi_ls.spatial_calibrate import spatial_calibrate
from sofia_engine.instruments.fifi_ls.tables import (
    read_bad_pixels,
    read_delta_vector,
    read_resolution,
    read_spatial_flat,
    read_spaxel_positions,
    read_wavelength_coefficients,
)
from sofia_engine.instruments.fifi_ls.wavelengths import Wavelengths, compute_bandwidth, compute_wavelengths
from sofia_engine.reference import ReferenceRequest

SPEED = 2.99792458e14  # um/s
PUBLISHED_WAVELENGTHS = [
    ("RED", 1, "R105", 20220310, 822226, (157.37660791, 157.71580083, 158.12379255), 0.0503985087),
    ("BLUE", 1, "B1", 20220310, 430781, (88.06729986, 88.33554364, 88.69602611), 0.0404060763),
    ("BLUE", 2, "B2", 20220310, 900000, (55.58361197, 55.70316511, 55.85243934), 0.0176328436),
]


def table(store, kind, date=20220310, **match):
    return store.get(ReferenceRequest("FIFI-LS", kind, date, match))


@pytest.mark.parametrize(("channel", "order", "setup", "date", "position", "expected", "width"), PUBLISHED_WAVELENGTHS)
def test_that_wavelengths_are_the_published_ones(fifi_store, channel, order, setup, date, position, expected, width):
    coefficients = read_wavelength_coefficients(table(fifi_store, "wavelength_coefficients"), date, setup)
    made = compute_wavelengths(coefficients, position, channel, order)
    assert [made.wavelength[p] for p in ((0, 0), (7, 12), (15, 24))] == pytest.approx(expected, abs=1e-8)
    assert made.width[7, 12] == pytest.approx(width, abs=1e-10)


def test_that_another_dichroic_and_date_have_other_wavelengths(fifi_store):
    coefficients = read_wavelength_coefficients(table(fifi_store, "wavelength_coefficients"), 20170301, "R130")
    made = compute_wavelengths(coefficients, 1000000, "RED", 1)
    assert made.wavelength[7, 12] == pytest.approx(168.86510852, abs=1e-8)
    assert made.width[7, 12] == pytest.approx(0.0472242582, abs=1e-10)


def test_that_widths_are_the_distances_of_neighbouring_wavelengths(fifi_store):
    coefficients = read_wavelength_coefficients(table(fifi_store, "wavelength_coefficients"), 20220310, "R105")
    made = compute_wavelengths(coefficients, 822226, "RED", 1)
    assert made.width[1:-1] == pytest.approx((made.wavelength[2:] - made.wavelength[:-2]) / 2, rel=2e-3)


def test_that_the_bandwidth_follows_from_width_and_wavelength():
    made = compute_bandwidth(Wavelengths(np.array([100.0]), np.array([0.1])))
    assert made == pytest.approx(SPEED * (1 / 100 - 1 / 100.1), rel=2e-3)


def test_that_flux_per_frequency_keeps_the_flux(run_step, make_gratings):
    product = make_gratings([2.0], 0.5)
    made, _ = run_step(lambda_calibrate, product)
    wavelength = made["LAMBDA_G0"]
    assert made["FLUX_G0"] / made["STDDEV_G0"] == pytest.approx(4.0)
    width = (wavelength[8] - wavelength[6]) / 2
    assert made["FLUX_G0"][7] * SPEED * width / wavelength[7] ** 2 == pytest.approx(2.0, rel=2e-3)
    assert made.header["WAVEFILE"] == "FIFI_LS_WaveCal_Coeffs.txt"
    assert (made.plane("FLUX_G0").unit, made.plane("LAMBDA_G0").unit) == ("adu/(Hz s)", "um")


@pytest.mark.parametrize(
    ("keywords", "word"),
    [
        ({"DATE__OBS": "yesterday"}, "DATE-OBS"),
        ({"DETCHAN": "BLUE", "CHANNEL": "BLUE", "G_ORD_B": 3}, "G_ORD_B"),
        ({"DICHROIC": 100}, "DICHROIC"),
        ({"DETCHAN": "?", "CHANNEL": "?"}, "CHANNEL"),
    ],
)
def test_that_wavelengths_of_an_unknown_setup_are_refused(run_step, make_gratings, keywords, word):
    with pytest.raises(HeaderError, match=word):
        run_step(lambda_calibrate, make_gratings([1.0], **keywords))


def test_that_a_negative_grating_position_is_refused(run_step, make_gratings):
    with pytest.raises(HeaderError, match="INDPOS"):
        run_step(lambda_calibrate, make_gratings([1.0], positions=[-5]))


def spatial(run_step, make_gratings, parameters=None, **keywords):
    product, _ = run_step(lambda_calibrate, make_gratings([1.0], **keywords))
    return run_step(spatial_calibrate, product, **(parameters or {}))[0]


def test_that_positions_are_the_published_ones(run_step, make_gratings):
    made = spatial(run_step, make_gratings)
    places = [(made["XS_G0"][k], made["YS_G0"][k]) for k in (0, 12, 24)]
    expected = [(-8.31138, -31.88330), (4.45448, 1.69231), (15.49922, 35.31589)]
    assert np.array(places) == pytest.approx(np.array(expected), abs=1e-5)
    assert made["RA_G0"][12] == pytest.approx(5.586583808637, abs=1e-12)
    assert made["DEC_G0"][12] == pytest.approx(-5.399529913744, abs=1e-12)
    assert made.header["SKY_ANGL"] == 0
    assert made.header["SPATFILE"] == "pixel_pos_red_20150828.txt"


def test_that_offsets_of_the_map_move_the_field(run_step, make_gratings):
    made = spatial(run_step, make_gratings, DLAM_MAP=-4.5, DBET_MAP=7.79)
    places = [(made["XS_G0"][k], made["YS_G0"][k]) for k in (0, 12, 24)]
    expected = [(-3.81138, -24.09330), (8.95448, 9.48231), (19.99922, 43.10589)]
    assert np.array(places) == pytest.approx(np.array(expected), abs=1e-5)


def test_that_sky_positions_do_not_depend_on_the_frame(run_step, make_gratings):
    turned = spatial(run_step, make_gratings)
    kept = spatial(run_step, make_gratings, {"rotate": False})
    assert kept.header["SKY_ANGL"] == 25
    assert not np.allclose(kept["XS_G0"], turned["XS_G0"])
    assert kept["RA_G0"] == pytest.approx(turned["RA_G0"], abs=1e-12)
    assert kept["DEC_G0"] == pytest.approx(turned["DEC_G0"], abs=1e-12)


def test_that_signs_of_offsets_are_turned_by_date_or_wish(run_step, make_gratings):
    old = {"DATE__OBS": "2015-04-01T06:00:00", "DLAM_MAP": 10.0, "DBET_MAP": 0.0}
    default, flipped, kept = (
        spatial(run_step, make_gratings, {"flipsign": sign}, **old)["XS_G0"] for sign in ("default", "flip", "no flip")
    )
    assert np.array_equal(default, flipped)
    assert not np.allclose(default, kept)


def test_that_the_laboratory_source_is_measured_in_millimetres(run_step, make_gratings):
    made = spatial(run_step, make_gratings, OBJECT="TelSim", DLAM_MAP=3.0, DBET_MAP=1.0)
    assert made.plane("XS_G0").unit == "mm"
    assert (made["XS_G0"][12], made["YS_G0"][12]) == (3.0, 1.0)


@pytest.mark.parametrize("keyword", ["OBSLAM", "OBSBET", "PLATSCAL", "DET_ANGL", "PRIMARAY", "DLAM_MAP"])
def test_that_positions_without_a_keyword_are_refused(run_step, make_gratings, keyword):
    with pytest.raises(HeaderError, match=keyword):
        spatial(run_step, make_gratings, **{keyword: -9999.0 if keyword != "PRIMARAY" else None})


def test_that_the_field_is_a_rigid_pattern_that_turns():
    spaxels = np.random.default_rng(1).normal(0, 5, (25, 2))
    shapes = [compute_offsets(spaxels, (0.3, -0.2), (0.0, 0.0), FieldGeometry(4.2, angle)) for angle in (0.0, 70.0)]
    lengths = [np.hypot(x - x[0], y - y[0]) for x, y in shapes]
    assert lengths[0] == pytest.approx(lengths[1])
    assert to_sky(np.array([0.0]), np.array([0.0]), 30.0, (83.8, -5.4))[0] == pytest.approx(83.8 / 15)


def test_that_flats_are_the_published_ones(run_step, make_gratings):
    product, _ = run_step(lambda_calibrate, make_gratings([1.0], 0.1))
    product, _ = run_step(spatial_calibrate, product)
    made, _ = run_step(apply_static_flat, product)
    assert made["FLAT_G0"][7, 12] == pytest.approx(0.9330858014, abs=1e-10)
    assert made["FLAT_G0"][0, 0] == pytest.approx(1.4245818307, abs=1e-10)
    assert made["FLATERR_G0"][7, 12] == pytest.approx(0.0254972101, abs=1e-10)
    assert made["FLUX_G0"] * made["FLAT_G0"] == pytest.approx(product["FLUX_G0"])
    assert made["STDDEV_G0"] * made["FLAT_G0"] == pytest.approx(product["STDDEV_G0"])
    assert made.header["FLATFILE"] == "flat_files/spatialFlatRD105.txt[20220801],flat_files/spectralFlatsR1D105.fits"
    with_errors, _ = run_step(apply_static_flat, product, skip_err=False)
    assert (with_errors["STDDEV_G0"] > made["STDDEV_G0"]).all()
    assert run_step(apply_static_flat, product, skip_flat=True)[0] is product


def test_that_flats_skip_missing_points_and_end_with_their_table():
    wave = np.array([1.0, 2.0, 3.0, 4.0])
    value = np.broadcast_to(wave[:, None, None] * 10, (4, 16, 25)).copy()
    value[1, 0, 0] = np.nan
    value[0, 0, 1] = np.nan
    flat = SpectralFlat(wave, value, np.full(value.shape, 0.5))
    at = np.full((16, 25), 2.25)
    at[5, 5], at[5, 6], at[5, 7] = 0.5, 4.5, 4.0
    at[0, 1] = 1.5
    made = interpolate_flat(flat, at, np.ones(25))
    assert made.value[3, 3] == made.value[0, 0] == pytest.approx(22.5)
    assert np.isnan([made.value[5, 5], made.value[5, 6], made.value[0, 1]]).all()
    assert made.value[5, 7] == pytest.approx(40)
    assert made.error[3, 3] == pytest.approx(np.sqrt(0.25 + 0.5 * 0.25**2))


def test_that_low_response_is_no_flat():
    wave = np.array([1.0, 2.0])
    flat = SpectralFlat(wave, np.full((2, 16, 25), 0.05), np.full((2, 16, 25), 0.01))
    assert np.isnan(interpolate_flat(flat, np.full((16, 25), 1.5), np.ones(25)).value).all()


def test_that_the_error_of_the_flat_adds_to_that_of_the_flux():
    flat = Flat(np.array([2.0]), np.array([0.1]))
    flux, error = divide_by_flat(np.array([8.0]), np.array([0.6]), flat, with_error=True)
    assert (flux.item(), error.item()) == pytest.approx((4.0, np.hypot(0.3, 0.2)))


def make_spectra(make_header, wavelength=157.7, **planes):
    shape = (16, 25)
    values = {"FLUX": 2.0, "STDDEV": 0.5, "UNCORRECTED_FLUX": 1.0, "UNCORRECTED_STDDEV": 0.25} | planes
    made = {name: make_plane(np.full(shape, value), "adu/(Hz s)") for name, value in values.items()}
    made["LAMBDA"] = make_plane(np.full(shape, wavelength), "um")
    header = make_header(BGLEVL_A=60.0)
    header.add_history("Telluric corrected")
    return make_product(header, made)


def test_that_flux_is_divided_by_the_response(run_step, make_header, fifi_store):
    product = make_spectra(make_header)
    made, run = run_step(flux_calibrate, product)
    curve = read_response(run.reference("response").path)
    value = np.interp(157.7, curve.wavelength, curve.value)
    assert made["FLUX"] == pytest.approx(2.0 / value)
    assert made["UNCORRECTED_STDDEV"] == pytest.approx(0.25 / value)
    assert made["RELATIVE_RESPONSE_ERROR"][0, 0] == pytest.approx(
        np.interp(157.7, curve.wavelength, curve.error) / value
    )
    assert made.plane("FLUX").unit == made.header["BUNIT"] == "Jy/pixel"
    assert made.header["CALERR"] == pytest.approx(np.nanmean(curve.error / curve.value))
    assert run_step(flux_calibrate, product, skip_cal=True)[0] is product


def test_that_data_beyond_the_response_are_refused(run_step, make_header):
    with pytest.raises(StepError, match="does not reach"):
        run_step(flux_calibrate, make_spectra(make_header, wavelength=400.0))


def test_that_a_response_without_value_gives_none():
    curve = Response(np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.0, -1.0]), np.array([0.1, 0.1, 0.1]))
    value, relative = curve.at(np.array([1.0, 2.0, 2.5, 9.0]))
    assert np.isfinite(value).tolist() == [True, False, False, False]
    assert relative[0] == pytest.approx(0.1)


def test_that_shifts_are_the_published_ones(run_step, make_header):
    product = make_spectra(make_header)
    made, _ = run_step(correct_wave_shift, product)
    assert made.header["BARYSHFT"] == pytest.approx(-8.8530258e-5, abs=2e-10)
    assert made.header["LSRSHFT"] == pytest.approx(-6.0207021e-5, abs=1e-11)
    assert made["LAMBDA"] == pytest.approx(157.7 * (1 + made.header["BARYSHFT"]))
    assert np.array_equal(made["UNCORRECTED_LAMBDA"], product["LAMBDA"])
    names = list(made.extensions)
    assert names.index("UNCORRECTED_LAMBDA") == names.index("LAMBDA") + 1
    assert run_step(correct_wave_shift, product, skip_shift=True)[0] is product


def test_that_spectra_with_lines_of_the_atmosphere_are_not_shifted(run_step, make_header):
    product = make_spectra(make_header)
    header = product.header.copy()
    header.remove("HISTORY", remove_all=True)
    uncorrected = product.replace(header=header)
    made, run = run_step(correct_wave_shift, uncorrected)
    assert made is uncorrected
    assert "not corrected for the atmosphere" in run.warnings[0]


def test_that_a_shift_without_position_is_refused(run_step, make_header):
    product = make_spectra(make_header)
    header = product.header.copy()
    del header["LAT_STA"]
    with pytest.raises(HeaderError, match=r"LAT_STA.*skip_shift"):
        run_step(correct_wave_shift, product.replace(header=header))


def test_that_tables_hold_what_they_should(fifi_store):
    assert read_bad_pixels(table(fifi_store, "bad_pixel_list", channel="r"))[15, 0]
    positions = read_spaxel_positions(table(fifi_store, "spaxel_positions", channel="r"))
    assert positions.shape == (25, 2)
    assert positions[12].tolist() == [0.0, 0.0]
    old = read_spaxel_positions(table(fifi_store, "spaxel_positions", date=20081201, channel="r"))
    assert old[0].tolist() == [19.0002, 3.3478]
    assert read_delta_vector(table(fifi_store, "delta_vectors"), 20140101, "b", 105).bx == 0.96
    flat, until = read_spatial_flat(table(fifi_store, "spatial_flat", order="R", dichroic="105"), 20140301)
    assert (flat[0], until) == (1.18254205, 20140501)
    resolution = read_resolution(table(fifi_store, "resolution"), "b1", 68.4)
    assert (resolution.spectral, resolution.spatial) == (594, 5)


@pytest.mark.parametrize(
    ("text", "read", "arguments"),
    [
        ("1 x\n", read_bad_pixels, ()),
        ("1 17\n", read_bad_pixels, ()),
        ("1 2\n3 4\n", read_spaxel_positions, ()),
        ("20140201 R105 1 2 3\n", read_wavelength_coefficients, (20220101, "R105")),
        ("20140201 B1 1 2 3\n", read_wavelength_coefficients, (20220101, "R105")),
        ("20140201 b 105 1 2\n", read_delta_vector, (20130101, "b", 105)),
        ("b1 68 594 5\n", read_resolution, ("r", 100.0)),
        ("date p0\n20140101 1\n", read_spatial_flat, (20130101,)),
    ],
)
def test_that_damaged_tables_are_refused_by_name(tmp_path, text, read, arguments):
    path = tmp_path / "table.txt"
    path.write_text(text)
    with pytest.raises(ReferenceDataError, match=r"table\.txt"):
        read(path, *arguments)
    with pytest.raises(ReferenceDataError, match=r"missing\.txt"):
        read(tmp_path / "missing.txt", *arguments)
