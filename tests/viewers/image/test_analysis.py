"""Measurements: statistics, histograms, profiles, cuts, comparison, photometry."""

import math

import numpy as np
import pytest
from astropy.io import fits
from astropy.stats import sigma_clipped_stats
from hypothesis import given
from hypothesis import strategies as st

from sofia_engine.errors import InputError
from sofia_engine.photometry.measurement import PhotometryParameters, measure_source
from sofia_engine.product import Product
from sofia_viewers.export import make_table, write_table
from sofia_viewers.image.analysis import (
    BIN_RULES,
    PHOTOMETRY_COLUMNS,
    compare_pixels,
    cut_line,
    cut_window,
    make_histogram,
    measure_encircled_energy,
    measure_radial_profile,
    measure_source_at,
    measure_statistics,
    region_values,
    sort_photometry,
)
from sofia_viewers.image.frame import Frame, ImageFile
from sofia_viewers.image.regions import Region
from sofia_viewers.image.settings import PhotometrySettings

from .conftest import FWHM, SHAPE, STAR, make_header, make_product, make_star

SIGMA = FWHM / (2 * math.sqrt(2 * math.log(2)))


@pytest.fixture
def clean_frame() -> Frame:
    return Frame.of(ImageFile.of(make_product(FLUX=make_star(noise=1e-6))))


def test_that_statistics_agree_with_numpy_and_astropy():
    values = np.random.default_rng(2).normal(5, 2, 4000)
    values[:40] = 500.0
    found = measure_statistics(np.append(values, [np.nan, np.inf]))
    clipped = sigma_clipped_stats(values, sigma=3, maxiters=5)
    assert (found.n_pixels, found.minimum, found.maximum) == (4000, values.min(), 500.0)
    assert (found.total, found.mean, found.median) == pytest.approx((values.sum(), values.mean(), np.median(values)))
    assert found.deviation == pytest.approx(values.std())
    assert (found.clipped_mean, found.clipped_median, found.clipped_deviation) == pytest.approx(clipped)


@pytest.mark.parametrize("statistic", ["mean", "median", "clipped mean", "clipped median"])
def test_that_each_summary_statistic_comes_with_its_deviation(statistic):
    found = measure_statistics(np.append(np.random.default_rng(1).normal(size=500), 90.0))
    value, deviation = found.summary(statistic)
    assert value == getattr(found, statistic.replace(" ", "_"))
    assert deviation == (found.clipped_deviation if "clipped" in statistic else found.deviation)


def test_that_statistics_of_nothing_are_refused():
    with pytest.raises(InputError, match="no good pixels"):
        measure_statistics(np.full(5, np.nan))


@pytest.mark.parametrize("rule", BIN_RULES)
def test_that_bins_follow_the_rules_of_numpy(rule):
    values = np.random.default_rng(5).normal(size=3000)
    counts, edges = make_histogram(values, rule)
    expected, expected_edges = np.histogram(values, rule)
    assert np.array_equal(counts, expected)
    assert edges == pytest.approx(expected_edges)


@pytest.mark.parametrize(("rule", "n"), [("17", 17), ("nonsense", None)])
def test_that_numbers_are_bins_and_other_words_the_default(rule, n):
    values = np.random.default_rng(5).normal(size=3000)
    assert len(make_histogram(values, rule)[0]) == (n or len(make_histogram(values, "fd")[0]))


def test_that_histogram_limits_leave_values_out():
    counts, edges = make_histogram(np.arange(10.0), "5", "2,7")
    assert counts.sum() == 6
    assert (edges[0], edges[-1]) == (2.0, 7.0)


def test_that_one_far_outlier_does_not_make_millions_of_bins():
    values = np.append(np.random.default_rng(5).normal(size=3000), 1e9)
    assert len(make_histogram(values, "fd")[0]) <= 4096


@given(st.integers(1, 60), st.integers(1, 60), st.floats(-20, 80), st.floats(-20, 80), st.floats(1, 100))
def test_that_windows_stay_inside_and_have_their_size(rows, columns, x, y, size):
    window = cut_window((rows, columns), x, y, size)
    side = min(round(size), rows, columns)
    for part, length in zip(window, (rows, columns), strict=True):
        assert 0 <= part.start < part.stop <= length
        assert part.stop - part.start == side


def test_that_no_size_means_the_whole_image():
    assert cut_window((7, 9), 3, 3, None) == (slice(0, 7), slice(0, 9))


def test_that_region_values_keep_zeros_and_leave_blank_pixels_out():
    image = np.zeros((20, 20))
    image[10, 10] = np.nan
    values = region_values(image, Region("box", ((10.0, 10.0),), (4.0, 4.0)))
    assert values.tolist() == [0.0] * 24


def test_that_the_radial_profile_of_a_gaussian_is_the_gaussian(clean_frame):
    profile = measure_radial_profile(clean_frame.image, *STAR, 15.0)
    expected = 3.0 + 100.0 * np.exp(-0.5 * (profile.radius / SIGMA) ** 2)
    assert profile.mean == pytest.approx(expected, abs=1.2)
    assert profile.measure_fwhm() == pytest.approx(FWHM, rel=0.04)
    assert profile.count.sum() == len(profile.values)


def test_that_encircled_energy_of_a_gaussian_is_analytic(clean_frame):
    energy = measure_encircled_energy(clean_frame.image, *STAR, 15.0, background=3.0)
    assert energy.fraction == pytest.approx(1 - np.exp(-0.5 * (energy.radius / SIGMA) ** 2), abs=0.01)
    assert energy.radius_of(0.5) == pytest.approx(FWHM / 2, rel=0.02)


def test_that_a_cut_along_a_row_gives_the_row(clean_frame):
    distance, values = cut_line(clean_frame.image, (10.0, 41.0), (90.0, 41.0))
    assert distance == pytest.approx(np.arange(81))
    assert values == pytest.approx(clean_frame.image[41, 10:91])


def test_that_a_cut_across_a_plane_is_linear_and_its_width_averages():
    y, x = np.mgrid[:40, :50]
    distance, values = cut_line(2.0 * x + 3.0 * y, (5.0, 5.0), (35.0, 25.0), width=5)
    assert values == pytest.approx(25.0 + distance * (2 * 30 + 3 * 20) / math.hypot(30, 20))


def test_that_cuts_beyond_the_image_are_missing():
    assert np.isnan(cut_line(np.ones((10, 10)), (20.0, 20.0), (30.0, 20.0))[1]).all()


def test_that_pixels_are_compared_at_the_same_sky_position():
    def frame(rotation: float) -> Frame:
        header = make_header(rotation)
        wcs = Frame.of(ImageFile.of(make_product(header))).wcs
        y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
        sky = wcs.pixel_to_world(x, y)
        return Frame.of(
            ImageFile.of(make_product(header, FLUX=(sky.dec.deg - 35.0) * 1e4 + (sky.ra.deg - 150.0) * 1e4))
        )

    first, second = compare_pixels(frame(0.0), frame(30.0))
    assert first.size > 0.5 * SHAPE[0] * SHAPE[1]
    assert second == pytest.approx(first, abs=0.05)


def test_that_pixels_of_frames_without_coordinates_need_one_size():
    small, large = (Frame.of(ImageFile.of(Product.of(fits.Header(), {"FLUX": np.ones((n, n))}))) for n in (5, 6))
    with pytest.raises(InputError, match="differ in size"):
        compare_pixels(small, large)


@pytest.mark.parametrize("model", ["moffat", "gaussian"])
def test_that_photometry_gives_the_numbers_of_the_engine(star_frame, model):
    settings = PhotometrySettings(model=model, fwhm=5.0, fwhm_units="pixels")
    found = measure_source_at(star_frame, 3, 60.0, 44.0, settings)
    expected = measure_source(
        star_frame.image,
        None,
        PhotometryParameters(
            position=(60.0, 44.0),
            fit_size=50,
            fwhm=5.0,
            profile=model,
            aperture_radius=12.0,
            sky_radii=(15.0, 25.0),
            allow_bad_fit=True,
        ),
    )
    assert tuple(found.row) == PHOTOMETRY_COLUMNS
    assert found.row["Frame"] == 3
    assert found.row["Peak"] == pytest.approx(expected.fit.peak.value, rel=1e-6)
    assert found.row["X"] == pytest.approx(expected.fit.x.value + 1, rel=1e-6)
    assert found.row["Flux"] == pytest.approx(expected.flux.value, rel=1e-6)
    assert found.row["BG/pix"] == pytest.approx(expected.aperture.sky.value, rel=1e-6)
    width = math.sqrt(expected.fit.fwhm_x.value * expected.fit.fwhm_y.value)
    assert found.row["FWHM (px)"] == pytest.approx(width, rel=1e-6)


def test_that_the_truth_of_a_gaussian_is_measured(star_frame):
    found = measure_source_at(star_frame, 1, 63.0, 41.0, PhotometrySettings(model="gaussian"))
    row = found.row
    assert (found.x, found.y) == pytest.approx(STAR, abs=0.01)
    assert row["FWHM (px)"] == pytest.approx(FWHM, rel=0.005)
    assert row['FWHM (")'] == pytest.approx(FWHM, rel=0.005)
    assert row["Ellip."] == pytest.approx(0.0, abs=0.01)
    assert row["Flux"] == pytest.approx(100 * 2 * math.pi * SIGMA**2, rel=0.005)
    assert row["BG/pix"] == pytest.approx(3.0, abs=0.01)
    sky = star_frame.wcs.pixel_to_world(*STAR)
    assert (row["RA"], row["Dec"]) == pytest.approx((sky.ra.deg, sky.dec.deg), abs=1e-5)


def test_that_automatic_radii_follow_from_the_fitted_width(star_frame):
    settings = PhotometrySettings(model="gaussian", psf_radius="auto", bg_inner="auto", bg_width="auto")
    found = measure_source_at(star_frame, 1, 63.0, 41.0, settings)
    assert found.aperture == pytest.approx(2.15 * FWHM, rel=0.01)
    assert found.sky == pytest.approx((2.35 * FWHM, 4.35 * FWHM), rel=0.01)


def test_that_none_for_the_background_subtracts_nothing(star_frame):
    with_sky = measure_source_at(star_frame, 1, 63.0, 41.0, PhotometrySettings())
    without = measure_source_at(star_frame, 1, 63.0, 41.0, PhotometrySettings(bg_inner="none"))
    assert without.row["BG/pix"] is None
    assert without.row["Flux"] - with_sky.row["Flux"] == pytest.approx(3.0 * math.pi * 144, rel=0.01)


def test_that_radii_may_be_in_arcsec():
    frame = Frame.of(ImageFile.of(make_product(make_header(0.0, 0.5))))
    settings = PhotometrySettings(model="gaussian", psf_radius="6", bg_inner="8", bg_width="4", aperture_units="arcsec")
    found = measure_source_at(frame, 1, 63.0, 41.0, settings)
    assert found.aperture == pytest.approx(12.0)
    assert found.sky == pytest.approx((16.0, 24.0))
    assert found.row['FWHM (")'] == pytest.approx(FWHM / 2, rel=0.01)


def test_that_a_bad_fit_leaves_shape_blank_but_gives_the_aperture_sum():
    frame = Frame.of(ImageFile.of(make_product(FLUX=np.random.default_rng(1).normal(5, 0.1, SHAPE))))
    row = measure_source_at(frame, 1, 50.0, 45.0, PhotometrySettings()).row
    if row["FWHM (px)"] is None:
        assert row["Ellip."] is None
        assert row["PA"] is None
    assert row["Flux"] is not None


def test_that_large_images_give_the_same_numbers_as_a_cut_out():
    big = np.full((2300, 2300), 3.0)
    big += np.random.default_rng(4).normal(0, 0.1, big.shape)
    y, x = np.mgrid[:60, :60]
    big[1000:1060, 1200:1260] += 100 * np.exp(-0.5 * ((x - 30.3) ** 2 + (y - 29.4) ** 2) / SIGMA**2)
    frame = Frame.of(ImageFile.of(Product.of(fits.Header(), {"FLUX": big})))
    row = measure_source_at(frame, 1, 1231.0, 1029.0, PhotometrySettings()).row
    whole = measure_source(
        big,
        None,
        PhotometryParameters((1231.0, 1029.0), 50, None, 3.0, "moffat", 12.0, (15.0, 25.0), allow_bad_fit=True),
    )
    assert row["Flux"] == pytest.approx(whole.flux.value, rel=1e-6)
    assert row["X"] == pytest.approx(whole.fit.x.value + 1, rel=1e-9)


@pytest.mark.parametrize("position", [(-30.0, 10.0), (500.0, 10.0)])
def test_that_pointing_beside_the_image_is_refused(star_frame, position):
    with pytest.raises(InputError, match="no good pixels"):
        measure_source_at(star_frame, 1, *position, PhotometrySettings())


def test_that_rows_are_sorted_by_frame_then_by_peak():
    rows = [{"Frame": 2, "Peak": 9.0}, {"Frame": 1, "Peak": 1.0}, {"Frame": 1, "Peak": None}, {"Frame": 1, "Peak": 5.0}]
    assert [(r["Frame"], r["Peak"]) for r in sort_photometry(rows)] == [(1, 5.0), (1, 1.0), (1, None), (2, 9.0)]


@pytest.mark.parametrize("suffix", [".ecsv", ".csv"])
def test_that_tables_survive_a_file(tmp_path, star_frame, suffix):
    from astropy.table import Table

    row = measure_source_at(star_frame, 1, 63.0, 41.0, PhotometrySettings(bg_inner="none")).row
    path = write_table(make_table([row]), tmp_path / f"photometry{suffix}")
    table = Table.read(path, format="ascii.ecsv" if suffix == ".ecsv" else "ascii.csv")
    assert tuple(table.colnames) == PHOTOMETRY_COLUMNS
    assert table["Flux"][0] == row["Flux"]
    assert np.ma.is_masked(table["BG/pix"][0]) or np.isnan(table["BG/pix"][0])


def test_that_a_table_with_another_suffix_is_refused(tmp_path):
    with pytest.raises(InputError, match="ecsv"):
        write_table(make_table([{"a": 1}]), tmp_path / "table.doc")
