"""Where a linear axis gets ticks, and what is written at them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Ticks", "find_ticks", "round_step"]

_ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)
_SLACK = 1e-9
_MOST_DIGITS = 12


@dataclass(frozen=True)
class Ticks:
    """Values of ticks, what is written at each, and a power of ten that multiplies all of them, as text."""

    values: Sequence[float]
    labels: Sequence[str]
    factor: str = ""


def find_ticks(low: float, high: float, most: int, powers: tuple[int, int] = (-5, 6)) -> Ticks:
    """Find round values between the ends of an axis.

    Parameters
    ----------
    low, high : float
        Ends; low is less than high.
    most : int
        Most intervals between ticks.
    powers : (int, int)
        Numbers of less than ten to the first or of at least ten to the second power get a common factor.
    """
    step = round_step((high - low) / max(most, 1))
    values = _multiples(low, high, step)
    while len(values) < 2:
        step = round_step(step / 2.01)
        values = _multiples(low, high, step)
    largest = max(map(abs, values), default=0.0)
    power = math.floor(math.log10(largest) + _SLACK) if largest else 0
    power = 0 if powers[0] <= power < powers[1] else power
    digits = _count_digits([value / 10.0**power for value in values], step / 10.0**power)
    labels = [_minus(f"{value / 10.0**power + 0.0:.{digits}f}") for value in values]
    return Ticks(values, labels, _minus(f"1e{power}") if power else "")


def round_step(least: float) -> float:
    """Return the smallest of 1, 2, 2.5, 5 times a power of ten that is not less."""
    power = 10.0 ** math.floor(math.log10(least))
    return next((n * power for n in _ROUND if n * power >= least * (1 - _SLACK)), 10.0 * power)


def _multiples(low: float, high: float, step: float) -> list[float]:
    first, last = math.ceil(low / step - _SLACK), math.floor(high / step + _SLACK)
    return [number * step for number in range(first, last + 1)]


def _count_digits(values: Sequence[float], step: float) -> int:
    """Digits behind the point that tell the values exactly, to a thousandth of the step."""
    for digits in range(_MOST_DIGITS):
        if all(abs(round(value, digits) - value) <= 1e-3 * step for value in values):
            return digits
    return _MOST_DIGITS


def _minus(text: str) -> str:
    return text.replace("-", "\N{MINUS SIGN}")
