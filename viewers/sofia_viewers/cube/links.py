"""Cubes, images and catalogues linked on the sky and in wavelength: glue data sets, links and subsets. No Qt.

Every data set has world components Right Ascension and Declination (ICRS, degrees), cubes also Wavelength, or what else
their third axis is; those of the same name are linked, but for numbers of slices. A selection is a subset group whose
state is written in these components, so that glue finds its members in any of the data sets.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from glue.core import Data, DataCollection
from glue.core.coordinates import Coordinates
from glue.core.exceptions import IncompatibleAttribute
from glue.core.link_helpers import LinkSame
from glue.core.roi import PolygonalROI
from glue.core.subset import ElementSubsetState, RangeSubsetState, RoiSubsetState, SubsetState
from numpy.typing import NDArray

from sofia_engine.errors import InputError
from sofia_viewers.cube.cube import Cube, open_cube
from sofia_viewers.image.frame import Frame
from sofia_viewers.image.readout import find_rotation
from sofia_viewers.image.regions import Region

__all__ = ["LinkedData", "SkyCoordinates", "Source", "read_description"]

FloatArray = NDArray[np.float64]
RA, DEC, WAVE, SLICE = "Right Ascension", "Declination", "Wavelength", "Slice"
_DECIMALS = 10


class SkyCoordinates(Coordinates):  # type: ignore[misc]
    """World coordinates of an image or cube: ICRS degrees, and wavelengths as they are listed.

    Parameters
    ----------
    celestial : WCS
        Of the last two axes.
    wave : (n,) ndarray, optional
        Wavelengths of the slices of a cube.
    unit : str
        Their unit.
    about : float
        Right ascensions are given within 180 degrees of this one, so that fields across 0 h are whole.
    """

    def __init__(self, celestial: Any, wave: FloatArray | None = None, unit: str = "um", about: float = 180.0) -> None:
        super().__init__(n_dim=2 if wave is None else 3)
        self.celestial, self.wave, self.unit = celestial, wave, unit
        self.about = about
        self._matrix = find_rotation(celestial, "icrs")

    @property
    def world_axis_names(self) -> list[str]:
        """Names of the world axes, in the order of FITS."""
        return [RA, DEC] if self.wave is None else [RA, DEC, name_axis(self.unit)]

    @property
    def world_axis_units(self) -> tuple[str, ...]:
        """Units of the world axes."""
        return ("deg", "deg") if self.wave is None else ("deg", "deg", self.unit)

    @property
    def axis_correlation_matrix(self) -> NDArray[np.bool_]:
        """Which pixel axes each world axis depends on."""
        matrix = np.zeros((self.world_n_dim, self.pixel_n_dim), dtype=bool)
        matrix[:2, :2] = True
        matrix[2:, 2:] = True
        return matrix

    def pixel_to_world_values(self, *pixel: Any) -> tuple[Any, ...]:
        """Return world coordinates of pixels from 0, x first."""
        x, y, *rest = np.broadcast_arrays(*pixel)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            lon, lat = self.celestial.wcs_pix2world(x.ravel(), y.ravel(), 0)
        lon, lat = _turn(self._matrix, lon, lat)
        lon = _bring_near(lon, self.about)
        found = [lon.reshape(x.shape), lat.reshape(x.shape)]
        if self.wave is not None:
            found.append(np.interp(rest[0], np.arange(len(self.wave)), self.wave))
        return tuple(found)

    def world_to_pixel_values(self, *world: Any) -> tuple[Any, ...]:
        """Return pixels from 0, x first, of world coordinates."""
        lon, lat, *rest = np.broadcast_arrays(*world)
        own = _turn(self._matrix.T, np.ravel(lon).astype(float), np.ravel(lat).astype(float))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            x, y = self.celestial.wcs_world2pix(*own, 0)
        found = [np.asarray(x).reshape(lon.shape), np.asarray(y).reshape(lon.shape)]
        if self.wave is not None:
            order = np.argsort(self.wave)
            found.append(np.interp(rest[0], self.wave[order], order.astype(float)))
        return tuple(found)

    def __gluestate__(self, context: Any) -> dict[str, Any]:
        """Return what a saved session of glue holds of the coordinates."""
        wave = None if self.wave is None else np.asarray(self.wave, dtype=float).tolist()
        header = self.celestial.to_header_string(relax=True)
        return {"celestial": header, "wave": wave, "unit": self.unit, "about": self.about}

    @classmethod
    def __setgluestate__(cls, rec: dict[str, Any], context: Any) -> SkyCoordinates:
        """Make the coordinates from what a saved session of glue holds."""
        from astropy.io.fits import Header
        from astropy.wcs import WCS

        wave = None if rec["wave"] is None else np.array(rec["wave"], dtype=float)
        return cls(WCS(Header.fromstring(rec["celestial"])), wave, rec["unit"], rec["about"])


def name_axis(unit: str) -> str:
    """Return the name of a third axis in a unit: only axes that mean the same may have the same name."""
    return {"um": WAVE, "pixel": SLICE}.get(unit, f"Spectral axis [{unit}]")


def _turn(matrix: FloatArray, lon: Any, lat: Any) -> tuple[FloatArray, FloatArray]:
    """Turn directions, degrees, by a rotation."""
    a, d = np.radians(lon), np.radians(lat)
    x, y, z = matrix @ np.stack([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)])
    return np.degrees(np.arctan2(y, x)) % 360.0, np.degrees(np.arctan2(z, np.hypot(x, y)))


def _bring_near(lon: Any, about: float) -> FloatArray:
    return np.asarray(about + (np.asarray(lon, dtype=float) - about + 180.0) % 360.0 - 180.0)


@dataclass(frozen=True)
class Source:
    """Where a data set comes from, so that another process can open it.

    Parameters
    ----------
    kind : str
        ``cube``, ``image`` or ``catalog``.
    path : str
        File; empty for what is only in memory.
    plane : str
        Plane of an image.
    slice_number : int
        Slice, if the image is one of a cube.
    """

    kind: str
    path: str = ""
    plane: str = ""
    slice_number: int = 0


class LinkedData:
    """Data sets with links and selections."""

    def __init__(self) -> None:
        self.collection = DataCollection()
        self.data: dict[str, Data] = {}
        self.sources: dict[str, Source] = {}
        self.origins: dict[str, Any] = {}
        self._about: float | None = None
        self._groups: dict[str, Any] = {}
        self._shapes: dict[str, dict[str, Any]] = {}

    # -- data sets ---------------------------------------------------------------------------------------------------

    def add_cube(self, key: str, cube: Cube) -> None:
        """Add a cube; its numbers stay where they are. Cubes without coordinates on the sky are linked to nothing.

        Numbers that are scaled or computed when they are read stand as zeros: they count as elements, and for another
        process they are written to a file, see `describe`.
        """
        samples = cube.samples()
        values = samples.raw if samples.is_plain else np.broadcast_to(np.float32(0), samples.shape)
        coords = None
        if cube.wcs is not None:
            coords = SkyCoordinates(cube.wcs, cube.wave, cube.wave_unit, self._find_about(cube.wcs, cube.shape[1:]))
        self._add(key, _make_data(cube.name, {cube.flux.name: (values, cube.flux.unit)}, coords),
                  Source("cube", str(cube.path or "")))  # fmt: skip

    def add_image(self, key: str, frame: Frame) -> None:
        """Add an image with coordinates on the sky.

        Raises
        ------
        InputError
            If it has none.
        """
        if frame.wcs is None:
            raise InputError(f"{frame.title} has no coordinates on the sky, so that it cannot be linked.")
        coords = SkyCoordinates(frame.wcs, about=self._find_about(frame.wcs, frame.shape))
        data = _make_data(frame.title, {frame.plane.name: (frame.image, frame.plane.unit)}, coords)
        path = str(frame.file.path or "")
        self._add(key, data, Source("image", path, frame.plane.name, frame.slice_number))

    def add_catalog(self, key: str, name: str, sky: FloatArray, path: str = "") -> None:
        """Add a catalogue: (n, 2) ICRS positions, degrees."""
        data = Data(label=name)
        if self._about is None and len(sky):
            self._about = float(sky[0, 0])
        data.add_component(_bring_near(sky[:, 0], 180.0 if self._about is None else self._about), RA)
        data.add_component(np.asarray(sky[:, 1], dtype=float), DEC)
        self._add(key, data, Source("catalog", path))

    def _find_about(self, wcs: Any, shape: tuple[int, int]) -> float:
        """Return the right ascension that all others are brought near: that of the middle of the first data set."""
        if self._about is None:
            lon, _ = SkyCoordinates(wcs).pixel_to_world_values((shape[1] - 1) / 2, (shape[0] - 1) / 2)
            self._about = float(lon)
        return self._about

    def remove(self, key: str) -> None:
        """Remove a data set; the others stay linked, and selections stay in those that they say something about."""
        data = self.data.pop(key, None)
        self.sources.pop(key, None)
        if data is None:
            return
        self.collection.remove(data)
        found = [self._find_links(other, others) for other, others in self._with_earlier()]
        self.collection.set_links([link for links in found for link in links])
        for name in list(self._groups):
            self._set_state(name, self._shapes[name])

    def _add(self, key: str, data: Data, source: Source) -> None:
        self.remove(key)
        others = list(self.data.values())
        self.collection.append(data)
        self.data[key], self.sources[key] = data, source
        for link in self._find_links(data, others):
            self.collection.add_link(link)

    def _with_earlier(self) -> list[tuple[Data, list[Data]]]:
        known = list(self.data.values())
        return [(data, known[:number]) for number, data in enumerate(known)]

    @staticmethod
    def _find_links(data: Data, others: Sequence[Data]) -> list[LinkSame]:
        """Return what links a data set to the first of others that has a component of the same name."""
        links = []
        for mine in data.main_components if data.ndim == 1 else data.world_component_ids:
            theirs = next((c for other in others if (c := find_component(other, mine.label)) is not None), None)
            if theirs is not None and mine.label != SLICE:
                links.append(LinkSame(mine, theirs))
        return links

    # -- selections --------------------------------------------------------------------------------------------------

    @property
    def selections(self) -> tuple[str, ...]:
        """Names of the selections."""
        return tuple(self._groups)

    def select_region(self, name: str, region: Region, wcs: Any) -> None:
        """Select what lies in a region: a polygon on the sky, in pixels of an image with these coordinates."""
        outline = max(region.outlines(), key=len)[:, :2]
        about = 180.0 if self._about is None else self._about
        lon, lat = SkyCoordinates(wcs, about=about).pixel_to_world_values(outline[:, 0], outline[:, 1])
        self._select(name, {"polygon": np.round(np.column_stack([lon, lat]), _DECIMALS).tolist()})

    def select_range(self, name: str, low: float, high: float, unit: str = "um", key: str = "") -> None:
        """Select a range of the third axis of a cube, in its unit; of the first with such an axis if none is named."""
        self._select(name, {"range": [float(low), float(high)], "unit": unit, "of": key})

    def select_rows(self, name: str, key: str, rows: Sequence[int]) -> None:
        """Select rows of a catalogue."""
        self._select(name, {"rows": [int(row) for row in rows], "of": key})

    def deselect(self, name: str) -> None:
        """Remove a selection."""
        self._shapes.pop(name, None)
        group = self._groups.pop(name, None)
        if group is not None:
            self.collection.remove_subset_group(group)

    def find_members(self, name: str, key: str) -> NDArray[np.bool_] | None:
        """Tell which elements of a data set are selected; None if the selection says nothing about it.

        Returns
        -------
        ndarray or None
            (n_y, n_x) for images, and for cubes if the selection is one on the sky; (n_wave,) for cubes if it is one of
            wavelengths; (n,) for catalogues.
        """
        data, state = self.data[key], self._groups[name].subset_state
        view: Any = None
        if data.ndim == 3:
            view = (slice(None), 0, 0) if "range" in self._shapes[name] else (0, slice(None), slice(None))
        try:
            return np.asarray(data.get_mask(state, view=view))
        except IncompatibleAttribute:
            return None

    def count_members(self, name: str) -> dict[str, int]:
        """Return how many elements of each data set are selected, for those the selection says something about."""
        found = {key: self.find_members(name, key) for key in self.data}
        return {key: int(members.sum()) for key, members in found.items() if members is not None}

    def _select(self, name: str, shape: Mapping[str, Any]) -> None:
        if self._shapes.get(name) != dict(shape):
            self._set_state(name, shape)

    def _set_state(self, name: str, shape: Mapping[str, Any]) -> None:
        state = self._make_state(shape)
        if state is None:
            self.deselect(name)
            return
        self._shapes[name] = dict(shape)
        if name in self._groups:
            self._groups[name].subset_state = state
        else:
            self._groups[name] = self.collection.new_subset_group(name, state)

    def _make_state(self, shape: Mapping[str, Any]) -> SubsetState | None:
        if "rows" in shape:
            data = self.data.get(shape["of"])
            return None if data is None else ElementSubsetState(np.array(shape["rows"], dtype=int), data)
        names = (RA, DEC) if "polygon" in shape else (name_axis(shape.get("unit", "um")),)
        own = self.data.get(shape.get("of", ""))
        known = [own, *self.data.values()] if own is not None else list(self.data.values())
        home = next((d for d in known if all(find_component(d, n) is not None for n in names)), None)
        if home is None:
            return None
        ids = [find_component(home, name) for name in names]
        if "polygon" in shape:
            lon, lat = zip(*shape["polygon"], strict=True)
            return RoiSubsetState(ids[0], ids[1], PolygonalROI(list(lon), list(lat)))
        return RangeSubsetState(*shape["range"], ids[0])

    # -- another process ---------------------------------------------------------------------------------------------

    def describe(self, paths: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return data sets, by their files, and selections as plain values.

        Parameters
        ----------
        paths : mapping of str to str, optional
            Files that were written of data sets that are only in memory, by key.
        """
        sources = []
        for key, source in self.sources.items():
            path = (paths or {}).get(key, source.path)
            if path:
                sources.append({**vars(source), "path": path, "key": key, "label": self.data[key].label})
        return {"data": sources, "selections": {name: dict(shape) for name, shape in self._shapes.items()}}


def read_description(text: str) -> LinkedData:
    """Open the data sets of a description (JSON of `LinkedData.describe`), link them and select the same.

    Raises
    ------
    InputError
        If it cannot be read, or a file cannot.
    """
    from sofia_viewers.image.frame import open_image
    from sofia_viewers.image.overlays import read_catalog

    linked = LinkedData()
    try:
        plain = json.loads(text)
        for entry in plain["data"]:
            key, path = entry["key"], Path(entry["path"])
            if entry["kind"] == "cube":
                linked.add_cube(key, open_cube(path))
            elif entry["kind"] == "image":
                linked.add_image(key, Frame.of(open_image(path), entry["plane"]).at_slice(entry["slice_number"]))
            else:
                linked.add_catalog(key, entry["label"], read_catalog(path).sky, str(path))
            linked.data[key].label = entry["label"]
        for name, shape in plain["selections"].items():
            linked._select(name, shape)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"The description of the linked data cannot be read ({error}).") from error
    return linked


def find_component(data: Data, name: str) -> Any:
    """Return the component of a data set with a name, or None."""
    known = [*data.world_component_ids, *data.main_components]
    return next((component for component in known if component.label == name), None)


def _make_data(name: str, values: Mapping[str, tuple[Any, str]], coords: Any) -> Data:
    data = Data(label=name, coords=coords)
    for label, (array, unit) in values.items():
        data.add_component(array, label)
        data.get_component(data.id[label]).units = unit
    return data
