"""Spectra as values: one per order and aperture, gathered in files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FIELD_LABELS", "Spectrum", "SpectrumFile", "drop_endless", "error_field_of", "label_field"]

FloatArray = NDArray[np.float64]

FIELD_LABELS = {
    "wavepos": "Wavelength",
    "spectral_flux": "Spectral flux",
    "spectral_error": "Spectral error",
    "transmission": "Transmission",
    "response": "Response",
    "response_error": "Response error",
    "standard_model": "Standard model",
    "slitpos": "Slit position",
    "spatial_profile": "Spatial profile",
    "s/n": "S/N",
}
"""Names of fields as users read them; others are shown as they are stored."""

_ERRORS = {
    "spectral_flux": "spectral_error",
    "uncorrected_flux": "uncorrected_error",
    "flux": "error",
    "response": "response_error",
}


def label_field(name: str) -> str:
    """Return the name of a field as users read it."""
    return FIELD_LABELS.get(name, name.replace("_", " ").capitalize())


def error_field_of(name: str) -> str | None:
    """Return the field that holds the 1-sigma errors of another, or None."""
    return _ERRORS.get(name)


_LARGEST = 1e100
"""Greater numbers are no measurements: squares, sums and pixels of them overflow."""


def drop_endless(values: FloatArray) -> FloatArray:
    """Return numbers with NaN in place of infinite ones and of such beyond 1e100; the array itself if it has none."""
    if not values.size or np.fmax.reduce(abs(values), axis=None) <= _LARGEST or np.isnan(values).all():
        return values
    return np.where(abs(values) <= _LARGEST, values, np.nan)


def _freeze(array: Any) -> FloatArray:
    with np.errstate(invalid="ignore"):
        frozen = drop_endless(np.array(array, dtype=np.float64))
    frozen.flags.writeable = False
    return frozen


@dataclass(frozen=True, eq=False)
class Spectrum:
    """One order of one aperture.

    Parameters
    ----------
    fields : mapping of str to (n,) array
        Values by field name, all of the same length; NaN is bad, errors are 1-sigma. ``wavepos`` is the spectral axis.
        Infinite values, and such beyond 1e100, are kept as NaN.
    units : mapping of str to str
        Units by field name, as the file has them; absent or empty for none.
    order, aperture : int
        Numbers from 1.
    """

    fields: Mapping[str, FloatArray]
    units: Mapping[str, str] = field(default_factory=dict)
    order: int = 1
    aperture: int = 1

    def __post_init__(self) -> None:
        frozen = {name: _freeze(values) for name, values in self.fields.items()}
        object.__setattr__(self, "fields", MappingProxyType(frozen))
        object.__setattr__(self, "units", MappingProxyType(dict(self.units)))

    def __len__(self) -> int:
        return max((len(values) for values in self.fields.values()), default=0)

    def __contains__(self, name: str) -> bool:
        return name in self.fields

    def __getitem__(self, name: str) -> FloatArray:
        return self.fields[name]

    @property
    def wave(self) -> FloatArray | None:
        """Spectral axis."""
        return self.fields.get("wavepos")

    @property
    def flux(self) -> FloatArray | None:
        """Flux."""
        return self.fields.get("spectral_flux")

    @property
    def error(self) -> FloatArray | None:
        """Error of the flux, 1-sigma."""
        return self.fields.get("spectral_error")

    @property
    def transmission(self) -> FloatArray | None:
        """Transmission of the atmosphere."""
        return self.fields.get("transmission")

    @property
    def response(self) -> FloatArray | None:
        """Response of the instrument."""
        return self.fields.get("response")

    def unit(self, name: str) -> str:
        """Return the unit of a field; empty if it has none."""
        return self.units.get(name, "")

    def replace(self, units: Mapping[str, str] | None = None, **fields: Any) -> Spectrum:
        """Return a spectrum in which some fields (and units) are others."""
        return Spectrum({**self.fields, **fields}, {**self.units, **(units or {})}, self.order, self.aperture)


@dataclass(frozen=True, eq=False)
class SpectrumFile:
    """Spectra that belong together: a file, a product of the pipeline, or the result of an operation.

    Parameters
    ----------
    key : str
        Identity in a session: the path, or ``product:n``, or ``derived:n``.
    name : str
        What users read.
    spectra : tuple of Spectrum
        By order, then aperture.
    header : mapping
        FITS header or metadata.
    path : Path, optional
        Where it was read.
    pixel_area : float or None
        Solid angle of a pixel, arcsec2, if known: needed to convert fluxes per pixel.
    notes : tuple of str
        What a user should know about how it was read.
    """

    key: str
    name: str
    spectra: tuple[Spectrum, ...]
    header: Mapping[str, Any] = field(default_factory=dict, repr=False)
    path: Path | None = None
    pixel_area: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def orders(self) -> tuple[int, ...]:
        """Numbers of the orders, rising."""
        return tuple(sorted({spectrum.order for spectrum in self.spectra}))

    @property
    def apertures(self) -> tuple[int, ...]:
        """Numbers of the apertures, rising."""
        return tuple(sorted({spectrum.aperture for spectrum in self.spectra}))

    @property
    def groups(self) -> str:
        """What its spectra are told apart by: ``"Apertures"`` if there are several and one order, else ``"Orders"``."""
        return "Apertures" if len(self.apertures) > 1 and len(self.orders) == 1 else "Orders"

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields, in the order they first appear."""
        return tuple(dict.fromkeys(name for spectrum in self.spectra for name in spectrum.fields))

    def unit(self, name: str) -> str:
        """Return the unit of a field in the first spectrum that has it."""
        return next((spectrum.unit(name) for spectrum in self.spectra if name in spectrum), "")
