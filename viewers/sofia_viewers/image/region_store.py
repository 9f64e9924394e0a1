"""The regions of a viewer, on all its frames, and the panel that lists them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sofia_engine.errors import InputError, SofiaDeskError
from sofia_viewers.export import tell_written
from sofia_viewers.image.analysis import measure_statistics, region_values
from sofia_viewers.image.frame import Frame
from sofia_viewers.image.geometry import Affine, fit_affine, map_locally
from sofia_viewers.image.regions import Region, format_regions, parse_regions
from sofia_viewers.qt import Qt, QtCore, QtGui, QtWidgets, Signal
from sofia_viewers.theme import icon

if TYPE_CHECKING:
    from sofia_viewers.image.viewer import ImageViewer

__all__ = ["RegionPanel", "RegionStore", "follow_sky", "linear_axes"]

_FILTER = "DS9 regions (*.reg);;All files (*)"
_SYSTEMS = ("icrs", "fk5", "galactic", "image")
_SAME_FIELD = 2.0
"""A region that would move by more than so many sizes of the image belongs to another field."""
_NO_MOVE = 1e-6


@dataclass(frozen=True)
class _Item:
    region: Region
    home: str


class RegionStore(QtCore.QObject):
    """Regions by identifier; each is drawn on one frame and shown on all, at the same place of the sky.

    Parameters
    ----------
    viewer : ImageViewer
        Whose frames they lie on.
    """

    changed = Signal()

    def __init__(self, viewer: ImageViewer) -> None:
        super().__init__(viewer)
        self._viewer = viewer
        self.tasks = viewer.tasks
        self._items: dict[str, _Item] = {}
        self._count = 0
        self.selected = ""

    def items(self) -> tuple[Region, ...]:
        """Return all regions, in pixels of the frames they were drawn on."""
        return tuple(item.region for item in self._items.values())

    def named(self) -> Mapping[str, Region]:
        """Return all regions by identifier."""
        return {key: item.region for key, item in self._items.items()}

    def on_frame(self, key: str) -> dict[str, Region]:
        """Return the regions in pixels of a frame."""
        target = self._frame(key)
        found: dict[str, Region] = {}
        for name, item in self._items.items():
            home = self._frame(item.home)
            affine = None
            if target is not None:
                affine = Affine() if home is None else map_locally(item.region.center, home, target, self._lock)
            if affine is not None:
                found[name] = item.region if affine == Affine() else item.region.transformed(affine)
        return found

    def add(self, region: Region, key: str) -> str:
        """Add a region that was drawn on a frame; returns its identifier."""
        name = self._insert(region, key)
        self.selected = name
        self.changed.emit()
        return name

    def edit(self, name: str, region: Region, key: str, *, final: bool = True) -> None:  # noqa: ARG002 - live, too
        """Replace a region by one in pixels of a frame."""
        self._items[name] = _Item(region, key)
        self.changed.emit()

    def select(self, name: str) -> None:
        """Select a region, or none."""
        if name != self.selected:
            self.selected = name
            self.changed.emit()

    def remove(self, name: str) -> None:
        """Remove a region."""
        self._items.pop(name, None)
        self.selected = "" if self.selected == name else self.selected
        self.changed.emit()

    def clear(self) -> None:
        """Remove all regions."""
        self._items.clear()
        self.selected = ""
        self.changed.emit()

    def follow(self, old: Mapping[str, Frame], new: Mapping[str, Frame]) -> None:
        """Keep regions at their place of the sky when the frames they were drawn on are replaced.

        Parameters
        ----------
        old, new : mapping of str to Frame
            The frames before and after, by key. Where there are no coordinates, or the new frame shows another field,
            regions keep their pixels.
        """
        for name, item in self._items.items():
            before, after = old.get(item.home), new.get(item.home)
            if before is not None and after is not None and before is not after:
                self._items[name] = replace(item, region=follow_sky(item.region, before, after, self._lock))

    def change_selected(self, **values: Any) -> None:
        """Change name or colour of the selected region."""
        item = self._items.get(self.selected)
        if item is not None:
            self._items[self.selected] = replace(item, region=replace(item.region, **values))
            self.changed.emit()

    def recolor(self, name: str, color: str) -> None:
        """Draw a region in another colour."""
        item = self._items.get(name)
        if item is not None and item.region.color != color:
            self._items[name] = replace(item, region=replace(item.region, color=color))
            self.changed.emit()

    def open(self, path: Path, key: str | None = None) -> list[str]:
        """Read a DS9 region file onto a frame, the current one if none is named; return their identifiers."""
        entry = self._viewer.frames.entry
        key = key or (entry.key if entry else "")
        frame = self._frame(key)
        if frame is None:
            self._viewer.say("Open an image first: region files lie on images.")
            return []
        try:
            read = parse_regions(path.read_text(encoding="utf-8", errors="replace"), frame.wcs, linear_axes(frame))
        except OSError as error:
            self._viewer.say(f"{path} cannot be read: {error.strerror}.")
            return []
        names = [self._insert(region, key) for region in read.regions]
        if read.skipped:
            self._viewer.say(f"{path.name}: {len(read.skipped)} lines are no regions we know: {read.skipped[0]}")
        self.changed.emit()
        return names

    def save(self, path: Path, system: Any) -> None:
        """Write all regions as a DS9 region file, in pixels or sky coordinates of the current frame.

        Raises
        ------
        InputError
            If sky coordinates are wanted of an image without them, or the file cannot be written.
        """
        entry = self._viewer.frames.entry
        regions = self.on_frame(entry.key).values() if entry else ()
        text = format_regions(regions, system, entry.frame.wcs if entry else None)
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise InputError(f"{path} cannot be written: {error.strerror}.") from error
        tell_written(path)

    def frame_of(self, name: str) -> Frame | None:
        """Return the frame a region was drawn on."""
        return self._frame(self._items[name].home) if name in self._items else None

    def _insert(self, region: Region, key: str) -> str:
        self._count += 1
        self._items[f"region {self._count}"] = _Item(region, key)
        return f"region {self._count}"

    def _frame(self, key: str) -> Frame | None:
        frames = self._viewer.frames
        index = frames.find(key)
        return frames.entries[index].frame if index >= 0 else None

    @property
    def _lock(self) -> Any:
        return "wcs" if self._viewer.frames.lock == "wcs" else "image"


def follow_sky(region: Region, old: Frame, new: Frame, lock: Any) -> Region:
    """Return a region at the same place of the sky in another frame of the same field."""
    affine = map_locally(region.center, old, new, lock)
    if affine is None:
        return region
    moved = np.subtract(affine.map(*region.center), region.center)
    is_far = np.hypot(*moved) > _SAME_FIELD * max(*old.shape, *new.shape)
    is_here = np.hypot(*moved) < _NO_MOVE and abs(affine.scale - 1.0) < _NO_MOVE
    return region if is_far or is_here else region.transformed(affine)


def linear_axes(frame: Frame) -> Affine | None:
    """Return the map from linear world coordinates of the first two axes to pixels from 0; None if they have none."""
    header = frame.plane.header
    try:
        scale = [float(header[f"CDELT{i}"]) for i in (1, 2)]
        value = [float(header[f"CRVAL{i}"]) for i in (1, 2)]
        pixel = [float(header.get(f"CRPIX{i}", 1.0)) for i in (1, 2)]
    except (KeyError, TypeError, ValueError):
        return None
    if not all(scale):
        return None
    corners = np.array([(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)])
    world = np.array(value) + (corners + 1 - np.array(pixel)) * np.array(scale)
    return fit_affine(world, corners)


def _describe(region: Region, frame: Frame) -> str:
    x, y = region.center
    lines = [f"center  {x + 1:.2f}, {y + 1:.2f}"]
    lines += [f"size  {', '.join(f'{s:.2f}' for s in region.sizes)}"] if region.sizes else []
    if region.has_area:
        try:
            found = measure_statistics(region_values(frame.image, region))
        except SofiaDeskError as error:
            return "\n".join([*lines, str(error).replace("; ", ";\n")])
        lines += [f"{key.lower()}  {value:.6g}" for key, value in found.as_row().items()]
    return "\n".join(lines)


class RegionPanel(QtWidgets.QWidget):
    """Lists the regions; name, colour and statistics of the selected one; files."""

    def __init__(self, store: RegionStore, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self._measured: tuple[Region, Frame] | None = None
        self.list = QtWidgets.QListWidget()
        self.list.setAccessibleName("Regions")
        self.name = QtWidgets.QLineEdit()
        self.name.setPlaceholderText("Name")
        self.color = QtWidgets.QPushButton("Color …")
        self.statistics = QtWidgets.QLabel()
        self.statistics.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.statistics.setTextFormat(Qt.TextFormat.PlainText)
        self.system = QtWidgets.QComboBox()
        self.system.addItems(_SYSTEMS)
        self._buttons = {name: QtWidgets.QPushButton(name) for name in ("Open …", "Save …", "Delete", "Delete all")}
        for name, symbol in (("Open …", "open"), ("Save …", "save"), ("Delete", "delete"), ("Delete all", "reset")):
            self._buttons[name].setIcon(icon(symbol))
        self._lay_out()
        self._connect()
        self.refresh()

    def refresh(self) -> None:
        """Show the regions as they are."""
        with QtCore.QSignalBlocker(self.list):
            regions = self._store.named()
            texts = [f"{region.shape}  {region.name}".strip() for region in regions.values()]
            if [self.list.item(i).text() for i in range(self.list.count())] != texts:
                self.list.clear()
                self.list.addItems(texts)
            names = list(regions)
            self.list.setCurrentRow(names.index(self._store.selected) if self._store.selected in names else -1)
        selected = regions.get(self._store.selected)
        for widget in (self.name, self.color, self._buttons["Delete"]):
            widget.setEnabled(selected is not None)
        if not self.name.hasFocus():
            self.name.setText(selected.name if selected else "")
        frame = self._store.frame_of(self._store.selected)
        if selected is None or frame is None:
            self.statistics.setText("Draw a region, or choose one.")
        elif (selected, frame) != self._measured:
            self._measured = (selected, frame)
            self._store.tasks.submit("region", partial(_describe, selected, frame), self.statistics.setText)

    def _lay_out(self) -> None:
        grid = QtWidgets.QGridLayout(self)
        grid.addWidget(self.list, 0, 0, 1, 2)
        grid.addWidget(self.name, 1, 0)
        grid.addWidget(self.color, 1, 1)
        grid.addWidget(self.statistics, 2, 0, 1, 2)
        grid.addWidget(self._buttons["Open …"], 3, 0)
        grid.addWidget(self._buttons["Save …"], 3, 1)
        grid.addWidget(QtWidgets.QLabel("Save in"), 4, 0)
        grid.addWidget(self.system, 4, 1)
        grid.addWidget(self._buttons["Delete"], 5, 0)
        grid.addWidget(self._buttons["Delete all"], 5, 1)
        grid.setRowStretch(6, 1)

    def _connect(self) -> None:
        self.list.currentRowChanged.connect(self._select)
        self.name.textEdited.connect(lambda text: self._store.change_selected(name=text))
        self.color.clicked.connect(self._choose_color)
        self._buttons["Delete"].clicked.connect(lambda: self._store.remove(self._store.selected))
        self._buttons["Delete all"].clicked.connect(self._store.clear)
        self._buttons["Open …"].clicked.connect(self._open)
        self._buttons["Save …"].clicked.connect(self._save)

    def _select(self, row: int) -> None:
        names = list(self._store.named())
        self._store.select(names[row] if 0 <= row < len(names) else "")

    def _choose_color(self) -> None:
        region = self._store.named()[self._store.selected]
        color = QtWidgets.QColorDialog.getColor(QtGui.QColor(region.color), self, "Color of the region")
        if color.isValid():
            self._store.change_selected(color=color.name())

    def _open(self) -> None:
        path, _ = QtWidgets.QFileDialog.getOpenFileName(self, "Open regions", "", _FILTER)
        if path:
            self._store.open(Path(path))

    def _save(self) -> None:
        path, _ = QtWidgets.QFileDialog.getSaveFileName(self, "Save regions", "regions.reg", _FILTER)
        if path:
            try:
                self._store.save(Path(path), self.system.currentText())
            except SofiaDeskError as error:
                QtWidgets.QMessageBox.warning(self, "Save regions", str(error))
