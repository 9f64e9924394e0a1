"""Quick-look figures of spectra: the parameters that say how they are shown.

The drawing itself is in `sofia_engine.spectral_figure`.
"""

from __future__ import annotations

from pydantic import field_validator

from sofia_engine.painter import draw
from sofia_engine.pipeline.parameters import parameter
from sofia_engine.quicklook import MapLook
from sofia_engine.spectral_figure import SpectralLook, SpectralMap, SpectrumCurve, render_spectral_figure

__all__ = ["SpectralMap", "SpectralMapParameters", "SpectrumCurve", "draw_spectral_map", "render_spectral_map"]


class SpectralMapParameters(MapLook):
    """How a spectral figure is shown; also the parameters of the steps that make one."""

    ignore_outer: float = parameter(
        0.0,
        label="Fraction of outer wavelengths to ignore",
        ge=0,
        lt=0.5,
        help="Share of the columns at each end that are neither shown nor searched for the peak of a cube.",
    )
    atran_plot: bool = parameter(
        True, label="Overplot transmission", help="Show the transmission of the atmosphere on a second axis."
    )
    error_plot: bool = parameter(
        True, label="Overplot error range", help="Show the error of the spectrum as a band around it."
    )
    spec_scale: tuple[float, float] = parameter(
        (0.0, 100.0),
        label="Flux scale for spectral plot",
        unit="percent",
        help="Percentiles of the spectrum at the lower and upper end of the flux axis, as low, high; 0, 100 is "
        "automatic.",
    )
    override_slice: str = parameter(
        "",
        label="Override wavelength slice for spectral cube",
        help="Number, from 0, of the slice of a cube that is shown; empty shows that of the peak.",
    )
    override_point: str = parameter(
        "",
        label="Override spatial point for spectral cube",
        help="Pixel x,y, from 0, of a cube whose spectrum is shown; empty shows the peak.",
    )

    @field_validator("spec_scale")
    @classmethod
    def _check_range(cls, scale: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= scale[0] < scale[1] <= 100:
            raise ValueError("two percentiles low, high from 0 to 100, the lower one first")
        return scale

    @field_validator("override_slice")
    @classmethod
    def _check_slice(cls, text: str) -> str:
        if text.strip() and not text.strip().isdigit():
            raise ValueError("a whole number from 0, or empty")
        return text

    @field_validator("override_point")
    @classmethod
    def _check_point(cls, text: str) -> str:
        parse_point(text)
        return text

    def as_spectral_look(self) -> SpectralLook:
        """Return these parameters as the plain values that drawing takes."""
        return SpectralLook(self.as_look(), self.ignore_outer, self.atran_plot, self.error_plot, self.spec_scale)


def parse_point(text: str) -> tuple[int, int] | None:
    """Return the pixel in a text ``x,y``; None if it is empty.

    Raises
    ------
    ValueError
        If it is not two whole numbers from 0.
    """
    words = [word.strip() for word in text.split(",")]
    if words == [""]:
        return None
    if len(words) != 2 or not all(word.isdigit() for word in words):
        raise ValueError("two whole numbers x,y from 0, or empty")
    return int(words[0]), int(words[1])


def render_spectral_map(content: SpectralMap, look: SpectralMapParameters | None = None) -> bytes:
    """Draw a spectral figure.

    Parameters
    ----------
    content : SpectralMap
        What is shown.
    look : SpectralMapParameters, optional
        How.

    Returns
    -------
    bytes
        PNG with 300 dots per inch, 8 by 8 inches with an image, 8 by 5 without.

    Raises
    ------
    InputError
        If there is no finite flux.
    """
    return render_spectral_figure(content, (look or SpectralMapParameters()).as_spectral_look())


def draw_spectral_map(content: SpectralMap, look: SpectralMapParameters) -> bytes:
    """Draw a spectral figure as `render_spectral_map` does, in the drawing process if there is one."""
    return draw(render_spectral_figure, content, look.as_spectral_look())
