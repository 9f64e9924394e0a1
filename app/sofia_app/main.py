"""The entrance of the desktop program."""

from __future__ import annotations

import multiprocessing
import os

__all__ = ["main"]


def main(files: list[str] | None = None) -> int:
    """Start the program and return when its window is closed.

    Parameters
    ----------
    files : list of str, optional
        Files and folders to open.

    Returns
    -------
    int
        Exit code.
    """
    multiprocessing.freeze_support()
    from sofia_app.models.preferences import Preferences
    from sofia_viewers.qt import QtCore, start_application
    from sofia_viewers.theme import apply_theme

    application = start_application()
    preferences = Preferences.load()
    if preferences.session_folder:
        os.environ.setdefault("SOFIA_DESK_SESSIONS", preferences.session_folder)
    apply_theme(application, preferences.theme)

    from sofia_app.crash_guard import CrashGuard
    from sofia_app.desk import Desk
    from sofia_app.file_events import FileEvents
    from sofia_app.window import MainWindow

    desk = Desk(preferences=preferences)
    window = MainWindow(desk)
    window.apply_preferences()
    window.show()
    guard = CrashGuard(desk, window)
    FileEvents(application, desk.open_paths)
    QtCore.QTimer.singleShot(0, guard.start)
    QtCore.QTimer.singleShot(0, desk.start)
    QtCore.QTimer.singleShot(0, window.prepare_viewers)
    QtCore.QTimer.singleShot(0, window.offer_interrupted)
    QtCore.QTimer.singleShot(2000, window.look_for_update)
    if files:
        QtCore.QTimer.singleShot(0, lambda: desk.open_paths(files))
    code = int(application.exec())
    guard.stop()
    return code
