"""The grid of a cube: pixels on the sky or in the field, and wavelengths."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.errors import StepError
from sofia_engine.instruments.fifi_ls.positions import ARCSEC_PER_DEGREE
from sofia_engine.numerics.tangent_plane import TangentPlane

if TYPE_CHECKING:
    from sofia_engine.header.cards import Card
    from sofia_engine.instruments.fifi_ls.cube_samples import Exposure
    from sofia_engine.numerics.arrays import FloatArray

__all__ = ["CubeGrid", "PixelSizes", "lay_grid"]

LARGEST = 2048
"""Pixels along a side of the map."""


@dataclass(frozen=True)
class PixelSizes:
    """Sizes of the pixels of a cube: arcsec and um."""

    spatial: float
    spectral: float


@dataclass(frozen=True)
class CubeGrid:
    """Pixels of a cube.

    Attributes
    ----------
    shape : (int, int, int)
        Wavelengths, rows, columns.
    center : (float, float, float)
        Right ascension and declination (degrees; or x and y, arcsec) and wavelength (um) of the reference pixel.
    pixel : (int, int, int)
        Reference pixel (x, y, wavelength), from 0.
    sizes : PixelSizes
        Sizes of the pixels.
    angle : float
        SKY_ANGL: by which the map is turned from north, degrees.
    on_sky : bool
        Whether the map is one of the sky.
    """

    shape: tuple[int, int, int]
    center: tuple[float, float, float]
    pixel: tuple[int, int, int]
    sizes: PixelSizes
    angle: float
    on_sky: bool

    @property
    def axes(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Pixel numbers (x, y, wavelength)."""
        nw, ny, nx = self.shape
        return np.arange(nx, dtype=float), np.arange(ny, dtype=float), np.arange(nw, dtype=float)

    @property
    def wavelength(self) -> FloatArray:
        """Wavelengths of the slices, um."""
        return self.center[2] + self.sizes.spectral * (np.arange(self.shape[0]) - self.pixel[2])

    @property
    def plane(self) -> TangentPlane:
        """Pixels (x, y) to the sky."""
        return _tangent_plane(self.center[:2], self.pixel[:2], self.sizes.spatial, self.angle)

    def coordinates(self) -> tuple[FloatArray, FloatArray]:
        """Coordinates of the columns in the first row and of the rows in the first column: degrees, or arcsec."""
        _, ny, nx = self.shape
        if self.on_sky:
            return self.plane.to_sky(np.arange(nx), 0)[0], self.plane.to_sky(0, np.arange(ny))[1]
        size = self.sizes.spatial
        return (
            self.center[0] + size * (np.arange(nx) - self.pixel[0]),
            self.center[1] + size * (np.arange(ny) - self.pixel[1]),
        )

    def to_pixels(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Pixel positions of places on the sky (degrees), or in the field (arcsec)."""
        if self.on_sky:
            return self.plane.to_pixel(x, y)
        size = self.sizes.spatial
        return (x - self.center[0]) / size + self.pixel[0], (y - self.center[1]) / size + self.pixel[1]

    def to_slice(self, wavelength: FloatArray) -> FloatArray:
        """Slice numbers of wavelengths."""
        return (wavelength - self.center[2]) / self.sizes.spectral + self.pixel[2]

    def cards(self) -> list[Card]:
        """Return the world coordinates as cards."""
        size = self.sizes.spatial / ARCSEC_PER_DEGREE if self.on_sky else self.sizes.spatial
        types, unit = (("RA---TAN", "DEC--TAN"), "deg") if self.on_sky else (("X", "Y"), "arcsec")
        made: list[Card] = [
            ("EQUINOX", 2000.0, "Coordinate equinox"),
            ("CTYPE1", types[0], "Axis 1 type and projection"),
            ("CTYPE2", types[1], "Axis 2 type and projection"),
            ("CTYPE3", "WAVE", "Axis 3 type and projection"),
            ("CUNIT1", unit, "Axis 1 units"),
            ("CUNIT2", unit, "Axis 2 units"),
            ("CUNIT3", "um", "Axis 3 units"),
        ]
        made += [(f"CRVAL{n}", value, f"Axis {n} value at CRPIX{n}") for n, value in enumerate(self.center, 1)]
        steps = (-size if self.on_sky else size, size, self.sizes.spectral)
        made += [(f"CDELT{n}", value, f"Axis {n} pixel scale") for n, value in enumerate(steps, 1)]
        made += [(f"CRPIX{n}", float(value + 1), f"Axis {n} reference pixel") for n, value in enumerate(self.pixel, 1)]
        return [*made, ("CROTA2", -self.angle if self.on_sky and self.angle else 0.0, "Rotation angle (deg)")]


def _tangent_plane(center: tuple[float, float], pixel: tuple[float, float], size: float, angle: float) -> TangentPlane:
    step = size / ARCSEC_PER_DEGREE
    c, s = step * math.cos(math.radians(angle)), step * math.sin(math.radians(angle))
    return TangentPlane(pixel, center, ((-c, s), (s, c)))


def lay_grid(exposures: Sequence[Exposure], sizes: PixelSizes, *, angle: float = 0.0, on_sky: bool = True) -> CubeGrid:
    """Lay a grid over all samples of some exposures.

    Parameters
    ----------
    exposures : sequence of Exposure
        All that go into the cube.
    sizes : PixelSizes
        Sizes of its pixels.
    angle : float
        By which offsets were turned from north, degrees.
    on_sky : bool
        Whether positions are on the sky.

    Raises
    ------
    StepError
        If the map would be too large.

    Notes
    -----
    The reference pixel is in the middle of all wavelengths, of both cubes; the slices end with those of the corrected
    one.
    """
    x, y = (np.concatenate([getattr(exposure, name).ravel() for exposure in exposures]) for name in ("x", "y"))
    waves = [w for e in exposures for w in (e.wavelength, e.uncorrected_wavelength)]
    low, high = min(float(np.nanmin(w)) for w in waves), max(float(np.nanmax(w)) for w in waves)
    last_slice = max(float(np.nanmax(exposure.wavelength)) for exposure in exposures)
    center = (*(_find_center(x, y) if on_sky else (0.0, 0.0)), (low + high) / 2)
    pixels = _to_plane(x, y, center, sizes.spatial, angle, on_sky=on_sky)
    slices = (np.array([low, last_slice]) - center[2]) / sizes.spectral
    ranges = [(float(np.nanmin(v)), float(np.nanmax(v))) for v in (*pixels, slices)]
    starts = [math.floor(first) for first, _ in ranges]
    nx, ny, nw = (round(last - start) + 1 for (_, last), start in zip(ranges, starts, strict=True))
    if max(nx, ny) > LARGEST:
        raise StepError(
            f"The map would be {nx} x {ny} pixels; more than {LARGEST} are not made. Check the positions of the files, "
            "or give a larger pixel size."
        )
    return CubeGrid((nw, ny, nx), center, (-starts[0], -starts[1], -starts[2]), sizes, angle, on_sky)


def _to_plane(
    x: FloatArray, y: FloatArray, center: tuple[float, float, float], size: float, angle: float, *, on_sky: bool
) -> tuple[FloatArray, FloatArray]:
    if not on_sky:
        return (x - center[0]) / size, (y - center[1]) / size
    return _tangent_plane(center[:2], (0.0, 0.0), size, angle).to_pixel(x, y)


def _find_center(ra: FloatArray, dec: FloatArray) -> tuple[float, float]:
    """Middle of the ranges of right ascension, also across 0, and declination."""
    first = float(ra[np.isfinite(ra)][0])
    away = (ra - first + 180.0) % 360.0 - 180.0
    middle = first + (float(np.nanmin(away)) + float(np.nanmax(away))) / 2
    return middle % 360.0, (float(np.nanmin(dec)) + float(np.nanmax(dec))) / 2
