"""Simulated FIFI-LS observations through the whole recipe: line flux, velocity, position and noise come back.

A few observations are reduced by default. The proof over many seeds and all modes takes some minutes::

    python -m pytest tests/truth -m slow
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.optimize import curve_fit
from scipy.special import erf

from sofia_engine.errors import ReferenceDataError
from sofia_engine.pipeline.reduction import Reduction
from sofia_engine.simulate import simulate

LIGHT_KM_S, LIGHT_UM_S = 299792.458, 2.99792458e14
W_M2_HZ_PER_JY = 1e-26
SIGMA = 1 / math.sqrt(8 * math.log(2))
PAIRS, MANY = 3, 16
APERTURE_FACTOR = 6.1
"""Error of the sum over a circle of 15 arcsec over the square root of the sum of ERROR squared; see the decision."""


@pytest.fixture(scope="module", autouse=True)
def _offline():
    """Use the calibration files at hand; tests are skipped without them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFIA_DESK_OFFLINE", "1")
        yield


def lay_mosaic(n, step):
    """Offsets of a square mosaic, arcsec."""
    places = (np.arange(n) - (n - 1) / 2) * step
    return tuple((float(east), float(north)) for east in places for north in places)


MOSAIC = {"line_flux_w_m2": 1e-13, "flux": 100.0, "nod_pattern": "AAAAAAAAB", "chop_cycles": 3}


@dataclass(frozen=True)
class Cube:
    """A cube with offsets from the position of the observation (arcsec), and the samples it was made of."""

    truth: object
    channel: str
    flux: np.ndarray
    error: np.ndarray
    wavelength: np.ndarray
    east: np.ndarray
    north: np.ndarray

    @property
    def known(self):
        """The truth of the channel."""
        return self.truth.channels[self.channel]

    @property
    def channel_km_s(self):
        """Width of a spectral pixel."""
        return float(np.diff(self.wavelength).mean() / self.known.line_um * LIGHT_KM_S)

    def circle(self, radius, center=(0.0, 0.0)):
        """Pixels within a radius."""
        return np.hypot(self.east - center[0], self.north - center[1]) < radius


def read_cube(truth, channel, product):
    ra, dec = (np.asarray(product[name], dtype=float) for name in ("RA---TAN", "DEC--TAN"))
    ra0, dec0 = truth.options["ra"], truth.options["dec"]
    east, north = np.meshgrid((ra - ra0) * 3600 * np.cos(np.radians(dec0)), (dec - dec0) * 3600)
    planes = (np.asarray(product[name], dtype=float) for name in ("FLUX", "ERROR", "WAVELENGTH"))
    return Cube(truth, channel, *planes, east, north)


def observe(folder, kind, seed, *, channel="RED", cubes=(), ramp_errors="fit", level=True, **options):
    """Simulate and reduce; give the truth, the samples before Resample, and a cube for each set of parameters."""
    try:
        truth = simulate(f"fifi-ls-{kind}", folder / "raw", seed=seed, channel=channel, **options)
    except ReferenceDataError as error:
        pytest.skip(f"the calibration files of FIFI-LS are not here: {error}")
    made = []
    with Reduction.open(truth.paths_of(channel), session=folder / "session") as reduction:
        for step, values in truth.parameters.items():
            reduction.set(step, **values)
        reduction.set("fit_ramps", ramp_errors=ramp_errors)
        reduction.set("combine_grating_scans", bias=level)
        reduction.run_to("correct_wave_shift")
        samples = gather_samples(reduction.products)
        defaults = reduction.parameters("resample").by_key()
        for parameters in cubes:
            usual = {key: defaults[key] for key in ("xy_smoothing", "adaptive_algorithm")}
            reduction.set("resample", skip_uncorrected=True, **usual | parameters)
            reduction.step()
            made.append(read_cube(truth, channel, reduction.products[0]))
            reduction.undo()
    return truth, samples, made


def gather_samples(products):
    """(5, n): right ascension, declination (degrees), wavelength, flux, error of all usable samples."""
    rows = []
    for product in products:
        planes = [np.asarray(product[name], float) for name in ("RA", "DEC", "LAMBDA", "FLUX", "STDDEV")]
        rows.append(np.stack([plane.ravel() for plane in np.broadcast_arrays(*planes)]))
    samples = np.concatenate(rows, axis=1)
    samples[0] *= 15
    return samples[:, np.isfinite(samples).all(axis=0) & (samples[4] > 0)]


def predict_samples(truth, channel, samples, shift_km_s=0.0):
    """What the line and the continuum of the truth give in each sample, Jy."""
    known, options = truth.channels[channel], truth.options
    east = (samples[0] - options["ra"]) * 3600 * np.cos(np.radians(options["dec"]))
    north = (samples[1] - options["dec"]) * 3600
    angle = np.radians(options["detector_angle"])
    half, width = known.spaxel_arcsec / 2, math.sqrt(2) * known.psf_fwhm_arcsec * SIGMA
    line, continuum = np.zeros((2, east.size))
    sources = truth.read_sources(channel)
    for place, flux, velocity, level in zip(*vars(sources).values(), strict=True):
        x, y = east - place[0], north - place[1]
        sides = x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)
        share = math.prod(0.5 * (erf((side + half) / width) - erf((side - half) / width)) for side in sides)
        center, sigma = known.line_um * (1 + (velocity + shift_km_s) / LIGHT_KM_S), known.line_fwhm_um * SIGMA
        shape = np.exp(-0.5 * ((samples[2] - center) / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi))
        line += share * flux * shape * samples[2] ** 2 / LIGHT_UM_S / W_M2_HZ_PER_JY
        continuum += share * level
    return line, continuum


@dataclass(frozen=True)
class SampleFit:
    """Truth fitted to samples: flux over truth, velocity less truth, with errors, and scatter in units of errors."""

    flux: float
    flux_error: float
    velocity: float
    velocity_error: float
    pull: float


def fit_samples(truth, channel, samples):
    """Fit scale and velocity of the line, scale of the continuum and a level to the samples."""
    line, continuum = predict_samples(truth, channel, samples)
    step = 2.0
    derivative = (predict_samples(truth, channel, samples, step)[0] - line) / step
    columns = [line, derivative, np.ones_like(line), *([continuum] if continuum.any() else [])]
    matrix, data = np.stack(columns, axis=1) / samples[4][:, None], samples[3] / samples[4]
    found = np.linalg.lstsq(matrix, data, rcond=None)[0]
    errors = np.sqrt(np.diag(np.linalg.inv(matrix.T @ matrix)))
    scatter = float(np.std(data - matrix @ found))
    return SampleFit(found[0], errors[0], found[1] / found[0], errors[1] / found[0], scatter)


def fit_line(cube, radius):
    """Line flux over truth, and velocity, in the spectrum of a circle."""
    inside = cube.circle(radius)
    filled = np.isfinite(cube.flux)[:, inside].sum(axis=1)
    used = filled >= 0.98 * filled.max()
    assert filled.max() >= 0.98 * inside.sum(), "the circle reaches beyond the map"
    spectrum, wavelength = np.nansum(cube.flux[:, inside], axis=1)[used], cube.wavelength[used]
    known = cube.known

    def draw(wave, height, center, sigma, level, slope):
        return height * np.exp(-0.5 * ((wave - center) / sigma) ** 2) + level + slope * (wave - known.barycentric_um)

    start = [np.ptp(spectrum), known.barycentric_um, known.line_fwhm_um * SIGMA, spectrum.min(), 0.0]
    (height, center, sigma, *_), _ = curve_fit(draw, wavelength, spectrum, start)
    flux = height * abs(sigma) * math.sqrt(2 * math.pi) * LIGHT_UM_S / center**2 * W_M2_HZ_PER_JY
    truth = cube.truth.line_flux_w_m2 + cube.truth.extended_line_flux_w_m2
    return flux / truth, (center / known.line_um - 1) * LIGHT_KM_S


def map_line(cube):
    """Mean of the line's core less that of the continuum beside it."""
    away = np.abs(cube.wavelength - cube.known.barycentric_um) / cube.known.line_fwhm_um
    with np.errstate(invalid="ignore"):
        return cube.flux[away < 0.5].mean(axis=0) - cube.flux[(away > 1.2) & (away < 2)].mean(axis=0)


def find_center(cube, reach=15.0):
    """Centre of a two-dimensional Gaussian fitted to the map of the line, arcsec east and north."""
    image, inside = map_line(cube), cube.circle(reach)

    def draw(places, height, east, north, sigma, level):
        return height * np.exp(-0.5 * ((places[0] - east) ** 2 + (places[1] - north) ** 2) / sigma**2) + level

    start = [image[inside].max(), 0.0, 0.0, 8.0, 0.0]
    found, _ = curve_fit(draw, (cube.east[inside], cube.north[inside]), image[inside], start)
    return found[1], found[2]


def find_peak(cube):
    """Highest surface brightness of the line, in units of what a perfect spaxel at the source would see."""
    known = cube.known
    side = abs(cube.east[0, 1] - cube.east[0, 0])
    share = erf(known.spaxel_arcsec / 2 / (math.sqrt(2) * known.psf_fwhm_arcsec * SIGMA)) ** 2
    height = cube.truth.line_flux_w_m2 / (known.line_fwhm_um * SIGMA * math.sqrt(2 * math.pi))
    height *= known.barycentric_um**2 / LIGHT_UM_S / W_M2_HZ_PER_JY
    middle = np.argmin(np.abs(cube.wavelength - known.barycentric_um))
    line = cube.flux[middle] - np.mean(cube.flux[4:10], axis=0)
    highest = np.nanmax(np.where(cube.circle(10.0), line, np.nan))
    return float(highest / (height * share * (side / known.spaxel_arcsec) ** 2))


def compare_pairs(cubes, radius=15.0):
    """Scatter between cubes of different seeds in units of their errors: of pixels, and of sums over a circle."""
    pixels, sums = [], []
    for first, second in itertools.combinations(cubes, 2):
        difference, error = first.flux - second.flux, np.hypot(first.error, second.error)
        both = np.isfinite(difference) & np.isfinite(error)
        pixels.append(np.mean((difference[both] / error[both]) ** 2))
        inside = first.circle(radius)
        inner = both[:, inside].all(axis=1)
        sums.append(np.mean(difference[:, inside][inner].sum(1) ** 2 / (error[:, inside][inner] ** 2).sum(1)))
    return math.sqrt(np.mean(pixels)), math.sqrt(np.mean(sums))


@pytest.fixture(scope="module")
def mosaic(tmp_path_factory):
    """A bright point source in a mosaic: static smoothing as it is by default, and shaped."""
    folder = tmp_path_factory.mktemp("mosaic")
    variants = [{}, {"adaptive_algorithm": "shaped"}]
    return observe(folder, "bright", 5, cubes=variants, dithers_arcsec=lay_mosaic(4, 18.0), **MOSAIC)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """A faint point source with four dithers, with several seeds."""
    return [observe(tmp_path_factory.mktemp("pair"), "symmetric", 20 + seed, cubes=[{}]) for seed in range(PAIRS)]


def test_that_the_line_flux_comes_back_within_two_percent(mosaic):
    flux, _ = fit_line(mosaic[2][0], 45.0)
    assert flux == pytest.approx(1, abs=0.02)


def test_that_the_velocity_comes_back_within_a_tenth_of_a_channel(mosaic):
    for cube in mosaic[2]:
        _, velocity = fit_line(cube, 30.0)
        assert velocity == pytest.approx(mosaic[0].velocity_km_s, abs=0.1 * cube.channel_km_s)


def test_that_the_position_comes_back(mosaic):
    for cube in mosaic[2]:
        assert np.hypot(*find_center(cube)) < 0.5  # a sixth of a pixel; spaxels are 12.7 arcsec apart, some are dead


def test_that_shaped_smoothing_recovers_a_higher_peak_than_static(mosaic):
    static, shaped = (find_peak(cube) for cube in mosaic[2])
    assert static < 0.75
    assert 1.25 * static < shaped < 1.05


def test_that_samples_of_a_faint_source_are_right(pairs):
    for truth, samples, _ in pairs:
        fit = fit_samples(truth, "RED", samples)
        assert abs(fit.flux - 1) < 0.005 + 4 * fit.flux_error
        assert abs(fit.velocity) < 0.5 + 4 * fit.velocity_error


def test_that_errors_of_samples_are_right(pairs):
    pulls = [fit_samples(truth, "RED", samples).pull for truth, samples, _ in pairs]
    assert np.mean(pulls) == pytest.approx(1, abs=0.15)


def test_that_errors_of_cubes_are_right(pairs):
    pixel, factor = compare_pairs([cubes[0] for _, _, cubes in pairs])
    assert pixel == pytest.approx(1, abs=0.15)
    assert 0.6 * APERTURE_FACTOR < factor < 1.6 * APERTURE_FACTOR  # three seeds do not tell closer


MODES = {
    "symmetric": {},
    "asymmetric": {},
    "bright": {"flux": 60.0, "line_flux_w_m2": 2e-14, "level": False},  # levelling is spoilt by bright lines
    "spectral-scan": {},
    "total-power": {},
    "otf": {},
}


@pytest.mark.slow
@pytest.mark.parametrize("channel", ["RED", "BLUE"])
@pytest.mark.parametrize("kind", MODES)
def test_that_samples_of_all_modes_are_right(tmp_path_factory, kind, channel):
    fits = []
    for seed in range(4):
        truth, samples, _ = observe(tmp_path_factory.mktemp("mode"), kind, seed, channel=channel, **MODES[kind])
        samples = samples[:, :: max(1, samples.shape[1] // 10000)]
        fits.append(fit_samples(truth, channel, samples))
    error = math.sqrt(sum(fit.flux_error**2 for fit in fits)) / len(fits)
    assert np.mean([fit.flux for fit in fits]) == pytest.approx(1, abs=0.01 + 3 * error)
    error = math.sqrt(sum(fit.velocity_error**2 for fit in fits)) / len(fits)
    assert np.mean([fit.velocity for fit in fits]) == pytest.approx(0, abs=1 + 3 * error)
    assert np.mean([fit.pull for fit in fits]) == pytest.approx(1, abs=0.15)


@pytest.mark.slow
@pytest.mark.parametrize(("channel", "step", "radius"), [("RED", 18.0, 45.0), ("BLUE", 9.0, 23.0)])
def test_that_flux_velocity_and_position_come_back_from_mosaics_over_seeds(tmp_path_factory, channel, step, radius):
    found, centers = [], []
    for seed in range(6):
        folder = tmp_path_factory.mktemp("mosaic")
        _, _, (cube,) = observe(
            folder, "bright", seed, channel=channel, cubes=[{}], dithers_arcsec=lay_mosaic(5, step), **MOSAIC
        )
        found.append(fit_line(cube, radius))
        centers.append(find_center(cube, radius / 3))
    assert np.mean(found, axis=0)[0] == pytest.approx(1, abs=0.02)
    assert np.mean(found, axis=0)[1] == pytest.approx(30, abs=0.1 * cube.channel_km_s)
    assert np.hypot(*np.mean(centers, axis=0)) < 0.2


@pytest.mark.slow
def test_that_errors_flux_and_velocity_are_right_over_many_seeds(tmp_path_factory):
    cubes, pulls = [], []
    for seed in range(MANY):
        folder, variants = tmp_path_factory.mktemp("seed"), [{}, {"xy_smoothing": 0.6}]
        truth, samples, made = observe(folder, "symmetric", 50 + seed, cubes=variants, ramp_errors="scatter")
        pulls.append(fit_samples(truth, "RED", samples).pull)
        cubes.append(made)
    assert np.mean(pulls) == pytest.approx(1, abs=0.05)
    for variant in (0, 1):
        planes = [made[variant] for made in cubes]
        pixel, factor = compare_pairs(planes)
        assert pixel == pytest.approx(1, abs=0.06)
        scatter = np.std([cube.flux for cube in planes], axis=0, ddof=1)
        ratio = scatter / np.mean([cube.error for cube in planes], axis=0)
        slices = np.array([np.nanmean(plane) for plane in ratio[6:-6]])
        assert slices.mean() == pytest.approx(1, abs=0.06)
        assert np.percentile(np.abs(slices - 1), 90) < 0.15  # a slice has about fifteen independent places only
        if variant == 0:
            assert factor == pytest.approx(APERTURE_FACTOR, rel=0.1)
    fits = np.array([fit_line(made[1], 22.0) for made in cubes])
    assert fits[:, 0].mean() == pytest.approx(1, abs=0.02)
    assert fits[:, 1].mean() == pytest.approx(30, abs=0.1 * cubes[0][1].channel_km_s)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["asymmetric", "otf"])
def test_that_the_velocity_field_of_an_extended_source_comes_back(tmp_path_factory, kind):
    """Velocities along the major axis against those a perfect instrument of the same beam would see."""
    truth, _, (cube,) = observe(
        tmp_path_factory.mktemp("field"), kind, 3, cubes=[{"xy_smoothing": 0.6}], background_adu=30.0
    )
    beam = math.hypot(truth.channels["RED"].psf_fwhm_arcsec, 13.0)  # measured: a point source appears 20.3 arcsec wide
    along = np.array([-15.0, -9.0, 0.0, 9.0, 15.0])
    angle = np.radians(truth.options["extended"]["position_angle"])
    places = along[:, None] * np.array([np.sin(angle), np.cos(angle)])
    _, expected, _ = truth.read_sources("RED").moments(places, beam * SIGMA)
    found = []
    for place in places:
        near = cube.circle(3.0, place)
        spectrum = cube.flux[:, near].mean(axis=1)
        used = np.isfinite(spectrum) & (np.abs(cube.wavelength - 157.741) < 0.3)
        start = [spectrum[used].max(), 157.741, cube.known.line_fwhm_um * SIGMA * 1.3, 0.0]

        def draw(wave, height, center, sigma, level):
            return height * np.exp(-0.5 * ((wave - center) / sigma) ** 2) + level

        fitted, _ = curve_fit(draw, cube.wavelength[used], spectrum[used], start)
        found.append((fitted[1] / 157.741 - 1) * LIGHT_KM_S)
    assert np.array(found) == pytest.approx(expected, abs=8.0)
    assert found[-1] - found[0] > 60


NOISY_SCANS = {
    "extended": None, "flux": 50.0, "line_flux_w_m2": 5e-15, "n_dither": 6, "scan_length_arcsec": 80.0,
    "scan_step_arcsec": 14.0, "sky_noise_adu": 0.3, "sky_gradient_adu": 0.06, "pixel_drift_adu": 0.05,
    "gain_scatter": 0.03, "glitches": 0.0005,
}  # fmt: skip
"""Scans whose noise of the sky is several times the white noise of a ramp."""


def clean_scans(folder, seed, channel="RED", text="", **options):
    """Simulate and reduce scans; give the truth, the samples before the scan reduction and those after it."""
    from sofia_engine.instruments.fifi_ls.atmosphere_files import want_resolution
    from sofia_engine.instruments.fifi_ls.scan_resample import reduce_before_resampling
    from sofia_engine.pipeline.run import Run
    from sofia_engine.reference import ReferenceStore

    try:
        truth = simulate("fifi-ls-otf", folder / "raw", seed=seed, channel=channel, **NOISY_SCANS | options)
    except ReferenceDataError as error:
        pytest.skip(f"the calibration files of FIFI-LS are not here: {error}")
    with Reduction.open(truth.paths_of(channel), session=folder / "session") as reduction:
        for step, values in truth.parameters.items():
            reduction.set(step, **values)
        reduction.run_to("correct_wave_shift")
        products = list(reduction.products)
    run = Run("resample", "scans", store=ReferenceStore(offline=True))
    run.wanted = {"resolution": want_resolution(products[0].header)}
    cleaned = reduce_before_resampling(products, text, run, save=False, with_uncorrected=False, in_detector=False)
    return truth, gather_samples(products)[:, ::7], gather_samples(cleaned)[:, ::7]


def test_that_scan_reduction_brings_back_line_velocity_and_continuum(tmp_path_factory):
    fits, ratios = [], []
    for seed in range(2):
        truth, before, after = clean_scans(tmp_path_factory.mktemp("scans"), seed)
        fits.append(fit_samples(truth, "RED", after))
        line, continuum = predict_samples(truth, "RED", after)
        near = continuum > 0.3 * continuum.max()
        ratios.append(((after[3] - line) * continuum)[near].sum() / (continuum[near] ** 2).sum())
        assert after[3][continuum < 0.2].std() < 0.35 * before[3].std()
    assert np.mean([fit.flux for fit in fits]) == pytest.approx(1, abs=0.03)
    assert np.mean([fit.velocity for fit in fits]) == pytest.approx(0, abs=5)
    assert np.mean([fit.pull for fit in fits]) == pytest.approx(1, abs=0.15)
    assert np.mean(ratios) == pytest.approx(1, abs=0.08)  # drifts of pixels: 0.05 in each


def test_that_scan_reduced_cubes_have_the_line_without_the_stripes(tmp_path_factory):
    pixels = {"xy_pixel_size": 6.0, "w_pixel_size": 0.045}
    _, _, (plain, cleaned) = observe(
        tmp_path_factory.mktemp("stripes"), "otf", 3,
        cubes=[pixels, pixels | {"scan_reduction": True}], **NOISY_SCANS | {"n_dither": 4},
    )  # fmt: skip
    quiet = dict.fromkeys(("sky_noise_adu", "sky_gradient_adu", "pixel_drift_adu", "gain_scatter", "glitches"), 0.0)
    _, _, (ideal,) = observe(
        tmp_path_factory.mktemp("ideal"), "otf", 3, cubes=[pixels], **NOISY_SCANS | {"n_dither": 4} | quiet
    )
    away = np.isfinite(cleaned.flux) & np.isfinite(plain.flux) & ~cleaned.circle(32.0)
    assert cleaned.flux[away].std() < 0.1 * plain.flux[away].std()
    found, expected = fit_line(cleaned, 18.0), fit_line(ideal, 18.0)
    assert found[0] == pytest.approx(expected[0], rel=0.05)
    assert found[1] == pytest.approx(expected[1], abs=4)


def fit_round_source(truth, samples, fwhm):
    """Scale of the line of a round Gaussian at the target, fitted to samples with its continuum and a level."""
    known, options = truth.channels["RED"], truth.options
    east = (samples[0] - options["ra"]) * 3600 * np.cos(np.radians(options["dec"]))
    north, angle = (samples[1] - options["dec"]) * 3600, np.radians(options["detector_angle"])
    half, width = known.spaxel_arcsec / 2, math.sqrt(2) * math.hypot(known.psf_fwhm_arcsec, fwhm) * SIGMA
    sides = east * np.cos(angle) - north * np.sin(angle), east * np.sin(angle) + north * np.cos(angle)
    share = math.prod(0.5 * (erf((side + half) / width) - erf((side - half) / width)) for side in sides)
    center, sigma = known.barycentric_um, known.line_fwhm_um * SIGMA
    line = share * np.exp(-0.5 * ((samples[2] - center) / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi))
    line *= truth.extended_line_flux_w_m2 * samples[2] ** 2 / LIGHT_UM_S / W_M2_HZ_PER_JY
    matrix = np.stack([line, share, np.ones_like(line)], axis=1) / samples[4][:, None]
    return np.linalg.lstsq(matrix, samples[3] / samples[4], rcond=None)[0][0]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_that_lines_of_a_source_larger_than_the_field_come_back_from_scans(tmp_path_factory):
    source = {
        "line_flux_w_m2": 1e-13, "flux": 1000.0, "fwhm_major_arcsec": 80.0, "fwhm_minor_arcsec": 80.0,
        "velocity_km_s": 30.0,
    }  # fmt: skip
    field = {"n_dither": 14, "scan_length_arcsec": 240.0, "scan_step_arcsec": 12.0, "flux": 0.0, "line_flux_w_m2": 0.0}
    truth, _, after = clean_scans(tmp_path_factory.mktemp("wide"), 0, text="extended", extended=source, **field)
    assert fit_round_source(truth, after, 80.0) == pytest.approx(1, abs=0.06)


@pytest.mark.slow
@pytest.mark.parametrize("channel", ["RED", "BLUE"])
def test_that_scan_reduction_is_right_over_seeds(tmp_path_factory, channel):
    options = {} if channel == "RED" else {"scan_step_arcsec": 8.0, "scan_length_arcsec": 60.0, "line_flux_w_m2": 2e-14}
    fits = []
    for seed in range(4):
        truth, _, after = clean_scans(tmp_path_factory.mktemp("scans"), 20 + seed, channel, **options)
        fits.append(fit_samples(truth, channel, after))
    assert np.mean([fit.flux for fit in fits]) == pytest.approx(1, abs=0.03)
    assert np.mean([fit.pull for fit in fits]) == pytest.approx(1, abs=0.15)
