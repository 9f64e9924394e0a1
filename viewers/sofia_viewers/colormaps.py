"""Colour maps: those of matplotlib, and those that users of SAOImage DS9 know, from their break points."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sofia_engine.errors import ParameterError

__all__ = ["DS9_MAPS", "FAVOURITE_MAPS", "bend_table", "list_color_maps", "make_color_cycle", "make_color_table"]

UInt8Array = NDArray[np.uint8]
_Points = tuple[tuple[float, float], ...]

_RAMP: _Points = ((0, 0), (1, 1))

_RAMPS: dict[str, tuple[_Points, _Points, _Points]] = {
    "grey": (_RAMP, _RAMP, _RAMP),
    "b": (
        ((0, 0), (0.25, 0), (0.5, 1), (1, 1)),
        ((0, 0), (0.5, 0), (0.75, 1), (1, 1)),
        ((0, 0), (0.25, 1), (0.5, 0), (0.75, 0), (1, 1)),
    ),
    "bb": (
        ((0, 0), (0.5, 1), (1, 1)),
        ((0, 0), (0.25, 0), (0.75, 1), (1, 1)),
        ((0, 0), (0.5, 0), (1, 1)),
    ),
    "he": (
        ((0, 0), (0.015, 0.5), (0.25, 0.5), (0.5, 0.75), (1, 1)),
        ((0, 0), (0.065, 0), (0.125, 0.5), (0.25, 0.75), (0.5, 0.81), (1, 1)),
        ((0, 0), (0.015, 0.125), (0.03, 0.375), (0.065, 0.625), (0.25, 0.25), (1, 1)),
    ),
    "heat": (((0, 0), (0.34, 1), (1, 1)), _RAMP, ((0, 0), (0.65, 0), (0.98, 1), (1, 1))),
    "cool": (
        ((0, 0), (0.29, 0), (0.76, 0.1), (1, 1)),
        ((0, 0), (0.22, 0), (0.96, 1), (1, 1)),
        ((0, 0), (0.53, 1), (1, 1)),
    ),
    "rainbow": (
        ((0, 1), (0.2, 0), (0.6, 0), (0.8, 1), (1, 1)),
        ((0, 0), (0.2, 0), (0.4, 1), (0.8, 1), (1, 0)),
        ((0, 1), (0.4, 1), (0.6, 0), (1, 0)),
    ),
    "sls": (
        ((0, 0), (0.085, 0.53), (0.17, 0), (0.5, 0), (0.63, 0.7), (0.72, 0.97), (0.8, 1), (0.9, 0.85), (0.95, 0.8),
         (1, 1)),
        ((0, 0), (0.17, 0), (0.24, 0), (0.4, 0.8), (0.5, 0.7), (0.6, 0.78), (0.68, 0.95), (0.8, 0.55), (0.88, 0),
         (0.95, 0), (1, 1)),
        ((0, 0), (0.085, 0.6), (0.17, 0.7), (0.25, 0.87), (0.4, 0.87), (0.47, 0.55), (0.52, 0), (0.88, 0), (0.95, 0.3),
         (1, 1)),
    ),
}  # fmt: skip
"""Break points (level, intensity) of red, green, blue; between them the intensity is linear."""

_STEPS: dict[str, tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]] = {
    "i8": ((0, 0, 0, 0, 1, 1, 1, 1), (0, 1, 0, 1, 0, 1, 0, 1), (0, 0, 1, 1, 0, 0, 1, 1)),
    "aips0": (
        (0.196, 0.475, 0, 0.373, 0, 0, 1, 1, 1),
        (0.196, 0, 0, 0.655, 0.596, 0.965, 1, 0.694, 0),
        (0.196, 0.608, 0.785, 0.925, 0, 0, 0, 0, 0),
    ),
}
"""Intensities of red, green, blue in equal steps of level."""

DS9_MAPS = ("sls", "grey", "b", "bb", "he", "heat", "cool", "rainbow", "i8", "aips0")
"""Maps with the names of DS9; ``cool`` and ``rainbow`` win over matplotlib's, which are ``mpl cool`` and so on."""

FAVOURITE_MAPS = (*DS9_MAPS, "viridis", "cividis", "inferno", "magma", "plasma", "gray", "RdBu", "coolwarm", "turbo")
"""What menus show first."""

_MATPLOTLIB_PREFIX = "mpl "


@lru_cache(maxsize=1)
def list_color_maps() -> tuple[str, ...]:
    """Return the names of all maps: DS9's, then matplotlib's (reversed ones are had by inversion)."""
    from matplotlib import colormaps

    own = [name for name in colormaps if not name.endswith("_r")]
    renamed = [_MATPLOTLIB_PREFIX + name if name in DS9_MAPS else name for name in own]
    return (*DS9_MAPS, *sorted(renamed, key=str.lower))


def make_color_table(name: str, n_colors: int = 255, *, invert: bool = False) -> UInt8Array:
    """Return the colours of a map.

    Parameters
    ----------
    name : str
        One of `list_color_maps`; ``_r`` at the end inverts.
    n_colors : int
        Number of levels, from the lowest.
    invert : bool
        Turn the map round.

    Returns
    -------
    ndarray
        (n_colors, 3) red, green, blue.

    Raises
    ------
    ParameterError
        If there is no such map; names the closest.
    """
    base = name.removesuffix("_r")
    levels = np.linspace(0.0, 1.0, n_colors)
    if invert != (base != name):
        levels = levels[::-1]
    return np.round(255 * _evaluate(base, levels)).astype(np.uint8)


def _evaluate(name: str, levels: NDArray[np.float64]) -> NDArray[np.float64]:
    if name in _RAMPS:
        ramps = (np.array(points).T for points in _RAMPS[name])
        return np.stack([np.interp(levels, places, heights) for places, heights in ramps], axis=-1)
    if name in _STEPS:
        table = np.array(_STEPS[name]).T
        chosen: NDArray[np.float64] = table[np.minimum((levels * len(table)).astype(int), len(table) - 1)]
        return chosen
    from matplotlib import colormaps

    known = name.removeprefix(_MATPLOTLIB_PREFIX)
    if known not in colormaps:
        from sofia_engine.pipeline.parameters import suggest

        raise ParameterError(f"There is no colour map '{name}'{suggest(name, list_color_maps())}.")
    colors: NDArray[np.float64] = np.asarray(colormaps[known](levels))[:, :3]
    return colors


def bend_table(table: UInt8Array, contrast: float = 1.0, bias: float = 0.5) -> UInt8Array:
    """Stretch and shift a table of colours, as dragging with the right mouse button does.

    Parameters
    ----------
    table : ndarray
        (n, 3) colours.
    contrast : float
        Slope; 1 leaves the table as it is, larger values use the colours in a narrower range of levels.
    bias : float
        Level, 0 to 1, that gets the middle colour; 0.5 leaves the table as it is.
    """
    levels = np.linspace(0.0, 1.0, len(table))
    bent = np.clip((levels - bias) * contrast + 0.5, 0.0, 1.0)
    result: UInt8Array = table[np.round(bent * (len(table) - 1)).astype(int)]
    return result


def make_color_cycle(name: str, n_sampled: int = 20) -> list[str]:
    """Return the colours of a map as ``#rrggbb``, for lines that follow each other.

    Maps with 100 colours or more are sampled at `n_sampled` levels; short ones are taken as they are.
    """
    from matplotlib import colormaps

    known = name.removeprefix(_MATPLOTLIB_PREFIX)
    listed = known in colormaps and name not in DS9_MAPS and colormaps[known].N < 100
    table = make_color_table(name, int(colormaps[known].N) if listed else n_sampled)
    return [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in table]
