"""Maps drawn with Matplotlib: an image of the sky with axes, colour bar, contours and beam, encoded as PNG.

Drawing is a function of plain values (`ImageMap`, `Look`), so that another process can do it. Only numpy is imported
here, and Matplotlib when something is drawn: that process is to get ready quickly.
"""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sofia_engine.errors import InputError, ParameterError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from sofia_engine.numerics.arrays import FloatArray
    from sofia_engine.numerics.sky_ticks import Kind, Tick
    from sofia_engine.numerics.tangent_plane import TangentPlane

__all__ = [
    "Beam",
    "ImageMap",
    "LinearAxes",
    "Look",
    "draw_panel",
    "encode_figure",
    "encode_png",
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

_FILTER_UP, _TRUE_COLOR = 2, 2
_BAND = 64
"""Rows that are encoded at once."""
_COMPRESSION = 2
"""Level from 1 to 9."""


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
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(FIGURE_SIZE, FIGURE_SIZE), dpi=RESOLUTION)
    canvas = FigureCanvasAgg(figure)
    draw_panel(figure, content, look, PANEL, crop=crop, beam=beam)
    return encode_figure(canvas)


def draw_panel(
    figure: Figure,
    content: ImageMap,
    look: Look,
    panel: tuple[float, float, float, float],
    *,
    crop: bool = True,
    beam: bool = False,
) -> Axes:
    """Draw an image with axes, colour bar and title into a part of a figure.

    Parameters
    ----------
    figure : Figure
        Drawn into.
    content : ImageMap
        What is shown.
    look : Look
        How.
    panel : (float, float, float, float)
        Left, bottom, width, height of the area for the image, fractions of the figure.
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
    axes = _add_panel(figure, picture, panel)
    _draw_image(axes, picture)
    if look.n_contour > 0:
        _draw_contours(axes, picture, look)
    _draw_axes(axes, content, picture, look)
    _draw_bar(figure, axes, content, picture)
    _write_texts(figure, axes, content, look)
    if beam and content.beam is not None and content.plane is not None:
        _draw_beam(axes, content.beam, content.plane, picture)
    if content.mark is not None:
        axes.plot(*content.mark, marker="x", color="gray", markersize=6, linestyle="none")
    return axes


@dataclass(frozen=True, eq=False)
class _Picture:
    """The pixels shown, the position (x, y) of the first of them, the limits of the colours and the colour map."""

    pixels: FloatArray
    corner: tuple[int, int]
    limits: tuple[float, float]
    colors: Any

    @classmethod
    def of(cls, content: ImageMap, look: Look, box: tuple[slice, slice] | None) -> _Picture:
        rows, columns = box or (slice(0, None), slice(0, None))
        finite = content.image[np.isfinite(content.image)]
        low, high = (float(v) for v in np.percentile(finite, look.scale))
        if not high > low:
            low, high = low - 0.5, low + 0.5
        return cls(content.image[rows, columns], (columns.start, rows.start), (low, high), _find_colors(look.colormap))

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom, top of the pixels shown."""
        x, y = self.corner
        ny, nx = self.pixels.shape
        return x - 0.5, x + nx - 0.5, y - 0.5, y + ny - 0.5


def _find_colors(name: str) -> Any:
    from matplotlib import colormaps

    if name not in colormaps:
        from sofia_engine.pipeline.parameters import suggest

        raise ParameterError(f"There is no color map '{name}'{suggest(name, list(colormaps))}.")
    return colormaps[name]


def _find_content(image: FloatArray) -> tuple[slice, slice] | None:
    """Box around the pixels that are neither NaN nor zero; None if there are none."""
    filled = np.isfinite(image) & (image != 0)
    rows, columns = (np.flatnonzero(filled.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _add_panel(figure: Figure, picture: _Picture, panel: tuple[float, float, float, float]) -> Axes:
    """Add axes with the shape of the picture in the middle of the panel."""
    left, bottom, width, height = panel
    ny, nx = picture.pixels.shape
    across, up = figure.get_size_inches()
    scale = min(width * across / nx, height * up / ny)
    wide, high = nx * scale / across, ny * scale / up
    axes = figure.add_axes((left + (width - wide) / 2, bottom + (height - high) / 2, wide, high))
    axes.set_facecolor("white")
    axes.set_title("", y=1.0)  # a title without a place has Matplotlib measure all labels, whether it is empty or not
    return axes


def _draw_image(axes: Axes, picture: _Picture) -> None:
    """Draw the pixels in colours found here: Matplotlib would map a much larger, resampled image, in floating point."""
    from matplotlib.image import PcolorImage

    low, high = picture.limits
    index = np.nan_to_num((picture.pixels - low) / (high - low), nan=-1.0)
    table = (picture.colors(np.arange(256) / 255.0) * 255).round().astype(np.uint8)
    table = np.concatenate([table, np.array([[255, 255, 255, 0]], dtype=np.uint8)])
    color = np.where(np.isfinite(picture.pixels), np.clip(index * 256, 0, 255), 256).astype(np.intp)
    left, right, bottom, top = picture.extent
    ny, nx = picture.pixels.shape
    edges = np.linspace(left, right, nx + 1), np.linspace(bottom, top, ny + 1)
    axes.add_image(PcolorImage(axes, *edges, table[color]))
    axes.set(xlim=(left, right), ylim=(bottom, top))


def _draw_contours(axes: Axes, picture: _Picture, look: Look) -> None:
    levels = np.linspace(*picture.limits, look.n_contour)
    levels = levels if look.n_contour > 1 else np.array([sum(picture.limits) / 2])
    x, y = (start + np.arange(n) for start, n in zip(picture.corner, picture.pixels.shape[::-1], strict=True))
    try:
        if look.fill_contours and len(levels) > 1:
            axes.contourf(x, y, picture.pixels, levels, cmap=picture.colors, extend="both")
        width = 0.3 if look.fill_contours else 0.5
        axes.contour(x, y, picture.pixels, levels, colors=look.contour_color, linewidths=width)
    except ValueError as error:
        raise ParameterError(f"The contour color '{look.contour_color}' cannot be used: {error}.") from None


def _draw_axes(axes: Axes, content: ImageMap, picture: _Picture, look: Look) -> None:
    from sofia_engine.numerics.sky_ticks import place_ticks

    left, right, bottom, top = picture.extent
    axes.tick_params(direction="inout", top=True, right=True, length=5)
    if content.axes is not None:
        _draw_linear_axes(axes, content.axes, picture, grid=look.grid)
        return
    if content.plane is None:
        axes.set_xlabel("x (pixels)")
        axes.set_ylabel("y (pixels)")
        return
    steps = np.linspace(0.0, 1.0, EDGE_SAMPLES)
    x, y = left + steps * (right - left), bottom + steps * (top - bottom)
    mesh = _map_sky(content.plane, x, y)
    # ticks of the coordinate that changes along the edge; both edges show different ones
    turn = _find_turn(content.plane)
    first, second = (1, 0) if abs(math.cos(math.radians(turn))) < math.sqrt(0.5) else (0, 1)
    _set_ticks(axes, "x", place_ticks(x, mesh[first].angles[0], mesh[first].kind, mesh[first].step))
    _set_ticks(axes, "y", place_ticks(y, mesh[second].angles[:, 0], mesh[second].kind, mesh[second].step))
    axes.set_xlabel(_name_axis(mesh[first].kind, content.equinox))
    axes.set_ylabel(_name_axis(mesh[second].kind, content.equinox))
    if look.grid or abs(turn) > SMALLEST_TURN:
        _draw_grid(axes, x, y, mesh)


def _draw_linear_axes(axes: Axes, linear: LinearAxes, picture: _Picture, *, grid: bool) -> None:
    from matplotlib.ticker import MaxNLocator

    left, right, bottom, top = picture.extent
    for which, low, high, start, step in (
        (axes.xaxis, left, right, linear.start[0], linear.step[0]),
        (axes.yaxis, bottom, top, linear.start[1], linear.step[1]),
    ):
        values = np.asarray(MaxNLocator(6).tick_values(start + low * step, start + high * step))
        places = (values - start) / step
        inside = (places >= low) & (places <= high)
        which.set_ticks(places[inside], [f"{value:g}" for value in np.round(values[inside], 9)])
    axes.set_xlabel(linear.labels[0])
    axes.set_ylabel(linear.labels[1])
    if grid:
        axes.grid(color="white", alpha=0.25, linewidth=0.8)


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


def _set_ticks(axes: Axes, which: str, ticks: list[Tick]) -> None:
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_ticks([tick.position for tick in ticks], [tick.label for tick in ticks])


def _draw_grid(axes: Axes, x: FloatArray, y: FloatArray, mesh: tuple[_Coordinate, _Coordinate]) -> None:
    """Lines of equal right ascension and declination, as contours of a coarse map of them."""
    for coordinate in mesh:
        low, high = coordinate.angles.min() / coordinate.step, coordinate.angles.max() / coordinate.step
        levels = np.arange(math.ceil(low), math.floor(high) + 1) * coordinate.step
        if levels.size:
            axes.contour(
                x, y, coordinate.angles, levels, colors="white", alpha=0.25, linewidths=0.8, linestyles="solid"
            )


def _draw_bar(figure: Figure, axes: Axes, content: ImageMap, picture: _Picture) -> None:
    """Draw the colour bar beside the image, with its label inside the figure."""
    box = axes.get_position()
    bar = figure.add_axes((box.x1 + BAR[0], box.y0, BAR[1], box.height))
    ramp = picture.colors(np.linspace(0, 1, 256))[:, np.newaxis]
    bar.imshow(ramp, origin="lower", aspect="auto", interpolation="nearest", extent=(0, 1, *picture.limits))
    bar.set_xticks([])
    bar.yaxis.tick_right()
    bar.yaxis.set_label_position("right")
    bar.set_ylabel(f"Flux ({content.unit})" if content.unit else "Flux")
    bar.ticklabel_format(axis="y", style="sci", scilimits=(-3, 4))


def _write_texts(figure: Figure, axes: Axes, content: ImageMap, look: Look) -> None:
    middle = axes.get_position()
    center, top = (middle.x0 + middle.x1) / 2, middle.y1
    figure.text(0.5, top + 0.055, content.title, ha="center", va="bottom", fontsize=13, parse_math=False)
    figure.text(center, top + 0.02, content.subtitle, ha="center", va="bottom", fontsize=9, parse_math=False)
    if look.watermark:
        axes.text(
            0.97, 0.03, look.watermark, color="gray", alpha=0.8, ha="right", va="bottom", fontsize=16,
            transform=axes.transAxes, parse_math=False,
        )  # fmt: skip


def _draw_beam(axes: Axes, beam: Beam, plane: TangentPlane, picture: _Picture) -> None:
    """Draw the ellipse of the beam in the lower left corner, on a light patch that any image shows."""
    from matplotlib.patches import Ellipse

    (xx, xy), (yx, yy) = plane.matrix
    scale = math.sqrt(abs(xx * yy - xy * yx))
    left, right, bottom, top = picture.extent
    size = beam.major / scale / 2
    at = left + 0.05 * (right - left) + size, bottom + 0.07 * (top - bottom) + size
    # position angles count from north to east: north is the direction up + turn, east to its left on the sky
    sense = math.copysign(1.0, -(xx * yy - xy * yx))
    angle = 90.0 - _find_turn(plane) + sense * beam.angle
    ellipse = Ellipse(at, beam.major / scale, beam.minor / scale, angle=angle, fill=False, edgecolor="black", lw=2)
    inner = Ellipse(at, beam.major / scale, beam.minor / scale, angle=angle, facecolor="white", alpha=0.6)
    axes.add_patch(inner)
    axes.add_patch(ellipse)
    axes.annotate(
        "Beam FWHM", (left + 0.02 * (right - left), bottom + 0.015 * (top - bottom)), fontsize=9, weight="bold",
        bbox={"facecolor": "white", "alpha": 0.6, "edgecolor": "none", "pad": 1.5},
    )  # fmt: skip


def encode_figure(canvas: Any) -> bytes:
    """Draw a figure and encode it as PNG."""
    canvas.draw()
    return encode_png(np.asarray(canvas.buffer_rgba())[..., :3], RESOLUTION)


def encode_png(pixels: NDArray[np.uint8], resolution: float) -> bytes:
    """Encode an image as PNG.

    Parameters
    ----------
    pixels : (ny, nx, 3) ndarray of uint8
        Red, green, blue.
    resolution : float
        Dots per inch.

    Notes
    -----
    Each row is stored as the difference from the row above. That suits maps, whose pixels cover many dots: it takes a
    third of the time of encoders that try all filters on each row, and the files are smaller (PNG, third edition,
    W3C 2025, sections 9 and 11).
    """
    rows, columns = pixels.shape[:2]
    per_metre = round(resolution / 0.0254)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, _TRUE_COLOR, 0, 0, 0)),
        (b"pHYs", struct.pack(">IIB", per_metre, per_metre, 1)),
        (b"IDAT", _pack_rows(pixels)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


def _pack_rows(pixels: NDArray[np.uint8]) -> bytes:
    """Compress differences of rows, some rows at a time: all at once would take twice the memory of the image."""
    rows, columns = pixels.shape[:2]
    packer = zlib.compressobj(_COMPRESSION)
    packed = []
    above = np.zeros(columns * 3, dtype=np.uint8)
    for start in range(0, rows, _BAND):
        flat = pixels[start : start + _BAND].reshape(-1, columns * 3)
        lines = np.empty((len(flat), columns * 3 + 1), dtype=np.uint8)
        lines[:, 0] = _FILTER_UP
        np.subtract(flat[0], above, out=lines[0, 1:])
        np.subtract(flat[1:], flat[:-1], out=lines[1:, 1:])
        above = flat[-1].copy()
        packed.append(packer.compress(lines.data))
    packed.append(packer.flush())
    return b"".join(packed)
