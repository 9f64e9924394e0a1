"""Search for a given number of point sources, of either sign, in an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.numerics.arrays import as_float
from sofia_engine.numerics.fitting import FWHM_TO_SIGMA, fit_gaussian
from sofia_engine.numerics.statistics import median_ignoring_nan

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import BoolArray, FloatArray, IndexArray

__all__ = ["Detections", "Peak", "PeakSearch", "detect_sources", "find_peaks"]


@dataclass(frozen=True)
class PeakSearch:
    """What to look for.

    Attributes
    ----------
    count : int
        Number of peaks wanted.
    fwhm : float
        Expected full width at half maximum, pixels.
    sharpness : (float, float)
        Allowed range of the sharpness, see `Detections`.
    roundness : float
        Largest absolute roundness, see `Detections`.
    separation : float or None
        Smallest distance of two sources, pixels; None: 2.5 times `fwhm`.
    positive : bool
        Ignore negative sources.
    refine : bool
        Fit a Gaussian to each source that is at least `box` pixels from the edge.
    box : int
        Half width of the fit box, pixels.
    border : int
        Pixels on each side of the image that are not looked at.
    """

    count: int = 1
    fwhm: float = 4.5
    sharpness: tuple[float, float] = (0.2, 1.0)
    roundness: float = 0.75
    separation: float | None = None
    positive: bool = False
    refine: bool = True
    box: int = 30
    border: int = 0


@dataclass(frozen=True)
class Peak:
    """One source: position in pixels from 0, sign +1 or -1, height above the median of the smoothed image."""

    x: float
    y: float
    sign: int
    height: float
    refined: bool = False


@dataclass(frozen=True, eq=False)
class Detections:
    """Local maxima of an image convolved with a lowered Gaussian, brightest first.

    Attributes
    ----------
    x, y : (n,) ndarray
        Centres from the marginal sums, pixels.
    column, row : (n,) ndarray of int
        Pixel of the maximum.
    brightness : (n,) ndarray
        Value of the convolved image: the least-squares height of a Gaussian on a flat background.
    sharpness : (n,) ndarray
        Excess of the central pixel over the mean of the others, divided by the brightness.
    symmetry, roundness : (n,) ndarray
        Twice the difference of opposite quadrant pairs over their sum; twice the difference of the heights of the
        two marginal Gaussians over their sum. Both are 0 for a round source.

    References
    ----------
    P. B. Stetson, PASP 99, 191 (1987), DAOFIND.
    """

    x: FloatArray
    y: FloatArray
    column: IndexArray
    row: IndexArray
    brightness: FloatArray
    sharpness: FloatArray
    symmetry: FloatArray
    roundness: FloatArray

    def select(self, chosen: BoolArray | IndexArray) -> Detections:
        """The chosen ones, in their order."""
        return Detections(**{name: getattr(self, name)[chosen] for name in self.__dataclass_fields__})


def find_peaks(image: ArrayLike, search: PeakSearch) -> tuple[Peak, ...]:
    """Find the brightest sources of either sign.

    Parameters
    ----------
    image : (ny, nx) array_like
        Flux; NaN is missing.
    search : PeakSearch
        How many, how wide.

    Returns
    -------
    tuple of Peak
        Brightest first; fewer than asked for if there are not so many that meet the criteria.

    Notes
    -----
    The image is smoothed with a Gaussian of the expected width (missing pixels set to the median) and its absolute
    value searched with `detect_sources`. Sharpness and roundness of a detection do not depend on the detection
    threshold, so the number of detections falls step by step as the threshold rises; the threshold at which exactly n
    are left leaves the n brightest. Taking those replaces the search for the threshold, and also finds the n sources
    where two are equally bright.
    """
    full = as_float(image)
    edge = search.border
    data = full[edge : full.shape[0] - edge, edge : full.shape[1] - edge].astype(np.float64)
    if not np.isfinite(data).any() or search.count < 1:
        return ()
    smooth = _smooth(data, search.fwhm * FWHM_TO_SIGMA)
    found = detect_sources(np.abs(smooth), search.fwhm, search.sharpness, search.roundness, search.separation)
    signs = np.where(smooth[found.row, found.column] < 0, -1, 1)
    if search.positive:
        found, signs = found.select(signs > 0), signs[signs > 0]
    peaks = []
    for index in range(min(search.count, len(found.x))):
        height = abs(float(smooth[found.row[index], found.column[index]]))
        peak = Peak(float(found.x[index]), float(found.y[index]), int(signs[index]), height)
        peak = _refine_peak(data, peak, search) if search.refine else peak
        peaks.append(Peak(peak.x + edge, peak.y + edge, peak.sign, peak.height, peak.refined))
    return tuple(peaks)


def _smooth(data: FloatArray, sigma: float) -> FloatArray:
    """Gaussian smoothing with missing pixels set to the median of the image."""
    from scipy import ndimage

    smooth: FloatArray = ndimage.gaussian_filter(np.where(np.isfinite(data), data, median_ignoring_nan(data)), sigma)
    return smooth


def _refine_peak(data: FloatArray, peak: Peak, search: PeakSearch) -> Peak:
    """Position from a Gaussian fit in a box around the peak; the peak itself near the edge or if the fit fails."""
    column, row, reach = round(peak.x), round(peak.y), search.box
    if min(column, row, data.shape[1] - 1 - column, data.shape[0] - 1 - row) < reach:
        return peak
    box = peak.sign * data[row - reach : row + reach + 1, column - reach : column + reach + 1]
    fit = fit_gaussian(box, peak.x - column + reach, peak.y - row + reach, search.fwhm)
    if not (fit.converged and fit.height > 0 and max(abs(fit.x - reach), abs(fit.y - reach)) <= reach):
        return peak
    return Peak(column + fit.x - reach, row + fit.y - reach, peak.sign, peak.height, refined=True)


def detect_sources(
    image: ArrayLike,
    fwhm: float,
    sharpness: tuple[float, float] = (0.2, 1.0),
    roundness: float = 0.75,
    separation: float | None = None,
) -> Detections:
    """All local maxima of an image that look like stars, brightest first.

    Parameters
    ----------
    image : (ny, nx) array_like
        Finite flux, sources positive.
    fwhm : float
        Full width at half maximum of the stars, pixels.
    sharpness : (float, float)
        Allowed range.
    roundness : float
        Largest absolute value of both roundness measures.
    separation : float, optional
        A maximum with a brighter pixel within this distance is no detection, pixels; 2.5 times `fwhm` if left out.

    Returns
    -------
    Detections
        No threshold is applied other than a positive brightness.
    """
    from scipy import ndimage

    data = as_float(image).astype(np.float64)
    profile = _star_profile(fwhm)
    convolved = ndimage.correlate(data, _lower_kernel(profile), mode="nearest")
    footprint = profile > 0
    maxima = (convolved == ndimage.maximum_filter(convolved, footprint=footprint, mode="nearest")) & (convolved > 0)
    row, column = np.nonzero(maxima)
    order = np.argsort(-convolved[row, column], kind="stable")
    found = _measure(data, convolved, row[order], column[order], profile)
    good = (found.sharpness >= sharpness[0]) & (found.sharpness <= sharpness[1])
    good &= (np.abs(found.symmetry) <= roundness) & (np.abs(found.roundness) <= roundness)
    reach = profile.shape[0] // 2
    found = found.select(good & (np.hypot(found.x - found.column, found.y - found.row) <= np.hypot(reach, reach)))
    # the look around takes longest: it comes last, when few are left
    distance = 2.5 * fwhm if separation is None else separation
    return found.select(_is_brightest_around(convolved, found.row, found.column, distance))


def _is_brightest_around(image: FloatArray, row: IndexArray, column: IndexArray, distance: float) -> BoolArray:
    """Whether no pixel within a distance is brighter, for some pixels."""
    reach = int(distance)
    dy, dx = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    near = dy**2 + dx**2 <= distance**2
    padded = np.pad(image, reach, constant_values=-np.inf)
    around = padded[row[:, np.newaxis] + reach + dy[near], column[:, np.newaxis] + reach + dx[near]]
    brightest: BoolArray = around.max(axis=1, initial=-np.inf) <= image[row, column]
    return brightest


def _star_profile(fwhm: float) -> FloatArray:
    """Gaussian of unit height, zero beyond 1.5 sigma (at least 2 pixels) from its centre."""
    sigma = fwhm * FWHM_TO_SIGMA
    reach = max(2, int(1.5 * sigma))
    offsets = np.arange(-reach, reach + 1)
    squares = offsets[:, np.newaxis] ** 2 + offsets**2
    return np.where(squares <= max((1.5 * sigma) ** 2, 4.0), np.exp(-squares / (2 * sigma**2)), 0.0)


def _lower_kernel(profile: FloatArray) -> FloatArray:
    """Kernel whose correlation with an image is the least-squares height of the profile above a constant."""
    used = profile > 0
    mean = profile[used].mean()
    kernel: FloatArray = np.where(used, profile - mean, 0.0) / np.sum((profile[used] - mean) ** 2)
    return kernel


def _measure(
    data: FloatArray, convolved: FloatArray, row: IndexArray, column: IndexArray, profile: FloatArray
) -> Detections:
    """Position and shape of the stars at some pixels."""
    reach, used = profile.shape[0] // 2, profile > 0
    brightness = convolved[row, column]
    stars, spread = (_cut_out(image, row, column, reach) for image in (data, convolved))
    center = data[row, column]
    others = ((stars * used).sum(axis=(1, 2)) - center) / (np.count_nonzero(used) - 1)
    x_height, x_shift = _fit_marginal(stars, profile, axis=1)
    y_height, y_shift = _fit_marginal(stars, profile, axis=2)
    total = x_height + y_height
    roundness = np.where(
        (x_height > 0) & (y_height > 0), 2 * (x_height - y_height) / np.where(total == 0, 1, total), np.inf
    )
    return Detections(
        column + x_shift,
        row + y_shift,
        column,
        row,
        brightness,
        (center - others) / brightness,
        _measure_symmetry(spread),
        roundness,
    )


def _cut_out(image: FloatArray, row: IndexArray, column: IndexArray, reach: int) -> FloatArray:
    """Boxes around pixels, shape (n, 2·reach+1, 2·reach+1), with edge pixels repeated beyond the edge."""
    padded = np.pad(image, reach, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * reach + 1, 2 * reach + 1))
    boxes: FloatArray = windows[row, column]
    return boxes


def _measure_symmetry(boxes: FloatArray) -> FloatArray:
    """Twice the difference of the two pairs of opposite quadrants over the sum of all, without the central pixel."""
    reach = boxes.shape[-1] // 2
    offsets = np.arange(-reach, reach + 1)
    y, x = np.meshgrid(offsets, offsets, indexing="ij")
    # half-open quadrants that turn into each other by 90 degrees and cover all pixels but the centre
    pair = ((x > 0) & (y <= 0)) | ((x < 0) & (y >= 0))
    sign = np.where(pair, -1.0, 1.0)
    sign[reach, reach] = 0.0
    total = np.abs(boxes * np.abs(sign)).sum(axis=(1, 2))
    symmetry: FloatArray = 2 * (boxes * sign).sum(axis=(1, 2)) / np.where(total == 0, 1, total)
    return symmetry


def _fit_marginal(boxes: FloatArray, profile: FloatArray, axis: int) -> tuple[FloatArray, FloatArray]:
    """Height and shift of a Gaussian in the weighted sums of boxes along an axis (1: left with x, 2: left with y).

    The weights fall linearly from the central pixel. The height comes from a fit of Gaussian and constant, the shift
    from a fit that has the derivative of the Gaussian too.
    """
    reach = profile.shape[0] // 2
    triangle = reach + 1.0 - np.abs(np.arange(-reach, reach + 1))
    sums = np.tensordot(boxes, triangle, axes=([axis], [0]))
    gaussian = triangle @ profile
    root = np.sqrt(triangle)
    slope = np.gradient(gaussian)
    constant = np.ones_like(gaussian)
    height = (np.linalg.pinv(np.stack([gaussian, constant], axis=1) * root[:, np.newaxis]) @ (sums * root).T)[0]
    three = np.linalg.pinv(np.stack([gaussian, constant, slope], axis=1) * root[:, np.newaxis]) @ (sums * root).T
    shift = -three[2] / np.where(three[0] > 0, three[0], np.inf)
    return height, shift
