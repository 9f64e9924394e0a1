"""Raw frames of a detector: chop and nod positions, ramps and time streams, with their levels."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from sofia_engine.errors import InputError
from sofia_engine.numerics.statistics import MAD_TO_SIGMA, median_ignoring_nan
from sofia_engine.product import Product, Table

__all__ = ["FrameSequence", "Levels", "Subtraction", "measure_levels", "read_sequences"]

Subtraction = Literal["none", "previous", "first", "pair", "median"]

_MOST_FRAMES = 4096
_PAIRED_MODES = (
    "NMC", "NPC", "NPCNAS", "NPCCAS", "NXCAC", "C2", "C2N", "C2NC2", "C2NC4", "SLITSCAN", "SLITSCAN_NMC",
    "SLITSCAN_NXCAC",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class FrameSequence:
    """Frames of one detector in the order they were read.

    Parameters
    ----------
    name : str
        File, and column of a table.
    frames : (n, n_y, n_x) ndarray
        Values; never changed.
    labels : tuple of str
        What each frame is: chop and nod position, or its number.
    unit : str
        Unit of the values.
    header : Header
        Primary header of the file.
    """

    name: str
    frames: NDArray[Any] = field(repr=False)
    labels: tuple[str, ...] = ()
    unit: str = ""
    header: fits.Header = field(default_factory=fits.Header, repr=False)

    def __len__(self) -> int:
        return len(self.frames)

    def frame(self, number: int, subtract: Subtraction = "none") -> NDArray[np.float64]:
        """Return one frame, or its difference from another.

        Parameters
        ----------
        number : int
            Which, from 0.
        subtract : {"none", "previous", "first", "pair", "median"}
            What is taken off: the frame before, the first one, the other of a pair (0 and 1, 2 and 3, ...: chop
            positions), or the median of up to 64 frames. A frame without partner is shown as it is.
        """
        frame: NDArray[np.float64] = self.frames[number].astype(np.float64)
        partner = {"previous": number - 1, "first": 0 if number else -1, "pair": number ^ 1}.get(subtract, -1)
        if subtract == "median" and len(self) > 1:
            return np.asarray(frame - self.median_frame, dtype=np.float64)
        return np.asarray(frame - self.frames[partner]) if 0 <= partner < len(self) else frame

    @cached_property
    def median_frame(self) -> NDArray[np.float64]:
        """Median of up to 64 frames, pixel by pixel."""
        few = self.frames[:: max(1, len(self) // 64)]
        return np.asarray(median_ignoring_nan(few.astype(np.float64), axis=0), dtype=np.float64)

    def time_stream(self, x: int, y: int) -> NDArray[np.float64]:
        """Return the values of one pixel (counted from 0) in all frames.

        Raises
        ------
        InputError
            If there is no such pixel.
        """
        rows, columns = self.frames.shape[1:]
        if not (0 <= x < columns and 0 <= y < rows):
            raise InputError(f"{self.name}: there is no pixel ({x + 1}, {y + 1}); frames are {columns} x {rows}.")
        return self.frames[:, y, x].astype(np.float64)


@dataclass(frozen=True)
class Levels:
    """Levels of one frame.

    Parameters
    ----------
    number : int
        Of the frame, from 1.
    label : str
        What it is.
    median, mean, noise, low, high : float
        Of its pixels; the noise from the median absolute deviation.
    """

    number: int
    label: str
    median: float
    mean: float
    noise: float
    low: float
    high: float


def read_sequences(path: Path) -> tuple[FrameSequence, ...]:
    """Read all sequences of frames in a file: stacks of images, and columns of tables with an array in each row.

    Raises
    ------
    InputError
        If it cannot be read or holds no frames.
    """
    product = Product.read(path, layout="extensions")
    found = [
        FrameSequence(
            path.name if name == next(iter(product.planes)) else f"{path.name} [{name}]",
            frames := plane.data.reshape(-1, *plane.data.shape[-2:]),
            name_frames(product.header, len(frames)),
            plane.unit,
            product.header,
        )
        for name, plane in product.planes.items()
        if plane.data.ndim >= 2 and plane.data.size
    ]
    for name, table in product.tables.items():
        found += _read_columns(path, name, table, product.header)
    if not found:
        raise InputError(f"{path} holds no frames of a detector.")
    return tuple(found)


def name_frames(header: fits.Header, count: int) -> tuple[str, ...]:
    """Return what the frames of a raw file are.

    FORCAST stores the chop positions of each nod position next to each other; the first nod position is NODBEAM.
    """
    mode = str(header.get("SKYMODE", header.get("INSTMODE", ""))).strip().upper()
    is_raw = str(header.get("INSTRUME", "")).strip().upper() == "FORCAST" and mode in _PAIRED_MODES
    if not is_raw or count % 2:
        return tuple(f"frame {number + 1}" for number in range(count))
    beams = "BA" if str(header.get("NODBEAM", "A")).strip().upper() == "B" else "AB"
    return tuple(f"nod {beams[number // 2 % 2]}, chop {number % 2 + 1}" for number in range(count))


def measure_levels(sequence: FrameSequence) -> list[Levels]:
    """Measure the levels of all frames."""
    labels = sequence.labels or tuple(f"frame {number + 1}" for number in range(len(sequence)))
    return [_measure(frame, n, label) for n, (frame, label) in enumerate(zip(sequence.frames, labels, strict=True), 1)]


def _measure(frame: NDArray[Any], number: int, label: str) -> Levels:
    values = frame[np.isfinite(frame)].astype(np.float64)
    if not values.size:
        return Levels(number, label, *(math.nan,) * 5)
    median = float(np.median(values))
    noise = MAD_TO_SIGMA * float(np.median(np.abs(values - median)))
    return Levels(number, label, median, float(values.mean()), noise, float(values.min()), float(values.max()))


def _read_columns(path: Path, name: str, table: Table, header: fits.Header) -> list[FrameSequence]:
    found = []
    for column in table.data.columns:
        values = table[column.name]
        if values.dtype.kind not in "fiu" or values.ndim < 2 or len(values) < 2 or values[0].size < 2:
            continue
        frames = values[:: max(1, len(values) // _MOST_FRAMES)]
        frames = frames.reshape(len(frames), *_shape_of(values.shape[1:]))
        label = tuple(f"row {number}" for number in range(1, len(values) + 1, max(1, len(values) // _MOST_FRAMES)))
        found.append(FrameSequence(f"{path.name} [{name}: {column.name}]", frames, label, column.unit or "", header))
    return found


def _shape_of(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return rows and columns of a frame: a list of numbers is one row, or folded where it is 18 x 26 (FIFI-LS)."""
    if len(shape) >= 2:
        return int(np.prod(shape[:-1])), shape[-1]
    return (18, shape[0] // 18) if shape[0] % 18 == 0 and shape[0] > 18 else (1, shape[0])
