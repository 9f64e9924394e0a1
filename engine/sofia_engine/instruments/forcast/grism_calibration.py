"""Recipes that make calibration files of grism data; chosen by an option of the parameter file, never by the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from astropy.io import fits

from sofia_engine.instruments.forcast.calibration_spectra import (
    extract_summed_spectrum,
    identify_lines,
    reidentify_lines,
)
from sofia_engine.instruments.forcast.calibration_surfaces import fit_lines, fit_traces
from sofia_engine.instruments.forcast.grism import PREPARATION, SPECTROSCOPY, find_grism_defaults
from sofia_engine.instruments.forcast.locate_apertures import SteppedLocationParameters, locate_apertures
from sofia_engine.instruments.forcast.make_profiles import (
    SimulatedProfileParameters,
    TestedProfileParameters,
    UncorrectedProfileParameters,
    make_spatial_profiles,
)
from sofia_engine.instruments.forcast.section import PixelPair, section_center, section_size
from sofia_engine.instruments.forcast.slit_correction import extract_median_spectra, make_slitcorr, normalize
from sofia_engine.instruments.forcast.stack import StackParameters
from sofia_engine.instruments.forcast.trace_continuum import trace_continuum
from sofia_engine.pipeline.parameters import parameter

__all__ = ["RECIPES", "SLITCORR", "SPATCAL", "WAVECAL"]


class AddedStackParameters(StackParameters):
    """Parameters of Stack Chops/Nods where the light of the sky is wanted: planes are added."""

    add_frames: bool = parameter(
        True, label="Add all frames instead of subtracting", level="hidden", help="Keep the light of the sky."
    )
    scale_background: bool = parameter(
        False, key="bgscale", label="Scale frames to common level", level="hidden", help="Not used."
    )
    subtract_background: bool = parameter(
        False, key="bgsub", label="Subtract residual background", level="hidden", help="Not used."
    )
    center: PixelPair = section_center("Background", {"add_frames": False})
    size: PixelPair = section_size("Background", {"add_frames": False})


def _find_calibration_defaults(_header: fits.Header) -> Mapping[str, Mapping[str, Any]]:
    return {
        "stack": {"bgsub": False, "jailbar_baseline": "Dark rows"},
        "trace_continuum": {"attach_trace_xy": True},
    }


def _find_slit_defaults(header: fits.Header) -> Mapping[str, Mapping[str, Any]]:
    return {
        "stack": {"jailbar_baseline": find_grism_defaults(header)["stack"]["jailbar_baseline"]},
        "stack_dithers": {"skip_stack": False, "ignore_dither": True},
    }


_PROFILES = replace(
    make_spatial_profiles,
    code="PRF",
    product_type="spatial_profile",
    saved=False,
    parameters=SimulatedProfileParameters,
)
_VERIFICATION = replace(
    make_spatial_profiles, key="rectify", label="Verify Rectification", parameters=TestedProfileParameters
)
_STACK = next(made for made in PREPARATION if made.key == "stack")

WAVECAL = replace(
    SPECTROSCOPY,
    name="forcast-wavecal",
    mode="Wavelength calibration",
    steps=(
        *PREPARATION,
        _PROFILES,
        extract_summed_spectrum,
        identify_lines,
        reidentify_lines,
        fit_lines,
        _VERIFICATION,
    ),
    accepts=lambda _header: False,
    defaults=_find_calibration_defaults,
    old_types={},
)
SPATCAL = replace(
    WAVECAL,
    name="forcast-spatcal",
    mode="Spatial calibration",
    steps=(
        *PREPARATION,
        _PROFILES,
        locate_apertures,
        replace(trace_continuum, saved=True),
        fit_traces,
        _VERIFICATION,
    ),
)
SLITCORR = replace(
    WAVECAL,
    name="forcast-slitcorr",
    mode="Slit correction",
    steps=(
        *(replace(made, parameters=AddedStackParameters) if made is _STACK else made for made in PREPARATION),
        replace(make_spatial_profiles, parameters=UncorrectedProfileParameters),
        replace(locate_apertures, parameters=SteppedLocationParameters),
        extract_median_spectra,
        normalize,
        make_slitcorr,
    ),
    defaults=_find_slit_defaults,
)
RECIPES = (WAVECAL, SPATCAL, SLITCORR)
