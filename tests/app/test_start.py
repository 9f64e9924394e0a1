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
