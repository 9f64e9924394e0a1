"""Simulated FIFI-LS observations reduced with other parameters than the usual ones, against the truth.

What an option does by its meaning is said in the tables below; whatever is not named there must come out as it does
with the defaults. A few cases run by default; the sweep takes some minutes::

    python -m pytest tests/truth/test_fifi_ls_parameters.py -m slow
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from tests.truth.test_fifi_ls import (
    LIGHT_KM_S,
    MOSAIC,
    Cube,
    compare_pairs,
    find_center,
    fit_line,
    gather_samples,
    lay_mosaic,
    predict_samples,
    read_cube,
)

from sofia_engine.errors import ReferenceDataError, StepError
from sofia_engine.pipeline.execution import Surroundings, execute
from sofia_engine.pipeline.reduction import Reduction
from sofia_engine.product import Product
from sofia_engine.simulate import simulate

Settings = Mapping[str, Mapping[str, Any]]
LAST = "correct_wave_shift"
SPAXEL = {"RED": 12.7, "BLUE": 6.35}


class Chain:
    """An observation whose steps can be done with any parameters; what was done once is kept."""

    def __init__(self, folder, kind, seed=1, channel="RED", edit=None, **options):
        self.folder, self.channel = folder, channel
        try:
            self.truth = simulate(f"fifi-ls-{kind}", folder / "raw", seed=seed, channel=channel, **options)
        except ReferenceDataError as error:
            pytest.skip(f"the calibration files of FIFI-LS are not here: {error}")
        for number, path in enumerate(self.truth.paths_of(channel) if edit else ()):
            with fits.open(path, mode="update") as hdus:
                edit(hdus[0].header, number)
        self.reduction = Reduction.open(self.truth.paths_of(channel), session=folder / "session")
        for step, values in self.truth.parameters.items():
            self.reduction.set(step, **values)
        self.reduction.run_to("checkhead")
        self.steps = self.reduction.recipe.steps
        self.done: dict[Any, Any] = {}

    def run(self, settings: Settings = {}, until: str = LAST, inputs=None) -> tuple[Product, ...]:  # noqa: B006
        """Return the products of a step."""
        products = tuple(self.reduction.products if inputs is None else inputs)
        key: tuple[Any, ...] = tuple(map(id, products))
        for step in self.steps[1 : [s.key for s in self.steps].index(until) + 1]:
            values = settings.get(step.key, {})
            key = (*key, step.key, repr(sorted(values.items())))
            if key not in self.done:
                self.done[key] = self.do(step, products, values)
            products = self.done[key].products
        self.outcome = self.done[key]
        return products

    def do(self, step, products, values):
        """Run one step."""
        parameters = self.reduction.parameters(step.key).with_values(**values)
        return execute(step, self.reduction.recipe, products, parameters, Surroundings(self.reduction.references))

    def cube(self, settings: Settings = {}) -> Cube:  # noqa: B006
        """Return the cube, also one in the field of the instrument."""
        product = self.run(settings, "resample")[0]
        if "XS" not in product.planes:
            return read_cube(self.truth, self.channel, product)
        x, y = np.meshgrid(np.asarray(product["XS"]), np.asarray(product["YS"]))
        planes = (np.asarray(product[name], float) for name in ("FLUX", "ERROR", "WAVELENGTH"))
        return Cube(self.truth, self.channel, *planes, -x, y)

    def close(self):
        self.reduction.close()
        shutil.rmtree(self.folder)


@pytest.fixture(scope="module", autouse=True)
def _offline():
    """Use the calibration files at hand; tests are skipped without them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFIA_DESK_OFFLINE", "1")
        yield


@pytest.fixture(scope="module")
def chains(tmp_path_factory):
    """Give a function that makes observations; each once."""
    made: dict[str, Chain] = {}

    def get(kind, **options) -> Chain:
        name = repr((kind, sorted(options.items(), key=str)))
        if name not in made:
            made[name] = Chain(tmp_path_factory.mktemp("chain"), kind, **options)
        return made[name]

    yield get
    for chain in made.values():
        chain.close()


@dataclass(frozen=True)
class Fit:
    """What samples say of the source, relative to the truth, with errors; scatter in units of the quoted errors."""

    flux: float
    flux_error: float
    velocity: float
    velocity_error: float
    offset: float
    offset_error: float
    pull: float


def move(samples, truth, east, north):
    """Samples as seen from a place beside."""
    moved = samples.copy()
    moved[0] += east / 3600 / np.cos(np.radians(truth.options["dec"]))
    moved[1] += north / 3600
    return moved


def fit_samples(chain: Chain, products) -> Fit:
    """Fit flux and velocity of the line, the continuum, a level and the place of the source to samples."""
    truth, samples = chain.truth, gather_samples(products)
    samples = samples[:, :: max(1, samples.shape[1] // 12000)]
    line, continuum = predict_samples(truth, chain.channel, samples)
    columns = [line, (predict_samples(truth, chain.channel, samples, 2.0)[0] - line) / 2, np.ones_like(line)]
    for direction in ((-0.5, 0.0), (0.0, -0.5)):
        moved = predict_samples(truth, chain.channel, move(samples, truth, *direction))
        columns.append((sum(moved) - line - continuum) / 0.5)
    columns += [continuum] if continuum.any() else []
    matrix, data = np.stack(columns, axis=1) / samples[4][:, None], samples[3] / samples[4]
    found = np.linalg.lstsq(matrix, data, rcond=None)[0]
    errors = np.sqrt(np.diag(np.linalg.inv(matrix.T @ matrix)))
    return Fit(
        found[0], errors[0], found[1] / found[0], errors[1] / found[0], float(np.hypot(*found[3:5])),
        float(np.hypot(*errors[3:5])), float(np.std(data - matrix @ found)),
    )  # fmt: skip


@dataclass(frozen=True)
class Expected:
    """What is to come out by the meaning of an option."""

    flux: float = 1.0
    velocity: float = 0.0
    pull: tuple[float, float] = (0.85, 1.15)


USUAL = Expected()
TRIMMED = Expected(pull=(0.7, 1.25))
"""Outliers of one standard deviation are ordinary noise: errors become too small for means, too large for ramps."""


def check(fit: Fit, expected: Expected, channel: str, width_km_s: float) -> None:
    """Compare with what is expected: 2 %, a tenth of a channel, a tenth of a spaxel."""
    assert fit.flux == pytest.approx(expected.flux, abs=0.02 + 3 * fit.flux_error)
    assert fit.velocity == pytest.approx(expected.velocity, abs=0.1 * width_km_s + 3 * fit.velocity_error)
    assert fit.offset < 0.1 * SPAXEL[channel] + 3 * fit.offset_error
    assert expected.pull[0] < fit.pull < expected.pull[1]


OBSERVATIONS = {
    "symmetric": {"seed": 5},
    "asymmetric": {"seed": 5, "n_dither": 6},
    "bright": {"seed": 5, "flux": 60.0, "line_flux_w_m2": 2e-14},
    "total-power": {"seed": 5},
    "otf": {"seed": 5, "n_dither": 4},
    "symmetric with glitches": {"seed": 5, "glitches": 0.02, "lead_readouts": 20},
    "symmetric that saturates": {"seed": 5, "saturation_adu": -3500.0, "background_adu": 200.0},
    "symmetric near 0 h": {"seed": 5, "ra": 0.001, "dec": 60.0, "detector_angle": -140.0, "primary": "RED"},
    "symmetric BLUE": {"seed": 5, "channel": "BLUE"},
    "symmetric BLUE of order 2": {"seed": 5, "channel": "BLUE", "order_blue": 2, "line_blue_um": 57.317},
    "symmetric of dichroic 130": {"seed": 5, "dichroic": 130},
}

RAMPS = {
    "s2n": [0.0, 50.0, 200.0], "thresh": [3.0, 20.0], "remove_first": [False], "indpos_sigma": [0.0, 1.5],
    "full_ramps": [True], "outlier_rule": ["ramp"], "ramp_errors": ["scatter"], "parallel": [False],
    "pointing_discard": [True],
}  # fmt: skip
SAMPLES: dict[str, tuple[Settings, Expected]] = {
    **{f"fit_ramps.{k}={v}": ({"fit_ramps": {k: v}}, USUAL) for k, values in RAMPS.items() for v in values},
    "fit_ramps.thresh=1": ({"fit_ramps": {"thresh": 1.0}}, TRIMMED),
    "fit_ramps.subtract_bias=False": (
        {"fit_ramps": {"subtract_bias": False}},
        Expected(pull=(0.85, 1.3)),
    ),  # drifts stay
    "combine_nods.b_nod_method=average": ({"combine_nods": {"b_nod_method": "average"}}, USUAL),
    "combine_nods.b_nod_method=interpolate": ({"combine_nods": {"b_nod_method": "interpolate"}}, USUAL),
    "combine_nods.bg_scaling=True": ({"combine_nods": {"bg_scaling": True}}, USUAL),
    "spatial_calibrate.rotate=False": ({"spatial_calibrate": {"rotate": False}}, USUAL),
    "spatial_calibrate.flipsign=no flip": ({"spatial_calibrate": {"flipsign": "no flip"}}, USUAL),
    "apply_static_flat.skip_err=False": ({"apply_static_flat": {"skip_err": False}}, USUAL),
    "combine_grating_scans.bias=False": ({"combine_grating_scans": {"bias": False}}, USUAL),
    "telluric_correct.cutoff=0": ({"telluric_correct": {"cutoff": 0.0}}, USUAL),
    "telluric_correct.cutoff=0.9": ({"telluric_correct": {"cutoff": 0.9}}, USUAL),
    "telluric_correct.narrow=True": ({"telluric_correct": {"narrow": True}}, USUAL),
}
ROUGH = {
    ("bright", "combine_grating_scans"): "levelling is spoilt by bright lines",
    ("symmetric with glitches", "fit_ramps.remove_first=False"): "settling and glitches are half of the ramps",
    ("otf", "fit_ramps.s2n=200.0"): "",
}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", OBSERVATIONS)
def test_that_samples_are_right_with_other_parameters(chains, name):
    kind = name.split(maxsplit=1)[0]
    chain = chains(kind, **OBSERVATIONS[name])
    width = chain.truth.channels[chain.channel].spexel_um / chain.truth.channels[chain.channel].line_um * LIGHT_KM_S
    wrong = []
    for label, (settings, expected) in {"defaults": ({}, USUAL), **SAMPLES}.items():
        if (name, label) in ROUGH:
            continue
        if kind == "bright":  # levelling is spoilt by bright lines
            settings = {"combine_grating_scans": {"bias": False}} | dict(settings)
        try:
            check(fit_samples(chain, chain.run(settings)), expected, chain.channel, width)
        except AssertionError as error:
            wrong.append(f"{label}: {error}")
    assert not wrong, "\n".join(wrong)


def relate(one: Product, other: Product, name: str, factor: str) -> None:
    """Assert that a plane of one product is that of the other times a plane of the other."""
    np.testing.assert_allclose(one[name], other[name] * other[factor], rtol=1e-12)


def test_that_skipped_corrections_are_what_is_missing(chains):
    chain = chains("symmetric", n_dither=2, chop_cycles=3)
    flat, response = chain.run(until="apply_static_flat")[0], chain.run(until="flux_calibrate")[0]
    relate(chain.run({"apply_static_flat": {"skip_flat": True}}, "apply_static_flat")[0], flat, "FLUX_G0", "FLAT_G0")
    relate(chain.run({"flux_calibrate": {"skip_cal": True}}, "flux_calibrate")[0], response, "FLUX", "RESPONSE")
    relate(chain.run({"telluric_correct": {"skip_tell": True}}, "telluric_correct")[0], response.replace(
        FLUX=chain.run(until="telluric_correct")[0]["FLUX"]), "FLUX", "ATRAN")  # fmt: skip
    shifted, rest = chain.run()[0], chain.run({LAST: {"skip_shift": True}})[0]
    np.testing.assert_allclose(rest["LAMBDA"] * (1 + shifted.header["BARYSHFT"]), shifted["LAMBDA"], rtol=1e-14)
    error, plain = chain.run({"apply_static_flat": {"skip_err": False}}, "apply_static_flat")[0], flat
    expected = np.hypot(plain["STDDEV_G0"], flat["FLATERR_G0"] / flat["FLAT_G0"] * flat["FLUX_G0"])
    np.testing.assert_allclose(error["STDDEV_G0"], expected, rtol=1e-12)


def test_that_the_field_is_mirrored_where_signs_are_flipped_and_the_telescope_is_not(chains):
    chain = chains("symmetric", n_dither=2, chop_cycles=3)
    plain, flipped = (
        chain.run({"spatial_calibrate": {"flipsign": way}}, "spatial_calibrate") for way in ("no flip", "flip")
    )
    for one, other in zip(plain, flipped, strict=True):
        middle = np.array([[-one.header["DLAM_MAP"]], [one.header["DBET_MAP"]]])
        places, turned = (np.stack([p["XS_G0"], p["YS_G0"]]) for p in (one, other))
        np.testing.assert_allclose(np.abs(turned - middle), np.abs(places - middle), atol=1e-9)
        np.testing.assert_allclose(turned - middle, middle - places, atol=1e-9)


def write_models(folder, chain) -> str:
    """Write models of the atmosphere that absorb more the more water there is and the lower the target."""
    wave, value = fits.getdata(chain.folder / "raw" / chain.truth.atmosphere)[:2]
    (folder / "41K").mkdir(parents=True)
    for angle in (45, 50):
        for water in range(4, 9):
            through = value * (1 - 0.02 * (water - 5) - 0.01 * (angle - 45) / 5)
            name = f"atran_sdc_41K_{angle}deg_{water}pwv_39deg_2nlayer_40-300mum_bt.fits"
            fits.PrimaryHDU(np.stack([wave, through]).astype(np.float32)).writeto(folder / "41K" / name)
    return str(folder)


def write_water(folder, water) -> str:
    """Write the water vapour of a flight."""
    time = datetime(2022, 3, 10, 5, tzinfo=UTC).timestamp() + np.arange(0, 7200, 60.0)
    columns = {"unixtime": time, "pwv": np.full(120, water), "posconst": np.zeros(120), "posjump": np.zeros(120)}
    table = fits.BinTableHDU.from_columns([fits.Column(k, "D", array=v) for k, v in columns.items()], name="DATA")
    folder.mkdir()
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(folder / "855_FI_20220310_pwv.fits")
    return str(folder)


def test_that_models_follow_water_vapour_and_its_source(chains, tmp_path):
    chain = chains("symmetric", n_dither=2, chop_cycles=3)
    models = {"atran_file": "", "atran_dir": write_models(tmp_path / "models", chain)}
    plain = chain.run(until="telluric_correct")[0]
    water = {"ecmwf_dir": write_water(tmp_path / "water", 10.0)}  # 0.34 + 0.55 * 10 = 5.84 um
    cases = [
        ({"use_ecmwf": False}, "HEADER", 1.0),
        ({"use_ecmwf": True} | water, "ECMWF", 1 - 0.02 * 0.84),
        ({"use_ecmwf": True, "interpolated": False} | water, "ECMWF", 1 - 0.02),
        ({"use_ecmwf": False} | water, "HEADER", 1.0),
        ({"use_ecmwf": True}, "HEADER", 1.0),
    ]
    for values, source, through in cases:
        made = chain.run({"telluric_correct": models | values}, "telluric_correct")[0]
        assert made.header["WVZ_SRC"] == source
        np.testing.assert_allclose(made["FLUX"] * through, plain["FLUX"], rtol=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["asymmetric", "total-power", "otf"])
def test_that_telluric_scaling_moves_levels_only_where_the_sky_stays_the_same(chains, kind):
    chain = chains(kind, **OBSERVATIONS[kind])
    atmosphere = str(chain.folder / "raw" / chain.truth.atmosphere)
    plain = chain.run(until="combine_nods")
    for method in ("nearest", "average", "interpolate"):
        usual, scaled = (
            chain.run({"combine_nods": {"b_nod_method": method} | more}, "combine_nods")
            for more in ({}, {"telluric_scaling_on": True, "atran_file": atmosphere})
        )
        assert len(usual) == len(plain)
        for one, other in zip(usual, scaled, strict=True):
            change = one["FLUX_G0"] - other["FLUX_G0"]
            assert np.nanmax(change) - np.nanmin(change) < 1e-9


@pytest.mark.slow
def test_that_scans_have_no_off_beam_cube(chains):
    with pytest.raises(StepError, match="no off-beam image"):
        chains("otf", **OBSERVATIONS["otf"]).run({"combine_nods": {"offbeam": True}})


@dataclass(frozen=True)
class CubeCase:
    """What cubes made with some parameters are like."""

    values: Mapping[str, Any]
    flux: tuple[float, float] = (0.98, 1.02)
    pull: tuple[float, float] = (0.85, 1.15)
    place: float = 0.1
    settings: Settings = field(default_factory=dict)

    @property
    def all(self) -> Settings:
        """All settings."""
        return {**self.settings, "resample": {"skip_uncorrected": True, **self.values}}


MEAN = (1.1, 1.3)
"""Weighted means carry light from where the samples lie dense to where they do not."""
RINGED = (0.98, 1.05)
"""Even weights in the window: the ring of the kernel, where flux is missing, lies outside the circle."""
CUBES = [
    CubeCase({}),
    CubeCase({"xy_pixel_size": None}),
    CubeCase({"xy_pixel_size": None, "xy_oversample": 3.0}),
    CubeCase({"xy_pixel_size": 6.0}),
    CubeCase({"xy_pixel_size": 4.5, "w_pixel_size": 0.02}),
    CubeCase({"w_oversample": 4.0}),
    CubeCase({"xy_order": 0}, flux=MEAN, pull=(0.85, 1.2), place=0.15),
    CubeCase({"xy_order": 1}, flux=(0.95, 1.0), pull=(0.85, 1.2)),
    CubeCase({"xy_order": 3}),
    CubeCase({"xy_order": 4}),
    CubeCase({"w_order": 0}, pull=(0.85, 1.2)),
    CubeCase({"w_order": 1}),
    CubeCase({"w_order": 3}),
    CubeCase({"xy_window": 1.5}, flux=(0.97, 1.03)),
    CubeCase({"xy_window": 2.0}),
    CubeCase({"w_window": 0.25}),
    CubeCase({"w_window": 1.0}, flux=(0.97, 1.03)),
    CubeCase({"xy_smoothing": 0.0}, flux=RINGED, pull=(0.85, 1.2)),
    CubeCase({"xy_smoothing": 0.3}),
    CubeCase({"xy_smoothing": 0.6}),
    CubeCase({"xy_smoothing": 2.0}, flux=RINGED, pull=(0.85, 1.2)),
    CubeCase({"w_smoothing": 0.0}),
    CubeCase({"w_smoothing": 0.1}),
    CubeCase({"w_smoothing": 1.0}),
    CubeCase({"xy_edge_threshold": 0.0}),
    CubeCase({"w_edge_threshold": 0.0}),
    CubeCase({"w_edge_threshold": 1.0}),
    CubeCase({"adaptive_algorithm": "scaled"}, flux=(0.98, 1.05)),
    CubeCase({"adaptive_algorithm": "shaped"}, flux=(1.0, 1.07)),  # the kernel follows the source
    CubeCase({"adaptive_algorithm": "shaped", "xy_order": 1}, flux=(0.95, 1.05), pull=(0.85, 1.2)),
    CubeCase({"error_weighting": False}, flux=(0.98, 1.03)),
    CubeCase({"fit_errors": "reference"}, pull=(0.7, 0.95)),
    CubeCase({"fit_errors": "reference", "error_weighting": False}, flux=(0.98, 1.03), pull=(0.75, 1.05)),
    CubeCase({"fitthresh": 1.0}, flux=MEAN, pull=(0.85, 1.4), place=0.15),
    CubeCase({"fitthresh": 1e6}),
    CubeCase({"negthresh": 5.0}),
    CubeCase({"posthresh": 1e6}),
    CubeCase({"append_weights": True}),
    CubeCase({"parallel": False}),
    CubeCase({"max_cores": 1}),
    CubeCase({"check_memory": False}),
    CubeCase({"detector_coordinates": True}, pull=(0.85, 1.2)),
    CubeCase({"detector_coordinates": True}, settings={"spatial_calibrate": {"rotate": False}}),
    CubeCase({"interpolate": True}, flux=(0.97, 1.07), place=0.15),
]
COARSE = {"xy_pixel_size": 6.0, "w_pixel_size": 0.04}
MOSAICS = {"RED": 18.0, "BLUE": 9.0}


def get_mosaic(chains, channel, **options) -> Chain:
    return chains("bright", seed=5, channel=channel, dithers_arcsec=lay_mosaic(4, MOSAICS[channel]), **MOSAIC | options)


def check_cube(chain: Chain, case: CubeCase) -> None:
    """Line flux, velocity and place of the source in a cube."""
    cube = chain.cube(case.all)
    flux, velocity = fit_line(cube, 45.0 if chain.channel == "RED" else 22.0)
    assert case.flux[0] < flux < case.flux[1]
    width = chain.truth.channels[chain.channel].spexel_um / chain.truth.channels[chain.channel].line_um * LIGHT_KM_S
    assert velocity == pytest.approx(chain.truth.velocity_km_s, abs=0.1 * width)
    assert np.hypot(*find_center(cube, 15.0 if chain.channel == "RED" else 10.0)) < case.place * SPAXEL[chain.channel]


def check_pairs(pairs, case: CubeCase) -> None:
    """Scatter between cubes of different noise over the quoted errors."""
    cubes = [pair.cube(case.all) for pair in pairs]
    assert case.pull[0] < compare_pairs(cubes, 15.0 if pairs[0].channel == "RED" else 7.5)[0] < case.pull[1]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("channel", ["RED", "BLUE"])
def test_that_cubes_are_right_with_other_parameters(chains, channel):
    mosaic = get_mosaic(chains, channel)
    pairs = [chains("symmetric", seed=20 + n, channel=channel) for n in range(3)]
    wrong = []
    for case in CUBES:
        scaled = case
        if channel == "BLUE" and case.values.get("xy_pixel_size"):
            scaled = replace(case, values=case.values | {"xy_pixel_size": case.values["xy_pixel_size"] / 2})
        for check_one in (lambda c=scaled: check_cube(mosaic, c), lambda c=scaled: check_pairs(pairs, c)):
            try:
                check_one()
            except (AssertionError, RuntimeError, Warning) as error:
                wrong.append(f"{case.values}: {error}".split("\n")[0])
    assert not wrong, "\n".join(wrong)


def test_that_a_smaller_window_keeps_the_flux_and_gives_no_values_of_any_size(chains):
    chain, case = get_mosaic(chains, "RED"), CubeCase({"xy_window": 1.5, **COARSE}, flux=(0.97, 1.03))
    check_cube(chain, case)
    cube = chain.cube(case.all)
    assert np.nanmax(np.abs(cube.flux)) < 1.05 * np.nanmax(cube.flux)
    assert np.nansum(cube.flux) == pytest.approx(np.nansum(chain.cube(CubeCase(COARSE).all).flux), rel=0.1)


@pytest.mark.parametrize(
    "values", [pytest.param({"xy_window": 2.0}, marks=pytest.mark.slow), {"interpolate": True}], ids=str
)
def test_that_errors_of_other_cubes_are_right(chains, values):
    pairs = [chains("symmetric", seed=20 + n) for n in range(3)]
    check_pairs(pairs, CubeCase(COARSE | values))


ANGLES = [0.0, 90.0, 130.0, 205.0, -140.0]
FRAMES: list[Settings] = [
    {},
    {"resample": {"detector_coordinates": True}},
    {"spatial_calibrate": {"rotate": False}, "resample": {"detector_coordinates": True}},
]


@pytest.mark.slow
@pytest.mark.parametrize("angle", ANGLES)
def test_that_the_source_is_in_its_place_at_all_angles_of_the_detector(chains, angle):
    chain = get_mosaic(chains, "RED", detector_angle=angle)
    for settings in FRAMES:
        check_cube(chain, CubeCase(settings.get("resample", {}), settings=settings))


def follow(header, number):
    """Let the target move, and the base position with it."""
    header["NAIF_ID"] = 501
    header["OBSLAM"] += 0.01 * number
    header["OBSBET"] += 0.005 * number


def shift_base(header, number):
    """Count the offsets of each file from a base position of its own."""
    east, north = -8.0 + 2 * (number % 7), 5.0 - 1.5 * (number % 5)
    header["OBSLAM"] += east / 3600 / np.cos(np.radians(header["OBSBET"]))
    header["OBSBET"] += north / 3600
    header["DLAM_MAP"] -= east
    header["DBET_MAP"] -= north


@pytest.mark.slow
def test_that_moving_targets_and_other_base_positions_keep_the_source_in_its_place(chains):
    moving = get_mosaic(chains, "RED", edit=follow, detector_angle=140.0)
    for settings in ({}, {"spatial_calibrate": {"rotate": False}}):
        check_cube(moving, CubeCase({}, settings=settings))
    check_cube(get_mosaic(chains, "RED", edit=shift_base), CubeCase({}))


def assert_same(one: Product, other: Product, rtol: float = 1e-9) -> None:
    assert one.planes.keys() == other.planes.keys()
    for name in one.planes:
        scale = float(np.nanmax(np.abs(one[name])))
        np.testing.assert_allclose(one[name], other[name], rtol=0, atol=rtol * scale, err_msg=name)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["symmetric", "asymmetric", "total-power", "otf", "spectral-scan", "bright"])
def test_that_order_scale_and_repetition_of_files_do_what_they_must(chains, kind):
    chain = chains(kind, seed=7, n_dither=3)
    resample = chain.steps[[s.key for s in chain.steps].index("resample")]
    for settings in ({}, {"combine_nods": {"b_nod_method": "interpolate"}}, {"spatial_calibrate": {"rotate": False}}):
        settings = {"resample": {"xy_pixel_size": 6.0}, **settings}
        values = settings["resample"]
        usual = chain.run(settings, "resample")[0]
        assert_same(usual, chain.run(settings, "resample", chain.reduction.products[::-1])[0])
        calibrated = chain.run(settings)
        turned = chain.do(resample, calibrated[::-1], values).products[0]
        if "rotate" not in settings.get("spatial_calibrate", {}):
            assert_same(usual, turned)
        planes = [n for n in calibrated[0].planes if n.endswith(("FLUX", "STDDEV"))]
        doubled = chain.do(resample, [p.replace(**{n: 2 * p[n] for n in planes}) for p in calibrated], values).products[
            0
        ]
        results = [n for n in usual.planes if n.endswith(("FLUX", "ERROR")) and n != "RELATIVE_RESPONSE_ERROR"]
        assert_same(usual, doubled.replace(**{n: doubled[n] / 2 for n in results}))
        twice = chain.do(resample, [*calibrated, *calibrated], values).products[0]
        both = np.isfinite(twice["FLUX"]) & np.isfinite(usual["FLUX"])
        assert both.sum() > 0.98 * max(np.isfinite(p["FLUX"]).sum() for p in (usual, twice))  # edges move a little
        np.testing.assert_allclose(twice["FLUX"][both], usual["FLUX"][both], rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(twice["ERROR"][both], usual["ERROR"][both] / np.sqrt(2), rtol=1e-6)
        np.testing.assert_array_equal(twice["EXPOSURE_MAP"], 2 * usual["EXPOSURE_MAP"])


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["symmetric", "asymmetric", "total-power", "otf"])
def test_that_going_on_from_any_product_gives_the_same(chains, kind, tmp_path):
    chain = chains(kind, seed=7, n_dither=3)
    settings = {"combine_nods": {"b_nod_method": "average"}, "resample": {"xy_pixel_size": 6.0}}
    usual = chain.run(settings, "resample")[0]
    for step in chain.steps[1:-2]:
        folder = tmp_path / step.key
        folder.mkdir()
        files = [product.write(folder / product.name) for product in chain.run(settings, step.key)]
        with Reduction.open(files, session=folder / "session") as reduction:
            for chosen in (chain.truth.parameters, settings):
                for key, values in chosen.items():
                    reduction.set(key, **values)
            reduction.run_to("resample")
            assert_same(usual, reduction.products[0], 1e-6)


@pytest.mark.slow
def test_that_halves_agree_within_their_errors_and_a_shifted_pattern_gives_a_shifted_map(chains):
    chain = chains("symmetric", seed=7, n_dither=8, line_flux_w_m2=0.0, flux=0.0)
    resample = chain.steps[[s.key for s in chain.steps].index("resample")]
    calibrated, values = chain.run(), {"xy_pixel_size": 6.0, "xy_edge_threshold": 0.0}
    halves = []
    for part in (0, 1):
        kept = [
            p if n % 2 == part else p.replace(FLUX=np.full_like(p["FLUX"], np.nan)) for n, p in enumerate(calibrated)
        ]
        halves.append(chain.do(resample, kept, values).products[0])
    pull = (halves[0]["FLUX"] - halves[1]["FLUX"]) / np.hypot(halves[0]["ERROR"], halves[1]["ERROR"])
    assert np.sqrt(np.nanmean(pull**2)) == pytest.approx(1.1, abs=0.3)  # some tens of independent pixels
    moved = [p.replace(DEC=p["DEC"] + 18.0 / 3600) for p in calibrated]
    shifted = chain.do(resample, moved, values).products[0]
    usual = chain.do(resample, calibrated, values).products[0]
    np.testing.assert_allclose(shifted["DEC--TAN"] - usual["DEC--TAN"], 18.0 / 3600, atol=1e-9)
    change = np.abs(shifted["FLUX"] - usual["FLUX"])
    assert np.nanpercentile(change, 99) < 1e-3 * np.nanmax(usual["FLUX"])  # of the few others, a sample left the window


NOTHING_LEFT: dict[str, Settings] = {
    "s2n": {"fit_ramps": {"s2n": 1e9}},
    "indpos_sigma": {"fit_ramps": {"indpos_sigma": 1e-9}},
    "cutoff": {"telluric_correct": {"cutoff": 1.0}},
    "posthresh": {"resample": {"posthresh": 1e-9}},
    "xy_window": {"resample": {"xy_window": 0.01}},
    "xy_smoothing": {"resample": {"xy_smoothing": 1e-9}},
}


@pytest.mark.parametrize("name", NOTHING_LEFT)
def test_that_values_that_leave_nothing_end_with_a_sentence(chains, name):
    chain = chains("symmetric", n_dither=2, chop_cycles=3)
    with pytest.raises(StepError, match=r"nothing to make a cube of|none of the pixels|no sample is usable") as raised:
        chain.run(NOTHING_LEFT[name], "resample")
    assert "nobody foresaw" not in str(raised.value)
