"""Grids, footprints, samples and cubes: geometry, known surfaces, flux, headers, errors of wrong input."""

import math

import numpy as np
import pytest

from sofia_engine.errors import InputError, ParameterError, StepError
from sofia_engine.instruments.fifi_ls import memory
from sofia_engine.instruments.fifi_ls.combine_grating_scans import combine_grating_scans
from sofia_engine.instruments.fifi_ls.cube_grid import PixelSizes, lay_grid
from sofia_engine.instruments.fifi_ls.cube_samples import Exposure, gather_exposures
from sofia_engine.instruments.fifi_ls.footprints import find_footprint, find_hull
from sofia_engine.instruments.fifi_ls.gratings import make_plane, make_product
from sofia_engine.instruments.fifi_ls.pointing import find_astray_ramps, parse_pointing
from sofia_engine.instruments.fifi_ls.recipe import CUBE, name_product
from sofia_engine.instruments.fifi_ls.resample import ResampleParameters, resample
from sofia_engine.instruments.fifi_ls.scans import level_spectra, sort_spectra
from sofia_engine.instruments.fifi_ls.spectral_map import CubeMapParameters, describe_cube_map, find_peak, specmap

SIDE = 3.0 * 4.2331334
ROWS, COLUMNS = (axis.ravel() - 2.0 for axis in np.mgrid[:5, :5])
WAVE = np.linspace(157.4, 158.1, 32)


def make_spectra(make_header, east=0.0, north=0.0, *, surface, position=(83.8, -5.4), **keywords):
    """A calibrated product at an offset (arcsec); the surface is a function of offsets and wavelength."""
    x = east + SIDE * COLUMNS
    y = north + SIDE * ROWS
    wave = np.broadcast_to(WAVE[:, np.newaxis], (32, 25))
    ones = np.ones((32, 25))
    ra = (position[0] + x / 3600 / np.cos(np.radians(position[1]))) / 15
    flux = surface(x * ones, y * ones, wave)
    values = {
        "FLUX": (flux, "Jy/pixel"), "STDDEV": (ones, "Jy/pixel"), "UNCORRECTED_FLUX": (flux / 2, "Jy/pixel"),
        "UNCORRECTED_STDDEV": (ones / 2, "Jy/pixel"), "LAMBDA": (wave, "um"), "UNCORRECTED_LAMBDA": (wave, "um"),
        "XS": (-x * ones, "arcsec"), "YS": (y * ones, "arcsec"), "RA": (ra * ones, "hourangle"),
        "DEC": ((position[1] + y / 3600) * ones, "degree"), "ATRAN": (ones, ""), "RESPONSE": (ones * 3, "r"),
        "RELATIVE_RESPONSE_ERROR": (ones * 0.1, ""),
        "UNSMOOTHED_ATRAN": (np.stack([np.linspace(150, 165, 3001), np.full(3001, 0.75)]).astype(np.float32), ""),
    }  # fmt: skip
    header = make_header(
        DLAM_MAP=-east, DBET_MAP=north, OBSLAM=position[0], OBSBET=position[1], PROCSTAT="LEVEL_3", SKY_ANGL=0.0,
        OBJECT="Star", BARYSHFT=0.0, **keywords,
    )  # fmt: skip
    return make_product(header, {name: make_plane(*value) for name, value in values.items()})


def plane_surface(x, y, wave):
    return 10 + 0.05 * x - 0.03 * y + 4 * (wave - 157.7)


@pytest.fixture
def dithers(make_header):
    """Give a function that makes products at four dither positions."""

    def make(surface=plane_surface, **keywords):
        places = [(0.0, 0.0), (4.0, 4.0), (-4.0, 3.0), (3.0, -5.0)]
        return [
            make_spectra(make_header, *place, surface=surface, FILENUM=f"{n:05d}", FILENAME=f"{n}.fits", **keywords)
            for n, place in enumerate(places, 1)
        ]

    return make


def coordinates(cube):
    """Offsets east and north (arcsec) of the pixels of a cube from the base position."""
    ra, dec = cube["RA---TAN"], cube["DEC--TAN"]
    return np.meshgrid((ra - 83.8) * 3600 * np.cos(np.radians(-5.4)), (dec + 5.4) * 3600)


def test_that_a_known_surface_comes_back(dithers, run_step):
    (cube,), _ = run_step(resample, dithers(), xy_pixel_size=3.0)
    east, north = coordinates(cube)
    factor = (3.0 / SIDE) ** 2
    expected = plane_surface(east, north, cube["WAVELENGTH"][:, None, None]) * factor
    known = np.isfinite(cube["FLUX"])
    assert known.mean() > 0.3
    assert cube["FLUX"][known] == pytest.approx(expected[known], rel=2e-4)
    assert cube["UNCORRECTED_FLUX"][known] == pytest.approx(expected[known] / 2, rel=2e-4)
    assert cube["CAL_ERROR"][known] == pytest.approx(0.1 * np.abs(expected[known]), rel=2e-4)
    assert (cube["RESPONSE"] == 3.0).all()
    assert cube["TRANSMISSION"] == pytest.approx(0.75)


def test_that_the_cube_has_the_planes_and_keywords_published(dithers, run_step):
    (cube,), _ = run_step(resample, dithers(), xy_pixel_size=3.0, append_weights=True)
    names = [
        "FLUX", "ERROR", "CAL_ERROR", "UNCORRECTED_FLUX", "UNCORRECTED_ERROR", "UNCORRECTED_CAL_ERROR", "WAVELENGTH",
        "RA---TAN", "DEC--TAN", "TRANSMISSION", "RESPONSE", "RELATIVE_RESPONSE_ERROR", "EXPOSURE_MAP",
        "UNSMOOTHED_TRANSMISSION", "IMAGE_WEIGHTS", "UNCORRECTED_IMAGE_WEIGHTS",
    ]  # fmt: skip
    assert list(cube.extensions) == names
    header = cube.header
    assert (header["FILENUM"], header["PIXSCAL"], header["BUNIT"], header["CTYPE3"]) == (
        "00001-00004", 3.0, "Jy/pixel", "WAVE",
    )  # fmt: skip
    assert header["CDELT3"] == pytest.approx(157.75 / header["RESOLUN"] / 8, rel=1e-4)
    assert cube["EXPOSURE_MAP"].max() == 8  # four files, two nods each
    assert np.isnan(cube["FLUX"][cube["EXPOSURE_MAP"] == 0]).all()
    assert (cube["IMAGE_WEIGHTS"] >= 0).all()


@pytest.mark.parametrize("position", [(83.8, -5.4), (0.001, 60.0), (359.999, -75.0)])
def test_that_grids_hold_all_samples_anywhere_on_the_sky(make_header, position):
    product = make_spectra(make_header, surface=plane_surface, position=position)
    (exposures,) = gather_exposures([product], on_sky=True)
    grid = lay_grid(exposures, PixelSizes(3.0, 0.02))
    x, y = grid.to_pixels(exposures[0].x, exposures[0].y)
    for values, size in ((x, grid.shape[2]), (y, grid.shape[1])):
        assert -1e-6 <= values.min() < 1
        assert size - 2 < values.max() < size
    slices = grid.to_slice(WAVE)
    assert slices.min() >= 0
    assert slices.max() < grid.shape[0]
    assert grid.shape[2] == pytest.approx(4 * SIDE / 3.0 + 1.5, abs=1.5)


def test_that_a_turned_map_has_its_places_on_the_sky(make_header):
    product = make_spectra(make_header, surface=plane_surface)
    (exposures,) = gather_exposures([product], on_sky=True)
    straight, turned = (lay_grid(exposures, PixelSizes(3.0, 0.02), angle=angle) for angle in (0.0, 30.0))
    for grid in (straight, turned):
        x, y = grid.to_pixels(exposures[0].x, exposures[0].y)
        ra, dec = grid.plane.to_sky(x, y)
        assert ra == pytest.approx(exposures[0].x, abs=1e-9)
        assert dec == pytest.approx(exposures[0].y, abs=1e-9)
    assert ("CROTA2", -30.0) in [card[:2] for card in turned.cards()]


def test_that_maps_too_large_are_refused(make_header):
    far = [make_spectra(make_header, east, surface=plane_surface) for east in (0.0, 7200.0)]
    exposures = [e for group in gather_exposures(far, on_sky=True) for e in group]
    with pytest.raises(StepError, match="2048"):
        lay_grid(exposures, PixelSizes(3.0, 0.02))


def test_that_the_footprint_is_the_field(make_header):
    inside = find_footprint(30 + 4 * COLUMNS, 30 + 4 * ROWS, 4.0, (60, 60))
    assert inside.sum() == 400
    rows, columns = np.nonzero(inside)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (20, 39, 20, 39)
    angle = np.radians(30)
    x, y = 4 * COLUMNS, 4 * ROWS
    turned = find_footprint(
        30 + x * np.cos(angle) - y * np.sin(angle), 30 + x * np.sin(angle) + y * np.cos(angle), 4.0, (60, 60)
    )
    assert turned.sum() == pytest.approx(400, rel=0.03)
    assert not find_footprint(np.full(25, np.nan), np.full(25, np.nan), 4.0, (9, 9)).any()


def test_that_hulls_hold_the_corners_only():
    x, y = np.meshgrid(np.arange(5.0), np.arange(5.0))
    assert find_hull(x.ravel(), y.ravel()).tolist() == [[0, 0], [4, 0], [4, 4], [0, 4]]


def test_that_one_position_is_interpolated(make_header, run_step):
    product = make_spectra(make_header, surface=plane_surface)
    (cube,), _ = run_step(resample, [product], xy_pixel_size=3.0)
    assert cube.header["XYRSMPAL"] == "radial basis function interpolation"
    east, north = coordinates(cube)
    inner = (np.abs(east) < 20) & (np.abs(north) < 20)
    expected = plane_surface(east, north, cube["WAVELENGTH"][:, None, None]) * (3.0 / SIDE) ** 2
    middle = slice(8, -8)
    ratio = (cube["FLUX"] / expected)[middle][:, inner]
    assert np.abs(ratio - 1).max() < 0.02
    assert (cube["ERROR"][middle][:, inner] > 0).all()


def test_that_errors_of_interpolated_cubes_are_their_scatter(make_header, run_step):
    product, random = make_spectra(make_header, surface=plane_surface), np.random.default_rng(3)
    clear, pulls = product["FLUX"], []
    (truth,), _ = run_step(resample, [product], xy_pixel_size=6.0, skip_uncorrected=True)
    for _ in range(40):
        noisy = product.replace(FLUX=clear + random.normal(0, 1, clear.shape))
        (cube,), _ = run_step(resample, [noisy], xy_pixel_size=6.0, skip_uncorrected=True)
        pulls.append((cube["FLUX"] - truth["FLUX"]) / cube["ERROR"])
    scatter = np.nanmean(np.std(pulls, axis=0)[4:-4], axis=0)
    assert scatter[np.isfinite(scatter)] == pytest.approx(1, abs=0.25)
    (earlier,), _ = run_step(resample, [product], xy_pixel_size=6.0, skip_uncorrected=True, fit_errors="reference")
    assert np.nanmax(cube["ERROR"] / earlier["ERROR"]) > 1.3  # the corners of the field


def test_that_small_windows_give_no_values_of_any_size(dithers, run_step):
    (cube,), _ = run_step(resample, dithers(), xy_pixel_size=3.0, xy_window=2.0, skip_uncorrected=True)
    factor, known = (3.0 / SIDE) ** 2, np.isfinite(cube["FLUX"])
    assert known.mean() > 0.3
    assert np.nanmax(np.abs(cube["FLUX"])) < 30 * factor
    assert np.nanmax(cube["ERROR"]) <= 10.0001 * factor  # the samples have errors of 1


@pytest.mark.parametrize(("key", "value"), [("xy_smoothing", 1e-9), ("xy_window", 0.01)])
def test_that_cubes_of_which_nothing_is_left_are_refused(dithers, run_step, key, value):
    with pytest.raises(StepError, match=f"none of the pixels of the cube has a value.*{key[:7]}"):
        run_step(resample, dithers(), xy_pixel_size=6.0, **{key: value})


SENSELESS = [
    (key, value)
    for key in ("xy_pixel_size", "w_pixel_size", "xy_oversample", "w_oversample", "xy_window", "w_window")
    for value in (0.0, 1e-320, 1e-9, 1e9, 1e300, math.nan, math.inf)
] + [
    (key, value)
    for key in ("xy_smoothing", "w_smoothing", "xy_edge_threshold", "w_edge_threshold")
    for value in (-1.0, 1e9, 1e300, math.nan, math.inf)
]


def test_that_lengths_without_sense_are_refused_when_they_are_set():
    defaults = ResampleParameters()
    for key, value in SENSELESS:
        with pytest.raises(ParameterError, match=key):
            defaults.with_values(**{key: value})


def test_that_each_file_can_have_a_cube_of_its_own(dithers, run_step):
    cubes, _ = run_step(resample, dithers(), xy_pixel_size=3.0, skip_coadd=True, skip_uncorrected=True)
    assert [cube.header["FILENUM"] for cube in cubes] == ["00001", "00002", "00003", "00004"]
    assert all("UNCORRECTED_FLUX" not in cube.planes for cube in cubes)


def test_that_moving_targets_are_mapped_in_the_field(dithers, run_step):
    (cube,), _ = run_step(resample, dithers(NAIF_ID=399), xy_pixel_size=3.0)
    assert "XS" in cube.planes
    assert cube.plane("XS").unit == "arcsec"
    assert cube.header["CDELT1"] == 3.0
    assert cube.header["BMAJ"] == pytest.approx(10.0)  # arcsec as the axes
    (wanted,), _ = run_step(resample, dithers(), xy_pixel_size=3.0, detector_coordinates=True)
    assert wanted["FLUX"].shape == cube["FLUX"].shape


@pytest.mark.parametrize("algorithm", ["scaled", "shaped"])
def test_that_adaptive_smoothing_recovers_a_higher_peak(dithers, run_step, algorithm):
    def star(x, y, wave):
        return 10 * np.exp(-0.5 * (x**2 + y**2) / 5.0**2) + 0 * wave

    options = {"xy_pixel_size": 3.0, "skip_uncorrected": True}
    products = [p.replace(STDDEV=np.full((32, 25), 0.01)) for p in dithers(star)]
    (static,), _ = run_step(resample, products, **options)
    (adaptive,), _ = run_step(resample, products, adaptive_algorithm=algorithm, **options)
    assert np.nanmax(adaptive["FLUX"]) > 1.05 * np.nanmax(static["FLUX"])


def test_that_wrong_wishes_are_refused(dithers, run_step):
    with pytest.raises(ValueError, match="a list of options: there is no option 'clipp'; did you mean clip"):
        run_step(resample, dithers(), scan_reduction=True, scan_options="clipp=3")
    with pytest.raises(ParameterError, match="error_weighting"):
        run_step(resample, dithers(), adaptive_algorithm="shaped", error_weighting=False)


def test_that_cubes_without_any_value_are_refused(dithers, run_step):
    empty = [product.replace(FLUX=np.full((32, 25), np.nan)) for product in dithers()]
    with pytest.raises(StepError, match="none of the samples"):
        run_step(resample, empty)


def test_that_planes_of_the_wrong_shape_are_refused(dithers, run_step):
    wrong = [product.replace(STDDEV=np.ones((31, 25))) for product in dithers()]
    with pytest.raises(InputError, match="STDDEV has the shape"):
        run_step(resample, wrong)


def test_that_cubes_beyond_memory_are_refused(monkeypatch):
    monkeypatch.setattr(memory, "find_free_memory", lambda: 1e9)
    memory.require_memory((100, 100, 50), 1000)
    with pytest.raises(StepError, match=r"1\.1 GB of memory, 1\.0 GB are free"):
        memory.require_memory((100, 100, 1000), 1000)


def test_that_spectra_are_levelled_in_their_common_range():
    waves = [np.broadcast_to(np.linspace(a, a + 1, 16)[:, None], (16, 25)) for a in (157.0, 157.3)]
    fluxes = [w * 2 + offset for w, offset in zip(waves, (0.0, 3.0), strict=True)]
    levelled = level_spectra(fluxes, waves)
    gaps = [flux - 2 * wave for flux, wave in zip(levelled, waves, strict=True)]
    assert gaps[0] == pytest.approx(gaps[1], abs=0.2)  # the samples in the range are not the same
    apart = [waves[0], waves[1] + 5]
    assert level_spectra(fluxes, apart)[0] is fluxes[0]
    assert fluxes[1][0, 0] == pytest.approx(2 * 157.3 + 3)


def test_that_spectra_are_put_in_order_of_wavelength():
    wave = np.array([[3.0, 1.0], [1.0, 2.0], [2.0, 3.0]])
    made = sort_spectra([wave * 10, wave], wave)
    assert made[1][:, 0].tolist() == [1.0, 2.0, 3.0]
    assert made[0][:, 1].tolist() == [10.0, 20.0, 30.0]


def test_that_scans_of_gratings_are_joined(make_gratings, run_step):
    waves = [np.broadcast_to(np.linspace(a, a + 0.7, 16)[:, None], (16, 25)) for a in (157.3, 157.32)]
    planes = {"LAMBDA": (waves, "um")}
    planes |= {n: ([np.arange(25.0)] * 2, "arcsec") for n in ("XS", "YS", "RA", "DEC")}
    product = make_gratings([1.0, 3.0], planes=planes)
    made, _ = run_step(combine_grating_scans, product)
    assert made["FLUX"].shape == (32, 25)
    assert made["FLUX"] == pytest.approx(2.0)
    assert (np.diff(made["LAMBDA"], axis=0) > 0).all()
    assert made["XS"][7].tolist() == list(range(25))
    assert made.header["BGLEVL_A"] == 60.0
    plain, _ = run_step(combine_grating_scans, product, bias=False)
    assert sorted(set(plain["FLUX"].ravel())) == [1.0, 3.0]


def test_that_ramps_taken_astray_are_found(tmp_path):
    path = tmp_path / "mission.tsv"
    rows = [f"{t}\t{3.0 if t >= 50 else 0.0}\t{4.0 if t >= 50 else 0.0}" for t in range(0, 100, 10)]
    path.write_text("\n".join(["timestamp\terror_RA\terror_Dec", *rows]))
    errors = parse_pointing(path)
    assert errors.distance.max() == 5.0
    times = np.array([10.0, 12.0, 60.0, 62.0, 500.0, 502.0])
    assert find_astray_ramps(times, 2, errors, 1.0).tolist() == [False, False, True, True, False, False]


@pytest.fixture
def cube(dithers, run_step):
    """A cube with a star and a line off the middle."""

    def star(x, y, wave):
        return 0.1 + 5 * np.exp(-0.5 * ((x - 8) ** 2 + (y - 4) ** 2) / 8**2 - 0.5 * ((wave - 157.7) / 0.1) ** 2)

    (made,), _ = run_step(resample, dithers(star), xy_pixel_size=3.0)
    return made.with_cards(("FILENAME", "cube.fits", ""), ("BUNIT", "Jy/pixel", ""))


def test_that_the_map_shows_the_slice_of_the_grating_and_the_peak(cube):
    content = describe_cube_map(cube, CubeMapParameters())
    assert content.mark == pytest.approx(157.741, abs=0.01)
    east, north = coordinates(cube)
    x, y = (int(v) for v in content.image.mark)
    assert (east[y, x], north[y, x]) == (pytest.approx(8, abs=3), pytest.approx(4, abs=3))
    assert content.title == "Object: Star, Channel: RED"
    peak = describe_cube_map(cube, CubeMapParameters(slice_method="peak"))
    assert peak.mark == pytest.approx(157.7, abs=0.02)
    reference = describe_cube_map(cube, CubeMapParameters(point_method="reference"))
    x, y = (int(v) for v in reference.image.mark)
    assert (abs(east[y, x]), abs(north[y, x])) < (3, 3)


def test_that_slice_point_and_plane_can_be_chosen(cube):
    wished = CubeMapParameters(override_slice="5", override_point="3,4", extension="uncorrected", beam=True)
    content = describe_cube_map(cube, wished)
    assert content.mark == cube["WAVELENGTH"][5]
    assert content.image.mark == (3.0, 4.0)
    assert content.image.beam is not None
    assert np.array_equal(content.curves[0].flux, cube["UNCORRECTED_FLUX"][:, 4, 3], equal_nan=True)


@pytest.mark.parametrize(
    ("key", "value"),
    [("override_slice", "999"), ("override_point", "99,1"), ("override_point", "0,0"), ("extension", "X")],
)
def test_that_wishes_outside_the_cube_are_refused(cube, key, value):
    with pytest.raises(ParameterError, match=key):
        describe_cube_map(cube, CubeMapParameters(**{key: value}))


def test_that_no_picture_is_made_without_a_wish_or_a_value(cube, run_step):
    made, run = run_step(specmap, cube, skip_preview=True)
    assert made is cube
    assert not run.attachments
    empty = cube.replace(FLUX=np.full(cube["FLUX"].shape, np.nan))
    assert not run_step(specmap, empty)[1].attachments


def test_that_the_picture_is_named_as_the_cube(cube, run_step):
    _, run = run_step(specmap, cube)
    assert run.attachments[0].name == "cube.png"
    assert run.attachments[0].content[:4] == b"\x89PNG"


def test_that_the_peak_is_found_where_the_signal_is_best():
    flux, error = np.zeros((20, 30, 30)), np.ones((20, 30, 30))
    flux[9:12, 13:18, 10:15] = 5.0
    flux[11, 15, 12] = 6.0
    flux[1, 25, 25] = 100.0  # among the outer slices
    assert find_peak(flux, error, 0.2) == (11, 15, 12)


def test_that_products_are_named_as_published(make_header):
    header = make_header(FILENUM="00001-00008", CHOPNUM=1)
    assert name_product(header, (), "WXY") == "F0855_FI_IFS_90000101_RED_WXY_00001-00008.fits"
    assert name_product(header, (), "RP") == "F0855_FI_IFS_90000101_RED_RP1_00001-00008.fits"
    nameless = make_header(MISSN__ID=None, AOR_ID=None, FILENUM=None, CHANNEL="BLUE")
    assert name_product(nameless, (), "CAL") == "UNKNOWN_FI_IFS_UNKNOWN_BLU_CAL_UNKNOWN.fits"


def test_that_products_go_on_after_the_step_that_made_them(make_header):
    for kind, step in (("flux_calibrated", "correct_wave_shift"), ("WXY_Resampled", "specmap"), ("RAW", "checkhead")):
        header = make_header(PRODTYPE=kind)
        assert CUBE.accepts(header)
        assert CUBE.steps[CUBE.first_step(header)].key == step
    for kind, words in (("specmap", "No steps to run"), ("bananas", "PRODTYPE")):
        with pytest.raises(InputError, match=words):
            CUBE.accepts(make_header(PRODTYPE=kind))


def test_that_channels_and_kinds_of_observation_are_kept_apart(make_header):
    assert CUBE.group(make_header()) != CUBE.group(make_header(DETCHAN="BLUE"))
    assert CUBE.group(make_header(OBSTYPE="SKY")) != CUBE.group(make_header(OBSTYPE="OBJECT"))


def test_that_pixel_sizes_follow_the_channel(make_header):
    sizes = [CUBE.defaults(make_header(DETCHAN=c))["resample"]["xy_pixel_size"] for c in ("RED", "BLUE", "?")]
    assert sizes == [3.0, 1.5, None]


def test_that_exposures_keep_the_planes_of_their_product(make_header):
    ((exposure,),) = gather_exposures([make_spectra(make_header, surface=plane_surface)], on_sky=False)
    assert isinstance(exposure, Exposure)
    assert exposure.x.shape == exposure.flux.shape == (32, 25)
    assert exposure.uncorrected_flux == pytest.approx(exposure.flux / 2)
