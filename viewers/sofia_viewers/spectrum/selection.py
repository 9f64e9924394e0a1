"""Lists of orders or apertures as users type them: ``1,3-5``, ``*`` for all, ``-`` for none."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from sofia_engine.errors import ParameterError

__all__ = ["format_numbers", "parse_numbers"]

_PART = re.compile(r"^(\d+)(?:\s*-\s*(\d+))?$")


def parse_numbers(text: str, known: Collection[int]) -> frozenset[int]:
    """Read a list of numbers.

    Parameters
    ----------
    text : str
        Numbers and ranges separated by commas; ``*`` is all, ``-`` or nothing is none.
    known : collection of int
        Numbers that exist; others are left out.

    Raises
    ------
    ParameterError
        If a part is neither a number nor a range.
    """
    clean = text.strip()
    if clean == "*":
        return frozenset(known)
    if clean in ("", "-"):
        return frozenset()
    wanted: set[int] = set()
    for part in clean.split(","):
        found = _PART.match(part.strip())
        if found is None:
            raise ParameterError(
                f"'{part.strip()}' is no number or range: write for example 1,3-5, or * for all, - for none."
            )
        first, last = sorted((int(found[1]), int(found[2] or found[1])))
        wanted.update(number for number in known if first <= number <= last)
    return frozenset(wanted)


def format_numbers(numbers: Iterable[int], known: Collection[int]) -> str:
    """Write a list of numbers in the short form that `parse_numbers` reads."""
    chosen = sorted(set(numbers) & set(known))
    if not chosen:
        return "-"
    if len(chosen) == len(set(known)):
        return "*"
    runs: list[list[int]] = []
    for number in chosen:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
