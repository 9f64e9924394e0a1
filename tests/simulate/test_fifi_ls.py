from __future__ import annotations

import json
from math import erf, sqrt

import numpy as np
import pytest
from astropy.io import fits

from sofia_engine.errors import ParameterError, ReferenceDataError
from sofia_engine.simulate import KINDS, ExtendedLineSource, simulate
from sofia_engine.simulate.fifi_ls_geometry import disperse, find_grating_position, locate_spaxels, turn_to_detector
from sofia_engine.simulate.fifi_ls_options import FifiLs
from sofia_engine.simulate.fifi_ls_sources import SIGMA_PER_FWHM
from sofia_engine.simulate.fifi_ls_tables import load_tables, make_nominal_tables

FIFI_LS = sorted(kind for kind in KINDS if kind.startswith("fifi-ls"))
SMALL = {"calibration": "nominal", "n_dither": 1, "chop_cycles": 2, "n_grating": 1}
IDEAL = {**SMALL, "noise": False, "settling": 0.0, "bias_drift_adu": 0.0, "chop_background": 0.0, "atran": "none"}
LIGHT_KM_S, LIGHT_UM_S = 299792.458, 2.99792458e14
RAMP, USED = 32, slice(2, 31)
"""Readouts of a ramp, and those between the disturbances at its ends."""


@pytest.fixture
def published(monkeypatch):
    """The published tables of the red channel on this computer; tests that need them are skipped without."""
    monkeypatch.setenv("SOFIA_DESK_OFFLINE", "1")
    try:
        return load_tables(FifiLs(), "RED")
    except ReferenceDataError:
        pytest.skip("the calibration files of FIFI-LS are not on this computer")


@pytest.fixture
def run(tmp_path):
    def call(kind="symmetric", *, seed=1, folder="raw", **options):
        return simulate(f"fifi-ls-{kind}", tmp_path / folder, seed=seed, **{**SMALL, **options})

    return call


@pytest.fixture
def run_ideal(run):
    def call(kind="symmetric", **options):
        return run(kind, **{**IDEAL, **options})

    return call


def read(truth, number=0):
    """Header, words of the electronics (unsigned) and frames of a raw file."""
    with fits.open(truth.paths[number]) as hdus:
        assert hdus[1].name == "FIFILS_RAWDATA"
        words = np.ascontiguousarray(hdus[1].data["HEADER"]).astype(np.int16).view(np.uint16).astype(int)
        return hdus[0].header, words, hdus[1].data["DATA"].astype(float)


def fit_slopes(frames):
    """Fit straight lines to all ramps, without the drift that the row of resistors shows; (n_ramp, 16, 25)."""
    data = (frames - frames[:, :1])[:, 1:17, :25].reshape(-1, RAMP, 16, 25)[:, USED]
    time = np.arange(data.shape[1]) - (data.shape[1] - 1) / 2
    return np.einsum("t,rtik->rik", time, data) / (time**2).sum()


def fit_chops(truth, number=0):
    """Mean slopes of both chop positions, without the first chop cycle."""
    _, words, frames = read(truth, number)
    slopes, chop = fit_slopes(frames), words[::RAMP, 3] & 1
    return slopes[4:][chop[4:] == 0].mean(axis=0), slopes[4:][chop[4:] == 1].mean(axis=0)


def measure_jansky(truth, number=0):
    """Flux density of the source in each pixel of a file, by the gain of the nominal instrument."""
    channel = truth.observed[number].channel
    first, second = fit_chops(truth, number)
    tables = make_nominal_tables(channel)
    view = disperse(tables.grating, truth.channels[channel].grating_positions[0])
    return (first - second) / (1e-11 * view.bandwidth), view


def sum_line(jansky, view):
    """Line flux (W/m2) and mean wavelength in the sum of all spaxels, above the continuum at the ends."""
    spectrum = jansky - np.mean(np.concatenate([jansky[:2], jansky[-2:]]), axis=0)
    power = spectrum * view.bandwidth
    return power.sum() * 1e-26, (power * view.wavelength).sum() / power.sum()


@pytest.mark.parametrize("kind", FIFI_LS)
def test_that_raw_files_have_the_structure_of_the_instrument(tmp_path, kind):
    truth = simulate(kind, tmp_path, seed=2, calibration="nominal", chop_cycles=2, scan_length_arcsec=8.0, n_dither=2)
    assert {file.nod_beam for file in truth.observed} == {"A", "B"}
    for number, file in enumerate(truth.observed):
        header, words, frames = read(truth, number)
        assert frames.shape[1:] == (18, 26)
        assert len(frames) == len(words)
        assert len(frames) % (2 * RAMP) == 0
        assert set(words[:, 0]) == {0x8000}
        assert set(words[:, 7]) == {0x7FFF}
        assert np.array_equal(np.diff(words[:, 1] + (words[:, 2] << 16)), np.ones(len(words) - 1))
        assert np.array_equal(words[:, 4], np.arange(len(words)) % RAMP)
        assert np.array_equal(words[:, 5], np.arange(len(words)) // RAMP)
        assert not (words[:, 3] & 2).any()
        chopped = header["C_AMP"] > 0
        assert np.array_equal(words[:, 3] & 1, chopped * (words[:, 5] // 2 % 2))
        assert (header["NODBEAM"], header["DETCHAN"]) == (file.nod_beam, "RED")
        assert header["FILENAME"] == file.name
        assert ("OTFSTART" in header) == (kind == "fifi-ls-otf" and file.nod_beam == "A")


def test_that_both_channels_have_files_of_their_own(run):
    truth = run(channel="BOTH")
    assert [path.name[-7:] for path in truth.paths_of("RED")] == ["lw.fits", "lw.fits"]
    assert [path.name[-7:] for path in truth.paths_of("BLUE")] == ["sw.fits", "sw.fits"]
    header, words, _ = read(truth, 1)
    assert header["DETCHAN"] == "BLUE"
    assert (words[:, 3] & 2 == 2).all()
    assert truth.channels["BLUE"].line_um == 88.356


def test_that_equal_seeds_give_equal_files_and_others_do_not(run):
    first, second, other = (run(folder=name, seed=seed, gzip=True) for name, seed in (("a", 5), ("b", 5), ("c", 6)))
    contents = [{path.name: path.read_bytes() for path in truth.directory.iterdir()} for truth in (first, second)]
    assert contents[0] == contents[1]
    assert other.paths[0].read_bytes() != first.paths[0].read_bytes()


def test_that_the_truth_is_written_beside_the_files(run):
    truth = run(velocity_km_s=77.0)
    written = json.loads((truth.directory / "truth.json").read_text())
    assert written["velocity_km_s"] == 77.0
    assert written["channels"]["RED"]["barycentric_um"] == pytest.approx(157.741 * (1 + 77 / LIGHT_KM_S), rel=1e-12)
    assert [file["name"] for file in written["observed"]] == list(truth.files)
    assert written["options"]["line_flux_w_m2"] == 5e-15


@pytest.mark.parametrize("channel", ["RED", "BLUE"])
def test_that_the_line_flux_and_velocity_are_in_the_ramps(run_ideal, channel):
    truth = run_ideal(channel=channel, velocity_km_s=-60.0, line_flux_w_m2=3e-13, psf_fwhm_arcsec=8.0)
    flux, wavelength = sum_line(*measure_jansky(truth))
    assert flux == pytest.approx(3e-13, rel=4e-3)
    correction = truth.barycentric_correction_km_s
    measured = (wavelength / truth.channels[channel].line_um - 1) * LIGHT_KM_S
    assert measured + correction == pytest.approx(-60.0, abs=1.0)


def test_that_the_line_is_as_wide_as_the_resolution_says(run_ideal):
    truth = run_ideal(psf_fwhm_arcsec=3.0, flux=0.0, line_flux_w_m2=3e-13)
    jansky, view = measure_jansky(truth)
    power, wavelength = jansky[:, 12], view.wavelength[:, 12]
    mean = (power * wavelength).sum() / power.sum()
    width = sqrt((power * (wavelength - mean) ** 2).sum() / power.sum()) / SIGMA_PER_FWHM
    intrinsic = 157.741 * 50 / LIGHT_KM_S
    assert width == pytest.approx(sqrt((157.741 / truth.channels["RED"].resolution) ** 2 + intrinsic**2), rel=0.01)


def test_that_a_centred_source_lights_the_central_spaxel_by_its_share(run_ideal):
    truth = run_ideal(line_flux_w_m2=0.0, flux=10000.0, psf_fwhm_arcsec=10.0)
    jansky, _ = measure_jansky(truth)
    half = 3.0 * 4.2331334 / 2
    share = erf(half / (sqrt(2) * 10.0 * SIGMA_PER_FWHM)) ** 2
    assert jansky[:, 12] == pytest.approx(10000 * share, rel=1e-3)
    assert jansky.sum(axis=1) == pytest.approx(10000, rel=1e-3)


@pytest.mark.parametrize("angle", [0.0, 25.0, 200.0])
def test_that_a_dither_moves_the_source_as_a_turned_detector_sees_it(run_ideal, angle):
    telescope = (12.0, -5.0)
    truth = run_ideal(line_flux_w_m2=0.0, flux=500.0, detector_angle=angle, dithers_arcsec=(telescope,))
    jansky, _ = measure_jansky(truth)
    places = locate_spaxels(make_nominal_tables("RED"), "BLUE", 0)
    centroid = (jansky.mean(axis=0)[:, None] * places).sum(axis=0) / jansky.mean(axis=0).sum()
    radians = np.radians(angle)
    east, north = -np.array(telescope)
    expected = (
        east * np.cos(radians) - north * np.sin(radians),
        east * np.sin(radians) + north * np.cos(radians),
    )
    assert centroid == pytest.approx(expected, abs=0.5)
    assert turn_to_detector(-np.array(telescope), angle) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("kind", "signs"),
    [("symmetric", [1, -1]), ("asymmetric", [1, 0]), ("bright", [1, 0]), ("spectral-scan", [1, -1])],
)
def test_that_the_source_is_in_the_chop_and_nod_positions_of_the_mode(run_ideal, kind, signs):
    truth = run_ideal(kind, line_flux_w_m2=0.0, flux=100.0, extended=None)
    found = []
    for number in range(2):
        first, second = fit_chops(truth, number)
        found.append((first - second)[:, 12].mean())
    assert [round(value / found[0]) for value in found] == signs


@pytest.mark.parametrize(
    ("kind", "options", "beams"),
    [
        ("symmetric", {"n_dither": 3}, "ABBAAB"),
        ("symmetric", {"n_dither": 2, "nod_pattern": "AB"}, "ABAB"),
        ("asymmetric", {"n_dither": 3}, "AABAB"),
        ("total-power", {"n_dither": 2, "nod_pattern": "A"}, "AA"),
        ("otf", {"n_dither": 2, "scan_length_arcsec": 4.0}, "BAAB"),
    ],
)
def test_that_nods_follow_the_pattern_until_all_positions_are_observed(run, kind, options, beams):
    truth = run(kind, **options)
    assert "".join(file.nod_beam for file in truth.observed) == beams


def test_that_each_symmetric_nod_has_its_partner_at_the_same_place(run):
    places = [(file.nod_beam, file.map_offset_arcsec) for file in run(n_dither=3).observed]
    of = {beam: sorted(place for name, place in places if name == beam) for beam in "AB"}
    assert of["A"] == of["B"]


def test_that_the_background_goes_with_chop_and_nod(run_ideal):
    truth = run_ideal(flux=0.0, line_flux_w_m2=0.0, chop_background=0.01)
    differences = [np.subtract(*fit_chops(truth, number)) for number in range(2)]
    assert differences[0].mean() == pytest.approx(-0.55, rel=0.02)
    assert differences[0] - differences[1] == pytest.approx(0, abs=0.03)


def test_that_the_first_two_ramps_after_a_move_of_the_grating_are_wrong(run_ideal):
    truth = run_ideal(n_grating=2, settling=0.05)
    slopes = fit_slopes(read(truth)[2])
    level = slopes[:, 3, 0]
    assert level[[0, 1, 8, 9]] == pytest.approx(55 * 1.05, rel=0.01)
    assert level[[2, 5, 10, 15]] == pytest.approx(55, rel=0.01)


def test_that_the_grating_is_read_back_where_the_header_says(run):
    truth = run(n_grating=3)
    header, _, frames = read(truth)
    column = frames[:, :, 25].astype(np.int16).view(np.uint16).astype(int)
    value = (column[:, [2, 6, 10, 14]] + 65536 * (column[:, [3, 7, 11, 15]] & 31)).mean(axis=1).reshape(3, -1)
    expected = header["G_STRT_R"] + header["G_SZUP_R"] * np.arange(3)
    settled = value[:, 4 * RAMP :].mean(axis=1)
    assert settled == pytest.approx(expected, abs=0.5)
    assert np.abs(value[:, : 2 * RAMP].mean(axis=1) - expected).min() > 10
    assert tuple(expected) == truth.channels["RED"].grating_positions


def test_that_the_scatter_of_slopes_is_that_of_the_read_noise(run):
    truth = run(flux=0.0, line_flux_w_m2=0.0, settling=0.0, chop_background=0.0, chop_cycles=10, read_noise_adu=5.0)
    slopes = fit_slopes(read(truth)[2])
    n = USED.stop - USED.start
    expected = sqrt(5.0**2 + 1 / 12) / sqrt(n * (n**2 - 1) / 12)
    assert slopes.std(axis=0, ddof=1).mean() == pytest.approx(expected, rel=0.03)


def test_that_collected_charges_add_the_noise_of_a_random_walk(run):
    gain, level = 10.0, 100.0
    truth = run(
        flux=0.0, line_flux_w_m2=0.0, settling=0.0, chop_background=0.0, chop_cycles=10, read_noise_adu=0.0,
        background_adu=level, electrons_per_adu=gain,
    )  # fmt: skip
    slopes = fit_slopes(read(truth)[2])
    n = USED.stop - USED.start
    # Garnett & Forrest 1993, SPIE 1946, 395: variance of the slope of a photon-limited ramp
    expected = sqrt(6 / 5 * (n**2 + 1) / (n * (n**2 - 1)) * level / gain)
    assert slopes.std(axis=0, ddof=1).mean() == pytest.approx(expected, rel=0.04)


def test_that_drifts_of_columns_show_in_the_row_of_resistors(run_ideal):
    frames = read(run_ideal(bias_drift_adu=50.0))[2]
    assert frames[:, 0, :25].std(axis=0).min() > 10
    assert fit_slopes(frames).std(axis=0).max() < 0.6  # the source in one of two chops, no drift
    plain = frames[:, 1:17, :25].reshape(-1, RAMP, 16, 25)[:, USED]
    assert np.ptp(plain[:, 0], axis=0).min() > 20


def test_that_bright_pixels_saturate(run_ideal):
    frames = read(run_ideal(background_adu=600.0, saturation_adu=-5000.0))[2]
    assert frames[:, 1:17, :25].max() == -5000
    assert (frames[:, 1:17, :25] == -5000).mean() > 0.3


def test_that_glitches_are_as_frequent_as_asked_for(run):
    frames = read(run(glitches=0.05, chop_cycles=5, settling=0.0, chop_background=0.0))[2]
    steps = np.diff(frames[:, 1:17, :25].reshape(-1, RAMP, 16, 25)[:, USED], axis=1)
    jumps = (steps > 55 + 8 * sqrt(2) * 2).any(axis=1).mean()
    assert jumps == pytest.approx(0.05, abs=0.01)  # one in forty is too small to be seen


def test_that_an_incomplete_chop_before_the_first_whole_one_can_be_cut_off(run_ideal):
    truth, whole = run_ideal(lead_readouts=41, folder="lead"), run_ideal(folder="whole")
    _, words, frames = read(truth)
    first = np.flatnonzero((words[:, 4] == 0) & (words[:, 5] // 2 % 2 == 0))[0]
    assert first == 41
    assert (words[:first, 3] & 1 == 1).all()
    assert np.array_equal(frames[first:], read(whole)[2])


def test_that_the_atmosphere_takes_its_share(run_ideal):
    options = {"flux": 10000.0, "line_flux_w_m2": 0.0}
    plain, _ = measure_jansky(run_ideal(**options, folder="plain"))
    truth = run_ideal(**options, atran="synthetic", water_vapour=10.0, zenith_angle=60.0, folder="wet")
    dimmed, view = measure_jansky(truth)
    spexel = np.argmin(np.abs(view.wavelength[:, 12] - truth.channels["RED"].detected_um))
    assert dimmed[spexel, 12] / plain[spexel, 12] == pytest.approx(truth.channels["RED"].transmission, abs=2e-3)
    assert 0.85 < truth.channels["RED"].transmission < 0.98
    rows = fits.getdata(truth.directory / truth.atmosphere)
    assert rows.shape[0] == 2
    assert 0 < rows[1].min() < rows[1].max() < 1


def test_that_more_water_makes_lines_of_water_deeper(run):
    def depth(amount):
        truth = run(water_vapour=amount, folder=f"water{amount}")
        wavelength, values = fits.getdata(truth.directory / "atran.fits")
        return -np.log(np.interp(174.63, wavelength, values) / np.interp(177.0, wavelength, values))

    assert depth(8.0) / depth(4.0) == pytest.approx(2, rel=0.01)


def test_that_a_scan_passes_the_source_when_the_header_says(run_ideal):
    truth = run_ideal("otf", n_dither=1, extended=None, flux=3000.0, line_flux_w_m2=0.0, detector_angle=0.0,
                      scan_length_arcsec=40.0)  # fmt: skip
    number = next(index for index, file in enumerate(truth.observed) if file.nod_beam == "A")
    header, _, frames = read(truth, number)
    signal = fit_slopes(frames)[:, 8, 12]
    signal -= signal.min()
    ramp = np.arange(signal.size)
    passed = (signal * ramp).sum() / signal.sum() + 0.5
    seconds = passed * RAMP * header["ALPHA"] - (header["OTFSTART"] - header["UNIXSTRT"])
    assert header["DLAM_MAP"] + header["OBSLAMV"] * seconds == pytest.approx(0, abs=0.3)
    assert header["TRK_DRTN"] == pytest.approx(10.0)


def test_that_an_extended_source_has_the_analytic_moments(run):
    source = ExtendedLineSource(3e-15, 10.0, 30.0, 18.0, 40.0, (4.0, -7.0), 15.0, 2.5)
    truth = run(extended=source, line_flux_w_m2=0.0, flux=0.0)
    major, minor, psf = (SIGMA_PER_FWHM * fwhm for fwhm in (30.0, 18.0, truth.channels["RED"].psf_fwhm_arcsec))
    along = np.array([-12.0, 0.0, 8.0])
    angle = np.radians(40.0)
    places = np.array([4.0, -7.0]) + along[:, None] * np.array([np.sin(angle), np.cos(angle)])
    line, velocity, continuum = truth.moments("RED", places)
    widths = sqrt(major**2 + psf**2), sqrt(minor**2 + psf**2)
    peak = 1 / (2 * np.pi * widths[0] * widths[1])
    assert line == pytest.approx(3e-15 * peak * np.exp(-0.5 * (along / widths[0]) ** 2), rel=2e-3)
    assert continuum / line == pytest.approx(10.0 / 3e-15)
    # the beam mixes velocities: the gradient shrinks by the share of the source in the variance
    assert velocity == pytest.approx(15.0 + 2.5 * along * major**2 / (major**2 + psf**2), abs=0.05)
    assert truth.extended_line_flux_w_m2 == 3e-15


def test_that_a_rotation_curve_becomes_flat():
    source = ExtendedLineSource(1e-15, velocity_gradient_km_s_arcsec=10.0, velocity_limit_km_s=100.0)
    north = np.array([-200.0, 0.0, 0.1, 200.0])
    assert source.velocity_at(np.zeros(4), north) == pytest.approx([-100, 0, 1, 100], abs=0.01)


def test_that_the_velocity_field_is_in_the_ramps(run_ideal):
    source = ExtendedLineSource(5e-14, 0.0, 35.0, 20.0, 0.0, velocity_gradient_km_s_arcsec=8.0)
    truth = run_ideal(extended=source, line_flux_w_m2=0.0, flux=0.0, detector_angle=0.0)
    jansky, view = measure_jansky(truth)
    mean = (jansky * view.bandwidth * view.wavelength).sum(axis=0) / (jansky * view.bandwidth).sum(axis=0)
    velocity = (mean / 157.741 - 1) * LIGHT_KM_S + truth.barycentric_correction_km_s
    side = 3 * 4.2331334
    # the variance of a spaxel's side adds to that of the beam, nearly
    major, blur = (
        35.0 * SIGMA_PER_FWHM,
        np.hypot(truth.channels["RED"].psf_fwhm_arcsec * SIGMA_PER_FWHM, side / 12**0.5),
    )
    shrunk = 8.0 * major**2 / (major**2 + blur**2)
    assert velocity[7] == pytest.approx(-side * shrunk, rel=0.05)
    assert velocity[17] == pytest.approx(side * shrunk, rel=0.05)


def test_that_bad_pixels_of_the_list_are_dead(tmp_path, published):
    truth = simulate("fifi-ls-symmetric", tmp_path, **{**IDEAL, "calibration": "reference"})
    slopes = fit_slopes(read(truth)[2]).mean(axis=0)
    dead = np.abs(slopes) < 1e-6
    tables = published
    unusable = np.isnan(tables.flat_at(disperse(tables.grating, truth.channels["RED"].grating_positions[0]).wavelength))
    assert tables.bad[:, 4].all()  # the fifth spaxel of the red array
    assert tables.bad[15, 0]
    assert np.array_equal(dead, tables.bad | unusable)


def test_that_wavelengths_are_those_the_observatory_published(published):
    view = disperse(published.grating, 822226)
    assert view.wavelength[[0, 7, 15], [0, 12, 24]] == pytest.approx([157.37660791, 157.71580083, 158.12379255])
    assert view.width[7, 12] == pytest.approx(0.0503985087)
    blue = disperse(load_tables(FifiLs(order_blue=2), "BLUE").grating, 900000)
    assert blue.wavelength[7, 12] == pytest.approx(55.70316511)
    assert blue.width[7, 12] == pytest.approx(0.0176328436)


def test_that_spaxels_are_where_the_observatory_published(published):
    places = locate_spaxels(published, "BLUE", 821639)
    radians = np.radians(25.0)
    east = places[:, 0] * np.cos(radians) + places[:, 1] * np.sin(radians)
    north = -places[:, 0] * np.sin(radians) + places[:, 1] * np.cos(radians)
    # published positions grow to the west
    assert -east[[0, 12, 24]] == pytest.approx([-8.31138, 4.45448, 15.49922], abs=2e-5)
    assert north[[0, 12, 24]] == pytest.approx([-31.88330, 1.69231, 35.31589], abs=2e-5)


def test_that_flats_are_those_the_observatory_published(published):
    flat = published.flat_at(disperse(published.grating, 821639).wavelength)
    assert flat[[7, 0], [12, 0]] == pytest.approx([0.9330858014, 1.4245818307])


def test_that_the_motion_of_the_observatory_is_the_published_one(run):
    truth = run(nod_pattern="A", kind="total-power")
    assert truth.barycentric_correction_km_s / LIGHT_KM_S == pytest.approx(-8.8530258e-5, rel=1e-4)


def test_that_the_grating_finds_a_wavelength():
    grating = make_nominal_tables("BLUE").grating
    position = find_grating_position(grating, 88.356)
    assert disperse(grating, position).wavelength[7:9, 12].mean() == pytest.approx(88.356, abs=1e-4)
    with pytest.raises(ParameterError, match="order 1"):
        find_grating_position(grating, 300.0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"channel": "GREEN"}, "RED, BLUE, BOTH"),
        ({"date": "2014-06-01"}, "2015-05-01"),
        ({"dichroic": 110}, "105 or 130"),
        ({"nod_pattern": "ABX"}, "nod_pattern"),
        ({"nod_pattern": "BB"}, "nod_pattern"),
        ({"n_grating": 2.5}, "whole"),
        ({"extended": {"flux": 3}}, "extended"),
        ({"extended": 3.0}, "ExtendedLineSource"),
        ({"filter_blue": 3}, "filter_blue"),
        ({"line_flux_w_m2": -1}, "line_flux_w_m2"),
        ({"dithers_arcsec": [(1, 2, 3)]}, "dithers_arcsec"),
        ({"line_red_um": 300}, "line_red_um"),
    ],
    ids=str,
)
def test_that_a_bad_option_gives_one_clear_sentence(run, options, words):
    with pytest.raises(ParameterError, match=words) as caught:
        run(**options)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


def test_that_an_unusable_atmosphere_is_named(run, tmp_path):
    bad = tmp_path / "bad.fits"
    bad.write_text("garbage")
    with pytest.raises(ReferenceDataError, match=r"bad\.fits"):
        run(atran=bad)
    with pytest.raises(ReferenceDataError, match=r"missing\.fits"):
        run(atran=tmp_path / "missing.fits")


def read_slopes(truth, beam="A"):
    """Slopes of all ramps of the first file of a beam, without their means, (n_ramp, 16, 25)."""
    number = next(index for index, file in enumerate(truth.observed) if file.nod_beam == beam)
    slopes = fit_slopes(read(truth, number)[2])
    return slopes - slopes.mean(axis=0)


def test_that_noise_of_the_sky_is_common_and_drifts_are_not(run_ideal):
    quiet = {"extended": None, "flux": 0.0, "line_flux_w_m2": 0.0, "n_dither": 1, "noise": True, "read_noise_adu": 0.1}
    sky = read_slopes(run_ideal("otf", sky_noise_adu=1.0, folder="sky", **quiet))
    drifts = read_slopes(run_ideal("otf", pixel_drift_adu=1.0, folder="drifts", **quiet))
    common, own = (np.corrcoef(s[:, 4:12, 10:15].reshape(len(s), -1).T) for s in (sky, drifts))
    assert np.median(common) > 0.99
    assert np.abs(np.median(own[np.triu_indices(len(own), 1)])) < 0.2
    spectrum = (np.abs(np.fft.rfft(drifts[:, 4:12].reshape(len(drifts), -1), axis=0)) ** 2).mean(axis=1)
    assert spectrum[1:4].mean() > 5 * spectrum[20:40].mean()


def test_that_noise_of_the_sky_grows_across_the_field(run_ideal):
    options = {"extended": None, "flux": 0.0, "line_flux_w_m2": 0.0, "n_dither": 1, "noise": True}
    slopes = read_slopes(run_ideal("otf", sky_gradient_adu=1.0, read_noise_adu=0.1, **options))
    middle, corner = slopes[:, 8, 12], slopes[:, 8, [0, 4, 20, 24]]
    assert middle.std() < 0.3 * corner.std()
    assert (corner[:, 0] + corner[:, 3]).std() < 0.3 * corner[:, 0].std()  # opposite corners


def test_that_gains_scatter_alike_in_all_files(run_ideal):
    options = {"extended": None, "flux": 0.0, "line_flux_w_m2": 0.0, "n_dither": 2}
    plain, scattered = (run_ideal("otf", gain_scatter=g, folder=f"gain{g}", **options) for g in (0.0, 0.1))
    ratios = [(fit_slopes(read(scattered, n)[2]) / fit_slopes(read(plain, n)[2])).mean(axis=0)[2:14] for n in (0, 2)]
    assert ratios[0].std() == pytest.approx(0.1, rel=0.2)
    assert ratios[0] == pytest.approx(ratios[1], abs=0.01)
