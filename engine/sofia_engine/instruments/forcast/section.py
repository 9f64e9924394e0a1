"""The section of the detector in which the level of the background is measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator

from sofia_engine.pipeline.parameters import Condition, parameter

__all__ = ["PixelPair", "parse_pair", "section_center", "section_size"]


def parse_pair(text: str) -> tuple[float, float]:
    """Return the numbers in a text ``x,y``.

    Raises
    ------
    ValueError
        If it is not two finite numbers of at least 0.
    """
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError:
        x = y = -1.0
    if not (0 <= x < float("inf") and 0 <= y < float("inf")):
        raise ValueError("two numbers of pixels separated by a comma, such as 128,128")
    return x, y


def _check_pair(text: str) -> str:
    parse_pair(text)
    return text


PixelPair = Annotated[str, AfterValidator(_check_pair)]
"""Type of parameters that hold two numbers of pixels, ``x,y``."""


def section_center(group: str = "", applies_when: Condition | Sequence[Condition] = ()) -> Any:
    """Declare the parameter for the center of the section."""
    return parameter(
        "128,128",
        key="secctr",
        label="Background section center",
        unit="pixels",
        group=group,
        help="Center x,y of the section of the detector in which the level of the background is measured, from 0.",
        applies_when=applies_when,
    )


def section_size(group: str = "", applies_when: Condition | Sequence[Condition] = ()) -> Any:
    """Declare the parameter for the size of the section."""
    return parameter(
        "190,190",
        key="secsize",
        label="Background section size",
        unit="pixels",
        group=group,
        help="Width and height x,y of the section of the detector in which the level of the background is measured.",
        applies_when=applies_when,
    )
