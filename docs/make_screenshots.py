"""Make the pictures of the desktop program for the manual: ``python docs/make_screenshots.py [FOLDER]``.

The program runs for each look with a simulated observation, without a display; every picture is one state of it.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

SIZE = (1440, 900)
PATIENCE = 120.0


class Photographer:
    """Drives the window from state to state and takes its picture.

    Parameters
    ----------
    window : MainWindow
        The window.
    folder : Path
        Where pictures go.
    look : str
        ``dark`` or ``light``; ends the names of the pictures.
    """

    def __init__(self, window, folder: Path, look: str) -> None:
        self.window, self.desk, self.folder, self.look = window, window.desk, folder, look

    def wait(self, condition: Callable[[], bool]) -> None:
        """Let the program work until something holds."""
        from sofia_viewers.qt import QtWidgets

        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError("The program did not get there.")
            QtWidgets.QApplication.processEvents()
            time.sleep(0.005)

    def settle(self) -> None:
        """Wait until nothing runs and all is drawn."""
        self.wait(lambda: not self.desk.is_busy and self.desk.tasks.is_idle)
        self.pause(0.3)
        pages = (*self.window.pages, *self.window.comparisons)
        self.wait(lambda: all(page.is_ready for page in pages))
        self.pause(0.2)

    def pause(self, seconds: float) -> None:
        """Let the program work for a while."""
        end = time.monotonic() + seconds
        self.wait(lambda: time.monotonic() > end)

    def shoot(self, name: str, widget=None) -> None:
        """Take a picture of the window, or of another."""
        from sofia_viewers.qt import QtGui

        self.pause(0.2)
        path = self.folder / f"desktop-{name}-{self.look}.png"
        image = (widget or self.window).grab().toImage().convertToFormat(QtGui.QImage.Format.Format_RGB888)
        if not image.save(str(path), "PNG", 0):  # 0: as small as can be
            raise OSError(f"{path} cannot be written.")
        sys.stdout.write(f"{path}\n")

    def do(self, name: str) -> None:
        """Trigger an action."""
        self.pause(0.1)
        self.window.qactions[name].trigger()

    def find_dialog(self):
        """Return the dialog that is open."""
        from sofia_viewers.qt import QtWidgets

        def dialogs() -> list:
            shown = (w for w in QtWidgets.QApplication.topLevelWidgets() if w.isVisible())
            return [w for w in shown if isinstance(w, QtWidgets.QDialog)]

        self.wait(lambda: bool(dialogs()))
        return dialogs()[0]


def shoot_reduction(photographer: Photographer, raw: Path) -> None:
    """Take the pictures of a reduction from opening files to the calibrated map."""
    window, desk = photographer.window, photographer.desk
    photographer.shoot("empty")
    desk.open_paths([raw])
    photographer.wait(lambda: desk.reduction.is_open)
    photographer.settle()
    photographer.shoot("opened")
    photographer.do("do_step")
    photographer.settle()
    window.pipeline.select_step(4)
    photographer.do("run_to_selected")
    photographer.settle()
    photographer.shoot("stacked")
    photographer.do("reduce_all")
    photographer.settle()
    photographer.shoot("map")
    photographer.do("show_header")
    photographer.shoot("header")
    photographer.do("show_provenance")
    photographer.shoot("provenance")
    photographer.do("show_quality")
    window.pipeline.select_step(3)
    photographer.do("show_help")
    photographer.shoot("help")
    photographer.do("show_image")


def shoot_views(photographer: Photographer, raw: Path) -> None:
    """Take the pictures of further views: a pinned clone, the quality viewer, the queue."""
    window, desk = photographer.window, photographer.desk
    number = window.pipeline.number
    number.setCurrentIndex(number.findData("noise"))
    number.activated.emit(number.currentIndex())
    photographer.do("clone_view")
    photographer.settle()
    window.pages[-1].set_pinned(True)
    window.pipeline.select_step(4)
    desk.show_state(desk.reduction.rows[4].state_key)
    photographer.settle()
    photographer.shoot("views")
    window.tabs.close_asked.emit(window.pages[-1])
    photographer.do("show_quality_viewer")
    photographer.wait(lambda: window.quality_viewer.viewer is not None)
    window.quality_viewer.viewer.show_tab("Numbers")
    photographer.wait(lambda: bool(window.quality_viewer.viewer.rows))
    photographer.settle()
    photographer.shoot("quality")
    photographer.do("show_image")
    desk.show_state(desk.reduction.snapshot.current)
    photographer.settle()
    from sofia_engine.simulate import simulate

    others = raw.parent / "others"
    for seed, kind in enumerate(("forcast-imaging-nmc", "forcast-imaging-c2nc2"), 1):
        if not (others / kind).exists():
            (others / kind).mkdir(parents=True)
            simulate(kind, others / kind, seed=seed, n_dither=1)
    desk.list_files([others])
    photographer.wait(lambda: len(desk.files) > 3 and desk.tasks.is_idle)
    photographer.pause(0.5)
    photographer.do("reduce_groups")
    photographer.wait(lambda: not window.queue.is_running)
    photographer.pause(0.5)
    photographer.shoot("queue")
    desk.files.clear()
    desk.list_files([raw])
    photographer.settle()


def shoot_parameters(photographer: Photographer) -> None:
    """Take the pictures of edits, errors, branches and their comparison."""
    window, desk = photographer.window, photographer.desk
    window.pipeline.select_step(2)
    form = window.parameters.form
    form.edit("fraction", "0.35")
    photographer.shoot("invalid")
    form.edit("fraction", "0.01")
    photographer.do("apply_parameters")
    photographer.settle()
    photographer.shoot("stale")
    desk.run_to(10)
    photographer.settle()
    photographer.do("compare_states")
    photographer.settle()
    photographer.shoot("compare")


def shoot_dialogs(photographer: Photographer) -> None:
    """Take the pictures of dialogs, and of an error."""
    from sofia_app.desk import ErrorReport
    from sofia_app.views.dialogs import PreferencesDialog, SessionsDialog, SweepDialog
    from sofia_app.window import RESTORE_QUESTION

    window, desk = photographer.window, photographer.desk
    dialogs = {
        "preferences": PreferencesDialog(window, desk.preferences),
        "restore": SessionsDialog(window, [Path(desk.reduction.snapshot.session)], RESTORE_QUESTION),
        "sweep": SweepDialog(window, desk.reduction.steps, 2),
    }
    for name, dialog in dialogs.items():
        dialog.show()
        photographer.shoot(name, dialog)
        dialog.close()
    for name in ("show_shortcuts", "show_palette", "export_commands"):
        photographer.do(name)
        dialog = photographer.find_dialog()
        photographer.shoot(name.partition("_")[2], dialog)
        dialog.close()
        photographer.pause(0.1)
    report = ErrorReport(
        "Stack Chops/Nods could not be done",
        "F0501_FO_IMA_90000101_FORF197_RAW_0001.fits: the file holds 3 planes, but the sky mode C2N needs 4 or 8; "
        "leave this file out, or correct SKYMODE in its header.",
        4,
    )
    window.show_error(report)
    photographer.shoot("error", photographer.find_dialog())
    photographer.find_dialog().close()


@contextmanager
def open_window(look: str, folder: Path) -> Iterator:
    """Open the window with a look, and close it in the end."""
    from sofia_app.desk import Desk
    from sofia_app.models.preferences import Preferences
    from sofia_app.window import MainWindow
    from sofia_viewers.qt import start_application

    start_application()
    preferences = Preferences(theme=look, output_rule="fixed", output_folder=str(folder / "reduced"))
    window = MainWindow(Desk(preferences=preferences))
    window.resize(*SIZE)
    window.apply_preferences()
    window.show()
    window.desk.start()
    try:
        yield window
    finally:
        window.close()


def main() -> None:
    """Take all pictures in both looks."""
    from sofia_engine.simulate import simulate

    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "_static"
    target.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.gettempdir()) / "sofia-desk-pictures"
    shutil.rmtree(folder, ignore_errors=True)
    os.environ["SOFIA_DESK_SESSIONS"] = str(folder / "sessions")
    os.environ["SOFIA_DESK_CONFIG"] = str(folder / "config")
    raw = folder / "raw"
    raw.mkdir(parents=True)
    simulate("forcast-imaging-nmc", raw, n_dither=3)
    for look in ("light", "dark"):
        shutil.rmtree(folder / "config", ignore_errors=True)
        with open_window(look, folder) as window:
            photographer = Photographer(window, target, look)
            photographer.pause(0.5)
            shoot_reduction(photographer, raw)
            shoot_views(photographer, raw)
            shoot_parameters(photographer)
            shoot_dialogs(photographer)


if __name__ == "__main__":
    main()
