"""Maps from pixels to the screen, alignment of frames, planning of what is read."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_viewers.image.frame import Frame, ImageFile
from sofia_viewers.image.geometry import (
    Affine,
    ViewState,
    map_locally,
    place_frame,
    plan_block,
    sky_directions,
    turn_by,
    turn_north_up,
)

from .conftest import make_header, make_product

NUMBERS = st.floats(-50, 50)


def frame_of(rotation: float = 0.0, pixel: float = 1.0, **cards: object) -> Frame:
    return Frame.of(ImageFile.of(make_product(make_header(rotation, pixel, **cards))))


@given(NUMBERS, NUMBERS, st.floats(-180, 180), st.floats(0.1, 10), NUMBERS, NUMBERS)
def test_that_a_map_and_its_inverse_give_back_any_point(x0, y0, angle, scale, x, y):
    affine = turn_by(angle, (x0, y0)).after(Affine(scale, 0, 0, scale, y0, x0))
    assert affine.inverse().map(*affine.map(x, y)) == pytest.approx((x, y), abs=1e-9)


@given(st.floats(-1000, 1000), st.floats(-1000, 1000), st.floats(0.05, 50), st.floats(0.2, 5))
def test_that_zooming_leaves_the_point_under_the_cursor_where_it_is(x, y, zoom, factor):
    view = ViewState((10.0, -7.0), zoom)
    size = (640, 480)
    before = view.to_screen(size).map(x, y)
    assert view.zoomed_at((x, y), factor).to_screen(size).map(x, y) == pytest.approx(before, abs=1e-6)


def test_that_panning_moves_the_picture_with_the_mouse():
    view = ViewState((10.0, 20.0), 3.0)
    x, y = view.to_screen((100, 100)).map(4.0, 5.0)
    assert view.panned(12, -9).to_screen((100, 100)).map(4.0, 5.0) == pytest.approx((x + 12, y - 9))


def test_that_y_points_up_on_the_screen():
    to_screen = ViewState((0, 0), 2.0).to_screen((100, 100))
    assert to_screen.map(0, 1)[1] < to_screen.map(0, 0)[1]


def test_that_fitting_shows_all_corners():
    corners = np.array([(0, 0), (200, 100)])
    to_screen = ViewState.fit(corners, (300, 300)).to_screen((300, 300))
    assert np.all((to_screen(corners) >= 0) & (to_screen(corners) <= 300))


@pytest.mark.parametrize("rotation", [0.0, 30.0, 170.0])
@pytest.mark.parametrize("pixel", [0.5, 2.0])
def test_that_frames_are_aligned_by_their_sky_coordinates(rotation, pixel):
    reference, other = frame_of(), frame_of(rotation, pixel)
    affine = place_frame(other, reference, "wcs")
    sky = other.wcs.pixel_to_world(20.0, 70.0)
    assert affine.map(20.0, 70.0) == pytest.approx([float(v) for v in reference.wcs.world_to_pixel(sky)], abs=1e-3)
    assert affine.scale == pytest.approx(pixel, rel=1e-4)


@pytest.mark.parametrize("lock", ["image", "none"])
def test_that_other_locks_leave_pixels_as_they_are(lock):
    assert place_frame(frame_of(50.0), frame_of(), lock) == Affine()


@pytest.mark.parametrize("rotation", [0.0, 40.0, 200.0])
@pytest.mark.parametrize("mirrored", [False, True])
def test_that_north_is_turned_up_and_east_left(rotation, mirrored):
    header = make_header(rotation)
    if mirrored:
        header["CD1_1"], header["CD2_1"] = -header["CD1_1"], -header["CD2_1"]
    frame = Frame.of(ImageFile.of(make_product(header)))
    turn = turn_north_up(frame)
    east, north = sky_directions(frame.wcs, (54.5, 44.5))
    assert turn.map(*north) == pytest.approx(np.add(turn.map(0, 0), (0, 1)), abs=1e-3)
    assert turn.map(*east) == pytest.approx(np.add(turn.map(0, 0), (-1, 0)), abs=1e-3)


def test_that_local_maps_agree_with_the_sky_at_their_point():
    home, target = frame_of(), frame_of(75.0, 0.5)
    affine = map_locally((30.0, 20.0), home, target)
    sky = home.wcs.pixel_to_world(30.0, 20.0)
    assert affine.map(30.0, 20.0) == pytest.approx([float(v) for v in target.wcs.world_to_pixel(sky)], abs=1e-4)


@given(st.floats(0.01, 20), st.floats(-500, 2500), st.floats(-500, 2500), st.floats(0, 360))
def test_that_planned_blocks_cover_what_is_seen_and_are_not_much_larger_than_the_screen(zoom, x, y, angle):
    shape, size = (2000, 1500), (400, 300)
    to_screen = ViewState((x, y), zoom).to_screen(size).after(turn_by(angle, (750, 1000)))
    plan = plan_block(shape, to_screen, size)
    seen = to_screen.inverse()([(0, 0), (400, 0), (0, 300), (400, 300), (200, 150)])
    for px, py in seen:
        if 0 <= px < shape[1] - 1 and 0 <= py < shape[0] - 1:
            assert plan.columns.start <= px + 0.5 <= plan.columns.stop
            assert plan.rows.start <= py + 0.5 <= plan.rows.stop
    assert plan.rows.start % plan.step == plan.columns.start % plan.step == 0
    if not plan.is_empty:
        pixels = (plan.rows.stop - plan.rows.start) * (plan.columns.stop - plan.columns.start) / plan.step**2
        assert pixels < 40 * size[0] * size[1]


def test_that_a_larger_block_of_the_same_step_covers_a_smaller_one():
    to_screen = ViewState((500.0, 500.0), 1.0).to_screen((300, 300))
    assert plan_block((1000, 1000), to_screen, (300, 300)).covers(plan_block((1000, 1000), to_screen, (300, 300), 0.0))
