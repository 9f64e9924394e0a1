"""From files and products to frames that can be drawn: runs in a thread, touches no widget."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sofia_engine.errors import InputError, SofiaDeskError
from sofia_engine.product import Product
from sofia_viewers.image.display import DisplayState, LimitsRule, compute_limits, sample_image
from sofia_viewers.image.frame import Frame, ImageFile, open_image
from sofia_viewers.image.frames import FrameEntry, frames_of

__all__ = ["Loaded", "Request", "load", "measure_entry", "warm_up"]


@dataclass(frozen=True, eq=False)
class Request:
    """What to show.

    Parameters
    ----------
    paths : tuple of Path
        Files to open.
    products : tuple of (Product, str)
        Products and the names they are shown by.
    extension : str
        Which plane, see `frames_of`.
    s2n_range : (float, float) or None
        See `Frame`.
    display : DisplayState
        Limits rule and colours of new frames.
    previous : mapping of str to FrameEntry
        Frames that are shown now: those with limits set by hand keep them.
    start : int
        Number of the first frame, for its key.
    """

    paths: tuple[Path, ...] = ()
    products: tuple[tuple[Product, str], ...] = ()
    extension: str = "first"
    s2n_range: tuple[float, float] | None = None
    display: DisplayState = DisplayState()  # noqa: RUF009 - a frozen value
    previous: Mapping[str, FrameEntry] | None = None
    start: int = 0


@dataclass(frozen=True, eq=False)
class Loaded:
    """Frames ready to be drawn, and what could not be opened."""

    entries: tuple[FrameEntry, ...]
    problems: tuple[str, ...] = ()


def load(request: Request) -> Loaded:
    """Open what is asked for; a file that cannot be shown is named with the reason, the others are shown."""
    files, problems = _open_all(request)
    frames, missing = frames_of(files, request.extension, request.s2n_range)
    entries = []
    for number, frame in enumerate(frames, start=request.start):
        key = f"{number}"
        old = (request.previous or {}).get(key)
        entries.append(measure_entry(FrameEntry(key, frame, _display_for(frame, old, request.display))))
    return Loaded(tuple(entries), (*problems, *missing))


def measure_entry(entry: FrameEntry) -> FrameEntry:
    """Return the frame with the sample and the limits that follow from its rule; reads its coordinates, too."""
    image = entry.frame.image
    sample = sample_image(image)
    _ = entry.frame.wcs
    limits = compute_limits(image, entry.display.rule, sample)
    return replace(entry, sample=sample, display=replace(entry.display, limits=limits))


def _open_all(request: Request) -> tuple[list[ImageFile], list[str]]:
    openers: Sequence[Callable[[], ImageFile]] = [
        *(lambda path=path: open_image(path) for path in request.paths),
        *(lambda product=product, name=name: ImageFile.of(product, name) for product, name in request.products),
    ]
    files: list[ImageFile] = []
    problems: list[str] = []
    for opener in openers:
        try:
            files.append(opener())
        except (InputError, SofiaDeskError) as error:
            problems.append(str(error))
    return files, problems


def _display_for(frame: Frame, old: FrameEntry | None, default: DisplayState) -> DisplayState:
    """Keep what the user set for data of the same kind; a rule keeps finding its own limits."""
    if old is None:
        return default
    same_kind = old.frame.plane.name == frame.plane.name and old.frame.plane.unit == frame.plane.unit
    if old.display.rule.kind == "manual" and not same_kind:
        return replace(old.display, rule=LimitsRule(default.rule.kind if default.rule.kind != "manual" else "zscale"))
    return old.display


def warm_up() -> None:
    """Import what the first image needs and load the compiled loops, so that the first image is as fast as the next."""
    import importlib

    for module in ("astropy.visualization", "astropy.wcs.utils", "sofia_viewers.image._display_kernel"):
        importlib.import_module(module)
