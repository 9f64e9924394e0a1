"""The chain of grism steps on the intermediate products of the golden sets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from astropy.io import fits

from sofia_engine.numerics.coadd import CombinationRule
from sofia_engine.product import Product
from sofia_engine.spectroscopy.aperture_mask import make_aperture_mask, read_background
from sofia_engine.spectroscopy.apertures import find_apertures, list_aperture_cards, list_size_cards, set_radii
from sofia_engine.spectroscopy.background import fit_background
from sofia_engine.spectroscopy.calibration import calibrate, interpolate_response
from sofia_engine.spectroscopy.calibration_maps import read_maps
from sofia_engine.spectroscopy.combination import combine_spectra, find_scales, make_response, smooth_spectrum
from sofia_engine.spectroscopy.extraction import ExtractionTask, extract_spectra
from sofia_engine.spectroscopy.orders import make_order_mask, read_orders
from sofia_engine.spectroscopy.profiles import ProfileRule, make_profiles
from sofia_engine.spectroscopy.rectification import RectificationRule, plan_rectification
from sofia_engine.spectroscopy.rectified_wcs import list_rectified_wcs
from sofia_engine.spectroscopy.region_files import format_fit_lines, format_points
from sofia_engine.spectroscopy.telluric import smooth_to_resolution
from sofia_engine.spectroscopy.tracing import trace_apertures
from sofia_engine.spectroscopy.velocity import compute_velocity_shifts, read_pointing
from sofia_engine.spectroscopy.wavelength_shift import measure_shift

pytestmark = pytest.mark.golden
STEM = "forcast_gri_g063/expected/F0501_FO_GRI_90000101_FORG063_{}_0001.fits.gz"
STANDARD = "forcast_gri_std/expected/F0501_FO_GRI_90000101_FORG111_{}.fits.gz"


def compare(found, expected):
    """Share of pixels finite in both, and the 99.5 % difference over the 99.9 % level, as the golden README has it."""
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    both, either = np.isfinite(found) & np.isfinite(expected), np.isfinite(found) | np.isfinite(expected)
    level = np.percentile(np.abs(found - expected)[both] / np.nanpercentile(np.abs(expected), 99.9), 99.5)
    return both.sum() / either.sum(), level


@dataclass(frozen=True)
class Chain:
    stacked: Product
    rectified: Product
    merged: Product
    calibrated: Product


@pytest.fixture(scope="module")
def chain(golden):
    return Chain(*(Product.read(golden / STEM.format(code)) for code in ("STK", "RIM", "MGM", "CRM")))


@pytest.fixture(scope="module")
def setting(get_reference):
    orders = read_orders(fits.getheader(get_reference("order_mask")))
    return orders, make_order_mask(orders, (256, 256)), read_maps(fits.getdata(get_reference("wave_cal")))


@pytest.fixture(scope="module")
def profiles(chain):
    """The profiles as the reference makes them, of its own rectified image."""
    return make_profiles(chain.rectified["FLUX"], chain.rectified["WAVEPOS"], ProfileRule(rows="all"))


@pytest.fixture(scope="module")
def apertures(chain, profiles):
    slit = chain.rectified["SLITPOS"]
    located = find_apertures(slit, profiles.median, 1, 3.0)
    traces = trace_apertures(chain.rectified["FLUX"], chain.rectified["WAVEPOS"], slit, located)
    return located, traces, set_radii(slit, profiles.median, located)


def test_that_the_rectified_image_is_that_of_the_reference(chain, setting):
    orders, mask, maps = setting
    rectify = plan_rectification(mask, maps, RectificationRule(orders.slit.scale, error="area"))
    out = rectify(chain.stacked["FLUX"], chain.stacked["ERROR"] ** 2.0)
    np.testing.assert_allclose(out.wavelength, chain.rectified["WAVEPOS"], rtol=1e-12)
    np.testing.assert_allclose(out.slit, chain.rectified["SLITPOS"], rtol=1e-12)
    share, level = compare(out.flux / 2, chain.rectified["FLUX"])  # nod-match-chop data are halved
    assert share > 0.99
    assert level < 1e-6
    share, level = compare(np.sqrt(out.variance) / 2, chain.rectified["ERROR"])
    assert level < 1e-6
    # missing raw pixels spoil fewer rectified ones
    assert not (out.bad & (chain.rectified["BADMASK"] == 0)).any()


def test_that_the_world_coordinates_are_those_of_the_reference(chain, setting):
    cards = list_rectified_wcs(
        chain.rectified["WAVEPOS"], chain.rectified["SLITPOS"], chain.stacked.header, setting[2].slit
    )
    assert len(cards) == 12 + 22
    for key, value, comment in cards:
        expected = chain.rectified.header[key]
        assert value == (expected if isinstance(expected, str) else pytest.approx(expected, abs=1e-9)), key
        assert comment == chain.rectified.header.comments[key]


def test_that_profiles_are_those_of_the_reference(chain, profiles):
    np.testing.assert_allclose(profiles.median, chain.rectified["SPATIAL_PROFILE"], atol=1e-6 * profiles.median.max())
    share, level = compare(profiles.map, chain.rectified["SPATIAL_MAP"])
    assert share == 1.0
    assert level < 1e-6


def test_that_apertures_and_trace_are_those_of_the_reference(chain, apertures):
    located, (trace,), sizes = apertures
    header = chain.merged.header
    for key, value, _ in [*list_aperture_cards(located), *list_size_cards(sizes)]:
        assert value == str(header[key]), key
    np.testing.assert_allclose(trace.positions, chain.merged["APERTURE_TRACE"][0], atol=1e-6)


def test_that_the_region_file_is_that_of_the_reference(golden, chain, apertures):
    import re

    (name,) = (golden / "forcast_gri_g063/expected").glob("*TRC*.reg")
    (trace,) = apertures[1]
    lines = format_points(trace.x, trace.y) + format_fit_lines(chain.rectified["WAVEPOS"], trace.positions)
    expected = name.read_text().splitlines()
    assert len(lines) == len(expected)
    number = re.compile(r"-?\d+\.\d+")
    for line, other in zip(lines, expected, strict=True):
        assert number.sub("#", line) == number.sub("#", other)
        np.testing.assert_allclose(
            [float(n) for n in number.findall(line)], [float(n) for n in number.findall(other)], atol=2e-6
        )


@pytest.mark.parametrize(
    ("edges", "rows", "tolerance"), [("lower", "all", 1e-6), ("coverage", "all", 1e-3), ("coverage", "bright", 1.5e-2)]
)
def test_that_the_extracted_spectrum_is_that_of_the_reference(chain, apertures, edges, rows, tolerance):
    image, slit = chain.rectified["FLUX"], chain.rectified["SLITPOS"]
    _, traces, sizes = apertures
    mask = make_aperture_mask(slit, [t.positions for t in traces], sizes.apertures, sizes.background, edges=edges)
    if edges == "lower":
        share, level = compare(mask, chain.merged["APERTURE_MASK"])
        assert share == 1.0
        assert level < 1e-6
    variance = chain.rectified["ERROR"].astype(float) ** 2
    background = fit_background(image, variance, slit, read_background(mask))
    found = make_profiles(image, chain.rectified["WAVEPOS"], ProfileRule(rows=rows))
    task = ExtractionTask(image - background.flux, variance + background.variance, chain.rectified["BADMASK"] > 0,
                          found.map, mask, [1])  # fmt: skip
    spectra = extract_spectra(task)
    share, level = compare(spectra.flux[0], chain.merged["SPECTRAL_FLUX"])
    assert share == 1.0
    assert level < tolerance
    assert np.median(spectra.error[0] / chain.merged["SPECTRAL_ERROR"]) == pytest.approx(1.0, abs=0.01)
    assert np.median(spectra.flux[0] / chain.merged["SPECTRAL_FLUX"]) == pytest.approx(1.0, abs=3e-3)
    assert np.count_nonzero(spectra.bad != (chain.merged["BADMASK"] > 0)) <= (0 if rows == "all" else 3)
    share, level = compare(spectra.image, chain.merged["FLUX"])
    assert level < 1e-3


def test_that_profiles_of_bright_rows_bring_the_spectrum_nearer_to_the_truth(golden, chain, apertures):
    truth = np.loadtxt(golden / "forcast_gri_g063/truth.csv")
    wave, slit = chain.rectified["WAVEPOS"], chain.rectified["SLITPOS"]
    _, traces, sizes = apertures
    mask = make_aperture_mask(slit, [t.positions for t in traces], sizes.apertures, sizes.background)
    clear = chain.merged["TRANSMISSION"] > 0.6
    calibration = chain.merged["TRANSMISSION"] * chain.calibrated["RESPONSE"] * np.interp(wave, *truth.T)
    scatter = {}
    for rows in ("all", "bright"):
        found = make_profiles(chain.rectified["FLUX"], wave, ProfileRule(rows=rows))
        variance = chain.rectified["ERROR"].astype(float) ** 2
        background = fit_background(chain.rectified["FLUX"], variance, slit, read_background(mask))
        task = ExtractionTask(chain.rectified["FLUX"] - background.flux, variance, chain.rectified["BADMASK"] > 0,
                              found.map, mask, [1])  # fmt: skip
        ratio = (extract_spectra(task).flux[0] / calibration)[clear]
        ratio = ratio[np.isfinite(ratio)]
        assert np.median(ratio) == pytest.approx(1.0, abs=0.003)
        scatter[rows] = ratio.std()
    assert scatter["bright"] < 0.9 * scatter["all"]


def test_that_the_calibrated_spectrum_and_image_are_those_of_the_reference(chain, get_reference):
    wave = chain.merged["WAVEPOS"]
    model = fits.getdata(get_reference("atran"))
    transmission = smooth_to_resolution(model[0], model[1], 180.0, wave)
    np.testing.assert_allclose(transmission, chain.merged["TRANSMISSION"], atol=3e-5)
    rows = fits.getdata(get_reference("response"))
    response = interpolate_response(rows[0], rows[1], rows[2], wave)
    shift = measure_shift(chain.merged["SPECTRAL_FLUX"], chain.merged["SPECTRAL_ERROR"], transmission * response.values)
    assert abs(shift.shift) < 0.1
    for flux, error in (("SPECTRAL_FLUX", "SPECTRAL_ERROR"), ("FLUX", "ERROR")):
        values, spread = calibrate(chain.merged[flux], chain.merged[error], transmission, response)
        for found, name in ((values, flux), (spread, error)):
            share, level = compare(found, chain.calibrated[name])
            assert share == 1.0
            assert level < 1e-4


def test_that_velocity_shifts_are_those_of_the_reference(chain):
    shifts = compute_velocity_shifts(read_pointing(chain.calibrated.header))
    assert shifts.barycentric == pytest.approx(chain.calibrated.header["BARYSHFT"], rel=1e-4)
    assert shifts.local_standard == pytest.approx(chain.calibrated.header["LSRSHFT"], rel=1e-4)


def test_that_responses_are_those_of_the_reference(golden, get_reference):
    merged = Product.read(golden / STANDARD.format("MGM_0001"))
    made = [Product.read(golden / STANDARD.format(f"RSP_000{k}")) for k in (1, 2)]
    instrument = Product.read(golden / STANDARD.format("IRS_0001-0002"))
    wave, resolution = merged["WAVEPOS"], made[0].header["RP"]
    star = fits.getdata(golden / "forcast_gri_std/raw/alphaboo_model.fits.gz")
    model = smooth_to_resolution(star[0], star[1], resolution, wave)
    np.testing.assert_allclose(model, made[0]["STANDARD_MODEL"], rtol=1e-3)
    atmosphere = fits.getdata(get_reference("atran"))
    transmission = smooth_to_resolution(atmosphere[0], atmosphere[1], resolution, wave)
    rows = fits.getdata(get_reference("response", 20210705, "FOR_G111"))
    old = interpolate_response(rows[0], rows[1], rows[2], wave)
    flux, error = calibrate(merged["SPECTRAL_FLUX"], merged["SPECTRAL_ERROR"], transmission, old)
    response, spread = make_response(flux, error, old, model)
    np.testing.assert_allclose(response, made[0]["RESPONSE"], rtol=1e-3)
    np.testing.assert_allclose(spread, made[0]["RESPONSE_ERROR"], rtol=1e-3)
    scales = find_scales([product["RESPONSE"] for product in made], "median")
    combined = combine_spectra(
        [p["RESPONSE"] for p in made], [p["RESPONSE_ERROR"] for p in made], CombinationRule(), scales
    )
    smooth, _ = smooth_spectrum(combined.flux, combined.error, 2.0)
    np.testing.assert_allclose(smooth, instrument["RESPONSE"], rtol=1e-3)
