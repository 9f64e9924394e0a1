"""Regions on images: their shapes, editing by handles, masks, and DS9 region files."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import InputError
from sofia_viewers.image.readout import find_sky_frame

if TYPE_CHECKING:
    from sofia_viewers.image.geometry import Affine

__all__ = ["SHAPES", "Region", "RegionFile", "Shape", "Symbol", "format_regions", "make_region", "parse_regions"]

Shape = Literal["point", "line", "circle", "ellipse", "box", "polygon", "annulus", "vector"]
Symbol = Literal["cross", "x", "circle", "box", "diamond"]
System = Literal["image", "fk5", "icrs", "galactic"]
Point = tuple[float, float]
FloatArray = NDArray[np.float64]

SHAPES: tuple[Shape, ...] = get_args(Shape)

_N_CURVE = 72
_LEAST_SIZE = 0.05


@dataclass(frozen=True)
class Region:
    """A shape on an image.

    Parameters
    ----------
    shape : str
        One of `SHAPES`.
    points : tuple of (float, float)
        Pixels from 0: the centre; both ends of a line; the corners of a polygon; the tail of a vector.
    sizes : tuple of float
        Pixels: radius of a circle; semi-axes of an ellipse; width and height of a box; radii of an annulus; length of
        a vector.
    angle : float
        Degrees counter-clockwise from +x, of ellipse, box and vector.
    name : str
        Text shown beside it.
    color : str
        Name of a colour, or ``#rrggbb``.
    width : float
        Width of the line, screen pixels.
    symbol : str
        How a point is drawn.
    tag : str
        Group it belongs to.
    """

    shape: Shape
    points: tuple[Point, ...]
    sizes: tuple[float, ...] = ()
    angle: float = 0.0
    name: str = ""
    color: str = "green"
    width: float = 1.0
    symbol: Symbol = "cross"
    tag: str = ""

    @property
    def center(self) -> Point:
        """The middle: the centre, or the mean of the points."""
        x, y = np.mean(self.points, axis=0)
        return float(x), float(y)

    @property
    def has_area(self) -> bool:
        """Whether it encloses pixels."""
        return self.shape in ("circle", "ellipse", "box", "polygon", "annulus")

    @property
    def head(self) -> Point:
        """End of a vector."""
        (x, y), turn = self.points[0], math.radians(self.angle)
        return x + self.sizes[0] * math.cos(turn), y + self.sizes[0] * math.sin(turn)

    def outlines(self) -> list[FloatArray]:
        """Return the lines to draw, each (n, 2) pixels; none for a point."""
        if self.shape in ("circle", "annulus"):
            return [self._ellipse(radius, radius) for radius in self.sizes if radius > 0]
        if self.shape == "ellipse":
            return [self._ellipse(*self.sizes)]
        if self.shape == "box":
            w, h = self.sizes
            corners = np.array([(-w, -h), (w, -h), (w, h), (-w, h), (-w, -h)]) / 2
            return [self._turned(corners)]
        if self.shape == "vector":
            return [np.array([self.points[0], self.head]), self._arrow()]
        if self.shape == "point":
            return []
        closed = (*self.points, self.points[0]) if self.shape == "polygon" else self.points
        return [np.array(closed, dtype=float)]

    def handles(self) -> list[Point]:
        """Return the points by which the shape is changed."""
        if self.shape in ("line", "polygon"):
            return list(self.points)
        if self.shape == "vector":
            return [self.head]
        if self.shape == "point":
            return []
        if self.shape in ("circle", "annulus"):
            x, y = self.points[0]
            return [(x + radius, y) for radius in self.sizes]
        a, b = self.sizes if self.shape == "ellipse" else (self.sizes[0] / 2, self.sizes[1] / 2)
        ends = self._turned(np.array([(a, 0.0), (0.0, b)]))
        return [(float(x), float(y)) for x, y in ends]

    def with_handle(self, index: int, to: Point) -> Region:
        """Return the region after a handle was dragged to a pixel."""
        if self.shape in ("line", "polygon"):
            return replace(self, points=(*self.points[:index], to, *self.points[index + 1 :]))
        x, y = self.points[0]
        distance = max(math.hypot(to[0] - x, to[1] - y), _LEAST_SIZE)
        turn = math.degrees(math.atan2(to[1] - y, to[0] - x))
        if self.shape in ("circle", "annulus"):
            sizes = (*self.sizes[:index], distance, *self.sizes[index + 1 :])
            return replace(self, sizes=tuple(sorted(sizes)))
        if self.shape == "vector":
            return replace(self, sizes=(distance,), angle=turn % 360.0)
        size = distance if self.shape == "ellipse" else 2 * distance
        angle = (turn - 90.0 * index) % 360.0
        return replace(self, sizes=(size, self.sizes[1]) if index == 0 else (self.sizes[0], size), angle=angle)

    def with_corner(self, at: Point) -> Region:
        """Return a polygon with one more corner, in the side that is nearest to a pixel; others as they are."""
        if self.shape != "polygon":
            return self
        corners = np.array((*self.points, self.points[0]))
        sides = [_distance_to_line(np.array(at), corners[i : i + 2]) for i in range(len(self.points))]
        place = int(np.argmin(sides)) + 1
        return replace(self, points=(*self.points[:place], at, *self.points[place:]))

    def moved(self, dx: float, dy: float) -> Region:
        """Return the region shifted by pixels."""
        return replace(self, points=tuple((x + dx, y + dy) for x, y in self.points))

    def transformed(self, affine: Affine) -> Region:
        """Return the region on another image, of which `affine` gives the pixels (a similarity, or near one)."""
        points = tuple((float(x), float(y)) for x, y in affine(self.points))
        sizes = tuple(size * affine.scale for size in self.sizes)
        turn = math.radians(self.angle)
        dx = affine.xx * math.cos(turn) + affine.xy * math.sin(turn)
        dy = affine.yx * math.cos(turn) + affine.yy * math.sin(turn)
        return replace(self, points=points, sizes=sizes, angle=math.degrees(math.atan2(dy, dx)) % 360.0)

    def contains(self, x: Any, y: Any) -> NDArray[np.bool_]:
        """Tell which pixels lie inside; all False for shapes without area."""
        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        if self.shape == "polygon":
            return _inside_polygon(x, y, np.array(self.points))
        if not self.has_area:
            return np.zeros(np.broadcast(x, y).shape, dtype=bool)
        turn = math.radians(self.angle)
        dx, dy = x - self.points[0][0], y - self.points[0][1]
        u, v = dx * math.cos(turn) + dy * math.sin(turn), dy * math.cos(turn) - dx * math.sin(turn)
        if self.shape == "box":
            inside = (np.abs(u) <= self.sizes[0] / 2) & (np.abs(v) <= self.sizes[1] / 2)
        elif self.shape == "ellipse":
            inside = (u / self.sizes[0]) ** 2 + (v / self.sizes[1]) ** 2 <= 1
        else:
            radius = np.hypot(u, v)
            inside = radius <= self.sizes[-1]
            if self.shape == "annulus":
                inside &= radius > self.sizes[0]
        return np.asarray(inside)

    def distance(self, x: float, y: float) -> float:
        """Return the distance of a pixel from the lines or the point, pixels; 0 inside is not special."""
        lines = self.outlines() or [np.array([self.points[0], self.points[0]])]
        return min(_distance_to_line(np.array([x, y]), line) for line in lines)

    def cut_out(self, shape: tuple[int, int]) -> tuple[tuple[slice, slice], NDArray[np.bool_]]:
        """Return rows and columns around the region, and which of these pixels lie inside it."""
        lines = np.concatenate([*self.outlines(), np.array(self.points)])
        low, high = np.floor(lines.min(axis=0)).astype(int), np.ceil(lines.max(axis=0)).astype(int) + 1
        columns = slice(min(max(low[0], 0), shape[1]), min(max(high[0], 0), shape[1]))
        rows = slice(min(max(low[1], 0), shape[0]), min(max(high[1], 0), shape[0]))
        y, x = np.mgrid[rows, columns]
        return (rows, columns), self.contains(x, y)

    def _turned(self, offsets: FloatArray) -> FloatArray:
        c, s = math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle))
        turned: FloatArray = offsets @ np.array([[c, s], [-s, c]]) + np.array(self.points[0])
        return turned

    def _ellipse(self, a: float, b: float) -> FloatArray:
        phase = np.linspace(0, 2 * np.pi, _N_CURVE + 1)
        return self._turned(np.column_stack([a * np.cos(phase), b * np.sin(phase)]))

    def _arrow(self) -> FloatArray:
        size = 0.2 * self.sizes[0]
        back = [math.radians(self.angle + 180.0 + turn) for turn in (25.0, -25.0)]
        x, y = self.head
        first, second = ((x + size * math.cos(a), y + size * math.sin(a)) for a in back)
        return np.array([first, (x, y), second])


def make_region(shape: Shape, start: Point, end: Point, **style: Any) -> Region:
    """Make the region that dragging from one pixel to another draws.

    Parameters
    ----------
    shape : str
        One of `SHAPES`; a polygon starts as a triangle.
    start, end : (float, float)
        Where the button was pressed and where it is now.
    **style
        Further fields of `Region`.
    """
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = max(math.hypot(dx, dy), _LEAST_SIZE)
    middle = (start[0] + dx / 2, start[1] + dy / 2)
    half = (max(abs(dx), _LEAST_SIZE), max(abs(dy), _LEAST_SIZE))
    if shape == "point":
        return Region("point", (end,), **style)
    if shape == "line":
        return Region("line", (start, end), **style)
    if shape == "polygon":
        return Region("polygon", (start, (end[0], start[1]), end), **style)
    if shape == "vector":
        return Region("vector", (start,), (length,), math.degrees(math.atan2(dy, dx)) % 360.0, **style)
    if shape == "box":
        return Region("box", (middle,), half, **style)
    if shape == "ellipse":
        return Region("ellipse", (start,), half, **style)
    return Region(shape, (start,), (length,) if shape == "circle" else (length / 2, length), **style)


def _inside_polygon(x: FloatArray, y: FloatArray, corners: FloatArray) -> NDArray[np.bool_]:
    inside = np.zeros(np.broadcast(x, y).shape, dtype=bool)
    for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y1 == y2:
            continue
        crosses = (y1 > y) != (y2 > y)
        inside ^= crosses & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
    return inside


def _distance_to_line(point: FloatArray, line: FloatArray) -> float:
    start, along = line[:-1], np.diff(line, axis=0)
    length = np.maximum((along**2).sum(axis=1), 1e-12)
    part = np.clip(((point - start) * along).sum(axis=1) / length, 0, 1)
    return float(np.hypot(*(start + part[:, None] * along - point).T).min())


@dataclass(frozen=True)
class RegionFile:
    """What a region file holds, in pixels of an image.

    Parameters
    ----------
    regions : tuple of Region
        All that could be read.
    skipped : tuple of str
        Lines that could not.
    """

    regions: tuple[Region, ...]
    skipped: tuple[str, ...] = ()


_VECTOR = re.compile(r"^\s*(?:#\s*)?vector\s*\(([^)]*)\)(.*)$", re.IGNORECASE)
_LINEAR = re.compile(r"^\s*(?:wcs\w?;)?\s*linear\s*;\s*(\w+)\s*\(([^)]*)\)(.*)$", re.IGNORECASE)
_SYSTEM = re.compile(
    r"^\s*(image|physical|fk5|fk4|icrs|galactic|ecliptic|j2000|wcs\w?|linear|wcs;linear)\s*;?\s*$", re.IGNORECASE
)
_PREFIX = re.compile(r"^\s*(image|physical|fk5|fk4|icrs|galactic|j2000)\s*;", re.IGNORECASE)


def parse_regions(text: str, wcs: Any = None, linear: Affine | None = None) -> RegionFile:
    """Read a DS9 region file.

    Parameters
    ----------
    text : str
        Content of the file.
    wcs : WCS, optional
        Celestial coordinates of the image; without them regions on the sky are skipped.
    linear : Affine, optional
        From linear world coordinates of the image (spectral images) to pixels from 0.

    Returns
    -------
    RegionFile
        Regions in pixels, and the lines that could not be read.
    """
    regions: list[Region] = []
    skipped: list[str] = []
    system = "image"
    style = ""
    for raw in text.splitlines():
        line = raw.strip()
        if _SYSTEM.match(line):
            system = line.rstrip(";").lower()
        elif line.lower().startswith("global"):
            style = line
        elif line and not (line.startswith("#") and not _VECTOR.match(line)):
            for part in _split_statements(line):
                found = _read_line(part, system, style, wcs, linear)
                regions += found
                skipped += [] if found else [part]
    return RegionFile(tuple(regions), tuple(skipped))


def _split_statements(line: str) -> list[str]:
    """Split ``fk5;circle(...);box(...)`` into statements that carry their system."""
    body, _, comment = line.partition("#") if not _VECTOR.match(line) else (line, "", "")
    if _VECTOR.match(line) or _LINEAR.match(line):
        return [line]
    parts = [part.strip() for part in body.split(";") if part.strip()]
    system = ""
    statements = []
    for part in parts:
        if "(" not in part and _SYSTEM.match(part):
            system = f"{part};"
        else:
            statements.append(system + part + (f" # {comment}" if comment else ""))
    return statements


def _read_line(line: str, system: str, style: str, wcs: Any, linear: Affine | None) -> list[Region]:
    prefix = _PREFIX.match(line)
    if prefix:
        system, line = prefix.group(1).lower(), line[prefix.end() :].strip()
    attributes = _read_attributes(style) | _read_attributes(
        line.partition("#")[2] if not line.startswith("#") else line
    )
    try:
        found = _LINEAR.match(line)
        if found or system.endswith("linear"):
            return _read_linear(found, line, attributes, linear)
        vector = _VECTOR.match(line)
        if vector:
            return [_read_vector(vector.group(1), system, attributes, wcs)]
        return _read_with_package(line, system, attributes, wcs)
    except (ValueError, TypeError, IndexError, InputError):
        return []


def _read_attributes(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, braces, quotes, word in re.findall(r"(\w+)\s*=\s*(?:\{([^}]*)\}|\"([^\"]*)\"|(\S+))", text):
        found[key.lower()] = braces or quotes or word
    style: dict[str, Any] = {}
    for key, field in (("color", "color"), ("text", "name"), ("tag", "tag"), ("point", "symbol")):
        if key in found:
            style[field] = found[key]
    if style.get("symbol") not in (None, *get_args(Symbol)):
        style["symbol"] = "cross"
    if "width" in found:
        style["width"] = float(found["width"])
    return style


def _read_linear(found: Any, line: str, style: dict[str, Any], linear: Affine | None) -> list[Region]:
    if found is None:
        found = re.match(r"^\s*(\w+)\s*\(([^)]*)\)(.*)$", line)
    if found is None or linear is None:
        return []
    numbers = [float(n) for n in re.split(r"[,\s]+", found.group(2).strip())]
    points = tuple((float(x), float(y)) for x, y in linear(np.reshape(numbers[: len(numbers) // 2 * 2], (-1, 2))))
    shape: Any = found.group(1).lower()
    return [Region(shape, points, **style)] if shape in ("line", "point", "polygon") else []


def _read_vector(numbers: str, system: str, style: dict[str, Any], wcs: Any) -> Region:
    parts = [p for p in re.split(r"[,\s]+", numbers.strip()) if p]
    if system in ("image", "physical"):
        x, y, length, angle = (float(re.sub(r"[^\d.eE+-]", "", part)) for part in parts)
        return Region("vector", ((x - 1, y - 1),), (length,), angle % 360.0, **style)
    from astropy.coordinates import Angle, SkyCoord

    if wcs is None:
        raise InputError("no world coordinates")
    hours = ":" in parts[0]
    tail = SkyCoord(parts[0], parts[1], unit=("hourangle" if hours else "deg", "deg"), frame=_frame_name(system))
    degrees = {'"': 1 / 3600, "'": 1 / 60, "d": 1.0}.get(parts[2][-1], 1.0)
    length = float(parts[2].rstrip("\"'dp")) * degrees
    head = tail.directional_offset_by(Angle(float(parts[3]) - 90.0, "deg"), Angle(length, "deg"))
    (x1, y1), (x2, y2) = (tuple(float(v) for v in wcs.world_to_pixel(p)) for p in (tail, head))
    return make_region("vector", (x1, y1), (x2, y2), **style)


def _frame_name(system: str) -> str:
    return {"j2000": "fk5", "wcs": "icrs"}.get(system, system)


def _read_with_package(line: str, system: str, style: dict[str, Any], wcs: Any) -> list[Region]:
    import regions
    from astropy.wcs.utils import wcs_to_celestial_frame

    plain = line.partition("#")[0].strip()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            parsed = regions.Regions.parse(f"{system}\n{plain}\n", format="ds9")
        except Exception as error:
            raise InputError(str(error)) from error
        pixels = []
        for region in parsed:
            if isinstance(region, regions.SkyRegion):
                if wcs is None:
                    raise InputError("no world coordinates")
                region = _in_frame(region, wcs_to_celestial_frame(wcs)).to_pixel(wcs)  # noqa: PLW2901
            pixels.append(_from_package(region, style))
    return pixels


def _from_package(region: Any, style: dict[str, Any]) -> Region:
    import regions

    def angle() -> float:
        return float(region.angle.to_value("deg")) % 360.0

    def xy(where: Any) -> Point:
        return float(where.x), float(where.y)

    if isinstance(region, regions.LinePixelRegion):
        return Region("line", (xy(region.start), xy(region.end)), **style)
    if isinstance(region, regions.PolygonPixelRegion):
        corners = zip(np.ravel(region.vertices.x), np.ravel(region.vertices.y), strict=True)
        return Region("polygon", tuple((float(x), float(y)) for x, y in corners), **style)
    center = (xy(region.center),)
    if isinstance(region, regions.CirclePixelRegion):
        return Region("circle", center, (float(region.radius),), **style)
    if isinstance(region, regions.CircleAnnulusPixelRegion):
        return Region("annulus", center, (float(region.inner_radius), float(region.outer_radius)), **style)
    if isinstance(region, regions.EllipsePixelRegion):
        return Region("ellipse", center, (float(region.width) / 2, float(region.height) / 2), angle(), **style)
    if isinstance(region, regions.RectanglePixelRegion):
        return Region("box", center, (float(region.width), float(region.height)), angle(), **style)
    if isinstance(region, regions.TextPixelRegion):
        return Region("point", center, **({"name": region.text} | style))
    if isinstance(region, regions.PointPixelRegion):
        return Region("point", center, **style)
    raise InputError(f"{type(region).__name__} is not supported")


def _to_package(region: Region) -> Any:
    import regions
    from astropy import units as u

    points = [regions.PixCoord(x, y) for x, y in region.points]
    turn = region.angle * u.deg
    if region.shape == "point":
        return regions.PointPixelRegion(points[0])
    if region.shape == "line":
        return regions.LinePixelRegion(points[0], points[1])
    if region.shape == "polygon":
        return regions.PolygonPixelRegion(regions.PixCoord(*np.array(region.points).T))
    if region.shape == "circle":
        return regions.CirclePixelRegion(points[0], region.sizes[0])
    if region.shape == "annulus":
        return regions.CircleAnnulusPixelRegion(points[0], region.sizes[0], region.sizes[-1])
    if region.shape == "ellipse":
        return regions.EllipsePixelRegion(points[0], 2 * region.sizes[0], 2 * region.sizes[1], turn)
    return regions.RectanglePixelRegion(points[0], region.sizes[0], region.sizes[1], turn)


def format_regions(regions: Iterable[Region], system: System = "image", wcs: Any = None) -> str:
    """Write a DS9 region file.

    Parameters
    ----------
    regions : iterable of Region
        In pixels of the image.
    system : {"image", "fk5", "icrs", "galactic"}
        Coordinates to write.
    wcs : WCS, optional
        Celestial coordinates of the image, needed for all but ``"image"``.

    Raises
    ------
    InputError
        If sky coordinates are wanted of an image without them.
    """
    if system != "image" and wcs is None:
        raise InputError(f"Regions cannot be written in {system}: the image has no celestial coordinates; use image.")
    lines = ["# Region file format: DS9", system]
    lines += [_format_region(region, system, wcs) for region in regions]
    return "\n".join(lines) + "\n"


def _format_region(region: Region, system: System, wcs: Any) -> str:
    style = [f"color={region.color}", f"width={region.width:g}"]
    style += [f"point={region.symbol}"] if region.shape == "point" else []
    style += [f"text={{{region.name}}}"] if region.name else []
    style += [f"tag={{{region.tag}}}"] if region.tag else []
    if region.shape == "vector":
        return _format_vector(region, system, wcs) + " " + " ".join(style)
    made = _to_package(region)
    if system != "image":
        made = _in_frame(made.to_sky(wcs), find_sky_frame(system))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = made.serialize(format="ds9", precision=9)
    body: str = next(line for line in reversed(text.strip().splitlines()) if "(" in line)
    return body.partition("#")[0].strip().rpartition(";")[2].strip() + " # " + " ".join(style)


def _in_frame(sky: Any, frame: Any) -> Any:
    """Return a region of the package in other sky coordinates, its angle, which the package leaves, turned too."""
    from astropy.coordinates import SkyCoord

    changes = {}
    for name in ("center", "start", "end", "vertices"):
        where = getattr(sky, name, None)
        if where is not None:
            changes[name] = SkyCoord(where.frame.transform_to(frame))
    if hasattr(sky, "angle"):
        changes["angle"] = sky.angle + _turn_between(sky.center, frame)
    return sky.copy(**changes)


def _turn_between(center: Any, frame: Any) -> Any:
    """Return the position angle, in a frame, of the direction that is north in the frame of the centre."""
    from astropy import units as u
    from astropy.coordinates import SkyCoord

    north = center.directional_offset_by(0 * u.deg, 1 * u.arcsec)
    here, there = (SkyCoord(position.frame.transform_to(frame)) for position in (center, north))
    return here.position_angle(there).wrap_at(180 * u.deg)


def _format_vector(region: Region, system: System, wcs: Any) -> str:
    (x, y) = region.points[0]
    if system == "image":
        return f"# vector({x + 1:.9g},{y + 1:.9g},{region.sizes[0]:.9g},{region.angle:.9g}) vector=1"
    from astropy.coordinates import SkyCoord

    frame = find_sky_frame(system)
    tail, head = (SkyCoord(wcs.pixel_to_world(*p).frame.transform_to(frame)) for p in (region.points[0], region.head))
    lon, lat = tail.spherical.lon.deg, tail.spherical.lat.deg
    angle = (tail.position_angle(head).deg + 90.0) % 360.0
    return f'# vector({lon:.9f},{lat:.9f},{tail.separation(head).arcsec:.9g}",{angle:.9g}) vector=1'
