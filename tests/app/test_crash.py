"""Errors that nobody foresaw: a report on this computer, a dialog, and the program goes on."""

import os
import subprocess
import sys
import threading

import pytest

from sofia_app.models.crash import CrashReports, describe_error, describe_surroundings


def fail(text="boom"):
    raise ValueError(text)


@pytest.fixture
def error():
    try:
        fail()
    except ValueError as caught:
        return caught


def test_that_a_report_holds_versions_the_error_and_the_last_lines_of_the_log(error):
    text = describe_error(error, [f"line {n}" for n in range(100)])
    assert "SOFIA Desk" in text
    assert "numpy" in describe_surroundings()
    assert "ValueError: boom" in text
    assert "in fail" in text
    assert "line 99" in text
    assert "line 10\n" not in text


def test_that_the_latest_ten_reports_are_kept(tmp_path):
    reports = CrashReports(tmp_path / "reports")
    written = [reports.write(f"report {n}") for n in range(14)]
    left = sorted(reports.folder.glob("report-*.txt"))
    assert left == written[-10:]


def test_that_the_end_by_a_compiled_library_is_reported_at_the_next_start(tmp_path):
    reports = CrashReports(tmp_path)
    code = (
        "import faulthandler, os, sys\n"
        f"faulthandler.enable(open({str(tmp_path / 'native-1.txt')!r}, 'w'))\n"
        "os.abort()\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False)
    assert ended.returncode != 0
    (tmp_path / "native-2.txt").touch()  # of a program that still runs
    report = reports.collect_native()
    assert "Abort" in report.read_text()
    assert sorted(path.name for path in tmp_path.glob("native-*")) == ["native-2.txt"]
    assert reports.collect_native() is None


@pytest.fixture
def guard(qtbot, tmp_path):
    from sofia_app.crash_guard import CrashGuard
    from sofia_app.desk import Desk
    from sofia_app.window import MainWindow

    desk = Desk()
    window = MainWindow(desk)
    qtbot.addWidget(window)
    window.show()
    guard = CrashGuard(desk, window, CrashReports(tmp_path / "reports"))
    guard.start()
    yield guard
    guard.stop()
    window.close()


def shown(guard):
    from sofia_app.views.dialogs import ErrorDialog

    return [dialog for dialog in guard.window.findChildren(ErrorDialog) if dialog.isVisible()]


def test_that_an_error_in_the_window_is_told_once_and_the_program_goes_on(guard, qtbot, tmp_path):
    from sofia_viewers.qt import QtCore

    for _ in range(3):
        QtCore.QTimer.singleShot(0, fail)
    qtbot.waitUntil(lambda: len(list((tmp_path / "reports").glob("report-*"))) == 3, timeout=60_000)
    (dialog,) = shown(guard)
    assert "Your reduction is safe" in dialog.report.cause
    assert "ValueError: boom" in dialog.report.text
    dialog.close()
    assert guard.window.isVisible()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_that_an_error_in_a_thread_is_told(guard, qtbot):
    thread = threading.Thread(target=fail, args=("in a thread",))
    thread.start()
    thread.join(10)
    qtbot.waitUntil(lambda: len(shown(guard)) == 1, timeout=60_000)
    assert "in a thread" in shown(guard)[0].report.cause


def test_that_nothing_is_left_of_a_run_that_ended_well(guard, tmp_path):
    native = guard.reports.native
    assert native.exists()
    assert str(os.getpid()) in native.name
    guard.stop()
    assert not native.exists()
    assert sys.excepthook is not guard._catch
