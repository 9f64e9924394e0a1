"""What a resampler gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sofia_engine.numerics.arrays import FloatArray, IndexArray

__all__ = ["Resampled"]


@dataclass(frozen=True, eq=False)
class Resampled:
    """Fits at the output points.

    All arrays have the shape of the output points, with an axis of data sets before it if there were several.

    Attributes
    ----------
    values, errors : ndarray
        Fitted value and its 1-sigma error; `cval` and NaN where there is no fit.
    counts : ndarray of int
        Samples used (or found in the window, where there is no fit).
    weights, distance_weights : ndarray
        Sums of the full weights and of the distance weights; 0 where there is no fit.
    reduced_chi2 : ndarray
        Scatter of the samples about the fit, weighted by distance alone, over the scatter their errors predict; 1 where
        no errors were given, NaN for polynomials where it was not wanted. Unequal errors, used as weights, raise it by
        their mean square times their mean inverse square, as in the published toolkit.
    gradients : (..., K) ndarray or None
        Gradient of the fit at the point, per unit of the coordinates. This and the following only if `details` were
        asked for; NaN where there is no fit.
    derivative_products : (..., K, K) ndarray or None
        Mean of the products of the components of the gradient at the samples, with squared weights, per unit of the
        window.
    offset_variance : ndarray or None
        Squared distance of the point from the mean sample, in standard deviations of the sample distribution.
    """

    values: FloatArray
    errors: FloatArray
    counts: IndexArray
    weights: FloatArray
    distance_weights: FloatArray
    reduced_chi2: FloatArray
    gradients: FloatArray | None = None
    derivative_products: FloatArray | None = None
    offset_variance: FloatArray | None = None
