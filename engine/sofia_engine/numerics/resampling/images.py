"""Missing pixels of an image from those around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.numerics.resampling.resampler import Resampler
from sofia_engine.numerics.resampling.rules import LocalRegression

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sofia_engine.numerics.arrays import FloatArray

__all__ = ["fill_image"]


def fill_image(
    image: ArrayLike,
    mask: ArrayLike | None = None,
    rule: LocalRegression | None = None,
    error: ArrayLike | None = None,
) -> tuple[FloatArray, FloatArray | None]:
    """Fill the missing pixels of an image by local polynomial regression; the others stay as they are.

    Parameters
    ----------
    image : (ny, nx) array_like
        NaN is missing.
    mask : (ny, nx) array_like of bool, optional
        True where a pixel is good; others are replaced.
    rule : LocalRegression, optional
        By default order 1 with an estimated window.
    error : (ny, nx) array_like, optional
        1-sigma errors, that weight the fits.

    Returns
    -------
    image, error : ndarray
        Filled image, NaN where the pixels around do not support a fit; errors with those of the fits (None without
        errors).

    Raises
    ------
    ValueError
        If shapes do not fit or there is no good pixel.
    """
    filled = np.array(image, dtype=np.float64)
    if filled.ndim != 2:
        raise ValueError(f"an image has two dimensions: the shape is {filled.shape}")
    good = np.isfinite(filled)
    if mask is not None:
        wanted = np.asarray(mask, dtype=bool)
        if wanted.shape != filled.shape:
            raise ValueError(f"a mask of shape {wanted.shape} does not fit an image of shape {filled.shape}")
        good &= wanted
    sigma = None if error is None else np.broadcast_to(np.asarray(error, dtype=np.float64), filled.shape).copy()
    bad = ~good
    if bad.any():
        y, x = np.nonzero(good)
        lines = np.stack([x, y]).astype(np.float64)
        resampler = Resampler(lines, filled[good], None if sigma is None else sigma[good], rule)
        places = np.stack(np.nonzero(bad)[::-1]).astype(np.float64)
        fit = resampler(places)
        filled[bad] = fit.values
        if sigma is not None:
            sigma[bad] = fit.errors
    return filled, sigma
