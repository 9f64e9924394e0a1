"""Steps of a spectrograph that shares nothing with any real one but the planes and keywords of slit spectra."""

from typing import Literal

import numpy as np

from sofia_engine.errors import StepError
from sofia_engine.pipeline.parameters import SavedOutput, parameter
from sofia_engine.pipeline.recipe import Recipe
from sofia_engine.pipeline.run import Run
from sofia_engine.pipeline.step import step
from sofia_engine.product import Product
from sofia_engine.spectroscopy.apertures import parse_lists, parse_regions

STEP = 0.5
"""Distance of rows."""


class ProfileParameters(SavedOutput):
    scale: float = parameter(1.0, label="Scale", help="All is multiplied with it.")


class PlaceParameters(SavedOutput):
    how: Literal["search", "given"] = parameter("search", label="How", help="Search, or take what is given.")
    places: str = parameter(
        "", key="where", label="Places", help="Where.", pick="aperture positions", picked_with={"how": "given"}
    )


class SizeParameters(SavedOutput):
    sizes: str = parameter("", label="Sizes", help="Half widths.", pick="psf radii")
    sky: str = parameter("", label="Sky", help="Background.", pick="background regions")


class SumParameters(SavedOutput):
    pass


@step("profile", label="Make Profile", code="PRO", product_type="profiled", level="LEVEL_2")
def make_profile(image: Product, p: ProfileParameters, run: Run) -> Product:
    """Put the image on a grid and make its profile."""
    data = np.asarray(image["FLUX"]) * p.scale
    profile = np.median(data, axis=1)
    return image.replace(
        units={"WAVEPOS": "um", "SLITPOS": "arcsec"},
        FLUX=data,
        WAVEPOS=np.linspace(8.0, 10.0, data.shape[1]),
        SLITPOS=np.arange(data.shape[0]) * STEP,
        SPATIAL_PROFILE=profile / np.abs(profile).sum(),
    )


@step("place", label="Place Apertures", code="PLA", product_type="placed", level="LEVEL_2")
def place(image: Product, p: PlaceParameters, run: Run) -> Product:
    """Say where the sources are."""
    if p.how == "given":
        places = parse_lists(p.places, "where", run.count)[run.position]
        if not places:
            raise StepError("No place is given.")
    else:
        places = (float(image["SLITPOS"][int(np.argmax(image["SPATIAL_PROFILE"]))]),)
    joined = {"APPOSO01": ",".join(f"{place:.3f}" for place in sorted(places))}
    cards = joined | {"APSGNO01": ",".join("1" for _ in places), "APFWHM01": ",".join("2" for _ in places)}
    return image.with_cards(*((key, value, "") for key, value in cards.items()))


@step("size", label="Size Apertures", code="SIZ", product_type="sized", level="LEVEL_2")
def size(image: Product, p: SizeParameters, run: Run) -> Product:
    """Say how wide they are, and where nothing is."""
    places = image.header["APPOSO01"].split(",")
    sizes = parse_lists(p.sizes, "sizes", run.count)[run.position] or (3.0,)
    sky = parse_regions(p.sky, "sky", run.count)[run.position] if p.sky.strip() else ((1.0, 4.0),)
    radii = ",".join(f"{sizes[min(i, len(sizes) - 1)]:.3f}" for i, _ in enumerate(places))
    regions = ",".join(f"{a:.3f}-{b:.3f}" for a, b in sky)
    return image.with_cards(("APRADO01", radii, ""), ("PSFRAD01", radii, ""), ("BGR", regions, ""))


@step("add_up", label="Add Up", code="SUM", product_type="added", level="LEVEL_2", saved=True)
def add_up(image: Product, p: SumParameters, run: Run) -> Product:
    """Add the rows of each aperture."""
    slit, sums = image["SLITPOS"], []
    radii = [float(word) for word in image.header["PSFRAD01"].split(",")]
    for place, radius in zip(image.header["APPOSO01"].split(","), radii, strict=True):
        sums.append(np.asarray(image["FLUX"])[np.abs(slit - float(place)) <= radius].sum(axis=0))
    return image.replace(SPECTRAL_FLUX=np.stack(sums), SPECTRAL_ERROR=np.ones((len(sums), image["FLUX"].shape[1])))


def load(path):
    product = Product.read(path)
    return product if "FLUX" in product else Product.of(product.header, {"FLUX": product["PRIMARY"]})


def name_output(header, sources, code):
    return f"SLIT_{code}_{'-'.join(source.partition('.')[0].rpartition('_')[2] for source in sources)}.fits"


SLITLAB = Recipe(
    name="slitlab-spectra",
    instrument="SLITLAB",
    mode="Spectra",
    steps=(make_profile, place, size, add_up),
    group=lambda header: (str(header.get("FILTER", "")),),
    accepts=lambda header: True,
    load=load,
    output_name=name_output,
)
