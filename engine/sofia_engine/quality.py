"""Numbers that tell the quality of any product, cheap enough to be taken after every step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from sofia_engine.numerics.statistics import MAD_TO_SIGMA, median_ignoring_nan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sofia_engine.product import Product

__all__ = ["SIGNAL_PLANES", "find_signal", "measure_quality"]

SIGNAL_PLANES = (
    ("FLUX", "ERROR"),
    ("SPECTRAL_FLUX", "SPECTRAL_ERROR"),
    ("STOKES I", "ERROR I"),
    ("PRIMARY IMAGE", "NOISE"),
    ("FLUX", "STDDEV"),
)
"""Names of the plane that holds the signal and of the one with its error, in order of preference."""

_SAMPLE_SIZE = 1 << 14


def find_signal(product: Product) -> tuple[str, str]:
    """Return the names of the planes with the signal and its error.

    The first plane counts as the signal if none has a usual name; the second name is empty if there is no error of the
    same shape, and both are if the product has no plane.
    """
    planes = product.planes
    for signal, error in SIGNAL_PLANES:
        if signal in planes and error in planes and planes[signal].shape == planes[error].shape:
            return signal, error
    known = (signal for signal, _ in SIGNAL_PLANES if signal in planes)
    return next(known, next(iter(planes), "")), ""


def measure_quality(product: Product) -> dict[str, float]:
    """Measure background, noise, error and missing pixels of the signal of a product.

    Parameters
    ----------
    product : Product
        Image, stack of images, cube or spectrum.

    Returns
    -------
    dict of str to float
        ``background``: median; ``noise``: scatter about it, from the median absolute deviation (a source that covers
        less than half of the image does not count); ``median_error``: median of the error plane, each in units of the
        plane; ``missing``: percentage of pixels without a value. For stacks and cubes the median over the images.
        What cannot be measured is left out.

    Notes
    -----
    Medians are those of some 16,000 regularly spaced pixels: their sampling error is 1 % of the noise.
    """
    signal, error = find_signal(product)
    if not signal or not product[signal].size or product[signal].dtype.kind not in "fiu":
        return {}
    data = product[signal]
    images = _sample(data)
    levels = median_ignoring_nan(images, axis=-1)
    scatter = MAD_TO_SIGMA * median_ignoring_nan(np.abs(images - levels[:, np.newaxis]), axis=-1)
    missing = float(np.count_nonzero(np.isnan(data))) / data.size if data.dtype.kind == "f" else 0.0
    found = {"background": _middle(levels), "noise": _middle(scatter)}
    if error:
        found["median_error"] = _middle(median_ignoring_nan(_sample(product[error]), axis=-1))
    found["missing"] = 100.0 * missing
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _sample(data: NDArray[Any]) -> NDArray[np.float64]:
    """Return (n_image, n_pixel) regularly spaced values, about `_SAMPLE_SIZE` in all."""
    images = data.reshape(-1, data.shape[-2] * data.shape[-1]) if data.ndim > 2 else data.reshape(1, -1)
    few = images[:: max(1, len(images) // 64)]
    step = _odd_step(few.size // _SAMPLE_SIZE, data.shape[-1])
    sample = few[:, ::step].astype(np.float64)
    sample[np.isinf(sample)] = np.nan
    return sample


def _odd_step(step: int, row_length: int) -> int:
    """Return a step near the one given that shares no factor with the length of rows: samples visit all columns."""
    step = max(1, step)
    while math.gcd(step, row_length) > 1:
        step += 1
    return step


def _middle(values: NDArray[Any]) -> float:
    return float(median_ignoring_nan(values))
