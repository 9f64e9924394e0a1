"""Spatial profile of a rectified order: the mean one, and how it changes with wavelength."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from sofia_engine.errors import StepError
from sofia_engine.numerics.row_polynomials import fit_rows
from sofia_engine.numerics.statistics import median_ignoring_nan

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import FloatArray

__all__ = ["ProfileRule", "SpatialProfile", "make_profiles"]

BRIGHT = 0.1


@dataclass(frozen=True)
class ProfileRule:
    """How profiles are made.

    Attributes
    ----------
    degree : int
        Degree in wavelength of the polynomial fitted to each row.
    threshold : float
        Its rejection threshold.
    subtract_background : bool
        Subtract the median of each column first.
    least_transmission : float
        Columns with less atmospheric transmission take no part; 0 for none.
    rows : {"bright", "all"}
        Rows whose median ratio to the profile gives the brightness of each column: ``bright``, those with at least
        a tenth of the largest profile; ``all``, also the dark ones, whose ratios are noise over noise, as in earlier
        reductions.
    """

    degree: int = 3
    threshold: float = 5.0
    subtract_background: bool = True
    least_transmission: float = 0.0
    rows: Literal["bright", "all"] = "bright"


@dataclass(frozen=True, eq=False)
class SpatialProfile:
    """Profiles along the slit.

    Attributes
    ----------
    median : (ns,) ndarray
        Median over the columns, its absolute values sum to 1.
    map : (ns, nw) ndarray
        Smooth profile of each column; rows without enough data are NaN.
    warnings : tuple of str
        What was wrong with the data.
    """

    median: FloatArray
    map: FloatArray
    warnings: tuple[str, ...] = ()


def make_profiles(
    image: ArrayLike, wavelength: ArrayLike, rule: ProfileRule | None = None, transmission: ArrayLike | None = None
) -> SpatialProfile:
    """Find the spatial profiles of a rectified image.

    Parameters
    ----------
    image : (ns, nw) array_like
        NaN is missing.
    wavelength : (nw,) array_like
        At the columns.
    rule : ProfileRule, optional
        Degree and thresholds.
    transmission : (nw,) array_like, optional
        Of the atmosphere; NaN counts as 0.

    Raises
    ------
    StepError
        If the image has no signal to make a profile of.

    References
    ----------
    Cushing, M. C., et al. 2004, PASP, 116, 362, section 4.
    """
    rule = rule or ProfileRule()
    data, x = np.array(image, dtype=np.float64), np.asarray(wavelength, dtype=np.float64)
    data[~np.isfinite(data)] = np.nan
    if rule.subtract_background:
        data = data - median_ignoring_nan(data, axis=0)
    if rule.least_transmission > 0 and transmission is not None:
        data[:, np.nan_to_num(np.asarray(transmission, dtype=np.float64)) < rule.least_transmission] = np.nan
    median = median_ignoring_nan(data, axis=1)
    total = float(np.nansum(np.abs(median)))
    if not total > 0:
        raise StepError("There is no signal to make a spatial profile of; check the image and the transmission limit.")
    median = median / total
    with np.errstate(divide="ignore", invalid="ignore"):
        normalized = data / _find_spectrum(data, median, rule.rows)
    normalized[~np.isfinite(normalized)] = np.nan
    fits = fit_rows(x, normalized, rule.degree, threshold=rule.threshold)
    missing = np.flatnonzero(~np.isfinite(median))
    warnings = (f"The spatial profile has no value in {missing.size} rows.",) if missing.size else ()
    return SpatialProfile(median, fits(x), warnings)


def _find_spectrum(data: FloatArray, median: FloatArray, rows: Literal["bright", "all"]) -> FloatArray:
    """Brightness of each column: median ratio to the profile."""
    size = np.abs(np.nan_to_num(median))
    chosen = size >= BRIGHT * size.max() if rows == "bright" else np.ones(size.shape, dtype=bool)
    # rows whose profile is exactly 0 give infinite ratios: they keep their rank in the median
    return median_ignoring_nan(data[chosen] / median[chosen, np.newaxis], axis=0)
