"""Models of the spectra of standard stars and asteroids: finding the one for an observation, reading it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from astropy.io import fits

from sofia_engine.errors import ReferenceDataError
from sofia_engine.header.merging import observation_time
from sofia_engine.instruments.forcast.grism_files import read_fits
from sofia_engine.numerics.arrays import FloatArray
from sofia_engine.photometry.standards import normalize_object

__all__ = ["choose_model", "find_model", "read_model"]

_NAME = re.compile(r"(?P<object>[a-z0-9]+?)(?:_(?P<date>\d{8}(?:\d{2})?))?(?:_[^_]*)*\.fits(?:\.gz)?$", re.IGNORECASE)


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
    if not choice.strip():
        raise ReferenceDataError(
            f"Cannot create response file: there is no model of the standard {name or '(no name)'}; give "
            "make_response.model_file, a model file or a folder with models."
        )
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
