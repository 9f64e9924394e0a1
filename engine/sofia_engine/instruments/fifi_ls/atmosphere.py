"""Transmission of the atmosphere above an observation, from a grid of models (ATRAN)."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.errors import ReferenceDataError
from sofia_engine.spectroscopy.telluric import smooth_to_resolution

if TYPE_CHECKING:
    from sofia_engine.numerics.arrays import FloatArray

__all__ = [
    "ALTITUDES",
    "WATER_VAPOUR",
    "ZENITH_ANGLES",
    "GridPoint",
    "Transmission",
    "choose_models",
    "find_resolved",
    "interpolate_models",
    "read_model",
]

ALTITUDES = tuple(range(35, 46))
"""Kilofeet."""
ZENITH_ANGLES = tuple(range(30, 71, 5))
"""Degrees."""
WATER_VAPOUR = (*range(1, 19), 20, 22, 25, 30, 32, 35, 37, 40, 45, 50)
"""Micrometres."""

_REACH = 8.0
"""Range of a model around a spectrum that is smoothed, widths of the resolution."""


@dataclass(frozen=True)
class GridPoint:
    """A model of the grid: kilofeet, degrees, micrometres; and its weight in the interpolation."""

    altitude: int
    zenith: int
    pwv: int
    weight: float = 1.0

    @property
    def name(self) -> str:
        """Name of its file."""
        return f"atran_sdc_{self.altitude}K_{self.zenith}deg_{self.pwv}pwv_39deg_2nlayer_40-300mum_bt.fits"


@dataclass(frozen=True, eq=False)
class Transmission:
    """Unsmoothed transmission: wavelengths (n), um, rising, and values (n)."""

    wavelength: FloatArray
    value: FloatArray

    def cut(self, low: float, high: float) -> Transmission:
        """Return the part between two wavelengths."""
        first, last = np.searchsorted(self.wavelength, low), np.searchsorted(self.wavelength, high, side="right")
        return Transmission(self.wavelength[first:last], self.value[first:last])


def choose_models(
    altitude: float, zenith: float, pwv: float, *, interpolated: bool = True
) -> tuple[tuple[GridPoint, ...], tuple[str, ...]]:
    """Choose the models around the conditions of an observation.

    Parameters
    ----------
    altitude : float
        Kilofeet; the nearest of the grid is taken.
    zenith, pwv : float
        Zenith angle, degrees, and water vapour, um.
    interpolated : bool
        Return up to four models with their weights, linear in both; else the nearest one.

    Returns
    -------
    tuple of GridPoint
        Weights add up to 1; models of weight 0 are left out.
    tuple of str
        Which conditions lie outside the grid, and are moved to its edge.
    """
    warnings = [
        f"The {what} {value:.4g} {unit} is outside the models ({grid[0]} to {grid[-1]}); the edge is taken."
        for what, value, unit, grid in (
            ("altitude", altitude, "kft", (ALTITUDES[0] - 0.5, ALTITUDES[-1] + 0.5)),
            ("zenith angle", zenith, "deg", ZENITH_ANGLES),
            ("water vapour", pwv, "um", WATER_VAPOUR),
        )
        if not grid[0] <= value <= grid[-1]
    ]
    level = int(np.clip(round(altitude), ALTITUDES[0], ALTITUDES[-1]))
    angles = _bracket(zenith, ZENITH_ANGLES, interpolated=interpolated)
    columns = _bracket(pwv, WATER_VAPOUR, interpolated=interpolated)
    points = [
        GridPoint(level, angle, column, share * part)
        for (angle, share), (column, part) in itertools.product(angles, columns)
    ]
    return tuple(point for point in points if point.weight > 0), tuple(warnings)


def _bracket(value: float, grid: tuple[int, ...], *, interpolated: bool) -> list[tuple[int, float]]:
    """Points of a grid on both sides of a value with their weights, or the nearest one."""
    inside = min(max(value, grid[0]), grid[-1])
    if not interpolated:
        return [(min(grid, key=lambda point: abs(point - inside)), 1.0)]
    upper = next(k for k in range(1, len(grid)) if inside <= grid[k])
    low, high = grid[upper - 1], grid[upper]
    share = (inside - low) / (high - low)
    return [(low, 1.0 - share), (high, share)]


def read_model(path: Path) -> Transmission:
    """Read a model of the atmosphere, of any of the published forms; kept for the next file.

    Raises
    ------
    ReferenceDataError
        If it cannot be read, or holds no transmission.
    """
    try:
        return _read_model(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise ReferenceDataError(f"The ATRAN file {path} cannot be read ({error}); give another one.") from error


@lru_cache(8)
def _read_model(path: Path, stamp: int) -> Transmission:  # noqa: ARG001 - a changed file is read anew
    from astropy.io import fits

    try:
        with fits.open(path, memmap=False) as hdus:
            if hdus[0].data is not None:
                wavelength, value = hdus[0].data[0], hdus[0].data[1]
            else:
                table = hdus[1].data
                wavelength, value = table["wavelength"], table["transmission"]
            made = [np.array(column, dtype=np.float64) for column in (wavelength, value)]
    except (OSError, KeyError, IndexError, TypeError, ValueError) as error:
        raise ReferenceDataError(f"The ATRAN file {path} cannot be read ({error}); give another one.") from error
    if made[0].ndim != 1 or made[0].size < 2 or not (np.diff(made[0]) > 0).all():
        raise ReferenceDataError(f"The ATRAN file {path} holds no spectrum of rising wavelengths; give another one.")
    return Transmission(made[0], made[1])


def interpolate_models(models: list[Transmission], weights: list[float]) -> Transmission:
    """Return the weighted mean of models.

    Raises
    ------
    ReferenceDataError
        If their wavelengths differ.
    """
    first = models[0]
    if len(models) == 1:
        return first
    if any(not np.array_equal(model.wavelength, first.wavelength) for model in models):
        raise ReferenceDataError(
            "The ATRAN files have different wavelengths; set telluric_correct.interpolated = False."
        )
    value = sum(weight * model.value for weight, model in zip(weights, models, strict=True))
    return Transmission(first.wavelength, np.asarray(value))


def find_resolved(model: Transmission, resolution: float, wavelength: FloatArray) -> FloatArray:
    """Return the transmission at some wavelengths as the spectrometer sees it.

    Parameters
    ----------
    model : Transmission
        Unsmoothed.
    resolution : float
        Resolving power; 0 for no smoothing.
    wavelength : ndarray
        Any shape, um.

    Returns
    -------
    ndarray
        Shape of `wavelength`; NaN outside the model.

    Notes
    -----
    The model is smoothed at its own wavelengths around the spectrum, and then interpolated linearly.
    """
    finite = wavelength[np.isfinite(wavelength)]
    if not finite.size:
        return np.full(wavelength.shape, np.nan)
    margin = math.exp(_REACH / max(resolution, 1.0)) if resolution > 0 else 1.01
    limits = float(finite.min()) / margin, float(finite.max()) * margin
    near = model.cut(*limits).wavelength
    if near.size < 2:
        return np.full(wavelength.shape, np.nan)
    above = np.clip(np.searchsorted(near, np.unique(finite)), 1, near.size - 1)
    neighbours = np.union1d(above - 1, above)  # all that the interpolation looks at
    smooth = _smooth_at(model, resolution, limits, neighbours.tobytes())
    return np.interp(wavelength, near[neighbours], smooth, left=np.nan, right=np.nan)


@lru_cache(8)
def _smooth_at(model: Transmission, resolution: float, limits: tuple[float, float], places: bytes) -> FloatArray:
    """Smoothed values at some samples of a model in a range; kept, since most files have the same wavelengths."""
    near = model.cut(*limits)
    wanted = near.wavelength[np.frombuffer(places, dtype=np.intp)]
    return smooth_to_resolution(near.wavelength, np.nan_to_num(near.value), resolution, wanted)
