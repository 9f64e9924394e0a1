"""
Correction of images to the reference atmosphere.

The response of a filter through the atmosphere is a polynomial in airmass times one in altitude or water vapour [1]_.
Data are multiplied by the ratio of the response at the reference (zenith angle 45 deg, altitude 41,000 ft or 7.3 um of
water vapour) to the one at the observation.

References
----------
.. [1] Herter, T. L., et al. 2013, PASP, 125, 1393.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sofia_engine.errors import HeaderError, StepError
from sofia_engine.photometry.configuration import read_number

if TYPE_CHECKING:
    from sofia_engine.photometry.calibration import ImagingCalibration
    from sofia_engine.photometry.keywords import Card
    from sofia_engine.photometry.tables import ResponseFit

__all__ = ["Sounding", "TelluricCorrection", "compute_telluric_factor", "correct_telluric", "read_sounding"]

_HIGHEST_PWV = 50.0
_FEET_PER_KILOFOOT = 1000.0


@dataclass(frozen=True)
class Sounding:
    """
    The atmosphere an observation looked through.

    Parameters
    ----------
    zenith_angle
        Degrees.
    altitude
        Kilofeet; None if `pwv` is given.
    pwv
        Precipitable water vapour towards the zenith, micrometres; None if `altitude` is given.
    warnings
        What was wrong with the header.
    """

    zenith_angle: float
    altitude: float | None
    pwv: float | None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class TelluricCorrection:
    """
    Factor that brings an observation to the reference atmosphere.

    Parameters
    ----------
    factor
        Data and errors are to be multiplied by it, variances by its square.
    za, altitude, pwv
        Atmosphere of the observation: degrees, kilofeet, micrometres. Either of the last two is None.
    keywords
        Cards for the header: keyword, value, comment.
    history
        Lines for HISTORY.
    warnings
        What was wrong with the header, and where the fits are extrapolated.
    """

    factor: float
    za: float
    altitude: float | None
    pwv: float | None
    keywords: tuple[Card, ...]
    history: tuple[str, ...]
    warnings: tuple[str, ...]


def correct_telluric(
    header: Mapping[str, Any], calibration: ImagingCalibration, *, use_pwv: bool = False
) -> TelluricCorrection:
    """
    Find the correction of an observation to the reference atmosphere.

    Parameters
    ----------
    header
        With ZA_START, ZA_END (deg), and ALTI_STA, ALTI_END (ft) or WVZ_OBS (um).
    calibration
        From `load_calibration`.
    use_pwv
        True to use the measured water vapour rather than the altitude.

    Returns
    -------
    TelluricCorrection
        Outside the range of the fits the polynomials are extrapolated, with a warning.

    Raises
    ------
    HeaderError
        If the zenith angle, or what is used of altitude and water vapour, is not in the header.
    StepError
        If there is no response for the filter.
    """
    sounding = read_sounding(header, use_pwv=use_pwv)
    column = calibration.altitude if sounding.pwv is None else calibration.pwv
    if calibration.airmass is None or column is None:
        setup = calibration.setup
        raise StepError(
            f"Response data not found for {setup.spectel}, configuration {setup.altcfg1}, date {setup.date}; the "
            "telluric correction cannot be applied: check SPECTEL and DATE-OBS, or leave the step out."
        )
    value = sounding.altitude if sounding.pwv is None else sounding.pwv
    assert value is not None
    factor = compute_telluric_factor(
        calibration.airmass, column, sounding.zenith_angle, value, is_pwv=sounding.pwv is not None
    )
    warnings = sounding.warnings + _check_ranges(calibration.airmass, column, sounding)
    cards = _make_cards(factor, calibration.airmass, column, sounding)
    history = _make_history(factor, calibration.airmass, column, sounding)
    return TelluricCorrection(factor, sounding.zenith_angle, sounding.altitude, sounding.pwv, cards, history, warnings)


def compute_telluric_factor(
    airmass: ResponseFit, column: ResponseFit, zenith_angle: float, value: float, *, is_pwv: bool = False
) -> float:
    """
    Compute the response at the reference atmosphere over the response at the observation.

    Parameters
    ----------
    airmass
        Fit of the response over airmass.
    column
        Fit of the response over altitude or water vapour.
    zenith_angle
        Degrees.
    value
        Altitude in kilofeet, or water vapour in micrometres.
    is_pwv
        Which of the two `value` is.

    Returns
    -------
    float
        Factor for the data.
    """
    path = _secant(zenith_angle) - _secant(airmass.za_reference)
    offset = math.log(value / column.reference) if is_pwv else value - column.reference
    observed = _evaluate(airmass.coefficients, path) * _evaluate(column.coefficients, offset)
    return _evaluate(airmass.coefficients, 0.0) * _evaluate(column.coefficients, 0.0) / observed


def read_sounding(header: Mapping[str, Any], *, use_pwv: bool = False) -> Sounding:
    """
    Read what is known of the atmosphere from a header.

    Parameters
    ----------
    header
        With ZA_START, ZA_END (deg), and ALTI_STA, ALTI_END (ft) or WVZ_OBS (um).
    use_pwv
        True for water vapour. Above 50 um it is not believed, and the altitude used instead.

    Returns
    -------
    Sounding
        Means of start and end; if one of the two is missing or negative, the other one, with a warning.

    Raises
    ------
    HeaderError
        If neither of a pair can be used, or the water vapour is missing or not positive.
    """
    za, warnings = _average_pair(header, "ZA", ("ZA_START", "ZA_END"))
    if use_pwv:
        pwv = read_number(header, "WVZ_OBS")
        if pwv is None or pwv <= 0:
            raise HeaderError("Bad PWV value in header: WVZ_OBS is missing or not positive; correct with the altitude.")
        if pwv <= _HIGHEST_PWV:
            return Sounding(za, None, pwv, warnings)
        warnings += (f"The water vapour WVZ_OBS = {pwv:g} um is not plausible; the altitude is used instead.",)
    altitude, more = _average_pair(header, "altitude", ("ALTI_STA", "ALTI_END"))
    return Sounding(za, altitude / _FEET_PER_KILOFOOT, None, warnings + more)


def _average_pair(header: Mapping[str, Any], what: str, keywords: tuple[str, str]) -> tuple[float, tuple[str, ...]]:
    read = [read_number(header, keyword) for keyword in keywords]
    valid = [value for value in read if value is not None and value >= 0]
    # A zero beside a missing value is a place holder: the telescope cannot point to the zenith, nor observes on ground.
    if not valid or valid == [0.0]:
        raise HeaderError(f"Bad {what} value in header: neither {keywords[0]} nor {keywords[1]} can be used; add one.")
    if len(valid) == len(keywords):
        return sum(valid) / len(valid), ()
    bad, good = keywords if read[0] is None or read[0] < 0 else reversed(keywords)
    return valid[0], (f"{bad} is missing or negative; the {what} is taken from {good} alone.",)


def _secant(angle: float) -> float:
    return 1.0 / math.cos(math.radians(angle))


def _evaluate(coefficients: tuple[float, ...], x: float) -> float:
    total = 0.0
    for coefficient in reversed(coefficients):
        total = total * x + coefficient
    return total


def _check_ranges(airmass: ResponseFit, column: ResponseFit, sounding: Sounding) -> tuple[str, ...]:
    checks = [("zenith angle", sounding.zenith_angle, "deg", airmass.za_limits)]
    if sounding.altitude is not None:
        checks.append(("altitude", sounding.altitude, "kft", column.limits))
    if sounding.pwv is not None:
        checks.append(("water vapour", sounding.pwv, "um", column.limits))
    return tuple(
        f"The {name} {value:g} {unit} is outside the range of the response fit ({low:g} to {high:g})."
        for name, value, unit, (low, high) in checks
        if not low <= value <= high
    )


def _make_cards(factor: float, airmass: ResponseFit, column: ResponseFit, sounding: Sounding) -> tuple[Card, ...]:
    if sounding.pwv is None:
        target, reference = "ZA/altitude", ("REFCALAW", column.reference, "Reference calibration altitude")
    else:
        target, reference = "ZA/PWV", ("REFCALWV", column.reference, "Reference calibration PWV")
    return (
        ("TELCORR", factor, f"Telluric correction factor to {target}"),
        ("REFCALZA", airmass.za_reference, "Reference calibration zenith angle"),
        reference,
        ("REFCALF1", airmass.source, "Calibration reference file"),
        ("REFCALF2", column.source, "Calibration reference file"),
    )


def _make_history(factor: float, airmass: ResponseFit, column: ResponseFit, sounding: Sounding) -> tuple[str, ...]:
    name, value = ("altitude", sounding.altitude) if sounding.pwv is None else ("PWV", sounding.pwv)
    return (
        "Using reference files:",
        f"  {airmass.source}",
        f"  {column.source}",
        f"Reference ZA={airmass.za_reference}, {name}={column.reference}",
        f"Telluric correction factor for ZA={sounding.zenith_angle:.2f}, {name}={value}:",
        f"  {factor}",
    )
