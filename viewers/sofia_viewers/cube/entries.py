"""Cubes, maps and images as frames of the image viewer. No widgets: runs in threads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from sofia_viewers.cube.collapse import find_brightest_slice, sample_cube
from sofia_viewers.cube.cube import Cube
from sofia_viewers.image.display import DisplayState, LimitsRule, compute_limits, sample_image
from sofia_viewers.image.frame import Frame, ImageFile, PlaneSource
from sofia_viewers.image.frames import FrameEntry

__all__ = ["MapImage", "as_float32", "make_cube_entry", "make_map_entry", "map_header"]

_SPECTRAL = ("CTYPE", "CRVAL", "CRPIX", "CDELT", "CUNIT")
_TAIL = 0.25
"""Per cent of the values of a cube that are shown as darkest and brightest."""
_MAP_TAIL, _WIDE_TAIL = 1.0, 5.0
"""The same for maps, and for maps of velocity, in which few bad fits would spread the colours."""


@dataclass(frozen=True, eq=False)
class MapImage:
    """An image made of a cube.

    Parameters
    ----------
    name : str
        What it is, for people: ``Moment 1``.
    values : (n_y, n_x) ndarray
        NaN is bad.
    unit : str
        Unit of values and error.
    error : (n_y, n_x) ndarray or None
        1-sigma.
    color_map : str
        Which colours suit it; empty for those of the viewer.
    notes : mapping of str to value
        Keywords of how it was made, for the header.
    is_shape : bool
        Whether it says where or how wide something is, not how bright: faint pixels then have the extreme values.
    """

    name: str
    values: NDArray[Any] = field(repr=False)
    unit: str = ""
    error: NDArray[Any] | None = field(default=None, repr=False)
    color_map: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict)
    is_shape: bool = False


def make_cube_entry(cube: Cube, key: str, display: DisplayState) -> FrameEntry:
    """Show a cube at its brightest slice, with limits from all of it."""
    samples = cube.samples()
    frame = cube.frame("", find_brightest_slice(samples))
    _ = frame.wcs
    sample = sample_cube(samples)
    if display.rule.kind == "manual":
        return FrameEntry(key, frame, display, sample)
    rule = LimitsRule("percentile", _TAIL, 100.0 - _TAIL)
    limits = compute_limits(np.zeros((1, 1)), rule, sample)
    return FrameEntry(key, frame, _with(display, rule, limits), sample)


def make_map_entry(cube: Cube, made: MapImage, key: str, display: DisplayState) -> FrameEntry:
    """Show a map of a cube as a frame on the same sky."""
    header = map_header(cube)
    planes = {"MAP": PlaneSource("MAP", as_float32(made.values), header, made.unit, 0)}
    if made.error is not None:
        planes["ERROR"] = PlaneSource("ERROR", as_float32(made.error), header, made.unit, 1)
    frame = Frame(ImageFile(f"{made.name} · {cube.name}", cube.header, planes), planes["MAP"])
    _ = frame.wcs
    sample = sample_image(frame.image)
    tail = _WIDE_TAIL if made.is_shape else _MAP_TAIL
    rule = LimitsRule("percentile", tail, 100.0 - tail)
    state = _with(display, rule, compute_limits(frame.image, rule, sample))
    if made.color_map:
        state = replace(state, color_map=made.color_map, stretch="linear")
    return FrameEntry(key, frame, state, sample)


def as_float32(values: NDArray[Any]) -> NDArray[np.float32]:
    """Return values as float32; those beyond its range become infinite without a warning."""
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(values, dtype=np.float32)


def map_header(cube: Cube) -> fits.Header:
    """Return the header of an image on the sky of a cube: its plane's without the spectral axis."""
    header = cube.flux.header.copy()
    for keyword in [k for k in header if k[-1:] in "34" and k[:-1] in _SPECTRAL]:
        del header[keyword]
    for keyword in ("CD3_3", "PC3_3", "PC3_1", "PC3_2", "PC1_3", "PC2_3", "SPECSYS", "NAXIS3", "NAXIS4"):
        header.remove(keyword, ignore_missing=True)
    for keyword in ("BSCALE", "BZERO", "BLANK", "CHECKSUM", "DATASUM"):
        header.remove(keyword, ignore_missing=True)
    if "NAXIS" in header:
        header["NAXIS"] = 2
    if "WCSAXES" in header:
        header["WCSAXES"] = 2
    return header


def _with(display: DisplayState, rule: LimitsRule, limits: tuple[float, float]) -> DisplayState:
    return replace(display, rule=rule, limits=limits)
