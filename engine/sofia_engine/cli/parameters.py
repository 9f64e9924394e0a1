"""``sofia-desk parameters``: a commented parameter file for given data, or what the parameters of a step mean."""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from sofia_engine.cli.exit_codes import OK
from sofia_engine.errors import InputError, ParameterError
from sofia_engine.instruments import all_recipes, find_recipe
from sofia_engine.pipeline.detection import inspect_files
from sofia_engine.pipeline.manifests import collect_inputs
from sofia_engine.pipeline.parameter_files import format_parameters, write_parameters
from sofia_engine.pipeline.parameters import suggest
from sofia_engine.pipeline.recipe import Recipe
from sofia_engine.pipeline.settings import Settings
from sofia_engine.pipeline.step import Step

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("files", nargs="*", metavar="FILE", help="files that the parameters are for")
    parser.add_argument("--recipe", metavar="NAME", help="recipe, where no files are given")
    parser.add_argument(
        "-o", "--out", metavar="FILE", help="file to write; .cfg gives the old INI form (default: show)"
    )
    parser.add_argument("--help-step", metavar="STEP", help="explain a step and its parameters; 'all' explains all")
    parser.add_argument("--json", action="store_true", help="with --help-step: as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    if arguments.help_step:
        steps = _find_steps(arguments)
        sys.stdout.write(_as_json(steps) if arguments.json else "\n".join(_explain(steps)) + "\n")
        return OK
    if not arguments.files and not arguments.recipe:
        names = "\n".join(f"  {recipe.name}" for recipe in all_recipes())
        raise ParameterError(f"Give the files the parameters are for, or --recipe with one of:\n{names}")
    settings = _find_settings(arguments)
    path = Path(arguments.out) if arguments.out else None
    text = format_parameters(settings, old_form=path is not None and path.suffix.lower() in (".cfg", ".ini"))
    if path is None:
        sys.stdout.write(text)
    else:
        write_parameters(path, text)
        sys.stderr.write(f"Wrote {path}\n")
    return OK


def _find_settings(arguments: argparse.Namespace) -> Settings:
    if not arguments.files:
        return Settings(find_recipe_by_name(arguments.recipe))
    group = inspect_files(collect_inputs(arguments.files).files).single_group()
    settings = Settings(group.recipe)
    settings.set_defaults(group.recipe.defaults(group.files[0].header))
    return settings


def find_recipe_by_name(name: str) -> Recipe:
    """Return a recipe.

    Raises
    ------
    ParameterError
        If there is none of that name.
    """
    try:
        return find_recipe(name)
    except InputError as error:
        raise ParameterError(str(error)) from None


def _find_steps(arguments: argparse.Namespace) -> list[tuple[Recipe, Step]]:
    if arguments.recipe:
        recipes: tuple[Recipe, ...] = (find_recipe_by_name(arguments.recipe),)
    elif arguments.files:
        recipes = (inspect_files(collect_inputs(arguments.files).files).single_group().recipe,)
    else:
        recipes = all_recipes()
    steps = [(recipe, step) for recipe in recipes for step in recipe.steps]
    if arguments.help_step != "all":
        known = {step.key for _, step in steps}
        steps = [(recipe, step) for recipe, step in steps if arguments.help_step in (step.key, step.label)]
        if not steps:
            raise ParameterError(f"There is no step '{arguments.help_step}'{suggest(arguments.help_step, known)}.")
    return steps


def _explain(steps: list[tuple[Recipe, Step]]) -> Iterator[str]:
    """Explain steps; one that several recipes share is told once."""
    told: list[Step] = []
    for _, step in steps:
        if step in told:
            continue
        told.append(step)
        yield f"{step.label} [{step.key}] in {', '.join(recipe.name for recipe, other in steps if other is step)}"
        yield from _wrap(step.help, "  ")
        yield from _explain_parameters(step)
        yield ""


def _explain_parameters(step: Step) -> Iterator[str]:
    for info in step.parameters.infos():
        if info.level != "hidden":
            unit = f" {info.unit}" if info.unit else ""
            default = "(empty)" if info.default in ("", ()) else info.default
            yield f"  {step.key}.{info.key} = {default}{unit}   ({info.allowed})"
            yield from _wrap(f"{info.label}: {info.help}", "      ")


def _wrap(text: str, indent: str) -> list[str]:
    return textwrap.wrap(" ".join(text.split()), 100, initial_indent=indent, subsequent_indent=indent)


def _as_json(steps: list[tuple[Recipe, Step]]) -> str:
    content = [
        {
            "recipe": recipe.name,
            "step": step.key,
            "label": step.label,
            "help": step.help,
            "parameters": [
                asdict(info) | {"allowed": info.allowed} for info in step.parameters.infos() if info.level != "hidden"
            ],
        }
        for recipe, step in steps
    ]
    return json.dumps(content, indent=1, default=str) + "\n"
