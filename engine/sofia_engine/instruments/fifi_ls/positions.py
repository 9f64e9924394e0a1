"""Where on the sky the spaxels look."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.instruments.fifi_ls.tables import DeltaVector
    from sofia_engine.numerics.arrays import FloatArray

__all__ = ["FieldGeometry", "compute_offsets", "find_array_offset", "to_sky", "turn"]

BORESIGHT_SCALE = 0.842
"""Factor of the tabulated offsets of the arrays."""
ARCSEC_PER_DEGREE = 3600.0
DEGREES_PER_HOUR = 15.0


@dataclass(frozen=True)
class FieldGeometry:
    """How the field lies on the sky.

    Attributes
    ----------
    plate_scale : float
        Arcsec per mm.
    angle : float
        Of the detector, degrees.
    rotate : bool
        Turn offsets so that north is up.
    flip : bool
        Keep the signs of old data, whose offsets ran the other way.
    """

    plate_scale: float
    angle: float
    rotate: bool = True
    flip: bool = False


def find_array_offset(
    primary: DeltaVector, own: DeltaVector | None, primary_position: float, position: float
) -> tuple[float, float]:
    """Return the offset (x, y), mm, of an array from the rotation axis of the field.

    Parameters
    ----------
    primary : DeltaVector
        Of the array that the telescope was pointed with.
    own : DeltaVector or None
        Of the array, if it is the other one.
    primary_position, position : float
        Of their gratings, inductosyn units.
    """
    s = BORESIGHT_SCALE
    ax, bx, ay, by = s * primary.ax, s * primary.bx, s * primary.ay, s * primary.by
    dx = bx + ax * primary_position - primary.cx
    dy = -by - ay * primary_position - primary.cy
    if own is not None:
        dx += s * own.bx - bx + s * own.ax * position - ax * primary_position
        dy -= s * own.by - by + s * own.ay * position - ay * primary_position
    return dx, dy


def turn(x: ArrayLike, y: ArrayLike, angle: float) -> tuple[FloatArray, FloatArray]:
    """Return positions turned by an angle in degrees, from x to y."""
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    x, y = np.asarray(x), np.asarray(y)
    return x * c - y * s, x * s + y * c


def compute_offsets(
    spaxels: FloatArray, array: tuple[float, float], telescope: tuple[ArrayLike, ArrayLike], geometry: FieldGeometry
) -> tuple[FloatArray, FloatArray]:
    """Return the offsets of the spaxels from the base position.

    Parameters
    ----------
    spaxels : (25, 2) ndarray
        Positions in the focal plane, mm.
    array : (float, float)
        Offset of the array, mm.
    telescope : (array_like, array_like)
        Offsets of the telescope (DLAM_MAP, DBET_MAP), arcsec: numbers, or (n, 1) of the ramps of a scan.
    geometry : FieldGeometry
        How the field lies on the sky.

    Returns
    -------
    x, y : ndarray
        Arcsec, (25,) or (n, 25); x grows to the west in the frame of the sky.
    """
    sign = -1.0 if geometry.flip else 1.0
    along, across = turn(sign * np.asarray(telescope[0]), sign * np.asarray(telescope[1]), geometry.angle)
    x = geometry.plate_scale * (array[0] + spaxels[:, 0]) + along
    y = -(geometry.plate_scale * (array[1] - spaxels[:, 1]) + across)
    if not geometry.flip:
        x, y = -x, -y
    return turn(x, y, geometry.angle) if geometry.rotate else (x, y)


def to_sky(x: FloatArray, y: FloatArray, angle: float, base: tuple[float, float]) -> tuple[FloatArray, FloatArray]:
    """Return right ascension (hours) and declination (degrees) of offsets.

    Parameters
    ----------
    x, y : ndarray
        Offsets, arcsec.
    angle : float
        By which they are turned from north, degrees (SKY_ANGL).
    base : (float, float)
        Base position (OBSLAM, OBSBET), degrees.
    """
    west, north = turn(x, y, angle)
    scale = ARCSEC_PER_DEGREE * math.cos(math.radians(base[1]))
    return (base[0] - west / scale) / DEGREES_PER_HOUR, base[1] + north / ARCSEC_PER_DEGREE
