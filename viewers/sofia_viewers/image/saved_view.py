"""How frames are shown, as plain values that outlive the program: locks, zoom, limits, colours, regions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any

from sofia_viewers.image.display import DisplayState
from sofia_viewers.image.frames import Arrangement, FrameSet
from sofia_viewers.image.geometry import Lock, ViewState
from sofia_viewers.image.regions import Region

__all__ = ["SavedView", "apply_view", "describe_view", "read_view"]


@dataclass(frozen=True)
class SavedView:
    """How frames were shown.

    Parameters
    ----------
    shapes : tuple of (int, int)
        Rows and columns of each frame; zoom and limits are only taken over for frames of the same shapes.
    displays : tuple of DisplayState
        Limits and colours of each.
    view : ViewState, optional
        Middle and zoom; None if frames are fitted into their place.
    regions : tuple of Region
        In pixels of the first frame.

    Others as in `FrameSet`.
    """

    arrangement: Arrangement = "tile"
    lock: Lock = "wcs"
    lock_limits: bool = False
    north_up: bool = False
    rotation: float = 0.0
    current: int = 0
    shapes: tuple[tuple[int, int], ...] = ()
    displays: tuple[DisplayState, ...] = ()
    view: ViewState | None = None
    regions: tuple[Region, ...] = ()


def describe_view(frames: FrameSet, view: ViewState | None, regions: Iterable[Region]) -> dict[str, Any]:
    """Return how frames are shown, as values that JSON can hold."""
    arrangement: Arrangement = "tile" if frames.arrangement == "blink" else frames.arrangement
    saved = SavedView(
        arrangement=arrangement,
        lock=frames.lock,
        lock_limits=frames.lock_limits,
        north_up=frames.north_up,
        rotation=frames.rotation,
        current=frames.current,
        shapes=_shapes(frames),
        displays=tuple(entry.display for entry in frames.entries),
        view=view,
        regions=tuple(regions),
    )
    return asdict(saved)


def read_view(plain: Mapping[str, Any]) -> SavedView | None:
    """Return what `describe_view` gave, perhaps by way of JSON; None for anything else."""
    from pydantic import ValidationError

    try:
        read: SavedView = _adapter().validate_python(dict(plain))
    except ValidationError:
        return None
    return read


def apply_view(frames: FrameSet, saved: SavedView) -> tuple[FrameSet, bool]:
    """Return frames shown as they were, and whether they are of the same shapes, so that the zoom may be kept."""
    same = _shapes(frames) == saved.shapes
    entries = frames.entries
    if same:
        entries = tuple(replace(e, display=d) for e, d in zip(entries, saved.displays, strict=False))
    shown = replace(
        frames,
        entries=entries,
        arrangement=saved.arrangement,
        lock=saved.lock,
        lock_limits=saved.lock_limits,
        north_up=saved.north_up,
        rotation=saved.rotation,
        current=min(max(saved.current, 0), max(len(entries) - 1, 0)),
    )
    return shown, same


def _shapes(frames: FrameSet) -> tuple[tuple[int, int], ...]:
    return tuple((int(entry.frame.shape[0]), int(entry.frame.shape[1])) for entry in frames.entries)


@lru_cache(maxsize=1)
def _adapter() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(SavedView)
