"""Drawing of quick-look figures of spectra: the image above, the spectrum with error and transmission below.

Like `sofia_engine.map_figure` it takes plain values, so that the drawing process need not import what parameters are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.errors import InputError
from sofia_engine.map_figure import FIGURE_SIZE, RESOLUTION, ImageMap, Look, draw_panel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sofia_engine.drawing.axes import Frame
    from sofia_engine.drawing.canvas import Canvas
    from sofia_engine.drawing.colors import Color
    from sofia_engine.numerics.arrays import FloatArray

__all__ = ["SpectralLook", "SpectralMap", "SpectrumCurve", "get_ready", "render_spectral_figure"]

IMAGE_PANEL = (0.26, 0.545, 0.48, 0.335)
SPECTRUM_PANEL = (0.125, 0.11, 0.775, 0.335)
LONE_PANEL = (0.125, 0.13, 0.775, 0.70)
LONE_HEIGHT = 5.0
LARGEST_LEGEND = 15
MARGIN, FLUX_MARGIN = 0.05, 0.04
"""Part of the range of the curves that is left free on both sides."""
BAND_OPACITY = 0.25
TITLE_PAD = 6.0


@dataclass(frozen=True)
class SpectralLook:
    """How a spectral figure is shown; `sofia_engine.spectral_quicklook.SpectralMapParameters` explains each."""

    image: Look
    ignore_outer: float = 0.0
    atran_plot: bool = True
    error_plot: bool = True
    spec_scale: tuple[float, float] = (0.0, 100.0)


@dataclass(frozen=True, eq=False)
class SpectrumCurve:
    """A spectrum: wavelengths, flux, error and transmission (nw), and its name in the legend."""

    wavelength: FloatArray
    flux: FloatArray
    error: FloatArray | None = None
    transmission: FloatArray | None = None
    name: str = ""


@dataclass(frozen=True, eq=False)
class SpectralMap:
    """What a spectral figure shows.

    Attributes
    ----------
    curves : tuple of SpectrumCurve
        The spectra.
    title, subtitle : str
        Lines above the figure, and above the spectrum.
    x_label, y_label : str
        Of the spectrum.
    image : ImageMap or None
        Above the spectrum.
    mark : float or None
        Wavelength at which the spectrum is marked.
    """

    curves: tuple[SpectrumCurve, ...]
    title: str = ""
    subtitle: str = ""
    x_label: str = "Wavelength (um)"
    y_label: str = "Spectral flux"
    image: ImageMap | None = None
    mark: float | None = None


def render_spectral_figure(content: SpectralMap, look: SpectralLook) -> bytes:
    """Draw a spectral figure; see `sofia_engine.spectral_quicklook.render_spectral_map`."""
    from sofia_engine.drawing.canvas import Canvas, Lettering

    if not any(np.isfinite(curve.flux).any() for curve in content.curves):
        raise InputError(f"{content.title or 'The spectrum'}: there is no finite flux to show.")
    height = FIGURE_SIZE if content.image is not None else LONE_HEIGHT
    canvas = Canvas.of_size(FIGURE_SIZE, height, RESOLUTION)
    canvas.write(*canvas.place(0.5, 0.96), content.title, Lettering(13, up="bottom"))
    if content.image is not None:
        beam = content.image.beam is not None
        draw_panel(canvas, content.image, look.image, IMAGE_PANEL, crop=content.image.axes is None, beam=beam)
    _draw_spectrum(canvas, content, look)
    return canvas.encode()


def get_ready() -> None:
    """Load what all figures need, so that the first one takes no longer than the others."""
    from sofia_engine.drawing.axes import Frame
    from sofia_engine.drawing.canvas import Canvas, Lettering

    canvas = Canvas.of_size(1, 1, RESOLUTION)
    for size in (13, 10, 9):
        canvas.write(0, 0, "0", Lettering(size))
    Frame.at(canvas, (0, 0, 1, 1), (0.0, 1.0), (0.0, 1.0)).draw_border()
    canvas.encode()


def _draw_spectrum(canvas: Canvas, content: SpectralMap, look: SpectralLook) -> None:
    from sofia_engine.drawing.axes import Frame
    from sofia_engine.drawing.canvas import Lettering, Stroke

    curves = [_cut(curve, look.ignore_outer) for curve in content.curves]
    panel = SPECTRUM_PANEL if content.image is not None else LONE_PANEL
    x_limits = _find_range([curve.wavelength for curve in curves], MARGIN)
    frame = Frame.at(canvas, panel, x_limits, _find_flux_range(curves, look))
    colors = _choose_colors(len(curves), look)
    for curve, color in zip(curves, colors, strict=True):
        x = _find_edges(curve.wavelength)
        frame.draw_curve(x, np.repeat(curve.flux, 2), Stroke(color, 1.2))
        if look.error_plot and curve.error is not None:
            low, high = (np.repeat(curve.flux + sign * curve.error, 2) for sign in (-1, 1))
            frame.draw_band(x, low, high, color, BAND_OPACITY)
    if look.atran_plot:
        _draw_transmission(frame, curves)
    if content.mark is not None:
        first = curves[0]
        place = int(np.nanargmin(np.abs(first.wavelength - content.mark)))
        frame.mark(float(first.wavelength[place]), float(first.flux[place]))
    _draw_frame(frame, content)
    middle = (frame.box.left + frame.box.right) / 2
    canvas.write(middle, frame.box.top - canvas.dots(TITLE_PAD), content.subtitle, Lettering(10))
    if len(curves) > 1:
        _draw_legend(frame, curves, colors)


def _draw_frame(frame: Frame, content: SpectralMap) -> None:
    from sofia_engine.drawing.ticks import find_ticks

    frame.draw_border()
    frame.draw_axis("bottom", find_ticks(*frame.x_limits, frame.count_ticks("bottom")), content.x_label)
    frame.draw_axis("left", find_ticks(*frame.y_limits, frame.count_ticks("left")), content.y_label)


def _draw_legend(frame: Frame, curves: Sequence[SpectrumCurve], colors: Sequence[Color]) -> None:
    named = [(curve.name, color) for curve, color in zip(curves, colors, strict=True) if curve.name][:LARGEST_LEGEND]
    if named:
        points = np.concatenate([frame.to_pixels(curve.wavelength, curve.flux) for curve in curves])
        frame.draw_legend([name for name, _ in named], [color for _, color in named], points)


def _find_edges(wavelength: FloatArray) -> FloatArray:
    """Ends of the steps (2 n) of a curve (n): half-way between its points, and the points at its ends."""
    middles = (wavelength[1:] + wavelength[:-1]) / 2
    return np.concatenate([wavelength[:1], np.repeat(middles, 2), wavelength[-1:]])


def _choose_colors(count: int, look: SpectralLook) -> list[Color]:
    from sofia_engine.drawing.colors import find_color_table, has_color_table

    table = find_color_table(look.image.colormap if has_color_table(look.image.colormap) else "plasma")
    places = (256 * np.linspace(0.0, 0.85, max(count, 2))[:count]).astype(int)
    return [(int(red), int(green), int(blue)) for red, green, blue in table[places]]


def _cut(curve: SpectrumCurve, fraction: float) -> SpectrumCurve:
    """Leave out a fraction of the columns at each end."""
    count = curve.wavelength.size
    lost = int(fraction * count)
    inner = slice(lost, count - lost)
    return SpectrumCurve(
        curve.wavelength[inner],
        curve.flux[inner],
        None if curve.error is None else curve.error[inner],
        None if curve.transmission is None else curve.transmission[inner],
        curve.name,
    )


def _find_flux_range(curves: Sequence[SpectrumCurve], look: SpectralLook) -> tuple[float, float]:
    """Range of the spectra, or of some percentiles: wide errors at the ends would hide them."""
    values = np.concatenate([curve.flux[np.isfinite(curve.flux)] for curve in curves])
    low, high = (float(value) for value in np.percentile(values, look.spec_scale))
    margin = FLUX_MARGIN * (high - low) or 0.5
    return low - margin, high + margin


def _find_range(values: Sequence[FloatArray], margin: float) -> tuple[float, float]:
    """Range of some arrays, and a part of it more on both sides."""
    low, high = (float(find(np.concatenate(values))) for find in (np.nanmin, np.nanmax))
    spare = margin * (high - low) or 0.5
    return low - spare, high + spare


def _draw_transmission(frame: Frame, curves: Sequence[SpectrumCurve]) -> None:
    from sofia_engine.drawing.axes import AxisLook
    from sofia_engine.drawing.canvas import Stroke
    from sofia_engine.drawing.colors import GRAY
    from sofia_engine.drawing.ticks import find_ticks

    drawn = [
        (curve.wavelength, curve.transmission)
        for curve in curves
        if curve.transmission is not None and np.isfinite(curve.transmission).any()
    ]
    if not drawn:
        return
    second = replace(frame, y_limits=_find_range([transmission for _, transmission in drawn], MARGIN))
    for wavelength, transmission in drawn:
        second.draw_curve(wavelength, transmission, Stroke(GRAY, 0.6, dash=(1.0, 1.65)))
    ticks = find_ticks(*second.y_limits, second.count_ticks("right"))
    second.draw_axis("right", ticks, "Atmospheric Transmission", AxisLook(color=GRAY))
