"""The instruments: each folder registers its recipes, and nothing outside the folder knows it.

A folder is a package with a function ``recipes() -> Iterable[Recipe]`` and a tuple ``INSTRUMES`` of the values of
the INSTRUME keyword it understands (upper case). It imports its steps only inside ``recipes``, so that looking for
instruments costs nothing. As a generator, ``recipes`` imports those of one mode without the modes after it.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import TYPE_CHECKING

from sofia_engine.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from astropy.io import fits

    from sofia_engine.pipeline.recipe import Recipe

__all__ = ["all_recipes", "find_recipe", "known_instruments", "recipe_for", "recipes_of"]


@cache
def known_instruments() -> dict[str, str]:
    """Return the name of the folder for each known value of INSTRUME."""
    known: dict[str, str] = {}
    for module in pkgutil.iter_modules(__path__):
        if module.ispkg:
            package = importlib.import_module(f"{__name__}.{module.name}")
            known.update(dict.fromkeys(package.INSTRUMES, module.name))
    return known


@cache
def recipes_of(folder: str) -> tuple[Recipe, ...]:
    """Return the recipes of an instrument's folder."""
    return tuple(_load_recipes(folder))


def all_recipes() -> tuple[Recipe, ...]:
    """Return the recipes of all instruments."""
    return tuple(recipe for folder in _list_folders() for recipe in recipes_of(folder))


def find_recipe(name: str) -> Recipe:
    """Return the recipe of that name.

    Raises
    ------
    InputError
        If there is none.
    """
    for folder in _list_folders():
        for recipe in _load_recipes(folder):
            if recipe.name == name:
                return recipe
    raise InputError(f"There is no recipe {name}; there are {', '.join(r.name for r in all_recipes())}.")


def recipe_for(header: fits.Header) -> Recipe:
    """Return the recipe for an observation.

    Raises
    ------
    InputError
        If its instrument or mode is not supported.
    """
    instrument = str(header.get("INSTRUME", "")).strip().upper()
    if not instrument:
        raise InputError("the header has no INSTRUME keyword, so this is no SOFIA data")
    folder = known_instruments().get(instrument)
    if folder is None:
        supported = ", ".join(sorted(known_instruments()))
        raise InputError(f"the instrument {instrument} is not supported (supported: {supported})")
    for recipe in _load_recipes(folder):
        if recipe.accepts(header):
            return recipe
    raise InputError(f"{instrument} data of this kind are not supported yet")


def _list_folders() -> list[str]:
    return sorted(set(known_instruments().values()))


def _load_recipes(folder: str) -> Iterable[Recipe]:
    """Give the recipes of an instrument one after the other; its modules are imported as far as one goes."""
    recipes: Iterable[Recipe] = importlib.import_module(f"{__name__}.{folder}").recipes()
    return recipes
