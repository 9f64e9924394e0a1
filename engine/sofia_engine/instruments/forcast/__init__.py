"""FORCAST, the mid-infrared camera and grism spectrograph (5 to 40 micrometres)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sofia_engine.pipeline.recipe import Recipe

__all__ = ["INSTRUMES", "recipes"]

INSTRUMES = ("FORCAST",)
"""Values of INSTRUME of its data."""


def recipes() -> Iterator[Recipe]:
    """Give the recipes for FORCAST data; the steps of spectroscopy are imported only if images are passed by."""
    from sofia_engine.instruments.forcast import imaging

    yield from imaging.RECIPES
    from sofia_engine.instruments.forcast import grism

    yield from grism.RECIPES
    from sofia_engine.instruments.forcast import grism_calibration

    yield from grism_calibration.RECIPES
