"""Files that the system asks the running program to open."""

from sofia_app.file_events import FileEvents
from sofia_viewers.qt import QtCore, QtGui


def test_that_files_of_one_double_click_are_opened_together(qtbot, qapp):
    asked = []
    events = FileEvents(qapp, asked.append)
    try:
        for name in ("/data/one.fits", "/data/two.fits"):
            QtCore.QCoreApplication.sendEvent(qapp, QtGui.QFileOpenEvent(name))
        qtbot.waitUntil(lambda: bool(asked), timeout=60_000)
        assert asked == [["/data/one.fits", "/data/two.fits"]]
        QtCore.QCoreApplication.sendEvent(qapp, QtGui.QFileOpenEvent("/data/three.fits"))
        qtbot.waitUntil(lambda: len(asked) > 1, timeout=60_000)
        assert asked[1] == ["/data/three.fits"]
    finally:
        qapp.removeEventFilter(events)
