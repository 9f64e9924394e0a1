"""Correct Nonlinearity: the response of the detector at the level of the background."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from astropy.io import fits

from sofia_engine.header.cards import Card
from sofia_engine.header.formatting import format_numbers, text_card
from sofia_engine.instruments.forcast.configuration import Capacitance, Nonlinearity, configure
from sofia_engine.instruments.forcast.mode import find_camera
from sofia_engine.instruments.forcast.section import PixelPair, parse_pair, section_center, section_size
from sofia_engine.numerics.arrays import FloatArray
from sofia_engine.numerics.statistics import median_of_section
from sofia_engine.pipeline.parameters import SavedOutput
from sofia_engine.pipeline.run import Run
from sofia_engine.pipeline.step import step
from sofia_engine.product import Product

__all__ = ["NonlinearityParameters", "compute_divisors", "find_capacitance", "nonlin"]

GAINS: dict[int, Capacitance] = {136: "LO", 1294: "HI"}
"""Electrons per count at which the two capacitances are used."""


class NonlinearityParameters(SavedOutput):
    """Parameters of Correct Nonlinearity."""

    center: PixelPair = section_center()
    size: PixelPair = section_size()


@step(
    "nonlin",
    label="Correct Nonlinearity",
    code="LNZ",
    product_type="linearized",
    level="LEVEL_2",
    cutout="it measures the background in a section of the whole detector",
)
def nonlin(image: Product, p: NonlinearityParameters, run: Run) -> Product:
    """Divide each plane by the response of the detector at the level of its background."""
    configuration = configure(image.header)
    capacitance = find_capacitance(image.header)
    if capacitance is None:
        run.warn(f"{image.name}: the response at EPERADU = {image.header.get('EPERADU')} is not known; no correction.")
        return image
    name, response = configuration.find_nonlinearity(find_camera(image.header), capacitance)
    levels = [median_of_section(plane, parse_pair(p.center), parse_pair(p.size)) for plane in image["FLUX"]]
    cards = _describe(levels, name, response)
    low, high = response.limits
    bad = [number for number, level in enumerate(levels, 1) if not low <= level <= high]
    if bad:
        run.warn(f"{image.name}: {_explain_bad(bad, levels, response)}; no correction.")
        run.history(f"Image nonlin: not corrected, {_explain_bad(bad, levels, response)}")
        return image.with_cards(*cards, ("NLINFLAG", True, "Nonlinearity not corrected"))
    divisors = compute_divisors(levels, response)
    _write_history(levels, divisors, response, run)
    flux, error = (_divide(image[key], divisors) for key in ("FLUX", "ERROR"))
    return image.with_cards(*cards).replace(FLUX=flux, ERROR=error)


def find_capacitance(header: fits.Header) -> Capacitance | None:
    """Return the capacitance of an observation, by its gain EPERADU; None if the gain is another one."""
    gain = header.get("EPERADU")
    return GAINS.get(int(gain)) if isinstance(gain, int | float) else None


def compute_divisors(levels: Sequence[float], response: Nonlinearity) -> list[float]:
    """Return the response of the detector at levels of background, relative to that at the reference.

    Parameters
    ----------
    levels : sequence of float
        Counts.
    response : Nonlinearity
        Polynomial of (level - reference) / scale.
    """
    scaled = (np.asarray(levels, dtype=np.float64) - response.reference) / response.scale
    return [float(value) for value in np.polynomial.polynomial.polyval(scaled, response.coefficients)]


def _divide(planes: FloatArray, divisors: Sequence[float]) -> FloatArray:
    divided: FloatArray = planes / np.asarray(divisors, dtype=planes.dtype)[:, np.newaxis, np.newaxis]
    return divided


def _describe(levels: Sequence[float], name: str, response: Nonlinearity) -> list[Card]:
    cards: list[Card] = [
        text_card("NLINSLEV", format_numbers(np.asarray(levels, dtype=np.float32)), "Signal level of the background"),
    ]
    cards += [
        (f"NLINC{number}", coefficient, f"linearity correction coeff #{number}")
        for number, coefficient in enumerate(response.coefficients)
    ]
    return [
        *cards,
        (f"NLR{name}", response.reference, "count reference for linearity correction"),
        (f"NLS{name}", response.scale, "count scale for linearity correction"),
        text_card(f"LIM{name}", format_numbers(response.limits), "linearity correction limits"),
    ]


def _explain_bad(bad: Sequence[int], levels: Sequence[float], response: Nonlinearity) -> str:
    shown = ", ".join(f"{levels[number - 1]:.1f} in plane {number}" for number in bad)
    low, high = response.limits
    return f"background level {shown} is outside {low:g} to {high:g} ct"


def _write_history(levels: Sequence[float], divisors: Sequence[float], response: Nonlinearity, run: Run) -> None:
    run.history(f"Background: medians of the section are {', '.join(f'{level:.3f}' for level in levels)} ct")
    run.history(
        f"Image nonlin: polynomial of (level - {response.reference:g}) / {response.scale:g}, "
        f"coefficients {format_numbers(response.coefficients)}"
    )
    run.history(
        *(f"Image nonlin: plane {number} divided by {divisor:.8f}" for number, divisor in enumerate(divisors, 1))
    )
