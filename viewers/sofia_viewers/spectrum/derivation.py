"""Files made of others: smoothed, rebinned, combined.

Without continuum. They are made anew when their sources change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sofia_engine.errors import ParameterError
from sofia_viewers.spectrum.operations import combine, normalize, rebin, smooth, subtract_continuum
from sofia_viewers.spectrum.spectrum import Spectrum, SpectrumFile

__all__ = ["Derivation", "derive"]


@dataclass(frozen=True)
class Derivation:
    """How a file was made.

    Parameters
    ----------
    operation : str
        ``smooth``, ``rebin``, ``combine``, ``subtract`` or ``normalize``.
    sources : tuple of str
        Keys of the files it was made of.
    settings : tuple of (str, value)
        What the operation was told.
    """

    operation: str
    sources: tuple[str, ...]
    settings: tuple[tuple[str, Any], ...] = ()

    @property
    def values(self) -> dict[str, Any]:
        """The settings by name."""
        return dict(self.settings)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"operation": self.operation, "sources": list(self.sources), "settings": self.values}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Derivation:
        """Make it of what `to_json` gave."""
        settings = {name: _tuples(value) for name, value in plain["settings"].items()}
        return cls(str(plain["operation"]), tuple(plain["sources"]), tuple(settings.items()))


def _tuples(value: Any) -> Any:
    return tuple(_tuples(part) for part in value) if isinstance(value, list) else value


def derive(derivation: Derivation, files: Mapping[str, SpectrumFile], key: str) -> SpectrumFile:
    """Make a file of others.

    Raises
    ------
    ParameterError
        If a source is gone, or the operation cannot be done.
    """
    missing = [source for source in derivation.sources if source not in files]
    if missing:
        raise ParameterError(f"{missing[0]} is not loaded any more, so nothing can be made of it.")
    sources = [files[source] for source in derivation.sources]
    values = derivation.values
    if derivation.operation == "combine":
        spectra = _combine_files(sources[0], sources[1], values["operator"])
    else:
        function = _OPERATIONS.get(derivation.operation)
        if function is None:
            raise ParameterError(f"There is no operation '{derivation.operation}'.")
        spectra = tuple(function(spectrum, values) for spectrum in sources[0].spectra)
    name = _NAMES[derivation.operation]([source.name for source in sources], values)
    return SpectrumFile(key, name, spectra, sources[0].header, None, sources[0].pixel_area)


def _combine_files(first: SpectrumFile, second: SpectrumFile, operator: Any) -> tuple[Spectrum, ...]:
    """Combine each spectrum with the one of the same order and aperture, or with the only one."""
    partners = {(spectrum.order, spectrum.aperture): spectrum for spectrum in second.spectra}
    only = second.spectra[0] if len(second.spectra) == 1 else None
    made = []
    for spectrum in first.spectra:
        partner = partners.get((spectrum.order, spectrum.aperture), only)
        if partner is not None:
            made.append(combine(spectrum, partner, operator, first.pixel_area))
    if not made:
        raise ParameterError(f"{first.name} and {second.name} have no order and aperture in common.")
    return tuple(made)


_OPERATIONS: dict[str, Callable[[Spectrum, Mapping[str, Any]], Spectrum]] = {
    "smooth": lambda s, v: smooth(s, v["kind"], float(v["width"]), int(v.get("degree", 2))),
    "rebin": lambda s, v: rebin(s, int(v["factor"])),
    "subtract": lambda s, v: subtract_continuum(s, v.get("windows", ()), int(v.get("degree", 1))),
    "normalize": lambda s, v: normalize(s, v.get("windows", ()), int(v.get("degree", 1))),
}
_NAMES: dict[str, Callable[[list[str], Mapping[str, Any]], str]] = {
    "smooth": lambda names, v: f"{names[0]} ({v['kind']} {v['width']:g})",
    "rebin": lambda names, v: f"{names[0]} (÷{v['factor']})",
    "subtract": lambda names, _: f"{names[0]} − continuum",
    "normalize": lambda names, _: f"{names[0]} / continuum",
    "combine": lambda names, v: f"{names[0]} {v['operator']} {names[1]}",
}
