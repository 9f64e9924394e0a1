"""Grism reductions with other parameters than the defaults: each does what it means, and flux and errors stay true.

What an option does is predicted first: most leave the flux of a source as it is, a narrow aperture keeps the light that
a Gaussian has within it, a sum is as many times brighter. A few cases run always. The sweep over all parameters takes
some minutes::

    python -m pytest tests/truth/test_forcast_grism_options.py -m slow
"""

import shutil
from dataclasses import dataclass
from math import erf, sqrt
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from tests.truth.test_forcast_grism import CLEAR, EDGE, compare, fit_line, medians, scatter

from sofia_engine.pipeline.reduction import Reduction
from sofia_engine.reference import ReferenceRequest
from sofia_engine.simulate import simulate

SAME_PLACE = {"dithers_arcsec": ((0.0, 0.0),) * 3, "lines": ()}
SCENES: dict[str, tuple[str, dict[str, Any]]] = {
    "bright": ("nmc", {"flux": 300.0, **SAME_PLACE}),
    "faint": ("nxcac", {"grism": "G111", "slit": "LS47", "flux": 30.0, **SAME_PLACE}),
    "inclined": ("nmc", {"grism": "G329", "slit": "LS47", "flux": 1500.0, "trace_tilt_arcsec": 2.5, **SAME_PLACE}),
    "nodded": ("npcnas", {"grism": "G227", "flux": 1000.0, **SAME_PLACE, "dithers_arcsec": ((0.0, 0.0),) * 6}),
}
SEEN_FWHM = 3.7
"""Arcsec: of a source of 3.5 after rectification."""


@dataclass(frozen=True)
class Case:
    """Parameters, and what they are to give: share of the flux, and scatter over quoted error."""

    settings: dict[str, Any]
    share: float = 1.0
    tolerance: float = 0.01
    scatter: tuple[float, float] | None = (0.85, 1.15)
    scenes: tuple[str, ...] = tuple(SCENES)

    @property
    def name(self) -> str:
        return ",".join(f"{key}={value}" for key, value in self.settings.items()) or "defaults"


def vary(key, values, **rest):
    return [Case({key: value}, **rest) for value in values]


def keep_light(radius):
    """Share of the light of a Gaussian within a radius, arcsec."""
    return erf(radius / (SEEN_FWHM / 2.35482) / sqrt(2))


STRAIGHT = ("bright", "faint", "nodded")
STANDARD = {"extract_spectra.method": "standard"}
CASES = [
    Case({}),
    *vary("clean.interpolate", [True]),
    *vary("clean.autoshift", [False]),
    *vary("nonlin.secctr", ["100,100"]),
    *vary("nonlin.secsize", ["40,40"]),
    *vary("stack.jbclean", [False], scatter=None),
    *vary("stack.jailbar_baseline", ["Running mean", "Running median"], scatter=None, tolerance=0.02),
    *vary("stack.bgscale", [True], tolerance=0.02),
    *vary("stack.bgsub", [True]),
    Case({"stack.bgsub": True, "stack.bgstat": "mode"}),
    *vary("make_profiles.fit_order", [2, 4, 6, 10]),
    *vary("make_profiles.atmosthresh", [0.3, 0.6]),
    *vary("make_profiles.error_rule", ["area"], scatter=(0.65, 0.95)),
    *vary("make_profiles.profile_rows", ["all"], scatter=None, scenes=STRAIGHT),
    *vary("locate_apertures.fwhm", [0.5, 6.0, 20.0]),
    *vary("trace_continuum.method", ["fix to aperture position"], scenes=STRAIGHT),
    *vary("trace_continuum.fit_order", [0], scenes=STRAIGHT),
    *vary("trace_continuum.fit_order", [1, 3, 6, 10]),
    *vary("trace_continuum.fit_thresh", [1.0, 100.0]),
    *vary("trace_continuum.step_size", [1, 10, 40]),
    *vary("set_apertures.refit", [False]),
    *vary("set_apertures.edge_rule", ["lower"]),
    *vary("set_apertures.aprad", ["1.5", "4"], scatter=(0.75, 1.15)),
    *vary("set_apertures.psfrad", ["6", "12"]),
    *[
        Case({"set_apertures.psfrad": f"{radius}", **way}, keep_light(radius), 0.02, None)
        for radius in (1.5, 2.0, 3.0, 4.0)
        for way in ({}, STANDARD)
    ],
    *vary("set_apertures.bgr", ["25-60", "40-60,150-180"]),
    *vary("subtract_background.bg_fit_order", [1, 2, 3, 5], scatter=(0.75, 1.15)),
    *[Case({"subtract_background.bg_fit_order": degree, **STANDARD}, scatter=(0.75, 1.15)) for degree in (1, 2, 3, 5)],
    Case(STANDARD),
    Case({"set_apertures.edge_rule": "lower", **STANDARD}, scatter=(0.8, 1.15)),
    Case({"extract_spectra.use_profile": True, **STANDARD}),
    *vary("extract_spectra.use_profile", [True]),
    *vary("extract_spectra.fix_bad", [False]),
    *vary("extract_spectra.threshold", [3.0, 100.0]),
    *vary("extract_spectra.profile_error", [0.0], scatter=(0.85, 1.2)),
    *vary("extract_spectra.profile_error", [0.2], scatter=(0.0, 0.99), scenes=("bright",)),
    *vary("merge_apertures.method", ["median"], scenes=("nodded",)),
    *vary("merge_apertures.weighted", [False], scenes=("nodded",)),
    *vary("locate_apertures.num_aps", [1], scenes=("nodded",)),
    *vary("flux_calibrate.optimize_atran", [False]),
    *vary("flux_calibrate.auto_shift", [False]),
    *vary("flux_calibrate.use_wv", [True]),
    *vary("flux_calibrate.sn_threshold", [0.0, 1e6]),
    *vary("flux_calibrate.auto_shift_limit", [0.05, 0.3, 20.0]),
    *vary("flux_calibrate.model_order", [0, 4, 10]),
    *vary("flux_calibrate.waveshift", [0.02]),
]
SWEEP = [(scene, case) for case in CASES for scene in case.scenes]


@pytest.fixture(scope="session")
def simulated(reference_store, tmp_path_factory):
    """Simulate observations, each once."""
    made: dict[str, Any] = {}

    def make(kind, **options):
        key = repr((kind, sorted(options.items(), key=str)))
        if key not in made:
            made[key] = simulate(f"forcast-grism-{kind}", tmp_path_factory.mktemp("raw"), **{"seed": 1, **options})
        return made[key]

    return make


@pytest.fixture
def reduce(tmp_path):
    """Reduce raw files with parameters ``{"step.key": value}`` up to a step; the products, and all warnings."""
    count = 0

    def run(paths, settings=None, to="flux_calibrate"):
        nonlocal count
        count += 1
        folder = tmp_path / f"out{count}"
        with Reduction.open(paths, output=folder, session=folder / "session") as reduction:
            for name, value in (settings or {}).items():
                step, key = name.split(".")
                reduction.set(step, **{key: value})
            reduction.run_to(to)
            return reduction.products

    yield run
    for number in range(1, count + 1):  # all cases together would fill a disk
        shutil.rmtree(tmp_path / f"out{number}", ignore_errors=True)


def measure_ratio(product, expected, truth):
    """Median of a spectrum over what is expected (wavelength -> values), where the atmosphere is clear."""
    spectrum, wave = truth.read_spectrum(), product["WAVEPOS"]
    clear = np.interp(wave, spectrum["wavelength"], spectrum["transmission"]) > CLEAR
    clear[:EDGE] = clear[-EDGE:] = False
    values = np.asarray(product["SPECTRAL_FLUX"], dtype=float).reshape(-1, wave.size)[0]
    return np.nanmedian((values / expected)[clear])


@pytest.mark.slow
@pytest.mark.parametrize(("scene", "case"), SWEEP, ids=[f"{scene}-{case.name}" for scene, case in SWEEP])
def test_that_parameters_do_what_they_mean_and_leave_the_rest(simulated, reduce, scene, case):
    kind, options = SCENES[scene]
    truth = simulated(kind, **options)
    settings = {"locate_apertures.num_aps": 2} if scene == "nodded" else {}
    products = reduce(truth.paths, settings | case.settings)
    results = [compare(product, truth, truth.read_spectrum()) for product in products]
    assert len(results) == len(truth.paths)
    off = medians(results) / case.share - 1
    if scene == "faint":  # single files scatter by 0.8 % by their noise alone
        assert abs(off.mean()) < case.tolerance + 0.01
    else:
        assert np.abs(off).max() < case.tolerance
    if case.scatter is not None:
        low, high = case.scatter
        assert low < scatter(results) < high


def test_that_steep_traces_keep_their_flux_and_columns(simulated, reduce):
    """By up to 10 rows: 40 per cent of the columns were lost, and a third of the flux."""
    truth = simulated("nmc", grism="G227", flux=3000.0, trace_tilt_arcsec=8.0, lines=(), n_dither=1)
    (product,) = reduce(truth.paths)
    result = compare(product, truth, truth.read_spectrum())
    assert np.isfinite(result.ratio).sum() > 220
    assert np.abs(medians([result]) - 1).max() < 0.003
    assert np.nanmax(np.abs(result.ratio - 1)) < 0.02


@pytest.mark.parametrize("degree", [2, 5])
def test_that_plain_sums_hold_bad_pixels_whatever_the_degree_of_the_background(simulated, reduce, degree):
    """Single columns were too faint by up to 17 per cent: their bad pixels stayed empty."""
    truth = simulated("nmc", flux=300.0, lines=(), n_dither=2)
    settings = STANDARD | {"subtract_background.bg_fit_order": degree}
    results = [compare(product, truth, truth.read_spectrum()) for product in reduce(truth.paths, settings)]
    assert max(np.nanmax(np.abs(result.pull)) for result in results) < 6


def test_that_header_offsets_count_dithers_once(simulated, reduce):
    """The coordinates of ordinary files follow the dithers already: the source came out twice or more."""
    truth = simulated("nmc", flux=300.0, lines=(), n_dither=2)
    images = [
        reduce(truth.paths, {"combine_spectra.registration": way}, "combine_spectra")[0]["FLUX"]
        for way in ("Use WCS as is", "Use header offsets")
    ]
    assert images[0].shape == images[1].shape
    np.testing.assert_allclose(images[1], images[0], atol=1e-3 * np.nanmax(images[0]))


def test_that_the_spectra_of_two_close_sources_are_those_of_each(simulated, reduce):
    """A fifth as bright and 15 arcsec away: fitted alone, the faint one seemed 2.2 arcsec wide instead of 3.6."""
    from sofia_engine.simulate.projection import rotation_angle, sky_matrix
    from sofia_engine.simulate.slit_light import collect_profile
    from sofia_engine.simulate.sources import ExtendedSource

    turn = sky_matrix(rotation_angle(150.0))
    offset = tuple(float(part) for part in np.linalg.inv(turn) @ np.array([0.0, 15.0]))
    second = ExtendedSource(60.0, 0.1, 0.1, 0.0, offset)
    truth = simulated("nmc", flux=200.0, lines=(), n_dither=1, extended=second)
    settings = {
        "make_profiles.bg_sub": True, "locate_apertures.method": "auto", "locate_apertures.num_aps": 2,
        "trace_continuum.method": "fit to continuum", "set_apertures.full_slit": False,
        "extract_spectra.method": "optimal",
    }  # fmt: skip
    (product,) = reduce(truth.paths, settings, "extract_spectra")
    share = collect_profile(second.seen(3.5, turn), 0.0, truth.slit_width_arcsec).total
    ratio = np.nanmedian((product["SPECTRAL_FLUX"][1] / product["SPECTRAL_FLUX"][0])[20:-20])
    assert ratio == pytest.approx(share * 60 / 200, rel=0.01)
    radii = [float(word) for word in product.header["APRADO01"].split(",")]
    np.testing.assert_allclose(radii, 0.7 * SEEN_FWHM, rtol=0.02)


def test_that_twice_the_light_is_twice_the_flux_wherever_the_source_is(simulated, reduce):
    """Without noise; the background of the sky does not matter either."""
    plain = {"flux": 200.0, "lines": (), "n_dither": 1, "noise": False}
    (first,) = reduce(simulated("nmc", **plain).paths)
    for options, factor in (
        ({"flux": 400.0}, 2.0), ({"source_offset_arcsec": (0.0, 12.3)}, 1.0), ({"sky_level": 6000.0}, 1.0),
    ):  # fmt: skip
        truth = simulated("nmc", **(plain | options))
        (other,) = reduce(truth.paths)
        assert measure_ratio(other, first["SPECTRAL_FLUX"], truth) == pytest.approx(factor, rel=2e-3)


@pytest.mark.slow
def test_that_the_order_of_the_files_does_not_matter(simulated, reduce):
    truth = simulated("nmc", flux=60.0, lines=(), n_dither=4)
    one, other = (reduce(paths, to="combine_spectra")[0] for paths in (truth.paths, truth.paths[::-1]))
    for name in ("SPECTRAL_FLUX", "SPECTRAL_ERROR", "TRANSMISSION"):
        np.testing.assert_allclose(one[name], other[name], rtol=1e-9)
    np.testing.assert_allclose(one["FLUX"], other["FLUX"], atol=1e-4 * np.nanmax(one["FLUX"]))
    assert one.header["EXPTIME"] == other.header["EXPTIME"]


@pytest.mark.slow
def test_that_halves_of_a_set_agree_with_each_other_and_with_the_whole(simulated, reduce):
    truth = simulated("nmc", flux=60.0, lines=(), n_dither=4)
    whole, first, second = (
        reduce(paths, to="combine_spectra")[0] for paths in (truth.paths, truth.paths[:2], truth.paths[2:])
    )
    near = slice(20, -20)
    mean = (first["SPECTRAL_FLUX"] + second["SPECTRAL_FLUX"]) / 2
    assert np.nanmedian(np.abs(mean / whole["SPECTRAL_FLUX"] - 1)[near]) < 2e-3
    pull = (first["SPECTRAL_FLUX"] - second["SPECTRAL_FLUX"]) / np.hypot(
        first["SPECTRAL_ERROR"], second["SPECTRAL_ERROR"]
    )
    assert np.nanstd(pull[near]) < 1.15


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {}, {"method": "median"}, {"weighted": False}, {"robust": False}, {"threshold": 3.0}, {"maxiters": 1},
        {"response_error": "independent"}, {"combine_aps": True}, {"registration": "Use header offsets"},
    ],
    ids=str,
)  # fmt: skip
def test_that_combined_spectra_hold_the_flux(simulated, reduce, settings):
    truth = simulated("nmc", flux=60.0, lines=(), n_dither=4)
    (product,) = reduce(truth.paths, {f"combine_spectra.{k}": v for k, v in settings.items()}, "combine_spectra")
    spectrum = truth.read_spectrum()
    expected = np.interp(product["WAVEPOS"], spectrum["wavelength"], spectrum["flux"])
    assert measure_ratio(product, expected, truth) == pytest.approx(1, abs=5e-3)
    rows = np.nansum(product["FLUX"][:, 20:-20], axis=1)
    peak = int(np.argmax(rows))
    held = np.nansum(product["FLUX"][peak - 9 : peak + 10], axis=0)
    ratio = np.nanmedian((held / expected)[20:-20])
    assert ratio == pytest.approx(1, abs=0.02)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "share"),
    [
        ({"method": "mean"}, 1.0), ({"method": "median"}, 1.0), ({"method": "sum"}, 3.0), ({"weighted": False}, 1.0),
        ({"robust": False}, 1.0), ({"threshold": 3.0}, 1.0),
    ],
    ids=str,
)  # fmt: skip
def test_that_stacked_dithers_hold_the_flux(simulated, reduce, settings, share):
    truth = simulated("nmc", flux=60.0, **SAME_PLACE)
    given = {"skip_stack": False, "ignore_dither": True} | settings
    (product,) = reduce(truth.paths, {f"stack_dithers.{k}": v for k, v in given.items()})
    result = compare(product, truth, truth.read_spectrum())
    assert np.nanmedian(result.ratio) == pytest.approx(share, rel=5e-3)
    if share == 1:
        assert np.nanstd(result.pull) == pytest.approx(1, abs=0.15)


@pytest.mark.slow
@pytest.mark.parametrize("shift", [-1.0, -0.3, 0.5, 1.0])
def test_that_a_given_shift_moves_lines_to_longer_wavelengths(simulated, reduce, shift):
    truth = simulated("nmc", flux=400.0, n_dither=1, noise=False, grism="G111")
    (still,), (moved,) = (
        reduce(truth.paths, {"flux_calibrate.auto_shift": False, "flux_calibrate.waveshift": amount})
        for amount in (0.0, shift)
    )
    for line in (line for line in truth.lines if line.flux_w_m2 > 0):
        places = [
            fit_line(part["WAVEPOS"], np.ravel(part["SPECTRAL_FLUX"]), np.ravel(part["SPECTRAL_ERROR"]), line)
            for part in (still, moved)
        ]
        assert (places[1] - places[0]) / truth.column_um == pytest.approx(shift, abs=0.1)
    assert moved.header["WAVSHIFT"] == shift


@pytest.mark.slow
def test_that_the_water_vapour_of_an_observation_is_found_in_a_folder_of_models(simulated, reduce, reference_store,
                                                                                tmp_path):  # fmt: skip
    """Models whose optical depth is that of the published one, times water vapour over 10."""
    path = reference_store.get(ReferenceRequest("FORCAST", "atran", 20210705, {"spectel": "FOR_G063"}))
    wave, transmission = fits.getdata(path)
    near = (wave > 4.8) & (wave < 8.4)
    for vapour in (5, 10, 20, 40):
        rows = np.stack([wave[near], np.clip(transmission[near], 1e-9, 1) ** (vapour / 10)])
        fits.PrimaryHDU(rows).writeto(tmp_path / f"atran_40K_45deg_{vapour}pwv_4-50mum.fits")
    truth = simulated("nmc", flux=300.0, n_dither=1, lines=(), atran=tmp_path / "atran_40K_45deg_20pwv_4-50mum.fits")
    (product,) = reduce(truth.paths, {"flux_calibrate.atrandir": str(tmp_path)})
    assert product.header["FITPWV"] == 20
    result = compare(product, truth, truth.read_spectrum())
    assert np.nanmedian(result.ratio) == pytest.approx(1, abs=5e-3)
