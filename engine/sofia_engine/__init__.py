"""The SOFIA Desk engine: raw data of the airborne observatory SOFIA to calibrated products, without a screen.

Everything a script needs is here; heavy libraries are imported when first used.

Examples
--------
>>> import sofia_engine as sofia
>>> with sofia.Reduction.open(files, output="reduced") as reduction:  # doctest: +SKIP
...     reduction.set("coadd", method="mean")
...     reduction.reduce()
...     flux = reduction.products[0]["FLUX"]
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from sofia_engine._version import __version__

if TYPE_CHECKING:
    from sofia_engine.errors import SofiaDeskError
    from sofia_engine.instruments import all_recipes
    from sofia_engine.pipeline.detection import inspect_files
    from sofia_engine.pipeline.reduction import Reduction
    from sofia_engine.pipeline.session import list_sessions
    from sofia_engine.product import Plane, Product, Table
    from sofia_engine.reference import ReferenceStore
    from sofia_engine.simulate import simulate

__all__ = [
    "Plane",
    "Product",
    "Reduction",
    "ReferenceStore",
    "SofiaDeskError",
    "Table",
    "__version__",
    "all_recipes",
    "inspect_files",
    "list_sessions",
    "simulate",
]

_HOMES = {
    "Plane": "product",
    "Product": "product",
    "Reduction": "pipeline.reduction",
    "ReferenceStore": "reference",
    "SofiaDeskError": "errors",
    "Table": "product",
    "all_recipes": "instruments",
    "inspect_files": "pipeline.detection",
    "list_sessions": "pipeline.session",
    "simulate": "simulate",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
