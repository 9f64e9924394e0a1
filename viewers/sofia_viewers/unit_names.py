"""Names of units: the spellings that occur in files, and how users read them."""

from __future__ import annotations

import re

__all__ = ["plain_unit", "show_unit"]

_POWER = re.compile(r"(?<=[A-Za-z)])-?\d+(?![\w.])")
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_NAMES = {
    "micron": "um", "microns": "um", "micrometer": "um", "angstrom": "Angstrom", "a": "Angstrom", "å": "Angstrom",
    "pixels": "pixel", "pix": "pixel", "cm^-1": "cm-1", "1/cm": "cm-1", "1 / cm": "cm-1", "cm**-1": "cm-1", "µm": "um",
    "μm": "um", "km / s": "km/s", "km s-1": "km/s", "none": "", "unknown": "", "w/m2/um": "W / (m2 um)",
    "degree": "deg", "me/sec": "Me/s",
}  # fmt: skip


def plain_unit(text: str) -> str:
    """Return the usual spelling of a unit as files have it: um for microns, cm-1 for 1/cm."""
    clean = text.strip()
    return _NAMES.get(clean.lower(), clean)


def show_unit(text: str) -> str:
    """Return a unit as users read it: μm, cm⁻¹, Å, W / (m² μm)."""
    clean = plain_unit(text)
    shown = _POWER.sub(lambda power: power[0].translate(_RAISED), clean)
    return re.sub(r"\bum\b", "μm", shown.replace("Angstrom", "Å"))
