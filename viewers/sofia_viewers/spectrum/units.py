"""Units of spectral axes and fluxes: which can be chosen, and conversion between them.

Conversions are those of astropy, with two more: fluxes per wavenumber (the unit of EXES), and fluxes per pixel where
the solid angle of a pixel is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import ParameterError
from sofia_viewers.unit_names import plain_unit

__all__ = [
    "FLUX_UNITS",
    "WAVE_UNITS",
    "WaveAxis",
    "can_convert_flux",
    "can_convert_wave",
    "convert_range",
    "convert_wave",
    "find_flux_factor",
    "list_flux_units",
    "list_wave_units",
    "parse_unit",
]

FloatArray = NDArray[np.float64]
Convention = Literal["optical", "radio", "relativistic"]

PIXEL = "pixel"
VELOCITY = "km/s"
WAVE_UNITS = ("um", "nm", "Angstrom", "cm-1", "GHz", "THz", "eV", VELOCITY, PIXEL)
FLUX_UNITS = (
    "Jy", "mJy", "W / m2", "W / (m2 Hz)", "W / (m2 um)", "erg / (s cm2)", "erg / (s cm2 Angstrom)",
    "erg / (s cm2 Hz)", "Jy / pixel", "Jy / arcsec2", "MJy / sr", "W / (m2 sr um)", "erg / (s cm2 sr cm-1)", "K",
)  # fmt: skip
POSITION_UNITS = ("arcsec", "arcmin", "deg", PIXEL)

_LIGHT_SPEED = 299792.458
_LIGHT_CM = 2.99792458e10


@lru_cache(maxsize=256)
def parse_unit(text: str) -> Any:
    """Return the astropy unit of a text, or None if there is none of that name.

    Parameters
    ----------
    text : str
        As in headers, with the spellings that occur there: ``Me/s`` (mega-electrons), ``erg s-1 cm-2 sr-1 (cm-1)-1``.
    """
    from astropy import units as u

    clean = plain_unit(text)
    if not clean:
        return u.dimensionless_unscaled
    own = {"Me": u.def_unit("Me", 1e6 * u.electron), "adu": u.adu, "ct": u.ct}
    for spelling in (clean, clean.replace("(cm-1)-1", "cm"), clean.replace("(cm2 s sr cm-1)", "(cm s sr)")):
        with u.add_enabled_units([own["Me"]]):
            parsed = _try_unit(spelling)
        if parsed is not None:
            return parsed
    return None


def _try_unit(text: str) -> Any:
    import warnings

    from astropy import units as u

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for form in ("generic", "fits"):
            try:
                return u.Unit(text, format=form)
            except (ValueError, TypeError):
                continue
    return None


@dataclass(frozen=True)
class WaveAxis:
    """How a spectral axis is shown.

    Parameters
    ----------
    unit : str
        One of `WAVE_UNITS`, or the native unit.
    rest : float or None
        Wavelength of the line that velocities refer to, micrometres.
    convention : {"optical", "radio", "relativistic"}
        What velocity means: c (λ - λ0)/λ0, c (ν0 - ν)/ν0, or the relativistic Doppler formula.
    """

    unit: str
    rest: float | None = None
    convention: Convention = "optical"


def list_wave_units(native: str) -> tuple[str, ...]:
    """Return the units an axis can be shown in: wavelengths and the like, or angles; only its own if it is neither."""
    own = plain_unit(native)
    if own in (PIXEL, ""):
        return (PIXEL,)
    if own in POSITION_UNITS:
        return (own, *(unit for unit in POSITION_UNITS if unit != own))
    if not _is_spectral(own):
        return (own, PIXEL)
    return WAVE_UNITS if own in WAVE_UNITS else (own, *WAVE_UNITS)


def can_convert_wave(native: str, unit: str) -> bool:
    """Tell whether a spectral axis can be shown in a unit."""
    return plain_unit(unit) in list_wave_units(native)


def convert_wave(values: FloatArray, native: str, axis: WaveAxis) -> FloatArray:
    """Convert a spectral axis.

    Parameters
    ----------
    values : (n,) ndarray
        In the native unit; NaN stays NaN.
    native : str
        Unit of the values.
    axis : WaveAxis
        Unit wanted; ``pixel`` gives the index from 0.

    Returns
    -------
    (n,) ndarray
        Values in that unit.

    Raises
    ------
    ParameterError
        If the units are incompatible, or a velocity is asked for without a line.
    """
    own, wanted = plain_unit(native), plain_unit(axis.unit)
    if wanted == PIXEL:
        return np.arange(len(values), dtype=float)
    if wanted == own:
        return np.array(values, dtype=float)
    if not can_convert_wave(own, wanted):
        raise ParameterError(f"A spectral axis in {native or 'no unit'} cannot be shown in {axis.unit}.")
    if own == VELOCITY or wanted == VELOCITY:
        return _convert_velocity(values, own, axis)
    return _convert_spectral(values, own, wanted)


def convert_range(limits: tuple[float, float], old: WaveAxis, new: WaveAxis) -> tuple[float, float] | None:
    """Return a range of x as another axis shows it, lower end first; None where it cannot be shown there."""
    if old == new or (old.unit == new.unit and new.unit != VELOCITY):
        return limits
    if PIXEL in (old.unit, new.unit) or "" in (old.unit, new.unit):
        return None
    ends = np.array(limits, dtype=float)
    try:
        if old.unit == VELOCITY:
            ends, old = convert_wave(ends, VELOCITY, WaveAxis("um", old.rest, old.convention)), WaveAxis("um")
        low, high = sorted(float(end) for end in convert_wave(ends, old.unit, new))
    except ParameterError:
        return None
    return (low, high) if np.isfinite(low + high) else None


def _convert_spectral(values: FloatArray, own: str, wanted: str) -> FloatArray:
    from astropy import units as u

    with np.errstate(all="ignore"):
        converted = (values * parse_unit(own)).to_value(parse_unit(wanted), u.spectral())
    return np.where(np.isfinite(converted), converted, np.nan)


def _convert_velocity(values: FloatArray, own: str, axis: WaveAxis) -> FloatArray:
    if axis.rest is None or not axis.rest > 0:
        raise ParameterError("Velocities need a rest wavelength: choose a line, or type its wavelength in μm.")
    if own == VELOCITY:
        return _convert_spectral(_wave_of_velocity(values, axis), "um", plain_unit(axis.unit))
    return np.asarray(velocity_of_wave(_convert_spectral(values, own, "um"), axis.rest, axis.convention))


def velocity_of_wave(wave: Any, rest: float, convention: Convention = "optical") -> Any:
    """Return velocities, km/s, of wavelengths about a rest wavelength (same unit); NaN where there is none."""
    with np.errstate(all="ignore"):
        ratio = np.asarray(wave, dtype=float) / rest
        if convention == "optical":
            velocity = _LIGHT_SPEED * (ratio - 1.0)
        elif convention == "radio":
            velocity = _LIGHT_SPEED * (1.0 - 1.0 / ratio)
        else:
            velocity = _LIGHT_SPEED * (ratio**2 - 1.0) / (ratio**2 + 1.0)
    return np.where(np.isfinite(velocity), velocity, np.nan)


def _wave_of_velocity(velocity: FloatArray, axis: WaveAxis) -> FloatArray:
    """Return wavelengths, in the unit of the rest wavelength; NaN where no light has that velocity."""
    beta = np.asarray(velocity) / _LIGHT_SPEED
    rest = axis.rest or np.nan
    with np.errstate(all="ignore"):
        if axis.convention == "optical":
            wave = rest * (1.0 + beta)
        elif axis.convention == "radio":
            wave = rest / (1.0 - beta)
        else:
            wave = rest * np.sqrt((1.0 + beta) / (1.0 - beta))
        return np.where(np.isfinite(wave) & (wave > 0), wave, np.nan)


def list_flux_units(native: str, pixel_area: float | None = None) -> tuple[str, ...]:
    """Return the units a quantity can be shown in, its own first.

    Parameters
    ----------
    native : str
        Unit of the file.
    pixel_area : float, optional
        Solid angle of a pixel, arcsec2.
    """
    own = native.strip()
    usual = tuple(unit for unit in (*FLUX_UNITS, *POSITION_UNITS[:-1]) if can_convert_flux(own, unit, pixel_area))
    return (own, *(unit for unit in usual if parse_unit(unit) != parse_unit(own)))


@lru_cache(maxsize=1024)
def can_convert_flux(native: str, unit: str, pixel_area: float | None = None) -> bool:
    """Tell whether fluxes can be shown in a unit."""
    if native.strip() == unit.strip():
        return True
    try:
        find_flux_factor(native, unit, np.array([10.0]), pixel_area)
    except ParameterError:
        return False
    return True


def find_flux_factor(native: str, unit: str, wave: FloatArray, pixel_area: float | None = None) -> FloatArray:
    """Return the factors that bring fluxes from one unit to another.

    Parameters
    ----------
    native, unit : str
        From and to.
    wave : (n,) ndarray
        Wavelengths, micrometres.
    pixel_area : float, optional
        Solid angle of a pixel, arcsec2; needed between fluxes per pixel and per solid angle.

    Returns
    -------
    (n,) ndarray
        Factor at each wavelength. Temperatures are those of the Rayleigh-Jeans law.

    Raises
    ------
    ParameterError
        If there is no such conversion.
    """
    if native.strip() == unit.strip():
        return np.ones(len(wave))
    law = _find_law(native, unit, pixel_area)
    if law is None:
        raise ParameterError(
            f"{native or 'Numbers without unit'} cannot be converted to {unit or 'numbers without unit'}."
        )
    factor, power = law
    at = np.asarray(wave, dtype=float)
    with np.errstate(all="ignore"):
        return np.asarray(factor * np.where(at > 0, at, np.nan) ** power if power else np.full(len(at), factor))


@lru_cache(maxsize=1024)
def _find_law(native: str, unit: str, pixel_area: float | None) -> tuple[float, int] | None:
    """Return factor and power: every conversion between flux units is a power law of the wavelength (μm)."""
    factors = _find_factor(native, unit, np.array([1.0, 10.0]), pixel_area)
    if factors is None:
        return None
    first, second = factors
    return float(first), round(float(np.log10(second / first)))


def _find_factor(native: str, unit: str, wave: FloatArray, pixel_area: float | None) -> FloatArray | None:
    from astropy import units as u

    own, wanted = parse_unit(native), parse_unit(unit)
    if own is None or wanted is None:
        return None
    at = np.where(wave > 0, wave, np.nan)
    for step in _density_pairs(own, wanted):
        try:
            factor = (np.ones(len(at)) * step[0]).to_value(step[1], _equivalencies(at * u.um, pixel_area))
        except u.UnitConversionError:
            continue
        return np.asarray(factor * step[2](at), dtype=float)
    return None


def _density_pairs(own: Any, wanted: Any) -> Sequence[tuple[Any, Any, Any]]:
    """Return units to try: as they are, then with a flux per wavenumber on either side made one per frequency."""
    from astropy import units as u

    def one(_: FloatArray) -> float:
        return 1.0

    per_hertz, per_wavenumber = u.Unit("erg / (s cm2 sr Hz)"), u.Unit("erg / (s cm sr)")
    pairs = [(own, wanted, one)]
    for solid in (1.0, u.sr):
        density, wavenumber = per_hertz * solid, per_wavenumber * solid
        if own.is_equivalent(wavenumber):
            pairs.append((density * (own.to(wavenumber) / _LIGHT_CM), wanted, one))
        if wanted.is_equivalent(wavenumber):
            pairs.append((own, density * (wanted.to(wavenumber) / _LIGHT_CM), one))
    return pairs


def _equivalencies(wave: Any, pixel_area: float | None) -> list[Any]:
    from astropy import units as u

    rules = list(u.spectral_density(wave))
    per_hertz, per_micron = u.Unit("W / (m2 sr Hz)"), u.Unit("W / (m2 sr um)")
    hertz_per_micron = (_LIGHT_SPEED * 1e9 / wave.value**2) * 1e6
    rules.append((per_hertz, per_micron, lambda x: x * hertz_per_micron, lambda x: x / hertz_per_micron))
    rules += u.brightness_temperature(wave.to(u.GHz, u.spectral()))
    kelvin = u.Jy.to(u.Unit("W / (m2 Hz)")) * 1.0
    factor = (1.0 * u.Jy / u.sr).to_value(u.K, u.brightness_temperature(wave.to(u.GHz, u.spectral()))) / kelvin
    rules.append((per_hertz, u.K, lambda x: x * factor, lambda x: x / factor))
    if pixel_area is not None and pixel_area > 0:
        solid = pixel_area * u.arcsec.to(u.rad) ** 2
        per_pixel = u.Unit("W / (m2 Hz pixel)")
        rules.append((per_pixel, per_hertz, lambda x: x / solid, lambda x: x * solid))
        rules.append((per_pixel, u.K, lambda x: x / solid * factor, lambda x: x / factor * solid))
        rules.append(
            (per_pixel, per_micron, lambda x: x / solid * hertz_per_micron, lambda x: x / hertz_per_micron * solid)
        )
    return rules


@lru_cache(maxsize=128)
def _is_spectral(text: str) -> bool:
    from astropy import units as u

    unit = parse_unit(text)
    return text == VELOCITY or (unit is not None and unit.is_equivalent(u.m, u.spectral()))
