"""Surfaces fitted over the detector: wavelength and slit calibration, slit correction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.errors import StepError
from sofia_engine.numerics.polynomials import fit_polynomial, fit_polynomial_robustly, list_products
from sofia_engine.numerics.row_polynomials import fit_rows

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.header.cards import Card
    from sofia_engine.numerics.arrays import BoolArray, FloatArray
    from sofia_engine.numerics.polynomials import Polynomial

__all__ = [
    "Surface",
    "expect_slit_positions",
    "fit_slit_correction",
    "fit_slit_correction_by_column",
    "fit_surface",
    "fit_surface_near",
    "list_surface_cards",
    "normalize_by_middle",
]

THRESHOLD = 5.0


@dataclass(frozen=True, eq=False)
class Surface:
    """A polynomial surface over columns x and rows y.

    Attributes
    ----------
    polynomial : Polynomial
        Of (x, y).
    orders : (int, int)
        Highest powers of x and y; all products occur.
    used : (n,) ndarray of bool
        Points that were not rejected.
    residual : (n,) ndarray
        Value minus surface at all points; NaN where a point was missing.
    """

    polynomial: Polynomial
    orders: tuple[int, int]
    used: BoolArray
    residual: FloatArray

    @property
    def coefficients(self) -> FloatArray:
        """Coefficients in plain powers of pixels, the power of y running fastest: 1, y, ..., x, xy, ..."""
        plain: FloatArray = self.polynomial.expand()[: self.orders[0] + 1, : self.orders[1] + 1].ravel()
        return plain

    def on_pixels(self, shape: tuple[int, int]) -> FloatArray:
        """Values at all pixels of an image (ny, nx)."""
        grid: FloatArray = self.polynomial.on_grid(np.arange(shape[1]), np.arange(shape[0])).T
        return np.ascontiguousarray(grid)


def fit_surface(
    x: ArrayLike, y: ArrayLike, values: ArrayLike, orders: tuple[int, int], error: ArrayLike | None = None
) -> Surface:
    """Robust (5 sigma) fit of a surface to points.

    Parameters
    ----------
    x, y, values : (n,) array_like
        Columns, rows, and values there; NaN is missing.
    orders : (int, int)
        Highest powers of x and y.
    error : (n,) array_like, optional
        Their 1-sigma errors, up to a common factor; points without a positive one are left out.

    Raises
    ------
    StepError
        If there are too few points for the orders.
    """
    points = np.stack([np.ravel(np.asarray(part, dtype=np.float64)) for part in (x, y)])
    data = np.ravel(np.asarray(values, dtype=np.float64))
    weights = None
    if error is not None:
        spread = np.ravel(np.asarray(error, dtype=np.float64))
        weights = np.where(spread > 0, 1.0 / np.where(spread > 0, spread, 1.0) ** 2, np.nan)
    try:
        fit = fit_polynomial_robustly(points, data, 0, THRESHOLD, weights, exponents=list_products(orders))
    except ValueError as problem:
        raise StepError(f"The calibration surface cannot be fitted: {problem}; lower the fit orders.") from None
    return Surface(fit.polynomial, orders, fit.used, data - fit.polynomial(*points))


def fit_surface_near(
    points: tuple[ArrayLike, ArrayLike, ArrayLike],
    expected: ArrayLike,
    orders: tuple[int, int],
    degree: int,
    error: ArrayLike | None = None,
) -> Surface:
    """Robust fit of a surface whose course along the columns is known but for a polynomial of lower degree.

    Parameters
    ----------
    points : ((n,), (n,), (n,)) of array_like
        Columns, rows and values; NaN is missing.
    expected : (nx,) array_like
        Values expected in the columns.
    orders : (int, int)
        Highest powers of x and y of the result.
    degree : int
        Highest power of x of what is added to the expectation; the powers of y are all fitted.
    error : (n,) array_like, optional
        As in `fit_surface`.

    Raises
    ------
    StepError
        If there are too few points.
    """
    x, y, values = (np.ravel(np.asarray(part, dtype=np.float64)) for part in points)
    if degree >= orders[0]:
        return fit_surface(x, y, values, orders, error)
    columns = np.arange(np.size(expected), dtype=np.float64)
    base = fit_polynomial(columns, expected, orders[0])
    part = fit_surface(x, y, values - base(x), (degree, orders[1]), error)
    # the sum is a polynomial of these orders; a fit to its values gives the coefficients
    grid = np.stack([axis.ravel() for axis in np.meshgrid(columns, np.linspace(np.nanmin(y), np.nanmax(y), 9))])
    total = fit_polynomial(grid, base(grid[0]) + part.polynomial(*grid), 0, exponents=list_products(orders))
    return Surface(total, orders, part.used, values - total(x, y))


def list_surface_cards(surface: Surface, kind: str) -> list[Card]:
    """Header cards WXDEG, WYDEG, WCOEFF of a surface of kind ``W``, wavelength; ``S`` slit, ``SC`` slit correction."""
    names = {"W": "wavelength calibration", "S": "spatial calibration", "SC": "slit correction"}
    coefficients = ",".join(repr(float(value)) for value in surface.coefficients)
    return [
        (f"{kind}XDEG", surface.orders[0], f"X fit order of {names[kind]}"),
        (f"{kind}YDEG", surface.orders[1], f"Y fit order of {names[kind]}"),
        (f"{kind}COEFF", coefficients, f"Coefficients of {names[kind]}"),
    ]


def expect_slit_positions(x: ArrayLike, y: ArrayLike, positions: ArrayLike, slit_map: ArrayLike) -> FloatArray:
    """True slit position of traced points, for a spatial calibration.

    Parameters
    ----------
    x, y : (n,) array_like
        Columns and rows of the points.
    positions : (n_ap,) array_like
        Rows of the apertures.
    slit_map : (ny, nx) array_like
        Slit positions made of the order edges alone.

    Returns
    -------
    (n,) ndarray
        Slit position, in the middle column, of the trace of the nearest aperture there: so the whole trace of a source
        has one slit position. NaN where the trace does not cross the slit map.

    Notes
    -----
    The edges of an order may be bent otherwise than the traces: those of the published order masks of FORCAST are.
    Taken as a mean along the trace, slit positions would hang on that difference.
    """
    columns, rows = (np.asarray(part, dtype=np.float64) for part in (x, y))
    places, table = np.asarray(positions, dtype=np.float64), np.asarray(slit_map, dtype=np.float64)
    nearest = np.argmin(np.abs(rows[:, np.newaxis] - places), axis=1)
    middle = table.shape[1] // 2
    known = np.flatnonzero(np.isfinite(table[:, middle]))
    expected = np.full(rows.shape, np.nan)
    for aperture in np.unique(nearest) if known.size else ():
        own = np.flatnonzero((nearest == aperture) & np.isfinite(rows))
        order = own[np.argsort(columns[own], kind="stable")]
        row = np.interp(middle, columns[order], rows[order])
        expected[nearest == aperture] = np.interp(row, known, table[known, middle], left=np.nan, right=np.nan)
    return expected


def normalize_by_middle(spectra: ArrayLike, error: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Divide spectra and errors (n, nw) by the middle spectrum, number n // 2."""
    data, spread = np.asarray(spectra, dtype=np.float64), np.asarray(error, dtype=np.float64)
    middle = np.where(data[len(data) // 2] != 0, data[len(data) // 2], np.nan)
    return data / middle, spread / np.abs(middle)


def fit_slit_correction(
    wavelength: ArrayLike, rows: ArrayLike, ratios: ArrayLike, orders: tuple[int, int], error: ArrayLike | None = None
) -> Surface:
    """Fit a slit correction, ratios (n_ap, nw) at rows (n_ap,) and columns wavelength (nw,), as one robust surface."""
    data = np.asarray(ratios, dtype=np.float64)
    y, x = np.meshgrid(rows, wavelength, indexing="ij")
    return fit_surface(x, y, data, orders, error)


def fit_slit_correction_by_column(
    rows: ArrayLike, ratios: ArrayLike, degree: int, width: int, at: Sequence[float] | FloatArray
) -> FloatArray:
    """Fit a slit correction column by column and smooth it along the wavelength.

    Parameters
    ----------
    rows : (n_ap,) array_like
        Rows of the apertures.
    ratios : (n_ap, nw) array_like
        Spectra over that of the middle one.
    degree : int
        Of the robust polynomials along the slit.
    width : int
        Width of the running mean along the wavelength, columns; shorter at the ends.
    at : (ns,) array_like
        Rows of the result.

    Returns
    -------
    (ns, nw) ndarray
        NaN in columns where no fit was possible.
    """
    fits = fit_rows(rows, np.asarray(ratios, dtype=np.float64).T, degree, threshold=THRESHOLD)
    surface = fits(at).T
    kernel = np.ones(max(int(width), 1))
    good = np.isfinite(surface)
    filled = np.where(good, surface, 0.0)
    smooth = np.stack([np.convolve(row, kernel, "same") for row in filled])
    weight = np.stack([np.convolve(row, kernel, "same") for row in good.astype(float)])
    return np.where(good, smooth / np.where(weight > 0, weight, 1.0), np.nan)
