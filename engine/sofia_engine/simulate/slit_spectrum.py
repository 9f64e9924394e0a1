"""Spectra as a slit spectrograph sees them: continuum, lines, atmosphere, and the resolution of the instrument."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import ParameterError
from sofia_engine.simulate.options import check_number

__all__ = [
    "SpectralLine",
    "broaden",
    "check_sampling",
    "draw_spectrum",
    "find_line_width",
    "line_flux",
    "undo_pixels",
]

FloatArray = NDArray[np.float64]
_SIGMA_PER_FWHM = 1 / np.sqrt(8 * np.log(2))
_LIGHT_KM_S = 299792.458
_LIGHT_UM_S = 2.99792458e14
_W_M2_HZ_PER_JY = 1e-26
_REACH = 8
"""In standard deviations: outside lie 1e-15 of a Gaussian."""
_SAMPLES_PER_WIDTH = 300
"""Fine enough for the structure of atmosphere models."""
_COARSE = 20000
_PIXEL_BOXES = 3
_SHARPENINGS = 5
"""Features of 3 columns and more come back to 0.1 %; finer ones are not in rectified spectra."""


@dataclass(frozen=True)
class SpectralLine:
    """
    A Gaussian line.

    Parameters
    ----------
    wavelength_um
        Centre, micrometres.
    equivalent_width_um
        Its flux over the continuum per micrometre there; negative for absorption.
    fwhm_km_s
        Full width at half maximum before the instrument broadens the line.
    name
        For the reader.
    """

    wavelength_um: float
    equivalent_width_um: float
    fwhm_km_s: float = 100.0
    name: str = ""

    def __post_init__(self) -> None:
        check_number("lines.wavelength_um", self.wavelength_um, 0.1, 1000)
        check_number("lines.equivalent_width_um", self.equivalent_width_um, -100, 100)
        check_number("lines.fwhm_km_s", self.fwhm_km_s, 1, 1e5)


def draw_spectrum(
    wavelength: FloatArray, reference_um: float, slope: float, lines: Sequence[SpectralLine]
) -> FloatArray:
    """
    Draw a power law with lines, before the instrument broadens it.

    Parameters
    ----------
    wavelength
        Micrometres.
    reference_um
        Where the continuum is 1.
    slope
        Exponent of wavelength in the continuum of F_nu.
    lines
        The lines; their flux is that of a Gaussian in wavelength.

    Returns
    -------
    ndarray
        F_nu relative to the continuum at the reference wavelength.
    """
    continuum = np.asarray((wavelength / reference_um) ** slope)
    total = continuum.copy()
    for line in lines:
        sigma = line.fwhm_km_s / _LIGHT_KM_S * line.wavelength_um * _SIGMA_PER_FWHM
        shape = np.exp(-0.5 * ((wavelength - line.wavelength_um) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
        total += (line.wavelength_um / reference_um) ** slope * line.equivalent_width_um * shape
    return total


def line_flux(line: SpectralLine, continuum_jy: float) -> float:
    """
    Give the flux of a line, W/m2; negative for absorption.

    Parameters
    ----------
    line
        The line.
    continuum_jy
        Continuum at its centre, Jy.
    """
    per_um = continuum_jy * _W_M2_HZ_PER_JY * _LIGHT_UM_S / line.wavelength_um**2
    return per_um * line.equivalent_width_um


def find_line_width(wavelength: FloatArray, resolution: float) -> FloatArray:
    """
    Give the standard deviation of an unresolved line in the rectified spectrum, micrometres.

    Parameters
    ----------
    wavelength
        Micrometres.
    resolution
        Wavelength over full width at half maximum.
    """
    return np.asarray(wavelength * _SIGMA_PER_FWHM / resolution)


def check_sampling(wavelength: FloatArray, resolution: float, column_um: float) -> None:
    """
    Make sure that pixels are fine enough for a resolving power.

    Raises
    ------
    ParameterError
        If what pixels do to a line (`undo_pixels`) makes it broader than it is to be.
    """
    variance = find_line_width(wavelength, resolution) ** 2 - _PIXEL_BOXES * column_um**2 / 12
    if variance.min() <= 0:
        raise ParameterError(f"Pixels of {column_um:.4g} um cannot give a resolving power of {resolution:g}; lower it.")


def undo_pixels(values: FloatArray, samples: int) -> FloatArray:
    """
    Sharpen a rectified spectrum to what shone on the detector.

    Integration over the pixels of detector and of rectified spectrum, and the step in between, smooth like boxes one
    column wide, one after the other. What they take away is added again and again (van Cittert 1931, Zeitschrift für
    Physik 69, 298).

    Parameters
    ----------
    values
        Spectrum as the mean rectified column shows it, in equal steps.
    samples
        Steps per column, even.
    """
    box = np.ones(samples + 1)
    box[[0, -1]] = 0.5
    kernel = np.ones(1)
    for _ in range(_PIXEL_BOXES):
        kernel = np.convolve(kernel, box / samples)
    margin = kernel.size // 2
    sharp = values
    for _ in range(_SHARPENINGS):
        sharp = sharp + values - np.convolve(np.pad(sharp, margin, mode="edge"), kernel, mode="valid")
    return sharp


def broaden(
    draw: Callable[[FloatArray], FloatArray], width: Callable[[FloatArray], FloatArray], wavelength: FloatArray
) -> FloatArray:
    """
    Convolve a spectrum with a Gaussian whose width changes with wavelength.

    The work is done on a grid whose steps are a constant part of the width, where the kernel is the same everywhere.

    Parameters
    ----------
    draw
        Gives the spectrum at wavelengths.
    width
        Gives the standard deviation of the Gaussian there, micrometres.
    wavelength
        Where the result is wanted, micrometres, rising.
    """
    from scipy.signal import fftconvolve

    margin = _REACH * float(width(wavelength[-1:])[0])
    coarse = np.linspace(wavelength[0] - margin, wavelength[-1] + margin, _COARSE)
    scale = np.concatenate([[0.0], np.cumsum(np.diff(coarse) * 2 / (width(coarse[1:]) + width(coarse[:-1])))])
    fine = np.interp(np.arange(0, scale[-1], 1 / _SAMPLES_PER_WIDTH), scale, coarse)
    offset = np.arange(-_REACH * _SAMPLES_PER_WIDTH, _REACH * _SAMPLES_PER_WIDTH + 1) / _SAMPLES_PER_WIDTH
    kernel = np.exp(-0.5 * offset**2)
    blurred = fftconvolve(draw(fine), kernel / kernel.sum(), mode="same")
    return np.asarray(np.interp(wavelength, fine, blurred))
