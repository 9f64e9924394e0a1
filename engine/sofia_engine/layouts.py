"""Old file layouts: planes or rows packed into one HDU, taken apart into named planes and packed again.

Layouts
-------
cube-variance
    FORCAST images of pipeline versions 1: planes flux, variance, exposure in one cube.
cube-error
    FLITECAM images of the same time: planes flux, error, exposure.
rectified-variance
    Rectified spectral images of FORCAST pipeline versions 1: planes flux, variance, bad pixels in one cube; the
    wavelengths and slit positions come from the header. Data of nod-match-chop observations are not yet halved.
response
    Response curves: rows wavelength, response, error, transmission, model of the standard star, in one HDU.
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
_RESPONSE_ROWS = ("WAVEPOS", "RESPONSE", "RESPONSE_ERROR", "TRANSMISSION", "STANDARD_MODEL")
_RECTIFIED_PLANES = ("FLUX", "ERROR", "BADMASK")
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
    least : int
        Planes it needs.
    derive : callable, optional
        Makes further planes from header and packed shape.
    """

    name: str
    matches: Callable[[fits.Header, NDArray[Any]], bool]
    names: tuple[str, ...]
    axis: int
    error: Callable[[NDArray[Any]], NDArray[Any]]
    uncertainty: Callable[[NDArray[Any]], NDArray[Any]]
    least: int = 2
    derive: Callable[[fits.Header, tuple[int, ...]], dict[str, Plane]] | None = None

    @property
    def has_rows(self) -> bool:
        """Whether it holds spectra in rows rather than images in planes."""
        return self.axis != 0


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
    if form.has_rows and len(arrays) > 1:
        # one wavelength, transmission or response curve serves all orders or apertures
        shape = arrays[1].shape
        arrays = [np.broadcast_to(array, shape) if array.shape == shape[-1:] else array for array in arrays]
    if len(names) < form.least or len({array.shape for array in arrays}) != 1:
        raise InputError(f"{product.name} cannot be written in the layout {layout}: it needs planes of equal shape.")
    header = product.header.copy()
    header.remove("EXTNAME", ignore_missing=True)
    unit = "" if form.has_rows else product.plane(names[0]).unit
    if form.has_rows:
        _describe_rows(header, product.plane(names[0]).unit, product.plane(names[1]).unit, arrays[1].shape)
    return Product.of(header, {"PRIMARY": Plane.of(np.stack(arrays, axis=form.axis), unit)})


def _describe_rows(header: fits.Header, wave_unit: str, unit: str, shape: tuple[int, ...]) -> None:
    """Say in a header what the rows of a spectrum are, as readers of the time expect it."""
    header.remove("BUNIT", ignore_missing=True)
    for keyword, value, comment in (
        ("XUNITS", wave_unit or header.get("XUNITS", ""), "Units of the X axis"),
        ("YUNITS", unit or header.get("YUNITS", ""), "Units of the Y axis"),
        ("NAPS", header.get("NAPS", shape[0] if len(shape) > 1 else 1), "Number of apertures"),
        ("NORDERS", header.get("NORDERS", 1), "Number of orders"),
    ):
        header[keyword] = (value, comment)
    if "CDELT1" in header:
        header["DISPO01"] = (header["CDELT1"], "Dispersion of order 1")


def _take_apart(product: Product, layout: Layout, packed: Plane) -> Product:
    units = _units(product.header, layout, packed)
    extensions: dict[str, Plane] = {}
    for index, name in enumerate(layout.names[: packed.shape[layout.axis]]):
        array = np.take(packed.data, index, axis=layout.axis)
        if "ERROR" in name:
            array = layout.error(array)
        extensions[name] = Plane.of(_as_mask(array) if name == "BADMASK" else array, units.get(name, ""))
    if layout.derive is not None:
        extensions |= layout.derive(product.header, packed.shape)
    header = product.header.copy()
    for keyword in _OLD_CARDS:
        header.remove(keyword, ignore_missing=True)
    return replace(Product.of(header, extensions), layout=layout.name)


def _units(header: fits.Header, layout: Layout, packed: Plane) -> dict[str, str]:
    if not layout.has_rows:
        unit = {"Me/sec": "Me/s"}.get(packed.unit, packed.unit)
        return {"FLUX": unit, "ERROR": unit, "EXPOSURE": "s"}
    wave, flux = str(header.get("XUNITS", "")).strip(), str(header.get("YUNITS", "")).strip()
    units = dict(zip(layout.names[:3], (wave, flux, flux), strict=True))
    return units | {"STANDARD_MODEL": "Jy"} if "STANDARD_MODEL" in layout.names else units


def _instrument(header: fits.Header) -> str:
    return str(header.get("INSTRUME", "")).strip().upper()


def _is_processed_cube(header: fits.Header, array: NDArray[Any]) -> bool:
    raw = str(header.get("PRODTYPE", "raw")).strip().lower() in ("raw", "unknown", "")
    return not raw and array.ndim == 3 and array.shape[0] in (2, 3)


def _is_forcast_cube(header: fits.Header, array: NDArray[Any]) -> bool:
    return _instrument(header) == "FORCAST" and _is_processed_cube(header, array)


def _is_flitecam_cube(header: fits.Header, array: NDArray[Any]) -> bool:
    return _instrument(header) == "FLITECAM" and _is_processed_cube(header, array)


def _is_rectified(header: fits.Header, array: NDArray[Any]) -> bool:
    kind = str(header.get("PRODTYPE", "")).strip().lower()
    return kind == "rectimage" and array.ndim == 3 and array.shape[0] == len(_RECTIFIED_PLANES)


def _read_axes(header: fits.Header, shape: tuple[int, ...]) -> dict[str, Plane]:
    """Wavelength and slit position of a rectified image.

    The reference pixel 0.5 of these files is wrong: the reference value is that of the centre of the first pixel. The
    increment is too small by (n - 1) / n.
    """
    planes = {}
    for name, axis, unit in (("WAVEPOS", 1, "um"), ("SLITPOS", 2, "arcsec")):
        count = shape[-axis]
        stored = header.get(f"CD{axis}_{axis}", header.get(f"CDELT{axis}", 1.0))
        step = float(stored) * count / max(count - 1, 1)
        planes[name] = Plane.of(float(header.get(f"CRVAL{axis}", 0.0)) + step * np.arange(count), unit)
    return planes


def _is_response(header: fits.Header, array: NDArray[Any]) -> bool:
    kind = str(header.get("PRODTYPE", "")).strip().lower()
    return _is_spectrum(header, array) and (kind.startswith("rsp") or "response" in kind)


def _is_spectrum(header: fits.Header, array: NDArray[Any]) -> bool:
    rows = array.ndim in (2, 3) and 3 <= array.shape[-2] <= len(_SPECTRUM_ROWS)
    return rows and "XUNITS" in header and array.shape[-1] > len(_SPECTRUM_ROWS)


def _same(array: NDArray[Any]) -> NDArray[Any]:
    return array


def _as_mask(flags: NDArray[Any]) -> NDArray[np.int64]:
    """Return flags as integers; what is no number is bad."""
    return np.where(np.isfinite(flags) & (np.abs(flags) < 2**31), flags, 1).astype(np.int64)


def _root(variance: NDArray[Any]) -> NDArray[Any]:
    with np.errstate(invalid="ignore"):
        return np.sqrt(variance)  # type: ignore[no-any-return]


LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout("response", _is_response, _RESPONSE_ROWS, -2, _same, _same),
        Layout("spectrum", _is_spectrum, _SPECTRUM_ROWS, -2, _same, _same),
        Layout("rectified-variance", _is_rectified, _RECTIFIED_PLANES, 0, _root, np.square, 3, _read_axes),
        Layout("cube-variance", _is_forcast_cube, _IMAGE_PLANES, 0, _root, np.square),
        Layout("cube-error", _is_flitecam_cube, _IMAGE_PLANES, 0, _same, _same),
    )
}
"""The old layouts by name, in the order they are tried."""
