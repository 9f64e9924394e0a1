"""Whether a cube fits into memory."""

from __future__ import annotations

import math

from sofia_engine.errors import StepError
from sofia_engine.memory import available_memory, memory_limit

__all__ = ["find_free_memory", "require_memory"]

_CUBES = 14
"""Arrays of the size of the cube that are at hand at the same time."""
_BYTES_PER_SAMPLE = 200
_BYTES = 8


def find_free_memory() -> float:
    """Return the bytes of memory that can be had; infinity where the system does not say or the user wants no limit."""
    limit = memory_limit()
    return math.inf if limit == math.inf else available_memory(limit)


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
