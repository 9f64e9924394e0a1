"""Flat fields: relative response of the pixels by wavelength, and of the spaxels by date."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from astropy.io import fits

from sofia_engine.errors import ReferenceDataError
from sofia_engine.instruments.fifi_ls.raw import N_SPAXEL, N_SPEXEL

if TYPE_CHECKING:
    from pathlib import Path

    from sofia_engine.numerics.arrays import FloatArray, IndexArray

__all__ = ["Flat", "SpectralFlat", "interpolate_flat", "read_spectral_flat"]

LOWEST = 0.1
"""Pixels of a lower response are not used."""


@dataclass(frozen=True, eq=False)
class SpectralFlat:
    """Response of the pixels at a row of wavelengths.

    Attributes
    ----------
    wavelength : (n,) ndarray
        Rising, um.
    value, error : (n, 16, 25) ndarray
        NaN where it is not known.
    """

    wavelength: FloatArray
    value: FloatArray
    error: FloatArray

    @cached_property
    def neighbours(self) -> tuple[IndexArray, IndexArray]:
        """For each point (n, 16, 25) the nearest point with a value at or before it, and at or after it.

        -1 and n where there is none.
        """
        count = self.wavelength.size
        known = np.isfinite(self.value)
        number = np.arange(count)[:, np.newaxis, np.newaxis]
        before = np.maximum.accumulate(np.where(known, number, -1), axis=0)
        after = np.minimum.accumulate(np.where(known, number, count)[::-1], axis=0)[::-1]
        return before, after


@dataclass(frozen=True, eq=False)
class Flat:
    """Response of the pixels at their own wavelengths, and its error; (16, 25), NaN where it is not usable."""

    value: FloatArray
    error: FloatArray


@lru_cache(4)
def _read_flat(path: Path, stamp: int) -> SpectralFlat:  # noqa: ARG001 - a changed file is read anew
    try:
        with fits.open(path, memmap=False) as hdus:
            wave = np.asarray(hdus["WAVE"].data, dtype=np.float64)
            value, error = (np.asarray(hdus[name].data, dtype=np.float64) for name in ("SPECFLAT", "ESPECFLAT"))
    except (OSError, KeyError, TypeError, ValueError) as problem:
        raise ReferenceDataError(f"The spectral flat {path} cannot be read ({problem}); give another one.") from problem
    if value.shape != (wave.size, N_SPAXEL, N_SPEXEL) or error.shape != value.shape:
        raise ReferenceDataError(f"The spectral flat {path} has the shape {value.shape}; give another one.")
    return SpectralFlat(wave, np.swapaxes(value, 1, 2), np.swapaxes(error, 1, 2))


def read_spectral_flat(path: Path) -> SpectralFlat:
    """Read a spectral flat.

    Raises
    ------
    ReferenceDataError
        If it cannot be read.
    """
    try:
        return _read_flat(path, path.stat().st_mtime_ns)
    except OSError as problem:
        raise ReferenceDataError(f"The spectral flat {path} cannot be read ({problem}); give another one.") from problem


def interpolate_flat(flat: SpectralFlat, wavelength: FloatArray, spatial: FloatArray) -> Flat:
    """Return the flat of each pixel at its wavelength.

    Parameters
    ----------
    flat : SpectralFlat
        Table; points without a value are skipped.
    wavelength : (16, 25) ndarray
        Um; outside the table there is no flat.
    spatial : (25,) ndarray
        Factors of the spaxels.

    Notes
    -----
    Linear in wavelength. The variance is that of one of the two points plus its share of both: ``s_l^2 + (s_l^2 +
    s_r^2) w^2`` for a wavelength at the fraction w from the left, or the like from the right, whichever is less.
    """
    left, right = _find_neighbours(flat, wavelength)
    inside = (left >= 0) & (right < flat.wavelength.size)
    left, right = np.where(inside, left, 0), np.where(inside, right, 0)
    spexel, spaxel = np.indices(wavelength.shape)
    low, high = flat.wavelength[left], flat.wavelength[right]
    w = (wavelength - low) / np.where(high > low, high - low, 1.0)
    value = flat.value[left, spexel, spaxel] * (1 - w) + flat.value[right, spexel, spaxel] * w
    from_left, from_right = (np.square(flat.error[side, spexel, spaxel]) for side in (left, right))
    both = from_left + from_right
    error = np.sqrt(np.fmin(from_left + both * w**2, from_right + both * (1 - w) ** 2))
    usable = inside & (value >= LOWEST)
    return Flat(np.where(usable, value * spatial, np.nan), np.where(usable, error * spatial, np.nan))


def _find_neighbours(flat: SpectralFlat, wavelength: FloatArray) -> tuple[IndexArray, IndexArray]:
    """Points with a value on both sides of the wavelength of each pixel; -1 and n where there are none."""
    count = flat.wavelength.size
    before, after = flat.neighbours
    place = np.clip(np.searchsorted(flat.wavelength, wavelength, side="right") - 1, 0, count - 2)
    spexel, spaxel = np.indices(wavelength.shape)
    outside = (wavelength < flat.wavelength[0]) | (wavelength > flat.wavelength[-1]) | ~np.isfinite(wavelength)
    left, right = before[place, spexel, spaxel], after[place + 1, spexel, spaxel]
    return np.where(outside, -1, left), np.where(outside, count, right)
