"""Smoothing, rebinning, arithmetic, continua and statistics of spectra. Errors are propagated as uncorrelated."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import ParameterError
from sofia_viewers.spectrum.curves import wavelengths_of
from sofia_viewers.spectrum.spectrum import Spectrum
from sofia_viewers.spectrum.units import find_flux_factor

__all__ = [
    "Statistics", "combine", "fit_continuum", "measure_region", "normalize", "rebin", "smooth", "subtract_continuum",
]  # fmt: skip

FloatArray = NDArray[np.float64]
Smoothing = Literal["box", "gaussian", "savgol"]
Operator = Literal["+", "-", "*", "/"]

_REACH = 4.0


def smooth(spectrum: Spectrum, kind: Smoothing, width: float, degree: int = 2) -> Spectrum:
    """Smooth the flux of a spectrum.

    Parameters
    ----------
    spectrum : Spectrum
        Not changed.
    kind : {"box", "gaussian", "savgol"}
        Running mean, Gaussian, or local polynomials (Savitzky & Golay 1964, Anal. Chem. 36, 1627).
    width : float
        Pixels: width of the box, FWHM of the Gaussian, or window of the polynomials (made odd).
    degree : int
        Of the polynomials.

    Returns
    -------
    Spectrum
        NaN stays NaN and adds nothing to its neighbours; errors shrink as for uncorrelated noise.

    Raises
    ------
    ParameterError
        If the width is not positive, or too small for the degree.
    """
    kernel = _make_kernel(kind, width, degree)
    if spectrum.flux is None:
        raise ParameterError("The spectrum has no flux to smooth.")
    known = np.isfinite(spectrum.flux)
    variance = np.full(len(known), np.nan) if spectrum.error is None else spectrum.error**2
    flux, variance = np.where(known, spectrum.flux, 0.0), np.where(known, variance, 0.0)
    if kind == "savgol":
        flux, variance = _smooth_by_polynomials(flux, variance, known, kernel, degree)
    else:
        weight = np.where(known, _convolve(known.astype(float), kernel), 1.0)
        flux, variance = _convolve(flux, kernel) / weight, _convolve(variance, kernel**2) / weight**2
    fields: dict[str, Any] = {"spectral_flux": np.where(known, flux, np.nan)}
    if spectrum.error is not None:
        fields["spectral_error"] = np.where(known, np.sqrt(variance), np.nan)
    return spectrum.replace(**fields)


def _smooth_by_polynomials(
    flux: FloatArray, variance: FloatArray, known: NDArray[np.bool_], kernel: FloatArray, degree: int
) -> tuple[FloatArray, FloatArray]:
    """Return flux and variance; at the ends and beside gaps, polynomials through what is known of a whole window."""
    window, count = len(kernel), len(flux)
    complete = _convolve(known.astype(float), np.ones(window)) > window - 0.5
    smooth, spread = _convolve(flux, kernel), _convolve(variance, kernel**2)
    for place in np.flatnonzero(known & ~complete):
        start = max(0, min(int(place) - window // 2, count - window))
        at = start + np.flatnonzero(known[start : start + window])
        powers = ((at - place) / window) ** np.arange(min(degree, len(at) - 1) + 1)[:, np.newaxis]
        weights = np.linalg.pinv(powers.T)[0]
        smooth[place], spread[place] = weights @ flux[at], weights**2 @ variance[at]
    return smooth, spread


def _make_kernel(kind: Smoothing, width: float, degree: int) -> FloatArray:
    if not width > 0:
        raise ParameterError(f"A smoothing width of {width:g} pixels is impossible: give a positive one.")
    if kind == "savgol":
        from scipy.signal import savgol_coeffs

        window = 2 * int(width // 2) + 1
        if window <= degree:
            raise ParameterError(
                f"A window of {window} pixels is too small for degree {degree}: use {degree + 2} or more."
            )
        return np.asarray(savgol_coeffs(window, degree))
    if kind == "gaussian":
        sigma = width / (2.0 * math.sqrt(2.0 * math.log(2.0)))
        reach = max(1, math.ceil(_REACH * sigma))
        kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    else:
        half = (width - 1.0) / 2.0
        reach = max(0, math.ceil(half))
        kernel = np.ones(2 * reach + 1)
        if reach:
            kernel[[0, -1]] = 1.0 - (reach - half)
    return np.asarray(kernel / kernel.sum())


def _convolve(values: FloatArray, kernel: FloatArray) -> FloatArray:
    reach = len(kernel) // 2
    padded = np.pad(values, reach)
    return np.convolve(padded, kernel, "valid")


def rebin(spectrum: Spectrum, factor: int) -> Spectrum:
    """Average groups of pixels.

    Parameters
    ----------
    spectrum : Spectrum
        Not changed.
    factor : int
        Pixels per group; a last incomplete group is left out.

    Returns
    -------
    Spectrum
        Means over the good pixels of each group; errors are those of means.

    Raises
    ------
    ParameterError
        If the factor is below 1 or above the length.
    """
    length = len(spectrum)
    count = length // factor if factor > 0 else 0
    if count < 1:
        raise ParameterError(f"{length} pixels cannot be averaged in groups of {factor}: use 1 to {length}.")
    flux = spectrum.flux if spectrum.flux is not None else np.zeros(length)
    good = np.isfinite(flux)[: count * factor].reshape(count, factor)
    fields = {}
    for name, values in spectrum.fields.items():
        if len(values) != length:
            continue
        groups = values[: count * factor].reshape(count, factor)
        fields[name] = _rebin_groups(name, groups, good if name.startswith("spectral") else np.isfinite(groups))
    return Spectrum(fields, spectrum.units, spectrum.order, spectrum.aperture)


def _rebin_groups(name: str, groups: FloatArray, good: NDArray[np.bool_]) -> FloatArray:
    number = good.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        if name.endswith("error"):
            return np.asarray(
                np.sqrt(np.where(good, groups**2, 0.0).sum(axis=1)) / number * np.where(number > 0, 1.0, np.nan)
            )
        return np.asarray(np.where(good, groups, 0.0).sum(axis=1) / number)


def combine(first: Spectrum, second: Spectrum, operator: Operator, pixel_area: float | None = None) -> Spectrum:
    """Compute with two spectra.

    Parameters
    ----------
    first, second : Spectrum
        The second is brought to the unit, and interpolated to the wavelengths, of the first.
    operator : {"+", "-", "*", "/"}
        What to do.
    pixel_area : float, optional
        Solid angle of a pixel, arcsec2.

    Returns
    -------
    Spectrum
        NaN outside the range of the second.

    Raises
    ------
    ParameterError
        If units do not fit, or there is no flux.
    """
    if first.flux is None or second.flux is None:
        raise ParameterError("Both spectra need a flux.")
    unit, other = first.unit("spectral_flux"), second.unit("spectral_flux")
    factor = np.ones(len(second))
    if unit != other and operator in "+-":
        wave = wavelengths_of(second)
        factor = find_flux_factor(other, unit, wave if wave is not None else np.full(len(second), np.nan), pixel_area)
    elif unit != other:
        factor = _try_factor(second, other, unit, pixel_area)
    flux, error = _bring(first, second, factor)
    value, spread = _OPERATE[operator](first.flux, flux, first.error, error)
    fields: dict[str, Any] = {"spectral_flux": value}
    if spread is not None:
        fields["spectral_error"] = spread
    result = unit if operator in "+-" else _combine_units(unit, other if (factor == 1.0).all() else unit, operator)
    return first.replace({"spectral_flux": result, "spectral_error": result}, **fields)


def _try_factor(spectrum: Spectrum, unit: str, wanted: str, pixel_area: float | None) -> FloatArray:
    wave = wavelengths_of(spectrum)
    try:
        return find_flux_factor(unit, wanted, wave if wave is not None else np.full(len(spectrum), np.nan), pixel_area)
    except ParameterError:
        return np.ones(len(spectrum))


def _bring(first: Spectrum, second: Spectrum, factor: FloatArray) -> tuple[FloatArray, FloatArray | None]:
    """Interpolate flux and error of the second spectrum to the first."""
    at, own = wavelengths_of(first), wavelengths_of(second)
    if at is None or own is None:
        if len(first) != len(second):
            raise ParameterError("Spectra without wavelengths can only be combined if they have the same length.")
        at = own = np.arange(len(first), dtype=float)
    known = np.flatnonzero(np.isfinite(own))  # a wavelength that is not known tells nothing of those beside it
    if not known.size:
        raise ParameterError("The second spectrum has no wavelengths.")
    order = known[np.argsort(own[known], kind="stable")]
    flux = second.flux if second.flux is not None else np.full(len(second), np.nan)
    made = np.interp(at, own[order], (flux * factor)[order], left=np.nan, right=np.nan)
    if second.error is None:
        return made, None
    return made, _interpolate_error(at, own[order], np.abs(second.error * factor)[order])


def _interpolate_error(at: FloatArray, x: FloatArray, error: FloatArray) -> FloatArray:
    """Return errors of linear interpolation: weights squared times variances."""
    right = np.clip(np.searchsorted(x, at), 1, max(len(x) - 1, 1))
    left = right - 1
    if len(x) < 2:
        return np.full(len(at), error[0] if len(error) else np.nan)
    part = np.clip((at - x[left]) / np.where(x[right] > x[left], x[right] - x[left], 1.0), 0.0, 1.0)
    outside = (at < x[0]) | (at > x[-1])
    return np.where(outside, np.nan, np.hypot((1.0 - part) * error[left], part * error[right]))


def _hypot(a: FloatArray | None, b: FloatArray | None) -> FloatArray | None:
    if a is None or b is None:
        return a if b is None else b
    return np.hypot(a, b)


def _times(scale: FloatArray, error: FloatArray | None) -> FloatArray | None:
    return None if error is None else np.abs(scale * error)


def _divide(a: FloatArray, b: FloatArray, ea: FloatArray | None, eb: FloatArray | None) -> Any:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(b != 0, a / b, np.nan)
        return ratio, _hypot(
            _times(1.0 / np.where(b != 0, b, np.nan), ea), _times(ratio / np.where(b != 0, b, np.nan), eb)
        )


_OPERATE: dict[str, Callable[..., Any]] = {
    "+": lambda a, b, ea, eb: (a + b, _hypot(ea, eb)),
    "-": lambda a, b, ea, eb: (a - b, _hypot(ea, eb)),
    "*": lambda a, b, ea, eb: (a * b, _hypot(_times(b, ea), _times(a, eb))),
    "/": _divide,
}


def _combine_units(first: str, second: str, operator: str) -> str:
    from sofia_viewers.spectrum.units import parse_unit

    one, two = parse_unit(first), parse_unit(second)
    if one is None or two is None:
        return ""
    result = one * two if operator == "*" else one / two
    return "" if str(result) == "" else str(result)


# -- continuum -------------------------------------------------------------------------------------------------------


def fit_continuum(
    x: FloatArray, y: FloatArray, windows: Sequence[tuple[float, float]], degree: int, error: FloatArray | None = None
) -> FloatArray:
    """Return a polynomial through the points in some windows.

    Parameters
    ----------
    x, y : (n,) ndarray
        Spectrum; NaN is left out.
    windows : sequence of (float, float)
        Ranges of x without lines; none means all of it.
    degree : int
        Of the polynomial.
    error : (n,) ndarray, optional
        1-sigma, for weights.

    Returns
    -------
    (n,) ndarray
        The continuum at all x.

    Raises
    ------
    ParameterError
        If the windows hold too few points.
    """
    inside = np.zeros(len(x), dtype=bool)
    for low, high in windows:
        inside |= (x >= min(low, high)) & (x <= max(low, high))
    use = np.isfinite(x) & np.isfinite(y) & (inside if windows else True)
    weights = np.ones(len(x))
    if error is not None:
        use &= np.isfinite(error) & (error > 0)
        weights = 1.0 / np.where(use, error, 1.0)
    if use.sum() <= degree:
        raise ParameterError(f"The continuum windows hold {int(use.sum())} good points, too few for degree {degree}.")
    middle, scale = float(np.mean(x[use])), float(np.ptp(x[use])) or 1.0
    t = (x - middle) / scale
    coefficients = np.polynomial.polynomial.polyfit(t[use], y[use], degree, w=weights[use])
    return np.asarray(np.polynomial.polynomial.polyval(t, coefficients))


def subtract_continuum(spectrum: Spectrum, windows: Sequence[tuple[float, float]], degree: int) -> Spectrum:
    """Subtract the continuum; windows in the unit of the spectrum."""
    continuum = _continuum_of(spectrum, windows, degree)
    return spectrum.replace(spectral_flux=spectrum["spectral_flux"] - continuum, continuum=continuum)


def normalize(spectrum: Spectrum, windows: Sequence[tuple[float, float]], degree: int) -> Spectrum:
    """Divide by the continuum; windows in the unit of the spectrum. NaN where the continuum is not positive."""
    continuum = _continuum_of(spectrum, windows, degree)
    level = np.where(continuum > 0, continuum, np.nan)
    fields: dict[str, Any] = {"spectral_flux": spectrum["spectral_flux"] / level, "continuum": continuum}
    if spectrum.error is not None:
        fields["spectral_error"] = spectrum.error / level
    return spectrum.replace({"spectral_flux": "", "spectral_error": ""}, **fields)


def _continuum_of(spectrum: Spectrum, windows: Sequence[tuple[float, float]], degree: int) -> FloatArray:
    if spectrum.wave is None or spectrum.flux is None:
        raise ParameterError("The spectrum has no flux over wavelength, so there is no continuum.")
    return fit_continuum(spectrum.wave, spectrum.flux, windows, degree, spectrum.error)


# -- statistics ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Statistics:
    """Statistics of a range of a spectrum.

    Attributes
    ----------
    count : int
        Good points.
    mean, median, std, rms, minimum, maximum, total : float
        Of the flux; ``std`` with n - 1.
    integral, integral_error : float
        By the trapezoidal rule; the error from the errors of the points, NaN if one has none.
    centroid : float
        Mean x, weighted by the flux.
    signal_to_noise : float
        Median flux over error; mean over std without errors.
    """

    count: int
    mean: float = math.nan
    median: float = math.nan
    std: float = math.nan
    rms: float = math.nan
    minimum: float = math.nan
    maximum: float = math.nan
    total: float = math.nan
    integral: float = math.nan
    integral_error: float = math.nan
    centroid: float = math.nan
    signal_to_noise: float = math.nan


def measure_region(x: FloatArray, y: FloatArray, error: FloatArray | None, limits: tuple[float, float]) -> Statistics:
    """Measure a spectrum between two values of x."""
    low, high = sorted(limits)
    use = np.isfinite(x) & np.isfinite(y) & (x >= low) & (x <= high)
    count = int(use.sum())
    if count == 0:
        return Statistics(0)
    order = np.argsort(x[use])
    xs, ys = x[use][order], y[use][order]
    spread = None if error is None else error[use][order]
    weights = np.gradient(xs) if count > 1 else np.zeros(1)
    if count > 1:
        weights[[0, -1]] = 0.5 * (xs[1] - xs[0]), 0.5 * (xs[-1] - xs[-2])
    std = float(np.std(ys, ddof=1)) if count > 1 else math.nan
    return Statistics(
        count, float(ys.mean()), float(np.median(ys)), std, float(np.sqrt(np.mean(ys**2))), float(ys.min()),
        float(ys.max()), float(ys.sum()), float(ys @ weights),
        math.nan if spread is None else float(np.sqrt(np.sum((spread * weights) ** 2))),
        float(xs @ ys / ys.sum()) if ys.sum() else math.nan, _signal_to_noise(ys, spread, std),
    )  # fmt: skip


def _signal_to_noise(y: FloatArray, error: FloatArray | None, std: float) -> float:
    if error is not None and (np.isfinite(error) & (error > 0)).any():
        good = np.isfinite(error) & (error > 0)
        return float(np.median(y[good] / error[good]))
    return float(y.mean() / std) if std > 0 else math.nan
