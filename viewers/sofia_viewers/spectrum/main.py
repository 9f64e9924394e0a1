"""``sofia-desk spectrum``: the spectrum viewer as a program of its own."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

__all__ = ["add_arguments", "run"]

_SIZE = (1200, 800)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the spectrum viewer to a parser."""
    parser.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="FITS, ECSV, CSV, VOTable, ASDF or text files"
    )
    parser.add_argument(
        "--export", type=Path, metavar="FILE", help="write a picture (.png, .pdf, .svg) without a window"
    )
    parser.add_argument("--panes", type=int, default=1, metavar="N", help="spread the files over N panes (default 1)")
    parser.add_argument("--width", type=int, default=_SIZE[0], metavar="PX", help="width (default 1200)")
    parser.add_argument("--height", type=int, default=_SIZE[1], metavar="PX", help="height (default 800)")
    parser.add_argument("--theme", choices=("system", "dark", "light"), default="system", help="look of the window")


def run(arguments: argparse.Namespace) -> int:
    """Show the files, or write the picture; return 0, 1 if something could not be shown, 2 for a wrong option."""
    from sofia_viewers.qt import QtWidgets, start_application
    from sofia_viewers.standalone import run_viewer

    if arguments.export is not None and not arguments.files:
        sys.stderr.write("Nothing to export: name at least one file with a spectrum.\n")
        return 2
    start_application(offscreen=arguments.export is not None)

    def make() -> QtWidgets.QWidget:
        from sofia_viewers.spectrum.viewer import SpectrumViewer

        viewer = SpectrumViewer()
        if arguments.files:
            viewer.open_files(arguments.files, panes=max(arguments.panes, 1))
        return viewer

    size = (max(arguments.width, 64), max(arguments.height, 64))
    return run_viewer(make, title="Spectra – SOFIA Desk", size=size, export=arguments.export, theme=arguments.theme)
