"""Where the axes of a map of the sky get ticks, and what is written at them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

__all__ = ["Tick", "choose_step", "label_angle", "place_ticks"]

Kind = Literal["hours", "degrees"]

_UNITS = {"hours": ("ʰ", "ᵐ", "ˢ"), "degrees": ("°", "′", "″")}
_SEXAGESIMAL = (1, 2, 5, 10, 15, 20, 30)
_SECONDS_PER_DEGREE = {"hours": 240.0, "degrees": 3600.0}


@dataclass(frozen=True)
class Tick:
    """A tick: its position along the axis, the angle in degrees, its label."""

    position: float
    angle: float
    label: str


def choose_step(span: float, kind: Kind, count: int = 5) -> float:
    """Choose a step between ticks.

    Parameters
    ----------
    span : float
        Range of the axis, degrees.
    kind : {"hours", "degrees"}
        How angles are written.
    count : int
        Most ticks wanted.

    Returns
    -------
    float
        Degrees; a round number of seconds, minutes, or hours or degrees.
    """
    wanted = max(span, 1e-9) * _SECONDS_PER_DEGREE[kind] / count
    if wanted <= 1:
        power = 10.0 ** math.floor(math.log10(wanted))
        seconds = next((n * power for n in (1, 2, 5, 10) if n * power >= wanted * (1 - 1e-9)), power)
    else:
        steps = [n * unit for unit in (1, 60, 3600) for n in _SEXAGESIMAL]
        seconds = next((step for step in steps if step >= wanted), 3600 * 45)
    return seconds / _SECONDS_PER_DEGREE[kind]


def place_ticks(positions: ArrayLike, angles: ArrayLike, kind: Kind, step: float) -> list[Tick]:
    """Place ticks on an axis.

    Parameters
    ----------
    positions : (N,) array_like
        Positions along the axis, increasing.
    angles : (N,) array_like
        Angles there, degrees; monotonic apart from jumps by 360 degrees.
    kind : {"hours", "degrees"}
        How angles are written.
    step : float
        Degrees between ticks, see `choose_step`.

    Returns
    -------
    list of Tick
        In the order of the positions. A label leaves out what it has in common with the one before.
    """
    at, value = np.asarray(positions, dtype=float), np.unwrap(np.asarray(angles, dtype=float), period=360.0)
    first, last = math.ceil(value.min() / step - 1e-9), math.floor(value.max() / step + 1e-9)
    marks = np.arange(first, last + 1) * step
    order = np.argsort(value, kind="stable")
    where = np.interp(marks, value[order], at[order])
    found = sorted(zip(where.tolist(), marks.tolist(), strict=True))
    return [
        Tick(position, angle, label) for (position, angle), label in zip(found, _label(found, kind, step), strict=True)
    ]


def _label(found: Sequence[tuple[float, float]], kind: Kind, step: float) -> list[str]:
    labels: list[str] = []
    before: tuple[str, ...] = ()
    for _, angle in found:
        parts = _split_angle(angle, kind, step)
        shared = next((n for n, (a, b) in enumerate(zip(parts, before, strict=False)) if a != b), 0)
        labels.append("".join(parts[min(shared, len(parts) - 1) :]))
        before = parts
    return labels


def label_angle(angle: float, kind: Kind, step: float) -> str:
    """Write an angle in hours or degrees, minutes and seconds, as precisely as a step needs (both in degrees)."""
    return "".join(_split_angle(angle, kind, step))


def _split_angle(angle: float, kind: Kind, step: float) -> tuple[str, ...]:
    """The parts of a written angle, those finer than the step left out; the first has the sign."""
    scale = _SECONDS_PER_DEGREE[kind]
    size = step * scale
    decimals = 0 if size >= 1 - 1e-9 else math.ceil(-math.log10(size) - 1e-9)
    seconds = round((angle % 360.0 if kind == "hours" else abs(angle)) * scale, decimals)
    if kind == "hours":
        seconds %= 86400
    minutes, second = divmod(seconds, 60)
    whole, minute = divmod(int(minutes), 60)
    signs = _UNITS[kind]
    sign = "" if kind == "hours" else "−" if angle < 0 and seconds > 0 else "+"
    width = 2 if not decimals else 3 + decimals
    parts = [f"{sign}{whole:02d}{signs[0]}", f"{minute:02d}{signs[1]}", f"{second:0{width}.{decimals}f}{signs[2]}"]
    needed = 3 if size % 60 > 1e-6 and 60 - size % 60 > 1e-6 else 2 if size % 3600 > 1e-6 else 1
    return tuple(parts[:needed])
