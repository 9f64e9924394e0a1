"""Make Image Map: a quick-look picture of each image."""

from pathlib import PurePath

from sofia_engine.instruments.forcast.mode import find_spectral_element
from sofia_engine.map_figure import Beam
from sofia_engine.pipeline.run import Run
from sofia_engine.pipeline.step import step
from sofia_engine.product import Product
from sofia_engine.quicklook import MapParameters, describe_map, draw_map

__all__ = ["imgmap"]

BEAM_PIXELS = 5.0
"""Width of the beam where the header has none."""


@step("imgmap", label="Make Image Map", code="IMP", cutout="it draws whole images")
def imgmap(image: Product, p: MapParameters, run: Run) -> Product:
    """Draw a map of each image, as a PNG with the name of the image; the data are not changed."""
    header = image.header
    beam = None
    if "BMAJ" not in header and "CDELT1" in header:
        size = BEAM_PIXELS * abs(float(header["CDELT1"]))
        beam = Beam(size, size)
    content = describe_map(
        image, f"Object: {header.get('OBJECT', 'unknown')}, Filter: {find_spectral_element(header)}", beam=beam
    )
    if p.beam and (content.beam is None or content.plane is None):
        run.warn("The header has no beam or no coordinates; no beam is drawn.")
    name = PurePath(image.name).with_suffix(".png").name
    run.attach(name, draw_map(content, p))
    run.log(f"Made the map {name}")
    return image
