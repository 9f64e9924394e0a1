"""What threads must not do to windows: search for garbage, outlive them, keep them from answering."""

import gc
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sofia_viewers.garbage import GarbageSearch, search_in_window_thread
from sofia_viewers.qt import QtCore
from sofia_viewers.tasks import Tasks
from window_heartbeat import assert_lively

OPEN_AND_CLOSE = """
import faulthandler, sys, threading, time
from pathlib import Path
from sofia_viewers.qt import start_application
faulthandler.dump_traceback_later(float(sys.argv[3]), exit=True)
start_application(offscreen=True)
def litter():
    while True:
        [[[]] for _ in range(3000)]  # a search for garbage starts now and then, in the thread that makes one too many
        time.sleep(0.005)
threading.Thread(target=litter, daemon=True).start()
from sofia_engine.cli import main
image, spectrum = Path(sys.argv[1]) / "image.fits", Path(sys.argv[1]) / "spectrum.csv"
for number in range(int(sys.argv[2])):
    for words in (["quality", image], ["image", image], ["spectrum", spectrum]):
        code = main([*map(str, words), "--export", str(image.with_suffix(".png"))])
        assert code == 0, (number, words)
print("done")
"""


class Cycle:
    own: "Cycle"


def make_cycles(count: int) -> None:
    """Make garbage that only a search finds."""
    for _ in range(count):
        cycle = Cycle()
        cycle.own = cycle


@pytest.mark.parametrize("rounds", [4, pytest.param(50, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])])
def test_that_viewers_are_opened_and_closed_in_one_process_while_a_thread_makes_garbage(
    tmp_path: Path, rounds: int
) -> None:
    import numpy as np
    from astropy.io import fits

    fits.PrimaryHDU(np.random.default_rng(1).normal(size=(60, 80))).writeto(tmp_path / "image.fits")
    (tmp_path / "spectrum.csv").write_text("wave,flux\n" + "".join(f"{10 + n / 100},{n % 7}\n" for n in range(100)))
    own = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "SOFIA_DESK_CONFIG": str(tmp_path)}
    limit = 60 + 20 * rounds
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-W", "ignore", "-c", OPEN_AND_CLOSE, tmp_path, str(rounds), str(limit)],
        env=os.environ | own, capture_output=True, text=True, timeout=limit + 30, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_that_only_the_thread_of_the_windows_searches_for_garbage(qtbot, qapp) -> None:
    search_in_window_thread(qapp)
    found: list[threading.Thread] = []
    ended = threading.Event()

    def note(phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            found.append(threading.current_thread())

    def litter() -> None:
        while not ended.is_set():
            make_cycles(1000)
            time.sleep(0.005)

    thread = threading.Thread(target=litter)
    gc.callbacks.append(note)
    thread.start()
    try:
        qtbot.waitUntil(lambda: len(found) > 2, timeout=60_000)
    finally:
        ended.set()
        thread.join(10)
        gc.callbacks.remove(note)
    assert set(found) == {threading.main_thread()}


def test_that_a_search_is_due_as_often_as_pythons_own(qapp) -> None:
    limits = gc.get_threshold()
    search = GarbageSearch()
    try:
        gc.set_threshold(10**6, 10, 10)
        gc.collect()
        assert search.run_if_due() == -1
        gc.set_threshold(5, 2, 2)
        found = []
        for _ in range(40):
            make_cycles(20)
            found.append(search.run_if_due())
        assert found.count(0) > found.count(1) > found.count(2) == 1  # one through all, then not again for a while
    finally:
        gc.set_threshold(*limits)


def test_that_everything_is_searched_only_when_nothing_is_dragged(monkeypatch) -> None:
    dragging, searched = [True], []
    monkeypatch.setattr(gc, "get_count", lambda: (10_000, 10_000, 10_000))
    monkeypatch.setattr(gc, "collect", searched.append)
    search = GarbageSearch(lambda: dragging[0])
    search.run_if_due()
    dragging[0] = False
    search.run_if_due()
    assert searched == [1, 2]


def test_that_closing_does_not_wait_for_ever_for_work_that_hangs(qtbot, monkeypatch, caplog) -> None:
    from sofia_viewers import tasks

    monkeypatch.setattr(tasks, "_FAREWELL", 50)
    owner = QtCore.QObject()
    work = Tasks(owner)
    gate, begun = threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        gate.wait(60)

    work.submit("hang", hang, lambda _: pytest.fail("the owner is gone"))
    assert begun.wait(20)
    work.close()
    assert "did not end in time" in caplog.text
    del work, owner  # which would wait, too, if the threads still belonged to them
    gate.set()
    qtbot.wait(20)


@pytest.mark.parametrize("blocking", ["computing", "waiting"])
def test_that_a_deaf_window_is_noticed(qtbot, blocking: str) -> None:
    def block() -> None:
        end = time.thread_time() + 0.08
        while blocking == "computing" and time.thread_time() < end:
            pass
        if blocking == "waiting":
            time.sleep(0.08)

    def run(_attempt: int) -> None:
        QtCore.QTimer.singleShot(5, block)
        qtbot.wait(40)

    text = (
        r"computed for \[(8|9|1\d)\d, "
        if blocking == "computing"
        else r"computed for \[[1-4]?\d, .* deaf for \[(8|9|1\d)\d, "
    )
    with pytest.raises(AssertionError, match=text):
        assert_lively(run, attempts=2)


LOADING = """
import sys, threading, time
from sofia_app.models.viewer_kinds import ViewerKind
from sofia_app.views.viewer_page import ViewerPage
from sofia_viewers.qt import QtCore, QtGui, QtSvg, QtWidgets, start_application
from sofia_viewers.tasks import Tasks

turns = []

class Kind(ViewerKind):
    def load(self):
        assert threading.current_thread() is threading.main_thread()
        missing = [n for module in (QtCore, QtGui, QtSvg, QtWidgets) for n in dir(module) if n not in vars(module)]
        print("loaded", missing, "pyqtgraph" in sys.modules, len(turns) > 1)
        return QtWidgets.QWidget

application = start_application(offscreen=True)
page = ViewerPage(Kind("image", "Image", "not_loaded:Viewer", bool, "image"), Tasks(application))
page.viewer_made.connect(lambda viewer: (print("made"), application.quit()))
ticking = QtCore.QTimer()
ticking.timeout.connect(lambda: turns.append(time.monotonic()))
ticking.start(0)
QtCore.QTimer.singleShot(0, page.prepare)
application.exec()
"""


def test_that_viewers_are_imported_in_turns_by_the_thread_of_the_windows(tmp_path: Path) -> None:
    own = {"HOME": str(tmp_path), "SOFIA_DESK_CONFIG": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", LOADING], env=os.environ | own, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout == 2 * "loaded [] True True\n" + "made\n", done.stderr


def test_that_headers_completed_in_many_threads_are_not_told_about():
    program = """
import threading, warnings
from astropy.io import fits
from astropy.wcs import WCS
from sofia_viewers.qt import start_application

start_application(offscreen=True)
header = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "DATE-OBS": "2021-07-05T05:10:00"})

def read():
    for _ in range(30):
        with warnings.catch_warnings():  # not for one thread alone: Python shares the list of filters
            warnings.simplefilter("ignore")
            WCS(header)
        WCS(header)

threads = [threading.Thread(target=read) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
