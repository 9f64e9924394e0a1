"""Which overlays are on, and putting them on the views."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from sofia_viewers.image.contours import ContourSettings, draw_contours
from sofia_viewers.image.decorations import (
    paint_beam,
    paint_color_bar,
    paint_compass,
    paint_flag_legend,
    paint_scale_bar,
    paint_vector_legend,
)
from sofia_viewers.image.drawing import Drawing
from sofia_viewers.image.frames import FrameEntry
from sofia_viewers.image.overlays import (
    Catalog,
    FlagOverlay,
    VectorCuts,
    VectorStyle,
    draw_catalog,
    draw_grid,
    draw_header_marks,
    draw_vectors,
    map_flags,
    read_beam,
    read_vectors,
)
from sofia_viewers.image.widget import FrameView
from sofia_viewers.tasks import Tasks
from sofia_viewers.theme import current_theme

__all__ = ["OverlayOptions", "Overlays"]


@dataclass(frozen=True, eq=False)
class OverlayOptions:
    """Which overlays are shown, and how.

    Parameters
    ----------
    header, grid, compass, scale_bar, beam, color_bar, flags, vectors, contours : bool
        Switches.
    grid_system : str
        Sky coordinates of the grid.
    contour_source : str
        Key of the frame whose contours are drawn on all; empty for each its own.
    contour_settings : ContourSettings
        How contours are made.
    cuts : VectorCuts or None
        Which polarization vectors; None for those of the header.
    vector_style : VectorStyle
        How they are drawn.
    catalogs : tuple of Catalog
        Tables of positions.
    """

    header: bool = True
    grid: bool = False
    compass: bool = False
    scale_bar: bool = False
    beam: bool = False
    color_bar: bool = True
    flags: bool = False
    vectors: bool = False
    contours: bool = False
    grid_system: str = "icrs"
    contour_source: str = ""
    contour_settings: ContourSettings = ContourSettings()  # noqa: RUF009 - a frozen value
    cuts: VectorCuts | None = None
    vector_style: VectorStyle = VectorStyle()  # noqa: RUF009 - a frozen value
    catalogs: tuple[Catalog, ...] = ()


class Overlays:
    """Computes overlays, the slow ones in threads, and hands them to the views.

    Parameters
    ----------
    tasks : Tasks
        Threads.
    """

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self.options = OverlayOptions()

    def change(self, **values: Any) -> None:
        """Change options; `apply` shows them."""
        self.options = replace(self.options, **values)

    def apply(self, entry: FrameEntry, view: FrameView, source: FrameEntry | None = None) -> None:
        """Put all overlays on a view.

        Parameters
        ----------
        entry : FrameEntry
            The frame of the view.
        view : FrameView
            Where they are drawn.
        source : FrameEntry, optional
            The frame whose contours are drawn; the frame itself if left out.
        """
        options, frame = self.options, entry.frame
        view.set_layer("header", draw_header_marks(frame.file.header, frame.shape) if options.header else ())
        self._submit("grid", entry, view, self._grid_work(entry))
        self._submit("contours", entry, view, self._contour_work(entry, source or entry))
        self._submit("catalog", entry, view, self._catalog_work(entry))
        self._apply_corners(entry, view)
        self._apply_flags(entry, view)
        self._apply_vectors(entry, view)

    def _submit(self, layer: str, entry: FrameEntry, view: FrameView, work: Callable[[], list[Drawing]] | None) -> None:
        key = f"{layer} {entry.key}"
        if work is None:
            view.set_layer(layer, ())
            self._tasks.submit(key, list, partial(_set_layer, view, entry, layer))
            return
        self._tasks.submit(key, work, partial(_set_layer, view, entry, layer))

    def _grid_work(self, entry: FrameEntry) -> Callable[[], list[Drawing]] | None:
        frame = entry.frame
        if not self.options.grid or frame.wcs is None:
            return None
        rows, columns = frame.shape
        bounds = (-0.5, columns - 0.5, -0.5, rows - 0.5)
        return partial(draw_grid, frame.wcs, bounds, self.options.grid_system, color=current_theme().muted)

    def _contour_work(self, entry: FrameEntry, source: FrameEntry) -> Callable[[], list[Drawing]] | None:
        if not self.options.contours:
            return None
        return partial(draw_contours, source.frame, entry.frame, source.display.limits, self.options.contour_settings)

    def _catalog_work(self, entry: FrameEntry) -> Callable[[], list[Drawing]] | None:
        catalogs = self.options.catalogs
        if not catalogs or entry.frame.wcs is None:
            return None
        return lambda: [drawing for catalog in catalogs for drawing in draw_catalog(catalog, entry.frame)]

    def _apply_corners(self, entry: FrameEntry, view: FrameView) -> None:
        options, frame = self.options, entry.frame
        beam = read_beam(frame) if options.beam else None
        on_sky = frame.wcs is not None
        view.set_corner(
            "scale bar",
            partial(paint_scale_bar, pixel_scale=frame.pixel_scale) if options.scale_bar and on_sky else None,
        )
        view.set_corner("compass", partial(paint_compass, frame=frame) if options.compass and on_sky else None)
        view.set_corner("beam", partial(paint_beam, beam=beam) if beam else None)
        self.apply_color_bar(entry, view)

    def apply_color_bar(self, entry: FrameEntry, view: FrameView) -> None:
        """Put the colour bar on a view; it follows the limits."""
        bar = partial(paint_color_bar, display=entry.display, unit=entry.frame.plane.unit)
        view.set_corner("color bar", bar if self.options.color_bar else None)

    def _apply_flags(self, entry: FrameEntry, view: FrameView) -> None:
        if not self.options.flags:
            view.set_flags(None)
            view.set_corner("flags", None)
            self._tasks.submit(f"flags {entry.key}", lambda: None, _ignore)
            return

        def work() -> FlagOverlay:
            mask = entry.frame.companion_image("mask")
            return map_flags(np.asarray(entry.frame.image), None if mask is None else np.asarray(mask))

        def done(flags: FlagOverlay) -> None:
            if view.frame is entry.frame:
                view.set_flags(flags.categories, [color for _, color, _ in flags.legend])
                view.set_corner("flags", partial(paint_flag_legend, legend=flags.legend))

        self._tasks.submit(f"flags {entry.key}", work, done)

    def _apply_vectors(self, entry: FrameEntry, view: FrameView) -> None:
        options, frame = self.options, entry.frame
        if not options.vectors or "POL DATA" not in frame.file.tables or frame.wcs is None:
            view.set_layer("vectors", ())
            view.set_corner("vectors", None)
            self._tasks.submit(f"vectors {entry.key}", lambda: None, _ignore)
            return

        def work() -> list[Drawing]:
            vectors = read_vectors(frame.file)
            return (
                []
                if vectors is None
                else draw_vectors(vectors, frame, options.cuts or vectors.cuts, options.vector_style)
            )

        def done(drawings: list[Drawing]) -> None:
            if view.frame is not frame:
                return
            count = sum(len(d.segments) for d in drawings if d.segments is not None)
            view.set_layer("vectors", drawings)
            legend = partial(
                paint_vector_legend, style=options.vector_style, pixel_scale=frame.pixel_scale, n_vectors=count
            )
            view.set_corner("vectors", legend)

        self._tasks.submit(f"vectors {entry.key}", work, done)


def _set_layer(view: FrameView, entry: FrameEntry, layer: str, drawings: list[Drawing]) -> None:
    if view.frame is entry.frame:
        view.set_layer(layer, drawings)


def _ignore(result: Any) -> None:
    """Take no notice: the request only made an older one void."""
