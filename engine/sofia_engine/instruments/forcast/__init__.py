"""FORCAST, the mid-infrared camera and grism spectrograph (5 to 40 micrometres)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sofia_engine.pipeline.recipe import Recipe

__all__ = ["INSTRUMES", "recipes"]

INSTRUMES = ("FORCAST",)
"""Values of INSTRUME of its data."""


def recipes() -> tuple[Recipe, ...]:
    """Return the recipes for FORCAST data."""
    from sofia_engine.instruments.forcast import grism, imaging

    return (*imaging.RECIPES, *grism.RECIPES)
