"""The aperture mask: which pixels belong to which aperture, with what weight, and which show the background.

In the mask of a rectified image the PSF of aperture k has absolute values k - 1 < abs(m) <= k, the fraction above k - 1
being the share of the pixel inside the PSF; the inner part that weighted extraction uses is negative; background is
NaN; all else 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from sofia_engine.errors import StepError
from sofia_engine.spectroscopy.apertures import slit_index

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import BoolArray, FloatArray
    from sofia_engine.spectroscopy.apertures import Aperture

__all__ = ["ApertureWeights", "EdgeRule", "make_aperture_mask", "read_aperture", "read_background"]

EdgeRule = Literal["coverage", "lower"]


@dataclass(frozen=True, eq=False)
class ApertureWeights:
    """One aperture of a mask.

    Attributes
    ----------
    psf : (ns, nw) ndarray
        Share of each pixel inside the PSF, 0 to 1.
    inner : (ns, nw) ndarray of bool
        Pixels used by weighted extraction.
    """

    psf: FloatArray
    inner: BoolArray


def make_aperture_mask(
    slit: ArrayLike,
    traces: ArrayLike,
    apertures: Sequence[Aperture],
    background: Sequence[tuple[float, float]] = (),
    *,
    edges: EdgeRule = "coverage",
) -> FloatArray:
    """Make the mask of a rectified image.

    Parameters
    ----------
    slit : (ns,) array_like
        Slit positions of the rows, arcsec.
    traces : (n, nw) array_like
        Positions of the apertures at each column, arcsec.
    apertures : sequence of Aperture
        With radii, in rising order.
    background : sequence of (float, float)
        Start and stop of the background regions, arcsec.
    edges : {"coverage", "lower"}
        Weight of the outermost pixels of a PSF: ``coverage``, the share of the pixel inside it, where a PSF that
        reaches the first or last pixel centre takes that pixel whole; ``lower``, the rule of earlier reductions, whose
        lower edge has the share *outside* so that apertures are up to a pixel wider.

    Returns
    -------
    (ns, nw) ndarray
        See the module.

    Raises
    ------
    StepError
        If apertures overlap.
    """
    points, positions = np.asarray(slit, dtype=np.float64), np.atleast_2d(np.asarray(traces, dtype=np.float64))
    mask = np.zeros((points.size, positions.shape[1]))
    for start, stop in background:
        first, last = np.rint(slit_index(points, [start, stop])).astype(np.intp)
        mask[first : last + 1] = np.nan
    rows = np.arange(points.size, dtype=np.float64)[:, np.newaxis]
    for number, (aperture, trace) in enumerate(zip(apertures, positions, strict=True), start=1):
        low, high = (slit_index(points, trace + side * aperture.psf_radius) for side in (-1, 1))
        weight = _cover(rows, low, high) if edges == "coverage" else _cover_lower(rows, low, high)
        if (np.nan_to_num(mask)[weight > 0] != 0).any():
            raise StepError("The extraction apertures overlap. Please lower the aperture radii.")
        inner_low, inner_high = (slit_index(points, trace + side * aperture.radius) for side in (-1, 1))
        inner = (rows >= np.ceil(inner_low)) & (rows <= np.floor(inner_high))
        mask = np.where(weight > 0, (number - 1 + weight) * np.where(inner, -1, 1), mask)
    return mask


def _cover(rows: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Share of each row, half a row to each side of its centre, between two limits."""
    low, high = np.where(low <= 0, -0.5, low), np.where(high >= len(rows) - 1, len(rows) - 0.5, high)
    share: FloatArray = np.clip(np.minimum(high, rows + 0.5) - np.maximum(low, rows - 0.5), 0.0, 1.0)
    return share


def _cover_lower(rows: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Weights of earlier reductions: 1 from the row of the lower to that of the upper limit, with odd fractions."""
    first, last = np.floor(low), np.floor(high)
    weight = np.where((rows >= first) & (rows <= last), 1.0, 0.0)
    weight = np.where((rows == first) & (low > first), low - first, weight)
    return np.where((rows == last + 1) & (high > last), high - last, weight)


def read_aperture(mask: ArrayLike, number: int) -> ApertureWeights:
    """Weights and inner part of an aperture (numbered from 1)."""
    values = np.nan_to_num(np.asarray(mask, dtype=np.float64))
    inside = (np.abs(values) > number - 1) & (np.abs(values) <= number)
    return ApertureWeights(np.where(inside, np.abs(values) - (number - 1), 0.0), inside & (values < 0))


def read_background(mask: ArrayLike) -> BoolArray:
    """True for the background pixels of a mask."""
    background: BoolArray = np.isnan(np.asarray(mask, dtype=np.float64))
    return background
