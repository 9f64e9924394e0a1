"""A whole glue session in a process of its own: ``sofia-desk show-in-glue DESCRIPTION.json``.

glue-qt takes seconds to import, changes settings of the application and can leave threads running when it ends; in a
process of its own none of this touches our windows. The data sets, links and selections are those of the explorer. The
same command opens FITS files, linked by their coordinates, and sessions that glue saved (``.glu``).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from sofia_engine.errors import InputError, SofiaDeskError, StepError
from sofia_engine.helper_process import program_command

__all__ = [
    "COMMAND", "INSTALL_GLUE", "PREFIX", "TEMPORARY", "GlueProcess", "has_glue", "main", "start_glue",
    "write_description",
]  # fmt: skip

COMMAND = "show-in-glue"
"""Word of the command line that begins the process."""

INSTALL_GLUE = (
    "glue is not installed here: type  python -m pip install glue-qt  in the environment of SOFIA Desk, then try again."
)
TEMPORARY = "temporary"
"""Key of a description: the folder that is removed with it."""
PREFIX = "sofia_desk_glue_"
"""How the names of temporary files and folders begin."""
_ERROR = "ERROR: "
_SHOWN = "glue is shown"
_SIZE = (700, 520)
_SESSION = ".glu"
_LOOK_AGAIN = 100
"""Milliseconds."""


def has_glue() -> bool:
    """Whether the glue application can be started."""
    return find_spec("glue_qt") is not None and find_spec("glue") is not None


def write_description(plain: dict[str, Any], folder: str | Path | None = None) -> Path:
    """Write what `LinkedData.describe` gave to a file that the process removes when it has read it."""
    handle, name = tempfile.mkstemp(".json", PREFIX, folder)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        json.dump(plain, stream)
    return Path(name)


@dataclass(eq=False)
class GlueProcess:
    """A process with a glue session.

    Parameters
    ----------
    process : Popen
        The process.
    messages : file
        What it writes to its standard error.
    """

    process: subprocess.Popen[bytes]
    messages: IO[bytes]

    @property
    def has_ended(self) -> bool:
        """Whether it has ended."""
        return self.process.poll() is not None

    def end(self) -> str:
        """Return why the window did not open, once the process has ended; empty if it did."""
        with self.messages:
            self.messages.seek(0)
            lines = self.messages.read().decode(errors="replace").splitlines()
        if not self.process.returncode or _SHOWN in lines:
            return ""
        told = next((line.removeprefix(_ERROR) for line in lines if line.startswith(_ERROR)), "")
        return told or f"glue ended before its window opened: {lines[-1] if lines else self.process.returncode}"


def start_glue(plain: dict[str, Any], words: Sequence[str] = ()) -> GlueProcess:
    """Start glue with data sets and selections, and with further words of the command line.

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
    messages = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the process has ended
    command = [*program_command(), COMMAND, str(path), *words]
    return GlueProcess(subprocess.Popen(command, stderr=messages), messages)  # noqa: S603 - our own program


def main(words: list[str] | None = None) -> int:
    """Show files in glue until its window is closed; return 0, or 1 if they could not be shown."""
    arguments = _make_parser().parse_args(words)
    try:
        if not has_glue():
            raise InputError(INSTALL_GLUE)
        return _show(arguments)
    except (SofiaDeskError, OSError) as error:
        sys.stderr.write(f"{_ERROR}{error}\n")
        return 1
    finally:
        if arguments.files[0].suffix == ".json" and not arguments.keep:
            _clean_up(arguments.files[0])


def _clean_up(description: Path) -> None:
    """Remove a description, and the folder that was made for data that were only in memory."""
    with contextlib.suppress(OSError, ValueError):
        folder = json.loads(description.read_text(encoding="utf-8")).get(TEMPORARY)
        if folder and Path(folder).name.startswith(PREFIX):
            shutil.rmtree(folder, ignore_errors=True)
    description.unlink(missing_ok=True)


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"sofia-desk {COMMAND}", description="Show files in glue.")
    parser.add_argument(
        "files", type=Path, nargs="+", help="one description (.json), one session of glue, or FITS files"
    )
    parser.add_argument("--close-after", type=float, metavar="S", help="close the window when it was shown for so long")
    parser.add_argument("--keep", action="store_true", help="do not remove the description")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write what is shown as JSON before --close-after")
    parser.add_argument("--save-session", type=Path, metavar="FILE", help="save the session before --close-after")
    return parser


def _show(arguments: argparse.Namespace) -> int:
    absent = next((file for file in arguments.files if not file.exists()), None)
    if absent is not None:
        raise InputError(f"{absent} does not exist.")
    os.environ.setdefault("QT_API", "pyside6")
    from sofia_viewers.qt import QtCore, start_application

    application = start_application()
    window = _open(arguments.files)
    window.setWindowTitle("glue – SOFIA Desk")

    def finish() -> None:
        if arguments.report is not None:
            from sofia_viewers.cube.glue_report import describe_session

            arguments.report.write_text(json.dumps(describe_session(window)), encoding="utf-8")
        if arguments.save_session is not None:
            window.save_session(str(arguments.save_session))
        window.close()

    QtCore.QTimer.singleShot(0, _tell_that_it_is_shown)
    if arguments.close_after is not None:
        _call_when_shown(window, arguments.close_after, finish)
    window.start(maximized=arguments.close_after is None)
    application.processEvents()
    return 0


def _call_when_shown(window: Any, seconds: float, work: Callable[[], None]) -> None:
    """Do something so many seconds after the window has come to the screen, which a busy machine takes long for."""
    from sofia_viewers.qt import QtCore

    handle = window.windowHandle()
    if handle is not None and handle.isExposed():
        QtCore.QTimer.singleShot(int(1000 * seconds), work)
    else:
        QtCore.QTimer.singleShot(_LOOK_AGAIN, lambda: _call_when_shown(window, seconds, work))


def _tell_that_it_is_shown() -> None:
    """Write a line to the true standard error; glue puts its log in the place of the other."""
    if sys.__stderr__ is not None:  # a program without a console has none
        sys.__stderr__.write(f"{_SHOWN}\n")
        sys.__stderr__.flush()


def _open(files: list[Path]) -> Any:
    """Return a window of glue with a session, with what a description says, or with the data of files."""
    from glue.core import DataCollection
    from glue_qt.app import GlueApplication

    if files[0].suffix == _SESSION:
        return GlueApplication.restore_session(str(files[0]), show=False)
    if files[0].suffix != ".json":
        window = GlueApplication(DataCollection())
        _load(window.data_collection, files)
        return window
    from sofia_viewers.cube.links import read_description

    linked = read_description(files[0].read_text(encoding="utf-8"))
    window = GlueApplication(linked.collection)
    _open_viewers(window, linked)
    return window


def _load(collection: Any, files: list[Path]) -> None:
    """Let glue read files, and link what has coordinates on the sky."""
    from glue.core.data_factories import load_data
    from glue.plugins.wcs_autolinking.wcs_autolinking import wcs_autolink

    for file in files:
        found = load_data(str(file))
        collection.extend(found if isinstance(found, list) else [found])
    for link in wcs_autolink(collection):
        collection.add_link(link)


def _open_viewers(window: Any, linked: Any) -> None:
    """Open an image for each data set on the sky, and the profile of each cube; they have the selections as layers."""
    from glue_qt.viewers.image import ImageViewer
    from glue_qt.viewers.profile import ProfileViewer

    opened = []
    for key, data in linked.data.items():
        if data.ndim == 1:
            continue
        opened.append(window.new_data_viewer(ImageViewer, data=data))
        opened[-1].state.slices = tuple(length // 2 for length in data.shape)
        if linked.sources[key].kind == "cube":
            profile = window.new_data_viewer(ProfileViewer, data=data)
            profile.state.function = "mean"
            opened.append(profile)
    for number, viewer in enumerate(opened):
        viewer.viewer_size = _SIZE
        viewer.position = (30 + _SIZE[0] * (number % 2), 30 + _SIZE[1] * (number // 2))


if __name__ == "__main__":
    sys.exit(main())
