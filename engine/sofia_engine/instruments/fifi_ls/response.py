"""Response of the instrument: counts per second and hertz for one jansky, by wavelength."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.errors import ReferenceDataError

if TYPE_CHECKING:
    from pathlib import Path

    from sofia_engine.numerics.arrays import FloatArray

__all__ = ["Response", "read_response"]


@dataclass(frozen=True, eq=False)
class Response:
    """Response curve.

    Attributes
    ----------
    wavelength, value, error : (n,) ndarray
        Um, rising; ADU/s/Hz/Jy; 1 sigma.
    """

    wavelength: FloatArray
    value: FloatArray
    error: FloatArray

    @property
    def mean_relative_error(self) -> float:
        """Mean of the relative error over the whole curve."""
        with np.errstate(divide="ignore", invalid="ignore"):
            relative = self.error / self.value
        finite = relative[np.isfinite(relative)]
        return float(finite.mean()) if finite.size else 0.0

    def at(self, wavelength: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the response and its relative error at some wavelengths; NaN outside the curve."""
        value, error = (
            np.interp(wavelength, self.wavelength, column, left=np.nan, right=np.nan)
            for column in (self.value, self.error)
        )
        value = np.where(value > 0, value, np.nan)
        return value, error / value


def read_response(path: Path) -> Response:
    """Read a response curve: rows wavelength, response, error in the first HDU.

    Raises
    ------
    ReferenceDataError
        If it cannot be read.
    """
    try:
        return _read_response(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise ReferenceDataError(f"The response file {path} cannot be read ({error}); give another one.") from error


@lru_cache(8)
def _read_response(path: Path, stamp: int) -> Response:  # noqa: ARG001 - a changed file is read anew
    from astropy.io import fits

    try:
        with fits.open(path, memmap=False) as hdus:
            rows = np.array(hdus[0].data, dtype=np.float64)
    except (OSError, TypeError, ValueError) as error:
        raise ReferenceDataError(f"The response file {path} cannot be read ({error}); give another one.") from error
    if rows.ndim != 2 or rows.shape[0] != 3 or rows.shape[1] < 2:
        raise ReferenceDataError(f"The response file {path} must hold 3 rows: wavelength, response, error.")
    return Response(*rows[:, np.argsort(rows[0])])
