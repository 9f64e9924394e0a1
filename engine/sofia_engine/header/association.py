"""Association keywords: which observations a product was made of."""

from __future__ import annotations

from astropy.io import fits

from sofia_engine.header.cards import Card

__all__ = ["associate_raw"]

_ASSOCIATED = {
    "ASSC_AOR": ("AOR_ID", "All input AOR-IDs"),
    "ASSC_OBS": ("OBS_ID", "All input OBS-IDs"),
    "ASSC_MSN": ("MISSN-ID", "All input MISSN-IDs"),
}
_UNPROCESSED = ("", "UNKNOWN", "LEVEL_0", "LEVEL_1")


def associate_raw(header: fits.Header) -> list[Card]:
    """Return the cards that a raw file gets when it is loaded.

    Associated observations (where not set), the prefix ``P_`` of processed data in OBS_ID, and the level.
    """
    cards: list[Card] = []
    for keyword, (source, comment) in _ASSOCIATED.items():
        if _text(header, keyword) in ("", "UNKNOWN") and _text(header, source):
            cards.append((keyword, _text(header, source), comment))
    identifier = _text(header, "OBS_ID")
    if identifier and not identifier.startswith("P_"):
        cards.append(("OBS_ID", f"P_{identifier}", ""))
    if _text(header, "PROCSTAT").upper() in _UNPROCESSED:
        cards.append(("PROCSTAT", "LEVEL_2", "Processing status"))
    return cards


def _text(header: fits.Header, keyword: str) -> str:
    return str(header.get(keyword, "")).strip()
