"""What is shown, saved as JSON: files, slice, regions, ranges, spectra, settings of maps. Data are read again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sofia_engine.errors import InputError
from sofia_viewers.image.regions import format_regions, parse_regions

if TYPE_CHECKING:
    from sofia_viewers.cube.viewer import CubeViewer

__all__ = ["describe_session", "read_session", "restore_session", "write_session"]

_FORMAT = 1


def describe_session(viewer: CubeViewer) -> dict[str, Any]:
    """Return what is shown as plain values; cubes that are only in memory are left out."""
    region = viewer.spectra.overlays.region
    cubes = [str(cube.path) for cube in viewer.cubes.values() if cube.path is not None]
    regions = viewer.images.regions.on_frame(viewer.cube_key) if viewer.cube_key else {}
    pane = viewer.spectra.session.pane
    return {
        "format": _FORMAT,
        "cubes": cubes,
        "slice": viewer.slices.slider.value(),
        "regions": format_regions(regions.values(), "image"),
        "range": list(region[1:]) if region else None,
        "windows": [list(pair) for pair in viewer.spectra.annotations.windows],
        "statistic": viewer.live.statistic,
        "planes": list(viewer.live.planes),
        "pane": {"x_unit": pane.x_unit, "rest": pane.rest, "convention": pane.convention},
        "images": [s.path for s in _sources(viewer, "image")],
        "catalogs": [path for _, path in viewer.link_tools.catalogs.values()],
    }


def _sources(viewer: CubeViewer, kind: str) -> list[Any]:
    linked = viewer.link_tools.linked
    return [s for s in linked.sources.values() if s.kind == kind and s.path] if linked is not None else []


def write_session(viewer: CubeViewer, path: str | Path) -> Path:
    """Write what is shown as JSON.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    target = Path(path)
    try:
        target.write_text(json.dumps(describe_session(viewer), indent=1), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error.strerror or error}.") from error
    return target


def read_session(viewer: CubeViewer, path: str | Path) -> None:
    """Show what a saved session says; its files are read again, in threads.

    Raises
    ------
    InputError
        If the file is no session.
    """
    try:
        plain = json.loads(Path(path).read_text(encoding="utf-8"))
        if plain["format"] != _FORMAT:
            raise InputError(f"{path} was saved by another version of the program: it cannot be opened.")
        cubes = [Path(name) for name in plain["cubes"]]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is no saved session of the cube explorer.") from error
    viewer.open_files(cubes, then=lambda: restore_session(viewer, plain))


def restore_session(viewer: CubeViewer, plain: dict[str, Any]) -> None:
    """Show regions, slice, ranges and links of a session on the cubes that were opened."""
    viewer.live.statistic = plain.get("statistic", "sum")
    viewer.live.set_planes(tuple(plain.get("planes", ())))
    viewer.spectra_tools.panel.statistic.setCurrentText(viewer.live.statistic)
    viewer.images.regions.clear()
    for region in parse_regions(plain.get("regions", "")).regions:
        viewer.images.regions.add(region, viewer.cube_key)
    pane = plain.get("pane", {})
    viewer.spectra.session.change_pane(
        rest=pane.get("rest"), x_unit=pane.get("x_unit", ""), convention=pane.get("convention", "optical")
    )
    viewer.spectra.annotations.windows = [(float(a), float(b)) for a, b in plain.get("windows", ())]
    viewer.spectra.annotations.tell("windows")
    viewer.choose_slice(int(plain.get("slice", 0)))
    if plain.get("range"):
        viewer.map_tools.select_range_when_drawn(*map(float, plain["range"]))
    for path in plain.get("images", ()):
        viewer.link_tools.add_image(path)
    for path in plain.get("catalogs", ()):
        viewer.link_tools.add_catalog(path)
