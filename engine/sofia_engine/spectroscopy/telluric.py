"""Models of the atmosphere (ATRAN): which fits an observation, its transmission at the resolution of a spectrum.

References
----------
Lord, S. D. 1992, NASA Technical Memorandum 103957 (ATRAN).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sofia_engine.errors import ParameterError, ReferenceDataError
from sofia_engine.numerics.fitting import FWHM_TO_SIGMA

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import FloatArray

__all__ = [
    "AtmosphereModel",
    "Sounding",
    "choose_atmosphere",
    "list_water_vapour_series",
    "parse_atmosphere_name",
    "read_sounding",
    "smooth_to_resolution",
]

_NAME = re.compile(
    r"atran_(?P<altitude>\d+(?:\.\d+)?)K_(?P<zenith>\d+(?:\.\d+)?)deg_(?:(?P<pwv>\d+(?:\.\d+)?)pwv_)?"
    r"(?P<low>\d+(?:\.\d+)?)-(?P<high>\d+(?:\.\d+)?)mum\.fits$"
)
_LOWEST_PWV, _HIGHEST_PWV, _USUAL_PWV = 1.0, 50.0, 6.0
_KERNEL_REACH = 5.0


@dataclass(frozen=True)
class AtmosphereModel:
    """What the name of a model file says.

    Attributes
    ----------
    name : str
        File name.
    altitude, zenith_angle : float
        Kilofeet and degrees.
    pwv : float or None
        Precipitable water vapour, micrometres; None for the standard atmosphere.
    coverage : (float, float)
        Wavelength range, micrometres.
    """

    name: str
    altitude: float
    zenith_angle: float
    pwv: float | None
    coverage: tuple[float, float]


@dataclass(frozen=True)
class Sounding:
    """The atmosphere of an observation: kilofeet, degrees, micrometres of water; 0 if not known."""

    altitude: float
    zenith_angle: float
    pwv: float
    warnings: tuple[str, ...] = ()


def parse_atmosphere_name(name: str) -> AtmosphereModel | None:
    """Read altitude, zenith angle, water vapour and range from the name of a model file; None for other files."""
    found = _NAME.search(name)
    if found is None:
        return None
    pwv = None if found["pwv"] is None else float(found["pwv"])
    coverage = float(found["low"]), float(found["high"])
    return AtmosphereModel(found[0], float(found["altitude"]), float(found["zenith"]), pwv, coverage)


def read_sounding(header: Mapping[str, Any]) -> Sounding:
    """Read altitude, zenith angle and water vapour of an observation.

    Parameters
    ----------
    header : mapping
        With ALTI_STA, ALTI_END (feet), ZA_START, ZA_END (deg), WVZ_OBS (um).

    Returns
    -------
    Sounding
        Means of start and end, or the positive one of the two. Water vapour outside 1 to 50 um is replaced by 6 um.
    """
    warnings: list[str] = []
    altitude = _average(header, ("ALTI_STA", "ALTI_END"), "altitude", warnings) / 1000.0
    zenith = _average(header, ("ZA_START", "ZA_END"), "zenith angle", warnings)
    pwv = _read(header, "WVZ_OBS")
    if not _LOWEST_PWV <= pwv <= _HIGHEST_PWV:
        warnings.append(f"The water vapour WVZ_OBS = {pwv:g} is not plausible; {_USUAL_PWV:g} um is used instead.")
        pwv = _USUAL_PWV
    return Sounding(altitude, zenith, pwv, tuple(warnings))


def _average(header: Mapping[str, Any], keys: tuple[str, str], what: str, warnings: list[str]) -> float:
    positive = [value for value in (_read(header, key) for key in keys) if value > 0]
    if not positive:
        warnings.append(f"The {what} of the observation is not known: {keys[0]} and {keys[1]} are missing; 0 is used.")
        return 0.0
    return sum(positive) / len(positive)


def _read(header: Mapping[str, Any], key: str) -> float:
    try:
        return float(header[key])
    except (KeyError, TypeError, ValueError):
        return 0.0


def choose_atmosphere(
    names: Iterable[str],
    sounding: Sounding,
    *,
    use_pwv: bool = False,
    coverage: tuple[float, float] | None = None,
) -> AtmosphereModel:
    """Choose the model nearest to an observation.

    Parameters
    ----------
    names : iterable of str
        File names.
    sounding : Sounding
        The observation.
    use_pwv : bool
        Take only models with water vapour, and compare it too; else only those without.
    coverage : (float, float), optional
        Take only models of this wavelength range.

    Returns
    -------
    AtmosphereModel
        With the least sum of relative differences.

    Raises
    ------
    ReferenceDataError
        If there is none.
    """
    models = [model for model in map(parse_atmosphere_name, names) if model is not None]
    models = [m for m in models if (m.pwv is not None) == use_pwv and coverage in (None, m.coverage)]
    if not models:
        raise ReferenceDataError("No matching ATRAN files: give an ATRAN file, or a folder that holds some.")
    return min(models, key=lambda model: _distance(model, sounding))


def _distance(model: AtmosphereModel, sounding: Sounding) -> float:
    pairs = [(model.altitude, sounding.altitude), (model.zenith_angle, sounding.zenith_angle)]
    if model.pwv is not None:
        pairs.append((model.pwv, sounding.pwv))
    return sum(abs(value - true) / (true or 1.0) for value, true in pairs)


def list_water_vapour_series(names: Iterable[str], chosen: AtmosphereModel) -> tuple[AtmosphereModel, ...]:
    """All models like the chosen one but for their water vapour, driest first."""
    models = [model for model in map(parse_atmosphere_name, names) if model is not None and model.pwv is not None]
    alike = [m for m in models if (m.altitude, m.zenith_angle, m.coverage)
             == (chosen.altitude, chosen.zenith_angle, chosen.coverage)]  # fmt: skip
    return tuple(sorted(alike, key=lambda model: model.pwv or 0.0))


def smooth_to_resolution(
    wavelength: ArrayLike, transmission: ArrayLike, resolution: float, at: ArrayLike
) -> FloatArray:
    """Transmission as a spectrograph of a given resolving power sees it.

    Parameters
    ----------
    wavelength, transmission : (n,) array_like
        The model, wavelengths rising.
    resolution : float
        Resolving power lambda/dlambda; 0 for no smoothing.
    at : (nw,) array_like
        Wavelengths of the spectrum.

    Returns
    -------
    (nw,) ndarray
        The model averaged with a Gaussian of FWHM 1/resolution in ln(lambda), cut at 5 sigma; NaN outside the model
        and where it is sampled too coarsely (fewer than 2 samples under the Gaussian).

    Raises
    ------
    ParameterError
        If the resolution is negative.

    Notes
    -----
    The integral over the model's own samples is taken directly at the wavelengths asked for, which needs neither a
    grid in ln(lambda) nor a convolution of the whole model.
    """
    if not resolution >= 0:
        raise ParameterError(f"The spectral resolution is {resolution:g}; it must be positive, or 0 for no smoothing.")
    model, points = np.asarray(wavelength, dtype=np.float64), np.asarray(at, dtype=np.float64)
    values = np.asarray(transmission)
    inside = (points >= model[0]) & (points <= model[-1])
    smooth = np.full(points.shape, np.nan)
    if resolution == 0:
        smooth[inside] = np.interp(points[inside], model, values)
        return smooth
    sigma = FWHM_TO_SIGMA / resolution
    spread = np.exp(_KERNEL_REACH * sigma)
    first, last = np.searchsorted(model, points / spread), np.searchsorted(model, points * spread, side="right")
    for index in np.flatnonzero(inside & (last - first >= 2)):
        window = slice(first[index], last[index])
        z = np.log(model[window] / points[index]) / sigma
        weight = np.exp(-0.5 * z * z) * np.gradient(z)
        smooth[index] = (weight @ values[window]) / weight.sum()
    return smooth
