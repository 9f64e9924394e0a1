"""Why parameters have no effect on an observation, as far as its header tells."""

from __future__ import annotations

from collections.abc import Mapping

from astropy.io import fits

from sofia_engine.instruments.fifi_ls.mode import is_asymmetric, is_symmetric, read_number, read_text

__all__ = ["find_cube_obstacles"]

Reasons = dict[str, str]

_NO_SCAN = "The telescope did not scan (INSTMODE names no OTF); only scans on the fly are treated so."


def find_cube_obstacles(header: fits.Header) -> Mapping[str, Mapping[str, str]]:
    """Return why parameters have no effect on an observation, by step and key.

    Parameters
    ----------
    header : Header
        Of the first input; the others were taken in the same mode.
    """
    scanned = "OTF" in read_text(header, "INSTMODE")
    found = {
        "subtract_chops": _look_at_chops(header),
        "combine_nods": _look_at_nods(header, scanned=scanned),
        "resample": _look_at_map(header, scanned=scanned),
    }
    return {step: reasons for step, reasons in found.items() if reasons}


def _look_at_chops(header: fits.Header) -> Reasons:
    if read_number(header, "C_AMP") != 0:
        return {}
    return {"add_only": "The chopper stood still (C_AMP is 0): there is nothing to add or subtract."}


def _look_at_nods(header: fits.Header, *, scanned: bool) -> Reasons:
    reasons: Reasons = {}
    if is_symmetric(header):
        reasons["b_nod_method"] = "Nods match the chop: each is combined with one of the other side, the nearest."
    if not is_asymmetric(header):
        reasons["bg_scaling"] = "Nod B is no empty sky (NODSTYLE is not C2NC2), so it is not scaled."
    elif (read_number(header, "C_AMP") or 0) != 0:
        reasons["bg_scaling"] = "The data are chopped (C_AMP is not 0); only backgrounds without chopping are scaled."
    if not scanned:
        reasons |= {"atran_dir": _NO_SCAN, "atran_file": _NO_SCAN}
        if not is_asymmetric(header):
            reasons["telluric_scaling_on"] = _NO_SCAN
    return reasons


def _look_at_map(header: fits.Header, *, scanned: bool) -> Reasons:
    reasons = {} if scanned else dict.fromkeys(("scan_reduction", "save_scan", "scan_options"), _NO_SCAN)
    if "NAIF_ID" in header:
        reasons["detector_coordinates"] = "The target moves (NAIF_ID is given): the map is that of the instrument."
    return reasons
