"""Simulated FORCAST grism observations through the whole recipe: flux, wavelengths and noise come back.

A few seeds are reduced by default. The proof over more seeds and all grisms takes some minutes::

    python -m pytest tests/truth -m slow
"""

import warnings
from dataclasses import dataclass

import numpy as np
import pytest
from astropy.io import fits

from sofia_engine.header.celestial import read_tangent_plane
from sofia_engine.pipeline.reduction import Reduction
from sofia_engine.product import Product
from sofia_engine.reference import ReferenceRequest
from sofia_engine.simulate import simulate

FEW, MANY = 3, 12
CLEAR = 0.6
"""Transmission above which spectra are judged."""
EDGE = 5
"""Columns at both ends that are not judged: the response is not known there."""
EVERY = [(grism, slit) for grism in ("G063", "G111", "G227", "G329") for slit in ("LS24", "LS47")]
BRIGHT = dict(zip(EVERY, (400.0, 250.0, 400.0, 250.0, 1400.0, 500.0, 7000.0, 2000.0), strict=True))
FAINT = dict(zip(EVERY, (11.0, 6.5, 11.0, 6.5, 36.0, 11.5, 175.0, 43.0), strict=True))
"""Jy at which signal over noise is about 700 to 800, and about 20."""
ARCSEC = 3600.0


@dataclass(frozen=True)
class Recovered:
    """What one file of a simulated observation gives, in clear columns (others are NaN).

    Attributes
    ----------
    ratio : (n,) ndarray
        Calibrated spectrum over the truth.
    pull : (n,) ndarray
        Difference from the truth in units of the quoted error, the error of the response left out: the response is
        exact here.
    shifts : tuple of float
        Measured less true positions of the lines, pixels.
    """

    ratio: np.ndarray
    pull: np.ndarray
    shifts: tuple[float, ...]


def fit_line(wave, flux, error, line):
    """Centre of a Gaussian on a slope near a line."""
    from scipy.optimize import curve_fit

    near = (np.abs(wave - line.wavelength_um) < 2.2 * line.fwhm_um) & np.isfinite(flux)

    def model(x, height, center, sigma, level, slope):
        return height * np.exp(-0.5 * ((x - center) / sigma) ** 2) + level + slope * (x - line.wavelength_um)

    start = (np.sign(line.flux_w_m2) * np.ptp(flux[near]), line.wavelength_um, line.fwhm_um / 2.355)
    found, _ = curve_fit(model, wave[near], flux[near], (*start, np.median(flux[near]), 0.0), sigma=error[near])
    return found[1]


def compare(product, truth, spectrum):
    """Compare a calibrated product with the truth."""
    wave = product["WAVEPOS"]
    planes = (np.asarray(product[name], dtype=float).reshape(-1, wave.size)[0] for name in (
        "SPECTRAL_FLUX", "SPECTRAL_ERROR", "RESPONSE", "RESPONSE_ERROR"
    ))  # fmt: skip
    flux, error, response, response_error = planes
    expected, transmission = (
        np.interp(wave, spectrum["wavelength"], spectrum[name]) for name in ("flux", "transmission")
    )
    noise = np.sqrt(np.maximum(error**2 - (flux * response_error / response) ** 2, 0))
    judged = np.isfinite(flux) & (transmission > CLEAR) & (noise > 0)
    judged[:EDGE] = judged[-EDGE:] = False
    shifts = tuple((fit_line(wave, flux, noise, line) - line.wavelength_um) / truth.column_um for line in truth.lines)
    return Recovered(
        np.where(judged, flux / expected, np.nan), np.where(judged, (flux - expected) / noise, np.nan), shifts
    )


def reduce_simulation(folder, seed, settings, kind="nmc", **options):
    """Simulate, reduce, compare: one result per file."""
    truth = simulate(f"forcast-grism-{kind}", folder / f"raw{seed}", seed=seed, **options)
    spectrum = truth.read_spectrum()
    reduction = Reduction.open(truth.paths, output=folder / f"out{seed}", session=folder / f"session{seed}")
    try:
        for (step, key), value in settings.items():
            reduction.set(step, **{key: value})
        reduction.run_to("flux_calibrate")
        return [compare(product, truth, spectrum) for product in reduction.products]
    finally:
        reduction.close()


def scatter(results):
    """Spread of pulls about the mean of their column: noise alone, without what is the same in all files."""
    pulls = np.array([result.pull for result in results])
    known = np.isfinite(pulls).all(axis=0)
    return float(np.sqrt(np.mean(np.var(pulls[:, known], axis=0, ddof=1))))


def medians(results):
    return np.array([np.nanmedian(result.ratio) for result in results])


def signal_to_noise(results):
    """Median over columns and files, from the quoted errors."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.nanmedian([result.pull / (result.ratio - 1) for result in results]))


def bias(results):
    """Mean of all files over the truth, less 1, in the columns that all of them have."""
    mean = np.mean([result.ratio for result in results], axis=0) - 1
    return mean[np.isfinite(mean)]


@pytest.fixture
def store(reference_store):
    """Skip where the published calibration files are not at hand."""
    return reference_store


@pytest.fixture(scope="module")
def observed(reference_store, tmp_path_factory):
    """Observations of a star with lines, dithered along the slit, reduced with defaults."""
    folder = tmp_path_factory.mktemp("observed")
    return [result for seed in range(FEW) for result in reduce_simulation(folder, seed, {})]


def test_that_flux_comes_back_within_one_percent_where_the_atmosphere_is_clear(observed):
    assert np.abs(medians(observed) - 1).max() < 0.01
    assert abs(medians(observed).mean() - 1) < 0.004


def test_that_lines_come_back_within_a_tenth_of_a_pixel(observed):
    shifts = np.array([result.shifts for result in observed])
    assert np.abs(shifts.mean(axis=0)).max() < 0.05
    assert np.abs(shifts).max() < 0.1


def test_that_quoted_errors_are_the_scatter_within_ten_percent(store, tmp_path):
    same_place = {"dithers_arcsec": ((0.0, 0.0),) * 3, "lines": ()}
    results = [result for seed in range(FEW) for result in reduce_simulation(tmp_path, seed, {}, **same_place)]
    assert scatter(results) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("grism", "slit", "flux"), [("G063", "LS47", 200.0), ("G111", "LS24", 300.0), ("G329", "LS47", 1500.0)]
)
def test_that_quoted_errors_are_the_scatter_of_bright_dithered_files(store, tmp_path, grism, slit, flux):
    """Dithered along the slit, with 550 and more times as much signal as noise: record 35."""
    options = {"grism": grism, "slit": slit, "flux": flux, "lines": ()}
    results = [result for seed in range(2) for result in reduce_simulation(tmp_path, seed, {}, **options)]
    assert signal_to_noise(results) > 500
    assert scatter(results) == pytest.approx(1, abs=0.1)
    assert abs(bias(results).mean()) < 0.001
    assert np.abs(bias(results)).max() < 0.01


@pytest.mark.parametrize(("grism", "slit"), EVERY)
def test_that_flux_is_right_in_every_column_of_every_grism_and_slit(store, tmp_path, grism, slit):
    """Without noise: what is left is common to all files of a star at this place in the slit. Record 36."""
    options = {"grism": grism, "slit": slit, "flux": BRIGHT[grism, slit], "lines": (), "noise": False, "n_dither": 1}
    off = np.abs(bias(reduce_simulation(tmp_path, 0, {}, **options)))
    assert off.size > 200
    assert off.max() < (0.015 if (grism, slit) == ("G111", "LS24") else 0.01)  # one column beside the band at 13.9 um
    assert np.count_nonzero(off > 0.01) <= 1
    assert np.sqrt(np.mean(off**2)) < 0.002


def test_that_wavelengths_off_by_part_of_a_pixel_are_put_right(store, tmp_path):
    """The spectrum lies 0.6 columns further right than the wavelength calibration says; it has lines of its own."""
    path = store.get(ReferenceRequest("FORCAST", "wave_cal", 20210705, {"spectel": "FOR_G063", "slit": "FOR_LS24"}))
    with fits.open(path) as hdus:
        planes, header = hdus[0].data.astype(float), hdus[0].header
    planes[0] -= 0.6 * np.nanmedian(np.diff(planes[0], axis=1))
    fits.PrimaryHDU(planes, header).writeto(tmp_path / "moved.fits")
    given = {("make_profiles", "wavefile"): str(path)}
    options = {"wave_cal": tmp_path / "moved.fits", "n_dither": 2}
    (right, *_) = reduce_simulation(tmp_path, 0, given, **options)
    (wrong, *_) = reduce_simulation(tmp_path, 1, given | {("flux_calibrate", "auto_shift"): False}, **options)
    assert np.abs(right.shifts).max() < 0.1
    assert np.mean(wrong.shifts) == pytest.approx(0.6, abs=0.1)


def test_that_a_positive_and_a_negative_trace_return_the_flux(store, tmp_path):
    """Nodding along the slit, both traces extracted and merged, two parameters away from the defaults."""
    settings = {("locate_apertures", "num_aps"): 2}
    results = reduce_simulation(tmp_path, 0, settings, kind="npcnas")
    assert np.abs(medians(results) - 1).max() < 0.01
    assert np.abs([result.shifts for result in results]).max() < 0.15


def test_that_the_median_profile_returns_the_flux_of_a_moving_trace(store, tmp_path):
    settings = {("extract_spectra", "use_profile"): True}
    results = reduce_simulation(tmp_path, 0, settings, grism="G329", flux=1500.0, trace_tilt_arcsec=3.0, n_dither=2)
    assert np.abs(medians(results) - 1).max() < 0.005


def test_that_the_median_profile_follows_the_blur_of_rectification(store, tmp_path):
    """Else columns are wrong by 0.3 per cent, others in every dither, and by 0.5 in the mean. Record 36."""
    settings = {("extract_spectra", "use_profile"): True}
    options = {"slit": "LS47", "flux": 200.0, "lines": (), "noise": False}
    ratios = np.array([result.ratio for result in reduce_simulation(tmp_path, 0, settings, **options)])
    known = np.isfinite(ratios).all(axis=0)
    assert np.sqrt(np.mean(np.var(ratios[:, known], axis=0, ddof=1))) < 0.0012
    assert np.sqrt(np.mean((ratios[:, known].mean(axis=0) - 1) ** 2)) < 0.003


def reduce_all(truth, folder, **settings):
    """Reduce raw files of a simulation to the end, with parameters by step; gives the folder of products."""
    with Reduction.open(truth.paths, output=folder, session=folder / "session") as reduction:
        for step, values in settings.items():
            reduction.set(step, **values)
        reduction.reduce()
    return folder


def test_that_a_standard_star_gives_the_response_and_this_the_star_again(store, tmp_path):
    """The response of one simulated standard calibrates another of different noise, flux and place in the slit."""
    truth = simulate("forcast-grism-standard", tmp_path / "raw", seed=1, flux=300.0, n_dither=4)
    model = next((tmp_path / "raw").glob("*_model.fits"))
    folder = reduce_all(truth, tmp_path / "standard", make_response={"model_file": str(model)})
    made = Product.read(next(folder.glob("*_IRS_*")))
    spectrum = truth.read_spectrum()
    wave, response, error = made["WAVEPOS"], made["RESPONSE"], made["RESPONSE_ERROR"]
    true, transmission = (
        np.interp(wave, spectrum["wavelength"], spectrum[key]) for key in ("response", "transmission")
    )
    clear = np.isfinite(response) & (transmission > CLEAR)
    clear[:EDGE] = clear[-EDGE:] = False
    assert np.median((response / true)[clear]) == pytest.approx(1, abs=3e-3)
    assert np.std((response / true)[clear]) < 0.01
    assert np.median((error / response)[clear]) < 0.01
    settings = {("flux_calibrate", "respfile"): str(next(folder.glob("*_IRS_*")))}
    star = {"grism": "G063", "flux": 80.0, "slope": -2.0, "lines": (), "source_offset_arcsec": (0.0, -20.0)}
    results = reduce_simulation(tmp_path, 2, settings, n_dither=2, **star)
    assert np.abs(medians(results) - 1).max() < 0.01


@pytest.mark.slow
def test_that_the_quoted_error_of_a_response_is_its_scatter(store, tmp_path):
    """Smoothing makes columns alike; their covariance is in the error."""
    curves = []
    for seed in range(8):
        truth = simulate("forcast-grism-standard", tmp_path / f"raw{seed}", seed=seed, flux=30.0,
                         dithers_arcsec=((0.0, 0.0),) * 2)  # fmt: skip
        model = next((tmp_path / f"raw{seed}").glob("*_model.fits"))
        folder = reduce_all(truth, tmp_path / f"out{seed}", make_response={"model_file": str(model)},
                            combine_response={"scale_method": "none"})  # fmt: skip
        made = Product.read(next(folder.glob("*_IRS_*")))
        curves.append((made["RESPONSE"], made["RESPONSE_ERROR"]))
    values, errors = np.array(curves).transpose(1, 0, 2)
    known = np.isfinite(values).all(axis=0)
    pull = ((values - values.mean(axis=0)) / errors)[:, known]
    assert np.sqrt((pull**2).sum(axis=0).mean() / (len(curves) - 1)) == pytest.approx(1, abs=0.1)


def draw_source(product, truth, blur):
    """What each pixel of a cube shows of the extended source of a simulation, for unit flux."""
    source = truth.options["extended"]
    y, x = np.indices(product["EXPOSURE"].shape)
    ra, dec = read_tangent_plane(product.header).to_sky(x, y)
    east = (ra - truth.ra) * np.cos(np.radians(truth.dec)) * ARCSEC
    north = (dec - truth.dec) * ARCSEC
    angle = np.radians(source["position_angle"])
    along, across = east * np.sin(angle) + north * np.cos(angle), east * np.cos(angle) - north * np.sin(angle)
    widths = np.array([source["fwhm_major_arcsec"], source["fwhm_minor_arcsec"], truth.psf_fwhm_arcsec]) / 2.35482
    major, minor = np.hypot(widths[:2], np.hypot(widths[2], blur))
    shape = np.exp(-0.5 * ((along / major) ** 2 + (across / minor) ** 2))
    return shape / (2 * np.pi * major * minor) * truth.row_arcsec**2


@pytest.fixture(scope="module")
def scan(reference_store, tmp_path_factory):
    """A slit scan over an extended source, simulated and reduced to a cube."""
    folder = tmp_path_factory.mktemp("scan")
    truth = simulate("forcast-grism-slitscan", folder / "raw", seed=1, trace_tilt_arcsec=0.0,
                     trace_curvature_arcsec=0.0)  # fmt: skip
    return truth, Product.read(next(reduce_all(truth, folder / "out").glob("*_SCB_*.fits")))


def test_that_the_cube_of_a_slit_scan_holds_the_light_of_the_source_at_its_place(scan):
    truth, cube = scan
    spectrum = truth.read_spectrum()
    expected = np.interp(cube["WAVEPOS"], spectrum["wavelength"], spectrum["extended_flux"])
    relative = cube["FLUX"] / expected[:, None, None]
    clear = (cube["TRANSMISSION"] > CLEAR) & np.isfinite(relative).any(axis=(1, 2))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        image = np.nanmedian(relative[clear], axis=0)
    source = draw_source(cube, truth, 1.1)  # the weights of the local means, about a Gaussian of 2 pixels over root 2
    bright = (source > 0.2 * source.max()) & (cube["EXPOSURE"] > 0) & np.isfinite(image)
    assert image[bright].sum() / source[bright].sum() == pytest.approx(1, abs=0.01)
    y, x = np.indices(image.shape)
    for axis in (x, y):
        found, true = (np.average(axis[bright], weights=part[bright]) for part in (image, source))
        assert abs(found - true) * truth.row_arcsec < 0.1
    total = np.nansum(np.where(bright, relative, np.nan), axis=(1, 2)) / source[bright].sum()
    assert np.median(total[clear]) == pytest.approx(1, abs=0.01)
    assert np.percentile(np.abs(total[clear] - 1), 90) < 0.03


def test_that_the_lines_of_a_cube_are_at_their_wavelengths(scan):
    truth, cube = scan
    wave, exposed = cube["WAVEPOS"], cube["EXPOSURE"] > 0
    flux = np.nansum(np.where(exposed, cube["FLUX"], 0.0), axis=(1, 2))
    for line in (line for line in truth.lines if line.flux_w_m2 > 0):
        center = fit_line(wave, flux, np.ones_like(flux), line)
        assert abs(center - line.wavelength_um) < 0.1 * truth.column_um


def test_that_header_offsets_place_images_as_coordinates_do(store, tmp_path):
    """Files whose pointing says nothing of the dithers are placed by DITHERX, DITHERY."""
    truth = simulate("forcast-grism-nmc", tmp_path / "raw", seed=0, n_dither=2, lines=())
    (tmp_path / "blind").mkdir()
    first = fits.getheader(truth.paths[0])
    for path in truth.paths:
        with fits.open(path) as hdus:
            hdus[0].header.update({key: first[key] for key in ("CRVAL1", "CRVAL2")})
            hdus.writeto(tmp_path / "blind" / path.name)
    images = {}
    for name in ("raw", "blind"):
        files = sorted((tmp_path / name).glob("*.fits"))
        method = "Use WCS as is" if name == "raw" else "Use header offsets"
        with Reduction.open(files, output=tmp_path / "out" / name, session=tmp_path / f"s{name}") as reduction:
            reduction.set("combine_spectra", registration=method)
            reduction.run_to("combine_spectra")
            images[name] = reduction.products[0]["FLUX"]
    assert images["raw"].shape == images["blind"].shape
    level = np.nanmax(images["raw"])
    assert np.nanmax(np.abs(images["raw"] - images["blind"])) < 0.02 * level


@pytest.mark.slow
@pytest.mark.parametrize("grism", ["G063", "G111", "G227", "G329"])
@pytest.mark.parametrize("slit", ["LS24", "LS47"])
def test_that_every_grism_and_slit_returns_flux_and_wavelengths(store, tmp_path, grism, slit):
    """Enough light that noise moves the mean position of the faintest line by 0.003 columns."""
    flux = {"G063": 500.0, "G111": 500.0, "G227": 3000.0, "G329": 7500.0}[grism]
    options = {"grism": grism, "slit": slit, "flux": flux}
    results = [result for seed in range(FEW) for result in reduce_simulation(tmp_path, seed, {}, **options)]
    assert abs(medians(results).mean() - 1) < 0.01
    assert np.abs(np.mean([result.shifts for result in results], axis=0)).max() < 0.03


@pytest.mark.slow
@pytest.mark.parametrize("flux", [10.0, 100.0])
def test_that_errors_are_right_within_ten_percent_for_faint_and_bright_sources(store, tmp_path, flux):
    same_place = {"dithers_arcsec": ((0.0, 0.0),) * 2, "lines": (), "flux": flux}
    results = [result for seed in range(MANY) for result in reduce_simulation(tmp_path, seed, {}, **same_place)]
    assert scatter(results) == pytest.approx(1, abs=0.1)
    assert abs(medians(results).mean() - 1) < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("fluxes", [FAINT, BRIGHT], ids=["faint", "bright"])
@pytest.mark.parametrize(("grism", "slit"), EVERY)
def test_that_errors_and_flux_are_right_for_dithered_files_of_every_grism(store, tmp_path, grism, slit, fluxes):
    """24 files: the ratio of scatter and error is known to 2 per cent. Record 36."""
    options = {"grism": grism, "slit": slit, "flux": fluxes[grism, slit], "lines": ()}
    results = [result for seed in range(8) for result in reduce_simulation(tmp_path, seed, {}, **options)]
    assert (10, 500)[fluxes is BRIGHT] < signal_to_noise(results) < (40, 900)[fluxes is BRIGHT]
    assert scatter(results) == pytest.approx(1, abs=0.1)
    assert abs(bias(results).mean()) < (0.01 if fluxes is FAINT else 0.001)
    if fluxes is BRIGHT:
        assert np.count_nonzero(np.abs(bias(results)) > 0.01) <= 1
        assert np.sqrt(np.mean(bias(results) ** 2)) < 0.002


@pytest.mark.slow
def test_that_nodding_to_empty_sky_returns_the_flux(store, tmp_path):
    results = [result for seed in range(FEW) for result in reduce_simulation(tmp_path, seed, {}, kind="nxcac")]
    assert abs(medians(results).mean() - 1) < 0.01
