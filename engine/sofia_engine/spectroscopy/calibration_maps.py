"""Wavelength and slit position of every detector pixel: reading, simulating and packing the calibration maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.errors import ReferenceDataError
from sofia_engine.spectroscopy.orders import rotate_image, unrotate_image

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import FloatArray
    from sofia_engine.spectroscopy.orders import Order, SlitSize

__all__ = ["CalibrationMaps", "pack_maps", "read_maps", "simulate_pixel_maps", "simulate_slit_map"]


@dataclass(frozen=True, eq=False)
class CalibrationMaps:
    """Where in spectrum and slit each pixel looks.

    Attributes
    ----------
    wavelength : (ny, nx) ndarray
        Micrometres (pixels if simulated); NaN off the orders.
    slit : (ny, nx) ndarray
        Arcsec up the slit (pixels if simulated); NaN off the orders.
    """

    wavelength: FloatArray
    slit: FloatArray


def read_maps(cube: ArrayLike, rotation: int = 0, wavelength_shift: float = 0.0) -> CalibrationMaps:
    """Take the maps from the cube of a calibration file.

    Parameters
    ----------
    cube : (2 or more, ny, nx) array_like
        Wavelength and slit position in the orientation of raw images.
    rotation : int
        Rotation code of the order mask.
    wavelength_shift : float
        Added to the wavelengths, micrometres.

    Raises
    ------
    ReferenceDataError
        If the array has another form.
    """
    data = np.asarray(cube, dtype=np.float64)
    if data.ndim != 3 or len(data) < 2:
        raise ReferenceDataError(
            f"The wavelength calibration has shape {data.shape}, not (2, rows, columns); choose another file."
        )
    turned = rotate_image(data[:2], rotation)
    return CalibrationMaps(turned[0] + wavelength_shift, turned[1])


def pack_maps(maps: CalibrationMaps, rotation: int = 0) -> FloatArray:
    """Put maps into the cube of a calibration file, the inverse of `read_maps`."""
    packed: FloatArray = unrotate_image(np.stack([maps.wavelength, maps.slit]), rotation)
    return packed


def simulate_slit_map(order: Order, slit: SlitSize, shape: tuple[int, int]) -> FloatArray:
    """Slit positions that rise linearly from 0 at the bottom edge to the slit height at the top edge of each column.

    Returns
    -------
    (ny, nx) ndarray
        Arcsec; NaN outside the rows between the edges and outside the column range. Edges beyond the image are taken
        as they are: were they moved to its border, rows of the same slit position would not be one line.
    """
    positions = np.full(shape, np.nan)
    columns = np.arange(max(order.columns[0], 0), min(order.columns[1], shape[1] - 1) + 1)
    bottom, top = order.edges(columns)
    rows = np.arange(shape[0])[:, np.newaxis]
    with np.errstate(divide="ignore", invalid="ignore"):
        values = (rows - bottom) / (top - bottom) * slit.height_arcsec
    inside = (rows >= np.floor(bottom)) & (rows < np.ceil(top))
    positions[:, columns] = np.where(inside, values, np.nan)
    return positions


def simulate_pixel_maps(mask: ArrayLike) -> CalibrationMaps:
    """Maps of pixel numbers, for data without a wavelength calibration; NaN off the orders."""
    inside = np.asarray(mask) > 0
    y, x = np.indices(inside.shape, dtype=np.float64)
    return CalibrationMaps(np.where(inside, x, np.nan), np.where(inside, y, np.nan))
