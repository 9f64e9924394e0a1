"""Colours and markers of spectra: by the order of loading, aperture and order."""

from __future__ import annotations

import colorsys
from typing import Literal

__all__ = ["COLOR_CYCLES", "MARKERS", "ColorCycle", "choose_color", "choose_marker", "choose_opacity"]

ColorCycle = Literal["Accessible", "Spectral", "Tableau"]

COLOR_CYCLES: dict[str, tuple[str, ...]] = {
    "Accessible": ("#2848ad", "#59d4db", "#f37738", "#c6ea6c", "#b9a496", "#d0196b", "#7b85d4"),
    "Spectral": ("#66c2a5", "#3288bd", "#5e4fa2", "#9e0142", "#d53e4f", "#f46d43", "#fdae61", "#fee08b", "#abdda4"),
    "Tableau": (
        "#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#bcbd22", "#17becf",
    ),
}  # fmt: skip
MARKERS = ("x", "o", "t1", "+", "t", "star")
"""Symbols by the order of loading: cross, circle, triangle up, plus, triangle down, star."""

_APERTURE_TURN = 130.0 / 360.0
_FAINTEST_ORDER = 0.7
_DARKEST = 0.62


def choose_color(number: int, aperture: int = 1, cycle: str = "Accessible", *, dark: bool = False) -> str:
    """Return the colour of a spectrum as ``#rrggbb``.

    Parameters
    ----------
    number : int
        Number of the file in the order of loading, from 0.
    aperture : int
        From 1. The hue of aperture 2 is turned by -130 degrees, that of 3 by +130, of 4 by -260 and so on, with a
        little less colour at each round, so that no two of the first nine are alike.
    cycle : str
        One of `COLOR_CYCLES`.
    dark : bool
        Lighten colours that would be lost on a dark ground.
    """
    colors = COLOR_CYCLES[cycle]
    base = colors[number % len(colors)]
    if aperture == 1 and not dark:
        return base
    hue, lightness, saturation = colorsys.rgb_to_hls(*(int(base[i : i + 2], 16) / 255.0 for i in (1, 3, 5)))
    step = aperture // 2
    turn = (-1 if aperture % 2 == 0 else 1) * step * _APERTURE_TURN
    if dark:
        lightness = max(lightness, _DARKEST)
    saturation *= 1.0 - 0.12 * max(0, step - 1)
    red, green, blue = colorsys.hls_to_rgb((hue + turn) % 1.0, lightness, max(saturation, 0.2))
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


def choose_marker(number: int) -> str:
    """Return the symbol of a file by its number in the order of loading, from 0."""
    return MARKERS[number % len(MARKERS)]


def choose_opacity(position: int, count: int) -> float:
    """Return the opacity, 0.7 to 1, of an order by its position (from 0) among a number of orders."""
    if count <= 1:
        return 1.0
    return _FAINTEST_ORDER + (1.0 - _FAINTEST_ORDER) * position / (count - 1)
