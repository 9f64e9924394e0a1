"""Small pictures of products and of quick-look maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import InputError
from sofia_engine.product import Product
from sofia_engine.quality import find_signal
from sofia_viewers.colormaps import make_color_table
from sofia_viewers.image.display import LimitsRule, compute_limits, reduce_block, sample_image

__all__ = ["draw_image", "draw_spectrum", "make_thumbnail"]

_BLANK = (128, 128, 128)


def make_thumbnail(path: Path, size: int = 96, color_map: str = "viridis") -> NDArray[np.uint8]:
    """Return a small picture of a FITS file: image, middle image of a cube, or curve of a spectrum.

    Parameters
    ----------
    path : Path
        FITS file.
    size : int
        Longest side, pixels.
    color_map : str
        Name of a colour map.

    Returns
    -------
    (n_y, n_x, 3) ndarray
        Red, green, blue; north is as in the file, the first row is the top.

    Raises
    ------
    InputError
        If the file cannot be read or has nothing to draw.
    """
    product = Product.read(path)
    signal, _ = find_signal(product)
    if not signal or not product[signal].size or product[signal].dtype.kind not in "fiu":
        raise InputError(f"{path} has no image and no spectrum.")
    data = product[signal]
    if data.ndim == 1:
        return draw_spectrum(data, size)
    images = data.reshape(-1, *data.shape[-2:])
    return draw_image(images[len(images) // 2], size, color_map)


def draw_image(image: NDArray[np.floating], size: int, color_map: str) -> NDArray[np.uint8]:
    """Return an image of at most `size` pixels a side in colours, with zscale limits; missing pixels are grey."""
    image = np.asarray(image, dtype=np.float32)
    step = max(1, -(-max(image.shape) // size))
    small = reduce_block(image, step) if step > 1 else image
    low, high = compute_limits(image, LimitsRule("zscale"), sample_image(image, 1 << 14))
    levels = (small - low) / (high - low) if high > low else np.zeros_like(small)
    table = np.asarray(make_color_table(color_map, 256), dtype=np.uint8)
    finite = np.isfinite(levels)
    picture = table[np.where(finite, np.clip(levels, 0.0, 1.0) * 255.0, 0.0).astype(np.uint8)]
    picture[~finite] = _BLANK
    return np.ascontiguousarray(picture[::-1])


def draw_spectrum(flux: NDArray[np.floating], size: int) -> NDArray[np.uint8]:
    """Return a curve of at most `size` pixels width, dark on white."""
    height = size * 2 // 3
    picture = np.full((height, size, 3), 255, dtype=np.uint8)
    values = np.asarray(flux, dtype=np.float64)
    finite = np.isfinite(values)
    if not finite.any():
        return picture
    low, high = np.percentile(values[finite], (1.0, 99.0))
    columns = (np.arange(values.size)[finite] * (size - 1)) // max(values.size - 1, 1)
    scaled = (values[finite] - low) / (high - low) if high > low else np.full(columns.shape, 0.5)
    rows = np.round((1.0 - np.clip(scaled, 0.0, 1.0)) * (height - 1)).astype(int)
    for column in np.unique(columns):  # one stroke a column of the picture, from lowest to highest value in it
        here = rows[columns == column]
        picture[here.min() : here.max() + 1, column] = (0, 114, 178)
    return picture
