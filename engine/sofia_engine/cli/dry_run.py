"""``sofia-desk reduce --dry-run``: what would be done."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from sofia_engine.cli.exit_codes import OK, SKIPPED
from sofia_engine.pipeline.detection import Group, Inspection
from sofia_engine.pipeline.references import select, wanted_by
from sofia_engine.pipeline.runner import RunRequest, plan_recipe, plan_settings
from sofia_engine.pipeline.settings import Settings
from sofia_engine.reference import ReferenceFile, ReferenceStore

__all__ = ["show_plan"]


def show_plan(request: RunRequest, inspection: Inspection, *, as_json: bool) -> int:
    """Write groups, recipe, parameters and calibration files; nothing is done, fetched or written."""
    if not inspection.groups:
        inspection.single_group()
    plans = [_plan(group, request) for group in inspection.groups]
    rejected = [(str(path), reason) for path, reason in inspection.rejected]
    if as_json:
        sys.stdout.write(json.dumps({"groups": plans, "skipped": rejected}, indent=1, default=str) + "\n")
    else:
        for plan in plans:
            sys.stdout.write("\n".join(_format(plan)) + "\n")
        for path, reason in rejected:
            sys.stdout.write(f"Skipped: {path}: {reason}\n")
        if len(plans) > 1:
            sys.stdout.write("These groups cannot be reduced together; --all-groups reduces one after the other.\n")
    return SKIPPED if rejected else OK


def _plan(group: Group, request: RunRequest) -> dict[str, Any]:
    recipe = plan_recipe(group, request)
    settings = plan_settings(group, recipe, request)
    header = group.files[0].header
    first = recipe.first_step(header)
    last = recipe.index(request.options.step_to) if request.options.step_to else len(recipe.steps) - 1
    store = ReferenceStore(offline=True)
    return {
        "group": group.label,
        "recipe": recipe.name,
        "output": str(request.options.folder),
        "files": [str(file.path) for file in group.files],
        "steps": [
            {
                "step": step.key,
                "label": step.label,
                "parameters": settings.parameters(index).by_key(),
                "references": dict(_references(settings, index, header, store)),
            }
            for index, step in enumerate(recipe.steps)
            if first <= index <= last
        ],
    }


def _references(settings: Settings, index: int, header: Any, store: ReferenceStore) -> Iterator[tuple[str, Any]]:
    step = settings.recipe.steps[index]
    for role, want in wanted_by(step, header, settings.parameters(index)).items():
        found = select(want, store)
        if isinstance(found, ReferenceFile):
            status = store.status([found])[0]
            yield role, {"name": found.name, "state": status.state, "path": str(status.path)}
        elif found is not None:
            yield role, {"name": found.name, "state": "own file", "path": str(found)}
        else:
            yield role, None


def _format(plan: Mapping[str, Any]) -> Iterator[str]:
    yield f"{plan['group']}: {plan['recipe']}, output to {plan['output']}"
    yield from (f"  {file}" for file in plan["files"])
    for number, step in enumerate(plan["steps"], 1):
        yield f"{number}. {step['label']} [{step['step']}]"
        yield from (f"     {key} = {_text(value)}" for key, value in step["parameters"].items())
        for role, file in step["references"].items():
            told = f"{file['name']} ({file['state']})" if file else "none for this observation"
            yield f"     > {role.replace('_', ' ')}: {told}"


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
