"""Numbers that tell the quality of results, along the recipe."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sofia_app.worker.protocol import StateRecord

__all__ = ["QualityRow", "collect_columns", "collect_quality", "collect_series", "format_quality"]


@dataclass(frozen=True)
class QualityRow:
    """The numbers of one product of one step."""

    index: int
    step: str
    product: str
    numbers: Mapping[str, float]
    state_key: str


def collect_quality(path: Sequence[StateRecord]) -> tuple[QualityRow, ...]:
    """Return the numbers of all products of the states on a path, in order."""
    return tuple(
        QualityRow(state.index, state.label, _name(state, number), numbers, state.key)
        for state in path
        for number, numbers in enumerate(state.quality)
        if numbers
    )


def _name(state: StateRecord, number: int) -> str:
    return state.products[number] if number < len(state.products) else f"{state.label} {number + 1}"


def collect_columns(rows: Sequence[QualityRow]) -> tuple[str, ...]:
    """Return the names of all numbers, in order of appearance."""
    return tuple(dict.fromkeys(name for row in rows for name in row.numbers))


def collect_series(rows: Sequence[QualityRow], name: str) -> dict[int, float]:
    """Return the mean of one number over the products of each step, by position of the step."""
    values: dict[int, list[float]] = {}
    for row in rows:
        value = row.numbers.get(name, math.nan)
        if math.isfinite(value):
            values.setdefault(row.index, []).append(value)
    return {index: sum(found) / len(found) for index, found in values.items()}


def format_quality(rows: Sequence[QualityRow], separator: str = ",") -> str:
    """Return the table as text, one line a product."""
    columns = collect_columns(rows)
    lines = [separator.join(["step", "product", *columns])]
    for row in rows:
        cells = [row.step, row.product, *(repr(row.numbers[name]) if name in row.numbers else "" for name in columns)]
        lines.append(separator.join(f'"{cell}"' if separator in cell else cell for cell in cells))
    return "\n".join(lines) + "\n"
