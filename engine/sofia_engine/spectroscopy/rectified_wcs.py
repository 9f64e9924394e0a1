"""World coordinates of rectified images: wavelength and slit; alternate A: wavelength, declination, right ascension."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from sofia_engine.numerics.interpolation import CUBIC, interpolate_image
from sofia_engine.spectroscopy.apertures import slit_index

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.header.cards import Card

__all__ = ["list_rectified_wcs", "list_spectrum_wcs"]

_REFERENCE = "Coordinate system reference pixel"
_VALUE = "Coordinate system value at reference pixel"
_NAME = "Name of the coordinate axis"
_UNIT = "Units of the coordinate axis"
_STEP = "Coordinate increment at reference point"
_MATRIX = "Coordinate transformation matrix element"
_FRAME = "Spectral reference frame"


def list_rectified_wcs(
    wavelength: ArrayLike,
    slit: ArrayLike,
    header: Mapping[str, Any],
    slit_map: ArrayLike | None = None,
    units: tuple[str, str] = ("um", "arcsec"),
) -> list[Card]:
    """Cards of the world coordinates of a rectified image.

    Parameters
    ----------
    wavelength, slit : (nw,) and (ns,) array_like
        At pixel centres.
    header : mapping
        Of the raw image: CRPIX1, CRPIX2, CRVAL1, CRVAL2, CROTA2, SPECSYS; without the first four, or without a slit
        map, the alternate coordinates are left out.
    slit_map : (ny, nx) array_like, optional
        Slit position of the raw pixels, to find where on the slit the reference pixel of the sky lies.
    units : (str, str)
        Of wavelength and slit position.

    Returns
    -------
    list of Card
        The reference pixel is the middle of the grid. CROTA2 turns declination and right ascension into the slit.
    """
    waves, points = np.asarray(wavelength, dtype=np.float64), np.asarray(slit, dtype=np.float64)
    column, row = waves.size // 2, points.size // 2
    frame = str(header.get("SPECSYS") or "TOPOCENT")
    steps = _mean_step(waves), _mean_step(points)
    cards: list[Card] = [
        ("CRPIX1", column + 1, _REFERENCE), ("CRPIX2", row + 1, _REFERENCE),
        ("CRVAL1", float(waves[column]), _VALUE), ("CRVAL2", float(points[row]), _VALUE),
        ("CROTA2", 0.0, "Coordinate system rotation angle"),
        ("CTYPE1", "LINEAR", _NAME), ("CTYPE2", "LINEAR", _NAME),
        ("CUNIT1", units[0], _UNIT), ("CUNIT2", units[1], _UNIT),
        ("CDELT1", steps[0], _STEP), ("CDELT2", steps[1], _STEP), ("SPECSYS", frame, _FRAME),
    ]  # fmt: skip
    place = _read_sky(header)
    if place is None or slit_map is None:
        return cards
    return cards + _list_sky_cards(waves, points, place, slit_map, units[0], frame)


def list_spectrum_wcs(cards: list[Card]) -> list[Card]:
    """The cards among those of `list_rectified_wcs` that a one-dimensional spectrum has."""
    wanted = ("CTYPE1", "CUNIT1", "CRPIX1", "CRVAL1", "CDELT1", "SPECSYS")
    found = {card[0]: card for card in cards}
    return [found[key] for key in wanted if key in found]


def _mean_step(values: np.ndarray[Any, Any]) -> float:
    return float(np.mean(np.diff(values))) if values.size > 1 else 1.0


def _read_sky(header: Mapping[str, Any]) -> tuple[float, float, float, float, float] | None:
    """CRPIX1, CRPIX2, CRVAL1, CRVAL2, CROTA2; None if one of the first four is missing."""
    try:
        place = [float(header[key]) for key in ("CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2")]
        angle = float(header.get("CROTA2") or 0.0)
    except (KeyError, TypeError, ValueError):
        return None
    return place[0], place[1], place[2], place[3], angle


def _list_sky_cards(
    waves: np.ndarray[Any, Any],
    slit: np.ndarray[Any, Any],
    place: tuple[float, float, float, float, float],
    slit_map: ArrayLike,
    unit: str,
    frame: str,
) -> list[Card]:
    x, y, right_ascension, declination, angle = place
    position = float(interpolate_image(np.asarray(slit_map, dtype=np.float64), np.array([[y - 1], [x - 1]]), CUBIC)[0])
    middle = waves.size // 2
    row = float(slit_index(slit, position)) + 1 if math.isfinite(position) else slit.size // 2 + 1.0
    step, turn = _mean_step(slit) / 3600.0, math.radians(angle)
    return [
        ("CTYPE1A", "WAVE", _NAME), ("CTYPE2A", "DEC--TAN", _NAME), ("CTYPE3A", "RA---TAN", _NAME),
        ("CUNIT1A", unit, _UNIT), ("CUNIT2A", "deg", _UNIT), ("CUNIT3A", "deg", _UNIT),
        ("CRPIX1A", middle + 1, _REFERENCE), ("CRPIX2A", row, _REFERENCE), ("CRPIX3A", 1.0, _REFERENCE),
        ("CRVAL1A", float(waves[middle]), _VALUE), ("CRVAL2A", declination, _VALUE),
        ("CRVAL3A", right_ascension, _VALUE),
        ("CDELT1A", _mean_step(waves), _STEP), ("CDELT2A", step, _STEP), ("CDELT3A", -step, _STEP),
        ("PC2_2A", math.cos(turn), _MATRIX), ("PC2_3A", -math.sin(turn), _MATRIX),
        ("PC3_2A", math.sin(turn), _MATRIX), ("PC3_3A", math.cos(turn), _MATRIX),
        ("RADESYSA", "FK5", "Equatorial coordinate system"),
        ("EQUINOXA", 2000.0, "[yr] Equinox of equatorial coordinates"), ("SPECSYSA", frame, _FRAME),
    ]  # fmt: skip
