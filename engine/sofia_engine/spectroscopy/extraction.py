"""Extraction of spectra from rectified images: summed, or weighted with the spatial profile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from sofia_engine.errors import InputError
from sofia_engine.numerics.row_polynomials import RowFits, fit_rows
from sofia_engine.numerics.statistics import median_ignoring_nan
from sofia_engine.spectroscopy.aperture_mask import ApertureWeights, read_aperture

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import BoolArray, FloatArray

__all__ = ["BackgroundErrors", "ExtractionRule", "ExtractionTask", "Spectra", "extract_medians", "extract_spectra",
           "find_missing_shares"]  # fmt: skip

PROFILE_ACCURACY = 0.03
"""Deviations up to this share of the source's peak are no outliers but the limits of the profile: else the cores of
bright sources would be rejected, as the threshold is set by the noise of the dark rows."""


@dataclass(frozen=True)
class ExtractionRule:
    """How spectra are extracted.

    Attributes
    ----------
    method : {"optimal", "standard"}
        ``optimal`` weights the pixels of the inner aperture with profile over variance (Horne 1986); ``standard`` sums
        the PSF.
    fix_bad : bool
        Replace bad pixels and outliers by the profile scaled to the good pixels of the column.
    threshold : float
        Pixels of a column further from the scaled profile than this are outliers.
    profile_error : float
        Relative error of the profile. Light outside the inner aperture (optimal extraction), and of pixels that are
        bad or outliers, is inferred from the rest with the profile and not known better than that.
    """

    method: Literal["optimal", "standard"] = "optimal"
    fix_bad: bool = True
    threshold: float = 10.0
    profile_error: float = 0.0


@dataclass(frozen=True, eq=False)
class BackgroundErrors:
    """Covariance of a subtracted background, which all rows of a column share.

    Attributes
    ----------
    fits : RowFits
        See `sofia_engine.spectroscopy.background`.
    slit : (ns,) ndarray
        Slit positions of the rows.
    """

    fits: RowFits
    slit: FloatArray

    def add(self, coefficients: FloatArray) -> FloatArray:
        """Variance (nw,) of sums with coefficients (ns, nw) beyond what the variances of single pixels hold already."""
        sums = coefficients.T @ self._powers()
        total = np.einsum("wt,wtu,wu->w", sums, np.nan_to_num(self.fits.covariance), sums)
        extra: FloatArray = total - (coefficients**2 * self.of_pixels()).sum(axis=0)
        return extra

    def of_pixels(self) -> FloatArray:
        """Variance (ns, nw) that the background has added to each pixel."""
        powers, covariance = self._powers(), np.nan_to_num(self.fits.covariance)
        single: FloatArray = np.einsum("st,wtu,su->sw", powers, covariance, powers)
        return single

    def _powers(self) -> FloatArray:
        points = (self.slit - self.fits.offset) / self.fits.scale
        powers: FloatArray = points[:, np.newaxis] ** np.arange(self.fits.covariance.shape[1])
        return powers


@dataclass(frozen=True, eq=False)
class ExtractionTask:
    """A rectified image ready for extraction.

    Attributes
    ----------
    flux, variance : (ns, nw) ndarray
        Background-subtracted; NaN is missing.
    bad : (ns, nw) ndarray of bool
        Bad pixels.
    profile : (ns, nw) ndarray
        Spatial map; a median profile is to be broadcast.
    mask : (ns, nw) ndarray
        Aperture mask, see `sofia_engine.spectroscopy.aperture_mask`.
    signs : sequence of int
        Of the apertures.
    background : BackgroundErrors, optional
        Errors of the background, if one has been subtracted.
    """

    flux: FloatArray
    variance: FloatArray
    bad: BoolArray
    profile: FloatArray
    mask: FloatArray
    signs: Sequence[int]
    background: BackgroundErrors | None = None


@dataclass(frozen=True, eq=False)
class Spectra:
    """Extracted spectra, and the image they were taken from.

    Attributes
    ----------
    flux, error : (n, nw) ndarray
        One row per aperture; NaN where nothing could be extracted.
    failed : (n, nw) ndarray of bool
        Columns where weighted extraction found no usable pixel.
    image, image_error : (ns, nw) ndarray
        With bad pixels replaced and negative apertures turned positive.
    bad : (ns, nw) ndarray of bool
        Pixels that are bad or were replaced.
    fixed : (ns, nw) ndarray of bool
        Pixels that were replaced.
    outliers : (ns, nw) ndarray of bool
        Good pixels that deviate from the scaled profile.
    """

    flux: FloatArray
    error: FloatArray
    failed: BoolArray
    image: FloatArray
    image_error: FloatArray
    bad: BoolArray
    fixed: BoolArray
    outliers: BoolArray


def extract_spectra(task: ExtractionTask, rule: ExtractionRule | None = None) -> Spectra:
    """Extract the spectra of all apertures.

    Parameters
    ----------
    task : ExtractionTask
        Image, profile, mask.
    rule : ExtractionRule, optional
        Method and rejection.

    Raises
    ------
    InputError
        If the arrays differ in shape.

    Notes
    -----
    Bad pixels and outliers are found by a robust straight-line fit of each column against its profile. The error of
    the subtracted background is the same for all pixels of a column, so it is added to the sums with its full
    covariance and not pixel by pixel.

    References
    ----------
    Horne, K. 1986, PASP, 98, 609.
    """
    rule = rule or ExtractionRule()
    if len({a.shape for a in (task.flux, task.variance, task.bad, task.profile, task.mask)}) != 1:
        raise InputError("Image, error, bad pixel mask, spatial map and aperture mask differ in shape.")
    flux, variance = np.array(task.flux, dtype=np.float64), np.array(task.variance, dtype=np.float64)
    offered = np.isfinite(flux) & ~task.bad
    good, fixed = offered, np.zeros(flux.shape, dtype=bool)
    if rule.fix_bad or rule.method == "optimal":
        model, noise, good = _model_columns(task, flux, variance, good, rule.threshold)
        if rule.fix_bad:
            fixed = ~good & np.isfinite(model) & np.isfinite(noise)
            flux, variance = np.where(fixed, model, flux), np.where(fixed, noise, variance)
    spectra = []
    for k, sign in enumerate(task.signs, start=1):
        aperture = read_aperture(task.mask, k)
        measured = ~fixed if rule.method == "standard" else aperture.inner & good
        values, noise, failed = _extract(flux, variance, good, task, aperture, sign, rule.method)
        inferred = _find_share(~measured, task.profile, aperture, sign)
        spectra.append((values, noise + (rule.profile_error * inferred * values) ** 2, failed))
    for k, sign in enumerate(task.signs, start=1):
        flux = np.where(read_aperture(task.mask, k).psf > 0, sign * flux, flux)
    values, noise, failed = (np.stack(part) for part in zip(*spectra, strict=True))
    return Spectra(values, np.sqrt(noise), failed, flux, np.sqrt(variance), task.bad | fixed, fixed, offered & ~good)


def _model_columns(
    task: ExtractionTask, flux: FloatArray, variance: FloatArray, good: BoolArray, threshold: float
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Flux and variance expected from the profile, and the pixels that agree with it.

    Far from its regions a background polynomial is extrapolated, and its variance grows without limit: such rows have
    little weight, and the variance of the background is no part of what is compared with the profile.
    """
    profile = task.profile
    floor = PROFILE_ACCURACY * _estimate_peaks(flux, good, profile)
    added = np.zeros(flux.shape) if task.background is None else task.background.of_pixels()
    own = variance - added
    level = median_ignoring_nan(np.where(good & (own > 0), own, np.nan), axis=0)
    weights = np.where(level > 0, level, 1.0) / (np.where(level > 0, level, 1.0) + added)
    signal = fit_rows(profile.T, flux.T, 1, threshold=threshold, weights=weights.T, mask=good.T, floor=floor)
    noise = fit_rows(np.abs(profile).T, own.T, 1, threshold=threshold, mask=good.T)
    place = np.nan_to_num(profile)
    expected = noise(np.abs(place).T).T
    expected = np.where(expected > 0, expected, level)
    return signal(place.T).T, np.where(expected > 0, expected + added, np.nan), signal.used.T


def _estimate_peaks(flux: FloatArray, good: BoolArray, profile: FloatArray) -> FloatArray:
    """Height of the source in each column: median ratio to the profile, over its upper half, times its peak."""
    peak = np.nan_to_num(np.abs(profile)).max(axis=0)
    upper = good & (np.abs(profile) > 0.5 * peak)
    ratio = np.where(upper, flux / np.where(upper, profile, 1.0), np.nan)
    heights: FloatArray = np.abs(median_ignoring_nan(ratio, axis=0)) * peak
    return heights


def _extract(
    flux: FloatArray,
    variance: FloatArray,
    good: BoolArray,
    task: ExtractionTask,
    aperture: ApertureWeights,
    sign: int,
    method: str,
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Spectrum, variance and failed columns of one aperture."""
    if method == "standard":
        coefficients = np.where(np.isfinite(flux), aperture.psf, 0.0)
    else:
        coefficients = _weigh(variance, good, task.profile, aperture, sign)
    empty = ~(coefficients != 0).any(axis=0)
    used = coefficients != 0
    values = sign * np.where(used, coefficients * np.where(used, flux, 0.0), 0.0).sum(axis=0)
    noise = np.where(used, coefficients**2 * np.where(used, variance, 0.0), 0.0).sum(axis=0)
    if task.background is not None:
        noise = noise + task.background.add(coefficients)
    failed = empty if method == "optimal" else np.zeros_like(empty)
    return np.where(empty, np.nan, values), np.where(empty, np.nan, np.maximum(noise, 0.0)), failed


def _find_share(chosen: BoolArray, profile: FloatArray, aperture: ApertureWeights, sign: int) -> FloatArray:
    """Share (nw) of the light of an aperture that falls on chosen pixels."""
    light = aperture.psf * np.maximum(sign * np.nan_to_num(profile), 0.0)
    total = light.sum(axis=0)
    share: FloatArray = np.where(chosen, light, 0.0).sum(axis=0) / np.where(total > 0, total, np.inf)
    return share


def find_missing_shares(task: ExtractionTask) -> FloatArray:
    """Share (n, nw) of the light of each aperture that falls on pixels without a value, by the spatial profile."""
    missing = ~np.isfinite(task.flux)
    return np.stack([_find_share(missing, task.profile, read_aperture(task.mask, number), sign)
                     for number, sign in enumerate(task.signs, start=1)])  # fmt: skip


def _weigh(
    variance: FloatArray, good: BoolArray, profile: FloatArray, aperture: ApertureWeights, sign: int
) -> FloatArray:
    """Coefficients of the pixels in weighted extraction: p/V over the sum of p²/V, p the profile of unit sum."""
    shape = np.maximum(sign * np.nan_to_num(profile), 0.0)
    total = (aperture.psf * shape).sum(axis=0)
    shape = shape / np.where(total > 0, total, np.inf)
    used = aperture.inner & good & (shape > 0) & (variance > 0)
    weight = np.where(used, shape / np.where(used, variance, 1.0), 0.0)
    norm = (weight * shape).sum(axis=0)
    return weight / np.where(norm > 0, norm, np.inf)


def extract_medians(flux: ArrayLike, variance: ArrayLike, mask: ArrayLike, count: int) -> tuple[FloatArray, FloatArray]:
    """Median over the whole pixels of each aperture, and the error of their mean.

    Parameters
    ----------
    flux, variance : (ns, nw) array_like
        NaN is missing.
    mask : (ns, nw) array_like
        Aperture mask.
    count : int
        Number of apertures.

    Returns
    -------
    (count, nw) ndarray, (count, nw) ndarray
        Spectra and errors; NaN where an aperture has no pixel.
    """
    data, spread = np.asarray(flux, dtype=np.float64), np.asarray(variance, dtype=np.float64)
    medians, errors = [], []
    for number in range(1, count + 1):
        inside = (read_aperture(mask, number).psf >= 1) & np.isfinite(data)
        medians.append(median_ignoring_nan(np.where(inside, data, np.nan), axis=0))
        size = inside.sum(axis=0)
        total = np.where(inside, spread, 0.0).sum(axis=0)
        errors.append(np.where(size > 0, np.sqrt(total) / np.maximum(size, 1), np.nan))
    return np.stack(medians), np.stack(errors)
