"""Cubes as values: planes of one shape, a spectral axis, coordinates on the sky; how they are opened."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from sofia_engine.errors import InputError
from sofia_engine.product import Product
from sofia_viewers.cube.axes import arrange_axes, read_spectral_axis
from sofia_viewers.cube.samples import Samples
from sofia_viewers.image.frame import SIGNAL_TO_NOISE, Frame, ImageFile, PlaneSource

__all__ = ["Cube", "Curve", "make_cube", "open_cube"]

FloatArray = NDArray[np.float64]

_WAVE_NAMES = ("WAVELENGTH", "WAVEPOS", "WAVE", "LAMBDA")
_ERRORS = {
    "FLUX": ("ERROR", "STDDEV"), "UNCORRECTED_FLUX": ("UNCORRECTED_ERROR", "UNCORRECTED_STDDEV"),
    "SCI": ("ERR",), "DATA": ("STAT_ERROR", "ERROR"),
}  # fmt: skip
_BEGINNING, _PACKED = b"SIMPLE", b"\x1f\x8b"
_DAMAGE = (
    OSError, fits.VerifyError, ValueError, TypeError, KeyError, AttributeError, IndexError, ArithmeticError,
    UserWarning,
)  # fmt: skip
"""What reading a file may raise whose headers are damaged."""
_LIGHT = 299792.458
_LONGEST_METRES = 0.01
_MOST_REDSHIFT = 0.1
_MOST_SHIFT = 1e-3
"""Shifts of wavelengths beyond this, 300 km/s, are no motion of the Earth."""


@dataclass(frozen=True, eq=False)
class Curve:
    """Values along the spectral axis, one for each slice, and their unit."""

    values: FloatArray
    unit: str = ""


@dataclass(frozen=True, eq=False)
class Cube:
    """One cube.

    Parameters
    ----------
    key : str
        Identity in a session: the path, ``product:n`` or ``derived:n``.
    name : str
        What users read.
    header : Header
        Primary header.
    planes : mapping of str to PlaneSource
        Cubes of one shape (n_wave, n_y, n_x), the flux first; their arrays are `Samples`.
    wave : (n_wave,) ndarray
        Centres of the slices; rising or falling.
    wave_unit : str
        ``um`` for all wavelengths and frequencies, ``km/s`` for velocities, else that of the file; ``pixel`` if the
        file does not say.
    curves : mapping of str to Curve
        TRANSMISSION, RESPONSE and the like.
    path : Path, optional
        Where it was read.
    """

    key: str
    name: str
    header: fits.Header = field(repr=False)
    planes: Mapping[str, PlaneSource]
    wave: FloatArray = field(repr=False)
    wave_unit: str = "um"
    curves: Mapping[str, Curve] = field(default_factory=dict)
    path: Path | None = None

    @property
    def flux(self) -> PlaneSource:
        """The first plane."""
        return next(iter(self.planes.values()))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Wavelengths, rows and columns."""
        return self.samples().shape

    @property
    def wcs(self) -> Any:
        """Celestial coordinates of a slice, or None."""
        return self.flux.celestial_wcs

    @property
    def observed_wave(self) -> FloatArray:
        """Wavelengths at which the slices were observed, without the shift to the barycentre (BARYSHFT)."""
        shift = _as_number(self.header.get("BARYSHFT"), 0.0)
        return self.wave / (1.0 + shift) if self.wave_unit == "um" and abs(shift) < _MOST_SHIFT else self.wave

    @cached_property
    def transmission(self) -> FloatArray | None:
        """Transmission (n_wave,) that each slice was observed through; None if the cube has none.

        The extension TRANSMISSION is a model of the air at rest, listed for the wavelengths of the slices. Where these
        were shifted to the barycentre, the lines of the air are shifted with them.
        """
        curve = self.curves.get("TRANSMISSION")
        if curve is None:
            return None
        order = np.argsort(self.wave)
        values = np.asarray(curve.values, dtype=float)[order]
        return np.asarray(np.interp(self.observed_wave, self.wave[order], values))

    @cached_property
    def file(self) -> ImageFile:
        """The planes as the image viewer takes them, with the signal-to-noise ratio if there are errors."""
        from sofia_viewers.cube.derived import divide_planes

        planes, error = dict(self.planes), self.error_of()
        if error is not None and SIGNAL_TO_NOISE not in planes:
            ratio: Any = divide_planes(self, error)
            planes[SIGNAL_TO_NOISE] = PlaneSource(SIGNAL_TO_NOISE, ratio, self.flux.header, "", -1)
        return ImageFile(self.name, self.header, planes, {}, self.path, (self.wave, self.wave_unit))

    @property
    def beam_pixels(self) -> float:
        """Pixels in the area of the beam (1.133 FWHM², from BMAJ and BMIN); 1 if it is not known or smaller."""
        axes = [_as_number(self.flux.header.get(key, self.header.get(key))) for key in ("BMAJ", "BMIN")]
        scale = self.pixel_scale / 3600.0
        area = math.pi / (4.0 * math.log(2.0)) * axes[0] * axes[1] / scale**2
        return max(area, 1.0) if math.isfinite(area) else 1.0

    @cached_property
    def pixel_scale(self) -> float:
        """Mean side of a pixel, arcsec; 1 without coordinates on the sky."""
        return Frame(self.file, self.flux).pixel_scale

    def samples(self, plane: str = "") -> Samples:
        """Return the numbers of a plane; of the first if none is named."""
        source = self.planes[plane] if plane else self.flux
        samples: Samples = source.array  # type: ignore[assignment]
        return samples

    def error_of(self, plane: str = "") -> str | None:
        """Return the name of the plane with the 1-sigma errors of a plane, or None."""
        name = plane or self.flux.name
        candidates = (*_ERRORS.get(name.upper(), ()), f"{name}_ERROR", *(() if plane else ("ERROR", "STDDEV", "ERR")))
        return next((found for found in candidates if found in self.planes and found != name), None)

    def frame(self, plane: str = "", slice_number: int | None = None) -> Frame:
        """Return a slice as the image viewer shows it; the middle one if none is named."""
        source = self.planes[plane] if plane else self.flux
        return Frame(self.file, source, self.shape[0] // 2 if slice_number is None else slice_number)

    def find_slice(self, wave: float) -> int:
        """Return the slice nearest to a wavelength."""
        return int(np.nanargmin(np.abs(self.wave - wave)))

    @property
    def limits(self) -> tuple[float, float]:
        """The shortest and the longest wavelength."""
        return float(np.nanmin(self.wave)), float(np.nanmax(self.wave))

    @property
    def rest(self) -> float | None:
        """Rest wavelength of the line, μm, by the header: RESTWAV in metres or, as SOFIA has it, in micrometres."""
        for source in (self.flux.header, self.header):
            value = _as_number(source.get("RESTWAV"))
            value = value * 1e6 if value < _LONGEST_METRES else value
            if not value > 0:
                frequency = _as_number(source.get("RESTFRQ", source.get("RESTFREQ")))
                value = _LIGHT * 1e9 / frequency if frequency > 0 else value
            if value > 0 and self.is_near(value):
                return value
        return None

    def is_near(self, wave: float) -> bool:
        """Tell whether a wavelength (μm) lies within the cube, or so close that a redshift may be between."""
        low, high = self.limits
        return self.wave_unit == "um" and low * (1.0 - _MOST_REDSHIFT) <= wave <= high * (1.0 + _MOST_REDSHIFT)

    def covers(self, wave: float) -> bool:
        """Tell whether a wavelength lies within the cube, or half a slice beyond."""
        low, high = float(np.nanmin(self.wave)), float(np.nanmax(self.wave))
        margin = 0.5 * (high - low) / max(len(self.wave) - 1, 1)
        return low - margin <= wave <= high + margin

    def find_slices(self, low: float, high: float) -> slice:
        """Return the slices between two wavelengths; empty if there is none."""
        inside = np.flatnonzero((self.wave >= min(low, high)) & (self.wave <= max(low, high)))
        return slice(int(inside[0]), int(inside[-1]) + 1) if inside.size else slice(0, 0)

    def release(self) -> None:
        """Give the pages of mapped planes back to the system."""
        for name in self.planes:
            self.samples(name).release()


def open_cube(path: str | Path) -> Cube:
    """Open a FITS file with a cube: nothing but headers and one-dimensional planes is read.

    Compressed files (``.gz``, ``.fz``) cannot be mapped and are read whole.

    Parameters
    ----------
    path : path
        Cubes of FIFI-LS and other instruments of SOFIA, and any FITS file with three axes of which two are on the sky.

    Raises
    ------
    InputError
        If it cannot be read or holds no cube; says why.
    """
    target = Path(path)
    if target.suffix.lower() in (".gz", ".fz") or _is_packed(target):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return make_cube(Product.read(target, layout="extensions"), str(target.resolve()), target.name, target)
    try:
        with target.open("rb") as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("error", message=".*truncated.*")
            with fits.open(stream, memmap=True, lazy_load_hdus=False) as hdus:
                parts = [_map_hdu(hdu, number, target) for number, hdu in enumerate(hdus)]
                header = hdus[0].header.copy()
    except FileNotFoundError:
        raise InputError(f"{target} does not exist.") from None
    except _DAMAGE as error:
        raise InputError(f"{target} cannot be read: {_explain(target, error)}") from error
    return _assemble(str(target.resolve()), target.name, header, [part for part in parts if part], target)


def _is_packed(path: Path) -> bool:
    """Tell whether a file is compressed, whatever its name says."""
    try:
        with path.open("rb") as stream:
            return stream.read(len(_PACKED)) == _PACKED
    except OSError:
        return False


def make_cube(product: Product, key: str, name: str = "", path: Path | None = None) -> Cube:
    """Make a cube of a product; nothing is copied.

    Raises
    ------
    InputError
        If the product holds no cube.
    """
    parts: list[_Part] = []
    for number, (plane_name, plane) in enumerate(product.planes.items()):
        data, header = plane.data, product.header if plane.inherits_wcs else plane.cards
        if data.ndim >= 3 and data.size:
            data, header = arrange_axes(data, header)
        parts.append(_Part(plane_name, data, header, plane.unit, number))
    for table_name, table in product.tables.items():
        if table_name.upper() in _WAVE_NAMES:
            values = np.asarray(table.data.field(0), dtype=float).ravel()
            parts.append(_Part(table_name, values, fits.Header(), "um"))
    return _assemble(key, name or product.name, product.header.copy(), parts, path)


@dataclass(frozen=True, eq=False)
class _Part:
    """An array of a file with what its header says."""

    name: str
    array: Any
    header: fits.Header
    unit: str
    number: int = -1


def _map_hdu(hdu: Any, number: int, path: Path) -> _Part | None:
    """Map the array of an HDU; None if it has none that a cube needs."""
    if isinstance(hdu, fits.BinTableHDU) and hdu.name.upper() in _WAVE_NAMES:
        values = np.asarray(hdu.data.field(0), dtype=float).ravel()
        return _Part(hdu.name, values, hdu.header.copy(), str(hdu.columns[0].unit or "um"))
    if isinstance(hdu, fits.CompImageHDU):
        header = hdu.header.copy()
        return _Part(hdu.name, *arrange_axes(hdu.data, header), str(header.get("BUNIT", "")).strip(), number)
    if not hdu.is_image or not hdu.header.get("NAXIS", 0) or 0 in hdu.shape:
        return None
    start, shape = hdu.fileinfo()["datLoc"], tuple(int(length) for length in hdu.shape)
    dtype = np.dtype(fits.BITPIX2DTYPE[hdu.header["BITPIX"]])
    if start + dtype.itemsize * math.prod(shape) > path.stat().st_size:
        raise ValueError("truncated")
    header, raw = hdu.header.copy(), np.memmap(path, dtype.newbyteorder(">"), "r", start, shape)
    if raw.ndim >= 3:
        raw, header = arrange_axes(raw, header)
    unit = str(header.get("BUNIT", "")).strip()
    scaling = (float(header.get("BSCALE", 1.0)), float(header.get("BZERO", 0.0)), header.get("BLANK"))
    array: Any = raw
    if scaling != (1.0, 0.0, None):
        array = Samples(raw, *scaling) if raw.ndim == 3 else raw * scaling[0] + scaling[1]
    return _Part(hdu.name or "PRIMARY", array, header, unit, number)


def _assemble(key: str, name: str, header: fits.Header, parts: Iterable[_Part], path: Path | None) -> Cube:
    planes: dict[str, PlaneSource] = {}
    curves: dict[str, Curve] = {}
    known = [(part, _as_samples(part.array)) for part in parts]
    shapes = [samples.shape for _, samples in known if samples is not None]
    shape = next((each for each in shapes if each[0] > 1), shapes[0] if shapes else (0, 0, 0))
    for part, samples in known:
        if samples is not None and samples.shape == shape:
            title = part.name if part.name not in planes else f"{part.name}#{len(planes)}"
            planes[title] = PlaneSource(title, samples, part.header, part.unit, part.number)  # type: ignore[arg-type]
        elif samples is None and np.ndim(part.array) == 1:
            curves[part.name.upper()] = Curve(np.asarray(part.array, dtype=float), part.unit)
    if not planes:
        raise InputError(
            f"{name} holds no cube (an array with three axes): open it with sofia-desk image or sofia-desk spectrum."
        )
    wave, unit = _find_axis(next(iter(planes.values())).header, header, curves, shape[0])
    fitting = {label: curve for label, curve in curves.items() if len(curve.values) == shape[0]}
    kept = {label: curve for label, curve in fitting.items() if label not in _WAVE_NAMES}
    return Cube(key, name, header, planes, wave, unit, kept, path)


def _as_samples(array: Any) -> Samples | None:
    if isinstance(array, Samples):
        return array
    return Samples(array) if array.ndim == 3 and array.size else None


# -- spectral axis ---------------------------------------------------------------------------------------------------


def _find_axis(
    header: fits.Header, primary: fits.Header, curves: Mapping[str, Curve], count: int
) -> tuple[FloatArray, str]:
    for name in _WAVE_NAMES:
        curve = curves.get(name)
        if curve is not None and len(curve.values) == count and np.isfinite(curve.values).all():
            return _as_wavelengths(curve.values, curve.unit or "um", primary)
    for source in (header, primary):
        found = read_spectral_axis(source, count)
        if found is None:
            continue
        wave, unit = _as_wavelengths(*found, source)
        if unit == "um" and str(source.get("CTYPE3", "")).strip().upper().startswith("AWAV"):
            wave = _in_vacuum(wave)
        if np.isfinite(wave).all() and (unit != "um" or (wave > 0).all()):
            return wave, unit
    return np.arange(count, dtype=float), "pixel"


def _in_vacuum(wave: FloatArray) -> FloatArray:
    """Return vacuum wavelengths, μm, of those in standard air (Edlen 1953; Morton 1991, ApJS 77, 119)."""
    vacuum = wave
    for _ in range(3):  # the index is given for vacuum wavelengths
        waves = 1.0 / vacuum**2
        vacuum = wave * (1.0 + 1e-6 * (64.328 + 29498.1 / (146.0 - waves) + 255.4 / (41.0 - waves)))
    return np.asarray(vacuum)


def _as_wavelengths(values: FloatArray, unit: str, header: Mapping[str, Any]) -> tuple[FloatArray, str]:
    """Return wavelengths and frequencies in μm, velocities in μm if the rest wavelength is known, else km/s."""
    from astropy import units as u

    plain = {"micron": "um", "microns": "um", "μm": "um", "µm": "um", "": "pixel", "Angstrom": "AA"}.get(unit, unit)
    if plain in ("um", "pixel"):
        return np.asarray(values, dtype=float), plain
    try:
        quantity = np.asarray(values, dtype=float) * u.Unit(plain)
        if quantity.unit.is_equivalent(u.m / u.s):
            return _wave_of_velocity(quantity.to_value(u.km / u.s), header)
        with np.errstate(divide="ignore"):
            return quantity.to_value(u.um, u.spectral()), "um"
    except (ValueError, TypeError, u.UnitConversionError):
        return np.asarray(values, dtype=float), plain


def _wave_of_velocity(velocity: FloatArray, header: Mapping[str, Any]) -> tuple[FloatArray, str]:
    light = _LIGHT
    frequency = _as_number(header.get("RESTFRQ", header.get("RESTFREQ")))
    rest = light * 1e9 / frequency if frequency > 0 else _as_number(header.get("RESTWAV")) * 1e6
    if not (rest > 0 and math.isfinite(rest)):
        return velocity, "km/s"
    kind = str(header.get("CTYPE3", "")).strip().upper()
    with np.errstate(all="ignore"):
        if kind.startswith("VOPT"):
            return rest * (1.0 + velocity / light), "um"
        if kind == "VELO":  # relativistic; those of other ends (VELO-LSR) are older, and radio
            return rest * np.sqrt((1.0 + velocity / light) / (1.0 - velocity / light)), "um"
        return rest / (1.0 - velocity / light), "um"


def _as_number(value: Any, default: float = math.nan) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return default


def _explain(path: Path, error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "permission denied."
    try:
        with path.open("rb") as stream:
            if stream.read(len(_BEGINNING)) != _BEGINNING:
                return "it is not a FITS file."
    except OSError as problem:
        return f"{problem.strerror or problem}."
    return "it is truncated or damaged; fetch it again."
