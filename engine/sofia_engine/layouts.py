"""Old file layouts: planes or rows packed into one HDU, taken apart into named planes and packed again.

Layouts
-------
cube-variance
    FORCAST images of pipeline versions 1: planes flux, variance, exposure in one cube.
cube-error
    FLITECAM images of the same time: planes flux, error, exposure.
spectrum
    One-dimensional spectra: rows wavelength, flux, error, transmission, response, in one HDU; orders or apertures may
    come as a further first axis.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from sofia_engine.errors import InputError
from sofia_engine.product import Plane, Product

__all__ = ["LAYOUTS", "Layout", "pack", "unpack"]

_IMAGE_PLANES = ("FLUX", "ERROR", "EXPOSURE")
_SPECTRUM_ROWS = ("WAVEPOS", "SPECTRAL_FLUX", "SPECTRAL_ERROR", "TRANSMISSION", "RESPONSE")
_OLD_CARDS = ("XPIXELSZ", "YPIXELSZ")


@dataclass(frozen=True)
class Layout:
    """One old layout.

    Parameters
    ----------
    name : str
        Its name in `Product.layout`.
    matches : callable
        Tells from header and array whether a file has it.
    names : tuple of str
        Planes in the order of the packed axis.
    axis : int
        The packed axis.
    error : callable
        From the stored uncertainty to 1-sigma error.
    uncertainty : callable
        From 1-sigma error to what is stored.
    """

    name: str
    matches: Callable[[fits.Header, NDArray[Any]], bool]
    names: tuple[str, ...]
    axis: int
    error: Callable[[NDArray[Any]], NDArray[Any]]
    uncertainty: Callable[[NDArray[Any]], NDArray[Any]]


def unpack(product: Product) -> Product:
    """Return a product of named planes if it was read from an old layout, else the product itself.

    Parameters
    ----------
    product : Product
        As read: the packed array is its only plane.
    """
    planes = list(product.planes.values())
    if len(product.extensions) != 1 or len(planes) != 1 or product.empty_primary:
        return product
    for layout in LAYOUTS.values():
        if layout.matches(product.header, planes[0].data):
            return _take_apart(product, layout, planes[0])
    return product


def pack(product: Product, layout: str) -> Product:
    """Return a product whose planes are packed into one array as an old layout has it.

    Raises
    ------
    InputError
        If there is no such layout, or planes are missing or differ in shape.
    """
    if layout not in LAYOUTS:
        raise InputError(f"There is no file layout '{layout}'; there are extensions, {', '.join(LAYOUTS)}.")
    form = LAYOUTS[layout]
    names = [name for name in form.names if name in product.planes]
    arrays = [form.uncertainty(product[name]) if "ERROR" in name else product[name] for name in names]
    if form.axis != 0 and len(arrays) > 1 and arrays[0].shape == arrays[1].shape[-1:]:
        arrays[0] = np.broadcast_to(arrays[0], arrays[1].shape)  # one row of wavelengths for all orders
    if len(names) < 2 or len({array.shape for array in arrays}) != 1:
        raise InputError(f"{product.name} cannot be written in the layout {layout}: it needs planes of equal shape.")
    unit = product.plane(names[0 if form.axis == 0 else 1]).unit
    header = product.header.copy()
    header.remove("EXTNAME", ignore_missing=True)
    return Product.of(header, {"PRIMARY": Plane.of(np.stack(arrays, axis=form.axis), unit)})


def _take_apart(product: Product, layout: Layout, packed: Plane) -> Product:
    units = _units(product.header, layout, packed)
    extensions: dict[str, Plane] = {}
    for index, name in enumerate(layout.names[: packed.shape[layout.axis]]):
        array = np.take(packed.data, index, axis=layout.axis)
        if "ERROR" in name:
            array = layout.error(array)
        extensions[name] = Plane.of(array, units.get(name, ""))
    header = product.header.copy()
    for keyword in _OLD_CARDS:
        header.remove(keyword, ignore_missing=True)
    return replace(Product.of(header, extensions), layout=layout.name)


def _units(header: fits.Header, layout: Layout, packed: Plane) -> dict[str, str]:
    if layout.axis == 0:
        unit = {"Me/sec": "Me/s"}.get(packed.unit, packed.unit)
        return {"FLUX": unit, "ERROR": unit, "EXPOSURE": "s"}
    wave, flux = str(header.get("XUNITS", "")).strip(), str(header.get("YUNITS", "")).strip()
    return {"WAVEPOS": wave, "SPECTRAL_FLUX": flux, "SPECTRAL_ERROR": flux}


def _instrument(header: fits.Header) -> str:
    return str(header.get("INSTRUME", "")).strip().upper()


def _is_processed_cube(header: fits.Header, array: NDArray[Any]) -> bool:
    raw = str(header.get("PRODTYPE", "raw")).strip().lower() in ("raw", "unknown", "")
    return not raw and array.ndim == 3 and array.shape[0] in (2, 3)


def _is_forcast_cube(header: fits.Header, array: NDArray[Any]) -> bool:
    return _instrument(header) == "FORCAST" and _is_processed_cube(header, array)


def _is_flitecam_cube(header: fits.Header, array: NDArray[Any]) -> bool:
    return _instrument(header) == "FLITECAM" and _is_processed_cube(header, array)


def _is_spectrum(header: fits.Header, array: NDArray[Any]) -> bool:
    rows = array.ndim in (2, 3) and 3 <= array.shape[-2] <= len(_SPECTRUM_ROWS)
    return rows and "XUNITS" in header and array.shape[-1] > len(_SPECTRUM_ROWS)


def _same(array: NDArray[Any]) -> NDArray[Any]:
    return array


def _root(variance: NDArray[Any]) -> NDArray[Any]:
    with np.errstate(invalid="ignore"):
        return np.sqrt(variance)  # type: ignore[no-any-return]


LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout("spectrum", _is_spectrum, _SPECTRUM_ROWS, -2, _same, _same),
        Layout("cube-variance", _is_forcast_cube, _IMAGE_PLANES, 0, _root, np.square),
        Layout("cube-error", _is_flitecam_cube, _IMAGE_PLANES, 0, _same, _same),
    )
}
"""The old layouts by name, in the order they are tried."""
