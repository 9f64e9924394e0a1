"""Another correction for the atmosphere: by one value of the transmission, or with another amount of water."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import StepError
from sofia_engine.spectroscopy.telluric import read_sounding
from sofia_viewers.cube.cube import Cube, Curve
from sofia_viewers.cube.derived import scale_slices
from sofia_viewers.spectrum.transmission import load_transmission, read_sky

__all__ = ["APPLIED", "Correction", "correct_again", "find_factor", "model_transmission", "read_water"]

FloatArray = NDArray[np.float64]
Correction = Literal["reference", "median", "none", "water"]

APPLIED = "TRANSMISSION_APPLIED"
"""Curve of what the slices were divided by, where that is not the transmission of the atmosphere."""
_LEAST = 0.01
_TOLERANCE = (1.0, 0.1)
"""How far the water of a model may be from that wanted: micrometres, or a fraction."""


def find_factor(old: FloatArray, new: FloatArray | float) -> FloatArray:
    """Return what slices corrected by a transmission are multiplied with to be corrected by another.

    Parameters
    ----------
    old : (n,) ndarray
        Transmission they were divided by.
    new : (n,) ndarray or float
        Transmission to divide by.

    Returns
    -------
    (n,) ndarray
        old/new; NaN where the new transmission is below 0.01.
    """
    wanted = np.broadcast_to(np.asarray(new, dtype=float), np.shape(old))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(wanted >= _LEAST, old / wanted, np.nan)


def correct_again(
    cube: Cube, how: Correction, key: str, wave: float | None = None, transmission: FloatArray | None = None
) -> Cube:
    """Return a cube with another correction for the atmosphere.

    Parameters
    ----------
    cube : Cube
        With the transmission it was divided by, slice by slice (extension TRANSMISSION, or TRANSMISSION_APPLIED if
        it was corrected anew).
    how : {"reference", "median", "none", "water"}
        Divide by the transmission at the wavelength `wave`, by its median over the cube, not at all, or by
        `transmission`.
    key : str
        Of the new cube.
    wave : float, optional
        Wavelength for ``"reference"``; that of the header (G_WAVE_B, G_WAVE_R) or the middle if left out.
    transmission : (n_wave,) ndarray, optional
        For ``"water"``.

    Raises
    ------
    StepError
        If the cube has no transmission, or it is too low where it is wanted.
    """
    through = cube.transmission
    if through is None:
        raise StepError(f"{cube.name} has no extension TRANSMISSION, so that its correction cannot be taken back.")
    old = np.asarray(cube.curves[APPLIED].values, dtype=float) if APPLIED in cube.curves else through
    order = np.argsort(cube.wave)
    new: Any
    if how == "reference":
        new = float(np.interp(_reference_wave(cube) if wave is None else wave, cube.wave[order], through[order]))
    elif how == "median":
        new = float(np.nanmedian(through))
    elif how == "none":
        new = 1.0
    else:
        new = transmission
    factor = find_factor(old, new)
    if not np.isfinite(factor).any():
        raise StepError("The transmission is below 0.01 there: nothing can be divided by it.")
    names = {"reference": "reference transmission", "median": "median transmission", "none": "no telluric correction",
             "water": "new water vapour"}  # fmt: skip
    made = scale_slices(cube, factor, key, f"{cube.name} · {names[how]}")
    curves = {**cube.curves, APPLIED: Curve(np.broadcast_to(np.asarray(new, dtype=float), old.shape).copy())}
    return replace(made, curves=curves)


def read_water(cube: Cube) -> float | None:
    """Return the water vapour (μm) above an observation, of WVZ_OBS; None if the header has no plausible one."""
    sounding = read_sounding(cube.header)
    return None if any("WVZ_OBS" in warning for warning in sounding.warnings) else sounding.pwv


def model_transmission(cube: Cube, water: float, source: Path | None = None) -> tuple[FloatArray, str]:
    """Return the transmission of a model on the slices of a cube, at the wavelengths at which they were observed.

    Parameters
    ----------
    cube : Cube
        Altitude, zenith angle and resolving power are those of its header.
    water : float
        Precipitable water vapour, μm.
    source : Path, optional
        A model file or a folder of them; the published ones if left out.

    Returns
    -------
    (ndarray, str)
        (n_wave,) transmission, and a sentence that names the model and what was assumed.

    Raises
    ------
    StepError
        If the cube has no wavelengths, or no model for about that much water is at hand.
    ReferenceDataError
        If there is no model at all, or none for these wavelengths.
    """
    if cube.wave_unit != "um":
        raise StepError("The model of the atmosphere needs wavelengths; this cube has none.")
    wave = cube.observed_wave
    wanted = replace(read_sky(cube.header), pwv=water, source=source)
    found = load_transmission(wanted, (float(wave.min()), float(wave.max())))
    if found.water is not None and abs(found.water - water) > max(_TOLERANCE[0], _TOLERANCE[1] * water):
        raise StepError(
            f"No model for {water:g} μm of water is at hand, the nearest is for {found.water:g} μm: choose a folder of "
            "ATRAN files in the panel Atmosphere of the spectra."
        )
    if found.water is None and (source is None or source.is_dir()):
        raise StepError(
            f"The models at hand do not say for how much water they are made ({found.description.rstrip('.')}): "
            "choose a folder of ATRAN files in the panel Atmosphere of the spectra."
        )
    values = np.interp(wave, found.wavelength, found.transmission)
    unknown = [w.partition(" of the observation")[0].removeprefix("The ") for w in read_sounding(cube.header).warnings]
    unknown = [each for each in unknown if each in ("altitude", "zenith angle")]
    assumed = f" Not in the header: {' and '.join(unknown)}; usual values were taken." if unknown else ""
    return np.asarray(values), found.description + assumed


def _reference_wave(cube: Cube) -> float:
    """Return the reference wavelength of the header that lies in the cube, else the middle of the cube."""
    for keyword in ("G_WAVE_R", "G_WAVE_B"):
        try:
            wave = float(cube.header.get(keyword, np.nan))
        except (TypeError, ValueError):
            continue
        if np.isfinite(wave) and cube.covers(wave):
            return wave
    return float(np.median(cube.wave))
