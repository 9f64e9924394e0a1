"""Whether a cube fits into memory."""

from __future__ import annotations

import math
import os

from sofia_engine.errors import StepError

__all__ = ["find_free_memory", "require_memory"]

_CUBES = 14
"""Arrays of the size of the cube that are at hand at the same time."""
_BYTES_PER_SAMPLE = 200
_BYTES = 8


def find_free_memory() -> float:
    """Return the bytes of memory that can be had; infinity where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as stream:  # noqa: PTH123 - not a file of anybody's
            lines = dict(line.split(":", 1) for line in stream)
        return float(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError, IndexError):
        pass
    try:
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):
        return math.inf


def require_memory(shape: tuple[int, ...], samples: int) -> None:
    """Refuse to make a cube for which there is not enough memory.

    Parameters
    ----------
    shape : tuple of int
        Of the cube.
    samples : int
        Number of its samples.

    Raises
    ------
    StepError
        If it needs more than is free.
    """
    needed = _BYTES * _CUBES * math.prod(shape) + _BYTES_PER_SAMPLE * samples
    free = find_free_memory()
    if needed > free:
        size = " x ".join(str(n) for n in reversed(shape))
        raise StepError(
            f"The cube of {size} pixels needs about {needed / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are free; "
            "give larger pixels, or set resample.check_memory = False to try it anyway."
        )
