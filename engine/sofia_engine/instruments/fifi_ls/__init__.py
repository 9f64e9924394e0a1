"""FIFI-LS, the far-infrared integral-field spectrometer (51 to 205 micrometres)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sofia_engine.pipeline.recipe import Recipe

__all__ = ["INSTRUMES", "recipes"]

INSTRUMES = ("FIFI-LS",)
"""Values of INSTRUME of its data."""


def recipes() -> Iterator[Recipe]:
    """Give the recipes for FIFI-LS data."""
    from sofia_engine.instruments.fifi_ls import recipe

    yield from recipe.RECIPES
