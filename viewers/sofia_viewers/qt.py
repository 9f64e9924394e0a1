"""The one place where Qt and pyqtgraph are imported; everything else takes them from here.

pyqtgraph costs most of a second, so ``pg`` is imported when first asked for.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, Any

os.environ.setdefault("QT_API", "pyside6")
os.environ.setdefault("PYQTGRAPH_QT_LIB", "PySide6")

try:
    from PySide6 import QtCore, QtGui, QtSvg, QtWidgets
except ImportError as error:  # pragma: no cover - depends on the installation
    raise ImportError(
        "The windows need Qt: install them with  pip install 'sofia-desk[gui]'  and try again."
    ) from error

if TYPE_CHECKING:
    import pyqtgraph as pg

Qt = QtCore.Qt
Signal = QtCore.Signal
Slot = QtCore.Slot

_CORRECTED_HEADER = r"'\w+' made the change"
"""What astropy says of coordinates whose dates or units it completes."""

__all__ = ["Qt", "QtCore", "QtGui", "QtSvg", "QtWidgets", "Signal", "Slot", "make_types", "pg", "start_application"]


def __getattr__(name: str) -> Any:
    if name != "pg":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    pg = importlib.import_module("pyqtgraph")
    pg.setConfigOptions(imageAxisOrder="row-major", antialias=True, useOpenGL=False, exitCleanup=False)
    globals()["pg"] = pg
    return pg


@lru_cache(maxsize=1)
def make_types() -> None:
    """Make Python's types of all of Qt, in the thread of the windows.

    PySide makes a type when it is first asked for, and pyqtgraph asks for all when it is imported: half of the time
    that takes can be spent here, in a turn of the event loop of its own.
    """
    for module in (QtCore, QtGui, QtWidgets, QtSvg):
        for name in dir(module):
            getattr(module, name)


def _pass_message_on(kind: Any, context: Any, message: str) -> None:  # noqa: ARG001 - Qt's signature
    """Write Qt's messages to standard error, but for what every drawing without a screen says."""
    if not message.startswith("This plugin does not support"):
        sys.stderr.write(f"{message}\n")


def start_application(*, offscreen: bool = False) -> QtWidgets.QApplication:
    """Return the application object, made if there is none; Python's garbage is then searched in this thread only.

    Parameters
    ----------
    offscreen : bool
        Draw without a screen; has no effect if an application exists already.
    """
    existing = QtWidgets.QApplication.instance()
    if isinstance(existing, QtWidgets.QApplication):
        return existing
    if offscreen:
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
        QtCore.qInstallMessageHandler(_pass_message_on)
    application = QtWidgets.QApplication(["sofia-desk"])
    application.setApplicationName("sofia-desk")
    application.setApplicationDisplayName("SOFIA Desk")
    # threads that read files turn such warnings off one beside the other, so that single ones pass between them
    warnings.filterwarnings("ignore", message=_CORRECTED_HEADER)
    from sofia_viewers.garbage import search_in_window_thread

    search_in_window_thread(application)
    return application
