"""The grid of a source model: pixels in two directions on the sky and, for cubes, in wavelength."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.errors import StepError
from sofia_engine.scan import flags

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sofia_engine.numerics.arrays import BoolArray, FloatArray
    from sofia_engine.scan.timestream import Scan

__all__ = ["PIXEL_TO_FWHM", "Beam", "MapGrid", "lay_map_grid"]

PIXEL_TO_FWHM = 2.3548 / math.sqrt(2 * math.pi)
"""Width (FWHM) of the Gaussian with the area of a pixel: the smoothing that pixels are."""
LARGEST = 60_000_000
"""Pixels of a model; arrays of this size take half a gigabyte each."""


@dataclass(frozen=True)
class Beam:
    """What a point source looks like: FWHM in arcsec, and on the third axis (um; 0 for flat maps)."""

    spatial: float
    spectral: float = 0.0

    def join(self, other: Beam) -> Beam:
        """Return the width after a further smoothing."""
        return Beam(math.hypot(self.spatial, other.spatial), math.hypot(self.spectral, other.spectral))

    def take_out(self, other: Beam) -> Beam:
        """Return the smoothing that leads from another width to this one; 0 where that is larger."""
        return Beam(
            math.sqrt(max(self.spatial**2 - other.spatial**2, 0.0)),
            math.sqrt(max(self.spectral**2 - other.spectral**2, 0.0)),
        )

    def scale(self, factor: float) -> Beam:
        """Return widths times a factor."""
        return Beam(self.spatial * factor, self.spectral * factor)

    def at_least(self, other: Beam) -> Beam:
        """Return the larger widths."""
        return Beam(max(self.spatial, other.spatial), max(self.spectral, other.spectral))


@dataclass(frozen=True)
class MapGrid:
    """Pixels (z, y, x); the first ones are centred on `start` (z, y, x).

    Attributes
    ----------
    shape : (int, int, int)
        Planes, rows, columns; one plane for flat maps.
    start : (float, float, float)
        Um, arcsec, arcsec.
    pixel : Beam
        Sizes: arcsec, um.
    """

    shape: tuple[int, int, int]
    start: tuple[float, float, float]
    pixel: Beam

    @property
    def size(self) -> int:
        """Number of pixels."""
        return math.prod(self.shape)

    @property
    def smoothing(self) -> Beam:
        """The smoothing that pixels are."""
        return Beam(self.pixel.spatial / PIXEL_TO_FWHM, self.pixel.spectral / PIXEL_TO_FWHM if self.is_cube else 0.0)

    @property
    def is_cube(self) -> bool:
        """Whether there is a third axis."""
        return self.pixel.spectral > 0

    def find_pixels(self, scan: Scan) -> NDArray[np.int32]:
        """Return the pixel of each sample of a scan (n_frame, n_channel), counted through; -1 outside."""
        x, y = scan.positions
        columns, rows = ((v - v0) / self.pixel.spatial for v, v0 in zip((x, y), self.start[:0:-1], strict=True))
        planes = (scan.channels.z - self.start[0]) / self.pixel.spectral if self.is_cube else np.zeros(x.shape[1])
        known = np.isfinite(columns) & np.isfinite(rows) & np.isfinite(planes)
        k, j, i = (np.rint(np.where(known, v, -1)).astype(np.int64) for v in (planes, rows, columns))
        for v, n in zip((k, j, i), self.shape, strict=True):
            known &= (v >= 0) & (v < n)
        _, ny, nx = self.shape
        return np.where(known, (k * ny + j) * nx + i, -1).astype(np.int32)


def lay_map_grid(scans: Sequence[Scan], pixel: Beam, size: Sequence[float] | None = None) -> MapGrid:
    """Lay a grid over all samples of some scans.

    Parameters
    ----------
    scans : sequence of Scan
        The scans; frames that do not count and channels without data are not looked at.
    pixel : Beam
        Sizes of the pixels; with a spectral size of 0 the map is flat.
    size : sequence of float, optional
        Size in x and y, arcsec, and in wavelength, um, around the middle.

    Raises
    ------
    StepError
        If there is nothing to lay it over, or it would be too large.
    """
    places = [_find_extent(scan) for scan in scans]
    low, high = np.min([a for a, _ in places], axis=0), np.max([b for _, b in places], axis=0)
    if not np.isfinite([low, high]).all():
        raise StepError("None of the scans has positions; there is nothing to make a map of.")
    if size is not None:
        middle, half = (low + high)[1:] / 2, np.array([size[1] if len(size) > 1 else size[0], size[0]]) / 2
        low[1:], high[1:] = middle - half, middle + half
    if size is not None and len(size) > 2:
        center = (low[0] + high[0]) / 2
        low[0], high[0] = center - size[2] / 2, center + size[2] / 2
    steps = np.array([pixel.spectral or 1.0, pixel.spatial, pixel.spatial])
    count = np.ceil((high - low) / steps).astype(np.int64) + 1
    if pixel.spectral <= 0:
        count[0] = 1
    if math.prod(int(n) for n in count) > LARGEST:
        text = " x ".join(str(n) for n in count[::-1])
        raise StepError(f"The source model would have {text} pixels; give larger pixels with scan option grid.")
    return MapGrid((int(count[0]), int(count[1]), int(count[2])), (float(low[0]), float(low[1]), float(low[2])), pixel)


def _find_extent(scan: Scan) -> tuple[FloatArray, FloatArray]:
    """Lowest and highest (z, y, x) of a scan; infinite the wrong way round if there is none."""
    channels: BoolArray = (scan.channels.flag & flags.DEAD) == 0
    x, y = (v[np.ix_(scan.frames.valid, channels)] for v in scan.positions)
    z = scan.channels.z[channels]
    low, high = ([f(v[np.isfinite(v)], initial=e) for v in (z, y, x)] for f, e in ((np.min, np.inf), (np.max, -np.inf)))
    return np.array(low), np.array(high)
