"""Celestial coordinates of an image: read from a header, and written back after the image was moved."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sofia_engine.errors import HeaderError
from sofia_engine.numerics.tangent_plane import TangentPlane

if TYPE_CHECKING:
    from collections.abc import Iterator

    from astropy.io import fits

__all__ = ["linear_cards", "read_tangent_plane"]


def read_tangent_plane(header: fits.Header) -> TangentPlane:
    """Read the tangent-plane coordinates of the first two axes of an image.

    Parameters
    ----------
    header : Header
        With CRPIXn, CRVALn, and either CDn_m or CDELTn with PCn_m or CROTA2; degrees.

    Raises
    ------
    HeaderError
        If a keyword is missing, the projection is not TAN, or the pixels have no extent.
    """
    for axis, kind in (("CTYPE1", "RA---TAN"), ("CTYPE2", "DEC--TAN")):
        if str(header.get(axis, kind)).strip().upper() != kind:
            raise HeaderError(f"{_name(header)}: {axis} is {header[axis]!r}; only {kind} is supported for images.")
    pixel = (_read(header, "CRPIX1") - 1, _read(header, "CRPIX2") - 1)
    sky = (_read(header, "CRVAL1"), _read(header, "CRVAL2"))
    (xx, xy), (yx, yy) = matrix = _read_matrix(header)
    if not abs(xx * yy - xy * yx) > 0:
        raise HeaderError(f"{_name(header)}: the pixels have no extent on the sky; correct CDELT1 and CDELT2.")
    return TangentPlane(pixel, sky, matrix)


def linear_cards(header: fits.Header) -> Iterator[str]:
    """Yield the keywords of a header that give axes a matrix (PCn_m, CDn_m) which CROTA2 would contradict."""
    for stem in ("PC", "CD"):
        for keyword in (f"{stem}{i}_{j}" for i in (1, 2) for j in (1, 2)):
            if keyword in header:
                yield keyword


def _read_matrix(header: fits.Header) -> tuple[tuple[float, float], tuple[float, float]]:
    if "CD1_1" in header:
        rows = [[float(header.get(f"CD{i}_{j}", 0.0)) for j in (1, 2)] for i in (1, 2)]
        return (rows[0][0], rows[0][1]), (rows[1][0], rows[1][1])
    dx, dy = _read(header, "CDELT1"), _read(header, "CDELT2")
    if any(f"PC{i}_{j}" in header for i in (1, 2) for j in (1, 2)):
        pc = [[float(header.get(f"PC{i}_{j}", float(i == j))) for j in (1, 2)] for i in (1, 2)]
        return (dx * pc[0][0], dx * pc[0][1]), (dy * pc[1][0], dy * pc[1][1])
    angle = math.radians(float(header.get("CROTA2", 0.0)))
    cosine, sine = math.cos(angle), math.sin(angle)
    return (dx * cosine, -dy * sine), (dx * sine, dy * cosine)


def _read(header: fits.Header, keyword: str) -> float:
    value = header.get(keyword)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise HeaderError(
            f"{_name(header)}: {keyword} is {value!r}, but must be a number to place the image on the sky."
        )
    return float(value)


def _name(header: fits.Header) -> str:
    return str(header.get("FILENAME", "unnamed.fits"))
