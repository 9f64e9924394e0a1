from __future__ import annotations

import json
from math import erf

import numpy as np
import pytest
from astropy.io import fits

from sofia_engine.errors import ParameterError, ReferenceDataError
from sofia_engine.simulate import KINDS, ExtendedSource, SpectralLine, simulate
from sofia_engine.simulate.slit_spectrum import broaden, find_line_width, undo_pixels

GRISM = sorted(kind for kind in KINDS if kind.startswith("forcast-grism"))
SYNTHETIC = dict.fromkeys(["bad_pixel_mask", "order_mask", "wave_cal", "response", "atran"], "synthetic")
IDEAL = {
    "noise": False,
    "droop": False,
    "nonlinearity": False,
    "jailbars": False,
    "bad_pixels": False,
    "sky_emission": 0.0,
    "trace_tilt_arcsec": 0.0,
    "trace_curvature_arcsec": 0.0,
    "lines": (),
    "n_dither": 1,
}
ME_PER_ADU = 1e-6 * 24.2203 * 136
LINE = SpectralLine(6.6, 0.02, name="test")
SIGMA_PER_FWHM = 1 / np.sqrt(8 * np.log(2))


@pytest.fixture
def run(tmp_path):
    def call(kind="nmc", *, seed=1, folder="raw", **options):
        return simulate(f"forcast-grism-{kind}", tmp_path / folder, seed=seed, **{**SYNTHETIC, **options})

    return call


@pytest.fixture
def run_ideal(run):
    def call(kind="nmc", **options):
        return run(kind, **{**IDEAL, **options})

    return call


def read(truth, number=0):
    return fits.getdata(truth.paths[number]).astype(float)


def stack(truth, number=0):
    """Stacked image in Me/s, of nod beam A."""
    planes = read(truth, number)
    sign = {"A": 1, "B": -1}[truth.observed[number].nod_beam]
    return sign * (planes[0] - planes[1] - planes[2] + planes[3]) * ME_PER_ADU


def read_maps(truth):
    return fits.getdata(truth.directory / "wave_cal.fits")


def column_width(truth, row):
    """Width of raw columns over that of rectified ones."""
    return np.gradient(read_maps(truth)[0][row]) / truth.column_um


def detected(truth, wavelength):
    spectrum = truth.read_spectrum()
    total = spectrum["flux"] * spectrum["transmission"] * spectrum["response"]
    return np.interp(wavelength, spectrum["wavelength"], total)


def find_row(truth, number=0):
    position = truth.observed[number].apertures[0].position_arcsec
    return int(np.argmin(np.abs(read_maps(truth)[1][:, 128] - position)))


@pytest.mark.parametrize("kind", GRISM)
@pytest.mark.parametrize("grism", ["G063", "G329"])
def test_that_raw_files_have_four_planes_and_say_how_they_were_observed(tmp_path, kind, grism):
    truth = simulate(kind, tmp_path, grism=grism, **SYNTHETIC)
    for path, number in zip(truth.paths, range(1, 9), strict=False):
        data, header = fits.getdata(path, header=True)
        assert data.shape == (4, 256, 256)
        assert data.dtype.kind == "f"
        assert np.isfinite(data).all()
        assert path.name == f"F0501_FO_GRI_90000101_FOR{grism}_RAW_{number:04d}.fits" == header["FILENAME"]
        camera = {"G063": "SW", "G329": "LW"}[grism]
        assert (header["DETCHAN"], header["INSTCFG"], header["SLIT"]) == (camera, f"GRISM_{camera}C", "FOR_LS24")
        assert header[{"SW": "SPECTEL1", "LW": "SPECTEL2"}[camera]] == f"FOR_{grism}"
        assert header["OBSTYPE"] == ("STANDARD_TELLURIC" if kind.endswith("standard") else "OBJECT")
        assert header["SRCTYPE"] == ("EXTENDED_SOURCE" if kind.endswith("slitscan") else "POINT_SOURCE")


@pytest.mark.parametrize(
    ("kind", "modes"),
    [
        ("nmc", ("C2N", "NMC")),
        ("npcnas", ("C2N", "NPCNAS")),
        ("nxcac", ("NXCAC", "NXCAC")),
        ("slitscan", ("NXCAC", "SLITSCAN_NXCAC")),
    ],
)
def test_that_headers_name_the_chop_nod_mode(run, kind, modes):
    header = fits.getheader(run(kind, n_dither=1).paths[0])
    assert (header["INSTMODE"], header["SKYMODE"]) == modes


def test_that_a_slit_scan_matched_to_the_chop_is_named_so(run):
    header = fits.getheader(run("slitscan", n_dither=1, scan_mode="NMC").paths[0])
    assert (header["INSTMODE"], header["SKYMODE"]) == ("C2N", "SLITSCAN_NMC")


@pytest.mark.parametrize(("kind", "copies"), [("nmc", 2), ("nxcac", 1)])
@pytest.mark.parametrize("grism", ["G063", "G111", "G227", "G329"])
@pytest.mark.parametrize("slit", ["LS24", "LS47"])
def test_that_all_light_reaches_the_detector(run_ideal, kind, copies, grism, slit):
    truth = run_ideal(kind, grism=grism, slit=slit, flux=500.0, atran="none")
    image, row = stack(truth) / copies, find_row(truth)
    expected = detected(truth, read_maps(truth)[0][row]) * column_width(truth, row)
    np.testing.assert_allclose(image.sum(axis=0)[5:-5], expected[5:-5], rtol=1e-3)
    assert image[:, 5:-5].sum() == pytest.approx(expected[5:-5].sum(), rel=3e-4)


def test_that_the_atmosphere_takes_its_share_of_the_light(run_ideal):
    above, below = run_ideal(atran="none", folder="above"), run_ideal(folder="below")
    row = find_row(below)
    ratio = stack(below).sum(axis=0) / stack(above).sum(axis=0)
    spectrum = below.read_spectrum()
    expected = np.interp(read_maps(below)[0][row], spectrum["wavelength"], spectrum["transmission"])
    np.testing.assert_allclose(ratio[5:-5], expected[5:-5], atol=0.02)
    assert expected.min() < 0.85
    np.testing.assert_allclose(above.read_spectrum()["transmission"], 1)


def test_that_lines_lie_where_the_truth_says(run_ideal):
    truth = run_ideal(lines=(LINE,), atran="none", trace_tilt_arcsec=1.5)
    plain = run_ideal(atran="none", trace_tilt_arcsec=1.5, folder="plain")
    line = (stack(truth) - stack(plain)).sum(axis=0)
    assert (line * np.arange(256)).sum() / line.sum() == pytest.approx(truth.lines[0].x, abs=0.05)
    assert truth.lines[0].wavelength_um == LINE.wavelength_um


def test_that_lines_carry_the_flux_the_truth_says(run_ideal):
    truth, plain = run_ideal(lines=(LINE,), atran="none"), run_ideal(atran="none", folder="plain")
    light = (stack(truth) - stack(plain)).sum() / 2
    spectrum = truth.read_spectrum()
    response = np.interp(LINE.wavelength_um, spectrum["wavelength"], spectrum["response"])
    jansky_um = light / response * truth.column_um
    frequency_per_um = 2.99792458e14 / LINE.wavelength_um**2
    assert jansky_um * 1e-26 * frequency_per_um == pytest.approx(truth.lines[0].flux_w_m2, rel=5e-3)
    assert jansky_um == pytest.approx(LINE.equivalent_width_um * truth.flux_jy, rel=5e-3)


def test_that_an_absorption_line_takes_light_away(run_ideal):
    line = SpectralLine(6.6, -0.01)
    truth = run_ideal(lines=(line,), atran="none")
    assert truth.lines[0].flux_w_m2 < 0
    spectrum = truth.read_spectrum()
    assert spectrum["wavelength"][np.argmin(spectrum["flux"])] == pytest.approx(6.6, abs=0.001)
    assert spectrum["flux"].max() == pytest.approx(truth.flux_jy, rel=1e-6)


def test_that_the_trace_follows_its_tilt_and_curvature(run_ideal):
    truth = run_ideal(trace_tilt_arcsec=2.0, trace_curvature_arcsec=-1.0, atran="none")
    image, (wave, slit) = stack(truth), read_maps(truth)
    spectrum = truth.read_spectrum()
    found = (image * slit).sum(axis=0) / image.sum(axis=0)
    waves = (image * wave).sum(axis=0) / image.sum(axis=0)
    expected = np.interp(waves, spectrum["wavelength"], spectrum["trace"])
    np.testing.assert_allclose(found[5:-5], expected[5:-5], atol=0.02)
    assert np.ptp(expected) > 2


def test_that_the_profile_along_the_slit_has_the_given_width(run_ideal):
    truth = run_ideal(psf_fwhm_arcsec=5.0)
    image, slit = stack(truth)[:, 128], read_maps(truth)[1][:, 128]
    center = (image * slit).sum() / image.sum()
    variance = (image * (slit - center) ** 2).sum() / image.sum() - truth.row_arcsec**2 / 12
    assert np.sqrt(variance) == pytest.approx(5.0 * SIGMA_PER_FWHM, rel=0.01)


@pytest.mark.parametrize("across", [0.6, 1.5, 3.0])
def test_that_a_source_off_the_slit_loses_the_light_of_a_gaussian(run_ideal, across):
    centered, off = run_ideal(folder="on"), run_ideal(folder="off", dithers_arcsec=((across, 0.0),))
    scale = 3.5 * SIGMA_PER_FWHM * np.sqrt(2)
    expected = (erf((1.2 - across) / scale) + erf((1.2 + across) / scale)) / (2 * erf(1.2 / scale))
    assert stack(off).sum() / stack(centered).sum() == pytest.approx(expected, rel=1e-3)
    assert off.observed[0].apertures[0].throughput == pytest.approx(expected, rel=1e-3)


def test_that_nodding_along_the_slit_leaves_a_positive_and_a_negative_trace(run_ideal):
    truth = run_ideal("npcnas", nod_throw_arcsec=40.0)
    image, slit = stack(truth), read_maps(truth)[1]
    positive, negative = (next(a for a in truth.observed[0].apertures if a.sign == sign) for sign in (1, -1))
    assert abs(positive.position_arcsec - negative.position_arcsec) == pytest.approx(40)
    sums = [image[np.abs(slit - a.position_arcsec) < 12].sum() for a in (positive, negative)]
    assert sums[0] > 0
    assert sums[1] == pytest.approx(-sums[0], rel=2e-3)


def test_that_asymmetric_chops_are_nodded_abba(run_ideal):
    truth = run_ideal("nxcac", n_dither=4, sky_drift=0.0)
    assert "".join(file.nod_beam for file in truth.observed) == "ABBA"
    for number in range(4):
        assert stack(truth, number).sum() == pytest.approx(stack(truth, 0).sum(), rel=1e-3)
    first, second = (read(truth, number).sum(axis=(1, 2)) for number in (0, 1))
    assert (np.argmax(first), np.argmax(second)) == (0, 2)


def test_that_chopping_along_the_slit_gives_one_doubled_and_two_negative_traces(run_ideal):
    truth = run_ideal(chop_throw_arcsec=40.0, chop_angle=0.0)
    assert [(a.sign, a.weight) for a in truth.observed[0].apertures] == [(1, 2), (-1, 1), (-1, 1)]
    slit, image = read_maps(truth)[1], stack(truth)
    sums = [image[np.abs(slit - a.position_arcsec) < 12].sum() for a in truth.observed[0].apertures]
    np.testing.assert_allclose(np.array(sums) / sums[0], [1, -0.5, -0.5], rtol=2e-3)


def test_that_positions_of_a_scan_together_hold_the_whole_extended_source(run_ideal):
    source = ExtendedSource(900.0, 6.0, 4.0, 30.0)
    truth = run_ideal("slitscan", n_dither=13, extended=source, atran="none", slope=0.0)
    total = sum(stack(truth, number).sum(axis=0) for number in range(13))
    row = int(np.argmin(np.abs(read_maps(truth)[1][:, 128] - truth.boresight_arcsec - 30)))
    spectrum = truth.read_spectrum()
    response = np.interp(read_maps(truth)[0][row], spectrum["wavelength"], spectrum["response"])
    expected = 900.0 * response * column_width(truth, row)
    np.testing.assert_allclose(total[8:-8], expected[8:-8], rtol=5e-3)
    np.testing.assert_allclose(spectrum["extended_flux"], 900, rtol=1e-9)


def test_that_pointings_of_a_scan_step_by_the_width_of_the_slit(run):
    truth = run("slitscan", n_dither=3, slit="LS47")
    steps = np.diff([(file.ra, file.dec) for file in truth.observed], axis=0)
    steps[:, 0] *= np.cos(np.radians(truth.dec))
    np.testing.assert_allclose(np.hypot(*steps.T) * 3600, 4.7, rtol=1e-3)


def test_that_background_and_its_drift_vanish_in_the_stack(run_ideal):
    image = stack(run_ideal(sky_emission=800.0, sky_drift=20.0, flux=0.0))
    assert np.abs(image).max() < 1e-4 * 5000 * ME_PER_ADU


def test_that_an_opaque_atmosphere_shines_through_the_slit_alone(run_ideal):
    truth = run_ideal(flux=0.0, sky_emission=1000.0)
    glow = read(truth)[0] - 5000
    spectrum, wave = truth.read_spectrum(), read_maps(truth)[0]
    expected = 1000 * (1 - np.interp(wave[100], spectrum["wavelength"], spectrum["transmission"]))
    np.testing.assert_allclose(glow[100], expected, atol=1)
    assert np.abs(glow[255]).max() < 1e-3


def test_that_scatter_of_pixels_is_that_of_the_noise_formula(run_ideal):
    noisy, calm = run_ideal(noise=True, folder="noisy"), run_ideal(folder="calm")
    model = noisy.noise
    assert model is not None
    sigma = np.sqrt(model.variance(read(calm)))
    assert np.std((read(noisy) - read(calm)) / sigma) == pytest.approx(1, abs=0.01)


def test_that_the_predicted_error_is_the_scatter_of_optimal_extraction(run_ideal):
    calm = run_ideal(folder="calm", atran="none")
    template, row = stack(calm), find_row(calm)
    variance = calm.options["sky_level"] / (484.4 * 136) * 4 * ME_PER_ADU**2
    wave, widths = read_maps(calm)[0][row], column_width(calm, row)
    pulls = []
    for seed in range(3):
        noisy = run_ideal(folder=f"noisy{seed}", atran="none", noise=True, seed=seed)
        spectrum = noisy.read_spectrum()
        flux = 100 * (stack(noisy) * template / variance).sum(axis=0) / (template**2 / variance).sum(axis=0)
        error = np.interp(wave, spectrum["wavelength"], spectrum["error"]) / np.sqrt(widths)
        pulls.append(((flux - 100) / error)[5:-5])
    assert np.std(pulls) == pytest.approx(1, abs=0.08)


def test_that_rectified_lines_have_the_resolving_power_asked_for():
    wave = np.linspace(6.4, 7.6, 4000)
    line = broaden(lambda w: np.exp(-0.5 * ((w - 7) / 1e-3) ** 2), lambda w: find_line_width(w, 180), wave)
    variance = np.average((wave - np.average(wave, weights=line)) ** 2, weights=line) - 1e-6
    assert variance == pytest.approx((7 / 180 * SIGMA_PER_FWHM) ** 2, rel=5e-3)


@pytest.mark.parametrize(("width", "limit"), [(0.8, 8e-3), (1.5, 2e-4)])
def test_that_pixels_give_back_the_spectrum_that_was_sharpened_for_them(width, limit):
    """Detector pixel, step and rectified pixel: boxes of one column. No line of a grism is narrower than 0.8."""
    x = np.arange(-20, 20, 0.05)
    spectrum = 2 - np.exp(-0.5 * (x / width) ** 2)
    sharp = seen = undo_pixels(spectrum, 20)
    for _ in range(3):
        total = np.concatenate([[0.0], np.cumsum(0.5 * (seen[1:] + seen[:-1]))]) * 0.05
        seen = np.interp(x + 0.5, x, total) - np.interp(x - 0.5, x, total)
    inside = np.abs(x) < 15
    np.testing.assert_allclose(seen[inside], spectrum[inside], atol=limit)
    assert np.abs(sharp - spectrum).max() > 0.05


def test_that_a_straight_spectrum_needs_no_sharpening():
    rise = 3 + 0.01 * np.arange(400)
    np.testing.assert_allclose(undo_pixels(rise, 20)[200:220], rise[200:220], rtol=1e-9)


def test_that_rectified_columns_see_response_times_transmission_as_published(run_ideal):
    """A response that swings where the atmosphere has a band, as the published one of G111 does."""
    truth = run_ideal(folder="smooth")
    spectrum = truth.read_spectrum()
    columns = spectrum["wavelength"][0] + truth.column_um * (0.5 + np.arange(255))
    transmission = np.interp(columns, spectrum["wavelength"], spectrum["transmission"])
    rows = np.stack([columns, 0.003 / transmission, np.full(255, 1e-6), transmission])
    assert np.ptp(transmission) > 0.3
    fits.PrimaryHDU(rows).writeto(truth.directory / "swinging.fits")
    swinging = run_ideal(folder="swinging", response=truth.directory / "swinging.fits")
    light = stack(swinging).sum(axis=0) / column_width(swinging, find_row(swinging))
    np.testing.assert_allclose(light[8:-8] / np.median(light), 1.0, atol=5e-3)


def test_that_broadening_keeps_flux_and_slopes():
    wave = np.linspace(8, 14, 3000)
    rise = broaden(lambda w: 2 + 0.3 * w, lambda w: find_line_width(w, 150), wave)
    np.testing.assert_allclose(rise, 2 + 0.3 * wave, rtol=1e-4)
    line = broaden(lambda w: np.exp(-0.5 * ((w - 11) / 0.01) ** 2), lambda w: find_line_width(w, 150), wave)
    assert np.trapezoid(line, wave) == pytest.approx(0.01 * np.sqrt(2 * np.pi), rel=2e-3)


def test_that_absorption_before_broadening_differs_where_lines_meet_bands(run_ideal):
    line = SpectralLine(5.07 + 0.30 * 2.98, 0.02)
    blurred = run_ideal(lines=(line,), folder="blurred")
    resolved = run_ideal(lines=(line,), folder="resolved", absorption="resolved")
    ratio = stack(resolved).sum(axis=0) / stack(blurred).sum(axis=0)
    middle = round(blurred.lines[0].x)
    assert np.abs(ratio[150:240] - 1).max() < 2e-3
    assert np.abs(ratio[middle - 4 : middle + 5] - 1).max() > 2e-3


@pytest.mark.parametrize(
    ("date", "grism", "slit", "expected"),
    [
        ("2021-07-05", "G063", "LS24", 180),
        ("2021-07-05", "G329", "FOR_LS47", 152),
        ("2013-07-01", "G111", "LS47", 126),
        ("2013-12-01", "FOR_G111", "LS24", 220),
        ("2014-06-15", "G227", "LS24", 94),
        ("2014-06-15", "G111", "LS47", 151),
    ],
)
def test_that_the_resolving_power_is_that_of_grism_slit_and_date(run, date, grism, slit, expected):
    assert run(n_dither=1, date=date, grism=grism, slit=slit).resolution == expected


def test_that_a_standard_comes_with_its_model(run):
    truth = run("standard", n_dither=1)
    model = fits.getdata(truth.directory / "alphaboo_model.fits")
    spectrum = truth.read_spectrum()
    flux = np.interp(spectrum["wavelength"], model[0], model[1])
    np.testing.assert_allclose(flux, spectrum["flux_intrinsic"], rtol=1e-6)
    np.testing.assert_allclose(flux, 100 * (spectrum["wavelength"] / truth.center_um) ** -2, rtol=1e-6)


def test_that_equal_seeds_give_equal_files_and_others_do_not(run):
    one, two, three = (run(n_dither=1, folder=name, seed=seed) for name, seed in (("a", 5), ("b", 5), ("c", 6)))
    assert one.paths[0].read_bytes() == two.paths[0].read_bytes() != three.paths[0].read_bytes()


def test_that_the_truth_is_written_beside_the_raw_files(run):
    truth = run(n_dither=2)
    written = json.loads((truth.directory / "truth.json").read_text())
    assert [file["apertures"][0]["position_arcsec"] for file in written["observed"]] == pytest.approx(
        [file.apertures[0].position_arcsec for file in truth.observed]
    )
    assert [line["name"] for line in written["lines"]] == ["[Ar II]", "absorption"]
    assert written["reference_files"]["wave_cal"] == "wave_cal.fits"
    spectrum = truth.read_spectrum()
    assert all(np.isfinite(values).all() for values in spectrum.values())
    assert spectrum["wavelength"].size > 4000


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"grism": "G999"}, "grism"),
        ({"slit": "LS99"}, "slit"),
        ({"resolution": 5000.0}, "resolving power"),
        ({"lines": ({"wave": 3},)}, "lines"),
        ({"absorption": "none"}, "absorption"),
        ({"nod_angle": 3.0}, "nod"),
        ({"flux": 1e8}, "65535"),
    ],
)
def test_that_impossible_options_are_refused_by_name(run, options, word):
    with pytest.raises(ParameterError, match=word):
        run(n_dither=1, **options)


def test_that_lines_may_be_given_as_dicts(run):
    assert run(n_dither=1, lines=({"wavelength_um": 6.0, "equivalent_width_um": 0.01},)).lines[0].wavelength_um == 6.0


@pytest.mark.parametrize("kind", ["order_mask", "wave_cal", "response", "atran"])
def test_that_unusable_calibration_files_are_named(run, tmp_path, kind):
    with pytest.raises(ReferenceDataError, match="missing"):
        run(n_dither=1, **{kind: tmp_path / "missing.fits"})
    fits.PrimaryHDU(np.zeros((3, 3, 3))).writeto(tmp_path / "strange.fits")
    with pytest.raises(ReferenceDataError):
        run(n_dither=1, **{kind: tmp_path / "strange.fits"})
