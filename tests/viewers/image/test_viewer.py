"""The viewer on real widgets: every control does what it says."""

import gc
import importlib
import json
import sys
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest

from sofia_viewers.image.display import STRETCHES, LimitsRule
from sofia_viewers.image.regions import SHAPES, Region, make_region
from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets

from .conftest import SHAPE, STAR, make_header, make_product, make_star


def colors_of(widget: QtWidgets.QWidget) -> set[int]:
    image = widget.grab().toImage().convertToFormat(QtGui.QImage.Format.Format_RGB32)
    pixels = np.frombuffer(image.constBits(), np.uint32).reshape(image.height(), -1)
    return set(np.unique(pixels & 0xFFFFFF).tolist())


def view_of(viewer, key="0"):
    return viewer.area.views[key]


def screen_point(view, x: float, y: float) -> QtCore.QPoint:
    return QtCore.QPointF(*view.pixel_to_screen.map(x, y)).toPoint()


def press(qtbot, viewer, key, x=STAR[0], y=STAR[1], frame="0"):
    viewer.press_key(key, frame, x, y)
    qtbot.waitUntil(viewer.is_ready, timeout=60_000)


def drag(qtbot, view, start, end, button=Qt.MouseButton.LeftButton):
    qtbot.mousePress(view, button, pos=start)
    middle = (start + end) / 2
    for point in (middle, end):
        event = QtGui.QMouseEvent(
            QtCore.QEvent.Type.MouseMove, QtCore.QPointF(point), QtCore.QPointF(view.mapToGlobal(point)), button,
            button, Qt.KeyboardModifier.NoModifier,
        )  # fmt: skip
        QtWidgets.QApplication.sendEvent(view, event)
    qtbot.mouseRelease(view, button, pos=end)


def turn_wheel(view, point, clicks=1):
    position = QtCore.QPointF(point)
    event = QtGui.QWheelEvent(
        position, QtCore.QPointF(view.mapToGlobal(point)), QtCore.QPoint(), QtCore.QPoint(0, 120 * clicks),
        Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QtWidgets.QApplication.sendEvent(view, event)


# -- showing -----------------------------------------------------------------------------------------------------------


def test_that_an_empty_viewer_says_how_to_open_files(make_viewer):
    viewer = make_viewer()
    assert not viewer.frames.entries
    assert len(colors_of(viewer.area)) > 2


def test_that_the_pixels_of_the_image_are_on_the_screen(show):
    product = make_product(FLUX=np.where(np.arange(110) < 55, 0.0, 10.0) * np.ones(SHAPE))
    viewer = show(product)
    viewer.overlays.change(color_bar=False)
    viewer.apply_overlays()
    viewer.set_display(color_map="grey", limits=(0.0, 10.0))
    view = view_of(viewer)
    image = view.grab().toImage()
    left, right = (image.pixelColor(screen_point(view, x, 40.0)) for x in (20, 90))
    assert (left.red(), right.red()) == (0, 255)


def test_that_the_first_row_is_at_the_bottom(show):
    viewer = show(make_product())
    view = view_of(viewer)
    assert screen_point(view, 0, 0).y() > screen_point(view, 0, 80).y()


def test_that_blank_pixels_show_the_ground(show):
    flux = make_star()
    flux[:, :50] = np.nan
    viewer = show(make_product(FLUX=flux))
    view = view_of(viewer)
    color = view.grab().toImage().pixelColor(screen_point(view, 20, 60))
    assert color.name() == "#ffffff"


@pytest.mark.parametrize("n", [2, 4, 7])
def test_that_frames_are_tiled_and_fit(show, n):
    viewer = show(*[make_product() for _ in range(n)])
    assert len(viewer.area.visible_views) == n
    for view in viewer.area.visible_views.values():
        rect = view.rect()
        for x, y in ((0, 0), (109, 89)):
            assert rect.contains(screen_point(view, x, y))


def test_that_tab_and_the_buttons_step_through_single_frames(show, qtbot):
    viewer = show(*[make_product() for _ in range(3)])
    viewer.arrange("single")
    assert list(viewer.area.visible_views) == ["0"]
    qtbot.keyClick(view_of(viewer), Qt.Key.Key_Tab)
    assert list(viewer.area.visible_views) == ["1"]
    viewer.commands.by_name["next"].trigger()
    assert list(viewer.area.visible_views) == ["2"]
    qtbot.keyClick(view_of(viewer, "2"), Qt.Key.Key_Backtab)
    assert viewer.frames.entry.key == "1"


def test_that_b_blinks_and_stops(show, qtbot):
    viewer = show(make_product(), make_product())
    viewer._blink.setInterval(20)
    qtbot.keyClick(view_of(viewer), Qt.Key.Key_B)
    assert viewer.frames.arrangement == "blink"
    with qtbot.waitSignals([viewer.frames_changed] * 2, timeout=60_000):
        pass
    viewer.press_key("b", viewer.frames.entry.key, 1, 1)
    assert viewer.frames.arrangement == "tile"


def test_that_a_file_that_is_not_fits_is_named_in_the_view(make_viewer, qtbot, tmp_path):
    viewer = make_viewer()
    path = tmp_path / "notes.fits"
    path.write_text("hello")
    with qtbot.waitSignal(viewer.failed, timeout=60_000) as caught:
        viewer.open_files([path])
    assert "not a FITS file" in caught.args[0]
    assert viewer.status.isVisible()
    assert viewer.problems()


def test_that_a_missing_extension_is_reported_and_the_frames_stay(show, qtbot):
    viewer = show(make_product())
    viewer.tasks.submit("plane 0", lambda: viewer.frames.entry.frame.with_plane("NONE"), lambda _: None)
    qtbot.waitUntil(lambda: bool(viewer.problems()), timeout=60_000)
    assert len(viewer.frames.entries) == 1


def test_that_old_answers_are_dropped(make_viewer, qtbot):
    viewer = make_viewer()
    first, second = make_product(), make_product(make_header(FILENAME="second.fits"))
    viewer.show_products([first], ["first"])
    viewer.show_products([second], ["second"])
    qtbot.waitUntil(lambda: bool(viewer.frames.entries) and viewer.is_ready(), timeout=60_000)
    assert viewer.frames.entry.frame.file.name == "second"


# -- mouse -------------------------------------------------------------------------------------------------------------


def test_that_the_wheel_zooms_at_the_cursor(show):
    viewer = show(make_product())
    view = view_of(viewer)
    point = screen_point(view, 30, 20)
    before, zoom = view.pixel_at(QtCore.QPointF(point)), view.view.zoom
    turn_wheel(view, point, 3)
    assert view.view.zoom == pytest.approx(zoom * 1.25**3)
    assert view.pixel_at(QtCore.QPointF(point)) == pytest.approx(before, abs=1e-6)


def test_that_the_middle_button_centres(show, qtbot):
    viewer = show(make_product())
    view = view_of(viewer)
    pixel = view.pixel_at(QtCore.QPointF(100, 80))
    qtbot.mouseClick(view, Qt.MouseButton.MiddleButton, pos=QtCore.QPoint(100, 80))
    assert view.pixel_at(QtCore.QPointF(view.width() / 2, view.height() / 2)) == pytest.approx(pixel)


def test_that_dragging_pans(show, qtbot):
    viewer = show(make_product())
    view = view_of(viewer)
    pixel = view.pixel_at(QtCore.QPointF(100, 80))
    drag(qtbot, view, QtCore.QPoint(100, 80), QtCore.QPoint(160, 130))
    assert view.pixel_at(QtCore.QPointF(160, 130)) == pytest.approx(pixel, abs=1e-6)


def test_that_right_dragging_changes_contrast_and_bias_only(show, qtbot):
    viewer = show(make_product())
    view = view_of(viewer)
    state = view.view
    drag(qtbot, view, QtCore.QPoint(100, 200), QtCore.QPoint(160, 100), Qt.MouseButton.RightButton)
    display = viewer.frames.entry.display
    assert display.contrast > 1.2
    assert display.bias > 0.5
    assert view.view == state
    viewer.display_panel.reset.click()
    assert (viewer.frames.entry.display.contrast, viewer.frames.entry.display.bias) == (1.0, 0.5)


def test_that_locked_frames_move_together_and_unlocked_ones_do_not(show):
    viewer = show(make_product(), make_product(make_header(90.0)))
    a, b = viewer.area.views.values()
    turn_wheel(a, QtCore.QPoint(50, 50), 2)
    assert a.view == b.view
    sky_a = a.frame.wcs.pixel_to_world(*a.pixel_at(QtCore.QPointF(60, 70)))
    sky_b = b.frame.wcs.pixel_to_world(*b.pixel_at(QtCore.QPointF(60, 70)))
    assert sky_a.separation(sky_b).arcsec < 0.05
    viewer.set_lock("none")
    turn_wheel(a, QtCore.QPoint(50, 50), 2)
    assert a.view != b.view


def test_that_the_cursor_is_shown_in_the_other_frames_and_read_out(show, qtbot):
    viewer = show(make_product(), make_product())
    a, b = viewer.area.views.values()
    with qtbot.waitSignal(viewer.cursor_moved) as caught:
        a.cursor_moved.emit(12.0, 7.0)
    assert caught.args[0].x == 13.0
    assert b.crosshair == pytest.approx((12.0, 7.0), abs=1e-3)
    for part in ("x 13.0", "Jy", "ICRS", "FK5", "l, b"):
        assert part in viewer.readout.text()


@pytest.mark.parametrize(
    ("key", "step"),
    [(Qt.Key.Key_Right, (1, 0)), (Qt.Key.Key_Left, (-1, 0)), (Qt.Key.Key_Up, (0, 1)), (Qt.Key.Key_Down, (0, -1))],
)
def test_that_arrows_move_the_cursor_by_one_pixel(show, qtbot, key, step):
    viewer = show(make_product())
    view = view_of(viewer)
    view.cursor_pixel = (30.0, 40.0)
    with qtbot.waitSignal(view.cursor_moved) as caught:
        qtbot.keyClick(view, key)
    assert tuple(caught.args) == (30.0 + step[0], 40.0 + step[1])


def test_that_north_up_turns_the_image(show):
    viewer = show(make_product(make_header(60.0)))
    viewer.commands.by_name["north up"].trigger()
    view = view_of(viewer)
    here = view.frame.wcs.pixel_to_world(50.0, 40.0)
    north = here.directional_offset_by(0 * here.ra.unit, 0.003 * here.ra.unit)
    (x0, y0), (x1, y1) = (
        view.pixel_to_screen.map(*map(float, view.frame.wcs.world_to_pixel(s))) for s in (here, north)
    )
    assert abs(x1 - x0) < 0.05 * abs(y1 - y0)
    assert y1 < y0


def test_that_rotating_four_times_returns(show):
    viewer = show(make_product())
    before = view_of(viewer).pixel_to_screen
    for _ in range(4):
        viewer.commands.by_name["rotate"].trigger()
    after = view_of(viewer).pixel_to_screen
    assert (after.xx, after.x0, after.y0) == pytest.approx((before.xx, before.x0, before.y0))


# -- display panel -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["zscale", "zmax", "minmax", "percentile"])
def test_that_the_limits_menu_sets_the_limits(show, qtbot, kind):
    from sofia_viewers.image.display import LIMIT_RULES, compute_limits

    viewer = show(make_product())
    panel = viewer.display_panel
    panel.rule.setCurrentIndex(LIMIT_RULES.index("manual"))
    panel.rule.activated.emit(LIMIT_RULES.index("manual"))
    assert viewer.frames.entry.display.rule.kind == "manual"
    panel.rule.setCurrentIndex(LIMIT_RULES.index(kind))
    panel.rule.activated.emit(LIMIT_RULES.index(kind))
    qtbot.waitUntil(lambda: viewer.is_ready() and viewer.frames.entry.display.rule.kind == kind, timeout=60_000)
    rule = viewer.frames.entry.display.rule
    assert view_of(viewer).display.limits == pytest.approx(compute_limits(viewer.frames.entry.frame.image, rule))


def test_that_dragging_the_histogram_sets_the_limits(show):
    viewer = show(make_product())
    viewer.display_panel.histogram._range.setRegion((10.0, 40.0))
    assert view_of(viewer).display.limits == (10.0, 40.0)
    assert viewer.frames.entry.display.rule == LimitsRule("manual", 10.0, 40.0)
    assert float(viewer.display_panel.low.text()) == 10.0


def test_that_typed_limits_are_taken(show, qtbot):
    viewer = show(make_product())
    field = viewer.display_panel.high
    field.selectAll()
    qtbot.keyClicks(field, "77")
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert viewer.frames.entry.display.limits[1] == 77.0


@pytest.mark.parametrize("stretch", STRETCHES)
def test_that_every_stretch_changes_the_picture(show, stretch):
    viewer = show(make_product(FLUX=np.linspace(0, 1, 110) * np.ones(SHAPE)))
    viewer.overlays.change(color_bar=False)
    viewer.apply_overlays()
    viewer.set_display(color_map="grey", limits=(0.0, 1.0))
    view = view_of(viewer)
    before = view.grab().toImage()
    viewer.display_panel.stretch.setCurrentText(stretch)
    viewer.display_panel.stretch.textActivated.emit(stretch)
    assert view.display.stretch == stretch
    assert (view.grab().toImage() == before) is (stretch in ("linear", "histeq") and view.grab().toImage() == before)
    assert stretch in ("linear", "histeq") or view.grab().toImage() != before


def test_that_color_map_and_inversion_change_the_colors(show):
    viewer = show(make_product())
    view = view_of(viewer)
    grabs = [view.grab().toImage()]
    viewer.display_panel.color_map.textActivated.emit("viridis")
    grabs.append(view.grab().toImage())
    viewer.display_panel.invert.setChecked(True)
    grabs.append(view.grab().toImage())
    assert view.display.color_map == "viridis"
    assert view.display.invert
    assert grabs[0] != grabs[1] != grabs[2]


@pytest.mark.parametrize(("key", "plane"), [("e", "ERROR"), ("x", "EXPOSURE"), ("m", "BADMASK"), ("n", "S/N")])
def test_that_companion_planes_are_one_key_away_and_the_key_returns(show, qtbot, key, plane):
    viewer = show(make_product())
    press(qtbot, viewer, key)
    assert viewer.frames.entry.frame.plane.name == plane
    assert viewer.display_panel.plane.currentText() == plane
    press(qtbot, viewer, key)
    assert viewer.frames.entry.frame.plane.name == "FLUX"


def test_that_the_plane_menu_changes_the_plane(show, qtbot):
    viewer = show(make_product())
    viewer.display_panel.plane.textActivated.emit("EXPOSURE")
    qtbot.waitUntil(lambda: viewer.frames.entry.frame.plane.name == "EXPOSURE", timeout=60_000)
    assert view_of(viewer).frame.image[0, 0] == 7.0


def test_that_the_slider_steps_through_a_cube(show, qtbot):
    cube = np.arange(6.0)[:, None, None] * np.ones((6, *SHAPE))
    viewer = show(make_product(FLUX=cube), make_product(FLUX=cube + 10))
    assert viewer.display_panel.slice.isVisible()
    viewer.display_panel.slice.setValue(5)
    qtbot.waitUntil(viewer.is_ready, timeout=60_000)
    assert [view.frame.image[0, 0] for view in viewer.area.views.values()] == [5.0, 15.0]
    assert "6 of 6" in viewer.display_panel.slice_label.text()


def test_that_images_have_no_slice_slider(show):
    assert not show(make_product()).display_panel.slice.isVisible()


# -- refresh -----------------------------------------------------------------------------------------------------------


def test_that_zoom_limits_and_regions_survive_a_refresh(show, qtbot):
    viewer = show(make_product())
    view = view_of(viewer)
    turn_wheel(view, QtCore.QPoint(90, 90), 4)
    viewer.set_display(limits=(1.0, 9.0), rule=LimitsRule("manual", 1.0, 9.0), color_map="heat")
    viewer.regions.add(make_region("circle", (30, 30), (35, 30)), "0")
    state = view.view
    viewer.show_products([make_product(FLUX=make_star(seed=9))])
    qtbot.waitUntil(viewer.is_ready, timeout=60_000)
    qtbot.wait(20)
    assert view_of(viewer) is view
    assert view.view == state
    assert view.display.limits == (1.0, 9.0)
    assert view.display.color_map == "heat"
    assert len(view.shown_regions) == 1


def test_that_a_pinned_viewer_keeps_its_frames(show, qtbot):
    viewer = show(make_product())
    viewer.commands.by_name["pin"].trigger()
    assert viewer.pinned
    viewer.show_products([make_product(), make_product()])
    qtbot.waitUntil(viewer.is_ready, timeout=60_000)
    assert len(viewer.frames.entries) == 1


def test_that_files_are_added_beside_those_shown(make_viewer, qtbot, write_image):
    viewer = make_viewer()
    viewer.open_files([write_image("a.fits")])
    qtbot.waitUntil(lambda: len(viewer.frames.entries) == 1 and viewer.is_ready(), timeout=60_000)
    viewer.open_files([write_image("b.fits")], add=True)
    qtbot.waitUntil(lambda: len(viewer.frames.entries) == 2 and viewer.is_ready(), timeout=60_000)
    assert [entry.frame.file.name for entry in viewer.frames.entries] == ["a.fits", "b.fits"]


def test_that_twenty_files_open_at_once(make_viewer, qtbot, write_image):
    viewer = make_viewer()
    viewer.open_files([write_image(f"{i:02d}.fits") for i in range(20)])
    qtbot.waitUntil(lambda: len(viewer.frames.entries) == 20 and viewer.is_ready(), timeout=60_000)
    assert len(viewer.area.visible_views) == 20


# -- comparison --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["difference", "ratio"])
def test_that_comparing_adds_a_frame(show, qtbot, mode):
    viewer = show(make_product(), make_product(FLUX=make_star(seed=4)))
    viewer.compare("0", "1", mode)
    qtbot.waitUntil(lambda: len(viewer.frames.entries) == 3 and viewer.is_ready(), timeout=60_000)
    frame = viewer.frames.entry.frame
    assert frame.plane.name == mode.upper()
    assert np.nanmedian(frame.image) == pytest.approx(0.0 if mode == "difference" else 1.0, abs=0.02)


def test_that_swipe_shows_both_frames_side_by_side_with_common_limits(show, qtbot):
    viewer = show(make_product(FLUX=np.zeros(SHAPE)), make_product(FLUX=np.full(SHAPE, 10.0)))
    viewer.set_display(limits=(0.0, 10.0), color_map="grey", rule=LimitsRule("manual", 0.0, 10.0))
    viewer.compare("0", "1", "swipe")
    viewer.fit()
    viewer._show_swipe(0.5)
    view = view_of(viewer)
    image = view.grab().toImage()
    assert image.pixelColor(screen_point(view, 30, 40)).red() == 0
    assert image.pixelColor(screen_point(view, 80, 40)).red() == 255
    view.swipe_moved.emit(0.1)
    assert view.grab().toImage().pixelColor(screen_point(view, 30, 40)).red() == 255


def test_that_side_by_side_shares_the_levels_and_swipe_ends_with_another_mode(show):
    viewer = show(make_product(), make_product(FLUX=5 * make_star()))
    viewer.compare("0", "1", "swipe")
    assert view_of(viewer)._second is not None
    viewer.compare("0", "1", "side")
    a, b = viewer.area.views.values()
    assert a._second is None
    assert a.display == b.display
    viewer.set_display(limits=(0.0, 50.0))
    assert b.display.limits == (0.0, 50.0)


@pytest.mark.parametrize(("mode", "arrangement"), [("blink", "blink"), ("side", "tile")])
def test_that_comparing_arranges_the_frames(show, mode, arrangement):
    viewer = show(*[make_product() for _ in range(3)])
    viewer.compare("0", "2", mode)
    assert [entry.key for entry in viewer.frames.entries] == ["0", "2"]
    assert viewer.frames.arrangement == arrangement


def test_that_two_products_are_loaded_and_compared(make_viewer, qtbot):
    viewer = make_viewer()
    viewer.compare_products(make_product(), make_product(), "difference", ("before", "after"))
    qtbot.waitUntil(lambda: len(viewer.frames.entries) == 3 and viewer.is_ready(), timeout=60_000)
    assert viewer.frames.entry.frame.file.name == "before − after"


# -- regions -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_that_every_shape_is_drawn_with_the_mouse(show, qtbot, shape):
    viewer = show(make_product())
    view = view_of(viewer)
    viewer.commands.by_name[f"tool {shape}"].trigger()
    start, end = screen_point(view, 30, 30), screen_point(view, 45, 50)
    before = view.grab().toImage()
    with qtbot.waitSignal(viewer.regions_changed) as caught:
        drag(qtbot, view, start, end)
    (region,) = caught.args[0]
    assert region.shape == shape
    assert view.shown_regions
    assert view.grab().toImage() != before


def test_that_a_region_is_chosen_moved_resized_and_deleted(show, qtbot):
    viewer = show(make_product())
    view = view_of(viewer)
    name = viewer.regions.add(Region("circle", ((40.0, 40.0),), (10.0,)), "0")
    viewer.regions.select("")
    qtbot.mouseClick(view, Qt.MouseButton.LeftButton, pos=screen_point(view, 40, 50))
    assert viewer.regions.selected == name
    drag(qtbot, view, screen_point(view, 40, 40), screen_point(view, 50, 45))
    moved = viewer.regions.named()[name]
    assert moved.points[0] == pytest.approx((50, 45), abs=0.3)
    drag(qtbot, view, screen_point(view, *moved.handles()[0]), screen_point(view, 70, 45))
    assert viewer.regions.named()[name].sizes[0] == pytest.approx(20.0, abs=0.3)
    qtbot.keyClick(view, Qt.Key.Key_Delete)
    assert not viewer.regions.named()


def test_that_statistics_follow_while_a_region_is_dragged(show, qtbot):
    viewer = show(make_product())
    label = viewer.region_panel.statistics
    name = viewer.regions.add(Region("circle", ((15.0, 60.0),), (6.0,)), "0")
    qtbot.waitUntil(lambda: "mean  3.0" in label.text(), timeout=60_000)
    viewer.regions.edit(name, Region("circle", (STAR,), (6.0,)), "0", final=False)
    qtbot.waitUntil(lambda: "mean  3.0" not in label.text() and "mean" in label.text(), timeout=60_000)


def test_that_a_large_region_is_measured_off_the_gui_thread(show, qtbot):
    import time

    viewer = show(make_product(FLUX=make_star((2500, 2500))).without("ERROR", "EXPOSURE", "BADMASK"))
    began = time.perf_counter()
    viewer.regions.add(Region("circle", ((1250.0, 1250.0),), (1200.0,)), "0")
    assert time.perf_counter() - began < 0.1
    qtbot.waitUntil(lambda: "clipped" in viewer.region_panel.statistics.text(), timeout=60_000)


def test_that_a_frame_out_of_view_does_not_keep_the_viewer_waiting(show, qtbot):
    viewer = show(make_product(), make_product(make_header(CRVAL2=10.0)))
    qtbot.waitUntil(viewer.is_ready, timeout=60_000)


def test_that_regions_lie_at_the_same_sky_position_in_all_frames(show):
    viewer = show(make_product(), make_product(make_header(90.0, 0.5)))
    viewer.regions.add(Region("circle", ((60.0, 50.0),), (5.0,)), "0")
    a, b = (next(iter(view.shown_regions.values())) for view in viewer.area.views.values())
    sky = [viewer.area.views[k].frame.wcs.pixel_to_world(*r.points[0]) for k, r in (("0", a), ("1", b))]
    assert sky[0].separation(sky[1]).arcsec < 0.01
    assert b.sizes[0] == pytest.approx(10.0, rel=1e-3)


def test_that_name_and_color_of_a_region_are_changed_in_the_panel(show, qtbot):
    viewer = show(make_product())
    name = viewer.regions.add(Region("box", ((40.0, 40.0),), (10.0, 5.0)), "0")
    viewer.region_panel.name.textEdited.emit("target")
    viewer.regions.change_selected(color="#ff0000")
    assert (viewer.regions.named()[name].name, viewer.regions.named()[name].color) == ("target", "#ff0000")
    assert "target" in viewer.region_panel.list.item(0).text()


@pytest.mark.parametrize("system", ["image", "icrs", "galactic"])
def test_that_region_files_are_saved_and_opened(show, tmp_path, system):
    viewer = show(make_product())
    viewer.regions.add(Region("ellipse", ((40.0, 41.0),), (10.0, 5.0), 20.0, name="disk"), "0")
    path = tmp_path / "r.reg"
    viewer.regions.save(path, system)
    viewer.regions.clear()
    viewer.open_files([path])
    (region,) = viewer.regions.items()
    assert region.name == "disk"
    assert region.points[0] == pytest.approx((40, 41), abs=1e-3)


def test_that_as_many_region_files_as_frames_go_one_to_each(make_viewer, qtbot, write_image, tmp_path):
    viewer = make_viewer()
    paths = [tmp_path / f"{i}.reg" for i in range(2)]
    for i, path in enumerate(paths):
        path.write_text(f"image\ncircle({10 + i},20,{3 + i})\n")
    viewer.open_files([write_image("a.fits"), write_image("b.fits"), *paths])
    qtbot.waitUntil(lambda: len(viewer.regions.items()) == 2, timeout=60_000)
    assert [viewer.regions._items[k].home for k in viewer.regions.named()] == ["0", "1"]


def test_that_a_double_click_adds_a_corner_to_a_polygon(show, qtbot):
    viewer = show(make_product())
    view = view_of(viewer)
    name = viewer.regions.add(Region("polygon", ((20.0, 20.0), (80.0, 20.0), (50.0, 70.0))), "0")
    qtbot.mouseDClick(view, Qt.MouseButton.LeftButton, pos=screen_point(view, 50, 20))
    points = viewer.regions.named()[name].points
    assert len(points) == 4
    assert points[1] == pytest.approx((50, 20), abs=0.5)


def test_that_image_and_regions_are_saved_as_fits_and_come_back(show, make_viewer, qtbot, tmp_path):
    viewer = show(make_product(make_header(25.0)))
    viewer.regions.add(Region("ellipse", ((40.0, 41.0),), (10.0, 5.0), 20.0, name="disk"), "0")
    viewer.save_fits(tmp_path / "saved.fits")
    qtbot.waitUntil(viewer.is_ready, timeout=60_000)
    other = make_viewer()
    other.open_files([tmp_path / "saved.fits"])
    qtbot.waitUntil(lambda: bool(other.frames.entries) and other.is_ready(), timeout=60_000)
    frame, original = other.frames.entry.frame, viewer.frames.entry.frame
    assert np.array_equal(frame.image, original.image)
    assert frame.plane.unit == "Jy"
    assert frame.wcs.pixel_to_world(3, 4).separation(original.wcs.pixel_to_world(3, 4)).arcsec < 1e-6
    assert [region.name for region in other.regions.items()] == ["disk"]


def test_that_saving_where_nothing_can_be_written_is_reported(show, qtbot, tmp_path):
    viewer = show(make_product())
    viewer.save_fits(tmp_path / "nowhere" / "saved.fits")
    qtbot.waitUntil(lambda: bool(viewer.problems()), timeout=60_000)
    assert "cannot be written" in viewer.problems()[-1]


# -- analyses ----------------------------------------------------------------------------------------------------------


def test_that_a_measures_the_source_and_draws_its_marks(show, qtbot):
    viewer = show(make_product())
    press(qtbot, viewer, "a")
    view = view_of(viewer)
    ring, source = view.shown_drawings["photometry"]
    assert source.marks[0].at == pytest.approx(STAR, abs=0.05)
    assert source.marks[0].symbol == "x"
    assert np.hypot(*(source.lines[0] - STAR).T).mean() == pytest.approx(12.0, abs=0.1)
    assert [np.hypot(*(line - STAR).T).mean() for line in ring.lines] == pytest.approx([15.0, 25.0], abs=0.1)
    assert QtGui.QColor(source.color).rgb() & 0xFFFFFF in colors_of(view)
    assert viewer.results_dock.isVisible()
    assert viewer.results.photometry.table.rowCount() == 1


def test_that_a_source_is_not_measured_twice(show, qtbot):
    viewer = show(make_product())
    press(qtbot, viewer, "a")
    press(qtbot, viewer, "a", STAR[0] + 2, STAR[1] - 2)
    assert viewer.status.text() == "Source already measured."
    assert len(viewer.results.photometry.rows) == 1


def test_that_tiled_frames_are_measured_at_the_same_sky_position(show, qtbot):
    header = make_header()
    header["CRPIX1"] += 4.0
    shifted = np.roll(make_star(), 4, axis=1)
    viewer = show(make_product(), make_product(header, FLUX=shifted))
    press(qtbot, viewer, "a")
    rows = viewer.results.photometry.rows
    assert [row["Frame"] for row in rows] == [1, 2]
    assert rows[1]["X"] - rows[0]["X"] == pytest.approx(4.0, abs=0.02)
    assert rows[1]["RA"] == pytest.approx(rows[0]["RA"], abs=1e-5)


def test_that_s_measures_the_window_or_the_region_under_the_cursor(show, qtbot):
    viewer = show(make_product())
    press(qtbot, viewer, "s", 40, 40)
    viewer.regions.add(Region("circle", ((40.0, 40.0),), (6.0,), name="mine"), "0")
    press(qtbot, viewer, "s", 40, 40)
    first, second = viewer.results.statistics.rows
    assert first["Pixels"] == 2500
    assert second["Where"] == "circle mine"
    assert second["Pixels"] == pytest.approx(np.pi * 36, rel=0.06)
    assert len(viewer.results.plot_views()) == 2


def test_that_p_needs_two_frames_and_then_plots_them(show, qtbot):
    viewer = show(make_product())
    press(qtbot, viewer, "p")
    assert "two frames" in viewer.status.text()
    viewer = show(make_product(), make_product(FLUX=2 * make_star()))
    press(qtbot, viewer, "p")
    (plot,) = viewer.results.plot_views()
    points = plot.plots[0].curves[0]
    assert points.y == pytest.approx(2 * points.x, abs=1.5)


@pytest.mark.parametrize(("key", "n"), [("r", 2), ("k", 2)])
def test_that_profiles_and_cuts_are_plotted(show, qtbot, key, n):
    viewer = show(make_product())
    press(qtbot, viewer, key)
    assert len(viewer.results.plot_views()) == n


def test_that_l_cuts_along_the_line_that_was_drawn(show, qtbot):
    viewer = show(make_product())
    press(qtbot, viewer, "l")
    assert "Draw a line" in viewer.status.text()
    viewer.regions.add(Region("line", ((10.0, 41.0), (100.0, 41.0))), "0")
    press(qtbot, viewer, "l")
    (plot,) = viewer.results.plot_views()
    assert plot.plots[0].curves[0].y.max() == pytest.approx(make_star()[41].max())


def test_that_c_removes_results_plots_and_marks(show, qtbot):
    viewer = show(make_product())
    for key in "asc":
        press(qtbot, viewer, key)
    assert viewer.results.photometry.rows == []
    assert viewer.results.plot_views() == []
    assert "photometry" not in view_of(viewer).shown_drawings
    assert viewer.results_dock.isHidden()


def test_that_h_lists_the_keys(show, qtbot):
    viewer = show(make_product())
    press(qtbot, viewer, "h")
    assert "a photometry" in viewer.status.text()


def test_that_combined_plots_share_one_axis(show, qtbot):
    viewer = show(make_product())
    form = viewer.settings_panel.forms["plot"]
    form.fields["separate_plots"].click()
    for x in (40, 60):
        press(qtbot, viewer, "s", x, 40)
    (view,) = viewer.results.plot_views()
    assert len(view.plots) == 2


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf", ".ecsv", ".csv"])
def test_that_plots_are_saved_as_picture_and_numbers(show, qtbot, tmp_path, suffix):
    viewer = show(make_product())
    press(qtbot, viewer, "s", 40, 40)
    plot = viewer.results.plot_views()[0]
    path = tmp_path / f"plot{suffix}"
    plot.save(path)
    assert path.stat().st_size > 500
    assert "make_histogram" in plot.plots[0].code


# -- overlays ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["grid", "contours", "header"])
def test_that_layers_are_switched_on_and_off(show, qtbot, name):
    viewer = show(make_product(make_header(SRCPOSX=60.0, SRCPOSY=40.0)))
    box = viewer.overlay_panel.switches[name]
    box.setChecked(True)
    qtbot.waitUntil(viewer.is_ready, timeout=60_000)
    view = view_of(viewer)
    assert name in view.shown_drawings
    shown = view.grab().toImage()
    box.setChecked(False)
    qtbot.waitUntil(viewer.is_ready, timeout=60_000)
    assert name not in view.shown_drawings
    assert view.grab().toImage() != shown


@pytest.mark.parametrize(
    ("name", "corner"),
    [("compass", "compass"), ("scale_bar", "scale bar"), ("beam", "beam"), ("color_bar", "color bar")],
)
def test_that_decorations_are_switched_on_and_off(show, name, corner):
    viewer = show(make_product(make_header(BMAJ=0.002, BMIN=0.001, BPA=10.0)))
    view = view_of(viewer)
    box = viewer.overlay_panel.switches[name]
    box.setChecked(True)
    assert corner in view.shown_corners
    shown = view.grab().toImage()
    box.setChecked(False)
    assert corner not in view.shown_corners
    assert view.grab().toImage() != shown


def test_that_flagged_pixels_are_painted_with_a_legend(show, qtbot):
    viewer = show(make_product())
    view = view_of(viewer)
    viewer.overlay_panel.switches["flags"].setChecked(True)
    qtbot.waitUntil(viewer.is_ready, timeout=60_000)
    assert view.shows_flags
    assert "flags" in view.shown_corners
    assert view.grab().toImage().pixelColor(screen_point(view, 60, 1)).name() == "#d55e00"
    viewer.overlay_panel.switches["flags"].setChecked(False)
    qtbot.waitUntil(viewer.is_ready, timeout=60_000)
    assert not view.shows_flags


def test_that_contours_of_another_frame_are_drawn_on_all(show, qtbot):
    viewer = show(make_product(), make_product(FLUX=np.zeros(SHAPE)))
    panel = viewer.overlay_panel
    panel.switches["contours"].setChecked(True)
    panel.contour_source.setCurrentIndex(panel.contour_source.findData("0"))
    panel.contour_source.activated.emit(1)
    qtbot.waitUntil(viewer.is_ready, timeout=60_000)
    assert "contours" in view_of(viewer, "1").shown_drawings


def test_that_catalogues_are_drawn_and_removed(show, qtbot, tmp_path):
    viewer = show(make_product())
    path = tmp_path / "c.csv"
    path.write_text("name,ra,dec\nA,150.0,35.0\n")
    viewer.overlay_panel.add_catalog(path)
    qtbot.waitUntil(lambda: viewer.is_ready() and "catalog" in view_of(viewer).shown_drawings, timeout=60_000)
    viewer.overlay_panel.clear_catalogs.click()
    qtbot.waitUntil(viewer.is_ready, timeout=60_000)
    assert "catalog" not in view_of(viewer).shown_drawings


@pytest.mark.real
def test_that_polarization_vectors_follow_cuts_scale_and_field(make_viewer, qtbot, real_products):
    viewer = make_viewer()
    viewer.open_files([real_products / "F0481_HA_POL_7600012_HAWDHWPD_PMP_050-083.fits"])
    qtbot.waitUntil(lambda: bool(viewer.frames.entries) and viewer.is_ready(), timeout=60_000)
    panel, view = viewer.overlay_panel, view_of(viewer)

    def segments() -> np.ndarray:
        qtbot.waitUntil(viewer.is_ready, timeout=60_000)
        return view.shown_drawings["vectors"][0].segments

    panel.switches["vectors"].setChecked(True)
    first = segments()
    assert len(first) == 779
    assert QtGui.QColor("#32cd32").rgb() & 0xFFFFFF in colors_of(view)
    panel.scale.setValue(2 * panel.scale.value())
    assert np.hypot(*np.diff(segments(), axis=1)[:, 0].T) == pytest.approx(
        2 * np.hypot(*np.diff(first, axis=1)[:, 0].T), rel=1e-6
    )
    panel.field.setChecked(False)
    turned = np.diff(segments(), axis=1)[:, 0]
    assert np.abs((turned * np.diff(first, axis=1)[:, 0]).sum(axis=1)).max() < 1.0
    panel.cuts["min_p_over_error"].setValue(8.0)
    assert 0 < len(segments()) < 779
    panel.switches["vectors"].setChecked(False)
    qtbot.waitUntil(viewer.is_ready, timeout=60_000)
    assert "vectors" not in view.shown_drawings


# -- settings ----------------------------------------------------------------------------------------------------------


def test_that_display_settings_reload_the_data(show, qtbot):
    viewer = show(make_product())
    form = viewer.settings_panel.forms["display"]
    form.take(form.settings.with_values(extension="all", tile=False, cmap="heat", scale="minmax", lock_image="none"))
    qtbot.waitUntil(lambda: len(viewer.frames.entries) == 4 and viewer.is_ready(), timeout=60_000)
    assert viewer.frames.arrangement == "single"
    assert viewer.frames.lock == "none"
    assert {e.display.color_map for e in viewer.frames.entries} == {"heat"}
    assert {e.display.rule.kind for e in viewer.frames.entries} == {"minmax"}


def test_that_the_sn_range_blanks_pixels(show, qtbot):
    viewer = show(make_product())
    form = viewer.settings_panel.forms["display"]
    form.take(form.settings.with_values(extension="S/N", s2n_range="100,500"))
    qtbot.waitUntil(lambda: viewer.is_ready() and viewer.frames.entry.frame.plane.name == "S/N", timeout=60_000)
    image = viewer.frames.entry.frame.image
    assert 100 <= np.nanmin(image) <= np.nanmax(image) <= 500
    assert np.isnan(image).any()


def test_that_a_wrong_setting_is_explained_and_not_taken(show, qtbot):
    viewer = show(make_product())
    form = viewer.settings_panel.forms["photometry"]
    field = form.fields["window"]
    field.setText("-5")
    field.editingFinished.emit()
    assert "window" in form.problem.text()
    assert form.settings.window == 50.0


def test_that_settings_are_kept_reset_and_restored(show, make_viewer):
    viewer = show(make_product())
    form = viewer.settings_panel.forms["photometry"]
    form._set("model", "gaussian")
    viewer.settings_panel.save()
    form._set("window", 33)
    viewer.settings_panel.reset("photometry")
    assert (form.settings.model, form.settings.window) == ("gaussian", 50.0)
    assert make_viewer().examiner.photometry_settings.model == "gaussian"


# -- export, memory, threads -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")])
def test_that_the_view_is_exported(show, tmp_path, suffix, start):
    viewer = show(make_product())
    path = viewer.export(tmp_path / f"view{suffix}", (640, 480))
    assert path.read_bytes().startswith(start)
    if suffix == ".png":
        image = QtGui.QImage(str(path))
        assert (image.width(), image.height()) == (640, 480)


def test_that_an_impossible_export_is_refused(show, tmp_path):
    from sofia_engine.errors import InputError

    viewer = show(make_product())
    with pytest.raises(InputError, match="png"):
        viewer.export(tmp_path / "view.doc")
    with pytest.raises(InputError, match="does not exist"):
        viewer.export(tmp_path / "nowhere" / "view.png")


@pytest.mark.parametrize("mode", ["dark", "light"])
def test_that_both_looks_color_the_viewer(show, qtbot, mode):
    from sofia_viewers.theme import DARK, LIGHT, apply_theme

    viewer = show(make_product())
    press(qtbot, viewer, "s", 40, 40)
    apply_theme(QtWidgets.QApplication.instance(), mode)
    theme = DARK if mode == "dark" else LIGHT
    qtbot.waitUntil(viewer.is_ready, timeout=60_000)
    image = view_of(viewer).grab().toImage()
    assert image.pixelColor(1, image.height() // 2).name() == theme.canvas
    assert viewer.grab().toImage().pixelColor(3, 200).name() == theme.window


def test_that_calls_without_a_result_leave_the_count_of_none_alone(qtbot):
    label = QtWidgets.QLabel()
    qtbot.addWidget(label)
    before = sys.getrefcount(None)
    for i in range(400):
        label.setText(str(i))
        label.resize(10 + i % 7, 10)
    assert abs(sys.getrefcount(None) - before) < 100


def test_that_nothing_of_a_closed_viewer_survives(qtbot, tmp_path):
    from sofia_viewers.image.settings import SettingsStore
    from sofia_viewers.image.viewer import ImageViewer

    def use() -> weakref.ref:
        viewer = ImageViewer(store=SettingsStore(tmp_path / "a", tmp_path / "b"))
        viewer.show()
        viewer.show_products([make_product(), make_product()])
        qtbot.waitUntil(lambda: bool(viewer.frames.entries) and viewer.is_ready(), timeout=60_000)
        viewer.press_key("a", "0", *STAR)
        viewer.press_key("s", "0", *STAR)
        qtbot.waitUntil(viewer.is_ready, timeout=60_000)
        viewer.close()
        viewer.deleteLater()
        return weakref.ref(viewer)

    use()
    gc.collect()
    QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)
    threads, widgets = threading.active_count(), len(QtWidgets.QApplication.allWidgets())
    for _ in range(3):
        reference = use()
        QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)
        gc.collect()
    QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)
    assert threading.active_count() <= threads, threading.enumerate()
    assert len(QtWidgets.QApplication.allWidgets()) <= widgets, QtWidgets.QApplication.topLevelWidgets()
    holders = [type(holder) for holder in gc.get_referrers(reference())] if reference() is not None else []
    assert reference() is None, holders


def test_that_closing_while_files_are_read_is_safe(make_viewer, write_image):
    viewer = make_viewer()
    viewer.open_files([write_image(f"{i}.fits", make_star((800, 800))) for i in range(6)])
    viewer.close()
    assert viewer.tasks.is_idle


def test_that_large_files_are_not_copied_into_memory(make_viewer, qtbot, tmp_path: Path):
    from astropy.io import fits

    path = tmp_path / "cube.fits"
    header = fits.Header({"SIMPLE": True, "BITPIX": -32, "NAXIS": 3, "NAXIS1": 1024, "NAXIS2": 1024, "NAXIS3": 64})
    with path.open("wb") as stream:
        stream.write(header.tostring().encode())
        stream.seek(2880 * 93207 - 1, 1)
        stream.write(b"\0")

    def own() -> int:
        text = Path("/proc/self/smaps_rollup").read_text()
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Anonymous:"))

    if not Path("/proc/self/smaps_rollup").exists():
        pytest.skip("the system does not tell how much memory is its own")
    viewer = make_viewer()
    before = own()
    viewer.open_files([path])
    qtbot.waitUntil(lambda: bool(viewer.frames.entries) and viewer.is_ready(), timeout=60_000)
    for number in range(64):
        viewer.choose_slice(number)
        qtbot.waitUntil(viewer.is_ready, timeout=60_000)
    assert own() - before < 100 * 1024


# -- what the program around the viewer uses --------------------------------------------------------------------------


def test_that_how_frames_are_shown_survives_json_and_another_viewer(qtbot, show, make_viewer, star_product):
    first = show(star_product)
    first.set_display(color_map="gray", stretch="sqrt", invert=True, limits=(0.0, 5.0), rule=LimitsRule("manual", 0, 5))
    first.rotate(90.0)
    first.zoom_to(4.0)
    first.regions.add(Region("circle", ((10.0, 20.0),), (3.0,)), "0")
    state = json.loads(json.dumps(first.view_state()))
    second = make_viewer()
    second.restore_view(state)
    second.show_products([star_product])
    qtbot.waitUntil(lambda: bool(second.frames.entries) and second.is_ready(), timeout=60_000)
    assert second.frames.entries[0].display == first.frames.entries[0].display
    assert second.frames.rotation == 90.0
    assert second.regions.items() == first.regions.items()
    assert view_of(second).view == view_of(first).view


@pytest.mark.parametrize("state", [{}, {"rotation": "x"}, {"displays": [{"stretch": "none of these"}]}])
def test_that_a_saved_view_that_makes_no_sense_is_passed_over(qtbot, make_viewer, star_product, state):
    viewer = make_viewer()
    viewer.restore_view(state)
    viewer.show_products([star_product])
    qtbot.waitUntil(lambda: bool(viewer.frames.entries) and viewer.is_ready(), timeout=60_000)
    assert viewer.frames.rotation == 0.0


def test_that_frames_are_fitted_again_when_the_room_changes_until_they_are_zoomed(qtbot, show, star_product):
    viewer = show(star_product)
    before = view_of(viewer).view.zoom
    viewer.resize(viewer.width() // 2, viewer.height() // 2)
    qtbot.waitUntil(lambda: view_of(viewer).view.zoom < before, timeout=60_000)
    viewer.zoom_to(3.0)
    viewer.resize(viewer.width() * 2, viewer.height() * 2)
    qtbot.wait(50)
    assert view_of(viewer).view.zoom * view_of(viewer).placement.scale == pytest.approx(3.0)


def test_that_the_side_panel_comes_and_goes(show, star_product):
    viewer = show(star_product)
    viewer.show_side_panel(False)
    assert all(dock.isHidden() for dock in viewer.side_docks)
    assert not viewer.commands.by_name["panel"].isChecked()
    viewer.commands.by_name["panel"].trigger()
    assert not any(dock.isHidden() for dock in viewer.side_docks)


def test_that_region_files_of_products_go_with_them(qtbot, show, star_product, tmp_path):
    viewer = show(star_product)
    viewer.regions.add(Region("circle", ((10.0, 20.0),), (3.0,)), "0")
    path = tmp_path / "trace.reg"
    path.write_text("image\npoint(5,6)\n")
    viewer.show_products([star_product])
    viewer.show_region_files([path])
    qtbot.waitUntil(lambda: len(viewer.regions.items()) == 2, timeout=60_000)
    viewer.show_products([star_product])
    viewer.show_region_files([])
    qtbot.waitUntil(lambda: len(viewer.regions.items()) == 1, timeout=60_000)
    assert viewer.regions.items()[0].shape == "circle"


def test_that_the_picture_is_copied_and_the_code_draws_it(qtbot, make_viewer, write_image, tmp_path, monkeypatch):
    viewer = make_viewer()
    viewer.open_files([write_image()])
    qtbot.waitUntil(lambda: bool(viewer.frames.entries) and viewer.is_ready(), timeout=60_000)
    size = viewer.area.size()
    viewer.commands.by_name["copy picture"].trigger()
    assert QtGui.QGuiApplication.clipboard().image().size() == size
    viewer.set_display(stretch="asinh", color_map="heat")
    viewer.commands.by_name["code"].trigger()
    assert viewer.code_window.isVisible()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    exec(compile(viewer.code_window.toPlainText(), "code", "exec"), {})
    assert QtGui.QImage(str(tmp_path / "image.png")).width() > 500
    importlib.import_module("matplotlib.pyplot").close("all")


def test_that_shortened_titles_keep_the_end_of_a_name(qtbot):
    from sofia_viewers.image.area import ElidedLabel

    names = [f"F0501_FO_IMA_90000101_FORF197_{code}_0001.fits [FLUX]" for code in ("STK", "MRG")]
    label = ElidedLabel(end=0.75)
    qtbot.addWidget(label)
    shown = []
    for name in names:
        label.setText(name)
        metrics = label.fontMetrics()
        assert label.shorten(metrics.horizontalAdvance(name)) == name
        width = metrics.horizontalAdvance("F0501_FO...STK_0001.fits [FLUX]")
        shown.append(label.shorten(width))
        assert metrics.horizontalAdvance(shown[-1]) <= width + 2
        assert all(len(label.shorten(width)) <= len(name) for width in range(0, 40, 3))
    assert [text[-20:] for text in shown] == ["STK_0001.fits [FLUX]", "MRG_0001.fits [FLUX]"]
    assert all(text.startswith("F05") for text in shown)
