"""Reports of errors that nobody foresaw: a file on this computer, sent nowhere."""

from __future__ import annotations

import os
import platform
import sys
import time
import traceback
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path

from sofia_engine import __version__

__all__ = ["CrashReports", "describe_error", "describe_surroundings", "reports_folder"]

_KEPT = 10
_LOG_LINES = 40
_FORGOTTEN = 7 * 24 * 3600.0
_LIBRARIES = ("numpy", "scipy", "astropy", "PySide6-Essentials", "pyqtgraph", "numba", "glue-core")


def reports_folder() -> Path:
    """Return the folder of the reports: below SOFIA_DESK_CONFIG, or one among the user's logs."""
    named = os.environ.get("SOFIA_DESK_CONFIG")
    if named:
        return Path(named).expanduser() / "reports"
    import platformdirs

    return Path(platformdirs.user_log_dir("sofia-desk", appauthor=False)) / "reports"


def describe_surroundings() -> str:
    """Return the versions of the program, its libraries and the system."""
    kind = "installed program" if getattr(sys, "frozen", False) else "Python package"
    lines = [
        f"SOFIA Desk {__version__} ({kind})",
        f"{platform.platform()}, Python {platform.python_version()}",
        ", ".join(f"{name} {version}" for name in _LIBRARIES if (version := _find_version(name))),
    ]
    return "\n".join(lines)


def _find_version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def describe_error(error: BaseException, log: Sequence[str] = ()) -> str:
    """Return the text of a report: versions, the error, and the last lines of the log.

    Parameters
    ----------
    error : BaseException
        The error.
    log : sequence of str
        Lines of the log; the last ones are taken.
    """
    return _compose("".join(traceback.format_exception(error)), log)


def _compose(story: str, log: Iterable[str]) -> str:
    lines = list(log)[-_LOG_LINES:]
    parts = [time.strftime("%Y-%m-%d %H:%M:%S"), describe_surroundings(), story.rstrip()]
    if lines:
        parts.append("Last lines of the log:\n" + "\n".join(lines))
    return "\n\n".join(parts) + "\n"


class CrashReports:
    """The reports on this computer; the latest ten are kept.

    Parameters
    ----------
    folder : Path, optional
        Where they lie.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or reports_folder()

    @property
    def native(self) -> Path:
        """File into which the interpreter writes when it is ended by an error in a compiled library."""
        return self.folder / f"native-{os.getpid()}.txt"

    def write(self, text: str) -> Path:
        """Write a report.

        Raises
        ------
        OSError
            If that cannot be done.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        seconds, rest = divmod(time.time_ns(), 1_000_000_000)
        stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(seconds))
        path = self.folder / f"report-{stamp}-{rest // 1000:06d}.txt"  # names are in the order of time
        path.write_text(text, encoding="utf-8")
        for old in sorted(self.folder.glob("report-*.txt"))[:-_KEPT]:
            old.unlink(missing_ok=True)
        return path

    def collect_native(self) -> Path | None:
        """Make a report of what earlier runs left when a compiled library ended them; None if there is nothing."""
        found = None
        for path in sorted(self.folder.glob("native-*.txt")):
            story = path.read_text(encoding="utf-8", errors="replace")
            if story.strip():  # that of a program that still runs is empty
                found = self.write(_compose("The program was ended by an error in a compiled library.\n\n" + story, ()))
                path.unlink(missing_ok=True)
            elif time.time() - path.stat().st_mtime > _FORGOTTEN:
                path.unlink(missing_ok=True)
        return found
