"""What is drawn over images: header marks, grid, scale bar, beam, flags, vectors, catalogues, contours."""

import math

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table

from sofia_engine.errors import InputError
from sofia_engine.product import Product
from sofia_viewers.image.contours import ContourSettings, choose_levels, draw_contours, trace_contours
from sofia_viewers.image.frame import Frame, ImageFile, open_image
from sofia_viewers.image.overlays import (
    VectorCuts,
    VectorStyle,
    choose_scale_bar,
    draw_catalog,
    draw_grid,
    draw_header_marks,
    draw_vectors,
    map_flags,
    read_beam,
    read_catalog,
    read_vectors,
)

from .conftest import SHAPE, STAR, make_header, make_product, make_star


def frame_of(rotation: float = 0.0, pixel: float = 1.0, **cards: object) -> Frame:
    return Frame.of(ImageFile.of(make_product(make_header(rotation, pixel, **cards))))


def test_that_source_and_photometry_of_the_header_are_marked():
    header = make_header(
        SRCPOSX=10.5,
        SRCPOSY=20.0,
        STCENTX=60.0,
        STCENTY=50.0,
        PHOTAPER=12.0,
        PHOTSKAP="15,25",
        STAPFLX=1.234,
        STAPSKY=0.5,
    )
    source, photometry = draw_header_marks(header, SHAPE)
    assert source.marks[0].at == (10.5, 20.0)
    assert source.labels[0].text == "SRCPOS"
    radii = [np.hypot(*(line - (60.0, 50.0)).T).mean() for line in photometry.lines]
    assert radii == pytest.approx([12.0, 15.0, 25.0])
    text = photometry.labels[1]
    assert (text.text, text.at) == ("Flux=1.23, Sky=0.50", (60.0, 10.0))


def test_that_a_header_without_positions_draws_nothing():
    assert draw_header_marks(make_header(SRCPOSX=-9999, SRCPOSY=-9999), SHAPE) == []


def test_that_apertures_of_spectral_images_are_lines_over_the_full_width():
    header = {"APPOSO01": "10.0,20.0", "APRADO01": "2.0,3.0", "PSFRAD01": "4.0,4.0", "BGR": "1.0-5.0,30-35",
              "CRVAL2": 0.0, "CRPIX2": 1.0, "CDELT2": 0.5}  # fmt: skip
    rows = [sorted(float(line[0, 1]) for line in d.lines) for d in draw_header_marks(header, SHAPE)]
    assert rows == [[20, 40], [16, 24, 34, 46], [12, 28, 32, 48], [2, 10, 60, 70]]


@pytest.mark.parametrize("system", ["icrs", "fk5", "galactic"])
@pytest.mark.parametrize("rotation", [0.0, 50.0])
def test_that_each_grid_line_has_one_longitude_or_latitude(system, rotation):
    frame = frame_of(rotation)
    (grid,) = draw_grid(frame.wcs, (-0.5, 109.5, -0.5, 89.5), system)
    assert 4 <= len(grid.lines) <= 30
    for line in grid.lines:
        sky = frame.wcs.pixel_to_world(*line.T).transform_to(system)
        spread = min(np.ptp(sky.spherical.lon.deg), np.ptp(sky.spherical.lat.deg))
        assert spread < 1e-6
    assert grid.labels


def test_that_grid_labels_do_not_crowd_at_high_declination():
    frame = frame_of(CRVAL2=-69.0)
    (grid,) = draw_grid(frame.wcs, (-0.5, 109.5, -0.5, 89.5))
    assert len([label for label in grid.labels if "h" in label.text]) <= 6


@pytest.mark.parametrize(
    ("pixel", "longest", "text", "length"),
    [(1.0, 75.0, "1′", 60.0), (0.5, 75.0, "20″", 40.0), (60.0, 200.0, "2°", 120.0)],
)
def test_that_scale_bars_have_a_round_length(pixel, longest, text, length):
    bar = choose_scale_bar(pixel, longest)
    assert bar.text == text
    assert bar.length == pytest.approx(length)


def test_that_the_beam_is_turned_from_north_to_east():
    beam = read_beam(frame_of(0.0, 0.5, BMAJ=10 / 3600, BMIN=5 / 3600, BPA=30.0))
    assert (beam.semi_major, beam.semi_minor) == pytest.approx((10.0, 5.0), rel=1e-4)
    assert beam.angle == pytest.approx(120.0, abs=0.1)


def test_that_no_beam_is_invented():
    assert read_beam(frame_of()) is None


def test_that_bits_of_masks_and_blank_pixels_are_categories(star_product):
    image = np.array(star_product["FLUX"])
    image[50, 50] = np.nan
    flags = map_flags(image, star_product["BADMASK"])
    assert [(name, count) for name, _, count in flags.legend] == [("blank", 1), ("bit 0 (1)", 550), ("bit 2 (4)", 20)]
    assert flags.categories[50, 50] == 1
    assert flags.categories[0, 50] == 2
    assert flags.categories[7, 0] == 3
    assert len({color for _, color, _ in flags.legend}) == 3


def test_that_a_mask_of_ones_for_good_flags_the_zeros():
    mask = np.ones((10, 10))
    mask[0, 0] = 0
    assert map_flags(np.ones((10, 10)), mask).categories.sum() == 1


@pytest.mark.real
def test_that_the_cuts_of_the_header_leave_the_vectors_the_pipeline_kept(real_products):
    file = open_image(real_products / "F0481_HA_POL_7600012_HAWDHWPD_PMP_050-083.fits")
    vectors = read_vectors(file)
    chosen = vectors.select(vectors.cuts)
    final = file.tables["FINAL POL DATA"].data
    assert len(chosen) == len(final) == file.header["NVECCUT"] == 779
    assert np.sort(vectors.p[chosen]) == pytest.approx(np.sort(final["Percent Pol"]))


@pytest.mark.real
@pytest.mark.parametrize(
    "cut", [{"min_p_over_error": 6.0}, {"min_p": 4.0}, {"max_p": 5.0}, {"min_i_over_error": 500.0}, {"min_i": 0.3}]
)
def test_that_every_cut_leaves_fewer_vectors_that_all_pass_it(real_products, cut):
    from dataclasses import replace

    vectors = read_vectors(open_image(real_products / "F0481_HA_POL_7600012_HAWDHWPD_PMP_050-083.fits"))
    chosen = vectors.select(replace(vectors.cuts, **cut))
    assert 0 < len(chosen) < 779
    values = {
        "min_p_over_error": vectors.p_debiased / vectors.p_error,
        "min_p": vectors.p_debiased,
        "max_p": -vectors.p_debiased,
        "min_i_over_error": vectors.i_over_error,
        "min_i": vectors.i_relative,
    }
    name, limit = next(iter(cut.items()))
    assert values[name][chosen].min() >= (-limit if name == "max_p" else limit)


@pytest.mark.real
def test_that_vectors_have_their_length_and_direction_on_the_sky(real_products):
    frame = Frame.of(open_image(real_products / "F0481_HA_POL_7600012_HAWDHWPD_PMP_050-083.fits"))
    vectors = read_vectors(frame.file)
    chosen = vectors.select(vectors.cuts)
    (drawing,) = draw_vectors(vectors, frame, vectors.cuts, VectorStyle(scale=0.0005, field=False))
    start, end = (frame.wcs.pixel_to_world(*drawing.segments[:, i].T) for i in (0, 1))
    assert start.separation(end).deg == pytest.approx(0.0005 * vectors.p_debiased[chosen], rel=2e-3)
    turn = start.position_angle(end).deg - vectors.angle[chosen]
    assert np.abs((turn + 90) % 180 - 90).max() < 0.1
    (other,) = draw_vectors(vectors, frame, vectors.cuts, VectorStyle(scale=0.0005, field=True))
    e, b = (np.diff(d.segments, axis=1)[:, 0] for d in (drawing, other))
    cosine = (e * b).sum(axis=1) / np.hypot(*e.T) / np.hypot(*b.T)
    assert np.abs(cosine).max() < 0.02


@pytest.mark.real
def test_that_the_biased_degree_of_polarization_is_a_choice(real_products):
    from dataclasses import replace

    vectors = read_vectors(open_image(real_products / "F0481_HA_POL_7600012_HAWDHWPD_PMP_050-083.fits"))
    assert len(vectors.select(replace(vectors.cuts, debiased=False))) == 802


def test_that_images_without_vectors_have_none(star_frame):
    assert read_vectors(star_frame.file) is None
    assert VectorCuts.from_header({}) == VectorCuts()


@pytest.mark.parametrize("form", ["csv", "ecsv", "fits", "votable", "sexagesimal"])
def test_that_catalogues_of_many_formats_are_drawn_at_their_positions(tmp_path, star_frame, form):
    sky = star_frame.wcs.pixel_to_world([20.0, 70.0, 900.0], [30.0, 60.0, 30.0])
    table = Table({"Name": ["a", "b", "c"], "RA": sky.ra.deg, "Dec": sky.dec.deg})
    if form == "sexagesimal":
        table["RA"], table["Dec"] = (
            sky.ra.to_string("hour", sep=":", precision=4),
            sky.dec.to_string(sep=":", precision=3),
        )
    path = tmp_path / f"catalog.{'csv' if form == 'sexagesimal' else 'xml' if form == 'votable' else form}"
    table.write(path, format={"csv": "ascii.csv", "ecsv": "ascii.ecsv", "sexagesimal": "ascii.csv"}.get(form, form))
    (drawing,) = draw_catalog(read_catalog(path), star_frame)
    assert np.array([mark.at for mark in drawing.marks]) == pytest.approx(np.array([(20, 30), (70, 60)]), abs=1e-3)
    assert [label.text for label in drawing.labels] == ["a", "b"]


def test_that_a_table_without_positions_is_refused(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="ra and dec"):
        read_catalog(path)


def test_that_a_file_that_is_no_table_is_refused(tmp_path):
    path = tmp_path / "t.fits"
    path.write_text("nothing")
    with pytest.raises(InputError, match="cannot be read as a table"):
        read_catalog(path)


def test_that_contours_of_a_gaussian_are_circles_of_the_analytic_radius():
    lines = trace_contours(make_star(noise=0.0), np.array([53.0]))
    ((level, line),) = lines
    radius = np.hypot(*(line - STAR).T)
    assert level == 53.0
    assert radius == pytest.approx(np.full(len(line), 2.5), abs=0.1)


def test_that_contours_end_at_blank_pixels():
    image = make_star(noise=0.0)
    image[:, 62:] = np.nan
    (line,) = (line for _, line in trace_contours(image, np.array([53.0])))
    assert line[:, 0].max() <= 61.0


def test_that_contours_of_large_images_are_at_the_same_place():
    y, x = np.mgrid[:2500, :2500]
    image = np.hypot(x - 1300.0, y - 900.0)
    ((_, line),) = trace_contours(image, np.array([500.0]))
    assert np.hypot(*(line - (1300.0, 900.0)).T) == pytest.approx(np.full(len(line), 500.0), abs=2.0)


def test_that_contours_of_another_image_lie_at_its_sky_position():
    source = Frame.of(ImageFile.of(make_product(make_header(40.0, 0.7), FLUX=make_star(noise=0.0))))
    target = frame_of()
    (drawing,) = draw_contours(source, target, (3.0, 103.0), ContourSettings(1, smoothing=0.0))
    center = np.concatenate(drawing.lines).mean(axis=0)
    expected = target.wcs.world_to_pixel(source.wcs.pixel_to_world(*STAR))
    assert center == pytest.approx([float(v) for v in expected], abs=0.2)


@pytest.mark.parametrize("spacing", ["linear", "sqrt", "log"])
def test_that_levels_lie_between_the_limits_and_rise(spacing):
    levels = choose_levels((2.0, 10.0), ContourSettings(5, spacing))
    assert len(levels) == 5
    assert levels[0] > 2.0
    assert levels[-1] < 10.0
    assert np.all(np.diff(levels) > 0)


def test_that_vectors_need_coordinates():
    names = ["STOKES I", "ERROR I"]
    file = ImageFile.of(Product.of(fits.Header(), {n: np.ones((4, 4)) for n in names}))
    from sofia_viewers.image.overlays import PolarizationVectors

    one = np.ones(1)
    vectors = PolarizationVectors(np.zeros((1, 2)), one, one, one, one, one, one, one, VectorCuts())
    with pytest.raises(InputError, match="celestial coordinates"):
        draw_vectors(vectors, Frame.of(file), VectorCuts())


def test_that_sky_positions_of_marks_are_turned_with_the_frame():
    sky = SkyCoord(150.0, 35.0, unit="deg")
    x, y = frame_of(123.0).wcs.world_to_pixel(sky)
    assert (float(x), float(y)) == pytest.approx((54.5, 44.5))
    assert math.isfinite(float(x))
