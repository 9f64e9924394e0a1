"""Spectra of standards: models of the user, by name and date; else those in published responses, else photometry."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from astropy.io import fits

from sofia_engine.errors import ReferenceDataError
from sofia_engine.header.merging import observation_time
from sofia_engine.instruments.forcast.grism_files import read_fits, request_grism_file
from sofia_engine.instruments.forcast.mode import find_date
from sofia_engine.numerics.arrays import FloatArray
from sofia_engine.photometry.standards import normalize_object
from sofia_engine.photometry.tables import parse_model_photometry, parse_model_uncertainty
from sofia_engine.pipeline.run import ReferenceUse, Run, Wanted
from sofia_engine.reference import ReferenceRequest
from sofia_engine.spectroscopy.telluric import smooth_to_resolution

__all__ = [
    "choose_model",
    "find_model",
    "interpolate_photometry",
    "load_model",
    "read_model",
    "read_response_model",
    "want_model",
]

_NAME = re.compile(r"(?P<object>[a-z0-9]+?)(?:_(?P<date>\d{8}(?:\d{2})?))?(?:_[^_]*)*\.fits(?:\.gz)?$", re.IGNORECASE)


MODEL, PHOTOMETRY, PHOTOMETRY_ERROR = "standard_model", "standard_flux", "standard_flux_error"
RESPONSE = "standard_response"
"""Roles of files: the spectrum of a standard; its published flux in filters, and how that is scaled; a published
response that was made with its spectrum."""

_MODEL_ROW = 4
_IN_RESPONSES = {("ALPHACET", "FOR_G063"): 20191001, ("ALPHACET", "FOR_G111"): 20170807}
"""Day whose response holds the model of a star for a grism: all others hold asteroids, or no model."""


def want_model(header: fits.Header, choice: str) -> Mapping[str, Wanted]:
    """Name what says how bright a standard is: the user's model, or else the published photometry.

    Raises
    ------
    ReferenceDataError
        If the user's choice does not exist.
    """
    if choice.strip():
        path = find_model(header, choice)
        return {MODEL: Wanted(request_grism_file(header, MODEL, "standard model"), str(path))}
    date, name = find_date(header), normalize_object(str(header.get("OBJECT", "")))
    matches = {PHOTOMETRY: {"altcfg1": "0", "object": name}, PHOTOMETRY_ERROR: {"altcfg1": "0"}}
    label = f"photometry of {name}"
    wanted = {kind: Wanted(ReferenceRequest("FORCAST", kind, date, match, label)) for kind, match in matches.items()}
    asked = request_grism_file(header, "response", f"spectrum of {name}")
    made = _IN_RESPONSES.get((name, asked.match["spectel"]))
    if made is not None:
        wanted[RESPONSE] = Wanted(replace(asked, date=made), optional=True)
    return wanted


def load_model(run: Run, header: fits.Header, resolution: float, wavelength: FloatArray) -> tuple[FloatArray, str]:
    """Return the flux of a standard (Jy) at the wavelengths of a spectrum, and the name of the file it comes from.

    Raises
    ------
    ReferenceDataError
        If nothing is known about the object.
    """
    used = run.find_reference(MODEL)
    if used is not None:
        return smooth_to_resolution(*read_model(used.path), resolution, wavelength), used.path.name
    published = run.find_reference(PHOTOMETRY)
    name = str(header.get("OBJECT", "")).strip() or "(no name)"
    if published is None:
        raise ReferenceDataError(
            f"Cannot create response file: there is no model of the standard {name}, and no photometry is published "
            "for it; give make_response.model_file, a model file or a folder with models."
        )
    scale = _read_scale(run, normalize_object(name))
    points = parse_model_photometry(_read_text(published), published.name)
    response = run.find_reference(RESPONSE)
    if response is not None:
        return read_response_model(response.path, points, wavelength), response.name
    run.warn(
        f"The flux of {name} is interpolated between filters ({published.path.name}): bands of molecules in its "
        "spectrum are missing, mostly below 9 um; give make_response.model_file for a better response."
    )
    return scale * interpolate_photometry(points, wavelength), published.path.name


def read_response_model(path: Path, points: Sequence[tuple[float, float]], wavelength: FloatArray) -> FloatArray:
    """Return the flux of a star (Jy) from the response that was made with its model, at the resolution of both.

    Parameters
    ----------
    path : Path
        Published response with rows wavelength (um), response, error, transmission and model (Jy).
    points : sequence of (float, float)
        Photometry of the star (um, Jy), whose shape goes on beyond the ends of the model.
    wavelength : (n,) ndarray
        Micrometres.

    Raises
    ------
    ReferenceDataError
        If the file holds no model.
    """
    rows, _ = read_fits(path, "response")
    known = (
        np.isfinite(rows[_MODEL_ROW]) & (rows[_MODEL_ROW] > 0) if len(rows) > _MODEL_ROW else np.zeros(0, dtype=bool)
    )
    if not known.any():
        raise ReferenceDataError(f"The response {path} holds no model of its standard; give make_response.model_file.")
    wave, model = rows[0][known], rows[_MODEL_ROW][known]
    ratio = np.interp(wavelength, wave, model / interpolate_photometry(points, wave))
    values: FloatArray = ratio * interpolate_photometry(points, wavelength)
    return values


def _read_scale(run: Run, name: str) -> float:
    """Factor by which published models are multiplied, as in the calibration of images."""
    used = run.find_reference(PHOTOMETRY_ERROR)
    found = None if used is None else parse_model_uncertainty(_read_text(used), name, used.name)
    return 1.0 if found is None else found.scale


def _read_text(used: ReferenceUse) -> str:
    try:
        return used.path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ReferenceDataError(f"The calibration file {used.path} cannot be read ({error}); replace it.") from None


def interpolate_photometry(points: Sequence[tuple[float, float]], wavelength: FloatArray) -> FloatArray:
    """Return the flux of a star (Jy) between filters.

    Parameters
    ----------
    points : sequence of (float, float)
        Wavelength (um, rising) and flux (Jy).
    wavelength : (n,) ndarray
        Micrometres.

    Returns
    -------
    (n,) ndarray
        Power laws from point to point; a Rayleigh-Jeans law outside, where F_nu falls with the square of wavelength.
    """
    known, flux = np.array(points, dtype=np.float64).T
    level = np.interp(np.log(wavelength), np.log(known), np.log(flux * known**2))
    values: FloatArray = np.exp(level) / wavelength**2
    return values


def find_model(header: fits.Header, choice: str) -> Path:
    """Return the model file for an observation.

    Parameters
    ----------
    header : Header
        OBJECT and DATE-OBS.
    choice : str
        A file, or a folder in which the model is looked for by name and date.

    Raises
    ------
    ReferenceDataError
        If there is none.
    """
    path = Path(choice.strip()).expanduser()
    name = str(header.get("OBJECT", "")).strip()
    if path.is_file():
        return path
    if not path.is_dir():
        raise ReferenceDataError(f"Cannot create response file: the model {path} does not exist; give another file.")
    chosen = choose_model((entry.name for entry in path.iterdir()), header)
    if chosen is None:
        raise ReferenceDataError(
            f"Cannot create response file: {path} holds no model of the standard {name or '(no name)'}; give "
            "make_response.model_file."
        )
    return path / chosen


def choose_model(names: Iterable[str], header: fits.Header) -> str | None:
    """Return the file name of the model whose object is observed and whose date is closest; None if there is none.

    Parameters
    ----------
    names : iterable of str
        Named ``object[_YYYYMMDD[HH]]...fits``; models without a date hold at all times.
    header : Header
        OBJECT and DATE-OBS.
    """
    plain = re.sub(r"[\s_\-@]", "", str(header.get("OBJECT", "")).lower()).replace("jpl", "")
    asked = {plain, normalize_object(str(header.get("OBJECT", ""))).lower()}
    time = observation_time(header)
    found: list[tuple[float, str]] = []
    for name in names:
        match = _NAME.match(name)
        if match is not None and any(match["object"].lower() in word for word in asked):
            found.append((_distance(match["date"], time), name))
    return min(found)[1] if found else None


def _distance(date: str | None, time: datetime) -> float:
    """Seconds between a model and an observation."""
    if date is None:
        return 0.0
    try:
        made = datetime.strptime(date.ljust(10, "0"), "%Y%m%d%H").replace(tzinfo=UTC)
    except ValueError:
        return float("inf")
    return abs((made - time).total_seconds())


def read_model(path: Path) -> tuple[FloatArray, FloatArray]:
    """Return wavelength (um, rising) and flux (Jy) of a model.

    Raises
    ------
    ReferenceDataError
        If the file has not at least these two rows.
    """
    rows, _ = read_fits(path, "standard model")
    if rows.ndim != 2 or len(rows) < 2:
        raise ReferenceDataError(f"The standard model {path} has the shape {rows.shape}; it needs two rows or more.")
    order = np.argsort(rows[0], kind="stable")
    return rows[0][order], rows[1][order]
