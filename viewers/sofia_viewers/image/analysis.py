"""Measurements on images: statistics, histograms, profiles, cuts, pixel comparison, photometry of one source."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import InputError, ParameterError
from sofia_viewers.image.settings import PhotometrySettings, read_pair, read_radius

if TYPE_CHECKING:
    from sofia_engine.photometry.measurement import Photometry
    from sofia_viewers.image.frame import Frame
    from sofia_viewers.image.regions import Region

__all__ = [
    "BIN_RULES",
    "PHOTOMETRY_COLUMNS",
    "EncircledEnergy",
    "RadialProfile",
    "SourceMeasurement",
    "Statistics",
    "compare_pixels",
    "cut_line",
    "cut_window",
    "make_histogram",
    "measure_encircled_energy",
    "measure_radial_profile",
    "measure_source_at",
    "measure_statistics",
    "region_values",
    "sort_photometry",
]

FloatArray = NDArray[np.float64]

BIN_RULES = ("auto", "fd", "doane", "scott", "stone", "rice", "sturges", "sqrt")
PHOTOMETRY_COLUMNS = (
    "Frame", "Peak", "X", "Y", "RA", "Dec", "FWHM (px)", 'FWHM (")', "Ellip.", "PA", "Flux", "BG/pix", "BG Std.",
)  # fmt: skip

_CLIP_SIGMA = 3.0
_CLIP_ITERATIONS = 5
_FWHM_RANGE = (1.0, 20.0)
_AUTO_APERTURE = 2.15
_AUTO_INNER = 0.2
_AUTO_WIDTH = 2.0
_LEAST_PIXELS = 3
_MOST_BINS = 4096
_LARGE = 1 << 22


@dataclass(frozen=True)
class Statistics:
    """Statistics of pixel values, in their unit; the clipped ones after 5 iterations of 3-sigma clipping."""

    n_pixels: int
    minimum: float
    maximum: float
    total: float
    mean: float
    median: float
    deviation: float
    clipped_mean: float
    clipped_median: float
    clipped_deviation: float

    def as_row(self) -> dict[str, Any]:
        """Return the statistics as a row of a table."""
        return {
            "Pixels": self.n_pixels, "Min": self.minimum, "Max": self.maximum, "Sum": self.total, "Mean": self.mean,
            "Median": self.median, "Std": self.deviation, "Clipped mean": self.clipped_mean,
            "Clipped median": self.clipped_median, "Clipped std": self.clipped_deviation,
        }  # fmt: skip

    def summary(self, statistic: str) -> tuple[float, float]:
        """Return the value and standard deviation of ``mean``, ``median``, ``clipped mean`` or ``clipped median``."""
        clipped = statistic.startswith("clipped")
        value = getattr(self, statistic.replace(" ", "_"))
        return float(value), self.clipped_deviation if clipped else self.deviation


def measure_statistics(values: NDArray[Any]) -> Statistics:
    """Measure the finite values of an array of any shape.

    Raises
    ------
    InputError
        If there are none.
    """
    from astropy.stats import sigma_clip

    array = np.asarray(values, dtype=float).ravel()
    array = array[np.isfinite(array)]
    if array.size == 0:
        raise InputError("There are no good pixels here; choose another place or a larger window.")
    kept = np.asarray(sigma_clip(array, sigma=_CLIP_SIGMA, maxiters=_CLIP_ITERATIONS, masked=False))
    return Statistics(
        int(array.size),
        float(array.min()),
        float(array.max()),
        float(array.sum()),
        float(array.mean()),
        float(np.median(array)),
        float(array.std()),
        float(kept.mean()),
        float(np.median(kept)),
        float(kept.std()),
    )


def make_histogram(values: NDArray[Any], rule: str = "fd", limits: str = "") -> tuple[FloatArray, FloatArray]:
    """Count values in bins.

    Parameters
    ----------
    values : ndarray
        Any shape; what is not finite does not count.
    rule : str
        A number of bins, or one of `BIN_RULES` (of numpy); anything else is ``fd``.
    limits : str
        ``min,max`` or empty.

    Returns
    -------
    counts, edges : ndarray
        (n,) and (n + 1,).
    """
    array = np.asarray(values, dtype=float).ravel()
    array = array[np.isfinite(array)]
    between = read_pair(limits)
    if between is not None:
        array = array[(array >= between[0]) & (array <= between[1])]
    word = rule.strip().lower()
    bins: Any = int(word) if word.isdigit() and int(word) > 0 else word if word in BIN_RULES else "fd"
    if array.size == 0:
        return np.zeros(1), np.array(between or (0.0, 1.0), dtype=float)
    if isinstance(bins, str) and len(np.histogram_bin_edges(array, "sqrt")) and _too_many(array, bins, between):
        bins = _MOST_BINS
    counts, edges = np.histogram(array, bins=bins, range=between)
    return counts.astype(float), edges


def _too_many(array: FloatArray, rule: str, between: tuple[float, float] | None) -> bool:
    """Tell whether a rule would make millions of bins because of a few far outliers."""
    if rule not in ("fd", "auto"):
        return False
    low, high = between or (float(array.min()), float(array.max()))
    spread = float(np.subtract(*np.percentile(array, [75, 25])))
    width = 2 * spread / array.size ** (1 / 3)
    return bool(width > 0 and (high - low) / width > _MOST_BINS)


def cut_window(shape: tuple[int, int], x: float, y: float, size: float | None) -> tuple[slice, slice]:
    """Return rows and columns of a square about a pixel, shifted to stay inside the image; all for no size."""
    if size is None:
        return slice(0, shape[0]), slice(0, shape[1])
    side = max(1, min(round(size), *shape))
    first = [min(max(round(at) - side // 2, 0), n - side) for at, n in ((y, shape[0]), (x, shape[1]))]
    return slice(first[0], first[0] + side), slice(first[1], first[1] + side)


def region_values(image: NDArray[Any], region: Region) -> FloatArray:
    """Return the finite values of the pixels whose centres lie in a region."""
    (rows, columns), inside = region.cut_out((image.shape[0], image.shape[1]))
    values: FloatArray = np.asarray(image[rows, columns], dtype=float)[inside]
    return values[np.isfinite(values)]


@dataclass(frozen=True, eq=False)
class RadialProfile:
    """Mean brightness against distance.

    Parameters
    ----------
    radius, mean, deviation : ndarray
        (n,) distance in pixels, mean and standard deviation of the values in rings of one pixel.
    count : ndarray
        (n,) good pixels in each ring.
    distances, values : ndarray
        (m,) all pixels, for a scatter plot.
    """

    radius: FloatArray
    mean: FloatArray
    deviation: FloatArray
    count: NDArray[np.int64]
    distances: FloatArray
    values: FloatArray

    def measure_fwhm(self) -> float:
        """Return twice the radius where the mean falls to half its height above the outermost rings; NaN if never."""
        if len(self.mean) < _LEAST_PIXELS:
            return math.nan
        base = float(np.nanmedian(self.mean[-3:]))
        inner, next_one = self.radius[0] ** 2, self.radius[1] ** 2
        center = self.mean[0] + (self.mean[0] - self.mean[1]) * inner / (next_one - inner)
        level = (self.mean - base) / (center - base)
        below = np.flatnonzero(level < 0.5)
        if below.size == 0 or below[0] == 0:
            return math.nan
        i = int(below[0])
        part = (level[i - 1] - 0.5) / (level[i - 1] - level[i])
        return 2.0 * float(self.radius[i - 1] + part * (self.radius[i] - self.radius[i - 1]))


def measure_radial_profile(image: NDArray[Any], x: float, y: float, radius: float) -> RadialProfile:
    """Average an image in rings about a point.

    Parameters
    ----------
    image : ndarray
        (n_y, n_x); NaN does not count.
    x, y : float
        Centre, pixels from 0.
    radius : float
        Largest distance, pixels.

    Raises
    ------
    InputError
        If there is no good pixel within the radius.
    """
    distance, values = _pixels_within(image, x, y, radius)
    ring = np.floor(distance).astype(int)
    n = int(ring.max()) + 1
    count = np.bincount(ring, minlength=n)
    used = count > 0

    def average(of: FloatArray) -> FloatArray:
        return np.bincount(ring, of, n)[used] / count[used]

    mean = average(values)
    variance = np.maximum(average(values**2) - mean**2, 0.0)
    return RadialProfile(average(distance), mean, np.sqrt(variance), count[used], distance, values)


@dataclass(frozen=True, eq=False)
class EncircledEnergy:
    """Flux within circles, as a fraction of that within the largest.

    Parameters
    ----------
    radius, fraction : ndarray
        (n,) pixels, and fraction.
    """

    radius: FloatArray
    fraction: FloatArray

    def radius_of(self, fraction: float) -> float:
        """Return the radius that holds a fraction of the flux, pixels; NaN if none does."""
        above = np.flatnonzero(self.fraction >= fraction)
        if above.size == 0:
            return math.nan
        i = int(above[0])
        if i == 0:
            return float(self.radius[0])
        low, high = self.fraction[i - 1], self.fraction[i]
        return float(np.interp(fraction, [low, high], self.radius[i - 1 : i + 1]))


def measure_encircled_energy(
    image: NDArray[Any], x: float, y: float, radius: float, background: float = 0.0
) -> EncircledEnergy:
    """Sum an image in circles about a point, pixels weighted by the part that lies inside.

    Parameters
    ----------
    image : ndarray
        (n_y, n_x); NaN and infinities count as background.
    x, y : float
        Centre, pixels from 0.
    radius : float
        Of the largest circle, pixels.
    background : float
        Value per pixel that is not the source's.
    """
    from sofia_engine.photometry.aperture import compute_circle_overlap

    rows, columns = cut_window((image.shape[0], image.shape[1]), x, y, 2 * math.ceil(radius) + 3)
    part = np.nan_to_num(np.asarray(image[rows, columns], dtype=float) - background, posinf=0.0, neginf=0.0)
    radii = np.arange(0.5, radius + 0.25, 0.5)
    center = (x - columns.start, y - rows.start)
    sums = np.array([float((part * compute_circle_overlap(part.shape, *center, float(r))).sum()) for r in radii])
    with np.errstate(divide="ignore", invalid="ignore"):
        return EncircledEnergy(radii, sums / sums[-1])


def _pixels_within(image: NDArray[Any], x: float, y: float, radius: float) -> tuple[FloatArray, FloatArray]:
    rows, columns = cut_window((image.shape[0], image.shape[1]), x, y, 2 * math.ceil(radius) + 3)
    part = np.asarray(image[rows, columns], dtype=float)
    ys, xs = np.mgrid[rows, columns]
    distance = np.hypot(xs - x, ys - y)
    good = np.isfinite(part) & (distance <= radius)
    if not good.any():
        raise InputError("There are no good pixels here; choose another place or a larger radius.")
    return distance[good], part[good]


def cut_line(
    image: NDArray[Any], start: tuple[float, float], end: tuple[float, float], width: int = 1
) -> tuple[FloatArray, FloatArray]:
    """Return distance (pixels) and interpolated values along a line, averaged over `width` pixels across it.

    Parameters
    ----------
    image : ndarray
        (n_y, n_x); values next to NaN are NaN.
    start, end : (float, float)
        Ends, pixels x, y from 0.
    width : int
        Number of parallel lines, one pixel apart.
    """
    from scipy.ndimage import map_coordinates

    (x0, y0), (x1, y1) = start, end
    length = math.hypot(x1 - x0, y1 - y0)
    n = max(2, math.ceil(length) + 1)
    along = np.linspace(0.0, 1.0, n)
    across = np.arange(width) - (width - 1) / 2
    nx, ny = (-(y1 - y0) / length, (x1 - x0) / length) if length else (0.0, 0.0)
    xs = x0 + along[:, None] * (x1 - x0) + across * nx
    ys = y0 + along[:, None] * (y1 - y0) + across * ny
    columns = slice(max(int(xs.min()) - 1, 0), max(int(xs.max()) + 3, 0))
    rows = slice(max(int(ys.min()) - 1, 0), max(int(ys.max()) + 3, 0))
    part = np.asarray(image[rows, columns], dtype=float)
    if part.size == 0:
        return along * length, np.full(n, np.nan)
    values = map_coordinates(part, [ys - rows.start, xs - columns.start], order=1, cval=np.nan, prefilter=False)
    return along * length, np.asarray(values).mean(axis=1)


def compare_pixels(reference: Frame, other: Frame) -> tuple[FloatArray, FloatArray]:
    """Return the values of the pixels that are good in both frames; the other is brought to the reference's grid.

    Raises
    ------
    InputError
        If the frames differ in size and have no world coordinates.
    """
    from sofia_viewers.image.frames import resample_image

    first = np.asarray(reference.image, dtype=float).ravel()
    second = np.asarray(resample_image(other, reference), dtype=float).ravel()
    good = np.isfinite(first) & np.isfinite(second)
    return first[good], second[good]


@dataclass(frozen=True, eq=False)
class SourceMeasurement:
    """Photometry of a source in a frame.

    Parameters
    ----------
    row : dict
        Values by `PHOTOMETRY_COLUMNS`; None is blank.
    x, y : float
        Centre, pixels from 0.
    aperture : float
        Radius, pixels.
    sky : (float, float)
        Radii of the sky ring, pixels; (0, 0) if there is none.
    result : Photometry
        All the engine measured, in pixels of the part it was given.
    origin : (int, int)
        First column and row of that part.
    """

    row: dict[str, Any]
    x: float
    y: float
    aperture: float
    sky: tuple[float, float]
    result: Photometry
    origin: tuple[int, int] = (0, 0)

    def is_near(self, x: float, y: float, distance: float) -> bool:
        """Tell whether a pixel is closer than a distance in both x and y."""
        return abs(self.x - x) < distance and abs(self.y - y) < distance


def start_fwhm(frame: Frame, settings: PhotometrySettings) -> float:
    """Return the starting width in pixels."""
    return settings.fwhm / (frame.pixel_scale if settings.fwhm_units == "arcsec" else 1.0)


def measure_source_at(frame: Frame, number: int, x: float, y: float, settings: PhotometrySettings) -> SourceMeasurement:
    """Fit and sum the source near a pixel.

    Parameters
    ----------
    frame : Frame
        Where.
    number : int
        Of the frame, for the table.
    x, y : float
        Start position, pixels from 0.
    settings : PhotometrySettings
        How. Automatic radii follow from a first measurement with the starting width.

    Raises
    ------
    InputError
        If there are too few good pixels, or the position is outside.
    """
    scale = frame.pixel_scale
    window = settings.window / (scale if settings.window_units == "arcsec" else 1.0)
    side = max(1, round(min(window, *frame.shape)))
    radii = [read_radius(t, scale if settings.aperture_units == "arcsec" else 1.0)
             for t in (settings.psf_radius, settings.bg_inner, settings.bg_width)]  # fmt: skip
    fwhm = start_fwhm(frame, settings)
    reach = [r for r in radii if r is not None and math.isfinite(r)]
    image, origin = _cut_for_photometry(frame, x, y, side, sum(reach) + _MOST_REACH * fwhm)
    where = (x - origin[0], y - origin[1])
    first = _measure(image, where, side, fwhm, settings, _fill_radii(radii, fwhm))
    if None in radii:
        found = _fwhm_of(first)
        first = _measure(image, where, side, fwhm, settings, _fill_radii(radii, found if found is not None else fwhm))
    return _describe_source(first, frame, number, origin)


_MOST_REACH = 12.0


def _cut_for_photometry(
    frame: Frame, x: float, y: float, side: int, reach: float
) -> tuple[FloatArray, tuple[int, int]]:
    """Return the image, or of a large one the part that the measurement can touch, and its first pixel."""
    rows, columns = frame.shape
    inside = -0.5 <= x < columns - 0.5 and -0.5 <= y < rows - 0.5
    image = frame.image
    origin = (0, 0)
    if image.size > _LARGE and inside:
        window = cut_window(frame.shape, x, y, 2 * (side + reach) + 64)
        image, origin = image[window], (window[1].start, window[0].start)
    if inside:
        near = image[cut_window((image.shape[0], image.shape[1]), x - origin[0], y - origin[1], side)]
        if np.count_nonzero(np.isfinite(near)) >= _LEAST_PIXELS:
            return np.asarray(image, dtype=float), origin
    raise InputError("There are no good pixels here; point at a source on the image.")


def _fill_radii(radii: Sequence[float | None], fwhm: float) -> tuple[float, tuple[float, float]]:
    aperture, inner, width = radii
    aperture = _AUTO_APERTURE * fwhm if aperture is None or not math.isfinite(aperture) else aperture
    inner = aperture + _AUTO_INNER * fwhm if inner is None else inner
    width = _AUTO_WIDTH * fwhm if width is None else width
    if not (math.isfinite(inner) and math.isfinite(width)):
        return aperture, (0.0, 0.0)
    return aperture, (inner, inner + width)


def _measure(
    image: FloatArray,
    where: tuple[float, float],
    side: int,
    fwhm: float,
    settings: PhotometrySettings,
    radii: tuple[float, tuple[float, float]],
) -> Photometry:
    from sofia_engine.photometry.measurement import PhotometryParameters, measure_source

    parameters = PhotometryParameters(
        position=where,
        fit_size=side,
        fwhm=fwhm,
        profile=settings.model,
        aperture_radius=radii[0],
        sky_radii=radii[1],
        allow_bad_fit=True,
    )
    try:
        return measure_source(image, None, parameters)
    except ParameterError as error:
        raise InputError(str(error)) from error


def _fwhm_of(result: Photometry) -> float | None:
    """Return the geometric mean of the two widths; None if the fit is bad."""
    fit = result.fit
    product = fit.fwhm_x.value * fit.fwhm_y.value
    if not fit.converged or not math.isfinite(product):
        return None
    fwhm = math.sqrt(abs(product))
    return fwhm if _FWHM_RANGE[0] <= fwhm <= _FWHM_RANGE[1] else None


def _describe_source(result: Photometry, frame: Frame, number: int, origin: tuple[int, int]) -> SourceMeasurement:
    from sofia_viewers.image.readout import find_sky

    fit, aperture = result.fit, result.aperture
    x, y = fit.x.value + origin[0], fit.y.value + origin[1]
    fwhm = _fwhm_of(result)
    axes = sorted((fit.fwhm_x.value, fit.fwhm_y.value))
    sky = find_sky(frame.wcs, x, y).get("icrs")
    values: tuple[Any, ...] = (
        number,
        _or_none(fit.peak.value),
        x + 1,
        y + 1,
        sky[0] if sky else None,
        sky[1] if sky else None,
        fwhm,
        fwhm * frame.pixel_scale if fwhm is not None else None,
        1.0 - axes[0] / axes[1] if fwhm is not None else None,
        fit.angle.value if fwhm is not None else None,
        _or_none(aperture.flux.value),
        _or_none(aperture.sky.value),
        _or_none(aperture.sky_deviation),
    )
    row = dict(zip(PHOTOMETRY_COLUMNS, values, strict=True))
    return SourceMeasurement(row, x, y, result.parameters.aperture_radius, result.parameters.sky_radii, result, origin)


def _or_none(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def sort_photometry(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows in the order of the table: by frame, then by peak, brightest first."""
    return sorted(rows, key=lambda row: (row["Frame"], -(row["Peak"] if row["Peak"] is not None else -math.inf)))
