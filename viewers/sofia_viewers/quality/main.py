"""The command ``sofia-desk quality``."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options.

    Parameters
    ----------
    parser : ArgumentParser
        Gets the options.
    """
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="FITS files, output folders or sessions")
    parser.add_argument(
        "--export", type=Path, metavar="FILE",
        help="write without a window: table and plot (.png, .pdf, .svg), the table (.csv, .ecsv, .vot), or a report "
        "(.html)",
    )  # fmt: skip
    parser.add_argument("--x", default="", metavar="COLUMN", help="horizontal axis of the plot (time, altitude, ...)")
    parser.add_argument("--y", default="", metavar="COLUMN", help="vertical axis of the plot (noise, fwhm, ...)")
    parser.add_argument("--group", default="", metavar="COLUMN", help="column that decides the colour of points")
    parser.add_argument("--tab", default="", metavar="NAME", help="tab to begin with: image, header, numbers, ...")
    parser.add_argument("--size", default="1400x900", metavar="WxH", help="size of window or picture, pixels")
    parser.add_argument("--theme", choices=("system", "dark", "light"), default="system", help="look")


def run(arguments: argparse.Namespace) -> int:
    """Show the viewer, or export from it; return the exit code.

    Raises
    ------
    ParameterError
        If an option has a value that is not allowed.
    """
    size = _parse_size(arguments.size)
    _check(arguments)
    from sofia_engine.errors import ParameterError
    from sofia_viewers.qt import QtWidgets
    from sofia_viewers.quality.viewer import QualityViewer
    from sofia_viewers.standalone import run_viewer

    def make() -> QtWidgets.QWidget:
        viewer = QualityViewer()
        try:
            viewer.tabs.setCurrentIndex(_find_tab(viewer.tabs, arguments))
        except ParameterError:
            viewer.close()
            viewer.deleteLater()
            raise
        if arguments.files:
            viewer.open_files(arguments.files)
        elif viewer.settings.folder and Path(viewer.settings.folder).is_dir():
            viewer.open_folder(viewer.settings.folder)
        chosen = (viewer.settings.x_column, viewer.settings.y_column, viewer.settings.group_column)
        given = (arguments.x, arguments.y, arguments.group)
        if any(given):
            viewer.plot.choose(*(new or old for new, old in zip(given, chosen, strict=True)))
        return viewer

    return run_viewer(make, title="SOFIA Desk: quality", size=size, export=arguments.export, theme=arguments.theme)


def _check(arguments: argparse.Namespace) -> None:
    from sofia_engine.errors import InputError, ParameterError
    from sofia_viewers.quality.metrics import COLUMNS

    for path in arguments.files:
        if not path.exists():
            raise InputError(f"{path}: there is no such file or folder.")
    for name in ("x", "y", "group"):
        value = getattr(arguments, name)
        if value and value not in COLUMNS and value != "#":
            raise ParameterError(f"--{name} {value} is not known; choose one of {', '.join(COLUMNS)}.")


def _find_tab(tabs: object, arguments: argparse.Namespace) -> int:
    from sofia_engine.errors import ParameterError

    names = [tabs.tabText(place).lower() for place in range(tabs.count())]  # type: ignore[attr-defined]
    wanted = "numbers" if arguments.export is not None else arguments.tab.lower() or "image"
    if wanted not in names:
        raise ParameterError(f"--tab {arguments.tab} is not known; choose one of {', '.join(names)}.")
    return names.index(wanted)


def _parse_size(text: str) -> tuple[int, int]:
    from sofia_engine.errors import ParameterError

    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError:
        width = height = 0
    if width <= 0 or height <= 0:
        raise ParameterError(f"--size {text} is not a size: give WIDTHxHEIGHT, such as 1400x900.")
    return width, height
