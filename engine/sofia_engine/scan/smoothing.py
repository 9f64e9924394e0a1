"""Smoothing of maps with weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.scan.averages import divide

if TYPE_CHECKING:
    from sofia_engine.numerics.arrays import FloatArray
    from sofia_engine.scan.map_grid import Beam, MapGrid

__all__ = ["smooth_map"]

_REACH = 2.0
"""Reach of the kernel in widths (FWHM)."""


def smooth_map(flux: FloatArray, weight: FloatArray, grid: MapGrid, width: Beam) -> tuple[FloatArray, FloatArray]:
    """Smooth a map with a Gaussian.

    Parameters
    ----------
    flux, weight : (nz, ny, nx) ndarray
        Values and inverse variances; weight 0 is no value.
    grid : MapGrid
        Sizes of the pixels.
    width : Beam
        FWHM of the Gaussian.

    Returns
    -------
    flux : ndarray
        Means with the weights times the Gaussian.
    weight : ndarray
        Sums of these products with a Gaussian of peak 1: inverse variances of the flux in a beam.
    """
    total = _convolve(weight, grid, width)
    return divide(_convolve(weight * flux, grid, width), total), total


def _convolve(values: FloatArray, grid: MapGrid, width: Beam) -> FloatArray:
    from scipy.ndimage import correlate1d

    made = values
    widths = (width.spectral if grid.is_cube else 0.0, width.spatial, width.spatial)
    for axis, (fwhm, step) in enumerate(zip(widths, (grid.pixel.spectral, *2 * (grid.pixel.spatial,)), strict=True)):
        if fwhm > 0:
            reach = max(math.ceil(_REACH * fwhm / step), 1)
            away = np.arange(-reach, reach + 1) * step / fwhm
            made = correlate1d(made, np.exp(-4 * math.log(2) * away**2), axis=axis, mode="constant")
    return made
