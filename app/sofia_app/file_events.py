"""Files that the system asks a running program to open, as macOS does at a double-click on a document."""

from __future__ import annotations

from collections.abc import Callable

from sofia_viewers.qt import QtCore, QtGui

__all__ = ["FileEvents"]

_GATHERING = 200
"""Milliseconds in which files are taken to be opened together: each comes in an event of its own."""


class FileEvents(QtCore.QObject):
    """Passes on the files of the system's requests, those of one double-click together.

    Parameters
    ----------
    application : QCoreApplication
        Gets the requests.
    open_paths : callable
        Called with a list of paths.
    """

    def __init__(self, application: QtCore.QCoreApplication, open_paths: Callable[[list[str]], object]) -> None:
        super().__init__(application)
        self._open_paths = open_paths
        self._paths: list[str] = []
        self._timer = QtCore.QTimer(self, singleShot=True, interval=_GATHERING)
        self._timer.timeout.connect(self._pass_on)
        application.installEventFilter(self)

    def eventFilter(self, watched: QtCore.QObject, event: QtCore.QEvent) -> bool:  # noqa: N802
        """Keep the file of a request."""
        if isinstance(event, QtGui.QFileOpenEvent) and event.file():
            self._paths.append(event.file())
            self._timer.start()
            return True
        return super().eventFilter(watched, event)

    def _pass_on(self) -> None:
        paths, self._paths = self._paths, []
        self._open_paths(paths)
