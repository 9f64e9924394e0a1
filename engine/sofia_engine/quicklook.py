"""Quick-look maps: what a map of a product shows, and the parameters that say how.

The drawing itself is in `sofia_engine.map_figure`.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from pydantic import field_validator

from sofia_engine.errors import HeaderError
from sofia_engine.header.celestial import read_tangent_plane
from sofia_engine.map_figure import Beam, ImageMap, Look, render_figure
from sofia_engine.painter import draw
from sofia_engine.pipeline.parameters import Parameters, parameter

if TYPE_CHECKING:
    from sofia_engine.product import Product

__all__ = ["MapLook", "MapParameters", "describe_map", "draw_map", "render_map"]


class MapLook(Parameters):
    """How the image in a figure is shown."""

    colormap: str = parameter(
        "plasma", label="Color map", help="Name of a Matplotlib color map, such as plasma, viridis or gray."
    )
    scale: tuple[float, float] = parameter(
        (0.25, 99.9),
        label="Flux scale for image",
        unit="percent",
        help="Percentiles of the flux that get the first and the last color, as low, high.",
    )
    n_contour: int = parameter(
        0, label="Number of contours", ge=0, le=100, help="Contours, spaced evenly between the ends of the scale."
    )
    contour_color: str = parameter(
        "gray", label="Contour color", help="Name of a Matplotlib color.", applies_when={"n_contour": True}
    )
    fill_contours: bool = parameter(
        False,
        label="Filled contours",
        help="Fill the space between contours with the colors of the map.",
        applies_when={"n_contour": True},
    )
    grid: bool = parameter(
        False, label="Overlay grid", help="Draw lines of equal coordinates; always drawn where north is not up."
    )
    watermark: str = parameter("", label="Watermark text", help="Text in the lower right corner.", max_length=100)

    @field_validator("scale")
    @classmethod
    def _check_scale(cls, scale: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= scale[0] < scale[1] <= 100:
            raise ValueError("two percentiles low, high from 0 to 100, the lower one first")
        return scale

    def as_look(self) -> Look:
        """Return these parameters as the plain values that drawing takes."""
        return Look(**{field.name: getattr(self, field.name) for field in fields(Look)})


class MapParameters(MapLook):
    """How a map is shown; also the parameters of the steps that make one."""

    beam: bool = parameter(True, label="Beam marker", help="Show the beam (BMAJ, BMIN, BPA) in the lower left corner.")
    crop_border: bool = parameter(
        True, label="Crop NaN border", help="Cut off edges of the image that hold no value or zeros only."
    )


def describe_map(product: Product, title: str, extension: str = "FLUX", beam: Beam | None = None) -> ImageMap:
    """Take from a product what a map needs.

    Parameters
    ----------
    product : Product
        Image with a header; BMAJ, BMIN, BPA (degrees) give the beam.
    title : str
        First line.
    extension : str
        Plane to show.
    beam : Beam, optional
        Taken if the header has none.
    """
    header, plane = product.header, product.plane(extension)
    try:
        coordinates = read_tangent_plane(header)
    except HeaderError:
        coordinates = None
    major, minor = header.get("BMAJ"), header.get("BMIN")
    if isinstance(major, int | float) and isinstance(minor, int | float) and major > 0:
        beam = Beam(float(major), float(minor), float(header.get("BPA", 0.0)))
    equinox = header.get("EQUINOX")
    return ImageMap(
        plane.data,
        coordinates,
        title,
        f"Filename: {product.name}",
        plane.unit,
        float(equinox) if isinstance(equinox, int | float) else None,
        beam,
    )


def render_map(content: ImageMap, look: MapParameters | None = None) -> bytes:
    """Draw a map.

    Parameters
    ----------
    content : ImageMap
        What is shown.
    look : MapParameters, optional
        How.

    Returns
    -------
    bytes
        PNG of 8 by 8 inches with 300 dots per inch.

    Raises
    ------
    InputError
        If the image has no finite pixel.
    ParameterError
        If the colour map or a colour is not known.
    """
    look = look or MapParameters()
    return render_figure(content, look.as_look(), crop=look.crop_border, beam=look.beam)


def draw_map(content: ImageMap, look: MapParameters) -> bytes:
    """Draw a map as `render_map` does, in the drawing process if there is one."""
    # plain values: that process need not know what parameters are
    return draw(render_figure, content, look.as_look(), crop=look.crop_border, beam=look.beam)
