"""Gnomonic (tangent-plane) projection between pixels and celestial positions, without a full WCS library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import FloatArray

__all__ = ["TangentPlane"]


@dataclass(frozen=True)
class TangentPlane:
    """A linear map of pixels onto the plane that touches the sky at a reference position.

    Attributes
    ----------
    pixel : (float, float)
        Reference pixel (x, y), from 0.
    sky : (float, float)
        Longitude and latitude of the reference pixel, degrees.
    matrix : ((float, float), (float, float))
        Plane coordinates (east, north), degrees, per pixel step (x, y).

    References
    ----------
    Calabretta & Greisen 2002, A&A 395, 1077, sections 2.4 and 5.1.3 (TAN, native pole at the reference position).
    """

    pixel: tuple[float, float]
    sky: tuple[float, float]
    matrix: tuple[tuple[float, float], tuple[float, float]]

    def to_sky(self, x: ArrayLike, y: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Longitude (0 to 360) and latitude, degrees, of pixel positions from 0."""
        dx, dy = np.asarray(x, dtype=float) - self.pixel[0], np.asarray(y, dtype=float) - self.pixel[1]
        east, north = (np.radians(row[0] * dx + row[1] * dy) for row in self.matrix)
        longitude, latitude = np.radians(self.sky)
        depth = np.cos(latitude) - north * np.sin(latitude)
        return (
            np.degrees(longitude + np.arctan2(east, depth)) % 360.0,
            np.degrees(np.arctan2(np.sin(latitude) + north * np.cos(latitude), np.hypot(east, depth))),
        )

    def to_pixel(self, longitude: ArrayLike, latitude: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Pixel positions (x, y) from 0 of celestial positions in degrees; NaN for the far half of the sky."""
        east, north = self._project(np.radians(longitude), np.radians(latitude))
        (xx, xy), (yx, yy) = np.linalg.inv(np.array(self.matrix))
        return xx * east + xy * north + self.pixel[0], yx * east + yy * north + self.pixel[1]

    def _project(self, longitude: FloatArray, latitude: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Plane coordinates (east, north), degrees, of positions in radians."""
        middle, pole = np.radians(self.sky)
        away = longitude - middle
        depth = np.sin(latitude) * np.sin(pole) + np.cos(latitude) * np.cos(pole) * np.cos(away)
        depth = np.where(depth > 0, depth, np.nan)
        rise = np.sin(latitude) * np.cos(pole) - np.cos(latitude) * np.sin(pole) * np.cos(away)
        return np.degrees(np.cos(latitude) * np.sin(away) / depth), np.degrees(rise / depth)
