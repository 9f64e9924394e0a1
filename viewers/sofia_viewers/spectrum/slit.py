"""Spectra along a slit: rectified image, profile, traces, apertures and background regions of a product."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import HeaderError
from sofia_engine.product import Product
from sofia_engine.spectroscopy.aperture_keywords import read_apertures, read_background_regions
from sofia_viewers.spectrum.slit_sky import SlitOnSky, read_slit_sky

__all__ = [
    "ApertureMark", "Region", "SlitMarks", "SlitSpectrum", "place_columns", "read_slits", "shift_traces",
    "sum_apertures",
]  # fmt: skip

FloatArray = NDArray[np.float64]
Region = tuple[float, float]

_ORDER = re.compile(r"^SLITPOS(_ORDER_(?P<order>\d+))?$")
_DEFAULT_REACH = 3.0
"""Half width of an aperture without radii, rows."""


@dataclass(frozen=True)
class ApertureMark:
    """One aperture as it is drawn: slit position and half widths in the unit of the slit; NaN where not set yet."""

    position: float
    radius: float = math.nan
    psf_radius: float = math.nan
    sign: int = 1


@dataclass(frozen=True)
class SlitMarks:
    """Apertures in rising order, and background regions (start, stop)."""

    apertures: tuple[ApertureMark, ...] = ()
    background: tuple[Region, ...] = ()

    def with_aperture(self, number: int, **changes: float) -> SlitMarks:
        """Return the marks with one aperture (from 0) changed."""
        changed = [replace(a, **changes) if i == number else a for i, a in enumerate(self.apertures)]  # type: ignore[arg-type]
        return replace(self, apertures=tuple(changed))


@dataclass(frozen=True, eq=False)
class SlitSpectrum:
    """One order of a product on a grid of slit position and wavelength.

    Attributes
    ----------
    name : str
        Name of the product.
    order : int
        Number of the order; 1 where there is one only.
    image : (ns, nw) ndarray
        Rectified image, NaN is bad.
    wave, slit : (nw,), (ns,) ndarray
        Wavelengths and slit positions of pixel centres.
    profile : (ns,) ndarray
        Median spatial profile.
    traces : (n_ap, nw) ndarray
        Slit position of each aperture along the spectrum; no rows before they are traced.
    flux, error : (n_ap, nw) ndarray
        Extracted spectra; no rows before they are extracted.
    marks : SlitMarks
        Apertures and background regions of the header.
    units : dict of str to str
        Of ``image``, ``wave``, ``slit`` and ``flux``.
    sky : SlitOnSky or None
        Where the slit lies on the sky, if the header tells it.
    """

    name: str
    order: int
    image: FloatArray
    wave: FloatArray
    slit: FloatArray
    profile: FloatArray
    traces: FloatArray
    flux: FloatArray
    error: FloatArray
    marks: SlitMarks = SlitMarks()
    units: dict[str, str] = field(default_factory=dict)
    sky: SlitOnSky | None = None

    @property
    def row_step(self) -> float:
        """Mean distance of rows."""
        return float(np.ptp(self.slit)) / max(len(self.slit) - 1, 1) or 1.0


def read_slits(product: Product) -> tuple[SlitSpectrum, ...]:
    """Take the slit spectra out of a product, one per order.

    Parameters
    ----------
    product : Product
        Any; the planes SLITPOS, SPATIAL_PROFILE, WAVEPOS and FLUX (with ``_ORDER_nn`` where there are several orders)
        make a slit spectrum, APERTURE_TRACE, SPECTRAL_FLUX and SPECTRAL_ERROR and the aperture keywords add to it.

    Returns
    -------
    tuple of SlitSpectrum
        Empty if it has none.
    """
    found = []
    for plane in product.planes:
        match = _ORDER.match(plane)
        if match is not None:
            slit = _read_order(product, match[1] or "", int(match["order"] or 1))
            found += [slit] if slit is not None else []
    return tuple(sorted(found, key=lambda slit: slit.order))


def _read_order(product: Product, suffix: str, order: int) -> SlitSpectrum | None:
    needed = [f"{name}{suffix}" for name in ("FLUX", "WAVEPOS", "SLITPOS", "SPATIAL_PROFILE")]
    if any(name not in product.planes for name in needed):
        return None
    image, wave, slit, profile = (_as_floats(product[name]) for name in needed)
    if image.shape != (slit.size, wave.size) or profile.shape != slit.shape or min(image.shape) < 2:
        return None
    empty = np.empty((0, wave.size))

    def rows(name: str) -> FloatArray:
        data = _as_floats(product[name + suffix]) if name + suffix in product.planes else empty
        data = data[np.newaxis] if data.ndim == 1 else data
        return data if data.shape[-1] == wave.size else empty

    names = {"image": "FLUX", "wave": "WAVEPOS", "slit": "SLITPOS", "flux": "SPECTRAL_FLUX"}
    units = {k: product.plane(n + suffix).unit for k, n in names.items() if n + suffix in product.planes}
    return SlitSpectrum(
        product.name, order, image, wave, slit, profile, rows("APERTURE_TRACE"), rows("SPECTRAL_FLUX"),
        rows("SPECTRAL_ERROR"), _read_marks(product, order), units, read_slit_sky(product.header),
    )  # fmt: skip


def _as_floats(data: NDArray[np.generic]) -> FloatArray:
    return np.asarray(data, dtype=np.float64)


def _read_marks(product: Product, order: int) -> SlitMarks:
    header = product.header
    try:
        apertures = read_apertures(header, order)
    except HeaderError:
        return SlitMarks()  # not located yet
    regions = header.get("BGR") or header.get(f"BGR_O{order:02d}") or ""
    try:
        background = read_background_regions({"BGR": regions})
    except HeaderError:
        background = ()
    marks = (ApertureMark(a.position, a.radius, a.psf_radius, a.sign) for a in apertures)
    return SlitMarks(tuple(sorted(marks, key=lambda mark: mark.position)), background)


def shift_traces(slit: SlitSpectrum, marks: SlitMarks) -> FloatArray:
    """Return where apertures run along the spectrum: measured traces moved with them, straight lines without.

    Returns
    -------
    (n_ap, nw) ndarray
        Slit positions.
    """
    positions = np.array([mark.position for mark in marks.apertures])
    straight = np.repeat(positions[:, np.newaxis], slit.wave.size, axis=1)
    measured = np.array([mark.position for mark in slit.marks.apertures])
    if len(slit.traces) != len(positions) or len(measured) != len(positions):
        return straight
    return np.asarray(slit.traces + (positions - measured)[:, np.newaxis])


def sum_apertures(slit: SlitSpectrum, marks: SlitMarks) -> FloatArray:
    """Return the plain sum of the rows in each aperture, less the median of the background regions of each column.

    A quick look at what apertures would give; steps weight, fit and reject.

    Returns
    -------
    (n_ap, nw) ndarray
        Unit of the image; rows at the edges count by the share of them inside; NaN where no pixel is good.
    """
    image = slit.image - _background_of(slit, marks)
    step = slit.row_step
    sums = np.empty((len(marks.apertures), slit.wave.size))
    for number, (mark, trace) in enumerate(zip(marks.apertures, shift_traces(slit, marks), strict=True)):
        reach = next((r for r in (mark.psf_radius, mark.radius) if math.isfinite(r)), _DEFAULT_REACH * step)
        inside = (reach - np.abs(slit.slit[:, np.newaxis] - trace)) / step + 0.5
        weights = np.where(np.isfinite(image), np.clip(inside, 0.0, 1.0), 0.0)
        total = np.nansum(weights * np.nan_to_num(image), axis=0)
        sums[number] = np.where(weights.any(axis=0), mark.sign * total, np.nan)
    return sums


def _background_of(slit: SlitSpectrum, marks: SlitMarks) -> FloatArray:
    inside = np.zeros(slit.slit.size, dtype=bool)
    for start, stop in marks.background:
        inside |= (slit.slit >= start) & (slit.slit <= stop)
    rows = slit.image[inside]
    known = np.isfinite(rows).any(axis=0)
    level = np.zeros(slit.wave.size)
    if known.any():
        level[known] = np.nanmedian(rows[:, known], axis=0)
    return level


def place_columns(wave: FloatArray) -> tuple[NDArray[np.intp], float, float]:
    """Return which column is drawn where, if an image shall have equal steps of wavelength from left to right.

    Returns
    -------
    columns : (nw,) ndarray of int
        For each drawn column the nearest of the image.
    left, right : float
        Outer edges of the drawn image.
    """
    known = np.flatnonzero(np.isfinite(wave))
    order = known[np.argsort(wave[known], kind="stable")]
    low, high = float(wave[order[0]]), float(wave[order[-1]])
    even = np.linspace(low, high, wave.size)
    right = np.clip(np.searchsorted(wave[order], even), 1, max(len(order) - 1, 1))
    left = right - 1
    nearer = np.where(even - wave[order][left] <= wave[order][right] - even, left, right)
    half = 0.5 * (high - low) / max(wave.size - 1, 1)
    return order[nearer], low - half, high + half
