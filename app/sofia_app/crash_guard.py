"""What happens when something goes wrong that nobody foresaw: a report in a file, a dialog, and the program goes on."""

from __future__ import annotations

import faulthandler
import sys
import threading
from contextlib import suppress
from types import TracebackType
from typing import IO

from sofia_app.desk import Desk, ErrorReport
from sofia_app.models.crash import CrashReports, describe_error
from sofia_app.window import MainWindow
from sofia_viewers.qt import QtCore, Signal, Slot

__all__ = ["CrashGuard"]

_MOST_DIALOGS = 3


class CrashGuard(QtCore.QObject):
    """Catches errors that nobody handled, in all threads, for as long as the program runs.

    Parameters
    ----------
    desk : Desk
        Has the log.
    window : MainWindow
        Shows what is said.
    reports : CrashReports, optional
        Where the reports go.
    """

    _happened = Signal(object)

    def __init__(self, desk: Desk, window: MainWindow, reports: CrashReports | None = None) -> None:
        super().__init__(window)
        self.desk, self.window = desk, window
        self.reports = reports or CrashReports()
        self._seen: set[tuple[str, int]] = set()
        self._native: IO[str] | None = None
        self._was_enabled = False
        self._before = sys.excepthook, threading.excepthook
        self._happened.connect(self._tell)

    def start(self) -> None:
        """Begin to catch; say what an earlier run left."""
        sys.excepthook = self._catch
        threading.excepthook = lambda event: self._catch(event.exc_type, event.exc_value, event.exc_traceback)
        with suppress(OSError):
            left = self.reports.collect_native()
            self.reports.folder.mkdir(parents=True, exist_ok=True)
            self._native = self.reports.native.open("w", encoding="utf-8")
            self._was_enabled = faulthandler.is_enabled()
            faulthandler.enable(self._native)
            if left is not None:
                self.desk.log_line("warning", f"The program was ended by an error; a report of it is in {left}")

    def stop(self) -> None:
        """End it; nothing is left of a run that ended well."""
        sys.excepthook, threading.excepthook = self._before
        if self._native is not None:
            if self._was_enabled:
                faulthandler.enable(sys.__stderr__ or sys.stderr)
            else:
                faulthandler.disable()
            self._native.close()
            self._native = None
            self.reports.native.unlink(missing_ok=True)

    def _catch(self, kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt) or error is None:
            self._before[0](kind, error or kind(), trace)
            return
        self._happened.emit(error)  # handled in the thread of the window

    @Slot(object)
    def _tell(self, error: BaseException) -> None:
        """Write the report, and show it once for each place in the code."""
        lines = [entry.text for entry in self.desk.log.shown[-100:]]
        text = describe_error(error, lines)
        where = "it could not be stored"
        with suppress(OSError):
            where = f"it is in {self.reports.write(text)}"
        self.desk.log_line("error", f"Something went wrong that nobody foresaw ({type(error).__name__}: {error}).")
        place = _find_place(error)
        if place in self._seen or len(self._seen) >= _MOST_DIALOGS:
            return
        self._seen.add(place)
        cause = (
            f"Something went wrong that nobody foresaw: {type(error).__name__}: {error}\n\n"
            "Your reduction is safe: all finished steps are stored. The program goes on; if it behaves oddly, start it "
            f"again. A report was made, nothing was sent; {where}."
        )
        self.window.show_error(ErrorReport("Unforeseen error", cause, details=text))


def _find_place(error: BaseException) -> tuple[str, int]:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return (trace.tb_frame.f_code.co_filename, trace.tb_lineno) if trace is not None else (repr(error), 0)
