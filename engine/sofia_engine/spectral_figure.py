"""Drawing of quick-look figures of spectra: the image above, the spectrum with error and transmission below.

Like `sofia_engine.map_figure` it takes plain values, so that the drawing process need not import what parameters are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sofia_engine.errors import InputError
from sofia_engine.map_figure import FIGURE_SIZE, RESOLUTION, ImageMap, Look, draw_panel, encode_figure
from sofia_engine.numerics.tangent_plane import TangentPlane

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from sofia_engine.numerics.arrays import FloatArray

__all__ = ["SpectralLook", "SpectralMap", "SpectrumCurve", "rehearse", "render_spectral_figure"]

IMAGE_PANEL = (0.26, 0.545, 0.48, 0.335)
SPECTRUM_PANEL = (0.125, 0.11, 0.775, 0.335)
LONE_PANEL = (0.125, 0.13, 0.775, 0.70)
LONE_HEIGHT = 5.0
LARGEST_LEGEND = 15


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
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if not any(np.isfinite(curve.flux).any() for curve in content.curves):
        raise InputError(f"{content.title or 'The spectrum'}: there is no finite flux to show.")
    height = FIGURE_SIZE if content.image is not None else LONE_HEIGHT
    figure = Figure(figsize=(FIGURE_SIZE, height), dpi=RESOLUTION)
    canvas = FigureCanvasAgg(figure)
    _compose(figure, content, look)
    return encode_figure(canvas)


def rehearse() -> None:
    """Draw a small figure with all that figures may have, so that the first one takes no longer than the others."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    ramp = np.linspace(0.0, 1.0, 4)
    plane = TangentPlane((1.0, 1.0), (10.0, 10.0), ((-1e-4, 0.0), (0.0, 1e-4)))
    image = ImageMap(np.outer(ramp, ramp), plane, subtitle="image", unit="Jy", equinox=2000.0, mark=(1.0, 1.0))
    content = SpectralMap((SpectrumCurve(ramp, ramp, ramp, ramp),), "title", "subtitle", image=image, mark=0.5)
    look = SpectralLook(
        Look("plasma", (0.0, 100.0), 0, "gray", fill_contours=False, grid=False, watermark=""),
        0.0,
        True,
        True,
        (0.0, 100.0),
    )
    figure = Figure(figsize=(1, 1), dpi=RESOLUTION)
    canvas = FigureCanvasAgg(figure)
    _compose(figure, content, look)
    encode_figure(canvas)


def _compose(figure: Figure, content: SpectralMap, look: SpectralLook) -> None:
    figure.text(0.5, 0.96, content.title, ha="center", va="bottom", fontsize=13, parse_math=False)
    if content.image is not None:
        beam = content.image.beam is not None
        draw_panel(figure, content.image, look.image, IMAGE_PANEL, crop=content.image.axes is None, beam=beam)
    _draw_spectrum(figure, content, look)


def _draw_spectrum(figure: Figure, content: SpectralMap, look: SpectralLook) -> None:
    axes = figure.add_axes(SPECTRUM_PANEL if content.image is not None else LONE_PANEL)
    axes.set_title(content.subtitle, fontsize=10, parse_math=False, y=1.0)  # where it is anyway, but nobody searches
    colors = _choose_colors(len(content.curves), look)
    curves = [_cut(curve, look.ignore_outer) for curve in content.curves]
    for curve, color in zip(curves, colors, strict=True):
        axes.step(curve.wavelength, curve.flux, where="mid", color=color, linewidth=1.2, label=curve.name or None)
        if look.error_plot and curve.error is not None:
            axes.fill_between(
                curve.wavelength, curve.flux - curve.error, curve.flux + curve.error,
                step="mid", color=color, alpha=0.25, linewidth=0,
            )  # fmt: skip
    _set_range(axes, curves, look)
    axes.set_xlabel(content.x_label)
    axes.set_ylabel(content.y_label)
    if content.mark is not None:
        first = curves[0]
        place = int(np.nanargmin(np.abs(first.wavelength - content.mark)))
        axes.plot(first.wavelength[place], first.flux[place], marker="x", color="gray", linestyle="none")
    if len(curves) > 1:
        handles, names = axes.get_legend_handles_labels()
        axes.legend(handles[:LARGEST_LEGEND], names[:LARGEST_LEGEND], fontsize=7)
    if look.atran_plot:
        _draw_transmission(axes, curves)


def _choose_colors(count: int, look: SpectralLook) -> list[object]:
    from matplotlib import colormaps

    table = colormaps[look.image.colormap] if look.image.colormap in colormaps else colormaps["plasma"]
    return [table(position) for position in np.linspace(0.0, 0.85, max(count, 2))[:count]]


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


def _set_range(axes: Axes, curves: list[SpectrumCurve], look: SpectralLook) -> None:
    if look.spec_scale == (0.0, 100.0):
        # the range of the spectra: wide errors at the ends would hide them
        values = np.concatenate([curve.flux for curve in curves])
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
    else:
        values = np.concatenate([curve.flux[np.isfinite(curve.flux)] for curve in curves])
        low, high = (float(value) for value in np.percentile(values, look.spec_scale))
    margin = 0.04 * (high - low) or 0.5
    axes.set_ylim(low - margin, high + margin)


def _draw_transmission(axes: Axes, curves: list[SpectrumCurve]) -> None:
    drawn = [
        (curve.wavelength, curve.transmission)
        for curve in curves
        if curve.transmission is not None and np.isfinite(curve.transmission).any()
    ]
    if not drawn:
        return
    second = axes.twinx()
    second.set_title("", y=1.0)
    for wavelength, transmission in drawn:
        second.plot(wavelength, transmission, color="gray", linestyle=":", linewidth=0.6)
    second.set_ylabel("Atmospheric Transmission", color="gray")
    second.tick_params(axis="y", labelcolor="gray", color="gray")
