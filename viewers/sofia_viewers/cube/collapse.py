"""Images of ranges of wavelengths: means and sums with errors; samples of a cube for its display."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import StepError
from sofia_viewers.cube.cube import Cube
from sofia_viewers.cube.samples import Samples

__all__ = ["Collapsed", "collapse_range", "find_brightest_slice", "sample_cube", "split_channels"]

FloatImage = NDArray[np.float64]

_MOST_SLICES = 32
_MOST_VALUES = 1 << 17


@dataclass(frozen=True, eq=False)
class Collapsed:
    """Image of a range.

    Parameters
    ----------
    values : (n_y, n_x) ndarray
        Sum or mean over the slices; NaN where no slice is good.
    error : (n_y, n_x) ndarray or None
        1-sigma error, from independent errors of the slices.
    """

    values: FloatImage
    error: FloatImage | None


def collapse_range(
    samples: Samples, waves: slice, how: Literal["mean", "sum"] = "mean", errors: Samples | None = None
) -> Collapsed:
    """Return the mean or sum of slices.

    Parameters
    ----------
    samples : Samples
        Values; NaN is left out.
    waves : slice
        Which slices.
    how : {"mean", "sum"}
        How they are combined.
    errors : Samples, optional
        1-sigma errors of the values.

    Raises
    ------
    StepError
        If the range holds no slice.
    """
    if waves.stop <= waves.start:
        raise StepError("The range holds no slice of the cube: choose a wider one.")
    total, count = _add(samples, waves, squared=False)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.where(count > 0, total / count if how == "mean" else total, np.nan)
        if errors is None:
            return Collapsed(values, None)
        squares, known = _add(errors, waves, squared=True)
        spread = np.where(known > 0, np.sqrt(squares) / (known if how == "mean" else 1.0), np.nan)
    return Collapsed(values, spread)


def _add(samples: Samples, waves: slice, *, squared: bool) -> tuple[FloatImage, FloatImage]:
    total, count = np.zeros(samples.shape[1:]), np.zeros(samples.shape[1:])
    for wave in range(waves.start, waves.stop):
        image = samples[wave].astype(np.float64)
        known = np.isfinite(image)
        image[~known] = 0.0
        total += image * image if squared else image
        count += known
    samples.release()
    return total, count


def split_channels(cube: Cube, low: float, high: float, count: int) -> list[slice]:
    """Divide a range of wavelengths into neighbouring channels of (nearly) as many slices each, for channel maps."""
    whole = cube.find_slices(low, high)
    if whole.stop - whole.start < 1:
        raise StepError("The range holds no slice of the cube: choose a wider one.")
    number = min(count, whole.stop - whole.start)
    edges = np.linspace(whole.start, whole.stop, number + 1).round().astype(int)
    return [slice(int(first), int(stop)) for first, stop in pairwise(edges)]


def sample_cube(samples: Samples) -> NDArray[np.float32]:
    """Return finite values from all over a cube, for limits and histograms: few slices, few pixels of each."""
    step = max(1, samples.shape[0] // _MOST_SLICES)
    slices = range(step // 2, samples.shape[0], step)
    pixels = max(1, int(np.sqrt(samples.shape[1] * samples.shape[2] * len(slices) / _MOST_VALUES)))
    parts = [samples[wave, ::pixels, ::pixels].ravel() for wave in slices]
    values = np.concatenate(parts)
    return values[np.isfinite(values)]


def find_brightest_slice(samples: Samples) -> int:
    """Return the slice with the highest mean of its upper tenth, among some dozens: where a line is likely."""
    step = max(1, samples.shape[0] // (2 * _MOST_SLICES))
    best, where = -np.inf, samples.shape[0] // 2
    for wave in range(step // 2, samples.shape[0], step):
        image = samples[wave, ::2, ::2]
        values = image[np.isfinite(image)]
        if values.size < 0.25 * image.size and values.size < 10:
            continue
        score = float(np.sort(values)[-max(1, values.size // 10) :].mean(dtype=float))
        if score > best:
            best, where = score, wave
    samples.release()
    return where
