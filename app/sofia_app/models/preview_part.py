"""The part of an image that a preview is made of: what is in view, or a rectangle that was drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sofia_app.worker.protocol import Part

if TYPE_CHECKING:
    from sofia_viewers.image.frame import Frame

__all__ = ["make_part"]


def make_part(frame: Frame, outline: Sequence[tuple[float, float]]) -> Part | None:
    """Return the part of an image between corners; None if there are no corners.

    Parameters
    ----------
    frame : Frame
        The image they were chosen on, perhaps itself a part of a larger one (keywords LTVn).
    outline : sequence of (float, float)
        Corners, pixels of the image from 0.
    """
    if not outline:
        return None
    corners = np.asarray(outline, dtype=float)
    start = [_read_shift(frame.file.header, axis) for axis in (1, 2)]
    return Part(_pairs(corners - start), _pairs(_find_sky(frame.wcs, corners)))


def _read_shift(header: Any, axis: int) -> float:
    value = header.get(f"LTV{axis}", 0.0) if "PREVIEW" in header else 0.0
    return float(value)


def _find_sky(wcs: Any, corners: Any) -> Any:
    """Return longitude and latitude of pixels in the coordinates of their header; nothing if there are none."""
    if wcs is None:
        return []
    sky = np.column_stack(wcs.wcs_pix2world(corners[:, 0], corners[:, 1], 0))
    return sky if np.isfinite(sky).all() else []


def _pairs(points: Any) -> tuple[tuple[float, float], ...]:
    return tuple((float(a), float(b)) for a, b in points)
