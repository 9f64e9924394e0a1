"""What the products of grism steps have in common: names, planes of spectra, one-dimensional files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

import numpy as np
from astropy.io import fits

from sofia_engine.errors import InputError
from sofia_engine.header.cards import freeze
from sofia_engine.header.naming import ProductNaming
from sofia_engine.instruments.forcast.mode import find_sky_mode, find_spectral_element, read_text
from sofia_engine.layouts import pack
from sofia_engine.numerics.arrays import FloatArray
from sofia_engine.pipeline.run import Companion
from sofia_engine.product import Plane, Product

__all__ = [
    "CORRELATION",
    "accompany_spectrum",
    "has_pixel_wavelengths",
    "is_extended",
    "is_scan",
    "is_standard",
    "make_spectral_plane",
    "name_auxiliary",
    "name_grism_product",
    "pack_spectrum",
    "require_planes",
]

CORRELATION = "NOISCORR"
"""Keyword: factor by which errors of sums over many columns exceed those of independent columns."""
_NAMING = ProductNaming("FO", "GRI")
_SPECTRAL_CARDS = ("CTYPE1", "CUNIT1", "CRPIX1", "CRVAL1", "CDELT1", "SPECSYS")


def name_grism_product(header: fits.Header, inputs: Sequence[str], code: str) -> str:
    """Return the file name of a grism product."""
    return _NAMING.name(header, inputs, find_spectral_element(header), code)


def name_auxiliary(product: Product, code: str, suffix: str) -> str:
    """Return the name of a region file or plot made of a product."""
    name = name_grism_product(product.header, [product.name], code)
    return PurePath(name).with_suffix(suffix).name


def is_scan(header: fits.Header) -> bool:
    """Tell whether the observation is one position of a slit scan."""
    return "SCAN" in find_sky_mode(header)


def is_extended(header: fits.Header) -> bool:
    """Tell whether the source fills the slit, as the observer said, or the slit was moved over it."""
    return "EXTENDED" in read_text(header, "SRCTYPE") or is_scan(header)


def is_standard(header: fits.Header) -> bool:
    """Tell whether the observation is of a standard star."""
    return "STANDARD" in read_text(header, "OBSTYPE")


def make_spectral_plane(data: FloatArray, unit: str, header: fits.Header) -> Plane:
    """Return a plane whose last axis is wavelength, with the wavelength coordinates of a rectified image."""
    cards = fits.Header()
    for keyword in _SPECTRAL_CARDS:
        if keyword in header:
            cards[keyword] = (header[keyword], header.comments[keyword])
    plane = Plane.of(data, unit)
    return Plane(plane.data, unit, freeze(cards), inherits_wcs=False)


def pack_spectrum(product: Product, layout: str = "spectrum") -> Product:
    """Return a product with its spectra as rows of one array, the form of one-dimensional files."""
    packed = pack(product, layout)
    return Product.of(packed.header, {"FLUX": next(iter(packed.planes.values()))})


def accompany_spectrum(product: Product, code: str, product_type: str, level: str = "") -> Companion:
    """Return the spectra of a product as a file of their own."""
    return Companion(pack_spectrum(_drop_single_aperture(product)), code, product_type, level)


def _drop_single_aperture(product: Product) -> Product:
    """Return the product with (nw) spectra where there is one aperture only."""
    names = ("SPECTRAL_FLUX", "SPECTRAL_ERROR", "TRANSMISSION", "RESPONSE")
    single = {name: product[name][0] for name in names if name in product and product[name].shape[:-1] == (1,)}
    return product.replace(**single) if single else product


def require_planes(product: Product, *names: str) -> None:
    """Make sure that a product has what a step needs.

    Raises
    ------
    InputError
        If a plane is missing.
    """
    missing = [name for name in names if name not in product.planes]
    if missing:
        raise InputError(
            f"{product.name}: {', '.join(missing)} missing; reduce it from an earlier product, or from the raw file."
        )


def has_pixel_wavelengths(product: Product) -> bool:
    """Tell whether a product was left on the grid of the detector, where wavelengths are pixel numbers."""
    return product.plane("WAVEPOS").unit == "pixel"


def square_error(product: Product) -> FloatArray:
    """Return the variance of the image of a product."""
    variance: FloatArray = np.square(product["ERROR"], dtype=np.float64)
    return variance
