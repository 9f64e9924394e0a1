"""Names of flux standards: the many ways OBJECT is written, and the one name the tables use."""

from __future__ import annotations

import re

__all__ = ["normalize_object"]

_ALIASES = {
    "ARCTURUS": "ALPHABOO",
    "HD124897": "ALPHABOO",
    "MENKAR": "ALPHACET",
    "HD18884": "ALPHACET",
    "ALDEBARAN": "ALPHATAU",
    "HD29139": "ALPHATAU",
    "MIRACH": "BETAAND",
    "HD6860": "BETAAND",
    "POLLUX": "BETAGEM",
    "HD62509": "BETAGEM",
    "SCHEAT": "BETAPEG",
    "HD217906": "BETAPEG",
    "KOCHAB": "BETAUMI",
    "HD131873": "BETAUMI",
    "ELTANIN": "GAMMADRA",
    "HD164058": "GAMMADRA",
    "TANIAAUSTRALIS": "MUUMA",
    "HD89758": "MUUMA",
    "HD133216": "SIGMALIB",
    "ALPHACMA": "SIRIUS",
    "HD48915": "SIRIUS",
    "ALPHALYR": "VEGA",
    "HD172167": "VEGA",
}
_GREEK = {"ALF": "ALPHA", "ALP": "ALPHA", "BET": "BETA", "GAM": "GAMMA", "SIG": "SIGMA"}
_ABBREVIATED = re.compile(r"(ALF|ALP|BET|GAM|SIG)([A-Z]{3})")
_NUMBERED = re.compile(r"\d+(CERES|PALLAS|JUNO|VESTA|EUROPA|HERCULINA)")


def normalize_object(name: str) -> str:
    """
    Turn the name of an object into the one used in the tables of standards.

    Parameters
    ----------
    name
        Value of OBJECT, e.g. ``"Alpha Boo"``, ``"alf_Boo"``, ``"Arcturus"``, ``"(1) Ceres"``.

    Returns
    -------
    str
        Upper case without blanks, underscores, hyphens and brackets; known other names of standards replaced,
        e.g. ``"ALPHABOO"``, ``"CERES"``.
    """
    plain = re.sub(r"[\s_\-()]", "", name.upper())
    numbered = _NUMBERED.fullmatch(plain)
    abbreviated = _ABBREVIATED.fullmatch(plain)
    if numbered:
        plain = numbered[1]
    if abbreviated:
        plain = _GREEK[abbreviated[1]] + abbreviated[2]
    return _ALIASES.get(plain, plain)
