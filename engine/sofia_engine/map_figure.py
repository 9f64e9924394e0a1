"""Maps as pictures: an image of the sky with axes, colour bar, contours and beam, encoded as PNG.

Drawing is a function of plain values (`ImageMap`, `Look`), so that another process can do it. Little is imported here,
and Pillow when something is drawn: that process is to get ready quickly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.errors import InputError, ParameterError

if TYPE_CHECKING:
    from sofia_engine.drawing.axes import AxisLook, Frame, Side
    from sofia_engine.drawing.canvas import Canvas
    from sofia_engine.drawing.colors import ColorTable
    from sofia_engine.numerics.arrays import FloatArray
    from sofia_engine.numerics.sky_ticks import Kind
    from sofia_engine.numerics.tangent_plane import TangentPlane

__all__ = [
    "Beam",
    "ImageMap",
    "LinearAxes",
    "Look",
    "draw_panel",
    "render_figure",
]

FIGURE_SIZE = 8.0
"""Inches."""
RESOLUTION = 300
"""Dots per inch."""
PANEL = (0.20, 0.11, 0.60, 0.76)
"""Left, bottom, width, height of the area for the image, fractions of the figure."""
BAR = (0.012, 0.022)
"""Gap and width of the colour bar."""
SMALLEST_TURN = 0.5
"""Degrees; maps turned by more have a grid always."""
EDGE_SAMPLES = 49
BEAM_WORDS = "Beam FWHM"
ELLIPSE_POINTS = 73
_TICK_LENGTH = 5.0
_COORDINATE_LINE = 0.8
_PALE = 0.25


@dataclass(frozen=True)
class Beam:
    """Ellipse of the beam: full widths at half maximum in degrees, position angle in degrees east of north."""

    major: float
    minor: float
    angle: float = 0.0


@dataclass(frozen=True)
class LinearAxes:
    """Linear coordinates of the pixels of an image that is not on the sky.

    Attributes
    ----------
    start, step : (float, float)
        Coordinates (x, y) of the first pixel, and from one pixel to the next.
    labels : (str, str)
        Of the axes.
    """

    start: tuple[float, float]
    step: tuple[float, float]
    labels: tuple[str, str]


@dataclass(frozen=True, eq=False)
class ImageMap:
    """What a map shows.

    Attributes
    ----------
    image : (ny, nx) ndarray
        Flux; NaN is bad and left white.
    plane : TangentPlane or None
        Coordinates; pixels are shown if there are none.
    title, subtitle : str
        Lines above the map.
    unit : str
        Unit of the flux.
    equinox : float or None
        For the labels of the axes.
    beam : Beam or None
        Beam to be drawn.
    axes : LinearAxes or None
        Coordinates of an image that is not on the sky.
    mark : (float, float) or None
        Pixel (x, y), from 0, at which a cross is drawn.
    """

    image: FloatArray
    plane: TangentPlane | None = None
    title: str = ""
    subtitle: str = ""
    unit: str = ""
    equinox: float | None = None
    beam: Beam | None = None
    axes: LinearAxes | None = None
    mark: tuple[float, float] | None = None


@dataclass(frozen=True)
class Look:
    """How the image in a figure is shown; `sofia_engine.quicklook.MapLook` explains each."""

    colormap: str
    scale: tuple[float, float]
    n_contour: int
    contour_color: str
    fill_contours: bool
    grid: bool
    watermark: str


def render_figure(content: ImageMap, look: Look, *, crop: bool = True, beam: bool = True) -> bytes:
    """Draw a map as a figure of its own; see `sofia_engine.quicklook.render_map`."""
    from sofia_engine.drawing.canvas import Canvas

    canvas = Canvas.of_size(FIGURE_SIZE, FIGURE_SIZE, RESOLUTION)
    draw_panel(canvas, content, look, PANEL, crop=crop, beam=beam)
    return canvas.encode()


def draw_panel(
    canvas: Canvas,
    content: ImageMap,
    look: Look,
    panel: tuple[float, float, float, float],
    *,
    crop: bool = True,
    beam: bool = False,
) -> None:
    """Draw an image with axes, colour bar and title into a part of a picture.

    Parameters
    ----------
    canvas : Canvas
        Drawn into.
    content : ImageMap
        What is shown.
    look : Look
        How.
    panel : (float, float, float, float)
        Left, bottom, width, height of the area for the image, fractions of the picture.
    crop, beam : bool
        Cut off empty edges; draw the beam.

    Raises
    ------
    InputError
        If the image has no finite pixel.
    ParameterError
        If the colour map or a colour is not known.
    """
    if content.image.ndim != 2 or not np.isfinite(content.image).any():
        raise InputError(f"{content.subtitle or 'The image'}: there is no finite pixel in an image to show.")
    picture = _Picture.of(content, look, _find_content(content.image) if crop else None)
    frame = _lay_frame(canvas, picture, panel)
    frame.canvas.show(frame.box, picture.colored)
    if look.n_contour > 0:
        _draw_contours(frame, picture, look)
    _draw_axes(frame, content, picture, look)
    frame.draw_border()
    _draw_bar(frame, content, picture)
    _write_texts(frame, content, look)
    if beam and content.beam is not None and content.plane is not None:
        _draw_beam(frame, content.beam, content.plane)
    if content.mark is not None:
        frame.mark(*content.mark)


@dataclass(frozen=True, eq=False)
class _Picture:
    """The pixels shown, the position (x, y) of the first of them, the limits of the colours and the colour table."""

    pixels: FloatArray
    corner: tuple[int, int]
    limits: tuple[float, float]
    colors: ColorTable

    @classmethod
    def of(cls, content: ImageMap, look: Look, box: tuple[slice, slice] | None) -> _Picture:
        from sofia_engine.drawing.colors import find_color_table

        rows, columns = box or (slice(0, None), slice(0, None))
        finite = content.image[np.isfinite(content.image)]
        low, high = (float(v) for v in np.percentile(finite, look.scale))
        if not high > low:
            low, high = low - 0.5, low + 0.5
        table = find_color_table(look.colormap)
        return cls(content.image[rows, columns], (columns.start, rows.start), (low, high), table)

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom, top of the pixels shown."""
        x, y = self.corner
        ny, nx = self.pixels.shape
        return x - 0.5, x + nx - 0.5, y - 0.5, y + ny - 0.5

    @property
    def colored(self) -> ColorTable:
        """Colours (ny, nx, 3) of the pixels, white where they are not finite."""
        return self.color(self.pixels)

    def color(self, values: FloatArray) -> ColorTable:
        """Colours of values, white where they are not finite."""
        low, high = self.limits
        index = np.nan_to_num((values - low) / (high - low), nan=-1.0)
        table = np.concatenate([self.colors, np.full((1, 3), 255, dtype=np.uint8)])
        found: ColorTable = table[np.where(np.isfinite(values), np.clip(index * 256, 0, 255), 256).astype(np.intp)]
        return found


def _find_content(image: FloatArray) -> tuple[slice, slice] | None:
    """Box around the pixels that are neither NaN nor zero; None if there are none."""
    filled = np.isfinite(image) & (image != 0)
    rows, columns = (np.flatnonzero(filled.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _lay_frame(canvas: Canvas, picture: _Picture, panel: tuple[float, float, float, float]) -> Frame:
    """Lay a frame with the shape of the picture in the middle of the panel."""
    from sofia_engine.drawing.axes import Frame

    left, bottom, width, height = panel
    ny, nx = picture.pixels.shape
    across, up = canvas.box.size
    scale = min(width * across / nx, height * up / ny)
    wide, high = nx * scale / across, ny * scale / up
    shaped = left + (width - wide) / 2, bottom + (height - high) / 2, wide, high
    return Frame.at(canvas, shaped, picture.extent[:2], picture.extent[2:])


def _draw_contours(frame: Frame, picture: _Picture, look: Look) -> None:
    from sofia_engine.drawing.canvas import Stroke
    from sofia_engine.drawing.colors import find_color

    try:
        color = find_color(look.contour_color)
    except ValueError as error:
        raise ParameterError(f"The contour color '{look.contour_color}' cannot be used: {error}.") from None
    levels = np.linspace(*picture.limits, look.n_contour)
    levels = levels if look.n_contour > 1 else np.array([sum(picture.limits) / 2])
    x, y = (start + np.arange(n) for start, n in zip(picture.corner, picture.pixels.shape[::-1], strict=True))
    if look.fill_contours and len(levels) > 1 and min(picture.pixels.shape) > 1:
        _fill_contours(frame, picture, levels)
    lines = _trace_levels(x, y, picture.pixels, levels)
    width = 0.3 if look.fill_contours else 0.5
    frame.canvas.draw_lines([frame.to_pixels(*line.T) for line in lines], Stroke(color, width), frame.box)


def _fill_contours(frame: Frame, picture: _Picture, levels: FloatArray) -> None:
    """Fill the space between levels: each dot gets the colour of the middle of its interval."""
    wide, high = frame.box.size
    (left, right), (low, top) = frame.x_limits, frame.y_limits
    x = left + (np.arange(wide) + 0.5) / wide * (right - left) - picture.corner[0]
    y = low + (np.arange(high) + 0.5) / high * (top - low) - picture.corner[1]
    values = _interpolate_rows(_interpolate_rows(picture.pixels, y).T, x).T
    middles = np.concatenate([[levels[0]], (levels[1:] + levels[:-1]) / 2, [levels[-1]]])
    bands = np.where(np.isfinite(values), middles[np.searchsorted(levels, values)], np.nan)
    frame.canvas.show(frame.box, picture.color(bands))


def _interpolate_rows(image: FloatArray, places: FloatArray) -> FloatArray:
    """Rows of an image between its own, linearly; NaN beyond the first and the last."""
    low = np.clip(np.floor(places).astype(np.intp), 0, len(image) - 2)
    part = np.where((places >= 0) & (places <= len(image) - 1), places - low, np.nan)[:, np.newaxis]
    between: FloatArray = image[low] * (1 - part) + image[np.minimum(low + 1, len(image) - 1)] * part
    return between


def _trace_levels(x: FloatArray, y: FloatArray, values: FloatArray, levels: FloatArray) -> list[FloatArray]:
    """Lines (n, 2) of equal value on a grid; they end where a value is missing."""
    from contourpy import contour_generator

    if min(values.shape) < 2:
        return []
    generator = contour_generator(x, y, np.ma.masked_invalid(values))
    return [np.asarray(line) for level in levels for line in generator.lines(float(level))]


def _draw_axes(frame: Frame, content: ImageMap, picture: _Picture, look: Look) -> None:
    from sofia_engine.drawing.ticks import Ticks
    from sofia_engine.numerics.sky_ticks import place_ticks

    if content.axes is not None:
        _draw_linear_axes(frame, content.axes, grid=look.grid)
        return
    if content.plane is None:
        _draw_linear_axes(frame, LinearAxes((0.0, 0.0), (1.0, 1.0), ("x (pixels)", "y (pixels)")), grid=False)
        return
    left, right, bottom, top = picture.extent
    steps = np.linspace(0.0, 1.0, EDGE_SAMPLES)
    x, y = left + steps * (right - left), bottom + steps * (top - bottom)
    mesh = _map_sky(content.plane, x, y)
    # ticks of the coordinate that changes along the edge; both edges show different ones
    turn = _find_turn(content.plane)
    first, second = (1, 0) if abs(math.cos(math.radians(turn))) < math.sqrt(0.5) else (0, 1)
    if look.grid or abs(turn) > SMALLEST_TURN:
        _draw_grid(frame, x, y, mesh)
    edges: tuple[tuple[Side, FloatArray, FloatArray, _Coordinate], ...] = (
        ("bottom", x, mesh[first].angles[0], mesh[first]),
        ("left", y, mesh[second].angles[:, 0], mesh[second]),
    )
    for side, places, angles, coordinate in edges:
        ticks = place_ticks(places, angles, coordinate.kind, coordinate.step)
        marks = Ticks([tick.position for tick in ticks], [tick.label for tick in ticks])
        frame.draw_axis(side, marks, _name_axis(coordinate.kind, content.equinox), _map_axis_look())


def _map_axis_look() -> AxisLook:
    from sofia_engine.drawing.axes import AxisLook

    return AxisLook(outside=_TICK_LENGTH / 2, inside=_TICK_LENGTH / 2, mirrored=True)


def _draw_linear_axes(frame: Frame, linear: LinearAxes, *, grid: bool) -> None:
    from sofia_engine.drawing.canvas import Stroke
    from sofia_engine.drawing.colors import WHITE
    from sofia_engine.drawing.ticks import Ticks, find_ticks

    sides: tuple[Side, Side] = ("bottom", "left")
    for which, side in enumerate(sides):
        start, step = linear.start[which], linear.step[which]
        low, high = sorted(start + limit * step for limit in (frame.x_limits, frame.y_limits)[which])
        found = find_ticks(low, high, min(6, frame.count_ticks(side)))
        places = [(value - start) / step for value in found.values]
        if grid:
            ends = frame.y_limits if which == 0 else frame.x_limits
            pairs = (([at, at], ends) if which == 0 else (ends, [at, at]) for at in places)
            stroke = Stroke(WHITE, _COORDINATE_LINE, _PALE)
            frame.canvas.draw_lines([frame.to_pixels(*pair) for pair in pairs], stroke, frame.box)
        frame.draw_axis(side, Ticks(places, found.labels, found.factor), linear.labels[which], _map_axis_look())


@dataclass(frozen=True, eq=False)
class _Coordinate:
    """A celestial coordinate on a coarse mesh over the map, degrees, and the step of its ticks and grid lines."""

    kind: Kind
    angles: FloatArray
    step: float


def _map_sky(plane: TangentPlane, x: FloatArray, y: FloatArray) -> tuple[_Coordinate, _Coordinate]:
    """Right ascension (without jump inside the map) and declination on a mesh."""
    from sofia_engine.numerics.sky_ticks import choose_step

    longitude, latitude = plane.to_sky(*np.meshgrid(x, y))
    longitude = plane.sky[0] + (longitude - plane.sky[0] + 180.0) % 360.0 - 180.0
    return (
        _Coordinate("hours", longitude, choose_step(float(np.ptp(longitude)), "hours", 4)),
        _Coordinate("degrees", latitude, choose_step(float(np.ptp(latitude)), "degrees", 6)),
    )


def _find_turn(plane: TangentPlane) -> float:
    """Angle from up to north, degrees, from -180 to 180."""
    x, y = plane.to_pixel(plane.sky[0], plane.sky[1] + 1e-5)
    return math.degrees(math.atan2(float(x) - plane.pixel[0], float(y) - plane.pixel[1]))


def _name_axis(kind: Kind, equinox: float | None) -> str:
    name = "RA" if kind == "hours" else "Dec"
    return name if equinox is None else f"{name} (J{equinox:g})"


def _draw_grid(frame: Frame, x: FloatArray, y: FloatArray, mesh: tuple[_Coordinate, _Coordinate]) -> None:
    """Lines of equal right ascension and declination, as contours of a coarse map of them."""
    from sofia_engine.drawing.canvas import Stroke
    from sofia_engine.drawing.colors import WHITE

    for coordinate in mesh:
        low, high = coordinate.angles.min() / coordinate.step, coordinate.angles.max() / coordinate.step
        levels = np.arange(math.ceil(low), math.floor(high) + 1) * coordinate.step
        lines = [frame.to_pixels(*line.T) for line in _trace_levels(x, y, coordinate.angles, levels)]
        frame.canvas.draw_lines(lines, Stroke(WHITE, _COORDINATE_LINE, _PALE), frame.box)


def _draw_bar(frame: Frame, content: ImageMap, picture: _Picture) -> None:
    """Draw the colour bar beside the image, with its label inside the figure."""
    from sofia_engine.drawing.axes import Frame
    from sofia_engine.drawing.canvas import Box
    from sofia_engine.drawing.ticks import find_ticks

    left, right = (frame.box.right + round(edge * frame.canvas.box.size[0]) for edge in (BAR[0], sum(BAR)))
    bar = Frame(frame.canvas, Box(left, frame.box.top, right, frame.box.bottom), (0.0, 1.0), picture.limits)
    bar.canvas.show(bar.box, picture.colors[:, np.newaxis])
    bar.draw_border()
    ticks = find_ticks(*picture.limits, bar.count_ticks("right"), (-3, 4))
    bar.draw_axis("right", ticks, f"Flux ({content.unit})" if content.unit else "Flux")


def _write_texts(frame: Frame, content: ImageMap, look: Look) -> None:
    from sofia_engine.drawing.canvas import Lettering
    from sofia_engine.drawing.colors import GRAY

    canvas, box = frame.canvas, frame.box
    wide, high = canvas.box.size
    canvas.write(wide / 2, box.top - 0.055 * high, content.title, Lettering(13, up="bottom"))
    canvas.write((box.left + box.right) / 2, box.top - 0.02 * high, content.subtitle, Lettering(9, up="bottom"))
    if look.watermark:
        at = box.right - 0.03 * box.size[0], box.bottom - 0.03 * box.size[1]
        canvas.write(*at, look.watermark, Lettering(16, GRAY, 0.8, across="right", up="bottom"))


def _draw_beam(frame: Frame, beam: Beam, plane: TangentPlane) -> None:
    """Draw the ellipse of the beam in the lower left corner, on a light patch that any image shows."""
    from sofia_engine.drawing.canvas import Box, Lettering, Stroke
    from sofia_engine.drawing.colors import BLACK, WHITE

    (xx, xy), (yx, yy) = plane.matrix
    scale = math.sqrt(abs(xx * yy - xy * yx))
    (left, right), (bottom, top) = frame.x_limits, frame.y_limits
    size = beam.major / scale / 2
    at = left + 0.05 * (right - left) + size, bottom + 0.07 * (top - bottom) + size
    # position angles count from north to east: north is the direction up + turn, east to its left on the sky
    sense = math.copysign(1.0, -(xx * yy - xy * yx))
    angle = math.radians(90.0 - _find_turn(plane) + sense * beam.angle)
    around = np.linspace(0.0, 2.0 * np.pi, ELLIPSE_POINTS)
    along, across = size * np.cos(around), beam.minor / scale / 2 * np.sin(around)
    ellipse = frame.to_pixels(
        at[0] + along * math.cos(angle) - across * math.sin(angle),
        at[1] + along * math.sin(angle) + across * math.cos(angle),
    )
    canvas, words = frame.canvas, Lettering(9, BLACK, bold=True, across="left")
    canvas.draw_areas([ellipse], WHITE, 0.6, frame.box)
    canvas.draw_lines([ellipse], Stroke(BLACK, 2.0), frame.box)
    x, y = frame.to_pixels(left + 0.02 * (right - left), bottom + 0.015 * (top - bottom))
    pad, letter = canvas.dots(1.5), canvas.dots(words.size)
    patch = (x - pad, y - 0.75 * letter - pad, x + canvas.measure(BEAM_WORDS, words) + pad, y + pad)
    canvas.fill(Box(*map(round, patch)), WHITE, 0.6)
    canvas.write(x, y, BEAM_WORDS, words)
