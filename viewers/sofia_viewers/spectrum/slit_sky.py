"""Where the slit of a rectified spectral image lies on the sky. No Qt."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

__all__ = ["SlitOnSky", "read_slit_sky"]

FloatArray = NDArray[np.float64]
_AXES = ("WAVE", "DEC--TAN", "RA---TAN")


@dataclass(frozen=True, eq=False)
class SlitOnSky:
    """World coordinates of a slit: the alternate coordinates A of rectified images.

    Attributes
    ----------
    wcs : WCS
        Axes wavelength, declination, right ascension; the third pixel axis points across the slit.
    column : float
        A column of the image, from 0: positions do not depend on it.
    step : float
        Size of a row, in degrees.
    """

    wcs: Any
    column: float
    step: float

    def find_sky(self, rows: FloatArray | list[float]) -> FloatArray:
        """Return right ascension and declination (degrees) of rows from 0, shape (n, 2)."""
        places = np.asarray(rows, dtype=float)
        pixels = np.column_stack([np.full(places.shape, self.column), places, np.zeros(places.shape)])
        world = np.asarray(self.wcs.wcs_pix2world(pixels, 0))
        return world[:, [2, 1]]

    def find_rows(self, sky: FloatArray | list[tuple[float, float]]) -> FloatArray:
        """Return row (from 0) and distance across the slit (rows) of positions (degrees), shape (n, 2)."""
        places = np.asarray(sky, dtype=float).reshape(-1, 2)
        wave = float(np.asarray(self.wcs.wcs_pix2world([[self.column, 0.0, 0.0]], 0))[0, 0])
        world = np.column_stack([np.full(len(places), wave), places[:, 1], places[:, 0]])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pixels = np.asarray(self.wcs.wcs_world2pix(world, 0))
        return pixels[:, 1:]


def read_slit_sky(header: fits.Header) -> SlitOnSky | None:
    """Read where the slit lies on the sky; None if the header does not say it.

    Parameters
    ----------
    header : Header
        With CTYPE1A WAVE, CTYPE2A DEC--TAN, CTYPE3A RA---TAN. FK5 is taken as ICRS, which differ by 0.03 arcsec.
    """
    if tuple(str(header.get(f"CTYPE{axis}A", "")).strip() for axis in (1, 2, 3)) != _AXES:
        return None
    from astropy.wcs import WCS

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            wcs = WCS(_pick(header), key="A", naxis=3)
            wcs.wcs.set()
            step = abs(float(header["CDELT2A"]))
        except (KeyError, ValueError, TypeError):
            return None
    return SlitOnSky(wcs, float(header.get("CRPIX1A", 1.0)) - 1.0, step or 1.0)


def _pick(header: fits.Header) -> fits.Header:
    """The cards of the alternate coordinates alone: others would only slow astropy down, or make it stumble."""
    return fits.Header([card for card in header.cards if card.keyword.endswith("A") and card.keyword[-2:-1].isdigit()]
                       + [card for card in header.cards if card.keyword in ("RADESYSA", "EQUINOXA")])  # fmt: skip
