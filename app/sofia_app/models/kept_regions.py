"""Regions and apertures of the views of a session: DS9 region files in its folder ``regions``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sofia_engine.product import write_atomically

if TYPE_CHECKING:
    from sofia_viewers.image.regions import Region

__all__ = ["REGIONS", "RegionSet", "name_region_file", "read_region_files", "write_region_files"]

REGIONS = "regions"
"""Folder of the region files within a session."""


@dataclass(frozen=True)
class RegionSet:
    """The regions of one view.

    Parameters
    ----------
    name : str
        Of the file.
    regions : tuple of Region
        In pixels of the image; none removes the file.
    wcs : WCS or None
        Celestial coordinates of the image: with them, the file is written in ICRS, else in pixels of the image.
    """

    name: str
    regions: tuple[Region, ...] = ()
    wcs: Any = field(default=None, compare=False)

    def format(self) -> str:
        """Return the content of the file; slow at first, as astropy's regions are imported."""
        from sofia_viewers.image.regions import format_regions

        return format_regions(self.regions, "image" if self.wcs is None else "icrs", self.wcs)


def name_region_file(kind: str, number: int) -> str:
    """Return the name of the file of a view: ``image.reg``, ``image-2.reg``."""
    return f"{kind}.reg" if number == 1 else f"{kind}-{number}.reg"


def write_region_files(session: Path, sets: Sequence[RegionSet]) -> None:
    """Write the files of some views; a view without regions has none.

    Raises
    ------
    OSError
        If that cannot be done.
    """
    folder = session / REGIONS
    for regions in sets:
        if not regions.regions:
            (folder / regions.name).unlink(missing_ok=True)
            continue
        folder.mkdir(exist_ok=True)
        content = regions.format().encode()
        write_atomically(folder / regions.name, lambda stream, content=content: stream.write(content))


def read_region_files(session: Path) -> Mapping[str, str]:
    """Return the contents of the region files of a session by their names; those that cannot be read are left out."""
    texts = {}
    for path in sorted((session / REGIONS).glob("*.reg")):
        try:
            texts[path.name] = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
    return texts
