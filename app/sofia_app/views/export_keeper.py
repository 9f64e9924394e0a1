"""Lists the files that are written from the views in the folder of the session."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from sofia_app.models.exports import ExportRecord, append_record, describe_file, read_records
from sofia_viewers.export import export_events
from sofia_viewers.qt import QtCore, Signal

if TYPE_CHECKING:
    from sofia_app.window import MainWindow

__all__ = ["ExportKeeper"]


class ExportKeeper(QtCore.QObject):
    """Writes down what is exported while a session is open.

    Parameters
    ----------
    window : MainWindow
        Its desk knows the session, and the state that is shown.
    """

    changed = Signal(object)
    """The `ExportRecord` of all files."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._desk = window.desk
        self._session = ""
        self.records: tuple[ExportRecord, ...] = ()
        export_events().written.connect(self.note)

    def begin(self, session: str) -> None:
        """List the exports of another session from now on."""
        self._session, self.records = session, ()
        self.changed.emit(self.records)
        if session:
            self._desk.tasks.submit("exports", lambda: read_records(Path(session)), self._take)

    def note(self, path: str) -> None:
        """Write down a file; one that is told twice is written down once."""
        reduction = self._desk.reduction
        if reduction.snapshot is None or reduction.snapshot.session != self._session:
            return
        state = reduction.states.get(self._desk.shown_state)
        with contextlib.suppress(OSError):  # the file, or the session, is gone
            record = describe_file(Path(path), self._desk.shown_state, state.label if state is not None else "")
            if record in self.records:
                return
            append_record(Path(self._session), record)
            self.records = (*self.records, record)
            self.changed.emit(self.records)

    def _take(self, read: tuple[ExportRecord, ...]) -> None:
        self.records = (*read, *(record for record in self.records if record not in read))
        self.changed.emit(self.records)
