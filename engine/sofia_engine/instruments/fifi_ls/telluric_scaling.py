"""Background of a scan scaled to the transmission of the atmosphere at its own time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sofia_engine.numerics.arrays import FloatArray

__all__ = ["scale_emission"]

_LEAST = 4


def scale_emission(
    flux: FloatArray, error: FloatArray, wavelength: FloatArray, then: FloatArray, now: FloatArray
) -> FloatArray:
    """Return by what the background changes when the transmission of the atmosphere does.

    Parameters
    ----------
    flux, error : (16, 25) ndarray
        Background, flat-fielded, and its error.
    wavelength : (16, 25) ndarray
        Um.
    then, now : (16, 25) ndarray
        Transmission at the resolution of the spectrometer, when the background was observed and when it is needed.

    Returns
    -------
    (16, 25) ndarray
        Factors. The spectrum of each spaxel is taken as ``a + b wavelength + c (1 - transmission)``, where the last
        part is emission by the atmosphere (c at least 0) and changes with it; 1 where it cannot be fitted.
    """
    factor = np.ones(flux.shape)
    for spaxel in range(flux.shape[1]):
        column = (flux[:, spaxel], error[:, spaxel], wavelength[:, spaxel], then[:, spaxel])
        usable = np.all(np.isfinite(column), axis=0) & (error[:, spaxel] > 0)
        if np.count_nonzero(usable) < _LEAST:
            continue
        fitted, emission = _fit_emission(*(values[usable] for values in column))
        change = emission * (then[usable, spaxel] - now[usable, spaxel])
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = 1.0 + change / fitted
        factor[usable, spaxel] = np.where(np.isfinite(ratio), ratio, 1.0)
    return factor


def _fit_emission(
    flux: FloatArray, error: FloatArray, wavelength: FloatArray, transmission: FloatArray
) -> tuple[FloatArray, float]:
    """Fitted spectrum (n,), and the strength of the emission."""
    basis = np.stack([np.ones_like(wavelength), wavelength - wavelength.mean(), 1.0 - transmission], axis=1)
    weighted = basis / error[:, np.newaxis]
    solution = np.linalg.lstsq(weighted, flux / error, rcond=None)[0]
    if solution[2] < 0:
        solution = np.append(np.linalg.lstsq(weighted[:, :2], flux / error, rcond=None)[0], 0.0)
    return basis @ solution, float(solution[2])
