"""What the small drawing beside each step shows: its time as a bar, or a number of its products as a line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sofia_app.models.reduction import StepRow

__all__ = ["DURATION", "Sparkline", "list_numbers", "make_sparkline"]

DURATION = "duration"
_LEAST_SPAN = 0.1
"""Range of the line, relative to its mean: smaller differences are not blown up."""


@dataclass(frozen=True)
class Sparkline:
    """A drawing in a box from (0, 0) at the lower left to (1, 1).

    Parameters
    ----------
    points : tuple of (float, float)
        Corners of the line, or a single point.
    bar : float
        Length of a bar; NaN for none.
    text : str
        The same in words.
    """

    points: tuple[tuple[float, float], ...] = ()
    bar: float = math.nan
    text: str = ""


def list_numbers(rows: Sequence[StepRow]) -> tuple[str, ...]:
    """Return the names of all numbers that steps have given, in order of appearance."""
    return tuple(dict.fromkeys(name for row in rows for numbers in row.quality for name in numbers))


def make_sparkline(row: StepRow, name: str, longest: float) -> Sparkline:
    """Return the drawing of a step.

    Parameters
    ----------
    row : StepRow
        The step.
    name : str
        `DURATION`, or the name of a number.
    longest : float
        Time of the step that took longest, s.
    """
    if not row.is_done:
        return Sparkline()
    if name == DURATION:
        return Sparkline(bar=row.seconds / longest if longest > 0 else 0.0, text=f"{row.seconds:.2f} s")
    values = [float(numbers.get(name, math.nan)) for numbers in row.quality]
    known = [(place, value) for place, value in enumerate(values) if math.isfinite(value)]
    if not known:
        return Sparkline()
    return Sparkline(_scale(known, len(values)), text=_describe(name, [value for _, value in known]))


def _scale(known: Sequence[tuple[int, float]], count: int) -> tuple[tuple[float, float], ...]:
    low, high = min(value for _, value in known), max(value for _, value in known)
    middle = (low + high) / 2
    span = max(high - low, _LEAST_SPAN * abs(middle)) or 1.0
    across = max(count - 1, 1)
    shift = 0.5 if count == 1 else 0.0
    return tuple((place / across + shift, 0.5 + (value - middle) / span) for place, value in known)


def _describe(name: str, values: Sequence[float]) -> str:
    if len(values) == 1:
        return f"{name}: {values[0]:.4g}"
    mean = sum(values) / len(values)
    return f"{name} of {len(values)} products: {min(values):.4g} to {max(values):.4g}, mean {mean:.4g}"
