"""The views of a reduction, kept in its session folder as ``views.json``: which there are, where, and how they show."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from sofia_engine.product import write_atomically

__all__ = ["SavedPage", "SavedViews"]

_FORMAT = 1
_NAME = "views.json"
Place = Literal["left", "right", "window"]


@dataclass(frozen=True)
class SavedPage:
    """One viewer.

    Parameters
    ----------
    kind : str
        Name of the kind of viewer.
    place : {"left", "right", "window"}
        Where it is.
    pinned : bool
        Whether it keeps what it shows.
    state : str
        Key of the state whose products it shows, if it is pinned.
    view : mapping
        What the viewer says of itself: zoom, limits, panes.
    is_clone : bool
        Whether it is a further viewer of its kind.
    regions : str
        Name of the file of its regions in the folder ``regions``; empty if it has none.
    """

    kind: str
    place: Place = "left"
    pinned: bool = False
    state: str = ""
    view: Mapping[str, Any] = field(default_factory=dict)
    is_clone: bool = False
    regions: str = ""


@dataclass(frozen=True)
class SavedViews:
    """All viewers, the title of the view in front, and the step that is selected."""

    pages: tuple[SavedPage, ...] = ()
    front: str = ""
    step: int = -1

    def write(self, session: Path) -> None:
        """Write them into the folder of a session.

        Raises
        ------
        OSError
            If that cannot be done.
        """
        content = json.dumps({"format": _FORMAT, **asdict(self)}, indent=1).encode()
        write_atomically(session / _NAME, lambda stream: stream.write(content))

    @classmethod
    def read(cls, session: Path) -> SavedViews | None:
        """Read them; None if there are none, or they make no sense."""
        try:
            stored = json.loads((session / _NAME).read_text(encoding="utf-8"))
            if stored["format"] != _FORMAT:
                return None
            pages = tuple(_read_page(page) for page in stored["pages"])
            return cls(pages, str(stored["front"]), int(stored["step"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None


def _read_page(stored: Mapping[str, Any]) -> SavedPage:
    places: dict[str, Place] = {"right": "right", "window": "window"}
    place = places.get(str(stored["place"]), "left")
    view = stored["view"] if isinstance(stored["view"], dict) else {}
    return SavedPage(
        str(stored["kind"]),
        place,
        bool(stored["pinned"]),
        str(stored["state"]),
        view,
        bool(stored["is_clone"]),
        str(stored.get("regions", "")),
    )
