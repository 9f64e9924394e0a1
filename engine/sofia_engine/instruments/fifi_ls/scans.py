"""Spectra of several grating positions levelled and put in order of wavelength."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sofia_engine.numerics.arrays import FloatArray

__all__ = ["level_spectra", "sort_spectra"]

LEAST = 3
"""More spexels than this must lie in the common range of wavelengths for spectra to be levelled."""


def level_spectra(fluxes: Sequence[FloatArray], wavelengths: Sequence[FloatArray]) -> list[FloatArray]:
    """Shift the spectra of several grating positions to a common mean where their wavelengths overlap.

    Parameters
    ----------
    fluxes, wavelengths : sequence of (16, 25) ndarray
        One per grating position; NaN is missing.

    Returns
    -------
    list of (16, 25) ndarray
        Each spaxel shifted to the mean of all positions in the range that all of them cover; as they were if there is
        no such range, or one of the positions has too few pixels in it.
    """
    low = max(float(np.nanmin(w)) for w in wavelengths)
    high = min(float(np.nanmax(w)) for w in wavelengths)
    inside = [(w[:, 0] >= low) & (w[:, 0] <= high) for w in wavelengths]
    if low >= high or any(np.count_nonzero(part) <= LEAST for part in inside):
        return list(fluxes)
    means = np.array([_mean(flux[part]) for flux, part in zip(fluxes, inside, strict=True)])
    shifts = np.nan_to_num(_mean(means) - means)
    return [flux + shift for flux, shift in zip(fluxes, shifts, strict=True)]


def _mean(values: FloatArray) -> FloatArray:
    """Mean along the first axis without NaN; NaN, without a warning, where there is nothing else."""
    count = np.isfinite(values).sum(axis=0)
    mean: FloatArray = np.nansum(values, axis=0) / np.where(count > 0, count, np.nan)
    return mean


def sort_spectra(planes: Sequence[FloatArray], wavelength: FloatArray) -> list[FloatArray]:
    """Return planes (n, 25) with the spectrum of each spaxel in the order of its wavelengths (n, 25)."""
    order = np.argsort(wavelength, axis=0, kind="stable")
    return [np.take_along_axis(plane, order, axis=0) for plane in planes]
