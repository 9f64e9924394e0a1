"""What is drawn over an image: lines, symbols and texts in pixel coordinates, without Qt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sofia_viewers.image.regions import Region

__all__ = ["Drawing", "Label", "Mark", "draw_regions"]

Line = Literal["solid", "dashed", "dotted"]
Point = tuple[float, float]


@dataclass(frozen=True)
class Label:
    """A text at a pixel.

    Parameters
    ----------
    at : (float, float)
        Pixel, from 0.
    text : str
        What is written.
    offset : (float, float)
        From the pixel to the text, screen pixels, right and down.
    anchor : (float, float)
        Which point of the text lies there: 0 to 1 from its left and from its top.
    """

    at: Point
    text: str
    offset: Point = (6.0, -6.0)
    anchor: Point = (0.0, 1.0)


@dataclass(frozen=True)
class Mark:
    """A symbol of fixed size on the screen at a pixel."""

    at: Point
    symbol: str = "cross"
    size: float = 10.0


@dataclass(frozen=True, eq=False)
class Drawing:
    """Lines, symbols and texts of one colour.

    Parameters
    ----------
    color : str
        Name of a colour or ``#rrggbb``.
    lines : tuple of ndarray
        Each (n, 2) pixels, joined by lines.
    segments : ndarray or None
        (n, 2, 2) separate lines, drawn faster than as `lines`.
    marks : tuple of Mark
        Symbols.
    labels : tuple of Label
        Texts.
    width : float
        Width of lines, screen pixels.
    style : {"solid", "dashed", "dotted"}
        Style of lines.
    fill : str
        Colour that closed lines are filled with; empty for none.
    """

    color: str
    lines: tuple[NDArray[np.float64], ...] = ()
    segments: NDArray[np.float64] | None = None
    marks: tuple[Mark, ...] = ()
    labels: tuple[Label, ...] = ()
    width: float = 1.5
    style: Line = "solid"
    fill: str = ""
    meta: dict[str, Any] = field(default_factory=dict)


def draw_regions(regions: Iterable[Region], selected: Sequence[Region] = ()) -> list[Drawing]:
    """Return the drawings of regions; selected ones are thicker."""
    return [_draw_region(region, region in selected) for region in regions]


def _draw_region(region: Region, selected: bool) -> Drawing:
    marks = (Mark(region.points[0], region.symbol),) if region.shape == "point" else ()
    outlines = tuple(region.outlines())
    top = max((tuple(p) for line in outlines for p in line), key=lambda p: p[1], default=region.points[0])
    labels = (Label((float(top[0]), float(top[1])), region.name),) if region.name else ()
    return Drawing(region.color, outlines, None, marks, labels, width=region.width + (1.5 if selected else 0.5))
