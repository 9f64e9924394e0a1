"""Traces: the slit position of each source as a function of wavelength."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.errors import StepError
from sofia_engine.numerics.fitting import FWHM_TO_SIGMA
from sofia_engine.numerics.gaussian_rows import GaussianRows, fit_gaussian_rows
from sofia_engine.numerics.polynomials import fit_polynomial_robustly
from sofia_engine.numerics.statistics import median_ignoring_nan
from sofia_engine.spectroscopy.apertures import slit_index

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import FloatArray, IndexArray
    from sofia_engine.spectroscopy.apertures import Aperture

__all__ = ["Trace", "TraceRule", "fix_traces", "trace_apertures"]


@dataclass(frozen=True)
class TraceRule:
    """How traces are fitted.

    Attributes
    ----------
    degree : int
        Of the polynomial in wavelength.
    threshold : float
        Its rejection threshold.
    step : int
        Columns between fits, and columns averaged for each.
    largest_offset : float
        Fitted positions further than this from the aperture are not believed, arcsec.
    """

    degree: int = 2
    threshold: float = 4.0
    step: int = 3
    largest_offset: float = 5.0


@dataclass(frozen=True, eq=False)
class Trace:
    """The trace of one aperture.

    Attributes
    ----------
    positions : (nw,) ndarray
        Slit position at each column, arcsec.
    x, y : (n,) ndarray
        Column and fractional row of the points the trace was fitted to; empty if it is fixed.
    """

    positions: FloatArray
    x: FloatArray
    y: FloatArray


def fix_traces(apertures: Sequence[Aperture], columns: int) -> tuple[Trace, ...]:
    """Straight traces at the positions of the apertures."""
    return tuple(Trace(np.full(columns, a.position), np.empty(0), np.empty(0)) for a in apertures)


def trace_apertures(
    image: ArrayLike,
    wavelength: ArrayLike,
    slit: ArrayLike,
    apertures: Sequence[Aperture],
    rule: TraceRule | None = None,
) -> tuple[Trace, ...]:
    """Follow the sources through a rectified image.

    Parameters
    ----------
    image : (ns, nw) array_like
        NaN is missing.
    wavelength, slit : (nw,) and (ns,) array_like
        Axes of the image.
    apertures : sequence of Aperture
        Where to start.
    rule : TraceRule, optional
        Degree, threshold, steps.

    Returns
    -------
    tuple of Trace
        One per aperture.

    Raises
    ------
    StepError
        If too few positions are found for one of them.

    Notes
    -----
    In each group of columns all sources are fitted together, Gaussians on a constant; so close pairs do not pull each
    other.
    """
    rule = rule or TraceRule()
    data, waves, points = (np.asarray(a, dtype=np.float64) for a in (image, wavelength, slit))
    columns = rule.step * np.arange(1, max(int((waves.size - rule.step) / rule.step), 0) + 1)
    half = rule.step // 2
    windows = np.stack([data[:, c - half : c + half + 1] for c in columns]) if columns.size else np.empty((0, 0, 1))
    fits = fit_gaussian_rows(points, median_ignoring_nan(windows, axis=2), [a.position for a in apertures],
                             [a.fwhm * FWHM_TO_SIGMA for a in apertures]) if columns.size else None  # fmt: skip
    if fits is None:
        raise StepError("Trace fit failed. Try fixing to aperture center.")
    return tuple(_fit_trace(fits, k, a, columns, waves, points, rule) for k, a in enumerate(apertures))


def _fit_trace(
    fits: GaussianRows, index: int, aperture: Aperture, columns: IndexArray, waves: FloatArray, slit: FloatArray,
    rule: TraceRule,
) -> Trace:  # fmt: skip
    center = fits.center[:, index]
    with np.errstate(invalid="ignore"):
        accepted = fits.converged & (np.abs(center - aperture.position) <= rule.largest_offset)
    try:
        fitted = fit_polynomial_robustly(waves[columns[accepted]], center[accepted], rule.degree, rule.threshold)
    except ValueError:
        raise StepError("Trace fit failed. Try fixing to aperture center.") from None
    kept = np.flatnonzero(accepted)[fitted.used]
    return Trace(fitted.polynomial(waves), columns[kept].astype(np.float64), slit_index(slit, center[kept]))
