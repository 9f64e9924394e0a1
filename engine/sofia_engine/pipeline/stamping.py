"""What the framework writes to the header of every product."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sofia_engine._version import PIPELINE, __version__
from sofia_engine.header.cards import Card
from sofia_engine.pipeline.parameters import Parameters
from sofia_engine.pipeline.step import Step
from sofia_engine.product import Product

__all__ = ["parameter_lines", "stamp"]


def stamp(product: Product, step: Step, parameters: Parameters, *, history: Sequence[str], name: str = "") -> Product:
    """Return the product with type, level, name, date and the history of the step in its header.

    Parameters
    ----------
    product : Product
        As the step made it.
    step : Step
        The step that made it.
    parameters : Parameters
        The parameters it was made with.
    history : sequence of str
        Lines the step wrote.
    name : str
        File name; empty for a step without products, which adds to the history only.
    """
    cards: list[Card] = []
    if name:
        cards += [("PRODTYPE", step.product_type, "Product type"), ("FILENAME", name, "File name")]
        if step.level and product.header.get("PROCSTAT") != "LEVEL_4":
            cards.append(("PROCSTAT", step.level, "Processing status"))
    cards += [
        ("PIPELINE", PIPELINE, "Pipeline creating this file"),
        ("PIPEVERS", __version__.replace(".", "_"), "Pipeline version"),
        ("DATE", datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"), "Date of file creation"),
    ]
    lines = [*history, f"-- Pipeline step: {step.label}", "Parameters:"]
    lines += parameter_lines(parameters.by_key())
    return product.with_cards(*cards, history=[*lines, "--", ""])


def parameter_lines(values: Mapping[str, Any]) -> list[str]:
    """Return ``  key = value`` lines of parameters."""
    return [f"  {key} = {_text(value)}" for key, value in values.items()]


def _text(value: Any) -> str:
    return ", ".join(str(v) for v in value) if isinstance(value, list) else str(value)
