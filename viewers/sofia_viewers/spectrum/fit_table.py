"""Fits with what they belong to: rows of the results table, integrated fluxes, velocities."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from sofia_engine.errors import ParameterError
from sofia_viewers.spectrum.fitting import FitResult, LineFit, Measured
from sofia_viewers.spectrum.units import (
    PIXEL,
    VELOCITY,
    Convention,
    WaveAxis,
    can_convert_wave,
    convert_wave,
    find_flux_factor,
    parse_unit,
    velocity_of_wave,
)

__all__ = [
    "COLUMNS",
    "FitRecord",
    "convert_point",
    "find_column_units",
    "format_csv",
    "line_flux",
    "make_rows",
]

COLUMNS = ("filename", "order", "aperture", "x_field", "y_field", "lower_limit", "upper_limit", "type", "baseline",
           "mid_point", "mid_point_column", "fwhm")  # fmt: skip
"""First columns of a saved table, always there."""

_PARAMETERS = ("mean", "stddev", "x_0", "gamma", "alpha", "amplitude", "intercept", "slope")
_MORE = ("sigma", "c2", "c3", "c4", "c5")
_LAST = (
    "flux", "flux_err", "flux_w_m2", "flux_w_m2_err", "ew", "ew_err", "velocity", "velocity_err", "redshift",
    "redshift_err", "luminosity_lsun", "luminosity_lsun_err", "chi2", "dof", "chi2r", "weighted", "component",
)  # fmt: skip
_ALONG_X = ("lower_limit", "upper_limit", "mid_point", "fwhm", "mean", "stddev", "x_0", "gamma", "sigma", "ew")
_ALONG_Y = ("baseline", "amplitude", "intercept")
GUESS = "guess"
_LIGHT_SPEED = 299792.458
_SUN_WATT = 3.828e26
_MPC_METRE = 3.0856775814913673e22


@dataclass(frozen=True, eq=False)
class FitRecord:
    """A fit and what was fitted.

    Parameters
    ----------
    pane, file, name : str
        Identity of the pane, key and name of the file.
    order, aperture : int
        Which spectrum.
    x_field, y_field, x_unit, y_unit : str
        In which it was fitted.
    result : FitResult or None
        None if the fit failed.
    columns : tuple of float
        Column of the spectrum at the position of each line.
    status : str
        ``pass``, or why it failed; ``guess`` for first values that are not fitted yet.
    rest : float or None
        Wavelength the lines are compared with, μm.
    shown : bool
        Whether it is drawn.
    pixel_area : float or None
        Solid angle of a pixel, arcsec2.
    convention : {"optical", "radio", "relativistic"}
        What velocities mean, if x is one.
    """

    pane: str
    file: str
    name: str
    order: int
    aperture: int
    x_field: str
    y_field: str
    x_unit: str
    y_unit: str
    result: FitResult | None
    columns: tuple[float, ...] = ()
    status: str = "pass"
    rest: float | None = None
    shown: bool = True
    pixel_area: float | None = None
    convention: Convention = "optical"

    @property
    def is_guess(self) -> bool:
        """Whether its lines are first values, to be dragged before they are fitted."""
        return self.status == GUESS

    def differs_from(self, axis: WaveAxis, y_unit: str) -> bool:
        """Tell whether points of the fit have to be converted to be shown like this."""
        if y_unit not in ("", self.y_unit) or axis.unit not in ("", self.x_unit):
            return True
        is_velocity = self.x_unit == VELOCITY
        return is_velocity and (axis.rest or self.rest, axis.convention) != (self.rest, self.convention)

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain values."""
        plain = asdict(self)
        if self.result is not None:
            plain["result"] |= {
                "parameters": self.result.parameters.tolist(), "covariance": self.result.covariance.tolist(),
            }  # fmt: skip
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> FitRecord:
        """Make a record of what `to_json` gave."""
        values = dict(plain)
        values["columns"] = tuple(plain.get("columns", ()))
        values["result"] = None if plain.get("result") is None else _read_result(plain["result"])
        return cls(**values)


def _read_result(plain: Mapping[str, Any]) -> FitResult:
    values = dict(plain)
    values["lines"] = tuple(
        LineFit(
            line["shape"],
            {name: Measured(**value) for name, value in line["parameters"].items()},
            **{name: Measured(**value) for name, value in line.items() if name not in ("shape", "parameters")},
        )
        for line in plain["lines"]
    )
    values["coefficients"] = tuple(Measured(**value) for value in plain["coefficients"])
    values["limits"] = tuple(plain["limits"])
    values["parameters"] = np.array(plain["parameters"], dtype=float)
    values["covariance"] = np.array(plain["covariance"], dtype=float)
    return FitResult(**values)


def wavelength_at(record: FitRecord, x: float, axis: WaveAxis | None = None) -> float:
    """Return the wavelength, μm, at a place of the fit; NaN if its axis is none."""
    own = axis or WaveAxis(record.x_unit, record.rest, record.convention)
    if record.x_field != "wavepos" or not can_convert_wave(own.unit, "um"):
        return math.nan
    try:
        return float(convert_wave(np.array([x]), own.unit, WaveAxis("um", own.rest, own.convention))[0])
    except ParameterError:
        return math.nan


def line_flux(record: FitRecord, line: LineFit) -> Measured:
    """Return the flux of a line, W/m2 (or W/m2 per unit of solid angle made of the unit); NaN where it cannot be known.

    Notes
    -----
    The integral over x is turned into one over wavelength with the derivative at the line's position, which is exact
    for
    lines that are narrow compared with their wavelength.
    """
    at = line.center.value
    step = max(abs(line.fwhm.value) * 1e-3, abs(at) * 1e-9)
    wave, low, high = (wavelength_at(record, x) for x in (at, at - step, at + step))
    if not math.isfinite(wave + low + high):
        return Measured(math.nan)
    try:
        factor = float(find_flux_factor(record.y_unit, "W / (m2 um)", np.array([wave]), record.pixel_area)[0])
    except ParameterError:
        return Measured(math.nan)
    scale = factor * abs(high - low) / (2.0 * step)
    return Measured(line.flux.value * scale, line.flux.error * scale)


def find_velocity(record: FitRecord, line: LineFit) -> tuple[Measured, Measured]:
    """Return velocity (optical convention, km/s) and redshift of a line relative to the rest wavelength."""
    wave = wavelength_at(record, line.center.value)
    if record.rest is None or not math.isfinite(wave):
        return Measured(math.nan), Measured(math.nan)
    edge = wavelength_at(record, line.center.value + (line.center.error or 0.0))
    error = abs(edge - wave) / record.rest
    velocity = float(velocity_of_wave(wave, record.rest))
    return Measured(velocity, _LIGHT_SPEED * error), Measured(wave / record.rest - 1.0, error)


def make_rows(record: FitRecord, distance_mpc: float | None = None) -> list[dict[str, Any]]:
    """Return the rows of a fit, one per line, one for a baseline alone.

    Parameters
    ----------
    record : FitRecord
        The fit; a failed one, and first values, give no rows.
    distance_mpc : float, optional
        Distance, for luminosities.
    """
    if record.result is None or record.is_guess:
        return []
    result = record.result
    head = {
        "filename": record.name, "order": record.order, "aperture": record.aperture,
        "x_field": f"{record.x_field} [{record.x_unit}]", "y_field": f"{record.y_field} [{record.y_unit}]",
        "lower_limit": result.limits[0], "upper_limit": result.limits[1], "type": result.kind,
    }  # fmt: skip
    tail = {
        "chi2": result.chi_square, "dof": result.freedom, "chi2r": result.reduced_chi_square,
        "weighted": str(result.weighted),
    }  # fmt: skip
    base: dict[str, Any] = {}
    for name, value in zip(("intercept", "slope", *_MORE[1:]), result.coefficients, strict=False):
        base |= {name: value.value, f"{name}_err": value.error}
    if not result.lines:
        middle = 0.5 * sum(result.limits)
        level = sum(c.value * middle**k for k, c in enumerate(result.coefficients))
        return [{**head, "baseline": level, "mid_point": middle, **base, **tail}]
    rows = []
    for number, line in enumerate(result.lines):
        column = record.columns[number] if number < len(record.columns) else math.nan
        rows.append(
            {
                **head,
                **_describe(line, column),
                **base,
                **_measure(record, line, distance_mpc),
                **tail,
                "component": number + 1,
            }
        )
    return rows


def _describe(line: LineFit, column: float) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, value in (("baseline", line.baseline), ("mid_point", line.center), ("fwhm", line.fwhm)):
        row |= {name: value.value, f"{name}_err": value.error}
    row["mid_point_column"] = column
    for name, value in line.parameters.items():
        row |= {name: value.value, f"{name}_err": value.error}
    return row


def _measure(record: FitRecord, line: LineFit, distance_mpc: float | None) -> dict[str, Any]:
    flux = line_flux(record, line)
    velocity, redshift = find_velocity(record, line)
    row: dict[str, Any] = {}
    for name, value in (
        ("flux", line.flux), ("flux_w_m2", flux), ("ew", line.equivalent_width),
        ("velocity", velocity), ("redshift", redshift),
    ):  # fmt: skip
        row |= {name: value.value, f"{name}_err": value.error}
    if distance_mpc is not None and distance_mpc > 0:
        area = 4.0 * math.pi * (distance_mpc * _MPC_METRE) ** 2 / _SUN_WATT
        row |= {"luminosity_lsun": flux.value * area, "luminosity_lsun_err": flux.error * area}
    return row


def order_columns(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the columns of a table of fits: the usual ones first, then parameters.

    Their errors and what was derived.
    """
    present = {name for row in rows for name in row}
    parameters = [name for name in (*_PARAMETERS, *_MORE) if name in present]
    errors = [f"{name}_err" for name in ("baseline", "mid_point", "fwhm", *parameters) if f"{name}_err" in present]
    return [*COLUMNS, *parameters, *errors, *(name for name in _LAST if name in present)]


def find_column_units(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the units of the columns of a table of fits, as of astropy; of mixed columns and unknown units none."""
    from astropy import units as u

    units: dict[str, Any] = {"velocity": u.km / u.s, "luminosity_lsun": u.L_sun}
    fields = {(row["x_field"], row["y_field"]) for row in rows}
    if len(fields) == 1:
        x, y = (parse_unit(text.partition("[")[2].rstrip("]")) for text in fields.pop())
        if x is not None:
            units |= dict.fromkeys(_ALONG_X, x)
        if y is not None:
            units |= dict.fromkeys(_ALONG_Y, y)
        if x is not None and y is not None:
            units |= {"flux": y * x, "slope": y / x} | {
                name: y / x ** int(name[1:]) for name in _MORE if name[0] == "c"
            }
        if y is not None and y.is_equivalent(u.Jy, u.spectral_density(1.0 * u.um)):
            units["flux_w_m2"] = u.W / u.m**2
    return units | {f"{name}_err": unit for name, unit in units.items()}


def format_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Write rows as CSV: ten digits, NA for what is not known."""
    import csv
    import io

    columns = order_columns(rows)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_format(row.get(name)) for name in columns])
    return stream.getvalue()


def _format(value: Any) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "NA"
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def convert_point(record: FitRecord, x: float, y: float, axis: WaveAxis, y_unit: str) -> tuple[float, float]:
    """Return a point of a fit in the units a pane has now; NaN where they do not fit."""
    xs, ys = convert_points(record, np.array([x]), np.array([y]), axis, y_unit)
    return float(xs[0]), float(ys[0])


def convert_points(record: FitRecord, x: Any, y: Any, axis: WaveAxis, y_unit: str) -> tuple[Any, Any]:
    """Return points of a fit in the units a pane has now; NaN where they do not fit."""
    xs, ys = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    try:
        shown = _convert_positions(record, xs, axis)
        if y_unit not in ("", record.y_unit):
            wave = np.array([wavelength_at(record, value) for value in xs])
            ys = ys * find_flux_factor(record.y_unit, y_unit, wave, record.pixel_area)
    except ParameterError:
        return np.full(len(xs), np.nan), np.full(len(ys), np.nan)
    return shown, ys


def _convert_positions(record: FitRecord, x: Any, axis: WaveAxis) -> Any:
    if not record.differs_from(axis, "") or axis.unit == "":
        return x
    if axis.unit == PIXEL:
        raise ParameterError("A fit over wavelengths has no place on an axis of columns.")
    wanted = WaveAxis(axis.unit, axis.rest or record.rest, axis.convention)
    if record.x_unit != VELOCITY:
        return convert_wave(x, record.x_unit, wanted)
    wave = convert_wave(x, VELOCITY, WaveAxis("um", record.rest, record.convention))  # about its own line
    return convert_wave(wave, "um", wanted)


def with_rest(record: FitRecord, rest: float | None) -> FitRecord:
    """Return the record compared with another rest wavelength."""
    return replace(record, rest=rest)
