"""Calibration files of the grisms: which an observation needs, and what is in them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from astropy.io import fits

from sofia_engine.errors import HeaderError, ParameterError, ReferenceDataError
from sofia_engine.header.cards import quiet_fits
from sofia_engine.instruments.forcast.mode import find_date, find_mode, find_spectral_element, read_text
from sofia_engine.numerics.arrays import FloatArray
from sofia_engine.pipeline.run import ReferenceUse, Run, Wanted
from sofia_engine.reference import ReferenceRequest
from sofia_engine.spectroscopy.calibration_maps import CalibrationMaps, read_maps
from sofia_engine.spectroscopy.orders import OrderSet, read_orders
from sofia_engine.spectroscopy.telluric import (
    choose_atmosphere,
    list_water_vapour_series,
    parse_atmosphere_name,
    read_sounding,
    smooth_to_resolution,
)

__all__ = [
    "ResponseCurve",
    "find_resolution",
    "load_maps",
    "load_orders",
    "locked",
    "read_atmosphere",
    "read_fits",
    "read_number",
    "read_response",
    "request_grism_file",
    "require_resolution",
    "want_atmosphere",
    "want_water_vapour_series",
]

_Result = TypeVar("_Result")

SLITS = ("FOR_LS24", "FOR_LS47")
COVERAGE = (4.0, 50.0)
"""Wavelength range of the models of the atmosphere, micrometres."""

_RESOLUTIONS: Mapping[str, tuple[float, float]] = {
    "G063": (180.0, 130.0),
    "G111": (256.0, 151.0),
    "G227": (130.0, 124.0),
    "G329": (187.0, 152.0),
}
"""Resolving power with the narrow (LS24) and the wide slit (LS47)."""
_EARLIER_RESOLUTIONS: tuple[tuple[int, int, Mapping[tuple[str, str], float]], ...] = (
    (0, 20130801, {("G063", "FOR_LS47"): 125.0, ("G111", "FOR_LS47"): 126.0}),
    (
        20130801,
        20131231,
        {
            ("G063", "FOR_LS24"): 174.0,
            ("G063", "FOR_LS47"): 125.0,
            ("G111", "FOR_LS24"): 220.0,
            ("G111", "FOR_LS47"): 126.0,
        },
    ),
    (
        20140603,
        20140701,
        {
            ("G227", "FOR_LS24"): 94.0,
            ("G227", "FOR_LS47"): 126.0,
            ("G329", "FOR_LS24"): 177.0,
            ("G329", "FOR_LS47"): 161.0,
        },
    ),
)
"""Values in certain periods: after the first date, up to and including the second."""
_READING = threading.RLock()
"""Files side by side are of one setting: the first thread reads a file, the others wait for it."""


def locked(function: Callable[..., _Result]) -> Callable[..., _Result]:
    """Return a function that one thread calls at a time; for cached functions of many threads."""

    def call(*arguments: Any) -> _Result:
        with _READING:
            return function(*arguments)

    return call


def request_grism_file(header: fits.Header, kind: str, label: str) -> ReferenceRequest:
    """Return the question for the file of a kind that fits an observation, by date, grism and slit."""
    match = {"spectel": find_spectral_element(header), "slit": read_text(header, "SLIT")}
    return ReferenceRequest("FORCAST", kind, find_date(header), match, label)


def find_resolution(header: fits.Header) -> float | None:
    """Return the resolving power of grism and slit at the date of an observation; None if it is not known."""
    grism, slit, date = find_mode(header), read_text(header, "SLIT"), find_date(header)
    for after, until, values in _EARLIER_RESOLUTIONS:
        if after < date <= until and (grism, slit) in values:
            return values[grism, slit]
    if grism not in _RESOLUTIONS or slit not in SLITS:
        return None
    return _RESOLUTIONS[grism][SLITS.index(slit)]


def load_orders(run: Run, header: fits.Header) -> OrderSet:
    """Return the order edges of an observation, from the reference file with the role ``order_mask``.

    Raises
    ------
    ReferenceDataError
        If there is no order mask for grism and slit.
    """
    used = run.find_reference("order_mask")
    if used is None:
        raise ReferenceDataError(
            f"{run.file}: Missing order mask: there is none for the grism {find_spectral_element(header)} with the "
            f"slit {read_text(header, 'SLIT') or '(none)'}; correct SLIT, or give make_profiles.maskfile."
        )
    orders = locked(_read_orders)(used.path, used.sha256, used.name)
    for warning in orders.warnings:
        run.warn(warning)
    return orders


def load_maps(run: Run, header: fits.Header, rotation: int) -> CalibrationMaps:
    """Return wavelength and slit position of the pixels, from the reference file with the role ``wave_cal``.

    Raises
    ------
    ReferenceDataError
        If there is none for the date.
    """
    used = run.find_reference("wave_cal")
    if used is None:
        raise ReferenceDataError(
            f"{run.file}: Missing wavecal file: there is none for the grism {find_spectral_element(header)} on "
            f"{header.get('DATE-OBS', 'an unknown date')}; give make_profiles.wavefile."
        )
    return locked(_read_maps)(used.path, used.sha256, rotation)


@lru_cache(maxsize=8)
def _read_orders(path: Path, _content: str, name: str) -> OrderSet:
    return read_orders(read_fits(path, "order mask")[1], name=f"The order mask {Path(name).name}")


@lru_cache(maxsize=4)
def _read_maps(path: Path, _content: str, rotation: int) -> CalibrationMaps:
    return read_maps(read_fits(path, "wavelength calibration")[0], rotation)


def read_fits(path: Path, what: str) -> tuple[FloatArray, fits.Header]:
    """Return array and header of the primary HDU of a calibration file.

    Raises
    ------
    ReferenceDataError
        If it cannot be read or holds no array.
    """
    try:
        with quiet_fits(), fits.open(path, memmap=False) as hdus:
            data, header = hdus[0].data, hdus[0].header
    except (OSError, ValueError) as error:
        raise ReferenceDataError(f"The {what} {path} cannot be read ({error}); give another file.") from None
    if data is None:
        raise ReferenceDataError(f"The {what} {path} holds no numbers in its primary HDU; give another file.")
    return np.asarray(data, dtype=np.float64), header


@dataclass(frozen=True, eq=False)
class ResponseCurve:
    """Response of the instrument as published.

    Attributes
    ----------
    wavelength, values, error : (n,) ndarray
        Micrometres; Me/s/Jy; NaN where it is not known.
    bias : float or None
        Detector bias it was measured at (DETBIAS).
    systematic : float or None
        Systematic error, Me/s/Jy (SYSERR).
    """

    wavelength: FloatArray
    values: FloatArray
    error: FloatArray
    bias: float | None = None
    systematic: float | None = None


def read_response(used: ReferenceUse) -> ResponseCurve:
    """Read a response file.

    Raises
    ------
    ReferenceDataError
        If it has not the form of one: rows wavelength, response, error.
    """
    rows, header = read_fits(used.path, "response file")
    if rows.ndim == 3 and len(rows) == 1:
        rows = rows[0]
    if rows.ndim != 2 or len(rows) < 3:
        raise ReferenceDataError(
            f"Bad response file {used.name}: it has the shape {rows.shape}, not (3 or more rows, wavelengths); "
            "give flux_calibrate.respfile."
        )
    return ResponseCurve(rows[0], rows[1], rows[2], read_number(header, "DETBIAS"), read_number(header, "SYSERR"))


def read_number(header: fits.Header, keyword: str) -> float | None:
    """Return a number of a header; None if it is missing or none."""
    value = header.get(keyword)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def want_atmosphere(
    header: fits.Header, file: str = "", folder: str = "", *, use_pwv: bool = False
) -> Mapping[str, Wanted]:
    """Name the model of the atmosphere for an observation: role ``atran``.

    Parameters
    ----------
    header : Header
        With altitude, zenith angle, water vapour.
    file : str
        The user's own; empty for the nearest model.
    folder : str
        Searched for the nearest model before the published one is taken; environment variables are expanded.
    use_pwv : bool
        Compare water vapour too.
    """
    choice = file.strip()
    if not choice:
        names = _list_models(folder)
        models = [model for model in map(parse_atmosphere_name, names) if model is not None]
        if any((model.pwv is not None) == use_pwv and model.coverage == COVERAGE for model in models):
            nearest = choose_atmosphere(names, read_sounding(header), use_pwv=use_pwv, coverage=COVERAGE)
            choice = str(_expand(folder) / nearest.name)
    return {"atran": Wanted(request_grism_file(header, "atran", "model of the atmosphere"), choice)}


def want_water_vapour_series(header: fits.Header, folder: str) -> Mapping[str, Wanted]:
    """Name the models in a folder that differ by their water vapour only, nearest to an observation; none if none."""
    names = _list_models(folder)
    models = [model for model in map(parse_atmosphere_name, names) if model is not None]
    if not any(model.pwv is not None and model.coverage == COVERAGE for model in models):
        return {}
    nearest = choose_atmosphere(names, read_sounding(header), use_pwv=True, coverage=COVERAGE)
    request = request_grism_file(header, "atran", "model of the atmosphere")
    return {
        f"atran {number:03d}": Wanted(request, str(_expand(folder) / model.name))
        for number, model in enumerate(list_water_vapour_series(names, nearest))
    }


def _expand(folder: str) -> Path:
    return Path(os.path.expandvars(folder)).expanduser()


def _list_models(folder: str) -> list[str]:
    path = _expand(folder)
    if not folder.strip() or "$" in str(path) or not path.is_dir():
        return []
    return sorted(entry.name for entry in path.iterdir())


def read_atmosphere(used: ReferenceUse, resolution: float, wavelength: FloatArray) -> FloatArray:
    """Return the transmission of the atmosphere at the wavelengths of a spectrum, smoothed to its resolution.

    Raises
    ------
    ParameterError
        If the model has not enough samples for the resolution.
    """
    smooth = locked(_smooth_atmosphere)
    transmission: FloatArray = smooth(used.path, used.sha256, resolution, wavelength.tobytes())
    if resolution > 0 and np.isnan(transmission).any():
        covered = np.isfinite(smooth(used.path, used.sha256, 0.0, wavelength.tobytes()))
        if (covered & np.isnan(transmission)).any():
            raise ParameterError(
                f"The model of the atmosphere {used.name} is sampled too coarsely for a resolution of {resolution:g}; "
                "lower flux_calibrate.resolution."
            )
    return transmission


@lru_cache(maxsize=64)
def _smooth_atmosphere(path: Path, content: str, resolution: float, wavelength: bytes) -> FloatArray:
    model, transmission = _read_model(path, content)
    return smooth_to_resolution(model, transmission, resolution, np.frombuffer(wavelength))


@lru_cache(maxsize=2)
def _read_model(path: Path, _content: str) -> tuple[FloatArray, FloatArray]:
    try:
        with quiet_fits(), fits.open(path, memmap=False) as hdus:
            data: Any = hdus[0].data
    except (OSError, ValueError) as error:
        raise ReferenceDataError(f"The atmosphere model {path} cannot be read ({error}); give another file.") from None
    if data is None or data.ndim != 2 or len(data) < 2:
        raise ReferenceDataError(f"{path} is no model of the atmosphere: it needs rows wavelength and transmission.")
    return np.asarray(data[0], dtype=np.float64), np.asarray(data[1], dtype=data.dtype.newbyteorder("="))


def require_resolution(resolution: float | None, header: fits.Header) -> float:
    """Return the resolving power to use.

    Raises
    ------
    HeaderError
        If neither parameter nor table gives one.
    ParameterError
        If it is positive and below 1.
    """
    value = find_resolution(header) if resolution is None else resolution
    if value is None or value < 0:
        raise HeaderError(
            f"{header.get('FILENAME', 'unnamed.fits')}: Missing spectral resolution for the grism "
            f"{find_spectral_element(header)} with the slit {read_text(header, 'SLIT') or '(none)'}; "
            "give flux_calibrate.resolution."
        )
    if 0 < value < 1:
        raise ParameterError(
            f"flux_calibrate.resolution = {value:g} is no resolving power; give 1 or more, or 0 for no smoothing."
        )
    return value
