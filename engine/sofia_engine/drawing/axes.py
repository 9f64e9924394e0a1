"""A frame with linear coordinates inside a picture: axes with ticks and names, curves, and a legend."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from sofia_engine.drawing.canvas import Box, Canvas, Lettering, Stroke
from sofia_engine.drawing.colors import BLACK, GRAY, WHITE, Color

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.drawing.ticks import Ticks
    from sofia_engine.numerics.arrays import FloatArray

__all__ = ["AxisLook", "Frame", "Side"]

Side = Literal["bottom", "left", "right"]

_TICK_WIDTH = 0.8
_TICK_PAD, _NAME_PAD = 3.5, 4.0
_LETTERS = 10.0
_LEGEND_LETTERS, _LEGEND_LINE = 7.0, 2.0
_MARK_SIZE = 6.0
_LABELS: dict[Side, Lettering] = {
    "bottom": Lettering(_LETTERS, across="center", up="top"),
    "left": Lettering(_LETTERS, across="right", up="middle"),
    "right": Lettering(_LETTERS, across="left", up="middle"),
}
"""How labels of ticks are written."""


@dataclass(frozen=True)
class AxisLook:
    """How an axis is drawn: its colour, ticks in points outside and inside of the frame, ticks on the other side."""

    color: Color = BLACK
    outside: float = 3.5
    inside: float = 0.0
    mirrored: bool = False


@dataclass(frozen=True, eq=False)
class Frame:
    """A part of a picture with linear coordinates.

    Attributes
    ----------
    canvas : Canvas
        The picture.
    box : Box
        Where the frame is.
    x_limits, y_limits : (float, float)
        Coordinates at its left and right, and at its lower and upper edge.
    """

    canvas: Canvas
    box: Box
    x_limits: tuple[float, float]
    y_limits: tuple[float, float]

    @classmethod
    def at(
        cls,
        canvas: Canvas,
        panel: tuple[float, float, float, float],
        x_limits: tuple[float, float],
        y_limits: tuple[float, float],
    ) -> Frame:
        """Make a frame of a part of the picture: left, bottom, width and height as fractions of it."""
        (left, low), (right, high) = (
            canvas.place(panel[0] + share * panel[2], panel[1] + share * panel[3]) for share in (0.0, 1.0)
        )
        return cls(canvas, Box(round(left), round(high), round(right), round(low)), x_limits, y_limits)

    def to_pixels(self, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """Return pixels (n, 2) of coordinates (n,)."""
        (left, right), (low, high) = self.x_limits, self.y_limits
        across = (np.asarray(x, dtype=np.float64) - left) / (right - left) * self.box.size[0] + self.box.left
        up = self.box.bottom - (np.asarray(y, dtype=np.float64) - low) / (high - low) * self.box.size[1]
        return np.stack(np.broadcast_arrays(across, up), axis=-1)

    def count_ticks(self, side: Side) -> int:
        """Most intervals that leave room for the labels of the ticks of an axis."""
        length = self.box.size[0] if side == "bottom" else self.box.size[1]
        return int(np.clip(length / self.canvas.dots(_LETTERS) / (3 if side == "bottom" else 2), 1, 9))

    def draw_border(self) -> None:
        """Draw the four edges."""
        box, half = self.box, self.canvas.dots(_TICK_WIDTH) / 2
        first, last = -round(half), round(2 * half) - round(half)
        for x in (box.left, box.right):
            self.canvas.fill(Box(x + first, box.top + first, x + last, box.bottom + last), BLACK)
        for y in (box.top, box.bottom):
            self.canvas.fill(Box(box.left + first, y + first, box.right + last, y + last), BLACK)

    def draw_axis(self, side: Side, ticks: Ticks, name: str, look: AxisLook | None = None) -> None:
        """Draw ticks, what is written at them, and the name of an axis."""
        look = look or AxisLook()
        places = self._locate(side, ticks.values)
        self._draw_ticks(side, places, look)
        gap = self.canvas.dots(look.outside + _TICK_PAD)
        style = replace(_LABELS[side], color=look.color)
        edge = getattr(self.box, side) + (gap if side != "left" else -gap)
        for place, label in zip(places, ticks.labels, strict=True):
            x, y = (place, edge) if side == "bottom" else (edge, place)
            self.canvas.write(x, y, label, style)
        self._write_factor(side, ticks.factor, look)
        self._write_name(side, ticks.labels, name, look)

    def _locate(self, side: Side, values: Sequence[float]) -> list[float]:
        at = np.asarray(values, dtype=np.float64)
        if side == "bottom":
            return [float(x) for x in self.to_pixels(at, self.y_limits[0])[:, 0]]
        return [float(y) for y in self.to_pixels(self.x_limits[0], at)[:, 1]]

    def _draw_ticks(self, side: Side, places: Iterable[float], look: AxisLook) -> None:
        out, into, width = (round(self.canvas.dots(v)) for v in (look.outside, look.inside, _TICK_WIDTH))
        for place in places:
            first = round(place - width / 2)
            for edge, sense in self._find_edges(side, mirrored=look.mirrored):
                low, high = sorted((edge - sense * into, edge + sense * out))
                tick = (first, low, first + width, high) if side == "bottom" else (low, first, high, first + width)
                self.canvas.fill(Box(*tick), look.color)

    def _find_edges(self, side: Side, *, mirrored: bool) -> list[tuple[int, int]]:
        """Where ticks are, and in which sense they point outside."""
        box = self.box
        edges = {"bottom": [(box.bottom, 1), (box.top, -1)], "left": [(box.left, -1), (box.right, 1)]}
        edges["right"] = edges["left"][::-1]
        return edges[side][: 1 + mirrored]

    def _write_factor(self, side: Side, factor: str, look: AxisLook) -> None:
        """Write the power of ten that multiplies all labels at the end of the axis."""
        pad = self.canvas.dots(_TICK_PAD)
        if side == "bottom":
            below = self.box.bottom + self.canvas.dots(look.outside + 2 * _TICK_PAD + 2 * _LETTERS)
            self.canvas.write(self.box.right, below, factor, Lettering(_LETTERS, look.color, across="right"))
        else:
            style = Lettering(_LETTERS, look.color, across="left")
            self.canvas.write(getattr(self.box, side), self.box.top - pad, factor, style)

    def _write_name(self, side: Side, labels: Sequence[str], name: str, look: AxisLook) -> None:
        dots = self.canvas.dots
        letters = Lettering(_LETTERS, look.color)
        beyond = dots(look.outside + _TICK_PAD + _NAME_PAD)
        if side == "bottom":
            style = Lettering(_LETTERS, look.color, up="top")
            middle = (self.box.left + self.box.right) / 2
            self.canvas.write(middle, self.box.bottom + beyond + dots(_LETTERS), name, style)
            return
        beyond += max((self.canvas.measure(label, letters) for label in labels), default=0.0)
        place = self.box.left - beyond if side == "left" else self.box.right + beyond
        style = Lettering(_LETTERS, look.color, up="bottom" if side == "left" else "top", upright=True)
        self.canvas.write(place, (self.box.top + self.box.bottom) / 2, name, style)

    def draw_curve(self, x: FloatArray, y: FloatArray, stroke: Stroke) -> None:
        """Draw a line through points (n,); it is broken where a value is missing."""
        self.canvas.draw_lines(_split_runs(self.to_pixels(x, y)), stroke, self.box)

    def draw_band(self, x: FloatArray, low: FloatArray, high: FloatArray, color: Color, opacity: float) -> None:
        """Fill what lies between two curves (n,)."""
        pairs = _split_runs(np.concatenate([self.to_pixels(x, low), self.to_pixels(x, high)], axis=1))
        outlines = [np.concatenate([pair[:, :2], pair[::-1, 2:]]) for pair in pairs]
        self.canvas.draw_areas(outlines, color, opacity, self.box)

    def mark(self, x: float, y: float, color: Color = GRAY) -> None:
        """Draw a cross."""
        middle = self.to_pixels(x, y)
        arm = self.canvas.dots(_MARK_SIZE) / 2
        strokes = [middle + arm * np.array(ends) for ends in (((-1, -1), (1, 1)), ((-1, 1), (1, -1)))]
        self.canvas.draw_lines(strokes, Stroke(color, 1.0))

    def draw_legend(self, names: Sequence[str], colors: Sequence[Color], points: FloatArray) -> None:
        """Write names beside lines, in the corner in which the fewest of the points (n, 2), in pixels, lie."""
        dots, style = self.canvas.dots, Lettering(_LEGEND_LETTERS, across="left", up="middle")
        row, pad, sample = (dots(_LEGEND_LETTERS * share) for share in (1.5, 0.6, _LEGEND_LINE))
        width = sample + 3 * pad + max((self.canvas.measure(name, style) for name in names), default=0.0)
        box = self._choose_corner(round(width), round(row * len(names) + pad), round(dots(3.5)), points)
        self.canvas.fill(box, WHITE, 0.8)
        outline = [(box.left, box.top), (box.right, box.top), (box.right, box.bottom), (box.left, box.bottom)]
        self.canvas.draw_lines([np.array([*outline, outline[0]], dtype=np.float64)], Stroke((204, 204, 204), 0.8))
        for number, (name, color) in enumerate(zip(names, colors, strict=True)):
            y = box.top + pad / 2 + (number + 0.5) * row
            line = np.array([[box.left + pad, y], [box.left + pad + sample, y]])
            self.canvas.draw_lines([line], Stroke(color, 1.2))
            self.canvas.write(box.left + 2 * pad + sample, y, name, style)

    def _choose_corner(self, width: int, height: int, gap: int, points: FloatArray) -> Box:
        box = self.box
        corners = [
            Box(left, top, left + width, top + height)
            for top in (box.top + gap, box.bottom - gap - height)
            for left in (box.right - gap - width, box.left + gap)
        ]
        return min(corners, key=lambda corner: _count_inside(points, corner))


def _split_runs(points: FloatArray) -> list[FloatArray]:
    """Cut rows of points where one is not finite."""
    good = np.isfinite(points).all(axis=1)
    ends = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]]).astype(np.int8)))
    return [points[start:stop] for start, stop in zip(ends[::2], ends[1::2], strict=True)]


def _count_inside(points: FloatArray, box: Box) -> int:
    low, high = np.array([box.left, box.top]), np.array([box.right, box.bottom])
    return int(np.count_nonzero(((points >= low) & (points <= high)).all(axis=1)))
