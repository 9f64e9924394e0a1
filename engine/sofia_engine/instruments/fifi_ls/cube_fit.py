"""Cubes from scattered samples: by local polynomials, or by interpolation of each exposure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from sofia_engine.errors import StepError
from sofia_engine.instruments.fifi_ls.footprints import find_footprint
from sofia_engine.numerics.resampling import AdaptiveSmoothing, LocalRegression, resample_points, resample_rows
from sofia_engine.painter import work_out

if TYPE_CHECKING:
    from sofia_engine.instruments.fifi_ls.cube_grid import CubeGrid
    from sofia_engine.instruments.fifi_ls.cube_samples import Exposure
    from sofia_engine.numerics.arrays import BoolArray, FloatArray, IndexArray
    from sofia_engine.numerics.resampling import Resampled

__all__ = [
    "CubeFit",
    "Cubes",
    "Kind",
    "SpectrumSet",
    "count_exposures",
    "fit_cube",
    "gather_spectra",
    "interpolate_cube",
]

Kind = Literal["corrected", "uncorrected"]
Progress = Callable[[int, int], None]

_FEW_SAMPLES, _FEW_PIXELS = 20_000, 200_000
"""Cubes of fewer are fitted in a second, so that loading the code counts, and nobody has to see how far it is."""
LARGEST_GAIN = 10.0
"""A fit that makes the noise of the samples larger than this many times is no measurement: in small windows, samples
may nearly lie on lines, and values of a cube would be millions of times what was measured."""
LEAST_SPAXELS = 10
"""Fewer valid spaxels than this, or as many, are not interpolated."""


@dataclass(frozen=True)
class CubeFit:
    """How a cube is made; all lengths in its pixels, in the order x, y, wavelength.

    Attributes
    ----------
    window, smoothing : (float, float, float)
        Half width of the fit window, and standard deviation of the distance weights.
    order : (int, int, int)
        Of the polynomial.
    edge_threshold : (float, float, float)
        How far from the middle of the samples a fit may be.
    error_weighting : bool
        Weight with inverse variances.
    adaptive : {"none", "scaled", "shaped"}
        Let the smoothing in x and y follow the data.
    fit_threshold, robust, negative_threshold : float or None
        Rejection of fits, of outliers, and of negative outliers, standard deviations.
    jobs : int or None
        Threads.
    error_mode : {"sandwich", "reference"}
        Errors of fits and interpolations: as their scatter is, or as earlier reductions gave them.
    """

    window: tuple[float, float, float]
    order: tuple[int, int, int]
    smoothing: tuple[float, float, float]
    edge_threshold: tuple[float, float, float] = (0.0, 0.0, 0.0)
    error_weighting: bool = True
    adaptive: Literal["none", "scaled", "shaped"] = "none"
    fit_threshold: float | None = None
    robust: float | None = None
    negative_threshold: float | None = None
    jobs: int | None = None
    error_mode: Literal["sandwich", "reference"] = "sandwich"

    @property
    def rule(self) -> LocalRegression:
        """The rule of the resampler."""
        adaptive = None
        if self.adaptive != "none":
            adaptive = AdaptiveSmoothing(self.adaptive, (1.0, 1.0, 0.0), keep_unfitted=True)
        return LocalRegression(
            window=self.window,
            order=self.order,
            smoothing=self.smoothing,
            adaptive=adaptive,
            edge_threshold=self.edge_threshold,
            error_weighting=self.error_weighting,
            fit_threshold=self.fit_threshold or 0.0,
            error_mode=self.error_mode,
            largest_gain=LARGEST_GAIN,
            chi2=bool(self.fit_threshold),
            jobs=self.jobs,
        )


@dataclass(frozen=True, eq=False)
class SpectrumSet:
    """Samples of exposures in pixels of a cube.

    Attributes
    ----------
    x, y, slices : list of (nw, 25) ndarray
        Positions (x, y) and slice numbers, one array per exposure.
    flux, error : list of (nw, 25) ndarray
        Flux and error.
    """

    x: list[FloatArray]
    y: list[FloatArray]
    slices: list[FloatArray]
    flux: list[FloatArray]
    error: list[FloatArray]

    def flatten(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return coordinates (3, N), flux (N) and error (N) of all samples with a value."""
        places = [
            np.stack([x.ravel(), y.ravel(), s.ravel()]) for x, y, s in zip(self.x, self.y, self.slices, strict=True)
        ]
        coordinates = np.concatenate(places, axis=1)
        flux, error = (np.concatenate([plane.ravel() for plane in planes]) for planes in (self.flux, self.error))
        good = np.isfinite(flux) & np.isfinite(error) & (error > 0) & np.isfinite(coordinates).all(axis=0)
        return coordinates[:, good], flux[good], error[good]


@dataclass(frozen=True, eq=False)
class Cubes:
    """Flux, error and sum of the distance weights, each (nw, ny, nx); NaN (weight 0) where nothing is known."""

    flux: FloatArray
    error: FloatArray
    weight: FloatArray | None = field(default=None)


def gather_spectra(exposures: Sequence[Exposure], grid: CubeGrid, kind: Kind) -> SpectrumSet:
    """Return the samples of exposures in pixels of a grid."""
    places = [grid.to_pixels(e.x, e.y) for e in exposures]
    prefix = "uncorrected_" if kind == "uncorrected" else ""
    slices, flux, error = (
        [getattr(e, f"{prefix}{name}") for e in exposures] for name in ("wavelength", "flux", "error")
    )
    return SpectrumSet([x for x, _ in places], [y for _, y in places], [grid.to_slice(w) for w in slices], flux, error)


def fit_cube(
    samples: SpectrumSet,
    grid: CubeGrid,
    fit: CubeFit,
    covered: BoolArray | None = None,
    progress: Progress | None = None,
) -> Cubes:
    """Fit local polynomials to the samples around each pixel of a cube.

    Parameters
    ----------
    samples : SpectrumSet
        Samples.
    grid : CubeGrid
        Pixels.
    fit : CubeFit
        How they are fitted.
    covered : (nw, ny, nx) ndarray of bool, optional
        Pixels to fit; all if not given.
    progress : callable, optional
        Called with the numbers of pixels done and to do.

    Raises
    ------
    StepError
        If there are too few samples.
    """
    coordinates, flux, error = samples.flatten()
    places = np.nonzero(np.ones(grid.shape, dtype=bool) if covered is None else covered)
    task = partial(
        resample_points, coordinates, flux, np.array(places[::-1], dtype=np.float64), fit.rule, error,
        robust=fit.robust, negthresh=fit.negative_threshold,
    )  # fmt: skip
    try:
        made = _fit_elsewhere(task, flux.size, places[0].size, fit, progress) or task(progress=progress)
    except ValueError as problem:
        raise StepError(f"The cube cannot be fitted: {problem}.") from problem
    flux, error, weight = np.full(grid.shape, np.nan), np.full(grid.shape, np.nan), np.zeros(grid.shape)
    flux[places], error[places], weight[places] = made.values, made.errors, made.distance_weights
    return Cubes(flux, error, weight)


def _fit_elsewhere(
    task: Callable[[], Resampled], samples: int, pixels: int, fit: CubeFit, progress: Progress | None
) -> Resampled | None:
    """Have a small cube fitted by the process that has loaded the compiled code meanwhile; None if there is none."""
    if fit.adaptive != "none" or samples > _FEW_SAMPLES or pixels > _FEW_PIXELS:
        return None
    tell = progress or (lambda _done, _total: None)
    return work_out(task, watch=partial(tell, 0, pixels))


def interpolate_cube(
    samples: SpectrumSet,
    grid: CubeGrid,
    fit: CubeFit,
    footprints: Sequence[BoolArray],
    progress: Progress | None = None,
) -> tuple[Cubes, IndexArray]:
    """Interpolate each exposure, and average.

    Parameters
    ----------
    samples : SpectrumSet
        Exposures.
    grid : CubeGrid
        Pixels.
    fit : CubeFit
        Window and smoothing along the spectrum are used, and the mode of errors.
    footprints : sequence of (ny, nx) ndarray of bool
        Pixels that each exposure covers.
    progress : callable, optional
        Called with the number of exposures done and to do.

    Returns
    -------
    Cubes
        Means; without weights.
    (nw, ny, nx) ndarray of int
        Number of exposures in each pixel.

    Notes
    -----
    Spectra of single spaxels are smoothed onto the wavelengths of the cube, with the weights of `fit`; each slice is
    interpolated between the spaxels with multiquadric radial functions. The variance of a value is that of the linear
    combination of spaxels that it is; earlier reductions interpolated errors like values, which makes them up to three
    times too small at the edge of the field.
    """
    total, variance = np.zeros((2, *grid.shape))
    count = np.zeros(grid.shape, dtype=np.int64)
    rule = LocalRegression(window=fit.window[2], order=0, smoothing=fit.smoothing[2], order_algorithm="none",
                           error_weighting=fit.error_weighting, jobs=1)  # fmt: skip
    for number, inside in enumerate(footprints):
        x, y = samples.x[number].mean(axis=0), samples.y[number].mean(axis=0)
        spectra = resample_rows(
            samples.slices[number].T, samples.flux[number].T, grid.axes[2], rule, samples.error[number].T
        )
        flux, error = spectra.values.T, spectra.errors.T
        rows, columns = np.nonzero(inside)
        for valid in np.unique(np.isfinite(flux), axis=0):
            slices = np.flatnonzero((np.isfinite(flux) == valid).all(axis=1))
            if np.count_nonzero(valid) <= LEAST_SPAXELS:
                continue
            weights = _solve_multiquadric(x[valid], y[valid], columns, rows)
            part = np.ix_(slices, np.flatnonzero(valid))
            where = (slices[:, np.newaxis], rows, columns)
            total[where] += flux[part] @ weights
            variance[where] += _propagate(error[part], weights, fit.error_mode)
            count[where] += 1
        if progress is not None:
            progress(number + 1, len(footprints))
    known = np.where(count > 0, count, np.nan)
    return Cubes(total / known, np.sqrt(variance) / known), count


def _propagate(error: FloatArray, weights: FloatArray, mode: str) -> FloatArray:
    """Variances (n_slice, n_pixel) from the errors (n_slice, n_spaxel) of what is interpolated."""
    made: FloatArray = np.square(error) @ np.square(weights) if mode == "sandwich" else np.square(error @ weights)
    return made


def _solve_multiquadric(x: FloatArray, y: FloatArray, columns: IndexArray, rows: IndexArray) -> FloatArray:
    """Weights (n_spaxel, n_pixel) with which values at points give those at pixels.

    The scale of the radial function is the mean distance of points that fill their bounding box evenly.
    """
    edges = np.array([np.ptp(x), np.ptp(y)])
    edges = edges[edges > 0]
    scale = float((np.prod(edges) / x.size) ** (1.0 / edges.size)) if edges.size else 1.0
    between = np.hypot(x[:, np.newaxis] - x, y[:, np.newaxis] - y)
    reach = np.hypot(x[:, np.newaxis] - columns, y[:, np.newaxis] - rows)
    solved: FloatArray = np.linalg.solve(np.hypot(between / scale, 1.0), np.hypot(reach / scale, 1.0))
    return solved


def find_footprints(samples: SpectrumSet, grid: CubeGrid, side: float) -> list[BoolArray]:
    """Return the pixels of the map that each exposure covers; the side of a spaxel is in pixels."""
    shape = grid.shape[1:]
    return [find_footprint(x[0], y[0], side, shape) for x, y in zip(samples.x, samples.y, strict=True)]


def count_exposures(samples: SpectrumSet, grid: CubeGrid, footprints: Sequence[BoolArray]) -> IndexArray:
    """Return the number of exposures that cover each pixel (nw, ny, nx), over the slices that they reach."""
    count = np.zeros(grid.shape, dtype=np.int64)
    for slices, inside in zip(samples.slices, footprints, strict=True):
        first = max(int(float(np.nanmin(slices)) - 0.5), 0)
        last = min(int(np.ceil(float(np.nanmax(slices)) + 0.5)), grid.shape[0] - 1)
        count[first : last + 1] += inside
    return count
