"""A robot does whatever can be done in the cube explorer, at random; the explorer must bear it."""

import gc
import logging
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
from astropy.io import fits

from sofia_viewers.cube.cube import Cube
from sofia_viewers.cube.panels import MASKS
from sofia_viewers.cube.session import read_session, write_session
from sofia_viewers.cube.viewer import CubeViewer
from sofia_viewers.image.regions import Region
from sofia_viewers.image.settings import SettingsStore
from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets
from sofia_viewers.theme import apply_theme

from .conftest import REST, make_header, settle
from .varied_cubes import make_varied

SECONDS = float(os.environ.get("SOFIA_DESK_ROBOT_SECONDS", "600"))
SEED = int(os.environ.get("SOFIA_DESK_ROBOT_SEED", "7"))
SHAPES = ("point", "circle", "ellipse", "box", "polygon", "lasso", "annulus", "line")
PATIENCE = 30.0
"""Seconds that the window may not answer; generous, for other programs may want the processors."""
MOST_GROWTH = 400e6
MOST_CUBES, MOST_REGIONS, MOST_CATALOGS = 4, 6, 3
ASKED_FOR = {"Code"}
"""Dialogs that the robot opened by a button: it closes them at once."""
BUTTON = Qt.MouseButton.LeftButton


class Faults:
    """Collects what must not happen: exceptions anywhere, messages of Qt, errors that were logged."""

    def __init__(self) -> None:
        self.found: list[str] = []

    @contextmanager
    def watched(self) -> Iterator[None]:
        faults = self.found

        class Handler(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                faults.append(logging.Formatter().format(record))

        def tell(kind, error, trace) -> None:
            faults.append("".join(__import__("traceback").format_exception(kind, error, trace)))

        def tell_qt(kind, _context, text: str) -> None:
            if kind != QtCore.QtMsgType.QtDebugMsg and "plugin does not support" not in text:
                faults.append(f"Qt: {text}")

        handler, hooks = Handler(logging.WARNING), (sys.excepthook, threading.excepthook)
        logging.getLogger("sofia_viewers").addHandler(handler)
        sys.excepthook = tell
        threading.excepthook = lambda given: tell(given.exc_type, given.exc_value, given.exc_traceback)
        before = QtCore.qInstallMessageHandler(tell_qt)
        try:
            yield
        finally:
            QtCore.qInstallMessageHandler(before)
            sys.excepthook, threading.excepthook = hooks
            logging.getLogger("sofia_viewers").removeHandler(handler)


class Robot:
    """Does what a user can do to an explorer, in an order given by a seed."""

    def __init__(self, qtbot, folder: Path, seed: int) -> None:
        self.qtbot, self.folder = qtbot, folder
        self.random = random.Random(seed)
        self.cubes = make_varied(folder / "cubes")
        self.image, self.catalog = write_image(folder / "image.fits"), write_catalog(folder / "stars.csv")
        self.done: list[str] = []
        self.checked = 0
        self.viewer = self.open_window()

    # -- the window --------------------------------------------------------------------------------------------------

    def open_window(self) -> CubeViewer:
        viewer = CubeViewer(store=SettingsStore(self.folder / "settings", self.folder / "old"))
        viewer.images.commands.by_name["compare"].setVisible(False)  # its menu waits for a choice
        viewer.resize(1200, 850)
        viewer.show()
        viewer.open_files([self.random.choice(self.cubes)])
        return viewer

    def close_window(self) -> None:
        self.viewer.close()
        self.viewer.deleteLater()
        QtWidgets.QApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)

    def restart(self) -> str:
        if self.random.random() < 0.15:
            self.close_window()
            self.viewer = self.open_window()
        return "close the window and open another"

    def resize(self) -> str:
        sizes = [(64, 64), (300, 200), (700, 500), (1200, 850), (1700, 1000)]
        self.viewer.resize(*self.random.choice(sizes))
        return "resize"

    def change_theme(self) -> str:
        apply_theme(QtWidgets.QApplication.instance(), self.random.choice(["dark", "light"]))
        return "theme"

    def toggle_tab(self) -> str:
        for tabs in (self.viewer.tools, self.viewer.lower_views):
            tabs.setCurrentIndex(self.random.randrange(tabs.count()))
        return "choose a tab"

    # -- actions -----------------------------------------------------------------------------------------------------

    def act(self) -> str:
        """Do one thing; return what."""
        acts: list[Callable[[], str]] = [
            *[self.trigger] * 4, *[self.operate] * 10, *[self.draw] * 4, *[self.drag_handle] * 2, *[self.key] * 2,
            *[self.open_cubes] * 2, self.close_cube, *[self.select_range] * 3, self.use_spectra, self.use_spectra,
            self.choose_slice, self.resize, self.change_theme, self.toggle_tab, self.save_all, self.use_session,
            self.link, self.select_frame, self.select_frame, self.map_anew, self.map_anew, self.edit_cube,
            self.hover, self.restart, self.change_region, self.set_rest, self.close_while_busy, self.keep_view,
            self.use_contours,
        ]  # fmt: skip
        return self.random.choice(acts)()

    def trigger(self) -> str:
        viewer = self.viewer
        groups = [viewer.commands.by_name, viewer.images.commands.by_name, viewer.spectra.actions_by_name]
        known = [
            (n, a)
            for group in groups
            for n, a in group.items()
            if a.isEnabled() and n not in ("glue", "pin", "compare")
        ]
        name, action = self.random.choice(known)
        self.done.append(f"({name})")
        action.trigger()
        return f"trigger {name}"

    def operate(self) -> str:
        """Operate any control of the panels."""
        kinds = (
            QtWidgets.QAbstractButton, QtWidgets.QComboBox, QtWidgets.QAbstractSpinBox, QtWidgets.QLineEdit,
            QtWidgets.QAbstractSlider, QtWidgets.QAbstractItemView, QtWidgets.QTabBar,
        )  # fmt: skip
        top = [w for w in QtWidgets.QApplication.topLevelWidgets() if w.isVisible() and not w.isModal()]
        area = self.random.choice([self.viewer.tools.currentWidget(), self.viewer.tools.currentWidget(), self.viewer,
                                   self.viewer.spectra.column, *top])  # fmt: skip
        known = [w for kind in kinds for w in area.findChildren(kind) if w.isVisible() and w.isEnabled()]
        if not known:
            return "no control"
        widget = self.random.choice(known)
        text = getattr(widget, "text", lambda: "")() if isinstance(widget, QtWidgets.QAbstractButton) else ""
        title = f"{type(widget).__name__} {widget.accessibleName() or text}"
        self.done.append(f"({title})")
        self._operate(widget)
        return f"operate {title}"

    def _operate(self, widget: QtWidgets.QWidget) -> None:
        pick = self.random.choice
        if isinstance(widget, QtWidgets.QAbstractButton):
            opens_menu = getattr(widget, "menu", lambda: None)() or widget.objectName() == "qt_toolbar_ext_button"
            if widget is not self.viewer.link_tools.panel.glue and not opens_menu:  # a menu waits for a choice
                widget.click()
        elif isinstance(widget, QtWidgets.QComboBox):
            if widget.count():
                index = self.random.randrange(widget.count())
                widget.setCurrentIndex(index)
                widget.activated.emit(index)
                widget.textActivated.emit(widget.currentText())
        elif isinstance(widget, QtWidgets.QSpinBox):
            widget.setValue(self.random.randint(max(widget.minimum(), -50), min(widget.maximum(), 50)))
        elif isinstance(widget, QtWidgets.QDoubleSpinBox):
            widget.setValue(self.random.uniform(max(widget.minimum(), -20), min(widget.maximum(), 20)))
        elif isinstance(widget, QtWidgets.QLineEdit):
            if not widget.isReadOnly():
                widget.setText(pick(["", "0", "1", "-3.5", "157.74", "157,6", "1e99", "nan", "word", "0.01"]))
                widget.editingFinished.emit()
                widget.returnPressed.emit()
        elif isinstance(widget, QtWidgets.QAbstractSlider):
            widget.setValue(self.random.randint(widget.minimum(), widget.maximum()))
        elif isinstance(widget, QtWidgets.QTabBar):
            widget.setCurrentIndex(self.random.randrange(max(widget.count(), 1)))
        elif isinstance(widget, QtWidgets.QAbstractItemView) and widget.model() and widget.model().rowCount():
            widget.setCurrentIndex(widget.model().index(self.random.randrange(widget.model().rowCount()), 0))

    def view(self):
        views = [view for view in self.viewer.images.area.views.values() if view.isVisible()]
        return self.random.choice(views) if views else None

    def place_on(self, widget) -> QtCore.QPoint:
        size = widget.size()
        return QtCore.QPoint(self.random.randrange(max(size.width(), 1)), self.random.randrange(max(size.height(), 1)))

    def drag(self, widget, places: list[QtCore.QPoint]) -> None:
        with suppress(RuntimeError):  # the view may go meanwhile
            self.qtbot.mousePress(widget, BUTTON, pos=places[0])
            for place in places[1:]:
                self.qtbot.mouseMove(widget, place)
            self.qtbot.mouseRelease(widget, BUTTON, pos=places[-1])

    def draw(self) -> str:
        shape, view = self.random.choice(SHAPES), self.view()
        if view is None:
            return "draw nothing"
        self.viewer.draw_region(shape)
        self.drag(view, [self.place_on(view) for _ in range(self.random.choice([2, 3, 8]))])
        return f"draw {shape}"

    def drag_handle(self) -> str:
        view = self.view()
        if view is None or not view.shown_regions:
            return "drag nothing"
        self.viewer.images.commands.set_tool("pan")
        name, region = self.random.choice(list(view.shown_regions.items()))
        self.viewer.images.regions.select(name)
        spots = [*region.handles(), region.center, *(tuple(p) for p in region.points)]
        spot = QtCore.QPointF(*view.pixel_to_screen.map(*self.random.choice(spots))).toPoint()
        self.drag(view, [spot, *(self.place_on(view) for _ in range(4))])
        if self.random.random() < 0.2:
            with suppress(RuntimeError):
                self.qtbot.mouseDClick(view, BUTTON, pos=spot)
        return f"drag a {region.shape}"

    def change_region(self) -> str:
        regions = self.viewer.images.regions
        known = list(regions.named())
        if not known:
            return "no region"
        do = self.random.choice(["remove", "clear", "rotate", "rename", "far", "select"])
        name = self.random.choice(known)
        region = regions.named()[name]
        if do == "remove" or len(known) > MOST_REGIONS:
            regions.remove(name)
        elif do == "clear":
            regions.clear()
        elif do == "select":
            regions.select(name)
        elif do == "rename":
            regions.select(name)
            regions.change_selected(name=self.random.choice(["core", "wavelengths", "a:b", "", "Kern {ä}"]))
        else:
            import dataclasses

            change = {"angle": self.random.uniform(0, 360)} if do == "rotate" else {"points": tuple(
                (x + 1e4, y) for x, y in region.points)}  # fmt: skip
            regions.edit(name, dataclasses.replace(region, **change), regions._items[name].home)
        return f"{do} a region"

    def key(self) -> str:
        view = self.view()
        if view is None:
            return "no key"
        text = self.random.choice([",", ".", " ", "C", "D", "u", "R", "b", "t", "e", "x", "n", "L", "s", "c", "1", "f",
                                   "+", "-", "a", "r", "k", "p", "m", "\t", "\x7f", "\x1b", "u"])  # fmt: skip
        special = {"\t": Qt.Key.Key_Tab, "\x7f": Qt.Key.Key_Delete, "\x1b": Qt.Key.Key_Escape}
        self.hover()
        with suppress(RuntimeError):
            if text in special:
                self.qtbot.keyClick(view, special[text])
            else:
                self.qtbot.keyClicks(view, text)
        return f"key {text!r}"

    def hover(self) -> str:
        view = self.view()
        if view is not None:
            with suppress(RuntimeError):  # the view may go meanwhile
                for place in [self.place_on(view) for _ in range(5)]:
                    self.qtbot.mouseMove(view, place)
        return "hover"

    def open_cubes(self) -> str:
        add = self.random.random() < 0.5 and len(self.viewer.cubes) < MOST_CUBES
        paths = self.random.sample(self.cubes, self.random.choice([1, 1, 2]))
        if self.random.random() < 0.1:
            paths.append(self.random.choice([self.catalog, self.image, self.folder / "absent.fits"]))
        self.viewer.open_files(paths, add=add)
        return f"open {[path.name for path in paths]} add={add}"

    def close_cube(self) -> str:
        if self.viewer.cubes and (len(self.viewer.cubes) > 1 or self.random.random() < 0.2):
            self.viewer.close_cube(self.random.choice(list(self.viewer.cubes)))
        return "close a cube"

    def close_while_busy(self) -> str:
        maps = self.viewer.map_tools
        self.random.choice([maps.compute_moments, maps.fit_all, self.viewer.edit_tools.subtract_continuum])()
        self.random.choice([lambda: self.viewer.close_cube(self.viewer.cube_key), self.viewer.jobs.cancel.click])()
        return "close or stop while a map is computed"

    def select_range(self) -> str:
        cube = self.viewer.cube
        if cube is None or self.viewer.spectra.area.current.content.x_unit == "":
            return "no range"
        low, high = sorted(self.random.choices([float(wave) for wave in cube.wave], k=2))
        if self.random.random() < 0.6:
            self.viewer.map_tools.select_range(low, high)
        else:
            self.viewer.spectra.overlays.add_window((low, high))
        return "select a range"

    def use_spectra(self) -> str:
        view = self.viewer.spectra.area.current
        canvas = view.viewport() if hasattr(view, "viewport") else view
        mode = self.random.choice(["region", "continuum", "fit", "zoom x", "zoom y", "zoom box", "pan"])
        self.viewer.spectra.set_mode(mode)
        self.drag(canvas, [self.place_on(canvas) for _ in range(3)])
        self.qtbot.mouseClick(canvas, BUTTON, pos=self.place_on(canvas))
        self.viewer.spectra.press(self.random.choice(["x", "w", "c", "z", "f"]))
        return f"spectra: {mode}"

    def choose_slice(self) -> str:
        self.viewer.choose_slice(self.random.randrange(-3, 400))
        self.viewer.choose_wave(self.random.choice([REST, 0.0, 1e9]))
        return "choose a slice"

    def set_rest(self) -> str:
        tools = self.viewer.spectra_tools
        tools.set_rest(self.random.choice([REST, 0.0, 1e-9, 12.0]), self.random.choice([0.0, 0.01, -0.5]))
        tools.panel.velocity.setChecked(self.random.random() < 0.5)
        self.viewer.spectra.session.change_pane(convention=self.random.choice(["optical", "radio", "relativistic"]))
        return "rest wavelength"

    def select_frame(self) -> str:
        entries = self.viewer.images.frames.entries
        if entries:
            self.viewer.images.select(self.random.choice(entries).key)
            if self.random.random() < 0.1:
                self.viewer.images.close_frame(self.random.choice(entries).key)
            elif self.random.random() < 0.1 and len(entries) > 1:
                modes = ["blink", "swipe", "difference", "ratio", "side"]
                self.viewer.images.compare(entries[0].key, entries[-1].key, self.random.choice(modes))
        return "select or close a frame"

    def map_anew(self) -> str:
        tools, pick = self.viewer.map_tools, self.random.choice
        tools.panel.mask_choice.setCurrentText(pick([MASKS[0], *MASKS]))
        tools.panel.level.setText(pick(["", "0.3", "x"]))
        name = pick(["moments", "channels", "fit", "cells", "adopt", "clear", "cut"])
        if name == "channels":
            tools.show_channels(pick([2, 5]))
        elif name == "cut":
            self.viewer.cut_tools.cut(show=True)
        else:
            {"moments": tools.compute_moments, "fit": tools.fit_all, "cells": lambda: tools.fit_cells(4.0),
             "adopt": tools.adopt_fit, "clear": tools.clear}[name]()  # fmt: skip
        return f"map: {name}"

    def edit_cube(self) -> str:
        edit, pick = self.viewer.edit_tools, self.random.choice
        if len(self.viewer.cubes) >= MOST_CUBES:
            return "enough cubes"
        name = pick(["crop", "mask", "subtract", "combine", "telluric", "psf"])
        {"crop": edit.crop, "mask": edit.mask, "subtract": edit.subtract_continuum, "psf": edit.measure_source,
         "combine": lambda: edit.combine(pick("+-*/"), pick([*self.viewer.cubes, ""])),
         "telluric": lambda: edit.correct(pick(["reference", "median", "none", "water"]))}[name]()  # fmt: skip
        return f"edit: {name}"

    def link(self) -> str:
        tools, do = self.viewer.link_tools, self.random.choice(["image", "catalog", "rows", "remove"])
        if do == "image" and len(tools._image_keys()) < MOST_CATALOGS:
            tools.add_image(self.image)
        elif do == "catalog" and len(tools.catalogs) < MOST_CATALOGS:
            tools.add_catalog(self.catalog)
        elif do == "rows" and tools.catalogs:
            tools.select_rows(self.random.choice(list(tools.catalogs)), self.random.choice([[], [0], [1, 2]]))
        elif do == "remove":
            tools.remove(self.random.choice([*tools.catalogs, *tools._image_keys(), "nothing"]))
        return f"link: {do}"

    def use_contours(self) -> str:
        entries = self.viewer.images.frames.entries
        if entries:
            on = self.random.random() < 0.6
            self.viewer.images.overlays.change(contours=on, contour_source=self.random.choice(entries).key)
            self.viewer.images.apply_overlays()
        return "contours"

    def save_all(self) -> str:
        viewer, folder = self.viewer, self.folder
        self.random.choice([
            lambda: viewer.map_tools.save(folder / self.random.choice(["m.fits", "m.ecsv", "m.csv", "m.vot"])),
            lambda: viewer.map_tools.save_contours(folder / self.random.choice(["c.json", "c.con"])),
            lambda: viewer.cut_tools.save(folder / self.random.choice(["cut.fits", "cut.ecsv", "cut.png", "cut.pdf"])),
            lambda: viewer.edit_tools.save(folder / "cube.fits"),
            lambda: viewer.edit_tools.save(folder / "absent" / "cube.fits"),
            lambda: viewer.attempt(lambda: viewer.export(folder / self.random.choice(["f.png", "f.svg", "f.pdf"]))),
            lambda: viewer.spectra.save_numbers(folder / "numbers.ecsv"),
        ])()  # fmt: skip
        return "save"

    def use_session(self) -> str:
        viewer, path = self.viewer, self.folder / "session.json"
        if self.random.random() < 0.5 or not path.exists():
            viewer.attempt(lambda: write_session(viewer, path))
        else:
            viewer.attempt(lambda: read_session(viewer, path))
        return "session"

    def keep_view(self) -> str:
        viewer = self.viewer
        viewer.restore_view(viewer.view_state())
        viewer.images.restore_view(viewer.images.view_state())
        viewer.show_side_panel(self.random.random() < 0.5)
        return "keep the view"

    # -- what must hold ----------------------------------------------------------------------------------------------

    def find_trouble(self, seconds: float) -> list[str]:
        """Return what is wrong after an action that the window took so long for."""
        trouble = []
        if seconds > PATIENCE:
            trouble.append(f"the window did not answer for {seconds:.1f} s")
        modal = QtWidgets.QApplication.activeModalWidget()
        if modal is not None:
            trouble += [] if modal.windowTitle() in ASKED_FOR else [f"a dialog waits: {modal.windowTitle()}"]
            modal.close()
        popup = QtWidgets.QApplication.activePopupWidget()
        while popup is not None:
            popup.close()
            popup = QtWidgets.QApplication.activePopupWidget()
        for window in QtWidgets.QApplication.topLevelWidgets():
            if window.isVisible() and window is not self.viewer and self.random.random() < 0.1:
                window.close()
        return trouble

    def limit(self) -> None:
        """Close what a user would not keep open."""
        viewer = self.viewer
        for key in list(viewer.cubes)[MOST_CUBES:]:
            viewer.close_cube(key)
        while len(viewer.images.regions.named()) > MOST_REGIONS:
            viewer.images.regions.remove(next(iter(viewer.images.regions.named())))
        session = viewer.spectra.session
        while len(session.panes) > 2:
            session.remove_pane()

    def check_spectra(self) -> list[str]:
        """Compare the spectra of regions that are shown with sums over plainly read files."""
        viewer, wrong = self.viewer, []
        settle(self.qtbot, viewer)
        live = viewer.live
        for key, cube in viewer.cubes.items():
            values = read_plainly(cube)
            for name, region in viewer.images.regions.on_frame(key).items():
                file = viewer.spectra.session.files.get(f"aperture:{name}:{key}")
                if file is None or region.shape not in ("circle", "ellipse", "box", "annulus"):
                    continue
                expected = combine(values, region, live.statistic)
                if expected is None:
                    continue
                self.checked += 1
                shown = file.spectra[0]["spectral_flux"]
                scale = np.nanmax(np.abs(expected), initial=0.0)
                if not np.allclose(shown, expected, rtol=1e-5, atol=1e-6 * scale, equal_nan=True):
                    wrong.append(f"{live.statistic} over {region} of {cube.name} is wrong: {shown[:3]} {expected[:3]}")
        return wrong


def read_plainly(cube: Cube) -> np.ndarray:
    """Read the numbers of a cube without our reader, as far as they are in a file."""
    if cube.path is None:
        return np.asarray(cube.samples()[:], dtype=float)
    with fits.open(cube.path) as hdus:
        data = next(hdu.data for hdu in hdus if hdu.is_image and hdu.data is not None and hdu.data.ndim >= 3)
        return np.asarray(data, dtype=float).reshape(cube.shape)


def combine(values: np.ndarray, region: Region, statistic: str) -> np.ndarray | None:
    """Combine the pixels whose centres lie in a region, by plain formulas; None if it is a matter of rounding."""
    y, x = np.mgrid[: values.shape[1], : values.shape[2]]
    dx, dy = x - region.points[0][0], y - region.points[0][1]
    turn = np.radians(region.angle)
    u, v = dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)
    if region.shape == "box":
        measure = np.maximum(np.abs(u) / (region.sizes[0] / 2), np.abs(v) / (region.sizes[1] / 2))
    elif region.shape == "ellipse":
        measure = np.hypot(u / region.sizes[0], v / region.sizes[1])
    else:
        measure = np.hypot(u, v) / region.sizes[-1]
    inside = measure <= 1
    near = np.abs(measure - 1) < 1e-9
    if region.shape == "annulus":
        inner = np.hypot(u, v) / region.sizes[0]
        near |= np.abs(inner - 1) < 1e-9
        inside &= inner > 1
    if near.any() or not inside.any():
        return None
    pixels = values[:, inside]
    pixels = np.where(np.isfinite(pixels), pixels, np.nan)
    known = np.isfinite(pixels).any(axis=1)
    result = np.full(len(pixels), np.nan)
    function = {"sum": np.nansum, "mean": np.nanmean, "median": np.nanmedian}[statistic]
    result[known] = function(pixels[known], axis=1)
    return result


def write_image(path: Path) -> Path:
    """Write an image of another instrument on the same sky."""
    header = make_header((60, 70), pixel=2.0, rotation=140.0)
    for key in [key for key in header if key.endswith("3")]:
        del header[key]
    fits.PrimaryHDU(np.random.default_rng(1).random((60, 70)).astype("f4"), header).writeto(path)
    return path


def write_catalog(path: Path) -> Path:
    """Write a table of positions."""
    path.write_text("name,ra,dec\na,83.8,-5.4\nb,83.81,-5.41\nc,83.79,-5.395\n")
    return path


def answer_dialogs(robot_random: random.Random, monkeypatch, folder: Path, cubes: list[Path]) -> None:
    """Let dialogs of the system answer at once, as a user would, some of the time with nothing."""

    def choose(options):
        return lambda *_args, **_more: (robot_random.choice([*options, ""]), "")

    def choose_some(*_args, **_more):
        return robot_random.choice([[], [str(robot_random.choice(cubes))]]), ""

    opened = [str(folder / "session.json"), str(folder / "stars.csv"), str(folder / "image.fits"), str(cubes[0])]
    kept = [
        str(folder / f"saved.{suffix}") for suffix in ("fits", "png", "ecsv", "csv", "json", "reg", "pdf", "con", "x")
    ]
    dialog = QtWidgets.QFileDialog
    monkeypatch.setattr(dialog, "getOpenFileName", choose(opened))
    monkeypatch.setattr(dialog, "getSaveFileName", choose(kept))
    monkeypatch.setattr(dialog, "getOpenFileNames", choose_some)
    monkeypatch.setattr(dialog, "getExistingDirectory", lambda *_args: robot_random.choice(["", str(folder)]))
    monkeypatch.setattr(QtWidgets.QColorDialog, "getColor", lambda *_args: QtGui.QColor("red"))
    monkeypatch.setattr(QtWidgets.QMessageBox, "warning", lambda *_args: None)


def own_threads() -> set[threading.Thread]:
    """Return the threads that Python began; those of Qt's pools are awaited when a viewer is closed."""
    return {thread for thread in threading.enumerate() if not isinstance(thread, threading._DummyThread)}


def memory() -> float:
    gc.collect()
    return float(psutil.Process().memory_info().rss)


def run_robot(qtbot, folder: Path, monkeypatch, *, seed: int, seconds: float) -> tuple[Robot, float]:
    """Let the robot work; return it, and by how many bytes memory grew after the first third."""
    faults = Faults()
    with faults.watched():
        robot = Robot(qtbot, folder, seed)
        answer_dialogs(robot.random, monkeypatch, folder, robot.cubes)
        begin, before = time.monotonic(), 0.0
        try:
            while time.monotonic() < begin + seconds:
                started = time.monotonic()
                robot.done.append(robot.act())
                qtbot.wait(robot.random.choice([1, 1, 5, 20]))
                faults.found += robot.find_trouble(time.monotonic() - started)
                robot.limit()
                if robot.random.random() < 0.03:
                    faults.found += robot.check_spectra()
                assert not faults.found, "\n".join([*faults.found[:3], "after:", *robot.done[-25:]])
                if not before and time.monotonic() > begin + seconds / 3:
                    before = memory()
            growth = memory() - before
            robot.viewer.jobs.stop()
            faults.found += robot.check_spectra()
        finally:
            robot.close_window()
            for window in QtWidgets.QApplication.topLevelWidgets():
                window.close()
        assert not faults.found, "\n".join([*faults.found[:3], "after:", *robot.done[-25:]])
    return robot, growth


def test_that_a_short_robot_run_leaves_the_explorer_whole(qtbot, tmp_path, monkeypatch):
    threads = own_threads()
    robot, growth = run_robot(qtbot, tmp_path, monkeypatch, seed=3, seconds=3.0)
    assert len(robot.done) > 10
    assert growth < MOST_GROWTH
    assert own_threads() <= threads


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_that_a_long_robot_run_leaves_the_explorer_whole(qtbot, tmp_path, monkeypatch):
    threads = own_threads()
    robot, growth = run_robot(qtbot, tmp_path, monkeypatch, seed=SEED, seconds=SECONDS)
    count = len(robot.done)
    sys.stdout.write(f"seed {SEED}: {count} acts, {robot.checked} spectra checked, {growth / 1e6:.0f} MB more\n")
    assert growth < MOST_GROWTH
    assert own_threads() <= threads
