"""A picture to draw on: areas, images, lines with smooth edges, and texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sofia_engine.drawing.colors import BLACK, WHITE, Color
from sofia_engine.drawing.png import BAND, encode_bands

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sofia_engine.numerics.arrays import FloatArray

__all__ = ["Box", "Canvas", "Lettering", "Stroke"]

POINTS_PER_INCH = 72.0
_FINENESS = 3
"""Parts of a pixel, in each direction, from which the smooth edges of lines and areas are made."""
_LINE_SPACING = 1.2


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels; the origin is the upper left corner of the picture."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.right - self.left, self.bottom - self.top

    def meet(self, other: Box) -> Box:
        """Return what two boxes have in common; of no size if that is nothing."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        return Box(left, top, max(left, min(self.right, other.right)), max(top, min(self.bottom, other.bottom)))


@dataclass(frozen=True)
class Stroke:
    """How a line is drawn.

    Attributes
    ----------
    color : Color
        Colour.
    width : float
        Points.
    opacity : float
        From 0 to 1.
    dash : (float, float) or None
        Lengths of dashes and of gaps between them, in units of the width.
    """

    color: Color = BLACK
    width: float = 0.8
    opacity: float = 1.0
    dash: tuple[float, float] | None = None


@dataclass(frozen=True)
class Lettering:
    """How a text is written.

    Attributes
    ----------
    size : float
        Points.
    color, opacity, bold
        Of the letters.
    across : {"left", "center", "right"}
        Which part of the text lies at the place given.
    up : {"bottom", "base", "middle", "top"}
        Lowest part of letters such as p, base line, middle or top of figures and capitals at the place given.
    upright : bool
        Written from below upwards; ``across`` is the part along the text, then.
    """

    size: float = 10.0
    color: Color = BLACK
    opacity: float = 1.0
    bold: bool = False
    across: Literal["left", "center", "right"] = "center"
    up: Literal["bottom", "base", "middle", "top"] = "base"
    upright: bool = False


@dataclass(frozen=True)
class _Paint:
    """Colour and opacity of shapes, the box they stay in, and in how many parts pixels are divided for them."""

    color: Color
    opacity: float
    clip: Box
    fineness: int


@dataclass(frozen=True, eq=False)
class Canvas:
    """A picture in true colours that can be drawn on.

    Attributes
    ----------
    picture : Image
        The picture.
    resolution : float
        Dots per inch.
    """

    picture: Image.Image
    resolution: float

    @classmethod
    def of_size(cls, width: float, height: float, resolution: float) -> Canvas:
        """Make an empty, white picture; width and height are in inches."""
        return cls(Image.new("RGB", (round(width * resolution), round(height * resolution)), WHITE), resolution)

    @property
    def box(self) -> Box:
        """The whole picture."""
        return Box(0, 0, *self.picture.size)

    def dots(self, points: float) -> float:
        """Pixels of a length in points."""
        return points * self.resolution / POINTS_PER_INCH

    def place(self, across: float, up: float) -> tuple[float, float]:
        """Pixel of a place in fractions of the picture, counted from its lower left corner."""
        width, height = self.picture.size
        return across * width, (1.0 - up) * height

    def fill(self, box: Box, color: Color, opacity: float = 1.0) -> None:
        """Fill a rectangle."""
        if opacity == 1.0:
            self.picture.paste(color, (box.left, box.top, box.right, box.bottom))
        else:
            self.picture.paste(color, (box.left, box.top), Image.new("L", box.size, round(255 * opacity)))

    def show(self, box: Box, pixels: NDArray[np.uint8]) -> None:
        """Fill a rectangle with an image (ny, nx, 3), the first row at the bottom, its pixels as they are."""
        image = Image.fromarray(np.ascontiguousarray(pixels[::-1])).resize(box.size, Image.Resampling.NEAREST)
        self.picture.paste(image, (box.left, box.top))

    def draw_lines(self, runs: Iterable[FloatArray], stroke: Stroke, clip: Box | None = None) -> None:
        """Draw lines through points (n, 2) in pixels; nothing outside of a box."""
        width = max(self.dots(stroke.width), 1.0)
        lines = [run for run in runs if len(run) > 1]
        if stroke.dash is not None:
            lines = [dash for run in lines for dash in _cut_dashes(run, *(part * width for part in stroke.dash))]
        straight = all(map(_follows_rows, lines))
        if straight:
            lines = [np.round(line - 0.5 * (round(width) % 2)) + 0.5 * (round(width) % 2) for line in lines]

        paint = _Paint(stroke.color, stroke.opacity, clip or self.box, 1 if straight else _FINENESS)

        def add(mask: ImageDraw.ImageDraw, places: list[float]) -> None:
            mask.line(places, 255, round(width * paint.fineness), joint="curve")

        self._paint(lines, add, paint, width)

    def draw_areas(
        self, outlines: Iterable[FloatArray], color: Color, opacity: float = 1.0, clip: Box | None = None
    ) -> None:
        """Fill polygons with corners (n, 2) in pixels; nothing outside of a box."""
        areas = [outline for outline in outlines if len(outline) > 2]
        fineness = 1 if all(map(_follows_rows, areas)) else _FINENESS
        paint = _Paint(color, opacity, clip or self.box, fineness)
        self._paint(areas, lambda mask, places: mask.polygon(places, 255), paint, 1.0)

    def _paint(
        self,
        shapes: Sequence[FloatArray],
        add: Callable[[ImageDraw.ImageDraw, list[float]], None],
        paint: _Paint,
        margin: float,
    ) -> None:
        """Colour what shapes cover, as they are added to a finer mask; they reach beyond their points by a margin."""
        box = _enclose(shapes, margin).meet(paint.clip)
        if not shapes or 0 in box.size:
            return
        fineness = paint.fineness
        mask = Image.new("L", (box.size[0] * fineness, box.size[1] * fineness))
        drawing = ImageDraw.Draw(mask)
        for shape in shapes:
            add(drawing, ((shape - (box.left, box.top)) * fineness - 0.5).ravel().tolist())
        mask = mask if fineness == 1 else mask.reduce(fineness)
        self.picture.paste(paint.color, (box.left, box.top), _fade(mask, paint.opacity))

    def measure(self, text: str, style: Lettering) -> float:
        """Length of the longest line of a text, pixels."""
        font = self._font(style)
        return max((font.getlength(line) for line in text.split("\n")), default=0.0)

    def write(self, x: float, y: float, text: str, style: Lettering) -> None:
        """Write a text at a place in pixels; it may have several lines, the last of them at the place."""
        font = self._font(style)
        for number, line in enumerate(reversed(text.split("\n"))):
            shift = number * self.dots(style.size) * _LINE_SPACING
            if line:
                self._write_line((x - shift, y) if style.upright else (x, y - shift), line, font, style)

    def _write_line(self, at: tuple[float, float], line: str, font: ImageFont.FreeTypeFont, style: Lettering) -> None:
        left, top, right, bottom = font.getbbox(line, anchor="ls")
        mask = Image.new("L", (max(int(np.ceil(right - left)), 1), max(int(np.ceil(bottom - top)), 1)))
        ImageDraw.Draw(mask).text((-left, -top), line, 255, font, anchor="ls")
        along = {"left": 0.0, "center": font.getlength(line) / 2, "right": font.getlength(line)}[style.across] - left
        height = -font.getbbox("0", anchor="ls")[1]
        under = font.getbbox("p", anchor="ls")[3]
        base = {"bottom": -under, "base": 0.0, "middle": height / 2, "top": height}[style.up]
        if style.upright:
            mask = mask.transpose(Image.Transpose.ROTATE_90)
            corner = at[0] + base + top, at[1] + along - mask.size[1]
        else:
            corner = at[0] - along, at[1] + base + top
        self.picture.paste(style.color, (round(corner[0]), round(corner[1])), _fade(mask, style.opacity))

    def _font(self, style: Lettering) -> ImageFont.FreeTypeFont:
        return _load_font(self.dots(style.size), bold=style.bold)

    def encode(self) -> bytes:
        """Return the picture as PNG."""
        width, height = self.picture.size
        bands = (np.asarray(self.picture.crop((0, y, width, min(y + BAND, height)))) for y in range(0, height, BAND))
        return encode_bands(bands, (width, height), self.resolution)


def _fade(mask: Image.Image, opacity: float) -> Image.Image:
    return mask if opacity == 1.0 else mask.point([round(value * opacity) for value in range(256)])


def _enclose(shapes: Sequence[FloatArray], margin: float) -> Box:
    """Box around shapes."""
    if not shapes:
        return Box(0, 0, 0, 0)
    corners = np.concatenate(shapes)
    low, high = np.floor(corners.min(axis=0) - margin), np.ceil(corners.max(axis=0) + margin)
    return Box(int(low[0]), int(low[1]), int(high[0]), int(high[1]))


def _follows_rows(line: FloatArray) -> bool:
    """Tell whether a line runs along rows and columns of pixels only."""
    return bool((np.abs(np.diff(line, axis=0)).min(axis=1) < 1e-6).all())


def _cut_dashes(line: FloatArray, dash: float, gap: float) -> list[FloatArray]:
    """Cut a line into dashes of a length in pixels."""
    lengths = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    starts = np.arange(0.0, lengths[-1], dash + gap)
    ends = np.minimum(starts + dash, lengths[-1])
    first, last = (np.stack([np.interp(at, lengths, line[:, k]) for k in (0, 1)], axis=1) for at in (starts, ends))
    inner = zip(np.searchsorted(lengths, starts, "right"), np.searchsorted(lengths, ends, "left"), strict=True)
    return [
        np.concatenate([first[n : n + 1], line[start:stop], last[n : n + 1]]) for n, (start, stop) in enumerate(inner)
    ]


@lru_cache(32)
def _load_font(size: float, *, bold: bool) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(_find_font("DejaVuSans-Bold" if bold else "DejaVuSans"), size)


def _find_font(name: str) -> str:
    """File of a font that comes with Matplotlib, which is not imported for it where it has its usual place."""
    place = find_spec("matplotlib")
    for folder in (place.submodule_search_locations or []) if place is not None else []:
        path = Path(folder) / "mpl-data" / "fonts" / "ttf" / f"{name}.ttf"
        if path.exists():
            return str(path)
    from matplotlib.font_manager import FontProperties, findfont

    return str(findfont(FontProperties("DejaVu Sans", weight="bold" if "Bold" in name else "normal")))
