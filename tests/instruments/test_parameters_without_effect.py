"""What steps and recipes say has no effect, has none: with another value the result is the same."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from tests.instruments.forcast.grism_data import CARDS, SlitData

from sofia_engine.errors import ReferenceDataError
from sofia_engine.instruments import all_recipes, find_recipe
from sofia_engine.pipeline.execution import Surroundings, execute
from sofia_engine.pipeline.parameters import ParameterInfo, Parameters, _holds
from sofia_engine.pipeline.reduction import Reduction
from sofia_engine.pipeline.step import Step
from sofia_engine.product import Product
from sofia_engine.simulate import simulate

TEXTS = {
    "center": "60,60", "size": "20,20", "contour_color": "white", "extension": "UNCORRECTED_FLUX", "signs": "-1",
    "regions": "2-4", "shifted_images": "1", "offsets": "1,0", "override_slice": "20", "override_point": "15,15",
    "scan_options": "clip=7",
}  # fmt: skip
"""Other values of parameters that are texts; a number for the rest."""
DEMANDING = {"fix to input"}
"""Choices that need further values."""
LINES = (5.5, 5.8, 6.1, 6.4, 6.7, 7.0, 7.3, 7.6)
OBSERVATIONS = {
    "forcast-imaging": ("forcast-imaging-nmc", {"n_dither": 1, "standard": True}),
    "forcast-imaging of an object": ("forcast-imaging-npc", {"n_dither": 1, "standard": False}),
    "forcast-imaging of empty sky": ("forcast-imaging-c2nc2", {"n_dither": 1, "standard": False}),
    "forcast-grism": ("forcast-grism-slitscan", {"n_dither": 3}),
    "forcast-response": ("forcast-grism-standard", {"n_dither": 2}),
    "fifi-ls-cube": ("fifi-ls-symmetric", {"n_dither": 2, "n_grating": 2, "chop_cycles": 3}),
    "fifi-ls-cube without chopping": ("fifi-ls-total-power", {"n_dither": 2, "n_grating": 2}),
}
"""What is simulated."""
CHAINS = ("forcast-imaging", "forcast-grism", "forcast-response", "forcast-wavecal", "forcast-slitcorr", "fifi-ls-cube")
PARAMETERS = {
    "forcast-grism": {"flux_calibrate": {"atranfile": "{caldata}/atran_40K_45deg_4-50mum.fits"}},
    "forcast-wavecal": {"identify_lines": {"guess_lines": (5.5, 7.6), "guess_positions": (60.0, 200.0)}},
    "fifi-ls-cube": {"resample": {"interpolate": False, "xy_pixel_size": 3.0}},
}


SLOW_CHAINS = {"forcast-response", "forcast-wavecal", "forcast-slitcorr"}
SLOW = {("coadd", "robust"), ("coadd", "threshold"), ("coadd", "maxiters"), ("specmap", ""), ("imgmap", "")}
"""Steps and keys whose tests take long, with those of the chains above: resampled coadds, pictures."""


def mark_slow(name: str, step: Step, info: ParameterInfo) -> Any:
    is_slow = name in SLOW_CHAINS or not SLOW.isdisjoint({(step.key, info.key), (step.key, "")})
    return [pytest.mark.slow] if is_slow else []


def list_declared(name: str) -> list[tuple[Step, ParameterInfo]]:
    return [(s, info) for s in find_recipe(name).steps for info in s.parameters.infos() if info.applies_when]


def change(info: ParameterInfo, value: Any) -> Any:
    """Return another value of a parameter."""
    low, high = info.limits.get("ge", info.limits.get("gt", -1e9)), info.limits.get("le", info.limits.get("lt", 1e9))
    if info.kind == "bool":
        return not value
    if info.choices:
        return next(c for c in info.choices if c != value and c not in DEMANDING)
    if info.kind in ("int", "float"):
        step = 1 if info.kind == "int" else 0.25
        given = max(3, low) if value is None else value
        return given + step if given + step < high else max(given - step, low)
    if info.kind in ("file", "directory"):
        return "" if value else "/there is no such file"
    return (1.0, 2.0) if info.kind == "list" else TEXTS.get(info.name, "7")


def satisfy(info: ParameterInfo, value: Any, wanted: Any) -> Any:
    """Return a value that counts as the wanted one: the one there is, if it does."""
    if _holds(value, wanted):
        return value
    if isinstance(wanted, bool):
        return change(info, value) if wanted or info.kind == "bool" else info.default
    return next(v for v in (wanted if isinstance(wanted, tuple) else (wanted,)) if v not in DEMANDING)


def violate(info: ParameterInfo, value: Any, wanted: Any) -> Any:
    """Return a value that does not count as the wanted one."""
    if not _holds(value, wanted):
        return value
    if isinstance(wanted, bool):
        return change(info, value) if not wanted or info.kind == "bool" else type(info.default)()
    others = [c for c in info.choices if c not in DEMANDING] or [change(info, value)]
    return next(c for c in others if not _holds(c, wanted))


def list_obstacles(step: Step, info: ParameterInfo, values: Parameters) -> Iterator[dict[str, Any]]:
    """Yield settings with which a parameter is said to have no effect: its condition fails for one reason each."""
    given = {i.name: getattr(values, i.name) for i in step.parameters.infos()}
    if info.find_obstacle(given):
        yield {}  # it has no effect on these data anyway
        return
    if len(info.applies_when) > 1:
        for place in (0, -1):
            yield {
                name: violate(step.parameters.info(name), getattr(values, name), wanted)
                for name, wanted in (list(condition.items())[place] for condition in info.applies_when)
            }
        return
    (condition,) = info.applies_when
    for failing in (name for name in condition if step.parameters.info(name).level != "hidden"):
        yield {
            name: (violate if name == failing else satisfy)(step.parameters.info(name), getattr(values, name), wanted)
            for name, wanted in condition.items()
        }


class Chain:
    """A reduction whose steps are done, to be tried one by one with other values."""

    def __init__(self, name: str, files: list[Path], settings: Mapping[str, Any], folder: Path, store: Any) -> None:
        from dataclasses import replace

        from sofia_engine.pipeline.detection import inspect_files

        inspection = inspect_files(files)
        group = replace(inspection.single_group(), recipe=find_recipe(name.partition(" ")[0]))
        self.reduction = Reduction.of_group(group, inspection, session=folder / f"session {name}", references=store)
        for chosen in (settings, PARAMETERS.get(name, {})):
            for step, values in chosen.items():
                self.reduction.set(step, **values)
        self.reduction.reduce()
        self.results: dict[str, Any] = {}

    def parameters(self, step: Step) -> Parameters:
        return self.reduction.parameters(step.key)

    def run(self, step: Step, values: Mapping[str, Any]) -> Any:
        """Return all that a step makes with other values, but for its history."""
        parameters = self.parameters(step).with_values(**values)
        name = f"{step.key} {parameters!r}"
        if name not in self.results:
            index = self.reduction.recipe.index(step.key)
            path = self.reduction.path_to(self.reduction.current)
            before = next(state for state in path if state.index == index - 1)
            inputs = self.reduction.products_of(before)
            around = Surroundings(self.reduction.references)
            self.results[name] = describe(execute(step, self.reduction.recipe, inputs, parameters, around))
        return self.results[name]


def describe(outcome: Any) -> Any:
    ignored = ("HISTORY", "DATE", "COMMENT", "")
    cards = [{key: product.header[key] for key in product.header if key not in ignored} for product in outcome.products]
    attached = {a.name: a.content for a in outcome.attachments if not a.name.endswith(".fits")}
    return cards, [dict(product.planes) for product in outcome.products], attached


def is_same(one: Any, other: Any) -> bool:
    planes = len(one[1]) == len(other[1]) and all(
        mine.keys() == others.keys() and all(mine[n].same(others[n]) for n in mine)
        for mine, others in zip(one[1], other[1], strict=True)
    )
    return planes and one[0] == other[0] and one[2] == other[2]


def write_stacked(folder: Path, make_header: Any, name: str, store: Any) -> list[Path]:
    """Write images of lines of the sky, or of an evenly lit slit, as Stack Chops/Nods makes them."""
    data = SlitData(store, fwhm=0.0, noise=1e-4)
    wavelength, _ = data.maps()
    even = data.image([(0.0, 0.01)])
    lines = sum(np.exp(-0.5 * ((np.nan_to_num(wavelength) - line) / 0.025) ** 2) for line in LINES) * 0.1
    image = lines if name == "forcast-wavecal" else even
    header = make_header()
    header.update(CARDS | {"FILENAME": "F0501_FO_GRI_90000101_FORG063_STK_0001.fits", "DTHINDEX": 1})
    image = image + np.random.default_rng(1).normal(0, 1e-4, image.shape)
    planes = {"FLUX": image, "ERROR": np.full(image.shape, 1e-4)}
    product = Product.of(header, planes, units={"FLUX": "Me/s", "ERROR": "Me/s"})
    return [product.write(folder / f"{name}_0001.fits")]


def write_inputs(name: str, folder: Path, make_header: Any, store: Any) -> tuple[list[Path], Mapping[str, Any]]:
    """Write files, and say with which settings they are to be reduced."""
    if name in ("forcast-wavecal", "forcast-slitcorr"):
        return write_stacked(folder, make_header, name, store), {}
    kind, options = OBSERVATIONS[name]
    try:
        truth = simulate(kind, folder / name.replace(" ", "_"), seed=2, **options)
    except ReferenceDataError as error:
        pytest.skip(str(error))
    if name.startswith("fifi"):
        return truth.paths_of("RED"), truth.parameters
    if name.endswith("object"):
        for path in truth.paths:
            fits.setval(path, "EPERADU", value=100)  # a gain at which the detector was not measured
    return truth.paths, {}


@pytest.fixture(scope="session")
def chains(tmp_path_factory, reference_store) -> Iterator[dict[str, Chain]]:
    made: dict[str, Chain] = {}
    yield made
    for chain in made.values():
        chain.reduction.close()


@pytest.fixture
def chain(request, chains, tmp_path_factory, reference_store) -> Chain:
    from tests.instruments.forcast.conftest import RAW_CARDS

    name = request.param
    if name not in chains:
        folder = tmp_path_factory.mktemp("chain")

        def make_header() -> fits.Header:
            return fits.Header(RAW_CARDS)

        inputs = write_inputs(name, folder, make_header, reference_store)
        chains[name] = Chain(name, *inputs, folder, reference_store)
    return chains[name]


@pytest.mark.parametrize(
    ("chain", "step", "info"),
    [
        pytest.param(name, step, info, id=f"{name}-{step.key}-{info.key}", marks=mark_slow(name, step, info))
        for name in CHAINS
        for step, info in list_declared(name)
        if name in ("forcast-imaging", "forcast-grism", "fifi-ls-cube")
        or (step.key, info.key) not in {(s.key, i.key) for s, i in list_declared("forcast-grism")}
    ],
    indirect=["chain"],
)
def test_that_a_parameter_that_other_values_take_the_effect_from_changes_nothing(
    chain: Chain, step: Step, info: ParameterInfo
) -> None:
    values = chain.parameters(step)
    for obstacles in list_obstacles(step, info, values):
        parameters = values.with_values(**obstacles)
        assert info.find_obstacle({i.name: getattr(parameters, i.name) for i in step.parameters.infos()})
        other = change(info, getattr(values, info.name))
        assert is_same(chain.run(step, obstacles), chain.run(step, obstacles | {info.name: other})), obstacles


@pytest.mark.parametrize(
    ("chain", "least"),
    [
        ("forcast-imaging of an object", 11),
        ("forcast-imaging of empty sky", 9),
        ("fifi-ls-cube", 8),
        ("fifi-ls-cube without chopping", 5),
    ],
    indirect=["chain"],
)
def test_that_parameters_that_the_data_take_the_effect_from_change_nothing(chain: Chain, least: int) -> None:
    recipe, tried = chain.reduction.recipe, 0
    for key, reasons in chain.reduction.obstacles.items():
        step = recipe.steps[recipe.index(key)]
        for info in map(step.parameters.info, reasons):
            other = change(info, getattr(chain.parameters(step), info.name))
            assert is_same(chain.run(step, {}), chain.run(step, {info.name: other})), f"{key} {info.key}"
            tried += 1
    assert tried >= least


def test_that_every_declaration_is_tried() -> None:
    tried = {(step.parameters.__name__, info.name) for name in CHAINS for step, info in list_declared(name)}
    every = {
        (step.parameters.__name__, info.name) for recipe in all_recipes() for step, info in list_declared(recipe.name)
    }
    assert every - tried == set()
    assert len(tried) > 90
