"""Steps that do little, with parameters of every kind."""

import time
from collections.abc import Sequence
from typing import Literal

import numpy as np

from sofia_engine.errors import InputError, StepError
from sofia_engine.pipeline.parameters import SavedOutput, parameter
from sofia_engine.pipeline.recipe import Recipe
from sofia_engine.pipeline.run import Run
from sofia_engine.pipeline.step import step
from sofia_engine.product import Product


class CheckParameters(SavedOutput):
    retired = ("autoshift",)
    abort: bool = parameter(True, label="Abort on bad headers", help="Stop if a header is bad.")


class AddParameters(SavedOutput):
    amount: float = parameter(
        1.0, key="addamount", label="Amount", unit="ct", help="Added to all pixels.", ge=0, le=100
    )
    times: int = parameter(1, label="Times", help="How often it is added.", ge=0)
    seconds: float = parameter(0.0, label="Pause", unit="s", help="How long the step takes at least.", ge=0)
    limit: float | None = parameter(None, label="Limit", help="Largest value left; none for no limit.")
    badfile: str = parameter("", label="Bad pixel file", help="A mask.", pick="file")
    atrandir: str = parameter("", label="Folder", help="A folder.", pick="directory")
    secret: int = parameter(7, label="Hidden", help="Not shown.", level="hidden")


class SumParameters(SavedOutput):
    method: Literal["mean", "median", "none"] = parameter("mean", label="Method", help="How inputs are combined.")
    scale: tuple[float, ...] = parameter((0.25, 99.9), label="Scale", help="Two percentiles.")
    names: tuple[str, ...] = parameter((), label="Names", help="Any words.")
    watermark: str = parameter("", label="Watermark", help="Any text.")


@step("checkhead", label="Check Headers")
def check(image: Product, p: CheckParameters, run: Run) -> Product:
    """Refuse bad headers."""
    if image.header.get("BAD"):
        raise InputError(f"{image.name}: the header is bad.")
    return image


@step("add", label="Add Amount", code="ADD", product_type="added", level="LEVEL_2", saved=True)
def add(image: Product, p: AddParameters, run: Run) -> Product:
    """Add an amount."""
    while image.header.get("HANG"):
        time.sleep(0.01)
    end = time.monotonic() + p.seconds
    while time.monotonic() < end:
        run.check_cancelled()
        time.sleep(0.01)
    run.progress(1, 2, "half")
    if image.header.get("FAIL") == "step":
        raise StepError(f"{image.name}: nothing can be added.")
    if image.header.get("FAIL") == "bug":
        raise ZeroDivisionError("a mistake of the program")
    run.history("Add: done")
    return image.replace(FLUX=np.asarray(image["FLUX"]) + p.amount * p.times)


@step("sum", label="Combine", code="SUM", product_type="summed", level="LEVEL_3", saved=True)
def combine(images: Sequence[Product], p: SumParameters, run: Run) -> Product:
    """Combine all inputs."""
    planes = np.array([image["FLUX"] for image in images])
    run.attach(f"{images[0].header['OBJECT']}.png", b"not really a picture")
    run.quality["mean"] = float(planes.mean())
    flux = np.median(planes, axis=0) if p.method == "median" else planes.mean(axis=0)
    return images[0].replace(FLUX=flux)


@step("extract", label="Extract", code="EXT", product_type="extracted", saved=True)
def extract(image: Product, p: SavedOutput, run: Run) -> Product:
    """Take one row."""
    return image.replace(FLUX=image["FLUX"][:1])


def load(path):
    product = Product.read(path)
    return product if "FLUX" in product else Product.of(product.header, {"FLUX": product["PRIMARY"]})


def name_output(header, sources, code):
    return (
        f"{header['OBJECT']}_{code}_{'-'.join(source.partition('.')[0].rpartition('_')[2] for source in sources)}.fits"
    )


def is_spectroscopy(header):
    return header.get("INSTMODE") == "SPEC"


IMAGING = Recipe(
    name="toy-imaging",
    instrument="TOY",
    mode="Imaging",
    steps=(check, add, combine),
    accepts=lambda header: not is_spectroscopy(header),
    group=lambda header: (str(header.get("OBJECT")), str(header.get("PRODTYPE", "raw"))),
    output_name=name_output,
    load=load,
    defaults=lambda header: {"add": {"addamount": 2.0}} if header.get("OBJECT") == "BRIGHT" else {},
    columns=("OBJECT", "EXPTIME"),
)
SPECTROSCOPY = Recipe(
    name="toy-spectroscopy",
    instrument="TOY",
    mode="Spectroscopy",
    steps=(check, extract),
    accepts=is_spectroscopy,
    group=lambda header: (str(header.get("OBJECT")),),
    output_name=name_output,
    load=load,
)
