"""
Optical distortion of FORCAST: from offsets on the undistorted detector to raw pixels, and back.

The pinhole mask is a regular square grid put in the focal plane. Where its holes were measured on the detector,
against where a regular grid would lie, is the distortion; the mean spacings in x and y differ because the raw pixels
are not square on the sky.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.polynomial import polynomial
from numpy.typing import NDArray

from sofia_engine.errors import ReferenceDataError

__all__ = ["PIXEL_SCALE", "Distortion", "PinholeTable", "fit_distortion", "make_pinholes", "read_pinholes"]

FloatArray = NDArray[np.float64]
PIXEL_SCALE = 0.768
"""Arcsec per pixel of the square pixels (FORCAST handbook)."""
_SIZE = 256
_ROTATION_CENTER = 128.5
_SMALL_ANGLE = np.radians(0.9)
_DEGREE = 3
_FEWEST_HOLES = 30
_NORMALISATION = _SIZE / 2
_NEWTON_STEPS = 6


@dataclass(frozen=True)
class PinholeTable:
    """
    Measured pinholes.

    Parameters
    ----------
    grid
        Shape (n, 2): column and row of each hole in the mask.
    measured
        Shape (n, 2): x, y on the detector, 0-based pixels.
    """

    grid: NDArray[np.int_]
    measured: FloatArray


@dataclass(frozen=True)
class Distortion:
    """
    Map between offsets from the boresight on the undistorted detector (arcsec) and raw pixels (0-based).

    Parameters
    ----------
    coefficients
        Shape (2, 4, 4): polynomials in normalised model pixels that give the raw pixel x, y; None for no distortion.
    scale
        Arcsec per model pixel in x and y.
    boresight
        Raw pixel x, y (0-based) of the boresight.
    residual
        Root mean square of the fit to the pinholes, pixels.
    """

    coefficients: FloatArray | None
    scale: tuple[float, float]
    boresight: tuple[float, float]
    residual: float = 0.0

    def to_pixel(self, offset: FloatArray) -> FloatArray:
        """
        Give the raw pixel where an offset falls.

        Parameters
        ----------
        offset
            Shape (2, ...): x, y from the boresight, arcsec.

        Returns
        -------
        ndarray
            Shape (2, ...): x, y, 0-based raw pixels.
        """
        center = self._model_pixel(np.array(self.boresight))
        axes = (2,) + (1,) * (np.ndim(offset) - 1)
        return self._distort(np.asarray(offset) / np.reshape(self.scale, axes) + center.reshape(axes))

    def to_offset(self, pixel: FloatArray) -> tuple[FloatArray, FloatArray]:
        """
        Give the offset that falls on a raw pixel, and the area of sky a pixel sees there.

        Parameters
        ----------
        pixel
            Shape (2, ...): x, y, 0-based raw pixels.

        Returns
        -------
        offset : ndarray
            Shape (2, ...): from the boresight, arcsec.
        area : ndarray
            Shape (...): arcsec**2 per raw pixel.
        """
        model = self._model_pixel(pixel)
        center = self._model_pixel(np.array(self.boresight))
        axes = (2,) + (1,) * (np.ndim(pixel) - 1)
        offset = (model - center.reshape(axes)) * np.reshape(self.scale, axes)
        jacobian = self._jacobian(model)
        stretch = jacobian[0, 0] * jacobian[1, 1] - jacobian[0, 1] * jacobian[1, 0]
        return offset, np.asarray(self.scale[0] * self.scale[1] / stretch)

    def _distort(self, model: FloatArray) -> FloatArray:
        """Apply the polynomials to model pixels."""
        if self.coefficients is None:
            return np.array(model, dtype=float)
        u, v = _normalise(model)
        return np.stack([polynomial.polyval2d(u, v, plane) for plane in self.coefficients])

    def _jacobian(self, model: FloatArray) -> FloatArray:
        """Give d(raw)/d(model), shape (2, 2, ...)."""
        if self.coefficients is None:
            return np.broadcast_to(np.eye(2).reshape((2, 2) + (1,) * (model.ndim - 1)), (2, 2, *model.shape[1:]))
        u, v = _normalise(model)
        rows = [
            [polynomial.polyval2d(u, v, polynomial.polyder(plane, axis=axis)) / _NORMALISATION for axis in (0, 1)]
            for plane in self.coefficients
        ]
        return np.array(rows)

    def _model_pixel(self, pixel: FloatArray) -> FloatArray:
        """Invert the polynomials by Newton's method."""
        model = np.array(pixel, dtype=float)
        if self.coefficients is None:
            return model
        for _ in range(_NEWTON_STEPS):
            miss = pixel - self._distort(model)
            (a, b), (c, d) = self._jacobian(model)
            determinant = a * d - b * c
            step = np.stack([d * miss[0] - b * miss[1], a * miss[1] - c * miss[0]]) / determinant
            model += step
            if np.abs(step).max() < 1e-9:
                break
        return model


def read_pinholes(path: Path) -> PinholeTable:
    """
    Read a pinhole table.

    Parameters
    ----------
    path
        Text file with the columns xid, yid, xpos, ypos under one title line. Holes that were not measured (nan) are
        left out.

    Raises
    ------
    ReferenceDataError
        If the file cannot be read as such a table, or holds too few holes.
    """
    try:
        columns = np.loadtxt(path, skiprows=1, ndmin=2)
        columns = columns[np.isfinite(columns).all(axis=1)]
        table = PinholeTable(columns[:, :2].astype(int), columns[:, 2:4])
    except (OSError, ValueError, IndexError) as error:
        message = f"The pinhole table {path} cannot be read ({error}); give a file with xid, yid, xpos, ypos."
        raise ReferenceDataError(message) from error
    if len(table.grid) < _FEWEST_HOLES or table.measured.shape[1] < 2:
        raise ReferenceDataError(f"The pinhole table {path} holds too few holes or columns; use an undamaged file.")
    return table


def fit_distortion(table: PinholeTable, boresight: tuple[float, float]) -> Distortion:
    """
    Fit the distortion to measured pinholes by ordinary least squares, degree 3.

    Parameters
    ----------
    table
        The pinholes.
    boresight
        Raw pixel x, y (0-based) of the boresight.
    """
    spacing, angle = _measure_grid(table)
    model = _place_grid(table, spacing, angle)
    u, v = _normalise(model.T)
    powers = [(i, j) for i in range(_DEGREE + 1) for j in range(_DEGREE + 1 - i)]
    design = np.stack([u**i * v**j for i, j in powers], axis=1)
    solution = np.linalg.lstsq(design, table.measured, rcond=None)[0]
    coefficients = np.zeros((2, _DEGREE + 1, _DEGREE + 1))
    for (i, j), pair in zip(powers, solution, strict=True):
        coefficients[:, i, j] = pair
    residual = float(np.sqrt(np.mean(np.sum((design @ solution - table.measured) ** 2, axis=1))))
    ratio = float(np.sqrt(spacing[1] / spacing[0]))
    return Distortion(coefficients, (PIXEL_SCALE * ratio, PIXEL_SCALE / ratio), boresight, residual)


def make_pinholes() -> PinholeTable:
    """Make a table of a regular grid with a mild cubic distortion of at most about two pixels."""
    column, row = (index.ravel() for index in np.meshgrid(np.arange(12), np.arange(12), indexing="ij"))
    x, y = 16.0 + 20.4 * column, 9.5 + 21.6 * row
    u, v = (x - 128) / 128, (y - 128) / 128
    dx = 0.6 * u * v + 0.8 * u * (u**2 + v**2)
    dy = 0.5 * u**2 + 0.7 * v * (u**2 + v**2)
    measured: FloatArray = np.stack([x + dx, y + dy], axis=1).round(3)
    return PinholeTable(np.stack([column, row], axis=1), measured)


def _normalise(model: FloatArray) -> FloatArray:
    """Scale pixels to about -1..1, which keeps the fit well conditioned."""
    return np.asarray((model - _NORMALISATION) / _NORMALISATION)


def _measure_grid(table: PinholeTable) -> tuple[FloatArray, float]:
    """Measure the mean spacing in x and y, and the angle by which the rows of the mask are turned."""
    image = np.full((*(table.grid.max(axis=0) + 1), 2), np.nan)
    image[table.grid[:, 0], table.grid[:, 1]] = table.measured
    along_x, along_y = np.diff(image[..., 0], axis=0), np.diff(image[..., 1], axis=1)
    lean = np.diff(image[..., 0], axis=1)
    angle = float(np.nanmean(np.arctan2(lean[:-1], along_x[:, :-1])))
    if abs(angle) < _SMALL_ANGLE:
        angle = 0.0
    return np.array([np.nanmean(along_x), np.nanmean(along_y)]) / abs(np.cos(angle)), angle


def _place_grid(table: PinholeTable, spacing: FloatArray, angle: float) -> FloatArray:
    """Lay the regular grid on the measured one: turned by the angle, and equal at the hole nearest the centre."""
    straight = table.grid * spacing + table.measured[np.argmin(table.grid.sum(axis=1))] - _ROTATION_CENTER
    cosine, sine = np.cos(angle), np.sin(angle)
    model = straight @ np.array([[cosine, -sine], [sine, cosine]]) + _ROTATION_CENTER
    central = np.argmin(np.hypot(*(table.measured - _ROTATION_CENTER).T))
    return np.asarray(model + table.measured[central] - model[central])
