"""Fits in the units a pane has now: positions, widths, heights and fluxes of the results table.

A fit is kept in the units it was made in; what is shown is converted anew each time, so that nothing is lost on the way
to another unit and back. Positions are converted exactly; widths by the difference of their ends; integrals with the
derivative at the line, which is exact where the new axis is linear in the old one.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from sofia_viewers.spectrum.fit_table import FitRecord, convert_points
from sofia_viewers.spectrum.fitting import FitResult, Line, LineFit, Measured
from sofia_viewers.spectrum.profiles import PROFILES
from sofia_viewers.spectrum.units import WaveAxis

__all__ = ["convert_fit", "lines_of"]

_STEP = 1e-4
"""Half step of derivatives, in widths of the line or ranges of the fit."""


def convert_fit(record: FitRecord, axis: WaveAxis, y_unit: str) -> FitRecord:
    """Return a fit in other units, for tables and as first values of another fit.

    Parameters
    ----------
    record : FitRecord
        The fit, in its own units.
    axis : WaveAxis
        How x is shown now; an empty unit leaves it.
    y_unit : str
        Unit of y now; empty leaves it.

    Returns
    -------
    FitRecord
        With values and errors in the new units; the record itself if they are its own, or if there is no conversion.
        Of a baseline that is not linear any more, intercept and slope are those of its tangent at the line (the middle
        of the range without lines), and coefficients of higher powers are NaN. `FitResult.parameters` stay those of
        the old units: the curve is drawn from the record itself.
    """
    result = record.result
    if result is None or not record.differs_from(axis, y_unit):
        return record
    change = _Change(record, axis, y_unit)
    limits = sorted(change.x(value) for value in result.limits)
    if not all(math.isfinite(value) for value in limits):
        return record
    made = replace(
        result,
        lines=tuple(_convert_line(line, change) for line in result.lines),
        coefficients=_convert_baseline(result, change),
        limits=(limits[0], limits[1]),
    )
    rest = axis.rest if axis.unit == "km/s" else record.rest
    return replace(
        record, result=made, x_unit=axis.unit or record.x_unit, y_unit=y_unit or record.y_unit, rest=rest,
        convention=axis.convention if axis.unit == "km/s" else record.convention,
    )  # fmt: skip


def lines_of(record: FitRecord) -> tuple[Line, ...]:
    """Return the lines of a fit as first values of another."""
    lines = record.result.lines if record.result is not None else ()
    return tuple(
        Line(line.shape, tuple(line.parameters[name].value for name in PROFILES[line.shape].names)) for line in lines
    )


class _Change:
    """Conversion of points, and its derivatives at a point."""

    def __init__(self, record: FitRecord, axis: WaveAxis, y_unit: str) -> None:
        self._arguments: tuple[Any, ...] = (axis, y_unit)
        self._record = record

    def points(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Convert points."""
        return convert_points(self._record, x, y, *self._arguments)

    def x(self, value: float) -> float:
        """Convert a position."""
        return float(self.points([value], [1.0])[0][0])

    def y_factor(self, at: float) -> float:
        """Return the factor of y at a position."""
        return float(self.points([at], [1.0])[1][0])

    def stretch(self, at: float, width: float) -> float:
        """Return how many new units of x one old one is at a position."""
        step = max(abs(width) * _STEP, abs(at) * 1e-9, 1e-12)
        low, high = self.points([at - step, at + step], [1.0, 1.0])[0]
        return float(high - low) / (2.0 * step)


def _convert_line(line: LineFit, change: _Change) -> LineFit:
    at, width = line.center.value, line.fwhm.value
    stretch, factor = change.stretch(at, width), change.y_factor(at)
    ends, _ = change.points([at - width / 2.0, at + width / 2.0], [1.0, 1.0])
    widening = abs(float(ends[1] - ends[0])) / width if width else abs(stretch)
    center = Measured(change.x(at), line.center.error * abs(stretch))
    scales = {"amplitude": factor, "width": widening, "exponent": 1.0}
    profile = PROFILES[line.shape]
    parameters = {
        name: center if kind == "position" else _times(line.parameters[name], scales[kind])
        for name, kind in zip(profile.names, profile.kinds, strict=True)
    }
    return LineFit(
        line.shape, parameters, center, _times(line.fwhm, widening), _times(line.amplitude, factor),
        _times(line.baseline, factor), _times(line.flux, factor * abs(stretch)),
        _times(line.equivalent_width, abs(stretch)),
    )  # fmt: skip


def _times(value: Measured, factor: float) -> Measured:
    return Measured(value.value * factor, value.error * abs(factor))


def _convert_baseline(result: FitResult, change: _Change) -> tuple[Measured, ...]:
    """Return intercept and slope of the tangent at the first line; errors scale with them."""
    if not result.coefficients:
        return ()
    old = np.array([coefficient.value for coefficient in result.coefficients])
    at = result.lines[0].center.value if result.lines else 0.5 * sum(result.limits)
    step = _STEP * (result.limits[1] - result.limits[0])
    around = np.array([at - step, at, at + step])
    x, y = change.points(around, np.polynomial.polynomial.polyval(around, old))
    stretch, factor = change.stretch(at, step / _STEP), change.y_factor(at)
    if len(old) == 1:
        return (Measured(float(y[1]), result.coefficients[0].error * abs(factor)),)
    slope = float((y[2] - y[0]) / (x[2] - x[0]))
    return (
        Measured(float(y[1]) - slope * float(x[1]), _error_of_intercept(result, change, at)),
        Measured(slope, result.coefficients[1].error * abs(factor / stretch)),
        *(Measured(math.nan) for _ in old[2:]),
    )


def _error_of_intercept(result: FitResult, change: _Change, at: float) -> float:
    """Return the error of the intercept if the new axis is a multiple of the old one; NaN if its zero is elsewhere."""
    width = result.limits[1] - result.limits[0]
    is_multiple = math.isclose(change.x(at), change.stretch(at, width) * at, rel_tol=1e-6)
    return result.coefficients[0].error * abs(change.y_factor(at)) if is_multiple else math.nan
