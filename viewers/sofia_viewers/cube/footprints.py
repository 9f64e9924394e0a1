"""Where the spatial pixels of FIFI-LS lay on the sky before resampling, and at which wavelengths."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import InputError
from sofia_engine.product import Product
from sofia_viewers.image.drawing import Drawing, Label
from sofia_viewers.theme import PLOT_COLORS

__all__ = ["Footprints", "draw_footprints", "read_footprints"]

_MOST_GRATINGS = 100
_LINE = 14
_N_SPAXELS = 25
_SIDES = {"RED": 12.2, "BLUE": 6.1}
"""Side of a spatial pixel, arcsec (FIFI-LS handbook)."""


@dataclass(frozen=True, eq=False)
class Footprints:
    """Spatial pixels of one file.

    Parameters
    ----------
    name : str
        File.
    sky : (n, 2) ndarray
        Centres, right ascension and declination in degrees.
    side : float
        Side, arcsec.
    wave : (float, float)
        Shortest and longest wavelength, μm: the position of the grating.
    """

    name: str
    sky: NDArray[np.float64]
    side: float
    wave: tuple[float, float]


def read_footprints(path: str | Path) -> list[Footprints]:
    """Read the spatial pixels of a FIFI-LS product after spatial calibration and before resampling (XYC to WSH).

    Products before the scans are combined (XYC, FLF) have those of each grating position.

    Raises
    ------
    InputError
        If the file has no positions or wavelengths of spatial pixels.
    """
    product = Product.read(path)
    suffixes = [f"_G{number}" for number in range(_MOST_GRATINGS) if f"LAMBDA_G{number}" in product.planes] or [""]
    missing = [
        f"{name}{suffixes[0]}" for name in ("RA", "DEC", "LAMBDA") if f"{name}{suffixes[0]}" not in product.planes
    ]
    if missing:
        raise InputError(
            f"{Path(path).name} has no extension {missing[0]}: choose FIFI-LS products after spatial calibration and "
            "before resampling (XYC, FLF, SCM, TEL, CAL, WSH)."
        )
    return [_find_footprints(product, suffix) for suffix in suffixes]


def _find_footprints(product: Product, suffix: str) -> Footprints:
    """Return the spatial pixels at one grating position, or of a product that has combined them."""
    ra, dec, waves = (product[f"{name}{suffix}"] for name in ("RA", "DEC", "LAMBDA"))
    lon, lat = (np.nanmedian(_per_spaxel(values), axis=0) for values in (ra, dec))
    scale = 15.0 if str(product.plane(f"RA{suffix}").unit).lower().startswith("hour") else 1.0
    channel = str(product.header.get("DETCHAN", "RED")).strip().upper()
    return Footprints(
        product.name, np.column_stack([lon * scale, lat]), _SIDES.get(channel, _SIDES["RED"]),
        (float(np.nanmin(waves)), float(np.nanmax(waves))),
    )  # fmt: skip


def _per_spaxel(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return positions as (samples, 25)."""
    return np.asarray(values, dtype=float).reshape(-1, values.shape[-1])


def draw_footprints(footprints: list[Footprints], wcs: Any) -> list[Drawing]:
    """Return the outlines of spatial pixels, in pixels of an image; a colour and a label for each grating position."""
    if wcs is None:
        return []
    drawings = []
    groups = sorted({round(sum(found.wave) / 2, 2) for found in footprints})
    for found in footprints:
        middle = round(sum(found.wave) / 2, 2)
        color = PLOT_COLORS[groups.index(middle) % len(PLOT_COLORS)]
        centers = np.asarray(wcs.wcs_world2pix(found.sky, 0))
        good = centers[np.isfinite(centers).all(axis=1)]
        if not len(good):
            continue
        across, up = _find_axes(centers)
        pixel = float(np.sqrt(abs(np.linalg.det(wcs.pixel_scale_matrix)))) * 3600.0
        half = 0.5 * found.side / pixel
        corners = np.array([-across - up, across - up, across + up, -across + up, -across - up]) * half
        lines = tuple(center + corners for center in good)
        label = Label(
            tuple(good[np.argmax(good[:, 1])]),
            f"{found.wave[0]:.2f}–{found.wave[1]:.2f} μm",
            (0, -4 - _LINE * groups.index(middle)),
            (0.5, 1),
        )
        drawings.append(Drawing(color, lines, labels=(label,) if _is_first(found, footprints, middle) else ()))
    return drawings


def _find_axes(centers: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return unit vectors along rows and columns of the 5 x 5 array, as its centres lie; the axes for another array."""
    if len(centers) != _N_SPAXELS:
        return np.array([1.0, 0.0]), np.array([0.0, 1.0])
    grid = centers.reshape(5, 5, 2)
    along = np.nanmean(np.diff(grid, axis=1).reshape(-1, 2), axis=0)
    along = along / (np.hypot(*along) or 1.0)
    return along, np.array([-along[1], along[0]])


def _is_first(found: Footprints, footprints: list[Footprints], middle: float) -> bool:
    return next(other for other in footprints if round(sum(other.wave) / 2, 2) == middle) is found
