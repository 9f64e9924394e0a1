"""Pages of mapped cubes that stay in memory while an aperture is dragged, and for how long."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from sofia_engine.memory import available_memory
from sofia_viewers.cube.cube import Cube

__all__ = ["KeptPages"]

_MOST_BYTES = 2048 * 2**20
_SHARE = 0.25
"""At most this part of the memory that is free."""


@dataclass(eq=False)
class KeptPages:
    """Decides whether the rows that an aperture was read from stay mapped; called from any thread.

    To map a page again takes longer than to add up its numbers, and an aperture that is dragged needs nearly the same
    pages again. Memory is bounded all the same: what is kept of a cube is given back when it would be too much.

    Parameters
    ----------
    most_bytes : int
        How much of a cube may be kept: 2 GB, or a quarter of the free memory if that is less.
    """

    most_bytes: int = field(default_factory=lambda: int(min(_MOST_BYTES, _SHARE * available_memory())))
    _rows: dict[Cube, tuple[int, int]] = field(default_factory=dict, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def keep(self, cube: Cube, rows: slice, planes: tuple[str, ...]) -> bool:
        """Take note that rows of planes of a cube are to be read; False if they are too many to be kept."""
        row_bytes = sum(cube.shape[0] * cube.shape[2] * cube.samples(name).raw.itemsize for name in planes)
        with self._lock:
            low, high = self._rows.get(cube, (rows.start, rows.stop))
            low, high = min(low, rows.start), max(high, rows.stop)
            if (high - low) * row_bytes > self.most_bytes:
                self._rows.pop(cube, None)
                cube.release()
                low, high = rows.start, rows.stop
            if (high - low) * row_bytes > self.most_bytes:
                return False
            self._rows[cube] = (low, high)
            return True

    def release(self) -> None:
        """Give all back to the system."""
        with self._lock:
            cubes = list(self._rows)
            self._rows.clear()
        for cube in cubes:
            cube.release()
