"""Recipes for FORCAST images: from raw data, through the slit, and mosaics of calibrated images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from astropy.io import fits

from sofia_engine.header.naming import ProductNaming
from sofia_engine.instruments.forcast.check import checkhead
from sofia_engine.instruments.forcast.clean import clean
from sofia_engine.instruments.forcast.coadd import coadd
from sofia_engine.instruments.forcast.droop import droop
from sofia_engine.instruments.forcast.flux_calibration import fluxcal
from sofia_engine.instruments.forcast.image_map import imgmap
from sofia_engine.instruments.forcast.merge import merge
from sofia_engine.instruments.forcast.mode import (
    find_camera,
    find_sky_mode,
    find_spectral_element,
    is_cross_dispersed,
    is_grism,
    is_slit_image,
    read_text,
)
from sofia_engine.instruments.forcast.nonlinearity import nonlin
from sofia_engine.instruments.forcast.obstacles import find_imaging_obstacles
from sofia_engine.instruments.forcast.register import register
from sofia_engine.instruments.forcast.stack import stack
from sofia_engine.instruments.forcast.telluric import tellcor
from sofia_engine.instruments.forcast.undistort import undistort
from sofia_engine.pipeline.memory_guard import MemoryNeed
from sofia_engine.pipeline.recipe import Recipe

__all__ = ["COLUMNS", "IMAGING", "MOSAIC", "RECIPES", "SLIT_IMAGE", "find_imaging_defaults"]

COLUMNS = (
    "OBJECT", "OBSTYPE", "AOR_ID", "MISSN-ID", "DATE-OBS", "INSTCFG", "INSTMODE", "SKYMODE", "DETCHAN", "DICHROIC",
    "SPECTEL1", "SPECTEL2", "SLIT", "ALTI_STA", "ZA_START", "EXPTIME", "DTHINDEX", "NODBEAM",
)  # fmt: skip
"""Keywords that lists of FORCAST files show."""

MOSAIC_INPUTS = ("TELLURIC_CORRECTED", "CALIBRATED")
"""PRODTYPE of images that are calibrated, if need be, and combined to a mosaic."""
_NAMING = ProductNaming("FO", "IMA")


def find_imaging_defaults(header: fits.Header) -> Mapping[str, Mapping[str, Any]]:
    """Return the defaults of image parameters that depend on the observation, by step and key.

    Parameters
    ----------
    header : Header
        Of the first input.
    """
    mode = find_sky_mode(header)
    has_bright_source = read_text(header, "OBSTYPE") == "STANDARD_FLUX" or "NPC" in mode
    return {
        "stack": {"bgsub": mode not in ("C2NC2", "C2NC4")},
        "merge": {"cormerge": "Centroid" if has_bright_source and mode != "C2NC4" else "No shift"},
        "coadd": {"skip_coadd": "SLIT" in read_text(header, "BORESITE")},
    }


def _group(header: fits.Header) -> tuple[str, ...]:
    product_type = read_text(header, "PRODTYPE").lower()
    kind = "raw" if product_type in ("", "unknown") else product_type
    return read_text(header, "INSTMODE"), find_camera(header), find_spectral_element(header), kind


def _name_product(header: fits.Header, inputs: Sequence[str], code: str) -> str:
    return _NAMING.name(header, inputs, find_spectral_element(header), code)


def _is_image(header: fits.Header) -> bool:
    return not (is_grism(header) or is_cross_dispersed(header))


def _is_calibrated(header: fits.Header) -> bool:
    return read_text(header, "PRODTYPE") in MOSAIC_INPUTS


def _is_open_image(header: fits.Header) -> bool:
    return _is_image(header) and not is_slit_image(header) and not _is_calibrated(header)


_MEMORY = {
    "checkhead": MemoryNeed(4, one_by_one=True),
    "undistort": MemoryNeed(20),
    "merge": MemoryNeed(35),
    "register": MemoryNeed(20, one_by_one=True),
    "coadd": MemoryNeed(8),
}
"""As `tests/benchmarks/memory.py` measured it, rounded up."""
IMAGING = Recipe(
    name="forcast-imaging",
    instrument="FORCAST",
    mode="Imaging",
    steps=(checkhead, clean, droop, nonlin, stack, undistort, merge, register, tellcor, coadd, fluxcal, imgmap),
    accepts=_is_open_image,
    group=_group,
    output_name=_name_product,
    defaults=find_imaging_defaults,
    obstacles=find_imaging_obstacles,
    columns=COLUMNS,
    memory=_MEMORY,
)
SLIT_IMAGE = Recipe(
    name="forcast-slit-image",
    instrument="FORCAST",
    mode="Slit imaging",
    steps=IMAGING.cut_after("merge").steps,
    accepts=is_slit_image,
    group=_group,
    output_name=_name_product,
    defaults=find_imaging_defaults,
    obstacles=find_imaging_obstacles,
    columns=COLUMNS,
    memory=_MEMORY,
)
MOSAIC = Recipe(
    name="forcast-mosaic",
    instrument="FORCAST",
    mode="Mosaic",
    steps=(
        fluxcal,
        register,
        replace(coadd, code="MOS", product_type="mosaic", level="LEVEL_4"),
        imgmap,
    ),
    accepts=lambda header: _is_image(header) and not is_slit_image(header) and _is_calibrated(header),
    group=_group,
    output_name=_name_product,
    defaults=find_imaging_defaults,
    obstacles=find_imaging_obstacles,
    columns=COLUMNS,
    memory=_MEMORY,
)
RECIPES = (IMAGING, SLIT_IMAGE, MOSAIC)
