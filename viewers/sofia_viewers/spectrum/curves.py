"""From spectra to curves: fields, formulas, units, for one axis of a pane."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import ParameterError
from sofia_viewers.spectrum.expression import evaluate, list_names
from sofia_viewers.spectrum.spectrum import Spectrum, SpectrumFile, drop_endless, error_field_of, label_field
from sofia_viewers.spectrum.units import PIXEL, WaveAxis, convert_wave, find_flux_factor
from sofia_viewers.unit_names import show_unit

__all__ = ["SIGNAL_TO_NOISE", "Curve", "CurveRequest", "make_curve", "make_label", "native_unit", "wavelengths_of"]

FloatArray = NDArray[np.float64]

SIGNAL_TO_NOISE = "s/n"
_LONGEST_UNIT = 10


@dataclass(frozen=True)
class CurveRequest:
    """What to plot of spectra.

    Parameters
    ----------
    x_field, y_field : str
        Names of fields; ``s/n``, or the name of a formula.
    axis : WaveAxis
        How the x axis is shown; an empty unit is the native one.
    y_unit : str
        Unit of the y axis; empty for the native one.
    formulas : tuple of (str, str)
        Names and texts of the user's formulas.
    pixel_area : float or None
        Solid angle of a pixel of the file, arcsec2.
    """

    x_field: str = "wavepos"
    y_field: str = "spectral_flux"
    axis: WaveAxis = field(default_factory=lambda: WaveAxis(""))
    y_unit: str = ""
    formulas: tuple[tuple[str, str], ...] = ()
    pixel_area: float | None = None


@dataclass(frozen=True, eq=False)
class Curve:
    """One spectrum as it is drawn.

    Parameters
    ----------
    file : str
        Key of its file.
    name : str
        Name of its file.
    order, aperture : int
        Numbers from 1.
    x, y : (n,) ndarray
        In the units of the axes; NaN breaks the line. The index is the column of the spectrum.
    error : (n,) ndarray or None
        1-sigma, in the unit of y.
    flags : (n,) bool ndarray or None
        Flagged points.
    color, marker, opacity
        How it is drawn.
    """

    file: str
    name: str
    order: int
    aperture: int
    x: FloatArray
    y: FloatArray
    error: FloatArray | None = None
    flags: NDArray[np.bool_] | None = None
    color: str = "#2848ad"
    marker: str = "x"
    opacity: float = 1.0

    @property
    def key(self) -> tuple[str, int, int]:
        """File, order and aperture."""
        return self.file, self.order, self.aperture

    @property
    def title(self) -> str:
        """Name with order and aperture."""
        return f"{self.name} · order {self.order} · aperture {self.aperture}"


def native_unit(file: SpectrumFile, name: str, formulas: Mapping[str, str] | None = None) -> str:
    """Return the unit of a field or formula of a file; empty if it has none."""
    formulas = formulas or {}
    if name == SIGNAL_TO_NOISE:
        return ""
    if name not in formulas:
        return file.unit(name)
    return next((_formula_unit(formulas[name], spectrum) for spectrum in file.spectra), "")


@lru_cache(maxsize=512)
def _formula_unit(text: str, spectrum: Spectrum) -> str:
    """Return the unit of a formula where its terms have units that fit, else none."""
    from astropy import units as u

    from sofia_viewers.spectrum.units import parse_unit

    try:
        values = {name: 1.0 * (parse_unit(spectrum.unit(name)) or u.one) for name in spectrum.fields}
        result = evaluate(text, values)
    except (ParameterError, u.UnitsError, TypeError):
        return ""
    unit = getattr(result, "unit", u.one)
    return "" if unit == u.one else str(unit)


@lru_cache(maxsize=4096)
def make_curve(spectrum: Spectrum, request: CurveRequest) -> tuple[FloatArray, FloatArray, FloatArray | None]:
    """Compute x, y and error of a spectrum.

    Parameters
    ----------
    spectrum : Spectrum
        The data; they are not changed.
    request : CurveRequest
        Fields and units.

    Returns
    -------
    x, y, error : ndarray
        Read-only; no error if the spectrum has none for this field.

    Raises
    ------
    ParameterError
        If a field is missing or a unit does not fit.
    """
    formulas = dict(request.formulas)
    y, unit = _compute(spectrum, request.y_field, formulas)
    x, x_native = _compute(spectrum, request.x_field, formulas)
    if len(x) != len(y):
        raise ParameterError(
            f"{label_field(request.y_field)} and {label_field(request.x_field)} differ in length; choose other fields."
        )
    factor = np.ones(len(y))
    if request.y_unit == PIXEL:
        y, unit = np.arange(len(y), dtype=float), PIXEL
    elif request.y_unit and request.y_unit != unit:
        factor = find_flux_factor(unit, request.y_unit, _microns(spectrum, len(y)), request.pixel_area)
    error = None if request.y_unit == PIXEL else _find_error(spectrum, request.y_field, formulas)
    shown = x if not request.axis.unit else convert_wave(x, x_native, request.axis)
    with np.errstate(all="ignore"):
        arrays = [shown, y * factor, None if error is None else np.abs(error * factor)]
    arrays = [None if array is None else drop_endless(array) for array in arrays]
    for array in arrays:
        if array is not None:
            array.flags.writeable = False
    return arrays[0], arrays[1], arrays[2]  # type: ignore[return-value]


def wavelengths_of(spectrum: Spectrum) -> FloatArray | None:
    """Return the wavelengths of a spectrum, micrometres; None if its axis is no wavelength."""
    if spectrum.wave is None:
        return None
    try:
        return convert_wave(spectrum.wave, spectrum.unit("wavepos"), WaveAxis("um"))
    except ParameterError:
        return None


def _microns(spectrum: Spectrum, count: int) -> FloatArray:
    wave = wavelengths_of(spectrum)
    return wave if wave is not None and len(wave) == count else np.full(count, np.nan)


def _compute(spectrum: Spectrum, name: str, formulas: Mapping[str, str]) -> tuple[FloatArray, str]:
    if name in formulas:
        values = np.asarray(evaluate(formulas[name], spectrum.fields), dtype=float)
        length = max((len(spectrum[n]) for n in list_names(formulas[name]) if n in spectrum), default=len(spectrum))
        return np.broadcast_to(values, (length,)).copy(), _formula_unit(formulas[name], spectrum)
    if name == SIGNAL_TO_NOISE and spectrum.flux is not None and spectrum.error is not None:
        with np.errstate(all="ignore"):
            ratio = spectrum.flux / spectrum.error
        return np.where(np.isfinite(ratio), ratio, np.nan), ""
    if name == PIXEL:
        return np.arange(len(spectrum), dtype=float), PIXEL
    if name not in spectrum:
        raise ParameterError(f"There is no field {label_field(name)}.")
    return spectrum[name], spectrum.unit(name)


def _find_error(spectrum: Spectrum, name: str, formulas: Mapping[str, str]) -> FloatArray | None:
    """Return the errors of a field; those of a formula by the change it makes when each field grows by its error."""
    if name in formulas:
        return _propagate(spectrum, formulas[name])
    partner = error_field_of(name)
    return spectrum[partner] if partner is not None and partner in spectrum else None


def _propagate(spectrum: Spectrum, text: str) -> FloatArray | None:
    total: Any = 0.0
    used = [(n, error_field_of(n)) for n in list_names(text)]
    known = [(name, partner) for name, partner in used if partner is not None and partner in spectrum]
    if not known:
        return None
    for name, partner in known:
        up, down = (
            np.asarray(
                evaluate(text, {**spectrum.fields, name: spectrum[name] + sign * spectrum[partner]}), dtype=float
            )
            for sign in (1.0, -1.0)
        )
        with np.errstate(all="ignore"):
            total = total + ((up - down) / 2.0) ** 2
    return np.broadcast_to(np.sqrt(total), spectrum[known[0][0]].shape).copy()


def make_label(name: str, unit: str) -> str:
    """Return the label of an axis: field and unit, the unit on a line of its own if it is long."""
    text, shown = label_field(name), show_unit(unit)
    if not shown:
        return text
    return f"{text} [{shown}]" if len(shown) <= _LONGEST_UNIT else f"{text}\n[{shown}]"
