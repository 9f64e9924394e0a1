"""What is shown, saved as JSON: files, slice, regions, ranges, spectra, settings of maps. Data are read again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from sofia_engine.errors import InputError
from sofia_viewers.cube.extraction import STATISTICS
from sofia_viewers.image.regions import format_regions, parse_regions
from sofia_viewers.qt import QtCore
from sofia_viewers.spectrum.units import Convention

if TYPE_CHECKING:
    from sofia_viewers.cube.viewer import CubeViewer

__all__ = ["describe_session", "read_session", "restore_session", "write_session"]

_FORMAT = 1


def describe_session(viewer: CubeViewer) -> dict[str, Any]:
    """Return what is shown as plain values; cubes that are only in memory are left out."""
    region = viewer.spectra.overlays.region
    cubes = {key: str(cube.path) for key, cube in viewer.cubes.items() if cube.path is not None}
    current = viewer.cube_key if viewer.cube_key in cubes else next(iter(cubes), viewer.cube_key)
    regions = viewer.images.regions.on_frame(current) if current else {}
    number = next((e.frame.slice_number for e in viewer.images.frames.entries if e.key == current), 0)
    pane = viewer.spectra.session.pane
    return {
        "format": _FORMAT,
        "cubes": list(cubes.values()),
        "current": list(cubes).index(current) if current in cubes else 0,
        "slice": number,
        "regions": format_regions(regions.values(), "image"),
        "range": list(region[1:]) if region else None,
        "windows": [list(pair) for pair in viewer.spectra.annotations.windows],
        "statistic": viewer.live.statistic,
        "planes": list(viewer.live.planes),
        "pane": {"x_unit": pane.x_unit, "rest": pane.rest, "convention": pane.convention},
        "transmission": pane.overplot_enabled and pane.overplot.field == "transmission",
        "cursor": viewer.live.kernel,
        "maps": _describe_maps(viewer),
        "images": [s.path for s in _sources(viewer, "image")],
        "catalogs": [path for _, path in viewer.link_tools.catalogs.values()],
    }


def _describe_maps(viewer: CubeViewer) -> dict[str, Any]:
    panel, fit = viewer.map_tools.panel, viewer.map_tools.fit_panel
    return {
        "degree": panel.chosen_degree, "least": panel.least.value(), "clip": panel.clip.value(),
        "how": panel.how.currentText(), "mask": panel.mask_choice.currentText(), "level": panel.level.text(),
        "channels": panel.count.value(), "shape": fit.shape.currentText(), "sign": fit.sign.currentText(),
        "cell": fit.cell.value(), "width": viewer.cut_tools.panel.width_box.value(),
    }  # fmt: skip


def _restore_maps(viewer: CubeViewer, plain: dict[str, Any]) -> None:
    panel, fit = viewer.map_tools.panel, viewer.map_tools.fit_panel
    if "degree" in plain:
        panel.choose_degree(plain["degree"])
    for name, box in (
        ("how", panel.how), ("mask", panel.mask_choice), ("shape", fit.shape), ("sign", fit.sign),
    ):  # fmt: skip
        box.setCurrentText(str(plain.get(name, box.currentText())))
    for name, number in (
        ("least", panel.least), ("clip", panel.clip), ("cell", fit.cell), ("width", viewer.cut_tools.panel.width_box),
    ):  # fmt: skip
        with QtCore.QSignalBlocker(number):
            number.setValue(float(plain.get(name, number.value())))
    panel.count.setValue(int(plain.get("channels", panel.count.value())))
    panel.level.setText(str(plain.get("level", "")))


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
        if not cubes:
            raise InputError(f"{path} names no file with a cube: save cubes that were made here before the session.")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is no saved session of the cube explorer.") from error
    viewer.open_files(cubes, then=lambda: restore_session(viewer, plain))


def restore_session(viewer: CubeViewer, plain: dict[str, Any]) -> None:
    """Show regions, slice, ranges, settings and links of a session on the cubes that were opened."""
    try:
        _restore(viewer, plain)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        viewer.report(f"The session is damaged ({error}): not all of it is shown; save it again.")


def _restore(viewer: CubeViewer, plain: dict[str, Any]) -> None:
    current = list(viewer.cubes)[int(plain.get("current", 0)) :][:1]
    viewer.images.select(*current or [viewer.cube_key])
    statistic = plain.get("statistic", "sum")
    viewer.live.statistic = statistic if statistic in STATISTICS else "sum"
    viewer.live.set_planes(tuple(map(str, plain.get("planes", ()))))
    viewer.spectra_tools.panel.statistic.setCurrentText(viewer.live.statistic)
    viewer.images.regions.clear()
    for region in parse_regions(plain.get("regions", "")).regions:
        viewer.images.regions.add(region, viewer.cube_key)
    _restore_pane(viewer, plain)
    _restore_maps(viewer, plain.get("maps", {}))
    viewer.spectra.annotations.windows = [(float(a), float(b)) for a, b in plain.get("windows", ())]
    viewer.spectra.annotations.tell("windows")
    viewer.choose_slice(int(plain.get("slice", 0)))
    if plain.get("range"):
        low, high = map(float, plain["range"])
        viewer.map_tools.select_range_when_drawn(low, high)
    viewer.link_tools.forget_catalogs()
    for path in plain.get("images", ()):
        viewer.link_tools.add_image(path)
    for path in plain.get("catalogs", ()):
        viewer.link_tools.add_catalog(path)


def _restore_pane(viewer: CubeViewer, plain: dict[str, Any]) -> None:
    pane = plain.get("pane", {})
    convention = pane.get("convention", "optical")
    viewer.spectra.session.change_pane(
        rest=float(pane["rest"]) if pane.get("rest") else None, x_unit=str(pane.get("x_unit", "")), x_limits=None,
        convention=convention if convention in get_args(Convention) else "optical",
    )  # fmt: skip
    viewer.spectra_tools.panel.transmission.setChecked(bool(plain.get("transmission")))
    viewer.spectra_tools.choose_kernel(int(plain.get("cursor", 0)))
