"""Options of a simulation: building them from what the caller gives, and refusing what cannot be."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar

from sofia_engine.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Observation", "build_options", "check_choice", "check_number", "check_pair", "compact_date", "suggest"]


@dataclass(frozen=True, kw_only=True)
class Observation:
    """
    Options every simulated observation has.

    Parameters
    ----------
    object
        Name of the target.
    ra, dec
        Position of the source (ICRS), degrees.
    date
        Day of the observation, YYYY-MM-DD.
    altitude_ft
        Altitude of the airplane, feet.
    zenith_angle
        Zenith angle, degrees.
    water_vapour
        Precipitable water vapour above the airplane, micrometres.
    noise
        Add photon and read noise.
    gzip
        Write ``.fits.gz`` files.
    """

    object: str = "SIMULATED"
    ra: float = 213.9153
    dec: float = 19.1824
    date: str = "2018-09-01"
    altitude_ft: float = 40000.0
    zenith_angle: float = 45.0
    water_vapour: float = 7.0
    noise: bool = True
    gzip: bool = False

    def __post_init__(self) -> None:
        check_number("ra", self.ra, 0, 360)
        check_number("dec", self.dec, -89, 89)
        check_number("altitude_ft", self.altitude_ft, 0, 60000)
        check_number("zenith_angle", self.zenith_angle, 0, 90)
        check_number("water_vapour", self.water_vapour, 0, 1000)
        compact_date(self.date)


_Options = TypeVar("_Options", bound=Observation)


def build_options(cls: type[_Options], defaults: Mapping[str, Any], given: Mapping[str, Any]) -> _Options:
    """
    Make the options of a simulation from the defaults of its kind and what the caller gives.

    Parameters
    ----------
    cls
        Class of the options.
    defaults
        Values that differ from the defaults of the class for this kind.
    given
        Values of the caller.

    Returns
    -------
    Observation
        An instance of ``cls``.

    Raises
    ------
    ParameterError
        If a name is unknown, a switch is not a bool, or a value is not allowed.
    """
    known = {field.name: field.type for field in fields(cls)}
    for name, value in given.items():
        if name not in known:
            raise ParameterError(f"Unknown option {name!r} of the simulation{suggest(name, known)}.")
        if known[name] == "bool" and not isinstance(value, bool):
            raise ParameterError(f"Option {name!r} of the simulation is {value!r}; give True or False.")
    return cls(**{**defaults, **given})


def suggest(name: str, known: Iterable[str]) -> str:
    """
    Name the closest known word, or else all of them, as the end of a sentence.

    Parameters
    ----------
    name
        The unknown word.
    known
        All known words.
    """
    words = list(known)
    close = difflib.get_close_matches(name, words, n=1)
    return f"; perhaps {close[0]!r} is meant" if close else f"; use one of {', '.join(words)}"


def check_number(name: str, value: Any, low: float, high: float) -> None:
    """
    Refuse a value that is not a number within limits.

    Parameters
    ----------
    name
        Name of the option, for the message.
    value
        Its value.
    low, high
        Smallest and largest allowed value.

    Raises
    ------
    ParameterError
        If the value is not a finite number from ``low`` to ``high``.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or not low <= value <= high:
        raise ParameterError(f"Option {name!r} of the simulation is {value!r}; give a number from {low:g} to {high:g}.")


def check_pair(name: str, value: Any) -> None:
    """
    Refuse a value that is not a pair of finite numbers.

    Parameters
    ----------
    name
        Name of the option, for the message.
    value
        Its value.

    Raises
    ------
    ParameterError
        If it is something else.
    """
    is_pair = isinstance(value, tuple | list) and len(value) == 2
    if not is_pair or not all(isinstance(number, int | float) and math.isfinite(number) for number in value):
        raise ParameterError(f"Option {name!r} of the simulation holds {value!r}; give two numbers (x, y).")


def check_choice(name: str, value: Any, choices: Iterable[str]) -> None:
    """
    Refuse a value that is not one of the choices.

    Parameters
    ----------
    name
        Name of the option, for the message.
    value
        Its value.
    choices
        What is allowed.

    Raises
    ------
    ParameterError
        If the value is something else.
    """
    allowed = list(choices)
    if value not in allowed:
        raise ParameterError(f"Option {name!r} of the simulation is {value!r}; use one of {', '.join(allowed)}.")


def compact_date(date: str) -> int:
    """
    Turn a day into the number the calibration tables use.

    Parameters
    ----------
    date
        YYYY-MM-DD.

    Returns
    -------
    int
        YYYYMMDD.

    Raises
    ------
    ParameterError
        If it is not a day.
    """
    from datetime import date as calendar_date

    try:
        return int(calendar_date.fromisoformat(date).strftime("%Y%m%d"))
    except (TypeError, ValueError) as error:
        message = f"Option 'date' of the simulation is {date!r}; give a day as YYYY-MM-DD, in quotes."
        raise ParameterError(message) from error
