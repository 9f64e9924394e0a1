"""A robot does whatever can be done, at random; the program must bear it."""

import gc
import os
import random
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from astropy.io import fits

pytest.importorskip("PySide6")

from sofia_app.actions import ACTIONS
from sofia_app.desk import Desk, return_memory
from sofia_app.models.preferences import Preferences
from sofia_app.window import MainWindow
from sofia_viewers.qt import QtCore, QtWidgets

_ASKING = {
    "open_files", "open_folder", "add_files", "open_session", "set_output", "save_products", "show_preferences",
    "quit_program", "sweep_parameter", "load_parameters", "save_parameters",
}  # fmt: skip
"""Actions that open a dialog of the system or end the program: the robot does what they would lead to."""
_MOST_GROWTH = 200e6


_MOST_VIEWS = 3
"""Views beyond the first ones that may be open."""


def write_spectrum(path: Path) -> Path:
    """Write a spectrum in the layout of rows."""
    header = fits.Header({"INSTRUME": "FORCAST", "XUNITS": "um", "YUNITS": "Jy", "FILENAME": path.name})
    wave = np.linspace(5.0, 8.0, 200)
    fits.PrimaryHDU(np.stack([wave, np.sin(9 * wave), np.full(200, 0.1)]), header).writeto(path)
    return path


class Robot:
    """Does valid things to a window, in an order given by a seed."""

    def __init__(self, window: MainWindow, files: list[Path], seed: int, folder: Path) -> None:
        self.window, self.desk, self.files = window, window.desk, files
        self.random = random.Random(seed)
        self.folder = folder
        self.first_pages = len(window.pages)
        self.spectrum = write_spectrum(folder / "spectrum.fits")
        self.done: list[str] = []

    def act(self) -> None:
        """Do one thing."""
        acts: list[Callable[[], str]] = [
            *[self.trigger] * 8, *[self.edit] * 4, *[self.select_step] * 3, self.select_states, self.filter,
            self.search_log, self.open, self.sweep, self.show_file, self.save_parameters, self.resize,
            *[self.use_views] * 3, self.copy, self.read_help, self.choose_number, self.stop_queue,
        ]  # fmt: skip
        self.done.append(self.random.choice(acts)())

    def trigger(self) -> str:
        enabled = [a.id for a in ACTIONS if a.id not in _ASKING and self.window.qactions[a.id].isEnabled()]
        name = self.random.choice(enabled)
        self.window.qactions[name].trigger()
        return name

    def edit(self) -> str:
        form = self.window.parameters.form
        if form is None or not form.infos:
            return "edit nothing"
        info = self.random.choice(form.infos)
        values = {
            "bool": [True, False],
            "choice": list(info.choices) if info.name != "style" else ["polite", "crunch"],
            "float": ["0.1", "0.3", "7", "nonsense", "1e99"] if info.name == "seconds" else ["0", "1.5", "500", "x"],
            "int": ["0", "1", "3", "-1", "x"],
            "list": ["1, 2", "", "a"],
        }.get(info.kind, ["", "words", "{caldata}/x"])
        value = self.random.choice(values)
        if info.name == "seconds":
            value = self.random.choice(["0", "0.1", "0.3", "x"])
        form.edit(info.name, value)
        return f"edit {info.name} = {value}"

    def select_step(self) -> str:
        count = len(self.desk.reduction.steps)
        if count:
            self.window.pipeline.select_step(self.random.randrange(count))
        return "select a step"

    def select_states(self) -> str:
        keys = list(self.desk.reduction.states)
        self.window.pipeline.history.clearSelection()
        self.window.pipeline._select_states(tuple(self.random.sample(keys, min(len(keys), self.random.choice([1, 2])))))
        return "select states"

    def filter(self) -> str:
        self.window.data.filter.setText(self.random.choice(["", "raw", "0001", "EXPTIME>2", "EXPTIME>x", "zzz"]))
        return "filter"

    def search_log(self) -> str:
        self.window.log.search.setText(self.random.choice(["add", "zzz", ""]))
        self.window.log.find_next()
        self.window.log.level.setCurrentIndex(self.random.randrange(4))
        return "search the log"

    def open(self) -> str:
        if not self.desk.is_busy and self.random.random() < 0.3:
            self.desk.open_paths(self.random.choice([self.files, self.files[:1]]))
        return "open"

    def sweep(self) -> str:
        if self.desk.reduction.is_open and not self.desk.is_busy:
            self.desk.sweep(1, "amount", (1.0, self.random.random() * 10), 3)
        return "sweep"

    def show_file(self) -> str:
        self.window.data.activated.emit([self.random.choice([self.files[0], self.spectrum])])
        return "show a file"

    def use_views(self) -> str:
        view = self.random.choice(list(self.window.tabs.views()))
        do = self.random.choice(["front", "move", "close"])
        if do == "front":
            self.window.tabs.bring_up(view)
        elif do == "move":
            self.window.tabs.move(view, self.random.choice(["left", "right", "window"]))
        elif view in self.window.pages[self.first_pages :]:
            self.window._close_view(view)
        return f"{do} a view"

    def copy(self) -> str:
        window = self.window
        for table in (window.quality, window.header, window.references, window.queue_panel):
            table.copier.copy_all()
        if window.image.viewer is not None:
            window.image.viewer.press_key(self.random.choice("CDuRbtexnLsc1f+-"), "0", 10.0, 10.0)
        return "copy tables, press a key over the image"

    def read_help(self) -> str:
        view = self.window.help
        self.random.choice([view.show_contents, view.go_back, lambda: view.show_page("forcast/imaging.md")])()
        return "read the help"

    def choose_number(self) -> str:
        box = self.window.pipeline.number
        box.setCurrentIndex(self.random.randrange(box.count()))
        box.activated.emit(box.currentIndex())
        return "choose the number that is drawn"

    def stop_queue(self) -> str:
        if self.window.queue.is_running and self.random.random() < 0.3:
            self.window.queue.stop()
        return "stop the queue"

    def save_parameters(self) -> str:
        self.window.commands.write_parameters(self.folder / self.random.choice(["p.toml", "p.cfg"]))
        return "save parameters"

    def resize(self) -> str:
        self.window.resize(self.random.randrange(900, 1600), self.random.randrange(600, 1000))
        return "resize"


def close_dialogs(window: MainWindow, first_pages: int) -> None:
    """Close what a user would not keep open."""
    for widget in QtWidgets.QApplication.topLevelWidgets():
        if isinstance(widget, QtWidgets.QDialog) and widget.isVisible():
            widget.close()
    while len(window.pages) > first_pages + _MOST_VIEWS:
        window._close_view(window.pages[first_pages])
    while len(window.comparisons) > 1:
        window._close_view(window.comparisons[0])


def memory() -> float:
    gc.collect()
    return_memory()
    return float(psutil.Process().memory_info().rss)


def run_robot(qtbot, lab: Path, files: list[Path], tmp_path: Path, *, seed: int, seconds: float) -> tuple[float, int]:
    """Let the robot work; return the growth of memory in bytes and the number of things done."""
    (tmp_path / "out").mkdir(exist_ok=True)
    preferences = Preferences(output_rule="fixed", output_folder=str(tmp_path / "out"))
    window = MainWindow(Desk(preferences=preferences, instrument_folders=[lab]))
    window.show()
    window.desk.start()
    window.desk.open_paths(files)
    qtbot.waitUntil(lambda: window.desk.reduction.is_open, timeout=60_000)
    robot = Robot(window, files, seed, tmp_path)
    warm_up, end = time.monotonic() + min(seconds / 3, 60), time.monotonic() + seconds
    before, threads = 0.0, 0
    try:
        while time.monotonic() < end:
            robot.act()
            qtbot.wait(robot.random.choice([1, 5, 20, 60]))
            close_dialogs(window, robot.first_pages)
            if not before and time.monotonic() > warm_up:
                before, threads = memory(), threading.active_count()
        window.desk.stop()
        window.queue.stop()
        qtbot.waitUntil(lambda: not window.queue.is_running, timeout=60_000)
        qtbot.waitUntil(lambda: not window.desk.is_busy and window.desk.tasks.is_idle, timeout=60_000)
        growth = memory() - before
        assert threading.active_count() <= threads + 1
    finally:
        close_dialogs(window, robot.first_pages)
        window.close()
        window.deleteLater()
        QtWidgets.QApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)
    return growth, len(robot.done)


@pytest.mark.parametrize("seed", [1, 2])
def test_that_a_short_robot_run_leaves_the_program_whole(qtbot, lab: Path, files, tmp_path: Path, seed: int) -> None:
    threads = threading.active_count()
    growth, count = run_robot(qtbot, lab, files, tmp_path, seed=seed, seconds=12)
    assert count > 50
    assert growth < _MOST_GROWTH
    assert threading.active_count() == threads


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("seed", [int(os.environ.get("SOFIA_DESK_ROBOT_SEED", "7"))])
def test_that_a_robot_run_of_ten_minutes_leaves_the_program_whole(
    qtbot, lab: Path, files, tmp_path: Path, seed: int
) -> None:
    threads = threading.active_count()
    growth, count = run_robot(qtbot, lab, files, tmp_path, seed=seed, seconds=600)
    sys.stdout.write(f"robot with seed {seed}: {count} actions, memory grew by {growth / 1e6:.0f} MB\n")
    assert growth < _MOST_GROWTH
    assert threading.active_count() == threads
