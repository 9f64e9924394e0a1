"""Texts in which users give apertures: positions, radii, signs, background regions; checked when they are set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator

from sofia_engine.errors import ParameterError
from sofia_engine.spectroscopy.apertures import parse_lists, parse_regions

__all__ = ["Positions", "Radii", "Regions", "Signs"]

_SYNTAX = "separated by commas, files by semicolons, such as"


def _check_numbers(rule: str, allowed: Callable[[float], bool] = lambda _: True) -> Callable[[str], str]:
    """Return a check of lists: finite numbers that are allowed."""

    def check(text: str) -> str:
        try:
            lists = parse_lists(text, "", text.count(";") + 1)
        except ParameterError:
            raise ValueError(rule) from None
        if not all(allowed(number) for numbers in lists for number in numbers):
            raise ValueError(rule)
        return text

    return check


def _check_positions(text: str) -> str:
    _check_numbers(f"numbers {_SYNTAX} 3,8;2,7")(text)
    if any(len(set(numbers)) < len(numbers) for numbers in parse_lists(text, "", text.count(";") + 1)):
        raise ValueError("different positions: two apertures at the same place are one")
    return text


def _check_regions(text: str) -> str:
    try:
        parse_regions(text, "", text.count(";") + 1)
    except ParameterError:
        raise ValueError("start-stop pairs such as 0-1,8-10;2-3") from None
    return text


Positions = Annotated[str, AfterValidator(_check_positions)]
"""Places along the slit, arcsec."""
Radii = Annotated[str, AfterValidator(_check_numbers(f"numbers above 0 {_SYNTAX} 2,3;2,3", lambda x: x > 0))]
"""Arcsec."""
Signs = Annotated[str, AfterValidator(_check_numbers(f"1 or -1, {_SYNTAX} 1,-1;-1,1", lambda x: x in (1.0, -1.0)))]
Regions = Annotated[str, AfterValidator(_check_regions)]
"""Parts of the slit as start-stop, arcsec."""
