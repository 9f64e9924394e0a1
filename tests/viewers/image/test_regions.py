"""Regions: shapes, handles, masks, DS9 files."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_engine.errors import InputError
from sofia_viewers.image.frame import Frame, ImageFile
from sofia_viewers.image.geometry import Affine, turn_by
from sofia_viewers.image.regions import SHAPES, Region, format_regions, make_region, parse_regions

from .conftest import make_header, make_product

REGIONS = [
    Region("point", ((30.2, 40.5),), symbol="x", name="star"),
    Region("line", ((10.0, 12.0), (40.5, 33.25)), color="red", width=2),
    Region("circle", ((30.0, 40.0),), (7.5,), name="a b"),
    Region("ellipse", ((30.0, 40.0),), (12.0, 5.0), 30.0, color="cyan"),
    Region("box", ((30.0, 40.0),), (12.0, 5.0), 300.0),
    Region("polygon", ((10.0, 10.0), (30.0, 12.0), (25.0, 35.0), (12.0, 20.0)), tag="group"),
    Region("annulus", ((30.0, 40.0),), (4.0, 9.0)),
    Region("vector", ((30.0, 40.0),), (11.0,), 120.0, color="#32cd32"),
]


def ids(region: Region) -> str:
    return region.shape


def wcs_of(rotation: float = 25.0) -> object:
    return Frame.of(ImageFile.of(make_product(make_header(rotation, 0.75)))).wcs


def assert_same(found: Region, region: Region, tolerance: float = 1e-5) -> None:
    assert found.shape == region.shape
    assert np.array(found.points) == pytest.approx(np.array(region.points), abs=tolerance)
    assert found.sizes == pytest.approx(region.sizes, rel=1e-4)
    assert math.cos(math.radians(found.angle - region.angle)) == pytest.approx(1.0, abs=1e-6)
    assert (found.name, found.color, found.width, found.tag) == (region.name, region.color, region.width, region.tag)
    assert found.symbol == region.symbol


@pytest.mark.parametrize("system", ["image", "icrs", "fk5", "galactic"])
@pytest.mark.parametrize("region", REGIONS, ids=ids)
def test_that_regions_survive_a_file_in_every_system(region, system):
    wcs = wcs_of()
    read = parse_regions(format_regions([region], system, wcs), wcs)
    assert read.skipped == ()
    assert_same(read.regions[0], region, 1e-3)


def test_that_image_coordinates_count_from_one_in_files():
    assert "circle(31" in format_regions([REGIONS[2]])


def test_that_files_are_read_by_the_regions_package_at_the_same_place(tmp_path):
    import regions

    parsed = regions.Regions.parse(format_regions([REGIONS[3]]), format="ds9")[0]
    assert (parsed.center.x, parsed.center.y) == pytest.approx((30.0, 40.0))
    assert (parsed.width, parsed.height) == pytest.approx((24.0, 10.0))


def test_that_files_as_ds9_writes_them_are_read():
    text = (
        "# Region file format: DS9 version 4.1\n"
        'global color=green dashlist=8 3 width=1 font="helvetica 10 normal roman" select=1 highlite=1\n'
        "fk5\n"
        'circle(10:00:00.000,+35:00:00.00,5.0") # color=red text={target}\n'
        "image;box(20,30,4,6,45) # width=3\n"
    )
    read = parse_regions(text, wcs_of(0.0))
    circle, box = read.regions
    assert circle.points[0] == pytest.approx((54.5, 44.5), abs=0.05)
    assert circle.sizes[0] == pytest.approx(5.0 / 0.75, rel=1e-3)
    assert (circle.color, circle.name, box.color, box.width) == ("red", "target", "green", 3)
    assert box.points == ((19.0, 29.0),)


def test_that_lines_in_linear_world_coordinates_are_placed_by_the_axes():
    text = "# Region file format: DS9\nwcs;linear;line(5.0 10.0 6.0 20.0) # color=red width=1 tag={trace_fit_1}\n"
    linear = Affine(xx=10.0, yy=2.0, x0=-1.0, y0=-1.0)
    (line,) = parse_regions(text, None, linear).regions
    assert line.points == ((49.0, 19.0), (59.0, 39.0))
    assert (line.color, line.tag) == ("red", "trace_fit_1")


def test_that_trace_points_of_the_pipeline_are_read():
    text = "image;point(12.5 33.0) # point=x color=green tag={trace_pt}\n"
    (point,) = parse_regions(text).regions
    assert (point.shape, point.symbol, point.points) == ("point", "x", ((11.5, 32.0),))


def test_that_polarization_vectors_of_the_pipeline_are_read():
    (vector,) = parse_regions("image\n# vector(10,20,5.5,135) vector=0\n").regions
    assert (vector.shape, vector.points, vector.sizes, vector.angle) == ("vector", ((9.0, 19.0),), (5.5,), 135.0)


def test_that_an_angle_on_the_sky_counts_from_west_over_north():
    (vector,) = parse_regions('fk5\n# vector(150.0,35.0,7.5",90) vector=1\n', wcs_of(0.0)).regions
    assert vector.angle == pytest.approx(90.0, abs=0.1)
    assert vector.sizes[0] == pytest.approx(10.0, rel=1e-3)


def test_that_what_is_not_a_region_is_reported_and_the_rest_read():
    read = parse_regions("image\ncircle(1,2,3)\nbanana(4,5)\n")
    assert len(read.regions) == 1
    assert read.skipped == ("banana(4,5)",)


def test_that_sky_regions_without_coordinates_are_reported():
    assert parse_regions('fk5\ncircle(150,35,5")\n').skipped


def test_that_sky_coordinates_cannot_be_written_without_them():
    with pytest.raises(InputError, match="no celestial coordinates"):
        format_regions(REGIONS, "icrs")


@pytest.mark.parametrize(
    ("region", "area"),
    [
        (Region("circle", ((50.0, 50.0),), (20.0,)), math.pi * 400),
        (Region("ellipse", ((50.0, 50.0),), (20.0, 10.0), 33.0), math.pi * 200),
        (Region("box", ((50.0, 50.0),), (30.0, 10.0), 20.0), 300.0),
        (Region("annulus", ((50.0, 50.0),), (10.0, 20.0)), math.pi * 300),
        (Region("polygon", ((20.0, 20.0), (70.0, 20.0), (20.0, 60.0))), 1000.0),
    ],
    ids=lambda value: value.shape if isinstance(value, Region) else "",
)
def test_that_masks_have_the_area_of_the_shape(region, area):
    _, inside = region.cut_out((100, 100))
    assert np.count_nonzero(inside) == pytest.approx(area, rel=0.05)


@pytest.mark.parametrize("region", REGIONS, ids=ids)
def test_that_each_handle_follows_the_mouse(region):
    for index, (x, y) in enumerate(region.handles()):
        moved = region.with_handle(index, (x + 1.5, y + 0.5))
        nearest = min(math.hypot(hx - x - 1.5, hy - y - 0.5) for hx, hy in moved.handles())
        assert nearest < 0.2 if region.shape not in ("circle", "annulus") else moved.sizes != region.sizes


@pytest.mark.parametrize("region", REGIONS, ids=ids)
@given(st.floats(-180, 180), st.floats(0.3, 4))
def test_that_a_region_moved_to_another_image_and_back_is_the_same(region, angle, scale):
    affine = turn_by(angle, (20, 30)).after(Affine(scale, 0, 0, scale, 5, -6))
    back = region.transformed(affine).transformed(affine.inverse())
    assert_same(back, region, 1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_that_drawing_makes_a_region_of_that_shape(shape):
    region = make_region(shape, (10.0, 10.0), (20.0, 25.0), color="red")
    assert region.shape == shape
    assert region.color == "red"
    assert all(np.isfinite(line).all() for line in region.outlines())


def test_that_the_distance_to_a_line_is_measured_to_its_ends():
    line = Region("line", ((0.0, 0.0), (10.0, 0.0)))
    assert line.distance(5.0, 3.0) == pytest.approx(3.0)
    assert line.distance(13.0, 4.0) == pytest.approx(5.0)
