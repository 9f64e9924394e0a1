"""Tabulated functions of wavelength."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Curve"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """
    A tabulated function of wavelength.

    Parameters
    ----------
    wavelength
        Micrometres, rising.
    values
        Finite.
    """

    wavelength: FloatArray
    values: FloatArray

    def at(self, wavelength: FloatArray) -> FloatArray:
        """Interpolate linearly; outside the table its first and last value hold."""
        return np.asarray(np.interp(wavelength, self.wavelength, self.values))
