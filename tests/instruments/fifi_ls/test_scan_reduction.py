"""Scan reduction before Resample: reading scans, handing them on, the further product, what is refused."""

import numpy as np
import pytest

from sofia_engine.errors import HeaderError, InputError, ParameterError, StepError
from sofia_engine.instruments.fifi_ls.gratings import make_plane, make_product
from sofia_engine.instruments.fifi_ls.resample import ResampleParameters, resample
from sofia_engine.instruments.fifi_ls.scan_reader import find_center, is_scan, read_scans
from sofia_engine.pipeline.parameters import Setting
from sofia_engine.scan import flags

SIDE = 3.0 * 4.2331334
ROWS, COLUMNS = (axis.ravel() - 2.0 for axis in np.mgrid[:5, :5])
WAVE = np.linspace(157.4, 158.15, 16)
FRAMES, STEP = 100, 0.128
BASE = (83.8, -5.4)
NOISE = 4.0


def draw_source(east, north, wave):
    near = np.exp(-4 * np.log(2) * (east**2 + north**2) / 18.0**2)
    return near * (20.0 + 100.0 * np.exp(-0.5 * ((wave - 157.75) / 0.06) ** 2))


@pytest.fixture
def make_scans(make_header):
    """Give a function that makes scan lines to the east and west, with sky noise, as products after Flux Calibrate."""

    def make(lines=5, sky=20.0, base=BASE, frames=FRAMES, source=True, **keywords):
        random, made = np.random.default_rng(8), []
        for number in range(lines):
            path = (-1.0) ** number * 5.0 * STEP * (np.arange(frames) - (frames - 1) / 2)
            east = np.broadcast_to((path[:, None] + SIDE * COLUMNS)[:, None], (frames, 16, 25))
            north = np.broadcast_to(14.0 * (number - (lines - 1) / 2) + SIDE * ROWS, (frames, 16, 25))
            wave = WAVE[:, None] + 0.01 * COLUMNS
            common = np.cumsum(random.normal(0, 1, frames))
            flux = draw_source(east, north, wave) * source + random.uniform(-50, 50, (16, 25))
            flux = flux + (sky * (common - common.mean()) / common.std())[:, None, None]
            flux = flux + random.normal(0, NOISE, flux.shape)
            ra = (base[0] + east / 3600 / np.cos(np.radians(base[1]))) % 360 / 15
            values = {
                "FLUX": (flux, "Jy/pixel"), "STDDEV": (np.full(flux.shape, NOISE), "Jy/pixel"),
                "UNCORRECTED_FLUX": (flux / 2, "Jy/pixel"),
                "UNCORRECTED_STDDEV": (np.full(flux.shape, NOISE / 2), "Jy/pixel"), "LAMBDA": (wave, "um"),
                "UNCORRECTED_LAMBDA": (wave, "um"), "XS": (-east, "arcsec"), "YS": (north, "arcsec"),
                "RA": (ra, "hourangle"), "DEC": (base[1] + north / 3600, "degree"), "ATRAN": (np.ones((16, 25)), ""),
                "RESPONSE": (np.ones((16, 25)), "r"), "RELATIVE_RESPONSE_ERROR": (np.full((16, 25), 0.1), ""),
            }  # fmt: skip
            header = make_header(
                INSTMODE="OTF_TP", NODSTYLE="C2NC2", C_AMP=0.0, ALPHA=0.004, SKY_ANGL=0.0, PROCSTAT="LEVEL_3",
                OBSLAM=base[0], OBSBET=base[1], FILENUM=f"{number + 1:05d}", FILENAME=f"{number + 1}.fits", **keywords,
            )  # fmt: skip
            made.append(make_product(header, {name: make_plane(*value) for name, value in values.items()}))
        return made

    return make


OPTIONS = {"scan_reduction": True, "xy_pixel_size": 8.0, "w_pixel_size": 0.06}


def offsets(cube):
    return np.meshgrid(
        (cube["RA---TAN"] - BASE[0]) * 3600 * np.cos(np.radians(BASE[1])), (cube["DEC--TAN"] + 5.4) * 3600
    )


def test_that_channels_and_frames_are_what_the_file_says(make_scans):
    products = make_scans(2)
    center = find_center(products, on_sky=True)
    assert (center.ra, center.dec) == pytest.approx(BASE, abs=1e-6)
    first, second = read_scans(products, center)
    assert (first.frames.count, first.channels.count, first.step) == (FRAMES, 400, pytest.approx(STEP))
    assert np.ptp(first.frames.x) == pytest.approx(5.0 * STEP * (FRAMES - 1))
    assert second.frames.y - first.frames.y == pytest.approx(14.0)
    assert first.channels.x[:25] == pytest.approx(-SIDE * COLUMNS, abs=1e-3)  # to the west
    assert first.channels.y[25:50] == pytest.approx(SIDE * ROWS, abs=1e-3)
    assert first.channels.z[2::25] == pytest.approx(WAVE)
    assert first.channels.groups["spexels"][[0, 24, 25]].tolist() == [0, 0, 1]
    assert first.channels.groups["cols"][[4, 5, 29]].tolist() == [0, 1, 0]
    assert first.channels.weight == pytest.approx(np.full(400, NOISE**-2), rel=1e-6)
    assert first.frames.weight == pytest.approx(np.ones(FRAMES))
    assert first.residual == pytest.approx(products[0]["FLUX"].reshape(FRAMES, 400))


def test_that_uncorrected_flux_is_read_with_its_own_errors(make_scans):
    products = make_scans(1)
    (scan,) = read_scans(products, find_center(products, on_sky=True), "uncorrected")
    assert scan.residual == pytest.approx(products[0]["UNCORRECTED_FLUX"].reshape(FRAMES, 400))
    assert np.sqrt(scan.channels.variance) == pytest.approx(np.full(400, NOISE / 2), rel=1e-6)


@pytest.mark.parametrize("base", [(0.0005, 60.0), (359.9995, -70.0)])
def test_that_scans_across_0_h_hang_together(make_scans, base):
    products = make_scans(2, base=base)
    scans = read_scans(products, find_center(products, on_sky=True))
    assert np.ptp(scans[0].frames.x) == pytest.approx(5.0 * STEP * (FRAMES - 1), rel=1e-3)


def test_that_missing_samples_and_bad_pixels_are_flagged(make_scans):
    (product,) = make_scans(1)
    flux = product["FLUX"].copy()
    flux[:, 3, 4], flux[7, 1, 1] = np.nan, np.nan
    error = product["STDDEV"].copy()
    error[:, 5, 5] = 0.0
    products = [product.replace(FLUX=flux, STDDEV=error)]
    (scan,) = read_scans(products, find_center(products, on_sky=True))
    assert np.flatnonzero(scan.channels.flag & flags.DEAD).tolist() == [3 * 25 + 4, 5 * 25 + 5]
    assert scan.bad[7, 26] == flags.SKIP
    assert np.isfinite(scan.residual).all()


def test_that_what_cannot_be_read_is_refused(make_scans):
    (product,) = make_scans(1)
    center = find_center([product], on_sky=True)
    header = product.header.copy()
    del header["ALPHA"]
    with pytest.raises(HeaderError, match="ALPHA"):
        read_scans([product.replace(header=header)], center)
    with pytest.raises(InputError, match="XS"):
        read_scans([product.replace(XS=product["XS"][:, 0])], center)
    with pytest.raises(StepError, match="position"):
        find_center([product.replace(RA=np.full((FRAMES, 16, 25), np.nan))], on_sky=True)


def test_that_the_cube_holds_the_source_without_the_stripes(make_scans, run_step):
    products = make_scans()
    before = [product["FLUX"].copy() for product in products]
    (truth,), _ = run_step(resample, make_scans(sky=0.0), **OPTIONS | {"skip_uncorrected": True})
    (plain,), _ = run_step(resample, products, **OPTIONS | {"scan_reduction": False, "skip_uncorrected": True})
    (cube,), run = run_step(resample, products, **OPTIONS)
    east, north = offsets(cube)
    known = (np.isfinite(cube["FLUX"]) & np.isfinite(plain["FLUX"]) & np.isfinite(truth["FLUX"])).sum(axis=0) > 5
    far = (np.hypot(east, north) > 35) & known
    near = (np.hypot(east, north) < 15) & known
    assert np.nanmean(np.square(cube["FLUX"][:, far])) < 0.05**2 * np.nanmean(np.square(plain["FLUX"][:, far]))
    assert np.nansum(cube["FLUX"][:, near]) == pytest.approx(np.nansum(truth["FLUX"][:, near]), rel=0.03)
    assert np.nansum(cube["UNCORRECTED_FLUX"][:, near]) == pytest.approx(np.nansum(cube["FLUX"][:, near]) / 2, rel=0.03)
    assert run.history_lines[0].startswith("Scan reduction")
    assert all(np.array_equal(a, product["FLUX"]) for a, product in zip(before, products, strict=True))
    assert not run.companions


def test_that_the_source_model_is_handed_over(make_scans, run_step):
    _, run = run_step(resample, make_scans(3), save_scan=True, skip_uncorrected=True, **OPTIONS)
    (companion,) = run.companions
    assert (companion.code, companion.product_type) == ("SCN", "scan_cube")
    product = companion.product
    assert list(product.extensions) == ["FLUX", "EXPOSURE", "NOISE", "S/N"]
    assert (product.header["FILENUM"], product.header["SCANS"]) == ("00001-00003", 3)
    header, flux = product.plane("FLUX").cards, product["FLUX"]
    k, j, i = np.unravel_index(np.nanargmax(flux), flux.shape)
    east = (i + 1 - header["CRPIX1"]) * header["CDELT1"] * 3600 + (header["CRVAL1"] - BASE[0]) * 3600 * np.cos(0.094)
    north = (j + 1 - header["CRPIX2"]) * header["CDELT2"] * 3600 + (header["CRVAL2"] - BASE[1]) * 3600
    assert (east, north) == pytest.approx((0.0, 0.0), abs=7.0)
    assert header["CRVAL3"] + k * header["CDELT3"] == pytest.approx(157.75, abs=0.08)
    assert np.nanmax(product["S/N"]) > 20
    assert product["S/N"] == pytest.approx(flux / product["NOISE"], nan_ok=True)


def test_that_files_that_are_no_scans_are_passed_on(make_scans, run_step):
    scans = make_scans(2)
    frame = {name: scans[0][name][50] for name in ("FLUX", "STDDEV", "XS", "YS", "RA", "DEC")}
    frame |= {f"UNCORRECTED_{name}": scans[0][f"UNCORRECTED_{name}"][50] for name in ("FLUX", "STDDEV")}
    staring = scans[0].replace(**frame)
    assert (is_scan(scans[0]), is_scan(staring)) == (True, False)
    _, run = run_step(resample, [staring, staring], skip_uncorrected=True, interpolate=True, **OPTIONS)
    assert "None of the files is a scan" in run.warnings[0]
    (cube,), run = run_step(resample, [staring, *scans], skip_uncorrected=True, **OPTIONS)
    assert not run.warnings or "scan on the fly" not in run.warnings[0]
    assert cube["EXPOSURE_MAP"].max() > FRAMES // 2


def test_that_short_scans_are_left_out_with_a_warning(make_scans, run_step):
    short = make_scans(1, frames=20)[0]
    _, run = run_step(resample, [*make_scans(2), short], skip_uncorrected=True, **OPTIONS)
    assert any("left out of the cube: only 2.6 s" in warning for warning in run.warnings)
    with pytest.raises(StepError, match="None of the scans can be reduced"):
        run_step(resample, [short], skip_uncorrected=True, **OPTIONS)


def test_that_scans_are_reduced_in_detector_coordinates_too(make_scans, run_step):
    (cube,), _ = run_step(resample, make_scans(3), skip_uncorrected=True, detector_coordinates=True, **OPTIONS)
    assert cube.header["CTYPE1"] == "X"
    peak = np.unravel_index(np.nanargmax(cube["FLUX"]), cube["FLUX"].shape)
    assert (cube["XS"][peak[2]], cube["YS"][peak[1]]) == pytest.approx((0.0, 0.0), abs=8.0)


def test_that_pixels_without_any_data_stop_the_step_with_a_sentence(make_scans, run_step):
    dead = [p.replace(FLUX=np.full((FRAMES, 16, 25), np.nan)) for p in make_scans(2)]
    with pytest.raises(StepError, match="no channel has data"):
        run_step(resample, dead, skip_uncorrected=True, **OPTIONS)


def test_that_wrong_options_are_refused_as_soon_as_they_are_given():
    with pytest.raises(ParameterError, match=r"resample\.scan_options = 'wieghting=f'.*did you mean weighting"):
        ResampleParameters.make({"scan_options": Setting("wieghting=f")}, step="resample")
    assert ResampleParameters(scan_options=" extended clip@4=2 ").scan_options.strip() == "extended clip@4=2"


def test_that_a_single_scan_is_reduced_as_several_are(make_scans, run_step):
    (cube,), run = run_step(resample, make_scans(1), skip_uncorrected=True, **OPTIONS)
    assert not any("left out" in warning for warning in run.warnings)
    away = np.isfinite(cube["FLUX"]) & (np.hypot(*offsets(cube)) > 35)
    assert cube["FLUX"][away].std() < 0.3 * np.nanmax(cube["FLUX"])


def test_that_a_telescope_that_did_not_move_stops_the_step_with_a_sentence(make_scans, run_step):
    still = []
    for product in make_scans(2):
        names = ("RA", "DEC", "XS", "YS")
        still.append(product.replace(**{n: np.broadcast_to(product[n][:1], product[n].shape) for n in names}))
    with pytest.raises(StepError, match=r"None of the scans can be reduced: .*the telescope did not move"):
        run_step(resample, still, skip_uncorrected=True, **OPTIONS)


@pytest.mark.parametrize("keyword", ["ALPHA", "RAMPLN_R"])
def test_that_a_missing_keyword_is_named(make_scans, run_step, keyword):
    (product,) = make_scans(1)
    header = product.header.copy()
    del header[keyword]
    with pytest.raises(HeaderError, match=keyword) as caught:
        run_step(resample, [product.replace(header=header)], skip_uncorrected=True, **OPTIONS)
    assert "\n" not in str(caught.value)


def test_that_options_reach_the_reduction(make_scans, run_step):
    with pytest.raises(StepError, match="larger pixels"):
        run_step(resample, make_scans(1), scan_options="grid=0.01", **OPTIONS)
