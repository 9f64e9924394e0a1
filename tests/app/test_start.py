"""How long the program needs until its window is there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("PySide6")

_PROGRAM = """
import resource
from sofia_app.models.preferences import Preferences
from sofia_viewers.qt import start_application
from sofia_viewers.theme import apply_theme
application = start_application()
preferences = Preferences.load()
apply_theme(application, preferences.theme)
from sofia_app.desk import Desk
from sofia_app.window import MainWindow
window = MainWindow(Desk(preferences=preferences))
window.apply_preferences()
window.show()
application.processEvents()
assert window.isVisible()
used = resource.getrusage(resource.RUSAGE_SELF)
import sys
heavy = {"pyqtgraph", "matplotlib", "numba", "scipy.optimize", "photutils", "regions", "glue"} & set(sys.modules)
print(used.ru_utime + used.ru_stime, *sorted(heavy))
window.close()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="processor time is measured as Unix tells it")
def test_that_the_window_is_there_within_three_seconds_of_processor_time(tmp_path: Path) -> None:
    environment = os.environ | {
        "QT_QPA_PLATFORM": "offscreen",
        "SOFIA_DESK_SESSIONS": str(tmp_path / "sessions"),
        "SOFIA_DESK_CONFIG": str(tmp_path / "config"),
    }
    command = [sys.executable, "-W", "ignore", "-c", _PROGRAM]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    seconds, *heavy = done.stdout.split()
    assert float(seconds) < 3.0
    assert not heavy, "viewers and their libraries come on first use"


_SHARP = """
from sofia_app.desk import Desk
from sofia_app.models.preferences import Preferences
from sofia_app.window import MainWindow
from sofia_viewers.qt import QtGui, start_application
from sofia_viewers.theme import apply_theme
application = start_application()
apply_theme(application, "light")
window = MainWindow(Desk(preferences=Preferences(text_size=14)))
window.apply_preferences()
window.resize(1000, 700)
window.show()
application.processEvents()
picture = window.grab()
sharp = window.qactions["open_files"].icon().pixmap(window.size() / 50, 2.0)
print(picture.devicePixelRatio(), picture.width() / window.width(), sharp.width(), application.font().pointSize())
window.close()
"""


def test_that_the_window_is_drawn_with_all_pixels_of_a_fine_screen(tmp_path: Path) -> None:
    environment = os.environ | {
        "QT_QPA_PLATFORM": "offscreen",
        "QT_SCALE_FACTOR": "2",
        "SOFIA_DESK_SESSIONS": str(tmp_path / "sessions"),
        "SOFIA_DESK_CONFIG": str(tmp_path / "config"),
    }
    command = [sys.executable, "-W", "ignore", "-c", _SHARP]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    ratio, scale, icon, text = (float(word) for word in done.stdout.split())
    assert (ratio, scale, text) == (2.0, 2.0, 14.0)
    assert icon >= 28, "icons have enough pixels"
