"""Positions on the sky that views tell each other about: selected sources, the slit of a spectrograph."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sofia_viewers.image.drawing import Drawing, Label, Mark
from sofia_viewers.image.frame import Frame
from sofia_viewers.image.readout import find_rotation
from sofia_viewers.qt import QtCore
from sofia_viewers.theme import current_theme, theme_events

if TYPE_CHECKING:
    from sofia_viewers.image.viewer import ImageViewer

__all__ = ["BOX_PIXELS", "PlaceMarks", "SkyPlace", "find_sky", "place_on"]

FloatArray = NDArray[np.float64]
BOX_PIXELS = 22
"""Size of the mark of a selected source."""


@dataclass(frozen=True)
class SkyPlace:
    """A position, or a line of them.

    Parameters
    ----------
    name : str
        Written beside it.
    sky : tuple of (float, float)
        Right ascension and declination, ICRS degrees; more than one are joined by a line.
    """

    name: str
    sky: tuple[tuple[float, float], ...]


def find_sky(frame: Frame, points: Sequence[tuple[float, float]] | FloatArray) -> FloatArray:
    """Return right ascension and declination (ICRS, degrees) of pixels from 0; NaN without coordinates on the sky."""
    pixels = np.asarray(points, dtype=float).reshape(-1, 2)
    if frame.wcs is None:
        return np.full_like(pixels, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lon, lat = frame.wcs.wcs_pix2world(pixels[:, 0], pixels[:, 1], 0)
    return _turn(find_rotation(frame.wcs, "icrs"), lon, lat)


def place_on(frame: Frame, sky: Sequence[tuple[float, float]] | FloatArray) -> FloatArray:
    """Return the pixels, from 0, of positions (ICRS, degrees); NaN where they have none."""
    places = np.asarray(sky, dtype=float).reshape(-1, 2)
    if frame.wcs is None or not np.isfinite(places).all():
        return np.full_like(places, np.nan)
    own = _turn(find_rotation(frame.wcs, "icrs").T, places[:, 0], places[:, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x, y = frame.wcs.wcs_world2pix(own[:, 0], own[:, 1], 0)
    return np.column_stack([x, y])


def _turn(matrix: FloatArray, lon: Any, lat: Any) -> FloatArray:
    a, d = np.radians(lon), np.radians(lat)
    x, y, z = matrix @ np.stack([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)])
    return np.column_stack([np.degrees(np.arctan2(y, x)) % 360.0, np.degrees(np.arctan2(z, np.hypot(x, y)))])


class PlaceMarks(QtCore.QObject):
    """Marks positions on all images of a viewer, and keeps them there when other images are shown.

    Parameters
    ----------
    viewer : ImageViewer
        Whose images are marked.
    """

    def __init__(self, viewer: ImageViewer) -> None:
        super().__init__(viewer)
        self._viewer = viewer
        self._places: dict[str, tuple[SkyPlace, ...]] = {}
        viewer.frames_changed.connect(self.draw)
        theme_events().changed.connect(self.draw)

    @property
    def places(self) -> Mapping[str, tuple[SkyPlace, ...]]:
        """What is marked, by the name of its layer."""
        return dict(self._places)

    def show(self, layer: str, places: Iterable[SkyPlace]) -> None:
        """Mark positions in place of the earlier ones of a layer."""
        new = tuple(places)
        if new != self._places.get(layer, ()):
            self._places[layer] = new
            self.draw()

    def draw(self, *_: Any) -> None:
        """Draw all marks anew."""
        for view in self._viewer.area.views.values():
            for layer, places in self._places.items():
                frame = view.frame
                view.set_layer(layer, [] if frame is None else [d for p in places for d in _draw(frame, p)])


def _draw(frame: Frame, place: SkyPlace) -> list[Drawing]:
    pixels = place_on(frame, place.sky)
    if not len(pixels) or not np.isfinite(pixels).all():
        return []
    at = (float(pixels[-1, 0]), float(pixels[-1, 1]))
    labels = (Label(at, place.name),) if place.name else ()
    color = current_theme().accent
    if len(pixels) > 1:
        return [Drawing(color, (pixels,), labels=labels, style="dashed")]
    return [Drawing(color, marks=(Mark(at, "box", BOX_PIXELS),), labels=labels, width=2.0)]
