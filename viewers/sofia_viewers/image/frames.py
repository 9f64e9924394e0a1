"""The frames of a viewer: which there are, which is current, how they are shown and locked, and their comparison."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from sofia_engine.errors import InputError
from sofia_viewers.image.display import DisplayState
from sofia_viewers.image.frame import Frame, ImageFile, PlaneSource
from sofia_viewers.image.geometry import Affine, Lock, map_pixels, place_frame, turn_by, turn_north_up

__all__ = ["Arrangement", "Compare", "FrameEntry", "FrameSet", "combine_frames", "frames_of", "resample_image"]

Arrangement = Literal["tile", "single", "blink"]
Compare = Literal["blink", "swipe", "difference", "ratio", "side"]

COMPARISONS: tuple[str, ...] = get_args(Compare)

_ROWS_AT_A_TIME = 256


@dataclass(frozen=True, eq=False)
class FrameEntry:
    """A frame in the viewer.

    Parameters
    ----------
    key : str
        Identifier that does not change when the data are replaced.
    frame : Frame
        What is shown.
    display : DisplayState
        Limits and colours.
    sample : ndarray
        Values from which limits and histogram are computed.
    """

    key: str
    frame: Frame
    display: DisplayState = DisplayState()  # noqa: RUF009 - a frozen value
    sample: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))


@dataclass(frozen=True, eq=False)
class FrameSet:
    """All frames of a viewer, as a value.

    Parameters
    ----------
    entries : tuple of FrameEntry
        In the order of tiles.
    current : int
        Index of the frame that keys and the side panel act on.
    arrangement : {"tile", "single", "blink"}
        How they are shown.
    lock : {"wcs", "image", "none"}
        Whether frames are moved, zoomed and aligned together, and by which coordinates.
    lock_limits : bool
        Whether limits and colours are the same in all frames.
    north_up : bool
        Turn the reference frame north up, east left.
    rotation : float
        Further rotation, degrees counter-clockwise.
    """

    entries: tuple[FrameEntry, ...] = ()
    current: int = 0
    arrangement: Arrangement = "tile"
    lock: Lock = "wcs"
    lock_limits: bool = False
    north_up: bool = False
    rotation: float = 0.0

    @property
    def entry(self) -> FrameEntry | None:
        """The current frame."""
        return self.entries[self.current] if self.entries else None

    def find(self, key: str) -> int:
        """Return the index of a frame, or -1."""
        return next((i for i, entry in enumerate(self.entries) if entry.key == key), -1)

    def stepped(self, by: int) -> FrameSet:
        """Return the set with the next, or an earlier, frame as the current one; after the last comes the first."""
        return replace(self, current=(self.current + by) % len(self.entries)) if self.entries else self

    def selected(self, key: str) -> FrameSet:
        """Return the set with another current frame."""
        return replace(self, current=max(self.find(key), 0))

    def with_entry(self, entry: FrameEntry) -> FrameSet:
        """Return the set with the frame of the same key replaced."""
        return replace(self, entries=tuple(entry if e.key == entry.key else e for e in self.entries))

    def without(self, key: str) -> FrameSet:
        """Return the set without a frame; the current one stays if it can."""
        index = self.find(key)
        kept = tuple(e for e in self.entries if e.key != key)
        current = self.current - (0 <= index < self.current)
        return replace(self, entries=kept, current=min(max(current, 0), max(len(kept) - 1, 0)))

    def with_display(self, display: DisplayState) -> FrameSet:
        """Return the set with the display of the current frame, or of all if limits are locked, changed."""
        if self.lock_limits:
            return replace(self, entries=tuple(replace(e, display=display) for e in self.entries))
        return self if self.entry is None else self.with_entry(replace(self.entry, display=display))

    def placements(self) -> dict[str, Affine]:
        """Return where the pixels of each frame lie in the display plane."""
        if self.entry is None:
            return {}
        reference = self.entries[0].frame
        locked = {e.key: place_frame(e.frame, reference, self.lock, self._turn(reference)) for e in self.entries}
        if self.lock == "none":
            return {e.key: self._turn(e.frame) for e in self.entries}
        return locked

    def _turn(self, frame: Frame) -> Affine:
        turn = turn_north_up(frame) if self.north_up else Affine()
        if self.rotation:
            rows, columns = frame.shape
            center = turn.map((columns - 1) / 2, (rows - 1) / 2)
            turn = turn_by(self.rotation, center).after(turn)
        return turn

    def slice_of(self, entry: FrameEntry, number: int, lock: Lock) -> FrameSet:
        """Return the set with a cube at another slice, and the cubes locked to it at the same wavelength or number."""
        moved = entry.frame.at_slice(number)
        entries = [
            replace(e, frame=moved if e.key == entry.key else _follow_slice(e.frame, moved, lock)) for e in self.entries
        ]
        return replace(self, entries=tuple(entries))


def _follow_slice(frame: Frame, leader: Frame, lock: Lock) -> Frame:
    if lock == "none" or frame.plane.n_slices == 1:
        return frame
    if lock == "image":
        return frame.at_slice(leader.slice_number)
    mine, others = frame.wavelengths, leader.wavelengths
    if mine is None or others is None or mine[1] != others[1]:
        return frame
    return frame.at_slice(int(np.argmin(np.abs(mine[0] - others[0][leader.slice_number]))))


def frames_of(
    files: Iterable[ImageFile], extension: str = "first", s2n_range: tuple[float, float] | None = None
) -> tuple[list[Frame], list[str]]:
    """Return the frames that a setting of the extension shows of each file, and what went wrong.

    Parameters
    ----------
    files : iterable of ImageFile
        In order.
    extension : str
        ``first``, ``all``, ``cube``, ``S/N``, or a name or number.
    s2n_range : (float, float), optional
        See `Frame`.
    """
    frames: list[Frame] = []
    problems: list[str] = []
    for file in files:
        try:
            if extension.lower() == "all":
                frames += [Frame.of(file, name, s2n_range) for name in file.planes]
            else:
                frames.append(Frame.of(file, "ALL" if extension.lower() == "cube" else extension, s2n_range))
        except InputError as error:
            problems.append(str(error))
    return frames, problems


def combine_frames(first: Frame, second: Frame, mode: Literal["difference", "ratio"]) -> Frame:
    """Return the difference (first - second) or ratio (first / second) on the grid of the first frame.

    Parameters
    ----------
    first, second : Frame
        The second is interpolated at the sky positions of the first's pixels if both have world coordinates.
    mode : {"difference", "ratio"}
        Which.

    Raises
    ------
    InputError
        If there are no world coordinates and the shapes differ.
    """
    other = resample_image(second, first)
    with np.errstate(divide="ignore", invalid="ignore"):
        mine = np.asarray(first.image, dtype=np.float32)
        result = mine - other if mode == "difference" else mine / other
    result[~np.isfinite(result)] = np.nan
    sign = "−" if mode == "difference" else "/"
    name = f"{first.file.name} {sign} {second.file.name}"
    unit = first.plane.unit if mode == "difference" else ""
    header: fits.Header = first.plane.header if first.plane.celestial_wcs is not None else first.file.header
    plane = PlaneSource(mode.upper(), result, header, unit, 0)
    return Frame(ImageFile(name, header, {plane.name: plane}), plane)


def resample_image(frame: Frame, target: Frame) -> NDArray[np.float32]:
    """Return the image of a frame interpolated (bilinear) on the pixels of another; NaN outside and next to NaN.

    Raises
    ------
    InputError
        If there are no world coordinates and the shapes differ.
    """
    image = np.asarray(frame.image, dtype=np.float32)
    if frame.wcs is None or target.wcs is None or _same_grid(frame, target):
        if frame.shape != target.shape:
            raise InputError(
                f"{frame.file.name} and {target.file.name} differ in size and have no world coordinates in common; "
                "compare images of one grid, or with coordinates in their headers."
            )
        return image
    result = np.full(target.shape, np.nan, dtype=np.float32)
    rows, columns = target.shape
    for first in range(0, rows, _ROWS_AT_A_TIME):
        y, x = np.mgrid[first : min(first + _ROWS_AT_A_TIME, rows), 0:columns]
        pixels = map_pixels(np.column_stack([x.ravel(), y.ravel()]), target.wcs, frame.wcs)
        result[first : first + _ROWS_AT_A_TIME] = _interpolate(image, pixels).reshape(y.shape)
    return result


def _interpolate(image: NDArray[np.float32], pixels: NDArray[np.float64]) -> NDArray[np.float32]:
    from scipy.ndimage import map_coordinates

    near = np.nan_to_num(pixels, nan=-1e9, posinf=-1e9, neginf=-1e9)
    snapped = np.where(np.abs(near - np.round(near)) < 1e-6, np.round(near), near)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values: NDArray[np.float32] = map_coordinates(image, snapped[:, ::-1].T, order=1, cval=np.nan, prefilter=False)
    return values


def _same_grid(first: Frame, second: Frame) -> bool:
    if first.shape != second.shape:
        return False
    corners = np.array([(0, 0), (first.shape[1] - 1, 0), (0, first.shape[0] - 1)], dtype=float)
    mapped = map_pixels(corners, first.wcs, second.wcs)
    return bool(np.all(np.abs(mapped - corners) < 1e-4))
