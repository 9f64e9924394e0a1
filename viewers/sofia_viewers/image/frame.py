"""Frames: one plane of a product, or any HDU of a FITS file, as the viewer shows it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from sofia_engine.errors import InputError
from sofia_engine.product import Product, Table

__all__ = ["ALL_IN_CUBE", "SIGNAL_TO_NOISE", "Frame", "ImageFile", "PlaneSource", "fetch_block", "open_image"]

SIGNAL_TO_NOISE = "S/N"
ALL_IN_CUBE = "ALL"

_MAPPED_FROM = 32 * 2**20
_ERROR_PARTNERS = (("FLUX", "ERROR"), ("FLUX", "STDDEV"), ("STOKES I", "ERROR I"), ("PRIMARY IMAGE", "NOISE"))
_ROLE_WORDS = {
    "error": ("ERROR", "STDDEV", "NOISE", "UNCERT", "ERR", "SIGMA"),
    "exposure": ("EXPOSURE", "EXPMAP", "WEIGHT"),
    "mask": ("MASK", "BADMASK", "FLAG", "DQ"),
}


@dataclass(frozen=True, eq=False)
class PlaneSource:
    """One array that can be shown.

    Parameters
    ----------
    name : str
        Name of the plane or HDU.
    array : ndarray
        At least two axes, the last is x; any numeric type and byte order; may be memory-mapped.
    header : Header
        Cards with the world coordinates of this plane.
    unit : str
        Unit of the values.
    number : int
        Number of the HDU, if it is one.
    """

    name: str
    array: NDArray[Any] = field(repr=False)
    header: fits.Header = field(repr=False)
    unit: str = ""
    number: int = 0

    @property
    def n_slices(self) -> int:
        """Number of images in the array; 1 unless it is a cube."""
        return int(np.prod(self.array.shape[:-2], dtype=int))

    def image(self, slice_number: int = 0) -> NDArray[Any]:
        """Return one image of the array without copying it."""
        if self.array.ndim == 2:
            return self.array
        where = np.unravel_index(slice_number, self.array.shape[:-2])
        image: NDArray[Any] = self.array[where]
        return image

    @cached_property
    def celestial_wcs(self) -> Any:
        """World coordinates of the last two axes (`astropy.wcs.WCS`), or None if the header has none."""
        return _read_celestial_wcs(self.header)

    @cached_property
    def is_mapped(self) -> bool:
        """Whether reading pixels may touch the disk."""
        return _is_mapped(self.array)


@dataclass(frozen=True, eq=False)
class ImageFile:
    """The planes and tables of one product or file.

    Parameters
    ----------
    name : str
        File name.
    header : Header
        Primary header.
    planes : mapping of str to PlaneSource
        In the order of the file.
    tables : mapping of str to Table
        Binary tables.
    path : Path or None
        Where it was read from.
    slice_axis : (ndarray, str) or None
        Third coordinate of the slices of its cubes and its unit, where it is known better than the headers say.
    """

    name: str
    header: fits.Header = field(repr=False)
    planes: Mapping[str, PlaneSource]
    tables: Mapping[str, Table] = field(default_factory=dict)
    path: Path | None = None
    slice_axis: tuple[NDArray[np.float64], str] | None = None

    @classmethod
    def of(cls, product: Product, name: str = "", path: Path | None = None) -> ImageFile:
        """Take the images of a product; nothing is copied.

        Raises
        ------
        InputError
            If the product has no image.
        """
        name = name or product.name
        planes: dict[str, PlaneSource] = {}
        for number, (key, plane) in enumerate(product.planes.items()):
            if plane.data.ndim >= 2 and plane.data.size:
                header = product.header if plane.inherits_wcs else plane.cards
                planes[key] = PlaneSource(key, plane.data, header, plane.unit, number)
        return cls(name, product.header, _required(planes, name), product.tables, path)

    def find_plane(self, wanted: str | int) -> PlaneSource:
        """Return a plane by name (case does not matter), by HDU number, or one that is made: S/N, ALL.

        Raises
        ------
        InputError
            If there is no such plane; names those that are there.
        """
        text = str(wanted).strip()
        for plane in self.planes.values():
            if plane.name.upper() == text.upper() or (text.isdigit() and plane.number == int(text)):
                return plane
        if text.lower() in ("", "first"):
            return next(iter(self.planes.values()))
        if text.upper() == SIGNAL_TO_NOISE:
            return self.signal_to_noise
        if text.upper() == ALL_IN_CUBE:
            return self.stacked
        raise InputError(f"{self.name}: there is no image '{text}'; the file holds {', '.join(self.planes)}.")

    def error_of(self, name: str) -> PlaneSource | None:
        """Return the plane with the error of a plane, or None."""
        partner = dict(_ERROR_PARTNERS).get(name, "")
        candidates = [partner, *(error for value, error in _ERROR_PARTNERS if value == name)]
        candidates += [name.replace("STOKES", "ERROR"), f"ERROR {name}", f"{name} ERROR", f"{name}_ERROR"]
        for candidate in candidates:
            if candidate != name and candidate in self.planes and self._same_shape(name, candidate):
                return self.planes[candidate]
        return None

    def companion(self, role: str, of: str = "") -> PlaneSource | None:
        """Return the error, exposure, mask or S/N plane that belongs to a plane, or None."""
        if role == "s/n":
            return self.signal_to_noise if self.can_compute_signal_to_noise else None
        if role == "error" and of:
            found = self.error_of(of)
            if found is not None:
                return found
        for plane in self.planes.values():
            if any(word in plane.name.upper().split()[0:3] or plane.name.upper() == word for word in _ROLE_WORDS[role]):
                return plane
        return None

    @property
    def can_compute_signal_to_noise(self) -> bool:
        """Whether there is an S/N plane, or a pair of planes to compute it from."""
        return SIGNAL_TO_NOISE in self.planes or self._signal_and_noise() is not None

    @cached_property
    def signal_to_noise(self) -> PlaneSource:
        """Plane S/N of the file, else FLUX/ERROR, FLUX/STDDEV, or STOKES I/ERROR I.

        Raises
        ------
        InputError
            If there are no such planes.
        """
        if SIGNAL_TO_NOISE in self.planes:
            return replace(self.planes[SIGNAL_TO_NOISE], unit="")
        pair = self._signal_and_noise()
        if pair is None:
            raise InputError(
                f"Cannot determine S/N for {self.name}: it needs an extension S/N, or FLUX with ERROR or STDDEV, or "
                "STOKES I with ERROR I."
            )
        signal, noise = pair
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.asarray(signal.array, dtype=np.float32) / np.asarray(noise.array, dtype=np.float32)
        ratio[~np.isfinite(ratio)] = np.nan
        return PlaneSource(SIGNAL_TO_NOISE, ratio, signal.header, "", -1)

    @cached_property
    def stacked(self) -> PlaneSource:
        """All images of the shape of the first one, as slices of a cube."""
        first = next(iter(self.planes.values()))
        images = [p.image(i) for p in self.planes.values() for i in range(p.n_slices)]
        equal = [np.asarray(i, dtype=np.float32) for i in images if i.shape == first.array.shape[-2:]]
        return PlaneSource(ALL_IN_CUBE, np.stack(equal), first.header, first.unit, -1)

    def _signal_and_noise(self) -> tuple[PlaneSource, PlaneSource] | None:
        for signal, noise in _ERROR_PARTNERS:
            if signal in self.planes and noise in self.planes and self._same_shape(signal, noise):
                return self.planes[signal], self.planes[noise]
        return None

    def _same_shape(self, first: str, second: str) -> bool:
        return first not in self.planes or self.planes[first].array.shape == self.planes[second].array.shape


@dataclass(frozen=True, eq=False)
class Frame:
    """What one panel shows: a file, the plane of it, the slice of that.

    Parameters
    ----------
    file : ImageFile
        Where the planes come from.
    plane : PlaneSource
        The plane that is shown.
    slice_number : int
        Which image of a cube.
    s2n_range : (float, float) or None
        Pixels whose signal-to-noise lies outside are shown blank.
    """

    file: ImageFile
    plane: PlaneSource
    slice_number: int = 0
    s2n_range: tuple[float, float] | None = None

    @classmethod
    def of(cls, file: ImageFile, plane: str | int = "first", s2n_range: tuple[float, float] | None = None) -> Frame:
        """Show a plane of a file; cubes begin with their middle slice.

        Raises
        ------
        InputError
            If the file has no such plane.
        """
        source = file.find_plane(plane)
        return cls(file, source, source.n_slices // 2, s2n_range)

    @property
    def title(self) -> str:
        """File and plane, for people."""
        several = len(self.file.planes) > 1 or self.plane.number < 0
        return f"{self.file.name} [{self.plane.name}]" if several else self.file.name

    @cached_property
    def image(self) -> NDArray[Any]:
        """(n_y, n_x) values; a view of the plane unless an S/N range blanks some."""
        image = self.plane.image(self.slice_number)
        if self.s2n_range is None or not self.file.can_compute_signal_to_noise:
            return image
        ratio = self._slice_of(self.file.signal_to_noise)
        if ratio is None:
            return image
        with np.errstate(invalid="ignore"):
            inside = (ratio >= self.s2n_range[0]) & (ratio <= self.s2n_range[1])
        return np.where(inside, image, np.nan).astype(np.float32)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.plane.array.shape[-2:]
        return int(rows), int(columns)

    @property
    def wcs(self) -> Any:
        """Celestial world coordinates of the plane, of the file's header if the plane has none, or None."""
        if self.plane.celestial_wcs is not None:
            return self.plane.celestial_wcs
        first = next(iter(self.file.planes.values()))
        return first.celestial_wcs if first.array.shape[-2:] == self.plane.array.shape[-2:] else None

    @cached_property
    def pixel_scale(self) -> float:
        """Mean of the two pixel scales, arcsec; 1 without world coordinates."""
        if self.wcs is None:
            return 1.0
        from astropy.wcs.utils import proj_plane_pixel_scales

        return float(np.mean(proj_plane_pixel_scales(self.wcs)) * 3600.0)

    @cached_property
    def wavelengths(self) -> tuple[NDArray[np.float64], str] | None:
        """Wavelength (or other third coordinate) of each slice and its unit, or None."""
        return _read_slice_axis(self)

    def companion_image(self, role: str) -> NDArray[Any] | None:
        """Return the image of the error, exposure, mask or S/N plane that belongs to this frame, or None."""
        plane = self.file.companion(role, self.plane.name)
        return None if plane is None else self._slice_of(plane)

    def at_slice(self, number: int) -> Frame:
        """Return the frame with another slice of the same cube."""
        return replace(self, slice_number=min(max(int(number), 0), self.plane.n_slices - 1))

    def with_plane(self, name: str | int) -> Frame:
        """Return the frame with another plane of the same file, at the same slice if it is a cube, too."""
        plane = self.file.find_plane(name)
        same = plane.n_slices == self.plane.n_slices
        return replace(self, plane=plane, slice_number=self.slice_number if same else plane.n_slices // 2)

    def _slice_of(self, plane: PlaneSource) -> NDArray[Any] | None:
        if plane.array.shape[-2:] != self.plane.array.shape[-2:]:
            return None
        return plane.image(self.slice_number if plane.n_slices == self.plane.n_slices else 0)


def open_image(path: str | Path) -> ImageFile:
    """Open a FITS file for viewing.

    Files from 32 MiB on are memory-mapped: nothing but headers is read until pixels are shown. Smaller ones are read
    whole, with old layouts taken apart into named planes.

    Raises
    ------
    InputError
        If the file cannot be read or has no image; says why.
    """
    path = Path(path)
    try:
        large = path.stat().st_size >= _MAPPED_FROM and path.suffix.lower() not in (".gz", ".fz")
    except OSError:
        large = False
    if large:
        return _open_mapped(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        product = Product.read(path)
    return ImageFile.of(product, path.name, path)


def fetch_block(frame: Frame, region: tuple[slice, slice], step: int = 1) -> NDArray[np.float32]:
    """Return part of the image of a frame as native float32.

    Parameters
    ----------
    frame : Frame
        What is shown.
    region : (slice, slice)
        Rows and columns.
    step : int
        Means of ``step`` x ``step`` pixels; large mapped images are sampled first, so that not all of them is read.
    """
    from sofia_viewers.image.display import reduce_block

    part = frame.image[region]
    skip = step // 2 if step >= 4 and _is_mapped(part) else 1
    if skip > 1:
        part = part[skip // 2 :: skip, skip // 2 :: skip]
        step = -(-step // skip)
    block = np.asarray(part, dtype=np.float32)
    return block if step == 1 else reduce_block(block, step)


def _open_mapped(path: Path) -> ImageFile:
    try:
        with path.open("rb") as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("error", message=".*truncated.*")
            with fits.open(stream, memmap=True, lazy_load_hdus=False) as hdus:
                planes = dict(_mapped_planes(hdus))
                header = hdus[0].header.copy()
    except (OSError, fits.VerifyError, ValueError, TypeError, KeyError, UserWarning) as error:
        raise InputError(f"{path} cannot be read: {_why_unreadable(path, error)}") from error
    return ImageFile(path.name, header, _required(planes, path.name), path=path)


def _why_unreadable(path: Path, error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "permission denied."
    with path.open("rb") as stream:
        if not stream.read(6).startswith(b"SIMPLE"):
            return "it is not a FITS file."
    return "it is truncated or damaged; fetch it again."


def _mapped_planes(hdus: fits.HDUList) -> Iterable[tuple[str, PlaneSource]]:
    taken: set[str] = set()
    for number, hdu in enumerate(hdus):
        if not hdu.is_image or hdu.header.get("NAXIS", 0) < 2 or 0 in hdu.shape:
            continue
        name = hdu.name or ("PRIMARY" if number == 0 else f"EXTENSION{number}")
        name = name if name not in taken else f"{name}#{number}"
        taken.add(name)
        unit = str(hdu.header.get("BUNIT", "")).strip()
        array = np.asarray(hdu.data).view()
        array.flags.writeable = False
        yield name, PlaneSource(name, array, hdu.header.copy(), unit, number)


def _required(planes: dict[str, PlaneSource], name: str) -> dict[str, PlaneSource]:
    if not planes:
        raise InputError(f"{name} holds no image; open it in the spectrum viewer, or choose another file.")
    return planes


def _is_mapped(array: NDArray[Any]) -> bool:
    base: Any = array
    while base is not None:
        if isinstance(base, np.memmap) or type(base).__name__ == "mmap":
            return True
        base = getattr(base, "base", None)
    return False


def _read_celestial_wcs(header: fits.Header) -> Any:
    from astropy.wcs import WCS

    if "CTYPE1" not in header and "CD1_1" not in header:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            wcs = WCS(_without_packed_axis(header))
            celestial = wcs.celestial
        except Exception:  # noqa: BLE001 - wcslib raises many kinds for headers it cannot use; the image still shows
            return None
    if not celestial.has_celestial or celestial.naxis != 2:
        return None
    celestial.pixel_shape = None
    return celestial if _is_invertible(celestial) else None


def _is_invertible(wcs: Any) -> bool:
    return bool(abs(np.linalg.det(wcs.pixel_scale_matrix)) > 0)


def _without_packed_axis(header: fits.Header) -> fits.Header:
    """Return a header whose third axis, if it only counts planes, does not disturb the celestial ones."""
    if header.get("NAXIS", 2) > 2 and not str(header.get("CTYPE3", "")).strip():
        copied = header.copy()
        copied["WCSAXES"] = 2
        return copied
    return header


def _read_slice_axis(frame: Frame) -> tuple[NDArray[np.float64], str] | None:
    header, n_slices = frame.plane.header, frame.plane.n_slices
    if n_slices == 1:
        return None
    known = frame.file.slice_axis
    if known is not None and len(known[0]) == n_slices:
        return known
    for name in ("WAVELENGTH", "WAVEPOS", "WAVE"):
        product_table = frame.file.tables.get(name)
        if product_table is not None and len(product_table.data) == n_slices:
            return np.asarray(product_table.data.field(0), dtype=float), "um"
    if "CRVAL3" not in header:
        return None
    step = float(header.get("CDELT3", header.get("CD3_3", math.nan)))
    values = float(header["CRVAL3"]) + (np.arange(n_slices, dtype=float) + 1 - float(header.get("CRPIX3", 1.0))) * step
    unit = str(header.get("CUNIT3", "")).strip()
    return (values * 1e6, "um") if unit == "m" else (values, unit)
