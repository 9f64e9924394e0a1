"""``sofia-desk cube``: the cube explorer as a program of its own."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

__all__ = ["add_arguments", "run"]

_SIZE = (1400, 900)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the cube explorer to a parser."""
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="FITS cubes")
    parser.add_argument(
        "--export", type=Path, metavar="FILE", help="write a picture (.png, .pdf, .svg) without a window"
    )
    parser.add_argument("--wave", type=float, metavar="UM", help="wavelength of the slice to begin with, μm")
    parser.add_argument(
        "--region",
        action="append",
        default=[],
        metavar="SHAPE",
        help="aperture as in DS9 region files, in image pixels or on the sky: 'circle(14,12,3)'",
    )
    parser.add_argument("--width", type=int, default=_SIZE[0], metavar="PX", help=f"width (default {_SIZE[0]})")
    parser.add_argument("--height", type=int, default=_SIZE[1], metavar="PX", help=f"height (default {_SIZE[1]})")
    parser.add_argument("--theme", choices=("system", "dark", "light"), default="system", help="look of the window")


def run(arguments: argparse.Namespace) -> int:
    """Show the cubes, or write the picture; return 0, 1 if something could not be shown, 2 for a wrong option."""
    from sofia_viewers.qt import QtGui, QtWidgets, start_application
    from sofia_viewers.standalone import run_viewer

    if arguments.export is not None and not arguments.files:
        sys.stderr.write("Nothing to export: name at least one file with a cube.\n")
        return 2
    regions = _read_shapes(arguments.region)
    start_application(offscreen=arguments.export is not None)

    def make() -> QtWidgets.QWidget:
        from sofia_viewers.cube.viewer import CubeViewer

        viewer = CubeViewer()
        QtGui.QShortcut(QtGui.QKeySequence(QtGui.QKeySequence.StandardKey.Quit), viewer, viewer.close)
        if arguments.export is not None:
            viewer.show_views_only()
        if arguments.files:
            viewer.open_files(arguments.files, then=lambda: viewer.begin_with(arguments.wave, regions))
        return viewer

    size = (max(arguments.width, 64), max(arguments.height, 64))
    return run_viewer(make, title="Cubes – SOFIA Desk", size=size, export=arguments.export, theme=arguments.theme)


def _read_shapes(texts: list[str]) -> str:
    """Return regions as the text of a region file.

    Raises
    ------
    ParameterError
        If one is not a region.
    """
    from sofia_engine.errors import ParameterError
    from sofia_viewers.image.regions import SHAPES

    for text in texts:
        shape = text.rpartition(";")[2].strip().partition("(")[0].lower()
        if shape not in SHAPES or not text.strip().endswith(")"):
            raise ParameterError(f"region = '{text}' is no region; give for example circle(14,12,3).")
    return "\n".join(text if ";" in text else f"image;{text}" for text in texts)
