"""A whole glue session in a process of its own: ``python -m sofia_viewers.cube.glue_session DESCRIPTION.json``.

glue-qt takes seconds to import, changes settings of the application and can leave threads running when it ends; in a
process of its own none of this touches our windows. The data sets, links and selections are those of the explorer.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sofia_engine.errors import InputError, SofiaDeskError, StepError

__all__ = ["INSTALL_GLUE", "has_glue", "main", "start_glue", "write_description"]

INSTALL_GLUE = (
    "glue is not installed here: type  python -m pip install glue-qt  in the environment of SOFIA Desk, then try again."
)
_SIZE = (700, 520)


def has_glue() -> bool:
    """Whether the glue application can be started."""
    return find_spec("glue_qt") is not None and find_spec("glue") is not None


def write_description(plain: dict[str, Any], folder: str | Path | None = None) -> Path:
    """Write what `LinkedData.describe` gave to a file that the process removes when it has read it."""
    handle, name = tempfile.mkstemp(".json", "sofia_desk_glue_", folder)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        json.dump(plain, stream)
    return Path(name)


def start_glue(plain: dict[str, Any]) -> subprocess.Popen[bytes]:
    """Start glue with data sets and selections.

    Raises
    ------
    StepError
        If glue is not installed, or there is nothing to show.
    """
    if not has_glue():
        raise StepError(INSTALL_GLUE)
    if not plain["data"]:
        raise StepError("There is nothing to open in glue: open a cube first.")
    path = write_description(plain)
    return subprocess.Popen([sys.executable, "-m", __spec__.name, str(path)])  # noqa: S603 - our own module


def main(words: list[str] | None = None) -> int:
    """Show a description in glue until its window is closed; return 0, or 1 if it could not be shown."""
    parser = argparse.ArgumentParser(prog="glue_session", description=__doc__)
    parser.add_argument("description", type=Path)
    parser.add_argument("--close-after", type=float, metavar="S", help="close the window after so many seconds")
    parser.add_argument("--keep", action="store_true", help="do not remove the description")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write what is shown as JSON before --close-after")
    arguments = parser.parse_args(words)
    try:
        text = arguments.description.read_text(encoding="utf-8")
        if not arguments.keep:
            arguments.description.unlink()
        return _show(text, arguments.close_after, arguments.report)
    except (SofiaDeskError, OSError) as error:
        sys.stderr.write(f"ERROR: {error}\n")
        return 1


def _show(text: str, close_after: float | None, report: Path | None) -> int:
    if not has_glue():
        raise InputError(INSTALL_GLUE)
    os.environ.setdefault("QT_API", "pyside6")
    from sofia_viewers.qt import QtCore, start_application

    application = start_application()
    from glue_qt.app import GlueApplication

    from sofia_viewers.cube.links import read_description

    linked = read_description(text)
    window = GlueApplication(linked.collection)
    viewers = _open_viewers(window, linked)
    window.setWindowTitle("glue – SOFIA Desk")

    def finish() -> None:
        if report is not None:
            report.write_text(json.dumps(_report(linked, viewers)), encoding="utf-8")
        window.close()

    if close_after is not None:
        QtCore.QTimer.singleShot(int(1000 * close_after), finish)
    window.start(maximized=close_after is None)
    application.processEvents()
    return 0


def _open_viewers(window: Any, linked: Any) -> list[Any]:
    """Open an image for each data set on the sky, and the profile of each cube; they have the selections as layers."""
    from glue_qt.viewers.image import ImageViewer
    from glue_qt.viewers.profile import ProfileViewer

    opened = []
    for key, data in linked.data.items():
        if data.ndim == 1:
            continue
        opened.append(window.new_data_viewer(ImageViewer, data=data))
        if linked.sources[key].kind == "cube":
            profile = window.new_data_viewer(ProfileViewer, data=data)
            profile.state.function = "mean"
            opened.append(profile)
    for number, viewer in enumerate(opened):
        viewer.viewer_size = _SIZE
        viewer.position = (30 + _SIZE[0] * (number % 2), 30 + _SIZE[1] * (number // 2))
    return opened


def _report(linked: Any, viewers: list[Any]) -> dict[str, Any]:
    """Return what is shown: data sets, links, members of each selection, layers of each viewer."""
    return {
        "data": [data.label for data in linked.collection],
        "links": len(linked.collection.external_links),
        "selections": {name: linked.count_members(name) for name in linked.selections},
        "viewers": [[layer.layer.label for layer in viewer.layers] for viewer in viewers],
    }


if __name__ == "__main__":
    sys.exit(main())
