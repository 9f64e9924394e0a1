"""Axes of cubes in FITS files: their order, those of length one, and world coordinates of the spectral one."""

from __future__ import annotations

import math
import re
import warnings
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

__all__ = ["arrange_axes", "read_spectral_axis"]

FloatArray = NDArray[np.float64]

_SKY = re.compile(r"^(RA--|DEC-|.LON|.LAT|..LN|..LT)")
_ONE_AXIS = re.compile(r"^(CTYPE|CRVAL|CRPIX|CDELT|CUNIT|CROTA|CNAME|NAXIS)(\d)$")
_TWO_AXES = re.compile(r"^(CD|PC)(\d)_(\d)$")
_VALUES = re.compile(r"^(PV|PS)(\d)_(\d+)$")
_N_CUBE = 3


def arrange_axes(array: Any, header: fits.Header) -> tuple[Any, fits.Header]:
    """Bring the axes of a cube in the order spectral, y, x, without those of length one beside them.

    Parameters
    ----------
    array : ndarray
        Three axes or more.
    header : Header
        World coordinates of the axes; not changed.

    Returns
    -------
    (ndarray, Header)
        A view with three axes, and the header that belongs to it; the same objects if they are in order, or cannot be
        brought to three axes.
    """
    order = _find_order(array.shape[::-1], header)
    if order == list(range(1, _N_CUBE + 1)) and array.ndim == _N_CUBE:
        return array, header
    if order is None:
        return array, header
    dropped = tuple(array.ndim - axis for axis in range(1, array.ndim + 1) if axis not in order)
    kept = sorted(order)
    view = np.squeeze(array, axis=dropped)
    moved = view.transpose([len(kept) - 1 - kept.index(axis) for axis in reversed(order)])
    return moved, _renumber(header, {old: new for new, old in enumerate(order, start=1)})


def _find_order(lengths: tuple[int, ...], header: fits.Header) -> list[int] | None:
    """Return the numbers of the axes x, y and spectral; None if there are not three."""
    axes = range(1, len(lengths) + 1)
    kinds = {axis: str(header.get(f"CTYPE{axis}", "")).strip().upper() for axis in axes}
    sky = [axis for axis in axes if _SKY.match(kinds[axis])]
    if len(sky) != 2:  # without sky, the first two axes
        sky = [1, 2]
    others = [axis for axis in axes if axis not in sky]
    long = [axis for axis in others if lengths[axis - 1] > 1]
    if len(long) > 1:
        return None
    named = [axis for axis in others if kinds[axis] and kinds[axis] != "STOKES"]
    return [*sky, *(long or named or others)[:1]]


def _renumber(header: fits.Header, numbers: dict[int, int]) -> fits.Header:
    """Return a header whose axes have other numbers; cards of axes without a new one are left out."""
    made = header.copy()
    cards = [card for card in header.cards if _axes_of(card.keyword)]
    for card in cards:
        made.remove(card.keyword, ignore_missing=True, remove_all=True)
    for keyword, value, comment in cards:
        old = _axes_of(keyword)
        if all(axis in numbers for axis in old):
            made[_name_again(keyword, [numbers[axis] for axis in old])] = (value, comment)
    made["NAXIS"] = _N_CUBE
    if "WCSAXES" in made:
        made["WCSAXES"] = _N_CUBE
    return made


def _axes_of(keyword: str) -> tuple[int, ...]:
    one, two, value = _ONE_AXIS.match(keyword), _TWO_AXES.match(keyword), _VALUES.match(keyword)
    if two:
        return int(two[2]), int(two[3])
    found = one or value
    return (int(found[2]),) if found else ()


def _name_again(keyword: str, numbers: list[int]) -> str:
    value = _VALUES.match(keyword)
    if value:
        return f"{value[1]}{numbers[0]}_{value[3]}"
    return keyword.rstrip("0123456789_") + "_".join(map(str, numbers))


def read_spectral_axis(header: fits.Header, count: int) -> tuple[FloatArray, str] | None:
    """Compute the third world coordinate of the slices from a header.

    Returns
    -------
    (ndarray, str) or None
        (count,) values and their unit, as the header names it; None if the header does not say, or says nothing that
        can be computed.

    Notes
    -----
    Axes that are not linear (``VOPT-F2W``, ``WAVE-GRI``) are left to wcslib, see Greisen et al. 2006, A&A 446, 747.
    """
    kind, unit = str(header.get("CTYPE3", "")).strip().upper(), str(header.get("CUNIT3", "")).strip()
    if re.match(r"^[A-Z]{4}-(?!LOG|LSR|HEL|OBS|TAB)\w\w\w$", kind) or kind.startswith("FELO"):
        return _compute_with_wcs(header, count)
    step, start = _find_step(header), _as_number(header.get("CRVAL3"))
    if kind.endswith("-TAB") or not (math.isfinite(step) and step and math.isfinite(start)):
        return None
    offset = np.arange(count) + 1.0 - _as_number(header.get("CRPIX3"), 0.0)
    with np.errstate(all="ignore"):
        is_log = kind.endswith("-LOG") and start != 0
        values = np.asarray(start * np.exp(offset * step / start) if is_log else start + offset * step, dtype=float)
    if not np.isfinite(values).all():
        return None
    return values, unit or _guess_unit(kind, float(np.abs(values).max()))


def _find_step(header: fits.Header) -> float:
    if "CD3_3" in header and "PC3_3" not in header:
        return _as_number(header.get("CD3_3"))
    return _as_number(header.get("CDELT3")) * _as_number(header.get("PC3_3"), 1.0)


def _compute_with_wcs(header: fits.Header, count: int) -> tuple[FloatArray, str] | None:
    from astropy.wcs import WCS, WCSSUB_SPECTRAL

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            spectral = WCS(header).sub([WCSSUB_SPECTRAL])
            if spectral.naxis != 1:
                return None
            values = np.asarray(spectral.wcs_pix2world(np.arange(count, dtype=float), 0)[0], dtype=float)
            unit = str(spectral.wcs.cunit[0])
    except Exception:  # noqa: BLE001 - wcslib raises many kinds for headers it cannot use; slices are numbered then
        return None
    return (values, unit) if np.isfinite(values).all() else None


def _guess_unit(kind: str, largest: float) -> str:
    """Return the unit that the FITS standard prescribes, or that of SOFIA for plain ``WAVE`` in micrometres."""
    if kind.startswith(("FREQ",)):
        return "Hz"
    if kind.startswith(("VELO", "VRAD", "VOPT")):
        return "m/s"
    if kind.startswith(("WAVE", "AWAV", "LAMBDA")):
        return "m" if largest < 0.1 else "um"
    return ""


def _as_number(value: Any, default: float = math.nan) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return default
