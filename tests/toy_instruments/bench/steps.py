"""A chain of small steps: a check that passes inputs on, mapped steps, pairs, and a combination; calls are counted."""

import time
from collections import Counter
from collections.abc import Sequence

import numpy as np

from sofia_engine.errors import InputError
from sofia_engine.pipeline.parameters import Parameters, SavedOutput, parameter
from sofia_engine.pipeline.recipe import Recipe
from sofia_engine.pipeline.run import Run
from sofia_engine.pipeline.step import step
from sofia_engine.product import Product

CALLS: Counter[str] = Counter()


class CheckParameters(Parameters):
    shape: int = parameter(8, label="Size", help="Rows and columns that images must have.", ge=1)


class AddParameters(SavedOutput):
    amount: float = parameter(1.0, key="addamount", label="Amount", unit="ct", help="Added to all.", ge=-100, le=100)
    seconds: float = parameter(0.0, label="Pause", unit="s", help="How long the step takes at least.", ge=0)


class ScaleParameters(SavedOutput):
    factor: float = parameter(2.0, label="Factor", help="All is multiplied with it.")


class PairParameters(SavedOutput):
    swap: bool = parameter(False, label="Swap", help="Change the sign.")


class CombineParameters(SavedOutput):
    weight: int = parameter(1, label="Weight", help="Power of the weights.", ge=0, le=3)


class FinishParameters(SavedOutput):
    offset: float = parameter(0.0, label="Offset", help="Added at last.")


@step("check", label="Check Inputs")
def check(image: Product, p: CheckParameters, run: Run) -> Product:
    """Refuse images of another size, and pass the others on."""
    CALLS["check"] += 1
    if image["FLUX"].shape != (p.shape, p.shape):
        raise InputError(f"{image.name}: the image has the shape {image['FLUX'].shape}, not {(p.shape, p.shape)}.")
    return image


@step("add", label="Add Amount", code="ADD", product_type="added", level="LEVEL_2", saved=True)
def add(image: Product, p: AddParameters, run: Run) -> Product:
    """Add an amount, in the time asked for."""
    CALLS["add"] += 1
    end = time.monotonic() + p.seconds
    run.log("adding")
    while time.monotonic() < end:
        run.check_cancelled()
        time.sleep(0.005)
    if image.header.get("FAIL") == "bug":
        raise ZeroDivisionError("a mistake of the program")
    if image.header.get("FAIL") == "data":
        raise InputError(f"{image.name}: this image is bad.")
    run.history(f"Add: {p.amount} added")
    run.quality["mean"] = np.float32(image["FLUX"].mean())
    return image.replace(FLUX=image["FLUX"] + p.amount)


@step("scale", label="Scale", code="SCL", product_type="scaled", level="LEVEL_2")
def scale(image: Product, p: ScaleParameters, run: Run) -> Product:
    """Multiply with a factor; nothing is done for the factor 1."""
    CALLS["scale"] += 1
    return image if p.factor == 1 else image.replace(FLUX=image["FLUX"] * p.factor)


@step("pair", label="Subtract Pairs", code="PAR", product_type="paired", level="LEVEL_2")
def pair(images: Sequence[Product], p: PairParameters, run: Run) -> tuple[Product, ...]:
    """Subtract the mean of all."""
    CALLS["pair"] += 1
    mean = np.mean([image["FLUX"] for image in images], axis=0)
    sign = -1 if p.swap else 1
    return tuple(image.replace(FLUX=sign * (image["FLUX"] - mean)) for image in images)


@step("combine", label="Combine", code="CMB", product_type="combined", level="LEVEL_3", saved=True)
def combine(images: Sequence[Product], p: CombineParameters, run: Run) -> Product:
    """Combine all with weights."""
    CALLS["combine"] += 1
    weights = np.arange(1, len(images) + 1) ** p.weight
    flux = np.average([image["FLUX"] for image in images], axis=0, weights=weights)
    run.attach("weights.txt", " ".join(map(str, weights)).encode())
    return images[0].replace(FLUX=flux)


@step("finish", label="Finish", code="FIN", product_type="finished", level="LEVEL_3", saved=True)
def finish(image: Product, p: FinishParameters, run: Run) -> Product:
    """Add an offset."""
    CALLS["finish"] += 1
    return image.replace(FLUX=image["FLUX"] + p.offset)


def load(path):
    product = Product.read(path)
    return product if "FLUX" in product else Product.of(product.header, {"FLUX": product["PRIMARY"]})


def name_output(header, sources, code):
    numbers = [source.removesuffix(".fits").rpartition("_")[2] for source in sources]
    return f"BENCH_{code}_{numbers[0] if len(numbers) == 1 else f'{numbers[0]}-{numbers[-1]}'}.fits"


CHAIN = Recipe(
    name="bench",
    instrument="BENCH",
    mode="Chain",
    steps=(check, add, scale, pair, combine, finish),
    accepts=lambda header: header.get("INSTMODE", "CHAIN") == "CHAIN",
    group=lambda header: (str(header.get("FILTER", "")),),
    output_name=name_output,
    load=load,
    defaults=lambda header: {"finish": {"offset": 5.0}} if header.get("OBJECT") == "BRIGHT" else {},
)
