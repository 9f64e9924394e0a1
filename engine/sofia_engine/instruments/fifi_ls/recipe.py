"""The recipe for FIFI-LS cubes: from ramps to a calibrated spectral cube."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from astropy.io import fits

from sofia_engine.errors import InputError
from sofia_engine.header.naming import UNKNOWN, find_flight
from sofia_engine.instruments.fifi_ls.apply_static_flat import apply_static_flat
from sofia_engine.instruments.fifi_ls.check import checkhead
from sofia_engine.instruments.fifi_ls.combine_grating_scans import combine_grating_scans
from sofia_engine.instruments.fifi_ls.combine_nods import combine_nods
from sofia_engine.instruments.fifi_ls.correct_wave_shift import correct_wave_shift
from sofia_engine.instruments.fifi_ls.fit_ramps import fit_all_ramps
from sofia_engine.instruments.fifi_ls.flux_calibrate import flux_calibrate
from sofia_engine.instruments.fifi_ls.lambda_calibrate import lambda_calibrate
from sofia_engine.instruments.fifi_ls.mode import read_text
from sofia_engine.instruments.fifi_ls.obstacles import find_cube_obstacles
from sofia_engine.instruments.fifi_ls.resample import resample
from sofia_engine.instruments.fifi_ls.spatial_calibrate import spatial_calibrate
from sofia_engine.instruments.fifi_ls.spectral_map import specmap
from sofia_engine.instruments.fifi_ls.split_grating_and_chop import split_grating_and_chop
from sofia_engine.instruments.fifi_ls.subtract_chops import subtract_chops
from sofia_engine.instruments.fifi_ls.telluric_correct import telluric_correct
from sofia_engine.kernels import load_resampling
from sofia_engine.pipeline.memory_guard import MemoryNeed
from sofia_engine.pipeline.recipe import Recipe

__all__ = ["COLUMNS", "CUBE", "RECIPES", "find_cube_defaults", "name_product"]

COLUMNS = (
    "OBJECT", "OBSTYPE", "AOR_ID", "MISSN-ID", "DATE-OBS", "OBS_ID", "INSTCFG", "INSTMODE", "NODSTYLE", "DETCHAN",
    "DICHROIC", "G_ORD_B", "SPECTEL1", "SPECTEL2", "ALTI_STA", "ZA_START", "EXPTIME", "NODBEAM",
)  # fmt: skip
"""Keywords that lists of FIFI-LS files show."""

OLD_TYPES = {"wxy_resampled": "resampled"}
PIXEL_SIZES = {"BLUE": 1.5, "RED": 3.0}
"""Sizes of pixels of cubes, arcsec."""
_NUMBERED = ("CP", "RP")
"""Codes that are followed by the number of the chop position."""
_CHANNELS = {"RED": "RED", "BLUE": "BLU"}


def find_cube_defaults(header: fits.Header) -> Mapping[str, Mapping[str, Any]]:
    """Return the defaults of parameters that depend on the observation, by step and key.

    Parameters
    ----------
    header : Header
        Of the first input.
    """
    return {"resample": {"xy_pixel_size": PIXEL_SIZES.get(read_text(header, "DETCHAN"))}}


def name_product(header: fits.Header, inputs: Sequence[str], code: str) -> str:  # noqa: ARG001
    """Return the file name of a product: ``F0855_FI_IFS_90000101_RED_WXY_00001-00008.fits``."""
    observation = str(header.get("AOR_ID", "")).replace("_", "").strip() or UNKNOWN
    channel = _CHANNELS.get(read_text(header, "CHANNEL") or read_text(header, "DETCHAN"), "UN")
    if code in _NUMBERED:
        code = f"{code}{header.get('CHOPNUM', 0)}"
    number = str(header.get("FILENUM", "")).strip() or UNKNOWN
    return "_".join([find_flight(header), "FI", "IFS", observation, channel, code, number]).upper() + ".fits"


def _group(header: fits.Header) -> tuple[str, ...]:
    return read_text(header, "DETCHAN"), read_text(header, "OBSTYPE")


_STEPS = (
    checkhead,
    split_grating_and_chop,
    fit_all_ramps,
    subtract_chops,
    combine_nods,
    lambda_calibrate,
    spatial_calibrate,
    apply_static_flat,
    combine_grating_scans,
    telluric_correct,
    flux_calibrate,
    correct_wave_shift,
    resample,
    specmap,
)
_KNOWN_TYPES = {"", "raw", *OLD_TYPES, *(made.product_type for made in _STEPS if made.makes_products)}


def _accepts(header: fits.Header) -> bool:
    product_type = read_text(header, "PRODTYPE").lower()
    if product_type == specmap.key:
        raise InputError("No steps to run: a picture of a cube is the last thing that is made of it")
    if product_type not in _KNOWN_TYPES:
        raise InputError(f"PRODTYPE is {product_type!r}, which no step of the FIFI-LS recipe makes")
    return True


_MEMORY = {"checkhead": MemoryNeed(1, one_by_one=True), "specmap": MemoryNeed(14)}
"""As `tests/benchmarks/memory.py` measured it, rounded up; the cube itself is guarded by `require_memory`."""
CUBE = Recipe(
    name="fifi-ls-cube",
    instrument="FIFI-LS",
    mode="Spectral cube",
    steps=_STEPS,
    accepts=_accepts,
    group=_group,
    output_name=name_product,
    defaults=find_cube_defaults,
    obstacles=find_cube_obstacles,
    columns=COLUMNS,
    old_types=OLD_TYPES,
    load_ahead=load_resampling,
    memory=_MEMORY,
)
RECIPES = (CUBE,)
