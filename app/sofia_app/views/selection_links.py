"""What is selected in one view is shown in the others: regions, sources, slits and wavelength ranges.

Views are linked through the sky (ICRS) and through wavelengths in micrometres:

- a region on an image is one in the cube explorer, too, where its spectrum is shown, and the other way round;
- a region, or a source chosen in the table of photometry, is a line in the slit view if it lies on the slit;
- the slit and its apertures are marked on images;
- a range of a spectrum is marked in other spectra, in the cube explorer, and in the slit view.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sofia_viewers.qt import QtCore

__all__ = ["SelectionLinks"]

_SAME_PIXEL = 1e-3
_NEAR_SLIT = 3.0
"""Rows across the slit within which a place is taken to lie on it."""
_SLIT, _SOURCES = "slit", "linked sources"


@dataclass(eq=False)
class _Group:
    """One region in several viewers: its identifier in each."""

    names: dict[int, str] = field(default_factory=dict)


class SelectionLinks(QtCore.QObject):
    """Links the selections of viewers; each viewer is added once, when it is made.

    Parameters
    ----------
    parent : QObject
        Owner.
    """

    def __init__(self, parent: QtCore.QObject) -> None:
        super().__init__(parent)
        self.images: list[Any] = []
        self.spectra: list[Any] = []
        self.slits: list[Any] = []
        self._groups: list[_Group] = []
        self._seen: dict[int, dict[str, Any]] = {}
        self._sources: tuple[Any, ...] = ()
        self._is_busy = False

    # -- viewers -----------------------------------------------------------------------------------------------------

    def add(self, kind: str, viewer: Any) -> None:
        """Link a viewer: ``image``, ``cube``, ``spectrum`` or ``slit``; others have nothing to select."""
        if kind in ("image", "cube"):
            self._add_image(viewer.images if kind == "cube" else viewer)
        if kind in ("spectrum", "cube"):
            spectra = viewer.spectra if kind == "cube" else viewer
            self.spectra.append(spectra)
            spectra.range_selected.connect(lambda low, high: self._follow_range(spectra, low, high))
        if kind == "slit":
            self.slits.append(viewer)
            viewer.slit_shown.connect(self._take_new_slit)
            viewer.view.moved.connect(lambda _marks: self._show_slit())
            self._take_new_slit()

    def remove(self, viewer: Any) -> None:
        """Forget a viewer that is closed."""
        parts = {id(part) for part in (viewer, getattr(viewer, "images", None), getattr(viewer, "spectra", None))}
        for group in self._groups:
            group.names = {key: name for key, name in group.names.items() if key not in parts}
        for known in (self.images, self.spectra, self.slits):
            known[:] = [each for each in known if id(each) not in parts]

    def _add_image(self, images: Any) -> None:
        self.images.append(images)
        self._seen[id(images)] = {}
        images.regions.changed.connect(lambda: self._follow_regions(images))
        images.frames_changed.connect(lambda: self._take_new_frames(images))
        images.sources_selected.connect(lambda places: self._follow_sources(images, places))
        self._take_new_frames(images)

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Whether nothing is being linked already: what follows from a link is no new selection."""
        was, self._is_busy = self._is_busy, True
        try:
            yield not was
        finally:
            self._is_busy = was

    # -- regions -----------------------------------------------------------------------------------------------------

    def _follow_regions(self, images: Any) -> None:
        """Let other images have the regions of one that changed."""
        with self._alone() as alone:
            if not alone or images not in self.images:
                return
            now, before = _list_regions(images), self._seen[id(images)]
            for name in before.keys() - now.keys():
                self._drop(images, name)
            for name, region in now.items():
                if name not in before and self._is_double(images, name):
                    images.regions.remove(name)
                elif before.get(name) != region:
                    self._spread(images, name)
            self._select_twins(images)
            self._remember()
        self._show_places()

    def _take_new_frames(self, images: Any) -> None:
        """Let images that were opened just now have the regions of the others; their slits and sources, too."""
        with self._alone() as alone:
            if alone:
                for other in [each for each in self.images if each is not images]:
                    for name in _list_regions(other):
                        self._spread(other, name, only=images)
                self._remember()
        self._show_slit()
        self._show_places()

    def _group_of(self, images: Any, name: str) -> _Group | None:
        return next((group for group in self._groups if group.names.get(id(images)) == name), None)

    def _spread(self, images: Any, name: str, only: Any = None) -> None:
        """Draw a region of one viewer in the others, at its place on the sky, or move it there."""
        group = self._group_of(images, name)
        if group is None:
            group = _Group({id(images): name})
            self._groups.append(group)
        for other in self.images:
            if other is images or (only is not None and other is not only):
                continue
            twin = group.names.get(id(other))
            found = _bring_over(images, name, other)
            if found is None:
                continue
            key, region = found
            if twin in other.regions.named():
                if only is None:
                    other.regions.edit(twin, region, key)
            else:
                group.names[id(other)] = other.regions.add(region, key)
                other.regions.select("")

    def _is_double(self, images: Any, name: str) -> bool:
        """Tell whether a new region is one that came from another viewer before: both keep theirs with the session."""
        regions = images.regions.named()
        twins = [group.names.get(id(images)) for group in self._groups if len(group.names) > 1]
        return any(twin in regions and twin != name and _is_same(regions[twin], regions[name]) for twin in twins)

    def _drop(self, images: Any, name: str) -> None:
        group = self._group_of(images, name)
        if group is None:
            return
        self._groups.remove(group)
        for other in self.images:
            twin = group.names.get(id(other))
            if other is not images and twin is not None:
                other.regions.remove(twin)

    def _select_twins(self, images: Any) -> None:
        group = self._group_of(images, images.regions.selected)
        for other in [each for each in self.images if each is not images] if group is not None else ():
            twin = group.names.get(id(other)) if group is not None else None
            if twin in other.regions.named():
                other.regions.select(twin)

    def _remember(self) -> None:
        self._seen.update({id(images): _list_regions(images) for images in self.images})

    # -- sources, slits ----------------------------------------------------------------------------------------------

    def _follow_sources(self, images: Any, places: tuple[Any, ...]) -> None:
        """Mark sources that were chosen in a table of photometry on the images of the other viewers."""
        self._sources = tuple(places)
        for other in self.images:
            other.place_marks.show(_SOURCES, () if other is images else places)
        self._show_places()

    def _show_places(self) -> None:
        """Mark regions and sources that lie on the slit in the slit views."""
        if not self.slits:
            return
        wanted = [(name, sky) for images in self.images[:1] for name, sky in _find_centers(images)]
        wanted += [("source", place.sky[0]) for place in self._sources]
        for slit in self.slits:
            shown = slit.current
            sky = None if shown is None else shown.sky
            slit.view.show_places([] if sky is None else _find_on_slit(shown, wanted))

    def _take_new_slit(self) -> None:
        self._show_slit()
        self._show_places()

    def _show_slit(self) -> None:
        """Mark slit and apertures on all images."""
        from sofia_viewers.image.places import SkyPlace

        places: list[SkyPlace] = []
        for view in self.slits:
            slit = view.current
            if slit is None or slit.sky is None:
                continue
            rows = np.arange(slit.slit.size)
            ends = slit.sky.find_sky([0.0, slit.slit.size - 1.0])
            places.append(SkyPlace("", tuple((float(ra), float(dec)) for ra, dec in ends)))
            for number, mark in enumerate(view.view.marks.apertures, 1):
                ra, dec = slit.sky.find_sky([float(np.interp(mark.position, slit.slit, rows))])[0]
                places.append(SkyPlace(f"aperture {number}", ((float(ra), float(dec)),)))
        for images in self.images:
            images.place_marks.show(_SLIT, places)

    # -- wavelengths -------------------------------------------------------------------------------------------------

    def _follow_range(self, spectra: Any, low: float, high: float) -> None:
        """Mark a range of wavelengths (μm) in the other spectra, where they have data there, and in slit views."""
        with self._alone() as alone:
            if not alone:
                return
            for other in self.spectra:
                if other is not spectra and other.shows_wavelengths(low, high):
                    other.mark_range(low, high)
        for slit in self.slits:
            slit.view.show_range(low, high)


def _list_regions(images: Any) -> dict[str, Any]:
    """Return the regions that a user drew: those of the products are where these are shown."""
    own = images.product_regions
    return {name: region for name, region in images.regions.named().items() if name not in own}


def _is_same(one: Any, other: Any) -> bool:
    if one.shape != other.shape or len(one.points) != len(other.points):
        return False
    return bool(np.allclose(one.points, other.points, atol=_SAME_PIXEL))


def _bring_over(images: Any, name: str, other: Any) -> tuple[str, Any] | None:
    """Return the frame (key) and the region there; None if the region lies far off what is shown."""
    from sofia_viewers.image.geometry import map_locally

    home, entry = images.regions.frame_of(name), other.frames.entry
    if home is None or entry is None or home.wcs is None or entry.frame.wcs is None:
        return None
    region = images.regions.named()[name]
    affine = map_locally(region.center, home, entry.frame)
    if affine is None:
        return None
    moved = region.transformed(affine)
    rows, columns = entry.frame.shape
    x, y = moved.center
    inside = -columns <= x < 2 * columns and -rows <= y < 2 * rows
    return (entry.key, moved) if inside else None


def _find_centers(images: Any) -> list[tuple[str, tuple[float, float]]]:
    from sofia_viewers.image.places import find_sky

    found = []
    for name, region in _list_regions(images).items():
        frame = images.regions.frame_of(name)
        sky = np.array([np.nan, np.nan]) if frame is None else find_sky(frame, [region.center])[0]
        if np.isfinite(sky).all():
            found.append((region.name or name, (float(sky[0]), float(sky[1]))))
    return found


def _find_on_slit(slit: Any, wanted: list[tuple[str, tuple[float, float]]]) -> list[tuple[str, float]]:
    """Return name and slit position of the places that lie on the slit."""
    if not wanted:
        return []
    found = []
    rows = np.arange(slit.slit.size)
    for (name, _), (row, across) in zip(wanted, slit.sky.find_rows([sky for _, sky in wanted]), strict=True):
        if 0 <= row <= rows[-1] and abs(across) <= _NEAR_SLIT:
            found.append((name, float(np.interp(row, rows, slit.slit))))
    return found
