"""Spatial profile of a rectified order: the mean one, and how it changes with wavelength."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from sofia_engine.errors import StepError
from sofia_engine.numerics.derivatives import differentiate
from sofia_engine.numerics.interpolation import Interpolation, interpolate_image
from sofia_engine.numerics.row_polynomials import fit_rows
from sofia_engine.numerics.statistics import median_ignoring_nan
from sofia_engine.spectroscopy.drifts import measure_drift, measure_shifts, move_columns, track_drift

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import FloatArray

__all__ = ["ProfileRule", "SpatialProfile", "add_blur", "follow_trace", "make_profiles"]

BRIGHT = 0.1
ROUNDS = 4
LEAST_DRIFT, DRIFT_ACCURACY = 0.05, 0.005
"""Rows; polynomials follow a smaller drift to 0.05 % of the flux."""
LARGEST_SCATTER = 0.3
"""Rows, median of the places of single columns about the polynomial: a star has it at a signal-to-noise ratio of 5."""
_SMALL_SHIFT = np.array([0.5])
"""Rows; places of columns that are never outliers, as the drift is not quite a polynomial."""
_ALONG_SLIT = Interpolation(order=3, edge="nearest", extrapolate=True, minimum_weight=0.9)


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
    image: ArrayLike,
    wavelength: ArrayLike,
    rule: ProfileRule | None = None,
    transmission: ArrayLike | None = None,
    blur: ArrayLike | None = None,
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
    blur : (ns, nw) array_like, optional
        Variance along the slit, in rows squared, that the pixels of the image add to the profile. Where it changes
        faster along the spectrum than the polynomials can follow, the map is widened and narrowed by it.

    Raises
    ------
    StepError
        If the image has no signal to make a profile of.

    Notes
    -----
    The polynomials hold what the map changes beside a profile that keeps its shape and moves along the slit, as it
    does on a trace that is inclined or curved; how it moves is found from polynomials alone first. Not where all rows
    scale the profile, the way of earlier reductions, nor in faint sources.

    A profile P seen through pixels that add the variance v to its width becomes P + v/2 P'', to second order. The
    polynomials hold what is smooth in v; the rest is added with the second derivative of the smooth map.

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
    smooth = fits(x)
    if rule.rows == "bright":
        smooth = _refit_moving(x, data, smooth, rule)
    if blur is not None:
        smooth = add_blur(smooth, _leave_ripple(np.asarray(blur, dtype=np.float64), rule.degree))
    return SpatialProfile(median, smooth, warnings)


def add_blur(profile: FloatArray, blur: ArrayLike) -> FloatArray:
    """Widen (or narrow) profiles along the slit by a variance, in rows squared, to first order in it.

    Parameters
    ----------
    profile : (ns, nw) ndarray
        NaN is missing; profiles beside it stay as they are.
    blur : array_like
        Shapes that broadcast against the profile.
    """
    wider: FloatArray = profile + 0.5 * np.asarray(blur, dtype=np.float64) * differentiate(profile, 2, axis=0)
    return wider


def _refit_moving(x: FloatArray, data: FloatArray, smooth: FloatArray, rule: ProfileRule) -> FloatArray:
    """Fit the rows again, as changes of a profile that moves along the slit as the source does.

    The rows of a profile that moves by a part of its width rise and fall faster than the polynomials can follow.
    Sources too faint to tell in single columns where they are keep the map they have.
    """
    drift = measure_drift(smooth)
    if np.ptp(drift) < LEAST_DRIFT:
        return smooth
    refit = _refit_from(x, data, smooth, drift, rule)
    if refit is None:  # the polynomials are lost where the source moves by more than its width
        tracked = track_drift(data)
        refit = _refit_from(x, data, follow_trace(data, tracked), tracked, rule)
    return smooth if refit is None else refit


def _refit_from(
    x: FloatArray, data: FloatArray, smooth: FloatArray, drift: FloatArray, rule: ProfileRule
) -> FloatArray | None:
    """The map, from a first one and its drift; None if single columns do not agree on where the source is."""
    filled = smooth
    for _ in range(ROUNDS):
        moving = _follow(data, filled, drift)
        change = _normalize(data, moving) - moving
        places = drift + measure_shifts(change, moving)
        found = fit_rows(x, places[np.newaxis], rule.degree, threshold=rule.threshold, floor=_SMALL_SHIFT)(x)[0]
        if not np.nanmedian(np.abs(places - found)) < LARGEST_SCATTER:
            return None
        if np.ptp(found - drift) < DRIFT_ACCURACY:
            break
        filled, drift = moving, found - found.mean()
    refit: FloatArray = moving + fit_rows(x, change, rule.degree, threshold=rule.threshold)(x)
    return refit


def _normalize(data: FloatArray, profile: FloatArray) -> FloatArray:
    """Columns over their brightness, the median ratio to the upper nine tenths of a profile."""
    height = np.abs(np.nan_to_num(profile))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(height >= BRIGHT * height.max(axis=0), data / profile, np.nan)
        normalized: FloatArray = data / median_ignoring_nan(ratio, axis=0)
    normalized[~np.isfinite(normalized)] = np.nan
    return normalized


def _follow(data: FloatArray, smooth: FloatArray, drift: FloatArray) -> FloatArray:
    """Median profile of columns that are moved to a straight trace, moved back; rows without data are NaN."""
    relative = _normalize(data, smooth)
    missing = np.isnan(relative)
    profile = median_ignoring_nan(move_columns(np.where(missing, np.nan_to_num(smooth), relative), drift), axis=1)
    moving = move_columns(np.repeat(profile[:, np.newaxis] / np.abs(profile).sum(), drift.size, axis=1), -drift)
    moving[missing.all(axis=1)] = np.nan
    return moving


def _leave_ripple(values: FloatArray, degree: int) -> FloatArray:
    """Rows without their polynomials of a degree."""
    basis = np.polynomial.legendre.legvander(np.linspace(-1.0, 1.0, values.shape[1]), degree)
    orthogonal = np.linalg.qr(basis)[0]
    ripple: FloatArray = values - (values @ orthogonal) @ orthogonal.T
    return ripple


def follow_trace(image: ArrayLike, rows: ArrayLike) -> FloatArray:
    """Median profile that moves along the slit with the trace of a source.

    Parameters
    ----------
    image : (ns, nw) array_like
        Rectified image without background; NaN is missing.
    rows : (nw,) array_like
        Row of the source at each column.

    Returns
    -------
    (ns, nw) ndarray
        The columns are moved so that the trace is straight, divided by their brightness, and the median of them moved
        back. A median of columns that are not moved is broader than the source in any of them, and off its centre:
        weighted extraction with it is wrong by some per cent.
    """
    data, places = np.asarray(image, dtype=np.float64), np.asarray(rows, dtype=np.float64)
    offset = places - np.median(places)
    y, x = np.indices(data.shape, dtype=np.float64)
    straight = interpolate_image(data, np.stack([y + offset, x]), _ALONG_SLIT)
    median = median_ignoring_nan(straight, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        straight = straight / _find_spectrum(straight, median, "bright")
    straight[~np.isfinite(straight)] = np.nan
    profile = median_ignoring_nan(straight, axis=1)
    profile = np.nan_to_num(profile) / np.nansum(np.abs(profile))
    moved: FloatArray = interpolate_image(
        np.repeat(profile[:, np.newaxis], data.shape[1], axis=1), np.stack([y - offset, x]), _ALONG_SLIT
    )
    return moved


def _find_spectrum(data: FloatArray, median: FloatArray, rows: Literal["bright", "all"]) -> FloatArray:
    """Brightness of each column: median ratio to the profile."""
    size = np.abs(np.nan_to_num(median))
    chosen = size >= BRIGHT * size.max() if rows == "bright" else np.ones(size.shape, dtype=bool)
    # rows whose profile is exactly 0 give infinite ratios: they keep their rank in the median
    return median_ignoring_nan(data[chosen] / median[chosen, np.newaxis], axis=0)
