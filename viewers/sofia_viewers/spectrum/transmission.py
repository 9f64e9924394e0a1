"""Transmission of the atmosphere over a spectrum: which model, and how it looks at a resolution."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import InputError, ReferenceDataError, SofiaDeskError
from sofia_engine.spectroscopy.telluric import (
    Sounding,
    choose_atmosphere,
    parse_atmosphere_name,
    read_sounding,
    smooth_to_resolution,
)

__all__ = ["Atmosphere", "Sky", "find_model_files", "load_transmission", "read_sky"]

FloatArray = NDArray[np.float64]

_INSTRUMENTS = ("FORCAST", "FLITECAM", "FIFI-LS", "EXES")
_MOST_POINTS = 20000
_PER_ELEMENT, _MODEL_PER_ELEMENT = 16, 50
"""Points of the curve, and samples of the model at least, per element of resolution."""
_REACH = 3.0
"""Elements of resolution beyond the ends that smoothing needs."""


@dataclass(frozen=True)
class Sky:
    """What atmosphere is wanted.

    Parameters
    ----------
    altitude, zenith_angle : float
        Kilofeet and degrees.
    pwv : float
        Precipitable water vapour, μm; 0 for the standard atmosphere.
    resolution : float
        Resolving power; 0 for the model as it is.
    source : Path or None
        A model file, or a folder of them; None for the published ones.
    """

    altitude: float = 41.0
    zenith_angle: float = 45.0
    pwv: float = 0.0
    resolution: float = 1000.0
    source: Path | None = None


@dataclass(frozen=True, eq=False)
class Atmosphere:
    """A transmission curve: wavelengths μm, transmission 0 to 1, a sentence on the model, its water (μm) if known."""

    wavelength: FloatArray
    transmission: FloatArray
    description: str
    water: float | None = None


def read_sky(header: Mapping[str, Any]) -> Sky:
    """Return the atmosphere of an observation: altitude, zenith angle and resolving power of its header."""
    sounding = read_sounding(header)
    usual = Sky()
    resolution = _positive(header, ("RP", "RESOLUN", "SPECRES")) or usual.resolution
    return Sky(sounding.altitude or usual.altitude, sounding.zenith_angle or usual.zenith_angle, 0.0, resolution)


def _positive(header: Mapping[str, Any], keys: tuple[str, ...]) -> float:
    for key in keys:
        try:
            value = float(header.get(key, 0.0))
        except (TypeError, ValueError):
            continue
        if value > 0:
            return value
    return 0.0


def find_model_files(source: Path | None = None) -> dict[str, Path]:
    """Return the model files at hand by name: of a folder, a single file, or those fetched from where they are
    published.

    Nothing is fetched.

    Raises
    ------
    ReferenceDataError
        If there is none.
    """
    if source is not None:
        found = [source] if source.is_file() else sorted(source.glob("*.fits"))
        if not found:
            raise ReferenceDataError(
                f"{source} holds no model of the atmosphere: name an ATRAN file, or a folder of them."
            )
        return {path.name: path for path in found}
    from sofia_engine.reference import ReferenceStore

    store = ReferenceStore(offline=True)
    files: dict[str, Path] = {}
    for instrument in _INSTRUMENTS:
        try:
            known = [file for file in store.catalogue_for(instrument).files if file.kind == "atran"]
            files |= {file.name: store.get(file) for file in known}
        except SofiaDeskError:
            continue
    if not files:
        raise ReferenceDataError(
            "No model of the atmosphere is at hand: run 'sofia-desk data fetch', or choose an ATRAN file of your own."
        )
    return files


def load_transmission(sky: Sky, limits: tuple[float, float]) -> Atmosphere:
    """Return the transmission between two wavelengths.

    Parameters
    ----------
    sky : Sky
        What is wanted; the nearest model is taken, and the answer says which.
    limits : (float, float)
        Wavelengths, μm.

    Raises
    ------
    ReferenceDataError
        If there is no model, or none covers the range.
    """
    files = find_model_files(sky.source)
    name = _choose(files, sky, limits)
    wave, transmission = _read_model(files[name])
    margin = 0.02 * (limits[1] - limits[0])
    inside = (wave >= limits[0] - margin) & (wave <= limits[1] + margin)
    if not inside.any():
        raise ReferenceDataError(
            f"{name} covers {wave[0]:.4g} to {wave[-1]:.4g} μm, not {limits[0]:.4g} to {limits[1]:.4g} μm: "
            "choose another file."
        )
    at, values = wave[inside], transmission[inside]
    if sky.resolution > 0:
        at = _choose_points(at, sky.resolution)
        values = np.asarray(smooth_to_resolution(*_thin(wave, transmission, sky.resolution, at), sky.resolution, at))
    model = parse_atmosphere_name(name)
    return Atmosphere(at, np.asarray(values), _describe(name, sky), None if model is None else model.pwv)


def _choose_points(wave: FloatArray, resolution: float) -> FloatArray:
    """Return wavelengths at which a smoothed curve is known well enough to be drawn."""
    wanted = math.ceil(math.log(wave[-1] / wave[0]) * resolution * _PER_ELEMENT) + 2
    if wanted < min(len(wave), _MOST_POINTS):
        return np.asarray(np.geomspace(wave[0], wave[-1], wanted))
    return wave[:: max(1, len(wave) // _MOST_POINTS)]


def _thin(
    wave: FloatArray, transmission: FloatArray, resolution: float, at: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the part of a model that smoothing at some wavelengths needs, averaged to what it can tell apart."""
    reach = 1.0 + _REACH / resolution
    first, last = np.searchsorted(wave, (at[0] / reach, at[-1] * reach))
    wave, transmission = wave[first : last + 1], transmission[first : last + 1]
    group = int(len(wave) / max(math.log(wave[-1] / wave[0]) * resolution * _MODEL_PER_ELEMENT, 1.0))
    if group < 2:
        return wave, transmission
    count = len(wave) // group * group
    return wave[:count].reshape(-1, group).mean(axis=1), transmission[:count].reshape(-1, group).mean(axis=1)


def _choose(files: Mapping[str, Path], sky: Sky, limits: tuple[float, float]) -> str:
    models = {name: parse_atmosphere_name(name) for name in files}
    covering = [
        name for name, model in models.items()
        if model is None or (model.coverage[0] <= limits[1] and model.coverage[1] >= limits[0])
    ]  # fmt: skip
    usable = covering or list(files)
    named = [name for name in usable if models[name] is not None]
    if not named:
        return usable[0]
    sounding = Sounding(sky.altitude, sky.zenith_angle, sky.pwv or 6.0)
    wet = sky.pwv > 0 and any(model is not None and model.pwv is not None for model in models.values())
    try:
        return _name_of(choose_atmosphere(named, sounding, use_pwv=wet).name, named)
    except ReferenceDataError:
        return _name_of(choose_atmosphere(named, sounding, use_pwv=not wet).name, named)


def _name_of(name: str, names: list[str]) -> str:
    return next(full for full in names if full.endswith(name))


def _describe(name: str, sky: Sky) -> str:
    model = parse_atmosphere_name(name)
    smoothed = f", smoothed to R = {sky.resolution:g}" if sky.resolution > 0 else ""
    if model is None:
        return f"Transmission: {name}{smoothed}."
    water = f", {model.pwv:g} μm of water" if model.pwv is not None else ", standard water vapour"
    wanted = f" (nearest to {sky.altitude:.1f} kft, {sky.zenith_angle:.1f}°)"
    return (
        f"Transmission: {name}: {model.altitude:g} kft, zenith angle {model.zenith_angle:g}°{water}{wanted}{smoothed}."
    )


@lru_cache(maxsize=4)
def _read_model(path: Path) -> tuple[FloatArray, FloatArray]:
    """Read a model: rows of wavelength (μm) and transmission, or of wavenumber (cm-1) and transmission."""
    from astropy.io import fits

    try:
        with fits.open(path) as hdus:
            rows = next(np.asarray(hdu.data, dtype=float) for hdu in hdus if hdu.is_image and hdu.data is not None)
    except StopIteration:
        rows = np.zeros(0)
    except (OSError, ValueError, TypeError, LookupError, AttributeError, fits.VerifyError) as problem:
        why = (str(problem) or type(problem).__name__).splitlines()[0].rstrip(".")
        raise InputError(f"{path.name} cannot be read as a model of the atmosphere: {why}.") from None
    if rows.ndim != 2 or len(rows) < 2 or not (np.isfinite(rows[:2]).all(axis=0) & (rows[0] > 0)).any():
        raise InputError(
            f"{path.name} is no model of the atmosphere: it must hold rows of wavelength and transmission."
        )
    wave, transmission = rows[:2, np.isfinite(rows[:2]).all(axis=0) & (rows[0] > 0)]
    if path.name.lower().startswith("psg") or float(np.median(wave)) > 320.0:  # beyond any model in μm
        wave = 1e4 / wave
    order = np.argsort(wave)
    return wave[order], transmission[order]
