"""Export of what was done as a command line and as a Python script that do it again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from sofia_app.models.parameters import format_value
from sofia_app.worker.protocol import Snapshot
from sofia_engine.pipeline.recipe import Recipe

__all__ = ["as_command_line", "as_python_script", "collect_changes"]


def collect_changes(snapshot: Snapshot, recipe: Recipe) -> list[tuple[int, str, Any]]:
    """Return all parameters that differ from what the data alone would give: step, key, value."""
    return [
        (index, info.key, record.values[info.name])
        for index, (step, record) in enumerate(zip(recipe.steps, snapshot.steps, strict=True))
        for info in step.parameters.infos()
        if record.values[info.name] != record.defaults[info.name]
    ]


def as_command_line(snapshot: Snapshot, recipe: Recipe, last: int) -> str:
    """Return the command that reduces the same files in the same way.

    Parameters
    ----------
    snapshot : Snapshot
        The reduction.
    recipe : Recipe
        Its recipe.
    last : int
        Position of the last step; all are done if it is the last of the recipe.
    """
    words = ["sofia-desk", "reduce", *snapshot.inputs]
    if snapshot.output:
        words += ["--out", snapshot.output]
    for index, key, value in collect_changes(snapshot, recipe):
        words += ["--set", f"{recipe.steps[index].key}.{key}={format_value(value)}"]
    if 0 <= last < len(recipe.steps) - 1:
        words += ["--until", recipe.steps[last].key]
    return shlex.join(words)


def as_python_script(snapshot: Snapshot, recipe: Recipe, last: int) -> str:
    """Return a script that reduces the same files in the same way; parameters as in `as_command_line`."""
    changes: dict[int, dict[str, Any]] = {}
    for index, key, value in collect_changes(snapshot, recipe):
        changes.setdefault(index, {})[key] = value
    lines = [
        f'"""{recipe.instrument} {recipe.mode}: the reduction as it was done in SOFIA Desk."""',
        "",
        "from sofia_engine import Reduction",
        "",
        "FILES = [",
        *(f"    {path!r}," for path in snapshot.inputs),
        "]",
        "",
        f"with Reduction.open(FILES, output={snapshot.output or None!r}) as reduction:",
        *_set_lines(changes, recipe),
        f"    reduction.run_to({recipe.steps[last].key!r})" if last >= 0 else "    pass",
        "    for product in reduction.products:",
        "        print(product.name)",
    ]
    return "\n".join(lines) + "\n"


def _set_lines(changes: Mapping[int, Mapping[str, Any]], recipe: Recipe) -> Sequence[str]:
    return [f"    reduction.set({recipe.steps[index].key!r}, **{dict(values)!r})" for index, values in changes.items()]
