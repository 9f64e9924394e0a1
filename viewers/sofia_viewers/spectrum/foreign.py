"""Files of other observatories, as specutils reads them; it is imported when the first such file is opened."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sofia_viewers.spectrum.cubes import take_sum_and_peak
from sofia_viewers.spectrum.spectrum import Spectrum, SpectrumFile

__all__ = ["read_foreign_file"]

_LOG = logging.getLogger(__name__)
_ASDF = b"#ASDF"
_SPECTRAL_UNITS = ("um", "nm", "Angstrom", "mm", "m", "Hz", "GHz", "THz", "cm-1", "1/m", "eV", "keV", "km/s", "m/s")
_SUMMED = "Cube: aperture 1 is the sum over the field, aperture 2 the brightest pixel."

Array = NDArray[np.float64]


def read_foreign_file(path: Path, key: str) -> SpectrumFile | None:
    """Read a file with specutils: every spectrum of a list is an order, every row of one an aperture.

    Parameters
    ----------
    path : Path
        Any file.
    key : str
        Identity of the file in a session.

    Returns
    -------
    SpectrumFile or None
        None if specutils is absent, does not know the file, or fails.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _read(path, key)
    except Exception as problem:  # noqa: BLE001 - its readers, and those of the user in ~/.specutils, raise anything
        _LOG.debug("specutils does not read %s: %s", path, problem)
        return None


def _read(path: Path, key: str) -> SpectrumFile | None:
    import specutils

    items = list(_find_in_asdf(path) if _begins_as_asdf(path) else specutils.SpectrumList.read(str(path)))
    spectra = tuple(spectrum for order, item in enumerate(items, start=1) for spectrum in _split(item, order))
    if not spectra:
        return None
    summed = any(item.flux.ndim > 2 for item in items)
    notes = (f"Read by specutils {specutils.__version__}.", *([_SUMMED] if summed else []))
    return SpectrumFile(key, path.name, spectra, _take_header(items), notes=notes)


def _begins_as_asdf(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(_ASDF)) == _ASDF


def _find_in_asdf(path: Path) -> list[Any]:
    """Return the spectra anywhere in the tree of an ASDF file, each once, with their arrays in memory."""
    import asdf
    from specutils import Spectrum as Foreign

    with asdf.open(path, lazy_load=False, memmap=False) as file:
        return list({id(node): node for node in file.search(type_=Foreign).nodes}.values())


def _split(item: Any, order: int) -> Iterator[Spectrum]:
    """Take the rows of a spectrum of specutils apart; of a cube the sum and the brightest pixel."""
    wave, unit = _take_axis(item.spectral_axis)
    flux_unit = item.flux.unit.to_string()
    units = {"wavepos": unit, "spectral_flux": flux_unit, "spectral_error": flux_unit}
    for aperture, fields in enumerate(_take_rows(item), start=1):
        yield Spectrum({"wavepos": wave, **fields}, units, order, aperture)


def _take_axis(axis: Any) -> tuple[Array, str]:
    """Return the spectral axis and the plain name of its unit: 0.1 nm is Angstrom."""
    from astropy import units as u

    plain = next((name for name in _SPECTRAL_UNITS if axis.unit == u.Unit(name)), axis.unit.to_string())
    return np.asarray(axis.value, dtype=float), plain


def _take_rows(item: Any) -> Iterable[dict[str, Array]]:
    along = getattr(item, "spectral_axis_index", None)
    along = item.flux.ndim - 1 if along is None else along
    flux = np.moveaxis(np.asarray(item.flux.value, dtype=float), along, -1)
    error, mask = _take_error(item), item.mask
    error = None if error is None else np.moveaxis(error, along, -1)
    mask = None if mask is None else np.moveaxis(np.broadcast_to(mask, item.flux.shape), along, -1)
    if flux.ndim > 2:
        return _take_field(flux, error, mask)
    planes = {"spectral_flux": flux, "spectral_error": error, "badmask": mask}
    known = {name: np.atleast_2d(plane) for name, plane in planes.items() if plane is not None}
    return ({name: plane[row] for name, plane in known.items()} for row in range(len(known["spectral_flux"])))


def _take_field(flux: Array, error: Array | None, mask: Any) -> Iterable[dict[str, Array]]:
    def stand_up(stack: Any) -> Array:
        good = np.asarray(stack, dtype=float) if mask is None else np.where(mask, np.nan, stack)
        return np.moveaxis(good.reshape(-1, *good.shape[-2:]), -1, 0)

    spread = np.full_like(flux, np.nan) if error is None else error
    return (
        {"spectral_flux": value, "spectral_error": sigma}
        for value, sigma in take_sum_and_peak(stand_up(flux), stand_up(spread))
    )


def _take_error(item: Any) -> Array | None:
    """Return 1-sigma errors, whatever kind of uncertainty there is; not a number where it is no positive one."""
    from astropy.nddata import StdDevUncertainty

    if item.uncertainty is None:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.asarray(item.uncertainty.represent_as(StdDevUncertainty).array, dtype=float)
    return np.where(np.isfinite(error), error, np.nan)


def _take_header(items: Iterable[Any]) -> dict[str, Any]:
    """Return the plain values in the metadata of the first spectrum: of its FITS header where it has one."""
    meta = dict(next(iter(items)).meta or {})
    found: dict[str, Any] = {}
    for part in (meta.get("primary_header"), meta.get("header"), meta):
        cards = dict(part) if part is not None else {}
        found |= {
            name: value
            for name, value in cards.items()
            if isinstance(value, str | bool | int | float) and name not in found
        }
    return found
