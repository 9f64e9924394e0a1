"""Samples of a cube: flux, error, position and wavelength of every pixel of some products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.errors import InputError
from sofia_engine.instruments.fifi_ls.mode import read_number, require_number
from sofia_engine.instruments.fifi_ls.positions import ARCSEC_PER_DEGREE, DEGREES_PER_HOUR, turn

if TYPE_CHECKING:
    from astropy.io import fits

    from sofia_engine.numerics.arrays import FloatArray
    from sofia_engine.product import Product

__all__ = ["Exposure", "gather_exposures", "is_off_sky"]


@dataclass(frozen=True, eq=False)
class Exposure:
    """One pointing: a file, or a ramp of a scan.

    Attributes
    ----------
    x, y : (nw, 25) ndarray
        Positions of the pixels: right ascension and declination in degrees, or offsets in arcsec. They move a little
        with the grating.
    wavelength, flux, error : (nw, 25) ndarray
        Um; flux and its error per pixel of the detector.
    uncorrected_wavelength, uncorrected_flux, uncorrected_error : (nw, 25) ndarray
        The same as it came through the atmosphere; flux and error None if they are not known.
    """

    x: FloatArray
    y: FloatArray
    wavelength: FloatArray
    flux: FloatArray
    error: FloatArray
    uncorrected_wavelength: FloatArray
    uncorrected_flux: FloatArray | None = None
    uncorrected_error: FloatArray | None = None


def is_off_sky(headers: Sequence[fits.Header]) -> bool:
    """Tell whether observations have no place on the sky: a target that moves, or no base position."""
    if any("NAIF_ID" in header for header in headers):
        return True
    return all((read_number(h, "OBSLAM") or 0.0) == 0 and (read_number(h, "OBSBET") or 0.0) == 0 for h in headers)


def gather_exposures(products: Sequence[Product], *, on_sky: bool) -> list[list[Exposure]]:
    """Return the exposures of each product.

    Parameters
    ----------
    products : sequence of Product
        After Combine Scans or any later step.
    on_sky : bool
        With positions on the sky; else with offsets from the base position of the first product.

    Raises
    ------
    InputError
        If planes are missing or have other shapes than they should.
    """
    return [_gather(product, products[0], on_sky=on_sky) for product in products]


def _gather(product: Product, first: Product, *, on_sky: bool) -> list[Exposure]:
    flux = product["FLUX"]
    names = ("STDDEV", "LAMBDA", "XS", "YS", "RA", "DEC")
    for name in names:
        shape = product[name].shape
        if shape != flux.shape and not (name == "LAMBDA" and shape == flux.shape[1:]):
            raise InputError(f"{product.name}: {name} has the shape {shape}, FLUX {flux.shape}; make the file again.")
    x, y = _place_on_sky(product) if on_sky else _place_in_field(product, first)
    wave = product["LAMBDA"]
    observed = product["UNCORRECTED_LAMBDA"] if "UNCORRECTED_LAMBDA" in product.planes else wave
    has_uncorrected = "UNCORRECTED_FLUX" in product.planes
    planes = [flux, product["STDDEV"]]
    planes += [product["UNCORRECTED_FLUX"], product["UNCORRECTED_STDDEV"]] if has_uncorrected else []
    if flux.ndim == 2:
        x, y, wave, observed = x[np.newaxis], y[np.newaxis], wave[np.newaxis], observed[np.newaxis]
        planes = [plane[np.newaxis] for plane in planes]
    wave, observed = np.broadcast_to(wave, planes[0].shape), np.broadcast_to(observed, planes[0].shape)
    return [
        Exposure(x[n], y[n], wave[n], planes[0][n], planes[1][n], observed[n], *(p[n] for p in planes[2:]))
        for n in range(len(x))
    ]


def _place_on_sky(product: Product) -> tuple[FloatArray, FloatArray]:
    return product["RA"] * DEGREES_PER_HOUR, np.asarray(product["DEC"])


def _place_in_field(product: Product, first: Product) -> tuple[FloatArray, FloatArray]:
    """Offsets in the frame of the first product, arcsec; targets that move stay where they are in the field."""
    x, y = np.asarray(product["XS"]), np.asarray(product["YS"])
    header, base = product.header, first.header
    angle, base_angle = (read_number(h, "SKY_ANGL") or 0.0 for h in (header, base))
    x, y = turn(x, y, angle - base_angle)
    if "NAIF_ID" in header or header is base:
        return x, y
    lam, bet = require_number(header, "OBSLAM"), require_number(header, "OBSBET")
    lam0, bet0 = require_number(base, "OBSLAM"), require_number(base, "OBSBET")
    west = ARCSEC_PER_DEGREE * np.cos(np.radians(bet0)) * (lam0 - lam)
    dx, dy = turn(west, ARCSEC_PER_DEGREE * (bet - bet0), -base_angle)
    return x + dx, y + dy
