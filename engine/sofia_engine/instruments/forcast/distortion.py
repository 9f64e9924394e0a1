"""Optical distortion of FORCAST, measured with a mask of pinholes on a regular grid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from sofia_engine.errors import ReferenceDataError
from sofia_engine.numerics.warping import CoordinateMap, fit_coordinate_map

if TYPE_CHECKING:
    from pathlib import Path

    from sofia_engine.numerics.arrays import FloatArray

__all__ = ["ORDER", "DistortionModel", "FitMethod", "PinholeGrid", "fit_distortion", "model_pinholes", "read_pinholes"]

ORDER = 3
"""Total degree of the polynomial map."""
FitMethod = Literal["least squares", "total least squares"]
DETECTOR = 256
CENTER = 128.5
SMALLEST_ANGLE = 0.9
"""Rotations of the mask below this, degrees, are within the error of measurement and count as none."""


@dataclass(frozen=True, eq=False)
class PinholeGrid:
    """Measured and ideal positions of the pinholes.

    Attributes
    ----------
    measured, ideal : (N, 2) ndarray
        Positions (y, x) on the detector, pixels from 0.
    spacing : (float, float)
        Mean distance of neighbours along x and y, pixels.
    angle : float
        Rotation of the mask, degrees.
    """

    measured: FloatArray
    ideal: FloatArray
    spacing: tuple[float, float]
    angle: float


@dataclass(frozen=True, eq=False)
class DistortionModel:
    """How positions of the corrected image and of the detector belong together.

    Attributes
    ----------
    to_detector : CoordinateMap
        Detector position (y, x) of each position of the corrected image.
    from_detector : CoordinateMap
        The reverse, fitted by itself; accurate to some hundredths of a pixel.
    grid : PinholeGrid
        What the maps were fitted to.
    """

    to_detector: CoordinateMap
    from_detector: CoordinateMap
    grid: PinholeGrid

    def locate(self, x: float, y: float) -> tuple[float, float]:
        """Position (x, y) in the corrected image that shows a detector position: the exact inverse of the warp.

        Notes
        -----
        Secant steps with the fitted reverse map as approximate inverse; each round gains about two digits.
        """
        at_y, at_x = (float(v) for v in self.from_detector(y, x))
        for _ in range(20):
            shown_y, shown_x = (float(v) for v in self.to_detector(at_y, at_x))
            if max(abs(shown_y - y), abs(shown_x - x)) < 1e-9:
                break
            wanted, reached = self.from_detector(y, x), self.from_detector(shown_y, shown_x)
            at_y, at_x = at_y + float(wanted[0] - reached[0]), at_x + float(wanted[1] - reached[1])
        return at_x, at_y

    @property
    def residuals(self) -> FloatArray:
        """Distance of each measured pinhole from where the map puts it, pixels."""
        y, x = self.to_detector(*self.grid.ideal.T)
        return np.hypot(y - self.grid.measured[:, 0], x - self.grid.measured[:, 1])


def read_pinholes(path: Path) -> tuple[FloatArray, FloatArray]:
    """Read a table of pinholes: grid index (x, y) and measured position (x, y) in pixels from 0, after a title line.

    Returns
    -------
    x, y : (rows, columns) ndarray
        Measured positions by grid index; NaN where a pinhole is missing.

    Raises
    ------
    ReferenceDataError
        If the table cannot be read, or a position is not on the detector.
    """
    try:
        lines = path.read_text().splitlines()[1:]
        table = np.array([[float(word) for word in line.split()] for line in lines if line.strip()])
        columns, rows = table[:, 0].astype(int), table[:, 1].astype(int)
        x, y = np.full((2, rows.max() + 1, columns.max() + 1), np.nan)
        x[rows, columns], y[rows, columns] = table[:, 2], table[:, 3]
    except (OSError, ValueError, IndexError) as error:
        raise ReferenceDataError(
            f"{path.name} is no table of pinholes (xid, yid, xpos, ypos): {error}; give another file."
        ) from None
    if np.any((table[:, 2:] < 0) | (table[:, 2:] >= DETECTOR)):
        raise ReferenceDataError(f"{path.name}: a pinhole lies outside the detector of {DETECTOR} pixels; correct it.")
    return x, y


def model_pinholes(x: FloatArray, y: FloatArray) -> PinholeGrid:
    """Find the regular grid that the pinholes would show without distortion.

    Parameters
    ----------
    x, y : (rows, columns) ndarray
        Measured positions, see `read_pinholes`.

    Returns
    -------
    PinholeGrid
        The grid has the mean spacing and rotation of the measured one and shares with it the pinhole that is nearest
        to the middle of the detector.
    """
    step_x, step_y = np.diff(x, axis=1), np.diff(y, axis=0)
    angle = float(np.degrees(np.nanmean(np.arctan2(np.diff(x, axis=0)[:, :-1], step_x[:-1]))))
    angle = angle if abs(angle) >= SMALLEST_ANGLE else 0.0
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    spacing = float(np.nanmean(step_x)) / abs(cosine), float(np.nanmean(step_y)) / abs(cosine)
    rows, columns = np.indices(x.shape)
    across, along = columns * spacing[0] + x[0, 0] - CENTER, rows * spacing[1] + y[0, 0] - CENTER
    ideal_x, ideal_y = across * cosine + along * sine + CENTER, -across * sine + along * cosine + CENTER
    middle = np.unravel_index(np.nanargmin(np.hypot(x - CENTER, y - CENTER)), x.shape)
    ideal_x, ideal_y = ideal_x + (x[middle] - ideal_x[middle]), ideal_y + (y[middle] - ideal_y[middle])
    seen = np.isfinite(x) & np.isfinite(y)
    measured = np.stack([y[seen], x[seen]], axis=1)
    return PinholeGrid(measured, np.stack([ideal_y[seen], ideal_x[seen]], axis=1), spacing, angle)


def fit_distortion(grid: PinholeGrid, method: FitMethod) -> DistortionModel:
    """Fit the maps between corrected image and detector, see `sofia_engine.numerics.warping.fit_coordinate_map`."""
    to_detector = fit_coordinate_map(grid.ideal, grid.measured, ORDER, method)
    return DistortionModel(to_detector, fit_coordinate_map(grid.measured, grid.ideal, ORDER, method), grid)
