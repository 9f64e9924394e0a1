"""Ties of fit parameters as users type them: ``1`` follows line 1, ``2*1`` is twice it, ``1+0.05`` that much more."""

from __future__ import annotations

import re

from sofia_engine.errors import ParameterError
from sofia_viewers.spectrum.fitting import Tie

__all__ = ["format_tie", "parse_tie"]

_NUMBER = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?"
_TIE = re.compile(rf"^=?\s*(?:(?P<factor>{_NUMBER})\s*\*\s*)?(?P<line>[0-9]{{1,3}})\s*(?P<offset>[+-]\s*{_NUMBER})?$")


def parse_tie(text: str, parameter: str) -> Tie | None:
    """Read a tie to the same parameter of another line; None for an empty text.

    Raises
    ------
    ParameterError
        If it is none.
    """
    if not text.strip():
        return None
    found = _TIE.match(text.strip())
    if found is None or int(found["line"]) < 1:
        raise ParameterError(f"'{text}' is no tie: write the number of a line, as 1, 2*1 or 1+0.05, or nothing.")
    offset = float(found["offset"].replace(" ", "")) if found["offset"] else 0.0
    return Tie(int(found["line"]) - 1, parameter, float(found["factor"] or 1.0), offset)


def format_tie(tie: Tie | None) -> str:
    """Write a tie as `parse_tie` reads it."""
    if tie is None:
        return ""
    factor = "" if tie.factor == 1.0 else f"{tie.factor:g}*"
    offset = "" if tie.offset == 0.0 else f"{tie.offset:+g}"
    return f"{factor}{tie.line + 1}{offset}"
