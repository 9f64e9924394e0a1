"""Output points: a regular grid, a list of points, or one point; made block by block, so that memory stays flat."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import FloatArray

__all__ = ["Targets"]


@dataclass(frozen=True, eq=False)
class Targets:
    """Where values are wanted.

    Attributes
    ----------
    axes : sequence of (n,) ndarray
        Grid axes in the order of the coordinates; empty for a list of points.
    points : (K, M) ndarray or None
        List of points.
    shape : tuple of int
        Shape of results; that of a grid is reversed: (..., len(y), len(x)).
    """

    axes: tuple[FloatArray, ...]
    points: FloatArray | None
    shape: tuple[int, ...]

    @classmethod
    def parse(cls, places: Sequence[ArrayLike], dimensions: int) -> Targets:
        """Tell a grid (K axes), one point (K numbers) and a list of points (one array (K, ...)) apart.

        Raises
        ------
        ValueError
            If the number of dimensions is not that of the samples.
        """
        arrays = [np.asarray(place, dtype=np.float64) for place in places]
        if len(arrays) == 1 and arrays[0].ndim > 1:
            points = arrays[0]
            if len(points) != dimensions:
                raise ValueError(f"the samples have {dimensions} dimensions, the points {len(points)}")
            return cls((), points.reshape(dimensions, -1), points.shape[1:])
        if len(arrays) == 1 and dimensions > 1 and arrays[0].shape == (dimensions,):
            return cls((), arrays[0][:, np.newaxis], ())
        if len(arrays) != dimensions or any(array.ndim > 1 for array in arrays):
            raise ValueError(f"the samples have {dimensions} dimensions: give {dimensions} axes or coordinates")
        if all(array.ndim == 0 for array in arrays):
            return cls((), np.array(arrays)[:, np.newaxis], ())
        axes = tuple(np.atleast_1d(array) for array in arrays)
        return cls(axes, None, tuple(len(axis) for axis in reversed(axes)))

    @property
    def count(self) -> int:
        """Number of points."""
        return math.prod(self.shape)

    def block(self, start: int, stop: int) -> FloatArray:
        """Points (K, stop - start), the first coordinate running fastest over a grid."""
        if self.points is not None:
            return self.points[:, start:stop]
        numbers = np.arange(start, stop)
        block = np.empty((len(self.axes), stop - start))
        for line, axis in zip(block, self.axes, strict=True):
            numbers, place = np.divmod(numbers, len(axis))
            line[:] = axis[place]
        return block
