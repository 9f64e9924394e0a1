"""A robot does whatever can be done in the spectrum viewer, at random; the viewer must bear it and tell the truth."""

import json
import os
import random
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from PySide6 import QtTest

from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets
from sofia_viewers.spectrum.fit_table import make_rows
from sofia_viewers.spectrum.viewer import SpectrumViewer
from sofia_viewers.theme import apply_theme

_LONGEST_ACTION = 20.0
"""Seconds an action may take, whatever else the computer does."""
_MOST_FILES, _MOST_PANES, _MOST_FITS = 12, 6, 12
_TEXTS = (
    "", "0", "1", "-1", "5.5", "6,5", "7.1e0", "1e300", "-1e300", "1e-300", "1e400", "nan", "inf", "-inf", "abc",
    "1 2", "1e", "٣", "𝟝", "0x10", "1_000", "💥", " 6 ", "%s%n", "'", "</b>",
)  # fmt: skip
_LISTS = ("", "*", "-", "1", "1,2", "1-3", "3-1", "0", "99999999999999999999", "a", "1,,2", "1-", "²")
_FORMULAS = (
    "spectral_flux", "spectral_flux / transmission", "-spectral_flux", "sqrt(spectral_flux)", "log10(-spectral_flux)",
    "spectral_flux ** 0.5", "(-8) ** 0.5", "9 ** 9 ** 9 ** 9", "1 / 0", "nan", "1", "wavepos + slitpos",
    "median(spectral_flux, 3)", "maximum(spectral_flux, spectral_flux, wavepos)", "abs(1, spectral_flux)", "max()",
    "spectral_flux if 1 else 0", "__import__('os')", "((((((1))))))", "-" * 390 + "1", "(" * 180 + "1" + ")" * 180,
    "spectral_flux.T", "nothing", "mean(spectral_flux) * wavepos", "", "spectral_flux ** spectral_flux", "'a'",
    "spectral_flux + 1e999", "exp(spectral_flux * 1e9)", "spectral_error ** 1e9", "minimum(wavepos, 'a')",
)  # fmt: skip
_TIES = ("", "1", "2", "2*1", "1+0.05", "3", "0", "a", "1*", "1e400*1", "..*1", "1+..", "=1")
_CELLS = ("0", "1", "5.5", "-3", "nan", "inf", "1e300", "x", "", "1e-300")
_EXCEPTION = re.compile(r"\b[A-Z]\w*(Error|Warning|Exception)\b")
_HARMLESS = ("This plugin does not support", "Populating font family aliases")


# -- files of all kinds ----------------------------------------------------------------------------------------------


def write_files(folder: Path) -> list[Path]:
    """Write spectra of many kinds, also such as no one should have."""
    wave = np.linspace(5.0, 8.0, 240)
    flux = 2.0 + 3.0 * np.exp(-0.5 * ((wave - 6.5) / 0.05) ** 2) + np.random.default_rng(1).normal(0, 0.05, 240)
    rows = np.stack([wave, flux, np.full(240, 0.05), np.full(240, 0.8)])
    header = fits.Header({"INSTRUME": "FORCAST", "XUNITS": "um", "YUNITS": "Jy", "ALTI_STA": 41000.0, "ZA_START": 40.0})
    made = {name: folder / name for name in ("rows.fits", "orders.fits", "cube.fits", "table.ecsv", "linear.fits")}
    fits.PrimaryHDU(rows, header).writeto(made["rows.fits"])
    orders = np.stack([[wave + n, flux * (n + 1), np.full(240, 0.05), np.full(240, 0.9)] for n in range(5)])
    exes = fits.Header({"INSTRUME": "EXES", "XUNITS": "cm-1", "YUNITS": "erg s-1 cm-2 sr-1 (cm-1)-1"})
    fits.PrimaryHDU(orders * [[[100.0], [1], [1], [1]]], exes).writeto(made["orders.fits"])
    axes = {"CRVAL3": 6.0, "CDELT3": 0.01, "CRPIX3": 1.0, "CUNIT3": "um", "BUNIT": "Jy/pixel", "CTYPE1": "RA---TAN",
            "CTYPE2": "DEC--TAN", "CDELT1": -2e-4, "CDELT2": 2e-4}  # fmt: skip
    cube = np.random.default_rng(2).normal(1.0, 0.1, (40, 6, 6))
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(cube, fits.Header(axes), name="FLUX")]).writeto(made["cube.fits"])
    Table({"order": [1] * 120 + [2] * 120, "wave": wave, "flux": flux, "error": np.abs(flux) / 20}).write(
        made["table.ecsv"], format="ascii.ecsv"
    )
    velocity = {"CRVAL1": -300.0, "CDELT1": 2.5, "CRPIX1": 1.0, "CUNIT1": "km/s", "BUNIT": "K"}
    fits.PrimaryHDU(flux, fits.Header(velocity)).writeto(made["linear.fits"])
    return [*made.values(), *_write_odd_files(folder, wave, flux)]


def _write_odd_files(folder: Path, wave: Any, flux: Any) -> list[Path]:
    def text(*columns: Any) -> str:
        return "\n".join(" ".join(f"{value:.9g}" for value in row) for row in zip(*columns, strict=True))

    contents = {
        "down.txt": text(wave[::-1], flux[::-1], flux[::-1] / 10),
        "twice.txt": text(np.repeat(wave[::2], 2), flux),
        "same.txt": text(np.full(9, 6.0), flux[:9]),
        "point.txt": "6.5 1.0 0.1",
        "empty.txt": "",
        "words.txt": "this is\nno table\n",
        "missing.txt": text(wave, np.full(240, np.nan), np.full(240, np.nan)),
        "endless.txt": text(wave, np.where(wave > 6.5, 1e308, -1e308), np.full(240, 1e308)),
        "tiny.txt": text(wave, flux * 1e-300, flux * 1e-301),
        "negative.txt": text(wave - 7.0, -flux, -flux / 10),
        "gaps.txt": text(np.where(wave % 1 > 0.5, np.nan, wave), flux, np.where(wave % 1 > 0.8, np.nan, 0.1)),
        "unit.csv": "wave [furlong],flux [bananas]\n" + text(wave, flux).replace(" ", ","),
        "latin.csv": "Wellenl\xe4nge,Flu\xdf\n" + text(wave, flux).replace(" ", ","),
        "flat.txt": text(wave, np.ones(240), np.zeros(240)),
        "fräulein " + "x" * 60 + ".txt": text(wave, flux),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content.encode("latin-1"))
    (folder / "broken.fits").write_bytes(b"SIMPLE  =                    T" + bytes(500))
    return [*(folder / name for name in contents), folder / "broken.fits", folder / "gone.fits", folder]


def write_atmosphere(folder: Path) -> Path:
    """Write a model of the atmosphere from 5 to 9 μm."""
    wave = np.linspace(5.0, 9.0, 4000)
    path = folder / "atran_41000.fits"
    fits.PrimaryHDU(np.stack([wave, 0.5 + 0.4 * np.sin(40 * wave)])).writeto(path)
    return path


def write_lines(folder: Path) -> list[Path]:
    """Write a list of lines and something that is none."""
    (folder / "lines.txt").write_text("6.5 mine\n6.6 another\n7.9\n")
    (folder / "none.txt").write_text("nothing here")
    return [folder / "lines.txt", folder / "none.txt"]


# -- the watch -------------------------------------------------------------------------------------------------------


class Watch:
    """Takes down what goes wrong anywhere in the process."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def __enter__(self) -> "Watch":
        self._hooks = sys.excepthook, threading.excepthook
        sys.excepthook = lambda *found: self.problems.append("".join(traceback.format_exception(*found)))
        threading.excepthook = lambda found: self.problems.append(repr(found))
        self._handler = QtCore.qInstallMessageHandler(self._take_message)
        return self

    def _take_message(self, kind: Any, _: Any, text: str) -> None:
        if kind != QtCore.QtMsgType.QtDebugMsg and not any(part in text for part in _HARMLESS):
            self.problems.append(f"Qt: {text}")

    def __exit__(self, *_: object) -> None:
        sys.excepthook, threading.excepthook = self._hooks
        QtCore.qInstallMessageHandler(self._handler)


# -- the robot -------------------------------------------------------------------------------------------------------


class Robot:
    """Does things to a viewer, in an order given by a seed."""

    def __init__(self, viewer: SpectrumViewer, files: list[Path], seed: int, folder: Path, watch: Watch) -> None:
        self.viewer, self.files, self.folder, self.watch = viewer, files, folder, watch
        self.random = random.Random(seed)
        self.atmosphere, self.lists = write_atmosphere(folder), write_lines(folder)
        self.done: list[str] = []
        self.saved: list[Path] = []
        self.acts: list[Callable[[], object]] = [
            *[self.open_files] * 3, self.remove_files, *[self.trigger] * 3, *[self.choose] * 6, *[self.type_limit] * 5,
            *[self.tick] * 3, *[self.press_button] * 4, self.spin, *[self.press_key] * 4, *[self.use_mouse] * 8,
            self.turn_wheel, self.define_formula, self.type_list, self.select_files, self.tick_file, self.select_pane,
            *[self.fit] * 3, *[self.edit_fit] * 2, self.use_fit_table, *[self.use_lines] * 3, self.use_sky,
            self.resize, self.change_theme, self.compute, *[self.save] * 2, self.open_session, self.use_links,
            self.drop_files, self.switch_windows,
        ]  # fmt: skip

    def act(self) -> None:
        """Do one thing, and note it."""
        act = self.random.choice(self.acts)
        self.done.append(act.__name__)
        found = act()
        self.done[-1] += f" {found}" if found is not None else ""

    def pick(self, things: Any) -> Any:
        """Pick one of some things; None if there is none."""
        given = list(things)
        return self.random.choice(given) if given else None

    # files

    def open_files(self) -> object:
        room = _MOST_FILES - len(self.viewer.session.files)
        chosen = self.random.sample(self.files, min(self.random.choice([1, 1, 2, 3]), max(room, 0)))
        self.viewer.open_files(chosen, panes=self.random.choice([1, 1, 1, 2, 3]))
        return [path.name for path in chosen]

    def drop_files(self) -> object:
        path = self.pick(self.files)
        data = QtCore.QMimeData()
        data.setUrls([QtCore.QUrl.fromLocalFile(str(path))])
        spot = QtCore.QPointF(self.random.randrange(2000), self.random.randrange(1000))
        buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        self.viewer.dropEvent(QtGui.QDropEvent(spot, Qt.DropAction.CopyAction, data, buttons, keys))
        return path.name

    def select_files(self) -> None:
        tree = self.pick([self.viewer.load_panel.list, self.viewer.panes_panel.list])
        tree.clearSelection()
        for number in range(tree.topLevelItemCount()):
            tree.topLevelItem(number).setSelected(self.random.random() < 0.4)

    def remove_files(self) -> None:
        if len(self.viewer.session.files) > 3 or self.random.random() < 0.2:
            self.select_files()
            self.pick([self.viewer.load_panel.remove_button, self.viewer.panes_panel.remove_file]).click()

    def tick_file(self) -> None:
        tree = self.viewer.panes_panel.list
        if tree.topLevelItemCount():
            item = tree.topLevelItem(self.random.randrange(tree.topLevelItemCount()))
            item.setCheckState(0, self.pick([Qt.CheckState.Checked, Qt.CheckState.Unchecked]))

    def select_pane(self) -> None:
        box = self.viewer.panes_panel.pane
        box.setCurrentIndex(self.random.randrange(box.count()))

    # controls

    def _all(self, kind: type) -> list[Any]:
        return [box for box in self.viewer.column.findChildren(kind) if box.isEnabled()]

    def choose(self) -> object:
        combo = self.pick(box for box in self._all(QtWidgets.QComboBox) if box.count())
        combo.setCurrentIndex(self.random.randrange(combo.count()))
        combo.activated.emit(combo.currentIndex())
        return combo.toolTip(), combo.currentText()

    def type_limit(self) -> object:
        from sofia_viewers.spectrum.sections import LimitEdit

        edit, text = self.pick(self._all(LimitEdit)), self.pick(_TEXTS)
        self._type(edit, text)
        return edit.toolTip(), text

    @staticmethod
    def _type(edit: QtWidgets.QLineEdit, text: str) -> None:
        edit.setText(text)
        edit.setModified(True)
        edit.returnPressed.emit()
        edit.editingFinished.emit()

    def type_list(self) -> None:
        panel = self.viewer.panes_panel
        edit = self.pick([panel.enabled, panel.hidden])
        if edit.isEnabled():
            self._type(edit, self.pick(_LISTS))

    def define_formula(self) -> object:
        panel = self.viewer.axis_panel
        panel.formula_name.setText(self.pick(["", "f", "g", "wavepos", "s/n", "error", "order", "a b"]))
        panel.formula.setText(self.pick(_FORMULAS))
        panel.formula.returnPressed.emit()
        return panel.formula_name.text(), panel.formula.text()[:40]

    def tick(self) -> object:
        box = self.pick([*self._all(QtWidgets.QCheckBox), self.viewer.overlays.cursor.enabled])
        box.click()
        return box.text()

    def press_button(self) -> object:
        panel = self.viewer.panes_panel
        if len(self.viewer.session.panes) >= _MOST_PANES:
            panel.remove_button.click()
            return "remove a pane"
        if len(self.viewer.session.files) >= _MOST_FILES:
            return self.remove_files()
        button = self.pick(self._all(QtWidgets.QPushButton) + self._all(QtWidgets.QToolButton))
        button.click()
        return button.text()

    def spin(self) -> object:
        box = self.pick([*self._all(QtWidgets.QSpinBox), *self._all(QtWidgets.QDoubleSpinBox)])
        if self.random.random() < 0.3:
            box.lineEdit().setText(self.pick(_TEXTS))
            box.interpretText()
        else:
            box.setValue(self.pick([0, 1, 2, 3, 4, 7, 50, 999]))
        return box.accessibleName(), box.value()

    def compute(self) -> object:
        panel = self.viewer.operations_panel
        if len(self.viewer.session.files) >= _MOST_FILES:
            return None
        button = self.pick([panel.smooth, panel.rebin, panel.compute, panel.subtract, panel.normalize, panel.clear])
        button.click()
        return button.text()

    # actions

    def trigger(self) -> object:
        name = self.pick(self.viewer.actions_by_name)
        self.viewer.actions_by_name[name].trigger()
        return name

    def press_key(self) -> object:
        key = self.pick("xyzwfcqZ1")
        if self.random.random() < 0.3:
            name = self.pick(["Return", "Escape", "Delete", "Backspace", "Left", "Tab", "F1"])
            QtTest.QTest.keyClick(self.viewer.area, getattr(Qt.Key, f"Key_{name}"))
            return name
        QtTest.QTest.keyClick(self.viewer.area, key)
        return key

    def answer(self, kinds: str) -> str:
        """Answer a dialog that asks for a file."""
        if "Session" in kinds:
            path = self.folder / self.pick(["s.json", "t.json", "no/folder.json"])
        elif "PNG" in kinds:
            path = self.folder / self.pick(["p.png", "p.pdf", "p.svg", "p.gif", "p", "no/p.png"])
        else:
            path = self.folder / self.pick(["o.fits", "o.ecsv", "o.csv", "o.vot", "o.xyz", "no/o.fits"])
        return str(path) if self.random.random() < 0.9 else ""

    def answer_open(self, kinds: str) -> str:
        """Answer a dialog that asks for a file to open."""
        if "Session" in kinds:
            return str(self.folder / self.pick(["s.json", "t.json", "none.txt", "gone.json"]))
        if "Text" in kinds:
            return str(self.pick(self.lists))
        return str(self.pick(self.files) if "Spectra" in kinds else self.pick([self.atmosphere, *self.files]))

    def save(self) -> object:
        name = self.pick(["save", "export", "numbers", "save_session", "copy", "code"])
        self.viewer.actions_by_name[name].trigger()
        return name

    def open_session(self) -> None:
        self.viewer.actions_by_name["open_session"].trigger()

    # mouse

    def _view(self) -> Any:
        return self.pick(self.viewer.area.views.values())

    def use_mouse(self) -> object:
        view = self._view()
        port = view.plot.viewport()
        sides = port.width() + 5, port.height() + 5
        spots = [QtCore.QPoint(*(self.random.randrange(-5, side) for side in sides)) for _ in range(4)]
        button = self.pick([Qt.MouseButton.LeftButton] * 5 + [Qt.MouseButton.RightButton, Qt.MouseButton.MiddleButton])
        if self.random.random() < 0.4:
            QtTest.QTest.mouseClick(port, button, Qt.KeyboardModifier.NoModifier, spots[0])
            return "click", view.name, view.box.mode
        QtTest.QTest.mouseMove(port, spots[0])
        QtTest.QTest.mousePress(port, button, Qt.KeyboardModifier.NoModifier, spots[0])
        for spot in spots[1:]:
            event = QtGui.QMouseEvent(
                QtCore.QEvent.Type.MouseMove, QtCore.QPointF(spot), QtCore.QPointF(port.mapToGlobal(spot)),
                Qt.MouseButton.NoButton, button, Qt.KeyboardModifier.NoModifier,
            )  # fmt: skip
            QtWidgets.QApplication.sendEvent(port, event)
        QtTest.QTest.mouseRelease(port, button, Qt.KeyboardModifier.NoModifier, spots[-1])
        return "drag", view.name, view.box.mode

    def turn_wheel(self) -> object:
        port = self._view().plot.viewport()
        spot = QtCore.QPointF(self.random.randrange(port.width()), self.random.randrange(port.height()))
        keys = self.pick([Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier,
                          Qt.KeyboardModifier.ControlModifier])  # fmt: skip
        turn, times = QtCore.QPoint(0, self.pick([120, -120, 1200, -1200, 12000, -12000])), self.pick([1, 3, 20])
        for _ in range(times):
            event = QtGui.QWheelEvent(
                spot, QtCore.QPointF(port.mapToGlobal(spot.toPoint())), QtCore.QPoint(), turn,
                Qt.MouseButton.NoButton, keys, Qt.ScrollPhase.NoScrollPhase, False,
            )  # fmt: skip
            QtWidgets.QApplication.sendEvent(port, event)
        return turn.y(), times

    # analysis

    def fit(self) -> object:
        viewer = self.viewer
        if len(viewer.annotations.fits) >= _MOST_FITS:
            viewer.fit_window.clear_button.click()
        view = viewer.area.current
        (low, high), (bottom, top) = view.box.viewRange()
        mode = self.pick(["fit", "fit", "region", "continuum", "zoom x", "zoom y", "zoom box"])
        viewer.set_mode(mode)
        spots = [(low + self.random.random() * (high - low), bottom + self.random.random() * (top - bottom))
                 for _ in range(2)]  # fmt: skip
        for spot in spots:
            view.box.click(QtCore.QPointF(*spot))
        return mode, spots

    def edit_fit(self) -> object:
        window = self.viewer.fit_window
        if window.parameters.rowCount() and self.random.random() < 0.7:
            row, column = self.random.randrange(window.parameters.rowCount()), self.pick([1, 1, 3, 4])
            item = window.parameters.item(row, column)
            if column == 3 and item.data(Qt.ItemDataRole.CheckStateRole) is not None:
                item.setCheckState(self.pick([Qt.CheckState.Checked, Qt.CheckState.Unchecked]))
            elif item.flags() & Qt.ItemFlag.ItemIsEditable:
                item.setText(self.pick(_CELLS if column == 1 else _TIES))
        if window.refit_button.isEnabled() and self.random.random() < 0.5:
            window.refit_button.click()
        handles = [h for name in self.viewer.area.views for h in self.viewer.overlays.layers(name).fits.handles]
        handle = self.pick(handles)
        if handle is not None and self.random.random() < 0.5:
            spot = handle.pos()
            handle.setPos(spot.x() * self.pick([1.0, 1.001, 0.9, 3.0]), spot.y() * self.random.random())
            handle.sigPositionChangeFinished.emit(handle)
        return window.status.text()[:60]

    def use_fit_table(self) -> None:
        window = self.viewer.fit_window
        if window.table.rowCount():
            row = self.random.randrange(window.table.rowCount())
            item = window.table.item(row, 0)
            item.setCheckState(self.pick([Qt.CheckState.Checked, Qt.CheckState.Unchecked]))
            window.table.selectRow(row)
        self.pick([window.show, window.close, window.save_button.click])()

    def use_lines(self) -> object:
        window = self.viewer.line_window
        do = self.pick(["tick", "search", "rest", "z", "v", "frame", "load", "clear", "read", "switch"])
        if do == "tick":
            item = window.list.topLevelItem(self.random.randrange(window.list.topLevelItemCount()))
            item.setCheckState(self.pick([0, 0, 1]), self.pick([Qt.CheckState.Checked, Qt.CheckState.Unchecked]))
        elif do == "search":
            window.search.setText(self.pick(["[C II]", "157.7", "5-8", "8-5", "CO", "1e400", "-", "(", "6.5", ""]))
        elif do == "rest" and window.results.topLevelItemCount():
            window.results.itemDoubleClicked.emit(window.results.topLevelItem(0), 0)
        elif do == "z":
            window.redshift.setValue(self.pick([0, 0.01, -0.5, 20, 1e-6]))
        elif do == "v":
            window.velocity.setValue(self.pick([0, 30, -150000, 6e6]))
        elif do == "frame":
            window.frame.setCurrentIndex(self.random.randrange(3))
            window.frame.activated.emit(window.frame.currentIndex())
        elif do == "read":
            window.list.itemDoubleClicked.emit(window.list.topLevelItem(0), 0)
        elif do in ("load", "clear"):
            getattr(window, do).click()
        elif do == "switch":
            self.pick([window.show_lines, window.show_labels]).click()
        return do

    def use_sky(self) -> object:
        panel = self.viewer.atmosphere_panel
        button = self.pick([panel.shown, panel.shown, panel.from_header, panel.choose_file, panel.choose_folder])
        button.click()
        return button.text()

    def use_links(self) -> object:
        low, high = sorted(self.random.uniform(4.0, 9.0) for _ in range(2))
        if self.viewer.shows_wavelengths(low, high):
            self.viewer.mark_range(low, high)
        return low, high

    # windows

    def resize(self) -> object:
        size = self.pick([(1, 1), (200, 80), (700, 300), (1100, 800), (1100, 200), (2000, 1300)])
        self.viewer.resize(*size)
        return size

    def change_theme(self) -> object:
        theme = self.pick(["dark", "light"])
        apply_theme(QtWidgets.QApplication.instance(), theme)
        return theme

    def switch_windows(self) -> None:
        for window in (self.viewer.fit_window, self.viewer.line_window, self.viewer.overlays.cursor_table):
            self.pick([window.show, window.close])()
        self.viewer.overlays.cursor.popout.click()


# -- what must hold --------------------------------------------------------------------------------------------------


def check_truth(viewer: SpectrumViewer) -> Iterator[str]:
    """Yield what the window says otherwise than the model."""
    session, area = viewer.session, viewer.area
    listed = [viewer.load_panel.list.topLevelItem(i) for i in range(viewer.load_panel.list.topLevelItemCount())]
    if [item.text(0) for item in listed] != list(session.names().values()):
        yield "the list of files"
    shown = viewer.panes_panel.list
    keys = [shown.topLevelItem(i).data(0, Qt.ItemDataRole.UserRole) for i in range(shown.topLevelItemCount())]
    if keys != [part.key for part in session.pane.files]:
        yield "the files of the pane"
    if viewer.panes_panel.pane.currentIndex() != session.current or set(area.views) != {p.id for p in session.panes}:
        yield "the panes"
    for number, state in enumerate(session.panes):
        yield from _check_pane(viewer, number, area.views[state.id], session.content(number))
    yield from _check_axes(viewer)
    yield from _check_fits(viewer)


def _same(first: Any, second: Any) -> bool:
    return (first is None) == (second is None) and (first is None or np.array_equal(first, second, equal_nan=True))


def _check_pane(viewer: SpectrumViewer, number: int, view: Any, content: Any) -> Iterator[str]:
    state = viewer.session.panes[number]
    if view.state != state:
        yield f"the state of {state.id}: {view.state} {state}"
    pairs = list(zip(view.content.curves, content.curves, strict=False))
    if len(view.content.curves) != len(content.curves) or not all(
        a.key == b.key and _same(a.x, b.x) and _same(a.y, b.y) and _same(a.error, b.error) for a, b in pairs
    ):
        yield f"the curves of {state.id}"
    if (view.content.x_label, view.content.y_label) != (content.x_label, content.y_label):
        yield f"the labels of {state.id}"
    if [item.curve for item in view._items] != list(view.content.curves):
        yield f"what is drawn in {state.id}"
    limits = view.limits
    if not np.isfinite(limits).all():
        yield f"limits {limits}"
    for kept, (low, high) in zip((state.x_limits, state.primary.limits), limits, strict=True):
        if kept is not None and not (np.isfinite(kept).all() and np.allclose(sorted(kept), (low, high), rtol=1e-3)):
            yield f"the limits of {state.id}: {kept} kept, {low, high} shown"


def _check_axes(viewer: SpectrumViewer) -> Iterator[str]:
    panel, state = viewer.axis_panel, viewer.session.pane
    axis = getattr(state, panel.axes[0])
    for combo, value in ((panel.x_field, state.x_field), (panel.y_field, axis.field)):
        if combo.currentData() != value and combo.currentIndex() >= 0:
            yield f"{combo.toolTip()}: {combo.currentData()} shown, {value} kept"
    if panel.x_scale.currentText().lower() != state.x_scale or panel.y_scale.currentText().lower() != axis.scale:
        yield "the scales"
    style = viewer.session.style
    if (viewer.plot_panel.plot_type.currentText(), viewer.plot_panel.errors.currentText()) != (
        style.plot_type, style.errors,
    ):  # fmt: skip
        yield "the style"


def _check_fits(viewer: SpectrumViewer) -> Iterator[str]:
    notes, window = viewer.annotations, viewer.fit_window
    rows = [row for record in notes.fits for row in make_rows(notes.as_shown(record), notes.distance)]
    if window.table.rowCount() != len(rows):
        yield f"the table of fits: {window.table.rowCount()} rows for {len(rows)}"
    for place, row in enumerate(rows):
        text = window.table.item(place, 8).text().partition(" ")[0]
        value = row.get("mid_point")
        if value is not None and np.isfinite(value) and not np.isclose(float(text or "nan"), value, rtol=1e-6):
            yield f"the table of fits: {text} for {value}"


def check_session(viewer: SpectrumViewer, path: Path) -> Iterator[str]:
    """Save the session, open it in another viewer, and yield what is different there."""
    wait_until_idle(viewer)
    viewer.save_session(path)
    other = SpectrumViewer()
    try:
        other.resize(900, 700)
        other.show()
        other.open_session(path)
        wait_until_idle(other)
        yield from _compare(viewer, other)
    finally:
        other.close()
        other.deleteLater()
        QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)


def _compare(viewer: SpectrumViewer, other: SpectrumViewer) -> Iterator[str]:
    if other.problems() and not set(other.problems()) <= set(viewer.problems()):
        yield f"problems after loading: {other.problems()}"
    mine, theirs = (json.loads(json.dumps(v.view_state())) for v in (viewer, other))
    yield from _list_differences("view", mine, theirs)
    for number in range(min(len(viewer.session.panes), len(other.session.panes))):
        pairs = zip(viewer.session.content(number).curves, other.session.content(number).curves, strict=False)
        for a, b in pairs:
            if (a.key, a.color, a.marker) != (b.key, b.color, b.marker) or not _same(a.y, b.y) or not _same(a.x, b.x):
                yield f"the curve {a.title} after loading: {a.color, a.marker} and {b.color, b.marker}"


def _shorten(thing: Any) -> str:
    parts = [part.get("key", part) for part in thing] if isinstance(thing, list) and thing[:1] and isinstance(
        thing[0], dict) else thing  # fmt: skip
    return str(parts)[:500]


def _list_differences(name: str, mine: Any, theirs: Any) -> Iterator[str]:
    if isinstance(mine, dict) and isinstance(theirs, dict) and mine.keys() == theirs.keys():
        for key in mine:
            yield from _list_differences(f"{name}.{key}", mine[key], theirs[key])
    elif isinstance(mine, list) and isinstance(theirs, list) and len(mine) == len(theirs):
        for number, pair in enumerate(zip(mine, theirs, strict=True)):
            yield from _list_differences(f"{name}.{number}", *pair)
    elif json.dumps(mine) != json.dumps(theirs):
        yield f"{name} after loading: {_shorten(theirs)} for {_shorten(mine)}"


def wait_until_idle(viewer: SpectrumViewer, longest: float = 60.0) -> None:
    until = time.monotonic() + longest
    while not viewer.tasks.is_idle:
        assert time.monotonic() < until, "the viewer does not come to an end"
        QtWidgets.QApplication.processEvents(QtCore.QEventLoop.ProcessEventsFlag.AllEvents, 20)
        time.sleep(0.001)
    for _ in range(3):
        QtWidgets.QApplication.processEvents()


# -- the runs --------------------------------------------------------------------------------------------------------


def close_all() -> None:
    """Close the windows beside the viewer, as a user would in the end."""
    for widget in QtWidgets.QApplication.topLevelWidgets():
        if isinstance(widget, QtWidgets.QPlainTextEdit | QtWidgets.QMenu) and widget.isVisible():
            widget.close()


def run_robot(folder: Path, files: list[Path], *, seed: int, seconds: float, most: int = 10**9) -> Robot:
    """Let the robot work, and look after each thing it did whether all is well."""
    viewer = SpectrumViewer()
    viewer.resize(1100, 800)
    viewer.show()
    with Watch() as watch, pytest.MonkeyPatch.context() as patch:
        robot = Robot(viewer, files, seed, folder, watch)
        dialogs = QtWidgets.QFileDialog
        patch.setattr(dialogs, "getSaveFileName", lambda *a, **_: (robot.answer(a[-1]), ""))
        patch.setattr(dialogs, "getOpenFileName", lambda *a, **_: (robot.answer_open(a[-1]), ""))
        patch.setattr(dialogs, "getOpenFileNames", lambda *a, **_: ([robot.answer_open(a[-1])], ""))
        patch.setattr(dialogs, "getExistingDirectory", lambda *_, **__: str(folder))
        try:
            end = time.monotonic() + seconds
            while time.monotonic() < end and len(robot.done) < most:
                take_step(robot)
        finally:
            robot.open_files()
            viewer.close()  # while something is being read
            close_all()
            viewer.deleteLater()
            QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)
            apply_theme(QtWidgets.QApplication.instance(), "light")
        assert not watch.problems, tell(robot, watch.problems)
    return robot


def take_step(robot: Robot) -> None:
    """Let the robot do one thing, and check what must hold."""
    begin = time.monotonic()
    problems: list[str] = []
    try:
        robot.act()
        QtWidgets.QApplication.processEvents(QtCore.QEventLoop.ProcessEventsFlag.AllEvents, 50)
        problems += list_faults(robot, time.monotonic() - begin)
    except Exception:
        sys.stderr.write(tell(robot, []))
        raise
    assert not problems, tell(robot, problems)
    close_all()


def list_faults(robot: Robot, took: float) -> list[str]:
    """Return what is not as it must be after something that took some seconds."""
    problems = [f"it took {took:.1f} s"] if took > _LONGEST_ACTION else []
    if QtWidgets.QApplication.activeModalWidget() is not None:
        problems.append("a modal dialog is left")
    if _EXCEPTION.search(robot.viewer.status.text()):
        problems.append(robot.viewer.status.text())
    if robot.random.random() < 0.3:
        wait_until_idle(robot.viewer)
        problems += check_truth(robot.viewer)
    if robot.random.random() < 0.03:
        problems += check_session(robot.viewer, robot.folder / "check.json")
    return robot.watch.problems + problems


def tell(robot: Robot, problems: list[str]) -> str:
    """Say what was wrong, and what was done before."""
    return "\n".join([*problems, f"after {len(robot.done)} actions; the last:", *robot.done[-12:]])


def gather_files(folder: Path, shared: Path) -> list[Path]:
    """Return files of all kinds: made ones, and published products where they are at hand."""
    published = sorted((shared / "data/real").glob("*.fits")) if (shared / "data/real").is_dir() else []
    products = [path for name in ("*CAL*.fits", "*WXY*.fits") for path in shared.glob(f"golden/fifi*/**/{name}")][:2]
    return [*write_files(folder), *(path for path in published if path.stat().st_size < 20e6), *products]


def test_that_a_short_robot_run_leaves_the_viewer_whole(qapp, tmp_path: Path) -> None:
    threads = threading.active_count()
    run_robot(tmp_path, write_files(tmp_path), seed=1, seconds=3.0)
    assert threading.active_count() == threads


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_that_a_long_robot_run_leaves_the_viewer_whole(qapp, tmp_path: Path) -> None:
    seed = int(os.environ.get("SOFIA_DESK_ROBOT_SEED", "7"))
    seconds = float(os.environ.get("SOFIA_DESK_ROBOT_SECONDS", "600"))
    shared = Path(__file__).resolve().parents[3] / "../shared"
    robot = run_robot(tmp_path, gather_files(tmp_path, shared), seed=seed, seconds=seconds)
    sys.stdout.write(f"robot with seed {seed}: {len(robot.done)} actions\n")
