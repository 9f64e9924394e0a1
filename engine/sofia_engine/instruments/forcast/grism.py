"""Recipes for FORCAST grism spectra: from raw data, of standards to a response, and pictures of finished spectra."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from astropy.io import fits

from sofia_engine.errors import InputError
from sofia_engine.instruments.forcast.check import checkhead
from sofia_engine.instruments.forcast.clean import clean
from sofia_engine.instruments.forcast.combine_response import combine_response
from sofia_engine.instruments.forcast.combine_spectra import combine_spectra
from sofia_engine.instruments.forcast.droop import droop
from sofia_engine.instruments.forcast.extract_spectra import extract
from sofia_engine.instruments.forcast.flux_calibrate import flux_calibrate
from sofia_engine.instruments.forcast.grism_files import find_resolution
from sofia_engine.instruments.forcast.grism_frame import is_extended, is_scan, is_standard, name_grism_product
from sofia_engine.instruments.forcast.grism_loading import LEGACY_TYPES, load_spectrum
from sofia_engine.instruments.forcast.locate_apertures import locate_apertures
from sofia_engine.instruments.forcast.make_profiles import make_spatial_profiles
from sofia_engine.instruments.forcast.make_response import make_response
from sofia_engine.instruments.forcast.merge_apertures import merge_apertures
from sofia_engine.instruments.forcast.mode import find_camera, find_mode, find_spectral_element, is_grism, read_text
from sofia_engine.instruments.forcast.nonlinearity import nonlin
from sofia_engine.instruments.forcast.obstacles import find_detector_obstacles
from sofia_engine.instruments.forcast.set_apertures import set_apertures
from sofia_engine.instruments.forcast.spectral_map import specmap
from sofia_engine.instruments.forcast.stack import stack
from sofia_engine.instruments.forcast.stack_dithers import stack_dithers
from sofia_engine.instruments.forcast.subtract_background import subtract_background
from sofia_engine.instruments.forcast.trace_continuum import trace_continuum
from sofia_engine.pipeline.memory_guard import MemoryNeed
from sofia_engine.pipeline.recipe import Recipe

__all__ = ["COLUMNS", "PREPARATION", "RECIPES", "RESPONSE", "SPECTRAL_MAP", "SPECTROSCOPY", "find_grism_defaults"]

COLUMNS = (
    "OBJECT", "OBSTYPE", "AOR_ID", "MISSN-ID", "DATE-OBS", "INSTCFG", "INSTMODE", "SKYMODE", "DETCHAN", "SPECTEL1",
    "SPECTEL2", "SLIT", "SRCTYPE", "ALTI_STA", "ZA_START", "EXPTIME", "DTHINDEX", "NODBEAM",
)  # fmt: skip
"""Keywords that lists of grism files show."""

FINISHED = (
    "SPECTRAL_CUBE", "SPECCUBE", "SPECTRA_1D", "MERGED_SPECTRUM_1D", "CALIBRATED_SPECTRUM_1D", "COMBINED_SPECTRUM",
    "COMBSPEC", "CALSPEC", "MRGSPEC", "MRGORDSPEC",
)  # fmt: skip
"""PRODTYPE of products of which only a picture can be made."""


def find_grism_defaults(header: fits.Header) -> Mapping[str, Mapping[str, Any]]:
    """Return the defaults of grism parameters that depend on the observation, by step and key.

    Parameters
    ----------
    header : Header
        Of the first input.
    """
    filled, standard, fitted = is_extended(header), is_standard(header), find_mode(header) != "G111"
    return {
        # stripes looked for in the rows of a bright source are made of the lines and bands of its spectrum
        "stack": {"bgsub": False, "jailbar_baseline": "Dark rows"},
        "make_profiles": {"bg_sub": not filled},
        "locate_apertures": {"method": "fix to center" if filled else "auto"},
        "trace_continuum": {"method": "fix to aperture position" if filled else "fit to continuum"},
        "set_apertures": {"full_slit": filled},
        "extract_spectra": {"method": "standard" if filled else "optimal"},
        "flux_calibrate": {
            "making_response": standard,
            "save": not standard,
            "resolution": find_resolution(header),
            "optimize_atran": fitted,
            "auto_shift": fitted,
        },
        "combine_spectra": {"method": "spectral cube" if is_scan(header) else "mean"},
    }


def group_spectra(header: fits.Header) -> tuple[str, ...]:
    """Return what must be equal in all files of a reduction."""
    product_type = read_text(header, "PRODTYPE").lower()
    kind = "raw" if product_type in ("", "unknown") else product_type
    return "SPEC", find_camera(header), find_spectral_element(header), read_text(header, "SLIT"), kind


def _is_finished(header: fits.Header) -> bool:
    return is_grism(header) and read_text(header, "PRODTYPE") in FINISHED


PREPARATION = (checkhead, clean, droop, nonlin, replace(stack, saved=True), stack_dithers)
"""Steps of all grism recipes: from raw data to images of the slit."""
_EXTRACTION = (
    make_spatial_profiles,
    locate_apertures,
    trace_continuum,
    set_apertures,
    subtract_background,
    extract,
    merge_apertures,
    flux_calibrate,
)
_STEPS = (*PREPARATION, *_EXTRACTION, combine_spectra, specmap)
_RESPONSE_STEPS = (*PREPARATION, *_EXTRACTION, make_response, combine_response)
KNOWN_TYPES = {
    "", "raw", "unknown", *LEGACY_TYPES,
    *(made.product_type for made in (*_STEPS, *_RESPONSE_STEPS) if made.makes_products),
}  # fmt: skip


def _can_be_reduced(header: fits.Header) -> bool:
    if not is_grism(header) or _is_finished(header):
        return False
    product_type = read_text(header, "PRODTYPE").lower()
    if product_type not in KNOWN_TYPES:
        raise InputError(
            f"Unrecognized prodtype: PRODTYPE is {product_type!r}, which no step of the grism recipe makes"
        )
    return True


_MEMORY = {"checkhead": MemoryNeed(4, one_by_one=True), "make_profiles": MemoryNeed(28)}
"""As `tests/benchmarks/memory.py` measured it, rounded up."""
SPECTROSCOPY = Recipe(
    name="forcast-grism",
    instrument="FORCAST",
    mode="Spectroscopy",
    steps=_STEPS,
    accepts=lambda header: _can_be_reduced(header) and not is_standard(header),
    group=group_spectra,
    output_name=name_grism_product,
    load=load_spectrum,
    defaults=find_grism_defaults,
    obstacles=find_detector_obstacles,
    columns=COLUMNS,
    old_types=LEGACY_TYPES,
    memory=_MEMORY,
)
RESPONSE = replace(
    SPECTROSCOPY,
    name="forcast-response",
    steps=_RESPONSE_STEPS,
    accepts=lambda header: _can_be_reduced(header) and is_standard(header),
)
SPECTRAL_MAP = replace(
    SPECTROSCOPY,
    name="forcast-specmap",
    mode="Spectral map",
    steps=(specmap,),
    accepts=_is_finished,
    old_types={},
)
RECIPES = (SPECTROSCOPY, RESPONSE, SPECTRAL_MAP)
