"""Where frames lie: from pixels to the common display plane, from there to the screen."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sofia_viewers.image.frame import Frame

__all__ = [
    "Affine",
    "BlockPlan",
    "Lock",
    "ViewState",
    "fit_affine",
    "map_locally",
    "place_frame",
    "plan_block",
    "turn_by",
    "turn_north_up",
]

Lock = Literal["wcs", "image", "none"]
Point = tuple[float, float]
FloatArray = NDArray[np.float64]

_LARGEST_STEP = 256
_MARGIN = 0.25


@dataclass(frozen=True)
class Affine:
    """A linear map of the plane: ``x' = xx x + xy y + x0``, ``y' = yx x + yy y + y0``."""

    xx: float = 1.0
    xy: float = 0.0
    yx: float = 0.0
    yy: float = 1.0
    x0: float = 0.0
    y0: float = 0.0

    def __call__(self, points: Any) -> FloatArray:
        """Map points, the last axis of which is (x, y)."""
        xy = np.asarray(points, dtype=float)
        x, y = xy[..., 0], xy[..., 1]
        return np.stack([self.xx * x + self.xy * y + self.x0, self.yx * x + self.yy * y + self.y0], axis=-1)

    def map(self, x: float, y: float) -> Point:
        """Map one point."""
        return self.xx * x + self.xy * y + self.x0, self.yx * x + self.yy * y + self.y0

    def after(self, first: Affine) -> Affine:
        """Return the map that does `first`, then this one."""
        x0, y0 = self.map(first.x0, first.y0)
        return Affine(
            self.xx * first.xx + self.xy * first.yx,
            self.xx * first.xy + self.xy * first.yy,
            self.yx * first.xx + self.yy * first.yx,
            self.yx * first.xy + self.yy * first.yy,
            x0,
            y0,
        )

    @property
    def determinant(self) -> float:
        """Area of the image of a unit square, negative if it is mirrored."""
        return self.xx * self.yy - self.xy * self.yx

    @property
    def scale(self) -> float:
        """Mean length of the image of a unit length."""
        return math.sqrt(abs(self.determinant))

    def inverse(self) -> Affine:
        """Return the map back."""
        d = self.determinant
        xx, xy, yx, yy = self.yy / d, -self.xy / d, -self.yx / d, self.xx / d
        return Affine(xx, xy, yx, yy, -(xx * self.x0 + xy * self.y0), -(yx * self.x0 + yy * self.y0))


@dataclass(frozen=True)
class ViewState:
    """Which part of the display plane a view shows.

    Parameters
    ----------
    center : (float, float)
        Point of the display plane in the middle of the view.
    zoom : float
        Screen pixels per unit of the display plane.
    """

    center: Point = (0.0, 0.0)
    zoom: float = 1.0

    def to_screen(self, size: tuple[int, int]) -> Affine:
        """Return the map from the display plane (y up) to a view of that width and height (y down)."""
        x, y = self.center
        return Affine(self.zoom, 0.0, 0.0, -self.zoom, size[0] / 2 - self.zoom * x, size[1] / 2 + self.zoom * y)

    def zoomed_at(self, point: Point, factor: float) -> ViewState:
        """Return the state zoomed by a factor; the point of the display plane stays where it is on the screen."""
        zoom = min(max(self.zoom * factor, 1e-4), 512.0)
        ratio = self.zoom / zoom
        x, y = (p + (c - p) * ratio for p, c in zip(point, self.center, strict=True))
        return ViewState((x, y), zoom)

    def panned(self, dx: float, dy: float) -> ViewState:
        """Return the state after the picture was dragged by screen pixels, right and down."""
        return replace(self, center=(self.center[0] - dx / self.zoom, self.center[1] + dy / self.zoom))

    @classmethod
    def fit(cls, corners: FloatArray, size: tuple[int, int], margin: float = 0.02) -> ViewState:
        """Show all of the points of the display plane in a view of that size."""
        low, high = corners.min(axis=0), corners.max(axis=0)
        extent = np.maximum(high - low, 1e-9) * (1 + margin)
        zoom = min(max(size[0], 1) / extent[0], max(size[1], 1) / extent[1])
        center = (low + high) / 2
        return cls((float(center[0]), float(center[1])), float(zoom))


@dataclass(frozen=True)
class BlockPlan:
    """Which pixels are needed to draw a view.

    Parameters
    ----------
    rows, columns : slice
        Part of the image, its start divisible by `step`.
    step : int
        Pixels are averaged over squares of this side.
    """

    rows: slice
    columns: slice
    step: int

    @property
    def is_empty(self) -> bool:
        """Whether nothing of the image is in view."""
        return bool(self.rows.stop <= self.rows.start or self.columns.stop <= self.columns.start)

    def covers(self, other: BlockPlan) -> bool:
        """Whether this block is enough to draw the other."""
        return self.step == other.step and all(
            mine.start <= others.start and mine.stop >= others.stop
            for mine, others in ((self.rows, other.rows), (self.columns, other.columns))
        )


def plan_block(shape: tuple[int, int], to_screen: Affine, size: tuple[int, int], margin: float = _MARGIN) -> BlockPlan:
    """Find the pixels to read for a view.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns of the image.
    to_screen : Affine
        From pixels to the view.
    size : (int, int)
        Width and height of the view.
    margin : float
        Part of the view's extent that is read beyond its edges.
    """
    step = min(max(1, int(1.0 / max(to_screen.scale, 1e-9))), _LARGEST_STEP)
    width, height = size
    corners = to_screen.inverse()(
        [(sx, sy) for sx in (-margin * width, (1 + margin) * width) for sy in (-margin * height, (1 + margin) * height)]
    )
    columns = _clip(corners[:, 0], shape[1], step)
    rows = _clip(corners[:, 1], shape[0], step)
    return BlockPlan(rows, columns, step)


def _clip(values: FloatArray, length: int, step: int) -> slice:
    first = max(0, math.floor(values.min() + 0.5)) // step * step
    last = min(length, math.ceil(values.max() + 0.5))
    if last < length:
        last = min(length, -(-last // step) * step)
    return slice(first, max(last, first))


def fit_affine(source: FloatArray, target: FloatArray) -> Affine | None:
    """Fit a linear map to pairs of points; None if fewer than three are finite."""
    good = np.isfinite(source).all(axis=1) & np.isfinite(target).all(axis=1)
    if np.count_nonzero(good) < 3:
        return None
    design = np.column_stack([source[good], np.ones(np.count_nonzero(good))])
    (xx, yx), (xy, yy), (x0, y0) = np.linalg.lstsq(design, target[good], rcond=None)[0]
    found = Affine(float(xx), float(xy), float(yx), float(yy), float(x0), float(y0))
    return found if abs(found.determinant) > 0 else None


def place_frame(frame: Frame, reference: Frame, lock: Lock, turn: Affine | None = None) -> Affine:
    """Find the map from the pixels of a frame to the display plane, which is that of the reference's pixels.

    Parameters
    ----------
    frame, reference : Frame
        What is shown, and the frame the others are aligned with.
    lock : {"wcs", "image", "none"}
        ``"wcs"`` aligns by world coordinates where both have them, to first order over the frame.
    turn : Affine, optional
        Rotation of the display plane.
    """
    turn = turn or Affine()
    if lock != "wcs" or frame is reference or frame.wcs is None or reference.wcs is None:
        return turn
    rows, columns = frame.shape
    x, y = np.meshgrid(np.linspace(0, columns - 1, 3), np.linspace(0, rows - 1, 3))
    source = np.column_stack([x.ravel(), y.ravel()])
    found = fit_affine(source, map_pixels(source, frame.wcs, reference.wcs))
    return turn if found is None else turn.after(found)


def map_pixels(points: FloatArray, source: Any, target: Any) -> FloatArray:
    """Map pixels of one image to those of another through the sky; NaN where they have none.

    Parameters
    ----------
    points : ndarray
        (n, 2) pixels (x, y), from 0.
    source, target : WCS
        Celestial world coordinates.
    """
    from astropy.wcs.utils import pixel_to_pixel

    points = np.asarray(points, dtype=float)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            x, y = pixel_to_pixel(source, target, points[:, 0], points[:, 1])
        except (ValueError, TypeError):
            return np.full_like(points, np.nan)
    return np.column_stack([x, y])


def map_locally(center: Point, frame: Frame, target: Frame, lock: Lock = "wcs") -> Affine | None:
    """Return the linear map between the pixels of two frames near a point; None if the point is not on the sky."""
    if frame is target or lock != "wcs" or frame.wcs is None or target.wcs is None:
        return Affine()
    source = np.array(center) + np.array([(0, 0), (1, 0), (0, 1), (-1, 0), (0, -1)], dtype=float)
    return fit_affine(source, map_pixels(source, frame.wcs, target.wcs))


def turn_by(angle: float, center: Point) -> Affine:
    """Return a rotation by an angle, degrees counter-clockwise, about a point."""
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    x, y = center
    return Affine(c, -s, s, c, x - c * x + s * y, y - s * x - c * y)


def turn_north_up(frame: Frame) -> Affine:
    """Return the rotation, and mirroring if need be, that brings north up and east left; none without coordinates."""
    if frame.wcs is None:
        return Affine()
    rows, columns = frame.shape
    center = ((columns - 1) / 2, (rows - 1) / 2)
    east, north = sky_directions(frame.wcs, center)
    angle = 90.0 - math.degrees(math.atan2(north[1], north[0]))
    turned = turn_by(angle, center)
    if turned.xx * east[0] + turned.xy * east[1] > 0:
        turned = Affine(xx=-1.0, x0=2 * center[0]).after(turned)
    return turned


def sky_directions(wcs: Any, pixel: Point) -> tuple[Point, Point]:
    """Return the unit vectors, in pixels, towards east and north at a pixel."""
    step = 1e-3 * float(np.sqrt(abs(np.linalg.det(wcs.pixel_scale_matrix))))
    lon, lat = (float(v) for v in wcs.wcs_pix2world(pixel[0], pixel[1], 0))
    east_lon = lon + step / max(math.cos(math.radians(lat)), 1e-6)
    sky = [(lon, lat), (east_lon, lat), (lon, lat + step)]
    here, east, north = np.asarray(wcs.wcs_world2pix(sky, 0))
    return _unit(east - here), _unit(north - here)


def _unit(vector: FloatArray) -> Point:
    length = float(np.hypot(*vector)) or 1.0
    return float(vector[0]) / length, float(vector[1]) / length
