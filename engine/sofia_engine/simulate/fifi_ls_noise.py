"""Noise of observations without chop: sky that all pixels see, drifts of single pixels, errors of their gains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sofia_engine.simulate.fifi_ls_schedule import RAMP_READOUTS, READOUT_S

if TYPE_CHECKING:
    from sofia_engine.simulate.fifi_ls_options import FifiLs

__all__ = ["draw_drifts", "draw_gain_errors", "draw_series"]

FloatArray = NDArray[np.float64]
_LOWEST_HZ = 0.02
"""Below this frequency the spectra of noise are flat."""
_PADDING = 4
"""Series are cut out of so many times longer ones, whose ends do not meet."""
_LEAST_GAIN = 0.1
_GAIN_STREAM = 7919
"""Sets the random numbers of gains apart from those of files, whose numbers are smaller."""


def draw_gain_errors(options: FifiLs, shape: tuple[int, int], seed: int, *, blue: bool) -> FloatArray:
    """
    Draw what the gains of pixels differ by from the published flat, as factors with the mean 1.

    Parameters
    ----------
    options
        Options of the simulation.
    shape
        (16, 25).
    seed
        Of the simulation: all files of a channel have the same gains.
    blue
        Whether it is the blue channel.
    """
    if not options.gain_scatter:
        return np.ones(shape)
    random = np.random.default_rng([seed, _GAIN_STREAM, int(blue)])
    factors = np.maximum(1 + options.gain_scatter * random.normal(0, 1, shape), _LEAST_GAIN)
    return np.asarray(factors / factors.mean())


def draw_series(n: int, count: int, slope: float, random: np.random.Generator) -> FloatArray:
    """
    Draw series of noise whose power falls with frequency.

    Parameters
    ----------
    n
        Number of ramps.
    count
        Number of independent series.
    slope
        Exponent of the fall of power with frequency: 0 for white noise.
    random
        Source of random numbers.

    Returns
    -------
    ndarray
        (n, count); the expected standard deviation over long times is 1.
    """
    length = _PADDING * n
    frequency = np.fft.rfftfreq(length, RAMP_READOUTS * READOUT_S)
    amplitude = np.maximum(frequency, _LOWEST_HZ) ** (-slope / 2)
    amplitude[0] = 0.0
    phases = random.normal(0, 1, (2, frequency.size, count))
    spectrum = (phases[0] + 1j * phases[1]) * amplitude[:, None]
    series = np.fft.irfft(spectrum, length, axis=0)
    expected = 2 * np.sqrt((amplitude**2).sum()) / length
    return np.asarray(series[:n] / expected)


def draw_drifts(options: FifiLs, n: int, places: FloatArray, random: np.random.Generator) -> FloatArray:
    """
    Draw what sky and detector add to the background of pixels of unit gain.

    Parameters
    ----------
    options
        Options of the simulation.
    n
        Number of ramps.
    places
        (25, 2) of the spaxels in the field, arcsec.
    random
        Source of random numbers.

    Returns
    -------
    ndarray
        (n, 16, 25) ADU per readout: noise of the sky that is the same in all pixels, that changes linearly across the
        field (its size is that at the edge of the field), and drifts that each pixel has of its own.
    """
    away = (places - places.mean(axis=0)) / np.abs(places - places.mean(axis=0)).max()
    slope = options.sky_noise_slope
    drifts = np.zeros((n, 16, 25))
    drifts += options.sky_noise_adu * draw_series(n, 1, slope, random)[:, :, None]
    drifts += options.sky_gradient_adu * (draw_series(n, 2, slope, random) @ away.T)[:, None, :]
    drifts += options.pixel_drift_adu * draw_series(n, 400, options.pixel_drift_slope, random).reshape(n, 16, 25)
    return drifts
