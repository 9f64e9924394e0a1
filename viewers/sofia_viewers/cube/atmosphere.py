"""Another correction for the atmosphere: by one value of the transmission, or with another amount of water."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import StepError
from sofia_viewers.cube.cube import Cube
from sofia_viewers.cube.derived import scale_slices

__all__ = ["Correction", "correct_again", "find_factor"]

FloatArray = NDArray[np.float64]
Correction = Literal["reference", "median", "none", "water"]

_LEAST = 0.01


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
        With the transmission it was divided by, slice by slice (extension TRANSMISSION).
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
    curve = cube.curves.get("TRANSMISSION")
    if curve is None:
        raise StepError(f"{cube.name} has no extension TRANSMISSION, so that its correction cannot be taken back.")
    old = np.asarray(curve.values, dtype=float)
    order = np.argsort(cube.wave)
    new: Any
    if how == "reference":
        new = float(np.interp(_reference_wave(cube) if wave is None else wave, cube.wave[order], old[order]))
    elif how == "median":
        new = float(np.nanmedian(old))
    elif how == "none":
        new = 1.0
    else:
        new = transmission
    factor = find_factor(old, new)
    if not np.isfinite(factor).any():
        raise StepError("The transmission is below 0.01 there: nothing can be divided by it.")
    names = {"reference": "reference transmission", "median": "median transmission", "none": "no telluric correction",
             "water": "new water vapour"}  # fmt: skip
    return scale_slices(cube, factor, key, f"{cube.name} · {names[how]}")


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
