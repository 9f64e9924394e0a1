"""Where a slit lies on the sky: its alternate world coordinates as a tangent plane."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sofia_engine.errors import HeaderError
from sofia_engine.numerics.tangent_plane import TangentPlane

__all__ = ["move_plane", "read_slit_plane"]


def read_slit_plane(header: Mapping[str, Any]) -> TangentPlane:
    """Read the celestial coordinates of a rectified spectral image.

    Parameters
    ----------
    header : mapping
        With the alternate coordinates A: axis 2 (slit) declination, axis 3 (across the slit) right ascension.

    Returns
    -------
    TangentPlane
        Of pixels (across, along) the slit, from 0; the slit itself lies at 0 across.

    Raises
    ------
    HeaderError
        If a keyword is missing.
    """
    try:
        pixel = float(header["CRPIX3A"]) - 1, float(header["CRPIX2A"]) - 1
        sky = float(header["CRVAL3A"]), float(header["CRVAL2A"])
        east, north = float(header["CDELT3A"]), float(header["CDELT2A"])
        pc = [[float(header.get(f"PC{i}_{j}A", float(i == j))) for j in (3, 2)] for i in (3, 2)]
    except (KeyError, TypeError, ValueError):
        raise HeaderError(
            f"{header.get('FILENAME', 'unnamed.fits')}: the place of the slit on the sky is not known; CRPIX2A, "
            "CRVAL2A, CDELT2A and the same of axis 3 are needed."
        ) from None
    return TangentPlane(pixel, sky, ((east * pc[0][0], east * pc[0][1]), (north * pc[1][0], north * pc[1][1])))


def move_plane(plane: TangentPlane, across: float, along: float) -> TangentPlane:
    """Return the plane with its reference pixel moved."""
    return replace(plane, pixel=(plane.pixel[0] + across, plane.pixel[1] + along))
