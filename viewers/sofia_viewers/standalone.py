"""Viewers as programs of their own: start the application, show the window or render it to a file."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from sofia_engine.errors import SofiaDeskError
from sofia_viewers.qt import Qt, QtCore, QtWidgets, start_application
from sofia_viewers.theme import Mode, apply_theme

__all__ = ["SWITCH_INTERVAL", "Exportable", "run_viewer", "wait_until_ready"]

_LONGEST_WAIT = 120.0
SWITCH_INTERVAL = 0.001
"""Seconds a thread may compute before the window gets its turn; Python's own 5 ms add up to gaps that are felt."""


class Exportable(Protocol):
    """A viewer that can be rendered without a window."""

    def is_ready(self) -> bool:
        """Whether all that was asked for is drawn."""
        ...

    def problems(self) -> list[str]:
        """What could not be shown, one sentence each."""
        ...

    def can_export(self) -> bool:
        """Whether there is something to write."""
        ...

    def export(self, path: Path, size: tuple[int, int]) -> Path:
        """Write the view to a file."""
        ...


def run_viewer(
    make: Callable[[], QtWidgets.QWidget],
    *,
    title: str,
    size: tuple[int, int] = (1200, 800),
    export: Path | None = None,
    theme: Mode = "system",
) -> int:
    """Run a viewer until its window is closed, or render it to a file.

    Parameters
    ----------
    make : callable
        Makes the widget, which has the methods of `Exportable`, and lets it open its files.
    title : str
        Title of the window.
    size : (int, int)
        Width and height, of the window or the picture.
    export : Path, optional
        Write a picture to this file, without a window, and end.
    theme : {"system", "dark", "light"}
        Look.

    Returns
    -------
    int
        0, or 1 if a file could not be shown or the picture could not be written; why is said on standard error. The
        picture shows what could be, if anything could.
    """
    application = start_application(offscreen=export is not None)
    apply_theme(application, "light" if export is not None and theme == "system" else theme)
    sys.setswitchinterval(SWITCH_INTERVAL)
    widget = make()
    widget.setWindowTitle(title)
    widget.resize(*size)
    if export is None:
        widget.show()
        return int(application.exec())
    try:
        return _export(widget, export, size)
    finally:
        widget.close()
        widget.deleteLater()
        QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)


def wait_until_ready(widget: QtWidgets.QWidget, longest: float = _LONGEST_WAIT) -> bool:
    """Let a viewer work until it is ready; False if it was not in time (seconds)."""
    until = time.monotonic() + longest
    ready: Callable[[], bool] = widget.is_ready  # type: ignore[attr-defined]
    while not ready():
        if time.monotonic() > until:
            return False
        QtCore.QCoreApplication.processEvents(QtCore.QEventLoop.ProcessEventsFlag.AllEvents, 20)
        time.sleep(0.002)
    return True


def _export(widget: QtWidgets.QWidget, path: Path, size: tuple[int, int]) -> int:
    widget.setAttribute(Qt.WidgetAttribute.WA_DontShowOnScreen)
    widget.show()
    ready = wait_until_ready(widget)
    problems: list[str] = list(widget.problems())  # type: ignore[attr-defined]
    if not ready:
        problems.append(f"{path} was not written: the view was not ready within {_LONGEST_WAIT:.0f} s.")
    elif not problems or widget.can_export():  # type: ignore[attr-defined]
        try:
            widget.export(path, size)  # type: ignore[attr-defined]
        except SofiaDeskError as error:
            problems.append(str(error))
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    return 1 if problems else 0
