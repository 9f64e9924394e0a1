"""Why parameters have no effect on an observation, as far as its header tells."""

from __future__ import annotations

from collections.abc import Mapping

from astropy.io import fits

from sofia_engine.instruments.forcast.frame import is_flux_standard
from sofia_engine.instruments.forcast.merge import UNSHIFTED
from sofia_engine.instruments.forcast.mode import find_sky_mode, is_cross_dispersed, is_slit_image, slit_is_in
from sofia_engine.instruments.forcast.nonlinearity import find_capacitance

__all__ = ["find_detector_obstacles", "find_imaging_obstacles"]

Reasons = dict[str, dict[str, str]]


def find_detector_obstacles(header: fits.Header) -> Mapping[str, Mapping[str, str]]:
    """Return why parameters of the first steps have no effect on an observation, by step and key.

    Parameters
    ----------
    header : Header
        Of the first input.
    """
    reasons: Reasons = {}
    if is_cross_dispersed(header) or is_slit_image(header):
        reasons["clean"] = {"autoshift": "Images through a slit are not looked at for shifts of the readout."}
    if find_capacitance(header) is None:
        why = f"The response of the detector at EPERADU = {header.get('EPERADU')} is not known; nothing is corrected."
        reasons["nonlin"] = {"secctr": why, "secsize": why}
    return reasons


def find_imaging_obstacles(header: fits.Header) -> Mapping[str, Mapping[str, str]]:
    """Return why parameters of images have no effect on an observation, by step and key.

    Parameters
    ----------
    header : Header
        Of the first input.
    """
    return {**find_detector_obstacles(header), **_find_merging_obstacles(header), **_find_standard_obstacles(header)}


def _find_merging_obstacles(header: fits.Header) -> Reasons:
    mode = find_sky_mode(header, planes=0)  # stacked images, too, do not tell how many planes they had
    if mode in UNSHIFTED or slit_is_in(header):
        reason = f"Images of mode {mode} are not shifted." if mode in UNSHIFTED else "Slit images are not shifted."
        return {"merge": {"cormerge": reason, "exact_norm": reason}}
    if mode != "NMC":
        return {"merge": {"exact_norm": f"Only images of mode NMC hold two beams; these are of mode {mode or 'none'}."}}
    return {}


def _find_standard_obstacles(header: fits.Header) -> Reasons:
    if is_flux_standard(header):
        return {}
    why = "The source is no flux standard (OBSTYPE is not STANDARD_FLUX); only standards are measured."
    photometry = ("phot_compat", "rerun_phot", "srcpos", "fitsize", "fwhm", "profile")
    return {"tellcor": {"phot_compat": why}, "coadd": {"phot_compat": why}, "fluxcal": dict.fromkeys(photometry, why)}
