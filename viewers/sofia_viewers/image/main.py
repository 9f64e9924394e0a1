"""``sofia-desk image``: the image viewer as a program of its own."""

from __future__ import annotations

import argparse
from pathlib import Path

from sofia_viewers.image.display import STRETCHES, LimitsRule

__all__ = ["add_arguments", "run"]

_SIZE = (1200, 800)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the image viewer to a parser."""
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="FITS files, and region files (.reg)")
    parser.add_argument(
        "--export", type=Path, metavar="FILE", help="write a picture (.png, .pdf, .svg) without a window"
    )
    parser.add_argument("--plane", default="first", metavar="NAME", help="name or number of the HDU, S/N, all, or cube")
    parser.add_argument(
        "--stretch", choices=STRETCHES, default="linear", help="from values to colours (default linear)"
    )
    parser.add_argument(
        "--limits", default="", metavar="RULE", help="zscale, zmax, minmax, a percentage such as 99.5%%, or low,high"
    )
    parser.add_argument("--cmap", default="", metavar="NAME", help="colour map, of DS9 or matplotlib; _r inverts")
    parser.add_argument("--width", type=int, default=_SIZE[0], metavar="PX", help="width (default 1200)")
    parser.add_argument("--height", type=int, default=_SIZE[1], metavar="PX", help="height (default 800)")
    parser.add_argument("--regions", type=Path, metavar="FILE", help="DS9 region file to draw")
    parser.add_argument(
        "--overlay",
        default="",
        metavar="NAMES",
        help="grid, compass, scale_bar, beam, contours, vectors, flags: those to show, separated by commas",
    )
    parser.add_argument("--theme", choices=("system", "dark", "light"), default="system", help="look of the window")


def run(arguments: argparse.Namespace) -> int:
    """Show the files, or write the picture; return 0, or 1 if something could not be shown.

    Raises
    ------
    ParameterError
        If an option has a value that is not allowed.
    InputError
        If there is nothing to export.
    """
    from sofia_engine.errors import InputError
    from sofia_viewers.colormaps import make_color_table
    from sofia_viewers.qt import QtWidgets, start_application
    from sofia_viewers.standalone import run_viewer

    values: dict[str, object] = {"stretch": arguments.stretch}
    if arguments.limits:
        values["rule"] = LimitsRule.parse(arguments.limits)
    if arguments.cmap:
        make_color_table(arguments.cmap, 2)
        values["color_map"] = arguments.cmap
    overlays = _read_overlays(arguments.overlay)
    if arguments.export is not None and not arguments.files:
        raise InputError("Nothing to export: name at least one FITS file.")
    start_application(offscreen=arguments.export is not None)

    def make() -> QtWidgets.QWidget:
        from sofia_viewers.image.viewer import ImageViewer

        viewer = ImageViewer()
        if arguments.export is not None:
            viewer.show_area_only()
        viewer.set_default_display(**values)
        if arguments.plane != "first":
            viewer.display_settings = viewer.display_settings.with_values(extension=arguments.plane)
        if overlays:
            viewer.overlays.change(**dict.fromkeys(overlays, True))
            viewer.overlay_panel.show_options()
        extra = [arguments.regions] if arguments.regions else []
        if arguments.files or extra:
            viewer.open_files([*arguments.files, *extra])
        return viewer

    size = (max(arguments.width, 64), max(arguments.height, 64))
    return run_viewer(make, title="Images – SOFIA Desk", size=size, export=arguments.export, theme=arguments.theme)


def _read_overlays(text: str) -> list[str]:
    from sofia_engine.errors import ParameterError
    from sofia_engine.pipeline.parameters import suggest

    known = ("header", "grid", "compass", "scale_bar", "beam", "color_bar", "contours", "vectors", "flags")
    names = [name.strip().replace("-", "_") for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise ParameterError(f"overlay = '{name}' is not known{suggest(name, known)}.")
    return names
