"""Reading of grism files: old rectified images are completed to what they would hold today."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sofia_engine.instruments.forcast.grism_frame import is_extended
from sofia_engine.instruments.forcast.make_profiles import halving
from sofia_engine.product import Plane, Product
from sofia_engine.spectroscopy.profiles import ProfileRule, make_profiles

__all__ = ["LEGACY_TYPES", "complete_rectified_image", "load_spectrum"]

LEGACY_TYPES = {"rectimage": "rectified_image"}
"""PRODTYPE of files of pipeline versions 1, with that of today."""


def load_spectrum(path: Path) -> Product:
    """Read a grism file, raw or product, of any pipeline version."""
    product = Product.read(path)
    if product.layout == "rectified-variance":
        return complete_rectified_image(product)
    return product


def complete_rectified_image(image: Product) -> Product:
    """Add to a rectified image of pipeline versions 1 what it lacks.

    Images in which the source was in both nod positions are halved; the coordinates of the pixels and the spatial
    profiles are added.
    """
    divisor = 2.0 if halving(image.header) else 1.0
    rule = ProfileRule(subtract_background=not is_extended(image.header))
    profiles = make_profiles(image["FLUX"], image["WAVEPOS"], rule)
    header = image.header.copy()
    waves, slit = image["WAVEPOS"], image["SLITPOS"]
    for keyword in [key for key in header if key.startswith(("CD1_", "CD2_"))]:
        del header[keyword]
    for axis, values, unit in ((1, waves, "um"), (2, slit, "arcsec")):
        middle = values.size // 2
        header[f"CRPIX{axis}"], header[f"CRVAL{axis}"] = middle + 1, float(values[middle])
        header[f"CDELT{axis}"], header[f"CTYPE{axis}"], header[f"CUNIT{axis}"] = (
            float(np.mean(np.diff(values))), "LINEAR", unit
        )  # fmt: skip
    header["PRODTYPE"] = LEGACY_TYPES["rectimage"]
    completed = image.replace(header=header, FLUX=image["FLUX"] / divisor, ERROR=image["ERROR"] / divisor)
    return completed.replace(
        SPATIAL_MAP=Plane(Plane.of(profiles.map).data, "", inherits_wcs=False),
        SPATIAL_PROFILE=Plane.of(profiles.median),
    )
