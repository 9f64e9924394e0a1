"""
The FORCAST detectors: what happens between the light that falls on them and the numbers in a raw file.

Planes have the shape (256, 256) and the unit ADU (counts of one averaged frame); x runs along the second axis.
The order of the effects is nonlinearity, droop, noise, jailbars, bad pixels, readout shift.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import ParameterError

__all__ = [
    "CAPACITANCES",
    "CHANNELS",
    "DETECTOR_SHAPE",
    "BadPixels",
    "Capacitance",
    "NoiseModel",
    "Nonlinearity",
    "add_jailbars",
    "apply_droop",
    "apply_nonlinearity",
    "draw_noise",
    "find_nonlinearity",
    "make_bad_pixel_mask",
    "measure_level",
    "shift_readout",
    "spoil_pixels",
]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
DETECTOR_SHAPE = (256, 256)
CHANNELS = 16
_CENTER, _HALF_SECTION = 128, 95
_EXAMINED_ROWS = {"SW": slice(36, 75), "LW": slice(178, 189)}
_EXAMINED_COLUMNS = {"SW": slice(0, 2), "LW": slice(47, 61)}


@dataclass(frozen=True)
class Capacitance:
    """
    Setting of the integration capacitor.

    Parameters
    ----------
    electrons_per_adu
        Gain g (EPERADU).
    read_noise
        RN, electrons.
    """

    electrons_per_adu: int
    read_noise: float


CAPACITANCES = {"lo": Capacitance(136, 244.8), "hi": Capacitance(1294, 2400.0)}


@dataclass(frozen=True)
class NoiseModel:
    """
    Noise of a raw plane: V = N beta_g / (F t g) + (RN / g)**2 / (F t), ADU**2.

    Parameters
    ----------
    frame_rate
        F, Hz.
    integration_time
        t of one plane, s (half of DETITIME).
    electrons_per_adu
        g.
    read_noise
        RN, electrons per frame.
    beta_g
        Excess noise factor.
    """

    frame_rate: float
    integration_time: float
    electrons_per_adu: float
    read_noise: float
    beta_g: float = 1.0

    @property
    def frames(self) -> float:
        """Number F t of frames averaged in a plane."""
        return self.frame_rate * self.integration_time

    def variance(self, counts: FloatArray) -> FloatArray:
        """
        Give the variance.

        Parameters
        ----------
        counts
            N, ADU.

        Returns
        -------
        ndarray
            V, ADU**2.
        """
        photons = counts * self.beta_g / (self.frames * self.electrons_per_adu)
        return photons + (self.read_noise / self.electrons_per_adu) ** 2 / self.frames


@dataclass(frozen=True)
class Nonlinearity:
    """
    Raw level over linear level: P((L - R) / S) with L the median raw level of a plane.

    Parameters
    ----------
    reference, scale
        R and S, ADU.
    limits
        Range of L in which the correction is known, ADU.
    coefficients
        Of P, constant first.
    """

    reference: float
    scale: float
    limits: tuple[float, float]
    coefficients: tuple[float, ...]

    def factor(self, level: float) -> float:
        """Give P for a raw level L (ADU)."""
        return float(np.polynomial.polynomial.polyval((level - self.reference) / self.scale, self.coefficients))


_C_SW_HI = Nonlinearity(
    7000, 7000, (1613.2, 11349.0), (0.99662136, 0.41674931, -0.037328637, -0.073270770, -0.10386704, 0.015290507)
)
_C_SW_LO = Nonlinearity(
    6000, 6000, (1926.0, 11905.0), (0.99762921, 0.34382635, -0.019972477, -0.040238521, -0.16961677, 0.080713727)
)
_B_SW = Nonlinearity(7000, 7000, (1900.0, 12100.0), (0.9999799, 0.3928009, -0.1678593, -0.1127662))
_BC_LW_HI = Nonlinearity(7000, 7000, (2500.0, 11000.0), (0.9990756, 0.3431573, -0.0614661, -0.0603023, -0.2518475))
_BC_LW_LO = Nonlinearity(7000, 7000, (2500.0, 11000.0), (0.9986659, 0.3415591, -0.1474720, -0.0784636))
_E_SW = Nonlinearity(
    9000,
    1000,
    (2087.0, 13227.0),
    (
        1.0,
        0.039441412,
        -0.00072236275,
        0.0042965104,
        0.00010102847,
        -0.00051258858,
        -0.00011479429,
        -7.3237058e-06,
    ),
)
_E_LW_HI = Nonlinearity(
    9000,
    1000,
    (2047.0, 12414.0),
    (
        1.0,
        0.028168238,
        -0.0043187876,
        0.00081871971,
        -0.00017754143,
        -0.00025721829,
        -5.2943136e-05,
        -3.2265402e-06,
    ),
)
_E_LW_LO = Nonlinearity(
    9000, 1000, (3118.0, 11658.0), (1.0, 0.013623660, -0.0027946248, -0.0016678753, -0.00056937559, -4.9890929e-05)
)
_NONLINEARITY = (
    (20130501, {("SW", "hi"): _E_SW, ("SW", "lo"): _E_SW, ("LW", "hi"): _E_LW_HI, ("LW", "lo"): _E_LW_LO}),
    (20131231, {("SW", "hi"): _B_SW, ("SW", "lo"): _B_SW, ("LW", "hi"): _BC_LW_HI, ("LW", "lo"): _BC_LW_LO}),
    (99999999, {("SW", "hi"): _C_SW_HI, ("SW", "lo"): _C_SW_LO, ("LW", "hi"): _BC_LW_HI, ("LW", "lo"): _BC_LW_LO}),
)
"""Last day (YYYYMMDD) and the curves by camera and capacitance."""


def find_nonlinearity(date: int, camera: str, capacitance: str) -> Nonlinearity:
    """
    Choose the nonlinearity of a detector.

    Parameters
    ----------
    date
        YYYYMMDD.
    camera
        ``SW`` or ``LW``.
    capacitance
        ``lo`` or ``hi``.
    """
    return next(curves for until, curves in _NONLINEARITY if date <= until)[camera, capacitance]


def measure_level(plane: FloatArray, good: BoolArray) -> float:
    """
    Measure the median of a plane over its central section of 190 by 190 pixels, borders excluded.

    Parameters
    ----------
    plane
        ADU.
    good
        True where a pixel counts.
    """
    section = slice(_CENTER - _HALF_SECTION + 1, _CENTER + _HALF_SECTION)
    return float(np.median(plane[section, section][good[section, section]]))


def apply_nonlinearity(plane: FloatArray, good: BoolArray, nonlinearity: Nonlinearity) -> FloatArray:
    """
    Turn linear counts into those of the detector.

    The factor belongs to the raw level, which is looked for so that level = P(level) * linear level.

    Parameters
    ----------
    plane
        Linear counts, ADU.
    good
        True where a pixel counts for the level.
    nonlinearity
        The curve.

    Returns
    -------
    ndarray
        Nonlinear counts; dividing by P of their own level gives ``plane``.

    Raises
    ------
    ParameterError
        If the raw level would lie outside the limits of the curve.
    """
    from scipy.optimize import brentq

    linear = measure_level(plane, good)
    low, high = nonlinearity.limits

    def miss(level: float) -> float:
        return level - nonlinearity.factor(level) * linear

    if miss(low) * miss(high) > 0:
        raise ParameterError(
            f"A background level of {linear:.0f} ADU is outside the range of the nonlinearity of this detector "
            f"(raw level {low:g} to {high:g} ADU); change 'sky_level' or 'sky_drift', or set nonlinearity=False."
        )
    level: float = brentq(miss, low, high, xtol=1e-9)
    return plane * nonlinearity.factor(level)


def apply_droop(plane: FloatArray, good: BoolArray, fraction: float) -> FloatArray:
    """
    Lower each pixel by a fraction of the summed output of the 16 pixels read out with it.

    Parameters
    ----------
    plane
        ADU.
    good
        True where a pixel gives a signal; others do not take part in the sums.
    fraction
        Droop fraction f: read-out value + f * (sum of read-out values of the block) is the value before.

    Returns
    -------
    ndarray
        Counts after droop.
    """
    blocks = plane.reshape(plane.shape[0], -1, CHANNELS)
    members = good.reshape(blocks.shape)
    sums = np.sum(blocks, axis=2, where=members, keepdims=True)
    drooped_sums = sums / (1 + fraction * members.sum(axis=2, keepdims=True))
    return np.asarray((blocks - fraction * drooped_sums).reshape(plane.shape))


def draw_noise(plane: FloatArray, noise: NoiseModel, random: np.random.Generator) -> FloatArray:
    """
    Draw the detected electrons of a plane from Poisson's distribution, and add Gaussian read noise.

    Parameters
    ----------
    plane
        Expected counts, ADU; negative ones give no photon noise.
    noise
        Noise model with beta_g = 1.
    random
        Source of random numbers.
    """
    electrons_per_adu = noise.frames * noise.electrons_per_adu
    photons = random.poisson(np.maximum(plane, 0) * electrons_per_adu) / electrons_per_adu
    read_noise = noise.read_noise / noise.electrons_per_adu / np.sqrt(noise.frames)
    return np.asarray(photons + np.minimum(plane, 0) + random.normal(0, read_noise, plane.shape))


def add_jailbars(plane: FloatArray, amplitude: float, random: np.random.Generator) -> FloatArray:
    """
    Add an offset to each readout channel, which repeats every 16 pixels in x; the offsets add up to zero.

    Parameters
    ----------
    plane
        ADU.
    amplitude
        Standard deviation of the offsets, ADU.
    random
        Source of random numbers.
    """
    offsets = random.normal(0, amplitude, CHANNELS)
    return np.asarray(plane + np.tile(offsets - offsets.mean(), plane.shape[1] // CHANNELS))


@dataclass(frozen=True)
class BadPixels:
    """
    Pixels that give no useful signal, and the values they give instead.

    Parameters
    ----------
    mask
        True where bad.
    values
        ADU; used where bad.
    """

    mask: BoolArray
    values: FloatArray

    @cached_property
    def good(self) -> BoolArray:
        """True where a pixel is good."""
        return ~self.mask

    @classmethod
    def draw(cls, mask: BoolArray, random: np.random.Generator) -> BadPixels:
        """
        Make half of the bad pixels dead (0 to 20 ADU) and half hot (15000 to 60000 ADU).

        Parameters
        ----------
        mask
            True where bad.
        random
            Source of random numbers.
        """
        dead = random.uniform(0, 20, mask.shape)
        hot = random.uniform(15000, 60000, mask.shape)
        return cls(mask, np.where(random.random(mask.shape) < 0.5, dead, hot))


def spoil_pixels(plane: FloatArray, bad: BadPixels, random: np.random.Generator) -> FloatArray:
    """
    Replace bad pixels by their own values, which flicker by 5 percent.

    Parameters
    ----------
    plane
        ADU.
    bad
        The bad pixels.
    random
        Source of random numbers.
    """
    return np.asarray(np.where(bad.mask, bad.values * random.normal(1, 0.05, plane.shape), plane))


def shift_readout(plane: FloatArray) -> FloatArray:
    """
    Move a plane by one block of channels to higher x, as happens when the readout loses step.

    Parameters
    ----------
    plane
        ADU.
    """
    return np.asarray(np.roll(plane, CHANNELS, axis=1))


def make_bad_pixel_mask(camera: str, random: np.random.Generator) -> BoolArray:
    """
    Make a mask of about 350 scattered bad pixels and the cluster by which a readout shift can be seen.

    Parameters
    ----------
    camera
        ``SW`` or ``LW``, which have the cluster at different places.
    random
        Source of random numbers.
    """
    mask = random.random(DETECTOR_SHAPE) < 350 / np.prod(DETECTOR_SHAPE)
    rows, columns = _EXAMINED_ROWS[camera], _EXAMINED_COLUMNS[camera]
    mask[rows] = False
    mask[rows, columns] = random.random(mask[rows, columns].shape) < 0.4
    return mask
