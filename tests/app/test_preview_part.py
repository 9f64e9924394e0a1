"""Previews of a file, of what is in view, and of a rectangle, with real widgets."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

pytest.importorskip("PySide6")

from sofia_app.models.preferences import Preferences
from sofia_app.models.preview_part import make_part
from sofia_viewers.image.frame import Frame, ImageFile
from sofia_viewers.image.geometry import ViewState
from sofia_viewers.image.regions import Region
from sofia_viewers.qt import Qt, QtCore
from window_driver import Driver, open_window

CHECK, ADD, WORK, SUM = range(4)
SIZE = 256
SKY = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 100.0, "CRPIX2": 90.0, "CRVAL1": 83.8, "CRVAL2": -5.4,
       "CDELT1": -2e-4, "CDELT2": 2e-4}  # fmt: skip


@pytest.fixture
def driver(qtbot, lab: Path, tmp_path: Path) -> Iterator[Driver]:
    """A window with two files of 256 x 256 pixels, each of which holds its number, checked."""
    paths = []
    for number in (1, 2):
        header = fits.Header({"INSTRUME": "LAB", "OBJECT": "STAR", "EXPTIME": 3.0} | SKY)
        data = np.arange(SIZE * SIZE, dtype=np.float32).reshape(SIZE, SIZE) + number / 4
        paths.append(tmp_path / f"raw_{number:04d}.fits")
        fits.PrimaryHDU(data, header).writeto(paths[-1])
    window = open_window(qtbot, lab, tmp_path)
    driver = next(window)
    driver.open(paths)
    driver.run("do_step")
    driver.select(ADD)
    driver.wait(lambda: driver.window.image.viewer is not None and driver.window.image.is_ready)
    yield driver
    next(window, None)


def choose(driver: Driver, what: str) -> None:
    """Choose what previews are made of, as the list is used."""
    box = driver.form.preview_bar.box
    box.setCurrentIndex(box.findData(what))
    box.activated.emit(box.currentIndex())


def wait_for_preview(driver: Driver, amount: float, shape: tuple[int, int] | None = None) -> np.ndarray:
    """Wait for a preview with an amount added, and return it without the amount."""

    def is_there() -> bool:
        products = driver.window.shown.products
        if driver.window.shown.kind != "preview" or (shape is not None and products[0]["FLUX"].shape != shape):
            return False
        fraction = float(products[0]["FLUX"].flat[0]) % 1
        return fraction == pytest.approx((amount + 0.25) % 1) or fraction == pytest.approx((amount + 0.5) % 1)

    driver.wait(is_there)
    driver.wait(lambda: driver.window.image.is_ready)
    return np.asarray(driver.window.shown.products[0]["FLUX"]) - amount


def pixel_numbers(x: slice, y: slice) -> np.ndarray:
    return np.arange(SIZE * SIZE).reshape(SIZE, SIZE)[y, x]


def note(driver: Driver) -> str:
    return driver.form.preview_bar.note.text()


class TestPreview:
    def test_that_a_rectangle_drawn_by_hand_is_previewed_and_followed(self, driver: Driver, qtbot) -> None:
        choose(driver, "rectangle")
        driver.enter("amount", "5.125")
        driver.wait(lambda: "Draw a rectangle" in note(driver))
        viewer = driver.window.image.viewer
        assert viewer.commands.tool == "box"
        view = viewer.area.views["0"]
        ends = [view.pixel_to_screen.map(x, y) for x, y in ((60.0, 80.0), (90.0, 100.0))]
        points = [QtCore.QPoint(round(x), round(y)) for x, y in ends]
        qtbot.mousePress(view, Qt.MouseButton.LeftButton, pos=points[0])
        qtbot.mouseMove(view, points[1])
        qtbot.mouseRelease(view, Qt.MouseButton.LeftButton, pos=points[1])
        shown = wait_for_preview(driver, 5.125)
        assert 24 <= shown.shape[1] <= 36
        assert 16 <= shown.shape[0] <= 26
        assert "Part of" in note(driver)
        name = viewer.regions.selected
        viewer.regions.edit(name, Region("box", ((10.0, 8.0),), (6.0, 5.0)), "0")  # in pixels of the part
        moved = wait_for_preview(driver, 5.125, (5, 7))
        corner = -driver.window.shown.products[0].header["LTV1"], -driver.window.shown.products[0].header["LTV2"]
        assert np.allclose(moved - 0.25, pixel_numbers(slice(int(corner[0]), int(corner[0]) + 7),
                                                       slice(int(corner[1]), int(corner[1]) + 5)))  # fmt: skip

    def test_that_a_rectangle_stays_at_its_place_of_the_sky(self, driver: Driver) -> None:
        viewer = driver.window.image.viewer
        viewer.regions.add(Region("box", ((120.0, 60.0),), (20.0, 10.0)), "0")
        choose(driver, "rectangle")
        for amount in ("3.125", "4.375", "6.625"):
            driver.enter("amount", amount)
            shown = wait_for_preview(driver, float(amount), (11, 21))
            assert np.allclose(shown - 0.25, pixel_numbers(slice(110, 131), slice(55, 66)))
            (region,) = viewer.regions.on_frame(viewer.frames.entry.key).values()
            assert region.center == pytest.approx((10.0, 5.0), abs=1e-6)
            assert region.sizes == pytest.approx((20.0, 10.0), abs=1e-6)
        choose(driver, "off")
        driver.settle()
        driver.wait(lambda: viewer.frames.entry.frame.shape == (SIZE, SIZE))
        (region,) = viewer.regions.on_frame("0").values()
        assert region.center == pytest.approx((120.0, 60.0), abs=1e-6)

    def test_that_the_visible_part_is_previewed_and_does_not_creep(self, driver: Driver) -> None:
        viewer = driver.window.image.viewer
        view = viewer.area.views["0"]
        viewer._follow_view("0", ViewState((100.0, 150.0), view.width() / 40.0))
        (x0, y0), _, (x1, y1), _ = viewer.outline_view()
        expected = int(np.floor(y1) - np.ceil(y0)) + 1, int(np.floor(x1) - np.ceil(x0)) + 1
        choose(driver, "view")
        driver.enter("amount", "5.125")
        first = wait_for_preview(driver, 5.125, expected)
        columns = slice(int(np.ceil(x0)), int(np.floor(x1)) + 1)
        assert np.allclose(first - 0.25, pixel_numbers(columns, slice(int(np.ceil(y0)), int(np.floor(y1)) + 1)))
        driver.enter("amount", "7.375")
        assert np.array_equal(wait_for_preview(driver, 7.375, expected), first)
        driver.enter("amount", "9.625")
        assert np.array_equal(wait_for_preview(driver, 9.625, expected), first)

    def test_that_the_file_in_view_is_the_one_that_is_tried(self, driver: Driver) -> None:
        viewer = driver.window.image.viewer
        driver.wait(lambda: len(viewer.frames.entries) == 2)
        viewer.select("1")
        choose(driver, "file")
        for amount in ("5.125", "7.0625"):
            driver.enter("amount", amount)
            assert np.allclose(wait_for_preview(driver, float(amount)) % 1, 0.5)

    def test_that_a_step_that_needs_whole_images_says_so_and_shows_one(self, driver: Driver) -> None:
        driver.window.image.viewer.regions.add(Region("box", ((120.0, 60.0),), (20.0, 10.0)), "0")
        choose(driver, "rectangle")
        row = driver.form.rows["method"].editor.box
        row.setCurrentIndex(1)
        row.activated.emit(1)
        driver.wait(lambda: "whole image" in note(driver))
        assert "Add Amount cannot be done on a part: the median is that of the whole image" in note(driver)
        viewer = driver.window.image.viewer
        driver.wait(lambda: viewer.frames.entry.frame.file.name.startswith("PREVIEW"))
        assert viewer.frames.entry.frame.shape == (SIZE, SIZE)

    def test_that_a_preview_is_not_saved_among_products(self, driver: Driver, tmp_path: Path) -> None:
        driver.enter("amount", "5.125")
        driver.do("preview_step")
        wait_for_preview(driver, 5.125)
        folder = tmp_path / "kept"
        folder.mkdir()
        driver.window.save_shown(folder)
        driver.wait(lambda: driver.desk.tasks.is_idle)
        assert not list(folder.iterdir())
        assert "not saved" in driver.window.statusBar().currentMessage()

    def test_that_the_latest_edit_wins(self, driver: Driver) -> None:
        choose(driver, "file")
        for amount in range(10, 40):
            driver.enter("amount", f"{amount}.125")
            driver.qtbot.wait(12)
        wait_for_preview(driver, 39.125)
        driver.wait(lambda: float(driver.window.shown.products[0]["FLUX"].flat[0]) == pytest.approx(39.375))
        driver.wait(lambda: not driver.desk.is_busy and driver.desk.tasks.is_idle)
        driver.qtbot.wait(400)
        assert float(driver.window.shown.products[0]["FLUX"].flat[0]) == pytest.approx(39.375)

    def test_that_an_edit_that_is_taken_back_is_shown_too(self, driver: Driver) -> None:
        choose(driver, "file")
        driver.enter("amount", "5.125")
        wait_for_preview(driver, 5.125)
        driver.enter("amount", "1")  # what is applied
        driver.wait(lambda: not driver.form.form.is_edited)
        driver.wait(lambda: float(driver.window.shown.products[0]["FLUX"].flat[0]) == pytest.approx(1.25))
        assert driver.window.shown.kind == "preview"

    def test_that_list_and_menu_tell_the_same_and_are_remembered(self, driver: Driver) -> None:
        switch, box = driver.window.qactions["toggle_live_preview"], driver.form.preview_bar.box
        assert box.currentText() == "off"
        choose(driver, "view")
        assert switch.isChecked()
        driver.do("toggle_live_preview")
        assert box.currentText() == "off"
        driver.do("toggle_live_preview")
        assert box.currentText() == "visible part"
        driver.desk.save_preferences()
        kept = Preferences.load()
        assert (kept.live_preview, kept.preview_of) == (True, "view")


def test_that_data_without_images_are_previewed_whole(qtbot, lab: Path, tmp_path: Path) -> None:
    header = fits.Header({"INSTRUME": "LAB", "OBJECT": "STAR", "EXPTIME": 3.0})
    path = tmp_path / "raw_0001.fits"
    fits.PrimaryHDU(np.ones(64, np.float32), header).writeto(path)
    window = open_window(qtbot, lab, tmp_path)
    driver = next(window)
    driver.open([path])
    driver.run("do_step")
    driver.select(ADD)
    choose(driver, "rectangle")
    driver.enter("amount", "5.125")
    driver.wait(lambda: driver.window.shown.kind == "preview")
    assert note(driver) == "PREVIEW. There is no image to choose a part of; the preview shows the whole file."
    next(window, None)


def make_frame(**cards: object) -> Frame:
    header = fits.Header(cards)
    from sofia_engine.product import Product

    return Frame.of(ImageFile.of(Product.of(header, {"FLUX": np.zeros((20, 30), np.float32)}), "a.fits"))


def test_that_a_part_of_a_preview_is_counted_in_the_whole_image() -> None:
    part = make_part(make_frame(PREVIEW=True, LTV1=-7.0, LTV2=-9.0), ((1.0, 2.0), (4.0, 5.0)))
    assert part is not None
    assert part.pixels == ((8.0, 11.0), (11.0, 14.0))
    assert part.sky == ()


def test_that_keywords_of_other_programs_do_not_move_a_part() -> None:
    part = make_part(make_frame(LTV1=-7.0, LTV2=-9.0), ((1.0, 2.0), (4.0, 5.0)))
    assert part is not None
    assert part.pixels == ((1.0, 2.0), (4.0, 5.0))


def test_that_the_sky_of_a_part_is_that_of_its_corners() -> None:
    part = make_part(make_frame(**SKY), ((99.0, 89.0), (99.0, 90.0)))
    assert part is not None
    assert part.sky[0] == pytest.approx((83.8, -5.4))
    assert part.sky[1] == pytest.approx((83.8, -5.4 + 2e-4))
    assert make_part(make_frame(**SKY), ()) is None
