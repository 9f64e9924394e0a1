"""What is done to maps of sources besides smoothing and clipping: outliers, large scales, entropy, responses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.scan import flags
from sofia_engine.scan.averages import divide, find_typical_gain
from sofia_engine.scan.map_grid import Beam
from sofia_engine.scan.smoothing import smooth_map

if TYPE_CHECKING:
    from sofia_engine.numerics.arrays import BoolArray, FloatArray
    from sofia_engine.scan.map_grid import MapGrid
    from sofia_engine.scan.source import SkyMap
    from sofia_engine.scan.timestream import Scan

__all__ = ["drop_outliers", "filter_large_scales", "fit_couplings", "prefer_smooth"]

_SLOPE = 0.6


def drop_outliers(sky: SkyMap, level: float) -> int:
    """Forget pixels that differ from the mean of their neighbours in the plane by so many standard deviations.

    Neighbours are weighted with the inverse square of their distance. The peak of a point source, in pixels of a third
    of its width, stands above their mean by half of it; so much is allowed.

    Returns
    -------
    int
        Number of such pixels.
    """
    from scipy.ndimage import correlate

    kernel = np.array([[[0.5, 1.0, 0.5], [1.0, 0.0, 1.0], [0.5, 1.0, 0.5]]])
    valid = sky.valid
    weight = np.where(valid, sky.weight, 0.0)
    around = correlate(weight, kernel, mode="constant")
    mean = divide(correlate(weight * sky.flux, kernel, mode="constant"), around)
    square = correlate(weight, kernel**2, mode="constant")
    variance = divide(np.ones(weight.shape), weight) + divide(square, around**2)
    limit = level * np.sqrt(variance) + _SLOPE * np.abs(mean)
    odd = valid & (around > 0) & (np.abs(sky.flux - mean) > limit)
    sky.discard(odd)
    return int(odd.sum())


def filter_large_scales(sky: SkyMap, grid: MapGrid, width: float, beam: Beam, blank: float | None = None) -> None:
    """Subtract structure larger than a width on the sky, and put back what a point source loses by that.

    Parameters
    ----------
    sky : SkyMap
        Changed in place.
    grid : MapGrid
        Its pixels.
    width : float
        FWHM of the Gaussian that the map is smoothed to, arcsec.
    beam : Beam
        Width of a point source in the map.
    blank : float, optional
        Pixels above this signal-to-noise are not part of large structure, and are not corrected.
    """
    bright = np.abs(sky.significance) > blank if blank is not None else np.zeros(sky.flux.shape, dtype=bool)
    weight = np.where(sky.valid & ~bright, sky.weight, 0.0)
    large, _ = smooth_map(sky.flux, weight, grid, Beam(width))
    sky.flux = np.where(sky.valid, sky.flux - large, 0.0)
    kept = 1.0 - beam.spatial**2 / (beam.spatial**2 + width**2)
    change = np.where(bright, 1.0, 1.0 / kept)
    sky.flux *= change
    sky.weight /= change**2


def prefer_smooth(sky: SkyMap, strength: float) -> None:
    """Pull pixels towards zero by a multiple of their noise that grows with the logarithm of their significance.

    Maps of largest entropy (Kovács 2008): faint pixels lose most of their flux, bright ones little.
    """
    noise = np.where(sky.valid, np.nan_to_num(sky.noise), 0.0)
    size = np.hypot(sky.flux, noise)
    ratio = np.divide(size, noise, out=np.ones(size.shape), where=noise > 0)
    sky.flux = sky.flux - np.sign(sky.flux) * np.minimum(strength * noise * np.log(ratio), np.abs(sky.flux))


def fit_couplings(
    scan: Scan, expected: FloatArray, left: FloatArray, chosen: BoolArray, limits: tuple[float, float]
) -> None:
    """Fit the response of channels to a source of which a model is known.

    Parameters
    ----------
    scan : Scan
        Changed in place: couplings, and flags of channels whose coupling is out of range.
    expected, left : (n_frame, n_channel) ndarray
        What the model gives in each sample, and what is in the sample besides.
    chosen : (n_frame, n_channel) ndarray of bool
        Samples in pixels that are bright enough.
    limits : (float, float)
        Useful couplings.
    """
    used = chosen & scan.frames.mapped[:, np.newaxis] & ((scan.bad & (flags.SKIP | flags.SPIKE)) == 0)
    weight = np.where(used, scan.frames.weight[:, np.newaxis], 0.0)
    table = scan.channels
    change = divide((weight * expected * left).sum(axis=0), (weight * expected**2).sum(axis=0))
    coupling = table.coupling * (1.0 + change)
    seen = weight.any(axis=0) & (table.flag == 0)
    typical = find_typical_gain(coupling[seen])
    table.coupling = np.where(weight.any(axis=0), coupling / typical, table.coupling)
    outside = (table.coupling < limits[0]) | (table.coupling > limits[1])
    table.flag[outside] |= flags.BLIND
