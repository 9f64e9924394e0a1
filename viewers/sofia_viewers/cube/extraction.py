"""Spectra of apertures: sums, means or medians of pixels with errors."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import InputError
from sofia_viewers.cube.cube import Cube
from sofia_viewers.cube.samples import Samples, find_block_length
from sofia_viewers.image.regions import Region
from sofia_viewers.spectrum.spectrum import Spectrum, SpectrumFile

__all__ = [
    "STATISTICS",
    "Aperture",
    "Statistic",
    "extract_spectrum",
    "field_of",
    "find_aperture",
    "make_spectrum_file",
    "select_plane",
    "spectra_of",
]

FloatArray = NDArray[np.float64]
Statistic = Literal["sum", "mean", "median"]
STATISTICS: tuple[Statistic, ...] = get_args(Statistic)

_MEDIAN_ERROR = math.sqrt(math.pi / 2.0)
"""Error of a median over that of a mean, for many values of a normal distribution."""

_SLICES_AT_A_TIME = 128
"""After so many slices the pages of a mapped file are given back: systems map large pieces around what is read."""

_N_THREADS = min(os.cpu_count() or 1, 4)
_WORTH_A_THREAD = 2_000_000
"""A plane is divided among threads if it has so many values to combine."""

_FIELDS = {
    "FLUX": "spectral_flux", "ERROR": "spectral_error", "STDDEV": "spectral_error",
    "UNCORRECTED_FLUX": "uncorrected_flux", "UNCORRECTED_ERROR": "uncorrected_error",
    "EXPOSURE_MAP": "exposure", "EXPOSURE": "exposure",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Aperture:
    """Pixels of a slice.

    Parameters
    ----------
    rows, columns : slice
        Box around them.
    mask : (rows, columns) bool ndarray
        Which pixels of the box.
    """

    rows: slice
    columns: slice
    mask: NDArray[np.bool_]

    @property
    def n_pixels(self) -> int:
        """Number of pixels."""
        return int(self.mask.sum())


def find_aperture(region: Region, shape: tuple[int, int]) -> Aperture:
    """Return the pixels whose centres lie in a region; of a point, and of a shape that holds none, the nearest one.

    Parameters
    ----------
    region : Region
        In pixels of the slice.
    shape : (int, int)
        Rows and columns of the slice.

    Raises
    ------
    InputError
        If all of it lies outside.
    """
    if region.has_area:
        (rows, columns), mask = region.cut_out(shape)
        if mask.any():
            return _trim(rows, columns, mask)
    x, y = (round(value) for value in region.center)
    if not (0 <= x < shape[1] and 0 <= y < shape[0]):
        raise InputError(
            f"The {region.shape} {region.name} lies outside the cube: move it onto the data.".replace("  ", " ")
        )
    return Aperture(slice(y, y + 1), slice(x, x + 1), np.ones((1, 1), dtype=bool))


def _trim(rows: slice, columns: slice, mask: NDArray[np.bool_]) -> Aperture:
    """Return the pixels in the smallest box that holds them."""
    (low, high), (left, right) = (np.flatnonzero(mask.any(axis=axis))[[0, -1]] for axis in (1, 0))
    box = mask[low : high + 1, left : right + 1]
    first_row, first_column = rows.start + int(low), columns.start + int(left)
    return Aperture(slice(first_row, first_row + box.shape[0]), slice(first_column, first_column + box.shape[1]), box)


def extract_spectrum(
    samples: Samples,
    aperture: Aperture,
    statistic: Statistic = "sum",
    errors: Samples | None = None,
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
    keep_pages : bool
        Leave what was read of mapped files in memory, so that the next aperture near this one takes less time.

    Returns
    -------
    (ndarray, ndarray or None)
        (n_wave,) values and errors; NaN where no pixel is good.
    """
    with ThreadPoolExecutor(_N_THREADS) as pool:
        found = _combine(pool, samples, aperture, "median" if statistic == "median" else "sum", keep_pages)
        squared = None if errors is None else _combine(pool, errors, aperture, "squares", keep_pages)
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


def _combine(
    pool: ThreadPoolExecutor, samples: Samples, aperture: Aperture, how: str, keep_pages: bool
) -> Callable[[], tuple[FloatArray, FloatArray]]:
    """Begin to combine the pixels of each slice, and return what waits for the result and gives it.

    Each thread takes a part of the slices, a block at a time.
    """
    n_wave = samples.shape[0]
    result, count = np.empty(n_wave), np.empty(n_wave)
    spans = _find_spans(aperture)
    parts = _N_THREADS if n_wave * aperture.n_pixels > _WORTH_A_THREAD else 1
    edges = np.linspace(0, n_wave, parts + 1).astype(int)
    work = partial(_combine_slices, samples, aperture, spans, how, keep_pages)
    running = [pool.submit(work, slice(a, b), result[a:b], count[a:b]) for a, b in pairwise(edges.tolist())]

    def wait() -> tuple[FloatArray, FloatArray]:
        for each in running:
            each.result()
        return result, count

    return wait


def _combine_slices(
    samples: Samples,
    aperture: Aperture,
    spans: NDArray[np.int64],
    how: str,
    keep_pages: bool,
    waves: slice,
    result: FloatArray,
    count: FloatArray,
) -> None:
    """Combine the pixels of each slice of a part of a cube."""
    from sofia_viewers.cube import _spectra_kernel

    length = min(find_block_length(4 * aperture.mask.size), _SLICES_AT_A_TIME)
    for first in range(waves.start, waves.stop, length):
        block = slice(first, min(first + length, waves.stop))
        filled = slice(block.start - waves.start, block.stop - waves.start)
        words = samples.find_words(block, aperture.rows, aperture.columns)
        start, row, column = words.corner
        places = spans + np.array([row, column, column])
        if how == "median":
            _spectra_kernel.median_of_words(words.array, places, result[filled], count[filled], start, words.swapped)
        else:
            _spectra_kernel.sum_words(
                words.array, places, result[filled], count[filled], start, words.swapped, how == "squares"
            )
        if not keep_pages:
            samples.release()


def _find_spans(aperture: Aperture) -> NDArray[np.int64]:
    """Return the runs of pixels in the rows of an aperture: row, first column, column after the last."""
    padded = np.zeros((aperture.mask.shape[0], aperture.mask.shape[1] + 2), dtype=np.int8)
    padded[:, 1:-1] = aperture.mask
    edges = np.diff(padded, axis=1)
    rows, starts = np.nonzero(edges == 1)
    stops = np.nonzero(edges == -1)[1]
    return np.column_stack([rows, starts, stops]).astype(np.int64)


def spectra_of(
    cube: Cube, aperture: Aperture, statistic: Statistic, planes: tuple[str, ...] = (), *, keep_pages: bool = False
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
    keep_pages : bool
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
        values, spread = extract_spectrum(cube.samples(name), aperture, how, errors, keep_pages=keep_pages)
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
