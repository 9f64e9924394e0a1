"""Steps: plain functions of immutable values, declared once."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from astropy.io import fits

from sofia_engine.pipeline.parameters import Parameters, SavedOutput
from sofia_engine.product import Product

if TYPE_CHECKING:
    from sofia_engine.pipeline.cutout import Cutout
    from sofia_engine.pipeline.run import Wanted

__all__ = ["Defaults", "References", "Step", "step"]

References = Callable[[fits.Header, Any], "Mapping[str, Wanted]"]
"""Function of header and parameters that names the reference files a step needs, by their role."""

Defaults = Callable[[fits.Header], Mapping[str, Any]]


@dataclass(frozen=True)
class Step:
    """One step of a recipe: its function and all that the framework, forms and manual need to know of it.

    Parameters
    ----------
    key : str
        Name in parameter files.
    label : str
        Name in programs and logs.
    function : callable
        ``f(product, parameters, run) -> Product`` is applied to each input; ``f(tuple of products, parameters, run)``
        gets all of them and returns one product or several.
    parameters : type of Parameters
        Model of its parameters.
    code : str
        Three letters in the names of its products; empty if it makes none.
    product_type : str
        PRODTYPE of its products.
    level : str
        PROCSTAT of its products; empty to leave it.
    saved : bool
        Whether its products are saved by default.
    references : callable
        Which reference files it needs.
    version : int
        To be raised when its results change; part of the key of stored states.
    """

    key: str
    label: str
    function: Callable[..., Any]
    parameters: type[Parameters]
    code: str = ""
    product_type: str = ""
    level: str = ""
    saved: bool = False
    references: References | None = None
    version: int = 1
    maps: bool = field(default=True)
    """Applied to each input by itself (True), or to all of them together (False)."""
    cutout: Cutout | str | None = None
    """How it can be previewed on a part of an image, or why not (a clause); None for steps that take whole files."""

    @property
    def makes_products(self) -> bool:
        """Whether the step has products of its own (a check or a map has none)."""
        return bool(self.code) and issubclass(self.parameters, SavedOutput)

    @property
    def help(self) -> str:
        """First paragraph of the documentation of the function."""
        return inspect.getdoc(self.function).partition("\n\n")[0] if self.function.__doc__ else ""  # type: ignore[union-attr]


def step(
    key: str,
    *,
    label: str,
    code: str = "",
    product_type: str = "",
    level: str = "",
    saved: bool = False,
    references: References | None = None,
    version: int = 1,
    cutout: Cutout | str | None = None,
) -> Callable[[Callable[..., Any]], Step]:
    """Declare a function ``f(product or products, parameters, run)`` as a step.

    The annotations tell the rest: a first argument `Product` means that the step is applied to each input by itself,
    anything else that it gets all of them; the second names the model of the parameters.

    Parameters
    ----------
    key, label, code, product_type, level, saved, references, version, cutout
        As in `Step`.
    """

    def declare(function: Callable[..., Any]) -> Step:
        hints = typing.get_type_hints(function)
        names = list(inspect.signature(function).parameters)
        return Step(
            key=key,
            label=label,
            function=function,
            parameters=hints[names[1]],
            code=code,
            product_type=product_type,
            level=level,
            saved=saved,
            references=references,
            version=version,
            maps=hints[names[0]] is Product,
            cutout=cutout,
        )

    return declare
