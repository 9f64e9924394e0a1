"""What all viewers do alike: take files that are dropped, say what went wrong, end their work when they are closed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sofia_viewers.qt import QtGui, QtWidgets, Signal
from sofia_viewers.tasks import Tasks

__all__ = ["ViewerShell"]


class ViewerShell(QtWidgets.QWidget):
    """Base of the viewers.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.
    n_threads : int
        Most threads of its `tasks` at a time.
    """

    failed = Signal(str)
    """A sentence that says what could not be done."""
    status: QtWidgets.QLabel
    """The line that sentences are shown in; made by each viewer."""

    def __init__(self, parent: QtWidgets.QWidget | None = None, n_threads: int = 2) -> None:
        super().__init__(parent)
        self.tasks = Tasks(self, n_threads)
        self._problems: list[str] = []
        self.setAcceptDrops(True)

    def open_files(self, paths: Sequence[str | Path]) -> None:
        """Open files."""
        raise NotImplementedError

    def problems(self) -> list[str]:
        """Return what could not be shown, one sentence each."""
        return list(self._problems)

    def can_export(self) -> bool:
        """Tell whether there is something to write."""
        raise NotImplementedError

    def say(self, text: str, role: str = "") -> None:
        """Show a sentence in the status line.

        Parameters
        ----------
        text : str
            The sentence.
        role : str
            Look of it in the theme: ``error``, ``muted``, or empty.
        """
        self.status.setText(text)
        self.status.setProperty("role", role)
        self.status.style().polish(self.status)

    def shut_down(self) -> None:
        """Stop timers and threads; call it before the viewer is deleted without having been closed."""
        self.tasks.close()

    def _report(self, message: str) -> None:
        self._problems.append(message)
        self.say(message, "error")
        self.failed.emit(message)

    def dragEnterEvent(self, event: QtGui.QDragEnterEvent) -> None:  # noqa: N802 - Qt's name
        """Accept files."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QtGui.QDropEvent) -> None:  # noqa: N802 - Qt's name
        """Open the files that were dropped."""
        event.acceptProposedAction()
        self.open_files([url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()])

    def closeEvent(self, event: QtGui.QCloseEvent) -> None:  # noqa: N802 - Qt's name
        """Stop all work and wait for it."""
        self.shut_down()
        super().closeEvent(event)
