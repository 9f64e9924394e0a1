"""Spectra of apertures: sums, means or medians of pixels with errors."""

from __future__ import annotations

import math
import re
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from sofia_viewers.cube.apertures import Aperture
from sofia_viewers.cube.cube import Cube
from sofia_viewers.cube.pixel_sums import N_THREADS, KeptSums, begin_combining
from sofia_viewers.cube.samples import Samples
from sofia_viewers.spectrum.spectrum import Spectrum, SpectrumFile

__all__ = [
    "STATISTICS",
    "Statistic",
    "extract_spectrum",
    "field_of",
    "make_spectrum_file",
    "select_plane",
    "spectra_of",
]

FloatArray = NDArray[np.float64]
Statistic = Literal["sum", "mean", "median"]
STATISTICS: tuple[Statistic, ...] = get_args(Statistic)

_MEDIAN_ERROR = math.sqrt(math.pi / 2.0)
"""Error of a median over that of a mean, for many values of a normal distribution."""

_FIELDS = {
    "FLUX": "spectral_flux", "ERROR": "spectral_error", "STDDEV": "spectral_error",
    "UNCORRECTED_FLUX": "uncorrected_flux", "UNCORRECTED_ERROR": "uncorrected_error",
    "EXPOSURE_MAP": "exposure", "EXPOSURE": "exposure",
}  # fmt: skip


def extract_spectrum(
    samples: Samples,
    aperture: Aperture,
    statistic: Statistic = "sum",
    errors: Samples | None = None,
    kept: KeptSums | None = None,
    *,
    keep_pages: bool = False,
) -> tuple[FloatArray, FloatArray | None]:
    """Return the spectrum of an aperture and its errors.

    Parameters
    ----------
    samples : Samples
        Values; NaN is left out.
    aperture : Aperture
        Which pixels.
    statistic : {"sum", "mean", "median"}
        How pixels are combined.
    errors : Samples, optional
        1-sigma errors of the values, taken as independent: neighbouring pixels of resampled cubes are not, so the
        errors of sums and means over apertures smaller than the smoothing are too small.
    kept : KeptSums, optional
        Sums of the aperture before, from which sums and means of this one may follow.
    keep_pages : bool
        Leave what was read of mapped files in memory, so that the next aperture near this one takes less time.

    Returns
    -------
    (ndarray, ndarray or None)
        (n_wave,) values and errors; NaN where no pixel is good.
    """
    with ThreadPoolExecutor(N_THREADS) as pool:
        begin = partial(begin_combining, pool, aperture=aperture, kept=kept, keep_pages=keep_pages)
        found = begin(samples=samples, quantity="median" if statistic == "median" else "sum")
        squared = None if errors is None else begin(samples=errors, quantity="squares")
        values, count = found()
        known = count > 0
        with np.errstate(divide="ignore", invalid="ignore"):
            if statistic == "mean":
                values = values / count
            values = np.where(known, values, np.nan)
            if squared is None:
                return values, None
            squares, count = squared()
            spread = np.sqrt(np.where(count > 0, squares, np.nan))
            if statistic != "sum":
                spread = spread / count
            if statistic == "median":
                spread = np.where(count > 2, spread * _MEDIAN_ERROR, spread)
    return values, spread


def spectra_of(
    cube: Cube,
    aperture: Aperture,
    statistic: Statistic,
    planes: tuple[str, ...] = (),
    kept: KeptSums | None = None,
    *,
    keep_pages: bool = False,
) -> Spectrum:
    """Return the spectrum of an aperture with all that is known along it: flux, error, transmission and others.

    Parameters
    ----------
    cube : Cube
        The cube.
    aperture : Aperture
        Which pixels.
    statistic : {"sum", "mean", "median"}
        How pixels are combined; exposure times are always averaged.
    planes : tuple of str
        Further planes to extract, with their errors.
    kept, keep_pages
        As in `extract_spectrum`.
    """
    fields: dict[str, Any] = {"wavepos": cube.wave}
    units = {"wavepos": cube.wave_unit}
    wanted = dict.fromkeys((cube.flux.name, *planes))
    for name in wanted:
        error_name = cube.error_of(name)
        is_time = name.upper().startswith("EXPOSURE")
        errors = cube.samples(error_name) if error_name else None
        how: Statistic = "mean" if is_time else statistic
        values, spread = extract_spectrum(cube.samples(name), aperture, how, errors, kept, keep_pages=keep_pages)
        label = "spectral_flux" if name == cube.flux.name else field_of(name)
        fields[label], units[label] = values, _unit_of(cube.planes[name].unit, how)
        if spread is not None:
            error_label = _error_of(label)
            fields[error_label], units[error_label] = spread, units[label]
    for name, curve in cube.curves.items():
        fields[name.lower()], units[name.lower()] = curve.values, curve.unit
    if cube.transmission is not None:
        fields["transmission"] = cube.transmission
    return Spectrum(fields, units)


def field_of(plane: str) -> str:
    """Return the name of the field of a spectrum that holds a further plane."""
    return _FIELDS.get(plane.upper(), plane.lower())


def _error_of(field: str) -> str:
    return "spectral_error" if field == "spectral_flux" else f"{field.removesuffix('_flux')}_error"


def select_plane(spectrum: Spectrum, plane: str) -> Spectrum | None:
    """Return a further plane of a spectrum as a flux with its error; None if its unit is not that of the flux.

    Other fields, as that of the right axis, belong to the flux: here they are there, but have no values.
    """
    label = field_of(plane)
    if label not in spectrum.fields or spectrum.unit(label) != spectrum.unit("spectral_flux"):
        return None
    chosen = {"wavepos": "wavepos", "spectral_flux": label, "spectral_error": _error_of(label)}
    known = {new: old for new, old in chosen.items() if old in spectrum.fields}
    empty = np.full_like(spectrum["wavepos"], np.nan)
    others = {name: empty for name in spectrum.fields if name not in chosen}
    fields = {**others, **{new: spectrum[old] for new, old in known.items()}}
    units = {name: spectrum.unit(known.get(name, name)) for name in fields}
    return Spectrum(fields, units)


def make_spectrum_file(cube: Cube, key: str, name: str, spectrum: Spectrum) -> SpectrumFile:
    """Return a spectrum of a cube as the spectrum viewer takes it."""
    return SpectrumFile(key, name, (spectrum,), cube.header, pixel_area=cube.pixel_scale**2 if cube.wcs else None)


def _unit_of(unit: str, statistic: Statistic) -> str:
    """Return the unit of a sum over pixels: what was per pixel is so no more."""
    return re.sub(r"\s*/\s*(pix(el)?|spaxel)\b", "", unit) if statistic == "sum" else unit
