"""Apertures and background regions as header keywords hold them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sofia_engine.errors import HeaderError
from sofia_engine.spectroscopy.apertures import Aperture

__all__ = ["read_apertures", "read_background_regions"]


def read_apertures(header: Mapping[str, Any], order: int = 1) -> tuple[Aperture, ...]:
    """Read the apertures of an order: APPOSOnn, APSGNOnn, APFWHMnn and, if set, APRADOnn, PSFRADnn.

    Parameters
    ----------
    header : mapping
        Each keyword holds numbers separated by commas, one per aperture, arcsec.
    order : int
        Number of the order.

    Raises
    ------
    HeaderError
        If a list is missing, has another length than the positions, or holds words.
    """
    positions = _read_numbers(header, f"APPOSO{order:02d}")
    count = len(positions)
    signs = _read_numbers(header, f"APSGNO{order:02d}", count)
    widths = _read_numbers(header, f"APFWHM{order:02d}", count)
    radii = _read_optional(header, f"APRADO{order:02d}", count)
    psf_radii = _read_optional(header, f"PSFRAD{order:02d}", count)
    return tuple(
        Aperture(position, 1 if sign > 0 else -1, width, radius, psf_radius)
        for position, sign, width, radius, psf_radius in zip(positions, signs, widths, radii, psf_radii, strict=True)
    )


def read_background_regions(header: Mapping[str, Any]) -> tuple[tuple[float, float], ...]:
    """Read the background regions of a header, BGR: ``start-stop`` pairs separated by commas; none if it is missing.

    Raises
    ------
    HeaderError
        If it has another form.
    """
    text = str(header.get("BGR") or "").strip()
    try:
        pairs = [tuple(float(number) for number in word.split("-")) for word in text.split(",") if word.strip()]
        return tuple((start, stop) for start, stop in pairs)
    except ValueError:
        raise HeaderError(f"{_name(header)}: BGR is '{text}', not start-stop pairs such as 0-1,8-10.") from None


def _read_numbers(header: Mapping[str, Any], keyword: str, count: int | None = None) -> list[float]:
    text = str(header.get(keyword, "")).strip()
    try:
        numbers = [float(word) for word in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or (count is not None and len(numbers) != count):
        wanted = "numbers separated by commas" if count is None else f"{count} numbers separated by commas"
        raise HeaderError(f"{_name(header)}: {keyword} is '{text}', not {wanted}; run Locate Apertures again.")
    return numbers


def _read_optional(header: Mapping[str, Any], keyword: str, count: int) -> list[float]:
    return _read_numbers(header, keyword, count) if keyword in header else [float("nan")] * count


def _name(header: Mapping[str, Any]) -> str:
    return str(header.get("FILENAME", "unnamed.fits"))
