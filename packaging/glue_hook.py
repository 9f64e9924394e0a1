"""Run at the start of the frozen program: glue-qt names two modules of Qt Quick that it does not use here.

They would bring 275 MB with them; empty ones take their place.
"""

import sys
from types import ModuleType

for _name in ("PySide6.QtQml", "PySide6.QtQuick"):
    sys.modules.setdefault(_name, ModuleType(_name))
