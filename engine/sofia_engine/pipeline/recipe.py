"""Recipes: which observations they are for, and their steps in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from astropy.io import fits

from sofia_engine.errors import InputError, ParameterError
from sofia_engine.pipeline.memory_guard import MemoryNeed
from sofia_engine.pipeline.parameters import suggest
from sofia_engine.pipeline.step import Step
from sofia_engine.product import Product

__all__ = ["OutputName", "Recipe"]

OutputName = Callable[[fits.Header, Sequence[str], str], str]
"""Function of header, names of the inputs, and product code: the file name of a product, with ``.fits``."""


def _no_defaults(_header: fits.Header) -> Mapping[str, Mapping[str, Any]]:
    return {}


def _no_obstacles(_header: fits.Header) -> Mapping[str, Mapping[str, str]]:
    return {}


@dataclass(frozen=True)
class Recipe:
    """An ordered list of steps for one kind of observation.

    Parameters
    ----------
    name : str
        Unique, such as ``forcast-imaging``.
    instrument, mode : str
        As shown to the user and written to parameter files: FORCAST, Imaging.
    steps : tuple of Step
        In order; no two have the same key.
    accepts : callable
        Tells from a primary header whether the observation (or product) is for this recipe.
    group : callable
        From a header, the values that must agree in all inputs of one reduction.
    output_name : callable
        Makes the file names of products.
    load : callable
        Reads one input file.
    defaults : callable
        Defaults that depend on the data: values by parameter key, by step key, from the header of the first input.
    columns : tuple of str
        Header keywords that a list of files shows.
    obstacles : callable
        Why parameters have no effect on an observation: reasons, each a sentence, by parameter key, by step key, from
        the header of the first input. Forms grey these parameters; their values are kept.
    """

    name: str
    instrument: str
    mode: str
    steps: tuple[Step, ...]
    accepts: Callable[[fits.Header], bool]
    group: Callable[[fits.Header], tuple[str, ...]]
    output_name: OutputName
    load: Callable[[Path], Product] = Product.read
    defaults: Callable[[fits.Header], Mapping[str, Mapping[str, Any]]] = _no_defaults
    columns: tuple[str, ...] = ()
    old_types: Mapping[str, str] = field(default_factory=dict)
    """Product types (PRODTYPE, lower case) of old files, with those of today."""
    obstacles: Callable[[fits.Header], Mapping[str, Mapping[str, str]]] = _no_obstacles
    load_ahead: Callable[[], object] | None = None
    """Function of a module that loads code for steps that use `sofia_engine.painter.work_out`."""
    memory: Mapping[str, MemoryNeed] = field(default_factory=dict)
    """How much memory steps take, by step key, where it is not the usual (see `memory_need`)."""

    def __post_init__(self) -> None:
        keys = [step.key for step in self.steps]
        repeated = sorted({key for key in keys if keys.count(key) > 1})
        if repeated:
            raise ValueError(f"The recipe {self.name} has several steps with the key {', '.join(repeated)}.")

    def index(self, step: str | int) -> int:
        """Return the position of a step given by key, label, or position.

        Raises
        ------
        ParameterError
            If there is no such step; names the closest.
        """
        if isinstance(step, int):
            if 0 <= step < len(self.steps):
                return step
            raise ParameterError(f"The recipe {self.name} has {len(self.steps)} steps; there is no step {step + 1}.")
        for position, candidate in enumerate(self.steps):
            if step in (candidate.key, candidate.label):
                return position
        known = [s.key for s in self.steps]
        raise ParameterError(f"The recipe {self.name} has no step '{step}'{suggest(step, known)}.")

    def first_step(self, header: fits.Header) -> int:
        """Return the position of the step at which inputs of this kind start.

        Raw data start at the beginning, intermediate products after the step that made them.

        Raises
        ------
        InputError
            If the product is the last of the recipe.
        """
        product_type = str(header.get("PRODTYPE", "UNKNOWN")).strip().lower()
        product_type = self.old_types.get(product_type, product_type)
        for position, made_by in enumerate(self.steps):
            if made_by.makes_products and made_by.product_type.lower() == product_type:
                if position + 1 == len(self.steps):
                    raise InputError(f"A {product_type} product is the last of {self.name}: there is nothing to do.")
                return position + 1
        return 0

    def memory_need(self, step: Step) -> MemoryNeed:
        """Return how much memory a step takes."""
        return self.memory.get(step.key, MemoryNeed())

    def cut_after(self, step: str) -> Recipe:
        """Return the recipe up to a step."""
        return replace(self, steps=self.steps[: self.index(step) + 1])
