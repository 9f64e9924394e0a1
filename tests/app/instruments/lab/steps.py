"""Steps with parameters of every kind, and with every vice: slow, deaf to the wish to stop, talkative, failing."""

import time
from collections.abc import Sequence
from typing import Literal

import numpy as np

from sofia_engine.errors import StepError
from sofia_engine.pipeline.cutout import Cutout
from sofia_engine.pipeline.parameters import Parameters, SavedOutput, parameter
from sofia_engine.pipeline.recipe import Recipe
from sofia_engine.pipeline.run import Companion, Run
from sofia_engine.pipeline.step import step
from sofia_engine.product import Product


class CheckParameters(Parameters):
    abort: bool = parameter(True, label="Abort on bad headers", help="Stop if a header is bad.")


class AddParameters(SavedOutput):
    amount: float = parameter(1.0, key="addamount", label="Amount", unit="ct", help="Added to all.", ge=0, le=100)
    times: int = parameter(1, label="Times", help="How often it is added.", ge=0, le=9)
    limit: float | None = parameter(None, label="Limit", unit="ct", help="Largest value left; none for no limit.")
    method: Literal["mean", "median"] = parameter("mean", label="Method", help="Any method.", group="Details")
    scale: tuple[float, ...] = parameter((0.25, 99.9), label="Scale", help="Two percentiles.", group="Details")
    names: tuple[str, ...] = parameter((), label="Names", help="Any words.", level="expert")
    mask: str = parameter("", label="Mask file", help="A mask.", pick="file", level="expert")
    folder: str = parameter("", label="Folder", help="A folder.", pick="directory", level="expert")
    text: str = parameter("plain", label="Text", help="Any text.")
    secret: int = parameter(7, label="Hidden", help="Not shown.", level="hidden")


class WorkParameters(SavedOutput):
    seconds: float = parameter(0.0, label="Time", unit="s", help="How long the step takes.", ge=0)
    style: Literal["polite", "deaf", "crunch", "chatter"] = parameter("polite", label="Style", help="How it works.")
    lines: int = parameter(0, label="Lines", help="Lines it writes to the log.", ge=0)


class SumParameters(SavedOutput):
    weight: float = parameter(1.0, label="Weight", help="All is multiplied with it.")
    fail: Literal["no", "error", "bug", "warn"] = parameter("no", label="Fail", help="What goes wrong.")
    cube: bool = parameter(False, label="Cube", help="Writes the images as channels, too.", level="hidden")


@step("check", label="Check Headers")
def check(image: Product, p: CheckParameters, run: Run) -> Product:
    """Refuse bad headers.

    More about it.
    """
    return image


def refuse_part(header, p: AddParameters) -> str:
    return "the median is that of the whole image" if p.method == "median" else ""


@step(
    "add",
    label="Add Amount",
    code="ADD",
    product_type="added",
    level="LEVEL_2",
    saved=True,
    cutout=Cutout(refuse=refuse_part),
)
def add(image: Product, p: AddParameters, run: Run) -> Product:
    """Add an amount to all pixels."""
    run.history("Add: done")
    run.quality["background"] = float(np.median(image["FLUX"])) + p.amount * p.times
    return image.replace(FLUX=np.asarray(image["FLUX"]) + p.amount * p.times)


@step("work", label="Work Hard", code="WRK", product_type="worked", level="LEVEL_2")
def work(image: Product, p: WorkParameters, run: Run) -> Product:
    """Work for some time, in one style or another."""
    for number in range(p.lines):
        run.log(f"line {number}")
    end = time.monotonic() + p.seconds
    data = np.random.default_rng(1).normal(size=(400, 400))
    while (now := time.monotonic()) < end:
        if p.style == "polite":
            run.progress(p.seconds - (end - now), p.seconds, "working")
            time.sleep(0.02)
        elif p.style == "chatter":
            run.progress(p.seconds - (end - now), p.seconds, "talking")
            run.log("and so on")
        elif p.style == "crunch":
            data = np.tanh(data @ data)
        else:
            time.sleep(0.05)
    run.quality["noise"] = float(np.std(image["FLUX"]))
    return image.replace(FLUX=np.asarray(image["FLUX"]) * 2)


@step("sum", label="Combine", code="SUM", product_type="summed", level="LEVEL_3", saved=True)
def combine(images: Sequence[Product], p: SumParameters, run: Run) -> Product:
    """Combine all inputs."""
    if p.fail == "error":
        raise StepError(f"{images[0].name}: nothing can be combined; set Fail to no.")
    if p.fail == "bug":
        raise ZeroDivisionError("a mistake of the program")
    if p.fail == "warn":
        run.warn("one frame looks strange")
    if p.cube:
        run.accompany(Companion(_make_cube(images), "CUB", "cube"))
    return images[0].replace(FLUX=np.mean([image["FLUX"] for image in images], axis=0) * p.weight)


def _make_cube(images: Sequence[Product]) -> Product:
    cube = Product.of(images[0].header, {"FLUX": np.stack([image["FLUX"] for image in images])})
    return cube.with_cards(("CTYPE3", "WAVE", "Axis"), ("CUNIT3", "um", ""), ("CRVAL3", 157.7, ""), ("CDELT3", 0.1, ""))


def load(path):
    product = Product.read(path)
    return product if "FLUX" in product else Product.of(product.header, {"FLUX": product["PRIMARY"]})


def name_output(header, sources, code):
    return f"LAB_{code}_{'-'.join(source.partition('.')[0].rpartition('_')[2] for source in sources)}.fits"


LAB = Recipe(
    name="lab-imaging",
    instrument="LAB",
    mode="Imaging",
    steps=(check, add, work, combine),
    accepts=lambda header: True,
    group=lambda header: (str(header.get("FILTER", "")), str(header.get("PRODTYPE", "raw"))),
    output_name=name_output,
    load=load,
    defaults=lambda header: {"add": {"addamount": 2.0}} if header.get("OBJECT") == "BRIGHT" else {},
    obstacles=lambda header: {"add": {"text": "There is no text."}} if header.get("OBJECT") == "PLAIN" else {},
    columns=("OBJECT", "FILTER", "EXPTIME"),
)
