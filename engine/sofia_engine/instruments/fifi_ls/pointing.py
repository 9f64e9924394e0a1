"""Errors of the pointing of the telescope during a flight, and the ramps they spoil."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.errors import ReferenceDataError

if TYPE_CHECKING:
    from pathlib import Path

    from sofia_engine.numerics.arrays import BoolArray, FloatArray

__all__ = ["PointingErrors", "find_astray_ramps", "parse_pointing"]

_COLUMNS = ("timestamp", "error_RA", "error_Dec")


@dataclass(frozen=True, eq=False)
class PointingErrors:
    """Distance between where the telescope pointed and where it should have.

    Attributes
    ----------
    time : (n,) ndarray
        Unix time, s, rising.
    distance : (n,) ndarray
        Arcsec.
    """

    time: FloatArray
    distance: FloatArray


def parse_pointing(path: Path) -> PointingErrors:
    """Read a table of pointing errors: tab-separated columns timestamp, error_RA, error_Dec (arcsec).

    Raises
    ------
    ReferenceDataError
        If it cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        names = [name.strip().strip('"') for name in lines[0].split("\t")]
        names[0] = names[0] or _COLUMNS[0]  # the column of the index may have no name
        columns = [names.index(name) for name in _COLUMNS]
        rows = np.array([[float(line.split("\t")[k]) for k in columns] for line in lines[1:] if line.strip()])
        order = np.argsort(rows[:, 0])
    except (OSError, ValueError, IndexError) as error:
        raise ReferenceDataError(f"The pointing file {path} cannot be read ({error}); give another one.") from error
    return PointingErrors(rows[order, 0], np.hypot(rows[order, 1], rows[order, 2]))


def find_astray_ramps(times: FloatArray, ramps_per_cycle: int, errors: PointingErrors, limit: float) -> BoolArray:
    """Tell which ramps were taken while the telescope pointed elsewhere.

    Parameters
    ----------
    times : (n_ramp,) ndarray
        Unix times of the ramps of one chop position, s.
    ramps_per_cycle : int
        Ramps of that position in one cycle of the chopper; they stand or fall together.
    errors : PointingErrors
        Of the flight.
    limit : float
        Largest distance, arcsec.

    Returns
    -------
    (n_ramp,) ndarray of bool
        False where the distance is not known.
    """
    first = np.arange(0, len(times), ramps_per_cycle)
    middle = np.add.reduceat(times, first) / np.diff(np.append(first, len(times)))
    distance = np.interp(middle, errors.time, errors.distance, left=np.nan, right=np.nan)
    with np.errstate(invalid="ignore"):
        astray: BoolArray = np.repeat(distance >= limit, ramps_per_cycle)[: len(times)]
    return astray
