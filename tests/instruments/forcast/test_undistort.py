"""Correct Distortion: positions and fluxes of stars behind a known distortion, coordinates, golden products."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sofia_engine.errors import ReferenceDataError
from sofia_engine.header.celestial import read_tangent_plane
from sofia_engine.instruments.forcast.distortion import fit_distortion, model_pinholes, read_pinholes
from sofia_engine.instruments.forcast.undistort import CorrectedFrame, measure_pixel_areas, plan_frame, undistort
from sofia_engine.product import Product
from sofia_engine.reference import ReferenceStore

DX, DY = 20.5, 21.6


def bend(x, y):
    """Detector position of an ideal position: a cubic barrel distortion of up to 4 pixels in the corners."""
    u, v = (np.asarray(x) - 128.5) / 128, (np.asarray(y) - 128.5) / 128
    return x + 2.0 * u * (u**2 + v**2) + 0.4 * u * v, y + 2.0 * v * (u**2 + v**2) - 0.5 * u * u


def write_pinholes(path, dx=DX, dy=DY, distort=bend):
    lines = ["xid\tyid\txpos\typos"]
    for j in range(11):
        for i in range(11):
            x, y = distort(128.5 + (i - 5) * dx, 128.5 + (j - 5) * dy)
            lines.append(f"{i}\t{j}\t{x:.6f}\t{y:.6f}")
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@pytest.fixture
def pinholes(tmp_path):
    return write_pinholes(tmp_path / "pinholes.txt")


@pytest.fixture
def correct(drive):
    def call(image, pinfile="", **parameters):
        return drive(undistort, image, {"pinfile": pinfile} | parameters, store=ReferenceStore(offline=True))

    return call


def test_that_a_regular_square_grid_leaves_the_image_as_it_is(correct, make_stacked, tmp_path):
    flux = np.random.default_rng(1).normal(size=(256, 256))
    grid = write_pinholes(tmp_path / "grid.txt", 21.0, 21.0, lambda x, y: (x, y))
    corrected, _ = correct(make_stacked(flux, 0.5), grid)
    assert corrected["FLUX"].shape == (256, 256)
    np.testing.assert_allclose(corrected["FLUX"][1:-1, 1:-1], flux[1:-1, 1:-1], atol=1e-6)
    np.testing.assert_allclose(corrected["ERROR"][1:-1, 1:-1], 0.5, rtol=1e-9)
    assert corrected.header["CRPIX1"] == pytest.approx(128.0, abs=1e-7)


@pytest.mark.parametrize("place", [(128.0, 128.0), (60.3, 190.7), (200.2, 70.9), (90.0, 90.0)], ids=str)
def test_that_a_star_behind_a_distortion_comes_back_to_its_place_on_the_sky(
    correct, make_stacked, draw_stars, find_star, pinholes, place
):
    reference = np.array([128.0, 127.0])
    x, y = bend(*place)
    crpix = np.array(bend(*reference)) + 1
    image = make_stacked(draw_stars((256, 256), (x, y, 50.0)), CRPIX1=crpix[0], CRPIX2=crpix[1])
    corrected, run = correct(image, pinholes)
    plane = read_tangent_plane(corrected.header)
    grid = model_pinholes(*read_pinholes(Path(pinholes)))
    frame = plan_frame((256, 256), grid.spacing)
    # the distortion also makes the mean spacing larger: it counts as scale of the pixels
    stretch = np.array(grid.spacing) / (DX, DY)
    expected, origin = (frame.place(*(128.5 + (np.array(at) - 128.5) * stretch)) for at in (place, reference))
    found = find_star(corrected["FLUX"], *expected)
    np.testing.assert_allclose(found, expected, atol=0.06)  # 0.05 arcsec
    np.testing.assert_allclose(plane.pixel, origin, atol=0.02)
    assert plane.matrix[0][0] == pytest.approx(-0.768 / 3600 * np.cos(np.radians(30)))
    assert run.quality["distortion_residual"] < 0.05


def test_that_the_flux_of_a_star_is_kept(correct, make_stacked, draw_stars, pinholes, tmp_path):
    image = make_stacked(draw_stars((256, 256), (128.5, 128.5, 50.0)))
    flat = write_pinholes(tmp_path / "flat.txt", DX, DY, lambda x, y: (x, y))
    corrected, _ = correct(image, flat)
    assert np.nansum(corrected["FLUX"]) == pytest.approx(50.0, rel=5e-3)
    frame = plan_frame((256, 256), (DX, DY))
    assert frame.resized == (249, 262)
    assert corrected["FLUX"].shape == frame.shape == (262, 262)
    area = 65536 / (frame.resized[0] * frame.resized[1])
    assert np.nanmedian(corrected["ERROR"]) == pytest.approx(0.01 * area)


@pytest.mark.parametrize("place", [(128.5, 128.5), (60.0, 190.0), (205.0, 70.0)], ids=str)
def test_that_the_flux_of_stars_is_kept_anywhere_if_wanted(correct, make_stacked, draw_stars, pinholes, place):
    image = make_stacked(draw_stars((256, 256), (*bend(*place), 50.0)))
    kept, run = correct(image, pinholes, conserve_flux=True)
    plain, _ = correct(image, pinholes)
    # bilinear resizing by some per cent changes sums by up to 0.1 percent per axis, the limit on the peak by as much
    assert np.nansum(kept["FLUX"]) == pytest.approx(50.0, rel=3.5e-3)
    assert abs(np.nansum(plain["FLUX"]) / 50.0 - 1) > 0.004
    assert any("area of detector" in line for line in run.history_lines)
    peak = np.unravel_index(np.nanargmax(plain["FLUX"]), plain["FLUX"].shape)
    assert kept["ERROR"][peak] / plain["ERROR"][peak] == pytest.approx(
        kept["FLUX"][peak] / plain["FLUX"][peak], rel=1e-3
    )


def test_that_pixel_areas_are_the_determinants_of_the_map():
    y, x = np.mgrid[:30, :40].astype(float)
    areas = measure_pixel_areas(np.stack([2 * y + 0.1 * x, 1.5 * x - 0.2 * y + 0.01 * x**2]))
    np.testing.assert_allclose(areas, 2 * (1.5 + 0.02 * x) + 0.1 * 0.2, rtol=1e-12)


@given(st.floats(5, 250), st.floats(5, 250))
@settings(max_examples=40, deadline=None)
def test_that_positions_go_to_the_corrected_image_and_back(x, y):
    grid = _bent_grid()
    model = fit_distortion(grid, "least squares")
    shown = model.locate(x, y)
    back_y, back_x = model.to_detector(shown[1], shown[0])
    assert (float(back_x), float(back_y)) == pytest.approx((x, y), abs=1e-8)


def _bent_grid():
    i, j = np.meshgrid(np.arange(11), np.arange(11))
    return model_pinholes(*bend(128.5 + (i - 5) * DX, 128.5 + (j - 5) * DY))


def test_that_the_grid_has_the_spacing_and_rotation_of_the_mask():
    turn = np.radians(2.0)
    i, j = np.meshgrid(np.arange(11) - 5.0, np.arange(11) - 5.0)
    x, y = 20.0 * (i * np.cos(turn) + j * np.sin(turn)), 20.0 * (-i * np.sin(turn) + j * np.cos(turn))
    grid = model_pinholes(x + 128.5, y + 128.5)
    assert grid.angle == pytest.approx(2.0)
    np.testing.assert_allclose(grid.spacing, 20.0, rtol=1e-12)
    np.testing.assert_allclose(grid.ideal, grid.measured, atol=1e-9)


def test_that_least_squares_errs_less_than_total_least_squares():
    """Positions of pinholes measured with errors of 0.1 pixel: the mean error of the map over the detector."""
    grid, rng = _bent_grid(), np.random.default_rng(2)
    truth = fit_distortion(grid, "least squares").to_detector.on_grid((256, 256))
    errors = {"least squares": 0.0, "total least squares": 0.0}
    for _ in range(10):
        noisy = grid.measured + rng.normal(0, 0.1, grid.measured.shape)
        for method in errors:
            fitted = fit_distortion(type(grid)(noisy, grid.ideal, grid.spacing, grid.angle), method)
            errors[method] += float(np.sqrt(np.mean((fitted.to_detector.on_grid((256, 256)) - truth) ** 2)))
    assert errors["least squares"] < 0.95 * errors["total least squares"]


def test_that_rounding_the_reference_pixel_is_a_choice_that_history_tells(correct, make_stacked, pinholes):
    image = make_stacked(np.zeros((256, 256)), CRPIX1=140.3, CRPIX2=100.8)
    exact, run = correct(image, pinholes)
    rounded, other = correct(image, pinholes, round_crpix=True)
    assert any("exact" in line for line in run.history_lines)
    assert any("rounded to whole pixels" in line for line in other.history_lines)
    grid = model_pinholes(*read_pinholes(Path(pinholes)))
    frame = plan_frame((256, 256), grid.spacing)
    shown = fit_distortion(grid, "least squares").locate(139.3, 99.8)
    np.testing.assert_allclose(read_tangent_plane(exact.header).pixel, frame.place(*shown), atol=1e-9)
    np.testing.assert_allclose(
        read_tangent_plane(rounded.header).pixel, frame.place(round(shown[0]), round(shown[1])), atol=1e-9
    )


def test_that_the_change_of_the_reference_pixel_adds_up(correct, make_stacked, pinholes):
    corrected, _ = correct(make_stacked(np.zeros((256, 256)), DCRPIX1=2.0, DCRPIX2=-1.0), pinholes)
    header = corrected.header
    assert header["DCRPIX1"] == pytest.approx(2.0 + header["CRPIX1"] - 128.0)
    assert header["DCRPIX2"] == pytest.approx(-1.0 + header["CRPIX2"] - 128.0)
    assert header["PINFILE"].endswith("pinholes.txt")


@pytest.mark.parametrize("sign", [-1, 1])
def test_that_pixels_become_square_and_keep_their_direction(correct, make_stacked, pinholes, sign):
    image = make_stacked(np.zeros((256, 256)), CDELT1=sign * 2.1e-4, CDELT2=2.0e-4)
    header = correct(image, pinholes)[0].header
    assert header["CDELT1"] == pytest.approx(sign * 0.768 / 3600)
    assert header["CDELT2"] == pytest.approx(0.768 / 3600)


def test_that_a_skipped_correction_returns_the_same_image(correct, make_stacked):
    image = make_stacked(np.zeros((256, 256)))
    assert correct(image, skip_undistort=True)[0] is image


def test_that_the_input_is_not_changed_and_bad_pixels_do_not_spread(correct, make_stacked, draw_stars, pinholes):
    flux = draw_stars((256, 256), (128.0, 128.0, 50.0))
    flux[100, 100] = np.nan
    image = make_stacked(flux)
    before = image["FLUX"].copy()
    corrected, _ = correct(image, pinholes)
    np.testing.assert_array_equal(image["FLUX"], before)
    around = corrected["FLUX"][80:130, 80:130]
    assert 1 <= np.isnan(around).sum() <= 9


def test_that_nothing_is_extrapolated_when_not_wanted(correct, make_stacked, tmp_path):
    grid = write_pinholes(tmp_path / "grid.txt", 18.0, 18.0, lambda x, y: (x, y))
    corrected, _ = correct(make_stacked(np.ones((256, 256))), grid, extrapolate=False)
    rows, columns = np.nonzero(np.isfinite(corrected["FLUX"]))
    assert (rows.min(), rows.max()) == (39, 218)  # 128.5 +- 90, inside
    assert (columns.min(), columns.max()) == (39, 218)
    assert np.isnan(corrected["ERROR"][0, 0])


def test_that_a_missing_reference_pixel_is_the_middle_with_a_warning(correct, make_stacked, tmp_path):
    grid = write_pinholes(tmp_path / "grid.txt", 21.0, 21.0, lambda x, y: (x, y))
    corrected, run = correct(make_stacked(np.zeros((256, 256)), CRPIX1=None), grid)
    assert corrected.header["CRPIX1"] == pytest.approx(128.5, abs=1e-6)
    assert any("CRPIX1" in warning for warning in run.warnings)


@pytest.mark.parametrize(
    ("obstype", "mode", "expected"),
    [("STANDARD_FLUX", "NMC", True), ("OBJECT", "NMC", False), ("STANDARD_FLUX", "NPC", False)],
)
def test_that_the_source_of_a_matched_standard_is_noted(
    correct, make_stacked, draw_stars, pinholes, obstype, mode, expected
):
    flux = draw_stars((256, 256), (128.0, 128.0, 100.0), (90.0, 170.0, -50.0), (166.0, 86.0, -50.0))
    corrected, _ = correct(make_stacked(flux, OBSTYPE=obstype, SKYMODE=mode), pinholes)
    assert ("SRCPOSX" in corrected.header) is expected
    if expected:
        found = corrected.header["SRCPOSX"], corrected.header["SRCPOSY"]
        peak = np.unravel_index(np.nanargmax(corrected["FLUX"]), corrected["FLUX"].shape)
        np.testing.assert_allclose(found, peak[::-1], atol=1.0)


def test_that_a_standard_without_a_source_is_corrected_with_a_warning(correct, make_stacked, pinholes):
    corrected, run = correct(make_stacked(np.zeros((256, 256)), OBSTYPE="STANDARD_FLUX"), pinholes)
    assert "SRCPOSX" not in corrected.header
    assert any("No source" in warning for warning in run.warnings)


def test_that_a_missing_pinhole_file_is_an_error(correct, make_stacked, tmp_path):
    with pytest.raises(ReferenceDataError, match="does not exist"):
        correct(make_stacked(np.zeros((256, 256))), str(tmp_path / "none.txt"))


@pytest.mark.parametrize("rows", ["0 0 a b\n", "", "0 0 300 5\n"], ids=["words", "empty", "outside"])
def test_that_an_unusable_table_of_pinholes_is_refused(correct, make_stacked, tmp_path, rows):
    path = tmp_path / "bad.txt"
    path.write_text("xid yid xpos ypos\n" + rows)
    with pytest.raises(ReferenceDataError, match=r"bad\.txt"):
        correct(make_stacked(np.zeros((256, 256))), str(path))


def test_that_the_frame_is_centred_and_grows_with_the_border():
    frame = CorrectedFrame((256, 256), (249, 263), 4)
    assert frame.shape == (264, 264)
    assert frame.corner == (8, 1)
    assert plan_frame((256, 256), (20.54, 21.66), 10).shape == (276, 276)
    assert frame.place(127.5, 127.5) == pytest.approx((1 + 131.0, 8 + 124.0))


@pytest.mark.golden
@pytest.mark.parametrize("name", ["forcast_img_nmc", "forcast_img_npc"])
@pytest.mark.parametrize("published", [True, False], ids=["as published", "default"])
def test_that_corrected_images_agree_with_the_golden_ones(
    golden, reference_store, reduce_raw, drive, compare_planes, name, published
):
    raw = min((golden / name / "raw").glob("*.fits.gz"))
    stacked = reduce_raw(raw, published)
    parameters = {"pinhole_fit": "Total least squares", "round_crpix": True} if published else {}
    corrected, _ = drive(undistort, stacked, parameters, store=reference_store)
    expected = Product.read(next((golden / name / "expected").glob("*_UND_*")))
    compare_planes(corrected, expected, 5e-3)
    keys = ("CRPIX1", "CRPIX2", "CDELT1", "CDELT2", "SRCPOSX", "SRCPOSY", "DCRPIX1", "BORDER", "PINFILE")
    for key in (key for key in keys if key in expected.header):
        if isinstance(expected.header[key], str):
            assert corrected.header[key] == expected.header[key]
        else:
            tolerance = 2e-3 if published else 0.08
            assert corrected.header[key] == pytest.approx(expected.header[key], abs=tolerance), key
