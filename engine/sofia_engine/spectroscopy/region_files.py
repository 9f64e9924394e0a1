"""DS9 region files of traces and of calibration lines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["format_fit_lines", "format_points", "join_regions"]


def format_points(x: ArrayLike, y: ArrayLike, tag: str = "trace_pt") -> list[str]:
    """Lines for points at pixels counted from 0; points with NaN are left out."""
    return [
        f"image;point({column + 1:f} {row + 1:f}) # point=x color=green tag={{{tag}}}"
        for column, row in zip(np.ravel(x), np.ravel(y), strict=True)
        if np.isfinite(column) and np.isfinite(row)
    ]


def format_fit_lines(x: ArrayLike, y: ArrayLike, first: int = 1, name: str = "trace_fit") -> list[str]:
    """Lines for the segments of a fitted curve, in the linear world coordinates of the image.

    Parameters
    ----------
    x, y : (n,) array_like
        World coordinates of the points of the curve, e.g. wavelength and slit position.
    first : int
        Number of the first segment; the tag of each segment is `name` and its number.
    name : str
        Beginning of the tags.
    """
    xs, ys = np.ravel(np.asarray(x, dtype=np.float64)), np.ravel(np.asarray(y, dtype=np.float64))
    known = np.isfinite(xs) & np.isfinite(ys)
    xs, ys = xs[known], ys[known]
    return [
        f"wcs;linear;line({x1:f} {y1:f} {x2:f} {y2:f}) # color=red width=1 tag={{{name}_{number}}}"
        for number, (x1, y1, x2, y2) in enumerate(zip(xs[:-1], ys[:-1], xs[1:], ys[1:], strict=True), start=first)
    ]


def join_regions(lines: Iterable[str]) -> bytes:
    """The content of a region file."""
    return "".join(f"{line}\n" for line in lines).encode("ascii")
