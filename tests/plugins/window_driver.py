"""Does in the window of the program what a user does, and waits for what follows."""

from collections.abc import Callable, Iterator
from pathlib import Path

from sofia_app.desk import Desk
from sofia_app.models.preferences import Preferences
from sofia_app.views.parameter_panel import ParameterPanel
from sofia_app.views.postponed import Postponed
from sofia_app.window import MainWindow
from sofia_viewers.qt import QtCore, QtWidgets

__all__ = ["PATIENCE", "Driver", "make_window", "open_window"]

PATIENCE = 60_000
"""Milliseconds to wait at most."""


class Driver:
    """Does what a user does, and waits for what follows."""

    def __init__(self, window: MainWindow, qtbot) -> None:
        self.window, self.desk, self.qtbot = window, window.desk, qtbot

    def wait(self, condition: Callable[[], bool], timeout: int = PATIENCE) -> None:
        self.qtbot.waitUntil(condition, timeout=timeout)

    def settle(self) -> None:
        """Wait until nothing runs and the current state is shown."""
        self.wait(lambda: not self.desk.is_busy and self.desk.tasks.is_idle)
        self.wait(self._is_shown)
        self.refresh()

    def refresh(self) -> None:
        """Wait until all panels show what there is."""
        self.wait(self._is_refreshed)

    def _is_refreshed(self) -> bool:
        return not any(postponed.is_due for postponed in self.window.findChildren(Postponed))

    def _is_shown(self) -> bool:
        reduction = self.desk.reduction
        if any(page.is_loading for page in self.window.pages):
            return False
        return reduction.snapshot is None or self.window.shown.key == reduction.snapshot.current

    def open(self, files: list[Path]) -> None:
        self.desk.open_paths(files)
        self.wait(lambda: self.desk.reduction.is_open)
        self.settle()

    def do(self, name: str) -> None:
        """Trigger an action, which must be enabled."""
        self.wait(self._is_refreshed)
        action = self.window.qactions[name]
        assert action.isEnabled(), f"{name} is disabled"
        action.trigger()

    def run(self, name: str) -> None:
        self.do(name)
        self.settle()

    @property
    def states(self) -> list[str]:
        return [row.state for row in self.desk.reduction.rows]

    @property
    def form(self) -> ParameterPanel:
        return self.window.parameters

    def enter(self, name: str, text: str) -> None:
        """Type into the field of a parameter of the selected step."""
        line = self.form.rows[name].editor.line
        line.setFocus()
        line.selectAll()
        self.qtbot.keyClicks(line, text)

    def select(self, index: int) -> None:
        self.window.pipeline.select_step(index)

    def dialog(self, kind: type) -> QtWidgets.QDialog:
        self.wait(lambda: any(isinstance(w, kind) and w.isVisible() for w in QtWidgets.QApplication.topLevelWidgets()))
        return next(w for w in QtWidgets.QApplication.topLevelWidgets() if isinstance(w, kind) and w.isVisible())


def make_window(lab: Path, tmp_path: Path) -> MainWindow:
    preferences = Preferences.load()
    preferences.output_rule, preferences.output_folder = "fixed", str(tmp_path / "out")
    window = MainWindow(Desk(preferences=preferences, instrument_folders=[lab]))
    window.show()
    window.desk.start()
    window.prepare_viewers()
    return window


def open_window(qtbot, lab: Path, tmp_path: Path) -> Iterator[Driver]:
    """Give the driver of an empty window, which is closed at the end."""
    window = make_window(lab, tmp_path)
    qtbot.waitExposed(window)
    yield Driver(window, qtbot)
    for widget in QtWidgets.QApplication.topLevelWidgets():
        if isinstance(widget, QtWidgets.QDialog):
            widget.close()
    window.close()
    window.deleteLater()
    QtWidgets.QApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)
