"""Slit images on the sky: their places, shifts along the slit, cubes of slit scans, aperture keywords."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sofia_engine.errors import HeaderError, InputError
from sofia_engine.spectroscopy.aperture_keywords import read_apertures, read_background_regions
from sofia_engine.spectroscopy.slit_cube import CubeRule, SlitImage, add_exposures, plan_cube, resample_cube
from sofia_engine.spectroscopy.slit_images import plan_slit_frame, shift_along_slit
from sofia_engine.spectroscopy.slit_place import read_slit_plane

SCALE = 0.768 / 3600
WIDTH = 3.125


def make_header(angle=30.0, ra=213.9, dec=19.2, row=60.5):
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return {
        "CRPIX2A": row, "CRPIX3A": 1.0, "CRVAL2A": dec, "CRVAL3A": ra, "CDELT2A": SCALE, "CDELT3A": -SCALE,
        "PC2_2A": cosine, "PC2_3A": -sine, "PC3_2A": sine, "PC3_3A": cosine,
    }  # fmt: skip


def make_scan(brightness, offsets=(-6.25, -3.125, 0.0, 3.125, 6.25), angle=30.0, rows=120, waves=9, noise=0.01):
    """Slits side by side over a source given by its brightness at (east, north) of the middle, in pixels."""
    images = []
    rng = np.random.default_rng(3)
    for across in offsets:
        turn = np.radians(angle)
        east, north = -across * np.cos(turn) * SCALE, -across * np.sin(turn) * SCALE
        dec = 19.2 + north
        plane = read_slit_plane(make_header(angle, 213.9 + east / np.cos(np.radians(dec)), dec))
        along = np.arange(rows) - 59.5
        x = -across * np.cos(turn) - along * np.sin(turn)
        y = -across * np.sin(turn) + along * np.cos(turn)
        flux = WIDTH * brightness(x, y)[:, np.newaxis] * np.ones(waves)
        error = np.full(flux.shape, noise)
        images.append(SlitImage(flux + rng.normal(0, noise, flux.shape), error, plane, WIDTH, 20.0))
    return images


def test_that_the_slit_lies_where_its_keywords_say():
    plane = read_slit_plane(make_header(angle=0.0))
    ra, dec = plane.to_sky(0.0, 59.5)
    assert (float(ra), float(dec)) == pytest.approx((213.9, 19.2))
    assert float(plane.to_sky(0.0, 69.5)[1]) == pytest.approx(19.2 + 10 * SCALE, abs=1e-9)


def test_that_a_missing_keyword_is_named():
    header = make_header()
    del header["CRVAL2A"]
    with pytest.raises(HeaderError, match="place of the slit"):
        read_slit_plane(header)


def test_that_a_cube_of_an_even_source_has_its_brightness_and_smaller_errors():
    images = make_scan(lambda x, _y: np.ones_like(x))
    grid = plan_cube(images)
    cube = resample_cube(images, grid, CubeRule())
    assert cube.flux.shape == (9, *grid.shape)
    good = np.isfinite(cube.flux)
    assert np.median(cube.flux[good]) == pytest.approx(1, abs=1e-3)
    pull = (cube.flux - 1)[good] / cube.error[good]
    assert np.median(cube.error[good]) < 0.01 / WIDTH
    assert 0.3 < np.std(pull) < 1.3


@pytest.mark.parametrize("angle", [0.0, 30.0, 140.0])
def test_that_a_source_keeps_its_place_in_the_cube(angle):
    def star(x, y):
        return np.exp(-((x - 3) ** 2 + (y - 4) ** 2) / 50)

    images = make_scan(star, tuple(3.125 * n for n in range(-5, 6)), angle)
    grid = plan_cube(images)
    cube = resample_cube(images, grid, CubeRule(window=5.0, smoothing=1.0))
    layer = np.where(cube.flux[4] > 0.3, cube.flux[4], 0.0)
    y, x = np.indices(layer.shape)
    center = (layer * x).sum() / layer.sum(), (layer * y).sum() / layer.sum()
    middle = grid.plane.to_pixel(213.9, 19.2)
    assert center[0] - float(middle[0]) == pytest.approx(-3, abs=0.8), "east is to the left"
    assert center[1] - float(middle[1]) == pytest.approx(4, abs=0.8)


def test_that_wavelengths_without_data_are_left_out_and_blocks_do_not_show():
    images = make_scan(lambda x, _y: np.ones_like(x), waves=40, noise=1e-6)
    for image in images:
        image.flux[:, :3] = np.nan
        image.flux[:, -2:] = np.nan
    grid = plan_cube(images)
    assert (grid.columns.start, grid.columns.stop) == (3, 38)
    steps = []
    for rule in (CubeRule(), CubeRule(order=1)):
        cube = resample_cube(images, grid, rule, lambda done, total: steps.append((done, total)))
        assert steps[-1] == (35, 35)
        assert np.nanmax(np.abs(cube.flux - 1)) < 1e-4


def test_that_exposure_is_that_of_the_area_of_the_slits():
    images = make_scan(lambda x, _y: np.ones_like(x))
    grid = plan_cube(images)
    exposure = add_exposures(images, grid)
    assert exposure.sum() == pytest.approx(5 * 20.0 * WIDTH * 120, rel=0.1)
    assert exposure.max() <= 40.0


def test_that_images_without_a_good_pixel_give_no_cube():
    images = make_scan(lambda x, _y: np.full_like(x, np.nan))
    with pytest.raises(InputError, match="no good pixel"):
        plan_cube(images)


@given(st.lists(st.integers(-20, 20), min_size=1, max_size=5))
@settings(max_examples=30, deadline=None)
def test_that_whole_shifts_move_rows_without_change(shifts):
    flux = np.random.default_rng(1).normal(size=(30, 4))
    frame = plan_slit_frame([0.0, *map(float, shifts)], 30)
    assert frame.rows == 30 + max(0, *shifts) - min(0, *shifts)
    for shift, start in zip([0, *shifts], frame.shifts, strict=True):
        moved, variance = shift_along_slit(flux, flux**2, start, frame.rows)
        first = round(start)
        assert np.array_equal(moved[first : first + 30], flux)
        assert np.array_equal(variance[first : first + 30], flux**2)
        assert np.isnan(moved).sum() == (frame.rows - 30) * 4
        assert first == shift - min(0, *shifts)


def test_that_parts_of_rows_keep_a_straight_profile_and_leave_out_bad_pixels():
    flux = np.arange(20.0)[:, np.newaxis] * np.ones(3)
    flux[10, 1] = np.nan
    before = flux.copy()
    moved, variance = shift_along_slit(flux, np.ones_like(flux), 2.25, 23)
    assert np.allclose(moved[4:21, 0], np.arange(4, 21) - 2.25)
    assert np.allclose(variance[4:21, 0], 1)
    assert np.isnan(moved[12, 1])
    assert moved[13, 1] == pytest.approx(11)
    assert np.array_equal(flux, before, equal_nan=True)


def test_that_apertures_are_read_from_a_header():
    header = {"APPOSO01": "3.000,8.500", "APSGNO01": "1,-1", "APFWHM01": "2.1,2.2", "APRADO01": "1.0,1.1",
              "BGR": "0.5-1.5,10-12"}  # fmt: skip
    first, second = read_apertures(header)
    assert (first.position, first.sign, first.fwhm, first.radius) == (3.0, 1, 2.1, 1.0)
    assert (second.position, second.sign) == (8.5, -1)
    assert np.isnan(first.psf_radius)
    assert read_background_regions(header) == ((0.5, 1.5), (10.0, 12.0))
    assert read_background_regions({}) == ()


@pytest.mark.parametrize(
    ("header", "words"),
    [({}, "APPOSO01 is ''"), ({"APPOSO01": "1,2", "APSGNO01": "1", "APFWHM01": "3,3"}, "APSGNO01 is '1', not 2"),
     ({"APPOSO01": "a"}, "numbers separated by commas")],
)  # fmt: skip
def test_that_bad_aperture_keywords_are_named(header, words):
    with pytest.raises(HeaderError, match=words):
        read_apertures(header)


def test_that_bad_background_regions_are_named():
    with pytest.raises(HeaderError, match="start-stop"):
        read_background_regions({"BGR": "1-2-3"})


@pytest.mark.parametrize(("algorithm", "noise"), [("scaled", 1.0), ("shaped", 1.25)])
def test_that_adaptive_smoothing_shows_a_star_sharper_and_the_sky_no_noisier(algorithm, noise):
    def star(x, y):
        return 1 + 30 * np.exp(-0.5 * (x**2 + y**2) / 1.8**2)

    images = make_scan(star, tuple(3.125 * n for n in range(-5, 6)), rows=60, waves=5, noise=0.2)
    grid = plan_cube(images)
    even, adaptive = (
        resample_cube(images, grid, CubeRule(order=1, smoothing=1.8, adaptive=choice)).flux[2]
        for choice in ("none", algorithm)
    )
    y, x = np.indices(grid.shape)
    column, row = (float(np.squeeze(part)) for part in grid.plane.to_pixel(213.9, 19.2))
    distance, exposed = np.hypot(x - column, y - row), add_exposures(images, grid) > 0
    near, sky = (distance < 5) & exposed, (distance > 12) & exposed
    wrong = [np.sqrt(np.nanmean((image - star(x - column, y - row))[near] ** 2)) for image in (even, adaptive)]
    assert wrong[1] < wrong[0]
    assert adaptive[round(row), round(column)] > even[round(row), round(column)] + 0.5
    assert np.nanstd(adaptive[sky]) < noise * np.nanstd(even[sky])
    assert np.nanmax(np.abs(adaptive)) < 50  # nothing is extrapolated without limit


def test_that_plain_means_are_those_of_the_resampling_engine(monkeypatch):
    images = make_scan(lambda x, y: 3 + np.cos(x / 5) * np.sin(y / 7), rows=40, noise=0.1)
    rng = np.random.default_rng(9)
    images[1].flux[rng.random(images[1].flux.shape) < 0.1] = np.nan
    images[2].error[10:14] = np.nan
    images[3].error[:, 2:4] *= 3.0
    grid, rule = plan_cube(images), CubeRule(window=5.0, smoothing=1.5)
    fast = resample_cube(images, grid, rule)
    monkeypatch.setattr(CubeRule, "is_plain_mean", False)
    slow = resample_cube(images, grid, rule)
    for name in ("flux", "error"):
        np.testing.assert_allclose(getattr(fast, name), getattr(slow, name), rtol=1e-9)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_that_surfaces_of_every_order_show_an_even_source(order):
    """Three columns within the window do not allow for curves in wavelength; space has its own order."""
    images = make_scan(lambda x, _y: np.ones_like(x), rows=40, offsets=(-6, -4, -2, 0, 2, 4, 6))
    grid = plan_cube(images)
    cube = resample_cube(images, grid, CubeRule(order=order))
    y, x = (size // 2 for size in grid.shape)
    middle = cube.flux[1:-1, y - 3 : y + 4, x - 3 : x + 4]
    assert np.isfinite(middle).all()
    assert np.median(middle) == pytest.approx(1, abs=0.01)
