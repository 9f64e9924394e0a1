"""The atmosphere over a spectrum: which model, and how far the wavelengths are off it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from sofia_engine.instruments.forcast.grism_files import read_atmosphere
from sofia_engine.instruments.forcast.grism_frame import name_auxiliary
from sofia_engine.numerics.arrays import FloatArray
from sofia_engine.spectroscopy.telluric import parse_atmosphere_name, read_sounding
from sofia_engine.spectroscopy.wavelength_shift import (
    ShiftRule,
    WaterVapourFit,
    fit_water_vapour,
    measure_shift,
    measure_signal_to_noise,
)

if TYPE_CHECKING:
    from sofia_engine.header.cards import Card
    from sofia_engine.pipeline.run import ReferenceUse, Run
    from sofia_engine.product import Product
    from sofia_engine.spectroscopy.calibration import Response

__all__ = ["AtmosphereFit", "AtmosphereWishes", "fit_atmosphere"]

FAR_ALTITUDE, FAR_ANGLE = 2.0, 5.0
"""Kilofeet and degrees by which model and observation may differ without a warning."""


class AtmosphereWishes(Protocol):
    """The parameters that decide on the atmosphere."""

    @property
    def optimize(self) -> bool:
        """Choose the water vapour that fits best."""

    @property
    def least_signal_to_noise(self) -> float:
        """Median signal-to-noise ratio that a fit needs."""

    @property
    def auto_shift(self) -> bool:
        """Look for a shift."""

    @property
    def shift_limit(self) -> float:
        """Columns."""

    @property
    def shift(self) -> float:
        """Columns; other than 0 it is applied instead of a measured one."""

    @property
    def model_order(self) -> int:
        """Degree of the continuum."""


@dataclass(frozen=True, eq=False)
class AtmosphereFit:
    """Transmission at the wavelengths of the spectrum, shift to apply (columns), and header cards."""

    transmission: FloatArray
    shift: float
    cards: tuple[Card, ...]


def fit_atmosphere(
    image: Product, response: Response, wishes: AtmosphereWishes, resolution: float, run: Run
) -> AtmosphereFit:
    """Choose the model of the atmosphere for a spectrum, and measure the shift of the spectrum against it.

    Parameters
    ----------
    image : Product
        With WAVEPOS, SPECTRAL_FLUX and SPECTRAL_ERROR (nw).
    response : Response
        At the same wavelengths.
    wishes : AtmosphereWishes
        What is to be fitted.
    resolution : float
        Resolving power of the spectrum.
    run : Run
        Gives the models: ``atran``, and ``atran 000`` and so on for a series in water vapour.
    """
    able = _is_strong(image, wishes, run)
    looks_for_shift = wishes.auto_shift and wishes.shift == 0 and able
    rule = ShiftRule(limit=wishes.shift_limit, degree=wishes.model_order)
    series = [run.reference(role) for role in sorted(run.wanted) if role.startswith("atran ")]
    if wishes.optimize and series and able:
        return _choose_water_vapour(image, response, series, resolution, rule, run, wishes, shift=looks_for_shift)
    used = run.reference("atran")
    _compare_with_observation(image, used, run)
    transmission = read_atmosphere(used, resolution, image["WAVEPOS"])
    shift = wishes.shift
    if looks_for_shift:
        fit = measure_shift(image["SPECTRAL_FLUX"], image["SPECTRAL_ERROR"], transmission * response.values, rule)
        if fit.warning:
            run.warn(f"{image.name}: {fit.warning}")
        run.log(f"Wavelength shift {fit.shift:+.2f} +/- {fit.error:.2f} pixels, {fit.worth_applying:+.2f} applied")
        shift = fit.worth_applying
    _describe(used, shift, run)
    return AtmosphereFit(transmission, shift, (("ATRNFILE", used.name, "Model of the atmosphere"),))


def _is_strong(image: Product, wishes: AtmosphereWishes, run: Run) -> bool:
    ratio = measure_signal_to_noise(image["SPECTRAL_FLUX"], image["SPECTRAL_ERROR"])
    run.quality["signal_to_noise"] = ratio
    strong = bool(ratio >= wishes.least_signal_to_noise)
    if not strong and (wishes.optimize or wishes.auto_shift):
        run.log(
            f"Median signal-to-noise ratio {ratio:.1f} is below {wishes.least_signal_to_noise:g}; "
            "neither atmosphere nor wavelength shift are fitted."
        )
    return strong


def _describe(used: ReferenceUse, shift: float, run: Run) -> None:
    run.history(f"Telluric: {used.name}", f"Telluric: spectrum and image moved by {shift:.3f} pixels")
    run.quality["wavelength_shift"] = shift


def _compare_with_observation(image: Product, used: ReferenceUse, run: Run) -> None:
    model, sounding = parse_atmosphere_name(used.name), read_sounding(image.header)
    if model is None:
        return
    height, angle = abs(model.altitude - sounding.altitude), abs(model.zenith_angle - sounding.zenith_angle)
    if height > FAR_ALTITUDE or angle > FAR_ANGLE:
        run.warn(
            f"{image.name}: the nearest model of the atmosphere is for {model.altitude:g} kft and "
            f"{model.zenith_angle:g} deg, but the observation was at {sounding.altitude:.1f} kft and "
            f"{sounding.zenith_angle:.1f} deg; give flux_calibrate.atrandir with models nearer to it."
        )


def _choose_water_vapour(
    image: Product,
    response: Response,
    series: list[ReferenceUse],
    resolution: float,
    rule: ShiftRule,
    run: Run,
    wishes: AtmosphereWishes,
    *,
    shift: bool,
) -> AtmosphereFit:
    wavelength = image["WAVEPOS"]
    models = np.stack([read_atmosphere(used, resolution, wavelength) for used in series])
    pwv = np.array([_read_water_vapour(used) for used in series])
    flux, error = image["SPECTRAL_FLUX"], image["SPECTRAL_ERROR"]
    fit = fit_water_vapour(flux, error, models * response.values, pwv, rule, shift=shift)
    used = series[fit.index]
    applied = wishes.shift if fit.shifts is None else fit.shifts[fit.index].worth_applying
    run.log(f"Water vapour {fit.pwv:.1f} +/- {fit.error:.1f} um; wavelength shift {applied:+.2f} pixels")
    run.quality["pwv"] = fit.pwv
    _describe(used, applied, run)
    _draw_fit(image, models * response.values, pwv, fit, run)
    cards: tuple[Card, ...] = (
        ("ATRNFILE", used.name, "Model of the atmosphere"),
        ("FITPWV", fit.pwv, "Fitted precipitable water vapor [um]"),
        ("FITPWVER", fit.error, "Error of the fitted water vapor [um]"),
    )
    return AtmosphereFit(models[fit.index], applied, cards)


def _read_water_vapour(used: ReferenceUse) -> float:
    model = parse_atmosphere_name(used.name)
    return float("nan") if model is None or model.pwv is None else model.pwv


def _draw_fit(image: Product, models: FloatArray, pwv: FloatArray, fit: WaterVapourFit, run: Run) -> None:
    """Attach plots of the goodness of fit, and of the spectrum corrected with each model."""
    from sofia_engine.painter import draw
    from sofia_engine.plots import Curve, CurvePlot, render_plot

    goodness = CurvePlot(
        (Curve(pwv, fit.chi_square, style="points"),),
        title=f"{image.name}: best {fit.pwv:.1f} +/- {fit.error:.1f} um",
        x_label="Water vapor (um)",
        y_label="Reduced chi-square",
    )
    wavelength = image["WAVEPOS"]
    with np.errstate(divide="ignore", invalid="ignore"):
        curves = tuple(
            Curve(wavelength, image["SPECTRAL_FLUX"] / model, f"{vapour:g} um", strong=index == fit.index)
            for index, (model, vapour) in enumerate(zip(models, pwv, strict=True))
        )
    corrected = CurvePlot(curves, title=image.name, x_label="Wavelength (um)", y_label="Corrected flux (Jy)")
    run.attach(name_auxiliary(image, "PWV", ".png"), draw(render_plot, goodness))
    run.attach(name_auxiliary(image, "OPT", ".png"), draw(render_plot, corrected))
